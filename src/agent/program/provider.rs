//! Providers: the agent programs that Gas Town knows, and its defaults for each, by dialect.
//!
//! Facts from `internal/config/agents.go` and `types.go` of Gas Town 0.2.6 to 0.3, and of gt 1.0.1; the second claude prompt is
//! that of Gas Town 1.0. This module must not know of any file.

use std::{collections::BTreeMap, time::Duration};

use super::{AgentProgram, Hooks, Prompt, Ready};
use crate::town::dialect::Dialect;

/// A program Gas Town knows, or `Generic` for any other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Provider {
    /// Claude Code.
    Claude,
    /// OpenAI Codex.
    Codex,
    /// Gemini CLI.
    Gemini,
    /// Cursor Agent.
    Cursor,
    /// Auggie.
    Auggie,
    /// Amp.
    Amp,
    /// OpenCode; in January's towns known as a provider, but no preset.
    Opencode,
    /// GitHub Copilot CLI; 1.x only, as those below.
    Copilot,
    /// Pi Coding Agent.
    Pi,
    /// Oh My Pi.
    Omp,
    /// Mistral Vibe.
    Vibe,
    /// Claude Code with a model of Groq.
    GroqCompound,
    /// Anything else.
    Generic,
}

/// The names of the providers, as `provider` in the files and the presets spell them.
const NAMES: [(&str, Provider); 13] = [
    ("claude", Provider::Claude),
    ("codex", Provider::Codex),
    ("gemini", Provider::Gemini),
    ("cursor", Provider::Cursor),
    ("auggie", Provider::Auggie),
    ("amp", Provider::Amp),
    ("opencode", Provider::Opencode),
    ("generic", Provider::Generic),
    ("copilot", Provider::Copilot),
    ("pi", Provider::Pi),
    ("omp", Provider::Omp),
    ("vibe", Provider::Vibe),
    ("groq-compound", Provider::GroqCompound),
];

/// How many of them January's Gas Town knows.
const OF_JANUARY: usize = 8;

/// What is built in for a provider.
#[derive(Debug, Clone, Copy)]
pub struct BuiltIn {
    /// Its program; `Generic` has none.
    pub command: Option<&'static str>,
    /// The arguments of its preset.
    pub args: &'static [&'static str],
    /// The names its own process may have; claude's version-number name is known to [`liveness`](crate::agent::liveness).
    pub process_names: &'static [&'static str],
    /// The variable that carries its conversation id.
    pub session_id_env: Option<&'static str>,
    /// How a prompt can be passed to it.
    pub prompt: Prompt,
    /// Its hooks.
    pub hooks: Hooks,
    /// The prompts its screen shows when it takes input; empty when none is known.
    pub prompts: &'static [&'static str],
    /// How long it takes to be ready, when no prompt is searched for.
    pub ready_delay: Duration,
    /// Variables it is run with (1.x).
    pub environment: &'static [(&'static str, &'static str)],
    /// How it continues a conversation; `None` where that is not known.
    pub resuming: Option<Resuming>,
    /// Words before its command (1.x).
    pub wrapper: &'static [&'static str],
}

/// How a program continues a conversation, as arguments.
///
/// Only what is known for sure is here. Gemini CLI has `--resume <id>`, but the name of a project's directory below
/// `~/.gemini/tmp` and the format of its files changed between versions, and it rewrites a file as a whole, so that lost records
/// could not be counted: it is left out. Of Cursor Agent, Auggie, Amp, OpenCode, Copilot, Pi, Oh My Pi and Vibe it is not known
/// where their transcripts are or whether an id may be chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resuming {
    /// The flag that gives a new conversation the id that follows; `None` where the program chooses it.
    pub begin: Option<&'static str>,
    /// The word before the id of the one to continue.
    pub resume: &'static str,
    /// Arguments that already say which one.
    pub own_words: &'static [&'static str],
    /// What it prints, before it exits with 1, when it does not know the id.
    pub not_found: &'static str,
}

/// Claude Code 1.0 to 2.1 (`claude --help`).
const OF_CLAUDE: Resuming = Resuming {
    begin: Some("--session-id"),
    resume: "--resume",
    own_words: &["--session-id", "--resume", "-r", "--continue", "-c", "--from-pr"],
    not_found: "No conversation found with session ID",
};

/// Codex 0.40 to 0.100 (`codex-rs/cli/src/main.rs`): `codex [OPTIONS] resume <id>`.
const OF_CODEX: Resuming = Resuming {
    begin: None,
    resume: "resume",
    own_words: &["resume", "fork"],
    not_found: "No saved session found with ID",
};

/// What is built in for a program of which nothing is known.
const UNKNOWN: BuiltIn = BuiltIn {
    command: None,
    args: &[],
    process_names: &[],
    session_id_env: None,
    prompt: Prompt::Argument,
    hooks: Hooks::None,
    prompts: &[],
    ready_delay: Duration::ZERO,
    environment: &[],
    resuming: None,
    wrapper: &[],
};

const CLAUDE: BuiltIn = BuiltIn {
    command: Some("claude"),
    args: &["--dangerously-skip-permissions"],
    process_names: &["node", "claude"],
    session_id_env: Some("CLAUDE_SESSION_ID"),
    hooks: Hooks::Claude,
    prompts: &["> ", "❯ "],
    ready_delay: Duration::from_secs(10),
    resuming: Some(OF_CLAUDE),
    ..UNKNOWN
};

const CODEX: BuiltIn = BuiltIn {
    command: Some("codex"),
    args: &["--yolo"],
    process_names: &["codex"],
    prompt: Prompt::None,
    ready_delay: Duration::from_secs(3),
    resuming: Some(OF_CODEX),
    ..UNKNOWN
};

const GEMINI: BuiltIn = BuiltIn {
    command: Some("gemini"),
    args: &["--approval-mode", "yolo"],
    process_names: &["gemini"],
    session_id_env: Some("GEMINI_SESSION_ID"),
    ..UNKNOWN
};

const CURSOR: BuiltIn =
    BuiltIn { command: Some("cursor-agent"), args: &["-f"], process_names: &["cursor-agent"], ..UNKNOWN };

const AUGGIE: BuiltIn =
    BuiltIn { command: Some("auggie"), args: &["--allow-indexing"], process_names: &["auggie"], ..UNKNOWN };

const AMP: BuiltIn = BuiltIn {
    command: Some("amp"),
    args: &["--dangerously-allow-all", "--no-ide"],
    process_names: &["amp"],
    ..UNKNOWN
};

const OPENCODE: BuiltIn =
    BuiltIn { command: Some("opencode"), process_names: &["opencode"], prompt: Prompt::None, ..UNKNOWN };

/// Those of 1.x that differ from January's, or are new.
mod v1 {
    use super::*;

    pub(super) const CODEX: BuiltIn =
        BuiltIn { args: &["--dangerously-bypass-approvals-and-sandbox"], prompts: &["› "], ..super::CODEX };
    pub(super) const GEMINI: BuiltIn = BuiltIn {
        prompt: Prompt::Flag("-i"),
        hooks: Hooks::Own,
        ready_delay: Duration::from_secs(5),
        ..super::GEMINI
    };
    pub(super) const CURSOR: BuiltIn = BuiltIn {
        process_names: &["cursor-agent", "agent"],
        hooks: Hooks::Own,
        ready_delay: Duration::from_secs(5),
        ..super::CURSOR
    };
    pub(super) const OPENCODE: BuiltIn = BuiltIn {
        process_names: &["opencode", "node", "bun"],
        prompt: Prompt::Flag("--prompt"),
        hooks: Hooks::Own,
        ready_delay: Duration::from_secs(8),
        environment: &[("OPENCODE_PERMISSION", r#"{"*":"allow"}"#)],
        ..super::OPENCODE
    };
    pub(super) const COPILOT: BuiltIn = BuiltIn {
        command: Some("copilot"),
        args: &["--yolo"],
        process_names: &["copilot"],
        prompt: Prompt::Flag("-i"),
        hooks: Hooks::Own,
        ready_delay: Duration::from_secs(5),
        ..UNKNOWN
    };
    pub(super) const PI: BuiltIn = BuiltIn {
        command: Some("pi"),
        args: &["-e", ".pi/extensions/gastown-hooks.js"],
        process_names: &["pi", "node", "bun"],
        hooks: Hooks::Own,
        ready_delay: Duration::from_secs(8),
        ..UNKNOWN
    };
    pub(super) const OMP: BuiltIn = BuiltIn {
        command: Some("omp"),
        args: &["--hook", ".omp/hooks/gastown-hook.ts"],
        process_names: &["omp", "node", "bun"],
        hooks: Hooks::Own,
        ..UNKNOWN
    };
    pub(super) const VIBE: BuiltIn = BuiltIn {
        command: Some("vibe"),
        args: &["--agent", "auto-approve"],
        process_names: &["vibe"],
        hooks: Hooks::Own,
        prompts: &["❯ "],
        ready_delay: Duration::from_secs(5),
        ..UNKNOWN
    };
    pub(super) const GROQ_COMPOUND: BuiltIn = BuiltIn {
        environment: &[
            ("ANTHROPIC_BASE_URL", "https://api.groq.com/openai/v1"),
            ("ANTHROPIC_MODEL", "compound-beta"),
        ],
        // The key is in the pane's environment, which is the tmux server's, and must not be in a list of arguments.
        wrapper: &["/bin/sh", "-c", r#"ANTHROPIC_API_KEY="$GROQ_API_KEY" exec "$@""#, "sh"],
        ..CLAUDE
    };
}

impl Provider {
    /// The provider of this name, as `provider` in the files and the presets spell it.
    pub fn named(dialect: Dialect, name: &str) -> Option<Self> {
        let known = if dialect.facts().has_newer_presets { &NAMES[..] } else { &NAMES[..OF_JANUARY] };
        known.iter().find(|(known, _)| *known == name).map(|(_, provider)| *provider)
    }

    /// The name, as [`named`](Self::named) takes it.
    pub fn name(self) -> &'static str {
        NAMES.iter().find(|(_, provider)| *provider == self).map_or("generic", |(name, _)| name)
    }

    /// The provider of this command, by its base name.
    pub fn of_command(dialect: Dialect, command: &str) -> Option<Self> {
        match base_name(command) {
            "cursor-agent" => Some(Provider::Cursor),
            "cursor" | "generic" | "groq-compound" => None,
            name => Provider::named(dialect, name),
        }
    }

    /// What is built in for it. January's Gas Town knows nothing of the newer ones.
    pub fn built_in(self, dialect: Dialect) -> &'static BuiltIn {
        match (dialect, self) {
            (_, Provider::Claude) => &CLAUDE,
            (_, Provider::Auggie) => &AUGGIE,
            (_, Provider::Amp) => &AMP,
            (_, Provider::Generic) => &UNKNOWN,
            (Dialect::January, Provider::Codex) => &CODEX,
            (Dialect::January, Provider::Gemini) => &GEMINI,
            (Dialect::January, Provider::Cursor) => &CURSOR,
            (Dialect::January, Provider::Opencode) => &OPENCODE,
            (Dialect::January, _) => &UNKNOWN,
            (Dialect::V1 | Dialect::Own, Provider::Codex) => &v1::CODEX,
            (Dialect::V1 | Dialect::Own, Provider::Gemini) => &v1::GEMINI,
            (Dialect::V1 | Dialect::Own, Provider::Cursor) => &v1::CURSOR,
            (Dialect::V1 | Dialect::Own, Provider::Opencode) => &v1::OPENCODE,
            (Dialect::V1 | Dialect::Own, Provider::Copilot) => &v1::COPILOT,
            (Dialect::V1 | Dialect::Own, Provider::Pi) => &v1::PI,
            (Dialect::V1 | Dialect::Own, Provider::Omp) => &v1::OMP,
            (Dialect::V1 | Dialect::Own, Provider::Vibe) => &v1::VIBE,
            (Dialect::V1 | Dialect::Own, Provider::GroqCompound) => &v1::GROQ_COMPOUND,
        }
    }

    /// Whether it may run as a script of `node`, whose process then carries no other name (npm packages).
    pub fn runs_in_node(self) -> bool {
        match self {
            Provider::Claude
            | Provider::Codex
            | Provider::Gemini
            | Provider::Auggie
            | Provider::Amp
            | Provider::Copilot
            | Provider::Pi
            | Provider::Omp
            | Provider::GroqCompound => true,
            Provider::Cursor | Provider::Opencode | Provider::Vibe | Provider::Generic => false,
        }
    }

    /// Whether its program is Claude Code.
    pub fn is_claude(self) -> bool {
        matches!(self, Provider::Claude | Provider::GroqCompound)
    }
}

impl BuiltIn {
    /// How its readiness is detected by default.
    pub(super) fn ready(&self) -> Ready {
        match self.prompts {
            [] => Ready::Delay(self.ready_delay),
            prompts => Ready::Prompt(owned(prompts)),
        }
    }
}

/// The built-in preset of this name.
pub fn preset_in(dialect: Dialect, name: &str) -> Option<AgentProgram> {
    match Provider::named(dialect, name)? {
        Provider::Generic => None,
        Provider::Opencode if !dialect.facts().has_newer_presets => None,
        provider => Some(program(dialect, name, provider)),
    }
}

/// The built-in `claude`, the last fallback.
pub fn claude(dialect: Dialect) -> AgentProgram {
    program(dialect, "claude", Provider::Claude)
}

/// January's preset of this name, for tests.
#[cfg(any(test, feature = "test-support"))]
pub fn preset(name: &str) -> Option<AgentProgram> {
    preset_in(Dialect::January, name)
}

fn program(dialect: Dialect, name: &str, provider: Provider) -> AgentProgram {
    let built_in = provider.built_in(dialect);
    AgentProgram {
        name: name.to_owned(),
        command: built_in.command.unwrap_or(name).to_owned(),
        args: owned(built_in.args),
        initial_prompt: None,
        prompt: built_in.prompt,
        session_id_env: built_in.session_id_env.map(str::to_owned),
        hooks: built_in.hooks,
        process_names: owned(built_in.process_names),
        provider,
        ready: built_in.ready(),
        environment: variables(built_in.environment),
        wrapper: owned(built_in.wrapper),
        effort: None,
        has_any_name: false,
    }
}

pub(super) fn variables(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(variable, value)| ((*variable).to_owned(), (*value).to_owned())).collect()
}

/// The last component of a path; the whole when there is no `/`.
pub(crate) fn base_name(path: &str) -> &str {
    path.trim_end_matches('/').rsplit('/').next().unwrap_or(path)
}

pub(super) fn owned(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn presets_are_those_of_gas_town() {
        let claude_ready = Ready::Prompt(vec!["> ".into(), "❯ ".into()]);
        let at_once = Ready::Delay(Duration::ZERO);
        for (name, line, process_names, session_id_env, hooks, ready) in [
            (
                "claude",
                "claude --dangerously-skip-permissions",
                "node,claude",
                Some("CLAUDE_SESSION_ID"),
                Hooks::Claude,
                claude_ready,
            ),
            ("codex", "codex --yolo", "codex", None, Hooks::None, Ready::Delay(Duration::from_secs(3))),
            (
                "gemini",
                "gemini --approval-mode yolo",
                "gemini",
                Some("GEMINI_SESSION_ID"),
                Hooks::None,
                at_once.clone(),
            ),
            ("cursor", "cursor-agent -f", "cursor-agent", None, Hooks::None, at_once.clone()),
            ("auggie", "auggie --allow-indexing", "auggie", None, Hooks::None, at_once.clone()),
            ("amp", "amp --dangerously-allow-all --no-ide", "amp", None, Hooks::None, at_once),
        ] {
            let program = preset(name).unwrap();
            assert_eq!(format!("{} {}", program.command, program.args.join(" ")), line, "{name}");
            assert_eq!(program.process_names.join(","), process_names, "{name}");
            assert_eq!(program.session_id_env.as_deref(), session_id_env, "{name}");
            assert_eq!(program.hooks, hooks, "{name}");
            assert_eq!(program.ready, ready, "{name}");
        }
        for name in ["opencode", "generic", "", "Claude"] {
            assert_eq!(preset(name), None, "{name:?}");
        }
        assert_eq!(claude(Dialect::January), preset("claude").unwrap());
    }

    #[test]
    fn a_command_decides_its_provider() {
        for (command, provider) in [
            ("claude", Some(Provider::Claude)),
            ("/home/u/.claude/local/claude", Some(Provider::Claude)),
            ("cursor-agent", Some(Provider::Cursor)),
            ("cursor", None),
            ("opencode", Some(Provider::Opencode)),
            ("generic", None),
            ("aider", None),
            ("", None),
        ] {
            assert_eq!(Provider::of_command(Dialect::January, command), provider, "{command:?}");
        }
    }

    #[test]
    fn presets_of_1_x() {
        let prompt = |prompt: &str| Ready::Prompt(vec![prompt.to_owned()]);
        let after = |seconds| Ready::Delay(Duration::from_secs(seconds));
        for (name, line, process_names, how, hooks, ready) in [
            (
                "claude",
                "claude --dangerously-skip-permissions",
                "node,claude",
                Prompt::Argument,
                Hooks::Claude,
                Ready::Prompt(vec!["> ".into(), "❯ ".into()]),
            ),
            ("gemini", "gemini --approval-mode yolo", "gemini", Prompt::Flag("-i"), Hooks::Own, after(5)),
            (
                "codex",
                "codex --dangerously-bypass-approvals-and-sandbox",
                "codex",
                Prompt::None,
                Hooks::None,
                prompt("› "),
            ),
            ("cursor", "cursor-agent -f", "cursor-agent,agent", Prompt::Argument, Hooks::Own, after(5)),
            ("auggie", "auggie --allow-indexing", "auggie", Prompt::Argument, Hooks::None, after(0)),
            ("amp", "amp --dangerously-allow-all --no-ide", "amp", Prompt::Argument, Hooks::None, after(0)),
            ("opencode", "opencode ", "opencode,node,bun", Prompt::Flag("--prompt"), Hooks::Own, after(8)),
            ("copilot", "copilot --yolo", "copilot", Prompt::Flag("-i"), Hooks::Own, after(5)),
            (
                "pi",
                "pi -e .pi/extensions/gastown-hooks.js",
                "pi,node,bun",
                Prompt::Argument,
                Hooks::Own,
                after(8),
            ),
            (
                "omp",
                "omp --hook .omp/hooks/gastown-hook.ts",
                "omp,node,bun",
                Prompt::Argument,
                Hooks::Own,
                after(0),
            ),
            ("vibe", "vibe --agent auto-approve", "vibe", Prompt::Argument, Hooks::Own, prompt("❯ ")),
            (
                "groq-compound",
                "claude --dangerously-skip-permissions",
                "node,claude",
                Prompt::Argument,
                Hooks::Claude,
                Ready::Prompt(vec!["> ".into(), "❯ ".into()]),
            ),
        ] {
            let program = preset_in(Dialect::V1, name).unwrap();
            assert_eq!(format!("{} {}", program.command, program.args.join(" ")), line, "{name}");
            assert_eq!(program.process_names.join(","), process_names, "{name}");
            assert_eq!((program.prompt, program.hooks, program.ready), (how, hooks, ready), "{name}");
            let of_january = matches!(name, "claude" | "gemini" | "codex" | "cursor" | "auggie" | "amp");
            assert_eq!(preset(name).is_some(), of_january, "{name}");
        }
        assert_eq!(preset_in(Dialect::V1, "generic"), None);
        let of = |name| preset_in(Dialect::V1, name).unwrap().environment;
        assert_eq!(of("opencode")["OPENCODE_PERMISSION"], r#"{"*":"allow"}"#);
        assert_eq!(of("groq-compound")["ANTHROPIC_MODEL"], "compound-beta");
        for (command, january, v1) in [
            ("/usr/bin/copilot", None, Some(Provider::Copilot)),
            ("pi", None, Some(Provider::Pi)),
            ("groq-compound", None, None),
            ("claude", Some(Provider::Claude), Some(Provider::Claude)),
        ] {
            assert_eq!(Provider::of_command(Dialect::January, command), january, "{command}");
            assert_eq!(Provider::of_command(Dialect::V1, command), v1, "{command}");
        }
    }
}
