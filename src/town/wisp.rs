//! Wisp: `.beads-wisp/config/<rig>.json`, in which `gt rig park` notes that a rig is out of operation.
//!
//! `{"rig":…,"values":{…},"blocked":[…]}` as Gas Town 0.2.6 to 0.3 writes it; a key in `blocked` counts as unset.
//! This file is one part of whether a rig is operational; labels, emergency stops and the shutdown lock are read
//! elsewhere. A file that cannot be read is unknown, whatever it said before.

use std::{collections::BTreeMap, fmt, path::Path};

use serde::Deserialize;
use serde_json::Value;

use super::reading::{self, FileProblem, Reading};

/// The content of the file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WispConfig {
    /// `values.status`, unless blocked: `parked`, `docked`, or another word, which means nothing here.
    pub status: Option<String>,
    /// Whether `auto_restart` is in `blocked`.
    pub auto_restart_blocked: bool,
    /// `values.auto_restart`, unless blocked or not a boolean.
    pub auto_restart: Option<bool>,
}

/// Whether a rig is operational, as far as this file shows.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum Operational {
    /// It is.
    Yes,
    /// It is not, for this reason.
    No(Closed),
    /// It could not be found out, and why.
    Unknown(String),
}

/// Why a rig is not operational.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Closed {
    /// `gt rig park`.
    Parked,
    /// `gt rig dock`.
    Docked,
    /// `auto_restart` is in the file's `blocked`.
    AutoRestartBlocked,
    /// `auto_restart` is `false`.
    AutoRestartDisabled,
}

impl Closed {
    /// The code: `rig_parked`, `rig_docked`, `auto_restart_blocked` or `auto_restart_disabled`.
    pub fn code(self) -> &'static str {
        match self {
            Closed::Parked => "rig_parked",
            Closed::Docked => "rig_docked",
            Closed::AutoRestartBlocked => "auto_restart_blocked",
            Closed::AutoRestartDisabled => "auto_restart_disabled",
        }
    }

    /// The meaning of `status` in the file, or of the label `status:…` on the rig's bead.
    pub fn by_status(status: &str) -> Option<Self> {
        match status {
            "parked" => Some(Closed::Parked),
            "docked" => Some(Closed::Docked),
            _ => None,
        }
    }
}

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Closed::Parked => "rig is parked",
            Closed::Docked => "rig is docked",
            Closed::AutoRestartBlocked => "auto_restart is blocked",
            Closed::AutoRestartDisabled => "auto_restart is disabled",
        })
    }
}

#[derive(Deserialize)]
struct File {
    #[serde(default, deserialize_with = "reading::null_as_default")]
    values: BTreeMap<String, Value>,
    #[serde(default, deserialize_with = "reading::null_as_default")]
    blocked: Vec<String>,
}

/// Reads the file's content.
pub fn parse(path: &Path, bytes: &[u8]) -> Result<WispConfig, FileProblem> {
    let advise = |problem: FileProblem| {
        problem.advise("nothing is started in this rig until it is correct or gone (`gt rig park` and `unpark` rewrite it)")
    };
    let file: File = reading::json(path, bytes).map_err(advise)?;
    let blocked = |key: &str| file.blocked.iter().any(|name| name == key);
    let value = |key: &str| file.values.get(key).filter(|_| !blocked(key));
    let status = match value("status") {
        None | Some(Value::Null) => None,
        Some(Value::String(status)) => Some(status.clone()),
        Some(_) => {
            let problem = FileProblem::whole(path, "expected a string such as \"parked\"");
            return Err(advise(problem.about("values.status")));
        }
    };
    Ok(WispConfig {
        status,
        auto_restart_blocked: blocked("auto_restart"),
        auto_restart: value("auto_restart").and_then(Value::as_bool),
    })
}

/// Whether the rig is operational. A missing file means yes.
pub fn operational(wisp: &Reading<WispConfig>) -> Operational {
    let config = match wisp {
        Reading::Missing => return Operational::Yes,
        Reading::Bad(problem) => return Operational::Unknown(problem.to_string()),
        Reading::Good(config) => config,
    };
    match config.status.as_deref().and_then(Closed::by_status) {
        Some(closed) => Operational::No(closed),
        None if config.auto_restart_blocked => Operational::No(Closed::AutoRestartBlocked),
        None if config.auto_restart == Some(false) => Operational::No(Closed::AutoRestartDisabled),
        None => Operational::Yes,
    }
}

/// The warning for a missing file, in the words of the original daemon; to be reported once. `ever_parked`: whether
/// `gt` has parked any rig of this town before.
pub fn warning(wisp: &Reading<WispConfig>, rig: &str, ever_parked: bool) -> Option<String> {
    (ever_parked && matches!(wisp, Reading::Missing))
        .then(|| format!("no wisp config for {rig} - parked state may have been lost"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::town::reading::broken_json;

    fn read(bytes: &[u8]) -> Reading<WispConfig> {
        Reading::of(Path::new("w.json"), Ok(bytes.to_vec()), parse)
    }

    fn no(reason: &str) -> Operational {
        let all = [Closed::Parked, Closed::Docked, Closed::AutoRestartBlocked, Closed::AutoRestartDisabled];
        Operational::No(all.into_iter().find(|closed| closed.to_string() == reason).unwrap())
    }

    #[test]
    fn real_files() {
        let parked = include_bytes!("../../tests/fixtures/rig/wisp.parked.json");
        let unparked = include_bytes!("../../tests/fixtures/rig/wisp.unparked.json");
        assert_eq!(operational(&read(parked)), no("rig is parked"));
        assert_eq!(operational(&read(unparked)), Operational::Yes);
    }

    #[test]
    fn the_rule() {
        for (text, expected) in [
            ("{}", Operational::Yes),
            (r#"{"values":null,"blocked":null}"#, Operational::Yes),
            (r#"{"values":{"status":"parked"}}"#, no("rig is parked")),
            (r#"{"values":{"status":"docked"}}"#, no("rig is docked")),
            (r#"{"values":{"status":"active"}}"#, Operational::Yes),
            (r#"{"values":{"status":null}}"#, Operational::Yes),
            (r#"{"values":{"status":"parked"},"blocked":["status"]}"#, Operational::Yes),
            (r#"{"values":{"status":7},"blocked":["status"]}"#, Operational::Yes),
            (r#"{"values":{},"blocked":["auto_restart"]}"#, no("auto_restart is blocked")),
            (r#"{"values":{"auto_restart":true},"blocked":["auto_restart"]}"#, no("auto_restart is blocked")),
            (r#"{"values":{"auto_restart":false}}"#, no("auto_restart is disabled")),
            (r#"{"values":{"auto_restart":true}}"#, Operational::Yes),
            (r#"{"values":{"auto_restart":"false"}}"#, Operational::Yes),
            (r#"{"values":{"auto_restart":0}}"#, Operational::Yes),
            (r#"{"values":{"status":"parked"},"blocked":["auto_restart"]}"#, no("rig is parked")),
            (
                r#"{"values":{"status":"parked","auto_restart":false},"blocked":["status"]}"#,
                no("auto_restart is disabled"),
            ),
            (r#"{"values":{"other":[1,{}]},"blocked":["other"],"more":1}"#, Operational::Yes),
        ] {
            assert_eq!(operational(&read(text.as_bytes())), expected, "{text}");
        }
    }

    #[test]
    fn unreadable_is_unknown_and_missing_is_yes() {
        let others = [
            ("status a number", r#"{"values":{"status":7}}"#),
            ("values a list", r#"{"values":[]}"#),
            ("blocked a string", r#"{"blocked":"status"}"#),
            ("blocked numbers", r#"{"blocked":[7]}"#),
        ];
        let others = others.map(|(name, text)| (name, text.as_bytes().to_vec()));
        for (name, bytes) in broken_json().into_iter().chain(others) {
            let Operational::Unknown(reason) = operational(&read(&bytes)) else { panic!("{name}") };
            assert!(reason.starts_with("w.json:"), "{name}: {reason}");
            assert_eq!(warning(&read(&bytes), "r", true), None, "{name}");
        }
        assert_eq!(operational(&Reading::Missing), Operational::Yes);
        let words = "no wisp config for gastown - parked state may have been lost";
        assert_eq!(warning(&Reading::Missing, "gastown", true).as_deref(), Some(words));
        assert_eq!(warning(&Reading::Missing, "gastown", false), None, "nothing was ever parked");
    }
}
