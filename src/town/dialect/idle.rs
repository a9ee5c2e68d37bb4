//! Idle: what a polecat of gt 1.x says of itself in `.runtime/heartbeats/<session>.json`, as far as it says that it is idle. Pure.
//!
//! Facts from gt 1.0.1 (`internal/daemon/daemon.go`, reapIdlePolecats): a polecat that said `idle` or `exiting` 15 min ago, and said
//! nothing since, is ended. Each `gt` command of the agent writes the file again.

use jiff::Timestamp;
use serde::Deserialize;

/// Since when a polecat has been idle, by the content of its heartbeat file; `None` when the file does not say so.
pub fn since(file: &[u8]) -> Option<Timestamp> {
    #[derive(Deserialize)]
    struct File {
        timestamp: Timestamp,
        state: String,
    }
    let File { timestamp, state } = serde_json::from_slice(file).ok()?;
    matches!(state.as_str(), "idle" | "exiting").then_some(timestamp)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_idle() {
        for (name, file, expected) in [
            (
                "as recorded",
                include_str!("../../../tests/fixtures/v1/files/heartbeat.al-furiosa.json"),
                false,
            ),
            ("idle", r#"{"timestamp":"2026-11-28T16:32:29.36Z","state":"idle"}"#, true),
            ("exiting", r#"{"timestamp":"2026-11-28T16:32:29Z","state":"exiting","bead":"al-1"}"#, true),
            ("stuck", r#"{"timestamp":"2026-11-28T16:32:29Z","state":"stuck"}"#, false),
            ("another case", r#"{"timestamp":"2026-11-28T16:32:29Z","state":"Idle"}"#, false),
            ("no time", r#"{"timestamp":"","state":"idle"}"#, false),
            ("no state", r#"{"timestamp":"2026-11-28T16:32:29Z"}"#, false),
            ("half-written", r#"{"timestamp":"2026-11-28T16:32:29Z","sta"#, false),
        ] {
            assert_eq!(since(file.as_bytes()).is_some(), expected, "{name}");
        }
    }
}
