//! The session watch.

use std::sync::{Arc, Mutex};

use gastown_supervisor::{
    deps::Deps,
    sessions::{Fact, death::Death},
    supervision::child::ask,
    watchers::sessions::{Seen, SessionWatch, WatchEvent, WatchMsg},
};
use ractor::{Actor, ActorRef};

use crate::{town, world::*};

type Seens = Arc<Mutex<Vec<Seen>>>;

async fn spawn(deps: &Arc<Deps>) -> (ActorRef<WatchMsg>, Seens) {
    let seen = Seens::default();
    let tell = seen.clone();
    let post: gastown_supervisor::supervision::work::ReplyTo<WatchEvent> = Arc::new(move |told| {
        if let WatchEvent::Seen(it) = told {
            tell.lock().unwrap().push(it);
        }
    });
    let (watch, _) = Actor::spawn(None, SessionWatch, (deps.clone(), post)).await.unwrap();
    (watch, seen)
}

#[test]
fn scans_at_once_then_every_minute() {
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
fn a_burst_of_hints_is_few_scans_and_the_last_hint_is_not_lost() {
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
        let sessions = seen.last().unwrap().scan.sessions.clone().unwrap();
        assert!(sessions.contains_key(&witness("r")), "what the last hint was about is seen");
    });
}

#[test]
fn a_heartbeat_gets_a_scan_of_its_own() {
    simulate(142, |world| async move {
        let deps = town(&world).await;
        let (watch, seen) = spawn(&deps).await;
        world.pass(secs(1)).await;
        world.hang("list");
        watch.cast(WatchMsg::Hint).unwrap();
        world.pass(secs(1)).await;
        watch.cast(WatchMsg::ScanFor(5)).unwrap(); // while another scan is in progress
        world.start_agent(&witness("r"));
        world.pass(secs(1)).await;
        let asked = ask(&watch, WatchMsg::Status, millis(1)).await.unwrap();
        assert!(asked.scanning);
        world.release("list");
        world.pass(secs(1)).await;
        let for_heartbeat: Vec<_> = seen.lock().unwrap().iter().filter_map(|it| it.for_heartbeat).collect();
        assert_eq!(for_heartbeat, [5]);
    });
}

#[test]
fn a_scan_that_hangs_fails_at_its_limit() {
    simulate(143, |world| async move {
        let deps = town(&world).await;
        let (_watch, seen) = spawn(&deps).await;
        world.pass(secs(1)).await;
        world.hang("list");
        world.hint();
        world.pass(secs(16)).await;
        let last = seen.lock().unwrap().last().unwrap().scan.sessions.clone();
        assert!(last.unwrap_err().contains("not listed within 15s"));
        assert!(deps.problems.open().contains_key("sessions"));
        world.release("list");
        world.pass(mins(1)).await;
        assert!(seen.lock().unwrap().last().unwrap().scan.sessions.is_ok());
        assert!(deps.problems.open().is_empty());
    });
}

/// Everything a watch reported, in order.
type Heard = Arc<Mutex<Vec<WatchEvent>>>;

async fn listen(deps: &Arc<Deps>) -> (ActorRef<WatchMsg>, Heard) {
    let heard = Heard::default();
    let tell = heard.clone();
    let post: gastown_supervisor::supervision::work::ReplyTo<WatchEvent> =
        Arc::new(move |told| tell.lock().unwrap().push(told));
    let (watch, _) = Actor::spawn(None, SessionWatch, (deps.clone(), post)).await.unwrap();
    (watch, heard)
}

fn deaths(heard: &Heard) -> Vec<Death> {
    let heard = heard.lock().unwrap();
    heard
        .iter()
        .filter_map(|told| if let WatchEvent::Died(death) = told { Some(death.clone()) } else { None })
        .collect()
}

/// The end of a session's process.
fn process(session: &FakeSession) -> Fact {
    Fact::Exited { pid: session.pid, exit: Some(3) }
}

/// The end of its window.
fn window(session: &FakeSession) -> Fact {
    Fact::WindowClosed(format!("@{}", session.id))
}

#[test]
fn a_death_is_one_message_whatever_reports_it() {
    simulate(144, |world| async move {
        let deps = town(&world).await;
        let (watch, heard) = listen(&deps).await;
        let (name, other) = (witness("r"), refinery("r"));
        for name in [&name, &other] {
            world.start_agent(name);
        }
        world.pass(secs(1)).await;
        let session = world.state().sessions[&name].clone();
        let (died, closed) = (process(&session), window(&session));
        world.report(millis(1), died.clone());
        world.report(millis(9), closed.clone());
        let at = world.time();
        world.pass(millis(1)).await;
        world.end_session(&name, "its agent ended"); // which is reported too
        world.pass(secs(1)).await;
        world.report(millis(1), closed);
        world.report(millis(1), died);
        world.pass(mins(3)).await;
        let deaths = deaths(&heard);
        assert_eq!(deaths.len(), 1, "{deaths:?}");
        let death = &deaths[0];
        assert_eq!((&death.session, &death.id), (&name, &format!("${}", session.id)));
        assert_eq!((death.exit, death.with_server, &death.panes), (Some(3), false, &vec![session.pid]));
        assert_eq!(death.noticed.mono, at + millis(1), "when it was told, not when it was looked at");
        assert_eq!(ask(&watch, WatchMsg::Status, millis(1)).await.unwrap().deaths, 1);
    });
}

#[test]
fn an_end_that_nothing_reports_is_reported_by_the_scan_before_the_scan_itself() {
    simulate(145, |world| async move {
        let deps = town(&world).await;
        let (_watch, heard) = listen(&deps).await;
        world.start_agent(&witness("r"));
        world.pass(secs(1)).await;
        world.state().weather.hints = 1.0;
        world.end_session(&witness("r"), "nobody notices");
        world.pass(secs(30)).await;
        assert_eq!(deaths(&heard), []);
        world.fail("list", true);
        world.pass(mins(2)).await;
        assert_eq!(deaths(&heard), [], "what could not be looked at did not die");
        world.fail("list", false);
        world.pass(mins(3)).await;
        let found = deaths(&heard);
        assert_eq!(found.len(), 1, "{found:?}");
        let heard = heard.lock().unwrap();
        let at = heard.iter().position(|told| matches!(told, WatchEvent::Died(_))).unwrap();
        let WatchEvent::Seen(seen) = &heard[at + 1] else { panic!("nothing was seen after it") };
        assert!(!seen.scan.sessions.as_ref().unwrap().contains_key(&witness("r")));
        assert_eq!(found[0].noticed.mono, seen.scan.begun.mono);
    });
}

#[test]
fn with_the_server_all_sessions_die_once_and_at_once() {
    simulate(146, |world| async move {
        let deps = town(&world).await;
        let (_watch, heard) = listen(&deps).await;
        let names = [DEACON.to_owned(), refinery("r"), witness("r")];
        for name in &names {
            world.start_agent(name);
        }
        world.pass(secs(1)).await;
        world.kill_server();
        world.pass(mins(3)).await;
        let mut found = deaths(&heard);
        found.sort_by(|one, other| one.session.cmp(&other.session));
        let mut wanted = names.to_vec();
        wanted.sort();
        assert_eq!(found.iter().map(|death| death.session.clone()).collect::<Vec<_>>(), wanted);
        assert!(
            found.iter().all(|death| death.with_server && death.noticed == found[0].noticed),
            "{found:?}"
        );
        // The next server's sessions have lives of their own.
        world.start_agent(&witness("r"));
        world.pass(secs(1)).await;
        world.end_session(&witness("r"), "again");
        world.pass(secs(1)).await;
        assert_eq!(deaths(&heard).len(), 4);
        assert!(!deaths(&heard)[3].with_server);
    });
}

#[test]
fn what_was_respawned_can_die_again_once_it_was_seen() {
    simulate(147, |world| async move {
        let deps = town(&world).await;
        let (_watch, heard) = listen(&deps).await;
        let name = witness("r");
        world.start_agent(&name);
        world.pass(secs(1)).await;
        for life in 1..=3 {
            let died = process(&world.state().sessions[&name]);
            world.report(millis(0), died);
            world.pass(millis(20)).await;
            // Another process in the same pane.
            world.state().sessions.get_mut(&name).unwrap().pid += 1000;
            world.hint();
            world.pass(secs(1)).await;
            assert_eq!(deaths(&heard).len(), life);
        }
    });
}
