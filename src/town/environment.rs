//! Environment: which of our variables must not reach the programs we run.
//!
//! The supervisor may have been started inside an agent's session, whose variables make a process that agent for
//! `gt`, `bd` and the agents themselves (Gas Town 0.2.6 to 0.3, `internal/config/env.go`). They are withheld from
//! every program that we start, and dropped from the environment that a tmux server would pass to an agent. So are
//! the variables by which git hooks and aliases name a repository: with them git acts on that one, whatever directory
//! it runs in (`git rev-parse --local-env-vars`), and those by which a service manager hears from its service: no other
//! program may speak for the supervisor.

use std::process::Command;

/// In the environment of an agent of a town of one file: the town, by its directory, or by its file where that has another name
/// than usual.
pub const TOWN: &str = "SUPERVISOR_TOWN";
/// In the environment of an agent of such a town: who it is.
pub const AGENT: &str = "SUPERVISOR_AGENT";
/// The variables by which an agent of a Gas Town knows its town.
pub const GAS_TOWN: [&str; 2] = ["GT_ROOT", "GT_TOWN_ROOT"];

/// The variables that are dropped.
pub const DROPPED: [&str; 27] = [
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
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_COMMON_DIR",
    "GIT_INDEX_FILE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_PREFIX",
    "GIT_NAMESPACE",
    "NOTIFY_SOCKET",
    "WATCHDOG_PID",
    "WATCHDOG_USEC",
];

/// Removes them from the environment of a program that is about to be started.
pub fn withhold(program: &mut Command) {
    for variable in DROPPED {
        program.env_remove(variable);
    }
}
