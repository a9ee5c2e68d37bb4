//! Workplace: finds the directory an agent is started in, and makes it where that is ours to do.
//!
//! [`place`] says which directories may be meant; here is which of them exists.

use std::path::{Path, PathBuf};

use super::{identity::Identity, lifecycle::StartEnd, place};
use crate::{
    deps::Deps,
    polecat::{
        roster::{self, Worktree},
        texts::NO_WORKTREE,
    },
};

/// The directory — the role bead's, where that names one — or how the start ends without one: a question that could not be
/// answered is not the same as an answer.
pub async fn find(deps: &Deps, identity: &Identity) -> Result<PathBuf, StartEnd> {
    let unclear = |path: &Path, error: std::io::Error| {
        StartEnd::Unclear(format!("{}: {error}", deps.paths.shown(path).display()))
    };
    let own = deps.role_beads.of(identity, deps.paths.root());
    if let Some(directory) = own.work_dir {
        return match deps.files.is_dir(&directory).await {
            Ok(true) => Ok(directory),
            Ok(false) => Err(StartEnd::Impossible(format!(
                "its directory {} does not exist; role bead {} names it (work_dir_pattern)",
                directory.display(),
                own.bead
            ))),
            Err(error) => Err(unclear(&directory, error)),
        };
    }
    if let Identity::Polecat(rig, name) = identity {
        return match roster::worktree(deps, rig, name).await {
            Worktree::There(directory) => Ok(directory),
            Worktree::Gone => Err(StartEnd::Impossible(NO_WORKTREE.to_owned())),
            Worktree::Unknown(why) => Err(StartEnd::Unclear(why)),
        };
    }
    let candidates = place::candidates(identity, &deps.paths);
    for directory in &candidates {
        if place::is_created(identity.role()) {
            return match deps.files.create_dir(directory).await {
                Ok(()) => Ok(directory.clone()),
                Err(error) => Err(StartEnd::Impossible(format!(
                    "its directory {} cannot be created: {error}",
                    directory.display()
                ))),
            };
        }
        match deps.files.is_dir(directory).await {
            Ok(true) => return Ok(directory.clone()),
            Ok(false) => {}
            Err(error) => return Err(unclear(directory, error)),
        }
    }
    let first = candidates.first().map(|path| path.display().to_string()).unwrap_or_default();
    Err(StartEnd::Impossible(format!("its directory {first} does not exist")))
}
