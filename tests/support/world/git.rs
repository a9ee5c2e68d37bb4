//! git in the world: the whole town is a repository, and in it every worktree is one of its own.

use std::path::Path;

use gastown_supervisor::commands::{Command, CommandError, Printed};

use super::{Duration, State, TOWN, World, path};

/// Whether it contacts a remote.
pub(super) fn asks_a_remote(command: &Command) -> bool {
    matches!(command.arguments.first().map(String::as_str), Some("fetch" | "pull"))
}

impl World {
    /// Removes the repository of a directory, but not the directory.
    pub fn remove_repository(&self, relative: &str) {
        self.state().no_repositories.insert(path(relative));
    }

    /// Restores the repository of a directory.
    pub fn restore_repository(&self, relative: &str) {
        self.state().no_repositories.remove(&path(relative));
    }
}

impl State {
    /// Whether a directory is the top of a worktree.
    pub fn is_repository(&self, directory: &Path) -> bool {
        let Ok(relative) = directory.strip_prefix(TOWN) else { return false };
        let parts: Vec<_> = relative.iter().filter_map(|part| part.to_str()).collect();
        let is_worktree = match parts.as_slice() {
            [] | [_, "crew", _] | [_, "refinery" | "mayor", "rig"] => true,
            [rig, "polecats", _, last] => rig == last,
            _ => self.files.contains_key(&directory.join(".git")),
        };
        is_worktree && self.directories.contains(directory) && !self.no_repositories.contains(directory)
    }

    /// The worktree git finds from here; it does not search the ceiling and above.
    fn worktree<'a>(&self, command: &'a Command) -> Option<&'a Path> {
        let ceiling = command.environment.get("GIT_CEILING_DIRECTORIES").map(Path::new);
        let looked_at = command.directory.ancestors().take_while(|it| Some(*it) != ceiling);
        looked_at.into_iter().find(|directory| self.is_repository(directory))
    }

    pub(super) fn git(&mut self, now: Duration, command: &Command) -> Result<Printed, CommandError> {
        let words: Vec<&str> = command.arguments.iter().map(String::as_str).collect();
        let Some(top) = self.worktree(command) else {
            return Err(failed(
                command,
                128,
                "fatal: not a git repository (or any of the parent directories): .git",
            ));
        };
        let rebase = top.join(".git/rebase-merge");
        let busy = self.directories.contains(&rebase);
        let changes = matches!(words.as_slice(), ["pull" | "rebase", ..]);
        if !matches!(words.as_slice(), ["rev-parse", ..]) && top != command.directory {
            self.violated(
                now,
                format!("`{}` in {} acts on {}", command.line(), command.directory.display(), top.display()),
            );
        }
        if changes && busy {
            self.violated(
                now,
                format!("`{}` during somebody else's rebase in {}", command.line(), top.display()),
            );
        }
        let stdout = match words.as_slice() {
            ["rev-parse", "--show-toplevel"] => format!("{}\n", top.display()),
            ["rev-parse", "--git-path", ..] => {
                words[1..].chunks(2).map(|pair| format!(".git/{}\n", pair[1])).collect()
            }
            ["cat-file", "--batch-check"] => {
                let asked = command.input.as_deref().map(String::from_utf8_lossy).unwrap_or_default();
                asked.lines().map(|reference| format!("{reference} missing\n")).collect()
            }
            ["symbolic-ref", ..] => "refs/heads/main\n".to_owned(),
            _ => String::new(),
        };
        Ok(Printed { stdout: stdout.into_bytes(), stderr: Vec::new() })
    }
}

fn failed(command: &Command, code: i32, stderr: &str) -> CommandError {
    CommandError::Failed {
        line: command.line(),
        status: format!("exit code {code}"),
        code: Some(code),
        stdout: Vec::new(),
        stderr: stderr.to_owned(),
    }
}
