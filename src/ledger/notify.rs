//! Notify: telling people outside the town, through the command in `notify.command`.
//!
//! The setting is a line for the shell (`sh -c`), run in the town; the alert is one line of JSON on its standard input,
//! the same that stands in the event log. The command has `notify.timeout` and is then killed with all it started. One
//! that fails is reported once, as long as it lasts, and not repeated; nothing waits for it.

use serde::Serialize;

use crate::{commands::Command, deps::Deps};

/// Tells an alert, which must become a JSON object; does nothing when no command is set.
pub async fn tell(deps: &Deps, alert: &(impl Serialize + Sync)) {
    let (settings, key) = (deps.settings(), "notify/command");
    let Some(line) = &settings.notify.command else {
        deps.problems.clear(key);
        return;
    };
    let mut input = match serde_json::to_vec(alert) {
        Ok(input) => input,
        Err(error) => {
            deps.problems.report(key, format!("an alert was not sent: it cannot be made JSON: {error}"));
            return;
        }
    };
    input.push(b'\n');
    let ran = deps
        .commands
        .run(Command {
            program: "sh".to_owned(),
            arguments: vec!["-c".to_owned(), line.clone()],
            directory: deps.paths.root().to_owned(),
            environment: settings.env.clone(),
            input: Some(input),
            limit: settings.notify.timeout,
        })
        .await;
    match ran {
        Ok(_) => deps.problems.clear(key),
        Err(error) => deps.problems.report(
            key,
            format!("an alert did not get through notify.command (settings/supervisor.json): {error}"),
        ),
    };
}
