//! A role: what one kind of agent does beyond every other agent, as a value with hooks that its actor calls.
//!
//! Every method has a default, which witness, refinery, crew member and mayor use. A role must not start, type to or
//! end an agent: only the [`Owner`] does.

use std::{any::Any, fmt, sync::Arc};

use futures::future::BoxFuture;

use super::{actor::Agent, confirmation::Observation, lifecycle::StartEnd, owner::Owner};
use crate::{deps::Deps, ledger::snapshot::AgentSnapshot, sessions::scan::Scan};

/// The result of a role's own task; only the role knows its type.
pub struct RoleEvent(pub Box<dyn Any + Send>);

impl RoleEvent {
    /// Wraps an event of the role's own type.
    pub fn new(event: impl Any + Send) -> Self {
        RoleEvent(Box::new(event))
    }

    /// The event, if it has this type.
    pub fn get<T: Any>(self) -> Option<T> {
        self.0.downcast().ok().map(|event| *event)
    }
}

impl fmt::Debug for RoleEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RoleEvent")
    }
}

/// Why an agent may be worth a probe.
#[derive(Debug, Clone, Copy)]
pub enum Occasion<'a> {
    /// A heartbeat, with its scan.
    Heartbeat(&'a Scan),
    /// A scan of all sessions.
    Scan(&'a Scan),
    /// The settings or files of the town changed.
    TownChange,
}

/// The hooks of a role.
pub trait Role: Send + 'static {
    /// Called when its actor was created, for the first time or after a crash.
    fn begin(&mut self, _: &mut Agent) {}

    /// Whether to probe the agent now.
    fn is_worth_a_probe(&self, occasion: Occasion<'_>, owner: &Owner) -> bool {
        match occasion {
            Occasion::Heartbeat(_) => true,
            Occasion::Scan(scan) => owner.is_news(scan),
            Occasion::TownChange => !owner.is_alive(),
        }
    }

    /// Reads more with each probe; at a heartbeat its scan is given.
    fn observe(
        &self,
        _: &Arc<Deps>,
        _heartbeat: Option<&Arc<Scan>>,
    ) -> Option<BoxFuture<'static, RoleEvent>> {
        None
    }

    /// The agent was probed, and its owner has applied the observation; `_more` is what [`observe`](Self::observe) read.
    fn observed(&mut self, _: &mut Agent, _: &Observation, _more: Option<RoleEvent>) {}

    /// A start of its owner ended. Returns whether to probe the agent now.
    fn start_ended(&mut self, _: &mut Agent, _: &StartEnd) -> bool {
        false
    }

    /// The deacon's hold began or ended.
    fn deacon_held(&mut self, _: bool) {}

    /// The settings or files of the town changed.
    fn town_changed(&mut self, _: &mut Agent) {}

    /// The beads of the rig's agents were read.
    fn snapshot_read(&mut self, _: &mut Agent, _: &AgentSnapshot) {}

    /// The agent's directory does not exist any more.
    fn unlisted(&mut self, _: &mut Agent) {}

    /// A task of the role's own ended.
    fn handle(&mut self, _: &mut Agent, _: RoleEvent) {}

    /// A message was handled.
    fn handled(&mut self, _: &mut Agent) {}
}

/// The role of an agent that needs no hooks.
#[derive(Debug, Clone, Copy)]
pub struct Plain;

impl Role for Plain {}
