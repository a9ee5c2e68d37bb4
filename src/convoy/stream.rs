//! The stream: the child that tells closes, one at a time, from its start to its end.
//!
//! A hint is all it gives, so that its absence is no problem: it is told once in the log, and shown to whoever asks.

use std::{sync::Arc, time::Duration};

use tokio::sync::oneshot;

use super::{
    actor::{ConvoyMsg, ConvoyState, later},
    listener::{Listener, Told},
    rules::{self, Sequel, WELL, may_tell},
    status::StreamStatus,
};
use crate::{
    clock::Now,
    commands::{Command, CommandError, Line},
    deps::Deps,
    go_duration,
    ledger::{bd, version::Version},
    work::Post,
};

/// What is run, in the town.
const WORDS: [&str; 4] = ["activity", "--follow", "--town", "--json"];

/// The child, and what is remembered between one and the next.
#[derive(Default)]
pub(super) struct Stream {
    state: State,
    /// Counts starts, and what puts an end to what was to follow from one.
    number: u64,
    /// The delay the last start was made after.
    delay: Option<Duration>,
    /// Why nothing is told, as it stands in the log.
    told: Option<String>,
}

#[derive(Default)]
enum State {
    /// Nobody wants it.
    #[default]
    Off,
    Waiting {
        since: Now,
        delay: Duration,
        why: Option<String>,
    },
    Running {
        since: Now,
        command: Command,
        listener: Listener,
        /// Dropping it ends the child.
        _end: oneshot::Sender<()>,
    },
    /// This `bd` has no such command.
    Absent {
        why: String,
        /// What was known of its version when that was found out.
        version: Option<Version>,
    },
}

impl ConvoyState {
    /// Has the child started after this delay, and not earlier; one that runs is ended.
    pub(super) fn start_in(&mut self, delay: Duration, why: Option<String>) {
        self.stream.number += 1;
        self.stream.state = State::Waiting { since: self.deps.now(), delay, why };
        self.work.after(delay, ConvoyMsg::StartDue(self.stream.number));
    }

    /// Ends it for good.
    pub(super) fn end(&mut self) {
        self.stream = Stream { number: self.stream.number + 1, ..Stream::default() };
    }

    /// The time has come; one that was set before is over.
    pub(super) fn start_due(&mut self, number: u64) {
        if number == self.stream.number {
            self.start();
        }
    }

    fn start(&mut self) {
        let known = self.deps.bd_version.known();
        if !may_tell(known) {
            let numbers = known.map_or_else(String::new, |it| format!(" {}.{}", it.major, it.minor));
            return self.absent(format!("bd{numbers} has no `activity`"));
        }
        self.stream.number += 1;
        let (number, command, listener) = (self.stream.number, command(&self.deps), Listener::default());
        let (end, ended) = oneshot::channel();
        let child =
            run(self.deps.clone(), command.clone(), listener.clone(), self.post.clone(), number, ended);
        self.work.spawn(child, ConvoyMsg::Ended(number, Some(Ok(()))));
        self.stream.state = State::Running { since: self.deps.now(), command, listener, _end: end };
        if self.stream.told.is_some() {
            self.work.after(WELL, ConvoyMsg::WellDue(number));
        }
    }

    /// Takes what the child has told.
    pub(super) fn heard(&mut self, number: u64) {
        let State::Running { listener, .. } = &self.stream.state else { return };
        if number != self.stream.number {
            return;
        }
        let told = listener.take();
        let deaf = told.deaf.clone();
        self.take(told);
        if let Some(why) = deaf {
            self.ended(number, Some(Ok(())), Some(format!("bd activity says: {why}")));
        }
    }

    fn take(&mut self, told: Told) {
        let now = self.deps.now().mono;
        self.lines_skipped += told.skipped;
        for close in told.closes {
            if self.news.is_new(&close) {
                tracing::debug!("closed: {}", close.id);
                self.closes_seen += 1;
                self.told_close = true;
                self.agenda.closed(close.id, now);
            }
        }
        if told.more > 0 {
            self.closes_seen += told.more;
            self.told_close = true;
            self.agenda.many_closed(now);
        }
    }

    /// The child ended, or is of no use any more for the reason given.
    pub(super) fn ended(&mut self, number: u64, how: Option<Result<(), CommandError>>, why: Option<String>) {
        let State::Running { since, listener, .. } = &self.stream.state else { return };
        // The end of one that was ended on purpose says nothing.
        let (Some(how), true) = (how, number == self.stream.number) else { return };
        let (ran, rest) = (self.deps.now().since(*since), listener.take());
        self.take(rest);
        let why = why.unwrap_or_else(|| match &how {
            Ok(()) => "bd activity ended".to_owned(),
            Err(error) => error.to_string(),
        });
        match rules::after_end(&how, ran, self.stream.delay, &self.deps.settings().convoy) {
            Sequel::NotAgain => self.absent(why),
            Sequel::Again(delay) => {
                if !matches!(how, Err(CommandError::NotFound { .. })) {
                    self.down(&why);
                }
                self.stream.delay = Some(delay);
                self.start_in(delay, Some(why));
            }
        }
    }

    fn absent(&mut self, why: String) {
        self.down(&why);
        self.stream.number += 1;
        self.stream.state = State::Absent { why, version: self.deps.bd_version.known() };
    }

    /// One that has run so long is well, even if it had nothing to tell; one that only told something may end at once again.
    pub(super) fn well_due(&mut self, number: u64) {
        if number == self.stream.number && self.stream.told.take().is_some() {
            tracing::info!("closed beads are told again as they are closed");
        }
    }

    fn down(&mut self, why: &str) {
        if self.stream.told.as_ref().is_none_or(|told| rules::is_another_reason(told, why)) {
            let every = go_duration::format(self.deps.settings().convoy.check_every);
            tracing::info!(
                "closed beads are not told at once, open convoys are checked every {every}: {why}"
            );
        }
        self.stream.told = Some(why.to_owned());
    }

    /// What is there may be different now: another `bd`, other variables. `again`: somebody asks for what was given up to
    /// be tried again.
    pub(super) fn reconsider_stream(&mut self, again: bool) {
        let known = self.deps.bd_version.known();
        match &self.stream.state {
            State::Off => self.start_in(rules::SOON, None),
            State::Waiting { .. } => {}
            State::Running { command: running, .. } => {
                if *running != command(&self.deps) {
                    self.start_in(rules::SOON, Some("the settings changed".to_owned()));
                }
            }
            State::Absent { version, .. } => {
                if may_tell(known) && (again || known != *version) {
                    self.start_in(rules::SOON, None);
                }
            }
        }
    }

    /// It should have told what it did not: its daemon may be another one by now.
    pub(super) fn replace_deaf_stream(&mut self) {
        if let State::Running { .. } = self.stream.state {
            let why = "a convoy was complete, and bd activity had not told of it".to_owned();
            tracing::debug!("{why}: started again");
            self.start_in(rules::SOON, Some(why));
        }
    }

    pub(super) fn stream_status(&self) -> StreamStatus {
        match &self.stream.state {
            State::Off => StreamStatus::Absent { why: "convoy.enabled is false".to_owned() },
            State::Waiting { since, delay, why } => {
                StreamStatus::Waiting { until: later(since.wall, *delay), why: why.clone() }
            }
            State::Running { since, .. } => StreamStatus::Running { since: since.wall },
            State::Absent { why, .. } => StreamStatus::Absent { why: why.clone() },
        }
    }
}

fn command(deps: &Deps) -> Command {
    bd::command(deps, &WORDS, deps.paths.root())
}

/// Runs one child until it ends or `end` is dropped, which says nothing about it.
async fn run(
    deps: Arc<Deps>,
    command: Command,
    listener: Listener,
    post: Post<ConvoyMsg>,
    number: u64,
    end: oneshot::Receiver<()>,
) -> ConvoyMsg {
    let heard = Box::new(move |line: Line<'_>| {
        if listener.hear(line) {
            post(ConvoyMsg::Heard(number));
        }
    });
    tokio::select! {
        biased;
        _ = end => ConvoyMsg::Ended(number, None),
        ended = bd::follow(&deps, command, heard) => ConvoyMsg::Ended(number, Some(ended)),
    }
}
