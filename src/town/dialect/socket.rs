//! The tmux socket of a 1.x town: the name of the server on which `gt` runs all its agents.
//!
//! Facts from gt 1.0.1 (`internal/session/registry.go`). A supervisor that uses another server finds none of the agents and
//! starts a second set. Pure.

use std::path::Path;

use sha2::{Digest, Sha256};

use crate::{
    terminal,
    town::settings::{self, Naming},
};

/// The name of the tmux socket that `gt` 1.x uses in this town: the one in `GT_TMUX_SOCKET`, else one derived from
/// the town's path.
pub fn socket_name(root: &Path, variable: Option<&str>) -> String {
    match settings::socket_of_variable(variable) {
        Some(name) => name.to_owned(),
        None => format!("{}-{}", base(root), hash(root)),
    }
}

/// The last component of the path, in lower case, with letters, digits and `-` only.
fn base(root: &Path) -> String {
    let name = root.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let mut base = String::new();
    let mut in_gap = false;
    for c in name.chars() {
        match allowed(c) {
            true => base.push(c),
            false if !in_gap => base.push('-'),
            false => {}
        }
        in_gap = !allowed(c);
    }
    let base = base.trim_matches('-');
    if base.is_empty() { "default".to_owned() } else { base.to_owned() }
}

/// The first six hexadecimal digits of the SHA-256 of the path, which must be without symbolic links.
fn hash(root: &Path) -> String {
    let digest = Sha256::digest(root.as_os_str().as_encoded_bytes());
    digest.iter().take(3).map(|byte| format!("{byte:02x}")).collect()
}

/// Why the supervisor must not run in this 1.x town with these settings: they name another server, or other names of
/// sessions, than `gt` uses. `None` when they do not.
///
/// The first part of the name depends on how the path was given to `gt`, so only the second part is compared.
pub fn contradiction(root: &Path, tmux: &settings::Tmux, variable: Option<&str>) -> Option<String> {
    let expected = socket_name(root, variable);
    let by_path =
        tmux.socket_path.as_deref().map(|path| path.file_name().unwrap_or_default().to_string_lossy());
    let by_name = tmux.socket_name.as_deref().map(Into::into);
    let is_the_towns = by_path
        .or(by_name)
        .is_none_or(|name| name == expected || name.ends_with(&format!("-{}", hash(root))));
    if is_the_towns && tmux.naming == Naming::Prefix {
        return None;
    }
    Some(format!(
        "{} is a town of Gas Town 1.x, where `gt` runs the agents on the tmux server {expected:?} in sessions named by prefix, \
         but settings/supervisor.json says otherwise: remove tmux.socket_path, tmux.socket_name and tmux.naming from it, or a \
         second set of agents would be started (if `gt` runs with GT_TMUX_SOCKET, set that for the supervisor, too)",
        terminal::path(root)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::town::settings::Tmux;

    #[test]
    fn names_are_those_of_gt() {
        // `printf %s <path> | sha256sum`
        for (root, variable, expected) in [
            ("/home/user/gt", None, "gt-c78608"),
            ("/home/user/gt", Some("auto"), "gt-c78608"),
            ("/home/user/gt", Some("mine"), "mine"),
            ("/srv/My Town_2", None, "my-town-2-"),
            ("/srv/--x--", None, "x-"),
            ("/srv/городок", None, "default-"),
            ("/", None, "default-"),
        ] {
            let name = socket_name(Path::new(root), variable);
            match expected.ends_with('-') {
                true => {
                    assert_eq!((name.starts_with(expected), name.len()), (true, expected.len() + 6), "{name}")
                }
                false => assert_eq!(name, expected, "{root}"),
            }
        }
    }

    #[test]
    fn what_is_refused() {
        let root = Path::new("/home/user/gt");
        let name = |name: &str| Tmux { socket_name: Some(name.into()), ..Tmux::default() };
        let path = |path: &str| Tmux { socket_path: Some(path.into()), ..Tmux::default() };
        let prefix = |tmux: Tmux| Tmux { naming: Naming::Prefix, ..tmux };
        for (case, tmux, variable, refused) in [
            ("the naming of January", Tmux::default(), None, true),
            ("only the naming", prefix(Tmux::default()), None, false),
            ("only the socket", name("gt-c78608"), None, true),
            ("both", prefix(name("gt-c78608")), None, false),
            ("both, and auto", prefix(name("gt-c78608")), Some("auto"), false),
            ("reached by a link of another name", prefix(name("town-c78608")), None, false),
            ("another town's", prefix(name("gt-c78609")), None, true),
            ("the default server", prefix(name("default")), None, true),
            ("by its path", prefix(path("/tmp/tmux-1000/gt-c78608")), None, false),
            ("another path", prefix(path("/tmp/tmux-1000/default")), None, true),
            ("by the variable", prefix(Tmux::default()), Some("mine"), false),
            ("beside the variable", prefix(name("yours")), Some("mine"), true),
            ("by the variable, naming missing", Tmux::default(), Some("mine"), true),
        ] {
            let why = contradiction(root, &tmux, variable);
            assert_eq!(why.is_some(), refused, "{case}: {why:?}");
        }
        let why = contradiction(root, &Tmux::default(), None).unwrap();
        assert!(
            why.contains("tmux server \"gt-c78608\"") && why.contains("remove tmux.socket_path"),
            "{why}"
        );
    }
}
