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
use tokio::sync::watch;

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
    /// Its file is for people to read, too.
    pretty: bool,
    /// Something changed that is not on disk,
    unsaved: Arc<AtomicBool>,
    /// which whoever writes is told.
    changed: Arc<watch::Sender<()>>,
}

/// The file: `{"agents": {"deacon": …}}`.
#[derive(Debug, Serialize, Deserialize)]
pub struct Book<K: Ord, T> {
    #[serde(default = "BTreeMap::new")]
    pub agents: BTreeMap<K, T>,
}

impl<K: Ord, T> Default for Book<K, T> {
    fn default() -> Self {
        Book { agents: BTreeMap::new() }
    }
}

impl<T: Clone + PartialEq + Serialize + DeserializeOwned + Send + 'static> View<T> {
    pub fn new(
        (agents, changed): (&Agents, &Arc<watch::Sender<()>>),
        path: PathBuf,
        field: Field<T>,
    ) -> Self {
        let (agents, changed) = (agents.clone(), changed.clone());
        View { agents, path, field, pretty: true, unsaved: Arc::default(), changed }
    }

    /// The same, of one that is large: its file has no line breaks, and takes a third of the time.
    pub fn large(self) -> Self {
        View { pretty: false, ..self }
    }

    /// Takes over what is in the file. One that is broken is set aside.
    pub async fn load(&self, ports: &Ports) {
        let file = Persisted::<Book<_, T>>::new(self.path.clone());
        file.load(ports).await;
        self.take(&file);
    }

    /// Takes over what is in the file and leaves the file as it is.
    pub async fn peek(&self, ports: &Ports) -> (bool, Option<FileProblem>) {
        let file = Persisted::<Book<_, T>>::new(self.path.clone());
        let found = file.peek(ports).await;
        self.take(&file);
        found
    }

    fn take(&self, file: &Persisted<Book<Identity, T>>) {
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

    /// What was changed is to be saved.
    pub fn was_changed(&self) {
        self.unsaved.store(true, Ordering::Relaxed);
        self.changed.send_replace(());
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
            .filter_map(|(identity, record)| Some((identity, (self.field)(record).as_ref()?)));
        let book = Book { agents: shown.collect() };
        if self.pretty { serde_json::to_vec_pretty(&book) } else { serde_json::to_vec(&book) }
    }

    fn failed(&self) {
        self.unsaved.store(true, Ordering::Relaxed);
    }
}
