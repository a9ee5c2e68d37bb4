//! Root: which directory is the town.
//!
//! The rule of Gas Town 0.2.6 to 0.3 (`internal/workspace/find.go`): `--town`, `GT_TOWN_ROOT`, `GT_ROOT`, then up
//! from the working directory. A wrong name is an error, never a reason to search elsewhere and supervise another
//! town. The disk is read only through [`Status`]; [`find_here`] uses the real disk and this process's variables.

use std::{
    io,
    path::{Component, Path, PathBuf},
};

use super::{files::Disk, paths::TownPaths};
use crate::terminal;

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

/// Why there is no town.
#[derive(Debug, thiserror::Error)]
pub enum RootError {
    /// The named directory does not exist.
    #[error("{by} names {}, which does not exist; name the directory that holds mayor/town.json", terminal::path(.path))]
    Missing {
        /// `--town` or the variable.
        by: &'static str,
        /// The named path.
        path: PathBuf,
    },
    /// A file was named, not a directory.
    #[error("{by} names {}, which is not a directory; name the directory that holds mayor/town.json", terminal::path(.path))]
    NotADirectory {
        /// `--town` or the variable.
        by: &'static str,
        /// The named path.
        path: PathBuf,
    },
    /// The named directory is not a town.
    #[error("{by} names {}, which is not a town: it has no mayor/town.json (`gt install` makes a town)", terminal::path(.path))]
    NotATown {
        /// `--town` or the variable.
        by: &'static str,
        /// The named path.
        path: PathBuf,
    },
    /// No town was named, and there is none at or above the working directory.
    #[error(
        "no town at or above {} (no mayor/town.json); go into one, or name it with --town or GT_TOWN_ROOT",
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

/// Finds the town for this process: `explicit`, or the one in its variables, or the one around its working directory.
pub fn find_here(explicit: Option<&Path>) -> Result<TownPaths, RootError> {
    let cwd = std::env::current_dir().map_err(RootError::WorkingDirectory)?;
    let env = |name: &str| std::env::var(name).ok();
    Ok(TownPaths::new(find(explicit, &env, &cwd, &Disk)?))
}

/// Finds the town's root, absolute and without symbolic links.
///
/// `explicit` is `--town`; `env` returns a variable, and an empty one counts as unset; `cwd` is absolute, and
/// relative names are relative to it.
pub fn find(
    explicit: Option<&Path>,
    env: &dyn Fn(&str) -> Option<String>,
    cwd: &Path,
    disk: &dyn Status,
) -> Result<PathBuf, RootError> {
    find_and_say(explicit, env, cwd, disk).map(|(root, _)| root)
}

/// Like [`find`]; also returns what named it: `--town` or the variable; `None` when it is the one around `cwd`.
pub fn find_and_say(
    explicit: Option<&Path>,
    env: &dyn Fn(&str) -> Option<String>,
    cwd: &Path,
    disk: &dyn Status,
) -> Result<(PathBuf, Option<&'static str>), RootError> {
    let by_variable = |variable| env(variable).filter(|value| !value.is_empty()).map(PathBuf::from);
    let named_by = explicit.map(|path| ("--town", path.to_owned())).or_else(|| {
        ["GT_TOWN_ROOT", "GT_ROOT"].into_iter().find_map(|variable| Some((variable, by_variable(variable)?)))
    });
    if let Some((by, path)) = named_by {
        return named(by, &cwd.join(path), disk).map(|root| (root, Some(by)));
    }
    let root = walk(cwd, disk)?.ok_or_else(|| RootError::NotFound { cwd: cwd.to_owned() })?;
    canonical(&root, disk).map(|root| (root, None))
}

fn named(by: &'static str, path: &Path, disk: &dyn Status) -> Result<PathBuf, RootError> {
    let path = path.to_owned();
    match kind(&path, disk)? {
        Kind::Missing => Err(RootError::Missing { by, path }),
        Kind::File => Err(RootError::NotADirectory { by, path }),
        Kind::Directory if is_town(&path, disk)? => canonical(&path, disk),
        Kind::Directory => Err(RootError::NotATown { by, path }),
    }
}

/// The nearest town above; inside a worktree the outermost, because a worktree of Gas Town's own source has a
/// `mayor/town.json` too. Without a town, the nearest directory that contains a `mayor`.
fn walk(cwd: &Path, disk: &dyn Status) -> Result<Option<PathBuf>, RootError> {
    let in_worktree = inside_worktree(cwd);
    let (mut town, mut fallback) = (None, None);
    for dir in cwd.ancestors() {
        if is_town(dir, disk)? {
            town = Some(dir.to_owned());
            if !in_worktree {
                break;
            }
        }
        if fallback.is_none() && kind(&dir.join("mayor"), disk)? == Kind::Directory {
            fallback = Some(dir.to_owned());
        }
    }
    Ok(town.or(fallback))
}

fn inside_worktree(path: &Path) -> bool {
    let mut names = path.components().filter_map(|component| match component {
        Component::Normal(name) => Some(name),
        _ => None,
    });
    names.any(|name| name == "polecats" || name == "crew") && names.next().is_some()
}

fn is_town(dir: &Path, disk: &dyn Status) -> Result<bool, RootError> {
    Ok(kind(&dir.join("mayor/town.json"), disk)? == Kind::File)
}

fn kind(path: &Path, disk: &dyn Status) -> Result<Kind, RootError> {
    disk.kind(path).map_err(|source| RootError::Unreadable { path: path.to_owned(), source })
}

fn canonical(path: &Path, disk: &dyn Status) -> Result<PathBuf, RootError> {
    disk.canonical(path).map_err(|source| RootError::Unreadable { path: path.to_owned(), source })
}

#[cfg(test)]
pub(crate) mod paper {
    use super::*;

    /// Files by path; their parents are directories.
    pub struct Paper(pub &'static [&'static str]);

    impl Status for Paper {
        fn kind(&self, path: &Path) -> io::Result<Kind> {
            if path.starts_with("/locked") {
                return Err(io::ErrorKind::PermissionDenied.into());
            }
            Ok(if self.0.iter().any(|file| Path::new(file) == path) {
                Kind::File
            } else if self.0.iter().any(|file| Path::new(file).starts_with(path)) {
                Kind::Directory
            } else {
                Kind::Missing
            })
        }

        fn canonical(&self, path: &Path) -> io::Result<PathBuf> {
            // What is below `/link` is that of `/own`.
            let linked = path.strip_prefix("/link").map(|rest| Path::new("/own").join(rest));
            Ok(linked.unwrap_or_else(|_| path.to_owned()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{paper::Paper, *};

    const DISK: Paper = Paper(&[
        "/gt/mayor/town.json",
        "/gt/r/polecats/Toast/r/mayor/town.json",
        "/gt/r/polecats/Toast/r/src/x",
        "/gt/r/crew/max/src/x",
        "/gt/inner/mayor/town.json",
        "/gt/inner/src/x",
        "/old/mayor/x",
        "/old/a/mayor/x",
        "/old/a/b/x",
        "/odd/mayor/town.json/x",
        "/file",
    ]);

    struct Case {
        name: &'static str,
        town: Option<&'static str>,
        env: &'static [(&'static str, &'static str)],
        cwd: &'static str,
        expected: Result<&'static str, &'static str>,
    }

    fn case(
        name: &'static str,
        town: Option<&'static str>,
        env: &'static [(&'static str, &'static str)],
        cwd: &'static str,
        expected: Result<&'static str, &'static str>,
    ) -> Case {
        Case { name, town, env, cwd, expected }
    }

    #[test]
    fn the_search() {
        for Case { name, town, env, cwd, expected } in [
            case("the root itself", None, &[], "/gt", Ok("/gt")),
            case("below it", None, &[], "/gt/r", Ok("/gt")),
            case("the nearest wins", None, &[], "/gt/inner/src", Ok("/gt/inner")),
            case("inside a polecat the outermost", None, &[], "/gt/r/polecats/Toast/r/src", Ok("/gt")),
            case("inside crew the outermost", None, &[], "/gt/r/crew/max", Ok("/gt")),
            case(
                "the polecats directory itself is no worktree",
                None,
                &[],
                "/gt/inner/polecats",
                Ok("/gt/inner"),
            ),
            case("nothing", None, &[], "/else/where", Err("no town at or above /else/where")),
            case("a mayor directory will do", None, &[], "/old", Ok("/old")),
            case("the nearest mayor directory", None, &[], "/old/a/b", Ok("/old/a")),
            case("town.json must be a file", None, &[], "/odd/x", Ok("/odd")),
            case("--town", Some("/gt"), &[], "/old", Ok("/gt")),
            case("--town relative", Some("inner"), &[], "/gt", Ok("/gt/inner")),
            case("--town beats the environment", Some("/gt"), &[("GT_TOWN_ROOT", "/nope")], "/", Ok("/gt")),
            case(
                "--town missing",
                Some("/nope"),
                &[],
                "/gt",
                Err("--town names /nope, which does not exist"),
            ),
            case(
                "--town a file",
                Some("/file"),
                &[],
                "/gt",
                Err("--town names /file, which is not a directory"),
            ),
            case(
                "--town does not walk",
                Some("/gt/r"),
                &[],
                "/gt",
                Err("--town names /gt/r, which is not a town"),
            ),
            case(
                "--town takes no bare mayor",
                Some("/old"),
                &[],
                "/gt",
                Err("--town names /old, which is not a town"),
            ),
            case(
                "GT_TOWN_ROOT",
                None,
                &[("GT_TOWN_ROOT", "/gt"), ("GT_ROOT", "/gt/inner")],
                "/old",
                Ok("/gt"),
            ),
            case("GT_ROOT", None, &[("GT_ROOT", "/gt/inner")], "/gt", Ok("/gt/inner")),
            case("an empty variable is unset", None, &[("GT_TOWN_ROOT", "")], "/gt", Ok("/gt")),
            case(
                "a wrong variable is an error",
                None,
                &[("GT_ROOT", "/nope")],
                "/gt",
                Err("GT_ROOT names /nope"),
            ),
            case(
                "not to be examined",
                None,
                &[],
                "/locked",
                Err("/locked/mayor/town.json cannot be examined"),
            ),
        ] {
            let env = |key: &str| env.iter().find(|(k, _)| *k == key).map(|(_, value)| (*value).to_owned());
            match (find(town.map(Path::new), &env, Path::new(cwd), &DISK), expected) {
                (Ok(root), Ok(expected)) => assert_eq!(root, Path::new(expected), "{name}"),
                (Err(error), Err(begin)) => assert!(error.to_string().starts_with(begin), "{name}: {error}"),
                (got, _) => panic!("{name}: {got:?}"),
            }
        }
    }
}
