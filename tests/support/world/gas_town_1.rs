//! A town of Gas Town 1.x: its Dolt server, and the commands of `gt` that only such a town has.

use std::{collections::BTreeSet, time::Duration};

use async_trait::async_trait;
use gastown_supervisor::{
    commands::{Command, CommandError, Printed},
    ports::dolt::{DoltServer, NoAnswer},
    town::dialect::{Dialect, dolt::Server, recognise::Recognised},
};
use serde_json::json;

use super::{State, TOWN, World, millis, path, rules::Gate, secs};

/// What says where Dolt listens.
const CONFIG: &str = ".dolt-data/config.yaml";

/// What `bd` and `gt` print while Dolt is down (bd 1.0.5).
const DOWN: &str = "failed to open database: Dolt server unreachable at 127.0.0.1:3307";

/// The Dolt server, and what was done in this town.
#[derive(Debug)]
pub struct GasTown1 {
    /// How the server answers.
    pub dolt: Answers,
    /// When that last changed.
    pub dolt_changed: Option<Duration>,
    /// Whether `gt dolt start` starts it.
    pub dolt_starts: bool,
    /// When `gt dolt start` was run.
    pub dolt_started: Vec<Duration>,
    /// How long `gt sling` takes.
    pub sling_takes: Duration,
    /// Whether `gt sling` says that it slung, and does nothing.
    pub sling_lies: bool,
    /// What was slung, with when and to which rig.
    pub slings: Vec<(Duration, String, String)>,
    /// When `gt convoy stranded` was run.
    pub scans: Vec<Duration>,
    /// When `gt scheduler run` was run.
    pub scheduled: Vec<Duration>,
    /// When `gt krc prune` was run.
    pub pruned: Vec<Duration>,
    /// The beads that a polecat works on.
    hooked: BTreeSet<String>,
    /// The beads that are being slung.
    slinging: BTreeSet<String>,
}

/// How the Dolt server answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answers {
    /// At once.
    Well,
    /// It does not run.
    Refused,
    /// It takes connections and says nothing.
    Hangs,
}

impl Default for GasTown1 {
    fn default() -> Self {
        GasTown1 {
            dolt: Answers::Well,
            dolt_changed: None,
            dolt_starts: true,
            dolt_started: Vec::new(),
            sling_takes: secs(9),
            sling_lies: false,
            slings: Vec::new(),
            scans: Vec::new(),
            scheduled: Vec::new(),
            pruned: Vec::new(),
            hooked: BTreeSet::new(),
            slinging: BTreeSet::new(),
        }
    }
}

impl GasTown1 {
    /// Whether a polecat works on this bead.
    pub fn is_hooked(&self, id: &str) -> bool {
        self.hooked.contains(id)
    }
}

#[async_trait]
impl DoltServer for World {
    async fn greet(&self, port: u16) -> Result<(), NoAnswer> {
        let is_it = port == self.state().dolt_port();
        let answers = if is_it { self.state().gas_town_1.dolt } else { Answers::Refused };
        match answers {
            Answers::Well => Ok(()),
            Answers::Refused => Err(NoAnswer::Refused),
            Answers::Hangs => {
                tokio::time::sleep(secs(2)).await;
                Err(NoAnswer::Silent("no greeting within 2s".to_owned()))
            }
        }
    }
}

impl World {
    /// Makes this a town of Gas Town 1.x, with a Dolt server that answers. Before its first rig.
    pub fn is_v1(&self) {
        {
            let mut state = self.state();
            state.gas_town = Recognised { dialect: Dialect::V1, ..Recognised::default() };
            state.bd_version = "bd version 1.0.5 (dev)\n";
        }
        self.directory("mayor");
        if self.text(CONFIG).is_none() {
            self.write(CONFIG, include_str!("../../fixtures/v1/files/dolt-data.config.yaml"));
        }
    }

    /// Makes this a town of this dialect.
    pub fn is_of(&self, dialect: Dialect) {
        match dialect {
            Dialect::January => {}
            Dialect::V1 => self.is_v1(),
            Dialect::Own => self.is_one_file(""),
        }
    }

    /// Something happens to the Dolt server.
    pub fn dolt(&self, answers: Answers) {
        let now = self.time();
        let mut state = self.state();
        state.note(now, true, || format!("Dolt: {answers:?}"));
        state.gas_town_1.dolt = answers;
        state.gas_town_1.dolt_changed = Some(now);
    }

    /// How long a command takes, where that is special to Gas Town 1.x.
    pub(super) fn takes_in_gas_town_1(&self, command: &Command) -> Option<Duration> {
        let state = self.state();
        let words: Vec<&str> = command.arguments.iter().map(String::as_str).collect();
        state.is_v1().then_some(())?;
        match (command.program.as_str(), words.as_slice()) {
            ("gt", ["sling", ..]) => Some(state.gas_town_1.sling_takes),
            ("gt", ["dolt", "start"]) => Some(secs(1)),
            ("gt", ["convoy", ..]) => Some(millis(440)),
            _ => None,
        }
    }

    /// Begins a sling: of one bead there must be one at a time, and none in a rig that is not operational.
    pub(super) fn sling_begins(&self, words: &[&str]) -> Option<Sling> {
        let ["sling", issue, rig, ..] = words else { return None };
        let now = self.time();
        let mut state = self.state();
        if !state.gas_town_1.slinging.insert((*issue).to_owned()) {
            state.violated(now, format!("{issue} is slung twice at the same time"));
        }
        let rig = (*rig).to_owned();
        for gate in [Gate::Estop, Gate::Lock, Gate::EstopRig(rig.clone()), Gate::Rig(rig)] {
            if state.closed_since(&gate).is_some_and(|since| now - since > secs(3)) {
                state.violated(now, format!("{issue} is slung although the gate is closed: {gate:?}"));
            }
        }
        Some(Sling(self.clone(), (*issue).to_owned()))
    }

    /// What a command does and prints that only Gas Town 1.x has; `None` for any other.
    pub(super) fn run_in_gas_town_1(&self, command: &Command) -> Option<Result<Printed, CommandError>> {
        let (now, line) = (self.time(), command.line());
        let mut state = self.state();
        let words: Vec<&str> = command.arguments.iter().map(String::as_str).collect();
        let printed = |text: String| Some(Ok(Printed { stdout: text.into_bytes(), stderr: Vec::new() }));
        if !state.is_v1() || !["gt", "bd"].contains(&command.program.as_str()) {
            return None;
        }
        let of_daemon = command.environment.get("GT_DAEMON").is_some_and(|value| value == "1");
        match words.as_slice() {
            ["dolt", "start"] => {
                state.gas_town_1.dolt_started.push(now);
                if state.gas_town_1.dolt_starts {
                    state.gas_town_1.dolt = Answers::Well;
                }
                printed("Dolt server started\n".to_owned())
            }
            // It needs no beads.
            ["krc", "prune"] => {
                state.gas_town_1.pruned.push(now);
                printed("No expired events to prune.\n".to_owned())
            }
            [word, ..] if *word != "version" && state.gas_town_1.dolt != Answers::Well => {
                let (status, stderr) = ("exit code 1".to_owned(), DOWN.to_owned());
                Some(Err(CommandError::Failed { line, status, code: Some(1), stdout: Vec::new(), stderr }))
            }
            // It runs `bd list`.
            ["mail", "inbox", ..] if let Some(error) = state.bd_errors.get("list") => {
                let (status, stderr) = ("exit code 1".to_owned(), error.clone());
                Some(Err(CommandError::Failed { line, status, code: Some(1), stdout: Vec::new(), stderr }))
            }
            ["convoy", "stranded", "--json"] => {
                state.gas_town_1.scans.push(now);
                printed(state.stranded())
            }
            ["sling", issue, rig, "--no-boot", ..] => {
                state.gas_town_1.slings.push((now, (*issue).to_owned(), (*rig).to_owned()));
                if !state.gas_town_1.sling_lies {
                    state.gas_town_1.hooked.insert((*issue).to_owned());
                }
                printed("Work attached to hook (status=hooked)\n".to_owned())
            }
            ["convoy", "check", _] => printed(state.convoys.check()),
            ["scheduler", "run"] => {
                state.gas_town_1.scheduled.push(now);
                if !of_daemon {
                    state.violated(now, "gt scheduler run is not told that the daemon runs it".to_owned());
                }
                printed(String::new())
            }
            _ => None,
        }
    }
}

impl World {
    /// `gt rig dock`, in the order as recorded: ends both sessions, and sets the label.
    pub fn dock(&self, rig: &str, pace: u32) {
        self.gt(&format!("gt rig dock {rig}"), TOWN, millis(1_000) * pace);
        for (session, dies) in [(self.witness(rig), 300), (self.refinery(rig), 400)] {
            self.after(millis(dies) * pace, move |world| world.end_session(&session, "gt rig dock"));
        }
        let rig = rig.to_owned();
        self.after(millis(600) * pace, move |world| world.label(&rig, &["gt:rig", "status:docked"]));
    }

    /// `gt rig undock`.
    pub fn undock(&self, rig: &str) {
        self.gt(&format!("gt rig undock {rig}"), TOWN, millis(500));
        self.label(rig, &["gt:rig"]);
    }

    /// Sets the labels of a rig's own bead, if Dolt answers.
    fn label(&self, rig: &str, labels: &[&str]) {
        if self.state().gas_town_1.dolt == Answers::Well {
            self.edit_bead(&rig_bead(rig), |bead| bead["labels"] = json!(labels));
        }
    }
}

/// The id of a rig's own bead.
pub fn rig_bead(rig: &str) -> String {
    format!("{rig}-rig-{rig}")
}

impl State {
    /// Whether this rig has the label that only its bead bears.
    pub fn is_docked(&self, rig: &str) -> bool {
        let labels = self.beads.get(&rig_bead(rig)).and_then(|bead| bead["labels"].as_array());
        labels.is_some_and(|labels| labels.iter().any(|label| label == "status:docked"))
    }

    /// Whether it is a town of Gas Town 1.x.
    pub fn is_v1(&self) -> bool {
        self.gas_town.dialect == Dialect::V1
    }

    /// Where the Dolt server listens.
    fn dolt_port(&self) -> u16 {
        let config = self.files.get(&path(CONFIG)).map(Vec::as_slice);
        Server::find(config, &Default::default(), &Default::default()).port
    }

    /// A command is about to run: `gt` and `bd` must know where the town and its Dolt server are, or `bd` may start a server of
    /// its own.
    pub(super) fn may_run(&mut self, now: Duration, command: &Command) {
        if !self.is_v1() || !["gt", "bd"].contains(&command.program.as_str()) {
            return;
        }
        let port = self.dolt_port().to_string();
        for (name, value) in [("GT_TOWN_ROOT", TOWN), ("GT_DOLT_PORT", &port), ("BEADS_DOLT_PORT", &port)] {
            let given = command.environment.get(name);
            if given.is_none_or(|given| given != value) {
                self.violated(now, format!("`{}` is given {name} as {given:?}", command.line()));
            }
        }
    }

    /// What `gt convoy stranded --json` prints: of each convoy, the first bead that is not closed is ready, unless a
    /// polecat works on it; the others wait for it.
    fn stranded(&self) -> String {
        let row = |(id, tracked): (&String, &BTreeSet<String>)| {
            let next = tracked.iter().find(|bead| !self.convoys.closed.contains(*bead));
            let ready: Vec<&String> =
                next.into_iter().filter(|bead| !self.gas_town_1.hooked.contains(*bead)).collect();
            json!({
                "id": id, "title": "A convoy", "tracked_count": tracked.len(), "ready_count": ready.len(),
                "ready_issues": ready, "created_at": "2026-02-02T07:00:00Z",
            })
        };
        format!("{:#}\n", serde_json::Value::from_iter(self.convoys.open.iter().map(row)))
    }
}

/// One run of `gt sling`, until it is dropped.
pub(super) struct Sling(World, String);

impl Drop for Sling {
    fn drop(&mut self) {
        self.0.state().gas_town_1.slinging.remove(&self.1);
    }
}
