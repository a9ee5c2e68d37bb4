//! Questions: whether an agent's screen waits for a choice or a key, and how to answer the known questions. Pure.
//!
//! A key pressed at a question chooses something: Enter the option under the cursor, Escape often the end of the
//! program. So a menu is never taken for a prompt, and an answer moves the cursor one step at a time and reads its
//! position after each. The texts are those of Claude Code 1.0 to 2.1, Codex 0.23 to 0.155 and Gemini CLI 0.1 to 0.33.
//! What an agent *says* about menus is no question: a menu is the last thing on its screen, with neither a prompt nor a
//! message of the agent below it.

use std::{collections::BTreeSet, sync::LazyLock};

use regex::Regex;

use crate::{quotation::quoted, secrets, sessions::Key, town::dialogs::Dialog};

mod known;
pub mod stepper;

/// The line that names the key to continue is within this many of the last lines that are not blank.
const FOOTER: usize = 5;

/// At most this many lines lie between two options of a menu: descriptions, wrapped lines.
const BETWEEN: usize = 4;

/// The question is within this many lines above the options.
const ABOVE: usize = 20;

/// The longest title, in characters.
const TITLE: usize = 120;

/// A question on a screen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// The question, for people: one line of the screen, [quoted].
    pub title: String,
    /// Which known question it is; `None` for others.
    pub known: Option<Dialog>,
    /// Its options; `None` when they could not be parsed.
    pub menu: Option<Menu>,
}

/// The options of a question, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Menu {
    /// The texts of the options, without numbers.
    pub options: Vec<String>,
    /// The index of the option under the cursor.
    pub cursor: usize,
}

/// The question on a screen, if there is one.
pub fn shown(screen: &[String]) -> Option<Question> {
    let lines: Vec<Line> = screen.iter().map(|line| Line::of(line)).collect();
    let pointer = lines.iter().rposition(|line| line.pointer.is_some());
    let menu = pointer.and_then(|at| menu(&lines, at));
    let footer = footer(&lines, pointer);
    let last = pointer.filter(|_| menu.is_some()).max(footer)?;
    if lines[last + 1..].iter().any(|line| line.is_said) {
        return None;
    }
    let first = menu.as_ref().map(|(_, first)| *first).or(pointer).or(footer)?;
    let menu = menu.map(|(menu, _)| menu);
    let begin = begin(&lines, first);
    let above: Vec<&str> = lines[begin..first].iter().map(|line| line.text.as_str()).collect();
    let known = menu.as_ref().and_then(|menu| known::kind(&above, menu));
    // A secret may begin in another line than that of the title.
    let masked: Vec<String> = secrets::mask(screen).iter().map(|line| Line::of(line).text).collect();
    let above: Vec<&str> = masked[begin..first].iter().map(String::as_str).collect();
    let title =
        title(&above).or_else(|| masked[first..].iter().map(String::as_str).find(|it| !it.is_empty()));
    let title = quoted(title.unwrap_or_default()).chars().take(TITLE).collect();
    Some(Question { title, known, menu })
}

/// Where the text above the options at `first` begins, without what belongs to an earlier question or message: a program clears
/// its screen before it asks the next one, and what was there may be right above.
fn begin(lines: &[Line], first: usize) -> usize {
    let from = first.saturating_sub(ABOVE);
    let is_earlier = |line: &Line| line.pointer.is_some() || KEYS.is_match(&line.text);
    let begin = lines[from..first].iter().rposition(is_earlier).map_or(from, |at| from + at + 1);
    // A key may be named above the options, too.
    if lines[begin..first].iter().any(|line| !line.text.is_empty()) { begin } else { from }
}

/// The index of the option to choose, where questions of these kinds are answered; `None` when this one is not.
pub fn answer(question: &Question, answered: &BTreeSet<Dialog>) -> Option<usize> {
    let kind = question.known.filter(|kind| answered.contains(kind))?;
    known::choice(kind, question.menu.as_ref()?)
}

/// The key that moves the cursor towards an option, or chooses it when the cursor is there.
pub fn next_key(menu: &Menu, target: usize) -> Key {
    match target.cmp(&menu.cursor) {
        std::cmp::Ordering::Less => Key::Up,
        std::cmp::Ordering::Equal => Key::Enter,
        std::cmp::Ordering::Greater => Key::Down,
    }
}

/// One line of a screen, without its frame.
struct Line {
    /// Its text, with single spaces between words, including a cursor.
    text: String,
    /// The text after a cursor at its start.
    pointer: Option<String>,
    /// The number and text of the option in this line.
    option: Option<(u32, String)>,
    /// The column in which its text begins, after a cursor.
    column: usize,
    /// Whether it is a horizontal rule.
    is_rule: bool,
    /// Whether it begins a message of the agent, or shows that it works or takes input: what is above it is over.
    is_said: bool,
}

impl Line {
    fn of(raw: &str) -> Line {
        let frame = |c: char| c.is_whitespace() || ('\u{2500}'..='\u{259f}').contains(&c);
        let framed = raw.trim().starts_with(['│', '┃', '║', '|']);
        let bare = raw.trim_matches(frame);
        // Only in a frame: outside of one, agents begin their messages with these characters.
        let points = |c: char| matches!(c, '❯' | '›' | '>') || framed && matches!(c, '●' | '▶');
        let rest = bare.strip_prefix(points).filter(|rest| rest.is_empty() || rest.starts_with(frame));
        let text = rest.unwrap_or(bare).trim_start_matches(frame);
        let column = raw.find(text).map_or(0, |at| raw[..at].chars().count());
        let text = words(text);
        let option = OPTION.captures(&text).and_then(|found| {
            let number = found.get(1)?.as_str().parse().ok()?;
            Some((number, found.get(2).or_else(|| found.get(3))?.as_str().to_owned()))
        });
        let pointer = rest.map(|_| text.clone());
        let text = if rest.is_some() { text } else { words(bare) };
        let says = |words| text.to_lowercase().contains(words);
        let is_said =
            !framed && (SAID.is_match(&text) || says("esc to interrupt") || says("? for shortcuts"));
        let is_rule = bare.is_empty() && raw.contains(['─', '━', '═', '╌']);
        Line { text, pointer, option, column, is_rule, is_said }
    }
}

fn words(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Claude's fullscreen renderer leaves out the space (2.1.89 and later).
static OPTION: LazyLock<Regex> = LazyLock::new(|| constant(r"^(\d{1,2})[.)](?: (\S.*)|([^\s\d].*))$"));

/// The marks before what an agent says, or before what a tool of it did.
static SAID: LazyLock<Regex> = LazyLock::new(|| constant(r"^[●⏺•✦⎿] "));

/// The keys to continue with, as the last lines of a question name them. Working agents say "esc to interrupt",
/// Gemini's "(esc to cancel, 5s)".
static KEYS: LazyLock<Regex> = LazyLock::new(|| {
    constant(
        r"(?i)\b(?:press|hit|use) (?:enter|return|any key)\b|\benter to (?:confirm|select|continue|submit)\b|\besc(?:ape)? to (?:cancel|exit|go back|close|reject)(?:[^,\w]|$)|[\[(]y(?:es)?/no?[\])] ?:?$",
    )
});

/// Compiles a constant pattern; the tests compile them all.
#[allow(clippy::expect_used, reason = "constants that the tests compile")]
fn constant(pattern: &str) -> Regex {
    Regex::new(pattern).expect("a pattern that the tests compile")
}

/// The line that names the key to continue: one of the last, below any prompt or cursor.
fn footer(lines: &[Line], pointer: Option<usize>) -> Option<usize> {
    let last = (0..lines.len()).rev().filter(|at| !lines[*at].text.is_empty()).take(FOOTER);
    last.take_while(|at| pointer.is_none_or(|pointer| *at > pointer))
        .find(|at| KEYS.is_match(&lines[*at].text))
}

/// The menu whose cursor is in this line, and its first line: numbered options around it, or a yes and a no.
fn menu(lines: &[Line], at: usize) -> Option<(Menu, usize)> {
    let options = match &lines[at].option {
        Some((number, _)) => numbered(lines, at, *number),
        None => aligned(lines, at),
    };
    let cursor = options.iter().position(|option| *option == at)?;
    let text = |at: &usize| match &lines[*at].option {
        Some((_, text)) => text.clone(),
        None => lines[*at].text.clone(),
    };
    let menu = Menu { options: options.iter().map(text).collect(), cursor };
    let yes_or_no = |option: &String| {
        let first = option.split([',', ' ', '.', '(']).next().unwrap_or_default().to_lowercase();
        matches!(first.as_str(), "yes" | "no")
    };
    let is_menu = menu.options.len() > 1
        && (lines[at].option.is_some()
            || menu.options.iter().all(yes_or_no)
            || footer(lines, Some(at)).is_some());
    is_menu.then(|| (menu, options.first().copied().unwrap_or(at)))
}

fn numbered(lines: &[Line], at: usize, number: u32) -> Vec<usize> {
    let mut options = vec![at];
    // A menu has one cursor, and its options begin in the same column, but for the width of a number.
    let belongs = |line: &Line| line.pointer.is_none() && line.column.abs_diff(lines[at].column) <= 1;
    let mut walk = |step: fn(usize) -> Option<usize>, next: fn(u32) -> u32| {
        let (mut wanted, mut since, mut at) = (next(number), 0, step(at));
        let mut found = Vec::new();
        while let Some(here) = at.filter(|here| *here < lines.len() && since < BETWEEN && wanted > 0) {
            match &lines[here].option {
                Some((number, _)) if *number == wanted && belongs(&lines[here]) => {
                    found.push(here);
                    (wanted, since) = (next(wanted), 0);
                }
                Some(_) => break,
                None if lines[here].is_rule => break,
                None => since += 1,
            }
            at = step(here);
        }
        options.extend(found);
    };
    walk(|at| at.checked_sub(1), |number| number.saturating_sub(1));
    walk(|at| Some(at + 1), |number| number + 1);
    options.sort_unstable();
    options
}

/// The lines directly around this one that begin in the same column.
fn aligned(lines: &[Line], at: usize) -> Vec<usize> {
    let fits = |here: &usize| !lines[*here].text.is_empty() && lines[*here].column == lines[at].column;
    let mut options: Vec<usize> = (0..at).rev().take_while(fits).collect();
    options.reverse();
    options.push(at);
    options.extend((at + 1..lines.len()).take_while(fits));
    options
}

/// The question: the last line above the options that ends in a question mark, else the first line of the block.
fn title<'a>(above: &[&'a str]) -> Option<&'a str> {
    let asks = above.iter().rev().find(|line| line.ends_with('?'));
    let warns = above.iter().find(|line| {
        line.starts_with("WARNING") || line.contains("pdate available") || line.contains("found in .mcp.json")
    });
    let first =
        || above.iter().rev().skip_while(|line| line.is_empty()).take_while(|line| !line.is_empty()).last();
    warns.or(asks).or_else(first).copied()
}

#[cfg(test)]
#[path = "questions/tests.rs"]
mod tests;

#[cfg(test)]
#[path = "questions/talk_tests.rs"]
mod talk_tests;
