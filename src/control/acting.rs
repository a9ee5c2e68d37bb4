//! Acting: has a supervisor restart, stop or start one agent, and waits for what becomes of it. The client's side of `orders`.
//!
//! It reports what happened, and not what was asked for. It must not start or end anything itself.

use std::time::Duration;

use hyper::StatusCode;
use serde::Deserialize;
use tokio::time::{sleep, timeout};

use super::{
    client::{Client, ClientError, in_path},
    http::Http,
    nudging,
    orders::Progress,
};
use crate::{
    agent::requests::{Action, Outcome},
    go_duration,
};

/// How long an order may take to be taken: the agent's screen is read, and the order is written to disk.
const TAKEN_WITHIN: Duration = Duration::from_secs(8);
/// How long a text for an agent may take to be typed, or refused.
const NUDGED_WITHIN: Duration = Duration::from_secs(30);
/// The interval at which the outcome of a request is asked for.
const POLL: Duration = Duration::from_millis(100);
/// Progress is reported after this many polls.
const QUIET: u32 = 10;
/// The interval at which an agent that was not idle is asked for again.
const IDLE_POLL: Duration = Duration::from_millis(500);

/// What is asked for, and how.
#[derive(Debug, Clone)]
pub(crate) struct Order {
    /// What is asked for.
    pub action: Action,
    /// End it also when it is not idle.
    pub now: bool,
    /// For a stop: how long it is held.
    pub time: Option<Duration>,
    /// How long to wait for it all.
    pub patience: Duration,
}

/// What became of an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Acted {
    /// The agent.
    pub identity: String,
    /// What became of it.
    pub outcome: Outcome,
}

/// Where an order is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum At {
    /// The agent is not idle, and what it is doing.
    Busy(String),
    /// It is being carried out; the agent's state and why.
    Progress(String),
}

#[derive(Deserialize)]
struct Noted {
    request: String,
}

#[derive(Deserialize)]
struct Refused {
    error: String,
    code: String,
    identity: String,
}

impl Client {
    /// Carries out an order for one agent; `at` gets where it is whenever that changes. What cannot be done is an outcome.
    ///
    /// # Errors
    /// When no supervisor took the order, or when it did not say in time what became of it.
    pub(crate) async fn act(
        &self,
        agent: &str,
        order: &Order,
        mut at: impl FnMut(&At),
    ) -> Result<Acted, ClientError> {
        let (mut last, mut noted) = (None, false);
        // From the first answer on, the agent that is meant stays the same, whatever its short name means later.
        let mut agent = agent.to_owned();
        let acting = async {
            let mut see = |now: At| {
                if last.as_ref() != Some(&now) {
                    at(&now);
                    last = Some(now);
                }
            };
            loop {
                let request = match self.order(&agent, order).await? {
                    Ok(request) => request,
                    Err(Refused { error, code, identity }) if code == "busy" => {
                        see(At::Busy(error));
                        agent = identity;
                        sleep(IDLE_POLL).await;
                        continue;
                    }
                    Err(Refused { error, code, identity }) => {
                        return Ok(Acted { identity, outcome: Outcome::failed(&code, error) });
                    }
                };
                noted = true;
                let acted = self.followed(&request, &mut see).await?;
                if acted.outcome.code != "busy" {
                    return Ok(acted);
                }
                // It began to work in between: nothing was done.
                (noted, agent) = (false, acted.identity);
                sleep(IDLE_POLL).await;
            }
        };
        let acted = timeout(order.patience, acting).await;
        acted.unwrap_or_else(|_| Err(ClientError::TimedOut(too_late(order.patience, last.as_ref(), noted))))
    }

    /// Gives the order; returns the id of its request.
    async fn order(&self, agent: &str, order: &Order) -> Result<Result<String, Refused>, ClientError> {
        let word = order.action.command();
        let time = order.time.map(|time| format!("&for={}", go_duration::format(time))).unwrap_or_default();
        let path = format!("/v1/agents/{}/{word}?now={}{time}", in_path(agent), order.now);
        let answer = Http::new(self.paths.clone(), TAKEN_WITHIN).post(&path).await;
        if let Ok((StatusCode::CONFLICT, body)) = &answer
            && let Ok(refused) = serde_json::from_slice(body)
        {
            return Ok(Err(refused));
        }
        Ok(Ok(self.understood::<Noted>(answer).await?.request))
    }

    /// Waits for what becomes of a request.
    async fn followed(&self, request: &str, see: &mut impl FnMut(At)) -> Result<Acted, ClientError> {
        for polls in 0_u32.. {
            let Progress { identity, outcome, agent } = self.get(&format!("/v1/requests/{request}")).await?;
            if let Some(outcome) = outcome {
                return Ok(Acted { identity, outcome });
            }
            if polls > QUIET
                && let Some(agent) = agent
                && let Some(why) = agent.reason
            {
                see(At::Progress(format!("{}: {why}", agent.state)));
            }
            sleep(POLL).await;
        }
        Err(ClientError::TimedOut("it took too long".to_owned()))
    }
}

impl Client {
    /// Has a text typed into an agent. What cannot be done is an outcome.
    ///
    /// # Errors
    /// When no supervisor answered, or the agent is unknown.
    pub(crate) async fn nudge(&self, agent: &str, text: String, now: bool) -> Result<Acted, ClientError> {
        let path = format!("/v1/agents/{}{}", in_path(agent), nudging::NUDGE);
        let body = serde_json::to_vec(&nudging::NudgeRequest { text, now });
        let body =
            body.map_err(|error| ClientError::Unresponsive(format!("the text cannot be written: {error}")))?;
        let answer = Http::new(self.paths.clone(), NUDGED_WITHIN).post_json(&path, body).await;
        if let Ok((StatusCode::CONFLICT, body)) = &answer
            && let Ok(Refused { error, code, identity }) = serde_json::from_slice(body)
        {
            return Ok(Acted { identity, outcome: Outcome::failed(&code, error) });
        }
        let nudging::NudgeReply { identity, outcome } = self.understood(answer).await?;
        Ok(Acted { identity, outcome })
    }
}

fn too_late(patience: Duration, last: Option<&At>, noted: bool) -> String {
    let limit = go_duration::short(patience);
    match (last, noted) {
        (Some(At::Busy(why)), false) => {
            format!("not idle within {limit}: {why}; nothing was done (`--now` does not wait)")
        }
        (Some(At::Progress(why)), true) => {
            format!("not done within {limit} ({why}); the supervisor continues: see `explain`")
        }
        (_, true) => format!("not done within {limit}; the supervisor continues: see `explain`"),
        (_, false) => format!("no answer within {limit}; it may have been taken all the same: see `explain`"),
    }
}
