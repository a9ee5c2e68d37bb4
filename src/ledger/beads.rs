//! Beads: reading issues through `bd show` (0.47 to 1.0).
//!
//! `bd` is asked beside everything else and never waited for by what can go on without it. A missing id is no error; how
//! `bd` says so is read in [`show_output`].

use jiff::Timestamp;

use super::show_output::{self, Shown};
use crate::{
    commands::{Command, CommandError},
    deps::Deps,
};

/// So many ids are asked for in one call.
const IDS_PER_CALL: usize = 100;

/// One issue, as far as it is of interest. What was not printed is empty or `None`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Bead {
    /// Its id.
    pub id: String,
    /// `open`, `hooked`, `in_progress`, `closed` and others.
    pub status: String,
    /// `task`, `agent`, `convoy` and others.
    pub issue_type: String,
    /// Its labels.
    pub labels: Vec<String>,
    /// Its description.
    pub description: String,
    /// Who works on it. A finished bead may keep it: a hook is never taken from here.
    pub assignee: Option<String>,
    /// When it was last changed; `None` also when the time cannot be read.
    pub updated_at: Option<Timestamp>,
    /// Of an agent: the bead on its hook, by the column or else the description's line.
    pub hook_bead: Option<String>,
    /// Of an agent: its state, by the column or else the description's line.
    pub agent_state: Option<String>,
}

impl Bead {
    /// Whether nothing is to be done about it any more: closed, or deleted (`tombstone`, 0.47 to 0.49).
    pub fn is_closed(&self) -> bool {
        matches!(self.status.as_str(), "closed" | "tombstone")
    }

    /// Whether it stands for an agent: since 0.47 by its type or, when `bd agent state` made it, by its label.
    pub fn is_agent(&self) -> bool {
        self.issue_type == "agent" || self.labels.iter().any(|label| label == "gt:agent")
    }
}

/// Reads the beads with exactly these ids, run in the town, where `bd show` follows the routes. Those that do not exist
/// are left out. A read that fails is tried once more; an error says that nothing is known of any of them.
pub async fn show(deps: &Deps, ids: &[String]) -> Result<Vec<Bead>, String> {
    if let Some(bad) = ids.iter().find(|id| !is_id(id)) {
        return Err(format!("{:?} is no bead's id", bad.chars().take(80).collect::<String>()));
    }
    let mut beads = Vec::new();
    for ids in ids.chunks(IDS_PER_CALL) {
        let found = show_some(deps, ids).await?;
        // `show` also matches parts of an id.
        beads.extend(found.into_iter().filter(|bead| ids.contains(&bead.id)));
    }
    Ok(beads)
}

/// An id becomes an argument: it must not look like a flag, nor hold what no id holds.
fn is_id(id: &str) -> bool {
    id.starts_with(|c: char| c.is_ascii_alphanumeric())
        && id.len() <= 256
        && id.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | ':'))
}

async fn show_some(deps: &Deps, ids: &[String]) -> Result<Vec<Bead>, String> {
    match once_more(deps, ids, false).await? {
        Shown::Beads(beads) => Ok(beads),
        Shown::OneIsMissing if ids.len() == 1 => Ok(Vec::new()),
        // Through its daemon `bd` fails as a whole when one id is missing. Without it, as `gt` asks, it leaves that one out.
        Shown::OneIsMissing => match once_more(deps, ids, true).await? {
            Shown::Beads(beads) => Ok(beads),
            Shown::OneIsMissing => {
                Err(format!("bd show fails as a whole because one of {} is missing", ids.join(", ")))
            }
        },
    }
}

async fn once_more(deps: &Deps, ids: &[String], direct: bool) -> Result<Shown, String> {
    match ask(deps, ids, direct).await {
        Err(Fault { again: true, .. }) => ask(deps, ids, direct).await,
        answer => answer,
    }
    .map_err(|fault| fault.why)
}

/// Why a read failed, and whether there is a point in trying again.
struct Fault {
    why: String,
    again: bool,
}

async fn ask(deps: &Deps, ids: &[String], direct: bool) -> Result<Shown, Fault> {
    let settings = deps.settings();
    let options = ["--json", "--no-daemon"].into_iter().take(if direct { 2 } else { 1 });
    let words = ["show"].into_iter().chain(ids.iter().map(String::as_str)).chain(options);
    let command = Command {
        program: settings.commands.bd.clone(),
        arguments: words.map(str::to_owned).collect(),
        directory: deps.paths.root().to_owned(),
        environment: settings.env.clone(),
        input: None,
        limit: settings.commands.timeout,
    };
    let printed = {
        let _turn = deps.ledger_turn.take().await;
        deps.commands.run(command).await
    };
    let again = !matches!(printed, Err(CommandError::NotFound { .. }));
    let answer = match printed {
        Ok(printed) => show_output::parse(&printed.stdout, &String::from_utf8_lossy(&printed.stderr)),
        Err(error) => failed(&error),
    };
    answer.map_err(|why| Fault { why, again })
}

/// What a call that failed says nevertheless.
fn failed(error: &CommandError) -> Result<Shown, String> {
    let CommandError::Failed { stdout, stderr, .. } = error else {
        return Err(error.to_string());
    };
    if !show_output::has_json(stdout) {
        return Err(error.to_string());
    }
    match show_output::parse(stdout, stderr) {
        // It printed beads, and yet it failed: there may be more.
        Ok(Shown::Beads(beads)) if !beads.is_empty() => Err(error.to_string()),
        answer => answer,
    }
}
