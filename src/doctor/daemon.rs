//! The supervisor: whether one runs (only the lock decides that), and whether the files that show it to others agree.
//!
//! The lock is probed with a shared lock that is released at once; the lock file is never created. A supervisor that
//! does not run is not an error.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use jiff::Timestamp;
use tokio::time::sleep;

use super::{
    disk,
    finding::{Area, Finding},
};
use crate::{
    control::{client::Answer, report::StatusReport},
    deps::Deps,
    go_duration,
    processes::standstill,
    terminal,
    town::{
        daemon_state::{self, DaemonState},
        files::LockState,
        lock, original,
        paths::TownPaths,
        pid,
        reading::Reading,
    },
};

/// Number of missing heartbeats after which a supervisor that holds the lock is reported as hanging.
const MISSING: u32 = 3;

/// How much longer two processes must have the lock open than a start waits for it.
const MARGIN: Duration = Duration::from_millis(200);

/// A process that holds a lock, and its executable where that is known.
pub type Holder = (u32, Option<PathBuf>);

/// The state of the lock, the files and the supervisor.
#[derive(Debug, Clone)]
struct Observed {
    /// Where the town's files are.
    pub paths: TownPaths,
    /// Whether a process holds the lock; an error says why that is unknown.
    pub held: Result<bool, String>,
    /// The processes that hold it; empty when the system does not show them.
    pub holders: Vec<Holder>,
    /// The process in the PID file; `None` without a file, `Some(None)` when it names no process.
    pub pid_file: Option<Option<u32>>,
    /// The state file; `None` when there is none or it cannot be used, which is reported with the files.
    pub state: Option<DaemonState>,
    /// The interval of heartbeats in the settings.
    pub interval: Duration,
    /// The processes that have the lock open, and still have it open after a while.
    pub rivals: Vec<Holder>,
    /// Why the supervisor does not answer; `None` when it does, or none runs.
    pub silent: Option<String>,
    /// Whether the kernel says why it does nothing.
    pub stands_still: bool,
}

impl Observed {
    /// The lock, for people.
    fn lock(&self) -> PathBuf {
        self.paths.shown(&self.paths.daemon_lock()).to_owned()
    }

    /// The PID file, for people.
    fn pid_file_path(&self) -> PathBuf {
        self.paths.shown(&self.paths.pid_file()).to_owned()
    }

    /// The state file, for people.
    fn state_path(&self) -> PathBuf {
        self.paths.shown(&self.paths.state()).to_owned()
    }
}

/// Checks the supervisor, which gave this answer.
pub async fn examine(deps: &Deps, answer: &Answer<StatusReport>) -> Vec<Finding> {
    judge(&observe(deps, answer).await, deps.now().wall)
}

async fn observe(deps: &Deps, answer: &Answer<StatusReport>) -> Observed {
    let (lock, state, pid_file) = (deps.paths.daemon_lock(), deps.paths.state(), deps.paths.pid_file());
    let held = deps.files.probe_lock(&lock).await;
    let holders = holders(&lock).await;
    let state = match Reading::of(&state, deps.files.read(&state).await, daemon_state::parse) {
        Reading::Good(state) => Some(state),
        Reading::Missing | Reading::Bad(_) => None,
    };
    let pid_file = match deps.files.exists(&pid_file).await {
        Ok(true) => Some(tokio::task::spawn_blocking(move || pid::read(&pid_file)).await.unwrap_or_default()),
        _ => None,
    };
    let stands_still = holders.iter().any(|(pid, _)| standstill::of(*pid).is_some());
    Observed {
        paths: deps.paths.clone(),
        held: held.map(|state| state == LockState::Held).map_err(|error| error.to_string()),
        holders,
        pid_file,
        state,
        interval: deps.settings().heartbeat.interval,
        rivals: rivals(&lock).await,
        stands_still,
        silent: match answer {
            Answer::Unresponsive(_, why) => Some(why.clone()),
            Answer::Live(_) | Answer::Offline(_) => None,
        },
    }
}

/// The processes that have the lock open and keep it open, if there are several: commands only probe it, and who starts in vain gives
/// up.
async fn rivals(lock: &Path) -> Vec<Holder> {
    let mut pids = disk::openers(lock).await;
    if pids.len() < 2 {
        return Vec::new();
    }
    sleep(lock::PATIENCE + MARGIN).await;
    let still = disk::openers(lock).await;
    pids.retain(|pid| still.contains(pid));
    let mut rivals = Vec::new();
    for pid in pids {
        rivals.push((pid, disk::executable(pid).await));
    }
    rivals
}

/// The processes that hold the lock of a file; empty when the system does not show them.
pub async fn holders(lock: &Path) -> Vec<Holder> {
    let mut holders = Vec::new();
    for pid in disk::holders(lock).await {
        holders.push((pid, disk::executable(pid).await));
    }
    holders
}

fn judge(observed: &Observed, now: Timestamp) -> Vec<Finding> {
    match &observed.held {
        Err(why) => {
            let lock = terminal::path(observed.lock());
            let what = format!("{lock} cannot be examined: {why}; cannot tell whether a supervisor runs");
            vec![Area::Supervisor.wrong(what, "check its owner and permissions")]
        }
        Ok(false) => stopped(observed),
        Ok(true) => running(observed, now),
    }
}

fn stopped(observed: &Observed) -> Vec<Finding> {
    let was_killed = observed.state.as_ref().is_some_and(|state| state.running);
    let start = "start one with `gastown-supervisor start`";
    let what = "no supervisor runs: agents that die are not restarted";
    let mut findings = vec![match was_killed {
        true => Area::Supervisor.wrong(format!("{what}; the last one was killed"), start),
        false => Area::Supervisor.note(what, start),
    }];
    let left = "left by a supervisor that was killed; the next start corrects it";
    if let Some(pid) = observed.pid_file {
        let whom = pid.map_or("no process".to_owned(), |pid| format!("PID {pid}"));
        let file = observed.pid_file_path();
        let what = format!("{} names {whom}, but no process holds the lock", terminal::path(&file));
        findings.push(Area::Supervisor.note(what, left).about(&file));
    }
    if let Some(DaemonState { running: true, pid, .. }) = &observed.state {
        let file = observed.state_path();
        let what =
            format!("{} says that PID {pid} runs, but no process holds the lock", terminal::path(&file));
        findings.push(Area::Supervisor.note(what, left).about(&file));
    }
    findings
}

fn running(observed: &Observed, now: Timestamp) -> Vec<Finding> {
    let holder = observed.holders.first();
    if let Some((pid, Some(executable))) = holder
        && original::is_program(executable)
    {
        let what = original::words(*pid, executable);
        let original = Area::Supervisor.wrong(what, original::WHAT_TO_DO);
        return [original].into_iter().chain(two(observed)).collect();
    }
    let shown = match holder {
        Some(holder) => process(holder),
        None => match observed.pid_file.flatten() {
            Some(pid) => format!("PID {pid} by {}", terminal::path(observed.pid_file_path())),
            None => "its PID is not known".to_owned(),
        },
    };
    let mut findings = vec![Area::Supervisor.ok(format!("a supervisor runs: {shown}"))];
    findings.extend(two(observed));
    findings.extend(disagreement(observed));
    findings.extend(hanging(observed, now));
    findings.extend(answering(observed));
    findings
}

/// The finding that two processes supervise the town: one has a lock file that was deleted, or locks keep nobody out.
fn two(observed: &Observed) -> Option<Finding> {
    let shown: Vec<String> = observed.rivals.iter().map(process).collect();
    (shown.len() > 1).then(|| {
        let what = format!(
            "{} processes have {} open and may each supervise this town: {}",
            shown.len(),
            terminal::path(observed.lock()),
            shown.join(", ")
        );
        let hint = "end all but one with TERM; the lock file must never be deleted, nor be on a disk whose locks keep nobody out";
        Area::Supervisor.wrong(what, hint).about(&observed.lock())
    })
}

fn answering(observed: &Observed) -> Option<Finding> {
    let what = format!("it does not answer: {}", observed.silent.as_ref()?);
    let hint = match observed.stands_still {
        // It says itself what to do, and a process that is stopped does not hear TERM.
        true => "",
        false => {
            "run `doctor` again in a moment; if it still does not answer, stop it with TERM and start it again"
        }
    };
    Some(Area::Supervisor.wrong(what, hint))
}

/// A process for people: `PID 4711 (/usr/bin/gt)`.
pub fn process((pid, executable): &Holder) -> String {
    match executable {
        Some(path) => format!("PID {pid} ({})", terminal::path(path)),
        None => format!("PID {pid}"),
    }
}

fn disagreement(observed: &Observed) -> Option<Finding> {
    let holders: Vec<u32> = observed.holders.iter().map(|(pid, _)| *pid).collect();
    let named = observed.pid_file.flatten();
    let right = named.is_some_and(|pid| holders.is_empty() || holders.contains(&pid));
    if right {
        return None;
    }
    let file = observed.pid_file_path();
    let shown = terminal::path(&file);
    let what = match observed.pid_file {
        None => format!("{shown} is missing"),
        Some(None) => format!("{shown} names no process"),
        Some(Some(pid)) => format!("{shown} names PID {pid}, which does not hold the lock"),
    };
    let who = if observed.paths.agents_file().is_some() { "our commands" } else { "`gt`" };
    let hint = format!("{who} cannot find the supervisor by it; a running one rewrites it within 5s");
    Some(Area::Supervisor.note(what, hint).about(&file))
}

fn hanging(observed: &Observed, now: Timestamp) -> Option<Finding> {
    let state = observed.state.as_ref().filter(|state| state.running)?;
    let last = state.last_heartbeat.max(state.started_at)?;
    let age = Duration::try_from(now.duration_since(last)).unwrap_or_default();
    if age <= observed.interval * MISSING {
        return None;
    }
    let [age, interval] = [Duration::from_secs(age.as_secs()), observed.interval].map(go_duration::format);
    let what = format!("its last heartbeat completed {age} ago; one is due every {interval}");
    let log = terminal::path(observed.paths.shown(&observed.paths.daemon_log()));
    Some(
        Area::Supervisor
            .wrong(what, format!("see the end of {log}; stop it with TERM and start it again"))
            .about(&observed.state_path()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::finding::Severity::{self, Note, Ok as Well, Wrong};

    fn at(text: &str) -> Option<Timestamp> {
        Some(text.parse().unwrap())
    }

    #[test]
    fn what_is_said_of_it() {
        let beaten = |running, last: &str| {
            let (started_at, last_heartbeat) = (at("2026-01-16T10:00:00Z"), at(last));
            Some(DaemonState { running, pid: 7, started_at, last_heartbeat, heartbeat_count: 1 })
        };
        let ours = || vec![(7, Some("/bin/gastown-supervisor".into()))];
        let none = || Observed {
            paths: TownPaths::new("/t"),
            held: Ok(false),
            holders: vec![],
            pid_file: None,
            state: None,
            interval: Duration::from_secs(180),
            rivals: vec![],
            silent: None,
            stands_still: false,
        };
        let fresh = || beaten(true, "2026-01-16T11:58:00Z");
        let up = || Observed {
            held: Ok(true),
            holders: ours(),
            pid_file: Some(Some(7)),
            state: fresh(),
            ..none()
        };
        let first = |text: &'static str| (Well, text);
        #[rustfmt::skip]
        let cases: [(&str, Observed, &[(Severity, &str)]); 14] = [
            ("never started", none(), &[(Note, "no supervisor runs")]),
            ("stopped", Observed { state: beaten(false, "2026-01-16T11:00:00Z"), ..none() }, &[(Note, "no supervisor runs")]),
            ("killed", Observed { pid_file: Some(Some(7)), state: fresh(), ..none() },
                &[(Wrong, "no supervisor runs: agents that die are not restarted; the last one was killed"), (Note, "daemon/daemon.pid names PID 7"), (Note, "daemon/state.json says that PID 7 runs")]),
            ("junk for a PID", Observed { pid_file: Some(None), ..none() }, &[(Note, "no supervisor runs"), (Note, "daemon/daemon.pid names no process")]),
            ("running", up(), &[first("a supervisor runs: PID 7 (/bin/gastown-supervisor)")]),
            ("holder not known", Observed { holders: vec![], ..up() }, &[first("a supervisor runs: PID 7 by daemon/daemon.pid")]),
            ("just started", Observed { state: beaten(false, "2026-01-16T09:00:00Z"), ..up() }, &[first("a supervisor runs")]),
            ("two", Observed { rivals: [ours(), vec![(8, Some("/usr/bin/gt".into()))]].concat(), ..up() },
                &[first("a supervisor runs"), (Wrong, "2 processes have daemon/daemon.lock open and may each supervise this town: PID 7 (/bin/gastown-supervisor), PID 8 (/usr/bin/gt)")]),
            ("is silent", Observed { silent: Some("x".into()), ..up() }, &[first("a supervisor runs"), (Wrong, "it does not answer: x")]),
            ("no PID file", Observed { pid_file: None, ..up() }, &[first("a supervisor runs"), (Note, "daemon/daemon.pid is missing")]),
            ("another PID", Observed { pid_file: Some(Some(8)), ..up() }, &[first("a supervisor runs"), (Note, "daemon/daemon.pid names PID 8")]),
            ("hangs", Observed { state: beaten(true, "2026-01-16T11:50:59Z"), ..up() },
                &[first("a supervisor runs"), (Wrong, "its last heartbeat completed 9m1s ago; one is due every 3m0s")]),
            ("the original", Observed { holders: vec![(7, Some("/usr/bin/gt".into()))], ..up() },
                &[(Wrong, "the original daemon supervises this town: PID 7, /usr/bin/gt")]),
            ("not to be asked", Observed { held: Err("denied".into()), ..up() }, &[(Wrong, "daemon/daemon.lock cannot be examined: denied")]),
        ];
        for (name, observed, expected) in cases {
            let findings = judge(&observed, "2026-01-16T12:00:00Z".parse().unwrap());
            assert_eq!(findings.len(), expected.len(), "{name}: {findings:#?}");
            for (finding, (severity, begin)) in findings.iter().zip(expected) {
                assert_eq!(finding.severity, *severity, "{name}");
                assert!(finding.what.starts_with(begin), "{name}: {}", finding.what);
            }
        }
    }
}
