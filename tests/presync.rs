//! Pre-sync on real git repositories: unfinished operations are never touched, and no repository but the agent's own.
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests run real programs"
)]

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    time::Duration,
};

#[path = "support/limits.rs"]
mod limits;

use gastown_supervisor::{
    agent::{
        presync,
        spec::AgentSpec,
        worktree::{NoWorktree, Worktree},
    },
    clock::SystemClock,
    commands::runner::Runner,
    deps::Deps,
    ledger::{convoys::SqliteConvoys, dolt_server::LocalDolt, sqlite::SqliteBeads},
    network::https::Https,
    ports::{Jitter, Ports, dolt::Dolt, problems::Problems, writes::Writes},
    processes::{exec_watcher::SystemExecWatcher, table::SystemProcesses},
    sessions::tmux::{Socket, Tmux, TmuxConfig},
    town::{
        dialect::{Dialect, recognise::Recognised},
        files::Disk,
        journal::disk::DiskJournals,
        paths::TownPaths,
        settings::Settings,
        socket::SocketListener,
    },
};
use limits::LimitedCommand;

/// The environment of all runs of git: no user's configuration, and a name.
const SURROUNDINGS: [(&str, &str); 7] = [
    ("GIT_CONFIG_GLOBAL", "/dev/null"),
    ("GIT_CONFIG_SYSTEM", "/dev/null"),
    ("GIT_AUTHOR_NAME", "a"),
    ("GIT_AUTHOR_EMAIL", "a@example.com"),
    ("GIT_COMMITTER_NAME", "a"),
    ("GIT_COMMITTER_EMAIL", "a@example.com"),
    ("GIT_EDITOR", "true"),
];

/// A town that is a repository itself, a remote, and a worktree with one commit that is nowhere else.
struct Town {
    dir: tempfile::TempDir,
    dialect: Dialect,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    Clone,
    Linked,
    Reftable,
}

impl Town {
    fn new(kind: Kind) -> Town {
        let town = Town { dir: tempfile::tempdir().unwrap(), dialect: Dialect::January };
        fs::create_dir_all(town.root().join("r/refinery")).unwrap();
        let made = match kind {
            Kind::Clone => "git clone -q origin.git town/r/refinery/rig",
            Kind::Reftable => "git clone -q --ref-format=reftable origin.git town/r/refinery/rig",
            Kind::Linked => {
                "git clone -q origin.git town/r/base
                 git -C town/r/base worktree add -q -b side ../refinery/rig HEAD"
            }
        };
        town.sh_in(
            &town.base(),
            &format!(
                "git init -q --bare -b main origin.git
                 git clone -q origin.git other 2>&1
                 cd other; git checkout -q -b main
                 echo 1 > f; echo 1 > g; git add .; git commit -q -m one; git push -q origin main; cd ..
                 git init -q -b main town; git -C town commit -q --allow-empty -m town
                 git -C town remote add origin ../origin.git
                 {made}
                 cd other; echo 2 > f; git commit -q -a -m two; git push -q origin main"
            ),
        );
        town.sh("git checkout -q -B work; echo mine > h; git add h; git commit -q -m mine");
        town.put("bd", "echo \"$@\" >> \"$(dirname \"$0\")/bd.calls\"");
        town
    }

    fn base(&self) -> PathBuf {
        self.dir.path().canonicalize().unwrap()
    }

    fn root(&self) -> PathBuf {
        self.base().join("town")
    }

    fn worktree(&self) -> PathBuf {
        self.root().join("r/refinery/rig")
    }

    /// A program of the test's own.
    fn put(&self, name: &str, script: &str) {
        let path = self.base().join(name);
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// Runs a script in the worktree and returns what it printed; the script may fail in the middle, but must end well.
    fn sh(&self, script: &str) -> String {
        self.sh_in(&self.worktree(), script)
    }

    fn sh_in(&self, directory: &Path, script: &str) -> String {
        let mut command = Command::new("sh");
        command.args(["-c", script]).current_dir(directory).envs(SURROUNDINGS);
        let output = command.limited_output();
        let printed = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{script}: {printed}{}", String::from_utf8_lossy(&output.stderr));
        printed
    }

    /// Everything about a worktree that pre-sync could change.
    fn state(&self, directory: &Path) -> String {
        self.sh_in(
            directory,
            "git symbolic-ref -q HEAD; git rev-parse HEAD; git status --porcelain; git log -g --format='%H %gs' HEAD; \
             git for-each-ref; LC_ALL=C git status | sed -n 1,4p; cat $(git rev-parse --git-path rebase-merge/done); true",
        )
    }

    fn deps(&self, git: &str) -> Deps {
        let mut settings = Settings::default();
        settings.commands.git = git.to_owned();
        settings.commands.bd = self.base().join("bd").display().to_string();
        settings.commands.timeout = Duration::from_secs(2);
        let environment = SURROUNDINGS.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let root = self.root();
        let (_, settings) = tokio::sync::watch::channel(Arc::new(settings));
        let ports = Ports {
            sessions: Arc::new(Tmux::new(TmuxConfig::new(Socket::Path(root.join("tmux"))))),
            processes: Arc::new(SystemProcesses::new()),
            commands: Arc::new(Runner::new(BTreeMap::from(environment))),
            network: Arc::new(Https::default()),
            journals: Arc::new(DiskJournals::default()),
            files: Arc::new(Disk),
            clock: Arc::new(SystemClock::new()),
            transcripts: Arc::new(gastown_supervisor::transcripts::disk::DiskTranscripts::new()),
            exec_watcher: Arc::new(SystemExecWatcher::new()),
            conversation_files: Arc::new(
                gastown_supervisor::town::conversation_files::disk::DiskConversations,
            ),
            convoys: Arc::new(SqliteConvoys::new(root.join(".beads/beads.db"))),
            beads: Arc::new(SqliteBeads::default()),
            dolt: Dolt::new(Arc::new(LocalDolt), BTreeMap::new()),
            control_listener: Arc::new(SocketListener),
            jitter: Jitter::seeded(1),
            paths: TownPaths::new(root),
            standings: gastown_supervisor::town::standing::Standings::none(),
            settings,
            gas_town: Recognised { dialect: self.dialect, ..Recognised::default() },
            degraded: false,
            problems: Problems::default(),
            metrics: Default::default(),
            writes: Writes::default(),
        };
        Deps::new(ports)
    }

    /// Pre-sync of the refinery, with this git; what `bd` was asked.
    async fn presync(&self, git: &str) -> String {
        let spec = AgentSpec {
            identity: gastown_supervisor::town::identity::Identity::Refinery("r".parse().unwrap()),
            session: "gt-r-refinery".into(),
            prefix: "r".into(),
        };
        presync::presync(&self.deps(git), &spec, &self.worktree()).await;
        fs::read_to_string(self.base().join("bd.calls")).unwrap_or_default()
    }

    /// A git that does this before and after a pull.
    fn git_around_pull(&self, before: &str, after: &str) -> String {
        let script = format!(
            "[ \"$1\" = pull ] || exec git \"$@\"\n(unset GIT_REFLOG_ACTION; {before}) >&2\ngit \"$@\"; code=$?\n\
             (unset GIT_REFLOG_ACTION; {after}) >&2\nexit $code"
        );
        self.put("git", &script);
        self.base().join("git").display().to_string()
    }
}

/// A commit that only this rebase knows.
const STOPPED_REBASE: &str = "GIT_SEQUENCE_EDITOR='sed -i 1ibreak' git rebase -q -i HEAD~1; echo p > p; git add p; git commit -q -m precious;";

/// What can be in progress, with the words for it, and how it comes to be.
const IN_PROGRESS: [(&str, &str, &str); 13] = [
    ("a rebase at a break", "a rebase", STOPPED_REBASE),
    (
        "a rebase whose conflict was just committed",
        "a rebase",
        "echo 3 > f; git commit -q -a -m three; git fetch -q; git rebase -q origin/main; echo 23 > f; git add f; \
         git commit -q -m precious",
    ),
    (
        "a rebase in its conflict",
        "a rebase",
        "echo 3 > f; git commit -q -a -m three; git fetch -q; git rebase -q origin/main || true",
    ),
    (
        "a rebase of the older kind",
        "a rebase or `git am`",
        "echo 3 > f; git commit -q -a -m three; git fetch -q; git rebase -q --apply origin/main; git checkout -q HEAD f; \
         true",
    ),
    (
        "patches",
        "a rebase or `git am`",
        "git format-patch -q -1 -o ../patch; git am -q ../patch/*; git am ../patch/*; true",
    ),
    ("a merge", "a merge", "git fetch -q; git merge -q -s ours --no-commit origin/main"),
    ("an empty cherry-pick", "a merge, cherry-pick or revert", "git cherry-pick HEAD || true"),
    (
        "one of many cherry-picks",
        "a cherry-pick or revert",
        "git checkout -q -b x HEAD~1; echo 4 > g; git commit -q -a -m 4; echo 5 > h; git add h; git commit -q -m 5; \
         git checkout -q work; echo 6 > g; git commit -q -a -m 6; git cherry-pick x~1 x; git add g; git commit -q -m \
         precious",
    ),
    (
        "a revert",
        "a merge, cherry-pick or revert",
        "echo x > h; git commit -q -a -m x; git revert --no-edit HEAD~1; git checkout -q HEAD h",
    ),
    ("a bisect", "a bisect", "git bisect start"),
    ("a bisect under way", "a bisect", "git bisect start HEAD HEAD~1 || true"),
    (
        "a detached HEAD",
        "work on a detached HEAD",
        "git checkout -q --detach; git commit -q --allow-empty -m precious",
    ),
    (
        "a merge in its conflict",
        "a merge",
        "echo 3 > f; git commit -q -a -m three; git fetch -q; git merge -q origin/main || true",
    ),
];

#[tokio::test]
async fn what_somebody_has_begun_is_left_alone() {
    for kind in [Kind::Linked, Kind::Reftable] {
        for (case, what, script) in IN_PROGRESS {
            let town = Town::new(kind);
            town.sh(script);
            let before = town.state(&town.worktree());
            let deps = town.deps("git");
            let worktree = Worktree::open(&deps, &town.worktree()).await.unwrap();
            assert_eq!(worktree.in_progress().await, Ok(Some(what)), "{case} in {kind:?}: {before}");
            let asked = town.presync("git").await;
            assert_eq!(town.state(&town.worktree()), before, "{case} in {kind:?}");
            assert_eq!(asked, "", "{case} in {kind:?}: bd was asked");
        }
    }
}

#[tokio::test]
async fn a_worktree_with_nothing_in_progress_is_brought_up_to_date() {
    for kind in [Kind::Clone, Kind::Linked, Kind::Reftable] {
        let town = Town::new(kind);
        let asked = town.presync("git").await;
        assert_eq!(
            town.sh("cat f; git log --format=%s; git symbolic-ref HEAD"),
            "2\nmine\ntwo\none\nrefs/heads/work\n"
        );
        assert_eq!(asked, "sync\n", "{kind:?}");
    }
}

#[tokio::test]
async fn uncommitted_work_is_fetched_and_not_pulled() {
    let town = Town::new(Kind::Linked);
    town.sh("echo more >> h");
    assert_eq!(town.presync("git").await, "sync\n");
    assert_eq!(
        town.sh("cat h; git log --format=%s; git log -1 --format=%s origin/main"),
        "mine\nmore\nmine\none\ntwo\n"
    );
}

#[tokio::test]
async fn in_a_1_x_town_untracked_files_are_no_changes_and_bd_is_not_asked() {
    for (case, script, pulled) in [
        ("untracked", "mkdir .beads; echo x > .beads/x", true),
        ("changed", "echo more >> h; echo x > x", false),
        ("staged", "echo x > x; git add x", false),
    ] {
        let mut town = Town::new(Kind::Linked);
        town.dialect = Dialect::V1;
        town.sh(script);
        assert_eq!(town.presync("git").await, "", "{case}");
        assert_eq!(town.sh("cat f"), if pulled { "2\n" } else { "1\n" }, "{case}");
    }
}

#[tokio::test]
async fn a_rebase_of_our_own_is_given_up() {
    for kind in [Kind::Clone, Kind::Linked, Kind::Reftable] {
        for backend in ["merge", "apply"] {
            let town = Town::new(kind);
            town.sh(&format!(
                "git config rebase.backend {backend}; git config log.showSignature true; echo 3 > f; git commit -q -a -m three"
            ));
            let before = town.sh("git rev-parse HEAD");
            assert_eq!(town.presync("git").await, "sync\n");
            let after = town.sh("git rev-parse HEAD; git symbolic-ref HEAD; git status --porcelain; cat f");
            assert_eq!(after, format!("{before}refs/heads/work\n3\n"), "{kind:?}, {backend}");
            let deps = town.deps("git");
            let worktree = Worktree::open(&deps, &town.worktree()).await.unwrap();
            assert_eq!(worktree.in_progress().await, Ok(None), "{kind:?}, {backend}");
        }
    }
}

#[tokio::test]
async fn a_rebase_that_somebody_begins_meanwhile_is_not_given_up() {
    let conflict = "echo 3 > f; git commit -q -a -m three";
    for (case, prepare, before, after) in [
        ("right before the pull", "true", STOPPED_REBASE, ""),
        ("right before a pull with a conflict", conflict, STOPPED_REBASE, ""),
        ("instead of ours", conflict, "", &*format!("git rebase --abort; {STOPPED_REBASE}")),
        ("going on with ours", conflict, "", "echo 23 > f; git add f; git commit -q -m precious"),
    ] {
        let town = Town::new(Kind::Linked);
        town.sh(prepare);
        let git = town.git_around_pull(before, after);
        town.presync(&git).await;
        let state = town.sh("git log -1 --format=%s; git symbolic-ref -q HEAD || echo detached; ls -d $(git rev-parse --git-path rebase-merge) | wc -l");
        assert_eq!(state, "precious\ndetached\n1\n", "{case}");
    }
}

#[tokio::test]
async fn what_git_does_not_say_is_unknown_and_nothing_is_done() {
    for (case, script) in [
        ("the worktree", "[ \"$2\" = --show-toplevel ] && exec sleep 600"),
        ("the paths", "[ \"$2\" = --git-path ] && exit 1"),
        ("the references", "[ \"$1\" = cat-file ] && exit 1"),
        ("nothing about references", "[ \"$1\" = cat-file ] && exit 0"),
        ("the branch", "[ \"$1\" = symbolic-ref ] && exit 128"),
    ] {
        let town = Town::new(Kind::Clone);
        town.put("git", &format!("{script}\nexec git \"$@\""));
        let before = town.state(&town.worktree());
        let git = town.base().join("git").display().to_string();
        assert_eq!(town.presync(&git).await, "", "{case}: bd was asked");
        assert_eq!(town.state(&town.worktree()), before, "{case}");
    }
}

#[tokio::test]
async fn the_repository_around_it_is_never_touched() {
    for (case, script, unknown) in [
        ("no repository of its own", "rm -rf .git", false),
        ("an empty one", "rm -rf .git; mkdir .git", false),
        ("one whose worktree is elsewhere", "git config core.worktree ../..", false),
        ("a linked one whose repository is gone", "rm -rf .git; echo gitdir: ../nowhere > .git", false),
        ("no directory", "cd ..; rm -rf rig", true),
    ] {
        let town = Town::new(Kind::Clone);
        town.sh(script);
        let before = town.state(&town.root());
        assert_eq!(town.presync("git").await, "", "{case}: bd was asked");
        assert_eq!(town.state(&town.root()), before, "{case}");
        let deps = town.deps("git");
        let why = Worktree::open(&deps, &town.worktree()).await.unwrap_err();
        assert_eq!(matches!(why, NoWorktree::Unknown(_)), unknown, "{case}: {why:?}");
        let shown = town.worktree().display().to_string();
        let (NoWorktree::NotItsOwn(text) | NoWorktree::Unknown(text)) = &why;
        assert!(text.contains(&shown), "{case}: {why:?}");
    }
    // A path with a symbolic link in it is the same directory.
    let town = Town::new(Kind::Linked);
    town.sh("mv ../rig ../moved; ln -s moved ../rig; git worktree repair");
    assert_eq!(town.presync("git").await, "sync\n");
}
