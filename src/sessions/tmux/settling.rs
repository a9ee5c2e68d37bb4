//! Settling: when a control client may be connected beside other control clients. Pure.
//!
//! tmux up to 3.5a ends, with every session, by a null pointer when one control client leaves while another
//! identifies itself (tmux's pull requests 4980 and 5004). A client that is about to leave (a predecessor's, or our
//! previous one) is awaited. A client that stays is another supervisor's or a person's, and no reason to wait.

use std::{collections::BTreeSet, time::Duration};

use tokio::time::Instant;

/// A client that was present for this long stays.
const STAYS: Duration = Duration::from_millis(500);
/// The longest to wait for clients that connect and leave; then it is tried another time.
const LONGEST: Duration = Duration::from_secs(3);

/// What to do now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Verdict {
    /// Connect.
    Connect,
    /// Check again.
    Wait,
    /// Use subprocesses for a while.
    Later,
}

/// The other control clients seen in one attempt.
#[derive(Debug)]
pub struct Settling {
    began: Instant,
    seen: BTreeSet<u32>,
    since: Instant,
}

impl Settling {
    /// Nothing was seen yet.
    pub fn new(now: Instant) -> Self {
        Settling { began: now, seen: BTreeSet::new(), since: now }
    }

    /// Takes the processes of the current control clients.
    pub fn see(&mut self, others: BTreeSet<u32>, now: Instant) -> Verdict {
        if others != self.seen {
            (self.seen, self.since) = (others, now);
        }
        if self.seen.is_empty() || now - self.since >= STAYS {
            Verdict::Connect
        } else if now - self.began >= LONGEST {
            Verdict::Later
        } else {
            Verdict::Wait
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::disallowed_methods, reason = "a moment to count from")]

    use super::*;

    #[test]
    fn settling_grid() {
        use Verdict::{Connect, Later, Wait};
        type Looks<'a> = &'a [(u64, &'a [u32], Verdict)];
        let flapping: Vec<(u64, Vec<u32>, Verdict)> = (0..10)
            .map(|look| (look * 400, vec![look as u32], if look * 400 >= 3000 { Later } else { Wait }))
            .collect();
        let flapping: Vec<_> =
            flapping.iter().map(|(at, who, verdict)| (*at, who.as_slice(), *verdict)).collect();
        let cases: [(&str, Looks<'_>); 5] = [
            ("nobody", &[(0, &[], Connect)]),
            ("one that leaves", &[(0, &[7], Wait), (20, &[7], Wait), (40, &[], Connect)]),
            ("one that stays", &[(0, &[7], Wait), (499, &[7], Wait), (500, &[7], Connect)]),
            (
                "one leaves, one stays",
                &[(0, &[7, 8], Wait), (400, &[8], Wait), (700, &[8], Wait), (900, &[8], Connect)],
            ),
            ("they come and go", &flapping),
        ];
        for (name, looks) in cases {
            let start = Instant::now();
            let mut settling = Settling::new(start);
            for (at, others, wanted) in looks {
                let verdict =
                    settling.see(others.iter().copied().collect(), start + Duration::from_millis(*at));
                assert_eq!(verdict, *wanted, "{name}, after {at} ms");
            }
        }
    }
}
