//! One issue of the ledger, however it was read. Pure.

use jiff::Timestamp;

/// One issue, as far as it is of interest. What was not printed is empty or `None`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Bead {
    /// Its id.
    pub id: String,
    /// `open`, `hooked`, `in_progress`, `closed` and others.
    pub status: String,
    /// `task`, `agent`, `convoy` and others.
    pub issue_type: String,
    /// Its labels.
    pub labels: Vec<String>,
    /// Its description.
    pub description: String,
    /// Who works on it. A finished bead may keep it: a hook is never taken from here.
    pub assignee: Option<String>,
    /// When it was last changed; `None` also when the time cannot be read.
    pub updated_at: Option<Timestamp>,
    /// Of an agent: the bead on its hook, by the column or else the description's line.
    pub hook_bead: Option<String>,
    /// Of an agent: its state, by the column or else the description's line.
    pub agent_state: Option<String>,
}

impl Bead {
    /// Whether nothing is to be done about it any more: closed, or deleted (`tombstone`, 0.47 to 0.49).
    pub fn is_closed(&self) -> bool {
        matches!(self.status.as_str(), "closed" | "tombstone")
    }

    /// Whether it stands for an agent: since 0.47 by its type or, when `bd agent state` made it, by its label.
    pub fn is_agent(&self) -> bool {
        self.issue_type == "agent" || self.labels.iter().any(|label| label == "gt:agent")
    }
}
