//! Questions: whether an agent's screen waits for a choice or a key of somebody, and how the known ones are answered. Pure.
//!
//! A key pressed at a question chooses something: Enter the option under the cursor, Escape often the end of the program. So
//! a menu is never taken for a prompt, and an answer is given by where the cursor is seen to be, one step at a time. The
//! texts are those of Claude Code 1.0 to 2.1, Codex 0.23 to 0.155 and Gemini CLI 0.1 to 0.33. What an agent *says* about
//! menus is no question: a menu is the last thing on its screen, with no prompt below it.

use std::sync::LazyLock;

use regex::Regex;

use crate::{sessions::Key, town::settings::Questions};

/// So many of the last lines that are not blank may hold the line that says which key goes on.
const FOOTER: usize = 5;

/// So many lines may lie between two options of a menu: descriptions, wrapped lines.
const BETWEEN: usize = 4;

/// So far above the options what is asked is looked for.
const ABOVE: usize = 20;

/// The longest title, in characters.
const TITLE: usize = 120;

/// A question on a screen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// What is asked, for people: one line of the screen.
    pub title: String,
    /// Which of the known questions it is, if it is one.
    pub known: Option<Known>,
    /// Its options, where they could be made out.
    pub menu: Option<Menu>,
}

/// The options of a question, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Menu {
    /// Their texts, without number.
    pub options: Vec<String>,
    /// Where the cursor is.
    pub cursor: usize,
}

/// A question that may be answered where the settings allow it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Known {
    /// Claude warns of its mode without permissions: accepted.
    BypassPermissions,
    /// A newer version of the program is there: skipped.
    Update,
    /// Whether the directory it was started in is trusted: yes.
    TrustFolder,
}

/// The question that a screen shows, if it shows one.
pub fn shown(screen: &[String]) -> Option<Question> {
    let lines: Vec<Line> = screen.iter().map(|line| Line::of(line)).collect();
    let pointer = lines.iter().rposition(|line| line.pointer.is_some());
    let menu = pointer.and_then(|at| menu(&lines, at));
    let footer = footer(&lines, pointer);
    if menu.is_none() && footer.is_none() {
        return None;
    }
    let first = menu.as_ref().map(|(_, first)| *first).or(pointer).or(footer)?;
    let menu = menu.map(|(menu, _)| menu);
    let above: Vec<&str> =
        lines[first.saturating_sub(ABOVE)..first].iter().map(|line| line.text.as_str()).collect();
    let known = menu.as_ref().and_then(|menu| known(&above, menu));
    let title = title(&above)
        .or_else(|| lines[first..].iter().map(|line| line.text.as_str()).find(|it| !it.is_empty()));
    Some(Question { title: title.unwrap_or_default().chars().take(TITLE).collect(), known, menu })
}

/// Which option of a question is to be chosen; `None` when it is not to be answered.
pub fn answer(question: &Question, allowed: &Questions) -> Option<usize> {
    let menu = question.menu.as_ref()?;
    let (allowed, wanted): (bool, &[&str]) = match question.known? {
        Known::BypassPermissions => (allowed.bypass_permissions, ACCEPT),
        Known::Update => (allowed.update, SKIP),
        Known::TrustFolder => (allowed.trust_folder, TRUST),
    };
    allowed.then(|| option(menu, wanted)).flatten()
}

/// The key that brings the cursor nearer to an option, or chooses it when it is there.
pub fn next_key(menu: &Menu, target: usize) -> Key {
    match target.cmp(&menu.cursor) {
        std::cmp::Ordering::Less => Key::Up,
        std::cmp::Ordering::Equal => Key::Enter,
        std::cmp::Ordering::Greater => Key::Down,
    }
}

const ACCEPT: &[&str] = &["yes, i accept"];
const SKIP: &[&str] = &["skip"];
const TRUST: &[&str] = &["yes", "trust folder"];
/// What a trust question offers for a no; the permission dialog of a tool offers something else.
const DISTRUST: &[&str] = &["no, exit", "no, quit", "don't trust"];

fn option(menu: &Menu, wanted: &[&str]) -> Option<usize> {
    menu.options.iter().position(|option| {
        let option = option.to_lowercase();
        let goes_on = |rest: &str| rest.chars().next().is_none_or(|next| !next.is_alphanumeric());
        wanted.iter().any(|wanted| option.strip_prefix(wanted).is_some_and(goes_on))
    })
}

fn known(above: &[&str], menu: &Menu) -> Option<Known> {
    let says = |words: &[&str]| {
        above.iter().any(|line| {
            let line = line.to_lowercase();
            words.iter().all(|word| line.contains(word))
        })
    };
    let offers = |wanted| option(menu, wanted).is_some();
    if says(&["bypass permissions mode"]) && offers(ACCEPT) {
        Some(Known::BypassPermissions)
    } else if says(&["update available"]) && offers(SKIP) {
        Some(Known::Update)
    } else if ["folder", "directory", "project"].iter().any(|what| says(&["trust", what]))
        && offers(TRUST)
        && offers(DISTRUST)
    {
        Some(Known::TrustFolder)
    } else {
        None
    }
}

/// One line of a screen, without its frame.
struct Line {
    /// Its text, single spaces between words, with what points at it.
    text: String,
    /// What follows a cursor at its beginning.
    pointer: Option<String>,
    /// The number of the option it is, and its text.
    option: Option<(u32, String)>,
    /// The column in which its text begins, behind a cursor.
    column: usize,
}

impl Line {
    fn of(raw: &str) -> Line {
        let frame = |c: char| c.is_whitespace() || ('\u{2500}'..='\u{259f}').contains(&c);
        let framed = raw.trim().starts_with(['│', '┃', '║', '|']);
        let bare = raw.trim_matches(frame);
        // In a frame only: outside of one this is how agents begin what they say.
        let points = |c: char| matches!(c, '❯' | '›' | '>') || framed && matches!(c, '●' | '▶');
        let rest = bare.strip_prefix(points).filter(|rest| rest.is_empty() || rest.starts_with(frame));
        let text = rest.unwrap_or(bare).trim_start_matches(frame);
        let column = raw.find(text).map_or(0, |at| raw[..at].chars().count());
        let text = words(text);
        let option = OPTION.captures(&text).and_then(|found| {
            let number = found.get(1)?.as_str().parse().ok()?;
            Some((number, found.get(2)?.as_str().to_owned()))
        });
        let pointer = rest.map(|_| text.clone());
        Line { text: if rest.is_some() { text.clone() } else { words(bare) }, pointer, option, column }
    }
}

fn words(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

static OPTION: LazyLock<Regex> = LazyLock::new(|| constant(r"^(\d{1,2})[.)] (\S.*)$"));

/// The keys that go on, as the last lines of a question name them. Working agents say "esc to interrupt", Gemini's "(esc to
/// cancel, 5s)".
static KEYS: LazyLock<Regex> = LazyLock::new(|| {
    constant(
        r"(?i)\b(?:press|hit|use) (?:enter|return|any key)\b|\benter to (?:confirm|select|continue|submit)\b|\besc(?:ape)? to (?:cancel|exit|go back|close|reject)(?:[^,\w]|$)|[\[(]y(?:es)?/no?[\])] ?:?$",
    )
});

/// A constant pattern, which the tests compile.
#[allow(clippy::expect_used, reason = "constants that the tests compile")]
fn constant(pattern: &str) -> Regex {
    Regex::new(pattern).expect("a pattern that the tests compile")
}

/// The line that says which key goes on: one of the last, below whatever prompt or cursor there is.
fn footer(lines: &[Line], pointer: Option<usize>) -> Option<usize> {
    let last = (0..lines.len()).rev().filter(|at| !lines[*at].text.is_empty()).take(FOOTER);
    last.take_while(|at| pointer.is_none_or(|pointer| *at > pointer))
        .find(|at| KEYS.is_match(&lines[*at].text))
}

/// The menu whose cursor is in this line, and where it begins: numbered options around it, or a yes and a no.
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
    let mut walk = |step: fn(usize) -> Option<usize>, next: fn(u32) -> u32| {
        let (mut wanted, mut since, mut at) = (next(number), 0, step(at));
        let mut found = Vec::new();
        while let Some(here) = at.filter(|here| *here < lines.len() && since < BETWEEN && wanted > 0) {
            match &lines[here].option {
                Some((number, _)) if *number == wanted => {
                    found.push(here);
                    (wanted, since) = (next(wanted), 0);
                }
                Some(_) => break,
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

/// The lines right around this one that begin in the same column.
fn aligned(lines: &[Line], at: usize) -> Vec<usize> {
    let fits = |here: &usize| !lines[*here].text.is_empty() && lines[*here].column == lines[at].column;
    let mut options: Vec<usize> = (0..at).rev().take_while(fits).collect();
    options.reverse();
    options.push(at);
    options.extend((at + 1..lines.len()).take_while(fits));
    options
}

/// What is asked: the last line above the options that ends in a question mark, else the first of the block.
fn title<'a>(above: &[&'a str]) -> Option<&'a str> {
    let asks = above.iter().rev().find(|line| line.ends_with('?'));
    let warns = above.iter().find(|line| line.starts_with("WARNING") || line.contains("pdate available"));
    let first =
        || above.iter().rev().skip_while(|line| line.is_empty()).take_while(|line| !line.is_empty()).last();
    warns.or(asks).or_else(first).copied()
}

#[cfg(test)]
#[path = "questions/tests.rs"]
mod tests;
