//! Accounts: an agent at the menu of its limit, and seeded lives in which limits and logins come and go.
//!
//! In each life of [`lives_of_accounts`] one of two accounts meets its limit or loses its login, again and again, and gets it back.
//! Meanwhile agents of it end, others die, actors crash, and the supervisor is replaced; that no living agent is ended, and nothing typed
//! at a question, the world checks at each call. `SEED=n` runs one seed only.

use std::time::Duration;

use crate::{
    accounts::{
        AT_TEN, HOME, OTHER, TEN, all_work, are_staggered, nothing_is_a_crash, until_wall, wakes, working,
    },
    seeds::seeds,
    world::*,
};

#[test]
fn an_agent_at_the_menu_of_its_limit_stops_and_waits_and_is_woken_where_that_is_allowed() {
    for (name, answer, is_woken) in [
        ("as it comes", "", true),
        ("allowed", r#","dialogs":{"answer":["usage_limit"]}"#, true),
        ("left to people", r#","dialogs":{"answer":["bypass_permissions"]}"#, false),
    ] {
        simulate(480, move |world| async move {
            let (supervisor, all) = working(&world, 3).await;
            let settings = world.text("settings/supervisor.json").unwrap();
            let settings = format!("{}{answer}}}", settings.strip_suffix('}').unwrap());
            world.write("settings/supervisor.json", &settings);
            world.state().accounts.asks = true;
            world.use_up(HOME, TEN, AT_TEN);
            all.iter().for_each(|session| world.asks_its_program(session));
            world.pass(mins(2)).await;
            let met = world.time();
            let asks = |state: &State| state.sessions.values().filter(|it| it.asks.is_some()).count();
            until_wall(&world, TEN).await;
            assert_eq!(asks(&world.state()), all.len(), "{name}: nothing is answered before the reset");
            assert_eq!(wakes(&world, met), [], "{name}: nor typed");
            assert_eq!(world.events("usage_limit_reached").len(), 1, "{name}");
            if is_woken {
                world.until(name, mins(2), |state| all_work(state, &all) && asks(state) == 0).await;
                are_staggered(&wakes(&world, met), name);
                supervisor.until_agent("r/witness", "alive", mins(2)).await;
            } else {
                world.pass(mins(10)).await;
                assert_eq!(asks(&world.state()), all.len(), "{name}");
                assert_eq!(wakes(&world, met), [], "{name}");
                assert_eq!(supervisor.agent("r/witness").await.state, "waiting_at_question", "{name}");
            }
            nothing_is_a_crash(&world, name);
            assert!(
                all.iter().all(|session| world.state().ended(session).is_empty()),
                "{name}: nobody is ended"
            );
        });
    }
}

/// What an account loses for a while.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Loses {
    /// Its plan is used up until a certain time.
    Plan,
    /// Its login, until somebody logs in.
    Login,
}

/// Something that goes wrong while an account is held, and concerns no agent of it that runs.
async fn mischief(world: &World, supervisor: &mut Option<Supervisor>, others: &mut Vec<String>) {
    let (what, which) = {
        let mut state = world.state();
        (state.rng.u32(..8), state.rng.usize(..100))
    };
    const ACTORS: [&str; 7] =
        ["accounts", "sessions", "activity", "r/witness", "r/polecats", "rig r", "operator"];
    match what {
        0..3 => supervisor.as_ref().unwrap().crash(ACTORS[which % ACTORS.len()]).await,
        // Each once: a crash loop is another story.
        3..5 if !others.is_empty() => {
            let dies = others.swap_remove(which % others.len());
            world.crash_agent(&dies, which % 3 == 0);
        }
        5 => {
            supervisor.take().unwrap().vanish().await;
            world.pass(secs(which as u64 / 2)).await;
            *supervisor = Some(world.supervisor().await);
        }
        _ => {}
    }
}

/// An account loses its plan or its login and gets it back. Returns which.
async fn a_loss(world: &World, supervisor: &mut Option<Supervisor>, round: u32, all: &[String]) {
    let (home, loses, lasts, ends) = {
        let mut state = world.state();
        let home = [HOME, OTHER][state.rng.usize(..2)];
        let loses = if state.rng.u32(..3) == 0 { Loses::Login } else { Loses::Plan };
        (home, loses, mins(state.rng.u64(20..90)), state.rng.bool())
    };
    world.until("all work", mins(20), |state| all_work(state, all)).await;
    world.pass(mins(2)).await;
    let name = format!("round {round}: {home} loses its {loses:?}");
    let uses = |session: &&String| {
        let state = world.state();
        state.accounts.homes.get(*session).map_or(HOME, String::as_str) == home
    };
    let (its, mut others): (Vec<String>, Vec<String>) =
        all.iter().cloned().partition(|session| uses(&session));
    // To the minute, as the programs say it.
    let reset = world.wall() + jiff::SignedDuration::try_from(lasts).unwrap();
    let reset = jiff::Timestamp::from_second(reset.as_second() / 60 * 60).unwrap();
    match loses {
        Loses::Plan => {
            let says = format!("You've hit your session limit · resets {} (UTC)", reset.strftime("%-I:%M%P"));
            world.use_up(home, &reset.to_string(), &says);
        }
        Loses::Login => world.log_in(home, false, &format!("lost in round {round}")),
    }
    let (reported, crashes) = (reports(world), deaths_of(world, &its));
    world.state().accounts.ends = false;
    // Somebody meets it first, and the others when they have something to do.
    world.asks_its_program(&its[0]);
    world.pass(secs(65)).await;
    let held = world.time();
    world.state().accounts.ends = ends;
    for session in &its {
        let (after, dies) = {
            let mut state = world.state();
            (millis(state.rng.u64(0..90_000)), state.rng.u32(..3) == 0)
        };
        let session = session.clone();
        world.after(after, move |world| {
            world.asks_its_program(&session);
            if dies && session != DEACON {
                world.crash_agent(&session, false);
            }
        });
    }
    world.pass(secs(90)).await;
    while reset.duration_since(world.wall()) > jiff::SignedDuration::from_mins(4) {
        mischief(world, supervisor, &mut others).await;
        let pause = world.state().rng.u64(20_000..100_000);
        world.pass(millis(pause)).await;
    }
    until_wall(world, &reset.to_string()).await;
    let of_its = |since| -> Vec<(Duration, String)> {
        wakes(world, since).into_iter().filter(|(_, session)| its.contains(session)).collect()
    };
    assert_eq!(of_its(held), [], "{name}: nobody is started or prompted before it is over");
    assert_eq!(reports(world), reported + 1, "{name}: one alert");
    let back = world.time();
    if loses == Loses::Login {
        world.log_in(home, true, &format!("back in round {round}"));
    }
    let limit = if loses == Loses::Login { mins(3) } else { mins(2) };
    world.until(&name, limit, |state| all_work(state, &its)).await;
    are_staggered(&of_its(back), &name);
    assert!(
        its.iter().all(|session| of_its(back).iter().filter(|(_, it)| it == session).count() <= 1),
        "{name}: once"
    );
    assert_eq!(deaths_of(world, &its), crashes, "{name}: nobody of them crashed");
    world.pass(mins(5)).await;
    assert_eq!(reports(world), reported + 2, "{name}: one alert that it is over");
}

/// How many alerts about accounts there were.
fn reports(world: &World) -> usize {
    let kinds = ["usage_limit_reached", "usage_limit_over", "login_lost", "login_restored"];
    kinds.map(|kind| world.events(kind).len()).iter().sum()
}

/// How many deaths of these were reported.
fn deaths_of(world: &World, sessions: &[String]) -> usize {
    let deaths = world.events("session_death");
    deaths
        .iter()
        .filter(|death| sessions.iter().any(|session| death["payload"]["session"] == **session))
        .count()
}

/// A town with two accounts, each of which is lost a few times.
async fn live(world: World) {
    let polecats = world.state().rng.usize(3..10);
    for n in (0..polecats).filter(|n| n % 2 == 0) {
        world.state().accounts.homes.insert(polecat("r", &format!("p{n}")), OTHER.to_owned());
    }
    let (supervisor, all) = working(&world, polecats).await;
    let mut supervisor = Some(supervisor);
    for round in 0..3 {
        a_loss(&world, &mut supervisor, round, &all).await;
    }
    let town = supervisor.unwrap().snapshot().await;
    assert!(town.problems.keys().all(|key| !key.starts_with("account/")), "{:?}", town.problems);
}

#[test]
fn lives_of_accounts() {
    let failed: Vec<u64> = seeds(700..708)
        .into_iter()
        .filter(|seed| std::panic::catch_unwind(|| simulate(*seed, live)).is_err())
        .collect();
    assert!(failed.is_empty(), "these seeds failed: {failed:?}");
}
