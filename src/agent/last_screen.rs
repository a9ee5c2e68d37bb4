//! The last screen of an agent that died, as it is kept on disk and mailed: its end, as plain text of bounded size, without
//! secrets. Pure.
//!
//! A screen is what a program showed to people, so it is masked before it is cut: the beginning of a secret may be what gives
//! it away. Nothing here may read a screen, and none of an agent that did not die may pass through here.

use crate::{secrets, terminal};

/// The most lines that are kept.
pub const LINES: usize = 20;
/// The most bytes of all of them together, each with its line break.
pub const BYTES: usize = 4_096;
/// The most bytes of a line.
const LINE: usize = 400;

/// The last lines of a screen that are not blank, oldest first: at most [`LINES`], and [`BYTES`] bytes.
pub fn kept(screen: &[String]) -> Vec<String> {
    let plain: Vec<String> = screen.iter().map(|line| plain(line)).collect();
    let mut left = BYTES;
    let mut kept: Vec<String> = secrets::mask(&plain)
        .iter()
        .rev()
        .filter(|line| !line.trim().is_empty())
        .take(LINES)
        .map(|line| cut(line))
        .take_while(|line| {
            let size = line.len() + 1;
            let fits = size <= left;
            left = left.saturating_sub(size);
            fits
        })
        .collect();
    kept.reverse();
    kept
}

/// A line without escape sequences, and without what a terminal must not get.
fn plain(line: &str) -> String {
    let text = anstream::adapter::strip_str(line).to_string();
    let text: String = text
        .chars()
        .map(|c| if c.is_whitespace() { ' ' } else { c })
        .filter(|c| !terminal::is_harmful(*c))
        .collect();
    text.trim_end().to_owned()
}

fn cut(line: &str) -> String {
    if line.len() <= LINE {
        return line.to_owned();
    }
    let end = line.floor_char_boundary(LINE - '…'.len_utf8());
    format!("{}…", &line[..end])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn lines(text: &str) -> Vec<String> {
        text.split('\n').map(str::to_owned).collect()
    }

    #[test]
    fn what_is_kept() {
        let many: Vec<String> = (0..60).flat_map(|n| [format!("line {n}"), "  ".to_owned()]).collect();
        let last: Vec<String> = (40..60).map(|n| format!("line {n}")).collect();
        assert_eq!(kept(&many), last, "the last that are not blank");
        for (name, screen, shown) in [
            ("escape sequences", "\x1b[1;31mError\x1b[0m: \x1b]0;title\x07no\x1b[K", "Error: no"),
            ("what a terminal must not get", "a\u{202e}b\u{200b}c\u{7}\u{9b}d\te", "abcd e"),
            ("trailing blanks", "│ a │   \n\u{a0}\n", "│ a │"),
            ("a secret", "TOKEN=4tQm8VbX2nLc7ZrK", "TOKEN=[masked]"),
            ("a secret with colours in it", "ghp_4tQm8V\x1b[0mbX2nLc7ZrK9wYp", "[masked]"),
            ("a secret with a mark in it", "ghp_4tQm\u{200b}8VbX2nLc7ZrK9wYp", "[masked]"),
            ("nothing", "\n \n", ""),
        ] {
            let wanted: Vec<String> = lines(shown).into_iter().filter(|line| !line.is_empty()).collect();
            assert_eq!(kept(&lines(screen)), wanted, "{name}");
        }
    }

    #[test]
    fn a_secret_that_begins_above_what_is_kept_is_masked() {
        let mut screen = vec!["-----BEGIN RSA PRIVATE KEY-----".to_owned()];
        screen.extend((0..25).map(|n| format!("MIIEpAIBAAKCAQEA0Z3VS5JJcds3xfn{n:02}")));
        let kept = kept(&screen);
        assert!(kept.len() == LINES && kept.iter().all(|line| line == secrets::MASK), "{kept:?}");
    }

    #[test]
    fn it_is_bounded() {
        let wide = vec!["中".repeat(1_000); 40];
        let kept = kept(&wide);
        let bytes: usize = kept.iter().map(|line| line.len() + 1).sum();
        assert!(kept.len() >= 10 && bytes <= BYTES, "{} lines, {bytes} bytes", kept.len());
        assert!(kept.iter().all(|line| line.ends_with('…') && line.len() <= LINE), "{kept:?}");
    }

    proptest! {
        #[test]
        fn any_screen_is_kept_within_the_bound(
            screen in proptest::collection::vec("\\PC{0,200}|[\u{0}-\u{ff}]{0,200}|sk-ant-[a-z0-9]{0,80}", 0..60),
        ) {
            let kept = kept(&screen);
            let bytes: usize = kept.iter().map(|line| line.len() + 1).sum();
            prop_assert!(kept.len() <= LINES && bytes <= BYTES);
            prop_assert!(kept.iter().all(|line| !line.trim().is_empty() && !line.contains(terminal::is_harmful)));
        }
    }
}
