//! Environment: which variables of ours must not reach the programs we run.
//!
//! The supervisor may have been started inside an agent's session, whose variables say "you are that agent" to `gt`,
//! `bd` and the agents themselves (Gas Town 0.2.6 to 0.3, `internal/config/env.go`). They are dropped from our own
//! environment before anything else happens, and from what a tmux server would hand down to an agent.

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
