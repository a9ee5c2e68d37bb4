//! Finding: which `agents.toml` is meant, and that the town is not also Gas Town's. The disk is read only through [`Status`].

use std::{
    io,
    path::{Path, PathBuf},
};

use crate::{
    terminal,
    town::root::{Kind, Status},
};

/// The name of the file.
pub const NAME: &str = crate::town::paths::USUAL_FILE;

/// The file that makes a directory a Gas Town.
const GAS_TOWN: &str = "mayor/town.json";

/// Why there is no file.
#[derive(Debug, thiserror::Error)]
pub enum FindError {
    /// The named file does not exist.
    #[error("--file names {}, which does not exist", terminal::path(.0))]
    Missing(PathBuf),
    /// A directory was named.
    #[error("--file names {}, which is a directory; name the file in it", terminal::path(.0))]
    Directory(PathBuf),
    /// None was named, and there is none at or above the working directory.
    #[error("no agents.toml at or above {}; name one with --file", terminal::path(.0))]
    NotFound(PathBuf),
    /// The nearest town is Gas Town's.
    #[error("the town here is Gas Town's: {} has mayor/town.json", terminal::path(.0))]
    GasTown(PathBuf),
    /// A directory is both kinds of town.
    #[error(
        "{} has both agents.toml and mayor/town.json: it is a Gas Town or a town of one file, and not both; move one of the two \
         away",
        terminal::path(.0)
    )]
    Both(PathBuf),
    /// The file is in a Gas Town.
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
    /// The disk could not be read.
    #[error("{} cannot be examined: {source}", terminal::path(.path))]
    Unreadable {
        /// The path.
        path: PathBuf,
        /// The operating system's reason.
        source: io::Error,
    },
}

/// Finds the file, in a directory that is absolute and without symbolic links: `named`, or the nearest one at or above `cwd`, which
/// is absolute. What is at its path need not be a file that can be read.
pub fn find(named: Option<&Path>, cwd: &Path, disk: &dyn Status) -> Result<PathBuf, FindError> {
    match named {
        Some(path) => by_name(&cwd.join(path), disk),
        None => around(cwd, disk),
    }
}

fn by_name(path: &Path, disk: &dyn Status) -> Result<PathBuf, FindError> {
    let directory = path.parent().unwrap_or(path);
    match kind(path, disk)? {
        Kind::Missing => Err(FindError::Missing(path.to_owned())),
        Kind::Directory => Err(FindError::Directory(path.to_owned())),
        Kind::File if is_gas_town(directory, disk)? => Err(FindError::Both(directory.to_owned())),
        Kind::File => canonical(path, disk),
    }
}

/// A file nearer than any Gas Town, and in none: agents of a Gas Town work in directories of others, which may have one.
fn around(cwd: &Path, disk: &dyn Status) -> Result<PathBuf, FindError> {
    let mut found: Option<PathBuf> = None;
    for directory in cwd.ancestors() {
        let file = directory.join(NAME);
        let is_there = found.is_none() && kind(&file, disk)? == Kind::File;
        let (directory, is_gas_town) = (directory.to_owned(), is_gas_town(directory, disk)?);
        match (is_gas_town, found) {
            (true, _) if is_there => return Err(FindError::Both(directory)),
            (true, Some(file)) => return Err(FindError::Inside { file, town: directory }),
            (true, None) => return Err(FindError::GasTown(directory)),
            (false, before) => found = before.or(is_there.then_some(file)),
        }
    }
    canonical(&found.ok_or_else(|| FindError::NotFound(cwd.to_owned()))?, disk)
}

fn is_gas_town(directory: &Path, disk: &dyn Status) -> Result<bool, FindError> {
    Ok(kind(&directory.join(GAS_TOWN), disk)? == Kind::File)
}

fn kind(path: &Path, disk: &dyn Status) -> Result<Kind, FindError> {
    disk.kind(path).map_err(|source| FindError::Unreadable { path: path.to_owned(), source })
}

/// The file in the true path of its directory; a link to a file elsewhere keeps its place.
fn canonical(path: &Path, disk: &dyn Status) -> Result<PathBuf, FindError> {
    let (Some(directory), Some(name)) = (path.parent(), path.file_name()) else { return Ok(path.to_owned()) };
    let unreadable = |source| FindError::Unreadable { path: directory.to_owned(), source };
    Ok(disk.canonical(directory).map_err(unreadable)?.join(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::town::root::paper::Paper;

    #[test]
    fn which_file_is_meant() {
        let disk = Paper(&[
            "/own/agents.toml",
            "/own/src/deep/x",
            "/own/inner/agents.toml",
            "/own/mayor/notes",
            "/own/other.toml",
            "/own/odd/agents.toml/x",
            "/link/agents.toml",
            "/both/agents.toml",
            "/both/mayor/town.json",
            "/both/src/x",
            "/gt/mayor/town.json",
            "/gt/rig/x",
            "/gt/rig/app/agents.toml",
            "/home/agents.toml",
            "/home/gt/mayor/town.json",
            "/home/gt/rig/x",
        ]);
        for (name, named, cwd, expected) in [
            ("here", None, "/own", Ok("/own/agents.toml")),
            (
                "above; a directory of the name mayor is no Gas Town",
                None,
                "/own/src/deep",
                Ok("/own/agents.toml"),
            ),
            ("the nearest", None, "/own/inner", Ok("/own/inner/agents.toml")),
            ("a directory of that name", None, "/own/odd", Ok("/own/agents.toml")),
            ("by a link", None, "/link", Ok("/own/agents.toml")),
            ("none", None, "/else", Err("no agents.toml at or above /else; name one with --file")),
            ("named", Some("other.toml"), "/own", Ok("/own/other.toml")),
            ("named by its whole path", Some("/own/other.toml"), "/gt", Ok("/own/other.toml")),
            ("named in a Gas Town", Some("app/agents.toml"), "/gt/rig", Ok("/gt/rig/app/agents.toml")),
            (
                "named and missing",
                Some("x.toml"),
                "/own",
                Err("--file names /own/x.toml, which does not exist"),
            ),
            ("a named directory", Some("src"), "/own", Err("--file names /own/src, which is a directory")),
            ("both", None, "/both", Err("/both has both agents.toml and mayor/town.json")),
            ("both, from below", None, "/both/src", Err("/both has both")),
            ("both, named", Some("/both/agents.toml"), "/", Err("/both has both")),
            (
                "in a Gas Town",
                None,
                "/gt/rig/app",
                Err("/gt/rig/app/agents.toml is inside the Gas Town /gt: "),
            ),
            ("a Gas Town", None, "/gt/rig", Err("the town here is Gas Town's: /gt has mayor/town.json")),
            ("a Gas Town below a file", None, "/home/gt/rig", Err("the town here is Gas Town's: /home/gt")),
            ("not to be examined", None, "/locked", Err("/locked/agents.toml cannot be examined")),
        ] {
            match (find(named.map(Path::new), Path::new(cwd), &disk), expected) {
                (Ok(file), Ok(expected)) => assert_eq!(file, Path::new(expected), "{name}"),
                (Err(error), Err(begin)) => assert!(error.to_string().starts_with(begin), "{name}: {error}"),
                (got, _) => panic!("{name}: {got:?}"),
            }
        }
    }
}
