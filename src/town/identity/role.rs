//! Roles: the facts about each, in one list. Other modules read a fact here instead of matching on the role.
//!
//! Facts from Gas Town 0.2.6 to 0.3 (`internal/session`, `internal/config/env.go`, `internal/tmux/theme.go`, `internal/daemon`).
//! In a pattern `{rig}` and `{name}` stand for the agent's own, and `{prefix}` for its rig's bead prefix without the trailing
//! `-`. What is otherwise in 1.x is in [`dialect::roles`](crate::town::dialect::roles), through which directories, variables and
//! settings are read. What a role *does* is in its hooks (`src/roles/`). This module must not read the disk.

use serde::{Deserialize, Serialize};

use super::{AgentName, Identity, RigName};
use crate::town::settings::{Naming, Patrol, Patrols, Settings};

/// How many agents of a role there are, and how one of them is identified.
#[derive(Debug, Clone, Copy)]
pub enum Scope {
    /// One in the town.
    Town(fn() -> Identity),
    /// One in each rig.
    Rig(fn(RigName) -> Identity),
    /// Any number in each rig, each with a name of its own: a directory in the rig.
    Member(fn(RigName, AgentName) -> Identity),
    /// Any number in the town, each with the name that it has in `agents.toml`.
    Own(fn(AgentName) -> Identity),
}

/// When an agent is to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// Always.
    Always,
    /// While there is work on its hook.
    WithWork,
    /// When its role's hooks say so. It ends by itself, and is not restarted.
    Oneshot,
    /// Once somebody asks for it; only then it gets an actor.
    OnRequest,
}

impl Wanted {
    /// Whether the supervisor keeps it running by itself.
    pub fn is_kept(self) -> bool {
        matches!(self, Wanted::Always | Wanted::WithWork)
    }
}

/// What is known of a role.
#[derive(Debug, Clone, Copy)]
pub struct Facts {
    /// As `GT_ROLE`, settings and role beads spell it.
    pub name: &'static str,
    /// What else `gt` calls it on its command line.
    pub aliases: &'static [&'static str],
    /// How many there are.
    pub scope: Scope,
    /// When one is to run.
    pub wanted: Wanted,
    /// The order of starts: a lower number goes first.
    pub priority: u8,
    /// Pattern of its identity, the `BD_ACTOR` form.
    pub identity: &'static str,
    /// Patterns of its session's name, by rig and by prefix.
    pub session: [&'static str; 2],
    /// Pattern of its agent bead's id, if it has one.
    pub bead: Option<&'static str>,
    /// Pattern of its mail address, if it has one.
    pub address: Option<&'static str>,
    /// Patterns of the directories, in the town, in which only this agent works: the first that exists is used.
    pub own_directories: &'static [&'static str],
    /// Where it works when none of those exists: directories in which others work too.
    pub shared_directories: &'static [&'static str],
    /// Whether its directory is created when it is missing. All others are worktrees or rigs, which only `gt` can make.
    pub creates_directory: bool,
    /// Whether its directory is a git worktree, brought up to date before a restart unless a role bead says otherwise.
    pub is_worktree: bool,
    /// The patrol in `mayor/daemon.json` whose switch governs it.
    pub patrol: Option<(&'static str, fn(&Patrols) -> &Patrol)>,
    /// Whether the deacon's pause file holds it.
    pub is_pausable: bool,
    /// Whether Gas Town keeps a `<rig>/.runtime/<role>.json` for it.
    pub has_state_file: bool,
    /// Variables of its session, beside those of every agent: names and patterns.
    pub variables: &'static [(&'static str, &'static str)],
    /// Pattern of the Claude Code settings through which it calls `gt`; `None` where those settings are not the supervisor's to write.
    pub hook_settings: Option<&'static str>,
    /// What its program gets as its last argument, in place of an initial prompt.
    pub argument: Option<&'static str>,
    /// The sender of the message that starts its patrol.
    pub sender: &'static str,
    /// The text typed at its start, which gives it its first task.
    pub propulsion: Option<&'static str>,
    /// What is typed in place of its start hook where its program has no hooks.
    pub instead_of_hooks: &'static str,
    /// Pattern of what its status line begins with.
    pub status: Option<&'static str>,
    /// Background and foreground of its status line; `None` for its rig's.
    pub colours: Option<(&'static str, &'static str)>,
    /// The `gt` commands that may end it on their way, although they do not name it, and start it again.
    pub restarted_by: &'static [&'static str],
    /// Pattern of the words after `gt` that start it (gt 1.0, `internal/cmd`); they return when it is up.
    pub gt_start: &'static str,
    /// Pattern of the words after `gt` that end it and start it again, for people; empty for one that ends by itself.
    pub gt_restart: &'static str,
    /// Whether it continues its conversation when it is started again, unless the settings say otherwise.
    pub keeps_conversation: bool,
    /// The switch in the settings with which it always runs.
    pub kept_by: Option<fn(&Settings) -> bool>,
    /// The channel of events without which it is not started, in a town where that counts: `events/<channel>`.
    pub started_on: Option<&'static str>,
}

/// The defaults, where a role says nothing else.
const USUAL: Facts = Facts {
    name: "",
    aliases: &[],
    scope: Scope::Town(|| Identity::Mayor),
    wanted: Wanted::OnRequest,
    priority: 0,
    identity: "",
    session: [""; 2],
    bead: None,
    address: None,
    own_directories: &[],
    shared_directories: &[],
    creates_directory: false,
    is_worktree: false,
    patrol: None,
    is_pausable: false,
    has_state_file: false,
    variables: &[],
    hook_settings: None,
    argument: None,
    sender: "daemon",
    propulsion: None,
    instead_of_hooks: "gt prime && gt mail check --inject && gt nudge deacon session-started",
    status: None,
    colours: None,
    restarted_by: &["up", "start", "boot"],
    gt_start: "",
    gt_restart: "",
    keeps_conversation: false,
    kept_by: None,
    started_on: None,
};

macro_rules! roles {
    ($($(#[$doc:meta])* $role:ident { $($facts:tt)* })*) => {
        /// What an agent is for.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum Role { $($(#[$doc])* $role,)* }

        impl Role {
            /// All there are.
            pub const ALL: &'static [Role] = &[$(Role::$role),*];

            /// What is known of it.
            pub fn facts(self) -> &'static Facts {
                match self { $(Role::$role => const { &Facts { $($facts)* ..USUAL } },)* }
            }
        }
    };
}

roles! {
    /// The town's coordinator.
    Mayor {
        name: "mayor", aliases: &["may"], scope: Scope::Town(|| Identity::Mayor), wanted: Wanted::OnRequest,
        identity: "mayor", session: ["hq-mayor"; 2], bead: Some("hq-mayor"), address: Some("mayor/"),
        shared_directories: &[""],
        propulsion: Some("Run `gt prime` to check mail and begin coordination."),
        instead_of_hooks: "gt prime && gt nudge deacon session-started",
        status: Some("🎩 Mayor"), colours: Some(("#3d3200", "#ffd700")),
        gt_start: "mayor start", gt_restart: "mayor restart", keeps_conversation: true,
        kept_by: Some(|settings| settings.mayor.keep),
    }
    /// The town's patroller, whose heartbeat file shows progress.
    Deacon {
        name: "deacon", aliases: &["dea"], scope: Scope::Town(|| Identity::Deacon), wanted: Wanted::Always,
        identity: "deacon", session: ["hq-deacon"; 2], bead: Some("hq-deacon"), address: Some("deacon/"),
        own_directories: &["deacon"], creates_directory: true, hook_settings: Some("deacon/.claude/settings.json"),
        patrol: Some(("deacon", |patrols| &patrols.deacon)), is_pausable: true,
        propulsion: Some("Run `gt prime` to check patrol status and begin heartbeat cycle."),
        status: Some("🐺 Deacon"), colours: Some(("#2d1f3d", "#c0b0d0")),
        gt_start: "deacon start", gt_restart: "deacon restart",
    }
    /// The short-lived agent that checks the deacon, under the deacon's patrol. It has no status line.
    Boot {
        name: "boot", scope: Scope::Town(|| Identity::Boot), wanted: Wanted::Oneshot,
        identity: "deacon-boot", session: ["gt-boot", "hq-boot"],
        own_directories: &["deacon/dogs/boot"], creates_directory: true,
        patrol: Some(("deacon", |patrols| &patrols.deacon)), is_pausable: true,
        argument: Some("gt boot triage"), restarted_by: &["start", "boot"], gt_start: "boot spawn",
    }
    /// Watches a rig's polecats.
    Witness {
        name: "witness", scope: Scope::Rig(Identity::Witness), wanted: Wanted::Always, priority: 1,
        identity: "{rig}/witness", session: ["gt-{rig}-witness", "{prefix}-witness"],
        bead: Some("{prefix}-{rig}-witness"), address: Some("{rig}/witness"),
        own_directories: &["{rig}/witness/rig", "{rig}/witness"], shared_directories: &["{rig}"],
        hook_settings: Some("{rig}/witness/.claude/settings.json"),
        patrol: Some(("witness", |patrols| &patrols.witness)), has_state_file: true,
        sender: "deacon", propulsion: Some("Run `gt prime` to check patrol status and begin work."),
        status: Some("🦉 {rig}/witness"), restarted_by: &["up", "start", "boot", "sling", "spawn"],
        gt_start: "witness start {rig}", gt_restart: "witness restart {rig}",
    }
    /// Works a rig's merge queue. Of its directories the second is the legacy one.
    Refinery {
        name: "refinery", aliases: &["ref"], scope: Scope::Rig(Identity::Refinery), wanted: Wanted::Always, priority: 2,
        identity: "{rig}/refinery", session: ["gt-{rig}-refinery", "{prefix}-refinery"],
        bead: Some("{prefix}-{rig}-refinery"), address: Some("{rig}/refinery"),
        own_directories: &["{rig}/refinery/rig"], shared_directories: &["{rig}/mayor/rig"], is_worktree: true,
        hook_settings: Some("{rig}/refinery/.claude/settings.json"),
        patrol: Some(("refinery", |patrols| &patrols.refinery)), has_state_file: true,
        variables: &[("GT_REFINERY", "1"), ("BEADS_NO_DAEMON", "1")],
        sender: "deacon", propulsion: Some("Run `gt prime` to check MQ status and begin patrol."),
        status: Some("🏭 {rig}/refinery"), gt_start: "refinery start {rig}", gt_restart: "refinery restart {rig}",
        started_on: Some("refinery"),
    }
    /// A rig's human-managed workspace.
    Crew {
        name: "crew", scope: Scope::Member(Identity::Crew), wanted: Wanted::OnRequest, priority: 3,
        identity: "{rig}/crew/{name}", session: ["gt-{rig}-crew-{name}", "{prefix}-crew-{name}"],
        bead: Some("{prefix}-{rig}-crew-{name}"), address: Some("{rig}/{name}"),
        shared_directories: &["{rig}/crew/{name}"], is_worktree: true,
        variables: &[("GT_CREW", "{name}"), ("BEADS_AGENT_NAME", "{rig}/{name}")],
        propulsion: Some("Run `gt hook` to check your hook and begin work."),
        instead_of_hooks: "gt prime && gt nudge deacon session-started",
        status: Some("👷 {rig}/crew/{name}"), restarted_by: &["start", "boot"], keeps_conversation: true,
        gt_start: "crew start {rig} {name}", gt_restart: "crew restart {name} --rig {rig}",
    }
    /// A rig's worker. Of its directories the second is the one from before 0.2.
    Polecat {
        name: "polecat", aliases: &["polecats"], scope: Scope::Member(Identity::Polecat), wanted: Wanted::WithWork, priority: 3,
        identity: "{rig}/polecats/{name}", session: ["gt-{rig}-{name}", "{prefix}-{name}"],
        bead: Some("{prefix}-{rig}-polecat-{name}"), address: Some("{rig}/{name}"),
        own_directories: &["{rig}/polecats/{name}/{rig}", "{rig}/polecats/{name}"], is_worktree: true,
        variables: &[("GT_POLECAT", "{name}"), ("BEADS_AGENT_NAME", "{rig}/{name}"), ("BEADS_NO_DAEMON", "1")],
        propulsion: Some("Run `gt hook` to check your hook and begin work."),
        status: Some("😺 {rig}/{name}"), restarted_by: &[], gt_start: "session restart {rig}/{name} --force",
        gt_restart: "session restart {rig}/{name} --force",
    }
    /// Any agent of a town that is one file, `agents.toml`: what else is known of it, the file says ([`standing`](crate::town::standing)).
    Agent {
        name: "agent", scope: Scope::Own(Identity::Own), wanted: Wanted::Always,
        identity: "@{name}", session: ["{name}"; 2],
        instead_of_hooks: "", restarted_by: &[], keeps_conversation: true,
    }
}

/// Fills a pattern; what an agent does not have is empty.
pub(super) fn fill(pattern: &str, rig: Option<&RigName>, name: Option<&AgentName>) -> String {
    let filled = pattern.replace("{rig}", rig.map_or("", |rig| rig.as_str()));
    filled.replace("{name}", name.map_or("", |name| name.as_str()))
}

impl Role {
    /// Those of Gas Town.
    pub fn of_gas_town() -> impl Iterator<Item = Role> + Clone {
        Role::ALL.iter().copied().filter(|role| !matches!(role.facts().scope, Scope::Own(_)))
    }

    /// As `GT_ROLE`, settings and role beads spell it.
    pub fn as_str(self) -> &'static str {
        self.facts().name
    }

    /// When its agent is to run, by these settings.
    pub fn wanted(self, settings: &Settings) -> Wanted {
        let facts = self.facts();
        if facts.kept_by.is_some_and(|is_kept| is_kept(settings)) { Wanted::Always } else { facts.wanted }
    }

    /// Whether the supervisor keeps such an agent running by itself in every town. The others are started only on request, by
    /// their role, or where a setting says so.
    pub fn is_kept(self) -> bool {
        self.facts().wanted.is_kept()
    }

    /// The tmux session of its agent under a naming scheme; without a name, what the sessions of all in the rig begin with.
    /// `prefix` is the rig's bead prefix without its trailing `-` (used by [`Naming::Prefix`] only). tmux turns `.` and `:`
    /// into `_`, so we do it first.
    pub fn session(
        self,
        naming: Naming,
        prefix: &str,
        rig: Option<&RigName>,
        name: Option<&AgentName>,
    ) -> String {
        let [by_rig, by_prefix] = self.facts().session;
        let pattern = match naming {
            Naming::Rig => by_rig,
            Naming::Prefix => by_prefix,
        };
        fill(pattern, rig, name).replace("{prefix}", prefix).replace(['.', ':'], "_")
    }

    /// The agent of this role in this rig, with this name; both are ignored where the role has none.
    pub fn agent(self, rig: Option<RigName>, name: Option<AgentName>) -> Option<Identity> {
        match self.facts().scope {
            Scope::Town(identity) => Some(identity()),
            Scope::Rig(identity) => rig.map(identity),
            Scope::Member(identity) => Some(identity(rig?, name?)),
            Scope::Own(identity) => name.map(identity),
        }
    }
}

impl std::fmt::Display for Role {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}
