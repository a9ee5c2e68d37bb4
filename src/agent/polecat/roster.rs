//! Which polecats a rig has, and whether one has a worktree: by the directories `gt` created for them (0.2.6 to 0.3).
//!
//! It reads directories and reports. A directory that cannot be read is unknown, never missing.

use std::{
    io,
    path::{Path, PathBuf},
};

use crate::{
    ports::Ports,
    terminal,
    town::identity::{AgentName, Identity, RigName},
};

/// The polecats of a rig: the directories in `<rig>/polecats/` whose name does not begin with `.`, in order of their
/// names; none when `polecats/` is missing. Names that cannot be used are skipped, and reported once while they
/// exist. An error when the list is not known.
pub async fn list(ports: &Ports, rig: &RigName) -> Result<Vec<AgentName>, String> {
    names(ports, &ports.paths.polecats(rig), &format!("rig/{rig}/polecats/names")).await
}

/// The crew of a rig, by the directories in `<rig>/crew/` in the same way: no polecat may have the name of one of
/// their sessions.
pub async fn crew(ports: &Ports, rig: &RigName) -> Result<Vec<AgentName>, String> {
    names(ports, &ports.paths.crews(rig), &format!("rig/{rig}/crew/names")).await
}

async fn names(ports: &Ports, directory: &Path, problem: &str) -> Result<Vec<AgentName>, String> {
    let failed =
        |path: &Path, error: io::Error| format!("{}: {error}", terminal::path(ports.paths.shown(path)));
    let entries = match ports.files.list(directory).await {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(failed(directory, error)),
    };
    let shown = terminal::path(ports.paths.shown(directory));
    let (mut good, mut bad) = (Vec::new(), Vec::new());
    for entry in entries.into_iter().filter(|entry| !entry.starts_with('.')) {
        let path = directory.join(&entry);
        match (entry.parse::<AgentName>(), ports.files.is_dir(&path).await) {
            (_, Ok(false)) => {}
            (Ok(name), Ok(true)) => good.push(name),
            (Err(why), Ok(true)) => bad.push(format!("{shown}: {why}; not supervised, rename it")),
            (_, Err(error)) => return Err(failed(&path, error)),
        }
    }
    ports.problems.report_all(problem, &bad);
    Ok(good)
}

/// Whether a polecat has a directory to work in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Worktree {
    /// It has this one.
    There(PathBuf),
    /// It has none.
    Gone,
    /// The directory could not be read, and why.
    Unknown(String),
}

/// Finds a polecat's worktree: `<rig>/polecats/<name>/<rig>`, or else `<rig>/polecats/<name>` when that is one, as
/// before 0.2. A directory without a `.git` does not count: git would act on the repository around it. Such a
/// directory also exists when the worktree in it was just removed (`gt polecat nuke` needs 10 ms for the rest).
pub async fn worktree(ports: &Ports, rig: &RigName, name: &AgentName) -> Worktree {
    for directory in
        ports.paths.own_directories(ports.dialect(), &Identity::Polecat(rig.clone(), name.clone()))
    {
        let git = directory.join(".git");
        match ports.files.exists(&git).await {
            Ok(true) => return Worktree::There(directory),
            Ok(false) => {}
            Err(error) => {
                return Worktree::Unknown(format!("{}: {error}", terminal::path(ports.paths.shown(&git))));
            }
        }
    }
    Worktree::Gone
}
