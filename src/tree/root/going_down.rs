//! Going down: all agents of a town of one file are ended, in the reverse order of their starts, and then this process.
//!
//! Each is ended by a request, as `stop` does it. An agent that others wait for is asked only when all of those have ended; one that
//! cannot be ended keeps those that it waits for, and the supervisor. Who has the agents run again (`up`, `reload`, `start` or `restart`
//! of one) takes it back, and it is over when nothing has ended for long: it never goes off later. Nothing here ends an agent.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use tokio::{sync::watch, time::timeout};

use super::RootState;
use crate::{
    agent::requests::{Action, ByCommand, Outcome, Request, Stage},
    deps::Deps,
    go_duration,
    supervision::messages::Report,
    town::{identity::Identity, standing::Standings},
    tree::root::RootMsg,
};

/// It is over when nothing has ended for this long beyond the longest grace: one that is being started is ended when that is over.
const PATIENCE: Duration = Duration::from_secs(120);
/// The key of the problem that it did not end all.
const NOT_ENDED: &str = "down";

/// What is to be ended, and for whom.
#[derive(Debug, Clone)]
pub struct Down {
    /// The command.
    pub by: ByCommand,
    /// The agents, each with the id of the request that ends it.
    pub agents: Vec<(Identity, String)>,
}

/// How it came out.
#[derive(Debug, PartialEq, Eq)]
enum End {
    /// All agents have ended, and none runs again.
    All,
    /// Somebody has them run again.
    TakenBack,
    /// Not all have ended, for this reason.
    Left(String),
}

impl RootState {
    /// Ends all agents, and then the process; the requests say how far that is.
    pub(super) fn go_down(&mut self, down: Down) {
        let (deps, post, ends) = (self.plan.deps.clone(), self.post.clone(), self.plan.ends.clone());
        let mut up = self.brought_up.subscribe();
        deps.problems.clear(NOT_ENDED);
        tracing::info!("stopping all agents, then the supervisor: {}", down.by);
        self.work.run(async move {
            let ask = |identity: &Identity| post(RootMsg::Report(Report::Asked(identity.clone())));
            let end = end_all(&deps, &down, &mut up, ask).await;
            let withdrawn = match end {
                End::All => return ends(),
                End::TakenBack => {
                    tracing::info!("cancelled, as a later command starts agents: {}", down.by);
                    Outcome::failed("superseded", "`down` was cancelled: a later command starts agents")
                }
                End::Left(why) => {
                    let text = format!("{} did not finish, and the supervisor keeps running: {why}", down.by);
                    let outcome = Outcome::failed("unclear", format!("`down` did not finish: {why}"));
                    deps.problems.report(NOT_ENDED, text);
                    outcome
                }
            };
            withdraw(&deps, &down, &withdrawn);
            deps.records.save(&deps).await;
        });
    }

    /// Somebody has the agents run: no `down` that was asked for before is carried on.
    pub(super) fn take_downs_back(&self) {
        self.plan.deps.problems.clear(NOT_ENDED);
        self.brought_up.send_replace(());
    }
}

/// Has all agents ended; returns how that came out. `ask` tells the actor of an agent that a request for it was noted.
async fn end_all(deps: &Deps, down: &Down, up: &mut watch::Receiver<()>, ask: impl Fn(&Identity)) -> End {
    let standings = deps.standings.borrow().clone();
    let mut changes = deps.records.changed();
    let mut asked: BTreeSet<&Identity> = BTreeSet::new();
    let patience = PATIENCE
        + down
            .agents
            .iter()
            .filter_map(|(it, _)| Some(standings.of(it)?.stop.grace))
            .max()
            .unwrap_or_default();
    let (mut ended, mut until) = (0, deps.now().mono + patience);
    loop {
        let ids = || down.agents.iter().map(|(_, id)| id.as_str());
        if up.has_changed().unwrap_or(true) || deps.records.is_start_asked_after(ids()) {
            return End::TakenBack;
        }
        let outcome = |id: &String| deps.records.claim(id).and_then(|claim| claim.outcome);
        let over: BTreeMap<&Identity, bool> = down
            .agents
            .iter()
            .filter(|(identity, _)| asked.contains(identity))
            .filter_map(|(identity, id)| Some((identity, outcome(id)?.ok)))
            .collect();
        if over.len() == down.agents.len() && over.values().all(|ended| *ended) {
            return match again(deps).as_slice() {
                [] => End::All,
                names => End::Left(format!("started again or added meanwhile: {}", names.join(", "))),
            };
        }
        let next = next(&standings, down, &asked, &over);
        if next.is_empty() && over.len() == asked.len() {
            return End::Left("not all agents could be ended".to_owned());
        }
        if over.len() > ended || !next.is_empty() {
            (ended, until) = (over.len(), deps.now().mono + patience);
        }
        for (identity, id) in next {
            let request = request(down, identity, id);
            if let Err(why) = deps.records.note_request(deps, &request).await {
                tracing::warn!(agent = %identity, "not stopped, as the stop request cannot be saved: {why}");
                return End::Left("a stop request cannot be saved".to_owned());
            }
            asked.insert(identity);
            ask(identity);
        }
        let changed = async {
            tokio::select! {
                it = changes.changed() => it,
                it = up.changed() => { up.mark_changed(); it }
            }
        };
        match timeout(until.saturating_sub(deps.now().mono), changed).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) => return End::Left("the supervisor is being created again".to_owned()),
            Err(_) => {
                let left = down.agents.iter().filter(|(it, _)| over.get(it) != Some(&true));
                let left: Vec<String> = left.map(|(it, _)| it.called()).collect();
                let limit = go_duration::short(patience);
                return End::Left(format!(
                    "no more agents have ended within {limit}: {} did not",
                    left.join(", ")
                ));
            }
        }
    }
}

/// The agents that are not stopped, whatever became of the requests: they have been started since, or are new.
fn again(deps: &Deps) -> Vec<String> {
    let now = deps.standings.borrow().clone();
    now.agents().filter(|it| deps.records.hold(it).is_none()).map(|it| it.called()).collect()
}

fn request(down: &Down, identity: &Identity, id: &str) -> Request {
    let by = Some(down.by.clone());
    Request { id: id.to_owned(), identity: identity.clone(), action: Action::Stop, by }
}

/// What was not begun is not done any more, and this became of it.
fn withdraw(deps: &Deps, down: &Down, outcome: &Outcome) {
    for (identity, id) in &down.agents {
        if matches!(deps.records.request_stage(id), None | Some(Stage::Due)) {
            deps.records.put_outcome(&request(down, identity, id), outcome.clone());
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
