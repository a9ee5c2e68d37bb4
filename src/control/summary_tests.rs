//! How a report is summed up.

use jiff::tz::TimeZone;
use serde_json::json;

use super::*;
use crate::control::report::{ActorReport, GateReport, HeartbeatReport};

fn local() -> LocalTime {
    LocalTime::new("2026-11-25T10:00:00Z".parse().unwrap(), &TimeZone::UTC)
}

fn agent(state: &str, activity: Option<&str>) -> AgentReport {
    AgentReport { state: state.into(), activity: activity.map(str::to_owned), ..AgentReport::default() }
}

fn gate(rig: Option<&str>, code: &str) -> GateReport {
    GateReport { rig: rig.map(str::to_owned), code: code.into(), text: "why".into() }
}

/// A report of a supervisor that has observed its agents, and found nothing in the way.
fn observed() -> StatusReport {
    let heartbeat = HeartbeatReport { count: 1, ..HeartbeatReport::default() };
    StatusReport { running: true, heartbeat, gates: Some(vec![]), ..StatusReport::default() }
}

#[test]
fn what_is_not_known_is_not_well() {
    let silent = ActorReport { silent: true, ..ActorReport::default() };
    for (name, report, is_well) in [
        ("all is known", observed(), true),
        ("no heartbeat yet", StatusReport { heartbeat: HeartbeatReport::default(), ..observed() }, false),
        ("a disk that does not answer", StatusReport { gates: None, ..observed() }, false),
        ("an actor that does not answer", StatusReport { actors: vec![silent], ..observed() }, false),
    ] {
        assert_eq!(super::is_well(&report), is_well, "{name}");
    }
}

#[test]
fn the_whole_summary() {
    let named = |identity: &str, agent: AgentReport| AgentReport { identity: identity.into(), ..agent };
    let agents = vec![
        named("deacon", agent("alive", Some("idle"))),
        named("r/refinery", agent("crash_loop", None)),
        named("r/witness", agent("alive", Some("hung"))),
    ];
    let gates = Some(vec![gate(Some("r"), "rig_parked")]);
    let summary = super::of(&StatusReport { agents, gates, ..observed() }, &local());
    assert_eq!(summary.headline, "3 agents: 1 idle, 1 perhaps hung, 1 crash loop");
    assert_eq!(summary.banners, ["r is parked: no agent there is started until `gt rig unpark <rig>`"]);
    assert_eq!((summary.well, summary.not_well), (false, vec!["r/refinery".into(), "r/witness".into()]));
    assert_eq!(summary.zone.as_deref(), Some("UTC"));
}

#[test]
fn how_the_agents_are() {
    let limited = |until: &str| AgentReport {
        backoff_until: Some(until.parse().unwrap()),
        ..agent("limited", Some("limited"))
    };
    for (name, agents, expected, is_well) in [
        ("none", vec![], "no agents", true),
        ("one", vec![agent("alive", Some("working"))], "1 agent: 1 working", true),
        (
            "a night",
            vec![
                agent("crash_loop", None),
                agent("alive", Some("working")),
                limited("2026-11-25T19:20:00Z"),
                agent("waiting", None),
                limited("2026-11-25T20:20:00Z"),
                agent("alive", Some("working")),
            ],
            "6 agents: 2 working, 1 waiting, 2 limited until 19:20:00, 1 crash loop",
            false,
        ),
        (
            "a silent source",
            vec![agent("alive", None), agent("alive", Some("idle"))],
            "2 agents: 1 idle, 1 alive",
            true,
        ),
        (
            "on purpose",
            vec![agent("held", None), agent("paused", None), agent("absent", None)],
            "3 agents: 1 held, 1 paused, 1 not needed",
            true,
        ),
        ("perhaps hung", vec![agent("alive", Some("hung"))], "1 agent: 1 perhaps hung", false),
        ("at a question", vec![agent("waiting_at_question", None)], "1 agent: 1 at a question", false),
        ("without a login", vec![agent("alive", Some("logged_out"))], "1 agent: 1 logged out", false),
        ("a state of a later version", vec![agent("dreaming", None)], "1 agent: 1 unknown", false),
        (
            "two loops",
            vec![agent("crash_loop", None), agent("crash_loop", None)],
            "2 agents: 2 crash loops",
            false,
        ),
    ] {
        assert_eq!(headline(&agents, &local()), expected, "{name}");
        assert_eq!(super::is_well(&StatusReport { agents, ..observed() }), is_well, "{name}");
    }
}

#[test]
fn what_concerns_the_town() {
    let died = |at: &str| json!({"last": {"at": at, "sessions": ["a", "b", "c"], "possible_cause": "out of memory"}});
    let report = StatusReport {
        gates: Some(vec![
            gate(None, "emergency_stop"),
            gate(Some("alpha"), "rig_parked"),
            gate(Some("beta"), "rig_parked"),
            gate(Some("gamma"), "rig_docked"),
            gate(Some("gamma"), "rig_emergency_stop"),
        ]),
        deaths: died("2026-11-25T09:30:00Z"),
        version: "0.1.0".into(),
        binary_replaced: true,
        ..StatusReport::default()
    };
    assert_eq!(
        banners(&report, &local()),
        [
            "EMERGENCY STOP: nothing is started while the file ESTOP is there (`gt thaw`)",
            "MASS DEATH at 09:30:00: 3 sessions died together (out of memory)",
            "gamma is docked: no agent there is started until `gt rig undock <rig>`",
            "gamma is under an emergency stop: no agent there is started (files ESTOP.<rig>)",
            "alpha, beta are parked: no agent there is started until `gt rig unpark <rig>`",
            "The program was replaced on disk; 0.1.0 still runs. `gastown-supervisor restart` starts the new one",
        ]
    );
    assert!(!super::is_well(&report), "the town is stopped");
    let quiet = StatusReport {
        gates: Some(vec![gate(Some("alpha"), "rig_parked")]),
        deaths: died("2026-11-25T08:30:00Z"),
        ..observed()
    };
    assert_eq!(banners(&quiet, &local()).len(), 1, "a mass death of long ago is history");
    assert!(super::is_well(&quiet), "on purpose");
    assert_eq!(banners(&StatusReport::default(), &local()), Vec::<String>::new());
}
