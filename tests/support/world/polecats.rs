//! The polecats of the world: their directories and beads, and what `gt` and `bd` do to them.
//!
//! A bead is stored as `bd` 0.47 prints it, with separate columns and description, so that the supervisor reads what
//! the real one prints. The prefix of a rig's beads is the rig's name, whose ids repeat it in January (`r-r-polecat-Toast`).

use std::time::Duration;

use serde_json::{Value, json};

use super::{
    State, TOWN, Timeline, World,
    bd_v1::{agent_bead_v1, description_v1},
    millis, path, rules,
};

/// The polecat of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Polecat {
    /// Its rig.
    pub rig: String,
    /// Its name.
    pub name: String,
}

impl Polecat {
    /// As people write it.
    pub fn address(&self) -> String {
        format!("{}/{}", self.rig, self.name)
    }
}

/// The session of a polecat.
pub fn polecat(rig: &str, name: &str) -> String {
    format!("gt-{rig}-{name}").replace('.', "_")
}

/// The id of a polecat's agent bead in January; in a 1.x town, [`State::agent_bead`] says it.
pub fn agent_bead(rig: &str, name: &str) -> String {
    format!("{rig}-{rig}-polecat-{name}")
}

/// The piece of work of a [working](World::polecat_at_work) polecat.
pub fn work_of(rig: &str, name: &str) -> String {
    format!("{rig}-{name}")
}

impl World {
    /// Adds a polecat with its worktree and its agent bead, `working` on `hook`, whose bead is created when there is
    /// none. With an empty hook it has no work. It has no session yet.
    pub fn add_polecat(&self, rig: &str, name: &str, hook: &str) {
        self.directory(&format!("{rig}/polecats/{name}/{rig}"));
        let owner = Polecat { rig: rig.to_owned(), name: name.to_owned() };
        let session = self.polecat(rig, name);
        self.state().polecats.insert(session, owner);
        let id = self.state().agent_bead(rig, name);
        if self.state().is_v1() {
            self.put_bead(agent_bead_v1(&id, rig, hook));
            if !hook.is_empty() {
                self.hook(rig, name, hook);
            }
            return;
        }
        // As `gt` creates it: the description is written once and does not follow the columns.
        let description = format!(
            "Polecat {name} in {rig}\n\nrole_type: polecat\nrig: {rig}\nagent_state: idle\nhook_bead: null\nrole_bead: null"
        );
        let bead = json!({"id": id, "title": format!("Polecat {name} in {rig}"), "description": description,
            "status": "open", "priority": 2, "issue_type": "agent", "created_at": "", "updated_at": "",
            "labels": ["gt:agent"]});
        self.put_bead(bead);
        self.set_state(rig, name, "working");
        if !hook.is_empty() {
            self.hook(rig, name, hook);
        }
    }

    /// A polecat working on `<rig>-<name>`: the result of `gt sling`. Returns its session.
    pub fn polecat_at_work(&self, rig: &str, name: &str) -> String {
        self.add_polecat(rig, name, &work_of(rig, name));
        let session = self.polecat(rig, name);
        self.start_agent(&session);
        session
    }

    /// `gt sling` of a new piece of work to this polecat, as recorded, slower by `pace`: kills the witness in passing
    /// and has it started again.
    pub fn sling(&self, rig: &str, name: &str, work: &str, pace: u32) {
        self.put_bead(
            json!({"id": work, "title": "Do it", "status": "open", "priority": 2, "issue_type": "task",
            "created_at": "", "updated_at": ""}),
        );
        let (directory, id) = (format!("{rig}/polecats/{name}/{rig}"), agent_bead(rig, name));
        // The recording of a new one does not include the worktree; it exists before the hook does.
        self.after(millis(800) * pace, move |world| world.directory(&directory));
        let known = self.state().beads.contains_key(&id);
        let recording = if known { ("t32_sling2", "gt-u3n") } else { ("t30_sling_new", "gt-lj9") };
        let timeline = Timeline::read(recording.0).about(rig, name, [recording.1, work]);
        self.replay(&timeline, pace);
        let session = self.polecat(rig, name);
        self.after(millis(700) * pace, move |world| world.state().unhold(&session));
    }

    /// `gt sling` of a new piece of work to this polecat in a 1.x town, slower by `pace`. Recorded (`tests/fixtures/v1/sling.*`) is
    /// the order, and that it takes 9 to 10 s.
    pub fn sling_v1(&self, rig: &str, name: &str, work: &str, pace: u32) {
        self.gt(&format!("gt sling {work} {rig} --no-boot"), TOWN, millis(9_000) * pace);
        let (rig, name, work) = (rig.to_owned(), name.to_owned(), work.to_owned());
        self.after(millis(2_000) * pace, move |world| {
            world.add_polecat(&rig, &name, &work);
            let session = world.polecat(&rig, &name);
            world.state().unhold(&session);
            world.after(millis(5_000) * pace, move |world| world.start_agent(&session));
        });
    }

    /// `gt polecat nuke`, as recorded, slower by `pace`.
    pub fn nuke(&self, rig: &str, name: &str, pace: u32) {
        self.replay(&Timeline::read("t31_nuke").about(rig, name, ["gt-none", ""]), pace);
    }

    /// A command that ends a session and writes nothing; it ends some milliseconds later.
    pub fn stop_without_a_word(&self, line: &'static str, session: &str) {
        let line = format!(
            "{line} {}",
            self.state().polecats.get(session).map_or_else(String::new, Polecat::address)
        );
        self.gt(line.trim(), TOWN, millis(278));
        let session = session.to_owned();
        self.after(millis(277), move |world| {
            let there = world.state().lives(&session);
            world.end_session(&session, "stopped without a word");
            let until = world.time() + rules::HOLD;
            let mut state = world.state();
            if there && state.is_seen_by_all(world.time()) {
                state.hold(&session, until);
            }
        });
    }

    /// Work is put on a polecat's hook.
    pub fn hook(&self, rig: &str, name: &str, hook: &str) {
        if !self.state().beads.contains_key(hook) {
            self.put_bead(
                json!({"id": hook, "title": "Fix it", "status": "hooked", "priority": 2, "issue_type": "task",
                "assignee": format!("{rig}/polecats/{name}"), "created_at": "", "updated_at": ""}),
            );
        }
        let id = self.state().agent_bead(rig, name);
        if self.state().is_v1() {
            // Another polecat may have had it, whose agent bead still names it.
            self.edit_bead(hook, |bead| {
                bead["status"] = "hooked".into();
                bead["assignee"] = format!("{rig}/polecats/{name}").into();
            });
            let description = description_v1(&id, rig, "spawning", hook);
            self.edit_bead(&id, |bead| bead["description"] = description.into());
        } else {
            self.edit_bead(&id, |bead| bead["hook_bead"] = hook.into());
        }
    }

    /// A polecat's hook is emptied (`bd slot clear`): an empty field is not printed. In a 1.x town, what it works on is closed.
    pub fn unhook(&self, rig: &str, name: &str) {
        let (session, id) = (self.polecat(rig, name), self.state().agent_bead(rig, name));
        self.state().hook_changes(&session);
        if self.state().is_v1() {
            let works_on = self.state().work_v1(rig, name);
            works_on.iter().for_each(|work| self.close_bead(work));
            let description = description_v1(&id, rig, "idle", "");
            self.edit_bead(&id, |bead| bead["description"] = description.into());
        } else {
            self.edit_bead(&id, |bead| remove(bead, "hook_bead"));
        }
    }

    /// An agent's state (`bd agent state`); an empty one is not printed. In a 1.x town its description holds it.
    pub fn set_state(&self, rig: &str, name: &str, to: &str) {
        let id = self.state().agent_bead(rig, name);
        let hook = self.state().hook_of(rig, name).unwrap_or_default();
        let is_v1 = self.state().is_v1();
        self.edit_bead(&id, |bead| match to {
            to if is_v1 => bead["description"] = description_v1(&id, rig, to, &hook).into(),
            "" => remove(bead, "agent_state"),
            to => bead["agent_state"] = to.into(),
        });
    }

    /// A bead is closed, an agent's or a piece of work.
    pub fn close_bead(&self, id: &str) {
        self.edit_bead(id, |bead| bead["status"] = "closed".into());
    }

    /// Adds a bead, created now.
    pub fn put_bead(&self, mut bead: Value) {
        let id = bead["id"].as_str().expect("a bead has an id").to_owned();
        bead["created_at"] = self.wall().to_string().into();
        self.state().beads.insert(id.clone(), bead);
        self.edit_bead(&id, |_| {});
    }

    /// Deletes a bead.
    pub fn delete_bead(&self, id: &str) {
        let now = self.time();
        let mut state = self.state();
        state.beads.remove(id);
        state.look_at_beads(now);
    }

    /// A bead is changed, now.
    pub fn edit_bead(&self, id: &str, edit: impl FnOnce(&mut Value)) {
        let (now, wall) = (self.time(), self.wall());
        let mut state = self.state();
        let bead = state.beads.get_mut(id).unwrap_or_else(|| panic!("there is no bead {id}"));
        edit(bead);
        bead["updated_at"] = wall.to_string().into();
        let shown = bead.to_string();
        state.note(now, false, || format!("bead {shown}"));
        state.look_at_beads(now);
    }

    /// A polecat's worktree and directory are removed.
    pub fn remove_worktree(&self, rig: &str, name: &str) {
        self.remove_directory(&format!("{rig}/polecats/{name}"));
    }

    /// A directory is removed with all in it.
    pub fn remove_directory(&self, relative: &str) {
        let (now, gone) = (self.time(), path(relative));
        let mut state = self.state();
        state.directories.retain(|it| !it.starts_with(&gone));
        state.files.retain(|it, _| !it.starts_with(&gone));
        state.note(now, true, || format!("directory {relative} is removed"));
    }
}

fn remove(bead: &mut Value, key: &str) {
    if let Some(bead) = bead.as_object_mut() {
        bead.shift_remove(key);
    }
}

impl State {
    /// The id of a polecat's agent bead: 1.x does not repeat a prefix that is the rig's name.
    pub fn agent_bead(&self, rig: &str, name: &str) -> String {
        if self.is_v1() { format!("{rig}-polecat-{name}") } else { agent_bead(rig, name) }
    }

    /// The work of a polecat.
    pub fn hook_of(&self, rig: &str, name: &str) -> Option<String> {
        if self.is_v1() {
            return self.work_v1(rig, name).into_iter().next();
        }
        self.beads.get(&agent_bead(rig, name))?["hook_bead"].as_str().map(str::to_owned)
    }

    /// Why this polecat must not be created, by its beads; without the guard for one that is being spawned, as that
    /// depends on what the supervisor saw.
    pub fn unwanted(&self, session: &str) -> Option<String> {
        let Polecat { rig, name } = self.polecats.get(session)?;
        if self.is_v1() {
            let has_none = self.hook_of(rig, name).is_none();
            return has_none.then(|| "no bead is assigned to it and at work".to_owned());
        }
        let Some(agent) = self.beads.get(&agent_bead(rig, name)) else {
            return Some("no agent bead".to_owned());
        };
        let state = agent["agent_state"].as_str().unwrap_or_default();
        let Some(hook) = agent["hook_bead"].as_str() else {
            return Some("no hook".to_owned());
        };
        if agent["status"] == "closed"
            || ["done", "nuked", "closed", "stuck", "awaiting-gate"].contains(&state)
        {
            return Some(format!("agent bead {}, state {state}", agent["status"]));
        }
        match self.beads.get(hook) {
            Some(work) if work["status"] != "closed" => None,
            _ => Some(format!("{hook} is closed or missing")),
        }
    }

    /// The output of `bd show <words>`: exit code, standard output and standard error.
    pub fn bd_show(&self, words: &[String]) -> (i32, String, String) {
        let (flags, ids): (Vec<&str>, Vec<&str>) =
            words.iter().map(String::as_str).partition(|word| word.starts_with("--"));
        let (mut found, mut missing) = (Vec::new(), Vec::new());
        for id in ids {
            match self.resolve(id) {
                Some(bead) => found.push(bead),
                None => missing.push(id),
            }
        }
        if let (Some(id), true, false) = (missing.first(), self.bd_daemon, flags.contains(&"--no-daemon")) {
            let why = format!("failed to resolve ID: no issue found matching {id:?}");
            let error = json!({"error": format!("resolving ID {id}: operation failed: {why}")});
            return (1, format!("{error:#}\n"), String::new());
        }
        let told = missing.iter().map(|id| format!("Error fetching {id}: no issue found matching {id:?}\n"));
        let printed = if found.is_empty() { String::new() } else { format!("{:#}\n", json!(found)) };
        (0, printed, told.collect())
    }

    /// A bead by its id, or by a prefix that only one id has.
    fn resolve(&self, id: &str) -> Option<&Value> {
        let alike = || self.beads.iter().filter(|(other, _)| other.starts_with(id)).map(|(_, bead)| bead);
        self.beads.get(id).or_else(|| alike().next().filter(|_| alike().count() == 1))
    }

    /// How often `bd` was run.
    pub fn bd_runs(&self) -> usize {
        self.trace.iter().filter(|line| line.what.starts_with("run `bd ")).count()
    }

    /// How often a program was run with these words somewhere in its command line.
    pub fn runs_of(&self, words: &str) -> usize {
        self.trace.iter().filter(|line| line.what.starts_with("run `") && line.what.contains(words)).count()
    }

    /// How often `bd show` was run.
    pub fn bd_shows(&self) -> usize {
        let runs = self.trace.iter().filter(|line| line.what.starts_with("run `bd show"));
        runs.count()
    }

    /// The times of crashes reported for this session.
    pub fn crashes_of(&self, session: &str) -> Vec<Duration> {
        let told = self.crash_logs.iter().filter(|(_, words)| words.iter().any(|word| word == session));
        told.map(|(at, _)| *at).collect()
    }
}
