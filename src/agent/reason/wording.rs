//! The texts of reasons. Each is worded here and nowhere else; log and history combine the same words.

use std::{fmt, time::Duration};

use jiff::Timestamp;

use super::{Cause, CrashLoop, DeathReport, HeldUp, HoldOver, Missing, Reason, Stuck};
use crate::{
    agent::{
        denial::NotStarted,
        ended::signal,
        lifecycle::{Attempt, StartOrder},
        phase::Phase,
        waits::Own,
    },
    go_duration,
    sessions::death::Sign,
};

/// The text for a session in which an agent may come up.
pub const NO_AGENT_YET: &str = "its session has no agent yet";

/// A reason in words: what was observed, and what is done about it. Either may be empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Words {
    /// What was observed, or asked for.
    pub seen: String,
    /// What is done about it.
    pub done: String,
    /// A time that the log adds; the history has it in a field of its own.
    pub until: Option<Timestamp>,
    link: &'static str,
}

impl Words {
    fn new(seen: impl Into<String>, link: &'static str, done: impl Into<String>) -> Self {
        Words { seen: seen.into(), done: done.into(), link, until: None }
    }

    fn seen(seen: impl Into<String>) -> Self {
        Words::new(seen, "", "")
    }

    fn done(done: impl Into<String>) -> Self {
        Words::new("", "", done)
    }

    fn until(self, time: Timestamp) -> Self {
        Words { until: Some(time), ..self }
    }

    /// One line, for the log.
    pub fn line(&self) -> String {
        let until = self.until.map(|time| format!(" until {}", at_second(time))).unwrap_or_default();
        let link = if self.seen.is_empty() || self.done.is_empty() { "" } else { self.link };
        format!("{}{link}{}{until}", self.seen, self.done)
    }
}

impl Reason {
    /// The reason in words.
    pub fn words(&self) -> Words {
        match self {
            Reason::Adopted => Words::new("already running", ", ", "adopted"),
            Reason::NewSession => Words::new("runs in a new session", ", ", "not started by the supervisor"),
            Reason::BackByItself => Words::new("is back by itself", ", ", "no action"),
            Reason::Respawned => Words::new("respawned by its tmux hook", ", ", "no action"),
            Reason::StartedByOthers => Words::new("started by somebody else", ", ", "no action"),
            Reason::HoldEndedByStart => Words::new("started by somebody else", ", ", "released"),
            Reason::RunsAfterGivenUp => Words::new("runs although its start was given up", ", ", "no action"),
            Reason::FoundRunning => Words::new("already running", ", ", "no action"),
            Reason::SessionTaken => Words::new(NO_AGENT_YET, ", ", "no action"),
            Reason::ObservedAgain => Words::seen("can be observed again"),
            Reason::Unclear { out_of_sight, why } => {
                let what = if *out_of_sight { "cannot be observed" } else { "undecided" };
                Words::new(format!("{what}: {why}"), "; ", "no action")
            }
            Reason::Missing { what, reported, confirm } => {
                let seen = format!("{what} ({})", reported_by(*reported));
                Words::new(seen, "; confirming, ", format!("decided in {}", go_duration::short(*confirm)))
            }
            Reason::Unconfirmed { what, until } => Words::new(what.to_string(), "; ", until.to_string()),
            Reason::OperationOverdue(line) => {
                Words::new(format!("`{line}` is still running"), ", ", "no longer waited for")
            }
            Reason::Died(report) => Words::seen(report.to_string()),
            Reason::OwnEnd(own, retry) => {
                let done = match retry.is_zero() {
                    true => "started again, not counted as a restart".to_owned(),
                    false => format!("retried in {}", go_duration::short(*retry)),
                };
                Words::new(own.to_string(), "; ", done)
            }
            Reason::StoppedByHand(how, time) => Words::new(
                format!("stopped by hand ({how})"),
                "; ",
                format!("left alone for {}", go_duration::short(*time)),
            ),
            Reason::HoldOver(why) => Words::seen(format!("hold after a stop by hand ends: {why}")),
            Reason::NotStarted(NotStarted::Ended(ended)) => {
                Words::new(ended.to_string(), "; ", "not started again")
            }
            Reason::ExitUnknown => Words::new("its exit status is not known", "; ", "counts as a failure"),
            Reason::NotStarted(why) => Words::new("not running", ", not started: ", why.to_string()),
            Reason::LeftAlone(denial) => Words::new(denial.to_string(), "; ", "not touched until that ends"),
            Reason::Supervised => Words::seen("supervised again"),
            _ => self.words_of_restarts(),
        }
    }

    fn words_of_restarts(&self) -> Words {
        match self {
            Reason::Backoff(restart, until) => Words::done(format!("restart {restart} waits")).until(*until),
            Reason::Paced(time) => Words::new(
                "restarts are paced after a mass death",
                "; ",
                format!("its turn is in {}", go_duration::short(tenths(*time))),
            ),
            Reason::CrashLoop(CrashLoop { restarts, until, began }) => {
                let seen = began.map(|it| format!("too many restarts within {}", go_duration::short(it)));
                let done = format!("held after {restarts} restarts");
                Words::new(seen.unwrap_or_default(), "; ", done).until(*until)
            }
            Reason::Stuck { why, done } | Reason::Unhealthy { why, done } => match done {
                Stuck::Replaced => Words::new(why, "; ", "replacing it"),
                Stuck::Waits(restart, until) => {
                    Words::new(why, "; ", format!("left running, restart {restart} waits")).until(*until)
                }
                Stuck::CrashLoop(restarts) => {
                    Words::new(why, "; ", format!("left running after {restarts} restarts"))
                }
            },
            Reason::Starting { attempt, was } => Words::new(before_a_start(*was), "; ", attempt.to_string()),
            Reason::Started { attempt, took } => Words::seen(started(*attempt, took.as_secs_f64())),
            Reason::Conversation(begun) => Words::seen(begun.to_string()),
            Reason::StartGivenUp(why) => {
                Words::new(format!("its start was given up: {why}"), "; ", "what runs is left running")
            }
            Reason::StartFailed(why) => Words::seen(format!("start failed: {why}")),
            Reason::StartPostponed(why) => {
                Words::new(format!("could not be started: {why}"), "; ", "retried")
            }
            Reason::EndedWhileStarting => Words::seen("session ended during the start"),
            Reason::WaitsForMemory { why, asked } => {
                let asked = if *asked { "requested; " } else { "" };
                Words::new(format!("{asked}waits for memory: {why}"), "; ", "started once there is enough")
            }
            Reason::StartInterrupted => Words::new(
                "start interrupted: the supervisor exited or its actor crashed",
                "; ",
                "probed again",
            ),
            _ => self.words_of_requests(),
        }
    }

    fn words_of_requests(&self) -> Words {
        match self {
            Reason::Needed(why) => Words::seen(why),
            Reason::BackoffCleared => Words::seen("backoff cleared by hand"),
            Reason::RestartStateChanged => Words::seen("restart_state.json was changed from outside"),
            Reason::RestartRequested { why, runs: true } => Words::new(why, "; ", "stopping and starting it"),
            Reason::RestartRequested { why, runs: false } => Words::new(why, "; ", "starting it"),
            Reason::StartRequested(why) => Words::new(why, "; ", "starting it"),
            Reason::StopRequested { why, runs: true } => Words::new(why, "; ", "stopping it"),
            Reason::StopRequested { why, runs: false } => Words::new(why, "; ", "not running already"),
            Reason::Idle(why) => Words::new(why, "; ", "stopping it"),
            Reason::IdleLeft(why) => {
                Words::new(format!("idle, and could not be stopped: {why}"), "; ", "left running")
            }
            Reason::StoppedOnRequest => Words::seen("stopped on request"),
            Reason::HookChanged => Words::new("stopped on request, and has other work now", "; ", "released"),
            Reason::RequestCarriedOut => Words::seen("carried out"),
            Reason::RequestRefused(denial) => Words::new(denial.to_string(), "; ", "not carried out"),
            Reason::RequestPostponed(why) => Words::new(format!("postponed: {why}"), "; ", "retried"),
            _ => Words::default(),
        }
    }
}

/// What happened before a start, when no other reason says it.
fn before_a_start(was: Phase) -> &'static str {
    match was {
        Phase::Waiting | Phase::CrashLoop => "its wait is over",
        Phase::Paused => "not running, no longer paused",
        _ => "not running",
    }
}

/// A start that succeeded: how long it took and how it counted.
fn started(attempt: Attempt, took: f64) -> String {
    let counted = match attempt {
        Attempt::Fresh => String::new(),
        Attempt::HoldOver => " (hold over)".to_owned(),
        Attempt::Restart(n) => format!(" (restart {n})"),
        Attempt::Trial => " (trial after a crash loop)".to_owned(),
        Attempt::Asked => " (on request)".to_owned(),
    };
    format!("started in {took:.1}s{counted}")
}

/// The source of the report of an end, and the exit status.
pub fn reported_by(death: Option<(Sign, Option<i32>)>) -> String {
    match death {
        Some((sign, Some(exit))) => format!("{sign}{}", exit_status(exit)),
        Some((sign, None)) => sign.to_string(),
        None => "found by a probe".to_owned(),
    }
}

/// How a process exited, by its exit status as a shell reports it: `: SIGKILL (137)`, ` with 1`.
fn exit_status(exit: i32) -> String {
    match signal(exit) {
        Some(signal) => format!(": {signal} ({exit})"),
        None => format!(" with {exit}"),
    }
}

/// To a tenth of a second.
fn tenths(time: Duration) -> Duration {
    Duration::from_millis(u64::try_from(time.as_millis() / 100 * 100).unwrap_or(u64::MAX))
}

/// A time to the second, in UTC: a rule has no time zone, and who shows it to people converts it.
pub fn at_second(time: Timestamp) -> String {
    Timestamp::from_second(time.as_second()).map_or_else(|_| time.to_string(), |time| time.to_string())
}

impl StartOrder {
    /// Why the start is made, for people.
    pub fn why(&self) -> String {
        match (&self.replace, self.attempt) {
            (Some(replaced), _) => replaced.why.clone(),
            (None, Attempt::Fresh) => "not running".to_owned(),
            (None, Attempt::HoldOver) => "hold over".to_owned(),
            (None, Attempt::Asked) => "requested".to_owned(),
            (None, attempt @ (Attempt::Restart(_) | Attempt::Trial)) => attempt.to_string(),
        }
    }
}

/// How a start counts. Empty for a fresh one: the observation says why it is made.
impl fmt::Display for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Attempt::Restart(n) => write!(f, "restart {n}"),
            Attempt::Trial => f.write_str("trial after a crash loop"),
            Attempt::Fresh | Attempt::HoldOver | Attempt::Asked => Ok(()),
        }
    }
}

impl fmt::Display for DeathReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(line) = &self.by_command {
            return write!(f, "exited while `{line}` was running");
        }
        write!(f, "died: {}", self.cause)?;
        self.hook.as_ref().map_or(Ok(()), |hook| write!(f, ", hook {hook}"))
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Cause::TmuxServerDied => f.write_str("tmux server died"),
            Cause::Crashed(Some(exit)) => write!(f, "crashed (exit {exit})"),
            Cause::Crashed(None) => f.write_str("crashed"),
            Cause::AgentMissing => f.write_str("agent gone, shell left"),
            Cause::OomKilled(kill) => kill.fmt(f),
        }
    }
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Missing::Session => "session is gone",
            Missing::SessionReplaced => "session was replaced by one without an agent",
            Missing::Agent => "agent is gone, its session is there",
        })
    }
}

impl fmt::Display for HeldUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HeldUp::Operation(line) => write!(f, "waiting for `{line}` to end"),
            HeldUp::Removal => f.write_str("its worktree is gone: perhaps it is being removed"),
        }
    }
}

impl fmt::Display for HoldOver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            HoldOver::Operational => "its rig is operational again",
            HoldOver::SaysRunning => "Gas Town notes it as running",
            HoldOver::TimeOver => "its time is over",
            HoldOver::SupervisorStarts => "a supervisor starts, and its restart is \"always\"",
        })
    }
}

impl fmt::Display for Own {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Own::UsageLimit(line) => write!(f, "ended at a usage limit ({line})"),
            Own::Question(title) => write!(f, "ended while it waited at a question ({title})"),
            Own::CleanExit => f.write_str("exited by itself (exit 0) and was not respawned"),
            Own::Unspecified(why) => f.write_str(why),
        }
    }
}
