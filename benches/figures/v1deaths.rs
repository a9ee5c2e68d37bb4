//! Deaths in a town of Gas Town 1.x, one after the other: witnesses are killed and started again through a `gt` that
//! takes its time.
//!
//! Each witness dies once, so that no restart has to wait for another, and the next dies when the one before is back. The
//! settings are the defaults except for the number of deaths in a mass death.

use std::{
    fs,
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use rustix::process::Signal;
use serde_json::json;

use crate::{
    costs,
    stage::{Stage, gt_takes, rig, town_v1},
    supervisor::signal,
    table::{Row, median_and_max},
    town::Town,
};

/// What `gt` takes to start an agent, besides what tmux takes.
const START: Duration = Duration::from_secs(1);
const TARGET: Duration = Duration::from_millis(2500);
/// Between the return of one and the death of the next; also after everything has started.
const APART: Duration = Duration::from_millis(500);
const LIMIT: Duration = Duration::from_secs(60);

/// From the signal to the new session's agent, which notes that it has begun; and to the end of the start.
pub async fn measure(quick: bool) -> anyhow::Result<Vec<Row>> {
    let deaths = if quick { 5 } else { 20 };
    let settings = json!({"boot": {"enabled": false}, "deaths": {"threshold": 1000}});
    let mut stage = Stage::supervise(town_v1(deaths, settings, Duration::ZERO, &json!({}))?, &[])?;
    stage.stands(2 * deaths + 2).await?;
    gt_takes(&stage.town, START)?;
    let (mut lives, mut over) = (Vec::new(), Vec::new());
    for rig in (1..=deaths).map(rig) {
        tokio::time::sleep(APART).await;
        let session = format!("{rig}-witness");
        let pid =
            *stage.town.tmux().sessions().get(&session).with_context(|| format!("{session} is missing"))?;
        let from = stage.supervisor.said();
        let before = begun(&stage.town, &session)?;
        let killed = Instant::now();
        signal(pid, Signal::KILL);
        while begun(&stage.town, &session)? == before {
            if killed.elapsed() > LIMIT {
                bail!("{rig}/witness did not come back within {LIMIT:?}");
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        lives.push(killed.elapsed());
        stage.says_since(from, 1, &format!("{rig}/witness: started in ")).await?;
        over.push(killed.elapsed());
    }
    let ((middle, longest), (up, _)) = (median_and_max(lives), median_and_max(over));
    Ok(vec![
        Row {
            figure: format!(
                "1.x: a witness's death to its new session with a live agent: median (longest) of {deaths}"
            ),
            measured: format!("{:.2} s ({:.2} s)", middle.as_secs_f64(), longest.as_secs_f64()),
            target: "≤ 2.5 s",
            met: middle <= TARGET,
            original: "",
        },
        Row {
            figure: "  … until `gt` has ended, and the supervisor has seen the agent".to_owned(),
            measured: format!("{:.2} s", up.as_secs_f64()),
            target: "",
            met: true,
            original: "",
        },
        costs::of_a_start_by_gt(START).await?,
    ])
}

/// How often the agent of a witness's session has begun: its actor is written like the session.
fn begun(town: &Town, actor: &str) -> anyhow::Result<usize> {
    let path = town.root().join("demo/begun.log");
    let text = fs::read_to_string(&path).with_context(|| format!("{} cannot be read", path.display()))?;
    Ok(text.lines().filter(|line| line.split_whitespace().next() == Some(actor)).count())
}
