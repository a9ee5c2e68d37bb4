//! Roles: what of a role differs between the dialects.
//!
//! January's facts are in [`identity`](crate::town::identity); those of 1.x are from gt 1.0.1 (`internal/config/env.go`, `loader.go`,
//! `internal/hooks/`, `internal/runtime/runtime.go`) and from agents that it started. In a pattern `{rig}` and `{name}` stand for
//! the agent's own.

use super::Dialect;
use crate::town::identity::{Identity, Role};

/// What is known of a role in one dialect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RoleFacts {
    /// Patterns of the directories, in the town, in which only this agent works: the first that exists is used.
    pub own_directories: &'static [&'static str],
    /// Where it works when none of those exists: directories in which others work too.
    pub shared_directories: &'static [&'static str],
    /// Variables of its session, beside those of every agent: names and patterns.
    pub variables: &'static [(&'static str, &'static str)],
    /// Pattern of the Claude Code settings through which it calls `gt`; `None` where those settings are not the supervisor's to
    /// write.
    pub hook_settings: Option<&'static str>,
    /// Whether those settings must be named on the command line, since Claude Code does not search for them there.
    pub names_settings: bool,
    /// Whether a person talks to it, so that it may use what an agent on its own may not.
    pub is_interactive: bool,
    /// What is typed in place of its start hook where its program has no hooks; empty for nothing.
    pub instead_of_hooks: &'static str,
}

/// The facts about a role in this dialect.
pub fn of(dialect: Dialect, role: Role) -> RoleFacts {
    match dialect {
        Dialect::January => january(role),
        Dialect::V1 => v1(role),
        // Its only role has none of all this.
        Dialect::Own => january(role),
    }
}

fn january(role: Role) -> RoleFacts {
    let facts = role.facts();
    RoleFacts {
        own_directories: facts.own_directories,
        shared_directories: facts.shared_directories,
        variables: facts.variables,
        hook_settings: facts.hook_settings,
        names_settings: false,
        is_interactive: matches!(role, Role::Mayor | Role::Crew),
        instead_of_hooks: facts.instead_of_hooks,
    }
}

fn v1(role: Role) -> RoleFacts {
    let same = january(role);
    let alone = RoleFacts { instead_of_hooks: "gt prime && gt mail check --inject", ..same };
    let with_person = RoleFacts { instead_of_hooks: "gt prime", ..same };
    match role {
        Role::Mayor => RoleFacts {
            own_directories: &["mayor"],
            shared_directories: &[],
            hook_settings: Some("mayor/.claude/settings.json"),
            ..with_person
        },
        Role::Deacon => alone,
        // What it is told, its file says.
        Role::Agent => same,
        // Its whole task is its prompt.
        Role::Boot => RoleFacts { instead_of_hooks: "", ..same },
        Role::Witness => RoleFacts { variables: &[("GT_SCOPE", "rig")], names_settings: true, ..alone },
        Role::Refinery => RoleFacts { variables: &[("GT_REFINERY", "1")], names_settings: true, ..alone },
        Role::Crew => RoleFacts {
            hook_settings: Some("{rig}/crew/.claude/settings.json"),
            names_settings: true,
            ..with_person
        },
        Role::Polecat => RoleFacts {
            variables: &[
                ("GT_POLECAT", "{name}"),
                ("BEADS_AGENT_NAME", "{rig}/{name}"),
                ("BD_DOLT_AUTO_COMMIT", "off"),
            ],
            hook_settings: Some("{rig}/polecats/.claude/settings.json"),
            names_settings: true,
            ..alone
        },
    }
}

/// What `gt` expects in `GT_ROLE`.
pub fn name(dialect: Dialect, identity: &Identity) -> String {
    match (dialect, identity) {
        (Dialect::January, _) => identity.role().to_string(),
        (Dialect::V1, Identity::Boot) => "deacon/boot".to_owned(),
        (Dialect::V1 | Dialect::Own, _) => identity.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn role_names() {
        for (identity, january, v1) in [
            ("mayor", "mayor", "mayor"),
            ("deacon", "deacon", "deacon"),
            ("deacon-boot", "boot", "deacon/boot"),
            ("r/witness", "witness", "r/witness"),
            ("r/refinery", "refinery", "r/refinery"),
            ("r/crew/max", "crew", "r/crew/max"),
            ("r/polecats/Toast", "polecat", "r/polecats/Toast"),
        ] {
            let identity: Identity = identity.parse().unwrap();
            assert_eq!(name(Dialect::January, &identity), january);
            assert_eq!(name(Dialect::V1, &identity), v1);
        }
    }
}
