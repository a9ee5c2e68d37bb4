//! A view of the records: one file of ours that shows one field of each.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{AgentRecord, Agents, lock};
use crate::{
    ports::{
        Ports,
        persisted::{self, Persisted},
        writes::{Content, Write},
    },
    town::{identity::Identity, reading::FileProblem},
};

/// Which field of a record.
type Field<T> = fn(&mut AgentRecord) -> &mut Option<T>;

/// A field of all records, and its file.
#[derive(Debug, Clone)]
pub struct View<T> {
    agents: Agents,
    path: PathBuf,
    field: Field<T>,
    /// Something changed that is not on disk.
    unsaved: Arc<AtomicBool>,
}

/// The file: `{"agents": {"deacon": …}}`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(default, bound(deserialize = "T: DeserializeOwned"))]
struct Book<T> {
    agents: BTreeMap<Identity, T>,
}

impl<T> Default for Book<T> {
    fn default() -> Self {
        Book { agents: BTreeMap::new() }
    }
}

impl<T: Clone + PartialEq + Serialize + DeserializeOwned + Send + 'static> View<T> {
    pub fn new(agents: &Agents, path: PathBuf, field: Field<T>) -> Self {
        View { agents: agents.clone(), path, field, unsaved: Arc::default() }
    }

    /// Takes over what is in the file. One that is broken is set aside.
    pub async fn load(&self, ports: &Ports) {
        let file = Persisted::<Book<T>>::new(self.path.clone());
        file.load(ports).await;
        self.take(&file);
    }

    /// Takes over what is in the file and leaves the file as it is.
    pub async fn peek(&self, ports: &Ports) -> (bool, Option<FileProblem>) {
        let file = Persisted::<Book<T>>::new(self.path.clone());
        let found = file.peek(ports).await;
        self.take(&file);
        found
    }

    fn take(&self, file: &Persisted<Book<T>>) {
        let mut agents = lock(&self.agents);
        for (identity, value) in std::mem::take(&mut file.value().agents) {
            *(self.field)(agents.entry(identity).or_default()) = Some(value);
        }
    }

    /// Sets the field; returns whether that is a change, which is to be saved.
    pub fn put(&self, record: &mut AgentRecord, value: Option<T>) -> bool {
        let field = (self.field)(record);
        let changed = *field != value;
        if changed {
            *field = value;
            self.was_changed();
        }
        changed
    }

    pub fn was_changed(&self) {
        self.unsaved.store(true, Ordering::Relaxed);
    }

    /// Writes the file unless all of it is on disk. That it cannot be written is reported and retried.
    pub async fn save(&self, ports: &Ports) {
        let (path, key) = (self.path.clone(), persisted::problem(ports, &self.path));
        let write = Write { path, mode: 0o600, key, content: Arc::new(self.clone()) };
        let _ = ports.writes.replace_unless(ports, write, || !self.unsaved.load(Ordering::Relaxed)).await;
    }
}

impl<T: Clone + Serialize + Send + 'static> Content for View<T> {
    fn bytes(&self) -> serde_json::Result<Vec<u8>> {
        let mut records = lock(&self.agents);
        self.unsaved.store(false, Ordering::Relaxed);
        let shown = records
            .iter_mut()
            .filter_map(|(identity, record)| Some((identity.clone(), (self.field)(record).clone()?)));
        serde_json::to_vec_pretty(&Book { agents: shown.collect() })
    }

    fn failed(&self) {
        self.unsaved.store(true, Ordering::Relaxed);
    }
}
