//! Shared by what reads an `agents.toml`: the check of a file, before it is the one of a town.

use std::{
    env,
    ffi::OsStr,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, anyhow};

use super::{complain, say, town::TownArgument};
use crate::{
    agents_file::{
        difference::difference,
        finding::{self, FindError},
        plan::Plan,
        reading::{Around, read},
    },
    terminal,
    town::files::{Disk, Files},
};

/// Whether a file is read as an `agents.toml`.
pub fn is_one(file: &Path) -> bool {
    file.extension() == Some(OsStr::new("toml"))
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
    let found = match file.file_name() == Some(OsStr::new(finding::NAME)) {
        true => finding::find(Some(file), cwd, &Disk).map(|_| None),
        false => finding::find(None, &town.town.as_ref().map_or(cwd.to_owned(), |dir| cwd.join(dir)), &Disk)
            .map(Some),
    };
    match found {
        Ok(found) => Ok(found),
        // A file can be checked where no town of this kind is.
        Err(FindError::NotFound(_) | FindError::GasTown(_) | FindError::Inside { .. }) => Ok(None),
        Err(error) => Err(anyhow!("{error}")),
    }
}

/// The plan of a file, as if it were at this place; else its mistakes.
async fn plan(file: &Path, place: &Path) -> anyhow::Result<Result<Plan, String>> {
    let bytes = Disk.read(file).await.map_err(|error| anyhow!("{}: {error}", terminal::path(file)))?;
    let directory = place.parent().unwrap_or(place);
    let directory = Disk.real_path(directory).await.unwrap_or_else(|_| directory.to_owned());
    let home = env::var_os("HOME").map(PathBuf::from).filter(|home| home.is_absolute());
    let around = Around { directory: &directory, home: home.as_deref() };
    Ok(read(file, &bytes, around).map_err(|mistakes| mistakes.to_string()))
}

fn compared(with: &str, old: &Plan, new: &Plan) -> String {
    let changes = difference(old, new);
    let lines: String = changes.iter().map(|change| format!("\n  {change}")).collect();
    let lines = if lines.is_empty() { "\n  nothing changes".to_owned() } else { lines };
    format!("compared with {with}:{lines}")
}
