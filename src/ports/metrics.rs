//! Metrics: what happened since this supervisor started, counted and timed for `GET /metrics`.
//!
//! A value and no state of the process: each supervisor has its own. Nobody who counts can read it, so nothing can depend on it;
//! [`Measured`], its other end, is only given to the page that shows it. What a report already knows is not counted here. Names
//! are in [`table`]. A histogram's buckets fit what it times.

use std::{sync::Arc, time::Duration};

use prometheus_client::{
    encoding::{EncodeMetric, MetricEncoder},
    metrics::{MetricType, counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::Registry,
};

use crate::town::identity::Role;

pub mod commands;
pub mod table;

use table::Row;

/// The causes of deaths, which are there from the beginning: a counter that appears with its first event hides that event from
/// `increase`.
const CAUSES: [&str; 4] = ["crashed", "agent_missing", "tmux_server_died", "oom_kill"];

/// A death is noticed in milliseconds; by a scan, in up to minutes.
const NOTICE: &[f64] = &[0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 60.0];
/// A confirmation takes 1 s or 5 s, and longer while a command of Gas Town runs.
const CONFIRMATION: &[f64] = &[0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 5.0, 6.0, 8.0, 15.0, 30.0, 180.0];
/// A replacement takes what the start of the program takes, and its backoff.
const REPLACEMENT: &[f64] = &[0.5, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 900.0];
/// A start, from a program that is ready at once to one that waits for its turn.
const START: &[f64] = &[0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0];
/// A run of another program.
const COMMAND: &[f64] = &[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0];
/// A heartbeat, up to its deadline.
const HEARTBEAT: &[f64] = &[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];

/// Where it is counted what happens; clones share it. It is write-only: the page is given [`Measured`].
#[derive(Debug, Clone, Default)]
pub struct Metrics(Arc<Counts>);

/// What was counted, for the page of metrics.
#[derive(Debug, Clone)]
pub struct Measured(Arc<Counts>);

type Label<const N: usize> = [(&'static str, &'static str); N];
type Counters<const N: usize> = Family<Label<N>, Counter>;
type Histograms = Family<Label<1>, Histogram>;

#[derive(Debug)]
struct Counts {
    starts: Counters<2>,
    restarts: Counters<1>,
    start_duration: Histograms,
    starts_refused: Counters<2>,
    crash_loops: Counters<1>,
    deaths: Counters<2>,
    ends: Counters<2>,
    mass_deaths: Counter,
    death_notice: Histograms,
    death_confirmation: Histograms,
    death_replacement: Histograms,
    account_holds: Counters<1>,
    commands: Counters<2>,
    command_duration: Histograms,
    commands_running: Family<Label<1>, Gauge>,
    heartbeats: Counters<1>,
    heartbeat_duration: Histogram,
    actor_restarts: Family<[(&'static str, String); 1], Counter>,
    actor_suspensions: Family<[(&'static str, String); 1], Counter>,
}

impl Default for Counts {
    fn default() -> Self {
        let counts = Counts {
            starts: Family::default(),
            restarts: Family::default(),
            start_duration: Family::new_with_constructor(|| Histogram::new(START.iter().copied())),
            starts_refused: Family::default(),
            crash_loops: Family::default(),
            deaths: Family::default(),
            ends: Family::default(),
            mass_deaths: Counter::default(),
            death_notice: Family::new_with_constructor(|| Histogram::new(NOTICE.iter().copied())),
            death_confirmation: Family::new_with_constructor(|| Histogram::new(CONFIRMATION.iter().copied())),
            death_replacement: Family::new_with_constructor(|| Histogram::new(REPLACEMENT.iter().copied())),
            account_holds: Family::default(),
            commands: Family::default(),
            command_duration: Family::new_with_constructor(|| Histogram::new(COMMAND.iter().copied())),
            commands_running: Family::default(),
            heartbeats: Family::default(),
            heartbeat_duration: Histogram::new(HEARTBEAT.iter().copied()),
            actor_restarts: Family::default(),
            actor_suspensions: Family::default(),
        };
        counts.begin_at_zero();
        counts
    }
}

impl Counts {
    fn begin_at_zero(&self) {
        for role in Role::of_gas_town().map(Role::as_str) {
            for cause in CAUSES {
                drop(self.deaths.get_or_create(&table::DEATHS.labelled([role, cause])));
            }
            for outcome in ["started", "start_failed"] {
                drop(self.starts.get_or_create(&table::STARTS.labelled([role, outcome])));
            }
            drop(self.restarts.get_or_create(&table::RESTARTS.labelled([role])));
            drop(self.crash_loops.get_or_create(&table::CRASH_LOOPS.labelled([role])));
        }
        for cause in ["usage_limit", "logged_out"] {
            drop(self.account_holds.get_or_create(&table::ACCOUNT_HOLDS.labelled([cause])));
        }
        for program in ["bd", "gt", "git"] {
            for outcome in ["ok", "failed", "timed_out"] {
                drop(self.commands.get_or_create(&table::COMMANDS.labelled([program, outcome])));
            }
            drop(self.commands_running.get_or_create(&table::COMMANDS_RUNNING.labelled([program])));
        }
        for result in ["complete", "late"] {
            drop(self.heartbeats.get_or_create(&table::HEARTBEATS.labelled([result])));
        }
        drop(self.actor_restarts.get_or_create(&table::ACTOR_RESTARTS.labelled(["root".to_owned()])));
    }
}

impl Metrics {
    /// Nothing was counted yet; the end to count with, and the end to read from.
    pub fn new() -> (Self, Measured) {
        let metrics = Self::default();
        let measured = Measured(metrics.0.clone());
        (metrics, measured)
    }

    /// The end to read from, for tests.
    #[cfg(any(test, feature = "test-support"))]
    pub fn reader(&self) -> Measured {
        Measured(self.0.clone())
    }

    /// A start ended like this: the code of the reason.
    pub fn start_ended(&self, role: Role, outcome: &'static str) {
        self.0.starts.get_or_create(&table::STARTS.labelled([role.as_str(), outcome])).inc();
    }

    /// A start succeeded after this time.
    pub fn started(&self, role: Role, took: Duration) {
        let labels = table::START_DURATION.labelled([role.as_str()]);
        self.0.start_duration.get_or_create(&labels).observe(took.as_secs_f64());
    }

    /// An agent that had died was started again.
    pub fn restarted(&self, role: Role) {
        self.0.restarts.get_or_create(&table::RESTARTS.labelled([role.as_str()])).inc();
    }

    /// A start was refused; the code of the reason.
    pub fn start_refused(&self, role: Role, reason: &'static str) {
        self.0.starts_refused.get_or_create(&table::STARTS_REFUSED.labelled([role.as_str(), reason])).inc();
    }

    /// A crash loop began.
    pub fn crash_loop(&self, role: Role) {
        self.0.crash_loops.get_or_create(&table::CRASH_LOOPS.labelled([role.as_str()])).inc();
    }

    /// An agent died; the code of the cause, and how long after it was noticed that was confirmed.
    pub fn died(&self, role: Role, cause: &'static str, confirmed_after: Duration) {
        self.0.deaths.get_or_create(&table::DEATHS.labelled([role.as_str(), cause])).inc();
        let labels = table::DEATH_CONFIRMATION.labelled([role.as_str()]);
        self.0.death_confirmation.get_or_create(&labels).observe(confirmed_after.as_secs_f64());
    }

    /// The end of an agent that died was noticed by this sign, so long after it was last known to live.
    pub fn death_noticed(&self, sign: &'static str, after: Duration) {
        let labels = table::DEATH_NOTICE.labelled([sign]);
        self.0.death_notice.get_or_create(&labels).observe(after.as_secs_f64());
    }

    /// An agent that had died is up again, so long after its end was noticed.
    pub fn replaced(&self, role: Role, after: Duration) {
        let labels = table::DEATH_REPLACEMENT.labelled([role.as_str()]);
        self.0.death_replacement.get_or_create(&labels).observe(after.as_secs_f64());
    }

    /// An agent ended, and that is no death; the code of the reason.
    pub fn ended(&self, role: Role, reason: &'static str) {
        self.0.ends.get_or_create(&table::ENDS.labelled([role.as_str(), reason])).inc();
    }

    /// A mass death is reported.
    pub fn mass_death(&self) {
        self.0.mass_deaths.inc();
    }

    /// An account is held; the code of the cause.
    pub fn account_held(&self, cause: &'static str) {
        self.0.account_holds.get_or_create(&table::ACCOUNT_HOLDS.labelled([cause])).inc();
    }

    /// A run of this program began.
    pub fn command_began(&self, program: &'static str) {
        self.0.commands_running.get_or_create(&table::COMMANDS_RUNNING.labelled([program])).inc();
    }

    /// A run of this program ended like this.
    pub fn command_ended(&self, program: &'static str, outcome: &'static str, took: Duration) {
        self.0.commands_running.get_or_create(&table::COMMANDS_RUNNING.labelled([program])).dec();
        self.0.commands.get_or_create(&table::COMMANDS.labelled([program, outcome])).inc();
        let labels = table::COMMAND_DURATION.labelled([program]);
        self.0.command_duration.get_or_create(&labels).observe(took.as_secs_f64());
    }

    /// A heartbeat ended, after this time; whether no part was late.
    pub fn heartbeat(&self, is_complete: bool, took: Duration) {
        let result = if is_complete { "complete" } else { "late" };
        self.0.heartbeats.get_or_create(&table::HEARTBEATS.labelled([result])).inc();
        self.0.heartbeat_duration.observe(took.as_secs_f64());
    }

    /// An actor of this kind crashed and is started again.
    pub fn actor_restarted(&self, kind: &str) {
        self.0.actor_restarts.get_or_create(&table::ACTOR_RESTARTS.labelled([kind.to_owned()])).inc();
    }

    /// An actor of this kind crashed too often.
    pub fn actor_suspended(&self, kind: &str) {
        self.0.actor_suspensions.get_or_create(&table::ACTOR_SUSPENSIONS.labelled([kind.to_owned()])).inc();
    }
}

impl Measured {
    /// Puts all that was counted on the page.
    pub fn onto(&self, page: &mut Page) {
        let (counts, registry) = (&self.0, &mut page.0);
        table::STARTS.register(registry, counts.starts.clone());
        table::RESTARTS.register(registry, counts.restarts.clone());
        table::START_DURATION.register(registry, counts.start_duration.clone());
        table::STARTS_REFUSED.register(registry, counts.starts_refused.clone());
        table::CRASH_LOOPS.register(registry, counts.crash_loops.clone());
        table::DEATHS.register(registry, counts.deaths.clone());
        table::ENDS.register(registry, counts.ends.clone());
        table::MASS_DEATHS.register(registry, counts.mass_deaths.clone());
        table::DEATH_NOTICE.register(registry, counts.death_notice.clone());
        table::DEATH_CONFIRMATION.register(registry, counts.death_confirmation.clone());
        table::DEATH_REPLACEMENT.register(registry, counts.death_replacement.clone());
        table::ACCOUNT_HOLDS.register(registry, counts.account_holds.clone());
        table::COMMANDS.register(registry, counts.commands.clone());
        table::COMMAND_DURATION.register(registry, counts.command_duration.clone());
        table::COMMANDS_RUNNING.register(registry, counts.commands_running.clone());
        table::HEARTBEATS.register(registry, counts.heartbeats.clone());
        table::HEARTBEAT_DURATION.register(registry, counts.heartbeat_duration.clone());
        table::ACTOR_RESTARTS.register(registry, counts.actor_restarts.clone());
        table::ACTOR_SUSPENSIONS.register(registry, counts.actor_suspensions.clone());
    }
}

/// One answer to `GET /metrics`, being put together.
#[derive(Debug, Default)]
pub struct Page(Registry);

/// The text formats of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// OpenMetrics 1.0.0.
    OpenMetrics,
    /// Prometheus's own, 0.0.4.
    Prometheus,
}

impl Format {
    /// Its media type.
    pub fn content_type(self) -> &'static str {
        match self {
            Format::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Format::Prometheus => prometheus_client::encoding::prometheus_text::CONTENT_TYPE,
        }
    }
}

impl Page {
    /// Adds a gauge, counter or info without labels.
    pub fn put(&mut self, row: &'static Row, value: f64) {
        self.put_all(row, [(Vec::new(), value)]);
    }

    /// Adds the samples of a gauge, counter or info, each with the values of its labels.
    pub fn put_all(&mut self, row: &'static Row, samples: impl IntoIterator<Item = (Vec<String>, f64)>) {
        let labelled = |(values, value): (Vec<String>, f64)| {
            (row.labels.iter().copied().zip(values).collect::<Vec<_>>(), value)
        };
        let samples: Vec<_> = samples.into_iter().map(labelled).collect();
        row.register(&mut self.0, Samples { of: row.metric_type(), samples });
    }

    /// The text; an error cannot happen, as nothing is written but memory.
    pub fn text(&self, format: Format) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        match format {
            Format::OpenMetrics => prometheus_client::encoding::text::encode(&mut text, &self.0)?,
            Format::Prometheus => {
                prometheus_client::encoding::prometheus_text::encode(&mut text, &self.0)?;
            }
        }
        Ok(text)
    }
}

/// Samples that were read at the moment of asking.
#[derive(Debug)]
struct Samples {
    of: MetricType,
    samples: Vec<(Vec<(&'static str, String)>, f64)>,
}

impl EncodeMetric for Samples {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> Result<(), std::fmt::Error> {
        for (labels, value) in &self.samples {
            match self.of {
                MetricType::Info => encoder.encode_info(labels)?,
                _ if labels.is_empty() => one(&mut encoder, self.of, *value)?,
                _ => one(&mut encoder.encode_family(labels)?, self.of, *value)?,
            }
        }
        Ok(())
    }

    fn metric_type(&self) -> MetricType {
        self.of
    }

    fn is_empty(&self) -> bool {
        self.samples.is_empty()
    }
}

fn one(encoder: &mut MetricEncoder<'_>, of: MetricType, value: f64) -> Result<(), std::fmt::Error> {
    match of {
        MetricType::Counter => encoder.encode_counter::<[(&str, &str); 0], f64, f64>(&value, None),
        _ => encoder.encode_gauge(&value),
    }
}
