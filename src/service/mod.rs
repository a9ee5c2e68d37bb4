//! The service: one process that supervises one town, from taking the lock to the last line of the log.
//!
//! It builds the real adapters and owns everything that belongs to the whole process: signals, log, panic hook, and
//! the last resort. The order matters to other programs. The lock decides which process is the daemon. The PID file
//! follows at once, because `gt` reads it 200 ms after a start. Slow steps come after that. A shutdown undoes all of
//! it within 400 ms. This module must not decide anything about an agent, and prints nothing.
#![allow(clippy::disallowed_methods, reason = "the process's own start time")]

use std::{cell::OnceCell, io, path::PathBuf, sync::Arc, time::Duration};

use jiff::{Timestamp, tz::TimeZone};
use tokio::sync::watch;

use self::{adapters::Reported, last_resort::LastResort, notify::ServiceManager};
use crate::{
    alerts::register::Running,
    control,
    deps::Deps,
    doctor::{self, Finding, Severity},
    panics,
    ports::problems::{Condition, OpenProblems, ProblemKey, Problems},
    signals::{Signal, Signals},
    stopping,
    supervision::child::ChildSpec,
    terminal,
    town::{
        dialect::{Dialect, recognise::Recognised},
        disk_task,
        files::Disk,
        hold::{self, Hold, Lost},
        journal,
        lock::{self, DaemonLock, LockError},
        log::{self, AlreadyInstalled, LogConfig, LogFormat, LogHandle},
        own_directory,
        paths::TownPaths,
        pid,
        root::{self, Named, RootError},
        settings::Settings,
        standing::Standings,
        temporary,
        watch::SystemFsWatcher,
    },
    tree::{
        self, RunError,
        housekeeping::{self, Process},
        one_file::OneFile,
        root::RootPlan,
        town_reading::{self, LastValid},
    },
    watchers::{self, alerts::actor::RootAnswers},
};

/// The problem that the supervisor's own directory cannot be used.
const OWN_DIRECTORY: ProblemKey = ProblemKey::named("own_directory").meaning(Condition::CannotWrite);
/// The problem that the log cannot be written.
const LOG: ProblemKey = ProblemKey::named("log").meaning(Condition::CannotWrite);

pub(crate) mod adapters;
pub mod detach;
mod last_resort;
pub mod notify;
pub(crate) mod own_town;
pub mod readiness;
pub(crate) mod recognising;
pub mod running;
mod signals;
mod town_server;
pub mod unit;

/// The most threads that wait for the disk and the process table at once, however many agents are probed. A queue is
/// faster than hundreds of threads, and calls that hang for ever must not take ever more memory.
pub const MOST_THREADS: usize = 32;

/// How often to check whether the log can be written.
const LOG_CHECK: Duration = Duration::from_secs(5);

/// What [`serve`] supervises, and where it logs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServeOptions {
    /// The town's directory: a Gas Town, or one with an `agents.toml`. `None` means `GT_TOWN_ROOT`, `GT_ROOT`, `SUPERVISOR_TOWN`, or the
    /// town around the working directory.
    pub town: Option<PathBuf>,
    /// The file that is the town, in place of its directory: an `agents.toml`, under any name.
    pub file: Option<PathBuf>,
    /// The format of the log on stderr; `None` means no log there. The town's log file always has plain lines.
    pub foreground: Option<LogFormat>,
}

/// Why a town cannot be supervised, or no longer. The text contains its cause.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct ServeError(#[from] ServiceError);

#[derive(Debug, thiserror::Error)]
enum ServiceError {
    /// The directory is missing or is not a town.
    #[error(transparent)]
    Town(#[from] RootError),
    /// The operating system refused an event queue.
    #[error("the async runtime cannot be created: {0}")]
    EventLoop(io::Error),
    /// The operating system refused the signal handlers.
    #[error("signals cannot be received: {0}")]
    Signals(io::Error),
    /// Another supervisor runs in this town, or the lock cannot be taken.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The task that takes the lock panicked.
    #[error("taking the lock was interrupted: {0}")]
    LockCutShort(tokio::task::JoinError),
    /// The PID file cannot be written, so `gt` could not find this process.
    #[error("{} cannot be written: {source}", terminal::path(.path))]
    PidFile {
        /// The file.
        path: PathBuf,
        /// The operating system's reason.
        source: io::Error,
    },
    /// The file with the settings has an error, or a required key is missing.
    #[error("{0}")]
    Settings(String),
    /// Agents of this town run where the supervisor would not find them.
    #[error("{0}")]
    Twins(String),
    /// The process has installed another logger already.
    #[error(transparent)]
    Log(#[from] AlreadyInstalled),
    /// The town was moved or deleted, or its lock was.
    #[error(transparent)]
    Lost(#[from] Lost),
    /// The root actor crashed too often.
    #[error(transparent)]
    Tree(#[from] RunError),
}

/// Supervises a town until this process gets SIGTERM or SIGINT. The agents keep running.
///
/// It takes the town's lock, so a town has one supervisor. It takes over the signals, the log and the panic hook of the process,
/// and ends the process when an orderly stop takes longer than 350 ms. So call it once per process, on the first thread, and outside
/// any async runtime: it creates its own.
///
/// ```no_run
/// use gastown_supervisor::{LogFormat, ServeOptions, serve};
///
/// let foreground = Some(LogFormat::Human);
/// let options = ServeOptions { town: Some("/home/me/gt".into()), foreground, ..ServeOptions::default() };
/// if let Err(error) = serve(options) {
///     eprintln!("{error}");
/// }
/// ```
///
/// # Errors
/// There is no such town, another process supervises it, its settings are invalid, or the system refuses a resource. The
/// text says what to do.
pub fn serve(options: ServeOptions) -> Result<(), ServeError> {
    Ok(supervise_town(options)?)
}

fn supervise_town(options: ServeOptions) -> Result<(), ServiceError> {
    let named = Named { file: options.file.as_deref(), town: options.town.as_deref() };
    let town = root::find_here(named)?;
    // One thread: what runs here is what the simulation runs, and the thread that spawns the tmux client and followed
    // commands must live as long as the process, because they die with it.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(MOST_THREADS)
        .build()
        .map_err(ServiceError::EventLoop)?;
    let outcome = runtime.block_on(hold_town(town, options.foreground));
    // A disk that hangs must not delay the end of the process.
    runtime.shutdown_background();
    outcome
}

async fn hold_town(paths: TownPaths, foreground: Option<LogFormat>) -> Result<(), ServiceError> {
    let last_resort = LastResort::default();
    let signals = signals::register(last_resort.clone()).map_err(ServiceError::Signals)?;
    let Some(lock) = take_lock(&paths, &signals).await? else {
        return Ok(()); // a stop was requested before it started
    };
    let held = Hold::of(&paths, lock.file());
    held.and_then(hold::take).map_err(|source| LockError::Unusable { path: paths.daemon_lock(), source })?;
    let process = Process { pid: std::process::id(), started_at: Timestamp::now() };
    let path = paths.pid_file();
    let written = disk_task::run(&path, move |path| pid::write(path, process.pid)).await;
    match written {
        // It is written as soon as there is room, and is a problem until then.
        Err(error) if is_full(&error) => {}
        written => written.map_err(|source| ServiceError::PidFile { path, source })?,
    }
    last_resort.hold(paths.clone(), process);
    let outcome = supervise(&paths, process, foreground, signals).await;
    last_resort::tidy(&paths, process);
    drop(lock);
    outcome
}

/// Waits for the lock, unless a stop is requested meanwhile.
async fn take_lock(paths: &TownPaths, signals: &Signals) -> Result<Option<DaemonLock>, ServiceError> {
    let taking = paths.clone();
    let taken = tokio::task::spawn_blocking(move || lock::acquire(&taking, lock::PATIENCE));
    tokio::select! {
        biased;
        lock = taken => Ok(Some(lock.map_err(ServiceError::LockCutShort)??)),
        () = tokio::time::sleep(lock::PATIENCE + disk_task::LIMIT) => Err(lock_hangs(paths)),
        () = signals.stopped() => Ok(None),
    }
}

/// Whether a write failed because the disk or a quota is full.
fn is_full(error: &io::Error) -> bool {
    use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull, WriteZero};
    matches!(error.kind(), StorageFull | QuotaExceeded | FileTooLarge | WriteZero)
}

fn lock_hangs(paths: &TownPaths) -> ServiceError {
    let source = io::Error::new(io::ErrorKind::TimedOut, "the disk did not answer");
    ServiceError::Lock(LockError::Unusable { path: paths.daemon_lock(), source })
}

/// Everything between the PID file and its removal.
async fn supervise(
    paths: &TownPaths,
    process: Process,
    foreground: Option<LogFormat>,
    signals: Signals,
) -> Result<(), ServiceError> {
    let begun = begin(paths).await;
    // The caller reports what is wrong with the settings.
    let foreground = foreground.filter(|_| begun.is_ok());
    let log = install_log(paths, begun.as_ref().map_or(&Settings::default(), |it| &it.settings), foreground)?;
    panics::install();
    let manager = ServiceManager::of_this_process();
    tracing::info!("Daemon starting (PID {})", process.pid);
    let Begun { settings, gas_town, one_file, standings } = match begun {
        Ok(begun) => begun,
        Err(problem) => {
            tracing::info!("Daemon startup failed (PID {}): {problem}", process.pid);
            return Err(ServiceError::Settings(problem));
        }
    };
    tracing::info!("{}: {}", gas_town.dialect, gas_town.because);
    let (settings_in_force, settings) = watch::channel(Arc::new(settings));
    let (deps, Reported { problems, metrics }) =
        adapters::deps(paths.clone(), settings.clone(), standings, gas_town, adapters::commands(paths)).await;
    let deps = Arc::new(deps);
    if let Some(twins) = twins(&deps, &problems).await {
        tracing::info!("Daemon startup failed (PID {}): {twins}", process.pid);
        return Err(ServiceError::Twins(twins));
    }
    prepare_own_directory(&deps).await;
    housekeeping::keep_pid_file(&deps, process.pid).await;
    let plan = RootPlan {
        deps: deps.clone(),
        control: control::actor::child(deps.clone(), (problems.clone(), metrics), process),
        alerts: alerts(&deps, problems, process),
        settings: Arc::new(settings_in_force),
        one_file,
        ends: Arc::new(end_ourselves),
        fs_watcher: Arc::new(SystemFsWatcher::of(paths)),
        process,
        may_fail: true,
    };
    let (to_tree, stopped_at) = (Signals::default(), OnceCell::new());
    let (root_up, roots) = watch::channel(None);
    let stops = || {
        manager.stopping();
        let _ = stopped_at.set(deps.now().mono);
    };
    let listening = async {
        tokio::select! {
            never = listen(&signals, &to_tree, &log, settings, stops) => never,
            never = watch_log(&log, &deps.problems) => never,
            never = manager.keep_notified(&deps, roots) => never,
        }
    };
    let outcome = tokio::select! {
        biased;
        // No orderly shutdown here: the files may belong to another supervisor by now.
        lost = hold::lost() => {
            log.farewell(&lost.to_string());
            return Err(lost.into());
        }
        outcome = tree::run(plan, to_tree.clone(), |root| drop(root_up.send_replace(Some(root)))) => outcome,
        never = listening => match never {},
    };
    let since = stopped_at.get().map_or(Duration::ZERO, |at| deps.now().mono.saturating_sub(*at));
    let _ = tokio::time::timeout(stopping::CLOSE_BY.saturating_sub(since), deps.sessions.close()).await;
    tracing::info!("Daemon stopped");
    log.flush(stopping::FLUSH);
    Ok(outcome?)
}

/// What the files say when the supervisor starts.
struct Begun {
    settings: Settings,
    gas_town: Recognised,
    one_file: Option<OneFile>,
    standings: watch::Receiver<Arc<Standings>>,
}

/// Reads the files of a town of either kind; an error says why it cannot be supervised with them.
async fn begin(paths: &TownPaths) -> Result<Begun, String> {
    if let Some(file) = paths.agents_file() {
        let town = own_town::read(&Disk, &file).await?;
        let (settings, gas_town) = (town.settings.clone(), town.recognised.clone());
        let (one_file, standings) = town.one_file(paths);
        return Ok(Begun { settings, gas_town, one_file: Some(one_file), standings });
    }
    // The root reports what is wrong with the shared file: it reads the file again at once and watches it.
    let read = town_reading::read_settings(&Disk, paths).await.and_of_the_town(&Disk, paths).await;
    let resolve = |dialect| read.resolve(dialect, &mut LastValid::default()).0;
    let (settings, gas_town) = settings_of_town(paths, resolve).await?;
    Ok(Begun { settings, gas_town, one_file: None, standings: Standings::none() })
}

/// Ends this process as somebody else does, with the last resort behind it.
fn end_ourselves() {
    let us = rustix::process::getpid();
    if let Err(error) = rustix::process::kill_process(us, rustix::process::Signal::TERM) {
        tracing::error!("TERM cannot be sent to ourselves: {error}");
    }
}

/// Creates the actor that delivers alerts.
fn alerts(
    deps: &Arc<Deps>,
    problems: OpenProblems,
    process: Process,
) -> Arc<dyn Fn(RootAnswers) -> ChildSpec + Send + Sync> {
    let (deps, process) = (deps.clone(), Running { pid: process.pid, started_at: process.started_at });
    Arc::new(move |root| watchers::alerts::actor::child(deps.clone(), problems.clone(), process, root))
}

/// The dialect of this town, and the settings in force in it; or why it cannot be supervised with them. `resolve` gives the
/// settings in a town of a dialect.
pub(crate) async fn settings_of_town(
    paths: &TownPaths,
    resolve: impl Fn(Dialect) -> Result<Settings, String>,
) -> Result<(Settings, Recognised), String> {
    let settings = resolve(Dialect::default())?;
    let gas_town = recognising::dialect(&Disk, &adapters::commands(paths), paths, &settings).await?;
    let settings = resolve(gas_town.dialect)?;
    match recognising::contradiction(paths, gas_town.dialect, &settings).await {
        Some(why) => Err(why),
        None => Ok((settings, gas_town)),
    }
}

/// Why nothing may be supervised: agents of this town run where the supervisor does not look, and it would start others beside
/// them. Only in a Gas Town with a tmux server of its own; elsewhere each agent is searched for before it is started, or its sessions
/// are where the file says.
async fn twins(deps: &Deps, problems: &OpenProblems) -> Option<String> {
    if !may_have_twins(deps.dialect()) {
        return None;
    }
    let (twins, unknown): (Vec<_>, Vec<_>) = doctor::twins(deps, problems)
        .await
        .into_iter()
        .partition(|finding| finding.severity == Severity::Wrong);
    for finding in unknown {
        tracing::warn!("{}", finding.sentence());
    }
    let told = twins.iter().map(Finding::sentence).collect::<Vec<_>>().join("; ");
    (!told.is_empty()).then(|| format!("{told}; nothing is supervised until then"))
}

fn may_have_twins(dialect: Dialect) -> bool {
    dialect.is_gas_town() && dialect.facts().has_own_server
}

/// Why a supervisor would not start in this town although its settings can be used.
pub(crate) async fn refusal(paths: &TownPaths, settings: Settings, gas_town: Recognised) -> Option<String> {
    if !may_have_twins(gas_town.dialect) {
        return None;
    }
    let (_, settings) = watch::channel(Arc::new(settings));
    let (deps, reported) =
        adapters::deps(paths.clone(), settings, Standings::none(), gas_town, adapters::commands(paths)).await;
    twins(&deps, &reported.problems).await
}

/// Without the directory nothing survives a restart of the supervisor; everything else works.
async fn prepare_own_directory(deps: &Deps) {
    let path = deps.paths.supervisor_dir();
    let shown = terminal::path(deps.paths.shown(&path));
    let feed = deps.dialect().is_gas_town().then(|| deps.paths.feed());
    let made = disk_task::run(&path, move |path| {
        feed.iter().for_each(|feed| journal::disk::clean(feed));
        own_directory::prepare(path)?;
        temporary::clean_once(path);
        Ok(())
    });
    if let Err(error) = made.await {
        deps.problems.report(OWN_DIRECTORY, format!("{shown}/ cannot be created or made private: {error}"));
    }
}

fn install_log(
    paths: &TownPaths,
    settings: &Settings,
    foreground: Option<LogFormat>,
) -> Result<LogHandle, AlreadyInstalled> {
    log::install(&LogConfig {
        path: paths.daemon_log(),
        max_bytes: settings.log.max_bytes,
        keep: settings.log.keep,
        level: settings.log.level,
        foreground,
        zone: TimeZone::system(),
    })
}

/// Reports a log that cannot be written as a problem: a supervisor in the background has only its status to show it.
/// Never returns.
async fn watch_log(log: &LogHandle, problems: &Problems) -> std::convert::Infallible {
    loop {
        match log.trouble() {
            // Standard error has it already, and a line in the log would be lost.
            Some(text) => problems.note(LOG, text),
            None => problems.clear(&LOG),
        }
        tokio::time::sleep(LOG_CHECK).await;
    }
}

/// Passes signals on to the tree and applies the log settings; calls `stops` when a stop is requested. Never returns.
async fn listen(
    signals: &Signals,
    tree: &Signals,
    log: &LogHandle,
    mut settings: watch::Receiver<Arc<Settings>>,
    stops: impl Fn(),
) -> std::convert::Infallible {
    loop {
        tokio::select! {
            biased;
            signal = signals.next() => {
                match signal {
                    Signal::Stop => break,
                    Signal::Reload => log.reopen(),
                    Signal::HeartbeatNow | Signal::RereadRestartState => {}
                }
                tree.tell(signal);
            }
            Ok(()) = settings.changed() => {
                let log_settings = settings.borrow_and_update().log.clone();
                log.set_level(log_settings.level);
                log.set_limits(log_settings.max_bytes, log_settings.keep);
            }
        }
    }
    tracing::info!("Daemon shutting down");
    stops();
    tree.tell(Signal::Stop);
    std::future::pending().await
}
