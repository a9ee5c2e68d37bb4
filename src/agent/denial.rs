//! Why an agent is not started: what forbids it ([`Denial`]), or why it is not needed ([`Unwanted`]).
//!
//! Each has a code for machines (codes are added, never changed) and a text for people, its [`Display`](fmt::Display).
//! Nothing may compare the texts.

use std::fmt;

use jiff::Timestamp;

use super::{ended::Ended, requests::Action};
use crate::town::{identity::Identity, wisp::Closed};

/// A reason that forbids to start, nudge or end an agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Denial {
    /// `ESTOP` in the town's root.
    EmergencyStop,
    /// `ESTOP.<rig>`.
    RigEmergencyStop,
    /// `gt down` holds `daemon/shutdown.lock`.
    TownShutdown,
    /// The patrol of this name is switched off in `mayor/daemon.json`.
    PatrolOff(&'static str),
    /// The patrol of this name is in `disabled_patrols` of `settings/config.json`.
    PatrolDisabled(&'static str),
    /// Another agent would have a session of the same name; the text names both.
    SessionNameTaken(String),
    /// The rig is not operational.
    Rig(Closed),
    /// `gt deacon pause`, with the reason given there, if any.
    DeaconPaused(Option<String>),
    /// The plan of its account is used up, or its turn after that has not come.
    UsageLimit {
        /// Until when, as far as is known.
        until: Option<Timestamp>,
        /// The same for people, in local time, and what the program said.
        text: String,
    },
    /// The login of its account is lost; what to do.
    LoggedOut(String),
    /// It is to be ended only while it is idle, and is not, or may not be: what it is doing.
    Busy(String),
    /// It is to be started after this agent, which does not work.
    WaitsForAgent(Identity),
}

impl Denial {
    /// Whether only its account forbids it: an agent that ends meanwhile did not crash, and waits for its turn.
    pub fn is_of_account(&self) -> bool {
        matches!(self, Denial::UsageLimit { .. } | Denial::LoggedOut(_))
    }

    /// Whether it forbids only starts: what runs may be touched, and ended.
    pub fn is_of_starts(&self) -> bool {
        self.is_of_account() || matches!(self, Denial::WaitsForAgent(_))
    }

    /// The code: `emergency_stop`, `rig_emergency_stop`, `town_shutdown`, `patrol_off`, `session_name_taken`, `deacon_paused`,
    /// `usage_limit`, `logged_out`, `busy`, `waits_for_agent`, or that of [`Closed`].
    pub fn code(&self) -> &'static str {
        match self {
            Denial::EmergencyStop => "emergency_stop",
            Denial::RigEmergencyStop => "rig_emergency_stop",
            Denial::TownShutdown => "town_shutdown",
            Denial::PatrolOff(_) | Denial::PatrolDisabled(_) => "patrol_off",
            Denial::SessionNameTaken(_) => "session_name_taken",
            Denial::Rig(closed) => closed.code(),
            Denial::DeaconPaused(_) => "deacon_paused",
            Denial::UsageLimit { .. } => "usage_limit",
            Denial::LoggedOut(_) => "logged_out",
            Denial::Busy(_) => "busy",
            Denial::WaitsForAgent(_) => "waits_for_agent",
        }
    }
}

impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Denial::EmergencyStop => f.write_str("emergency stop of the town (ESTOP)"),
            Denial::RigEmergencyStop => f.write_str("emergency stop of the rig (ESTOP)"),
            Denial::TownShutdown => f.write_str("gt down is taking the town down"),
            Denial::PatrolOff(patrol) => {
                write!(f, "the {patrol} patrol is switched off in mayor/daemon.json")
            }
            Denial::PatrolDisabled(patrol) => {
                write!(f, "the {patrol} patrol is in disabled_patrols of settings/config.json")
            }
            Denial::SessionNameTaken(why) => f.write_str(why),
            Denial::Rig(closed) => closed.fmt(f),
            Denial::DeaconPaused(None) => f.write_str("deacon is paused"),
            Denial::DeaconPaused(Some(why)) => write!(f, "deacon is paused: {why}"),
            Denial::UsageLimit { text, .. } | Denial::LoggedOut(text) | Denial::Busy(text) => {
                f.write_str(text)
            }
            Denial::WaitsForAgent(agent) => write!(f, "waits for {agent}"),
        }
    }
}

/// Why an agent is not needed now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unwanted {
    /// A polecat without an agent bead.
    NoAgentBead,
    /// Its agent bead is closed.
    AgentBeadClosed,
    /// Nothing is on its hook.
    NoWork,
    /// Its agent bead has this state, in which it should not run.
    Resting(String),
    /// `gt` is about to start it.
    BeingSpawned,
    /// The bead on its hook is closed.
    WorkClosed(String),
    /// The bead on its hook does not exist.
    WorkMissing(String),
    /// The bead on its hook is neither hooked nor in progress.
    WorkNotHooked(String),
    /// The bead on its hook is another agent's work, or nobody's.
    WorkNotIts(String),
    /// Mayor and crew are started only on request.
    NotRequested,
    /// A request has precedence over this start: what it asks for, and who asks (`mail hq-5w2`).
    Superseded(Action, String),
    /// Boot runs only when the deacon needs a check.
    OnDemand,
    /// Boot, in a town without agents (`GT_DEGRADED`): rules do its work.
    Degraded,
    /// Boot is switched off in the settings.
    Disabled,
    /// The mayor runs without a session, as this process, which `mayor/mayor-acp.pid` names.
    RunsAsAcp(u32),
    /// No event waits for the refinery.
    NoPendingEvents,
    /// Its program or its directory does not exist: nothing is tried before that changes. What is missing, and what to do.
    Impossible(String),
}

impl Unwanted {
    /// The code: `no_agent_bead`, `agent_bead_closed`, `no_work`, `agent_resting`, `being_spawned`, `work_closed`, `work_missing`,
    /// `work_not_hooked`, `work_not_its`, `not_requested`, `superseded`, `on_demand`, `degraded`, `disabled`, `runs_as_acp`,
    /// `no_pending_events` or `cannot_start`.
    pub fn code(&self) -> &'static str {
        match self {
            Unwanted::NoAgentBead => "no_agent_bead",
            Unwanted::AgentBeadClosed => "agent_bead_closed",
            Unwanted::NoWork => "no_work",
            Unwanted::Resting(_) => "agent_resting",
            Unwanted::BeingSpawned => "being_spawned",
            Unwanted::WorkClosed(_) => "work_closed",
            Unwanted::WorkMissing(_) => "work_missing",
            Unwanted::WorkNotHooked(_) => "work_not_hooked",
            Unwanted::WorkNotIts(_) => "work_not_its",
            Unwanted::NotRequested => "not_requested",
            Unwanted::Superseded(..) => "superseded",
            Unwanted::OnDemand => "on_demand",
            Unwanted::Degraded => "degraded",
            Unwanted::Disabled => "disabled",
            Unwanted::RunsAsAcp(_) => "runs_as_acp",
            Unwanted::NoPendingEvents => "no_pending_events",
            Unwanted::Impossible(_) => "cannot_start",
        }
    }
}

impl fmt::Display for Unwanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unwanted::NoAgentBead => f.write_str("it has no agent bead"),
            Unwanted::AgentBeadClosed => f.write_str("its agent bead is closed"),
            Unwanted::NoWork => f.write_str("no work on its hook"),
            Unwanted::Resting(state) => write!(f, "its agent bead says `{state}`"),
            Unwanted::BeingSpawned => f.write_str("it is being spawned"),
            Unwanted::WorkClosed(hook) => write!(f, "its hooked bead {hook} is closed"),
            Unwanted::WorkMissing(hook) => write!(f, "its hooked bead {hook} does not exist"),
            Unwanted::WorkNotHooked(hook) => {
                write!(f, "its hooked bead {hook} is neither hooked nor in progress")
            }
            Unwanted::WorkNotIts(hook) => write!(f, "its hooked bead {hook} is not assigned to it"),
            Unwanted::NotRequested => f.write_str("it is started only on request"),
            Unwanted::Superseded(action, who) => {
                let asked = match action {
                    Action::Restart => "for a fresh start",
                    Action::Stop => "to stop it",
                    Action::Start => "to start it",
                };
                write!(f, "a request {asked} has precedence ({who})")
            }
            Unwanted::OnDemand => f.write_str("it runs only to check the deacon"),
            Unwanted::Degraded => f.write_str("degraded: triage is done without an agent"),
            Unwanted::Disabled => f.write_str("boot is disabled"),
            Unwanted::RunsAsAcp(pid) => {
                write!(f, "it runs as an ACP process, without a session (PID {pid} in mayor/mayor-acp.pid)")
            }
            Unwanted::NoPendingEvents => f.write_str("no pending events in events/refinery"),
            Unwanted::Impossible(why) => write!(f, "it cannot be started: {why}"),
        }
    }
}

/// Why an agent does not run and is not started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotStarted {
    /// Something forbids it.
    Denied(Denial),
    /// It is not needed.
    Unwanted(Unwanted),
    /// Its start failed, and starts of its role are not repeated.
    StartFailed,
    /// Its session exists, and no agent is in it yet.
    NoAgentYet,
    /// It was stopped by hand, and its hold is over.
    WasStoppedByHand,
    /// It was stopped on request, and has other work now.
    WasStoppedOnRequest,
    /// It ended by itself, and is not to be started again after that.
    Ended(Ended),
}

impl NotStarted {
    /// The code: that of [`Denial`] or [`Unwanted`], `start_failed`, `no_agent_yet`, `stopped_by_hand`, `stopped_on_request`,
    /// `ended_well` or `not_restarted`.
    pub fn code(&self) -> &'static str {
        match self {
            NotStarted::Denied(denial) => denial.code(),
            NotStarted::Unwanted(unwanted) => unwanted.code(),
            NotStarted::StartFailed => "start_failed",
            NotStarted::NoAgentYet => "no_agent_yet",
            NotStarted::WasStoppedByHand => "stopped_by_hand",
            NotStarted::WasStoppedOnRequest => "stopped_on_request",
            NotStarted::Ended(ended) if ended.exit().is_well() => "ended_well",
            NotStarted::Ended(_) => "not_restarted",
        }
    }
}

impl fmt::Display for NotStarted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NotStarted::Denied(denial) => denial.fmt(f),
            NotStarted::Unwanted(unwanted) => unwanted.fmt(f),
            NotStarted::StartFailed => f.write_str("its start failed"),
            NotStarted::NoAgentYet => f.write_str(super::reason::NO_AGENT_YET),
            NotStarted::WasStoppedByHand => f.write_str("it was stopped by hand"),
            NotStarted::WasStoppedOnRequest => f.write_str("it was stopped on request"),
            NotStarted::Ended(ended) => ended.fmt(f),
        }
    }
}
