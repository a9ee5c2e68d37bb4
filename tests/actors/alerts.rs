//! The alerts' actor: what it sends, when, and that it sends it once, across crashes and supervisors.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use futures::FutureExt;
use gastown_supervisor::{
    alerts::{
        Kind,
        register::{ACTOR, News, Running},
    },
    deps::Deps,
    ports::problems::{Condition, ProblemKey},
    supervision::child::{ActorReport, Answer, Contact},
    watchers::alerts::{
        actor::{AlertsActor, AlertsMsg, contact},
        raise,
    },
};
use ractor::{Actor, ActorRef, RpcReplyPort};
use serde_json::Value;

use crate::{town, world::*};

const SETTINGS: &str = r#"{"notify": {"webhook": "https://a.example/secret/hook", "timeout": "4s"}}"#;

/// A supervisor's part that delivers alerts.
struct Part {
    deps: Arc<Deps>,
    actor: ActorRef<AlertsMsg>,
    root: Arc<AtomicBool>,
}

async fn deps(world: &World, settings: &str) -> Arc<Deps> {
    world.write("settings/supervisor.json", settings);
    town(world).await
}

/// The part of a supervisor with this process id, which loads what the one before left.
async fn part(world: &World, settings: &str, pid: u32) -> Part {
    let deps = deps(world, settings).await;
    deps.alerts.load(&deps).await;
    begin(deps, pid).await
}

async fn begin(deps: Arc<Deps>, pid: u32) -> Part {
    let root = Arc::new(AtomicBool::new(true));
    let answers = root.clone();
    let started_at = jiff::Timestamp::from_second(1_700_000_000 + i64::from(pid)).unwrap();
    let running = Running { pid, started_at };
    let asked: gastown_supervisor::watchers::alerts::actor::RootAnswers = Arc::new(move |_| {
        let answers = answers.load(Ordering::Relaxed);
        async move { answers }.boxed()
    });
    let arguments = (deps.clone(), deps.problems.reader(), running, asked);
    let actor = Actor::spawn(None, AlertsActor, arguments).await.unwrap().0;
    deps.directory.register_other(ACTOR, contact().with(actor.clone()));
    Part { deps, actor, root }
}

fn got(world: &World) -> Vec<Value> {
    world.state().network.alerts("/secret/hook")
}

/// What was posted: kind, and `over` when it is resolved.
fn kinds(world: &World) -> Vec<String> {
    let word = |alert: &Value| {
        let over = if alert["resolved"] == true { " over" } else { "" };
        format!("{}{over}", alert["kind"].as_str().unwrap())
    };
    got(world).iter().map(word).collect()
}

fn broken_tool() -> ProblemKey {
    ProblemKey::named("sessions").meaning(Condition::BrokenTool)
}

fn news(n: usize) -> News {
    News {
        kind: Kind::MassDeath,
        summary: format!("sentence {n}"),
        agents: vec!["deacon".into()],
        attach: None,
        event: Value::Null,
    }
}

fn serve(world: &World, serves: Serves) {
    world.state().network.serves = serves;
}

#[test]
fn a_problem_is_one_alert_and_one_end() {
    simulate(400, |world| async move {
        let part = part(&world, SETTINGS, 1).await;
        world.pass(secs(30)).await;
        assert_eq!(kinds(&world), [""; 0]);
        let problem = ProblemKey::named;
        let report = |key, text: &str| part.deps.problems.report(key, text);
        report(broken_tool(), "sessions cannot be seen");
        report(problem("write/a").meaning(Condition::CannotWrite), "no space left");
        report(problem("write/b").meaning(Condition::CannotWrite), "no space left");
        part.deps.problems.report("heartbeat/late", "not for people outside");
        world.pass(secs(60)).await;
        assert_eq!(kinds(&world), ["broken_tool", "cannot_write"]);
        let alert = got(&world)[0].clone();
        assert_eq!(alert["summary"], "sessions cannot be seen");
        assert_eq!((&alert["town"], &alert["host"]), (&TOWN.into(), &"machine".into()));
        assert_eq!(alert["event"]["type"], "broken_tool");
        part.deps.problems.clear("sessions");
        part.deps.problems.clear("write/a");
        world.pass(secs(60)).await;
        assert_eq!(kinds(&world), ["broken_tool", "cannot_write", "broken_tool over"]);
        let over = got(&world)[2].clone();
        assert_eq!(over["event"]["payload"]["alert"], alert["id"], "which alert is over");
        assert_ne!(over["id"], alert["id"]);
    });
}

#[test]
fn nothing_is_done_where_nothing_is_configured() {
    simulate(401, |world| async move {
        let part = part(&world, "{}", 1).await;
        part.deps.problems.report(broken_tool(), "sessions cannot be seen");
        raise(&part.deps, news(1)).await;
        world.pass(mins(10)).await;
        assert!(world.state().network.got.is_empty());
        assert_eq!(world.text("daemon/supervisor/alerts.json"), None);
    });
}

#[test]
fn a_server_that_fails_hangs_or_lies_gets_it_again_until_it_accepts_it() {
    for (name, serves, settings) in [
        ("fails", Serves::Answer(500, ""), SETTINGS),
        ("redirects", Serves::Answer(302, ""), SETTINGS),
        ("hangs", Serves::Hangs, SETTINGS),
        (
            "lies",
            Serves::Answer(200, "<html>log in</html>"),
            r#"{"notify": {"webhook": "https://a.example/secret/hook", "webhook_shape": "slack"}}"#,
        ),
    ] {
        simulate(402, |world| async move {
            let part = part(&world, settings, 1).await;
            serve(&world, serves);
            raise(&part.deps, news(1)).await;
            world.pass(mins(2)).await;
            let tries = world.state().network.got.len();
            assert!((4..=8).contains(&tries), "{name}: with growing pauses: {tries}");
            let problem = part.deps.problems.open()["notify/notify.webhook"].clone();
            assert!(
                problem.contains("https://a.example") && !problem.contains("secret"),
                "{name}: {problem}"
            );
            serve(&world, Serves::Answer(200, "ok"));
            world.pass(mins(5)).await;
            let ids: Vec<Value> = got(&world).into_iter().map(|alert| alert["id"].clone()).collect();
            assert!(ids.windows(2).all(|two| two[0] == two[1]), "{name}: the same id");
            let tries = world.state().network.got.len();
            world.pass(mins(10)).await;
            assert_eq!(world.state().network.got.len(), tries, "{name}: and then no more");
            assert!(!part.deps.problems.any("notify/"), "{name}");
            assert!(world.logged("secret").is_empty(), "{name}");
        });
    }
}

#[test]
fn retries_have_an_end() {
    simulate(403, |world| async move {
        let part = part(&world, SETTINGS, 1).await;
        serve(&world, Serves::Answer(500, ""));
        raise(&part.deps, news(1)).await;
        world.pass(mins(6 * 60 + 10)).await;
        let tries = world.state().network.got.len();
        assert!((70..90).contains(&tries), "{tries}");
        world.pass(mins(60)).await;
        assert_eq!(world.state().network.got.len(), tries);
        assert_eq!(
            world.logged("an alert was never delivered by notify.webhook (https://a.example)").len(),
            1
        );
        let lost = "notify/notify.webhook/lost";
        let text = "1 alert never delivered by notify.webhook (https://a.example); the last: sentence 1";
        assert_eq!(part.deps.problems.open()[lost], text);
        // One that is refused for what is in it does not hold up the next.
        serve(&world, Serves::Answer(400, ""));
        raise(&part.deps, news(2)).await;
        world.pass(mins(1)).await;
        assert_eq!(world.state().network.got.len(), tries + 3);
        serve(&world, Serves::Answer(204, ""));
        raise(&part.deps, news(3)).await;
        world.pass(mins(6)).await;
        assert_eq!(got(&world).last().unwrap()["summary"], "sentence 3");
        assert!(part.deps.problems.open()[lost].starts_with("2 alerts never delivered"), "it stays so");
        world.pass(mins(24 * 60 + 1)).await;
        assert!(!part.deps.problems.any("notify/"), "for a day");
    });
}

#[test]
fn of_a_digest_that_is_refused_only_the_alert_at_fault_is_lost() {
    simulate(406, |world| async move {
        let part = part(&world, SETTINGS, 1).await;
        serve(&world, Serves::Refuses(&["sentence 7", r#""kind":"digest""#]));
        for n in 0..12 {
            raise(&part.deps, news(n)).await;
        }
        world.pass(mins(5)).await;
        let accepted: BTreeSet<String> = got(&world)
            .iter()
            .filter(|alert| alert["kind"] != "digest")
            .map(|alert| alert["summary"].as_str().unwrap().to_owned())
            .filter(|summary| summary != "sentence 7")
            .collect();
        let expected = (0..12).filter(|n| *n != 7).map(|n| format!("sentence {n}"));
        assert_eq!(accepted, expected.collect::<BTreeSet<_>>(), "{:?}", kinds(&world));
        assert_eq!(kinds(&world).iter().filter(|kind| *kind == "digest").count(), 1, "{:?}", kinds(&world));
        assert_eq!(world.logged("it said: sentence 7").len(), 1);
        assert_eq!(world.logged("an alert was never delivered").len(), 1);
        let problems = part.deps.problems.open();
        assert!(problems["notify/notify.webhook/lost"].ends_with("the last: sentence 7"), "{problems:?}");
        assert!(!problems.contains_key("notify/notify.webhook"), "{problems:?}");
    });
}

#[test]
fn many_at_once_are_one_message() {
    simulate(404, |world| async move {
        let part = part(&world, SETTINGS, 1).await;
        for n in 0..12 {
            raise(&part.deps, news(n)).await;
            world.pass(secs(1)).await;
        }
        world.pass(mins(2)).await;
        let alerts = got(&world);
        assert_eq!(alerts.len(), 6, "five and one: {:?}", kinds(&world));
        assert_eq!(alerts[5]["kind"], "digest");
        assert_eq!(alerts[5]["event"]["payload"]["count"], 7);
        assert!(alerts[5]["summary"].as_str().unwrap().starts_with("7 alerts (7 mass_death): sentence 5; "));
    });
}

#[test]
fn each_once_across_supervisors_and_crashes_of_the_actor() {
    simulate(405, |world| async move {
        let first = part(&world, SETTINGS, 1).await;
        serve(&world, Serves::Answer(500, ""));
        first.deps.problems.report(broken_tool(), "sessions cannot be seen");
        raise(&first.deps, news(1)).await;
        world.pass(secs(20)).await;
        // Killed: nothing is closed.
        first.actor.kill();
        world.pass(secs(1)).await;
        serve(&world, Serves::Answer(200, "ok"));
        world.state().network.got.clear();
        let second = part(&world, SETTINGS, 2).await;
        second.deps.problems.report(broken_tool(), "sessions cannot be seen");
        world.pass(mins(5)).await;
        assert_eq!(kinds(&world), ["mass_death", "broken_tool", "supervisor_crashed"]);
        // The actor alone crashes.
        second.actor.kill();
        world.pass(secs(1)).await;
        let third = begin(second.deps.clone(), 2).await;
        world.pass(mins(5)).await;
        assert_eq!(got(&world).len(), 3, "{:?}", kinds(&world));
        // An orderly stop: the next says nothing, and an end that it finds is reported.
        third.deps.alerts.close(&third.deps).await;
        third.actor.kill();
        world.pass(secs(1)).await;
        let _fourth = part(&world, SETTINGS, 4).await;
        world.pass(mins(5)).await;
        assert_eq!(got(&world).len(), 3, "nothing was found yet, so nothing is over: {:?}", kinds(&world));
        world.pass(mins(10)).await;
        assert_eq!(kinds(&world)[3..], ["broken_tool over"]);
    });
}

/// Another actor, which answers or does not.
struct Other;

impl Actor for Other {
    type Msg = RpcReplyPort<Value>;
    type State = Vec<RpcReplyPort<Value>>;
    type Arguments = ();

    async fn pre_start(
        &self,
        _: ActorRef<Self::Msg>,
        (): (),
    ) -> Result<Self::State, ractor::ActorProcessingErr> {
        Ok(Vec::new())
    }

    async fn handle(
        &self,
        _: ActorRef<Self::Msg>,
        message: Self::Msg,
        kept: &mut Self::State,
    ) -> Result<(), ractor::ActorProcessingErr> {
        kept.push(message);
        Ok(())
    }
}

#[test]
fn signs_of_life_only_while_all_actors_answer() {
    simulate(406, |world| async move {
        let settings = r#"{"notify": {"heartbeat_url": "https://b.example/secret/beat"}}"#;
        let part = part(&world, settings, 1).await;
        let beats = || world.state().network.got.len();
        world.pass(secs(10)).await;
        assert_eq!(beats(), 1);
        world.pass(mins(5)).await;
        assert_eq!(beats(), 6, "one each minute");
        assert_eq!(world.state().network.got[0].1, "https://b.example/secret/beat");
        part.root.store(false, Ordering::Relaxed);
        world.pass(mins(5)).await;
        assert_eq!(beats(), 6, "the root does not answer");
        part.root.store(true, Ordering::Relaxed);
        world.pass(mins(2)).await;
        assert_eq!(beats(), 8);
        let stuck = Actor::spawn(None, Other, ()).await.unwrap().0;
        let contact = Contact::taking(|_| None)
            .answering(|reply| reply, |_: Value| Answer::Actors(Vec::<ActorReport>::new()));
        part.deps.directory.register_other("other", contact.with(stuck.clone()));
        world.pass(mins(5)).await;
        assert_eq!(beats(), 8, "one does not answer");
        stuck.kill();
        world.pass(mins(5)).await;
        assert_eq!(beats(), 8, "one does not run");
        part.deps.directory.forget_other("other");
        serve(&world, Serves::Answer(500, ""));
        world.pass(mins(2)).await;
        let problem = part.deps.problems.open()["notify/heartbeat_url"].clone();
        assert!(problem.contains("(https://b.example)") && !problem.contains("secret"), "{problem}");
        serve(&world, Serves::Answer(200, ""));
        world.pass(mins(1)).await;
        assert!(!part.deps.problems.any("notify/"));
    });
}
