//! Notify: alerts people outside the town, through the command in `notify.command`.
//!
//! The setting is a shell line (`sh -c`), run in the town. It gets the alert as one line of JSON on stdin, in the form
//! of the event log; what only people need is not in that log. After `notify.timeout` it is killed with everything it started. A failing command is reported
//! once, until it works again, and is not repeated. Nothing waits for the command.

use serde::Serialize;

use super::Ledger;
use crate::commands::Command;

/// Sends an alert, which must serialise to a JSON object; does nothing when no command is set.
pub async fn send(ledger: &Ledger, alert: &(impl Serialize + Sync)) {
    let (settings, key) = (ledger.settings(), "notify/command");
    let Some(line) = &settings.notify.command else {
        ledger.problems.clear(key);
        return;
    };
    let mut input = match serde_json::to_vec(alert) {
        Ok(input) => input,
        Err(error) => {
            ledger
                .problems
                .report(key, format!("an alert was not sent: it cannot be written as JSON: {error}"));
            return;
        }
    };
    input.push(b'\n');
    let ran = ledger
        .commands
        .run(Command {
            program: "sh".to_owned(),
            arguments: vec!["-c".to_owned(), line.clone()],
            directory: ledger.paths.root().to_owned(),
            environment: settings.env.clone(),
            input: Some(input),
            limit: settings.notify.timeout,
        })
        .await;
    match ran {
        Ok(_) => ledger.problems.clear(key),
        Err(error) => ledger.problems.report(
            key,
            format!("an alert was not delivered by notify.command (settings/supervisor.json): {error}"),
        ),
    };
}
