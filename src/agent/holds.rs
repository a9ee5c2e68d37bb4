//! Holds: an agent that was stopped on request stays stopped until somebody asks for it again.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::ledger::snapshot::Hook;

/// One agent that was stopped on request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// Since when it is held.
    pub since: Timestamp,
    /// Why, for people ("asked for by mail hq-5w2").
    pub why: String,
    /// For a polecat: the work on its hook since then; `None` while that is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hook: Option<Hook>,
}
