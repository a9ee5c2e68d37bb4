//! Mail: telling an agent something through `gt mail send` (Gas Town 0.2.6 to 0.3).
//!
//! A mail that cannot be sent is reported and given up; nothing waits for it.

use std::collections::BTreeMap;

use crate::{commands::Command, deps::Deps};

/// Sends a mail as the daemon, and returns whether it is known to have been sent. Failures are reported once as long as
/// they last.
pub async fn send(deps: &Deps, to: &str, subject: &str, body: &str) -> bool {
    let settings = deps.settings();
    let mut environment = settings.env.clone();
    // `gt mail send` takes the sender from the role.
    environment.extend(BTreeMap::from([("GT_ROLE".to_owned(), "daemon/".to_owned())]));
    let sent = deps
        .commands
        .run(Command {
            program: settings.commands.gt.clone(),
            arguments: ["mail", "send", to, "-s", subject, "-m", body].map(str::to_owned).to_vec(),
            directory: deps.paths.root().to_owned(),
            environment,
            input: None,
            limit: settings.commands.timeout,
        })
        .await;
    match sent {
        Ok(_) => {
            deps.problems.clear("mail/send");
            true
        }
        Err(error) => {
            deps.problems.report("mail/send", format!("mail to {to} ({subject}) was not sent: {error}"));
            false
        }
    }
}
