//! Command line: the words that are executed in an agent's pane.
//!
//! They are executed as they are, without the user's shell: its start-up files might change the directory, and its
//! syntax may differ. It must not choose the program or the variables.

use std::path::Path;

use super::program::{AgentProgram, Prompt};
use crate::town::identity::Role;

/// Executes another program with other variables, and becomes it.
const ENV: &str = "/usr/bin/env";
/// Runs the shell commands that people write.
const SHELL: &str = "/bin/sh";

/// What a command line says of the agent's conversation.
#[derive(Debug, Clone, Copy, Default)]
pub struct Conversing<'a> {
    /// The arguments that name it.
    pub words: &'a [String],
    /// Whether it is continued: then no prompt is passed, which would begin its work anew.
    pub is_resumed: bool,
}

/// The words that run `program` for a role, without the variables in `unset`; or the shell command `instead`, where
/// the role's bead gives one.
///
/// Boot's own argument replaces the initial prompt, since a program takes one at most. The command of a role's bead
/// gets neither: it runs as written.
pub fn command_line(
    role: Role,
    program: &AgentProgram,
    unset: &[&str],
    conversing: Conversing<'_>,
    instead: Option<&str>,
) -> Vec<String> {
    let env = [ENV].into_iter().chain(unset.iter().flat_map(|variable| ["-u", *variable]));
    if let Some(command) = instead {
        return env.chain([SHELL, "-c", command]).map(str::to_owned).collect();
    }
    let prompt = role.facts().argument.or(program.initial_prompt.as_deref());
    let prompt = prompt.filter(|_| !conversing.is_resumed);
    let arguments = program.args.iter().chain(conversing.words).map(String::as_str).chain(prompt);
    env.chain([program.command.as_str()]).chain(arguments).map(str::to_owned).collect()
}

/// The words that run `program` in a 1.x town, or in one of one file, without the variables in `unset`: with the Claude Code settings in the file
/// `settings`, unless its arguments name others, and with this prompt, if it takes one; or the shell command `instead`.
pub fn v1(
    program: &AgentProgram,
    unset: &[&str],
    settings: Option<&Path>,
    conversing: Conversing<'_>,
    prompt: Option<&str>,
    instead: Option<&str>,
) -> Vec<String> {
    let mut words: Vec<String> = vec![ENV.to_owned()];
    words.extend(unset.iter().flat_map(|variable| ["-u", *variable]).map(str::to_owned));
    if let Some(command) = instead {
        words.extend([SHELL, "-c", command].map(str::to_owned));
        return words;
    }
    words.extend(program.wrapper.iter().chain([&program.command]).chain(&program.args).cloned());
    let names_settings =
        program.args.iter().any(|word| word == "--settings" || word.starts_with("--settings="));
    if let Some(path) = settings.filter(|_| !names_settings) {
        words.extend(["--settings".to_owned(), path.to_string_lossy().into_owned()]);
    }
    words.extend(conversing.words.iter().cloned());
    match (program.prompt, prompt.filter(|_| !conversing.is_resumed)) {
        (Prompt::Argument, Some(prompt)) => words.push(prompt.to_owned()),
        (Prompt::Flag(flag), Some(prompt)) => words.extend([flag.to_owned(), prompt.to_owned()]),
        (Prompt::None, _) | (_, None) => {}
    }
    words
}

/// The arguments with which Claude Code asks for its mode without permissions (1.0 to 2.1).
const SKIPS_PERMISSIONS: [&str; 2] =
    ["--dangerously-skip-permissions", "--permission-mode=bypassPermissions"];

/// Whether the words that run `program`, or the shell command `instead`, ask for Claude's mode without permissions.
pub fn skips_permissions(program: &AgentProgram, instead: Option<&str>) -> bool {
    let words = match instead {
        Some(command) => command.split_whitespace().map(str::to_owned).collect(),
        None => [program.wrapper.as_slice(), &program.args].concat(),
    };
    let asks = |word: &String| SKIPS_PERMISSIONS.contains(&word.as_str());
    let in_two = |pair: &[String]| pair == ["--permission-mode", "bypassPermissions"];
    words.iter().any(asks) || words.windows(2).any(in_two)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::program::provider::preset;

    const NEW: Conversing<'_> = Conversing { words: &[], is_resumed: false };

    #[test]
    fn a_conversation_goes_before_the_prompt_and_in_place_of_it() {
        use crate::{agent::program::provider::preset_in, town::dialect::Dialect};
        for (case, name, words, is_resumed, january, newer) in [
            (
                "begins one",
                "claude",
                "--session-id x",
                false,
                "claude --dangerously-skip-permissions --session-id x 'do it'",
                "claude --dangerously-skip-permissions --settings s --session-id x 'do it'",
            ),
            (
                "continues one",
                "claude",
                "--resume x",
                true,
                "claude --dangerously-skip-permissions --resume x",
                "claude --dangerously-skip-permissions --settings s --resume x",
            ),
            (
                "codex",
                "codex",
                "resume x",
                true,
                "codex --yolo resume x",
                "codex --dangerously-bypass-approvals-and-sandbox resume x",
            ),
        ] {
            let words: Vec<String> = words.split(' ').map(str::to_owned).collect();
            let conversing = Conversing { words: &words, is_resumed };
            let program = AgentProgram { initial_prompt: Some("do it".into()), ..preset(name).unwrap() };
            let got = command_line(Role::Mayor, &program, &[], conversing, None);
            assert_eq!(shell_words::join(&got[1..]), january, "{case}");
            let settings = (name == "claude").then(|| Path::new("s"));
            let program = preset_in(Dialect::V1, name).unwrap();
            let got = v1(&program, &[], settings, conversing, Some("do it"), None);
            assert_eq!(shell_words::join(&got[1..]), newer, "{case}");
        }
        let words = ["--resume".to_owned(), "x".to_owned()];
        let conversing = Conversing { words: &words, is_resumed: true };
        let got = command_line(Role::Boot, &preset("claude").unwrap(), &[], conversing, None);
        assert_eq!(got.last().map(String::as_str), Some("x"), "boot's own argument is a prompt, too");
    }

    fn program(args: &[&str], prompt: Option<&str>) -> AgentProgram {
        AgentProgram {
            args: args.iter().map(|arg| (*arg).to_owned()).collect(),
            initial_prompt: prompt.map(str::to_owned),
            ..preset("claude").unwrap()
        }
    }

    #[test]
    fn which_ask_for_the_mode_without_permissions() {
        for (case, args, instead, asks) in [
            ("the preset's", &["--dangerously-skip-permissions"][..], None, true),
            ("as a mode", &["--permission-mode", "bypassPermissions"], None, true),
            ("as a mode, in one word", &["--permission-mode=bypassPermissions"], None, true),
            ("another mode", &["--permission-mode", "plan"], None, false),
            ("none", &["--model", "opus"], None, false),
            ("only allowed", &["--allow-dangerously-skip-permissions"], None, false),
            ("in the role's command", &[], Some("exec claude --dangerously-skip-permissions 'go'"), true),
            (
                "the role's command is another",
                &["--dangerously-skip-permissions"],
                Some("exec claude"),
                false,
            ),
        ] {
            assert_eq!(skips_permissions(&program(args, None), instead), asks, "{case}");
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
            assert_eq!(shell_words::join(command_line(role, &program, unset, NEW, None)), line, "{case}");
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
            let got = command_line(role, &program(&["-x"], Some("do it")), unset, NEW, Some(command));
            assert_eq!(shell_words::join(&got), line, "{case}");
            assert_eq!(got.last().map(String::as_str), Some(command), "{case}");
        }
    }

    #[test]
    fn every_word_is_as_it_was_given() {
        let odd =
            ["a b", "it's", "$(rm -rf ~)", "`x`", "a\nb", "\"q\"", ";", "*", "~", "#no", "é", "\\", "!"];
        let words = command_line(Role::Polecat, &program(&odd, None), &[], NEW, None);
        assert_eq!(words[..2], ["/usr/bin/env", "claude"]);
        assert_eq!(words[2..], odd);
    }

    #[test]
    fn lines_of_1_x() {
        use crate::{agent::program::provider::preset_in, town::dialect::Dialect};
        let settings = Some(Path::new("/my town/r/witness/.claude/settings.json"));
        let of = |name| preset_in(Dialect::V1, name).unwrap();
        for (case, program, settings, instead, line) in [
            (
                "with settings",
                of("claude"),
                settings,
                None,
                "claude --dangerously-skip-permissions --settings '/my town/r/witness/.claude/settings.json' 'do it'",
            ),
            ("without", of("claude"), None, None, "claude --dangerously-skip-permissions 'do it'"),
            (
                "settings of its own",
                AgentProgram { args: vec!["--settings".into(), "x".into()], ..of("claude") },
                settings,
                None,
                "claude --settings x 'do it'",
            ),
            ("gemini", of("gemini"), None, None, "gemini --approval-mode yolo -i 'do it'"),
            ("opencode", of("opencode"), None, None, "opencode --prompt 'do it'"),
            ("copilot", of("copilot"), None, None, "copilot --yolo -i 'do it'"),
            ("codex takes none", of("codex"), None, None, "codex --dangerously-bypass-approvals-and-sandbox"),
            (
                "in a sandbox",
                AgentProgram { wrapper: vec!["box".into(), "--".into()], ..of("amp") },
                None,
                None,
                "box -- amp --dangerously-allow-all --no-ide 'do it'",
            ),
            ("a command of its own", of("claude"), settings, Some("exec agent"), "/bin/sh -c 'exec agent'"),
            (
                "groq",
                of("groq-compound"),
                None,
                None,
                r#"/bin/sh -c 'ANTHROPIC_API_KEY="$GROQ_API_KEY" exec "$@"' sh claude --dangerously-skip-permissions 'do it'"#,
            ),
        ] {
            let words = v1(&program, &["GT_CREW"], settings, NEW, Some("do it"), instead);
            assert_eq!(shell_words::join(words), format!("/usr/bin/env -u GT_CREW {line}"), "{case}");
        }
    }

    #[test]
    fn in_1_x_the_arguments_are_those_of_gt() {
        use crate::{agent::program::provider::preset_in, town::dialect::Dialect};
        macro_rules! start {
            ($session:literal) => {
                include_str!(concat!("../../tests/fixtures/v1/agent_start_by_gt.", $session, ".txt"))
            };
        }
        for (settings, start) in [
            (None, start!("hq-mayor")),
            (None, start!("hq-deacon")),
            (None, start!("hq-boot")),
            (Some("/home/user/gt/alpha/witness/.claude/settings.json"), start!("al-witness")),
            (Some("/home/user/gt/alpha/refinery/.claude/settings.json"), start!("al-refinery")),
            (Some("/home/user/gt/alpha/polecats/.claude/settings.json"), start!("al-furiosa")),
        ] {
            let recorded = start.split("\nenv ").next().unwrap();
            let recorded: Vec<&str> = recorded.split("\nargv[").skip(1).collect();
            let recorded: Vec<&str> = recorded.iter().map(|word| word.split_once("]=").unwrap().1).collect();
            let program = AgentProgram {
                command: "/home/user/bin/claude".into(),
                ..preset_in(Dialect::V1, "claude").unwrap()
            };
            let words = v1(&program, &[], settings.map(Path::new), NEW, recorded.last().copied(), None);
            assert_eq!(words[1..], recorded);
        }
    }
}
