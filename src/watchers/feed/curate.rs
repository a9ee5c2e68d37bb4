//! Curate: carries new lines of the event log over to the feed, one chunk at a time.
//!
//! The feed is written first, then the progress is updated in memory, and from time to time on disk. A successor that continues
//! from an older progress truncates the feed to the length recorded there, and writes the same lines again. So no line is lost
//! or duplicated, wherever the process is killed. Only one chunk of the log is in memory at any time.

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

/// So much of the log is read at once: it is put into words on the thread everybody shares.
const PIECE: usize = 128 * 1024;
/// After this many chunks the task yields.
const PIECES: usize = 32;
/// The feed is for everybody to read.
const MODE: u32 = 0o644;

/// What came of carrying over.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Carried {
    /// Whether there is more to carry over at once.
    pub more: bool,
    /// Whether anything changed that is not on disk yet.
    pub changed: bool,
    /// Lines that were written.
    pub lines: u64,
    /// Why the last line that could not be used could not.
    pub skipped: Option<String>,
}

/// Cuts the feed to where we know it, and finds the place to begin, if it was never begun. To be called once by whoever
/// takes over, before anything is carried over. An error names the file.
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

/// Carries over what is new, up to a bound. An error names the file; what was carried over before it is noted.
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

/// The next piece of the log that has a whole line in it, taken.
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
    // A line without an end: it is still written, unless its file is not the log any more.
    Ok(match follower.at_the_end(deps, &progress.position).await? {
        Next::Elsewhere(position) => {
            progress.proceed(position, true);
            Piece::Moved
        }
        Next::Again => Piece::Again,
        Next::Nothing | Next::Bytes(_) => Piece::Nothing,
    })
}

/// How many lines were written.
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

/// Another file stands in the place of the feed. It is known on disk before anything is added to it: whoever goes on from
/// there has to know where we began.
async fn meet(deps: &Deps, known: &FeedProgress, extent: Extent) {
    let mut before = known.get();
    before.feed = vec![extent];
    known.set(before);
    known.save(deps).await;
}

/// Keeps the feed within its bound: the newest half stays. The file that has it is known on disk before it is put in place,
/// so that whoever goes on from there knows either.
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
        // It stays longer than it should for as long as the disk does not take that.
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
