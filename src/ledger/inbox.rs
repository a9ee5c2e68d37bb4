//! The deacon's inbox: reads it, and removes messages (`gt mail`, Gas Town 0.2.6 to 0.3).
//!
//! It reports the messages and judges nothing. An inbox that could not be read is an error, never an empty inbox.

use jiff::Timestamp;

use super::{
    beads::is_id,
    gt,
    inbox_output::{self, Inbox},
};
use crate::{commands::CommandError, ports::Ports, town::reading::shorten};

/// One message of the inbox.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Message {
    /// Its id (`hq-5w2`).
    pub id: String,
    /// The sender, as `gt` spells it (`mayor/`, `gastown/witness`, `overseer`).
    pub from: String,
    /// Its subject.
    pub subject: String,
    /// Its body.
    pub body: String,
    /// When it was sent; `None` also when the time cannot be read.
    pub sent: Option<Timestamp>,
    /// Whether it was read.
    pub read: bool,
}

/// The result of removing a message from the inbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Removal {
    /// It was removed.
    Done,
    /// There is no such message (any more): another reader removed it.
    NotFound,
    /// It could not be removed, and why.
    Failed(String),
}

/// Reads the deacon's inbox, oldest message first. A failed reading is repeated once, and then is an error, which is
/// not reported here. Messages that cannot be used are left out, and reported while they exist.
pub async fn read(ports: &Ports) -> Result<Vec<Message>, String> {
    let words = ["mail", "inbox", "--identity", "deacon/", "--json"];
    let mut inbox = ask(ports, &words).await;
    if matches!(inbox, Err(Fault { again: true, .. })) {
        inbox = ask(ports, &words).await;
    }
    let inbox = inbox.map_err(|fault| fault.why)?;
    let key = "ledger/inbox/messages";
    match inbox.unusable.first() {
        None => ports.problems.clear(key),
        Some(first) => {
            let count = inbox.unusable.len();
            let text =
                format!("{count} messages in the deacon's inbox cannot be used and are left there: {first}");
            ports.problems.report(key, text);
        }
    }
    Ok(inbox.messages)
}

/// Deletes a message.
pub async fn delete(ports: &Ports, id: &str) -> Removal {
    remove(ports, "delete", id).await
}

/// Archives a message.
pub async fn archive(ports: &Ports, id: &str) -> Removal {
    remove(ports, "archive", id).await
}

/// Why a read failed, and whether a retry makes sense.
struct Fault {
    why: String,
    again: bool,
}

async fn ask(ports: &Ports, words: &[&str]) -> Result<Inbox, Fault> {
    match gt::run(ports, words, &[]).await {
        Ok(printed) => inbox_output::parse(&printed.stdout).map_err(|why| Fault { why, again: true }),
        Err(error) => {
            let again = !matches!(error, CommandError::NotFound { .. });
            Err(Fault { why: error.to_string(), again })
        }
    }
}

async fn remove(ports: &Ports, how: &str, id: &str) -> Removal {
    if !is_id(id) {
        return Removal::Failed(format!("{:?} is not a message id", shorten(id)));
    }
    match gt::run(ports, &["mail", how, id], &[]).await {
        Ok(_) => Removal::Done,
        Err(error) if says_not_found(&error) => Removal::NotFound,
        Err(error) => Removal::Failed(error.to_string()),
    }
}

/// Whether an error says that the message does not exist: `delete` prints that on stderr, `archive` on stdout.
fn says_not_found(error: &CommandError) -> bool {
    let CommandError::Failed { stdout, stderr, .. } = error else { return false };
    let not_found = "no issue found matching";
    stderr.contains(not_found) || String::from_utf8_lossy(stdout).contains(not_found)
}
