//! What a lifecycle message asks for. Pure.

use serde::{Deserialize, Serialize};

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// End it, if it runs, and start it afresh (`cycle`, `restart`).
    Restart,
    /// End it, if it runs, and leave it so (`shutdown`, `stop`).
    Stop,
}
