//! By gt: lets Gas Town's own program start an agent, and finds out what became of it.
//!
//! What an agent of Gas Town 1.x needs to start changes with each release of `gt`, so `gt` sets it up: hooks, prompt,
//! environment, the session's hooks, nudge poller, heartbeat file. When, how often and how many at once stays with the
//! supervisor, and what `gt` says is believed only as far as a probe shows it. A `gt` that cannot do it is replaced by the
//! direct start. One that hangs, or says what is not true, may have made half a session: it is replaced only when it did not
//! start the agent [several times](ENOUGH) in a row and nothing of those starts is left. A program that ended in the session
//! that `gt` made is no fault of `gt`. It must not decide what a failed start means.

use std::time::Duration;

use tokio::sync::broadcast::{Receiver, error::TryRecvError};

use super::{Start, Step, conversation::Talk, without_gt};
use crate::{
    agent::{
        confirmation::{Presence, SessionKey},
        elsewhere,
        lifecycle::StartEnd,
        meanwhile::Meanwhile,
        observe, screens,
    },
    clock::Now,
    commands::{CommandError, Printed},
    ledger::gt,
    sessions::Fact,
    town::reading,
};

/// How long an agent may take to be seen after `gt` said that it is up.
const COMES: Duration = Duration::from_secs(5);
/// The interval of probes, unless something happens.
const LOOK: Duration = Duration::from_millis(250);
/// What `gt` says of an agent that runs.
const RUNNING: &str = "already running";
/// After this many starts in a row in which `gt` hung, or said what is not true, the agent is started without it.
const ENOUGH: u32 = 3;

/// What follows from a start by `gt`.
pub(super) enum ByGt {
    /// The start is over.
    Over(StartEnd),
    /// The agent is to be started without `gt`, and why.
    Without(String),
}

/// What became of a run of `gt`.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Ran {
    /// It said that it started the agent.
    Well,
    /// It said that the agent runs already.
    Running,
    /// It said why it did not start it, or ended in another way.
    Failed(String),
    /// It did not end in time, and was killed.
    Hung(String),
    /// It could not be run.
    NotRun(String),
}

/// What follows from a run of `gt` and what a probe showed after it.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    /// The agent is up; and what was wrong all the same.
    Up(SessionKey, Option<String>),
    /// The start is over.
    End(StartEnd),
    /// It is to be started without `gt`, and why.
    Without(String),
}

impl Start<'_> {
    /// Whether `gt` starts this town's agents.
    pub(super) fn is_by_gt(&self) -> bool {
        self.deps.dialect().facts().gt_starts_agents && self.deps.settings().start.by_gt
    }

    /// Lets `gt` start it, after every check that a direct start makes.
    pub(super) async fn by_gt(&self, ordered: Now, began: Now, meanwhile: &Meanwhile) -> Step<ByGt> {
        self.clear_the_way().await?;
        self.still_wanted(ordered).await?;
        if let Some(how) = meanwhile.stopped(self.deps, self.spec).await {
            return Err(StartEnd::StoppedByHand(how));
        }
        self.permitted().await?;
        self.nobody_was_faster().await?;
        if let Some((times, why)) =
            self.deps.records.gt_failures(&self.spec.identity).filter(|(times, _)| *times >= ENOUGH)
        {
            self.nothing_of_gt_is_at_work().await?;
            return Ok(ByGt::Without(format!("gt did not start it {times} times in a row: {why}")));
        }
        let mut facts = self.deps.sessions.facts();
        let ran = self.run_gt().await;
        screens::begun(self.deps, self.spec);
        let presence = match ran {
            Ran::NotRun(_) => Presence::Absent,
            _ => self.look(&ran).await,
        };
        let was_there = was_listed(&mut facts, &self.spec.session);
        match outcome(ran, presence, was_there, &self.spec.session) {
            Outcome::Up(session, wrong) => {
                if let Some(wrong) = wrong {
                    self.passed_over(&format!("{wrong}, but the agent is up"));
                }
                without_gt::is_over(self.deps, &self.spec.identity);
                Ok(ByGt::Over(self.up(session, began, &Talk::default())))
            }
            Outcome::End(end) => Ok(ByGt::Over(end)),
            Outcome::Without(why) => {
                // `gt` may have started it where no pane shows it.
                let found = elsewhere::why_not(self.deps, self.spec, Duration::ZERO).await;
                if let Some(found) = found {
                    return Err(StartEnd::Unclear(found));
                }
                Ok(ByGt::Without(why))
            }
        }
    }

    /// Looks right before `gt` runs: it ends a session in which it sees no agent, and restarts a polecat whatever runs
    /// there.
    async fn nobody_was_faster(&self) -> Step<()> {
        match observe::probe_session(self.deps, self.spec).await {
            Presence::Absent => Ok(()),
            Presence::Alive(key) => Err(StartEnd::Found(key)),
            Presence::Starting(_) | Presence::Dead(_) => Err(StartEnd::Taken),
            Presence::Unknown(why) => Err(StartEnd::Unclear(why)),
        }
    }

    async fn run_gt(&self) -> Ran {
        let words = self.spec.identity.gt_start();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let (agent, why) = (&self.spec.identity, self.order.why());
        tracing::info!(%agent, "starting it with `gt {}`: {why}", words.join(" "));
        let ran = gt::run_within(self.deps, &words, &[], self.deps.settings().start.timeout).await;
        read(ran)
    }

    /// Looks until the agent lives in its session. A session that does not exist is waited for only when `gt` says that it
    /// made it.
    async fn look(&self, ran: &Ran) -> Presence {
        let began = self.deps.now();
        loop {
            let presence = observe::probe_session(self.deps, self.spec).await;
            let is_over = self.deps.now().since(began) >= COMES;
            match presence {
                Presence::Alive(_) => return presence,
                Presence::Absent if *ran != Ran::Well => return presence,
                _ if is_over => return presence,
                _ => {}
            }
            tokio::select! {
                biased;
                () = self.pulse.notified() => {}
                () = tokio::time::sleep(LOOK) => {}
            }
        }
    }
}

/// Reads how a run of `gt` ended.
fn read(ran: Result<Printed, CommandError>) -> Ran {
    let says_running = |text: &[u8]| String::from_utf8_lossy(text).to_ascii_lowercase().contains(RUNNING);
    match ran {
        Ok(printed) if says_running(&printed.stdout) || says_running(&printed.stderr) => Ran::Running,
        Ok(_) => Ran::Well,
        Err(CommandError::Failed { stdout, stderr, .. })
            if says_running(stderr.as_bytes()) || says_running(&stdout) =>
        {
            Ran::Running
        }
        Err(CommandError::Failed { line, status, stdout, stderr, .. }) => {
            let stdout = String::from_utf8_lossy(&stdout);
            let said = stderr.lines().chain(stdout.lines()).find(|line| !line.trim().is_empty());
            let said = said.map_or_else(String::new, |said| format!(": {}", reading::shorten(said.trim())));
            Ran::Failed(format!("`{line}` failed ({status}){said}"))
        }
        Err(error @ CommandError::TooMuchOutput { .. }) => Ran::Failed(error.to_string()),
        Err(error @ CommandError::TimedOut { .. }) => Ran::Hung(error.to_string()),
        Err(error @ (CommandError::NotFound { .. } | CommandError::NotStarted { .. })) => {
            Ran::NotRun(error.to_string())
        }
    }
}

/// Whether this session was listed since these facts are received: a fact that was missed is no sign of it.
fn was_listed(facts: &mut Receiver<Fact>, session: &str) -> bool {
    loop {
        match facts.try_recv() {
            Ok(Fact::Listed(listed)) if listed.iter().any(|it| it.name == session) => return true,
            Ok(_) | Err(TryRecvError::Lagged(_)) => {}
            Err(TryRecvError::Empty | TryRecvError::Closed) => return false,
        }
    }
}

/// What follows. `was_there`: its session was seen while `gt` ran.
fn outcome(ran: Ran, presence: Presence, was_there: bool, session: &str) -> Outcome {
    let never = |what: String| {
        let why = match &presence {
            Presence::Absent => format!("{what}, and there is no session {session}"),
            _ => format!("{what}, and no agent came up in session {session}"),
        };
        Outcome::End(StartEnd::NotByGt(why))
    };
    match (ran, &presence) {
        (Ran::NotRun(why), _) => Outcome::Without(why),
        (_, Presence::Unknown(why)) => Outcome::End(StartEnd::Unclear(why.clone())),
        (Ran::Running, Presence::Alive(key)) => Outcome::End(StartEnd::Found(key.clone())),
        (Ran::Well, Presence::Alive(key)) => Outcome::Up(key.clone(), None),
        (Ran::Failed(why) | Ran::Hung(why), Presence::Alive(key)) => Outcome::Up(key.clone(), Some(why)),
        // It may run where it cannot be seen.
        (Ran::Running, Presence::Absent) => Outcome::End(StartEnd::Unclear(format!(
            "gt says that it is already running, and there is no session {session}"
        ))),
        (Ran::Running, _) => Outcome::End(StartEnd::Taken),
        (Ran::Well, _) => never("gt says that it started it".to_owned()),
        (Ran::Failed(why), Presence::Absent) if was_there => {
            Outcome::End(StartEnd::NotByGt(format!("{why}; session {session} was there and ended")))
        }
        (Ran::Failed(why), Presence::Absent) => Outcome::Without(why),
        (Ran::Failed(why) | Ran::Hung(why), _) => never(why),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(stderr: &str, stdout: &str) -> Result<Printed, CommandError> {
        Err(CommandError::Failed {
            line: "gt deacon start".into(),
            status: "exit code 1".into(),
            code: Some(1),
            stdout: stdout.into(),
            stderr: stderr.into(),
        })
    }

    #[test]
    fn what_gt_says() {
        let said = |stdout: &str| Ok(Printed { stdout: stdout.into(), stderr: Vec::new() });
        let line = || "gt deacon start".to_owned();
        let recorded = include_str!("../../../tests/fixtures/v1/delegated_starts.stdout");
        let (first, last) = (recorded.split("\n$ ").next(), recorded.split("\n$ ").last());
        for (name, ran, expected) in [
            ("started, as recorded", said(first.unwrap_or_default()), Ran::Well),
            ("already running, as recorded", said(last.unwrap_or_default()), Ran::Running),
            (
                "already running, as an error",
                failed("Error: Deacon session already running. Attach with: gt deacon attach", ""),
                Ran::Running,
            ),
            (
                "its first line only",
                failed("Error: no Dolt\nUsage:", ""),
                Ran::Failed("`gt deacon start` failed (exit code 1): Error: no Dolt".into()),
            ),
            (
                "an error on standard output",
                failed("", "\nno Dolt\n"),
                Ran::Failed("`gt deacon start` failed (exit code 1): no Dolt".into()),
            ),
            (
                "hung",
                Err(CommandError::TimedOut { line: line(), limit: Duration::from_secs(60) }),
                Ran::Hung("`gt deacon start` did not end within 1m and was killed".into()),
            ),
            (
                "missing",
                Err(CommandError::NotFound { program: "gt".into(), line: line() }),
                Ran::NotRun("gt is not installed or not on PATH (needed for `gt deacon start`)".into()),
            ),
        ] {
            assert_eq!(read(ran), expected, "{name}");
        }
    }

    #[test]
    fn what_follows() {
        let key = || SessionKey { id: "$1".into(), created: jiff::Timestamp::UNIX_EPOCH };
        let (failed, hung) = (|| Ran::Failed("it failed".into()), || Ran::Hung("it hung".into()));
        let never = |why: &str| Outcome::End(StartEnd::NotByGt(why.into()));
        let unclear = |why: &str| Outcome::End(StartEnd::Unclear(why.into()));
        let unknown = || Presence::Unknown("no answer".into());
        for (name, ran, presence, expected) in [
            ("up", Ran::Well, Presence::Alive(key()), Outcome::Up(key(), None)),
            (
                "a lie, without a session",
                Ran::Well,
                Presence::Absent,
                never("gt says that it started it, and there is no session s"),
            ),
            (
                "a lie, with a session",
                Ran::Well,
                Presence::Starting(key()),
                never("gt says that it started it, and no agent came up in session s"),
            ),
            ("not seen", Ran::Well, unknown(), unclear("no answer")),
            ("it ran", Ran::Running, Presence::Alive(key()), Outcome::End(StartEnd::Found(key()))),
            ("somebody starts it", Ran::Running, Presence::Starting(key()), Outcome::End(StartEnd::Taken)),
            (
                "it runs out of sight",
                Ran::Running,
                Presence::Absent,
                unclear("gt says that it is already running, and there is no session s"),
            ),
            (
                "an error, and up",
                failed(),
                Presence::Alive(key()),
                Outcome::Up(key(), Some("it failed".into())),
            ),
            ("an error, and nothing", failed(), Presence::Absent, Outcome::Without("it failed".into())),
            (
                "an error, and half a session",
                failed(),
                Presence::Dead(key()),
                never("it failed, and no agent came up in session s"),
            ),
            ("an error, not seen", failed(), unknown(), unclear("no answer")),
            ("hung, and up", hung(), Presence::Alive(key()), Outcome::Up(key(), Some("it hung".into()))),
            ("hung, and nothing", hung(), Presence::Absent, never("it hung, and there is no session s")),
            (
                "hung, and half a session",
                hung(),
                Presence::Starting(key()),
                never("it hung, and no agent came up in session s"),
            ),
            ("no gt", Ran::NotRun("no gt".into()), Presence::Absent, Outcome::Without("no gt".into())),
        ] {
            assert_eq!(outcome(ran, presence, false, "s"), expected, "{name}");
        }
        let ended = never("it failed; session s was there and ended");
        assert_eq!(outcome(failed(), Presence::Absent, true, "s"), ended, "its program ended at once");
        let up = Outcome::Up(key(), Some("it failed".into()));
        assert_eq!(outcome(failed(), Presence::Alive(key()), true, "s"), up, "it did not");
    }
}
