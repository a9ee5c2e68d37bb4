//! The files that define the agents: `settings/config.json` and `settings/agents.json` of the town and of each rig.
//!
//! They are Gas Town's (0.2.6 to 0.3) and shared with it, so they are read leniently: unknown keys are normal, and an
//! entry of the wrong type is a problem of that entry alone. Only a file that is no JSON object at all is an error.
//! It must not open files; the caller adds the file's name to each problem.

use std::{collections::BTreeMap, time::Duration};

use serde::Deserialize;
use serde_json::value::RawValue;

pub use super::json::{EntryProblem, ProgramFileError};
use super::{Description, Hooks, Provider, json::Reader};
use crate::town::dialect::Dialect;

/// The content of a file, and the entries that were skipped.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Parsed<T> {
    /// The usable part.
    pub value: T,
    /// The skipped entries.
    pub problems: Vec<EntryProblem>,
}

/// The agents of a town's `settings/config.json`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TownConfig {
    /// `default_agent`.
    pub default_agent: Option<String>,
    /// `agents`, by name.
    pub agents: BTreeMap<String, Description>,
    /// `role_agents`: the name of an agent for a role.
    pub role_agents: BTreeMap<String, String>,
    /// `role_effort`: how hard the model of a role is to think (1.x).
    pub role_effort: BTreeMap<String, String>,
}

/// The agents of a rig's `settings/config.json`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RigConfig {
    /// `agent`.
    pub agent: Option<String>,
    /// `runtime`: a whole description in place of a name.
    pub runtime: Option<Description>,
    /// `agents`, by name.
    pub agents: BTreeMap<String, Description>,
    /// `role_agents`: the name of an agent for a role.
    pub role_agents: BTreeMap<String, String>,
    /// `role_effort`: how hard the model of a role is to think (1.x).
    pub role_effort: BTreeMap<String, String>,
}

/// Reads a town's `settings/config.json`.
pub fn parse_town(dialect: Dialect, bytes: &[u8]) -> Result<Parsed<TownConfig>, ProgramFileError> {
    let mut reader = Reader::new(dialect, bytes)?;
    let value = TownConfig {
        default_agent: reader.name("default_agent"),
        agents: reader.descriptions(Reader::nested),
        role_agents: reader.names("role_agents"),
        role_effort: if dialect.facts().has_newer_presets {
            reader.names("role_effort")
        } else {
            BTreeMap::new()
        },
    };
    Ok(Parsed { value, problems: reader.problems })
}

/// Reads a rig's `settings/config.json`.
pub fn parse_rig(dialect: Dialect, bytes: &[u8]) -> Result<Parsed<RigConfig>, ProgramFileError> {
    let mut reader = Reader::new(dialect, bytes)?;
    let runtime = reader.top.get("runtime").copied();
    let value = RigConfig {
        agent: reader.name("agent"),
        runtime: runtime.and_then(|raw| reader.described("runtime", raw, Reader::nested)),
        agents: reader.descriptions(Reader::nested),
        role_agents: reader.names("role_agents"),
        role_effort: if dialect.facts().has_newer_presets {
            reader.names("role_effort")
        } else {
            BTreeMap::new()
        },
    };
    Ok(Parsed { value, problems: reader.problems })
}

/// Reads a `settings/agents.json`, of the town or of a rig: `{"version":1,"agents":{"<name>":{…}}}`.
pub fn parse_agents(
    dialect: Dialect,
    bytes: &[u8],
) -> Result<Parsed<BTreeMap<String, Description>>, ProgramFileError> {
    let mut reader = Reader::new(dialect, bytes)?;
    let value = reader.descriptions(Reader::flat);
    Ok(Parsed { value, problems: reader.problems })
}

/// An entry of `agents` or `runtime` in a `config.json`.
#[derive(Deserialize)]
struct Nested {
    provider: Option<String>,
    command: Option<String>,
    args: Option<Vec<String>>,
    initial_prompt: Option<String>,
    prompt_mode: Option<String>,
    session: Option<SessionPart>,
    hooks: Option<HooksPart>,
    tmux: Option<TmuxPart>,
}

/// The keys of an entry that only 1.x has; January's Gas Town ignores them.
#[derive(Deserialize, Default)]
struct Newer {
    env: Option<BTreeMap<String, String>>,
    exec_wrapper: Option<Vec<String>>,
    // Of `agents.json` only.
    prompt_mode: Option<String>,
    hooks_provider: Option<String>,
    ready_prompt_prefix: Option<String>,
    ready_delay_ms: Option<u64>,
}

#[derive(Deserialize, Default)]
struct SessionPart {
    session_id_env: Option<String>,
}

#[derive(Deserialize, Default)]
struct HooksPart {
    provider: Option<String>,
}

#[derive(Deserialize, Default)]
struct TmuxPart {
    process_names: Option<Vec<String>>,
    ready_prompt_prefix: Option<String>,
    ready_delay_ms: Option<u64>,
}

/// An entry of `agents.json`. Its other keys (`resume_flag`, `resume_style`, …) are about resuming a conversation,
/// which only `gt` does.
#[derive(Deserialize)]
struct Flat {
    command: Option<String>,
    args: Option<Vec<String>>,
    process_names: Option<Vec<String>>,
    session_id_env: Option<String>,
    supports_hooks: Option<bool>,
}

type Read<'a> = fn(&mut Reader<'a>, &str, &'a RawValue) -> Option<Description>;

impl<'a> Reader<'a> {
    fn descriptions(&mut self, read: Read<'a>) -> BTreeMap<String, Description> {
        let mut descriptions = BTreeMap::new();
        for (name, raw) in self.entries("agents") {
            if let Some(description) = self.described(&format!("agents.{name}"), raw, read) {
                descriptions.insert(name, description);
            }
        }
        descriptions
    }

    fn described(&mut self, path: &str, raw: &'a RawValue, read: Read<'a>) -> Option<Description> {
        if raw.get() == "null" {
            return None;
        }
        if !raw.get().starts_with('{') {
            self.told(path, raw, "an agent must be an object");
            return None;
        }
        let description = read(self, path, raw)?;
        if let Some(fault) = description.fault(self.dialect) {
            self.told(path, raw, &fault);
            return None;
        }
        Some(description)
    }

    fn nested(&mut self, path: &str, raw: &'a RawValue) -> Option<Description> {
        let entry: Nested = self.typed(path, raw)?;
        let newer = self.newer(path, raw)?;
        let tmux = entry.tmux.unwrap_or_default();
        Some(Description {
            provider: self.provider(path, raw, entry.provider),
            command: set(entry.command),
            args: entry.args,
            initial_prompt: entry.initial_prompt,
            takes_prompt: self.prompt_mode(path, raw, entry.prompt_mode),
            session_id_env: entry.session.unwrap_or_default().session_id_env,
            hooks: set(entry.hooks.unwrap_or_default().provider).map(hooks),
            process_names: tmux.process_names,
            ready_prompt_prefix: tmux.ready_prompt_prefix,
            ready_delay: tmux.ready_delay_ms.map(Duration::from_millis),
            environment: newer.env.unwrap_or_default(),
            wrapper: newer.exec_wrapper.unwrap_or_default(),
        })
    }

    fn newer(&mut self, path: &str, raw: &RawValue) -> Option<Newer> {
        if self.dialect.facts().has_newer_presets { self.typed(path, raw) } else { Some(Newer::default()) }
    }

    fn flat(&mut self, path: &str, raw: &'a RawValue) -> Option<Description> {
        let entry: Flat = self.typed(path, raw)?;
        let newer = self.newer(path, raw)?;
        let command = set(entry.command);
        // Such an entry names no provider: an unknown program has neither the prompt nor the hooks of claude.
        let of_command = |command| Provider::of_command(self.dialect, command).unwrap_or(Provider::Generic);
        let provider = command.as_deref().map(of_command);
        let supported = entry.supports_hooks.map(|has| match (has, provider) {
            (true, None | Some(Provider::Claude)) => Hooks::Claude,
            (true, _) => Hooks::Own,
            (false, _) => Hooks::None,
        });
        Some(Description {
            hooks: set(newer.hooks_provider).map(hooks).or(supported),
            provider,
            command,
            args: entry.args,
            process_names: entry.process_names,
            session_id_env: entry.session_id_env,
            takes_prompt: self.prompt_mode(path, raw, newer.prompt_mode),
            ready_prompt_prefix: newer.ready_prompt_prefix,
            ready_delay: newer.ready_delay_ms.map(Duration::from_millis),
            environment: newer.env.unwrap_or_default(),
            wrapper: newer.exec_wrapper.unwrap_or_default(),
            ..Description::default()
        })
    }

    fn provider(&mut self, path: &str, raw: &RawValue, name: Option<String>) -> Option<Provider> {
        let name = set(name)?;
        let known = Provider::named(self.dialect, &name);
        if known.is_none() {
            self.told(path, raw, &format!("unknown provider {name:?}, treated as \"generic\""));
        }
        Some(known.unwrap_or(Provider::Generic))
    }

    fn prompt_mode(&mut self, path: &str, raw: &RawValue, mode: Option<String>) -> Option<bool> {
        match set(mode)?.as_str() {
            "arg" => Some(true),
            "none" => Some(false),
            other => {
                self.told(path, raw, &format!("prompt_mode {other:?} is neither \"arg\" nor \"none\""));
                None
            }
        }
    }
}

fn hooks(provider: String) -> Hooks {
    match provider.as_str() {
        "claude" => Hooks::Claude,
        "none" => Hooks::None,
        _ => Hooks::Own,
    }
}

fn set(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_town_file() {
        let parsed = parse_town(Dialect::January,
            br#"{"type":"town-settings","version":1,"default_agent":"fast","cli_theme":"dark",
                "role_agents":{"witness":"codex","mayor":""},
                "agents":{"fast":{"provider":"codex","command":"/opt/fast","args":["-x"],"initial_prompt":"hi",
                  "prompt_mode":"arg","session":{"session_id_env":"FAST_ID","config_dir_env":"X"},
                  "hooks":{"provider":"none","dir":".x"},
                  "tmux":{"process_names":["fast"],"ready_prompt_prefix":"% ","ready_delay_ms":250}}}}"#,
        )
        .unwrap();
        assert_eq!(parsed.problems, []);
        assert_eq!(parsed.value.default_agent.as_deref(), Some("fast"));
        assert_eq!(parsed.value.role_agents, BTreeMap::from([("witness".into(), "codex".into())]));
        assert_eq!(
            parsed.value.agents["fast"],
            Description {
                provider: Some(Provider::Codex),
                command: Some("/opt/fast".into()),
                args: Some(vec!["-x".into()]),
                initial_prompt: Some("hi".into()),
                takes_prompt: Some(true),
                session_id_env: Some("FAST_ID".into()),
                hooks: Some(Hooks::None),
                process_names: Some(vec!["fast".into()]),
                ready_prompt_prefix: Some("% ".into()),
                ready_delay: Some(Duration::from_millis(250)),
                ..Description::default()
            }
        );
    }

    #[test]
    fn the_keys_of_1_x_count_only_there() {
        let file = br#"{"role_effort":{"witness":"low"},
            "agents":{"a":{"command":"aider","env":{"A":"1"},"exec_wrapper":["box","--"]}}}"#;
        let presets = br#"{"agents":{"a":{"command":"aider","env":{"A":"1"},"prompt_mode":"none",
            "hooks_provider":"claude","ready_prompt_prefix":"% ","ready_delay_ms":7}}}"#;
        let [january, v1] = Dialect::ALL.map(|dialect| parse_town(dialect, file).unwrap());
        assert_eq!((january.problems, v1.problems), (Vec::new(), Vec::new()));
        assert_eq!((january.value.role_effort.len(), v1.value.role_effort["witness"].as_str()), (0, "low"));
        let plain = Description { command: Some("aider".into()), ..Description::default() };
        let environment = BTreeMap::from([("A".to_owned(), "1".to_owned())]);
        let wrapper = vec!["box".to_owned(), "--".to_owned()];
        assert_eq!(january.value.agents["a"], plain);
        assert_eq!(
            v1.value.agents["a"],
            Description { environment: environment.clone(), wrapper, ..plain.clone() }
        );
        let [january, v1] = Dialect::ALL.map(|dialect| parse_agents(dialect, presets).unwrap().value);
        let plain = Description { provider: Some(Provider::Generic), ..plain };
        assert_eq!(january["a"], plain);
        let said = Description {
            environment,
            takes_prompt: Some(false),
            hooks: Some(Hooks::Claude),
            ready_prompt_prefix: Some("% ".into()),
            ready_delay: Some(Duration::from_millis(7)),
            ..plain
        };
        assert_eq!(v1["a"], said);
    }

    #[test]
    fn a_rig_file_has_an_agent_or_a_runtime() {
        let parsed = parse_rig(
            Dialect::January,
            br#"{"agent":"codex","runtime":{"command":"aider","args":[]},"merge_queue":{}}"#,
        )
        .unwrap();
        assert_eq!(parsed.problems, []);
        assert_eq!(parsed.value.agent.as_deref(), Some("codex"));
        let runtime = parsed.value.runtime.unwrap();
        assert_eq!((runtime.command.as_deref(), runtime.args), (Some("aider"), Some(Vec::new())));
    }

    #[test]
    fn agents_json_is_flat() {
        let parsed = parse_agents(
            Dialect::January,
            br#"{"version":1,"agents":{
                "aider":{"command":"aider","args":["--yes"],"process_names":["aider"],"session_id_env":"AID",
                         "resume_flag":"--resume","resume_style":"flag","supports_hooks":true},
                "claude":{"args":["--model","opus"],"supports_hooks":true},
                "bare":{"command":"/usr/bin/claude","supports_hooks":false},
                "gone":null}}"#,
        )
        .unwrap();
        assert_eq!(parsed.problems, []);
        let of = |name: &str| parsed.value[name].program(Dialect::January, name);
        let aider = of("aider");
        assert_eq!((aider.provider, aider.hooks), (Provider::Generic, Hooks::Own));
        assert_eq!(aider.session_id_env.as_deref(), Some("AID"));
        assert_eq!((of("claude").command.as_str(), of("claude").hooks), ("claude", Hooks::Claude));
        assert_eq!(of("claude").args, ["--model", "opus"]);
        assert_eq!((of("bare").provider, of("bare").hooks), (Provider::Claude, Hooks::None));
        assert!(!parsed.value.contains_key("gone"));
    }

    #[test]
    fn a_bad_entry_is_its_own_problem() {
        for (case, file, problem) in [
            (
                "args is a text",
                "{\"agents\":{\n  \"a\": {\"args\": \"-x\"},\n  \"good\": {}}}",
                "agents.a.args: invalid type: string \"-x\", expected a sequence (line 2, column 20)",
            ),
            (
                "an entry is a number",
                "{\"agents\":{\"a\":7,\"good\":{}}}",
                "agents.a: an agent must be an object (line 1, column 16)",
            ),
            (
                "an entry is a list",
                "{\"agents\":{\"a\":[\"claude\"],\"good\":{}}}",
                "agents.a: an agent must be an object (line 1, column 16)",
            ),
            (
                "negative delay",
                "{\"agents\":{\"a\":{\"tmux\":{\"ready_delay_ms\":-1}},\"good\":{}}}",
                "agents.a.tmux.ready_delay_ms: invalid value: integer `-1`, expected u64 (line 1, column 43)",
            ),
            (
                "generic without command",
                "{\"agents\":{\"a\":{\"provider\":\"generic\"},\"good\":{}}}",
                "agents.a: provider \"generic\" needs a \"command\" (line 1, column 16)",
            ),
            (
                "role is a list",
                "{\"role_agents\":{\"witness\":[]},\"agents\":{\"good\":{}}}",
                "role_agents.witness: invalid type: sequence, expected a string (line 1, column 27)",
            ),
            (
                "default is a number",
                "{\"default_agent\":1,\"agents\":{\"good\":{}}}",
                "default_agent: invalid type: integer `1`, expected a string (line 1, column 18)",
            ),
            (
                "roles is a text",
                "{\"role_agents\":\"x\",\"agents\":{\"good\":{}}}",
                "role_agents: invalid type: string \"x\", expected a map (line 1, column 18)",
            ),
        ] {
            let parsed = parse_town(Dialect::January, file.as_bytes()).unwrap();
            let told: Vec<String> = parsed.problems.iter().map(ToString::to_string).collect();
            assert_eq!(told, [problem], "{case}");
            assert_eq!(parsed.value.agents.into_keys().collect::<Vec<_>>(), ["good"], "{case}");
        }
    }

    #[test]
    fn odd_values_are_reported_and_the_entry_is_used() {
        let file = br#"{"agents":{"a":{"provider":"foo","command":"foo","prompt_mode":"stdin"}}}"#;
        let parsed = parse_town(Dialect::January, file).unwrap();
        assert_eq!(parsed.problems.len(), 2, "{:?}", parsed.problems);
        assert_eq!(parsed.value.agents["a"].provider, Some(Provider::Generic));
    }

    #[test]
    fn a_file_that_is_no_object_is_an_error_with_its_place() {
        for (case, bytes, line, column) in [
            ("empty", &b""[..], 1, 1),
            ("cut", b"{\"agents\":\n{\"a\":{", 2, 6),
            ("a list", b"[]", 1, 1),
            ("not UTF-8", b"{\n\"a\xff\":1}", 2, 3),
            ("two values", b"{} {}", 1, 4),
        ] {
            let error = parse_town(Dialect::January, bytes).unwrap_err();
            assert_eq!((error.line, error.column), (line, column), "{case}: {error}");
        }
    }
}
