//! The directory of our own state, `daemon/supervisor/`: created at the start, and closed to other users.
//!
//! It must not know what is in it.
#![allow(clippy::disallowed_methods, reason = "this is the adapter that makes our directory")]

use std::{
    fs::{self, DirBuilder, Permissions},
    io,
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::Path,
};

use super::opening::{self, Whose};

/// Creates the directory (mode 0700) with its parents, or closes an existing one. A symbolic link in its place is an
/// error: private files must not end up at its target.
pub fn prepare(path: &Path) -> io::Result<()> {
    if let Some(above) = path.parent() {
        fs::create_dir_all(above)?;
    }
    match DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    let directory = opening::directory(path, Whose::Ours)?;
    // It may have been created with another mode, or with one reduced by the umask.
    if directory.metadata()?.permissions().mode() & 0o7777 != 0o700 {
        directory.set_permissions(Permissions::from_mode(0o700))?;
    }
    Ok(())
}

/// Whether this is the directory of our own state.
pub fn is(path: &Path) -> bool {
    path.ends_with("daemon/supervisor")
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
        fs::remove_file(&path).unwrap();
        let elsewhere = town.path().join("elsewhere");
        fs::create_dir(&elsewhere).unwrap();
        fs::set_permissions(&elsewhere, Permissions::from_mode(0o755)).unwrap();
        std::os::unix::fs::symlink(&elsewhere, &path).unwrap();
        let error = prepare(&path).unwrap_err().to_string();
        assert_eq!(error, "it is a symbolic link, not a directory");
        assert_eq!(mode(), 0o755, "where the link leads nothing is changed");
    }
}
