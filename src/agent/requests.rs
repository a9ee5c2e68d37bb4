//! The register of lifecycle requests: what was claimed and is not done yet, and what is done and still in the inbox.
//!
//! A request goes through four stages, each on disk before what follows from it is done: *noted* before its message is
//! deleted, *due* when it is to be carried out, *begun* with the session that is to end, *done* until its message is gone.
//! So it is carried out once, also when the message cannot be deleted, and when we are killed in between.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

use serde::{Deserialize, Serialize};

use crate::{
    agent::confirmation::SessionKey,
    ports::{Ports, persisted::Persisted},
    town::{identity::Identity, reading::FileProblem},
};

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// End it, if it runs, and start it again (`cycle`, `restart`).
    Restart,
    /// End it, if it runs, and leave it so (`shutdown`, `stop`).
    Stop,
}

/// One request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The message's id.
    pub id: String,
    /// For which agent.
    pub identity: Identity,
    /// What is asked for.
    pub action: Action,
}

/// How far a request is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// It was read, and nothing was done about it.
    Noted,
    /// It is ours and to be carried out.
    Due,
    /// It is being carried out.
    Begun {
        /// The session that is to end; `None` when there was none.
        session: Option<SessionKey>,
    },
    /// It was carried out; its message is still in the inbox, as far as is known.
    Done,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Claim {
    identity: Identity,
    action: Action,
    stage: Stage,
    /// Earlier ones are carried out first.
    number: u64,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Claims {
    /// By the message's id.
    requests: BTreeMap<String, Claim>,
}

/// The register, with its file `claims.json`; clones share it.
#[derive(Debug, Clone)]
pub struct Requests(Persisted<Claims>);

impl Requests {
    /// None, to be kept in this directory.
    pub fn new(directory: PathBuf) -> Self {
        Requests(Persisted::new(directory.join("claims.json")))
    }

    /// Takes over what the last supervisor left.
    pub async fn load(&self, ports: &Ports) {
        self.0.load(ports).await;
    }

    /// As [`Persisted::peek`]: for read-only callers.
    pub async fn peek(&self, ports: &Ports) -> (bool, Option<FileProblem>) {
        self.0.peek(ports).await
    }

    /// How far this message's request is; `None` when it was never noted, or is over.
    pub fn stage(&self, id: &str) -> Option<Stage> {
        self.0.value().requests.get(id).map(|claim| claim.stage.clone())
    }

    /// The requests that were noted and nothing else, in order.
    pub fn noted(&self) -> Vec<Request> {
        self.select(|claim| claim.stage == Stage::Noted)
    }

    /// The agents for which something is to be carried out.
    pub fn waiting(&self) -> BTreeSet<Identity> {
        self.select(is_open).into_iter().map(|request| request.identity).collect()
    }

    /// The first request for this agent that is due or begun, with its stage.
    pub fn next(&self, identity: &Identity) -> Option<(Request, Stage)> {
        let first = self.select(|claim| claim.identity == *identity && is_open(claim)).into_iter().next()?;
        let stage = self.stage(&first.id)?;
        Some((first, stage))
    }

    /// Whether more than one request for this agent is to be carried out.
    pub fn are_queued(&self, identity: &Identity) -> bool {
        self.select(|claim| claim.identity == *identity && is_open(claim)).len() > 1
    }

    /// Notes a request on disk, behind all that were noted before. An error: it is not noted, and must not be carried out.
    pub async fn note(&self, ports: &Ports, request: &Request) -> Result<(), String> {
        {
            let mut claims = self.0.value();
            let number = claims.requests.values().map(|claim| claim.number + 1).max().unwrap_or(0);
            let Request { identity, action, .. } = request.clone();
            claims
                .requests
                .insert(request.id.clone(), Claim { identity, action, stage: Stage::Noted, number });
        }
        let saved = self.0.save(ports).await;
        if saved.is_err() {
            self.0.value().requests.remove(&request.id);
        }
        saved
    }

    /// Moves to this stage, in memory; [`save`](Self::save) makes it durable.
    pub fn set(&self, id: &str, stage: Stage) {
        if let Some(claim) = self.0.value().requests.get_mut(id) {
            claim.stage = stage;
        }
    }

    /// Writes the file.
    pub async fn save(&self, ports: &Ports) -> Result<(), String> {
        self.0.save(ports).await
    }

    /// Moves to this stage, also on disk. A failed write is reported, and does not block it.
    pub async fn advance(&self, ports: &Ports, id: &str, stage: Stage) {
        self.set(id, stage);
        let _ = self.0.save(ports).await;
    }

    /// Forgets requests: their messages are gone, or they are not to be carried out.
    pub async fn forget(&self, ports: &Ports, which: impl Fn(&str, &Stage) -> bool) {
        let forgotten = {
            let mut claims = self.0.value();
            let before = claims.requests.len();
            claims.requests.retain(|id, claim| !which(id, &claim.stage));
            claims.requests.len() != before
        };
        if forgotten {
            let _ = self.0.save(ports).await;
        }
    }

    fn select(&self, which: impl Fn(&Claim) -> bool) -> Vec<Request> {
        let claims = self.0.value();
        let mut found: Vec<(u64, Request)> = claims
            .requests
            .iter()
            .filter(|(_, claim)| which(claim))
            .map(|(id, claim)| {
                let Claim { identity, action, number, .. } = claim.clone();
                (number, Request { id: id.clone(), identity, action })
            })
            .collect();
        found.sort_by_key(|(number, _)| *number);
        found.into_iter().map(|(_, request)| request).collect()
    }
}

fn is_open(claim: &Claim) -> bool {
    matches!(claim.stage, Stage::Due | Stage::Begun { .. })
}
