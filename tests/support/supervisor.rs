//! The supervisor's process for a test: started, signalled, waited for, and killed with the test.

use std::{
    fs::{self, File},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use rustix::process::{Signal, kill_process};

use super::{
    limits::{PATIENCE, kill_and_wait, poll},
    process::raw,
};

/// The built binary.
pub fn binary() -> &'static str {
    env!("CARGO_BIN_EXE_gastown-supervisor")
}

/// Whether a supervisor ended because it was asked to: in order, or by its last resort, which a busy machine may need.
pub fn as_asked(status: ExitStatus) -> bool {
    matches!(status.code(), Some(0 | 143))
}

/// A supervisor under test.
pub struct Supervisor {
    child: Child,
    stderr: PathBuf,
}

impl Supervisor {
    /// Starts it; its standard error goes to a file in this directory.
    pub fn spawn(mut command: Command, directory: &Path) -> Supervisor {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let stderr = directory.join(format!("stderr.{}", COUNT.fetch_add(1, Ordering::Relaxed)));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(File::create(&stderr).unwrap());
        Supervisor { child: command.spawn().unwrap(), stderr }
    }

    /// The same with the variable by which systemd says that its standard error leads to the journal.
    pub fn under_the_journal(mut command: Command, directory: &Path) -> Supervisor {
        let stderr = directory.join(format!("journal.{}", fs::read_dir(directory).unwrap().count()));
        let file = File::create(&stderr).unwrap();
        let of = file.metadata().unwrap();
        command.env("JOURNAL_STREAM", format!("{}:{}", of.dev(), of.ino()));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(file);
        Supervisor { child: command.spawn().unwrap(), stderr }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal; the process has not been reaped, so its id is not reused.
    pub fn signal(&self, signal: Signal) {
        kill_process(raw(self.pid()), signal).unwrap();
    }

    pub fn runs(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Waits for its end.
    pub fn wait(&mut self) -> ExitStatus {
        let ended = poll(PATIENCE, || self.child.try_wait().unwrap());
        ended.unwrap_or_else(|| panic!("the supervisor did not end; it said:\n{}", self.stderr()))
    }

    /// Signals it and waits; returns how it ended and how long that took.
    pub fn stop(&mut self, with: Signal) -> (ExitStatus, Duration) {
        let began = Instant::now();
        self.signal(with);
        (self.wait(), began.elapsed())
    }

    /// The content of its standard error.
    pub fn stderr(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.stderr).unwrap_or_default()).into_owned()
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        kill_and_wait(&mut self.child);
    }
}
