//! Checking: whether resuming a conversation cost it records, and how they are put back.
//!
//! Programs have been seen to cut their own transcript when they continue it. So it is copied before, and compared a moment
//! after. What is missing is put back at once where no process has the transcript open, else when that has ended; what was
//! written since stays. What could not be read proves nothing. It must not start or end anything.

use std::{collections::BTreeMap, io, path::PathBuf, time::Duration};

use super::{Conversations, Copied, short};
use crate::{
    agent::{history::Entry, spec::AgentSpec},
    deps::Deps,
    terminal,
    town::conversation_files::{Compared, Listed, PutBack},
};

/// How long after its start a program is expected to have done what it does to its transcript.
pub const AFTER: Duration = Duration::from_secs(10);

/// The most copies; older ones that are not needed are removed.
pub const COPIES: usize = 20;
/// The most bytes of copies that are not needed.
const BYTES: u64 = 1 << 30;

/// The kind of problem that a transcript is that lost records.
const PROBLEM: &str = "transcript";

/// What a comparison says of a transcript that had `before` records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    /// Nothing is missing, or nothing is left to compare it with.
    Whole,
    /// So many are missing, at least.
    Cut(u64),
    /// It cannot be compared now.
    Unknown,
    /// Its content is such that it can never be compared.
    Never,
}

/// A program that cut its transcript may have written more since than it lost: then the last record of the copy is missing.
fn judge(before: u64, now: &io::Result<Compared>) -> Verdict {
    match now {
        Ok(Compared::There { records, has_last }) => match (before.saturating_sub(*records), has_last) {
            (0, true) => Verdict::Whole,
            (lost, _) => Verdict::Cut(lost.max(1)),
        },
        Ok(Compared::Gone) if before > 0 => Verdict::Cut(before),
        Ok(Compared::Gone | Compared::NoCopy) => Verdict::Whole,
        Err(error) if error.kind() == io::ErrorKind::InvalidData => Verdict::Never,
        Err(_) => Verdict::Unknown,
    }
}

/// Compares this agent's transcripts with the copies made before they were resumed, and puts back what is missing. Returns the
/// transcripts that are not settled yet, and why; that is reported, and to be tried again.
pub async fn compare(deps: &Deps, agent: &AgentSpec) -> BTreeMap<PathBuf, String> {
    let _turn = deps.starts.turn_to_compare(&agent.identity).await;
    let mut open = BTreeMap::new();
    for copied in deps.records.conversations(&agent.identity).copied {
        if let Err(why) = settle(deps, agent, &copied).await {
            open.insert(copied.transcript, why);
        }
    }
    let key = agent.problem_key(PROBLEM);
    if open.is_empty() {
        deps.problems.clear(&key);
    } else {
        let all: Vec<&str> = open.values().map(String::as_str).collect();
        deps.problems.report(key, format!("{}: {}", agent.identity, all.join("; ")));
    }
    open
}

async fn settle(deps: &Deps, agent: &AgentSpec, copied: &Copied) -> Result<(), String> {
    let (identity, name) = (&agent.identity, short(&copied.id));
    if !copied.cut {
        let now = deps.conversation_files.compare(&copied.copy, &copied.transcript).await;
        match judge(copied.records, &now) {
            Verdict::Whole => {
                change(deps, agent, copied, |kept, at| drop(kept.copied.remove(at)));
                remove_older(deps, copied).await;
                return Ok(());
            }
            Verdict::Unknown => {
                let why = now.err().map(|error| error.to_string()).unwrap_or_default();
                return Err(format!(
                    "the transcript of conversation {name} cannot be compared: {why}; that is tried again at the agent's next \
                     start"
                ));
            }
            Verdict::Never => {
                let why = now.err().map(|error| error.to_string()).unwrap_or_default();
                let seen = format!("the transcript of conversation {name} cannot be compared: {why}");
                tracing::warn!(agent = %identity, reason = "transcript_not_compared", "{seen}");
                let copy = terminal::path(deps.paths.shown(&copied.copy));
                let entry = Entry::word(
                    deps.now().wall,
                    "transcript_not_compared",
                    &seen,
                    &format!("as it was before is in {copy}"),
                );
                deps.records.happened(identity, entry);
                change(deps, agent, copied, |kept, at| drop(kept.copied.remove(at)));
                return Ok(());
            }
            Verdict::Cut(lost) => {
                let seen = format!(
                    "conversation {name} lost at least {lost} of {} records when it was resumed",
                    copied.records
                );
                tracing::warn!(agent = %identity, reason = "transcript_cut", "{seen}");
                let entry = Entry::word(deps.now().wall, "transcript_cut", &seen, "they are put back");
                deps.records.happened(identity, entry);
                change(deps, agent, copied, |kept, at| kept.copied[at].cut = true);
            }
        }
    }
    let copy = terminal::path(deps.paths.shown(&copied.copy)).to_string();
    let (code, seen) = match deps.conversation_files.put_back(&copied.copy, &copied.transcript).await {
        Ok(PutBack::Done(gained)) => {
            ("transcript_restored", format!("{gained} records of conversation {name} were put back"))
        }
        Ok(PutBack::NoCopy) => {
            ("transcript_cut", format!("records of conversation {name} are lost: their copy {copy} is gone"))
        }
        Ok(PutBack::InUse) => {
            return Err(format!(
                "conversation {name} lost records, and a process has its transcript open: they are put back when that ended; \
                 they are in {copy}"
            ));
        }
        Err(error) => {
            return Err(format!(
                "conversation {name} lost records, which could not be put back: {error}; they are in {copy}, and it is tried \
                 again at the agent's next start"
            ));
        }
    };
    tracing::warn!(agent = %identity, reason = code, "{seen}");
    deps.records.happened(identity, Entry::word(deps.now().wall, code, &seen, ""));
    change(deps, agent, copied, |kept, at| drop(kept.copied.remove(at)));
    Ok(())
}

fn change(deps: &Deps, agent: &AgentSpec, copied: &Copied, act: impl FnOnce(&mut Conversations, usize)) {
    deps.records.change_conversations(&agent.identity, |kept| {
        if let Some(at) = kept.copied.iter().position(|it| it.copy == copied.copy) {
            act(kept, at);
        }
    });
}

/// Removes the earlier copies of a conversation that nothing needs: it has all records that they have. What cannot be removed now
/// is in the way of nothing, and makes room later.
async fn remove_older(deps: &Deps, copied: &Copied) {
    let Some(name) = copied.copy.file_name().and_then(|name| name.to_str()) else { return };
    // `<time>.<agent>.<conversation>.jsonl`
    let Some((_, whose)) = name.split_once('.') else { return };
    let needed = deps.records.needed_copies();
    let Ok(all) = deps.conversation_files.list(&deps.paths.transcript_copies()).await else { return };
    for copy in all.iter().filter(|copy| copy.path < copied.copy && !needed.contains(&copy.path)) {
        let other =
            copy.path.file_name().and_then(|name| name.to_str()).and_then(|name| name.split_once('.'));
        if other.is_some_and(|(_, other)| other == whose) {
            let _ = deps.conversation_files.remove_copy(&copy.path).await;
        }
    }
}

/// Removes the oldest copies that nothing needs, so that one more can be made. An error when too many are needed.
pub async fn make_room(deps: &Deps) -> io::Result<()> {
    let needed = deps.records.needed_copies();
    let all = deps.conversation_files.list(&deps.paths.transcript_copies()).await?;
    let too_many = (all.len() + 1).saturating_sub(COPIES);
    let free: Vec<&Listed> = all.iter().filter(|copy| !needed.contains(&copy.path)).collect();
    let mut bytes = free.iter().fold(0_u64, |sum, copy| sum.saturating_add(copy.size));
    let mut removed = 0;
    // Their names begin with the time at which they were made.
    for copy in free {
        if removed >= too_many && bytes <= BYTES {
            break;
        }
        deps.conversation_files.remove_copy(&copy.path).await?;
        bytes = bytes.saturating_sub(copy.size);
        removed += 1;
    }
    if removed < too_many {
        return Err(io::Error::other(format!("{COPIES} copies of transcripts wait to be put back")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_comparison_says() {
        let there = |records, has_last| Ok(Compared::There { records, has_last });
        for (case, before, now, verdict) in [
            ("as before", 3, there(3, true), Verdict::Whole),
            ("more", 3, there(9, true), Verdict::Whole),
            ("one less", 3, there(2, true), Verdict::Cut(1)),
            ("empty", 3, there(0, false), Verdict::Cut(3)),
            ("cut, and more written since", 3, there(5, false), Verdict::Cut(1)),
            ("gone", 3, Ok(Compared::Gone), Verdict::Cut(3)),
            ("there was nothing", 0, Ok(Compared::Gone), Verdict::Whole),
            ("no copy", 3, Ok(Compared::NoCopy), Verdict::Whole),
            ("unreadable", 3, Err(io::Error::other("input/output error")), Verdict::Unknown),
            ("a line too long", 3, Err(io::ErrorKind::InvalidData.into()), Verdict::Never),
        ] {
            assert_eq!(judge(before, &now), verdict, "{case}");
        }
    }
}
