//! Shells: which processes and commands are shells. Pure.

use super::program::provider::base_name;
use crate::processes::Process;

/// Programs that run before or after an agent and are not agents: shells, logins, and `env`, which becomes the
/// program it was given.
const SHELLS: [&str; 24] = [
    "ash",
    "bash",
    "busybox",
    "csh",
    "dash",
    "elvish",
    "env",
    "fish",
    "ksh",
    "login",
    "mksh",
    "nu",
    "nushell",
    "oksh",
    "osh",
    "powershell",
    "pwsh",
    "rbash",
    "rc",
    "sh",
    "su",
    "tcsh",
    "xonsh",
    "zsh",
];

/// Whether this process is a shell, by all of its names: a script has its own name beside that of its shell.
pub fn is_shell(process: &Process) -> bool {
    are_shells(&process.names)
}

/// Whether all of one process's names are names of shells.
pub fn are_shells(names: &[String]) -> bool {
    !names.is_empty() && names.iter().all(|name| is_shell_name(name))
}

/// Whether a shell waits for commands in a pane with these processes: it is the youngest of them. A text that is typed there is a
/// command.
pub fn is_at_a_shell(tree: &[Process]) -> bool {
    tree.iter().min_by_key(|process| process.age).is_some_and(is_shell)
}

/// A login shell has a `-` before its name; some systems write the version into the file's name (`zsh-5.9`, `ksh93`).
pub fn is_shell_name(name: &str) -> bool {
    let name = base_name(name).trim_start_matches('-');
    let plain = name.trim_end_matches(|c: char| c.is_ascii_digit() || ".-+".contains(c));
    SHELLS.contains(&name) || SHELLS.contains(&plain)
}

/// Whether these words start a shell that reads commands from its terminal: neither a command nor a script is given to it.
pub fn is_bare(words: &[String]) -> bool {
    words.split_first().is_some_and(|(program, rest)| {
        is_shell_name(program) && rest.iter().all(|word| word.starts_with('-') && word != "-c")
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn when_a_shell_waits_for_commands() {
        for (case, processes, waits) in [
            ("only a shell", &[(9, "bash")][..], true),
            ("a login shell", &[(9, "-zsh")], true),
            ("a program in a shell", &[(9, "sh"), (5, "agent")], false),
            ("a shell that a program started", &[(9, "agent"), (2, "bash")], true),
            ("a program", &[(9, "agent")], false),
            ("nothing", &[], false),
        ] {
            let process = |(age, name): &(u64, &str)| Process {
                pid: 100 - *age as u32,
                age: Duration::from_secs(*age),
                names: vec![(*name).to_owned()],
            };
            let tree: Vec<Process> = processes.iter().map(process).collect();
            assert_eq!(is_at_a_shell(&tree), waits, "{case}");
        }
        let script = Process { pid: 1, age: Duration::ZERO, names: vec!["run.sh".into(), "sh".into()] };
        assert!(!is_at_a_shell(&[script]), "a script is a program of its own");
    }
}
