//! `status`: the state of the town.

use std::process::ExitCode;

use clap::Args;
use comfy_table::{Cell, Color, ContentArrangement, Table, presets};
use jiff::{Timestamp, tz::TimeZone};

use super::{
    print, print_json,
    town::{TownArgument, asked, plain},
};
use crate::{
    Answer, StatusReport,
    clock::{Clock, SystemClock},
    control::report::AgentReport,
    terminal,
    town::dialect::Dialect,
};

/// Shows the state of the town: the supervisor, its problems, and each agent with its state and the reason.
///
/// It asks the running supervisor. When none runs, it reads the files of the last one (exit code 3). When a supervisor holds
/// the town's lock but does not answer, it says so within two seconds (exit code 1).
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  gastown-supervisor status\n  gastown-supervisor status --json | jq '.agents[] | select(.state != \"alive\")'"
)]
pub struct StatusArguments {
    #[command(flatten)]
    town: TownArgument,
    /// Print JSON, in the shape of GET /v1/status
    #[arg(long)]
    json: bool,
}

/// Prints the status, and returns the exit code for its source.
pub fn status(arguments: &StatusArguments) -> anyhow::Result<ExitCode> {
    let client = arguments.town.client()?;
    let answer = asked(async { Ok(client.status().await) })?;
    let (report, code) = match &answer {
        Answer::Live(report) => (report, ExitCode::SUCCESS),
        Answer::Unresponsive(report, _) => (report, ExitCode::FAILURE),
        Answer::Offline(report) => (report, ExitCode::from(super::NOT_RUNNING)),
    };
    if arguments.json {
        print_json(report)?;
        return Ok(code);
    }
    let shown = Shown { now: SystemClock::new().now().wall, zone: TimeZone::system(), plain: plain() };
    let silent =
        if let Answer::Unresponsive(_, why) = &answer { Some(terminal::one_line(why)) } else { None };
    print(&shown.text(&terminal::report(report)?, silent.as_deref()))?;
    Ok(code)
}

/// How to show a report.
struct Shown {
    now: Timestamp,
    zone: TimeZone,
    plain: bool,
}

impl Shown {
    fn text(&self, report: &StatusReport, silent: Option<&str>) -> String {
        let mut text = self.head(report, silent);
        if !report.problems.is_empty() {
            text.push_str("\nProblems:\n");
            report.problems.values().for_each(|problem| text.push_str(&format!("  {problem}\n")));
        }
        text.push_str(&feed(report));
        let parked = report.actors.iter().filter_map(|actor| Some((actor, actor.parked.as_ref()?)));
        for (actor, why) in parked {
            text.push_str(&format!("  actor {} is suspended: {why}\n", actor.name));
        }
        if !report.agents.is_empty() {
            let table = self.table(&report.agents).to_string();
            text.push('\n');
            table.lines().for_each(|line| text.push_str(&format!("{}\n", line.trim_end())));
        }
        text.push_str(&events(report));
        text
    }

    fn head(&self, report: &StatusReport, silent: Option<&str>) -> String {
        let town = &match gas_town(report) {
            Some(gas_town) => format!("{} ({gas_town})", report.town),
            None => report.town.clone(),
        };
        let beats = &report.heartbeat;
        let beat = match beats.last {
            Some(last) => format!("heartbeat #{} {} ago", beats.count, self.age(last)),
            None => "no heartbeat yet".to_owned(),
        };
        let late = match beats.late.as_slice() {
            [] => String::new(),
            late => format!(", late: {}", late.join(", ")),
        };
        let since = report.started_at.map_or("an unknown time".to_owned(), |at| self.time(at));
        let process = report.pid.map_or("PID unknown".to_owned(), |pid| format!("PID {pid}"));
        match (silent, report.running) {
            (Some(why), _) => format!("{town}: {why}\nLast known: started {since}, {beat}\n"),
            (None, true) => format!("{town}: running ({process}) since {since}\n{beat}{late}\n"),
            (None, false) if report.started_at.is_some() => {
                format!("{town}: not running\nLast known: {process}, started {since}, {beat}\n")
            }
            (None, false) => format!("{town}: not running\n"),
        }
    }

    fn table(&self, agents: &[AgentReport]) -> Table {
        let mut table = Table::new();
        table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
        if self.plain {
            table.force_no_tty();
        }
        table.set_header(["AGENT", "SESSION", "STATE", "SINCE", "RESTARTS", "NEXT TRY", "WHY"]);
        for agent in agents {
            let next = agent.backoff_until.filter(|until| *until > self.now);
            table.add_row([
                Cell::new(&agent.identity),
                Cell::new(&agent.session),
                colored(&agent.state),
                Cell::new(agent.since.map_or("-".to_owned(), |since| self.age(since))),
                Cell::new(agent.restarts),
                Cell::new(next.map_or("-".to_owned(), |until| self.time(until))),
                Cell::new(agent.reason.clone().or_else(|| doing(agent, self.now)).unwrap_or_default()),
            ]);
        }
        if let Some(first) = table.column_mut(0) {
            first.set_padding((0, 1));
        }
        table
    }

    fn time(&self, at: Timestamp) -> String {
        let (at, now) = (at.to_zoned(self.zone.clone()), self.now.to_zoned(self.zone.clone()));
        let form = if at.date() == now.date() { "%H:%M:%S" } else { "%Y-%m-%d %H:%M:%S" };
        at.strftime(form).to_string()
    }

    fn age(&self, at: Timestamp) -> String {
        age(at, self.now)
    }
}

/// How long ago a time was, in its two largest units.
fn age(at: Timestamp, now: Timestamp) -> String {
    let seconds = now.duration_since(at).as_secs().max(0);
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{minutes}m {:02}s", seconds % 60),
        3600..86_400 => format!("{hours}h {:02}m", minutes % 60),
        _ => format!("{days}d {:02}h", hours % 24),
    }
}

/// What an agent is doing, since when and by which source: `working 3m 05s (transcript)`.
pub fn doing(agent: &AgentReport, now: Timestamp) -> Option<String> {
    let (activity, source) = (agent.activity.as_ref()?.replace('_', " "), agent.activity_source.as_ref()?);
    let since = age(agent.activity_since?, now);
    let detail = agent.activity_detail.as_ref().map(|detail| format!(": {detail}")).unwrap_or_default();
    Some(format!("{activity} {since} ({source}){detail}"))
}

/// Which Gas Town it is, where that is not the one of January.
fn gas_town(report: &StatusReport) -> Option<Dialect> {
    let named = Dialect::ALL.into_iter().find(|it| it.facts().name == report.gas_town);
    named.filter(|it| *it != Dialect::default())
}

/// How many events it has written where each wakes agents; empty when there are none.
fn events(report: &StatusReport) -> String {
    let wake = gas_town(report).is_some_and(|it| it.facts().events_wake_agents);
    match report.events_written {
        written if written == 0 || !wake => String::new(),
        1 => "\n1 line written to .events.jsonl; it woke the agents that waited\n".to_owned(),
        written => format!("\n{written} lines written to .events.jsonl; each woke the agents that waited\n"),
    }
}

/// How many lines of the event log could not be used; empty when there are none.
fn feed(report: &StatusReport) -> String {
    match report.feed["skipped"].as_u64() {
        None | Some(0) => String::new(),
        Some(skipped) => {
            let last = report.feed["last_skipped"].as_str().map(|why| format!(", the last one: {why}"));
            let lines = if skipped == 1 { "line" } else { "lines" };
            format!("\n{skipped} {lines} of .events.jsonl could not be used{}\n", last.unwrap_or_default())
        }
    }
}

fn colored(state: &str) -> Cell {
    let cell = Cell::new(state);
    match state {
        "alive" => cell.fg(Color::Green),
        "waiting_at_question" | "starting" | "confirming" | "waiting" => cell.fg(Color::Yellow),
        "crash_loop" => cell.fg(Color::Red),
        _ => cell,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::report::HeartbeatReport;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn shown() -> Shown {
        Shown { now: at("2026-11-25T10:00:00Z"), zone: TimeZone::UTC, plain: true }
    }

    fn agent(identity: &str, state: &str, reason: Option<&str>) -> AgentReport {
        AgentReport {
            identity: identity.into(),
            session: identity.replace('/', "-"),
            state: state.into(),
            since: Some(at("2026-11-25T09:58:55Z")),
            reason: reason.map(str::to_owned),
            ..AgentReport::default()
        }
    }

    #[test]
    fn a_running_one() {
        let mut waiting = agent("alpha/witness", "waiting", Some("restart 2"));
        (waiting.restarts, waiting.backoff_until) = (1, Some(at("2026-11-25T10:00:30Z")));
        let report = StatusReport {
            running: true,
            pid: Some(2077),
            town: "/home/user/gt".into(),
            started_at: Some(at("2026-11-23T01:12:08Z")),
            heartbeat: HeartbeatReport {
                count: 64,
                last: Some(at("2026-11-25T09:59:20Z")),
                late: vec!["boot".into()],
            },
            agents: vec![agent("deacon", "alive", None), waiting],
            problems: [("x".to_owned(), "gt is not installed".to_owned())].into(),
            ..StatusReport::default()
        };
        assert_eq!(
            shown().text(&report, None),
            "\
/home/user/gt: running (PID 2077) since 2026-11-23 01:12:08
heartbeat #64 40s ago, late: boot

Problems:
  gt is not installed

AGENT          SESSION        STATE    SINCE   RESTARTS  NEXT TRY  WHY
deacon         deacon         alive    1m 05s  0         -
alpha/witness  alpha-witness  waiting  1m 05s  1         10:00:30  restart 2
"
        );
    }

    #[test]
    fn what_agents_are_doing() {
        let doing = |activity: &str, source: &str, detail: Option<&str>| AgentReport {
            activity: Some(activity.into()),
            activity_source: Some(source.into()),
            activity_since: Some(at("2026-11-25T09:56:55Z")),
            activity_detail: detail.map(str::to_owned),
            ..agent("deacon", "alive", None)
        };
        let asks = AgentReport { reason: Some("Trust?".into()), ..doing("working", "transcript", None) };
        for (agent, why) in [
            (doing("working", "transcript", None), "working 3m 05s (transcript)"),
            (doing("logged_out", "screen", Some("run /login")), "logged out 3m 05s (screen): run /login"),
            (asks, "Trust?"),
            (agent("deacon", "alive", None), "-"),
        ] {
            let table = shown().table(&[agent]).to_string();
            assert!(table.trim_end().ends_with(why), "{table}");
        }
    }

    #[test]
    fn a_town_of_gas_town_1() {
        let mut report = StatusReport {
            running: true,
            pid: Some(7),
            town: "/t".into(),
            gas_town: "1.x".into(),
            started_at: Some(at("2026-11-25T09:00:00Z")),
            ..StatusReport::default()
        };
        let head = "/t (Gas Town 1.x): running (PID 7) since 09:00:00\nno heartbeat yet\n";
        for (written, events) in [
            (0, ""),
            (1, "\n1 line written to .events.jsonl; it woke the agents that waited\n"),
            (2, "\n2 lines written to .events.jsonl; each woke the agents that waited\n"),
        ] {
            report.events_written = written;
            assert_eq!(shown().text(&report, None), format!("{head}{events}"), "{written}");
        }
        report.gas_town = "january".into();
        assert!(!shown().text(&report, None).contains("Gas Town"), "as it was");
    }

    #[test]
    fn none_that_runs_and_one_that_is_silent() {
        let nothing = StatusReport { town: "/t".into(), ..StatusReport::default() };
        assert_eq!(shown().text(&nothing, None), "/t: not running\n");
        let left = StatusReport { pid: Some(7), started_at: Some(at("2026-11-25T09:00:00Z")), ..nothing };
        assert_eq!(
            shown().text(&left, None),
            "/t: not running\nLast known: PID 7, started 09:00:00, no heartbeat yet\n"
        );
        let why = "running (PID 7), but it does not answer: no answer within 1.5s";
        assert_eq!(
            shown().text(&StatusReport { running: true, ..left }, Some(why)),
            format!("/t: {why}\nLast known: started 09:00:00, no heartbeat yet\n")
        );
    }

    #[test]
    fn lines_that_could_not_be_used_are_counted() {
        for (feed, expected) in [
            (serde_json::json!(null), ""),
            (serde_json::json!({"skipped": 0}), ""),
            (serde_json::json!({"skipped": 2}), "\n2 lines of .events.jsonl could not be used\n"),
            (
                serde_json::json!({"skipped": 1, "last_skipped": "it is not UTF-8"}),
                "\n1 line of .events.jsonl could not be used, the last one: it is not UTF-8\n",
            ),
        ] {
            assert_eq!(super::feed(&StatusReport { feed, ..StatusReport::default() }), expected);
        }
    }

    #[test]
    fn ages() {
        for (before, age) in
            [(0, "0s"), (59, "59s"), (61, "1m 01s"), (3_700, "1h 01m"), (90_000, "1d 01h"), (-5, "0s")]
        {
            let then = shown().now - jiff::SignedDuration::from_secs(before);
            assert_eq!(shown().age(then), age);
        }
    }
}
