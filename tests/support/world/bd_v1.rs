//! `bd` 1.0.2 as recorded (`tests/fixtures/v1`): it sees the beads of one database, that of the directory it runs in.
//!
//! Agent beads are in the town's database, whatever their prefix; other beads are in that of their prefix. It has no
//! daemon, no `sync` and no `activity`.

use gastown_supervisor::commands::{Command, CommandError, Printed};
use serde_json::{Value, json};

use super::{State, TOWN};

impl State {
    /// The database of the directory in which a command runs: a rig, or empty for the town.
    pub fn database_here(&self, command: &Command) -> String {
        let below = command.directory.strip_prefix(TOWN).unwrap_or(&command.directory);
        let rig = below.iter().next().map(|name| name.to_string_lossy().into_owned());
        rig.filter(|rig| self.routed_rigs().contains(rig)).unwrap_or_default()
    }

    /// Runs `bd`.
    pub fn bd_v1(&self, command: &Command) -> Result<Printed, CommandError> {
        let words: Vec<&str> = command.arguments.iter().map(String::as_str).collect();
        let (code, stdout, stderr) = match words.as_slice() {
            ["version"] => (0, self.bd_version.to_owned(), String::new()),
            [subcommand, ..] if self.bd_errors.contains_key(subcommand) => {
                let error = json!({"error": self.bd_errors[subcommand], "schema_version": 1});
                (1, format!("{error:#}\n"), String::new())
            }
            ["show", rest @ ..] => self.show_v1(&self.database_here(command), rest),
            ["list", rest @ ..] => self.list_v1(&self.database_here(command), rest),
            _ => unknown(&format!("unknown command {:?} for \"bd\"", words.join(" "))),
        };
        match code {
            0 => Ok(Printed { stdout: stdout.into_bytes(), stderr: stderr.into_bytes() }),
            _ => Err(CommandError::Failed {
                line: command.line(),
                status: format!("exit code {code}"),
                code: Some(code),
                stdout: stdout.into_bytes(),
                stderr,
            }),
        }
    }

    fn show_v1(&self, database: &str, words: &[&str]) -> (i32, String, String) {
        let (flags, ids): (Vec<&str>, Vec<&str>) = words.iter().partition(|word| word.starts_with("--"));
        if flags != ["--json"] {
            return unknown(&format!("unknown flag in {flags:?}"));
        }
        let bead = |id: &str| self.beads.get(id).cloned().or_else(|| self.step_of_a_convoy(id));
        let here = |id: &&str| bead(id).filter(|bead| self.home(bead) == database);
        let found: Vec<Value> = ids.iter().filter_map(here).collect();
        let missing = ids.iter().filter(|id| here(id).is_none());
        let told =
            missing.map(|id| format!("Error fetching {id}: no issue found matching {id:?}\n")).collect();
        if found.is_empty() {
            let error = json!({"error": "no issues found matching the provided IDs"});
            return (1, format!("{error:#}\n"), told);
        }
        (0, format!("{:#}\n", json!(found)), told)
    }

    fn list_v1(&self, database: &str, words: &[&str]) -> (i32, String, String) {
        let (mut status, mut assignee, mut kind) = (None, None, None);
        let mut rest = words.iter();
        while let Some(word) = rest.next() {
            match (*word, word.split_once('=')) {
                (_, Some(("--status", value))) => status = Some(value),
                (_, Some(("--assignee", value))) => assignee = Some(value),
                (_, Some(("--type", value))) => kind = Some(value),
                ("--limit", _) if rest.next() == Some(&"0") => {}
                ("--json" | "--flat", _) => {}
                _ => return unknown(&format!("unknown flag: {word}")),
            }
        }
        let is = |bead: &&Value, key: &str, wanted: Option<&str>| {
            wanted.is_none_or(|wanted| wanted.split(',').any(|one| bead[key] == one))
        };
        let rows: Vec<&Value> = self
            .beads
            .values()
            .filter(|bead| self.home(bead) == database)
            .filter(|bead| is(bead, "status", status) && is(bead, "assignee", assignee))
            .filter(|bead| is(bead, "issue_type", kind))
            .collect();
        (0, format!("{:#}\n", json!(rows)), String::new())
    }

    /// A bead that a convoy tracks, if it was not made in another way.
    fn step_of_a_convoy(&self, id: &str) -> Option<Value> {
        let is_tracked = self.convoys.open.values().any(|tracked| tracked.contains(id));
        let status = if self.gas_town_1.is_hooked(id) { "hooked" } else { "open" };
        is_tracked.then(
            || json!({"id": id, "title": id, "description": "", "status": status, "issue_type": "task"}),
        )
    }

    /// The database that holds a bead.
    fn home(&self, bead: &Value) -> String {
        let is_agent =
            bead["labels"].as_array().is_some_and(|labels| labels.iter().any(|it| it == "gt:agent"));
        let id = bead["id"].as_str().unwrap_or_default();
        let rigs = self.routed_rigs();
        let fitting = rigs.iter().filter(|rig| !is_agent && id.starts_with(&format!("{rig}-")));
        fitting.max_by_key(|rig| rig.len()).cloned().unwrap_or_default()
    }

    /// The beads that this polecat works on: hooked or in progress, and assigned to it.
    pub fn work_v1(&self, rig: &str, name: &str) -> Vec<String> {
        let assignee = format!("{rig}/polecats/{name}");
        let is_its = |bead: &Value| {
            bead["assignee"] == assignee && (bead["status"] == "hooked" || bead["status"] == "in_progress")
        };
        self.beads.iter().filter(|(_, bead)| is_its(bead)).map(|(id, _)| id.clone()).collect()
    }
}

fn unknown(what: &str) -> (i32, String, String) {
    (1, String::new(), format!("Error: {what}\nRun 'bd --help' for usage.\n"))
}

/// An agent bead as `gt` 1.x creates it at a spawn; later changes rarely reach it.
pub fn agent_bead_v1(id: &str, rig: &str, hook: &str) -> Value {
    json!({"id": id, "title": id, "description": description_v1(id, rig, "spawning", hook), "status": "open", "priority": 2,
        "issue_type": "task", "created_at": "", "updated_at": "", "labels": ["gt:agent"]})
}

/// The description of an agent bead, which holds its state and its hook.
pub fn description_v1(id: &str, rig: &str, state: &str, hook: &str) -> String {
    let hook = if hook.is_empty() { "null" } else { hook };
    format!(
        "{id}\n\nrole_type: polecat\nrig: {rig}\nagent_state: {state}\nhook_bead: {hook}\ncleanup_status: null\nactive_mr: null\nnotification_level: null"
    )
}
