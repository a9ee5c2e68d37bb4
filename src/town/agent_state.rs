//! Agent state: `<rig>/.runtime/witness.json` and `refinery.json`, in which `gt` notes whether the agent should run.
//!
//! Shared with Gas Town 0.2.6 to 0.3, which stores more in it than we know: other keys stay, in their order.

use std::path::Path;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::reading::{self, FileProblem};
use crate::town::identity::RigName;

/// What the file says about the agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AgentState {
    /// It runs, or should run.
    Running,
    /// It was stopped.
    Stopped,
    /// It was paused.
    Paused,
    /// Something else, or nothing.
    Other(String),
}

/// Reads the state.
pub fn parse(path: &Path, bytes: &[u8]) -> Result<AgentState, FileProblem> {
    #[derive(Deserialize)]
    struct File {
        #[serde(default, deserialize_with = "reading::null_as_default")]
        state: String,
    }
    let file: File = reading::json(path, bytes)
        .map_err(|problem| problem.advise("the agent rewrites it at its next start"))?;
    Ok(match file.state.as_str() {
        "running" => AgentState::Running,
        "stopped" => AgentState::Stopped,
        "paused" => AgentState::Paused,
        _ => AgentState::Other(reading::shorten(&file.state)),
    })
}

/// The new content for an agent started at `at`: `previous` (the old content, if it could be read) with `state` and
/// `started_at` set. Anything but an object is replaced by a fresh file.
pub fn started(previous: Option<&[u8]>, rig: &RigName, at: Timestamp) -> Vec<u8> {
    let old = previous.and_then(|bytes| serde_json::from_slice::<Map<String, Value>>(bytes).ok());
    let mut file = old.unwrap_or_default();
    file.entry("rig_name").or_insert_with(|| rig.as_str().into());
    file.insert("state".to_owned(), "running".into());
    file.insert("started_at".to_owned(), at.to_string().into());
    format!("{:#}", Value::Object(file)).into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::town::reading::broken_json;

    fn rewrite(previous: Option<&[u8]>) -> String {
        let at = "2026-11-22T21:54:15.774553589Z".parse().unwrap();
        String::from_utf8(started(previous, &"gastown".parse().unwrap(), at)).unwrap()
    }

    #[test]
    fn states() {
        for (text, expected) in [
            (r#"{"state":"running"}"#, AgentState::Running),
            (r#"{"state":"stopped"}"#, AgentState::Stopped),
            (r#"{"state":"paused"}"#, AgentState::Paused),
            (r#"{"state":"dreaming"}"#, AgentState::Other("dreaming".into())),
            (r#"{"state":null}"#, AgentState::Other(String::new())),
            ("{}", AgentState::Other(String::new())),
        ] {
            assert_eq!(parse(Path::new("w"), text.as_bytes()), Ok(expected), "{text}");
        }
        assert!(parse(Path::new("w"), br#"{"state":7}"#).is_err());
        let stopped = include_bytes!("../../tests/fixtures/rig/refinery.after-stop.json");
        assert_eq!(parse(Path::new("r"), stopped), Ok(AgentState::Stopped));
    }

    #[test]
    fn a_stopped_witness_started_is_byte_for_byte_what_gt_writes() {
        let stopped = include_bytes!("../../tests/fixtures/rig/witness.after-stop.json");
        let running = include_str!("../../tests/fixtures/rig/witness.after-start.json");
        assert_eq!(rewrite(Some(stopped)), running);
    }

    #[test]
    fn unknown_keys_and_their_order_stay() {
        let before =
            br#"{"z":1,"state":"stopped","a":{"y":[1.5,null],"b":18446744073709551615},"rig_name":"own"}"#;
        let after: Value = serde_json::from_str(&rewrite(Some(before))).unwrap();
        let keys: Vec<_> = after.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(keys, ["z", "state", "a", "rig_name", "started_at"]);
        assert_eq!(after["a"].to_string(), r#"{"y":[1.5,null],"b":18446744073709551615}"#);
        assert_eq!(after["rig_name"], "own");
    }

    #[test]
    fn what_cannot_be_kept_is_written_afresh() {
        let fresh = rewrite(None);
        let keys = "{\n  \"rig_name\": \"gastown\",\n  \"state\": \"running\",\n  \"started_at\": \"2026";
        assert!(fresh.starts_with(keys), "{fresh}");
        for (name, bytes) in broken_json() {
            assert!(parse(Path::new("w"), &bytes).is_err(), "{name}");
            assert_eq!(rewrite(Some(&bytes)), fresh, "{name}");
        }
    }
}
