//! Hooks: the settings file through which Claude Code calls `gt` at its start, before a prompt and at its end.
//!
//! Content as Gas Town 0.2.6 to 0.3 writes it for autonomous roles (`internal/claude/`). It is written with mode 0600
//! and only when absent: what a person or `gt` put there stays. Nothing here writes it.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use crate::town::identity::Identity;

/// The file's mode.
pub const MODE: u32 = 0o600;

/// Where the settings of this agent belong; `None` for roles whose settings are somebody else's.
pub fn settings_path(identity: &Identity, town: &Path) -> Option<PathBuf> {
    identity.facts().hook_settings.map(|pattern| town.join(identity.fill(pattern)))
}

/// The file's content, the same for every role that has one.
pub fn settings_json() -> String {
    let hooks: Map<String, Value> = [
        ("SessionStart", "gt prime && gt mail check --inject && gt nudge deacon session-started"),
        ("PreCompact", "gt prime"),
        ("UserPromptSubmit", "gt mail check --inject"),
        ("Stop", "gt costs record"),
    ]
    .into_iter()
    .map(|(event, command)| {
        // An agent's shell often lacks the directories where `go install` and people put `gt`.
        let command = format!(r#"export PATH="$HOME/go/bin:$HOME/bin:$PATH" && {command}"#);
        (event.to_owned(), json!([{"matcher": "", "hooks": [{"type": "command", "command": command}]}]))
    })
    .collect();
    let settings = json!({"enabledPlugins": {"beads@beads-marketplace": false}, "hooks": hooks});
    format!("{settings:#}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content() {
        let settings: Value = serde_json::from_str(&settings_json()).unwrap();
        assert_eq!(settings["enabledPlugins"], json!({"beads@beads-marketplace": false}));
        let path = r#"export PATH="$HOME/go/bin:$HOME/bin:$PATH" && "#;
        let hooks = settings["hooks"].as_object().unwrap();
        assert_eq!(hooks.len(), 4);
        for (event, command) in [
            ("SessionStart", "gt prime && gt mail check --inject && gt nudge deacon session-started"),
            ("PreCompact", "gt prime"),
            ("UserPromptSubmit", "gt mail check --inject"),
            ("Stop", "gt costs record"),
        ] {
            let entry = json!([{
                "matcher": "",
                "hooks": [{"type": "command", "command": format!("{path}{command}")}],
            }]);
            assert_eq!(hooks[event], entry, "{event}");
        }
    }

    #[test]
    fn who_gets_one() {
        let rig = || "r".parse().unwrap();
        for (identity, path) in [
            (Identity::Deacon, Some("/t/deacon/.claude/settings.json")),
            (Identity::Witness(rig()), Some("/t/r/witness/.claude/settings.json")),
            (Identity::Refinery(rig()), Some("/t/r/refinery/.claude/settings.json")),
            (Identity::Mayor, None),
            (Identity::Boot, None),
            (Identity::Crew(rig(), "max".parse().unwrap()), None),
            (Identity::Polecat(rig(), "Toast".parse().unwrap()), None),
        ] {
            assert_eq!(settings_path(&identity, Path::new("/t")), path.map(PathBuf::from), "{identity}");
        }
    }
}
