//! The adapter of [`ConversationFiles`] on the real disk.
//!
//! Each call is a [`disk_task`], and one that reads or writes a whole file ends by itself at its time limit. It must not know
//! what a record means.
#![allow(clippy::disallowed_methods, reason = "this is the adapter that touches transcripts")]

use std::{
    fs::{self, File, FileTimes, Metadata},
    io::{self, BufReader, BufWriter, Read, Write},
    os::unix::fs::{FileExt, MetadataExt},
    path::Path,
    time::{Duration, Instant, SystemTime},
};

use async_trait::async_trait;
use jiff::Timestamp;

use super::{Compared, ConversationFiles, EDGE, Edges, Listed, PutBack, merging};
use crate::town::{disk_task, hold, opening, own_directory, temporary::Temporary};

/// The limit of a call that reads or writes a whole transcript: one of 1 GB takes some seconds.
const LIMIT: Duration = Duration::from_secs(60);
/// How often a transcript that is written meanwhile is merged again.
const TRIES: u32 = 3;
/// How long a process that opened a transcript in the last instant is waited for.
const STILL_OPEN: Duration = Duration::from_secs(2);
/// The interval of that.
const POLL: Duration = Duration::from_millis(20);

/// The real disk.
#[derive(Debug, Clone, Copy, Default)]
pub struct DiskConversations;

#[async_trait]
impl ConversationFiles for DiskConversations {
    fn variable(&self, name: &str) -> Option<String> {
        std::env::var(name).ok().filter(|value| !value.is_empty())
    }

    async fn list(&self, directory: &Path) -> io::Result<Vec<Listed>> {
        disk_task::run(directory, list).await
    }

    async fn edges(&self, path: &Path) -> io::Result<Edges> {
        disk_task::run(path, edges).await
    }

    async fn compare(&self, copy: &Path, transcript: &Path) -> io::Result<Compared> {
        let copy = copy.to_owned();
        disk_task::run_within(LIMIT, transcript, move |transcript| compare(&copy, transcript)).await
    }

    async fn copy(&self, transcript: &Path, copy: &Path) -> io::Result<u64> {
        let copy = copy.to_owned();
        disk_task::run_within(LIMIT, transcript, move |transcript| copy_whole(transcript, &copy)).await
    }

    async fn put_back(&self, copy: &Path, transcript: &Path) -> io::Result<PutBack> {
        let copy = copy.to_owned();
        disk_task::run_within(LIMIT, transcript, move |transcript| put_back(&copy, transcript)).await
    }

    async fn remove_copy(&self, copy: &Path) -> io::Result<()> {
        disk_task::run(copy, |copy| match hold::verify().and_then(|()| fs::remove_file(copy)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        })
        .await
    }
}

/// An error once it is too late.
fn until(end: Instant) -> impl FnMut() -> io::Result<()> {
    move || match Instant::now() < end {
        true => Ok(()),
        false => {
            Err(io::Error::new(io::ErrorKind::TimedOut, format!("it took longer than {}s", LIMIT.as_secs())))
        }
    }
}

fn list(directory: &Path) -> io::Result<Vec<Listed>> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut listed = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_none_or(|ending| ending != "jsonl") {
            continue;
        }
        let data = match opening::examine(&path) {
            Ok(Some(data)) => data,
            // It is gone by now, or is no file.
            Ok(None) => continue,
            Err(error) if opening::WrongKind::is_behind(&error) => continue,
            Err(error) => return Err(error),
        };
        let at = |time: SystemTime| Timestamp::try_from(time).ok();
        if let Some(modified) = data.modified().ok().and_then(at) {
            listed.push(Listed { path, size: data.len(), born: data.created().ok().and_then(at), modified });
        }
    }
    listed.sort_by(|one, other| one.path.cmp(&other.path));
    Ok(listed)
}

fn edges(path: &Path) -> io::Result<Edges> {
    let (file, data) = opening::for_reading(path)?;
    let read = |from: u64| {
        let mut bytes = Vec::new();
        let mut at = from;
        let mut block = vec![0; EDGE];
        while bytes.len() < EDGE {
            match file.read_at(&mut block[..EDGE - bytes.len()], at)? {
                0 => break,
                read => {
                    bytes.extend_from_slice(&block[..read]);
                    at += read as u64;
                }
            }
        }
        Ok::<_, io::Error>(bytes)
    };
    Ok(Edges { head: read(0)?, tail: read(data.len().saturating_sub(EDGE as u64))? })
}

/// The file; `None` when there is none.
fn existing(path: &Path) -> io::Result<Option<(File, Metadata)>> {
    match opening::for_reading(path) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn compare(copy: &Path, transcript: &Path) -> io::Result<Compared> {
    let Some((old, _)) = existing(copy)? else { return Ok(Compared::NoCopy) };
    let Some((now, _)) = existing(transcript)? else { return Ok(Compared::Gone) };
    let (old, now) = (BufReader::new(old), BufReader::new(now));
    let (records, has_last) = merging::compare(old, now, until(Instant::now() + LIMIT))?;
    Ok(Compared::There { records, has_last })
}

fn copy_whole(transcript: &Path, copy: &Path) -> io::Result<u64> {
    hold::verify()?;
    let (from, data) = opening::for_reading(transcript)?;
    let directory = copy.parent().ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
    if let Some(above) = directory.parent().filter(|above| own_directory::is(above)) {
        own_directory::prepare(above)?;
    }
    own_directory::prepare(directory)?;
    let mut to = opening::new(copy, 0o600)?;
    let copied = fill(&from, &data, &mut to, directory)
        .and_then(|()| to.sync_all())
        .and_then(|()| opening::for_reading(copy))
        .and_then(|(file, _)| merging::count(file, until(Instant::now() + LIMIT)));
    if copied.is_err() {
        let _ = fs::remove_file(copy);
    }
    copied
}

/// Shares the blocks where the file system can do that; copies them elsewhere.
fn fill(from: &File, data: &Metadata, to: &mut File, directory: &Path) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    if rustix::fs::ioctl_ficlone(&*to, from).is_ok() {
        return Ok(());
    }
    let disk = rustix::fs::statvfs(directory)?;
    let free = disk.f_bavail.saturating_mul(disk.f_frsize);
    if free / 2 < data.len() {
        let text = format!("its {} bytes would take more than half of the {free} that are free", data.len());
        return Err(io::Error::new(io::ErrorKind::StorageFull, text));
    }
    let (mut from, mut go_on) = (from, until(Instant::now() + LIMIT));
    let mut block = vec![0; 1024 * 1024];
    loop {
        go_on()?;
        match from.read(&mut block)? {
            0 => return Ok(()),
            read => to.write_all(&block[..read])?,
        }
    }
}

fn put_back(copy: &Path, transcript: &Path) -> io::Result<PutBack> {
    // A link stays a link to the same file.
    let transcript = &match fs::canonicalize(transcript) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => transcript.to_owned(),
        path => path?,
    };
    let mut go_on = until(Instant::now() + LIMIT);
    for _ in 0..TRIES {
        hold::verify()?;
        let Some((old, _)) = existing(copy)? else { return Ok(PutBack::NoCopy) };
        let now = existing(transcript)?;
        let mode = now.as_ref().map_or(0o600, |(_, data)| data.mode() & 0o777);
        if now.as_ref().is_some_and(|(_, data)| is_open_elsewhere(data)) {
            return Ok(PutBack::InUse);
        }
        let mut temporary = Temporary::beside(transcript, mode)?;
        let old = BufReader::new(old);
        let mut out = BufWriter::new(temporary.file());
        let merged = match &now {
            Some((file, _)) => merging::merge(old, BufReader::new(file), &mut out, &mut go_on)?,
            None => merging::merge(old, io::empty(), &mut out, &mut go_on)?,
        };
        out.flush()?;
        drop(out);
        if let Some((_, data)) = &now {
            let _ = temporary.file().set_times(FileTimes::new().set_modified(data.modified()?));
        }
        temporary.file().sync_all()?;
        // Nothing may have been written since it was read.
        let unchanged = match (&now, fs::metadata(transcript)) {
            (Some((_, before)), Ok(data)) => {
                (before.ino(), before.len(), before.mtime_nsec(), before.mtime())
                    == (data.ino(), data.len(), data.mtime_nsec(), data.mtime())
                    && !is_open_elsewhere(&data)
            }
            (None, Err(error)) => error.kind() == io::ErrorKind::NotFound,
            _ => false,
        };
        if !unchanged {
            continue;
        }
        temporary.install()?;
        if let Some((file, data)) = now {
            catch_up(&file, data.len(), transcript)?;
        }
        return Ok(PutBack::Done(merged.gained));
    }
    Ok(PutBack::InUse)
}

/// Takes over what a process wrote to the old file that had opened it in the instant before its replacement.
fn catch_up(old: &File, mut length: u64, transcript: &Path) -> io::Result<()> {
    let end = Instant::now() + STILL_OPEN;
    loop {
        // Nothing reports that a file was closed; this thread is one of the blocking pool.
        std::thread::sleep(POLL);
        let data = old.metadata()?;
        let is_open = is_open_elsewhere(&data);
        let mut more = vec![0; usize::try_from(data.len().saturating_sub(length)).unwrap_or_default()];
        if !more.is_empty() {
            old.read_exact_at(&mut more, length)?;
            opening::for_appending(transcript, opening::Whose::Others, 0o600)?.0.write_all(&more)?;
            length = data.len();
        }
        if !is_open || Instant::now() >= end {
            return Ok(());
        }
    }
}

/// Whether another process has this file open, or that cannot be found out. The processes of other users are not counted: the
/// kernel does not show their files.
#[cfg(target_os = "linux")]
fn is_open_elsewhere(file: &Metadata) -> bool {
    let own = std::process::id().to_string();
    let Ok(processes) = fs::read_dir("/proc") else { return true };
    for process in processes.flatten() {
        let name = process.file_name();
        let is_process = name.as_encoded_bytes().iter().all(u8::is_ascii_digit);
        if !is_process || name.to_str() == Some(&own) {
            continue;
        }
        for descriptor in fs::read_dir(process.path().join("fd")).into_iter().flatten().flatten() {
            let there = fs::metadata(descriptor.path());
            if there.is_ok_and(|there| (there.dev(), there.ino()) == (file.dev(), file.ino())) {
                return true;
            }
        }
    }
    false
}

#[cfg(not(target_os = "linux"))]
fn is_open_elsewhere(_: &Metadata) -> bool {
    true
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    struct Town {
        _root: tempfile::TempDir,
        transcript: std::path::PathBuf,
        copy: std::path::PathBuf,
    }

    fn town(records: &str) -> Town {
        let root = tempfile::tempdir().unwrap();
        let transcript = root.path().join("projects/a.jsonl");
        fs::create_dir_all(transcript.parent().unwrap()).unwrap();
        fs::write(&transcript, records).unwrap();
        fs::set_permissions(&transcript, fs::Permissions::from_mode(0o640)).unwrap();
        let copy = root.path().join("daemon/supervisor/transcripts/a.1.jsonl");
        Town { _root: root, transcript, copy }
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[tokio::test]
    async fn a_copy_is_private_and_whole() {
        let town = town("a\nb\nhalf");
        assert_eq!(DiskConversations.copy(&town.transcript, &town.copy).await.unwrap(), 2);
        assert_eq!(fs::read(&town.copy).unwrap(), b"a\nb\nhalf");
        assert_eq!(fs::read(&town.transcript).unwrap(), b"a\nb\nhalf", "it is only read");
        let directory = town.copy.parent().unwrap();
        assert_eq!(
            (mode(&town.copy), mode(directory), mode(directory.parent().unwrap())),
            (0o600, 0o700, 0o700)
        );
        let again = DiskConversations.copy(&town.transcript, &town.copy).await.unwrap_err();
        assert_eq!(again.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read(&town.copy).unwrap(), b"a\nb\nhalf", "no copy replaces another");
        DiskConversations.remove_copy(&town.copy).await.unwrap();
        DiskConversations.remove_copy(&town.copy).await.unwrap();
        assert!(!town.copy.exists());
        let missing = town.transcript.with_file_name("none.jsonl");
        assert!(DiskConversations.copy(&missing, &town.copy).await.is_err() && !town.copy.exists());
    }

    #[tokio::test]
    async fn what_was_lost_is_put_back_and_what_was_written_since_stays() {
        let town = town("a\nb\nc\n");
        DiskConversations.copy(&town.transcript, &town.copy).await.unwrap();
        fs::write(&town.transcript, "a\nd\n").unwrap();
        let compared = DiskConversations.compare(&town.copy, &town.transcript).await.unwrap();
        assert_eq!(compared, Compared::There { records: 2, has_last: false });
        let back = DiskConversations.put_back(&town.copy, &town.transcript).await.unwrap();
        assert_eq!(back, PutBack::Done(2));
        assert_eq!(fs::read(&town.transcript).unwrap(), b"a\nb\nc\nd\n");
        assert_eq!(mode(&town.transcript), 0o640);
        let left: Vec<_> = fs::read_dir(town.transcript.parent().unwrap()).unwrap().collect();
        assert_eq!(left.len(), 1, "nothing else is left there");
        fs::remove_file(&town.transcript).unwrap();
        assert_eq!(DiskConversations.compare(&town.copy, &town.transcript).await.unwrap(), Compared::Gone);
        let back = DiskConversations.put_back(&town.copy, &town.transcript).await.unwrap();
        assert_eq!(back, PutBack::Done(3), "a file that is gone");
        DiskConversations.remove_copy(&town.copy).await.unwrap();
        assert_eq!(DiskConversations.compare(&town.copy, &town.transcript).await.unwrap(), Compared::NoCopy);
        let back = DiskConversations.put_back(&town.copy, &town.transcript).await.unwrap();
        assert_eq!(back, PutBack::NoCopy);
    }

    /// Another process holds it open: a child, as this process itself does not count.
    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn what_a_process_has_open_is_left_alone() {
        let town = town("a\nb\n");
        DiskConversations.copy(&town.transcript, &town.copy).await.unwrap();
        fs::write(&town.transcript, "").unwrap();
        let held = fs::OpenOptions::new().append(true).open(&town.transcript).unwrap();
        let mut child = std::process::Command::new("cat")
            .stdin(std::process::Stdio::piped())
            .stdout(held)
            .spawn()
            .unwrap();
        let back = DiskConversations.put_back(&town.copy, &town.transcript).await.unwrap();
        assert_eq!((back, fs::read(&town.transcript).unwrap()), (PutBack::InUse, Vec::new()));
        drop(child.stdin.take());
        child.wait().unwrap(); // limited: its input is closed
        let back = DiskConversations.put_back(&town.copy, &town.transcript).await.unwrap();
        assert_eq!(back, PutBack::Done(2));
    }

    #[tokio::test]
    async fn listed_with_their_ends() {
        let town = town("first\n");
        let directory = town.transcript.parent().unwrap();
        fs::write(directory.join("b.txt"), "").unwrap();
        fs::create_dir(directory.join("c.jsonl")).unwrap();
        let listed = DiskConversations.list(directory).await.unwrap();
        assert!(listed.len() == 1 && listed[0].path == town.transcript, "{listed:?}");
        assert!(DiskConversations.list(&directory.join("none")).await.unwrap().is_empty());
        let large = format!("first\n{}\nlast\n", "x".repeat(3 * EDGE));
        fs::write(&town.transcript, &large).unwrap();
        let edges = DiskConversations.edges(&town.transcript).await.unwrap();
        assert!(edges.head.starts_with(b"first\n") && edges.tail.ends_with(b"\nlast\n"));
        assert_eq!((edges.head.len(), edges.tail.len()), (EDGE, EDGE));
    }

    #[test]
    fn a_process_that_had_it_open_in_the_last_instant_loses_nothing() {
        let town = town("old\n");
        let old = fs::OpenOptions::new().read(true).append(true).open(&town.transcript).unwrap();
        fs::remove_file(&town.transcript).unwrap();
        fs::write(&town.transcript, "merged\n").unwrap();
        (&old).write_all(b"late\n").unwrap();
        catch_up(&old, 4, &town.transcript).unwrap();
        assert_eq!(fs::read(&town.transcript).unwrap(), b"merged\nlate\n");
    }
}
