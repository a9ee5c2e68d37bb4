//! The death window: what it reports, when, and that it reports it once.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use gastown_supervisor::{
    commands::{Command, CommandError, Commands, Printed},
    deaths::{
        register::{ACTOR, DeathsSnapshot},
        rules::ConfirmedDeath,
    },
    deps::Deps,
    supervision::{child::ask, messages::Broadcast},
    town::identity::Identity,
    watchers::deaths::{DeathWindow, DeathsMsg, contact},
};
use jiff::SignedDuration;
use ractor::{Actor, ActorRef};
use serde_json::Value;

use crate::{town, world::*};

/// The command that gets alerts: what was run, and with what on its standard input.
#[derive(Clone, Default)]
struct Notified(Arc<Mutex<Vec<(Command, Value)>>>);

impl Notified {
    fn sessions(&self) -> Vec<String> {
        self.0.lock().unwrap().iter().map(|(_, alert)| names(alert)).collect()
    }
}

#[async_trait]
impl Commands for Notified {
    async fn run(&self, command: Command) -> Result<Printed, CommandError> {
        tokio::time::sleep(secs(3)).await;
        let Some(input) = command.input.clone() else { return Ok(Printed::default()) };
        assert_eq!(input.iter().filter(|byte| **byte == b'\n').count(), 1, "one line");
        self.0.lock().unwrap().push((command, serde_json::from_slice(&input).unwrap()));
        Ok(Printed::default())
    }

    async fn locate(&self, program: &str) -> Option<PathBuf> {
        Some(PathBuf::from("/bin").join(program))
    }

    fn search_path(&self) -> Option<String> {
        Some("/bin".to_owned())
    }
}

/// A supervisor's ports, whose commands only note their input.
async fn notifying(world: &World) -> (Arc<Deps>, Notified) {
    world.write(
        "settings/supervisor.json",
        r#"{"notify": {"command": "ring the bell", "timeout": "7s"}, "deaths": {"settle": "0s"}}"#,
    );
    world.write("/proc/vmstat", "pgfault 1\noom_kill 3\n");
    let notified = Notified::default();
    let mut deps = (*town(world).await).clone();
    deps.ledger.ports.commands = Arc::new(notified.clone());
    (Arc::new(deps), notified)
}

async fn spawn(deps: &Arc<Deps>) -> ActorRef<DeathsMsg> {
    let actor = Actor::spawn(None, DeathWindow, deps.clone()).await.unwrap().0;
    deps.directory.register_other(ACTOR, contact().with(actor.clone()));
    actor
}

async fn probe(actor: &ActorRef<DeathsMsg>) -> DeathsSnapshot {
    ask(actor, DeathsMsg::Status, millis(1)).await.unwrap()
}

fn death(deps: &Deps, session: &str) -> ConfirmedDeath {
    let agent = Identity::Deacon;
    ConfirmedDeath {
        agent,
        session: session.into(),
        noticed: deps.now(),
        exit: None,
        with_server: false,
        for_memory: false,
    }
}

fn dies(deps: &Deps, session: &str) {
    record(deps, death(deps, session));
}

fn all_die(deps: &Deps, sessions: &[&str]) {
    sessions.iter().for_each(|session| dies(deps, session));
}

fn record(deps: &Deps, death: ConfirmedDeath) {
    deps.deaths.record(death, deps.now(), &deps.settings().deaths);
    deps.directory.send_to_other(ACTOR, Broadcast::DeathRecorded);
}

/// The `mass_death` events in the town's log.
fn events(world: &World) -> Vec<Value> {
    let text = world.text(".events.jsonl").unwrap_or_default();
    let events = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    events.inspect(|event| assert_eq!(event["type"], "mass_death")).collect()
}

fn names(event: &Value) -> String {
    let sessions = event["payload"]["sessions"].as_array().unwrap();
    sessions.iter().map(|name| name.as_str().unwrap()).collect::<Vec<_>>().join(" ")
}

fn told(world: &World) -> Vec<String> {
    events(world).iter().map(names).collect()
}

#[test]
fn one_alert_and_one_follow_up_reported_everywhere_once() {
    simulate(160, |world| async move {
        let (deps, notified) = notifying(&world).await;
        let actor = spawn(&deps).await;
        world.pass(secs(100)).await;
        for session in ["gt-r-b", "gt-r-a"] {
            dies(&deps, session);
            world.pass(secs(5)).await;
        }
        assert_eq!(told(&world), [""; 0]);
        assert_eq!(probe(&actor).await.in_window, 2);
        dies(&deps, "hq-deacon");
        world.pass(millis(10)).await;
        assert_eq!(told(&world), ["gt-r-b gt-r-a hq-deacon"]);
        assert_eq!(events(&world)[0]["payload"]["window"], "30s");
        assert_eq!(events(&world)[0]["payload"]["count"], 3);
        let line = "MASS DEATH DETECTED: 3 sessions died in 30s: [gt-r-b gt-r-a hq-deacon]";
        assert_eq!(world.logged(line).len(), 1);
        let snapshot = probe(&actor).await;
        assert!(snapshot.paced);
        assert_eq!(snapshot.last.unwrap().sessions.len(), 3);
        for session in ["gt-r-c", "gt-r-a", "gt-r-d", "gt-r-c"] {
            world.pass(secs(5)).await;
            dies(&deps, session);
        }
        assert_eq!(probe(&actor).await.follow_up, 2);
        world.pass(mins(5)).await;
        let both = ["gt-r-b gt-r-a hq-deacon", "gt-r-c gt-r-d"];
        assert_eq!(told(&world), both);
        assert_eq!(world.logged("MASS DEATH DETECTED").len(), 2);
        assert_eq!(notified.sessions(), both);
        let (command, alert) = notified.0.lock().unwrap()[0].clone();
        assert_eq!(alert, events(&world)[0], "the event's line");
        assert_eq!(
            (command.program.as_str(), command.arguments.join(" ").as_str()),
            ("sh", "-c ring the bell")
        );
        assert_eq!((command.directory, command.limit), (PathBuf::from(TOWN), secs(7)));
        let snapshot = probe(&actor).await;
        assert_eq!((snapshot.paced, snapshot.pending, snapshot.in_window), (false, 0, 0));
        assert_eq!(snapshot.last.unwrap().sessions.len(), 5);
    });
}

#[test]
fn the_first_alert_waits_for_those_who_die_together() {
    simulate(168, |world| async move {
        let (_, notified) = notifying(&world).await;
        world.write("settings/supervisor.json", r#"{"notify": {"command": "ring the bell"}}"#);
        let mut deps = (*town(&world).await).clone();
        deps.ledger.ports.commands = Arc::new(notified.clone());
        let deps = Arc::new(deps);
        let actor = spawn(&deps).await;
        all_die(&deps, &["a", "b", "c"]);
        world.pass(millis(1500)).await;
        all_die(&deps, &["d", "e"]);
        assert_eq!(told(&world), [""; 0]);
        assert!(probe(&actor).await.paced, "restarts are paced meanwhile");
        // Another incarnation continues.
        actor.kill();
        world.pass(millis(100)).await;
        let _actor = spawn(&deps).await;
        world.pass(millis(300)).await;
        assert_eq!(told(&world), [""; 0]);
        world.pass(millis(200)).await;
        assert_eq!(told(&world), ["a b c d e"]);
        world.pass(mins(2)).await;
        assert_eq!(notified.sessions(), ["a b c d e"]);
    });
}

#[test]
fn the_follow_up_comes_in_time_and_only_if_somebody_died() {
    simulate(161, |world| async move {
        let (deps, _) = notifying(&world).await;
        let _actor = spawn(&deps).await;
        for with_more in [false, true] {
            let before = told(&world).len();
            all_die(&deps, &["a", "b", "c"]);
            world.pass(secs(29)).await;
            if with_more {
                dies(&deps, "d");
            }
            world.pass(secs(6)).await;
            assert_eq!(told(&world).len(), before + 1);
            world.pass(secs(2)).await;
            assert_eq!(told(&world).len(), before + 1 + usize::from(with_more), "36 s after the alert");
            world.pass(mins(2)).await;
        }
    });
}

#[test]
fn causes() {
    for (name, expected) in [
        ("memory", Some("out of memory: the kernel killed processes")),
        ("memory, just after a reading", Some("out of memory: the kernel killed processes")),
        ("memory long ago", None),
        ("slept", Some("the machine slept for 1h")),
        ("server", Some("tmux server died")),
        ("exit", Some("all ended with exit status 137")),
        ("counters hang", Some("all ended with exit status 137")),
        ("nothing", None),
    ] {
        simulate(162, |world| async move {
            let (deps, _) = notifying(&world).await;
            let _actor = spawn(&deps).await;
            world.pass(secs(119)).await;
            let oom = |world: &World| world.write("/proc/vmstat", "oom_kill 5\n");
            let mut deaths = ["a", "b", "c"].map(|session| death(&deps, session));
            match name {
                "memory" => oom(&world),
                "memory, just after a reading" => {
                    oom(&world);
                    world.pass(secs(2)).await;
                }
                "memory long ago" => {
                    oom(&world);
                    world.pass(mins(3)).await;
                    deaths = ["a", "b", "c"].map(|session| death(&deps, session));
                }
                "slept" => {
                    world.jump(SignedDuration::from_hours(1));
                    world.pass(secs(5)).await; // in which clocks and counters were read once more
                }
                "server" => deaths[1].with_server = true,
                "exit" | "counters hang" => deaths.iter_mut().for_each(|it| it.exit = Some(137)),
                _ => {}
            }
            if name == "counters hang" {
                world.hang("read");
            }
            deaths.into_iter().for_each(|death| record(&deps, death));
            world.pass(secs(2)).await;
            let alerts = events(&world);
            assert_eq!(alerts.len(), 1, "{name}");
            assert_eq!(
                alerts[0]["payload"].get("possible_cause").and_then(Value::as_str),
                expected,
                "{name}"
            );
            let lines = world.logged("Possible cause of the mass death: ").len();
            assert_eq!(lines, usize::from(expected.is_some()), "{name}");
        });
    }
}

#[test]
fn a_restart_of_the_actor_loses_nothing_and_reports_nothing_twice() {
    // When it crashes, counted from the death, and for how long there is none.
    for (name, hangs, crash_after, away) in [
        ("at once", None, Duration::ZERO, millis(1)),
        ("looking for the cause", Some("read"), millis(500), millis(1)),
        ("told, the command runs", None, secs(1), millis(1)),
        ("all delivered", None, secs(4), millis(1)),
        ("the follow-up is due meanwhile", None, secs(29), secs(20)),
    ] {
        simulate(163, |world| async move {
            let (deps, notified) = notifying(&world).await;
            let actor = spawn(&deps).await;
            world.pass(secs(5)).await;
            if let Some(call) = hangs {
                world.hang(call);
            }
            all_die(&deps, &["a", "b", "c", "d"]);
            world.pass(crash_after).await;
            actor.kill();
            world.pass(millis(1)).await;
            if let Some(call) = hangs {
                world.release(call);
            }
            dies(&deps, "e"); // while no actor receives it
            world.pass(away).await;
            let actor = spawn(&deps).await;
            world.pass(mins(2)).await;
            assert_eq!(told(&world), ["a b c", "d e"], "{name}");
            assert_eq!(world.logged("MASS DEATH DETECTED").len(), 2, "{name}");
            assert_eq!(notified.sessions(), ["a b c", "d e"], "{name}");
            assert_eq!(probe(&actor).await.pending, 0, "{name}");
        });
    }
}

#[test]
fn restarts_are_paced_from_the_third_death_on() {
    simulate(164, |world| async move {
        let (deps, _) = notifying(&world).await;
        let _actor = spawn(&deps).await;
        let turn = |wanted: &str| {
            let wait = deps.deaths.pace(deps.now());
            deps.deaths.take_turn(deps.now(), &deps.settings().deaths);
            (wanted.to_owned(), wait.as_secs())
        };
        dies(&deps, "a");
        assert_eq!(turn("a").1, 0);
        dies(&deps, "b");
        assert_eq!(turn("b").1, 0, "two may be chance");
        dies(&deps, "c");
        let turns = ["c", "d", "e", "f"].map(turn).map(|(_, wait)| wait);
        assert_eq!(turns, [0, 2, 4, 6], "in the same breath");
        world.pass(secs(20)).await;
        assert_eq!(turn("g").1, 0);
        world.pass(secs(17)).await;
        assert_eq!([turn("h").1, turn("i").1], [0, 0], "it is over");
    });
}

#[test]
fn a_command_that_fails_is_reported_once_and_cleared() {
    simulate(165, |world| async move {
        world.write("settings/supervisor.json", r#"{"notify": {"command": "ring the bell"}}"#);
        let deps = town(&world).await;
        let actor = spawn(&deps).await;
        world.fail("command", true);
        for _ in 0..3 {
            all_die(&deps, &["a", "b", "c"]);
            world.pass(mins(2)).await;
        }
        let problem = deps.problems.open()["notify/command"].clone();
        assert!(problem.contains("notify.command") && problem.contains("ring the bell"), "{problem}");
        assert_eq!(world.logged("notify.command").len(), 1, "as long as it lasts");
        assert_eq!((told(&world).len(), probe(&actor).await.pending), (3, 0), "given up, the events stay");
        world.fail("command", false);
        all_die(&deps, &["a", "b", "c"]);
        world.pass(mins(2)).await;
        assert!(deps.problems.open().is_empty());
    });
}

#[test]
fn the_root_has_one_and_shows_it() {
    simulate(166, |world| async move {
        world.set_rigs(&["r"]);
        let supervisor = world.supervisor().await;
        world.pass(mins(1)).await;
        all_die(&supervisor.deps, &["a", "b", "c"]);
        world.pass(secs(1)).await;
        assert!(supervisor.snapshot().await.deaths["last"].is_null(), "it settles");
        world.pass(secs(2)).await;
        let town = supervisor.snapshot().await;
        assert_eq!(town.deaths["last"]["sessions"], serde_json::json!(["a", "b", "c"]));
        assert!(town.actors.iter().any(|actor| actor.name == "deaths" && actor.running));
        world.pass(mins(10)).await;
        assert!(supervisor.snapshot().await.heartbeat.late.is_empty(), "no heartbeat waits for it");
    });
}

#[test]
fn an_agent_in_a_crash_loop_is_reported_too() {
    simulate(167, |world| async move {
        world.write("settings/supervisor.json", r#"{"notify": {"command": "ring the bell"}}"#);
        world.set_rigs(&["r"]);
        let notified = Notified::default();
        let mut plan = world.plan().await;
        let mut deps = (*plan.deps).clone();
        deps.ledger.ports.commands = Arc::new(notified.clone());
        plan.deps = Arc::new(deps);
        let signals = gastown_supervisor::signals::Signals::default();
        let run = tokio::spawn(gastown_supervisor::tree::run(plan, signals.clone(), drop));
        for _ in 0..200 {
            world.pass(secs(5)).await;
            if world.state().sessions.contains_key(&witness("r")) {
                world.crash_agent(&witness("r"), false);
            }
        }
        let alerts: Vec<Value> = {
            let all = notified.0.lock().unwrap();
            all.iter().map(|(_, alert)| alert.clone()).collect()
        };
        assert_eq!(alerts.len(), 1, "{alerts:?}");
        assert_eq!(alerts[0]["type"], "crash_loop");
        assert_eq!(alerts[0]["payload"]["agent"], "r/witness");
        signals.tell(gastown_supervisor::signals::Signal::Stop);
        run.await.unwrap().unwrap();
    });
}
