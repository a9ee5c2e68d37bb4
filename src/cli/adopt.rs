//! `adopt`: turns a running tmux session into an agent of `agents.toml`.
//!
//! The session is only looked at. The file gets lines at its end, as a whole and only if it is still what was read.

use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail};
use clap::Args;
use serde_json::Value;

use super::{
    one_file, print,
    running_sessions::{self, Running},
    say,
    town::{TownArgument, asked},
};
use crate::{
    agents_file::{
        reading::{Around, read},
        values::{self, Socket, agent_name},
        writing::{self, Adopted, FoundSession},
    },
    commands::runner::Runner,
    service::{own_town, running},
    terminal,
    town::{
        files::{self, Disk, Files},
        paths::TownPaths,
    },
};

/// Makes a running tmux session an agent: adds its lines to the agents.toml.
///
/// The session goes on as it is: its command and its directory are read, nothing is typed or ended. A running supervisor sees the new
/// lines by itself. The agents of a file run on a tmux server of their own, unless it has a `socket`: a session of another server
/// cannot be taken over from there.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  gastown-supervisor adopt work
  gastown-supervisor adopt work --name mayor --from-socket default")]
pub struct AdoptArguments {
    /// The session, by its exact name
    session: String,
    #[command(flatten)]
    town: TownArgument,
    /// The name of the agent [default: that of the session]
    #[arg(long, value_parser = name)]
    name: Option<String>,
    /// The tmux server of the session: `default`, a name (tmux -L) or a path (tmux -S) [default: that of the file, or your default one]
    #[arg(long, value_name = "SERVER", value_parser = server)]
    from_socket: Option<Socket>,
    /// Add it although it runs on another server: the supervisor starts the agent anew, beside the session
    #[arg(long)]
    anyway: bool,
}

fn name(text: &str) -> Result<String, String> {
    agent_name(text).map(|name| name.to_string())
}

fn server(text: &str) -> Result<Socket, String> {
    values::socket(&Value::from(text))
}

/// Adds the lines. An error says why there is nothing to add; then the file is as it was.
pub fn adopt(arguments: &AdoptArguments) -> anyhow::Result<()> {
    let AdoptArguments { session, town, name, from_socket, anyway } = arguments;
    let (paths, file) = one_file::of(town, "adopt", "its agents are made by `gt`")?;
    asked(async {
        let before = Disk.read(&file).await.map_err(|error| anyhow!("{}: {error}", terminal::path(&file)))?;
        let home = own_town::home();
        let around = Around { directory: paths.root(), home: home.as_deref() };
        let plan = read(&file, &before, around).map_err(anyhow::Error::msg)?;
        let from = from_socket.clone().unwrap_or_else(|| match &plan.socket {
            Socket::Own => Socket::Users,
            named => named.clone(),
        });
        let server = running_sessions::socket(&from, &file);
        let is_there = server == running_sessions::socket(&plan.socket, &file);
        let found = found(session, (&from, &server)).await?;
        if !is_there && !anyway {
            bail!("{}", elsewhere(&found, &from, &plan.socket));
        }
        let text = std::str::from_utf8(&before).with_context(|| terminal::path(&file))?;
        let adopted =
            writing::adopt(&file, text, &found, name.as_deref(), around).map_err(anyhow::Error::msg)?;
        write(&file, &before, &adopted).await?;
        say(&format!("added to {}:\n", one_file::shown(&file)))?;
        print(&adopted.added)?;
        say(&format!("\n{}", next(&paths, &file, &adopted, is_there).await))
    })
}

/// What runs in the session of exactly this name.
async fn found(name: &str, (from, socket): (&Socket, &Path)) -> anyhow::Result<FoundSession> {
    let all = running_sessions::on(&Runner::default(), socket).await;
    let all = all.map_err(|why| anyhow!("{from} cannot be asked: {}", terminal::one_line(&why)))?;
    let shown = terminal::one_line(name);
    match all.iter().find(|session| session.name() == name) {
        Some(Running::Program(found)) if found.dir.to_str().is_none() => {
            bail!("the directory of the session {shown} is no UTF-8 text, which the file cannot hold")
        }
        Some(Running::Program(found)) => Ok(found.clone()),
        Some(Running::Shell(_)) => bail!(
            "in the session {shown} nothing runs but a shell: start the program in it first, or write its lines into the file yourself"
        ),
        Some(Running::Unknown(_)) => {
            bail!(
                "what runs in the session {shown} is not known: it has ended, or may not be read; nothing was written"
            )
        }
        None => {
            let names: Vec<String> = all.iter().map(|it| terminal::one_line(it.name())).collect();
            match names.as_slice() {
                [] => bail!(
                    "{from} has no session {shown}, and no other (`--from-socket` names another server)"
                ),
                names => bail!("{from} has no session {shown}; it has: {}", names.join(", ")),
            }
        }
    }
}

fn elsewhere(session: &FoundSession, from: &Socket, own: &Socket) -> String {
    let (name, command) = (terminal::one_line(&session.name), terminal::one_line(&session.command));
    let socket = match from {
        Socket::Own | Socket::Users => "default".to_owned(),
        Socket::Named(name) => name.clone(),
        Socket::Path(path) => path.to_string_lossy().into_owned(),
    };
    format!(
        "the session {name} runs on {from}, and the agents of the file on {own}: `{command}` would be started there anew, beside the one \
         that runs; nothing was written. With `socket = {}` at the top of the file its agents run on that server, and this session is \
         taken over as it is; or give --anyway",
        Value::from(terminal::one_line(&socket))
    )
}

async fn write(file: &Path, before: &[u8], adopted: &Adopted) -> anyhow::Result<()> {
    let (path, before, content): (PathBuf, _, _) = (file.to_owned(), before.to_vec(), adopted.whole.clone());
    let written = tokio::task::spawn_blocking(move || files::amend(&path, &before, content.as_bytes())).await;
    let shown = terminal::path(file);
    match written.context("writing was interrupted")? {
        Ok(true) => Ok(()),
        Ok(false) => bail!("{shown} was changed meanwhile, and nothing was written: try it again"),
        Err(error) => Err(error).with_context(|| format!("{shown} cannot be written")),
    }
}

/// What becomes of it now.
async fn next(paths: &TownPaths, file: &Path, adopted: &Adopted, is_there: bool) -> String {
    let name = &adopted.name;
    let runs = matches!(running::is_free(paths).await, Ok(false));
    let option = one_file::option(file);
    match (runs, is_there) {
        (true, true) => format!("the running supervisor takes {name} over as it is"),
        (true, false) => format!("the running supervisor starts {name} anew; end the old session yourself"),
        (false, true) => format!("`gastown-supervisor up{option}` takes {name} over as it is"),
        (false, false) => {
            format!("`gastown-supervisor up{option}` starts {name} anew; end the old session yourself before")
        }
    }
}
