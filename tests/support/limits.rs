//! Limits: nothing in a test waits for ever.
//!
//! Every command, process, thread and channel that a test waits for goes through here, and fails with a description
//! when its time is over. A watchdog covers what cannot be limited one by one: a suite in which nothing happens for
//! [`STANDSTILL`] ends with the names of the tests that are running. It knows a test from its first use of anything
//! here; towns, servers and worlds of tests use it. `tests/limits.rs` keeps raw waits out of all test code.
//!
//! This file depends on no other: each test binary includes it, the library's own tests do too, and the demo uses its
//! limits.
#![allow(dead_code, missing_docs, reason = "each test binary uses a part")]
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests run real programs and fail by panicking"
)]

use std::{
    collections::BTreeMap,
    io::Write,
    process::{Child, Command, ExitStatus, Output, Stdio},
    sync::{LazyLock, Mutex, MutexGuard, Once, PoisonError, mpsc},
    thread::{self, JoinHandle, ScopedJoinHandle},
    time::{Duration, Instant},
};

/// How long a test waits for an expected event.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// How long a suite may run without a test that starts, ends or gets what it waited for.
pub const STANDSTILL: Duration = Duration::from_secs(120);

/// Overrides [`STANDSTILL`], in milliseconds, to test the watchdog.
pub const STANDSTILL_VARIABLE: &str = "GTS_TEST_STANDSTILL_MS";

/// The variable that marks what a test starts with the test process and its town.
pub const MARK: &str = "GTS_TEST_TOWN";

/// The value of [`MARK`] for something of this test process.
pub fn mark(of: impl std::fmt::Display) -> String {
    format!("{}-{of}", std::process::id())
}

const POLL: Duration = Duration::from_millis(5);

/// Polls until `look` returns an answer; `None` when the time is over.
pub fn poll<T>(limit: Duration, mut look: impl FnMut() -> Option<T>) -> Option<T> {
    watched();
    let deadline = Instant::now() + limit;
    loop {
        if let Some(answer) = look() {
            moved();
            return Some(answer);
        }
        if Instant::now() >= deadline {
            return None;
        }
        thread::sleep(POLL);
    }
}

/// Runs a command to its end, at most for [`PATIENCE`].
pub trait LimitedCommand {
    /// Its output, and how it ended.
    fn limited_output(&mut self) -> Output;
    /// How it ended; it inherits our outputs unless it was given others.
    fn limited_status(&mut self) -> ExitStatus;
}

impl LimitedCommand for Command {
    fn limited_output(&mut self) -> Output {
        let what = format!("{self:?}");
        self.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        output_of(self.spawn().unwrap_or_else(|error| panic!("{what}: {error}")), &what)
    }

    fn limited_status(&mut self) -> ExitStatus {
        let what = format!("{self:?}");
        let mut child = self.spawn().unwrap_or_else(|error| panic!("{what}: {error}"));
        end_of(&mut child, &what)
    }
}

/// Waits for the end of a child whose outputs are piped, and of the outputs.
pub fn output_of(child: Child, what: &str) -> Output {
    watched();
    let output = try_output_of(child);
    output.unwrap_or_else(|| panic!("{what}, or whoever has its outputs, did not end within {PATIENCE:?}"))
}

/// The same where a test may not fail because it is over; `None` when the time is over.
pub fn try_output_of(child: Child) -> Option<Output> {
    watched();
    let (tell, told) = mpsc::channel();
    let pid = child.id();
    thread::spawn(move || tell.send(child.wait_with_output())); // limited: its answer is
    let Ok(output) = told.recv_timeout(PATIENCE) else {
        // It may have ended while another process has its outputs: then its id is not reused, as it was not reaped.
        kill(pid);
        return None;
    };
    moved();
    output.ok()
}

/// Waits for the end of a child.
pub fn end_of(child: &mut Child, what: &str) -> ExitStatus {
    poll(PATIENCE, || child.try_wait().unwrap()).unwrap_or_else(|| {
        let _ = child.kill();
        panic!("{what} did not end within {PATIENCE:?}");
    })
}

/// Kills a child and reaps it at the end of a test; never fails.
pub fn kill_and_wait(child: &mut Child) {
    let _ = child.kill();
    if poll(PATIENCE, || child.try_wait().map_or(Some(()), |ended| ended.map(drop))).is_none() {
        say(&format!("process {} was killed and did not end within {PATIENCE:?}\n", child.id()));
    }
}

/// Joins a thread within a limit.
pub trait LimitedJoin<T> {
    fn limited_join(self, what: &str) -> T;
}

impl<T> LimitedJoin<T> for JoinHandle<T> {
    fn limited_join(self, what: &str) -> T {
        assert!(
            poll(PATIENCE, || self.is_finished().then_some(())).is_some(),
            "{what} did not end within {PATIENCE:?}"
        );
        self.join().unwrap() // limited: it has ended
    }
}

impl<T> LimitedJoin<T> for ScopedJoinHandle<'_, T> {
    fn limited_join(self, what: &str) -> T {
        // The scope waits for it in any case, which the watchdog covers.
        assert!(
            poll(STANDSTILL, || self.is_finished().then_some(())).is_some(),
            "{what} did not end within {STANDSTILL:?}"
        );
        self.join().unwrap() // limited: it has ended
    }
}

/// Waits for a message.
pub fn receive<T>(messages: &mpsc::Receiver<T>, what: &str) -> T {
    watched();
    let message = messages
        .recv_timeout(PATIENCE)
        .unwrap_or_else(|error| panic!("{what} was not told within {PATIENCE:?}: {error}"));
    moved();
    message
}

/// Waits until something can be read, unless some of it was read already.
pub fn readable(from: impl std::os::fd::AsFd, already: &[u8], what: &str) {
    watched();
    if already.is_empty() {
        let limit = rustix::event::Timespec { tv_sec: PATIENCE.as_secs().cast_signed(), tv_nsec: 0 };
        let mut wanted = [rustix::event::PollFd::new(&from, rustix::event::PollFlags::IN)];
        assert_eq!(
            rustix::event::poll(&mut wanted, Some(&limit)),
            Ok(1),
            "{what} did not come within {PATIENCE:?}"
        );
    }
    moved();
}

/// Waits until the condition holds; fails with what did not happen.
pub fn wait_for(what: &str, mut holds: impl FnMut() -> bool) {
    let held = poll(PATIENCE, || holds().then_some(()));
    assert!(held.is_some(), "{what} did not happen within {PATIENCE:?}");
}

/// Waits for a lock as long as other tests make progress; `lock` tries for the given time.
pub fn lock<T>(what: &str, mut lock: impl FnMut(Duration) -> Option<T>) -> T {
    watched();
    loop {
        if let Some(held) = lock(Duration::from_secs(1)) {
            moved();
            return held;
        }
        let still = suite().moved.elapsed();
        assert!(still < standstill(), "{what}: not free, and nothing has happened for {still:?}");
    }
}

struct Suite {
    /// The running tests and their start times, by the number of their entry.
    running: BTreeMap<u64, (String, Instant)>,
    next: u64,
    /// When a test last made progress.
    moved: Instant,
}

static SUITE: LazyLock<Mutex<Suite>> =
    LazyLock::new(|| Mutex::new(Suite { running: BTreeMap::new(), next: 0, moved: Instant::now() }));

fn suite() -> MutexGuard<'static, Suite> {
    SUITE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Notes that a test made progress.
pub fn moved() {
    watched();
    suite().moved = Instant::now();
}

/// Puts the test of this thread under the watchdog until its thread ends. Programs that are no tests are not watched.
pub fn watched() {
    if cfg!(test) {
        // A test that still uses this while its thread ends is not added again.
        let _ = RUNNING.try_with(|_| ());
    }
}

thread_local! {
    static RUNNING: Option<Running> = Running::begin();
}

struct Running(u64);

impl Running {
    /// Adds the test of this thread. The test harness names a test's thread after it; threads of the runtime, and
    /// those without a name, are no tests.
    fn begin() -> Option<Running> {
        static WATCHDOG: Once = Once::new();
        WATCHDOG.call_once(|| drop(thread::Builder::new().name("watchdog".into()).spawn(watch)));
        let name = thread::current().name().filter(|name| !name.starts_with("tokio-"))?.to_owned();
        let mut suite = suite();
        suite.moved = Instant::now();
        suite.next += 1;
        let entry = suite.next;
        suite.running.insert(entry, (name, Instant::now()));
        Some(Running(entry))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let mut suite = suite();
        suite.moved = Instant::now();
        suite.running.remove(&self.0);
    }
}

fn standstill() -> Duration {
    let given = std::env::var(STANDSTILL_VARIABLE).ok().and_then(|text| text.parse().ok());
    given.map_or(STANDSTILL, Duration::from_millis)
}

fn watch() {
    let limit = standstill();
    loop {
        thread::sleep(limit / 20);
        let suite = suite();
        let still = suite.moved.elapsed();
        if still < limit {
            continue;
        }
        let running = suite.running.values();
        let running: String =
            running.map(|(name, began)| format!("    {name} (for {:.0?})\n", began.elapsed())).collect();
        let others = "    (and others, if the harness said above that they run for over 60 seconds)\n";
        say(&format!(
            "\nnothing has happened in this suite for {still:.0?}; these tests are running:\n{running}{others}"
        ));
        kill_what_is_ours();
        std::process::exit(101);
    }
}

/// Not `eprint`: the harness captures what a test's thread prints.
fn say(text: &str) {
    let _ = std::io::stderr().write_all(text.as_bytes());
}

/// Kills what this process's tests started, on systems where that can be found.
fn kill_what_is_ours() {
    let mark = format!("{MARK}={}", mark(""));
    for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        let environment = std::fs::read(entry.path().join("environ")).unwrap_or_default();
        if environment.split(|byte| *byte == 0).any(|pair| pair.starts_with(mark.as_bytes())) {
            kill(pid);
        }
    }
}

fn kill(pid: u32) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw) {
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
    }
}
