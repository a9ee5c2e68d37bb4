//! TERM during six starts of agents that never become ready.

use std::time::Duration;

use anyhow::ensure;
use serde_json::json;

use crate::{
    stage::{Stage, town},
    table::{Row, median_and_max},
};

const AGENTS: usize = 6;
const TYPICAL: Duration = Duration::from_millis(100);
const AT_MOST: Duration = Duration::from_millis(400);

/// From the signal to the end of the process, at another moment of the starts in each run.
pub async fn measure(quick: bool) -> anyhow::Result<Vec<Row>> {
    let runs = if quick { 5 } else { 20 };
    let mut times = Vec::new();
    for run in 0..runs {
        times.push(once(Duration::from_millis(2000 * run / runs)).await?);
    }
    let (middle, longest) = median_and_max(times);
    let row = |which: &str, time: Duration, target, limit, original| Row {
        figure: format!("TERM during {AGENTS} starts, until the process has ended: {which} of {runs}"),
        measured: format!("{:.0} ms", time.as_secs_f64() * 1000.0),
        target,
        met: time <= limit,
        original,
    };
    Ok(vec![
        row("median", middle, "≤ 100 ms", TYPICAL, "121 s"),
        row("longest", longest, "≤ 400 ms", AT_MOST, ""),
    ])
}

async fn once(into_the_starts: Duration) -> anyhow::Result<Duration> {
    let town = town(AGENTS / 2, json!({"start": {"max_concurrent": AGENTS}}))?;
    town.write("mayor/daemon.json", &json!({"patrols": {"deacon": {"enabled": false}}}))?;
    let mut stage = Stage::supervise(town, &[("STANDIN_NO_PROMPT", "1")])?;
    stage.says(AGENTS, ": starting claude in session ").await?;
    tokio::time::sleep(into_the_starts).await;
    let ended = stage.supervisor.lines(0).iter().any(|line| line.text.contains(": started in "));
    ensure!(!ended, "a start is over already");
    let (status, took) = stage.supervisor.stop().await?;
    ensure!(status.success(), "the supervisor ended with {status}");
    let alive = stage.town.tmux().sessions().len();
    ensure!(alive == AGENTS, "of {AGENTS} sessions only {alive} outlived the supervisor");
    Ok(took)
}
