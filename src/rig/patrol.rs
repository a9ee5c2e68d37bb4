//! A rig's patrol: the actor that owns a witness or a refinery and keeps it running while the rig is operational.
//!
//! Both are kept alike; what differs between them (directory, texts, worktree) is theirs as agents, not the actor's. It
//! adds nothing to the lifecycle, so there is no rule here.

use std::sync::Arc;

use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort};

use crate::{
    agent::{
        confirmation::Observation,
        lifecycle::Event,
        owner::{AgentStatus, Owner, OwnerEvent},
        spec::AgentSpec,
    },
    deps::Deps,
    tree::part::{Answers, Report, Word},
    work::{Post, Work},
};

/// What a patrol hears.
#[derive(Debug)]
pub enum PatrolMsg {
    /// From its rig.
    Word(Word),
    /// From its owner's tasks and timers.
    Owner(OwnerEvent),
    /// From its own look; with the heartbeat it answers, if one asked for it.
    Observed(Option<u64>, Option<Observation>),
    /// From anybody: how is your agent?
    Probe(RpcReplyPort<AgentStatus>),
}

/// The actor.
#[derive(Debug)]
pub struct Patrol;

/// Its state.
pub struct PatrolState {
    owner: Owner,
    work: Work<PatrolMsg>,
    answers: Answers,
}

impl Actor for Patrol {
    type Msg = PatrolMsg;
    type State = PatrolState;
    type Arguments = (Arc<Deps>, AgentSpec, Answers);

    async fn pre_start(
        &self,
        myself: ActorRef<PatrolMsg>,
        (deps, spec, answers): Self::Arguments,
    ) -> Result<PatrolState, ActorProcessingErr> {
        let post: Post<PatrolMsg> = Arc::new(move |message| drop(myself.cast(message)));
        let owner_post = post.clone();
        let owner = Owner::new(deps, spec, Arc::new(move |event| owner_post(PatrolMsg::Owner(event))));
        Ok(PatrolState { owner, work: Work::new(post), answers })
    }

    async fn handle(
        &self,
        _: ActorRef<PatrolMsg>,
        message: PatrolMsg,
        state: &mut PatrolState,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            PatrolMsg::Word(word) => state.heard(word),
            PatrolMsg::Owner(event) => state.owner.handle(event),
            PatrolMsg::Observed(heartbeat, seen) => state.observed(heartbeat, seen),
            PatrolMsg::Probe(reply) => drop(reply.send(state.owner.snapshot())),
        }
        Ok(())
    }
}

impl PatrolState {
    fn heard(&mut self, word: Word) {
        match word {
            Word::Heartbeat(beat) => {
                self.owner.wake_start();
                let look = self.owner.look(Some(beat.sweep));
                self.work.spawn(
                    async move { PatrolMsg::Observed(Some(beat.number), Some(look.await)) },
                    PatrolMsg::Observed(Some(beat.number), None),
                );
            }
            Word::Swept(sweep) => {
                self.owner.wake_start();
                if self.owner.is_news(&sweep) {
                    let look = self.owner.look(Some(sweep));
                    self.look_on(look);
                }
            }
            Word::Died(death) => self.owner.died(death),
            Word::TownChanged => {
                self.owner.wake_start();
                if !self.owner.is_alive() {
                    let look = self.owner.look(None);
                    self.look_on(look);
                }
            }
            Word::Asked(_) => self.owner.attend(),
            Word::Mail(_) => {}
            Word::SnapshotRead(_) => {}
            Word::RestartStateChanged => self.owner.recall(),
            Word::ClearBackoff(whose) => self.owner.clear_backoff(whose.as_ref()),
        }
    }

    fn look_on(&mut self, look: impl Future<Output = Observation> + Send + 'static) {
        self.work.spawn(
            async move { PatrolMsg::Observed(None, Some(look.await)) },
            PatrolMsg::Observed(None, None),
        );
    }

    fn observed(&mut self, heartbeat: Option<u64>, seen: Option<Observation>) {
        // A look that was cut short by a fault is no answer: the heartbeat names this part as late.
        let Some(seen) = seen else { return };
        self.owner.apply(Event::Seen(seen));
        if let Some(number) = heartbeat {
            (self.answers)(Report::looked(number, self.owner.spec().identity.to_string()));
        }
    }
}
