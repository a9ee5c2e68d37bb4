//! The dialect: which generation of Gas Town a town belongs to, and all that differs between them.
//!
//! *January* is Gas Town 0.2.6 to 0.3, *1.x* is gt 1.0 and later with bd 1.x and Dolt. What depends on the generation
//! asks [`Dialect::facts`], or is in this folder. The dialect is [recognised](recognise) once, when the supervisor starts: it stays
//! for the life of the process. This module must not read the disk.

pub mod recognise;
pub mod socket;

use std::{fmt, time::Duration};

use serde::{Deserialize, Serialize};

use super::settings::Naming;

/// The generation of Gas Town that a town belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub enum Dialect {
    /// Gas Town 0.2.6 to 0.3 with bd 0.47 to 0.50.
    #[default]
    #[serde(rename = "january")]
    January,
    /// Gas Town 1.x with bd 1.x and Dolt.
    #[serde(rename = "1.x")]
    V1,
}

/// What differs between the dialects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Facts {
    /// As the settings spell it.
    pub name: &'static str,
    /// How sessions are named.
    pub naming: Naming,
    /// Whether the town has a tmux server of its own, whose name [`socket`] derives from the town's path.
    pub has_own_server: bool,
    /// Whether `gt` starts the agents, as what an agent needs to start changes with each release of it.
    pub gt_starts_agents: bool,
    /// Whether the agent beads of all rigs are in the town's database; else each is in its rig's.
    pub agent_beads_in_town: bool,
    /// Whether the session names of a rig's agents begin with the prefix in `mayor/rigs.json`, whatever the routes say.
    pub session_prefix_of_rigs: bool,
    /// Whether Gas Town keeps a `<rig>/.runtime/<role>.json` for witness and refinery.
    pub has_state_files: bool,
    /// Whether a daemon keeps the mayor running.
    pub keeps_mayor: bool,
    /// Whether a refinery that does not run is started only when an event waits for it (`events/refinery/*.event`).
    pub starts_on_events: bool,
    /// The age of the deacon's heartbeat that is answered with a nudge, and the one that is answered with a restart.
    pub deacon_stale: [Duration; 2],
}

const JANUARY: Facts = Facts {
    name: "january",
    naming: Naming::Rig,
    has_own_server: false,
    gt_starts_agents: false,
    agent_beads_in_town: false,
    session_prefix_of_rigs: false,
    has_state_files: true,
    keeps_mayor: false,
    starts_on_events: false,
    deacon_stale: [Duration::from_mins(15), Duration::from_mins(30)],
};

const V1: Facts = Facts {
    name: "1.x",
    naming: Naming::Prefix,
    has_own_server: true,
    gt_starts_agents: true,
    agent_beads_in_town: true,
    session_prefix_of_rigs: true,
    has_state_files: false,
    keeps_mayor: true,
    starts_on_events: true,
    deacon_stale: [Duration::from_mins(5), Duration::from_mins(20)],
};

impl Dialect {
    /// All there are.
    pub const ALL: [Dialect; 2] = [Dialect::January, Dialect::V1];

    /// What differs.
    pub fn facts(self) -> &'static Facts {
        match self {
            Dialect::January => &JANUARY,
            Dialect::V1 => &V1,
        }
    }

    /// Whether it is 1.x.
    pub fn is_v1(self) -> bool {
        self == Dialect::V1
    }
}

impl fmt::Display for Dialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Dialect::January => "Gas Town 0.3",
            Dialect::V1 => "Gas Town 1.x",
        })
    }
}
