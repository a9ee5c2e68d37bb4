//! Merging: a transcript and its older copy as one, so that no record of either is lost. Pure: bytes in, bytes out.

use std::{
    collections::HashSet,
    io::{self, BufRead, Read, Write},
};

use sha2::{Digest, Sha256};

/// The longest record. A file with a longer one is no transcript.
const LONGEST: u64 = 256 * 1024 * 1024;

/// What came out of a merge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Merged {
    /// The complete records that were written.
    pub records: u64,
    /// How many of them the transcript itself did not have.
    pub gained: u64,
}

/// Writes all complete records of `copy`, then the records of `transcript` that the copy does not have; an incomplete last
/// one too. It holds 16 bytes for each record of the copy in memory, and one record. `go_on` is asked before each record.
pub fn merge(
    mut copy: impl BufRead,
    mut transcript: impl BufRead,
    out: &mut impl Write,
    mut go_on: impl FnMut() -> io::Result<()>,
) -> io::Result<Merged> {
    let (mut known, mut line, mut merged) = (HashSet::new(), Vec::new(), Merged::default());
    while next(&mut copy, &mut line)? {
        go_on()?;
        // What a killed program wrote half is no record, and would spoil the next one.
        if line.ends_with(b"\n") {
            out.write_all(&line)?;
            known.insert(key(&line));
            merged.records += 1;
        }
    }
    let mut shared = 0;
    while next(&mut transcript, &mut line)? {
        go_on()?;
        if known.contains(&key(&line)) {
            shared += 1;
            continue;
        }
        out.write_all(&line)?;
        merged.records += u64::from(line.ends_with(b"\n"));
    }
    merged.gained = (known.len() as u64).saturating_sub(shared);
    Ok(merged)
}

fn next(from: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<bool> {
    line.clear();
    from.by_ref().take(LONGEST).read_until(b'\n', line)?;
    if line.len() as u64 >= LONGEST {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "one of its lines is longer than 256 MiB"));
    }
    Ok(!line.is_empty())
}

fn key(line: &[u8]) -> [u8; 16] {
    let digest = Sha256::digest(line);
    std::array::from_fn(|at| digest[at])
}

/// Counts the complete records of a transcript, and says whether the last complete one of `copy` is among them. `go_on` is
/// asked before each record.
pub fn compare(
    mut copy: impl BufRead,
    mut transcript: impl BufRead,
    mut go_on: impl FnMut() -> io::Result<()>,
) -> io::Result<(u64, bool)> {
    let (mut line, mut last) = (Vec::new(), Vec::new());
    while next(&mut copy, &mut line)? {
        go_on()?;
        if line.ends_with(b"\n") {
            std::mem::swap(&mut line, &mut last);
        }
    }
    let (mut records, mut has_last) = (0, last.is_empty());
    while next(&mut transcript, &mut line)? {
        go_on()?;
        records += u64::from(line.ends_with(b"\n"));
        has_last |= line == last;
    }
    Ok((records, has_last))
}

/// Counts complete records. `go_on` is asked before each block.
pub fn count(mut from: impl Read, mut go_on: impl FnMut() -> io::Result<()>) -> io::Result<u64> {
    let (mut block, mut records) = (vec![0; 256 * 1024], 0);
    loop {
        go_on()?;
        match from.read(&mut block) {
            Ok(0) => return Ok(records),
            Ok(read) => records += block[..read].iter().filter(|byte| **byte == b'\n').count() as u64,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_either_is_lost() {
        for (case, copy, transcript, merged, records, gained) in [
            ("cut to nothing", "a\nb\nc\n", "", "a\nb\nc\n", 3, 3),
            ("cut to the beginning", "a\nb\nc\n", "a\n", "a\nb\nc\n", 3, 2),
            ("cut to the end", "a\nb\nc\n", "c\n", "a\nb\nc\n", 3, 2),
            ("cut, and written since", "a\nb\nc\n", "a\nd\ne\n", "a\nb\nc\nd\ne\n", 5, 2),
            ("replaced", "a\nb\n", "x\ny\nz\n", "a\nb\nx\ny\nz\n", 5, 2),
            ("only written since", "a\nb\n", "a\nb\nc\n", "a\nb\nc\n", 3, 0),
            ("the same", "a\nb\n", "a\nb\n", "a\nb\n", 2, 0),
            ("half a record in the copy", "a\nb\nhal", "a\nd\n", "a\nb\nd\n", 3, 1),
            ("half a record in the transcript", "a\nb\n", "d\nhal", "a\nb\nd\nhal", 3, 2),
            ("no copy", "", "a\n", "a\n", 1, 0),
        ] {
            let mut out = Vec::new();
            let got = merge(copy.as_bytes(), transcript.as_bytes(), &mut out, || Ok(())).unwrap();
            assert_eq!(String::from_utf8_lossy(&out), merged, "{case}");
            assert_eq!((got.records, got.gained), (records, gained), "{case}");
        }
    }

    #[test]
    fn compared() {
        for (case, copy, transcript, expected) in [
            ("the same", "a\nb\n", "a\nb\n", (2, true)),
            ("grown", "a\nb\n", "a\nb\nc\n", (3, true)),
            ("cut, and grown since", "a\nb\n", "a\nc\nd\n", (3, false)),
            ("only its end is left", "a\nb\n", "b\n", (1, true)),
            ("half a record in the copy", "a\nhal", "a\n", (1, true)),
            ("nothing in the copy", "", "a\n", (1, true)),
            ("half a record", "a\n", "a", (0, false)),
        ] {
            let got = compare(copy.as_bytes(), transcript.as_bytes(), || Ok(())).unwrap();
            assert_eq!(got, expected, "{case}");
        }
    }

    #[test]
    fn what_may_not_go_on_ends() {
        let late = || Err(io::ErrorKind::TimedOut.into());
        assert!(merge(&b"a\n"[..], &b""[..], &mut Vec::new(), late).is_err());
        assert!(count(&b"a\n"[..], late).is_err());
    }

    #[test]
    fn records_are_complete_lines() {
        for (bytes, records) in [("", 0), ("a", 0), ("a\n", 1), ("a\nb", 1), ("a\n\nb\n", 3)] {
            assert_eq!(count(bytes.as_bytes(), || Ok(())).unwrap(), records, "{bytes:?}");
        }
    }
}
