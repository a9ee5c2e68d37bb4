//! Offline report: the state of a town from the files of the last supervisor, for use when none answers.
//!
//! It only reads. Files do not show whether an agent runs now, so its state is reported as unknown.

use std::path::Path;

use super::report::{AgentReport, Explanation, HeartbeatReport, StatusReport};
use crate::{
    agent::history::{
        Histories,
        finding::{self, UnknownAgent},
    },
    terminal,
    town::{
        daemon_state,
        files::Files,
        paths::TownPaths,
        reading::{FileProblem, Reading},
        restart_state,
    },
};

/// The state of the town. `running` is false: only the lock shows whether a supervisor runs.
pub async fn report(files: &dyn Files, paths: &TownPaths) -> StatusReport {
    let mut report = StatusReport {
        town: paths.root().to_string_lossy().into_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        ..StatusReport::default()
    };
    match read(files, paths, &paths.state(), daemon_state::parse).await {
        Reading::Good(state) => {
            report.pid = Some(state.pid);
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
            let agents = histories.known().into_iter();
            report.agents = agents.map(|it| AgentReport::left_behind(&it, histories.phase(&it))).collect();
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
    report
}

/// What the last supervisor knew about one agent, in any spelling. An error names similar agents.
pub async fn explanation(
    files: &dyn Files,
    paths: &TownPaths,
    text: &str,
) -> Result<Explanation, UnknownAgent> {
    let directory = paths.supervisor_dir();
    let histories = histories(files, paths).await.unwrap_or_else(|_| Histories::new(directory));
    let identity = finding::find(text, &[], &histories.known())?;
    Ok(Explanation {
        agent: Some(AgentReport::left_behind(&identity, histories.phase(&identity))),
        entries: histories.of(&identity).map(|history| history.entries).unwrap_or_default(),
        identity: identity.to_string(),
    })
}

async fn histories(files: &dyn Files, paths: &TownPaths) -> Result<Histories, FileProblem> {
    let directory = paths.supervisor_dir();
    let path = directory.join("history.json");
    let parse = |shown: &Path, bytes: &[u8]| Histories::left_behind(directory.clone(), shown, bytes);
    match read(files, paths, &path, parse).await {
        Reading::Good(histories) => Ok(histories),
        Reading::Missing => Ok(Histories::new(directory)),
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
    report.problems.insert(format!("file/{}", terminal::path(&problem.path)), problem.to_string());
}
