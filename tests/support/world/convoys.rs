//! Convoys of the world: what they track, what the town's database says of them, and the child that tells closes.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Duration,
};

use async_trait::async_trait;
use gastown_supervisor::{
    commands::{Command, CommandError, Heard, Line},
    convoy::store::{ConvoyStore, StoreError},
};
use serde_json::json;
use tokio::sync::mpsc;

use super::{World, millis, weather::pause};

/// So many old events are told again to each child.
const REPLAYED: usize = 100;

/// What the town's bead database is like.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Database {
    /// It can be read.
    #[default]
    Readable,
    /// It is not there.
    Missing,
    /// It is there, and cannot be read for this reason.
    Unreadable(&'static str),
}

/// What `bd activity` does when it is started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Activity {
    /// Tells what happens.
    #[default]
    Tells,
    /// There is no daemon to ask.
    NoDaemon,
    /// This `bd` does not know the word.
    Unknown,
}

/// All of it.
#[derive(Debug, Default)]
pub struct Convoys {
    /// The beads each open convoy tracks.
    pub open: BTreeMap<String, BTreeSet<String>>,
    /// Closed beads.
    pub closed: BTreeSet<String>,
    /// The database.
    pub database: Database,
    /// The child to be.
    pub activity: Activity,
    /// When each child was started.
    pub started: Vec<Duration>,
    /// When `gt convoy check` was run.
    pub checks: Vec<Duration>,
    /// Questions to the database.
    pub asked: usize,
    told: VecDeque<String>,
    child: Option<mpsc::UnboundedSender<Tells>>,
    checking: bool,
}

enum Tells {
    Line(Vec<u8>),
    TooLong,
    End(Result<(), String>),
}

impl Convoys {
    /// Whether a child runs.
    pub fn follows(&self) -> bool {
        self.child.is_some()
    }

    fn tell(&self, tells: Tells) {
        if let Some(child) = &self.child {
            let _ = child.send(tells);
        }
    }

    /// What `gt convoy check` does and prints, as recorded.
    pub fn check(&mut self) -> String {
        let complete = |tracks: &BTreeSet<String>| tracks.is_subset(&self.closed);
        let ready: Vec<String> =
            self.open.iter().filter(|(_, tracks)| complete(tracks)).map(|(id, _)| id.clone()).collect();
        if ready.is_empty() {
            return "No convoys ready to close.\n".to_owned();
        }
        let lines: Vec<String> = ready.iter().map(|id| format!("  🚚 {id}: A convoy\n")).collect();
        self.open.retain(|id, _| !ready.contains(id));
        format!("✓ Auto-closed {} convoy(s):\n{}", ready.len(), lines.concat())
    }

    /// What `bd list` prints of them.
    pub fn list(&self) -> String {
        let rows = self.open.keys().map(|id| json!({"id": id, "status": "open", "issue_type": "convoy"}));
        format!("{:#}\n", serde_json::Value::from_iter(rows))
    }
}

impl World {
    /// Somebody opens a convoy.
    pub fn convoy(&self, id: &str, tracks: &[&str]) {
        let tracks = tracks.iter().map(|id| (*id).to_owned()).collect();
        self.state().convoys.open.insert(id.to_owned(), tracks);
    }

    /// Somebody closes a bead, and it is told.
    pub fn close(&self, id: &str) {
        self.close_silently(id);
        let (now, wall) = (self.time(), self.wall());
        let event = json!({"timestamp": wall.to_string(), "type": "status", "issue_id": id, "symbol": "✓",
            "message": format!("{id} completed"), "old_status": "in_progress", "new_status": "closed"});
        let mut state = self.state();
        state.note(now, true, || format!("{id} is closed"));
        state.convoys.told.push_back(event.to_string());
        if state.convoys.told.len() > REPLAYED {
            state.convoys.told.pop_front();
        }
        state.convoys.tell(Tells::Line(event.to_string().into_bytes()));
    }

    /// Somebody closes a bead without a daemon, which tells nobody.
    pub fn close_silently(&self, id: &str) {
        self.state().convoys.closed.insert(id.to_owned());
    }

    /// The child prints this.
    pub fn activity_prints(&self, line: &str) {
        self.state().convoys.tell(Tells::Line(line.as_bytes().to_vec()));
    }

    /// The child prints a line without end.
    pub fn activity_prints_too_much(&self) {
        self.state().convoys.tell(Tells::TooLong);
    }

    /// The child ends: well, or with these last words.
    pub fn activity_ends(&self, how: Result<(), &str>) {
        self.state().convoys.tell(Tells::End(how.map_err(str::to_owned)));
    }

    pub(super) async fn follow_activity(
        &self,
        command: Command,
        mut heard: Heard,
    ) -> Result<(), CommandError> {
        let (line, now) = (command.line(), self.time());
        let activity = {
            let mut state = self.state();
            state.note(now, true, || format!("follow `{line}`"));
            state.convoys.started.push(now);
            if !state.programs.contains(&command.program) {
                return Err(CommandError::NotFound { program: command.program, line });
            }
            state.convoys.activity
        };
        let failed = |stderr: &str| CommandError::Failed {
            line: line.clone(),
            status: "exit code 1".to_owned(),
            code: Some(1),
            stdout: Vec::new(),
            stderr: stderr.split_whitespace().collect::<Vec<_>>().join(" "),
        };
        pause(millis(20)).await;
        match activity {
            Activity::Tells => {}
            Activity::NoDaemon => {
                return Err(failed(include_str!("../../fixtures/convoy/activity_town_no_daemon.stderr")));
            }
            Activity::Unknown => {
                return Err(failed(include_str!(
                    "../../fixtures/convoy/v1.0_unknown_command_activity.stderr"
                )));
            }
        }
        let (_child, mut tells) = Child::begin(self);
        let replayed: Vec<String> = self.state().convoys.told.iter().cloned().collect();
        replayed.iter().for_each(|line| heard(Line::Whole(line.as_bytes())));
        loop {
            match tells.recv().await {
                Some(Tells::Line(line)) => heard(Line::Whole(&line)),
                Some(Tells::TooLong) => heard(Line::TooLong),
                Some(Tells::End(how)) => return how.map_err(|stderr| failed(&stderr)),
                None => return Ok(()),
            }
        }
    }

    /// Convoys are checked one time after the other.
    pub(super) fn convoy_check_begins(&self, words: &[&str]) -> Option<Check> {
        (words == ["convoy", "check"]).then(|| {
            let now = self.time();
            let mut state = self.state();
            state.convoys.checks.push(now);
            if std::mem::replace(&mut state.convoys.checking, true) {
                state.violated(now, "two runs of gt convoy check at the same time".to_owned());
            }
            Check(self.clone())
        })
    }
}

/// One run of `gt convoy check`, until it is dropped.
pub(super) struct Check(World);

impl Drop for Check {
    fn drop(&mut self) {
        self.0.state().convoys.checking = false;
    }
}

/// A child that runs, until it is dropped: two must never.
struct Child(World);

impl Child {
    fn begin(world: &World) -> (Self, mpsc::UnboundedReceiver<Tells>) {
        let (tell, tells) = mpsc::unbounded_channel();
        let now = world.time();
        let mut state = world.state();
        if state.convoys.child.replace(tell).is_some() {
            state.violated(now, "two runs of bd activity at the same time".to_owned());
        }
        (Child(world.clone()), tells)
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        let now = self.0.time();
        let mut state = self.0.state();
        state.convoys.child = None;
        state.note(now, true, || "bd activity is over".to_owned());
    }
}

#[async_trait]
impl ConvoyStore for World {
    async fn any_open(&self) -> Result<bool, StoreError> {
        let mut state = self.state();
        state.convoys.asked += 1;
        readable(&state.convoys)?;
        Ok(!state.convoys.open.is_empty())
    }

    async fn tracked(&self, ids: &BTreeSet<String>) -> Result<BTreeSet<String>, StoreError> {
        let mut state = self.state();
        state.convoys.asked += 1;
        readable(&state.convoys)?;
        let tracked: BTreeSet<&String> = state.convoys.open.values().flatten().collect();
        Ok(ids.iter().filter(|id| tracked.contains(id)).cloned().collect())
    }
}

fn readable(convoys: &Convoys) -> Result<(), StoreError> {
    match convoys.database {
        Database::Readable => Ok(()),
        Database::Missing => Err(StoreError::Missing),
        Database::Unreadable(why) => Err(StoreError::Unreadable(why.to_owned())),
    }
}
