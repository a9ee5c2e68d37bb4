//! Disk tasks: work on the disk, on other threads than the actors' and with a time limit.
//!
//! A disk that hangs (a network file system, a device that fails) blocks a thread for any time. The caller gets an
//! error after [`LIMIT`], and a path whose last access has not returned by then is not accessed again before it has:
//! one thread for each such path, not one for each access. At the end of the process the shutdown closes a path:
//! accesses in progress return first, and no later ones start. It must not know what the work is.
#![allow(clippy::disallowed_methods, reason = "part of the adapter that touches the town's files")]

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use parking_lot::{Condvar, Mutex};

use super::disk_queue::{self, Done};

/// How long to wait for the disk.
pub const LIMIT: Duration = Duration::from_secs(10);

/// The accesses to each path. One table for the whole process, as its threads are shared too.
static PATHS: Mutex<BTreeMap<PathBuf, Accesses>> = Mutex::new(BTreeMap::new());
static RETURNED: Condvar = Condvar::new();

#[derive(Default)]
struct Accesses {
    /// When each access in progress began.
    under_way: Vec<Instant>,
    is_closed: bool,
}

/// Prevents later accesses to these paths through here. Returns when no access is in progress any more, or after
/// `limit`. Blocks the thread.
pub fn close(paths: &[PathBuf], limit: Duration) {
    let until = Instant::now() + limit;
    let mut known = PATHS.lock();
    for path in paths {
        known.entry(path.clone()).or_default().is_closed = true;
    }
    while paths.iter().any(|path| known.get(path).is_some_and(|accesses| !accesses.under_way.is_empty())) {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return;
        }
        RETURNED.wait_for(&mut known, left);
    }
}

/// Runs `work` on another thread, in the [queue](disk_queue). Dropping the future lets it finish there.
pub async fn run<T: Send + 'static>(
    path: &Path,
    work: impl FnOnce(&Path) -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    run_within(LIMIT, path, work).await
}

/// As [`run`], for work that may take longer than a usual access: `work` itself must end within this limit.
pub async fn run_within<T: Send + 'static>(
    limit: Duration,
    path: &Path,
    work: impl FnOnce(&Path) -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    let access = Access::begin(path, limit)?;
    match disk_queue::run(limit, move || work(&access.path)).await {
        Done::Ended(done) => done,
        Done::Panicked => Err(io::Error::other("the access panicked")),
        Done::TakenBack | Done::UnderWay => {
            Err(timed_out(format!("the disk did not answer within {}s", limit.as_secs())))
        }
    }
}

fn timed_out(text: String) -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, text)
}

/// One access, until it has returned.
struct Access {
    path: PathBuf,
    began: Instant,
}

impl Access {
    fn begin(path: &Path, limit: Duration) -> io::Result<Access> {
        let began = Instant::now();
        let mut known = PATHS.lock();
        let accesses = known.entry(path.to_owned()).or_default();
        if accesses.is_closed {
            return Err(io::Error::other("the supervisor is ending"));
        }
        if accesses.under_way.iter().any(|earlier| began.duration_since(*earlier) >= limit) {
            return Err(timed_out("an earlier access to it has not returned: its disk hangs".to_owned()));
        }
        accesses.under_way.push(began);
        Ok(Access { path: path.to_owned(), began })
    }
}

impl Drop for Access {
    fn drop(&mut self) {
        let mut known = PATHS.lock();
        if let Some(accesses) = known.get_mut(&self.path) {
            if let Some(at) = accesses.under_way.iter().position(|began| *began == self.began) {
                accesses.under_way.swap_remove(at);
            }
            if accesses.under_way.is_empty() {
                RETURNED.notify_all();
                if !accesses.is_closed {
                    known.remove(&self.path);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn a_path_that_hangs_is_accessed_once() {
        let path = Path::new("/hangs");
        let limit = Duration::from_millis(20);
        let (release, released) = mpsc::channel::<()>();
        let stuck = run_within(limit, path, move |_| {
            let _ = released.recv(); // limited: the sender is dropped below, or with the test
            Ok(())
        });
        assert_eq!(stuck.await.unwrap_err().kind(), io::ErrorKind::TimedOut);
        for _ in 0..1000 {
            let refused = run_within(limit, path, |_| -> io::Result<()> { panic!("accessed again") }).await;
            assert!(refused.unwrap_err().to_string().contains("has not returned"));
        }
        assert_eq!(run_within(LIMIT, Path::new("/other"), |_| Ok(7)).await.unwrap(), 7);
        drop(release);
        // The end of the thread is not signalled, but it comes.
        let again = async {
            while run_within(limit, path, |_| Ok(())).await.is_err() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), again).await.unwrap();
        assert!(!PATHS.lock().contains_key(path));
    }

    #[tokio::test]
    async fn an_access_that_is_no_longer_awaited_counts_too() {
        let path = Path::new("/given up");
        let limit = Duration::from_millis(20);
        let (release, released) = mpsc::channel::<()>();
        let mut stuck = Box::pin(run_within(Duration::from_secs(60), path, move |_| {
            let _ = released.recv(); // limited: the sender is dropped below, or with the test
            Ok(())
        }));
        assert!(tokio::time::timeout(2 * limit, &mut stuck).await.is_err());
        drop(stuck);
        assert!(run_within(limit, path, |_| Ok(())).await.is_err());
        drop(release);
    }

    #[tokio::test]
    async fn accesses_in_progress_return_before_the_close_and_none_comes_after() {
        let path = Path::new("/closed");
        let (begun, has_begun) = mpsc::channel::<()>();
        let (release, released) = mpsc::channel::<()>();
        let mut writing = Box::pin(run(path, move |_| {
            begun.send(()).unwrap();
            let _ = released.recv(); // limited: the sender is used below, or dropped with the test
            Ok(())
        }));
        assert!(tokio::time::timeout(Duration::from_millis(20), &mut writing).await.is_err());
        has_begun.recv_timeout(Duration::from_secs(30)).unwrap();
        drop(writing);
        close(&[path.to_owned()], Duration::from_millis(20));
        assert_eq!(PATHS.lock()[path].under_way.len(), 1, "it hangs, so it is waited for no longer");
        assert!(run(path, |_| -> io::Result<()> { panic!("accessed again") }).await.is_err());
        release.send(()).unwrap();
        close(&[path.to_owned()], Duration::from_secs(30));
        assert!(PATHS.lock()[path].under_way.is_empty());
    }
}
