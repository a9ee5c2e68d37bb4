//! The whole tree on a simulated town: no real time, no real tmux, no disk.
//!
//! There are named stories, one for each situation of a town, and seeded ones in which everything goes wrong. A seed
//! that fails prints the end of its trace and how to run it alone.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails")]
#![allow(clippy::disallowed_methods, reason = "tests keep tasks of their own")]

#[path = "../support/world/mod.rs"]
mod world;

mod account_lives;
mod accounts;
mod activity;
mod actors;
mod agents_file;
mod alerts;
mod audit;
mod beads_v1;
mod by_gt;
mod commands;
mod conversations;
mod convoy;
mod crash_loops;
mod deacon;
mod deaths;
mod direct_start;
mod earlier;
mod elsewhere;
mod feed;
mod foreign;
mod gas_town_1;
mod last_screens;
mod ledger;
mod limits;
mod lives;
mod mass_deaths;
mod memory;
mod operators;
mod own_seeds;
mod own_starts;
mod polecats;
mod questions;
mod races;
mod requests;
mod restart_words;
mod role_beads;
mod seeds;
mod slots;
mod spawns;
mod statuses;
mod stopping;
mod stories;
mod timelines;
mod unknown;

use std::time::Duration;

use world::*;

/// A town with these rigs whose agents are all up and instructed, and its supervisor.
async fn town(world: &World, rigs: &[&str]) -> Supervisor {
    world.set_rigs(rigs);
    let supervisor = world.supervisor().await;
    all_up(world, rigs, mins(2)).await;
    world.pass(secs(20)).await;
    for rig in rigs {
        for (role, session) in [("witness", witness(rig)), ("refinery", refinery(rig))] {
            let agent = supervisor.agent(&format!("{rig}/{role}")).await;
            assert_eq!(agent.state, "alive", "{agent:#?}");
            assert_eq!(world.state().session(&session).typed.len(), 1, "woken and told what to do");
        }
    }
    supervisor
}

/// Waits until the deacon and all agents of these rigs are there.
async fn all_up(world: &World, rigs: &[&str], limit: Duration) {
    let since = world.time();
    world
        .until("all agents", limit, |state| {
            let up = |session: &str| state.appeared(session, since + limit);
            up(DEACON) && rigs.iter().all(|rig| up(&witness(rig)) && up(&refinery(rig)))
        })
        .await;
}

/// An event for every refinery of a 1.x town: without one, they are not started.
const REFINERY_EVENT: &str = "events/refinery/17.event";

/// A 1.x town with these rigs whose agents are all up, with the mayor and the refineries, which have an event; and its
/// supervisor.
async fn town_of_1_x(world: &World, rigs: &[&str]) -> Supervisor {
    world.is_v1();
    world.set_rigs(rigs);
    world.write(REFINERY_EVENT, "{}");
    let supervisor = world.supervisor().await;
    world.until("all agents", mins(2), |state| all_of_1_x_live(world.time(), state, rigs)).await;
    world.pass(secs(20)).await;
    supervisor
}

/// Whether the agents of a 1.x town with these rigs live.
fn all_of_1_x_live(now: Duration, state: &State, rigs: &[&str]) -> bool {
    let of_rigs = rigs.iter().flat_map(|rig| [format!("{rig}-witness"), format!("{rig}-refinery")]);
    [DEACON, MAYOR].map(str::to_owned).into_iter().chain(of_rigs).all(|it| state.appeared(&it, now))
}

/// How often the supervisor made and ended sessions so far.
fn deeds(world: &World) -> usize {
    world.state().deeds.len()
}
