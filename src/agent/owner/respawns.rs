//! Respawns: how often the hook of its tmux session started an agent again, which is a problem once that happens too often.
//!
//! The supervisor restarts nothing here, so it counts no restart. It must not decide anything.

use super::Owner;
use crate::{agent::lifecycle::State, clock::Now, go_duration};

/// The problem that an agent is respawned again and again.
const PROBLEM: &str = "respawned";

impl Owner {
    /// Counts that the hook of its session started it again, and reports when that happened too often.
    pub(super) fn respawned(&mut self, now: Now) {
        let policy = &self.deps.settings().restart;
        self.respawns.retain(|at| now.since(*at) < policy.crash_loop_window);
        self.respawns.push(now);
        if self.respawns.len() < policy.crash_loop_count as usize {
            return;
        }
        // The text stays the same while that goes on, so that it is reported once.
        let identity = &self.spec.identity;
        let text = format!(
            "{identity}: its process ended {} times within {} and was respawned each time by its tmux hook; see `explain \
             {identity}`",
            policy.crash_loop_count,
            go_duration::short(policy.crash_loop_window),
        );
        self.deps.problems.report(self.problem_key(PROBLEM), text);
    }

    /// Forgets how often it was respawned once it has lived for long, or is not to run.
    pub(super) fn forget_respawns(&mut self, now: Now) {
        let stable_after = self.deps.settings().restart.stable_after;
        let is_over = match self.lifecycle.state() {
            State::Alive { .. } => self.respawns.last().is_none_or(|at| now.since(*at) >= stable_after),
            State::Absent { .. } | State::Held { .. } | State::HeldOnRequest { .. } => true,
            _ => false,
        };
        if is_over {
            self.respawns.clear();
            self.deps.problems.clear(&self.problem_key(PROBLEM));
        }
    }
}
