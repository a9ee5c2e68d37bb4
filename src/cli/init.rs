//! `init`: writes a first `agents.toml` for the programs and sessions that there are here.
//!
//! It creates one file, and never touches one that exists. tmux is only asked.

use std::path::Path;

use anyhow::{Context, bail};
use clap::Args;

use super::{
    complain, one_file, print,
    running_sessions::{self, Running},
    say,
    town::{TownArgument, asked},
};
use crate::{
    agents_file::{
        values::{KINDS, Kind},
        writing::{self, FoundSession},
    },
    commands::{Commands, runner::Runner},
    sessions::tmux::Socket,
    terminal,
    town::files,
};

/// Writes an agents.toml: which agents are to be kept running here.
///
/// A town of one file needs no Gas Town. It looks for agent programs on PATH, and for what runs in the sessions of your tmux server,
/// which is only asked. The first program is enabled; the others are commented out. A file that exists is never changed.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  gastown-supervisor init && gastown-supervisor up
  gastown-supervisor init --print")]
pub struct InitArguments {
    #[command(flatten)]
    town: TownArgument,
    /// Print the file, and write nothing
    #[arg(long)]
    print: bool,
}

/// Writes or prints it.
pub fn init(arguments: &InitArguments) -> anyhow::Result<()> {
    let InitArguments { town, print: only_print } = arguments;
    let file = one_file::to_be_made(town)?;
    let directory = file.parent().unwrap_or(&file);
    if let Some(gas_town) = one_file::gas_town_around(directory)? {
        bail!(
            "{} is in the Gas Town {}, whose agents are those of `gt`: `gastown-supervisor start` supervises them; for a town of one \
             file take a directory outside",
            terminal::path(directory),
            terminal::path(gas_town)
        );
    }
    let runner = Runner::default();
    let (programs, sessions) = asked(async { Ok((programs(&runner).await, sessions(&runner).await)) })?;
    let text = writing::init(&programs, &sessions, directory);
    if *only_print {
        return print(&text);
    }
    match files::create(&file, text.as_bytes()) {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            bail!("{} exists; `gastown-supervisor up` starts what it says", terminal::path(&file))
        }
        written => written.with_context(|| format!("{} cannot be written", terminal::path(&file)))?,
    }
    say(&next(&file, &programs, sessions.len()))
}

/// The kinds of agents whose programs are installed here.
async fn programs(commands: &dyn Commands) -> Vec<Kind> {
    let mut found = Vec::new();
    for program in KINDS.iter().filter_map(|(_, program)| *program) {
        if commands.locate(program).await.is_some() {
            found.push(Kind::of_command(program));
        }
    }
    found
}

/// The sessions of the user's tmux server that run something; none when it cannot be asked, which is said.
async fn sessions(commands: &dyn Commands) -> Vec<FoundSession> {
    match running_sessions::on(commands, &Socket::Default.path()).await {
        Ok(all) => {
            let found = all.into_iter().filter_map(|session| match session {
                Running::Program(found) => Some(found),
                Running::Shell(_) | Running::Unknown(_) => None,
            });
            found.filter(writing::can_be_named).collect()
        }
        Err(why) => {
            complain(&format!(
                "your tmux server was not asked for its sessions: {}",
                terminal::one_line(&why)
            ));
            Vec::new()
        }
    }
}

/// What was written, and what to do next.
fn next(file: &Path, programs: &[Kind], sessions: usize) -> String {
    let shown = one_file::shown(file);
    let found = match programs {
        [] => "no agent program on PATH".to_owned(),
        programs => programs.iter().map(|kind| kind.as_str()).collect::<Vec<_>>().join(", "),
    };
    let sessions = match sessions {
        0 => String::new(),
        1 => "; 1 session of your tmux server".to_owned(),
        count => format!("; {count} sessions of your tmux server"),
    };
    let option = one_file::option(file);
    let quoted = shell_words::quote(&shown).into_owned();
    let edit = match programs.first() {
        Some(kind) => format!("{kind} is enabled; uncomment the other agents that you want"),
        None => "add your agents to it".to_owned(),
    };
    format!(
        "{shown} is written ({found}{sessions})\nnext:\n  {edit}\n  gastown-supervisor settings --check {quoted}\n  \
         gastown-supervisor up{option}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_of_a_file() {
        let claude = Kind::of_command("claude");
        let said = next(Path::new("/x/agents.toml"), &[claude, Kind::of_command("codex")], 2);
        assert_eq!(
            said,
            "/x/agents.toml is written (claude, codex; 2 sessions of your tmux server)\nnext:\n  \
             claude is enabled; uncomment the other agents that you want\n  \
             gastown-supervisor settings --check /x/agents.toml\n  gastown-supervisor up"
        );
        let said = next(Path::new("/x/my town.toml"), &[], 0);
        assert!(said.contains("(no agent program on PATH)\n"), "{said}");
        assert!(
            said.ends_with("--check '/x/my town.toml'\n  gastown-supervisor up --file '/x/my town.toml'"),
            "{said}"
        );
    }
}
