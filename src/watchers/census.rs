//! The census: the actor that reads a rig's agent snapshot once per heartbeat, for all parts that need it.
//!
//! It waits for `bd`, so that no heartbeat and no start has to. One reading runs at a time, and at most one more is
//! queued. It judges nothing and owns no agent; the rig supervisor stores the snapshot and passes it on.

use std::sync::Arc;

use ractor::{Actor, ActorProcessingErr, ActorRef};

use crate::{
    agent::{directory::CENSUS, polecat::roster},
    deps::Deps,
    ledger::{
        fault::Fault,
        installed,
        snapshot::{self, AgentSnapshot},
        version,
    },
    supervision::{
        child::{ChildSpec, Contact},
        messages::Broadcast,
        work::{ReplyTo, Work},
    },
    town::{reading::shorten, rig_plan::RigPlan},
};

/// What the census receives.
#[derive(Debug)]
pub enum CensusMsg {
    /// From its rig, and through the directory.
    Broadcast(Broadcast),
    /// From its reading task; `None` when that panicked or the rig's polecats are not known.
    Read(Option<Arc<AgentSnapshot>>),
}

/// The actor that reads a rig's beads.
#[derive(Debug)]
pub struct Census;

/// The census as a child of its rig.
pub fn child(deps: &Arc<Deps>, rig: &RigPlan, tell: ReplyTo<Arc<AgentSnapshot>>) -> ChildSpec {
    let (name, arguments) = (format!("{}{CENSUS}", rig.name), (deps.clone(), rig.clone(), tell));
    let contact = Contact::taking(|broadcast| Some(CensusMsg::Broadcast(broadcast)));
    ChildSpec::new(name, || Census, move || arguments.clone(), contact)
}

/// The state of the [`Census`].
pub struct CensusState {
    deps: Arc<Deps>,
    rig: RigPlan,
    /// `Some` while a reading is in progress; true when another one should follow.
    reading: Option<bool>,
    work: Work<CensusMsg>,
    tell: ReplyTo<Arc<AgentSnapshot>>,
}

impl Actor for Census {
    type Msg = CensusMsg;
    type State = CensusState;
    type Arguments = (Arc<Deps>, RigPlan, ReplyTo<Arc<AgentSnapshot>>);

    async fn pre_start(
        &self,
        myself: ActorRef<CensusMsg>,
        (deps, rig, tell): Self::Arguments,
    ) -> Result<CensusState, ActorProcessingErr> {
        let post: ReplyTo<CensusMsg> = Arc::new(move |message| drop(myself.cast(message)));
        let mut state = CensusState { deps, rig, reading: None, work: Work::new(post), tell };
        // A rig that appears between two heartbeats needs a snapshot; the successor of a crashed census has one.
        if state.deps.snapshot(&state.rig.name).is_none() {
            state.read();
        }
        Ok(state)
    }

    async fn handle(
        &self,
        _: ActorRef<CensusMsg>,
        message: CensusMsg,
        state: &mut CensusState,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            // A reading in progress counts for this heartbeat: readings that take longer than the interval must not
            // be made more often.
            CensusMsg::Broadcast(Broadcast::Heartbeat(_)) if state.reading.is_some() => {}
            CensusMsg::Broadcast(Broadcast::Heartbeat(_)) => state.read(),
            // The reading in progress may have begun before the change.
            CensusMsg::Broadcast(Broadcast::ReadBeads) if state.reading.is_some() => {
                state.reading = Some(true)
            }
            CensusMsg::Broadcast(Broadcast::ReadBeads) => state.read(),
            CensusMsg::Broadcast(_) => {}
            CensusMsg::Read(snapshot) => {
                if let Some(snapshot) = snapshot {
                    (state.tell)(snapshot);
                }
                if state.reading.take() == Some(true) {
                    state.read();
                }
            }
        }
        Ok(())
    }
}

impl CensusState {
    fn read(&mut self) {
        // Once it answers again, the root asks for a reading.
        if self.deps.dolt.is_down() {
            return;
        }
        self.reading = Some(false);
        if self.deps.bd_version().is_none() {
            let deps = self.deps.clone();
            self.work.run(async move { version::probe(&deps).await });
        }
        let (deps, rig) = (self.deps.clone(), self.rig.clone());
        self.work.spawn(
            async move { CensusMsg::Read(read(&deps, &rig).await.map(Arc::new)) },
            CensusMsg::Read(None),
        );
    }
}

/// Reads the snapshot; `None` when the list of polecats is unknown, which the actor that lists them reports. A rig whose label must
/// be read and never was gets one without polecats: its patrols wait for that label, and not for the list.
async fn read(deps: &Deps, rig: &RigPlan) -> Option<AgentSnapshot> {
    let polecats = match roster::list(deps, &rig.name).await {
        Ok(polecats) => polecats,
        Err(_) if deps.is_label_unread(&rig.name) => Vec::new(),
        Err(_) => return None,
    };
    let snapshot = snapshot::read(deps, rig, &polecats).await;
    let key = format!("rig/{}/beads", rig.name);
    match snapshot.doubt() {
        None => deps.problems.clear(&key),
        Some(why) if installed::is_reported(why) || Fault::of(why).is_some() => deps.problems.clear(&key),
        Some(why) => {
            let text = format!(
                "beads of rig {} cannot be read, its last known label is kept: {}",
                rig.name,
                shorten(why)
            );
            deps.problems.report(key, text);
        }
    }
    Some(snapshot)
}
