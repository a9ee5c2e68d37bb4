//! The owner: whether this town is another user's, so that everything else would be judged with the wrong eyes.
//!
//! Another user cannot read or write the town's files, and has a tmux server, a `PATH` and variables of their own. That is one
//! finding with what to do, in place of one for each file. Who may write to the town and meets no supervisor of another user is
//! none. What the system does not show is no reason to stop.

use super::{
    disk,
    finding::{Area, Finding},
};
use crate::{
    control::peer::Users,
    terminal,
    town::{
        files::{Disk, Files, LockState},
        paths::TownPaths,
    },
};

/// Whose the town is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Observed {
    /// The user who asks.
    me: u32,
    /// The owner of the supervisor's directory, or of the town while there is none.
    owner: u32,
    /// Whether the user who asks may write there.
    writable: bool,
    /// The user whose supervisor runs, with its PID.
    supervisor: Option<(u32, u32)>,
}

/// The finding that the town is another user's; an error is that it cannot be examined at all.
pub async fn examine(paths: &TownPaths) -> Option<Finding> {
    let directory = match disk::entry(&paths.daemon_dir()).await {
        Ok(None) => disk::entry(paths.root()).await,
        other => other,
    };
    let entry = match directory {
        Ok(entry) => entry?,
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
            let what = format!("{} cannot be examined: {error}", terminal::path(paths.root()));
            return Some(Area::Permissions.wrong(what, AS_OWNER));
        }
        // It is reported with the permissions.
        Err(_) => return None,
    };
    let me = rustix::process::geteuid().as_raw();
    let supervisor = supervisor(paths).await;
    let observed = Observed { me, owner: entry.owner, writable: entry.writable, supervisor };
    let owner = stranger(&observed)?;
    Some(finding(paths, observed.supervisor, owner, &name(owner).await))
}

/// What to do where it is not known whose the town is.
pub const AS_OWNER: &str = "run it as the user whose town it is: `sudo -u <user> gastown-supervisor doctor`";

/// The process that holds the lock, and its user.
async fn supervisor(paths: &TownPaths) -> Option<(u32, u32)> {
    let lock = paths.daemon_lock();
    // Where the lock cannot be opened, it may be held.
    if matches!(Disk.probe_lock(&lock).await, Ok(LockState::Free)) {
        return None;
    }
    let pid = *disk::holders(&lock).await.first()?;
    Some((disk::user_of(pid).await?, pid))
}

/// The other user whose town it is; `None` when it is the user's own, or as good as that.
fn stranger(observed: &Observed) -> Option<u32> {
    let Observed { me, owner, writable, supervisor } = *observed;
    match supervisor {
        Some((user, _)) => (user != me).then_some(user),
        None => (owner != me && !writable).then_some(owner),
    }
}

fn finding(paths: &TownPaths, supervisor: Option<(u32, u32)>, owner: u32, name: &str) -> Finding {
    let (root, (option, named)) = (paths.root(), paths.named());
    let shown = terminal::path(named);
    let whose = match supervisor {
        Some((_, pid)) => format!("the supervisor of this town (PID {pid}) runs as user {name}"),
        None => format!("this town belongs to user {name}, and you may not write to it"),
    };
    let what = format!("{whose}: as another user, nothing else can be judged");
    let user = if name == owner.to_string() { format!("'#{owner}'") } else { name.to_owned() };
    let hint = format!("run it as that user: `sudo -u {user} gastown-supervisor doctor {option} {shown}`");
    Area::Permissions.wrong(what, hint).about(root)
}

/// The name of a user; the id where the system knows none, or takes too long to answer.
async fn name(uid: u32) -> String {
    Users::default().name(uid).await.unwrap_or_else(|| uid.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whose_it_is() {
        for (name, me, owner, writable, supervisor, expected) in [
            ("mine", 7, 7, true, None, None),
            ("mine, and closed: that is reported with the permissions", 7, 7, false, None, None),
            ("mine, and my supervisor's", 7, 7, true, Some((7, 4711)), None),
            ("shared by a group", 7, 8, true, None, None),
            ("shared by a group, and another's supervisor runs", 7, 8, true, Some((8, 4711)), Some(8)),
            ("another's", 7, 8, false, None, Some(8)),
            ("root may do everything", 0, 8, true, None, None),
            ("root, and another's supervisor runs", 0, 8, true, Some((8, 4711)), Some(8)),
            ("another's directory, and my supervisor", 7, 0, false, Some((7, 4711)), None),
        ] {
            assert_eq!(stranger(&Observed { me, owner, writable, supervisor }), expected, "{name}");
        }
    }

    #[test]
    fn what_to_do() {
        let told = |supervisor, name: &str| finding(&TownPaths::new("/t"), supervisor, 7, name);
        assert!(
            told(Some((7, 4711)), "max")
                .what
                .starts_with("the supervisor of this town (PID 4711) runs as user max")
        );
        assert!(
            told(None, "max").hint.unwrap().contains("`sudo -u max gastown-supervisor doctor --town /t`")
        );
        assert!(told(None, "7").hint.unwrap().contains("`sudo -u '#7' "));
    }
}
