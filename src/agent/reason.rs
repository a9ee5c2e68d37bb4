//! Reasons: everything that can happen to an agent, each with a code for machines. `wording` has their texts.
//!
//! The [`lifecycle`](super::lifecycle) gives a list of them with each step, in order. Log, history, `status`, the event
//! log and mails are renderings of that list. A reason carries data and no text; nothing may be decided by its text.

use std::time::Duration;

use jiff::Timestamp;

use super::{
    confirmation::SessionKey,
    conversation::Begun,
    denial::{Denial, NotStarted},
    lifecycle::Attempt,
    oom::{self, OomKill},
    phase::Phase,
    start_memory::Shortage,
    waits::Own,
};
use crate::{
    clock::Now,
    sessions::death::{Death, Sign},
};

mod wording;

/// The code of a start that waits for memory.
pub const MEMORY: &str = "memory";

pub use super::ended::signal;
pub use wording::{NO_AGENT_YET, at_second, reported_by};

/// One thing that happened to an agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// It ran before this supervisor observed it.
    Adopted,
    /// It runs in a session that the supervisor did not start.
    NewSession,
    /// It looked dead, and is back.
    BackByItself,
    /// Its process ended, and the hook of its tmux session started it again.
    Respawned,
    /// Somebody else started it.
    StartedByOthers,
    /// Somebody else started it although it was held; the hold ends with that.
    HoldEndedByStart,
    /// Its start was given up, but it runs.
    RunsAfterGivenUp,
    /// It could not be observed for a while, and is unchanged.
    ObservedAgain,
    /// It could not be observed (`out_of_sight`), or what was observed could not be judged.
    Unclear {
        /// Whether it could not even be found out if it runs.
        out_of_sight: bool,
        /// Why.
        why: String,
    },
    /// It looks dead; the end is confirmed before anything is done.
    Missing {
        /// What is missing.
        what: Missing,
        /// What reported it, and the exit status where it is known; `None` when a probe found it.
        reported: Option<(Sign, Option<i32>)>,
        /// How long the confirmation takes.
        confirm: Duration,
    },
    /// The confirmation waits for something.
    Unconfirmed {
        /// What is missing.
        what: Missing,
        /// What the confirmation waits for.
        until: HeldUp,
    },
    /// The confirmation has waited the longest allowed time for this command.
    OperationOverdue(String),
    /// It died: nobody intended its end.
    Died(Box<DeathReport>),
    /// It ended at a usage limit, at a question or by itself; tried again after this time.
    OwnEnd(Own, Duration),
    /// Somebody stopped it by hand: how that is known, and for how long it is held.
    StoppedByHand(String, Duration),
    /// Its hold after a stop by hand is over.
    HoldOver(HoldOver),
    /// How it ended could not be found out, which counts as a failure.
    ExitUnknown,
    /// It does not run and is not started.
    NotStarted(NotStarted),
    /// Its n-th restart waits until this time.
    Backoff(u32, Timestamp),
    /// Restarts are paced after a mass death; its turn comes after this time.
    Paced(Duration),
    /// It was restarted too often.
    CrashLoop(CrashLoop),
    /// It lives but makes no progress.
    Stuck {
        /// What shows it.
        why: String,
        /// What the supervisor does about it.
        done: Stuck,
    },
    /// The checks of its health say that it is not well.
    Unhealthy {
        /// What they say.
        why: String,
        /// What the supervisor does about it.
        done: Stuck,
    },
    /// A start begins.
    Starting {
        /// How it counts.
        attempt: Attempt,
        /// What the agent was.
        was: Phase,
    },
    /// A start succeeded.
    Started {
        /// How it counted.
        attempt: Attempt,
        /// How long it took.
        took: Duration,
    },
    /// With which conversation a start that succeeded began.
    Conversation(Begun),
    /// A start found it running.
    FoundRunning,
    /// A start found a session that somebody has just created, without an agent in it yet.
    SessionTaken,
    /// A start was given up; what runs is left running.
    StartGivenUp(String),
    /// No agent came up during a start.
    StartFailed(String),
    /// A start failed, and is tried again.
    StartPostponed(String),
    /// The session ended during the start.
    EndedWhileStarting,
    /// It runs only when needed, and is needed now.
    Needed(String),
    /// Its backoff was cleared by hand.
    BackoffCleared,
    /// Its restart state was changed from outside.
    RestartStateChanged,
    /// Somebody asked for a fresh start.
    RestartRequested {
        /// Who asked for it, and how.
        why: String,
        /// Whether it runs and is ended first.
        runs: bool,
    },
    /// An operator asked to start it: who, and how.
    StartRequested(String),
    /// Somebody asked to stop it.
    StopRequested {
        /// Who asked for it, and how.
        why: String,
        /// Whether it runs.
        runs: bool,
    },
    /// It is idle and has no work, for as long as this says, and is ended.
    Idle(String),
    /// It was to be ended because it is idle, and was left running.
    IdleLeft(String),
    /// It was stopped on request.
    StoppedOnRequest,
    /// It was stopped on request and has other work now: the hold is over.
    HookChanged,
    /// A request was carried out, or nothing was left to do.
    RequestCarriedOut,
    /// A request must not be carried out.
    RequestRefused(Denial),
    /// Whether a request may be carried out could not be found out: it is tried again.
    RequestPostponed(String),
    /// It runs, and this forbids to touch it.
    LeftAlone(Denial),
    /// Nothing forbids to touch it any more.
    Supervised,
    /// Its start waits for memory.
    WaitsForMemory {
        /// What is missing.
        why: Shortage,
        /// Whether somebody asked for the start.
        asked: bool,
    },
    /// A start was in progress when its supervisor or its actor ended.
    StartInterrupted,
}

/// What is missing of an agent that looks dead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    /// Its session is missing.
    Session,
    /// Its session is missing; another one of that name has no agent in it.
    SessionReplaced,
    /// Its process is missing; the session exists.
    Agent,
}

/// What delays a confirmation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HeldUp {
    /// The end of this command of Gas Town.
    Operation(String),
    /// Its worktree is gone: somebody may be removing the agent for good.
    Removal,
}

/// Why a hold is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HoldOver {
    /// What forbade its start is gone.
    Operational,
    /// Its state file says `running` again.
    SaysRunning,
    /// Its time is over.
    TimeOver,
    /// A supervisor starts, and it is to run whenever one does.
    SupervisorStarts,
}

/// What is done about a live agent that makes no progress, or is not well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stuck {
    /// It is replaced.
    Replaced,
    /// It is left as it is: this restart has to wait until then.
    Waits(u32, Timestamp),
    /// It is left as it is after this many restarts.
    CrashLoop(u32),
}

/// A crash loop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CrashLoop {
    /// The number of restarts so far.
    pub restarts: u32,
    /// When the next trial is due.
    pub until: Timestamp,
    /// The window of the restarts, when the crash loop has just begun.
    pub began: Option<Duration>,
}

/// A death.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeathReport {
    /// The incarnation of its session; `None` when it was never seen alive, so that its time of death is unknown.
    pub session: Option<SessionKey>,
    /// When it was noticed.
    pub noticed: Now,
    /// What is known of the cause.
    pub cause: Cause,
    /// The work on its hook, if it has one.
    pub hook: Option<String>,
    /// The command of Gas Town that may have ended it in passing: it is restarted without an alert.
    pub by_command: Option<String>,
}

/// What is known of why an agent ended. Its [`Display`](std::fmt::Display) is what events and mails say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// The tmux server ended, with everything in it.
    TmuxServerDied,
    /// It exited with this status, as a shell reports it (128 plus the signal's number), when known.
    Crashed(Option<i32>),
    /// Its process is gone; the session exists.
    AgentMissing,
    /// The kernel killed it for want of memory, or most probably did.
    OomKilled(OomKill),
}

impl Cause {
    /// The cause, from the report of an end, what is left, and what the kernel did.
    pub fn of(death: Option<&Death>, session_is_left: bool, oom_kill: Option<OomKill>) -> Self {
        match death {
            Some(death) if death.with_server => Cause::TmuxServerDied,
            _ if let Some(kill) = oom_kill => Cause::OomKilled(kill),
            Some(Death { exit: Some(exit), .. }) => Cause::Crashed(Some(*exit)),
            _ if session_is_left => Cause::AgentMissing,
            _ => Cause::Crashed(None),
        }
    }

    /// The exit status, where it is known.
    pub fn exit(self) -> Option<i32> {
        match self {
            Cause::Crashed(exit) => exit,
            Cause::OomKilled(_) => Some(oom::SIGKILL),
            Cause::TmuxServerDied | Cause::AgentMissing => None,
        }
    }
}

impl Reason {
    /// The code, for machines: codes are added, never renamed.
    pub fn code(&self) -> &'static str {
        match self {
            Reason::Adopted => "adopted",
            Reason::NewSession => "new_session",
            Reason::BackByItself => "recovered",
            Reason::Respawned => "respawned",
            Reason::StartedByOthers => "started_by_others",
            Reason::HoldEndedByStart => "hold_ended_by_start",
            Reason::RunsAfterGivenUp => "runs_after_given_up",
            Reason::ObservedAgain => "observed_again",
            Reason::Unclear { .. } => "unclear",
            Reason::Missing { what, .. } => what.code(),
            Reason::Unconfirmed { until, .. } => until.code(),
            Reason::OperationOverdue(_) => "operation_overdue",
            Reason::Died(report) => report.code(),
            Reason::OwnEnd(own, _) => own.code(),
            Reason::StoppedByHand(..) => "stopped_by_hand",
            Reason::HoldOver(_) => "hold_over",
            Reason::ExitUnknown => "exit_unknown",
            Reason::NotStarted(why) => why.code(),
            Reason::Backoff(..) => "backoff",
            Reason::Paced(_) => "paced",
            Reason::CrashLoop(_) => "crash_loop",
            Reason::Stuck { .. } => "no_progress",
            Reason::Unhealthy { .. } => "unhealthy",
            Reason::Starting { .. } => "starting",
            Reason::Started { .. } => "started",
            Reason::Conversation(begun) => begun.code(),
            Reason::FoundRunning => "found_running",
            Reason::SessionTaken => "no_agent_yet",
            Reason::StartGivenUp(_) => "start_given_up",
            Reason::StartFailed(_) => "start_failed",
            Reason::StartPostponed(_) => "start_postponed",
            Reason::EndedWhileStarting => "ended_while_starting",
            Reason::Needed(_) => "needed",
            Reason::BackoffCleared => "backoff_cleared",
            Reason::RestartStateChanged => "restart_state_changed",
            Reason::RestartRequested { .. } => "restart_requested",
            Reason::StartRequested(_) => "start_requested",
            Reason::StopRequested { .. } => "stop_requested",
            Reason::Idle(_) => "idle",
            Reason::IdleLeft(_) => "idle_left",
            Reason::StoppedOnRequest => "stopped_on_request",
            Reason::HookChanged => "hook_changed",
            Reason::RequestCarriedOut => "request_carried_out",
            Reason::RequestRefused(_) => "request_refused",
            Reason::RequestPostponed(_) => "request_postponed",
            Reason::LeftAlone(denial) => denial.code(),
            Reason::Supervised => "supervised",
            Reason::WaitsForMemory { .. } => MEMORY,
            Reason::StartInterrupted => "start_interrupted",
        }
    }
}

impl DeathReport {
    fn code(&self) -> &'static str {
        match self.cause {
            _ if self.by_command.is_some() => "ended_by_command",
            Cause::TmuxServerDied => "tmux_server_died",
            Cause::Crashed(_) => "crashed",
            Cause::AgentMissing => "agent_missing",
            Cause::OomKilled(_) => "oom_kill",
        }
    }
}

impl Missing {
    /// `session_gone`, `session_replaced` or `agent_gone`.
    pub fn code(self) -> &'static str {
        match self {
            Missing::Session => "session_gone",
            Missing::SessionReplaced => "session_replaced",
            Missing::Agent => "agent_gone",
        }
    }
}

impl HeldUp {
    /// `operation_running` or `being_removed`.
    pub fn code(&self) -> &'static str {
        match self {
            HeldUp::Operation(_) => "operation_running",
            HeldUp::Removal => "being_removed",
        }
    }
}

#[cfg(test)]
mod tests;
