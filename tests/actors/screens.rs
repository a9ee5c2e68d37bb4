//! The stored last screens of agents.

use gastown_supervisor::{
    agent::{
        liveness::ProcessNames, names::KnownNames, program::provider::preset, screens::reading,
        spec::AgentSpec,
    },
    town::identity::Identity,
};

use crate::{look, town, world::*};

fn wanted(session: &str) -> AgentSpec {
    let identity = Identity::Witness("r".parse().unwrap());
    AgentSpec { identity, session: session.to_owned(), prefix: "gt".to_owned() }
}

fn known() -> KnownNames {
    KnownNames::of(ProcessNames::new(&preset("claude").unwrap(), None))
}

#[test]
fn wanted_screens_are_read_and_outlive_their_sessions() {
    simulate(170, |world| async move {
        let deps = town(&world).await;
        world.start_agent(&witness("r"));
        world.start_agent(&refinery("r"));
        world.pass(mins(1)).await;
        let scan = look(&deps).await;
        let id = |name: &str| scan.sessions.as_ref().unwrap()[name].id.clone();
        deps.screens.want(&wanted(&witness("r")), known());
        deps.screens.want(&wanted("gt-r-nobody"), known());
        reading::refresh(&deps, &scan).await;
        let seen = deps.screens.last(&witness("r"), &id(&witness("r")));
        assert_eq!(seen, Some((deps.now(), vec!["> ".to_owned()])));
        assert_eq!(deps.screens.last(&refinery("r"), &id(&refinery("r"))), None, "nobody wants it");
        world.pass(secs(10)).await;
        world.fail("capture", true);
        reading::refresh(&deps, &scan).await;
        assert_eq!(deps.screens.last(&witness("r"), &id(&witness("r"))), seen, "it could not be read");
        world.fail("capture", false);
        world.crash_agent(&witness("r"), false);
        reading::refresh(&deps, &*look(&deps).await).await;
        reading::refresh(&deps, &scan).await; // an older look: the session is not there any more
        assert_eq!(deps.screens.last(&witness("r"), &id(&witness("r"))), seen, "it is gone");
    });
}
