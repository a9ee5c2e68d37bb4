//! Resolve: which agent program a role gets, by the order Gas Town 0.2.6 to 0.3 documents.
//!
//! For a role: the rig's `role_agents`, the town's `role_agents` (each only if it names a known agent whose command
//! is on `PATH`), the rig's `runtime`, the rig's `agent`, the town's `default_agent`, claude. A name is searched for
//! in the rig's `agents`, the town's `agents`, the rig's `agents.json`, the town's `agents.json`, the presets. Pure:
//! it must not read `PATH` itself.

use std::collections::BTreeMap;

use super::{AgentProgram, Description, RigConfig, TownConfig, provider};
use crate::town::identity::Role;

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
    role: Role,
    rig: Option<&Sources<RigConfig>>,
    town: &Sources<TownConfig>,
    on_path: &dyn Fn(&str) -> bool,
) -> Resolution {
    let mut reports = Vec::new();
    if let Some(program) = by_role(role, rig, town, on_path, &mut reports) {
        return Resolution { program, on_path: true, by_role: true, start_command: None, reports };
    }
    let program = by_default(rig, town, &mut reports);
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

fn by_role(
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
        match find(name, rig, town) {
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
    rig: Option<&Sources<RigConfig>>,
    town: &Sources<TownConfig>,
    reports: &mut Vec<String>,
) -> AgentProgram {
    if let Some(runtime) = rig.and_then(|rig| rig.config.runtime.as_ref()) {
        return runtime.program("runtime");
    }
    let of_rig = rig.and_then(|rig| rig.config.agent.as_ref());
    let named = of_rig.map(|name| ("<rig>/settings/config.json: agent", name)).or_else(|| {
        town.config.default_agent.as_ref().map(|name| ("settings/config.json: default_agent", name))
    });
    let claude = || find("claude", rig, town).unwrap_or_else(provider::claude);
    let Some((key, name)) = named else {
        return claude();
    };
    find(name, rig, town).unwrap_or_else(|| {
        reports.push(format!("{key} names {name:?}, which is not a known agent; claude is used"));
        claude()
    })
}

/// The description of the agent with this name.
fn find(name: &str, rig: Option<&Sources<RigConfig>>, town: &Sources<TownConfig>) -> Option<AgentProgram> {
    rig.and_then(|rig| rig.config.agents.get(name))
        .or_else(|| town.config.agents.get(name))
        .or_else(|| rig.and_then(|rig| rig.agents.get(name)))
        .or_else(|| town.agents.get(name))
        .map(|description| description.program(name))
        .or_else(|| provider::preset(name))
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
            config: parse_rig(case.rig.as_bytes()).unwrap().value,
            agents: parse_agents(case.rig_agents.as_bytes()).unwrap().value,
        };
        let town = Sources {
            config: parse_town(case.town.as_bytes()).unwrap().value,
            agents: parse_agents(case.town_agents.as_bytes()).unwrap().value,
        };
        resolve(role, Some(&rig), &town, &|command| !case.missing.contains(&command))
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
            config: parse_town(br#"{"role_agents":{"boot":"codex"}}"#).unwrap().value,
            ..Sources::default()
        };
        assert_eq!(resolve(Role::Boot, None, &town, &|_| true).program.name, "codex");
        assert_eq!(resolve(Role::Deacon, None, &town, &|_| true).program.name, "claude");
    }
}
