//! Room: the part of a start that waits for its slot and for memory.
//!
//! The same for starts that `gt` makes and for direct ones. A start that waits has no slot, may be given up at any time, and is
//! shown as waiting. What is replaced by its own start is not waited for: it gives back what the new one takes.

use super::{Start, Step};
use crate::{
    agent::{
        confirmation::Presence,
        denial::Unwanted,
        history::{Entry, Kind},
        lifecycle::{Attempt, StartEnd},
        observe,
        phase::Phase,
        reason::Reason,
        start_memory::{self, RECHECK, Shortage, Ticket},
        start_slots::{Rank, Slot},
    },
    ports::memory::Memory,
};

impl Start<'_> {
    /// Waits for a slot in which there is memory for one more agent.
    pub(super) async fn slot(&self) -> Step<Slot> {
        let asked = self.is_asked();
        let rank = Rank::of(self.deps, &self.spec.identity);
        let mut ticket = self.deps.starts.memory.ticket(&self.spec.identity, asked).at(rank);
        loop {
            let limit = self.deps.settings().start.max_concurrent;
            let slot = self.deps.starts.slot(limit, rank, asked, &*self.deps.clock).await;
            if self.order.replace.is_some() || !self.waits_for_memory(&mut ticket).await {
                return Ok(slot);
            }
            drop(slot);
            tokio::select! {
                biased;
                () = self.pulse.notified() => {}
                () = tokio::time::sleep(RECHECK) => {}
            }
            self.is_still_to_be_made().await?;
        }
    }

    /// Whether it waits for memory; that it begins to is reported.
    async fn waits_for_memory(&self, ticket: &mut Ticket) -> bool {
        let settings = &self.deps.settings().start.memory;
        let memory = match settings.enabled {
            true => self.deps.starts.read_memory(self.deps).await,
            false => Memory::default(),
        };
        let short = start_memory::shortage(&memory, settings);
        let (waits, waited) = ticket.ask(short, self.deps.now().mono, settings);
        match (waits, waited) {
            (Some(why), false) => self.report_wait(why),
            (None, true) => {
                tracing::info!(agent = %self.spec.identity, "there is memory for it again; starting it");
            }
            _ => {}
        }
        waits.is_some()
    }

    fn report_wait(&self, why: Shortage) {
        let (identity, session, now) = (&self.spec.identity, &self.spec.session, self.deps.now());
        let reason = Reason::WaitsForMemory { why, asked: self.order.attempt == Attempt::Asked };
        let (from, to) = (Phase::Starting.as_str(), Phase::Waiting.as_str());
        let (code, line) = (reason.code(), reason.words().line());
        tracing::info!(agent = %identity, session, from, to, reason = code, "{line}");
        let entry = Entry::of(&reason, Kind::Change, now.wall).leading_to(Phase::Waiting, None);
        self.deps.records.happened(identity, entry);
    }

    /// Whether the start is still to be made once there is memory; else it is given up.
    async fn is_still_to_be_made(&self) -> Step<()> {
        self.permitted().await?;
        if self.order.attempt == Attempt::Asked
            && let Some(other) = self.deps.records.request_that_waits(&self.spec.identity)
        {
            // It may be to stop the agent.
            return Err(StartEnd::Unwanted(Unwanted::Superseded(other.action, other.reference())));
        }
        // Somebody else may have started it.
        let session = self.deps.sessions.find(&self.spec.session).await;
        if matches!(session, Ok(None)) {
            return Ok(());
        }
        match observe::probe_session(self.deps, self.spec).await {
            Presence::Alive(key) => Err(StartEnd::Found(key)),
            _ => Ok(()),
        }
    }
}
