//! Hooks: the settings file through which Claude Code calls `gt` at its start, before a prompt and at its end.
//!
//! Content as Gas Town 0.2.6 to 0.3 writes it for autonomous roles (`internal/claude/`), and gt 1.0.1 for all
//! (`internal/hooks/`). It is written with mode 0600 and only when absent: what a person or `gt` put there stays. Nothing here
//! writes it.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use crate::town::{
    dialect::{Dialect, roles},
    identity::Identity,
};

/// The file's mode.
pub const MODE: u32 = 0o600;

/// Where the settings of this agent belong; `None` for roles whose settings are somebody else's.
pub fn settings_path(dialect: Dialect, identity: &Identity, town: &Path) -> Option<PathBuf> {
    let pattern = roles::of(dialect, identity.role()).hook_settings?;
    Some(town.join(identity.fill(pattern)))
}

/// The file's content in January's towns, the same for every role that has one.
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

/// What `gt` looks at before an agent does it: a pattern of Claude Code, and the guard.
const GUARDED: [(&str, &str); 3] = [
    ("Bash(gh pr create*)", "pr-workflow"),
    ("Bash(git checkout -b*)", "pr-workflow"),
    ("Bash(git switch -c*)", "pr-workflow"),
];

/// What an agent on its own must not do, as it would wait for a person or change the machine.
const DANGEROUS: [&str; 7] = [
    "Bash(sudo *)",
    "Bash(apt install*)",
    "Bash(apt-get install*)",
    "Bash(dnf install*)",
    "Bash(yum install*)",
    "Bash(pacman -S*)",
    "Bash(brew install*)",
];

/// The file's content in 1.x towns. `gt` is the command to call; `is_interactive` as in
/// [`RoleFacts`](roles::RoleFacts::is_interactive).
pub fn settings_json_v1(gt: &str, is_interactive: bool) -> String {
    let gt = shell_words::quote(gt);
    let hook = |matcher: &str, command: String| json!({"matcher": matcher, "hooks": [{"type": "command", "command": command}]});
    let mut guards: Vec<Value> =
        GUARDED.iter().map(|(matcher, guard)| hook(matcher, format!("{gt} tap guard {guard}"))).collect();
    if !is_interactive {
        // `gt` itself writes this command in this way.
        let guard = r#"export PATH="$HOME/go/bin:$HOME/.local/bin:$PATH" && gt tap guard dangerous-command"#;
        guards.extend(DANGEROUS.iter().map(|matcher| hook(matcher, guard.to_owned())));
    }
    let prime = format!("{gt} prime --hook");
    let mail = format!("{gt} mail check --inject");
    let start = if is_interactive { prime.clone() } else { format!("{prime} && {mail}") };
    let settings = json!({
        "skipDangerousModePermissionPrompt": true,
        "editorMode": "normal",
        "enabledPlugins": {"beads@beads-marketplace": false},
        "hooks": {
            "PreToolUse": guards,
            "SessionStart": [hook("", start)],
            "PreCompact": [hook("", prime)],
            "UserPromptSubmit": [hook("", mail)],
            "Stop": [hook("", format!("{gt} costs record &"))],
        },
    });
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
            assert_eq!(
                settings_path(Dialect::January, &identity, Path::new("/t")),
                path.map(PathBuf::from),
                "{identity}"
            );
        }
    }

    #[test]
    fn in_1_x_the_content_is_that_of_gt() {
        for (is_interactive, recorded) in [
            (false, include_str!("../../tests/fixtures/v1/files/deacon.claude.settings.json")),
            (false, include_str!("../../tests/fixtures/v1/files/witness.claude.settings.json")),
            (false, include_str!("../../tests/fixtures/v1/files/alpha.refinery.claude.settings.json")),
            (false, include_str!("../../tests/fixtures/v1/files/alpha.polecats.claude.settings.json")),
            (true, include_str!("../../tests/fixtures/v1/files/mayor.claude.settings.json")),
        ] {
            let content = settings_json_v1("/usr/local/bin/gt", is_interactive);
            assert_eq!(content.trim_end(), recorded.trim_end());
        }
        assert!(settings_json_v1("/my dir/gt", true).contains("'/my dir/gt' prime --hook"));
    }

    #[test]
    fn in_1_x_nearly_all_get_one() {
        for (identity, path) in [
            ("mayor", Some("/t/mayor/.claude/settings.json")),
            ("deacon", Some("/t/deacon/.claude/settings.json")),
            ("deacon-boot", None),
            ("r/witness", Some("/t/r/witness/.claude/settings.json")),
            ("r/refinery", Some("/t/r/refinery/.claude/settings.json")),
            ("r/crew/max", Some("/t/r/crew/.claude/settings.json")),
            ("r/polecats/Toast", Some("/t/r/polecats/.claude/settings.json")),
        ] {
            let got = settings_path(Dialect::V1, &identity.parse().unwrap(), Path::new("/t"));
            assert_eq!(got, path.map(PathBuf::from), "{identity}");
        }
    }
}
