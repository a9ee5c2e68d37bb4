//! Usage limits and lost logins, by account: who waits, who is woken when, and what is reported.

use std::time::Duration;

use jiff::SignedDuration;

use crate::{town, world::*};

pub const HOME: &str = "/home/one";
pub const OTHER: &str = "/home/two";
const SETTINGS: &str = r#"{"boot":{"enabled":false},"heartbeat":{"interval":"10m"}}"#;
pub const TEN: &str = "2026-02-02T10:00:00Z";
pub const AT_TEN: &str = "You've hit your session limit · resets 10am (UTC)";
const AT_ELEVEN: &str = "You've hit your session limit · resets 11am (UTC)";

/// A town whose agents all use one account, with this many polecats at work; all sessions.
pub async fn working(world: &World, polecats: usize) -> (Supervisor, Vec<String>) {
    world.state().accounts.home = Some(HOME.to_owned());
    world.state().git_takes = millis(10);
    world.write("settings/supervisor.json", SETTINGS);
    let supervisor = town(world, &["r"]).await;
    for n in 0..polecats {
        world.polecat_at_work("r", &format!("p{n}"));
    }
    world.pass(mins(5)).await;
    let all = world.state().sessions.keys().filter(|name| *name != BOOT).cloned().collect();
    (supervisor, all)
}

/// All of these meet what keeps them from working. Every second one stays; the others end, some of them in a shell that is left.
pub async fn meet(world: &World, sessions: &[String]) {
    for session in sessions {
        world.asks_its_program(session);
    }
    world.pass(secs(65)).await;
    for (n, session) in sessions.iter().filter(|it| *it != DEACON).step_by(2).enumerate() {
        world.crash_agent(session, n % 3 == 1);
    }
}

/// When an agent was started or told to continue after this time, in order.
pub fn wakes(world: &World, since: Duration) -> Vec<(Duration, String)> {
    let state = world.state();
    let told = state.sessions.iter().flat_map(|(name, session)| {
        let told = session.typed.iter().filter(|(_, text)| text == "continue");
        told.map(|(at, _)| (*at, name.clone()))
    });
    let town = [DEACON.to_owned(), witness("r"), refinery("r")];
    let names: Vec<String> = state.polecats.keys().cloned().chain(town).collect();
    let started = names
        .iter()
        .flat_map(|name| state.created(name).into_iter().map(|at| (at, name.clone())).collect::<Vec<_>>());
    let mut all: Vec<_> = told.chain(started).filter(|(at, _)| *at >= since).collect();
    all.sort();
    all
}

/// At most five in any 10 s.
pub fn are_staggered(wakes: &[(Duration, String)], name: &str) {
    for six in wakes.windows(6) {
        let took = six[5].0 - six[0].0;
        assert!(took > secs(10), "{name}: six within {took:?}: {six:?}");
    }
}

/// All of these live and work.
pub fn all_work(state: &State, sessions: &[String]) -> bool {
    sessions.iter().all(|it| state.lives(it) && state.sessions[it].shows.is_empty())
}

/// Waits until this time of the wall clock.
pub async fn until_wall(world: &World, at: &str) {
    let at: jiff::Timestamp = at.parse().unwrap();
    let left = Duration::try_from(at.duration_since(world.wall())).unwrap();
    world.pass(left).await;
}

pub fn nothing_is_a_crash(world: &World, name: &str) {
    assert_eq!(world.events("session_death").len() + world.events("mass_death").len(), 0, "{name}");
    let state = world.state();
    assert_eq!((state.crash_logs.len(), state.mails.clone()), (0, Vec::new()), "{name}");
}

#[test]
fn fifty_agents_at_one_limit_work_again_within_two_minutes() {
    for restarted in [false, true] {
        let name = if restarted { "a new supervisor meanwhile" } else { "one supervisor" };
        simulate(470, move |world| async move {
            let (mut supervisor, all) = working(&world, 47).await;
            assert_eq!(all.len(), 50);
            world.use_up(HOME, TEN, AT_TEN);
            meet(&world, &all).await;
            world.pass(mins(4)).await;
            let town = supervisor.snapshot().await;
            for agent in town.agents.iter().filter(|agent| agent.state != "absent") {
                assert_eq!(agent.state, "limited", "{name}: {agent:#?}");
                assert_eq!(agent.reason_code.as_deref(), Some("usage_limit"), "{name}");
                let reason = agent.reason.as_deref().unwrap();
                assert!(reason.contains("limited until 10:00"), "{name}: {reason}");
                assert_eq!(agent.backoff_until, Some(TEN.parse().unwrap()), "{name}: {agent:#?}");
                assert_eq!(agent.restarts, 0, "{name}");
            }
            assert_eq!(town.accounts[0]["agents"], 50, "{name}: {:#?}", town.accounts);
            assert_eq!(world.events("usage_limit_reached").len(), 1, "{name}");
            if restarted {
                supervisor.vanish().await;
                world.pass(mins(1)).await;
                supervisor = world.supervisor().await;
            }
            let before = world.time();
            until_wall(&world, TEN).await;
            let reset = world.time();
            assert_eq!(wakes(&world, before), [], "{name}: too early");
            world.until(name, mins(2), |state| all_work(state, &all)).await;
            let woken = wakes(&world, reset);
            assert_eq!(woken.len(), 50, "{name}: {woken:?}");
            are_staggered(&woken, name);
            let roles: Vec<&str> = woken.iter().take(3).map(|(_, session)| session.as_str()).collect();
            assert_eq!(roles, [DEACON, &witness("r"), &refinery("r")], "{name}: in the order of starts");
            nothing_is_a_crash(&world, name);
            world.pass(mins(4)).await;
            assert_eq!(world.events("usage_limit_reached").len(), 1, "{name}: told once");
            assert_eq!(world.events("usage_limit_over").len(), 1, "{name}: and that it is over");
            let town = supervisor.snapshot().await;
            assert!(!town.problems.keys().any(|key| key.starts_with("account/")), "{name}: {town:#?}");
        });
    }
}

#[test]
fn a_limit_that_is_met_again_ends_the_waking() {
    simulate(471, |world| async move {
        let (_supervisor, all) = working(&world, 17).await;
        world.use_up(HOME, TEN, AT_TEN);
        meet(&world, &all).await;
        until_wall(&world, "2026-02-02T09:59:00Z").await;
        world.use_up(HOME, "2026-02-02T11:00:00Z", AT_ELEVEN);
        let before = world.time();
        world.pass(mins(30)).await;
        let woken = wakes(&world, before);
        assert!((1..=5).contains(&woken.len()), "{woken:?}");
        until_wall(&world, "2026-02-02T11:00:00Z").await;
        world.until("all of them", mins(2), |state| all_work(state, &all)).await;
        are_staggered(&wakes(&world, before), "again");
        nothing_is_a_crash(&world, "again");
    });
}

#[test]
fn two_accounts_with_different_resets() {
    simulate(472, |world| async move {
        let ours: Vec<String> = (0..4).map(|n| polecat("r", &format!("p{n}"))).collect();
        for session in &ours {
            world.state().accounts.homes.insert(session.clone(), OTHER.to_owned());
        }
        let (supervisor, all) = working(&world, 8).await;
        world.use_up(HOME, TEN, AT_TEN);
        world.use_up(OTHER, "2026-02-02T11:00:00Z", AT_ELEVEN);
        meet(&world, &all).await;
        until_wall(&world, TEN).await;
        world.pass(mins(3)).await;
        let others: Vec<String> = all.iter().filter(|it| !ours.contains(it)).cloned().collect();
        assert!(all_work(&world.state(), &others));
        for n in 0..4 {
            assert_eq!(supervisor.agent(&format!("r/polecats/p{n}")).await.state, "limited");
        }
        until_wall(&world, "2026-02-02T11:00:00Z").await;
        world.until("the other account", mins(2), |state| all_work(state, &all)).await;
        assert_eq!(world.events("usage_limit_reached").len(), 2);
    });
}

#[test]
fn a_clock_that_is_set_back() {
    simulate(473, |world| async move {
        let (_supervisor, all) = working(&world, 5).await;
        world.use_up(HOME, TEN, AT_TEN);
        meet(&world, &all).await;
        world.pass(mins(10)).await;
        world.jump(-SignedDuration::from_mins(30));
        until_wall(&world, TEN).await;
        world.until("all of them", mins(3), |state| all_work(state, &all)).await;
        nothing_is_a_crash(&world, "set back");
    });
}

#[test]
fn a_limit_without_a_time_is_tried_by_one_agent() {
    simulate(474, |world| async move {
        let (_supervisor, all) = working(&world, 5).await;
        world.use_up(HOME, TEN, "You've hit your session limit");
        meet(&world, &all).await;
        let before = world.time();
        world.pass(mins(40)).await;
        let woken = wakes(&world, before);
        assert!((2..=3).contains(&woken.len()), "one every quarter of an hour: {woken:?}");
        until_wall(&world, TEN).await;
        world.until("all of them", mins(18), |state| all_work(state, &all)).await;
        assert_eq!(world.events("usage_limit_reached").len(), 1, "one limit");
        nothing_is_a_crash(&world, "without a time");
    });
}

#[test]
fn a_hundred_agents_without_a_login_fail_at_most_once_for_each_try() {
    simulate(475, |world| async move {
        world.log_in(HOME, true, "first");
        let (supervisor, all) = working(&world, 97).await;
        assert_eq!(all.len(), 100);
        world.log_in(HOME, false, "first");
        let lost = world.time();
        meet(&world, &all).await;
        // From now on an agent without a login ends soon.
        world.state().accounts.ends = true;
        world.pass(mins(10)).await;
        let failed = |since| wakes(&world, since).len();
        assert!(failed(lost) <= 2, "{:?}", wakes(&world, lost));
        let told = world.events("login_lost");
        assert_eq!(told.len(), 1);
        assert_eq!(told[0]["payload"]["command"], "CLAUDE_CONFIG_DIR=/home/one/.claude claude /login");
        assert_eq!(supervisor.agent("r/witness").await.state, "logged_out");
        // Somebody logs in, and it does not help.
        world.log_in(HOME, false, "second");
        let tried = world.time();
        world.pass(mins(10)).await;
        assert!(failed(tried) <= 1, "{:?}", wakes(&world, tried));
        nothing_is_a_crash(&world, "login");
        // Nor does it the next time, where it takes the program a while to say so: nobody else starts meanwhile.
        world.state().accounts.takes = secs(20);
        world.log_in(HOME, false, "third");
        let (tried, tries) = (world.time(), world.logged("tries whether").len());
        world.pass(mins(10)).await;
        assert!(failed(tried) <= 1, "{:?}", wakes(&world, tried));
        assert_eq!(world.logged("tries whether").len() - tries, 1, "one agent");
        world.log_in(HOME, true, "fourth");
        let well = world.time();
        world.until("all of them", mins(6), |state| all_work(state, &all)).await;
        are_staggered(&wakes(&world, well), "after the login");
        assert_eq!(supervisor.agent("r/witness").await.restarts, 0);
        world.pass(mins(3)).await;
        assert_eq!(world.events("login_restored").len(), 1);
    });
}

#[test]
fn an_old_sentence_on_a_screen_holds_no_start_of_its_account() {
    for (name, says, meets) in [
        ("a limit of yesterday", AT_ELEVEN, false),
        ("a login that was renewed", "Please run /login", false),
        ("a limit that still lasts", AT_ELEVEN, true),
    ] {
        simulate(476, move |world| async move {
            let (mut supervisor, all) = working(&world, 3).await;
            supervisor.vanish().await;
            // The next supervisor knows nothing of the account, and the screen is more than a day old.
            world.remove("daemon/supervisor/accounts.json");
            world.state().sessions.get_mut(&witness("r")).unwrap().shows = vec![says.to_owned()];
            world.pass(mins(26 * 60)).await;
            world.log_in(HOME, true, "renewed");
            if meets {
                world.use_up(HOME, "2026-02-03T11:00:00Z", AT_ELEVEN);
            }
            supervisor = world.supervisor().await;
            world.pass(mins(2)).await;
            let before = world.time();
            world.crash_agent(&refinery("r"), false);
            let kinds = ["usage_limit_reached", "login_lost"].map(|kind| world.events(kind).len());
            if meets {
                world.pass(mins(5)).await;
                assert!(!world.state().lives(&refinery("r")), "{name}");
                assert_eq!(supervisor.agent("r/refinery").await.state, "limited", "{name}");
                assert_eq!(kinds, [1, 0], "{name}: confirmed by the one that tried");
                return;
            }
            world.until(name, mins(2), |state| state.lives(&refinery("r")) && all_work(state, &all)).await;
            assert!(wakes(&world, before).len() <= 2, "{name}");
            assert_eq!(kinds, [0, 0], "{name}");
            world.pass(mins(3)).await;
            let kinds = ["usage_limit_reached", "login_lost", "usage_limit_over", "login_restored"];
            assert_eq!(kinds.map(|kind| world.events(kind).len()), [0; 4], "{name}: nothing was reported");
        });
    }
}

#[test]
fn at_the_menu_of_a_limit_only_stop_and_wait_is_chosen_however_late_keys_show() {
    for lag in [0, 1_500, 4_000] {
        simulate(480, |world| async move {
            let (supervisor, _) = working(&world, 0).await;
            let name = witness("r");
            world.ask_in(&name, Asks { lag, ..Asks::limit() });
            supervisor.until_agent("r/witness", "limited", mins(11)).await;
            until_wall(&world, TEN).await;
            world.pass(mins(3)).await;
            let state = world.state();
            let typed: Vec<_> =
                state.session(&name).typed.iter().filter(|(_, it)| it == "continue").collect();
            assert_eq!((typed.len(), state.session(&name).asks.is_none()), (1, true), "{lag} ms");
            drop(state);
            let told = r#"answered "What do you want to do?" with "Stop and wait for limit to reset""#;
            assert_eq!(world.logged(told).len(), 1, "{lag} ms");
        });
    }
}

#[test]
fn a_text_that_a_person_has_not_sent_is_left_alone() {
    simulate(481, |world| async move {
        let (supervisor, _) = working(&world, 0).await;
        let name = witness("r");
        world.show(&name, &["❯ go on", &format!("  ⎿  {AT_TEN}"), ""]);
        supervisor.until_agent("r/witness", "limited", mins(11)).await;
        world.draft(&name, "half a draft by a person");
        until_wall(&world, TEN).await;
        world.pass(mins(10)).await;
        let continued = |world: &World| {
            let state = world.state();
            state.session(&name).typed.iter().filter(|(_, it)| it == "continue").count()
        };
        assert_eq!(continued(&world), 0);
        let problems = supervisor.snapshot().await.problems;
        assert!(problems.values().any(|it| it.contains("its prompt holds a text")), "{problems:?}");
        world.draft(&name, "");
        world.pass(mins(2)).await;
        assert_eq!(continued(&world), 1);
        assert_eq!(supervisor.snapshot().await.problems, Default::default());
    });
}
