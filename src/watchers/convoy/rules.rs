//! Rules: when to check convoys, and which of them are complete. Pure.

use std::{collections::BTreeSet, time::Duration};

use crate::ports::convoy_store::Open;

/// The time between two rounds while the databases change, or while it is not known whether they do.
pub const EVERY: Duration = Duration::from_secs(2);
/// The time between two rounds while nothing hints at a change; hints can be lost.
pub const UNHINTED: Duration = Duration::from_secs(30);
/// The time from a check of all convoys to the next round: a check takes 1 s of processor time.
pub const AFTER_CHECK: Duration = Duration::from_secs(5);
/// The time from the start to the first timed check, so that it does not delay the first heartbeat.
pub const FIRST: Duration = Duration::from_secs(20);

/// The open convoys whose beads are all closed. A convoy that tracks nothing is never complete.
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
