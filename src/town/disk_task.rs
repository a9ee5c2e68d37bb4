//! Disk tasks: work on the disk, done beside the actors' thread and waited for only so long.
//!
//! A disk that hangs (a network file system, a device that fails) holds a thread for as long as it likes. Whoever asked
//! gets an error after [`LIMIT`], and a path whose last access has not returned by then is not accessed again before it
//! has: one thread for each such path, not one for each look. It must not know what the work is.
#![allow(clippy::disallowed_methods, reason = "part of the adapter that touches the town's files")]

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// How long the disk is waited for.
pub const LIMIT: Duration = Duration::from_secs(10);

/// When each access that is under way began. Of the whole process, as its threads are.
static UNDER_WAY: Mutex<BTreeMap<PathBuf, Vec<Instant>>> = Mutex::new(BTreeMap::new());

/// Does this on tokio's blocking pool. Dropping the future lets it finish there.
pub async fn run<T: Send + 'static>(
    path: &Path,
    work: impl FnOnce(&Path) -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    run_within(LIMIT, path, work).await
}

async fn run_within<T: Send + 'static>(
    limit: Duration,
    path: &Path,
    work: impl FnOnce(&Path) -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    let access = Access::begin(path, limit)?;
    let task = tokio::task::spawn_blocking(move || work(&access.path));
    let queued = task.abort_handle();
    match tokio::time::timeout(limit, task).await {
        Ok(done) => done.map_err(io::Error::other)?,
        Err(_) => {
            // Does something only when no thread was free to begin it.
            queued.abort();
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
        let mut under_way = locked();
        let accesses = under_way.entry(path.to_owned()).or_default();
        if accesses.iter().any(|earlier| began.duration_since(*earlier) >= limit) {
            return Err(timed_out("an earlier access to it has not returned: its disk hangs".to_owned()));
        }
        accesses.push(began);
        Ok(Access { path: path.to_owned(), began })
    }
}

impl Drop for Access {
    fn drop(&mut self) {
        let mut under_way = locked();
        if let Some(accesses) = under_way.get_mut(&self.path) {
            if let Some(at) = accesses.iter().position(|began| *began == self.began) {
                accesses.swap_remove(at);
            }
            if accesses.is_empty() {
                under_way.remove(&self.path);
            }
        }
    }
}

fn locked() -> MutexGuard<'static, BTreeMap<PathBuf, Vec<Instant>>> {
    UNDER_WAY.lock().unwrap_or_else(PoisonError::into_inner)
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
        // Nothing tells that the thread is done, but it will be.
        let again = async {
            while run_within(limit, path, |_| Ok(())).await.is_err() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), again).await.unwrap();
        assert!(!locked().contains_key(path));
    }

    #[tokio::test]
    async fn an_access_nobody_waits_for_any_more_counts_too() {
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
}
