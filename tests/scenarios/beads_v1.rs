//! Beads of a 1.x town: each in its own database, a hook that the work bead decides, labels that must be read, and a `bd`
//! that cannot use its databases.

use serde_json::json;

use crate::{REFINERY_EVENT, all_of_1_x_live, deeds, town_of_1_x, world::*};

const WITNESS: &str = "r-witness";
const REFINERY: &str = "r-refinery";

/// A polecat that works, and was seen to.
async fn at_work(world: &World, rig: &str, name: &str) -> String {
    let session = world.polecat_at_work(rig, name);
    world.pass(mins(4)).await;
    session
}

/// A label is put on a rig's own bead, or taken away.
fn label(world: &World, labels: &[&str]) {
    world.put_bead(json!({"id": "r-rig-r", "status": "open", "issue_type": "rig", "labels": labels}));
}

/// The problems but those about convoys, which `gt` looks after.
fn about_beads<T>(problems: &std::collections::BTreeMap<String, T>) -> Vec<&str> {
    problems.keys().map(String::as_str).filter(|key| !key.starts_with("convoy/")).collect()
}

fn starts(world: &World, session: &str) -> usize {
    world.state().created(session).len()
}

#[test]
fn one_that_crashed_with_work_on_its_hook_is_back() {
    for status in ["hooked", "in_progress"] {
        simulate(950, |world| async move {
            let supervisor = town_of_1_x(&world, &["r", "s"]).await;
            let session = at_work(&world, "r", "Toast").await;
            world.edit_bead("r-Toast", |bead| bead["status"] = status.into());
            world.crash_agent(&session, false);
            world.until("its restart", secs(10), |state| state.created(&session).len() == 1).await;
            world.pass(mins(40)).await;
            assert_eq!(starts(&world, &session), 1, "{status}");
            assert_eq!(supervisor.snapshot().await.problems, Default::default());
            assert_eq!(world.state().mails, [], "its agent bead shows no progress, which says nothing");
            for gone in ["bd sync", "bd activity", "--no-daemon"] {
                assert_eq!(world.state().runs_of(gone), 0, "{gone}");
            }
        });
    }
}

#[test]
fn what_its_agent_bead_names_is_not_always_its_work() {
    let other = |world: &World, status: &'static str, assignee: &'static str| {
        world.edit_bead("r-Toast", |bead| {
            bead["status"] = status.into();
            bead["assignee"] = assignee.into();
        });
    };
    for (name, status, assignee, code) in [
        ("closed", "closed", "r/polecats/Toast", "work_closed"),
        ("open again", "open", "r/polecats/Toast", "work_not_hooked"),
        ("another's", "hooked", "r/polecats/nux", "work_not_its"),
        ("another rig's", "in_progress", "s/polecats/Toast", "work_not_its"),
        ("nobody's", "hooked", "", "work_not_its"),
    ] {
        simulate(951, |world| async move {
            let supervisor = town_of_1_x(&world, &["r"]).await;
            let session = at_work(&world, "r", "Toast").await;
            other(&world, status, assignee);
            world.crash_agent(&session, false);
            world.pass(mins(20)).await;
            assert_eq!(starts(&world, &session), 0, "{name}");
            let agent = supervisor.agent("r/polecats/Toast").await;
            assert_eq!(agent.state, "absent", "{name}: {agent:?}");
            assert_eq!(agent.reason_code.as_deref(), Some(code), "{name}: {agent:?}");
            assert!(world.logged("CRASH DETECTED").is_empty(), "{name}");
            // Work that its agent bead does not name is found all the same.
            world.put_bead(json!({"id": "r-new", "status": "hooked", "issue_type": "task",
                "assignee": "r/polecats/Toast", "updated_at": ""}));
            world.until("its start", mins(5), |state| state.created(&session).len() == 1).await;
        });
    }
}

#[test]
fn a_bead_that_was_given_to_another_restarts_only_that_one() {
    simulate(952, |world| async move {
        let _supervisor = town_of_1_x(&world, &["r"]).await;
        let old = at_work(&world, "r", "Toast").await;
        world.crash_agent(&old, false);
        // Before anything is done about it, its work goes to another polecat: both agent beads name the bead.
        world.add_polecat("r", "nux", "");
        world.hook("r", "nux", "r-Toast");
        let new = world.polecat("r", "nux");
        world.start_agent(&new);
        world.pass(mins(4)).await;
        world.crash_agent(&new, false);
        world.until("the other's restart", secs(10), |state| state.created(&new).len() == 1).await;
        world.pass(mins(20)).await;
        assert_eq!((starts(&world, &old), starts(&world, &new)), (0, 1));
    });
}

#[test]
fn one_that_is_being_spawned_is_left_to_gt() {
    simulate(953, |world| async move {
        let _supervisor = town_of_1_x(&world, &["r"]).await;
        world.add_polecat("r", "Toast", "r-1");
        let session = world.polecat("r", "Toast");
        world.pass(mins(4)).await;
        assert_eq!(starts(&world, &session), 0, "gt starts it a moment later");
        world.until("its start", mins(5), |state| state.created(&session).len() == 1).await;
    });
}

#[test]
fn a_bd_that_needs_a_migration_is_one_problem_and_sessions_stay() {
    const SAYS: &str = "column \"depends_on_issue_id\" could not be found in any table in scope";
    simulate(954, |world| async move {
        let supervisor = town_of_1_x(&world, &["r", "s"]).await;
        let session = at_work(&world, "r", "Toast").await;
        let idle = at_work(&world, "s", "nux").await;
        world.unhook("s", "nux");
        world.state().bd_errors.insert("list", SAYS.to_owned());
        world.pass(mins(10)).await;
        let made = deeds(&world);
        world.crash_agent(&idle, false);
        world.pass(mins(10)).await;
        assert_eq!(deeds(&world), made, "what it would work on is not known");
        let problems = supervisor.snapshot().await.problems;
        let keys = about_beads(&problems);
        assert_eq!(keys, ["ledger/bd_migrate"], "{problems:?}");
        let text = format!("{:?}", problems["ledger/bd_migrate"]);
        assert!(text.contains("depends_on_issue_id") && text.contains("run `bd migrate`"), "{text}");
        assert_eq!(world.logged("run `bd migrate`").len(), 1, "told once");
        assert!(world.state().lives(&session), "sessions stay");
        world.state().bd_errors.clear();
        world.pass(mins(5)).await;
        assert_eq!(supervisor.snapshot().await.problems, Default::default());
    });
}

#[test]
fn without_its_server_bd_knows_nothing_and_that_is_one_problem() {
    const SAYS: &str =
        "failed to open database: Dolt server unreachable at 127.0.0.1:3307: dial tcp: connection refused";
    simulate(955, |world| async move {
        let supervisor = town_of_1_x(&world, &["r", "s"]).await;
        let session = at_work(&world, "r", "Toast").await;
        for subcommand in ["show", "list"] {
            world.state().bd_errors.insert(subcommand, SAYS.to_owned());
        }
        world.pass(mins(10)).await;
        let made = deeds(&world);
        world.crash_agent(&session, false);
        world.pass(mins(10)).await;
        assert_eq!(deeds(&world), made, "its work is not known");
        let problems = supervisor.snapshot().await.problems;
        let keys = about_beads(&problems);
        assert_eq!(keys, ["ledger/bd_server"], "{problems:?}");
        // The label was read before: a witness that crashes is restarted.
        world.crash_agent(WITNESS, false);
        world.until("the witness", secs(5), |state| state.created(WITNESS).len() == 2).await;
        world.state().bd_errors.clear();
        world.until("the polecat", mins(5), |state| state.created(&session).len() == 1).await;
        world.pass(mins(4)).await;
        assert_eq!(supervisor.snapshot().await.problems, Default::default());
    });
}

#[test]
fn a_rig_whose_label_was_never_read_is_not_started() {
    simulate(956, |world| async move {
        world.is_v1();
        world.set_rigs(&["r"]);
        label(&world, &["gt:rig", "status:docked"]);
        world.fail("bd", true);
        let supervisor = world.supervisor().await;
        world.pass(mins(20)).await;
        assert_eq!((starts(&world, WITNESS), starts(&world, REFINERY)), (0, 0));
        let agent = supervisor.agent("r/witness").await;
        assert!(format!("{agent:?}").contains("whether it is docked"), "{agent:?}");
        world.fail("bd", false);
        world.pass(mins(5)).await;
        assert_eq!(starts(&world, WITNESS), 0, "it is docked");
        assert_eq!(supervisor.agent("r/witness").await.reason.as_deref(), Some("rig is docked"));
        label(&world, &["gt:rig"]);
        world.until("its start", mins(4), |state| state.created(WITNESS).len() == 1).await;
    });
}

#[test]
fn role_files_say_how_an_agent_is_started() {
    simulate(957, |world| async move {
        world.is_v1();
        world.write(
            "roles/witness.toml",
            "[session]\nstart_command = \"exec my-agent --for {rig} {prefix}\"\n[env]\nFOO = \"a {role}\"\nGT_RIG = \"other\"\n",
        );
        world.write("r/roles/refinery.toml", "[session]\nwork_dir = 7\n");
        // They are for starts without gt.
        world.write("settings/supervisor.json", r#"{"start":{"by_gt":false}}"#);
        world.write("settings/config.json", r#"{"role_agents":{"refinery":"claude"}}"#);
        world.write("roles/refinery.toml", "[session]\nstart_command = \"exec other-agent\"\n");
        world.state().nature.runs_as.insert(WITNESS.to_owned(), "my-agent".to_owned());
        world.set_rigs(&["r"]);
        world.write(REFINERY_EVENT, "{}");
        let supervisor = world.supervisor().await;
        world.until("its agents", mins(2), |state| all_of_1_x_live(world.time(), state, &["r"])).await;
        world.pass(secs(20)).await;
        world.crash_agent(WITNESS, false);
        world.until("its restart", secs(5), |state| state.created(WITNESS).len() == 2).await;
        let session = world.state().session(WITNESS).clone();
        assert!(session.command.ends_with(" /bin/sh -c 'exec my-agent --for r r'"), "{}", session.command);
        let variable = |name: &str| session.environment.get(name).map(String::as_str);
        assert_eq!((variable("FOO"), variable("GT_RIG")), (Some("a witness"), Some("r")), "ours stay");
        world.crash_agent(REFINERY, false);
        world.until("the refinery", secs(5), |state| state.created(REFINERY).len() == 2).await;
        let session = world.state().session(REFINERY).clone();
        assert!(session.command.contains("claude"), "role_agents names it: {}", session.command);
        let problems = supervisor.snapshot().await.problems;
        let text = format!("{:?}", problems["rig/r/roles/refinery"]);
        assert!(text.contains("r/roles/refinery.toml:2:12"), "{text}");
        assert_eq!(world.state().runs_of("-role"), 0, "bd is not asked for role beads");
    });
}

#[test]
fn few_runs_of_bd_whatever_the_number_of_polecats() {
    for polecats in [1, 40] {
        simulate(958, |world| async move {
            let rigs = ["a", "b", "c"];
            let supervisor = town_of_1_x(&world, &rigs).await;
            for rig in rigs {
                for n in 0..polecats {
                    world.polecat_at_work(rig, &format!("p{n:02}"));
                }
            }
            world.pass(mins(6)).await;
            for _ in 0..3 {
                let before = world.state().bd_runs();
                let beats = supervisor.snapshot().await.heartbeat.count;
                world.pass(mins(3)).await;
                assert_eq!(supervisor.snapshot().await.heartbeat.count, beats + 1);
                let runs = world.state().bd_runs() - before;
                // Two for each rig, and one for the agent beads of all.
                assert_eq!(runs, 2 * rigs.len() + 1, "{polecats} polecats");
            }
            assert_eq!(supervisor.snapshot().await.problems, Default::default());
        });
    }
}

#[test]
fn a_live_polecat_whose_work_was_given_to_another_is_reported_once_and_lives_on() {
    simulate(959, |world| async move {
        let supervisor = town_of_1_x(&world, &["r"]).await;
        let session = at_work(&world, "r", "Toast").await;
        let give_to = |name: &str| {
            let assignee = format!("r/polecats/{name}");
            world.edit_bead("r-Toast", |bead| bead["assignee"] = assignee.into());
        };
        let text = "r/polecats/Toast lives, and r-Toast, which its agent bead names, is assigned to r/polecats/nux: \
                    both may work on it";
        let told = |what: &str| world.logged(&format!("{what}: {text}")).len();
        // Only for a moment, as while `gt sling` changes one bead after the other.
        give_to("nux");
        world.pass(secs(20)).await;
        give_to("Toast");
        world.pass(mins(8)).await;
        assert_eq!(told("Warning"), 0);
        give_to("nux");
        world.pass(mins(40)).await;
        let problems = supervisor.snapshot().await.problems;
        assert_eq!(problems["rig/r/r/polecats/Toast/reassigned"], text);
        assert_eq!((told("Warning"), told("Resolved")), (1, 0));
        assert!(world.state().lives(&session) && starts(&world, &session) == 0, "nothing is done about it");
        assert_eq!(world.state().mails, []);
        world.close_bead("r-Toast");
        world.pass(mins(4)).await;
        assert_eq!(supervisor.snapshot().await.problems, Default::default());
        assert_eq!((told("Warning"), told("Resolved")), (1, 1));
    });
}
