//! The real adapters, assembled for one town.

use std::{path::PathBuf, sync::Arc};

use tokio::sync::watch;

use super::town_server;
use crate::{
    clock::{Clock, SystemClock},
    commands::{Commands, runner::Runner},
    deps::Deps,
    ledger::{convoys::SqliteConvoys, dolt_server::LocalDolt, sqlite::SqliteBeads},
    network::https::Https,
    ports::{
        Jitter, Ports,
        dolt::{self, Dolt},
        metrics::{Measured, Metrics, commands::CountedCommands},
        problems::{OpenProblems, Problems},
        writes::Writes,
    },
    processes::{exec_watcher::SystemExecWatcher, table::SystemProcesses},
    sessions::tmux::{Socket, Tmux, TmuxConfig},
    town::{
        conversation_files::disk::DiskConversations,
        dialect::{self, Dialect, dolt::VARIABLES, recognise::Recognised},
        files::Disk,
        journal::disk::DiskJournals,
        paths::TownPaths,
        root,
        settings::{Settings, socket_of_variable},
        socket::SocketListener,
        standing::Standings,
    },
    transcripts::disk::DiskTranscripts,
};

/// What reports to people and programs may read of what can only be written through the ports.
#[derive(Debug, Clone)]
pub struct Reported {
    /// What is wrong.
    pub problems: OpenProblems,
    /// What was counted.
    pub metrics: Measured,
}

/// The ports of this town on this machine, and what can be read of what is reported through them.
pub async fn deps(
    paths: TownPaths,
    settings: watch::Receiver<Arc<Settings>>,
    standings: watch::Receiver<Arc<Standings>>,
    mut gas_town: Recognised,
    runner: Runner,
) -> (Deps, Reported) {
    let in_force = settings.borrow().clone();
    // Resolved once; if it does not exist, the adapter reports that at each use.
    let program = runner
        .locate(&in_force.commands.tmux)
        .await
        .unwrap_or_else(|| PathBuf::from(&in_force.commands.tmux));
    let server = socket(&in_force, gas_town.dialect, &paths).await;
    let facts = gas_town.dialect.facts();
    if let (true, Socket::Name(name)) = (facts.has_gt && facts.has_own_server, &server) {
        gas_town.server = Some(name.clone());
    }
    let tmux = TmuxConfig { program, ..TmuxConfig::new(server) };
    let (problems, open) = Problems::new();
    let (metrics, measured) = Metrics::new();
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let commands = CountedCommands::new(Arc::new(runner), metrics.clone(), clock.clone(), settings.clone());
    let inherited = VARIABLES.iter().filter_map(|name| Some(((*name).to_owned(), std::env::var(name).ok()?)));
    let dolt = Dolt::new(Arc::new(LocalDolt), inherited.collect());
    if facts.has_dolt {
        dolt.follow(&dolt::read_config(&Disk, &paths).await, &in_force.env);
    }
    let deps = Deps::new(Ports {
        sessions: Arc::new(Tmux::new(tmux)),
        processes: Arc::new(SystemProcesses::new()),
        commands: Arc::new(commands),
        network: Arc::new(Https::default()),
        files: Arc::new(Disk),
        journals: Arc::new(DiskJournals::default()),
        clock,
        transcripts: Arc::new(DiskTranscripts::new()),
        exec_watcher: Arc::new(SystemExecWatcher::new()),
        convoys: Arc::new(SqliteConvoys::new(paths.beads_db())),
        beads: Arc::new(SqliteBeads::default()),
        conversation_files: Arc::new(DiskConversations),
        dolt,
        control_listener: Arc::new(SocketListener),
        jitter: Jitter::fresh(),
        paths,
        gas_town,
        settings,
        standings,
        degraded: facts.has_gt && std::env::var("GT_DEGRADED").is_ok_and(|value| value == "true"),
        problems,
        metrics,
        writes: Writes::default(),
    });
    (deps, Reported { problems: open, metrics: measured })
}

/// Runs commands in this town, in a Gas Town as the daemon.
pub fn commands(paths: &TownPaths) -> Runner {
    commands_on(paths, None)
}

/// The same with another `PATH` than ours.
pub fn commands_on(paths: &TownPaths, path: Option<&str>) -> Runner {
    let (name, value) = match paths.agents_file() {
        Some(file) => (root::TOWN_VARIABLE, file.to_string_lossy().into_owned()),
        None => ("BD_ACTOR", "daemon".to_owned()),
    };
    let path = path.map(|path| ("PATH".to_owned(), path.to_owned()));
    let runner = Runner::new([(name.to_owned(), value)].into_iter().chain(path).collect());
    // Our own command, run by one of them, must find this town.
    if paths.agents_file().is_some() { runner.without(&root::GAS_TOWN_VARIABLES) } else { runner }
}

/// The tmux server: the settings beat `GT_TMUX_SOCKET`, which beats the town's own or the user's default. In a town of one file, the
/// settings alone say it.
pub async fn socket(settings: &Settings, dialect: Dialect, paths: &TownPaths) -> Socket {
    if let Some(path) = &settings.tmux.socket_path {
        return Socket::Path(path.clone());
    }
    if !dialect.is_gas_town() {
        return settings.tmux.socket_name.clone().map_or(Socket::Default, Socket::Name);
    }
    let variable = socket_variable();
    match settings.tmux.socket_name.as_deref().or(socket_of_variable(variable.as_deref())) {
        Some(name) => Socket::Name(name.to_owned()),
        None if dialect.facts().has_own_server => {
            let name = town_server::name(paths).await;
            // Where that is not decided nothing is supervised; the doctor still looks at one of them.
            Socket::Name(name.unwrap_or_else(|_| dialect::socket::socket_name(paths.root(), None)))
        }
        None => Socket::Default,
    }
}

/// The value of `GT_TMUX_SOCKET`.
pub fn socket_variable() -> Option<String> {
    std::env::var("GT_TMUX_SOCKET").ok()
}
