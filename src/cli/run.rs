//! `run`: the supervisor itself, in the foreground, until a signal.
//!
//! The order matters to others: the lock decides who is the daemon, the PID file follows at once because `gt` looks for it
//! 200 ms after a start, and only then comes anything slow. At the end everything is taken back within 400 ms.

use std::{
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use anyhow::Context;
use clap::{Args, ValueEnum};
use gastown_supervisor::{
    Signal,
    deps::Deps,
    town::{
        daemon_state::DaemonState,
        files::Disk,
        lock::{self, DaemonLock},
        log::{self, LogConfig, LogFormat, LogHandle},
        paths::TownPaths,
        pid, root,
        settings::Settings,
        watch::SystemHints,
    },
    tree::{chores::Process, root::RootPlan, town_reading},
};
use jiff::{Timestamp, tz::TimeZone};
use tokio::sync::{mpsc, watch};

use super::{adapters, last_resort, signals::Signals};

/// Runs the supervisor in the foreground until TERM or INT. Agents stay alive when it stops.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  gastown-supervisor run --town ~/gt")]
pub struct RunArguments {
    /// The town: the directory that holds mayor/town.json [default: GT_TOWN_ROOT, GT_ROOT, or the town around here]
    #[arg(long, value_name = "DIR")]
    town: Option<PathBuf>,
    /// How the log looks on standard error; daemon/daemon.log always has plain lines
    #[arg(long, value_enum, default_value_t = Format::Human)]
    log_format: Format,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Format {
    Human,
    Json,
}

/// How long the last lines have to reach standard error.
const FLUSH: Duration = Duration::from_millis(30);

/// How long tmux has to hear good-bye.
const CLOSE: Duration = Duration::from_millis(150);

/// Runs until a signal. An error is why it could not run.
pub fn run(arguments: RunArguments) -> anyhow::Result<()> {
    let cwd = std::env::current_dir().context("the working directory cannot be found out")?;
    let env = |name: &str| std::env::var(name).ok();
    let town = root::find(arguments.town.as_deref(), &env, &cwd, &Disk)?;
    // One thread: what runs here is what the simulation runs, and the thread that spawns the tmux client must live as
    // long as the process, because the client dies with it.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let outcome = runtime.block_on(serve(TownPaths::new(town), arguments.log_format));
    // A disk that hangs must not keep us here.
    runtime.shutdown_background();
    outcome
}

async fn serve(paths: TownPaths, format: Format) -> anyhow::Result<()> {
    let mut signals = Signals::register().context("signals cannot be received")?;
    let Some(lock) = take_lock(&paths, &mut signals).await? else {
        return Ok(()); // told to stop before it began
    };
    let process = Process { pid: std::process::id(), started_at: Timestamp::now() };
    pid::write(&paths.pid_file(), process.pid)
        .with_context(|| format!("{} cannot be written", paths.pid_file().display()))?;
    let outcome = supervise(&paths, process, format, signals).await;
    let _ = pid::remove(&paths.pid_file(), process.pid);
    drop(lock);
    outcome
}

/// Waits for the lock, but not when told to stop meanwhile.
async fn take_lock(paths: &TownPaths, signals: &mut Signals) -> anyhow::Result<Option<DaemonLock>> {
    let taking = paths.clone();
    let mut taken = tokio::task::spawn_blocking(move || lock::acquire(&taking, lock::PATIENCE));
    loop {
        tokio::select! {
            biased;
            lock = &mut taken => return Ok(Some(lock??)),
            signal = signals.next() => if signal == Signal::Stop { return Ok(None) },
        }
    }
}

/// Everything between the PID file and its removal.
async fn supervise(
    paths: &TownPaths,
    process: Process,
    format: Format,
    mut signals: Signals,
) -> anyhow::Result<()> {
    // What is wrong with the shared file is told by the root, which reads it again at once and watches it.
    let (settings, _) = town_reading::read_settings(&Disk, paths).await.resolve(&mut None);
    let foreground = match (&settings, format) {
        (Err(_), _) => None, // what is wrong is printed by `main`
        (Ok(_), Format::Human) => Some(LogFormat::Human),
        (Ok(_), Format::Json) => Some(LogFormat::Json),
    };
    let log = install_log(paths, settings.as_ref().unwrap_or(&Settings::default()), foreground)?;
    tracing::info!("Daemon starting (PID {})", process.pid);
    let settings = match settings {
        Ok(settings) => Arc::new(settings),
        Err(problem) => return Err(startup_failed(process, anyhow::Error::msg(problem))),
    };
    let (settings_in_force, settings) = watch::channel(settings);
    let deps = Arc::new(adapters::deps(paths.clone(), settings.clone()).await);
    let plan = RootPlan {
        deps: deps.clone(),
        settings: Arc::new(settings_in_force),
        hints: Arc::new(SystemHints::new()),
        process,
    };
    let (to_tree, from_outside) = mpsc::channel(16);
    let listening = listen(&mut signals, to_tree, &log, &deps, settings, process);
    let outcome = tokio::select! {
        biased;
        outcome = gastown_supervisor::run(plan, from_outside, |_| ()) => outcome,
        never = listening => match never {},
    };
    let _ = tokio::time::timeout(CLOSE, deps.sessions.close()).await;
    tracing::info!("Daemon stopped");
    log.flush(FLUSH);
    Ok(outcome?)
}

fn install_log(
    paths: &TownPaths,
    settings: &Settings,
    foreground: Option<LogFormat>,
) -> anyhow::Result<LogHandle> {
    Ok(log::install(&LogConfig {
        path: paths.daemon_log(),
        max_bytes: settings.log.max_bytes,
        keep: settings.log.keep,
        level: settings.log.level,
        foreground,
        zone: TimeZone::system(),
    })?)
}

fn startup_failed(process: Process, why: anyhow::Error) -> anyhow::Error {
    tracing::info!("Daemon startup failed (PID {}): {why:#}", process.pid);
    why
}

/// Passes signals on to the tree and keeps the log as the settings want it. Never ends by itself.
async fn listen(
    signals: &mut Signals,
    tree: mpsc::Sender<Signal>,
    log: &LogHandle,
    deps: &Deps,
    mut settings: watch::Receiver<Arc<Settings>>,
    process: Process,
) -> std::convert::Infallible {
    let mut last_resort = None;
    loop {
        tokio::select! {
            biased;
            signal = signals.next() => {
                match signal {
                    // The second one leaves at once.
                    Signal::Stop if last_resort.is_some() => {
                        last_resort::leave(deps.paths.clone(), stopped(process));
                    }
                    Signal::Stop => {
                        // First of all: even the log may hang.
                        last_resort = Some(last_resort::arm(deps.paths.clone(), stopped(process)));
                        tracing::info!("Daemon shutting down");
                    }
                    Signal::Reload => log.reopen(),
                    Signal::LookNow | Signal::RereadRestartState => {}
                }
                let _ = tree.try_send(signal);
            }
            Ok(()) = settings.changed() => {
                let log_settings = settings.borrow_and_update().log.clone();
                log.set_level(log_settings.level);
                log.set_limits(log_settings.max_bytes, log_settings.keep);
            }
        }
    }
}

/// What `daemon/state.json` says of a daemon that stopped; `gt` reads no more of it then.
fn stopped(process: Process) -> DaemonState {
    DaemonState {
        running: false,
        pid: process.pid,
        started_at: Some(process.started_at),
        last_heartbeat: None,
        heartbeat_count: 0,
    }
}

