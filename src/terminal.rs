//! Terminal: makes text from other sources harmless for a reader at a terminal. Pure.
//!
//! Titles of beads, paths, names of sessions and agents' output come from others. A control character in them moves
//! the cursor, changes a title or a colour, or types for the reader; a character that reverses the direction of text
//! or has no width makes it look like another. Everything that is shown to people passes through here: a path before
//! it becomes part of a sentence ([`path`]), a report as a value before our own text is put around it ([`report`]),
//! and all output ([`lines`], [`Passed`], [`json`]).

use std::{
    io::{self, Write},
    path::Path,
};

use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

/// Whether a character must not reach a terminal unescaped.
pub fn is_harmful(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}'
        )
}

/// A text as one line: `\u{1b}[2J\n`.
pub fn one_line(text: &str) -> String {
    escaped(text, is_harmful)
}

/// A path for people, as one line.
pub fn path(path: impl AsRef<Path>) -> String {
    one_line(&path.as_ref().to_string_lossy())
}

/// A text of several lines; only newlines stay unescaped.
pub fn lines(text: &str) -> String {
    escaped(text, |c| c != '\n' && is_harmful(c))
}

/// A text of several lines that may contain our own colours: a report's fields have passed [`report`] before.
pub fn coloured_lines(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\x1b') {
        shown.push_str(&lines(&rest[..at]));
        let parameters = rest[at + 1..].strip_prefix('[').unwrap_or_default();
        let length = parameters.bytes().take_while(|byte| byte.is_ascii_digit() || *byte == b';').count();
        if parameters[length..].starts_with('m') {
            let end = at + length + "\x1b[m".len();
            shown.push_str(&rest[at..end]);
            rest = &rest[end..];
        } else {
            shown.push_str(&one_line("\x1b"));
            rest = &rest[at + 1..];
        }
    }
    shown + &lines(rest)
}

/// JSON in which nothing harmful is unescaped; the value is the same. Below U+0020 JSON itself escapes.
pub fn json(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut shown, c| {
        match c >= '\u{7f}' && is_harmful(c) {
            true => {
                c.encode_utf16(&mut [0; 2]).iter().for_each(|unit| shown.push_str(&format!("\\u{unit:04x}")))
            }
            false => shown.push(c),
        }
        shown
    })
}

/// A report for people: every text in it, in any field, is one harmless line.
///
/// # Errors
/// When it cannot be deserialized again.
pub fn report<T: Serialize + DeserializeOwned>(report: &T) -> serde_json::Result<T> {
    let mut value = serde_json::to_value(report)?;
    clean(&mut value);
    serde_json::from_value(value)
}

fn clean(value: &mut Value) {
    match value {
        Value::String(text) if text.contains(is_harmful) => *text = one_line(text),
        Value::Array(values) => values.iter_mut().for_each(clean),
        Value::Object(fields) => fields.iter_mut().for_each(|(_, value)| clean(value)),
        _ => {}
    }
}

fn escaped(text: &str, harmful: impl Fn(char) -> bool) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut shown, c| {
        match harmful(c) {
            true => shown.extend(c.escape_default()),
            false => shown.push(c),
        }
        shown
    })
}

/// Passes on a file that others wrote, line by line as it comes, with harmful characters escaped. Bytes that are no
/// text stay as they are: no terminal treats them as control characters.
pub struct Passed<W> {
    to: W,
    /// The start of a character whose end has not come yet.
    begun: Vec<u8>,
}

impl<W> Passed<W> {
    /// Writes to `to`.
    pub fn new(to: W) -> Self {
        Passed { to, begun: Vec::new() }
    }

    /// The underlying writer.
    pub fn to(&self) -> &W {
        &self.to
    }
}

impl<W: Write> Write for Passed<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let all = [std::mem::take(&mut self.begun).as_slice(), bytes].concat();
        let mut shown = Vec::with_capacity(all.len());
        let mut chunks = all.utf8_chunks().peekable();
        while let Some(chunk) = chunks.next() {
            shown.extend(escaped(chunk.valid(), |c| !matches!(c, '\n' | '\t') && is_harmful(c)).bytes());
            match chunks.peek() {
                None if is_begun(chunk.invalid()) => self.begun = chunk.invalid().to_vec(),
                _ => shown.extend(chunk.invalid()),
            }
        }
        self.to.write_all(&shown)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

/// Whether more bytes could complete a character.
fn is_begun(bytes: &[u8]) -> bool {
    !bytes.is_empty() && std::str::from_utf8(bytes).is_err_and(|error| error.error_len().is_none())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde::Deserialize;

    use super::*;

    #[test]
    fn what_it_makes_of_them() {
        for (text, shown) in [
            ("a é ❯ 🎩 中", "a é ❯ 🎩 中"),
            ("\x1b]0;title\x07\x1b[2J", "\\u{1b}]0;title\\u{7}\\u{1b}[2J"),
            ("a\nb\r\tc", "a\\nb\\r\\tc"),
            ("\u{9b}31m\u{7f}", "\\u{9b}31m\\u{7f}"),
            ("a\u{202e}b\u{200b}c\u{feff}", "a\\u{202e}b\\u{200b}c\\u{feff}"),
        ] {
            assert_eq!(one_line(text), shown);
        }
        assert_eq!(lines("a\nb\x1b"), "a\nb\\u{1b}");
        assert_eq!(
            coloured_lines("\x1b[1;31mwrong\x1b[0m\n\x1b[2Jx\x1b"),
            "\x1b[1;31mwrong\x1b[0m\n\\u{1b}[2Jx\\u{1b}"
        );
        assert_eq!(json("\"\u{9b}\u{e0041}é\""), "\"\\u009b\\udb40\\udc41é\"");
    }

    #[test]
    fn a_file_is_passed_on_with_characters_cut_anywhere() {
        let text = "a é 🎩\tb\n\x1b[2J\u{9b}\u{202e}\n".as_bytes();
        let bytes = [text, b"\xff\xfe b\n\xe2\x82".as_slice(), b"!\n"].concat();
        for cut in 0..bytes.len() {
            let mut passed = Passed::new(Vec::new());
            passed.write_all(&bytes[..cut]).unwrap();
            passed.write_all(&bytes[cut..]).unwrap();
            let wanted =
                ["a é 🎩\tb\n\\u{1b}[2J\\u{9b}\\u{202e}\n".as_bytes(), b"\xff\xfe b\n\xe2\x82!\n"].concat();
            assert_eq!(passed.to, wanted, "cut at {cut}");
        }
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Sample {
        title: String,
        deeper: Vec<Option<String>>,
        count: u64,
    }

    proptest! {
        #[test]
        fn nothing_harmful_is_left_and_json_means_the_same(title in any::<String>(), deep in any::<String>()) {
            let sample = Sample { title: title.clone(), deeper: vec![Some(deep)], count: 7 };
            let shown = report(&sample).unwrap();
            prop_assert!(!shown.title.contains(is_harmful) && !shown.deeper[0].as_ref().unwrap().contains(is_harmful));
            prop_assert!(!lines(&title).replace('\n', "").contains(is_harmful));
            let shown = json(&serde_json::to_string(&sample).unwrap());
            prop_assert!(!shown.contains(is_harmful));
            prop_assert_eq!(serde_json::from_str::<Sample>(&shown).unwrap(), sample);
        }
    }
}
