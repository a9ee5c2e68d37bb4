//! Audit: work that stands still. A live polecat that makes no progress with its hooked work violates GUPP ("if there is work
//! on your hook, you run it"); a dead one that nobody brings back leaves orphaned work. Both are mailed, once.
//!
//! [`rules`] judge what a snapshot of the ledger and the polecats' owners say; [`check`] makes sure right before a mail;
//! [`incidents`] remember what was mailed, and [`mailing`] mails it once; [`rounds`] put them together for one rig. It must
//! not start, nudge or end anything.

pub mod check;
pub mod incidents;
pub mod mailing;
pub mod rounds;
pub mod rules;
pub mod texts;
