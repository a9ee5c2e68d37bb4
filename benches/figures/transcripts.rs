//! What it costs to hear what an agent is doing when its transcript changed: reading the end of a large file, and judging it.

use std::{fs, io::Write, time::Instant};

use gastown_supervisor::{
    agent::{
        activity::transcript::{TAILS, Verdict, judge},
        program::Provider,
    },
    town::usage_limit::UsageLimits,
    transcripts::{Transcripts, disk::DiskTranscripts},
};

use crate::table::{Row, Spread, millis};

/// The size of the file, in bytes; most of it is a hole.
const SIZE: u64 = 1 << 30;

/// Reads and judges 1000 times, with `quick` 100 times.
pub async fn measure(quick: bool) -> anyhow::Result<Vec<Row>> {
    let times = if quick { 100 } else { 1000 };
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("transcript.jsonl");
    let mut file = fs::File::create(&path)?;
    file.set_len(SIZE)?;
    drop(file);
    file = fs::OpenOptions::new().append(true).open(&path)?;
    file.write_all(b"\n")?;
    let text = "x".repeat(2000);
    // The whole of what is read consists of records that say nothing: the most that there is to judge.
    for _ in 0..TAILS[1] / text.len() {
        writeln!(file, r#"{{"type":"summary","timestamp":"2026-02-02T08:00:00Z","summary":"{text}"}}"#)?;
    }
    let (disk, limits) = (DiskTranscripts::new(), UsageLimits::default());
    let (mut reads, mut judgements) = (Vec::new(), Vec::new());
    for _ in 0..times {
        let began = Instant::now();
        let tail = disk.tail(&path, TAILS[1]).await?;
        reads.push(began.elapsed());
        let began = Instant::now();
        anyhow::ensure!(judge(Provider::Claude, &tail, &limits) == Verdict::TooShort, "it says something");
        judgements.push(began.elapsed());
    }
    let row = |figure: &str, spread: Spread| Row {
        figure: figure.to_owned(),
        measured: spread.to_string(),
        target: "≤ 1 ms",
        met: millis(spread.p50) <= 1.0,
        original: "",
    };
    Ok(vec![
        row("the last 256 KiB of a transcript of 1 GB are read", Spread::of(reads)),
        row("… and judged, where no record says anything", Spread::of(judgements)),
    ])
}
