//! Identify: who is meant by a text somebody else wrote, such as the sender of a mail.
//!
//! [`spelled`] reads it; where only the town's directories can tell a crew member from a polecat, they are looked at here.

use std::path::Path;

use crate::{
    deps::Deps,
    terminal,
    town::identity::{
        Identity, RigName,
        spelling::{Spelling, spelled},
    },
};

/// Why it is not known who is meant.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
pub enum Unidentified {
    /// Nobody: there is no such agent, or no such rig. The text is cut to 200 characters.
    #[error("{0:?} names no agent of this town")]
    Nobody(String),
    /// The directories could not be looked at, and why; it may be known later.
    #[error("cannot tell which agent {text:?} names: {why}")]
    Unclear {
        /// The text, cut to 200 characters.
        text: String,
        /// The directory and the operating system's reason.
        why: String,
    },
}

/// Who is meant by `text`, given the town's rigs. `<rig>/<name>` is the polecat of this name where it has a directory
/// (`<rig>/polecats/<name>`), else the crew member where that has one (`<rig>/crew/<name>`). Who is named with his role is
/// taken at his word, whether there is a directory or not.
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
