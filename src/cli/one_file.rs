//! One file: what the commands for a town of one file share: which file is meant, and how it is named to people.

use std::{
    env,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context, anyhow, bail};

use super::{running_sessions, town::TownArgument};
use crate::{
    agents_file::plan::{Definition, Plan},
    commands::runner::Runner,
    service::own_town,
    terminal,
    town::{
        files::Disk,
        identity::Identity,
        paths::TownPaths,
        root::{AGENTS_FILE, GAS_TOWN_VARIABLES, Kind, Status, TOWN_VARIABLE},
    },
};

/// The file of this town; in a Gas Town an error, which says with what the same is done there.
pub fn of(town: &TownArgument, command: &str, there: &str) -> anyhow::Result<(TownPaths, PathBuf)> {
    let paths = town.paths()?;
    match paths.agents_file() {
        Some(file) => Ok((paths, file)),
        None => bail!(
            "`{command}` is for a town that is one file, an agents.toml, and {} is a Gas Town: {there}",
            terminal::path(paths.root())
        ),
    }
}

/// The file that is to be made, in the true path of its directory. An error when the directory does not exist, or later commands
/// there would mean another town.
pub fn to_be_made(town: &TownArgument) -> anyhow::Result<PathBuf> {
    let cwd = env::current_dir().context("the working directory cannot be found out")?;
    let file = match (&town.file, &town.town) {
        (Some(file), _) => cwd.join(file),
        (None, Some(directory)) => cwd.join(directory).join(AGENTS_FILE),
        (None, None) => {
            no_variable_names_a_town()?;
            cwd.join(AGENTS_FILE)
        }
    };
    let (Some(directory), Some(name)) = (file.parent(), file.file_name()) else {
        bail!("{} is no name of a file", terminal::path(&file));
    };
    let directory = Disk.canonical(directory);
    let directory = directory.with_context(|| format!("{} cannot be made", terminal::path(&file)))?;
    Ok(directory.join(name))
}

fn no_variable_names_a_town() -> anyhow::Result<()> {
    let is_set = |name: &&str| env::var_os(name).is_some_and(|value| !value.is_empty());
    match GAS_TOWN_VARIABLES.into_iter().chain([TOWN_VARIABLE]).find(|name| is_set(name)) {
        Some(name) => bail!(
            "{name} is set, as for an agent: `gastown-supervisor` means the town that it names, whatever the directory; unset it, or \
             name the file with --file"
        ),
        None => Ok(()),
    }
}

/// The Gas Town that this directory is, or is in.
pub fn gas_town_around(directory: &Path) -> anyhow::Result<Option<PathBuf>> {
    for directory in directory.ancestors() {
        let file = directory.join("mayor/town.json");
        let kind = Disk.kind(&file).map_err(|error| anyhow!("{}: {error}", terminal::path(&file)))?;
        if kind == Kind::File {
            return Ok(Some(directory.to_owned()));
        }
    }
    Ok(None)
}

/// The file as it is seen from the working directory, for people.
pub fn shown(file: &Path) -> String {
    let here = env::current_dir().ok();
    let within = here.as_deref().and_then(|here| file.strip_prefix(here).ok());
    terminal::path(within.unwrap_or(file))
}

/// The option that names this file to our commands; empty where it is found without.
pub fn option(file: &Path) -> String {
    match file.file_name() {
        Some(name) if name == AGENTS_FILE => String::new(),
        _ => format!(" --file {}", shell_words::quote(&shown(file))),
    }
}

/// What this file means; an error has every mistake on a line of its own.
pub async fn plan(file: &Path) -> anyhow::Result<Arc<Plan>> {
    Ok(own_town::read(&Disk, file).await.map_err(anyhow::Error::msg)?.plan)
}

/// The name of an agent for people, by its identity.
pub fn called(identity: &str) -> String {
    identity.parse::<Identity>().map_or_else(|_| identity.to_owned(), |identity| identity.called())
}

/// The agents of a plan whose sessions run on its tmux server: the name of each, and its session. An error says why it cannot be asked.
pub async fn still_running(file: &Path, plan: &Plan) -> Result<Vec<(String, String)>, String> {
    let all = running_sessions::on(&Runner::default(), &running_sessions::socket(&plan.socket, file)).await?;
    let runs = |agent: &&Definition| all.iter().any(|session| session.name() == agent.session);
    Ok(plan.agents.iter().filter(runs).map(|it| (it.name.to_string(), it.session.clone())).collect())
}
