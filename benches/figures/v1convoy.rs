//! Convoys of Gas Town 1.x: a step is closed right after a look at the convoys, the worst moment, and the next is slung.

use std::time::{Duration, Instant};

use anyhow::ensure;
use serde_json::json;

use crate::{
    limits,
    stage::{Stage, bead_v1, rig, runs_noted, town_v1},
    table::{Row, median_and_max},
};

/// What `gt` takes to start an agent, besides what tmux takes.
const START: Duration = Duration::from_secs(1);
const TARGET: Duration = Duration::from_secs(35);
/// After a look has begun; it must be over.
const AFTER: Duration = Duration::from_secs(1);
/// How long no look may come.
const LIMIT: Duration = Duration::from_secs(90);

/// From the close to the end of `gt sling`, when the next step's polecat is up.
pub async fn measure(quick: bool) -> anyhow::Result<Vec<Row>> {
    let closes = if quick { 1 } else { 3 };
    let rig = rig(1);
    let steps: Vec<String> = (1..=closes + 1).map(|step| format!("{rig}-{step}")).collect();
    let mut beads: Vec<_> = steps.iter().map(|step| bead_v1(step, "open")).collect();
    for (bead, before) in beads.iter_mut().skip(1).zip(&steps) {
        bead["dependencies"] = json!([{"issue_id": bead["id"], "depends_on_id": before, "type": "blocks"}]);
    }
    let town = town_v1(1, json!({"boot": {"enabled": false}}), START, &json!({&rig: beads}))?;
    town.gt(&format!("gt convoy create Figures {}", steps.join(" "))).await?;
    let mut stage = Stage::supervise(town, &[])?;
    stage.says(1, &format!("slung {} to {rig}", steps[0])).await?;
    let mut times = Vec::new();
    for step in steps.windows(2) {
        let [closed, next] = step else { continue };
        let looks = looks(&stage)?;
        let waiting = Instant::now();
        while self::looks(&stage)? == looks {
            ensure!(waiting.elapsed() < LIMIT, "nobody looked at the convoys within {LIMIT:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        tokio::time::sleep(AFTER).await;
        let from = stage.supervisor.said();
        stage.town.run(&rig, &format!("bd close {closed}")).await?;
        let began = Instant::now();
        stage.says_since(from, 1, &format!("slung {next} to {rig}")).await?;
        times.push(began.elapsed());
        limits::moved();
    }
    let (middle, longest) = median_and_max(times);
    Ok(vec![Row {
        figure: format!(
            "1.x: a convoy's step is closed, until the next is slung: median (longest) of {closes}"
        ),
        measured: format!("{:.1} s ({:.1} s)", middle.as_secs_f64(), longest.as_secs_f64()),
        target: "≤ 35 s",
        met: longest <= TARGET,
        original: "14 s",
    }])
}

fn looks(stage: &Stage) -> anyhow::Result<usize> {
    runs_noted(&stage.town, "gt convoy stranded")
}
