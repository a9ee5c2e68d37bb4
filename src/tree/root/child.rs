//! The root's children: what they are called, and how each is spoken to.

use std::fmt;

use ractor::ActorRef;

use crate::{
    agent::{actor::AgentMsg, identity::RigName},
    boot::actor::BootMsg,
    control::actor::ControlMsg,
    convoy::actor::ConvoyMsg,
    deaths::actor::DeathsMsg,
    feed::actor::FeedMsg,
    lifecycle::actor::MailMsg,
    operator::actor::OperatorMsg,
    rig::supervisor::RigMsg,
    sessions::actor::WatchMsg,
    tree::part::Word,
};

/// The root's children.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum RootChild {
    /// Looks at all sessions.
    SessionWatch,
    /// Sees Gas Town's commands at work.
    OperatorWatch,
    /// Owns the deacon.
    Deacon,
    /// Spawns boot.
    Boot,
    /// Tells mass deaths.
    DeathWindow,
    /// Reads the deacon's mail.
    DeaconMail,
    /// Keeps the feed.
    Curator,
    /// Has convoys checked.
    Convoy,
    /// Answers whoever asks.
    Control,
    /// Owns the mayor, once somebody asked for it.
    Mayor,
    /// Stands over a rig.
    Rig(RigName),
}

impl RootChild {
    /// Whether it answers heartbeats itself: agents' actors are asked by the directory, and the watches are not asked.
    pub(super) fn is_part(&self) -> bool {
        matches!(self, RootChild::DeaconMail | RootChild::Rig(_))
    }
}

impl RootChild {
    /// Whether everything depends on it, so that it must not be suspended: without the session watch no death is noticed.
    pub(super) fn is_significant(&self) -> bool {
        *self == RootChild::SessionWatch
    }
}

impl fmt::Display for RootChild {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RootChild::SessionWatch => f.write_str("sessions"),
            RootChild::OperatorWatch => f.write_str("operator"),
            RootChild::Deacon => f.write_str("deacon"),
            RootChild::Boot => f.write_str("boot"),
            RootChild::DeathWindow => f.write_str("deaths"),
            RootChild::DeaconMail => f.write_str("mail"),
            RootChild::Curator => f.write_str("feed"),
            RootChild::Convoy => f.write_str("convoy"),
            RootChild::Control => f.write_str("control"),
            RootChild::Mayor => f.write_str("mayor"),
            RootChild::Rig(rig) => write!(f, "rig {rig}"),
        }
    }
}

#[derive(Debug)]
pub(super) enum ChildRef {
    /// The deacon's, or the mayor's.
    Agent(ActorRef<AgentMsg>),
    SessionWatch(ActorRef<WatchMsg>),
    OperatorWatch(ActorRef<OperatorMsg>),
    Boot(ActorRef<BootMsg>),
    DeathWindow(ActorRef<DeathsMsg>),
    DeaconMail(ActorRef<MailMsg>),
    Curator(ActorRef<FeedMsg>),
    Convoy(ActorRef<ConvoyMsg>),
    Control(ActorRef<ControlMsg>),
    Rig(ActorRef<RigMsg>),
}

impl ChildRef {
    /// Passes a word on to a part. The watches are none; some words tell one of them to look at what it goes by.
    pub(super) fn hear(&self, word: Word) {
        // A message to an actor that just crashed is lost; its successor looks for itself.
        let _ = match self {
            // The directory sends it to agents.
            ChildRef::Agent(_) | ChildRef::Boot(_) => Ok(()),
            ChildRef::SessionWatch(_) | ChildRef::DeathWindow(_) => Ok(()),
            ChildRef::OperatorWatch(actor) => match word {
                Word::TownChanged | Word::Heartbeat(_) => actor.cast(OperatorMsg::Locate).map_err(drop),
                _ => Ok(()),
            },
            ChildRef::Curator(actor) => match word {
                Word::TownChanged => actor.cast(FeedMsg::TownChanged).map_err(drop),
                _ => Ok(()),
            },
            ChildRef::Convoy(actor) => match word {
                Word::TownChanged => actor.cast(ConvoyMsg::TownChanged).map_err(drop),
                Word::Heartbeat(_) => actor.cast(ConvoyMsg::Heartbeat).map_err(drop),
                _ => Ok(()),
            },
            ChildRef::Control(actor) => match word {
                Word::Heartbeat(_) => actor.cast(ControlMsg::Check).map_err(drop),
                _ => Ok(()),
            },
            ChildRef::DeaconMail(actor) => actor.cast(MailMsg::Word(word)).map_err(drop),
            ChildRef::Rig(actor) => actor.cast(RigMsg::Word(word)).map_err(drop),
        };
    }
}
