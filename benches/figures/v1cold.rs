//! A cold start of a town of Gas Town 1.x: 20 rigs come up through a `gt` that takes its time.

use std::time::{Duration, Instant};

use anyhow::ensure;
use serde_json::json;

use crate::{
    costs,
    stage::{Stage, town_v1},
    table::{Row, median_and_max},
};

const RIGS: usize = 20;
/// Also the deacon and the mayor.
const AGENTS: usize = 2 * RIGS + 2;
/// What `gt` takes to start an agent, besides what tmux takes.
const START: Duration = Duration::from_secs(1);
const TARGET: Duration = Duration::from_secs(15);
/// The interval at which tmux is asked for its sessions.
const LOOK: Duration = Duration::from_millis(100);
const LIMIT: Duration = Duration::from_secs(120);

/// From the supervisor's start to the last session's creation, with the default number of starts side by side.
pub async fn measure(quick: bool) -> anyhow::Result<Vec<Row>> {
    let (mut sessions, mut ready) = (Vec::new(), Vec::new());
    for _ in 0..if quick { 1 } else { 3 } {
        let town = town_v1(RIGS, json!({"boot": {"enabled": false}}), START, &json!({}))?;
        let began = Instant::now();
        let mut stage = Stage::supervise(town, &[])?;
        while stage.town.tmux().sessions().len() < AGENTS {
            ensure!(began.elapsed() < LIMIT, "not all {AGENTS} sessions exist after {LIMIT:?}");
            tokio::time::sleep(LOOK).await;
        }
        sessions.push(began.elapsed());
        stage.stands(AGENTS).await?;
        ready.push(began.elapsed());
    }
    let ((middle, longest), (up, _)) = (median_and_max(sessions), median_and_max(ready));
    Ok(vec![
        Row {
            figure: format!("1.x: {RIGS} rigs cold, until all {AGENTS} sessions exist: median (longest)"),
            measured: format!("{:.1} s ({:.1} s)", middle.as_secs_f64(), longest.as_secs_f64()),
            target: "≤ 15 s",
            met: longest <= TARGET,
            original: "",
        },
        Row {
            figure: "  … until `gt` has ended for the last, and the supervisor has seen its agent".to_owned(),
            measured: format!("{:.1} s", up.as_secs_f64()),
            target: "",
            met: true,
            original: "",
        },
        costs::of_a_start_by_gt(START).await?,
    ])
}
