//! Obstacles: what keeps agents from being started or events from being written, without anything being broken.
//!
//! Locks of others, emergency stops, pauses, parked rigs and patrols that are switched off. All but a lock that is never let
//! go are somebody's will, and so notes.

use std::{io, time::Duration};

use tokio::time::sleep;

use super::{
    daemon::{Holder, holders, process},
    finding::{Area, Finding},
};
use crate::{
    agent::identity::RigName,
    deps::Deps,
    town::{
        deacon_file::{self, Pause},
        files::LockState,
        reading::Reading,
        settings::{Patrol, Patrols},
        wisp::{self, Operational},
    },
};

/// The lock of the event log is waited for so long by everybody who writes to it; it is looked at this often meanwhile.
const LOOKS: u32 = 20;
const BETWEEN_LOOKS: Duration = Duration::from_millis(100);

/// What was seen.
#[derive(Debug, Clone, Default)]
pub struct Observed {
    /// Somebody holds `daemon/shutdown.lock`, and who as far as that is known. An error: it could not be asked.
    pub shutdown: Option<Result<Vec<Holder>, String>>,
    /// Somebody has held `.events.jsonl.lock` all the time, and who.
    pub events: Option<Vec<Holder>>,
    /// The files `ESTOP` and `ESTOP.<rig>` that are there.
    pub stops: Vec<String>,
    /// The deacon is paused.
    pub pause: Option<Pause>,
    /// Rigs that are not operational, and why.
    pub closed: Vec<(RigName, String)>,
    /// The switches.
    pub patrols: Patrols,
}

/// Looks; takes 2 s when the lock of the event log is held.
pub async fn look(deps: &Deps, rigs: &[RigName]) -> Observed {
    let pause = deps.paths.deacon_paused();
    let pause = Reading::of(&pause, deps.files.read(&pause).await, deacon_file::parse_pause);
    let (shutdown, events) = tokio::join!(shutdown(deps), events(deps));
    Observed {
        shutdown,
        events,
        stops: stops(deps).await,
        pause: match pause {
            Reading::Good(pause) if pause.paused => Some(pause),
            _ => None,
        },
        closed: closed(deps, rigs).await,
        patrols: deps.settings().patrols.clone(),
    }
}

async fn shutdown(deps: &Deps) -> Option<Result<Vec<Holder>, String>> {
    let path = deps.paths.shutdown_lock();
    match deps.files.probe_lock(&path).await {
        Ok(LockState::Free) => None,
        Ok(LockState::Held) => Some(Ok(holders(&path).await)),
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => None,
        Err(error) => Some(Err(error.to_string())),
    }
}

/// What cannot be asked is told with the permissions.
async fn events(deps: &Deps) -> Option<Vec<Holder>> {
    let mut path = deps.paths.events().into_os_string();
    path.push(".lock");
    let path = std::path::PathBuf::from(path);
    for look in 0..=LOOKS {
        if look > 0 {
            sleep(BETWEEN_LOOKS).await;
        }
        if !matches!(deps.files.probe_lock(&path).await, Ok(LockState::Held)) {
            return None;
        }
    }
    Some(holders(&path).await)
}

async fn stops(deps: &Deps) -> Vec<String> {
    let names = deps.files.list(deps.paths.root()).await.unwrap_or_default();
    names.into_iter().filter(|name| name == "ESTOP" || name.starts_with("ESTOP.")).collect()
}

async fn closed(deps: &Deps, rigs: &[RigName]) -> Vec<(RigName, String)> {
    let mut closed = Vec::new();
    for rig in rigs {
        let path = deps.paths.wisp(rig);
        let reading = Reading::of(deps.paths.shown(&path), deps.files.read(&path).await, wisp::parse);
        if let Operational::No(why) = wisp::operational(&reading) {
            closed.push((rig.clone(), why));
        }
    }
    closed
}

/// Judges.
pub fn judge(observed: &Observed) -> Vec<Finding> {
    let note = |what: String| Finding::note(Area::Locks, what);
    let mut findings = of_locks(observed);
    findings.extend(observed.stops.iter().map(|name| {
        match name.strip_prefix("ESTOP.") {
            Some(rig) => note(format!("{name}: emergency stop of rig {rig}, nothing is started in it"))
                .hint(format!("remove {name} when it is over")),
            None => note("ESTOP: emergency stop of the town, nothing is started".to_owned())
                .hint("remove ESTOP when it is over"),
        }
    }));
    findings.extend(observed.pause.iter().map(|pause| {
        let by = pause.paused_by.as_ref().map(|who| format!(" by {who}")).unwrap_or_default();
        let why = pause.reason.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
        note(format!("the deacon is paused{by}{why}")).hint("`gt deacon resume` ends it")
    }));
    findings.extend(observed.closed.iter().map(|(rig, why)| {
        let hint = match why.as_str() {
            "rig is parked" => format!("`gt rig unpark {rig}` opens it"),
            "rig is docked" => format!("`gt rig undock {rig}` opens it"),
            _ => format!("see auto_restart in .beads-wisp/config/{rig}.json"),
        };
        note(format!("nothing is started in rig {rig}: {why}")).hint(hint)
    }));
    let patrols = &observed.patrols;
    let switches =
        [("deacon", &patrols.deacon), ("witness", &patrols.witness), ("refinery", &patrols.refinery)];
    findings.extend(switches.into_iter().filter_map(|(role, patrol)| switched_off(role, patrol)));
    if findings.is_empty() {
        findings.push(Finding::ok(Area::Locks, "nothing keeps agents from being started"));
    }
    findings
}

fn of_locks(observed: &Observed) -> Vec<Finding> {
    let mut findings = Vec::new();
    match &observed.shutdown {
        None => {}
        Some(Ok(holders)) => {
            let what = format!("daemon/shutdown.lock is held{}: the town is being taken down", by(holders));
            let hint = "nothing is started, nudged or ended until it is let go";
            findings.push(Finding::note(Area::Locks, what).hint(hint));
        }
        Some(Err(why)) => {
            let what =
                format!("daemon/shutdown.lock cannot be asked: {why}; nothing is started while that is so");
            findings.push(Finding::wrong(Area::Locks, what).hint("check its owner and permissions"));
        }
    }
    if let Some(holders) = &observed.events {
        let what = format!(
            ".events.jsonl.lock has been held{} for more than 2s: no event can be written",
            by(holders)
        );
        let hint = "end the process that holds it; the file itself may stay";
        findings.push(Finding::wrong(Area::Locks, what).hint(hint));
    }
    findings
}

fn by(holders: &[Holder]) -> String {
    match holders {
        [] => String::new(),
        holders => format!(" by {}", holders.iter().map(process).collect::<Vec<_>>().join(", ")),
    }
}

fn switched_off(role: &str, patrol: &Patrol) -> Option<Finding> {
    let what = match (patrol.enabled, &patrol.rigs) {
        (false, _) => format!("mayor/daemon.json: the {role} patrol is switched off"),
        (true, Some(rigs)) => {
            format!("mayor/daemon.json: the {role} patrol runs only in {}", rigs.join(", "))
        }
        (true, None) => return None,
    };
    Some(Finding::note(Area::Locks, what).hint(format!("set patrols.{role} there to change it")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::finding::Severity::{self, Note, Ok as Well, Wrong};

    #[test]
    fn what_stands_in_the_way() {
        let gt = || vec![(7, Some("/usr/bin/gt".into()))];
        let off = Patrol { enabled: false, rigs: None };
        let some = Patrol { enabled: true, rigs: Some(vec!["a".into(), "b".into()]) };
        let pause = Pause {
            paused: true,
            reason: Some("lunch".into()),
            paused_by: Some("max".into()),
            paused_at: None,
        };
        let none = Observed::default;
        #[rustfmt::skip]
        let cases: [(&str, Observed, &[(Severity, &str)]); 9] = [
            ("nothing", none(), &[(Well, "nothing keeps agents from being started")]),
            ("gt down", Observed { shutdown: Some(Ok(gt())), ..none() },
                &[(Note, "daemon/shutdown.lock is held by PID 7 (/usr/bin/gt): the town is being taken down")]),
            ("by nobody knows whom", Observed { shutdown: Some(Ok(vec![])), ..none() }, &[(Note, "daemon/shutdown.lock is held: ")]),
            ("unknown", Observed { shutdown: Some(Err("denied".into())), ..none() }, &[(Wrong, "daemon/shutdown.lock cannot be asked: denied")]),
            ("events", Observed { events: Some(gt()), ..none() }, &[(Wrong, ".events.jsonl.lock has been held by PID 7")]),
            ("stops", Observed { stops: vec!["ESTOP".into(), "ESTOP.a".into()], ..none() },
                &[(Note, "ESTOP: emergency stop of the town"), (Note, "ESTOP.a: emergency stop of rig a")]),
            ("pause", Observed { pause: Some(pause), ..none() }, &[(Note, "the deacon is paused by max: lunch")]),
            ("parked", Observed { closed: vec![("a".parse().unwrap(), "rig is parked".into())], ..none() },
                &[(Note, "nothing is started in rig a: rig is parked")]),
            ("patrols", Observed { patrols: Patrols { deacon: off, refinery: some, ..Patrols::default() }, ..none() },
                &[(Note, "mayor/daemon.json: the deacon patrol is switched off"), (Note, "mayor/daemon.json: the refinery patrol runs only in a, b")]),
        ];
        for (name, observed, expected) in cases {
            let findings = judge(&observed);
            assert_eq!(findings.len(), expected.len(), "{name}: {findings:#?}");
            for (finding, (severity, begin)) in findings.iter().zip(expected) {
                assert_eq!(finding.severity, *severity, "{name}");
                assert!(finding.what.starts_with(begin), "{name}: {}", finding.what);
            }
        }
    }
}
