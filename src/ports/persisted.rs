//! Persisted: a register with a file in `daemon/supervisor/`: in memory for all actors, on disk for the next supervisor.
//!
//! The copy in memory counts while the supervisor runs. A caller that needs it on disk calls [`save`](Persisted::save)
//! and waits. A file that cannot be parsed is renamed to `.corrupt`, and the register starts empty. It must not know
//! what it stores.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use parking_lot::{Mutex, MutexGuard};
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    ports::{
        Ports,
        problems::{Condition, ProblemKey},
        writes::{Content, Write},
    },
    terminal,
    town::reading::{self, FileProblem, Reading},
};

/// How often to read a file that fails at our start, with this time in between.
const TRIES: u32 = 5;
const BETWEEN_TRIES: Duration = Duration::from_millis(20);

/// How long to wait before reading from a disk again that does not answer.
const DISK_RETRY: Duration = Duration::from_secs(1);

/// Waits until the disk answers for this file, whatever the answer is: a slow disk says nothing about the file, and
/// its content must not be taken for lost. Meanwhile it is a problem under this key.
pub async fn once_it_answers(ports: &Ports, path: &Path, key: &str) {
    while let Err(error) = ports.files.read(path).await
        && error.kind() == io::ErrorKind::TimedOut
    {
        let shown = terminal::path(ports.paths.shown(path));
        let text = format!("{shown} cannot be read: {error}; retrying before anything is started");
        ports.problems.report(ProblemKey::from(key).meaning(Condition::CannotRead), text);
        tokio::time::sleep(DISK_RETRY).await;
    }
    ports.problems.clear(key);
}

/// The key of the problem that this file of ours is broken, cannot be read, or cannot be written.
pub fn problem(ports: &Ports, path: &Path) -> String {
    format!("file/{}", terminal::path(ports.paths.shown(path)))
}

/// A value of type `T` and its file; clones share both.
#[derive(Debug)]
pub struct Persisted<T> {
    path: PathBuf,
    value: Arc<Mutex<T>>,
}

impl<T> Clone for Persisted<T> {
    fn clone(&self) -> Self {
        Persisted { path: self.path.clone(), value: self.value.clone() }
    }
}

impl<T: Serialize + Send> Content for Persisted<T> {
    fn bytes(&self) -> serde_json::Result<Vec<u8>> {
        serde_json::to_vec_pretty(&*self.value.lock())
    }
}

impl<T: Serialize + DeserializeOwned + Default + Send + 'static> Persisted<T> {
    /// The default value, to be stored in this file.
    pub fn new(path: PathBuf) -> Self {
        Persisted { path, value: Arc::default() }
    }

    /// Locks the value; must never be held across an await.
    pub fn value(&self) -> MutexGuard<'_, T> {
        self.value.lock()
    }

    /// Loads what the last supervisor stored; to be called once, before any actor runs. Without a file, or with a
    /// broken one, the value stays as it is.
    pub async fn load(&self, ports: &Ports) {
        once_it_answers(ports, &self.path, &problem(ports, &self.path)).await;
        if let Some(problem) = self.peek(ports).await.1 {
            let shown = ports.paths.shown(&self.path);
            let key = ProblemKey::from(self::problem(ports, &self.path)).meaning(Condition::CannotRead);
            ports.problems.report(key, format!("{problem}; it is renamed to .corrupt and starts empty"));
            if let Err(error) = ports.files.set_aside(&self.path, "corrupt").await {
                tracing::warn!("{} could not be renamed to .corrupt: {error}", terminal::path(shown));
            }
        }
    }

    /// Loads the file and leaves it as it is, for callers that only read. Returns whether there is one, and what is
    /// wrong with it.
    pub async fn peek(&self, ports: &Ports) -> (bool, Option<FileProblem>) {
        match Reading::of(ports.paths.shown(&self.path), self.read(ports).await, reading::json::<T>) {
            Reading::Good(value) => {
                *self.value() = value;
                (true, None)
            }
            Reading::Missing => (false, None),
            Reading::Bad(problem) => (true, Some(problem)),
        }
    }

    /// Reads the file, with retries: a disk may fail for a short time.
    async fn read(&self, ports: &Ports) -> io::Result<Vec<u8>> {
        let mut tries = 1;
        loop {
            match ports.files.read(&self.path).await {
                Err(error) if error.kind() != io::ErrorKind::NotFound && tries < TRIES => tries += 1,
                content => return content,
            }
            tokio::time::sleep(BETWEEN_TRIES).await;
        }
    }

    /// Writes the value (mode 0600), as [`Writes`](crate::ports::writes::Writes) does. When it returns `Ok`, the
    /// value as of this call is on disk. An error names the file; it is reported while it lasts, and retried.
    pub async fn save(&self, ports: &Ports) -> Result<(), String> {
        let (path, key) = (self.path.clone(), problem(ports, &self.path));
        ports.writes.replace(ports, Write { path, mode: 0o600, key, content: Arc::new(self.clone()) }).await
    }
}
