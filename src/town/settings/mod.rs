//! Settings: every number and switch the supervisor goes by, resolved from its two files and its defaults.
//!
//! `settings/supervisor.json` is ours and strict; `mayor/daemon.json` is shared with `gt`, read leniently and never
//! written. A value in ours beats one in theirs, which beats the default. Reading the files is [`read`]'s part; nothing
//! here may touch the disk.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use crate::agent::usage_limit::UsageLimits;

mod document;
pub mod read;
mod values;

/// The settings in force. Replaced as a whole when the files change.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Settings {
    /// The safety net.
    pub heartbeat: Heartbeat,
    /// How the tmux server is found and watched.
    pub tmux: Tmux,
    /// The programs we run.
    pub commands: CommandSettings,
    /// Starting an agent.
    pub start: Start,
    /// Typing into a session.
    pub nudge: Nudge,
    /// Ending an agent.
    pub kill: Kill,
    /// The deacon's progress ladder.
    pub deacon: Deacon,
    /// Boot.
    pub boot: Boot,
    /// Polecats.
    pub polecats: Polecats,
    /// Pending spawns.
    pub spawns: Spawns,
    /// Lifecycle requests.
    pub lifecycle: LifecycleRequests,
    /// The death window.
    pub deaths: Deaths,
    /// The restart policy.
    pub restart: Restart,
    /// The feed curator.
    pub feed: Feed,
    /// The convoy watcher.
    pub convoy: Convoy,
    /// Questions on agents' screens.
    pub questions: Questions,
    /// Agents that end because of a usage limit.
    pub usage_limit: UsageLimit,
    /// Telling somebody.
    pub notify: Notify,
    /// The HTTP listener.
    pub http: Http,
    /// The log.
    pub log: Log,
    /// Which patrols run where (`mayor/daemon.json`, `patrols`).
    pub patrols: Patrols,
    /// Variables exported to the commands we run (`mayor/daemon.json`, `env`).
    pub env: BTreeMap<String, String>,
}

/// `heartbeat`.
#[derive(Debug, Clone, PartialEq)]
pub struct Heartbeat {
    /// From the beginning of one heartbeat to the next.
    pub interval: Duration,
    /// A part that has not answered within this is reported as late.
    pub deadline: Duration,
}

/// `tmux`.
#[derive(Debug, Clone, PartialEq)]
pub struct Tmux {
    /// `-L`; the settings beat `GT_TMUX_SOCKET`.
    pub socket_name: Option<String>,
    /// `-S`; beats the name.
    pub socket_path: Option<PathBuf>,
    /// How often everything is looked at when nothing happens.
    pub sweep: Duration,
    /// How sessions are named.
    pub naming: Naming,
}

/// The socket name in the value of `GT_TMUX_SOCKET`, where it holds one: empty, `auto` and `default` leave the choice to whoever
/// reads it, as `gt` has it, and name nothing.
pub fn socket_of_variable(value: Option<&str>) -> Option<&str> {
    value.map(str::trim).filter(|name| !matches!(*name, "" | "auto" | "default"))
}

/// `tmux.naming`: which scheme session names follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Naming {
    /// `gt-<rig>-witness`, `gt-boot`: Gas Town 0.2 and 0.3.
    #[default]
    Rig,
    /// `<prefix>-witness`, `hq-boot`: Gas Town 1.0.
    Prefix,
}

/// `commands`.
#[derive(Debug, Clone, PartialEq)]
pub struct CommandSettings {
    /// The bead tracker.
    pub bd: String,
    /// Gas Town.
    pub gt: String,
    /// git.
    pub git: String,
    /// tmux.
    pub tmux: String,
    /// The limit of each command, `git fetch` and `pull` excepted.
    pub timeout: Duration,
}

/// `start`.
#[derive(Debug, Clone, PartialEq)]
pub struct Start {
    /// Starts between the first look and the appearance of the agent's process, at once.
    pub max_concurrent: usize,
    /// How long an agent's process, and then its readiness, is waited for.
    pub timeout: Duration,
    /// How long an agent must have been ready, without asking anything, before it is told what to do.
    pub settle: Duration,
    /// How long a key pressed at a question may take to show.
    pub dialog_wait: Duration,
}

/// `nudge`.
#[derive(Debug, Clone, PartialEq)]
pub struct Nudge {
    /// Between pasting and the next key.
    pub paste_settle: Duration,
    /// Between Escape, where the screen shows vim's insert mode, and Enter.
    pub escape_settle: Duration,
}

/// `kill`.
#[derive(Debug, Clone, PartialEq)]
pub struct Kill {
    /// Between TERM and KILL.
    pub grace: Duration,
}

/// `deacon`.
#[derive(Debug, Clone, PartialEq)]
pub struct Deacon {
    /// A heartbeat older than this is answered with a nudge.
    pub stale_after: Duration,
    /// A heartbeat older than this is answered with a restart.
    pub stuck_after: Duration,
    /// How long after a start, a pause or a sleep an old heartbeat says nothing.
    pub grace: Duration,
    /// The least time between two nudges.
    pub nudge_every: Duration,
}

/// `boot`.
#[derive(Debug, Clone, PartialEq)]
pub struct Boot {
    /// Whether boot is spawned at all.
    pub enabled: bool,
    /// The least time between two spawns.
    pub cooldown: Duration,
    /// A boot session older than this is replaced.
    pub max_age: Duration,
    /// No boot while the deacon's heartbeat is younger than this.
    pub skip_when_fresher_than: Duration,
}

/// `polecats`.
#[derive(Debug, Clone, PartialEq)]
pub struct Polecats {
    /// The second look at a dead polecat comes after this.
    pub confirm: Duration,
    /// A polecat that is being spawned is left alone for this long.
    pub spawning_guard: Duration,
    /// A hook without progress for this long is a GUPP violation.
    pub gupp_after: Duration,
}

/// `spawns`.
#[derive(Debug, Clone, PartialEq)]
pub struct Spawns {
    /// How long a freshly spawned polecat's readiness is waited for.
    pub ready_within: Duration,
    /// A spawn message older than this is archived.
    pub prune_after: Duration,
}

/// `lifecycle`.
#[derive(Debug, Clone, PartialEq)]
pub struct LifecycleRequests {
    /// A request older than this is deleted, not executed.
    pub max_age: Duration,
    /// Between the kill and the start of a cycle.
    pub pause: Duration,
}

/// `deaths`.
#[derive(Debug, Clone, PartialEq)]
pub struct Deaths {
    /// Deaths within this belong together.
    pub window: Duration,
    /// So many different sessions are a mass death.
    pub threshold: u32,
    /// Between two restarts after a mass death.
    pub paced_restart: Duration,
}

/// `restart`.
#[derive(Debug, Clone, PartialEq)]
pub struct Restart {
    /// The second look at a dead agent comes after this.
    pub confirm: Duration,
    /// How long an agent stopped by hand is left alone.
    pub deliberate_hold: Duration,
    /// The delay before the second restart.
    pub initial_backoff: Duration,
    /// Each further delay is longer by this factor.
    pub multiplier: f64,
    /// The longest delay.
    pub max_backoff: Duration,
    /// So many restarts within the window are a crash loop.
    pub crash_loop_count: u32,
    /// The crash loop's window.
    pub crash_loop_window: Duration,
    /// An agent alive for this long starts afresh.
    pub stable_after: Duration,
    /// A crash loop is tried again after this.
    pub retry_crash_loop_after: Duration,
}

/// `feed`.
#[derive(Debug, Clone, PartialEq)]
pub struct Feed {
    /// Whether the feed is curated.
    pub enabled: bool,
    /// A second `done` within this is dropped.
    pub done_window: Duration,
    /// Slings within this are told together.
    pub sling_window: Duration,
    /// From so many slings on.
    pub sling_count: u32,
    /// The feed's bound.
    pub max_bytes: u64,
}

/// `convoy`.
#[derive(Debug, Clone, PartialEq)]
pub struct Convoy {
    /// Whether convoys are watched.
    pub enabled: bool,
    /// The first delay before `bd activity` is started again.
    pub retry_after: Duration,
    /// The longest such delay.
    pub retry_max: Duration,
    /// The timed check.
    pub check_every: Duration,
}

/// `questions`: which of the questions that agents' programs ask at their start are answered, and the safe way. All others
/// are left to people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Questions {
    /// Claude's warning of its mode without permissions is accepted.
    pub bypass_permissions: bool,
    /// A newer version of the program is skipped.
    pub update: bool,
    /// The directory that the agent was started in is trusted.
    pub trust_folder: bool,
}

/// `usage_limit`.
#[derive(Debug, Clone, PartialEq)]
pub struct UsageLimit {
    /// What the last screen of such an agent shows.
    pub patterns: UsageLimits,
    /// How often such an agent is tried again.
    pub retry_every: Duration,
}

/// `notify`.
#[derive(Debug, Clone, PartialEq)]
pub struct Notify {
    /// The command that gets alerts as JSON on standard input.
    pub command: Option<String>,
    /// Its limit.
    pub timeout: Duration,
}

/// `http`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Http {
    /// Address to listen on.
    pub listen: Option<String>,
}

/// `log`.
#[derive(Debug, Clone, PartialEq)]
pub struct Log {
    /// `error`, `warn`, `info`, `debug` or `trace`.
    pub level: LogLevel,
    /// The log is rotated when it would grow past this.
    pub max_bytes: u64,
    /// So many rotated logs are kept.
    pub keep: u32,
}

/// `log.level`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[allow(missing_docs, reason = "the names say it")]
pub enum LogLevel {
    Error,
    Warn,
    #[default]
    Info,
    Debug,
    Trace,
}

/// `patrols` of `mayor/daemon.json`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Patrols {
    /// The deacon's switch.
    pub deacon: Patrol,
    /// The witnesses' switch.
    pub witness: Patrol,
    /// The refineries' switch.
    pub refinery: Patrol,
}

/// One patrol's switch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Patrol {
    /// False: not started, not watched.
    pub enabled: bool,
    /// The rigs it runs in; `None` (absent or empty in the file) is all.
    pub rigs: Option<Vec<String>>,
}

impl Patrol {
    /// Whether the patrol runs in this rig.
    pub fn covers(&self, rig: &str) -> bool {
        self.enabled && self.rigs.as_ref().is_none_or(|rigs| rigs.iter().any(|name| name == rig))
    }
}

const fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

const fn minutes(n: u64) -> Duration {
    Duration::from_secs(n * 60)
}

const fn millis(n: u64) -> Duration {
    Duration::from_millis(n)
}

impl Default for Heartbeat {
    fn default() -> Self {
        Heartbeat { interval: minutes(3), deadline: seconds(60) }
    }
}

impl Default for Tmux {
    fn default() -> Self {
        Tmux { socket_name: None, socket_path: None, sweep: seconds(60), naming: Naming::Rig }
    }
}

impl Default for CommandSettings {
    fn default() -> Self {
        CommandSettings {
            bd: "bd".into(),
            gt: "gt".into(),
            git: "git".into(),
            tmux: "tmux".into(),
            timeout: seconds(30),
        }
    }
}

impl Default for Start {
    fn default() -> Self {
        Start { max_concurrent: 4, timeout: seconds(60), settle: seconds(2), dialog_wait: seconds(1) }
    }
}

impl Default for Nudge {
    fn default() -> Self {
        Nudge { paste_settle: millis(500), escape_settle: millis(100) }
    }
}

impl Default for Kill {
    fn default() -> Self {
        Kill { grace: seconds(2) }
    }
}

impl Default for Deacon {
    fn default() -> Self {
        Deacon {
            stale_after: minutes(15),
            stuck_after: minutes(30),
            grace: minutes(5),
            nudge_every: minutes(5),
        }
    }
}

impl Default for Boot {
    fn default() -> Self {
        Boot { enabled: true, cooldown: minutes(2), max_age: minutes(10), skip_when_fresher_than: minutes(5) }
    }
}

impl Default for Polecats {
    fn default() -> Self {
        Polecats { confirm: seconds(5), spawning_guard: minutes(5), gupp_after: minutes(30) }
    }
}

impl Default for Spawns {
    fn default() -> Self {
        Spawns { ready_within: seconds(2), prune_after: minutes(5) }
    }
}

impl Default for LifecycleRequests {
    fn default() -> Self {
        LifecycleRequests { max_age: minutes(6 * 60), pause: millis(500) }
    }
}

impl Default for Deaths {
    fn default() -> Self {
        Deaths { window: seconds(30), threshold: 3, paced_restart: seconds(2) }
    }
}

impl Default for Restart {
    fn default() -> Self {
        Restart {
            confirm: seconds(1),
            deliberate_hold: minutes(10),
            initial_backoff: seconds(30),
            multiplier: 2.0,
            max_backoff: minutes(10),
            crash_loop_count: 5,
            crash_loop_window: minutes(15),
            stable_after: minutes(30),
            retry_crash_loop_after: minutes(30),
        }
    }
}

impl Default for Feed {
    fn default() -> Self {
        Feed {
            enabled: true,
            done_window: seconds(10),
            sling_window: seconds(30),
            sling_count: 3,
            max_bytes: 10 * 1024 * 1024,
        }
    }
}

impl Default for Convoy {
    fn default() -> Self {
        Convoy { enabled: true, retry_after: seconds(5), retry_max: seconds(60), check_every: minutes(5) }
    }
}

impl Default for Questions {
    fn default() -> Self {
        Questions { bypass_permissions: true, update: true, trust_folder: false }
    }
}

impl Default for UsageLimit {
    fn default() -> Self {
        UsageLimit { patterns: UsageLimits::default(), retry_every: minutes(15) }
    }
}

impl Default for Notify {
    fn default() -> Self {
        Notify { command: None, timeout: seconds(10) }
    }
}

impl Default for Log {
    fn default() -> Self {
        Log { level: LogLevel::Info, max_bytes: 10 * 1024 * 1024, keep: 5 }
    }
}

impl Default for Patrol {
    fn default() -> Self {
        Patrol { enabled: true, rigs: None }
    }
}
