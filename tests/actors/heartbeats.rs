//! The heartbeat files of polecats and crew members of Gas Town 1.x.

use gastown_supervisor::{
    agent::heartbeats,
    town::{
        dialect::{Dialect, heartbeat_file::Heartbeat},
        identity::Identity,
        reading::Reading,
    },
};

use crate::{spec, town, world::*};

#[test]
fn are_written_at_a_start_and_read() {
    for (dialect, agent, written) in [
        (Dialect::V1, "r/polecats/nux", true),
        (Dialect::V1, "r/crew/max", true),
        (Dialect::V1, "r/witness", false),
        (Dialect::V1, "deacon", false),
        (Dialect::January, "r/polecats/nux", false),
    ] {
        simulate(120, |world| async move {
            world.is_of(dialect);
            let deps = town(&world).await;
            let spec = spec(agent.parse::<Identity>().unwrap());
            let read = async || heartbeats::read(&deps, &spec.session).await;
            assert_eq!(read().await, Reading::Missing, "{agent}");
            heartbeats::write_fresh(&deps, &spec).await;
            let expected = match written {
                true => Reading::Good(Heartbeat::started(deps.now().wall)),
                false => Reading::Missing,
            };
            assert_eq!(read().await, expected, "{dialect} {agent}");
            if written {
                let file = format!(".runtime/heartbeats/{}.json", spec.session);
                world.write(&file, "{");
                assert!(matches!(read().await, Reading::Bad(_)));
                world.pass(mins(10)).await;
                heartbeats::write_fresh(&deps, &spec).await;
                assert_eq!(read().await, Reading::Good(Heartbeat::started(deps.now().wall)), "anew");
            }
        });
    }
}
