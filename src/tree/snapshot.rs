//! Snapshot: how the whole town is, gathered by asking every actor.
//!
//! Actors answer a probe at once, whatever they are doing; one that does not within the limit is named, not waited for.

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;
use ractor::{ActorRef, RpcReplyPort, rpc::CallResult};

use super::{
    children::ChildStatus,
    root::{RootMsg, RootSnapshot, unanswered},
    town_reading::SettingsState,
};
use crate::{
    agent::status::AgentStatus,
    convoy::{actor::ConvoyMsg, status::ConvoySnapshot},
    deaths::{actor::DeathsMsg, register::DeathsSnapshot},
    feed::actor::{FeedMsg, FeedSnapshot},
    rig::supervisor::RigMsg,
};

/// How the town is.
#[derive(Debug, Clone)]
pub struct TownSnapshot {
    /// Heartbeats completed since the start.
    pub heartbeats: u64,
    /// When the last one was.
    pub last_heartbeat: Option<Timestamp>,
    /// The parts that were late in it.
    pub late: Vec<String>,
    /// Which settings are in force.
    pub settings: SettingsState,
    /// All actors under the root, those of rigs as `<rig>/<name>`.
    pub actors: Vec<ChildStatus>,
    /// All agents, ordered by identity; those whose actor did not answer are unknown.
    pub agents: Vec<AgentStatus>,
    /// Mass deaths and the window that finds them; `None` when its actor is suspended or silent.
    pub deaths: Option<DeathsSnapshot>,
    /// The feed; `None` when its actor is suspended or silent.
    pub feed: Option<FeedSnapshot>,
    /// The convoy watcher; `None` when it is suspended or silent.
    pub convoys: Option<ConvoySnapshot>,
    /// What is wrong now.
    pub problems: BTreeMap<String, String>,
    /// Actors that did not answer in time.
    pub silent: Vec<String>,
}

/// Asks the root and everything under it; `None` when the root does not answer within the limit.
pub async fn take(root: &ActorRef<RootMsg>, limit: Duration) -> Option<TownSnapshot> {
    let at_root = ask(root, RootMsg::Probe, limit).await?;
    let RootSnapshot {
        heartbeats,
        last_heartbeat,
        late,
        settings,
        mut actors,
        roll,
        problems,
        agents,
        deaths,
        feed,
        convoys,
        rigs,
        ..
    } = at_root;
    let mut silent = Vec::new();
    let running = agents.into_iter().filter(|(_, actor)| actor.is_running());
    let (answers, deaths, feed, convoys, rigs) = futures::join!(
        futures::future::join_all(
            running.map(|(identity, actor)| async move { actor.status(limit).await.ok_or(identity) })
        ),
        async { Some(ask(&deaths?, DeathsMsg::Probe, limit).await.ok_or("deaths")) },
        async { Some(ask(&feed?, FeedMsg::Probe, limit).await.ok_or("feed")) },
        async { Some(ask(&convoys?, ConvoyMsg::Probe, limit).await.ok_or("convoy")) },
        futures::future::join_all(
            rigs.into_iter().map(|(name, rig)| async move { (name, ask(&rig, RigMsg::Probe, limit).await) })
        ),
    );
    let mut agents = Vec::new();
    for answer in answers {
        match answer {
            Ok(agent) => agents.push(agent),
            Err(identity) => silent.push(identity.to_string()),
        }
    }
    let deaths = deaths.and_then(|answer| answer.map_err(|name| silent.push(name.to_owned())).ok());
    let feed = feed.and_then(|answer| answer.map_err(|name| silent.push(name.to_owned())).ok());
    let convoys = convoys.and_then(|answer| answer.map_err(|name| silent.push(name.to_owned())).ok());
    for (name, answer) in rigs {
        match answer {
            None => silent.push(format!("rig {name}")),
            Some(rig) => actors.extend(
                rig.actors
                    .into_iter()
                    .map(|child| ChildStatus { name: format!("{name}/{}", child.name), ..child }),
            ),
        }
    }
    let unknown = unanswered(roll, &agents, &actors);
    agents.extend(unknown);
    agents.sort_by(|a, b| a.identity.cmp(&b.identity));
    Some(TownSnapshot {
        heartbeats,
        last_heartbeat,
        late,
        settings,
        actors,
        agents,
        deaths,
        feed,
        convoys,
        problems,
        silent,
    })
}

/// Asks one actor; `None` when it did not answer within the limit, or is gone.
pub async fn ask<M: ractor::Message, T: Send + 'static>(
    actor: &ActorRef<M>,
    question: impl FnOnce(RpcReplyPort<T>) -> M,
    limit: Duration,
) -> Option<T> {
    match actor.call(question, Some(limit)).await {
        Ok(CallResult::Success(answer)) => Some(answer),
        _ => None,
    }
}
