//! Reading ahead: what is read without `bd`, and what `bd` is asked for only when something changed.

use std::{collections::BTreeSet, sync::Arc};

use gastown_supervisor::{
    deps::Deps,
    ledger::{
        answer::Answer,
        snapshot::{self, AgentSnapshot},
        version,
    },
    supervision::messages::Broadcast,
    town::{identity::AgentName, rig_plan::RigPlan},
    watchers::lifecycle_mail::actor::{DeaconMail, MailMsg},
};
use ractor::Actor;

use crate::{Told, beat, town, world::*};

fn names() -> Vec<AgentName> {
    ["Toast", "nux", "ghost", "odd"].iter().map(|name| name.parse().unwrap()).collect()
}

/// Rig `r` with polecats of every kind, and what it takes to read their beads.
async fn peopled(world: &World) -> (Arc<Deps>, RigPlan) {
    let deps = town(world).await;
    world.add_polecat("r", "Toast", "r-1");
    world.add_polecat("r", "nux", "");
    world.add_polecat("r", "odd", "--help");
    world.put_bead(serde_json::json!({"id": "r-rig-r", "labels": ["gt:rig", "status:docked"]}));
    (deps, RigPlan { name: "r".parse().unwrap(), prefix: "r".into() })
}

async fn read(world: &World, deps: &Deps, rig: &RigPlan) -> (usize, AgentSnapshot) {
    let before = world.state().bd_shows();
    let snapshot = snapshot::read(deps, rig, &names()).await;
    (world.state().bd_shows() - before, snapshot)
}

#[test]
fn the_database_says_what_bd_says_and_costs_no_run() {
    simulate(280, |world| async move {
        let (deps, rig) = peopled(&world).await;
        world.state().bead_files = BeadFiles::Readable;
        let (runs, by_bd) = read(&world, &deps, &rig).await;
        assert_eq!(runs, 2, "which version of bd there is is not known yet");
        version::probe(&deps).await;
        let (runs, by_file) = read(&world, &deps, &rig).await;
        assert_eq!(runs, 0);
        let same = |snapshot: AgentSnapshot| (snapshot.agents, snapshot.hooked, snapshot.rig_bead);
        assert_eq!(same(by_file), same(by_bd));
        world.unhook("r", "Toast");
        let (runs, changed) = read(&world, &deps, &rig).await;
        assert_eq!((runs, changed.hooked.contains_key("r-1")), (0, false), "it is read each time");
    });
}

#[test]
fn bd_is_asked_again_when_its_files_changed() {
    simulate(281, |world| async move {
        let (deps, rig) = peopled(&world).await;
        world.state().bead_files = BeadFiles::Opaque;
        version::probe(&deps).await;
        world.fail("bd", true);
        let (runs, unknown) = read(&world, &deps, &rig).await;
        assert!(runs > 0 && matches!(unknown.rig_bead, Answer::Unknown(_)), "{unknown:?}");
        world.fail("bd", false);
        let (runs, first) = read(&world, &deps, &rig).await;
        assert_eq!(runs, 2, "what it could not say is asked again");
        for again in 0..3 {
            let (runs, same) = read(&world, &deps, &rig).await;
            assert_eq!((runs, &same.agents, &same.hooked), (0, &first.agents, &first.hooked), "{again}");
        }
        world.unhook("r", "Toast");
        let (runs, changed) = read(&world, &deps, &rig).await;
        assert_eq!((runs, changed.hooked.contains_key("r-1")), (1, false), "no hook is left to ask about");
        world.state().bead_files = BeadFiles::None;
        assert_eq!(read(&world, &deps, &rig).await.0, 1, "what cannot be seen may have changed");
    });
}

#[test]
fn the_inbox_is_read_again_when_something_may_have_come() {
    simulate(282, |world| async move {
        let deps = town(&world).await;
        version::probe(&deps).await;
        let told = Told::default();
        let rigs = Arc::new(BTreeSet::from(["r".parse().unwrap()]));
        let (mail, _) = Actor::spawn(None, DeaconMail, (deps.clone(), told.answers())).await.unwrap();
        mail.cast(MailMsg::Broadcast(Broadcast::Rigs(rigs))).unwrap();
        let mut number = 0;
        let mut heartbeat = async |world: &World| {
            number += 1;
            let before = world.state().runs_of("mail inbox");
            let beat = beat(&deps, number).await;
            mail.cast(MailMsg::Broadcast(Broadcast::Heartbeat(beat))).unwrap();
            world.pass(secs(60)).await;
            (world.state().runs_of("mail inbox") - before, told.mail_reads())
        };
        assert_eq!(heartbeat(&world).await, (1, 1), "without files it is read each time");
        assert_eq!(heartbeat(&world).await, (1, 2));
        world.state().bead_files = BeadFiles::Opaque;
        assert_eq!(heartbeat(&world).await, (1, 3));
        assert_eq!(heartbeat(&world).await, (0, 4), "and whoever waits for it hears of it all the same");
        world.mail("overseer", "hello", "");
        assert_eq!(heartbeat(&world).await, (1, 5));
        assert_eq!(heartbeat(&world).await, (0, 6));
        let before = world.state().runs_of("mail inbox");
        mail.cast(MailMsg::Broadcast(Broadcast::ReadMail)).unwrap();
        world.pass(secs(60)).await;
        assert_eq!(world.state().runs_of("mail inbox") - before, 1, "somebody says that it changed");
        mail.stop(None);
    });
}
