//! Identify: which agent a text from outside names, such as the sender of a mail.
//!
//! [`spelled`] parses it; where only the town's directories distinguish a crew member from a polecat, this module
//! checks them.

use std::path::Path;

use crate::{
    deps::Deps,
    terminal,
    town::identity::{
        Identity, RigName,
        spelling::{Spelling, spelled},
    },
};

/// Why a text could not be resolved to an agent.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
pub enum Unidentified {
    /// There is no such agent, or no such rig. The text is cut to 200 characters.
    #[error("{0:?} names no agent of this town")]
    Nobody(String),
    /// The directories could not be checked, and why; a later try may succeed.
    #[error("cannot tell which agent {text:?} names: {why}")]
    Unclear {
        /// The text, cut to 200 characters.
        text: String,
        /// The directory and the operating system's reason.
        why: String,
    },
}

/// The agent that `text` names, given the town's rigs. `<rig>/<name>` is the polecat of this name when it has a
/// directory (`<rig>/polecats/<name>`), else the crew member when that has one (`<rig>/crew/<name>`). A name with its
/// role is accepted whether or not there is a directory.
pub async fn identify(deps: &Deps, text: &str, rigs: &[RigName]) -> Result<Identity, Unidentified> {
    let cut = || text.chars().take(200).collect::<String>();
    let (rig, name) = match spelled(text, rigs) {
        Spelling::Agent(identity) => return Ok(identity),
        Spelling::Unknown => return Err(Unidentified::Nobody(cut())),
        Spelling::Member(rig, name) => (rig, name),
    };
    let there = async |directory: &Path| {
        deps.files.is_dir(directory).await.map_err(|error| Unidentified::Unclear {
            text: cut(),
            why: format!("{}: {error}", terminal::path(deps.paths.shown(directory))),
        })
    };
    if there(&deps.paths.polecats(&rig).join(name.as_str())).await? {
        return Ok(Identity::Polecat(rig, name));
    }
    if there(&deps.paths.crews(&rig).join(name.as_str())).await? {
        return Ok(Identity::Crew(rig, name));
    }
    Err(Unidentified::Nobody(cut()))
}
