//! Servers: lists what runs in tmux servers, without leaving a trace.
//!
//! Every question is one `tmux -N -S <socket> …`, mostly `list-sessions`, which only connects to a running server,
//! attaches to nothing and creates nothing. (The supervisor itself creates a session to attach to, which would leave a
//! trace.) Sockets are named by path, because tmux creates the directory of those it knows by name (3.3a). The server in
//! use is also asked for its options and its clients, in the same way. [`tmux`](super::tmux) judges the answers.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use super::{
    disk,
    finding::Finding,
    tmux::{self, Answer, Others, Seen, Town},
};
use crate::{
    agent::foreign,
    commands::{Command, CommandError},
    deps::Deps,
    service::adapters,
    sessions::tmux::{Ability, Meaning, OWN_SESSION, ability, listed_path, meaning},
    terminal,
    town::{dialect, settings::socket_of_variable},
};

/// The time limit of the supervisor's server.
const LIMIT: Duration = Duration::from_secs(2);
/// The time limit of `tmux -V` and of any other server.
const SHORT: Duration = Duration::from_secs(1);
/// Maximum number of other sockets that are queried.
const MOST: usize = 32;

/// One session per line. No name contains a `:`, no path made by a system contains `//`, and newlines are replaced.
/// The variables are those of the session's environment.
const FORMAT: &str =
    "#{session_name}:#{s/\n/\u{1e}/:GT_ROOT} // #{s/\n/\u{1e}/:GT_TOWN_ROOT} // #{s/\n/\u{1e}/:session_path}";

const OPTIONS: &[&str] =
    &["show-options", "-s", "-v", "exit-unattached", ";", "show-options", "-g", "-v", "destroy-unattached"];

const CLIENTS: &[&str] = &["list-clients", "-F", "#{client_control_mode}:#{session_name}"];

/// Queries the servers; an error says why that is impossible. `variable` is `GT_TMUX_SOCKET`.
pub async fn examine(deps: &Deps, town: &Town, variable: Option<String>) -> Result<Vec<Finding>, String> {
    let places = places(deps).await?;
    let Places { ability, socket, directory } = &places;
    let (answer, options, clients, others) = tokio::join!(
        list(deps, *ability, socket, LIMIT),
        run(deps, line(*ability, socket, OPTIONS), LIMIT),
        run(deps, line(*ability, socket, CLIENTS), LIMIT),
        others(deps, &places, town)
    );
    let named = socket_of_variable(variable.as_deref()).map(str::to_owned);
    let others = Others { beaten: named.filter(|name| directory.join(name) != *socket), ..others };
    let shown = terminal::path(socket);
    let mut findings = tmux::of_own(&shown, &answer, town);
    findings.extend(tmux::of_options(&shown, unattached(&options.unwrap_or_default())));
    findings.extend(is_connected(&clients.unwrap_or_default()).then(tmux::connected));
    findings.extend(tmux::of_others(&shown, &answer, &others, town));
    Ok(findings)
}

/// What is known of this town's agents that the supervisor would not find.
pub async fn twins(deps: &Deps, town: &Town) -> Result<Vec<Finding>, String> {
    let places = places(deps).await?;
    let (answer, others) =
        tokio::join!(list(deps, places.ability, &places.socket, SHORT), others(deps, &places, town));
    Ok(tmux::twins(&terminal::path(&places.socket), &answer, &others, town))
}

/// How and where tmux servers are asked.
struct Places {
    /// What the installed tmux can do.
    ability: Ability,
    /// The supervisor's socket.
    socket: PathBuf,
    /// The directory of the sockets that tmux knows by name.
    directory: PathBuf,
}

async fn places(deps: &Deps) -> Result<Places, String> {
    let printed = run(deps, vec!["-V".to_owned()], SHORT).await.map_err(|error| error.to_string())?;
    let socket = adapters::socket(&deps.settings(), deps.dialect(), &deps.paths).await;
    let (socket, directory) = disk::tmux_places(socket).await.map_err(|error| error.to_string())?;
    Ok(Places { ability: ability(&printed), socket, directory })
}

/// Asks the other servers, those first on which `gt` may have run agents of this town.
async fn others(deps: &Deps, Places { ability, socket, directory }: &Places, town: &Town) -> Others {
    let (all, unlisted) = match disk::sockets(directory).await {
        Ok(all) => (all, None),
        Err(error) => (Vec::new(), Some(format!("{}: {error}", terminal::path(directory)))),
    };
    let own = disk::canonical(socket).await;
    let mut others: Vec<PathBuf> = all.into_iter().filter(|other| *other != own).collect();
    if town.has_own_server {
        others.sort_by_key(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            !dialect::socket::is_candidate(&town.root, &name)
        });
    }
    let unasked = others.len().saturating_sub(MOST);
    let asked = others.into_iter().take(MOST).map(|other| async {
        let answer = list(deps, *ability, &other, SHORT).await;
        (other, answer)
    });
    Others { answers: futures::future::join_all(asked).await, unasked, unlisted, beaten: None }
}

async fn run(deps: &Deps, arguments: Vec<String>, limit: Duration) -> Result<String, CommandError> {
    let command = Command {
        program: deps.settings().commands.tmux.clone(),
        arguments,
        directory: PathBuf::from("/"),
        environment: [].into(),
        input: None,
        limit,
    };
    let printed = deps.commands.run(command).await?;
    Ok(String::from_utf8_lossy(&printed.stdout).into_owned())
}

/// A command line that only connects. tmux before 3.2 does not know `-N`, and starts no server for a list either.
fn line(ability: Ability, socket: &Path, more: &[&str]) -> Vec<String> {
    let only_living = if ability == Ability::Control { &["-u", "-N", "-S"][..] } else { &["-u", "-S"] };
    let socket = socket.to_string_lossy().into_owned();
    let words = only_living.iter().copied().chain([socket.as_str()]).chain(more.iter().copied());
    words.map(str::to_owned).collect()
}

async fn list(deps: &Deps, ability: Ability, socket: &Path, limit: Duration) -> Answer {
    match run(deps, line(ability, socket, &["list-sessions", "-F", FORMAT]), limit).await {
        Ok(printed) => {
            let mut sessions = sessions(&printed);
            for session in &mut sessions {
                let other = foreign::other_town(&*deps.files, deps.paths.root(), &session.towns).await;
                session.other_town = other.unwrap_or_default();
            }
            Answer::Sessions(sessions)
        }
        Err(CommandError::TimedOut { .. }) => Answer::TimedOut,
        Err(CommandError::Failed { stderr, .. }) if meaning(&stderr) == Meaning::NoServer => Answer::NoServer,
        Err(CommandError::Failed { stderr, .. }) if meaning(&stderr) == Meaning::Empty => {
            Answer::Sessions(Vec::new())
        }
        Err(error) => Answer::Failed(error.to_string()),
    }
}

fn sessions(printed: &str) -> Vec<Seen> {
    let seen = |line: &str| {
        let (name, rest) = line.split_once(':')?;
        let (root, rest) = rest.split_once(" // ")?;
        let (town_root, path) = rest.split_once(" // ")?;
        let towns = [root, town_root].into_iter().filter(|town| !town.is_empty()).map(listed_path).collect();
        Some(Seen { name: name.to_owned(), towns, path: listed_path(path), other_town: None })
    };
    printed.lines().filter_map(seen).collect()
}

/// Whether the options are on that end agents when no client is attached: `exit-unattached`, and
/// `destroy-unattached`, which has more than two values since 3.4.
fn unattached(printed: &str) -> [bool; 2] {
    let mut on = printed.lines().map(|value| value != "off");
    [on.next().unwrap_or(false), on.next().unwrap_or(false)]
}

/// Whether a supervisor's control client is connected. The doctor does not try one: tmux up to 3.5a can end, with
/// every session, when something happens while a control client identifies itself.
fn is_connected(printed: &str) -> bool {
    let connected = format!("1:{OWN_SESSION}");
    printed.lines().any(|line| line == connected)
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
        assert_eq!(unattached(""), [false, false]);
        assert_eq!(unattached("off\nkeep-last\n"), [false, true]);
        assert!(is_connected("0:a\n1:_supervisor\n") && !is_connected("1:a\n0:_supervisor\n"));
        assert_eq!(line(Ability::Subprocess, Path::new("/s"), &["x"]), ["-u", "-S", "/s", "x"]);
        assert_eq!(line(Ability::Control, Path::new("/s"), &["x"]), ["-u", "-N", "-S", "/s", "x"]);
    }
}
