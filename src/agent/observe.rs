//! Observe: one complete probe of an agent: its session, its processes, its permission, its state file.
//!
//! A probe decides nothing and changes nothing. What it could not find out is reported as unknown.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;

use super::{
    confirmation::{Assignment, AtWork, Observation, Permission, Presence, SessionKey, StateFile, Worktree},
    denial::Unwanted,
    dependencies, elsewhere,
    ended::Exit,
    foreign,
    kill::key,
    liveness::{Liveness, Marks, ProcessNames, agent_pane, liveness},
    need, oom, permission, programs, screens,
    shells::is_shell,
    spec::AgentSpec,
    workplace,
};
use crate::{
    agent::polecat::{roster, work},
    deps::Deps,
    operator::rules::Operation,
    ports::problems::ProblemKey,
    processes::Process,
    sessions::{
        Pane, PaneTarget, Session, SessionsError,
        death::Death,
        scan::{self, Glimpse, Scan, Trees},
    },
    town::{environment, identity::Wanted},
};

/// How to probe an agent.
#[derive(Debug, Clone, Default)]
pub struct How {
    /// The scan to use; `None` reads afresh.
    pub scan: Option<Arc<Scan>>,
    /// A decision depends on this probe. Running commands are read first, so that everything else is read after they
    /// ended, and the agent's work is read too.
    pub thorough: bool,
    /// A request depends on this probe: an agent without a session is searched for, whether or not it may be started.
    pub for_request: bool,
    /// The report of its end, if there was one.
    pub death: Option<Death>,
    /// Its work, when known already.
    pub assignment: Option<Assignment>,
    /// The server's id for the session it lived in, if it did.
    pub life: Option<String>,
    /// It ran, and is to run again: what wanted it to start at first does not matter any more.
    pub missed: bool,
    /// When it was last seen alive.
    pub seen_alive: Option<Timestamp>,
}

/// Probes an agent.
pub async fn observe(deps: &Deps, spec: &AgentSpec, how: How) -> Observation {
    let began = deps.now();
    let asked_first = if how.thorough { Some(deps.operations.full_scan(deps).await) } else { None };
    let (begun, glimpse) = match &how.scan {
        Some(scan) => (scan.begun, scan.glimpse(&spec.session)),
        None => (began, scan::glimpse(&*deps.sessions, &*deps.processes, &spec.session).await),
    };
    let panes = panes(&how, &glimpse);
    let session = match &glimpse {
        Glimpse::Present(session, _) => Some(session.clone()),
        Glimpse::Absent | Glimpse::Unknown(_) => None,
    };
    let lost_sight = session.as_ref().is_some_and(|session| session.has_lost_sight());
    let (names, marks) = (deps.records.process_names(&spec.identity), deps.records.marks(&spec.identity));
    let mut known = Known { names, marks };
    let (presence, _) = presence(deps, spec, glimpse, &mut known).await;
    let left = session.as_ref().and_then(|session| last_pane(deps, spec, session, known.marks.as_ref()));
    let exited_well = exit_in(session.as_deref(), left.as_ref()) == Some(0);
    let exit = deps.standing(&spec.identity).and_then(|_| exit(&how, session.as_deref(), left.as_ref()));
    let oom_kill = match (&how.life, killed(&how, session.as_deref(), left.as_ref())) {
        (Some(life), true) => oom::reading::of(deps, spec, life).await,
        _ => None,
    };
    deps.records.set_process_names(&spec.identity, known.names);
    deps.records.set_marks(&spec.identity, known.marks);
    workplace::find_own(deps, spec).await;
    let mut seen = Observation {
        begun,
        noticed: how.death.as_ref().map_or(begun, |death| death.noticed),
        death: how.death.clone(),
        permission: Permission::Allowed,
        state_file: StateFile::Silent,
        at_work: Ok(AtWork::default()),
        assignment: Assignment::NotAsked,
        worktree: Worktree::There,
        usage_limit: None,
        question: None,
        left_to_respawn: exited_well && deps.dialect().respawned_within(spec.identity.role()).is_some(),
        exit,
        oom_kill,
        presence,
    };
    let missing = matches!(seen.presence, Presence::Absent | Presence::Dead(_));
    seen.assignment = match &how.assignment {
        Some(known) => known.clone(),
        None => unasked(deps, spec, missing, how.missed).await,
    };
    // When nothing will be done in any case, its cause does not matter.
    let nothing_to_do = matches!(seen.assignment, Assignment::None(_) | Assignment::Unknown(_));
    // A process that is creating a session may have ended the previous one.
    let not_alive = missing || matches!(seen.presence, Presence::Starting(_));
    if not_alive && !nothing_to_do {
        let running = match asked_first {
            Some(running) => running,
            None => deps.operations.full_scan(deps).await,
        };
        let recent = deps.operations.recent(deps.now());
        let outside = |list: Vec<Operation>| list.into_iter().filter(|it| !it.is_inside(&panes)).collect();
        seen.at_work = running
            .map(|running| AtWork { running: outside(running), recent: outside(recent) })
            .map_err(|error| error.to_string());
    }
    seen.state_file = permission::state_file(deps, spec).await;
    if missing {
        read_last_screen(deps, spec, left.filter(|_| matches!(seen.presence, Presence::Dead(_)))).await;
        let last = how.life.as_deref().and_then(|id| deps.records.screen(&spec.identity, Some(id)));
        if let Some(screen) = last {
            screens::at_its_end(deps, spec, &screen).await;
            seen.usage_limit = screens::limit(deps, &screen.lines);
            seen.question = screen.question.clone();
        }
    }
    // What its last screen says may hold its account.
    seen.permission = match missing || how.for_request {
        true => dependencies::may_start(deps, spec).await,
        false => permission::ask(deps, spec).await,
    };
    if missing && how.thorough && spec.identity.facts().wanted == Wanted::WithWork {
        seen.worktree = worktree(deps, spec).await;
        seen.assignment = work::read(deps, spec, &spec.prefix, how.seen_alive).await;
    }
    let unseen =
        seen.presence == Presence::Absent || lost_sight && matches!(seen.presence, Presence::Dead(_));
    if unseen && matches!(seen.permission, Permission::Denied(_)) {
        // Nothing searches for it now, so an earlier result is not reported any more.
        elsewhere::in_sight(deps, spec);
    }
    // An agent that was seen alive is searched for only by a thorough probe: its end may take a short time.
    let is_due = how.thorough || how.life.is_none();
    let at_most = if how.thorough { Duration::ZERO } else { elsewhere::JUST_SEARCHED };
    if unseen
        && (how.for_request || is_due && may_be_started(&seen))
        && let Some(why) = elsewhere::why_not(deps, spec, at_most).await
    {
        seen.presence = Presence::Unknown(why);
    }
    seen
}

fn may_be_started(seen: &Observation) -> bool {
    seen.permission == Permission::Allowed
        && matches!(seen.assignment, Assignment::Permanent | Assignment::Hooked { .. })
}

/// Stores what is left of an agent's screen, before its session is ended.
pub async fn keep_last_screen(deps: &Deps, spec: &AgentSpec) {
    if let Ok(Some(session)) = deps.sessions.find(&spec.session).await {
        let marks = deps.records.marks(&spec.identity);
        read_last_screen(deps, spec, last_pane(deps, spec, &session, marks.as_ref())).await;
    }
}

/// Reads what is left of an agent's screen from its last pane, when that still exists.
async fn read_last_screen(deps: &Deps, spec: &AgentSpec, left: Option<PaneTarget>) {
    if let Some(pane) = left {
        let _ = screens::read_left(deps, spec, &pane).await;
    }
}

/// The pane of a session that is its agent's, if it still exists: a person's pane beside it says nothing about the agent.
/// For an agent whose pane is not known, the pane that the session was created with.
fn last_pane(deps: &Deps, spec: &AgentSpec, session: &Session, marks: Option<&Marks>) -> Option<PaneTarget> {
    let pane = match home(deps, spec, session, marks) {
        Some(home) => session.panes.iter().find(|pane| pane.id == home),
        None => session.oldest_pane(),
    };
    pane.map(|pane| session.target(pane))
}

/// The id of the pane that is or was the agent's, by what its session says of it or by where it was last seen.
fn home(deps: &Deps, spec: &AgentSpec, session: &Session, marks: Option<&Marks>) -> Option<String> {
    let seen = deps.records.last_pane(&spec.identity, &key(session));
    Marks::home(marks, session, seen.as_deref())
}

/// How its process ended, where that it did is seen. What the kernel reports of a process that changed its user is 0 in any case, so
/// that only its pane says that it ended well.
fn exit(how: &How, session: Option<&Session>, pane: Option<&PaneTarget>) -> Option<Exit> {
    let is_it = |it: &&Pane| pane.is_some_and(|pane| it.id == pane.pane());
    let is_dead = session.and_then(|session| session.panes.iter().find(is_it)).is_some_and(|pane| pane.dead);
    let reported = how.death.as_ref().map(|death| death.exit.filter(|status| *status != 0));
    match exit_in(session, pane).or(reported.flatten()) {
        Some(status) => Some(Exit::of(Some(status))),
        None => (is_dead || reported.is_some()).then_some(Exit::Unknown),
    }
}

/// The exit status of the process of this pane, if that has ended and the server reports it.
fn exit_in(session: Option<&Session>, pane: Option<&PaneTarget>) -> Option<i32> {
    let is_it = |it: &&Pane| pane.is_some_and(|pane| it.id == pane.pane());
    session?.panes.iter().find(is_it).filter(|it| it.dead)?.exit_status
}

/// Whether SIGKILL ended it, by the report of its end or by what is left.
fn killed(how: &How, session: Option<&Session>, left: Option<&PaneTarget>) -> bool {
    let reported = how.death.as_ref().and_then(|death| death.exit);
    reported.or_else(|| exit_in(session, left)) == Some(oom::SIGKILL)
}

async fn worktree(deps: &Deps, spec: &AgentSpec) -> Worktree {
    let (Some(rig), Some(name)) = (spec.identity.rig(), spec.identity.name()) else {
        return Worktree::There;
    };
    match roster::worktree(deps, rig, name).await {
        roster::Worktree::There(_) => Worktree::There,
        roster::Worktree::Gone => Worktree::Gone,
        roster::Worktree::Unknown(why) => Worktree::Unknown(why),
    }
}

/// Its work as far as known without reading beads. `missed`: it ran, or its start failed, and it is to be started again.
async fn unasked(deps: &Deps, spec: &AgentSpec, missing: bool, missed: bool) -> Assignment {
    let settings = deps.settings();
    match spec.identity.wanted(&settings) {
        Wanted::Always if missing => need::of(deps, spec, missed).await,
        Wanted::Always => {
            need::is_met(deps, spec);
            Assignment::Permanent
        }
        Wanted::WithWork => Assignment::NotAsked,
        Wanted::Oneshot if !settings.boot.enabled => Assignment::None(Unwanted::Disabled),
        Wanted::Oneshot if deps.degraded => Assignment::None(Unwanted::Degraded),
        Wanted::Oneshot => Assignment::None(Unwanted::OnDemand),
        Wanted::OnRequest => Assignment::None(Unwanted::NotRequested),
    }
}

/// The pane processes of the session that ended, or of what is left of it: what runs below them ends with it.
fn panes(how: &How, glimpse: &Glimpse) -> Vec<u32> {
    let told = how.death.iter().flat_map(|death| death.panes.iter().copied());
    match glimpse {
        Glimpse::Present(session, _) => told.chain(session.panes.iter().filter_map(Pane::process)).collect(),
        _ => told.collect(),
    }
}

/// Probes only the agent's session, afresh.
pub async fn probe_session(deps: &Deps, spec: &AgentSpec) -> Presence {
    locate(deps, spec).await.0
}

/// Probes only the agent's session, afresh: whether the agent lives, and in which pane, if it was found in one. For
/// callers that are about to type or read.
pub async fn locate(deps: &Deps, spec: &AgentSpec) -> (Presence, Option<PaneTarget>) {
    let glimpse = scan::glimpse(&*deps.sessions, &*deps.processes, &spec.session).await;
    let mut known = Known::default();
    let found = presence(deps, spec, glimpse, &mut known).await;
    if matches!(found.0, Presence::Alive(_)) {
        // From now on scans find it, and so its screen and transcript are read.
        deps.records.set_process_names(&spec.identity, known.names);
        deps.records.set_marks(&spec.identity, known.marks);
    }
    found
}

/// Whether a session of a scan, which said this of its agent, has no process left that could be the agent, so that a full
/// probe is worthwhile. Cheap, and proves nothing.
pub fn may_be_dead(scan: &Scan, session: &str, names: Option<&ProcessNames>, marks: Option<&Marks>) -> bool {
    let (Ok(sessions), Ok(trees)) = (&scan.sessions, &scan.trees) else {
        return false;
    };
    sessions.get(session).is_some_and(|seen| {
        Marks::panes_in(marks, seen).iter().all(|pane| {
            let is_none = |process: &Process| process.names.is_empty() || is_shell(process);
            let has_any_name = names.is_some_and(|names| names.are_any_in(pane));
            pane.dead || trees.get(&pane.pid).is_none_or(|tree| !has_any_name && tree.iter().all(is_none))
        })
    })
}

type Found = (Presence, Option<PaneTarget>);

/// The kind of problem that a session has the name of an agent's, and is a person's.
const NOT_OURS: &str = "session_not_ours";

/// How an agent was last recognised.
#[derive(Default)]
struct Known {
    /// By its process's name.
    names: Option<ProcessNames>,
    /// By what its session said.
    marks: Option<Marks>,
}

async fn presence(deps: &Deps, spec: &AgentSpec, glimpse: Glimpse, known: &mut Known) -> Found {
    let (session, trees) = match foreign::left_out(deps, spec, glimpse).await {
        Glimpse::Absent => {
            deps.problems.clear(&unlisted_key(spec));
            deps.problems.clear(&spec.problem_key(NOT_OURS));
            return (Presence::Absent, None);
        }
        Glimpse::Unknown(why) => return (Presence::Unknown(why), None),
        Glimpse::Present(session, trees) => (session, trees),
    };
    let (judged, pane) = judge(deps, spec, (&session, &trees), known).await;
    if judged != Liveness::Dead || !session.has_lost_sight() {
        elsewhere::in_sight(deps, spec);
    }
    if let (Liveness::Alive, Some(pane), Ok(trees), Some(names)) = (&judged, &pane, &trees, &known.names) {
        deps.records.note_process(&spec.identity, pane, trees, names);
    }
    match judged {
        Liveness::Dead => {
            if let Some(why) = not_ours(deps, spec, &session).await {
                return (Presence::Unknown(why), None);
            }
        }
        _ => deps.problems.clear(&spec.problem_key(NOT_OURS)),
    }
    let key: SessionKey = key(&session);
    let presence = match judged {
        Liveness::Unknown(why) => return (Presence::Unknown(why), None),
        Liveness::Unlisted { pid, name } => {
            return (unlisted(deps, spec, (&session, known.marks.as_ref()), (pid, &name)), None);
        }
        Liveness::Alive => Presence::Alive(key),
        Liveness::Starting => Presence::Starting(key),
        Liveness::Dead => Presence::Dead(key),
    };
    deps.problems.clear(&unlisted_key(spec));
    (presence, pane)
}

/// Why what is left of a session is not ended, in a town of one file: this supervisor did not create it, as far as is known.
async fn not_ours(deps: &Deps, spec: &AgentSpec, session: &Session) -> Option<String> {
    if deps.dialect().is_gas_town() {
        return None;
    }
    let (name, key) = (&spec.session, spec.problem_key(NOT_OURS));
    let own = match deps.sessions.environment(name, environment::TOWN).await {
        Ok(own) => own,
        Err(error) => return Some(error.to_string()),
    };
    match foreign::is_ours(&*deps.files, &deps.paths.mark(), session, own.as_deref()).await {
        Ok(true) => {
            deps.problems.clear(&key);
            None
        }
        Ok(false) => {
            let why =
                format!("session {name} was not created by this supervisor, and only a shell is left in it");
            let text = "end it, and the agent is started; or rename it, or set `session` of the agent to another name";
            deps.problems.report(key, format!("{}: {why}; {text}", spec.identity));
            Some(why)
        }
        Err(error) => Some(format!("whose session {name} is: {error}")),
    }
}

fn unlisted_key(spec: &AgentSpec) -> ProblemKey {
    spec.problem_key("unlisted")
}

/// A process runs that may be the agent: it is left alone, and reported once.
fn unlisted(
    deps: &Deps,
    spec: &AgentSpec,
    (seen, marks): (&Session, Option<&Marks>),
    (pid, name): (u32, &str),
) -> Presence {
    let (who, session) = (&spec.identity, &spec.session);
    let home = home(deps, spec, seen, marks);
    let is_gone = home.is_some_and(|home| seen.panes.iter().all(|pane| pane.id != home));
    // Without the name, which may differ at each probe.
    let text = match is_gone {
        true => format!(
            "{who}: its pane in session {session} is gone, but another program runs there; it is restarted when that ends"
        ),
        false if !deps.dialect().is_gas_town() => format!(
            "{who}: cannot tell whether the program in session {session} is the agent, so it is left alone; if it is not, end that \
             session, and the agent is started"
        ),
        false => format!(
            "{who}: cannot tell whether the program in session {session} is the agent, so it is left alone; if it is, add \
             its name to process_names in the agent's settings"
        ),
    };
    deps.problems.report(unlisted_key(spec), text);
    Presence::Unknown(format!("cannot tell whether {name} (PID {pid}) in session {session} is the agent"))
}

/// Judges by the names last known, else by those of its program, else by those its session says it has; where its
/// session names its pane, in that pane only. An agent that is found by what is known costs no request.
async fn judge(
    deps: &Deps,
    spec: &AgentSpec,
    (session, trees): (&Session, &Trees),
    known: &mut Known,
) -> (Liveness, Option<PaneTarget>) {
    let by = |names: &ProcessNames, marks: Option<&Marks>| {
        let panes = Marks::panes_in(marks, session);
        let pane = trees.as_ref().ok().and_then(|trees| agent_pane(panes, trees, names));
        let home = home(deps, spec, session, marks);
        let lives = liveness(panes, trees.as_deref(), names, home.as_deref(), deps.settings().start.timeout);
        (lives, pane.map(|pane| session.target(pane)))
    };
    let names_pane = deps.dialect().facts().names_agent_pane;
    known.marks.take_if(|marks| !marks.are_of(session));
    let is_known = known.marks.is_some() || !names_pane;
    let found = known.names.as_ref().map(|names| by(names, known.marks.as_ref()));
    let found = found.filter(|found| is_known && matches!(found, (Liveness::Alive, _)));
    let is_found = found.is_some();
    // Each probe reads a broken settings file again, so that a correction is noticed.
    if !deps.starts.in_doubt.is_program_of(&spec.identity)
        && let Some(alive) = found
    {
        return alive;
    }
    if names_pane && !is_found {
        match deps.sessions.environment(&spec.session, "GT_PANE_ID").await {
            Ok(pane) => known.marks = Some(Marks::new(session, pane)),
            Err(SessionsError::NoSuchSession(_)) => known.marks = None,
            Err(error) => return (Liveness::Unknown(error.to_string()), None),
        }
    }
    let by = |names: &ProcessNames| by(names, known.marks.as_ref());
    let program = programs::find(deps, spec).await.program;
    let names = ProcessNames::new(&program, None);
    let first = by(&names);
    known.names = Some(names);
    let (Liveness::Dead | Liveness::Unlisted { .. }, _) = first else {
        return first;
    };
    if !deps.dialect().is_gas_town() {
        return first;
    }
    // Somebody may have started another agent here and named it in the session's environment.
    match deps.sessions.environment(&spec.session, "GT_PROCESS_NAMES").await {
        Ok(None) | Err(SessionsError::NoSuchSession(_)) => first,
        Ok(also) => {
            let names = ProcessNames::new(&program, also.as_deref());
            let found = by(&names);
            known.names = Some(names);
            found
        }
        Err(error) => (Liveness::Unknown(error.to_string()), None),
    }
}
