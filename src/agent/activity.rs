//! Activity: what a living agent is doing, as far as facts say.
//!
//! A process that runs is not an agent that works: it may have reached a usage limit, lost its login, or wait at a question.
//! A [`Reading`] is what one source said, and when. Unknown is no reading. This module must not read a file or a screen, and no
//! agent may be ended because of what it says.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub mod noting;
pub mod screen;
#[cfg(test)]
pub(crate) mod talk;
pub mod transcript;
pub mod weighing;

pub use weighing::{Evidence, Said};

/// What an agent is doing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Activity {
    /// It works on a turn.
    Working,
    /// Its turn is over, and it waits for input.
    Idle,
    /// It waits for a person to answer this question.
    WaitingAtQuestion(String),
    /// The plan of its account is used up; the program's own sentence, which may name the time of the reset.
    Limited(String),
    /// The login of its account has expired or is missing; the program's own sentence.
    LoggedOut(String),
    /// Two independent sources say that it does nothing although it should; what they say.
    Hung(String),
}

impl Activity {
    /// Its word in JSON: `working`, `idle`, `waiting_at_question`, `limited`, `logged_out` or `hung`.
    pub fn code(&self) -> &'static str {
        match self {
            Activity::Working => "working",
            Activity::Idle => "idle",
            Activity::WaitingAtQuestion(_) => "waiting_at_question",
            Activity::Limited(_) => "limited",
            Activity::LoggedOut(_) => "logged_out",
            Activity::Hung(_) => "hung",
        }
    }

    /// The program's own sentence, the question, or what the sources say.
    pub fn detail(&self) -> Option<&str> {
        match self {
            Activity::Working | Activity::Idle => None,
            Activity::WaitingAtQuestion(text)
            | Activity::Limited(text)
            | Activity::LoggedOut(text)
            | Activity::Hung(text) => Some(text),
        }
    }
}

/// Where a reading comes from, the most trusted first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// What the program wrote about its session by itself.
    Transcript,
    /// What its screen shows.
    Screen,
    /// What the operating system says about its processes.
    Processes,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Source::Transcript => "transcript",
            Source::Screen => "screen",
            Source::Processes => "processes",
        })
    }
}

/// What one source said about an agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reading {
    /// What it is doing.
    pub activity: Activity,
    /// Who says so.
    pub source: Source,
    /// Since when: the time of the record that says so, or when it was first seen.
    pub since: Timestamp,
}
