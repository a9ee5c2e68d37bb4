//! The transcripts of the world: what its agents' programs keep of their conversations, and what they do to it.
//!
//! A program writes a record every few seconds, the first when it shows its prompt. It takes `--session-id` and `--resume` as
//! Claude does. Every record that was ever written is remembered, so that a lost one is noticed.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use async_trait::async_trait;
use gastown_supervisor::town::conversation_files::{Compared, ConversationFiles, Edges, Listed, PutBack};
use jiff::Timestamp;

use super::{Condition, World, files::missing, millis, secs};

/// The user's home.
const HOME: &str = "/home/user";
/// Where an agent's program finds the file of its conversation.
const PROJECTS: &str = "/home/user/.claude/projects";

/// One transcript, or a copy of one.
#[derive(Debug, Clone)]
pub struct FakeConversation {
    /// Its records, without line breaks.
    pub records: Vec<String>,
    /// When it was created.
    pub born: Timestamp,
    /// When it was written last.
    pub written: Timestamp,
}

/// All transcripts, and how programs treat theirs.
#[derive(Debug, Default)]
pub struct FakeConversations {
    /// The files by path; copies too.
    pub files: BTreeMap<PathBuf, FakeConversation>,
    /// Every record that was ever written to each transcript.
    pub written: BTreeMap<PathBuf, Vec<String>>,
    /// Whether programs cut their transcript a second after they resume it.
    pub cut: bool,
    /// Whether programs keep their transcript open while they live.
    pub kept_open: bool,
    /// Ids that programs do not know any more, whatever files there are.
    pub unknown: BTreeSet<String>,
    /// The conversation each session is in: its transcript.
    pub open: BTreeMap<String, PathBuf>,
    /// When conversations were resumed.
    pub resumed: Vec<Duration>,
}

impl FakeConversations {
    /// The records that were written and are in no transcript any more.
    pub fn lost(&self) -> Vec<String> {
        let there = |path: &PathBuf| self.files.get(path).map_or(&[][..], |file| &file.records);
        let lost = self
            .written
            .iter()
            .flat_map(|(path, all)| all.iter().filter(move |record| !there(path).contains(record)).cloned());
        lost.collect()
    }
}

fn path_of(directory: &Path, id: &str) -> PathBuf {
    let slug = directory.to_string_lossy().replace(|it: char| !it.is_ascii_alphanumeric(), "-");
    Path::new(PROJECTS).join(slug).join(format!("{id}.jsonl"))
}

impl World {
    /// The program of a session that the supervisor created begins or continues the conversation that its command line names.
    pub(super) fn converse(&self, name: &str, id: u64) {
        let mut state = self.state();
        let Some(session) = state.sessions.get(name).filter(|it| it.id == id) else { return };
        let words = shell_words::split(&session.command).unwrap_or_default();
        let after = |flag: &str| {
            let at = words.iter().position(|word| word == flag)?;
            words.get(at + 1).cloned()
        };
        let (begins, resumes) = (after("--session-id"), after("--resume"));
        let Some(conversation) = begins.or(resumes.clone()) else { return };
        let (directory, prompts) = (session.directory.clone(), session.prompts);
        let path = path_of(&directory, &conversation);
        let now = self.time();
        if resumes.is_some() {
            state.conversations.resumed.push(now);
            let is_known = state.conversations.files.contains_key(&path)
                && !state.conversations.unknown.contains(&conversation);
            if !is_known {
                state.note(now, true, || format!("{name} does not know conversation {conversation}"));
                let line = format!("No conversation found with session ID: {conversation}");
                let session = state.sessions.get_mut(name).unwrap();
                (session.shows, session.asks) = (vec![line], None);
                drop(state);
                let name = name.to_owned();
                return self.after(millis(200), move |world| world.exit_at_once(&name, id, 1));
            }
            if state.conversations.cut {
                let name = name.to_owned();
                let path = path.clone();
                self.after_locked(&mut state, secs(1), move |world| world.cut(&name, id, &path));
            }
        }
        state.conversations.open.insert(name.to_owned(), path);
        drop(state);
        let name = name.to_owned();
        self.after(prompts.saturating_sub(now), move |world| world.write_on(&name, id));
    }

    fn after_locked(
        &self,
        state: &mut super::State,
        delay: Duration,
        deed: impl FnOnce(&World) + Send + 'static,
    ) {
        let due = self.time() + delay;
        state.next += 1;
        let key = (due, state.next);
        state.agenda.insert(key, Box::new(deed));
        self.0.agenda_changed.notify_one();
    }

    fn cut(&self, name: &str, id: u64, path: &Path) {
        let now = self.time();
        let mut state = self.state();
        if state.sessions.get(name).is_none_or(|it| it.id != id || !it.live()) {
            return;
        }
        let length = state.conversations.files.get(path).map_or(0, |file| file.records.len());
        let left = state.rng.usize(0..=length / 2);
        if let Some(file) = state.conversations.files.get_mut(path) {
            file.records.truncate(left);
        }
        state.note(now, true, || format!("{name} cuts its transcript from {length} to {left} records"));
    }

    /// Writes a record, and the next one some seconds later, while its agent lives.
    fn write_on(&self, name: &str, id: u64) {
        let wall = self.wall();
        {
            let mut state = self.state();
            let Some(session) = state.sessions.get(name).filter(|it| it.id == id && it.live()) else {
                return;
            };
            let directory = session.directory.to_string_lossy().into_owned();
            let works = session.condition == Condition::Well;
            let number = state.number();
            if let (Some(path), true) = (state.conversations.open.get(name).cloned(), works) {
                let record = serde_json::json!({
                    "type": "user", "cwd": directory, "timestamp": wall.to_string(), "uuid": format!("{name}-{number}"),
                });
                let record = record.to_string();
                let new = FakeConversation { records: Vec::new(), born: wall, written: wall };
                let file = state.conversations.files.entry(path.clone()).or_insert(new);
                file.records.push(record.clone());
                file.written = wall;
                state.conversations.written.entry(path).or_default().push(record);
            }
        }
        let name = name.to_owned();
        self.after(secs(4), move |world| world.write_on(&name, id));
    }

    /// The program of a session begins another conversation by itself, with this id (`/clear`).
    pub fn begin_conversation(&self, name: &str, id: &str) {
        let mut state = self.state();
        let directory = state.sessions[name].directory.clone();
        state.conversations.open.insert(name.to_owned(), path_of(&directory, id));
    }

    /// Another program writes a transcript in the directory of this session: now, and until it is told otherwise.
    pub fn somebody_writes(&self, name: &str, id: &str, born: Timestamp) {
        let wall = self.wall();
        let mut state = self.state();
        let directory = state.sessions[name].directory.clone();
        let record = serde_json::json!({"cwd": directory, "timestamp": born.to_string()}).to_string();
        let file = FakeConversation { records: vec![record], born, written: wall };
        state.conversations.files.insert(path_of(&directory, id), file);
    }

    /// The id of the conversation a session is in.
    pub fn conversation(&self, name: &str) -> String {
        let path = self.state().conversations.open[name].clone();
        path.file_stem().unwrap().to_string_lossy().into_owned()
    }
}

#[async_trait]
impl ConversationFiles for World {
    fn variable(&self, name: &str) -> Option<String> {
        (name == "HOME").then(|| HOME.to_owned())
    }

    async fn list(&self, directory: &Path) -> io::Result<Vec<Listed>> {
        self.disk("list transcripts", directory, false, |world| {
            let state = world.state();
            let there = state.conversations.files.iter().filter(|(path, _)| path.parent() == Some(directory));
            let listed = there.map(|(path, file)| Listed {
                path: path.clone(),
                size: file.records.iter().map(|record| record.to_string().len() as u64 + 1).sum(),
                born: Some(file.born),
                modified: file.written,
            });
            Ok(listed.collect())
        })
        .await
    }

    async fn edges(&self, path: &Path) -> io::Result<Edges> {
        self.disk("read transcript", path, false, |world| {
            let state = world.state();
            let Some(file) = state.conversations.files.get(path) else { return missing() };
            let text: String = file.records.iter().map(|record| format!("{record}\n")).collect();
            Ok(Edges { head: text.clone().into_bytes(), tail: text.into_bytes() })
        })
        .await
    }

    async fn compare(&self, copy: &Path, transcript: &Path) -> io::Result<Compared> {
        self.disk("compare transcript", transcript, false, |world| {
            let state = world.state();
            let Some(old) = state.conversations.files.get(copy) else { return Ok(Compared::NoCopy) };
            let Some(now) = state.conversations.files.get(transcript) else { return Ok(Compared::Gone) };
            let has_last = old.records.last().is_none_or(|last| now.records.contains(last));
            Ok(Compared::There { records: now.records.len() as u64, has_last })
        })
        .await
    }

    async fn copy(&self, transcript: &Path, copy: &Path) -> io::Result<u64> {
        self.disk("copy transcript", transcript, true, |world| {
            let mut state = world.state();
            let Some(file) = state.conversations.files.get(transcript).cloned() else { return missing() };
            let records = file.records.len() as u64;
            if state.conversations.files.contains_key(copy) {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
            state.conversations.files.insert(copy.to_owned(), file);
            Ok(records)
        })
        .await
    }

    async fn put_back(&self, copy: &Path, transcript: &Path) -> io::Result<PutBack> {
        self.disk("put back transcript", transcript, true, |world| {
            let mut state = world.state();
            let in_use = state.conversations.kept_open
                && state
                    .conversations
                    .open
                    .iter()
                    .any(|(name, path)| path == transcript && state.lives(name));
            if in_use {
                return Ok(PutBack::InUse);
            }
            let Some(old) = state.conversations.files.get(copy).cloned() else { return Ok(PutBack::NoCopy) };
            let now = state
                .conversations
                .files
                .entry(transcript.to_owned())
                .or_insert(FakeConversation { records: Vec::new(), ..old.clone() });
            let gained = old.records.iter().filter(|record| !now.records.contains(record)).count() as u64;
            let newer: Vec<_> =
                now.records.iter().filter(|record| !old.records.contains(record)).cloned().collect();
            now.records = [old.records, newer].concat();
            Ok(PutBack::Done(gained))
        })
        .await
    }

    async fn remove_copy(&self, copy: &Path) -> io::Result<()> {
        self.disk("remove copy", copy, false, |world| {
            world.state().conversations.files.remove(copy);
            Ok(())
        })
        .await
    }
}
