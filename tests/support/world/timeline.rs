//! What Gas Town's own commands did to a town, and when: recorded facts, repeated in this world.
//!
//! The files in `tests/fixtures/timelines` are of real runs of `gt` 0.3 (2026-01-16) in a small idle town; a line is
//! a time in milliseconds and an event. Those in `v1` are of `gt` 1.0.1, put together from what was printed and logged.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use gastown_supervisor::sessions::Fact as Report;

use serde_json::Value;

use super::{By, Condition, Polecat, TOWN, World, agent_bead, millis, secs};

/// One recorded command.
#[derive(Debug, Clone)]
pub struct Timeline {
    /// The file's name.
    pub name: String,
    /// The session it was typed in, if it was.
    inside: Option<String>,
    facts: Vec<Fact>,
}

#[derive(Debug, Clone)]
struct Fact {
    at: Duration,
    kind: String,
    rest: String,
}

impl Timeline {
    /// Reads a recording.
    pub fn read(name: &str) -> Timeline {
        Self::parse(name, &text(name))
    }

    /// Reads a recording of a 1.x town; the prefixes of its rigs are their names in this world.
    pub fn read_v1(name: &str) -> Timeline {
        Self::parse(name, &text(&format!("v1/{name}")).replace(" al-", " alpha-").replace(" be-", " beta-"))
    }

    fn parse(name: &str, text: &str) -> Timeline {
        let mut facts: Vec<Fact> = text
            .lines()
            .filter(|line| !line.starts_with('#'))
            .map(|line| {
                let mut words = line.splitn(3, ' ');
                let mut word = || words.next().unwrap_or_else(|| panic!("{name}: {line}")).to_owned();
                Fact { at: millis(word().parse().expect(line)), kind: word(), rest: word() }
            })
            .collect();
        let inside = facts.iter().position(|fact| fact.kind == "inside").map(|at| facts.remove(at).rest);
        Timeline { name: name.to_owned(), inside, facts }
    }

    /// The same command for another rig, polecat and piece of work than the recorded ones.
    pub fn about(mut self, rig: &str, polecat: &str, work: [&str; 2]) -> Timeline {
        for fact in &mut self.facts {
            if fact.kind == "bead" {
                let (id, fields) = fact.rest.split_once(' ').expect("what changes");
                fact.rest = format!("{} {fields}", ours(id));
            }
            let rest = fact.rest.replace("gastown", rig).replace("furiosa", polecat);
            fact.rest = rest.replace(work[0], work[1]);
        }
        self
    }

    /// The names of all recordings of January's towns.
    pub fn all() -> Vec<String> {
        names_in(&directory())
    }

    /// The names of all recordings of 1.x towns.
    pub fn all_v1() -> Vec<String> {
        names_in(&directory().join("v1"))
    }

    /// The duration of the whole recording.
    pub fn length(&self) -> Duration {
        let ends = self.facts.iter().map(|fact| match fact.kind.as_str() {
            "runs" => fact.rest.split(' ').next().and_then(|end| end.parse().ok()).map_or(fact.at, millis),
            _ => fact.at,
        });
        ends.max().unwrap_or_default()
    }

    /// When the supervisor got TERM; a recording without that is an error of the caller.
    pub fn terminates_at(&self) -> Duration {
        self.facts.iter().find(|fact| fact.kind == "terminates").expect("it is told to end").at
    }
}

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/timelines")
}

fn text(name: &str) -> String {
    std::fs::read_to_string(directory().join(name).with_extension("txt")).expect(name)
}

fn names_in(directory: &Path) -> Vec<String> {
    let files = std::fs::read_dir(directory).expect("the recordings");
    let paths = files.map(|file| file.expect("a recording").path());
    let recordings = paths.filter(|path| path.extension().is_some_and(|kind| kind == "txt"));
    let mut names: Vec<String> =
        recordings.map(|path| path.file_stem().unwrap().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

impl World {
    /// Replays everything from now on, slower by `pace`.
    pub fn replay(&self, timeline: &Timeline, pace: u32) {
        for fact in timeline.facts.clone() {
            let inside = timeline.inside.clone();
            self.after(fact.at * pace, move |world| world.happens(&fact, inside.as_deref(), pace));
        }
    }

    fn happens(&self, fact: &Fact, inside: Option<&str>, pace: u32) {
        let rest = fact.rest.as_str();
        match fact.kind.as_str() {
            "runs" => self.runs(fact, inside, pace),
            "dies" => self.end_session(rest, "as recorded"),
            "exits" => self.exits(rest),
            "begins" => self.start_agent(rest),
            "respawns" => self.respawn(rest),
            "writes" => {
                let (path, content) = rest.split_once(' ').expect("what is written");
                self.write(path, content);
                let role = path.rsplit_once("/.runtime/").map(|(_, file)| file.trim_end_matches(".json"));
                if let (Some(role), Some(rig), true) =
                    (role, path.split('/').next(), content.contains("\"running\""))
                {
                    self.state().unhold(&format!("gt-{rig}-{role}"));
                }
            }
            "removes" if rest.ends_with('/') => self.remove_directory(rest.trim_end_matches('/')),
            "removes" => self.remove(rest),
            "makes" => self.directory(rest.trim_end_matches('/')),
            "bead" => {
                let (id, fields) = rest.split_once(' ').expect("what changes");
                self.change_bead(&ours(id), &serde_json::from_str(fields).expect("fields"));
            }
            "lock" => self.hold_lock(rest == "held"),
            "terminates" => {} // the story does it
            other => panic!("nobody knows how to do {other:?}"),
        }
    }

    fn runs(&self, fact: &Fact, inside: Option<&str>, pace: u32) {
        let mut words = fact.rest.splitn(3, ' ');
        let mut word = || words.next().expect("end, directory, command line");
        let (end, directory, line) = (word(), word(), word());
        let lasts = match end.parse() {
            Ok(end) => (millis(end) - fact.at) * pace,
            Err(_) => secs(30),
        };
        let directory = Path::new(TOWN).join(directory);
        match inside {
            Some(session) => drop(self.gt_in(session, line, directory, lasts)),
            None => drop(self.gt(line, directory, lasts)),
        }
    }

    /// The process in a session's pane is killed, and the pane stays.
    fn exits(&self, name: &str) {
        let now = self.time();
        let mut state = self.state();
        state.ends(now, name);
        let Some(session) = state.sessions.get_mut(name) else { return };
        session.condition = Condition::Exited(137);
        let pid = session.pid;
        state.note(now, true, || format!("the process of {name} is killed, its pane stays"));
        drop(state);
        self.hint();
        self.report(Duration::ZERO, Report::Exited { pid, exit: Some(137) });
    }

    /// The process in a session's pane is replaced by another one, in which an agent comes up after a while.
    fn respawn(&self, name: &str) {
        let now = self.time();
        let mut state = self.state();
        let pid = u32::try_from(state.number()).unwrap();
        let Some(session) = state.sessions.get_mut(name) else { return };
        session.pid = pid;
        session.condition = Condition::Well;
        session.by = By::Operator;
        session.born = now;
        session.appears = now + secs(4);
        session.prompts = now + secs(5);
        state.note(now, true, || format!("the pane of {name} is respawned"));
    }

    /// What changed in a bead, as recorded: `hook`, `state`, `status`, `labels`, and the description.
    fn change_bead(&self, id: &str, fields: &Value) {
        if !self.state().beads.contains_key(id) {
            self.bead_appears(id, fields);
        }
        let field = |key: &str| fields[key].as_str().map(str::to_owned);
        self.edit_bead(id, |bead| {
            let object = bead.as_object_mut().expect("a bead");
            for (key, column) in [("hook", "hook_bead"), ("state", "agent_state")] {
                match field(key).as_deref() {
                    None => {}
                    Some("") => drop(object.shift_remove(column)),
                    Some(value) => drop(object.insert(column.to_owned(), value.into())),
                }
            }
            if let Some(status) = field("status") {
                object.insert("status".to_owned(), status.into());
            }
            if let Some(labels) = field("labels") {
                let labels: Vec<&str> = labels.split(',').collect();
                object.insert("labels".to_owned(), labels.into());
            }
            if let Some(state) = field("desc_state") {
                object.insert("description".to_owned(), format!("agent_state: {state}").into());
            }
        });
    }

    fn bead_appears(&self, id: &str, fields: &Value) {
        let kind = fields["new"].as_str().unwrap_or("task");
        let labels: &[&str] = if kind == "agent" { &["gt:agent"] } else { &[] };
        self.put_bead(serde_json::json!({"id": id, "title": id, "status": "open", "issue_type": kind,
            "labels": labels, "description": "", "created_at": "", "updated_at": ""}));
        if let Some((prefix, name)) = id.split_once("-polecat-") {
            let rig = &prefix[..prefix.len() / 2]; // `<rig>-<rig>`
            let owner = Polecat { rig: rig.to_owned(), name: name.to_owned() };
            self.state().polecats.insert(super::polecat(rig, name), owner);
        }
    }
}

/// The id of a recorded bead in this world, where a rig's prefix is its name.
fn ours(id: &str) -> String {
    match (id.strip_prefix("gt-gastown-polecat-"), id.strip_prefix("gt-rig-")) {
        (Some(name), _) => agent_bead("gastown", name),
        (_, Some(rig)) => format!("{rig}-rig-{rig}"),
        (None, None) => id.to_owned(),
    }
}
