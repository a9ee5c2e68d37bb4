//! Agents that a file says something of: whether they are started again after an end, and what they wait for.

use super::*;
use crate::{
    agent::{
        ended::{Ended, Exit},
        phase::Phase,
        requests::{Action, ByCommand, Stage},
    },
    town::standing::RestartWhen,
};

fn db() -> Denial {
    Denial::WaitsForAgent("@db".parse().unwrap())
}

fn step_of(lifecycle: &mut Lifecycle, when: RestartWhen, event: Event, second: i64) -> Step {
    let policy = Policy::default();
    let around = Surroundings {
        now: at(second),
        identity: &"@job".parse().unwrap(),
        wanted: Wanted::Always,
        restart: Some(when),
        policy: &policy,
        confirm: policy.confirm,
        is_respawned: false,
        retry_limited: Duration::from_secs(900),
        account: None,
        pace: Duration::ZERO,
        jitter: 0.0,
    };
    lifecycle.apply(event, around)
}

/// What is seen of it at this second: `what` as elsewhere, with `waits`, and how its process ended.
fn observed(what: &str, exit: Option<Exit>, second: i64) -> Observation {
    let mut seen = seen(what, at(second));
    if what.contains("+waits") {
        seen.permission = Permission::Denied(db());
    }
    Observation { exit, ..seen }
}

fn codes(step: &Step) -> Vec<&'static str> {
    step.reasons.iter().map(Reason::code).collect()
}

/// The life of session 1 ends at second 100 as `what` shows, and is confirmed. Returns what happened at the second probe.
fn ends(mut it: Lifecycle, when: RestartWhen, what: &str, exit: Option<Exit>) -> (Lifecycle, Step) {
    let noticed = step_of(&mut it, when, Event::Seen(observed(what, exit, 100)), 100);
    assert_eq!(noticed.decision, Decision::ProbeAgain(Duration::from_secs(1)), "{when:?}, {what}");
    let confirmed = step_of(&mut it, when, Event::Probed(observed(what, exit, 103)), 103);
    (it, confirmed)
}

#[test]
fn the_end_of_a_life() {
    use RestartWhen::{Always, No, OnFailure, UnlessStopped};
    let (well, failed, killed) = (Some(Exit::Code(0)), Some(Exit::Code(3)), Some(Exit::Signal(9)));
    let again = ["crashed", "starting"];
    for (when, what, exit, expected) in [
        (Always, "zombie", well, &again[..]),
        (UnlessStopped, "zombie", well, &again),
        (UnlessStopped, "gone", None, &again),
        (OnFailure, "zombie", well, &["ended_well"]),
        (OnFailure, "zombie+limited", well, &["ended_well"]),
        (OnFailure, "zombie+waits", well, &["ended_well"]),
        (OnFailure, "zombie+idle", well, &["ended_well"]),
        (OnFailure, "zombie", failed, &again),
        (OnFailure, "zombie", killed, &again),
        (OnFailure, "zombie", Some(Exit::Unknown), &["crashed", "exit_unknown", "starting"]),
        (OnFailure, "gone", None, &["crashed", "exit_unknown", "starting"]),
        (OnFailure, "gone+server", Some(Exit::Unknown), &["tmux_server_died", "starting"]),
        (OnFailure, "zombie+waits", failed, &["crashed", "waits_for_agent"]),
        (OnFailure, "gone+limited", failed, &["usage_limit"]),
        (No, "zombie", well, &["ended_well"]),
        (No, "zombie", failed, &["crashed", "not_restarted"]),
        (No, "gone", None, &["crashed", "not_restarted"]),
        (No, "gone+server", Some(Exit::Unknown), &["tmux_server_died", "not_restarted"]),
    ] {
        let name = format!("{when:?}, {what}, {exit:?}");
        let (it, step) = ends(given("alive"), when, what, exit);
        assert_eq!(codes(&step), expected, "{name}");
        let ended = expected.iter().any(|code| ["ended_well", "not_restarted"].contains(code));
        assert_eq!(it.ended().map(Ended::exit), ended.then(|| exit.unwrap_or(Exit::Unknown)), "{name}");
        assert_eq!(matches!(step.decision, Decision::Start(_)), expected.contains(&"starting"), "{name}");
        if ended {
            assert_eq!((it.is_missed(), it.history()), (false, &RestartHistory::default()), "{name}");
        }
    }
}

#[test]
fn an_exit_status_that_comes_late_is_waited_for() {
    for (when, exit, waits) in [
        (RestartWhen::OnFailure, Some(Exit::Unknown), true),
        (RestartWhen::No, Some(Exit::Unknown), true),
        (RestartWhen::OnFailure, Some(Exit::Code(0)), false),
        (RestartWhen::UnlessStopped, Some(Exit::Unknown), false),
        // Where no pane is left, none will come.
        (RestartWhen::OnFailure, None, false),
    ] {
        let mut it = given("confirming, due");
        if let State::Confirming { noticed, .. } = &mut it.state {
            *noticed = at(100);
        }
        let step = step_of(&mut it, when, Event::Probed(observed("zombie", exit, 100)), 100);
        let is_waited_for = step.decision == Decision::ProbeAgain(WHILE_AT_WORK) && step.reasons.is_empty();
        assert_eq!(is_waited_for, waits, "{when:?}, {exit:?}: {step:?}");
    }
}

#[test]
fn what_ended_stays_so_until_somebody_asks_or_the_file_says_otherwise() {
    use RestartWhen::{Always, No, OnFailure, UnlessStopped};
    for (exit, when, starts) in [
        (Exit::Code(0), OnFailure, false),
        (Exit::Code(0), No, false),
        (Exit::Code(0), UnlessStopped, true),
        (Exit::Code(0), Always, true),
        (Exit::Code(3), OnFailure, true),
        (Exit::Code(3), No, false),
        (Exit::Unknown, No, false),
    ] {
        // The next supervisor, and the one that saw it.
        let before = Before { ended: Some(Ended::new(at(50).wall, exit)), ..Before::default() };
        let mut it = Lifecycle::resumed(RestartHistory::default(), before, at(90));
        let name = format!("{exit:?}, {when:?}");
        for what in ["gone", "zombie", "gone+waits", "gone+parked", "dark", "gone+gate?"] {
            let step = step_of(&mut it.clone(), when, Event::Seen(observed(what, None, 100)), 100);
            if !starts {
                assert_eq!((codes(&step), step.decision), (vec![], Decision::Leave), "{name}, {what}");
            }
        }
        let step = step_of(&mut it, when, Event::Seen(observed("gone", None, 100)), 100);
        assert_eq!(matches!(step.decision, Decision::Start(_)), starts, "{name}");
        assert_eq!(it.ended().is_some(), !starts, "{name}");
        if !starts {
            let lives = step_of(&mut it, when, Event::Seen(observed("alive", None, 110)), 110);
            assert_eq!((codes(&lives), it.ended()), (vec!["started_by_others"], None), "{name}");
        }
    }
}

#[test]
fn what_ended_while_no_supervisor_saw_it() {
    use RestartWhen::{No, OnFailure, UnlessStopped};
    let (well, failed) = (Some(Exit::Code(0)), Some(Exit::Code(3)));
    for (when, missed, what, exit, expected) in [
        (No, false, "gone", None, "starting"),
        (No, true, "gone", None, "not_restarted"),
        (No, true, "gone+parked", None, "not_restarted"),
        (No, true, "zombie", well, "ended_well"),
        (No, false, "zombie", well, "ended_well"),
        (No, true, "zombie", None, "not_restarted"),
        // A shell in which nobody saw it run is no end of it.
        (No, false, "zombie", None, "starting"),
        (OnFailure, false, "gone", None, "starting"),
        (OnFailure, true, "gone", None, "exit_unknown, starting"),
        (OnFailure, true, "zombie", well, "ended_well"),
        (OnFailure, true, "zombie", failed, "starting"),
        (UnlessStopped, true, "gone", None, "starting"),
    ] {
        let before = Before { missed, ..Before::default() };
        let mut it = Lifecycle::resumed(RestartHistory::default(), before, at(90));
        let mut step = step_of(&mut it, when, Event::Seen(observed(what, exit, 100)), 100);
        if let Decision::ProbeAgain(_) = step.decision {
            step = step_of(&mut it, when, Event::Probed(observed(what, exit, 101)), 101);
        }
        assert_eq!(codes(&step).join(", "), expected, "{when:?}, missed {missed}, {what}, {exit:?}");
    }
}

#[test]
fn one_that_waits_for_another_is_not_started_and_what_runs_goes_on() {
    let when = RestartWhen::UnlessStopped;
    for state in ["unseen", "absent", "unneeded", "waiting"] {
        let mut it = given(state);
        let second = 100_000;
        let waits = step_of(&mut it, when, Event::Probed(observed("gone+waits", None, second)), second);
        assert_eq!(codes(&waits), ["waits_for_agent"], "{state}");
        assert_eq!((waits.decision, Phase::of(&it)), (Decision::Leave, Phase::Waiting), "{state}");
        let still = step_of(&mut it, when, Event::Seen(observed("gone+waits", None, second + 1)), second + 1);
        assert_eq!((codes(&still), still.decision), (vec![], Decision::Leave), "{state}: once");
        let now = step_of(&mut it, when, Event::Seen(observed("gone", None, second + 2)), second + 2);
        assert!(matches!(now.decision, Decision::Start(_)), "{state}: {now:?}");
    }
    let mut it = given("alive");
    let lives = step_of(&mut it, when, Event::Seen(observed("alive+waits", None, 100)), 100);
    assert_eq!((codes(&lives), lives.decision), (vec![], Decision::Leave));
    let mut it = given("unseen");
    let adopted = step_of(&mut it, when, Event::Seen(observed("alive+waits", None, 100)), 100);
    assert_eq!((codes(&adopted), adopted.decision), (vec!["adopted"], Decision::Leave));
}

#[test]
fn what_is_asked_of_one_that_waits_for_another() {
    let by = || {
        let by = serde_json::json!({"uid": 1000, "command": "stop", "at": at(99).wall.to_string()});
        serde_json::from_value::<ByCommand>(by).unwrap()
    };
    for (action, what, by, expected) in [
        (Action::Stop, "alive+waits", Some(by()), "stop_requested"),
        (Action::Stop, "gone+waits", Some(by()), "stop_requested, request_carried_out"),
        (Action::Start, "gone+waits", Some(by()), "request_refused"),
        (Action::Restart, "alive+waits", Some(by()), "request_refused"),
        (Action::Restart, "alive+waits", None, "request_postponed"),
    ] {
        let mut it = given(if what.starts_with("alive") { "alive" } else { "absent" });
        let seen = observed(what, None, 100);
        let asked = Asked { action, why: "asked".into(), by, busy: None, stage: Stage::Due, seen };
        let step = step_of(&mut it, RestartWhen::No, Event::Asked(Box::new(asked)), 100);
        assert_eq!(codes(&step).join(", "), expected, "{action:?}, {what}");
    }
}

#[test]
fn an_ended_one_is_started_when_somebody_asks() {
    for (action, what) in [(Action::Start, "gone"), (Action::Restart, "gone"), (Action::Start, "zombie")] {
        let (mut it, _) = ends(given("alive"), RestartWhen::No, "zombie", Some(Exit::Code(0)));
        let seen = observed(what, None, 200);
        let asked = Asked { action, why: "asked".into(), by: None, busy: None, stage: Stage::Due, seen };
        let step = step_of(&mut it, RestartWhen::No, Event::Asked(Box::new(asked)), 200);
        assert!(matches!(step.decision, Decision::Start(_)), "{action:?}, {what}: {step:?}");
        assert_eq!(it.ended(), None, "{action:?}, {what}");
    }
}

#[test]
fn a_start_that_brings_no_agent_is_made_once_where_the_file_says_so() {
    for (when, is_over) in [(RestartWhen::No, true), (RestartWhen::OnFailure, false)] {
        let mut it = given("starting");
        let end = StartEnd::NeverAppeared("it ended at once".into());
        let step = step_of(&mut it, when, Event::StartEnded(end), 100);
        assert_eq!(it.ended().is_some(), is_over, "{when:?}: {step:?}");
    }
}
