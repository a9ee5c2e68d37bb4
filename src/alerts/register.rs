//! The register of alerts: which are open, which are not delivered, and which supervisor runs; on disk, so that each alert is
//! sent once, whatever becomes of this process.
//!
//! An alert is on disk before it is sent, and removed when the channel has accepted it. So only an alert whose answer was lost,
//! with its connection or with this process, is sent again, with the same id. When the disk cannot be written, they are kept in memory only. Without a channel nothing
//! is kept and nothing written.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    path::Path,
    sync::Arc,
};

use jiff::{SignedDuration, Timestamp};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Alert, Channel, Kind, VERSION, pace};
use crate::{
    ports::{Ports, persisted::Persisted},
    town::reading::FileProblem,
};

/// The name of the actor that delivers alerts.
pub const ACTOR: &str = "alerts";

/// The most alerts that wait for one channel; beyond it the oldest is dropped.
const MOST_WAITING: usize = 200;
/// The most open alerts that are kept.
const MOST_OPEN: usize = 500;

/// The open and undelivered alerts; clones share them.
#[derive(Debug, Clone)]
pub struct Alerts {
    kept: Persisted<Kept>,
    /// Whether this supervisor is being stopped.
    closed: Arc<Mutex<bool>>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Kept {
    /// The supervisor that runs; `None` after an orderly stop.
    running: Option<Running>,
    /// The lasting conditions that were reported and are not over.
    open: BTreeMap<String, Alert>,
    queues: BTreeMap<Channel, Queue>,
}

/// A process of the supervisor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Running {
    /// Its id.
    pub pid: u32,
    /// When it started.
    pub started_at: Timestamp,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Queue {
    waiting: VecDeque<Alert>,
    /// Failures in a row.
    failures: u32,
    /// Refusals in a row of what is in a message.
    refusals: u32,
    not_before: Option<Timestamp>,
    /// The times of the last messages.
    sent: Vec<Timestamp>,
    /// Alerts of a digest that was refused, by id: they are sent one by one.
    singly: BTreeSet<String>,
    lost: Option<Lost>,
}

/// Alerts that a channel never got.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lost {
    /// How many were lost within [a day](pace::LOST_IS_SHOWN) of each other.
    pub count: usize,
    /// When the last was.
    pub at: Timestamp,
    /// The sentence of the last.
    pub summary: String,
}

/// What an alert says, before it is given its id.
#[derive(Debug, Clone, PartialEq)]
pub struct News {
    /// What it is about.
    pub kind: Kind,
    /// One sentence.
    pub summary: String,
    /// The agents, by identity.
    pub agents: Vec<String>,
    /// How to attach to the one agent.
    pub attach: Option<String>,
    /// The event it comes from.
    pub event: Value,
}

/// The next step of a channel.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// Nothing waits.
    Rest,
    /// Nothing before this time.
    Wait(Timestamp),
    /// This is to be sent; it stands for these alerts.
    Send(Box<Alert>, Vec<String>),
}

impl Alerts {
    /// The register of the supervisor whose files are in this directory.
    pub fn new(directory: &Path) -> Self {
        Alerts { kept: Persisted::new(directory.join("alerts.json")), closed: Arc::default() }
    }

    /// Loads what the last supervisor left; before any actor runs.
    pub async fn load(&self, ports: &Ports) {
        self.kept.load(ports).await;
    }

    /// As [`Persisted::peek`].
    pub async fn peek(&self, ports: &Ports) -> (bool, Option<FileProblem>) {
        self.kept.peek(ports).await
    }

    /// Writes it. A failure is a problem and is retried.
    pub async fn save(&self, ports: &Ports) {
        // What cannot be saved is sent all the same.
        let _ = self.kept.save(ports).await;
    }

    /// The keys of the open conditions.
    pub fn open(&self) -> BTreeSet<String> {
        self.kept.value().open.keys().cloned().collect()
    }

    /// Notes that this supervisor runs, and returns the one before, if that ended without a request.
    pub fn runs(&self, process: Running) -> Option<Running> {
        if *self.closed.lock() {
            return None;
        }
        let before = self.kept.value().running.replace(process);
        before.filter(|before| *before != process)
    }

    /// Whether it is noted that this supervisor runs.
    pub fn is_running(&self, process: Running) -> bool {
        *self.closed.lock() || self.kept.value().running == Some(process)
    }

    /// Notes that this supervisor is being stopped; writes only what changes.
    pub async fn close(&self, ports: &Ports) {
        *self.closed.lock() = true;
        if self.kept.value().running.take().is_some() {
            self.save(ports).await;
        }
    }

    /// Without a channel nothing is kept. Returns whether something was.
    pub fn forget(&self) -> bool {
        let mut kept = self.kept.value();
        let was = kept.running.is_some() || !kept.open.is_empty() || !kept.queues.is_empty();
        *kept = Kept::default();
        was
    }

    /// Queues an alert for these channels; `key` names the condition that lasts, which is reported once until it is over.
    /// Returns whether it is new.
    pub fn raise(&self, ports: &Ports, channels: &[Channel], key: Option<&str>, news: News) -> bool {
        let alert = Alert {
            version: VERSION,
            id: ports.jitter.uuid(),
            at: ports.now().wall,
            kind: news.kind,
            severity: news.kind.severity(),
            summary: news.summary,
            town: ports.paths.root().to_string_lossy().into_owned(),
            host: ports.network.host(),
            agents: news.agents,
            attach: news.attach,
            resolved: false,
            event: news.event,
        };
        let mut kept = self.kept.value();
        if let Some(key) = key {
            if kept.open.contains_key(key) || kept.open.len() >= MOST_OPEN {
                return false;
            }
            kept.open.insert(key.to_owned(), alert.clone());
        }
        kept.put(channels, &alert);
        true
    }

    /// Reports that an open condition is over.
    pub fn resolve(&self, ports: &Ports, channels: &[Channel], key: &str) {
        let mut kept = self.kept.value();
        let Some(was) = kept.open.remove(key) else { return };
        let at = ports.now().wall;
        let payload =
            serde_json::json!({"alert": was.id, "kind": was.kind.code(), "since": was.at.to_string()});
        let over = Alert {
            id: ports.jitter.uuid(),
            at,
            attach: None,
            resolved: true,
            event: pace::event(at, "alert_resolved", payload),
            ..was
        };
        kept.put(channels, &over);
    }

    /// What to do with a channel now.
    pub fn next(&self, channel: Channel, now: Timestamp) -> Step {
        let kept = self.kept.value();
        let Some(queue) = kept.queues.get(&channel) else { return Step::Rest };
        let all = || queue.waiting.iter().cloned().collect::<Vec<_>>();
        match pace::next(queue.waiting.len(), &queue.sent, queue.not_before, now) {
            pace::Next::Rest => Step::Rest,
            pace::Next::Wait(until) => Step::Wait(until),
            pace::Next::One => queue.first(),
            pace::Next::Digest if queue.goes_singly() => queue.first(),
            pace::Next::Digest => match pace::digest(&all()) {
                Some(digest) => Step::Send(Box::new(digest), all().into_iter().map(|it| it.id).collect()),
                None => Step::Rest,
            },
        }
    }

    /// A channel accepted these alerts.
    pub fn delivered(&self, channel: Channel, ids: &[String], now: Timestamp) {
        let mut kept = self.kept.value();
        let Some(queue) = kept.queues.get_mut(&channel) else { return };
        queue.waiting.retain(|alert| !ids.contains(&alert.id));
        queue.singly.retain(|id| !ids.contains(id));
        (queue.failures, queue.refusals, queue.not_before) = (0, 0, None);
        queue.sent.retain(|at| pace::is_recent(*at, now));
        queue.sent.push(now);
    }

    /// A channel did not accept these alerts, `refused` for what is in them. Returns those that were given up.
    pub fn failed(&self, channel: Channel, ids: &[String], refused: bool, now: Timestamp) -> Vec<Alert> {
        let mut kept = self.kept.value();
        let Some(queue) = kept.queues.get_mut(&channel) else { return Vec::new() };
        queue.failures = queue.failures.saturating_add(1);
        queue.refusals = if refused { queue.refusals.saturating_add(1) } else { 0 };
        if refused && ids.len() > 1 {
            // Which of them is at fault is not known.
            queue.singly.extend(ids.iter().cloned());
            (queue.failures, queue.refusals) = (0, 0);
        }
        let refusals = queue.refusals;
        let is_over = |alert: &Alert| {
            pace::is_given_up(alert.at, now, if ids.contains(&alert.id) { refusals } else { 0 })
        };
        let (given_up, waiting): (Vec<Alert>, Vec<Alert>) = queue.waiting.drain(..).partition(is_over);
        queue.waiting = waiting.into();
        given_up.iter().for_each(|alert| queue.lose(alert, now));
        if !given_up.is_empty() && (refused || queue.waiting.is_empty()) {
            // The next is another matter.
            (queue.failures, queue.refusals) = (0, 0);
        }
        let pause = SignedDuration::try_from(pace::retry_after(queue.failures)).unwrap_or_default();
        queue.not_before = Some(now + pause);
        given_up
    }

    /// The alerts that a channel never got; `None` when none was lost for a day.
    pub fn lost(&self, channel: Channel, now: Timestamp) -> Option<Lost> {
        let lost = self.kept.value().queues.get(&channel)?.lost.clone()?;
        pace::is_lost_shown(lost.at, now).then_some(lost)
    }

    /// How many alerts wait for a channel.
    pub fn waiting(&self, channel: Channel) -> usize {
        self.kept.value().queues.get(&channel).map_or(0, |queue| queue.waiting.len())
    }

    /// Removes the queues of channels that are not in use any more.
    pub fn keep_channels(&self, channels: &[Channel]) {
        self.kept.value().queues.retain(|channel, _| channels.contains(channel));
    }
}

impl Kept {
    fn put(&mut self, channels: &[Channel], alert: &Alert) {
        for channel in channels {
            let queue = self.queues.entry(*channel).or_default();
            if queue.waiting.len() >= MOST_WAITING
                && let Some(oldest) = queue.waiting.pop_front()
            {
                queue.lose(&oldest, alert.at);
                tracing::error!(
                    "more than {MOST_WAITING} alerts wait for {channel}: the oldest is dropped: {}",
                    oldest.summary
                );
            }
            queue.waiting.push_back(alert.clone());
        }
    }
}

impl Queue {
    /// The oldest alert alone.
    fn first(&self) -> Step {
        match self.waiting.front() {
            Some(first) => Step::Send(Box::new(first.clone()), vec![first.id.clone()]),
            None => Step::Rest,
        }
    }

    fn goes_singly(&self) -> bool {
        self.waiting.front().is_some_and(|first| self.singly.contains(&first.id))
    }

    /// Notes that an alert is lost, which is removed from those that wait.
    fn lose(&mut self, alert: &Alert, now: Timestamp) {
        self.singly.remove(&alert.id);
        let before = self.lost.take().filter(|lost| pace::is_lost_shown(lost.at, now));
        let count = before.map_or(0, |lost| lost.count) + 1;
        self.lost = Some(Lost { count, at: now, summary: alert.summary.clone() });
    }
}
