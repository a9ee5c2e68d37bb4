//! Curate: writes new lines of the event log to the feed, one chunk at a time.
//!
//! The feed is written first, then the progress is updated in memory, and from time to time on disk. A successor that
//! continues from an older progress truncates the feed to the length recorded there, and writes the same lines again. So
//! no line is lost or duplicated, wherever the process is killed. Only one chunk of the log is in memory at any time.

use std::io;

use super::{
    event::LONGEST,
    follow::{self, Follower, Next},
    progress::{FeedProgress, Progress, Taken},
};
use crate::{
    deps::Deps,
    terminal,
    town::journal::{Extended, Extent},
};

/// The size of a chunk in bytes. Its lines are worded on the thread that all actors share.
const PIECE: usize = 128 * 1024;
/// After this many chunks the task yields.
const PIECES: usize = 32;
/// Every user may read the feed.
const MODE: u32 = 0o644;

/// The result of a round.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Carried {
    /// Whether there is more to write at once.
    pub more: bool,
    /// Whether the progress changed since it was saved.
    pub changed: bool,
    /// The number of lines written.
    pub lines: u64,
    /// The reason for the last skipped line.
    pub skipped: Option<String>,
}

/// Truncates the feed to the recorded length, and finds the place to start, if it was never started. To be called
/// once by a new curator, before it writes anything. An error names the file.
pub async fn take_over(deps: &Deps, known: &FeedProgress) -> Result<(), String> {
    let mut progress = known.get();
    let feed = deps.paths.feed();
    if !progress.begun {
        progress.begin(follow::end_of_log(deps).await.map_err(|error| log_error(&error))?);
        known.set(progress.clone());
    }
    let extended = deps.journals.extend(&feed, &progress.feed, Vec::new(), MODE).await;
    let (Extended::Known(extent) | Extended::Stranger(extent)) =
        extended.map_err(|error| feed_error(&error))?;
    progress.feed = vec![extent];
    known.set(progress);
    known.save(deps).await;
    shorten(deps, known).await
}

/// Writes what is new to the feed, up to a bound. An error names the file; the progress before it is noted.
pub async fn carry_over(
    deps: &Deps,
    known: &FeedProgress,
    follower: &mut Follower,
) -> Result<Carried, String> {
    let mut carried = Carried::default();
    for _ in 0..PIECES {
        let mut progress = known.get();
        let next = piece(deps, follower, &mut progress).await.map_err(|error| log_error(&error))?;
        match next {
            Piece::Nothing => return Ok(carried),
            Piece::Again => continue,
            Piece::Moved => {}
            Piece::Taken(taken) => {
                carried.skipped = taken.skipped.or(carried.skipped);
                carried.lines += write(deps, known, &mut progress, taken.text).await?;
            }
        }
        carried.changed = true;
        known.set(progress);
        shorten(deps, known).await?;
    }
    carried.more = true;
    Ok(carried)
}

enum Piece {
    Nothing,
    Again,
    Moved,
    Taken(Taken),
}

/// Reads the next chunk of the log that contains a whole line.
async fn piece(deps: &Deps, follower: &mut Follower, progress: &mut Progress) -> io::Result<Piece> {
    let settings = deps.settings();
    for most in [PIECE, LONGEST + 1] {
        let bytes = match follower.next(deps, &progress.position, most).await? {
            Next::Nothing => return Ok(Piece::Nothing),
            Next::Again => return Ok(Piece::Again),
            Next::Elsewhere(position) => {
                progress.proceed(position, false);
                return Ok(Piece::Moved);
            }
            Next::Bytes(bytes) => bytes,
        };
        let taken = progress.take(&bytes, &settings.feed);
        if taken.consumed > 0 {
            return Ok(Piece::Taken(taken));
        }
        if bytes.len() < most {
            break;
        }
    }
    // A line without a newline: it may still be completed, unless its file is not the log any more.
    Ok(match follower.at_the_end(deps, &progress.position).await? {
        Next::Elsewhere(position) => {
            progress.proceed(position, true);
            Piece::Moved
        }
        Next::Again => Piece::Again,
        Next::Nothing | Next::Bytes(_) => Piece::Nothing,
    })
}

/// Writes the text to the feed. Returns the number of lines.
async fn write(
    deps: &Deps,
    known: &FeedProgress,
    progress: &mut Progress,
    text: Vec<u8>,
) -> Result<u64, String> {
    if text.is_empty() {
        return Ok(0);
    }
    let lines = text.iter().filter(|byte| **byte == b'\n').count() as u64;
    let feed = deps.paths.feed();
    let extended = deps.journals.extend(&feed, &progress.feed, text.clone(), MODE).await;
    let extended = match extended.map_err(|error| feed_error(&error))? {
        Extended::Stranger(extent) => {
            meet(deps, known, extent).await;
            let extended = deps.journals.extend(&feed, &[extent], text, MODE).await;
            extended.map_err(|error| feed_error(&error))?
        }
        extended => extended,
    };
    let Extended::Known(extent) = extended else {
        return Err(format!(
            "{} was replaced while it was being written",
            terminal::path(deps.paths.shown(&feed))
        ));
    };
    progress.feed = vec![extent];
    Ok(lines)
}

/// Another file has replaced the feed. That is saved before anything is added to it: a successor must know where we
/// began.
async fn meet(deps: &Deps, known: &FeedProgress, extent: Extent) {
    let mut before = known.get();
    before.feed = vec![extent];
    known.set(before);
    known.save(deps).await;
}

/// Bounds the feed: the newest half stays. The new file is noted on disk before it replaces the old one, so that a
/// successor knows both.
async fn shorten(deps: &Deps, known: &FeedProgress) -> Result<(), String> {
    let (mut progress, most) = (known.get(), deps.settings().feed.max_bytes);
    let [now] = progress.feed[..] else { return Ok(()) };
    if now.length <= most {
        return Ok(());
    }
    let feed = deps.paths.feed();
    let half = deps.journals.prepare(&feed, most / 2, MODE).await.map_err(|error| feed_error(&error))?;
    progress.feed = vec![now, half];
    known.set(progress.clone());
    if !known.save(deps).await {
        // The feed stays too long while the disk refuses the write.
        progress.feed = vec![now];
        known.set(progress);
        return Ok(());
    }
    deps.journals.install(&feed).await.map_err(|error| feed_error(&error))?;
    progress.feed = vec![half];
    known.set(progress);
    Ok(())
}

fn log_error(error: &io::Error) -> String {
    format!(".events.jsonl cannot be read: {error}")
}

fn feed_error(error: &io::Error) -> String {
    format!(".feed.jsonl cannot be written: {error}; nothing is lost, it continues where it stopped")
}
