//! The files of the world that grow.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use async_trait::async_trait;
use gastown_supervisor::town::journal::{Extended, Extent, FileId, Journals, OpenJournal};

use super::{World, files::missing};

impl World {
    fn file_id(&self, path: &Path) -> FileId {
        let mut state = self.state();
        let next = state.number();
        let inode = *state.file_ids.entry(path.to_owned()).or_insert(next);
        FileId { device: 1, inode, made: None }
    }
}

struct FakeJournal {
    world: World,
    path: PathBuf,
    id: FileId,
}

#[async_trait]
impl OpenJournal for FakeJournal {
    fn id(&self) -> FileId {
        self.id
    }

    async fn read(&self, offset: u64, most: usize) -> io::Result<Vec<u8>> {
        self.world
            .disk("read piece", &self.path, false, |world| {
                let state = world.state();
                let Some(content) = state.files.get(&self.path) else { return missing() };
                let begin = content.len().min(usize::try_from(offset).unwrap());
                Ok(content[begin..content.len().min(begin + most)].to_vec())
            })
            .await
    }

    async fn length(&self) -> io::Result<u64> {
        let state = self.world.state();
        Ok(state.files.get(&self.path).map_or(0, |content| content.len() as u64))
    }
}

#[async_trait]
impl Journals for World {
    async fn open(&self, path: &Path) -> io::Result<Option<Arc<dyn OpenJournal>>> {
        self.disk("open", path, false, |world| {
            if !world.state().files.contains_key(path) {
                return Ok(None);
            }
            let id = world.file_id(path);
            Ok(Some(Arc::new(FakeJournal { world: world.clone(), path: path.to_owned(), id }) as Arc<_>))
        })
        .await
    }

    async fn siblings(&self, _: &Path) -> io::Result<Vec<Arc<dyn OpenJournal>>> {
        Ok(Vec::new())
    }

    async fn written(&self, _: &Path) {}

    async fn extend(&self, path: &Path, known: &[Extent], content: Vec<u8>, _: u32) -> io::Result<Extended> {
        self.disk("extend", path, false, |world| {
            let file = world.file_id(path);
            let mut state = world.state();
            let there = state.files.entry(path.to_owned()).or_default();
            let Some(ours) = known.iter().find(|it| it.file == file) else {
                return Ok(Extended::Stranger(Extent { file, length: there.len() as u64 }));
            };
            there.truncate(usize::try_from(ours.length).unwrap());
            there.extend_from_slice(&content);
            Ok(Extended::Known(Extent { file, length: there.len() as u64 }))
        })
        .await
    }

    async fn sync(&self, path: &Path) -> io::Result<()> {
        self.disk("sync", path, false, |_| Ok(())).await
    }

    async fn prepare(&self, path: &Path, keep: u64, _: u32) -> io::Result<Extent> {
        self.disk("prepare", path, false, |world| {
            let content = world.state().files.get(path).cloned().unwrap_or_default();
            let from = content.len().saturating_sub(usize::try_from(keep).unwrap());
            let begin = content[from..].iter().position(|byte| *byte == b'\n').map_or(0, |at| from + at + 1);
            let half = path.with_extension("half");
            world.state().file_ids.remove(&half);
            world.state().files.insert(half.clone(), content[begin..].to_vec());
            let file = world.file_id(&half);
            Ok(Extent { file, length: (content.len() - begin) as u64 })
        })
        .await
    }

    async fn install(&self, path: &Path) -> io::Result<()> {
        self.disk("install", path, false, |world| {
            let half = path.with_extension("half");
            let mut state = world.state();
            let content = state.files.remove(&half).unwrap_or_default();
            state.files.insert(path.to_owned(), content);
            if let Some(id) = state.file_ids.remove(&half) {
                state.file_ids.insert(path.to_owned(), id);
            }
            Ok(())
        })
        .await
    }
}
