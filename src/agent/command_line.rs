//! Command line: the words that are executed in an agent's pane.
//!
//! They are executed as they are, without the user's shell: its start-up files might change the directory, and its
//! syntax may differ. It must not choose the program or the variables.

use super::program::AgentProgram;
use crate::town::identity::Role;

/// Executes another program with other variables, and becomes it.
const ENV: &str = "/usr/bin/env";
/// Runs the shell commands that people write.
const SHELL: &str = "/bin/sh";

/// The words that run `program` for a role, without the variables in `unset`; or the shell command `instead`, where
/// the role's bead gives one.
///
/// Boot's own argument replaces the initial prompt, since a program takes one at most. The command of a role's bead
/// gets neither: it runs as written.
pub fn command_line(
    role: Role,
    program: &AgentProgram,
    unset: &[&str],
    instead: Option<&str>,
) -> Vec<String> {
    let env = [ENV].into_iter().chain(unset.iter().flat_map(|variable| ["-u", *variable]));
    if let Some(command) = instead {
        return env.chain([SHELL, "-c", command]).map(str::to_owned).collect();
    }
    let prompt = role.facts().argument.or(program.initial_prompt.as_deref());
    let arguments = program.args.iter().map(String::as_str).chain(prompt);
    env.chain([program.command.as_str()]).chain(arguments).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::program::provider::preset;

    fn program(args: &[&str], prompt: Option<&str>) -> AgentProgram {
        AgentProgram {
            args: args.iter().map(|arg| (*arg).to_owned()).collect(),
            initial_prompt: prompt.map(str::to_owned),
            ..preset("claude").unwrap()
        }
    }

    #[test]
    fn lines() {
        for (case, role, program, unset, line) in [
            (
                "the preset",
                Role::Deacon,
                preset("claude").unwrap(),
                &["GT_RIG", "GT_CREW"][..],
                "/usr/bin/env -u GT_RIG -u GT_CREW claude --dangerously-skip-permissions",
            ),
            ("nothing to unset", Role::Witness, preset("codex").unwrap(), &[], "/usr/bin/env codex --yolo"),
            (
                "boot",
                Role::Boot,
                preset("claude").unwrap(),
                &[],
                "/usr/bin/env claude --dangerously-skip-permissions 'gt boot triage'",
            ),
            (
                "a prompt comes last",
                Role::Polecat,
                program(&["-x"], Some("do it")),
                &[],
                "/usr/bin/env claude -x 'do it'",
            ),
            (
                "boot has one prompt",
                Role::Boot,
                program(&[], Some("do it")),
                &[],
                "/usr/bin/env claude 'gt boot triage'",
            ),
            (
                "an empty argument",
                Role::Polecat,
                program(&["--model", ""], None),
                &[],
                "/usr/bin/env claude --model ''",
            ),
        ] {
            assert_eq!(shell_words::join(command_line(role, &program, unset, None)), line, "{case}");
        }
    }

    #[test]
    fn a_command_of_its_own() {
        for (case, role, unset, command, line) in [
            ("plain", Role::Polecat, &["GT_CREW"][..], "agent", "/usr/bin/env -u GT_CREW /bin/sh -c agent"),
            (
                "with words of the shell",
                Role::Witness,
                &[],
                "cd '/my town' && exec agent \"$HOME\"",
                r#"/usr/bin/env /bin/sh -c 'cd '\''/my town'\'' && exec agent "$HOME"'"#,
            ),
            ("no prompt for boot", Role::Boot, &[], "exec agent", "/usr/bin/env /bin/sh -c 'exec agent'"),
        ] {
            let got = command_line(role, &program(&["-x"], Some("do it")), unset, Some(command));
            assert_eq!(shell_words::join(&got), line, "{case}");
            assert_eq!(got.last().map(String::as_str), Some(command), "{case}");
        }
    }

    #[test]
    fn every_word_is_as_it_was_given() {
        let odd =
            ["a b", "it's", "$(rm -rf ~)", "`x`", "a\nb", "\"q\"", ";", "*", "~", "#no", "é", "\\", "!"];
        let words = command_line(Role::Polecat, &program(&odd, None), &[], None);
        assert_eq!(words[..2], ["/usr/bin/env", "claude"]);
        assert_eq!(words[2..], odd);
    }
}
