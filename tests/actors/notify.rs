//! The service manager: its watchdog is fed only while every actor answers.

use std::{
    future::pending,
    sync::{Arc, Mutex},
};

use gastown_supervisor::{
    service::notify::ServiceManager,
    supervision::child::{Answer, Contact},
};
use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort};
use tokio::sync::watch;

use crate::world::*;

/// An actor that is stuck.
struct Stuck;

#[derive(Debug)]
struct Question(#[allow(dead_code, reason = "it is never answered")] RpcReplyPort<()>);

impl Actor for Stuck {
    type Msg = Question;
    type State = ();
    type Arguments = ();

    async fn pre_start(&self, _: ActorRef<Question>, (): ()) -> Result<(), ActorProcessingErr> {
        Ok(())
    }

    async fn handle(
        &self,
        _: ActorRef<Question>,
        _: Question,
        (): &mut (),
    ) -> Result<(), ActorProcessingErr> {
        pending().await
    }
}

#[test]
fn one_actor_that_is_stuck_is_enough() {
    simulate(342, |world| async move {
        world.set_rigs(&["r"]);
        let supervisor = world.supervisor().await;
        let heard = Arc::new(Mutex::new(Vec::<String>::new()));
        let hears = heard.clone();
        let manager = ServiceManager::new(move |message| hears.lock().unwrap().push(message), Some(secs(60)));
        let (_root, roots) = watch::channel(Some(supervisor.root().await));
        let deps = supervisor.deps.clone();
        let notifying = tokio::spawn(async move { manager.keep_notified(&deps, roots).await });
        let during = |minutes| {
            let (world, heard) = (world.clone(), heard.clone());
            async move {
                heard.lock().unwrap().clear();
                world.pass(mins(minutes)).await;
                heard.lock().unwrap().clone()
            }
        };
        let fed = |messages: &[String]| messages.iter().filter(|it| it.starts_with("WATCHDOG=1\n")).count();

        let messages = during(2).await;
        assert_eq!(messages.iter().filter(|it| *it == "READY=1").count(), 1, "{messages:?}");
        assert!(fed(&messages) >= 4, "{messages:?}");
        assert!(messages.last().unwrap().contains("STATUS=4 agents: "), "{messages:?}");

        let (stuck, _) = Actor::spawn(None, Stuck, ()).await.unwrap();
        let contact = Contact::taking(|_| None).answering(Question, |()| Answer::figures("", ()));
        supervisor.deps.directory.register_other("feed", contact.with(stuck.clone()));
        world.pass(secs(31)).await;
        let messages = during(2).await;
        assert_eq!(fed(&messages), 0, "{messages:?}");
        assert!(messages.iter().all(|it| it == "STATUS=no answer from: feed"), "{messages:?}");
        assert_eq!(world.logged("watchdog is not fed: no answer from: feed").len(), 1, "once");

        stuck.kill();
        world.pass(secs(31)).await;
        assert!(fed(&during(2).await) >= 4, "its successor answers, or it is known to be suspended");
        notifying.abort();
    });
}
