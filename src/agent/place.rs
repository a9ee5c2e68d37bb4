//! Place: the directory an agent works in.
//!
//! Layouts of Gas Town 0.2.6 to 0.3, the older ones after the newer. Which of the candidates exists is the caller's
//! question; nothing here looks at the disk.

use std::path::{Path, PathBuf};

use super::identity::{Identity, Role};

/// The directories an agent may work in, never empty; the first that exists is taken.
pub fn candidates(identity: &Identity, town: &Path) -> Vec<PathBuf> {
    let below = |parts: &[&str]| parts.iter().fold(town.to_owned(), |path, part| path.join(part));
    match identity {
        Identity::Mayor => vec![town.to_owned()],
        Identity::Deacon => vec![below(&["deacon"])],
        Identity::Boot => vec![below(&["deacon", "dogs", "boot"])],
        Identity::Witness(rig) => {
            let rig = rig.as_str();
            vec![below(&[rig, "witness", "rig"]), below(&[rig, "witness"]), below(&[rig])]
        }
        Identity::Refinery(rig) => {
            let rig = rig.as_str();
            vec![below(&[rig, "refinery", "rig"]), below(&[rig, "mayor", "rig"])]
        }
        Identity::Crew(rig, name) => vec![below(&[rig.as_str(), "crew", name.as_str()])],
        Identity::Polecat(rig, name) => {
            let (rig, name) = (rig.as_str(), name.as_str());
            vec![below(&[rig, "polecats", name, rig]), below(&[rig, "polecats", name])]
        }
    }
}

/// Whether the directory is created when it is missing. All others are worktrees or rigs, which only `gt` can make.
pub fn is_created(role: Role) -> bool {
    matches!(role, Role::Deacon | Role::Boot)
}

/// Whether the directory is a git worktree, brought up to date before a restart.
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
            assert_eq!(candidates(&identity, Path::new("/t")), expected, "{identity}");
            assert_eq!(is_created(identity.role()), created, "{identity}");
            assert_eq!(is_worktree(identity.role()), worktree, "{identity}");
        }
    }
}
