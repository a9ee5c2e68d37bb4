//! Patrols: what the daemon of Gas Town 1.x does and this supervisor does not, so that nobody loses it without knowing.
//!
//! Each patrol that `mayor/daemon.json` switches on and that is not run here is a note with the command that does it by hand
//! or from cron; so are the duties that the original has without a switch. From gt 1.0.1 (`internal/daemon`, its
//! `lifecycle_defaults.go` for the names). It must not judge the patrols that are run here.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::finding::{Area, Finding};
use crate::{deps::Deps, terminal};

/// A duty of the original that nobody has here.
struct Duty {
    /// The name of its patrol.
    name: &'static str,
    /// What is not done.
    lost: &'static str,
    /// The command that does it; empty when there is none.
    instead: &'static str,
}

const fn duty(name: &'static str, lost: &'static str, instead: &'static str) -> Duty {
    Duty { name, lost, instead }
}

/// The patrols that are run here, and the entry that is none.
const RUN_HERE: [&str; 5] = ["deacon", "witness", "refinery", "dolt_server", "restart_tracker"];

/// The patrols that are not, by their names in `mayor/daemon.json`.
const PATROLS: [Duty; 11] = [
    duty("checkpoint_dog", "no commits of polecats' unfinished work", ""),
    duty("compactor_dog", "Dolt is not compacted", "gt maintain"),
    duty("doctor_dog", "no health checks of Dolt", "gt dolt status"),
    duty("dolt_backup", "no backups of the Dolt databases", "bd backup"),
    duty("dolt_remotes", "databases are not pushed to remotes", "dolt push"),
    duty("handler", "idle dogs stay, plugins run only by the deacon", ""),
    duty("jsonl_git_backup", "no backups of beads in git", "bd backup"),
    duty("main_branch_test", "main branches are not tested", ""),
    duty("quota_dog", "accounts are not rotated", "gt quota rotate"),
    duty("scheduled_maintenance", "no maintenance at night", "gt maintain"),
    duty("wisp_reaper", "old wisps stay", "gt reaper"),
];

/// The duties that the original has without a switch, but for the pruning of events, which is done here
/// ([`duties`](crate::watchers::duties)).
const ALWAYS: [Duty; 3] = [
    duty("branch pruning", "merged branches stay", "gt prune-branches"),
    duty("orphan cleanup", "orphans stay", "gt deacon cleanup-orphans"),
    duty("dolt.log", "it is not rotated", "gt daemon rotate-logs"),
];

/// The notes about a town whose original daemon has patrols of which some are not run here.
pub async fn examine(deps: &Deps) -> Vec<Finding> {
    if !deps.dialect().is_v1() {
        return Vec::new();
    }
    // What is wrong with the file is reported with the files.
    let content = deps.files.read(&deps.paths.daemon_json()).await.unwrap_or_default();
    let disabled = &deps.settings().patrols.disabled;
    let mut enabled = enabled(&content);
    enabled.retain(|name| !disabled.contains(name));
    judge(&enabled)
}

/// The names of the patrols that are switched on.
fn enabled(daemon_json: &[u8]) -> Vec<String> {
    let file: Map<String, Value> = serde_json::from_slice(daemon_json).unwrap_or_default();
    let patrols: BTreeMap<&String, &Value> =
        file.get("patrols").and_then(Value::as_object).into_iter().flatten().collect();
    let on = patrols.into_iter().filter(|(_, patrol)| patrol["enabled"] == true);
    on.map(|(name, _)| name.clone()).collect()
}

fn judge(enabled: &[String]) -> Vec<Finding> {
    let missing = enabled.iter().filter(|name| !RUN_HERE.contains(&name.as_str())).map(|name| match PATROLS
        .iter()
        .find(|duty| duty.name == name)
    {
        Some(duty) => told(duty),
        None => {
            let name = terminal::one_line(name);
            Area::Patrols.note(format!("{name}: not run here, and not known: it is of a later gt"), "")
        }
    });
    missing.chain(ALWAYS.iter().map(told)).collect()
}

fn told(Duty { name, lost, instead }: &Duty) -> Finding {
    let by_hand = match *instead {
        "" => String::new(),
        command => format!("; `{command}`"),
    };
    Area::Patrols.note(format!("{name}: {lost}{by_hand}"), "")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::finding::Severity;

    #[test]
    fn what_is_lost() {
        let recorded = include_bytes!("../../tests/fixtures/v1/files/mayor.daemon.json");
        let names = enabled(recorded);
        assert_eq!(names.len(), 12, "{names:?}");
        let mut findings = judge(&names);
        let always = findings.split_off(findings.len() - ALWAYS.len());
        let told: Vec<&str> = findings.iter().map(|finding| finding.what.as_str()).collect();
        assert_eq!(
            told,
            [
                "checkpoint_dog: no commits of polecats' unfinished work",
                "compactor_dog: Dolt is not compacted; `gt maintain`",
                "doctor_dog: no health checks of Dolt; `gt dolt status`",
                "dolt_backup: no backups of the Dolt databases; `bd backup`",
                "handler: idle dogs stay, plugins run only by the deacon",
                "jsonl_git_backup: no backups of beads in git; `bd backup`",
                "main_branch_test: main branches are not tested",
                "scheduled_maintenance: no maintenance at night; `gt maintain`",
                "wisp_reaper: old wisps stay; `gt reaper`",
            ]
        );
        assert_eq!(always.len(), ALWAYS.len());
        let all = PATROLS.iter().map(super::told).chain(always).chain(findings);
        for finding in all {
            assert_eq!((finding.severity, &finding.hint), (Severity::Note, &None));
            assert!(finding.what.len() <= 80 - 9, "one line of a terminal: {}", finding.what);
        }
    }

    #[test]
    fn names_that_are_not_known() {
        let text = br#"{"patrols":{"new_dog":{"enabled":true},"witness":{"enabled":true},"dolt_server":{"enabled":true},
            "restart_tracker":{"enabled":true},"wisp_reaper":{"enabled":false},"quota_dog":{},"odd":7}}"#;
        let names = enabled(text);
        assert_eq!(names, ["dolt_server", "new_dog", "restart_tracker", "witness"]);
        let findings = judge(&names);
        assert_eq!(findings.len(), 1 + ALWAYS.len());
        assert_eq!(findings[0].what, "new_dog: not run here, and not known: it is of a later gt");
        for broken in ["", "[]", "{", r#"{"patrols":[]}"#, r#"{"patrols":null}"#] {
            assert_eq!(enabled(broken.as_bytes()), Vec::<String>::new(), "{broken}");
        }
    }
}
