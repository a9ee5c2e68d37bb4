//! The disk queue: what is asked of the disk at the same moment is done by few threads.
//!
//! At a heartbeat every agent asks for some small files. One thread for each access, woken for it alone, costs the process hundreds
//! of wake-ups, and a pool of threads that stays for seconds. So accesses wait until all that could run by now has asked, and then
//! few threads do them in turn. One that does not begin soon, because an access before it hangs, gets a thread of its own. It must
//! not know what the work is.

use std::{
    collections::{HashMap, VecDeque},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, LazyLock},
    time::Duration,
};

use parking_lot::Mutex;
use tokio::{
    runtime::{Handle, Id},
    sync::oneshot,
    task::{spawn_blocking, yield_now},
    time::timeout,
};

/// So many threads do what was asked for at the same moment.
const THREADS: usize = 2;
/// An access that has not begun by then has another one before it that may hang.
const SOON: Duration = Duration::from_millis(50);

/// The work of one access; `None` once it has begun, or nobody waits for it any more.
type Slot = Arc<Mutex<Option<Box<dyn FnOnce() + Send>>>>;
/// The accesses of one moment that have not begun.
type Batch = Arc<Mutex<VecDeque<Slot>>>;

/// What each runtime has asked for and has not begun.
static ASKED: LazyLock<Mutex<HashMap<Id, VecDeque<Slot>>>> = LazyLock::new(Mutex::default);

/// Does this on another thread; `None` when it panicked. Work that has begun is finished although nobody waits for it any more,
/// and other work does not begin.
pub async fn run<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let (tell, mut told) = oneshot::channel();
    let asked = Asked::new(Box::new(move || drop(tell.send(work()))));
    // Whatever can run now asks first; then the first of them begins all.
    yield_now().await;
    begin();
    if let Ok(done) = timeout(SOON, &mut told).await {
        return done.ok();
    }
    if let Some(work) = asked.0.lock().take() {
        spawn_blocking(work);
    }
    told.await.ok()
}

/// Begins all that this runtime has asked for.
fn begin() {
    let asked = ASKED.lock().remove(&Handle::current().id()).unwrap_or_default();
    let threads = asked.len().min(THREADS);
    let batch = Batch::new(Mutex::new(asked));
    for _ in 0..threads {
        let batch = batch.clone();
        spawn_blocking(move || {
            while let Some(slot) = next(&batch) {
                let work = slot.lock().take();
                // It is reported by the panic hook, and its caller is told.
                work.map(|work| catch_unwind(AssertUnwindSafe(work)));
            }
        });
    }
}

fn next(batch: &Batch) -> Option<Slot> {
    batch.lock().pop_front()
}

/// Work that somebody waits for.
struct Asked(Slot);

impl Asked {
    fn new(work: Box<dyn FnOnce() + Send>) -> Asked {
        let slot = Slot::new(Mutex::new(Some(work)));
        ASKED.lock().entry(Handle::current().id()).or_default().push_back(slot.clone());
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
    use tokio::task::JoinSet;

    use super::*;

    // On the paused clock none of them is late.
    #[tokio::test(start_paused = true)]
    async fn what_is_asked_for_at_once_is_done_by_few_threads() {
        let all = join_all((0..500).map(|number| run(move || (number, thread::current().id())))).await;
        let numbers: Vec<usize> = all.iter().map(|it| it.unwrap().0).collect();
        assert_eq!(numbers, (0..500).collect::<Vec<_>>());
        let threads: HashSet<ThreadId> = all.iter().map(|it| it.unwrap().1).collect();
        assert!(threads.len() <= THREADS, "{}", threads.len());
        assert!(!ASKED.lock().contains_key(&Handle::current().id()));
    }

    #[tokio::test]
    async fn one_that_hangs_holds_up_no_other() {
        let (release, released) = mpsc::channel::<()>();
        let released = Arc::new(Mutex::new(released));
        let stuck = (0..2 * THREADS).map(|_| {
            let released = released.clone();
            run(move || released.lock().recv().is_err()) // limited: the sender is dropped below, or with the test
        });
        let mut waiting = JoinSet::new();
        waiting.spawn(join_all(stuck));
        let others = join_all((0..50).map(|number| run(move || number)));
        let others = timeout(Duration::from_secs(30), others).await.unwrap();
        assert_eq!(others, (0..50).map(Some).collect::<Vec<_>>());
        drop(release);
        assert!(
            timeout(Duration::from_secs(30), waiting.join_next())
                .await
                .unwrap()
                .unwrap()
                .unwrap()
                .iter()
                .all(Option::is_some)
        );
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
