//! Confirmation: is an apparent death a real one?
//!
//! A death is noticed within milliseconds, but Gas Town's own commands kill sessions on purpose and report it only
//! afterwards. So the supervisor probes a second time before it acts. This module judges that probe, and is pure. The
//! [`lifecycle`](super::lifecycle) decides when to probe and what follows.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    denial::{Denial, Unwanted},
    ended::Exit,
    oom::OomKill,
};
use crate::{
    clock::Now,
    operator::rules::{self, Operation},
    sessions::death::Death,
    town::identity::Identity,
};

/// The longest that a death waits for the end of a command of Gas Town that was running when it was noticed.
pub const OPERATION_LIMIT: Duration = Duration::from_secs(180);

/// For this long a polecat whose worktree is gone is assumed to be in removal.
pub const REMOVAL_LIMIT: Duration = Duration::from_secs(60);

/// One incarnation of a session: a new session of the same name is another one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionKey {
    /// The tmux server's id for it (`$5`).
    pub id: String,
    /// When it was created.
    pub created: Timestamp,
}

/// What a probe showed of an agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Presence {
    /// It has no session.
    Absent,
    /// An agent process runs in its session.
    Alive(SessionKey),
    /// No agent process yet, and its panes are young: one may come up, or it is somebody's shell.
    Starting(SessionKey),
    /// The session exists without its agent.
    Dead(SessionKey),
    /// It could not be found out, and why.
    Unknown(String),
}

/// Whether anything may be started, nudged or ended here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Permission {
    /// Yes.
    Allowed,
    /// No, and why.
    Denied(Denial),
    /// It could not be found out, and why.
    Unknown(String),
}

/// What `<rig>/.runtime/<role>.json` says; `gt` writes `stopped` shortly before or after it kills.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StateFile {
    /// `stopped`.
    Stopped,
    /// `running`.
    Running,
    /// Something else, nothing, or unreadable.
    Silent,
}

/// Whether the agent has anything to do. Only then is its end a loss.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Assignment {
    /// It is always wanted, with or without work: deacon, witness, refinery.
    Permanent,
    /// Its work was not read, as nothing depends on it now.
    NotAsked,
    /// There is work on its hook, and nothing says that it should not work on it.
    Hooked {
        /// The bead on its hook.
        hook: String,
    },
    /// It is not to be started now, and why.
    None(Unwanted),
    /// It could not be found out, and why.
    Unknown(String),
}

/// Whether the directory an agent works in exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Worktree {
    /// It exists, or does not matter.
    There,
    /// It is gone: somebody may be removing the agent for good.
    Gone,
    /// It could not be found out, and why.
    Unknown(String),
}

/// Gas Town's commands that change agents, seen running in this town.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AtWork {
    /// Running at the time of the probe.
    pub running: Vec<Operation>,
    /// Seen within the last 10 s, whether or not they still run.
    pub recent: Vec<Operation>,
}

/// Everything that one probe showed of one agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observation {
    /// When the probe began: later changes are not in it.
    pub begun: Now,
    /// When the end that caused this probe was noticed; the start of the probe when there was none.
    pub noticed: Now,
    /// The report of the end of the session it lived in; `None` when nothing reported it.
    pub death: Option<Death>,
    /// The agent and its session.
    pub presence: Presence,
    /// Whether the supervisor may act.
    pub permission: Permission,
    /// The word in its state file.
    pub state_file: StateFile,
    /// The commands that may have ended it, or why they could not be seen. Read only when it is not alive.
    pub at_work: Result<AtWork, String>,
    /// Whether it has anything to do.
    pub assignment: Assignment,
    /// Whether its directory exists.
    pub worktree: Worktree,
    /// The line of its last screen that shows a usage limit, if there is one.
    pub usage_limit: Option<String>,
    /// The title of the question that its last screen showed, if it showed one.
    pub question: Option<String>,
    /// Whether its process ended with exit status 0 where that is normal: an agent that leaves to be
    /// [respawned](crate::town::dialect::Facts::respawned).
    pub left_to_respawn: bool,
    /// How its process ended, where its report or what is left of it shows that it did; only of an agent that a file says something of.
    pub exit: Option<Exit>,
    /// That the kernel killed it for want of memory, where its end and the kernel's counters say so.
    pub oom_kill: Option<OomKill>,
}

impl Observation {
    /// Whether it has no worktree, or may have none.
    fn is_homeless(&self) -> bool {
        self.worktree != Worktree::There
    }

    /// Whether the tmux server it lived in ended, with everything in it. Nobody ended the agent then.
    pub fn ended_with_server(&self) -> bool {
        self.death.as_ref().is_some_and(|death| death.with_server)
    }

    /// The one of these commands that counts as the cause of this end, if one does.
    pub fn ended_by<'a>(&self, involved: &'a [Operation], identity: &Identity) -> Option<&'a Operation> {
        rules::latest(involved, identity, self.is_homeless())
    }
}

/// What is known of the first probe when the second one is judged.
#[derive(Debug, Clone, Copy)]
pub struct FirstProbe<'a> {
    /// The agent.
    pub identity: &'a Identity,
    /// How long ago its end was noticed.
    pub ago: Duration,
    /// The commands of Gas Town that were running when its end was noticed, or had been just before, whichever agents
    /// they were about.
    pub involved: &'a [Operation],
    /// Whether the state file said `stopped` already when the agent was last seen alive, so that the word says
    /// nothing about this end.
    pub said_stopped: bool,
}

/// What the second probe showed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum ConfirmOutcome {
    /// It is back, or another one took its place.
    Back(SessionKey),
    /// A command of Gas Town that may have ended it is still running: probe again when it has ended.
    AtWork(String),
    /// It must not be started now, and why.
    Paused(Denial),
    /// It is not needed now, and why.
    Unwanted(Unwanted),
    /// Somebody stopped it by hand, and how that is known.
    StoppedByHand(String),
    /// Its worktree is gone: it is probably being removed.
    BeingRemoved,
    /// It reached a usage limit and ended; the line that says so.
    UsageLimit(String),
    /// It waited at a question, with this title, and ended: the answer, or the lack of one, ended it.
    Question(String),
    /// It ended by itself, with exit status 0, to be respawned; nothing respawned it.
    CleanExit,
    /// It ended, and nobody intended that.
    Death,
    /// It cannot be decided yet, and why.
    Unclear(String),
}

impl ConfirmOutcome {
    /// Whether it ended and nobody stopped it, whatever follows from that.
    pub fn is_its_own_end(&self) -> bool {
        match self {
            ConfirmOutcome::Paused(_)
            | ConfirmOutcome::Unwanted(_)
            | ConfirmOutcome::UsageLimit(_)
            | ConfirmOutcome::Question(_)
            | ConfirmOutcome::CleanExit
            | ConfirmOutcome::Death => true,
            ConfirmOutcome::Back(_)
            | ConfirmOutcome::AtWork(_)
            | ConfirmOutcome::StoppedByHand(_)
            | ConfirmOutcome::BeingRemoved
            | ConfirmOutcome::Unclear(_) => false,
        }
    }
}

/// Judges the second probe.
pub fn judge(seen: &Observation, first: FirstProbe<'_>) -> ConfirmOutcome {
    match &seen.presence {
        Presence::Alive(key) => return ConfirmOutcome::Back(key.clone()),
        Presence::Starting(_) => {
            return ConfirmOutcome::Unclear("an agent may be starting in its session".into());
        }
        Presence::Unknown(why) => return ConfirmOutcome::Unclear(why.clone()),
        Presence::Absent | Presence::Dead(_) => {}
    }
    match &seen.at_work {
        Err(why) => return ConfirmOutcome::Unclear(why.clone()),
        Ok(at_work) if first.ago < OPERATION_LIMIT => {
            let mut suspects =
                first.involved.iter().filter(|it| it.may_end(first.identity, seen.is_homeless()));
            if let Some(operation) = suspects.find(|it| is_one_of(it, &at_work.running)) {
                return ConfirmOutcome::AtWork(operation.line.clone());
            }
        }
        Ok(_) => {}
    }
    match &seen.permission {
        Permission::Denied(why) => return ConfirmOutcome::Paused(why.clone()),
        Permission::Unknown(why) => return ConfirmOutcome::Unclear(why.clone()),
        Permission::Allowed => {}
    }
    if let Some(operation) = seen.ended_by(first.involved, first.identity)
        && operation.stops(first.identity)
    {
        return ConfirmOutcome::StoppedByHand(format!("`{}`", operation.line));
    }
    if seen.state_file == StateFile::Stopped && !first.said_stopped {
        return ConfirmOutcome::StoppedByHand("Gas Town notes it as stopped".to_owned());
    }
    left_to_do(seen, first.ago)
}

/// Nobody stopped it. Judges whether it had anything to do.
fn left_to_do(seen: &Observation, ago: Duration) -> ConfirmOutcome {
    match (&seen.worktree, &seen.assignment) {
        (_, Assignment::None(_)) => {}
        (Worktree::Gone, _) if ago < REMOVAL_LIMIT => return ConfirmOutcome::BeingRemoved,
        (Worktree::Unknown(why), _) => return ConfirmOutcome::Unclear(why.clone()),
        (Worktree::Gone | Worktree::There, _) => {}
    }
    match &seen.assignment {
        Assignment::None(why) => ConfirmOutcome::Unwanted(why.clone()),
        Assignment::Unknown(why) => ConfirmOutcome::Unclear(why.clone()),
        Assignment::NotAsked => ConfirmOutcome::Unclear("its work was not looked up".to_owned()),
        // Whatever its screen showed, the server ended it, or the kernel.
        Assignment::Permanent | Assignment::Hooked { .. }
            if seen.ended_with_server() || seen.oom_kill.is_some() =>
        {
            ConfirmOutcome::Death
        }
        Assignment::Permanent | Assignment::Hooked { .. } => match (&seen.usage_limit, &seen.question) {
            (Some(line), _) => ConfirmOutcome::UsageLimit(line.clone()),
            (None, Some(title)) => ConfirmOutcome::Question(title.clone()),
            (None, None) if seen.left_to_respawn => ConfirmOutcome::CleanExit,
            (None, None) => ConfirmOutcome::Death,
        },
    }
}

fn is_one_of(operation: &Operation, running: &[Operation]) -> bool {
    running.iter().any(|it| it.pid == operation.pid && it.born == operation.born)
}

#[cfg(test)]
#[path = "confirmation/tests.rs"]
mod tests;
