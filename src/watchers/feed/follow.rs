//! Follow: finds the next part of the event log, whatever happened to the file.
//!
//! It asks the [`Journals`](crate::town::journal::Journals) and follows the rules of [`position`](crate::watchers::feed::position). A file that
//! was renamed or deleted is read to its end first: through the open handle or, after a restart, by finding it beside the log.
//! Where it is gone and a file with some of its lines has its name, the log was pruned.
//! It must not write anything, nor know what the lines mean.

use std::{fmt, io, path::PathBuf, sync::Arc};

use super::{
    event::LONGEST,
    position::{Beside, MARK, Position, TRAIL},
};
use crate::{
    deps::Deps,
    town::journal::{FileId, OpenJournal},
};

/// How much of the end of a pruned log is searched for the last lines read.
const SEARCHED: u64 = 4 << 20;

/// What follows a position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// Nothing, for now.
    Nothing,
    /// These bytes follow, at least one.
    Bytes(Vec<u8>),
    /// The log continues here.
    Elsewhere(Position),
    /// Something may have been written just now: ask once more.
    Again,
}

/// The open files between two rounds; losing it loses only the end of a deleted file.
#[derive(Default)]
pub struct Follower {
    held: Option<Arc<dyn OpenJournal>>,
    /// The file whose last writers have finished.
    written: Option<FileId>,
}

impl fmt::Debug for Follower {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let held = self.held.as_ref().map(|journal| journal.id());
        f.debug_struct("Follower").field("held", &held).field("written", &self.written).finish()
    }
}

impl Follower {
    /// What follows this position, at most `most` bytes of it.
    pub async fn next(&mut self, deps: &Deps, position: &Position, most: usize) -> io::Result<Next> {
        let log = deps.journals.open(&path(deps)).await?;
        let Some(file) = position.file else {
            return self.onwards(deps, position, log).await;
        };
        let Some(journal) = self.find(deps, file, &log).await? else {
            return self.cut_short(deps, position, log).await;
        };
        if position.offset == 0 {
            let (beside, log_head) = surroundings(deps, log.as_ref()).await?;
            if let Some(before) = position.predecessor(&beside, &log_head) {
                return Ok(Next::Elsewhere(before));
            }
        }
        let head = journal.read(0, position.head.len()).await?;
        let bytes = journal.read(position.overlap(), position.before.len() + most).await?;
        match position.continues(&head, &bytes) {
            Some([]) => self.at_the_end(deps, position).await,
            Some(new) => Ok(Next::Bytes(new.to_vec())),
            None => self.cut_short(deps, position, log).await,
        }
    }

    /// There is no further whole line after this position. Returns where the log continues, if this file is not the
    /// log any more.
    pub async fn at_the_end(&mut self, deps: &Deps, position: &Position) -> io::Result<Next> {
        let log = deps.journals.open(&path(deps)).await?;
        if log.as_ref().is_some_and(|log| position.file == Some(log.id())) {
            return Ok(Next::Nothing);
        }
        if self.written != position.file {
            // A program that opened it while it was the log may still be writing.
            deps.journals.written(&path(deps)).await;
            self.written = position.file;
            return Ok(Next::Again);
        }
        self.onwards(deps, position, log).await
    }

    /// Opens the file of this id, whatever its name, and holds it open from now on.
    async fn find(
        &mut self,
        deps: &Deps,
        file: FileId,
        log: &Option<Arc<dyn OpenJournal>>,
    ) -> io::Result<Option<Arc<dyn OpenJournal>>> {
        let is_it = |journal: &&Arc<dyn OpenJournal>| journal.id() == file;
        let mut found = log.as_ref().filter(is_it).or(self.held.as_ref().filter(is_it)).cloned();
        if found.is_none() {
            let siblings = deps.journals.siblings(&path(deps)).await?;
            found = siblings.into_iter().find(|journal| journal.id() == file);
        }
        self.held = found.clone();
        Ok(found)
    }

    /// The bytes already read are gone from this file: the rest is in a copy, if there is one.
    async fn cut_short(
        &self,
        deps: &Deps,
        position: &Position,
        log: Option<Arc<dyn OpenJournal>>,
    ) -> io::Result<Next> {
        let mut copy: Option<(u64, FileId)> = None;
        for journal in deps.journals.siblings(&path(deps)).await? {
            let length = journal.length().await?;
            let head = journal.read(0, position.head.len()).await?;
            let before = journal.read(position.overlap(), position.before.len()).await?;
            let continues = !position.before.is_empty() && position.continues(&head, &before).is_some();
            if continues && length > position.offset.max(copy.map_or(0, |(longest, _)| longest)) {
                copy = Some((length, journal.id()));
            }
        }
        match copy {
            Some((_, file)) => Ok(Next::Elsewhere(Position { file: Some(file), ..position.clone() })),
            None => self.onwards(deps, position, log).await,
        }
    }

    /// Finds the next file after this one.
    async fn onwards(
        &self,
        deps: &Deps,
        position: &Position,
        log: Option<Arc<dyn OpenJournal>>,
    ) -> io::Result<Next> {
        let (beside, log_head) = surroundings(deps, log.as_ref()).await?;
        if let Some(next) = position.successor(&beside, &log_head) {
            return Ok(Next::Elsewhere(next));
        }
        let Some(log) = log else { return Ok(Next::Nothing) };
        let is_gone = beside.iter().all(|it| Some(it.file) != position.file);
        let passed = beside.into_iter().map(|it| it.file).collect();
        let begin = if is_gone { found_again(&log, position).await? } else { None };
        Ok(Next::Elsewhere(match begin {
            Some(offset) => at(&log, offset, false, passed).await?,
            None => Position::beginning(log.id(), passed),
        }))
    }
}

/// Where the lines after this position begin in another file, if that has some of the lines before it.
async fn found_again(log: &Arc<dyn OpenJournal>, position: &Position) -> io::Result<Option<u64>> {
    let from = log.length().await?.saturating_sub(SEARCHED);
    let tail = log.read(from, usize::try_from(SEARCHED).unwrap_or(usize::MAX)).await?;
    Ok(position.found_in(&tail).map(|at| from + at as u64))
}

/// The position at an offset of a file.
async fn at(
    log: &Arc<dyn OpenJournal>,
    offset: u64,
    passing: bool,
    passed: Vec<FileId>,
) -> io::Result<Position> {
    let most = |most: usize| most.min(usize::try_from(offset).unwrap_or(most));
    Ok(Position {
        file: Some(log.id()),
        offset,
        passing,
        head: log.read(0, most(MARK)).await?,
        before: log.read(offset - most(TRAIL) as u64, most(TRAIL)).await?,
        passed,
    })
}

/// The files beside the log, and the first bytes of the log.
async fn surroundings(deps: &Deps, log: Option<&Arc<dyn OpenJournal>>) -> io::Result<(Vec<Beside>, Vec<u8>)> {
    let mut beside = Vec::new();
    for journal in deps.journals.siblings(&path(deps)).await? {
        let head = journal.read(0, MARK).await?;
        beside.push(Beside { file: journal.id(), head });
    }
    let log_head = match log {
        Some(log) => log.read(0, MARK).await?,
        None => Vec::new(),
    };
    Ok((beside, log_head))
}

/// Where a feed that was never written starts: after the last whole line of the current log.
pub async fn end_of_log(deps: &Deps) -> io::Result<Position> {
    let siblings = deps.journals.siblings(&path(deps)).await?;
    let passed = siblings.iter().map(|sibling| sibling.id()).collect();
    let Some(log) = deps.journals.open(&path(deps)).await? else {
        return Ok(Position { passed, ..Position::default() });
    };
    let length = log.length().await?;
    let from = length.saturating_sub(LONGEST as u64 + 1);
    let tail = log.read(from, LONGEST + 1).await?;
    let (offset, passing) = match tail.iter().rposition(|byte| *byte == b'\n') {
        Some(newline) => (from + newline as u64 + 1, false),
        None if from == 0 => (0, false),
        None => (from + tail.len() as u64, true),
    };
    at(&log, offset, passing, passed).await
}

fn path(deps: &Deps) -> PathBuf {
    deps.paths.events()
}
