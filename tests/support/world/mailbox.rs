//! The deacon's inbox in the world, as `gt mail` (Gas Town 0.3) stores, prints and empties it.
//!
//! The output for an existing message and for one that never existed is recorded from the real program. A deleted
//! message can be deleted again without an error, as `gt` only closes its bead.

use std::{collections::BTreeSet, time::Duration};

use gastown_supervisor::commands::{Command, CommandError, Printed};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{State, World};

/// How a message left the inbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Left {
    /// The supervisor ran `gt mail delete`.
    Deleted,
    /// The supervisor ran `gt mail archive`.
    Archived,
    /// The deacon removed it.
    Taken,
}

/// The inbox.
#[derive(Debug, Clone, Default)]
pub struct Mailbox {
    /// Its messages, as `gt` prints them, in the order of arrival.
    pub messages: Vec<Value>,
    /// The messages that left it: when, which, how.
    pub left: Vec<(Duration, String, Left)>,
    /// Ids whose beads are closed: they can be deleted again.
    closed: BTreeSet<String>,
    count: u32,
}

impl Mailbox {
    /// Whether it contains a message.
    pub fn holds(&self, id: &str) -> bool {
        self.messages.iter().any(|message| message["id"] == id)
    }

    /// How often this message left in this way.
    pub fn left(&self, id: &str, how: Left) -> usize {
        self.left.iter().filter(|(_, other, other_how)| other == id && *other_how == how).count()
    }

    fn take(&mut self, now: Duration, id: &str, how: Left) -> bool {
        let there = self.holds(id);
        self.messages.retain(|message| message["id"] != id);
        if there {
            self.left.push((now, id.to_owned(), how));
        }
        there
    }

    /// What `gt mail inbox --json` prints: newest first, and `null` when there is nothing.
    fn printed(&self) -> String {
        if self.messages.is_empty() {
            return include_str!("../../fixtures/mail/mail_inbox_empty.stdout").to_owned();
        }
        let mut newest_first: Vec<&Value> = self.messages.iter().rev().collect();
        let sent = |message: &Value| message["timestamp"].as_str().and_then(|text| text.parse().ok());
        newest_first.sort_by_key(|message| std::cmp::Reverse(sent(message).unwrap_or(Timestamp::MIN)));
        format!("{:#}\n", json!(newest_first))
    }
}

impl World {
    /// A message to the deacon, sent now and not read. Returns its id.
    pub fn mail(&self, from: &str, subject: &str, body: &str) -> String {
        self.mail_with(from, subject, body, |_| {})
    }

    /// A message to the deacon with some wrong fields. Returns its id.
    pub fn mail_with(&self, from: &str, subject: &str, body: &str, edit: impl FnOnce(&mut Value)) -> String {
        let (now, wall) = (self.time(), self.wall());
        let mut state = self.state();
        state.mailbox.count += 1;
        let count = state.mailbox.count;
        let mut message = json!({"id": format!("hq-m{count:03}"), "from": from, "to": "deacon/", "subject": subject,
            "body": body, "timestamp": wall.to_string(), "read": false, "priority": "normal",
            "type": "notification", "thread_id": format!("thread-{count:012x}")});
        edit(&mut message);
        let id = message["id"].as_str().unwrap_or_default().to_owned();
        let cut: String = subject.chars().take(60).collect();
        state.note(now, true, || format!("mail {id} from {from}: {cut}"));
        state.mailbox.messages.push(message);
        id
    }

    /// The same message is in the inbox twice.
    pub fn mail_doubles(&self, id: &str) {
        let mut state = self.state();
        let message = state.mailbox.messages.iter().find(|message| message["id"] == id).cloned();
        state.mailbox.messages.push(message.unwrap_or_else(|| panic!("there is no message {id}")));
    }

    /// The deacon removes a message without a trace: deleting it finds nothing.
    pub fn deacon_takes(&self, id: &str) {
        let now = self.time();
        let mut state = self.state();
        state.mailbox.take(now, id, Left::Taken);
        state.note(now, true, || format!("the deacon takes mail {id}"));
    }

    /// The deacon deletes a message as `gt` does: deleting it again succeeds.
    pub fn deacon_deletes(&self, id: &str) {
        self.deacon_takes(id);
        self.state().mailbox.closed.insert(id.to_owned());
    }
}

impl State {
    /// Runs `gt mail inbox`, `delete` or `archive`.
    pub(super) fn gt_mail(&mut self, now: Duration, command: &Command) -> Result<Printed, CommandError> {
        let words: Vec<&str> = command.arguments.iter().map(String::as_str).collect();
        let (id, how, done) = match words.as_slice() {
            ["mail", "inbox", "--identity", "deacon/", "--json"] => {
                return Ok(printed(&self.mailbox.printed()));
            }
            ["mail", "delete", id] => (*id, Left::Deleted, DELETED),
            ["mail", "archive", id] => (*id, Left::Archived, "✓ Message archived\n"),
            _ => return Err(failed(command, "", "Error: unknown command")),
        };
        if self.mailbox.take(now, id, how) {
            self.mailbox.closed.insert(id.to_owned());
        }
        match (self.mailbox.closed.contains(id), how) {
            (true, _) => Ok(printed(done)),
            (false, Left::Archived) => {
                Err(failed(command, missing(id, ARCHIVE_MISSING.0), &missing(id, ARCHIVE_MISSING.1)))
            }
            (false, _) => Err(failed(command, "", &missing(id, DELETE_MISSING))),
        }
    }
}

const DELETED: &str = include_str!("../../fixtures/mail/mail_delete_ok.stdout");
const DELETE_MISSING: &str = include_str!("../../fixtures/mail/mail_delete_missing.stderr");
const ARCHIVE_MISSING: (&str, &str) = (
    include_str!("../../fixtures/mail/mail_archive_missing.stdout"),
    include_str!("../../fixtures/mail/mail_archive_missing.stderr"),
);

/// The recorded output for a message that never existed, for this id.
fn missing(id: &str, recorded: &str) -> String {
    recorded.replace("hq-nope", id)
}

fn printed(text: &str) -> Printed {
    Printed { stdout: text.as_bytes().to_vec(), stderr: Vec::new() }
}

fn failed(command: &Command, stdout: impl Into<String>, stderr: &str) -> CommandError {
    CommandError::Failed {
        line: command.line(),
        status: "exit code 1".to_owned(),
        code: Some(1),
        stdout: stdout.into().into_bytes(),
        // On one line, as in the real runner.
        stderr: stderr.split_whitespace().collect::<Vec<_>>().join(" "),
    }
}
