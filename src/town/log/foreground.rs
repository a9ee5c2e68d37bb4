//! Standard error without blocking: a terminal that is not read, or a full pipe, must not delay the supervisor.
//!
//! Lines go through a bounded queue to a thread of their own; lines that do not fit are dropped and counted. Writing
//! never fails and never blocks.

use std::{
    fmt,
    io::{self, Write},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::{self, SyncSender, TrySendError},
    },
    time::Duration,
};

use tracing_subscriber::fmt::MakeWriter;

use crate::{terminal, town::hold};

/// Maximum number of waiting lines.
const QUEUE: usize = 1024;

enum Item {
    Line(Vec<u8>),
    Flush(SyncSender<()>),
}

/// The output; clones are the same output.
#[derive(Clone)]
pub struct Foreground {
    queue: SyncSender<Item>,
    dropped: Arc<AtomicU64>,
}

impl Foreground {
    /// Standard error.
    pub fn stderr() -> Self {
        Self::to(io::stderr())
    }

    /// Any output, for tests.
    pub fn to(mut output: impl Write + Send + 'static) -> Self {
        let (queue, items) = mpsc::sync_channel(QUEUE);
        let dropped = Arc::new(AtomicU64::new(0));
        let lost = Arc::clone(&dropped);
        let run = move || {
            for item in items {
                match item {
                    Item::Line(line) => {
                        let missing = lost.swap(0, Ordering::Relaxed);
                        if missing > 0 {
                            // One write: for a journal, that is one entry.
                            let lost = format!(
                                "Warning: lines not shown here, standard error was too slow: {missing}\n"
                            );
                            let _ = output.write_all(lost.as_bytes());
                        }
                        // A closed terminal needs no action: the log file has the line.
                        let _ = output.write_all(&line);
                    }
                    Item::Flush(done) => {
                        let _ = output.flush();
                        let _ = done.try_send(());
                    }
                }
            }
        };
        // Without the thread the queue has no reader and every line is dropped.
        let _ = std::thread::Builder::new().name("stderr".to_owned()).spawn(run);
        Foreground { queue, dropped }
    }

    /// Queues a line, which ends with its newline.
    pub fn put(&self, line: Vec<u8>) {
        // The caller of the supervisor reports why it ends.
        if hold::is_lost() {
            return;
        }
        if self.queue.try_send(Item::Line(line)).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Waits until all lines so far are written, at most `limit`; returns whether they are.
    pub fn flush(&self, limit: Duration) -> bool {
        let (done, told) = mpsc::sync_channel(1);
        match self.queue.try_send(Item::Flush(done)) {
            Ok(()) => told.recv_timeout(limit).is_ok(),
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => false,
        }
    }
}

impl Write for &Foreground {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        // A JSON line contains foreign text as it is; the other format is escaped already.
        self.put(terminal::json(&String::from_utf8_lossy(line)).into_bytes());
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Foreground {
    type Writer = &'a Foreground;

    fn make_writer(&'a self) -> Self::Writer {
        self
    }
}

impl fmt::Debug for Foreground {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Foreground").finish_non_exhaustive()
    }
}
