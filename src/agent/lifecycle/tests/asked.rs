//! Requests as grids: state × request × what is seen × the stage an earlier owner reached.

use super::*;
use crate::agent::requests::{self, Action, ByCommand, Stage};

fn ask(lifecycle: &mut Lifecycle, action: Action, stage: Stage, what: &str) -> Step {
    let why = "asked by mail hq-1".to_owned();
    let seen = seen(what, at(100));
    step(lifecycle, Event::Asked(Box::new(Asked { action, why, by: None, busy: None, stage, seen })), at(100))
}

fn anna(until: Option<i64>, when_idle: bool) -> ByCommand {
    let (command, user) = ("stop".to_owned(), Some("anna".to_owned()));
    ByCommand {
        uid: 1000,
        user,
        command,
        at: at(99).wall,
        until: until.map(|it| at(it).wall),
        when_idle,
        of_file: false,
    }
}

/// Anna's command, given right now; `busy`: what it is doing.
fn command(lifecycle: &mut Lifecycle, action: Action, by: ByCommand, busy: Option<&str>, what: &str) -> Step {
    let why = format!("requested ({by})");
    let busy = busy.map(|doing| Denial::Busy(doing.to_owned()));
    let (stage, seen) = (Stage::Due, seen(what, at(100)));
    step(lifecycle, Event::Asked(Box::new(Asked { action, why, by: Some(by), busy, stage, seen })), at(100))
}

/// The result of the request, if there is one yet.
fn came_to(step: &Step) -> Option<&Reason> {
    let outcome = |it: &&Reason| {
        matches!(it, Reason::RequestCarriedOut | Reason::RequestRefused(_) | Reason::RequestPostponed(_))
    };
    step.reasons.iter().find(outcome)
}

fn begun(n: Option<u32>) -> Stage {
    Stage::Begun { session: n.map(session) }
}

const ALL: [&str; 15] = [
    "unseen",
    "absent",
    "alive",
    "alive, said stopped",
    "confirming",
    "confirming, due",
    "confirming, due, never alive",
    "waiting",
    "waiting, due",
    "held",
    "held, was parked",
    "held on request",
    "held on request, hooked",
    "crash loop",
    "crash loop, due",
];

#[test]
fn requests_are_carried_out_in_any_state() {
    let outcomes = [
        ("gone", "starting, start on request", "held on request, leave"),
        ("alive", "starting, start on request, replacing", "stopping, stop $1"),
        ("young", "starting, start on request, replacing", "stopping, stop $1"),
        ("another", "starting, start on request, replacing", "stopping, stop $2"),
        // The start itself clears away the rest of an ended agent.
        ("zombie", "starting, start on request", "stopping, stop $1"),
    ];
    for state in ALL {
        for (what, restarted, stopped) in outcomes {
            for (action, expected) in [(Action::Restart, restarted), (Action::Stop, stopped)] {
                let mut lifecycle = given(state);
                let step = ask(&mut lifecycle, action, Stage::Due, what);
                assert_eq!(outcome(&lifecycle, &step), expected, "{state}, {what}, {action:?}");
                let done = (action, what) == (Action::Stop, "gone");
                assert_eq!(
                    came_to(&step),
                    done.then_some(&Reason::RequestCarriedOut),
                    "{state}, {what}, {action:?}"
                );
            }
        }
    }
}

#[test]
fn what_is_under_way_is_ended_first() {
    for state in ["starting", "stopping"] {
        for action in [Action::Restart, Action::Stop] {
            let mut lifecycle = given(state);
            let step = ask(&mut lifecycle, action, Stage::Due, "alive");
            assert_eq!(outcome(&lifecycle, &step), format!("{state}, leave"));
            assert_eq!(step.reasons, [], "{state}");
        }
    }
}

#[test]
fn not_allowed_or_not_known_changes_nothing() {
    for state in ALL {
        for action in [Action::Restart, Action::Stop] {
            for (what, refused) in
                [("alive+parked", true), ("gone+parked", true), ("alive+gate?", false), ("dark", false)]
            {
                let mut lifecycle = given(state);
                let step = ask(&mut lifecycle, action, Stage::Due, what);
                assert_eq!(lifecycle.state(), given(state).state(), "{state}, {what}, {action:?}");
                let right = match came_to(&step) {
                    Some(Reason::RequestRefused(why)) => refused && *why == parked(),
                    Some(Reason::RequestPostponed(_)) => !refused,
                    _ => false,
                };
                assert!(right, "{state}, {what}, {action:?}: {step:?}");
                assert_eq!((step.decision, step.reasons.len()), (Decision::Leave, 1), "{state}, {what}");
            }
        }
    }
}

#[test]
fn one_that_was_begun_is_gone_on_with_or_is_done() {
    let (restart, stop) = (Action::Restart, Action::Stop);
    for (name, action, stage, what, expected, done) in [
        ("not ended yet", restart, begun(Some(1)), "alive", "starting, start on request, replacing", false),
        ("ended, not started", restart, begun(Some(1)), "gone", "starting, start on request", false),
        ("started as well", restart, begun(Some(1)), "another", "alive, leave", true),
        ("its shell is left", restart, begun(Some(1)), "zombie", "starting, start on request", false),
        ("there was none, still none", restart, begun(None), "gone", "starting, start on request", false),
        ("there was none, started", restart, begun(None), "alive", "alive, leave", true),
        ("not ended yet", stop, begun(Some(1)), "alive", "stopping, stop $1", false),
        ("ended", stop, begun(Some(1)), "gone", "held on request, leave", true),
        ("ended, and somebody started it", stop, begun(Some(1)), "another", "alive, leave", true),
        ("a shell is left", stop, begun(Some(1)), "zombie", "stopping, stop $1", false),
    ] {
        let mut lifecycle = given("alive");
        let step = ask(&mut lifecycle, action, stage, what);
        assert_eq!(outcome(&lifecycle, &step), expected, "{name}, {action:?}");
        assert_eq!(came_to(&step), done.then_some(&Reason::RequestCarriedOut), "{name}, {action:?}");
    }
}

#[test]
fn a_fresh_start_ends_holds_backoffs_and_crash_loops_and_is_not_counted() {
    for state in ["held on request", "waiting", "crash loop"] {
        let mut lifecycle = given(state);
        let long_ago = Some(at(1).wall);
        lifecycle.history = RestartHistory {
            last_restart: long_ago,
            restart_count: 5,
            backoff_until: Some(at(900).wall),
            crash_loop_since: long_ago,
            recent: vec![at(1).wall; 5],
        };
        let _ = ask(&mut lifecycle, Action::Restart, Stage::Due, "gone");
        let afresh = RestartHistory { last_restart: long_ago, ..RestartHistory::default() };
        assert_eq!(lifecycle.history, afresh, "{state}");
        assert_eq!(lifecycle.hold(), None, "{state}");
    }
}

#[test]
fn how_a_stop_ends() {
    let refused = StopEnd::Refused(parked());
    for (end, expected, held) in [
        (StopEnd::Ended, "held on request, look in 0", true),
        (StopEnd::Gone, "held on request, look in 0", true),
        (refused, "alive, look in 0", false),
        (StopEnd::Unclear("tmux does not answer".into()), "alive, look in 0", false),
    ] {
        let mut lifecycle = given("stopping");
        let step = step(&mut lifecycle, Event::StopEnded(end.clone()), at(100));
        assert_eq!(outcome(&lifecycle, &step), expected, "{end:?}");
        assert_eq!(lifecycle.hold().is_some(), held, "{end:?}");
        assert_eq!(came_to(&step) == Some(&Reason::RequestCarriedOut), held, "{end:?}");
    }
    let mut lifecycle = given("alive");
    let late = step(&mut lifecycle, Event::StopEnded(StopEnd::Ended), at(100));
    assert_eq!(outcome(&lifecycle, &late), "alive, leave", "nobody asked for it");
}

#[test]
fn held_on_request_until_it_is_seen_again_or_let_go() {
    for what in ["gone", "zombie", "gone+parked", "gone+gate?", "dark", "gone+hooked", "gone+running"] {
        for second in [100, 100_000] {
            let mut lifecycle = given("held on request");
            let passing = probe(&mut lifecycle, what, second);
            let asked = probe_again(&mut lifecycle, what, second);
            for step in [passing, asked] {
                let outcome = outcome(&lifecycle, &step);
                assert!(outcome.starts_with("held on request"), "{what}: {outcome}");
                assert!(!matches!(step.decision, Decision::Start(_)), "{what}");
                assert!(lifecycle.hold().is_some(), "{what}");
            }
        }
    }
    for what in ["young", "another young"] {
        let mut lifecycle = given("held on request");
        let step = probe(&mut lifecycle, what, 100);
        assert_eq!(outcome(&lifecycle, &step), "held on request, look in 1", "{what}: perhaps no agent");
    }
    for what in ["alive", "another"] {
        let mut lifecycle = given("held on request");
        let step = probe(&mut lifecycle, what, 100);
        assert_eq!(outcome(&lifecycle, &step), "alive, leave", "{what}");
        assert_eq!(lifecycle.hold(), None, "{what}");
    }
    let mut lifecycle = given("held on request");
    lifecycle.history.restart_count = 1;
    let cleared = step(&mut lifecycle, Event::Remembered(RestartHistory::default()), at(100));
    assert_eq!(lifecycle.hold(), None, "cleared by hand");
    assert_eq!(outcome(&lifecycle, &cleared), "waiting, look in 0");
}

#[test]
fn other_work_ends_a_polecats_hold() {
    let bead = |id: &str| Hook::Bead(id.to_owned());
    for (name, state, hook, expected) in [
        ("the same work", "held on request, hooked", bead("gt-1"), "held on request"),
        ("other work", "held on request, hooked", bead("gt-2"), "absent"),
        ("no work any more", "held on request, hooked", Hook::Nothing, "absent"),
        ("known for the first time", "held on request", bead("gt-1"), "held on request"),
        ("not held", "alive", bead("gt-2"), "alive"),
    ] {
        let mut lifecycle = given(state);
        let step = step(&mut lifecycle, Event::Hook(hook.clone()), at(100));
        assert_eq!(outcome(&lifecycle, &step), format!("{expected}, leave"), "{name}");
        assert_eq!(lifecycle.hold().is_some(), expected == "held on request", "{name}");
        let learnt = self::hold(Some(hook));
        assert_eq!(lifecycle.hold() == Some(&learnt), expected == "held on request", "{name}");
    }
}

#[test]
fn a_hold_survives_its_owner() {
    let held = given("held on request, hooked");
    let before = Before { lifecycle: Some(held.clone()), ..Before::default() };
    let resumed = Lifecycle::resumed(RestartHistory::default(), before, at(200));
    assert_eq!(resumed.state(), held.state());
}

#[test]
fn only_a_life_that_is_idle_ends_and_it_is_not_held() {
    for state in ALL.into_iter().chain(["starting", "stopping"]) {
        for n in [1, 2] {
            let mut lifecycle = given(state);
            let event = Event::Idle { session: session(n), why: "idle for 15m and without work".to_owned() };
            let before = lifecycle.state().clone();
            let ended = step(&mut lifecycle, event, at(100));
            if state.starts_with("alive") && n == 1 {
                assert_eq!(outcome(&lifecycle, &ended), "stopping, stop $1", "{state}");
                assert!(!lifecycle.is_missed() && lifecycle.hold().is_none(), "{state}");
            } else {
                assert_eq!((lifecycle.state(), &ended.decision), (&before, &Decision::Leave), "{state} {n}");
            }
        }
    }
    for (end, expected) in [
        (StopEnd::Ended, "absent"),
        (StopEnd::Gone, "absent"),
        (StopEnd::Refused(Denial::EmergencyStop), "alive"),
        (StopEnd::Unclear("tmux does not answer".to_owned()), "alive"),
    ] {
        let mut lifecycle = given("alive");
        let event = Event::Idle { session: session(1), why: "idle".to_owned() };
        let _ = step(&mut lifecycle, event, at(100));
        let ended = step(&mut lifecycle, Event::StopEnded(end.clone()), at(102));
        assert!(outcome(&lifecycle, &ended).starts_with(expected), "{end:?}: {ended:?}");
        assert_eq!(lifecycle.is_missed(), expected == "alive", "{end:?}");
    }
}

#[test]
fn commands_are_carried_out_in_any_state() {
    for state in ALL {
        for (action, what, expected) in [
            (Action::Restart, "alive", "starting, start on request, replacing"),
            (Action::Restart, "gone", "starting, start on request"),
            (Action::Stop, "alive", "stopping, stop $1"),
            (Action::Stop, "gone", "held on request, leave"),
            (Action::Start, "gone", "starting, start on request"),
            (Action::Start, "zombie", "starting, start on request"),
        ] {
            let mut lifecycle = given(state);
            let step = command(&mut lifecycle, action, anna(None, false), None, what);
            assert_eq!(outcome(&lifecycle, &step), expected, "{state}, {what}, {action:?}");
        }
        let mut lifecycle = given(state);
        let step = command(&mut lifecycle, Action::Start, anna(None, false), None, "alive");
        assert_eq!(
            (came_to(&step), &step.decision),
            (Some(&Reason::RequestCarriedOut), &Decision::Leave),
            "{state}"
        );
    }
}

#[test]
fn what_is_not_idle_is_not_ended_by_a_command_that_waits_for_that() {
    let busy = Some("it is working");
    for (action, what, refused) in [
        (Action::Restart, "alive", true),
        (Action::Restart, "young", true),
        (Action::Restart, "gone", false),
        (Action::Restart, "zombie", false),
        (Action::Stop, "alive", true),
        (Action::Stop, "gone", false),
        (Action::Start, "alive", false),
    ] {
        let mut lifecycle = given("alive");
        let step = command(&mut lifecycle, action, anna(None, true), busy, what);
        let denied = Reason::RequestRefused(Denial::Busy("it is working".into()));
        assert_eq!(came_to(&step) == Some(&denied), refused, "{action:?}, {what}: {step:?}");
        if refused {
            assert_eq!(lifecycle.state(), given("alive").state(), "{action:?}, {what}");
        }
    }
    // It is asked again right before.
    let mut lifecycle = given("alive");
    let restart = command(&mut lifecycle, Action::Restart, anna(None, true), None, "alive");
    let Decision::Start(StartOrder { replace: Some(replace), .. }) = restart.decision else {
        panic!("{restart:?}")
    };
    assert_eq!(replace.because, Because::ByCommand { when_idle: true });
    let mut lifecycle = given("alive");
    let stop = command(&mut lifecycle, Action::Stop, anna(None, true), None, "alive");
    assert_eq!(stop.decision, Decision::Stop(StopOrder { session: session(1), when_idle: true }));
}

#[test]
fn an_account_that_is_used_up_is_an_answer_to_a_command_and_a_stop_does_not_mind() {
    for (action, expected) in
        [(Action::Restart, "refused"), (Action::Start, "refused"), (Action::Stop, "carried out")]
    {
        let mut lifecycle = given("absent");
        let (now, denial) = (at(100), Denial::UsageLimit { until: None, text: "5h".into() });
        let seen = Observation { permission: Permission::Denied(denial), ..seen("gone", now) };
        let (why, by, stage) = ("requested".to_owned(), Some(anna(None, false)), Stage::Due);
        let event = Event::Asked(Box::new(Asked { action, why, by, busy: None, stage, seen }));
        let step = step(&mut lifecycle, event, now);
        let came_to = match came_to(&step) {
            Some(Reason::RequestRefused(_)) => "refused",
            Some(Reason::RequestCarriedOut) => "carried out",
            _ => "-",
        };
        assert_eq!(came_to, expected, "{action:?}");
    }
}

#[test]
fn a_hold_for_a_time_ends_then_and_not_before() {
    let held = || {
        let mut lifecycle = given("alive");
        let stop = command(&mut lifecycle, Action::Stop, anna(Some(7_300), false), None, "alive");
        assert_eq!(outcome(&lifecycle, &stop), "stopping, stop $1");
        let ended = step(&mut lifecycle, Event::StopEnded(StopEnd::Ended), at(101));
        assert_eq!(outcome(&lifecycle, &ended), "held on request, look in 0");
        lifecycle
    };
    let hold = held().hold().cloned().unwrap();
    assert_eq!((hold.by.as_deref(), hold.until), (Some("anna"), Some(at(7_300).wall)));
    let mut asleep = given("absent");
    let stop = command(&mut asleep, Action::Stop, anna(Some(7_300), false), None, "gone");
    assert_eq!(outcome(&asleep, &stop), "held on request, look in 0", "its end is awaited");
    for (second, what, expected) in [
        (102, "gone", "held on request, look in 7198"),
        (7_299, "gone", "held on request, look in 1"),
        (7_299, "gone+parked", "held on request, look in 1"),
        (7_300, "gone", "starting, hold over"),
        (9_000, "gone", "starting, hold over"),
        (7_300, "gone+parked", "absent, leave"),
        (7_300, "gone+gate?", "held on request, look in 5"),
        (7_300, "dark", "held on request, look in 5"),
        (200, "alive", "alive, leave"),
    ] {
        let mut lifecycle = held();
        let step = probe_again(&mut lifecycle, what, second);
        assert_eq!(outcome(&lifecycle, &step), expected, "{second}, {what}");
    }
    // In passing it changes nothing before its time.
    let mut lifecycle = held();
    let passing = probe(&mut lifecycle, "gone", 200);
    assert_eq!(outcome(&lifecycle, &passing), "held on request, leave");
    // A clock that is set back makes it no longer than was asked for.
    let mut early = held();
    let now = Now { wall: at(0).wall, ..at(200) };
    let observation = Observation { begun: now, noticed: now, ..seen("gone", at(200)) };
    let _ = step(&mut early, Event::Probed(observation), now);
    assert!(early.hold().unwrap().until <= Some(at(7_250).wall), "{:?}", early.hold());
}

#[test]
fn other_work_does_not_end_an_operators_hold() {
    let mut lifecycle = given("alive");
    let _ = command(&mut lifecycle, Action::Stop, anna(None, false), None, "gone");
    for bead in ["gt-1", "gt-2"] {
        let step = step(&mut lifecycle, Event::Hook(Hook::Bead(bead.to_owned())), at(110));
        assert_eq!(outcome(&lifecycle, &step), "held on request, leave", "{bead}");
    }
}

#[test]
fn the_end_of_the_whole_town_is_no_hold_of_an_operator() {
    let down = || ByCommand { command: requests::DOWN.to_owned(), ..anna(None, false) };
    for (state, what, is_down) in [
        ("alive", "alive", true),
        ("absent", "gone", true),
        ("crash loop", "gone", true),
        ("held on request", "gone", false),
    ] {
        let mut lifecycle = given(state);
        let before = lifecycle.hold().cloned();
        let _ = command(&mut lifecycle, Action::Stop, down(), None, what);
        let hold = lifecycle.hold().unwrap_or_else(|| panic!("{state}"));
        assert_eq!(hold.down, is_down, "{state}");
        assert!(is_down || before.as_ref() == Some(hold), "it stays as somebody wanted it: {state}");
    }
    let mut lifecycle = given("alive");
    let _ = command(&mut lifecycle, Action::Stop, anna(None, false), None, "alive");
    assert!(!lifecycle.hold().unwrap().down);
}

#[test]
fn the_file_that_no_longer_has_an_agent_does_not_take_the_hold_of_who_stopped_it() {
    let file = || ByCommand { user: Some("agents.toml".to_owned()), of_file: true, ..anna(None, false) };
    for (state, what, is_kept) in
        [("alive", "alive", false), ("absent", "gone", false), ("held on request", "gone", true)]
    {
        let mut lifecycle = given(state);
        let before = lifecycle.hold().cloned();
        let stopped = command(&mut lifecycle, Action::Stop, file(), None, what);
        assert_eq!(came_to(&stopped).is_some(), what == "gone", "{state}");
        let hold = lifecycle.hold().unwrap_or_else(|| panic!("{state}"));
        assert_eq!(before.as_ref() == Some(hold), is_kept, "{state}");
        assert_eq!(hold.by.as_deref() == Some("agents.toml"), !is_kept, "{state}");
    }
    let mut lifecycle = given("absent");
    let down = ByCommand { command: requests::DOWN.to_owned(), ..anna(None, false) };
    let _ = command(&mut lifecycle, Action::Stop, down, None, "gone");
    let _ = command(&mut lifecycle, Action::Stop, file(), None, "gone");
    assert!(!lifecycle.hold().unwrap().down, "that all were ended is nobody's wish for this one");
}
