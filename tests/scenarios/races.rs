//! Races: never two agents for one polecat, and never the end of a live one.

use crate::{deeds, town, world::*};

const NAME: &str = "Toast";

fn session() -> String {
    polecat("r", NAME)
}

/// A town with one rig and a polecat that has worked for a while.
async fn at_work(world: &World) -> Supervisor {
    let supervisor = town(world, &["r"]).await;
    world.polecat_at_work("r", NAME);
    world.pass(mins(5)).await; // a shell so young could still become an agent
    supervisor
}

fn made(world: &World, session: &str) -> usize {
    world.state().created(session).len()
}

/// How often its crash was reported: by event, and with `gt log crash`.
fn told(world: &World, session: &str) -> (usize, usize) {
    let events = world.events("session_death");
    let of_it = events.iter().filter(|event| event["payload"]["session"] == session).count();
    (of_it, world.state().crashes_of(session).len())
}

/// The sessions of this name there ever were.
fn incarnations(world: &World, session: &str) -> usize {
    let begun = format!("session {session} is there");
    world.trace().iter().filter(|line| line.contains(&begun)).count()
}

#[test]
fn it_comes_back_by_itself_between_notice_and_action() {
    // Its second probe begins after 5 s, and its session is created 0.8 s later.
    let coarse = (0..=7_000).step_by(500);
    let fine = (4_950..=5_950).step_by(100);
    let all = coarse
        .chain(fine)
        .flat_map(|after| [(after, false, true), (after, true, true), (after, false, false)]);
    for (after, leaves_shell, seen) in all {
        let name = format!("{after} ms after the crash, shell left: {leaves_shell}, told by tmux: {seen}");
        simulate(420, |world| async move {
            let supervisor = at_work(&world).await;
            let before = incarnations(&world, &session());
            world.crash_agent(&session(), leaves_shell);
            world.hint();
            world.after(millis(after), move |world| {
                world.state().weather.hints = if seen { 0.0 } else { 1.0 };
                // A person who starts it by hand removes a leftover shell.
                if !world.state().lives(&session()) {
                    world.end_session(&session(), "by hand");
                    world.start_agent(&session());
                }
            });
            world.pass(mins(4)).await;
            assert_eq!(
                incarnations(&world, &session()) - before,
                1,
                "{name}: one agent came, whoever made it"
            );
            assert!(world.state().lives(&session()), "{name}");
            assert_eq!(supervisor.agent("r/polecats/Toast").await.state, "alive", "{name}");
            let by_hand = world.state().session(&session()).by == By::Operator;
            let typed = world.state().session(&session()).typed.len();
            assert_eq!(typed, if by_hand { 0 } else { 1 }, "{name}: it is told what to do by who made it");
        });
    }
}

#[test]
fn gt_makes_its_session_while_ours_is_being_made() {
    for leaves_shell in [false, true] {
        simulate(421, |world| async move {
            let supervisor = at_work(&world).await;
            world.hang("create");
            world.crash_agent(&session(), leaves_shell);
            world.hint();
            let asked = |state: &State| state.trace.iter().any(|it| it.what.starts_with("create gt-r-Toast"));
            world.until("the question for a session", secs(8), asked).await;
            world.start_agent(&session());
            let theirs = world.state().session(&session()).id;
            world.pass(secs(1)).await;
            world.release("create");
            let duplicate = |state: &State| state.trace.iter().any(|it| it.what.contains("nothing was made"));
            world.until("tmux says: duplicate session", secs(1), duplicate).await;
            world.pass(mins(10)).await;
            {
                let state = world.state();
                assert_eq!(
                    (state.session(&session()).id, state.session(&session()).typed.len()),
                    (theirs, 0)
                );
                assert_eq!(state.created(&session()).len(), 0);
            }
            assert_eq!(supervisor.agent("r/polecats/Toast").await.state, "alive");
            assert_eq!(supervisor.snapshot().await.problems, Default::default());
        });
    }
}

#[test]
fn gt_starts_what_we_are_just_clearing_away() {
    // Between the end of what was left and the new session lie some 0.8 s.
    for after in (0..1_000).step_by(50) {
        simulate(422, |world| async move {
            let supervisor = at_work(&world).await;
            world.crash_agent(&session(), true);
            world.hint();
            world.until("the end of the shell", secs(8), |state| state.ended(&session()).len() == 1).await;
            world.pass(millis(after)).await;
            world.start_agent(&session());
            world.pass(mins(4)).await;
            assert_eq!(world.state().ended(&session()).len(), 1, "after {after} ms");
            assert_eq!(incarnations(&world, &session()), 2, "after {after} ms");
            assert_eq!(supervisor.agent("r/polecats/Toast").await.state, "alive", "after {after} ms");
        });
    }
}

#[test]
fn we_are_killed_between_kill_and_start() {
    for (whose, confirm) in [(session(), 5_000), (witness("r"), 1_000)] {
        for after in (confirm - 100..confirm + 1_200).step_by(100).chain([0, 500, confirm + 3_000]) {
            let name = format!("{whose} after {after} ms");
            let whose = whose.clone();
            simulate(423, |world| async move {
                let supervisor = at_work(&world).await;
                let before = incarnations(&world, &whose);
                world.crash_agent(&whose, true);
                world.hint();
                world.pass(millis(after)).await;
                supervisor.vanish().await;
                let supervisor = world.supervisor().await;
                world.until(&name, mins(1), |state| state.lives(&whose)).await;
                world.pass(mins(10)).await;
                assert_eq!(incarnations(&world, &whose) - before, 1, "{name}: exactly one agent");
                assert!(world.state().lives(&whose), "{name}");
                let town = supervisor.snapshot().await;
                assert!(town.agents.iter().all(|it| it.state == "alive" || it.role == "boot"), "{name}");
            });
        }
    }
}

/// Parks the rig, sees that nothing comes, and that it comes when it is unparked.
async fn parked(world: &World, name: &str, whose: &[String]) {
    let before = deeds(world);
    world.write_wisp("r", r#""status":"parked""#);
    world.pass(mins(20)).await;
    assert_eq!(deeds(world), before, "{name}");
    world.unpark("r");
    let all = |state: &State| whose.iter().all(|session| state.lives(session));
    world.until(name, secs(120), all).await;
}

#[test]
fn the_rig_is_parked_while_a_restart_waits_for_its_backoff() {
    for (whose, identity) in [(session(), "r/polecats/Toast"), (witness("r"), "r/witness")] {
        simulate(424, |world| async move {
            let supervisor = at_work(&world).await;
            let before = made(&world, &whose);
            world.crash_agent(&whose, false);
            world.until("its first restart", secs(8), |state| state.created(&whose).len() > before).await;
            world.pass(secs(10)).await;
            world.crash_agent(&whose, false);
            supervisor.until_agent(identity, "waiting", secs(10)).await;
            parked(&world, identity, &[whose]).await;
        });
    }
}

#[test]
fn the_rig_is_parked_while_restarts_wait_for_their_turn() {
    simulate(425, |world| async move {
        let supervisor = at_work(&world).await;
        let all: Vec<String> = ["ace", "bit", "cog", "dot"]
            .iter()
            .map(|name| world.polecat_at_work("r", name))
            .chain([session(), witness("r"), refinery("r")])
            .collect();
        world.pass(mins(5)).await;
        for session in &all {
            world.crash_agent(session, false);
        }
        supervisor.until_agent("r/polecats/dot", "waiting", secs(9)).await;
        world.pass(millis(500)).await;
        let reason = supervisor.agent("r/polecats/dot").await.reason.unwrap();
        assert!(reason.contains("paced"), "{reason}");
        assert!(all.iter().any(|session| !world.state().lives(session)), "some wait");
        parked(&world, "paced", &all).await;
    });
}

#[test]
fn the_rig_is_parked_while_a_restart_waits_for_a_start_slot() {
    simulate(426, |world| async move {
        world.write("settings/supervisor.json", r#"{"start":{"max_concurrent":1}}"#);
        let supervisor = at_work(&world).await;
        world.state().nature.appears = 10_000..10_001;
        world.crash_agent(DEACON, false);
        world.until("the deacon's start", secs(3), |state| state.created(DEACON).len() == 2).await;
        world.pass(secs(3)).await;
        let both = [session(), witness("r")];
        for session in &both {
            world.crash_agent(session, false);
        }
        world.pass(secs(5) + millis(900)).await;
        for identity in ["r/polecats/Toast", "r/witness"] {
            assert_eq!(supervisor.agent(identity).await.state, "starting");
        }
        assert!(both.iter().all(|session| !world.state().sessions.contains_key(session)), "they wait");
        parked(&world, "no slot", &both).await;
    });
}

#[test]
fn somebody_stops_it_by_hand_while_its_start_waits_for_the_remote() {
    type Act = fn(&World);
    let acts: [(&str, Act, bool); 4] = [
        ("the command was seen", |world| _ = world.gt("gt refinery stop r", TOWN, millis(66)), false),
        ("only its note was", |world| world.write_agent_state(&refinery("r"), "stopped"), false),
        ("another was stopped", |world| _ = world.gt("gt witness stop r", TOWN, millis(66)), true),
        ("nobody", |_| (), true),
    ];
    for (name, act, comes) in acts {
        simulate(431, |world| async move {
            let supervisor = at_work(&world).await;
            world.state().git_takes = secs(8);
            world.crash_agent(&refinery("r"), false);
            world.pass(secs(5)).await;
            assert_eq!(supervisor.agent("r/refinery").await.state, "starting", "{name}");
            act(&world);
            world.pass(mins(8)).await;
            assert_eq!(world.state().lives(&refinery("r")), comes, "{name}");
            let expected = if comes { "alive" } else { "held" };
            assert_eq!(supervisor.agent("r/refinery").await.state, expected, "{name}");
            world.write_agent_state(&refinery("r"), "running");
            world.until(name, mins(4), |state| state.lives(&refinery("r"))).await;
        });
    }
}

#[test]
fn its_work_is_taken_from_it_while_its_start_waits() {
    type Act = fn(&World);
    let waits: [(&str, Act); 2] = [
        ("for a start slot", |world| world.state().nature.appears = 10_000..10_001),
        ("for the remote", |world| world.state().git_takes = secs(20)),
    ];
    let acts: [(&str, Act, bool); 5] = [
        ("its work is closed", |world| world.close_bead(&work_of("r", NAME)), false),
        ("its hook is emptied", |world| world.unhook("r", NAME), false),
        ("it is stuck", |world| world.set_state("r", NAME, "stuck"), false),
        ("bd fails", |world| world.fail("bd", true), false),
        ("nothing", |_| (), true),
    ];
    for ((wait, begin), (name, act, comes)) in waits.into_iter().flat_map(|it| acts.map(|act| (it, act))) {
        simulate(430, |world| async move {
            world.write("settings/supervisor.json", r#"{"start":{"max_concurrent":1}}"#);
            let supervisor = at_work(&world).await;
            begin(&world);
            if wait == "for a start slot" {
                world.crash_agent(DEACON, false);
                world.pass(secs(2)).await;
            }
            world.crash_agent(&session(), false);
            supervisor.until_agent("r/polecats/Toast", "starting", secs(8)).await;
            world.pass(millis(500)).await;
            act(&world);
            world.pass(mins(2)).await;
            assert_eq!(world.state().lives(&session()), comes, "{name} while it waits {wait}");
            assert!(world.state().lives(DEACON));
        });
    }
}

/// Actors that have to do with one agent.
const ACTORS: [&str; 6] = ["sessions", "operator", "rig r", "root", "r/polecats", "r/witness"];

/// Milliseconds after an end that two agents share: a witness is probed again after 1 s and a polecat after 5 s,
/// and each is back some 200 ms and 800 ms later.
const MOMENTS: [u64; 15] = [0, 1, 4, 6, 30, 500, 950, 1_050, 1_200, 2_500, 4_950, 5_050, 5_150, 5_500, 5_900];

#[test]
fn an_actor_that_crashes_during_a_confirmation_starts_no_agent_twice() {
    for (actor, leaves_shell) in ACTORS.into_iter().flat_map(|actor| [(actor, false), (actor, true)]) {
        for after in MOMENTS {
            let name = format!("{actor} crashes after {after} ms, shell left: {leaves_shell}");
            simulate(427, |world| async move {
                let supervisor = at_work(&world).await;
                let both = [session(), witness("r")];
                let before: Vec<usize> = both.iter().map(|session| incarnations(&world, session)).collect();
                for session in &both {
                    world.crash_agent(session, leaves_shell);
                }
                world.hint();
                world.pass(millis(after)).await;
                supervisor.crash(actor).await;
                world.pass(mins(6)).await;
                for (session, before) in both.iter().zip(before) {
                    assert!(world.state().lives(session), "{name}: {session}");
                    assert_eq!(incarnations(&world, session) - before, 1, "{name}: {session}");
                    let (events, logged) = told(&world, session);
                    assert_eq!((events, logged <= 1), (1, true), "{name}: {session} is told once");
                }
            });
        }
    }
}

#[test]
fn an_actor_that_crashes_forgets_no_command_that_stopped_an_agent() {
    let stops = [
        (session(), "r/polecats/Toast", "gt session stop r/Toast"),
        (witness("r"), "r/witness", "gt session stop r/witness"),
        (DEACON.to_owned(), "deacon", "gt deacon stop"),
    ];
    for (whose, identity, line) in stops {
        for actor in ACTORS.into_iter().chain(["deacon"]) {
            for after in MOMENTS.into_iter().step_by(2) {
                let whose = whose.clone();
                let name = format!("{line}; {actor} crashes after {after} ms");
                simulate(428, |world| async move {
                    let supervisor = at_work(&world).await;
                    let before = deeds(&world);
                    // Nothing is written down, and the command is gone some milliseconds after its deed.
                    world.gt(line, TOWN, millis(278));
                    let stopped = whose.clone();
                    world.after(millis(277), move |world| world.end_session(&stopped, line));
                    world.pass(millis(277 + after)).await;
                    supervisor.crash(actor).await;
                    world.pass(mins(9)).await;
                    let boots = world.state().created(BOOT).len();
                    assert!(!world.state().lives(&whose), "{name}: it stays stopped");
                    assert!(deeds(&world) - before <= boots, "{name}");
                    assert_eq!(supervisor.agent(identity).await.state, "held", "{name}");
                    assert_eq!(told(&world, &whose), (0, 0), "{name}");
                });
            }
        }
    }
}

#[test]
fn the_world_sees_a_second_agent_and_a_live_one_ended() {
    simulate(429, |world| async move {
        let _supervisor = at_work(&world).await;
        let seen = |world: &World, act: fn(&mut State, std::time::Duration)| {
            let now = world.time();
            let mut state = world.state();
            act(&mut state, now);
            std::mem::take(&mut state.violations).len()
        };
        assert_eq!(seen(&world, |state, now| state.may_end(now, &session())), 1, "ended by its processes");
        let kill: fn(&mut State, std::time::Duration) =
            |state, now| state.may_kill_session(now, now, &session());
        assert_eq!(seen(&world, kill), 1, "killed by its name");
        let create: fn(&mut State, std::time::Duration) = |state, now| state.may_create(now, &session());
        world.crash_agent(&session(), false);
        world.until("ours", secs(8), |state| state.lives(&session())).await;
        world.pass(secs(20)).await;
        assert!(seen(&world, create) >= 1, "a second one beside ours");
        world.crash_agent(&session(), true);
        assert_eq!(seen(&world, |state, now| state.may_end(now, &session())), 0, "a shell may be");
    });
}
