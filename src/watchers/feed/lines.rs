//! Lines: splits chunks of the event log into lines. Pure.
//!
//! A line without a newline may be incomplete, so it is left for the next round. A line that is too long for an event is skipped
//! without ever being held in memory as a whole, however its chunks arrive.

use super::event::LONGEST;

/// The result of splitting a chunk.
#[derive(Debug, PartialEq, Eq)]
pub struct Cut<'a> {
    /// The whole lines in it, without their newlines.
    pub lines: Vec<&'a [u8]>,
    /// The number of its bytes that are processed.
    pub consumed: usize,
    /// Whether that ends in the middle of a line that is skipped.
    pub passing: bool,
    /// The number of lines that were too long.
    pub too_long: u64,
}

/// Splits `bytes` into lines; with `passing` they begin in the middle of a line that is skipped, else at the start of
/// a line.
pub fn cut(bytes: &[u8], passing: bool) -> Cut<'_> {
    let begin = match (passing, end_of_line(bytes)) {
        (false, _) => 0,
        (true, Some(end)) => end + 1,
        (true, None) => return Cut { lines: Vec::new(), consumed: bytes.len(), passing: true, too_long: 0 },
    };
    let mut cut = Cut { lines: Vec::new(), consumed: begin, passing: false, too_long: 0 };
    while let Some(length) = end_of_line(&bytes[cut.consumed..]) {
        cut.lines.push(&bytes[cut.consumed..cut.consumed + length]);
        cut.consumed += length + 1;
    }
    if bytes.len() - cut.consumed > LONGEST {
        cut.consumed = bytes.len();
        cut.passing = true;
        cut.too_long = 1;
    }
    cut
}

fn end_of_line(bytes: &[u8]) -> Option<usize> {
    bytes.iter().position(|byte| *byte == b'\n')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_of_a_log() {
        for (name, bytes, passing, lines, consumed, passing_after) in [
            ("nothing", "", false, vec![], 0, false),
            ("one line", "a\n", false, vec!["a"], 2, false),
            ("a torn one", "a", false, vec![], 0, false),
            ("one and a torn one", "a\nb", false, vec!["a"], 2, false),
            ("blank ones", "\n\na\n", false, vec!["", "", "a"], 4, false),
            ("passing one", "rest\na\n", true, vec!["a"], 7, false),
            ("passing one without an end", "rest", true, vec![], 4, true),
            ("passing nothing", "", true, vec![], 0, true),
        ] {
            let cut = cut(bytes.as_bytes(), passing);
            let got: Vec<_> = cut.lines.iter().map(|line| std::str::from_utf8(line).unwrap()).collect();
            assert_eq!((got, cut.consumed, cut.passing), (lines, consumed, passing_after), "{name}");
        }
    }

    #[test]
    fn a_line_that_is_too_long_is_passed_over_once() {
        let long = vec![b'x'; LONGEST + 1];
        let cut_long = cut(&long, false);
        assert_eq!((cut_long.consumed, cut_long.passing, cut_long.too_long), (long.len(), true, 1));
        let just = vec![b'x'; LONGEST];
        assert_eq!((cut(&just, false).consumed, cut(&just, false).passing), (0, false), "it may still end");
        assert_eq!(cut(&long, true).too_long, 0, "the same line");
    }

    proptest::proptest! {
        /// However a log is split into chunks, the lines are the same.
        #[test]
        fn pieces_do_not_matter(text in "[ab\n]{0,200}", size in 1_usize..40) {
            let (mut lines, mut at, mut passing) = (Vec::new(), 0, false);
            let mut reach = 0;
            while reach < text.len() {
                reach = (reach + size).min(text.len());
                let cut = cut(&text.as_bytes()[at..reach], passing);
                lines.extend(cut.lines.iter().map(|line| line.to_vec()));
                at += cut.consumed;
                passing = cut.passing;
            }
            let whole = cut(text.as_bytes(), false);
            proptest::prop_assert_eq!(lines, whole.lines.iter().map(|it| it.to_vec()).collect::<Vec<_>>());
            proptest::prop_assert_eq!(at, whole.consumed);
        }
    }
}
