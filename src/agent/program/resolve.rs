//! Resolve: which agent program a role gets, by the order Gas Town 0.2.6 to 0.3 documents.
//!
//! For a role: the rig's `role_agents`, the town's `role_agents` (each only if it names a known agent whose command
//! is on `PATH`), the rig's `runtime`, the rig's `agent`, the town's `default_agent`, claude. A name is searched for
//! in the rig's `agents`, the town's `agents`, the rig's `agents.json`, the town's `agents.json`, the presets. Pure:
//! it must not read `PATH` itself.

use std::collections::BTreeMap;

use super::{AgentProgram, Description, Hooks, Provider, RigConfig, TownConfig, provider};
use crate::town::{dialect::Dialect, identity::Role};

/// The two files of a town or of a rig.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sources<C> {
    /// `settings/config.json`.
    pub config: C,
    /// `settings/agents.json`.
    pub agents: BTreeMap<String, Description>,
}

/// The program for a role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolution {
    /// The program.
    pub program: AgentProgram,
    /// False when its command is not on `PATH`, so that a start would only fail; then the last report says so.
    pub on_path: bool,
    /// Whether `role_agents` names it.
    pub by_role: bool,
    /// The shell command that its role gives in place of the program; filled in by who knows roles.
    pub start_command: Option<String>,
    /// The candidates that were skipped and why, in order.
    pub reports: Vec<String>,
}

/// The program of a role. `rig` is `None` for town-level agents; `on_path` returns whether a command (a bare name or
/// a path) can be run.
pub fn resolve(
    dialect: Dialect,
    role: Role,
    rig: Option<&Sources<RigConfig>>,
    town: &Sources<TownConfig>,
    on_path: &dyn Fn(&str) -> bool,
) -> Resolution {
    let mut reports = Vec::new();
    let mut program = by_role(dialect, role, rig, town, on_path, &mut reports);
    let by_role = program.is_some();
    let mut program = program.take().unwrap_or_else(|| by_default(dialect, rig, town, &mut reports));
    said_of_every_program(&mut program, role, rig, town);
    if by_role {
        return Resolution { program, on_path: true, by_role, start_command: None, reports };
    }
    let on_path = on_path(&program.command);
    if !on_path {
        reports.push(format!(
            "agent {:?} for role {role}: its program {:?} is not on PATH; install it or name another agent in \
             settings/config.json",
            program.name, program.command
        ));
    }
    Resolution { program, on_path, by_role: false, start_command: None, reports }
}

/// What a 1.x town says beside the choice of a program; the rig goes first.
fn said_of_every_program(
    program: &mut AgentProgram,
    role: Role,
    rig: Option<&Sources<RigConfig>>,
    town: &Sources<TownConfig>,
) {
    let of_rig = rig.and_then(|rig| rig.config.role_effort.get(role.as_str()));
    program.effort = of_rig.or_else(|| town.config.role_effort.get(role.as_str())).cloned();
    if let (true, Some(runtime)) =
        (program.wrapper.is_empty(), rig.and_then(|rig| rig.config.runtime.as_ref()))
    {
        program.wrapper.clone_from(&runtime.wrapper);
    }
}

fn by_role(
    dialect: Dialect,
    role: Role,
    rig: Option<&Sources<RigConfig>>,
    town: &Sources<TownConfig>,
    on_path: &dyn Fn(&str) -> bool,
    reports: &mut Vec<String>,
) -> Option<AgentProgram> {
    let named = [
        ("<rig>/settings/config.json", rig.and_then(|rig| rig.config.role_agents.get(role.as_str()))),
        ("settings/config.json", town.config.role_agents.get(role.as_str())),
    ];
    for (file, name) in named {
        let Some(name) = name else { continue };
        match find(dialect, name, rig, town) {
            Some(program) if on_path(&program.command) => return Some(program),
            Some(program) => reports.push(format!(
                "{file}: role_agents.{role} names {name:?}, whose program {:?} is not on PATH; ignored",
                program.command
            )),
            None => reports.push(format!(
                "{file}: role_agents.{role} names {name:?}, which is not a known agent; ignored"
            )),
        }
    }
    None
}

fn by_default(
    dialect: Dialect,
    rig: Option<&Sources<RigConfig>>,
    town: &Sources<TownConfig>,
    reports: &mut Vec<String>,
) -> AgentProgram {
    // In 1.x it may say no more than what wraps every program of the rig.
    let chooses = |it: &&Description| {
        !dialect.facts().has_newer_presets || it.command.is_some() || it.provider.is_some()
    };
    if let Some(runtime) = rig.and_then(|rig| rig.config.runtime.as_ref()).filter(chooses) {
        return runtime.program(dialect, "runtime");
    }
    let of_rig = rig.and_then(|rig| rig.config.agent.as_ref());
    let named = of_rig.map(|name| ("<rig>/settings/config.json: agent", name)).or_else(|| {
        town.config.default_agent.as_ref().map(|name| ("settings/config.json: default_agent", name))
    });
    let claude = || find(dialect, "claude", rig, town).unwrap_or_else(|| provider::claude(dialect));
    let Some((key, name)) = named else {
        return claude();
    };
    find(dialect, name, rig, town).unwrap_or_else(|| {
        reports.push(format!("{key} names {name:?}, which is not a known agent; claude is used"));
        claude()
    })
}

/// The description of the agent with this name.
fn find(
    dialect: Dialect,
    name: &str,
    rig: Option<&Sources<RigConfig>>,
    town: &Sources<TownConfig>,
) -> Option<AgentProgram> {
    let in_settings =
        rig.and_then(|rig| rig.config.agents.get(name)).or_else(|| town.config.agents.get(name)).cloned();
    let in_presets = || {
        let found = rig.and_then(|rig| rig.agents.get(name)).or_else(|| town.agents.get(name));
        found.map(|description| over_preset(dialect, name, description))
    };
    in_settings
        .or_else(in_presets)
        .map(|description| description.program(dialect, name))
        .or_else(|| provider::preset_in(dialect, name))
}

/// An entry of `agents.json`: in 1.x it takes what it leaves out from the preset of its name, if there is one.
fn over_preset(dialect: Dialect, name: &str, description: &Description) -> Description {
    let preset = Provider::named(dialect, name).filter(|_| dialect.facts().has_newer_presets);
    match preset {
        None => description.clone(),
        Some(provider) => Description {
            provider: Some(provider),
            // That it has hooks says nothing of which.
            hooks: description.hooks.filter(|hooks| *hooks != Hooks::Own),
            ..description.clone()
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::program::{parse_agents, parse_rig, parse_town};

    /// A case: the files, the commands missing on `PATH`, and the result: name, command, number of reports.
    struct Case {
        name: &'static str,
        rig: &'static str,
        town: &'static str,
        rig_agents: &'static str,
        town_agents: &'static str,
        missing: &'static [&'static str],
        expect: (&'static str, &'static str, usize),
    }

    const PLAIN: Case = Case {
        name: "nothing said",
        rig: "{}",
        town: "{}",
        rig_agents: "{}",
        town_agents: "{}",
        missing: &[],
        expect: ("claude", "claude", 0),
    };

    fn resolved(case: &Case, role: Role) -> Resolution {
        let rig = Sources {
            config: parse_rig(Dialect::January, case.rig.as_bytes()).unwrap().value,
            agents: parse_agents(Dialect::January, case.rig_agents.as_bytes()).unwrap().value,
        };
        let town = Sources {
            config: parse_town(Dialect::January, case.town.as_bytes()).unwrap().value,
            agents: parse_agents(Dialect::January, case.town_agents.as_bytes()).unwrap().value,
        };
        resolve(Dialect::January, role, Some(&rig), &town, &|command| !case.missing.contains(&command))
    }

    #[test]
    fn which_name_for_a_role() {
        for case in [
            PLAIN,
            Case {
                name: "the rig's role beats all",
                rig: r#"{"role_agents":{"witness":"codex"},"agent":"gemini","runtime":{"command":"x"}}"#,
                town: r#"{"role_agents":{"witness":"amp"},"default_agent":"auggie"}"#,
                expect: ("codex", "codex", 0),
                ..PLAIN
            },
            Case {
                name: "another role's agent is not taken",
                rig: r#"{"role_agents":{"refinery":"codex"}}"#,
                ..PLAIN
            },
            Case {
                name: "the rig's role is unknown, the town's counts",
                rig: r#"{"role_agents":{"witness":"nobody"}}"#,
                town: r#"{"role_agents":{"witness":"amp"}}"#,
                expect: ("amp", "amp", 1),
                ..PLAIN
            },
            Case {
                name: "the rig's role is not on PATH, the town's counts",
                rig: r#"{"role_agents":{"witness":"codex"}}"#,
                town: r#"{"role_agents":{"witness":"amp"}}"#,
                missing: &["codex"],
                expect: ("amp", "amp", 1),
                ..PLAIN
            },
            Case {
                name: "both roles fail, the runtime counts",
                rig: r#"{"role_agents":{"witness":"codex"},"runtime":{"command":"x"},"agent":"gemini"}"#,
                town: r#"{"role_agents":{"witness":"nobody"}}"#,
                missing: &["codex"],
                expect: ("runtime", "x", 2),
                ..PLAIN
            },
            Case {
                name: "runtime beats agent",
                rig: r#"{"runtime":{"provider":"codex"},"agent":"gemini"}"#,
                town: r#"{"default_agent":"amp"}"#,
                expect: ("runtime", "codex", 0),
                ..PLAIN
            },
            Case {
                name: "the rig's agent beats the town's default",
                rig: r#"{"agent":"gemini"}"#,
                town: r#"{"default_agent":"amp"}"#,
                expect: ("gemini", "gemini", 0),
                ..PLAIN
            },
            Case {
                name: "the town's default",
                town: r#"{"default_agent":"cursor"}"#,
                expect: ("cursor", "cursor-agent", 0),
                ..PLAIN
            },
            Case {
                name: "an unknown agent of the rig is claude, not the town's default",
                rig: r#"{"agent":"nobody"}"#,
                town: r#"{"default_agent":"amp"}"#,
                expect: ("claude", "claude", 1),
                ..PLAIN
            },
            Case {
                name: "an unknown default is claude",
                town: r#"{"default_agent":"nobody"}"#,
                expect: ("claude", "claude", 1),
                ..PLAIN
            },
            Case {
                name: "a default that is not on PATH stays and is told",
                town: r#"{"default_agent":"amp"}"#,
                missing: &["amp"],
                expect: ("amp", "amp", 1),
                ..PLAIN
            },
        ] {
            let found = resolved(&case, Role::Witness);
            let got = (found.program.name.as_str(), found.program.command.as_str(), found.reports.len());
            assert_eq!(got, case.expect, "{}: {:?}", case.name, found.reports);
            assert_eq!(found.on_path, !case.missing.contains(&case.expect.1), "{}", case.name);
        }
    }

    #[test]
    fn where_a_name_is_searched_for() {
        let all = Case {
            rig: r#"{"agent":"codex","agents":{"codex":{"command":"of-rig-config"}}}"#,
            town: r#"{"agents":{"codex":{"command":"of-town-config"}}}"#,
            rig_agents: r#"{"agents":{"codex":{"command":"of-rig-agents"}}}"#,
            town_agents: r#"{"agents":{"codex":{"command":"of-town-agents"}}}"#,
            ..PLAIN
        };
        let without_rig_config = Case { rig: r#"{"agent":"codex"}"#, ..all };
        let without_town_config = Case { town: "{}", ..without_rig_config };
        let without_rig_agents = Case { rig_agents: "{}", ..without_town_config };
        let without_any = Case { town_agents: "{}", ..without_rig_agents };
        for (case, command) in [
            (&all, "of-rig-config"),
            (&without_rig_config, "of-town-config"),
            (&without_town_config, "of-rig-agents"),
            (&without_rig_agents, "of-town-agents"),
            (&without_any, "codex"),
        ] {
            assert_eq!(resolved(case, Role::Refinery).program.command, command);
        }
    }

    #[test]
    fn a_town_may_redefine_claude() {
        let town = r#"{"agents":{"claude":{"args":["--model","opus"]}},"default_agent":"nobody"}"#;
        let found = resolved(&Case { town, ..PLAIN }, Role::Polecat);
        assert_eq!(found.program.args, ["--model", "opus"]);
    }

    #[test]
    fn town_level_agents_know_no_rig() {
        let town = Sources {
            config: parse_town(Dialect::January, br#"{"role_agents":{"boot":"codex"}}"#).unwrap().value,
            ..Sources::default()
        };
        assert_eq!(resolve(Dialect::January, Role::Boot, None, &town, &|_| true).program.name, "codex");
        assert_eq!(resolve(Dialect::January, Role::Deacon, None, &town, &|_| true).program.name, "claude");
    }

    #[test]
    fn the_programs_of_1_x() {
        type Told<'a> = (&'a str, &'a str, &'a str);
        let town_of = |config: &str, agents: &str| Sources {
            config: parse_town(Dialect::V1, config.as_bytes()).unwrap().value,
            agents: parse_agents(Dialect::V1, agents.as_bytes()).unwrap().value,
        };
        let grid: [(&str, &str, &str, &str, Told); 9] = [
            ("nothing said", "{}", "{}", "{}", ("claude", "claude --dangerously-skip-permissions", "")),
            (
                "what wraps the rig's programs chooses none of them",
                r#"{"agent":"gemini","runtime":{"exec_wrapper":["box","--"]}}"#,
                "{}",
                "{}",
                ("gemini", "box -- gemini --approval-mode yolo", ""),
            ),
            (
                "a runtime",
                r#"{"runtime":{"provider":"codex","exec_wrapper":["box"]}}"#,
                "{}",
                "{}",
                ("runtime", "box codex --dangerously-bypass-approvals-and-sandbox", ""),
            ),
            (
                "the rest by provider",
                "{}",
                r#"{"default_agent":"a","agents":{"a":{"provider":"opencode","env":{"B":"2"}}}}"#,
                "{}",
                ("a", "opencode", r#"B=2 OPENCODE_PERMISSION={"*":"allow"}"#),
            ),
            (
                "the rest by command",
                "{}",
                r#"{"default_agent":"a","agents":{"a":{"command":"/opt/copilot"}}}"#,
                "{}",
                ("a", "/opt/copilot --yolo", ""),
            ),
            (
                "else claude's",
                "{}",
                r#"{"default_agent":"a","agents":{"a":{"command":"aider"}}}"#,
                "{}",
                ("a", "aider --dangerously-skip-permissions", ""),
            ),
            (
                "agents.json is merged over the preset",
                "{}",
                r#"{"default_agent":"claude"}"#,
                r#"{"agents":{"claude":{"command":"/opt/wrapped","supports_hooks":true,"env":{"A":"1"}}}}"#,
                ("claude", "/opt/wrapped --dangerously-skip-permissions", "A=1"),
            ),
            (
                "a variable of the preset may be replaced",
                "{}",
                r#"{"default_agent":"opencode"}"#,
                r#"{"agents":{"opencode":{"env":{"OPENCODE_PERMISSION":"no"}}}}"#,
                ("opencode", "opencode", "OPENCODE_PERMISSION=no"),
            ),
            (
                "a wrapper of its own goes first",
                r#"{"agent":"a","runtime":{"exec_wrapper":["box"]},"agents":{"a":{"exec_wrapper":["own"],"args":[]}}}"#,
                "{}",
                "{}",
                ("a", "own claude", ""),
            ),
        ];
        for (case, rig, town, agents, (name, line, variables)) in grid {
            let rig = Sources {
                config: parse_rig(Dialect::V1, rig.as_bytes()).unwrap().value,
                agents: BTreeMap::new(),
            };
            let program =
                resolve(Dialect::V1, Role::Witness, Some(&rig), &town_of(town, agents), &|_| true).program;
            let words = [program.wrapper, vec![program.command], program.args].concat();
            let pairs: Vec<String> =
                program.environment.iter().map(|(name, value)| format!("{name}={value}")).collect();
            assert_eq!(
                (program.name.as_str(), words.join(" ").as_str(), pairs.join(" ").as_str()),
                (name, line, variables),
                "{case}"
            );
            assert_eq!(program.effort, None, "{case}");
        }
        let effort = town_of(r#"{"role_effort":{"witness":"low","deacon":"max"}}"#, "{}");
        let rig = parse_rig(Dialect::V1, br#"{"role_effort":{"witness":"medium"}}"#).unwrap().value;
        let rig = Sources { config: rig, agents: BTreeMap::new() };
        let of = |role, rig| resolve(Dialect::V1, role, rig, &effort, &|_| true).program.effort;
        assert_eq!(of(Role::Witness, Some(&rig)).as_deref(), Some("medium"), "the rig goes first");
        assert_eq!(of(Role::Deacon, None).as_deref(), Some("max"));
    }
}
