//! Freezes, kills and restarts: whatever happens to the server's time and to the supervisor, the server and every
//! agent in it live.
//!
//! tmux up to 3.5a crashes by a null pointer when one control client is still identifying itself while another one
//! leaves, or a session is created or ends. Only many rounds show that. By default there are few of them, each with
//! delays of its own; `TMUX_SOAK_ROUNDS=1000 cargo test --test tmux soak` is the long run.

use std::{thread, time::Duration};

use gastown_supervisor::sessions::{
    Sessions,
    tmux::{Tmux, TmuxConfig},
};
use rustix::process::Signal;

use crate::support::{PATIENCE, Server, limits::LimitedJoin, process, session};

/// Each costs a tenth of a second.
const FEW: u32 = 6;

fn rounds() -> u32 {
    std::env::var("TMUX_SOAK_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(FEW)
}

/// A server with two agents of ours, and what is done to it.
struct Soak {
    server: Server,
    pid: u32,
    jitter: fastrand::Rng,
}

impl Soak {
    async fn new() -> Soak {
        let server = Server::new();
        let tmux = server.tmux(true);
        for name in ["gt-a", "gt-b"] {
            tmux.create(&session(name)).await.unwrap();
        }
        tmux.close().await;
        let pid = server.pid();
        Soak { server, pid, jitter: fastrand::Rng::new() }
    }

    /// Impatient, so that a freeze need not last for long.
    fn config(&self) -> TmuxConfig {
        TmuxConfig { command_limit: Duration::from_millis(60), ..self.server.config(true) }
    }

    fn freeze(&self) {
        process::signal(self.pid, Signal::STOP);
    }

    fn thaw(&self) {
        process::signal(self.pid, Signal::CONT);
    }

    fn pause(&mut self, most: u64) -> Duration {
        Duration::from_micros(self.jitter.u64(0..most * 1000))
    }

    /// It is the same server, with the same agents.
    async fn survived(&self, tmux: &Tmux, round: u32, what: &str) {
        let listed = async {
            loop {
                match tmux.list().await {
                    Ok(sessions) => return sessions,
                    Err(_) => assert!(
                        process::Identified::of(self.pid).lives(),
                        "round {round}, {what}: the server is gone"
                    ),
                }
            }
        };
        let sessions = tokio::time::timeout(PATIENCE, listed)
            .await
            .unwrap_or_else(|_| panic!("round {round}, {what}: no answer"));
        let names: Vec<&str> = sessions.iter().map(|session| session.name.as_str()).collect();
        assert!(names.contains(&"gt-a") && names.contains(&"gt-b"), "round {round}, {what}: {names:?}");
        assert_eq!(self.server.pid(), self.pid, "round {round}, {what}: another server");
    }
}

/// The server is stopped while it gets requests repeatedly, and continues.
#[tokio::test]
async fn a_server_that_freezes_lives() {
    let mut it = Soak::new().await;
    let tmux = Tmux::new(it.config());
    for round in 0..rounds() {
        it.freeze();
        for _ in 0..it.jitter.u32(1..4) {
            let _ = tmux.list().await;
            let _ = tmux.find("gt-a").await;
        }
        it.thaw();
        tokio::time::sleep(it.pause(5)).await;
        if it.jitter.bool() {
            let name = format!("gt-{round}");
            let _ = tmux.create(&session(&name)).await;
            let _ = tmux.kill(&name).await;
        }
        it.survived(&tmux, round, "freeze").await;
    }
    tmux.close().await;
}

/// A supervisor is killed (the kernel ends its client with the thread that made it) at any time, also while it
/// connects and while the server is stopped, and the next one starts at once.
#[test]
fn a_supervisor_that_is_killed_and_begins_again_leaves_the_server_alive() {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let ours = runtime();
    let mut it = ours.block_on(Soak::new());
    for round in 0..rounds() {
        let (config, lives, frozen) = (it.config(), it.pause(25), it.jitter.u8(0..4) == 0);
        if frozen {
            it.freeze();
        }
        let killed = thread::spawn(move || {
            let runtime = runtime();
            let tmux = Tmux::new(config);
            runtime.block_on(async {
                let _ = tokio::time::timeout(lives, async {
                    let _ = tmux.list().await;
                    std::future::pending::<()>().await;
                })
                .await;
            });
            (tmux, runtime)
        });
        let killed = killed.limited_join("the supervisor that is killed");
        let next = Tmux::new(it.config());
        ours.block_on(async {
            let _ = next.list().await;
            drop(killed.0);
            if frozen {
                it.thaw();
            }
            it.survived(&next, round, "killed").await;
            if it.jitter.bool() {
                next.close().await;
            }
        });
        killed.1.shutdown_background();
    }
}
