//! The page of metrics when actors do not answer: what was counted is there, and what is not known is absent.

use gastown_supervisor::{
    StatusReport,
    control::metrics::whole,
    deps::Deps,
    ports::metrics::Format,
    report::AgentReport,
    supervision::{child::ActorReport, heartbeat::HeartbeatReport},
    town::identity::Role,
};
use jiff::Timestamp;
use serde_json::json;

use crate::{town, world::*};

/// The lines of the page that are no comments, without the prefix.
async fn lines(deps: &Deps, report: Option<&StatusReport>) -> Vec<String> {
    let page = whole(deps, &deps.metrics.reader(), Timestamp::UNIX_EPOCH, report).await;
    let text = page.text(Format::OpenMetrics).unwrap();
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| line.trim_start_matches("gastown_supervisor_").to_owned()).collect()
}

fn agent(role: &str, state: &str, activity: Option<&str>) -> AgentReport {
    let activity = activity.map(str::to_owned);
    AgentReport { role: role.to_owned(), state: state.to_owned(), activity, ..AgentReport::default() }
}

fn actor(name: &str, running: bool, parked: Option<&str>, silent: bool) -> ActorReport {
    let (name, parked) = (name.to_owned(), parked.map(str::to_owned));
    ActorReport { name, running, restarts: 0, parked, silent }
}

#[test]
fn without_a_report_what_was_counted_is_there_and_the_rest_is_absent() {
    simulate(340, |world| async move {
        let deps = town(&world).await;
        deps.metrics.crash_loop(Role::Witness);
        let lines = lines(&deps, None).await;
        for there in ["report_up 0.0", "crash_loops_total{role=\"witness\"} 1", "mass_deaths_total 0"] {
            assert!(lines.iter().any(|line| line == there), "{there}: {lines:#?}");
        }
        for absent in ["agents", "problems", "accounts_held", "actors{", "last_heartbeat", "feed", "events"] {
            assert!(!lines.iter().any(|line| line.starts_with(absent)), "{absent}: {lines:#?}");
        }
    });
}

#[test]
fn what_a_report_says() {
    simulate(341, |world| async move {
        let deps = town(&world).await;
        let report = StatusReport {
            agents: vec![
                agent("witness", "alive", Some("working")),
                agent("witness", "crash_loop", None),
                agent("polecat", "alive", None),
            ],
            actors: vec![
                actor("feed", true, None, true),
                actor("dog", false, Some("it is ill"), false),
                actor("mail", true, None, false),
            ],
            heartbeat: HeartbeatReport {
                count: 3,
                last: "2026-11-30T12:00:00.5Z".parse().ok(),
                late: vec![],
            },
            gates: None,
            accounts: json!([{"account": "x", "cause": "usage_limit"}, {"account": "y", "cause": "usage_limit"}]),
            feed: json!(null),
            ..StatusReport::default()
        };
        let lines = lines(&deps, Some(&report)).await;
        for there in [
            "report_up 1.0",
            "agents{role=\"witness\",state=\"alive\"} 1.0",
            "agents{role=\"witness\",state=\"crash_loop\"} 1.0",
            "agents{role=\"polecat\",state=\"crash_loop\"} 0.0",
            "agent_activities{role=\"witness\",activity=\"working\"} 1.0",
            "agent_activities{role=\"polecat\",activity=\"unknown\"} 1.0",
            "actors{state=\"running\"} 1.0",
            "actors{state=\"silent\"} 1.0",
            "actors{state=\"suspended\"} 1.0",
            "accounts_held{cause=\"usage_limit\"} 2.0",
            "accounts_held{cause=\"logged_out\"} 0.0",
            "last_heartbeat_timestamp_seconds 1796040000.5",
        ] {
            assert!(lines.iter().any(|line| line == there), "{there}: {lines:#?}");
        }
        // The gates could not be found out, and the curator did not answer.
        for absent in ["gates_closed", "feed"] {
            assert!(!lines.iter().any(|line| line.starts_with(absent)), "{absent}: {lines:#?}");
        }
    });
}
