//! The directory of our own state, `daemon/supervisor/`: made at the start, and closed to other users.
//!
//! What stands in it is not its business.
#![allow(clippy::disallowed_methods, reason = "this is the adapter that makes our directory")]

use std::{
    fs::{self, DirBuilder, Permissions},
    io,
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::Path,
};

/// Makes the directory (mode 0700) with its parents, or closes one that is there. An error is the operating system's.
pub fn prepare(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    // It may have been made with another mode, or the mode may have been cut by the umask.
    fs::set_permissions(path, Permissions::from_mode(0o700))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn made_and_closed_whatever_was_there() {
        let town = tempfile::tempdir().unwrap();
        let path = town.path().join("daemon/supervisor");
        let mode = || fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        prepare(&path).unwrap();
        assert_eq!(mode(), 0o700);
        fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
        fs::write(path.join("holds.json"), "{}").unwrap();
        prepare(&path).unwrap();
        assert_eq!(mode(), 0o700);
        assert!(path.join("holds.json").exists());
        fs::remove_dir_all(&path).unwrap();
        fs::write(&path, "").unwrap();
        assert!(prepare(&path).is_err(), "a file is in the way");
    }
}
