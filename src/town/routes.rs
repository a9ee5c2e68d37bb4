//! Routes: `.beads/routes.jsonl`, which bead prefix belongs to which part of the town.
//!
//! One `{"prefix":"gt-","path":"gastown/mayor/rig"}` a line, as `gt rig add` writes it (Gas Town 0.2.6 to 0.3); the
//! path `.` is the town. Like `bd`, it must not fail because of one line: blank, `#` and malformed lines are skipped.

use serde::Deserialize;

use super::reading::{self, Place};
use crate::town::identity::{AgentName, RigName};

/// One route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// The prefix without its trailing `-`.
    pub prefix: String,
    /// The directory of its beads, relative to the town; `.` is the town.
    pub path: String,
}

/// All routes, in the order of the file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Routes {
    /// The valid routes.
    pub routes: Vec<Route>,
    /// The malformed lines.
    pub skipped: Vec<Malformed>,
}

/// A line that was skipped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Malformed {
    /// The position of the error.
    pub place: Place,
    /// The error.
    pub reason: String,
}

impl Routes {
    /// The prefix of a rig: of the first route whose path starts with the rig's directory.
    pub fn prefix(&self, rig: &RigName) -> Option<&str> {
        let of_rig = |route: &&Route| route.path.split('/').next() == Some(rig.as_str());
        self.routes.iter().find(of_rig).map(|route| route.prefix.as_str())
    }
}

/// Reads the file's content.
pub fn parse(bytes: &[u8]) -> Routes {
    let mut parsed = Routes::default();
    for (index, whole) in bytes.split(|byte| *byte == b'\n').enumerate() {
        let line = whole.trim_ascii();
        if line.is_empty() || line.starts_with(b"#") {
            continue;
        }
        match route(line) {
            Ok(route) => parsed.routes.push(route),
            Err((column, reason)) => {
                let indent = whole.len() - whole.trim_ascii_start().len();
                let place = Place { line: index + 1, column: indent + column.max(1) };
                parsed.skipped.push(Malformed { place, reason });
            }
        }
    }
    parsed
}

/// The route in a line, or the column of the error and why.
fn route(line: &[u8]) -> Result<Route, (usize, String)> {
    #[derive(Deserialize)]
    struct Line {
        prefix: String,
        path: String,
    }
    let Line { prefix, path } =
        serde_json::from_slice(line).map_err(|error| (error.column(), reading::json_reason(&error)))?;
    let bad = || (1, format!("{:?} cannot be a prefix of beads", reading::shorten(&prefix)));
    Ok(Route { prefix: prefix_word(&prefix).ok_or_else(bad)?, path })
}

/// A prefix without its trailing `-`. It becomes part of ids, session names and arguments, so it must be a plain word.
pub(super) fn prefix_word(text: &str) -> Option<String> {
    let word = text.strip_suffix('-').unwrap_or(text);
    word.parse::<AgentName>().is_ok().then(|| word.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefix(file: &[u8], rig: &str) -> Option<String> {
        parse(file).prefix(&rig.parse().unwrap()).map(str::to_owned)
    }

    #[test]
    fn a_real_file() {
        let file = include_bytes!("../../tests/fixtures/town/routes.jsonl");
        assert_eq!(prefix(file, "gastown").as_deref(), Some("gt"));
        assert_eq!(prefix(file, "beads").as_deref(), Some("bd"));
        assert_eq!(prefix(file, "other"), None);
        assert_eq!(parse(file).skipped, []);
    }

    #[test]
    fn bad_lines_are_skipped_and_the_rest_works() {
        let good = r#"{"prefix":"ok-","path":"r/mayor/rig"}"#;
        let deep = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
        let long = format!(r#"{{"prefix":"{}-","path":"r"}}"#, "p".repeat(300));
        for (name, line, skipped) in [
            ("blank", "  ", 0),
            ("comment", "# {\"prefix\":\"no-\",\"path\":\"r\"}", 0),
            ("half", "{\"prefix\":\"no-\",", 1),
            ("null", "null", 1),
            ("wrong type", "{\"prefix\":7,\"path\":\"r\"}", 1),
            ("no path", "{\"prefix\":\"no-\"}", 1),
            ("null path", "{\"prefix\":\"no-\",\"path\":null}", 1),
            ("empty prefix", "{\"prefix\":\"\",\"path\":\"r\"}", 1),
            ("only a dash", "{\"prefix\":\"-\",\"path\":\"r\"}", 1),
            ("an option", "{\"prefix\":\"--help\",\"path\":\"r\"}", 1),
            ("a path as prefix", "{\"prefix\":\"../evil\",\"path\":\"r\"}", 1),
            ("300 characters", long.as_str(), 1),
            ("deep nesting", deep.as_str(), 1),
            ("byte order mark", "\u{feff}{\"prefix\":\"no-\",\"path\":\"r\"}", 1),
        ] {
            let parsed = parse(format!("{line}\r\n{good}\n").as_bytes());
            assert_eq!(parsed.skipped.len(), skipped, "{name}");
            assert_eq!(parsed.prefix(&"r".parse().unwrap()), Some("ok"), "{name}");
        }
        assert_eq!(parse(b"\xff\xfe\n").skipped.len(), 1);
        assert_eq!(parse(&b"\x00junk\n".repeat(150_000)).routes, []);
    }

    #[test]
    fn the_first_route_whose_first_component_is_the_rig() {
        let file = br#"{"prefix":"town-","path":"."}
            {"prefix":"ab-","path":"a-b"}
            {"prefix":"a-","path":"a/mayor/rig"}
            {"prefix":"late-","path":"a"}
            {"prefix":"my-word-","path":"c"}"#;
        assert_eq!(prefix(file, "a").as_deref(), Some("a"));
        assert_eq!(prefix(file, "a-b").as_deref(), Some("ab"));
        assert_eq!(prefix(file, "c").as_deref(), Some("my-word"));
        assert_eq!(prefix(file, "mayor"), None);
    }
}
