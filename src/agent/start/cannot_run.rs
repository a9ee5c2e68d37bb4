//! Cannot run: distinguishes a program that cannot be run, or that does not know the conversation that it is to continue, from
//! an agent that died.
//!
//! A shell reports it by the exit codes 126 and 127, whether the program itself is missing or something it needs.
//! tmux forgets exit codes with their panes, so panes are kept for the first seconds of a start. The cause is then
//! the configuration: it is no crash, and if several agents have it, no mass death.

use std::{future::Future, time::Duration};

use super::{Start, Step, conversation::Talk};
use crate::agent::{
    confirmation::SessionKey, ended, kill, lifecycle::StartEnd, observe, program::AgentProgram,
};

/// How long a new session keeps dead panes, for their exit status. A program that cannot run ends at once; on a
/// machine busy with a dozen builds, more than a second after its session was created.
const FIRST_MOMENTS: Duration = Duration::from_secs(3);
/// As [`FIRST_MOMENTS`], for a program that first searches for a conversation.
const MOMENTS_OF_A_RESUME: Duration = Duration::from_secs(10);
/// tmux learns one after the other that a process has ended, that its terminal is closed, and how it ended: this is
/// the time it may take.
const STATUS_COMES: Duration = Duration::from_secs(1);
/// The interval at which the status is read.
const STATUS_POLL: Duration = Duration::from_millis(20);

impl Start<'_> {
    /// Runs the rest of a start; it ends without a program when its process reports in the first seconds that it cannot run. `None`:
    /// it ended because it does not know its conversation.
    pub(super) async fn unless_it_cannot_run(
        &self,
        key: &SessionKey,
        program: &AgentProgram,
        talk: &Talk,
        rest: impl Future<Output = Step<StartEnd>>,
    ) -> Step<Option<StartEnd>> {
        let mut rest = std::pin::pin!(rest);
        let moments = if talk.is_resumed() { MOMENTS_OF_A_RESUME } else { FIRST_MOMENTS };
        let early = tokio::time::timeout(moments, &mut rest).await;
        let end = match early {
            Ok(Err(StartEnd::Ended(ended))) if ended == *key => {
                let end = self.ended_early(ended, program, talk).await;
                if matches!(end, StartEnd::Ended(_)) && self.does_not_know(talk) {
                    return Ok(None);
                }
                Err(end)
            }
            Ok(end) => end.map(Some),
            Err(_) => {
                self.stop_keeping(key).await;
                return rest.await.map(Some);
            }
        };
        self.stop_keeping(key).await;
        end
    }

    /// Whether the last screen of its program says that it does not know its conversation.
    fn does_not_know(&self, talk: &Talk) -> bool {
        let screen = self.deps.records.screen(&self.spec.identity, None);
        screen.is_some_and(|screen| talk.is_unknown_by(&screen.lines))
    }

    /// From here on its panes close with their processes, unless it matters how those end.
    async fn stop_keeping(&self, key: &SessionKey) {
        if ended::exit_matters(self.deps, &self.spec.identity) {
            return;
        }
        match self.deps.sessions.find(&self.spec.session).await {
            Ok(Some(session)) if kill::key(&session) == *key => {}
            _ => return,
        }
        if let Err(error) = self.deps.sessions.disarm(&self.spec.session).await {
            self.passed_over(&error.to_string());
        }
    }

    async fn ended_early(&self, key: SessionKey, program: &AgentProgram, talk: &Talk) -> StartEnd {
        let code = tokio::time::timeout(STATUS_COMES, self.status(&key)).await.unwrap_or_default();
        // A code was read from its dead pane; without one, checks whether it has ended at all.
        if code.is_none() && !self.has_ended(&key).await {
            return StartEnd::Ended(key);
        }
        // Its last output is lost with its pane.
        observe::keep_last_screen(self.deps, self.spec).await;
        let cannot_run = matches!(code, Some(126 | 127));
        if !cannot_run && ended::exit_matters(self.deps, &self.spec.identity) && !self.does_not_know(talk) {
            // The probe that judges its end reads the code there.
            return StartEnd::Ended(key);
        }
        // Nothing runs in it any more.
        if let Err(why) = kill::kill(self.deps, self.spec, &key).await {
            self.passed_over(&why);
        }
        let Some(code @ (126 | 127)) = code else { return StartEnd::Ended(key) };
        let why = format!(
            "its program {} cannot be run: it ended at once with exit code {code}; run it by hand to see why",
            program.command
        );
        match self.deps.dialect().is_gas_town() {
            true => StartEnd::NoProgram(why),
            // It was found before: what is missing is something else, and each try counts.
            false => StartEnd::NeverAppeared(why),
        }
    }

    /// Its exit code, as soon as that is known; `None` when its session is gone.
    async fn status(&self, key: &SessionKey) -> Option<i32> {
        loop {
            match self.deps.sessions.find(&self.spec.session).await {
                Ok(Some(session)) if kill::key(&session) == *key => {
                    let has_ended = session.panes.iter().all(|pane| pane.dead);
                    if has_ended && let Some(code) = session.panes.iter().find_map(|pane| pane.exit_status) {
                        return Some(code);
                    }
                }
                Ok(_) => return None,
                Err(_) => {}
            }
            tokio::time::sleep(STATUS_POLL).await;
        }
    }

    /// Whether its session exists, and all processes of its panes have ended.
    pub(super) async fn has_ended(&self, key: &SessionKey) -> bool {
        let session = self.deps.sessions.find(&self.spec.session).await.ok().flatten();
        session.is_some_and(|it| kill::key(&it) == *key && it.panes.iter().all(|pane| pane.dead))
    }
}
