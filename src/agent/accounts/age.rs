//! Age: whether a sentence about an account that is read now is of now. Pure.
//!
//! A screen shows a sentence until something else is written, so one that is read for the first time may be of yesterday: "resets
//! 3pm" then names a time that is long past, and a login may have been renewed since. What is known is the earliest moment at which it
//! can have been written: the time of a record, or when the screen was last read without it, or when its session began.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp, tz::TimeZone};

use super::hold::Ends;
use crate::town::usage_limit::reset;

/// A sentence that is at most this old is of now.
const RECENT: SignedDuration = SignedDuration::from_mins(2);

/// Two readings of one sentence mean the same time when they differ by no more than this.
const SAME: SignedDuration = SignedDuration::from_mins(2);

/// When a sentence was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written {
    /// Not before this moment.
    pub not_before: Timestamp,
    /// Not after this one.
    pub not_after: Timestamp,
}

impl Written {
    fn is_recent(self, now: Timestamp) -> bool {
        now.duration_since(self.not_before) <= RECENT
    }
}

/// When the limit ends that this sentence reports; without a time, the account is tried after `retry`.
pub fn ends(sentence: &str, written: Written, now: Timestamp, retry: Duration, zone: &TimeZone) -> Ends {
    let at = |moment| reset::of(sentence, moment, zone);
    match (at(written.not_before), at(written.not_after)) {
        (Some(first), Some(last)) if last.at.duration_since(first.at).abs() <= SAME => Ends::At(last),
        (_, Some(last)) if written.is_recent(now) => Ends::At(last),
        (None, None) if written.is_recent(now) => Ends::TryAfter(retry),
        _ => Ends::Unconfirmed,
    }
}

/// Whether a login is lost of which this was written, when the file that has it last changed at this time; `None` where there is no
/// such file.
pub fn is_lost(written: Written, changed: Option<Timestamp>, now: Timestamp) -> bool {
    match changed {
        Some(changed) => changed <= written.not_before,
        None => written.is_recent(now),
    }
}

#[cfg(test)]
mod tests {
    use jiff::ToSpan;

    use super::*;
    use crate::town::usage_limit::reset::Reset;

    const NOW: &str = "2026-02-02T14:00:00Z";

    fn now() -> Timestamp {
        NOW.parse().unwrap()
    }

    /// Written at some time since this many minutes ago.
    fn since(minutes: i64) -> Written {
        Written { not_before: now() - minutes.minutes(), not_after: now() }
    }

    fn at(time: &str) -> Ends {
        Ends::At(Reset { at: time.parse().unwrap(), exact: true })
    }

    #[test]
    fn which_limits_are_of_now() {
        let retry = Duration::from_secs(900);
        let (three, one) = ("2026-02-02T15:00:00Z", "2026-02-02T13:00:00Z");
        for (name, sentence, written, expected) in [
            ("just now", "limit reached · resets 3pm", since(1), at(three)),
            ("today, in a session of an hour", "limit reached · resets 3pm", since(60), at(three)),
            ("today or yesterday", "limit reached · resets 3pm", since(26 * 60), Ends::Unconfirmed),
            ("before or after its time", "limit reached · resets 1:30pm", since(60), Ends::Unconfirmed),
            ("with a date", "limit reached · resets Feb 2 at 3pm", since(26 * 60), at(three)),
            (
                "a record of an hour ago",
                "limit reached · resets 1pm",
                Written { not_before: now() - 2.hours(), not_after: now() - 2.hours() },
                at(one),
            ),
            ("a duration, just now", "limit reached, try again in 1 hour", since(1), at(three)),
            ("a duration, of some time", "limit reached, try again in 1 hour", since(60), Ends::Unconfirmed),
            ("no time, just now", "Credit balance is too low", since(1), Ends::TryAfter(retry)),
            ("no time", "Credit balance is too low", since(60), Ends::Unconfirmed),
            ("a clock that was set back", "Credit balance is too low", since(-60), Ends::TryAfter(retry)),
        ] {
            assert_eq!(ends(sentence, written, now(), retry, &TimeZone::UTC), expected, "{name}");
        }
    }

    #[test]
    fn which_logins_are_lost() {
        for (name, written, changed, expected) in [
            ("the file is older", 60, Some(61), true),
            ("the file is of the same moment", 60, Some(60), true),
            ("the file changed since, or before", 60, Some(30), false),
            ("no file, just now", 1, None, true),
            ("no file", 60, None, false),
        ] {
            let changed = changed.map(|minutes: i64| now() - minutes.minutes());
            assert_eq!(is_lost(since(written), changed, now()), expected, "{name}");
        }
    }
}
