//! The memory of the world's machine, as the kernel shows it in `/proc` and `/sys/fs/cgroup`.
//!
//! Reading it takes no time and draws no random number.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    path::Path,
};

use super::{State, World, files::missing, processes::server};

/// A gibibyte.
pub const GIB: u64 = 1 << 30;

/// The memory of a machine and of its cgroups.
#[derive(Debug, Clone)]
pub struct Machine {
    /// All memory, in bytes.
    pub total: u64,
    /// What is available without agents.
    pub available: u64,
    /// What each agent takes.
    pub agent_takes: u64,
    /// The share of time in which processes wait for memory, in percent.
    pub pressure: f64,
    /// Whether the figures cannot be read.
    pub is_unreadable: bool,
    /// The limit of the supervisor's own cgroup, and what is used there.
    pub own_limit: Option<(u64, u64)>,
    /// The cgroup of the agents' sessions that have one of their own, by session.
    pub scopes: BTreeMap<String, String>,
    /// What the kernel has ended for want of memory, by cgroup.
    pub oom_kills: BTreeMap<String, u64>,
    /// The sessions whose agents end by SIGKILL right now.
    pub killed: BTreeSet<String>,
}

impl Default for Machine {
    fn default() -> Self {
        Machine {
            total: 64 * GIB,
            available: 60 * GIB,
            agent_takes: 0,
            pressure: 0.0,
            is_unreadable: false,
            own_limit: None,
            scopes: BTreeMap::new(),
            oom_kills: BTreeMap::new(),
            killed: BTreeSet::new(),
        }
    }
}

/// The cgroup of the tmux server and of the sessions that have none of their own.
pub const TMUX_GROUP: &str = "user.slice/tmux.scope";
/// The cgroup of the supervisor.
const OWN: &str = "user.slice/supervisor.service";

impl State {
    /// What the kernel shows at this path; `None` where it shows nothing about memory.
    pub(super) fn show_memory(&self, path: &Path) -> Option<io::Result<Vec<u8>>> {
        let path = path.to_str()?;
        let text = match path {
            "/proc/vmstat" => return None,
            "/proc/meminfo" | "/proc/pressure/memory" if self.machine.is_unreadable => {
                return Some(Err(io::Error::other("permission denied")));
            }
            "/proc/meminfo" => {
                let taken =
                    self.machine.agent_takes * self.sessions.values().filter(|it| it.live()).count() as u64;
                let left = self.machine.available.saturating_sub(taken);
                format!("MemTotal: {} kB\nMemAvailable: {} kB\n", self.machine.total >> 10, left >> 10)
            }
            "/proc/pressure/memory" => {
                format!("some avg10={:.2} avg60=0.00 avg300=0.00 total=0\n", self.machine.pressure)
            }
            "/proc/self/cgroup" => format!("0::/{OWN}\n"),
            _ => match path.strip_prefix("/proc/").and_then(|rest| rest.strip_suffix("/cgroup")) {
                Some(pid) => match pid.parse().ok().and_then(|pid| self.cgroup_of(pid)) {
                    Some(group) => format!("0::/{group}\n"),
                    None => return Some(missing()),
                },
                None => {
                    let (group, file) = path.strip_prefix("/sys/fs/cgroup/")?.rsplit_once('/')?;
                    match self.cgroup_file(group, file) {
                        Some(text) => text,
                        None => return Some(missing()),
                    }
                }
            },
        };
        Some(Ok(text.into_bytes()))
    }

    fn cgroup_of(&self, pid: u32) -> Option<String> {
        if pid == server(self.generation) {
            return Some(TMUX_GROUP.to_owned());
        }
        let (name, _) = self.sessions.iter().find(|(_, session)| session.pid == pid)?;
        Some(self.machine.scopes.get(name).cloned().unwrap_or_else(|| TMUX_GROUP.to_owned()))
    }

    fn cgroup_file(&self, group: &str, file: &str) -> Option<String> {
        let machine = &self.machine;
        let own = machine.own_limit.filter(|_| group == OWN);
        Some(match (file, own) {
            ("memory.events", _) => {
                let kills: u64 = machine
                    .oom_kills
                    .iter()
                    .filter(|(below, _)| below.as_str() == group || below.starts_with(&format!("{group}/")))
                    .map(|(_, kills)| kills)
                    .sum();
                format!("low 0\nhigh 0\nmax 0\noom {kills}\noom_kill {kills}\n")
            }
            ("memory.max", Some((limit, _))) => format!("{limit}\n"),
            ("memory.max", None) => "max\n".to_owned(),
            ("memory.current", Some((_, used))) => format!("{used}\n"),
            ("memory.stat", Some(_)) => format!("anon 0\ninactive_file {GIB}\nactive_file 0\n"),
            _ => return None,
        })
    }
}

impl World {
    /// The kernel ends the agent of this session for want of memory.
    pub fn oom_kill(&self, session: &str) {
        {
            let mut state = self.state();
            let group = state.machine.scopes.get(session).cloned().unwrap_or_else(|| TMUX_GROUP.to_owned());
            *state.machine.oom_kills.entry(group).or_default() += 1;
        }
        self.sigkill(session);
    }

    /// Somebody ends the agent of this session by SIGKILL.
    pub fn sigkill(&self, session: &str) {
        self.state().machine.killed.insert(session.to_owned());
        self.crash_agent(session, false);
    }
}
