//! Holds: an agent that was stopped on request stays stopped until somebody asks for it again.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::ledger::snapshot::Hook;

/// One agent that was stopped on request, by mail or by `stop <agent>`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// Since when it is held.
    pub since: Timestamp,
    /// Why, for people ("stop requested (mail hq-5w2)").
    pub why: String,
    /// The user whose command stopped it; `None` for a mail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// When it ends by itself; `None` when somebody has to ask for the agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// Whether it was ended with the whole town (`down`): then the next supervisor starts it again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub down: bool,
    /// For a polecat: the work on its hook since then; `None` while that is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hook: Option<Hook>,
}

impl Hold {
    /// Whether other work of a polecat ends it: that it was stopped by mail was about the work that it had.
    pub fn is_about_its_work(&self) -> bool {
        self.by.is_none()
    }
}
