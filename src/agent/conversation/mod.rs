//! Conversations: which conversation with its model an agent's program continues when it is started again.
//!
//! A program keeps each conversation in a transcript, under an id. The id is in the agent's [record](super::record), on disk
//! before the process exists that is to use it. [`places`] says where transcripts are, [`following`] in which conversation a
//! program ended, [`choice`] what the next start does, [`checking`] whether a resume cost records. The start itself is
//! [`start`](super::start)'s. Nothing here may start, type or end anything.

use std::path::PathBuf;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub mod checking;
pub mod choice;
pub mod following;
pub mod places;

/// The most transcripts of one agent that may wait to be put back; with more its conversation is not resumed.
pub const WAITING: usize = 8;

/// A conversation of an agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conversation {
    /// Its id, a UUID; `None` when the program chose it and did not say yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The program that knows it, as `Provider::name` spells it.
    pub program: String,
    /// The directory in which that program was started.
    pub directory: PathBuf,
    /// Where its transcript is, or will be; `None` while that is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transcript: Option<PathBuf>,
    /// When the program was last started with it.
    pub started: Timestamp,
}

/// A transcript that was copied before a resume.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Copied {
    /// The conversation's id.
    pub id: String,
    /// The transcript.
    pub transcript: PathBuf,
    /// The copy.
    pub copy: PathBuf,
    /// How many records both had then.
    pub records: u64,
    /// Whether it was found to have lost some, and is to be put back.
    #[serde(default)]
    pub cut: bool,
}

/// What is kept of an agent's conversations.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Conversations {
    /// The one its program is in, or was in last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub now: Option<Conversation>,
    /// The transcripts to be compared with their copies, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub copied: Vec<Copied>,
}

impl Conversations {
    /// Whether there is nothing to keep.
    pub fn is_empty(&self) -> bool {
        self.now.is_none() && self.copied.is_empty()
    }

    /// The ids of all conversations that are known to be its agent's.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        let now = self.now.iter().filter_map(|now| now.id.as_deref());
        now.chain(self.copied.iter().map(|copied| copied.id.as_str()))
    }
}

/// With which conversation an agent was started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Begun {
    /// With its last one, of this id.
    Resumes(String),
    /// With a new one, and why.
    Fresh(Fresh),
}

/// Why an agent that is to continue its conversation began a new one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fresh {
    /// It has none, as far as is known, or it was ended on request: who asks for that wants a new one.
    First,
    /// It is a trial after a crash loop: the conversation may be what ends the program.
    AfterCrashLoop,
    /// Its program, or where that works, is another than before.
    Moved,
    /// There is no transcript of its last one: nothing was said in it, or somebody removed it.
    NoTranscript,
    /// Its program says that it does not know it.
    NotFound,
    /// Its transcript could not be copied, or one that lost records could not be put back; so it was not touched.
    NotSafe(String),
    /// It is not known how its program continues one.
    UnknownProgram,
    /// Its arguments, or the command of its role, already say which one.
    OwnArguments,
    /// Only a shell can run its command, which then takes no arguments of ours.
    NeedsShell,
}

impl Begun {
    /// The code, for machines.
    pub fn code(&self) -> &'static str {
        match self {
            Begun::Resumes(_) => "conversation_resumed",
            Begun::Fresh(Fresh::NotFound) => "conversation_not_found",
            Begun::Fresh(Fresh::NotSafe(_)) => "conversation_not_safe",
            Begun::Fresh(_) => "conversation_fresh",
        }
    }
}

/// As much of an id as people need to tell it from others: its first 8 characters.
pub fn short(id: &str) -> &str {
    id.get(..8).unwrap_or(id)
}

impl std::fmt::Display for Begun {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Begun::Resumes(id) => write!(f, "resumes conversation {}", short(id)),
            Begun::Fresh(Fresh::First) => f.write_str("fresh conversation"),
            Begun::Fresh(why) => write!(f, "fresh conversation: {why}"),
        }
    }
}

impl std::fmt::Display for Fresh {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Fresh::First => f.write_str("it had none"),
            Fresh::AfterCrashLoop => f.write_str("trial after a crash loop"),
            Fresh::Moved => f.write_str("its program or directory changed"),
            Fresh::NoTranscript => f.write_str("its last one has no transcript"),
            Fresh::NotFound => f.write_str("its program does not know its last one"),
            Fresh::NotSafe(why) => write!(f, "its last one was not risked: {why}"),
            Fresh::UnknownProgram => f.write_str("its program has no known way to resume one"),
            Fresh::OwnArguments => f.write_str("its command line has arguments of its own for that"),
            Fresh::NeedsShell => {
                f.write_str("its command needs a shell, so no argument to resume a conversation can be added")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whose_ids_are_taken() {
        let now = Conversation {
            id: Some("now".to_owned()),
            program: "claude".to_owned(),
            directory: "/d".into(),
            transcript: None,
            started: Timestamp::UNIX_EPOCH,
        };
        let copied = Copied {
            id: "before".to_owned(),
            transcript: "/t".into(),
            copy: "/c".into(),
            records: 1,
            cut: false,
        };
        let unsaid = Conversation { id: None, ..now.clone() };
        for (case, now, copied, expected) in [
            ("nothing kept", None, vec![], &[][..]),
            ("its own", Some(now), vec![copied.clone()], &["now", "before"]),
            ("its program did not say", Some(unsaid), vec![copied], &["before"]),
        ] {
            let kept = Conversations { now, copied };
            assert_eq!(kept.ids().collect::<Vec<_>>(), expected, "{case}");
        }
    }

    #[test]
    fn begun_in_words() {
        let id = "1a2b3c4d-0000-4000-8000-000000000000".to_owned();
        for (begun, code, words) in [
            (Begun::Resumes(id), "conversation_resumed", "resumes conversation 1a2b3c4d"),
            (Begun::Resumes("é".to_owned()), "conversation_resumed", "resumes conversation é"),
            (Begun::Fresh(Fresh::First), "conversation_fresh", "fresh conversation"),
            (
                Begun::Fresh(Fresh::NotFound),
                "conversation_not_found",
                "fresh conversation: its program does not know its last one",
            ),
            (
                Begun::Fresh(Fresh::NotSafe("full".to_owned())),
                "conversation_not_safe",
                "fresh conversation: its last one was not risked: full",
            ),
        ] {
            assert_eq!((begun.code(), begun.to_string().as_str()), (code, words));
        }
    }
}
