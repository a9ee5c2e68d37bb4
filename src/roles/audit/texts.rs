//! What people and agents read about work without progress. The words of log lines and mails are Gas Town's own (0.2.6 to 0.3,
//! `internal/daemon/daemon.go`): scripts and agents search for them.

use std::time::Duration;

use crate::{
    agent::incidents::Condition,
    go_duration::{format, format_minutes, short},
    town::{identity::Identity, reading::shorten},
};

/// The problem of work that makes no progress, because of this condition; `limit` is how long a live agent may show none.
pub fn stalled(agent: &Identity, condition: Condition, hook: &str, limit: Duration) -> String {
    match condition {
        Condition::Gupp => {
            let limit = short(limit);
            format!(
                "{agent} makes no progress: {hook} is on its hook, and nothing of it changed for more than {limit} (GUPP)"
            )
        }
        condition => format!("{agent} {condition}: {hook} is on its hook"),
    }
}

/// The problem of a live agent whose agent bead names work that is assigned `to` another.
pub fn reassigned(agent: &Identity, hook: &str, to: &str) -> String {
    let to = shorten(to);
    format!("{agent} lives, and {hook}, which its agent bead names, is assigned to {to}: both may work on it")
}

/// The log line about a live agent, named by the id of its agent bead, whose bead has not changed for `stuck`, where
/// `limit` is allowed.
pub fn gupp_line(agent: &str, hook: &str, stuck: Duration, limit: Duration) -> String {
    let (stuck, limit) = (format_minutes(stuck), format(limit));
    format!(
        "GUPP violation: agent {agent} has hook_bead={hook} but hasn't updated in {stuck} (timeout: {limit})"
    )
}

/// The subject of the mail to the witness about it.
pub fn gupp_subject(agent: &str, stuck: Duration) -> String {
    format!("GUPP_VIOLATION: {agent} stuck for {}", format_minutes(stuck))
}

/// The body of that mail.
pub fn gupp_body(agent: &str, hook: &str, stuck: Duration) -> String {
    format!(
        "Agent {agent} has work on hook but isn't progressing.\n\nhook_bead: {hook}\nstuck_duration: {}\n\nAction \
         needed: Check if agent is alive and responsive. Consider restarting if stuck.",
        format_minutes(stuck)
    )
}

/// The log line about a dead agent, named by the id of its agent bead, that is not restarted.
pub fn orphaned_line(agent: &str, hook: &str) -> String {
    format!("Orphaned work detected: agent {agent} session is dead but has hook_bead={hook}")
}

/// The subject of the mail to the witness about it.
pub fn orphaned_subject(agent: &str) -> String {
    format!("ORPHANED_WORK: {agent} has hooked work but is dead")
}

/// The body of that mail.
pub fn orphaned_body(agent: &str, hook: &str) -> String {
    format!(
        "Agent {agent} is dead but has work on its hook.\n\nhook_bead: {hook}\n\nAction needed: Either restart the \
         agent or reassign the work."
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exact_words() {
        let (agent, hook) = ("gt-gastown-polecat-Toast", "gt-o78");
        let (stuck, limit) = (Duration::from_secs(31 * 60 + 7), Duration::from_secs(30 * 60));
        assert_eq!(
            gupp_line(agent, hook, stuck, limit),
            "GUPP violation: agent gt-gastown-polecat-Toast has hook_bead=gt-o78 but hasn't updated in 31m0s (timeout: \
             30m0s)"
        );
        assert_eq!(gupp_subject(agent, stuck), "GUPP_VIOLATION: gt-gastown-polecat-Toast stuck for 31m0s");
        assert_eq!(
            gupp_body(agent, hook, stuck),
            "Agent gt-gastown-polecat-Toast has work on hook but isn't progressing.\n\nhook_bead: \
             gt-o78\nstuck_duration: 31m0s\n\nAction needed: Check if agent is alive and responsive. Consider \
             restarting if stuck."
        );
        assert_eq!(
            orphaned_line(agent, hook),
            "Orphaned work detected: agent gt-gastown-polecat-Toast session is dead but has hook_bead=gt-o78"
        );
        assert_eq!(
            orphaned_subject(agent),
            "ORPHANED_WORK: gt-gastown-polecat-Toast has hooked work but is dead"
        );
        assert_eq!(
            orphaned_body(agent, hook),
            "Agent gt-gastown-polecat-Toast is dead but has work on its hook.\n\nhook_bead: gt-o78\n\nAction needed: \
             Either restart the agent or reassign the work."
        );
    }

    #[test]
    fn long_ages_are_in_hours_and_whole_minutes() {
        for (seconds, text) in [(1801, "30m0s"), (1830, "31m0s"), (3599, "1h0m0s"), (100 * 3600, "100h0m0s")]
        {
            let subject = gupp_subject("a", Duration::from_secs(seconds));
            assert_eq!(subject, format!("GUPP_VIOLATION: a stuck for {text}"), "{seconds}");
        }
    }
}
