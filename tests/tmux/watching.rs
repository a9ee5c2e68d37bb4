//! Every way to die is told once, soon, by the session watch on a real tmux.
//!
//! The watch's own sweep comes once a minute, later than these tests wait: what is told here was told by the kernel or by
//! tmux's notices, or by a sweep that one of them led to.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use gastown_supervisor::{
    clock::SystemClock,
    commands::runner::Runner,
    deps::{Deps, Dice, Ports},
    processes::table::SystemProcesses,
    sessions::{
        NewSession, Session, Sessions,
        actor::{SessionWatch, Told, WatchMsg},
        death::Death,
        sweep::Sweep,
    },
    town::{files::Disk, paths::TownPaths, settings::Settings},
};
use ractor::{Actor, ActorRef};
use rustix::process::Signal;
use tokio::{
    sync::{mpsc, watch},
    time::timeout,
};

use crate::support::{PATIENCE, Server, command, process, session};

/// A session watch on a server of its own, and what it told.
struct Watching {
    server: Server,
    sessions: Arc<dyn Sessions>,
    watch: ActorRef<WatchMsg>,
    told: mpsc::UnboundedReceiver<Told>,
    deaths: Vec<Death>,
    looks: u64,
}

impl Watching {
    async fn new() -> Self {
        let server = Server::new();
        let sessions: Arc<dyn Sessions> = Arc::new(server.tmux(true));
        let ports = Ports {
            sessions: sessions.clone(),
            processes: Arc::new(SystemProcesses::new()),
            commands: Arc::new(Runner::new(Default::default())),
            files: Arc::new(Disk),
            clock: Arc::new(SystemClock::new()),
        };
        let (_, settings) = watch::channel(Arc::new(Settings::default()));
        let deps = Arc::new(Deps::new(ports, Dice::seeded(1), TownPaths::new(server.dir()), settings));
        let (tell, told) = mpsc::unbounded_channel();
        let post: gastown_supervisor::work::Post<Told> = Arc::new(move |it| drop(tell.send(it)));
        let (watch, _) = Actor::spawn(None, SessionWatch, (deps, post)).await.unwrap();
        Watching { server, sessions, watch, told, deaths: Vec::new(), looks: 0 }
    }

    /// The next thing that is told; a death is kept too.
    async fn next(&mut self, what: &str) -> Told {
        let told = timeout(PATIENCE, self.told.recv()).await;
        let told = told.unwrap_or_else(|_| panic!("waited {PATIENCE:?} for {what}")).unwrap();
        if let Told::Died(death) = &told {
            self.deaths.push(death.clone());
        }
        told
    }

    /// Has everything looked at.
    async fn look(&mut self) -> Arc<Sweep> {
        self.looks += 1;
        self.watch.cast(WatchMsg::SweepFor(self.looks)).unwrap();
        loop {
            if let Told::Seen(seen) = self.next("a look").await
                && seen.for_heartbeat == Some(self.looks)
            {
                return seen.sweep;
            }
        }
    }

    async fn deaths(&mut self, count: usize) {
        while self.deaths.len() < count {
            self.next(&format!("death {count}, after {:?}", self.deaths)).await;
        }
    }
}

#[tokio::test]
async fn measure() {
    for how in ["kill-server", "kill -9", "pane -9", "exit", "kill-session"] {
        let mut it = Watching::new().await;
        let mut made = vec![];
        for n in 0..40 {
            made.push(
                it.sessions
                    .create(&command(
                        &format!("gt-{n}"),
                        if how == "exit" { "read x; exit 3" } else { "exec sleep 600" },
                    ))
                    .await
                    .unwrap(),
            );
        }
        it.look().await;
        let pid = it.server.pid();
        eprintln!("== {how}");
        let began = Instant::now();
        let go = std::thread::spawn({
            let socket = it.server.socket();
            let made = made.clone();
            move || {
                let tmux = |args: &[&str]| {
                    std::process::Command::new("tmux").arg("-S").arg(&socket).args(args).output().unwrap();
                };
                match how {
                    "kill-server" => tmux(&["kill-server"]),
                    "kill -9" => process::signal(pid, Signal::KILL),
                    "pane -9" => {
                        for s in &made {
                            process::signal(s.panes[0].pid, Signal::KILL)
                        }
                    }
                    "exit" => {
                        for s in &made {
                            tmux(&["send-keys", "-t", &format!("={}:", s.name), "Enter"])
                        }
                    }
                    _ => {
                        for s in &made {
                            tmux(&["kill-session", "-t", &format!("={}:", s.name)])
                        }
                    }
                }
            }
        });
        it.deaths(40).await;
        eprintln!("{:?}", began.elapsed());
        go.join().unwrap();
        let first = it.deaths[0].noticed.mono;
        for d in &it.deaths {
            eprint!("{}:{:?}:{}:{:?} ", d.session, d.exit, d.with_server, d.noticed.mono - first);
        }
        eprintln!();
        eprintln!("known {}", it.deaths.iter().filter(|d| d.exit.is_some()).count());
        it.look().await;
        it.look().await;
        assert_eq!(it.deaths.len(), 40);
    }
}
