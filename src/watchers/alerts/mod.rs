//! Alerts: notices when something begins that people outside the town should know, and delivers it.
//!
//! [`reading`] collects what lasts (problems, holds of accounts, crash loops, incidents), [`sending`] makes one delivery, the
//! [`actor`] does both at intervals. All rules are in [`crate::alerts`].

pub mod actor;
pub mod reading;
pub mod sending;

use crate::{
    alerts::{
        Channel,
        register::{ACTOR, News},
    },
    deps::Deps,
    supervision::messages::Broadcast,
};

/// Queues an alert about something that happened once, notes it on disk, and has it delivered. Without a channel nothing is
/// done.
pub async fn raise(deps: &Deps, news: News) {
    let channels = Channel::of(&deps.settings().notify);
    if channels.is_empty() {
        return;
    }
    deps.alerts.raise(deps, &channels, None, news);
    deps.alerts.save(deps).await;
    deps.directory.send_to_other(ACTOR, Broadcast::AlertRaised);
}
