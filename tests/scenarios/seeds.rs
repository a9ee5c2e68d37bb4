//! Seeded lives of a town in which everything goes wrong for a while, and then nothing.
//!
//! In the first part agents die and hang, ports are slow and fail, operators run commands, actors crash, the machine
//! sleeps. At each call the world checks what the supervisor must never do. After that the weather is good, and the
//! town must be as it should be. `SEED=n` runs one seed only, `SEEDS=100..200` a range (`SEEDS=100..200 cargo test
//! --test scenarios storms_00`).

use std::{collections::BTreeSet, time::Duration};

use gastown_supervisor::tree::root::RootMsg;
use jiff::SignedDuration;
use ractor::ActorRef;

use crate::{REFINERY_EVENT, world::*};

const RIGS: [&str; 3] = ["alpha", "a-b", "beta"];

/// The polecats each rig has at the start, and those it may get.
const POLECATS: [&str; 3] = ["Toast", "nux", "ace"];

/// How long everything goes wrong.
const STORM: Duration = mins(50);
/// How long nothing does, before the town is judged: a crash loop is tried again after 30 minutes, a deacon that hangs is
/// stuck after 30 and may then have to wait for both.
const CALM: Duration = mins(70);

/// Something that goes wrong.
async fn mischief(world: &World, supervisor: &Supervisor) {
    let (jitter, rig, role, number) = {
        let mut state = world.state();
        let rig = RIGS[state.rng.usize(..RIGS.len())];
        (state.rng.u32(..160), rig, state.rng.bool(), state.rng.u64(1..100))
    };
    let session = if role { world.witness(rig) } else { world.refinery(rig) };
    match jitter {
        0..20 => world.crash_agent(&session, number < 25),
        20..24 => world.crash_agent(DEACON, number < 25),
        // A deacon that never wrote a heartbeat proves nothing by not writing one.
        24..32 if world.state().beat_at.is_some() => world.hang_agent(DEACON, true),
        32..34 => world.kill_server(),
        34..42 => {
            world.park(rig, 1 + number as u32 % 8);
            world.after(secs(number * 6), move |world| world.unpark(rig));
        }
        42..48 => world.stop_agent(&session, millis(0), millis(number * 8)),
        48..51 => world.stop_agent(&session, millis(number / 5), millis(0)),
        51..55 => world.restart_agent(&session),
        55..60 => world.start_agent(if number < 20 { DEACON } else { &session }),
        60..63 => {
            world.hold_lock(true);
            world.after(secs(number), |world| world.hold_lock(false));
        }
        63..65 => world.take_down(secs(2 + number)),
        65..69 => {
            world.pause_deacon(true);
            world.after(secs(number * 12), |world| world.pause_deacon(false));
        }
        69..72 => world.write_rigs_slowly(millis(number * 20)),
        72..75 => {
            world.set_rigs(&RIGS[..2]);
            world.after(secs(number * 5), |world| world.set_rigs(&RIGS));
        }
        75..77 => world.jump(SignedDuration::from_mins(number as i64)),
        77..78 => world.jump(SignedDuration::from_secs(-(number as i64))),
        78..80 => {
            let file = format!(".beads-wisp/config/{rig}.json");
            world.write(&file, r#"{"rig":"x","val"#);
            world.after(secs(number), move |world| world.unpark(rig));
        }
        80..82 => {
            let call = ["list", "find", "create", "trees", "paste", "read"][number as usize % 6];
            world.fail(call, true);
            world.after(secs(number / 3), move |world| world.fail(call, false));
        }
        82..84 => {
            let whole = world.text("deacon/heartbeat.json");
            world.write("deacon/heartbeat.json", "{\"timesta");
            world.after(millis(number * 30), move |world| match whole {
                Some(whole) => world.write("deacon/heartbeat.json", &whole),
                None => world.remove("deacon/heartbeat.json"),
            });
        }
        84..97 => {
            supervisor.crash(ACTORS[number as usize % ACTORS.len()]).await;
        }
        97..100 => world.state().clock_panics_in = Some(number as u32),
        158.. => {
            let polecat = format!("{rig}/polecats/{}", POLECATS[number as usize % POLECATS.len()]);
            let mut state = world.state();
            state.clock_panics_for = Some((polecat, 1 + number as u32 % 8));
            // It may be suspended.
            state.distracted(world.time() + mins(15));
        }
        155.. => {
            let trigger = |_: &World, root: &ActorRef<RootMsg>| drop(root.cast(RootMsg::HeartbeatNow));
            supervisor.trigger_each_second(trigger, number).await;
        }
        152.. => {
            let others: Vec<&str> = ACTORS.into_iter().filter(|name| *name != "root").collect();
            supervisor.suspend(others[number as usize % others.len()]).await;
        }
        140.. => request(world, rig, &session, jitter, number),
        100.. => polecat_mischief(world, rig, jitter, number),
        _ => {}
    }
}

/// Somebody asks by mail to be stopped or started afresh.
fn request(world: &World, rig: &str, patrol: &str, jitter: u32, number: u64) {
    let name = POLECATS[number as usize % POLECATS.len()];
    let role = patrol.rsplit('-').next().unwrap();
    let (session, from) = match jitter {
        140..144 => (patrol.to_owned(), format!("{rig}/{role}")),
        144..146 => (patrol.to_owned(), format!("{rig}-{role}")),
        146..149 => (world.polecat(rig, name), format!("{rig}/polecats/{name}")),
        149 => (DEACON.to_owned(), "deacon/".to_owned()),
        150 => (MAYOR.to_owned(), "mayor/".to_owned()),
        _ => (world.state().named(&format!("{rig}-crew-max")), format!("{rig}/crew/max")),
    };
    world.directory(&format!("{rig}/crew/max"));
    let id = world.ask(&session, &from, if number < 35 { "shutdown" } else { r#"{"action":"cycle"}"# });
    match number % 5 {
        0 => world.mail_doubles(&id),
        1 => world.after(millis(number * 3), move |world| world.deacon_takes(&id)),
        2 => world.ledger_changes(),
        _ => {}
    }
    world.after(secs(number * 10), |world| world.ask_for_the_stopped());
}

/// The actors that crash.
const ACTORS: [&str; 15] = [
    "sessions",
    "deacon",
    "boot",
    "rig alpha",
    "alpha/witness",
    "a-b/refinery",
    "root",
    "operator",
    "accounts",
    "deaths",
    "alpha/polecats",
    "beta/polecats",
    "mail",
    "a-b/census",
    "convoy",
];

/// Something that goes wrong with a polecat, or is done to it.
fn polecat_mischief(world: &World, rig: &'static str, jitter: u32, number: u64) {
    let name = POLECATS[number as usize % POLECATS.len()];
    let session = world.polecat(rig, name);
    let is_v1 = world.state().is_v1();
    let known = {
        let state = world.state();
        state.beads.contains_key(&state.agent_bead(rig, name))
    };
    let pace = 1 + number as u32 % 8;
    match jitter {
        // Nukes and state files are those of January.
        122..125 | 138.. if is_v1 => something_of_1_x(world, rig, number),
        100..103 if is_v1 => world.sling_v1(rig, name, &format!("{rig}-s{}", world.time().as_millis()), pace),
        100..103 => world.sling(rig, name, &format!("{rig}-s{}", world.time().as_millis()), pace.min(3)),
        _ if !known => {}
        103..114 => world.crash_agent(&session, number < 25),
        114..117 => {
            let hook = world.state().hook_of(rig, name);
            if let Some(hook) = hook {
                world.close_bead(&hook);
            }
            let new = format!("{rig}-w{}", world.time().as_millis());
            world.after(secs(number * 8), move |world| world.hook(rig, name, &new));
        }
        117..119 => {
            world.unhook(rig, name);
            let again = work_of(rig, name);
            world.after(secs(number * 3), move |world| world.hook(rig, name, &again));
        }
        119..122 => {
            let states = ["stuck", "awaiting-gate", "done", "spawning"];
            world.set_state(rig, name, states[number as usize % states.len()]);
            world.after(secs(number * 6), move |world| world.set_state(rig, name, "working"));
        }
        122..125 => world.nuke(rig, name, pace),
        125..128 => world.stop_without_a_word("gt session stop", &session),
        128..130 => world.stop_without_a_word("gt deacon stop", DEACON),
        130..133 => {
            let gone = format!("{rig}/polecats/{name}/{rig}");
            world.remove_directory(&gone);
            world.crash_agent(&session, false);
            world.after(secs(number * 10), move |world| world.directory(&gone));
        }
        133..136 => world.show(&session, &["You've hit your session limit"]),
        136..138 => world.crash_agent(&world.witness(rig), true),
        _ => world.write_agent_state(&world.witness(rig), "running"),
    }
}

/// Something that only a town of 1.x has: its Dolt server dies for a while, its `gt` starts an agent badly, or a rig is docked by its
/// label alone; or a convoy goes on.
fn something_of_1_x(world: &World, rig: &'static str, number: u64) {
    let session = if number.is_multiple_of(2) { world.witness(rig) } else { world.refinery(rig) };
    match number {
        ..30 => {
            world.dolt(if number.is_multiple_of(2) { Answers::Refused } else { Answers::Hangs });
            world.after(secs(number * 20), |world| world.dolt(Answers::Well));
        }
        30..60 => {
            let faults = [Fault::Lies, Fault::Fails, Fault::FailsLate, Fault::HangsHalfway, Fault::HangsLate];
            let fault = faults[number as usize % faults.len()];
            world.state().gt_starts.faults.insert(session.clone(), fault);
            world.crash_agent(&session, false);
            world.after(secs(number * 4), move |world| {
                world.state().gt_starts.faults.remove(&session);
            });
        }
        60..80 => {
            world.dock(rig, 1 + number as u32 % 8);
            world.after(secs(number * 8), |world| world.undock(rig));
        }
        _ => {
            let steps = [1, 2].map(|step| format!("{rig}-c{}-{step}", world.time().as_millis()));
            world.convoy(&format!("hq-cv-{}", world.time().as_millis()), &[&steps[0], &steps[1]]);
            for (step, after) in steps.into_iter().zip([number, number * 5]) {
                world.after(mins(2) + secs(after * 2), move |world| world.close(&step));
            }
        }
    }
}

/// Asks every actor how it is, at odd moments, for as long as it lives.
pub async fn probes(world: World, supervisor: &Supervisor) {
    loop {
        let pause = world.state().rng.u64(2_000..90_000);
        world.pass(millis(pause)).await;
        supervisor.snapshot().await;
    }
}

async fn storm(world: &World, supervisor: &Supervisor, length: Duration) {
    {
        let mut state = world.state();
        // In a quarter of all lives only the people are bad: what they do is seen, and must be heeded.
        if state.rng.u32(..4) > 0 {
            state.weather = Weather::bad();
        }
        state.adversary = true;
        let files = [BeadFiles::None, BeadFiles::Opaque, BeadFiles::Readable];
        state.bead_files = files[state.rng.usize(..files.len())];
        state.nature.appears = 50..4_000;
        state.nature.prompts = 100..9_000;
        state.nature.beats = 30_000..90_000;
        state.nature.boot_works = 20_000..1_500_000;
        state.nature.never_appears = 0.04;
        state.nature.frail = 0.15;
        state.nature.leaves_shell = 0.3;
        state.nature.splits = 0.2;
        state.nature.curious = 0.15;
        state.nature.wakes_on_nudge = 0.3;
    }
    let end = world.time() + length;
    loop {
        let pause = world.state().rng.u64(1_000..90_000);
        world.pass(millis(pause)).await;
        if world.time() >= end {
            break;
        }
        mischief(world, supervisor).await;
    }
    calm_down(world);
}

fn calm_down(world: &World) {
    {
        let mut state = world.state();
        state.weather = state.weather.clearing();
        state.adversary = false;
        state.failing.clear();
        state.clock_panics_in = None;
        state.clock_panics_for = None;
        state.gt_starts.faults.clear();
        state.nature.never_appears = 0.0;
        state.nature.frail = 0.0;
        state.nature.curious = 0.0;
        state.nature.boot_works = 60_000..120_000;
    }
    // What was started under bad weather ends: rigs are operational and exist, no process holds the lock. Some of
    // it is still on its way and comes later.
    let settle = |world: &World| {
        for rig in RIGS {
            world.unpark(rig);
        }
        let wanted = |state: &State| {
            let all = state.polecats.iter().filter(|(session, _)| state.unwanted(session).is_none());
            all.map(|(_, it)| format!("{0}/polecats/{1}/{0}", it.rig, it.name)).collect::<Vec<_>>()
        };
        let worktrees = wanted(&world.state());
        worktrees.iter().for_each(|worktree| world.directory(worktree));
        world.pause_deacon(false);
        world.set_rigs(&RIGS);
        world.hold_lock(false);
        if world.state().is_v1() {
            world.dolt(Answers::Well);
            RIGS.iter().for_each(|rig| world.undock(rig));
        }
        world.after(secs(30), |world| world.ask_for_the_stopped());
    };
    settle(world);
    world.after(mins(10), move |world| settle(world));
    world.after(mins(20), move |world| settle(world));
}

/// How the town must be in the end.
async fn judge(world: &World, supervisor: &Supervisor) {
    let town = supervisor.snapshot().await;
    let now = world.time();
    let mut wanted: BTreeSet<String> = std::iter::once(DEACON.to_owned())
        .chain(RIGS.iter().flat_map(|rig| [world.witness(rig), world.refinery(rig)]))
        .collect();
    {
        let state = world.state();
        if state.is_v1() {
            assert_eq!(state.convoys.open, Default::default(), "each convoy was fed to its end");
            wanted.insert(MAYOR.to_owned());
        }
        let others = state.polecats.keys();
        let (working, idle): (Vec<&String>, Vec<_>) = others.partition(|it| state.unwanted(it).is_none());
        wanted.extend(working.into_iter().cloned());
        for session in &wanted {
            assert!(state.appeared(session, now), "{session} does not live: {:#?}", town.agents);
        }
        // One whose work was taken away while it lived is let live.
        let asked_for = |name: &str| name == MAYOR || name.contains("-crew-");
        let mut all =
            state.sessions.keys().filter(|name| !is_boot(name) && !idle.contains(name) && !asked_for(name));
        assert!(
            all.all(|session| wanted.contains(session)),
            "nothing else runs: {:?}",
            state.sessions.keys()
        );
        let beat = now - state.beat_at.unwrap();
        assert!(beat < mins(15), "the deacon's heartbeat is {beat:?} old");
    }
    // A report that failed in the storm is a problem until the next of its kind succeeds, and no agent dies any
    // more.
    let mut problems = town.problems.clone();
    problems.retain(|key, _| !["ledger/crash_log", "mail/send"].contains(&key.as_str()));
    // No polecat of this town ever gets on with its work: one that was mailed about is still stalled.
    problems.retain(|key, _| !(key.contains("/polecats/") && key.ends_with("/stalled")));
    // So is that an agent was started without `gt`, until it is started once more, and that its nudge poller could not be
    // started, until that is tried again.
    problems.remove("start_by_gt");
    for agent in town.agents.iter().filter(|agent| !world.state().has_poller(&agent.session, now)) {
        let its = format!("/{}/nudge_poller", agent.identity);
        problems.retain(|key, _| !key.ends_with(&its));
    }
    assert_eq!(problems, Default::default(), "nothing is wrong any more");
    let agents = town.agents.iter().filter(|agent| wanted.contains(&agent.session));
    let known: Vec<&str> = agents.clone().map(|agent| agent.session.as_str()).collect();
    assert_eq!(known.len(), wanted.len(), "each has one owner: {known:?}");
    for agent in agents {
        assert_eq!(agent.state, "alive", "it is known to be alive: {agent:#?}");
    }
    assert!(town.actors.iter().all(|actor| actor.running), "{:#?}", town.actors);
    assert!(town.heartbeat.late.is_empty(), "{:?}", town.heartbeat.late);
    let kinds = |file: &str| -> Vec<String> {
        let text = world.text(file).unwrap_or_default();
        let parsed = text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        parsed.map(|line| format!("{} {} {}", line["ts"], line["type"], line["payload"])).collect()
    };
    assert_eq!(kinds(".feed.jsonl"), kinds(".events.jsonl"), "each event is in the feed, once");
}

/// A life in a town of Gas Town 1.x, whose refineries always have an event.
async fn live_v1(world: World, storm_length: Duration, calm: Duration) {
    world.is_v1();
    world.write(REFINERY_EVENT, "{}");
    live(world, storm_length, calm).await;
}

async fn live(world: World, storm_length: Duration, calm: Duration) {
    world.set_rigs(&RIGS);
    for rig in RIGS {
        for name in &POLECATS[..2] {
            world.polecat_at_work(rig, name);
        }
    }
    let supervisor = world.supervisor().await;
    let story = async {
        storm(&world, &supervisor, storm_length).await;
        world.pass(calm).await;
        if calm >= CALM {
            judge(&world, &supervisor).await;
        }
    };
    tokio::select! {
        biased;
        () = probes(world.clone(), &supervisor) => {}
        () = story => {}
    }
    assert!(!supervisor.ended(), "the supervisor goes on");
    let took = supervisor.stop().await;
    assert!(took <= millis(400), "it stopped after {took:?}");
}

/// These seeds, or those that the environment names.
pub fn seeds(range: std::ops::Range<u64>) -> Vec<u64> {
    let asked = |name| std::env::var(name).ok();
    let others = || {
        let text = asked("SEEDS")?;
        let (from, to) = text.split_once("..")?;
        Some((from.parse().ok()?..to.parse().ok()?).collect())
    };
    match asked("SEED").and_then(|text| text.parse().ok()) {
        Some(seed) => vec![seed],
        None => others().unwrap_or_else(|| range.collect()),
    }
}

#[test]
fn a_seed_run_twice_is_the_same_life() {
    for seed in seeds(1000..1004) {
        let run = || {
            simulate(seed, |world| async move {
                if seed % 2 == 0 {
                    live(world.clone(), mins(40), mins(10)).await;
                } else {
                    live_v1(world.clone(), mins(40), mins(10)).await;
                }
                world.trace()
            })
        };
        same_twice(seed, run);
    }
}

/// Asserts that two runs of a seed leave the same trace.
pub fn same_twice(seed: u64, run: impl Fn() -> Vec<String>) {
    let (first, second) = (run(), run());
    let differs = first.iter().zip(&second).position(|(a, b)| a != b);
    if let Some(at) = differs {
        let show = |trace: &[String]| trace[at.saturating_sub(10)..(at + 3).min(trace.len())].join("\n");
        panic!("seed {seed} differs in line {at}:\n{}\n\n{}", show(&first), show(&second));
    }
    assert_eq!(first.len(), second.len(), "seed {seed}");
    assert!(first.len() > 1000, "something happened: {} lines", first.len());
}

/// Runs all of them, so that one run shows every seed that fails.
pub fn weather_all<F: Future<Output = ()>>(seeds: Vec<u64>, live: fn(World, Duration, Duration) -> F) {
    let failed: Vec<u64> = seeds
        .into_iter()
        .filter(|seed| {
            let life = || simulate(*seed, |world| live(world, STORM, CALM));
            std::panic::catch_unwind(life).is_err()
        })
        .collect();
    assert!(failed.is_empty(), "these seeds failed: {failed:?}");
}

macro_rules! storms {
    ($($name:ident: $live:ident $seeds:expr;)*) => {
        $(#[test]
        fn $name() {
            weather_all(seeds($seeds), $live);
        })*
    };
}

// Several tests, so that two cores share them.
storms! {
    storms_00_to_12_pass: live 0..13;
    storms_13_to_25_pass: live 13..26;
    storms_26_to_37_pass: live 26..38;
    storms_38_to_49_pass: live 38..50;
    storms_of_1_x_00_to_05_pass: live_v1 500..506;
    storms_of_1_x_06_to_11_pass: live_v1 506..512;
    storms_of_1_x_12_to_17_pass: live_v1 512..518;
    storms_of_1_x_18_to_23_pass: live_v1 518..524;
}
