//! The texts of a mass death: its log line and its event. Pure.
//!
//! The line is that of Gas Town's own daemon (0.2.6, `internal/daemon/daemon.go`), which prints the names as Go prints a
//! slice. So are the name of the event, `mass_death`, and its payload (`internal/events/events.go`).

use std::time::Duration;

use jiff::Timestamp;

use crate::{deaths::rules::ConfirmedDeath, go_duration, town::events::Event};

/// The log line: `MASS DEATH DETECTED: 3 sessions died in 30s: [a b c]`; for a follow-up `2 more sessions`.
pub fn line(deaths: &[ConfirmedDeath], window: Duration, follow_up: bool) -> String {
    let more = if follow_up { "more " } else { "" };
    let sessions = if follow_up && deaths.len() == 1 { "session" } else { "sessions" };
    let names: Vec<&str> = deaths.iter().map(|death| death.session.as_str()).collect();
    let (count, window) = (deaths.len(), go_duration::format(window));
    format!("MASS DEATH DETECTED: {count} {more}{sessions} died in {window}: [{}]", names.join(" "))
}

/// The sentence of an alert: `3 agents died within 30s: a, b and c (all in rig r)`.
pub fn sentence(deaths: &[ConfirmedDeath], window: Duration, follow_up: bool, cause: Option<&str>) -> String {
    let more = if follow_up { " more" } else { "" };
    let agents = if deaths.len() == 1 { "agent" } else { "agents" };
    let names: Vec<String> = deaths.iter().map(|death| death.agent.to_string()).collect();
    let cause = cause.map(|cause| format!(" (possible cause: {cause})")).unwrap_or_default();
    let (count, window) = (deaths.len(), go_duration::short(window));
    format!("{count}{more} {agents} died within {window}: {}{cause}", names.join(", "))
}

/// The event, for alerts and follow-ups alike; an unknown cause is left out.
pub fn event(at: Timestamp, deaths: &[ConfirmedDeath], window: Duration, cause: Option<&str>) -> Event {
    let names: Vec<&str> = deaths.iter().map(|death| death.session.as_str()).collect();
    let mut payload = serde_json::json!({
        "count": deaths.len(),
        "window": go_duration::format(window),
        "sessions": names,
    });
    if let Some(cause) = cause {
        payload["possible_cause"] = cause.into();
    }
    Event::ours(at, "mass_death", payload)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{clock::Now, town::identity::Identity};

    #[test]
    fn the_words() {
        let at: Timestamp = "2026-02-02T08:00:00.5Z".parse().unwrap();
        let death = |session: &str| ConfirmedDeath {
            agent: Identity::Deacon,
            session: session.to_owned(),
            noticed: Now { mono: Duration::ZERO, wall: at },
            exit: None,
            with_server: false,
            for_memory: false,
        };
        let three = [death("gt-a-witness"), death("hq-deacon"), death("gt-a-Toast")];
        let window = Duration::from_secs(30);
        assert_eq!(
            line(&three, window, false),
            "MASS DEATH DETECTED: 3 sessions died in 30s: [gt-a-witness hq-deacon gt-a-Toast]"
        );
        assert_eq!(
            line(&three[..2], window, true),
            "MASS DEATH DETECTED: 2 more sessions died in 30s: [gt-a-witness hq-deacon]"
        );
        assert_eq!(
            line(&three[..1], window, true),
            "MASS DEATH DETECTED: 1 more session died in 30s: [gt-a-witness]"
        );
        assert_eq!(
            event(at, &three, window, Some("all in rig a")).line().unwrap(),
            concat!(
                r#"{"ts":"2026-02-02T08:00:00Z","source":"gt","type":"mass_death","actor":"daemon","payload":"#,
                r#"{"count":3,"window":"30s","sessions":["gt-a-witness","hq-deacon","gt-a-Toast"],"#,
                r#""possible_cause":"all in rig a"},"visibility":"feed"}"#
            )
        );
        assert_eq!(
            sentence(&three[..2], window, false, Some("tmux server died")),
            "2 agents died within 30s: deacon, deacon (possible cause: tmux server died)"
        );
        assert_eq!(sentence(&three[..1], window, true, None), "1 more agent died within 30s: deacon");
        assert!(!event(at, &three, window, None).line().unwrap().contains("possible_cause"));
    }
}
