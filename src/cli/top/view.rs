//! The picture that `top` shows of its model: lines for a terminal of a given size. Pure.
//!
//! From the top: who supervises, how the agents are, what concerns the whole town, the last hour, the agents, the worst problems,
//! what happened last, and one line for questions and keys. What does not fit is left out from below, the agents last. Every state
//! is a word; colours only repeat it. They are the terminal's own, so that they suit a light and a dark one.

use ratatui::{
    style::{Color, Modifier, Style},
    text::{Line, Span},
};

use super::{
    keys::HELP,
    last_hour,
    model::{Link, Mode, Model, Order, Page, Question, What},
    table,
};
use crate::{
    cli::{events::lines::of_history, status::page},
    control::{acting::At, report::ProblemReport, summary},
    local_time::LocalTime,
    ports::problems::Severity,
    width,
};

/// How many banners, problems and events are shown at most in a terminal of this height.
fn shares(height: usize) -> (usize, usize, usize) {
    match height {
        0..20 => (1, 1, 2),
        20..32 => (2, 2, 4),
        _ => (4, 5, 10),
    }
}

/// What is shown.
pub struct Picture {
    /// As many lines as the terminal has, or fewer.
    pub lines: Vec<Line<'static>>,
    /// The first line of the page, where one is shown.
    pub page_from: usize,
}

/// The picture for a terminal of this size. Without colours it is `plain`.
pub fn picture(model: &Model, (width, height): (usize, usize), local: &LocalTime, plain: bool) -> Picture {
    let mut picture = match &model.mode {
        Mode::Page(page, from) => self::page(model, page, *from, (width, height), local),
        _ => Picture { lines: town(model, (width, height), local), page_from: 0 },
    };
    picture.lines.truncate(height.saturating_sub(1));
    picture.lines.resize(height.saturating_sub(1), Line::default());
    picture.lines.push(bottom(model, width, local));
    if plain {
        let spans = picture.lines.iter_mut().flat_map(|line| &mut line.spans);
        spans.for_each(|span| (span.style.fg, span.style.bg) = (None, None));
    }
    picture
}

fn text(text: &str, width: usize, style: Style) -> Line<'static> {
    Line::from(Span::styled(width::cut(text, width), style))
}

fn bold() -> Style {
    Style::new().add_modifier(Modifier::BOLD)
}

fn town(model: &Model, (width, height): (usize, usize), local: &LocalTime) -> Vec<Line<'static>> {
    let (most_banners, most_problems, most_events) = shares(height);
    let mut lines = head(model, width, local);
    let Some(report) = &model.report else { return lines };
    let banners = summary::banners(report, local);
    let shown = banners.iter().take(most_banners);
    lines.extend(shown.map(|banner| text(banner, width, bold().fg(Color::Red))));
    lines.push(text(&last_hour::line(&model.happened, local.now(), width), width, Style::new()));
    let below = [
        problems(report.problem_list.as_slice(), most_problems, width, local),
        events(model, most_events, width, local),
    ];
    let below = below.concat();
    let room = height.saturating_sub(lines.len() + below.len() + 1);
    lines.extend(table::lines(model, (width, room), local));
    lines.extend(below);
    lines
}

/// Who supervises the town, and how its agents are.
fn head(model: &Model, width: usize, local: &LocalTime) -> Vec<Line<'static>> {
    let Some(report) = &model.report else {
        let why = match &model.link {
            Link::Gone { why, .. } => why.as_str(),
            _ => "connecting to the supervisor",
        };
        return vec![text(why, width, bold())];
    };
    let town = page::town(report);
    let mut lines = match &model.link {
        Link::Gone { since, why } => vec![
            text(
                &format!("NO SUPERVISOR ANSWERS since {}, what is shown is old: {town}", local.time(*since)),
                width,
                bold().fg(Color::Red),
            ),
            text(&local.text(why), width, bold()),
        ],
        _ => vec![text(&format!("{town}: {}", page::running(report, local)), width, bold())],
    };
    lines.push(text(&summary::headline(&report.agents, local), width, Style::new()));
    lines
}

fn problems(problems: &[ProblemReport], most: usize, width: usize, local: &LocalTime) -> Vec<Line<'static>> {
    let shown = if problems.len() > most { most.saturating_sub(1).max(1) } else { most };
    let line = |problem: &ProblemReport| text(&problem_line(problem, local), width, severity(problem));
    let mut lines: Vec<_> = problems.iter().take(shown).map(line).collect();
    let more = problems.len() - lines.len();
    if more > 0 && most > 1 {
        lines.push(text(&format!("{more} more problems: p shows all"), width, Style::new()));
    }
    lines
}

fn problem_line(problem: &ProblemReport, local: &LocalTime) -> String {
    let since = problem.since.map(|since| format!(" ({})", local.age(since))).unwrap_or_default();
    format!("{}{since}: {}", problem.severity_word(), local.text(&problem.text))
}

fn severity(problem: &ProblemReport) -> Style {
    match problem.severity {
        Severity::Critical => Style::new().fg(Color::Red),
        Severity::Warning => Style::new().fg(Color::Yellow),
        Severity::Info => Style::new(),
    }
}

/// The last events, the newest at the end, under a rule.
fn events(model: &Model, most: usize, width: usize, local: &LocalTime) -> Vec<Line<'static>> {
    let from = model.happened.len().saturating_sub(most);
    let lines = model.happened[from..].iter();
    let lines: Vec<_> =
        lines.map(|happened| text(&of_history(happened).text(local), width, Style::new())).collect();
    if lines.is_empty() {
        return lines;
    }
    let rule = format!("── events {}", "─".repeat(width.saturating_sub(10)));
    std::iter::once(text(&rule, width, Style::new())).chain(lines).collect()
}

/// A page over the town: its title and its lines from one on, each broken where it is too long.
fn page(
    model: &Model,
    page: &Page,
    from: usize,
    (width, height): (usize, usize),
    local: &LocalTime,
) -> Picture {
    let (title, lines) = match page {
        Page::Help => ("keys".to_owned(), help()),
        Page::Problems => {
            let problems = model.report.iter().flat_map(|report| &report.problem_list);
            ("problems".to_owned(), problems.map(|problem| problem_line(problem, local)).collect())
        }
        Page::Events => {
            let lines = model.happened.iter().map(|happened| of_history(happened).text(local)).collect();
            ("the last hour".to_owned(), lines)
        }
        Page::Explain(identity, lines) => {
            (identity.clone(), lines.clone().unwrap_or_else(|| vec!["asking the supervisor".to_owned()]))
        }
    };
    let lines = if lines.is_empty() { vec!["none".to_owned()] } else { lines };
    let broken = lines.iter().flat_map(|line| {
        let indent = line.len() - line.trim_start().len();
        let line = width::wrapped(line, 0, indent + 2, width);
        line.lines().map(|line| text(line, width, Style::new())).collect::<Vec<_>>()
    });
    let all: Vec<_> = broken.collect();
    let room = height.saturating_sub(2).max(1);
    let from = from.min(all.len().saturating_sub(room));
    let title = format!("── {title} ({}–{} of {}) ", from + 1, (from + room).min(all.len()), all.len());
    let rule = "─".repeat(width.saturating_sub(width::of(&title)));
    let shown = all.into_iter().skip(from).take(room);
    let lines = std::iter::once(text(&(title + &rule), width, bold())).chain(shown).collect();
    Picture { lines, page_from: from }
}

fn help() -> Vec<String> {
    HELP.iter().map(|(keys, what)| format!("{keys:<26}{what}")).collect()
}

/// The line at the bottom: a question, what is typed, what is being done, a message, or the keys.
fn bottom(model: &Model, width: usize, local: &LocalTime) -> Line<'static> {
    let reversed = bold().add_modifier(Modifier::REVERSED);
    match &model.mode {
        Mode::Filter => return text(&format!("filter: {}_", model.filter), width, bold()),
        Mode::Sure(question) => return text(&asked(question, width), width, reversed),
        _ => {}
    }
    if let Some(message) = &model.message {
        return text(&local.text(message), width, bold());
    }
    if let (Mode::Town, Some(pending)) = (&model.mode, model.orders.last()) {
        let others = match model.orders.len() {
            0 | 1 => String::new(),
            orders => format!(" (1 of {orders} orders)"),
        };
        let at = match &pending.at {
            Some(At::Busy(why)) => format!("waits until it is idle: {why}"),
            Some(At::Progress(why)) => why.clone(),
            None => "sent".to_owned(),
        };
        let what = word(&pending.order);
        return text(&local.text(&format!("{what} {}: {at}{others}", pending.order.identity)), width, bold());
    }
    let keys = match model.mode {
        Mode::Page(..) => "up down PgUp PgDn scroll  q back",
        _ if width < 80 => "? keys  e why  r restart  h hold  a attach  / filter  q quit",
        _ => "? keys  e why  a attach  r restart  h hold  c clear  / filter  s sort  q quit",
    };
    text(keys, width, Style::new())
}

fn word(order: &Order) -> &'static str {
    match (order.what, order.now) {
        (What::Restart, false) => "restart",
        (What::Restart, true) => "restart now",
        (What::Hold, false) => "hold",
        (What::Hold, true) => "hold now",
        (What::Clear, _) => "clear",
    }
}

/// The question. The answer to give stays in sight, however long the name is.
fn asked(question: &Question, width: usize) -> String {
    let (before, name, after) = match question {
        Question::Quit => ("Orders wait until their agents are idle; quitting takes them back. Quit", "", ""),
        Question::Order(Order { identity, what, now }) => match (what, now) {
            (What::Restart, false) => ("Restart ", identity.as_str(), " once it is idle"),
            (What::Restart, true) => ("Restart ", identity.as_str(), " NOW, losing what it does"),
            (What::Hold, false) => ("Stop ", identity.as_str(), " once idle, and hold it"),
            (What::Hold, true) => ("Stop ", identity.as_str(), " NOW, losing what it does"),
            (What::Clear, _) => ("Clear what delays ", identity.as_str(), ", and start it"),
        },
    };
    let room = width.saturating_sub(width::of(before) + width::of(after) + width::of("? y/n"));
    let name = if name.is_empty() { String::new() } else { width::cut(name, room) };
    let question = width::cut(&format!("{before}{name}{after}"), width.saturating_sub(5));
    format!("{question}? y/n")
}

#[cfg(test)]
#[path = "view_tests.rs"]
mod tests;
