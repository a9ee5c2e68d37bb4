//! Usage limits and the restart policy: how long an agent waits, and what ends the wait.

use std::time::Duration;

use gastown_supervisor::signals::Signal;

use crate::{deeds, town, world::*};

/// What a program says that does not tell when the limit ends.
const LIMIT: &str = "You've hit your session limit";
const NAME: &str = "Toast";

fn toast() -> String {
    polecat("r", NAME)
}

/// The agents of each story: session, identity, and how soon an end is confirmed.
fn both() -> [(String, &'static str, Duration); 2] {
    [(toast(), "r/polecats/Toast", secs(5)), (witness("r"), "r/witness", secs(1))]
}

/// A town with one rig and a polecat that has worked for a while.
async fn at_work(world: &World) -> Supervisor {
    let supervisor = town(world, &["r"]).await;
    world.polecat_at_work("r", NAME);
    world.pass(mins(5)).await;
    supervisor
}

/// No end was reported.
fn nothing_reported(world: &World, name: &str) {
    assert_eq!(world.events("session_death").len() + world.events("mass_death").len(), 0, "{name}");
    let state = world.state();
    // That it does nothing while it lives is another matter.
    let mails = state.mails.iter().filter(|(_, _, subject)| !subject.starts_with("GUPP_VIOLATION: ")).count();
    assert_eq!((state.crash_logs.len(), mails), (0, 0), "{name}");
}

/// It ended at `ended`: it is left alone for a quarter of an hour and then tried again, once.
async fn is_tried_again_in_time(world: &World, session: &str, ended: Duration, name: &str) {
    let before = world.state().created(session).len();
    world.pass(ended + mins(15) - secs(2) - world.time()).await;
    assert_eq!(world.state().created(session).len(), before, "{name}: too early");
    let again = |state: &State| state.created(session).len() == before + 1;
    world.until(name, secs(15), again).await;
}

#[test]
fn one_that_ends_at_a_limit_is_tried_again_every_quarter_of_an_hour() {
    for (session, identity, _) in both() {
        for (name, leaves_shell) in [("session gone", false), ("a shell left", true)] {
            let session = session.clone();
            simulate(440, |world| async move {
                let supervisor = at_work(&world).await;
                world
                    .show(&session, &["● I am on it", "", LIMIT, "  /upgrade to increase your usage limit."]);
                world.pass(secs(61)).await; // seen in passing
                world.state().nature.shows.insert(session.clone(), LIMIT.to_owned());
                world.state().nature.doomed = vec![session.clone()];
                let mut ended = world.time();
                world.crash_agent(&session, leaves_shell);
                world.hint();
                for trial in 1..=3 {
                    supervisor.until_agent(identity, "waiting", secs(9)).await;
                    let agent = supervisor.agent(identity).await;
                    assert_eq!(agent.restarts, 0, "{name}: not counted");
                    assert!(agent.reason.as_deref().unwrap().contains(LIMIT), "{name}: {agent:#?}");
                    is_tried_again_in_time(&world, &session, ended, &format!("{name}, trial {trial}")).await;
                    if trial == 3 {
                        world.state().nature.doomed.clear();
                        break;
                    }
                    // What it shows is seen during its start, and it ends right after that.
                    world.until("its end", secs(20), |state| !state.lives(&session)).await;
                    ended = world.time();
                }
                world.pass(mins(20)).await;
                assert_eq!(supervisor.agent(identity).await.state, "alive", "{name}");
                assert_eq!(supervisor.agent(identity).await.restarts, 0, "{name}");
                nothing_reported(&world, name);
            });
        }
    }
}

#[test]
fn one_whose_account_is_unknown_waits_until_its_limit_ends() {
    simulate(450, |world| async move {
        let supervisor = at_work(&world).await;
        let ends = world.wall() + jiff::SignedDuration::from_hours(2);
        let says = format!("You've hit your session limit · resets {} (UTC)", ends.strftime("%-I:%M%P"));
        world.show(&toast(), &[&says]);
        world.pass(secs(61)).await;
        world.crash_agent(&toast(), false);
        supervisor.until_agent("r/polecats/Toast", "waiting", secs(9)).await;
        world.pass(mins(110)).await;
        assert_eq!(world.state().created(&toast()).len(), 0, "not before that");
        world.until("its start", mins(10), |state| state.lives(&toast())).await;
        nothing_reported(&world, "until its limit ends");
    });
}

#[test]
fn a_shell_left_is_read_before_it_is_cleared_away() {
    simulate(441, |world| async move {
        let supervisor = at_work(&world).await;
        world.pass(secs(3)).await;
        // No unasked probe comes in time; the last output is above the shell.
        world.show(&toast(), &[LIMIT]);
        world.crash_agent(&toast(), true);
        world.hint();
        supervisor.until_agent("r/polecats/Toast", "waiting", secs(9)).await;
        nothing_reported(&world, "a shell left");
    });
}

#[test]
fn another_screen_is_an_ordinary_death() {
    let screens: [(&str, &[&str]); 3] = [
        ("no limit", &["● All tests pass"]),
        ("talk about limits", &["● The screen says: You've hit your limit · resets 3pm"]),
        ("nothing", &[]),
    ];
    for (session, identity, confirm) in both() {
        for (name, screen) in screens {
            let session = session.clone();
            simulate(442, |world| async move {
                let supervisor = at_work(&world).await;
                // It was at its limit once, and has worked since.
                world.show(&session, &[LIMIT]);
                world.pass(secs(61)).await;
                world.show(&session, screen);
                world.pass(secs(61)).await;
                let before = world.state().created(&session).len();
                world.crash_agent(&session, false);
                let again = |state: &State| state.created(&session).len() == before + 1;
                world.until(name, confirm + secs(2), again).await;
                world.pass(secs(20)).await;
                assert_eq!(world.events("session_death").len(), 1, "{name}");
                assert_eq!(supervisor.agent(identity).await.restarts, 1, "{name}: counted");
            });
        }
    }
}

#[test]
fn all_at_their_limit_are_no_mass_death() {
    simulate(443, |world| async move {
        let supervisor = at_work(&world).await;
        let all = [toast(), witness("r"), refinery("r"), DEACON.to_owned()];
        for session in &all {
            world.show(session, &[LIMIT]);
        }
        world.pass(secs(61)).await;
        let before = deeds(&world);
        for session in &all {
            world.crash_agent(session, false);
        }
        world.pass(mins(10)).await;
        nothing_reported(&world, "all of them");
        assert_eq!(supervisor.snapshot().await.deaths["in_window"], 0);
        let boots = world.state().created(BOOT).len();
        assert!(deeds(&world) - before <= boots, "nobody was started");
        world.until("all of them", mins(6), |state| all.iter().all(|session| state.lives(session))).await;
    });
}

#[test]
fn a_wait_is_not_cut_short_by_the_crash_of_an_actor() {
    for (session, identity, _) in both() {
        for actor in ["r/polecats", "r/witness", "rig r", "root"] {
            let session = session.clone();
            simulate(444, |world| async move {
                let supervisor = at_work(&world).await;
                world.show(&session, &[LIMIT]);
                world.pass(secs(61)).await;
                let ended = world.time();
                world.crash_agent(&session, false);
                supervisor.until_agent(identity, "waiting", secs(9)).await;
                world.pass(mins(2)).await;
                supervisor.crash(actor).await;
                is_tried_again_in_time(&world, &session, ended, &format!("{identity}, {actor} crashes"))
                    .await;
            });
        }
    }
}

#[test]
fn a_wait_outlives_the_supervisor() {
    for (session, identity, _) in both() {
        for (name, in_order) in [("stopped", true), ("killed", false)] {
            let session = session.clone();
            simulate(449, |world| async move {
                let supervisor = at_work(&world).await;
                world.show(&session, &[LIMIT]);
                world.pass(secs(61)).await;
                let ended = world.time();
                world.crash_agent(&session, false);
                supervisor.until_agent(identity, "waiting", secs(9)).await;
                world.pass(mins(2)).await;
                if in_order {
                    supervisor.stop().await;
                } else {
                    supervisor.vanish().await;
                }
                let supervisor = world.supervisor().await;
                supervisor.until_agent(identity, "waiting", secs(9)).await;
                let agent = supervisor.agent(identity).await;
                assert!(agent.reason.as_deref().unwrap().contains(LIMIT), "{name}: {agent:#?}");
                is_tried_again_in_time(&world, &session, ended, &format!("{identity}, {name}")).await;
                world.pass(mins(2)).await;
                assert!(!world.text("daemon/supervisor/waits.json").unwrap().contains("limit"), "{name}");
                nothing_reported(&world, name);
                // The next one has nothing to wait for.
                supervisor.vanish().await;
                let supervisor = world.supervisor().await;
                supervisor.until_agent(identity, "alive", secs(5)).await;
            });
        }
    }
}

#[test]
fn the_time_between_trials_can_be_set() {
    simulate(445, |world| async move {
        world.write(
            "settings/supervisor.json",
            r#"{"usage_limit":{"retry_every":"4m","patterns":["^out of tokens"]}}"#,
        );
        let _supervisor = at_work(&world).await;
        world.show(&toast(), &["Out of tokens, sorry."]);
        world.pass(secs(61)).await;
        let ended = world.time();
        world.crash_agent(&toast(), false);
        world.until("its trial", mins(6), |state| state.lives(&toast())).await;
        let took = world.time() - ended;
        assert!(took >= mins(4) && took < mins(4) + secs(8), "{took:?}");
    });
}

/// A polecat in its second backoff; when that began.
async fn in_backoff(world: &World) -> (Supervisor, Duration) {
    let supervisor = at_work(world).await;
    for restarts in 1..=2 {
        world.crash_agent(&toast(), false);
        world.until("a restart", mins(2), |state| state.created(&toast()).len() == restarts).await;
        world.pass(secs(10)).await;
    }
    let died = world.time();
    world.crash_agent(&toast(), false);
    supervisor.until_agent("r/polecats/Toast", "waiting", secs(9)).await;
    (supervisor, died)
}

async fn in_crash_loop(world: &World) -> (Supervisor, Duration) {
    let supervisor = at_work(world).await;
    world.state().nature.doomed = vec![toast()];
    world.crash_agent(&toast(), false);
    supervisor.until_agent("r/polecats/Toast", "crash_loop", mins(16)).await;
    world.state().nature.doomed.clear();
    (supervisor, world.time())
}

#[test]
fn a_restart_state_that_somebody_cleared_ends_a_backoff_and_a_crash_loop() {
    for looping in [false, true] {
        simulate(446, |world| async move {
            let (supervisor, _) =
                if looping { in_crash_loop(&world).await } else { in_backoff(&world).await };
            let before = world.state().created(&toast()).len();
            world.pass(secs(1)).await;
            world.write("daemon/restart_state.json", r#"{"agents":{}}"#);
            supervisor.signals.tell(Signal::RereadRestartState);
            let again = |state: &State| state.created(&toast()).len() == before + 1;
            world.until("its restart at once", secs(2), again).await;
            world.pass(mins(5)).await;
            assert_eq!(supervisor.agent("r/polecats/Toast").await.state, "alive");
            assert_eq!(supervisor.snapshot().await.problems, Default::default());
        });
    }
}

#[test]
fn a_backoff_and_a_crash_loop_outlive_the_supervisor() {
    for looping in [false, true] {
        for (name, in_order) in [("stopped", true), ("killed", false)] {
            simulate(447, |world| async move {
                let (supervisor, since) =
                    if looping { in_crash_loop(&world).await } else { in_backoff(&world).await };
                let before = world.state().created(&toast()).len();
                world.pass(secs(10)).await;
                if in_order {
                    supervisor.stop().await;
                } else {
                    supervisor.vanish().await;
                }
                let _supervisor = world.supervisor().await;
                let again = |state: &State| state.created(&toast()).len() == before + 1;
                world.until(name, mins(35), again).await;
                let (least, waited) = (if looping { mins(30) } else { mins(1) }, world.time() - since);
                assert!(waited + secs(2) >= least && waited < least + mins(4), "{name}: {waited:?}");
                world.pass(mins(5)).await;
                assert_eq!(world.state().created(&toast()).len(), before + 1, "{name}: once");
            });
        }
    }
}

#[test]
fn a_restart_counts_the_same_when_an_actor_crashes_while_it_waits() {
    for actor in ["r/polecats", "root"] {
        simulate(448, |world| async move {
            let (supervisor, died) = in_backoff(&world).await;
            world.pass(secs(10)).await;
            supervisor.crash(actor).await;
            world.until("its restart", mins(2), |state| state.created(&toast()).len() == 3).await;
            assert!(world.time() - died >= mins(1), "{actor}");
            world.pass(secs(20)).await;
            assert_eq!(supervisor.agent("r/polecats/Toast").await.restarts, 3, "{actor}");
            assert_eq!(world.events("session_death").len(), 3, "{actor}");
        });
    }
}
