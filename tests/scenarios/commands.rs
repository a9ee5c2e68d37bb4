//! An operator restarts, stops and starts one agent by a command; what it says is what happened, whatever happens meanwhile.

use std::time::Duration;

use gastown_supervisor::{
    agent::requests::{Action, ByCommand, Outcome, Request},
    supervision::messages::Report,
    tree::root::RootMsg,
};

use crate::{town, town_of_1_x, world::*};

const PROMPT: &str = r#"{"type":"user","message":{"role":"user","content":"go on"}}"#;
const CREW: &str = "gt-r-crew-max";

/// Anna's command for an agent, as `control` takes it. Returns the id of its request.
async fn order(
    supervisor: &Supervisor,
    (action, identity): (Action, &str),
    hold: Option<Duration>,
    when_idle: bool,
) -> String {
    let deps = &supervisor.deps;
    let at = deps.now().wall;
    let word = format!("{action:?}").to_lowercase();
    let by = ByCommand {
        uid: 1000,
        user: Some("anna".to_owned()),
        command: word,
        at,
        until: hold.map(|time| at + time),
        when_idle,
        of_file: false,
    };
    let id = format!("command-{}", deps.jitter.uuid());
    let identity = identity.parse().unwrap();
    let request = Request { id: id.clone(), identity, action, by: Some(by) };
    deps.records.note_request(deps, &request).await.unwrap();
    supervisor.root().await.cast(RootMsg::Report(Report::Asked(request.identity))).unwrap();
    id
}

async fn outcome(world: &World, supervisor: &Supervisor, id: &str, limit: Duration) -> Outcome {
    let until = world.time() + limit;
    loop {
        // A supervisor that has just begun reads its files first.
        let claim = supervisor.deps.records.claim(id);
        if let Some(outcome) = claim.as_ref().and_then(|claim| claim.outcome.clone()) {
            return outcome;
        }
        assert!(world.time() < until, "no outcome after {limit:?}: {claim:?}");
        world.pass(millis(20)).await;
    }
}

pub async fn ordered(
    world: &World,
    supervisor: &Supervisor,
    what: (Action, &str),
    hold: Option<Duration>,
    when_idle: bool,
) -> Outcome {
    let id = order(supervisor, what, hold, when_idle).await;
    outcome(world, supervisor, &id, mins(2)).await
}

fn lives(world: &World, session: &str) -> bool {
    world.state().lives(session)
}

fn started(world: &World, session: &str) -> usize {
    world.state().created(session).len()
}

#[test]
fn a_stop_holds_for_its_time_also_across_our_restart_and_then_it_is_started() {
    for (identity, session) in [("deacon", DEACON.to_owned()), ("r/witness", witness("r"))] {
        simulate(1_300, |world| async move {
            let supervisor = town(&world, &["r"]).await;
            world.allow_end(&session);
            let stopped =
                ordered(&world, &supervisor, (Action::Stop, identity), Some(mins(120)), false).await;
            assert!(stopped.ok && stopped.code == "stopped", "{stopped:?}");
            assert!(stopped.text.starts_with("stopped, held until "), "{stopped:?}");
            assert!(!world.state().sessions.contains_key(&session), "its session is gone");
            let agent = supervisor.agent(identity).await;
            assert_eq!(
                (agent.state.as_str(), agent.reason_code.as_deref()),
                ("held", Some("stopped_by_operator"))
            );
            let why = agent.reason.unwrap();
            assert!(why.starts_with("stopped by anna until "), "{why}");
            let story = supervisor.story(identity).join("\n");
            assert!(story.contains("stop requested (`stop` by anna (uid 1000))"), "{story}");
            world.pass(mins(30)).await;
            supervisor.vanish().await;
            let supervisor = world.supervisor().await;
            world.pass(mins(85)).await;
            assert!(!lives(&world, &session));
            let agent = supervisor.agent(identity).await;
            assert_eq!((agent.state.as_str(), agent.reason), ("held", Some(why)), "after our restart");
            world.until("its start when the time is over", mins(7), |state| state.lives(&session)).await;
            world.pass(mins(1)).await;
            assert_eq!(supervisor.agent(identity).await.state, "alive");
            assert_eq!(world.events("session_death"), Vec::<serde_json::Value>::new());
        });
    }
}

#[test]
fn what_is_not_idle_is_left_alone_unless_that_is_said() {
    simulate(1_301, |world| async move {
        world.state().accounts.home = Some("/home/agent".to_owned());
        let supervisor = town(&world, &["r"]).await;
        let session = witness("r");
        world.pass(mins(1)).await;
        world.records(&session, PROMPT);
        world.pass(secs(3)).await;
        for action in [Action::Restart, Action::Stop] {
            let refused = ordered(&world, &supervisor, (action, "r/witness"), None, true).await;
            assert_eq!((refused.ok, refused.code.as_str()), (false, "busy"), "{action:?}: {refused:?}");
            assert!(refused.text.starts_with("it is working since "), "{refused:?}");
            assert_eq!((started(&world, &session), lives(&world, &session)), (1, true), "{action:?}");
        }
        world.allow_end(&session);
        world.allow_start(&session);
        let restarted = ordered(&world, &supervisor, (Action::Restart, "r/witness"), None, false).await;
        assert!(restarted.ok && restarted.text.starts_with("restarted in "), "{restarted:?}");
        assert_eq!((started(&world, &session), lives(&world, &session)), (2, true));
        assert_eq!(world.events("session_death"), Vec::<serde_json::Value>::new());
    });
}

#[test]
fn a_start_ends_a_hold_and_says_that_one_runs() {
    simulate(1_302, |world| async move {
        let supervisor = town(&world, &["r"]).await;
        let session = refinery("r");
        let running = ordered(&world, &supervisor, (Action::Start, "r/refinery"), None, false).await;
        assert_eq!((running.ok, running.code.as_str()), (true, "already_running"));
        world.allow_end(&session);
        let stopped = ordered(&world, &supervisor, (Action::Stop, "r/refinery"), None, false).await;
        assert_eq!(stopped.text, "stopped, held until somebody starts it");
        let again = ordered(&world, &supervisor, (Action::Stop, "r/refinery"), None, false).await;
        assert_eq!(again.text, "was not running, held until somebody starts it");
        world.pass(mins(30)).await;
        assert!(!lives(&world, &session));
        world.allow_start(&session);
        let up = ordered(&world, &supervisor, (Action::Start, "r/refinery"), None, false).await;
        assert!(up.ok && up.text.starts_with("started in "), "{up:?}");
        assert!(lives(&world, &session), "it was seen before the answer");
        // From now on it is supervised as before.
        world.pass(mins(10)).await;
        world.crash_agent(&session, false);
        world.until("its repair", secs(10), |state| state.lives(&session)).await;
    });
}

#[test]
fn who_runs_on_request_is_started_restarted_and_stopped() {
    simulate(1_303, |world| async move {
        let supervisor = town(&world, &["r"]).await;
        world.directory("r/crew/max");
        for (identity, session) in [("mayor", MAYOR), ("r/crew/max", CREW)] {
            for action in [Action::Start, Action::Restart] {
                world.allow_start(session);
                world.allow_end(session);
                let up = ordered(&world, &supervisor, (action, identity), None, false).await;
                assert!(up.ok && lives(&world, session), "{identity}, {action:?}: {up:?}");
            }
            world.allow_end(session);
            let down = ordered(&world, &supervisor, (Action::Stop, identity), Some(mins(10)), false).await;
            assert!(down.ok && !lives(&world, session), "{identity}: {down:?}");
            // It is not started by itself afterwards: nobody asked for that.
            world.pass(mins(30)).await;
            assert!(!lives(&world, session), "{identity}");
        }
    });
}

#[test]
fn what_the_gate_forbids_is_said_and_changes_nothing() {
    simulate(1_304, |world| async move {
        let supervisor = town(&world, &["r"]).await;
        world.pass(mins(1)).await;
        world.write("ESTOP", "");
        world.pass(secs(5)).await;
        for action in [Action::Restart, Action::Stop] {
            let refused = ordered(&world, &supervisor, (action, "r/witness"), None, false).await;
            assert_eq!(
                (refused.ok, refused.code.as_str()),
                (false, "emergency_stop"),
                "{action:?}: {refused:?}"
            );
        }
        assert!(lives(&world, &witness("r")));
        assert_eq!(supervisor.deps.records.hold(&"r/witness".parse().unwrap()), None);
        world.remove("ESTOP");
        // What cannot be found out is an answer, too, and not tried again later.
        world.fail("find", true);
        world.fail("list", true);
        let id = order(&supervisor, (Action::Stop, "r/witness"), None, false).await;
        let unclear = outcome(&world, &supervisor, &id, mins(1)).await;
        assert_eq!((unclear.ok, unclear.code.as_str()), (false, "unclear"), "{unclear:?}");
        world.fail("find", false);
        world.fail("list", false);
        world.pass(mins(20)).await;
        assert!(lives(&world, &witness("r")), "nobody waits for that any more");
    });
}

/// The town, in which a command for a witness was given and is to be carried out once.
async fn begun(world: &World, action: Action, after: u64) -> (Supervisor, String) {
    let supervisor = town(world, &["r"]).await;
    let session = witness("r");
    world.allow_end(&session);
    if action == Action::Restart {
        world.allow_start(&session);
    }
    let id = order(&supervisor, (action, "r/witness"), None, false).await;
    world.pass(millis(after)).await;
    (supervisor, id)
}

/// That command is carried out once.
async fn is_done_once(world: &World, supervisor: &Supervisor, (action, id): (Action, &str), after: u64) {
    let session = witness("r");
    let done = outcome(world, supervisor, id, mins(2)).await;
    assert!(done.ok, "{action:?} after {after} ms: {done:?}");
    world.pass(mins(20)).await;
    let expected = if action == Action::Restart { (2, true) } else { (1, false) };
    assert_eq!((started(world, &session), lives(world, &session)), expected, "{action:?} after {after} ms");
}

#[test]
fn a_command_is_carried_out_once_although_the_supervisor_dies() {
    for (seed, after) in [(0, 1), (1, 30), (2, 150), (3, 400), (4, 900), (5, 2_500)] {
        for action in [Action::Restart, Action::Stop] {
            simulate(1_310 + seed, |world| async move {
                let (supervisor, id) = begun(&world, action, after).await;
                supervisor.vanish().await;
                world.pass(secs(1)).await;
                let supervisor = world.supervisor().await;
                is_done_once(&world, &supervisor, (action, &id), after).await;
            });
        }
    }
}

#[test]
fn two_commands_for_one_agent_follow_each_other() {
    simulate(1_320, |world| async move {
        let supervisor = town(&world, &["r"]).await;
        let session = witness("r");
        world.allow_end(&session);
        let stop = order(&supervisor, (Action::Stop, "r/witness"), None, false).await;
        world.allow_start(&session);
        let start = order(&supervisor, (Action::Start, "r/witness"), None, false).await;
        let stopped = outcome(&world, &supervisor, &stop, mins(1)).await;
        let started = outcome(&world, &supervisor, &start, mins(1)).await;
        assert_eq!((stopped.code.as_str(), started.code.as_str()), ("stopped", "started"));
        assert!(lives(&world, &session));
    });
}

#[test]
fn a_polecat_with_work_is_held_for_its_time_and_then_works_again() {
    simulate(1_321, |world| async move {
        world.state().git_takes = millis(10);
        let supervisor = town(&world, &["r"]).await;
        let bead = world.polecat_at_work("r", "nux");
        world.pass(mins(3) + secs(30)).await;
        let (session, identity) = (polecat("r", "nux"), "r/polecats/nux");
        world.allow_end(&session);
        let stopped = ordered(&world, &supervisor, (Action::Stop, identity), Some(mins(60)), false).await;
        assert!(stopped.ok && stopped.code == "stopped", "{stopped:?}");
        assert!(
            stopped.text.contains("stays on its hook, and nobody else works on it"),
            "{stopped:?} {bead}"
        );
        world.pass(mins(50)).await;
        assert!(!lives(&world, &session), "however often its beads are read");
        let mails = |world: &World| world.logged("GUPP").len() + world.logged("Orphaned").len();
        assert_eq!((mails(&world), world.events("session_death")), (0, vec![]), "nobody misses it");
        world.until("its start when the time is over", mins(12), |state| state.lives(&session)).await;
    });
}

#[test]
fn in_a_town_of_1_x_gt_starts_it_again() {
    simulate(1_322, |world| async move {
        let supervisor = town_of_1_x(&world, &["alpha"]).await;
        world.pass(mins(1)).await;
        let session = &*supervisor.agent("alpha/witness").await.session;
        let before = started(&world, session);
        world.allow_end(session);
        world.allow_start(session);
        let restarted = ordered(&world, &supervisor, (Action::Restart, "alpha/witness"), None, false).await;
        assert!(restarted.ok && lives(&world, session), "{restarted:?}");
        assert_eq!(started(&world, session), before + 1);
        world.allow_end(session);
        let stopped = ordered(&world, &supervisor, (Action::Stop, "alpha/witness"), None, false).await;
        assert_eq!(stopped.code, "stopped");
        world.pass(mins(20)).await;
        assert!(!lives(&world, session), "its hook does not start it either");
        world.allow_start(session);
        let up = ordered(&world, &supervisor, (Action::Start, "alpha/witness"), None, false).await;
        assert!(up.ok && lives(&world, session), "{up:?}");
        supervisor.stop().await;
    });
}

#[test]
fn one_that_begins_to_work_in_between_is_left_alone() {
    for action in [Action::Restart, Action::Stop] {
        simulate(1_323, |world| async move {
            world.state().accounts.home = Some("/home/agent".to_owned());
            let supervisor = town(&world, &["r"]).await;
            let session = witness("r");
            world.pass(mins(1)).await;
            let id = order(&supervisor, (action, "r/witness"), None, true).await;
            // What it is about to do is to be on disk first, which takes a while.
            world.hang("replace");
            world.pass(secs(2)).await;
            world.records(&session, PROMPT);
            world.pass(secs(3)).await;
            world.release("replace");
            let refused = outcome(&world, &supervisor, &id, mins(1)).await;
            assert_eq!((refused.ok, refused.code.as_str()), (false, "busy"), "{action:?}: {refused:?}");
            world.pass(mins(5)).await;
            assert_eq!((started(&world, &session), lives(&world, &session)), (1, true), "{action:?}");
            assert_eq!(supervisor.deps.records.hold(&"r/witness".parse().unwrap()), None);
        });
    }
}

#[test]
fn one_whose_screen_shows_that_it_works_is_not_idle_whatever_its_transcript_says() {
    for action in [Action::Restart, Action::Stop] {
        simulate(1_324, |world| async move {
            world.state().accounts.home = Some("/home/agent".to_owned());
            let supervisor = town(&world, &["r"]).await;
            let session = witness("r");
            world.pass(mins(1)).await;
            assert_eq!(supervisor.agent("r/witness").await.activity.as_deref(), Some("idle"));
            // It was prompted just now, and its program has not written that down.
            let works = "✻ Cogitating… (2s · ↑ 1.2k tokens · esc to interrupt)".to_owned();
            world.state().sessions.get_mut(&session).unwrap().shows = vec![works];
            let refused = ordered(&world, &supervisor, (action, "r/witness"), None, true).await;
            assert_eq!((refused.ok, refused.code.as_str()), (false, "busy"), "{action:?}: {refused:?}");
            world.pass(mins(1)).await;
            assert_eq!((started(&world, &session), lives(&world, &session)), (1, true), "{action:?}");
        });
    }
}

#[test]
fn a_command_is_carried_out_once_although_its_actor_crashes() {
    for after in [0, 1, 100, 600, 1_500] {
        for action in [Action::Restart, Action::Stop] {
            simulate(1_330 + after, |world| async move {
                let (supervisor, id) = begun(&world, action, after).await;
                supervisor.crash("r/witness").await;
                is_done_once(&world, &supervisor, (action, &id), after).await;
            });
        }
    }
}

#[test]
fn a_command_that_nobody_could_begin_for_long_is_not_carried_out() {
    simulate(1_340, |world| async move {
        let supervisor = town(&world, &["r"]).await;
        let deps = supervisor.deps.clone();
        for (minutes, code) in [(6, "too_old"), (4, "stopped")] {
            let at = deps.now().wall - mins(minutes);
            let (user, command) = (Some("anna".to_owned()), "stop".to_owned());
            let by =
                ByCommand { uid: 1000, user, command, at, until: None, when_idle: false, of_file: false };
            let (id, identity) = (format!("command-{minutes}"), "r/witness".parse().unwrap());
            let request = Request { id: id.clone(), identity, action: Action::Stop, by: Some(by) };
            deps.records.note_request(&deps, &request).await.unwrap();
            if code == "stopped" {
                world.allow_end(&witness("r"));
            }
            supervisor.root().await.cast(RootMsg::Report(Report::Asked(request.identity))).unwrap();
            let outcome = outcome(&world, &supervisor, &id, mins(1)).await;
            assert_eq!(outcome.code, code, "{minutes} minutes old");
            assert_eq!(lives(&world, &witness("r")), code == "too_old");
        }
    });
}

#[test]
fn a_command_that_waited_for_its_turn_is_tried_as_long_as_any_other() {
    simulate(1_341, |world| async move {
        let supervisor = town(&world, &["r"]).await;
        let deps = supervisor.deps.clone();
        let (user, command) = (Some("anna".to_owned()), "stop".to_owned());
        let at = deps.now().wall - mins(1);
        let by = ByCommand { uid: 1000, user, command, at, until: None, when_idle: false, of_file: false };
        let (id, identity) = ("command-1".to_owned(), "r/witness".parse().unwrap());
        let request = Request { id: id.clone(), identity, action: Action::Stop, by: Some(by) };
        deps.records.note_request(&deps, &request).await.unwrap();
        world.fail("find", true);
        world.fail("list", true);
        world.allow_end(&witness("r"));
        supervisor.root().await.cast(RootMsg::Report(Report::Asked(request.identity))).unwrap();
        world.pass(secs(5)).await;
        world.fail("find", false);
        world.fail("list", false);
        assert_eq!(outcome(&world, &supervisor, &id, mins(1)).await.code, "stopped");
    });
}

#[test]
fn a_command_that_waits_for_memory_makes_way_for_the_next() {
    simulate(1_342, |world| async move {
        let supervisor = town(&world, &["r"]).await;
        world.directory("r/crew/max");
        world.state().machine.available = GIB;
        let start = order(&supervisor, (Action::Start, "r/crew/max"), None, false).await;
        world.pass(secs(30)).await;
        let stop = order(&supervisor, (Action::Stop, "r/crew/max"), None, false).await;
        let (started, stopped) = (
            outcome(&world, &supervisor, &start, mins(2)).await,
            outcome(&world, &supervisor, &stop, mins(2)).await,
        );
        assert_eq!((started.ok, started.code.as_str()), (false, "superseded"), "{started:?}");
        assert_eq!((stopped.ok, stopped.code.as_str()), (true, "not_running"), "{stopped:?}");
    });
}
