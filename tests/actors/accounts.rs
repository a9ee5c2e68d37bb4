//! The accounts' watch: whom it releases when, what it reports once, and what its successor continues.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use gastown_supervisor::{
    agent::{
        account::Account,
        accounts::{
            hold::{Ends, HeldAccount},
            register::ACTOR,
        },
        activity::{Activity, Reading, Source},
        confirmation::SessionKey,
    },
    deps::Deps,
    supervision::{
        child::{Contact, ask},
        messages::Broadcast,
    },
    town::{identity::Identity, usage_limit::reset::Reset},
    watchers::accounts::actor::{AccountsMsg, AccountsWatch, contact},
};
use jiff::SignedDuration;
use ractor::{Actor, ActorProcessingErr, ActorRef};

use crate::{town, world::*};

/// In place of the agents' actors: who was released, and when.
#[derive(Clone, Default)]
struct Released(Arc<Mutex<Vec<(Duration, String)>>>);

impl Released {
    fn names(&self) -> Vec<String> {
        self.0.lock().unwrap().iter().map(|(_, name)| name.clone()).collect()
    }
}

struct Listener(World, Identity, Released);

impl Actor for Listener {
    type Msg = Broadcast;
    type State = ();
    type Arguments = ();

    async fn pre_start(&self, _: ActorRef<Broadcast>, (): ()) -> Result<(), ActorProcessingErr> {
        Ok(())
    }

    async fn handle(
        &self,
        _: ActorRef<Broadcast>,
        message: Broadcast,
        (): &mut (),
    ) -> Result<(), ActorProcessingErr> {
        if matches!(message, Broadcast::Released) {
            self.2.0.lock().unwrap().push((self.0.time(), self.1.to_string()));
        }
        Ok(())
    }
}

const AGENTS: [&str; 4] = ["r/polecats/a", "r/polecats/b", "r/witness", "deacon"];

/// Agents of one account that have ended, and who is told that they may start.
async fn ended(world: &World) -> (Arc<Deps>, Released) {
    let (deps, released) = (town(world).await, Released::default());
    for name in AGENTS {
        let identity: Identity = name.parse().unwrap();
        let listener = Listener(world.clone(), identity.clone(), released.clone());
        let actor = Actor::spawn(None, listener, ()).await.unwrap().0;
        deps.directory.register(&identity, Contact::taking(Some).with(actor));
        let account = Account { program: "claude".to_owned(), directory: "/one".into(), key: None };
        let session = SessionKey { id: "$1".to_owned(), created: world.wall() };
        deps.accounts.uses(&identity, &session, Some(account));
    }
    limited(world, &deps, mins(10));
    for name in AGENTS {
        deps.accounts.wants_to_start(&name.parse().unwrap());
    }
    (deps, released)
}

/// The deacon meets a limit that ends after this time.
fn limited(world: &World, deps: &Deps, after: Duration) {
    let at = world.wall() + SignedDuration::try_from(after).unwrap();
    let sentence = format!("until {at}");
    let activity = Activity::Limited(sentence.clone());
    let reading = Reading { activity, source: Source::Screen, since: world.wall() };
    let ends = Ends::At(Reset { at, exact: true });
    assert!(deps.accounts.limited(&Identity::Deacon, (&sentence, &reading), ends, deps.now()));
    deps.directory.send_to_other(ACTOR, Broadcast::AccountsChanged);
}

async fn spawn(deps: &Arc<Deps>) -> ActorRef<AccountsMsg> {
    let actor = Actor::spawn(None, AccountsWatch, deps.clone()).await.unwrap().0;
    deps.directory.register_other(ACTOR, contact().with(actor.clone()));
    actor
}

async fn held(actor: &ActorRef<AccountsMsg>) -> Vec<HeldAccount> {
    ask(actor, AccountsMsg::Status, millis(1)).await.unwrap()
}

const IN_ORDER: [&str; 4] = ["deacon", "r/witness", "r/polecats/a", "r/polecats/b"];

#[test]
fn all_are_released_in_order_and_in_their_time() {
    simulate(480, |world| async move {
        let (deps, released) = ended(&world).await;
        let begun = world.time();
        let actor = spawn(&deps).await;
        world.pass(mins(10)).await;
        assert_eq!(released.names(), Vec::<String>::new(), "too early");
        assert_eq!(held(&actor).await[0].waiting, 4);
        assert_eq!(world.events("usage_limit_reached").len(), 1);
        world.pass(secs(90)).await;
        assert_eq!(released.names(), IN_ORDER);
        let times: Vec<Duration> =
            released.0.lock().unwrap().iter().map(|(at, _)| *at - begun - mins(10)).collect();
        for (n, at) in (0..).zip(&times) {
            let due = secs(10) + millis(2100) * n;
            assert!(*at >= due && *at < due + millis(100), "{times:?}");
        }
        assert_eq!(held(&actor).await, []);
        assert_eq!(world.events("usage_limit_over").len(), 1);
    });
}

#[test]
fn a_successor_continues_and_reports_nothing_twice() {
    simulate(481, |world| async move {
        let (deps, released) = ended(&world).await;
        let actor = spawn(&deps).await;
        world.pass(mins(10) + secs(13)).await;
        assert_eq!(released.names(), IN_ORDER[..2]);
        actor.kill();
        spawn(&deps).await;
        world.pass(secs(90)).await;
        assert_eq!(released.names(), IN_ORDER);
        let told = (world.events("usage_limit_reached").len(), world.events("usage_limit_over").len());
        assert_eq!(told, (1, 1));
    });
}

#[test]
fn a_limit_that_is_met_again_ends_the_waking_at_once() {
    simulate(482, |world| async move {
        let (deps, released) = ended(&world).await;
        spawn(&deps).await;
        world.pass(mins(10) + secs(11)).await;
        assert_eq!(released.names(), ["deacon"]);
        limited(&world, &deps, mins(20));
        world.pass(mins(20)).await;
        assert_eq!(released.names(), ["deacon"], "the others wait");
        world.pass(mins(1)).await;
        assert_eq!(released.names().len(), 4, "{:?}", released.names());
    });
}

#[test]
fn a_person_ends_it() {
    simulate(483, |world| async move {
        let (deps, released) = ended(&world).await;
        spawn(&deps).await;
        world.pass(secs(10)).await;
        deps.directory.send_to_other(ACTOR, Broadcast::ClearBackoff(Some("r/witness".parse().unwrap())));
        world.pass(secs(10)).await;
        assert_eq!(released.names(), IN_ORDER);
    });
}
