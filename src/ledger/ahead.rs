//! Reading ahead: reads many beads at once, only to find out which agents need a probe.
//!
//! A run of `bd` for a whole rig costs about 1 s of processor time, most of it for opening its database once for each
//! id. So the database itself is read when `bd` has one (up to 0.49) and it is known to give the same answer.
//! Otherwise `bd` is asked, but only when the database files changed. Before anything is done about an agent, its
//! beads are read again through `bd`: this reading only nominates.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use parking_lot::Mutex;

use super::{answer::Answer, beads, databases::Database};
use crate::{ledger::Ledger, ports::bead_store::Stamp, terminal, town::bead::Bead};

/// The last answers of `bd` about databases that only it can read; survives the crash of any actor.
#[derive(Debug, Clone, Default)]
pub struct Ahead(Arc<Mutex<BTreeMap<Database, Said>>>);

#[derive(Debug)]
struct Said {
    /// The stamp of the database before `bd` was asked.
    stamp: Stamp,
    answers: BTreeMap<String, Answer<Bead>>,
}

impl Ahead {
    /// The stored answers for these ids that still hold, because the database has not changed.
    fn still_true(&self, database: &Database, stamp: &Stamp, ids: &BTreeSet<String>) -> Answers {
        let said = self.0.lock();
        let Some(said) = said.get(database).filter(|said| said.stamp == *stamp) else {
            return Answers::new();
        };
        let known = |id: &String| said.answers.get(id).map(|answer| (id.clone(), answer.clone()));
        ids.iter().filter_map(known).collect()
    }

    /// Stores the answers that are certain.
    fn keep(&self, database: Database, stamp: Stamp, answers: Answers) {
        let certain = |answer: &Answer<Bead>| matches!(answer, Answer::Found(_) | Answer::Missing);
        let answers = answers.into_iter().filter(|(_, answer)| certain(answer));
        let mut said = self.0.lock();
        match said.get_mut(&database).filter(|said| said.stamp == stamp) {
            Some(said) => said.answers.extend(answers),
            None => drop(said.insert(database, Said { stamp, answers: answers.collect() })),
        }
    }
}

type Answers = BTreeMap<String, Answer<Bead>>;

/// The beads with exactly these ids. There is an answer for each id, as [`beads::read`] gives it.
pub async fn read(ledger: &Ledger, ids: &[String]) -> Answers {
    // Later versions store their beads elsewhere, and a file that is still there means nothing.
    if !ledger.bd_has_daemon() {
        return beads::read(ledger, ids).await;
    }
    let (ids, mut rest): (Vec<&String>, Vec<String>) = (
        ids.iter().filter(|id| beads::is_id(id)).collect(),
        ids.iter().filter(|id| !beads::is_id(id)).cloned().collect(),
    );
    let mut by_database: BTreeMap<Database, BTreeSet<String>> = BTreeMap::new();
    for id in ids {
        by_database.entry(ledger.databases.of(id)).or_default().insert(id.clone());
    }
    let (mut answers, mut asked) = (Answers::new(), Vec::new());
    for (database, ids) in by_database {
        let directory = database.directory(ledger.paths.root());
        match ledger.beads.beads(&directory, &ids).await {
            Ok(mut found) => {
                let answer =
                    |id: String| (id.clone(), found.remove(&id).map_or(Answer::Missing, Answer::Found));
                answers.extend(ids.into_iter().map(answer));
            }
            Err(why) => {
                tracing::debug!("{} is read through bd: {why}", terminal::path(&directory));
                let stamp = ledger.beads.stamp(&directory).await;
                let known = stamp.as_ref().map(|stamp| ledger.ahead.still_true(&database, stamp, &ids));
                let known = known.unwrap_or_default();
                let unknown: Vec<String> = ids.into_iter().filter(|id| !known.contains_key(id)).collect();
                answers.extend(known);
                rest.extend(unknown.clone());
                asked.extend(stamp.map(|stamp| (database, stamp, unknown)));
            }
        }
    }
    let said = beads::read(ledger, &rest).await;
    for (database, stamp, ids) in asked {
        let of_it = ids.into_iter().filter_map(|id| Some((id.clone(), said.get(&id)?.clone()))).collect();
        ledger.ahead.keep(database, stamp, of_it);
    }
    answers.extend(said);
    answers
}
