//! Cannot run: tells a program that cannot be run from an agent that died.
//!
//! A shell says so by the exit codes 126 and 127, whether it is the program itself that is missing, or what it needs to run.
//! tmux forgets exit codes with their panes, so panes are kept for the first second of a start. It is the configuration
//! that is wrong then: no crash, and the more agents have it the less it is a mass death.

use std::{future::Future, time::Duration};

use super::{Start, Step};
use crate::agent::{confirmation::SessionKey, kill, lifecycle::StartEnd, observe, program::AgentProgram};

/// How long a new session keeps dead panes, for their exit status.
const FIRST_MOMENTS: Duration = Duration::from_secs(1);

impl Start<'_> {
    /// The rest of a start; it ends as impossible when its process said in the first moments that it cannot run.
    pub(super) async fn unless_it_cannot_run(
        &self,
        key: &SessionKey,
        program: &AgentProgram,
        rest: impl Future<Output = Step<StartEnd>>,
    ) -> Step<StartEnd> {
        let mut rest = std::pin::pin!(rest);
        let early = tokio::time::timeout(FIRST_MOMENTS, &mut rest).await;
        let end = match early {
            Ok(Err(StartEnd::Ended(ended))) if ended == *key => Err(self.ended_early(ended, program).await),
            Ok(end) => end,
            Err(_) => {
                self.stop_keeping(key).await;
                return rest.await;
            }
        };
        self.stop_keeping(key).await;
        end
    }

    /// From here on its panes go with their processes.
    async fn stop_keeping(&self, key: &SessionKey) {
        match self.deps.sessions.find(&self.spec.session).await {
            Ok(Some(session)) if kill::key(&session) == *key => {}
            _ => return,
        }
        if let Err(error) = self.deps.sessions.disarm(&self.spec.session).await {
            self.passed_over(&error.to_string());
        }
    }

    async fn ended_early(&self, key: SessionKey, program: &AgentProgram) -> StartEnd {
        let Some(code) = self.exit_code(&key).await else { return StartEnd::Ended(key) };
        // What it said last goes with its pane.
        observe::keep_last_screen(self.deps, self.spec).await;
        // Nothing runs in it any more.
        if let Err(why) = kill::kill(self.deps, &self.spec.session, &key).await {
            self.passed_over(&why);
        }
        match code {
            Some(code @ (126 | 127)) => StartEnd::Impossible(format!(
                "its program {} cannot be run: it ended at once with exit code {code}; run it by hand to see why",
                program.command
            )),
            _ => StartEnd::Ended(key),
        }
    }

    /// Whether all processes of its panes have ended; then with which code, where that is known.
    pub(super) async fn exit_code(&self, key: &SessionKey) -> Option<Option<i32>> {
        let session = self.deps.sessions.find(&self.spec.session).await.ok()??;
        let all_dead = kill::key(&session) == *key && session.panes.iter().all(|pane| pane.dead);
        all_dead.then(|| session.panes.iter().find_map(|pane| pane.exit_status))
    }
}
