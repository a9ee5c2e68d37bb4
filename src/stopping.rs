//! How long the steps of an orderly shutdown may take. All of them follow from one limit; the compiler checks that
//! they fit.
//!
//! The stopping program sends TERM, waits 500 ms and sends KILL. From the signal on:
//!
//! | until | what |
//! | --- | --- |
//! | [`ROOT`] | the actors end, leaves first; then our files are written a last time |
//! | [`CLOSE_BY`] | the tmux connection is closed, in the time that the actors left |
//! | [`LAST_RESORT`] | the last lines reach standard error, and the process ends |
//! | [`LIMIT`] | if it has not ended, the last resort writes the most important files and exits |

use std::time::Duration;

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

const fn sum(parts: &[Duration]) -> Duration {
    let (mut sum, mut at) = (0, 0);
    while at < parts.len() {
        sum += parts[at].as_millis() as u64;
        at += 1;
    }
    ms(sum)
}

const fn fits(part: Duration, whole: Duration) -> bool {
    part.as_millis() <= whole.as_millis()
}

const fn less(whole: Duration, parts: &[Duration]) -> Duration {
    assert!(fits(sum(parts), whole), "the steps of an end take longer than the whole of it");
    ms((whole.as_millis() - sum(parts).as_millis()) as u64)
}

/// The process has exited this long after the stop signal.
pub const LIMIT: Duration = ms(400);

/// How much longer a step may take because the machine is busy.
const SLACK: Duration = ms(10);
/// How long the last resort may write files; the disk may be what hangs.
pub const TIDY: Duration = ms(30);
/// When the last resort begins.
pub const LAST_RESORT: Duration = less(LIMIT, &[TIDY, SLACK, SLACK]);
/// How long the last lines have to reach standard error.
pub const FLUSH: Duration = ms(30);
/// When the tmux connection must be closed.
pub const CLOSE_BY: Duration = less(LAST_RESORT, &[FLUSH, SLACK]);

/// A kill takes effect at the actor's next await.
pub const KILL: Duration = ms(10);
/// How long an actor without children has for its last handler before it is killed.
pub const LEAF: Duration = ms(30);
/// The same for an actor that stops leaves.
pub const BRANCH: Duration = sum(&[LEAF, KILL, SLACK]);
/// How long our own files may take to be written, in parallel, when all other actors have ended.
pub const FILES: Duration = ms(100);
/// How long the root has in total.
pub const ROOT: Duration = sum(&[BRANCH, KILL, FILES, SLACK]);

/// The least time to close the tmux connection.
const CLOSE_AT_LEAST: Duration = ms(120);
const _: () = assert!(fits(sum(&[ROOT, KILL, CLOSE_AT_LEAST]), CLOSE_BY));
const _: () = assert!(fits(LIMIT, ms(400)), "KILL comes after 500 ms");
