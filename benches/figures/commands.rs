//! The cost of detecting Gas Town's commands on a machine with thousands of processes, on which others start all the
//! time.
//!
//! Each time a process opens the file of `gt`, the supervisor searches for it among the young processes.

use std::{
    fs::File,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use serde_json::json;

use crate::{
    limits::{LimitedJoin, kill_and_wait},
    process::Usage,
    stage::Stage,
    table::Row,
};

const IDLE: usize = 3000;
/// They end by themselves, also when this program is killed.
const IDLE_FOR: &str = "180";
/// How often the file of `gt` is opened in a second.
const OPENED: u32 = 5;
/// Processes that begin in a second besides.
const STARTS: [u32; 2] = [0, 300];
const TARGET: f64 = 2.0;
const SETTLE: Duration = Duration::from_secs(5);

/// The supervisor's share of a core without and with processes that begin.
pub async fn measure(quick: bool) -> anyhow::Result<Vec<Row>> {
    let time = Duration::from_secs(if quick { 10 } else { 30 });
    let mut stage = Stage::set(1, json!({}), &[])?;
    stage.stands(3).await?;
    let _idle = Idle::start()?;
    let gt = stage.town.bin().join("gt");
    let mut rows = Vec::new();
    for starts in STARTS {
        let load = Load::begin(gt.clone(), starts);
        tokio::time::sleep(SETTLE).await;
        let before = load.count();
        let usage = Usage::over(stage.supervisor.pid(), time).await?;
        let (opened, started) = load.count().since(before);
        let per_second = |count: u64| count as f64 / time.as_secs_f64();
        ensure!(per_second(started) >= 0.8 * f64::from(starts), "only {started} processes began in {time:?}");
        ensure!(
            per_second(opened) >= 0.8 * f64::from(OPENED),
            "gt was opened only {opened} times in {time:?}"
        );
        rows.push(Row {
            figure: format!(
                "`gt` opened {OPENED} times a second, {IDLE} other processes, {starts} begin a second: CPU"
            ),
            measured: format!("{:.2} %", usage.cpu_percent()),
            target: "≤ 2 %",
            met: usage.cpu_percent() <= TARGET,
            original: "",
        });
    }
    Ok(rows)
}

/// Processes that do nothing.
struct Idle(Vec<Child>);

impl Idle {
    fn start() -> anyhow::Result<Idle> {
        let mut idle = Idle(Vec::with_capacity(IDLE));
        for _ in 0..IDLE {
            idle.0.push(quiet("sleep").arg(IDLE_FOR).spawn().context("sleep cannot be run")?);
        }
        Ok(idle)
    }
}

impl Drop for Idle {
    fn drop(&mut self) {
        self.0.iter_mut().for_each(kill_and_wait);
    }
}

fn quiet(program: impl AsRef<Path>) -> Command {
    let mut command = Command::new(program.as_ref());
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

/// How often `gt` was opened, and how many processes began.
#[derive(Clone, Copy)]
struct Count(u64, u64);

impl Count {
    fn since(self, before: Count) -> (u64, u64) {
        (self.0 - before.0, self.1 - before.1)
    }
}

/// A thread that opens the file of `gt` and starts processes, until it is dropped.
struct Load {
    counts: Arc<(AtomicU64, AtomicU64)>,
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Load {
    fn begin(gt: PathBuf, starts: u32) -> Load {
        let (counts, over) = (Arc::<(AtomicU64, AtomicU64)>::default(), Arc::<AtomicBool>::default());
        let (counted, ends) = (counts.clone(), over.clone());
        let work = move || {
            let (began, mut running) = (Instant::now(), Vec::<Child>::new());
            let due = |a_second: u32| (began.elapsed().as_secs_f64() * f64::from(a_second)) as u64;
            while !ends.load(Ordering::Relaxed) {
                while counted.0.load(Ordering::Relaxed) < due(OPENED) {
                    let _ = File::open(&gt);
                    counted.0.fetch_add(1, Ordering::Relaxed);
                }
                while counted.1.load(Ordering::Relaxed) < due(starts) && !ends.load(Ordering::Relaxed) {
                    let Ok(child) = quiet("true").spawn() else { return };
                    running.push(child);
                    counted.1.fetch_add(1, Ordering::Relaxed);
                }
                thread::sleep(Duration::from_millis(2));
                running.retain_mut(|child| matches!(child.try_wait(), Ok(None)));
            }
            running.iter_mut().for_each(kill_and_wait);
        };
        Load { counts, over, thread: Some(thread::spawn(work)) }
    }

    fn count(&self) -> Count {
        Count(self.counts.0.load(Ordering::Relaxed), self.counts.1.load(Ordering::Relaxed))
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.limited_join("the thread that starts processes");
        }
    }
}
