//! Width: text made to fit into a terminal. Pure.
//!
//! Widths are in columns, of which a wide character takes two. Nothing here asks how wide the terminal is.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// The width of a text without escape sequences.
pub fn of(text: &str) -> usize {
    text.width()
}

/// The text within this width; where it is longer, it ends in `…`.
pub fn cut(text: &str, width: usize) -> String {
    if of(text) <= width {
        return text.to_owned();
    }
    let (mut short, mut used) = (String::new(), 1);
    for c in text.chars() {
        used += c.width().unwrap_or(0);
        if used > width {
            break;
        }
        short.push(c);
    }
    let short = short.trim_end();
    if width == 0 { String::new() } else { format!("{short}…") }
}

/// The text in lines of this width, broken between words, each but the first after this indentation. A word that is longer
/// than a line has one of its own. `first` is what the first line begins with, of which only the width counts.
pub fn wrapped(text: &str, first: usize, indent: usize, width: usize) -> String {
    let (mut lines, mut used, mut begins) = (String::new(), first, true);
    for word in text.split(' ') {
        let gap = usize::from(!begins);
        if !begins && used + gap + of(word) > width {
            lines.push('\n');
            lines.push_str(&" ".repeat(indent));
            (used, begins) = (indent, true);
        }
        if !begins {
            lines.push(' ');
            used += 1;
        }
        lines.push_str(word);
        used += of(word);
        begins = false;
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_cut() {
        for (text, width, expected) in [
            ("four", 4, "four"),
            ("fives", 4, "fiv…"),
            ("a word", 3, "a…"),
            ("", 0, ""),
            ("x", 0, ""),
            ("xy", 1, "…"),
            ("日本語", 6, "日本語"),
            ("日本語", 5, "日本…"),
            ("日本語", 4, "日…"),
        ] {
            assert_eq!(cut(text, width), expected, "{text} in {width}");
            assert!(of(&cut(text, width)) <= width);
        }
    }

    #[test]
    fn texts_are_wrapped() {
        for (text, first, expected) in [
            ("a few words here", 0, "a few\n  words\n  here"),
            ("a few words here", 4, "a few\n  words\n  here"),
            ("a few", 6, "a\n  few"),
            ("immeasurable words", 0, "immeasurable\n  words"),
            ("two  blanks", 0, "two \n  blanks"),
            ("", 3, ""),
        ] {
            assert_eq!(wrapped(text, first, 2, 9), expected, "{text} after {first}");
        }
    }

    proptest::proptest! {
        #[test]
        fn nothing_is_lost(text in "[a-z ]{0,80}", width in 0_usize..40) {
            let lines = wrapped(&text, 0, 1, width);
            proptest::prop_assert_eq!(lines.replace("\n ", " "), text);
        }
    }
}
