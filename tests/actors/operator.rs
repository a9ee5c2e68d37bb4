//! The operator watch and its register.

use std::sync::Arc;

use gastown_supervisor::{
    deps::Deps,
    operator::rules::Operation,
    supervision::child::ask,
    watchers::operator::{OperatorMsg, OperatorSnapshot, OperatorWatch},
};
use ractor::{Actor, ActorRef};

use crate::{town, world::*};

async fn spawn(deps: &Arc<Deps>) -> ActorRef<OperatorMsg> {
    Actor::spawn(None, OperatorWatch, deps.clone()).await.unwrap().0
}

async fn probe(watch: &ActorRef<OperatorMsg>) -> OperatorSnapshot {
    ask(watch, OperatorMsg::Status, millis(1)).await.unwrap()
}

fn pids(operations: &[Operation]) -> Vec<u32> {
    operations.iter().map(|operation| operation.pid).collect()
}

#[test]
fn a_lone_command_is_seen_at_once_and_remembered_for_a_while() {
    simulate(400, |world| async move {
        let deps = town(&world).await;
        let _watch = spawn(&deps).await;
        world.pass(secs(5)).await;
        let pid = world.gt("gt rig park r", TOWN, millis(26));
        world.pass(millis(15)).await;
        let recent = deps.operations.recent(deps.now());
        assert_eq!((pids(&recent), recent[0].line.as_str()), (vec![pid], "gt rig park r"));
        world.pass(millis(30)).await;
        assert!(deps.operations.running().is_empty(), "its end is known too");
        world.pass(millis(9_900)).await;
        assert_eq!(pids(&deps.operations.recent(deps.now())), [pid]);
        world.pass(millis(150)).await;
        assert!(deps.operations.recent(deps.now()).is_empty());
    });
}

#[test]
fn what_counts_grid() {
    let cases = [
        ("in the town", "gt deacon stop", TOWN, true),
        ("below it", "gt done", "/town/r/polecats/nux", true),
        ("somewhere else, naming it", "gt down --town=/town", "/srv", true),
        ("in another town", "gt down", "/srv", false),
        ("nothing that changes agents", "gt prime", TOWN, false),
        ("another program", "bd stop", TOWN, false),
    ];
    for (name, line, directory, counts) in cases {
        simulate(401, |world| async move {
            let deps = town(&world).await;
            let _watch = spawn(&deps).await;
            world.pass(secs(1)).await;
            world.gt(line, directory, secs(1));
            world.pass(millis(50)).await;
            assert_eq!(!deps.operations.recent(deps.now()).is_empty(), counts, "{name}");
            assert_eq!(
                !deps.operations.full_scan(&deps).await.unwrap().is_empty(),
                counts,
                "{name}, looked at"
            );
        });
    }
}

#[test]
fn our_own_children_are_not_the_operator() {
    simulate(402, |world| async move {
        let deps = town(&world).await;
        let _watch = spawn(&deps).await;
        world.pass(secs(1)).await;
        world.gt_of_ours("gt sling gt-1 r", TOWN, secs(9));
        world.pass(secs(1)).await;
        assert!(deps.operations.full_scan(&deps).await.unwrap().is_empty());
        assert!(deps.operations.recent(deps.now()).is_empty());
    });
}

#[test]
fn one_that_runs_for_long_is_known_to_the_end() {
    simulate(403, |world| async move {
        let deps = town(&world).await;
        let watch = spawn(&deps).await;
        world.pass(secs(1)).await;
        let pid = world.gt("gt sling gt-1 r", TOWN, secs(24));
        for second in 1..24 {
            world.pass(secs(1)).await;
            assert_eq!(pids(&deps.operations.running()), [pid], "after {second} s");
        }
        assert_eq!(probe(&watch).await.running, ["gt sling gt-1 r"]);
        world.pass(millis(1_100)).await;
        assert!(deps.operations.running().is_empty(), "0.1 s after its end");
        world.pass(millis(9_800)).await;
        assert_eq!(pids(&deps.operations.recent(deps.now())), [pid], "9.9 s after its end");
        world.pass(millis(200)).await;
        assert!(deps.operations.recent(deps.now()).is_empty(), "10.1 s after its end");
        let full_scans = probe(&watch).await.full_scans;
        world.pass(mins(10)).await;
        assert_eq!(probe(&watch).await.full_scans, full_scans, "nothing runs, nothing is looked at");
    });
}

#[test]
fn one_in_a_session_ends_with_it_and_is_known_to_be_inside() {
    simulate(404, |world| async move {
        let deps = town(&world).await;
        let _watch = spawn(&deps).await;
        world.start_agent(&witness("r"));
        world.pass(secs(1)).await;
        let pane = world.state().sessions[&witness("r")].pid;
        world.gt_in(&witness("r"), "gt shutdown -y", TOWN, secs(60)).unwrap();
        world.pass(millis(50)).await;
        let recent = deps.operations.recent(deps.now());
        assert!(recent[0].is_inside(&[pane]) && !recent[0].is_inside(&[pane + 1]));
        world.end_session(&witness("r"), "its own command");
        world.pass(millis(50)).await;
        assert!(deps.operations.running().is_empty());
        assert!(deps.operations.recent(deps.now())[0].is_inside(&[pane]), "whose it was is remembered");
    });
}

#[test]
fn one_that_ran_before_us_is_seen() {
    simulate(405, |world| async move {
        let deps = town(&world).await;
        let pid = world.gt("gt up", TOWN, secs(19));
        world.pass(secs(5)).await; // by now it is not young any more
        let watch = spawn(&deps).await;
        world.pass(millis(1)).await;
        assert_eq!(pids(&deps.operations.running()), [pid]);
        watch.kill();
        let watch = spawn(&deps).await;
        world.pass(secs(15)).await;
        assert!(deps.operations.running().is_empty(), "and its end, by the actor's successor");
        assert_eq!(probe(&watch).await.recent, ["gt up"]);
    });
}

#[test]
fn gt_all_the_time_costs_few_quick_scans_and_a_command_among_it_is_seen() {
    simulate(406, |world| async move {
        let deps = town(&world).await;
        let watch = spawn(&deps).await;
        world.pass(secs(1)).await;
        for n in 0..20_000 {
            world.gt_begins();
            if n == 10_000 {
                world.gt("gt refinery stop r", TOWN, millis(47));
            }
            if n == 10_060 {
                assert_eq!(probe(&watch).await.recent, ["gt refinery stop r"]);
            }
            world.pass(millis(1)).await;
        }
        let snapshot = probe(&watch).await;
        assert!((1_000..=4_200).contains(&snapshot.quick_scans), "{snapshot:?} in 20 s");
        world.pass(secs(1)).await;
        let quick_scans = probe(&watch).await.quick_scans;
        world.pass(mins(10)).await;
        assert_eq!(probe(&watch).await.quick_scans, quick_scans, "without beginnings there are none");
    });
}

#[test]
fn slow_quick_scans_are_made_less_often() {
    simulate(407, |world| async move {
        let deps = town(&world).await;
        let watch = spawn(&deps).await;
        world.pass(secs(1)).await;
        world.state().weather.slow = 1.0; // up to two seconds each
        for _ in 0..600 {
            world.gt_begins();
            world.pass(millis(100)).await;
        }
        let quick_scans = probe(&watch).await.quick_scans;
        assert!((2..=12).contains(&quick_scans), "{quick_scans} quick scans in a minute");
    });
}

#[test]
fn a_scan_begins_after_the_request_and_is_shared() {
    simulate(408, |world| async move {
        let deps = town(&world).await;
        let asked = |world: &World| {
            let state = world.state();
            state.trace.iter().filter(|line| line.what.contains("processes of gt")).count()
        };
        world.state().weather.slow = 1.0;
        let full_scan = |deps: &Arc<Deps>| {
            let deps = deps.clone();
            tokio::spawn(async move { deps.operations.full_scan(&deps).await })
        };
        let first = full_scan(&deps);
        while asked(&world) == 0 {
            world.pass(millis(1)).await;
        }
        // The table was read, and the answer is on its way.
        let pid = world.gt("gt down", TOWN, secs(9));
        let dropped = full_scan(&deps);
        let others: Vec<_> = (0..99).map(|_| full_scan(&deps)).collect();
        world.pass(millis(1)).await;
        assert!(!first.is_finished(), "this seed has a slow answer");
        dropped.abort();
        assert_eq!(pids(&first.await.unwrap().unwrap()), [0; 0], "looked at before");
        for other in others {
            assert_eq!(pids(&other.await.unwrap().unwrap()), [pid], "looked at after they asked");
        }
        assert!(asked(&world) <= 2, "{} looks", asked(&world));
    });
}

#[test]
fn a_table_that_cannot_be_read_is_no_answer() {
    simulate(409, |world| async move {
        let deps = town(&world).await;
        let watch = spawn(&deps).await;
        let pid = world.gt("gt sling gt-1 r", TOWN, secs(60));
        world.pass(secs(1)).await;
        world.fail("invocations", true);
        assert!(deps.operations.full_scan(&deps).await.is_err());
        world.pass(secs(20)).await;
        assert_eq!(pids(&deps.operations.recent(deps.now())), [pid], "nobody said that it ended");
        world.fail("invocations", false);
        world.hang("invocations");
        let begun = world.time();
        let why = deps.operations.full_scan(&deps).await.unwrap_err().to_string();
        assert!(why.contains("5s") && world.time() - begun < secs(11), "{why}");
        assert_eq!(probe(&watch).await.running.len(), 1, "the actor answers meanwhile");
        world.release("invocations");
        world.pass(secs(60)).await;
        assert!(deps.operations.running().is_empty());
    });
}

#[test]
fn starts_that_cannot_be_watched_are_reported_once() {
    simulate(410, |world| async move {
        let deps = town(&world).await;
        world.fail("beginnings", true);
        let watch = spawn(&deps).await;
        world.pass(secs(1)).await;
        let problem = deps.problems.open()["operator/beginnings"].clone();
        assert!(problem.contains("/bin/gt") && problem.contains("after a death"), "{problem}");
        world.fail("beginnings", false);
        watch.cast(OperatorMsg::Locate).unwrap();
        world.pass(secs(1)).await;
        assert!(deps.problems.open().is_empty());
        world.state().programs.remove("gt");
        watch.cast(OperatorMsg::Locate).unwrap();
        world.pass(secs(1)).await;
        assert!(deps.problems.open().is_empty(), "no gt is not this actor's problem");
    });
}

#[test]
fn in_the_tree_it_answers_no_heartbeat_and_is_restarted() {
    simulate(411, |world| async move {
        world.set_rigs(&["r"]);
        let supervisor = world.supervisor().await;
        world.pass(mins(7)).await;
        let town = supervisor.snapshot().await;
        assert!(town.heartbeat.count >= 2 && town.heartbeat.late.is_empty(), "{town:?}");
        supervisor.crash("operator").await;
        world.pass(secs(1)).await;
        let pid = world.gt("gt witness stop r", TOWN, millis(56));
        world.pass(millis(20)).await;
        assert_eq!(pids(&supervisor.deps.operations.recent(supervisor.deps.now())), [pid]);
        supervisor.stop().await;
    });
}
