//! Clock: the port that gives every rule its `now`, and the system's adapter.
//!
//! Two clocks are read together, because neither is enough alone: the monotonic one measures durations, the wall
//! clock gives the times that files and people use. When they disagree, the machine slept. Rules must not read a
//! clock; they are passed a [`Now`].
#![allow(clippy::disallowed_methods, reason = "this is the adapter that reads the clocks")]

use std::time::Duration;

use jiff::{Timestamp, tz::TimeZone};

/// One time on both clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Now {
    /// Time since this process started; never goes back, and stops while the machine sleeps.
    pub mono: Duration,
    /// The wall clock.
    pub wall: Timestamp,
}

impl Now {
    /// How long ago `earlier` was on the monotonic clock; zero when it is in the future.
    pub fn since(&self, earlier: Now) -> Duration {
        self.mono.saturating_sub(earlier.mono)
    }

    /// The age of a wall-clock time; zero when it is in the future.
    pub fn age_of(&self, then: Timestamp) -> Duration {
        Duration::try_from(self.wall.duration_since(then)).unwrap_or_default()
    }
}

/// The source of `now`.
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
