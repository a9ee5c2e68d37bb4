//! Key: what names a problem, and what whoever reports it knows of it beyond its text.
//!
//! The name (`rig/gastown/gastown/witness/start`) is stable and shown to people. How bad a problem is, which agent it concerns and
//! which condition it is are facts of their own: nobody may read them out of the name.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::town::identity::Identity;

/// How bad a problem or an alert is. Nothing may be decided by it: it orders what people read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "test-support", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// To be known.
    Info,
    /// Something is to be examined, or waits for a person.
    #[default]
    Warning,
    /// Something is not done that the supervisor is there for, until a person acts.
    Critical,
}

/// A condition about which people outside the town are alerted while it lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    /// A program of Gas Town, or of an agent, is missing or cannot be run.
    MissingProgram,
    /// An agent cannot be started, for another reason.
    CannotStart,
    /// A file or an event cannot be written.
    CannotWrite,
    /// A file of the supervisor cannot be read, or its content is lost.
    CannotRead,
    /// tmux, `bd` or Dolt do not work.
    BrokenTool,
    /// An agent waits at a question.
    WaitingAtQuestion,
    /// The checks of an agent's health fail.
    Unhealthy,
}

impl Condition {
    /// How bad it is.
    pub const fn severity(self) -> Severity {
        match self {
            Condition::WaitingAtQuestion | Condition::Unhealthy => Severity::Warning,
            Condition::MissingProgram
            | Condition::CannotStart
            | Condition::CannotWrite
            | Condition::CannotRead
            | Condition::BrokenTool => Severity::Critical,
        }
    }
}

/// The name of a problem, and the facts about it. One made of a name alone is a warning about no agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProblemKey {
    name: Cow<'static, str>,
    severity: Severity,
    agent: Option<Identity>,
    condition: Option<Condition>,
}

impl ProblemKey {
    /// A problem with this name.
    pub const fn named(name: &'static str) -> Self {
        ProblemKey { name: Cow::Borrowed(name), severity: Severity::Warning, agent: None, condition: None }
    }

    /// Something is not done that the supervisor is there for.
    #[must_use]
    pub const fn critical(mut self) -> Self {
        self.severity = Severity::Critical;
        self
    }

    /// It is this condition, and as bad as that is.
    #[must_use]
    pub const fn meaning(mut self, condition: Condition) -> Self {
        self.severity = condition.severity();
        self.condition = Some(condition);
        self
    }

    /// It concerns this agent.
    #[must_use]
    pub fn of(mut self, agent: &Identity) -> Self {
        self.agent = Some(agent.clone());
        self
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How bad it is.
    pub fn severity(&self) -> Severity {
        self.severity
    }

    /// The agent that it concerns.
    pub fn agent(&self) -> Option<&Identity> {
        self.agent.as_ref()
    }

    /// The condition that it is.
    pub fn condition(&self) -> Option<Condition> {
        self.condition
    }
}

impl AsRef<str> for ProblemKey {
    fn as_ref(&self) -> &str {
        &self.name
    }
}

impl From<String> for ProblemKey {
    fn from(name: String) -> Self {
        ProblemKey { name: Cow::Owned(name), ..ProblemKey::named("") }
    }
}

impl From<&str> for ProblemKey {
    fn from(name: &str) -> Self {
        name.to_owned().into()
    }
}
