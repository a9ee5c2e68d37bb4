//! How `gt` of Gas Town 1.x starts agents, as recorded in `tests/fixtures/v1/delegated_starts.*` and `agent_start_by_gt.*`:
//! a session with a shell, whose process it replaces by the agent's; it returns when the agent is up.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
    time::Duration,
};

use gastown_supervisor::{
    commands::{Command, CommandError, Printed},
    sessions::Fact,
};

use super::{
    By, Condition, DEACON, MAYOR, State, TOWN, World, millis, mins, rules, secs,
    sessions::shown,
    weather::{SESSION_CAP, TABLE_CAP, pause},
};

/// What goes wrong in a start by `gt`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// It says that it started the agent, and did nothing.
    Lies,
    /// It fails and has done nothing (Dolt is down).
    Fails,
    /// It fails after the agent came up.
    FailsLate,
    /// It hangs and has done nothing.
    Hangs,
    /// It hangs when the session has only its shell.
    HangsHalfway,
    /// It hangs after the agent came up.
    HangsLate,
}

const FAULTS: [Fault; 6] =
    [Fault::Lies, Fault::Fails, Fault::FailsLate, Fault::Hangs, Fault::HangsHalfway, Fault::HangsLate];

/// How `gt` starts agents, and how it did.
#[derive(Debug)]
pub struct GtStarts {
    /// The time until it makes the session, in milliseconds.
    pub takes: Range<u64>,
    /// What goes wrong, by session.
    pub faults: BTreeMap<String, Fault>,
    /// The most that may run at once.
    pub limit: usize,
    /// The most that ran at once.
    pub most: usize,
    /// Whether it gives the sessions of deacon and mayor a hook that starts them again.
    pub respawns: bool,
    /// Whether pollers that are started without it end at once.
    pub pollers_end: bool,
    /// The commands that were started in the background.
    pub in_background: Vec<Vec<String>>,
    /// The sessions that it was run for, with times.
    pub runs: Vec<(Duration, String)>,
    running: usize,
}

impl Default for GtStarts {
    fn default() -> Self {
        GtStarts {
            takes: 500..501,
            faults: BTreeMap::new(),
            limit: 4,
            most: 0,
            respawns: false,
            pollers_end: false,
            in_background: Vec::new(),
            runs: Vec::new(),
            running: 0,
        }
    }
}

/// The session that these words of `gt` start, and the variables by which its agent is known.
pub(super) fn started(words: &[&str]) -> Option<(String, Vec<(&'static str, String)>)> {
    let of_rig = |rig: &str, tail: &str| format!("{rig}-{tail}").replace('.', "_");
    Some(match words {
        ["deacon", "start"] => (DEACON.to_owned(), vec![("GT_ROLE", "deacon".into())]),
        ["mayor", "start"] => ("hq-mayor".to_owned(), vec![("GT_ROLE", "mayor".into())]),
        ["boot", "spawn"] => ("hq-boot".to_owned(), vec![("GT_ROLE", "deacon/boot".into())]),
        [role @ ("witness" | "refinery"), "start", rig] => {
            let role_of = format!("{rig}/{role}");
            (of_rig(rig, role), vec![("GT_ROLE", role_of), ("GT_RIG", (*rig).into())])
        }
        ["crew", "start", rig, name] => {
            let role = format!("{rig}/crew/{name}");
            let variables = vec![("GT_ROLE", role), ("GT_RIG", (*rig).into()), ("GT_CREW", (*name).into())];
            (of_rig(rig, &format!("crew-{name}")), variables)
        }
        ["session", "restart", address, "--force"] => {
            let (rig, name) = address.split_once('/')?;
            let role = format!("{rig}/polecats/{name}");
            let variables = vec![("GT_ROLE", role), ("GT_RIG", rig.into()), ("GT_POLECAT", name.into())];
            (of_rig(rig, name), variables)
        }
        _ => return None,
    })
}

impl World {
    /// The session of a rig's witness, as this town names it.
    pub fn witness(&self, rig: &str) -> String {
        self.state().named(&format!("{rig}-witness"))
    }

    /// The session of a rig's refinery.
    pub fn refinery(&self, rig: &str) -> String {
        self.state().named(&format!("{rig}-refinery"))
    }

    /// The session of a polecat.
    pub fn polecat(&self, rig: &str, name: &str) -> String {
        self.state().named(&format!("{rig}-{name}")).replace('.', "_")
    }

    /// Runs `gt` for this session.
    pub(super) async fn gt_start(
        &self,
        command: &Command,
        (session, variables): (String, Vec<(&'static str, String)>),
        always: Option<Fault>,
    ) -> Result<Printed, CommandError> {
        let line = command.line();
        let run = Run::begin(self, &line, &session, command.limit);
        let ran =
            tokio::time::timeout(command.limit, self.gt_starts(&line, &session, variables, always)).await;
        if ran.is_ok() {
            run.is_complete();
        }
        ran.unwrap_or(Err(CommandError::TimedOut { line, limit: command.limit }))
    }

    async fn gt_starts(
        &self,
        line: &str,
        session: &str,
        variables: Vec<(&'static str, String)>,
        always: Option<Fault>,
    ) -> Result<Printed, CommandError> {
        let failed = |stderr: &str| {
            let (status, stderr) = ("exit code 1".to_owned(), format!("Error: {stderr}"));
            Err(CommandError::Failed { line: line.to_owned(), status, code: Some(1), stdout: vec![], stderr })
        };
        let said = |stdout: &str| Ok(Printed { stdout: stdout.into(), stderr: Vec::new() });
        let (fault, takes) = {
            let mut state = self.state();
            let bad = state.weather.commands;
            let drawn = state.chance(bad).then(|| FAULTS[state.rng.usize(..FAULTS.len())]);
            let range = state.gt_starts.takes.clone();
            (always.or(state.gt_starts.faults.get(session).copied()).or(drawn), state.some(&range))
        };
        pause(takes).await;
        match fault {
            Some(Fault::Lies) => return said("✓ started\n"),
            Some(Fault::Fails) => return failed("Dolt server is not reachable on port 3307"),
            Some(Fault::Hangs) => std::future::pending().await,
            _ => {}
        }
        if let Some(missing) = self.homeless(&variables) {
            return failed(&format!("{missing} not found"));
        }
        let is_polecat = line.contains("session restart");
        if self.state().lives(session) && !is_polecat && session != "hq-boot" {
            return match session {
                "hq-deacon" | "hq-mayor" => failed(&format!("{session}: session already running")),
                _ => said("⚠ It is already running\n"),
            };
        }
        if self.state().sessions.contains_key(session) {
            self.end_session(session, "gt ends it before it starts it");
        }
        let Some((id, shell)) = self.gt_makes(session, variables) else {
            return failed("duplicate session");
        };
        if fault == Some(Fault::HangsHalfway) {
            std::future::pending::<()>().await;
        }
        let wait = self.state().some(&(50..250));
        pause(wait).await;
        self.gt_respawns(session, id, shell);
        let begun = self.time();
        loop {
            let now = self.time();
            let is_up = {
                let state = self.state();
                let it = state.sessions.get(session).filter(|it| it.id == id);
                it.map(|it| it.live() && it.appears <= now)
            };
            match is_up {
                None => return failed(&format!("session {session} is gone")),
                Some(true) => break,
                Some(false) => {}
            }
            if now - begun > secs(20) {
                return failed("waiting for it to start: timeout");
            }
            pause(millis(50)).await;
        }
        match fault {
            Some(Fault::FailsLate) => failed("its nudge poller could not be started"),
            Some(Fault::HangsLate) => std::future::pending().await,
            _ => {
                if rules::rig_of(session).is_some() {
                    self.polls(session);
                }
                said("✓ started\n")
            }
        }
    }

    /// The background process that brings queued nudges to a witness or a refinery, until its session ends.
    pub fn polls(&self, session: &str) {
        let pid = self.gt(&format!("gt nudge-poller {session}"), TOWN, mins(24 * 60));
        let mut state = self.state();
        let pane = state.sessions.get(session).map(|it| it.pid);
        for it in state.invocations.iter_mut().filter(|it| it.invocation.pid == pid) {
            it.inside = pane;
        }
    }

    /// The tmux server starts this in the background: a poller, as the supervisor starts no other.
    pub(super) fn runs_in_background(&self, command: &[String]) {
        let (now, words) = (self.time(), command.to_vec());
        let [.., gt, verb, session] = words.as_slice() else { panic!("{words:?}") };
        assert_eq!((&**gt, &**verb), ("/bin/gt", "nudge-poller"));
        let mut state = self.state();
        state.gt_starts.in_background.push(words.clone());
        if state.has_poller(session, now) {
            state.violated(now, format!("a second nudge poller of {session}"));
        }
        let runs = state.sessions.contains_key(session) && !state.gt_starts.pollers_end;
        drop(state);
        if runs {
            self.polls(session);
        }
    }

    /// The directory that this agent needs and does not have; `gt` makes none for polecats and crew.
    fn homeless(&self, variables: &[(&'static str, String)]) -> Option<String> {
        let (_, role) = variables.iter().find(|(name, _)| *name == "GT_ROLE")?;
        let is_member = role.contains("/polecats/") || role.contains("/crew/");
        let is_there = self.state().directories.contains(&super::path(role));
        (is_member && !is_there).then(|| role.clone())
    }

    /// The session with its shell; returns its number, and what its pane is to become.
    fn gt_makes(
        &self,
        session: &str,
        variables: Vec<(&'static str, String)>,
    ) -> Option<(u64, (u32, Condition))> {
        let usual = [
            ("GT_ROOT", TOWN),
            ("GT_SESSION", session),
            ("GT_AGENT", "claude"),
            ("GT_PROCESS_NAMES", "node,claude"),
        ];
        let usual = usual.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let own = variables.into_iter().map(|(name, value)| (name.to_owned(), value));
        let made = self.begin(session, By::GtCut, own.chain(usual).collect())?;
        let now = self.time();
        let mut state = self.state();
        state.check_asked_for(now, session);
        state.deeds.push((now, rules::Deed::Created(session.to_owned())));
        state.check_storm(now, session);
        let shell = u32::try_from(state.number()).unwrap();
        let it = state.sessions.get_mut(session)?;
        let becomes = (it.pid, it.condition);
        (it.pid, it.condition) = (shell, Condition::Never);
        it.environment.insert("GT_PANE_ID".to_owned(), format!("%{}", made.id));
        let there = shown(session, it);
        drop(state);
        self.report(Duration::ZERO, Fact::Listed([there].into()));
        Some((made.id, becomes))
    }

    /// The pane's shell is replaced by the agent's program.
    fn gt_respawns(&self, session: &str, id: u64, (pid, condition): (u32, Condition)) {
        let mut state = self.state();
        let Some(it) = state.sessions.get_mut(session).filter(|it| it.id == id) else { return };
        let shell = it.pid;
        (it.pid, it.condition) = (pid, condition);
        let respawns = state.gt_starts.respawns && [DEACON, MAYOR].contains(&session);
        if let Some(it) = state.sessions.get_mut(session) {
            it.respawns = respawns;
        }
        let lost = state.weather.hints;
        let lost = state.chance(lost);
        drop(state);
        if !lost {
            self.report(Duration::ZERO, Fact::Exited { pid: shell, exit: None });
        }
        self.hint();
    }
}

impl State {
    /// Whether the background process that brings queued nudges to this session runs.
    pub fn has_poller(&self, session: &str, now: Duration) -> bool {
        let its = ["gt", "nudge-poller", session];
        let is_here = |it: &&super::operator::FakeInvocation| {
            it.invocation.directory.as_ref().is_some_and(|directory| directory.starts_with(TOWN))
        };
        self.invocations.iter().filter(is_here).any(|it| it.invocation.arguments == its && it.runs(self, now))
    }

    /// The session of an agent of a rig, as this town names it.
    pub fn named(&self, tail: &str) -> String {
        if self.is_v1() { tail.to_owned() } else { format!("gt-{tail}") }
    }

    /// `gt` is about to be run for this session. Between the answer about the permission and its start are one look at the
    /// session and one at its processes.
    fn may_start_by_gt(&mut self, now: Duration, session: &str) {
        let slack = if self.weather.was_bad { SESSION_CAP * 2 + TABLE_CAP } else { Duration::ZERO };
        self.may_begin(now, session, slack);
    }
}

/// A run of `gt`, until it is dropped.
struct Run {
    world: World,
    session: String,
    processes: BTreeSet<u32>,
    _in_flight: rules::InFlight,
}

impl Run {
    fn begin(world: &World, line: &str, session: &str, limit: Duration) -> Self {
        let now = world.time();
        {
            let mut state = world.state();
            state.may_start_by_gt(now, session);
            state.gt_starts.runs.push((now, session.to_owned()));
            state.gt_starts.running += 1;
            let (running, allowed) = (state.gt_starts.running, state.gt_starts.limit);
            state.gt_starts.most = state.gt_starts.most.max(running);
            if running > allowed {
                state.violated(now, format!("{running} runs of gt start agents at the same time"));
            }
        }
        // `gt` runs itself, and that process is no operator's either.
        let itself = world.gt_of_ours(line, TOWN, limit);
        let below = world.gt_below(itself, line, TOWN, limit);
        let _in_flight = rules::InFlight::begin(world, session);
        let processes = [itself, below].into();
        Run { world: world.clone(), session: session.to_owned(), processes, _in_flight }
    }

    /// It ended by itself.
    fn is_complete(&self) {
        let mut state = self.world.state();
        if let Some(it) = state.sessions.get_mut(&self.session).filter(|it| it.by == By::GtCut) {
            it.by = By::Gt;
        }
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        let mut state = self.world.state();
        state.gt_starts.running -= 1;
        state.invocations.retain(|it| !self.processes.contains(&it.invocation.pid));
    }
}
