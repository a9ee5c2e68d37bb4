//! What the report says, as metrics. A projection: it must not ask anything.

use std::collections::BTreeMap;

use serde_json::Value;

use super::seconds;
use crate::{
    control::report::{ActorReport, AgentReport, ProblemReport, StatusReport},
    ports::metrics::{
        Page,
        table::{self, Row},
    },
};

/// The states of agents that are shown as zero where a role has no agent in them, so that an alert about one ends.
const WATCHED: [&str; 5] = ["alive", "crash_loop", "limited", "logged_out", "waiting_at_question"];

/// Puts a report on the page; `log` is how long the event log is, where that is known.
pub fn onto(page: &mut Page, report: &StatusReport, log: Option<u64>) {
    agents(page, &report.agents);
    if let Value::Array(held) = &report.accounts {
        let causes = held.iter().filter_map(|hold| hold["cause"].as_str());
        put_counts(page, &table::ACCOUNTS_HELD, &["usage_limit", "logged_out"], causes);
    }
    let last = report.heartbeat.last.map(seconds);
    if let Some(last) = last {
        page.put(&table::LAST_HEARTBEAT, last);
    }
    page.put(&table::LATE_PARTS, report.heartbeat.late.len() as f64);
    put_counts(page, &table::ACTORS, &["running", "silent", "suspended"], report.actors.iter().map(actor));
    let severities = report.problem_list.iter().map(ProblemReport::severity_word);
    put_counts(page, &table::PROBLEMS, &["error", "warning"], severities);
    if let Some(gates) = &report.gates {
        let open = ["emergency_stop", "town_shutdown"];
        put_counts(page, &table::GATES_CLOSED, &open, gates.iter().map(|gate| gate.code.as_str()));
    }
    feed(page, &report.feed, log);
    page.put(&table::EVENTS_WRITTEN, report.events_written as f64);
    page.put(&table::BINARY_REPLACED, f64::from(u8::from(report.binary_replaced)));
}

fn agents(page: &mut Page, agents: &[AgentReport]) {
    let mut states = BTreeMap::new();
    let mut activities = BTreeMap::new();
    for agent in agents {
        for state in WATCHED {
            states.entry((agent.role.as_str(), state)).or_insert(0u32);
        }
        *states.entry((agent.role.as_str(), agent.state.as_str())).or_default() += 1;
        if matches!(agent.state.as_str(), "alive" | "limited" | "logged_out" | "waiting_at_question") {
            let activity = agent.activity.as_deref().unwrap_or("unknown");
            *activities.entry((agent.role.as_str(), activity)).or_default() += 1;
        }
    }
    let samples = |counts: BTreeMap<(&str, &str), u32>| {
        let sample = |((role, word), count): ((&str, &str), u32)| {
            (vec![role.to_owned(), word.to_owned()], f64::from(count))
        };
        counts.into_iter().map(sample).collect::<Vec<_>>()
    };
    page.put_all(&table::AGENTS, samples(states));
    page.put_all(&table::AGENT_ACTIVITIES, samples(activities));
}

fn actor(actor: &ActorReport) -> &'static str {
    match actor {
        _ if actor.silent => "silent",
        _ if actor.parked.is_some() || !actor.running => "suspended",
        _ => "running",
    }
}

fn feed(page: &mut Page, feed: &Value, log: Option<u64>) {
    let lines =
        ["written", "skipped"].into_iter().filter_map(|result| Some((result, feed[result].as_u64()?)));
    page.put_all(&table::FEED_LINES, lines.map(|(result, count)| (vec![result.to_owned()], count as f64)));
    if let (Some(true), Some(read), Some(log)) = (feed["enabled"].as_bool(), feed["position"].as_u64(), log) {
        // A log that was just replaced is shorter than what was read of the last one.
        page.put(&table::FEED_LAG, log.saturating_sub(read) as f64);
    }
}

/// Puts how often each word comes; those in `always` also where they do not.
fn put_counts<'a>(
    page: &mut Page,
    row: &'static Row,
    always: &[&'a str],
    words: impl Iterator<Item = &'a str>,
) {
    let mut counts: BTreeMap<&str, u32> = always.iter().map(|word| (*word, 0)).collect();
    for word in words {
        *counts.entry(word).or_default() += 1;
    }
    let sample = |(word, count): (&str, u32)| (vec![word.to_owned()], f64::from(count));
    page.put_all(row, counts.into_iter().map(sample));
}
