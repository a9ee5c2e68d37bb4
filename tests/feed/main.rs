//! The feed on real files: followed, written and bounded, whatever happens to the log and to the supervisor.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails")]
#![allow(clippy::disallowed_methods, reason = "tests write the files others write")]

#[path = "../support/world/mod.rs"]
mod world;

mod any_split;
mod curator;
mod following;
mod limits;
mod mortal;

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    sync::Arc,
};

use gastown_supervisor::{
    deps::Deps,
    town::{
        files::{Disk, Files},
        journal::{Journals, disk::DiskJournals},
        paths::TownPaths,
        settings::Settings,
    },
    watchers::feed::{
        curate,
        follow::Follower,
        progress::{FeedProgress, Progress},
    },
};

/// A town of which there is nothing but its event log.
struct Town {
    dir: tempfile::TempDir,
    deps: Arc<Deps>,
    known: FeedProgress,
    follower: Follower,
    /// Lines made so far.
    lines: usize,
}

impl Town {
    async fn new() -> Town {
        Self::with(Arc::new(Disk), Arc::new(DiskJournals::default()), Settings::default()).await
    }

    async fn with(files: Arc<dyn Files>, journals: Arc<dyn Journals>, settings: Settings) -> Town {
        let dir = tempfile::tempdir().unwrap();
        let deps = deps(dir.path(), files, journals, settings).await;
        let known = FeedProgress::new(deps.paths.supervisor_dir());
        Town { dir, deps, known, follower: Follower::default(), lines: 0 }
    }

    fn log(&self) -> PathBuf {
        self.deps.paths.events()
    }

    fn beside(&self, suffix: &str) -> PathBuf {
        self.dir.path().join(format!(".events.jsonl{suffix}"))
    }

    /// Somebody appends events that are to be seen; what they are called.
    fn appends(&mut self, count: usize) -> Vec<String> {
        let kinds: Vec<String> = (self.lines..self.lines + count).map(|n| format!("x{n}")).collect();
        self.lines += count;
        let text: String = kinds.iter().map(|kind| event(kind, "feed") + "\n").collect();
        append(&self.log(), text.as_bytes());
        kinds
    }

    /// A supervisor starts.
    async fn begins(&mut self) {
        self.follower = Follower::default();
        self.known.load(&self.deps).await;
        curate::take_over(&self.deps, &self.known).await.unwrap();
    }

    /// It ends as KILL does: what was not put on disk is gone.
    fn is_killed(&mut self) {
        self.known = FeedProgress::new(self.deps.paths.supervisor_dir());
        self.follower = Follower::default();
    }

    /// Everything that is new is carried over.
    async fn catches_up(&mut self) {
        while curate::carry_over(&self.deps, &self.known, &mut self.follower).await.unwrap().more {}
    }

    async fn saves(&self) {
        assert!(self.known.save(&self.deps).await);
    }

    fn feed(&self) -> String {
        fs::read_to_string(self.deps.paths.feed()).unwrap_or_default()
    }

    /// What the events in the feed are called.
    fn told(&self) -> Vec<String> {
        kinds(&self.feed())
    }

    fn progress(&self) -> Progress {
        self.known.get()
    }
}

async fn deps(
    town: &Path,
    files: Arc<dyn Files>,
    journals: Arc<dyn Journals>,
    settings: Settings,
) -> Arc<Deps> {
    let world = world::World::new(1);
    let mut deps = (*world.deps().await.0).clone();
    deps.ledger.ports.paths = TownPaths::new(town);
    deps.ledger.ports.files = files;
    deps.ledger.ports.journals = journals;
    deps.ledger.ports.settings = tokio::sync::watch::channel(Arc::new(settings)).1;
    Arc::new(deps)
}

fn event(kind: &str, visibility: &str) -> String {
    format!(
        r#"{{"ts":"2026-11-22T20:45:16Z","source":"gt","type":"{kind}","actor":"a","payload":{{}},"visibility":"{visibility}"}}"#
    )
}

fn append(path: &Path, bytes: &[u8]) {
    let mut file = fs::OpenOptions::new().append(true).create(true).open(path).unwrap();
    file.write_all(bytes).unwrap();
}

fn kinds(feed: &str) -> Vec<String> {
    // The last line may be in the middle of being written.
    let whole = feed.split_inclusive('\n').filter(|line| line.ends_with('\n'));
    let parsed = whole.map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    parsed.map(|line| line["type"].as_str().unwrap().to_owned()).collect()
}

/// Runs on the real clock: the disk is real.
fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(test);
}
