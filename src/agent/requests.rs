//! Requests by mail: what was claimed and is not done yet, and what is done and still in the inbox.
//!
//! A request goes through four stages, each on disk before what follows from it is done: *noted* before its message is
//! deleted, *due* when it is to be carried out, *begun* with the session that is to end, *done* until its message is gone.
//! So it is carried out once, also when the message cannot be deleted, and when we are killed in between.

use serde::{Deserialize, Serialize};

use crate::{agent::confirmation::SessionKey, town::identity::Identity};

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

/// How a request is kept, by its message's id; its agent's [record](crate::agent::record) has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// For which agent.
    pub identity: Identity,
    /// What is asked for.
    pub action: Action,
    /// How far it is.
    pub stage: Stage,
    /// Earlier ones are carried out first.
    pub number: u64,
}

impl Claim {
    /// The request with this message's id.
    pub fn request(&self, id: &str) -> Request {
        Request { id: id.to_owned(), identity: self.identity.clone(), action: self.action }
    }

    /// Whether something is to be carried out.
    pub fn is_open(&self) -> bool {
        matches!(self.stage, Stage::Due | Stage::Begun { .. })
    }
}
