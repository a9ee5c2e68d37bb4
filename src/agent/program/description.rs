//! Description: what a settings file says about one agent program, and the defaults for what it leaves out.
//!
//! Keys and defaults are those of Gas Town 0.2.6 to 0.3 and gt 1.0.1 (`RuntimeConfig` and `AgentPresetInfo`), with one difference:
//! `gt` reads all keys but honours only the command and its arguments; here every one counts. `gt` assumes that an
//! agent without a `provider` is claude; here a well-known command decides its provider. It must not read files.

use std::{collections::BTreeMap, time::Duration};

use super::{
    AgentProgram, Hooks, Prompt, Provider, Ready,
    provider::{BuiltIn, base_name, owned, variables},
};
use crate::town::dialect::Dialect;

/// One agent as described in a file; `None` means that the file does not say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Description {
    /// `provider`; without one the command decides, then claude.
    pub provider: Option<Provider>,
    /// `command`; without one it is the provider's.
    pub command: Option<String>,
    /// `args`; an empty list means none.
    pub args: Option<Vec<String>>,
    /// `initial_prompt`.
    pub initial_prompt: Option<String>,
    /// `prompt_mode`: `arg` is true, `none` false.
    pub takes_prompt: Option<bool>,
    /// `session.session_id_env`; the empty text means none.
    pub session_id_env: Option<String>,
    /// `hooks.provider`, or `supports_hooks` of `agents.json`.
    pub hooks: Option<Hooks>,
    /// `tmux.process_names`.
    pub process_names: Option<Vec<String>>,
    /// `tmux.ready_prompt_prefix`; the empty text means that no prompt is searched for.
    pub ready_prompt_prefix: Option<String>,
    /// `tmux.ready_delay_ms`. Given without a prompt it replaces the provider's own prompt.
    pub ready_delay: Option<Duration>,
    /// `env` (1.x).
    pub environment: BTreeMap<String, String>,
    /// `exec_wrapper` (1.x).
    pub wrapper: Vec<String>,
}

impl Description {
    /// The provider whose defaults apply.
    pub fn provider(&self, dialect: Dialect) -> Provider {
        let of_command = || Provider::of_command(dialect, self.command.as_deref()?);
        self.provider.or_else(of_command).unwrap_or(Provider::Claude)
    }

    /// Why it cannot be run; `None` when it can.
    pub fn fault(&self, dialect: Dialect) -> Option<String> {
        let built_in = self.provider(dialect).built_in(dialect);
        let Some(command) = self.command.as_deref().or(built_in.command) else {
            return Some("provider \"generic\" needs a \"command\"".to_owned());
        };
        if command.starts_with('-') || command.contains('=') {
            // env(1), which starts it, would parse it as an option or a variable.
            return Some(format!("command {command:?} may not begin with '-' or contain '='"));
        }
        let lists = self.args.iter().chain(&self.process_names).flatten().chain(&self.wrapper);
        let words = lists
            .chain(self.environment.iter().flat_map(|(name, value)| [name, value]))
            .chain(&self.initial_prompt)
            .chain(&self.session_id_env)
            .map(String::as_str);
        if std::iter::once(command).chain(words).any(|word| word.contains('\0')) {
            return Some("a NUL character cannot be part of a command line or an environment".to_owned());
        }
        if self.environment.keys().any(|name| name.is_empty() || name.contains('=')) {
            return Some("the name of a variable in \"env\" may not be empty or contain '='".to_owned());
        }
        None
    }

    /// The program it describes, under a name; [`fault`](Self::fault) must have found nothing.
    pub fn program(&self, dialect: Dialect, name: &str) -> AgentProgram {
        let provider = self.provider(dialect);
        let built_in = provider.built_in(dialect);
        let command = self.command.as_deref().or(built_in.command).unwrap_or(name).to_owned();
        let prompt = match (self.takes_prompt, built_in.prompt) {
            (Some(false), _) => Prompt::None,
            (Some(true), Prompt::None) => Prompt::Argument,
            (_, prompt) => prompt,
        };
        let mut environment = variables(built_in.environment);
        environment.extend(self.environment.clone());
        AgentProgram {
            name: name.to_owned(),
            args: self.args.clone().unwrap_or_else(|| default_args(dialect, built_in, &command)),
            initial_prompt: self
                .initial_prompt
                .clone()
                .filter(|text| prompt != Prompt::None && !text.is_empty()),
            prompt,
            session_id_env: match self.session_id_env.as_deref() {
                Some(variable) => Some(variable).filter(|variable| !variable.is_empty()).map(str::to_owned),
                None => built_in.session_id_env.map(str::to_owned),
            },
            hooks: self.hooks.unwrap_or(built_in.hooks),
            process_names: self.process_names(built_in, &command),
            provider,
            ready: self.ready(built_in),
            environment,
            wrapper: if self.wrapper.is_empty() { owned(built_in.wrapper) } else { self.wrapper.clone() },
            effort: None,
            has_any_name: false,
            command,
        }
    }

    fn process_names(&self, built_in: &BuiltIn, command: &str) -> Vec<String> {
        let given =
            self.process_names.iter().flatten().map(|name| name.trim()).filter(|name| !name.is_empty());
        let given: Vec<String> = given.map(str::to_owned).collect();
        if !given.is_empty() {
            return given;
        }
        // The provider's own names stay: a wrapper often ends by running the real program.
        let mut names = owned(built_in.process_names);
        let own = base_name(command);
        if !names.iter().any(|name| name == own) {
            names.insert(0, own.to_owned());
        }
        names
    }

    fn ready(&self, built_in: &BuiltIn) -> Ready {
        let delay = || Ready::Delay(self.ready_delay.unwrap_or(built_in.ready_delay));
        match (&self.ready_prompt_prefix, self.ready_delay) {
            (Some(prefix), _) if prefix.trim().is_empty() => delay(),
            (Some(prefix), _) => Ready::Prompt(vec![prefix.clone()]),
            (None, Some(_)) => delay(),
            (None, None) => built_in.ready(),
        }
    }
}

/// The arguments of an entry that gives none: in 1.x those of its preset, in January those of claude for claude only.
fn default_args(dialect: Dialect, built_in: &BuiltIn, command: &str) -> Vec<String> {
    match base_name(command) {
        _ if dialect.facts().has_newer_presets => owned(built_in.args),
        "claude" => owned(&["--dangerously-skip-permissions"]),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(change: impl FnOnce(&mut Description)) -> AgentProgram {
        let mut description = Description::default();
        change(&mut description);
        description.program(Dialect::January, "mine")
    }

    fn words(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn an_empty_description_is_claude() {
        let program = said(|_| {});
        assert_eq!(
            program,
            AgentProgram { name: "mine".into(), ..super::super::provider::claude(Dialect::January) }
        );
    }

    #[test]
    fn command_and_provider_decide_the_defaults() {
        use Provider::*;
        let claude = Some("CLAUDE_SESSION_ID");
        for (case, command, provider, line, names, variable, hooks) in [
            (
                "claude by path",
                Some("/opt/claude"),
                None,
                "/opt/claude --dangerously-skip-permissions",
                "node,claude",
                claude,
                Hooks::Claude,
            ),
            ("codex by command", Some("codex"), None, "codex ", "codex", None, Hooks::None),
            ("codex by provider", None, Some(Codex), "codex ", "codex", None, Hooks::None),
            ("codex by wrapper", Some("cx"), Some(Codex), "cx ", "cx,codex", None, Hooks::None),
            ("opencode", None, Some(Opencode), "opencode ", "opencode", None, Hooks::None),
            ("unknown command", Some("aider"), None, "aider ", "aider,node,claude", claude, Hooks::Claude),
            ("generic", Some("bin/aider"), Some(Generic), "bin/aider ", "aider", None, Hooks::None),
            ("gemini", Some("gemini"), None, "gemini ", "gemini", Some("GEMINI_SESSION_ID"), Hooks::None),
        ] {
            let program = said(|d| {
                d.command = command.map(str::to_owned);
                d.provider = provider;
            });
            assert_eq!(format!("{} {}", program.command, program.args.join(" ")), line, "{case}");
            assert_eq!(program.process_names.join(","), names, "{case}");
            assert_eq!(program.session_id_env.as_deref(), variable, "{case}");
            assert_eq!(program.hooks, hooks, "{case}");
        }
    }

    #[test]
    fn every_key_is_honoured() {
        let program = said(|d| {
            d.provider = Some(Provider::Codex);
            d.command = Some("run".into());
            d.args = Some(words("-a -b"));
            d.initial_prompt = Some("go on".into());
            d.takes_prompt = Some(true);
            d.session_id_env = Some("MY_ID".into());
            d.hooks = Some(Hooks::Claude);
            d.process_names = Some(words("one two"));
            d.ready_prompt_prefix = Some("$ ".into());
        });
        assert_eq!(
            program,
            AgentProgram {
                name: "mine".into(),
                command: "run".into(),
                args: words("-a -b"),
                initial_prompt: Some("go on".into()),
                session_id_env: Some("MY_ID".into()),
                hooks: Hooks::Claude,
                process_names: words("one two"),
                provider: Provider::Codex,
                ready: Ready::Prompt(vec!["$ ".into()]),
                ..super::super::provider::claude(Dialect::January)
            }
        );
        assert!(said(|d| d.args = Some(Vec::new())).args.is_empty(), "[] means none");
        assert_eq!(said(|d| d.session_id_env = Some(String::new())).session_id_env, None);
        assert_eq!(said(|d| d.process_names = Some(vec![" ".into()])).process_names, words("node claude"));
    }

    #[test]
    fn a_prompt_is_passed_only_to_who_takes_one() {
        for (case, provider, mode, passed) in [
            ("claude", Provider::Claude, None, true),
            ("claude, none", Provider::Claude, Some(false), false),
            ("codex", Provider::Codex, None, false),
            ("codex, arg", Provider::Codex, Some(true), true),
            ("opencode", Provider::Opencode, None, false),
            ("gemini", Provider::Gemini, None, true),
        ] {
            let program = said(|d| {
                d.provider = Some(provider);
                d.takes_prompt = mode;
                d.initial_prompt = Some("hello".into());
            });
            assert_eq!(program.initial_prompt.is_some(), passed, "{case}");
        }
    }

    #[test]
    fn readiness_as_described() {
        let seconds = |n| Some(Duration::from_secs(n));
        for (case, provider, prefix, delay, ready) in [
            ("claude", Provider::Claude, None, None, Ready::Prompt(vec!["> ".into(), "❯ ".into()])),
            ("own prompt", Provider::Claude, Some("% "), seconds(7), Ready::Prompt(vec!["% ".into()])),
            ("no prompt", Provider::Claude, Some(""), None, Ready::Delay(Duration::from_secs(10))),
            ("blank prompt", Provider::Codex, Some(" "), None, Ready::Delay(Duration::from_secs(3))),
            ("only a delay", Provider::Claude, None, seconds(7), Ready::Delay(Duration::from_secs(7))),
            ("codex", Provider::Codex, None, None, Ready::Delay(Duration::from_secs(3))),
            ("generic", Provider::Generic, None, None, Ready::Delay(Duration::ZERO)),
        ] {
            let program = said(|d| {
                d.provider = Some(provider);
                d.ready_prompt_prefix = prefix.map(str::to_owned);
                d.ready_delay = delay;
            });
            assert_eq!(program.ready, ready, "{case}");
        }
    }

    #[test]
    fn what_cannot_be_run_has_a_fault() {
        let fault = |change: &dyn Fn(&mut Description)| {
            let mut description = Description::default();
            change(&mut description);
            description.fault(Dialect::January)
        };
        assert_eq!(fault(&|_| {}), None);
        assert!(fault(&|d| d.provider = Some(Provider::Generic)).unwrap().contains("\"command\""));
        assert!(fault(&|d| d.command = Some("--version".into())).unwrap().contains("--version"));
        assert!(fault(&|d| d.command = Some("A=b".into())).unwrap().contains("A=b"));
        assert!(fault(&|d| d.args = Some(vec!["a\0b".into()])).unwrap().contains("NUL"));
        assert!(fault(&|d| d.initial_prompt = Some("a\0b".into())).unwrap().contains("NUL"));
        assert!(fault(&|d| d.process_names = Some(vec!["a\0b".into()])).unwrap().contains("NUL"));
        assert!(fault(&|d| d.session_id_env = Some("a\0b".into())).unwrap().contains("NUL"));
    }
}
