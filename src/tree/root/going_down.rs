//! Going down: all agents of a town of one file are ended, in the reverse order of their starts, and then this process.
//!
//! Each is ended by a request, as `stop` does it. An agent that others wait for is asked only when all of those have ended; one that
//! cannot be ended keeps those that it waits for, and the supervisor. Nothing here ends an agent.

use std::collections::{BTreeMap, BTreeSet};

use super::RootState;
use crate::{
    agent::requests::{Action, ByCommand, Request},
    deps::Deps,
    supervision::messages::Report,
    town::{identity::Identity, standing::Standings},
    tree::root::RootMsg,
};

/// What is to be ended, and for whom.
#[derive(Debug, Clone)]
pub struct Down {
    /// The command.
    pub by: ByCommand,
    /// The agents, each with the id of the request that ends it.
    pub agents: Vec<(Identity, String)>,
}

impl RootState {
    /// Ends all agents, and then the process; the requests say how far that is.
    pub(super) fn go_down(&mut self, down: Down) {
        let (deps, post, ends) = (self.plan.deps.clone(), self.post.clone(), self.plan.ends.clone());
        tracing::info!("all agents are ended, and then the supervisor: {}", down.by);
        self.work.run(async move {
            let ask = |identity: &Identity| post(RootMsg::Report(Report::Asked(identity.clone())));
            if end_all(&deps, &down, ask).await {
                ends();
            } else {
                tracing::warn!("not all agents were ended: the supervisor goes on");
            }
        });
    }
}

/// Has all agents ended; returns whether they were. `ask` tells the actor of an agent that a request for it was noted.
async fn end_all(deps: &Deps, down: &Down, ask: impl Fn(&Identity)) -> bool {
    let standings = deps.standings.borrow().clone();
    let mut changes = deps.records.changed();
    let mut asked: BTreeSet<&Identity> = BTreeSet::new();
    loop {
        let outcome = |id: &String| deps.records.claim(id).and_then(|claim| claim.outcome);
        let over: BTreeMap<&Identity, bool> = down
            .agents
            .iter()
            .filter(|(identity, _)| asked.contains(identity))
            .filter_map(|(identity, id)| Some((identity, outcome(id)?.ok)))
            .collect();
        if over.len() == down.agents.len() && over.values().all(|ended| *ended) {
            return true;
        }
        let next = next(&standings, down, &asked, &over);
        if next.is_empty() && over.len() == asked.len() {
            return false;
        }
        for (identity, id) in next {
            let request = Request {
                id: id.clone(),
                identity: identity.clone(),
                action: Action::Stop,
                by: Some(down.by.clone()),
            };
            if let Err(why) = deps.records.note_request(deps, &request).await {
                tracing::warn!(agent = %identity, "it is not ended, as the request cannot be noted: {why}");
                return false;
            }
            asked.insert(identity);
            ask(identity);
        }
        if changes.changed().await.is_err() {
            return false;
        }
    }
}

/// Those that are to be asked now: all for which no agent waits any more, the last in the order of starts first.
fn next<'a>(
    standings: &Standings,
    down: &'a Down,
    asked: &BTreeSet<&Identity>,
    over: &BTreeMap<&Identity, bool>,
) -> Vec<&'a (Identity, String)> {
    let waits_for = |other: &Identity, it: &Identity| {
        standings.of(other).is_some_and(|standing| standing.after.contains(it))
    };
    let is_needed = |it: &Identity| {
        down.agents.iter().any(|(other, _)| waits_for(other, it) && over.get(other) != Some(&true))
    };
    let mut next: Vec<_> =
        down.agents.iter().filter(|(it, _)| !asked.contains(it) && !is_needed(it)).collect();
    next.sort_by_key(|(it, _)| std::cmp::Reverse(standings.place(it)));
    next
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use jiff::Timestamp;

    use super::*;
    use crate::agents_file::reading::{Around, read};

    #[test]
    fn who_is_asked_next() {
        let file = "[agents.app]\ncommand = \"x\"\nafter = [\"db\"]\n[agents.db]\ncommand = \"x\"\n[agents.web]\ncommand = \"x\"\n\
                    after = [\"app\"]\n[agents.log]\ncommand = \"x\"\n";
        let around = Around { directory: Path::new("/t"), home: None };
        let standings = read(Path::new("agents.toml"), file.as_bytes(), around).unwrap().standings();
        let all: Vec<Identity> = standings.agents().cloned().collect();
        let by = ByCommand {
            uid: 1,
            user: None,
            command: "down".into(),
            at: Timestamp::UNIX_EPOCH,
            until: None,
            when_idle: false,
            of_file: false,
        };
        let down = Down { by, agents: all.iter().map(|it| (it.clone(), it.to_string())).collect() };
        for (name, asked, over, expected) in [
            ("at first", &[][..], &[][..], "@log @web"),
            ("they are being ended", &["@log", "@web"], &[("@log", true)], ""),
            ("the last has ended", &["@log", "@web"], &[("@log", true), ("@web", true)], "@app"),
            ("it could not be ended", &["@log", "@web"], &[("@log", true), ("@web", false)], ""),
            (
                "one is left",
                &["@log", "@web", "@app"],
                &[("@log", true), ("@web", true), ("@app", true)],
                "@db",
            ),
        ] {
            let of = |name: &str| all.iter().find(|it| it.to_string() == name).unwrap();
            let asked = asked.iter().map(|name| of(name)).collect();
            let over = over.iter().map(|(name, ended)| (of(name), *ended)).collect();
            let next = next(&standings, &down, &asked, &over);
            let names: Vec<&str> = next.iter().map(|(_, id)| id.as_str()).collect();
            assert_eq!(names.join(" "), expected, "{name}");
        }
    }
}
