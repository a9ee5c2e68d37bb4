//! The PID file: `daemon/daemon.pid`, by which `gt` finds the daemon to signal.
//!
//! Decimal digits without a newline, because Gas Town 0.2.6 to 0.3 reads no other form; Gas Town 1.x reads it, too, and itself
//! writes a second line with a nonce of 16 hexadecimal digits. The file proves nothing: the lock does. No process may be signalled because of this file alone.
#![allow(clippy::disallowed_methods, reason = "this is the adapter that keeps the PID file")]

use std::{fs, io, path::Path};

use super::{files, hold};

/// Writes the file, mode 0644, replacing what is there.
pub fn write(path: &Path, pid: u32) -> io::Result<()> {
    files::replace(path, pid.to_string().as_bytes(), 0o644)
}

/// Removes it if it still contains `pid`.
pub fn remove(path: &Path, pid: u32) -> io::Result<()> {
    if read(path) != Some(pid) {
        return Ok(());
    }
    hold::verify()?;
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

/// The PID in its first line; `None` when it cannot be read or that contains anything but digits.
pub fn read(path: &Path) -> Option<u32> {
    let content = files::read(path).ok()?;
    parse(&content)
}

/// The PID in the first line of such a file.
pub fn parse(content: &[u8]) -> Option<u32> {
    let digits = content.trim_ascii().split(|byte| *byte == b'\n').next()?.trim_ascii();
    if !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn digits_without_newline_and_mode_0644() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("daemon/daemon.pid");
        write(&path, 4711).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"4711");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o644);
    }

    #[test]
    fn removed_only_while_it_is_ours() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("daemon.pid");
        for (name, content, read_as) in [
            ("gone", None, None),
            ("ours", Some("4711"), Some(4711)),
            ("another's", Some("12"), Some(12)),
            ("as gt 1.x writes it", Some("29976\n470d9f1c7669584a"), Some(29976)),
            ("ours, as gt 1.x would write it", Some("4711\n470d9f1c7669584a\n"), Some(4711)),
            ("junk before digits", Some("x\n4711"), None),
            ("junk", Some("x"), None),
            ("empty", Some(""), None),
            ("signed", Some("+4711"), None),
            ("too large", Some("99999999999"), None),
        ] {
            match content {
                Some(content) => fs::write(&path, content).unwrap(),
                None => drop(fs::remove_file(&path)),
            }
            assert_eq!(read(&path), read_as, "{name}");
            remove(&path, 4711).unwrap();
            assert_eq!(path.exists(), content.is_some() && read_as != Some(4711), "{name}: removed");
        }
    }
}
