//! The machine, and the cost of the stand-ins on it: the context of all figures.

use std::{
    fs,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::json;

use crate::{
    limits::{self, LimitedCommand},
    stage,
    table::median_and_max,
    tmux,
    town::Town,
};

/// So many stand-ins are started one after the other.
const STARTS: usize = 50;

/// Prints it.
pub fn show() -> anyhow::Result<()> {
    let tmux = tmux::version()?;
    println!("machine    {}", cpu());
    println!("system     {} · {tmux}", kernel());
    let town = Town::build(&[], json!({}))?;
    let (alone, _) = median_and_max((0..STARTS).map(|_| one(&town)).collect::<Result<Vec<_>, _>>()?);
    println!("stand-ins  one starts, shows its prompt and ends in {alone:.1?}");
    let session = sessions(&town)?;
    println!("           a session with one costs tmux itself {session:.1?}");
    Ok(())
}

fn cpu() -> String {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    let model = model.map_or("CPU of unknown model".to_owned(), |(_, model)| model.trim().to_owned());
    format!("{model}, {cores} core{}", if cores == 1 { "" } else { "s" })
}

fn kernel() -> String {
    let child = Command::new("uname").arg("-sr").stdout(Stdio::piped()).spawn();
    child.ok().and_then(limits::try_output_of).map_or_else(
        || "system of unknown name".to_owned(),
        |output| String::from_utf8_lossy(&output.stdout).trim().to_owned(),
    )
}

/// A stand-in without a terminal ends as soon as it has shown its prompt and found nothing to read.
fn one(town: &Town) -> anyhow::Result<Duration> {
    let began = Instant::now();
    let mut command = Command::new(town.bin().join("claude"));
    command.stdin(Stdio::null()).stdout(Stdio::null()).limited_status();
    Ok(began.elapsed())
}

/// Made in the server by itself, all in one go.
fn sessions(town: &Town) -> anyhow::Result<Duration> {
    let first = Command::new("tmux")
        .args(["-f", "/dev/null", "-S"])
        .arg(town.tmux().socket())
        .args(["new-session", "-d", "-s", "first", "exec sleep 600"])
        .env("PATH", town.path())
        .env_remove("TMUX")
        .limited_status();
    anyhow::ensure!(first.success(), "tmux cannot make a session: {first}");
    let began = Instant::now();
    stage::fill(town, (0..STARTS).map(|number| ("rig".to_owned(), number)))?;
    Ok(began.elapsed() / u32::try_from(STARTS).unwrap_or(u32::MAX))
}
