//! Restart state: `daemon/restart_state.json`, the restart histories that outlive the supervisor.
//!
//! The format of Gas Town 0.2.6 to 0.3 (`internal/daemon/restart_tracker.go`), with `recent` added by us. Unknown
//! keys are preserved. The policy itself is elsewhere; the caller sets a file aside that does not parse.

use std::{collections::BTreeMap, path::Path};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{
    go_time,
    reading::{self, FileProblem},
};

/// The content of the file.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct RestartState {
    /// The entries, by identity (`gastown/witness`).
    #[serde(default, deserialize_with = "reading::null_as_default")]
    pub agents: BTreeMap<String, RestartEntry>,
    /// The keys of other programs.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// One agent's restarts.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RestartEntry {
    /// The last counted restart.
    #[serde(with = "go_time")]
    pub last_restart: Option<Timestamp>,
    /// Restarts since the agent was last stable.
    pub restart_count: u32,
    /// Not to be restarted before this time.
    #[serde(with = "go_time")]
    pub backoff_until: Option<Timestamp>,
    /// Since when it is held in a crash loop.
    #[serde(with = "go_time")]
    pub crash_loop_since: Option<Timestamp>,
    /// The latest counted restarts, oldest first; only this supervisor writes them.
    #[serde(deserialize_with = "reading::null_as_default", skip_serializing_if = "Vec::is_empty")]
    pub recent: Vec<Timestamp>,
    /// The keys of other programs.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

impl RestartState {
    /// The file's content.
    pub fn to_bytes(&self) -> serde_json::Result<Vec<u8>> {
        serde_json::to_vec_pretty(self)
    }
}

/// Reads the file's content.
pub fn parse(path: &Path, bytes: &[u8]) -> Result<RestartState, FileProblem> {
    reading::json(path, bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::town::reading::broken_json;

    fn read(text: &str) -> Result<RestartState, FileProblem> {
        parse(Path::new("daemon/restart_state.json"), text.as_bytes())
    }

    #[test]
    fn reads_gts_shape_and_keeps_what_it_does_not_know() {
        let text = r#"{
  "agents": {
    "deacon": {
      "last_restart": "2026-01-16T12:00:00Z",
      "restart_count": 3,
      "backoff_until": "0001-01-01T00:00:00Z",
      "crash_loop_since": "0001-01-01T00:00:00Z",
      "recent": [
        "2026-01-16T11:00:00Z",
        "2026-01-16T12:00:00Z"
      ],
      "mood": "good"
    }
  },
  "version": 2
}"#;
        let state = read(text).unwrap();
        let entry = &state.agents["deacon"];
        assert_eq!(entry.last_restart, Some("2026-01-16T12:00:00Z".parse().unwrap()));
        assert_eq!((entry.restart_count, entry.backoff_until, entry.recent.len()), (3, None, 2));
        assert_eq!(String::from_utf8(state.to_bytes().unwrap()).unwrap(), text);
    }

    #[test]
    fn tolerates_what_go_leaves_out() {
        for text in ["{}", r#"{"agents":null}"#, r#"{"agents":{}}"#] {
            assert_eq!(read(text), Ok(RestartState::default()), "{text}");
        }
        let state = read(r#"{"agents":{"r/witness":{"recent":null,"last_restart":""}}}"#).unwrap();
        assert_eq!(state.agents["r/witness"], RestartEntry::default());
    }

    #[test]
    fn broken_files_are_problems_that_name_the_place() {
        for (name, text, begin) in [
            ("count", "{\"agents\":{\"a\":{\"restart_count\":-1}}}", "daemon/restart_state.json:1:"),
            ("time", "{\"agents\":{\"a\":{\"last_restart\":\"noon\"}}}", "daemon/restart_state.json:1:"),
            ("agent", "{\"agents\":{\n\"a\":7}}", "daemon/restart_state.json:2:"),
        ] {
            let problem = read(text).expect_err(name).to_string();
            assert!(problem.starts_with(begin), "{name}: {problem}");
        }
        for (name, bytes) in broken_json() {
            assert!(parse(Path::new("r"), &bytes).is_err(), "{name}");
        }
    }
}
