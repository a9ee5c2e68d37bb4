//! Amounts of memory in the settings. Pure.

use std::{collections::BTreeMap, fmt};

use crate::{bytes, town::identity::Role};

/// An amount of memory.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Amount {
    /// This many bytes.
    Bytes(u64),
    /// This share of all there is, above 0 and up to 100.
    Percent(f64),
}

impl Amount {
    /// Reads `2GiB`, `512M` or `5%`.
    pub fn parse(text: &str) -> Option<Self> {
        match text.trim().strip_suffix('%') {
            Some(share) => {
                let share: f64 = share.trim().parse().ok()?;
                (share > 0.0 && share <= 100.0).then_some(Amount::Percent(share))
            }
            None => bytes::parse(text).map(Amount::Bytes),
        }
    }

    /// In bytes, where this is all there is.
    pub fn of(self, total: u64) -> u64 {
        match self {
            Amount::Bytes(bytes) => bytes,
            Amount::Percent(share) => (total as f64 * share / 100.0) as u64,
        }
    }
}

/// As systemd takes it.
impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Amount::Bytes(bytes) => bytes.fmt(f),
            Amount::Percent(share) => write!(f, "{share}%"),
        }
    }
}

/// `start.memory.max`: the most memory of an agent.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct MemoryMax {
    /// For agents whose role has no amount of its own; `None`: no limit.
    pub all: Option<Amount>,
    /// For agents of these roles.
    pub by_role: BTreeMap<Role, Option<Amount>>,
}

impl MemoryMax {
    /// The most for agents of this role; `None`: no limit.
    pub fn of(&self, role: Role) -> Option<Amount> {
        self.by_role.get(&role).copied().unwrap_or(self.all)
    }

    /// Whether any agent has a limit.
    pub fn is_set(&self) -> bool {
        self.all.is_some() || self.by_role.values().any(Option::is_some)
    }
}
