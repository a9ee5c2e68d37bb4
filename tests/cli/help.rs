//! Help: the texts of every command.

use std::process::Command;

use crate::{
    among_others,
    support::{
        background::{Answer, answer},
        supervisor::binary,
    },
};

fn help(words: &[&str], variables: &[(&str, &str)]) -> Answer {
    let mut command = Command::new(binary());
    command.args(words).arg("--help").env_clear().envs(variables.iter().copied());
    answer(command)
}

/// The commands the program has, so that a new one is not forgotten here.
fn commands() -> Vec<String> {
    let said = help(&[], &[]).stdout;
    let listed =
        said.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let names = listed.filter_map(|line| line.split_whitespace().next());
    names.filter(|name| *name != "help").map(str::to_owned).collect()
}

#[test]
fn every_command_shows_an_example_and_takes_a_town() {
    let _among = among_others();
    let commands = commands();
    for known in
        ["run", "start", "stop", "restart", "reload", "logs", "status", "explain", "poke", "clear-backoff"]
    {
        assert!(commands.iter().any(|command| command == known), "{known} is missing in {commands:?}");
    }
    for command in commands {
        let said = help(&[&command], &[]);
        assert_eq!((said.code, &*said.stderr), (Some(0), ""), "{command}");
        let shown = said.stdout.split_once("\nExample").map(|(_, shown)| shown).unwrap_or_default();
        assert!(shown.contains(&format!(":\n  gastown-supervisor {command}")), "{command}: {}", said.stdout);
        assert!(said.stdout.contains("-t, --town <DIR>"), "{command}: {}", said.stdout);
        assert!(!said.stdout.contains("--detached"), "{command}: {}", said.stdout);
    }
    let said = help(&[], &[]).stdout;
    for told in
        ["Exit codes: 0 success, 1 failed", "2 wrong usage, 3 not running", "Example:\n  gastown-supervisor "]
    {
        assert!(said.contains(told), "{told}: {said}");
    }
}

#[test]
fn no_color_is_respected() {
    let _among = among_others();
    let coloured = |variables: &[(&str, &str)]| help(&["start"], variables).stdout.contains('\u{1b}');
    assert!(coloured(&[("CLICOLOR_FORCE", "1")]), "colours can be had");
    assert!(!coloured(&[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")]));
}

#[test]
fn the_short_name_does_the_same_and_its_help_says_so() {
    let _among = among_others();
    let short = |words: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_gts"));
        command.args(words).env_clear();
        answer(command)
    };
    let said = short(&["--help"]).stdout;
    assert!(
        said.contains("Usage: gts [OPTIONS] <COMMAND>") && said.contains("Example:\n  gts start"),
        "{said}"
    );
    let said = short(&["status", "--help"]).stdout;
    assert!(said.contains("Usage: gts status") && !said.contains("gastown-supervisor"), "{said}");
    let mut command = Command::new(binary());
    command.arg("--version").env_clear();
    let (version, long) = (env!("CARGO_PKG_VERSION"), answer(command));
    long.fine(&format!("gastown-supervisor {version}\n"));
    short(&["--version"]).fine(&format!("gts {version}\n"));
}
