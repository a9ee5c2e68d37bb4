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

/// The work of one access, which leaves its answer and returns who is to be told; `None` once it has begun, or nobody waits for it
/// any more.
type Slot = Arc<Mutex<Option<Work>>>;
type Work = Box<dyn FnOnce() -> oneshot::Sender<()> + Send>;

/// What each runtime has asked for and has not begun.
static ASKED: LazyLock<Mutex<HashMap<Id, Vec<Slot>>>> = LazyLock::new(Mutex::default);

/// Does this on another thread; `None` when it panicked. Work that has begun is finished although nobody waits for it any more,
/// and other work does not begin.
pub async fn run<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
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
    loop {
        let is_told = timeout(SOON, &mut told).await.is_ok();
        if let Some(work) = asked.0.lock().take() {
            spawn_blocking(move || work().send(()));
        }
        let answer = answer.lock().take();
        if is_told || answer.is_some() {
            return answer;
        }
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

/// Work that somebody waits for.
struct Asked(Slot);

impl Asked {
    fn new(work: Work) -> Asked {
        let slot = Slot::new(Mutex::new(Some(work)));
        ASKED.lock().entry(Handle::current().id()).or_default().push(slot.clone());
        Asked(slot)
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        // What the work holds is dropped after the lock is released.
        let work = self.0.lock().take();
        drop(work);
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

    use super::*;

    // On the paused clock none of them is late.
    #[tokio::test(start_paused = true)]
    async fn what_is_asked_for_at_once_is_done_by_one_thread() {
        let all = join_all((0..500).map(|number| run(move || (number, thread::current().id())))).await;
        let numbers: Vec<usize> = all.iter().map(|it| it.unwrap().0).collect();
        assert_eq!(numbers, (0..500).collect::<Vec<_>>());
        let threads: HashSet<ThreadId> = all.iter().map(|it| it.unwrap().1).collect();
        assert_eq!(threads.len(), 1);
        assert!(!ASKED.lock().contains_key(&Handle::current().id()));
    }

    #[tokio::test]
    async fn one_that_hangs_holds_up_no_other() {
        let (release, released) = mpsc::channel::<()>();
        let released = Arc::new(Mutex::new(released));
        let stuck = (0..3).map(|_| {
            let released = released.clone();
            run(move || released.lock().recv().is_err()) // limited: the sender is dropped below, or with the test
        });
        let mut stuck = Box::pin(join_all(stuck));
        assert!(futures::poll!(&mut stuck).is_pending(), "they have asked first");
        let others = join_all((0..50).map(|number| run(move || number)));
        let others = timeout(Duration::from_secs(30), others).await.unwrap();
        assert_eq!(others, (0..50).map(Some).collect::<Vec<_>>());
        drop(release);
        assert!(timeout(Duration::from_secs(30), stuck).await.unwrap().iter().all(Option::is_some));
    }

    #[tokio::test]
    async fn a_panic_is_told_to_its_caller_alone() {
        let quiet: Box<dyn FnOnce() -> u8 + Send> = Box::new(|| std::panic::resume_unwind(Box::new(())));
        let (first, other) = tokio::join!(run(quiet), run(|| 7));
        assert_eq!((first, other), (None, Some(7)));
    }

    #[tokio::test]
    async fn what_nobody_waits_for_does_not_begin() {
        let (dropped, is_dropped) = mpsc::channel::<()>();
        let mut given_up = Box::pin(run(move || dropped.send(()).is_ok()));
        assert!(futures::poll!(&mut given_up).is_pending(), "it has asked");
        drop(given_up);
        assert_eq!(run(|| 1).await, Some(1));
        assert_eq!(is_dropped.try_recv(), Err(mpsc::TryRecvError::Disconnected));
    }
}
