//! Questions: batches bead ids that are requested at the same time.
//!
//! Many owners need the bead of their agent at the same moment, and each run of `bd` takes time. So while one run is
//! in progress, further ids for the same database wait here and go into the next run. There is no task behind it: the
//! first caller [leads](Questions::lead), reads all of them and hands out the answers. A leader that is dropped loses
//! only its own question: the callers it asked for are notified and ask again.

use std::{collections::BTreeMap, sync::Arc};

use parking_lot::Mutex;
use tokio::sync::{OwnedMutexGuard, oneshot};

use super::{answer::Answer, databases::Database};
use crate::{town::bead::Bead, turns::Turns};

/// The waiting questions, by database; clones share them.
#[derive(Debug, Clone, Default)]
pub struct Questions {
    waiting: Arc<Mutex<BTreeMap<Database, Vec<Question>>>>,
    leads: Turns<Database>,
}

#[derive(Debug)]
struct Question {
    id: String,
    asker: oneshot::Sender<Answer<Bead>>,
}

/// Questions that go into one run; dropping it notifies their callers.
#[derive(Debug)]
pub struct Batch(BTreeMap<String, Vec<oneshot::Sender<Answer<Bead>>>>);

impl Questions {
    /// Adds a question. The receiver gets the answer, or an error when the leader is gone.
    pub fn put(&self, database: &Database, id: &str) -> oneshot::Receiver<Answer<Bead>> {
        let (asker, answer) = oneshot::channel();
        let question = Question { id: id.to_owned(), asker };
        self.waiting.lock().entry(database.clone()).or_default().push(question);
        answer
    }

    /// Waits until no other caller leads for this database.
    pub async fn lead(&self, database: &Database) -> OwnedMutexGuard<()> {
        self.leads.take(database.clone()).await
    }

    /// Takes the oldest waiting questions, up to about `most` ids.
    pub fn take(&self, database: &Database, most: usize) -> Batch {
        let mut batch: BTreeMap<String, Vec<_>> = BTreeMap::new();
        let mut all = self.waiting.lock();
        let waiting = all.entry(database.clone()).or_default();
        for Question { id, asker } in std::mem::take(waiting) {
            if asker.is_closed() {
                continue; // no caller waits for it any more
            }
            if batch.len() < most || batch.contains_key(&id) {
                batch.entry(id).or_default().push(asker);
            } else {
                waiting.push(Question { id, asker });
            }
        }
        Batch(batch)
    }
}

impl Batch {
    /// The ids asked about, each once.
    pub fn ids(&self) -> Vec<String> {
        self.0.keys().cloned().collect()
    }

    /// Hands out the answers; callers whose question was not answered ask again.
    pub fn hand_out(self, answers: &BTreeMap<String, Answer<Bead>>) {
        for (id, askers) in self.0 {
            let Some(answer) = answers.get(&id) else { continue };
            for asker in askers {
                // A caller that is gone needs no answer.
                let _ = asker.send(answer.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_id_once_the_oldest_first_and_none_that_is_not_awaited() {
        let (questions, town) = (Questions::default(), Database::town());
        let mut waiting: Vec<_> =
            ["c", "a", "c", "b", "a", "d"].iter().map(|id| questions.put(&town, id)).collect();
        drop(waiting.remove(3)); // b
        let first = questions.take(&town, 2);
        assert_eq!(first.ids(), ["a", "c"]);
        first.hand_out(&BTreeMap::from([("a".to_owned(), Answer::Missing)]));
        let told: Vec<_> = waiting.iter_mut().map(|it| it.try_recv()).collect();
        let (gone, later) =
            (Err(oneshot::error::TryRecvError::Closed), Err(oneshot::error::TryRecvError::Empty));
        assert_eq!(told, [gone.clone(), Ok(Answer::Missing), gone, Ok(Answer::Missing), later]);
        assert_eq!(questions.take(&town, 2).ids(), ["d"]);
        assert!(questions.take(&town, 2).ids().is_empty());
    }
}
