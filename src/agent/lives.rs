//! Lives: agents that were seen alive, and whose end is not accounted for yet; on disk.
//!
//! Only what was seen alive can die, whether this supervisor saw it or an earlier one. An end is accounted for once it is
//! about to be reported, or known to be meant by somebody: that is on disk first, so no supervisor reports it again. It
//! must not decide what follows from an end.

use std::{collections::BTreeMap, path::PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    confirmation::SessionKey,
    identity::{Identity, RigName},
};
use crate::{kept::Kept, ports::Ports, town::reading::FileProblem};

/// The register, with its file `lives.json`.
#[derive(Debug, Clone)]
pub struct Lives(Kept<Seen>);

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Seen {
    agents: BTreeMap<Identity, Life>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Life {
    /// The session it was last seen alive in.
    #[serde(flatten)]
    session: SessionKey,
    /// When it was seen; what is on disk may be older.
    seen: Timestamp,
}

impl Lives {
    /// None, to be kept in this directory.
    pub fn new(directory: PathBuf) -> Self {
        Lives(Kept::new(directory.join("lives.json")))
    }

    /// Takes over what the last supervisor left.
    pub async fn load(&self, ports: &Ports) {
        self.0.load(ports).await;
    }

    /// As [`Kept::peek`]: for those who only look.
    pub async fn peek(&self, ports: &Ports) -> (bool, Option<FileProblem>) {
        self.0.peek(ports).await
    }

    /// Whether this agent was seen alive, and its end is not accounted for.
    pub fn is_missed(&self, identity: &Identity) -> bool {
        self.0.value().agents.contains_key(identity)
    }

    /// When this agent was last seen alive, as far as is known.
    pub fn seen(&self, identity: &Identity) -> Option<Timestamp> {
        self.0.value().agents.get(identity).map(|life| life.seen)
    }

    /// It was seen alive in this session. Returns whether that is news, which [`save`](Self::save) makes last.
    pub fn lives(&self, identity: &Identity, session: &SessionKey, seen: Timestamp) -> bool {
        let life = Life { session: session.clone(), seen };
        let before = self.0.value().agents.insert(identity.clone(), life);
        let news = before.is_none_or(|before| before.session != *session);
        if news {
            self.0.was_changed();
        }
        news
    }

    /// What became of it is accounted for. Returns whether that is news, which [`save`](Self::save) makes last.
    pub fn is_accounted_for(&self, identity: &Identity) -> bool {
        let news = self.0.value().agents.remove(identity).is_some();
        if news {
            self.0.was_changed();
        }
        news
    }

    /// A rig is no longer supervised: what happens to its agents meanwhile is not ours to report later.
    pub fn forget_rig(&self, rig: &RigName) {
        self.0.value().agents.retain(|identity, _| identity.rig() != Some(rig));
        self.0.was_changed();
    }

    /// Writes the file unless all of it is on disk.
    pub async fn save(&self, ports: &Ports) -> Result<(), String> {
        self.0.save_changes(ports).await
    }
}
