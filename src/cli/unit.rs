//! `unit`: a service of systemd or launchd that runs the supervisor of this town.
//!
//! It writes one file, and only on request. It must not ask systemd to do anything.
#![allow(clippy::disallowed_methods, reason = "it installs a file in the home directory")]

use std::{
    collections::BTreeMap,
    env,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Context;
use clap::Args;

use super::{
    named, print, say,
    town::{TownArgument, asked},
};
use crate::{
    commands::{Command, Commands},
    service::{
        adapters,
        unit::{self, Kind, Service},
    },
    terminal,
    town::{files, own_directory, paths::TownPaths},
};

/// The variables that a unit takes from the one who makes it, beside `PATH`: they decide which tmux server is used, whether
/// tmux shows more than ASCII, and which account Claude Code uses.
const TAKEN: [&str; 6] = ["TMUX_TMPDIR", "GT_TMUX_SOCKET", "LANG", "LC_ALL", "LC_CTYPE", "CLAUDE_CONFIG_DIR"];

/// Prints a systemd user unit for this town.
///
/// It starts the supervisor at boot (with `loginctl enable-linger`), starts it again when it fails or no longer answers, and leaves
/// the agents alone when it stops. The unit has this shell's PATH, and its comments say how to use it, in a Gas Town also together with
/// `gt up`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  gastown-supervisor unit --town ~/gt\n  gastown-supervisor unit --town ~/gt --install"
)]
pub struct UnitArguments {
    #[command(flatten)]
    town: TownArgument,
    /// Make a launchd agent for macOS instead
    #[arg(long)]
    launchd: bool,
    /// Write it to ~/.config/systemd/user, or ~/Library/LaunchAgents
    #[arg(long)]
    install: bool,
    /// Replace a file that is different
    #[arg(long, requires = "install")]
    force: bool,
    /// The name of the unit, for a second town
    #[arg(long, default_value = unit::NAME, value_parser = name)]
    name: String,
}

/// Prints or installs it.
pub fn unit(arguments: &UnitArguments) -> anyhow::Result<()> {
    let paths = arguments.town.paths()?;
    let runner = adapters::commands(&paths);
    let service = Service {
        name: arguments.name.clone(),
        program: program()?,
        environment: environment(&paths)?,
        paths,
    };
    let kind = match arguments.launchd {
        true => Kind::Launchd,
        false => Kind::Systemd(asked(async { Ok(systemd_version(&runner).await) })?),
    };
    let text = service.text(kind)?;
    if !arguments.install {
        return print(&text);
    }
    let home = env::var_os("HOME").filter(|home| !home.is_empty()).context("HOME is not set")?;
    let path = Path::new(&home).join(service.path(kind));
    install(&path, &text, arguments.force)?;
    if kind == Kind::Launchd && service.paths.agents_file().is_some() {
        // launchd makes no directory for the log, and would not start it.
        let directory = service.paths.supervisor_dir();
        own_directory::prepare(&directory)
            .with_context(|| format!("{} cannot be created", terminal::path(&directory)))?;
    }
    say(&format!("{} is installed; next:", terminal::path(&path)))?;
    match kind {
        Kind::Systemd(_) => say(&format!(
            "  loginctl enable-linger\n  systemctl --user daemon-reload\n  systemctl --user enable --now {}",
            service.name
        )),
        Kind::Launchd => say(&format!("  launchctl bootstrap gui/$(id -u) {}", terminal::path(&path))),
    }
}

/// A name of a unit, in which nothing is a path or needs quotes.
fn name(text: &str) -> Result<String, String> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    match !text.is_empty() && text.chars().all(is_name) && !text.starts_with('.') && !text.contains("--") {
        true => Ok(text.to_owned()),
        false => Err("a name has letters, digits, `_`, `.` and single `-`".to_owned()),
    }
}

/// This program, under its long name where it is installed under both.
fn program() -> anyhow::Result<PathBuf> {
    let program = env::current_exe().context("the path of this program cannot be found out")?;
    let long = program.with_file_name(named::NAME);
    Ok(if long.is_file() { long } else { program })
}

fn environment(paths: &TownPaths) -> anyhow::Result<Vec<(String, String)>> {
    let path =
        env::var("PATH").context("PATH is not set, or no UTF-8: agents would not find their programs")?;
    // What is relative would mean another directory there.
    let mut absolute: Vec<&str> = Vec::new();
    for directory in path.split(':').filter(|directory| directory.starts_with('/')) {
        if !absolute.contains(&directory) {
            absolute.push(directory);
        }
    }
    let mut variables = vec![("PATH".to_owned(), absolute.join(":"))];
    let given = |name: &&str| env::var(name).ok().filter(|value| !value.is_empty());
    let counts = |name: &&&str| paths.agents_file().is_none() || !name.starts_with("GT_");
    variables.extend(TAKEN.iter().filter(counts).filter_map(|name| Some(((*name).to_owned(), given(name)?))));
    Ok(variables)
}

/// The version of systemd here; `None` where it cannot be found out.
async fn systemd_version(runner: &dyn Commands) -> Option<u32> {
    let command = Command {
        program: "systemctl".to_owned(),
        arguments: vec!["--version".to_owned()],
        directory: "/".into(),
        environment: BTreeMap::new(),
        input: None,
        limit: Duration::from_secs(5),
    };
    let printed = runner.run(command).await.ok()?;
    unit::version(&String::from_utf8_lossy(&printed.stdout))
}

/// Writes the file, unless there is another one.
fn install(path: &Path, text: &str, force: bool) -> anyhow::Result<()> {
    match files::read(path) {
        Ok(there) if there != text.as_bytes() && !force => anyhow::bail!(
            "{} exists and is different; nothing was written (--force replaces it, --name installs a second one)",
            terminal::path(path)
        ),
        Err(error) if error.kind() != std::io::ErrorKind::NotFound && !force => {
            anyhow::bail!("{} cannot be read: {error}; nothing was written", terminal::path(path))
        }
        _ => {}
    }
    files::replace(path, text.as_bytes(), 0o644)
        .with_context(|| format!("{} cannot be written", terminal::path(path)))
}
