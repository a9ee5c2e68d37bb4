//! The cost of the ledger: how often `bd` is run in a heartbeat, and how long a heartbeat of a large town takes when
//! each run is slow.
//!
//! The stand-in `bd` notes its calls. Polecats are sessions with a stand-in each, alive and with work on their hooks.

use std::{
    fs,
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use serde_json::json;

use crate::{
    heartbeat::durations,
    process::cpu_of_waited_for,
    stage::{Stage, bead_v1, fill, rig, runs_noted, town_v1, town_with_bd},
    table::{Row, median_and_max, millis},
    town::{Generation, Town},
};

const RIGS: usize = 20;
const POLECATS: usize = 50;
const SCHEMA: &str = include_str!("../../tests/fixtures/convoy/beads_0.47.sql");
/// How long each run of `bd` takes in the large town.
const BD_TAKES: Duration = Duration::from_millis(100);
const TARGET: Duration = Duration::from_secs(5);
/// What is begun in the first heartbeats has to be over before anything is counted.
const SETTLE: Duration = Duration::from_secs(4);

/// The runs of `bd` for 1, 20 and 50 polecats in a rig, then the large town.
pub async fn measure(quick: bool) -> anyhow::Result<Vec<Row>> {
    let mut rows = Vec::new();
    for polecats in [1, 20, POLECATS] {
        rows.push(runs(polecats, if quick { 3 } else { 10 }).await?);
    }
    rows.extend(databases(if quick { 3 } else { 10 }).await?);
    let beats = if quick { 2 } else { 5 };
    rows.extend(large(peopled(RIGS, POLECATS, "15s")?, 2 * RIGS + 1, beats).await?);
    // The mayor is kept as well.
    rows.extend(large(peopled_v1(RIGS, POLECATS, "15s")?, 2 * RIGS + 2, beats).await?);
    Ok(rows)
}

/// A town whose polecats all have an agent bead, work on their hook and a worktree, before anything runs in it.
pub fn peopled(rigs: usize, polecats: usize, interval: &str) -> anyhow::Result<Town> {
    let town = town_with_bd(rigs, json!({"heartbeat": {"interval": interval}}))?;
    let beads = town.root().join("demo/beads");
    fs::create_dir_all(&beads)?;
    let now = jiff::Timestamp::now().to_string();
    // Each rig's beads in a database of its own, as `gt rig add` makes it.
    let route = |rig: String| {
        format!("{}\n", json!({"prefix": format!("{rig}-"), "path": format!("{rig}/mayor/rig")}))
    };
    fs::create_dir_all(town.root().join(".beads"))?;
    fs::write(town.root().join(".beads/routes.jsonl"), (1..=rigs).map(rig).map(route).collect::<String>())?;
    for rig in (1..=rigs).map(rig) {
        for name in (1..=polecats).map(|number| format!("p{number:02}")) {
            town.repository(&format!("{rig}/polecats/{name}/{rig}"))?;
            let (agent, work) = (format!("{rig}-{rig}-polecat-{name}"), format!("{rig}-{name}"));
            let bead = json!({"id": agent, "title": name, "status": "open", "issue_type": "agent", "labels": ["gt:agent"],
                "updated_at": now, "hook_bead": work, "agent_state": "working"});
            fs::write(beads.join(format!("{agent}.json")), bead.to_string())?;
            let bead = json!({"id": work, "title": "Fix it", "status": "hooked", "issue_type": "task", "updated_at": now});
            fs::write(beads.join(format!("{work}.json")), bead.to_string())?;
        }
    }
    Ok(town)
}

/// The same of Gas Town 1.x: the polecats' beads are in the town's database, their work in the rigs'.
fn peopled_v1(rigs: usize, polecats: usize, interval: &str) -> anyhow::Result<Town> {
    let (mut agents, mut beads) = (Vec::new(), json!({}));
    for rig in (1..=rigs).map(rig) {
        let mut works = Vec::new();
        for name in (1..=polecats).map(|number| format!("p{number:02}")) {
            let (id, work) = (format!("{rig}-polecat-{name}"), format!("{rig}-{name}"));
            let mut agent = bead_v1(&id, "open");
            agent["labels"] = json!(["gt:agent"]);
            agent["description"] = json!(format!(
                "{id}\n\nrole_type: polecat\nrig: {rig}\nagent_state: spawning\nhook_bead: {work}\ncleanup_status: null"
            ));
            let mut work = bead_v1(&work, "hooked");
            work["assignee"] = json!(format!("{rig}/polecats/{name}"));
            agents.push(agent);
            works.push(work);
        }
        beads[rig] = json!(works);
    }
    beads["hq"] = json!(agents);
    let town = town_v1(
        rigs,
        json!({"heartbeat": {"interval": interval}, "boot": {"enabled": false}}),
        Duration::ZERO,
        &beads,
    )?;
    for rig in (1..=rigs).map(rig) {
        for number in 1..=polecats {
            town.repository(&format!("{rig}/polecats/p{number:02}/{rig}"))?;
        }
    }
    Ok(town)
}

/// Has its agents come up, then its polecats, and then some quiet.
pub async fn staged(town: Town, agents: usize, rigs: usize, polecats: usize) -> anyhow::Result<Stage> {
    let mut stage = Stage::supervise(town, &[])?;
    stage.stands(agents).await?;
    let all = (1..=rigs).flat_map(|number| (1..=polecats).map(move |polecat| (rig(number), polecat)));
    fill(&stage.town, all)?;
    tokio::time::sleep(SETTLE).await;
    Ok(stage)
}

async fn runs(polecats: usize, beats: usize) -> anyhow::Result<Row> {
    let town = peopled(1, polecats, "2s")?;
    let mut stage = staged(town, 3, 1, polecats).await?;
    let from = stage.supervisor.said();
    stage.says_since(from, 1, "Heartbeat starting").await?;
    let before = bd_runs(&stage.town)?;
    let from = stage.supervisor.said();
    stage.says_since(from, beats, "Heartbeat starting").await?;
    let each = (bd_runs(&stage.town)? - before) as f64 / beats as f64;
    ensure!(each > 0.0, "bd must have been run at least once in {beats} heartbeats");
    Ok(Row {
        figure: format!("runs of `bd` in a heartbeat of one rig with {polecats} polecats at work"),
        measured: format!("{each:.1}"),
        target: "≤ 2 a rig + 3",
        met: each <= 5.0,
        original: "",
    })
}

/// The bead database of each rig, as `bd` 0.47 keeps it, with the same beads as the stand-in `bd` has.
fn with_databases(town: &Town, rigs: usize, polecats: usize) -> anyhow::Result<()> {
    let now = jiff::Timestamp::now().to_string();
    for rig in (1..=rigs).map(rig) {
        let beads = town.root().join(format!("{rig}/mayor/rig/.beads"));
        fs::create_dir_all(&beads)?;
        let database = rusqlite::Connection::open(beads.join("beads.db"))?;
        database.execute_batch(SCHEMA)?;
        let insert = "INSERT INTO issues (id, title, issue_type, status, hook_bead, agent_state, updated_at)
            VALUES (?1, 'T', ?2, ?3, ?4, ?5, ?6)";
        for name in (1..=polecats).map(|number| format!("p{number:02}")) {
            let (agent, work) = (format!("{rig}-{rig}-polecat-{name}"), format!("{rig}-{name}"));
            database.execute(insert, (&agent, "agent", "open", &work, "working", &now))?;
            database.execute(insert, (&work, "task", "hooked", "", "", &now))?;
        }
    }
    let database = rusqlite::Connection::open(town.root().join(".beads/beads.db"))?;
    database.execute_batch(SCHEMA)?;
    Ok(())
}

/// The town the original was measured in, with its databases: what a heartbeat's children cost.
async fn databases(beats: usize) -> anyhow::Result<Vec<Row>> {
    const RIGS: usize = 5;
    const POLECATS: usize = 10;
    let town = peopled(RIGS, POLECATS, "5s")?;
    with_databases(&town, RIGS, POLECATS)?;
    let mut stage = staged(town, 2 * RIGS + 1, RIGS, POLECATS).await?;
    let used = |stage: &Stage| {
        let used = cpu_of_waited_for(stage.supervisor.pid());
        used.context("the kernel does not tell what the supervisor's children used")
    };
    let from = stage.supervisor.said();
    stage.says_since(from, 1, "Heartbeat starting").await?;
    let before = (bd_runs(&stage.town)?, used(&stage)?);
    let from = stage.supervisor.said();
    stage.says_since(from, beats, "Heartbeat starting").await?;
    let runs = (bd_runs(&stage.town)? - before.0) as f64 / beats as f64;
    let cpu = (used(&stage)? - before.1) / beats as u32;
    Ok(vec![
        Row {
            figure: format!(
                "runs of `bd` in a heartbeat of {RIGS} rigs with {POLECATS} polecats, with its databases"
            ),
            measured: format!("{runs:.1}"),
            target: "none while nothing changes",
            met: runs == 0.0,
            original: "",
        },
        Row {
            figure: "  … processor time of all children in it".to_owned(),
            measured: format!("{:.0} ms", millis(cpu)),
            target: "≤ 0.5 s",
            met: cpu <= Duration::from_millis(500),
            original: "2.3 to 3.1 s",
        },
    ])
}

/// Both times: until the heartbeat is complete, which waits for no `bd`, and until all that it made `bd` run has ended.
async fn large(town: Town, agents: usize, beats: usize) -> anyhow::Result<Vec<Row>> {
    let (of_v1, original) = match town.generation() {
        Generation::January => ("", "103 s"),
        Generation::V1 => (" in a town of 1.x", ""),
    };
    fs::write(town.root().join("demo/delay-bd"), BD_TAKES.as_millis().to_string())?;
    let mut stage = staged(town, agents, RIGS, POLECATS).await?;
    let from = stage.supervisor.said();
    let (mut read, before) = (Vec::new(), bd_runs(&stage.town)?);
    for _ in 0..beats {
        let said = stage.supervisor.said();
        stage.says_since(said, 1, "Heartbeat starting").await?;
        let began = Instant::now();
        read.push(until_bd_rests(&stage.town, began).await?);
    }
    let (middle, longest) = median_and_max(durations(stage.supervisor.lines(from)));
    let runs = (bd_runs(&stage.town)? - before) as f64 / beats as f64;
    let (all_read, all_read_longest) = median_and_max(read);
    let shown = |middle, longest| format!("{:.0} ms ({:.0} ms)", millis(middle), millis(longest));
    let town = format!(
        "{RIGS} rigs with {POLECATS} polecats each{of_v1}, a `bd` that takes {} ms",
        BD_TAKES.as_millis()
    );
    Ok(vec![
        Row {
            figure: format!("heartbeat of {town}: median (longest) of {beats}"),
            measured: shown(middle, longest),
            target: "≤ 5 s",
            met: middle <= TARGET,
            original,
        },
        Row {
            figure: "  … until all that `bd` was asked in it is answered".to_owned(),
            measured: shown(all_read, all_read_longest),
            target: "≤ 5 s",
            met: all_read <= TARGET,
            original: "",
        },
        Row {
            figure: "  … runs of `bd` in it".to_owned(),
            measured: format!("{runs:.1}"),
            target: "≤ 2 a rig + 3",
            met: runs <= (2 * RIGS + 3) as f64,
            original: "",
        },
    ])
}

/// From `began` until the last run of `bd` has begun that another second shows no further one after.
async fn until_bd_rests(town: &Town, began: Instant) -> anyhow::Result<Duration> {
    const REST: Duration = Duration::from_secs(1);
    let (mut runs, mut last) = (bd_runs(town)?, began);
    while last.elapsed() < REST {
        tokio::time::sleep(Duration::from_millis(5)).await;
        let now = bd_runs(town)?;
        if now != runs {
            (runs, last) = (now, Instant::now());
        }
    }
    Ok(last.duration_since(began) + BD_TAKES)
}

fn bd_runs(town: &Town) -> anyhow::Result<usize> {
    runs_noted(town, "bd ")
}
