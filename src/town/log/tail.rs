//! The end of a log file and what is added to it: its last lines, then its growth, through rotation and truncation,
//! by any writer.
//!
//! It reads from the end, never the whole file, and passes bytes on as they are. It must not write to the log, nor
//! wait: the caller decides when to read again.
#![allow(clippy::disallowed_methods, reason = "part of the adapter that reads the log file")]

use std::{
    fs::{File, Metadata},
    io::{self, Write},
    os::unix::fs::{FileExt, MetadataExt},
    path::PathBuf,
};

use super::rotating::numbered;
use crate::town::opening;

/// How many bytes are read at once.
const CHUNK: usize = 64 * 1024;

/// A position in a log file.
#[derive(Debug)]
pub struct Tail {
    path: PathBuf,
    open: Open,
}

#[derive(Debug)]
struct Open {
    file: File,
    id: (u64, u64),
    at: u64,
}

impl Open {
    fn new((file, data): (File, Metadata)) -> Self {
        Open { file, id: (data.dev(), data.ino()), at: 0 }
    }
}

impl Tail {
    /// At the start of this many last lines; an incomplete line counts as one. An error of kind `NotFound` when there
    /// is no such file.
    pub fn last_lines(path: PathBuf, lines: u64) -> io::Result<Tail> {
        let mut open = Open::new(opening::for_reading(&path)?);
        open.at = beginning_of_last(&open.file, lines)?;
        Ok(Tail { path, open })
    }

    /// Passes on what was added since the last call, or the last lines at the first call. A file that was truncated
    /// is read from its start; one that was moved away is read to its end, then the files that followed it.
    ///
    /// An error comes from the output or the disk; what was passed on before it is not passed on again.
    pub fn pass_on(&mut self, output: &mut dyn Write) -> io::Result<()> {
        loop {
            // Checked first: once another file is in its place, nothing is added to this one any more.
            let next = self.successor()?;
            self.drain(output)?;
            match next {
                Some(next) => self.open = next,
                None => return output.flush(),
            }
        }
    }

    fn drain(&mut self, output: &mut dyn Write) -> io::Result<()> {
        let open = &mut self.open;
        if open.file.metadata()?.len() < open.at {
            open.at = 0;
        }
        let mut chunk = vec![0; CHUNK];
        loop {
            let length = open.file.read_at(&mut chunk, open.at)?;
            let Some(bytes) = chunk.get(..length).filter(|bytes| !bytes.is_empty()) else { return Ok(()) };
            output.write_all(bytes)?;
            open.at += length as u64;
        }
    }

    /// The file that directly follows this one; `None` while this one is in its place, or no file is.
    fn successor(&self) -> io::Result<Option<Open>> {
        let Some(newest) = look(opening::for_reading(&self.path))?.filter(|newest| newest.id != self.open.id)
        else {
            return Ok(None);
        };
        let mut later = None;
        for times in 1.. {
            match look(opening::for_reading(&numbered(&self.path, times)))? {
                Some(rotated) if rotated.id == self.open.id => return Ok(later.or(Some(newest))),
                Some(rotated) => later = Some(rotated),
                // It was deleted by a rotation.
                None => break,
            }
        }
        Ok(Some(newest))
    }
}

/// Between a rename and the creation of the next file there may be none.
fn look(opened: io::Result<(File, Metadata)>) -> io::Result<Option<Open>> {
    match opened {
        Ok(opened) => Ok(Some(Open::new(opened))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// The offset of the last lines of a file, searched backwards.
fn beginning_of_last(file: &File, lines: u64) -> io::Result<u64> {
    let length = file.metadata()?.len();
    if lines == 0 {
        return Ok(length);
    }
    let mut chunk = vec![0; CHUNK];
    let (mut end, mut ends_of_lines) = (length, 0);
    while end > 0 {
        let begin = end.saturating_sub(CHUNK as u64);
        let part = chunk.get_mut(..usize::try_from(end - begin).unwrap_or(CHUNK)).unwrap_or_default();
        match file.read_exact_at(part, begin) {
            Ok(()) => {}
            // It was truncated just now.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(0),
            Err(error) => return Err(error),
        }
        for (offset, _) in part.iter().enumerate().rev().filter(|(_, byte)| **byte == b'\n') {
            let after = begin + offset as u64 + 1;
            // No line starts after the newline of the very last line.
            if after == length {
                continue;
            }
            ends_of_lines += 1;
            if ends_of_lines == lines {
                return Ok(after);
            }
        }
        end = begin;
    }
    Ok(0)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn log() -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("daemon.log");
        (dir, path)
    }

    fn passed_on(tail: &mut Tail) -> String {
        let mut output = Vec::new();
        tail.pass_on(&mut output).unwrap();
        String::from_utf8(output).unwrap()
    }

    fn append(path: &PathBuf, text: &str) {
        let mut file = fs::OpenOptions::new().append(true).create(true).open(path).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }

    #[test]
    fn the_last_lines() {
        let long = format!("{}\n", "x".repeat(CHUNK - 1));
        let longer = "y".repeat(3 * CHUNK);
        let many = "a\n".repeat(CHUNK);
        for (name, content, lines, expected) in [
            ("empty", "", 3, ""),
            ("none asked for", "a\nb\n", 0, ""),
            ("fewer there than asked for", "a\nb\n", 3, "a\nb\n"),
            ("as many", "a\nb\n", 2, "a\nb\n"),
            ("more", "a\nb\nc\n", 2, "b\nc\n"),
            ("the last has no end", "a\nb\nc", 2, "b\nc"),
            ("empty lines count", "a\n\n\n", 2, "\n\n"),
            ("nothing but an end", "\n", 1, "\n"),
            ("a line of exactly one chunk", &format!("a\n{long}"), 1, &long),
            ("two of them", &format!("a\n{long}{long}"), 2, &format!("{long}{long}")),
            ("a line over several chunks", &format!("a\n{longer}\nb\n"), 2, &format!("{longer}\nb\n")),
            ("more lines than a chunk has", &format!("b\n{many}"), CHUNK as u64, &many),
            ("more than can be", "a\nb\n", u64::MAX, "a\nb\n"),
        ] {
            let (_dir, path) = log();
            fs::write(&path, content).unwrap();
            let mut tail = Tail::last_lines(path, lines).unwrap();
            assert!(passed_on(&mut tail) == expected, "{name}");
        }
    }

    #[test]
    fn what_is_no_text_is_passed_on_as_it_is() {
        let (_dir, path) = log();
        fs::write(&path, b"a\n\xff\xfe\0b\r\n").unwrap();
        let mut output = Vec::new();
        Tail::last_lines(path, 1).unwrap().pass_on(&mut output).unwrap();
        assert_eq!(output, b"\xff\xfe\0b\r\n");
    }

    #[test]
    fn growth_rotation_and_truncation() {
        let (_dir, path) = log();
        append(&path, "1\n2\n");
        let mut tail = Tail::last_lines(path.clone(), 1).unwrap();
        assert_eq!(passed_on(&mut tail), "2\n");
        assert_eq!(passed_on(&mut tail), "", "nothing twice");
        append(&path, "3\n");
        assert_eq!(passed_on(&mut tail), "3\n");
        let rotate = |kept: u32| {
            for times in (1..kept).rev() {
                let _ = fs::rename(numbered(&path, times), numbered(&path, times + 1));
            }
            fs::rename(&path, numbered(&path, 1)).unwrap();
        };

        append(&path, "4\n");
        rotate(3);
        assert_eq!(passed_on(&mut tail), "4\n", "its end is read although it has moved");
        append(&numbered(&path, 1), "5\n");
        assert_eq!(passed_on(&mut tail), "5\n", "as long as there is no other, it may go on");
        append(&path, "6\n");
        assert_eq!(passed_on(&mut tail), "6\n");

        append(&path, "7\n");
        for text in ["8\n", "9\n"] {
            rotate(3);
            append(&path, text);
        }
        assert_eq!(passed_on(&mut tail), "7\n8\n9\n", "two rotations between two looks");
        for text in ["10\n", "11\n", "12\n", "13\n"] {
            rotate(2);
            append(&path, text);
        }
        assert_eq!(passed_on(&mut tail), "13\n", "those that are not kept cannot be read");

        fs::write(&path, "b\n").unwrap();
        assert_eq!(passed_on(&mut tail), "b\n", "cut short");
        fs::remove_file(&path).unwrap();
        assert_eq!(passed_on(&mut tail), "", "removed");
        append(&path, "c\n");
        assert_eq!(passed_on(&mut tail), "c\n");
    }

    #[test]
    fn what_is_no_file_is_not_waited_for() {
        let (dir, path) = log();
        let kind = |path: PathBuf| Tail::last_lines(path, 1).unwrap_err().kind();
        assert_eq!(kind(path.clone()), io::ErrorKind::NotFound);
        assert_ne!(kind(dir.path().to_owned()), io::ErrorKind::NotFound);
        rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
        assert!(Tail::last_lines(path, 1).is_err());
    }
}
