//! The client's part of going down: asks for it, and follows what becomes of each agent. It must not end anything itself.

use std::time::Duration;

use serde_json::Value;
use tokio::time::sleep;

use super::Taken;
use crate::{
    agent::requests::Outcome,
    clock::{Clock, SystemClock},
    control::{
        client::{Client, ClientError, in_path},
        http::Http,
        orders::Progress,
    },
    go_duration,
    service::running,
    town::files::{Disk, Files},
};

/// How long the request may take to be taken.
const TAKEN_WITHIN: Duration = Duration::from_secs(8);
/// The interval at which what became of it is asked.
const POLL: Duration = Duration::from_millis(100);
/// One was not ended, and the others that were asked are done for this long: no more follow.
const SETTLED: Duration = Duration::from_secs(2);

/// What became of one agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ended {
    /// The agent.
    pub identity: String,
    /// What became of it; `None`: it was not asked to end, because one that waits for it goes on.
    pub outcome: Option<Outcome>,
}

impl Client {
    /// Has all agents ended, and then the supervisor; `on` gets each agent as it ends, or cannot be ended. Returns whether the
    /// supervisor has ended; otherwise it goes on, as one of them does.
    ///
    /// # Errors
    /// When no supervisor took the request, or it was not done in time.
    pub(crate) async fn down(
        &self,
        patience: Duration,
        mut on: impl FnMut(&Ended),
    ) -> Result<bool, ClientError> {
        let clock = SystemClock::new();
        let until = clock.now().mono + patience;
        let answer = Http::new(self.paths.clone(), TAKEN_WITHIN).post("/v1/down").await;
        let Taken { agents: mut left } = self.understood(answer).await?;
        let (mut failed, mut lost, mut settled) = (false, false, None);
        loop {
            let mut in_progress = false;
            let mut waiting = Vec::new();
            for ending in std::mem::take(&mut left) {
                match self.get::<Progress>(&format!("/v1/requests/{}", ending.request)).await {
                    Ok(Progress { outcome: Some(outcome), .. }) => {
                        failed |= !outcome.ok;
                        settled = None;
                        on(&Ended { identity: ending.identity, outcome: Some(outcome) });
                        continue;
                    }
                    Ok(_) => in_progress = true,
                    // It is not asked to end yet, or the supervisor is about to end.
                    Err(ClientError::UnknownAgent(_) | ClientError::Unresponsive(_)) => {}
                    // It ends when all agents have.
                    Err(ClientError::NotRunning(_)) => {
                        let noted = self.left_behind(&ending.request).await;
                        lost |= noted.is_none();
                        let unknown = || Outcome::failed("unknown", "what became of it is not known");
                        let outcome = Some(noted.unwrap_or_else(unknown));
                        on(&Ended { identity: ending.identity, outcome });
                        continue;
                    }
                    Err(error) => return Err(error),
                }
                waiting.push(ending);
            }
            left = waiting;
            if lost && left.is_empty() {
                let why = "the supervisor ended before all agents had: `down` again says what still runs";
                return Err(ClientError::Unresponsive(why.to_owned()));
            }
            if failed && !in_progress {
                let now = clock.now();
                let since = *settled.get_or_insert(now);
                if left.is_empty() || now.since(since) >= SETTLED {
                    left.drain(..).for_each(|it| on(&Ended { identity: it.identity, outcome: None }));
                    return Ok(false);
                }
            }
            if left.is_empty() && self.is_gone().await {
                return Ok(true);
            }
            if clock.now().mono >= until {
                let limit = go_duration::short(patience);
                let what = match left.first() {
                    Some(ending) => format!("{} has not ended within {limit}", ending.identity),
                    None => format!("the supervisor has not ended within {limit}"),
                };
                return Err(ClientError::TimedOut(format!("{what}; it continues: see `status`")));
            }
            sleep(POLL).await;
        }
    }

    /// What became of a request of a supervisor that has ended, as that has noted it.
    async fn left_behind(&self, request: &str) -> Option<Outcome> {
        let noted = Disk.read(&self.paths.supervisor_dir().join("claims.json")).await.ok()?;
        let noted = serde_json::from_slice::<Value>(&noted).ok()?;
        serde_json::from_value(noted["requests"][request]["outcome"].clone()).ok()
    }

    /// Whether no supervisor runs any more.
    async fn is_gone(&self) -> bool {
        matches!(running::is_free(&self.paths).await, Ok(true))
    }

    /// Has the supervisor start an agent, and does not wait for it.
    ///
    /// # Errors
    /// When no supervisor took the order.
    pub(crate) async fn ask_start(&self, agent: &str) -> Result<(), ClientError> {
        let path = format!("/v1/agents/{}/start?now=true", in_path(agent));
        let answer = Http::new(self.paths.clone(), TAKEN_WITHIN).post(&path).await;
        self.understood::<Value>(answer).await.map(drop)
    }
}
