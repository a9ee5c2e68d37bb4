//! The agents of a town of one file: started as that file says, again when they end, and without anything of Gas Town.

use std::{collections::BTreeMap, path::PathBuf};

use gastown_supervisor::agent::requests::Action;

use crate::{deeds, world::*};

const CLAUDE: &str = r#"
[agents.mayor]
command = "claude --dangerously-skip-permissions"
dir = "app"
prompt = "Read HANDOFF.md and go on."
env = { FOO = "1" }
"#;

/// A town that is this file, with the directory `app`, and its supervisor; these agents are up.
async fn town(world: &World, text: &str, agents: &[&str]) -> Supervisor {
    world.is_one_file(text);
    world.directory("app");
    let supervisor = world.supervisor().await;
    let up = |state: &State| agents.iter().all(|name| state.appeared(name, world.time()));
    world.until("all agents", mins(2), up).await;
    world.pass(secs(20)).await;
    supervisor
}

/// The words that a session runs behind the variables that it takes away, and those variables.
fn command(world: &World, name: &str) -> (String, Vec<String>) {
    let words = shell_words::split(&world.state().session(name).command).unwrap();
    assert_eq!(words[0], "/usr/bin/env");
    let mut rest = &words[1..];
    let mut unset = Vec::new();
    while let [flag, variable, tail @ ..] = rest
        && flag == "-u"
    {
        unset.push(variable.clone());
        rest = tail;
    }
    (shell_words::join(rest), unset)
}

fn line(world: &World, name: &str) -> String {
    command(world, name).0
}

fn typed(world: &World, name: &str) -> Vec<String> {
    world.state().session(name).typed.iter().map(|(_, text)| text.clone()).collect()
}

async fn dies_and_is_back(world: &World, name: &str) {
    let before = world.state().created(name).len();
    world.end_session(name, "its agent ended");
    world.until("a next start", mins(20), |state| state.created(name).len() > before).await;
    world.pass(secs(20)).await;
}

/// A program comes to be there: on `PATH`, or at this path.
fn install(world: &World, program: &str) {
    world.state().programs.insert(program.to_owned());
}

/// The open problems, each behind its key.
async fn problems(supervisor: &Supervisor) -> Vec<String> {
    let texts = supervisor.snapshot().await.problems;
    texts.into_iter().map(|(key, text)| format!("{key}: {text}")).collect()
}

#[test]
fn an_agent_is_started_as_the_file_says_and_comes_back_with_its_conversation() {
    simulate(1900, |world| async move {
        let supervisor = town(&world, CLAUDE, &["mayor"]).await;
        let id = world.conversation("mayor");
        let (line, unset) = command(&world, "mayor");
        assert_eq!(
            line,
            format!(
                "/bin/claude --dangerously-skip-permissions --session-id {id} 'Read HANDOFF.md and go on.'"
            )
        );
        for variable in ["GT_ROOT", "GT_TOWN_ROOT", "GT_ROLE", "BD_ACTOR", "CLAUDECODE"] {
            assert!(unset.contains(&variable.to_owned()), "{variable}: {unset:?}");
        }
        let session = world.state().session("mayor").clone();
        assert_eq!(session.directory, path("app"));
        let expected = BTreeMap::from(
            [("FOO", "1"), ("PATH", "/bin"), ("SUPERVISOR_AGENT", "@mayor"), ("SUPERVISOR_TOWN", TOWN)]
                .map(|(name, value)| (name.to_owned(), value.to_owned())),
        );
        let mut environment = session.environment.clone();
        environment.retain(|name, _| name != "HOME");
        assert_eq!(environment, expected);
        assert_eq!(typed(&world, "mayor"), [""; 0]);
        assert_eq!(supervisor.agent("@mayor").await.state, "alive");
        world.pass(mins(3)).await;
        dies_and_is_back(&world, "mayor").await;
        let resumed = format!("/bin/claude --dangerously-skip-permissions --resume {id}");
        assert_eq!(command(&world, "mayor").0, resumed);
        let said = typed(&world, "mayor");
        assert!(
            said.len() == 1 && said[0].starts_with("Your session ended and was started again"),
            "{said:?}"
        );
        assert_eq!(supervisor.agent("@mayor").await.state, "alive");
        assert_eq!(problems(&supervisor).await, [""; 0]);
    });
}

#[test]
fn nothing_of_gas_town_is_read_written_or_run() {
    simulate(1901, |world| async move {
        // Where each of these would keep an agent of a Gas Town from being started.
        world.write("ESTOP", "");
        world.state().lock_held = true;
        world.write("daemon/shutdown.lock", "");
        world.write("settings/config.json", r#"{"default_agent":"codex"}"#);
        let before = world.state().files.clone();
        let supervisor = town(&world, CLAUDE, &["mayor"]).await;
        for _ in 0..7 {
            world.pass(secs(5)).await;
            world.end_session("mayor", "its agent ended");
            world.pass(mins(1)).await;
        }
        world.pass(mins(30)).await;
        supervisor.stop().await;
        let state = world.state();
        let new = state.files.keys().filter(|file| !before.contains_key(*file));
        let outside: Vec<_> = new.filter(|file| !file.starts_with(path(".supervisor"))).collect();
        assert_eq!(outside, [&path(AGENTS_FILE)]);
        assert!(
            before.iter().all(|(file, text)| state.files.get(file) == Some(text)),
            "an old file was changed"
        );
        assert_eq!(state.mails, []);
    });
}

#[test]
fn a_program_of_which_nothing_is_known_lives_while_its_process_does() {
    simulate(1902, |world| async move {
        {
            let mut state = world.state();
            state.programs.insert(path("app/run.sh").to_string_lossy().into_owned());
            state.nature.runs_as.insert("worker".to_owned(), "bash".to_owned());
        }
        let text = "[agents.worker]\ncommand = \"NICE=1 ./run.sh --fast 'a b'\"\ndir = \"app\"\n";
        let supervisor = town(&world, text, &["worker"]).await;
        assert_eq!(line(&world, "worker"), "'NICE=1' /town/app/run.sh --fast 'a b'");
        world.pass(mins(30)).await;
        let agent = supervisor.agent("@worker").await;
        assert_eq!((agent.state.as_str(), agent.restarts), ("alive", 0));
        assert_eq!(world.state().created("worker").len(), 1, "a shell is no zombie here");
        dies_and_is_back(&world, "worker").await;
        assert_eq!(supervisor.agent("@worker").await.state, "alive");
        assert_eq!(typed(&world, "worker"), [""; 0]);
        let story = supervisor.story("@worker").join("\n");
        assert!(!story.contains("conversation"), "{story}");
        assert_eq!(problems(&supervisor).await, [""; 0]);
    });
}

#[test]
fn what_only_a_shell_can_run_is_given_to_one_and_gets_its_prompt_typed() {
    simulate(1903, |world| async move {
        world.state().nature.runs_as.insert("loop".to_owned(), "sh".to_owned());
        let text = r#"
            [defaults]
            prompt = "Begin."
            [agents.loop]
            command = "while true; do work; done"
            [agents.talks]
            command = "cd app && claude --model \"$MODEL\""
            kind = "claude"
        "#;
        let supervisor = town(&world, text, &["loop", "talks"]).await;
        assert_eq!(line(&world, "loop"), "/bin/sh -c 'while true; do work; done'");
        assert_eq!(line(&world, "talks"), "/bin/sh -c 'cd app && claude --model \"$MODEL\"'");
        for name in ["loop", "talks"] {
            assert_eq!(typed(&world, name), ["Begin."], "{name}");
        }
        dies_and_is_back(&world, "talks").await;
        assert_eq!(line(&world, "talks"), "/bin/sh -c 'cd app && claude --model \"$MODEL\"'");
        assert_eq!(typed(&world, "talks"), ["Begin."]);
        let story = supervisor.story("@talks").join("\n");
        assert!(story.contains("fresh conversation: its command needs a shell"), "{story}");
        assert_eq!(problems(&supervisor).await, [""; 0]);
    });
}

#[test]
fn what_its_start_lacks_is_reported_once_and_ends_when_it_is_there() {
    for (case, text, lacks, mend) in [
        (
            "no program",
            "[agents.db]\ncommand = \"postgres -D x\"\ndir = \"app\"\n",
            "its program \"postgres\" is not on PATH; install it, or write its whole path in command",
            (|world: &World| install(world, "postgres")) as fn(&World),
        ),
        (
            "no program on a PATH of its own",
            "[agents.db]\ncommand = \"postgres\"\nenv = { PATH = \"/opt/pg:bin\" }\n",
            "its program \"postgres\" is not on PATH; install it, or write its whole path in command",
            |world| install(world, "/town/bin/postgres"),
        ),
        (
            "no such file",
            "[agents.db]\ncommand = \"./run.sh\"\ndir = \"app\"\n",
            "its program ./run.sh does not exist, or is not executable; create it, or correct command in the file",
            |world| install(world, "/town/app/run.sh"),
        ),
        (
            "no directory",
            "[agents.db]\ncommand = \"claude\"\ndir = \"gone\"\n",
            "its directory /town/gone does not exist; create it, or correct dir in the file",
            |world| world.directory("gone"),
        ),
    ] {
        simulate(1904, |world| async move {
            let supervisor = town(&world, text, &[]).await;
            world.pass(mins(30)).await;
            let agent = supervisor.agent("@db").await;
            assert_eq!(agent.state, "absent", "{case}");
            assert_eq!(agent.reason_code.as_deref(), Some("cannot_start"), "{case}");
            assert_eq!(agent.reason, Some(format!("it cannot be started: {lacks}")), "{case}");
            let problem = format!("@db/cannot_start: @db cannot be started: {lacks}");
            assert_eq!(problems(&supervisor).await, [problem], "{case}");
            assert_eq!(world.state().created("db"), [], "{case}");
            assert_eq!(supervisor.history("@db").entries.len(), 1, "{case}: {:#?}", supervisor.story("@db"));
            assert!(!world.state().directories.contains(&path("gone")), "it is never created");
            mend(&world);
            world.until("its start", mins(10), |state| state.lives("db")).await;
            world.pass(secs(20)).await;
            assert_eq!(supervisor.agent("@db").await.state, "alive", "{case}");
            assert_eq!(problems(&supervisor).await, [""; 0], "{case}");
        });
    }
}

#[test]
fn what_went_missing_while_it_ran_is_no_loop_of_restarts() {
    simulate(1905, |world| async move {
        let supervisor = town(&world, CLAUDE, &["mayor"]).await;
        world.state().programs.remove("claude");
        world.end_session("mayor", "its agent ended");
        world.pass(mins(30)).await;
        let agent = supervisor.agent("@mayor").await;
        assert_eq!((agent.state.as_str(), agent.reason_code.as_deref()), ("absent", Some("cannot_start")));
        assert_eq!(world.state().created("mayor").len(), 1);
        world.state().programs.insert("claude".to_owned());
        world.until("its start", mins(10), |state| state.created("mayor").len() == 2).await;
    });
}

#[test]
fn a_program_that_ends_at_once_as_it_cannot_run_is_tried_with_growing_pauses() {
    simulate(1906, |world| async move {
        world.state().nature.cannot_run.insert("mayor".to_owned(), 127);
        let supervisor = town(&world, CLAUDE, &[]).await;
        world.pass(mins(14)).await;
        let starts = world.state().created("mayor").len();
        assert!((2..=7).contains(&starts), "{starts}");
        assert_eq!(supervisor.agent("@mayor").await.state, "crash_loop");
    });
}

#[test]
fn one_that_runs_out_of_sight_is_not_started_again() {
    simulate(1907, |world| async move {
        let supervisor = town(&world, CLAUDE, &["mayor"]).await;
        world.outlive("mayor");
        world.pass(mins(10)).await;
        assert_eq!(world.state().created("mayor").len(), 1);
        let open = problems(&supervisor).await;
        assert!(open.iter().any(|it| it.contains("runs where the supervisor cannot reach it")), "{open:?}");
        world.hidden_ends("mayor");
        world.until("its start", mins(10), |state| state.created("mayor").len() == 2).await;
    });
}

#[test]
fn a_session_of_its_name_that_is_another_town_s_is_left_alone() {
    for (case, variable, file) in
        [("one of one file", "SUPERVISOR_TOWN", "agents.toml"), ("a Gas Town", "GT_ROOT", "mayor/town.json")]
    {
        simulate(1908, |world| async move {
            let other = PathBuf::from("/other");
            world.state().files.insert(other.join(file), Vec::new());
            let environment = BTreeMap::from([(variable.to_owned(), "/other".to_owned())]);
            world.begin("mayor", By::Operator, environment);
            let supervisor = town(&world, CLAUDE, &[]).await;
            world.pass(mins(10)).await;
            assert_eq!(deeds(&world), 0, "{case}");
            let open = problems(&supervisor).await;
            assert!(open.iter().any(|it| it.contains("name taken by town /other")), "{case}: {open:?}");
        });
    }
}

#[test]
fn an_agent_whose_directory_is_gone_is_not_ended_to_be_started_again() {
    simulate(1950, |world| async move {
        let supervisor = town(&world, CLAUDE, &["mayor"]).await;
        world.remove_directory("app");
        let asked = (Action::Restart, "@mayor");
        let outcome = crate::commands::ordered(&world, &supervisor, asked, None, false).await;
        assert!(
            !outcome.ok && outcome.text.contains("its directory /town/app does not exist"),
            "{outcome:?}"
        );
        world.pass(mins(5)).await;
        assert!(world.state().lives("mayor"));
        assert_eq!(world.state().created("mayor").len(), 1);
    });
}
