//! Keys: what a key is bound to according to `list-keys`, and how our binding is put around that and removed again.
//! Pure.
//!
//! A binding is global to a server that may be the user's own. So ours is an `if-shell -F` that names the sessions it
//! is for, with the previous binding as its else branch: our binding itself stores the user's. A later supervisor,
//! also after a KILL, finds it there and does not mistake ours for the user's.
//!
//! Versions differ in how they print: the width of columns, and whether commands are text or in braces. So a line is
//! parsed word by word in tmux's language, and nothing is expected at a column.

use super::request::Request;
use crate::sessions::{KeyBinding, OUR_SESSIONS};

/// What a key does.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Bound {
    /// Whether it can be pressed again without the prefix (`-r`).
    repeat: bool,
    /// The command, in tmux's language; empty when the key does nothing.
    command: String,
    /// Whether `command` is an else branch: the binding is a supervisor's.
    ours: bool,
}

/// What this key does according to the output of `list-keys`; nothing when it is not listed.
pub fn bound(listed: &str, table: &str, key: &str) -> Bound {
    listed.lines().find_map(|line| binding(line, table, key)).unwrap_or_default()
}

/// Binds a key to an action in some sessions; in all others it does what it did before.
pub fn bind(binding: &KeyBinding, before: &Bound) -> Request {
    let KeyBinding { table, key, only_if, then } = binding;
    let ours = ["if-shell", "-F", only_if, then, &before.command];
    Request::of(head(table, key, before).into_iter().chain(ours))
}

/// Restores what this key did before our binding; `None` when it is not ours any more.
pub fn give_back(listed: &str, table: &str, key: &str) -> Option<Request> {
    let now = bound(listed, table, key);
    if !now.ours {
        None
    } else if now.command.is_empty() {
        Some(Request::of(["unbind-key", "-T", table, key]))
    } else {
        // One word: tmux parses it as it parses an else branch.
        Some(Request::of(head(table, key, &now).into_iter().chain([now.command.as_str()])))
    }
}

fn head<'a>(table: &'a str, key: &'a str, bound: &Bound) -> Vec<&'a str> {
    let repeat: &[&str] = if bound.repeat { &["-r"] } else { &[] };
    ["bind-key"].iter().chain(repeat).copied().chain(["-T", table, key]).collect()
}

/// The binding in a line of `list-keys`, if it is about this key.
fn binding(line: &str, table: &str, key: &str) -> Option<Bound> {
    let words = words(line)?;
    let at = words.iter().position(|word| word.text == "-T")?;
    let is = |at: usize, text: &str| words.get(at).is_some_and(|word| word.text == text);
    if !is(0, "bind-key") || !is(at + 1, table) || !is(at + 2, key) {
        return None;
    }
    let repeat = words[..at].iter().any(|word| word.text == "-r");
    let command = &words[at + 3..];
    let ours = ["if-shell", "-F"].iter().zip(command).all(|(word, is)| is.text == *word)
        && command.get(2).is_some_and(|condition| condition.text.ends_with(OUR_SESSIONS));
    let command = match command {
        [_, _, _, _, otherwise] if ours => otherwise.text.trim().to_owned(),
        _ if ours => String::new(),
        [only] if only.braces => only.text.trim().to_owned(),
        all => all.iter().map(Word::as_text).collect::<Vec<_>>().join(" "),
    };
    Some(Bound { repeat, command, ours })
}

/// A word of tmux's language.
#[derive(Debug, PartialEq, Eq)]
struct Word<'a> {
    /// As written.
    raw: &'a str,
    /// Its meaning: without quotes, or the text inside its braces.
    text: String,
    braces: bool,
}

impl Word<'_> {
    /// As written in a text of commands: when commands are words of a line, their separator is escaped.
    fn as_text(&self) -> &str {
        if self.raw == "\\;" { ";" } else { self.raw }
    }
}

/// The words of a line; `None` when a quote or brace is not closed.
fn words(line: &str) -> Option<Vec<Word<'_>>> {
    let mut words = Vec::new();
    let mut rest = line.trim_start();
    while !rest.is_empty() {
        let (length, text, braces) = if rest.starts_with('{') {
            let length = block(rest)?;
            (length, rest[1..length - 1].to_owned(), true)
        } else {
            let (length, text) = plain(rest)?;
            (length, text, false)
        };
        words.push(Word { raw: &rest[..length], text, braces });
        rest = rest[length..].trim_start();
    }
    Some(words)
}

/// The length of a block in braces.
fn block(text: &str) -> Option<usize> {
    let mut depth = 0;
    let mut quote = None;
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match (quote, c) {
            (Some('"') | None, '\\') => drop(chars.next()),
            (Some(open), c) if open == c => quote = None,
            (None, '"' | '\'') => quote = Some(c),
            (None, '{') => depth += 1,
            (None, '}') => {
                depth -= 1;
                if depth == 0 {
                    return Some(at + 1);
                }
            }
            _ => {}
        }
    }
    None
}

/// The length of a word that is no block, and its meaning.
fn plain(text: &str) -> Option<(usize, String)> {
    let mut meant = String::new();
    let mut quote = None;
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        match (quote, c) {
            (None, c) if c.is_whitespace() => return Some((at, meant)),
            (Some(open), c) if open == c => quote = None,
            (None, '"' | '\'') => quote = Some(c),
            (Some('"') | None, '\\') => {
                let (_, escaped) = chars.next()?;
                let digits = |c: char| c.to_digit(8);
                match (escaped, quote) {
                    ('n', Some(_)) => meant.push('\n'),
                    ('t', Some(_)) => meant.push('\t'),
                    ('r', Some(_)) => meant.push('\r'),
                    ('e', Some(_)) => meant.push('\u{1b}'),
                    (first, _) if first.is_digit(8) => {
                        let mut code = digits(first)?;
                        for _ in 0..2 {
                            let (_, digit) = chars.next_if(|(_, c)| c.is_digit(8))?;
                            code = code * 8 + digits(digit)?;
                        }
                        meant.push(char::from_u32(code)?);
                    }
                    (other, _) => meant.push(other),
                }
            }
            (_, c) => meant.push(c),
        }
    }
    quote.is_none().then_some((text.len(), meant))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key() -> KeyBinding {
        KeyBinding {
            table: "prefix",
            key: "n",
            only_if: format!("#{{m/r:^(gt|hq){OUR_SESSIONS}"),
            then: "run-shell -b \"gt cycle next\"".into(),
        }
    }

    /// The output of other versions belongs here too.
    #[test]
    fn what_a_key_does_grid() {
        #[rustfmt::skip]
        let cases = [
            ("tmux's own", r"bind-key    -T prefix       n                 next-window", "", "next-window"),
            ("one key asked for", r"bind-key -T prefix n next-window", "", "next-window"),
            ("repeats", r"bind-key -r -T prefix       n       next-window", "-r", "next-window"),
            ("several commands", r#"bind-key -r -T prefix n next-window \; display-message "it's \$x ; y""#, "-r", r#"next-window ; display-message "it's \$x ; y""#),
            ("blocks", r##"bind-key -T prefix n if-shell -F "#{x}" { display-message a ; display-message "}" } "display 'c'""##, "",
                r##"if-shell -F "#{x}" { display-message a ; display-message "}" } "display 'c'""##),
            ("all in one block", r"bind-key -T prefix n { next-window ; display-message a }", "", "next-window ; display-message a"),
            ("an escaped separator in quotes", r#"bind-key -T prefix n run-shell "echo \"a\\;b\" ; true""#, "", r#"run-shell "echo \"a\\;b\" ; true""#),
            ("of another table", r"bind-key -T root n next-window", "", ""),
            ("of another key", r"bind-key -T prefix M-n next-window -a", "", ""),
            ("not closed", r#"bind-key -T prefix n display-message "a"#, "", ""),
            ("none", "", "", ""),
        ];
        for (name, listed, flags, command) in cases {
            let found = bound(&format!("bind-key -T prefix C-o rotate-window\n{listed}\n"), "prefix", "n");
            assert_eq!((found.repeat, found.ours), (flags == "-r", false), "{name}");
            assert_eq!(found.command, command, "{name}");
            assert_eq!(give_back(listed, "prefix", "n"), None, "{name}: not ours");
        }
    }

    #[test]
    fn ours_keeps_what_was_there_and_gives_it_back() {
        for command in
            ["next-window", "", "next-window ; display-message \"it's \\$x\"", "if-shell -F x { a } { b }"]
        {
            for repeat in [false, true] {
                let before = Bound { repeat, command: command.to_owned(), ours: false };
                // tmux prints the binding as we send it, except for columns.
                let listed = bind(&key(), &before).line();
                let found = bound(&listed, "prefix", "n");
                assert_eq!(found, Bound { ours: true, ..before.clone() }, "{listed}");
                assert_eq!(bind(&key(), &found).line(), listed, "once more is the same");
                let back = give_back(&listed, "prefix", "n").unwrap();
                match command {
                    "" => assert_eq!(back.line(), "unbind-key -T prefix n"),
                    _ => assert_eq!(bound(&back.line(), "prefix", "n").repeat, repeat),
                }
            }
        }
        let blocks = "bind-key -T prefix n if-shell -F \"#{m/r:^(hq)-[A-Za-z0-9_-]+\\$,#{session_name}}\" { run-shell x } { next-window }";
        let found = bound(blocks, "prefix", "n");
        assert_eq!(
            (found.ours, found.command.as_str()),
            (true, "next-window"),
            "a version that prints blocks"
        );
    }

    proptest! {
        #[test]
        fn any_line_is_survived(line in any::<String>()) {
            bound(&line, "prefix", "n");
            bound(&format!("bind-key -T prefix n {line}"), "prefix", "n");
        }
    }
}
