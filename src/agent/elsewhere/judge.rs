//! Whether one of the processes of a search is the agent. Pure.

use std::{collections::BTreeSet, path::PathBuf};

use crate::{
    agent::{
        liveness::ProcessNames,
        program::{AgentProgram, provider::base_name},
        shells::are_shells,
    },
    processes::{Resident, is_interpreter},
    sessions::Place,
    terminal,
    town::{environment, identity::Identity},
};

/// The agent that is searched for.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// Its identity.
    pub identity: &'a Identity,
    /// The program it would be started with.
    pub program: &'a AgentProgram,
    /// The directories in which only it works.
    pub directories: &'a [PathBuf],
    /// The names of this town in environments.
    pub ours: &'a BTreeSet<String>,
}

/// Why an agent must not be started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The reason, for people.
    pub text: String,
    /// The server that should answer at the supervisor's socket, when the socket is gone.
    pub lost_server: Option<u32>,
}

/// The tmux server in one of whose panes a process runs.
struct Inside<'a> {
    socket: &'a str,
    server: u32,
    /// Whether the server started it in the pane.
    is_first: bool,
}

/// The town in a process's environment, by the variables of towns of the kind that this agent is in.
pub fn town_of<'a>(it: &'a Resident, agent: &Identity) -> Option<&'a str> {
    let variables = if is_own(agent) { &[environment::TOWN][..] } else { &environment::GAS_TOWN };
    let named = variables.iter().filter_map(|name| it.environment.get(*name));
    named.map(String::as_str).find(|value| !value.is_empty())
}

/// Whether its town is one of one file.
fn is_own(agent: &Identity) -> bool {
    matches!(agent, Identity::Own(_))
}

/// Searches for the agent, and then for any of the town's agents on another server than the supervisor's: then the
/// settings name the wrong server, and a new agent would exist twice once they are corrected.
pub fn find(all: &[Resident], wanted: Wanted<'_>, place: &Place) -> Option<Found> {
    let own = all.iter().find(|it| is_agent(it, all, wanted));
    if let Some(it) = own {
        let (runs, lost_server) = shown(it, inside(it, all, wanted.identity), place);
        return Some(Found {
            text: format!("runs where the supervisor cannot reach it: {runs}"),
            lost_server,
        });
    }
    all.iter().find_map(|it| {
        let who = whose(it, wanted)?;
        let is_kept = who.role().is_kept();
        let inside = inside(it, all, &who).filter(|_| is_kept)?;
        if place.server == Some(inside.server) || !(inside.is_first && is_no_helper(it, wanted)) {
            return None;
        }
        let (runs, lost_server) = shown(it, Some(inside), place);
        let text = format!("agents of this town run where the supervisor cannot reach them: {who}, {runs}");
        Some(Found { text, lost_server })
    })
}

fn shown(it: &Resident, inside: Option<Inside<'_>>, place: &Place) -> (String, Option<u32>) {
    let name = it.command.names().into_iter().next().unwrap_or_default();
    let process = format!("{name} (PID {})", it.command.pid);
    let Some(Inside { socket, server, .. }) = inside else {
        return (format!("{process}, in no tmux session"), None);
    };
    let is_lost = place.server.is_none() && place.is_at(socket);
    let which = match place.server {
        Some(own) if own == server => "in a session of another name".to_owned(),
        _ if is_lost => "whose socket file is gone".to_owned(),
        Some(own) if place.is_at(socket) => format!("on which PID {own} answers now"),
        _ => format!("and the supervisor uses {}", terminal::path(&place.socket)),
    };
    (format!("{process} in the tmux server (PID {server}) on {socket}, {which}"), is_lost.then_some(server))
}

/// Whether this process is the agent.
fn is_agent(it: &Resident, all: &[Resident], wanted: Wanted<'_>) -> bool {
    let said = it.environment.get("GT_PROCESS_NAMES").map(String::as_str);
    let names = ProcessNames::new(wanted.program, said);
    let is_listed = |also_interpreters: bool| {
        let mut given =
            it.command.names().into_iter().filter(|name| also_interpreters || !is_interpreter(name));
        given.any(|name| names.matches(&name))
    };
    let is_program = || is_listed(false) || it.command.given_to(base_name(&wanted.program.command)).is_some();
    match whose(it, wanted) {
        Some(who) if who == *wanted.identity => match inside(it, all, &who) {
            Some(inside) if inside.is_first => is_no_helper(it, wanted),
            Some(_) => is_listed(true),
            None => is_program(),
        },
        Some(_) => false,
        None => {
            it.command.directory.as_ref().is_some_and(|at| wanted.directories.contains(at)) && is_program()
        }
    }
}

/// Whether it is more than a person's shell in a pane beside the agent's, which has the agent's environment too. One that runs
/// a script or a command may be the agent in a town of one file.
fn is_no_helper(it: &Resident, wanted: Wanted<'_>) -> bool {
    let names = it.command.names();
    let may_be_shell =
        is_own(wanted.identity) && it.command.arguments.iter().skip(1).any(|word| is_said(word));
    !names.is_empty() && (may_be_shell || !are_shells(&names)) && !it.command.comm.starts_with("tmux")
}

/// Whether this argument gives a shell something to run.
fn is_said(word: &str) -> bool {
    !word.starts_with('-') || word.starts_with("-c")
}

/// The agent of this town whose environment a process has: the agent itself, or its child.
fn whose(it: &Resident, wanted: Wanted<'_>) -> Option<Identity> {
    town_of(it, wanted.identity).filter(|town| wanted.ours.contains(*town))?;
    if is_own(wanted.identity) {
        return it.environment.get(environment::AGENT)?.parse().ok();
    }
    let value = |name: &str| it.environment.get(name).map(String::as_str).filter(|value| !value.is_empty());
    let by_role = || {
        let (role, rig) = (value("GT_ROLE")?, value("GT_RIG"));
        let who = match (role, rig, value("GT_POLECAT")) {
            ("boot" | "deacon/boot", ..) => "deacon-boot".to_owned(),
            ("polecat", Some(rig), Some(name)) => format!("{rig}/polecats/{name}"),
            ("witness" | "refinery", Some(rig), _) => format!("{rig}/{role}"),
            _ => role.to_owned(),
        };
        who.parse().ok()
    };
    value("BD_ACTOR").and_then(|who| who.parse().ok()).or_else(by_role)
}

/// The server a process runs in, by its environment and its ancestors. `None` when the agent started that server
/// itself, for example for a test: then its panes are only children of the agent.
fn inside<'a>(it: &'a Resident, all: &[Resident], who: &Identity) -> Option<Inside<'a>> {
    let mut parts = it.environment.get("TMUX")?.rsplitn(3, ',');
    let (_, server, socket) = (parts.next()?, parts.next()?.parse().ok()?, parts.next()?);
    let ancestors = &it.command.ancestors;
    let variable = if is_own(who) { environment::AGENT } else { "BD_ACTOR" };
    let says =
        |server: &Resident| server.environment.get(variable).is_some_and(|actor| *actor == who.to_string());
    let is_the_agents_own = all.iter().any(|other| other.command.pid == server && says(other));
    let is_first = ancestors.first() == Some(&server);
    (ancestors.contains(&server) && !is_the_agents_own).then_some(Inside { socket, server, is_first })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{agent::program::provider::preset, processes::Invocation};

    const OWN: u32 = 100;
    const OTHER: u32 = 200;

    /// A process with these names, arguments and ancestors, and with this environment.
    fn process(pid: u32, comm: &str, arguments: &str, ancestors: &[u32], environment: &str) -> Resident {
        let command = Invocation {
            pid,
            born: 1,
            ancestors: ancestors.to_vec(),
            comm: comm.to_owned(),
            executable: None,
            arguments: arguments.split_whitespace().map(str::to_owned).collect(),
            directory: Some("/t/r/witness".into()),
        };
        let pairs = environment.split_whitespace().filter_map(|pair| pair.split_once('='));
        let environment = pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        Resident { command, environment }
    }

    const AS_WITNESS: &str = "GT_ROOT=/t BD_ACTOR=r/witness GT_ROLE=witness GT_RIG=r";

    fn found(all: &[Resident], server: Option<u32>) -> Option<Found> {
        let identity: Identity = "r/witness".parse().unwrap();
        let program = preset("claude").unwrap();
        let directories = [PathBuf::from("/t/r/witness")];
        let ours = BTreeSet::from(["/t".to_owned(), "/link".to_owned()]);
        let wanted =
            Wanted { identity: &identity, program: &program, directories: &directories, ours: &ours };
        find(all, wanted, &Place { socket: "/s/own".into(), server })
    }

    fn one(it: Resident) -> bool {
        found(&[it], Some(OWN)).is_some()
    }

    #[test]
    fn who_is_the_agent() {
        let tmux = |server: u32, environment: &str| format!("{environment} TMUX=/s/other,{server},0");
        let as_witness = tmux(OTHER, AS_WITNESS);
        for (case, it, expected) in [
            ("in a pane", process(1, "claude", "claude", &[OTHER, 1, 1], &as_witness), true),
            ("under another name", process(1, ".claude-unwrapp", "x", &[OTHER, 1, 1], &as_witness), true),
            ("below a shell", process(1, "claude", "claude", &[9, OTHER, 1], &as_witness), true),
            (
                "below a shell, under another name",
                process(1, "bun", "bun", &[9, OTHER, 1], &as_witness),
                false,
            ),
            ("a shell beside it", process(1, "bash", "-bash", &[OTHER, 1, 1], &as_witness), false),
            (
                "by a link",
                process(1, "claude", "claude", &[OTHER, 1], &as_witness.replace("/t", "/link")),
                true,
            ),
            (
                "by its role",
                process(
                    1,
                    "claude",
                    "claude",
                    &[OTHER, 1],
                    &tmux(OTHER, "GT_ROOT=/t GT_ROLE=witness GT_RIG=r"),
                ),
                true,
            ),
            (
                "by its whole role",
                process(
                    1,
                    "claude",
                    "claude",
                    &[OTHER, 1],
                    &tmux(OTHER, "GT_TOWN_ROOT=/t GT_ROLE=r/witness"),
                ),
                true,
            ),
            ("outlived its pane", process(1, "claude", "claude", &[1, 1], &as_witness), true),
            ("without tmux", process(1, "claude", "claude", &[1, 1], AS_WITNESS), true),
            ("as a script", process(1, "node", "node /opt/claude", &[1, 1], AS_WITNESS), true),
            ("a server of its own making", process(1, "node", "node vite", &[1, 1], &as_witness), false),
            ("bd's daemon", process(1, "bd", "bd daemon", &[1, 1], &as_witness), false),
            ("its tmux server", process(1, "tmux: server", "tmux", &[1, 1], AS_WITNESS), false),
            (
                "another agent",
                process(1, "claude", "claude", &[1, 1], "GT_ROOT=/t BD_ACTOR=r/refinery"),
                false,
            ),
            (
                "another town's",
                process(1, "bun", "bun", &[OTHER, 1], &as_witness.replace("/t ", "/u ")),
                false,
            ),
            ("by directory and program", process(1, "claude", "claude", &[1, 1], ""), true),
            ("only by directory", process(1, "vim", "vim", &[1, 1], ""), false),
            ("an interpreter there", process(1, "node", "node x.js", &[1, 1], ""), false),
        ] {
            assert_eq!(one(it), expected, "{case}");
        }
    }

    #[test]
    fn who_is_the_agent_in_a_town_of_one_file() {
        let ours = "SUPERVISOR_TOWN=/t SUPERVISOR_AGENT=@db";
        let (at, identity) = (format!("{ours} TMUX=/s/other,{OTHER},0"), "@db".parse().unwrap());
        let ours = BTreeSet::from(["/t".to_owned()]);
        for (case, it, expected) in [
            ("in a pane", process(1, "run.sh", "run.sh", &[OTHER, 1], &at), true),
            ("a shell that runs a command", process(1, "sh", "/bin/sh -c x", &[OTHER, 1], &at), true),
            ("a shell that runs a script", process(1, "bash", "bash run", &[OTHER, 1], &at), true),
            ("a person's shell beside it", process(1, "bash", "-bash", &[OTHER, 1], &at), false),
            ("another person's shell", process(1, "zsh", "zsh -l", &[OTHER, 1], &at), false),
            ("its child", process(1, "make", "make", &[9, OTHER, 1], &at), false),
            ("another agent", process(1, "x", "x", &[OTHER, 1], &at.replace("@db", "@web")), false),
            ("another town's", process(1, "x", "x", &[OTHER, 1], &at.replace("/t ", "/u ")), false),
            (
                "a Gas Town's",
                process(1, "x", "x", &[OTHER, 1], "GT_ROOT=/t BD_ACTOR=@db TMUX=/s/other,200,0"),
                false,
            ),
            ("only where it works", process(1, "claude", "claude", &[1, 1], ""), false),
        ] {
            let program = preset("claude").unwrap();
            let wanted = Wanted { identity: &identity, program: &program, directories: &[], ours: &ours };
            let found = find(&[it], wanted, &Place { socket: "/s/own".into(), server: Some(OWN) });
            let is_it = found.is_some_and(|it| it.text.starts_with("runs where"));
            assert_eq!(is_it, expected, "{case}");
        }
    }

    #[test]
    fn a_server_that_the_agent_started_itself_is_no_place_of_its() {
        let environment = format!("{AS_WITNESS} TMUX=/s/other,{OTHER},0");
        let server = process(OTHER, "tmux: server", "tmux", &[1, 1], AS_WITNESS);
        let inner = process(1, "sleep", "sleep 9", &[OTHER, 1], &environment);
        assert_eq!(found(&[server.clone(), inner], Some(OWN)), None);
        let server = Resident { environment: [("GT_ROOT".to_owned(), "/t".to_owned())].into(), ..server };
        let inner = process(1, "sleep", "sleep 9", &[OTHER, 1], &environment);
        assert!(found(&[server, inner], Some(OWN)).is_some());
    }

    #[test]
    fn what_is_reported() {
        let at = |socket: &str, server: u32, who: &str| {
            let environment = format!("GT_ROOT=/t BD_ACTOR={who} TMUX={socket},{server},0");
            Resident {
                command: Invocation {
                    directory: None,
                    ..process(7, "claude", "claude", &[server, 1], "").command
                },
                ..process(7, "claude", "claude", &[], &environment)
            }
        };
        let runs = "runs where the supervisor cannot reach it: claude (PID 7) in the tmux server (PID";
        for (case, it, server, told, lost) in [
            ("other socket", at("/s/x", OTHER, "r/witness"), Some(OWN), format!("{runs} 200) on /s/x, and the supervisor uses /s/own"), None),
            ("other socket, no server", at("/s/x", OTHER, "r/witness"), None, format!("{runs} 200) on /s/x, and the supervisor uses /s/own"), None),
            ("renamed", at("/s/own", OWN, "r/witness"), Some(OWN), format!("{runs} 100) on /s/own, in a session of another name"), None),
            ("socket gone", at("/s/own", OTHER, "r/witness"), None, format!("{runs} 200) on /s/own, whose socket file is gone"), Some(OTHER)),
            ("socket taken", at("/s/own", OTHER, "r/witness"), Some(OWN), format!("{runs} 200) on /s/own, on which PID 100 answers now"), None),
            ("others elsewhere", at("/s/x", OTHER, "deacon"), Some(OWN),
                "agents of this town run where the supervisor cannot reach them: deacon, claude (PID 7) in the tmux server (PID 200) on /s/x, and the supervisor uses /s/own".to_owned(), None),
        ] {
            assert_eq!(found(&[it], server), Some(Found { text: told, lost_server: lost }), "{case}");
        }
        for (case, it) in [
            ("others here", at("/s/own", OWN, "deacon")),
            ("a person's", at("/s/x", OTHER, "r/crew/max")),
            ("the mayor", at("/s/x", OTHER, "mayor")),
        ] {
            assert_eq!(found(&[it], Some(OWN)), None, "{case}");
        }
    }
}
