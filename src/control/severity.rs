//! Severity: how bad an open problem is, and which agent it concerns, by its key. Pure.
//!
//! The key of a problem of an agent is `<agent>/<kind>`, in a rig `rig/<rig>/<agent>/<kind>`; other keys name a part of the supervisor.
//! Nothing may be decided by a severity: it orders what people read.

use serde::{Deserialize, Serialize};

use crate::town::identity::Identity;

/// How bad a problem is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "test-support", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Something is not done that the supervisor is there for.
    Error,
    /// Something is to be examined.
    Warning,
}

/// The kinds of an agent's problems because of which it does not run or work.
const AGENT_ERRORS: [&str; 5] = ["crash_loop", "program", "start", "elsewhere", "foreign"];

/// What the keys of other errors begin with: tools, the disk, the gates, the settings, the town's own files, accounts.
const ERRORS: [&str; 16] = [
    "account/",
    "actors/",
    "command/",
    "control/",
    "dolt",
    "events/write",
    "file/",
    "gate/",
    "heartbeat/late",
    "ledger/bd",
    "log",
    "own_directory",
    "sessions",
    "settings",
    "start_by_gt",
    "write/",
];

/// How bad a problem with this key is.
pub fn of(key: &str) -> Severity {
    let kind = key.rsplit('/').next().unwrap_or(key);
    let is_error = match agent(key) {
        Some(_) => AGENT_ERRORS.contains(&kind),
        None => ERRORS.iter().any(|prefix| key.starts_with(prefix)),
    };
    if is_error { Severity::Error } else { Severity::Warning }
}

/// The agent that a problem with this key concerns; `None` when it is none of one agent.
pub fn agent(key: &str) -> Option<Identity> {
    let (agent, _) = key.rsplit_once('/')?;
    let own = agent.strip_prefix("rig/").and_then(|rest| rest.split_once('/')).map(|(_, agent)| agent);
    own.unwrap_or(agent).parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_bad_a_problem_is_and_whose() {
        for (key, severity, whose) in [
            ("rig/r/r/witness/crash_loop", Severity::Error, Some("r/witness")),
            ("rig/r/r/polecats/Toast/question", Severity::Warning, Some("r/polecats/Toast")),
            ("mayor/program", Severity::Error, Some("mayor")),
            ("deacon/heartbeat", Severity::Warning, Some("deacon")),
            ("deacon/heartbeat_stale", Severity::Warning, Some("deacon")),
            ("rig/r/r/polecats/Toast/stalled", Severity::Warning, Some("r/polecats/Toast")),
            ("rig/r/polecats/unsupervised", Severity::Warning, None),
            ("ledger/bd_hung", Severity::Error, None),
            ("rig/r/wisp", Severity::Warning, None),
            ("gate/estop", Severity::Error, None),
            ("command/bd", Severity::Error, None),
            ("write/daemon/state.json", Severity::Error, None),
            ("account/claude (/home/x/.claude)/usage_limit", Severity::Error, None),
            ("convoy/held_up", Severity::Warning, None),
            ("scheduler", Severity::Warning, None),
            ("", Severity::Warning, None),
        ] {
            let shown = agent(key).map(|agent| agent.to_string());
            assert_eq!((of(key), shown.as_deref()), (severity, whose), "{key}");
        }
    }
}
