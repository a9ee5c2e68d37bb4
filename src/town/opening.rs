//! Opening: the one place where this program opens files of a town.
//!
//! Anything may be at the path of a file: opening a named pipe waits for its other end, opening a device may have
//! side effects, and a symbolic link may lead anywhere. So a file is checked before it is opened and again
//! afterwards, opening never waits, and only a regular file is returned. It must not read or write anything.
//! ([`disk_task`](super::disk_task) deals with a disk that hangs.)
#![allow(clippy::disallowed_methods, reason = "this is the one place that opens files")]

use std::{
    fmt,
    fs::{self, File, FileType, Metadata, OpenOptions},
    io,
    os::unix::fs::{FileTypeExt, OpenOptionsExt},
    path::Path,
};

use rustix::fs::OFlags;

/// Which programs write a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    /// Only this program: a symbolic link in its place is refused.
    Ours,
    /// Other programs too, or only those: a symbolic link to a regular file is followed.
    Others,
}

/// Something is at the path, but of the wrong kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it is {found}, not a {wanted}")]
pub struct WrongKind {
    found: Found,
    wanted: &'static str,
}

impl WrongKind {
    /// Whether this is the cause of an error.
    pub fn is_behind(error: &io::Error) -> bool {
        error.get_ref().is_some_and(|inner| inner.is::<WrongKind>())
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Found {
    File,
    Directory,
    Link,
    Pipe,
    Socket,
    Device,
    Unknown,
}

impl Found {
    fn of(kind: FileType) -> Found {
        match kind {
            _ if kind.is_file() => Found::File,
            _ if kind.is_dir() => Found::Directory,
            _ if kind.is_symlink() => Found::Link,
            _ if kind.is_fifo() => Found::Pipe,
            _ if kind.is_socket() => Found::Socket,
            _ if kind.is_block_device() || kind.is_char_device() => Found::Device,
            _ => Found::Unknown,
        }
    }
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Found::File => "a file",
            Found::Directory => "a directory",
            Found::Link => "a symbolic link",
            Found::Pipe => "a named pipe",
            Found::Socket => "a socket",
            Found::Device => "a device",
            Found::Unknown => "something of an unknown kind",
        })
    }
}

/// Opens a file for reading. A symbolic link is followed.
pub fn for_reading(path: &Path) -> io::Result<(File, Metadata)> {
    open(path, Whose::Others, OpenOptions::new().read(true))
}

/// Opens a file for reading and for appending; a missing one is created with this mode.
pub fn for_appending(path: &Path, whose: Whose, mode: u32) -> io::Result<(File, Metadata)> {
    open(path, whose, OpenOptions::new().read(true).append(true).create(true).mode(mode))
}

/// Opens a file for reading and writing, or to lock it; a missing one is created with this mode, an existing one
/// keeps its content.
pub fn for_writing(path: &Path, whose: Whose, mode: u32) -> io::Result<(File, Metadata)> {
    open(path, whose, OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(mode))
}

/// Creates a file of ours that must not exist yet.
pub fn new(path: &Path, mode: u32) -> io::Result<File> {
    let file = open(path, Whose::Ours, OpenOptions::new().write(true).create_new(true).mode(mode))?;
    Ok(file.0)
}

/// Opens a directory, to reach what is in it or to change its mode.
pub fn directory(path: &Path, whose: Whose) -> io::Result<File> {
    require_there(path, whose, Found::Directory)?;
    let file = with_flags(OpenOptions::new().read(true), whose, OFlags::DIRECTORY).open(path)?;
    require(&file.metadata()?, Found::Directory)?;
    Ok(file)
}

/// The metadata of a file that others open for us (SQLite): `None` when there is none, an error when it is no regular
/// file.
pub fn examine(path: &Path) -> io::Result<Option<Metadata>> {
    require_there(path, Whose::Others, Found::File)
}

fn open(path: &Path, whose: Whose, options: &mut OpenOptions) -> io::Result<(File, Metadata)> {
    require_there(path, whose, Found::File)?;
    let file = match with_flags(options, whose, OFlags::empty()).open(path) {
        Ok(file) => file,
        Err(error) => {
            // It may have been exchanged since; its kind says more than the error.
            require_there(path, whose, Found::File)?;
            return Err(error);
        }
    };
    let data = file.metadata()?;
    require(&data, Found::File)?;
    Ok((file, data))
}

fn with_flags(options: &mut OpenOptions, whose: Whose, more: OFlags) -> &mut OpenOptions {
    let mut flags = OFlags::NONBLOCK | OFlags::NOCTTY | more;
    if whose == Whose::Ours {
        flags |= OFlags::NOFOLLOW;
    }
    options.custom_flags(i32::try_from(flags.bits()).unwrap_or_default())
}

/// Checks that the path is missing or of this kind.
fn require_there(path: &Path, whose: Whose, wanted: Found) -> io::Result<Option<Metadata>> {
    let data = match whose {
        Whose::Ours => fs::symlink_metadata(path),
        Whose::Others => fs::metadata(path),
    };
    match data {
        Ok(data) => require(&data, wanted).map(|()| Some(data)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn require(data: &Metadata, wanted: Found) -> io::Result<()> {
    let found = Found::of(data.file_type());
    if found == wanted {
        return Ok(());
    }
    let kind = if found == Found::Directory { io::ErrorKind::IsADirectory } else { io::ErrorKind::Other };
    let wanted = if wanted == Found::Directory { "directory" } else { "file" };
    Err(io::Error::new(kind, WrongKind { found, wanted }))
}

#[cfg(test)]
mod tests {
    use std::{
        os::unix::fs::{PermissionsExt, symlink},
        path::PathBuf,
    };

    use super::*;

    type Open = fn(&Path) -> io::Result<()>;

    const WAYS: [(&str, Whose, Open); 6] = [
        ("for reading", Whose::Others, |path| for_reading(path).map(drop)),
        ("for appending, ours", Whose::Ours, |path| for_appending(path, Whose::Ours, 0o600).map(drop)),
        ("for appending", Whose::Others, |path| for_appending(path, Whose::Others, 0o644).map(drop)),
        ("for writing, ours", Whose::Ours, |path| for_writing(path, Whose::Ours, 0o600).map(drop)),
        ("for writing", Whose::Others, |path| for_writing(path, Whose::Others, 0o644).map(drop)),
        ("by others", Whose::Others, |path| examine(path).map(drop)),
    ];

    fn there() -> (tempfile::TempDir, impl Fn(&str) -> PathBuf) {
        let town = tempfile::tempdir().unwrap();
        let root = town.path().to_owned();
        let at = move |name: &str| root.join(name);
        fs::write(at("file"), "content").unwrap();
        fs::create_dir(at("directory")).unwrap();
        rustix::fs::mknodat(rustix::fs::CWD, at("pipe"), rustix::fs::FileType::Fifo, 0o600.into(), 0)
            .unwrap();
        drop(std::os::unix::net::UnixListener::bind(at("socket")).unwrap());
        for to in ["file", "directory", "pipe", "socket", "missing"] {
            symlink(at(to), at(&format!("to-{to}"))).unwrap();
        }
        symlink("/dev/full", at("to-device")).unwrap();
        (town, at)
    }

    #[test]
    fn nothing_but_a_file_is_opened_and_nothing_is_waited_for() {
        let (_town, at) = there();
        let link = "it is a symbolic link, not a file";
        for (stands, followed, refused) in [
            ("file", None, None),
            ("directory", Some("it is a directory, not a file"), None),
            ("pipe", Some("it is a named pipe, not a file"), None),
            ("socket", Some("it is a socket, not a file"), None),
            ("to-file", None, Some(link)),
            ("to-directory", Some("it is a directory, not a file"), Some(link)),
            ("to-pipe", Some("it is a named pipe, not a file"), Some(link)),
            ("to-socket", Some("it is a socket, not a file"), Some(link)),
            ("to-device", Some("it is a device, not a file"), Some(link)),
        ] {
            for (way, whose, open) in WAYS {
                let expected = if whose == Whose::Ours { refused.or(followed) } else { followed };
                let error = open(&at(stands)).err();
                assert_eq!(error.as_ref().map(ToString::to_string).as_deref(), expected, "{stands} {way}");
                assert!(error.is_none_or(|error| WrongKind::is_behind(&error)), "{stands} {way}");
            }
        }
        assert_eq!(fs::read(at("file")).unwrap(), b"content");
    }

    #[test]
    fn what_is_missing_is_made_only_where_it_should() {
        let (_town, at) = there();
        assert_eq!(for_reading(&at("new")).unwrap_err().kind(), io::ErrorKind::NotFound);
        assert!(examine(&at("new")).unwrap().is_none());
        assert!(!at("new").exists());
        let (_, data) = for_appending(&at("new"), Whose::Ours, 0o600).unwrap();
        assert_eq!((data.len(), data.permissions().mode() & 0o777), (0, 0o600));
        assert_eq!(new(&at("new"), 0o600).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        // A link that leads nowhere: other programs create the file it names, we create nothing.
        assert!(WrongKind::is_behind(&for_writing(&at("to-missing"), Whose::Ours, 0o600).unwrap_err()));
        assert!(new(&at("to-missing"), 0o600).is_err());
        assert!(!at("missing").exists());
        for_writing(&at("to-missing"), Whose::Others, 0o644).unwrap();
        assert!(at("missing").exists());
    }

    #[test]
    fn directories() {
        let (_town, at) = there();
        for (stands, whose, expected) in [
            ("directory", Whose::Ours, None),
            ("to-directory", Whose::Others, None),
            ("to-directory", Whose::Ours, Some("it is a symbolic link, not a directory")),
            ("pipe", Whose::Ours, Some("it is a named pipe, not a directory")),
            ("file", Whose::Others, Some("it is a file, not a directory")),
        ] {
            let error = directory(&at(stands), whose).err().map(|error| error.to_string());
            assert_eq!(error.as_deref(), expected, "{stands} {whose:?}");
        }
        assert_eq!(directory(&at("new"), Whose::Ours).unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    /// The calls that open a file, which may appear nowhere else in the program.
    const OPENS: [&str; 11] = [
        "File::open",
        "File::create",
        "File::options",
        "OpenOptions",
        "fs::read(",
        "fs::read_to_string(",
        "fs::write(",
        "fs::copy(",
        "tempfile_in(",
        "NamedTempFile",
        "custom_flags",
    ];

    /// A lint allows a whole module all of its methods or none; this test decides which module opens files.
    #[test]
    fn files_are_opened_nowhere_else() {
        let mut elsewhere = Vec::new();
        let mut directories = vec![PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src")];
        while let Some(directory) = directories.pop() {
            for entry in fs::read_dir(directory).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    directories.push(path);
                    continue;
                }
                let is_test = path.file_stem().is_some_and(|name| name.to_string_lossy().contains("test"));
                if is_test || path.ends_with("town/opening.rs") {
                    continue;
                }
                let text = fs::read_to_string(&path).unwrap();
                let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or(&text);
                let found = code.lines().filter(|line| {
                    OPENS.iter().any(|open| line.replace("RotatingFile::", "").contains(open))
                });
                elsewhere.extend(found.map(|line| format!("{}: {}", path.display(), line.trim())));
            }
        }
        // The kernel's own files about processes and locks, which no process can exchange.
        elsewhere.retain(|line| !line.contains("\"/proc/"));
        assert!(elsewhere.is_empty(), "{elsewhere:#?}");
    }
}
