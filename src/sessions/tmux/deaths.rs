//! Deaths: counts a change as soon as the process of a pane, or the server, ends.
//!
//! The kernel tells the end of a process within a few milliseconds (pidfd), sooner than tmux does, and also where tmux
//! says nothing: a pane that is kept after its process ended, one of several panes. What the kernel does not tell — a
//! session ended around a process that goes on — tmux's notices do. Where there is no pidfd, notices and sweeps are all.
#![allow(clippy::disallowed_methods, reason = "its test ends a real process")]

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, MutexGuard, PoisonError},
};

use tokio::{
    sync::watch,
    task::{AbortHandle, JoinSet},
};

use super::control::bump;
use crate::processes::pidfd::PidFd;

/// The most processes that are watched: each costs a descriptor, of which a process has 1024 by default.
const MOST: usize = 512;

#[derive(Debug, Default)]
struct Watched {
    tasks: JoinSet<()>,
    by_pid: BTreeMap<u32, AbortHandle>,
}

/// The watch over a set of processes.
#[derive(Debug)]
pub struct Deaths {
    watched: Mutex<Watched>,
    changes: watch::Sender<u64>,
}

impl Deaths {
    /// A watch over nothing yet, that counts into `changes`.
    pub fn new(changes: watch::Sender<u64>) -> Self {
        Deaths { watched: Mutex::default(), changes }
    }

    /// Watches exactly these processes from now on. One whose end was told is not watched again while it is still named.
    pub fn watch_exactly(&self, pids: &BTreeSet<u32>) {
        let mut watched = self.locked();
        watched.by_pid.retain(|pid, task| {
            let wanted = pids.contains(pid);
            if !wanted {
                task.abort();
            }
            wanted
        });
        while watched.tasks.try_join_next().is_some() {}
        for pid in pids {
            self.add(&mut watched, *pid);
        }
    }

    /// Watches these processes too.
    pub fn watch_too(&self, pids: impl IntoIterator<Item = u32>) {
        let mut watched = self.locked();
        for pid in pids {
            self.add(&mut watched, pid);
        }
    }

    fn add(&self, watched: &mut Watched, pid: u32) {
        if watched.by_pid.contains_key(&pid) || watched.by_pid.len() >= MOST {
            return;
        }
        let Some(process) = PidFd::open(pid) else { return };
        let changes = self.changes.clone();
        let task = watched.tasks.spawn(async move {
            process.ended().await;
            bump(&changes);
        });
        watched.by_pid.insert(pid, task);
    }

    fn locked(&self) -> MutexGuard<'_, Watched> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn an_end_is_told_once() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().expect("sleep");
        let (changes, mut seen) = watch::channel(0);
        let deaths = Deaths::new(changes);
        let pids = BTreeSet::from([child.id()]);
        deaths.watch_exactly(&pids);
        deaths.watch_too([child.id()]);
        child.kill().expect("kill");
        tokio::time::timeout(Duration::from_secs(10), seen.changed()).await.expect("in time").expect("open");
        // Still named, not reaped: neither told nor watched again.
        deaths.watch_exactly(&pids);
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
        assert_eq!(*seen.borrow(), 1);
        deaths.watch_exactly(&BTreeSet::new());
        assert!(deaths.locked().by_pid.is_empty());
        child.wait().expect("wait");
    }
}
