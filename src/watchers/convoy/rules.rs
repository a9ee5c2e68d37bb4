//! Rules: when to look after convoys, and which of them are complete. Pure.

use std::{collections::BTreeSet, time::Duration};

use crate::ports::convoy_store::Open;

/// From a round to the next, while the databases change or it is not known whether they do.
pub const EVERY: Duration = Duration::from_secs(2);
/// From a round to the next, while nothing hints at a change; hints get lost.
pub const UNHINTED: Duration = Duration::from_secs(30);
/// From a check of all convoys to the next round: a check takes a second of processor time.
pub const AFTER_CHECK: Duration = Duration::from_secs(5);
/// From the start to the first timed check: not in the way of the first heartbeat.
pub const FIRST: Duration = Duration::from_secs(20);

/// The open convoys all of whose beads are closed. One that tracks nothing is never complete.
pub fn complete(open: &Open, closed: &BTreeSet<String>) -> BTreeSet<String> {
    let is_complete = |tracked: &BTreeSet<String>| !tracked.is_empty() && tracked.is_subset(closed);
    open.iter().filter(|(_, tracked)| is_complete(tracked)).map(|(id, _)| id.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn which_are_complete() {
        let set = |ids: &[&str]| ids.iter().map(|&id| id.to_owned()).collect::<BTreeSet<_>>();
        for (name, tracked, closed, expected) in [
            ("all are closed", &["a", "b"][..], &["b", "a", "c"][..], true),
            ("one is not", &["a", "b"], &["b"], false),
            ("nothing is closed", &["a"], &[], false),
            ("it tracks nothing", &[], &["a"], false),
        ] {
            let open = Open::from([("cv".to_owned(), set(tracked)), ("other".to_owned(), set(&["x"]))]);
            let complete = complete(&open, &set(closed));
            assert_eq!(complete == set(&["cv"]), expected, "{name}: {complete:?}");
        }
    }
}
