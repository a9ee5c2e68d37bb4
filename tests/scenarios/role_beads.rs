//! Role beads change how agents are started; beads that cannot be read change nothing and delay nothing.

use gastown_supervisor::agent::role_bead;
use serde_json::json;

use crate::{town, world::*};

/// A role bead as `gt` makes one, with these lines in its description.
fn role_bead(world: &World, id: &str, lines: &str) {
    world.put_bead(json!({"id": id, "title": "Role", "description": format!("Role definition.\n\n{lines}"),
        "status": "open", "priority": 2, "issue_type": "task", "created_at": "", "updated_at": "",
        "labels": ["gt:role"]}));
}

/// The witness ends, and is back two seconds later, in its second session.
async fn restarted(world: &World) -> FakeSession {
    let before = world.state().created(&witness("r")).len();
    world.crash_agent(&witness("r"), false);
    world.until("its restart", secs(2), |state| state.created(&witness("r")).len() == before + 1).await;
    world.state().session(&witness("r")).clone()
}

/// How often `git fetch` was run.
fn fetches(world: &World) -> usize {
    world.state().trace.iter().filter(|line| line.what.starts_with("run `git fetch")).count()
}

const DEFAULT: &str = "claude --dangerously-skip-permissions";

#[test]
fn they_are_applied_to_every_start_of_the_role() {
    simulate(700, |world| async move {
        let supervisor = town(&world, &["r"]).await;
        world.directory("elsewhere/r");
        world.write("elsewhere/r/.git", "gitdir: somewhere");
        role_bead(
            &world,
            "hq-witness-role",
            "work_dir_pattern: {town}/elsewhere/{rig}\nstart_command: exec my-agent --for {rig}\n\
             env_var: FOO=a=b:{role}\nenv_var: GT_ROLE={rig}/witness\nneeds_pre_sync: true",
        );
        world.state().nature.runs_as.insert(witness("r"), "my-agent".to_owned());
        role_bead::read(&supervisor.deps).await;
        let fetched = fetches(&world);
        let session = restarted(&world).await;
        assert!(session.command.ends_with(" /bin/sh -c 'exec my-agent --for r'"), "{}", session.command);
        assert!(session.command.starts_with("/usr/bin/env -u "), "{}", session.command);
        assert_eq!(session.directory, path("elsewhere/r"));
        let variable = |name: &str| session.environment.get(name).map(String::as_str);
        assert_eq!((variable("FOO"), variable("GT_ROLE")), (Some("a=b:witness"), Some("r/witness")));
        assert_eq!(variable("GT_PROCESS_NAMES"), Some("node,claude,my-agent"));
        assert_eq!(fetches(&world), fetched + 1, "it is brought up to date");
        world.pass(mins(20)).await;
        assert_eq!(world.state().created(&witness("r")).len(), 2, "it is known by its own process's name");
        assert_eq!(supervisor.agent("r/witness").await.state, "alive");
        assert_eq!(world.state().session(&witness("r")).typed.len(), 1, "woken and told what to do");
        // Other roles are what they were.
        world.crash_agent(&refinery("r"), false);
        world.until("the refinery", secs(3), |state| state.created(&refinery("r")).len() == 2).await;
        let refinery = world.state().session(&refinery("r")).clone();
        assert!(refinery.command.ends_with(DEFAULT), "{}", refinery.command);
        assert_eq!(supervisor.snapshot().await.problems, Default::default());
    });
}

#[test]
fn a_worktree_is_synced_only_if_its_role_bead_wants_it() {
    for (lines, synced) in [
        ("nothing of ours: here", true),
        ("env_var: A=b", false),
        ("env_var: A=b\nneeds_pre_sync: true", true),
        ("needs_pre_sync: false", false),
        ("needs_pre_sync: null", true),
    ] {
        simulate(701, |world| async move {
            let supervisor = town(&world, &["r"]).await;
            role_bead(&world, "hq-refinery-role", lines);
            role_bead::read(&supervisor.deps).await;
            world.crash_agent(&refinery("r"), false);
            world.until("its restart", secs(4), |state| state.created(&refinery("r")).len() == 2).await;
            assert_eq!(fetches(&world) > 0, synced, "{lines}");
        });
    }
}

#[test]
fn a_refinery_without_a_worktree_works_in_the_mayors_clone_and_that_is_reported() {
    simulate(710, |world| async move {
        let supervisor = town(&world, &["r"]).await;
        world.directory("r/mayor/rig");
        world.remove_directory("r/refinery/rig");
        for restarts in 2..4 {
            world.crash_agent(&refinery("r"), false);
            let made = |state: &State| state.created(&refinery("r")).len() == restarts;
            world.until("its restart", mins(5), made).await;
            assert_eq!(world.state().session(&refinery("r")).directory, path("r/mayor/rig"));
            world.pass(mins(35)).await; // it restarts at once again
        }
        let problems = supervisor.snapshot().await.problems;
        let why = "r/refinery: its worktree r/refinery/rig is missing; it is started in r/mayor/rig instead";
        assert_eq!(problems["rig/r/r/refinery/worktree"], why);
        assert_eq!(world.logged(why).len(), 1, "told once");
        world.directory("r/refinery/rig");
        world.pass(mins(6)).await; // a heartbeat
        assert_eq!(supervisor.snapshot().await.problems, Default::default());
    });
}

#[test]
fn a_missing_directory_is_reported_with_the_bead_that_names_it() {
    simulate(702, |world| async move {
        let supervisor = town(&world, &["r"]).await;
        role_bead(&world, "hq-witness-role", "work_dir_pattern: {town}/nowhere/{rig}");
        role_bead::read(&supervisor.deps).await;
        world.crash_agent(&witness("r"), false);
        let why = "/town/nowhere/r does not exist; role bead hq-witness-role";
        world
            .until("that it is told", secs(5), |state| {
                state.trace.iter().any(|line| line.log && line.what.contains(why))
            })
            .await;
        world.pass(secs(5)).await;
        assert_eq!(world.state().created(&witness("r")).len(), 1);
        world.directory("nowhere/r");
        world.until("its restart", mins(4), |state| state.created(&witness("r")).len() == 2).await;
        assert_eq!(world.state().session(&witness("r")).directory, path("nowhere/r"));
    });
}

#[test]
fn which_bead_counts() {
    let labelled = |id: &str, lines: &str| (id.to_owned(), lines.to_owned(), true);
    for (case, beads, command, problem) in [
        ("the old id", vec![labelled("gt-witness-role", "start_command: old")], "old", None),
        (
            "both ids",
            vec![
                labelled("gt-witness-role", "start_command: old"),
                labelled("hq-witness-role", "start_command: new"),
            ],
            "new",
            None,
        ),
        (
            "no label",
            vec![("hq-witness-role".to_owned(), "start_command: new".to_owned(), false)],
            DEFAULT,
            Some("no label gt:role"),
        ),
        (
            "no label on one of them",
            vec![
                labelled("gt-witness-role", "start_command: old"),
                ("hq-witness-role".to_owned(), "start_command: new".to_owned(), false),
            ],
            "old",
            Some("no label gt:role"),
        ),
        (
            "another session's name",
            vec![labelled("hq-witness-role", "session_pattern: w-{rig}\nstart_command: new")],
            "new",
            Some("sessions of a witness are named gt-{rig}-witness"),
        ),
        (
            "the same session's name",
            vec![labelled("hq-witness-role", "session_pattern: gt-{rig}-{role}")],
            DEFAULT,
            None,
        ),
        (
            "a broken line",
            vec![labelled("hq-witness-role", "env_var: BROKEN\nstart_command: new")],
            "new",
            Some("NAME=VALUE"),
        ),
        ("another role's", vec![labelled("hq-refinery-role", "start_command: new")], DEFAULT, None),
    ] {
        simulate(703, |world| async move {
            let supervisor = town(&world, &["r"]).await;
            for (id, lines, label) in &beads {
                role_bead(&world, id, lines);
                if !label {
                    world.edit_bead(id, |bead| bead["labels"] = json!([]));
                }
            }
            for through_daemon in [true, false] {
                world.state().bd_daemon = through_daemon;
                role_bead::read(&supervisor.deps).await;
                role_bead::read(&supervisor.deps).await;
            }
            let session = restarted(&world).await;
            assert!(session.command.ends_with(command), "{case}: {}", session.command);
            let problems = supervisor.snapshot().await.problems;
            let told = problems.get("role-beads/witness").map(String::as_str).unwrap_or_default();
            assert!(told.contains(problem.unwrap_or_default()), "{case}: {problems:?}");
            assert_eq!(problems.len(), usize::from(problem.is_some()), "{case}: {problems:?}");
            if let Some(problem) = problem {
                assert_eq!(world.logged(problem).len(), 1, "{case}: told once");
            }
        });
    }
}

#[test]
fn what_cannot_be_read_changes_nothing_and_is_reported_once() {
    simulate(704, |world| async move {
        let supervisor = town(&world, &["r"]).await;
        role_bead(&world, "hq-witness-role", "start_command: exec my-agent");
        world.fail("bd", true);
        for _ in 0..3 {
            role_bead::read(&supervisor.deps).await;
        }
        let session = restarted(&world).await;
        assert!(session.command.ends_with(DEFAULT), "{}", session.command);
        assert!(supervisor.snapshot().await.problems.contains_key("role-beads"));
        assert_eq!(world.logged("the role beads could not be read").len(), 1);
        world.fail("bd", false);
        role_bead::read(&supervisor.deps).await;
        assert!(!supervisor.snapshot().await.problems.contains_key("role-beads"));
        world.pass(mins(35)).await; // it restarts at once again
        // What was read once stays.
        world.fail("bd", true);
        role_bead::read(&supervisor.deps).await;
        world.state().nature.runs_as.insert(witness("r"), "my-agent".to_owned());
        let session = restarted(&world).await;
        assert!(session.command.ends_with("sh -c 'exec my-agent'"), "{}", session.command);
        // And what was read to be gone is gone.
        world.fail("bd", false);
        world.delete_bead("hq-witness-role");
        role_bead::read(&supervisor.deps).await;
        world.pass(mins(35)).await;
        world.state().nature.runs_as.clear();
        let session = restarted(&world).await;
        assert!(session.command.ends_with(DEFAULT), "{}", session.command);
    });
}

#[test]
fn no_start_waits_for_a_bd_that_hangs() {
    simulate(705, |world| async move {
        let supervisor = town(&world, &["r"]).await;
        role_bead(&world, "hq-witness-role", "start_command: exec my-agent");
        world.hang("bd");
        let deps = supervisor.deps.clone();
        let reading = tokio::spawn(async move { role_bead::read(&deps).await });
        world.pass(secs(1)).await;
        let session = restarted(&world).await; // within two seconds
        assert!(session.command.ends_with(DEFAULT), "{}", session.command);
        world.pass(mins(3)).await;
        assert!(reading.is_finished(), "it gives up");
        assert_eq!(world.logged("bd does not answer").len(), 1);
        assert_eq!(world.logged("the role beads could not be read").len(), 0, "one cause, one problem");
        assert!(supervisor.stop().await < millis(400));
    });
}
