//! The kernel's counters for a process (Linux: `/proc`).

use std::{
    collections::BTreeMap,
    fs,
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};

use crate::limits;

/// What a process used within some time.
#[derive(Debug, Clone, Copy)]
pub struct Usage {
    time: Duration,
    cpu: Duration,
    switches: u64,
    /// Its resident memory at the end, in KiB.
    pub resident_kib: u64,
}

impl Usage {
    /// Reads all threads of a process every second for this time; what a thread did after the last reading is not
    /// seen.
    pub async fn over(pid: u32, time: Duration) -> anyhow::Result<Usage> {
        let before = threads(pid)?;
        let mut last = before.clone();
        let began = Instant::now();
        while began.elapsed() < time {
            tokio::time::sleep(Duration::from_secs(1).min(time)).await;
            last.extend(threads(pid)?);
            limits::moved(); // nothing may happen for minutes, and that is as it should be
        }
        let time = began.elapsed();
        let (mut cpu, mut switches) = (0, 0);
        for (thread, (cpu_after, switches_after)) in last {
            let (cpu_before, switches_before) = before.get(&thread).copied().unwrap_or_default();
            cpu += cpu_after.saturating_sub(cpu_before);
            switches += switches_after.saturating_sub(switches_before);
        }
        let resident_kib = memory(pid)?.resident_kib;
        Ok(Usage { time, cpu: Duration::from_nanos(cpu), switches, resident_kib })
    }

    /// Of one core.
    pub fn cpu_percent(&self) -> f64 {
        100.0 * self.cpu.as_secs_f64() / self.time.as_secs_f64()
    }

    /// How often it went to sleep by itself.
    pub fn switches_per_second(&self) -> f64 {
        self.switches as f64 / self.time.as_secs_f64()
    }
}

/// The processor time of the threads that it has now.
pub fn cpu(pid: u32) -> anyhow::Result<Duration> {
    let used = threads(pid)?.into_values().map(|(cpu, _)| cpu).sum();
    Ok(Duration::from_nanos(used))
}

/// Nanoseconds of CPU and voluntary context switches of each thread.
fn threads(pid: u32) -> anyhow::Result<BTreeMap<String, (u64, u64)>> {
    let path = format!("/proc/{pid}/task");
    let listed = fs::read_dir(&path).with_context(|| format!("{path} cannot be read (this needs Linux)"))?;
    let mut threads = BTreeMap::new();
    for entry in listed {
        let thread = entry?.path();
        // One that has just ended is left out.
        let (Ok(schedstat), Ok(status)) =
            (fs::read_to_string(thread.join("schedstat")), fs::read_to_string(thread.join("status")))
        else {
            continue;
        };
        let cpu = schedstat.split_whitespace().next().and_then(|word| word.parse().ok());
        if let (Some(cpu), Some(switches)) = (cpu, number(&status, "voluntary_ctxt_switches:")) {
            threads.insert(thread.display().to_string(), (cpu, switches));
        }
    }
    ensure!(!threads.is_empty(), "the kernel tells nothing about the threads of process {pid}");
    Ok(threads)
}

fn number(status: &str, key: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(key))?;
    line.split_whitespace().next()?.parse().ok()
}

/// What a process holds in memory.
#[derive(Debug, Clone, Copy)]
pub struct Memory {
    /// Now, in KiB.
    pub resident_kib: u64,
    /// At its most since [`reset_peak`], in KiB.
    pub peak_kib: u64,
}

/// What a process holds now, and at its most.
pub fn memory(pid: u32) -> anyhow::Result<Memory> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let told = |key| number(&status, key).context("the kernel does not tell the memory");
    Ok(Memory { resident_kib: told("VmRSS:")?, peak_kib: told("VmHWM:")? })
}

/// From now on the most a process holds is counted afresh.
pub fn reset_peak(pid: u32) -> anyhow::Result<()> {
    let path = format!("/proc/{pid}/clear_refs");
    fs::write(&path, "5").with_context(|| format!("{path} cannot be written"))
}

/// The processor time of all children the process has waited for.
pub fn cpu_of_waited_for(pid: u32) -> Option<Duration> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let words: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks: u64 = words.get(13)?.parse::<u64>().ok()? + words.get(14)?.parse::<u64>().ok()?;
    Some(Duration::from_millis(ticks * 1000 / procfs::ticks_per_second()))
}

/// The page faults of all children the process has waited for: each child has some, so they show whether there was
/// one.
pub fn faults_of_waited_for(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name, which may hold anything, ends with the last parenthesis; from there it is the ninth word.
    stat.rsplit_once(')')?.1.split_whitespace().nth(8)?.parse().ok()
}
