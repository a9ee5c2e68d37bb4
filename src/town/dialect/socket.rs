//! The tmux socket of a 1.x town: the name of the server on which `gt` runs all its agents; and that of a town of one file.
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

/// The name of the tmux socket of a town that is this file, whose path must be without symbolic links: each file has its own.
pub fn of_file(file: &Path) -> String {
    let directory = file.parent().map_or_else(|| "default".to_owned(), base);
    format!("{directory}-{}", hash(file))
}

/// The name of the town's server among these sockets in tmux's directory. The first part of the name depends on how the path
/// was given to `gt`, which may have been a symbolic link: where none has the name by the town's real path, the only one
/// with its second part is the town's. An error names several.
pub fn among(root: &Path, sockets: &[String]) -> Result<String, Vec<String>> {
    let own = socket_name(root, None);
    let mut others = sockets.iter().filter(|name| has_hash(root, name)).cloned();
    match (sockets.contains(&own), others.next(), others.next()) {
        (false, Some(only), None) => Ok(only),
        (false, Some(first), Some(second)) => Err([first, second].into_iter().chain(others).collect()),
        _ => Ok(own),
    }
}

/// Whether `gt` may have run agents of this town on the server of this name: its own under any path, `default`, or the one that
/// it used before it had one for each town.
pub fn is_candidate(root: &Path, name: &str) -> bool {
    name == "default" || name == base(root) || has_hash(root, name)
}

/// Whether the second part of the name is that of this town.
pub fn has_hash(root: &Path, name: &str) -> bool {
    name.ends_with(&format!("-{}", hash(root)))
}

/// Why no server can be chosen between these.
pub fn undecided(root: &Path, sockets: &[String]) -> String {
    format!(
        "{} has several tmux servers: {}; `gt` uses one of them, depending on how the town's path was given to it: end the others \
         with `tmux -L <name> kill-server`, remove the sockets on which no server runs, or set tmux.socket_name in \
         settings/supervisor.json",
        terminal::path(root),
        sockets.join(", ")
    )
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
    // The path beats the name.
    let by = if by_path.is_some() { "tmux.socket_path" } else { "tmux.socket_name" };
    let is_other_server = by_path.or(by_name).is_some_and(|name| name != expected && !has_hash(root, &name));
    let server = is_other_server.then_some((by, format!("runs the agents on the tmux server {expected:?}")));
    let other_names = tmux.naming != Naming::Prefix;
    let names = other_names.then_some(("tmux.naming", "names its sessions by prefix".to_owned()));
    let wrong: Vec<(&str, String)> = server.into_iter().chain(names).collect();
    let (keys, does): (Vec<&str>, Vec<String>) = wrong.into_iter().unzip();
    let variable = match is_other_server {
        true => "; if `gt` runs with GT_TMUX_SOCKET, set that for the supervisor, too",
        false => "",
    };
    (!keys.is_empty()).then(|| {
        format!(
            "{} in settings/supervisor.json would start a second set of agents: {} is a town of Gas Town 1.x, where `gt` {}; \
             remove {}{variable}",
            keys.join(" and "),
            terminal::path(root),
            does.join(" and "),
            if keys.len() == 1 { "it" } else { "them" },
        )
    })
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
    fn each_file_has_its_own() {
        let name = |file: &str| of_file(Path::new(file));
        let (one, other) = (name("/home/user/gt/agents.toml"), name("/home/user/gt/other.toml"));
        assert!(one.starts_with("gt-") && other.starts_with("gt-") && one != other, "{one} {other}");
        assert_ne!(one, socket_name(Path::new("/home/user/gt"), None), "not that of a Gas Town there");
        assert!(name("/agents.toml").starts_with("default-"));
    }

    #[test]
    fn the_server_among_those_that_are_there() {
        let root = Path::new("/home/user/gt");
        let own = Ok("gt-c78608");
        let grid: [(&str, &[&str], Result<&str, &[&str]>); 7] = [
            ("none", &[], own),
            ("its own", &["default", "gt-c78608"], own),
            ("others'", &["default", "gt", "gt-c78609"], own),
            ("by a link", &["default", "town-c78608"], Ok("town-c78608")),
            ("its own beside one by a link", &["gt-c78608", "town-c78608"], own),
            ("two by links", &["my-c78608", "town-c78608", "x"], Err(&["my-c78608", "town-c78608"])),
            (
                "three by links",
                &["a-c78608", "b-c78608", "c-c78608"],
                Err(&["a-c78608", "b-c78608", "c-c78608"]),
            ),
        ];
        for (case, there, expected) in grid {
            let there: Vec<String> = there.iter().map(|&name| name.to_owned()).collect();
            let found = among(root, &there);
            match expected {
                Ok(name) => assert_eq!(found, Ok(name.to_owned()), "{case}"),
                Err(names) => {
                    let several = found.unwrap_err();
                    assert_eq!(several, names, "{case}");
                    assert!(undecided(root, &several).contains(&names.join(", ")), "{case}");
                }
            }
        }
        for (name, candidate) in [
            ("default", true),
            ("gt", true),
            ("gt-c78608", true),
            ("x-c78608", true),
            ("gtx", false),
            ("gt-c78609", false),
        ] {
            assert_eq!(is_candidate(root, name), candidate, "{name}");
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
            why.starts_with("tmux.naming in settings/supervisor.json would")
                && why.ends_with("prefix; remove it"),
            "{why}"
        );
        let why = contradiction(root, &prefix(name("default")), None).unwrap();
        assert!(why.starts_with("tmux.socket_name in ") && !why.contains("naming"), "{why}");
        assert!(why.contains("on the tmux server \"gt-c78608\"; remove it; if `gt` runs"), "{why}");
        let why = contradiction(root, &path("/tmp/tmux-1000/default"), None).unwrap();
        assert!(
            why.starts_with("tmux.socket_path and tmux.naming in ") && why.contains("; remove them; "),
            "{why}"
        );
    }
}
