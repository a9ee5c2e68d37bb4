//! Messages: what the root and the parts of the town send each other.
//!
//! Every part receives the same few messages (a heartbeat, a scan, new settings) and reports to the root in the same
//! way. A part can report, but has no reference to a sibling: it reaches siblings through the root, agents through
//! the directory.

use std::{collections::BTreeSet, sync::Arc};

use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::heartbeat::PartName;
use crate::{
    ledger::{inbox::Message, snapshot::AgentSnapshot},
    sessions::{death::Death, scan::Scan},
    supervision::work::ReplyTo,
    town::identity::{Identity, RigName},
};

/// What a part receives from above; most go to all of them.
#[derive(Debug, Clone)]
pub enum Broadcast {
    /// From the root: probe again, decide, and answer this heartbeat.
    Heartbeat(Beat),
    /// From the root: a full scan was made.
    Scanned(Arc<Scan>),
    /// From the session watch: a session ended, or something in it. Sent to the actor of its agent, and to no other.
    Died(Death),
    /// From whoever read its screen: the agent waits at a question with this title. Sent to the agent's actor, and to no other.
    Asks(String),
    /// From the root: the settings or files of the town changed, so earlier decisions may change.
    TownChanged,
    /// From the root: `daemon/restart_state.json` was changed by another program.
    RestartStateChanged,
    /// From who answers people: type this into the agent. Sent to the agent's actor, and to no other.
    Nudge(Arc<Nudge>),
    /// From the root: clear what delays the start of this agent, or of all (`clear-backoff`).
    ClearBackoff(Option<Identity>),
    /// From the root: this agent is to be stopped or restarted on request; its owner reads the register.
    Asked(Identity),
    /// From the root: there may be mail; read the deacon's inbox now.
    ReadMail,
    /// From the caller that noticed a possible dock or undock of its rig, to a census: read the rig's beads now.
    ReadBeads,
    /// From the root: the Dolt server of a 1.x town answers again.
    DoltAnswers,
    /// From an owner, to the death window: a death was recorded.
    DeathRecorded,
    /// From who raised an alert, to the actor that delivers them: one waits.
    AlertRaised,
    /// From who read an agent's activity or may have changed a hold, to the actor that looks after accounts.
    AccountsChanged,
    /// From that actor, to an agent's: its turn to be started has come.
    Released,
    /// From the root: the town's rigs.
    Rigs(Arc<BTreeSet<RigName>>),
    /// From the root: whether the deacon is held. Sent to boot.
    DeaconHeld(bool),
    /// From the root: the deacon's inbox was read.
    Mail(Arc<Vec<Message>>),
    /// From a rig: its agent snapshot was read.
    SnapshotRead(Arc<AgentSnapshot>),
}

/// A text that a person has typed into an agent.
#[derive(Debug)]
pub struct Nudge {
    /// The text.
    pub text: String,
    /// Also while it is not idle.
    pub now: bool,
    /// By which command and user, for people.
    pub by: String,
    /// Takes what becomes of it, once; dropped when nobody will say.
    pub answer: Mutex<Option<oneshot::Sender<Nudged>>>,
}

/// What became of a text that a person had typed into an agent: what to tell, or why it was not delivered.
pub type Nudged = Result<String, NotNudged>;

/// Why a person's text was not delivered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotNudged {
    /// The code, for machines.
    pub code: &'static str,
    /// The same for people.
    pub why: String,
}

/// One heartbeat.
#[derive(Debug, Clone)]
pub struct Beat {
    /// Its number, which the answer repeats.
    pub number: u64,
    /// The scan it began with.
    pub scan: Arc<Scan>,
}

/// What a part reports to the root.
#[derive(Debug, Clone)]
pub enum Report {
    /// It has probed and started what it decided; the parts in `delegated` answer for themselves.
    Probed {
        /// The heartbeat's number.
        number: u64,
        /// The part that answers.
        part: PartName,
        /// Parts it passed the heartbeat on to.
        delegated: Vec<PartName>,
        /// Parts under it that could not be asked.
        missed: Vec<PartName>,
    },
    /// From the deacon: whether it is held (by hand or for restarting too often), so that boot leaves it alone.
    DeaconHeld(bool),
    /// From a rig: one of its actors was restarted and has not probed yet.
    ActorRestarted,
    /// From the mail watcher: this agent is to be stopped or restarted; the request is in the register.
    Asked(Identity),
    /// From the deacon's mail: the messages in the inbox.
    MailRead(Arc<Vec<Message>>),
    /// From a polecat's actor, whose directory is gone: nothing runs there and no work is in progress.
    Idle(Identity),
    /// From the Dolt watch: the server answers again.
    DoltAnswers,
    /// From boot: it could not be spawned, or the town is degraded; the deacon should be checked directly.
    CheckDeacon,
}

impl Report {
    /// This part has probed, and has no parts under it.
    pub fn probed(number: u64, part: impl Into<PartName>) -> Report {
        Report::Probed { number, part: part.into(), delegated: Vec::new(), missed: Vec::new() }
    }
}

/// Sends a part's reports to the root.
pub type ReportTo = ReplyTo<Report>;
