//! Root: which town is meant, and of which kind it is.
//!
//! `--file` names a file that is a town, `--town` a directory. Then, by the rule of Gas Town 0.2.6 to 0.3
//! (`internal/workspace/find.go`), `GT_TOWN_ROOT` and `GT_ROOT`, the variable that agents of a town of one file have, and up from the
//! working directory: a directory with `mayor/town.json` is a Gas Town, one with `agents.toml` a town of one file, and none is both. A
//! wrong name is an error, never a reason to search elsewhere and supervise another town. The disk is read only through [`Status`];
//! [`find_here`] uses the real disk and this process's variables.

use std::{
    io,
    path::{Component, Path, PathBuf},
};

use super::{files::Disk, paths::TownPaths};
use crate::terminal;

/// The name of a file that is a town, where none is named.
pub const AGENTS_FILE: &str = "agents.toml";

/// The variable by which an agent of a town of one file knows its town: that file, or its directory.
pub const TOWN_VARIABLE: &str = "SUPERVISOR_TOWN";

/// The variables by which an agent of a Gas Town knows its town, in order of weight.
pub const GAS_TOWN_VARIABLES: [&str; 2] = ["GT_TOWN_ROOT", "GT_ROOT"];

/// The file that makes a directory a Gas Town.
const GAS_TOWN: &str = "mayor/town.json";

/// What is at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Nothing.
    Missing,
    /// A directory.
    Directory,
    /// A file, or anything else.
    File,
}

/// The port for the search. Symbolic links are followed.
pub trait Status {
    /// What is at this path.
    fn kind(&self, path: &Path) -> io::Result<Kind>;
    /// The absolute path without symbolic links.
    fn canonical(&self, path: &Path) -> io::Result<PathBuf>;
}

/// The town that somebody names; neither: the one of the variables, or around the working directory.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Named<'a> {
    /// `--file`: the file that is the town.
    pub file: Option<&'a Path>,
    /// `--town`: the directory of the town.
    pub town: Option<&'a Path>,
}

impl<'a> Named<'a> {
    /// The town in this directory, if one is given.
    pub fn directory(town: Option<&'a Path>) -> Self {
        Named { town, file: None }
    }

    /// The town that is this file.
    pub fn file(file: &'a Path) -> Self {
        Named { file: Some(file), town: None }
    }
}

/// Why there is no town.
#[derive(Debug, thiserror::Error)]
pub enum RootError {
    /// Two towns were named.
    #[error("--file and --town each name a town; give one of them")]
    Twice,
    /// The named directory does not exist.
    #[error("{by} names {}, which does not exist; name the directory that holds mayor/town.json{}", terminal::path(.path), or_file(.by))]
    Missing {
        /// `--town` or the variable.
        by: &'static str,
        /// The named path.
        path: PathBuf,
    },
    /// A file was named, not a directory.
    #[error("{by} names {}, which is not a directory; name the directory that holds mayor/town.json{}", terminal::path(.path), or_file(.by))]
    NotADirectory {
        /// `--town` or the variable.
        by: &'static str,
        /// The named path.
        path: PathBuf,
    },
    /// The named directory is not a town.
    #[error(
        "{by} names {}, which is not a town: it has no mayor/town.json (`gt install` makes a town){}",
        terminal::path(.path),
        if is_of_gas_town(.by) { "" } else { ", and no agents.toml" }
    )]
    NotATown {
        /// `--town` or the variable.
        by: &'static str,
        /// The named path.
        path: PathBuf,
    },
    /// The named file, or the directory that is to have one, does not exist.
    #[error("{by} names {}, which does not exist", terminal::path(.path))]
    NoFile {
        /// `--file` or the variable.
        by: &'static str,
        /// The named path.
        path: PathBuf,
    },
    /// A directory was named, and is to be a file.
    #[error("{by} names {}, which is a directory; name the file in it", terminal::path(.path))]
    Directory {
        /// `--file` or the variable.
        by: &'static str,
        /// The named path.
        path: PathBuf,
    },
    /// A directory is both kinds of town.
    #[error(
        "{} has both {} and mayor/town.json: it is a Gas Town or a town of one file, and not both; move one of the two away",
        terminal::path(.directory),
        terminal::path(.file)
    )]
    Both {
        /// The directory.
        directory: PathBuf,
        /// The name of the file.
        file: PathBuf,
    },
    /// The nearest file is in a Gas Town.
    #[error(
        "{} is inside the Gas Town {}: it is not clear which town is meant; name one, with --file or --town",
        terminal::path(.file),
        terminal::path(.town)
    )]
    Inside {
        /// The file.
        file: PathBuf,
        /// The root of the Gas Town.
        town: PathBuf,
    },
    /// No town was named, and there is none at or above the working directory.
    #[error(
        "no town at or above {} (no mayor/town.json and no agents.toml); go into one, or name it with --town, --file or GT_TOWN_ROOT",
        terminal::path(.cwd)
    )]
    NotFound {
        /// The working directory, where the search began.
        cwd: PathBuf,
    },
    /// There is no working directory.
    #[error("the working directory cannot be found out: {0}")]
    WorkingDirectory(io::Error),
    /// The disk could not be read.
    #[error("{} cannot be examined: {source}", terminal::path(.path))]
    Unreadable {
        /// The path.
        path: PathBuf,
        /// The operating system's reason.
        source: io::Error,
    },
}

fn is_of_gas_town(by: &str) -> bool {
    GAS_TOWN_VARIABLES.contains(&by)
}

fn or_file(by: &str) -> &'static str {
    if is_of_gas_town(by) { "" } else { " or agents.toml" }
}

/// Finds the town for this process: the named one, or the one in its variables, or the one around its working directory.
pub fn find_here(named: Named<'_>) -> Result<TownPaths, RootError> {
    let cwd = std::env::current_dir().map_err(RootError::WorkingDirectory)?;
    let env = |name: &str| std::env::var(name).ok();
    find(named, &env, &cwd, &Disk)
}

/// Finds the town, whose root is absolute and without symbolic links.
///
/// `env` returns a variable, and an empty one counts as unset; `cwd` is absolute, and relative names are relative to it.
pub fn find(
    named: Named<'_>,
    env: &dyn Fn(&str) -> Option<String>,
    cwd: &Path,
    disk: &dyn Status,
) -> Result<TownPaths, RootError> {
    find_and_say(named, env, cwd, disk).map(|(town, _)| town)
}

/// Like [`find`]; also returns what named it: the option or the variable; `None` when it is the one around `cwd`.
pub fn find_and_say(
    named: Named<'_>,
    env: &dyn Fn(&str) -> Option<String>,
    cwd: &Path,
    disk: &dyn Status,
) -> Result<(TownPaths, Option<&'static str>), RootError> {
    let by_variable = |variable: &&'static str| {
        let value = env(variable).filter(|value| !value.is_empty())?;
        Some((*variable, cwd.join(value)))
    };
    match named {
        Named { file: Some(_), town: Some(_) } => return Err(RootError::Twice),
        Named { file: Some(path), .. } => {
            let by = "--file";
            return by_file(by, &cwd.join(path), disk).map(|town| (town, Some(by)));
        }
        Named { town: Some(path), .. } => {
            let by = "--town";
            return by_directory(by, &cwd.join(path), disk).map(|town| (town, Some(by)));
        }
        Named { file: None, town: None } => {}
    }
    if let Some((by, path)) = GAS_TOWN_VARIABLES.iter().find_map(by_variable) {
        return by_directory(by, &path, disk).map(|town| (town, Some(by)));
    }
    if let Some((by, path)) = by_variable(&TOWN_VARIABLE) {
        return by_own_variable(by, path, disk).map(|town| (town, Some(by)));
    }
    around(cwd, disk).map(|town| (town, None))
}

/// The town that is this file.
fn by_file(by: &'static str, path: &Path, disk: &dyn Status) -> Result<TownPaths, RootError> {
    let directory = path.parent().unwrap_or(path);
    match kind(path, disk)? {
        Kind::Missing => Err(RootError::NoFile { by, path: path.to_owned() }),
        Kind::Directory => Err(RootError::Directory { by, path: path.to_owned() }),
        Kind::File if is_gas_town(directory, disk)? => Err(both(directory, path)),
        Kind::File => of_file(path, disk),
    }
}

/// The town in this directory, of either kind; a variable of Gas Town names none but its own.
fn by_directory(by: &'static str, path: &Path, disk: &dyn Status) -> Result<TownPaths, RootError> {
    match kind(path, disk)? {
        Kind::Missing => return Err(RootError::Missing { by, path: path.to_owned() }),
        Kind::File => return Err(RootError::NotADirectory { by, path: path.to_owned() }),
        Kind::Directory => {}
    }
    let file = path.join(AGENTS_FILE);
    match (is_gas_town(path, disk)?, kind(&file, disk)? == Kind::File) {
        (true, true) => Err(both(path, &file)),
        (true, false) => Ok(TownPaths::new(canonical(path, disk)?)),
        (false, true) if !is_of_gas_town(by) => of_file(&file, disk),
        (false, _) => Err(RootError::NotATown { by, path: path.to_owned() }),
    }
}

/// The town of one file that is at this path, or in this directory.
fn by_own_variable(by: &'static str, path: PathBuf, disk: &dyn Status) -> Result<TownPaths, RootError> {
    let file = match kind(&path, disk)? {
        Kind::Directory => path.join(AGENTS_FILE),
        Kind::Missing | Kind::File => path,
    };
    by_file(by, &file, disk)
}

/// The nearest town at or above this directory.
///
/// Inside a worktree it is the outermost Gas Town, because a worktree of Gas Town's own source has a `mayor/town.json` too. A file in
/// a Gas Town is refused: agents of one work in directories of others, which may have such a file. Without a town, it is the nearest
/// directory that contains a `mayor`.
fn around(cwd: &Path, disk: &dyn Status) -> Result<TownPaths, RootError> {
    let in_worktree = inside_worktree(cwd);
    let (mut town, mut own, mut fallback) = (None, None, None);
    for directory in cwd.ancestors() {
        let is_town = is_gas_town(directory, disk)?;
        if own.is_none() && kind(&directory.join(AGENTS_FILE), disk)? == Kind::File {
            own = Some(directory);
        }
        if is_town {
            town = Some(directory);
            if !in_worktree {
                break;
            }
        }
        if fallback.is_none() && kind(&directory.join("mayor"), disk)? == Kind::Directory {
            fallback = Some(directory);
        }
    }
    match (town, own) {
        (Some(town), Some(own)) if own == town => Err(both(town, &town.join(AGENTS_FILE))),
        (Some(town), Some(own)) if own.starts_with(town) => {
            Err(RootError::Inside { file: own.join(AGENTS_FILE), town: town.to_owned() })
        }
        (Some(town), _) => Ok(TownPaths::new(canonical(town, disk)?)),
        (None, Some(own)) => of_file(&own.join(AGENTS_FILE), disk),
        (None, None) => {
            let root = fallback.ok_or_else(|| RootError::NotFound { cwd: cwd.to_owned() })?;
            Ok(TownPaths::new(canonical(root, disk)?))
        }
    }
}

fn inside_worktree(path: &Path) -> bool {
    let mut names = path.components().filter_map(|component| match component {
        Component::Normal(name) => Some(name),
        _ => None,
    });
    names.any(|name| name == "polecats" || name == "crew") && names.next().is_some()
}

fn both(directory: &Path, file: &Path) -> RootError {
    let file = file.file_name().map_or_else(|| file.to_owned(), PathBuf::from);
    RootError::Both { directory: directory.to_owned(), file }
}

fn is_gas_town(directory: &Path, disk: &dyn Status) -> Result<bool, RootError> {
    Ok(kind(&directory.join(GAS_TOWN), disk)? == Kind::File)
}

fn kind(path: &Path, disk: &dyn Status) -> Result<Kind, RootError> {
    disk.kind(path).map_err(|source| RootError::Unreadable { path: path.to_owned(), source })
}

fn canonical(path: &Path, disk: &dyn Status) -> Result<PathBuf, RootError> {
    disk.canonical(path).map_err(|source| RootError::Unreadable { path: path.to_owned(), source })
}

/// The town that is this file, in the true path of its directory; a link to a file elsewhere keeps its place.
fn of_file(path: &Path, disk: &dyn Status) -> Result<TownPaths, RootError> {
    let no_file = || RootError::NoFile { by: "--file", path: path.to_owned() };
    let (directory, name) = path.parent().zip(path.file_name()).ok_or_else(no_file)?;
    TownPaths::of_file(&canonical(directory, disk)?.join(name)).ok_or_else(no_file)
}

#[cfg(test)]
#[path = "root_tests.rs"]
mod tests;
