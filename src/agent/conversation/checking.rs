//! Checking: whether resuming a conversation cost it records, and how they are put back.
//!
//! Programs have been seen to cut their own transcript when they continue it. So it is copied before, and compared a moment
//! after. What is missing is put back at once where no process has the transcript open, else when that has ended; what was
//! written since stays. What could not be counted proves nothing. It must not start or end anything.

use std::{io, time::Duration};

use super::{Conversations, Copied, short};
use crate::{
    agent::{history::Entry, spec::AgentSpec},
    deps::Deps,
    terminal,
    town::transcripts::PutBack,
};

/// How long after its start a program is expected to have done what it does to its transcript.
pub const AFTER: Duration = Duration::from_secs(10);

/// The most copies; older ones that are not needed are removed.
pub const COPIES: usize = 20;

/// The kind of problem that a transcript is that lost records.
const PROBLEM: &str = "transcript";

/// What a count says of a transcript that had `before` records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Whole,
    /// This many are missing.
    Cut(u64),
    Unknown,
}

fn judge(before: u64, now: &io::Result<Option<u64>>) -> Verdict {
    match now {
        Ok(now) => match before.saturating_sub(now.unwrap_or_default()) {
            0 => Verdict::Whole,
            lost => Verdict::Cut(lost),
        },
        Err(_) => Verdict::Unknown,
    }
}

/// Compares this agent's transcripts with the copies made before they were resumed, and puts back what is missing. An error says
/// what is not settled yet; it is reported, and to be tried again.
pub async fn compare(deps: &Deps, agent: &AgentSpec) -> Result<(), String> {
    let _turn = deps.starts.turn_to_compare(&agent.identity).await;
    let mut open = Vec::new();
    for copied in deps.records.conversations(&agent.identity).copied {
        if let Err(why) = settle(deps, agent, &copied).await {
            open.push(why);
        }
    }
    let key = agent.problem_key(PROBLEM);
    if open.is_empty() {
        deps.problems.clear(&key);
        return Ok(());
    }
    let text = open.join("; ");
    deps.problems.report(key, format!("{}: {text}", agent.identity));
    Err(text)
}

async fn settle(deps: &Deps, agent: &AgentSpec, copied: &Copied) -> Result<(), String> {
    let (identity, name) = (&agent.identity, short(&copied.id));
    if !copied.cut {
        let now = deps.transcripts.count(&copied.transcript).await;
        match judge(copied.records, &now) {
            Verdict::Whole => {
                change(deps, agent, copied, |kept, at| drop(kept.copied.remove(at)));
                return Ok(());
            }
            Verdict::Unknown => {
                let why = now.err().map(|error| error.to_string()).unwrap_or_default();
                return Err(format!("the transcript of conversation {name} cannot be counted: {why}"));
            }
            Verdict::Cut(lost) => {
                let seen = format!(
                    "conversation {name} lost {lost} of {} records when it was resumed",
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
    match deps.transcripts.put_back(&copied.copy, &copied.transcript).await {
        Ok(PutBack::Done(gained)) => {
            let seen = format!("{gained} records of conversation {name} were put back");
            tracing::warn!(agent = %identity, reason = "transcript_restored", "{seen} from {copy}");
            deps.records.happened(identity, Entry::word(deps.now().wall, "transcript_restored", &seen, ""));
            change(deps, agent, copied, |kept, at| drop(kept.copied.remove(at)));
            Ok(())
        }
        Ok(PutBack::InUse) => Err(format!(
            "conversation {name} lost records, and a process has its transcript open: they are put back when that ended; \
             they are in {copy}"
        )),
        Err(error) => Err(format!(
            "conversation {name} lost records, which could not be put back: {error}; they are in {copy}, and it is tried \
             again at the agent's next start"
        )),
    }
}

fn change(deps: &Deps, agent: &AgentSpec, copied: &Copied, act: impl FnOnce(&mut Conversations, usize)) {
    deps.records.change_conversations(&agent.identity, |kept| {
        if let Some(at) = kept.copied.iter().position(|it| it.copy == copied.copy) {
            act(kept, at);
        }
    });
}

/// Removes the oldest copies that nothing needs, so that one more can be made. An error when all are needed.
pub async fn make_room(deps: &Deps) -> io::Result<()> {
    let needed = deps.records.needed_copies();
    let all = deps.transcripts.list(&deps.paths.transcript_copies()).await?;
    let too_many = (all.len() + 1).saturating_sub(COPIES);
    let mut removed = 0;
    // Their names begin with the time at which they were made.
    for copy in all.iter().filter(|copy| !needed.contains(&copy.path)).take(too_many) {
        deps.transcripts.remove_copy(&copy.path).await?;
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
    fn what_a_count_says() {
        let error = || Err(io::Error::other("input/output error"));
        for (case, before, now, verdict) in [
            ("as before", 3, Ok(Some(3)), Verdict::Whole),
            ("more", 3, Ok(Some(9)), Verdict::Whole),
            ("one less", 3, Ok(Some(2)), Verdict::Cut(1)),
            ("empty", 3, Ok(Some(0)), Verdict::Cut(3)),
            ("gone", 3, Ok(None), Verdict::Cut(3)),
            ("there was nothing", 0, Ok(None), Verdict::Whole),
            ("unreadable", 3, error(), Verdict::Unknown),
        ] {
            assert_eq!(judge(before, &now), verdict, "{case}");
        }
    }
}
