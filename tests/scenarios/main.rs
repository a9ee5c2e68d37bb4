//! The whole tree on a simulated town: no real time, no real tmux, no disk.
//!
//! There are named stories, one for each situation of a town, and seeded ones in which everything goes wrong. A seed
//! that fails prints the end of its trace and how to run it alone.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails")]
#![allow(clippy::disallowed_methods, reason = "tests keep tasks of their own")]

#[path = "../support/world/mod.rs"]
mod world;

mod actors;
mod audit;
mod by_gt;
mod convoy;
mod crash_loops;
mod deacon;
mod deaths;
mod earlier;
mod elsewhere;
mod feed;
mod foreign;
mod ledger;
mod limits;
mod lives;
mod mass_deaths;
mod operators;
mod polecats;
mod questions;
mod races;
mod requests;
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

/// How often the supervisor made and ended sessions so far.
fn deeds(world: &World) -> usize {
    world.state().deeds.len()
}
