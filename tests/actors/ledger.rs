//! What is read from `bd` and reported through `gt`, with the simulated town's programs behind the port.

use std::{collections::BTreeMap, sync::Arc};

use futures::future::join_all;
use gastown_supervisor::{
    agent::{confirmation::Assignment, polecat::work},
    deps::Deps,
    ledger::{
        agents,
        answer::Answer,
        beads, crash, gt,
        mail::{self, Sent},
        snapshot, version,
    },
    town::{bead::Bead, identity::Identity, rig_plan::RigPlan},
    tree::town_reading::{Town, read_town},
};

use crate::{spec, town, world::*};

/// Rig `r` with two working polecats, and the ids of their agent beads.
async fn two_polecats(world: &World) -> (Arc<Deps>, Vec<String>) {
    let deps = town(world).await;
    world.add_polecat("r", "Toast", "r-1");
    world.add_polecat("r", "nux", "r-2");
    (deps, vec![agent_bead("r", "Toast"), agent_bead("r", "nux")])
}

/// The ids that were found.
async fn found(deps: &Deps, ids: &[String]) -> Result<Vec<String>, String> {
    Ok(beads::all(beads::read(deps, ids).await)?.into_iter().map(|bead| bead.id).collect())
}

#[test]
fn many_are_read_with_one_call() {
    simulate(200, |world| async move {
        let (deps, ids) = two_polecats(&world).await;
        world.unhook("r", "nux");
        world.close_bead(&ids[1]);
        let answers = beads::read(&deps, &ids).await;
        let told = |at: usize| match &answers[&ids[at]] {
            Answer::Found(bead) => (bead.hook_bead.as_deref(), bead.is_closed()),
            other => panic!("{other:?}"),
        };
        assert_eq!((told(0), told(1)), ((Some("r-1"), false), (None, true)));
        assert_eq!(world.state().bd_shows(), 1);
        // Only exactly these ids, and more than one call holds.
        assert_eq!(found(&deps, &["r-r-polecat-T".to_owned()]).await, Ok(vec![]));
        let before = world.state().bd_shows();
        let many: Vec<String> = (0..250).map(|n| format!("r-none-{n}")).chain(ids.clone()).collect();
        assert_eq!(found(&deps, &many).await.unwrap(), ids);
        assert_eq!(world.state().bd_shows() - before, 3);
    });
}

#[test]
fn one_missing_id_hides_no_other() {
    simulate(201, |world| async move {
        let (deps, mut ids) = two_polecats(&world).await;
        ids.push(agent_bead("r", "ghost"));
        for through_daemon in [false, true] {
            world.state().bd_daemon = through_daemon;
            assert_eq!(found(&deps, &ids).await.unwrap(), ids[..2], "through the daemon: {through_daemon}");
            assert_eq!(found(&deps, &ids[2..]).await, Ok(vec![]));
        }
    });
}

#[test]
fn a_failed_read_is_tried_once_more() {
    simulate(202, |world| async move {
        let (deps, ids) = two_polecats(&world).await;
        world.fail("command", true);
        world.after(millis(25), |world| world.fail("command", false));
        assert_eq!(found(&deps, &ids).await.unwrap(), ids, "it failed once");
        world.fail("command", true);
        let before = world.state().bd_shows();
        let error = found(&deps, &ids).await.unwrap_err();
        assert!(error.contains("bd show r-r-polecat-Toast") && error.contains("it failed"), "{error}");
        assert_eq!(world.state().bd_shows() - before, 2);
    });
}

#[test]
fn what_is_no_id_is_never_run() {
    simulate(203, |world| async move {
        let (deps, _) = two_polecats(&world).await;
        for bad in ["--help", "", "a b", "a\0b", "a/b", &"x".repeat(300)] {
            let error = beads::all(beads::read(&deps, &[bad.to_owned()]).await).unwrap_err();
            assert!(error.ends_with("is not a bead id"), "{error}");
        }
        assert_eq!(world.state().bd_shows(), 0);
    });
}

#[test]
fn reads_of_one_database_never_overlap_and_one_given_up_lets_the_next_go() {
    simulate(204, |world| async move {
        let (deps, ids) = two_polecats(&world).await;
        let begun = world.time();
        let (one, other) = futures::join!(found(&deps, &ids), found(&deps, &ids));
        assert!(one.is_ok() && other.is_ok());
        assert_eq!(world.time() - begun, millis(100), "one after the other; the world checks that too");
        world.hang("command");
        let given_up = tokio::time::timeout(secs(1), found(&deps, &ids)).await;
        assert!(given_up.is_err());
        world.release("command");
        assert_eq!(found(&deps, &ids).await.unwrap(), ids);
    });
}

#[test]
fn a_mail_and_a_crash_are_sent_and_the_result_is_known() {
    simulate(205, |world| async move {
        let (deps, _) = two_polecats(&world).await;
        for fails in [false, true, false] {
            world.fail("command", fails);
            let sent = if fails { Sent::No } else { Sent::Yes };
            assert_eq!(mail::send(&deps, "r/witness", "S", "B").await, sent);
            assert_eq!(crash::log(&deps, "r/Toast", "gt-r-Toast", Some(137)).await, !fails);
            let open: Vec<String> = deps.problems.open().into_keys().collect();
            let expected = if fails { vec!["ledger/crash_log", "mail/send"] } else { vec![] };
            assert_eq!(open, expected);
        }
        world.hang("send");
        assert_eq!(mail::send(&deps, "r/witness", "S", "B").await, Sent::Perhaps, "killed at its limit");
        world.release("send");
        crash::log(&deps, "r/Toast", "gt-r-Toast", None).await;
        let state = world.state();
        assert_eq!(state.mails.len(), 2);
        assert_eq!(state.crashes_of("gt-r-Toast").len(), 3);
        let words = |at: usize| state.crash_logs[at].1.join(" ");
        assert_eq!(words(0), "--agent r/Toast --session gt-r-Toast --exit-code 137");
        assert_eq!(words(2), "--agent r/Toast --session gt-r-Toast");
    });
}

/// What a root knows of the town's routes.
async fn know_routes(deps: &Deps) {
    Town::new().update(read_town(deps).await, deps);
}

#[test]
fn reads_of_different_databases_run_side_by_side() {
    simulate(206, |world| async move {
        world.set_rigs(&["r", "s"]);
        let deps = world.deps().await.0;
        know_routes(&deps).await;
        let ids = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect::<Vec<_>>();
        for id in ["r-1", "r-2", "s-1", "hq-1"] {
            world.put_bead(serde_json::json!({"id": id}));
        }
        for (name, calls, takes) in [
            ("one rig", [ids(&["r-1"]), ids(&["r-2"]), ids(&["r-1", "r-2"])], 150),
            ("two rigs and the town", [ids(&["r-1"]), ids(&["s-1"]), ids(&["hq-1"])], 50),
            ("one of both, twice", [ids(&["r-1", "s-1"]), ids(&["r-2", "s-1"]), ids(&["hq-1"])], 100),
        ] {
            let begun = world.time();
            let got = join_all(calls.iter().map(|call| found(&deps, call))).await;
            assert_eq!(got, calls.map(Ok), "{name}");
            assert_eq!(world.time() - begun, millis(takes), "{name}");
        }
        // One rig's `bd` hangs: no other rig waits.
        world.hang("bd r");
        let begun = world.time();
        let (r, other) = (ids(&["r-1"]), ids(&["s-1", "hq-1"]));
        let hung = found(&deps, &r);
        let well = async { (found(&deps, &other).await, world.time()) };
        let (hung, (well, at)) = futures::join!(hung, well);
        assert!(hung.unwrap_err().contains("did not end within 30s"));
        assert_eq!((well, at - begun), (Ok(ids(&["hq-1", "s-1"])), millis(50)));
    });
}

#[test]
fn many_who_ask_at_once_share_few_calls() {
    for daemon in [false, true] {
        simulate(207, |world| async move {
            let deps = town(&world).await;
            know_routes(&deps).await;
            let names: Vec<String> = (0..77).map(|n| format!("p{n:02}")).collect();
            for name in &names {
                world.add_polecat("r", name, &work_of("r", name));
            }
            world.state().bd_takes = millis(300);
            world.state().bd_daemon = daemon;
            version::probe(&deps).await;
            let begun = world.time();
            let got = join_all(names.iter().map(|name| {
                let identity = Identity::Polecat("r".parse().unwrap(), name.parse().unwrap());
                let deps = &deps;
                async move { work::read(deps, &spec(identity), "r", None).await }
            }))
            .await;
            for (name, got) in names.iter().zip(got) {
                assert_eq!(got, Assignment::Hooked { hook: work_of("r", name) }, "{name}");
            }
            // Two ids each for their agent beads, and one for their work.
            assert_eq!(world.state().bd_shows(), 3, "through the daemon: {daemon}");
            assert_eq!(world.time() - begun, millis(900));
        });
    }
}

/// A town with this many open beads `r-<n>`.
async fn with_beads(world: &World, count: usize) -> (Arc<Deps>, Vec<String>) {
    let deps = town(world).await;
    know_routes(&deps).await;
    let ids: Vec<String> = (0..count).map(|n| format!("r-{n}")).collect();
    for id in &ids {
        world.put_bead(serde_json::json!({"id": id, "status": "open"}));
    }
    (deps, ids)
}

fn is(answer: &Answer<Bead>, id: &str) -> bool {
    matches!(answer, Answer::Found(bead) if bead.id == id)
}

#[test]
fn what_is_asked_while_a_call_is_under_way_goes_with_the_next_and_is_read_afresh() {
    simulate(208, |world| async move {
        let (deps, ids) = with_beads(&world, 30).await;
        world.state().bd_takes = millis(300);
        // Each 10 ms later than the one before, all within the first call.
        let late = join_all(ids.iter().enumerate().map(|(n, id)| {
            let (deps, world) = (&deps, &world);
            async move {
                world.pass(millis(10 * n as u64)).await;
                (beads::one(deps, id).await, world.time())
            }
        }));
        let begun = world.time();
        world.after(millis(299), |world| world.close_bead("r-29"));
        let answers = late.await;
        assert_eq!(world.state().bd_shows(), 2);
        for (n, ((answer, at), id)) in answers.iter().zip(&ids).enumerate() {
            assert!(is(answer, id), "{id}: {answer:?}");
            assert_eq!(*at - begun, millis(if n == 0 { 300 } else { 600 }), "{id}");
        }
        let Answer::Found(last) = &answers[29].0 else { panic!("{answers:?}") };
        assert!(last.is_closed(), "its call began after it was asked");
    });
}

#[test]
fn one_that_goes_away_takes_no_answer_with_it() {
    // The caller that leads goes away before its call, while it runs, or when others wait for the next.
    for (name, gone_after, calls) in
        [("at once", 0, 1), ("in the first call", 100, 2), ("in the second call", 400, 2), ("later", 700, 2)]
    {
        simulate(209, |world| async move {
            let (deps, ids) = with_beads(&world, 10).await;
            world.state().bd_takes = millis(300);
            let leader = {
                let (deps, id) = (deps.clone(), ids[0].clone());
                tokio::spawn(async move { beads::one(&deps, &id).await })
            };
            let rest: Vec<_> = ids[1..]
                .iter()
                .map(|id| {
                    let (deps, id, world) = (deps.clone(), id.clone(), world.clone());
                    tokio::spawn(async move {
                        // Some come along with the first call, the others wait for the next.
                        if id.as_str() >= "r-5" {
                            world.pass(millis(50)).await;
                        }
                        beads::one(&deps, &id).await
                    })
                })
                .collect();
            world.pass(millis(gone_after)).await;
            leader.abort();
            let answers = tokio::time::timeout(secs(2), join_all(rest)).await.expect("nobody waits for ever");
            for (id, answer) in ids[1..].iter().zip(answers) {
                assert!(is(answer.as_ref().unwrap(), id), "{name}: {id}: {answer:?}");
            }
            let shows = world.state().bd_shows();
            assert!((calls..=calls + 1).contains(&shows), "{name}: {shows} calls");
        });
    }
}

#[test]
fn more_than_one_call_holds_are_answered_too() {
    simulate(250, |world| async move {
        let (deps, ids) = with_beads(&world, 250).await;
        let answers = join_all(ids.iter().map(|id| beads::one(&deps, id))).await;
        assert!(ids.iter().zip(&answers).all(|(id, answer)| is(answer, id)));
        assert_eq!(world.state().bd_shows(), 3);
        assert_eq!(beads::one(&deps, "r-none").await, Answer::Missing);
        let refused = beads::one(&deps, "--all").await;
        assert!(matches!(&refused, Answer::Unknown(why) if why.ends_with("is not a bead id")), "{refused:?}");
    });
}

#[test]
fn a_daemon_that_fails_as_a_whole_is_passed_by_once_its_version_is_known() {
    for (name, printed, calls) in [
        ("0.47", "bd version 0.47.2 (dev)\n", 1),
        ("not yet known", "", 2),
        ("one that has none", "bd version 1.0.0\n", 2),
    ] {
        simulate(251, |world| async move {
            let (deps, mut ids) = two_polecats(&world).await;
            ids.push(agent_bead("r", "ghost"));
            world.state().bd_daemon = true;
            world.state().bd_version = printed;
            for _ in 0..3 {
                version::probe(&deps).await;
            }
            let probes = world.state().bd_runs();
            assert_eq!(probes, if printed.is_empty() { 3 } else { 1 }, "{name}: again only when it failed");
            assert_eq!(deps.problems.any("ledger/bd_version"), printed.is_empty(), "{name}");
            assert_eq!(found(&deps, &ids).await.unwrap(), ids[..2], "{name}");
            assert_eq!(world.state().bd_shows(), calls, "{name}");
        });
    }
}

#[test]
fn a_program_that_is_not_installed_is_reported_once_and_not_tried_again() {
    simulate(252, |world| async move {
        let (deps, ids) = two_polecats(&world).await;
        world.state().programs.clear();
        for _ in 0..3 {
            let error = found(&deps, &ids).await.unwrap_err();
            assert!(error.contains("bd is not installed"), "{error}");
            assert_eq!(mail::send(&deps, "r/witness", "S", "B").await, Sent::No);
        }
        assert_eq!(world.state().bd_shows(), 3, "a read that cannot succeed is not tried once more");
        for program in ["bd", "gt"] {
            let told = &deps.problems.open()[&format!("command/{program}")];
            assert!(told.starts_with(&format!("{program} is not installed or not on PATH: ")), "{told}");
            assert!(told.contains(&format!("commands.{program} in settings/supervisor.json")), "{told}");
            assert_eq!(world.logged(told).len(), 1);
        }
        world.state().programs.extend(["bd".to_owned(), "gt".to_owned()]);
        assert_eq!(found(&deps, &ids).await.unwrap(), ids);
        assert_eq!(mail::send(&deps, "r/witness", "S", "B").await, Sent::Yes);
        assert_eq!(deps.problems.open(), BTreeMap::new());
        gt::run(&deps, &["status"], &[]).await.unwrap();
    });
}

#[test]
fn a_snapshot_says_what_is_there_what_is_not_and_what_is_not_known() {
    simulate(253, |world| async move {
        let (deps, _) = two_polecats(&world).await;
        let rig = RigPlan { name: "r".parse().unwrap(), prefix: "r".into() };
        let names = ["Toast", "nux", "ghost", "odd"].map(|name| name.parse().unwrap());
        world.add_polecat("r", "odd", "--help");
        world.delete_bead("r-2");
        world.put_bead(serde_json::json!({"id": "r-rig-r", "labels": ["gt:rig", "status:docked"]}));
        let begun = deps.now();
        let read = snapshot::read(&deps, &rig, &names).await;
        assert_eq!((read.begun, read.rig.as_str(), world.state().bd_shows()), (begun, "r", 2));
        let agent = |name: &str| {
            let identity = Identity::Polecat("r".parse().unwrap(), name.parse().unwrap());
            match read.agent(&identity) {
                Answer::Found(agent) => agent.hook.clone().unwrap_or_default(),
                other => format!("{other:?}"),
            }
        };
        let told = ["Toast", "nux", "ghost", "odd", "new"].map(agent);
        assert_eq!(told, ["r-1", "r-2", "Missing", "--help", "NotAsked"]);
        assert!(is(read.hooked("r-1"), "r-1"));
        assert_eq!((read.hooked("r-2"), read.hooked("r-3")), (&Answer::Missing, &Answer::NotAsked));
        assert!(matches!(read.hooked("--help"), Answer::Unknown(_)), "an id that is none hides no other");
        assert!(matches!(&read.rig_bead, Answer::Found(bead) if bead.labels.len() == 2));
        world.fail("bd", true);
        let read = snapshot::read(&deps, &rig, &names).await;
        assert!(read.agents.values().all(|agent| matches!(agent, Answer::Unknown(_))), "{read:?}");
        assert!(matches!(read.rig_bead, Answer::Unknown(_)) && read.hooked.is_empty());
    });
}

#[test]
fn a_snapshot_takes_two_calls_for_fifty_polecats_of_two_ids_each() {
    for (polecats, prefix, calls) in
        [(0, "r", 1), (1, "r", 2), (49, "r", 2), (50, "r", 2), (51, "r", 3), (99, "x", 2), (100, "x", 3)]
    {
        simulate(254, |world| async move {
            let deps = town(&world).await;
            let names: Vec<_> = (0..polecats).map(|n| format!("p{n:02}")).collect();
            for name in &names {
                world.add_polecat("r", name, &work_of("r", name));
                let mut bead = world.state().beads[&agent_bead("r", name)].clone();
                bead["id"] = format!("{prefix}-r-polecat-{name}").into();
                world.put_bead(bead);
            }
            let rig = RigPlan { name: "r".parse().unwrap(), prefix: prefix.into() };
            let names: Vec<_> = names.iter().map(|name| name.parse().unwrap()).collect();
            let read = snapshot::read(&deps, &rig, &names).await;
            assert_eq!(read.doubt(), None);
            assert_eq!(
                (read.agents.len(), read.hooked.len(), &read.rig_bead),
                (polecats, polecats, &Answer::Missing)
            );
            assert_eq!(world.state().bd_shows(), calls, "{polecats} polecats of {prefix}-");
            for identity in read.agents.keys() {
                let alone = agents::one(&deps, identity, prefix).await;
                assert_eq!(&alone, read.agent(identity), "asked alone");
            }
        });
    }
}
