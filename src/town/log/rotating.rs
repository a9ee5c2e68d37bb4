//! A log file that is rotated by size and survives a full disk.
//!
//! `daemon.log` becomes `daemon.log.1`, that `.2`, and so on; at most `keep` of them stay. A line that cannot be
//! written is dropped and counted: reported once through [`Complain`], and once in the log when it can be written
//! again. Writing never fails, loops or panics.
#![allow(clippy::disallowed_methods, reason = "this is the adapter that writes the log file")]

use std::{
    fmt,
    fs::{self, File, Permissions},
    io::{self, Write},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use parking_lot::Mutex;
use tracing_subscriber::fmt::MakeWriter;

use crate::{
    terminal,
    town::{
        files::is_torn,
        hold,
        opening::{self, Whose},
    },
};

/// Reports that the log cannot be written; must not block.
pub type Complain = Arc<dyn Fn(&str) + Send + Sync>;

/// The file; clones are the same file.
#[derive(Clone)]
pub struct RotatingFile {
    state: Arc<Mutex<State>>,
}

struct State {
    path: PathBuf,
    max_bytes: u64,
    keep: u32,
    complain: Complain,
    file: Option<File>,
    size: u64,
    /// Whether the last write stopped in the middle of a line.
    torn: bool,
    trouble: Option<Trouble>,
}

struct Trouble {
    reason: String,
    lost: u64,
}

impl RotatingFile {
    /// Opens the file, creating it with mode 0600. A failure is reported, and the file is tried again with each line.
    pub fn open(path: PathBuf, max_bytes: u64, keep: u32, complain: Complain) -> Self {
        let mut state =
            State { path, max_bytes, keep, complain, file: None, size: 0, torn: false, trouble: None };
        if let Err(error) = state.ensure_open() {
            state.failed(&error, 0);
        }
        RotatingFile { state: Arc::new(Mutex::new(state)) }
    }

    /// Writes one line, which ends with its newline.
    pub fn write_line(&self, line: &[u8]) {
        if hold::is_lost() {
            return;
        }
        self.last_line(line);
    }

    /// Writes a line even when the town is lost: a reader of the still open file should see why it ends.
    pub fn last_line(&self, line: &[u8]) {
        self.state.lock().write_line(line);
    }

    /// Opens the file anew.
    pub fn reopen(&self) {
        let mut state = self.state.lock();
        let before = (state.file.take(), std::mem::take(&mut state.torn));
        if let Err(error) = state.ensure_open() {
            if hold::is_lost() {
                // Its path leads elsewhere by now; the open file is still the log.
                (state.file, state.torn) = before;
            }
            state.failed(&error, 0);
        }
    }

    /// Changes the limits.
    pub fn set_limits(&self, max_bytes: u64, keep: u32) {
        let mut state = self.state.lock();
        (state.max_bytes, state.keep) = (max_bytes, keep);
    }

    /// What is wrong with the file now.
    pub fn trouble(&self) -> Option<String> {
        let state = self.state.lock();
        let Trouble { reason, .. } = state.trouble.as_ref()?;
        // Without the number of lost lines: that would make a new problem with each of them.
        Some(format!(
            "{} cannot be written: {reason}; log lines are dropped until it can",
            terminal::path(&state.path)
        ))
    }

    /// Uses this file until the log is reopened.
    #[cfg(test)]
    pub(super) fn pretend(&self, file: File) {
        self.state.lock().file = Some(file);
    }
}

impl State {
    fn write_line(&mut self, line: &[u8]) {
        let result = self.ensure_open().and_then(|()| {
            self.rotate_for(line.len() as u64)?;
            self.report_losses(line)?;
            self.put(line)
        });
        if let Err(error) = result {
            self.failed(&error, 1);
        }
    }

    fn ensure_open(&mut self) -> io::Result<()> {
        if self.file.is_some() {
            return Ok(());
        }
        // Checked because it is opened by its path, and rotated by its path below.
        hold::verify()?;
        let (file, data) = opening::for_appending(&self.path, Whose::Ours, 0o600)?;
        if data.permissions().mode() & 0o777 != 0o600 {
            file.set_permissions(Permissions::from_mode(0o600))?;
        }
        // A writer that was killed, or found the disk full, may have left a partial line.
        self.torn = is_torn(&file, data.len())?;
        (self.size, self.file) = (data.len(), Some(file));
        Ok(())
    }

    fn rotate_for(&mut self, more: u64) -> io::Result<()> {
        if self.size == 0 || self.size.saturating_add(more) <= self.max_bytes {
            return Ok(());
        }
        // Another process may have truncated it; only its real size counts.
        self.size = self.file.as_ref().map_or(Ok(0), |file| file.metadata().map(|data| data.len()))?;
        if self.size == 0 || self.size.saturating_add(more) <= self.max_bytes {
            return Ok(());
        }
        hold::verify()?;
        rotate(&self.path, self.keep)?;
        (self.file, self.torn) = (None, false);
        self.ensure_open()
    }

    /// Writes the number of lost lines before the first line that fits again.
    fn report_losses(&mut self, next: &[u8]) -> io::Result<()> {
        let Some(Trouble { reason, lost }) = &self.trouble else { return Ok(()) };
        if *lost > 0 {
            // The time stamp of the following line is good enough.
            let stamp = next.get(..20).map(String::from_utf8_lossy).unwrap_or_default();
            let text = format!("{stamp}Warning: log lines lost before this one: {lost} ({reason})\n");
            self.put(text.as_bytes())?;
        }
        self.trouble = None;
        Ok(())
    }

    /// Writes the whole line, or nothing of it if the disk lets us truncate what was written.
    fn put(&mut self, line: &[u8]) -> io::Result<()> {
        let (begin, torn) = (self.size, self.torn);
        let result = if torn { self.write_all(&[b"\n", line].concat()) } else { self.write_all(line) };
        let nobody_else_wrote =
            |file: &File| file.metadata().is_ok_and(|data| data.len() == self.size && data.len() > begin);
        if result.is_err()
            && let Some(file) = self.file.as_ref().filter(|file| nobody_else_wrote(file))
            && file.set_len(begin).is_ok()
        {
            (self.size, self.torn) = (begin, torn);
        }
        result
    }

    fn write_all(&mut self, mut rest: &[u8]) -> io::Result<()> {
        let Some(file) = &mut self.file else { return Ok(()) };
        while !rest.is_empty() {
            match file.write(rest) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => {
                    rest = &rest[written..];
                    self.size += written as u64;
                    self.torn = !rest.is_empty();
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn failed(&mut self, error: &io::Error, lost: u64) {
        let reason = error.to_string();
        match &mut self.trouble {
            Some(trouble) => {
                trouble.lost += lost;
                trouble.reason = reason;
            }
            None => {
                let path = terminal::path(&self.path);
                (self.complain)(&format!(
                    "{path} cannot be written: {reason}; log lines are dropped until it can (free space or check its permissions)"
                ));
                self.trouble = Some(Trouble { reason, lost });
            }
        }
    }
}

/// The path of the file that was rotated this many times.
pub(super) fn numbered(path: &Path, times: u32) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{times}"));
    PathBuf::from(name)
}

/// Makes room for a new file: renames each rotated file to the next number, and drops the oldest.
fn rotate(path: &Path, keep: u32) -> io::Result<()> {
    let numbered = |n: u32| numbered(path, n);
    if keep == 0 {
        return fs::remove_file(path);
    }
    for n in (1..keep).rev() {
        match fs::rename(numbered(n), numbered(n + 1)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    fs::rename(path, numbered(1))
}

impl Write for &RotatingFile {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.write_line(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for RotatingFile {
    type Writer = &'a RotatingFile;

    fn make_writer(&'a self) -> Self::Writer {
        self
    }
}

impl fmt::Debug for RotatingFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RotatingFile").field("path", &self.state.lock().path).finish_non_exhaustive()
    }
}
