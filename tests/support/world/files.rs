//! The files of the world.

use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use async_trait::async_trait;
use gastown_supervisor::town::files::{Files, HeldLock, LockState};

use super::{
    AGENTS_FILE, World, millis, path,
    weather::{FILE_CAP, pause},
};

impl World {
    /// Another program writes a file of the town.
    pub fn write(&self, relative: &str, content: &str) {
        self.put(relative, Some(content.as_bytes().to_vec()));
    }

    /// Another program removes a file of the town.
    pub fn remove(&self, relative: &str) {
        self.put(relative, None);
    }

    fn put(&self, relative: &str, content: Option<Vec<u8>>) {
        let (now, wall) = (self.time(), self.wall());
        let full = path(relative);
        let mut state = self.state();
        state.modified.insert(full.clone(), wall);
        state.note(now, false, || format!("somebody writes {relative}"));
        match content {
            Some(content) => drop(state.files.insert(full, content)),
            None => {
                state.file_ids.remove(&full);
                drop(state.files.remove(&full));
            }
        }
        state.look_at_gates(now);
        let watched = ["events/refinery/", "mayor/", "settings/", ".beads-wisp/config/", ".runtime/deacon/"]
            .iter()
            .any(|directory| relative.starts_with(directory))
            || relative == AGENTS_FILE;
        let lost = state.weather.hints;
        if !watched || state.chance(lost) {
            return;
        }
        drop(state);
        self.after(millis(5), |world| world.0.files_changed.send_modify(|count| *count += 1));
    }

    /// The content of a file of the town.
    pub fn text(&self, relative: &str) -> Option<String> {
        let state = self.state();
        state.files.get(&path(relative)).map(|bytes| String::from_utf8_lossy(bytes).into_owned())
    }

    /// Creates a directory of the town.
    pub fn directory(&self, relative: &str) {
        let mut state = self.state();
        for part in path(relative).ancestors() {
            state.directories.insert(part.to_owned());
        }
    }

    pub(super) async fn disk<T>(
        &self,
        call: &'static str,
        at: &Path,
        loud: bool,
        act: impl FnOnce(&World) -> io::Result<T> + Send,
    ) -> io::Result<T> {
        // The notes of `gt` about an agent are spared: when unreadable, they say nothing by rule, and a death is a
        // death.
        let spared = at.parent().is_some_and(|directory| directory.ends_with(".runtime"));
        let probability = if spared { 0.0 } else { self.state().weather.disk };
        let fate = self.fate(call, FILE_CAP, probability);
        self.arrive(call, &fate).await;
        let answer = if fate.fails { Err(io::Error::other("input/output error")) } else { act(self) };
        let now = self.time();
        self.state().note(
            now,
            loud || answer.as_ref().is_err_and(|e| e.kind() != io::ErrorKind::NotFound),
            || {
                let outcome = answer.as_ref().map_or_else(ToString::to_string, |_| "ok".to_owned());
                format!(
                    "{call} {} -> {outcome} (+{:?})",
                    at.strip_prefix(super::TOWN).unwrap_or(at).display(),
                    fate.after
                )
            },
        );
        pause(fate.after).await;
        answer
    }
}

pub(super) fn missing<T>() -> io::Result<T> {
    Err(io::ErrorKind::NotFound.into())
}

#[async_trait]
impl Files for World {
    async fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        if let Some(shown) = self.state().show_memory(path) {
            return shown;
        }
        self.disk("read", path, false, |world| {
            world.state().files.get(path).cloned().map_or_else(missing, Ok)
        })
        .await
    }

    async fn replace(&self, path: &Path, content: &[u8], _: u32) -> io::Result<()> {
        self.disk("replace", path, false, |world| {
            let now = world.time();
            let mut state = world.state();
            state.files.insert(path.to_owned(), content.to_vec());
            state.look_at_gates(now);
            Ok(())
        })
        .await
    }

    async fn append_line(&self, path: &Path, line: &str, _: u32) -> io::Result<()> {
        self.disk("append", path, true, |world| {
            let mut state = world.state();
            let file = state.files.entry(path.to_owned()).or_default();
            file.extend_from_slice(line.as_bytes());
            file.push(b'\n');
            let lost = state.weather.hints;
            if path.ends_with(".events.jsonl") && !state.chance(lost) {
                drop(state);
                world.after(millis(2), |world| world.0.events_changed.send_modify(|count| *count += 1));
            }
            Ok(())
        })
        .await
    }

    async fn set_aside(&self, path: &Path, suffix: &str) -> io::Result<()> {
        self.disk("set aside", path, true, |world| {
            let mut state = world.state();
            let Some(content) = state.files.remove(path) else { return missing() };
            state.files.insert(PathBuf::from(format!("{}.{suffix}", path.display())), content);
            Ok(())
        })
        .await
    }

    async fn exists(&self, path: &Path) -> io::Result<bool> {
        self.disk("exists", path, false, |world| {
            let state = world.state();
            let repository = path.parent().filter(|_| path.ends_with(".git"));
            Ok(state.files.contains_key(path)
                || state.directories.contains(path)
                || repository.is_some_and(|directory| state.is_repository(directory)))
        })
        .await
    }

    async fn modified(&self, path: &Path) -> io::Result<jiff::Timestamp> {
        self.disk("modified", path, false, |world| {
            world.state().modified.get(path).copied().map_or_else(missing, Ok)
        })
        .await
    }

    async fn is_dir(&self, path: &Path) -> io::Result<bool> {
        self.disk("is dir", path, false, |world| Ok(world.state().directories.contains(path))).await
    }

    async fn real_path(&self, path: &Path) -> io::Result<PathBuf> {
        self.disk("real path", path, false, |world| {
            let state = world.state();
            let below = state.files.keys().chain(&state.directories).any(|it| it.starts_with(path));
            if below { Ok(path.to_owned()) } else { missing() }
        })
        .await
    }

    async fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.disk("create dir", path, false, |world| {
            world.state().directories.insert(path.to_owned());
            Ok(())
        })
        .await
    }

    async fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        self.disk("list dir", path, false, |world| {
            let state = world.state();
            let all = state.files.keys().chain(&state.directories);
            let mut names: Vec<String> = all
                .filter(|it| it.parent() == Some(path))
                .filter_map(|it| Some(it.file_name()?.to_string_lossy().into_owned()))
                .collect();
            names.sort();
            Ok(names)
        })
        .await
    }

    async fn probe_lock(&self, path: &Path) -> io::Result<LockState> {
        self.disk("probe lock", path, false, |world| {
            Ok(if world.state().lock_held { LockState::Held } else { LockState::Free })
        })
        .await
    }

    async fn lock(&self, path: &Path, _: Duration) -> io::Result<HeldLock> {
        self.disk("lock", path, true, |_| Ok(Box::new(()) as HeldLock)).await
    }
}
