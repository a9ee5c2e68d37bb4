//! Quoting: any text as one argument of tmux's command language, on one line.
//!
//! A command sent over a control connection is one line and is parsed by tmux like its configuration file. Inside
//! double quotes `\`, `"`, `$` and a leading `~` have a meaning; every byte can be written as `\ooo` (tmux 3.0 and
//! later). A newline would end the command, an empty line would detach us: hence octal for all control characters.

use std::fmt::Write;

/// `text` as one argument. NUL, which no tmux command can contain, is left out.
pub fn quote(text: &str) -> String {
    if !text.is_empty() && text.bytes().all(is_plain) {
        return text.to_owned();
    }
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for character in text.chars() {
        match character {
            '\0' => {}
            '\\' | '"' | '$' | '~' | '\u{1}'..='\u{1f}' | '\u{7f}' => {
                // Writing to a string cannot fail.
                let _ = write!(quoted, "\\{:03o}", u32::from(character));
            }
            other => quoted.push(other),
        }
    }
    quoted.push('"');
    quoted
}

fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(byte, b'_' | b'-' | b'=' | b':' | b'.' | b'/' | b',' | b'+' | b'@')
}

/// `text` as one word of an argument list given to the tmux program, where a trailing `;` would separate commands.
pub fn word(text: &str) -> String {
    let text = text.replace('\0', "");
    match text.strip_suffix(';') {
        Some(rest) => format!("{rest}\\;"),
        None => text,
    }
}

/// `text` as a literal in an argument that tmux expands as a format (`new-session -c` and `-s`): each `#` is doubled,
/// except before `[`, where tmux does not expand it.
pub fn literal(text: &str) -> String {
    let mut literal = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('#') {
        let run = rest[at..].bytes().take_while(|byte| *byte == b'#').count();
        let style = rest[at + run..].starts_with('[');
        literal.push_str(&rest[..at]);
        literal.extend(std::iter::repeat_n('#', if style { run } else { 2 * run }));
        rest = &rest[at + run..];
    }
    literal.push_str(rest);
    literal
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Parses a quoted argument as tmux does.
    fn unquote(quoted: &str) -> String {
        let Some(inner) = quoted.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) else {
            return quoted.to_owned();
        };
        let (mut text, mut rest) = (String::new(), inner.chars());
        while let Some(character) = rest.next() {
            assert!(!matches!(character, '"' | '$' | '~' | '\n'), "{character:?} stands bare in {quoted}");
            if character != '\\' {
                text.push(character);
                continue;
            }
            let digits: String = rest.by_ref().take(3).collect();
            let code = u32::from_str_radix(&digits, 8).expect("three octal digits");
            text.push(char::from_u32(code).expect("ASCII"));
        }
        text
    }

    #[test]
    fn quote_grid() {
        let cases = [
            ("nothing", "", "\"\""),
            ("plain", "=gt-a_b:", "=gt-a_b:"),
            ("blank", "a b", "\"a b\""),
            ("semicolon", "a;", "\"a;\""),
            ("home", "~/x", "\"\\176/x\""),
            ("variable", "$HOME", "\"\\044HOME\""),
            ("format", "#{pid}", "\"#{pid}\""),
            ("quotes", "\"'", "\"\\042'\""),
            ("backslash", "\\n", "\"\\134n\""),
            ("newline and tab", "\n\t", "\"\\012\\011\""),
            ("nul", "a\0 b", "\"a b\""),
            ("unicode", "❯ é", "\"❯ é\""),
        ];
        for (name, text, wanted) in cases {
            assert_eq!(quote(text), wanted, "{name}");
        }
    }

    #[test]
    fn word_grid() {
        for (text, wanted) in [("a", "a"), ("a;", "a\\;"), (";", "\\;"), ("a\\;", "a\\\\;"), (";a", ";a")] {
            assert_eq!(word(text), wanted);
        }
    }

    #[test]
    fn literal_grid() {
        for (text, wanted) in [("/a", "/a"), ("#(x)", "##(x)"), ("a##b", "a####b"), ("#[b]#", "#[b]##")] {
            assert_eq!(literal(text), wanted);
        }
    }

    proptest! {
        #[test]
        fn any_text_is_one_line_and_comes_back(text in any::<String>()) {
            let quoted = quote(&text);
            prop_assert!(!quoted.is_empty() && !quoted.bytes().any(|byte| byte < b' ' || byte == 0x7f));
            prop_assert_eq!(unquote(&quoted), text.replace('\0', ""));
        }
    }
}
