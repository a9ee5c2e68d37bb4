//! The build script: finds the commit that `--version` names, in the variable `GTS_VERSION` of the compiler.
//!
//! A commit that cannot be found out is left out: then `--version` has the version alone. Only builds for users have one
//! (`cargo build --release`, `cargo install`): else each commit would have the library and all tests compiled anew.
#![allow(clippy::disallowed_methods, reason = "a build script reads the repository and runs git")]

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

/// How many digits of the commit are shown.
const DIGITS: usize = 7;

#[cfg_attr(test, expect(dead_code, reason = "tests call what it calls"))]
fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let version = env!("CARGO_PKG_VERSION");
    let for_users = env::var("PROFILE").is_ok_and(|profile| profile == "release");
    match for_users.then(|| found(Path::new(env!("CARGO_MANIFEST_DIR")), "git")).flatten() {
        None => println!("cargo:rustc-env=GTS_VERSION={version}"),
        Some(Found { commit, watched }) => {
            println!("cargo:rustc-env=GTS_VERSION={version} ({commit})");
            for path in watched {
                println!("cargo:rerun-if-changed={}", path.to_string_lossy());
            }
        }
    }
}

/// The commit, and the files that change with it. Each exists: cargo would run the script each time for one that does not.
#[derive(Debug)]
pub struct Found {
    /// Its first digits.
    pub commit: String,
    /// The files.
    pub watched: Vec<PathBuf>,
}

/// The commit of the sources in this directory: that of their own repository, or the one that cargo noted in the package.
pub fn found(root: &Path, git: &str) -> Option<Found> {
    of_repository(root, git).or_else(|| of_package(root))
}

fn of_repository(root: &Path, git: &str) -> Option<Found> {
    // A package that was unpacked inside another repository is not part of it.
    let top = ask(root, git, &["rev-parse", "--show-toplevel"])?;
    if fs::canonicalize(top).ok()? != fs::canonicalize(root).ok()? {
        return None;
    }
    let commit = shown(&ask(root, git, &["rev-parse", "HEAD"])?)?;
    let mut changes = vec!["HEAD".to_owned(), "logs/HEAD".to_owned(), "packed-refs".to_owned()];
    changes.extend(ask(root, git, &["symbolic-ref", "-q", "HEAD"]));
    let paths = changes.iter().filter_map(|name| ask(root, git, &["rev-parse", "--git-path", name]));
    let watched = paths.map(|path| root.join(path)).filter(|path| path.exists()).collect();
    Some(Found { commit, watched })
}

/// `cargo package` writes the commit into this file.
fn of_package(root: &Path) -> Option<Found> {
    let path = root.join(".cargo_vcs_info.json");
    let text = fs::read_to_string(&path).ok()?;
    let (_, after) = text.split_once("\"sha1\"")?;
    let commit = shown(after.split('"').nth(1)?)?;
    Some(Found { commit, watched: vec![path] })
}

fn shown(commit: &str) -> Option<String> {
    let is_commit = commit.len() >= 40 && commit.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_commit.then(|| commit[..DIGITS].to_owned())
}

/// What git answers, without the variables by which a hook would name another repository.
fn ask(root: &Path, git: &str, words: &[&str]) -> Option<String> {
    let mut command = Command::new(git);
    command.args(words).current_dir(root);
    for variable in ["GIT_DIR", "GIT_WORK_TREE", "GIT_COMMON_DIR", "GIT_INDEX_FILE"] {
        command.env_remove(variable);
    }
    let output = command.output().ok().filter(|output| output.status.success())?;
    Some(String::from_utf8(output.stdout).ok()?.trim_end().to_owned()).filter(|answer| !answer.is_empty())
}
