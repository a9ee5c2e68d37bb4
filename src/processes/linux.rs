//! The process table of Linux, read from `/proc`.
//!
//! Chosen over `sysinfo` because it needs half the time: measured unoptimised on two cores,
//! 1771 processes in 50 ms, against 59 ms for 921.
//! It keeps nothing between two readings.

use std::{collections::BTreeMap, time::Duration};

use procfs::{
    Current,
    process::{Process as Entry, Stat},
};

use super::{ProcessesError, base_name, tree::Row};

/// Everything that runs now.
pub fn survey() -> Result<Vec<Row>, ProcessesError> {
    let failed = |what: &str, error: procfs::ProcError| ProcessesError(format!("{what}: {error}"));
    let uptime = procfs::Uptime::current().map_err(|error| failed("/proc/uptime", error))?.uptime_duration();
    let entries = procfs::process::all_processes().map_err(|error| failed("/proc", error))?;
    // A process that ends while it is read is simply not there any more.
    let stats = entries.filter_map(|entry| entry.and_then(|entry| entry.stat()).ok());
    Ok(stats.filter_map(|stat| row(stat, uptime)).collect())
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

/// When the living process of this id began, in the unit of [`Row::born`]; `None` when there is none.
pub fn born(pid: u32) -> Option<u64> {
    let stat = Entry::new(i32::try_from(pid).ok()?).ok()?.stat().ok()?;
    (!has_ended(&stat)).then_some(stat.starttime)
}

/// Base names of executable and `argv[0]` of these processes, where they may be read.
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
