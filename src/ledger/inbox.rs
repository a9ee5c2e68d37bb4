//! The deacon's inbox: reading it, and taking messages out of it (`gt mail`, Gas Town 0.2.6 to 0.3).
//!
//! It says what is there and judges nothing. What could not be read is an error, never an empty inbox.

use jiff::Timestamp;

use crate::deps::Deps;

/// One message.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Message {
    /// Its id (`hq-5w2`).
    pub id: String,
    /// Who sent it, as `gt` spells it (`mayor/`, `gastown/witness`, `overseer`).
    pub from: String,
    /// Its subject.
    pub subject: String,
    /// Its body.
    pub body: String,
    /// When it was sent; `None` also when the time cannot be read.
    pub sent: Option<Timestamp>,
    /// Whether it was read.
    pub read: bool,
}

/// What came of taking a message out of the inbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Removal {
    /// It is out.
    Done,
    /// There is no such message (any more): somebody else took it.
    NotFound,
    /// It could not be taken out, and why.
    Failed(String),
}

/// Reads the deacon's inbox, oldest message first.
pub async fn read(_deps: &Deps) -> Result<Vec<Message>, String> {
    Err("not built yet".to_owned())
}

/// Deletes a message.
pub async fn delete(_deps: &Deps, _id: &str) -> Removal {
    Removal::Failed("not built yet".to_owned())
}

/// Archives a message.
pub async fn archive(_deps: &Deps, _id: &str) -> Removal {
    Removal::Failed("not built yet".to_owned())
}
