//! The deacon's files: the heartbeat that shows it makes progress, and the pause that `gt deacon pause` writes.
//!
//! `deacon/heartbeat.json` is written by an AI agent, `.runtime/deacon/paused.json` by Gas Town 0.2.6 to 0.3. Both
//! are only read here; the deacon's rules judge their age.

use std::path::Path;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use super::{
    go_time,
    reading::{self, FileProblem},
};

/// `deacon/heartbeat.json`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heartbeat {
    /// When the deacon last showed progress.
    pub timestamp: Timestamp,
    /// The round it was in, if given.
    pub cycle: Option<u64>,
    /// What it did last, if given.
    pub last_action: Option<String>,
}

/// `.runtime/deacon/paused.json`. A missing file is the default: not paused.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pause {
    /// Whether the deacon is paused.
    pub paused: bool,
    /// The reason, as given to `gt deacon pause`.
    pub reason: Option<String>,
    /// Since when it is paused.
    pub paused_at: Option<Timestamp>,
    /// The agent or person that paused it.
    pub paused_by: Option<String>,
}

/// Parses a heartbeat. Only the timestamp must be valid: an agent that writes its cycle as a string makes progress
/// all the same. The zero time is a problem, not a very old heartbeat.
pub fn parse_heartbeat(path: &Path, bytes: &[u8]) -> Result<Heartbeat, FileProblem> {
    #[derive(Deserialize)]
    struct File {
        #[serde(with = "go_time")]
        timestamp: Option<Timestamp>,
        #[serde(default)]
        cycle: Value,
        #[serde(default)]
        last_action: Value,
    }
    let advise = |problem: FileProblem| {
        problem.advise("the deacon's progress is not known until it writes a valid one")
    };
    let file: File = reading::json(path, bytes).map_err(advise)?;
    let timestamp = file
        .timestamp
        .ok_or_else(|| advise(FileProblem::whole(path, "it has no time").about("timestamp")))?;
    Ok(Heartbeat {
        timestamp,
        cycle: file.cycle.as_u64(),
        last_action: file.last_action.as_str().map(str::to_owned),
    })
}

/// Parses a pause file. Only `paused` must be valid.
pub fn parse_pause(path: &Path, bytes: &[u8]) -> Result<Pause, FileProblem> {
    #[derive(Deserialize)]
    struct File {
        paused: bool,
        #[serde(default)]
        reason: Value,
        #[serde(default)]
        paused_at: Value,
        #[serde(default)]
        paused_by: Value,
    }
    let file: File = reading::json(path, bytes)
        .map_err(|problem| problem.advise("`gt deacon pause` and `gt deacon resume` rewrite it"))?;
    let text = |value: &Value| value.as_str().filter(|text| !text.is_empty()).map(str::to_owned);
    Ok(Pause {
        paused: file.paused,
        reason: text(&file.reason),
        paused_at: file.paused_at.as_str().and_then(|at| go_time::parse(at).ok()).flatten(),
        paused_by: text(&file.paused_by),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::town::reading::broken_json;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn a_real_heartbeat() {
        let heartbeat =
            parse_heartbeat(Path::new("h"), include_bytes!("../../tests/fixtures/deacon/heartbeat.json"))
                .unwrap();
        assert_eq!(
            heartbeat,
            Heartbeat {
                timestamp: at("2026-11-22T20:53:05.103796971Z"),
                cycle: Some(1),
                last_action: Some("patrol done".into())
            }
        );
    }

    #[test]
    fn only_the_timestamp_must_be_right() {
        let ok = Ok(at("2026-01-16T20:00:00Z"));
        for (text, expected) in [
            (r#"{"timestamp":"2026-01-16T12:00:00-08:00"}"#, ok),
            (r#"{"timestamp":"2026-01-16T20:00:00Z","cycle":"three","last_action":7}"#, ok),
            (r#"{"timestamp":"2026-01-16T20:00:00Z","cycle":-1,"last_action":null,"x":[]}"#, ok),
            ("{}", Err("h:1:2: missing field `timestamp`")),
            (r#"{"timestamp":null}"#, Err("h: timestamp: it has no time")),
            (r#"{"timestamp":"0001-01-01T00:00:00Z"}"#, Err("h: timestamp: it has no time")),
            (r#"{"timestamp":1768593600}"#, Err("h:1:23: timestamp: invalid type: integer")),
            (r#"{"timestamp":"noon"}"#, Err("h:1:")),
        ] {
            match (parse_heartbeat(Path::new("h"), text.as_bytes()), expected) {
                (Ok(heartbeat), Ok(timestamp)) => assert_eq!(heartbeat.timestamp, timestamp, "{text}"),
                (Err(problem), Err(begin)) => {
                    assert!(problem.to_string().starts_with(begin), "{text}: {problem}")
                }
                (got, _) => panic!("{text}: {got:?}"),
            }
        }
    }

    #[test]
    fn pauses() {
        let real = include_bytes!("../../tests/fixtures/deacon/paused.json");
        let expected = Pause {
            paused: true,
            reason: Some("testing".into()),
            paused_at: Some(at("2026-11-22T22:07:09.914240088Z")),
            paused_by: Some("human".into()),
        };
        assert_eq!(parse_pause(Path::new("p"), real).unwrap(), expected);
        for (text, paused) in [
            (r#"{"paused":false,"reason":"x"}"#, Some(false)),
            (r#"{"paused":true,"paused_at":"noon","reason":7}"#, Some(true)),
            (r#"{"paused":"true"}"#, None),
            (r#"{"paused":null}"#, None),
            ("{}", None),
        ] {
            let read = parse_pause(Path::new("p"), text.as_bytes()).ok().map(|pause| pause.paused);
            assert_eq!(read, paused, "{text}");
        }
    }

    #[test]
    fn broken_files_are_problems() {
        for (name, bytes) in broken_json() {
            assert!(parse_heartbeat(Path::new("h"), &bytes).is_err(), "{name}");
            assert!(parse_pause(Path::new("p"), &bytes).is_err(), "{name}");
        }
    }
}
