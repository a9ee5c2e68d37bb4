//! Mail: sends a message to an agent through `gt mail send` (Gas Town 0.2.6 to 0.3).
//!
//! A mail that cannot be sent is reported and not retried; nothing waits for a mail.

use super::gt;
use crate::{commands::CommandError, ports::Ports};

/// `gt mail send` derives the sender from the role.
const SENDER: (&str, &str) = ("GT_ROLE", "daemon/");

/// Whether a mail was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sent {
    /// It was sent.
    Yes,
    /// It was not sent.
    No,
    /// Unknown: `gt` was killed at its limit, or died, and may have sent it before.
    Perhaps,
}

/// Sends a mail as the daemon. Failures are reported once while they last.
pub async fn send(ports: &Ports, to: &str, subject: &str, body: &str) -> Sent {
    let key = "mail/send";
    let error = match gt::run(ports, &["mail", "send", to, "-s", subject, "-m", body], &[SENDER]).await {
        Ok(_) => {
            ports.problems.clear(key);
            return Sent::Yes;
        }
        Err(error) => error,
    };
    let sent = match error {
        CommandError::NotFound { .. }
        | CommandError::NotStarted { .. }
        | CommandError::Failed { code: Some(_), .. } => Sent::No,
        CommandError::Failed { code: None, .. }
        | CommandError::TimedOut { .. }
        | CommandError::TooMuchOutput { .. } => Sent::Perhaps,
    };
    let how = if sent == Sent::No { "was not sent" } else { "was perhaps not sent" };
    ports.problems.report(key, format!("mail to {to} ({subject}) {how}: {error}"));
    sent
}
