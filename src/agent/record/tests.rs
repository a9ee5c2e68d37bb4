//! What a step of the lifecycle leaves in the records, what is to be written, and what the files look like.

use std::time::Duration;

use super::*;
use crate::{
    agent::{
        confirmation::{Assignment, AtWork, Observation, Permission, Presence, StateFile, Worktree},
        lifecycle::{Event, Surroundings},
        requests::{Action, Outcome, Request, Stage},
        waits::Own,
    },
    clock::Now,
    ports::writes::Content,
    town::{identity::Wanted, restart_state::RestartState, settings::Restart as Policy},
};

fn at(second: u64) -> Now {
    let wall = Timestamp::from_second(1_800_000_000 + second as i64).unwrap();
    Now { mono: Duration::from_secs(second), wall }
}

fn records() -> Records {
    Records::new(PathBuf::from("/nowhere"))
}

/// A probe that shows it alive in this session, or gone.
fn seen(session: Option<u32>, second: u64) -> Event {
    let key = |n| SessionKey { id: format!("${n}"), created: at(0).wall };
    Event::Probed(Observation {
        begun: at(second),
        noticed: at(second),
        death: None,
        presence: session.map_or(Presence::Absent, |n| Presence::Alive(key(n))),
        permission: Permission::Allowed,
        state_file: StateFile::Silent,
        at_work: Ok(AtWork::default()),
        assignment: Assignment::Permanent,
        worktree: Worktree::There,
        usage_limit: None,
        question: None,
        left_to_respawn: false,
        exit: None,
        oom_kill: None,
    })
}

fn step(lifecycle: &mut Lifecycle, event: Event, second: u64) {
    let policy = Policy::default();
    let _ = lifecycle.apply(
        event,
        Surroundings {
            now: at(second),
            identity: &Identity::Deacon,
            wanted: Wanted::Always,
            restart: None,
            policy: &policy,
            confirm: policy.confirm,
            is_respawned: false,
            retry_limited: Duration::from_secs(900),
            account: None,
            pace: Duration::ZERO,
            jitter: 0.0,
        },
    );
}

fn shown(content: &impl Content) -> serde_json::Value {
    serde_json::from_slice(&content.bytes().unwrap()).unwrap()
}

/// Whether something is to be saved, which it is not any more afterwards.
fn is_to_be_saved(changed: &mut watch::Receiver<()>) -> bool {
    let is = changed.has_changed().unwrap();
    changed.mark_unchanged();
    is
}

#[test]
fn a_life_is_news_once_for_each_session_and_ends_when_it_is_accounted_for() {
    let (records, mut it) = (records(), Lifecycle::new(RestartHistory::default()));
    let mut changed = records.changed();
    changed.mark_unchanged();
    for (name, session, second, news, life) in [
        ("first seen", Some(1), 100, true, Some("$1")),
        ("still there", Some(1), 110, false, Some("$1")),
        ("another session", Some(2), 120, true, Some("$2")),
        ("gone, not judged yet", None, 130, false, Some("$2")),
        ("judged: restarted", None, 131, true, None),
    ] {
        step(&mut it, seen(session, second), second);
        records.keep(&Identity::Deacon, &it, at(second).wall);
        assert_eq!(is_to_be_saved(&mut changed), news, "{name}");
        let file = shown(&records.lives);
        assert_eq!(file["agents"]["deacon"]["id"].as_str(), life, "{name}: {file}");
        let (_, before, seen) = records.resume(&Identity::Deacon);
        assert_eq!((before.missed, seen.is_some()), (life.is_some(), life.is_some()), "{name}");
        assert_eq!(before.lifecycle.as_ref(), Some(&it), "{name}: as its actor left it");
    }
    assert_eq!(records.restarts(&Identity::Deacon).restart_count, 1);
    assert_eq!(shown(&records.restarts)["agents"]["deacon"]["restart_count"], 1);
}

#[test]
fn restarts_that_somebody_cleared_are_not_brought_back_by_an_actor_that_does_not_know_it_yet() {
    let (records, mut it) = (records(), Lifecycle::new(RestartHistory::default()));
    for (session, second) in [(Some(1), 100), (None, 110), (None, 111)] {
        step(&mut it, seen(session, second), second);
        records.keep(&Identity::Deacon, &it, at(second).wall);
    }
    assert_eq!(it.history().restart_count, 1);
    records.clear_restarts(None);
    step(&mut it, seen(None, 112), 112);
    records.keep(&Identity::Deacon, &it, at(112).wall);
    assert_eq!(records.restarts(&Identity::Deacon), RestartHistory::default());
    assert_eq!(shown(&records.restarts), serde_json::json!({"agents": {}}));
    step(&mut it, Event::Remembered(records.restarts(&Identity::Deacon)), 113);
    records.keep(&Identity::Deacon, &it, at(113).wall);
    assert_eq!(it.history(), &records.restarts(&Identity::Deacon));
}

#[test]
fn what_others_keep_in_the_restart_state_is_written_back() {
    let records = records();
    let others = serde_json::json!({
        "agents": {"deacon": {"note": "theirs", "restart_count": 4}, "a rig of old/witness": {"restart_count": 2}},
        "version": 7
    });
    let state: RestartState = serde_json::from_value(others).unwrap();
    records.restarts.take(state);
    assert_eq!(records.restarts(&Identity::Deacon).restart_count, 4);
    let mut it = Lifecycle::new(records.restarts(&Identity::Deacon));
    step(&mut it, Event::Cleared, 100);
    records.keep(&Identity::Deacon, &it, at(100).wall);
    let written = shown(&records.restarts);
    assert_eq!((&written["version"], &written["agents"]["deacon"]["note"]), (&7.into(), &"theirs".into()));
    assert_eq!(written["agents"]["deacon"]["restart_count"], 0, "{written}");
    assert_eq!(written["agents"]["a rig of old/witness"]["restart_count"], 2, "{written}");
}

#[test]
fn waits_that_are_long_over_are_forgotten() {
    let records = records();
    let wait = |second| Some(Wait { until: at(second).wall, own: Own::UsageLimit("5h".to_owned()) });
    let put = |identity: &Identity, second: u64, at: Now| {
        let before = Before { wait: wait(second), ..Before::default() };
        let it = Lifecycle::resumed(RestartHistory::default(), before, at);
        records.keep(identity, &it, at.wall);
    };
    let day = 24 * 3600;
    put(&Identity::Deacon, 10, at(0));
    put(&Identity::Mayor, day, at(day));
    assert_eq!(records.resume(&Identity::Deacon).1.wait, wait(10), "over for less than a day");
    put(&Identity::Mayor, 2 * day, at(day + 11));
    assert_eq!(records.resume(&Identity::Deacon).1.wait, None);
    assert_eq!(records.resume(&Identity::Mayor).1.wait, wait(2 * day));
}

#[test]
fn of_one_that_is_no_more_nothing_is_held_or_missed() {
    let (records, mut it) = (records(), Lifecycle::new(RestartHistory::default()));
    step(&mut it, seen(Some(1), 100), 100);
    let hold = Hold {
        down: false,
        since: at(100).wall,
        why: "stop requested (mail hq-1)".into(),
        by: None,
        until: None,
        hook: None,
    };
    let toast: Identity = "r/polecats/Toast".parse().unwrap();
    let held = Lifecycle::resumed(
        RestartHistory::default(),
        Before { hold: Some(hold), ..Before::default() },
        at(1),
    );
    let keep = || {
        records.keep(&Identity::Deacon, &it, at(100).wall);
        records.keep(&toast, &held, at(100).wall);
    };
    keep();
    assert_eq!(records.held(), std::slice::from_ref(&toast));
    records.forget(&toast, "its directory is gone", at(100).wall);
    assert_eq!((records.held(), records.hold(&toast)), (vec![], None));
    assert!(!records.agents.lock().contains_key(&toast), "nothing is left of it");
    keep();
    records.forget_rig(&"r".parse().unwrap(), at(100).wall);
    assert_eq!(records.held(), std::slice::from_ref(&toast), "its rig may come back");
    assert!(records.resume(&toast).1.lifecycle.is_none() && records.resume(&Identity::Deacon).1.missed);
}

#[test]
fn what_was_ended_with_the_whole_town_is_held_no_longer_than_its_supervisor() {
    let records = records();
    let agent = |name: &str| -> Identity { format!("@{name}").parse().unwrap() };
    let by = |command: &str| ByCommand {
        uid: 1,
        user: Some("anna".into()),
        command: command.into(),
        at: at(1).wall,
        until: None,
        when_idle: false,
        of_file: false,
    };
    for (name, command) in [("app", "down"), ("db", "stop")] {
        let hold = Hold {
            since: at(1).wall,
            why: String::new(),
            by: Some("anna".into()),
            until: None,
            down: by(command).is_down(),
            hook: None,
        };
        let before = Before { hold: Some(hold), ..Before::default() };
        let held = Lifecycle::resumed(RestartHistory::default(), before, at(1));
        records.keep(&agent(name), &held, at(1).wall);
        for (id, stage) in [("due", Stage::Due), ("done", Stage::Done)] {
            let claim = Claim {
                identity: agent(name),
                action: Action::Stop,
                stage,
                number: 1,
                by: Some(by(command)),
                outcome: None,
            };
            let mut agents = records.agents.lock();
            agents.get_mut(&agent(name)).unwrap().requests.insert(format!("{name}-{id}"), claim);
        }
    }
    assert_eq!(records.held(), [agent("app"), agent("db")]);
    records.let_go_after_down();
    assert_eq!(records.held(), [agent("db")], "who stopped that one meant it for longer");
    let there = |id: &str| records.claim(id).is_some();
    assert_eq!(
        ["app-due", "app-done", "db-due", "db-done"].map(there),
        [false, true, true, true],
        "what was left to be ended is not ended by the next supervisor"
    );
}

#[test]
fn a_start_takes_back_what_ends_all_when_a_command_asked_for_it_later() {
    let request = |id: &str, agent: &str, action, of_file| Request {
        id: id.into(),
        identity: format!("@{agent}").parse().unwrap(),
        action,
        by: Some(ByCommand {
            uid: 1,
            user: None,
            command: action_of(action),
            at: at(1).wall,
            until: None,
            when_idle: false,
            of_file,
        }),
    };
    fn action_of(action: Action) -> String {
        action.command().to_owned()
    }
    let down = || request("down-1", "app", Action::Stop, false);
    for (name, requests, expected) in [
        ("nothing was asked for", vec![], false),
        ("not ended yet", vec![request("a", "app", Action::Start, false)], false),
        ("it is being ended", vec![down()], false),
        ("started before", vec![request("a", "app", Action::Start, false), down()], false),
        ("started since", vec![down(), request("a", "app", Action::Start, false)], true),
        ("another one since", vec![down(), request("a", "db", Action::Restart, false)], true),
        ("stopped since", vec![down(), request("a", "app", Action::Stop, false)], false),
        ("restarted by the file", vec![down(), request("a", "db", Action::Restart, true)], false),
    ] {
        let records = records();
        requests.iter().for_each(|it| records.put_request(it));
        assert_eq!(records.is_start_asked_after(["down-1", "down-2"].into_iter()), expected, "{name}");
    }
    let (records, outcome) = (records(), Outcome::failed("superseded", "taken back"));
    records.put_request(&down());
    for it in [down(), request("down-2", "db", Action::Stop, false)] {
        records.put_outcome(&it, outcome.clone());
        assert_eq!(records.claim(&it.id).and_then(|it| it.outcome), Some(outcome.clone()), "{}", it.id);
    }
    assert_eq!(records.requested(), BTreeSet::new(), "nothing is left to be done");
}

#[test]
fn what_a_person_stopped_and_what_has_ended_stays_so_when_the_file_has_it_again() {
    let hold = |by: &str, down| {
        let (since, why) = (at(1).wall, String::new());
        Some(Hold { since, why, by: Some(by.into()), until: None, down, hook: None })
    };
    let ended: Option<Ended> = serde_json::from_value(serde_json::json!({"at": at(1).wall})).unwrap();
    let app: Identity = "@app".parse().unwrap();
    for (name, hold, ended, is_held, has_ended) in [
        ("it ran", None, None, false, false),
        ("a person stopped it", hold("anna", false), None, true, false),
        ("the file stopped it", hold("agents.toml", false), None, false, false),
        ("all were ended", hold("anna", true), None, false, false),
        ("it ended by itself", None, ended, false, true),
    ] {
        let records = records();
        let before = Before { hold, ended, ..Before::default() };
        let it = Lifecycle::resumed(RestartHistory::default(), before, at(1));
        records.keep(&app, &it, at(1).wall);
        records.left_file(&app, ("agents.toml", "agents.toml no longer has it"), at(2).wall);
        let (_, before, _) = records.resume(&app);
        assert_eq!((before.hold.is_some(), before.ended.is_some()), (is_held, has_ended), "{name}");
        assert_eq!(before.lifecycle, None, "{name}");
    }
    let records = records();
    for n in 0..LEFT as u64 + 2 {
        let agent: Identity = format!("@a{n}").parse().unwrap();
        let hold = hold("anna", false).map(|hold| Hold { since: at(n).wall, ..hold });
        let before = Before { hold, ..Before::default() };
        records.keep(&agent, &Lifecycle::resumed(RestartHistory::default(), before, at(1)), at(n).wall);
        records.left_file(&agent, ("agents.toml", "gone"), at(n).wall);
    }
    let held = |n: usize| records.hold(&format!("@a{n}").parse().unwrap()).is_some();
    assert_eq!([held(0), held(1), held(2), held(LEFT + 1)], [false, false, true, true], "the oldest go");
}
