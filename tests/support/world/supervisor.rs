//! A supervisor on a world: the real tree with the world behind its ports.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use gastown_supervisor::{
    StatusReport,
    agent::history::{History, rendering},
    alerts::{levels::of_problem, register::Running},
    control::{self, gather::gather},
    deps::Deps,
    ports::{
        Jitter, Ports,
        dolt::{Dolt, read_config},
        metrics::{Metrics, commands::CountedCommands},
        problems::Problems,
        writes::Writes,
    },
    report::AgentReport,
    signals::{Signal, Signals},
    supervision::{
        child::{Address, Answer},
        status::End,
    },
    town::{dialect::Dialect, identity::Identity, paths::TownPaths, settings::Settings, standing::Standings},
    tree::{
        RunError,
        housekeeping::Process,
        one_file::{self, OneFile},
        root::{RootMsg, RootPlan},
        town_reading::{LastValid, read_settings},
    },
    watchers::alerts,
};
use jiff::tz::TimeZone;
use ractor::{ActorCell, ActorRef};
use regex::Regex;
use tokio::{sync::watch, task::JoinHandle};

use super::{AGENTS_FILE, TOWN, World, millis, mins, path, secs};

type RootSlot = Arc<Mutex<Option<ActorRef<RootMsg>>>>;

/// A supervisor that runs.
pub struct Supervisor {
    world: World,
    /// Its ports and registers.
    pub deps: Arc<Deps>,
    /// The signals to send to it.
    pub signals: Signals,
    process: Process,
    root: RootSlot,
    run: JoinHandle<Result<(), RunError>>,
}

impl World {
    /// The settings of this Gas Town.
    async fn settings(&self, paths: &TownPaths) -> Settings {
        let dialect = self.state().gas_town.dialect;
        let read = read_settings(self, paths).await;
        let read = match dialect.is_v1() {
            true => read.and_of_the_town(self, paths).await,
            false => read,
        };
        read.resolve(dialect, &mut LastValid::default()).0.unwrap_or_default()
    }

    /// The town of one file, where this is one.
    async fn one_file(&self, paths: &TownPaths) -> Option<OneFile> {
        let (home, file) = (PathBuf::from("/home/user"), paths.agents_file()?);
        let (_, plan) = one_file::read(self, &file, Some(&home)).await.expect("the file has no mistakes");
        Some(OneFile::new(plan, paths, Some(home)))
    }

    /// The ports and registers of a supervisor with the settings this town has.
    pub async fn deps(&self) -> (Arc<Deps>, watch::Sender<Arc<Settings>>) {
        let (deps, put, _) = self.everything().await;
        (deps, put)
    }

    async fn everything(&self) -> (Arc<Deps>, watch::Sender<Arc<Settings>>, Option<OneFile>) {
        let paths = match self.state().gas_town.dialect {
            Dialect::Own => TownPaths::of_file(&path(AGENTS_FILE)).unwrap(),
            _ => TownPaths::new(TOWN),
        };
        let one_file = self.one_file(&paths).await;
        let settings = match &one_file {
            Some(own) => own.in_force().plan.settings.clone(),
            None => self.settings(&paths).await,
        };
        let (put, settings) = watch::channel(Arc::new(settings));
        let seed = self.state().rng.u64(..);
        let dolt = Dolt::new(Arc::new(self.clone()), Default::default());
        if self.state().gas_town.dialect.facts().has_dolt {
            dolt.follow(&read_config(self, &paths).await, &Default::default());
        }
        let metrics = Metrics::default();
        let world: Arc<World> = Arc::new(self.clone());
        let commands = CountedCommands::new(world.clone(), metrics.clone(), world, settings.clone());
        let ports = Ports {
            sessions: Arc::new(self.clone()),
            processes: Arc::new(self.clone()),
            commands: Arc::new(commands),
            network: Arc::new(self.clone()),
            files: Arc::new(self.clone()),
            journals: Arc::new(self.clone()),
            clock: Arc::new(self.clone()),
            transcripts: Arc::new(self.clone()),
            exec_watcher: Arc::new(self.clone()),
            convoys: Arc::new(self.clone()),
            beads: Arc::new(self.clone()),
            conversation_files: Arc::new(self.clone()),
            dolt,
            control_listener: Arc::new(self.clone()),
            jitter: Jitter::seeded(seed),
            paths,
            settings,
            standings: one_file.as_ref().map_or_else(Standings::none, |own| own.standings.subscribe()),
            gas_town: self.state().gas_town.clone(),
            degraded: false,
            problems: Problems::default(),
            metrics,
            writes: Writes::default(),
        };
        (Arc::new(Deps::new(ports)), put, one_file)
    }

    /// The plan of a root.
    pub async fn plan(&self) -> RootPlan {
        let (deps, put, one_file) = self.everything().await;
        let process = Process { pid: 4242, started_at: self.wall() };
        let problems = deps.problems.reader();
        let (ours, open) = (deps.clone(), problems.clone());
        let running = Running { pid: process.pid, started_at: process.started_at };
        RootPlan {
            alerts: Arc::new(move |root| alerts::actor::child(ours.clone(), open.clone(), running, root)),
            control: control::actor::child(deps.clone(), (problems, deps.metrics.reader()), process),
            deps,
            settings: Arc::new(put),
            one_file,
            ends: Arc::new(|| ()),
            fs_watcher: Arc::new(self.clone()),
            process,
            may_fail: true,
        }
    }

    /// Starts a supervisor.
    pub async fn supervisor(&self) -> Supervisor {
        let plan = self.plan().await;
        let (deps, process) = (plan.deps.clone(), plan.process);
        let signals = Signals::default();
        let heard = signals.clone();
        let root = RootSlot::default();
        let slot = root.clone();
        let up = move |root| *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(root);
        let run = tokio::spawn(async move { gastown_supervisor::tree::run(plan, heard, up).await });
        Supervisor { world: self.clone(), deps, signals, process, root, run }
    }
}

impl Supervisor {
    /// Its root, the one that runs now.
    pub async fn root(&self) -> ActorRef<RootMsg> {
        for _ in 0..1000 {
            let root = self.root.lock().unwrap_or_else(PoisonError::into_inner).clone();
            match root {
                Some(root) if root.get_status() <= ractor::ActorStatus::Running => return root,
                _ => tokio::time::sleep(millis(1)).await,
            }
        }
        panic!("there is no root");
    }

    /// The status of the town; every actor must answer within a virtual second. One that ended just now is asked
    /// again in its next incarnation.
    pub async fn snapshot(&self) -> StatusReport {
        let begun = self.world.time();
        let mut last = None;
        while self.world.time() - begun < millis(900) {
            let root = self.root().await;
            last = gather((&self.deps, &self.deps.problems.reader()), self.process, &root, millis(900)).await;
            match &last {
                Some(town) if !town.problems.contains_key("actors/silent") => break,
                _ => tokio::time::sleep(millis(10)).await,
            }
        }
        let took = self.world.time() - begun;
        let town = last.unwrap_or_else(|| panic!("the root did not answer a probe"));
        assert_eq!(town.problems.get("actors/silent"), None, "some did not answer a probe");
        assert!(took <= secs(1), "a probe was answered after {took:?}");
        town
    }

    /// What people are alerted to now: kind, and the agents.
    pub fn alerts(&self) -> Vec<String> {
        let levels = self.deps.problems.reader().select(of_problem);
        levels
            .iter()
            .map(|it| format!("{} {}", it.kind.code(), it.agents.join(",")).trim().to_owned())
            .collect()
    }

    /// One agent, by identity.
    pub async fn agent(&self, identity: &str) -> AgentReport {
        let town = self.snapshot().await;
        let agent = town.agents.iter().find(|agent| agent.identity == identity);
        agent.cloned().unwrap_or_else(|| panic!("no agent {identity} in {town:#?}"))
    }

    /// The history of an agent as people read it, without what depends on chance: its lines without their times, and
    /// `then`, `…` for times and durations of starts in them. What stands below a death is left out.
    pub fn story(&self, identity: &str) -> Vec<String> {
        let history = self.history(identity);
        let chance = Regex::new(r"\d\d:\d\d:\d\d").unwrap();
        let took = Regex::new(r"started in \d+\.\ds").unwrap();
        let told = rendering::lines(&history.entries, self.world.wall(), &TimeZone::UTC);
        told.iter()
            .filter(|line| !line.starts_with("    "))
            .map(|line| {
                let line = chance.replace_all(line, "then");
                let line = took.replace(&line, "started in …").into_owned();
                // An entry of another day has its date there.
                line.split_once("then ").map_or(line.clone(), |(_, rest)| rest.to_owned())
            })
            .collect()
    }

    /// The history of an agent; it must be in order, and written so that the next supervisor reads the same.
    pub fn history(&self, identity: &str) -> History {
        let history = self.deps.records.history(&identity.parse().unwrap());
        assert!(history.entries.is_sorted_by_key(|entry| entry.at), "{history:#?}");
        history
    }

    /// Waits until an agent is in this state.
    pub async fn until_agent(&self, identity: &str, state: &str, limit: Duration) {
        let begun = self.world.time();
        loop {
            let town = self.snapshot().await;
            let agent = town.agents.iter().find(|agent| agent.identity == identity);
            if agent.is_some_and(|agent| agent.state == state) {
                return;
            }
            assert!(
                self.world.time() - begun <= limit,
                "{identity} is not {state} after {limit:?}: {agent:#?}"
            );
            tokio::time::sleep((limit / 500).clamp(millis(20), secs(1))).await;
        }
    }

    /// The running actor of this name: `root`, or as `status` names it.
    pub async fn actor(&self, name: &str) -> Option<ActorCell> {
        if name == "root" {
            return Some(self.root().await.get_cell());
        }
        let actor = self.deps.directory.by_name().remove(name)?;
        actor.is_running().then_some(actor.cell)
    }

    /// The last unintended end that the actor of this agent knows; `None` also when it has no running actor.
    pub async fn last_end(&self, identity: &str) -> Option<End> {
        let name = identity.parse::<Identity>().unwrap().actor_name();
        let actor = self.deps.directory.by_name().remove(&name).filter(Address::is_running)?;
        match actor.ask(secs(1)).await {
            Some(Answer::Agent(agent)) => agent.last_end,
            answer => panic!("{name} answered {answer:?}"),
        }
    }

    /// Kills an actor, as if it had crashed.
    pub async fn crash(&self, name: &str) {
        let now = self.world.time();
        self.world.state().note(now, true, || format!("actor {name} crashes"));
        self.world.state().distracted(now);
        if name == "root" {
            // No actor is above the root, and so nothing could catch a panic.
            self.world.state().clock_panics_in = None;
        }
        if let Some(cell) = self.actor(name).await {
            cell.kill();
        }
    }

    /// Makes an actor crash more often than its budget allows: its supervisor suspends it, or restarts everything
    /// with it.
    pub async fn suspend(&self, name: &str) {
        for _ in 0..6 {
            self.crash(name).await;
            self.world.pass(millis(20)).await;
        }
        // Longer than the suspension.
        let until = self.world.time() + mins(15);
        self.world.state().distracted(until);
    }

    /// Triggers a probe each second, for this long.
    pub async fn trigger_each_second(&self, trigger: fn(&World, &ActorRef<RootMsg>), seconds: u64) {
        let root = self.root().await;
        for second in 1..=seconds {
            let root = root.clone();
            self.world.after(secs(second), move |world| trigger(world, &root));
        }
    }

    /// Stops it and waits for its end; returns how long that took.
    pub async fn stop(self) -> Duration {
        let begun = self.world.time();
        self.signals.tell(Signal::Stop);
        self.run.await.expect("it does not panic").expect("it stops in order");
        self.world.time() - begun
    }

    /// Ends it as KILL does: without output and without waiting.
    pub async fn vanish(self) {
        self.run.abort();
        let root = self.root().await;
        root.kill();
        tokio::time::sleep(millis(1)).await;
    }

    /// Whether it gave up.
    pub fn ended(&self) -> bool {
        self.run.is_finished()
    }
}
