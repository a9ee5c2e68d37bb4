//! Foreign: sessions with our agents' names that belong to another town.
//!
//! Several towns may share a tmux server, and some names are the same in all of them (`hq-deacon`). An agent's
//! session has its town in its environment. A session that names another existing town is never touched: not adopted,
//! typed into or ended.

use std::{
    io,
    path::{Path, PathBuf},
};

use super::spec::AgentSpec;
use crate::{
    ports::Ports,
    sessions::scan::Glimpse,
    terminal,
    town::{
        files::Files,
        paths::{TownPaths, USUAL_FILE},
    },
};

/// The other town that a session belongs to, by the towns its environment names, in order of weight. `None` when it
/// is this town's, which is named `root`, or nobody's: the name of a town that no longer exists does not count. An error when that
/// could not be found out.
pub async fn other_town(files: &dyn Files, root: &Path, named: &[PathBuf]) -> io::Result<Option<PathBuf>> {
    for town in named.iter().filter(|town| town.is_absolute()) {
        if is_this(files, root, town).await? {
            return Ok(None);
        }
        let there = match files.real_path(town).await {
            Ok(there) => there,
            Err(error) if is_gone(&error) => continue,
            Err(error) => return Err(error),
        };
        if is_town(files, &there).await? {
            return Ok(Some(there));
        }
    }
    Ok(None)
}

/// Whether a town of either kind is there. A town of one file may be named by that file.
async fn is_town(files: &dyn Files, there: &Path) -> io::Result<bool> {
    if there.extension().is_some_and(|it| it == "toml") && !files.is_dir(there).await? {
        return Ok(true);
    }
    Ok(files.exists(&TownPaths::new(there).town_json()).await?
        || files.exists(&there.join(USUAL_FILE)).await?)
}

/// Whether this path names this town.
pub async fn is_this(files: &dyn Files, root: &Path, named: &Path) -> io::Result<bool> {
    if named == root || !named.is_absolute() {
        return Ok(named == root);
    }
    match files.real_path(named).await {
        Ok(there) => Ok(there == root),
        // Our own root can be resolved, so only a disk that does not answer leaves this open.
        Err(error) if error.kind() == io::ErrorKind::TimedOut => Err(error),
        Err(_) => Ok(false),
    }
}

fn is_gone(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// Removes from a probe of an agent's session what belongs to another town: nothing is known about that here.
pub async fn left_out(ports: &Ports, spec: &AgentSpec, glimpse: Glimpse) -> Glimpse {
    let key = spec.problem_key("foreign").critical();
    let mut named = match &glimpse {
        Glimpse::Present(session, _) => session.towns.clone(),
        Glimpse::Absent => Vec::new(),
        Glimpse::Unknown(_) => return glimpse,
    };
    if !ports.dialect().is_gas_town() {
        // What a session does not set has the value of its server: the variable that our sessions set weighs the most.
        named.reverse();
    }
    match other_town(&*ports.files, &ports.paths.mark(), &named).await {
        Ok(None) => {
            ports.problems.clear(&key);
            glimpse
        }
        Ok(Some(town)) => {
            let why = taken_by(&town);
            let setting = match ports.dialect().is_gas_town() {
                true => "tmux.socket_name in settings/supervisor.json",
                false => "socket in the file",
            };
            ports.problems.report(
                key,
                format!(
                    "{}: {why}, in session {} of the same tmux server; it is left alone until one of the towns has a server \
                     of its own ({setting})",
                    spec.identity, spec.session
                ),
            );
            Glimpse::Unknown(why)
        }
        Err(error) => Glimpse::Unknown(format!("whose session {} is: {error}", spec.session)),
    }
}

/// The text for an agent whose session's name another town uses.
pub fn taken_by(town: &Path) -> String {
    format!("name taken by town {}", terminal::path(town))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::town::files::Disk;

    #[tokio::test]
    async fn whose_a_session_is() {
        let base = tempfile::tempdir().unwrap();
        let base = base.path().canonicalize().unwrap();
        for town in ["ours", "theirs"] {
            Disk.replace(&base.join(town).join("mayor/town.json"), b"{}", 0o644).await.unwrap();
        }
        Disk.create_dir(&base.join("none")).await.unwrap();
        Disk.replace(&base.join("file"), b"", 0o644).await.unwrap();
        std::os::unix::fs::symlink(base.join("ours"), base.join("link")).unwrap();
        std::os::unix::fs::symlink(base.join("theirs"), base.join("their-link")).unwrap();
        let (ours, theirs) = (base.join("ours"), Some(base.join("theirs")));
        for (case, named, expected) in [
            ("nothing", &[][..], None),
            ("ours", &["ours"], None),
            ("ours, by a link", &["link"], None),
            ("theirs", &["theirs"], theirs.clone()),
            ("theirs, by a link", &["their-link"], theirs.clone()),
            ("one that is gone", &["gone"], None),
            ("no town", &["none"], None),
            ("a file", &["file/x"], None),
            ("GT_ROOT says more than GT_TOWN_ROOT", &["ours", "theirs"], None),
            ("which may be the server's", &["theirs", "ours"], theirs.clone()),
            ("GT_ROOT names nothing", &["gone", "theirs"], theirs.clone()),
        ] {
            let named: Vec<PathBuf> = named.iter().map(|name| base.join(name)).collect();
            assert_eq!(other_town(&Disk, &ours, &named).await.unwrap(), expected, "{case}");
        }
        Disk.replace(&base.join("one/agents.toml"), b"", 0o644).await.unwrap();
        Disk.replace(&base.join("other.toml"), b"", 0o644).await.unwrap();
        for (case, own, named, expected) in [
            ("that of one file, for a Gas Town", "ours", &["one"][..], Some("one")),
            ("by another file than usual", "ours", &["other.toml"], Some("other.toml")),
            ("its own file", "other.toml", &["other.toml", "theirs"], None),
            ("its own directory", "one", &["one", "theirs"], None),
            ("a Gas Town", "one", &["theirs"], Some("theirs")),
        ] {
            let named: Vec<PathBuf> = named.iter().map(|name| base.join(name)).collect();
            let other = other_town(&Disk, &base.join(own), &named).await.unwrap();
            assert_eq!(other, expected.map(|name| base.join(name)), "{case}");
        }
        let relative = [PathBuf::from("theirs")];
        assert_eq!(other_town(&Disk, &ours, &relative).await.unwrap(), None, "relative to what?");
    }
}
