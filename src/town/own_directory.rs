//! The directory of our own state, `daemon/supervisor/` or, in a town of one file, `.supervisor/`: created at the start, and closed to
//! other users.
//!
//! It must not know what is in it.
#![allow(clippy::disallowed_methods, reason = "this is the adapter that makes our directory")]

use std::{
    fs::{self, DirBuilder, Permissions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt},
    path::Path,
};

use rustix::process::geteuid;

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
    let data = directory.metadata()?;
    // All that the supervisor of a town of one file keeps is there, its lock too: as root, it would use that of another user.
    if is_beside_file(path) && data.uid() != geteuid().as_raw() {
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, "it belongs to another user"));
    }
    // It may have been created with another mode, or with one reduced by the umask.
    if data.permissions().mode() & 0o7777 != 0o700 {
        directory.set_permissions(Permissions::from_mode(0o700))?;
    }
    Ok(())
}

/// Lets git ignore all that is in the directory, which is in a directory of the user's. An existing file stays as it is.
pub fn hide(path: &Path) -> io::Result<()> {
    match opening::new(&path.join(".gitignore"), 0o644) {
        Ok(mut file) => file.write_all(b"*\n"),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        // Whatever is there instead, it is not ours.
        Err(error) if opening::WrongKind::is_behind(&error) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Whether this is the directory of our own state.
pub fn is(path: &Path) -> bool {
    path.ends_with("daemon/supervisor") || is_beside_file(path)
}

/// Whether this is the directory of our own state in a town of one file.
fn is_beside_file(path: &Path) -> bool {
    path.ends_with(".supervisor")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn made_and_closed_whatever_was_there() {
        for name in ["daemon/supervisor", ".supervisor"] {
            assert!(is(&Path::new("/t").join(name)), "{name}");
            made_and_closed(name);
        }
        for other in ["/t/daemon", "/t/supervisor", "/t/x.supervisor", "/t/.supervisor/transcripts"] {
            assert!(!is(Path::new(other)), "{other}");
        }
    }

    fn made_and_closed(name: &str) {
        let town = tempfile::tempdir().unwrap();
        let path = town.path().join(name);
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

    #[test]
    fn git_ignores_it_and_an_existing_file_stays() {
        let town = tempfile::tempdir().unwrap();
        let path = town.path().join(".supervisor");
        prepare(&path).unwrap();
        hide(&path).unwrap();
        let file = path.join(".gitignore");
        assert_eq!(fs::read_to_string(&file).unwrap(), "*\n");
        fs::write(&file, "x\n").unwrap();
        hide(&path).unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "x\n");
        fs::remove_file(&file).unwrap();
        std::os::unix::fs::symlink(town.path().join("elsewhere"), &file).unwrap();
        hide(&path).unwrap();
        assert!(!town.path().join("elsewhere").exists(), "no link is followed");
    }
}
