//! Lines: what a program prints in pieces, put together line by line. Pure; it holds one line at most.

use super::Line;

/// A longer line is left out, in bytes.
pub const LONGEST: usize = 1 << 20;

/// The line that is not whole yet.
#[derive(Debug, Default)]
pub struct Lines {
    begun: Vec<u8>,
    /// The rest of this line is left out.
    leaving_out: bool,
}

impl Lines {
    /// Takes the next piece and hands over every line that is whole with it.
    pub fn take(&mut self, piece: &[u8], heard: &mut dyn FnMut(Line<'_>)) {
        let mut pieces = piece.split(|byte| *byte == b'\n').peekable();
        while let Some(part) = pieces.next() {
            self.go_on(part, heard);
            if pieces.peek().is_some() {
                self.end(heard);
            }
        }
    }

    /// Nothing more comes: hands over what there is of a last line.
    pub fn finish(mut self, heard: &mut dyn FnMut(Line<'_>)) {
        if !self.begun.is_empty() {
            self.end(heard);
        }
    }

    fn go_on(&mut self, part: &[u8], heard: &mut dyn FnMut(Line<'_>)) {
        if self.leaving_out {
            return;
        }
        if self.begun.len() + part.len() > LONGEST {
            self.leaving_out = true;
            // What it took is given back.
            self.begun = Vec::new();
            heard(Line::TooLong);
        } else {
            self.begun.extend_from_slice(part);
        }
    }

    fn end(&mut self, heard: &mut dyn FnMut(Line<'_>)) {
        let line = std::mem::take(&mut self.begun);
        if !std::mem::take(&mut self.leaving_out) {
            heard(Line::Whole(&line));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The lengths of the lines; one that was left out is `None`.
    fn lengths(pieces: &[&[u8]]) -> Vec<Option<usize>> {
        let mut got = Vec::new();
        let mut heard = |line: Line<'_>| match line {
            Line::Whole(line) => got.push(Some(line.len())),
            Line::TooLong => got.push(None),
        };
        let mut lines = Lines::default();
        for piece in pieces {
            lines.take(piece, &mut heard);
            assert!(lines.begun.len() <= LONGEST);
        }
        lines.finish(&mut heard);
        got
    }

    #[test]
    fn pieces_become_lines() {
        let (half, most) = (vec![b'a'; LONGEST / 2], vec![b'a'; LONGEST]);
        let cases: [(&str, &[&[u8]], &[Option<usize>]); 12] = [
            ("nothing", &[], &[]),
            ("one", &[b"abc\n"], &[Some(3)]),
            ("two", &[b"abc\nde\n"], &[Some(3), Some(2)]),
            ("in pieces", &[b"a", b"bc", b"\nd", b"e\n"], &[Some(3), Some(2)]),
            ("blank ones", &[b"\n\na\n"], &[Some(0), Some(0), Some(1)]),
            ("cut off at the end", &[b"abc\nde"], &[Some(3), Some(2)]),
            ("the longest", &[&half, &half, b"\nb\n"], &[Some(LONGEST), Some(1)]),
            ("the longest at once", &[&most, b"\n"], &[Some(LONGEST)]),
            ("too long by one", &[&most, b"a", b"\nb\n"], &[None, Some(1)]),
            ("far too long", &[&most, &most, &most, b"aaa\nb\n"], &[None, Some(1)]),
            ("too long twice", &[&most, b"a\n", &most, b"a\n"], &[None, None]),
            ("too long and cut off", &[&most, b"aa"], &[None]),
        ];
        for (name, pieces, expected) in cases {
            assert_eq!(lengths(pieces), expected, "{name}");
        }
    }

    proptest::proptest! {
        #[test]
        fn how_it_is_cut_does_not_matter(text: Vec<u8>, cuts: Vec<proptest::sample::Index>) {
            let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(text.len() + 1)).collect();
            at.extend([0, text.len()]);
            at.sort_unstable();
            let pieces: Vec<&[u8]> = at.windows(2).map(|two| &text[two[0]..two[1]]).collect();
            proptest::prop_assert_eq!(lengths(&pieces), lengths(&[&text]));
        }
    }
}
