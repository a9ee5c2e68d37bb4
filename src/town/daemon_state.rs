//! Daemon state: `daemon/state.json`, what `gt daemon status` shows.
//!
//! Read by Gas Town 0.2.6 to 0.3 (`internal/daemon/types.go`): keys, order and indentation are Gas Town's.

use std::path::Path;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    go_time,
    reading::{self, FileProblem},
};

/// The content of the file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DaemonState {
    /// False once the supervisor has stopped.
    pub running: bool,
    /// The PID of the supervisor.
    pub pid: u32,
    /// When it started.
    #[serde(with = "go_time")]
    pub started_at: Option<Timestamp>,
    /// When its last heartbeat was complete; the zero time before the first.
    #[serde(with = "go_time")]
    pub last_heartbeat: Option<Timestamp>,
    /// Heartbeats since this start.
    pub heartbeat_count: u64,
}

impl DaemonState {
    /// The file's content; mode 0644.
    pub fn to_bytes(&self) -> serde_json::Result<Vec<u8>> {
        serde_json::to_vec_pretty(self)
    }
}

/// Reads the file's content.
pub fn parse(path: &Path, bytes: &[u8]) -> Result<DaemonState, FileProblem> {
    reading::json(path, bytes)
        .map_err(|problem| problem.advise("the supervisor rewrites it at its next heartbeat"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::town::reading::broken_json;

    #[test]
    fn real_files_read_and_are_written_back_the_same() {
        for (name, text) in [
            (
                "before the first heartbeat",
                include_str!("../../tests/fixtures/state/before_first_heartbeat.json"),
            ),
            ("stopped", include_str!("../../tests/fixtures/state/stopped.json")),
            ("gt's own", include_str!("../../tests/fixtures/state/gt_state_stopped.json")),
        ] {
            let state = parse(Path::new("s"), text.as_bytes()).unwrap();
            assert_eq!(String::from_utf8(state.to_bytes().unwrap()).unwrap(), text.trim_end(), "{name}");
        }
        let running =
            parse(Path::new("s"), include_bytes!("../../tests/fixtures/state/running.json")).unwrap();
        let expected = DaemonState {
            running: true,
            pid: 12345,
            started_at: Some("2026-01-16T20:00:00.123456789Z".parse().unwrap()),
            last_heartbeat: Some("2026-01-16T20:03:00.5Z".parse().unwrap()),
            heartbeat_count: 7,
        };
        assert_eq!(running, expected);
    }

    #[test]
    fn broken_files_are_problems() {
        let corrupt = ("corrupt", b"{\"running\": tr".to_vec());
        let wrong = (
            "pid a string",
            br#"{"running":true,"pid":"1","started_at":"","last_heartbeat":"","heartbeat_count":1}"#.to_vec(),
        );
        for (name, bytes) in broken_json().into_iter().chain([corrupt, wrong]) {
            assert!(parse(Path::new("s"), &bytes).is_err(), "{name}");
        }
    }
}
