//! What the supervisor runs in a town of Gas Town 1.x in which nothing happens: two rigs with two polecats each, all at
//! work, default settings.
//!
//! The original's figures are lower bounds, derived from its log (`tests/fixtures/v1/files/log.original.bd103.txt`), of a town
//! with two rigs as well. While Dolt was down, it logged each `bd show` of a rig that failed: eight in a heartbeat
//! (every 3 min), and two in each look for closed beads (every 5 s). It reads the deacon's inbox in each heartbeat and lists
//! convoys every 30 s by `gt`.

use std::{
    collections::BTreeMap,
    fs,
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use serde_json::json;

use crate::{
    limits,
    stage::{Stage, bead_v1, rig, town_v1},
    table::Row,
    town::Town,
};

const RIGS: usize = 2;
const POLECATS: usize = 2;
/// Until what is begun after a start is over.
const SETTLE: Duration = Duration::from_secs(20);

/// All runs noted by the stand-ins in a time that contains one heartbeat.
pub async fn measure(quick: bool) -> anyhow::Result<Vec<Row>> {
    let time = Duration::from_secs(if quick { 60 } else { 180 });
    let work = |rig: &str| (1..=POLECATS).map(|number| format!("{rig}-{number}")).collect::<Vec<_>>();
    let mut beads = json!({});
    for rig in (1..=RIGS).map(rig) {
        beads[&rig] = work(&rig).iter().map(|id| bead_v1(id, "open")).collect();
    }
    let mut stage = Stage::supervise(town_v1(RIGS, json!({}), Duration::ZERO, &beads)?, &[])?;
    stage.stands(2 * RIGS + 2).await?;
    for rig in (1..=RIGS).map(rig) {
        for id in work(&rig) {
            stage.town.gt(&format!("gt sling {id} {rig}")).await?;
        }
    }
    tokio::time::sleep(SETTLE).await;
    let before = noted(&stage.town)?.len();
    let began = Instant::now();
    while began.elapsed() < time {
        tokio::time::sleep(Duration::from_secs(10).min(time.saturating_sub(began.elapsed()))).await;
        limits::moved(); // nothing happens, and that is as it should be
    }
    let lines = noted(&stage.town)?.split_off(before);
    let there = stage.town.tmux().sessions();
    ensure!(there.len() >= 2 * RIGS + 2 + RIGS * POLECATS, "not all agents run: {there:?}");
    let mut each: BTreeMap<&str, usize> = BTreeMap::new();
    lines.iter().for_each(|line| *each.entry(line).or_default() += 1);
    eprintln!("run in {} s while idle: {each:#?}", time.as_secs());
    let an_hour = |program: &str| {
        let runs = lines.iter().filter(|line| line.split_whitespace().next() == Some(program)).count();
        format!("{:.0}", runs as f64 * 3600.0 / time.as_secs_f64())
    };
    Ok(vec![
        Row {
            figure: format!(
                "1.x: runs of `bd` an hour, idle with {RIGS} rigs of {POLECATS} polecats at work"
            ),
            measured: an_hour("bd"),
            target: "",
            met: true,
            original: "≥ 1600",
        },
        Row {
            figure: "  … of `gt`".to_owned(),
            measured: an_hour("gt"),
            target: "",
            met: true,
            original: "≥ 140",
        },
    ])
}

/// The commands that were run so far.
fn noted(town: &Town) -> anyhow::Result<Vec<String>> {
    let path = town.root().join("demo/commands.log");
    let text = fs::read_to_string(&path).with_context(|| format!("{} cannot be read", path.display()))?;
    Ok(text.lines().map(str::to_owned).collect())
}
