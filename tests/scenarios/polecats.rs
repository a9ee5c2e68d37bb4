//! Polecats crash and are restarted, but only while they have work and nobody is removing them.

use gastown_supervisor::tree::root::RootMsg;
use ractor::ActorRef;

use crate::{deeds, town, world::*};

const NAME: &str = "Toast";

fn session() -> String {
    polecat("r", NAME)
}

/// A town with one rig and a polecat that has worked for a while.
async fn at_work(world: &World) -> Supervisor {
    world.state().git_takes = millis(10);
    let supervisor = town(world, &["r"]).await;
    world.polecat_at_work("r", NAME);
    world.pass(mins(5)).await; // a shell so young could still become an agent
    assert_eq!(supervisor.agent("r/polecats/Toast").await.state, "alive");
    supervisor
}

/// It ends; tmux does not report a shell left behind, but something else soon does.
fn crash(world: &World, leaves_shell: bool) {
    world.crash_agent(&session(), leaves_shell);
    world.hint();
}

fn made(world: &World) -> usize {
    world.state().created(&session()).len()
}

/// How often its crash was reported: log line, event, `gt log crash`.
fn told(world: &World) -> [usize; 3] {
    let of_it = |event: &serde_json::Value| event["payload"]["session"] == session();
    let events = world.events("session_death").iter().filter(|event| of_it(event)).count();
    [
        world.logged("CRASH DETECTED: polecat r/Toast").len(),
        events,
        world.state().crashes_of(&session()).len(),
    ]
}

/// The mails about its end: recipient and subject. That its bead does not change for half an hour is mailed too.
fn mails(world: &World) -> Vec<(String, String)> {
    let state = world.state();
    let mails = state.mails.iter().filter(|(_, _, subject)| !subject.starts_with("GUPP_VIOLATION"));
    mails.map(|(_, to, subject)| (to.clone(), subject.clone())).collect()
}

fn one_mail() -> Vec<(String, String)> {
    vec![("r/witness".to_owned(), "CRASHED_POLECAT: r/Toast restart failed".to_owned())]
}

#[test]
fn repeated_triggers_hold_up_no_repair() {
    let heartbeat_now = |_: &World, root: &ActorRef<RootMsg>| drop(root.cast(RootMsg::HeartbeatNow));
    let reread = |_: &World, root: &ActorRef<RootMsg>| drop(root.cast(RootMsg::RereadRestartState));
    let poke = |_: &World, root: &ActorRef<RootMsg>| drop(root.cast(RootMsg::BeatNow));
    let clear = |_: &World, root: &ActorRef<RootMsg>| drop(root.cast(RootMsg::ClearBackoff(None)));
    let file =
        |world: &World, _: &ActorRef<RootMsg>| world.write("mayor/note.json", &world.wall().to_string());
    let hint = |world: &World, _: &ActorRef<RootMsg>| world.hint();
    type Trigger = fn(&World, &ActorRef<RootMsg>);
    for (name, trigger) in [
        ("SIGUSR1", heartbeat_now as Trigger),
        ("SIGUSR2", reread),
        ("poke", poke),
        ("clear-backoff", clear),
        ("a file in mayor/", file),
        ("sessions come and go", hint),
    ] {
        for bd_takes in [800, 1_500, 3_000] {
            simulate(401, |world| async move {
                let supervisor = at_work(&world).await;
                world.write("daemon/restart_state.json", r#"{"agents":{}}"#);
                world.state().bd_takes = millis(bd_takes);
                supervisor.trigger_each_second(trigger, 120).await;
                world.pass(secs(10)).await;
                for session in [session(), witness("r"), DEACON.to_owned()] {
                    world.crash_agent(&session, false);
                }
                let what = format!("{name}, bd takes {bd_takes} ms");
                let others = |state: &State| state.lives(&witness("r")) && state.lives(DEACON);
                world.until(&what, secs(5), others).await;
                // Its beads, those of others, and `bd sync`, each in its turn.
                world.until(&what, secs(60), |state| state.lives(&session())).await;
                world.pass(mins(3)).await;
                assert_eq!(made(&world), 1, "{what}");
            });
        }
    }
}

#[test]
fn one_that_crashes_is_back_after_five_seconds_and_reported_once() {
    for (name, leaves_shell) in [("session gone", false), ("only a shell left", true)] {
        simulate(400, |world| async move {
            let supervisor = at_work(&world).await;
            let died = world.time();
            crash(&world, leaves_shell);
            world.until("its restart", secs(10), |state| state.created(&session()).len() == 1).await;
            let took = world.time() - died;
            assert!(took >= secs(5) && took <= millis(5500), "{name}: {took:?}");
            world.pass(mins(20)).await;
            world.edit_bead(&agent_bead("r", NAME), |_| {}); // it gets on
            world.pass(mins(15)).await;
            assert_eq!(made(&world), 1, "{name}: once");
            assert_eq!(told(&world), [1, 1, 1], "{name}");
            let line = "polecat r/Toast has hook_bead=r-Toast but session gt-r-Toast is dead";
            assert_eq!(world.logged(line).len(), 1, "{name}");
            let reason = world.events("session_death")[0]["payload"]["reason"].clone();
            let expected = if leaves_shell { "agent gone, shell left" } else { "crashed" };
            assert!(reason.as_str().unwrap().starts_with(expected), "{name}: {reason}");
            let typed: Vec<String> =
                world.state().session(&session()).typed.iter().map(|(_, text)| text.clone()).collect();
            assert_eq!(typed.len(), 1, "{name}: {typed:?}");
            assert!(typed[0].starts_with("[GAS TOWN] r/polecats/Toast <- daemon"), "{typed:?}");
            assert!(typed[0].contains("• restart\n"), "{name}: {typed:?}");
            assert_eq!(world.events("agent_restarted").len(), 1, "{name}");
            assert_eq!(supervisor.agent("r/polecats/Toast").await.restarts, 0, "{name}: stable again");
            assert_eq!(mails(&world), [], "{name}");
            assert_eq!(supervisor.snapshot().await.problems, Default::default(), "{name}");
        });
    }
}

type Act = fn(&World);

/// What takes a polecat's work away, or says that it is not to run.
const NOT_WANTED: [(&str, Act); 11] = [
    ("no hook", |world| world.unhook("r", NAME)),
    ("hooked bead closed", |world| world.close_bead(&work_of("r", NAME))),
    ("hooked bead deleted", |world| world.delete_bead(&work_of("r", NAME))),
    ("agent bead closed", |world| world.close_bead(&agent_bead("r", NAME))),
    ("agent bead deleted", |world| world.delete_bead(&agent_bead("r", NAME))),
    ("done", |world| world.set_state("r", NAME, "done")),
    ("nuked", |world| world.set_state("r", NAME, "nuked")),
    ("closed", |world| world.set_state("r", NAME, "closed")),
    ("stuck", |world| world.set_state("r", NAME, "stuck")),
    ("awaiting-gate", |world| world.set_state("r", NAME, "awaiting-gate")),
    ("parked", |world| world.write_wisp("r", r#""status":"parked""#)),
];

/// It was not restarted and nothing was reported.
fn nothing_was_done(world: &World, before: usize, name: &str) {
    assert_eq!(deeds(world), before, "{name}");
    assert_eq!(told(world), [0, 0, 0], "{name}");
    assert_eq!(mails(world), [], "{name}");
}

#[test]
fn one_that_is_not_wanted_is_left_dead() {
    for leaves_shell in [false, true] {
        for (name, act) in NOT_WANTED {
            simulate(401, |world| async move {
                let supervisor = at_work(&world).await;
                act(&world);
                world.pass(secs(2)).await;
                let before = deeds(&world);
                crash(&world, leaves_shell);
                world.pass(mins(20)).await;
                nothing_was_done(&world, before, name);
                let agent = supervisor.agent("r/polecats/Toast").await;
                let expected = if name == "parked" { "paused" } else { "absent" };
                assert_eq!(agent.state, expected, "{name}: {agent:#?}");
                assert_eq!(supervisor.snapshot().await.problems, Default::default(), "{name}");
            });
        }
    }
}

#[test]
fn one_that_stops_being_wanted_before_the_second_probe_is_left_dead() {
    for after in [0, 1, 2_500, 4_990] {
        for (name, act) in NOT_WANTED {
            simulate(402, |world| async move {
                let _supervisor = at_work(&world).await;
                let before = deeds(&world);
                crash(&world, false);
                world.after(millis(after), act);
                world.pass(mins(20)).await;
                nothing_was_done(&world, before, &format!("{name} {after} ms after the crash"));
            });
        }
    }
}

#[test]
fn one_that_is_wanted_again_is_brought_back() {
    simulate(403, |world| async move {
        let _supervisor = at_work(&world).await;
        world.set_state("r", NAME, "awaiting-gate");
        crash(&world, false);
        world.pass(mins(10)).await;
        assert_eq!(made(&world), 0);
        world.set_state("r", NAME, "working");
        let again = |state: &State| state.created(&session()).len() == 1;
        world.until("the next heartbeat", secs(180 + 7), again).await;
    });
}

#[test]
fn one_that_is_being_spawned_is_left_to_the_command_that_spawns_it() {
    simulate(404, |world| async move {
        let _supervisor = town(&world, &["r"]).await;
        world.add_polecat("r", NAME, "r-1");
        world.set_state("r", NAME, "spawning");
        let spawned = world.time();
        world.until("its start", mins(9), |state| state.created(&session()).len() == 1).await;
        let took = world.time() - spawned;
        assert!(took >= mins(5) && took < mins(5) + secs(190), "{took:?}");
    });
}

#[test]
fn one_that_stays_spawning_and_was_seen_alive_is_brought_back_at_once() {
    // `gt sling` sets the hook once more when the session has been there for 20 s.
    for (name, hooked_again) in [("hooked once", false), ("hooked again", true)] {
        simulate(405, |world| async move {
            let _supervisor = town(&world, &["r"]).await;
            world.add_polecat("r", NAME, "r-1");
            world.set_state("r", NAME, "spawning");
            world.pass(millis(300)).await;
            world.start_agent(&session());
            world.pass(secs(22)).await;
            if hooked_again {
                world.unhook("r", NAME);
                world.after(millis(150), |world| world.hook("r", NAME, "r-1"));
            }
            world.pass(secs(100)).await;
            crash(&world, false);
            let again = |state: &State| state.created(&session()).len() == 1;
            world.until(name, secs(7), again).await;
        });
    }
}

#[test]
fn nothing_is_done_while_bd_does_not_answer() {
    for (name, hangs) in [("fails", false), ("hangs", true)] {
        simulate(406, |world| async move {
            let supervisor = at_work(&world).await;
            let before = deeds(&world);
            if hangs {
                world.hang("bd");
            } else {
                world.fail("bd", true);
            }
            crash(&world, false);
            world.pass(mins(10)).await;
            nothing_was_done(&world, before, name);
            assert_eq!(supervisor.agent("r/polecats/Toast").await.state, "confirming", "{name}");
            world.release("bd");
            world.fail("bd", false);
            let again = |state: &State| state.created(&session()).len() == 1;
            world.until("bd answers", secs(75), again).await;
            world.pass(mins(4)).await;
            assert_eq!(told(&world), [1, 1, 1], "{name}");
            assert_eq!(supervisor.snapshot().await.problems, Default::default(), "{name}");
        });
    }
}

#[test]
fn a_worktree_that_vanishes_is_waited_for_and_then_reported_once() {
    for (name, gone) in [("the worktree", "r/polecats/Toast/r"), ("the directory", "r/polecats/Toast")] {
        simulate(407, |world| async move {
            let _supervisor = at_work(&world).await;
            let before = deeds(&world);
            crash(&world, false);
            world.after(millis(243), move |world| world.remove_directory(gone));
            world.pass(secs(59)).await;
            nothing_was_done(&world, before, name);
            world.pass(secs(8)).await;
            assert_eq!(told(&world), [1, 1, 1], "{name}");
            assert_eq!(mails(&world), one_mail(), "{name}");
            let body = world.trace().iter().any(|line| {
                line.contains("CRASHED_POLECAT") && line.contains("polecat worktree does not exist")
            });
            assert!(body, "{name}: the mail says why");
            world.pass(mins(300)).await;
            assert_eq!(mails(&world), one_mail(), "{name}: never again for the same incident");
            assert_eq!(told(&world), [1, 1, 1], "{name}");
            assert_eq!(deeds(&world), before, "{name}");
        });
    }
}

#[test]
fn a_polecat_without_a_worktree_of_its_own_is_not_started() {
    const PLACE: &str = "r/polecats/Toast/r";
    let cases: [(&str, Act, &str); 2] = [
        ("no repository", |world| world.remove_repository(PLACE), "there is no .git in r/polecats/Toast/r"),
        (
            "what looks like one",
            |world| {
                world.remove_repository(PLACE);
                world.directory("r/polecats/Toast/r/.git");
            },
            "/town/r/polecats/Toast/r is not a git worktree",
        ),
    ];
    for (name, act, why) in cases {
        simulate(416, |world| async move {
            let supervisor = at_work(&world).await;
            act(&world);
            crash(&world, false);
            world.pass(mins(5)).await;
            assert_eq!(made(&world), 0, "{name}");
            let problems = supervisor.snapshot().await.problems;
            let told = &problems["rig/r/r/polecats/Toast/start"];
            assert!(told.contains(why), "{name}: {told}");
            assert_eq!(world.logged(why).len(), 1, "{name}: told once");
            world.restore_repository(PLACE);
            world.until("its restart", mins(10), |state| state.created(&session()).len() == 1).await;
        });
    }
}

#[test]
fn a_polecat_of_which_git_says_nothing_is_not_started() {
    simulate(417, |world| async move {
        let supervisor = at_work(&world).await;
        world.fail("git", true);
        world.state().programs.remove("git");
        crash(&world, false);
        world.pass(mins(5)).await;
        assert_eq!(made(&world), 0);
        let problems = supervisor.snapshot().await.problems;
        assert!(problems["rig/r/r/polecats/Toast/start"].contains("git is not installed"), "{problems:?}");
        world.state().programs.insert("git".to_owned());
        world.fail("git", false);
        world.until("its restart", mins(10), |state| state.created(&session()).len() == 1).await;
    });
}

#[test]
fn a_polecat_that_is_removed_is_forgotten() {
    simulate(408, |world| async move {
        let supervisor = at_work(&world).await;
        let before = deeds(&world);
        crash(&world, false);
        world.after(millis(243), |world| world.remove_worktree("r", NAME));
        world.after(secs(30), |world| world.unhook("r", NAME)); // a slow machine
        world.pass(mins(7)).await;
        nothing_was_done(&world, before, "removed");
        let town = supervisor.snapshot().await;
        assert_eq!(town.agents.len(), 4, "nobody looks after it any more: {:#?}", town.agents);
        assert_eq!(town.problems, Default::default());
    });
}

#[test]
fn a_new_incident_is_reported_again() {
    let news: [(&str, Act); 2] = [
        ("well, and crashed anew", |world| {
            world.directory("r/polecats/Toast/r");
            world.after(mins(10), |world| {
                crash(world, false);
                world.remove_directory("r/polecats/Toast/r");
            });
        }),
        ("another piece of work", |world| world.hook("r", NAME, "r-2")),
    ];
    for (name, act) in news {
        simulate(409, |world| async move {
            let supervisor = at_work(&world).await;
            crash(&world, false);
            world.remove_directory("r/polecats/Toast/r");
            world.pass(mins(30)).await;
            assert_eq!(mails(&world), one_mail(), "{name}");
            act(&world);
            world.pass(mins(60)).await;
            assert_eq!(mails(&world).len(), 2, "{name}: {:?}", mails(&world));
            let key = "rig/r/r/polecats/Toast/start";
            assert!(supervisor.snapshot().await.problems[key].contains("worktree"), "{name}");
            world.directory("r/polecats/Toast");
            world.unhook("r", NAME);
            world.pass(mins(5)).await;
            let problems = supervisor.snapshot().await.problems;
            assert_eq!(problems, Default::default(), "{name}: nobody wants it any more");
        });
    }
}

#[test]
fn a_crash_loop_is_mailed_to_the_witness_and_tried_again() {
    simulate(410, |world| async move {
        let supervisor = at_work(&world).await;
        world.state().nature.doomed = vec![session()];
        crash(&world, false);
        supervisor.until_agent("r/polecats/Toast", "crash_loop", mins(16)).await;
        world.pass(secs(2)).await;
        assert_eq!(made(&world), 5);
        assert_eq!(mails(&world), one_mail());
        assert_eq!(world.events("crash_loop").len(), 1);
        world.pass(mins(29)).await;
        assert_eq!(made(&world), 5, "held");
        world.until("a trial", mins(2), |state| state.created(&session()).len() == 6).await;
        world.pass(mins(29)).await;
        assert_eq!((made(&world), mails(&world)), (6, one_mail()), "it failed, in silence");
        world.state().nature.doomed.clear();
        world.until("the next trial", mins(3), |state| state.created(&session()).len() == 7).await;
        world.pass(mins(5)).await;
        assert_eq!(supervisor.agent("r/polecats/Toast").await.state, "alive");
        assert_eq!(supervisor.snapshot().await.problems, Default::default());
    });
}

#[test]
fn those_found_dead_at_the_first_probe_are_started_and_are_no_mass_death() {
    simulate(411, |world| async move {
        world.set_rigs(&["r"]);
        let names = ["ace", "bit", "cog", "dot", "idle"];
        for name in names {
            world.add_polecat("r", name, if name == "idle" { "" } else { "r-1" });
        }
        let supervisor = town(&world, &["r"]).await;
        for name in &names[..4] {
            assert!(world.state().lives(&polecat("r", name)), "{name}");
            assert_eq!(supervisor.agent(&format!("r/polecats/{name}")).await.restarts, 0, "{name}");
        }
        assert_eq!(world.state().created(&polecat("r", "idle")).len(), 0);
        assert_eq!(world.events("mass_death"), Vec::<serde_json::Value>::new());
        assert_eq!(supervisor.snapshot().await.deaths["in_window"], 0);
    });
}

#[test]
fn one_that_was_not_known_yet_and_dies_at_once_is_restarted() {
    for after in [0, 1, 4, 6, 20, 100, 700, 3_000, 30_000] {
        simulate(412, |world| async move {
            let _supervisor = town(&world, &["r"]).await;
            world.pass(secs(10)).await;
            let session = world.polecat_at_work("r", NAME);
            let name = session.clone();
            world.after(millis(after), move |world| world.crash_agent(&name, false));
            let again = |state: &State| state.created(&session).len() == 1;
            world.until(&format!("its restart, dead after {after} ms"), secs(190), again).await;
            world.pass(mins(10)).await;
            assert_eq!(made(&world), 1, "dead after {after} ms: once");
        });
    }
}

#[test]
fn a_witness_waits_for_no_polecat() {
    simulate(413, |world| async move {
        let _supervisor = at_work(&world).await;
        let other = world.polecat_at_work("r", "nux");
        world.pass(mins(5)).await;
        world.hang("bd");
        let died = world.time();
        for session in [session(), other.clone(), witness("r")] {
            world.crash_agent(&session, false);
        }
        world.until("the witness", secs(2), |state| state.created(&witness("r")).len() == 2).await;
        assert!(world.time() - died >= secs(1));
        world.release("bd");
        let both = |state: &State| state.lives(&session()) && state.lives(&other);
        world.until("both polecats", mins(3), both).await;
    });
}

#[test]
fn one_with_the_name_of_another_agent_is_refused_with_it() {
    simulate(414, |world| async move {
        let supervisor = town(&world, &["r"]).await;
        world.add_polecat("r", "witness", "r-1");
        world.pass(mins(4)).await;
        let problems = supervisor.snapshot().await.problems;
        assert!(problems["claims/gt-r-witness"].contains("r/polecats/witness"), "{problems:?}");
        world.crash_agent(&witness("r"), false);
        world.pass(mins(10)).await;
        assert_eq!(world.state().created(&witness("r")).len(), 1, "neither of them");
        world.remove_worktree("r", "witness");
        let again = |state: &State| state.created(&witness("r")).len() == 2;
        world.until("the witness alone", mins(4), again).await;
        assert_eq!(supervisor.snapshot().await.problems, Default::default());
    });
}

#[test]
fn one_renamed_while_the_other_lives_gives_its_name_up() {
    simulate(415, |world| async move {
        let supervisor = town(&world, &["r"]).await;
        world.add_polecat("r", "witness", "r-1");
        world.pass(mins(4)).await;
        world.remove_worktree("r", "witness");
        world.pass(mins(4)).await;
        assert_eq!(supervisor.snapshot().await.problems, Default::default());
        world.crash_agent(&witness("r"), false);
        let again = |state: &State| state.created(&witness("r")).len() == 2;
        world.until("the witness alone", secs(2), again).await;
    });
}

/// It says this of itself from now on.
fn says(world: &World, state: &str) {
    let file = format!(".runtime/heartbeats/{}.json", session());
    world.write(&file, &format!(r#"{{"timestamp":"{}","state":"{state}"}}"#, world.wall()));
}

#[test]
fn a_polecat_that_is_idle_for_long_is_ended_and_comes_back_with_work() {
    simulate(480, |world| async move {
        world.write("settings/supervisor.json", r#"{"polecats": {"reap_idle": true}}"#);
        let supervisor = at_work(&world).await;
        world.unhook("r", NAME);
        says(&world, "idle");
        world.pass(mins(14)).await;
        assert_eq!(world.state().ended(&session()).len(), 0, "not for long enough");
        world.until("its end", mins(5), |state| state.ended(&session()).len() == 1).await;
        world.pass(mins(10)).await;
        let agent = supervisor.agent("r/polecats/Toast").await;
        assert_eq!((agent.state, agent.reason_code.as_deref()), ("absent".to_owned(), Some("no_work")));
        assert_eq!((told(&world), mails(&world).len(), made(&world)), ([0; 3], 0, 0), "it is no death");
        assert_eq!(world.logged("idle for 1").len(), 1);
        assert!(supervisor.story("r/polecats/Toast").iter().any(|line| line.contains("and without work")));
        world.hook("r", NAME, "r-work");
        world.until("its start", mins(5), |state| state.created(&session()).len() == 1).await;
        supervisor.stop().await;
    });
}

#[test]
fn a_polecat_that_may_have_work_is_not_ended_however_idle_it_says_it_is() {
    type Act = fn(&World);
    let acts: [(u64, &str, Act); 5] = [
        (481, "it works", |world| {
            world.unhook("r", NAME);
            says(world, "working");
        }),
        (482, "it has work", |world| says(world, "idle")),
        (483, "bd does not tell", |world| {
            world.unhook("r", NAME);
            says(world, "idle");
            world.fail("bd", true);
        }),
        (484, "it says nothing", |world| world.unhook("r", NAME)),
        (485, "the rig is parked", |world| {
            world.unhook("r", NAME);
            says(world, "exiting");
            world.write("ESTOP.r", "x");
        }),
    ];
    for (seed, name, act) in acts {
        simulate(seed, |world| async move {
            world.write("settings/supervisor.json", r#"{"polecats": {"reap_idle": true}}"#);
            let supervisor = at_work(&world).await;
            act(&world);
            world.pass(mins(40)).await;
            assert_eq!(world.state().ended(&session()).len(), 0, "{name}");
            supervisor.stop().await;
        });
    }
}
