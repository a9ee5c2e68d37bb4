//! What cannot be read is a third answer: nothing is started, ended or reported because of it.

use std::collections::BTreeSet;

use crate::{deeds, town, world::*};

#[test]
fn a_tmux_that_does_not_answer_starts_and_ends_nothing() {
    for calls in [&["list"][..], &["find"], &["trees"], &["list", "find", "trees", "capture", "environment"]]
    {
        simulate(90, |world| async move {
            let supervisor = town(&world, &["r"]).await;
            world.pass(mins(2)).await;
            let before = deeds(&world);
            for call in calls {
                world.fail(call, true);
            }
            world.pass(mins(20)).await;
            assert_eq!(deeds(&world), before, "{calls:?}");
            for call in calls {
                world.fail(call, false);
            }
            world.pass(mins(4)).await;
            assert_eq!(deeds(&world), before, "{calls:?}");
            let town = supervisor.snapshot().await;
            assert_eq!(town.problems, Default::default(), "{calls:?}");
        });
    }
}

#[test]
fn a_death_is_not_acted_on_before_it_can_be_seen_again() {
    for calls in [&["find"][..], &["find", "list"], &["invocations"]] {
        simulate(91, |world| async move {
            let supervisor = town(&world, &["r"]).await;
            world.pass(mins(2)).await;
            for call in calls {
                world.fail(call, true);
            }
            world.crash_agent(&witness("r"), false);
            world.pass(mins(10)).await;
            assert_eq!(world.state().created(&witness("r")).len(), 1, "{calls:?}");
            for call in calls {
                world.fail(call, false);
            }
            world.until("its restart", mins(4), |state| state.created(&witness("r")).len() == 2).await;
            assert!(!supervisor.ended());
        });
    }
}

#[test]
fn a_death_that_was_reported_needs_no_list_of_all() {
    simulate(93, |world| async move {
        let _supervisor = town(&world, &["r"]).await;
        world.fail("list", true);
        world.crash_agent(&witness("r"), false);
        world.until("its restart", secs(2), |state| state.created(&witness("r")).len() == 2).await;
    });
}

#[test]
fn a_wisp_file_that_cannot_be_read_may_say_parked() {
    for content in ["{\"values\":{\"stat", "[]", "{\"values\":{\"status\":7}}", ""] {
        simulate(92, |world| async move {
            let supervisor = town(&world, &["r"]).await;
            world.write(".beads-wisp/config/r.json", content);
            world.crash_agent(&witness("r"), false);
            world.pass(mins(20)).await;
            assert_eq!(world.state().created(&witness("r")).len(), 1, "{content}");
            let problems = supervisor.snapshot().await.problems;
            assert!(problems.contains_key("rig/r/wisp"), "{problems:?}");
            assert_eq!(world.logged("gt rig park").len(), 1, "{content}: told once");
            world.unpark("r");
            world.until("its restart", mins(4), |state| state.lives(&witness("r"))).await;
        });
    }
}

#[test]
fn a_disk_that_is_full_stops_nothing() {
    simulate(93, |world| async move {
        world.fail("replace", true);
        world.fail("append", true);
        let supervisor = town(&world, &["r"]).await;
        world.crash_agent(&witness("r"), false);
        world.until("its restart", secs(3), |state| state.created(&witness("r")).len() == 2).await;
        world.pass(mins(10)).await;
        let town = supervisor.snapshot().await;
        assert!(town.problems.contains_key("write/daemon/state.json"), "{:?}", town.problems);
        assert_eq!(world.logged("daemon/state.json cannot be written").len(), 1, "told once");
        world.fail("replace", false);
        world.fail("append", false);
        world.crash_agent(&refinery("r"), false);
        world.pass(mins(4)).await;
        assert_eq!(supervisor.snapshot().await.problems, Default::default());
    });
}

#[test]
fn what_a_full_disk_did_not_take_is_written_once_there_is_room() {
    simulate(96, |world| async move {
        let supervisor = town(&world, &["r"]).await;
        world.pass(mins(1)).await;
        world.fail("replace", true);
        world.crash_agent(&witness("r"), false);
        world.until("its restart", secs(3), |state| state.created(&witness("r")).len() == 2).await;
        world.pass(mins(10)).await;
        assert_eq!(BTreeSet::from_iter(supervisor.alerts()), BTreeSet::from(["cannot_write".to_owned()]));
        assert!(!world.text("daemon/restart_state.json").unwrap_or_default().contains("r/witness"));
        world.fail("replace", false);
        // Nothing changes any more; a heartbeat may be up to three minutes away.
        world.pass(secs(65)).await;
        assert!(world.text("daemon/restart_state.json").unwrap().contains("r/witness"));
        assert!(world.text("daemon/supervisor/history.json").unwrap().contains("r/witness"));
        assert_eq!(supervisor.snapshot().await.problems, Default::default());
        for file in ["daemon/restart_state.json", "daemon/state.json", "daemon/supervisor/history.json"] {
            assert!(world.logged(&format!("{file} cannot be written")).len() <= 2, "reported, and resolved");
        }
    });
}

#[test]
fn a_restart_state_that_is_corrupt_is_set_aside() {
    simulate(94, |world| async move {
        world.write("daemon/restart_state.json", "{\"agents\": nonsense");
        let supervisor = town(&world, &["r"]).await;
        assert_eq!(supervisor.alerts(), ["cannot_read"]);
        assert_eq!(world.text("daemon/restart_state.json.corrupt").as_deref(), Some("{\"agents\": nonsense"));
    });
}

#[test]
fn settings_that_are_broken_leave_the_last_good_ones_in_force() {
    simulate(95, |world| async move {
        world.write("settings/supervisor.json", r#"{"boot":{"enabled":false}}"#);
        let supervisor = town(&world, &["r"]).await;
        world.write("settings/supervisor.json", r#"{"boot":{"enabled":"perhaps"}}"#);
        world.pass(mins(4)).await;
        assert!(!supervisor.deps.settings().boot.enabled);
        let problems = supervisor.snapshot().await.problems;
        assert!(problems["settings/ours"].contains("settings/supervisor.json:1:"), "{problems:?}");
        world.write("settings/supervisor.json", "{}");
        world.pass(secs(1)).await;
        assert!(supervisor.deps.settings().boot.enabled);
        assert_eq!(supervisor.snapshot().await.problems, Default::default());
    });
}
