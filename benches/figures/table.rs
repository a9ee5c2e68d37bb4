//! The table: each figure as measured, its target, and the original daemon's value.

use std::time::Duration;

/// One figure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// What was measured.
    pub figure: String,
    /// On this machine, now.
    pub measured: String,
    /// What it should be.
    pub target: &'static str,
    /// Whether it is.
    pub met: bool,
    /// What it is for the daemon inside `gt`.
    pub original: &'static str,
}

/// Prints them.
pub fn show(rows: &[Row]) {
    let head = Row {
        figure: "figure".into(),
        measured: "measured".into(),
        target: "target",
        met: true,
        original: "original",
    };
    let width = |text: fn(&Row) -> &str| {
        rows.iter().chain([&head]).map(|row| text(row).chars().count()).max().unwrap_or_default()
    };
    let (first, second) = (width(|row| &row.figure), width(|row| &row.measured));
    let (third, fourth) = (width(|row| row.target), width(|row| row.original));
    println!();
    for row in [&head].into_iter().chain(rows) {
        let verdict = if row.met { "" } else { "  MISSED" };
        println!(
            "{:first$}  {:>second$}  {:>third$}  {:>fourth$}{verdict}",
            row.figure, row.measured, row.target, row.original
        );
    }
}

/// The middle one and the largest of some measurements; zeros when there are none.
pub fn median_and_max<T: Ord + Copy + Default>(mut values: Vec<T>) -> (T, T) {
    values.sort_unstable();
    let middle = values.get(values.len() / 2).copied().unwrap_or_default();
    (middle, values.last().copied().unwrap_or_default())
}

/// The middle one, the one that 99 of 100 do not exceed (nearest rank), and the largest of some times.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Spread {
    /// The median.
    pub p50: Duration,
    /// With fewer than 100 the largest.
    pub p99: Duration,
    /// The largest.
    pub longest: Duration,
}

impl Spread {
    /// Of these; zeros when there are none.
    pub fn of(times: impl IntoIterator<Item = Duration>) -> Spread {
        let mut times: Vec<Duration> = times.into_iter().collect();
        times.sort_unstable();
        let rank = |percent: usize| (times.len() * percent).div_ceil(100).saturating_sub(1);
        let at = |rank: usize| times.get(rank).copied().unwrap_or_default();
        Spread { p50: at(rank(50)), p99: at(rank(99)), longest: at(times.len().saturating_sub(1)) }
    }
}

/// `1.2, 7.0 (9.5) ms`
impl std::fmt::Display for Spread {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [p50, p99, longest] = [self.p50, self.p99, self.longest].map(millis);
        write!(f, "{p50:.1}, {p99:.1} ({longest:.1}) ms")
    }
}

/// In milliseconds.
pub fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}
