//! The story: one step of an agent's lifecycle as one entry of its history. Pure.
//!
//! What the lifecycle tells is what was seen and what is done; where it tells nothing because the transition says it all (a
//! start), that is put into words here. A step in which nothing changed has no entry.

use std::time::Duration;

use super::{Entry, Kind};
use crate::{
    agent::{
        lifecycle::{Attempt, Decision, Lifecycle, Notice, Obituary, Outcome, StartOrder, State, Step},
        standing::{self, Standing},
    },
    clock::Now,
    go_duration,
    sessions::death::Death,
};

/// How an agent was right before a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Before {
    standing: Standing,
    doubted: bool,
    unseen: bool,
}

impl Before {
    /// As it is now.
    pub fn of(lifecycle: &Lifecycle) -> Self {
        Before {
            standing: Standing::of(lifecycle),
            doubted: lifecycle.doubt().is_some(),
            unseen: *lifecycle.state() == State::Unseen,
        }
    }
}

/// What else is known of a step.
#[derive(Debug, Clone, Copy)]
pub struct Around<'a> {
    /// The moment.
    pub now: Now,
    /// What was told of the end of the session it lived in, if something was.
    pub death: Option<&'a Death>,
    /// The request that is attended to.
    pub request: Option<&'a str>,
    /// The crash loop's window (`restart.crash_loop_window`).
    pub window: Duration,
}

/// The entry for a step that led from `before` to how `after` is.
pub fn entry(before: Before, after: &Lifecycle, step: &Step, around: Around<'_>) -> Option<Entry> {
    let mut words = Words::default();
    for notice in &step.notices {
        words.take(notice, around);
    }
    if let Decision::Start(order) = &step.decision {
        words.start(order, before);
    }
    let standing = Standing::of(after);
    if standing == Standing::Confirming && before.standing != Standing::Confirming {
        words.seen.push_str(&noticed_by(around.death));
    }
    if words.are_missing() {
        words.of_the_state(before, after);
    }
    if words.are_missing() {
        return doubt(before, after, around.now);
    }
    let kind = if words.only_request { Kind::Request } else { Kind::Change };
    let entry = Entry::new(kind, around.now.wall, &words.seen, &words.done);
    Some(entry.leading_to(standing, standing::until(after.state())))
}

/// What is known of why it ended, as it is told ("crashed (exit 137)").
pub fn cause(obituary: &Obituary, death: Option<&Death>) -> String {
    match death.and_then(|death| death.exit) {
        _ if death.is_some_and(|death| death.with_server) => "tmux server died".to_owned(),
        Some(exit) => format!("crashed (exit {exit})"),
        None if obituary.left_session => "agent gone, shell left".to_owned(),
        None => "crashed".to_owned(),
    }
}

/// A look that told nothing, where the one before told something.
fn doubt(before: Before, after: &Lifecycle, now: Now) -> Option<Entry> {
    // Somebody starts it: what comes of that is told.
    let why = after.doubt().filter(|_| !before.doubted && !after.awaits_an_agent())?;
    let seen = match after.is_out_of_sight() {
        true => format!("could not be looked at: {why}"),
        false => format!("could not be judged: {why}"),
    };
    let entry = Entry::new(Kind::Unclear, now.wall, &seen, "nothing is done");
    Some(entry.leading_to(Standing::of(after), standing::until(after.state())))
}

/// Who told of an end, and with which exit status.
fn noticed_by(death: Option<&Death>) -> String {
    match death.map(|death| (death.sign, death.exit)) {
        Some((sign, Some(exit))) => format!(" ({sign}, exit {exit})"),
        Some((sign, None)) => format!(" ({sign})"),
        None => " (seen by a look)".to_owned(),
    }
}

#[derive(Default)]
struct Words {
    seen: String,
    done: String,
    /// There is nothing but what came of a request.
    only_request: bool,
}

impl Words {
    fn are_missing(&self) -> bool {
        self.seen.is_empty() && self.done.is_empty()
    }

    fn say(&mut self, seen: &str, done: &str) {
        for (words, more) in [(&mut self.seen, seen), (&mut self.done, done)] {
            if !words.is_empty() && !more.is_empty() {
                words.push_str("; ");
            }
            words.push_str(more);
        }
    }

    fn take(&mut self, notice: &Notice, around: Around<'_>) {
        match notice {
            Notice::Told { seen, done, .. } => self.say(seen, done),
            Notice::Died(obituary) => self.say(&death(obituary, around.death), ""),
            Notice::Started { attempt, took } => self.say(&started(*attempt, *took), ""),
            Notice::CrashLoop { .. } => {
                self.say(&format!("too many restarts within {}", go_duration::format(around.window)), "");
            }
            Notice::Request(outcome) => self.request(outcome, around.request.unwrap_or("by mail")),
            Notice::Keep(_)
            | Notice::StoppedByHand
            | Notice::Hold(_)
            | Notice::WaitsUntil(..)
            | Notice::TurnTaken => {}
        }
    }

    fn request(&mut self, outcome: &Outcome, id: &str) {
        let alone = self.are_missing();
        match outcome {
            Outcome::Carried if alone => self.say(&format!("request {id} is carried out"), ""),
            Outcome::Carried => return,
            Outcome::Refused(why) => self.say(&format!("request {id}: {why}"), "not carried out"),
            Outcome::Unclear(why) => self.say(&format!("request {id} has to wait: {why}"), "tried again"),
        }
        self.only_request = alone;
    }

    fn start(&mut self, order: &StartOrder, before: Before) {
        let seen = match before.standing {
            _ if !self.are_missing() => "",
            Standing::Waiting | Standing::CrashLoop => "its time has come",
            Standing::Paused => "is not running, and paused no longer",
            _ => "is not running",
        };
        let done = match order.attempt {
            Attempt::Restart(n) => format!("restart {n}"),
            Attempt::Trial => "trial after a crash loop".to_owned(),
            // What is seen says why; what was asked for was told.
            Attempt::Fresh | Attempt::HoldOver | Attempt::Asked => String::new(),
        };
        self.say(seen, &done);
    }

    /// Where nothing was told, but it is not where it was.
    fn of_the_state(&mut self, before: Before, after: &Lifecycle) {
        match (before.standing, after.state()) {
            (Standing::Starting, State::Waiting { why, .. }) => {
                self.say(&format!("could not be started: {why}"), "tried again");
            }
            (Standing::Unknown, State::Alive { .. } | State::Absent { .. })
                if !before.unseen && !after.is_out_of_sight() =>
            {
                self.say("is seen again", "");
            }
            _ => {}
        }
    }
}

fn death(obituary: &Obituary, told: Option<&Death>) -> String {
    if let Some(line) = &obituary.by_command {
        return format!("ended while `{line}` was at work");
    }
    let hook = obituary.hook.as_ref().map(|hook| format!(", hook {hook}")).unwrap_or_default();
    format!("died: {}{hook}", cause(obituary, told))
}

/// A start that succeeded, as it is told: how long it took and how it counted.
pub fn started(attempt: Attempt, took: Duration) -> String {
    let counted = match attempt {
        Attempt::Fresh => String::new(),
        Attempt::HoldOver => " (hold over)".to_owned(),
        Attempt::Restart(n) => format!(" (restart {n})"),
        Attempt::Trial => " (trial after a crash loop)".to_owned(),
        Attempt::Asked => " (asked for)".to_owned(),
    };
    format!("started in {:.1}s{counted}", took.as_secs_f64())
}
