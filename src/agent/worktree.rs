//! Worktree: git in an agent's own worktree, and never in a repository around it.
//!
//! A directory without a repository of its own is part of the repository that contains it, often the whole town's. So
//! git is asked first for the top of its worktree, and cannot search above it afterwards. Git is also asked for
//! operations in progress: a linked worktree stores its state elsewhere.

use std::{
    ffi::OsStr,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
    time::Duration,
};

use crate::{
    commands::{Command, CommandError, Printed},
    ports::Ports,
    terminal,
};

/// The variable that keeps git from searching these directories and above for a repository.
const CEILING: &str = "GIT_CEILING_DIRECTORIES";

/// The files in a worktree's own git directory while an operation is in progress, and the name of the operation.
const IN_PROGRESS: [(&str, &str); 5] = [
    ("rebase-merge", "a rebase"),
    ("rebase-apply", "a rebase or `git am`"),
    ("MERGE_HEAD", "a merge"),
    ("sequencer", "a cherry-pick or revert"),
    ("BISECT_LOG", "a bisect"),
];

/// The same as references, which a repository may store elsewhere than in files; one on each line.
const REFERENCES: &str = "MERGE_HEAD\nCHERRY_PICK_HEAD\nREVERT_HEAD\n";

/// A directory that is known to be the top of a git worktree.
#[derive(Debug)]
pub struct Worktree<'a> {
    ports: &'a Ports,
    /// The top, without symbolic links.
    directory: PathBuf,
}

/// Why a directory is not a worktree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoWorktree {
    /// The directory is not the top of a worktree.
    NotItsOwn(String),
    /// It could not be found out.
    Unknown(String),
}

impl<'a> Worktree<'a> {
    /// Asks git whether `directory` is the top of a worktree.
    pub async fn open(ports: &'a Ports, directory: &Path) -> Result<Self, NoWorktree> {
        let shown = terminal::path(directory);
        let unknown = |why: &dyn std::fmt::Display| NoWorktree::Unknown(format!("{shown}: {why}"));
        let directory = ports.files.real_path(directory).await.map_err(|error| unknown(&error))?;
        let worktree = Worktree { ports, directory };
        match worktree.git(&["rev-parse", "--show-toplevel"]).await {
            Ok(printed) => {
                let top = Path::new(OsStr::from_bytes(line(&printed.stdout)));
                if top == worktree.directory {
                    return Ok(worktree);
                }
                let is =
                    format!("{shown} is not a git worktree of its own: git takes it for part of {top:?}");
                Err(NoWorktree::NotItsOwn(is))
            }
            Err(CommandError::Failed { code: Some(_), stderr, .. }) => {
                Err(NoWorktree::NotItsOwn(format!("{shown} is not a git worktree: {stderr}")))
            }
            Err(error) => Err(unknown(&error)),
        }
    }

    /// The unfinished operation in this worktree, if any; nothing may be pulled meanwhile. An error when that is not
    /// known.
    pub async fn in_progress(&self) -> Result<Option<&'static str>, String> {
        let failed = |error: CommandError| error.to_string();
        let paths = IN_PROGRESS.iter().flat_map(|(path, _)| ["--git-path", path]);
        let words: Vec<&str> = ["rev-parse"].into_iter().chain(paths).collect();
        let printed = self.git(&words).await.map_err(failed)?;
        let paths: Vec<&[u8]> = line(&printed.stdout).split(|byte| *byte == b'\n').collect();
        if paths.len() != IN_PROGRESS.len() {
            return Err("git does not say where it keeps what is in progress".to_owned());
        }
        for (path, (_, what)) in paths.into_iter().zip(IN_PROGRESS) {
            let path = self.directory.join(OsStr::from_bytes(path));
            match self.ports.files.exists(&path).await {
                Ok(true) => return Ok(Some(what)),
                Ok(false) => {}
                Err(error) => return Err(format!("{}: {error}", terminal::path(path))),
            }
        }
        let words = ["cat-file", "--batch-check"];
        let known = self.run(Run { input: Some(REFERENCES), ..self.local(&words) }).await.map_err(failed)?;
        if line(&known.stdout).split(|byte| *byte == b'\n').any(|line| !line.ends_with(b" missing")) {
            return Ok(Some("a merge, cherry-pick or revert"));
        }
        match self.git(&["symbolic-ref", "--quiet", "HEAD"]).await {
            Ok(_) => Ok(None),
            Err(CommandError::Failed { code: Some(1), .. }) => Ok(Some("work on a detached HEAD")),
            Err(error) => Err(failed(error)),
        }
    }

    /// Runs git in this worktree.
    pub async fn run(&self, command: Run<'_>) -> Result<Printed, CommandError> {
        let settings = self.ports.settings();
        let mut environment = settings.env.clone();
        let above = self.directory.parent().unwrap_or(&self.directory);
        environment.insert(CEILING.to_owned(), above.to_string_lossy().into_owned());
        environment.extend(command.variable.map(|(name, value)| (name.to_owned(), value.to_owned())));
        self.ports
            .commands
            .run(Command {
                program: settings.commands.git.clone(),
                arguments: command.words.iter().map(|word| (*word).to_owned()).collect(),
                directory: self.directory.clone(),
                environment,
                input: command.input.map(|input| input.as_bytes().to_vec()),
                limit: command.limit,
            })
            .await
    }

    /// Runs a git command that contacts no remote.
    pub async fn git(&self, words: &[&str]) -> Result<Printed, CommandError> {
        self.run(self.local(words)).await
    }

    fn local<'b>(&self, words: &'b [&'b str]) -> Run<'b> {
        Run { words, limit: self.ports.settings().commands.timeout, variable: None, input: None }
    }
}

/// One run of git.
#[derive(Debug, Clone, Copy)]
pub struct Run<'a> {
    /// The arguments.
    pub words: &'a [&'a str],
    /// The time limit, after which it is killed.
    pub limit: Duration,
    /// A variable of this run only.
    pub variable: Option<(&'a str, &'a str)>,
    /// Its standard input.
    pub input: Option<&'a str>,
}

/// The output without the final newline.
fn line(printed: &[u8]) -> &[u8] {
    printed.strip_suffix(b"\n").unwrap_or(printed)
}
