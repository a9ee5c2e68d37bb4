//! Workplace: finds the directory an agent is started in, and creates it where that is our job.
//!
//! [`TownPaths`](crate::town::paths::TownPaths) lists the possible directories; this module finds which of them exists. A polecat's must be a git
//! worktree of its own: elsewhere its git would act on somebody else's repository. In a town of one file that file names it, and it is
//! never created.

use std::{
    io,
    path::{Path, PathBuf},
};

use super::{
    lifecycle::StartEnd,
    spec::AgentSpec,
    worktree::{NoWorktree, Worktree},
};
use crate::{
    agent::polecat::{roster, texts::NO_WORKTREE},
    deps::Deps,
    terminal,
    town::{
        dialect::roles,
        identity::{Identity, Role},
        standing::Standing,
    },
};

/// The directory (the role bead's, when that names one), or how the start ends without one. A question that could not
/// be answered is not the same as a "no".
pub async fn find(deps: &Deps, spec: &AgentSpec) -> Result<PathBuf, StartEnd> {
    let directory = directory(deps, spec).await?;
    if spec.identity.role() == Role::Polecat {
        match Worktree::open(deps, &directory).await {
            Ok(_) => {}
            Err(NoWorktree::NotItsOwn(why)) => return Err(StartEnd::Impossible(why)),
            Err(NoWorktree::Unknown(why)) => return Err(StartEnd::Unclear(why)),
        }
    }
    Ok(directory)
}

async fn directory(deps: &Deps, spec: &AgentSpec) -> Result<PathBuf, StartEnd> {
    let identity = &spec.identity;
    if !deps.dialect().is_gas_town() {
        let said = deps.standing(identity).ok_or_else(|| StartEnd::Unclear(NOT_SAID.to_owned()))?;
        return match missing(deps, &said).await {
            Ok(None) => Ok(said.dir.clone()),
            Ok(Some(why)) => Err(StartEnd::Impossible(why)),
            Err(why) => Err(StartEnd::Unclear(why)),
        };
    }
    let own = deps.starts.role_beads.of(identity, deps.paths.root());
    let in_files = deps.dialect().facts().roles_in_files;
    if let Some(directory) = own.work_dir {
        return match deps.files.is_dir(&directory).await {
            Ok(true) => Ok(directory),
            Ok(false) => Err(StartEnd::Impossible(format!(
                "its directory {} does not exist; {} {} names it ({})",
                terminal::path(directory),
                if in_files { "role file" } else { "role bead" },
                own.bead,
                if in_files { "session.work_dir" } else { "work_dir_pattern" },
            ))),
            Err(error) => Err(unclear(deps, &directory, &error)),
        };
    }
    if let Identity::Polecat(rig, name) = identity {
        return match roster::worktree(deps, rig, name).await {
            roster::Worktree::There(directory) => Ok(directory),
            roster::Worktree::Gone => {
                Err(without_worktree(deps, &deps.paths.own_directories(deps.dialect(), identity)).await)
            }
            roster::Worktree::Unknown(why) => Err(StartEnd::Unclear(why)),
        };
    }
    let candidates = deps.paths.work_directories(deps.dialect(), identity);
    for directory in &candidates {
        if identity.facts().creates_directory {
            return match deps.files.create_dir(directory).await {
                Ok(()) => Ok(directory.clone()),
                Err(error) => Err(StartEnd::Impossible(format!(
                    "its directory {} cannot be created: {error}",
                    terminal::path(directory)
                ))),
            };
        }
        match deps.files.is_dir(directory).await {
            Ok(true) => {
                note_fallback(deps, spec, directory);
                return Ok(directory.clone());
            }
            Ok(false) => {}
            Err(error) => return Err(unclear(deps, directory, &error)),
        }
    }
    let first = candidates.first().map(terminal::path).unwrap_or_default();
    Err(StartEnd::Impossible(format!("its directory {first} does not exist")))
}

/// Why an agent of a town of one file cannot be started of which that file says nothing any more.
pub const NOT_SAID: &str = "the file no longer has this agent";

/// Why an agent of a town of one file has no directory, if it has none, and what to do; an error when that could not be found out.
pub async fn missing(deps: &Deps, said: &Standing) -> Result<Option<String>, String> {
    match deps.files.is_dir(&said.dir).await {
        Ok(true) => Ok(None),
        Ok(false) => Ok(Some(format!(
            "its directory {} does not exist; create it, or correct dir in the file",
            terminal::path(&said.dir)
        ))),
        Err(error) => Err(format!("{}: {error}", terminal::path(&said.dir))),
    }
}

fn unclear(deps: &Deps, path: &Path, error: &io::Error) -> StartEnd {
    StartEnd::Unclear(format!("{}: {error}", terminal::path(deps.paths.shown(path))))
}

/// The end of a start for want of a worktree. A directory may exist all the same, without a repository.
async fn without_worktree(deps: &Deps, directories: &[PathBuf]) -> StartEnd {
    for directory in directories {
        match deps.files.is_dir(directory).await {
            Ok(true) => {
                let shown = terminal::path(deps.paths.shown(directory));
                return StartEnd::Impossible(format!("{NO_WORKTREE}: there is no .git in {shown}"));
            }
            Ok(false) => {}
            Err(error) => return unclear(deps, directory, &error),
        }
    }
    StartEnd::Impossible(NO_WORKTREE.to_owned())
}

/// The key of the problem of an agent that works elsewhere than in its own worktree.
const FALLBACK: &str = "worktree";

/// Its own worktree, when it may start in another directory for want of it. A polecat never may.
fn own_worktree(deps: &Deps, identity: &Identity) -> Option<PathBuf> {
    let shared = roles::of(deps.dialect(), identity.role()).shared_directories;
    let may_be_elsewhere = identity.facts().is_worktree && !shared.is_empty();
    may_be_elsewhere
        .then(|| deps.paths.own_directories(deps.dialect(), identity).into_iter().next())
        .flatten()
}

/// Notes a problem while the agent works in somebody else's clone.
fn note_fallback(deps: &Deps, spec: &AgentSpec, taken: &Path) {
    let key = spec.problem_key(FALLBACK);
    let Some(own) = own_worktree(deps, &spec.identity).filter(|own| *own != taken) else {
        deps.problems.clear(&key);
        return;
    };
    let (own, taken) = (terminal::path(deps.paths.shown(&own)), terminal::path(deps.paths.shown(taken)));
    deps.problems.report(
        key,
        format!("{}: its worktree {own} is missing; it is started in {taken} instead", spec.identity),
    );
}

/// Checks whether an agent that may have been started elsewhere has its own worktree again.
pub async fn find_own(deps: &Deps, spec: &AgentSpec) {
    if let Some(own) = own_worktree(deps, &spec.identity)
        && let Ok(true) = deps.files.is_dir(&own).await
    {
        deps.problems.clear(&spec.problem_key(FALLBACK));
    }
}
