//! Pre-sync: brings a worktree up to date before its agent is restarted.
//!
//! Whatever fails is logged and passed over: the agent starts in any case. Uncommitted work is never touched.

use std::{path::Path, time::Duration};

use super::spec::AgentSpec;
use crate::{
    commands::{Command, CommandError, Printed},
    deps::Deps,
    ledger::bd,
    town::{reading::Reading, rig_config},
};

/// The limit of `git fetch` and `git pull`.
const REMOTE_LIMIT: Duration = Duration::from_secs(120);

/// Fetches, pulls with rebase when nothing is uncommitted, and lets `bd` sync.
pub async fn presync(deps: &Deps, spec: &AgentSpec, directory: &Path) {
    let tools = &deps.settings().commands;
    let passed_over = |error: &CommandError| tracing::warn!("{}: before its restart: {error}", spec.identity);
    match git(deps, directory, &["fetch", "origin"], REMOTE_LIMIT).await {
        Err(error) => passed_over(&error),
        Ok(_) => match git(deps, directory, &["status", "--porcelain"], tools.timeout).await {
            Err(error) => passed_over(&error),
            Ok(status) if !status.stdout.is_empty() => {
                tracing::info!("{}: has uncommitted changes, fetched but not pulled", spec.identity);
            }
            Ok(_) => {
                let branch = default_branch(deps, spec).await;
                let pull = ["pull", "--rebase", "origin", branch.as_str()];
                if let Err(error) = git(deps, directory, &pull, REMOTE_LIMIT).await {
                    passed_over(&error);
                    abort_rebase(deps, directory, tools.timeout).await;
                }
            }
        },
    }
    // Not beside another `bd` of its rig; one that hangs holds its turn no longer than its own limit.
    let database = deps.databases.of_prefix(&spec.prefix);
    if let Err(error) = bd::run(deps, &["sync"], &[database].into(), directory).await {
        passed_over(&error);
    }
}

/// A rebase that stopped halfway must not be what the agent wakes up in. With none in progress git says so and nothing
/// happens.
async fn abort_rebase(deps: &Deps, directory: &Path, limit: Duration) {
    let _ = git(deps, directory, &["rebase", "--abort"], limit).await;
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
            tracing::warn!("{}: before its restart: {problem}", spec.identity);
            rig_config::DEFAULT_BRANCH.to_owned()
        }
    }
}

async fn git(
    deps: &Deps,
    directory: &Path,
    arguments: &[&str],
    limit: Duration,
) -> Result<Printed, CommandError> {
    run(deps, &deps.settings().commands.git, directory, arguments, limit).await
}

async fn run(
    deps: &Deps,
    program: &str,
    directory: &Path,
    arguments: &[&str],
    limit: Duration,
) -> Result<Printed, CommandError> {
    deps.commands
        .run(Command {
            program: program.to_owned(),
            arguments: arguments.iter().map(|word| (*word).to_owned()).collect(),
            directory: directory.to_owned(),
            environment: deps.settings().env.clone(),
            input: None,
            limit,
        })
        .await
}
