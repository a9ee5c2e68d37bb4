//! Our own process: what the kernel counts of it. It must not look at any other.

use std::time::Duration;

/// Figures of this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Own {
    /// The CPU time it has used, by itself and in the kernel.
    pub cpu: Duration,
    /// Its resident memory, in bytes.
    pub resident: u64,
    /// Its virtual memory, in bytes.
    pub virtual_memory: u64,
    /// How many threads it has.
    pub threads: u64,
    /// How many files it has open.
    pub open_files: Option<u64>,
    /// How many it may have open; `None` when that is not limited or not known.
    pub most_files: Option<u64>,
}

/// The figures now; `None` where the kernel does not say.
#[cfg(target_os = "linux")]
pub fn read() -> Option<Own> {
    use procfs::process::{LimitValue, Process};

    let process = Process::myself().ok()?;
    let stat = process.stat().ok()?;
    let ticks = procfs::ticks_per_second().max(1);
    let most = process.limits().ok().and_then(|limits| match limits.max_open_files.soft_limit {
        LimitValue::Value(most) => Some(most),
        LimitValue::Unlimited => None,
    });
    let millis = (stat.utime + stat.stime).saturating_mul(1000) / ticks;
    Some(Own {
        cpu: Duration::from_millis(millis),
        resident: stat.rss.saturating_mul(procfs::page_size()),
        virtual_memory: stat.vsize,
        threads: u64::try_from(stat.num_threads).unwrap_or_default(),
        open_files: process.fd_count().ok().and_then(|count| u64::try_from(count).ok()),
        most_files: most,
    })
}

/// The figures now; `None` where the kernel does not say.
#[cfg(not(target_os = "linux"))]
pub fn read() -> Option<Own> {
    None
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    #[test]
    fn this_process_has_some_of_each() {
        let own = super::read().unwrap();
        assert!(own.resident > 1 << 20 && own.virtual_memory >= own.resident, "{own:?}");
        assert!(own.threads >= 1 && own.open_files.unwrap() >= 3, "{own:?}");
    }
}
