//! Choice: whether a start continues the agent's conversation, and with which arguments. Pure.

use std::path::Path;

use super::{Conversation, Fresh};
use crate::{
    agent::{
        lifecycle::Attempt,
        program::{AgentProgram, provider::Resuming},
    },
    town::{dialect::Dialect, settings::Resume},
};

/// What is known before a start.
#[derive(Debug, Clone, Copy)]
pub struct Known<'a> {
    /// What the settings want for its role.
    pub wanted: Resume,
    /// How the start counts.
    pub attempt: Attempt,
    /// How its program continues a conversation.
    pub way: Option<&'a Resuming>,
    /// Whether its command line already says with which conversation.
    pub says_itself: bool,
    /// Its last conversation.
    pub last: Option<&'a Conversation>,
    /// Its program, as `Provider::name` spells it.
    pub program: &'a str,
    /// Its directory.
    pub directory: &'a Path,
}

/// What a start does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Choice<'a> {
    /// It starts as it would without this; nothing is kept.
    AsEver,
    /// With a new conversation.
    Fresh(Fresh),
    /// With this one, if its transcript is there and safe.
    Continue(&'a Conversation),
}

/// Chooses. The transcript is not looked at yet.
pub fn choose(known: Known<'_>) -> Choice<'_> {
    let fresh = match known {
        Known { wanted: Resume::Fresh, .. } => return Choice::AsEver,
        Known { way: None, .. } => Fresh::UnknownProgram,
        Known { says_itself: true, .. } => Fresh::OwnArguments,
        Known { last: None, .. } => Fresh::First,
        Known { attempt: Attempt::Trial, .. } => Fresh::AfterCrashLoop,
        Known { last: Some(last), program, directory, .. }
            if last.program != program || last.directory != directory =>
        {
            Fresh::Moved
        }
        Known { last: Some(last), .. } => return Choice::Continue(last),
    };
    Choice::Fresh(fresh)
}

/// How this program continues a conversation. A program by another name than the provider's own may be anything that takes its
/// place, and is not given arguments that it may not know.
pub fn way(dialect: Dialect, program: &AgentProgram) -> Option<&'static Resuming> {
    let built_in = program.provider.built_in(dialect);
    let is_itself = built_in.command == Some(program.base_name());
    built_in.resuming.as_ref().filter(|_| is_itself)
}

/// Whether these arguments say with which conversation to begin.
pub fn says_itself(way: &Resuming, args: &[String]) -> bool {
    args.iter().any(|arg| {
        let word = arg.split_once('=').map_or(arg.as_str(), |(word, _)| word);
        way.own_words.contains(&word)
    })
}

/// The arguments with which a new conversation gets this id; none where the program chooses it.
pub fn begin(way: &Resuming, id: &str) -> Vec<String> {
    way.begin.iter().flat_map(|flag| [(*flag).to_owned(), id.to_owned()]).collect()
}

/// The arguments with which the conversation of this id is continued.
pub fn resume(way: &Resuming, id: &str) -> Vec<String> {
    vec![way.resume.to_owned(), id.to_owned()]
}

/// Whether a screen says that the program does not know the conversation that it was to continue.
pub fn is_unknown(way: &Resuming, screen: &[String]) -> bool {
    // A narrow terminal breaks the line.
    screen.concat().contains(way.not_found)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use jiff::Timestamp;

    use super::*;
    use crate::agent::program::provider::preset_in;

    const ID: &str = "0c4e1d2a-7b5f-4c3d-9e8f-a1b2c3d4e5f6";

    #[test]
    fn what_a_start_does() {
        let last = Conversation {
            id: Some(ID.to_owned()),
            program: "claude".to_owned(),
            directory: PathBuf::from("/d"),
            transcript: None,
            started: Timestamp::UNIX_EPOCH,
        };
        let way = claude();
        let known = Known {
            wanted: Resume::Same,
            attempt: Attempt::Restart(1),
            way: Some(way),
            says_itself: false,
            last: Some(&last),
            program: "claude",
            directory: Path::new("/d"),
        };
        for (case, known, choice) in [
            ("after a crash", known, Choice::Continue(&last)),
            ("nobody saw it end", Known { attempt: Attempt::Fresh, ..known }, Choice::Continue(&last)),
            (
                "asked for, and not running",
                Known { attempt: Attempt::Asked, ..known },
                Choice::Continue(&last),
            ),
            ("not wanted", Known { wanted: Resume::Fresh, ..known }, Choice::AsEver),
            ("the first", Known { last: None, ..known }, Choice::Fresh(Fresh::First)),
            ("a trial", Known { attempt: Attempt::Trial, ..known }, Choice::Fresh(Fresh::AfterCrashLoop)),
            (
                "the first is a trial",
                Known { last: None, attempt: Attempt::Trial, ..known },
                Choice::Fresh(Fresh::First),
            ),
            ("another program", Known { program: "codex", ..known }, Choice::Fresh(Fresh::Moved)),
            ("another directory", Known { directory: Path::new("/e"), ..known }, Choice::Fresh(Fresh::Moved)),
            ("no known way", Known { way: None, ..known }, Choice::Fresh(Fresh::UnknownProgram)),
            ("its own arguments", Known { says_itself: true, ..known }, Choice::Fresh(Fresh::OwnArguments)),
        ] {
            assert_eq!(choose(known), choice, "{case}");
        }
    }

    fn claude() -> &'static Resuming {
        way(Dialect::V1, &preset_in(Dialect::V1, "claude").unwrap()).unwrap()
    }

    #[test]
    fn the_words_of_each_program() {
        for dialect in [Dialect::January, Dialect::V1] {
            for (name, first, later) in [
                ("claude", format!("--session-id {ID}"), format!("--resume {ID}")),
                ("codex", String::new(), format!("resume {ID}")),
            ] {
                let way = way(dialect, &preset_in(dialect, name).unwrap()).unwrap();
                assert_eq!((begin(way, ID).join(" "), resume(way, ID).join(" ")), (first, later), "{name}");
            }
            for name in ["gemini", "cursor", "auggie", "amp"] {
                assert_eq!(way(dialect, &preset_in(dialect, name).unwrap()), None, "{name}");
            }
        }
        let preset = preset_in(Dialect::January, "claude").unwrap();
        for (command, is_known) in [("/opt/bin/claude", true), ("aider", false), ("claude-wrapped", false)] {
            let program = AgentProgram { command: command.to_owned(), ..preset.clone() };
            assert_eq!(way(Dialect::January, &program).is_some(), is_known, "{command}");
        }
    }

    #[test]
    fn arguments_of_its_own() {
        let codex = way(Dialect::V1, &preset_in(Dialect::V1, "codex").unwrap()).unwrap();
        for (way, args, says) in [
            (claude(), "--dangerously-skip-permissions --model opus", false),
            (claude(), "--continue", true),
            (claude(), "-c", true),
            (claude(), "--resume=abc", true),
            (claude(), "--session-id abc", true),
            (codex, "--yolo -c model=x", false),
            (codex, "resume --last", true),
        ] {
            let args: Vec<String> = args.split(' ').map(str::to_owned).collect();
            assert_eq!(says_itself(way, &args), says, "{args:?}");
        }
    }

    #[test]
    fn a_program_that_does_not_know_it() {
        let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
        let line = format!("No conversation found with session ID: {ID}");
        for (screen, is) in [
            (line.as_str(), true),
            ("No conversation found with se\nssion ID: 0c4e1d2a", true),
            ("> ", false),
            ("No conversations found to resume", false),
            ("", false),
        ] {
            assert_eq!(is_unknown(claude(), &lines(screen)), is, "{screen:?}");
        }
    }
}
