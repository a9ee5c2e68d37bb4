//! Nudge pollers of Gas Town 1.x: each agent that needs one has one.
//!
//! Nudges are queued as files. Claude Code reads its queue with each prompt; an agent that nobody speaks to, or that has no
//! hooks, gets them from a background process `gt nudge-poller <session>` (`internal/nudge/poller.go`; gt 1.0.1). `gt`
//! starts it with the agent, notes its PID in a file, and never starts it again. So the supervisor starts the one that is
//! missing, through the tmux server, as what it starts itself ends with it. Two pollers of one session would type the same nudge
//! twice: nothing is started while it is unknown whether one runs. It must not end a poller.

use std::{collections::BTreeMap, io, sync::Arc, time::Duration};

use parking_lot::Mutex;

use super::{confirmation::Permission, permission, program::Provider, programs, spec::AgentSpec};
use crate::{
    deps::Deps,
    go_duration,
    ledger::gt,
    operator::register,
    ports::problems::ProblemKey,
    processes::Invocation,
    sessions::scan::Scan,
    terminal,
    town::{
        environment,
        identity::{Identity, Role},
        reading,
    },
    turns::Turns,
};

/// `gt` starts the poller within this time after the session.
const STARTS_WITHIN: Duration = Duration::from_secs(60);
/// The longest that the process table may take.
const LIMIT: Duration = Duration::from_secs(5);
/// The time within which one that was started is seen, and the interval at which it is looked for.
const APPEARS: (Duration, Duration) = (Duration::from_secs(5), Duration::from_millis(100));
/// The time for which one that was started must stay, before it is started again; it doubles each time.
const STAYS: Duration = Duration::from_mins(5);
/// The longest of these.
const LONGEST: Duration = Duration::from_hours(1);
/// As `gt` creates the file with its PID.
const MODE: u32 = 0o644;

/// The pollers that the supervisor started; it survives the crash of any actor, and clones share it.
#[derive(Debug, Clone, Default)]
pub(super) struct Pollers {
    /// At most one start at a time for each session.
    turns: Turns<String>,
    started: Arc<Mutex<BTreeMap<String, Started>>>,
}

/// When a poller was last started (monotonic), and how long it is not started again.
#[derive(Debug, Clone, Copy)]
struct Started {
    at: Duration,
    wait: Duration,
}

impl Pollers {
    /// How long that of this session is not started again; zero when it may be.
    fn wait(&self, session: &str, now: Duration) -> Duration {
        self.started.lock().get(session).map_or(Duration::ZERO, |it| (it.at + it.wait).saturating_sub(now))
    }

    /// That of this session is started now.
    fn starts(&self, session: &str, now: Duration) {
        let mut started = self.started.lock();
        let wait = started.get(session).map_or(STAYS, |before| (before.wait * 2).min(LONGEST));
        started.insert(session.to_owned(), Started { at: now, wait });
    }

    /// That of this session runs: once it has stayed, what was before is forgotten.
    fn runs(&self, session: &str, now: Duration) {
        if self.wait(session, now).is_zero() {
            self.forget(session);
        }
    }

    fn forget(&self, session: &str) {
        self.started.lock().remove(session);
    }
}

/// Starts the pollers that agents which live in this scan need and do not have, and reports those that cannot be started or do
/// not stay. To be run as a task at a heartbeat: it reads the process table once, whatever the number of agents.
pub async fn check(deps: &Deps, scan: &Scan) {
    let Ok(sessions) = &scan.sessions else { return };
    if !deps.dialect().facts().shares_typing {
        return;
    }
    let (mut needing, mut others) = (Vec::new(), Vec::new());
    for (spec, is_alive) in deps.records.watched_agents(may_need_one) {
        let age = sessions.get(&spec.session).map(|session| scan.begun.age_of(session.created));
        let is_settled = is_alive && age.is_some_and(|age| age >= STARTS_WITHIN);
        if is_settled && needs_one(deps, &spec).await { &mut needing } else { &mut others }.push(spec);
    }
    for spec in &others {
        deps.starts.pollers.forget(&spec.session);
        deps.problems.clear(&key(spec));
    }
    if needing.is_empty() {
        return;
    }
    let Ok(running) = running(deps).await else { return };
    for spec in &needing {
        match running.contains_key(&spec.session) {
            true => runs(deps, spec),
            false => start(deps, spec).await,
        }
    }
}

/// Starts the poller of an agent that the supervisor has just started itself, if it needs one.
pub async fn begin(deps: &Deps, spec: &AgentSpec) {
    let is_one = deps.dialect().facts().shares_typing && may_need_one(&spec.identity);
    if is_one && needs_one(deps, spec).await {
        deps.starts.pollers.forget(&spec.session);
        start(deps, spec).await;
    }
}

fn key(spec: &AgentSpec) -> ProblemKey {
    spec.problem_key("nudge_poller")
}

fn may_need_one(identity: &Identity) -> bool {
    matches!(identity.role(), Role::Witness | Role::Refinery | Role::Crew)
}

/// Patrollers sleep while nobody speaks to them; a person speaks to a crew member, whose hooks then read its queue.
async fn needs_one(deps: &Deps, spec: &AgentSpec) -> bool {
    spec.identity.role() != Role::Crew
        || programs::find(deps, spec).await.program.provider != Provider::Claude
}

/// The sessions whose pollers run, each with the process; an error when the process table could not be read.
async fn running(deps: &Deps) -> Result<BTreeMap<String, u32>, String> {
    let mut found = BTreeMap::new();
    for program in register::programs(deps) {
        let running = tokio::time::timeout(LIMIT, deps.processes.invocations(&program, None)).await;
        let running = running.map_err(|_| format!("no answer within {LIMIT:?}"))?;
        let running = running.map_err(|error| error.to_string())?;
        // Sessions of other towns may have the same names. What cannot be read may be this one.
        let is_here = |it: &&Invocation| {
            it.directory.as_ref().is_none_or(|directory| directory.starts_with(deps.paths.root()))
        };
        for it in running.iter().filter(is_here) {
            found.extend(polled(it, &program).into_iter().map(|session| (session, it.pid)));
        }
    }
    Ok(found)
}

/// What is named to a poller: its session among it.
fn polled(running: &Invocation, program: &str) -> Vec<String> {
    match running.given_to(program) {
        Some([verb, rest @ ..]) if verb == "nudge-poller" => rest.to_vec(),
        _ => Vec::new(),
    }
}

fn runs(deps: &Deps, spec: &AgentSpec) {
    deps.starts.pollers.runs(&spec.session, deps.now().mono);
    deps.problems.clear(&key(spec));
}

/// Starts the poller of this session, unless one runs or may run.
async fn start(deps: &Deps, spec: &AgentSpec) {
    let pollers = &deps.starts.pollers;
    let _turn = pollers.turns.take(spec.session.clone()).await;
    // Somebody may have been faster.
    match running(deps).await {
        Ok(running) if running.contains_key(&spec.session) => return runs(deps, spec),
        Ok(_) => {}
        Err(_) => return,
    }
    let why = match may_be_started(deps, spec).await {
        Ok(false) => return,
        Ok(true) => {
            pollers.starts(&spec.session, deps.now().mono);
            let Err(why) = run(deps, spec).await else {
                tracing::info!(
                    agent = %spec.identity, reason = "nudge_poller_started",
                    "its nudge poller did not run and was started"
                );
                return deps.problems.clear(&key(spec));
            };
            why
        }
        Err(why) => why,
    };
    let text = format!("{}: queued nudges do not reach it, as its poller does not run: {why}", spec.identity);
    deps.problems.report(key(spec), text);
}

/// Whether it may be started now; an error says why not, for people.
async fn may_be_started(deps: &Deps, spec: &AgentSpec) -> Result<bool, String> {
    if !deps.starts.pollers.wait(&spec.session, deps.now().mono).is_zero() {
        return Err(format!(
            "it was started and did not stay; it is tried again later and later. Run `gt nudge-poller {}` in the town's \
             directory to see why",
            spec.session
        ));
    }
    if let Some(pid) = noted(deps, spec).await?
        && deps.processes.trees(&[pid]).await.map_err(|error| error.to_string())?.contains_key(&pid)
    {
        let file = terminal::path(deps.paths.shown(&deps.paths.nudge_poller(&spec.session))).to_string();
        return Err(format!("process {pid} is named in {file}; if that is no poller, remove the file"));
    }
    Ok(permission::ask(deps, spec).await == Permission::Allowed)
}

/// The process that `gt` noted as the session's poller.
async fn noted(deps: &Deps, spec: &AgentSpec) -> Result<Option<u32>, String> {
    let path = deps.paths.nudge_poller(&spec.session);
    let file = terminal::path(deps.paths.shown(&path)).to_string();
    match deps.files.read(&path).await {
        Ok(content) => {
            let text = String::from_utf8_lossy(&content);
            let pid = text.trim().parse().map_err(|_| {
                format!("{file} holds no process id: {}; remove it", reading::shorten(text.trim()))
            })?;
            Ok(Some(pid))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(format!("{file} cannot be read: {error}")),
    }
}

/// Runs it, waits until it is seen, and notes its PID, as its starter does: without that, `gt` would start a second one.
async fn run(deps: &Deps, spec: &AgentSpec) -> Result<(), String> {
    let program = deps.settings().commands.gt.clone();
    let Some(path) = deps.commands.locate(&program).await else {
        return Err(format!("{program} is not installed or not on PATH"));
    };
    let mut command = vec!["env".to_owned()];
    for variable in environment::DROPPED {
        command.extend(["-u".to_owned(), variable.to_owned()]);
    }
    let search_path = deps.commands.search_path().map(|path| ("PATH".to_owned(), path));
    let variables = search_path.into_iter().chain(gt::variables(deps, &[]));
    command.extend(variables.map(|(name, value)| format!("{name}={value}")));
    command.extend([path.to_string_lossy().into_owned(), "nudge-poller".to_owned(), spec.session.clone()]);
    let ran = deps.sessions.run_in_background(deps.paths.root(), &command).await;
    ran.map_err(|error| format!("it could not be started: {error}"))?;
    let begun = deps.now();
    loop {
        if let Some(pid) = running(deps).await.ok().and_then(|running| running.get(&spec.session).copied()) {
            return note(deps, spec, pid).await;
        }
        let (within, interval) = APPEARS;
        if deps.now().since(begun) >= within {
            return Err(format!(
                "it was started and not seen within {}; run `gt nudge-poller {}` in the town's directory to see why",
                go_duration::short(within),
                spec.session
            ));
        }
        tokio::time::sleep(interval).await;
    }
}

async fn note(deps: &Deps, spec: &AgentSpec, pid: u32) -> Result<(), String> {
    let path = deps.paths.nudge_poller(&spec.session);
    if matches!(noted(deps, spec).await, Ok(Some(noted)) if noted == pid) {
        return Ok(()); // it did that itself
    }
    let written = deps.files.replace(&path, pid.to_string().as_bytes(), MODE).await;
    if let Err(error) = written {
        let file = terminal::path(deps.paths.shown(&path)).to_string();
        tracing::warn!(
            agent = %spec.identity,
            "{file} could not be written: {error}; gt may start a second nudge poller of {}", spec.session
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_that_does_not_stay_is_started_later_and_later() {
        let pollers = Pollers::default();
        let mins = |n| Duration::from_mins(n);
        let mut starts = Vec::new();
        for minute in 0..=100 {
            if pollers.wait("s", mins(minute)).is_zero() {
                pollers.starts("s", mins(minute));
                starts.push(minute);
            }
        }
        assert_eq!(starts, [0, 5, 15, 35, 75]);
        pollers.runs("s", mins(101));
        assert_eq!(pollers.wait("s", mins(101)), mins(34), "it has not stayed yet");
        pollers.runs("s", mins(135));
        pollers.starts("s", mins(140));
        assert_eq!(pollers.wait("s", mins(140)), STAYS, "it had stayed");
        pollers.forget("s");
        assert_eq!(pollers.wait("s", mins(140)), Duration::ZERO);
        assert_eq!(pollers.wait("t", mins(140)), Duration::ZERO, "another session");
    }
}
