//! The session watch.

use std::sync::{Arc, Mutex};

use gastown_supervisor::{
    deps::Deps,
    sessions::actor::{Seen, SessionWatch, Told, WatchMsg},
    tree::snapshot::ask,
};
use ractor::{Actor, ActorRef};

use crate::{town, world::*};

type Seens = Arc<Mutex<Vec<Seen>>>;

async fn spawn(deps: &Arc<Deps>) -> (ActorRef<WatchMsg>, Seens) {
    let seen = Seens::default();
    let tell = seen.clone();
    let post: gastown_supervisor::work::Post<Told> = Arc::new(move |told| {
        if let Told::Seen(it) = told {
            tell.lock().unwrap().push(it);
        }
    });
    let (watch, _) = Actor::spawn(None, SessionWatch, (deps.clone(), post)).await.unwrap();
    (watch, seen)
}

#[test]
fn looks_at_once_then_every_minute() {
    simulate(140, |world| async move {
        let deps = town(&world).await;
        let (_watch, seen) = spawn(&deps).await;
        world.pass(millis(1)).await;
        assert_eq!(seen.lock().unwrap().len(), 1);
        world.pass(mins(10)).await;
        assert_eq!(seen.lock().unwrap().len(), 11);
    });
}

#[test]
fn a_burst_of_hints_is_few_looks_and_the_last_hint_is_not_lost() {
    simulate(141, |world| async move {
        let deps = town(&world).await;
        let (_watch, seen) = spawn(&deps).await;
        world.pass(secs(1)).await;
        let before = seen.lock().unwrap().len();
        for _ in 0..500 {
            world.hint();
            world.pass(millis(1)).await;
        }
        world.start_agent(&witness("r"));
        world.pass(millis(150)).await;
        let seen = seen.lock().unwrap();
        let looks = seen.len() - before;
        assert!((5..=8).contains(&looks), "{looks} looks in 0.65 s");
        let sessions = seen.last().unwrap().sweep.sessions.clone().unwrap();
        assert!(sessions.contains_key(&witness("r")), "what the last hint was about is seen");
    });
}

#[test]
fn a_heartbeat_gets_a_look_of_its_own() {
    simulate(142, |world| async move {
        let deps = town(&world).await;
        let (watch, seen) = spawn(&deps).await;
        world.pass(secs(1)).await;
        world.hang("list");
        watch.cast(WatchMsg::Hint).unwrap();
        world.pass(secs(1)).await;
        watch.cast(WatchMsg::SweepFor(5)).unwrap(); // while another look is under way
        world.start_agent(&witness("r"));
        world.pass(secs(1)).await;
        let asked = ask(&watch, WatchMsg::Probe, millis(1)).await.unwrap();
        assert!(asked.sweeping);
        world.release("list");
        world.pass(secs(1)).await;
        let for_heartbeat: Vec<_> = seen.lock().unwrap().iter().filter_map(|it| it.for_heartbeat).collect();
        assert_eq!(for_heartbeat, [5]);
    });
}

#[test]
fn a_look_that_hangs_has_failed_after_a_while() {
    simulate(143, |world| async move {
        let deps = town(&world).await;
        let (_watch, seen) = spawn(&deps).await;
        world.pass(secs(1)).await;
        world.hang("list");
        world.hint();
        world.pass(secs(16)).await;
        let last = seen.lock().unwrap().last().unwrap().sweep.sessions.clone();
        assert!(last.unwrap_err().contains("not listed within 15s"));
        assert!(deps.problems.open().contains_key("sessions"));
        world.release("list");
        world.pass(mins(1)).await;
        assert!(seen.lock().unwrap().last().unwrap().sweep.sessions.is_ok());
        assert!(deps.problems.open().is_empty());
    });
}
