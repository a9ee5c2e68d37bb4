//! Visiting: what runs in the sessions of any tmux server, asked once and without leaving a trace.
//!
//! For commands of people that look at a server which need not be the town's. One plain client lists the panes; it attaches to
//! nothing, starts no server and changes nothing. The socket is named by its path, because tmux creates the directory of those it
//! knows by name. It must not judge what it finds.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Duration,
};

use super::{
    list::listed_path,
    target::OWN_SESSION,
    words::{Meaning, meaning},
};
use crate::commands::{Command, CommandError, Commands};

/// The time limit for the answer.
const LIMIT: Duration = Duration::from_secs(3);

/// The panes: no name of a session has a `:`, and a path comes last. A newline in it becomes another control character.
const PANES: &str =
    "#{session_id}:#{pane_id}:#{pane_pid}:#{pane_dead}:#{session_name}:#{s/\n/\u{1e}/:pane_current_path}";

/// What each pane was told to run, as tmux quotes it; empty where that was nothing but a shell.
const STARTS: &str = "#{pane_id}:#{s/\n/\u{1e}/:pane_start_command}";

/// One session, as its oldest pane shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Visited {
    /// Its name.
    pub name: String,
    /// The process that tmux started in the pane; `None` when it has ended, or is not known.
    pub process: Option<u32>,
    /// The words that the pane was told to run: one is a line for a shell. None: a shell of the user's.
    pub start: Vec<String>,
    /// The directory of what runs in it, as tmux knows it.
    pub directory: PathBuf,
}

/// The sessions of the server at this socket, in order of their names; none when no server runs there. An error says why it could not
/// be asked.
pub async fn sessions(
    commands: &dyn Commands,
    tmux: &str,
    socket: &Path,
) -> Result<Vec<Visited>, CommandError> {
    let words = ["list-panes", "-a", "-F", PANES, ";", "list-panes", "-a", "-F", STARTS];
    let socket = socket.to_string_lossy();
    let arguments = ["-u", "-S", &socket].into_iter().chain(words).map(str::to_owned).collect();
    let asked = commands.run(Command {
        program: tmux.to_owned(),
        arguments,
        directory: PathBuf::from("/"),
        environment: BTreeMap::new(),
        input: None,
        limit: LIMIT,
    });
    match asked.await {
        Ok(printed) => Ok(parse(&String::from_utf8_lossy(&printed.stdout))),
        Err(CommandError::Failed { stderr, .. })
            if matches!(meaning(&stderr), Meaning::NoServer | Meaning::Empty) =>
        {
            Ok(Vec::new())
        }
        Err(error) => Err(error),
    }
}

/// Reads both lists; lines of neither kind are skipped.
fn parse(text: &str) -> Vec<Visited> {
    let mut oldest: BTreeMap<String, (u64, Visited)> = BTreeMap::new();
    let mut starts: BTreeMap<u64, Vec<String>> = BTreeMap::new();
    for line in text.lines() {
        if let Some((number, visited)) = pane(line) {
            match oldest.get(&visited.name) {
                Some((older, _)) if *older <= number => {}
                _ => drop(oldest.insert(visited.name.clone(), (number, visited))),
            }
        } else if let Some((number, words)) = start(line) {
            starts.insert(number, words);
        }
    }
    let all = oldest.into_values().map(|(number, visited)| {
        let start = starts.remove(&number).unwrap_or_default();
        Visited { start, ..visited }
    });
    all.filter(|visited| visited.name != OWN_SESSION).collect()
}

fn number(pane: &str) -> Option<u64> {
    pane.strip_prefix('%')?.parse().ok()
}

fn pane(line: &str) -> Option<(u64, Visited)> {
    let mut fields = line.splitn(6, ':');
    let mut field = || fields.next();
    field()?.starts_with('$').then_some(())?;
    let (pane, pid, dead) = (number(field()?)?, field()?, field()?);
    let name = field().filter(|name| !name.is_empty())?.to_owned();
    let directory = listed_path(field()?);
    let process = pid.parse().ok().filter(|pid| *pid != 0 && dead != "1");
    Some((pane, Visited { name, process, start: Vec::new(), directory }))
}

fn start(line: &str) -> Option<(u64, Vec<String>)> {
    let (pane, command) = line.split_once(':')?;
    let words = shell_words::split(&command.replace('\u{1e}', "\n")).unwrap_or_default();
    Some((number(pane)?, words))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_oldest_pane_of_each_session() {
        let found = parse(
            "$2:%4:44:0:b c:/home/u/x:y\u{1e}z\n$2:%3:43:0:b c:/home/u\n$1:%1:41:1:a:/gone\n$0:%0:40:0:_supervisor:/\n\
             junk\n$1:%x:1:0:n:/\n$9:%9:0:0:z:\n\
             %0:\n%3:\"claude --resume \\\"a b\\\"\"\n%1:node server.js\n%4:other\n%9:'\n",
        );
        let visited = |name: &str, process, start: &[&str], directory: &str| Visited {
            name: name.to_owned(),
            process,
            start: start.iter().map(|it| (*it).to_owned()).collect(),
            directory: directory.into(),
        };
        assert_eq!(
            found,
            [
                visited("a", None, &["node", "server.js"], "/gone"),
                visited("b c", Some(43), &["claude --resume \"a b\""], "/home/u"),
                visited("z", None, &[], ""),
            ]
        );
    }

    proptest! {
        #[test]
        fn any_text_is_survived(text in any::<String>()) {
            parse(&text);
        }
    }
}
