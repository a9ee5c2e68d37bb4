//! The table of agents in the picture of `top`, around the selected one. Pure.

use ratatui::{
    style::{Color, Modifier, Style},
    text::{Line, Span},
};

use super::model::{Model, Row, Sort};
use crate::{
    cli::status::page,
    control::{
        report::{AgentReport, called},
        summary::{self, Condition},
    },
    local_time::LocalTime,
    width,
};

/// The least that the last column gets.
const LEAST: usize = 20;

/// The least that a name gets.
const NAME: usize = 18;

/// The widths of the columns; those with 0 are left out.
struct Columns {
    agent: usize,
    state: usize,
    since: usize,
    restarts: usize,
    next: usize,
    why: usize,
}

/// The header and as many rows as there is room for, the selected one among them.
pub fn lines(model: &Model, (width, height): (usize, usize), local: &LocalTime) -> Vec<Line<'static>> {
    let (rows, selected) = model.rows();
    let room = height.saturating_sub(1);
    let middle = selected.unwrap_or(0).saturating_sub(room / 2);
    let from = middle.min(rows.len().saturating_sub(room));
    let columns = columns(&rows, width, local, model.sort);
    let mut lines = vec![header(model, &columns, (rows.len(), from, room), width)];
    let shown = rows.iter().enumerate().skip(from).take(room);
    lines.extend(shown.map(|(at, row)| match row {
        Row::Rig(name, agents) => rig(name, agents, width, local),
        Row::Agent(agent) => self::row(agent, &columns, model.sort, selected == Some(at), local),
    }));
    if rows.is_empty() && room > 0 {
        let why = if model.shows_all() { "no agents" } else { "no agent is let through: esc shows all" };
        lines.push(Line::from(why));
    }
    lines.resize(height, Line::default());
    lines
}

fn header(
    model: &Model,
    columns: &Columns,
    (rows, from, room): (usize, usize, usize),
    width: usize,
) -> Line<'static> {
    let cell = |name: &str, width: usize| if width == 0 { String::new() } else { padded(name, width) };
    let mut shown = vec![format!("sort: {}", model.sort.word())];
    if !model.filter.is_empty() {
        shown.push(format!("filter: {}", model.filter));
    }
    if model.only_unwell {
        shown.push("only not ok".to_owned());
    }
    if rows > room {
        shown.push(format!("{}–{}/{rows}", from + 1, (from + room).min(rows)));
    }
    let left = format!(
        "  {}{}{}{}{}WHY",
        cell("AGENT", columns.agent),
        cell("STATE", columns.state),
        cell("SINCE", columns.since),
        cell("RESTARTS", columns.restarts),
        cell("NEXT TRY", columns.next),
    );
    let right = shown.join(", ");
    let gap = width.saturating_sub(width::of(&left) + width::of(&right)).max(2);
    let line = width::cut(&format!("{left}{}{right}", " ".repeat(gap)), width);
    Line::from(Span::styled(line, Style::new().add_modifier(Modifier::BOLD)))
}

fn columns(rows: &[Row<'_>], width: usize, local: &LocalTime, sort: Sort) -> Columns {
    let agents = || {
        rows.iter().filter_map(|row| match row {
            Row::Agent(agent) => Some(*agent),
            Row::Rig(..) => None,
        })
    };
    let widest = |text: &dyn Fn(&AgentReport) -> String, header: &str| {
        agents().map(|agent| width::of(&text(agent))).max().unwrap_or(0).max(width::of(header)) + 2
    };
    let name_of = |agent: &AgentReport| name(agent, sort);
    let state = widest(&|agent| agent.state.clone(), "STATE");
    let since = widest(&|agent| since(agent, local), "SINCE");
    let waits = agents().any(|agent| next(agent, local).is_some());
    let mut columns =
        Columns { agent: widest(&name_of, "AGENT"), state, since, restarts: 0, next: 0, why: 0 };
    let used = |columns: &Columns| {
        2 + columns.agent + columns.state + columns.since + columns.restarts + columns.next + LEAST
    };
    if waits {
        columns.next = widest(&|agent| next(agent, local).unwrap_or_default(), "NEXT TRY");
    }
    if sort == Sort::Restarts || width >= 100 {
        columns.restarts = "RESTARTS".len() + 2;
    }
    // Where there is no room, what says least goes first; then names are cut.
    if used(&columns) > width && sort != Sort::Restarts {
        columns.restarts = 0;
    }
    if used(&columns) > width {
        columns.next = 0;
    }
    if used(&columns) > width {
        columns.since = 0;
    }
    if used(&columns) > width {
        columns.agent = columns.agent.saturating_sub(used(&columns) - width).max(NAME);
    }
    columns.why = (width + LEAST).saturating_sub(used(&columns));
    columns
}

/// The name of an agent: below the name of its rig without that.
fn name(agent: &AgentReport, sort: Sort) -> String {
    let own = agent.rig.as_ref().filter(|_| sort == Sort::Rig);
    let own = own.and_then(|rig| agent.identity.strip_prefix(rig.as_str())?.strip_prefix('/'));
    own.map_or_else(|| called(&agent.identity).to_owned(), |own| format!("  {own}"))
}

fn since(agent: &AgentReport, local: &LocalTime) -> String {
    agent.since.map_or("-".to_owned(), |since| local.age(since))
}

fn next(agent: &AgentReport, local: &LocalTime) -> Option<String> {
    Some(local.time(agent.backoff_until.filter(|until| *until > local.now())?))
}

fn rig(name: &str, agents: &[&AgentReport], width: usize, local: &LocalTime) -> Line<'static> {
    let agents: Vec<AgentReport> = agents.iter().map(|agent| (*agent).clone()).collect();
    let line = format!("  {name}: {}", summary::headline(&agents, local));
    Line::from(Span::styled(width::cut(&line, width), Style::new().add_modifier(Modifier::BOLD)))
}

/// One agent: `>` where it is selected, `!` where it is not as it should be.
fn row(
    agent: &AgentReport,
    columns: &Columns,
    sort: Sort,
    selected: bool,
    local: &LocalTime,
) -> Line<'static> {
    let condition = Condition::of(agent);
    let base = match selected {
        true => Style::new().add_modifier(Modifier::REVERSED),
        false => Style::new(),
    };
    let cell = |text: &str, width: usize| match width {
        0 => Span::default(),
        _ => Span::styled(padded(text, width), base),
    };
    let colour = colour(condition);
    let state = cell(&agent.state, columns.state);
    let state = match colour {
        Some(colour) => state.style(base.fg(colour)),
        None => state,
    };
    let marks = [if selected { '>' } else { ' ' }, if condition.is_well() { ' ' } else { '!' }];
    Line::from(vec![
        Span::styled(String::from_iter(marks), base),
        cell(&name(agent, sort), columns.agent),
        state,
        cell(&since(agent, local), columns.since),
        cell(&agent.restarts.to_string(), columns.restarts),
        cell(&next(agent, local).unwrap_or_else(|| "-".to_owned()), columns.next),
        Span::styled(filled(&width::cut(&page::why(agent, local), columns.why), columns.why), base),
    ])
}

/// One of the terminal's own colours that can be read on light and on dark.
fn colour(condition: Condition) -> Option<Color> {
    use Condition::{
        Absent, Alive, CannotStart, CrashLoop, Ended, Held, Hung, Idle, Paused, Unhealthy, Unknown, Working,
    };
    match condition {
        Working | Idle | Alive => Some(Color::Green),
        Held | Paused | Ended | Absent => None,
        CrashLoop | CannotStart | Hung | Unhealthy | Unknown => Some(Color::Red),
        _ => Some(Color::Yellow),
    }
}

/// A cell of this width with two blanks at its end.
fn padded(text: &str, width: usize) -> String {
    filled(&width::cut(text, width.saturating_sub(2)), width)
}

fn filled(text: &str, width: usize) -> String {
    format!("{text}{}", " ".repeat(width.saturating_sub(width::of(text))))
}
