//! How many threads a busy supervisor has.

use gastown_supervisor::service::MOST_THREADS;
use serde_json::json;

use crate::{
    among_others,
    support::{process, town::Town},
};

/// Its first one, and those for signals, for standard error, for the hold on the town, and for each kind of file watch.
const OTHERS: usize = 7;

/// Tokio keeps a thread that has nothing to do for ten seconds, so none of a heartbeat is missed. What agents ask of the disk is done
/// by one; only on a disk that hangs there are more.
#[test]
fn many_agents_and_a_slow_bd_make_no_more_threads_than_it_may_have() {
    let _among = among_others();
    let rigs: Vec<String> = (0..8).map(|rig| format!("rig{rig}")).collect();
    let town = Town::new(&rigs.iter().map(String::as_str).collect::<Vec<_>>());
    town.patrols(&["witness", "refinery", "deacon"]);
    town.settings(json!({"heartbeat": {"interval": "1s"}}));
    town.put("demo/delay-bd", "200");
    for polecat in rigs.iter().flat_map(|rig| (0..30).map(move |number| format!("{rig}/polecats/p{number}")))
    {
        std::fs::create_dir_all(town.path(polecat)).unwrap();
    }
    let mut supervisor = town.start();
    let mut most = 0;
    town.wait("three heartbeats", || {
        most = most.max(process::threads(supervisor.pid()));
        town.logged("Heartbeat complete (#3)") > 0
    });
    assert!(most <= MOST_THREADS + OTHERS, "{most} threads");
    supervisor.stop(rustix::process::Signal::TERM);
}
