//! The sentences of the programs, and the times they mean.

use super::*;

const BERLIN: &str = "Europe/Berlin";

fn reset(sentence: &str, written: &str, zone: &str) -> Option<(String, bool)> {
    let zone = TimeZone::get(zone).unwrap();
    let reset = of(sentence, written.parse().unwrap(), &zone)?;
    Some((reset.at.to_string(), reset.exact))
}

#[test]
fn what_the_programs_say_and_mean() {
    // In Berlin it is 11:00 of a Monday in winter.
    const WRITTEN: &str = "2026-02-02T10:00:00Z";
    for (name, sentence, at) in [
        (
            "Claude, its own zone",
            "You've hit your limit · resets 3pm (Europe/Berlin)",
            Some("2026-02-02T14:00:00Z"),
        ),
        (
            "Claude, another zone",
            "You've hit your session limit · resets 5:10am (America/New_York)",
            Some("2026-02-02T10:10:00Z"),
        ),
        ("Claude, no zone", "5-hour limit reached ∙ resets 3pm", Some("2026-02-02T14:00:00Z")),
        (
            "Claude, a day",
            "Opus weekly limit reached ∙ resets Feb 7 at 4pm (Europe/Berlin)",
            Some("2026-02-07T15:00:00Z"),
        ),
        (
            "Claude, a day with a comma",
            "Opus weekly limit reached ∙ resets Feb 7, 9am",
            Some("2026-02-07T08:00:00Z"),
        ),
        (
            "Claude, a day in New York",
            "You've hit your weekly limit · resets Feb 3 at 4pm (America/New_York)",
            Some("2026-02-03T21:00:00Z"),
        ),
        (
            "Claude 1.0",
            "Claude usage limit reached. Your limit will reset at 7pm (Asia/Tokyo).",
            Some("2026-02-02T10:00:00Z"),
        ),
        ("Claude, an offset", "Your limit will reset at 7pm (Etc/GMT+3)", Some("2026-02-02T22:00:00Z")),
        (
            "Claude, seconds since 1970",
            "Claude AI usage limit reached|1770044400",
            Some("2026-02-02T15:00:00Z"),
        ),
        ("Claude, a weekday", "You've hit your limit · resets Thu 9am", Some("2026-02-05T08:00:00Z")),
        (
            "Claude, this weekday, past",
            "You've hit your limit · resets Mon 9am",
            Some("2026-02-09T08:00:00Z"),
        ),
        ("Claude at midnight", "You've hit your limit · resets 12am", Some("2026-02-02T23:00:00Z")),
        ("Claude at noon", "You've hit your limit · resets 12pm", Some("2026-02-02T11:00:00Z")),
        (
            "Codex, days",
            "You've hit your usage limit. Upgrade to Pro or try again in 2 days 17 hours.",
            Some("2026-02-05T03:00:00Z"),
        ),
        (
            "Codex, hours",
            "You've hit your usage limit, or try again in 3 hours 12 minutes.",
            Some("2026-02-02T13:12:00Z"),
        ),
        ("Codex, one hour", "try again in 1 hour.", Some("2026-02-02T11:00:00Z")),
        ("Codex, hardly", "try again in less than a minute.", Some("2026-02-02T10:01:00Z")),
        (
            "Codex, a time",
            "You've hit your usage limit. To get more access now, try again at 4:13 PM.",
            Some("2026-02-02T15:13:00Z"),
        ),
        ("Codex, a date", "try again at Feb 9th, 2026 6:53 PM.", Some("2026-02-09T17:53:00Z")),
        ("Gemini, a zone", "Access resets at 2:00 AM PST.", Some("2026-02-02T10:00:00Z")),
        ("Gemini, short", "Your quota will reset after 2h15m30s.", Some("2026-02-02T12:15:30Z")),
        ("Gemini, seconds", "Please retry in 35.5s.", Some("2026-02-02T10:00:35.5Z")),
        ("in hours", "It resets in 2 hours", Some("2026-02-02T12:00:00Z")),
        ("24 hours", "resets at 16:30", Some("2026-02-02T15:30:00Z")),
        ("UTC", "resets at 16:30 UTC", Some("2026-02-02T16:30:00Z")),
        ("wrapped", "try again in 2 days\n  3 hours", Some("2026-02-04T13:00:00Z")),
        ("no time", "You've hit your session limit", None),
        ("no time of day", "resets 3", None),
        ("no such time", "resets 25:00", None),
        ("no such day", "resets Feb 31 at 4pm", None),
        ("13 pm", "resets 13pm", None),
        ("an unknown zone", "resets 3pm (Moon/Crater)", None),
        ("an unknown abbreviation", "resets at 2:00 PM XYZ", None),
        ("years ahead", "try again in 400 days", None),
        ("more than a number holds", "try again in 99999999999999999999 days", None),
        ("a warning", "You've used 97% of your session limit · resets 3pm", None),
        ("a warning of Claude", "Approaching Opus usage limit · resets at 7pm", None),
        ("nothing", "", None),
    ] {
        let expected = at.map(|at| (at.to_owned(), true));
        assert_eq!(reset(sentence, WRITTEN, BERLIN), expected, "{name}");
    }
    let day = ("2026-02-06T23:00:00Z".to_owned(), false);
    assert_eq!(reset("Opus weekly limit reached ∙ resets Feb 7", WRITTEN, BERLIN), Some(day), "a date alone");
}

#[test]
fn past_or_future() {
    for (name, sentence, written, at) in [
        ("just past", "You've hit your limit · resets 3pm", "2026-02-02T14:09:00Z", "2026-02-02T14:00:00Z"),
        ("past", "You've hit your limit · resets 3pm", "2026-02-02T14:11:00Z", "2026-02-03T14:00:00Z"),
        (
            "of a session, past",
            "You've hit your session limit · resets 3pm",
            "2026-02-02T14:11:00Z",
            "2026-02-02T14:00:00Z",
        ),
        (
            "of a session, over night",
            "You've hit your session limit · resets 1am",
            "2026-02-02T21:00:00Z",
            "2026-02-03T00:00:00Z",
        ),
        (
            "of a session, read in the morning",
            "5-hour limit reached ∙ resets 11pm",
            "2026-02-02T08:00:00Z",
            "2026-02-01T22:00:00Z",
        ),
        (
            "before midnight",
            "You've hit your limit · resets 12:05am",
            "2026-02-02T22:59:00Z",
            "2026-02-02T23:05:00Z",
        ),
        (
            "over the new year",
            "You've hit your weekly limit · resets Jan 3 at 4pm",
            "2026-12-31T10:00:00Z",
            "2027-01-03T15:00:00Z",
        ),
        (
            "new year's eve",
            "You've hit your limit · resets 1am",
            "2026-12-31T22:00:00Z",
            "2027-01-01T00:00:00Z",
        ),
        (
            "a day that is past",
            "You've hit your weekly limit · resets Feb 1 at 4pm",
            "2026-02-02T10:00:00Z",
            "2026-02-01T15:00:00Z",
        ),
        (
            "seconds that are past",
            "Claude AI usage limit reached|1770044400",
            "2026-02-03T10:00:00Z",
            "2026-02-02T15:00:00Z",
        ),
    ] {
        assert_eq!(reset(sentence, written, BERLIN), Some((at.to_owned(), true)), "{name}");
    }
}

#[test]
fn clock_changes() {
    for (name, sentence, written, at) in [
        // On 2026-03-29, 02:00 becomes 03:00; on 2026-10-25, 03:00 becomes 02:00.
        ("skipped", "resets 2:30am", "2026-03-28T22:00:00Z", "2026-03-29T01:30:00Z"),
        ("repeated: the later", "resets 2:30am", "2026-10-24T22:00:00Z", "2026-10-25T01:30:00Z"),
        ("over the change in spring", "resets 9am", "2026-03-28T22:00:00Z", "2026-03-29T07:00:00Z"),
        ("over the change in autumn", "resets 9am", "2026-10-24T22:00:00Z", "2026-10-25T08:00:00Z"),
        ("a duration", "try again in 5 hours", "2026-03-28T23:00:00Z", "2026-03-29T04:00:00Z"),
    ] {
        assert_eq!(reset(sentence, written, BERLIN), Some((at.to_owned(), true)), "{name}");
    }
}

proptest::proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "(resets |try again (in|at) |\\|)?[0-9]{0,12}(:[0-9]{2})? ?(am|pm|days|h)?.{0,20}") {
        let written = "2026-02-02T10:00:00Z".parse().unwrap();
        let _ = of(&text, written, &TimeZone::UTC);
    }
}
