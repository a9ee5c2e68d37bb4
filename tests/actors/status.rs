//! The status of a town: all actors are asked at the same time, and one that does not answer stays in the report.

use std::{future::pending, sync::Arc, time::Duration};

use gastown_supervisor::{
    StatusReport,
    control::gather::gather,
    deps::Deps,
    supervision::child::{ActorReport, Address, Answer, Contact},
    town::identity::Identity,
    tree::{
        housekeeping::Process,
        root::{RootMsg, RootSnapshot},
    },
};
use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort};

use crate::{town, world::*};

/// An actor that takes this long to answer; `None`: for ever.
struct Slow;

#[derive(Debug)]
struct Question(RpcReplyPort<()>);

impl Actor for Slow {
    type Msg = Question;
    type State = Option<Duration>;
    type Arguments = Option<Duration>;

    async fn pre_start(
        &self,
        _: ActorRef<Question>,
        delay: Option<Duration>,
    ) -> Result<Option<Duration>, ActorProcessingErr> {
        Ok(delay)
    }

    async fn handle(
        &self,
        _: ActorRef<Question>,
        Question(reply): Question,
        delay: &mut Option<Duration>,
    ) -> Result<(), ActorProcessingErr> {
        match delay {
            Some(delay) => tokio::time::sleep(*delay).await,
            None => pending().await,
        }
        let _ = reply.send(());
        Ok(())
    }
}

async fn slow(delay: Option<Duration>, answer: fn(()) -> Answer) -> Address {
    let (actor, _) = Actor::spawn(None, Slow, delay).await.unwrap();
    Contact::taking(|_| None).answering(Question, answer).with(actor)
}

/// A root that takes this long to answer.
struct SlowRoot;

impl Actor for SlowRoot {
    type Msg = RootMsg;
    type State = Duration;
    type Arguments = Duration;

    async fn pre_start(&self, _: ActorRef<RootMsg>, delay: Duration) -> Result<Duration, ActorProcessingErr> {
        Ok(delay)
    }

    async fn handle(
        &self,
        _: ActorRef<RootMsg>,
        message: RootMsg,
        delay: &mut Duration,
    ) -> Result<(), ActorProcessingErr> {
        let RootMsg::Status(reply) = message else { return Ok(()) };
        tokio::time::sleep(*delay).await;
        let snapshot = RootSnapshot {
            heartbeat: Default::default(),
            waiting_for: Vec::new(),
            settings: Default::default(),
            actors: vec![named("rig r")],
            supervised: Vec::new(),
        };
        drop(reply.send(snapshot));
        Ok(())
    }
}

fn named(name: &str) -> ActorReport {
    ActorReport { name: name.to_owned(), running: true, ..ActorReport::default() }
}

fn process(world: &World) -> Process {
    Process { pid: 4242, started_at: world.wall() }
}

#[test]
fn everybody_is_asked_in_one_wave() {
    simulate(340, |world| async move {
        let deps: Arc<Deps> = town(&world).await;
        let half = Some(millis(500));
        let (root, _) = Actor::spawn(None, SlowRoot, millis(500)).await.unwrap();
        for (name, address) in [
            ("rig r", slow(half, |()| Answer::Actors(vec![named("r/witness")])).await),
            ("feed", slow(half, |()| Answer::figures("feed", 7)).await),
            ("deaths", slow(None, |()| Answer::figures("deaths", 7)).await),
        ] {
            deps.directory.register_other(name, address);
        }
        let begun = world.time();
        let status =
            gather((&deps, &deps.problems.reader()), process(&world), &root, millis(700)).await.unwrap();
        assert_eq!(world.time() - begun, millis(700), "no wave waits for another");
        let actors: Vec<&str> = status.actors.iter().map(|actor| actor.name.as_str()).collect();
        assert_eq!(actors, ["rig r", "r/witness"]);
        assert_eq!((status.feed, status.deaths), (7.into(), serde_json::Value::Null));
        assert_eq!(status.problems["actors/silent"], "no answer from: deaths");
    });
}

#[test]
fn agents_whose_actors_do_not_answer_are_shown_as_unknown() {
    simulate(341, |world| async move {
        world.set_rigs(&["r"]);
        let supervisor = world.supervisor().await;
        world.pass(mins(1)).await;
        let before = supervisor.snapshot().await;
        let rig = slow(None, |()| Answer::Actors(Vec::new())).await;
        supervisor.deps.directory.register_other("rig r", rig);
        for identity in ["deacon", "deacon-boot", "r/witness"] {
            let identity: Identity = identity.parse().unwrap();
            let hung = slow(None, |()| Answer::figures("", ())).await;
            supervisor.deps.directory.register(&identity, hung);
        }
        let root = supervisor.root().await;
        let status = gather(
            (&supervisor.deps, &supervisor.deps.problems.reader()),
            process(&world),
            &root,
            millis(700),
        )
        .await
        .unwrap();
        let identities = |of: &StatusReport| -> Vec<String> {
            of.agents.iter().map(|agent| agent.identity.clone()).collect()
        };
        assert_eq!(identities(&status), identities(&before), "none vanishes");
        for agent in &status.agents {
            let hangs = ["deacon", "deacon-boot", "r/witness"].contains(&agent.identity.as_str());
            assert_eq!(agent.state == "unknown", hangs, "{agent:#?}");
            let why = agent.reason.as_deref().unwrap_or_default();
            assert_eq!(why.starts_with("its actor has not answered; last known: "), hangs, "{agent:#?}");
        }
        let silent = status.actors.iter().filter(|actor| actor.silent);
        let silent: Vec<&str> = silent.map(|actor| actor.name.as_str()).collect();
        assert_eq!(silent, ["deacon", "boot", "rig r"]);
        assert_eq!(status.problems["actors/silent"], "no answer from: boot, deacon, r/witness, rig r");
    });
}
