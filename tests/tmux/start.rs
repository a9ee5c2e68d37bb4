//! How an agent is started: its directory, its environment, and its instructions.

use std::collections::BTreeMap;

use gastown_supervisor::town::environment::DROPPED;
use serde_json::json;

use crate::support::{limits::LimitedCommand, process, supervisor::Supervisor, town::Town};

/// A start-up line with its minute made plain.
fn without_minute(line: &str) -> String {
    let mut words: Vec<&str> = line.split(' ').collect();
    for word in &mut words {
        let digits =
            word.bytes().map(|byte| if byte.is_ascii_digit() { b'0' } else { byte }).collect::<Vec<_>>();
        if digits == b"0000-00-00T00:00" {
            *word = "MINUTE";
        }
    }
    words.join(" ")
}

fn told(town: &Town, identity: &str) -> Vec<String> {
    town.first_words(identity).lines().map(without_minute).collect()
}

#[test]
fn a_witness_step_by_step() {
    let town = Town::new(&["alpha"]);
    town.patrols(&["witness"]);
    town.settings(json!({"start": {"dialog_wait": "10s"}}));
    let before =
        r#"{"rig_name":"alpha","state":"stopped","monitored_polecats":["Toast"],"config":{"max":4}}"#;
    town.put("alpha/.runtime/witness.json", before);
    town.put("alpha/witness/.runtime/session_id", "abc-123\nold\n");
    let mut command = town.command();
    command.env("STANDIN_DIALOG", "1");
    let _supervisor = Supervisor::spawn(command, town.server.dir());
    town.wait_started(&["alpha/witness"]);

    // The pane's process is the agent: no shell in between, none left behind.
    let agent = town.pane("gt-alpha-witness").unwrap();
    assert_eq!(process::comm(agent), "claude");
    assert_eq!(process::command_line(agent), [&*town.standin("claude"), "--dangerously-skip-permissions"]);
    assert_eq!(process::tree(agent).len(), 1);
    assert!(process::tree(town.server.pid()).contains(&agent));
    assert_eq!(process::directory(agent), town.path("alpha/witness"));

    let options = [
        ("status-style", "bg=#722f37,fg=#f5f5dc"),
        ("status-left-length", "25"),
        ("status-left", "🦉 alpha/witness "),
        ("status-right-length", "80"),
        ("status-right", "#(gt status-line --session=gt-alpha-witness 2>/dev/null) %H:%M"),
        ("status-interval", "5"),
        ("mouse", "on"),
    ];
    for (option, value) in options {
        let shown = town.server.must(&["-u", "show-options", "-v", "-t", "=gt-alpha-witness:", option]);
        assert_eq!(shown, value.trim_end(), "{option}");
    }
    for (key, bound) in [("n", "gt cycle next"), ("p", "gt cycle prev"), ("a", "gt feed --window")] {
        let shown = town.server.binding("prefix", key);
        assert!(shown.contains(bound), "{key}: {shown}");
    }

    let file = town.json("alpha/.runtime/witness.json");
    assert_eq!((&file["state"], &file["monitored_polecats"][0]), (&json!("running"), &json!("Toast")));
    assert_eq!((&file["config"]["max"], file["started_at"].is_string()), (&json!(4), true));

    // The dialog was answered with yes: its Down and Enter are not among what the agent took for input.
    assert_eq!(
        told(&town, "alpha/witness"),
        [
            "[GAS TOWN] alpha/witness <- deacon • MINUTE • patrol",
            "Run `gt prime` to check patrol status and begin work. [session:abc-123]",
        ]
    );
}

#[test]
fn a_question_that_comes_late_is_answered_by_the_cursor() {
    let town = Town::new(&["alpha"]);
    town.patrols(&["witness"]);
    let dialogs = json!({"answer": ["update"]});
    town.settings(json!({"start": {"dialog_wait": "10s", "settle": "2s"}, "dialogs": dialogs}));
    let mut command = town.command();
    command.env("STANDIN_DIALOG", "update").env("STANDIN_DIALOG_AFTER_MS", "600");
    let _supervisor = Supervisor::spawn(command, town.server.dir());
    town.wait_started(&["alpha/witness"]);
    assert_eq!(told(&town, "alpha/witness").len(), 2, "{}", town.received("alpha/witness"));
    town.wait_logged(r#"answered "Update available! 0.39.0 -> 0.46.0" with "Skip""#);
}

#[test]
fn a_question_for_people_gets_nothing_typed() {
    let town = Town::new(&["alpha"]);
    town.patrols(&["witness"]);
    let mut command = town.command();
    command.env("STANDIN_DIALOG", "trust");
    let _supervisor = Supervisor::spawn(command, town.server.dir());
    town.wait_logged(
        "alpha/witness waits at a question, nothing is typed to it: Do you trust the files in this folder?",
    );
    let status = town.ask(&["status"]).stdout;
    assert!(status.contains("waiting_at_question"), "{status}");
    // A person answers; then it gets its instruction.
    town.tmux(&["send-keys", "-t", "=gt-alpha-witness:", "Enter"]);
    town.wait_started(&["alpha/witness"]);
    assert_eq!(told(&town, "alpha/witness").len(), 2, "{}", town.received("alpha/witness"));
}

#[test]
fn hook_settings_are_written_once() {
    let town = Town::new(&["alpha"]);
    town.put("alpha/refinery/.claude/settings.json", "{\"mine\": true}");
    let _supervisor = town.start();
    town.wait_started(&["deacon", "alpha/witness", "alpha/refinery"]);
    for directory in ["deacon", "alpha/witness"] {
        let path = format!("{directory}/.claude/settings.json");
        assert_eq!(town.mode(&path), 0o600, "{path}");
        let start = &town.json(&path)["hooks"]["SessionStart"][0]["hooks"][0]["command"];
        assert!(start.as_str().unwrap().ends_with("gt nudge deacon session-started"), "{path}: {start}");
    }
    assert_eq!(town.text("alpha/refinery/.claude/settings.json"), "{\"mine\": true}");
    let changed = "{\"changed by\": \"its owner\"}";
    town.put("alpha/witness/.claude/settings.json", changed);
    let before = town.incarnation("gt-alpha-witness").unwrap();
    process::signal(before.1, rustix::process::Signal::KILL);
    town.wait("the restart", || town.started("alpha/witness") == 2);
    assert_eq!(town.text("alpha/witness/.claude/settings.json"), changed);
}

#[test]
fn each_role_has_its_own_environment_and_no_one_elses() {
    each_role_has_its_own_environment(|_| ());
}

#[test]
fn what_the_tmux_server_would_hand_down_is_taken_away() {
    each_role_has_its_own_environment(|town| {
        // Somebody else's server, started inside some agent's session.
        let mut command = std::process::Command::new("tmux");
        command.arg("-S").arg(town.server.socket()).args([
            "-f",
            "/dev/null",
            "new-session",
            "-d",
            "-s",
            "mine",
        ]);
        let path = format!("{}:{}", town.bin().display(), std::env::var("PATH").unwrap());
        command.env_clear().env("PATH", path).env("GTS_TEST", "1").env("LC_ALL", "C.UTF-8");
        for variable in DROPPED.into_iter().filter(|variable| !variable.starts_with("TMUX")) {
            command.env(variable, "of-the-server");
        }
        assert!(command.limited_status().success());
        let pane = town.pane("mine").unwrap();
        let handed_down = || process::environment(pane).remove("GT_CREW");
        town.wait("what is handed down", || handed_down().as_deref() == Some("of-the-server"));
    });
}

/// The tmux that all other tests here run, for tests with another `PATH`.
fn tmux() -> std::path::PathBuf {
    let path = std::env::var_os("PATH").unwrap();
    std::env::split_paths(&path).map(|directory| directory.join("tmux")).find(|it| it.exists()).unwrap()
}

#[test]
fn neither_the_shell_nor_the_path_of_the_tmux_server_matters() {
    let town = Town::new(&["alpha"]);
    // Somebody's server: it finds no agent on its PATH, and a shell with start-up files of its own.
    town.program("shell", "echo ran >> \"$0.ran\"; cd /; exec false");
    let mut command = std::process::Command::new(tmux());
    command.arg("-S").arg(town.server.socket()).args(["-f", "/dev/null"]);
    command.args(["new-session", "-d", "-s", "mine", "sleep", "600", ";"]);
    command.args(["set-option", "-g", "default-shell", town.bin().join("shell").to_str().unwrap()]);
    command.env_clear().env("PATH", "/usr/bin:/bin").env("LC_ALL", "C.UTF-8");
    assert!(command.limited_status().success());
    let _supervisor = town.start();
    for (identity, session, directory) in [
        ("deacon", "hq-deacon", "deacon"),
        ("alpha/witness", "gt-alpha-witness", "alpha/witness"),
        ("alpha/refinery", "gt-alpha-refinery", "alpha/refinery/rig"),
    ] {
        town.wait_started(&[identity]);
        let agent = town.pane(session).unwrap();
        assert_eq!(process::command_line(agent)[0], town.standin("claude"), "{identity}");
        assert_eq!(process::directory(agent), town.path(directory), "{identity}");
        assert_eq!(process::environment(agent)["PATH"], town.search_path(), "{identity}");
    }
    assert!(!town.bin().join("shell.ran").exists(), "the user's shell was run");
}

#[test]
fn a_server_it_starts_pins_no_directory() {
    let town = Town::new(&["alpha"]);
    town.patrols(&["witness"]);
    let mut command = town.command();
    command.current_dir(town.root());
    let _supervisor = Supervisor::spawn(command, town.server.dir());
    town.wait_started(&["alpha/witness"]);
    assert_eq!(process::directory(town.server.pid()), std::path::Path::new("/"));
    let ours = town.pane("_supervisor").unwrap();
    assert_eq!(process::directory(ours), std::path::Path::new("/"));
    assert_eq!(process::comm(ours), "sleep");
}

#[test]
fn a_program_that_cannot_be_run_is_no_crash() {
    for (case, first_line, code) in [
        ("its interpreter is missing", "#!/no/such/node", 127),
        ("its interpreter is not on PATH", "#!/usr/bin/env no-such-node", 127),
        ("it says so", "#!/bin/sh\nexit 126", 126),
    ] {
        let town = Town::new(&["alpha"]);
        town.patrols(&["witness", "refinery"]);
        town.program("claude", "");
        std::fs::write(town.bin().join("claude"), format!("{first_line}\n")).unwrap();
        let _supervisor = town.start();
        for agent in ["alpha/witness", "alpha/refinery"] {
            town.wait_logged(&format!(
                "{agent} cannot be started: its program {} cannot be run: it ended at once with exit code {code}",
                town.standin("claude")
            ));
        }
        assert_eq!((town.logged(" died: "), town.logged("session ended")), (0, 0), "{case}: {}", town.log());
        assert!(town.sessions().is_empty(), "{case}: {:?}", town.sessions());
    }
}

#[test]
fn a_program_that_ends_at_once_for_another_reason_is_a_crash() {
    let town = Town::new(&["alpha"]);
    town.patrols(&["witness"]);
    town.program("claude", "exit 3");
    let _supervisor = town.start();
    town.wait_logged("alpha/witness: died: ");
    assert_eq!(town.logged("cannot be started"), 0, "{}", town.log());
}

fn each_role_has_its_own_environment(prepare: impl Fn(&Town)) {
    let town = Town::new(&["alpha"]);
    prepare(&town);
    town.settings(json!({"boot": {"enabled": true, "skip_when_fresher_than": "0s"}}));
    let mut command = town.command();
    for variable in DROPPED {
        command.env(variable, "of-another-agent");
    }
    let _supervisor = Supervisor::spawn(command, town.server.dir());
    town.wait_started(&["deacon", "alpha/witness", "alpha/refinery"]);
    town.wait("boot", || town.pane("gt-boot").is_some_and(|pid| process::comm(pid) == "claude"));
    let common = |role: &str, actor: &str, author: &str| {
        BTreeMap::from(
            [
                ("GT_ROLE", role),
                ("GT_ROOT", town.root().to_str().unwrap()),
                ("BD_ACTOR", actor),
                ("GIT_AUTHOR_NAME", author),
                ("GT_SESSION_ID_ENV", "CLAUDE_SESSION_ID"),
                ("GT_PROCESS_NAMES", "node,claude"),
            ]
            .map(|(name, value)| (name.to_owned(), value.to_owned())),
        )
    };
    type Case<'a> = (&'a str, BTreeMap<String, String>, &'a [(&'a str, &'a str)]);
    let cases: [Case<'_>; 4] = [
        ("hq-deacon", common("deacon", "deacon", "deacon"), &[]),
        ("gt-boot", common("boot", "deacon-boot", "boot"), &[]),
        ("gt-alpha-witness", common("witness", "alpha/witness", "alpha/witness"), &[("GT_RIG", "alpha")]),
        (
            "gt-alpha-refinery",
            common("refinery", "alpha/refinery", "alpha/refinery"),
            &[("GT_RIG", "alpha"), ("GT_REFINERY", "1"), ("BEADS_NO_DAEMON", "1")],
        ),
    ];
    for (session, mut expected, own) in cases {
        expected.extend(own.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let given = process::environment(town.pane(session).unwrap());
        // Made by tmux for this very pane.
        let socket = town.server.socket();
        assert!(given["TMUX"].starts_with(socket.to_str().unwrap()), "{session}: {}", given["TMUX"]);
        assert!(given["TMUX_PANE"].starts_with('%'), "{session}");
        let gas_town =
            |name: &str| ["GT_", "BD_", "BEADS_", "GIT_", "CLAUDE"].iter().any(|lead| name.starts_with(lead));
        let found: BTreeMap<_, _> = given.into_iter().filter(|(name, _)| gas_town(name)).collect();
        assert_eq!(found, expected, "{session}");
    }
}

#[test]
fn boot_is_instructed_by_its_command_line_only() {
    let town = Town::new(&[]);
    town.settings(json!({
        "boot": {"enabled": true, "skip_when_fresher_than": "0s"},
        "heartbeat": {"interval": "500ms"},
    }));
    let _supervisor = town.start();
    town.wait("boot", || town.pane("gt-boot").is_some_and(|pid| process::comm(pid) == "claude"));
    let boot = town.incarnation("gt-boot").unwrap();
    let line = [&*town.standin("claude"), "--dangerously-skip-permissions", "gt boot triage"];
    assert_eq!(process::command_line(boot.1), line);
    assert_eq!(process::directory(boot.1), town.path("deacon/dogs/boot"));
    town.wait_started(&["deacon"]);
    town.wait_beats(2);
    assert_eq!(town.received("deacon-boot"), "", "boot gets no nudge");
    assert_eq!(town.incarnation("gt-boot").unwrap(), boot, "young, so left at work");
}

#[test]
fn codex_gets_the_instructions_its_hooks_would_have_given() {
    let town = Town::new(&["alpha"]);
    town.patrols(&["witness", "refinery"]);
    town.put("settings/config.json", r#"{"default_agent":"codex"}"#);
    let _supervisor = town.start();
    town.wait_started(&["alpha/witness", "alpha/refinery"]);
    for (identity, session, propulsion) in [
        ("alpha/witness", "gt-alpha-witness", "Run `gt prime` to check patrol status and begin work."),
        ("alpha/refinery", "gt-alpha-refinery", "Run `gt prime` to check MQ status and begin patrol."),
    ] {
        let agent = town.pane(session).unwrap();
        assert_eq!(process::command_line(agent), [&*town.standin("codex"), "--yolo"], "{identity}");
        assert_eq!(process::environment(agent)["GT_PROCESS_NAMES"], "codex", "{identity}");
        assert!(!process::environment(agent).contains_key("GT_SESSION_ID_ENV"), "{identity}");
        let instead = "gt prime && gt mail check --inject && gt nudge deacon session-started";
        let start_up = format!("[GAS TOWN] {identity} <- deacon • MINUTE • patrol");
        assert_eq!(told(&town, identity), [instead, &start_up, propulsion], "{identity}");
    }
    assert!(!town.path("alpha/witness/.claude/settings.json").exists(), "hook settings are claude's");
}

/// A user's own agent: known by its process name, takes lines.
const OWN_AGENT: &str = r#"printf 'ready\n'
while IFS= read -r line; do printf '%s\n' "$line" >> "$GT_ROOT/demo/own.log"; done"#;

#[test]
fn an_agent_of_ones_own_is_known_by_its_process_name() {
    let town = Town::new(&["alpha"]);
    town.patrols(&["witness"]);
    town.settings(json!({"heartbeat": {"interval": "500ms"}, "start": {"timeout": "2s"}}));
    town.program("my-agent", OWN_AGENT);
    town.put(
        "settings/agents.json",
        r#"{"version":1,"agents":{"mine":{"command":"my-agent","args":["--mode","a b"],"process_names":["my-agent"],"supports_hooks":false}}}"#,
    );
    town.put("alpha/settings/config.json", r#"{"role_agents":{"witness":"mine"}}"#);
    let _supervisor = town.start();
    town.wait_started(&["alpha/witness"]);
    let before = town.incarnation("gt-alpha-witness").unwrap();
    assert_eq!(process::comm(before.1), "my-agent");
    let words = process::command_line(before.1);
    assert_eq!(words[words.len() - 2..], ["--mode", "a b"]);
    town.wait("its first words", || town.text("demo/own.log").contains("begin work."));
    // Older than the start's limit, and known by its own name alone: left in peace.
    town.wait_beats(3);
    assert_eq!(town.incarnation("gt-alpha-witness").unwrap(), before);
    assert_eq!((town.started("alpha/witness"), town.logged("has ended")), (1, 0));
}

#[test]
fn an_agent_that_never_shows_its_prompt_is_instructed_all_the_same() {
    let town = Town::new(&["alpha"]);
    town.patrols(&["witness"]);
    town.settings(json!({"start": {"timeout": "1s"}}));
    let mut command = town.command();
    command.env("STANDIN_NO_PROMPT", "1");
    let _supervisor = Supervisor::spawn(command, town.server.dir());
    town.wait_started(&["alpha/witness"]);
    assert_eq!(told(&town, "alpha/witness").len(), 2);
}

#[test]
fn a_start_whose_agent_never_appears_counts_as_a_death() {
    let town = Town::new(&["alpha"]);
    town.patrols(&["witness"]);
    town.settings(json!({"start": {"timeout": "1s"}}));
    // A shell that never becomes the agent.
    town.program("claude", "exec sh");
    let _supervisor = town.start();
    town.wait_logged(
        "alpha/witness: start failed: no node/claude process in session gt-alpha-witness within 1s",
    );
    town.wait("the restart", || {
        town.json("daemon/restart_state.json")["agents"]["alpha/witness"]["restart_count"] == 1
    });
    assert_eq!(town.started("alpha/witness"), 0);
}

#[test]
fn an_agent_with_a_limit_of_memory_becomes_the_process_of_its_pane() {
    let town = Town::new(&["alpha"]);
    town.patrols(&["witness", "refinery"]);
    town.settings(json!({"start": {"memory": {"max": {"all": "2GiB", "refinery": null}}}}));
    // As the real one: it executes the command in a scope.
    let script = r#"echo "$@" >> "$0.log"; while [ "$1" != -- ]; do shift; done; shift; exec "$@""#;
    town.program("systemd-run", script);
    let _supervisor = town.start();
    town.wait_started(&["alpha/witness", "alpha/refinery"]);
    let agent = town.pane("gt-alpha-witness").unwrap();
    assert_eq!(process::command_line(agent), [&*town.standin("claude"), "--dangerously-skip-permissions"]);
    assert_eq!(process::tree(agent).len(), 1);
    let ran = std::fs::read_to_string(town.bin().join("systemd-run.log")).unwrap();
    let ran: Vec<&str> = ran.lines().collect();
    let scope = "--user --scope --collect --quiet -p MemoryMax=2147483648 --";
    assert_eq!(ran[0], format!("{scope} true"), "tried once");
    assert!(ran[1].starts_with(&format!("{scope} /usr/bin/env ")) && ran.len() == 2, "{ran:#?}");
    assert_eq!(town.logged("; confirming"), 0);
}

#[test]
fn without_a_manager_agents_get_no_limit_and_that_is_a_problem() {
    let town = Town::new(&["alpha"]);
    town.patrols(&["witness"]);
    town.settings(json!({"start": {"memory": {"max": "2GiB"}}}));
    town.program("systemd-run", "echo Failed to connect to bus: No medium found >&2; exit 1");
    let _supervisor = town.start();
    town.wait_started(&["alpha/witness"]);
    town.wait_logged("agents are started without the limit start.memory.max");
    let status = town.ask(&["status"]).stdout;
    assert!(status.contains("Failed to connect to bus"), "{status}");
}
