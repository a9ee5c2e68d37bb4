//! A page that is open: how soon a change reaches it among 400 agents, and what it costs while nothing happens.
//!
//! The page's part is played by a client of the event stream that reads all of it. Measured is from the kill of an agent to the event
//! that says that it is not alive.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    net::{
        TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
};

use crate::{
    process::Usage,
    stage::{Stage, rig},
    table::{Row, Spread, millis},
};

const RIGS: usize = 200;
const AGENTS: usize = 2 * RIGS + 1;
/// Until all is quiet.
const SETTLE: Duration = Duration::from_secs(20);
/// How long an event may take at most.
const LIMIT: Duration = Duration::from_secs(20);

/// The event stream of a supervisor.
struct Page {
    lines: Lines<BufReader<OwnedReadHalf>>,
    _asks: OwnedWriteHalf,
}

impl Page {
    async fn open(port: u16) -> anyhow::Result<Page> {
        let (reads, mut asks) = TcpStream::connect(("127.0.0.1", port)).await?.into_split();
        let request = format!("GET /v1/events HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n");
        asks.write_all(request.as_bytes()).await?;
        Ok(Page { lines: BufReader::new(reads).lines(), _asks: asks })
    }

    /// Waits for the event in which this agent has another state than `alive`, or is `alive` again.
    async fn until(&mut self, agent: &str, is_alive: bool) -> anyhow::Result<Instant> {
        let reading = async {
            while let Some(line) = self.lines.next_line().await? {
                let at = Instant::now();
                let Some(data) = line.strip_prefix("data: ").filter(|data| data.contains(agent)) else {
                    continue;
                };
                let data: Value = serde_json::from_str(data)?;
                let agents = data["agents"].as_array().into_iter().flatten();
                if agents.filter(|it| it["identity"] == agent).any(|it| (it["state"] == "alive") == is_alive)
                {
                    return Ok(at);
                }
            }
            anyhow::bail!("the stream ended")
        };
        tokio::time::timeout(LIMIT, reading).await.context("no event")?
    }
}

/// With one page, and without.
pub async fn measure(quick: bool) -> anyhow::Result<Vec<Row>> {
    let (deaths, time) = if quick { (20, 15) } else { (100, 60) };
    let time = Duration::from_secs(time);
    let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let settings = json!({"http": {"listen": format!("127.0.0.1:{port}")}});
    let mut stage = Stage::set(RIGS, settings, &[])?;
    stage.stands(AGENTS).await?;
    tokio::time::sleep(SETTLE).await;

    let without = Usage::over(stage.supervisor.pid(), time).await?.cpu_percent();
    let mut page = Page::open(port).await?;
    // The snapshot names all agents.
    page.until(&format!("{}/witness", rig(1)), true).await?;
    let with = Usage::over(stage.supervisor.pid(), time).await?.cpu_percent();

    let mut times = Vec::new();
    for number in 0..deaths {
        let agent = format!("{}/witness", rig(1 + number % RIGS));
        let session = format!("gt-{}-witness", rig(1 + number % RIGS));
        let pid = stage.town.tmux().sessions().get(&session).copied().context("the witness does not run")?;
        let pid = Pid::from_raw(pid.cast_signed()).context("no process has this id")?;
        let began = Instant::now();
        kill_process(pid, Signal::KILL)?;
        times.push(page.until(&agent, false).await?.duration_since(began));
        page.until(&agent, true).await?;
    }
    ensure!(times.len() == deaths, "not all deaths were seen");
    let spread = Spread::of(times);
    let more = (with - without).max(0.0);
    Ok(vec![
        Row {
            figure: format!("a page open, {AGENTS} agents: death to event, p50, p99 of {deaths}"),
            measured: format!("{:.1}, {:.1} ms", millis(spread.p50), millis(spread.p99)),
            target: "p99 ≤ 100 ms",
            met: spread.p99 <= Duration::from_millis(100),
            original: "–",
        },
        Row {
            figure: format!("  … CPU while nothing happens, over {} s", time.as_secs()),
            measured: format!("{with:.3} %, without {without:.3} %"),
            target: "≤ 0.1 % more",
            met: more <= 0.1,
            original: "–",
        },
    ])
}
