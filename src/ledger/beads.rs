//! Beads: reading issues through `bd show` and `bd list` (0.47 to 1.0).
//!
//! `bd` runs in the background; only what needs the answer waits for it. A missing id is not an error;
//! [`show_output`] knows how `bd` reports one.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    answer::Answer,
    bd,
    databases::Database,
    list_output,
    show_output::{self, Shown},
};
use crate::{
    commands::CommandError,
    ledger::Ledger,
    town::{bead::Bead, reading::shorten},
};

/// Reads the beads with exactly these ids, each from the database that its prefix belongs to; one call for as many as the
/// [dialect](crate::town::dialect::Facts::beads_per_run) says, or for each database where `bd` follows no routes. There is
/// an answer for each id; a malformed id, or one that cannot be read, does not affect the others. A call that fails is
/// repeated once.
pub async fn read(ledger: &Ledger, ids: &[String]) -> BTreeMap<String, Answer<Bead>> {
    if ledger.dialect().facts().bd_follows_routes {
        return read_in(ledger, &Database::town(), ids).await;
    }
    let mut by_database: BTreeMap<Database, Vec<String>> = BTreeMap::new();
    for id in ids {
        by_database.entry(ledger.databases.of(id)).or_default().push(id.clone());
    }
    let reads = by_database.iter().map(|(database, ids)| read_in(ledger, database, ids));
    futures::future::join_all(reads).await.into_iter().flatten().collect()
}

/// Like [`read`], all from this database. Where `bd` follows the routes, these alone count.
pub async fn read_in(ledger: &Ledger, database: &Database, ids: &[String]) -> BTreeMap<String, Answer<Bead>> {
    let (good, bad): (BTreeSet<&String>, BTreeSet<&String>) = ids.iter().partition(|id| is_id(id));
    let refused = |id: &&String| Answer::Unknown(format!("{:?} is not a bead id", shorten(id)));
    let mut answers: BTreeMap<String, Answer<Bead>> =
        bad.iter().map(|id| ((*id).clone(), refused(id))).collect();
    let good: Vec<String> = good.into_iter().cloned().collect();
    for ids in good.chunks(ledger.dialect().facts().beads_per_run) {
        answers.extend(read_some(ledger, database, ids).await);
    }
    answers
}

/// Like [`read_in`], in the batches of all who ask about this database now, see [`one`].
pub async fn read_with_others(
    ledger: &Ledger,
    database: &Database,
    ids: &[String],
) -> BTreeMap<String, Answer<Bead>> {
    let asked = ids.iter().map(|id| async move { (id.clone(), one_in(ledger, database, id).await) });
    futures::future::join_all(asked).await.into_iter().collect()
}

/// The existing beads, when all answers are needed: one unknown answer is an error.
pub fn all(answers: BTreeMap<String, Answer<Bead>>) -> Result<Vec<Bead>, String> {
    let mut beads = Vec::new();
    for answer in answers.into_values() {
        match answer {
            Answer::Found(bead) => beads.push(bead),
            Answer::Missing | Answer::NotAsked => {}
            Answer::Unknown(why) => return Err(why),
        }
    }
    Ok(beads)
}

/// Reads one bead afresh: the call that answers begins after this was called. Callers that ask about beads of one
/// database at the same time share a call. Dropping this affects no other caller: they ask again.
pub async fn one(ledger: &Ledger, id: &str) -> Answer<Bead> {
    one_in(ledger, &ledger.databases.of(id), id).await
}

/// Like [`one`], from this database.
pub async fn one_in(ledger: &Ledger, database: &Database, id: &str) -> Answer<Bead> {
    'asking: loop {
        let mut answer = ledger.questions.put(database, id);
        loop {
            tokio::select! {
                biased;
                told = &mut answer => match told {
                    Ok(answer) => return answer,
                    Err(_) => continue 'asking, // the caller that asked for it is gone
                },
                _lead = ledger.questions.lead(database) => {
                    // Callers that ask in this instant join the batch.
                    tokio::task::yield_now().await;
                    let batch = ledger.questions.take(database, ledger.dialect().facts().beads_per_run);
                    let answers = read_in(ledger, database, &batch.ids()).await;
                    batch.hand_out(&answers);
                }
            }
        }
    }
}

/// The beads of this database that somebody works on, or has on the hook: `hooked` or `in_progress`, of this assignee
/// or of all. One call; it must not be used where `bd` has a daemon, whose `list` takes one status only.
pub async fn at_work(
    ledger: &Ledger,
    database: &Database,
    assignee: Option<&str>,
) -> Result<Vec<Bead>, String> {
    let whose = assignee.map(|name| format!("--assignee={name}"));
    let words = ["list", "--status=hooked,in_progress", "--json", "--flat", "--limit", "0"];
    let words: Vec<&str> = words.into_iter().chain(whose.as_deref()).collect();
    let printed = bd::run_in(ledger, &words, database).await.map_err(|error| bd::why(&error))?;
    let rows = list_output::rows(&printed.stdout, "bd list")?;
    let unusable = |error: serde_json::Error| format!("bd list printed a bead that cannot be used: {error}");
    rows.into_iter().map(|row| show_output::bead(row).map_err(unusable)).collect()
}

/// Whether a text may be an id. An id becomes an argument: it must not look like a flag, nor contain other characters.
pub fn is_id(id: &str) -> bool {
    id.starts_with(|c: char| c.is_ascii_alphanumeric())
        && id.len() <= 256
        && id.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | ':'))
}

async fn read_some(ledger: &Ledger, database: &Database, ids: &[String]) -> BTreeMap<String, Answer<Bead>> {
    let fails_as_a_whole = ids.len() > 1 && ledger.bd_has_daemon();
    let shown = match once_more(ledger, database, ids, fails_as_a_whole).await {
        // Through its daemon, `bd` fails as a whole when one id is missing. Without it, as `gt` runs it, `bd` leaves
        // that id out.
        Ok(Shown::OneIsMissing) if ids.len() > 1 && ledger.dialect().facts().bd_has_daemon => {
            once_more(ledger, database, ids, true).await
        }
        shown => shown,
    };
    let answer = |id: &String| match &shown {
        Ok(Shown::Beads { beads, troubles }) => of_one(id, ids, beads, troubles),
        Ok(Shown::OneIsMissing) if ids.len() == 1 => Answer::Missing,
        Ok(Shown::OneIsMissing) => {
            Answer::Unknown(format!("bd show fails as a whole because one of {} ids is missing", ids.len()))
        }
        Err(why) => Answer::Unknown(why.clone()),
    };
    ids.iter().map(|id| (id.clone(), answer(id))).collect()
}

/// The answer for one of the requested ids. `show` also matches parts of an id: only the whole id counts.
fn of_one(id: &str, asked: &[String], beads: &[Bead], troubles: &[String]) -> Answer<Bead> {
    if let Some(bead) = beads.iter().find(|bead| bead.id == id) {
        return Answer::Found(bead.clone());
    }
    let is_about =
        |trouble: &str, id: &str| trouble.strip_prefix(id).is_some_and(|rest| rest.starts_with(':'));
    // An error that names none of the ids may be about any of them.
    let its = troubles
        .iter()
        .find(|trouble| is_about(trouble, id) || !asked.iter().any(|other| is_about(trouble, other)));
    its.map_or(Answer::Missing, |trouble| Answer::Unknown(format!("bd show: Error fetching {trouble}")))
}

async fn once_more(
    ledger: &Ledger,
    database: &Database,
    ids: &[String],
    direct: bool,
) -> Result<Shown, String> {
    match ask(ledger, database, ids, direct).await {
        Ok(Shown::Beads { troubles, .. }) if !troubles.is_empty() => ask(ledger, database, ids, direct).await,
        Err(Fault { again: true, .. }) => ask(ledger, database, ids, direct).await,
        answer => answer,
    }
    .map_err(|fault| fault.why)
}

/// Why a read failed, and whether a retry makes sense.
struct Fault {
    why: String,
    again: bool,
}

async fn ask(ledger: &Ledger, database: &Database, ids: &[String], direct: bool) -> Result<Shown, Fault> {
    let options = ["--json", "--no-daemon"].into_iter().take(if direct { 2 } else { 1 });
    let words: Vec<&str> =
        ["show"].into_iter().chain(ids.iter().map(String::as_str)).chain(options).collect();
    let printed = if ledger.dialect().facts().bd_follows_routes {
        let touches = ids.iter().map(|id| ledger.databases.of(id)).collect();
        bd::run(ledger, &words, &touches, ledger.paths.root()).await
    } else {
        bd::run_in(ledger, &words, database).await
    };
    let again = !matches!(printed, Err(CommandError::NotFound { .. }));
    let answer = match printed {
        Ok(printed) => show_output::parse(&printed.stdout, &String::from_utf8_lossy(&printed.stderr)),
        Err(error) => failed(&error),
    };
    answer.map_err(|why| Fault { why, again })
}

/// What the output of a failed call says nevertheless.
fn failed(error: &CommandError) -> Result<Shown, String> {
    let CommandError::Failed { stdout, stderr, .. } = error else {
        return Err(error.to_string());
    };
    if !show_output::has_json(stdout) {
        return Err(bd::why(error));
    }
    match show_output::parse(stdout, stderr) {
        // It printed beads and failed: there may be more.
        Ok(Shown::Beads { beads, .. }) if !beads.is_empty() => Err(error.to_string()),
        answer => answer,
    }
}
