//! Mass deaths: 100 polecats with work killed in one go, and a tmux server killed with everything in it.
//!
//! The settings are the defaults; the quick run has a shorter window, as the follow-up comes a window after its alert.

use std::{collections::BTreeSet, fs, time::Duration};

use anyhow::{Context, ensure};
use jiff::Timestamp;
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::{
    deaths::between,
    stage::{Stage, fill, rig, town_with_bd},
    supervisor::signal,
    table::{Row, millis},
};

const RIGS: usize = 20;
/// A rig.
const POLECATS: usize = 5;
const VICTIMS: usize = RIGS * POLECATS;
/// How long the starts before it may keep everybody busy.
const SETTLE: Duration = Duration::from_secs(5);

const ENDED: &str = ": end reported: ";
const STARTING: &str = ": starting claude in session ";
const ALERT: &str = "MASS DEATH DETECTED";

/// Both.
pub async fn measure(quick: bool) -> anyhow::Result<Vec<Row>> {
    let mut rows = sessions(quick).await?;
    rows.extend(server(quick).await?);
    Ok(rows)
}

fn settings(quick: bool) -> Value {
    if quick { json!({"deaths": {"window": "3s"}}) } else { json!({}) }
}

async fn sessions(quick: bool) -> anyhow::Result<Vec<Row>> {
    let town = town_with_bd(RIGS, settings(quick))?;
    for number in 1..=RIGS {
        for polecat in 1..=POLECATS {
            let rig = rig(number);
            town.employ(&rig, &format!("toast{polecat}"), &format!("{rig}-work{polecat}"))?;
        }
    }
    let mut stage = Stage::supervise(town, &[])?;
    stage.stands(2 * RIGS + 1 + VICTIMS).await?;
    tokio::time::sleep(SETTLE).await;

    let sessions = stage.town.tmux().sessions();
    let victims = sessions.into_iter().filter(|(name, _)| name.contains("-toast"));
    let (names, pids): (BTreeSet<String>, Vec<u32>) = victims.unzip();
    ensure!(names.len() == VICTIMS, "of {VICTIMS} polecats only {} run", names.len());
    let from = stage.supervisor.said();
    let killed = Timestamp::now();
    for pid in &pids {
        signal(*pid, Signal::KILL);
    }
    let shot = between(killed, Timestamp::now());
    let noticed = between(killed, stage.says_since(from, VICTIMS, ENDED).await?);
    let alert = between(killed, stage.says_since(from, 1, ALERT).await?);
    let follow_up = stage.says_since(from, 2, ALERT).await.ok().map(|at| between(killed, at));
    let told = Alerts::read(&stage)?;
    let named = told.named();
    Ok(vec![
        Row {
            figure: format!("{VICTIMS} sessions killed within {:.0} ms: the last one noticed", millis(shot)),
            measured: format!("{:.0} ms", millis(noticed)),
            target: "≤ 1 s",
            met: noticed <= Duration::from_secs(1),
            original: "",
        },
        Row {
            figure: "  … alerts, follow-ups and different sessions they name".to_owned(),
            measured: format!("1 + {}, {}", told.0.len().saturating_sub(1), named.len()),
            target: "1 + 1, 100",
            met: told.0.len() == 2 && named == names && told.count() == VICTIMS,
            original: "1, 3 of 5",
        },
        Row {
            figure: "  … the alert, and its follow-up (polecats are confirmed after 5 s)".to_owned(),
            measured: match follow_up {
                Some(follow_up) => format!("{:.1} s, {:.1} s", alert.as_secs_f64(), follow_up.as_secs_f64()),
                None => format!("{:.1} s, none", alert.as_secs_f64()),
            },
            target: "",
            met: true,
            original: "",
        },
    ])
}

/// The sessions each mass death in the event log names.
struct Alerts(Vec<Vec<String>>);

impl Alerts {
    fn read(stage: &Stage) -> anyhow::Result<Alerts> {
        let path = stage.town.root().join(".events.jsonl");
        let text = fs::read_to_string(&path).with_context(|| format!("{} cannot be read", path.display()))?;
        let events = text.lines().map(serde_json::from_str).collect::<Result<Vec<Value>, _>>()?;
        let sessions = |event: Value| {
            let names = event["payload"]["sessions"].as_array().cloned().unwrap_or_default();
            names.iter().filter_map(|name| name.as_str().map(str::to_owned)).collect()
        };
        Ok(Alerts(events.into_iter().filter(|event| event["type"] == "mass_death").map(sessions).collect()))
    }

    fn named(&self) -> BTreeSet<String> {
        self.0.iter().flatten().cloned().collect()
    }

    /// With those that are named twice.
    fn count(&self) -> usize {
        self.0.iter().map(Vec::len).sum()
    }
}

async fn server(quick: bool) -> anyhow::Result<Vec<Row>> {
    let rigs = if quick { 2 } else { 10 };
    let (agents, others) = (2 * rigs + 1, 100);
    let mut stage = Stage::supervise(town_with_bd(rigs, settings(quick))?, &[])?;
    stage.stands(agents).await?;
    fill(&stage.town, (0..others - agents).map(|number| (rig(1), number)))?;
    tokio::time::sleep(SETTLE).await;

    let pid = stage.town.tmux().run(&["display-message", "-p", "#{pid}"])?;
    let pid: u32 = pid.parse().with_context(|| format!("tmux says its process id is {pid:?}"))?;
    let from = stage.supervisor.said();
    let killed = Timestamp::now();
    signal(pid, Signal::KILL);
    let alert = between(killed, stage.says_since(from, 1, "mass death: tmux server died").await?);
    let first = between(killed, stage.says_since(from, 1, STARTING).await?);
    let last = between(killed, stage.says_since(from, agents, STARTING).await?);
    let all = between(killed, stage.says_since(from, agents, ": started in ").await?);
    let there = stage.town.tmux().sessions().len();
    ensure!(there == agents, "of {agents} agents only {there} are back");
    Ok(vec![
        Row {
            figure: format!("tmux server with {others} sessions killed: alert with its cause"),
            measured: format!("{:.2} s", alert.as_secs_f64()),
            target: "≤ 1.5 s",
            met: alert <= Duration::from_millis(1500),
            original: "",
        },
        Row {
            figure: format!("  … first and last of {agents} new sessions (2 s apart); all told what to do"),
            measured: format!(
                "{:.1} s, {:.1} s; {:.1} s",
                first.as_secs_f64(),
                last.as_secs_f64(),
                all.as_secs_f64()
            ),
            target: "without help",
            met: true,
            original: "",
        },
    ])
}
