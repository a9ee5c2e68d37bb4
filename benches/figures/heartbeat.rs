//! One heartbeat of a large, healthy town: 20 rigs, each with 20 sessions besides its witness and refinery.
//!
//! Without `bd`, whose time would be measured instead. Subprocesses are counted by wrappers around the programs the
//! supervisor runs, and the kernel's count shows whether it waited for any other.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use serde_json::json;

use crate::{
    process,
    stage::{Stage, fill, town},
    supervisor::Line,
    table::{Row, median_and_max, millis},
    town::Town,
};

const RIGS: usize = 20;
const FURTHER: usize = 20;
const AGENTS: usize = 2 * RIGS + 1;
const SESSIONS: usize = AGENTS + RIGS * FURTHER;
const TARGET: Duration = Duration::from_millis(100);
/// How long the creation of 400 sessions may keep everybody busy.
const SETTLE: Duration = Duration::from_secs(5);

/// From its first line in the log to its last.
pub async fn measure(quick: bool) -> anyhow::Result<Vec<Row>> {
    let beats = if quick { 5 } else { 20 };
    let town = town(RIGS, json!({"heartbeat": {"interval": "2s"}}))?;
    let calls = Calls::count(&town)?;
    let mut stage = Stage::supervise(town, &[])?;
    stage.stands(AGENTS).await?;
    let rigs = (1..=RIGS).flat_map(|rig| (1..=FURTHER).map(move |number| (format!("r{rig:02}"), number)));
    fill(&stage.town, rigs)?;
    tokio::time::sleep(SETTLE).await;

    let pid = stage.supervisor.pid();
    let from = stage.supervisor.said();
    let (calls_before, waited_before) = (calls.so_far()?, process::faults_of_waited_for(pid));
    let complete = |lines: &[Line]| durations(lines).len();
    while complete(stage.supervisor.lines(from)) < beats {
        let said = stage.supervisor.said();
        stage.supervisor.until(said, "a heartbeat", Duration::from_secs(60), is_end).await?;
    }
    let (calls_after, waited_after) = (calls.so_far()?, process::faults_of_waited_for(pid));
    let (middle, longest) = median_and_max(durations(stage.supervisor.lines(from)));
    let mut lists = Vec::new();
    for _ in 0..beats {
        let began = Instant::now();
        let there = stage.town.tmux().sessions().len();
        lists.push(began.elapsed());
        ensure!(there == SESSIONS, "there should be {SESSIONS} sessions, there are {there}");
    }
    let (list, _) = median_and_max(lists);

    let counted = calls_after - calls_before;
    let each = counted as f64 / beats as f64;
    let uncounted = counted == 0 && waited_before != waited_after;
    Ok(vec![
        Row {
            figure: format!("heartbeat with {SESSIONS} healthy sessions: median (longest) of {beats}"),
            measured: format!("{:.0} ms ({:.0} ms)", millis(middle), millis(longest)),
            target: "≤ 100 ms",
            met: middle <= TARGET,
            original: "17 s",
        },
        Row {
            figure: "  … for comparison: tmux, asked once for the list of them".to_owned(),
            measured: format!("{:.0} ms", millis(list)),
            target: "",
            met: true,
            original: "",
        },
        Row {
            figure: "  … subprocesses in it".to_owned(),
            measured: format!("{each:.1}{}", if uncounted { " and some not counted" } else { "" }),
            target: "none a session",
            met: each <= 2.0 && !uncounted,
            original: "1330",
        },
    ])
}

fn is_end(text: &str) -> bool {
    text.starts_with("Heartbeat complete")
}

/// How long each whole heartbeat took.
pub fn durations(lines: &[Line]) -> Vec<Duration> {
    let mut began = None;
    let mut durations = Vec::new();
    for line in lines {
        if line.text.starts_with("Heartbeat starting") {
            began = Some(line.at);
        } else if is_end(&line.text)
            && let Some(began) = began.take()
        {
            durations.push(Duration::try_from(line.at.duration_since(began)).unwrap_or_default());
        }
    }
    durations
}

/// A count of the programs that were run.
struct Calls {
    of_tmux_and_git: PathBuf,
    of_stand_ins: PathBuf,
}

impl Calls {
    /// Puts wrappers before tmux and git; the stand-ins `gt` and `bd` note their calls themselves.
    fn count(town: &Town) -> anyhow::Result<Calls> {
        let calls = Calls {
            of_tmux_and_git: town.root().join("calls"),
            of_stand_ins: town.root().join("demo/commands.log"),
        };
        for program in ["tmux", "git"] {
            let Some(real) = on_path(program) else { continue };
            let wrapper = town.bin().join(program);
            let script = format!(
                "#!/bin/sh\necho {program} >>'{}'\nexec '{}' \"$@\"\n",
                calls.of_tmux_and_git.display(),
                real.display()
            );
            fs::write(&wrapper, script).context("a wrapper cannot be written")?;
            fs::set_permissions(&wrapper, fs::Permissions::from_mode(0o755))?;
        }
        Ok(calls)
    }

    fn so_far(&self) -> anyhow::Result<usize> {
        let lines = |path: &Path| fs::read_to_string(path).map_or(0, |text| text.lines().count());
        let ours = lines(&self.of_tmux_and_git);
        ensure!(ours > 0, "the supervisor must have run tmux at least once, but the wrapper counted none");
        Ok(ours + lines(&self.of_stand_ins))
    }
}

fn on_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|directory| directory.join(program)).find(|file| file.is_file())
}
