//! Asking: the questions of our own commands — to the supervisor where one answers, to the files where none does.
//!
//! Who supervises a town is decided by its lock, never by a file. One that holds it and does not answer is said to be so
//! within two seconds. It must not start, stop or signal anything.

use std::time::Duration;

use hyper::{StatusCode, body::Bytes};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, PercentEncode, utf8_percent_encode};
use serde::{Deserialize, de::DeserializeOwned};

use super::{
    client::{AskError, Client},
    left_behind,
    report::{Explanation, StatusReport},
};
use crate::town::{
    files::{Files, LockState},
    original,
    paths::TownPaths,
    pid,
};

/// An answer comes within milliseconds, or not at all.
const PATIENCE: Duration = Duration::from_millis(1500);

/// Where an answer comes from.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer<T> {
    /// From the supervisor.
    Supervisor(T),
    /// From the files: somebody holds the town's lock and does not answer, and how that shows.
    Silent(T, String),
    /// From the files: nobody supervises the town.
    Nobody(T),
}

/// Why something could not be told or asked.
#[derive(Debug, thiserror::Error)]
pub enum Unanswered {
    /// Nobody supervises the town.
    #[error("not running: nobody supervises {0}")]
    NotRunning(String),
    /// Somebody does, and does not answer.
    #[error("{0}")]
    Silent(String),
    /// There is no such agent.
    #[error("{0}")]
    UnknownAgent(String),
    /// The supervisor would not.
    #[error("the supervisor answered {status}: {why}")]
    Refused {
        /// What it answered.
        status: StatusCode,
        /// Why, in its words.
        why: String,
    },
}

/// Which heartbeat or reading is to be made at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Poke {
    /// A heartbeat.
    Heartbeat,
    /// The deacon's inbox is read for requests.
    Lifecycle,
}

/// Asks about one town.
pub struct Asking<'a> {
    paths: TownPaths,
    files: &'a dyn Files,
    client: Client,
}

#[derive(Deserialize)]
struct Refusal {
    error: String,
}

#[derive(Deserialize)]
struct Cleared {
    cleared: Vec<String>,
}

impl<'a> Asking<'a> {
    /// About the town with these paths.
    pub fn new(paths: TownPaths, files: &'a dyn Files) -> Self {
        let client = Client::new(paths.clone(), PATIENCE);
        Asking { paths, files, client }
    }

    /// How the town is.
    pub async fn status(&self) -> Answer<StatusReport> {
        match self.get("/v1/status").await {
            Ok(report) => Answer::Supervisor(report),
            Err(Unanswered::NotRunning(_)) => {
                Answer::Nobody(left_behind::report(self.files, &self.paths).await)
            }
            Err(silent) => {
                let mut report = left_behind::report(self.files, &self.paths).await;
                report.running = true;
                report.pid = pid::read(&self.paths.pid_file()).or(report.pid);
                report.problems.insert("control/silent".to_owned(), silent.to_string());
                Answer::Silent(report, silent.to_string())
            }
        }
    }

    /// What is known of one agent, in any spelling.
    pub async fn explain(&self, agent: &str) -> Result<Answer<Explanation>, Unanswered> {
        let left = || left_behind::explanation(self.files, &self.paths, agent);
        match self.get(&format!("/v1/agents/{}", in_path(agent))).await {
            Ok(explanation) => Ok(Answer::Supervisor(explanation)),
            Err(Unanswered::NotRunning(_)) => match left().await {
                Ok(explanation) => Ok(Answer::Nobody(explanation)),
                Err(unknown) => Err(Unanswered::UnknownAgent(unknown.to_string())),
            },
            Err(Unanswered::Silent(why)) => match left().await {
                Ok(explanation) => Ok(Answer::Silent(explanation, why)),
                // It may be known to the one that does not answer.
                Err(_) => Err(Unanswered::Silent(why)),
            },
            Err(error) => Err(error),
        }
    }

    /// Ends whatever keeps an agent, or all, from being started at once. Those for which there was something.
    pub async fn clear_backoff(&self, agent: Option<&str>) -> Result<Vec<String>, Unanswered> {
        let path = match agent {
            Some(agent) => format!("/v1/agents/{}/clear-backoff", in_path(agent)),
            None => "/v1/clear-backoff".to_owned(),
        };
        let answer: Cleared = self.understood(self.client.post(&path).await).await?;
        Ok(answer.cleared)
    }

    /// Has something done at once that is done from time to time.
    pub async fn poke(&self, what: Poke) -> Result<(), Unanswered> {
        let what = match what {
            Poke::Heartbeat => "heartbeat",
            Poke::Lifecycle => "lifecycle",
        };
        let answer = self.client.post(&format!("/v1/poke?what={what}")).await;
        self.understood::<serde_json::Value>(answer).await.map(drop)
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Unanswered> {
        self.understood(self.client.get(path).await).await
    }

    async fn understood<T: DeserializeOwned>(
        &self,
        answer: Result<(StatusCode, Bytes), AskError>,
    ) -> Result<T, Unanswered> {
        let (status, body) = match answer {
            Ok(answer) => answer,
            Err(error) => return Err(self.no_answer(error).await),
        };
        if status == StatusCode::OK {
            return serde_json::from_slice(&body).map_err(|error| {
                Unanswered::Silent(format!("the supervisor's answer cannot be read: {error}"))
            });
        }
        let refusal = serde_json::from_slice(&body).map(|it: Refusal| it.error);
        let why = refusal.unwrap_or_else(|_| String::from_utf8_lossy(&body).trim().to_owned());
        Err(match status {
            StatusCode::NOT_FOUND => Unanswered::UnknownAgent(why),
            StatusCode::SERVICE_UNAVAILABLE => Unanswered::Silent(format!("the supervisor is stuck: {why}")),
            status => Unanswered::Refused { status, why },
        })
    }

    /// The lock says whether anybody should have answered.
    async fn no_answer(&self, error: AskError) -> Unanswered {
        match self.files.probe_lock(&self.paths.daemon_lock()).await {
            Ok(LockState::Free) => Unanswered::NotRunning(self.paths.root().display().to_string()),
            Ok(LockState::Held) => {
                let pid = pid::read(&self.paths.pid_file());
                if let Some(original) = pid.and_then(original::running_as) {
                    return Unanswered::Silent(original);
                }
                let who = pid.map_or("PID unknown".to_owned(), |pid| format!("PID {pid}"));
                Unanswered::Silent(format!("running ({who}), but there is no answer: {error}"))
            }
            Err(unknown) => Unanswered::Silent(format!("{error}; whether it runs is not known: {unknown}")),
        }
    }
}

/// What stays as it is in a part of a path; slashes do, for they are a part of identities.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'_').remove(b'.');

fn in_path(text: &str) -> PercentEncode<'_> {
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
