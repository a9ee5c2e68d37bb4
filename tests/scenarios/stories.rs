//! The history of an agent: it alone must explain what happened, and why nothing was done.

use gastown_supervisor::{agent::phase::Phase, signals::Signal};

use crate::{town, world::*};

const WITNESS: &str = "r/witness";
const TOAST: &str = "r/polecats/Toast";

const GONE: &str = "session is gone (process exited) → confirming: decided in 1s";
const RESTART: &str = "died: crashed → starting: restart 1";
const RESTARTED: &str = "started in … (restart 1) → alive";
const STARTED: &str = "started in … → alive";

fn toast() -> String {
    polecat("r", "Toast")
}

/// A town with a witness of ours and a polecat that worked before. No end here has an exit status, as that would
/// depend on chance.
async fn begun(world: &World) -> Supervisor {
    world.state().git_takes = millis(10);
    let supervisor = town(world, &["r"]).await;
    world.polecat_at_work("r", "Toast");
    world.pass(mins(5)).await;
    assert_eq!(supervisor.story(WITNESS), ["not running → starting", STARTED]);
    assert_eq!(supervisor.story(TOAST), ["already running → alive: adopted"]);
    supervisor
}

/// Asserts how an agent's history continues after its start. Exit statuses, which are known by chance, are left
/// out.
fn tells(supervisor: &Supervisor, identity: &str, expected: &[&str]) {
    let begun = match identity {
        WITNESS | "deacon" => 2,
        TOAST => 1,
        _ => 0,
    };
    let without = |line: &String| line.replace("exited with 1)", "exited)").replace(" (exit 1)", "");
    let told: Vec<String> = supervisor.story(identity)[begun..].iter().map(without).collect();
    assert_eq!(told, expected, "{:#?}", supervisor.history(identity));
}

async fn read_mail(supervisor: &Supervisor) {
    supervisor.signals.tell(Signal::HeartbeatNow);
}

#[test]
fn a_crash_and_how_it_was_noticed() {
    type Act = fn(&World);
    let ends: [(&str, Act, &str, &str); 4] = [
        ("process exited", |world| world.crash_agent(&witness("r"), false), "session is gone", "crashed"),
        (
            "found by a probe",
            |world| {
                world.crash_agent(&witness("r"), true);
                world.hint();
            },
            "agent is gone, its session is there",
            "agent gone, shell left",
        ),
        (
            "found by a scan",
            |world| {
                world.state().weather.hints = 1.0;
                world.crash_agent(&witness("r"), false);
            },
            "session is gone",
            "crashed",
        ),
        ("tmux server exited", |world| world.kill_server(), "session is gone", "tmux server died"),
    ];
    for (sign, act, what, cause) in ends {
        simulate(800, |world| async move {
            let supervisor = begun(&world).await;
            act(&world);
            world.pass(mins(2)).await;
            let noticed = format!("{what} ({sign}) → confirming: decided in 1s");
            let died = format!("died: {cause} → starting: restart 1");
            // What ended with its server counts as no restart.
            let (died, back) = match cause {
                "tmux server died" => (died.replace(": restart 1", ""), STARTED),
                _ => (died, RESTARTED),
            };
            tells(&supervisor, WITNESS, &[&noticed, &died, back]);
        });
    }
}

#[test]
fn each_entry_has_the_time_at_which_it_was_and_is_read_by_machines() {
    simulate(801, |world| async move {
        let supervisor = begun(&world).await;
        let crash = world.wall();
        world.crash_agent(&witness("r"), false);
        world.pass(secs(20)).await;
        let again = world.wall();
        world.crash_agent(&witness("r"), false);
        world.pass(mins(1)).await;
        let entries = supervisor.history(WITNESS).entries;
        let after = |since: jiff::Timestamp, n: usize| entries[n].at.duration_since(since).as_millis();
        assert!(after(crash, 2) < 100 && (1000..1100).contains(&after(crash, 3)), "{entries:#?}");
        assert!(after(again, 5) < 100 && (1000..1100).contains(&after(again, 6)), "{entries:#?}");
        let waits = entries[6].until.unwrap();
        assert!((31_000..35_000).contains(&waits.duration_since(again).as_millis()), "{waits}");
        assert!(entries[7].at.duration_since(waits).as_millis() < 10, "its time had come");
        let states: Vec<&str> = entries.iter().filter_map(|it| it.state).map(Phase::as_str).collect();
        let round = ["confirming", "starting", "alive", "confirming", "waiting", "starting", "alive"];
        assert_eq!(states[2..], round);
    });
}

#[test]
fn a_backoff_and_a_crash_loop() {
    simulate(802, |world| async move {
        let supervisor = begun(&world).await;
        world.state().nature.doomed = vec![witness("r")];
        world.crash_agent(&witness("r"), false);
        supervisor.until_agent(WITNESS, "crash_loop", mins(15)).await;
        world.pass(mins(32)).await;
        world.state().nature.doomed.clear();
        world.pass(mins(40)).await;
        let mut expected: Vec<String> = [GONE, RESTART, RESTARTED].map(str::to_owned).to_vec();
        for n in 2..=5 {
            expected.extend([
                GONE.to_owned(),
                format!("died: crashed → waiting: restart {n} waits, next try then"),
                format!("its wait is over → starting: restart {n}"),
                format!("started in … (restart {n}) → alive"),
            ]);
        }
        let trial = "its wait is over → starting: trial after a crash loop";
        let tried = "started in … (trial after a crash loop) → alive";
        let held =
            "died: crashed; too many restarts within 15m → crash_loop: held after 5 restarts, next try then";
        let mail = "mail to mayor/: CRASH_LOOP: r/witness held after 5 restarts";
        let failed = "died: crashed → crash_loop: held after 6 restarts, next try then";
        expected.extend([GONE, held, mail, trial, tried, GONE, failed, trial, tried].map(str::to_owned));
        let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
        tells(&supervisor, WITNESS, &expected);
    });
}

#[test]
fn what_its_operators_did() {
    type Act = fn(&World);
    let not_now = "not running, no longer paused → starting";
    let acts: [(&str, Act, Act, &[&str]); 6] = [
        (
            "stopped by hand",
            |world| world.stop_agent(&witness("r"), millis(0), millis(9)),
            |_| {},
            &[
                GONE,
                "stopped by hand (`gt witness stop r`) → held: left alone for 10m, until then",
                "hold after a stop by hand ends: its time is over → starting",
                "started in … (hold over) → alive",
            ],
        ),
        (
            "parked and unparked",
            |world| world.park("r", 1),
            |world| world.unpark("r"),
            &[GONE, "not running → paused: rig is parked", not_now, STARTED],
        ),
        (
            "gt down",
            |world| world.take_down(mins(10)),
            |_| {},
            &[GONE, "not running → paused: gt down is taking the town down", not_now, STARTED],
        ),
        (
            "restarted by hand",
            |world| world.restart_agent(&witness("r")),
            |_| {},
            &[GONE, "is back by itself → alive: no action"],
        ),
        (
            "gt sling at work",
            |world| {
                world.gt("gt sling gt-1 r", TOWN, secs(30));
                world.after(millis(40), |world| world.crash_agent(&witness("r"), false));
            },
            |_| {},
            &[
                GONE,
                "session is gone → waiting for `gt sling gt-1 r` to end",
                "exited while `gt sling gt-1 r` was running → starting: restart 1",
                RESTARTED,
            ],
        ),
        (
            "parked with a witness that somebody keeps running",
            |world| world.write_wisp("r", r#""status":"parked""#),
            |world| world.unpark("r"),
            &["rig is parked → not touched until that ends", "supervised again"],
        ),
    ];
    for (name, act, undo, expected) in acts {
        simulate(803, |world| async move {
            println!("{name}");
            let supervisor = begun(&world).await;
            act(&world);
            world.pass(mins(9)).await;
            undo(&world);
            world.pass(mins(6)).await;
            tells(&supervisor, WITNESS, expected);
        });
    }
}

#[test]
fn a_start_that_is_given_up_or_fails() {
    simulate(804, |world| async move {
        let supervisor = begun(&world).await;
        world.state().nature.prompts = 20_000..20_001;
        world.crash_agent(&witness("r"), false);
        world.pass(secs(8)).await;
        world.hold_lock(true);
        world.pass(mins(4)).await;
        world.hold_lock(false);
        world.pass(mins(4)).await;
        tells(
            &supervisor,
            WITNESS,
            &[
                GONE,
                RESTART,
                "its start was given up: gt down is taking the town down → alive: what runs is left running",
                "gt down is taking the town down → not touched until that ends",
                "supervised again",
            ],
        );
    });
    simulate(805, |world| async move {
        let supervisor = begun(&world).await;
        world.state().programs.remove("claude");
        world.crash_agent(&witness("r"), false);
        world.pass(mins(10)).await;
        world.state().programs.insert("claude".to_owned());
        world.pass(mins(2)).await;
        // Tried again every half a minute, which is two lines and not forty.
        tells(
            &supervisor,
            WITNESS,
            &[
                GONE,
                RESTART,
                "could not be started: its program \"claude\" is not on PATH; install it or name another agent in \
                 settings/config.json → waiting: retried, next try then (20 times, last then)",
                "its wait is over → starting (20 times, last then)",
                STARTED,
            ],
        );
    });
}

#[test]
fn polecats() {
    type Act = fn(&World);
    let gone = "session is gone (process exited) → confirming: decided in 5s";
    let mail = "is alive but makes no progress (hook r-Toast) → mail to r/witness: \
                GUPP_VIOLATION: r-r-polecat-Toast stuck for 33m0s";
    let acts: [(&str, Act, &[&str]); 6] = [
        (
            "a crash",
            |world| world.crash_agent(&toast(), false),
            &[gone, "died: crashed, hook r-Toast → starting: restart 1", RESTARTED],
        ),
        (
            "without a hook",
            |world| {
                world.unhook("r", "Toast");
                world.crash_agent(&toast(), false);
            },
            &[gone, "not running → absent: no work on its hook"],
        ),
        (
            "removed",
            |world| world.nuke("r", "Toast", 1),
            &[
                gone,
                "not running → absent: its agent bead is closed",
                "its directory is gone → no longer supervised",
            ],
        ),
        ("it does not get on", |_| {}, &[mail]),
        (
            "with its server",
            |world| world.kill_server(),
            &[
                "session is gone (tmux server exited) → confirming: decided in 5s",
                "died: tmux server died, hook r-Toast → starting",
                STARTED,
            ],
        ),
        (
            "bd does not answer",
            |world| {
                world.fail("bd", true);
                world.crash_agent(&toast(), false);
                world.after(mins(5), |world| world.fail("bd", false));
            },
            &[
                gone,
                "undecided: `bd show r-polecat-Toast r-r-polecat-Toast --json --no-daemon` failed (exit \
                 code 1): it failed → no action (3 times, last then)",
                "died: crashed, hook r-Toast → starting: restart 1",
                RESTARTED,
            ],
        ),
    ];
    for (name, act, expected) in acts {
        simulate(806, |world| async move {
            println!("{name}");
            let supervisor = begun(&world).await;
            act(&world);
            world.pass(if name == "it does not get on" { mins(50) } else { mins(12) }).await;
            tells(&supervisor, TOAST, expected);
        });
    }
}

#[test]
fn many_deaths_take_turns() {
    simulate(807, |world| async move {
        let rigs = ["r", "s", "t", "u"];
        let supervisor = town(&world, &rigs).await;
        world.kill_server();
        world.pass(mins(2)).await;
        // Whose end is confirmed first is not.
        let agents = rigs.iter().flat_map(|rig| ["witness", "refinery"].map(|role| format!("{rig}/{role}")));
        let paced = agents.flat_map(|agent| supervisor.story(&agent));
        let paced = paced.filter(|line| line.contains("restarts are paced after a mass death")).count();
        assert!(paced >= 5, "{paced}: {:#?}", supervisor.story("u/refinery"));
        let waited =
            "died: tmux server died; restarts are paced after a mass death → waiting: its turn is in";
        let last = supervisor.story("u/refinery");
        assert!(last.iter().any(|line| line.starts_with(waited)), "{last:#?}");
        assert_eq!(last.last().unwrap(), STARTED);
    });
}

#[test]
fn a_usage_limit() {
    simulate(808, |world| async move {
        let supervisor = begun(&world).await;
        world.show(&witness("r"), &["Claude usage limit reached."]);
        world.pass(mins(2)).await;
        world.crash_agent(&witness("r"), false);
        world.pass(mins(17)).await;
        tells(
            &supervisor,
            WITNESS,
            &[
                "its plan is used up: Claude usage limit reached. → nothing is ended",
                GONE,
                "ended at a usage limit (Claude usage limit reached.) → waiting: \
                 retried in 15m, next try then",
                "its wait is over → starting",
                STARTED,
            ],
        );
    });
}

#[test]
fn requests() {
    simulate(809, |world| async move {
        let supervisor = begun(&world).await;
        for body in ["restart", "stop", "restart"] {
            world.ask(&witness("r"), "r/witness", body);
            read_mail(&supervisor).await;
            world.pass(mins(12)).await;
        }
        world.write_wisp("r", r#""status":"parked""#);
        world.pass(secs(5)).await;
        world.mail("r/witness", "LIFECYCLE: please", "restart");
        read_mail(&supervisor).await;
        world.pass(mins(4)).await;
        tells(
            &supervisor,
            WITNESS,
            &[
                "fresh start requested (mail hq-m001) → starting: stopping and starting it",
                "started in … (on request) → alive",
                "stop requested (mail hq-m002) → held: stopping it",
                "stopped on request",
                "fresh start requested (mail hq-m003) → starting: starting it",
                "started in … (on request) → alive",
                "request hq-m004: rig is parked → not carried out",
                "rig is parked → not touched until that ends",
            ],
        );
    });
}

#[test]
fn one_that_is_supervised_only_on_request() {
    simulate(810, |world| async move {
        let supervisor = begun(&world).await;
        world.directory("r/crew/max");
        world.ask("gt-r-crew-max", "r/max", "restart");
        read_mail(&supervisor).await;
        world.pass(mins(4)).await;
        world.crash_agent("gt-r-crew-max", false);
        world.pass(mins(10)).await;
        tells(
            &supervisor,
            "r/crew/max",
            &[
                "fresh start requested (mail hq-m001) → starting: starting it",
                "started in … (on request); fresh conversation → alive",
                GONE,
                "not running → absent: it is started only on request",
            ],
        );
    });
}

#[test]
fn what_could_not_be_seen() {
    for (name, dies, expected) in [
        ("it lives on", false, &["can be observed again → alive"][..]),
        (
            "it died meanwhile",
            true,
            &["session is gone (process exited) → confirming: decided in 1s", RESTART, RESTARTED],
        ),
    ] {
        simulate(811, |world| async move {
            let supervisor = begun(&world).await;
            let since = supervisor.agent(WITNESS).await.since;
            let all = ["find", "list"];
            all.iter().for_each(|call| world.fail(call, true));
            world.pass(mins(10)).await;
            let agent = supervisor.agent(WITNESS).await;
            let why = "was alive when last seen; list: the server did not answer";
            assert_eq!((agent.state.as_str(), agent.reason.as_deref()), ("unknown", Some(why)), "{name}");
            assert!(agent.since > since, "{name}: {agent:#?}");
            if dies {
                world.crash_agent(&witness("r"), false);
            }
            world.pass(mins(5)).await;
            all.iter().for_each(|call| world.fail(call, false));
            world.pass(mins(4)).await;
            let blind = "cannot be observed: list: the server did not answer → unknown: no action";
            tells(&supervisor, WITNESS, &[&[blind], expected].concat());
            let agent = supervisor.agent(WITNESS).await;
            assert_eq!((agent.state.as_str(), agent.since == since), ("alive", !dies), "{name}: {agent:#?}");
        });
    }
}

#[test]
fn the_deacon_and_boot() {
    simulate(812, |world| async move {
        let supervisor = begun(&world).await;
        world.pass(mins(10)).await;
        world.hang_agent(DEACON, true);
        world.pass(mins(45)).await;
        let replaced = [
            "its heartbeat is 15m old → nudged",
            "its heartbeat is 20m old → nudged",
            "its heartbeat is 25m old → nudged",
            "its heartbeat is 30m old → starting: replacing it; restart 1",
            RESTARTED,
        ];
        tells(&supervisor, "deacon", &replaced);
        world.pause_deacon(true);
        world.pass(mins(4)).await;
        world.crash_agent(DEACON, false);
        world.pass(mins(4)).await;
        world.pause_deacon(false);
        world.pass(mins(4)).await;
        let paused = [
            "deacon is paused: maintenance → not touched until that ends",
            GONE,
            "not running → paused: deacon is paused: maintenance",
            "not running, no longer paused → starting",
            STARTED,
        ];
        tells(&supervisor, "deacon", &[&replaced[..], &paused].concat());
        let boot = supervisor.story("deacon-boot");
        assert!(boot.iter().any(|line| line.starts_with("is to check the deacon → starting")), "{boot:#?}");
        assert!(boot.iter().any(|line| line.starts_with("started in ")), "{boot:#?}");
        assert!(
            boot.iter().any(|line| line.contains("→ paused: deacon is paused: maintenance")),
            "{boot:#?}"
        );
    });
}

#[test]
fn the_next_supervisor_continues_it() {
    for (name, orderly) in [("stopped", true), ("killed", false)] {
        simulate(813, |world| async move {
            let supervisor = begun(&world).await;
            for _ in 0..2 {
                world.crash_agent(&witness("r"), false);
                world.pass(secs(20)).await;
            }
            let since = supervisor.agent("r/refinery").await.since;
            if orderly {
                let took = supervisor.stop().await;
                assert!(took < millis(400), "{took:?}");
            } else {
                supervisor.vanish().await;
            }
            let supervisor = world.supervisor().await;
            world.pass(mins(2)).await;
            let mut expected = vec![
                GONE,
                RESTART,
                RESTARTED,
                GONE,
                "died: crashed → waiting: restart 2 waits, next try then",
                "its wait is over → starting: restart 2",
                "started in … (restart 2) → alive",
            ];
            if orderly {
                // It still waits, which is recorded again, so that a reader sees that a person is needed.
                expected.insert(5, "the supervisor stopped → left as it is");
                expected.insert(6, "restart 2 waits, next try then");
            }
            println!("{name}");
            tells(&supervisor, WITNESS, &expected);
            assert_eq!(supervisor.story("r/refinery").last().unwrap(), "already running → adopted", "{name}");
            assert_eq!(
                supervisor.agent("r/refinery").await.since,
                since,
                "{name}: it lives as long as it does"
            );
        });
    }
}

#[test]
fn a_broken_file_is_set_aside_and_begun_afresh() {
    simulate(814, |world| async move {
        begun(&world).await.stop().await;
        world.write("daemon/supervisor/history.json", r#"{"agents":{"r/witness":{"entries":[{"#);
        let supervisor = world.supervisor().await;
        world.pass(mins(1)).await;
        assert_eq!(supervisor.story(WITNESS), ["already running → alive: adopted"]);
        assert!(world.text("daemon/supervisor/history.json.corrupt").is_some());
        assert!(world.text("daemon/supervisor/history.json").unwrap().contains("adopted"));
        assert_eq!(supervisor.snapshot().await.problems, Default::default(), "it was written again");
    });
}

#[test]
fn a_rig_that_goes_and_comes_back() {
    simulate(815, |world| async move {
        let supervisor = begun(&world).await;
        world.set_rigs(&["q"]);
        world.pass(mins(4)).await;
        let gone = "its rig is gone from mayor/rigs.json → no longer supervised";
        tells(&supervisor, WITNESS, &[gone]);
        tells(&supervisor, TOAST, &[gone]);
        world.set_rigs(&["q", "r"]);
        world.pass(mins(4)).await;
        tells(&supervisor, WITNESS, &[gone, "already running → adopted"]);
    });
}

/// Nothing is recorded twice, and nothing is lost, whenever its actor crashes.
#[test]
fn an_actor_that_crashes_in_between_makes_no_difference() {
    for actor in ["r/witness", "rig r", "root"] {
        for at in [0, 1, 100, 500, 990, 1_000, 1_010, 20_000] {
            simulate(816, |world| async move {
                let supervisor = begun(&world).await;
                world.crash_agent(&witness("r"), false);
                world.pass(millis(at)).await;
                supervisor.crash(actor).await;
                world.pass(mins(2)).await;
                let told = supervisor.story(WITNESS);
                let count = |text: &str| told.iter().filter(|line| line.contains(text)).count();
                let once = |text: &str| assert_eq!(count(text), 1, "{actor} after {at} ms: {told:#?}");
                once("→ confirming");
                once("died: ");
                assert_eq!(count("times, last"), 0, "{actor} after {at} ms: {told:#?}");
                assert!(told.last().unwrap().contains("→ alive"), "{actor} after {at} ms: {told:#?}");
            });
        }
    }
}

#[test]
fn an_actor_that_crashes_while_its_agent_is_held_or_paused_reports_nothing() {
    type Act = fn(&World);
    let acts: [(&str, Act); 3] = [
        ("held", |world| world.stop_agent(&witness("r"), millis(0), millis(9))),
        ("paused", |world| world.park("r", 1)),
        ("crash_loop", |world| {
            world.state().nature.doomed = vec![witness("r")];
            world.crash_agent(&witness("r"), false);
        }),
    ];
    for (state, act) in acts {
        simulate(817, |world| async move {
            let supervisor = begun(&world).await;
            act(&world);
            supervisor.until_agent(WITNESS, state, mins(15)).await;
            world.pass(mins(1)).await;
            let before = (supervisor.story(WITNESS), supervisor.agent(WITNESS).await);
            supervisor.crash(WITNESS).await;
            world.pass(mins(1)).await;
            let agent = supervisor.agent(WITNESS).await;
            let after = (supervisor.story(WITNESS), agent);
            assert_eq!(after, before, "{state}");
        });
    }
}
