//! The disk queue: what is asked of the disk at the same moment is done by one thread, and answered together.
//!
//! At a heartbeat every agent asks for some small files. One thread for each access, woken for it alone, costs the process hundreds
//! of wake-ups, and a pool of threads that stays for seconds. So accesses wait until all that could run by now has asked; then one
//! thread does them in turn. One that does not begin soon, because an access before it hangs, gets a thread of its own, and an
//! answer that is there is taken without waiting for the others. It must not know what the work is.
#![allow(clippy::disallowed_methods, reason = "part of the adapter that touches the town's files")]

use std::{
    collections::HashMap,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, LazyLock},
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use tokio::{
    runtime::{Handle, Id},
    sync::oneshot,
    task::{spawn_blocking, yield_now},
    time::timeout,
};

/// An access that has not begun by then, or not answered, has another one before or behind it that may hang.
const SOON: Duration = Duration::from_millis(50);
/// Answers do not wait for one another longer than this.
const TOGETHER: Duration = Duration::from_millis(5);

/// The work of one access, which leaves its answer and returns who is to be told; `None` once it has begun, or was taken back.
type Slot = Arc<Mutex<Option<Work>>>;
type Work = Box<dyn FnOnce() -> oneshot::Sender<()> + Send>;

/// What each runtime has asked for and has not begun.
static ASKED: LazyLock<Mutex<HashMap<Id, Vec<Slot>>>> = LazyLock::new(Mutex::default);

/// What became of work that was asked for.
#[derive(Debug, PartialEq, Eq)]
pub enum Done<T> {
    /// It ended with this.
    Ended(T),
    /// It panicked.
    Panicked,
    /// It had not begun within the limit, and never will: whatever it was to write is not written.
    TakenBack,
    /// It has begun, and had not ended within the limit.
    UnderWay,
}

/// Does this on another thread. It is done also when nobody waits for it any more: only the limit takes back what has not begun.
pub async fn run<T: Send + 'static>(limit: Duration, work: impl FnOnce() -> T + Send + 'static) -> Done<T> {
    let answer = Arc::new(Mutex::new(None));
    let (tell, mut told) = oneshot::channel();
    let to = answer.clone();
    let asked = Asked::new(Box::new(move || {
        let done = work();
        *to.lock() = Some(done);
        tell
    }));
    // Whatever can run now asks first; then the first of them begins all.
    yield_now().await;
    begin();
    let ended = async {
        while timeout(SOON, &mut told).await.is_err() {
            asked.begin_alone();
            if answer.lock().is_some() {
                return;
            }
        }
    };
    let in_time = timeout(limit, ended).await.is_ok();
    match (answer.lock().take(), in_time) {
        (Some(done), _) => Done::Ended(done),
        (None, true) => Done::Panicked,
        (None, false) if asked.take_back() => Done::TakenBack,
        (None, false) => Done::UnderWay,
    }
}

/// Begins all that this runtime has asked for.
fn begin() {
    let Some(asked) = ASKED.lock().remove(&Handle::current().id()) else { return };
    spawn_blocking(move || {
        let (mut done, mut since) = (Vec::new(), Instant::now());
        for slot in asked {
            let work = slot.lock().take();
            // A panic is reported by the panic hook, and its caller is told by the end of the channel.
            done.extend(work.and_then(|work| catch_unwind(AssertUnwindSafe(work)).ok()));
            if since.elapsed() > TOGETHER {
                tell(&mut done);
                since = Instant::now();
            }
        }
        tell(&mut done);
    });
}

fn tell(done: &mut Vec<oneshot::Sender<()>>) {
    for told in done.drain(..) {
        // Who has its answer already does not listen any more.
        let _ = told.send(());
    }
}

/// Work that somebody waits for, and the runtime that does it.
struct Asked(Slot, Handle);

impl Asked {
    fn new(work: Work) -> Asked {
        let slot = Slot::new(Mutex::new(Some(work)));
        let runtime = Handle::current();
        ASKED.lock().entry(runtime.id()).or_default().push(slot.clone());
        Asked(slot, runtime)
    }
}

impl Asked {
    /// Has a thread of its own begin it, unless it has begun by then.
    fn begin_alone(&self) {
        if self.0.lock().is_none() {
            return;
        }
        let slot = self.0.clone();
        // Its caller may be dropped outside of the runtime.
        self.1.spawn_blocking(move || {
            let work = slot.lock().take();
            // Who has its answer already does not listen any more.
            work.map(|work| work().send(()))
        });
    }

    /// Keeps it from beginning; whether it had not begun.
    fn take_back(&self) -> bool {
        // What the work holds is dropped after the lock is released.
        let work = self.0.lock().take();
        work.is_some()
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        // Nobody waits for it any more, and perhaps nobody begins what was asked for with it.
        self.begin_alone();
    }
}

#[cfg(test)]
mod tests {
    use std::{
        collections::HashSet,
        sync::mpsc,
        thread::{self, ThreadId},
    };

    use futures::future::join_all;

    use tokio::sync::Notify;

    use super::*;

    const LONG: Duration = Duration::from_secs(30);

    fn ended<T>(done: Done<T>) -> T {
        match done {
            Done::Ended(it) => it,
            Done::Panicked | Done::TakenBack | Done::UnderWay => panic!("it did not end"),
        }
    }

    // On the paused clock none of them is late.
    #[tokio::test(start_paused = true)]
    async fn what_is_asked_for_at_once_is_done_by_one_thread() {
        let all = join_all((0..500).map(|number| run(LONG, move || (number, thread::current().id())))).await;
        let all: Vec<(usize, ThreadId)> = all.into_iter().map(ended).collect();
        let numbers: Vec<usize> = all.iter().map(|it| it.0).collect();
        assert_eq!(numbers, (0..500).collect::<Vec<_>>());
        let threads: HashSet<ThreadId> = all.iter().map(|it| it.1).collect();
        assert_eq!(threads.len(), 1);
        assert!(!ASKED.lock().contains_key(&Handle::current().id()));
    }

    #[tokio::test]
    async fn one_that_hangs_holds_up_no_other() {
        let (release, released) = mpsc::channel::<()>();
        let released = Arc::new(Mutex::new(released));
        let stuck = (0..3).map(|_| {
            let released = released.clone();
            run(LONG, move || released.lock().recv().is_err()) // limited: the sender is dropped below, or with the test
        });
        let mut stuck = Box::pin(join_all(stuck));
        assert!(futures::poll!(&mut stuck).is_pending(), "they have asked first");
        let others = join_all((0..50).map(|number| run(LONG, move || number)));
        let others = timeout(Duration::from_secs(30), others).await.unwrap();
        assert_eq!(others, (0..50).map(Done::Ended).collect::<Vec<_>>());
        drop(release);
        assert!(timeout(Duration::from_secs(30), stuck).await.unwrap().into_iter().all(ended));
    }

    #[tokio::test]
    async fn a_panic_is_told_to_its_caller_alone() {
        let quiet: Box<dyn FnOnce() -> u8 + Send> = Box::new(|| std::panic::resume_unwind(Box::new(())));
        let (first, other) = tokio::join!(run(LONG, quiet), run(LONG, || 7));
        assert_eq!((first, other), (Done::Panicked, Done::Ended(7)));
    }

    #[tokio::test]
    async fn what_nobody_waits_for_any_more_is_done_all_the_same() {
        let (tell, told) = mpsc::channel::<()>();
        let mut given_up = Box::pin(run(LONG, move || tell.send(())));
        assert!(futures::poll!(&mut given_up).is_pending(), "it has asked");
        drop(given_up);
        assert_eq!(told.recv_timeout(LONG), Ok(()));
    }

    #[test]
    fn what_is_not_begun_within_its_limit_is_never_done() {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        let runtime = builder.enable_all().max_blocking_threads(1).build().unwrap();
        let ((release, released), (tell, told)) = (mpsc::channel::<()>(), mpsc::channel::<()>());
        runtime.block_on(async {
            let begun = Arc::new(Notify::new());
            let has_begun = begun.clone();
            spawn_blocking(move || {
                has_begun.notify_one();
                released.recv() // limited: the sender is dropped below, or with the test
            });
            timeout(LONG, begun.notified()).await.unwrap();
            let late = run(2 * SOON, move || tell.send(()).unwrap()).await;
            assert_eq!(late, Done::TakenBack);
            drop(release);
            assert_eq!(run(LONG, || 7).await, Done::Ended(7));
        });
        assert_eq!(told.try_recv(), Err(mpsc::TryRecvError::Disconnected));
    }
}
