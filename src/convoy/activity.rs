//! One line of `bd activity --follow --town --json` (`bd` 0.47 to 0.49), read. Pure; it must survive any bytes.

use serde::Deserialize;
use serde_json::Value;

use crate::town::reading::shorten;

/// No bead's id is longer, in bytes.
const LONGEST_ID: usize = 256;

/// A bead was closed.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Close {
    /// Which.
    pub id: String,
    /// When, as it is written; empty when it does not say.
    pub at: String,
}

/// What a line says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    /// A bead was closed.
    Closed(Close),
    /// Nothing that matters here, or a blank line.
    Other,
    /// It is deaf: it goes on, but its daemon does not answer any more, in these words.
    Deaf(String),
    /// It cannot be read.
    Unreadable,
}

#[derive(Deserialize)]
struct Line {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    timestamp: Value,
    #[serde(default)]
    issue_id: Option<String>,
    #[serde(default)]
    new_status: Option<String>,
    #[serde(default)]
    message: Option<String>,
}

/// Reads a line, without its newline.
pub fn read(line: &[u8]) -> Said {
    if line.trim_ascii().is_empty() {
        return Said::Other;
    }
    let Ok(Line { kind, timestamp, issue_id, new_status, message }) = serde_json::from_slice(line) else {
        return Said::Unreadable;
    };
    match (kind.as_str(), new_status.as_deref(), issue_id) {
        ("error", ..) => Said::Deaf(shorten(&message.unwrap_or_default())),
        ("status", Some("closed"), Some(id)) if is_usable(&id) => {
            let at = timestamp.as_str().map(shorten).unwrap_or_default();
            Said::Closed(Close { id, at })
        }
        _ => Said::Other,
    }
}

/// Some events of `bd` name no bead. What an id may hold is not judged: it is only ever compared.
fn is_usable(id: &str) -> bool {
    !id.is_empty() && id.len() <= LONGEST_ID && !id.contains('\0')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn closes(text: &str) -> (Vec<String>, usize) {
        let said: Vec<Said> = text.lines().map(|line| read(line.as_bytes())).collect();
        let unreadable = said.iter().filter(|said| **said == Said::Unreadable).count();
        let ids = said.into_iter().filter_map(|said| match said {
            Said::Closed(close) => Some(close.id),
            _ => None,
        });
        (ids.collect(), unreadable)
    }

    #[test]
    fn as_recorded() {
        let (ids, unreadable) =
            closes(include_str!("../../tests/fixtures/convoy/activity_follow_town.ndjson"));
        assert_eq!(ids, ["gt-0nz", "hq-hsz", "hq-hsz", "gt-o78"], "one close is told twice");
        assert_eq!(unreadable, 0);
    }

    #[test]
    fn odd_lines_by_hand() {
        let (ids, unreadable) = closes(include_str!("../../tests/fixtures/convoy/malformed_and_edge.ndjson"));
        assert_eq!(ids, ["gt-1", "gt-1", "gt-6", "gt-o'7"]);
        assert_eq!(unreadable, 2, "the first, and the last, which is cut off");
    }

    #[test]
    fn lines_grid() {
        let closed = |id: &str, at: &str| Said::Closed(Close { id: id.into(), at: at.into() });
        let long = "x".repeat(LONGEST_ID + 1);
        let status = |rest: &str| format!(r#"{{"type":"status","new_status":"closed"{rest}}}"#);
        for (name, line, expected) in [
            ("a close", status(r#","issue_id":"gt-1","timestamp":"t""#), closed("gt-1", "t")),
            ("no time", status(r#","issue_id":"gt-1""#), closed("gt-1", "")),
            ("a time that is none", status(r#","issue_id":"gt-1","timestamp":{"a":1}"#), closed("gt-1", "")),
            ("no id", status(""), Said::Other),
            ("an empty id", status(r#","issue_id":"""#), Said::Other),
            ("a null id", status(r#","issue_id":null"#), Said::Other),
            ("a long id", status(&format!(r#","issue_id":"{long}""#)), Said::Other),
            ("an id with a nul", status(r#","issue_id":"a\u0000b""#), Said::Other),
            ("an id that is a number", status(r#","issue_id":7"#), Said::Unreadable),
            ("another status", r#"{"type":"status","new_status":"open","issue_id":"a"}"#.into(), Said::Other),
            ("another type", r#"{"type":"delete","new_status":"closed","issue_id":"a"}"#.into(), Said::Other),
            (
                "deaf",
                r#"{"type":"error","message":"daemon unreachable"}"#.into(),
                Said::Deaf("daemon unreachable".into()),
            ),
            ("deaf without a word", r#"{"type":"error"}"#.into(), Said::Deaf(String::new())),
            ("blank", "  \r".into(), Said::Other),
            ("no type", r#"{"issue_id":"a"}"#.into(), Said::Unreadable),
            ("a list", "[1]".into(), Said::Unreadable),
            ("text", "Streaming activity from 2 rigs: a, b".into(), Said::Unreadable),
            ("too deep", "[".repeat(100_000), Said::Unreadable),
        ] {
            assert_eq!(read(line.as_bytes()), expected, "{name}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_survived(line: Vec<u8>) {
            let _ = read(&line);
        }

        #[test]
        fn any_damage_to_a_real_line_is_survived(at in 0usize..200, with: Vec<u8>) {
            let mut line = include_bytes!("../../tests/fixtures/convoy/malformed_and_edge.ndjson")[13..180].to_vec();
            let at = at.min(line.len());
            line.splice(at..(at + with.len()).min(line.len()), with);
            let _ = read(&line);
        }
    }
}
