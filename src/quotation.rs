//! Quotations: what programs and agents wrote, as it leaves memory in a sentence of ours. Pure.
//!
//! The title of a question, and the sentence of a limit or a lost login, go into logs, problems, histories and mails. They come
//! from a screen or a transcript and may hold a secret, have any length, and any character. Where one is taken from there, it
//! passes through [`quoted`]; last screens, which are kept by lines, have a form of their own.

use crate::{secrets, terminal};

/// The most characters of a quotation.
pub const MOST: usize = 300;
/// How much of a text is read, in characters: the end of a secret that is cut here is out of sight in any case.
const READ: usize = 8 * MOST;

/// A text as one harmless line of at most [`MOST`] characters, with secrets masked.
pub fn quoted(text: &str) -> String {
    let end = text.char_indices().nth(READ).map_or(text.len(), |(at, _)| at);
    let masked = secrets::mask(&[text[..end].to_owned()]).concat();
    let shown = terminal::one_line(&masked);
    match shown.char_indices().nth(MOST) {
        None => shown,
        Some(_) => shown.chars().take(MOST - 1).chain(['…']).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_quoted() {
        let long = format!("You've hit your limit · resets 3pm {}", "x".repeat(200_000));
        let bounded = quoted(&long);
        assert!(bounded.starts_with("You've hit your limit · resets 3pm xxx") && bounded.ends_with('…'));
        assert_eq!(bounded.chars().count(), MOST);
        for (text, shown) in [
            ("Do you trust this folder?", "Do you trust this folder?"),
            ("Run it with MY_API_KEY=abcdef1234567890secret now?", "Run it with MY_API_KEY=[masked] now?"),
            ("a\u{1b}[2Jb", "a\\u{1b}[2Jb"),
            ("", ""),
        ] {
            assert_eq!(quoted(text), shown);
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_becomes_one_bounded_line(text in "\\PC{0,400}|[\u{0}-\u{ff}]{0,400}") {
            let shown = quoted(&text);
            proptest::prop_assert!(shown.chars().count() <= MOST && !shown.contains(terminal::is_harmful));
        }
    }
}
