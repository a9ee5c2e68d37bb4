//! Heartbeat files of Gas Town 1.x: `.runtime/heartbeats/<session>.json`, one for each polecat and crew member.
//!
//! Every `gt` command that such an agent runs touches its file (`internal/cmd/root.go`, `internal/polecat/heartbeat.go`; gt
//! 1.0.1). Where the file exists, `gt` takes its age for life: it calls a session whose file is older than 3 min stale,
//! and kills it when it starts the agent or gives it work. This module must not read the disk.

use std::path::Path;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::town::{
    go_time,
    reading::{self, FileProblem},
};

/// What an agent says it is doing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Doing {
    /// It works.
    Working,
    /// It has no work.
    Idle,
    /// It is done and about to end.
    Exiting,
    /// It asks for help.
    Stuck,
    /// Another word.
    #[serde(untagged)]
    Other(String),
}

/// The content of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heartbeat {
    /// When the agent last ran a `gt` command.
    pub timestamp: Timestamp,
    /// What it was doing then; an early `gt` writes none, and means that it works.
    pub doing: Doing,
    /// What it says about that; may be empty.
    pub context: String,
    /// The bead it works on; may be empty.
    pub bead: String,
}

#[derive(Serialize, Deserialize)]
struct File {
    #[serde(with = "go_time")]
    timestamp: Option<Timestamp>,
    state: Option<Doing>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    context: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    bead: String,
}

impl Heartbeat {
    /// That of an agent that was started at this time.
    pub fn started(now: Timestamp) -> Self {
        Heartbeat { timestamp: now, doing: Doing::Working, context: String::new(), bead: String::new() }
    }

    /// Whether it has nothing (more) to do, as far as it says.
    pub fn is_resting(&self) -> bool {
        matches!(self.doing, Doing::Idle | Doing::Exiting)
    }

    /// The file's content.
    pub fn to_bytes(&self) -> serde_json::Result<Vec<u8>> {
        let Heartbeat { timestamp, doing, context, bead } = self.clone();
        serde_json::to_vec(&File { timestamp: Some(timestamp), state: Some(doing), context, bead })
    }
}

/// Reads the file's content.
pub fn parse(path: &Path, bytes: &[u8]) -> Result<Heartbeat, FileProblem> {
    let advise = |problem: FileProblem| problem.advise("the agent's next gt command rewrites it");
    let file: File = reading::json(path, bytes).map_err(advise)?;
    let timestamp = file
        .timestamp
        .ok_or_else(|| advise(FileProblem::whole(path, "it has no time").about("timestamp")))?;
    let doing = file.state.unwrap_or(Doing::Working);
    Ok(Heartbeat { timestamp, doing, context: file.context, bead: file.bead })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::town::reading::broken_json;

    fn read(text: &str) -> Result<Heartbeat, FileProblem> {
        parse(Path::new("h"), text.as_bytes())
    }

    #[test]
    fn what_gt_writes_is_read_and_written_the_same() {
        for text in [
            include_str!("../../../tests/fixtures/v1/files/heartbeat.al-furiosa.json"),
            include_str!("../../../tests/fixtures/v1/files/heartbeat.al-nux.json"),
        ] {
            let heartbeat = read(text).unwrap();
            assert_eq!(heartbeat.doing, Doing::Working);
            assert_eq!(String::from_utf8(heartbeat.to_bytes().unwrap()).unwrap(), text);
        }
        let now = "2026-11-28T16:14:18.5Z".parse().unwrap();
        let ours = r#"{"timestamp":"2026-11-28T16:14:18.5Z","state":"working"}"#;
        assert_eq!(String::from_utf8(Heartbeat::started(now).to_bytes().unwrap()).unwrap(), ours);
    }

    #[test]
    fn words() {
        for (state, doing, resting) in [
            (r#""working""#, Doing::Working, false),
            (r#""idle""#, Doing::Idle, true),
            (r#""exiting""#, Doing::Exiting, true),
            (r#""stuck""#, Doing::Stuck, false),
            (r#""dreaming""#, Doing::Other("dreaming".to_owned()), false),
            ("null", Doing::Working, false),
        ] {
            let text = format!(
                r#"{{"timestamp":"2026-11-28T16:14:18Z","state":{state},"context":"c","bead":"al-1","x":1}}"#
            );
            let heartbeat = read(&text).unwrap();
            assert_eq!((&heartbeat.doing, heartbeat.is_resting()), (&doing, resting), "{state}");
            assert_eq!((heartbeat.context.as_str(), heartbeat.bead.as_str()), ("c", "al-1"));
        }
        assert_eq!(read(r#"{"timestamp":"2026-11-28T16:14:18Z"}"#).unwrap().doing, Doing::Working);
    }

    #[test]
    fn broken_files_are_problems() {
        for (name, bytes) in broken_json() {
            assert!(parse(Path::new("h"), &bytes).is_err(), "{name}");
        }
        for text in [r#"{"state":"idle"}"#, r#"{"timestamp":"0001-01-01T00:00:00Z","state":"idle"}"#] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
