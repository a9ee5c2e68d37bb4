//! The exit watcher: the notifier reports the exit of a pane's process, or of the server, as soon as the kernel does.
//!
//! The kernel reports the exit of a process within a few milliseconds (pidfd). That is sooner than tmux, and covers
//! cases that tmux does not report: a pane that is kept after its process exited, one of several panes, a session
//! killed by a hook. tmux's notifications cover what the kernel does not report: a session that ended while its
//! process continues. Without pidfd, there are only notifications and scans. It must not judge an end.
#![allow(clippy::disallowed_methods, reason = "its test ends a real process")]

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use parking_lot::Mutex;
use tokio::task::JoinSet;

use super::{kernel, list::Listed, notifier::Notifier};
use crate::{processes::pidfd::PidFd, sessions::Fact};

/// The descriptors reserved for everything else: commands and their pipes, files, the connection.
const RESERVED: u64 = 256;

/// The least number of watched processes, however few descriptors this process may have.
const LEAST: u64 = 64;

/// A server that cannot be reached any more has ended, ends within this time, or has lost its socket.
const EXIT_GRACE: Duration = Duration::from_millis(50);

/// How long a server may take from the end of our own session to its own; with 40 sessions it took 0.1 s. A server
/// that continues shows that in its next list.
const SERVER_EXIT_LIMIT: Duration = Duration::from_secs(5);

/// The watched processes, by id. Dropping a task ends its watch.
#[derive(Debug, Default)]
struct Watched {
    by_pid: BTreeMap<u32, JoinSet<()>>,
    full: bool,
}

/// Watches a set of processes for their exits.
#[derive(Debug)]
pub struct ExitWatcher {
    watched: Mutex<Watched>,
    notifier: Notifier,
    /// The most processes that are watched, as each needs a descriptor: what the soft limit (`ulimit -n`) leaves. For
    /// one beyond, tmux's notifications or the next scan report the end.
    most: usize,
}

impl ExitWatcher {
    /// A watcher of no process yet.
    pub fn new(notifier: Notifier) -> Self {
        let soft = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
        let most = soft.unwrap_or(u64::MAX).saturating_sub(RESERVED).max(LEAST);
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        ExitWatcher { watched: Mutex::default(), notifier, most }
    }

    /// Adds the processes in this list of some sessions; a list of `all` sessions replaces the set. A process whose
    /// exit was reported is not watched again while it is still listed. The server stays watched when the list does
    /// not name one.
    pub fn watch(&self, listed: &Listed, all: bool) {
        self.notifier.listed(listed, all);
        let mut watched = self.watched.lock();
        if all {
            let base = [self.notifier.server(), self.notifier.own()];
            let wanted: BTreeSet<u32> = processes(listed).chain(base.into_iter().flatten()).collect();
            watched.by_pid.retain(|pid, _| wanted.contains(pid));
        }
        let base = [listed.server.map(|(pid, _)| pid), listed.own];
        for pid in base.into_iter().flatten().chain(processes(listed)) {
            self.add(&mut watched, pid);
        }
    }

    /// To be called when no server can be reached: if there was one, waits a short time for its end to be reported,
    /// so that its sessions do not count as separate ends.
    pub async fn server_exit(&self) {
        let Some(pid) = self.notifier.server() else { return };
        if !self.watched.lock().by_pid.contains_key(&pid) {
            return;
        }
        let mut changes = self.notifier.changes();
        let reported = async { while self.notifier.server().is_some() && changes.changed().await.is_ok() {} };
        let _ = tokio::time::timeout(EXIT_GRACE, reported).await;
    }

    fn add(&self, watched: &mut Watched, pid: u32) {
        if watched.by_pid.contains_key(&pid) {
            return;
        }
        let full = watched.by_pid.len() >= self.most;
        if !std::mem::replace(&mut watched.full, full) && full {
            tracing::warn!(
                "only {} processes are watched directly, the ends of others are noticed later: raise `ulimit -n`",
                self.most
            );
        }
        let Some(process) = (!full).then(|| PidFd::open(pid)).flatten() else { return };
        let notifier = self.notifier.clone();
        watched.by_pid.entry(pid).or_default().spawn(async move {
            process.ended().await;
            notifier.ended(Fact::Exited { pid, exit: kernel::exit_status(pid, &process) });
            if notifier.own() == Some(pid) {
                tokio::time::sleep(SERVER_EXIT_LIMIT).await;
                notifier.own_ended_long_ago(pid);
            }
        });
    }
}

/// The living processes of a list's panes.
fn processes(listed: &Listed) -> impl Iterator<Item = u32> {
    let panes = listed.sessions.iter().flat_map(|session| &session.panes);
    panes.filter(|pane| !pane.dead).map(|pane| pane.pid)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use tokio::sync::broadcast::error::TryRecvError;

    use super::*;
    use crate::sessions::tmux::list::parse;

    fn sleeper() -> std::io::Result<std::process::Child> {
        std::process::Command::new("sleep").arg("60").spawn()
    }

    fn listed(panes: &[(u32, &str)]) -> Listed {
        let server = std::process::id();
        let line =
            |(pid, id): &(u32, &str)| format!("{server}:1:${id}:1:@{id}:%{id}:{pid}:0::: // :gt-{id}\n");
        parse(&panes.iter().map(line).collect::<String>())
    }

    #[tokio::test]
    async fn an_end_is_reported_once() {
        let (mut one, mut other) = (sleeper().expect("sleep"), sleeper().expect("sleep"));
        let notifier = Notifier::new();
        let exits = ExitWatcher::new(notifier.clone());
        let (mut facts, changes) = (notifier.facts(), notifier.changes());
        let both = listed(&[(one.id(), "1"), (other.id(), "2")]);
        exits.watch(&both, true);
        exits.watch(&both, false);
        assert!(matches!([facts.try_recv(), facts.try_recv()], [Ok(Fact::Listed(_)), Ok(Fact::Listed(_))]));
        one.kill().expect("kill");
        let end = tokio::time::timeout(Duration::from_secs(10), facts.recv())
            .await
            .expect("in time")
            .expect("open");
        assert_eq!(end, Fact::Exited { pid: one.id(), exit: Some(137) });
        // Still listed, not reaped: neither reported nor watched again.
        exits.watch(&both, true);
        assert!(matches!(facts.try_recv(), Ok(Fact::Listed(_))));
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
        assert_eq!(facts.try_recv(), Err(TryRecvError::Empty));
        assert_eq!(*changes.borrow(), 1);
        exits.watch(&listed(&[(other.id(), "2")]), true);
        // The server is still watched: this process.
        assert_eq!(exits.watched.lock().by_pid.len(), 2);
        for child in [&mut one, &mut other] {
            crate::limits::kill_and_wait(child);
        }
    }

    #[tokio::test]
    async fn there_is_an_end_to_what_is_watched() {
        let mut children = [sleeper(), sleeper(), sleeper()].map(|child| child.expect("sleep"));
        let exits = ExitWatcher { most: 2, ..ExitWatcher::new(Notifier::new()) };
        let panes: Vec<(u32, &str)> =
            children.iter().map(std::process::Child::id).zip(["1", "2", "3"]).collect();
        exits.watch(&listed(&panes), true);
        let watched: Vec<u32> = exits.watched.lock().by_pid.keys().copied().collect();
        assert_eq!(watched.len(), 2);
        assert!(watched.contains(&std::process::id()), "the server first");
        assert!(ExitWatcher::new(Notifier::new()).most >= 64);
        for child in &mut children {
            crate::limits::kill_and_wait(child);
        }
    }
}
