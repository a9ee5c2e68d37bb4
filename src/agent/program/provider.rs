//! Providers: the agent programs that Gas Town knows, and its defaults for each.
//!
//! Facts from Gas Town 0.2.6 to 0.3 (`internal/config/agents.go`, `types.go`); the second claude prompt is that of
//! Gas Town 1.0. This module must not know of any file.

use std::time::Duration;

use super::{AgentProgram, Hooks, Ready};

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
    /// OpenCode; known as a provider, but no preset.
    Opencode,
    /// Anything else.
    Generic,
}

impl Provider {
    /// The provider of this name, as `provider` in the files and the presets spell it.
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "claude" => Provider::Claude,
            "codex" => Provider::Codex,
            "gemini" => Provider::Gemini,
            "cursor" => Provider::Cursor,
            "auggie" => Provider::Auggie,
            "amp" => Provider::Amp,
            "opencode" => Provider::Opencode,
            "generic" => Provider::Generic,
            _ => return None,
        })
    }

    /// The provider of this command, by its base name.
    pub fn of_command(command: &str) -> Option<Self> {
        match base_name(command) {
            "cursor-agent" => Some(Provider::Cursor),
            "cursor" | "generic" => None,
            name => Provider::named(name),
        }
    }

    /// Its program; `Generic` has none.
    pub fn command(self) -> Option<&'static str> {
        match self {
            Provider::Claude => Some("claude"),
            Provider::Codex => Some("codex"),
            Provider::Gemini => Some("gemini"),
            Provider::Cursor => Some("cursor-agent"),
            Provider::Auggie => Some("auggie"),
            Provider::Amp => Some("amp"),
            Provider::Opencode => Some("opencode"),
            Provider::Generic => None,
        }
    }

    /// The names its own process may have; claude's version-number name is known to
    /// [`liveness`](crate::agent::liveness).
    pub fn process_names(self) -> &'static [&'static str] {
        match self {
            Provider::Claude => &["node", "claude"],
            Provider::Codex => &["codex"],
            Provider::Gemini => &["gemini"],
            Provider::Cursor => &["cursor-agent"],
            Provider::Auggie => &["auggie"],
            Provider::Amp => &["amp"],
            Provider::Opencode => &["opencode"],
            Provider::Generic => &[],
        }
    }

    /// Whether it may run as a script of `node`, whose process then carries no other name (npm packages).
    pub fn runs_in_node(self) -> bool {
        match self {
            Provider::Claude | Provider::Codex | Provider::Gemini | Provider::Auggie | Provider::Amp => true,
            Provider::Cursor | Provider::Opencode | Provider::Generic => false,
        }
    }

    /// The variable that carries its conversation id.
    pub fn session_id_env(self) -> Option<&'static str> {
        match self {
            Provider::Claude => Some("CLAUDE_SESSION_ID"),
            Provider::Gemini => Some("GEMINI_SESSION_ID"),
            _ => None,
        }
    }

    /// Whether a prompt can be passed as its last argument (`prompt_mode` `arg`).
    pub fn takes_prompt(self) -> bool {
        !matches!(self, Provider::Codex | Provider::Opencode)
    }

    /// Its hooks.
    pub fn hooks(self) -> Hooks {
        if self == Provider::Claude { Hooks::Claude } else { Hooks::None }
    }

    /// The prompts its screen shows when it takes input; empty when none is known.
    pub fn prompts(self) -> &'static [&'static str] {
        if self == Provider::Claude { &["> ", "❯ "] } else { &[] }
    }

    /// How long it takes to be ready, when no prompt is searched for.
    pub fn ready_delay(self) -> Duration {
        match self {
            Provider::Claude => Duration::from_secs(10),
            Provider::Codex => Duration::from_secs(3),
            _ => Duration::ZERO,
        }
    }

    /// The arguments of its preset.
    fn preset_args(self) -> &'static [&'static str] {
        match self {
            Provider::Claude => &["--dangerously-skip-permissions"],
            Provider::Codex => &["--yolo"],
            Provider::Gemini => &["--approval-mode", "yolo"],
            Provider::Cursor => &["-f"],
            Provider::Auggie => &["--allow-indexing"],
            Provider::Amp => &["--dangerously-allow-all", "--no-ide"],
            Provider::Opencode | Provider::Generic => &[],
        }
    }

    /// How its readiness is detected by default.
    pub(super) fn ready(self) -> Ready {
        match self.prompts() {
            [] => Ready::Delay(self.ready_delay()),
            prompts => Ready::Prompt(owned(prompts)),
        }
    }
}

/// The built-in preset of this name: `claude`, `codex`, `gemini`, `cursor`, `auggie`, `amp`.
pub fn preset(name: &str) -> Option<AgentProgram> {
    let provider = Provider::named(name)?;
    match provider {
        Provider::Opencode | Provider::Generic => None,
        _ => Some(built_in(name, provider)),
    }
}

/// The built-in `claude`, the last fallback.
pub fn claude() -> AgentProgram {
    built_in("claude", Provider::Claude)
}

fn built_in(name: &str, provider: Provider) -> AgentProgram {
    AgentProgram {
        name: name.to_owned(),
        command: provider.command().unwrap_or(name).to_owned(),
        args: owned(provider.preset_args()),
        initial_prompt: None,
        session_id_env: provider.session_id_env().map(str::to_owned),
        hooks: provider.hooks(),
        process_names: owned(provider.process_names()),
        provider,
        ready: provider.ready(),
    }
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
        assert_eq!(claude(), preset("claude").unwrap());
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
            assert_eq!(Provider::of_command(command), provider, "{command:?}");
        }
    }
}
