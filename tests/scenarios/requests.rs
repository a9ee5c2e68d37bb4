//! Agents ask by mail to be stopped or restarted; each request is carried out once, whatever happens meanwhile.

use std::time::Duration;

use gastown_supervisor::signals::Signal;

use crate::{town, world::*};

const CREW: &str = "gt-r-crew-max";

/// Mail is read at the heartbeat at the latest; this test does not wait for that.
async fn read_mail(supervisor: &Supervisor) {
    supervisor.signals.tell(Signal::HeartbeatNow);
}

/// How often a session was made and ended, and whether an agent lives in it.
fn fate(world: &World, session: &str) -> (usize, usize, bool) {
    let state = world.state();
    (state.created(session).len(), state.ended(session).len(), state.lives(session))
}

fn says(world: &World, session: &str, text: &str) -> bool {
    world.state().session(session).typed.iter().any(|(_, typed)| typed.contains(text))
}

/// A town with a working polecat and a crew member's directory.
async fn everybody(world: &World) -> Supervisor {
    world.state().git_takes = millis(10);
    let supervisor = town(world, &["r"]).await;
    world.polecat_at_work("r", "nux");
    world.directory("r/crew/max");
    world.pass(mins(3) + secs(30)).await;
    supervisor
}

#[test]
fn every_agent_by_every_spelling() {
    let nux = || polecat("r", "nux");
    for (from, session) in [
        ("mayor/", MAYOR.to_owned()),
        ("mayor", MAYOR.to_owned()),
        ("deacon/", DEACON.to_owned()),
        ("r/witness", witness("r")),
        ("r-witness", witness("r")),
        ("r/refinery", refinery("r")),
        ("r/polecats/nux", nux()),
        ("r-polecat-nux", nux()),
        ("r/nux", nux()),
        ("r/crew/max", CREW.to_owned()),
        ("r-crew-max", CREW.to_owned()),
        ("r/max", CREW.to_owned()),
    ] {
        simulate(700, |world| async move {
            let supervisor = everybody(&world).await;
            let (made, ended, lived) = fate(&world, &session);
            let id = world.ask(&session, from, "{\"action\": \"cycle\"}");
            let asked = world.time();
            read_mail(&supervisor).await;
            let again = |state: &State| state.created(&session).len() == made + 1 && state.lives(&session);
            world.until("its fresh start", secs(20), again).await;
            let born = world.state().created(&session)[made];
            if lived {
                let ended = world.state().ended(&session)[ended];
                assert!(born - ended >= millis(500), "{from}: a pause between the two");
            }
            assert!(born - asked < secs(5), "{from}: at once");
            world.pass(mins(2)).await;
            assert!(says(&world, &session, "lifecycle-restart"), "{from}");
            assert_eq!(world.state().mailbox.left(&id, Left::Deleted), 1, "{from}: {id}");
            world.pass(mins(20)).await;
            assert_eq!(fate(&world, &session).0, made + 1, "{from}: once");
            assert_eq!(world.events("session_death"), Vec::<serde_json::Value>::new(), "{from}");
        });
    }
}

#[test]
fn stopped_on_request_stays_so_until_asked_again_also_across_our_restart() {
    for session in [DEACON.to_owned(), witness("r"), refinery("r"), polecat("r", "nux")] {
        simulate(701, |world| async move {
            let supervisor = everybody(&world).await;
            let from = match session.strip_prefix("gt-r-") {
                Some(role) => format!("r/{role}"),
                None => "deacon/".to_owned(),
            };
            world.ask(&session, &from, "  STOP \n");
            read_mail(&supervisor).await;
            world.until("its end", secs(10), |state| !state.lives(&session)).await;
            world.pass(mins(40)).await;
            let identity = if session == polecat("r", "nux") {
                "r/polecats/nux".to_owned()
            } else {
                from.replace("n/", "n")
            };
            let agent = supervisor.agent(&identity).await;
            assert_eq!(agent.state, "held", "{agent:#?}");
            assert!(!world.state().sessions.contains_key(&session), "{session}");
            supervisor.vanish().await;
            let supervisor = world.supervisor().await;
            world.pass(mins(40)).await;
            assert_eq!(supervisor.agent(&identity).await.state, "held", "{session}, after our restart");
            assert!(!world.state().sessions.contains_key(&session), "{session}, after our restart");
            assert_eq!(world.events("session_death"), Vec::<serde_json::Value>::new(), "{session}");
            world.ask(&session, &from, "restart");
            read_mail(&supervisor).await;
            world.until("its restart", secs(10), |state| state.lives(&session)).await;
            // From now on it is supervised as before.
            world.pass(mins(10)).await;
            world.crash_agent(&session, false);
            world.until("its repair", secs(10), |state| state.lives(&session)).await;
        });
    }
}

#[test]
fn a_hold_ends_when_the_session_is_seen_again_or_a_polecat_gets_other_work() {
    simulate(702, |world| async move {
        let supervisor = everybody(&world).await;
        for (session, from) in [(witness("r"), "r/witness"), (polecat("r", "nux"), "r/nux")] {
            world.ask(&session, from, "shutdown");
        }
        read_mail(&supervisor).await;
        supervisor.until_agent("r/witness", "held", secs(10)).await;
        supervisor.until_agent("r/polecats/nux", "held", secs(10)).await;
        world.begin(&witness("r"), By::Operator, Default::default());
        supervisor.until_agent("r/witness", "alive", mins(2)).await;
        world.pass(mins(4)).await;
        world.crash_agent(&witness("r"), false);
        world.until("its repair", secs(10), |state| state.lives(&witness("r"))).await;
        world.pass(mins(20)).await;
        assert!(!world.state().lives(&polecat("r", "nux")));
        world.hook("r", "nux", "r-other");
        world.until("its start", mins(7), |state| state.lives(&polecat("r", "nux"))).await;
    });
}

#[test]
fn a_message_that_cannot_be_deleted_is_carried_out_once() {
    for (name, breaks_late) in [("nothing was done", false), ("it was done", true)] {
        simulate(703, |world| async move {
            let supervisor = everybody(&world).await;
            world.state().failing.insert("delete");
            world.state().breaks_late = breaks_late;
            let id = world.ask(&witness("r"), "r/witness", "restart");
            read_mail(&supervisor).await;
            world.until("its restart", secs(15), |state| state.created(&witness("r")).len() == 2).await;
            world.pass(mins(10)).await;
            assert_eq!(fate(&world, &witness("r")), (2, 1, true), "{name}");
            supervisor.vanish().await;
            let supervisor = world.supervisor().await;
            world.pass(mins(10)).await;
            assert_eq!(fate(&world, &witness("r")), (2, 1, true), "{name}, after our restart");
            world.state().failing.remove("delete");
            world.pass(mins(4)).await;
            assert!(!world.state().mailbox.holds(&id), "{name}: deleted in the end");
            let problems = supervisor.snapshot().await.problems;
            assert!(!problems.keys().any(|key| key.starts_with("mail/")), "{problems:#?}");
            assert_eq!(fate(&world, &witness("r")), (2, 1, true), "{name}");
        });
    }
}

#[test]
fn what_the_deacon_took_is_left_to_it() {
    simulate(704, |world| async move {
        let supervisor = everybody(&world).await;
        let id = world.mail("r/witness", "LIFECYCLE: restart", "restart");
        read_mail(&supervisor).await;
        let asked = |state: &State| state.trace.iter().any(|line| line.what.contains("mail delete"));
        world.until("the delete", secs(5), asked).await;
        world.deacon_takes(&id); // between our reading and our deleting
        world.pass(mins(10)).await;
        assert_eq!(fate(&world, &witness("r")), (1, 0, true));
    });
}

#[test]
fn a_message_that_doubles_is_carried_out_once() {
    simulate(705, |world| async move {
        let supervisor = everybody(&world).await;
        let id = world.ask(&witness("r"), "r/witness", "restart");
        world.mail_doubles(&id);
        read_mail(&supervisor).await;
        world.pass(mins(15)).await;
        assert_eq!(fate(&world, &witness("r")), (2, 1, true));
    });
}

/// Moments after a request: close together while it is claimed, when most can go wrong.
fn moments(until: Duration) -> impl Iterator<Item = Duration> {
    let claim = (0..200).step_by(10).map(millis);
    let end = (200..1000).step_by(100).map(millis);
    claim.chain(end).chain((1..until.as_secs()).map(secs))
}

/// We are killed at any point between the mail and the end of what it asked for.
#[test]
fn our_death_at_any_point_of_a_request_makes_no_difference() {
    for at in moments(secs(16)) {
        for (body, fails) in [("restart", false), ("stop", false), ("restart", true), ("stop", true)] {
            simulate(706, |world| async move {
                world.state().git_takes = millis(10);
                let supervisor = town(&world, &["r"]).await;
                if fails {
                    world.state().failing.insert("delete");
                }
                world.ask(&witness("r"), "r/witness", body);
                read_mail(&supervisor).await;
                world.pass(at).await;
                supervisor.vanish().await;
                world.pass(millis(300)).await;
                let supervisor = world.supervisor().await;
                world.pass(mins(12)).await;
                let (created, ended, lives) = fate(&world, &witness("r"));
                let expected = if body == "stop" { (1, 1, false) } else { (2, 1, true) };
                assert_eq!(
                    (created, ended, lives),
                    expected,
                    "{body}, killed after {at:?}, delete fails: {fails}"
                );
                let agent = supervisor.agent("r/witness").await;
                assert_eq!(agent.state, if body == "stop" { "held" } else { "alive" }, "{agent:#?}");
            });
        }
    }
}

#[test]
fn the_actors_may_crash_at_any_point_too() {
    for actor in ["r/witness", "mail", "rig r", "root"] {
        for at in moments(secs(6)) {
            simulate(707, |world| async move {
                world.state().git_takes = millis(10);
                let supervisor = town(&world, &["r"]).await;
                world.ask(&witness("r"), "r/witness", "restart");
                read_mail(&supervisor).await;
                world.pass(at).await;
                supervisor.crash(actor).await;
                world.pass(mins(12)).await;
                assert_eq!(fate(&world, &witness("r")), (2, 1, true), "{actor} after {at:?}");
            });
        }
    }
}

#[test]
fn requests_for_one_agent_run_one_after_the_other() {
    for (bodies, expected, state) in [
        (["restart", "restart"], (3, 2, true), "alive"),
        (["restart", "stop"], (2, 2, false), "held"),
        (["stop", "restart"], (2, 1, true), "alive"),
        (["stop", "stop"], (1, 1, false), "held"),
    ] {
        simulate(708, |world| async move {
            let supervisor = everybody(&world).await;
            for body in bodies {
                world.ask(&witness("r"), "r/witness", body);
                // So that the end of what the first one starts is allowed as well.
                world.pass(millis(20)).await;
            }
            world.allow_end(&witness("r"));
            read_mail(&supervisor).await;
            world.pass(mins(5)).await;
            assert_eq!(fate(&world, &witness("r")), expected, "{bodies:?}");
            assert_eq!(supervisor.agent("r/witness").await.state, state, "{bodies:?}");
        });
    }
}

#[test]
fn requests_for_different_agents_run_side_by_side() {
    simulate(709, |world| async move {
        let rigs = ["a", "b", "c"];
        let supervisor = town(&world, &rigs).await;
        let asked = world.time();
        for rig in rigs {
            world.ask(&witness(rig), &format!("{rig}/witness"), "cycle");
        }
        read_mail(&supervisor).await;
        let all = |state: &State| rigs.iter().all(|rig| state.created(&witness(rig)).len() == 2);
        world.until("all of them", secs(10), all).await;
        let took = world.time() - asked;
        assert!(took < secs(5), "{took:?}: ending one takes up to two seconds");
    });
}

#[test]
fn a_start_of_our_own_makes_way() {
    for (body, lives) in [("restart", true), ("stop", false)] {
        simulate(710, |world| async move {
            let supervisor = everybody(&world).await;
            world.state().nature.appears = 20_000..20_001;
            world.crash_agent(&witness("r"), false);
            world.until("its repair", secs(5), |state| state.created(&witness("r")).len() == 2).await;
            world.allow_end(&witness("r"));
            world.ask(&witness("r"), "r/witness", body);
            let asked = world.time();
            read_mail(&supervisor).await;
            world.until("its end", secs(5), |state| state.ended(&witness("r")).len() == 1).await;
            assert!(world.time() - asked < secs(4), "the start under way is not waited for");
            world.pass(mins(5)).await;
            assert_eq!(world.state().lives(&witness("r")), lives, "{body}");
        });
    }
}

#[test]
fn what_is_not_carried_out_is_reported_and_deleted_or_left() {
    for (name, from, body, deleted, log) in [
        ("an unknown sender", "overseer", "restart", true, "\"overseer\" is not an agent of this town"),
        (
            "a rig that is not there",
            "nowhere/witness",
            "restart",
            true,
            "\"nowhere/witness\" is not an agent",
        ),
        ("nobody by that name", "r/nobody", "stop", true, "\"r/nobody\" is not an agent"),
        ("an unknown action", "r/witness", "{\"action\":\"explode\"}", false, "explode"),
        ("no action at all", "r/witness", "please restart me", false, "is left in the deacon's inbox"),
    ] {
        simulate(711, |world| async move {
            let supervisor = everybody(&world).await;
            let id = world.mail(from, "Lifecycle: hello", body);
            read_mail(&supervisor).await;
            world.pass(mins(10)).await;
            assert_eq!(world.state().mailbox.holds(&id), !deleted, "{name}");
            assert_eq!(world.logged(log).len(), 1, "{name}: told once");
            assert_eq!(fate(&world, &witness("r")), (1, 0, true), "{name}");
            let left = supervisor.snapshot().await.problems.contains_key("mail/left");
            assert_eq!(left, !deleted, "{name}");
        });
    }
}

#[test]
fn a_rig_that_is_not_operational_is_left_alone() {
    simulate(712, |world| async move {
        let supervisor = everybody(&world).await;
        world.write_wisp("r", r#""status":"parked""#);
        world.pass(secs(5)).await;
        for (session, from) in [(witness("r"), "r/witness"), (polecat("r", "nux"), "r/nux")] {
            for body in ["restart", "stop"] {
                world.mail(from, "LIFECYCLE: please", body);
                let before = fate(&world, &session);
                read_mail(&supervisor).await;
                world.pass(mins(4)).await;
                assert_eq!(fate(&world, &session), before, "{from}, {body}");
            }
        }
        assert_eq!(world.logged("refused: rig is parked").len(), 4);
        assert_eq!(world.state().mailbox.messages.len(), 0);
    });
}

#[test]
fn old_requests_are_deleted_and_not_carried_out() {
    simulate(713, |world| async move {
        let supervisor = everybody(&world).await;
        let ago = |world: &World, minutes: i64| {
            (world.wall() - jiff::SignedDuration::from_mins(minutes)).to_string()
        };
        let old = ago(&world, 361);
        let id = world.mail_with("r/witness", "LIFECYCLE: x", "restart", |it| it["timestamp"] = old.into());
        read_mail(&supervisor).await;
        world.pass(mins(4)).await;
        assert!(!world.state().mailbox.holds(&id));
        assert_eq!(fate(&world, &witness("r")), (1, 0, true), "too old");
        for (name, timestamp) in [
            ("young enough", ago(&world, 350)),
            ("unreadable", "yesterday".into()),
            ("ahead", ago(&world, -900)),
        ] {
            let made = fate(&world, &refinery("r")).0;
            let mut message = None;
            let asked = world.ask(&refinery("r"), "r/refinery", "restart");
            for it in &mut world.state().mailbox.messages {
                if it["id"] == asked {
                    it["timestamp"] = timestamp.clone().into();
                    message = Some(asked.clone());
                }
            }
            assert!(message.is_some());
            read_mail(&supervisor).await;
            world.until(name, secs(20), |state| state.created(&refinery("r")).len() == made + 1).await;
            world.pass(mins(2)).await;
        }
    });
}

#[test]
fn mayor_and_crew_are_supervised_only_on_request() {
    for (session, from, identity) in [(MAYOR, "mayor/", "mayor"), (CREW, "r/max", "r/crew/max")] {
        simulate(714, |world| async move {
            let supervisor = everybody(&world).await;
            assert!(supervisor.snapshot().await.agents.iter().all(|agent| agent.identity != identity));
            world.ask(session, from, "restart");
            read_mail(&supervisor).await;
            world.until("its start", secs(10), |state| state.lives(session)).await;
            world.pass(mins(4)).await;
            assert_eq!(supervisor.agent(identity).await.state, "alive", "{identity}");
            world.crash_agent(session, false);
            world.pass(mins(20)).await;
            assert!(!world.state().lives(session), "{identity} is not brought back");
            assert_eq!(supervisor.agent(identity).await.state, "absent", "{identity}");
            assert_eq!(world.events("session_death"), Vec::<serde_json::Value>::new());
            world.ask(session, from, "restart");
            read_mail(&supervisor).await;
            world.until("its start", secs(10), |state| state.lives(session)).await;
            world.pass(mins(2)).await;
            world.ask(session, from, "stop");
            read_mail(&supervisor).await;
            world.until("its end", secs(10), |state| !state.lives(session)).await;
        });
    }
}

#[test]
fn mail_is_seen_when_it_comes_and_at_each_heartbeat() {
    simulate(715, |world| async move {
        let supervisor = everybody(&world).await;
        world.ask(&witness("r"), "r/witness", "restart");
        world.until("the heartbeat", mins(4), |state| state.created(&witness("r")).len() == 2).await;
        world.pass(mins(3)).await;
        world.ask(&refinery("r"), "r/refinery", "restart");
        let asked = world.time();
        world.ledger_changes();
        world.until("the hint", mins(1), |state| state.created(&refinery("r")).len() == 2).await;
        let took = world.time() - asked;
        assert!(took < secs(15), "{took:?}");
        drop(supervisor);
    });
}

#[test]
fn with_gt_and_bd_hanging_for_good_everything_else_continues() {
    simulate(716, |world| async move {
        let supervisor = everybody(&world).await;
        world.hang("gt");
        world.hang("bd");
        world.mail("r/witness", "LIFECYCLE: please", "restart");
        read_mail(&supervisor).await;
        world.pass(mins(7)).await;
        let beats = supervisor.snapshot().await.heartbeat.count;
        world.crash_agent(&witness("r"), false);
        world.until("its repair", secs(2), |state| state.created(&witness("r")).len() == 2).await;
        world.pass(mins(10)).await;
        let town = supervisor.snapshot().await;
        assert!(town.heartbeat.count >= beats + 3, "{} heartbeats", town.heartbeat.count - beats);
        assert_eq!(town.heartbeat.late, Vec::<String>::new());
        assert!(town.problems.contains_key("mail/inbox"), "{:#?}", town.problems);
        assert_eq!(world.logged("the deacon's inbox cannot be read").len(), 1, "told once");
        let took = supervisor.stop().await;
        assert!(took < millis(400), "{took:?}");
    });
}

#[test]
fn a_request_for_one_that_is_not_there_does_not_wait_for_one_that_comes() {
    simulate(718, |world| async move {
        let supervisor = everybody(&world).await;
        supervisor.vanish().await;
        // What it leaves when it is killed right after the claim.
        let claim = r#"{"identity":"r/polecats/ghost","action":"restart","stage":"due","number":0}"#;
        world.write("daemon/supervisor/claims.json", &format!(r#"{{"requests":{{"hq-1":{claim}}}}}"#));
        let open = |world: &World| world.text("daemon/supervisor/claims.json").unwrap().contains("hq-1");
        let _supervisor = world.supervisor().await;
        world.pass(mins(10)).await;
        assert!(!open(&world), "it is over: there is nobody to start");
        let session = world.polecat_at_work("r", "ghost");
        world.pass(mins(10)).await;
        assert_eq!(fate(&world, &session), (0, 0, true), "and one that comes later is left alone");
    });
}

#[test]
fn a_flooded_inbox_is_one_problem_and_what_is_asked_for_in_it_is_carried_out() {
    simulate(717, |world| async move {
        let supervisor = everybody(&world).await;
        for number in 0..10_000 {
            let body = if number % 3 == 0 { r#"{"action":"explode"}"# } else { "all is well" };
            let subject = if number % 3 == 0 { "LIFECYCLE: x" } else { "Status report" };
            world.mail(if number % 2 == 0 { "r/witness" } else { "mayor/" }, subject, body);
        }
        world.mail("r/witness", "Hello", &"x".repeat(1 << 20));
        world.ask(&refinery("r"), "r/refinery", "cycle");
        read_mail(&supervisor).await;
        let again = |state: &State| state.created(&refinery("r")).len() == 2;
        world.until("its fresh start", secs(20), again).await;
        world.pass(mins(7)).await;
        let town = supervisor.snapshot().await;
        assert_eq!(town.problems.keys().filter(|key| key.starts_with("mail/")).count(), 1);
        let problem = &town.problems["mail/left"];
        assert!(problem.len() < 300 && problem.contains(" and 3329 more"), "{problem}");
        assert_eq!(world.logged("is left in the deacon's inbox").len(), 20, "not all of them, and once");
        assert_eq!(town.heartbeat.late, Vec::<String>::new());
    });
}
