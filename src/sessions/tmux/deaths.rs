//! Deaths: has the herald tell the end of a pane's process, or of the server, as soon as the kernel does.
//!
//! The kernel tells the end of a process within a few milliseconds (pidfd), sooner than tmux does, and also where tmux
//! says nothing: a pane that is kept after its process ended, one of several panes, a session killed by a hook. What the
//! kernel does not tell — a session ended around a process that goes on — tmux's notices do. Where there is no pidfd,
//! notices and sweeps are all.
#![allow(clippy::disallowed_methods, reason = "its test ends a real process")]

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::task::{AbortHandle, JoinSet};

use super::{
    herald::Herald,
    kernel,
    list::{Listed, Server},
};
use crate::processes::pidfd::PidFd;

/// Descriptors that are left for everything else: commands and their pipes, files, the connection.
const RESERVED: u64 = 256;

/// What is watched at least, however few descriptors this process may have.
const LEAST: u64 = 64;

/// A server that is not to be reached any more has ended, or ends within this time, or has lost its socket.
const LAST_BREATH: Duration = Duration::from_millis(50);

/// How long a server may take from the end of our own session to its own; with 40 sessions it was a tenth of a second.
/// One that goes on shows it by its next list.
const FAREWELL: Duration = Duration::from_secs(5);

#[derive(Debug, Clone, Copy)]
enum Watch {
    Pane,
    Own,
    Server(Server),
}

#[derive(Debug, Default)]
struct Watched {
    tasks: JoinSet<()>,
    by_pid: BTreeMap<u32, AbortHandle>,
}

/// The watch over a set of processes.
#[derive(Debug)]
pub struct Deaths {
    watched: Mutex<Watched>,
    herald: Herald,
    /// The most processes that are watched, as each costs a descriptor: what the soft limit (`ulimit -n`) leaves. The end
    /// of one beyond is told by tmux's notices, or seen by the next sweep.
    most: usize,
    full: AtomicBool,
}

impl Deaths {
    /// A watch over nothing yet.
    pub fn new(herald: Herald) -> Self {
        let soft = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
        let most = soft.unwrap_or(u64::MAX).saturating_sub(RESERVED).max(LEAST);
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        Deaths { watched: Mutex::default(), herald, most, full: AtomicBool::new(false) }
    }

    /// Watches exactly what is in this list of everything from now on. A process whose end was told is not watched again
    /// while it is still listed. The server is watched on when the list does not tell one.
    pub fn watch_exactly(&self, listed: &Listed) {
        self.herald.know_exactly(listed);
        let beneath = [self.herald.server().map(|(pid, _)| pid), self.herald.own()];
        let wanted: BTreeSet<u32> = processes(listed).chain(beneath.into_iter().flatten()).collect();
        let mut watched = self.locked();
        watched.by_pid.retain(|pid, task| {
            let keep = wanted.contains(pid);
            if !keep {
                task.abort();
            }
            keep
        });
        while watched.tasks.try_join_next().is_some() {}
        self.add(&mut watched, listed);
    }

    /// Watches what is in this list of some sessions too.
    pub fn watch_too(&self, listed: &Listed) {
        self.herald.know_too(listed);
        self.add(&mut self.locked(), listed);
    }

    /// To be called when no server is to be reached: if there was one, waits a moment for its end to be told, so that the
    /// end of everything is not taken for as many ends.
    pub async fn last_breath(&self) {
        let Some((pid, _)) = self.herald.server() else { return };
        let ended = self.locked().by_pid.get(&pid).map(AbortHandle::is_finished);
        if ended != Some(false) {
            return;
        }
        let mut changes = self.herald.changes();
        let told = async { while self.herald.server().is_some() && changes.changed().await.is_ok() {} };
        let _ = tokio::time::timeout(LAST_BREATH, told).await;
    }

    fn add(&self, watched: &mut Watched, listed: &Listed) {
        let server = listed.server.map(|server| (server.0, Watch::Server(server)));
        let own = listed.own.map(|pid| (pid, Watch::Own));
        let panes = processes(listed).map(|pid| (pid, Watch::Pane));
        for (pid, watch) in server.into_iter().chain(own).chain(panes) {
            self.watch(watched, pid, watch);
        }
    }

    fn watch(&self, watched: &mut Watched, pid: u32, watch: Watch) {
        if watched.by_pid.contains_key(&pid) {
            return;
        }
        let full = watched.by_pid.len() >= self.most;
        if self.full.swap(full, Ordering::Relaxed) != full && full {
            tracing::warn!(
                "only {} processes are watched directly, the ends of others are noticed later: raise `ulimit -n`",
                self.most
            );
        }
        if full {
            return;
        }
        let Some(process) = PidFd::open(pid) else { return };
        let herald = self.herald.clone();
        let task = watched.tasks.spawn(async move {
            process.ended().await;
            match watch {
                Watch::Server(server) => herald.server_ended(server),
                Watch::Pane => herald.process_ended(pid, kernel::exit_status(pid, &process)),
                Watch::Own => {
                    herald.own_ended(pid);
                    tokio::time::sleep(FAREWELL).await;
                    herald.go_on(pid);
                }
            }
        });
        watched.by_pid.insert(pid, task);
    }

    fn locked(&self) -> MutexGuard<'_, Watched> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
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
    use crate::sessions::{End, EndOf, tmux::list::parse};

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
    async fn an_end_is_told_once() {
        let (mut one, mut other) = (sleeper().expect("sleep"), sleeper().expect("sleep"));
        let herald = Herald::new();
        let deaths = Deaths::new(herald.clone());
        let (mut ends, changes) = (herald.ends(), herald.changes());
        let both = listed(&[(one.id(), "1"), (other.id(), "2")]);
        deaths.watch_exactly(&both);
        deaths.watch_too(&both);
        one.kill().expect("kill");
        let end =
            tokio::time::timeout(Duration::from_secs(10), ends.recv()).await.expect("in time").expect("open");
        let of = EndOf::Process { pid: one.id(), exit: Some(137) };
        assert_eq!(end, End { session: "gt-1".into(), id: "$1".into(), of });
        // Still listed, not reaped: neither told nor watched again.
        deaths.watch_exactly(&both);
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
        assert_eq!(ends.try_recv(), Err(TryRecvError::Empty));
        assert_eq!(*changes.borrow(), 1);
        deaths.watch_exactly(&listed(&[(other.id(), "2")]));
        // The server is still watched: this process.
        assert_eq!(deaths.locked().by_pid.len(), 2);
        for child in [&mut one, &mut other] {
            crate::limits::kill_and_wait(child);
        }
    }

    #[tokio::test]
    async fn there_is_an_end_to_what_is_watched() {
        let mut children = [sleeper(), sleeper(), sleeper()].map(|child| child.expect("sleep"));
        let deaths = Deaths { most: 2, ..Deaths::new(Herald::new()) };
        let panes: Vec<(u32, &str)> =
            children.iter().map(std::process::Child::id).zip(["1", "2", "3"]).collect();
        deaths.watch_exactly(&listed(&panes));
        let watched: Vec<u32> = deaths.locked().by_pid.keys().copied().collect();
        assert_eq!(watched.len(), 2);
        assert!(watched.contains(&std::process::id()), "the server first");
        assert!(Deaths::new(Herald::new()).most >= 64);
        for child in &mut children {
            crate::limits::kill_and_wait(child);
        }
    }
}
