//! Ended: how the process of an agent ended, and whether the agent is started again after that: docker's restart words, as one
//! rule.
//!
//! Only agents that a file says something of have such a word ([`Standing::restart`](crate::town::standing::Standing)); those of
//! a Gas Town are always started again. Pure, but for the one question about a word.

use std::fmt;

use jiff::Timestamp;
use rustix::process::Signal;
use serde::{Deserialize, Serialize};

use crate::{
    ports::Ports,
    town::{identity::Identity, standing::RestartWhen},
};

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// By itself, with this exit code.
    Code(i32),
    /// By this signal.
    Signal(i32),
    /// It could not be found out.
    Unknown,
}

impl Exit {
    /// How it ended, by its exit status as a shell gives it (128 and the signal's number); `None` where that is not known.
    pub fn of(status: Option<i32>) -> Self {
        match status {
            None => Exit::Unknown,
            Some(status @ 129..=192) => Exit::Signal(status - 128),
            Some(code) => Exit::Code(code),
        }
    }

    /// Its exit status as a shell gives it.
    pub fn status(self) -> Option<i32> {
        match self {
            Exit::Code(code) => Some(code),
            Exit::Signal(signal) => Some(128 + signal),
            Exit::Unknown => None,
        }
    }

    /// Whether it ended well.
    pub fn is_well(self) -> bool {
        self == Exit::Code(0)
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Exit::Code(code) => write!(f, "with exit code {code}"),
            Exit::Signal(number) => match signal(128 + number) {
                Some(name) => write!(f, "by {name}"),
                None => write!(f, "by signal {number}"),
            },
            Exit::Unknown => f.write_str("with an exit status that is not known"),
        }
    }
}

/// The name of the signal that ended a process, by its exit status as a shell reports it: `SIGKILL`.
pub fn signal(exit: i32) -> Option<String> {
    let signal = exit.checked_sub(128).and_then(Signal::from_named_raw)?;
    let name = format!("{signal:?}");
    Some(format!("SIG{}", name.trim_matches('"').trim_start_matches("Signal::")))
}

/// The end of an agent that is not started again by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    /// When that was noticed.
    pub at: Timestamp,
    /// Its exit status as a shell gives it; `None` where it is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<i32>,
}

impl Ended {
    /// An end of this kind.
    pub fn new(at: Timestamp, exit: Exit) -> Self {
        Ended { at, status: exit.status() }
    }

    /// How it ended.
    pub fn exit(self) -> Exit {
        Exit::of(self.status)
    }
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ended by itself {}", self.exit())
    }
}

/// Why an agent does not run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// Its process ended, and nobody had asked for that.
    ByItself(Exit),
    /// Somebody stopped it until further notice.
    Stopped,
}

/// When it is asked whether to start an agent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Occasion {
    /// It does not run.
    Ended,
    /// A supervisor starts.
    SupervisorStarts,
}

/// Whether an agent with this word is started again by itself. An end of which nothing is known counts as a failure.
pub fn starts_again(when: RestartWhen, cause: Cause, occasion: Occasion) -> bool {
    match (when, cause) {
        (RestartWhen::Always, Cause::Stopped) => occasion == Occasion::SupervisorStarts,
        (_, Cause::Stopped) => false,
        (RestartWhen::Always | RestartWhen::UnlessStopped, Cause::ByItself(_)) => true,
        (RestartWhen::OnFailure, Cause::ByItself(exit)) => !exit.is_well(),
        (RestartWhen::No, Cause::ByItself(_)) => false,
    }
}

/// Whether it matters how the process of this agent ends, so that its exit status is kept.
pub fn exit_matters(ports: &Ports, identity: &Identity) -> bool {
    let standing = ports.standing(identity);
    standing.is_some_and(|it| matches!(it.restart, RestartWhen::OnFailure | RestartWhen::No))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_docker() {
        use RestartWhen::{Always, No, OnFailure, UnlessStopped};
        let by_itself = |status| Cause::ByItself(Exit::of(status));
        let causes = [
            ("exit 0", by_itself(Some(0))),
            ("exit 1", by_itself(Some(1))),
            ("exit 127", by_itself(Some(127))),
            ("TERM", by_itself(Some(143))),
            ("KILL", by_itself(Some(137))),
            ("unknown", by_itself(None)),
            ("stopped", Cause::Stopped),
        ];
        for (when, ended, supervisor_starts) in [
            (Always, "exit 0, exit 1, exit 127, TERM, KILL, unknown", "all"),
            (UnlessStopped, "exit 0, exit 1, exit 127, TERM, KILL, unknown", "the same"),
            (OnFailure, "exit 1, exit 127, TERM, KILL, unknown", "the same"),
            (No, "", "the same"),
        ] {
            let again = |occasion| {
                let those = causes.iter().filter(|(_, cause)| starts_again(when, *cause, occasion));
                those.map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
            };
            assert_eq!(again(Occasion::Ended), ended, "{when:?}");
            let expected = match supervisor_starts {
                "all" => format!("{ended}, stopped"),
                _ => ended.to_owned(),
            };
            assert_eq!(again(Occasion::SupervisorStarts), expected, "{when:?}, a supervisor starts");
        }
    }

    #[test]
    fn exits_in_words_and_on_disk() {
        for (status, shown, is_well) in [
            (Some(0), "with exit code 0", true),
            (Some(3), "with exit code 3", false),
            (Some(128), "with exit code 128", false),
            (Some(137), "by SIGKILL", false),
            (Some(192), "by signal 64", false),
            (Some(255), "with exit code 255", false),
            (None, "with an exit status that is not known", false),
        ] {
            let exit = Exit::of(status);
            assert_eq!((exit.to_string().as_str(), exit.is_well()), (shown, is_well), "{status:?}");
            let ended = Ended::new(Timestamp::UNIX_EPOCH, exit);
            let read: Ended = serde_json::from_str(&serde_json::to_string(&ended).unwrap()).unwrap();
            assert_eq!((read, read.exit()), (ended, exit), "{status:?}");
        }
        let newer: Ended = serde_json::from_str(r#"{"at":"1970-01-01T00:00:00Z","more":1}"#).unwrap();
        assert_eq!(newer.exit(), Exit::Unknown);
    }
}
