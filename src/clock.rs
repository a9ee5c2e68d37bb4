//! What time it is: the port every rule gets its `now` from, and the system's answer.
//!
//! Two clocks are read together, because neither is enough alone: the monotonic one measures how long something lasted,
//! the wall clock is what files and people speak of. Their disagreement tells that the machine slept.
//! Rules must not read a clock; they are handed a [`Now`].
#![allow(clippy::disallowed_methods, reason = "this is the adapter that reads the clocks")]

use std::time::Duration;

use jiff::{Timestamp, tz::TimeZone};

/// One moment on both clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Now {
    /// Time since this process began; never goes back, stands still while the machine sleeps.
    pub mono: Duration,
    /// The wall clock.
    pub wall: Timestamp,
}

impl Now {
    /// How long ago `earlier` was on the monotonic clock; zero when it lies ahead.
    pub fn since(&self, earlier: Now) -> Duration {
        self.mono.saturating_sub(earlier.mono)
    }

    /// How old a wall-clock time is; zero when it lies ahead.
    pub fn age_of(&self, then: Timestamp) -> Duration {
        Duration::try_from(self.wall.duration_since(then)).unwrap_or_default()
    }
}

/// The port: where `now` comes from.
pub trait Clock: Send + Sync {
    /// Both clocks, read together.
    fn now(&self) -> Now;
    /// The zone in which times are shown to people (log lines, start-up lines).
    fn zone(&self) -> TimeZone;
}

/// The operating system's clocks.
///
/// The monotonic side is tokio's, so that durations here and timers there never disagree.
#[derive(Debug)]
pub struct SystemClock {
    origin: tokio::time::Instant,
    zone: TimeZone,
}

impl SystemClock {
    /// A clock whose monotonic side starts at zero now.
    pub fn new() -> Self {
        SystemClock { origin: tokio::time::Instant::now(), zone: TimeZone::system() }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Now {
        Now { mono: self.origin.elapsed(), wall: Timestamp::now() }
    }

    fn zone(&self) -> TimeZone {
        self.zone.clone()
    }
}
