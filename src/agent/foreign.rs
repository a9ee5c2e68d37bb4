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
    sessions::{Session, scan::Glimpse},
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
            // A person may be saving the file that is the town.
            Err(error) if is_gone(&error) => match without_file(files, root, town).await? {
                Some(town) => return Ok(Some(town)),
                None => continue,
            },
            Err(error) => return Err(error),
        };
        if is_town(files, root, &there).await? {
            return Ok(Some(there));
        }
    }
    Ok(None)
}

/// The town of one file that this file is or was, where its supervisor left its lock.
async fn without_file(files: &dyn Files, root: &Path, file: &Path) -> io::Result<Option<PathBuf>> {
    let (Some(directory), Some(name)) = (file.parent(), file.file_name()) else { return Ok(None) };
    if file.extension().is_none_or(|it| it != "toml") {
        return Ok(None);
    }
    match files.real_path(directory).await {
        Ok(there) => Ok(has_lock(files, root, &there).await?.then(|| there.join(name))),
        Err(error) if is_gone(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether another supervisor than that of this town has its lock in this directory, as in a town of one file.
async fn has_lock(files: &dyn Files, root: &Path, directory: &Path) -> io::Result<bool> {
    // This town may have been named otherwise before: its own lock says nothing of another.
    if directory == root || root.parent() == Some(directory) && !files.is_dir(root).await? {
        return Ok(false);
    }
    let Some(town) = TownPaths::of_file(&directory.join(USUAL_FILE)) else { return Ok(false) };
    files.exists(&town.daemon_lock()).await
}

/// Whether a town of either kind is there. A town of one file may be named by that file, and is one without it, too, while it has
/// the lock of its supervisor.
async fn is_town(files: &dyn Files, root: &Path, there: &Path) -> io::Result<bool> {
    if there.extension().is_some_and(|it| it == "toml") && !files.is_dir(there).await? {
        return Ok(true);
    }
    Ok(files.exists(&TownPaths::new(there).town_json()).await?
        || files.exists(&there.join(USUAL_FILE)).await?
        || has_lock(files, root, there).await?)
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

/// Whether a session of a town of one file was made by its supervisor: it started the process of a pane, or the environment that the
/// session has of its `own` names this town. A person's session may have an agent's name.
pub async fn is_ours(
    files: &dyn Files,
    root: &Path,
    session: &Session,
    own: Option<&str>,
) -> io::Result<bool> {
    match own {
        _ if session.panes.iter().any(|pane| pane.started_by_us) => Ok(true),
        Some(town) => is_this(files, root, Path::new(town)).await,
        None => Ok(false),
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
    use crate::{sessions::Pane, town::files::Disk};

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
        for locked in ["locked/.supervisor/lock", "one/.supervisor/lock", "renamed/.supervisor/lock"] {
            Disk.replace(&base.join(locked), b"", 0o644).await.unwrap();
        }
        Disk.replace(&base.join("renamed/new.toml"), b"", 0o644).await.unwrap();
        for (case, own, named, expected) in [
            ("its file is missing for a moment", "one", "locked", Some("locked")),
            ("for a Gas Town", "ours", "locked", Some("locked")),
            ("its file of another name is missing", "one", "locked/x.toml", Some("locked/x.toml")),
            ("a directory that is missing beside a lock", "one", "locked/x", None),
            ("a file that is missing without a lock", "one", "none/x.toml", None),
            ("this town by an earlier file", "renamed/new.toml", "renamed/old.toml", None),
            ("this town by its directory", "renamed/new.toml", "renamed", None),
            ("this town, by a file before it had the usual one", "one", "one/old.toml", None),
        ] {
            let other = other_town(&Disk, &base.join(own), &[base.join(named)]).await.unwrap();
            assert_eq!(other, expected.map(|name| base.join(name)), "{case}");
        }
        let relative = [PathBuf::from("theirs")];
        assert_eq!(other_town(&Disk, &ours, &relative).await.unwrap(), None, "relative to what?");
    }

    #[tokio::test]
    async fn who_made_a_session() {
        for (case, started_by_us, own, expected) in [
            ("a person", false, None, false),
            ("a person in another town", false, Some("/other"), false),
            ("a town whose name is relative", false, Some("town"), false),
            ("this town", false, Some("/town"), true),
            ("this supervisor, by the process", true, None, true),
        ] {
            let (id, window) = ("%1".to_owned(), "@1".to_owned());
            let pane = Pane { id, window, pid: 1, dead: false, exit_status: None, started_by_us };
            let session = Session {
                name: "a".to_owned(),
                id: "$1".to_owned(),
                created: jiff::Timestamp::UNIX_EPOCH,
                towns: vec!["/town".into()], // as a server may say of all its sessions
                panes: vec![pane],
            };
            let ours = is_ours(&Disk, Path::new("/town"), &session, own).await.unwrap();
            assert_eq!(ours, expected, "{case}");
        }
    }
}
