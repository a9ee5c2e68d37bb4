//! Running sessions: what the sessions of a tmux server run, in the words of `agents.toml`, for `init` and `adopt`.
//!
//! The server is asked, and the process table is read; nothing is attached to, typed into, started or ended.

use std::path::{Path, PathBuf};

use crate::{
    agent::shells::{self, are_shells},
    agents_file::{
        values::{Kind, Socket},
        writing::FoundSession,
    },
    commands::Commands,
    processes::{Invocation, is_interpreter, table::SystemProcesses},
    sessions::tmux::{
        self,
        visiting::{self, Visited},
    },
    town::dialect::socket,
};

/// The program that is asked.
const TMUX: &str = "tmux";

/// A session of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Running {
    /// Something runs in it.
    Program(FoundSession),
    /// Nothing runs in it but a shell.
    Shell(String),
    /// What runs in it is not known: it has ended, or cannot be read.
    Unknown(String),
}

impl Running {
    /// The name of the session.
    pub fn name(&self) -> &str {
        match self {
            Running::Program(found) => &found.name,
            Running::Shell(name) | Running::Unknown(name) => name,
        }
    }
}

/// The sessions of the server at this socket, by name; none when no server runs there. An error says why it cannot be asked.
pub async fn on(commands: &dyn Commands, socket: &Path) -> Result<Vec<Running>, String> {
    let visited = visiting::sessions(commands, TMUX, socket).await.map_err(|error| error.to_string())?;
    let (processes, mut all) = (SystemProcesses::new(), Vec::new());
    for session in visited {
        let runs = match session.process {
            Some(pid) => processes.foreground(pid).await,
            None => None,
        };
        all.push(running(session, runs));
    }
    Ok(all)
}

/// The socket of a server that is named as in this file.
pub fn socket(server: &Socket, file: &Path) -> PathBuf {
    let socket = match server {
        Socket::Own => tmux::Socket::Name(socket::of_file(file)),
        Socket::Users => tmux::Socket::Default,
        Socket::Named(name) => tmux::Socket::Name(name.clone()),
        Socket::Path(path) => tmux::Socket::Path(path.clone()),
    };
    socket.path()
}

/// What a session runs: the command that it was created with, else the program that has its terminal now. A program may change its own
/// arguments, so that the command comes first.
fn running(session: Visited, runs: Option<Invocation>) -> Running {
    let Visited { name, start, directory, .. } = session;
    let created_with = match start.as_slice() {
        [] => None,
        [line] => Some(line.clone()),
        words => Some(shell_words::join(words)),
    };
    let is_bare_shell = |words: &[String]| words.is_empty() || shells::is_bare(words);
    let created_with =
        created_with.filter(|line| !shell_words::split(line).is_ok_and(|words| is_bare_shell(&words)));
    let dir = runs.as_ref().and_then(|it| it.directory.clone()).unwrap_or(directory);
    let command = match (created_with, runs) {
        (_, None) => return Running::Unknown(name),
        (Some(line), Some(_)) => line,
        (None, Some(runs)) if are_shells(&runs.names()) && is_bare_shell(&runs.arguments) => {
            return Running::Shell(name);
        }
        (None, Some(runs)) => line_of(&runs),
    };
    Running::Program(FoundSession { name, command, dir })
}

/// The line that runs this again. A script is its own program, not its interpreter with a path.
fn line_of(runs: &Invocation) -> String {
    let words = match runs.arguments.as_slice() {
        [interpreter, script, ..] if is_interpreter(interpreter) && is_script(script, runs) => {
            &runs.arguments[1..]
        }
        words => words,
    };
    shell_words::join(words)
}

fn is_script(word: &str, runs: &Invocation) -> bool {
    // The kernel cuts the name of a process off after 15 bytes.
    let name = word.rsplit('/').next().unwrap_or_default();
    let is_named_so = name == runs.comm || runs.comm.len() == 15 && name.starts_with(&runs.comm);
    is_named_so || word.contains('/') && Kind::of_command(&shell_words::quote(word)) != Kind::PLAIN
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runs(comm: &str, words: &[&str]) -> Option<Invocation> {
        Some(Invocation {
            pid: 7,
            born: 1,
            ancestors: Vec::new(),
            comm: comm.to_owned(),
            executable: None,
            arguments: words.iter().map(|it| (*it).to_owned()).collect(),
            directory: Some("/where".into()),
        })
    }

    #[test]
    fn what_a_session_runs() {
        let (shell, unknown) = ("(a shell)", "(unknown)");
        for (name, start, runs, expected) in [
            (
                "the command it was created with",
                &["claude --resume 'a b'"][..],
                runs("claude", &["claude"]),
                "claude --resume 'a b'",
            ),
            (
                "the command it was created with, word by word",
                &["node", "a b.js"],
                runs("node", &["node", "a b.js"]),
                "node 'a b.js'",
            ),
            ("a shell, and a program in it", &[], runs("claude", &["claude", "-c"]), "claude -c"),
            ("it was created with a shell", &["bash -l"], runs("vi", &["vi", "x"]), "vi x"),
            ("a shell", &[], runs("bash", &["-bash"]), shell),
            ("a shell with options", &[], runs("zsh", &["/bin/zsh", "-l", "-i"]), shell),
            ("a line in a shell", &[], runs("sh", &["sh", "-c", "a; b"]), "sh -c 'a; b'"),
            ("a script in a shell", &[], runs("bash", &["bash", "./run.sh"]), "bash ./run.sh"),
            ("a script", &[], runs("run.sh", &["/bin/sh", "./run.sh", "x y"]), "./run.sh 'x y'"),
            (
                "one with a long name",
                &[],
                runs("a-long-name-of-", &["/bin/sh", "./a-long-name-of-a.sh"]),
                "./a-long-name-of-a.sh",
            ),
            ("claude by node", &[], runs("node", &["node", "/usr/bin/claude", "--x"]), "/usr/bin/claude --x"),
            ("another by node", &[], runs("node", &["node", "/srv/server.js"]), "node /srv/server.js"),
            ("it has ended", &["claude"], None, unknown),
        ] {
            let start = start.iter().map(|it| (*it).to_owned()).collect();
            let visited = Visited { name: "s".into(), process: Some(7), start, directory: "/at".into() };
            let shown = match running(visited, runs) {
                Running::Program(found) => {
                    assert_eq!(found.dir, Path::new("/where"), "{name}");
                    found.command
                }
                Running::Shell(_) => shell.to_owned(),
                Running::Unknown(_) => unknown.to_owned(),
            };
            assert_eq!(shown, expected, "{name}");
        }
    }
}
