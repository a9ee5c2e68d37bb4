//! One issue of the ledger, from any source. Pure.

use jiff::Timestamp;

/// The fields of an issue that the supervisor uses. A field that was not printed is empty or `None`.
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
    /// The agent or person that works on it. A finished bead may still have one: it counts only with [`Bead::is_at_work`].
    pub assignee: Option<String>,
    /// When it was last changed; `None` also when the time cannot be read.
    pub updated_at: Option<Timestamp>,
    /// For an agent: the bead on its hook, from the column or else the description's line.
    pub hook_bead: Option<String>,
    /// For an agent: its state, from the column or else the description's line.
    pub agent_state: Option<String>,
}

impl Bead {
    /// Whether it is done: closed, or deleted (`tombstone`, 0.47 to 0.49).
    pub fn is_closed(&self) -> bool {
        matches!(self.status.as_str(), "closed" | "tombstone")
    }

    /// Whether its assignee has it on the hook, or works on it.
    pub fn is_at_work(&self) -> bool {
        matches!(self.status.as_str(), "hooked" | "in_progress")
    }

    /// Whether it describes an agent: since 0.47 by its type or, when `bd agent state` created it, by its label.
    pub fn is_agent(&self) -> bool {
        self.issue_type == "agent" || self.labels.iter().any(|label| label == "gt:agent")
    }
}
