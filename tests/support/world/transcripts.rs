//! The transcripts of the world: what agents' programs write about their sessions.

use std::{
    io,
    path::{Path, PathBuf},
};

use async_trait::async_trait;
use gastown_supervisor::transcripts::{Candidate, Location, Silence, Tail, Transcripts, choose};
use jiff::Timestamp;
use tokio::sync::broadcast;

use super::{World, millis};

/// The home of the user whom all agents belong to.
pub const HOME: &str = "/home/agent";

/// One file.
#[derive(Debug, Clone)]
pub struct FakeTranscript {
    bytes: Vec<u8>,
    written: Timestamp,
    created: Timestamp,
}

impl World {
    /// The agent of this session, a Claude Code, adds a record to its transcript: `record` without its time.
    pub fn records(&self, session: &str, record: &str) {
        let mut record: serde_json::Value = serde_json::from_str(record).unwrap();
        record["timestamp"] = self.wall().to_string().into();
        self.transcribe(session, &format!("{record}\n"));
    }

    /// The agent of this session adds these bytes to its transcript.
    pub fn transcribe(&self, session: &str, text: &str) {
        let now = self.wall();
        let mut state = self.state();
        let it = state.session(session);
        let slug: String = it
            .directory
            .to_str()
            .unwrap()
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
            .collect();
        let name = format!("{:08x}-0000-4000-8000-000000000000.jsonl", it.id);
        let path = PathBuf::from(format!("{HOME}/.claude/projects/{slug}/{name}"));
        let new = FakeTranscript { bytes: Vec::new(), written: now, created: now };
        let file = state.transcripts.entry(path.clone()).or_insert(new);
        file.bytes.extend(text.as_bytes());
        file.written = now;
        drop(state);
        self.after(millis(5), move |world| drop(world.0.transcripts_changed.send(path)));
    }

    fn note(&self, what: impl FnOnce() -> String) {
        let now = self.time();
        self.state().note(now, false, what);
    }
}

#[async_trait]
impl Transcripts for World {
    async fn find(&self, location: &Location) -> Result<Candidate, Silence> {
        let state = self.state();
        if state.failing.contains("transcripts") {
            let error = io::Error::from(io::ErrorKind::PermissionDenied);
            return Err(Silence::Unreadable(location.directories[0].clone(), error));
        }
        let is_there =
            |path: &Path| path.parent().is_some_and(|at| location.directories.iter().any(|it| it == at));
        let there = state.transcripts.iter().filter(|(path, _)| is_there(path)).map(|(path, file)| {
            Candidate { path: path.clone(), written: file.written, created: Some(file.created) }
        });
        choose(there.collect(), location.since, &location.directories[0])
    }

    async fn find_each(&self, locations: Vec<Location>) -> Vec<Result<Candidate, Silence>> {
        self.note(|| format!("transcripts find {}", locations.len()));
        let mut found = Vec::new();
        for location in locations {
            found.push(self.find(&location).await);
        }
        found
    }

    async fn tail(&self, path: &Path, most: usize) -> io::Result<Tail> {
        self.note(|| format!("transcripts read {}", path.display()));
        let state = self.state();
        let file = state.transcripts.get(path).ok_or(io::ErrorKind::NotFound)?;
        let begin = file.bytes.len().saturating_sub(most);
        Ok(Tail { bytes: file.bytes[begin..].to_vec(), is_whole: begin == 0 })
    }

    fn changes(&self) -> broadcast::Receiver<PathBuf> {
        self.0.transcripts_changed.subscribe()
    }

    async fn watch(&self, directories: Vec<PathBuf>) -> Option<String> {
        self.note(|| format!("transcripts watch {}", directories.len()));
        None
    }
}
