//! Memory: how much is left for one more agent, and how many processes the kernel ended for want of it.
//!
//! Read through the [`Files`] port from what Linux shows (`/proc/meminfo`, `/proc/pressure/memory`, cgroup v2 in
//! `/sys/fs/cgroup`; proc(5), Documentation/admin-guide/cgroup-v2.rst), so that a simulation shows the same texts. A system
//! without these files has unknown figures. What was read is not judged here.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    path::{Path, PathBuf},
};

use crate::{terminal, town::files::Files};

const MEMINFO: &str = "/proc/meminfo";
const PRESSURE: &str = "/proc/pressure/memory";
const CGROUPS: &str = "/sys/fs/cgroup";

/// The figures at one time; what could not be read is `None`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Memory {
    /// What is left, of the machine or of the cgroup that leaves least.
    pub left: Option<Left>,
    /// What is left of the machine's swap; `None` also where it has none.
    pub swap: Option<Left>,
    /// The share of the last ten seconds in which some process waited for memory, in hundredths of a percent.
    pub pressure: Option<u32>,
    /// Why figures are missing.
    pub unread: Vec<String>,
}

/// What is left of something, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Left {
    /// All there is.
    pub total: u64,
    /// What could be used without pushing out what is in use.
    pub available: u64,
    /// Whether it is the limit of a cgroup, and not the whole machine.
    pub is_of_group: bool,
}

/// Reads how much is left.
pub async fn read(files: &dyn Files) -> Memory {
    let mut memory = Memory::default();
    match text(files, Path::new(MEMINFO)).await {
        Ok(text) => (memory.left, memory.swap) = meminfo(&text),
        Err(error) => memory.unread.push(format!("{MEMINFO}: {error}")),
    }
    if memory.left.is_none() && memory.unread.is_empty() {
        memory.unread.push(format!("{MEMINFO} has no MemTotal and MemAvailable"));
    }
    match text(files, Path::new(PRESSURE)).await {
        Ok(text) => memory.pressure = pressure(&text),
        Err(error) => memory.unread.push(format!("{PRESSURE}: {error}")),
    }
    for group in groups(files, None).await {
        match left_of_group(files, &group).await {
            Ok(Some(left)) if memory.left.is_none_or(|least| left.available < least.available) => {
                memory.left = Some(left);
            }
            Ok(_) => {}
            Err(why) => memory.unread.push(why),
        }
    }
    memory
}

/// The cgroups that a process is in, the innermost first; ourselves for `None`. None where they cannot be read, or are not of
/// version 2.
pub async fn groups(files: &dyn Files, pid: Option<u32>) -> Vec<PathBuf> {
    let of = pid.map_or_else(|| "self".to_owned(), |pid| pid.to_string());
    let read = text(files, &Path::new("/proc").join(of).join("cgroup")).await;
    read.ok().and_then(|text| group_paths(&text)).unwrap_or_default()
}

/// The same of several processes, by their ids, as one access.
pub async fn groups_of(files: &dyn Files, pids: BTreeSet<u32>) -> BTreeMap<u32, Vec<PathBuf>> {
    let paths = pids.iter().map(|pid| Path::new("/proc").join(pid.to_string()).join("cgroup")).collect();
    let read = files.read_each(paths).await.into_iter();
    let groups = read.map(|read| group_paths(&String::from_utf8_lossy(&read.ok()?)));
    pids.into_iter().zip(groups.map(Option::unwrap_or_default)).collect()
}

/// How many processes in this cgroup and in those below the kernel has ended for want of memory, since the cgroup exists.
pub async fn oom_kills(files: &dyn Files, group: &Path) -> Option<u64> {
    counter(&text(files, &group.join("memory.events")).await.ok()?)
}

/// The limit of this cgroup; `None`: it has none, or that cannot be read.
pub async fn limit(files: &dyn Files, group: &Path) -> Option<u64> {
    text(files, &group.join("memory.max")).await.ok()?.trim().parse().ok()
}

/// The value on the line `oom_kill <n>`, which `memory.events`, `/proc/vmstat` and cgroup v1's `memory.oom_control` have
/// (Linux 4.13 and later).
pub fn counter(text: &str) -> Option<u64> {
    figure(text, "oom_kill")
}

async fn text(files: &dyn Files, path: &Path) -> io::Result<String> {
    Ok(String::from_utf8_lossy(&files.read(path).await?).into_owned())
}

/// What is left of a cgroup; `None` where it has no limit. An error says what could not be read.
async fn left_of_group(files: &dyn Files, group: &Path) -> Result<Option<Left>, String> {
    let named = |name: &str| group.join(name);
    let unread = |path: &Path, why: &dyn std::fmt::Display| format!("{}: {why}", terminal::path(path));
    let max = match text(files, &named("memory.max")).await {
        Ok(text) => text,
        // The root has none, nor has a group in which memory is not accounted for.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unread(&named("memory.max"), &error)),
    };
    let Ok(max) = max.trim().parse::<u64>() else { return Ok(None) };
    let (current, stat) = (named("memory.current"), named("memory.stat"));
    let used = text(files, &current).await.map_err(|error| unread(&current, &error))?;
    let used: u64 = used.trim().parse().map_err(|_| unread(&current, &"no number"))?;
    let stat_text = text(files, &stat).await.map_err(|error| unread(&stat, &error))?;
    let cache = reclaimable(&stat_text).ok_or_else(|| unread(&stat, &"no figures of the page cache"))?;
    let available = max.saturating_sub(used.saturating_sub(cache));
    Ok(Some(Left { total: max, available: available.min(max), is_of_group: true }))
}

/// What `memory.current` counts and the kernel gives back when it is needed: files in the page cache, and slab. Without it, a
/// cgroup in which much was read from the disk would look full.
fn reclaimable(stat: &str) -> Option<u64> {
    let files = figure(stat, "inactive_file")?.saturating_add(figure(stat, "active_file")?);
    Some(files.saturating_add(figure(stat, "slab_reclaimable").unwrap_or(0)))
}

/// The number after this name, which begins a line.
fn figure(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| {
        let (found, value) = line.split_once(' ')?;
        (found == name).then(|| value.trim().parse().ok())?
    })
}

/// Memory and swap of the machine.
fn meminfo(text: &str) -> (Option<Left>, Option<Left>) {
    let kib = |name: &str| {
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        value.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
    };
    let left = |total: &str, available: &str| {
        Some(Left { total: kib(total)?, available: kib(available)?, is_of_group: false })
    };
    let swap = left("SwapTotal", "SwapFree").filter(|swap| swap.total > 0);
    (left("MemTotal", "MemAvailable"), swap)
}

/// `avg10` of the line `some avg10=1.23 avg60=… avg300=… total=…`.
fn pressure(text: &str) -> Option<u32> {
    let some = text.lines().find_map(|line| line.strip_prefix("some "))?;
    let average = some.split(' ').find_map(|word| word.strip_prefix("avg10="))?;
    let percent: f64 = average.parse().ok()?;
    (0.0..=100.0).contains(&percent).then(|| (percent * 100.0).round() as u32)
}

/// The directories of the cgroups in `/proc/<pid>/cgroup`: the line of version 2 is `0::<path>`.
fn group_paths(text: &str) -> Option<Vec<PathBuf>> {
    let path = text.lines().find_map(|line| line.strip_prefix("0::"))?;
    // A group outside our namespace is shown with `..`; we cannot read it.
    if !path.starts_with('/') || path.split('/').any(|part| part == "..") {
        return None;
    }
    let innermost = Path::new(CGROUPS).join(path.trim_start_matches('/'));
    Some(innermost.ancestors().take_while(|group| group.starts_with(CGROUPS)).map(Path::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    macro_rules! captured {
        ($name:literal) => {
            include_str!(concat!("../../tests/fixtures/memory/", $name))
        };
    }

    #[test]
    fn captured_figures() {
        // Linux 6.x, a machine without swap.
        let left = Left { total: 24_684_092 << 10, available: 19_607_620 << 10, is_of_group: false };
        assert_eq!(meminfo(captured!("meminfo")), (Some(left), None));
        assert_eq!(pressure(captured!("pressure")), Some(0));
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn this_machine() {
        let memory = read(&crate::town::files::Disk).await;
        let left = memory.left.unwrap();
        assert!(left.available <= left.total && left.total > 0, "{memory:?}");
    }

    #[test]
    fn figures_of_a_cgroup() {
        let stat = "anon 1000\nfile 700\nkernel 50\nshmem 100\ninactive_anon 900\ninactive_file 400\nactive_file 200\n\
                    slab_reclaimable 30\nslab 40\n";
        assert_eq!(reclaimable(stat), Some(630));
        assert_eq!(
            reclaimable("inactive_file 400\nactive_file 200\n"),
            Some(600),
            "slab is not accounted for"
        );
        assert_eq!(reclaimable("anon 1000\n"), None);
    }

    #[test]
    fn odd_figures() {
        for (name, text, left) in [
            ("empty", "", None),
            ("without MemAvailable (Linux before 3.14)", "MemTotal: 100 kB\nMemFree: 50 kB\n", None),
            ("another unit", "MemTotal: 100 MB\nMemAvailable: 50 MB\n", None),
            ("no number", "MemTotal: much kB\nMemAvailable: 50 kB\n", None),
            ("too large", "MemTotal: 18446744073709551615 kB\nMemAvailable: 1 kB\n", None),
            ("as it should be", "MemTotal: 2 kB\nMemAvailable: 1 kB\n", Some((2048, 1024))),
        ] {
            assert_eq!(meminfo(text).0.map(|it| (it.total, it.available)), left, "{name}");
        }
        for (text, expected) in [
            ("", None),
            ("full avg10=1.00 avg60=0.00 avg300=0.00 total=0\n", None),
            ("some avg10=many\n", None),
            ("some avg10=-1.00\n", None),
            ("some avg10=NaN\n", None),
            ("some avg10=100.00 avg60=0.00\n", Some(10_000)),
        ] {
            assert_eq!(pressure(text), expected, "{text:?}");
        }
        for (name, text, expected) in [
            ("vmstat", "nr_free_pages 1\npgfault 7\noom_kill 12\nnuma_hit 3\n", Some(12)),
            ("memory.events", "low 0\nhigh 0\nmax 5\noom 5\noom_kill 4\noom_group_kill 1\n", Some(4)),
            ("memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n", Some(3)),
            ("an older kernel", "oom_kill_disable 0\nunder_oom 0\n", None),
            ("no number", "oom_kill many\n", None),
            ("negative", "oom_kill -1\n", None),
            ("empty", "", None),
        ] {
            assert_eq!(counter(text), expected, "{name}");
        }
    }

    #[test]
    fn cgroups() {
        for (name, text, expected) in [
            ("a scope", "0::/user.slice/a b.scope\n", Some(vec!["user.slice/a b.scope", "user.slice", ""])),
            ("the root, or the one of our namespace", "0::/\n", Some(vec![""])),
            ("beside version 1", "8:pids:/p\n0::/q\n", Some(vec!["q", ""])),
            ("version 1 only", "4:memory:/x\n", None),
            ("outside", "0::/../x\n", None),
            ("garbage", "0::x\n", None),
            ("empty", "", None),
        ] {
            let expected = expected
                .map(|paths| paths.into_iter().map(|path| Path::new(CGROUPS).join(path)).collect::<Vec<_>>());
            assert_eq!(group_paths(text), expected, "{name}");
        }
    }
}
