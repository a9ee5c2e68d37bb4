//! A town of one file follows that file while it runs, across a crash of the root, and across supervisors.

use gastown_supervisor::signals::Signal;

use crate::world::*;

/// Agents of `claude`, each with these lines more.
fn file(agents: &[(&str, &str)]) -> String {
    let agent = |(name, more): &(&str, &str)| format!("[agents.{name}]\ncommand = \"claude\"\n{more}\n");
    agents.iter().map(agent).collect()
}

/// Some agents as they are without anything more.
fn plain(names: &[&str]) -> String {
    file(&names.iter().map(|name| (*name, "")).collect::<Vec<_>>())
}

/// A town of this file, whose agents run, and its supervisor.
async fn town(world: &World, text: &str, sessions: &[&str]) -> Supervisor {
    world.directory("");
    world.is_one_file(text);
    for session in sessions {
        world.begin(session, By::Operator, Default::default());
    }
    let supervisor = world.supervisor().await;
    for session in sessions {
        supervisor.until_agent(&format!("@{session}"), "alive", mins(1)).await;
    }
    supervisor
}

/// The sessions whose agents live, in order.
fn living(world: &World) -> Vec<String> {
    let state = world.state();
    state.sessions.keys().filter(|name| state.lives(name)).cloned().collect()
}

/// The sessions that the supervisor made or ended.
fn touched(world: &World) -> Vec<String> {
    world.state().deeds.iter().map(|(_, deed)| format!("{deed:?}")).collect()
}

/// Which agents the supervisor keeps.
async fn kept(supervisor: &Supervisor) -> Vec<String> {
    supervisor.snapshot().await.agents.into_iter().map(|agent| agent.identity).collect()
}

/// What is open about the file.
fn about_the_file(supervisor: &Supervisor) -> Option<String> {
    supervisor.deps.problems.open().remove("agents_file")
}

#[test]
fn its_tree_has_nothing_of_gas_towns() {
    simulate(1700, |world| async move {
        let supervisor = town(&world, &plain(&["mayor", "b"]), &["mayor", "b"]).await;
        world.pass(mins(10)).await;
        let status = supervisor.snapshot().await;
        let mut actors: Vec<&str> = status.actors.iter().map(|actor| actor.name.as_str()).collect();
        actors.sort_unstable();
        assert_eq!(
            actors,
            ["@b", "@mayor", "accounts", "activity", "alerts", "control", "deaths", "sessions"]
        );
        assert!(status.heartbeat.count >= 3 && status.heartbeat.last.is_some(), "{status:#?}");
        let ran: Vec<String> = world.state().trace.iter().map(|line| format!("{line:?}")).collect();
        let of_gas_town = ["mayor/", ".beads", "rigs", "daemon/state.json", ".feed.jsonl"];
        let strange = ran.iter().filter(|line| of_gas_town.iter().any(|word| line.contains(word)));
        let strange: Vec<&String> = strange.filter(|line| !line.contains("somebody writes")).collect();
        assert!(strange.is_empty(), "{strange:#?}");
        assert_eq!(touched(&world), Vec::<String>::new(), "what runs is adopted");
    });
}

#[test]
fn what_is_new_is_started_and_what_is_gone_is_ended() {
    simulate(1701, |world| async move {
        let supervisor = town(&world, &plain(&["a", "b", "c"]), &["a", "b", "c"]).await;
        world.allow_end("b");
        world.write(AGENTS_FILE, &plain(&["a", "c", "d"]));
        world.until("the end of b", secs(10), |state| !state.lives("b")).await;
        world.pass(secs(5)).await;
        assert_eq!(kept(&supervisor).await, ["@a", "@c", "@d"]);
        assert!(living(&world).starts_with(&["a".to_owned(), "c".to_owned()]), "{:?}", living(&world));
        assert!(!touched(&world).iter().any(|deed| deed.contains("\"a\"") || deed.contains("\"c\"")));
        let story = supervisor.story("@b");
        assert!(
            story.iter().any(|line| line.contains("stop requested (agents.toml no longer has it)")),
            "{story:#?}"
        );
        assert_eq!(supervisor.deps.records.hold(&"@b".parse().unwrap()), None, "nothing holds it any more");
        // It comes back, and is nobody's who was stopped.
        world.write(AGENTS_FILE, &plain(&["a", "b", "c", "d"]));
        world.pass(secs(10)).await;
        assert_eq!(kept(&supervisor).await, ["@a", "@b", "@c", "@d"]);
        assert_ne!(supervisor.agent("@b").await.state, "held");
    });
}

#[test]
fn half_a_file_is_nothing() {
    let whole = plain(&["a", "b", "c"]);
    for (name, half) in [
        ("emptied first", String::new()),
        ("cut between two tables", plain(&["a", "b"])),
        ("cut in a line", whole[..whole.len() - 4].to_owned()),
    ] {
        simulate(1702, |world| async move {
            let (before, after) = (plain(&["a", "b", "c"]), plain(&["a", "b", "c", "d"]));
            let supervisor = town(&world, &before, &["a", "b", "c"]).await;
            world.write(AGENTS_FILE, &half);
            world.pass(millis(700)).await;
            world.write(AGENTS_FILE, &after);
            world.pass(millis(900)).await;
            assert_eq!(kept(&supervisor).await, ["@a", "@b", "@c"], "{name}: it is looked at twice");
            world.pass(secs(2)).await;
            assert_eq!(kept(&supervisor).await, ["@a", "@b", "@c", "@d"], "{name}");
            assert_eq!(living(&world)[..3], ["a", "b", "c"], "{name}");
            assert_eq!(about_the_file(&supervisor), None, "{name}: nobody is told of half a file");
        });
    }
}

#[test]
fn a_bad_file_is_one_problem_and_the_last_plan_stays() {
    simulate(1703, |world| async move {
        let good = plain(&["a", "b"]);
        let supervisor = town(&world, &good, &["a", "b"]).await;
        for (name, text, told) in [
            (
                "two mistakes",
                Some("comand = 1\n[agents.a]\ncommand = 7\n"),
                &["agents.toml:1:1", "agents.toml:3:"][..],
            ),
            ("it is empty", Some(""), &["agents.toml:1:1: it is empty"][..]),
            ("it is gone", None, &["agents.toml: it is missing"][..]),
        ] {
            match text {
                Some(text) => world.write(AGENTS_FILE, text),
                None => world.remove(AGENTS_FILE),
            }
            world.pass(mins(4)).await;
            let problem = about_the_file(&supervisor).unwrap_or_else(|| panic!("{name}"));
            assert!(told.iter().all(|it| problem.contains(it)), "{name}: {problem}");
            assert!(problem.ends_with("the last good plan stays in force"), "{name}: {problem}");
            let settings = supervisor.snapshot().await.settings;
            // The problem is one line, whatever the number of mistakes.
            let refused = settings.refused.map(|mistakes| mistakes.replace('\n', "; "));
            assert_eq!(refused.as_ref(), Some(&problem), "{name}");
            assert_eq!(kept(&supervisor).await, ["@a", "@b"], "{name}");
        }
        world.write(AGENTS_FILE, &good);
        world.pass(secs(5)).await;
        assert_eq!(about_the_file(&supervisor), None);
        let settings = supervisor.snapshot().await.settings;
        assert_eq!((settings.refused, settings.generation), (None, settings.begun));
        assert_eq!(touched(&world), Vec::<String>::new());
    });
}

#[test]
fn what_would_end_most_agents_waits_until_somebody_asks() {
    for (name, text) in [
        ("three of four", plain(&["d"])),
        ("all", "socket = \"default\"\n".to_owned()),
        ("no agents", "# later\n".to_owned()),
    ] {
        simulate(1704, |world| async move {
            let supervisor = town(&world, &plain(&["a", "b", "c", "d"]), &["a", "b", "c", "d"]).await;
            world.write(AGENTS_FILE, &text);
            world.pass(mins(7)).await;
            let problem = about_the_file(&supervisor).unwrap_or_else(|| panic!("{name}"));
            assert!(
                problem.contains("of 4 running agents (a, b, c") && problem.contains("reload"),
                "{problem}"
            );
            assert_eq!(living(&world).len(), 4, "{name}");
            for session in ["a", "b", "c", "d"] {
                world.allow_end(session);
            }
            supervisor.signals.tell(Signal::Reload);
            world
                .until("their end", secs(20), |state| !["a", "b", "c"].iter().any(|it| state.lives(it)))
                .await;
            world.pass(secs(1)).await;
            assert_eq!(about_the_file(&supervisor), None, "{name}");
            assert_eq!(living(&world).contains(&"d".to_owned()), name == "three of four", "{name}");
            if name == "all" {
                let next = supervisor.snapshot().await.settings.next_start;
                assert!(next.is_some_and(|it| it.starts_with("socket (")), "{name}");
            }
        });
    }
}

#[test]
fn who_asks_for_a_bad_file_learns_it_at_once() {
    simulate(1705, |world| async move {
        let supervisor = town(&world, &plain(&["a"]), &["a"]).await;
        world.pass(secs(5)).await;
        let before = supervisor.snapshot().await.settings;
        world.write(AGENTS_FILE, "nonsense");
        supervisor.signals.tell(Signal::Reload);
        world.pass(millis(50)).await;
        let after = supervisor.snapshot().await.settings;
        assert!(after.generation > before.begun && after.refused.is_some(), "{after:?}");
    });
}

#[test]
fn only_what_changed_is_restarted() {
    simulate(1706, |world| async move {
        let text = |of_b: &str| file(&[("a", ""), ("b", of_b), ("c", "")]);
        let supervisor = town(&world, &text(""), &["a", "b", "c"]).await;
        world.pass(secs(5)).await;
        world.write(AGENTS_FILE, &text("prompt = \"go on\"\nrestart = \"always\""));
        world.pass(mins(4)).await;
        assert_eq!(touched(&world), Vec::<String>::new(), "it goes on under other rules");
        world.allow_end("b");
        world.allow_start("b");
        world.write(AGENTS_FILE, &text("prompt = \"go on\"\nrestart = \"always\"\nenv.FOO = \"secret\""));
        world.until("the end of b", secs(10), |state| state.ended("b").len() == 1).await;
        world.pass(mins(4)).await;
        let story = supervisor.story("@b");
        let said = "restart requested (agents.toml changed: env.FOO)";
        assert_eq!(story.iter().filter(|line| line.contains(said)).count(), 1, "{story:#?}");
        assert!(!touched(&world).iter().any(|deed| deed.contains("\"a\"") || deed.contains("\"c\"")));
        assert_eq!(world.state().ended("b").len(), 1, "once");
        let plan = world.text(".supervisor/plan.json").unwrap();
        assert!(!plan.contains("secret") && !plan.contains("other_since"), "{plan}");
        assert!(!world.text(".supervisor/claims.json").unwrap_or_default().contains("secret"));
    });
}

#[test]
fn replicas_come_and_go() {
    simulate(1707, |world| async move {
        let replicas = |count: u32| file(&[("w", &format!("replicas = {count}"))]);
        let supervisor = town(&world, &replicas(3), &["w-1", "w-2", "w-3"]).await;
        world.allow_end("w-3");
        world.write(AGENTS_FILE, &replicas(2));
        world.until("the end of w-3", secs(10), |state| !state.lives("w-3")).await;
        world.pass(secs(1)).await;
        assert_eq!(kept(&supervisor).await, ["@w-1", "@w-2"]);
        world.write(AGENTS_FILE, &replicas(4));
        world.pass(secs(5)).await;
        assert_eq!(kept(&supervisor).await, ["@w-1", "@w-2", "@w-3", "@w-4"]);
        assert_eq!(living(&world)[..2], ["w-1", "w-2"]);
        assert!(!touched(&world).iter().any(|deed| deed.contains("w-1") || deed.contains("w-2")));
    });
}

#[test]
fn another_session_name_is_the_end_of_the_old_one() {
    simulate(1708, |world| async move {
        let text = |session: &str| file(&[("a", &format!("session = \"{session}\"")), ("b", "")]);
        world.directory("");
        world.is_one_file(&text("x"));
        world.begin("x", By::Operator, Default::default());
        world.begin("b", By::Operator, Default::default());
        let supervisor = world.supervisor().await;
        supervisor.until_agent("@a", "alive", mins(1)).await;
        world.allow_end("x");
        world.write(AGENTS_FILE, &text("y"));
        world.until("the end of x", secs(10), |state| !state.lives("x")).await;
        world.pass(secs(10)).await;
        let agent = supervisor.agent("@a").await;
        assert_eq!(agent.session, "y");
        assert_ne!(agent.state, "held", "{agent:#?}");
        assert!(living(&world).contains(&"b".to_owned()));
    });
}

#[test]
fn a_root_that_is_created_again_keeps_the_plan() {
    simulate(1709, |world| async move {
        let supervisor = town(&world, &plain(&["a", "b", "c"]), &["a", "b", "c"]).await;
        world.allow_end("b");
        world.write(AGENTS_FILE, &plain(&["a", "c"]));
        world.until("the end of b", secs(10), |state| !state.lives("b")).await;
        world.pass(secs(1)).await;
        // The file is broken when the root comes back: its plan is the last one, and not that of the start.
        world.write(AGENTS_FILE, "nonsense");
        supervisor.crash("root").await;
        world.pass(secs(10)).await;
        assert_eq!(kept(&supervisor).await, ["@a", "@c"]);
        assert_eq!(living(&world), ["a", "c"]);
        assert!(about_the_file(&supervisor).is_some());
    });
}

#[test]
fn a_root_that_crashes_while_agents_end_goes_on_with_it() {
    for after in [millis(1_010), millis(1_150), millis(1_400), secs(2)] {
        simulate(1710, |world| async move {
            let supervisor = town(&world, &plain(&["a", "b", "c"]), &["a", "b", "c"]).await;
            world.pass(secs(5)).await;
            world.allow_end("b");
            world.write(AGENTS_FILE, &plain(&["a", "c"]));
            world.pass(after).await;
            supervisor.crash("root").await;
            world.until("the end of b", secs(20), |state| !state.lives("b")).await;
            world.pass(secs(5)).await;
            assert_eq!(kept(&supervisor).await, ["@a", "@c"], "{after:?}");
            assert_eq!(living(&world), ["a", "c"], "{after:?}");
        });
    }
}

#[test]
fn what_changed_while_no_supervisor_ran() {
    simulate(1711, |world| async move {
        let before = file(&[("a", ""), ("b", ""), ("c", "")]);
        let supervisor = town(&world, &before, &["a", "b", "c"]).await;
        world.pass(secs(5)).await;
        supervisor.stop().await;
        // b is another one, c is gone, d is new.
        world.write(AGENTS_FILE, &file(&[("a", ""), ("b", "env.FOO = \"1\""), ("d", "")]));
        world.allow_end("b");
        world.allow_start("b");
        let supervisor = world.supervisor().await;
        world.until("the end of b", secs(20), |state| state.ended("b").len() == 1).await;
        world.pass(mins(4)).await;
        let story = supervisor.story("@b");
        let said = "restart requested (agents.toml changed while no supervisor ran)";
        assert!(story.iter().any(|line| line.contains(said)), "{story:#?}");
        assert_eq!(world.state().ended("b").len(), 1, "once");
        assert!(living(&world).contains(&"a".to_owned()) && living(&world).contains(&"c".to_owned()));
        assert_eq!(kept(&supervisor).await, ["@a", "@b", "@d"]);
        let left = || supervisor.deps.problems.open().remove("@c/left_behind");
        let told = left().unwrap();
        assert!(
            told.contains("c was taken out of agents.toml") && told.contains("kill-session -t '=c:'"),
            "{told}"
        );
        world.end_session("c", "a person ends it");
        world.pass(mins(4)).await;
        assert_eq!(left(), None);
        assert!(!world.text(".supervisor/plan.json").unwrap().contains("@c"));
    });
}

#[test]
fn one_that_was_taken_out_comes_back() {
    simulate(1712, |world| async move {
        let supervisor = town(&world, &plain(&["a", "b"]), &["a", "b"]).await;
        world.pass(secs(5)).await;
        supervisor.stop().await;
        world.write(AGENTS_FILE, &plain(&["a"]));
        let supervisor = world.supervisor().await;
        world.pass(mins(4)).await;
        assert!(supervisor.deps.problems.any("@b/left_behind"));
        world.write(AGENTS_FILE, &plain(&["a", "b"]));
        supervisor.until_agent("@b", "alive", secs(20)).await;
        assert!(!supervisor.deps.problems.any("@b/left_behind"));
        assert_eq!(touched(&world), Vec::<String>::new(), "it is the same as it was");
    });
}

#[test]
fn without_a_memory_nothing_is_restarted() {
    simulate(1713, |world| async move {
        let supervisor = town(&world, &plain(&["a"]), &["a"]).await;
        world.pass(secs(5)).await;
        supervisor.stop().await;
        world.remove(".supervisor/plan.json");
        world.write(AGENTS_FILE, &file(&[("a", "env.FOO = \"1\"")]));
        let supervisor = world.supervisor().await;
        supervisor.until_agent("@a", "alive", mins(1)).await;
        world.pass(mins(7)).await;
        assert_eq!(touched(&world), Vec::<String>::new());
    });
}

#[test]
fn a_supervisor_killed_while_an_agent_is_to_be_restarted_does_it_once() {
    for after in [millis(1_010), millis(1_150), millis(1_400), secs(3)] {
        simulate(1714, |world| async move {
            let supervisor = town(&world, &plain(&["a"]), &["a"]).await;
            world.pass(secs(5)).await;
            world.allow_end("a");
            world.allow_start("a");
            world.write(AGENTS_FILE, &file(&[("a", "env.FOO = \"1\"")]));
            world.pass(after).await;
            supervisor.vanish().await;
            let supervisor = world.supervisor().await;
            world.until("the end of a", secs(30), |state| state.ended("a").len() == 1).await;
            world.pass(mins(7)).await;
            assert_eq!(world.state().ended("a").len(), 1, "{after:?}");
            assert!(!world.text(".supervisor/plan.json").unwrap().contains("other_since"), "{after:?}");
            drop(supervisor);
        });
    }
}
