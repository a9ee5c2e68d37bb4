//! Durations as Go programs spell them, and as people read them.
//!
//! The settings, `mayor/daemon.json` and the log lines of Gas Town all use the form of Go's `time.ParseDuration` and
//! `time.Duration.String`. What is written for people is the same form without units that say nothing ([`short`]: `2h`, `1m5s`), so
//! that it can be copied into the settings; an [`age`] has days, too. Only texts of Gas Town's own that scripts search for have the
//! form with zeros ([`format`]: `31m0s`). This module must not know what a duration is for; the caller checks bounds.

use std::time::Duration;

/// The longest duration Go can express: 2^63 - 1 nanoseconds, about 292 years.
const LONGEST: u128 = i64::MAX as u128;

/// Why a text is not a duration. The text is not repeated; the caller names its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DurationError {
    /// The text is empty.
    #[error("a duration is missing; write for instance \"90s\" or \"1h30m\"")]
    Empty,
    /// It begins with `-`.
    #[error("a duration cannot be negative")]
    Negative,
    /// A number is missing, or something else is in its place.
    #[error("this is not a duration; write for instance \"500ms\", \"90s\", \"3m\" or \"1h30m\"")]
    Malformed,
    /// A number has no unit, or one other than `ns`, `us`, `ms`, `s`, `m` or `h`.
    #[error("the unit is missing or unknown; use ns, us, ms, s, m or h, for instance \"90s\"")]
    Unit,
    /// Longer than Go can express (about 292 years).
    #[error("the duration is too long")]
    Overflow,
}

/// Parses a duration as Go's `time.ParseDuration` does: decimal numbers, each with optional fraction and a unit; `0`
/// alone and a leading `+` are accepted. Unlike Go it refuses negative durations, which mean nothing here.
pub fn parse(text: &str) -> Result<Duration, DurationError> {
    let mut rest = match text.strip_prefix('+') {
        Some(rest) => rest,
        None if text.starts_with('-') => return Err(DurationError::Negative),
        None => text,
    };
    if text.is_empty() {
        return Err(DurationError::Empty);
    }
    if rest == "0" {
        return Ok(Duration::ZERO);
    }
    if rest.is_empty() {
        return Err(DurationError::Malformed);
    }
    let mut total: u128 = 0;
    while !rest.is_empty() {
        let (nanos, after) = one_term(rest)?;
        total = total.checked_add(nanos).filter(|sum| *sum <= LONGEST).ok_or(DurationError::Overflow)?;
        rest = after;
    }
    u64::try_from(total).map(Duration::from_nanos).map_err(|_| DurationError::Overflow)
}

/// One number with its unit, in nanoseconds, and the rest of the text.
fn one_term(text: &str) -> Result<(u128, &str), DurationError> {
    let (whole, rest) = digits(text);
    let (fraction, rest) = match rest.strip_prefix('.') {
        Some(rest) => digits(rest),
        None => ("", rest),
    };
    if whole.is_empty() && fraction.is_empty() {
        return Err(DurationError::Malformed);
    }
    let end = rest.find(|c: char| c == '.' || c.is_ascii_digit()).unwrap_or(rest.len());
    let (unit, rest) = rest.split_at(end);
    let unit = nanos_of(unit).ok_or(DurationError::Unit)?;
    let whole =
        if whole.is_empty() { 0 } else { whole.parse::<u64>().map_err(|_| DurationError::Overflow)? };
    // Digits past the eighteenth are below a nanosecond for every unit up to the hour, and would overflow the scale.
    let fraction = &fraction[..fraction.len().min(18)];
    let scale = 10u128.pow(u32::try_from(fraction.len()).unwrap_or(18));
    let fraction = u128::from(fraction.parse::<u64>().unwrap_or(0));
    Ok((u128::from(whole) * unit + fraction * unit / scale, rest))
}

fn digits(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()))
}

fn nanos_of(unit: &str) -> Option<u128> {
    Some(match unit {
        "ns" => 1,
        "us" | "µs" | "μs" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        _ => return None,
    })
}

/// The duration as Go's `time.Duration.String` prints it: `1h0m0s`, `31m0s`, `1.5s`, `500ms`, `0s`.
pub fn format(duration: Duration) -> String {
    let nanos = duration.as_nanos();
    match nanos {
        0 => "0s".to_owned(),
        1..1_000 => format!("{nanos}ns"),
        1_000..1_000_000 => decimal(nanos, 1_000, "µs"),
        1_000_000..1_000_000_000 => decimal(nanos, 1_000_000, "ms"),
        _ => {
            let (hours, minutes) = (duration.as_secs() / 3600, duration.as_secs() / 60 % 60);
            let seconds = decimal(nanos % 60_000_000_000, 1_000_000_000, "s");
            match (hours, minutes) {
                (0, 0) => seconds,
                (0, _) => format!("{minutes}m{seconds}"),
                _ => format!("{hours}h{minutes}m{seconds}"),
            }
        }
    }
}

fn decimal(value: u128, one: u128, unit: &str) -> String {
    let (whole, fraction) = (value / one, value % one);
    if fraction == 0 {
        return format!("{whole}{unit}");
    }
    let width = one.ilog10() as usize;
    let fraction = format!("{fraction:0width$}");
    format!("{whole}.{}{unit}", fraction.trim_end_matches('0'))
}

/// The duration as people read it: as [`format`] without zero units, `2h`, `1h30m`, `1m5s`, `500ms`, `0s`. [`parse`] reads it.
pub fn short(duration: Duration) -> String {
    let text = format(duration);
    match text.strip_suffix("m0s") {
        Some(rest) => format!("{rest}m"),
        None => text,
    }
    .replace("h0m", "h")
}

/// As [`short`], rounded as [`format_minutes`] does.
pub fn short_minutes(duration: Duration) -> String {
    short(to_minutes(duration))
}

/// An age as people read it, in its two largest units: `59s`, `1m5s`, `2h`, `1d3h`.
pub fn age(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (days, hours) = (seconds / 86_400, seconds / 3600 % 24);
    match (days, hours) {
        (0, 0) => short(Duration::from_secs(seconds)),
        (0, _) => short(Duration::from_secs(seconds / 60 * 60)),
        (_, 0) => format!("{days}d"),
        _ => format!("{days}d{hours}h"),
    }
}

/// An age in Go's form: rounded to the whole minute (half a minute rounds up), `31m0s`; below one minute truncated to
/// the second, `4s`.
pub fn format_minutes(duration: Duration) -> String {
    format(to_minutes(duration))
}

fn to_minutes(duration: Duration) -> Duration {
    if duration < Duration::from_secs(60) {
        return Duration::from_secs(duration.as_secs());
    }
    let minutes = duration.as_secs() / 60 + u64::from(duration.as_secs() % 60 >= 30);
    Duration::from_secs(minutes.saturating_mul(60))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_that_are_durations() {
        for (text, nanos) in [
            ("0", 0),
            ("+0", 0),
            ("0s", 0),
            ("500ms", 500_000_000),
            ("90s", 90_000_000_000),
            ("3m", 180_000_000_000),
            ("1h30m", 5_400_000_000_000),
            ("+5s", 5_000_000_000),
            ("1.5s", 1_500_000_000),
            (".5s", 500_000_000),
            ("5.s", 5_000_000_000),
            ("1.5h", 5_400_000_000_000),
            ("7ns", 7),
            ("7us", 7_000),
            ("7µs", 7_000),
            ("7μs", 7_000),
            ("1h15m30.918273645s", 4_530_918_273_645),
            ("0.100000000000000000000h", 360_000_000_000),
            ("0.3333333333333333333h", 1_200_000_000_000 - 1),
            ("9223372036854775807ns", i64::MAX as u64),
        ] {
            assert_eq!(parse(text), Ok(Duration::from_nanos(nanos)), "{text}");
        }
    }

    #[test]
    fn texts_that_are_not() {
        let nines = "9".repeat(300) + "s";
        for (text, error) in [
            ("", DurationError::Empty),
            ("-5s", DurationError::Negative),
            ("-", DurationError::Negative),
            ("+", DurationError::Malformed),
            (" 5s", DurationError::Malformed),
            ("s", DurationError::Malformed),
            (".s", DurationError::Malformed),
            ("+-5s", DurationError::Malformed),
            ("3", DurationError::Unit),
            ("3 m", DurationError::Unit),
            ("3d", DurationError::Unit),
            ("3m ", DurationError::Unit),
            ("1m30", DurationError::Unit),
            ("5S", DurationError::Unit),
            ("٣s", DurationError::Malformed),
            ("9223372036854775808ns", DurationError::Overflow),
            ("2562048h", DurationError::Overflow),
            ("9223372036s9223372036s", DurationError::Overflow),
            (nines.as_str(), DurationError::Overflow),
        ] {
            assert_eq!(parse(text), Err(error), "{text}");
        }
    }

    #[test]
    fn printed_as_go_prints_them() {
        for (nanos, text) in [
            (0, "0s"),
            (1, "1ns"),
            (1_100, "1.1µs"),
            (2_200_000, "2.2ms"),
            (500_000_000, "500ms"),
            (1_500_000_000, "1.5s"),
            (30_000_000_000, "30s"),
            (180_000_000_000, "3m0s"),
            (1_860_000_000_000, "31m0s"),
            (3_600_000_000_000, "1h0m0s"),
            (245_001_000_000, "4m5.001s"),
            (19_505_001_000_000, "5h25m5.001s"),
            (100 * 3_600_000_000_000, "100h0m0s"),
        ] {
            let duration = Duration::from_nanos(nanos);
            assert_eq!(format(duration), text);
            assert_eq!(parse(text), Ok(duration), "{text} reads back");
        }
        assert!(!format(Duration::MAX).is_empty());
    }

    #[test]
    fn as_people_read_them() {
        for (text, expected) in [
            ("0s", "0s"),
            ("500ms", "500ms"),
            ("90s", "1m30s"),
            ("10m", "10m"),
            ("60m", "1h"),
            ("3605s", "1h5s"),
            ("90m", "1h30m"),
            ("100h", "100h"),
            ("10m0.5s", "10m0.5s"),
        ] {
            assert_eq!(short(parse(text).unwrap()), expected, "{text}");
        }
        assert_eq!(short_minutes(Duration::from_secs(31 * 60 + 7)), "31m");
        for (seconds, text) in [
            (0, "0s"),
            (59, "59s"),
            (60, "1m"),
            (61, "1m1s"),
            (3_600, "1h"),
            (3_700, "1h1m"),
            (86_399, "23h59m"),
            (86_400, "1d"),
            (90_000, "1d1h"),
        ] {
            assert_eq!(age(Duration::from_secs(seconds)), text, "{seconds}");
        }
    }

    #[test]
    fn ages_are_rounded_to_the_minute_from_one_minute_on() {
        for (seconds, text) in [
            (0, "0s"),
            (29, "29s"),
            (59, "59s"),
            (60, "1m0s"),
            (90, "2m0s"),
            (31 * 60 + 29, "31m0s"),
            (31 * 60 + 30, "32m0s"),
            (3599, "1h0m0s"),
        ] {
            assert_eq!(format_minutes(Duration::from_secs(seconds)), text, "{seconds}");
        }
        assert!(!format_minutes(Duration::MAX).is_empty());
    }

    proptest::proptest! {
        #[test]
        fn never_panics_and_reads_back_what_it_prints(text in "\\PC*", nanos in 0..=i64::MAX as u64) {
            let _ = parse(&text);
            let duration = Duration::from_nanos(nanos);
            proptest::prop_assert_eq!(parse(&format(duration)), Ok(duration));
            proptest::prop_assert_eq!(parse(&short(duration)), Ok(duration));
        }
    }
}
