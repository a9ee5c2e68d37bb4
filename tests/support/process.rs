//! Processes of a test: which exist, their environments, and that none is left behind.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    os::unix::ffi::OsStringExt,
};

use rustix::process::{Pid, Signal, kill_process};

/// A process and its start time, so that another one with the same id is not mistaken for it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Identified {
    pub pid: u32,
    born: Option<u64>,
}

impl Identified {
    pub fn of(pid: u32) -> Identified {
        Identified { pid, born: stat(pid).map(|stat| stat.born) }
    }

    pub fn lives(&self) -> bool {
        self.born.is_some() && stat(self.pid).is_some_and(|now| !now.ended && Some(now.born) == self.born)
    }
}

/// A process that ends with the test.
pub struct Guarded(pub Identified);

impl Guarded {
    pub fn of(pid: u32) -> Guarded {
        Guarded(Identified::of(pid))
    }

    pub fn lives(&self) -> bool {
        self.0.lives()
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        if self.0.lives() {
            let _ = kill_process(raw(self.0.pid), Signal::KILL);
        }
    }
}

pub fn raw(pid: u32) -> Pid {
    Pid::from_raw(i32::try_from(pid).unwrap()).unwrap()
}

pub fn signal(pid: u32, signal: Signal) {
    kill_process(raw(pid), signal).unwrap();
}

struct Stat {
    parent: u32,
    born: u64,
    ended: bool,
}

fn stat(pid: u32) -> Option<Stat> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // After the name, which is in parentheses and may contain anything.
    let fields: Vec<&str> = text.rsplit_once(") ")?.1.split(' ').collect();
    Some(Stat {
        ended: matches!(fields[0], "Z" | "X"),
        parent: fields[1].parse().ok()?,
        born: fields[19].parse().ok()?,
    })
}

/// The name the kernel has for it.
pub fn comm(pid: u32) -> String {
    fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default().trim_end().to_owned()
}

/// Its command line.
pub fn command_line(pid: u32) -> Vec<String> {
    words(&format!("/proc/{pid}/cmdline"))
}

/// The environment it was started with.
pub fn environment(pid: u32) -> BTreeMap<String, String> {
    let pair = |word: String| word.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()));
    words(&format!("/proc/{pid}/environ")).into_iter().filter_map(pair).collect()
}

/// How much of it is in memory, in KiB.
pub fn resident_kib(pid: u32) -> u64 {
    status(pid, "VmRSS:")
}

/// What each of its threads is doing, for the message of a test that waited for it in vain.
pub fn describe(pid: u32) -> String {
    let Ok(tasks) = fs::read_dir(format!("/proc/{pid}/task")) else {
        return format!("PID {pid} does not exist");
    };
    let line = |path: String| fs::read_to_string(path).unwrap_or_default().trim_end().to_owned();
    let task = |entry: fs::DirEntry| {
        let at = entry.path().display().to_string();
        let status = line(format!("{at}/status"));
        let field = |key: &str| status.lines().find_map(|line| line.strip_prefix(key)).unwrap_or("?").trim();
        let (name, state, switches) = (field("Name:"), field("State:"), field("voluntary_ctxt_switches:"));
        let (wchan, call) = (line(format!("{at}/wchan")), line(format!("{at}/syscall")));
        format!("\n  {name}: {state}, {switches} switches, in {wchan}, syscall {call}")
    };
    let tasks: String = tasks.filter_map(|entry| Some(task(entry.ok()?))).collect();
    format!("PID {pid}:{tasks}")
}

/// The number of its threads.
pub fn threads(pid: u32) -> usize {
    status(pid, "Threads:").try_into().unwrap()
}

fn status(pid: u32, key: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(key)).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}

pub fn directory(pid: u32) -> std::path::PathBuf {
    fs::read_link(format!("/proc/{pid}/cwd")).unwrap()
}

fn words(path: &str) -> Vec<String> {
    let bytes = fs::read(path).unwrap_or_default();
    let word = |word: &[u8]| std::ffi::OsString::from_vec(word.to_vec()).to_string_lossy().into_owned();
    bytes.split(|byte| *byte == 0).filter(|word| !word.is_empty()).map(word).collect()
}

fn all() -> Vec<u32> {
    let entries = fs::read_dir("/proc").unwrap();
    entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect()
}

/// The process and its descendants, by parents.
pub fn tree(root: u32) -> BTreeSet<u32> {
    let parents: Vec<(u32, u32)> =
        all().into_iter().filter_map(|pid| Some((pid, stat(pid)?.parent))).collect();
    let mut members = BTreeSet::from([root]);
    loop {
        let before = members.len();
        members.extend(
            parents
                .iter()
                .filter(|(_, parent)| members.contains(parent))
                .map(|(pid, _)| *pid)
                .collect::<Vec<_>>(),
        );
        if members.len() == before {
            return members;
        }
    }
}

/// Running processes that were started with this in their environment.
pub fn marked(variable: &str, value: &str) -> BTreeSet<u32> {
    let given = |pid: &u32| environment(*pid).get(variable).is_some_and(|given| given == value);
    all().into_iter().filter(|pid| stat(*pid).is_some_and(|stat| !stat.ended)).filter(given).collect()
}

/// Running processes of the tmux server with this socket: the server, its clients, and everything started in a pane,
/// even when it has left its pane since.
pub fn of_server(socket: &str) -> BTreeSet<u32> {
    let in_pane = |pid: u32| {
        let given = environment(pid).remove("TMUX");
        given.is_some_and(|tmux| tmux.split(',').next() == Some(socket))
    };
    let is_of_it = |pid: &u32| command_line(*pid).iter().any(|it| it == socket) || in_pane(*pid);
    all().into_iter().filter(|pid| stat(*pid).is_some_and(|stat| !stat.ended)).filter(is_of_it).collect()
}

/// The number of kernel sessions of these processes.
pub fn kernel_sessions(processes: &[u32]) -> usize {
    let session =
        |pid: &u32| rustix::process::getsid(Some(raw(*pid))).ok().map(rustix::process::Pid::as_raw_pid);
    processes.iter().filter_map(session).collect::<BTreeSet<_>>().len()
}

/// Writes a program that is run soon. Another process writes it: a child that another thread starts meanwhile has all our open files for
/// a moment, and a file that somebody has open for writing cannot be run (ETXTBSY).
pub fn write_program(path: &std::path::Path, text: &str) {
    let mut install = std::process::Command::new("install");
    let install = install.args(["-m", "755", "/dev/stdin"]).arg(path).stdin(std::process::Stdio::piped());
    let mut child = install.spawn().unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), text.as_bytes()).unwrap();
    assert!(super::limits::end_of(&mut child, "install").success(), "{}", path.display());
}
