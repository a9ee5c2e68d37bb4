//! One line of the raw event log, parsed. Pure; it must survive any bytes.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Map, Value};

/// A longer line is skipped (in bytes).
pub const LONGEST: usize = 1 << 20;

/// An event of the log.
#[derive(Debug, Clone, PartialEq)]
pub struct RawEvent {
    /// Its time, as written.
    pub ts: String,
    /// Its time, parsed.
    pub at: Timestamp,
    /// The program that wrote it (`gt`).
    pub source: String,
    /// What happened (`sling`).
    pub kind: String,
    /// The agent or person that did it.
    pub actor: String,
    /// The details; empty when there are none.
    pub payload: Map<String, Value>,
    /// Whether it belongs in the feed: visibility `feed` or `both`.
    pub visible: bool,
}

#[derive(Deserialize)]
struct Line {
    ts: String,
    #[serde(default)]
    source: String,
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    actor: String,
    #[serde(default)]
    payload: Option<Map<String, Value>>,
    #[serde(default)]
    visibility: String,
}

/// Parses a line, without its newline. `None` for a blank one; the error says why it cannot be used.
pub fn read(line: &[u8]) -> Result<Option<RawEvent>, String> {
    if line.len() > LONGEST {
        return Err(format!("it is longer than {LONGEST} bytes"));
    }
    let text = std::str::from_utf8(line).map_err(|_| "it is not UTF-8".to_owned())?;
    if text.trim().is_empty() {
        return Ok(None);
    }
    let Line { ts, source, kind, actor, payload, visibility } =
        serde_json::from_str(text).map_err(|error| error.to_string())?;
    let at = ts.parse().map_err(|_| "its ts is not a time".to_owned())?;
    let visible = matches!(visibility.as_str(), "feed" | "both");
    Ok(Some(RawEvent { ts, at, source, kind, actor, payload: payload.unwrap_or_default(), visible }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_as_they_come() {
        let long = format!(r#"{{"ts":"2026-11-22T20:45:16Z","type":"x","actor":"{}"}}"#, "a".repeat(LONGEST));
        let deep = format!(
            r#"{{"ts":"2026-11-22T20:45:16Z","type":"x","payload":{{"a":{}{}}}}}"#,
            "[".repeat(500),
            "]".repeat(500)
        );
        let ts = r#""ts":"2026-11-22T20:45:16Z""#;
        for (name, line, expected) in [
            (
                "recorded",
                format!(
                    r#"{{{ts},"source":"gt","type":"mail","actor":"mayor/","payload":{{"to":"deacon/"}},"visibility":"feed"}}"#
                ),
                Ok(Some(true)),
            ),
            ("both", format!(r#"{{{ts},"type":"mail","actor":"m","visibility":"both"}}"#), Ok(Some(true))),
            ("audit", format!(r#"{{{ts},"type":"mail","actor":"m","visibility":"audit"}}"#), Ok(Some(false))),
            ("no visibility", format!(r#"{{{ts},"type":"mail","actor":"m"}}"#), Ok(Some(false))),
            (
                "payload null",
                format!(r#"{{{ts},"type":"mail","payload":null,"visibility":"feed"}}"#),
                Ok(Some(true)),
            ),
            (
                "unknown keys",
                format!(r#"{{{ts},"type":"mail","more":[1],"visibility":"feed"}}"#),
                Ok(Some(true)),
            ),
            ("blank", "   ".to_owned(), Ok(None)),
            ("empty", String::new(), Ok(None)),
            ("no JSON", "hello".to_owned(), Err(())),
            ("half", format!(r#"{{{ts},"type":"mail""#), Err(())),
            ("an array", "[1]".to_owned(), Err(())),
            ("no type", format!("{{{ts}}}"), Err(())),
            ("a type that is none", format!(r#"{{{ts},"type":7}}"#), Err(())),
            ("a payload that is none", format!(r#"{{{ts},"type":"x","payload":7}}"#), Err(())),
            ("no time", r#"{"type":"x"}"#.to_owned(), Err(())),
            ("a time that is none", r#"{"ts":"yesterday","type":"x"}"#.to_owned(), Err(())),
            ("too long", long, Err(())),
            ("too deep", deep, Err(())),
        ] {
            let got = read(line.as_bytes());
            assert_eq!(
                got.as_ref().map(|it| it.as_ref().map(|it| it.visible)).map_err(drop),
                expected,
                "{name}: {got:?}"
            );
        }
        assert!(read(b"\xff\xfe").is_err(), "not UTF-8");
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_survived(line: Vec<u8>) {
            let _ = read(&line);
        }
    }
}
