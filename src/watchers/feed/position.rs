//! Position: how far the event log was read, and where to continue when it is a different file now. Pure.
//!
//! The log can be renamed and recreated, copied and truncated, deleted or replaced, also while no supervisor runs. So
//! a position is an offset in a file identified by device and inode, with the bytes around it. If those bytes are no
//! longer there, the log was truncated, and its rest is in a copy. Files that existed beside the log when it was
//! created were read before; files that appeared since are its continuation. Old lines can be pruned (`gt krc prune` of gt
//! 1.0.1 writes the others to a new file, which it renames over the log): then reading continues after the last line already
//! read that the new file has.

use serde::{Deserialize, Serialize};

use crate::town::journal::FileId;

/// The number of bytes stored of the start of a file.
pub const MARK: usize = 256;

/// The number of bytes stored of those before the offset: several lines, as a pruned log may lack the last one.
pub const TRAIL: usize = 2048;

/// How far the log was read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Position {
    /// The file; `None` while there was none.
    pub file: Option<FileId>,
    /// The number of its bytes that are processed.
    pub offset: u64,
    /// Whether the offset is in the middle of a line that is skipped.
    pub passing: bool,
    /// Its first bytes, at most [`MARK`] and not more than were read.
    #[serde(with = "hex")]
    pub head: Vec<u8>,
    /// The bytes before the offset, at most [`TRAIL`].
    #[serde(with = "hex")]
    pub before: Vec<u8>,
    /// The files beside the log that existed when this one was started, or when there was no log yet: they are
    /// processed.
    pub passed: Vec<FileId>,
}

/// A file beside the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Beside {
    /// Its device and inode.
    pub file: FileId,
    /// Its first bytes, at most [`MARK`].
    pub head: Vec<u8>,
}

impl Position {
    /// The start of a file; those beside it are processed.
    pub fn beginning(file: FileId, passed: Vec<FileId>) -> Self {
        Position { file: Some(file), passed, ..Position::default() }
    }

    /// Where reading continues: a little before the offset, to verify that the bytes already read are still there.
    pub fn overlap(&self) -> u64 {
        self.offset.saturating_sub(self.before.len() as u64)
    }

    /// The new part of what was read from [`overlap`](Self::overlap) on; `None` when the bytes already read have
    /// changed. `head` are the file's first bytes.
    pub fn continues<'a>(&self, head: &[u8], read: &'a [u8]) -> Option<&'a [u8]> {
        if !head.starts_with(&self.head) {
            return None;
        }
        read.strip_prefix(self.before.as_slice())
    }

    /// Advances past these bytes, which follow the position; `passing` is whether that ends in the middle of a line
    /// that is skipped.
    pub fn advance(&mut self, bytes: &[u8], passing: bool) {
        self.passing = passing;
        if self.head.len() < MARK && self.head.len() as u64 == self.offset {
            self.head.extend_from_slice(&bytes[..bytes.len().min(MARK - self.head.len())]);
        }
        self.before.extend_from_slice(bytes);
        let surplus = self.before.len().saturating_sub(TRAIL);
        self.before.drain(..surplus);
        self.offset += bytes.len() as u64;
    }

    /// Where the unread lines begin in `tail`, the end of a file that took this one's place: after the newest of the lines
    /// before this position that is in it; `None` when none is. Fragments of lines do not count, as many lines end alike.
    pub fn found_in(&self, tail: &[u8]) -> Option<usize> {
        let read = self.before.strip_suffix(b"\n")?;
        let is_whole = self.before.len() as u64 == self.offset;
        let mut lines: Vec<&[u8]> = read.split(|byte| *byte == b'\n').collect();
        if !is_whole {
            lines.remove(0);
        }
        let (mut end, mut found) = (0, None);
        for line in tail.split_inclusive(|byte| *byte == b'\n') {
            end += line.len();
            let rank = line.strip_suffix(b"\n").and_then(|line| lines.iter().rposition(|it| *it == line));
            if rank.is_some() && rank >= found.map(|(rank, _)| rank) {
                found = rank.map(|rank| (rank, end));
            }
        }
        found.map(|(_, end)| end)
    }

    /// The start of the file that continues this one, out of the files beside the log, ordered from the oldest last
    /// write to the newest: the first that appeared since this one was started and is neither a copy of it nor of the
    /// current log, whose first bytes are `log_head`. `None` when the log itself continues.
    pub fn successor(&self, beside: &[Beside], log_head: &[u8]) -> Option<Position> {
        let next = beside.iter().position(|it| self.came_since(it, log_head))?;
        let elder = beside[..next].iter();
        let itself =
            beside[next..].iter().filter(|it| Some(it.file) == self.file && is_copy(&self.head, &it.head));
        let passed = self.passed.iter().copied().chain(elder.chain(itself).map(|it| it.file)).collect();
        Some(Position::beginning(beside[next].file, passed))
    }

    /// The start of a file that precedes this one after all. While nothing was read of this file, it may have been
    /// copied and emptied without a sign.
    pub fn predecessor(&self, beside: &[Beside], log_head: &[u8]) -> Option<Position> {
        let itself = beside.iter().position(|it| Some(it.file) == self.file);
        self.successor(&beside[..itself.unwrap_or(beside.len())], log_head).filter(|_| self.offset == 0)
    }

    fn came_since(&self, it: &Beside, log_head: &[u8]) -> bool {
        // The same file, emptied and rewritten before it was renamed, has another start.
        let is_another = Some(it.file) != self.file || !self.head.is_empty();
        let is_read = self.passed.contains(&it.file) || is_copy(&self.head, &it.head);
        !it.head.is_empty() && is_another && !is_read && !is_copy(log_head, &it.head)
    }
}

/// Whether two files start with the same bytes. Less than a line proves nothing: all events start in much the same way.
fn is_copy(one: &[u8], other: &[u8]) -> bool {
    let shared = &one[..one.len().min(other.len())];
    other.starts_with(shared) && (shared.len() == MARK || shared.contains(&b'\n'))
}

/// Bytes as hexadecimal text in a file of ours.
mod hex {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(deserializer)?;
        let digits = text.as_bytes();
        let byte = |pair: &[u8]| {
            let pair = std::str::from_utf8(pair).ok().filter(|pair| pair.len() == 2)?;
            u8::from_str_radix(pair, 16).ok()
        };
        digits
            .chunks(2)
            .map(byte)
            .collect::<Option<_>>()
            .ok_or_else(|| D::Error::custom("not hexadecimal bytes"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(inode: u64) -> FileId {
        FileId { device: 1, inode, made: None }
    }

    fn beside(inode: u64, head: &str) -> Beside {
        Beside { file: file(inode), head: head.into() }
    }

    fn read(pieces: &[&str]) -> Position {
        let mut position = Position::beginning(file(1), vec![file(8)]);
        pieces.iter().for_each(|piece| position.advance(piece.as_bytes(), false));
        position
    }

    #[test]
    fn what_was_read_must_still_be_there() {
        let log = format!("{}{}", "first line\n".repeat(20), "last line\n");
        for (name, pieces, now, expected) in [
            ("nothing read, nothing there", vec![], "", Some("")),
            ("nothing read", vec![], "a\n", Some("a\n")),
            ("it grew", vec!["a\n", "b\n"], "a\nb\nc", Some("c")),
            ("it did not", vec!["a\n"], "a\n", Some("")),
            ("cut short", vec!["a\n", "b\n"], "a\n", None),
            ("emptied", vec!["a\n"], "", None),
            ("cut short, and grown beyond", vec!["a\n", "b\n"], "c\nd\ne\n", None),
            ("cut short, and grown to the same end", vec![&*log], "x", None),
        ] {
            let position = read(&pieces);
            let now = if now == "x" { log.replacen("first", "other", 1) } else { now.to_owned() };
            let head = &now.as_bytes()[..now.len().min(position.head.len())];
            let rest = now.as_bytes().get(position.overlap() as usize..).unwrap_or_default();
            assert_eq!(position.continues(head, rest), expected.map(str::as_bytes), "{name}");
        }
    }

    #[test]
    fn marks_do_not_depend_on_the_pieces() {
        let text: String = (0..500).map(|n| format!("line {n}\n")).collect();
        let whole = read(&[&text]);
        for size in [1, 3, 255, 256, 257, 400] {
            let pieces: Vec<&str> =
                text.as_bytes().chunks(size).map(|it| std::str::from_utf8(it).unwrap()).collect();
            assert_eq!(read(&pieces), whole, "{size}");
        }
        assert_eq!((whole.head.len(), whole.before.len()), (MARK, TRAIL));
        assert_eq!(whole.offset as usize, text.len());
    }

    #[test]
    fn where_a_pruned_log_continues() {
        let long = "x".repeat(TRAIL);
        for (name, read_so_far, tail, expected) in [
            ("nothing was pruned", "a\nb\n", "a\nb\n", Some("")),
            ("the old ones were", "a\nb\n", "b\nc\n", Some("c\n")),
            ("the last one is missing", "a\nb\n", "a\nc\n", Some("c\n")),
            ("the last of two alike", "a\nb\n", "b\nb\nc\n", Some("c\n")),
            ("an older one stands behind it", "a\nb\n", "b\na\nc\n", Some("a\nc\n")),
            ("none is there", "a\nb\n", "c\nab\n", None),
            ("an unfinished line is none", "a\nb\n", "c\nb", None),
            ("nothing is there", "a\nb\n", "", None),
            ("in the middle of a line", "a\nb", "a\nb\n", None),
            ("nothing was read", "", "a\n", None),
            ("a fragment of a line", &*format!("{long}b\nc\n"), "b\n", None),
            ("the line after a fragment", &*format!("{long}b\nc\n"), "c\nd\n", Some("d\n")),
        ] {
            let got = read(&[read_so_far]).found_in(tail.as_bytes());
            assert_eq!(got.map(|at| &tail[at..]), expected, "{name}");
        }
    }

    #[test]
    fn where_the_log_continues() {
        let position = read(&["old 1\nold 2\n"]);
        for (name, files, log, expected) in [
            ("nothing beside it", vec![], "new\n", None),
            ("the file itself", vec![beside(1, "old 1\nold 2\n")], "new\n", None),
            ("the file itself, written anew", vec![beside(1, "mid\n")], "new\n", Some(1)),
            ("a copy of it", vec![beside(2, "old 1\nold 2\nold 3\n")], "new\n", None),
            ("a shorter copy of it", vec![beside(2, "old 1\n")], "new\n", None),
            ("one that is done with", vec![beside(8, "ancient\n")], "new\n", None),
            ("a copy of the log", vec![beside(2, "new\n")], "new\nnewer\n", None),
            (
                "one that begins like a line that is being written",
                vec![beside(2, "new or old\n")],
                "new",
                Some(2),
            ),
            ("an empty one", vec![beside(2, "")], "new\n", None),
            ("one that came since", vec![beside(2, "mid\n")], "new\n", Some(2)),
            ("the elder of two", vec![beside(3, "mid 2\n"), beside(2, "mid\n")], "new\n", Some(3)),
            ("beside no log", vec![beside(2, "mid\n")], "", Some(2)),
        ] {
            let next = position.successor(&files, log.as_bytes());
            assert_eq!(next.and_then(|it| it.file).map(|it| it.inode), expected, "{name}");
        }
    }

    #[test]
    fn one_after_the_other_and_none_twice() {
        let files = [beside(2, "old 1\nold 2\n"), beside(3, "mid 1\n"), beside(4, "mid 2\n")];
        let mut position = read(&["old 1\nold 2\n"]);
        let mut order = Vec::new();
        while let Some(next) = position.successor(&files, b"new\n") {
            position = next;
            let file = position.file.unwrap().inode;
            order.push(file);
            position.advance(&files[file as usize - 2].head, false);
        }
        assert_eq!(order, [3, 4]);
    }

    #[test]
    fn what_comes_before_a_file_nothing_was_read_of() {
        let nothing = Position::beginning(file(1), vec![file(8)]);
        for (name, position, files, expected) in [
            ("nothing", &nothing, vec![beside(8, "ancient\n")], None),
            ("a copy of what it was", &nothing, vec![beside(8, "ancient\n"), beside(2, "mid\n")], Some(2)),
            ("that and itself, renamed", &nothing, vec![beside(2, "mid\n"), beside(1, "new\n")], Some(2)),
            ("itself, and one after it", &nothing, vec![beside(1, "new\n"), beside(2, "newer\n")], None),
            ("something was read", &read(&["old\n"]), vec![beside(2, "mid\n")], None),
        ] {
            let before = position.predecessor(&files, b"");
            assert_eq!(before.and_then(|it| it.file).map(|it| it.inode), expected, "{name}");
        }
    }

    #[test]
    fn kept_and_taken_up_again_it_is_the_same() {
        let position = read(&["\u{1F600} first\n", "\u{0}second\n"]);
        let text = serde_json::to_string(&position).unwrap();
        assert_eq!(serde_json::from_str::<Position>(&text).unwrap(), position);
        for broken in ["{\"head\":\"0\"}", "{\"head\":\"zz\"}", "{\"head\":\"é\"}", "{\"head\":7}"] {
            assert!(serde_json::from_str::<Position>(broken).is_err(), "{broken}");
        }
    }
}
