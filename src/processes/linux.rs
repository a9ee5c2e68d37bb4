//! The process table of Linux, read from `/proc`.
//!
//! Chosen over `sysinfo` because it needs half the time: measured unoptimised on two cores, 1771 processes in 50 ms,
//! against 59 ms for 921. Between two readings it stores only which processes were young ([`Newcomers`]).
#![allow(clippy::disallowed_methods, reason = "part of the adapter that reads the process table")]

use std::{
    collections::BTreeMap,
    fs,
    io::{self, Read},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::Duration,
};

use parking_lot::Mutex;
use procfs::{
    Current, FromRead,
    process::{Process as Entry, Stat},
};

use super::{Details, ProcessesError, Resident, base_name, invocation::Invocation, tree::Row};

/// How many bytes of a command line are read; agents get prompts of any length.
const LINE: usize = 16 * 1024;
/// How many bytes of an environment are read.
const ENVIRONMENT: u64 = 1024 * 1024;
/// If more processes than this start per second, for seconds, a reading may miss a young one.
const STARTS_A_SECOND: u64 = 500;
/// The state of a thread other than a process's first: threads have ids of the same kind.
const OF_A_THREAD: i32 = -1;
/// This many processes in creation may have an id and not be visible yet.
const IN_THE_MAKING: u64 = 32;

/// All running processes.
pub fn survey() -> Result<Vec<Row>, ProcessesError> {
    let uptime = uptime()?;
    // A process that ends while it is read is left out.
    Ok(pids()?.filter_map(|pid| row(stat(pid)?, uptime)).collect())
}

/// The ids of all processes.
fn pids() -> Result<impl Iterator<Item = u32>, ProcessesError> {
    let entries = fs::read_dir("/proc").map_err(|error| ProcessesError(format!("/proc: {error}")))?;
    Ok(entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()))
}

/// The youngest processes in the last reading: the next one opens only those, and those that got an id since.
#[derive(Debug, Default)]
pub struct Newcomers {
    young: Vec<u32>,
    /// The uptime of the last reading, and the last id assigned before it.
    last: Option<(Duration, u32)>,
}

impl Newcomers {
    /// The ids of the processes that started within this time. A process with a requested id (`clone3`) may be missed.
    fn read(&mut self, within: Duration) -> Result<Vec<u32>, ProcessesError> {
        // The id first: a process with a later one is left to the next reading.
        let latest =
            procfs::LoadAverage::current().map_err(|error| failed("/proc/loadavg", error))?.latest_pid;
        let highest = procfs::sys::kernel::pid_max().map_err(|error| failed("pid_max", error))?;
        let (uptime, highest) = (uptime()?, u32::try_from(highest).unwrap_or(u32::MAX));
        let expected = |time: Duration| {
            u64::try_from(time.as_millis()).unwrap_or(u64::MAX).saturating_mul(STARTS_A_SECOND) / 1000
        };
        let since = self.last.filter(|(then, _)| expected(uptime.saturating_sub(*then)) < u64::from(highest));
        let given = since.map_or(u64::MAX, |(_, before)| ids_since(before, latest, highest) + IN_THE_MAKING);
        let is_young = |pid| {
            let stat = stat(pid)?;
            let is_thread = stat.exit_signal == Some(OF_A_THREAD);
            let young = row(stat, uptime)?.age <= within;
            (!young || !is_thread).then_some(young)
        };
        let mut young = newest(latest, highest, given, expected(within), is_young);
        young.extend(self.young.iter().filter(|pid| is_young(**pid) == Some(true)));
        young.sort_unstable();
        young.dedup();
        (self.young, self.last) = (young.clone(), Some((uptime, latest)));
        Ok(young)
    }
}

/// How many ids were assigned after `before`, up to `latest`: they are assigned in order, and from the lowest again
/// after the highest.
fn ids_since(before: u32, latest: u32, highest: u32) -> u64 {
    let around = if latest < before { highest } else { 0 };
    (u64::from(latest) + u64::from(around)).saturating_sub(before.into())
}

/// The young processes among the last `given` ids, as far back as `most` processes started. The kernel skips ids in
/// use: an old process between two young ones does not show how many started since, and is not counted.
fn newest(
    latest: u32,
    highest: u32,
    given: u64,
    most: u64,
    is_young: impl Fn(u32) -> Option<bool>,
) -> Vec<u32> {
    let (mut found, mut older) = (Vec::new(), 0);
    for (later, pid) in (0..given).zip((1..=latest).rev().chain((latest + 1..=highest).rev())) {
        if later > most.saturating_add(older) {
            break;
        }
        match is_young(pid) {
            Some(true) => found.push(pid),
            Some(false) => older += 1,
            None => {} // it has ended, or is a thread
        }
    }
    found
}

/// The parent, the kernel session and the start time of this process.
pub fn parent_and_session(pid: u32) -> Option<(u32, u32)> {
    let stat = stat(pid)?;
    Some((u32::try_from(stat.ppid).ok()?, u32::try_from(stat.session).ok()?))
}

fn failed(what: &str, error: procfs::ProcError) -> ProcessesError {
    ProcessesError(format!("{what}: {error}"))
}

fn uptime() -> Result<Duration, ProcessesError> {
    Ok(procfs::Uptime::current().map_err(|error| failed("/proc/uptime", error))?.uptime_duration())
}

fn stat(pid: u32) -> Option<Stat> {
    Stat::from_file(format!("/proc/{pid}/stat")).ok()
}

fn row(stat: Stat, uptime: Duration) -> Option<Row> {
    let ticks = procfs::ticks_per_second().max(1);
    let began = Duration::from_millis(stat.starttime.saturating_mul(1000) / ticks);
    Some(Row {
        pid: u32::try_from(stat.pid).ok()?,
        parent: u32::try_from(stat.ppid).unwrap_or(0),
        session: u32::try_from(stat.session).unwrap_or(0),
        born: stat.starttime,
        age: uptime.saturating_sub(began),
        ended: has_ended(&stat),
        comm: stat.comm,
    })
}

fn has_ended(stat: &Stat) -> bool {
    matches!(stat.state, 'Z' | 'X' | 'x')
}

/// When the running process of this id started, in the unit of [`Row::born`]; `None` when there is none.
pub fn born(pid: u32) -> Option<u64> {
    let stat = Entry::new(i32::try_from(pid).ok()?).ok()?.stat().ok()?;
    (!has_ended(&stat)).then_some(stat.starttime)
}

/// Whether this process has exactly this file open; `None` when that may not be examined.
pub fn has_open(pid: u32, file: &fs::Metadata) -> Option<bool> {
    let wanted = (file.dev(), file.ino());
    let descriptors = match fs::read_dir(format!("/proc/{pid}/fd")) {
        Ok(descriptors) => descriptors,
        Err(error) => return (error.kind() == io::ErrorKind::NotFound).then_some(false),
    };
    // A descriptor that is closed meanwhile is left out.
    let mut open = descriptors.filter_map(|descriptor| fs::metadata(descriptor.ok()?.path()).ok());
    Some(open.any(|data| (data.dev(), data.ino()) == wanted))
}

/// Base names of executable and `argv[0]` of these processes, if they may be read.
pub fn names(pids: &[u32]) -> BTreeMap<u32, Vec<String>> {
    pids.iter().map(|pid| (*pid, names_of(*pid))).collect()
}

fn names_of(pid: u32) -> Vec<String> {
    let Some(entry) = i32::try_from(pid).ok().and_then(|pid| Entry::new(pid).ok()) else {
        return Vec::new();
    };
    let program = entry.exe().ok().and_then(|path| base_name(&path.to_string_lossy()));
    let called = entry.cmdline().ok().and_then(|words| base_name(words.first()?));
    program.into_iter().chain(called).collect()
}

/// The processes that run this program, without their ancestors; with `young`, those that started within this time.
pub fn invocations(
    program: &str,
    young: Option<Duration>,
    newcomers: &Mutex<Newcomers>,
) -> Result<Vec<Invocation>, ProcessesError> {
    let pids = match young {
        Some(within) => newcomers.lock().read(within)?,
        None => pids()?.collect(),
    };
    let mut buffer = vec![0; LINE];
    Ok(pids.into_iter().filter_map(|pid| invocation(pid, program, &mut buffer)).collect())
}

/// Reads the arguments first, then the names: if the process executes another program in between, the names are the
/// new program's, so its arguments never appear beside the old name.
fn invocation(pid: u32, program: &str, buffer: &mut [u8]) -> Option<Invocation> {
    let line = command_line(pid, buffer)?;
    let words = split(line);
    let executable = fs::read_link(format!("/proc/{pid}/exe")).ok();
    let runs_it = executable.as_deref().is_some_and(|path| is(path.as_os_str().as_encoded_bytes(), program));
    // A script is the second or third word.
    if !runs_it && !words.clone().take(3).any(|word| is(word, program)) {
        return None;
    }
    let directory = fs::read_link(format!("/proc/{pid}/cwd")).ok();
    let invocation = described(pid, executable, line, directory)?;
    invocation.given_to(program).is_some().then_some(invocation)
}

/// `None` for a zombie, a kernel thread, or a process in the middle of an exec.
fn command_line(pid: u32, buffer: &mut [u8]) -> Option<&[u8]> {
    let length = fs::File::open(format!("/proc/{pid}/cmdline")).ok()?.read(buffer).ok()?;
    buffer.get(..length).filter(|line| !line.is_empty())
}

fn split(line: &[u8]) -> impl Iterator<Item = &[u8]> + Clone {
    line.strip_suffix(b"\0").unwrap_or(line).split(|byte| *byte == 0)
}

fn described(
    pid: u32,
    executable: Option<PathBuf>,
    line: &[u8],
    directory: Option<PathBuf>,
) -> Option<Invocation> {
    let stat = stat(pid).filter(|stat| !has_ended(stat))?;
    Some(Invocation {
        pid,
        born: stat.starttime,
        ancestors: Vec::new(),
        comm: stat.comm,
        executable,
        arguments: split(line).map(|word| String::from_utf8_lossy(word).into_owned()).collect(),
        directory,
    })
}

/// The processes of our own user that have one of these variables or work in this directory, without their ancestors.
pub fn residents(variables: &[&str], below: &Path) -> Result<Vec<Resident>, ProcessesError> {
    let us = rustix::process::geteuid().as_raw();
    let mut buffer = vec![0; LINE];
    let one = |pid: u32| {
        // Processes of other users do not matter.
        fs::metadata(format!("/proc/{pid}")).ok().filter(|data| data.uid() == us)?;
        let environment = environment(pid, variables);
        let directory = fs::read_link(format!("/proc/{pid}/cwd")).ok();
        if environment.is_empty() && !directory.as_deref().is_some_and(|at| at.starts_with(below)) {
            return None;
        }
        let executable = fs::read_link(format!("/proc/{pid}/exe")).ok();
        let command = described(pid, executable, command_line(pid, &mut buffer)?, directory)?;
        Some(Resident { command, environment })
    };
    Ok(pids()?.filter_map(one).collect())
}

/// The process that has the terminal of this one: the leader of the foreground group there, else this process itself. `None` when
/// both have ended.
pub fn foreground(of: u32) -> Option<Invocation> {
    let leader = u32::try_from(stat(of)?.tpgid).ok().filter(|group| *group != 0);
    leader.and_then(one).or_else(|| one(of))
}

fn one(pid: u32) -> Option<Invocation> {
    let mut buffer = vec![0; LINE];
    let line = command_line(pid, &mut buffer)?;
    let executable = fs::read_link(format!("/proc/{pid}/exe")).ok();
    let directory = fs::read_link(format!("/proc/{pid}/cwd")).ok();
    described(pid, executable, line, directory)
}

/// One process; `None` when it has ended.
pub fn details(pid: u32, variables: &[&str]) -> Result<Option<Details>, ProcessesError> {
    let Some(stat) = stat(pid) else { return Ok(None) };
    if matches!(stat.state, 'Z' | 'X' | 'x') {
        return Ok(None);
    }
    let ticks = procfs::ticks_per_second().max(1);
    Ok(Some(Details {
        environment: variables_of(pid, variables),
        directory: fs::read_link(format!("/proc/{pid}/cwd")).ok(),
        is_stopped: matches!(stat.state, 'T' | 't'),
        cpu: Duration::from_millis(stat.utime.saturating_add(stat.stime).saturating_mul(1000) / ticks),
    }))
}

/// Those of these variables that a process has; none when they may not be read.
fn environment(pid: u32, variables: &[&str]) -> BTreeMap<String, String> {
    variables_of(pid, variables).unwrap_or_default()
}

fn variables_of(pid: u32, variables: &[&str]) -> Option<BTreeMap<String, String>> {
    let mut bytes = Vec::new();
    let file = fs::File::open(format!("/proc/{pid}/environ")).ok()?;
    file.take(ENVIRONMENT).read_to_end(&mut bytes).ok()?;
    let given = bytes.split(|byte| *byte == 0).filter_map(|pair| {
        let at = pair.iter().position(|byte| *byte == b'=')?;
        let name = std::str::from_utf8(&pair[..at]).ok().filter(|name| variables.contains(name))?;
        Some((name.to_owned(), String::from_utf8_lossy(&pair[at + 1..]).into_owned()))
    });
    Some(given.collect())
}

/// Whether this path, or one to a file that was replaced, may end in this name: checked for every process, so it must
/// be cheap.
fn is(path: &[u8], program: &str) -> bool {
    let path = path.strip_suffix(b" (deleted)").unwrap_or(path);
    path.rsplit(|byte| *byte == b'/').next() == Some(program.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_processes_do_not_hide_young_ones_after_ids_wrapped_around() {
        let block: Vec<u32> = (900..1000).rev().collect();
        for (name, pids, latest, given, expected) in [
            ("none", vec![], 5, u64::MAX, vec![]),
            ("the newest", vec![1001, 999, 998], 1001, u64::MAX, vec![1001]),
            (
                "one before a block of old ones",
                [&[1001][..], &block, &[899]].concat(),
                1001,
                u64::MAX,
                vec![1001, 899],
            ),
            ("one before ids wrapped around", vec![301, 2, 1, 32_767], 301, u64::MAX, vec![301, 32_767]),
            ("one that has ended is passed over", vec![1010, 1007, 1001], 1010, u64::MAX, vec![1010, 1001]),
            ("more started since than are expected", vec![1001, 400], 1001, u64::MAX, vec![1001]),
            ("given before the last reading", vec![1001, 1000, 899, 898], 1001, 103, vec![1001, 1000, 899]),
        ] {
            let is_young = |pid| match pid {
                1007 => None,
                pid if !pids.contains(&pid) => None,
                pid => Some(!block.contains(&pid) && pid > 2),
            };
            assert_eq!(newest(latest, 32_768, given, 400, is_young), expected, "{name}");
        }
    }

    #[test]
    fn ids_are_counted_around_the_end() {
        for (before, latest, count) in [(5, 5, 0), (5, 9, 4), (32_760, 310, 318), (9, 5, 32_764)] {
            assert_eq!(ids_since(before, latest, 32_768), count, "from {before} to {latest}");
        }
    }

    #[test]
    fn a_reading_shows_what_an_earlier_one_did_while_it_is_young() {
        let mut newcomers = Newcomers::default();
        let (hour, me) = (Duration::from_secs(3600), std::process::id());
        for reading in 0..3 {
            assert!(newcomers.read(hour).unwrap().contains(&me), "reading {reading}");
            // Each takes an id: afterwards ours is not among the last that were assigned.
            std::thread::scope(|scope| (0..2 * IN_THE_MAKING).for_each(|_| drop(scope.spawn(|| ()))));
        }
        assert!(!newcomers.read(Duration::ZERO).unwrap().contains(&me));
    }

    #[test]
    fn a_thread_is_no_process() {
        let (tell, told) = std::sync::mpsc::channel();
        let (end, ends) = std::sync::mpsc::channel::<()>();
        let thread = std::thread::spawn(move || {
            tell.send(rustix::thread::gettid().as_raw_nonzero().get()).unwrap();
            let _ = ends.recv_timeout(Duration::from_secs(20));
        });
        let id = u32::try_from(told.recv_timeout(Duration::from_secs(20)).unwrap()).unwrap();
        assert!(stat(id).is_some(), "it can be read like a process");
        assert!(!Newcomers::default().read(Duration::from_secs(3600)).unwrap().contains(&id));
        drop(end);
        drop(thread);
    }
}
