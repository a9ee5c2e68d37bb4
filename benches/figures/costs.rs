//! The time that the stand-ins, git, tmux and the kernel take while the supervisor replaces an agent: the part of the
//! figures that is not the supervisor's own.

use std::{
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{Pid, PidfdFlags, Signal, pidfd_open},
};
use serde_json::json;

use crate::{
    limits::{LimitedCommand, kill_and_wait},
    stage::{rig, town_v1},
    supervisor::signal,
    table::{Row, Spread},
    town::Town,
};

/// So many times each.
const TIMES: usize = 30;

/// In this town, by hand: one call of `bd`, one of git, and one session, made and dressed with nothing.
pub fn of_the_stand_ins(town: &Town) -> anyhow::Result<Vec<Row>> {
    let worktree = town.root().join(format!("{0}/polecats/toast/{0}", rig(1)));
    let run = |program: &str, arguments: &[&str]| {
        let mut command = Command::new(program);
        command.args(arguments).current_dir(&worktree).env("PATH", town.path()).env("GT_ROOT", town.root());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Ok::<_, anyhow::Error>(command.limited_status())
    };
    let show = timed(|_| {
        let shown = run("bd", &["show", &format!("{0}-{0}-polecat-toast", rig(1)), "--json"])?;
        ensure!(shown.success(), "the stand-in bd fails: {shown}");
        Ok(())
    })?;
    let fetch = timed(|_| {
        let fetched = run("git", &["fetch", "origin"])?;
        ensure!(!fetched.success(), "git fetch works, but there should be no remote");
        Ok(())
    })?;
    let claude = town.bin().join("claude").display().to_string();
    let session = timed(|number| {
        let name = format!("by-hand-{number}");
        town.tmux().run(&["new-session", "-d", "-s", &name, &format!("exec {claude}")]).map(drop)
    })?;
    Ok(vec![
        cost("one `bd show` of the stand-in (a polecat: two before, one `bd sync` after)", show),
        cost("one `git fetch` without a remote (refinery and polecat)", fetch),
        cost("one `tmux new-session` by hand", session),
    ])
}

/// How long the stand-in `gt` of 1.x takes to start a witness, alone in a town, when it is told to take `start`.
pub async fn of_a_start_by_gt(start: Duration) -> anyhow::Result<Row> {
    const TIMES: usize = 3;
    let town = town_v1(TIMES, json!({}), start, &json!({}))?;
    let mut times = Vec::new();
    for number in 1..=TIMES {
        let began = Instant::now();
        town.gt(&format!("gt witness start {}", rig(number))).await?;
        times.push(began.elapsed());
    }
    Ok(cost(&format!("one `gt witness start` of the stand-in by hand ({TIMES})"), Spread::of(times)))
}

/// From kill(2) to the readable pidfd of a process with nothing to clean up, without any runtime.
pub fn of_the_kernel() -> anyhow::Result<Row> {
    let times = (0..TIMES).map(|_| kernel_tells()).collect::<anyhow::Result<Vec<_>>>()?;
    Ok(cost("for comparison: kill(2) to the pidfd, in a plain process", Spread::of(times)))
}

fn kernel_tells() -> anyhow::Result<Duration> {
    let mut child = Command::new("sleep").arg("60").spawn().context("sleep cannot be run")?;
    let measured = (|| {
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw).context("no process id")?;
        let hold = pidfd_open(pid, PidfdFlags::empty()).context("the kernel gives no pidfd")?;
        let limit = Timespec { tv_sec: 10, tv_nsec: 0 };
        let began = Instant::now();
        signal(child.id(), Signal::KILL);
        let told = poll(&mut [PollFd::new(&hold, PollFlags::IN)], Some(&limit))?;
        ensure!(told == 1, "the kernel does not tell the end of a process");
        Ok(began.elapsed())
    })();
    kill_and_wait(&mut child);
    measured
}

fn timed(mut once: impl FnMut(usize) -> anyhow::Result<()>) -> anyhow::Result<Spread> {
    let mut times = Vec::new();
    for number in 0..TIMES {
        let began = Instant::now();
        once(number)?;
        times.push(began.elapsed());
    }
    Ok(Spread::of(times))
}

fn cost(what: &str, spread: Spread) -> Row {
    Row { figure: format!("  {what}"), measured: spread.to_string(), target: "", met: true, original: "" }
}
