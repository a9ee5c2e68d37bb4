//! Completions, driven in a real bash, and the manual pages.

use std::{fs, io::Write, process::Command};

use rustix::process::Signal;

use crate::{
    among_others,
    service::can_try,
    support::{
        background::{Answer, answer},
        limits::LimitedCommand,
        supervisor::binary,
        town::Town,
    },
};

/// What bash offers for a line, of which the last word is being typed. Nothing may be printed beside that.
fn offered(town: &Town, script: &str, line: &str) -> Vec<String> {
    let words: Vec<&str> = line.split(' ').collect();
    let quoted: Vec<String> = words.iter().map(|word| format!("'{word}'")).collect();
    let (command, last) = (words[0], words.len() - 1);
    let current = words[last];
    let drive = format!(
        "source {script}
         COMP_WORDS=({words}); COMP_CWORD={last}; COMP_TYPE=9
         function=$(complete -p {command}); function=${{function##*-F }}; function=${{function%% *}}
         $function {command} '{current}' x
         printf '%s\\n' \"${{COMPREPLY[@]}}\"",
        words = quoted.join(" ")
    );
    let mut bash = Command::new("bash");
    bash.args(["--norc", "--noprofile", "-c", &drive]).env_clear().env("PATH", town.search_path());
    bash.env("HOME", town.root()).current_dir("/");
    let said: Answer = answer(bash);
    assert_eq!((said.code, &*said.stderr), (Some(0), ""), "{line}");
    said.stdout.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

#[test]
fn bash_completes_commands_options_and_agents() {
    let _among = among_others();
    let town = Town::new(&["alpha", "beta"]);
    town.patrols(&[]);
    fs::create_dir_all(town.path("alpha/polecats/Toast")).unwrap();
    fs::create_dir_all(town.path("alpha/crew/max")).unwrap();
    let mut command = Command::new(binary());
    let printed = answer({
        command.args(["completions", "bash"]).env_clear();
        command
    });
    assert_eq!((printed.code, &*printed.stderr), (Some(0), ""));
    let file = town.path("complete.bash");
    fs::write(&file, printed.stdout).unwrap();
    let script = file.display().to_string();
    let root = town.root().display();

    for name in ["gastown-supervisor", "gts"] {
        assert_eq!(offered(&town, &script, &format!("{name} expl")), ["explain"]);
        assert_eq!(offered(&town, &script, &format!("{name} poke h")), ["heartbeat"]);
        assert_eq!(offered(&town, &script, &format!("{name} unit --ins")), ["--install"]);
    }
    let explain = format!("gts explain --town {root}");
    for when in ["without a supervisor", "with one", "with one that hangs"] {
        let supervisor = (when != "without a supervisor").then(|| town.start_and_beat());
        if when == "with one that hangs" {
            supervisor.as_ref().unwrap().signal(Signal::STOP);
        }
        let mut alpha = offered(&town, &script, &format!("{explain} alpha/"));
        alpha.sort();
        let expected = match when {
            // Who is in the crew is not supervised before somebody asks for it.
            "with one" => vec!["alpha/polecats/Toast", "alpha/refinery", "alpha/witness"],
            _ => vec!["alpha/crew/max", "alpha/polecats/Toast", "alpha/refinery", "alpha/witness"],
        };
        assert_eq!(alpha, expected, "{when}");
        assert_eq!(
            offered(&town, &script, &format!("{explain} dea")).len(),
            2,
            "{when}: deacon and its boot"
        );
    }
    // No town: nothing, and nothing is said.
    assert_eq!(offered(&town, &script, "gts explain al"), [""; 0]);
    assert_eq!(offered(&town, &script, "gts explain --town /no/such al"), [""; 0]);
}

#[test]
fn other_shells_get_a_script_and_an_unknown_one_none() {
    let _among = among_others();
    for (shell, has) in [("zsh", "#compdef gts"), ("fish", "--command gts")] {
        let mut command = Command::new(binary());
        command.args(["completions", shell]).env_clear();
        let said = answer(command);
        assert!(said.code == Some(0) && said.stdout.contains(has), "{said:?}");
        if can_try("the script for a shell", shell) {
            let file = std::env::temp_dir().join(format!("gts-{}.{shell}", std::process::id()));
            fs::write(&file, said.stdout).unwrap();
            assert!(Command::new(shell).arg("-n").arg(&file).limited_status().success(), "{shell}");
            fs::remove_file(file).unwrap();
        }
    }
    let mut command = Command::new(binary());
    command.args(["completions", "tcsh"]).env_clear();
    answer(command).failed(2, "error: invalid value 'tcsh'");
}

#[test]
fn the_manual_pages_render() {
    let _among = among_others();
    let run = |words: &[&str]| {
        let mut command = Command::new(binary());
        command.args(words).env_clear();
        answer(command)
    };
    let directory = tempfile::tempdir().unwrap();
    run(&["man", "--dir", directory.path().to_str().unwrap()]).fine("");
    let mut pages: Vec<_> =
        fs::read_dir(directory.path()).unwrap().map(|page| page.unwrap().path()).collect();
    pages.sort();
    let names: Vec<_> = pages.iter().map(|page| page.file_name().unwrap().to_str().unwrap()).collect();
    for name in ["gastown-supervisor.1", "gastown-supervisor-status.1", "gastown-supervisor-unit.1"] {
        assert!(names.contains(&name), "{names:?}");
    }
    assert_eq!(
        run(&["man"]).stdout,
        fs::read_to_string(directory.path().join("gastown-supervisor.1")).unwrap()
    );
    assert!(run(&["man", "status"]).stdout.contains("gastown\\-supervisor status"));
    run(&["man", "no-such"]).failed(1, "Error: there is no command `no-such`");
    if !can_try("how the pages look", "man") {
        return;
    }
    for page in pages {
        let mut man = Command::new("man");
        man.args(["--warnings", "-l"]).arg(&page).env("MANWIDTH", "100").env("LC_ALL", "C.UTF-8");
        man.env("MANPAGER", "cat").env("PAGER", "cat");
        let output = man.limited_output();
        let (text, said) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success() && said.is_empty(), "{}: {said}", page.display());
        // A minimal system may have a `man` that only says that there are no pages.
        if text.contains("minimized") {
            let _ = writeln!(std::io::stderr(), "how the pages look was not tried: man shows no pages here");
            return;
        }
        assert!(text.contains("NAME") && text.contains("SYNOPSIS"), "{}: {text}", page.display());
    }
}
