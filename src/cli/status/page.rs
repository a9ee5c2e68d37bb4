//! The page that `status` prints: its lines and its table. Pure.
//!
//! The first lines say what a person on call must know: whether the supervisor runs, how the agents are, what concerns the whole town,
//! the worst problems. This module must not ask a supervisor.

use comfy_table::{Cell, Color, ContentArrangement, Table, presets};

use crate::{
    StatusReport,
    agent::health::Health,
    control::{
        report::{AgentReport, Exit, ProblemReport, called},
        summary,
    },
    local_time::LocalTime,
    supervision::status::exit_in_words,
    town::dialect::Dialect,
    width,
};

/// How to show a report.
pub struct Page {
    /// Now, for the reader.
    pub local: LocalTime,
    /// Without colours.
    pub plain: bool,
    /// The width to keep within; `None` where the output is no terminal, and nothing is cut.
    pub width: Option<usize>,
    /// With what is known of each agent's process, too.
    pub wide: bool,
}

/// The columns of the table of agents.
const COLUMNS: [&str; 12] = [
    "AGENT",
    "SESSION",
    "STATE",
    "SINCE",
    "RESTARTS",
    "NEXT TRY",
    "PROGRAM",
    "PID",
    "HOOK",
    "UPTIME",
    "LAST EXIT",
    "WHY",
];
const AGENT: usize = 0;
const SESSION: usize = 1;
const STATE: usize = 2;
const SINCE: usize = 3;
const RESTARTS: usize = 4;
const NEXT_TRY: usize = 5;
const PROGRAM: usize = 6;
const HOOK: usize = 8;
const UPTIME: usize = 9;
const LAST_EXIT: usize = 10;
const WHY: usize = 11;

/// The cells of a line of the table.
type Row = [String; COLUMNS.len()];

/// The width that WHY gets at the expense of other columns,
const ENOUGH: usize = 36;
/// and the one that it gets in any case.
const LEAST: usize = 24;
/// In the wide table WHY gives way first, down to this width.
const LITTLE: usize = 12;

/// Which column is left out when WHY would get less than a width, one after the other; those that may be are left out only
/// where they say nothing.
const GIVE_WAY: [(usize, usize, Spare); 6] = [
    (RESTARTS, ENOUGH, Spare::Empty),
    (NEXT_TRY, ENOUGH, Spare::Empty),
    (SESSION, ENOUGH, Spare::Always),
    (RESTARTS, LEAST, Spare::Always),
    (SINCE, LEAST, Spare::Always),
    (NEXT_TRY, LEAST, Spare::Always),
];

/// The same for the wide table: WHY itself is left out before what only this table has.
const GIVE_WAY_WIDE: [(usize, usize, Spare); 13] = [
    (RESTARTS, LITTLE, Spare::Empty),
    (NEXT_TRY, LITTLE, Spare::Empty),
    (HOOK, LITTLE, Spare::Empty),
    (LAST_EXIT, LITTLE, Spare::Empty),
    (SESSION, LITTLE, Spare::Always),
    (RESTARTS, LITTLE, Spare::Always),
    (NEXT_TRY, LITTLE, Spare::Always),
    (SINCE, LITTLE, Spare::Always),
    (WHY, LITTLE, Spare::Always),
    (PROGRAM, 0, Spare::Always),
    (UPTIME, 0, Spare::Always),
    (HOOK, 0, Spare::Always),
    (LAST_EXIT, 0, Spare::Always),
];

/// When a column may be left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Spare {
    /// When no cell of it says anything.
    Empty,
    /// Whatever it says.
    Always,
}

impl Page {
    /// The page; `silent` says in which way the supervisor does not answer.
    pub fn text(&self, report: &StatusReport, silent: Option<&str>) -> String {
        let mut text = self.head(report, silent);
        if !report.agents.is_empty() {
            text.push_str(&format!("{}\n", summary::headline(&report.agents, &self.local)));
        }
        summary::banners(report, &self.local).iter().for_each(|banner| text.push_str(&format!("{banner}\n")));
        if report.running && silent.is_none() && report.gates.is_none() {
            let what = if report.is_of_one_file() { "the town" } else { "the town or a rig" };
            text.push_str(&format!("It could not be found out in time whether {what} is stopped\n"));
        }
        text.push_str(&self.problems(&report.problem_list));
        text.push_str(&feed(report));
        let parked = report.actors.iter().filter_map(|actor| Some((actor, actor.parked.as_ref()?)));
        for (actor, why) in parked {
            text.push_str(&format!("  actor {} is suspended: {why}\n", actor.name));
        }
        let mut text = self.fitted(&text);
        if !report.agents.is_empty() {
            let table = self.table(&report.agents).to_string();
            text.push('\n');
            table.lines().for_each(|line| text.push_str(&format!("{}\n", line.trim_end())));
        }
        text + &self.fitted(&events(report))
    }

    fn problems(&self, problems: &[ProblemReport]) -> String {
        let line = |problem: &ProblemReport| {
            let since =
                problem.since.map(|since| format!(" ({})", self.local.age(since))).unwrap_or_default();
            format!("  {}{since}\n", problem.text)
        };
        let lines: String = problems.iter().map(line).collect();
        if lines.is_empty() { lines } else { format!("Problems:\n{lines}") }
    }

    /// The lines with times for the reader, broken where they are too long.
    fn fitted(&self, text: &str) -> String {
        let line = |line: &str| {
            let (line, indent) = (self.local.text(line), line.len() - line.trim_start().len());
            self.width.map_or_else(|| line.clone(), |width| width::wrapped(&line, 0, indent + 2, width))
                + "\n"
        };
        text.lines().map(line).collect()
    }

    fn head(&self, report: &StatusReport, silent: Option<&str>) -> String {
        let town = town(report);
        let beats = &report.heartbeat;
        let beat = match beats.last {
            Some(last) => format!("heartbeat #{} {} ago", beats.count, self.local.age(last)),
            None => "no heartbeat yet".to_owned(),
        };
        let late = match beats.late.as_slice() {
            [] => String::new(),
            late => format!(", late: {}", late.join(", ")),
        };
        let since = since(report, &self.local);
        let process = process(report);
        match (silent, report.running) {
            (Some(why), _) => format!("{town}: {why}\nLast known: started {since}, {beat}\n"),
            (None, true) => format!("{town}: {}, {beat}{late}\n", running(report, &self.local)),
            (None, false) if report.died => {
                format!(
                    "{town}: not running; the last supervisor ({process}) was killed or crashed\n\
                         Last known: started {since}, {beat}; `gastown-supervisor start` starts one\n"
                )
            }
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
        let rows: Vec<_> = agents.iter().map(|agent| self.row(agent)).collect();
        let columns = self.columns(&rows);
        table.set_header(columns.iter().map(|(column, _)| COLUMNS[*column]));
        for row in &rows {
            table.add_row(columns.iter().map(|(column, width)| {
                let cell = Cell::new(width::cut(&row[*column], *width));
                if *column == STATE { colored(cell, &row[STATE]) } else { cell }
            }));
        }
        if let Some(first) = table.column_mut(0) {
            first.set_padding((0, 1));
        }
        table
    }

    fn row(&self, agent: &AgentReport) -> Row {
        let next = agent.backoff_until.filter(|until| *until > self.local.now());
        let known = |text: &Option<String>| text.clone().unwrap_or("-".to_owned());
        [
            called(&agent.identity).to_owned(),
            agent.session.clone(),
            agent.state.clone(),
            agent.since.map_or("-".to_owned(), |since| self.local.age(since)),
            agent.restarts.to_string(),
            next.map_or("-".to_owned(), |until| self.local.time(until)),
            known(&agent.program),
            agent.pid.map_or("-".to_owned(), |pid| pid.to_string()),
            known(&agent.hook),
            agent.started_at.map_or("-".to_owned(), |at| self.local.age(at)),
            agent.last_exit.as_ref().map_or("-".to_owned(), |exit| self.exit(exit)),
            why(agent, &self.local),
        ]
    }

    /// `SIGKILL (137), 5m ago`.
    fn exit(&self, exit: &Exit) -> String {
        let ago = format!("{} ago", self.local.age(exit.at));
        let how = exit_in_words(exit.exit, exit.signal.as_deref());
        how.into_iter().chain([ago]).collect::<Vec<_>>().join(", ")
    }

    /// The columns that are shown, each with the width to cut its cells to. Where there is little room, those that say nothing
    /// or least are left out, and WHY is cut.
    fn columns(&self, rows: &[Row]) -> Vec<(usize, usize)> {
        let widest = |column: usize| rows.iter().map(|row| width::of(&row[column])).max().unwrap_or(0);
        let widths = COLUMNS.map(width::of);
        let mut widths: Vec<usize> = (0..).zip(widths).map(|(at, header)| header.max(widest(at))).collect();
        let is_wide_only = |column: usize| (PROGRAM..WHY).contains(&column);
        let mut shown: Vec<usize> =
            (0..COLUMNS.len()).filter(|column| self.wide || !is_wide_only(*column)).collect();
        let Some(width) = self.width else {
            return shown.into_iter().map(|column| (column, widths[column])).collect();
        };
        let says_nothing = |column: usize| rows.iter().all(|row| ["0", "-"].contains(&&*row[column]));
        let needed = |shown: &[usize], widths: &[usize], least: usize| -> usize {
            let of = |column: &usize| match *column {
                WHY => widths[WHY].min(least),
                column => widths[column] + 2,
            };
            shown.iter().map(of).sum()
        };
        let (give_way, least): (&[_], _) =
            if self.wide { (&GIVE_WAY_WIDE, LITTLE) } else { (&GIVE_WAY, LEAST) };
        for (column, least, spare) in give_way {
            let may = *spare == Spare::Always || says_nothing(*column);
            if may && needed(&shown, &widths, *least) > width {
                shown.retain(|it| it != column);
            }
        }
        let missing = needed(&shown, &widths, least).saturating_sub(width);
        widths[AGENT] = widths[AGENT].saturating_sub(missing).max(width::of(COLUMNS[AGENT]));
        widths[WHY] = width.saturating_sub(needed(&shown, &widths, 0)).max(width::of(COLUMNS[WHY]));
        shown.into_iter().map(|column| (column, widths[column])).collect()
    }
}

/// The reason for an agent's state, or what it is doing; before that, that it is not healthy.
pub fn why(agent: &AgentReport, local: &LocalTime) -> String {
    let why = match &agent.reason {
        Some(why) => Some(local.text(why)),
        None => doing(agent, local),
    };
    let is_healthy = agent.health.as_ref().is_some_and(|health| health.state == Health::Healthy.as_str());
    let health = health(agent, local);
    // That it is well says little beside what it is doing.
    if is_healthy {
        return why.or(health).unwrap_or_default();
    }
    health.into_iter().chain(why).collect::<Vec<_>>().join("; ")
}

/// What the checks of an agent's health say, and since when: `unhealthy 3m5s (3 failed): exit code 1`.
pub fn health(agent: &AgentReport, local: &LocalTime) -> Option<String> {
    let health = agent.health.as_ref()?;
    let failed = match health.failures {
        0 => String::new(),
        failures => format!(" ({failures} failed)"),
    };
    let said = health.said.as_ref().map(|said| format!(": {said}")).unwrap_or_default();
    let starting = if health.state == Health::Starting.as_str() { "health " } else { "" };
    Some(format!("{starting}{} {}{failed}{said}", health.state, local.age(health.since)))
}

/// What an agent is doing, since when and by which source: `working 3m5s (transcript)`.
pub fn doing(agent: &AgentReport, local: &LocalTime) -> Option<String> {
    let (activity, source) = (agent.activity.as_ref()?.replace('_', " "), agent.activity_source.as_ref()?);
    let since = local.age(agent.activity_since?);
    // The reason may have said it already.
    let is_said =
        |detail: &&String| agent.reason.as_ref().is_some_and(|reason| reason.contains(detail.as_str()));
    let detail = agent.activity_detail.as_ref().filter(|detail| !is_said(detail));
    let detail = detail.map(|detail| format!(": {detail}")).unwrap_or_default();
    Some(format!("{activity} {since} ({source}){detail}"))
}

/// The town, and which Gas Town it is.
pub fn town(report: &StatusReport) -> String {
    match gas_town(report) {
        Some(gas_town) => format!("{} ({gas_town})", report.town),
        None => report.town.clone(),
    }
}

fn since(report: &StatusReport, local: &LocalTime) -> String {
    report.started_at.map_or("an unknown time".to_owned(), |at| local.time(at))
}

fn process(report: &StatusReport) -> String {
    report.pid.map_or("PID unknown".to_owned(), |pid| format!("PID {pid}"))
}

/// Which supervisor runs: `running (PID 7, 0.1.0) since 09:00:00`.
pub fn running(report: &StatusReport, local: &LocalTime) -> String {
    let version = if report.version.is_empty() { String::new() } else { format!(", {}", report.version) };
    format!("running ({}{version}) since {}", process(report), since(report, local))
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

fn colored(cell: Cell, state: &str) -> Cell {
    match state {
        "alive" => cell.fg(Color::Green),
        "waiting_at_question" | "starting" | "confirming" | "waiting" => cell.fg(Color::Yellow),
        "crash_loop" => cell.fg(Color::Red),
        _ => cell,
    }
}

#[cfg(test)]
mod tests {
    use jiff::{Timestamp, tz::TimeZone};

    use super::*;
    use crate::control::report::HeartbeatReport;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn page() -> Page {
        Page {
            local: LocalTime::new(at("2026-11-25T10:00:00Z"), &TimeZone::UTC),
            plain: true,
            width: None,
            wide: false,
        }
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

    fn problem(text: &str) -> ProblemReport {
        ProblemReport::new("command/x", text, Some(at("2026-11-25T09:55:00Z")))
    }

    #[test]
    fn a_running_one() {
        let mut waiting = agent("alpha/witness", "waiting", Some("restart 2"));
        (waiting.restarts, waiting.backoff_until) = (1, Some(at("2026-11-25T10:00:30Z")));
        let report = StatusReport {
            running: true,
            gates: Some(vec![]),
            pid: Some(2077),
            town: "/home/user/gt".into(),
            started_at: Some(at("2026-11-23T01:12:08Z")),
            heartbeat: HeartbeatReport {
                count: 64,
                last: Some(at("2026-11-25T09:59:20Z")),
                late: vec!["boot".into()],
            },
            agents: vec![agent("deacon", "alive", None), waiting],
            problem_list: vec![problem("gt is not installed")],
            ..StatusReport::default()
        };
        assert_eq!(
            page().text(&report, None),
            "\
/home/user/gt: running (PID 2077) since 2026-11-23 01:12:08, heartbeat #64 40s ago, late: boot
2 agents: 1 alive, 1 waiting
Problems:
  gt is not installed (5m)

AGENT          SESSION        STATE    SINCE  RESTARTS  NEXT TRY  WHY
deacon         deacon         alive    1m5s   0         -
alpha/witness  alpha-witness  waiting  1m5s   1         10:00:30  restart 2
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
            (doing("working", "transcript", None), "working 3m5s (transcript)"),
            (doing("logged_out", "screen", Some("run /login")), "logged out 3m5s (screen): run /login"),
            (asks, "Trust?"),
            (agent("deacon", "alive", None), "-"),
        ] {
            let table = page().table(&[agent]).to_string();
            assert!(table.trim_end().ends_with(why), "{table}");
        }
    }

    #[test]
    fn a_town_of_gas_town_1() {
        let mut report = StatusReport {
            running: true,
            gates: Some(vec![]),
            pid: Some(7),
            town: "/t".into(),
            gas_town: "1.x".into(),
            started_at: Some(at("2026-11-25T09:00:00Z")),
            ..StatusReport::default()
        };
        let head = "/t (Gas Town 1.x): running (PID 7) since 09:00:00, no heartbeat yet\n";
        for (written, events) in [
            (0, ""),
            (1, "\n1 line written to .events.jsonl; it woke the agents that waited\n"),
            (2, "\n2 lines written to .events.jsonl; each woke the agents that waited\n"),
        ] {
            report.events_written = written;
            assert_eq!(page().text(&report, None), format!("{head}{events}"), "{written}");
        }
        report.gas_town = "january".into();
        assert!(!page().text(&report, None).contains("Gas Town"), "as it was");
    }

    #[test]
    fn none_that_runs_and_one_that_is_silent() {
        let nothing = StatusReport { town: "/t".into(), ..StatusReport::default() };
        assert_eq!(page().text(&nothing, None), "/t: not running\n");
        let left = StatusReport { pid: Some(7), started_at: Some(at("2026-11-25T09:00:00Z")), ..nothing };
        assert_eq!(
            page().text(&left, None),
            "/t: not running\nLast known: PID 7, started 09:00:00, no heartbeat yet\n"
        );
        let why = "running (PID 7), but it does not answer: no answer within 1.5s";
        assert_eq!(
            page().text(&StatusReport { running: true, ..left }, Some(why)),
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

    /// A town in which something is wrong: long reasons and problems, with times in them.
    fn at_night() -> StatusReport {
        let waits = "restart 2 waits; its last start failed: `gt session restart harbor/furiosa --force` ended with 1";
        let mut polecat = agent("harbor/polecats/furiosa", "waiting", Some(waits));
        (polecat.restarts, polecat.backoff_until) = (1, Some(at("2026-11-25T10:00:30Z")));
        let dolt = "Dolt does not answer on 127.0.0.1:3307 since 2026-11-25T09:58:00Z: mail, hooks and slings fail; `gt dolt \
                    start` starts it";
        StatusReport {
            running: true,
            gates: Some(vec![]),
            pid: Some(2077),
            town: "/home/user/gt".into(),
            gas_town: "1.x".into(),
            started_at: Some(at("2026-11-25T09:00:00Z")),
            agents: vec![
                agent("deacon", "alive", None),
                agent("harbor/refinery", "absent", Some("no pending events in events/refinery")),
                polecat,
                agent(
                    "mayor",
                    "waiting_at_question",
                    Some("asks: \"Do you trust the files in this folder?\""),
                ),
            ],
            problem_list: vec![problem(dolt)],
            ..StatusReport::default()
        }
    }

    #[test]
    fn it_fits_into_the_terminal() {
        for width in [60, 80, 200] {
            let text = Page { width: Some(width), ..page() }.text(&at_night(), None);
            for line in text.lines() {
                assert!(width::of(line) <= width, "{width}: {line}");
            }
            let flowing = text.split_whitespace().collect::<Vec<_>>().join(" ");
            assert!(flowing.contains("since 09:58:00: mail"), "{width}: {text}");
            assert!(
                flowing.contains("slings fail; `gt dolt start` starts it"),
                "{width}: problems are whole: {text}"
            );
            assert_eq!(text.contains('…'), width < 200, "{width}: {text}");
        }
        let whole = page().text(&at_night(), None);
        assert!(whole.contains("ended with 1\n") && whole.contains("slings fail; `gt"), "{whole}");
        let long = vec![agent(&format!("r/polecats/{}", "x".repeat(90)), "alive", Some("why"))];
        let long = StatusReport { agents: long, ..StatusReport::default() };
        for width in [60, 80] {
            let text = Page { width: Some(width), ..page() }.text(&long, None);
            assert!(text.lines().all(|line| width::of(line) <= width) && text.contains("why"), "{text}");
        }
    }

    /// The same town, with what is known of processes.
    fn with_processes() -> StatusReport {
        let mut report = at_night();
        let killed = Exit { at: at("2026-11-25T09:55:00Z"), exit: Some(137), signal: Some("SIGKILL".into()) };
        let [deacon, _, polecat, _] = &mut report.agents[..] else { panic!("four agents") };
        (deacon.program, deacon.pid) = (Some("claude".into()), Some(4711));
        deacon.started_at = Some(at("2026-11-25T08:00:00Z"));
        (polecat.hook, polecat.last_exit) = (Some("ha-7x2".into()), Some(killed));
        report
    }

    #[test]
    fn the_wide_table() {
        let table = |width| {
            let text = Page { width, wide: true, ..page() }.text(&with_processes(), None);
            let lines = text.lines().skip_while(|line| !line.starts_with("AGENT"));
            lines.map(|line| format!("{line}\n")).collect::<String>()
        };
        let agent =
            |text: &str, name: &str| text.lines().find(|line| line.starts_with(name)).unwrap().to_owned();
        let whole = table(None);
        let polecat = agent(&whole, "harbor/polecats/furiosa");
        assert!(polecat.contains(" ha-7x2 ") && polecat.contains(" SIGKILL (137), 5m ago "), "{whole}");
        assert!(polecat.ends_with(" ended with 1"), "{whole}");
        assert!(table(Some(200)).contains("WHY"), "{}", table(Some(200)));
        assert_eq!(
            table(Some(80)),
            "\
AGENT                    STATE                PID   LAST EXIT
deacon                   alive                4711  -
harbor/refinery          absent               -     -
harbor/polecats/furiosa  waiting              -     SIGKILL (137), 5m ago
mayor                    waiting_at_question  -     -
"
        );
        for width in [60, 80, 200] {
            for line in table(Some(width)).lines() {
                assert!(width::of(line) <= width, "{width}: {line}");
            }
            assert!(
                agent(&table(Some(width)), "deacon").contains(" 4711"),
                "{width}: {}",
                table(Some(width))
            );
        }
    }

    #[test]
    fn what_is_shown_in_80_columns() {
        assert_eq!(
            Page { width: Some(80), ..page() }.text(&at_night(), None),
            "\
/home/user/gt (Gas Town 1.x): running (PID 2077) since 09:00:00, no heartbeat
  yet
4 agents: 1 alive, 1 waiting, 1 at a question, 1 not needed
Problems:
  Dolt does not answer on 127.0.0.1:3307 since 09:58:00: mail, hooks and slings
    fail; `gt dolt start` starts it (5m)

AGENT                    STATE                NEXT TRY  WHY
deacon                   alive                -
harbor/refinery          absent               -         no pending events in ev…
harbor/polecats/furiosa  waiting              10:00:30  restart 2 waits; its la…
mayor                    waiting_at_question  -         asks: \"Do you trust the…
"
        );
    }
}
