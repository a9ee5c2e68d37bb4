//! The cost of the supervisor while nothing happens: 100 healthy sessions, default settings.

use std::time::Duration;

use anyhow::ensure;
use serde_json::json;

use crate::{
    process::Usage,
    stage::{Stage, fill},
    table::Row,
};

const RIGS: usize = 20;
const AGENTS: usize = 2 * RIGS + 1;
const SESSIONS: usize = 100;
/// Until the threads that were needed for the start have gone (tokio lets them wait for 10 s) and all is quiet.
const SETTLE: Duration = Duration::from_secs(20);

/// From one heartbeat to the next: what one costs is in the figures.
const HEARTBEAT: Duration = Duration::from_secs(180);

/// All its threads, as the kernel counts them.
pub async fn measure(quick: bool) -> anyhow::Result<Vec<Row>> {
    let time = if quick { Duration::from_secs(15) } else { HEARTBEAT };
    let mut stage = Stage::set(RIGS, json!({}), &[])?;
    stage.stands(AGENTS).await?;
    fill(&stage.town, (0..SESSIONS - AGENTS).map(|number| ("r01".to_owned(), number)))?;
    tokio::time::sleep(SETTLE).await;

    let said = stage.supervisor.said();
    let usage = Usage::over(stage.supervisor.pid(), time).await?;
    let is_beat = |text: &&str| text.starts_with("Heartbeat ");
    let lines = stage.supervisor.lines(said).iter().map(|line| line.text.as_str());
    let lines: Vec<&str> = lines.filter(|text| !is_beat(text)).collect();
    if !lines.is_empty() {
        eprintln!("while idle, the supervisor said: {lines:#?}");
    }
    let there = stage.town.tmux().sessions().len();
    ensure!(there == SESSIONS, "there should be {SESSIONS} sessions, there are {there}");

    let (cpu, switches) = (usage.cpu_percent(), usage.switches_per_second());
    let memory = usage.resident_kib as f64 / 1024.0;
    Ok(vec![
        Row {
            figure: format!("idle with {SESSIONS} sessions over {} s: CPU", time.as_secs()),
            measured: format!("{cpu:.3} %"),
            target: "≤ 0.1 %",
            met: cpu <= 0.1,
            original: "0.33 %",
        },
        Row {
            figure: "  … resident memory".to_owned(),
            measured: format!("{memory:.1} MiB"),
            target: "≤ 20 MB",
            met: memory * 1.048_576 <= 20.0,
            original: "4.7 MB (24 in gt)",
        },
        Row {
            figure: "  … voluntary context switches".to_owned(),
            measured: format!("{switches:.1} /s"),
            target: "≤ 2 /s",
            met: switches <= 2.0,
            original: "80 /s",
        },
    ])
}
