//! The agent that the sender of a mail names, when only the town's directories decide it.

use gastown_supervisor::{
    agent::identify::{Unidentified, identify},
    town::identity::RigName,
};

use crate::{town, world::*};

fn rigs() -> Vec<RigName> {
    ["r", "r-2"].map(|name| name.parse().unwrap()).into()
}

#[test]
fn the_directories_tell_crew_from_polecats() {
    simulate(230, |world| async move {
        let deps = town(&world).await;
        for directory in
            ["r/polecats/Toast/r", "r/polecats/both", "r/crew/both", "r/crew/max", "r-2/crew/Toast"]
        {
            world.directory(directory);
        }
        for (text, who) in [
            ("r/Toast", Some("r/polecats/Toast")),
            ("r/both", Some("r/polecats/both")),
            ("r/max", Some("r/crew/max")),
            ("r-2/Toast", Some("r-2/crew/Toast")),
            ("r/nobody", None),
            ("r-3/Toast", None),
            ("overseer", None),
            ("r-polecat-nobody", Some("r/polecats/nobody")),
            ("r/witness", Some("r/witness")),
        ] {
            let read = identify(&deps, text, &rigs()).await;
            let expected = who.map(str::to_owned).ok_or_else(|| Unidentified::Nobody(text.to_owned()));
            assert_eq!(read.map(|identity| identity.to_string()), expected, "{text}");
        }
    });
}

#[test]
fn what_cannot_be_read_does_not_mean_no_agent() {
    simulate(231, |world| async move {
        let deps = town(&world).await;
        world.directory("r/crew/max");
        world.fail("is dir", true);
        let error = identify(&deps, "r/max", &rigs()).await.unwrap_err();
        assert!(matches!(error, Unidentified::Unclear { .. }), "{error}");
        assert!(error.to_string().contains("r/polecats/max"), "{error}");
        assert!(identify(&deps, "r/crew/max", &rigs()).await.is_ok(), "nothing is asked of the disk");
    });
}
