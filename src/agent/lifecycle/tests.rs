//! The lifecycle as grids: state × what was seen, and the ways a start ends.

use super::*;
use crate::town::settings::Restart as Policy;

const T0: i64 = 1_800_000_000;

fn at(seconds: i64) -> Now {
    Now {
        mono: Duration::from_secs(10_000 + seconds as u64),
        wall: Timestamp::from_second(T0 + seconds).unwrap(),
    }
}

fn session(n: u32) -> SessionKey {
    SessionKey { id: format!("${n}"), created: at(0).wall }
}

/// An observation by name.
fn seen(what: &str, now: Now) -> Observation {
    let sighting = match what.split('+').next().unwrap() {
        "alive" => Sighting::Alive(session(1)),
        "another" => Sighting::Alive(session(2)),
        "young" => Sighting::Starting(session(1)),
        "gone" => Sighting::Absent,
        "zombie" => Sighting::Dead(session(1)),
        "dark" => Sighting::Unknown("tmux does not answer".into()),
        other => panic!("{other}"),
    };
    let permission = match what {
        _ if what.contains("+parked") => Permission::Denied("rig is parked".into()),
        _ if what.contains("+gate?") => Permission::Unknown("the wisp file is broken".into()),
        _ => Permission::Allowed,
    };
    let state_file = match what {
        _ if what.contains("+stopped") => StateFile::Stopped,
        _ if what.contains("+running") => StateFile::Running,
        _ => StateFile::Silent,
    };
    Observation { begun: now, sighting, permission, state_file }
}

fn step(lifecycle: &mut Lifecycle, event: Event, now: Now) -> Step {
    let policy = Policy::default();
    lifecycle.apply(event, Surroundings { now, policy: &policy, confirm: policy.confirm, jitter: 0.0 })
}

fn look(lifecycle: &mut Lifecycle, what: &str, second: i64) -> Step {
    step(lifecycle, Event::Seen(seen(what, at(second))), at(second))
}

fn look_again(lifecycle: &mut Lifecycle, what: &str, second: i64) -> Step {
    step(lifecycle, Event::Looked(seen(what, at(second))), at(second))
}

/// A lifecycle in the named state at second 100.
fn given(state: &str) -> Lifecycle {
    let mut it = Lifecycle::new(RestartHistory::default());
    let life = Life { session: session(1), said_stopped: false };
    let confirming =
        |before| State::Confirming { noticed: at(99), due: at(100), what: "session is gone".into(), before };
    it.state = match state {
        "unseen" => State::Unseen,
        "absent" => State::Absent { why: "rig is parked".into() },
        "starting" => {
            State::Starting { since: at(90), order: StartOrder { attempt: Attempt::Fresh, replace: None } }
        }
        "alive" => State::Alive { since: at(1), session: session(1), said_stopped: false },
        "alive, said stopped" => State::Alive { since: at(1), session: session(1), said_stopped: true },
        "confirming" => State::Confirming {
            noticed: at(100),
            due: at(101),
            what: "session is gone".into(),
            before: Some(life),
        },
        "confirming, due" => confirming(Some(life)),
        "confirming, due, said stopped" => confirming(Some(Life { said_stopped: true, ..life })),
        "confirming, due, never alive" => confirming(None),
        "waiting" => State::Waiting { until: at(130).wall, counted: true, why: "restart 2 waits".into() },
        "waiting, due" => {
            State::Waiting { until: at(100).wall, counted: true, why: "restart 2 waits".into() }
        }
        "held" => State::Held { until: at(700).wall, gate_closed: false },
        "held, was parked" => State::Held { until: at(700).wall, gate_closed: true },
        "held, due" => State::Held { until: at(100).wall, gate_closed: false },
        "crash loop" => State::CrashLoop { trial_at: at(1900).wall },
        "crash loop, due" => State::CrashLoop { trial_at: at(100).wall },
        other => panic!("{other}"),
    };
    it
}

/// What came out, in two words.
fn outcome(lifecycle: &Lifecycle, step: &Step) -> String {
    let state = match lifecycle.state() {
        State::Unseen => "unseen",
        State::Absent { .. } => "absent",
        State::Starting { .. } => "starting",
        State::Alive { .. } => "alive",
        State::Confirming { .. } => "confirming",
        State::Waiting { .. } => "waiting",
        State::Held { .. } => "held",
        State::CrashLoop { .. } => "crash loop",
    };
    let decision = match &step.decision {
        Decision::Leave => "leave".to_owned(),
        Decision::LookAgain(after) => format!("look in {}", after.as_secs()),
        Decision::Start(order) => match order.attempt {
            Attempt::Fresh => "start".to_owned(),
            Attempt::Restart(n) => format!("restart {n}"),
            Attempt::Trial => "trial".to_owned(),
        },
    };
    format!("{state}, {decision}")
}

#[test]
fn seen_in_passing() {
    let grid: &[(&str, &[(&str, &str)])] = &[
        (
            "unseen",
            &[
                ("alive", "alive, leave"),
                ("young", "alive, leave"),
                ("gone", "starting, start"),
                ("gone+stopped", "starting, start"),
                ("gone+parked", "absent, leave"),
                ("gone+gate?", "unseen, leave"),
                ("zombie", "confirming, look in 1"),
                ("zombie+parked", "absent, leave"),
                ("zombie+gate?", "unseen, leave"),
                ("dark", "unseen, leave"),
                ("alive+parked", "alive, leave"),
            ],
        ),
        (
            "absent",
            &[
                ("alive", "alive, leave"),
                ("gone", "starting, start"),
                ("gone+parked", "absent, leave"),
                ("gone+gate?", "absent, leave"),
                ("zombie", "confirming, look in 1"),
                ("zombie+parked", "absent, leave"),
                ("dark", "absent, leave"),
            ],
        ),
        (
            "starting",
            &[
                ("alive", "starting, leave"),
                ("gone", "starting, leave"),
                ("zombie", "starting, leave"),
                ("gone+parked", "starting, leave"),
                ("dark", "starting, leave"),
            ],
        ),
        (
            "alive",
            &[
                ("alive", "alive, leave"),
                ("another", "alive, leave"),
                ("alive+parked", "alive, leave"),
                ("gone", "confirming, look in 1"),
                ("gone+parked", "confirming, look in 1"),
                ("gone+stopped", "confirming, look in 1"),
                ("zombie", "confirming, look in 1"),
                ("dark", "alive, leave"),
            ],
        ),
        (
            "confirming",
            &[
                ("alive", "alive, leave"),
                ("another", "alive, leave"),
                ("young", "alive, leave"),
                ("gone", "confirming, leave"),
                ("zombie", "confirming, leave"),
                ("gone+stopped", "confirming, leave"),
                ("dark", "confirming, leave"),
            ],
        ),
        (
            "confirming, due",
            &[
                // A sweep is no second look: it only asks for one.
                ("gone", "confirming, look in 0"),
                ("zombie", "confirming, look in 0"),
                ("alive", "alive, leave"),
                ("dark", "confirming, leave"),
            ],
        ),
        (
            "waiting",
            &[
                ("alive", "alive, leave"),
                ("gone", "waiting, leave"),
                ("zombie", "waiting, leave"),
                ("gone+parked", "absent, leave"),
                ("gone+gate?", "waiting, leave"),
                ("dark", "waiting, leave"),
            ],
        ),
        ("waiting, due", &[("gone", "starting, restart 1"), ("gone+gate?", "waiting, leave")]),
        (
            "held",
            &[
                ("alive", "alive, leave"),
                ("gone+stopped", "held, leave"),
                ("gone", "held, leave"),
                ("gone+parked", "held, leave"),
                ("gone+running", "starting, start"),
                ("gone+gate?", "held, leave"),
                ("dark", "held, leave"),
            ],
        ),
        (
            "held, was parked",
            &[
                ("gone+stopped", "starting, start"),
                ("gone+stopped+parked", "held, leave"),
                ("gone+stopped+gate?", "held, leave"),
            ],
        ),
        ("held, due", &[("gone+stopped", "starting, start"), ("gone+parked", "held, leave")]),
        (
            "crash loop",
            &[
                ("alive", "alive, leave"),
                ("gone", "crash loop, leave"),
                ("gone+parked", "absent, leave"),
                ("gone+gate?", "crash loop, leave"),
                ("dark", "crash loop, leave"),
            ],
        ),
        ("crash loop, due", &[("gone", "starting, trial")]),
    ];
    for (state, rows) in grid {
        for (what, expected) in *rows {
            let mut lifecycle = given(state);
            let step = look(&mut lifecycle, what, 100);
            assert_eq!(outcome(&lifecycle, &step), *expected, "{state}, seen {what}");
        }
    }
}

#[test]
fn looked_at_because_it_fell_due() {
    let grid: &[(&str, &[(&str, &str)])] = &[
        (
            "confirming, due",
            &[
                ("gone", "starting, restart 1"),
                ("gone+running", "starting, restart 1"),
                ("zombie", "starting, restart 1"),
                ("gone+stopped", "held, look in 600"),
                ("zombie+stopped", "held, look in 600"),
                ("gone+parked", "absent, leave"),
                ("gone+gate?", "confirming, look in 5"),
                ("dark", "confirming, look in 5"),
                ("alive", "alive, leave"),
                ("another", "alive, leave"),
                ("young", "alive, leave"),
            ],
        ),
        ("confirming, due, said stopped", &[("gone+stopped", "starting, restart 1")]),
        (
            "confirming, due, never alive",
            &[
                ("zombie", "starting, start"),
                ("gone+stopped", "starting, start"),
                ("zombie+parked", "absent, leave"),
            ],
        ),
        (
            "waiting, due",
            &[
                ("gone", "starting, restart 1"),
                ("gone+gate?", "waiting, look in 5"),
                ("dark", "waiting, look in 5"),
                ("gone+parked", "absent, leave"),
            ],
        ),
        ("waiting", &[("gone", "waiting, look in 30")]),
        ("held", &[("gone+stopped", "held, look in 600"), ("dark", "held, look in 5")]),
        ("held, due", &[("gone+stopped", "starting, start")]),
        ("crash loop, due", &[("gone", "starting, trial"), ("dark", "crash loop, look in 5")]),
    ];
    for (state, rows) in grid {
        for (what, expected) in *rows {
            let mut lifecycle = given(state);
            let step = look_again(&mut lifecycle, what, 100);
            assert_eq!(outcome(&lifecycle, &step), *expected, "{state}, looked at, {what}");
        }
    }
}

#[test]
fn how_a_start_ends() {
    let up = StartEnd::Up { session: session(3), took: Duration::from_secs(4) };
    for (name, end, expected) in [
        ("up", up, "alive, leave"),
        ("found", StartEnd::Found(session(3)), "alive, leave"),
        ("refused", StartEnd::Refused("rig is parked".into()), "absent, leave"),
        ("unclear", StartEnd::Unclear("tmux".into()), "waiting, look in 30"),
        ("impossible", StartEnd::Impossible("no program".into()), "waiting, look in 30"),
        ("never appeared", StartEnd::NeverAppeared("60 s".into()), "starting, restart 1"),
        ("ended", StartEnd::Ended(session(3)), "confirming, look in 1"),
    ] {
        let mut lifecycle = given("starting");
        let step = step(&mut lifecycle, Event::StartEnded(end.clone()), at(100));
        assert_eq!(outcome(&lifecycle, &step), expected, "{name}");
        let mut elsewhere = given("alive");
        let late = super::tests::step(&mut elsewhere, Event::StartEnded(end), at(100));
        assert_eq!(outcome(&elsewhere, &late), "alive, leave", "{name}, overtaken");
    }
}

#[test]
fn what_was_seen_before_a_start_ended_is_about_another_world() {
    let mut lifecycle = given("starting");
    let up = StartEnd::Up { session: session(3), took: Duration::from_secs(4) };
    let _ = step(&mut lifecycle, Event::StartEnded(up), at(100));
    let before = Event::Seen(seen("gone", at(99)));
    let stale = step(&mut lifecycle, before, at(101));
    assert_eq!(outcome(&lifecycle, &stale), "alive, leave");
    let fresh = look(&mut lifecycle, "gone", 101);
    assert_eq!(outcome(&lifecycle, &fresh), "confirming, look in 1");
}

#[test]
fn only_a_live_agent_is_replaced_and_only_when_it_may_start() {
    let replace = |permission| Event::Replace {
        why: "its heartbeat is 31m0s old".into(),
        heartbeat: at(0).wall,
        permission,
    };
    for (state, permission, expected) in [
        ("alive", Permission::Allowed, "starting, restart 1"),
        ("alive", Permission::Denied("paused".into()), "alive, leave"),
        ("alive", Permission::Unknown("?".into()), "alive, leave"),
        ("starting", Permission::Allowed, "starting, leave"),
        ("confirming", Permission::Allowed, "confirming, leave"),
        ("waiting", Permission::Allowed, "waiting, leave"),
        ("held", Permission::Allowed, "held, leave"),
        ("unseen", Permission::Allowed, "unseen, leave"),
    ] {
        let mut lifecycle = given(state);
        let step = step(&mut lifecycle, replace(permission.clone()), at(100));
        assert_eq!(outcome(&lifecycle, &step), expected, "{state} {permission:?}");
        if let Decision::Start(order) = step.decision {
            assert_eq!(order.replace.map(|it| it.session), Some(session(1)), "exactly this incarnation");
        }
    }
    // Restarted a moment ago: it stays alive until the delay is over.
    let mut lifecycle = given("alive");
    restart::restarted(&mut lifecycle.history, at(50).wall, &Policy::default());
    let first = step(&mut lifecycle, replace(Permission::Allowed), at(100));
    assert_eq!(outcome(&lifecycle, &first), "alive, leave");
    let later = step(&mut lifecycle, replace(Permission::Allowed), at(131));
    assert_eq!(outcome(&lifecycle, &later), "starting, restart 2");
}

#[test]
fn dying_again_and_again_ends_in_a_crash_loop_that_is_told_once_and_tried_again() {
    let mut lifecycle = given("alive");
    let (mut now, mut told, mut restarts) = (100, 0, 0);
    for _ in 0..200 {
        // It dies a second after each start; whatever is asked for is done.
        let step = match lifecycle.state() {
            State::Alive { .. } => look(&mut lifecycle, "gone", now),
            State::Starting { .. } => {
                let session = SessionKey { id: format!("${now}"), created: at(now).wall };
                let up = StartEnd::Up { session, took: Duration::ZERO };
                step(&mut lifecycle, Event::StartEnded(up), at(now))
            }
            _ => look_again(&mut lifecycle, "gone", now),
        };
        told += step.notices.iter().filter(|notice| matches!(notice, Notice::CrashLoop { .. })).count();
        match step.decision {
            Decision::Start(_) => restarts += 1,
            Decision::LookAgain(after) => now += i64::try_from(after.as_secs()).unwrap() + 1,
            Decision::Leave => now += 1,
        }
        if now > 100 + 4 * 1800 {
            break;
        }
    }
    assert_eq!(told, 1, "told once");
    assert!((8..=9).contains(&restarts), "5 restarts, then a trial every half hour: {restarts}");
}

#[test]
fn a_changed_restart_state_ends_waiting_and_crash_loops() {
    for state in ["waiting", "crash loop"] {
        let mut lifecycle = given(state);
        lifecycle.history.restart_count = 5;
        let cleared = step(&mut lifecycle, Event::Remembered(RestartHistory::default()), at(100));
        assert_eq!(outcome(&lifecycle, &cleared), "waiting, look in 0", "{state}");
        let then = look_again(&mut lifecycle, "gone", 100);
        assert_eq!(outcome(&lifecycle, &then), "starting, start", "{state}");
    }
    let mut lifecycle = given("alive");
    let history = RestartHistory { restart_count: 3, ..RestartHistory::default() };
    let step = step(&mut lifecycle, Event::Remembered(history.clone()), at(100));
    assert_eq!(outcome(&lifecycle, &step), "alive, leave");
    assert_eq!(*lifecycle.history(), history);
}

#[test]
fn a_backoff_in_the_file_is_kept_to_by_the_next_supervisor() {
    let until = at(150).wall;
    let history = RestartHistory { backoff_until: Some(until), ..RestartHistory::default() };
    let mut lifecycle = Lifecycle::new(history);
    let first = look(&mut lifecycle, "gone", 100);
    assert_eq!(outcome(&lifecycle, &first), "waiting, look in 50");
    let then = look_again(&mut lifecycle, "gone", 151);
    assert_eq!(outcome(&lifecycle, &then), "starting, start", "and it is not counted");
}

#[test]
fn what_the_file_says_of_a_life_is_known_a_moment_after_it_began() {
    // `gt witness restart` writes `stopped`, starts the session, and writes `running` 55 ms later.
    let mut lifecycle = given("confirming");
    let back = look(&mut lifecycle, "another+stopped", 100);
    assert_eq!(outcome(&lifecycle, &back), "alive, look in 1");
    let then = look_again(&mut lifecycle, "another+running", 101);
    assert_eq!(outcome(&lifecycle, &then), "alive, leave");
    let _ = look(&mut lifecycle, "gone+stopped", 200);
    let stopped = look_again(&mut lifecycle, "gone+stopped", 201);
    assert_eq!(outcome(&lifecycle, &stopped), "held, look in 600");
}
