//! Boot status: `deacon/dogs/boot/.boot-status.json`, what boot (or the supervisor in its place) last did about the
//! deacon.
//!
//! The format of Gas Town 0.2.6 to 0.3; absent `target` and `error` are left out.

use std::path::Path;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    go_time,
    reading::{self, FileProblem},
};

/// The content of the file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct BootStatus {
    /// Whether boot is running.
    pub running: bool,
    /// When boot started.
    #[serde(with = "go_time")]
    pub started_at: Option<Timestamp>,
    /// When boot was done.
    #[serde(with = "go_time")]
    pub completed_at: Option<Timestamp>,
    /// `start`, `nothing`, `error`, or another word that boot writes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_action: Option<String>,
    /// The target of the action: `deacon`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// What went wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

impl BootStatus {
    /// The file's content.
    pub fn to_bytes(&self) -> serde_json::Result<Vec<u8>> {
        serde_json::to_vec_pretty(self)
    }
}

/// Reads the file's content.
pub fn parse(path: &Path, bytes: &[u8]) -> Result<BootStatus, FileProblem> {
    reading::json(path, bytes).map_err(|problem| problem.advise("boot rewrites it"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::town::reading::broken_json;

    #[test]
    fn real_shapes_read_and_are_written_back_the_same() {
        for (name, text) in [
            ("error", include_str!("../../tests/fixtures/boot/error.json")),
            ("nothing", include_str!("../../tests/fixtures/boot/nothing.json")),
            ("running", include_str!("../../tests/fixtures/boot/running_zero_completed.json")),
        ] {
            let status = parse(Path::new("b"), text.as_bytes()).unwrap();
            assert_eq!(String::from_utf8(status.to_bytes().unwrap()).unwrap(), text.trim_end(), "{name}");
        }
        let start = parse(Path::new("b"), include_bytes!("../../tests/fixtures/boot/start.json")).unwrap();
        assert_eq!(start.started_at, Some("2026-01-16T20:00:00.1Z".parse().unwrap()));
        assert_eq!((start.last_action.as_deref(), start.target.as_deref()), (Some("start"), Some("deacon")));
    }

    #[test]
    fn broken_files_are_problems() {
        for (name, bytes) in broken_json() {
            assert!(parse(Path::new("b"), &bytes).is_err(), "{name}");
        }
    }
}
