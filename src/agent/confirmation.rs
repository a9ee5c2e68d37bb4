//! Confirmation: is what looked like a death really one?
//!
//! Noticing takes milliseconds, but Gas Town's own commands kill sessions on purpose and only then say so, so the
//! supervisor takes a second look before it acts. This is the pure judgement of that look; when it is taken and what
//! follows from it is the [`lifecycle`](super::lifecycle)'s part.

use jiff::Timestamp;

use crate::clock::Now;

/// Which incarnation of a session: a new session of the same name is another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionKey {
    /// The tmux server's id (`$5`).
    pub id: String,
    /// When it was created.
    pub created: Timestamp,
}

/// What was seen of an agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sighting {
    /// It has no session.
    Absent,
    /// An agent process runs in its session.
    Alive(SessionKey),
    /// No agent process yet, and its panes are young.
    Starting(SessionKey),
    /// The session is there and its agent is not.
    Dead(SessionKey),
    /// It could not be found out, and why.
    Unknown(String),
}

/// Whether anything may be started, nudged or ended here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Permission {
    /// Yes.
    Allowed,
    /// No, and why in a few words ("rig is parked").
    Denied(String),
    /// It could not be found out, and why.
    Unknown(String),
}

/// What `<rig>/.runtime/<role>.json` says; `gt` writes `stopped` shortly before or after it kills.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StateFile {
    /// `stopped`.
    Stopped,
    /// `running`.
    Running,
    /// Something else, nothing, or unreadable.
    Silent,
}

/// Whether there is anything for the agent to do, so that it is missed when it is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Assignment {
    /// It is wanted whether it has work or not: deacon, witness, refinery.
    Standing,
    /// It was not asked, as nothing hangs on it now.
    NotAsked,
    /// There is work on its hook, and everything says that it should be at it.
    Hooked {
        /// The bead on its hook.
        hook: String,
    },
    /// It is not to be started now, and why in a few words ("no work on its hook").
    None(String),
    /// It could not be found out, and why.
    Unknown(String),
}

/// Everything seen of one agent at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observation {
    /// When the look was begun: what changed later is not in it.
    pub begun: Now,
    /// The agent and its session.
    pub sighting: Sighting,
    /// Whether the supervisor may act.
    pub permission: Permission,
    /// What Gas Town wrote down about it.
    pub state_file: StateFile,
}

/// What the second look showed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum SecondLook {
    /// It is back, or another one took its place.
    Back(SessionKey),
    /// Nobody wants it to run now, and why.
    Unwanted(String),
    /// Somebody stopped it by hand.
    StoppedByHand,
    /// It ended, and nobody meant it to.
    Death,
    /// It cannot be told yet, and why.
    Unclear(String),
}

/// Judges the second look. `said_stopped_when_alive`: the state file said `stopped` already when the agent was last seen
/// alive, so that the word says nothing about this end.
pub fn judge(seen: &Observation, said_stopped_when_alive: bool) -> SecondLook {
    match &seen.sighting {
        Sighting::Alive(key) | Sighting::Starting(key) => return SecondLook::Back(key.clone()),
        Sighting::Unknown(why) => return SecondLook::Unclear(why.clone()),
        Sighting::Absent | Sighting::Dead(_) => {}
    }
    match &seen.permission {
        Permission::Denied(why) => return SecondLook::Unwanted(why.clone()),
        Permission::Unknown(why) => return SecondLook::Unclear(why.clone()),
        Permission::Allowed => {}
    }
    if seen.state_file == StateFile::Stopped && !said_stopped_when_alive {
        SecondLook::StoppedByHand
    } else {
        SecondLook::Death
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> SessionKey {
        SessionKey { id: "$1".into(), created: Timestamp::UNIX_EPOCH }
    }

    #[test]
    fn the_grid_of_the_second_look() {
        use Permission::{Allowed, Denied};
        use StateFile::{Running, Silent, Stopped};
        let parked = || Denied("rig is parked".into());
        let dark = || Permission::Unknown("wisp".into());
        for (name, sighting, permission, file, before, expected) in [
            ("gone", Sighting::Absent, Allowed, Running, false, SecondLook::Death),
            ("zombie", Sighting::Dead(key()), Allowed, Running, false, SecondLook::Death),
            ("gone, no file", Sighting::Absent, Allowed, Silent, false, SecondLook::Death),
            ("stopped by gt", Sighting::Absent, Allowed, Stopped, false, SecondLook::StoppedByHand),
            ("said so long before", Sighting::Absent, Allowed, Stopped, true, SecondLook::Death),
            (
                "parked",
                Sighting::Absent,
                parked(),
                Stopped,
                false,
                SecondLook::Unwanted("rig is parked".into()),
            ),
            ("back", Sighting::Alive(key()), parked(), Stopped, false, SecondLook::Back(key())),
            ("coming back", Sighting::Starting(key()), Allowed, Running, false, SecondLook::Back(key())),
            ("gate unknown", Sighting::Absent, dark(), Stopped, false, SecondLook::Unclear("wisp".into())),
            (
                "tmux silent",
                Sighting::Unknown("tmux".into()),
                Allowed,
                Stopped,
                false,
                SecondLook::Unclear("tmux".into()),
            ),
        ] {
            let begun = Now { mono: Default::default(), wall: Timestamp::UNIX_EPOCH };
            let seen = Observation { begun, sighting, permission, state_file: file };
            assert_eq!(judge(&seen, before), expected, "{name}");
        }
    }
}
