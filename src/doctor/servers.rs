//! Servers: asks tmux servers what runs in them, without a trace.
//!
//! Every question is one `tmux -N -S <socket> …`, mostly `list-sessions`, which connects to a living server only, attaches to nothing and
//! makes nothing: a supervisor's own way, a session to be attached to, would leave a trace. Sockets are named by path, because
//! tmux makes the directory of those it knows by name (3.3a). The server in use is also asked for its options and its clients, in
//! the same way. What the answers mean is [`tmux`](super::tmux)'s part.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use super::disk;
use crate::{
    agent::foreign,
    commands::{Command, CommandError},
    deps::Deps,
    service::adapters,
    sessions::tmux::{Ability, Meaning, OWN_SESSION, ability, meaning},
    town::settings::socket_of_variable,
};

/// How long the server may take to answer.
const LIMIT: Duration = Duration::from_secs(2);
/// How long `tmux -V` and any other server may take.
const SHORT: Duration = Duration::from_secs(1);
/// So many other sockets are asked.
const MOST: usize = 32;

/// One session a line. No name holds a `:`, and `//` stands in no path that a system made. The variables are those of the
/// session's environment.
const FORMAT: &str = "#{session_name}:#{GT_ROOT} // #{GT_TOWN_ROOT} // #{session_path}";

/// A session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// Its name.
    pub name: String,
    /// The towns its environment names: `GT_ROOT`, then `GT_TOWN_ROOT`, those that are set.
    pub towns: Vec<PathBuf>,
    /// The directory it was started in.
    pub path: String,
    /// The other town it is of, where its environment names one that is there.
    pub other_town: Option<PathBuf>,
}

/// What a server said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// There is none.
    NoServer,
    /// Its sessions.
    Sessions(Vec<Seen>),
    /// Nothing in time.
    TimedOut,
    /// Something else, in its words.
    Failed(String),
}

/// What was seen.
#[derive(Debug, Clone)]
pub struct Observed {
    /// The socket the supervisor uses.
    pub socket: PathBuf,
    /// What that server said.
    pub answer: Answer,
    /// A supervisor is connected over control mode.
    pub control: bool,
    /// `exit-unattached` is on: it ends when the last client leaves.
    pub exit_unattached: bool,
    /// `destroy-unattached` is on for all sessions that do not say otherwise.
    pub destroy_unattached: bool,
    /// The others.
    pub others: Vec<(PathBuf, Answer)>,
    /// How many more there are that were not asked.
    pub unasked: usize,
    /// Why the others are not known.
    pub unlisted: Option<String>,
    /// `GT_TMUX_SOCKET`, where the settings name another server than it does.
    pub beaten: Option<String>,
}

/// Looks; an error says why that cannot be done at all. `variable` is `GT_TMUX_SOCKET`.
pub async fn look(deps: &Deps, variable: Option<String>) -> Result<Observed, String> {
    let ability = version(deps).await?;
    let places = disk::tmux_places(adapters::socket(&deps.settings())).await;
    let (socket, directory) = places.map_err(|error| error.to_string())?;
    let named = socket_of_variable(variable.as_deref()).map(str::to_owned);
    let beaten = named.filter(|name| directory.join(name) != socket);
    let (others, unlisted) = match disk::sockets(&directory).await {
        Ok(others) => (others, None),
        Err(error) => (Vec::new(), Some(format!("{}: {error}", directory.display()))),
    };
    let own = disk::canonical(&socket).await;
    let others: Vec<PathBuf> = others.into_iter().filter(|other| *other != own).collect();
    let unasked = others.len().saturating_sub(MOST);
    let asked = others.into_iter().take(MOST).map(|other| async {
        let answer = list(deps, ability, &other, SHORT).await;
        (other, answer)
    });
    let (answer, control, (exit_unattached, destroy_unattached), others) = tokio::join!(
        list(deps, ability, &socket, LIMIT),
        control(deps, ability, &socket),
        options(deps, ability, &socket),
        futures::future::join_all(asked)
    );
    Ok(Observed {
        socket,
        answer,
        control,
        exit_unattached,
        destroy_unattached,
        others,
        unasked,
        unlisted,
        beaten,
    })
}

async fn version(deps: &Deps) -> Result<Ability, String> {
    let printed = run(deps, vec!["-V".to_owned()], SHORT).await.map_err(|error| error.to_string())?;
    Ok(ability(&String::from_utf8_lossy(&printed)))
}

async fn run(deps: &Deps, arguments: Vec<String>, limit: Duration) -> Result<Vec<u8>, CommandError> {
    let command = Command {
        program: deps.settings().commands.tmux.clone(),
        arguments,
        directory: PathBuf::from("/"),
        environment: [].into(),
        input: None,
        limit,
    };
    deps.commands.run(command).await.map(|printed| printed.stdout)
}

/// A command line that connects only. Older than 3.2 knows no `-N`, and starts no server for a list either.
fn line(ability: Ability, socket: &Path, more: &[&str]) -> Vec<String> {
    let only_living = if ability == Ability::Control { &["-u", "-N", "-S"][..] } else { &["-u", "-S"] };
    let words = only_living.iter().map(|word| (*word).to_owned());
    words.chain([socket.display().to_string()]).chain(more.iter().map(|word| (*word).to_owned())).collect()
}

async fn list(deps: &Deps, ability: Ability, socket: &Path, limit: Duration) -> Answer {
    let listed = run(deps, line(ability, socket, &["list-sessions", "-F", FORMAT]), limit).await;
    match listed {
        Ok(printed) => Answer::Sessions(of_towns(deps, sessions(&String::from_utf8_lossy(&printed))).await),
        Err(CommandError::TimedOut { .. }) => Answer::TimedOut,
        Err(CommandError::Failed { stderr, .. }) if meaning(&stderr) == Meaning::NoServer => Answer::NoServer,
        Err(CommandError::Failed { stderr, .. }) if meaning(&stderr) == Meaning::Empty => {
            Answer::Sessions(Vec::new())
        }
        Err(error) => Answer::Failed(error.to_string()),
    }
}

async fn of_towns(deps: &Deps, mut sessions: Vec<Seen>) -> Vec<Seen> {
    for session in &mut sessions {
        let other = foreign::other_town(&*deps.files, deps.paths.root(), &session.towns).await;
        session.other_town = other.unwrap_or_default();
    }
    sessions
}

fn sessions(printed: &str) -> Vec<Seen> {
    let seen = |line: &str| {
        let (name, rest) = line.split_once(':')?;
        let (root, rest) = rest.split_once(" // ")?;
        let (town_root, path) = rest.split_once(" // ")?;
        let towns =
            [root, town_root].into_iter().filter(|town| !town.is_empty()).map(PathBuf::from).collect();
        Some(Seen { name: name.to_owned(), towns, path: path.to_owned(), other_town: None })
    };
    printed.lines().filter_map(seen).collect()
}

/// Whether options are on by which agents end when nobody is attached: `exit-unattached`, and `destroy-unattached`, which
/// has more values than two since 3.4.
async fn options(deps: &Deps, ability: Ability, socket: &Path) -> (bool, bool) {
    let show = [
        "show-options",
        "-s",
        "-v",
        "exit-unattached",
        ";",
        "show-options",
        "-g",
        "-v",
        "destroy-unattached",
    ];
    let printed = run(deps, line(ability, socket, &show), LIMIT).await.unwrap_or_default();
    let printed = String::from_utf8_lossy(&printed);
    let mut on = printed.lines().map(|value| value != "off");
    (on.next().unwrap_or(false), on.next().unwrap_or(false))
}

/// Whether a supervisor's control client is connected. None is tried: tmux up to 3.5a can end, with every session, when
/// something happens while a control client identifies itself.
async fn control(deps: &Deps, ability: Ability, socket: &Path) -> bool {
    let list = line(ability, socket, &["list-clients", "-F", "#{client_control_mode}:#{session_name}"]);
    let printed = run(deps, list, LIMIT).await.unwrap_or_default();
    let connected = format!("1:{OWN_SESSION}");
    String::from_utf8_lossy(&printed).lines().any(|line| line == connected)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_read() {
        let seen = |name: &str, towns: &[&str], path: &str| Seen {
            name: name.into(),
            towns: towns.iter().map(PathBuf::from).collect(),
            path: path.into(),
            other_town: None,
        };
        assert_eq!(
            sessions("a b:/t // /u // /t/x\nc: //  // /home/a // b\nd: // /t // /\ne:/t // /x\njunk\n"),
            [seen("a b", &["/t", "/u"], "/t/x"), seen("c", &[], "/home/a // b"), seen("d", &["/t"], "/")]
        );
        assert_eq!(line(Ability::Subprocess, Path::new("/s"), &["x"]), ["-u", "-S", "/s", "x"]);
        assert_eq!(line(Ability::Control, Path::new("/s"), &["x"]), ["-u", "-N", "-S", "/s", "x"]);
    }
}
