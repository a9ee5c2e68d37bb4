//! Shared by what reads an `agents.toml`: the check of a file, before it is the one of a town; and the values in force in a town that
//! is one.

use std::{
    collections::BTreeMap,
    env,
    ffi::OsStr,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, anyhow};
use serde_json::json;

use super::{complain, say, settings::Row, town::TownArgument};
use crate::{
    agents_file::{
        difference::difference,
        grammar,
        plan::Plan,
        reading::{Around, read},
    },
    service::own_town,
    terminal,
    town::{
        files::{Disk, Files},
        root::{self, Named, RootError},
        settings::{origins::places, toml_document::TomlDocument},
    },
};

/// Whether a file is read as an `agents.toml`: by its name, or because the town is one, under whatever name.
pub fn is_one(town: &TownArgument, file: &Path) -> bool {
    let ends = |end: &str| file.extension() == Some(OsStr::new(end));
    let here = || town.paths().is_ok_and(|paths| paths.agents_file().is_some());
    ends("toml") || (!ends("json") && here())
}

/// The values in force in the town that is this file, and where each comes from: a line of it, or the default.
pub async fn rows(file: &Path) -> anyhow::Result<Vec<Row>> {
    let town = own_town::read(&Disk, file).await.map_err(anyhow::Error::msg)?;
    let bytes = Disk.read(file).await.with_context(|| terminal::path(file))?;
    let name = file.file_name().map_or(file, Path::new);
    let places: BTreeMap<String, String> = TomlDocument::parse(name, &bytes)
        .map(|document| places(name, &document.entries()).into_iter().collect())
        .unwrap_or_default();
    let plan = &town.plan;
    // That of its own has the name by which tmux knows it (`-L`).
    let tmux = &town.settings.tmux;
    let socket = tmux.socket_path.as_ref().map(|path| path.to_string_lossy().into_owned());
    let socket = socket.or_else(|| tmux.socket_name.clone()).unwrap_or_else(|| "default".to_owned());
    let of_file = [
        ("socket", json!(socket)),
        ("limits.agents", json!(plan.limits.agents)),
        ("limits.replicas", json!(plan.limits.replicas)),
    ];
    let settings = plan.settings.shown().into_iter().filter(|(key, _)| grammar::has_meaning(key));
    let all = of_file.into_iter().map(|(key, value)| (key.to_owned(), value)).chain(settings);
    let from = |key: &str| places.get(key).cloned().unwrap_or_else(|| "default".to_owned());
    Ok(all.map(|(key, value)| (key.clone(), value, from(&key))).collect())
}

/// Says what is wrong in a file, or what it means. One of another name than `agents.toml` is compared with that of the town here, as
/// if it were to replace it.
pub async fn check(town: &TownArgument, file: &Path) -> anyhow::Result<ExitCode> {
    let cwd = env::current_dir().context("the working directory cannot be found out")?;
    let present = present(town, file, &cwd)?;
    let place = present.clone().unwrap_or_else(|| cwd.join(file));
    let plan = match plan(file, &place).await? {
        Ok(plan) => plan,
        Err(mistakes) => {
            complain(&mistakes);
            return Ok(ExitCode::FAILURE);
        }
    };
    say(&format!("{}: no mistakes\n{plan}", terminal::path(file)))?;
    if let Some(present) = present {
        let shown = terminal::path(&present);
        match self::plan(&present, &present).await? {
            Ok(old) => say(&compared(&shown, &old, &plan))?,
            Err(mistakes) => complain(&format!("not compared with {shown}, which has mistakes:\n{mistakes}")),
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The file of the town here, unless it is this one.
fn present(town: &TownArgument, file: &Path, cwd: &Path) -> anyhow::Result<Option<PathBuf>> {
    let env = |name: &str| env::var(name).ok();
    let found = match file.file_name() == Some(OsStr::new(root::AGENTS_FILE)) {
        true => root::find(Named::file(file), &env, cwd, &Disk).map(|_| None),
        false => root::find(town.named(), &env, cwd, &Disk).map(|town| town.agents_file()),
    };
    match found {
        Ok(found) => Ok(found),
        // A file can be checked where no town of this kind is.
        Err(RootError::NotFound { .. } | RootError::Inside { .. }) => Ok(None),
        Err(error) => Err(anyhow!("{error}")),
    }
}

/// The plan of a file, as if it were at this place; else its mistakes.
async fn plan(file: &Path, place: &Path) -> anyhow::Result<Result<Plan, String>> {
    let bytes = Disk.read(file).await.map_err(|error| anyhow!("{}: {error}", terminal::path(file)))?;
    let directory = place.parent().unwrap_or(place);
    let directory = Disk.real_path(directory).await.unwrap_or_else(|_| directory.to_owned());
    let home = own_town::home();
    let around = Around { directory: &directory, home: home.as_deref() };
    Ok(read(file, &bytes, around).map_err(|mistakes| mistakes.to_string()))
}

fn compared(with: &str, old: &Plan, new: &Plan) -> String {
    let changes = difference(old, new);
    let lines: String = changes.iter().map(|change| format!("\n  {change}")).collect();
    let lines = if lines.is_empty() { "\n  nothing changes".to_owned() } else { lines };
    format!("compared with {with}:{lines}")
}
