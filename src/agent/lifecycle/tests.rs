//! The lifecycle as grids: state × what was seen, and the ways a start ends.

use super::*;
use crate::{
    agent::{
        confirmation::{Assignment, AtWork, Permission, Worktree},
        denial::{Denial, NotStarted, Unwanted},
        holds::Hold,
        oom::OomKill,
        reason::{Cause, CrashLoop, Missing},
    },
    ledger::snapshot::Hook,
    operator::rules::{Effect, Operation},
    sessions::death::{Death, Sign},
    town::{
        identity::{Identity, Wanted},
        settings::Restart as Policy,
        wisp::Closed,
    },
};

mod again;
mod asked;
mod lives;
mod phases;

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

fn parked() -> Denial {
    Denial::Rig(Closed::Parked)
}

const OOM_KILL: OomKill = OomKill { kills: 1, limit: None, is_its_own: false };
/// Its account is used up.
fn spent() -> Denial {
    Denial::UsageLimit { until: Some(at(5000).wall), text: "limited until 10:00".into() }
}

/// The end of session 1, as the kernel reports it.
fn death(noticed: Now) -> Death {
    Death {
        session: "gt-r-witness".into(),
        id: "$1".into(),
        noticed,
        exit: Some(137),
        with_server: false,
        sign: Sign::Process,
        panes: Vec::new(),
    }
}

/// An observation by name.
fn seen(what: &str, now: Now) -> Observation {
    let presence = match what.split('+').next().unwrap() {
        "alive" => Presence::Alive(session(1)),
        "another" => Presence::Alive(session(2)),
        "young" => Presence::Starting(session(1)),
        "another young" => Presence::Starting(session(2)),
        "gone" => Presence::Absent,
        "zombie" => Presence::Dead(session(1)),
        "dark" => Presence::Unknown("tmux does not answer".into()),
        other => panic!("{other}"),
    };
    let permission = match what {
        _ if what.contains("+parked") => Permission::Denied(parked()),
        _ if what.contains("+spent") => Permission::Denied(spent()),
        _ if what.contains("+gate?") => Permission::Unknown("the wisp file is broken".into()),
        _ => Permission::Allowed,
    };
    let state_file = match what {
        _ if what.contains("+stopped") => StateFile::Stopped,
        _ if what.contains("+running") => StateFile::Running,
        _ => StateFile::Silent,
    };
    let assignment = match what {
        _ if what.contains("+hooked") => Assignment::Hooked { hook: "gt-1".into() },
        _ if what.contains("+idle") => Assignment::None(Unwanted::NoWork),
        _ if what.contains("+bead?") => Assignment::Unknown("bd".into()),
        _ if what.contains("+unasked") => Assignment::NotAsked,
        _ => Assignment::Permanent,
    };
    let running: Vec<Operation> = what.contains("+sling").then(sling).into_iter().collect();
    let at_work = Ok(AtWork { recent: running.clone(), running });
    let worktree = if what.contains("+treeless") { Worktree::Gone } else { Worktree::There };
    let usage_limit = what.contains("+limited").then(|| "limit reached".to_owned());
    let noticed = now;
    Observation {
        begun: now,
        noticed,
        death: what.contains("+server").then(|| Death { with_server: true, ..death(now) }),
        presence,
        permission,
        state_file,
        at_work,
        assignment,
        worktree,
        usage_limit,
        question: what.contains("+asked").then(|| "Trust it?".to_owned()),
        left_to_respawn: what.contains("+left"),
        exit: None,
        oom_kill: what.contains("+oom").then_some(OOM_KILL),
    }
}

/// A running `gt sling`.
fn sling() -> Operation {
    Operation {
        pid: 7,
        born: 1,
        ancestors: Vec::new(),
        effect: Effect::Changes,
        line: "gt sling gt-1 r".into(),
        arguments: vec!["sling".into(), "gt-1".into(), "r".into()],
    }
}

fn step(lifecycle: &mut Lifecycle, event: Event, now: Now) -> Step {
    paced_step(lifecycle, event, now, Duration::ZERO)
}

fn paced_step(lifecycle: &mut Lifecycle, event: Event, now: Now, pace: Duration) -> Step {
    let policy = Policy::default();
    let around = Surroundings {
        now,
        identity: &Identity::Witness("r".parse().unwrap()),
        wanted: Wanted::Always,
        restart: None,
        policy: &policy,
        confirm: policy.confirm,
        is_respawned: true,
        retry_limited: Duration::from_secs(900),
        account: None,
        pace,
        jitter: 0.0,
    };
    lifecycle.apply(event, around)
}

fn died(step: &Step) -> bool {
    step.reasons.iter().any(|reason| matches!(reason, Reason::Died(_)))
}

fn probe(lifecycle: &mut Lifecycle, what: &str, second: i64) -> Step {
    step(lifecycle, Event::Seen(seen(what, at(second))), at(second))
}

fn probe_again(lifecycle: &mut Lifecycle, what: &str, second: i64) -> Step {
    step(lifecycle, Event::Probed(seen(what, at(second))), at(second))
}

/// Stopped on request, with this on its hook.
fn hold(hook: Option<Hook>) -> Hold {
    Hold {
        since: at(50).wall,
        why: "stop requested (mail hq-1)".into(),
        by: None,
        until: None,
        down: false,
        hook,
    }
}

/// A lifecycle in the named state at second 100.
fn given(state: &str) -> Lifecycle {
    let mut it = Lifecycle::new(RestartHistory::default());
    let life = Life { session: session(1), said_stopped: false, involved: Vec::new() };
    let suspected = |before, involved| State::Confirming {
        noticed: at(99),
        due: at(100),
        what: Missing::Session,
        held_up: None,
        before,
        involved,
    };
    let confirming = |before| suspected(before, Vec::new());
    let waiting = |second, counted| State::Waiting {
        until: at(second).wall,
        counted,
        paced: false,
        why: WaitsFor::Backoff(2),
    };
    let held = |second, gate_closed| State::Held {
        until: at(second).wall,
        why: "`gt deacon stop`".into(),
        since: HeldSince { gate_closed, not_running: true },
    };
    it.state = match state {
        "unseen" => State::Unseen,
        "absent" => State::Absent { why: NotStarted::Denied(parked()) },
        "unneeded" => State::Absent { why: NotStarted::Unwanted(Unwanted::NoWork) },
        "starting" => {
            State::Starting { since: at(90), order: StartOrder { attempt: Attempt::Fresh, replace: None } }
        }
        "alive" => State::Alive { since: at(1), session: session(1), said_stopped: false },
        "alive, said stopped" => State::Alive { since: at(1), session: session(1), said_stopped: true },
        "confirming" => State::Confirming {
            noticed: at(100),
            due: at(101),
            what: Missing::Session,
            held_up: None,
            before: Some(life),
            involved: Vec::new(),
        },
        "confirming, due" => confirming(Some(life)),
        "confirming, due, sling at work" => suspected(Some(life), vec![sling()]),
        "confirming, due, stopped" => {
            let arguments = ["witness", "stop", "r"].map(str::to_owned).to_vec();
            let line = "gt witness stop r".into();
            let stop = Operation { effect: Effect::Stops, line, arguments, ..sling() };
            suspected(Some(life), vec![stop])
        }
        "confirming, due, said stopped" => confirming(Some(Life { said_stopped: true, ..life })),
        "confirming, due, never alive" => confirming(None),
        "confirming, due, seen by the last supervisor" => {
            it.missed = true;
            confirming(None)
        }
        "waiting" => waiting(130, true),
        "waiting, due" => waiting(100, true),
        "held" => held(700, false),
        "held, was parked" => held(700, true),
        "held, due" => held(100, false),
        "held, said running all along" => {
            State::Held { until: at(700).wall, why: "`gt shutdown`".into(), since: HeldSince::default() }
        }
        "stopping" => State::Stopping { session: session(1), hold: Some(hold(None)) },
        "held on request" => State::HeldOnRequest { hold: hold(None) },
        "held on request, hooked" => State::HeldOnRequest { hold: hold(Some(Hook::Bead("gt-1".into()))) },
        "crash loop" => State::CrashLoop { trial_at: at(1900).wall },
        "crash loop, due" => State::CrashLoop { trial_at: at(100).wall },
        other => panic!("{other}"),
    };
    it
}

/// The result, in two words.
fn outcome(lifecycle: &Lifecycle, step: &Step) -> String {
    let state = match lifecycle.state() {
        State::Unseen => "unseen",
        State::Absent { .. } => "absent",
        State::Starting { .. } => "starting",
        State::Alive { .. } => "alive",
        State::Confirming { .. } => "confirming",
        State::Waiting { .. } => "waiting",
        State::Held { .. } => "held",
        State::Stopping { .. } => "stopping",
        State::HeldOnRequest { .. } => "held on request",
        State::CrashLoop { .. } => "crash loop",
    };
    let decision = match &step.decision {
        Decision::Leave => "leave".to_owned(),
        Decision::ProbeAgain(after) => format!("look in {}", after.as_secs()),
        Decision::Start(order) => match order.attempt {
            Attempt::Fresh => "start".to_owned(),
            Attempt::HoldOver => "hold over".to_owned(),
            Attempt::Restart(n) => format!("restart {n}"),
            Attempt::Trial => "trial".to_owned(),
            Attempt::Asked => {
                format!("start on request{}", if order.replace.is_some() { ", replacing" } else { "" })
            }
        },
        Decision::Stop(order) => format!("stop {}", order.session.id),
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
                ("young", "unseen, look in 1"),
                ("gone", "starting, start"),
                ("gone+stopped", "starting, start"),
                ("gone+parked", "absent, leave"),
                ("gone+gate?", "unseen, leave"),
                ("zombie", "confirming, look in 1"),
                ("zombie+parked", "absent, leave"),
                ("zombie+gate?", "unseen, leave"),
                ("dark", "unseen, leave"),
                ("alive+parked", "alive, leave"),
                ("gone+hooked", "confirming, look in 1"),
                ("gone+idle", "absent, leave"),
                ("zombie+idle", "absent, leave"),
                ("gone+bead?", "unseen, leave"),
                ("gone+unasked", "unseen, leave"),
                ("zombie+unasked", "unseen, leave"),
            ],
        ),
        (
            "absent",
            &[
                ("alive", "alive, leave"),
                ("young", "absent, look in 1"),
                ("gone", "starting, start"),
                ("gone+parked", "absent, leave"),
                ("gone+gate?", "absent, leave"),
                ("zombie", "confirming, look in 1"),
                ("zombie+parked", "absent, leave"),
                ("dark", "absent, leave"),
                ("gone+hooked", "confirming, look in 1"),
                ("gone+hooked+parked", "absent, leave"),
                ("gone+idle", "absent, leave"),
                ("gone+bead?", "absent, leave"),
                ("gone+unasked", "absent, leave"),
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
                ("young", "alive, leave"),
                ("another young", "confirming, look in 1"),
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
                ("young", "confirming, leave"),
                ("gone", "confirming, leave"),
                ("zombie", "confirming, leave"),
                ("gone+stopped", "confirming, leave"),
                ("dark", "confirming, leave"),
            ],
        ),
        (
            "confirming, due",
            &[
                // A scan is no second probe: it only asks for one.
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
                ("young", "waiting, look in 1"),
                ("gone", "waiting, leave"),
                ("zombie", "waiting, leave"),
                ("gone+parked", "absent, leave"),
                ("gone+gate?", "waiting, leave"),
                ("dark", "waiting, leave"),
            ],
        ),
        (
            "waiting, due",
            &[
                ("gone", "starting, restart 1"),
                ("gone+gate?", "waiting, leave"),
                ("gone+hooked", "starting, restart 1"),
                ("gone+idle", "absent, leave"),
                ("gone+bead?", "waiting, leave"),
                ("gone+unasked", "waiting, look in 0"),
            ],
        ),
        (
            "held",
            &[
                ("alive", "alive, leave"),
                ("gone+stopped", "held, leave"),
                ("gone", "held, leave"),
                ("gone+parked", "held, leave"),
                ("gone+running", "starting, hold over"),
                ("young", "held, look in 1"),
                ("gone+gate?", "held, leave"),
                ("dark", "held, leave"),
            ],
        ),
        (
            "held, was parked",
            &[
                ("gone+stopped", "starting, hold over"),
                ("gone+stopped+parked", "held, leave"),
                ("gone+stopped+gate?", "held, leave"),
            ],
        ),
        (
            "held, due",
            &[
                ("gone+stopped", "starting, hold over"),
                ("zombie+stopped", "confirming, look in 1"),
                ("gone+parked", "held, leave"),
                ("gone+unasked", "held, look in 0"),
                ("gone+hooked", "held, look in 0"),
                ("gone+idle", "absent, leave"),
            ],
        ),
        ("held, said running all along", &[("gone+running", "held, leave"), ("gone+stopped", "held, leave")]),
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
            let step = probe(&mut lifecycle, what, 100);
            assert_eq!(outcome(&lifecycle, &step), *expected, "{state}, seen {what}");
        }
    }
}

#[test]
fn probed_because_it_fell_due() {
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
                ("young", "confirming, look in 1"),
                ("another young", "confirming, look in 1"),
                ("gone+hooked", "starting, restart 1"),
                ("zombie+hooked", "starting, restart 1"),
                ("gone+idle", "absent, leave"),
                ("gone+bead?", "confirming, look in 5"),
                ("gone+hooked+treeless", "confirming, look in 5"),
                ("gone+limited", "waiting, look in 900"),
                ("gone+asked", "waiting, look in 600"),
                ("gone+sling", "starting, restart 1"),
            ],
        ),
        (
            "confirming, due, sling at work",
            &[
                ("gone+sling", "confirming, look in 0"),
                ("gone", "starting, restart 1"),
                ("alive+sling", "alive, leave"),
                ("gone+idle", "absent, leave"),
            ],
        ),
        (
            "confirming, due, stopped",
            &[("gone", "held, look in 600"), ("gone+parked", "absent, leave"), ("another", "alive, leave")],
        ),
        ("confirming, due, said stopped", &[("gone+stopped", "starting, restart 1")]),
        (
            "confirming, due, never alive",
            &[
                ("zombie", "starting, start"),
                ("gone+stopped", "starting, start"),
                ("zombie+parked", "absent, leave"),
                ("gone+hooked", "starting, start"),
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
        (
            "held, due",
            &[
                ("gone+stopped", "starting, hold over"),
                ("gone+hooked", "starting, hold over"),
                ("gone+bead?", "absent, leave"),
            ],
        ),
        ("crash loop, due", &[("gone", "starting, trial"), ("dark", "crash loop, look in 5")]),
    ];
    for (state, rows) in grid {
        for (what, expected) in *rows {
            let mut lifecycle = given(state);
            let step = probe_again(&mut lifecycle, what, 100);
            assert_eq!(outcome(&lifecycle, &step), *expected, "{state}, looked at, {what}");
        }
    }
}

#[test]
fn how_a_start_ends() {
    let up = StartEnd::Up { session: session(3), took: Duration::from_secs(4), conversation: None };
    for (name, end, expected) in [
        ("up", up, "alive, leave"),
        ("found", StartEnd::Found(session(3)), "alive, leave"),
        ("taken", StartEnd::Taken, "absent, look in 0"),
        (
            "left",
            StartEnd::Left { session: session(3), why: "rig is parked".into(), busy: false },
            "alive, leave",
        ),
        ("refused", StartEnd::Refused(parked()), "absent, leave"),
        ("unclear", StartEnd::Unclear("tmux".into()), "waiting, look in 0"),
        ("no program", StartEnd::NoProgram("no program".into()), "waiting, look in 30"),
        ("never appeared", StartEnd::NeverAppeared("60 s".into()), "starting, restart 1"),
        ("not started by gt", StartEnd::NotByGt("it hung".into()), "starting, restart 1"),
        ("ended", StartEnd::Ended(session(3)), "alive, look in 0"),
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
    let up = StartEnd::Up { session: session(3), took: Duration::from_secs(4), conversation: None };
    let _ = step(&mut lifecycle, Event::StartEnded(up), at(100));
    let before = Event::Seen(seen("gone", at(99)));
    let stale = step(&mut lifecycle, before, at(101));
    assert_eq!(outcome(&lifecycle, &stale), "alive, leave");
    let fresh = probe(&mut lifecycle, "gone", 101);
    assert_eq!(outcome(&lifecycle, &fresh), "confirming, look in 1");
}

#[test]
fn only_a_live_agent_is_replaced_and_only_when_it_may_start() {
    let replace = |permission| Event::Replace {
        why: "its heartbeat is 31m old".into(),
        heartbeat: at(0).wall,
        permission,
    };
    for (state, permission, expected) in [
        ("alive", Permission::Allowed, "starting, restart 1"),
        ("alive", Permission::Denied(Denial::DeaconPaused(None)), "alive, leave"),
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
    // Just restarted: it stays alive until the delay is over.
    let mut lifecycle = given("alive");
    restart::restarted(&mut lifecycle.history, at(50).wall, &Policy::default());
    let first = step(&mut lifecycle, replace(Permission::Allowed), at(100));
    assert_eq!(outcome(&lifecycle, &first), "alive, leave");
    let later = step(&mut lifecycle, replace(Permission::Allowed), at(131));
    assert_eq!(outcome(&lifecycle, &later), "starting, restart 2");
}

#[test]
fn repeated_deaths_end_in_a_crash_loop_that_is_reported_once_and_tried_again() {
    let mut lifecycle = given("alive");
    let (mut now, mut told, mut restarts) = (100, 0, 0);
    for _ in 0..200 {
        // It dies a second after each start; whatever is asked for is done.
        let step = match lifecycle.state() {
            State::Alive { .. } => probe(&mut lifecycle, "gone", now),
            State::Starting { .. } => {
                let session = SessionKey { id: format!("${now}"), created: at(now).wall };
                let up = StartEnd::Up { session, took: Duration::ZERO, conversation: None };
                step(&mut lifecycle, Event::StartEnded(up), at(now))
            }
            _ => probe_again(&mut lifecycle, "gone", now),
        };
        let began = |it: &&Reason| matches!(it, Reason::CrashLoop(CrashLoop { began: Some(_), .. }));
        told += step.reasons.iter().filter(began).count();
        match step.decision {
            Decision::Start(_) => restarts += 1,
            Decision::ProbeAgain(after) => now += i64::try_from(after.as_secs()).unwrap() + 1,
            Decision::Leave | Decision::Stop(_) => now += 1,
        }
        if now > 100 + 4 * 1800 {
            break;
        }
    }
    assert_eq!(told, 1, "told once");
    assert!((8..=9).contains(&restarts), "5 restarts, then a trial every half hour: {restarts}");
}

#[test]
fn cleared_by_hand_what_waits_or_is_held_is_started_at_once() {
    for (state, expected) in [
        ("waiting", "waiting, look in 0"),
        ("crash loop", "waiting, look in 0"),
        ("held", "waiting, look in 0"),
        ("held on request", "waiting, look in 0"),
        ("alive", "alive, leave"),
        ("confirming", "confirming, leave"),
        ("starting", "starting, leave"),
        ("absent", "absent, leave"),
        ("unseen", "unseen, leave"),
    ] {
        let mut lifecycle = given(state);
        lifecycle.history.restart_count = 5;
        let cleared = step(&mut lifecycle, Event::Cleared, at(100));
        assert_eq!(outcome(&lifecycle, &cleared), expected, "{state}");
        assert_eq!(*lifecycle.history(), RestartHistory::default(), "{state}");
        if expected.starts_with("waiting") {
            let then = probe_again(&mut lifecycle, "gone", 100);
            assert_eq!(outcome(&lifecycle, &then), "starting, start", "{state}");
        }
    }
}

#[test]
fn a_changed_restart_state_ends_waiting_and_crash_loops() {
    for state in ["waiting", "crash loop", "held"] {
        let mut lifecycle = given(state);
        lifecycle.history.restart_count = 5;
        let cleared = step(&mut lifecycle, Event::Remembered(RestartHistory::default()), at(100));
        assert_eq!(outcome(&lifecycle, &cleared), "waiting, look in 0", "{state}");
        let then = probe_again(&mut lifecycle, "gone", 100);
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
    let history =
        RestartHistory { restart_count: 1, backoff_until: Some(until), ..RestartHistory::default() };
    let mut lifecycle = Lifecycle::new(history);
    let first = probe(&mut lifecycle, "gone", 100);
    assert_eq!(outcome(&lifecycle, &first), "waiting, look in 50");
    let then = probe_again(&mut lifecycle, "gone", 151);
    assert_eq!(outcome(&lifecycle, &then), "starting, restart 2", "it was announced as that one");
    assert_eq!(lifecycle.history().restart_count, 2);
}

#[test]
fn what_the_file_says_of_a_life_is_known_a_moment_after_it_began() {
    // `gt witness restart` writes `stopped`, starts the session, and writes `running` 55 ms later.
    let mut lifecycle = given("confirming");
    let back = probe(&mut lifecycle, "another+stopped", 100);
    assert_eq!(outcome(&lifecycle, &back), "alive, look in 1");
    let then = probe_again(&mut lifecycle, "another+running", 101);
    assert_eq!(outcome(&lifecycle, &then), "alive, leave");
    let _ = probe(&mut lifecycle, "gone+stopped", 200);
    let stopped = probe_again(&mut lifecycle, "gone+stopped", 201);
    assert_eq!(outcome(&lifecycle, &stopped), "held, look in 600");
}

#[test]
fn a_death_is_reported_once_when_it_is_confirmed() {
    type Case<'a> = (&'a str, &'a str, Option<(Option<&'a str>, Option<&'a str>, Cause)>);
    let (crashed, missing) = (Cause::Crashed(None), Cause::AgentMissing);
    let killed = Cause::OomKilled(OOM_KILL);
    let cases: [Case<'_>; 14] = [
        ("confirming, due", "gone", Some((Some("$1"), None, crashed))),
        ("confirming, due", "zombie", Some((Some("$1"), None, missing))),
        ("confirming, due", "gone+hooked", Some((Some("$1"), Some("gt-1"), crashed))),
        ("confirming, due, never alive", "gone+hooked", None),
        ("confirming, due, seen by the last supervisor", "gone+hooked", Some((None, Some("gt-1"), crashed))),
        ("confirming, due, seen by the last supervisor", "gone", None),
        ("confirming, due, seen by the last supervisor", "gone+hooked+parked", None),
        ("confirming, due, never alive", "zombie", None),
        ("confirming, due", "gone+parked", None),
        ("confirming, due", "gone+limited", None),
        ("confirming, due", "gone+oom", Some((Some("$1"), None, killed))),
        ("confirming, due", "zombie+oom+limited", Some((Some("$1"), None, killed))),
        (
            "confirming, due, seen by the last supervisor",
            "gone+hooked+oom",
            Some((None, Some("gt-1"), crashed)),
        ),
        ("confirming, due, stopped", "gone", None),
    ];
    for (state, what, expected) in cases {
        let mut lifecycle = given(state);
        let step = probe_again(&mut lifecycle, what, 100);
        let told: Vec<_> = step
            .reasons
            .iter()
            .filter_map(|reason| match reason {
                Reason::Died(it) => Some(it.clone()),
                _ => None,
            })
            .collect();
        assert!(told.iter().all(|it| it.noticed == at(99)), "as of when it was noticed");
        let told: Vec<_> = told
            .iter()
            .map(|it| (it.session.as_ref().map(|key| key.id.as_str()), it.hook.as_deref(), it.cause))
            .collect();
        assert_eq!(told, expected.into_iter().collect::<Vec<_>>(), "{state}, {what}");
        assert!(!lifecycle.is_missed(), "{state}, {what}: whatever it was, it is accounted for");
    }
}

#[test]
fn what_an_operator_stopped_does_not_die_when_the_hold_ends() {
    let mut lifecycle = given("alive");
    let _ = probe(&mut lifecycle, "alive", 90);
    assert!(lifecycle.is_missed());
    let _ = probe(&mut lifecycle, "gone+hooked+stopped", 100);
    assert!(lifecycle.is_missed(), "not judged yet");
    let held = probe_again(&mut lifecycle, "gone+hooked+stopped", 101);
    assert_eq!(outcome(&lifecycle, &held), "held, look in 600");
    assert!(!lifecycle.is_missed(), "somebody meant it");
    let over = probe_again(&mut lifecycle, "gone+hooked+stopped", 702);
    assert_eq!(outcome(&lifecycle, &over), "starting, hold over");
    assert!(!died(&over), "{:?}", over.reasons);
    assert_eq!(*lifecycle.history(), RestartHistory::default(), "no restart that counts");
}

#[test]
fn a_shell_that_somebody_restored_is_never_an_agent() {
    let mut lifecycle = given("unseen");
    for second in 100..160 {
        let step = probe_again(&mut lifecycle, "young", second);
        assert_eq!(outcome(&lifecycle, &step), "unseen, look in 1");
        assert!(lifecycle.is_out_of_sight() && !lifecycle.is_missed());
    }
    let first = probe_again(&mut lifecycle, "zombie", 160);
    assert_eq!(outcome(&lifecycle, &first), "confirming, look in 1");
    let then = probe_again(&mut lifecycle, "zombie", 161);
    assert_eq!(outcome(&lifecycle, &then), "starting, start", "not counted");
    assert!(!died(&then));
}

#[test]
fn what_a_command_may_have_ended_is_restarted_and_not_reported_as_a_death() {
    for (line, by_command) in [("gt sling gt-1 r", true), ("gt sling gt-1 another", false)] {
        let mut lifecycle = given("confirming, due");
        let words = line.split(' ').skip(1).map(str::to_owned).collect();
        if let State::Confirming { involved, .. } = &mut lifecycle.state {
            involved.push(Operation { arguments: words, line: line.into(), ..sling() });
        }
        let step = probe_again(&mut lifecycle, "gone", 100);
        assert_eq!(outcome(&lifecycle, &step), "starting, restart 1", "{line}");
        let told = step.reasons.iter().find_map(|reason| match reason {
            Reason::Died(it) => Some(it.by_command.as_deref() == Some(line)),
            _ => None,
        });
        assert_eq!(told, Some(by_command), "{line}");
    }
}

#[test]
fn what_ended_with_its_tmux_server_takes_its_turn_and_counts_as_no_restart() {
    let gone = |second| Event::Probed(seen("gone+server", at(second)));
    for pace in [Duration::ZERO, Duration::from_secs(20)] {
        let mut lifecycle = given("confirming, due");
        lifecycle.history.restart_count = 4;
        let before = lifecycle.history.clone();
        let first = paced_step(&mut lifecycle, gone(100), at(100), pace);
        assert!(first.takes_turn);
        assert!(died(&first), "it is reported all the same");
        if !pace.is_zero() {
            assert_eq!(outcome(&lifecycle, &first), "waiting, look in 20");
            let _ = paced_step(&mut lifecycle, gone(120), at(120), pace);
        }
        assert_eq!(*lifecycle.history(), before);
        let State::Starting { order, .. } = lifecycle.state() else { panic!("{lifecycle:?}") };
        assert_eq!(order.attempt, Attempt::Fresh);
    }
}

#[test]
fn a_restart_waits_for_its_turn_once() {
    let pace = Duration::from_secs(20);
    let gone = |second| Event::Probed(seen("gone", at(second)));
    let mut lifecycle = given("confirming, due");
    let first = paced_step(&mut lifecycle, gone(100), at(100), pace);
    assert_eq!(outcome(&lifecycle, &first), "waiting, look in 20");
    assert!(first.takes_turn);
    let then = paced_step(&mut lifecycle, gone(120), at(120), pace);
    assert_eq!(outcome(&lifecycle, &then), "starting, restart 1", "it has had its turn");
    assert!(!then.takes_turn);
    let mut free = given("confirming, due");
    let at_once = paced_step(&mut free, gone(100), at(100), Duration::ZERO);
    assert_eq!(outcome(&free, &at_once), "starting, restart 1");
    assert!(at_once.takes_turn, "so that the next one comes later");
    let mut stuck = given("alive");
    let (heartbeat, permission) = (at(0).wall, Permission::Allowed);
    let event = Event::Replace { why: "its heartbeat is old".into(), heartbeat, permission };
    let replaced = paced_step(&mut stuck, event, at(100), pace);
    assert_eq!(outcome(&stuck, &replaced), "starting, restart 1", "one that lives waits for no turn");
}

#[test]
fn the_next_owner_remembers_which_commands_were_running() {
    let mut lifecycle = given("alive");
    let _ = probe(&mut lifecycle, "gone+sling", 100);
    let before = Before { lifecycle: Some(lifecycle), missed: true, ..Before::default() };
    let mut next = Lifecycle::resumed(RestartHistory::default(), before, at(101));
    let first = probe(&mut next, "gone", 102);
    assert_eq!(outcome(&next, &first), "confirming, look in 1");
    let still = probe_again(&mut next, "gone+sling", 103);
    assert_eq!(outcome(&next, &still), "confirming, look in 0", "it is still waited for");
    let ended = probe_again(&mut next, "gone", 104);
    assert_eq!(outcome(&next, &ended), "starting, restart 1");
}

#[test]
fn the_second_probe_is_due_from_when_the_end_was_noticed() {
    let mut lifecycle = given("alive");
    let earlier = Now { mono: at(100).mono - Duration::from_millis(400), ..at(100) };
    let observation = Observation { noticed: earlier, ..seen("gone", at(100)) };
    let step = step(&mut lifecycle, Event::Seen(observation), at(100));
    assert_eq!(step.decision, Decision::ProbeAgain(Duration::from_millis(600)));
}

#[test]
fn a_hold_that_is_over_says_so_when_the_file_changes_to_running() {
    let mut lifecycle = given("held, said running all along");
    let _ = probe(&mut lifecycle, "gone+stopped", 200);
    let running = probe(&mut lifecycle, "gone+running", 300);
    assert_eq!(outcome(&lifecycle, &running), "starting, hold over");
}

#[test]
fn a_word_written_just_before_the_kill_is_not_taken_for_an_old_one() {
    let mut lifecycle = given("alive");
    let just_before = probe(&mut lifecycle, "alive+stopped", 100);
    assert_eq!(outcome(&lifecycle, &just_before), "alive, look in 1");
    let _ = probe(&mut lifecycle, "gone+stopped", 101);
    let judged = probe_again(&mut lifecycle, "gone+stopped", 102);
    assert_eq!(outcome(&lifecycle, &judged), "held, look in 600");
    let mut lifecycle = given("alive");
    let _ = probe(&mut lifecycle, "alive+stopped", 100);
    let _ = probe_again(&mut lifecycle, "alive+stopped", 101);
    let _ = probe(&mut lifecycle, "gone+stopped", 200);
    let judged = probe_again(&mut lifecycle, "gone+stopped", 201);
    assert_eq!(outcome(&lifecycle, &judged), "starting, restart 1", "it lived on with the word");
}
