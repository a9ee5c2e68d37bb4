//! How the programs of agents end, on real tmux: their exit statuses, and the signal that asks them to end.

use std::{path::Path, sync::Arc, time::Duration, time::Instant};

use gastown_supervisor::{
    agent::{
        actor::{AgentActor, AgentMsg, AgentPlan},
        kill,
        role::Plain,
        spec::AgentSpec,
    },
    agents_file::reading::{Around, read},
    clock::SystemClock,
    commands::runner::Runner,
    deps::Deps,
    ledger::{convoys::SqliteConvoys, dolt_server::LocalDolt, sqlite::SqliteBeads},
    network::https::Https,
    ports::{Jitter, Ports, dolt::Dolt, metrics::Metrics, problems::Problems, writes::Writes},
    processes::{exec_watcher::SystemExecWatcher, table::SystemProcesses},
    sessions::{NewSession, Session, Sessions},
    supervision::status::AgentStatus,
    town::{
        conversation_files::disk::DiskConversations,
        dialect::{Dialect, recognise::Recognised},
        files::Disk,
        identity::Identity,
        journal::disk::DiskJournals,
        paths::TownPaths,
        rig_plan::Prefixes,
        socket::SocketListener,
    },
    transcripts::disk::DiskTranscripts,
};
use ractor::{Actor, ActorRef};
use rustix::process::Signal;
use tokio::sync::watch;

use crate::support::{PATIENCE, Server, command, process, until};

/// Its exit status, as soon as its process has ended and, where that `is_known` some time, its status is there: tmux learns it last.
async fn kept(server: &Server, new: &NewSession, control: bool, is_known: bool) -> Option<i32> {
    let tmux = server.tmux(control);
    tmux.create(new).await.unwrap();
    let dead = until("its process ends", async || {
        let session: Session = tmux.find(&new.name).await.unwrap().expect("its pane stays");
        let pane = &session.panes[0];
        (pane.dead && (pane.exit_status.is_some() || !is_known)).then_some(session)
    });
    let session = dead.await;
    tmux.remove_dead_panes(&new.name).await.unwrap();
    assert_eq!(tmux.find(&new.name).await.unwrap(), None, "nothing else was in it");
    session.panes[0].exit_status
}

#[tokio::test]
async fn a_pane_that_is_kept_says_how_its_process_ended() {
    for control in [true, false] {
        let server = Server::new();
        // Without it the server ends with each session.
        server.must(&["new-session", "-d", "-s", "other", "sleep", "600"]);
        for (name, script, expected) in [("well", "exit 0", Some(0)), ("badly", "exit 3", Some(3))] {
            let new = NewSession { keep_exit: true, ..command(name, script) };
            assert_eq!(kept(&server, &new, control, true).await, expected, "{name}, control {control}");
        }
        // Some versions have no status of a signal; none says that it ended well.
        for (name, script) in [("term", "kill -TERM $$"), ("kill", "kill -KILL $$")] {
            let new = NewSession { keep_exit: true, ..command(name, script) };
            assert_ne!(kept(&server, &new, control, false).await, Some(0), "{name}, control {control}");
        }
    }
}

#[tokio::test]
async fn a_pane_is_kept_from_the_moment_on_at_which_that_is_asked_for() {
    let server = Server::new();
    let tmux = server.tmux(true);
    server.must(&["new-session", "-d", "-s", "other", "sleep", "600"]);
    for (name, disarmed) in [("kept", false), ("let go again", true)] {
        let session = tmux.create(&command("job", "read code; exit $code")).await.unwrap();
        let pane = session.target(&session.panes[0]);
        tmux.keep_exit(&pane).await.unwrap();
        if disarmed {
            tmux.disarm("job").await.unwrap();
        }
        tmux.paste(&pane, "4").await.unwrap();
        tmux.press(&pane, gastown_supervisor::sessions::Key::Enter).await.unwrap();
        let end = until("its end", async || match tmux.find("job").await.unwrap() {
            Some(session) => session.panes[0].exit_status.map(Some),
            None => Some(None),
        });
        assert_eq!(end.await, if disarmed { None } else { Some(4) }, "{name}");
        assert!(tmux.keep_exit(&pane).await.is_err(), "{name}: that process is gone");
        tmux.kill("job").await.unwrap();
    }
}

/// A town of one file with an agent `job`: a script that ends with the code that is written to its FIFO.
struct Job {
    server: Server,
    word: &'static str,
}

/// A supervisor of it: what it works with, and the agent's actor.
struct Keeper {
    deps: Arc<Deps>,
    actor: ActorRef<AgentMsg>,
    task: tokio::task::JoinHandle<()>,
}

fn job() -> Identity {
    "@job".parse().unwrap()
}

impl Job {
    fn new(word: &'static str, script: &str) -> Job {
        let server = Server::new();
        server.must(&["new-session", "-d", "-s", "other", "sleep", "600"]);
        rustix::fs::mknodat(
            rustix::fs::CWD,
            server.dir().join("codes"),
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::from_raw_mode(0o600),
            0,
        )
        .unwrap();
        std::fs::create_dir(server.dir().join(".supervisor")).unwrap();
        process::write_program(&server.dir().join("job"), &format!("#!/bin/sh\n{script}\n"));
        Job { server, word }
    }

    fn deps(&self, more: &str) -> Arc<Deps> {
        let (directory, word) = (self.server.dir(), self.word);
        let file = directory.join("agents.toml");
        let text = format!(
            "[agents.job]\ncommand = \"{}\"\nrestart = \"{word}\"\n{more}\n[start]\nsettle = \"0s\"\n",
            directory.join("job").display()
        );
        let plan = read(&file, text.as_bytes(), Around { directory, home: None }).unwrap();
        let settings = watch::channel(Arc::new(plan.settings.clone())).1;
        let standings = watch::channel(Arc::new(plan.standings())).1;
        let (problems, metrics) = (Problems::default(), Metrics::default());
        Arc::new(Deps::new(Ports {
            sessions: Arc::new(self.server.tmux(true)),
            processes: Arc::new(SystemProcesses::new()),
            commands: Arc::new(Runner::new(Default::default())),
            network: Arc::new(Https::default()),
            files: Arc::new(Disk),
            journals: Arc::new(DiskJournals::default()),
            clock: Arc::new(SystemClock::new()),
            transcripts: Arc::new(DiskTranscripts::new()),
            exec_watcher: Arc::new(SystemExecWatcher::new()),
            convoys: Arc::new(SqliteConvoys::new(directory.join("none"))),
            beads: Arc::new(SqliteBeads::default()),
            conversation_files: Arc::new(DiskConversations),
            dolt: Dolt::new(Arc::new(LocalDolt), Default::default()),
            control_listener: Arc::new(SocketListener),
            jitter: Jitter::fresh(),
            paths: TownPaths::of_file(&file).unwrap(),
            gas_town: Recognised { dialect: Dialect::Own, ..Recognised::default() },
            settings,
            standings,
            degraded: false,
            problems,
            metrics,
            writes: Writes::default(),
        }))
    }

    async fn keeper(&self) -> Keeper {
        let deps = self.deps("");
        deps.records.load(&deps).await;
        let spec = AgentSpec::of(&deps, job(), &Prefixes::default());
        let plan = AgentPlan { deps: deps.clone(), spec, answers: Arc::new(|_| ()), role: Box::new(Plain) };
        let (actor, task) = Actor::spawn(None, AgentActor, plan).await.unwrap();
        Keeper { deps, actor, task }
    }

    /// Has it exit with this code.
    async fn exits(&self, code: i32) {
        let codes = self.server.dir().join("codes");
        let written = tokio::task::spawn_blocking(move || std::fs::write(codes, format!("{code}\n")));
        tokio::time::timeout(PATIENCE, written).await.expect("it reads").unwrap().unwrap();
    }

    fn starts(&self) -> usize {
        std::fs::read_to_string(self.server.dir().join("starts")).unwrap_or_default().lines().count()
    }
}

impl Keeper {
    /// Probes until its state and the code of its reason are these.
    async fn until(&self, what: &str, state: &str, code: Option<&str>) -> AgentStatus {
        until(what, async || {
            self.actor.cast(AgentMsg::Probe).unwrap();
            let status = ractor::call!(self.actor, AgentMsg::Status).unwrap();
            (status.state == state && status.reason_code == code).then_some(status)
        })
        .await
    }

    /// It ends, as a supervisor does, and leaves its agent running.
    async fn ends(self) {
        self.deps.records.save(&self.deps).await;
        self.actor.stop(None);
        tokio::time::timeout(PATIENCE, self.task).await.expect("its actor ends").unwrap();
        self.deps.sessions.close().await;
    }
}

const EXITS: &str = "echo $$ >> starts; read code < codes; exit $code";

#[tokio::test]
async fn what_ended_well_stays_ended_and_its_session_is_removed() {
    for (word, exit, code) in
        [("on-failure", 0, "ended_well"), ("no", 0, "ended_well"), ("no", 3, "not_restarted")]
    {
        let town = Job::new(word, EXITS);
        let keeper = town.keeper().await;
        let status = keeper.until("it lives", "alive", None).await;
        assert_eq!(status.session, "job");
        // Longer than the first seconds of a start, in which every session keeps its dead panes.
        until("it has lived for a while", async || {
            (keeper.deps.now().age_of(status.started_at.unwrap()) > Duration::from_secs(5)).then_some(())
        })
        .await;
        town.exits(exit).await;
        let status = keeper.until("it ended", "absent", Some(code)).await;
        assert_eq!(
            status.reason.as_deref(),
            Some(&*format!("ended by itself with exit code {exit}")),
            "{word}"
        );
        until("its session is gone", async || {
            (town.server.names().iter().all(|it| it != "job")).then_some(())
        })
        .await;
        keeper.ends().await;
        let keeper = town.keeper().await;
        keeper.until("the next supervisor says so, too", "absent", Some(code)).await;
        assert_eq!(town.starts(), 1, "{word}, {exit}");
        keeper.ends().await;
    }
}

#[tokio::test]
async fn what_failed_is_started_again() {
    let town = Job::new("on-failure", EXITS);
    let keeper = town.keeper().await;
    keeper.until("it lives", "alive", None).await;
    town.exits(3).await;
    until("a second start", async || {
        let _ = keeper.actor.cast(AgentMsg::Probe);
        (town.starts() == 2).then_some(())
    })
    .await;
    keeper.until("it lives again", "alive", None).await;
    let tmux = town.server.tmux(true);
    let pid = tmux.find("job").await.unwrap().unwrap().panes[0].pid;
    process::signal(pid, Signal::KILL);
    keeper.until("a signal is a failure", "waiting", Some("backoff")).await;
    keeper.ends().await;
}

#[tokio::test]
async fn the_next_supervisor_reads_the_pane_that_is_left() {
    for (word, exit, starts, state, code) in [
        ("on-failure", Some(0), 1, "absent", Some("ended_well")),
        ("on-failure", Some(3), 2, "alive", None),
        ("no", Some(3), 1, "absent", Some("not_restarted")),
        ("no", None, 1, "absent", Some("not_restarted")),
    ] {
        let town = Job::new(word, EXITS);
        let keeper = town.keeper().await;
        keeper.until("it lives", "alive", None).await;
        keeper.ends().await;
        match exit {
            Some(exit) => town.exits(exit).await,
            None => drop(town.server.must(&["kill-session", "-t", "=job"])),
        }
        let keeper = town.keeper().await;
        keeper.until("what the next one finds", state, code).await;
        until("its start", async || (town.starts() >= starts).then_some(())).await;
        assert_eq!(town.starts(), starts, "{word}, {exit:?}");
        keeper.ends().await;
    }
}

#[tokio::test]
async fn an_agent_is_asked_to_end_by_the_signal_of_its_file() {
    for (script, grace, is_asked) in [
        (
            "trap 'echo int > got; exit 5' INT; trap '' TERM; echo up > up; while :; do sleep 1; done",
            "30s",
            true,
        ),
        ("trap '' INT TERM; echo up > up; while :; do sleep 60; done", "300ms", false),
    ] {
        let town = Job::new("no", script);
        let deps = town.deps(&format!("stop = {{ signal = \"INT\", grace = \"{grace}\" }}"));
        let path = |name: &str| town.server.dir().join(name);
        let run = command("job", &format!("cd {}; exec ./job", town.server.dir().display()));
        let session = deps.sessions.create(&run).await.unwrap();
        until("it is ready", async || Path::new(&path("up")).exists().then_some(())).await;
        let spec = AgentSpec::of(&deps, job(), &Prefixes::default());
        let began = Instant::now();
        assert_eq!(kill::kill(&deps, &spec, &kill::key(&session)).await, Ok(true));
        assert!(began.elapsed() < Duration::from_secs(10), "{grace}: {:?}", began.elapsed());
        assert_eq!(path("got").exists(), is_asked, "{grace}");
        assert_eq!(deps.sessions.find("job").await.unwrap(), None, "{grace}");
        deps.sessions.close().await;
    }
}
