//! Mailing an incident, once: saved to disk first, then sent, and taken back when it could not be sent.

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
    /// Whom it is about.
    pub identity: Identity,
    /// What is mailed.
    pub condition: Condition,
    /// The work on its hook.
    pub hook: String,
    /// To whom.
    pub to: String,
    /// Its subject.
    pub subject: String,
    /// Its body.
    pub body: String,
    /// The line for the log, if there is one; it is written once, however often the mail is tried.
    pub line: Option<String>,
}

/// Sends it, unless it was sent before. On disk it counts as sent before it is, so that no death of ours in between makes
/// two of one; where the disk cannot be written, memory must do. A mail that is known to have failed may be tried again.
pub async fn send_once(deps: &Deps, mail: IncidentMail) {
    let now = deps.now().wall;
    let begin = |it: &mut _| Incident::begin(it, mail.condition, &mail.hook, now);
    let begun = deps.records.incident(&mail.identity, begin);
    if begun == Begin::No {
        return;
    }
    let mut unsent = Unsent { records: &deps.records, mail: &mail, is_unsent: true };
    // A disk that cannot be written is reported there.
    deps.records.save(deps).await;
    if let (Begin::News, Some(line)) = (begun, &mail.line) {
        tracing::warn!(target: AS_IS, "{line}");
    }
    // Cut short from here on, nobody knows whether it went out: it counts as sent.
    unsent.is_unsent = false;
    // One that went out perhaps is not sent a second time: a `gt` that hangs after its work would make one of it at every
    // heartbeat.
    let sent = mail::send(deps, &mail.to, &mail.subject, &mail.body).await;
    unsent.is_unsent = sent == Sent::No;
    drop(unsent);
    let seen = format!("{} (hook {})", mail.condition, mail.hook);
    let entry = Entry::mailed(deps.now().wall, &seen, &mail.to, &mail.subject, sent);
    deps.records.happened(&mail.identity, entry);
}

/// Takes back what was noted but not sent, also when the task is dropped.
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
