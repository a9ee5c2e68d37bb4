//! The cost of `bd`, and the use of a rig's snapshot: one or two calls for each rig, whatever the number of polecats.

use gastown_supervisor::town::wisp::Closed;

use crate::{deeds, town, world::*};

/// Waits for a heartbeat's end and a while more, so that what it asked for is read.
async fn a_heartbeat(world: &World, supervisor: &Supervisor) {
    let beats = supervisor.snapshot().await.heartbeat.count;
    while supervisor.snapshot().await.heartbeat.count == beats {
        world.pass(secs(1)).await;
    }
    world.pass(secs(20)).await;
}

#[test]
fn two_runs_of_bd_for_each_rig_whatever_the_number_of_polecats() {
    for (polecats, alive) in [(1, true), (20, true), (50, true), (1, false), (20, false), (50, false)] {
        for daemon in [false, true] {
            simulate(480, |world| async move {
                let rigs = ["a", "b", "c"];
                world.state().bd_daemon = daemon;
                let supervisor = town(&world, &rigs).await;
                for rig in rigs {
                    for n in 0..polecats {
                        match alive {
                            true => drop(world.polecat_at_work(rig, &format!("p{n:02}"))),
                            false => world.add_polecat(rig, &format!("p{n:02}"), ""),
                        }
                    }
                }
                a_heartbeat(&world, &supervisor).await;
                let made = deeds(&world);
                for _ in 0..3 {
                    let before = world.state().bd_runs();
                    a_heartbeat(&world, &supervisor).await;
                    let runs = world.state().bd_runs() - before;
                    let most = 2 * rigs.len() + 3;
                    assert!(
                        (rigs.len()..=most).contains(&runs),
                        "{polecats} polecats, alive: {alive}: {runs} runs"
                    );
                }
                assert_eq!(deeds(&world), made, "nobody was started");
                assert_eq!(supervisor.snapshot().await.problems, Default::default());
            });
        }
    }
}

#[test]
fn one_rigs_bd_that_hangs_holds_up_no_other_rig() {
    simulate(481, |world| async move {
        let supervisor = town(&world, &["r", "s"]).await;
        let (ours, theirs) = (world.polecat_at_work("r", "Toast"), world.polecat_at_work("s", "nux"));
        world.pass(mins(5)).await;
        world.hang("bd r");
        world.crash_agent(&ours, false);
        world.crash_agent(&theirs, false);
        world.until("the other rig's", secs(7), |state| state.created(&theirs).len() == 1).await;
        assert_eq!(supervisor.agent("r/polecats/Toast").await.state, "confirming");
        // A witness never waits for it, nor does a heartbeat.
        world.crash_agent(&witness("r"), false);
        world.until("its own witness", secs(2), |state| state.created(&witness("r")).len() == 2).await;
        world.pass(mins(10)).await;
        let town = supervisor.snapshot().await;
        assert_eq!(town.heartbeat.late, Vec::<String>::new());
        let problems: Vec<&String> = town.problems.keys().collect();
        assert_eq!(problems, ["ledger/bd_hung"], "{:?}", town.problems);
        let text = "bd does not answer: `bd show` for rig r did not end within 30s and was killed";
        assert!(town.problems["ledger/bd_hung"].starts_with(text), "{:?}", town.problems);
        assert_eq!(world.logged("bd does not answer").len(), 1, "told once");
        world.release("bd r");
        world.until("the rig's own", mins(3), |state| state.created(&ours).len() == 1).await;
        world.pass(mins(4)).await;
        assert_eq!(supervisor.snapshot().await.problems, Default::default());
    });
}

/// A label is put on a rig's own bead, or taken away.
fn label(world: &World, labels: &[&str]) {
    world.put_bead(serde_json::json!({"id": "r-rig-r", "status": "open", "labels": labels}));
}

#[test]
fn a_docked_rig_is_left_alone_until_its_label_goes() {
    for actor in ["r/census", "r/witness", "root"] {
        simulate(482, |world| async move {
            let supervisor = town(&world, &["r", "s"]).await;
            label(&world, &["gt:rig", "status:docked"]);
            a_heartbeat(&world, &supervisor).await;
            let made = deeds(&world);
            world.crash_agent(&witness("r"), false);
            world.pass(secs(10)).await;
            supervisor.crash(actor).await;
            world.pass(mins(10)).await;
            assert_eq!(deeds(&world), made, "{actor}");
            // What cannot be read is what it was.
            world.fail("bd", true);
            a_heartbeat(&world, &supervisor).await;
            assert_eq!(deeds(&world), made, "{actor}");
            let agent = supervisor.agent("r/witness").await;
            assert_eq!(agent.reason.as_deref(), Some("rig is docked"), "{actor}");
            world.fail("bd", false);
            label(&world, &["gt:rig"]);
            world.until(actor, secs(190), |state| state.created(&witness("r")).len() == 2).await;
        });
    }
}

#[test]
fn one_stopped_by_hand_has_its_rig_alone_read_at_once() {
    simulate(483, |world| async move {
        let supervisor = town(&world, &["r", "s"]).await;
        a_heartbeat(&world, &supervisor).await;
        let before = world.state().bd_runs();
        world.stop_agent(&witness("r"), millis(0), millis(5));
        world.after(millis(500), |world| label(world, &["status:docked"]));
        supervisor.until_agent("r/witness", "held", secs(5)).await;
        world.pass(secs(1)).await;
        let why = |rig: &str| supervisor.deps.docked(&rig.parse().unwrap());
        assert_eq!((why("r"), why("s")), (Some(Closed::Docked), None));
        assert_eq!(world.state().bd_runs() - before, 1, "the other rig was not asked about");
        world.pass(mins(20)).await;
        assert_eq!(world.state().created(&witness("r")).len(), 1, "docked, however long ago it was stopped");
    });
}

#[test]
fn the_crash_of_a_census_touches_no_agent_and_it_reads_again() {
    simulate(484, |world| async move {
        let supervisor = town(&world, &["r"]).await;
        let session = world.polecat_at_work("r", "Toast");
        world.pass(mins(5)).await;
        let before = deeds(&world);
        for after in [0, 10, 60, 200] {
            a_heartbeat(&world, &supervisor).await;
            world.pass(mins(3) - secs(21) + millis(after)).await;
            supervisor.crash("r/census").await;
        }
        world.pass(mins(4)).await;
        assert_eq!(deeds(&world), before);
        let rig = "r".parse().unwrap();
        let age = supervisor.deps.now().since(supervisor.deps.snapshot(&rig).unwrap().begun);
        assert!(age < secs(181), "{age:?}");
        assert!(world.state().lives(&session));
        assert_eq!(supervisor.snapshot().await.problems, Default::default());
    });
}

#[test]
fn polecat_health_that_crashed_nominates_from_the_snapshot_that_was_kept() {
    simulate(485, |world| async move {
        let supervisor = town(&world, &["r"]).await;
        a_heartbeat(&world, &supervisor).await;
        world.add_polecat("r", "Toast", "r-1");
        // Known to be hooked and dead, but not probed yet: the snapshot comes in this instant.
        let (rig, name) = ("r".parse().unwrap(), "Toast".parse().unwrap());
        let plan = gastown_supervisor::town::rig_plan::RigPlan { name: rig, prefix: "r".into() };
        let read = gastown_supervisor::ledger::snapshot::read(&supervisor.deps, &plan, &[name]).await;
        supervisor.deps.keep_snapshot(std::sync::Arc::new(read));
        supervisor.crash("r/polecats").await;
        let session = polecat("r", "Toast");
        world.until("its start", secs(8), |state| state.created(&session).len() == 1).await;
    });
}

#[test]
fn a_town_without_bd_says_so_once_and_does_the_rest() {
    simulate(486, |world| async move {
        world.state().programs.remove("bd");
        let supervisor = town(&world, &["r", "s"]).await;
        let session = world.polecat_at_work("r", "Toast");
        world.pass(mins(5)).await;
        world.crash_agent(&session, false);
        world.crash_agent(&witness("r"), false);
        world.pass(mins(10)).await;
        assert_eq!(world.state().created(&witness("r")).len(), 2);
        assert_eq!(world.state().created(&session).len(), 0, "whether it has work is not known");
        let problems = supervisor.snapshot().await.problems;
        let keys: Vec<&str> = problems.keys().map(String::as_str).collect();
        assert_eq!(keys, ["command/bd"]);
        assert_eq!(world.logged("bd is not installed or not on PATH: ").len(), 1);
        world.state().programs.insert("bd".to_owned());
        world.until("its restart", mins(4), |state| state.created(&session).len() == 1).await;
        world.pass(mins(4)).await;
        assert_eq!(supervisor.snapshot().await.problems, Default::default());
    });
}
