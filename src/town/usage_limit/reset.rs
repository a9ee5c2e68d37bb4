//! Reset: when a usage limit ends, by the sentence in which the program says that it was reached. Pure.
//!
//! The programs say it in many ways: a clock time with or without a date and a zone, a duration, or seconds since 1970. A time
//! without a date is the next one from the moment of the sentence; a time that was just past then means that the limit is over.
//! What cannot be parsed is no time, and never a guess.

use std::{sync::LazyLock, time::Duration};

use jiff::{
    SignedDuration, Timestamp, ToSpan,
    civil::{Date, DateTime, Time, Weekday},
    tz::TimeZone,
};
use regex::{Captures, Regex};

/// No limit of any plan lasts longer: a month, and some days of grace.
pub const LONGEST: Duration = Duration::from_hours(24 * 40);

/// A sentence that names a time this shortly before itself means that time, and not the same time of the next day: programs
/// round, and a screen is read some time after it was written.
const JUST_PAST: SignedDuration = SignedDuration::from_mins(10);

/// The longest limit of a session, from its first message.
const SESSION: SignedDuration = SignedDuration::from_hours(5);

/// When a limit ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reset {
    /// The end; it may be past.
    pub at: Timestamp,
    /// Whether the sentence says it to the minute. A date alone does not.
    pub exact: bool,
}

/// When the limit ends that this sentence reports, written at that moment by a program in this zone; `None` when it does not
/// say so, or is only a warning.
pub fn of(sentence: &str, written: Timestamp, zone: &TimeZone) -> Option<Reset> {
    let reset = parse(sentence, written, zone)?;
    let longest = SignedDuration::try_from(LONGEST).unwrap_or(SignedDuration::MAX);
    (reset.at.duration_since(written) <= longest).then_some(reset)
}

/// Whether a sentence says when a limit ends.
pub fn names_a_time(sentence: &str) -> bool {
    parse(sentence, Timestamp::UNIX_EPOCH, &TimeZone::UTC).is_some()
}

fn parse(sentence: &str, written: Timestamp, zone: &TimeZone) -> Option<Reset> {
    let sentence = sentence.split_whitespace().collect::<Vec<_>>().join(" ");
    if WARNING.is_match(&sentence) {
        return None;
    }
    epoch(&sentence)
        .or_else(|| duration(&sentence, written))
        .or_else(|| on_a_date(&sentence, written, zone))
        .or_else(|| on_a_weekday(&sentence, written, zone))
        .or_else(|| at_a_time(&sentence, written, zone))
}

/// Compiles a constant pattern; the tests compile them all.
#[allow(clippy::expect_used, reason = "constants that the tests compile")]
fn constant(pattern: &str) -> Regex {
    Regex::new(&format!("(?i){pattern}")).expect("a pattern that the tests compile")
}

/// A limit that is near is not reached.
static WARNING: LazyLock<Regex> =
    LazyLock::new(|| constant(r"\byou've used \d+ ?%|\bapproaching\b.*\blimit\b|\d+ ?% of your\b"));

/// Claude Code 1.0 to 2.0: "…limit reached|1760004000".
static EPOCH: LazyLock<Regex> = LazyLock::new(|| constant(r"\| ?(\d{10})\b"));

/// Codex: "try again in 2 days 17 hours"; Gemini CLI: "Your quota will reset after 2h15m30s", "Please retry in 35.4s".
static DURATION: LazyLock<Regex> = LazyLock::new(|| {
    constant(
        r"\b(?:try again|retry|resets?|available again) (?:in|after) ((?:about )?(?:less than an? (?:minute|hour)|(?:\d+(?:\.\d+)? ?[a-z]+(?:,? (?:and )?)?)+))",
    )
});
static PART: LazyLock<Regex> = LazyLock::new(|| {
    constant(
        r"(\d+(?:\.\d+)?) ?(d(?:ays?)?|h(?:ours?|rs?)?|m(?:in(?:ute)?s?)?|s(?:ec(?:ond)?s?)?)(?:[^a-z]|$)",
    )
});

/// A clock time, and the zone behind it: "3pm", "5:10pm (Europe/Paris)", "2:00 PM PST", "16:30".
const TIME: &str = r"(?P<hour>\d{1,2})(?::(?P<minute>\d{2}))?(?::\d{2})?(?: ?(?P<half>[ap]\.?m\b\.?))?(?: ?\((?P<named>[A-Za-z][\w+/-]*)\)|(?-i: (?P<short>[A-Z]{2,5}|[A-Z][a-z]+(?:/[\w+-]+)+)\b))?";
/// What precedes a time: Claude's "resets 3pm" and "will reset at 7pm", Codex's "try again at 4:13 PM".
const BEFORE: &str = r"\b(?:resets?|try again|retry|available again)(?: (?:at|on|after|by))? ";

static ON_A_DATE: LazyLock<Regex> = LazyLock::new(|| {
    constant(&format!(
        r"{BEFORE}(?P<month>jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\.? (?P<day>\d{{1,2}})(?:st|nd|rd|th)?(?:,? (?P<year>20\d\d))?(?P<time>(?:,| at|,? )? ?{TIME})?"
    ))
});
static ON_A_WEEKDAY: LazyLock<Regex> = LazyLock::new(|| {
    constant(&format!(r"{BEFORE}(?P<weekday>mon|tue|wed|thu|fri|sat|sun)[a-z]*\.?,?(?: at)? {TIME}"))
});
static AT_A_TIME: LazyLock<Regex> = LazyLock::new(|| constant(&format!("{BEFORE}{TIME}")));

/// A limit of hours, which cannot end later than they allow.
static OF_A_SESSION: LazyLock<Regex> = LazyLock::new(|| constant(r"\bsession limit\b|\b5-hour limit\b"));

fn exact(at: Timestamp) -> Option<Reset> {
    Some(Reset { at, exact: true })
}

fn epoch(sentence: &str) -> Option<Reset> {
    let seconds = EPOCH.captures(sentence)?.get(1)?.as_str().parse().ok()?;
    exact(Timestamp::from_second(seconds).ok()?)
}

fn duration(sentence: &str, written: Timestamp) -> Option<Reset> {
    let found = DURATION.captures(sentence)?;
    let text = found.get(1)?.as_str().to_lowercase();
    let seconds = match text.split_once("less than a") {
        Some((_, rest)) if rest.contains("hour") => 3600.0,
        Some(_) => 60.0,
        None => parts(&text)?,
    };
    // Some months at most: the caller refuses what is longer.
    let at = written.checked_add(SignedDuration::try_from_secs_f64(seconds).ok()?).ok()?;
    exact(at)
}

/// The sum of "2 days 17 hours" or "2h15m30s", in seconds.
fn parts(text: &str) -> Option<f64> {
    // Each unit is followed by no letter, so that "2h15m" needs a gap.
    let spaced = GAP.replace_all(text, "$1 ");
    let parts = PART.captures_iter(&spaced).map(|part| {
        let unit = match part[2].chars().next()?.to_ascii_lowercase() {
            'd' => 86_400.0,
            'h' => 3600.0,
            'm' => 60.0,
            _ => 1.0,
        };
        Some(part[1].parse::<f64>().ok()? * unit)
    });
    let parts: Option<Vec<f64>> = parts.collect();
    parts.filter(|parts| !parts.is_empty()).map(|parts| parts.into_iter().sum())
}

static GAP: LazyLock<Regex> = LazyLock::new(|| constant(r"(\d[dhms])"));

fn on_a_date(sentence: &str, written: Timestamp, local: &TimeZone) -> Option<Reset> {
    let found = ON_A_DATE.captures(sentence)?;
    let month = month(&found["month"])?;
    let day = found["day"].parse().ok()?;
    let is_timed = found.name("time").is_some();
    let zone = zone(&found, local)?;
    let time = if is_timed { time(&found)? } else { Time::midnight() };
    let at = |year: i16| moment(Date::new(year, month, day).ok()?.to_datetime(time), &zone);
    let here = written.to_zoned(zone.clone()).year();
    let at = match found.name("year") {
        Some(year) => at(year.as_str().parse().ok()?)?,
        // A date that is past is one of the next year, if that is near; else the sentence is old.
        None => match at(here)? {
            this if this.duration_since(written) >= -JUST_PAST => this,
            this => match at(here + 1) {
                Some(next) if is_near(next, written) => next,
                _ => this,
            },
        },
    };
    Some(Reset { at, exact: is_timed })
}

fn is_near(at: Timestamp, written: Timestamp) -> bool {
    SignedDuration::try_from(LONGEST).is_ok_and(|longest| at.duration_since(written) <= longest)
}

fn on_a_weekday(sentence: &str, written: Timestamp, local: &TimeZone) -> Option<Reset> {
    let found = ON_A_WEEKDAY.captures(sentence)?;
    let (zone, time) = (zone(&found, local)?, time(&found)?);
    let weekday = weekday(&found["weekday"])?;
    let today = written.to_zoned(zone.clone()).date();
    let ahead = i64::from(today.weekday().until(weekday));
    let at = moment(today.checked_add(ahead.days()).ok()?.to_datetime(time), &zone)?;
    if at.duration_since(written) >= -JUST_PAST {
        return exact(at);
    }
    exact(moment(today.checked_add((ahead + 7).days()).ok()?.to_datetime(time), &zone)?)
}

fn at_a_time(sentence: &str, written: Timestamp, local: &TimeZone) -> Option<Reset> {
    let found = AT_A_TIME.captures(sentence)?;
    let (zone, time) = (zone(&found, local)?, time(&found)?);
    let today = written.to_zoned(zone.clone()).date();
    let at = |date: Date| moment(date.to_datetime(time), &zone);
    let past = at(today)?;
    if past.duration_since(written) >= -JUST_PAST {
        let is_session = OF_A_SESSION.is_match(sentence);
        // It was read long after it was written: that time of yesterday is meant.
        if is_session && past.duration_since(written) > SESSION + JUST_PAST {
            return exact(at(today.yesterday().ok()?)?);
        }
        return exact(past);
    }
    let next = at(today.tomorrow().ok()?)?;
    let too_late = OF_A_SESSION.is_match(sentence) && next.duration_since(written) > SESSION + JUST_PAST;
    exact(if too_late { past } else { next })
}

/// The moment of this local time. One that a clock change skips, or repeats, is the later one: a limit is never over too early.
fn moment(local: DateTime, zone: &TimeZone) -> Option<Timestamp> {
    zone.to_ambiguous_zoned(local).later().ok().map(|zoned| zoned.timestamp())
}

/// The time of day. A number without `am`, `pm` or minutes is none.
fn time(found: &Captures<'_>) -> Option<Time> {
    let hour: i8 = found.name("hour")?.as_str().parse().ok()?;
    let minute = found.name("minute").map_or(Ok(0), |minute| minute.as_str().parse()).ok()?;
    let half = found.name("half").map(|half| half.as_str().to_lowercase());
    let hour = match half.as_deref() {
        Some(half) if (1..=12).contains(&hour) => hour % 12 + if half.starts_with('p') { 12 } else { 0 },
        Some(_) => return None,
        None if found.name("minute").is_some() => hour,
        None => return None,
    };
    Time::new(hour, minute, 0, 0).ok()
}

/// The zone that the sentence names; the local one when it names none, `None` when that is not known.
fn zone(found: &Captures<'_>, local: &TimeZone) -> Option<TimeZone> {
    let Some(name) = found.name("named").or_else(|| found.name("short")) else { return Some(local.clone()) };
    let name = name.as_str();
    let hours = match name.to_uppercase().as_str() {
        "UTC" | "GMT" | "Z" => 0,
        "PST" => -8,
        "PDT" | "MST" => -7,
        "MDT" | "CST" => -6,
        "CDT" | "EST" => -5,
        "EDT" => -4,
        "CET" => 1,
        "CEST" => 2,
        "JST" => 9,
        _ => return TimeZone::get(name).ok(),
    };
    Some(TimeZone::fixed(jiff::tz::Offset::constant(hours)))
}

fn month(name: &str) -> Option<i8> {
    const MONTHS: [&str; 12] =
        ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
    let at = MONTHS.iter().position(|month| name.eq_ignore_ascii_case(month))?;
    i8::try_from(at + 1).ok()
}

fn weekday(name: &str) -> Option<Weekday> {
    Some(match name.to_lowercase().as_str() {
        "mon" => Weekday::Monday,
        "tue" => Weekday::Tuesday,
        "wed" => Weekday::Wednesday,
        "thu" => Weekday::Thursday,
        "fri" => Weekday::Friday,
        "sat" => Weekday::Saturday,
        "sun" => Weekday::Sunday,
        _ => return None,
    })
}

#[cfg(test)]
#[path = "reset_tests.rs"]
mod tests;
