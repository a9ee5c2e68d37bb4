//! Agents begin, end and are restarted.

use crate::world::*;

#[test]
fn a_cold_town_of_twenty_rigs_comes_up() {
    simulate(1, |world| async move {
        let rigs: Vec<String> = (0..20).map(|n| format!("r{n:02}")).collect();
        let rigs: Vec<&str> = rigs.iter().map(String::as_str).collect();
        world.set_rigs(&rigs);
        let _supervisor = world.supervisor().await;
        world
            .until("41 agents", secs(60), |state| {
                state.lives(DEACON)
                    && rigs.iter().all(|rig| state.lives(&witness(rig)) && state.lives(&refinery(rig)))
            })
            .await;
    });
}
