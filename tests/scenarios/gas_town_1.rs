//! What a town of Gas Town 1.x needs of its daemon beside agents: convoys are fed, work is dispatched, Dolt is watched.

use serde_json::json;

use crate::{town_of_1_x, world::*};

fn slings(world: &World) -> Vec<(String, String)> {
    let state = world.state();
    state.gas_town_1.slings.iter().map(|(_, issue, rig)| (issue.clone(), rig.clone())).collect()
}

fn sling(issue: &str, rig: &str) -> (String, String) {
    (issue.to_owned(), rig.to_owned())
}

/// The number of lines of the trace with this in them.
fn traced(state: &State, text: &str) -> usize {
    state.trace.iter().filter(|line| line.what.contains(text)).count()
}

fn count(world: &World, text: &str) -> usize {
    traced(&world.state(), text)
}

#[test]
fn the_next_step_of_a_convoy_is_slung_soon_after_the_close_of_the_one_before() {
    simulate(1300, |world| async move {
        let supervisor = town_of_1_x(&world, &["alpha"]).await;
        world.convoy("hq-cv-1", &["alpha-1", "alpha-2", "alpha-3"]);
        world.until("the first", secs(45), |state| state.gas_town_1.slings.len() == 1).await;
        for number in 1..3 {
            world.pass(secs(7 * number)).await;
            world.close(&format!("alpha-{number}"));
            let closed = world.time();
            world
                .until("the next", secs(50), |state| state.gas_town_1.slings.len() as u64 == number + 1)
                .await;
            // It is noted when `gt sling` ends, 9 s after it began.
            let begun = world.state().gas_town_1.slings.last().unwrap().0 - secs(9);
            assert!(begun - closed <= secs(35), "{:?}", begun - closed);
        }
        assert_eq!(slings(&world), ["alpha-1", "alpha-2", "alpha-3"].map(|issue| sling(issue, "alpha")));
        let convoys = supervisor.snapshot().await.convoys;
        assert_eq!(convoys["feed"]["fed"], 3);
        world.close("alpha-3");
        world.until("the end of the convoy", mins(6), |state| state.convoys.open.is_empty()).await;
        assert_eq!(world.logged("slung alpha-2 to alpha, the next step of convoy hq-cv-1").len(), 1);
        assert_eq!(world.state().convoys.asked, 0, "there is no database of January's");
        supervisor.stop().await;
    });
}

#[test]
fn work_of_a_parked_rig_waits_and_holds_up_no_other() {
    simulate(1301, |world| async move {
        let supervisor = town_of_1_x(&world, &["alpha", "beta"]).await;
        let beta = |values: &str| {
            let text = format!(r#"{{"rig":"beta","values":{{{values}}},"blocked":[]}}"#);
            world.write(".beads-wisp/config/beta.json", &text);
        };
        beta(r#""status":"parked""#);
        world.convoy("hq-cv-1", &["beta-1"]);
        world.convoy("hq-cv-2", &["alpha-1"]);
        world.convoy("hq-cv-3", &["--force"]);
        world.convoy("hq-cv-4", &["nobodys-1"]);
        world.pass(mins(5)).await;
        assert_eq!(slings(&world), [sling("alpha-1", "alpha")]);
        let town = supervisor.snapshot().await;
        let waits = "the work of convoy hq-cv-1 waits: beta-1: rig is parked (and 2 more of this kind)";
        assert_eq!(town.problems["convoy/held_up"], waits);
        assert_eq!(world.logged("rig is parked (and 2 more").len(), 1, "reported once");
        beta("");
        world.until("beta's", secs(45), |state| state.gas_town_1.slings.len() == 2).await;
        supervisor.stop().await;
    });
}

#[test]
fn nothing_is_slung_or_dispatched_under_an_emergency_stop() {
    simulate(1302, |world| async move {
        let supervisor = town_of_1_x(&world, &["alpha"]).await;
        world.write("settings/config.json", r#"{"scheduler":{"max_polecats":2}}"#);
        world.write("ESTOP", "x");
        world.convoy("hq-cv-1", &["alpha-1"]);
        world.pass(mins(7)).await;
        let seen = |world: &World| {
            let state = world.state();
            (state.gas_town_1.slings.len(), state.gas_town_1.scheduled.len())
        };
        assert_eq!(seen(&world), (0, 0));
        world.remove("ESTOP");
        world.pass(mins(7)).await;
        let (slung, scheduled) = seen(&world);
        assert_eq!(slung, 1);
        assert!((2..=3).contains(&scheduled), "at each heartbeat: {scheduled}");
        world.fail("scheduler", true);
        world.pass(mins(10)).await;
        let town = supervisor.snapshot().await;
        assert!(
            town.problems["scheduler"]
                .starts_with("waiting work was not dispatched: `gt scheduler run` failed")
        );
        world.write("settings/config.json", "{}");
        world.pass(mins(4)).await;
        assert_eq!(supervisor.snapshot().await.problems.get("scheduler"), None);
        supervisor.stop().await;
    });
}

#[test]
fn a_gt_that_fails_is_asked_less_often_and_is_one_problem() {
    simulate(1303, |world| async move {
        let supervisor = town_of_1_x(&world, &["alpha"]).await;
        world.fail("convoy", true);
        world.convoy("hq-cv-1", &["alpha-1"]);
        let asked = count(&world, "run `gt convoy stranded");
        world.pass(mins(40)).await;
        assert!(count(&world, "run `gt convoy stranded") - asked <= 10);
        let town = supervisor.snapshot().await;
        let why = "not slung: `gt convoy stranded --json` failed (exit code 1): it failed";
        assert!(town.problems["convoy/scan"].ends_with(why), "{:?}", town.problems);
        assert_eq!(world.logged("Warning: the next steps of convoys are not slung").len(), 1);
        world.fail("convoy", false);
        world.until("it is asked again", mins(11), |state| state.gas_town_1.slings.len() == 1).await;
        let before = world.state().gas_town_1.scans.len();
        world.pass(mins(2)).await;
        assert_eq!(world.state().gas_town_1.scans.len() - before, 4, "as often as before");
        supervisor.stop().await;
    });
}

#[test]
fn a_sling_that_lies_is_repeated_later_and_later_and_reported_once() {
    simulate(1304, |world| async move {
        let supervisor = town_of_1_x(&world, &["alpha"]).await;
        world.state().gas_town_1.sling_lies = true;
        world.convoy("hq-cv-1", &["alpha-1"]);
        world.pass(mins(60)).await;
        let count = slings(&world).len();
        assert!((7..=9).contains(&count), "{count}");
        let town = supervisor.snapshot().await;
        assert!(town.problems["convoy/slung"].starts_with("alpha-1 was slung and is still ready"));
        assert_eq!(world.logged("Warning: alpha-1 was slung and is still ready").len(), 1);
        world.state().gas_town_1.sling_lies = false;
        world.pass(mins(11)).await;
        assert_eq!(supervisor.snapshot().await.problems.get("convoy/slung"), None);
        supervisor.stop().await;
    });
}

#[test]
fn feeding_can_be_switched_off() {
    simulate(1305, |world| async move {
        world.write("settings/supervisor.json", r#"{"convoy": {"feed": false}}"#);
        let supervisor = town_of_1_x(&world, &["alpha"]).await;
        world.convoy("hq-cv-1", &["alpha-1"]);
        world.pass(mins(5)).await;
        assert!(slings(&world).is_empty() && !world.state().gas_town_1.scans.is_empty());
        supervisor.stop().await;
    });
}

#[test]
fn dolt_dies_and_returns() {
    for (seed, answers) in [(1310, Answers::Refused), (1311, Answers::Hangs)] {
        simulate(seed, |world| async move {
            world.write("settings/supervisor.json", r#"{"notify": {"command": "alert"}}"#);
            let supervisor = town_of_1_x(&world, &["alpha"]).await;
            let deeds = crate::deeds(&world);
            let sessions: Vec<String> =
                world.state().sessions.keys().filter(|name| !is_boot(name)).cloned().collect();
            assert_eq!(sessions.len(), 4, "{sessions:?}");
            world.dolt(answers);
            let report = "Warning: Dolt does not answer on 127.0.0.1:3307 since";
            world.until("the report", secs(15), |state| traced(state, report) == 1).await;
            world.convoy("hq-cv-1", &["alpha-1"]);
            let asked = count(&world, "run `gt convoy stranded");
            world.pass(mins(20)).await;
            let town = supervisor.snapshot().await;
            assert!(
                town.problems["dolt"].ends_with("mail, hooks and slings fail; `gt dolt start` starts it")
            );
            assert_eq!((count(&world, "run `sh -c alert`"), count(&world, report)), (1, 1));
            assert_eq!(count(&world, "run `gt dolt start`"), 0, "nobody allowed that");
            assert_eq!(count(&world, "run `gt convoy stranded"), asked);
            let there = |session: &String| world.state().sessions.contains_key(session);
            assert!(sessions.iter().all(there));
            assert_eq!(crate::deeds(&world), deeds, "no session was touched");
            world.dolt(Answers::Well);
            world.until("the work", secs(20), |state| state.gas_town_1.slings.len() == 1).await;
            let town = supervisor.snapshot().await;
            let over = |key: &String| key != "dolt" && key != "mail/inbox";
            assert!(town.problems.keys().all(over), "{:?}", town.problems);
            assert_eq!(count(&world, "run `sh -c alert`"), 1);
            assert_eq!(count(&world, "Resolved: Dolt does not answer"), 1);
            supervisor.stop().await;
        });
    }
}

#[test]
fn dolt_is_started_only_where_that_is_allowed() {
    let own = ("settings/supervisor.json", r#"{"dolt": {"restart": true}}"#);
    let shared = ("mayor/daemon.json", r#"{"patrols": {"dolt_server": {"enabled": true}}}"#);
    for (seed, file, stopped, expected) in [
        (1320, None, false, 0),
        (1321, Some(own), false, 1),
        (1322, Some(shared), false, 1),
        (1323, Some(own), true, 0),
    ] {
        simulate(seed, |world| async move {
            if let Some((name, text)) = file {
                world.write(name, text);
            }
            let supervisor = town_of_1_x(&world, &["alpha"]).await;
            if stopped {
                world.write("ESTOP", "x");
            }
            world.dolt(Answers::Refused);
            world.pass(mins(5)).await;
            assert_eq!(world.state().gas_town_1.dolt_started.len(), expected, "{file:?} {stopped}");
            supervisor.stop().await;
        });
    }
}

#[test]
fn a_dolt_that_does_not_start_is_given_up() {
    simulate(1330, |world| async move {
        world.write("settings/supervisor.json", r#"{"dolt": {"restart": true}}"#);
        let supervisor = town_of_1_x(&world, &["alpha"]).await;
        world.state().gas_town_1.dolt_starts = false;
        world.dolt(Answers::Refused);
        world.pass(mins(60)).await;
        let starts = world.state().gas_town_1.dolt_started.clone();
        let apart: Vec<u64> = starts.windows(2).map(|two| (two[1] - two[0]).as_secs()).collect();
        assert_eq!(apart.len(), 4);
        let grown =
            apart.iter().zip([10, 20, 40, 80]).all(|(apart, least)| (least..least + 10).contains(apart));
        assert!(grown, "{apart:?}");
        let town = supervisor.snapshot().await;
        let end = "`gt dolt start` was run 5 times in vain: see daemon/dolt.log";
        assert!(town.problems["dolt"].ends_with(end), "{:?}", town.problems);
        supervisor.stop().await;
    });
}

#[test]
fn a_town_that_does_not_say_where_dolt_is_has_none_to_watch() {
    simulate(1340, |world| async move {
        let supervisor = town_of_1_x(&world, &["alpha"]).await;
        world.remove(".dolt-data/config.yaml");
        world.pass(mins(4)).await; // it is read again at a heartbeat
        world.dolt(Answers::Refused);
        world.pass(mins(1)).await;
        assert_eq!(supervisor.snapshot().await.problems.get("dolt"), None);
        supervisor.stop().await;
    });
}

#[test]
fn a_quiet_deacon_is_nudged_only_while_work_is_in_progress() {
    simulate(1350, |world| async move {
        let supervisor = town_of_1_x(&world, &["alpha"]).await;
        let nudges = |world: &World| {
            let state = world.state();
            state.session(DEACON).typed.iter().filter(|(_, text)| text.starts_with("HEALTH_CHECK")).count()
        };
        world.pass(mins(6)).await; // it was started a moment ago
        world.hang_agent(DEACON, true);
        world.pass(mins(11)).await;
        assert_eq!(nudges(&world), 0, "nothing is in progress");
        world.fail("bd list", true);
        world.pass(mins(2)).await;
        assert_eq!(nudges(&world), 0, "nothing is known to be");
        world.fail("bd list", false);
        world.state().prints.insert("bd list", r#"[{"id":"alpha-1","status":"in_progress"}]"#.to_owned());
        world.pass(mins(6)).await;
        assert_eq!(nudges(&world), 1);
        supervisor.stop().await;
    });
}

#[test]
fn the_work_of_a_polecat_that_is_restarted_is_given_to_no_other() {
    simulate(1320, |world| async move {
        let supervisor = town_of_1_x(&world, &["alpha"]).await;
        let session = world.polecat_at_work("alpha", "Toast");
        world.pass(mins(4)).await;
        // `gt` calls it ready as soon as the session is gone; here it always does.
        world.convoy("hq-cv-1", &["alpha-Toast"]);
        for _ in 0..3 {
            world.pass(secs(31)).await;
            world.crash_agent(&session, false);
            world.until("it runs again", mins(3), |state| state.lives(&session)).await;
        }
        assert_eq!(slings(&world), []);
        let waits =
            "the work of convoy hq-cv-1 waits: alpha-Toast: alpha/polecats/Toast works on it and is alive";
        let problem = "convoy/held_up";
        assert_eq!(supervisor.snapshot().await.problems.get(problem), None, "that is usual");
        assert_eq!(world.logged("the work of convoy hq-cv-1 waits: ").len(), 1);
        world.pass(mins(5)).await;
        assert_eq!(supervisor.snapshot().await.problems[problem], waits);
        // Nobody works on it any more.
        world.edit_bead("alpha-Toast", |bead| bead["status"] = "open".into());
        world.until("it is slung", mins(1), |state| !state.gas_town_1.slings.is_empty()).await;
    });
}

#[test]
fn work_that_somebody_slings_is_not_slung_again() {
    simulate(1321, |world| async move {
        let _supervisor = town_of_1_x(&world, &["alpha"]).await;
        // Its polecat has no session yet, so `gt` lists it as ready.
        world.gt("gt sling alpha-1 alpha", TOWN, secs(70));
        world.convoy("hq-cv-1", &["alpha-1"]);
        world.pass(secs(65)).await;
        assert_eq!(slings(&world), [], "while it is slung");
        // The command has ended, and the polecat does not show yet.
        let assigned = |at: &str| {
            json!({"id": "alpha-1", "title": "", "description": "", "status": "hooked", "issue_type": "task",
                "assignee": "alpha/polecats/nux", "updated_at": at})
        };
        let now = gastown_supervisor::clock::Clock::now(&world).wall;
        world.put_bead(assigned(&now.to_string()));
        world.pass(mins(4)).await;
        assert_eq!(slings(&world), [], "it was given away a short time ago");
        world.until("it never came", mins(3), |state| !state.gas_town_1.slings.is_empty()).await;
    });
}

#[test]
fn expired_events_are_pruned_each_hour() {
    simulate(1360, |world| async move {
        let supervisor = town_of_1_x(&world, &["alpha"]).await;
        let pruned = |world: &World| world.state().gas_town_1.pruned.clone();
        assert_eq!(pruned(&world).len(), 1, "at the first heartbeat");
        world.pass(mins(185)).await;
        let times = pruned(&world);
        let apart: Vec<u64> = times.windows(2).map(|two| (two[1] - two[0]).as_secs()).collect();
        assert!(
            apart.len() == 3 && apart.iter().all(|apart| (3600..=3600 + 185).contains(apart)),
            "{apart:?}"
        );
        world.write("ESTOP", "x");
        world.pass(mins(70)).await;
        assert_eq!(pruned(&world).len(), 4, "not under an emergency stop");
        world.remove("ESTOP");
        world.fail("krc", true);
        world.pass(mins(130)).await;
        assert_eq!(pruned(&world).len(), 4);
        let told =
            "expired events were not removed from .events.jsonl and .feed.jsonl: `gt krc prune` failed";
        assert!(supervisor.snapshot().await.problems["pruning"].starts_with(told));
        assert_eq!(world.logged(&format!("Warning: {told}")).len(), 1, "reported once");
        assert_eq!(count(&world, "run `gt krc prune`") - 4, 3, "not tried again at once");
        world.fail("krc", false);
        world.pass(mins(64)).await;
        assert_eq!(supervisor.snapshot().await.problems.get("pruning"), None);
        supervisor.stop().await;
    });
}

#[test]
fn january_has_no_such_duties() {
    simulate(1361, |world| async move {
        world.set_rigs(&["r"]);
        let supervisor = world.supervisor().await;
        world.pass(mins(70)).await;
        assert_eq!((count(&world, "run `gt krc"), count(&world, "run `gt scheduler")), (0, 0));
        supervisor.stop().await;
    });
}

#[test]
fn an_idle_town_is_left_in_peace() {
    simulate(1362, |world| async move {
        let rigs = ["alpha", "beta"];
        let supervisor = town_of_1_x(&world, &rigs).await;
        for rig in rigs {
            for name in ["one", "two"] {
                world.polecat_at_work(rig, name);
            }
        }
        world.pass(mins(10)).await;
        let runs = |world: &World| {
            (count(world, "run `gt "), count(world, "run `bd "), count(world, "run `gt convoy stranded"))
        };
        let (before, beats) = (runs(&world), supervisor.snapshot().await.heartbeat.count);
        world.pass(mins(60)).await;
        let (after, beats) = (runs(&world), supervisor.snapshot().await.heartbeat.count - beats);
        assert_eq!(beats, 20);
        let [gt, bd, stranded] = [after.0 - before.0, after.1 - before.1, after.2 - before.2];
        // `gt`: two looks at the convoys a minute, the inbox at each heartbeat, one pruning. `bd`: each rig's own bead and
        // its list of work, and all agent beads, at each heartbeat.
        assert!((119..=121).contains(&stranded), "{stranded}");
        assert!(gt <= stranded + beats as usize + 1, "gt: {gt}");
        assert!(bd <= beats as usize * (2 * rigs.len() + 1), "bd: {bd}");
        assert_eq!(world.text(".events.jsonl"), None, "each line would wake agents");
        let town = supervisor.snapshot().await;
        assert_eq!((town.events_written, town.problems), (0, Default::default()));
        supervisor.stop().await;
    });
}

#[test]
fn a_convoy_that_cannot_be_used_holds_up_no_other() {
    let good = r#"{"id":"hq-cv-9","tracked_count":1,"ready_count":1,"ready_issues":["alpha-1"]}"#;
    for (name, bad) in [
        ("a flag for an id", r#"{"id":"--all","ready_count":1,"ready_issues":["alpha-2"]}"#),
        ("no id", r#"{"ready_count":1,"ready_issues":["alpha-2"]}"#),
        ("no object", "7"),
        ("null", "null"),
        ("a count in words", r#"{"id":"hq-cv-1","ready_count":"one","ready_issues":["alpha-2"]}"#),
        ("issues that are none", r#"{"id":"hq-cv-1","ready_count":1,"ready_issues":[{"id":"alpha-2"}]}"#),
        ("a count without issues", r#"{"id":"hq-cv-1","ready_count":1,"ready_issues":[]}"#),
    ] {
        simulate(1363, |world| async move {
            let supervisor = town_of_1_x(&world, &["alpha"]).await;
            world.convoy("hq-cv-9", &["alpha-1"]); // so that `bd` knows the bead
            world.state().prints.insert("convoy", format!("[{bad},{good},{bad}]"));
            world.until(name, secs(45), |state| !state.gas_town_1.slings.is_empty()).await;
            world.pass(mins(2)).await;
            assert_eq!(slings(&world)[0], sling("alpha-1", "alpha"), "{name}");
            assert!(slings(&world).iter().all(|it| it.0 == "alpha-1"), "{name}: {:?}", slings(&world));
            let told = "gt convoy stranded lists convoys in a form that cannot be used, which are not fed: ";
            assert!(supervisor.snapshot().await.problems["convoy/unusable"].starts_with(told), "{name}");
            assert_eq!(world.logged(&format!("Warning: {told}")).len(), 1, "{name}");
            supervisor.stop().await;
        });
    }
}

#[test]
fn an_issue_that_cannot_be_slung_holds_up_no_other_convoy() {
    simulate(1364, |world| async move {
        let supervisor = town_of_1_x(&world, &["alpha", "beta"]).await;
        world.convoy("hq-cv-1", &["beta-1"]);
        world.convoy("hq-cv-2", &["alpha-1"]);
        // Beta's database cannot be asked.
        world.fail("bd beta", true);
        world.until("the other's", mins(3), |state| !state.gas_town_1.slings.is_empty()).await;
        assert_eq!(slings(&world), [sling("alpha-1", "alpha")]);
        world.pass(mins(2)).await;
        assert_eq!(slings(&world), [sling("alpha-1", "alpha")], "of beta's nothing is known");
        assert!(supervisor.snapshot().await.problems["convoy/held_up"].contains("hq-cv-1"));
        world.fail("bd beta", false);
        world.until("both", mins(3), |state| state.gas_town_1.slings.len() == 2).await;
        supervisor.stop().await;
    });
}
