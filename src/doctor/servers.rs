//! Servers: lists what runs in tmux servers, without leaving a trace.
//!
//! Every question is one `tmux -N -S <socket> …`, mostly `list-sessions`, which only connects to a running server,
//! attaches to nothing and creates nothing. (The supervisor itself creates a session to attach to, which would leave a
//! trace.) Where a supervisor runs, its server is the one in use, whatever this shell's variables say. Sockets are named by path, because tmux creates the directory of those it knows by name (3.3a). The server in
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
const FORMAT: &str = "#{session_name}:#{s/\n/\u{1e}/:GT_ROOT} // #{s/\n/\u{1e}/:GT_TOWN_ROOT} // #{s/\n/\u{1e}/:BD_ACTOR} // #{s/\n/\u{1e}/:session_path}";

const OPTIONS: &[&str] =
    &["show-options", "-s", "-v", "exit-unattached", ";", "show-options", "-g", "-v", "destroy-unattached"];

const CLIENTS: &[&str] = &["list-clients", "-F", "#{client_control_mode}:#{session_name}"];

/// Queries the servers; an error says why that is impossible. `used` is the socket of a supervisor that runs, `variable` is
/// `GT_TMUX_SOCKET`.
pub async fn examine(
    deps: &Deps,
    town: &Town,
    used: Option<PathBuf>,
    variable: Option<String>,
) -> Result<Vec<Finding>, String> {
    let here = places(deps).await?;
    let is_same = match &used {
        Some(used) => disk::canonical(used).await == disk::canonical(&here.socket).await,
        None => true,
    };
    let socket = used.filter(|_| !is_same).unwrap_or_else(|| here.socket.clone());
    let places = Places { ability: here.ability, socket, directory: here.directory };
    let Places { ability, socket, directory } = &places;
    let (answer, options, clients, others, of_gt) = tokio::join!(
        list(deps, *ability, socket, LIMIT),
        run(deps, line(*ability, socket, OPTIONS), LIMIT),
        run(deps, line(*ability, socket, CLIENTS), LIMIT),
        others(deps, &places, town),
        server_of_gt(deps)
    );
    let named = socket_of_variable(variable.as_deref()).map(str::to_owned);
    let others = Others { beaten: named.filter(|name| directory.join(name) != here.socket), ..others };
    let shown = terminal::path(socket);
    let mut findings = tmux::of_own(&shown, &answer, town);
    findings.extend((!is_same).then(|| tmux::of_this_shell(socket, &here.socket)));
    findings.extend(of_gt.and_then(|name| tmux::of_gt(socket, &name)));
    findings.extend(tmux::of_options(&shown, unattached(&options.unwrap_or_default())));
    findings.extend(is_connected(&clients.unwrap_or_default()).then(tmux::connected));
    findings.extend(tmux::of_others(&shown, &answer, &others, town));
    Ok(findings)
}

/// The server of a town of one file, whose agents have these sessions.
pub async fn of_one_file(
    deps: &Deps,
    used: Option<PathBuf>,
    sessions: &[&str],
) -> Result<Vec<Finding>, String> {
    let Places { ability, socket, .. } = places(deps).await?;
    let socket = used.unwrap_or(socket);
    let (answer, options) =
        tokio::join!(list(deps, ability, &socket, LIMIT), run(deps, line(ability, &socket, OPTIONS), LIMIT),);
    let shown = terminal::path(&socket);
    // What the supervisor starts is exempt from the other option.
    let [exit, _] = unattached(&options.unwrap_or_default());
    let mut findings = vec![tmux::of_one_file(&shown, &answer, sessions)];
    findings.extend(tmux::of_options(&shown, [exit, false]));
    Ok(findings)
}

/// The process of the tmux server in use; `None` when there is none, or it does not say. `used` is the socket of a supervisor that
/// runs.
pub async fn process(deps: &Deps, used: Option<&Path>) -> Option<u32> {
    let places = places(deps).await.ok()?;
    let socket = used.unwrap_or(&places.socket);
    let printed = run(deps, line(places.ability, socket, &["list-sessions", "-F", "#{pid}"]), SHORT).await;
    printed.ok()?.lines().next()?.parse().ok()
}

/// What is known of this town's agents that the supervisor would not find.
pub async fn twins(deps: &Deps, town: &Town) -> Result<Vec<Finding>, String> {
    let places = places(deps).await?;
    let (answer, others) =
        tokio::join!(list(deps, places.ability, &places.socket, SHORT), others(deps, &places, town));
    Ok(tmux::twins(&terminal::path(&places.socket), &answer, &others, town))
}

/// The name of the tmux server that `gt` 1.x uses in this shell; `None` when it does not say, or not in time.
async fn server_of_gt(deps: &Deps) -> Option<String> {
    if !deps.dialect().facts().has_own_server {
        return None;
    }
    let settings = deps.settings();
    let mut environment = settings.env.clone();
    environment.extend(deps.dolt_variables());
    let command = Command {
        program: settings.commands.gt.clone(),
        arguments: vec!["status".to_owned(), "--json".to_owned()],
        directory: deps.paths.root().to_owned(),
        environment,
        input: None,
        limit: LIMIT,
    };
    named_in_status(&deps.commands.run(command).await.ok()?.stdout)
}

/// The server in what `gt status --json` prints (gt 1.0.1). The path beside it is not used: `gt` takes `/tmp` for the directory
/// of all sockets there.
fn named_in_status(printed: &[u8]) -> Option<String> {
    let status: serde_json::Value = serde_json::from_slice(printed).ok()?;
    status["tmux"]["socket"].as_str().filter(|name| !name.is_empty()).map(str::to_owned)
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
            forget_inherited(deps, (ability, socket), limit, &mut sessions).await;
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

/// Takes from sessions the agent that is named in the environment of the whole server: tmux shows it for each session that
/// has none of its own.
async fn forget_inherited(
    deps: &Deps,
    (ability, socket): (Ability, &Path),
    limit: Duration,
    sessions: &mut [Seen],
) {
    if sessions.iter().all(|session| session.agent.is_none()) {
        return;
    }
    let asked = run(deps, line(ability, socket, &["show-environment", "-g"]), limit).await;
    let inherited = asked.as_deref().map(actor_in);
    for session in sessions {
        match &inherited {
            Ok(actor) if session.agent.as_deref() != *actor => {}
            _ => session.agent = None,
        }
    }
}

/// The agent in the environment of a server.
fn actor_in(printed: &str) -> Option<&str> {
    printed.lines().find_map(|line| line.strip_prefix("BD_ACTOR="))
}

fn sessions(printed: &str) -> Vec<Seen> {
    let seen = |line: &str| {
        let (name, rest) = line.split_once(':')?;
        let (root, rest) = rest.split_once(" // ")?;
        let (town_root, rest) = rest.split_once(" // ")?;
        let (actor, path) = rest.split_once(" // ")?;
        let towns = [root, town_root].into_iter().filter(|town| !town.is_empty()).map(listed_path).collect();
        let agent = Some(actor.to_owned()).filter(|actor| !actor.is_empty());
        Some(Seen { name: name.to_owned(), agent, towns, path: listed_path(path), other_town: None })
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
    fn the_server_of_gt() {
        let recorded = include_bytes!("../../tests/fixtures/v1/status_json_gt_daemon.stdout");
        assert_eq!(named_in_status(recorded).as_deref(), Some("gt-c78608"));
        for other in
            ["", "[]", "{}", r#"{"tmux":{"socket":""}}"#, r#"{"tmux":{"socket":7}}"#, "not in a town"]
        {
            assert_eq!(named_in_status(other.as_bytes()), None, "{other}");
        }
    }

    #[test]
    fn lists_are_read() {
        let seen = |name: &str, towns: &[&str], agent: &str, path: &str| Seen {
            name: name.into(),
            agent: Some(agent.to_owned()).filter(|agent| !agent.is_empty()),
            towns: towns.iter().map(PathBuf::from).collect(),
            path: path.into(),
            other_town: None,
        };
        assert_eq!(
            sessions(
                "a b:/t // /u // deacon // /t/x\nc: //  //  // /home/a // b\nd: // /t //  // /\ne:/t // /x\njunk\n"
            ),
            [
                seen("a b", &["/t", "/u"], "deacon", "/t/x"),
                seen("c", &[], "", "/home/a // b"),
                seen("d", &["/t"], "", "/")
            ]
        );
        assert_eq!(actor_in("A=1\nBD_ACTOR=deacon\n-BD_ACTOR\n"), Some("deacon"));
        assert_eq!(actor_in("-BD_ACTOR\nXBD_ACTOR=mayor\n"), None);
        assert_eq!(unattached(""), [false, false]);
        assert_eq!(unattached("off\nkeep-last\n"), [false, true]);
        assert!(is_connected("0:a\n1:_supervisor\n") && !is_connected("1:a\n0:_supervisor\n"));
        assert_eq!(line(Ability::Subprocess, Path::new("/s"), &["x"]), ["-u", "-S", "/s", "x"]);
        assert_eq!(line(Ability::Control, Path::new("/s"), &["x"]), ["-u", "-N", "-S", "/s", "x"]);
    }
}
