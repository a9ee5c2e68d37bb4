//! Crash records: telling the town's log of a crash through `gt log crash` (Gas Town 0.2.6 to 0.3).
//!
//! Gas Town would do this itself from a `pane-died` hook, which never fires as `remain-on-exit` is off. It is told once and
//! given up when it cannot be; nothing waits for it.

use crate::{commands::Command, deps::Deps};

/// Tells of a crash: `agent` is its mail address (`<rig>/<name>`), `exit` its exit code where it is known. Returns whether
/// it was told; a failure is reported once as long as it lasts.
pub async fn log(deps: &Deps, agent: &str, session: &str, exit: Option<i32>) -> bool {
    let settings = deps.settings();
    let mut arguments = ["log", "crash", "--agent", agent, "--session", session].map(str::to_owned).to_vec();
    if let Some(exit) = exit {
        arguments.extend(["--exit-code".to_owned(), exit.to_string()]);
    }
    let told = deps
        .commands
        .run(Command {
            program: settings.commands.gt.clone(),
            arguments,
            directory: deps.paths.root().to_owned(),
            environment: settings.env.clone(),
            input: None,
            limit: settings.commands.timeout,
        })
        .await;
    match told {
        Ok(_) => {
            deps.problems.clear("ledger/crash_log");
            true
        }
        Err(error) => {
            deps.problems
                .report("ledger/crash_log", format!("the crash of {agent} was not logged with gt: {error}"));
            false
        }
    }
}
