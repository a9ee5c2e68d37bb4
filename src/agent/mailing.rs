//! Mails an incident once: saves it to disk first, then sends, and takes it back when sending failed.

use super::incidents::{Begin, Condition, Incident};
use crate::{
    agent::{history::Entry, record::Records},
    deps::Deps,
    ledger::mail::{self, Sent},
    town::{identity::Identity, log::line::AS_IS},
};

/// One mail about one agent.
#[derive(Debug, Clone)]
pub struct IncidentMail {
    /// The agent it is about.
    pub identity: Identity,
    /// The condition that is mailed.
    pub condition: Condition,
    /// The work on its hook.
    pub hook: String,
    /// The recipient's address.
    pub to: String,
    /// Its subject.
    pub subject: String,
    /// Its body.
    pub body: String,
    /// The line for the log, if any; it is written once, however often the mail is tried.
    pub line: Option<String>,
}

/// Sends a mail, unless it was sent before. It counts as sent on disk before it is sent, so that a crash in between
/// does not duplicate it; when the disk cannot be written, memory has to do. A mail that is known to have failed may
/// be tried again.
pub async fn send_once(deps: &Deps, mail: IncidentMail) {
    let now = deps.now().wall;
    let begin = |it: &mut _| Incident::begin(it, mail.condition, &mail.hook, now);
    let begun = deps.records.incident(&mail.identity, begin);
    if begun == Begin::No {
        return;
    }
    let mut unsent = Unsent { records: &deps.records, mail: &mail, is_unsent: true };
    // A disk that cannot be written is reported by `save`.
    deps.records.save(deps).await;
    if let (Begin::News, Some(line)) = (begun, &mail.line) {
        let (agent, reason) = (&mail.identity, mail.condition.code());
        tracing::warn!(target: AS_IS, %agent, reason, "{line}");
    }
    // When the task is dropped after this point, the mail may have been sent, so it counts as sent.
    unsent.is_unsent = false;
    // Only a mail that certainly failed is sent again: a `gt` that hangs after sending would otherwise send one at
    // every heartbeat.
    let sent = mail::send(deps, &mail.to, &mail.subject, &mail.body).await;
    unsent.is_unsent = sent == Sent::No;
    drop(unsent);
    let seen = format!("{} (hook {})", mail.condition, mail.hook);
    let entry = Entry::mailed(deps.now().wall, &seen, &mail.to, &mail.subject, sent);
    deps.records.happened(&mail.identity, entry);
}

/// On drop, takes back what was noted but not sent; also when the task is dropped.
struct Unsent<'a> {
    records: &'a Records,
    mail: &'a IncidentMail,
    is_unsent: bool,
}

impl Drop for Unsent<'_> {
    fn drop(&mut self) {
        if self.is_unsent {
            let take_back = |it: &mut _| Incident::take_back(it, self.mail.condition, &self.mail.hook);
            self.records.incident(&self.mail.identity, take_back);
        }
    }
}
