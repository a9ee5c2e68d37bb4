//! Whole lives, as lists of events: the input, and every reason in the output with its code and phases.

use super::*;
use crate::agent::{
    phase::Phase,
    requests::{Action, Stage},
};

/// An event at a second, by name: what a probe shows (`?` before it: the lifecycle asked for that probe), how a start
/// or stop ended, or a request.
fn event(name: &str, second: i64) -> Event {
    let asked = |action| {
        Event::Asked(Box::new(Asked {
            action,
            why: "mail hq-1".to_owned(),
            by: None,
            busy: None,
            stage: Stage::Due,
            seen: seen("alive", at(second)),
        }))
    };
    match name {
        "up" => Event::StartEnded(StartEnd::Up {
            session: session(1),
            took: Duration::from_secs(4),
            conversation: None,
        }),
        "no agent" => Event::StartEnded(StartEnd::NeverAppeared("60s".into())),
        "no program" => Event::StartEnded(StartEnd::NoProgram("no claude".into())),
        "stopped" => Event::StopEnded(StopEnd::Ended),
        "cleared" => Event::Cleared,
        "released" => Event::Released,
        "refused" => Event::StartEnded(StartEnd::Refused(spent())),
        "restart, please" => asked(Action::Restart),
        "stop, please" => asked(Action::Stop),
        what => match what.strip_prefix('?') {
            Some(what) => Event::Probed(seen(what, at(second))),
            None => Event::Seen(seen(what, at(second))),
        },
    }
}

/// Every event of a life that begins unseen: second, code, phases.
fn life(events: &[(i64, &str)]) -> Vec<String> {
    let mut it = Lifecycle::new(RestartHistory::default());
    let mut lines = Vec::new();
    for (second, name) in events {
        let from = Phase::of(&it);
        let step = step(&mut it, event(name, *second), at(*second));
        let to = Phase::of(&it);
        lines.extend(step.reasons.iter().map(|it| format!("{second} {} {from} → {to}", it.code())));
    }
    lines
}

#[test]
fn of_an_agent_that_is_killed_once() {
    let events = [(100, "alive"), (500, "gone"), (501, "?gone"), (505, "up"), (600, "alive")];
    assert_eq!(
        life(&events),
        [
            "100 adopted unknown → alive",
            "500 session_gone alive → confirming",
            "501 crashed confirming → starting",
            "501 starting confirming → starting",
            "505 started starting → alive",
        ]
    );
}

#[test]
fn of_one_whose_account_is_used_up() {
    let events = [
        (100, "alive"),
        (500, "alive+spent"),
        (600, "gone+spent+limited"),
        (601, "?gone+spent+limited"),
        (700, "?gone+spent"),
        (800, "gone"),
        (900, "released"),
        (901, "?gone"),
        (905, "up"),
    ];
    assert_eq!(
        life(&events),
        [
            "100 adopted unknown → alive",
            "600 session_gone alive → confirming",
            "601 usage_limit confirming → limited",
            "901 starting waiting → starting",
            "905 started starting → alive",
        ],
        "no crash, and no start before its turn"
    );
    let refused = life(&[(100, "gone"), (101, "refused"), (102, "?gone+spent")]);
    assert_eq!(refused, ["100 starting unknown → starting", "101 usage_limit starting → limited"]);
    let unseen = life(&[(100, "gone+spent")]);
    assert_eq!(unseen, ["100 usage_limit unknown → limited"]);
    let with_server = life(&[(100, "alive"), (500, "gone+spent+server"), (501, "?gone+spent+server")]);
    assert_eq!(with_server.last().unwrap(), "501 usage_limit confirming → limited", "whatever ended it");
}

#[test]
fn a_used_up_account_is_the_last_obstacle() {
    for (name, state, what, outcome) in [
        ("stopped by hand", "confirming, due, stopped", "gone+spent", "held"),
        ("without work", "confirming, due", "gone+spent+idle", "absent"),
        ("being removed", "confirming, due", "gone+spent+treeless", "confirming"),
        ("alive after all", "confirming, due", "alive+spent", "alive"),
        ("waits", "confirming, due", "gone+spent", "limited"),
        ("its backoff is over", "waiting, due", "gone+spent", "limited"),
        ("its hold is over", "held, due", "gone+spent", "limited"),
        ("its crash loop is over", "crash loop, due", "gone+spent", "limited"),
        ("held on request", "held on request", "gone+spent", "held"),
    ] {
        let mut it = given(state);
        let step = probe_again(&mut it, what, 100);
        let reached = match it.state() {
            State::Waiting { why: WaitsFor::Account(_), .. } => "limited",
            State::Held { .. } | State::HeldOnRequest { .. } => "held",
            State::Absent { .. } => "absent",
            State::Alive { .. } => "alive",
            State::Confirming { .. } => "confirming",
            other => panic!("{name}: {other:?}"),
        };
        assert_eq!(reached, outcome, "{name}");
        assert!(!died(&step), "{name}");
        assert_eq!(it.history().restart_count, 0, "{name}: nothing is counted");
    }
}

#[test]
fn of_one_that_dies_again_at_once() {
    let events = [
        (100, "gone"),
        (104, "up"),
        (110, "zombie"),
        (111, "?zombie"),
        (112, "up"),
        (115, "gone"),
        (116, "?gone"),
        (150, "?gone"),
        (154, "no agent"),
    ];
    assert_eq!(
        life(&events),
        [
            "100 starting unknown → starting",
            "104 started starting → alive",
            "110 agent_gone alive → confirming",
            "111 agent_missing confirming → starting",
            "111 starting confirming → starting",
            "112 started starting → alive",
            "115 session_gone alive → confirming",
            "116 crashed confirming → waiting",
            "116 backoff confirming → waiting",
            "150 starting waiting → starting",
            "154 start_failed starting → waiting",
            "154 backoff starting → waiting",
        ]
    );
}

#[test]
fn of_one_that_an_operator_stops_and_lets_go() {
    let events = [
        (100, "alive"),
        (200, "gone+stopped"),
        (201, "?gone+stopped"),
        (300, "gone+parked"),
        (400, "gone"),
        (404, "up"),
        (500, "stop, please"),
        (503, "stopped"),
        (510, "?gone"),
        (600, "cleared"),
        (600, "?gone+idle"),
    ];
    assert_eq!(
        life(&events),
        [
            "100 adopted unknown → alive",
            "200 session_gone alive → confirming",
            "201 stopped_by_hand confirming → held",
            "400 hold_over held → starting",
            "400 starting held → starting",
            "404 started starting → alive",
            "500 stop_requested alive → held",
            "503 stopped_on_request held → held",
            "503 request_carried_out held → held",
            "600 backoff_cleared held → waiting",
            "600 no_work waiting → absent",
        ]
    );
}

#[test]
fn of_one_that_nothing_can_be_found_out_about() {
    let events = [
        (100, "alive"),
        (200, "dark"),
        (210, "dark"),
        (220, "alive"),
        (300, "gone"),
        (301, "?gone+gate?"),
        (306, "?gone+gate?"),
        (310, "?gone+limited"),
        (320, "gone+parked"),
        (330, "gone"),
        (331, "no program"),
        (340, "restart, please"),
    ];
    assert_eq!(
        life(&events),
        [
            "100 adopted unknown → alive",
            "200 unclear alive → unknown",
            "220 observed_again unknown → alive",
            "300 session_gone alive → confirming",
            "301 unclear confirming → confirming",
            "310 usage_limit confirming → waiting",
            "320 rig_parked waiting → paused",
            "330 starting paused → starting",
            "331 start_postponed starting → waiting",
            "340 restart_requested waiting → starting",
            "340 starting waiting → starting",
        ]
    );
}

#[test]
fn a_clean_exit_is_started_again_and_not_counted() {
    for (case, created, starts_after) in [("after a long life", 0, 0), ("right after its start", 95, 30)] {
        let mut it = given("unseen");
        let born = SessionKey { id: "$1".into(), created: at(created).wall };
        let with = |what: &str, presence, second| Observation { presence, ..seen(what, at(second)) };
        let _ = step(&mut it, Event::Seen(with("alive", Presence::Alive(born.clone()), 96)), at(96));
        let gone = |second| with("zombie+left", Presence::Dead(born.clone()), second);
        let noticed = step(&mut it, Event::Seen(gone(100)), at(100));
        assert!(matches!(noticed.decision, Decision::ProbeAgain(_)), "{case}");
        let confirmed = step(&mut it, Event::Probed(gone(101)), at(101));
        assert_eq!(confirmed.reasons.iter().map(Reason::code).collect::<Vec<_>>(), ["clean_exit"], "{case}");
        assert!(!it.is_missed(), "{case}");
        let Decision::ProbeAgain(wait) = confirmed.decision else { panic!("{case}: {confirmed:?}") };
        assert_eq!(wait.as_secs(), starts_after, "{case}");
        let due = 102 + starts_after as i64;
        let started = step(&mut it, Event::Probed(gone(due)), at(due));
        let order = StartOrder { attempt: Attempt::Fresh, replace: None };
        assert_eq!(started.decision, Decision::Start(order), "{case}");
        assert_eq!(it.history(), &RestartHistory::default(), "{case}");
    }
}
