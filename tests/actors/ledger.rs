//! What is asked of `bd` and told through `gt`, with the simulated town's programs behind the port.

use std::sync::Arc;

use gastown_supervisor::{
    deps::Deps,
    ledger::{agents, beads, crash, mail},
};

use crate::{town, world::*};

/// Rig `r` with two polecats at work, and the ids of their agent beads.
async fn two_polecats(world: &World) -> (Arc<Deps>, Vec<String>) {
    let deps = town(world).await;
    world.add_polecat("r", "Toast", "r-1");
    world.add_polecat("r", "nux", "r-2");
    (deps, vec![agent_bead("r", "Toast"), agent_bead("r", "nux")])
}

/// The ids that were found.
async fn found(deps: &Deps, ids: &[String]) -> Result<Vec<String>, String> {
    Ok(agents::read(deps, ids).await?.into_keys().collect())
}

#[test]
fn many_are_read_with_one_call() {
    simulate(200, |world| async move {
        let (deps, ids) = two_polecats(&world).await;
        world.unhook("r", "nux");
        world.close_bead(&ids[1]);
        let agents = agents::read(&deps, &ids).await.unwrap();
        let told = |at: usize| (agents[&ids[at]].hook.as_deref(), agents[&ids[at]].closed);
        assert_eq!((told(0), told(1)), ((Some("r-1"), false), (None, true)));
        assert_eq!(world.state().bd_shows(), 1);
        // Only exactly these ids, only agents, and more than one call holds.
        assert_eq!(found(&deps, &["r-r-polecat-T".to_owned(), "r-1".to_owned()]).await, Ok(vec![]));
        let before = world.state().bd_shows();
        let many: Vec<String> = (0..250).map(|n| format!("r-none-{n}")).chain(ids.clone()).collect();
        assert_eq!(found(&deps, &many).await.unwrap(), ids);
        assert_eq!(world.state().bd_shows() - before, 3);
    });
}

#[test]
fn one_missing_id_hides_nobody() {
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
            let error = beads::show(&deps, &[bad.to_owned()]).await.unwrap_err();
            assert!(error.ends_with("is no bead's id"), "{error}");
        }
        assert_eq!(world.state().bd_shows(), 0);
    });
}

#[test]
fn two_reads_never_overlap_and_one_given_up_lets_the_next_go() {
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
fn a_mail_and_a_crash_are_told_and_it_is_known_whether() {
    simulate(205, |world| async move {
        let (deps, _) = two_polecats(&world).await;
        for fails in [false, true, false] {
            world.fail("command", fails);
            assert_eq!(mail::send(&deps, "r/witness", "S", "B").await, !fails);
            assert_eq!(crash::log(&deps, "r/Toast", "gt-r-Toast", Some(137)).await, !fails);
            let open: Vec<String> = deps.problems.open().into_keys().collect();
            let expected = if fails { vec!["ledger/crash_log", "mail/send"] } else { vec![] };
            assert_eq!(open, expected);
        }
        crash::log(&deps, "r/Toast", "gt-r-Toast", None).await;
        let state = world.state();
        assert_eq!(state.mails.len(), 2);
        assert_eq!(state.crashes_of("gt-r-Toast").len(), 3);
        let words = |at: usize| state.crash_logs[at].1.join(" ");
        assert_eq!(words(0), "--agent r/Toast --session gt-r-Toast --exit-code 137");
        assert_eq!(words(2), "--agent r/Toast --session gt-r-Toast");
    });
}
