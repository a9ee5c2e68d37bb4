//! What people and agents read about polecats that crashed. The words are Gas Town's own (0.2.6 to 0.3,
//! `internal/daemon/daemon.go`): scripts and agents search for them.

use crate::town::identity::{AgentName, RigName};

/// The log line of a crash.
pub fn crash_detected(rig: &RigName, name: &AgentName, hook: &str, session: &str) -> String {
    format!("CRASH DETECTED: polecat {rig}/{name} has hook_bead={hook} but session {session} is dead")
}

/// The subject of the mail to the witness, when a crashed polecat cannot be restarted.
pub fn crashed_subject(rig: &RigName, name: &AgentName) -> String {
    format!("CRASHED_POLECAT: {rig}/{name} restart failed")
}

/// Its body; `error` says why the polecat is not back.
pub fn crashed_body(name: &AgentName, hook: &str, error: &str) -> String {
    format!(
        "Polecat {name} crashed and automatic restart failed.\n\nhook_bead: {hook}\nrestart_error: {error}\n\nManual \
         intervention may be required."
    )
}

/// Why a polecat without a directory to work in cannot be started.
pub const NO_WORKTREE: &str = "polecat worktree does not exist";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exact_words() {
        let (rig, name) = ("gastown".parse().unwrap(), "Toast".parse().unwrap());
        assert_eq!(
            crash_detected(&rig, &name, "gt-o78", "gt-gastown-Toast"),
            "CRASH DETECTED: polecat gastown/Toast has hook_bead=gt-o78 but session gt-gastown-Toast is dead"
        );
        assert_eq!(crashed_subject(&rig, &name), "CRASHED_POLECAT: gastown/Toast restart failed");
        assert_eq!(
            crashed_body(&name, "gt-o78", NO_WORKTREE),
            "Polecat Toast crashed and automatic restart failed.\n\nhook_bead: gt-o78\nrestart_error: polecat worktree \
             does not exist\n\nManual intervention may be required."
        );
    }
}
