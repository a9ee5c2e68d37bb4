//! The supervisor starts the agents of a 1.x town itself, where `gt` is missing: with the variables, arguments and files that `gt`
//! would have given them.

use std::{path::Path, sync::Arc};

use gastown_supervisor::{
    agent::{
        lifecycle::{Attempt, StartEnd, StartOrder},
        spec::AgentSpec,
        start,
    },
    ledger::snapshot,
    town::{rig_plan::RigPlan, settings::Naming},
};
use tokio::sync::Notify;

use crate::{town_of_1_x, world::*};

/// A 1.x town with the rig `r`, without `gt`, and its supervisor; its agents are up.
async fn without_gt(world: &World) -> Supervisor {
    world.state().programs.remove("gt");
    world.write("mayor/daemon.json", r#"{"env":{"GT_DOLT_PORT":"3308"}}"#);
    world.write(".dolt-data/config.yaml", "listener:\n  port: 3309\n");
    town_of_1_x(world, &["r"]).await
}

/// The arguments of its program.
fn arguments(session: &FakeSession) -> Vec<String> {
    let words = shell_words::split(&session.command).unwrap();
    let program = words.iter().position(|word| word.ends_with("claude")).unwrap();
    words[program + 1..].to_vec()
}

#[test]
fn agents_get_what_gt_gives_them_and_nothing_is_typed() {
    simulate(950, |world| async move {
        let supervisor = without_gt(&world).await;
        for (name, role, directory, settings, beginning) in [
            (DEACON, "deacon", "deacon", None, "[GAS TOWN] deacon <- daemon • "),
            (
                "r-witness",
                "r/witness",
                "r/witness",
                Some("r/witness/.claude/settings.json"),
                "[GAS TOWN] witness (rig: r) <- deacon • ",
            ),
            (
                "r-refinery",
                "r/refinery",
                "r/refinery/rig",
                Some("r/refinery/.claude/settings.json"),
                "[GAS TOWN] refinery (rig: r) <- deacon • ",
            ),
        ] {
            let session = world.state().session(name).clone();
            let arguments = arguments(&session);
            let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
            let settings_file = settings.map(|file| format!("{TOWN}/{file}"));
            match (&settings_file, words.as_slice()) {
                (Some(file), ["--dangerously-skip-permissions", "--settings", named, prompt]) => {
                    assert_eq!(named, file);
                    assert!(prompt.starts_with(beginning), "{prompt}");
                }
                (None, ["--dangerously-skip-permissions", prompt]) => {
                    assert!(prompt.starts_with(beginning), "{prompt}");
                }
                _ => panic!("{name}: {words:?}"),
            }
            assert_eq!(session.typed, [], "{name}");
            assert_eq!(session.directory, path(directory), "{name}");
            for (variable, value) in [
                ("GT_ROLE", role),
                ("GT_SESSION", name),
                ("GT_AGENT", "claude"),
                ("GT_PROCESS_NAMES", "node,claude"),
                ("GT_DOLT_PORT", "3309"),
                ("BEADS_DOLT_PORT", "3309"),
                ("BEADS_DOLT_AUTO_START", "0"),
                ("GT_ROOT", TOWN),
                ("GT_PANE_ID", &format!("%{}", session.id)),
            ] {
                assert_eq!(
                    session.environment.get(variable).map(String::as_str),
                    Some(value),
                    "{name}: {variable}"
                );
            }
        }
        let runs: Vec<String> = [DEACON, "r-witness", "r-refinery"]
            .map(|name| world.state().session(name).environment["GT_RUN"].clone())
            .into();
        assert!(runs[0] != runs[1] && runs[1] != runs[2], "{runs:?}");
        for file in ["deacon", "r/witness", "r/refinery"] {
            let settings = world.text(&format!("{file}/.claude/settings.json")).unwrap();
            assert!(
                settings.contains("gt prime --hook") && !settings.contains("session-started"),
                "{settings}"
            );
        }
        assert!(world.text("r/.runtime/witness.json").is_none(), "1.x has no such file");
        assert_eq!(supervisor.agent("r/witness").await.state, "alive");
    });
}

#[test]
fn the_pane_that_gt_looks_in_is_the_agent_s_even_beside_a_person_s() {
    simulate(955, |world| async move {
        world.state().nature.splits = 1.0;
        let supervisor = without_gt(&world).await;
        let session = world.state().session("r-witness").clone();
        assert!(session.persons_shell.is_some());
        assert_eq!(session.environment["GT_PANE_ID"], format!("%{}", session.id));
        assert_eq!(supervisor.agent("r/witness").await.state, "alive");
    });
}

#[test]
fn settings_that_are_there_stay() {
    simulate(951, |world| async move {
        world.write("r/witness/.claude/settings.json", "a person's");
        without_gt(&world).await;
        assert_eq!(world.text("r/witness/.claude/settings.json").as_deref(), Some("a person's"));
        let named = arguments(world.state().session("r-witness"))[2].clone();
        assert_eq!(Path::new(&named), path("r/witness/.claude/settings.json"));
    });
}

#[test]
fn what_has_no_hooks_and_takes_no_prompt_is_told_in_its_session() {
    simulate(952, |world| async move {
        world.state().programs.insert("codex".to_owned());
        world.state().nature.runs_as.insert("r-witness".to_owned(), "codex".to_owned());
        world.state().nature.shows.insert("r-witness".to_owned(), "› ".to_owned());
        world.write(
            "r/settings/config.json",
            r#"{"role_agents":{"witness":"codex"},"runtime":{"exec_wrapper":["box","--"]}}"#,
        );
        without_gt(&world).await;
        let session = world.state().session("r-witness").clone();
        let command = "box -- /bin/codex --dangerously-bypass-approvals-and-sandbox";
        assert!(session.command.ends_with(command), "{}", session.command);
        let typed: Vec<&str> = session.typed.iter().map(|(_, text)| text.as_str()).collect();
        let [text] = typed.as_slice() else { panic!("{typed:?}") };
        let beginning = "gt prime && gt mail check --inject\n[GAS TOWN] witness (rig: r) <- deacon • ";
        assert!(text.starts_with(beginning) && text.ends_with("begin patrol."), "{text}");
        assert!(session.environment["GT_AGENT"] == "codex" && !text.contains("session-started"));
        let refinery = world.state().session("r-refinery").command.clone();
        assert!(refinery.contains(" box -- "), "the whole rig is in its sandbox: {refinery}");
    });
}

#[test]
fn what_is_closed_while_its_worktree_does_not_answer_is_heeded() {
    simulate(954, |world| async move {
        without_gt(&world).await;
        let session = world.polecat_at_work("r", "Toast");
        world.pass(mins(4)).await;
        world.hang("git symbolic-ref");
        world.crash_agent(&session, false);
        world.until("its branch", mins(10), |state| state.runs_of("git symbolic-ref") > 0).await;
        world.write("ESTOP", "x");
        world.pass(mins(3)).await;
        assert_eq!(world.state().created(&session).len(), 0);
        world.release("git symbolic-ref");
        world.remove("ESTOP");
        world.until("its start", mins(4), |state| state.created(&session).len() == 1).await;
    });
}

#[test]
fn every_role() {
    for (identity, session, directory, settings, recipient, own) in [
        ("mayor", "hq-mayor", "mayor", "", "mayor <- human", &[][..]),
        ("deacon-boot", "hq-boot", "deacon/dogs/boot", "", "boot <- daemon", &[("GT_ROLE", "deacon/boot")]),
        (
            "r/witness",
            "r-witness",
            "r/witness",
            "r/witness",
            "witness (rig: r) <- deacon",
            &[("GT_SCOPE", "rig")],
        ),
        (
            "r/refinery",
            "r-refinery",
            "r/refinery/rig",
            "r/refinery",
            "refinery (rig: r) <- deacon",
            &[("GT_REFINERY", "1")],
        ),
        (
            "r/crew/max",
            "r-crew-max",
            "r/crew/max",
            "r/crew",
            "crew max (rig: r) <- human",
            &[("GT_CREW", "max")],
        ),
        (
            "r/polecats/Toast",
            "r-Toast",
            "r/polecats/Toast/r",
            "r/polecats",
            "polecat Toast (rig: r) <- witness",
            &[
                ("GT_ROLE", "r/polecats/Toast"),
                ("GT_BRANCH", "main"),
                ("POLECAT_SLOT", "1"),
                ("GT_POLECAT_PATH", "/town/r/polecats/Toast/r"),
                ("BD_DOLT_AUTO_COMMIT", "off"),
                ("BEADS_AGENT_NAME", "r/Toast"),
            ],
        ),
    ] {
        simulate(953, |world| async move {
            world.is_v1();
            world.state().programs.remove("gt");
            world.set_rigs(&["r"]);
            for there in ["mayor", "r/crew/max", "r/polecats/Rust/r", "r/polecats/Toast/r"] {
                world.directory(there);
            }
            let (deps, _settings) = world.deps().await;
            // The label of its rig's bead was read.
            let plan = RigPlan { name: "r".parse().unwrap(), prefix: "r".into() };
            deps.keep_snapshot(Arc::new(snapshot::read(&deps, &plan, &[]).await));
            let spec = AgentSpec::new(identity.parse().unwrap(), Naming::Prefix, &"r".into());
            // The start is called by itself: nobody has asked for the mayor or the crew, and no work is on a hook.
            let order = StartOrder { attempt: Attempt::Fresh, replace: None };
            let end = start::start(&deps, &spec, &order, &Notify::new(), None).await;
            assert!(matches!(end, StartEnd::Up { .. }), "{identity}: {end:?}");
            let made = world.state().session(session).clone();
            assert_eq!(
                (made.directory.as_path(), made.typed.len()),
                (path(directory).as_path(), 0),
                "{identity}"
            );
            let arguments = arguments(&made);
            let prompt = arguments.last().unwrap();
            assert!(prompt.starts_with(&format!("[GAS TOWN] {recipient} • ")), "{identity}: {prompt}");
            let named =
                arguments.iter().position(|word| word == "--settings").map(|at| arguments[at + 1].clone());
            let expected = (!settings.is_empty()).then(|| format!("{TOWN}/{settings}/.claude/settings.json"));
            assert_eq!(named, expected, "{identity}");
            for (variable, value) in own {
                let got = made.environment.get(*variable).map(String::as_str);
                assert_eq!(got, Some(*value), "{identity}: {variable}");
            }
            assert_eq!(made.environment["GT_PANE_ID"], format!("%{}", made.id), "{identity}");
            assert!(!made.environment.contains_key("BEADS_NO_DAEMON"), "{identity}");
            world.state().violations.clear();
        });
    }
}

#[test]
fn an_agent_gets_a_scope_where_that_works() {
    for (name, works) in [("systemd-run works", true), ("it does not", false)] {
        simulate(957, move |world| async move {
            if works {
                world.state().programs.insert("/usr/bin/env".to_owned());
            }
            world.write(
                "settings/supervisor.json",
                r#"{"start":{"memory":{"max":{"all":"2GiB","refinery":null}}}}"#,
            );
            let supervisor = without_gt(&world).await;
            let command = |session: &str| world.state().session(session).command.clone();
            let scope =
                "systemd-run --user --scope --collect --quiet -p 'MemoryMax=2147483648' -- /usr/bin/env ";
            assert_eq!(command("r-witness").contains(scope), works, "{name}: {}", command("r-witness"));
            assert!(!command("r-refinery").contains("systemd-run"), "{name}");
            let problems = supervisor.snapshot().await.problems;
            assert_eq!(problems.contains_key("start.memory.max"), !works, "{name}: {problems:#?}");
            let trials = world.trace().iter().filter(|line| line.contains("run `/usr/bin/env")).count();
            assert_eq!(trials, 1, "{name}: it is tried once");
        });
    }
}
