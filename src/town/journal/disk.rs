//! The adapter of [`Journals`] on the real disk.
//!
//! Each call is a [disk task](crate::town::disk_task); those that change a file run one after the other, even when the caller is
//! gone by then. It must not know what the lines mean.
#![allow(clippy::disallowed_methods, reason = "this is the adapter that touches files that grow")]

use std::{
    cmp::Reverse,
    ffi::OsString,
    fs::{self, File, Metadata, Permissions},
    io::{self, Seek, SeekFrom, Write},
    os::unix::fs::{FileExt, MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use async_trait::async_trait;
use tokio::sync::Mutex;

use super::{Extended, Extent, FileId, Journals, OpenJournal};
use crate::town::{
    disk_task, files, hold,
    opening::{self, Whose},
};

/// Maximum number of siblings that are opened.
const SIBLINGS: usize = 100;
/// The endings of compressed files, which cannot be read from the middle.
const PACKED: [&str; 6] = ["gz", "bz2", "xz", "zst", "lz4", "zip"];

/// The real disk.
#[derive(Debug, Clone, Default)]
pub struct DiskJournals {
    /// Held by the call that changes a file, until it is done.
    changing: Arc<Mutex<()>>,
}

impl DiskJournals {
    /// Runs a change of a file. The task holds the turn: a call that was dropped never overtakes a later one.
    async fn change<T: Send + 'static>(
        &self,
        path: &Path,
        work: impl FnOnce(&Path) -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        let turn = tokio::time::timeout(disk_task::LIMIT, self.changing.clone().lock_owned()).await;
        let turn = turn.map_err(|_| {
            io::Error::new(
                io::ErrorKind::TimedOut,
                "an earlier change of a file has not returned: its disk hangs",
            )
        })?;
        disk_task::run(path, move |path| {
            let _turn = turn;
            hold::verify().and_then(|()| work(path))
        })
        .await
    }
}

#[async_trait]
impl Journals for DiskJournals {
    async fn open(&self, path: &Path) -> io::Result<Option<Arc<dyn OpenJournal>>> {
        disk_task::run(path, |path| Ok(files::in_the_town(open(path))?.map(|(journal, _)| journal))).await
    }

    async fn siblings(&self, path: &Path) -> io::Result<Vec<Arc<dyn OpenJournal>>> {
        disk_task::run(path, |path| files::in_the_town(siblings(path))).await
    }

    async fn written(&self, path: &Path) {
        // While we have the lock, no other writer has it; a process that holds it for longer is not writing a line.
        let _ = disk_task::run(path, |path| files::append_lock(path).map(drop)).await;
    }

    async fn extend(
        &self,
        path: &Path,
        known: &[Extent],
        content: Vec<u8>,
        mode: u32,
    ) -> io::Result<Extended> {
        let known = known.to_vec();
        self.change(path, move |path| extend(path, &known, content, mode)).await
    }

    async fn sync(&self, path: &Path) -> io::Result<()> {
        disk_task::run(path, |path| match opening::for_reading(path) {
            Ok((file, _)) => file.sync_data(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
        })
        .await
    }

    async fn prepare(&self, path: &Path, keep: u64, mode: u32) -> io::Result<Extent> {
        self.change(path, move |path| prepare(path, keep, mode)).await
    }

    async fn install(&self, path: &Path) -> io::Result<()> {
        self.change(path, |path| fs::rename(prepared(path), path)).await
    }
}

/// A file that was opened.
struct DiskJournal {
    /// The name it was opened by.
    path: PathBuf,
    file: Arc<File>,
    id: FileId,
}

#[async_trait]
impl OpenJournal for DiskJournal {
    fn id(&self) -> FileId {
        self.id
    }

    async fn read(&self, offset: u64, most: usize) -> io::Result<Vec<u8>> {
        let file = self.file.clone();
        disk_task::run(&self.path, move |_| read(&file, offset, most)).await
    }

    async fn length(&self) -> io::Result<u64> {
        let file = self.file.clone();
        disk_task::run(&self.path, move |_| Ok(file.metadata()?.len())).await
    }
}

fn read(file: &File, offset: u64, most: usize) -> io::Result<Vec<u8>> {
    // Not `most` bytes at once: usually only a line or two is there.
    let there = file.metadata()?.len().saturating_sub(offset);
    let mut bytes = vec![0; most.min(usize::try_from(there).unwrap_or(usize::MAX))];
    let mut filled = 0;
    while filled < bytes.len() {
        match file.read_at(&mut bytes[filled..], offset + filled as u64) {
            Ok(0) => break,
            Ok(more) => filled += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    bytes.truncate(filled);
    Ok(bytes)
}

fn open(path: &Path) -> io::Result<Option<(Arc<dyn OpenJournal>, Metadata)>> {
    let (file, data) = match opening::for_reading(path) {
        Ok(opened) => opened,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    Ok(Some((Arc::new(DiskJournal { path: path.to_owned(), file: Arc::new(file), id: id(&data) }), data)))
}

fn siblings(path: &Path) -> io::Result<Vec<Arc<dyn OpenJournal>>> {
    let (Some(directory), Some(name)) = (path.parent(), path.file_name()) else {
        return Ok(Vec::new());
    };
    let name = name.to_string_lossy();
    let mut found = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?.file_name();
        let entry = entry.to_string_lossy();
        let Some(rest) = entry.strip_prefix(&*name).filter(|rest| is_rotated(rest)) else { continue };
        if found.len() == SIBLINGS {
            break;
        }
        // A file that cannot be read is skipped, like a compressed one.
        if let Ok(Some((journal, data))) = open(&directory.join(&*entry)) {
            // Not the time of creation: a log that was copied and emptied before it was renamed is older than its
            // copies.
            let written = data.modified().map_or(0, nanoseconds);
            found.push(((written, Reverse(number(rest))), journal));
        }
    }
    found.sort_by_key(|(age, _)| *age);
    Ok(found.into_iter().map(|(_, journal)| journal).collect())
}

/// Whether a file whose name is the log's and this rest was made by a rotation. A `.tmp` is on its way to become the log
/// (`gt krc prune` of gt 1.0.1).
fn is_rotated(rest: &str) -> bool {
    let packed = || PACKED.iter().any(|packed| rest.ends_with(&format!(".{packed}")));
    rest.starts_with(['.', '-']) && ![".lock", ".tmp"].contains(&rest) && !packed()
}

/// Of two files written at the same time, the higher number is the older one.
fn number(rest: &str) -> u64 {
    rest.rsplit(['.', '-']).next().and_then(|number| number.parse().ok()).unwrap_or(0)
}

fn extend(path: &Path, known: &[Extent], mut content: Vec<u8>, mode: u32) -> io::Result<Extended> {
    let (mut file, data) = opening::for_writing(path, Whose::Ours, mode)?;
    let (file_id, mut length) = (id(&data), data.len());
    let Some(ours) = known.iter().find(|known| known.file == file_id) else {
        return Ok(Extended::Stranger(Extent { file: file_id, length }));
    };
    if ours.length < length {
        file.set_len(ours.length)?;
        length = ours.length;
    }
    if !content.is_empty() {
        if files::is_torn(&file, length)? {
            content.insert(0, b'\n');
        }
        file.seek(SeekFrom::Start(length))?;
        let written = file.write(&content);
        if !matches!(written, Ok(count) if count == content.len()) {
            // A partial line must not stay; if it cannot be truncated now, the next call does it.
            let _ = file.set_len(length);
            let text = format!("only {} of {} bytes could be written", written?, content.len());
            return Err(io::Error::new(io::ErrorKind::WriteZero, text));
        }
        length += content.len() as u64;
    }
    Ok(Extended::Known(Extent { file: file_id, length }))
}

fn prepare(path: &Path, keep: u64, mode: u32) -> io::Result<Extent> {
    let (mut file, data) = opening::for_reading(path)?;
    let from = data.len().saturating_sub(keep);
    file.seek(SeekFrom::Start(from))?;
    let mut rest = io::BufReader::new(file);
    if from > 0 {
        skip_line(&mut rest)?;
    }
    let target = prepared(path);
    match fs::remove_file(&target) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut new = opening::new(&target, mode)?;
    io::copy(&mut rest, &mut new)?;
    new.set_permissions(Permissions::from_mode(mode))?;
    new.sync_all()?;
    let data = new.metadata()?;
    Ok(Extent { file: id(&data), length: data.len() })
}

/// Skips to the start of the next line.
fn skip_line(rest: &mut impl io::BufRead) -> io::Result<()> {
    loop {
        let buffered = rest.fill_buf()?;
        let (seen, found) = match buffered.iter().position(|byte| *byte == b'\n') {
            Some(at) => (at + 1, true),
            None => (buffered.len(), buffered.is_empty()),
        };
        rest.consume(seen);
        if found {
            return Ok(());
        }
    }
}

/// Removes the prepared file of a killed process. To be called only by the process that may prepare one.
pub fn clean(path: &Path) {
    if hold::verify().is_ok() {
        // A file that cannot be removed is replaced by the next prepared one.
        let _ = fs::remove_file(prepared(path));
    }
}

/// The path of the prepared file: beside its target, so that a rename can install it.
fn prepared(path: &Path) -> PathBuf {
    let mut name = OsString::from(path.as_os_str());
    name.push(".half.tmp");
    name.into()
}

fn id(data: &Metadata) -> FileId {
    FileId { device: data.dev(), inode: data.ino(), made: data.created().ok().map(nanoseconds) }
}

fn nanoseconds(time: SystemTime) -> i64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}
