//! Tests of the difference: a grid of two files each, and what becomes of the agents.

use std::path::Path;

use proptest::prelude::*;

use super::*;
use crate::agents_file::reading::{Around, read};

fn plan(text: &str) -> Plan {
    let around = Around { directory: Path::new("/town"), home: None };
    read(Path::new("agents.toml"), text.as_bytes(), around).unwrap_or_else(|error| panic!("{error}"))
}

fn lines(old: &str, new: &str) -> Vec<String> {
    difference(&plan(old), &plan(new)).iter().map(ToString::to_string).collect()
}

const A: &str = "[agents.a]\ncommand = \"x\"\n";

#[test]
fn what_becomes_of_the_agents() {
    let a = |more: &str| format!("{A}{more}\n");
    for (name, old, new, expected) in [
        ("nothing", a(""), a("# a remark"), &[][..]),
        ("the same in other words", a("dir = \"/town/\"\nkind = \"plain\""), a("session = \"a\""), &[]),
        (
            "the same as a default",
            a("restart = \"always\""),
            format!("[defaults]\nrestart = \"always\"\n{A}"),
            &[],
        ),
        ("a new one", "#".into(), a(""), &["start a"]),
        ("one that is gone", a(""), "#".into(), &["stop a"]),
        ("another name", a(""), "[agents.b]\ncommand = \"x\"\n".into(), &["stop a", "start b"]),
        ("another command", a(""), "[agents.a]\ncommand = \"sk-secret\"\n".into(), &["restart a: command"]),
        ("another directory", a(""), a("dir = \"b\""), &["restart a: dir /town → /town/b"]),
        ("another session", a(""), a("session = \"b\""), &["restart a: session a → b"]),
        (
            "memory",
            a("memory.max = \"1G\""),
            a("memory.max = \"none\""),
            &["restart a: memory.max 1GiB → none"],
        ),
        ("a variable", a("env.K = \"1\""), a("env.K = \"2\""), &["restart a: env.K"]),
        (
            "a variable that is gone",
            a("env = { K = \"1\", L = \"2\" }"),
            a("env.K = \"1\""),
            &["restart a: env.L"],
        ),
        (
            "a word for restarts",
            a(""),
            a("restart = \"no\""),
            &["change a while it runs: restart unless-stopped → no"],
        ),
        ("a prompt", a("prompt = \"a\""), a("prompt = \"b\""), &["change a while it runs: prompt"]),
        (
            "a path in a URL",
            a("health.url = \"http://h/a\""),
            a("health.url = \"http://h/b\""),
            &["change a while it runs: health.url"],
        ),
        (
            "one rule and one that needs a restart",
            a(""),
            a("dir = \"/x\"\nstop.grace = \"9s\""),
            &["restart a: dir /town → /x, stop.grace 2s → 9s"],
        ),
        ("more replicas", a("replicas = 1"), a("replicas = 3"), &["start a-2", "start a-3"]),
        ("fewer, the last first", a("replicas = 3"), a("replicas = 1"), &["stop a-3", "stop a-2"]),
        ("replicas at all", a(""), a("replicas = 1"), &["stop a", "start a-1"]),
        (
            "an order",
            format!("{A}[agents.b]\ncommand = \"x\"\n"),
            format!("{A}[agents.b]\ncommand = \"x\"\nafter = [\"a\"]\n"),
            &["change b while it runs: after [] → [\"a\"]"],
        ),
        (
            "settings",
            a(""),
            a("[restart]\ninitial_backoff = \"1s\"\n[limits]\nagents = 7"),
            &["change the settings: restart.initial_backoff 30s → 1s, limits.agents 100 → 7"],
        ),
        (
            "a secret setting",
            a("[notify]\nwebhook = \"https://h/a\""),
            a("[notify]\nwebhook = \"https://h/b\""),
            &["change the settings: notify"],
        ),
        (
            "another server",
            a(""),
            format!("socket = \"default\"\n{A}"),
            &["at the next start of the supervisor: its own tmux server → your default tmux server"],
        ),
    ] {
        assert_eq!(lines(&old, &new), expected, "{name}");
    }
}

/// A file of a few agents.
fn file() -> impl Strategy<Value = String> {
    let agent = (
        prop::sample::select(vec!["a", "b", "c"]),
        prop::sample::select(vec!["x", "y"]),
        prop::option::of(1..4_u32),
        prop::sample::select(vec!["", "restart = \"no\"\n", "env.A = \"1\"\n", "dir = \"d\"\n"]),
    );
    prop::collection::vec(agent, 0..4).prop_map(|agents| {
        let agents: BTreeMap<_, _> =
            agents.into_iter().map(|(name, command, count, more)| (name, (command, count, more))).collect();
        let text = agents.iter().map(|(name, (command, count, more))| {
            let count = count.map_or_else(String::new, |count| format!("replicas = {count}\n"));
            format!("[agents.{name}]\ncommand = \"{command}\"\n{count}{more}")
        });
        format!("#\n{}", text.collect::<String>())
    })
}

proptest! {
    /// Done to what runs, the changes make what the new file wants: each agent of it is there once, and those that stay untouched are the same.
    #[test]
    fn the_changes_lead_from_one_file_to_the_other(old in file(), new in file()) {
        let (old, new) = (plan(&old), plan(&new));
        let mut running: BTreeMap<AgentName, Definition> =
            old.agents.iter().map(|agent| (agent.name.clone(), agent.clone())).collect();
        let wanted = |name: &AgentName| new.agents.iter().find(|agent| agent.name == *name).cloned();
        for change in difference(&old, &new) {
            match change {
                Change::Stop(name) => prop_assert!(running.remove(&name).is_some() && wanted(&name).is_none()),
                Change::Start(name) => prop_assert!(running.insert(name.clone(), wanted(&name).unwrap()).is_none()),
                Change::Restart(name, _) | Change::Adjust(name, _) => {
                    prop_assert!(running.insert(name.clone(), wanted(&name).unwrap()).is_some());
                }
                Change::Settings(_) | Change::Socket(_) => prop_assert!(false, "none of these changed"),
            }
        }
        prop_assert_eq!(running.len(), new.agents.len());
        for agent in &new.agents {
            let is = &running[&agent.name];
            prop_assert_eq!((&is.table.command, &is.table.env, &is.dir), (&agent.table.command, &agent.table.env, &agent.dir));
            prop_assert_eq!(is.table.restart, agent.table.restart);
        }
    }
}
