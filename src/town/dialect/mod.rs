//! The dialect: which generation of Gas Town a town belongs to, and all that differs between them.
//!
//! *January* is Gas Town 0.2.6 to 0.3, *1.x* is gt 1.0 and later with bd 1.x and Dolt. What depends on the generation
//! asks [`Dialect::facts`], or is in this folder. The dialect is [recognised](recognise) once, when the supervisor starts: it stays
//! for the life of the process. This module must not read the disk.

pub mod dolt;
pub mod heartbeat_file;
pub mod prompt;
pub mod recognise;
pub mod roles;
pub mod scheduler;
pub mod socket;

use std::{fmt, time::Duration};

use serde::{Deserialize, Serialize};

use super::{identity::Role, settings::Naming};

/// The generation of Gas Town that a town belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub enum Dialect {
    /// Gas Town 0.2.6 to 0.3 with bd 0.47 to 0.50.
    #[default]
    #[serde(rename = "january")]
    January,
    /// Gas Town 1.x with bd 1.x and Dolt.
    #[serde(rename = "1.x")]
    V1,
    /// No Gas Town: a town that is one file, `agents.toml`.
    #[serde(rename = "own")]
    Own,
}

/// What differs between the dialects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Facts {
    /// As the settings spell it.
    pub name: &'static str,
    /// Whether it is a Gas Town: whether there is a `gt` whose files, commands and agents count.
    pub has_gt: bool,
    /// How sessions are named.
    pub naming: Naming,
    /// Whether the town has a tmux server of its own, whose name [`socket`] derives from the town's path.
    pub has_own_server: bool,
    /// Whether `gt` starts the agents, as what an agent needs to start changes with each release of it.
    pub gt_starts_agents: bool,
    /// Whether the agent beads of all rigs are in the town's database; else each is in its rig's.
    pub agent_beads_in_town: bool,
    /// Whether the id of an agent's bead may repeat a prefix that is the rig's name (`ff-ff-witness`): Gas Town 0.2.6 to 0.3 does
    /// so, 1.x does not.
    pub agent_beads_repeat_rig: bool,
    /// Maximum number of beads that one run of `bd` is asked for. In 1.x the agent beads of all rigs are in one database, of
    /// which one run after the other reads.
    pub beads_per_run: usize,
    /// Whether `bd` may be one with a daemon (up to 0.49), which keeps its beads in SQLite files that can be read without it.
    pub bd_has_daemon: bool,
    /// Whether `bd` finds a bead from the town by the routes; else it runs in the directory of the database that holds the
    /// bead, as `bd list` never follows them, and `bd show` did not from 0.63 to 1.0.2.
    pub bd_follows_routes: bool,
    /// Whether `bd sync` exists, and belongs to bringing a worktree up to date.
    pub bd_has_sync: bool,
    /// Whether the work bead alone says who works on it, by its status and assignee, as agent beads are rarely updated; else
    /// the agent bead says what is on the hook, in which state its agent is, and when it last made progress.
    pub work_bead_decides: bool,
    /// Whether a rig's agents are started only once the label of its bead was read: nothing else tells that it is docked.
    pub label_must_be_read: bool,
    /// Whether roles are configured in TOML files; else in role beads.
    pub roles_in_files: bool,
    /// Whether files that git does not track are changes of a worktree; where Gas Town itself leaves some, they are not.
    pub untracked_files_count: bool,
    /// Whether the session names of a rig's agents begin with the prefix in `mayor/rigs.json`, whatever the routes say.
    pub session_prefix_of_rigs: bool,
    /// Whether Gas Town keeps a copy of `mayor/rigs.json` as `rigs.json` in the town's root, for when that is missing.
    pub has_rigs_copy: bool,
    /// Whether `settings/config.json` has switches and durations of the daemon.
    pub has_daemon_keys_in_town_settings: bool,
    /// Whether a `gt down` at work also notes its PID in `daemon/shutting-down`.
    pub has_shutting_down_file: bool,
    /// Whether each line of the event log wakes the agents that wait, and costs a turn of each.
    pub events_wake_agents: bool,
    /// Whether Gas Town keeps a `<rig>/.runtime/<role>.json` for witness and refinery.
    pub has_state_files: bool,
    /// Whether the environment of a session names the agent's pane (`GT_PANE_ID`), the only one in which `gt` looks for it.
    pub names_agent_pane: bool,
    /// The roles whose sessions have a `pane-died` hook that starts the agent again in the same pane when its process ended,
    /// and the time within which it does so: 3 s of waiting, and what tmux needs.
    pub respawned: (&'static [Role], Duration),
    /// The roles whose agents have a [heartbeat file](heartbeat_file).
    pub with_heartbeat_file: &'static [Role],
    /// Whether other programs type into sessions, too: whoever does holds the session's lock meanwhile, and presses Enter
    /// again where it was not taken (`gt nudge`, `gt nudge-poller`).
    pub shares_typing: bool,
    /// Whether a daemon keeps the mayor running.
    pub keeps_mayor: bool,
    /// Whether a refinery that does not run is started only when an event waits for it (`events/refinery/*.event`).
    pub starts_on_events: bool,
    /// Whether Gas Town knows the agent programs that came after January, and the keys by which settings files describe them.
    pub has_newer_presets: bool,
    /// Whether an agent gets its first instruction as an argument of its program, where that takes one, and `gt` finds it by the
    /// pane named in its session's environment; else all is typed, and `gt` finds it by its session.
    pub prompt_is_argument: bool,
    /// The age of the deacon's heartbeat that is answered with a nudge, and the one that is answered with a restart.
    pub deacon_stale: [Duration; 2],
    /// Whether the deacon is nudged only while some bead is in progress.
    pub deacon_waits_without_work: bool,
    /// Whether the beads are in a Dolt server, which must be known to whatever runs `gt` or `bd`.
    pub has_dolt: bool,
    /// Whether the daemon slings the next step of a convoy and runs the scheduler, which nothing else does.
    pub feeds_convoys: bool,
    /// Whether polecats that have been idle for long are ended.
    pub reaps_idle_polecats: bool,
}

const JANUARY: Facts = Facts {
    name: "january",
    has_gt: true,
    naming: Naming::Rig,
    has_own_server: false,
    gt_starts_agents: false,
    agent_beads_in_town: false,
    agent_beads_repeat_rig: true,
    beads_per_run: 100,
    bd_has_daemon: true,
    bd_follows_routes: true,
    bd_has_sync: true,
    work_bead_decides: false,
    label_must_be_read: false,
    roles_in_files: false,
    untracked_files_count: true,
    session_prefix_of_rigs: false,
    has_rigs_copy: false,
    has_daemon_keys_in_town_settings: false,
    has_shutting_down_file: false,
    events_wake_agents: false,
    has_state_files: true,
    names_agent_pane: false,
    respawned: (&[], Duration::ZERO),
    with_heartbeat_file: &[],
    shares_typing: false,
    keeps_mayor: false,
    starts_on_events: false,
    has_newer_presets: false,
    prompt_is_argument: false,
    deacon_stale: [Duration::from_mins(15), Duration::from_mins(30)],
    deacon_waits_without_work: false,
    has_dolt: false,
    feeds_convoys: false,
    reaps_idle_polecats: false,
};

const V1: Facts = Facts {
    name: "1.x",
    has_gt: true,
    naming: Naming::Prefix,
    has_own_server: true,
    gt_starts_agents: true,
    agent_beads_in_town: true,
    agent_beads_repeat_rig: false,
    beads_per_run: 400,
    bd_has_daemon: false,
    bd_follows_routes: false,
    bd_has_sync: false,
    work_bead_decides: true,
    label_must_be_read: true,
    roles_in_files: true,
    untracked_files_count: false,
    session_prefix_of_rigs: true,
    has_rigs_copy: true,
    has_daemon_keys_in_town_settings: true,
    has_shutting_down_file: true,
    events_wake_agents: true,
    has_state_files: false,
    names_agent_pane: true,
    respawned: (&[Role::Deacon, Role::Mayor], Duration::from_secs(4)),
    with_heartbeat_file: &[Role::Polecat, Role::Crew],
    shares_typing: true,
    keeps_mayor: true,
    starts_on_events: true,
    has_newer_presets: true,
    prompt_is_argument: true,
    deacon_stale: [Duration::from_mins(5), Duration::from_mins(20)],
    deacon_waits_without_work: true,
    has_dolt: true,
    feeds_convoys: true,
    reaps_idle_polecats: true,
};

/// A town of one file has nothing that is Gas Town's.
const OWN: Facts = Facts {
    name: "own",
    has_gt: false,
    naming: Naming::Prefix,
    has_own_server: true,
    gt_starts_agents: false,
    beads_per_run: 1,
    bd_has_daemon: false,
    bd_follows_routes: false,
    bd_has_sync: false,
    agent_beads_repeat_rig: false,
    has_state_files: false,
    has_newer_presets: true,
    ..JANUARY
};

impl Dialect {
    /// Those of Gas Town.
    pub const ALL: [Dialect; 2] = [Dialect::January, Dialect::V1];

    /// What differs.
    pub fn facts(self) -> &'static Facts {
        match self {
            Dialect::January => &JANUARY,
            Dialect::V1 => &V1,
            Dialect::Own => &OWN,
        }
    }

    /// The time within which Gas Town starts an agent of this role again by itself, after its process ended in a pane that
    /// stays; `None` when it does not.
    pub fn respawned_within(self, role: Role) -> Option<Duration> {
        let (roles, within) = self.facts().respawned;
        roles.contains(&role).then_some(within)
    }

    /// Whether it is a Gas Town.
    pub fn is_gas_town(self) -> bool {
        self.facts().has_gt
    }

    /// Whether it is 1.x.
    pub fn is_v1(self) -> bool {
        self == Dialect::V1
    }
}

impl fmt::Display for Dialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Dialect::January => "Gas Town 0.3",
            Dialect::V1 => "Gas Town 1.x",
            Dialect::Own => "A town of one file",
        })
    }
}
