//! Audit: work that makes no progress. A live polecat whose hooked work does not move violates GUPP ("if there is work on your
//! hook, you run it"); a dead one that is not restarted leaves orphaned work. Both are mailed, once.
//!
//! [`rules`] judge what a snapshot of the ledger and the polecats' owners say. [`check`] confirms it right before a mail.
//! [Incidents](crate::agent::incidents) remember what was mailed, and [`mailing`](crate::agent::mailing) mails it once. [`rounds`]
//! put them together for one polecat. It must not start, nudge or end anything.

pub mod check;
pub mod rounds;
pub mod rules;
pub mod texts;
