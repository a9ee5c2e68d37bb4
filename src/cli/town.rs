//! Shared by several subcommands: the options that name the town, the client, and whether output must be plain.

use std::{env, future::Future, io::IsTerminal, path::PathBuf};

use anyhow::Context;
use clap::{Args, ValueHint};

use crate::{
    Client,
    service::running,
    town::{
        paths::TownPaths,
        root::{self, Named},
    },
};

/// The options that name the town; they are understood before and after the subcommand.
#[derive(Debug, Args)]
pub struct TownArgument {
    /// The town: a directory with mayor/town.json or agents.toml [default: $GT_TOWN_ROOT, $GT_ROOT, $SUPERVISOR_TOWN, or the town around the working directory]
    #[arg(short, long, value_name = "DIR", global = true, value_hint = ValueHint::DirPath)]
    pub town: Option<PathBuf>,
    /// The town that is this file, an agents.toml under any name; in place of --town
    #[arg(long, value_name = "FILE", global = true, conflicts_with = "town", value_hint = ValueHint::FilePath)]
    pub file: Option<PathBuf>,
}

impl TownArgument {
    /// The town that the options name, if they do.
    pub fn named(&self) -> Named<'_> {
        Named { file: self.file.as_deref(), town: self.town.as_deref() }
    }

    /// The paths of the town; an error says why there is no such town.
    pub fn paths(&self) -> anyhow::Result<TownPaths> {
        // The messages contain their causes; a chain would repeat them.
        root::find_here(self.named()).map_err(anyhow::Error::msg)
    }

    /// The client for this town's supervisor.
    pub fn client(&self) -> anyhow::Result<Client> {
        Ok(Client::of(self.paths()?))
    }

    /// The same for a command that acts; an error says so when the supervisor that runs is that of another file in this directory.
    pub async fn client_of_this_file(&self) -> anyhow::Result<Client> {
        let paths = self.paths()?;
        is_of_this_file(&paths).await?;
        Ok(Client::of(paths))
    }
}

/// An error says that the supervisor that runs is that of another file in this directory: nothing is to be asked of it.
pub async fn is_of_this_file(paths: &TownPaths) -> anyhow::Result<()> {
    running::of_another_file(paths).await.map_or(Ok(()), |why| Err(anyhow::Error::msg(why)))
}

/// Runs a future to its end.
pub fn asked<T>(question: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.context("the async runtime cannot be created")?;
    let answer = runtime.block_on(question);
    // A disk that hangs must not delay the end of the command.
    runtime.shutdown_background();
    answer
}

/// The width of the terminal that standard output goes to; `None` where it is no terminal.
pub fn terminal_width() -> Option<usize> {
    let output = std::io::stdout();
    let size = output.is_terminal().then(|| rustix::termios::tcgetwinsize(&output).ok()).flatten()?;
    Some(usize::from(size.ws_col)).filter(|width| *width > 0)
}

/// Whether standard output should have no colours: it is no terminal, or `NO_COLOR` is set to any value.
pub fn plain() -> bool {
    env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty()) || !std::io::stdout().is_terminal()
}
