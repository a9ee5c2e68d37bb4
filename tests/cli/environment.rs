//! A supervisor that was started inside an agent's session is not that agent, and neither is anything it starts.

use std::process::Stdio;

use gastown_supervisor::town::environment::DROPPED;

use crate::{
    among_others,
    support::{limits::LimitedCommand, process, supervisor::Supervisor, town::Town},
};

#[test]
fn variables_of_an_agent_reach_no_other_program() {
    let _among = among_others();
    let town = Town::new(&["alpha"]);
    // The refinery's presync runs git and bd; these stand-ins note what they are given.
    let notes = "env -0 > \"$0.env.part\"; mv \"$0.env.part\" \"$0.env\"";
    town.program("bd", notes);
    // A worktree with nothing in progress.
    let answers = "case $1$2 in
        *--show-toplevel) pwd -P;;
        *--git-path) shift; for path in \"$@\"; do case $path in --*) ;; *) echo \".git/$path\";; esac; done;;
        cat-file*) sed 's/$/ missing/';;
        esac";
    town.program("git", &format!("{notes}; {answers}"));
    let mut command = town.command();
    for variable in DROPPED {
        command.env(variable, "polecat");
    }
    command.env("TMUX", "/nowhere/default,1,0").env("TMUX_PANE", "%99").stdin(Stdio::null());
    let supervisor = Supervisor::spawn(command, town.server.dir());
    town.wait_started(&["deacon", "alpha/witness", "alpha/refinery"]);

    let server = town.server.pid();
    let given = process::environment(server);
    for variable in DROPPED {
        assert!(!given.contains_key(variable), "the tmux server has {variable}: {given:?}");
    }
    let global = town.server.must(&["show-environment", "-g"]);
    for variable in DROPPED {
        assert!(
            !global.lines().any(|line| line.starts_with(&format!("{variable}="))),
            "{variable}: {global}"
        );
    }
    let witness = process::environment(town.pane("gt-alpha-witness").unwrap());
    assert_eq!((witness["GT_ROLE"].as_str(), witness["BD_ACTOR"].as_str()), ("witness", "alpha/witness"));
    assert!(!witness.values().any(|value| value == "polecat"), "{witness:?}");

    // The commands it runs act in its own name.
    process::signal(town.pane("gt-alpha-refinery").unwrap(), rustix::process::Signal::KILL);
    town.wait("the restart", || town.started("alpha/refinery") == 2);
    for program in ["git", "bd"] {
        let given = std::fs::read_to_string(town.bin().join(format!("{program}.env"))).unwrap();
        let variables: Vec<&str> = given.split('\0').collect();
        assert!(variables.contains(&"BD_ACTOR=daemon"), "{program}: {variables:?}");
        for variable in DROPPED.into_iter().filter(|variable| *variable != "BD_ACTOR") {
            let lead = format!("{variable}=");
            assert!(!variables.iter().any(|given| given.starts_with(&lead)), "{program}: {variable}");
        }
    }
    drop(supervisor);
}

#[test]
fn the_tmux_socket_of_the_environment_is_used_unless_the_settings_name_one() {
    let _among = among_others();
    let town = Town::new(&[]);
    let mut command = town.command();
    // tmux would make a socket of this name there.
    command.env("GT_TMUX_SOCKET", "of-the-environment").env("TMUX_TMPDIR", town.server.dir());
    let _supervisor = Supervisor::spawn(command, town.server.dir());
    town.wait_started(&["deacon"]);
    assert!(town.sessions().contains(&"hq-deacon".to_owned()), "the settings' socket");

    let town = Town::new(&[]);
    town.settings(serde_json::json!({"tmux": {"socket_path": null}}));
    let mut command = town.command();
    command.env("GT_TMUX_SOCKET", "of-the-environment").env("TMUX_TMPDIR", town.server.dir());
    let supervisor = Supervisor::spawn(command, town.server.dir());
    town.wait_started(&["deacon"]);
    let user = rustix::process::getuid().as_raw();
    let socket = town.server.dir().join(format!("tmux-{user}/of-the-environment"));
    let run = |arguments: &[&str]| {
        let mut command = std::process::Command::new("tmux");
        command.arg("-S").arg(&socket).args(["-N"]).args(arguments).env_remove("TMUX").limited_output()
    };
    let names = run(&["list-sessions", "-F", "#{session_name}"]).stdout;
    drop(supervisor);
    run(&["kill-server"]);
    assert_eq!(String::from_utf8_lossy(&names), "_supervisor\nhq-deacon\n");
}

#[test]
fn values_of_the_variable_that_are_no_names_name_no_server() {
    let _among = among_others();
    let user = rustix::process::getuid().as_raw();
    for value in ["auto", "default", "", " "] {
        let town = Town::new(&[]);
        town.settings(serde_json::json!({"tmux": {"socket_path": null}}));
        let mut command = town.command();
        command.env("GT_TMUX_SOCKET", value).env("TMUX_TMPDIR", town.server.dir());
        let supervisor = Supervisor::spawn(command, town.server.dir());
        town.wait_started(&["deacon"]);
        let directory = town.server.dir().join(format!("tmux-{user}"));
        let sockets: Vec<String> = std::fs::read_dir(&directory)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
            .collect();
        drop(supervisor);
        let mut kill = std::process::Command::new("tmux");
        kill.arg("-S").arg(directory.join(&sockets[0])).args(["-N", "kill-server"]).env_remove("TMUX");
        kill.limited_output();
        assert_eq!(sockets, ["default"], "{value:?}");
    }
}
