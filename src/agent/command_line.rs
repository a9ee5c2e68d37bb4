//! Command line: the one shell line an agent's pane runs.
//!
//! It begins with `exec env`, so that the pane's process becomes the agent itself and no shell outlives it. Every word
//! is quoted (Gas Town 0.3 quotes nothing). It must not decide which program or variables.

use super::{identity::Role, program::AgentProgram};

/// What boot is told as its last argument (Gas Town 0.2.6 to 0.3, `internal/boot`).
pub const TRIAGE: &str = "gt boot triage";

/// The shell line that runs `program` for a role, without the variables in `unset`; or the shell command `instead`, where
/// the role's bead gives one.
///
/// Boot's own argument takes the place of an initial prompt, since a program takes one at most. A command of its own gets
/// neither: it is taken at its word.
pub fn command_line(role: Role, program: &AgentProgram, unset: &[&str], instead: Option<&str>) -> String {
    let env = ["exec", "env"].into_iter().chain(unset.iter().flat_map(|variable| ["-u", *variable]));
    if let Some(command) = instead {
        return shell_words::join(env.chain(["sh", "-c", command]));
    }
    let prompt = match role {
        Role::Boot => Some(TRIAGE),
        _ => program.initial_prompt.as_deref(),
    };
    let words =
        env.chain([program.command.as_str()]).chain(program.args.iter().map(String::as_str)).chain(prompt);
    shell_words::join(words)
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
                "exec env -u GT_RIG -u GT_CREW claude --dangerously-skip-permissions",
            ),
            ("nothing to unset", Role::Witness, preset("codex").unwrap(), &[], "exec env codex --yolo"),
            (
                "boot",
                Role::Boot,
                preset("claude").unwrap(),
                &[],
                "exec env claude --dangerously-skip-permissions 'gt boot triage'",
            ),
            (
                "a prompt comes last",
                Role::Polecat,
                program(&["-x"], Some("do it")),
                &[],
                "exec env claude -x 'do it'",
            ),
            (
                "boot has one prompt",
                Role::Boot,
                program(&[], Some("do it")),
                &[],
                "exec env claude 'gt boot triage'",
            ),
            (
                "an empty argument",
                Role::Polecat,
                program(&["--model", ""], None),
                &[],
                "exec env claude --model ''",
            ),
        ] {
            assert_eq!(command_line(role, &program, unset, None), line, "{case}");
        }
    }

    #[test]
    fn a_command_of_its_own() {
        for (case, role, unset, command, line) in [
            ("plain", Role::Polecat, &["GT_CREW"][..], "agent", "exec env -u GT_CREW sh -c agent"),
            (
                "with words of the shell",
                Role::Witness,
                &[],
                "cd '/my town' && exec agent \"$HOME\"",
                r#"exec env sh -c 'cd '\''/my town'\'' && exec agent "$HOME"'"#,
            ),
            ("no prompt for boot", Role::Boot, &[], "exec agent", "exec env sh -c 'exec agent'"),
        ] {
            let got = command_line(role, &program(&["-x"], Some("do it")), unset, Some(command));
            assert_eq!(got, line, "{case}");
            assert_eq!(shell_words::split(&got).unwrap().last().map(String::as_str), Some(command), "{case}");
        }
    }

    #[test]
    fn the_shell_gives_every_word_back() {
        let odd =
            ["a b", "it's", "$(rm -rf ~)", "`x`", "a\nb", "\"q\"", ";", "*", "~", "#no", "é", "\\", "!"];
        let line = command_line(Role::Polecat, &program(&odd, None), &[], None);
        let words = shell_words::split(&line).unwrap();
        assert_eq!(words[..3], ["exec", "env", "claude"]);
        assert_eq!(words[3..], odd);
    }
}
