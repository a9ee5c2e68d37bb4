//! Paths: where each file of a town is; only this module spells them.
//!
//! The layout is that of Gas Town 0.2.6 to 0.3; a town of one file has its files in `.supervisor/` beside that file, and none of
//! Gas Town's. Only checked names are used, so that no path leaves the town. It must not read the disk; when the rule is "the first
//! that exists", the candidates are returned in order.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

use crate::town::{
    dialect::{Dialect, roles},
    identity::{Identity, RigName, Role},
};

/// The name that a town of one file is searched for by.
pub const USUAL_FILE: &str = "agents.toml";

/// The paths of one town.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TownPaths {
    root: PathBuf,
    /// The name of the file that is the town, where it is one.
    file: Option<OsString>,
}

macro_rules! town_files {
    ($($(#[$doc:meta])* $name:ident = $path:literal;)*) => {
        $($(#[$doc])* pub fn $name(&self) -> PathBuf { self.root.join($path) })*
    };
}

/// Files that both kinds of town have: the path in a Gas Town, and in a town of one file.
macro_rules! files_of_both {
    ($($(#[$doc:meta])* $name:ident = $path:literal, $own:literal;)*) => {
        $($(#[$doc])* pub fn $name(&self) -> PathBuf {
            self.root.join(if self.file.is_none() { $path } else { $own })
        })*
    };
}

impl TownPaths {
    /// The paths of the Gas Town with this root (absolute).
    pub fn new(root: impl Into<PathBuf>) -> Self {
        TownPaths { root: root.into(), file: None }
    }

    /// The paths of the town that is this file (absolute); `None` where that is no path of a file.
    pub fn of_file(file: &Path) -> Option<Self> {
        let (root, name) = (file.parent()?, file.file_name()?);
        Some(TownPaths { root: root.to_owned(), file: Some(name.to_owned()) })
    }

    /// The file that is the town; `None` in a Gas Town.
    pub fn agents_file(&self) -> Option<PathBuf> {
        self.file.as_ref().map(|name| self.root.join(name))
    }

    /// The option of our command that names this town, and its value.
    pub fn named(&self) -> (&'static str, PathBuf) {
        match self.agents_file() {
            Some(file) => ("--file", file),
            None => ("--town", self.root.clone()),
        }
    }

    /// The file with our settings.
    pub fn settings_file(&self) -> PathBuf {
        self.agents_file().unwrap_or_else(|| self.supervisor_json())
    }

    /// The town's root.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// How the town is named in the environment of its agents: by its root, or by its file where that has another name than usual.
    pub fn mark(&self) -> PathBuf {
        let unusual = self.file.as_ref().filter(|name| **name != USUAL_FILE);
        unusual.map_or_else(|| self.root.clone(), |name| self.root.join(name))
    }

    /// The name of the file that the supervisor of a town of one file runs: more than one file of a directory may be a town, and they
    /// share all of this.
    pub fn running_file(&self) -> PathBuf {
        self.supervisor_dir().join("running_file")
    }

    /// A path for people: relative to the root if it is in the town.
    pub fn shown<'a>(&self, path: &'a Path) -> &'a Path {
        path.strip_prefix(&self.root).unwrap_or(path)
    }

    files_of_both! {
        /// The directory of the daemon's files.
        daemon_dir = "daemon", ".supervisor";
        /// The lock that alone decides which process is the daemon.
        daemon_lock = "daemon/daemon.lock", ".supervisor/lock";
        /// The PID file.
        pid_file = "daemon/daemon.pid", ".supervisor/pid";
        /// The state file that `gt daemon status` reads.
        state = "daemon/state.json", ".supervisor/state.json";
        /// The log.
        daemon_log = "daemon/daemon.log", ".supervisor/supervisor.log";
        /// The restart histories.
        restart_state = "daemon/restart_state.json", ".supervisor/restart_state.json";
        /// Our own state; mode 0700.
        supervisor_dir = "daemon/supervisor", ".supervisor";
        /// Copies of transcripts; mode 0700.
        transcript_copies = "daemon/supervisor/transcripts", ".supervisor/transcripts";
        /// Where the supervisor answers requests; mode 0600.
        socket = "daemon/supervisor.sock", ".supervisor/supervisor.sock";
        /// The raw event log.
        events = ".events.jsonl", ".supervisor/events.jsonl";
        /// Held by every process that writes to it.
        events_lock = ".events.jsonl.lock", ".supervisor/events.jsonl.lock";
    }

    town_files! {
        /// Held by `gt down` while it stops the town.
        shutdown_lock = "daemon/shutdown.lock";
        /// Where `gt down` 1.x notes its PID while it stops the town.
        shutting_down = "daemon/shutting-down";
        /// The file that makes a directory a town.
        town_json = "mayor/town.json";
        /// The list of rigs.
        rigs = "mayor/rigs.json";
        /// Gas Town 1.x's copy of the list of rigs.
        rigs_copy = "rigs.json";
        /// The patrol settings shared with `gt`; never written by us.
        daemon_json = "mayor/daemon.json";
        /// Our settings.
        supervisor_json = "settings/supervisor.json";
        /// The town's settings.
        town_settings = "settings/config.json";
        /// The town's own agent presets.
        agent_presets = "settings/agents.json";
        /// The directory of the rigs' operational states.
        wisp_dir = ".beads-wisp/config";
        /// Which bead prefix belongs to which rig.
        routes = ".beads/routes.jsonl";
        /// How the town's beads are stored.
        beads_metadata = ".beads/metadata.json";
        /// The databases of a town of Gas Town 1.x.
        dolt_data = ".dolt-data";
        /// The configuration of the server of these databases.
        dolt_config = ".dolt-data/config.yaml";
        /// The town's own bead database (SQLite, `bd` 0.47 to 0.49).
        beads_db = ".beads/beads.db";
        /// The deacon's heartbeat.
        deacon_heartbeat = "deacon/heartbeat.json";
        /// Says whether the deacon is paused.
        deacon_paused = ".runtime/deacon/paused.json";
        /// The process as which the mayor runs without a session (Gas Town 1.x).
        mayor_acp = "mayor/mayor-acp.pid";
        /// Boot's status.
        boot_status = "deacon/dogs/boot/.boot-status.json";
        /// The emergency stop of the whole town (Gas Town 1.0).
        estop = "ESTOP";
        /// The curated feed.
        feed = ".feed.jsonl";
    }

    /// A rig's directory.
    pub fn rig(&self, rig: &RigName) -> PathBuf {
        self.root.join(rig.as_str())
    }

    /// A rig's settings.
    pub fn rig_settings(&self, rig: &RigName) -> PathBuf {
        self.rig(rig).join("settings/config.json")
    }

    /// A rig's own agent presets.
    pub fn rig_agent_presets(&self, rig: &RigName) -> PathBuf {
        self.rig(rig).join("settings/agents.json")
    }

    /// How agents of a role are started (Gas Town 1.x): the town's file, or a rig's, which goes on top of it.
    pub fn role_file(&self, rig: Option<&RigName>, role: Role) -> PathBuf {
        let directory = rig.map_or_else(|| self.root.clone(), |rig| self.rig(rig));
        directory.join("roles").join(format!("{role}.toml"))
    }

    /// A rig's identity, with its default branch.
    pub fn rig_config(&self, rig: &RigName) -> PathBuf {
        self.rig(rig).join("config.json")
    }

    /// A rig's operational state.
    pub fn wisp(&self, rig: &RigName) -> PathBuf {
        self.wisp_dir().join(format!("{rig}.json"))
    }

    /// The emergency stop of one rig (Gas Town 1.0).
    pub fn estop_rig(&self, rig: &RigName) -> PathBuf {
        self.root.join(format!("ESTOP.{rig}"))
    }

    /// Where `gt` notes whether a rig's witness or refinery runs: `<rig>/.runtime/<role>.json`.
    pub fn agent_state(&self, rig: &RigName, role: Role) -> PathBuf {
        self.rig(rig).join(".runtime").join(format!("{role}.json"))
    }

    /// The directory of a channel of events, each a file `*.event` until it is taken (Gas Town 1.x).
    pub fn event_channel(&self, channel: &str) -> PathBuf {
        self.root.join("events").join(channel)
    }

    /// The directory of a rig's polecats.
    pub fn polecats(&self, rig: &RigName) -> PathBuf {
        self.rig(rig).join("polecats")
    }

    /// The directory of a rig's crew.
    pub fn crews(&self, rig: &RigName) -> PathBuf {
        self.rig(rig).join("crew")
    }

    /// The directories an agent may work in, never empty; the first that exists is taken.
    pub fn work_directories(&self, dialect: Dialect, identity: &Identity) -> Vec<PathBuf> {
        let shared = roles::of(dialect, identity.role()).shared_directories;
        [self.own_directories(dialect, identity), self.filled(identity, shared)].concat()
    }

    /// Those of them in which nobody else works.
    pub fn own_directories(&self, dialect: Dialect, identity: &Identity) -> Vec<PathBuf> {
        self.filled(identity, roles::of(dialect, identity.role()).own_directories)
    }

    fn filled(&self, identity: &Identity, patterns: &[&str]) -> Vec<PathBuf> {
        let in_town = |pattern: &&str| {
            let mut path = self.root.clone();
            path.extend(Path::new(&identity.fill(pattern)));
            path
        };
        patterns.iter().map(in_town).collect()
    }

    /// Where the agent of this session shows that it lives (Gas Town 1.x).
    pub fn heartbeat(&self, session: &str) -> PathBuf {
        self.root.join(".runtime/heartbeats").join(format!("{session}.json"))
    }

    /// The PID of the process that brings queued nudges to this session (Gas Town 1.x).
    pub fn nudge_poller(&self, session: &str) -> PathBuf {
        self.root.join(".runtime/nudge_poller").join(format!("{session}.pid"))
    }

    /// Held by every process that types into this session (Gas Town 1.x).
    pub fn nudge_lock(&self, session: &str) -> PathBuf {
        self.root.join(".runtime/nudge_queue").join(session).join(".lock")
    }

    /// Where an agent that works in `directory` notes its conversation id.
    pub fn session_id(directory: &Path) -> PathBuf {
        directory.join(".runtime/session_id")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::town::identity::AgentName;

    #[test]
    fn paths_are_where_gas_town_has_them() {
        let town = TownPaths::new("/t");
        let rig: RigName = "r-1".parse().unwrap();
        let name: AgentName = "Toast".parse().unwrap();
        let polecat = Identity::Polecat(rig.clone(), name.clone());
        for (path, expected) in [
            (town.daemon_lock(), "daemon/daemon.lock"),
            (town.pid_file(), "daemon/daemon.pid"),
            (town.state(), "daemon/state.json"),
            (town.daemon_log(), "daemon/daemon.log"),
            (town.restart_state(), "daemon/restart_state.json"),
            (town.supervisor_dir(), "daemon/supervisor"),
            (town.shutdown_lock(), "daemon/shutdown.lock"),
            (town.rigs(), "mayor/rigs.json"),
            (town.daemon_json(), "mayor/daemon.json"),
            (town.supervisor_json(), "settings/supervisor.json"),
            (town.town_settings(), "settings/config.json"),
            (town.agent_presets(), "settings/agents.json"),
            (town.rig_settings(&rig), "r-1/settings/config.json"),
            (town.rig_agent_presets(&rig), "r-1/settings/agents.json"),
            (town.rig_config(&rig), "r-1/config.json"),
            (town.wisp(&rig), ".beads-wisp/config/r-1.json"),
            (town.routes(), ".beads/routes.jsonl"),
            (town.beads_db(), ".beads/beads.db"),
            (town.beads_metadata(), ".beads/metadata.json"),
            (town.dolt_data(), ".dolt-data"),
            (town.deacon_heartbeat(), "deacon/heartbeat.json"),
            (town.deacon_paused(), ".runtime/deacon/paused.json"),
            (town.boot_status(), "deacon/dogs/boot/.boot-status.json"),
            (town.agent_state(&rig, Role::Witness), "r-1/.runtime/witness.json"),
            (town.agent_state(&rig, Role::Refinery), "r-1/.runtime/refinery.json"),
            (town.role_file(None, Role::Deacon), "roles/deacon.toml"),
            (town.role_file(Some(&rig), Role::Witness), "r-1/roles/witness.toml"),
            (town.estop_rig(&rig), "ESTOP.r-1"),
            (town.events(), ".events.jsonl"),
            (town.work_directories(Dialect::January, &Identity::Witness(rig.clone()))[2].clone(), "r-1"),
            (
                town.work_directories(Dialect::January, &Identity::Refinery(rig.clone()))[1].clone(),
                "r-1/mayor/rig",
            ),
            (town.work_directories(Dialect::January, &polecat)[0].clone(), "r-1/polecats/Toast/r-1"),
            (
                town.work_directories(Dialect::January, &Identity::Crew(rig.clone(), name))[0].clone(),
                "r-1/crew/Toast",
            ),
            (town.heartbeat("al-nux"), ".runtime/heartbeats/al-nux.json"),
            (town.nudge_lock("al-nux"), ".runtime/nudge_queue/al-nux/.lock"),
            (town.nudge_poller("al-witness"), ".runtime/nudge_poller/al-witness.pid"),
        ] {
            assert_eq!(path, Path::new("/t").join(expected));
            assert_eq!(town.shown(&path), Path::new(expected));
        }
        assert_eq!(town.shown(Path::new("/elsewhere")), Path::new("/elsewhere"));
    }

    #[test]
    fn a_town_of_one_file_has_all_of_ours_beside_it() {
        let town = TownPaths::of_file(Path::new("/t/my agents.toml")).unwrap();
        assert_eq!(town.root(), Path::new("/t"));
        assert_eq!(town.settings_file(), Path::new("/t/my agents.toml"));
        for path in [
            town.daemon_dir(),
            town.daemon_lock(),
            town.pid_file(),
            town.state(),
            town.daemon_log(),
            town.restart_state(),
            town.supervisor_dir(),
            town.transcript_copies(),
            town.socket(),
            town.events(),
            town.events_lock(),
        ] {
            assert!(path.starts_with("/t/.supervisor"), "{path:?}");
        }
        assert_eq!(TownPaths::of_file(Path::new("/")), None);
        assert_eq!(TownPaths::new("/t").agents_file(), None);
        assert_eq!(TownPaths::new("/t").settings_file(), Path::new("/t/settings/supervisor.json"));
    }

    #[test]
    fn directories_in_order() {
        let rig = || "r".parse().unwrap();
        let name = || "n".parse().unwrap();
        for (identity, expected, created, worktree) in [
            (Identity::Mayor, &["/t"][..], false, false),
            (Identity::Deacon, &["/t/deacon"], true, false),
            (Identity::Boot, &["/t/deacon/dogs/boot"], true, false),
            (Identity::Witness(rig()), &["/t/r/witness/rig", "/t/r/witness", "/t/r"], false, false),
            (Identity::Refinery(rig()), &["/t/r/refinery/rig", "/t/r/mayor/rig"], false, true),
            (Identity::Crew(rig(), name()), &["/t/r/crew/n"], false, true),
            (Identity::Polecat(rig(), name()), &["/t/r/polecats/n/r", "/t/r/polecats/n"], false, true),
        ] {
            let expected: Vec<PathBuf> = expected.iter().map(PathBuf::from).collect();
            assert_eq!(
                TownPaths::new("/t").work_directories(Dialect::January, &identity),
                expected,
                "{identity}"
            );
            assert_eq!(identity.facts().creates_directory, created, "{identity}");
            assert_eq!(identity.facts().is_worktree, worktree, "{identity}");
            let mayor = vec![PathBuf::from("/t/mayor")];
            let of_1_x = if identity == Identity::Mayor { mayor } else { expected };
            assert_eq!(TownPaths::new("/t").work_directories(Dialect::V1, &identity), of_1_x, "{identity}");
        }
    }
}
