//! Times as Go programs write them into JSON: RFC 3339, and the "zero time" for an unknown time.
//!
//! Go's `time.Time` cannot be absent, so an unset one is written `0001-01-01T00:00:00Z`; for us that is `None`. Only
//! for `#[serde(with = "…")]`.

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serializer, de::Error as _};

/// How Go writes a time that was never set.
pub const ZERO: &str = "0001-01-01T00:00:00Z";

/// Seconds from 1970 to the zero time.
const ZERO_SECOND: i64 = -62_135_596_800;

/// Parses RFC 3339 with 0 to 9 fraction digits and any offset; the zero time is `None`, an error is a sentence.
pub fn parse(text: &str) -> Result<Option<Timestamp>, String> {
    let time: Timestamp = text.parse().map_err(|_| {
        let shown = super::reading::shorten(text);
        format!("{shown:?} is not a time; write it like 2026-01-16T12:00:00Z")
    })?;
    Ok((time.as_second() > ZERO_SECOND).then_some(time))
}

/// RFC 3339 in UTC, or the zero time.
pub fn format(time: Option<Timestamp>) -> String {
    time.map_or_else(|| ZERO.to_owned(), |time| time.to_string())
}

/// For serde: RFC 3339 or the zero time.
pub fn serialize<S: Serializer>(time: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&format(*time))
}

/// For serde: the zero time, an empty string and `null` are `None`.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
    match Option::<String>::deserialize(deserializer)? {
        None => Ok(None),
        Some(text) if text.is_empty() => Ok(None),
        Some(text) => parse(&text).map_err(D::Error::custom),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_go_writes() {
        for (text, expected) in [
            ("2026-01-16T12:00:00Z", Ok(Some("2026-01-16T12:00:00Z"))),
            ("2026-01-16T12:00:00.123456789-08:00", Ok(Some("2026-01-16T20:00:00.123456789Z"))),
            ("2026-01-16T12:00:00.5+05:30", Ok(Some("2026-01-16T06:30:00.5Z"))),
            (ZERO, Ok(None)),
            ("0001-01-01T00:00:00.0-00:00", Ok(None)),
            ("", Err(())),
            ("yesterday", Err(())),
            ("2026-01-16", Err(())),
            ("2026-13-16T12:00:00Z", Err(())),
            ("2026-01-16T12:00:00", Err(())),
        ] {
            let got = parse(text).map(|time| time.map(|time| time.to_string())).map_err(|_| ());
            assert_eq!(got, expected.map(|time| time.map(str::to_owned)), "{text}");
        }
    }

    #[test]
    fn writes_it_back() {
        for text in [ZERO, "2026-01-16T12:00:00Z", "2026-11-22T20:49:17.790791728Z"] {
            assert_eq!(format(parse(text).unwrap()), text);
        }
    }

    proptest::proptest! {
        #[test]
        fn never_panics(text in "\\PC*") {
            let _ = parse(&text);
        }
    }
}
