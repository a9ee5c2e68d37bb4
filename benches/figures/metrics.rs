//! What `GET /metrics` costs in a large town: 20 rigs with 50 polecats at work each, and the agents above them.
//!
//! Each answer is asked for when the report of the one before is too old to serve it, so every one asks all actors.

use std::{
    io::{Read, Write},
    os::unix::net::UnixStream,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};

use crate::{
    ledger,
    process::cpu,
    table::{Row, Spread, millis},
};

const RIGS: usize = 20;
const POLECATS: usize = 50;
const TARGET: Duration = Duration::from_millis(5);
/// A report serves for 20 ms.
const PAUSE: Duration = Duration::from_millis(50);

/// From the connection to the end of the answer.
pub async fn measure(quick: bool) -> anyhow::Result<Vec<Row>> {
    let times = if quick { 50 } else { 300 };
    let town = ledger::peopled(RIGS, POLECATS, "5m")?;
    let stage = ledger::staged(town, 2 * RIGS + 1, RIGS, POLECATS).await?;
    let socket = stage.town.root().join("daemon/supervisor.sock");
    let text = until_all_live(&socket).await?;
    let (pid, mut took) = (stage.supervisor.pid(), Vec::new());
    let used_before = cpu(pid)?;
    for _ in 0..times {
        tokio::time::sleep(PAUSE).await;
        let began = Instant::now();
        ask(&socket)?;
        took.push(began.elapsed());
    }
    let used = cpu(pid)?.saturating_sub(used_before) / times;
    let spread = Spread::of(took);
    Ok(vec![
        Row {
            figure: format!(
                "`/metrics` with {} agents: p50, p99 (longest) of {times}",
                RIGS * POLECATS + 2 * RIGS + 1
            ),
            measured: spread.to_string(),
            target: "≤ 5 ms",
            met: spread.p50 <= TARGET,
            original: "",
        },
        Row {
            figure: "  … CPU time of the supervisor for one".to_owned(),
            measured: format!("{:.1} ms", millis(used)),
            target: "",
            met: true,
            original: "",
        },
        Row {
            figure: "  … lines, and size".to_owned(),
            measured: format!("{}, {:.0} KiB", text.lines().count(), text.len() as f64 / 1024.0),
            target: "",
            met: true,
            original: "",
        },
    ])
}

/// The page, once every polecat is known to live.
async fn until_all_live(socket: &Path) -> anyhow::Result<String> {
    let all = format!("gastown_supervisor_agents{{role=\"polecat\",state=\"alive\"}} {}.0", RIGS * POLECATS);
    let began = Instant::now();
    loop {
        let text = ask(socket)?;
        if text.lines().any(|line| line == all) {
            return Ok(text);
        }
        let agents = text.lines().filter(|line| line.starts_with("gastown_supervisor_agents"));
        let shown = || agents.collect::<Vec<_>>().join("\n");
        ensure!(began.elapsed() < Duration::from_secs(120), "not all agents live:\n{}", shown());
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

fn ask(socket: &Path) -> anyhow::Result<String> {
    let mut stream = UnixStream::connect(socket)?;
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: town\r\nConnection: close\r\nAccept: application/openmetrics-text\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").context("an answer without a body")?;
    ensure!(head.starts_with("HTTP/1.1 200") && body.ends_with("# EOF\n"), "no page: {head}");
    Ok(body.to_owned())
}
