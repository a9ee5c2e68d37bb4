//! Place: the directory an agent works in.
//!
//! The paths are spelled in [`TownPaths`]; here is which of them a role has. Which of the candidates exists is the caller's
//! question; nothing here looks at the disk.

use std::path::PathBuf;

use crate::town::{
    identity::{Identity, Role},
    paths::TownPaths,
};

/// The directories an agent may work in, never empty; the first that exists is taken.
pub fn candidates(identity: &Identity, town: &TownPaths) -> Vec<PathBuf> {
    match identity {
        Identity::Mayor => vec![town.root().to_owned()],
        Identity::Deacon => vec![town.deacon_dir()],
        Identity::Boot => vec![town.boot_dir()],
        Identity::Witness(rig) => town.witness_dirs(rig).into(),
        Identity::Refinery(rig) => town.refinery_dirs(rig).into(),
        Identity::Crew(rig, name) => vec![town.crew(rig, name)],
        Identity::Polecat(rig, name) => town.polecat_dirs(rig, name).into(),
    }
}

/// Whether the directory is created when it is missing. All others are worktrees or rigs, which only `gt` can make.
pub fn is_created(role: Role) -> bool {
    matches!(role, Role::Deacon | Role::Boot)
}

/// Whether the directory is a git worktree, brought up to date before a restart unless a role bead says otherwise.
pub fn is_worktree(role: Role) -> bool {
    matches!(role, Role::Refinery | Role::Crew | Role::Polecat)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_in_order() {
        let rig = || "r".parse().unwrap();
        let name = || "n".parse().unwrap();
        for (identity, expected, created, worktree) in [
            (Identity::Mayor, &["/t"][..], false, false),
            (Identity::Deacon, &["/t/deacon"], true, false),
            (Identity::Boot, &["/t/deacon/dogs/boot"], true, false),
            (Identity::Witness(rig()), &["/t/r/witness/rig", "/t/r/witness", "/t/r"], false, false),
            (Identity::Refinery(rig()), &["/t/r/refinery/rig", "/t/r/mayor/rig"], false, true),
            (Identity::Crew(rig(), name()), &["/t/r/crew/n"], false, true),
            (Identity::Polecat(rig(), name()), &["/t/r/polecats/n/r", "/t/r/polecats/n"], false, true),
        ] {
            let expected: Vec<PathBuf> = expected.iter().map(PathBuf::from).collect();
            assert_eq!(candidates(&identity, &TownPaths::new("/t")), expected, "{identity}");
            assert_eq!(is_created(identity.role()), created, "{identity}");
            assert_eq!(is_worktree(identity.role()), worktree, "{identity}");
        }
    }
}
