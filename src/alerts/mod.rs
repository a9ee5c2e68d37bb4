//! Alerts: what people outside the town are sent, once, when something begins that needs them, and when it is over.
//!
//! [`levels`] says which lasting conditions are alerts and when one begins or ends; [`pace`] when the next message goes out;
//! [`shapes`] what a webhook, ntfy or a desktop gets, and which answers accept it; the [`register`] keeps on disk what is open
//! and what is not delivered. All but the register is pure. An [actor](crate::watchers::alerts) delivers. Nothing here starts or ends an agent,
//! and nothing waits for an alert.

pub mod levels;
pub mod pace;
pub mod register;
pub mod shapes;

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    ports::problems::{Condition, Severity},
    town::settings::Notify,
};

/// The version of the shape of [`Alert`].
pub const VERSION: u32 = 1;

/// One alert: the documented shape, as `notify.webhook` posts it. Fields are only added.
#[cfg_attr(feature = "test-support", derive(schemars::JsonSchema))]
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Alert {
    /// The version of this shape.
    pub version: u32,
    /// Names this alert: one that is sent again, because its answer was lost, has the same.
    pub id: String,
    /// When it was raised.
    pub at: Timestamp,
    /// What it is about.
    pub kind: Kind,
    /// How urgent it is.
    pub severity: Severity,
    /// One sentence for people.
    pub summary: String,
    /// The root of the town.
    pub town: String,
    /// The name of the machine.
    pub host: String,
    /// The agents it is about, by identity.
    pub agents: Vec<String>,
    /// The shell command that attaches to the agent's session, where it is about one agent with a session.
    pub attach: Option<String>,
    /// Whether it says that what an earlier alert reported is over.
    pub resolved: bool,
    /// The event it comes from, in the form of the event log.
    #[cfg_attr(feature = "test-support", schemars(with = "crate::town::events::Event"))]
    pub event: Value,
}

/// What an alert is about.
#[cfg_attr(feature = "test-support", derive(schemars::JsonSchema))]
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Many agents died together.
    MassDeath,
    /// An agent was restarted too often and is held.
    CrashLoop,
    /// The plan of an account is used up.
    UsageLimit,
    /// The login of an account is lost.
    LoginLost,
    /// An agent waits at a question.
    WaitingAtQuestion,
    /// The checks of an agent's health fail.
    Unhealthy,
    /// A polecat's work does not move.
    StalledWork,
    /// A program of Gas Town or of an agent is missing, or cannot be run.
    MissingProgram,
    /// An agent cannot be started, for another reason.
    CannotStart,
    /// A file or an event cannot be written, mostly because the disk is full.
    CannotWrite,
    /// A file of the supervisor cannot be read, or its content is lost.
    CannotRead,
    /// tmux, `bd` or Dolt do not work.
    BrokenTool,
    /// The supervisor runs again after it ended without a request.
    SupervisorCrashed,
    /// Several alerts as one message.
    Digest,
    /// Somebody tries out whether alerts arrive.
    Test,
}

impl Kind {
    /// The same for machines.
    pub fn code(self) -> &'static str {
        match self {
            Kind::MassDeath => "mass_death",
            Kind::CrashLoop => "crash_loop",
            Kind::UsageLimit => "usage_limit",
            Kind::LoginLost => "login_lost",
            Kind::WaitingAtQuestion => "waiting_at_question",
            Kind::Unhealthy => "unhealthy",
            Kind::StalledWork => "stalled_work",
            Kind::MissingProgram => "missing_program",
            Kind::CannotStart => "cannot_start",
            Kind::CannotWrite => "cannot_write",
            Kind::CannotRead => "cannot_read",
            Kind::BrokenTool => "broken_tool",
            Kind::SupervisorCrashed => "supervisor_crashed",
            Kind::Digest => "digest",
            Kind::Test => "test",
        }
    }

    /// How urgent it is: critical is what stops agents until a person acts.
    pub fn severity(self) -> Severity {
        match self {
            Kind::MassDeath
            | Kind::CrashLoop
            | Kind::LoginLost
            | Kind::MissingProgram
            | Kind::CannotStart
            | Kind::CannotWrite
            | Kind::CannotRead
            | Kind::BrokenTool => Severity::Critical,
            Kind::UsageLimit
            | Kind::WaitingAtQuestion
            | Kind::Unhealthy
            | Kind::StalledWork
            | Kind::SupervisorCrashed
            | Kind::Digest => Severity::Warning,
            Kind::Test => Severity::Info,
        }
    }
}

impl From<Condition> for Kind {
    fn from(condition: Condition) -> Self {
        match condition {
            Condition::MissingProgram => Kind::MissingProgram,
            Condition::CannotStart => Kind::CannotStart,
            Condition::CannotWrite => Kind::CannotWrite,
            Condition::CannotRead => Kind::CannotRead,
            Condition::BrokenTool => Kind::BrokenTool,
            Condition::WaitingAtQuestion => Kind::WaitingAtQuestion,
            Condition::Unhealthy => Kind::Unhealthy,
        }
    }
}

/// Where alerts go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Channel {
    /// `notify.webhook`.
    Webhook,
    /// `notify.ntfy`.
    Ntfy,
    /// `notify.desktop`.
    Desktop,
}

impl Channel {
    /// All of them.
    pub const ALL: [Channel; 3] = [Channel::Webhook, Channel::Ntfy, Channel::Desktop];

    /// The channels that these settings name.
    pub fn of(settings: &Notify) -> Vec<Channel> {
        let all = [
            (settings.webhook.is_some(), Channel::Webhook),
            (settings.ntfy.is_some(), Channel::Ntfy),
            (settings.desktop, Channel::Desktop),
        ];
        all.into_iter().filter_map(|(is_set, channel)| is_set.then_some(channel)).collect()
    }
}

impl fmt::Display for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Channel::Webhook => "notify.webhook",
            Channel::Ntfy => "notify.ntfy",
            Channel::Desktop => "notify.desktop",
        })
    }
}
