//! Audit: work that makes no progress. A live polecat whose hooked work does not move violates GUPP ("if there is work
//! on your hook, you run it"); a dead one that is not restarted leaves orphaned work. Each is mailed once.
//!
//! [`rules`] judge the ledger's snapshot and the state of the polecats' owners. [`check`] confirms the result right
//! before a mail. [Incidents](crate::agent::incidents) remember what was mailed, and [`mailing`](crate::agent::mailing)
//! mails it once. [`rounds`] combines them for one polecat. It must not start, nudge or end anything.

pub mod check;
pub mod rounds;
pub mod rules;
pub mod texts;
