//! The stored last screens of agents.

use gastown_supervisor::{
    agent::{liveness::ProcessNames, program::provider::preset, screens, spec::AgentSpec},
    deps::Deps,
    town::identity::Identity,
};

use crate::{look, town, world::*};

fn watch(deps: &Deps, identity: &Identity, session: &str) {
    let spec = AgentSpec { identity: identity.clone(), session: session.to_owned(), prefix: "gt".to_owned() };
    deps.records.watch_screen(&spec);
    let names = ProcessNames::new(&preset("claude").unwrap(), None);
    deps.records.set_process_names(identity, Some(names));
}

#[test]
fn watched_screens_are_read_and_outlive_their_sessions() {
    simulate(170, |world| async move {
        let deps = town(&world).await;
        world.start_agent(&witness("r"));
        world.start_agent(&refinery("r"));
        world.pass(mins(1)).await;
        let scan = look(&deps).await;
        let id = |name: &str| scan.sessions.as_ref().unwrap()[name].id.clone();
        let it = Identity::Witness("r".parse().unwrap());
        watch(&deps, &it, &witness("r"));
        watch(&deps, &"r/polecats/nobody".parse().unwrap(), "gt-r-nobody");
        let last = || {
            let screen = deps.records.screen(&it, Some(&id(&witness("r"))))?;
            Some((screen.at, screen.lines.clone()))
        };
        screens::refresh(&deps, &scan).await;
        let seen = last();
        assert_eq!(seen, Some((deps.now(), vec!["> ".to_owned()])));
        let other = Identity::Refinery("r".parse().unwrap());
        assert_eq!(deps.records.screen(&other, None), None, "nobody watches it");
        world.pass(secs(10)).await;
        world.fail("capture", true);
        screens::refresh(&deps, &scan).await;
        assert_eq!(last(), seen, "it could not be read");
        world.fail("capture", false);
        world.crash_agent(&witness("r"), false);
        screens::refresh(&deps, &*look(&deps).await).await;
        screens::refresh(&deps, &scan).await; // an older scan: the session no longer exists
        assert_eq!(last(), seen, "it is gone");
    });
}
