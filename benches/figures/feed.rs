//! The feed: many events at once, by the length of the log; and the delay until one appears.
//!
//! The events are mixed as agents make them, three of four visible. The feed is read every 0.5 ms, so a time is too
//! long by at most that.

use std::{
    fmt::Write as _,
    fs::{File, OpenOptions},
    io::Write as _,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use crate::{
    process::{memory, reset_peak},
    stage::Stage,
    table::{Row, Spread, millis},
};

const LIMIT: Duration = Duration::from_secs(120);
/// Until what the start made the supervisor do is over.
const SETTLE: Duration = Duration::from_secs(3);
const LOOK: Duration = Duration::from_micros(500);
const MEBIBYTE: f64 = 1024.0 * 1024.0;

/// Bursts of growing length into one log, then single events at its end.
pub async fn measure(quick: bool) -> anyhow::Result<Vec<Row>> {
    let mut stage = Stage::set(1, json!({}), &[])?;
    stage.stands(3).await?;
    tokio::time::sleep(SETTLE).await;
    let mut log = Log::of(stage.town.root());
    log.tell("first")?;
    log.until_told("first").await?;
    let mut rows = Vec::new();
    let bursts: &[u64] = if quick { &[10_000, 100_000] } else { &[10_000, 100_000, 1_000_000] };
    for events in bursts {
        rows.extend(burst(&stage, &mut log, *events).await?);
    }
    rows.push(singles(&mut log, if quick { 50 } else { 300 }).await?);
    Ok(rows)
}

async fn burst(stage: &Stage, log: &mut Log, events: u64) -> anyhow::Result<Vec<Row>> {
    let (pid, last) = (stage.supervisor.pid(), format!("last-of-{events}"));
    reset_peak(pid)?;
    let before = memory(pid)?.resident_kib;
    let began = Instant::now();
    log.burst(events, &last)?;
    log.until_told(&last).await?;
    let took = began.elapsed();
    let grown = memory(pid)?.peak_kib.saturating_sub(before) as f64 / 1024.0;
    let each = took.as_secs_f64() * 1e6 / events as f64;
    let (target, met, original) = match events {
        100_000 => (
            "≤ 2 s, ≤ 20 MB",
            took <= Duration::from_secs(2) && grown * 1.048_576 <= 20.0,
            "27 % after 300 s, 170 MB",
        ),
        10_000 => ("", true, "41 s (slings alone)"),
        _ => ("the same for each", true, ""),
    };
    Ok(vec![Row {
        figure: format!("{events} mixed events appended at once: all in the feed (at its most more memory)"),
        measured: format!("{:.2} s, {each:.1} µs each ({grown:.1} MiB)", took.as_secs_f64()),
        target,
        met,
        original,
    }])
}

async fn singles(log: &mut Log, times: u32) -> anyhow::Result<Row> {
    let mut took = Vec::new();
    for number in 0..times {
        let name = format!("single-{number}");
        let began = Instant::now();
        log.tell(&name)?;
        log.until_told(&name).await?;
        took.push(began.elapsed());
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
    let spread = Spread::of(took);
    let length = log.file_length()? as f64 / MEBIBYTE;
    Ok(Row {
        figure: format!(
            "one event to its line, at the end of {length:.0} MiB: median, p99 (longest) of {times}"
        ),
        measured: spread.to_string(),
        target: "≤ 50 ms",
        met: millis(spread.p99) <= 50.0,
        original: "",
    })
}

/// The event log, as agents write it.
struct Log {
    log: PathBuf,
    feed: PathBuf,
    at: Timestamp,
    written: u64,
}

impl Log {
    fn of(town: &Path) -> Log {
        let at = Timestamp::now();
        Log { log: town.join(".events.jsonl"), feed: town.join(".feed.jsonl"), at, written: 0 }
    }

    /// Appends this many events at once, and one more that is the last.
    fn burst(&mut self, events: u64, last: &str) -> anyhow::Result<()> {
        let mut text = String::new();
        for _ in 0..events {
            self.event(&mut text)?;
        }
        self.append(&text)?;
        self.tell(last)
    }

    /// Appends one event of this kind.
    fn tell(&mut self, kind: &str) -> anyhow::Result<()> {
        self.append(&format!(
            "{{\"ts\":\"{}\",\"source\":\"gt\",\"type\":\"{kind}\",\"actor\":\"bench\",\"payload\":{{}},\"visibility\":\"feed\"}}\n",
            self.at.strftime("%Y-%m-%dT%H:%M:%SZ")
        ))
    }

    /// Ten a second.
    fn event(&mut self, text: &mut String) -> anyhow::Result<()> {
        let n = self.written;
        self.written += 1;
        if n.is_multiple_of(10) {
            self.at += SignedDuration::from_secs(1);
        }
        let (kind, payload) = match n % 5 {
            0 => ("sling", json!({"bead": format!("gt-{n}"), "target": format!("gastown/p{}", n % 50)})),
            1 => ("done", json!({"bead": format!("gt-{n}"), "branch": format!("polecat/p{}", n % 50)})),
            2 => (
                "mail",
                json!({"to": "gastown/witness", "subject": format!("Work {n} is ready to be looked at")}),
            ),
            3 => ("patrol_complete", json!({"rig": "gastown", "message": "all polecats are well"})),
            _ => ("session_start", json!({"session": format!("gt-gastown-p{}", n % 50)})),
        };
        let visibility = if n.is_multiple_of(4) { "audit" } else { "feed" };
        let ts = self.at.strftime("%Y-%m-%dT%H:%M:%SZ");
        writeln!(
            text,
            "{{\"ts\":\"{ts}\",\"source\":\"gt\",\"type\":\"{kind}\",\"actor\":\"gastown/polecats/p{}\",\"payload\":{payload},\"visibility\":\"{visibility}\"}}",
            n % 50
        )?;
        Ok(())
    }

    fn append(&self, text: &str) -> anyhow::Result<()> {
        let opened = OpenOptions::new().append(true).create(true).open(&self.log);
        let mut file = opened.with_context(|| format!("{} cannot be opened", self.log.display()))?;
        file.write_all(text.as_bytes())?;
        Ok(())
    }

    /// Waits until an event of this kind is the last in the feed.
    async fn until_told(&self, kind: &str) -> anyhow::Result<()> {
        let wanted = format!("\"type\":\"{kind}\"");
        let began = Instant::now();
        while !self.end_of_feed().contains(&wanted) {
            ensure!(began.elapsed() < LIMIT, "{kind} is not in the feed after {LIMIT:?}");
            tokio::time::sleep(LOOK).await;
        }
        Ok(())
    }

    fn end_of_feed(&self) -> String {
        let read = || -> std::io::Result<Vec<u8>> {
            let file = File::open(&self.feed)?;
            let mut end = vec![0; 400];
            let length = file.read_at(&mut end, file.metadata()?.len().saturating_sub(400))?;
            end.truncate(length);
            Ok(end)
        };
        String::from_utf8_lossy(&read().unwrap_or_default()).into_owned()
    }

    fn file_length(&self) -> anyhow::Result<u64> {
        Ok(std::fs::metadata(&self.log)?.len())
    }
}
