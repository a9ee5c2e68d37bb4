//! Settings: every number and switch of the supervisor, resolved from its files and its defaults.
//!
//! `settings/supervisor.json` is ours and strict; `mayor/daemon.json` and, in a 1.x town, `settings/config.json` are shared
//! with `gt`, read leniently and never written. A value in ours beats one in theirs, which beats the default. [`read`] parses the files; nothing here may
//! touch the disk.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    path::PathBuf,
    time::Duration,
};

use serde_json::Value;

use self::{
    document::Entry,
    shown::Shown,
    table::{Section, section, settings_table},
    values::{
        absolute_path, count, dialect, dialogs, factor, hosts, interval, level, listen, memory_max, naming,
        optional_amount, optional_percent, optional_switch, optional_text, optional_url, pause, resume,
        roles, socket_name, switch, text, usage_limits, webhook_shape, whole,
    },
};
use crate::town::{
    dialect::Dialect,
    dialogs::Dialog,
    identity::Role,
    settings::amount::{Amount, MemoryMax},
    usage_limit::UsageLimits,
};

pub mod amount;
pub mod document;
pub mod origins;
pub mod read;
#[cfg(feature = "test-support")]
pub mod schema;
pub mod shown;
pub mod table;
pub mod toml_document;
mod url;
pub mod values;

pub use url::{SecretUrl, WebhookShape};
pub use values::{Quiet, quiet};

const HOUR: Duration = Duration::from_hours(1);
const MINUTE: Duration = Duration::from_mins(1);
const SECOND: Duration = Duration::from_secs(1);
const MILLISECOND: Duration = Duration::from_millis(1);

section! {
    /// Memory: what must be there for a start, and the most that an agent may have.
    StartMemory {
        /// Whether a start waits for memory at all.
        enabled: bool = true, switch;
        /// The least available memory for a start; `None`: any.
        min_available: Option<Amount> = Some(Amount::Percent(3.0)), optional_amount;
        /// The least free swap for a start; `None`: any.
        min_swap_free: Option<Amount> = None, optional_amount;
        /// The highest memory pressure for a start, as the share of time in which some process waited for memory; `None`:
        /// any.
        max_pressure: Option<f64> = Some(60.0), optional_percent;
        /// Starts that wait for longer than this are a problem.
        report_after: Duration = 5 * MINUTE, interval;
        /// The most memory of an agent that the supervisor starts itself.
        max: MemoryMax = MemoryMax::default(), memory_max;
    }
}

settings_table! {
    /// The generation of Gas Town.
    gas_town: GasTown {
        /// The dialect; `None` (`"auto"`) leaves it to the town's files and the version of `gt`.
        dialect: Option<Dialect> = None, dialect;
    }

    /// The regular round that does not depend on events.
    heartbeat: Heartbeat {
        /// From the start of one heartbeat to the start of the next.
        interval: Duration = 3 * MINUTE, interval;
        /// A part that has not answered within this is reported as late.
        deadline: Duration = 60 * SECOND, interval;
    }

    /// How the tmux server is found and watched.
    tmux: Tmux {
        /// `-L`; beats `GT_TMUX_SOCKET`.
        socket_name: Option<String> = None, socket_name;
        /// `-S`; beats the name.
        socket_path: Option<PathBuf> = None, absolute_path;
        /// Time between two full scans when nothing happens.
        sweep: Duration = 60 * SECOND, interval;
        /// How sessions are named.
        naming: Naming = Naming::Rig, naming;
    }

    /// The names or paths of the programs to run.
    commands: CommandSettings {
        /// The bead tracker `bd`.
        bd: String = "bd".into(), text;
        /// Gas Town's command `gt`.
        gt: String = "gt".into(), text;
        /// `git`, for worktrees.
        git: String = "git".into(), text;
        /// The tmux client.
        tmux: String = "tmux".into(), text;
        /// The limit of each command, `git fetch` and `pull` excepted.
        timeout: Duration = 30 * SECOND, interval;
    }

    /// Starting an agent.
    start: Start with memory: StartMemory {
        /// The maximum number of starts at once, each from its first probe until the agent's process appears.
        max_concurrent: usize = 4, whole(1, 10_000);
        /// How long to wait for an agent's process, and then for its readiness.
        timeout: Duration = 60 * SECOND, interval;
        /// How long an agent must have been ready, without asking anything, before it gets its first instruction.
        settle: Duration = 2 * SECOND, pause;
        /// How long to wait until a key pressed at a question shows.
        dialog_wait: Duration = 5 * SECOND, pause;
        /// Whether `gt` starts the agents, in a town of Gas Town 1.x.
        by_gt: bool = true, switch;
    }

    /// Whether an agent that the supervisor starts itself continues its last conversation, by role; `None` is the role's default.
    resume: Resuming {
        /// The mayor.
        mayor: Option<Resume> = None, resume;
        /// The deacon.
        deacon: Option<Resume> = None, resume;
        /// Boot.
        boot: Option<Resume> = None, resume;
        /// Witnesses.
        witness: Option<Resume> = None, resume;
        /// Refineries.
        refinery: Option<Resume> = None, resume;
        /// Polecats.
        polecat: Option<Resume> = None, resume;
        /// Crew members.
        crew: Option<Resume> = None, resume;
    }

    /// Typing into a session.
    nudge: Nudge {
        /// Between pasting and the next key.
        paste_settle: Duration = 500 * MILLISECOND, pause;
        /// Between Escape, where the screen shows vim's insert mode, and Enter.
        escape_settle: Duration = 100 * MILLISECOND, pause;
    }

    /// Ending an agent.
    kill: Kill {
        /// Between TERM and KILL.
        grace: Duration = 2 * SECOND, pause;
    }

    /// The deacon's progress ladder.
    deacon: Deacon where stuck_after >= stale_after {
        /// A heartbeat older than this is answered with a nudge.
        stale_after: Duration = 15 * MINUTE, interval;
        /// A heartbeat older than this is answered with a restart.
        stuck_after: Duration = 30 * MINUTE, interval;
        /// For this long after a start, a pause or a sleep, an old heartbeat is ignored.
        grace: Duration = 5 * MINUTE, pause;
        /// The least time between two nudges.
        nudge_every: Duration = 5 * MINUTE, interval;
    }

    /// The mayor.
    mayor: Mayor {
        /// Whether it is kept running, and not only started on request; by default in a town of Gas Town 1.x.
        keep: bool = false, switch;
    }

    /// The boot agent.
    boot: Boot {
        /// Whether boot is spawned at all.
        enabled: bool = true, switch;
        /// The least time between two spawns.
        cooldown: Duration = 2 * MINUTE, pause;
        /// A boot session older than this is replaced.
        max_age: Duration = 10 * MINUTE, interval;
        /// No boot while the deacon's heartbeat is younger than this.
        skip_when_fresher_than: Duration = 5 * MINUTE, pause;
    }

    /// Polecats.
    polecats: Polecats {
        /// A polecat found dead is confirmed dead after this.
        confirm: Duration = 5 * SECOND, pause;
        /// A polecat that is being spawned is left alone for this long.
        spawning_guard: Duration = 5 * MINUTE, pause;
        /// A hook without progress for this long is a GUPP violation.
        gupp_after: Duration = 30 * MINUTE, interval;
        /// Whether idle polecats are ended; true in a town of Gas Town 1.x.
        reap_idle: bool = false, switch;
        /// A polecat without work that has been idle for this long is ended.
        reap_idle_after: Duration = 15 * MINUTE, interval;
    }

    /// Pending spawns.
    spawns: Spawns {
        /// How long to wait for the readiness of a freshly spawned polecat.
        ready_within: Duration = 2 * SECOND, interval;
        /// A spawn message older than this is archived.
        prune_after: Duration = 5 * MINUTE, interval;
    }

    /// Lifecycle requests.
    lifecycle: LifecycleRequests {
        /// A request older than this is deleted, not executed.
        max_age: Duration = 6 * HOUR, interval;
        /// Between the kill and the start of a cycle.
        pause: Duration = 500 * MILLISECOND, pause;
    }

    /// The death window.
    deaths: Deaths {
        /// Deaths within this belong together.
        window: Duration = 30 * SECOND, interval;
        /// This many different sessions make a mass death.
        threshold: u32 = 3, count;
        /// How long a mass death is awaited to be complete before its first alert.
        settle: Duration = 2 * SECOND, pause;
        /// Between two restarts after a mass death.
        paced_restart: Duration = 2 * SECOND, pause;
    }

    /// The restart policy.
    restart: Restart where max_backoff >= initial_backoff {
        /// An agent found dead is confirmed dead after this.
        confirm: Duration = 1 * SECOND, pause;
        /// How long an agent stopped by hand is left alone.
        deliberate_hold: Duration = 10 * MINUTE, pause;
        /// The delay before the second restart.
        initial_backoff: Duration = 30 * SECOND, interval;
        /// The factor by which each further delay grows.
        multiplier: f64 = 2.0, factor;
        /// The longest delay.
        max_backoff: Duration = 10 * MINUTE, interval;
        /// This many restarts within the window make a crash loop.
        crash_loop_count: u32 = 5, count;
        /// The crash loop's window.
        crash_loop_window: Duration = 15 * MINUTE, interval;
        /// An agent that was alive for this long starts with a clean history.
        stable_after: Duration = 30 * MINUTE, interval;
        /// A crash loop is tried again after this.
        retry_crash_loop_after: Duration = 30 * MINUTE, interval;
    }

    /// The feed curator.
    feed: Feed {
        /// Whether the feed is curated.
        enabled: bool = true, switch;
        /// A second `done` within this is dropped.
        done_window: Duration = 10 * SECOND, pause;
        /// Slings within this are reported together.
        sling_window: Duration = 30 * SECOND, pause;
        /// How many slings are reported together, at least.
        sling_count: u32 = 3, count;
        /// The size at which the feed is cut.
        max_bytes: u64 = 10 * 1024 * 1024, whole(1, u64::MAX);
    }

    /// Convoys, which are checked when all their beads are closed.
    convoy: Convoy where retry_max >= retry_after {
        /// Whether convoys are watched.
        enabled: bool = true, switch;
        /// Without effect: `bd activity` is no longer followed.
        retry_after: Duration = 5 * SECOND, interval;
        /// Without effect, as `retry_after`.
        retry_max: Duration = 60 * SECOND, interval;
        /// The interval of the check that needs no hint.
        check_every: Duration = 5 * MINUTE, interval;
        /// Whether the next step of a convoy is slung (Gas Town 1.x).
        feed: bool = true, switch;
        /// How often stranded convoys are searched for (Gas Town 1.x).
        feed_every: Duration = 30 * SECOND, interval;
    }

    /// The Dolt server of a town of Gas Town 1.x.
    dolt: DoltSettings {
        /// How often it is asked for a sign of life.
        check_every: Duration = 5 * SECOND, interval;
        /// Whether it is started again when it is down; the default is `patrols.dolt_server.enabled` in `mayor/daemon.json`.
        restart: bool = false, switch;
    }

    /// The questions that agents' programs ask at their start.
    dialogs: Dialogs {
        /// The kinds that are answered, always in the safe way; all others are left to people. `None`: what `questions` says, and
        /// the warning of the mode without permissions where the start command asks for that mode.
        answer: Option<BTreeSet<Dialog>> = None, dialogs;
    }

    /// The older spelling of `dialogs.answer`: each key adds a kind, or takes it away.
    questions: Questions {
        /// Claude's warning of its mode without permissions.
        bypass_permissions: Option<bool> = None, optional_switch;
        /// A newer version of the program.
        update: Option<bool> = None, optional_switch;
        /// The directory that the agent was started in.
        trust_folder: Option<bool> = None, optional_switch;
    }

    /// What is kept of what happened to agents.
    history: HistorySettings {
        /// Whether the last screen of an agent that died is kept on disk and mailed, with secrets masked.
        last_screen: bool = true, switch;
    }

    /// What agents are doing.
    activity: ActivitySettings {
        /// An agent that should work, and neither writes nor uses CPU time for this long, may be hung; it is reported.
        hung_after: Duration = 20 * MINUTE, interval;
    }

    /// Agents whose plan is used up.
    usage_limit: UsageLimit {
        /// What the last screen of such an agent shows.
        patterns: UsageLimits = UsageLimits::default(), usage_limits;
        /// When such an agent is tried again, if its program does not say when the limit ends.
        retry_every: Duration = 15 * MINUTE, interval;
        /// How long after the end of a limit the first agent is woken.
        margin: Duration = 10 * SECOND, pause;
        /// Whether living agents are prompted to continue. Those that ended are started in any case.
        wake: bool = true, switch;
        /// From one agent to the next; five take a little longer than 10 s.
        wake_every: Duration = 2100 * MILLISECOND, interval;
        /// Roles whose living agents are not prompted.
        wake_except: BTreeSet<Role> = [Role::Crew].into(), roles;
        /// The prompt that a living agent gets.
        continue_text: String = "continue".into(), text;
        /// The local time in which nobody is woken.
        quiet: Option<Quiet> = None, quiet;
    }

    /// Where alerts go.
    notify: Notify {
        /// The command that gets events as JSON on standard input.
        command: Option<String> = None, optional_text;
        /// The URL that alerts are posted to.
        webhook: Option<SecretUrl> = None, optional_url;
        /// What that URL expects; `None`: what its host expects.
        webhook_shape: Option<WebhookShape> = None, webhook_shape;
        /// The URL of an ntfy topic.
        ntfy: Option<SecretUrl> = None, optional_url;
        /// Whether alerts are shown on the desktop, by `notify-send`.
        desktop: bool = false, switch;
        /// The URL that is requested each minute while all actors answer.
        heartbeat_url: Option<SecretUrl> = None, optional_url;
        /// The time limit of the command and of each request.
        timeout: Duration = 10 * SECOND, interval;
    }

    /// The endpoint on the network, beside the socket: a page and read-only answers.
    http: Http {
        /// Address and port to listen on; `None`: nothing listens.
        listen: Option<SocketAddr> = None, listen;
        /// The file with the token that every request must show; `None`: none is asked for, on a loopback address only.
        token_file: Option<PathBuf> = None, absolute_path;
        /// Other names by which requests may reach it, each with or without a port.
        hosts: BTreeSet<String> = BTreeSet::new(), hosts;
    }

    /// The log.
    log: Log {
        /// `error`, `warn`, `info` or `debug`.
        level: LogLevel = LogLevel::Info, level;
        /// The log is rotated before it would grow past this size.
        max_bytes: u64 = 10 * 1024 * 1024, whole(1, u64::MAX);
        /// How many rotated logs are kept.
        keep: u32 = 5, whole(0, 1000);
    }
}

impl Http {
    /// Why nothing may listen there, although each value by itself is right.
    pub fn refusal(&self) -> Option<String> {
        let listen = self.listen.filter(|listen| self.token_file.is_none() && !listen.ip().is_loopback())?;
        Some(format!(
            "{listen} is no loopback address, and others could read everything: set http.token_file; nothing listens until then"
        ))
    }
}

impl Settings {
    /// The defaults in a town of this dialect.
    pub fn of(dialect: Dialect) -> Self {
        let mut settings = Settings::default();
        let facts = dialect.facts();
        settings.tmux.naming = facts.naming;
        [settings.deacon.stale_after, settings.deacon.stuck_after] = facts.deacon_stale;
        settings.mayor.keep = facts.keeps_mayor;
        settings.polecats.reap_idle = facts.reaps_idle_polecats;
        settings
    }

    /// The kinds of questions that are answered. `skips_permissions`: whether the agent's start command asks for the mode
    /// without permissions.
    pub fn answered(&self, skips_permissions: bool) -> BTreeSet<Dialog> {
        let said = |dialog: &Dialog| match &self.dialogs.answer {
            Some(kinds) => kinds.contains(dialog),
            None => {
                let by_default = match dialog {
                    Dialog::BypassPermissions => skips_permissions,
                    // It costs nothing, and an agent at that menu could not be woken.
                    Dialog::UsageLimit => true,
                    _ => false,
                };
                self.questions.says(*dialog).unwrap_or(by_default)
            }
        };
        Dialog::ALL.into_iter().filter(said).collect()
    }
}

impl Questions {
    /// What its key for this kind says, if it has one and that is given.
    pub fn says(&self, dialog: Dialog) -> Option<bool> {
        match dialog {
            Dialog::BypassPermissions => self.bypass_permissions,
            Dialog::Update => self.update,
            Dialog::TrustFolder => self.trust_folder,
            _ => None,
        }
    }
}

impl Resuming {
    /// What was set for a role; `None` where nothing was.
    pub fn set_for(&self, role: Role) -> Option<Resume> {
        match role {
            Role::Mayor => self.mayor,
            Role::Deacon => self.deacon,
            Role::Boot => self.boot,
            Role::Witness => self.witness,
            Role::Refinery => self.refinery,
            Role::Polecat => self.polecat,
            Role::Crew => self.crew,
            // Its file says it of each agent.
            Role::Agent => None,
        }
    }

    /// What holds for a role: those whom people talk to continue by default, those with a patrol or a piece of work begin anew,
    /// as Gas Town has them do.
    pub fn of(&self, role: Role) -> Resume {
        let by_default = if role.facts().keeps_conversation { Resume::Same } else { Resume::Fresh };
        self.set_for(role).unwrap_or(by_default)
    }
}

/// `resume.<role>`: with which conversation an agent is started again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resume {
    /// With its last one.
    Same,
    /// With a new one.
    Fresh,
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

/// `log.level`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[allow(missing_docs, reason = "the names say it")]
pub enum LogLevel {
    Error,
    Warn,
    #[default]
    Info,
    Debug,
}

/// The socket name in the value of `GT_TMUX_SOCKET`. `None` for an empty value, `auto` and `default`: as in `gt`,
/// they leave the choice to the program that reads the variable.
pub fn socket_of_variable(value: Option<&str>) -> Option<&str> {
    value.map(str::trim).filter(|name| !matches!(*name, "" | "auto" | "default"))
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
    /// `disabled_patrols` of `settings/config.json` (1.x): these are off, whatever `mayor/daemon.json` says.
    pub disabled: BTreeSet<String>,
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

impl Default for Patrol {
    fn default() -> Self {
        Patrol { enabled: true, rigs: None }
    }
}
