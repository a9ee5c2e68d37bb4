//! The phase of an agent in every state; and one step of its life as one line of its history.

use super::*;
use crate::agent::{
    conversation::Begun,
    history::{rendering, story},
    phase::{self, Phase, Why},
    waits::Own,
};

/// State, reason and next try (in seconds), as `status` shows them.
fn shown(lifecycle: &Lifecycle, second: i64) -> (&'static str, Option<String>, Option<i64>) {
    let next = phase::next_try(lifecycle, at(second).wall);
    (
        Phase::of(lifecycle).as_str(),
        Why::of(lifecycle).map(|why| why.text),
        next.map(|at| at.as_second() - T0),
    )
}

#[test]
fn every_state_has_its_word_its_reason_and_its_next_try() {
    for (state, word, reason, next) in [
        ("unseen", "unknown", "not observed yet", None),
        ("absent", "paused", "rig is parked", None),
        ("starting", "starting", "not running", None),
        ("alive", "alive", "", None),
        ("confirming", "confirming", "session is gone", None),
        ("waiting", "waiting", "restart 2 waits", Some(130)),
        ("held", "held", "stopped by hand: `gt deacon stop`", Some(700)),
        ("stopping", "held", "being stopped: stop requested (mail hq-1)", None),
        ("held on request", "held", "stopped on request: stop requested (mail hq-1)", None),
        ("crash loop", "crash_loop", "held after 0 restarts", Some(1900)),
    ] {
        let reason = Some(reason.to_owned()).filter(|reason| !reason.is_empty());
        assert_eq!(shown(&given(state), 100), (word, reason, next), "{state}");
    }
}

#[test]
fn every_start_says_why() {
    let replace = Replacement { session: session(1), why: "stuck".into(), because: Because::Asked };
    for (attempt, replace, reason) in [
        (Attempt::Fresh, None, "not running"),
        (Attempt::Restart(3), None, "restart 3"),
        (Attempt::Trial, None, "trial after a crash loop"),
        (Attempt::Asked, None, "requested"),
        (Attempt::Restart(1), Some(replace), "stuck"),
    ] {
        let mut it = given("starting");
        it.state = State::Starting { since: at(90), order: StartOrder { attempt, replace } };
        assert_eq!(Why::of(&it).unwrap().text, reason, "{attempt:?}");
    }
}

#[test]
fn who_is_not_running_is_absent_or_paused_by_what_stands_in_the_way() {
    for (state, what, word) in [
        ("unseen", "gone+parked", "paused"),
        ("unseen", "zombie+parked", "paused"),
        ("unseen", "gone+idle", "absent"),
        ("unseen", "gone+idle+parked", "paused"),
        ("absent", "gone+idle", "absent"),
        ("confirming, due", "gone+parked", "paused"),
        ("confirming, due", "gone+idle", "absent"),
        ("waiting, due", "gone+parked", "paused"),
        ("waiting, due", "gone+idle", "absent"),
        ("crash loop, due", "gone+parked", "paused"),
        // Stopped by hand and then parked: the hold outlasts a short park, and says more.
        ("held", "gone+parked", "held"),
        ("alive", "alive+parked", "alive"),
    ] {
        let mut it = given(state);
        let _ = probe_again(&mut it, what, 200);
        assert_eq!(shown(&it, 200).0, word, "{state}, {what}");
    }
    let ends = [(StartEnd::Refused(parked()), "paused"), (StartEnd::Unwanted(Unwanted::NoWork), "absent")];
    for (end, word) in ends {
        let mut it = given("starting");
        let _ = step(&mut it, Event::StartEnded(end), at(100));
        assert_eq!(shown(&it, 100).0, word);
    }
}

#[test]
fn what_is_not_known_is_not_claimed() {
    for (state, what, word, reason) in [
        ("alive", "dark", "unknown", "was alive when last seen; tmux does not answer"),
        ("absent", "dark", "unknown", "tmux does not answer"),
        ("unseen", "dark", "unknown", "tmux does not answer"),
        ("waiting", "dark", "waiting", "tmux does not answer"),
        ("confirming", "dark", "confirming", "tmux does not answer"),
        ("held", "dark", "held", "tmux does not answer"),
        // It is known that it does not run, and not whether it may.
        ("unseen", "gone+gate?", "paused", "the wisp file is broken"),
        ("absent", "gone+gate?", "paused", "the wisp file is broken"),
        ("unneeded", "gone+gate?", "paused", "the wisp file is broken"),
        ("unneeded", "dark", "unknown", "tmux does not answer"),
        ("absent", "gone+bead?", "paused", "bd"),
    ] {
        let mut it = given(state);
        let _ = probe(&mut it, what, 100);
        let (seen, why, _) = shown(&it, 100);
        assert_eq!((seen, why.as_deref()), (word, Some(reason)), "{state}, {what}");
        let _ = probe(&mut it, "alive", 101);
        assert_eq!(shown(&it, 101), ("alive", None, None), "{state}, {what}, then seen");
    }
}

#[test]
fn a_backoff_is_the_next_try_until_it_is_over() {
    for state in ["alive", "absent", "starting"] {
        let mut it = given(state);
        it.history.backoff_until = Some(at(130).wall);
        assert_eq!(shown(&it, 100).2, Some(130), "{state}");
        assert_eq!(shown(&it, 130).2, None, "{state}, it is over");
    }
}

/// The line for one step, without its time.
fn line(mut it: Lifecycle, event: Event, second: i64) -> String {
    let now = at(second);
    let event = match event {
        Event::Seen(seen) => Event::Seen(Observation { death: Some(death(now)), ..seen }),
        Event::Probed(seen) => Event::Probed(Observation { death: Some(death(now)), ..seen }),
        other => other,
    };
    let step = step(&mut it, event, now);
    let Some(entry) = story::entry(&it, &step.reasons, Some("hq-1"), now) else { return "-".to_owned() };
    let lines = rendering::lines(&[entry], now.wall, &jiff::tz::TimeZone::UTC);
    lines[0].split_once(' ').unwrap().1.to_owned()
}

#[test]
fn a_probe_is_a_line_when_something_changed() {
    let waited = "its wait is over → starting: restart 1";
    for (state, what, expected) in [
        ("alive", "alive", "-"),
        ("alive", "another", "runs in a new session → alive: not started by the supervisor"),
        ("alive", "gone", "session is gone (process exited: SIGKILL (137)) → confirming: decided in 1s"),
        ("alive", "dark", "cannot be observed: tmux does not answer → unknown: no action"),
        ("confirming, due", "dark", "cannot be observed: tmux does not answer → confirming: no action"),
        ("confirming, due", "gone+gate?", "undecided: the wisp file is broken → confirming: no action"),
        ("confirming, due", "gone", "died: crashed (exit 137) → starting: restart 1"),
        ("confirming, due", "gone+hooked", "died: crashed (exit 137), hook gt-1 → starting: restart 1"),
        ("confirming, due", "alive", "is back by itself → alive: no action"),
        (
            "confirming, due, sling at work",
            "gone+sling",
            "session is gone → confirming: waiting for `gt sling gt-1 r` to end",
        ),
        (
            "confirming, due, sling at work",
            "gone",
            "exited while `gt sling gt-1 r` was running → starting: restart 1",
        ),
        (
            "confirming, due",
            "gone+hooked+treeless",
            "session is gone → confirming: its worktree is gone: perhaps it is being removed",
        ),
        (
            "confirming, due, stopped",
            "gone",
            "stopped by hand (`gt witness stop r`) → held: left alone for 10m, until 08:11:40",
        ),
        (
            "confirming, due",
            "gone+limited",
            "ended at a usage limit (limit reached) → waiting: retried in 15m, next try 08:16:40",
        ),
        ("waiting", "gone", "-"),
        ("waiting, due", "gone", waited),
        ("waiting, due", "gone+parked", "not running → paused: rig is parked"),
        ("crash loop, due", "gone", "its wait is over → starting: trial after a crash loop"),
        ("absent", "gone+parked", "-"),
        ("absent", "gone", "not running, no longer paused → starting"),
        ("unseen", "gone", "not running → starting"),
        ("unseen", "alive", "already running → alive: adopted"),
        ("held", "gone", "-"),
        ("held on request", "alive", "started by somebody else → alive: released"),
    ] {
        let event = Event::Probed(seen(what, at(100)));
        assert_eq!(line(given(state), event, 100), expected, "{state}, {what}");
    }
}

#[test]
fn how_a_start_or_stop_ended_is_a_line() {
    for (end, expected) in [
        (
            StartEnd::Up { session: session(3), took: Duration::from_millis(4120), conversation: None },
            "started in 4.1s → alive",
        ),
        (
            StartEnd::Up {
                session: session(3),
                took: Duration::from_millis(4120),
                conversation: Some(Begun::Resumes("1a2b3c4d-0000".into())),
            },
            "started in 4.1s; resumes conversation 1a2b3c4d → alive",
        ),
        (StartEnd::Found(session(3)), "already running → alive: no action"),
        (
            StartEnd::Left { session: session(3), why: "rig is parked".into(), busy: false },
            "its start was given up: rig is parked → alive: what runs is left running",
        ),
        (StartEnd::Refused(parked()), "not running → paused: rig is parked"),
        (
            StartEnd::Unclear("tmux".into()),
            "could not be started: tmux → waiting: retried, next try 08:02:10",
        ),
        (StartEnd::NeverAppeared("no claude".into()), "start failed: no claude → starting: restart 1"),
    ] {
        assert_eq!(line(given("starting"), Event::StartEnded(end.clone()), 100), expected, "{end:?}");
    }
    for (end, expected) in [
        (StopEnd::Ended, "stopped on request → held"),
        (StopEnd::Gone, "request hq-1 carried out → held"),
        (StopEnd::Refused(parked()), "request hq-1: rig is parked → alive: not carried out"),
        (StopEnd::Unclear("tmux".into()), "request hq-1 postponed: tmux → alive: retried"),
    ] {
        assert_eq!(line(given("stopping"), Event::StopEnded(end.clone()), 100), expected, "{end:?}");
    }
}

#[test]
fn one_that_is_stuck_and_may_not_be_replaced_yet_is_reported_once() {
    let replace = || Event::Replace {
        why: "its heartbeat is 31m old".into(),
        heartbeat: at(0).wall,
        permission: Permission::Allowed,
    };
    let mut it = given("alive");
    it.history.restart_count = 1;
    let first = "its heartbeat is 31m old → alive: left running, restart 2 waits";
    assert_eq!(line(it.clone(), replace(), 100), first);
    let _ = step(&mut it, replace(), at(100));
    assert_eq!(line(it.clone(), replace(), 110), "-", "it still waits");
    assert_eq!(line(it, replace(), 131), "its heartbeat is 31m old → starting: replacing it; restart 2");
}

#[test]
fn one_whose_start_was_given_up_may_run_all_the_same() {
    let mut it = given("starting");
    let _ = step(&mut it, Event::StartEnded(StartEnd::Refused(parked())), at(100));
    let seen_alive = |it: &Lifecycle| line(it.clone(), Event::Seen(seen("alive", at(101))), 101);
    assert_eq!(seen_alive(&it), "runs although its start was given up → alive: no action");
    assert_eq!(seen_alive(&given("absent")), "started by somebody else → alive: no action");
}

#[test]
fn what_gt_did_not_start_says_so_until_it_runs() {
    let mut it = given("starting");
    it.history.restart_count = 1;
    let _ = step(&mut it, Event::StartEnded(StartEnd::NotByGt("it hung".into())), at(100));
    assert_eq!(shown(&it, 100).1.as_deref(), Some("restart 2 waits; its last start failed: it hung"));
    let _ = probe(&mut it, "alive", 105);
    assert_eq!(it.gt_failed(), None);
    let mut it = given("starting");
    it.history.crash_loop_since = Some(at(50).wall);
    let _ = step(&mut it, Event::StartEnded(StartEnd::NotByGt("it hung".into())), at(100));
    let held = "held after 0 restarts; its last start failed: it hung";
    assert_eq!(shown(&it, 100).1.as_deref(), Some(held));
    // One in January, or one that came up and died, says nothing of that kind.
    let mut it = given("starting");
    it.history.restart_count = 1;
    let _ = step(&mut it, Event::StartEnded(StartEnd::NeverAppeared("no claude".into())), at(100));
    assert_eq!(shown(&it, 100).1.as_deref(), Some("restart 2 waits"));
}

#[test]
fn one_that_is_back_in_its_session_was_respawned_by_its_hook() {
    let respawned = "respawned by its tmux hook → alive: no action";
    let left = |it: &mut Lifecycle, what: &str| drop(probe(it, what, 100));
    let back = |it: &Lifecycle| line(it.clone(), Event::Seen(seen("alive", at(150))), 150);
    let mut it = given("alive");
    left(&mut it, "zombie+left");
    assert_eq!(back(&it), respawned, "while it is confirmed");
    let _ = probe_again(&mut it, "zombie+left", 101);
    assert_eq!(it.wait().map(|wait| wait.own), Some(Own::CleanExit));
    assert_eq!(back(&it), respawned, "while it waits");
    let mut it = given("alive");
    left(&mut it, "gone");
    assert_eq!(back(&it), "is back by itself → alive: no action", "its session was out of sight");
    let mut it = given("alive");
    left(&mut it, "zombie+left");
    assert_eq!(line(it, Event::Seen(seen("another", at(150))), 150), "is back by itself → alive: no action");
}

#[test]
fn one_whose_session_ended_during_its_start_is_being_confirmed() {
    let ended = || {
        let mut it = given("starting");
        let step = step(&mut it, Event::StartEnded(StartEnd::Ended(session(1))), at(100));
        let entry = crate::agent::history::story::entry(&it, &step.reasons, None, at(100)).unwrap();
        assert_eq!(
            (entry.state, entry.seen.as_str()),
            (Some(Phase::Confirming), "session ended during the start")
        );
        it
    };
    let mut it = ended();
    let _ = step(&mut it, Event::Probed(seen("gone", at(101))), at(101));
    assert_eq!(Phase::of(&it), Phase::Confirming);
    let back = step(&mut ended(), Event::Probed(seen("alive", at(101))), at(101));
    assert_eq!(back.reasons, [Reason::BackByItself], "it lives there all the same");
}

#[test]
fn the_starts_in_a_row_that_gt_did_not_make_are_counted() {
    let not_by_gt = || StartEnd::NotByGt("it hung".into());
    let key = || session(1);
    for (name, end, expected) in [
        ("again", not_by_gt(), Some(2)),
        ("nothing was done", StartEnd::Unclear("tmux".into()), Some(1)),
        ("another failure", StartEnd::NoProgram("no program".into()), None),
        ("it ended", StartEnd::Ended(key()), None),
        ("it is up", StartEnd::Up { session: key(), took: Duration::ZERO, conversation: None }, None),
    ] {
        let mut it = given("starting");
        let _ = step(&mut it, Event::StartEnded(not_by_gt()), at(100));
        it.state = given("starting").state;
        let _ = step(&mut it, Event::StartEnded(end), at(200));
        assert_eq!(it.gt_failures().map(|(times, _)| times), expected, "{name}");
    }
}
