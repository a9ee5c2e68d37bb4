//! A tmux server of a test's own, with the stand-ins first on its `PATH`.

use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
};

use tempfile::TempDir;

use crate::support::limits::{LimitedCommand, MARK, mark};

/// The server, its town directory and its socket; all gone when dropped.
pub struct Tmux {
    directory: TempDir,
    path: String,
    variables: Vec<(String, String)>,
}

impl Tmux {
    /// A directory for a server that starts with its first session; `variables` are in its global environment.
    pub fn new(variables: &[(&str, &str)]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let bin = crate::support::standin::bin_directory(directory.path());
        let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap_or_default());
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        Tmux { directory, path, variables: variables.iter().map(own).collect() }
    }

    pub fn town(&self) -> &Path {
        self.directory.path()
    }

    pub fn bin(&self) -> PathBuf {
        self.directory.path().join("bin")
    }

    fn output(&self, arguments: &[&str]) -> Output {
        Command::new("tmux")
            .arg("-f")
            .arg("/dev/null")
            .arg("-S")
            .arg(self.directory.path().join("socket"))
            .args(arguments)
            .env("PATH", &self.path)
            .env_remove("TMUX")
            .env("LC_ALL", "C.UTF-8")
            .envs(self.variables.iter().cloned())
            .current_dir(self.directory.path())
            .env(MARK, mark("standin"))
            .limited_output()
    }

    /// Runs a tmux command that must succeed; what it printed, without the last newline.
    pub fn run(&self, arguments: &[&str]) -> String {
        let output = self.output(arguments);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "tmux {arguments:?}: {stderr}");
        String::from_utf8_lossy(&output.stdout).trim_end_matches('\n').to_owned()
    }

    /// A session of an agent with its role's variables.
    pub fn agent(&self, session: &str, role: &str, actor: &str, command: &str) {
        let root = format!("GT_ROOT={}", self.town().display());
        let (role, actor) = (format!("GT_ROLE={role}"), format!("BD_ACTOR={actor}"));
        let size = ["-x", "120", "-y", "40"];
        let names = ["new-session", "-d", "-s", session, "-e", &root, "-e", &role, "-e", &actor];
        self.run(&[&names[..], &size, &[command]].concat());
    }

    pub fn screen(&self, session: &str) -> Vec<String> {
        let screen = self.run(&["capture-pane", "-p", "-t", &format!("={session}:")]);
        screen.lines().map(|line| line.trim_end().to_owned()).collect()
    }

    pub fn exists(&self, session: &str) -> bool {
        self.output(&["has-session", "-t", &format!("={session}")]).status.success()
    }

    /// Types a text as nudges do, and Enter.
    pub fn nudge(&self, session: &str, text: &str) {
        let file = self.town().join("nudge.txt");
        std::fs::write(&file, text).unwrap();
        let target = format!("={session}:");
        self.run(&["load-buffer", "-b", "nudge", &file.display().to_string()]);
        self.run(&["paste-buffer", "-p", "-r", "-d", "-b", "nudge", "-t", &target]);
        self.run(&["send-keys", "-t", &target, "Escape"]);
        self.run(&["send-keys", "-t", &target, "Enter"]);
    }
}

impl Drop for Tmux {
    fn drop(&mut self) {
        self.output(&["kill-server"]);
    }
}
