//! Offline report: the state of a town from the files of the last supervisor, for use when none answers.
//!
//! It only reads. Files do not show whether an agent runs now, so its state is reported as unknown.

use std::{collections::BTreeMap, path::Path};

use jiff::Timestamp;

use super::{
    histories::{self, Happened},
    report::{AgentReport, Explanation, HeartbeatReport, ProblemReport, StatusReport},
};
use crate::{
    agent::{
        history::{
            History,
            finding::{self, UnknownAgent},
        },
        record::histories::left_behind,
    },
    ports::problems::{Condition, ProblemKey},
    terminal,
    town::{
        daemon_state,
        dialect::Dialect,
        files::Files,
        identity::Identity,
        paths::TownPaths,
        reading::{FileProblem, Reading},
        restart_state,
    },
};

/// The state of the town. `running` is false: only the lock shows whether a supervisor runs.
pub async fn report(files: &dyn Files, paths: &TownPaths) -> StatusReport {
    let of_one_file = paths.agents_file().map(|_| Dialect::Own.facts().name);
    let mut report = StatusReport {
        town: paths.root().to_string_lossy().into_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        gas_town: of_one_file.unwrap_or_default().to_owned(),
        ..StatusReport::default()
    };
    match read(files, paths, &paths.state(), daemon_state::parse).await {
        Reading::Good(state) => {
            report.pid = Some(state.pid);
            report.died = state.running;
            report.started_at = state.started_at;
            report.heartbeat = HeartbeatReport {
                count: state.heartbeat_count,
                last: state.last_heartbeat,
                late: Vec::new(),
            };
        }
        Reading::Missing => {}
        Reading::Bad(problem) => note(&mut report, &problem),
    }
    match histories(files, paths).await {
        Ok(histories) => {
            let agents = histories.iter();
            report.agents = agents.map(|(it, told)| AgentReport::left_behind(it, told)).collect();
        }
        Err(problem) => note(&mut report, &problem),
    }
    match read(files, paths, &paths.restart_state(), restart_state::parse).await {
        Reading::Good(state) => {
            for agent in &mut report.agents {
                if let Some(entry) = state.agents.get(&agent.identity) {
                    agent.restarts = entry.restart_count;
                    agent.backoff_until = entry.backoff_until;
                }
            }
        }
        Reading::Missing => {}
        Reading::Bad(problem) => note(&mut report, &problem),
    }
    report.agents.sort_by(|a, b| a.identity.cmp(&b.identity));
    report
}

/// What the last supervisor knew about one agent, in any spelling. An error names similar agents.
pub async fn explanation(
    files: &dyn Files,
    paths: &TownPaths,
    text: &str,
) -> Result<Explanation, UnknownAgent> {
    let mut histories = histories(files, paths).await.unwrap_or_default();
    let known: Vec<Identity> = histories.keys().cloned().collect();
    let identity = finding::find(text, &[], &known)?;
    let history = histories.remove(&identity).unwrap_or_default();
    let agent = Some(AgentReport::left_behind(&identity, &history));
    Ok(Explanation { agent, entries: history.entries, identity: identity.to_string() })
}

/// What happened to all agents since a time, oldest first.
pub async fn happened(files: &dyn Files, paths: &TownPaths, since: Timestamp) -> Vec<Happened> {
    let all = histories(files, paths).await.unwrap_or_default();
    let of_all = all.into_iter().map(|(identity, history)| (identity.to_string(), history.entries));
    histories::in_order(of_all, Some(since))
}

/// The histories of the agents that have entries.
async fn histories(files: &dyn Files, paths: &TownPaths) -> Result<BTreeMap<Identity, History>, FileProblem> {
    match read(files, paths, &paths.supervisor_dir().join("history.json"), left_behind).await {
        Reading::Good(mut histories) => {
            histories.retain(|_, history| !history.entries.is_empty());
            Ok(histories)
        }
        Reading::Missing => Ok(BTreeMap::new()),
        Reading::Bad(problem) => Err(problem),
    }
}

async fn read<T>(
    files: &dyn Files,
    paths: &TownPaths,
    path: &Path,
    parse: impl FnOnce(&Path, &[u8]) -> Result<T, FileProblem>,
) -> Reading<T> {
    Reading::of(paths.shown(path), files.read(path).await, parse)
}

fn note(report: &mut StatusReport, problem: &FileProblem) {
    let key =
        ProblemKey::from(format!("file/{}", terminal::path(&problem.path))).meaning(Condition::CannotRead);
    report.show([ProblemReport::new(key, &problem.to_string(), None)]);
}
