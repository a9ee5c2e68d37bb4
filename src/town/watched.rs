//! Watched: the watched paths, each identified by its current file or directory.
//!
//! A replaced file or directory is a different one, and must be watched anew. It must not know what changes mean.

use std::{collections::BTreeMap, path::PathBuf};

use notify::{RecommendedWatcher, RecursiveMode, Watcher};

/// A watcher and its paths; `I` identifies what is at a path.
#[derive(Debug)]
pub struct Watched<I> {
    watcher: RecommendedWatcher,
    pub(super) paths: BTreeMap<PathBuf, I>,
}

impl<I: PartialEq + Clone> Watched<I> {
    /// Nothing is watched yet.
    pub fn new(watcher: RecommendedWatcher) -> Self {
        Watched { watcher, paths: BTreeMap::new() }
    }

    /// Watches exactly these from now on. Returns those that were not watched before, or whose identity changed; and
    /// those that cannot be watched, with the reason.
    pub fn exactly(
        &mut self,
        wanted: &BTreeMap<PathBuf, I>,
    ) -> (Vec<PathBuf>, Vec<(PathBuf, notify::Error)>) {
        let watcher = &mut self.watcher;
        self.paths.retain(|path, old| {
            let stays = wanted.get(path) == Some(old);
            if !stays {
                // Fails when the path is gone, and its watch with it.
                let _ = watcher.unwatch(path);
            }
            stays
        });
        let (mut new, mut failed) = (Vec::new(), Vec::new());
        for (path, what) in wanted {
            if self.paths.contains_key(path) {
                continue;
            }
            match self.watcher.watch(path, RecursiveMode::NonRecursive) {
                Ok(()) => {
                    self.paths.insert(path.clone(), what.clone());
                    new.push(path.clone());
                }
                Err(error) => failed.push((path.clone(), error)),
            }
        }
        (new, failed)
    }
}
