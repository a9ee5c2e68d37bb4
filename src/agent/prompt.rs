//! Prompt: whether the prompt on an agent's screen holds a text that somebody has not sent yet. Pure.
//!
//! What is pasted into such a prompt is sent together with that text. Claude Code (2.1) and Codex (0.146) draw what they suggest there
//! dim, Claude with its cursor reversed on the first character: `ESC[39m❯ ESC[2mfix the tests ESC[0m`, `ESC[1m›ESC[0m
//! ESC[2mImprove documentation in @filenameESC[0m`. On a screen without attributes that is a text like any other, so
//! [`Prompt::Holds`] of such a screen has to be judged again with them. The marks of prompts are those of Claude Code 1.0 to 2.1,
//! Codex 0.23 to 0.155 and Gemini CLI 0.1 to 0.33. It must not read a screen itself.

/// What the prompt on a screen holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Prompt {
    /// Nothing, or only what the program suggests.
    Empty,
    /// A text.
    Holds,
    /// No prompt was found, or nobody can say whose text it holds.
    Unknown,
}

/// A footer below a prompt has at most this many lines.
const FOOTER: usize = 4;

/// The longest text in a box that is read, in lines.
const LINES: usize = 30;

/// How the texts begin that the programs show in an empty prompt.
const SUGGESTED: [&str; 3] = ["Try \"", "Type your message", "Ask Codex to do anything"];

/// A character and how it is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Cell {
    character: char,
    style: Style,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Style {
    dim: bool,
    reversed: bool,
    coloured: bool,
}

/// What the prompt on this screen holds; its lines may have escape sequences for the attributes of characters.
pub fn of(screen: &[String]) -> Prompt {
    let mut style = Style::default();
    let lines: Vec<Vec<Cell>> = screen.iter().map(|line| cells(line, &mut style)).collect();
    let Some(text) = text(&lines) else { return Prompt::Unknown };
    let written: Vec<Cell> = text.into_iter().filter(|cell| !is_blank(cell.character)).collect();
    if written.is_empty() {
        return Prompt::Empty;
    }
    let words: String = written.iter().map(|cell| cell.character).collect();
    let is_suggested = SUGGESTED.iter().any(|known| words.starts_with(&known.replace(' ', "")));
    let under_cursor = written.iter().take(1).filter(|first| first.style.reversed).count();
    let rest = &written[under_cursor..];
    if is_suggested || !rest.is_empty() && rest.iter().all(|it| it.style.dim) {
        return Prompt::Empty;
    }
    // Gemini draws what it suggests in a colour, and so may others.
    match rest.iter().any(|it| it.style.dim || it.style.coloured) {
        true => Prompt::Unknown,
        false => Prompt::Holds,
    }
}

/// The text in the last prompt of a screen, which may go on in the lines below.
fn text(lines: &[Vec<Cell>]) -> Option<Vec<Cell>> {
    let (at, first) =
        lines.iter().enumerate().rev().find_map(|(at, line)| Some((at, after_mark(bare(line))?)))?;
    let below = &lines[at + 1..];
    let border = below.iter().take(LINES).position(|line| is_border(line));
    let (inside, footer) = match border {
        Some(border) => (&below[..border], &below[border + 1..]),
        None => (&below[..0], below),
    };
    // What is not in a box may be a footer.
    let is_written = |line: &&Vec<Cell>| !bare(line).is_empty();
    let is_prompt = !below.iter().any(|line| is_message(line))
        && footer.iter().filter(|line| !is_border(line)).filter(is_written).count() <= FOOTER;
    let text = first.iter().chain(inside.iter().flat_map(|line| bare(line))).copied().collect();
    is_prompt.then_some(text)
}

/// What follows the mark of a prompt at the start of this line.
fn after_mark(line: &[Cell]) -> Option<&[Cell]> {
    let [mark, rest @ ..] = line else { return None };
    let is_mark = matches!(mark.character, '❯' | '›' | '>');
    (is_mark && rest.first().is_none_or(|next| is_blank(next.character))).then_some(rest)
}

/// Whether a line begins a message, or says that the program works: then what is above is no prompt.
fn is_message(line: &[Cell]) -> bool {
    let first = bare(line).first().map(|cell| cell.character);
    first.is_some_and(|first| "●⏺•✦⎿■✕✖✗·✢✳✶✻✽✺∗".contains(first))
}

/// A line without its frame.
fn bare(line: &[Cell]) -> &[Cell] {
    let is_frame = |cell: &Cell| is_blank(cell.character) || is_drawn(cell.character);
    let begin = line.iter().position(|cell| !is_frame(cell)).unwrap_or(line.len());
    let end = line.iter().rposition(|cell| !is_frame(cell)).map_or(begin, |last| last + 1);
    &line[begin..end]
}

fn is_border(line: &[Cell]) -> bool {
    bare(line).is_empty() && line.iter().any(|cell| is_drawn(cell.character) && !is_side(cell.character))
}

fn is_drawn(character: char) -> bool {
    ('\u{2500}'..='\u{259f}').contains(&character)
}

fn is_side(character: char) -> bool {
    matches!(character, '│' | '┃' | '║')
}

fn is_blank(character: char) -> bool {
    character.is_whitespace() || character == '\u{a0}'
}

/// The characters of a line, drawn from this style on, which goes on in the next line.
fn cells(line: &str, style: &mut Style) -> Vec<Cell> {
    let mut cells = Vec::new();
    let mut rest = line.chars().peekable();
    while let Some(character) = rest.next() {
        match (character, rest.peek()) {
            ('\u{1b}', Some('[')) => {
                let _ = rest.next();
                let mut parameters = String::new();
                let last = loop {
                    match rest.next() {
                        Some(it @ ('\u{40}'..='\u{7e}')) => break Some(it),
                        Some(it) => parameters.push(it),
                        None => break None,
                    }
                };
                if last == Some('m') {
                    style.change(&parameters);
                }
            }
            // A link, up to its terminator.
            ('\u{1b}', Some(']')) => {
                let mut before = ' ';
                for it in rest.by_ref() {
                    if it == '\u{7}' || before == '\u{1b}' && it == '\\' {
                        break;
                    }
                    before = it;
                }
            }
            (character, _) if character.is_control() => {}
            (character, _) => cells.push(Cell { character, style: *style }),
        }
    }
    cells
}

impl Style {
    /// Applies the parameters of one sequence for attributes (SGR).
    fn change(&mut self, parameters: &str) {
        let mut all = parameters.split(';');
        while let Some(parameter) = all.next() {
            // The parts of a colour may be separated by colons.
            let code = parameter.split(':').next().unwrap_or_default();
            match code.parse().unwrap_or(0_u32) {
                0 => *self = Style::default(),
                2 => self.dim = true,
                22 => self.dim = false,
                7 => self.reversed = true,
                27 => self.reversed = false,
                code @ (38 | 48 | 58) => {
                    self.coloured |= code == 38;
                    if parameter == code.to_string() {
                        let numbers = if all.next() == Some("2") { 3 } else { 1 };
                        let _ = all.by_ref().take(numbers).count();
                    }
                }
                30..=37 | 90..=97 => self.coloured = true,
                39 => self.coloured = false,
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(text: &str) -> Prompt {
        of(&text.split('\n').map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn what_prompts_hold() {
        let composer = |prompt: &str| {
            format!(
                "● Done.\n\n────────────\n{prompt}\n────────────\n  ⏵⏵ bypass permissions on (shift+tab to cycle)\n"
            )
        };
        let (empty, holds, unknown) = (Prompt::Empty, Prompt::Holds, Prompt::Unknown);
        for (name, text, expected) in [
            ("claude", composer("❯ "), empty),
            ("claude, no-break space", composer("❯\u{a0}"), empty),
            ("claude 1.0", "╭──────╮\n│ >    │\n╰──────╯\n  ? for shortcuts".to_owned(), empty),
            ("claude 1.0, a draft", "╭──────╮\n│ > fix it  │\n╰──────╯\n  ? for shortcuts".to_owned(), holds),
            ("claude, a draft", composer("❯ half a draft by a person"), holds),
            ("claude, a draft of one character under the cursor", composer("❯ \u{1b}[7mx\u{1b}[0m"), holds),
            ("claude, the cursor alone", composer("❯ \u{1b}[7m \u{1b}[0m"), empty),
            ("claude, several lines", composer("❯ one\n  two\n\n  three"), holds),
            ("claude, the first line is empty", composer("❯ \n  two"), holds),
            ("claude, a suggestion", composer("\u{1b}[39m❯ \u{1b}[2mmilestones with goals\u{1b}[0m"), empty),
            (
                "claude, a suggestion with the cursor on it",
                composer("❯ \u{1b}[7mf\u{1b}[0;2mix the tests\u{1b}[0m"),
                empty,
            ),
            ("claude, a suggestion to end a draft", composer("❯ fix \u{1b}[2mthe tests\u{1b}[0m"), unknown),
            ("claude, an example", composer("❯ Try \"fix lint errors\""), empty),
            ("claude, dim from the line above", composer("\u{1b}[2m\n❯ go\u{1b}[22m on"), unknown),
            (
                "codex, a suggestion",
                "\u{1b}[1m›\u{1b}[0m \u{1b}[2mImprove documentation in @filename\u{1b}[0m\n\n  100% context left"
                    .to_owned(),
                empty,
            ),
            ("codex, a draft", "\u{1b}[1m›\u{1b}[0m hello there\n\n  100% context left".to_owned(), holds),
            (
                "gemini",
                "╭─────╮\n│ >   Type your message or @path/to/file │\n╰─────╯\n ~/t  no sandbox  gemini-2.5-pro".to_owned(),
                empty,
            ),
            ("a coloured text", "> \u{1b}[38;5;244mAsk anything\u{1b}[39m".to_owned(), unknown),
            ("a coloured text, with colons", "> \u{1b}[38:2::1:2:3mAsk anything".to_owned(), unknown),
            ("a coloured background only", "> \u{1b}[48;2;31;32;33mfix it\u{1b}[0m".to_owned(), holds),
            ("a bare prompt", "> ".to_owned(), empty),
            ("a bare prompt with a draft", "❯ half a draft".to_owned(), holds),
            ("a footer right below", "● Done.\n\n> \n  Approaching usage limit · resets at 7pm".to_owned(), empty),
            ("what was sent, while it works", "❯ go on\n\n✻ Cogitating… (12s · esc to interrupt)".to_owned(), unknown),
            ("what was sent, and an answer", "❯ go on\n  ⎿  You've hit your limit".to_owned(), unknown),
            ("what was sent, and much output", format!("> go on\n{}", "x\n".repeat(5)), unknown),
            ("a shell", "user@host:~$ ls".to_owned(), unknown),
            ("nothing", String::new(), unknown),
            ("a cut sequence", "> \u{1b}[2".to_owned(), empty),
            ("a link", "> \u{1b}]8;;http://x\u{1b}\\there\u{1b}]8;;\u{1b}\\".to_owned(), holds),
        ] {
            assert_eq!(judged(&text), expected, "{name}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_screen_is_survived(lines in proptest::collection::vec("([❯>│●─] )?(\u{1b}[\\[\\]])?[0-9;:m]{0,8}\\PC{0,20}", 0..20)) {
            let _ = of(&lines);
        }
    }
}
