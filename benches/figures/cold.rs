//! A cold start: nothing runs, not even a tmux server, and 20 rigs must come up.

use std::time::Duration;

use anyhow::ensure;
use jiff::Timestamp;
use serde_json::json;

use crate::{
    stage::{Stage, town},
    table::{Row, median_and_max},
};

const RIGS: usize = 20;
const AGENTS: usize = 2 * RIGS + 1;
const TARGET: Duration = Duration::from_secs(10);

/// From the supervisor's start to the last session's creation.
pub async fn measure(quick: bool) -> anyhow::Result<Vec<Row>> {
    let (mut sessions, mut ready) = (Vec::new(), Vec::new());
    for _ in 0..if quick { 1 } else { 3 } {
        let town = town(RIGS, json!({}))?;
        let began = Timestamp::now();
        let since = |then: Timestamp| Duration::try_from(then.duration_since(began)).unwrap_or_default();
        let mut stage = Stage::supervise(town, &[])?;
        sessions.push(since(stage.says(AGENTS, ": starting claude in session ").await?));
        let there = stage.town.tmux().sessions().len();
        ensure!(there == AGENTS, "of {AGENTS} sessions only {there} are there");
        ready.push(since(stage.says(AGENTS, ": started in ").await?));
    }
    let ((middle, longest), (told, _)) = (median_and_max(sessions), median_and_max(ready));
    Ok(vec![
        Row {
            figure: format!("{RIGS} rigs cold, until all {AGENTS} sessions exist: median (longest)"),
            measured: format!("{:.1} s ({:.1} s)", middle.as_secs_f64(), longest.as_secs_f64()),
            target: "≤ 10 s",
            met: longest <= TARGET,
            original: "379 s",
        },
        Row {
            figure: "  … until each has been told what to do".to_owned(),
            measured: format!("{:.1} s", told.as_secs_f64()),
            target: "",
            met: true,
            original: "",
        },
    ])
}
