//! Environment: the variables an agent's session is created with, and those it must not inherit.
//!
//! Facts from Gas Town 0.2.6 to 0.3 (`internal/config/env.go`, `internal/session/`). What a variable means is the
//! business of `gt` and of the agent; nothing here may read our own environment.

use std::{collections::BTreeMap, path::Path};

use super::program::AgentProgram;
use crate::town::{environment::DROPPED, identity::Identity};

/// The environment of an agent, beyond what its tmux server hands down: the built-in variables, and `own`, those of its role
/// bead, which beat them. A town path that is not UTF-8 is taken lossily,
/// as tmux takes text only.
pub fn environment(
    identity: &Identity,
    town: &Path,
    program: &AgentProgram,
    own: BTreeMap<String, String>,
) -> BTreeMap<String, String> {
    let mut variables = BTreeMap::new();
    let mut set = |variable: &str, value: &str| {
        variables.insert(variable.to_owned(), value.to_owned());
    };
    set("GT_ROLE", identity.role().as_str());
    set("GT_ROOT", &town.to_string_lossy());
    set("BD_ACTOR", &identity.to_string());
    set("GIT_AUTHOR_NAME", &identity.name().map_or_else(|| identity.actor_name(), ToString::to_string));
    set("GT_PROCESS_NAMES", &program.process_names.join(","));
    if let Some(variable) = &program.session_id_env {
        set("GT_SESSION_ID_ENV", variable);
    }
    if let Some(rig) = identity.rig() {
        set("GT_RIG", rig.as_str());
    }
    for (variable, pattern) in identity.facts().variables {
        set(variable, &identity.fill(pattern));
    }
    variables.extend(own);
    variables
}

/// The variables to take away from what the tmux server would hand down, given what the agent's session sets.
///
/// `TMUX` and `TMUX_PANE` stay: in a pane they are never inherited but made by its own server for this very pane, and
/// `gt handoff` needs them.
pub fn to_unset(environment: &BTreeMap<String, String>) -> Vec<&'static str> {
    let made_by_tmux = ["TMUX", "TMUX_PANE"];
    DROPPED
        .into_iter()
        .filter(|variable| !environment.contains_key(*variable) && !made_by_tmux.contains(variable))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{agent::program::provider::preset, town::identity::Role};

    fn identity(role: Role) -> Identity {
        let name = if role == Role::Crew { "max" } else { "Toast" };
        role.agent("gastown".parse().ok(), name.parse().ok()).unwrap()
    }

    fn none() -> BTreeMap<String, String> {
        BTreeMap::new()
    }

    #[test]
    fn a_role_bead_adds_and_overrides() {
        let own = BTreeMap::from([
            ("GT_ROLE".to_owned(), "r/witness".to_owned()),
            ("BEADS_DIR".to_owned(), "/b".to_owned()),
        ]);
        let program = preset("claude").unwrap();
        let got = environment(&Identity::Deacon, Path::new("/t"), &program, own);
        assert_eq!((got["GT_ROLE"].as_str(), got["BEADS_DIR"].as_str()), ("r/witness", "/b"));
        assert_eq!(got["BD_ACTOR"], "deacon", "the rest stays");
        let without = environment(&Identity::Deacon, Path::new("/t"), &program, none());
        assert!(to_unset(&without).contains(&"BEADS_DIR") && !to_unset(&got).contains(&"BEADS_DIR"));
    }

    #[test]
    fn each_role_has_its_own() {
        for (role, own) in [
            (Role::Mayor, "BD_ACTOR=mayor GIT_AUTHOR_NAME=mayor GT_ROLE=mayor"),
            (Role::Deacon, "BD_ACTOR=deacon GIT_AUTHOR_NAME=deacon GT_ROLE=deacon"),
            (Role::Boot, "BD_ACTOR=deacon-boot GIT_AUTHOR_NAME=boot GT_ROLE=boot"),
            (
                Role::Witness,
                "BD_ACTOR=gastown/witness GIT_AUTHOR_NAME=gastown/witness GT_RIG=gastown GT_ROLE=witness",
            ),
            (
                Role::Refinery,
                "BD_ACTOR=gastown/refinery BEADS_NO_DAEMON=1 GIT_AUTHOR_NAME=gastown/refinery GT_REFINERY=1 \
                 GT_RIG=gastown GT_ROLE=refinery",
            ),
            (
                Role::Crew,
                "BD_ACTOR=gastown/crew/max BEADS_AGENT_NAME=gastown/max GIT_AUTHOR_NAME=max GT_CREW=max \
                 GT_RIG=gastown GT_ROLE=crew",
            ),
            (
                Role::Polecat,
                "BD_ACTOR=gastown/polecats/Toast BEADS_AGENT_NAME=gastown/Toast BEADS_NO_DAEMON=1 \
                 GIT_AUTHOR_NAME=Toast GT_POLECAT=Toast GT_RIG=gastown GT_ROLE=polecat",
            ),
        ] {
            let mut got = environment(&identity(role), Path::new("/t"), &preset("claude").unwrap(), none());
            assert_eq!(got.remove("GT_ROOT").as_deref(), Some("/t"), "{role}");
            assert_eq!(got.remove("GT_PROCESS_NAMES").as_deref(), Some("node,claude"), "{role}");
            assert_eq!(got.remove("GT_SESSION_ID_ENV").as_deref(), Some("CLAUDE_SESSION_ID"), "{role}");
            let got: Vec<String> =
                got.iter().map(|(variable, value)| format!("{variable}={value}")).collect();
            assert_eq!(got.join(" "), own, "{role}");
        }
    }

    #[test]
    fn the_program_shows() {
        for (name, variable, process_names) in [
            ("codex", None, "codex"),
            ("gemini", Some("GEMINI_SESSION_ID"), "gemini"),
            ("cursor", None, "cursor-agent"),
        ] {
            let got = environment(&Identity::Deacon, Path::new("/t"), &preset(name).unwrap(), none());
            assert_eq!(got.get("GT_SESSION_ID_ENV").map(String::as_str), variable, "{name}");
            assert_eq!(got["GT_PROCESS_NAMES"], process_names, "{name}");
        }
    }

    #[test]
    fn what_is_not_set_is_taken_away() {
        let program = preset("claude").unwrap();
        for (role, kept) in [
            (Role::Deacon, &["GT_ROLE", "BD_ACTOR", "GIT_AUTHOR_NAME"][..]),
            (Role::Witness, &["GT_ROLE", "BD_ACTOR", "GIT_AUTHOR_NAME", "GT_RIG"]),
            (
                Role::Polecat,
                &["GT_ROLE", "BD_ACTOR", "GIT_AUTHOR_NAME", "GT_RIG", "GT_POLECAT", "BEADS_AGENT_NAME"],
            ),
        ] {
            let unset = to_unset(&environment(&identity(role), Path::new("/t"), &program, none()));
            for variable in DROPPED {
                let stays = kept.contains(&variable) || variable.starts_with("TMUX");
                assert_eq!(!unset.contains(&variable), stays, "{role}: {variable}");
            }
        }
    }
}
