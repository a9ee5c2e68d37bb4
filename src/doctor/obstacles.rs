//! Obstacles: what blocks the start of agents or the writing of events although nothing is broken.
//!
//! Locks of other processes, emergency stops, pauses, parked rigs and disabled patrols. A stop that is meant to end, and keeps
//! agents down until somebody ends it, is wrong: emergency stops, parked rigs, a paused deacon. So is a lock that is never
//! released. What ends by itself, and what the configuration switches off for good, are notes.

use std::{io, path::Path, time::Duration};

use tokio::time::sleep;

use super::{
    daemon::{Holder, holders, process},
    finding::{Area, Finding},
};
use crate::{
    deps::Deps,
    operator::pid_file::{self, Named},
    town::{
        deacon_file::{self, Pause},
        files::LockState,
        identity::RigName,
        reading::Reading,
        settings::Patrols,
        wisp::{self, Closed, Operational},
    },
};

/// The number of polls of the event log's lock, and the time between them: together as long as every writer waits for
/// it.
const PROBES: u32 = 20;
const BETWEEN_PROBES: Duration = Duration::from_millis(100);

/// Checks for obstacles; takes 2 s when the lock of the event log is held.
pub async fn examine(deps: &Deps, rigs: &[RigName]) -> Vec<Finding> {
    let (shutdown, events) = tokio::join!(shutdown(deps), events(deps));
    let mut findings: Vec<Finding> = shutdown.map(of_shutdown).into_iter().collect();
    if deps.dialect().facts().has_shutting_down_file {
        findings.extend(of_shutting_down(pid_file::look(deps, &deps.paths.shutting_down()).await));
    }
    findings.extend(events.map(|holders| of_events(&holders)));
    let names = deps.files.list(deps.paths.root()).await.unwrap_or_default();
    findings.extend(names.iter().filter_map(|name| of_stop(name)));
    let pause = deps.paths.deacon_paused();
    if let Reading::Good(pause) = Reading::of(&pause, deps.files.read(&pause).await, deacon_file::parse_pause)
    {
        let path = deps.paths.deacon_paused();
        findings.extend(of_pause(&pause).map(|finding| finding.about(deps.paths.shown(&path))));
    }
    for rig in rigs {
        let path = deps.paths.wisp(rig);
        let reading = Reading::of(deps.paths.shown(&path), deps.files.read(&path).await, wisp::parse);
        if let Operational::No(why) = wisp::operational(&reading) {
            findings.push(of_closed(rig, why).about(deps.paths.shown(&path)));
        }
    }
    findings.extend(of_patrols(&deps.settings().patrols));
    if findings.is_empty() {
        findings.push(Area::Locks.ok("nothing blocks the start of agents"));
    }
    findings
}

/// The holder of `daemon/shutdown.lock`, if known; `None` when it is free.
async fn shutdown(deps: &Deps) -> Option<Result<Vec<Holder>, String>> {
    let path = deps.paths.shutdown_lock();
    match deps.files.probe_lock(&path).await {
        Ok(LockState::Free) => None,
        Ok(LockState::Held) => Some(Ok(holders(&path).await)),
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => None,
        Err(error) => Some(Err(error.to_string())),
    }
}

fn of_shutdown(held: Result<Vec<Holder>, String>) -> Finding {
    match held {
        Ok(holders) => {
            let by = by(&holders);
            note(
                format!("daemon/shutdown.lock is held{by}: the town is being taken down"),
                "nothing is started, nudged or ended until it is released",
            )
            .same_as([gate("", "town_shutdown")])
        }
        Err(why) => Area::Locks.wrong(
            format!("daemon/shutdown.lock cannot be examined: {why}; nothing is started until it can be"),
            "check its owner and permissions",
        ),
    }
}

/// The finding about `daemon/shutting-down`.
fn of_shutting_down(named: io::Result<Named>) -> Option<Finding> {
    let path = "daemon/shutting-down";
    match named {
        Ok(Named::Nobody) => None,
        Ok(Named::Gt(pid)) => Some(
            note(
                format!("{path} names PID {pid}, which runs: the town is being taken down"),
                "nothing is started, nudged or ended until it ends",
            )
            .same_as([gate("", "town_shutdown")]),
        ),
        Ok(Named::Another(pid) | Named::Ended(pid)) => Some(note(
            format!("{path} names PID {pid}, and no gt has that PID: it does not count"),
            "it was left by a `gt down` that was killed; remove it",
        )),
        Err(why) => Some(Area::Locks.wrong(
            format!("{path} cannot be examined: {why}; nothing is started until it can be"),
            "remove it if no `gt down` runs",
        )),
    }
}

/// The holder of `.events.jsonl.lock` if it is held all the time. What cannot be examined is reported with the
/// permissions.
async fn events(deps: &Deps) -> Option<Vec<Holder>> {
    let path = deps.paths.events_lock();
    for probe in 0..=PROBES {
        if probe > 0 {
            sleep(BETWEEN_PROBES).await;
        }
        if !matches!(deps.files.probe_lock(&path).await, Ok(LockState::Held)) {
            return None;
        }
    }
    Some(holders(&path).await)
}

fn of_events(holders: &[Holder]) -> Finding {
    let by = by(holders);
    let what = format!(".events.jsonl.lock has been held{by} for more than 2s: no event can be written");
    Area::Locks.wrong(what, "end the process that holds it; the file itself may stay")
}

fn by(holders: &[Holder]) -> String {
    match holders {
        [] => String::new(),
        holders => format!(" by {}", holders.iter().map(process).collect::<Vec<_>>().join(", ")),
    }
}

fn note(what: String, hint: impl AsRef<str>) -> Finding {
    Area::Locks.note(what, hint)
}

/// The finding about a file `ESTOP` or `ESTOP.<rig>`.
fn of_stop(name: &str) -> Option<Finding> {
    let (what, gate) = match name.strip_prefix("ESTOP")? {
        "" => {
            ("ESTOP: emergency stop of the town, nothing is started".to_owned(), gate("", "emergency_stop"))
        }
        rig => {
            let rig = rig.strip_prefix('.')?;
            let what = format!("{name}: emergency stop of rig {rig}, nothing is started in it");
            (what, gate(rig, "rig_emergency_stop"))
        }
    };
    let finding = Area::Locks.wrong(what, format!("remove {name} when it is over (`gt thaw`)"));
    Some(finding.about(Path::new(name)).same_as([gate]))
}

/// The key of a gate of the supervisor, for [`reported`](super::reported); a gate of the town has no rig.
pub fn gate(rig: &str, code: &str) -> String {
    format!("gate/{rig}/{code}")
}

fn of_pause(pause: &Pause) -> Option<Finding> {
    let by = pause.paused_by.as_ref().map(|who| format!(" by {who}")).unwrap_or_default();
    let why = pause.reason.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
    pause.paused.then(|| {
        Area::Locks.wrong(format!("the deacon is paused{by}{why}"), "run `gt deacon resume` to end it")
    })
}

fn of_closed(rig: &RigName, why: Closed) -> Finding {
    let hint = match why {
        Closed::Parked => format!("run `gt rig unpark {rig}` to end it"),
        Closed::Docked => format!("run `gt rig undock {rig}` to end it"),
        Closed::AutoRestartBlocked | Closed::AutoRestartDisabled => {
            format!("see auto_restart in .beads-wisp/config/{rig}.json")
        }
    };
    let what = format!("nothing is started in rig {rig}: {why}");
    let finding = match why {
        Closed::Parked => Area::Locks.wrong(what, hint),
        Closed::Docked | Closed::AutoRestartBlocked | Closed::AutoRestartDisabled => note(what, hint),
    };
    finding.same_as([gate(rig.as_str(), why.code())])
}

fn of_patrols(patrols: &Patrols) -> Vec<Finding> {
    let all = [("deacon", &patrols.deacon), ("witness", &patrols.witness), ("refinery", &patrols.refinery)];
    let switched_off = all.into_iter().filter_map(|(role, patrol)| {
        let what = match (patrol.enabled, &patrol.rigs) {
            (false, _) => "is switched off".to_owned(),
            (true, Some(rigs)) => format!("runs only in {}", rigs.join(", ")),
            (true, None) => return None,
        };
        if patrols.disabled.contains(role) {
            let what = format!("settings/config.json: disabled_patrols names the {role} patrol");
            return Some(note(what, "take it out of the list to change it"));
        }
        let what = format!("mayor/daemon.json: the {role} patrol {what}");
        Some(note(what, format!("set patrols.{role} there to change it")))
    });
    switched_off.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        doctor::finding::Severity::{self, Note, Wrong},
        town::settings::Patrol,
    };

    #[test]
    fn what_stands_in_the_way() {
        let gt = || vec![(7, Some("/usr/bin/gt".into()))];
        let off = Patrol { enabled: false, rigs: None };
        let some = Patrol { enabled: true, rigs: Some(vec!["a".into(), "b".into()]) };
        let pause = |paused| Pause {
            paused,
            reason: Some("lunch".into()),
            paused_by: Some("max".into()),
            paused_at: None,
        };
        let stops = |names: &[&str]| names.iter().filter_map(|name| of_stop(name)).collect::<Vec<_>>();
        let one = |finding: Option<Finding>| finding.into_iter().collect::<Vec<_>>();
        #[rustfmt::skip]
        let cases: [(&str, Vec<Finding>, &[(Severity, &str)]); 13] = [
            ("gt down", vec![of_shutdown(Ok(gt()))],
                &[(Note, "daemon/shutdown.lock is held by PID 7 (/usr/bin/gt): the town is being taken down")]),
            ("by nobody knows whom", vec![of_shutdown(Ok(vec![]))], &[(Note, "daemon/shutdown.lock is held: ")]),
            ("unknown", vec![of_shutdown(Err("denied".into()))], &[(Wrong, "daemon/shutdown.lock cannot be examined: denied")]),
            ("events", vec![of_events(&gt())], &[(Wrong, ".events.jsonl.lock has been held by PID 7")]),
            ("gt down 1.x", one(of_shutting_down(Ok(Named::Gt(7)))),
                &[(Note, "daemon/shutting-down names PID 7, which runs: the town is being taken down")]),
            ("its file, left behind", one(of_shutting_down(Ok(Named::Another(7)))),
                &[(Note, "daemon/shutting-down names PID 7, and no gt has that PID: it does not count")]),
            ("its file, unreadable", one(of_shutting_down(Err(io::Error::other("denied")))),
                &[(Wrong, "daemon/shutting-down cannot be examined: denied; nothing is started")]),
            ("disabled", of_patrols(&Patrols {
                deacon: off.clone(), disabled: ["deacon".to_owned()].into(), ..Patrols::default()
             }), &[(Note, "settings/config.json: disabled_patrols names the deacon patrol")]),
            ("stops", stops(&["ESTOP", "ESTOP.a", "ESTOPPED", "x"]),
                &[(Wrong, "ESTOP: emergency stop of the town"), (Wrong, "ESTOP.a: emergency stop of rig a")]),
            ("pause", one(of_pause(&pause(true))), &[(Wrong, "the deacon is paused by max: lunch")]),
            ("no pause", one(of_pause(&pause(false))), &[]),
            ("parked", vec![of_closed(&"a".parse().unwrap(), Closed::Parked)], &[(Wrong, "nothing is started in rig a: rig is parked")]),
            ("patrols", of_patrols(&Patrols { deacon: off, refinery: some, ..Patrols::default() }),
                &[(Note, "mayor/daemon.json: the deacon patrol is switched off"), (Note, "mayor/daemon.json: the refinery patrol runs only in a, b")]),
        ];
        for (name, findings, expected) in cases {
            assert_eq!(findings.len(), expected.len(), "{name}: {findings:#?}");
            for (finding, (severity, begin)) in findings.iter().zip(expected) {
                assert_eq!(finding.severity, *severity, "{name}");
                assert!(finding.what.starts_with(begin), "{name}: {}", finding.what);
            }
        }
    }
}
