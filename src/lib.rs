//! Keeps a [Gas Town](https://github.com/steveyegge/gastown) alive: a workspace where many AI coding agents work side by
//! side, each in its own tmux session. The supervisor starts the agents that should run, notices when one dies, confirms
//! it, and restarts it by rule. It never harms a healthy agent.
//!
//! Most people run the command, `gastown-supervisor start`. This library is for programs that do the same, or that ask a
//! running supervisor:
//!
//! | you want to | use | example |
//! | --- | --- | --- |
//! | run the supervisor of a town in your own program | [`serve`] | `examples/serve_town.rs` |
//! | show the state of a town, trigger a heartbeat, reload the settings | [`Client`] | `examples/town_status.rs` |
//! | find out what is wrong in a town | [`doctor::examine`] | |
//! | get events when tmux sessions appear and die, without a town | [`tmux::Watcher`] | `examples/watch_sessions.rs` |
//! | restart something of your own with backoff and crash-loop detection | [`restart`] | `examples/restart_policy.rs` |
//!
//! # Quick start
//!
//! ```no_run
//! use gastown_supervisor::Client;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // The town named by GT_TOWN_ROOT or GT_ROOT, or the one around the working directory.
//! let report = Client::new(None)?.status().await.into_inner();
//! for agent in report.agents {
//!     println!("{} is {}", agent.identity, agent.state);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! Everything async needs a [tokio](https://docs.rs/tokio) runtime with IO and time; a current-thread one is enough. Times are
//! [`jiff`](https://docs.rs/jiff) timestamps.
//!
//! The API may change between minor versions until 1.0. The interfaces that only grow (commands, exit codes, JSON, the
//! socket, settings, files) are listed in `CONTRIBUTING.md`. How the supervisor works inside is in `ARCHITECTURE.md`.

// Inside the crate, and for its own tests with the feature `test-support`, every module is reached by its name alone.
#[cfg(not(feature = "test-support"))]
use internals::*;
#[cfg(feature = "test-support")]
#[doc(hidden)]
pub use internals::*;

pub mod doctor;

pub use control::{
    Reloaded,
    client::{Answer, Cleared, Client, ClientError, Poke},
    report::{Explanation, StatusReport},
};
pub use service::{ServeError, ServeOptions, serve};
pub use town::log::LogFormat;

/// The parts of a [`StatusReport`] and of an [`Explanation`].
pub mod report {
    pub use crate::{
        agent::{
            history::{Entry, Kind},
            phase::Phase,
        },
        control::report::{ActorReport, AgentReport, Health, HeartbeatReport},
        tree::town_reading::SettingsState,
    };
}

/// The restart policy: whether something that died may be started again now, later, or not for a while.
///
/// Pure arithmetic: it reads no clock and starts nothing. The first restart comes at once, further ones after a delay
/// that doubles. Too many restarts within a window are a crash loop, which is held and tried again later. A long life
/// clears the history.
///
/// ```
/// use std::time::Duration;
/// use gastown_supervisor::restart::{Policy, RestartHistory, Verdict, after_death, restarted};
/// use jiff::{Timestamp, ToSpan};
///
/// let (policy, mut history) = (Policy::default(), RestartHistory::default());
/// let died: Timestamp = "2026-01-01T12:00:00Z".parse()?;
///
/// // It had lived for a minute. The last argument, 0 to 1, is the jitter of the delay.
/// assert_eq!(after_death(&mut history, died, Duration::from_secs(60), &policy, 0.0), Verdict::Now);
/// restarted(&mut history, died, &policy);
///
/// // It dies again five seconds later: the second restart waits.
/// let again = died + 5.seconds();
/// let verdict = after_death(&mut history, again, Duration::from_secs(5), &policy, 0.0);
/// assert_eq!(verdict, Verdict::At(again + 30.seconds()));
/// # Ok::<(), jiff::Error>(())
/// ```
pub mod restart {
    pub use crate::{
        agent::restart::{
            RestartHistory, Verdict, after_death, asked_for, lived, restarted, to_replace, without_death,
        },
        town::settings::Restart as Policy,
    };
}

/// Watches the sessions of one tmux server without a town: which exist, and which died.
pub mod tmux {
    pub use crate::sessions::{
        tmux::Socket,
        watcher::{Event, Watcher},
    };
}

/// The command `gastown-supervisor`: parses the arguments of this process, does what they say, and returns the exit code.
#[doc(hidden)]
pub fn command_line() -> std::process::ExitCode {
    cli::main()
}

mod cli;
#[cfg(test)]
#[path = "../tests/support/limits.rs"]
mod limits;

/// The modules of the supervisor, each at its place in `src`. They are no interface: see `ARCHITECTURE.md`.
#[path = ""]
mod internals {
    pub mod agent;
    pub mod agents_file;
    pub mod alerts;
    pub mod bytes;
    pub mod clock;
    pub mod commands;
    pub mod control;
    pub mod deaths;
    pub mod deps;
    pub mod go_duration;
    pub mod ledger;
    pub mod local_time;
    pub mod nearest;
    pub mod network;
    pub mod operator;
    pub mod panics;
    pub mod ports;
    pub mod processes;
    pub mod quotation;
    pub mod roles;
    pub mod secrets;
    pub mod service;
    pub mod sessions;
    pub mod signals;
    pub mod sqlite;
    pub mod stopping;
    pub mod supervision;
    pub mod terminal;
    pub mod town;
    pub mod transcripts;
    pub mod tree;
    pub mod turns;
    pub mod watchers;
    pub mod width;
}
