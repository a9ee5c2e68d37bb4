//! `top` with 400 agents: how long a change takes from the supervisor's log to the terminal, and what a `top` in which nothing
//! changes costs the supervisor.
//!
//! `top` draws on a terminal of this benchmark's own. Agents are killed one after the other. The time at which something is drawn of
//! that is compared with the time of the log line with which the supervisor notices the death.

use std::{
    fs::File,
    io::Read,
    os::fd::OwnedFd,
    process::{Child, Command, Stdio},
    sync::mpsc::{Receiver, channel},
    time::Duration,
};

use anyhow::{Context, bail};
use jiff::Timestamp;
use rustix::{
    process::Signal,
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{Winsize, tcsetwinsize},
};
use serde_json::json;

use crate::{
    deaths::between,
    limits,
    process::Usage,
    stage::{Stage, rig, town},
    supervisor::signal,
    table::{Row, Spread},
};

const RIGS: usize = 20;
/// In each rig, without a session.
const POLECATS: usize = 18;
const RUNNING: usize = 2 * RIGS + 1;
/// Boot is one of them.
const AGENTS: usize = RUNNING + RIGS * POLECATS + 1;
/// Between two deaths: the restart of the one before is over.
const APART: Duration = Duration::from_millis(1500);
/// How long a change may take until this gives up.
const LIMIT: Duration = Duration::from_secs(10);
/// The most bytes with which it draws nothing but other ages of two agents.
const AGE: usize = 60;
/// Until the threads that were needed for the start have gone.
const SETTLE: Duration = Duration::from_secs(20);

/// The change, and the cost of none.
pub async fn measure(quick: bool) -> anyhow::Result<Vec<Row>> {
    let (rigs, time) = if quick { (10, 15) } else { (RIGS, 60) };
    let town = town(RIGS, json!({"deaths": {"threshold": 1000}}))?;
    for (number, polecat) in (1..=RIGS).flat_map(|rig| (1..=POLECATS).map(move |polecat| (rig, polecat))) {
        std::fs::create_dir_all(town.root().join(format!("{0}/polecats/p{polecat:02}/{0}", rig(number))))?;
    }
    let mut stage = Stage::supervise(town, &[])?;
    stage.stands(RUNNING).await?;
    tokio::time::sleep(SETTLE).await;
    let time = Duration::from_secs(time);
    let without = Usage::over(stage.supervisor.pid(), time).await?;
    limits::moved();
    let mut top = Top::begin(&stage)?;
    top.draws("agents:")?;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let drawn = top.bytes_until_now();
    let with = Usage::over(stage.supervisor.pid(), time).await?;
    let idle = top.bytes_until_now();
    limits::moved();
    eprintln!(
        "the first picture: {drawn} bytes; while nothing changed: {idle} bytes in {} s",
        time.as_secs()
    );

    let mut times = Vec::new();
    let sessions = stage.town.tmux().sessions();
    for (rig, role) in
        (1..=rigs).map(rig).flat_map(|rig| ["witness", "refinery"].map(|role| (rig.clone(), role)))
    {
        let who = format!("{rig}/{role}");
        let pid = sessions.get(&format!("gt-{rig}-{role}")).context("it does not run")?;
        let from = stage.supervisor.said();
        top.bytes_until_now();
        signal(*pid, Signal::KILL);
        let noticed = stage.says_since(from, 1, &format!("{who}: end reported: ")).await?;
        let drawn = top.draws_since(noticed)?;
        times.push(between(noticed, drawn));
        limits::moved();
        tokio::time::sleep(APART).await;
    }
    let (deaths, spread) = (times.len(), Spread::of(times));
    let (cpu, cpu_with) = (without.cpu_percent(), with.cpu_percent());
    Ok(vec![
        Row {
            figure: format!(
                "a change is on the screen of top, {AGENTS} agents: p50, p99 (longest) of {deaths}"
            ),
            measured: spread.to_string(),
            target: "p99 ≤ 100 ms",
            met: spread.p99 <= Duration::from_millis(100),
            original: "",
        },
        Row {
            figure: format!(
                "idle with {AGENTS} agents over {} s: CPU without, with an idle top",
                time.as_secs()
            ),
            measured: format!("{cpu:.3}, {cpu_with:.3} %"),
            target: "the same",
            met: cpu_with - cpu <= 0.05,
            original: "",
        },
        Row {
            figure: "  … voluntary context switches".to_owned(),
            measured: format!("{:.1}, {:.1} /s", without.switches_per_second(), with.switches_per_second()),
            target: "",
            met: true,
            original: "",
        },
    ])
}

/// A `top` that draws on a terminal of ours; ended on drop.
struct Top {
    child: Child,
    drawn: Receiver<(Timestamp, Vec<u8>)>,
    /// What people do at it.
    _terminal: OwnedFd,
}

impl Top {
    fn begin(stage: &Stage) -> anyhow::Result<Top> {
        // Not inherited: `top` ends when nobody has its terminal any more.
        let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
        grantpt(&terminal)?;
        unlockpt(&terminal)?;
        tcsetwinsize(&terminal, Winsize { ws_row: 40, ws_col: 120, ws_xpixel: 0, ws_ypixel: 0 })?;
        let name = ptsname(&terminal, Vec::new())?.into_string()?;
        let open = || File::options().read(true).write(true).open(&name);
        let mut command = Command::new(env!("CARGO_BIN_EXE_gastown-supervisor"));
        command.arg("top").arg("--town").arg(stage.town.root()).env("TERM", "xterm");
        command.stdin(open()?).stdout(open()?).stderr(Stdio::inherit());
        let child = command.spawn().context("top cannot be run")?;
        let (to, drawn) = channel();
        let mut output = File::from(terminal.try_clone()?);
        std::thread::spawn(move || {
            let mut bytes = [0; 65536];
            while let Ok(read @ 1..) = output.read(&mut bytes) {
                if to.send((Timestamp::now(), bytes[..read].to_vec())).is_err() {
                    return;
                }
            }
        });
        Ok(Top { child, drawn, _terminal: terminal })
    }

    /// When it drew this text.
    fn draws(&mut self, text: &str) -> anyhow::Result<Timestamp> {
        let mut all = Vec::new();
        while let Ok((at, bytes)) = self.drawn.recv_timeout(LIMIT) {
            all.extend(bytes);
            if String::from_utf8_lossy(&all).contains(text) {
                return Ok(at);
            }
        }
        bail!("top did not draw {text:?} within {LIMIT:?}, but {:?}", String::from_utf8_lossy(&all))
    }

    /// When it first drew more than an age since then.
    fn draws_since(&mut self, since: Timestamp) -> anyhow::Result<Timestamp> {
        while let Ok((at, bytes)) = self.drawn.recv_timeout(LIMIT) {
            if at >= since && bytes.len() > AGE {
                return Ok(at);
            }
        }
        bail!("top drew nothing within {LIMIT:?}")
    }

    /// How much it drew since it was last asked.
    fn bytes_until_now(&mut self) -> usize {
        self.drawn.try_iter().map(|(_, bytes)| bytes.len()).sum()
    }
}

impl Drop for Top {
    fn drop(&mut self) {
        limits::kill_and_wait(&mut self.child);
    }
}
