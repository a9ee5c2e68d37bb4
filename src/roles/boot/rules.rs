//! Boot's rule: whether this heartbeat spawns a boot agent.
//!
//! Boot is a short AI session that checks the deacon; each one costs tokens, so an idle town must not get one every
//! three minutes. Nothing here may act.

use std::time::Duration;

use crate::town::settings::Boot as Settings;

/// The input of a heartbeat's decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observed {
    /// Why the deacon needs no check: paused, held, patrol disabled, gate closed. `None` when it needs one.
    pub not_wanted: Option<String>,
    /// The age of boot's session.
    pub session: BootSession,
    /// How long ago boot was last spawned; `None` when this supervisor never did.
    pub since_spawn: Option<Duration>,
    /// The age of the deacon's heartbeat; `None` when it is not known.
    pub deacon_heartbeat_age: Option<Duration>,
}

/// What is known of boot's session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BootSession {
    /// There is none.
    Missing,
    /// There is one of this age.
    Present(Duration),
    /// It could not be found out, and why.
    Unknown(String),
}

/// Whether to spawn a boot agent.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum Decision {
    /// Do nothing, and why.
    Leave(String),
    /// Start a boot agent.
    Spawn,
    /// End the boot agent, which is too old, and start another.
    Replace,
}

/// Decides for one heartbeat.
pub fn decide(observed: &Observed, settings: &Settings) -> Decision {
    let leave = |why: &str| Decision::Leave(why.to_owned());
    if !settings.enabled {
        return leave("boot is disabled");
    }
    if let Some(why) = &observed.not_wanted {
        return Decision::Leave(why.clone());
    }
    let replace = match &observed.session {
        BootSession::Unknown(why) => return Decision::Leave(why.clone()),
        BootSession::Present(age) if *age < settings.max_age => return leave("boot is running"),
        BootSession::Present(_) => true,
        BootSession::Missing => false,
    };
    if observed.since_spawn.is_some_and(|since| since < settings.cooldown) {
        return leave("boot was spawned recently");
    }
    if observed.deacon_heartbeat_age.is_some_and(|age| age < settings.skip_when_fresher_than) {
        return leave("the deacon's heartbeat is fresh");
    }
    if replace { Decision::Replace } else { Decision::Spawn }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_grid() {
        let minutes = |n: u64| Duration::from_secs(n * 60);
        let usual = Observed {
            not_wanted: None,
            session: BootSession::Missing,
            since_spawn: None,
            deacon_heartbeat_age: None,
        };
        let leave = |why: &str| Decision::Leave(why.into());
        let fresh = "the deacon's heartbeat is fresh";
        let soon = "boot was spawned recently";
        for (name, observed, expected) in [
            ("first", usual.clone(), Decision::Spawn),
            ("paused", Observed { not_wanted: Some("paused".into()), ..usual.clone() }, leave("paused")),
            (
                "at work",
                Observed { session: BootSession::Present(minutes(9)), ..usual.clone() },
                leave("boot is running"),
            ),
            (
                "too old",
                Observed { session: BootSession::Present(minutes(10)), ..usual.clone() },
                Decision::Replace,
            ),
            (
                "unknown",
                Observed { session: BootSession::Unknown("tmux".into()), ..usual.clone() },
                leave("tmux"),
            ),
            (
                "cooldown",
                Observed { since_spawn: Some(Duration::from_secs(119)), ..usual.clone() },
                leave(soon),
            ),
            ("cooled down", Observed { since_spawn: Some(minutes(2)), ..usual.clone() }, Decision::Spawn),
            (
                "fresh",
                Observed { deacon_heartbeat_age: Some(Duration::from_secs(299)), ..usual.clone() },
                leave(fresh),
            ),
            (
                "not fresh",
                Observed { deacon_heartbeat_age: Some(minutes(5)), ..usual.clone() },
                Decision::Spawn,
            ),
            (
                "too old, but the deacon is well",
                Observed {
                    session: BootSession::Present(minutes(20)),
                    deacon_heartbeat_age: Some(minutes(1)),
                    ..usual.clone()
                },
                leave(fresh),
            ),
        ] {
            assert_eq!(decide(&observed, &Settings::default()), expected, "{name}");
        }
        let off = Settings { enabled: false, ..Settings::default() };
        assert_eq!(decide(&usual, &off), leave("boot is disabled"));
    }
}
