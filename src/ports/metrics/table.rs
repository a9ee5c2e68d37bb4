//! The table of metrics: the name, type, unit, labels and meaning of each, once.
//!
//! Names are as Prometheus shows them. Who counts or renders one takes its row from here, and tests compare `docs/metrics.md`, the
//! dashboard and the alert rules with it. The values of each label are a closed set; no label may hold what others can name
//! without a bound, such as an agent. It must not count anything.

use prometheus_client::{
    metrics::MetricType,
    registry::{Metric, Registry, Unit},
};

/// One metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// Its full name, with unit and `_total` or `_info`.
    pub name: &'static str,
    /// Its type.
    pub kind: Kind,
    /// Its labels.
    pub labels: &'static [&'static str],
    /// What it says, without a full stop.
    pub help: &'static str,
}

/// The type of a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It only grows, from the start of the process.
    Counter,
    /// It goes up and down.
    Gauge,
    /// Counts in buckets, a sum and a count.
    Histogram,
    /// Always 1; what it says is in its labels.
    Info,
}

#[cfg(any(test, feature = "test-support"))]
impl Kind {
    /// `counter`, `gauge`, `histogram` or `info`.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
            Kind::Info => "info",
        }
    }
}

impl Row {
    /// The labels with these values, as many as it has labels.
    pub fn labelled<T, const N: usize>(&self, values: [T; N]) -> [(&'static str, T); N] {
        debug_assert_eq!(self.labels.len(), N, "{}", self.name);
        let mut labels = self.labels.iter();
        values.map(|value| (labels.next().copied().unwrap_or_default(), value))
    }

    /// The type of the metric in the encoder's terms.
    pub(super) fn metric_type(&self) -> MetricType {
        match self.kind {
            Kind::Counter => MetricType::Counter,
            Kind::Gauge => MetricType::Gauge,
            Kind::Histogram => MetricType::Histogram,
            Kind::Info => MetricType::Info,
        }
    }

    /// Registers this metric. The encoder adds the unit, the ending of the type and the full stop itself.
    pub(super) fn register(&self, registry: &mut Registry, metric: impl Metric) {
        let name = self.name.strip_suffix("_total").or(self.name.strip_suffix("_info")).unwrap_or(self.name);
        let units = [("_seconds", Unit::Seconds), ("_bytes", Unit::Bytes)];
        match units.into_iter().find_map(|(end, unit)| Some((name.strip_suffix(end)?, unit))) {
            Some((name, unit)) => registry.register_with_unit(name, self.help, unit, metric),
            None => registry.register(name, self.help, metric),
        }
    }
}

macro_rules! rows {
    ($($row:ident = $kind:ident $name:literal $labels:tt $help:literal;)*) => {
        $(
            #[doc = $help]
            pub const $row: Row = Row { name: $name, kind: Kind::$kind, labels: &$labels, help: $help };
        )*

        /// All of them, for the tests of what names them.
        #[cfg(any(test, feature = "test-support"))]
        pub const ALL: &[Row] = &[$($row),*];
    };
}

rows! {
    BUILD = Info "gastown_supervisor_build_info" ["version", "commit", "gas_town"]
        "The version and commit of this supervisor, and which Gas Town its town is of (january or 1.x)";
    REPORT_UP = Gauge "gastown_supervisor_report_up" []
        "1 when the state of the town was reported in time; 0 when it was not: then what is read from it is absent";

    AGENTS = Gauge "gastown_supervisor_agents" ["role", "state"]
        "Agents by role and state, as in `status`";
    AGENT_ACTIVITIES = Gauge "gastown_supervisor_agent_activities" ["role", "activity"]
        "Living agents by what they are doing; unknown where no source says";
    STARTS = Counter "gastown_supervisor_agent_starts_total" ["role", "outcome"]
        "Starts of agents by how they ended, each a reason code such as started or start_failed";
    RESTARTS = Counter "gastown_supervisor_agent_restarts_total" ["role"]
        "Restarts of agents that had died, trials after a crash loop included";
    START_DURATION = Histogram "gastown_supervisor_agent_start_duration_seconds" ["role"]
        "How long starts took that succeeded, with all their waiting";
    STARTS_REFUSED = Counter "gastown_supervisor_starts_refused_total" ["role", "reason"]
        "Starts that were refused, by the code of the reason; one that lasts counts once for each agent";
    CRASH_LOOPS = Counter "gastown_supervisor_crash_loops_total" ["role"]
        "Crash loops that began";

    DEATHS = Counter "gastown_supervisor_agent_deaths_total" ["role", "cause"]
        "Confirmed deaths of agents, which nobody intended";
    ENDS = Counter "gastown_supervisor_agent_ends_total" ["role", "reason"]
        "Ends of agents that are no deaths: by a command, by hand, or for a reason of their own";
    MASS_DEATHS = Counter "gastown_supervisor_mass_deaths_total" []
        "Mass deaths: several agents that died within a short time; a follow-up is not counted again";
    DEATH_NOTICE = Histogram "gastown_supervisor_death_notice_seconds" ["sign"]
        "From the last moment at which an agent that died is known to have lived until a probe saw that it does not";
    DEATH_CONFIRMATION = Histogram "gastown_supervisor_death_confirmation_seconds" ["role"]
        "From when an end was noticed until it was confirmed as a death";
    DEATH_REPLACEMENT = Histogram "gastown_supervisor_death_replacement_seconds" ["role"]
        "From when the end of an agent that died was noticed until it was up again, backoffs and crash loops included";

    ACCOUNTS_HELD = Gauge "gastown_supervisor_accounts_held" ["cause"]
        "Accounts that are held now, because of a usage limit or a lost login";
    ACCOUNT_HOLDS = Counter "gastown_supervisor_account_holds_total" ["cause"]
        "Usage limits that were reached and logins that were lost";

    COMMANDS = Counter "gastown_supervisor_commands_total" ["program", "outcome"]
        "Runs of other programs (not of tmux) by how they ended";
    COMMAND_DURATION = Histogram "gastown_supervisor_command_duration_seconds" ["program"]
        "How long runs of other programs took";
    COMMANDS_RUNNING = Gauge "gastown_supervisor_commands_running" ["program"]
        "Other programs that run for the supervisor now";

    HEARTBEATS = Counter "gastown_supervisor_heartbeats_total" ["result"]
        "Heartbeats: complete, or late where a part did not answer in time";
    HEARTBEAT_DURATION = Histogram "gastown_supervisor_heartbeat_duration_seconds" []
        "How long heartbeats took";
    LAST_HEARTBEAT = Gauge "gastown_supervisor_last_heartbeat_timestamp_seconds" []
        "When the last heartbeat was complete, in seconds since 1970";
    LATE_PARTS = Gauge "gastown_supervisor_heartbeat_late_parts" []
        "Parts that were late in the last heartbeat";
    ACTORS = Gauge "gastown_supervisor_actors" ["state"]
        "Actors of the supervisor: running, suspended, or silent (they run and did not answer in time)";
    ACTOR_RESTARTS = Counter "gastown_supervisor_actor_restarts_total" ["actor"]
        "Restarts of actors that crashed; an agent's by its role";
    ACTOR_SUSPENSIONS = Counter "gastown_supervisor_actor_suspensions_total" ["actor"]
        "Actors that crashed too often and were suspended, or failed with their supervisor";
    PROBLEMS = Gauge "gastown_supervisor_problems" ["severity"]
        "Open problems, as in `status`";
    GATES_CLOSED = Gauge "gastown_supervisor_gates_closed" ["reason"]
        "What keeps the town or a rig from being started, by the code of the reason";
    FEED_LAG = Gauge "gastown_supervisor_feed_lag_bytes" []
        "How much of the event log is not read for the feed yet";
    FEED_LINES = Counter "gastown_supervisor_feed_lines_total" ["result"]
        "Lines of the event log that were written to the feed, and that could not be used, since the feed began";
    EVENTS_WRITTEN = Counter "gastown_supervisor_events_written_total" []
        "Lines that the supervisor wrote to the event log";
    BINARY_REPLACED = Gauge "gastown_supervisor_binary_replaced" []
        "1 when the program on disk was replaced since this supervisor started";

    PROCESS_CPU = Counter "process_cpu_seconds_total" []
        "CPU time of the supervisor's process";
    PROCESS_RESIDENT = Gauge "process_resident_memory_bytes" []
        "Resident memory of the supervisor's process";
    PROCESS_VIRTUAL = Gauge "process_virtual_memory_bytes" []
        "Virtual memory of the supervisor's process";
    PROCESS_START = Gauge "process_start_time_seconds" []
        "When the supervisor's process started, in seconds since 1970";
    PROCESS_OPEN_FDS = Gauge "process_open_fds" []
        "Open file descriptors of the supervisor's process";
    PROCESS_MAX_FDS = Gauge "process_max_fds" []
        "The most file descriptors that the supervisor's process may open";
    PROCESS_THREADS = Gauge "process_threads" []
        "Threads of the supervisor's process";
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_say_the_type_and_are_there_once() {
        let names: BTreeSet<&str> = ALL.iter().map(|row| row.name).collect();
        assert_eq!(names.len(), ALL.len());
        for row in ALL {
            let Row { name, kind, labels, help } = row;
            assert!(name.starts_with("gastown_supervisor_") || name.starts_with("process_"), "{name}");
            assert_eq!(name.ends_with("_total"), *kind == Kind::Counter, "{name}");
            assert_eq!(name.ends_with("_info"), *kind == Kind::Info, "{name}");
            assert!(*kind != Kind::Histogram || name.ends_with("_seconds"), "{name}");
            assert!(!help.ends_with('.') && !help.contains('\n'), "{name}: {help}");
            assert!(!labels.iter().any(|label| matches!(*label, "agent" | "session" | "le")), "{name}");
        }
    }
}
