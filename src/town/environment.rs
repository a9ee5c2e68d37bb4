//! Environment: which variables of ours must not reach the programs we run.
//!
//! The supervisor may have been started inside an agent's session, whose variables say "you are that agent" to `gt`,
//! `bd` and the agents themselves (Gas Town 0.2.6 to 0.3, `internal/config/env.go`). A process cannot change its own
//! environment safely, so it is left alone and every child gets a cleaned one: `env_clear()`, then [`cleaned`].

use std::{collections::BTreeMap, ffi::OsString};

/// The variables that are dropped.
pub const DROPPED: [&str; 16] = [
    "GT_ROLE",
    "GT_RIG",
    "GT_CREW",
    "GT_POLECAT",
    "GT_DOG_NAME",
    "GT_SESSION",
    "GT_AGENT",
    "BD_ACTOR",
    "GIT_AUTHOR_NAME",
    "BEADS_AGENT_NAME",
    "BEADS_DIR",
    "CLAUDECODE",
    "CLAUDE_CODE",
    "BD_AGENT_MODE",
    "TMUX",
    "TMUX_PANE",
];

/// Parts an environment: what may be handed on, and the names of what was dropped, both ordered by name.
pub fn cleaned(
    variables: impl IntoIterator<Item = (OsString, OsString)>,
) -> (BTreeMap<OsString, OsString>, Vec<OsString>) {
    let (dropped, kept): (BTreeMap<_, _>, BTreeMap<_, _>) =
        variables.into_iter().partition(|(name, _)| DROPPED.iter().any(|dropped| name == dropped));
    (kept, dropped.into_keys().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agents_variables_go_and_the_rest_stays() {
        let keep = [
            "PATH",
            "HOME",
            "GT_TOWN_ROOT",
            "GT_ROOT",
            "GT_TMUX_SOCKET",
            "GT_DEGRADED",
            "TMUX_TMPDIR",
            "gt_role",
        ];
        let variables = DROPPED.iter().chain(&keep).map(|name| (OsString::from(name), OsString::from("x")));
        let (kept, dropped) = cleaned(variables);
        let sorted = |names: &[&str]| {
            let mut names: Vec<_> = names.iter().map(OsString::from).collect();
            names.sort();
            names
        };
        assert_eq!(kept.into_keys().collect::<Vec<_>>(), sorted(&keep));
        assert_eq!(dropped, sorted(&DROPPED));
    }
}
