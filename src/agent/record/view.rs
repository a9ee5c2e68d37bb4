//! A view of the records: one file of ours that shows a part of each.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tokio::sync::watch;

use super::{AgentRecord, Agents};
use crate::{
    ports::{
        Ports,
        persisted::{self, Persisted},
        writes::{Content, Write},
    },
    town::{identity::Identity, reading::FileProblem},
};

/// What a file shows of the records, as JSON.
type Show = fn(&BTreeMap<Identity, AgentRecord>) -> serde_json::Result<Vec<u8>>;
/// Puts what was in a file into the records.
type Restore<F> = fn(F, &mut BTreeMap<Identity, AgentRecord>);

/// A part of all records, and its file.
#[derive(Debug, Clone)]
pub struct View<F> {
    agents: Agents,
    path: PathBuf,
    show: Show,
    restore: Restore<F>,
    /// Whether something changed that is not on disk.
    unsaved: Arc<AtomicBool>,
    /// Wakes the tasks that write.
    changed: Arc<watch::Sender<()>>,
}

/// A file that shows one field of each record: `{"agents": {"deacon": …}}`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Book<K: Ord, T> {
    #[serde(default = "BTreeMap::new")]
    pub agents: BTreeMap<K, T>,
}

impl<K: Ord, T> Default for Book<K, T> {
    fn default() -> Self {
        Book { agents: BTreeMap::new() }
    }
}

/// This field of each record that has it.
pub fn book<'a, T>(
    agents: &'a BTreeMap<Identity, AgentRecord>,
    field: impl Fn(&'a AgentRecord) -> Option<&'a T>,
) -> Book<&'a Identity, &'a T> {
    let with_it = agents.iter().filter_map(|(identity, record)| Some((identity, field(record)?)));
    Book { agents: with_it.collect() }
}

impl<T> Book<Identity, T> {
    /// Sets this field of each record.
    pub fn restore(
        self,
        agents: &mut BTreeMap<Identity, AgentRecord>,
        field: fn(&mut AgentRecord) -> &mut Option<T>,
    ) {
        for (identity, value) in self.agents {
            *field(agents.entry(identity).or_default()) = Some(value);
        }
    }
}

impl<F: Clone + Default + Serialize + DeserializeOwned + Send + 'static> View<F> {
    pub fn new(
        (agents, changed): (&Agents, &Arc<watch::Sender<()>>),
        path: PathBuf,
        show: Show,
        restore: Restore<F>,
    ) -> Self {
        let (agents, changed) = (agents.clone(), changed.clone());
        View { agents, path, show, restore, unsaved: Arc::default(), changed }
    }

    /// Takes over what is in the file. One that is broken is set aside.
    pub async fn load(&self, ports: &Ports) {
        let file = Persisted::<F>::new(self.path.clone());
        file.load(ports).await;
        self.take(&file);
    }

    /// Takes over what is in the file and leaves the file as it is.
    pub async fn peek(&self, ports: &Ports) -> (bool, Option<FileProblem>) {
        let file = Persisted::<F>::new(self.path.clone());
        let found = file.peek(ports).await;
        self.take(&file);
        found
    }

    fn take(&self, file: &Persisted<F>) {
        (self.restore)(std::mem::take(&mut file.value()), &mut self.agents.lock());
    }

    /// Sets what is shown of a record; returns whether that is a change, which is to be saved.
    pub fn put<T: PartialEq>(&self, field: &mut T, value: T) -> bool {
        let changed = *field != value;
        if changed {
            *field = value;
            self.was_changed();
        }
        changed
    }

    /// What was changed is to be saved.
    pub fn was_changed(&self) {
        self.unsaved.store(true, Ordering::Relaxed);
        self.changed.send_replace(());
    }

    /// Writes the file unless all of it is on disk. That it cannot be written is reported and retried.
    pub async fn save(&self, ports: &Ports) -> Result<(), String> {
        let (path, key) = (self.path.clone(), persisted::problem(ports, &self.path));
        let write = Write { path, mode: 0o600, key, content: Arc::new(self.clone()) };
        ports.writes.replace_unless(ports, write, || !self.unsaved.load(Ordering::Relaxed)).await
    }
}

impl<F: Clone + Send + 'static> Content for View<F> {
    fn bytes(&self) -> serde_json::Result<Vec<u8>> {
        let agents = self.agents.lock();
        self.unsaved.store(false, Ordering::Relaxed);
        (self.show)(&agents)
    }

    fn failed(&self) {
        self.unsaved.store(true, Ordering::Relaxed);
    }
}
