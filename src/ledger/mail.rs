//! Mail: telling an agent something through `gt mail send` (Gas Town 0.2.6 to 0.3).
//!
//! A mail that cannot be sent is reported and given up; nothing waits for it.

use super::gt;
use crate::deps::Deps;

/// `gt mail send` takes the sender from the role.
const SENDER: (&str, &str) = ("GT_ROLE", "daemon/");

/// Sends a mail as the daemon, and returns whether it is known to have been sent. Failures are reported once as long as
/// they last.
pub async fn send(deps: &Deps, to: &str, subject: &str, body: &str) -> bool {
    let key = "mail/send";
    match gt::run(deps, &["mail", "send", to, "-s", subject, "-m", body], &[SENDER]).await {
        Ok(_) => {
            deps.problems.clear(key);
            true
        }
        Err(error) => {
            deps.problems.report(key, format!("mail to {to} ({subject}) was not sent: {error}"));
            false
        }
    }
}
