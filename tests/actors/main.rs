//! Each actor alone: tests send it messages, with the simulated town behind its ports.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails")]
#![allow(clippy::disallowed_methods, reason = "tests keep tasks of their own")]

#[path = "../support/world/mod.rs"]
mod world;

mod accounts;
mod ahead;
mod alerts;
mod audit;
mod boot;
mod children;
mod convoy;
mod deacon;
mod deaths;
mod health;
mod heartbeats;
mod identify;
mod ledger;
mod mailbox;
mod metrics;
mod notify;
mod nudges;
mod operator;
mod panes;
mod patrol;
mod polecats;
mod pollers;
mod problems;
mod recorded;
mod respawn;
mod rig;
mod root;
mod screens;
mod session_watch;
mod spawns;
mod status;
mod writes;

use std::sync::{Arc, Mutex};

use gastown_supervisor::{
    agent::spec::AgentSpec,
    deps::Deps,
    sessions::scan::{Scan, scan},
    supervision::messages::{Beat, Report, ReportTo},
    town::{identity::Identity, settings::Naming},
};

use world::World;

/// What a part reported to the root.
#[derive(Clone, Default)]
struct Told(Arc<Mutex<Vec<Report>>>);

impl Told {
    /// Where it reports.
    fn answers(&self) -> ReportTo {
        let told = self.0.clone();
        Arc::new(move |report| told.lock().unwrap().push(report))
    }

    /// The heartbeats that were answered, with by whom.
    fn probed(&self) -> Vec<(u64, String)> {
        let told = self.0.lock().unwrap();
        told.iter()
            .filter_map(|report| match report {
                Report::Probed { number, part, .. } => Some((*number, part.clone())),
                _ => None,
            })
            .collect()
    }

    /// Whether the deacon is held, as reported.
    fn held(&self) -> Vec<bool> {
        let told = self.0.lock().unwrap();
        told.iter()
            .filter_map(|it| if let Report::DeaconHeld(held) = it { Some(*held) } else { None })
            .collect()
    }

    /// How often the inbox was passed on.
    fn mail_reads(&self) -> usize {
        self.0.lock().unwrap().iter().filter(|report| matches!(report, Report::MailRead(_))).count()
    }

    /// How often the deacon was to be probed directly.
    fn check_deacon(&self) -> usize {
        self.0.lock().unwrap().iter().filter(|report| matches!(report, Report::CheckDeacon)).count()
    }
}

fn spec(identity: Identity) -> AgentSpec {
    let session = identity.session(Naming::Rig, "");
    AgentSpec { identity, session, prefix: String::new() }
}

/// A town with rig `r`, and the ports of a supervisor.
async fn town(world: &World) -> Arc<Deps> {
    world.set_rigs(&["r"]);
    world.deps().await.0
}

async fn look(deps: &Deps) -> Arc<Scan> {
    Arc::new(scan(&*deps.sessions, &*deps.processes, deps.now()).await)
}

/// A heartbeat with a scan of the current state.
async fn beat(deps: &Deps, number: u64) -> Beat {
    Beat { number, scan: look(deps).await }
}
