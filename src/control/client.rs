//! The client: how our own commands, and programs that use this library, talk to a supervisor.
//!
//! It asks the running supervisor, and reads the files of the last one when none runs. The town's lock decides
//! whether one runs, never a file's content. A supervisor that holds the lock but does not answer is reported within
//! 2 s. The client must not start or stop anything.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use hyper::{StatusCode, body::Bytes};
use jiff::Timestamp;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, PercentEncode, utf8_percent_encode};
use serde::{Deserialize, de::DeserializeOwned};

use super::{
    histories::Happened,
    http::{AskError, Http},
    left_behind,
    programs::ProgramsReport,
    report::{Explanation, ProblemReport, StatusReport},
    screens::SessionReport,
};
use crate::{
    ports::problems::ProblemKey,
    processes::standstill,
    terminal,
    town::{
        files::{Disk, Files, LockState},
        original,
        paths::TownPaths,
        pid,
        root::{self, Named, RootError},
    },
};

/// How long to wait for an answer; a healthy supervisor takes milliseconds.
const PATIENCE: Duration = Duration::from_millis(1500);

/// An answer, and its source.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer<T> {
    /// From the supervisor.
    Live(T),
    /// From the files: a supervisor holds the town's lock but does not answer; the text says in which way.
    Unresponsive(T, String),
    /// From the files: no supervisor runs.
    Offline(T),
}

impl<T> Answer<T> {
    /// The answer, whatever its source.
    pub fn into_inner(self) -> T {
        let (Answer::Live(it) | Answer::Unresponsive(it, _) | Answer::Offline(it)) = self;
        it
    }
}

/// Why a request to a supervisor failed. The text contains its cause.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// There is no town to query.
    #[error("{0}")]
    NoTown(String),
    /// No supervisor runs in the town.
    #[error("no supervisor runs in {}; `gastown-supervisor start` starts one", terminal::path(.0))]
    NotRunning(PathBuf),
    /// A supervisor holds the town's lock, but does not answer or did not confirm.
    #[error("{0}")]
    Unresponsive(String),
    /// There is no such agent; the text names similar ones.
    #[error("{0}")]
    UnknownAgent(String),
    /// It was not done in time; the text says how far it is.
    #[error("{0}")]
    TimedOut(String),
    /// The settings could not be used; the text names the place and the reason.
    #[error("{0}")]
    Settings(String),
    /// The supervisor refused the request.
    #[error("the supervisor answered {status}: {why}")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// The supervisor's reason.
        why: String,
    },
}

impl From<RootError> for ClientError {
    fn from(error: RootError) -> Self {
        ClientError::NoTown(error.to_string())
    }
}

/// A periodic task of the supervisor that can be triggered now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Poke {
    /// A heartbeat: every part probes again.
    Heartbeat,
    /// Reading the deacon's inbox for lifecycle requests.
    Lifecycle,
}

/// Queries the supervisor of one town.
///
/// Needs a tokio runtime with IO and time. Each call has a time limit; dropping a call cancels it.
///
/// ```no_run
/// use gastown_supervisor::{Answer, Client};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let client = Client::new(Some("/home/me/gt".as_ref()))?;
/// match client.status().await {
///     Answer::Live(report) => println!("{} agents", report.agents.len()),
///     Answer::Unresponsive(_, why) => println!("{why}"),
///     Answer::Offline(report) => println!("not running; the last heartbeat was {:?}", report.heartbeat.last),
/// }
/// for entry in client.explain("gastown/witness").await?.into_inner().entries {
///     println!("{} {} {}", entry.at, entry.seen, entry.done);
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Client {
    pub(super) paths: TownPaths,
    http: Http,
}

#[derive(Deserialize)]
struct Refusal {
    error: String,
}

/// What [`Client::clear_backoff`] cleared.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Cleared {
    /// The agents that had something to clear: a delay, or restarts that would delay the next one.
    pub cleared: Vec<String>,
    /// Those of them whose start was delayed.
    pub delayed: Vec<String>,
}

impl Client {
    /// The client for the town in this directory, of either kind; `None` means the town named by `GT_TOWN_ROOT`, `GT_ROOT` or
    /// `SUPERVISOR_TOWN`, or the one around the working directory.
    ///
    /// # Errors
    /// [`ClientError::NoTown`]. A town without a supervisor is no error.
    pub fn new(town: Option<&Path>) -> Result<Self, ClientError> {
        Ok(Client::of(root::find_here(Named::directory(town))?))
    }

    /// The client for the town that is this file, an `agents.toml` under any name.
    ///
    /// # Errors
    /// [`ClientError::NoTown`]. A town without a supervisor is no error.
    pub fn of_file(file: &Path) -> Result<Self, ClientError> {
        Ok(Client::of(root::find_here(Named::file(file))?))
    }

    pub(crate) fn of(paths: TownPaths) -> Self {
        let http = Http::new(paths.clone(), PATIENCE);
        Client { paths, http }
    }

    /// The status of the town and of all its agents.
    pub async fn status(&self) -> Answer<StatusReport> {
        match self.get("/v1/status").await {
            Ok(report) => Answer::Live(report),
            Err(ClientError::NotRunning(_)) => Answer::Offline(left_behind::report(&Disk, &self.paths).await),
            Err(silent) => {
                let mut report = left_behind::report(&Disk, &self.paths).await;
                (report.running, report.died) = (true, false);
                report.pid = pid::read(&self.paths.pid_file()).or(report.pid);
                let key = ProblemKey::named("control/silent").critical();
                report.show([ProblemReport::new(key, &silent.to_string(), None)]);
                Answer::Unresponsive(report, silent.to_string())
            }
        }
    }

    /// What happened to one agent, and why. The agent is named in any spelling (`gastown/witness`,
    /// `gt-gastown-witness`).
    ///
    /// # Errors
    /// [`ClientError::UnknownAgent`]; [`ClientError::Unresponsive`] when the supervisor does not answer and the files
    /// do not know the agent.
    pub async fn explain(&self, agent: &str) -> Result<Answer<Explanation>, ClientError> {
        let left = || left_behind::explanation(&Disk, &self.paths, agent);
        match self.explain_live(agent).await {
            Ok(explanation) => Ok(Answer::Live(explanation)),
            Err(ClientError::NotRunning(_)) => match left().await {
                Ok(explanation) => Ok(Answer::Offline(explanation)),
                Err(unknown) => Err(ClientError::UnknownAgent(unknown.to_string())),
            },
            Err(ClientError::Unresponsive(why)) => match left().await {
                Ok(explanation) => Ok(Answer::Unresponsive(explanation, why)),
                // The supervisor that does not answer may know it.
                Err(_) => Err(ClientError::Unresponsive(why)),
            },
            Err(error) => Err(error),
        }
    }

    /// The same as [`explain`](Self::explain), of a running supervisor only.
    ///
    /// # Errors
    /// When no supervisor answers, or the agent is unknown.
    pub(crate) async fn explain_live(&self, agent: &str) -> Result<Explanation, ClientError> {
        self.get(&format!("/v1/agents/{}", in_path(agent))).await
    }

    /// Where an agent's session is, with the last `lines` lines of its pane.
    ///
    /// # Errors
    /// When no supervisor answers, or the agent is unknown.
    pub(crate) async fn session(&self, agent: &str, lines: u16) -> Result<SessionReport, ClientError> {
        self.get(&format!("/v1/sessions/{}?lines={lines}", in_path(agent))).await
    }

    /// The `PATH` of the running supervisor, and which programs it finds there.
    ///
    /// # Errors
    /// When no supervisor answers, or it is an earlier one that does not know the question.
    pub(crate) async fn programs(&self) -> Result<ProgramsReport, ClientError> {
        self.get("/v1/programs").await
    }

    /// What happened to all agents since a time, oldest first. Without a supervisor, what the last one saved.
    ///
    /// # Errors
    /// When a supervisor runs and does not answer.
    pub(crate) async fn history(&self, since: Timestamp) -> Result<Answer<Vec<Happened>>, ClientError> {
        match self.get(&format!("/v1/history?since={}", in_path(&since.to_string()))).await {
            Ok(happened) => Ok(Answer::Live(happened)),
            Err(ClientError::NotRunning(_)) => {
                Ok(Answer::Offline(left_behind::happened(&Disk, &self.paths, since).await))
            }
            Err(error) => Err(error),
        }
    }

    /// Clears what delays the start of an agent (`None`: of all agents): a backoff, a crash loop, a hold.
    ///
    /// # Errors
    /// When no supervisor carried it out.
    pub async fn clear_backoff(&self, agent: Option<&str>) -> Result<Cleared, ClientError> {
        let path = match agent {
            Some(agent) => format!("/v1/agents/{}/clear-backoff", in_path(agent)),
            None => "/v1/clear-backoff".to_owned(),
        };
        self.understood(self.http.post(&path).await).await
    }

    /// Triggers a periodic task now. Returns when the task was triggered, not when it is done.
    ///
    /// # Errors
    /// When no supervisor received it.
    pub async fn poke(&self, what: Poke) -> Result<(), ClientError> {
        let what = match what {
            Poke::Heartbeat => "heartbeat",
            Poke::Lifecycle => "lifecycle",
        };
        let answer = self.http.post(&format!("/v1/poke?what={what}")).await;
        self.understood::<serde_json::Value>(answer).await.map(drop)
    }

    pub(super) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        self.understood(self.http.get(path).await).await
    }

    pub(super) async fn understood<T: DeserializeOwned>(
        &self,
        answer: Result<(StatusCode, Bytes), AskError>,
    ) -> Result<T, ClientError> {
        let (status, body) = match answer {
            Ok(answer) => answer,
            Err(error) => return Err(self.no_answer(error).await),
        };
        if status == StatusCode::OK {
            return serde_json::from_slice(&body).map_err(|error| {
                ClientError::Unresponsive(format!("the supervisor's answer cannot be read: {error}"))
            });
        }
        let refusal = serde_json::from_slice(&body).map(|it: Refusal| it.error);
        let why = refusal.unwrap_or_else(|_| String::from_utf8_lossy(&body).trim().to_owned());
        Err(match status {
            StatusCode::NOT_FOUND => ClientError::UnknownAgent(why),
            StatusCode::SERVICE_UNAVAILABLE => {
                ClientError::Unresponsive(format!("the supervisor is stuck: {why}"))
            }
            status => ClientError::Refused { status: status.as_u16(), why },
        })
    }

    /// The error for a missing answer: the lock shows whether a supervisor should have answered.
    async fn no_answer(&self, error: AskError) -> ClientError {
        match Disk.probe_lock(&self.paths.daemon_lock()).await {
            Ok(LockState::Free) => ClientError::NotRunning(self.paths.root().to_owned()),
            Ok(LockState::Held) => {
                let pid = pid::read(&self.paths.pid_file());
                if let Some(original) = pid.and_then(original::running_as) {
                    return ClientError::Unresponsive(original);
                }
                let who = pid.map_or("PID unknown".to_owned(), |pid| format!("PID {pid}"));
                let why = pid.and_then(standstill::of).unwrap_or_else(|| error.to_string());
                ClientError::Unresponsive(format!("running ({who}), but it does not answer: {why}"))
            }
            Err(unknown) => {
                ClientError::Unresponsive(format!("{error}; cannot tell whether it runs: {unknown}"))
            }
        }
    }
}

/// The characters that stay unescaped in a part of a path, including slashes, which are part of identities.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'_').remove(b'.');

pub(super) fn in_path(text: &str) -> PercentEncode<'_> {
    utf8_percent_encode(text, PLAIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_text_is_a_part_of_a_path() {
        for (text, path) in
            [("gastown/witness", "gastown/witness"), ("a b", "a%20b"), ("é?#%", "%C3%A9%3F%23%25"), ("", "")]
        {
            assert_eq!(in_path(text).to_string(), path);
        }
    }
}
