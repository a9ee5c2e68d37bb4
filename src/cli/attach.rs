//! `attach`: puts a person's terminal into an agent's session.

use std::{env, path::Path};

use anyhow::{Context, bail};
use clap::Args;
use clap_complete::ArgValueCompleter;

use super::{
    completing,
    town::{TownArgument, asked},
};
use crate::{control::screens::SessionReport, sessions::tmux::attaching};

/// Attaches this terminal to an agent's tmux session, on the server of its town.
///
/// The command becomes the tmux client: detach as always in tmux (prefix, then d). Inside a client of the same server, that
/// client switches to the session.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  gastown-supervisor attach toast\n  gastown-supervisor attach gastown/witness --read-only"
)]
pub struct AttachArguments {
    /// The agent, in any spelling or by its own name
    #[arg(add = ArgValueCompleter::new(completing::agents))]
    agent: String,
    #[command(flatten)]
    town: TownArgument,
    /// Only watch: keys are not passed on to the agent
    #[arg(short, long)]
    read_only: bool,
}

/// Attaches. Returns only with an error, which says why there is nothing to attach to.
pub fn attach(arguments: &AttachArguments) -> anyhow::Result<()> {
    let client = asked(arguments.town.client_of_this_file())?;
    let found = asked(async { Ok(client.session(&arguments.agent, 0).await?) })?;
    let SessionReport { identity, session, socket, tmux, exists, .. } = found;
    if !exists {
        bail!(
            "{identity} has no session; `gastown-supervisor explain {identity}` says why, and `gastown-supervisor start \
             {identity}` starts one that may be started"
        );
    }
    let inside = env::var("TMUX").ok();
    let error =
        attaching::attach(&tmux, Path::new(&socket), &session, arguments.read_only, inside.as_deref());
    Err(error).with_context(|| format!("{tmux} cannot be run"))
}
