//! Gas Town 1.x: how such a town is recognised, and which settings the supervisor needs there.
//!
//! In a 1.x town `gt` runs all agents on a tmux server of the town's own, in sessions named by the prefixes of the
//! rigs (gt 1.0.1, `internal/session/`). A supervisor that uses another server or other names finds none of them and
//! starts a second set. So it does not start there before its settings name both.

use std::{io, path::Path};

use sha2::{Digest, Sha256};

use super::{
    files::Files,
    paths::TownPaths,
    settings::{self, Naming},
};
use crate::terminal;

/// Whether this is a town of Gas Town 1.x: by the file that says how its beads are stored or, when that says nothing,
/// by their databases.
///
/// An error when that cannot be determined: it must not count as a "no".
pub async fn recognise(files: &dyn Files, paths: &TownPaths) -> io::Result<bool> {
    let metadata = match files.read(&paths.beads_metadata()).await {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        read => read.ok(),
    };
    match metadata.as_deref().and_then(is_gt1) {
        Some(is) => Ok(is),
        None => files.is_dir(&paths.dolt_data()).await,
    }
}

/// Whether `.beads/metadata.json` names the bead storage of Gas Town 1.x; `None` when it cannot be read.
fn is_gt1(metadata: &[u8]) -> Option<bool> {
    let file: serde_json::Value = serde_json::from_slice(metadata).ok()?;
    file.is_object().then(|| file["backend"] == "dolt")
}

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

/// Why the supervisor must not run in this 1.x town with these settings; `None` when they name its agents' server and
/// sessions.
///
/// The first part of the name depends on how the path was given to `gt`, so only the second part is compared.
pub fn refusal(root: &Path, tmux: &settings::Tmux, variable: Option<&str>) -> Option<String> {
    let expected = socket_name(root, variable);
    let by_path =
        tmux.socket_path.as_deref().map(|path| path.file_name().unwrap_or_default().to_string_lossy());
    let by_name = tmux.socket_name.as_deref().or(settings::socket_of_variable(variable)).map(Into::into);
    let is_the_towns = by_path
        .or(by_name)
        .is_some_and(|name| name == expected || name.ends_with(&format!("-{}", hash(root))));
    if is_the_towns && tmux.naming == Naming::Prefix {
        return None;
    }
    Some(format!(
        "{} is a town of Gas Town 1.x, whose agents run on a tmux server of its own under other names; to supervise these \
         and start no second set, put \"tmux\": {{\"socket_name\": {expected:?}, \"naming\": \"prefix\"}} into \
         settings/supervisor.json (`gt status --json` tells the name under .tmux.socket)",
        terminal::path(root)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::town::settings::Tmux;

    #[test]
    fn metadata_grid() {
        for (name, text, gt1) in [
            ("1.x", r#"{"database":"dolt","backend":"dolt","dolt_mode":"server"}"#, Some(true)),
            ("0.3", r#"{"database":"beads.db","jsonl_export":"issues.jsonl"}"#, Some(false)),
            ("sqlite", r#"{"backend":"sqlite"}"#, Some(false)),
            ("half-written", r#"{"backend":"do"#, None),
            ("a list", r#"["backend","dolt"]"#, None),
            ("empty", "", None),
        ] {
            assert_eq!(is_gt1(text.as_bytes()), gt1, "{name}");
        }
    }

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
            ("nothing set", Tmux::default(), None, true),
            ("only the naming", prefix(Tmux::default()), None, true),
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
            let why = refusal(root, &tmux, variable);
            assert_eq!(why.is_some(), refused, "{case}: {why:?}");
        }
        let why = refusal(root, &Tmux::default(), None).unwrap();
        assert!(why.contains(r#""tmux": {"socket_name": "gt-c78608", "naming": "prefix"}"#), "{why}");
    }
}
