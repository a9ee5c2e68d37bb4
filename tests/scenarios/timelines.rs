//! Every recorded command of Gas Town, replayed while the supervisor reacts within milliseconds.
//!
//! No unwanted agent is started, no death is reported, and no mail is sent; in the end, everything that nobody
//! stopped runs.

use std::collections::BTreeMap;

use crate::{REFINERY_EVENT, town, town_of_1_x, world::*};

/// The town as it was recorded: two rigs, and the mayor.
const RIGS: [&str; 2] = ["gastown", "beads"];

/// What must become of the agents a command took down.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Outcome {
    /// All that ran before runs again; `ours` of them were started by the supervisor.
    AllUp { ours: &'static [&'static str] },
    /// These are down and left so; all others run.
    Down(&'static [&'static str]),
    /// The supervisor got a stop before anything could be judged.
    Ended,
}

use Outcome::{AllUp, Down, Ended};

const NONE: Outcome = AllUp { ours: &[] };
const WITNESS: &str = "gt-gastown-witness";
const REFINERY: &str = "gt-gastown-refinery";
const DEACON: &str = "hq-deacon";
const EVERYBODY: &[&str] =
    &[DEACON, "gt-beads-refinery", "gt-beads-witness", "gt-gastown-refinery", "gt-gastown-witness"];

/// Each recording, the polecats that are there before (with work), and what must come of it.
const GRID: &[(&str, &[&str], Outcome)] = &[
    ("t01_up", &[], NONE),
    ("t02_park", &[], Down(&[WITNESS, REFINERY])),
    ("t03_unpark", &[], NONE),
    ("t04_rigstart", &[], NONE),
    ("t05_witness_stop", &[], Down(&[WITNESS])),
    ("t06_witness_start", &[], NONE),
    ("t07_witness_restart", &[], NONE),
    ("t08_refinery_stop", &[], Down(&[REFINERY])),
    ("t09_refinery_restart_stopped", &[], NONE),
    ("t09b_refinery_restart_running", &[], NONE),
    ("t10_deacon_stop", &[], Down(&[DEACON])),
    ("t11_deacon_start", &[], NONE),
    ("t12_deacon_restart", &[], NONE),
    ("t20_dock", &[], Down(&[WITNESS, REFINERY])),
    ("t21_undock", &[], NONE),
    ("t22_rig_boot", &[], NONE),
    ("t30_sling_new", &[], NONE),
    ("t31_nuke", &["furiosa"], Down(&["gt-gastown-furiosa"])),
    ("t32_sling2", &[], NONE),
    ("t33_done", &["furiosa"], NONE),
    ("t34_handoff_deacon", &[], NONE),
    ("t35_handoff_witness", &[], NONE),
    ("t40_session_stop", &["slit"], Down(&["gt-gastown-slit"])),
    ("t41_sling_dead", &[], NONE),
    ("t43_polecat_remove", &["nux"], NONE),
    ("t43b_polecat_remove_stopped", &["slit"], NONE),
    ("t44_nuke_from_witness", &["rictus"], Down(&["gt-gastown-rictus"])),
    ("t45_force_kill", &[], AllUp { ours: &[REFINERY] }),
    ("t47_pause", &[], NONE),
    ("t48_resume", &[], NONE),
    ("t50_rig_stop", &["furiosa"], Down(&[WITNESS, "gt-gastown-furiosa"])), // there was no refinery to stop
    ("t51_rig_restart", &["furiosa"], NONE),
    ("t52_rig_shutdown", &[], Down(&[WITNESS, REFINERY])),
    ("t53_rig_reboot", &[], NONE),
    ("t60_down", &[], Ended),
    ("t61_down_all", &["furiosa"], Ended),
    ("t62_shutdown", &["furiosa"], Ended),
    ("t70_done", &["furiosa"], Down(&["gt-gastown-furiosa"])),
    ("t80_shutdown_in_mayor", &[], Down(EVERYBODY)),
    ("t81_down_in_mayor", &[], Down(&["gt-beads-refinery", "gt-beads-witness", WITNESS, REFINERY])),
];

/// The rigs of the recorded town of 1.x.
const RIGS_V1: [&str; 2] = ["alpha", "beta"];

/// The same of 1.x.
const GRID_V1: &[(&str, &[&str], Outcome)] = &[
    ("deacon_respawn", &[], NONE),
    ("down", &[], Ended),
    ("estop_thaw", &["furiosa"], NONE),
    ("rig_dock", &[], Down(&["beta-witness", "beta-refinery"])),
    ("rig_park", &[], Down(&["alpha-witness", "alpha-refinery"])),
    ("session_restart", &["furiosa"], NONE),
    ("shutdown", &["furiosa"], Ended),
    ("up", &["furiosa"], NONE),
    ("witness_restart", &[], NONE),
];

#[test]
fn every_recording_has_its_row() {
    let rows = |grid: &[(&'static str, &[&str], Outcome)]| -> Vec<&'static str> {
        grid.iter().map(|(name, ..)| *name).collect()
    };
    assert_eq!(rows(GRID), Timeline::all());
    assert_eq!(rows(GRID_V1), Timeline::all_v1());
}

#[test]
fn no_unwanted_agent_is_started_and_what_was_not_stopped_runs() {
    let mut failed = Vec::new();
    for (name, polecats, outcome) in GRID {
        // As recorded, and on a machine that is slower.
        for pace in [1, 3] {
            let story = || simulate(300, |world| replayed(world, name, polecats, *outcome, pace));
            if std::panic::catch_unwind(story).is_err() {
                failed.push(format!("{name} at pace {pace}"));
            }
        }
    }
    assert!(failed.is_empty(), "these went wrong: {failed:#?}");
}

#[test]
fn the_same_in_a_town_of_1_x() {
    let mut failed = Vec::new();
    for (name, polecats, outcome) in GRID_V1 {
        // The hook waits for 3 s on every machine.
        let paces = if *name == "deacon_respawn" { &[1][..] } else { &[1, 3] };
        for pace in paces.iter().copied() {
            let story = || simulate(301, |world| replayed_v1(world, name, polecats, *outcome, pace));
            if std::panic::catch_unwind(story).is_err() {
                failed.push(format!("{name} at pace {pace}"));
            }
        }
    }
    assert!(failed.is_empty(), "these went wrong: {failed:#?}");
}

async fn replayed_v1(world: World, name: &str, polecats: &[&str], outcome: Outcome, pace: u32) {
    let supervisor = town_of_1_x(&world, &RIGS_V1).await;
    for polecat in polecats {
        world.polecat_at_work("alpha", polecat);
    }
    world.remove(REFINERY_EVENT); // one that runs is kept all the same
    world.pass(mins(6)).await;
    carried_out(world, supervisor, Timeline::read_v1(name), outcome, pace).await;
}

async fn replayed(world: World, name: &str, polecats: &[&str], outcome: Outcome, pace: u32) {
    for polecat in polecats {
        world.set_rigs(&RIGS);
        world.add_polecat("gastown", polecat, &format!("gt-{polecat}"));
        world.start_agent(&format!("gt-gastown-{polecat}"));
    }
    let supervisor = town(&world, &RIGS).await;
    world.start_agent("hq-mayor");
    world.pass(mins(6)).await; // sessions are no longer young
    carried_out(world, supervisor, Timeline::read(name), outcome, pace).await;
}

/// Replays it, and judges what came of it.
async fn carried_out(world: World, supervisor: Supervisor, timeline: Timeline, outcome: Outcome, pace: u32) {
    let name = &timeline.name;
    let before = sessions(&world);
    let events = deaths_reported(&world);
    let crashes = world.state().crash_logs.len();
    world.replay(&timeline, pace);
    if outcome == Ended {
        return ended(&world, supervisor, &timeline, pace, events).await;
    }
    world.pass(timeline.length() * pace + secs(90)).await;
    assert_eq!(deaths_reported(&world), events, "{name}: no death is told");
    assert_eq!(world.state().crash_logs.len(), crashes, "{name}: nor logged");
    assert_eq!(world.state().mails, [], "{name}: no mail");
    let after = sessions(&world);
    let (mut gone, mut ours) = (Vec::new(), Vec::new());
    for (session, id) in &before {
        match after.get(session) {
            None => gone.push(session.as_str()),
            Some(other) if other != id && world.state().session(session).by != By::Operator => {
                ours.push(session.as_str())
            }
            Some(_) => {}
        }
    }
    let (down, started) = match outcome {
        AllUp { ours } => (&[][..], ours),
        Down(down) => (down, &[][..]),
        Ended => return,
    };
    let sorted = |names: &[&'static str]| {
        let mut names: Vec<&str> = names.to_vec();
        names.sort_unstable();
        names
    };
    // The mayor is kept in towns of 1.x only.
    let keeps_mayor = world.state().is_v1();
    gone.retain(|session| (keeps_mayor || *session != MAYOR) && !is_boot(session));
    assert_eq!((gone, ours), (sorted(down), sorted(started)), "{name}: who is down, whom we started");
    for session in after.keys() {
        assert!(world.state().lives(session), "{name}: {session} lives");
    }
    assert!(!supervisor.ended());
}

/// It got a stop: until then it started and reported nothing.
async fn ended(world: &World, supervisor: Supervisor, timeline: &Timeline, pace: u32, events: usize) {
    let made = world.state().made_by_supervisor().len();
    world.pass(timeline.terminates_at() * pace).await;
    let took = supervisor.stop().await;
    assert!(took <= millis(400), "{took:?}");
    world.pass(mins(1)).await;
    assert!(world.state().made_by_supervisor().len() <= made, "nobody was started");
    assert_eq!(deaths_reported(world), events);
    assert_eq!(world.state().mails, []);
}

fn sessions(world: &World) -> BTreeMap<String, u64> {
    world.state().sessions.iter().map(|(name, session)| (name.clone(), session.id)).collect()
}

/// Events that tell of deaths.
fn deaths_reported(world: &World) -> usize {
    let events = world.text(".events.jsonl").unwrap_or_default();
    events.matches("session_death").count() + events.matches("mass_death").count()
}
