//! Pre-sync: brings a worktree up to date before its agent is restarted.
//!
//! Whatever fails is logged and passed over: the agent starts in any case. Uncommitted work is never touched, nor is what
//! somebody has begun and not finished (a rebase, a merge, a bisect); only a rebase of our own is given up.

use std::{path::Path, time::Duration};

use super::{
    spec::AgentSpec,
    worktree::{NoWorktree, Run, Worktree},
};
use crate::{
    commands::CommandError,
    deps::Deps,
    ledger::bd,
    terminal,
    town::{reading::Reading, rig_config},
};

/// The limit of `git fetch` and `git pull`.
const REMOTE_LIMIT: Duration = Duration::from_secs(120);

/// git begins the text of each step it notes in a reflog with the value of this variable.
const REFLOG_ACTION: &str = "GIT_REFLOG_ACTION";

/// Whether this agent's place is brought up to date before a restart: as its role bead says, else if it is a worktree.
pub fn is_wanted(deps: &Deps, spec: &AgentSpec) -> bool {
    let own = deps.starts.role_beads.of(&spec.identity, deps.paths.root());
    own.needs_pre_sync.unwrap_or_else(|| spec.identity.facts().is_worktree)
}

/// Fetches, pulls with rebase when nothing is uncommitted, and lets `bd` sync. Nothing of it is done where it is not known
/// that this is the agent's own worktree with nothing in progress.
pub async fn presync(deps: &Deps, spec: &AgentSpec, directory: &Path) {
    let skipped = |why: &str| {
        tracing::warn!(agent = %spec.identity, "worktree not updated before the restart: {why}");
    };
    let worktree = match Worktree::open(deps, directory).await {
        Ok(worktree) => worktree,
        Err(NoWorktree::NotItsOwn(why) | NoWorktree::Unknown(why)) => return skipped(&why),
    };
    if let Err(why) = nothing_in_progress(&worktree, directory).await {
        return skipped(&why);
    }
    if let Err(why) = fetch_and_pull(deps, spec, &worktree, directory).await {
        tracing::warn!(agent = %spec.identity, "before its restart: {why}");
        if nothing_in_progress(&worktree, directory).await.is_err() {
            return; // `bd` commits and pulls too
        }
    }
    // Not beside another `bd` of its rig; one that hangs holds its turn no longer than its own limit.
    let database = deps.database_of_prefix(&spec.prefix);
    match bd::run(deps, &["sync"], &[database].into(), directory).await {
        // Told already, once for everything `bd` is needed for.
        Ok(_) | Err(CommandError::NotFound { .. }) => {}
        Err(error) => tracing::warn!(agent = %spec.identity, "before its restart: {error}"),
    }
}

async fn nothing_in_progress(worktree: &Worktree<'_>, directory: &Path) -> Result<(), String> {
    match worktree.in_progress().await {
        Ok(None) => Ok(()),
        Ok(Some(what)) => Err(format!("{what} is in progress in {}", terminal::path(directory))),
        Err(why) => Err(format!("cannot tell whether a git operation is in progress there: {why}")),
    }
}

async fn fetch_and_pull(
    deps: &Deps,
    spec: &AgentSpec,
    worktree: &Worktree<'_>,
    directory: &Path,
) -> Result<(), String> {
    let failed = |error: CommandError| error.to_string();
    let fetch = Run { words: &["fetch", "origin"], limit: REMOTE_LIMIT, variable: None, input: None };
    worktree.run(fetch).await.map_err(failed)?;
    let status = worktree.git(&["status", "--porcelain"]).await.map_err(failed)?;
    if !status.stdout.is_empty() {
        tracing::info!(agent = %spec.identity, "has uncommitted changes, fetched but not pulled");
        return Ok(());
    }
    // Asked again, as fetching may have taken minutes.
    nothing_in_progress(worktree, directory).await?;
    let branch = default_branch(deps, spec).await;
    let mark = format!("gastown-supervisor before the restart of {} at {}", spec.identity, deps.now().wall);
    let pull = Run {
        words: &["pull", "--rebase", "origin", &branch],
        limit: REMOTE_LIMIT,
        variable: Some((REFLOG_ACTION, &mark)),
        input: None,
    };
    match worktree.run(pull).await {
        Ok(_) => Ok(()),
        Err(error) => Err(match give_up_our_rebase(worktree, &mark).await {
            Ok(()) => error.to_string(),
            Err(why) => format!("{error}; {why}"),
        }),
    }
}

/// A rebase of ours that stopped halfway must not be what the agent wakes up in. Somebody else's, begun in the same moment,
/// is left alone: HEAD must have been moved last by our own pull, as its reflog says.
async fn give_up_our_rebase(worktree: &Worktree<'_>, mark: &str) -> Result<(), String> {
    let failed = |error: CommandError| error.to_string();
    let Some(what) = worktree.in_progress().await? else { return Ok(()) };
    let last = ["log", "--walk-reflogs", "-1", "--no-show-signature", "--format=%gs", "HEAD"];
    let last = worktree.git(&last).await.map_err(failed)?;
    if !last.stdout.starts_with(mark.as_bytes()) {
        return Err(format!("{what} is in progress that this pull did not start; left as it is"));
    }
    worktree.git(&["rebase", "--abort"]).await.map(drop).map_err(failed)
}

async fn default_branch(deps: &Deps, spec: &AgentSpec) -> String {
    let Some(rig) = spec.identity.rig() else {
        return rig_config::DEFAULT_BRANCH.to_owned();
    };
    let path = deps.paths.rig_config(rig);
    match Reading::of(deps.paths.shown(&path), deps.files.read(&path).await, rig_config::parse) {
        Reading::Good(branch) => branch,
        Reading::Missing => rig_config::DEFAULT_BRANCH.to_owned(),
        Reading::Bad(problem) => {
            // Read at restarts only, so it is told at each: as a lasting problem it would outlive its cure.
            tracing::warn!(agent = %spec.identity, "before its restart: {problem}");
            rig_config::DEFAULT_BRANCH.to_owned()
        }
    }
}
