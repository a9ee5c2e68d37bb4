//! Crash records: reports a crash to the town's log through `gt log crash` (Gas Town 0.2.6 to 0.3).
//!
//! Gas Town sets a `pane-died` hook for this in its own sessions, where it never fires: their `remain-on-exit` is
//! off. Our sessions have no such hook. A crash is reported once and not retried; nothing waits for the report.

use super::Ledger;
use super::gt;

/// Reports a crash: `agent` is its mail address (`<rig>/<name>`), `exit` its exit code, if known. Returns whether
/// that succeeded; a failure is reported once while it lasts.
pub async fn log(ledger: &Ledger, agent: &str, session: &str, exit: Option<i32>) -> bool {
    let exit = exit.map(|exit| exit.to_string());
    let mut words = vec!["log", "crash", "--agent", agent, "--session", session];
    if let Some(exit) = &exit {
        words.extend(["--exit-code", exit]);
    }
    let key = "ledger/crash_log";
    match gt::run(ledger, &words, &[]).await {
        Ok(_) => {
            ledger.problems.clear(key);
            true
        }
        Err(error) => {
            ledger.problems.report(key, format!("the crash of {agent} was not logged with gt: {error}"));
            false
        }
    }
}
