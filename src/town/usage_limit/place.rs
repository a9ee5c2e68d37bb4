//! The place of a line on an agent's screen: whether it begins a message of the program itself, and whether that is
//! the last one. Pure.
//!
//! The messages of agents, tools and people contain every sentence sooner or later; a message of the program differs
//! by its mark and its place. The marks are those of Claude Code 1.0 to 2.1, Codex 0.23 to 0.155 and Gemini CLI 0.1
//! to 0.33; a program that draws no marks begins its messages at the left.
//!
//! What is in doubt is no message of the program. How much of a message is above the first line is never known: a screen may
//! be low, and the alternate screen has no history. A line at the left may be the rest of the one above, which tmux wrapped
//! when its pane became narrower; so a message begins below a blank line or a box.

/// How many of a screen's last lines are read.
pub const SCREEN_LINES: u16 = 40;

/// The marks before an agent's message, or before what a tool of it did.
const SAYS: [char; 5] = ['●', '⏺', '•', '✦', '✓'];
/// The marks before an error of the program itself.
const ERROR: [char; 9] = ['■', '✕', '✖', '⚡', '🖐', 'ℹ', '⚠', '✗', '×'];
/// The marks before what a person says to it.
const SAID: [char; 3] = ['❯', '›', '>'];

/// How a line begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mark {
    Says,
    /// Claude's `⎿`, before a tool's output, and before an error of its own.
    Result,
    Error,
    Said,
    /// Anything else that is no word: a list, a diff, a quotation, a comment.
    Other,
    Bare,
}

#[derive(Debug)]
struct Line {
    indent: usize,
    framed: bool,
    border: bool,
    /// Whether it is the lower border of a box.
    closes: bool,
    blank: bool,
    mark: Mark,
    /// The text without frame, with single spaces between words.
    shown: String,
    /// The same without its mark.
    words: String,
}

/// A screen by its lines.
#[derive(Debug)]
pub struct Place {
    lines: Vec<Line>,
}

/// A line that begins a message of the program.
#[derive(Debug, Clone, Copy)]
pub struct Own<'a> {
    /// Its text.
    pub words: &'a str,
    /// Whether it looks like an agent's message: then only a sentence that agents never write counts.
    pub whole_line_only: bool,
}

impl Place {
    /// Parses this screen, oldest line first.
    pub fn of(screen: &[String]) -> Self {
        Place { lines: screen.iter().map(|line| Line::of(line)).collect() }
    }

    /// The indices of the last `count` lines that are not blank, oldest first.
    pub fn last_written(&self, count: usize) -> impl Iterator<Item = usize> + '_ {
        let mut last: Vec<usize> =
            (0..self.lines.len()).rev().filter(|at| !self.lines[*at].shown.is_empty()).take(count).collect();
        last.reverse();
        last.into_iter()
    }

    /// The text of the line below, if it has any and may continue a message: it begins with a word, or is JSON.
    pub fn below(&self, at: usize) -> Option<&str> {
        let goes_on = |line: &&Line| line.mark == Mark::Bare || line.words.starts_with('{');
        let line = self.lines.get(at + 1).filter(|line| goes_on(line) && !line.words.is_empty())?;
        Some(&line.words)
    }

    /// The line of the prompt: the last that begins with a person's mark, when no message begins below it and at most `below`
    /// lines of a footer follow.
    pub fn prompt(&self, below: usize) -> Option<usize> {
        let at = self.lines.iter().rposition(|line| line.mark == Mark::Said)?;
        let mut written = self.lines[at + 1..].iter().filter(|line| !line.shown.is_empty());
        let is_message =
            |line: &Line| !line.framed && matches!(line.mark, Mark::Says | Mark::Result | Mark::Error);
        let is_footer = written.by_ref().take(below).all(|line| !is_message(line));
        (is_footer && written.next().is_none()).then_some(at)
    }

    /// The line and those below it up to a blank one, at most this many, as one text.
    pub fn paragraph(&self, at: usize, count: usize) -> String {
        let lines = self.lines[at..].iter().take(count).map(|line| line.shown.as_str());
        lines.take_while(|shown| !shown.is_empty()).collect::<Vec<_>>().join(" ")
    }

    /// The text of a line when it begins a message of the program, and no other message follows.
    pub fn own(&self, at: usize) -> Option<Own<'_>> {
        let line = &self.lines[at];
        let is_own = match line.mark {
            Mark::Bare | Mark::Error if line.framed => self.begins_box(at) && !self.goes_on(at),
            Mark::Bare | Mark::Error => !self.goes_on(at),
            Mark::Result => self.stands_alone(at),
            Mark::Says => !line.framed && line.indent < 2 && self.begins(at) && self.is_all(at),
            Mark::Said | Mark::Other => false,
        };
        let own = Own { words: &line.words, whole_line_only: line.mark == Mark::Says };
        (is_own && !self.is_followed(at)).then_some(own)
    }

    /// Whether a line continues the message of an agent, a tool or a person above, or may do so.
    fn goes_on(&self, at: usize) -> bool {
        if self.lines[at].indent < 2 {
            return !self.lines[at].framed && !self.begins(at);
        }
        for above in (0..at).rev().filter(|above| !self.lines[*above].blank) {
            let line = &self.lines[above];
            match line.mark {
                Mark::Says | Mark::Result => return true,
                Mark::Said if !line.words.is_empty() => return true,
                _ if line.indent < 2 && self.begins(above) => return false,
                _ => {}
            }
        }
        true
    }

    /// Whether a line cannot be the rest of the one above.
    fn begins(&self, at: usize) -> bool {
        at.checked_sub(1).is_some_and(|above| self.lines[above].blank || self.lines[above].closes)
    }

    /// Whether a line is the first in its box.
    fn begins_box(&self, at: usize) -> bool {
        let above = self.lines[..at].iter().rev().find(|line| !line.framed || !line.shown.is_empty());
        above.is_some_and(|above| above.border || above.blank)
    }

    /// Whether only a person's message is right above a line, so that the line is no tool's.
    fn stands_alone(&self, at: usize) -> bool {
        let Some(above) = at.checked_sub(1) else { return false };
        self.lines[above].blank || self.lines[above].mark == Mark::Said && self.begins(above)
    }

    /// Whether a line is a whole message.
    fn is_all(&self, at: usize) -> bool {
        self.lines.get(at + 1).is_none_or(|below| below.shown.is_empty())
    }

    /// Whether another message begins below a line and above the prompt.
    fn is_followed(&self, at: usize) -> bool {
        let prompt =
            self.lines.iter().rposition(|line| line.mark == Mark::Said).filter(|prompt| *prompt > at);
        let below = &self.lines[at + 1..prompt.unwrap_or(self.lines.len())];
        below.iter().any(|line| matches!(line.mark, Mark::Says | Mark::Result))
    }
}

/// A text without the mark of a program, an agent or a person before it.
pub(super) fn without_mark(text: &str) -> &str {
    let is_mark = |c: char| c == '⎿' || SAYS.contains(&c) || ERROR.contains(&c) || SAID.contains(&c);
    text.strip_prefix(is_mark).map_or(text, |rest| rest.trim_start_matches(['\u{fe0f}', ' ']))
}

impl Line {
    fn of(raw: &str) -> Line {
        let frame = |c: char| c.is_whitespace() || ('\u{2500}'..='\u{259f}').contains(&c);
        let trimmed = raw.trim_start();
        let indent = raw.chars().count() - trimmed.chars().count();
        let shown = crate::town::usage_limit::plain(raw);
        let framed = trimmed.starts_with(['│', '┃', '║']);
        let border = shown.is_empty() && !trimmed.is_empty() && !framed;
        let first = shown.chars().next();
        // A line on a branch, or beside a bar, is part of another message.
        let branch = !border && !framed && trimmed.starts_with(frame);
        let mark = match first {
            _ if branch => Mark::Other,
            Some(first) if SAYS.contains(&first) => Mark::Says,
            Some('⎿') => Mark::Result,
            Some(first) if ERROR.contains(&first) => Mark::Error,
            Some(first) if SAID.contains(&first) => Mark::Said,
            Some(first) if first.is_alphanumeric() || first == '[' => Mark::Bare,
            Some(_) => Mark::Other,
            None => Mark::Bare,
        };
        let words = match mark {
            Mark::Bare | Mark::Other => shown.clone(),
            _ => without_mark(&shown).to_owned(),
        };
        let closes = border && trimmed.trim_end().ends_with(['╯', '┘', '┛', '╝']);
        Line { indent, framed, border, closes, blank: trimmed.is_empty(), mark, shown, words }
    }
}
