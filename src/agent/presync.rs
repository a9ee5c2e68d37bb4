//! Pre-sync: brings a worktree up to date before its agent is restarted.
//!
//! A step that fails is logged and skipped: the agent starts in any case. Uncommitted work is never touched, nor is
//! an unfinished operation (a rebase, a merge, a bisect); only a rebase of our own is aborted.

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

/// The time limit of `git fetch` and `git pull`.
const REMOTE_LIMIT: Duration = Duration::from_secs(120);

/// The variable whose value git writes before the text of each step in a reflog.
const REFLOG_ACTION: &str = "GIT_REFLOG_ACTION";

/// Whether this agent's directory is brought up to date before a restart: as its role bead says, else when it is a
/// worktree.
pub fn is_wanted(deps: &Deps, spec: &AgentSpec) -> bool {
    let own = deps.starts.role_beads.of(&spec.identity, deps.paths.root());
    own.needs_pre_sync.unwrap_or_else(|| spec.identity.facts().is_worktree)
}

/// Fetches, pulls with rebase when nothing is uncommitted, and runs `bd sync` where there is one. Does nothing unless this is known to
/// be the agent's own worktree with no operation in progress.
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
    if !deps.dialect().facts().bd_has_sync {
        return;
    }
    // It takes turns with other runs of `bd` in its rig; one that hangs holds its turn no longer than its own limit.
    let database = deps.database_of_prefix(&spec.prefix);
    match bd::run(deps, &["sync"], &[database].into(), directory).await {
        // Reported already, once for all uses of `bd`.
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
    let mut words = vec!["status", "--porcelain"];
    if !deps.dialect().facts().untracked_files_count {
        words.push("--untracked-files=no");
    }
    let status = worktree.git(&words).await.map_err(failed)?;
    if !status.stdout.is_empty() {
        tracing::info!(agent = %spec.identity, "has uncommitted changes, fetched but not pulled");
        return Ok(());
    }
    // Checked again, as fetching may have taken minutes.
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

/// Aborts a rebase of ours that stopped halfway, so that the agent does not start in it. A rebase that somebody else
/// began at the same time is left alone: the last move of HEAD must be our own pull's, by its reflog.
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
            // Read at restarts only, so it is logged at each: a lasting problem would outlive its correction.
            tracing::warn!(agent = %spec.identity, "before its restart: {problem}");
            rig_config::DEFAULT_BRANCH.to_owned()
        }
    }
}
