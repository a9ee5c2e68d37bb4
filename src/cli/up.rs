//! `up`: has the agents of a town of one file run, as the file says: starts the supervisor, or has the one that runs read the file.
//!
//! It shows how each agent comes up, and starts and ends none itself.

use std::{collections::BTreeSet, path::Path, process::ExitCode, time::Duration};

use clap::Args;
use tokio::time::sleep;

use self::{
    progress::{Line, Progress},
    trial::{Now, would_do},
};
use super::{
    complain, duration, one_file, run, running_sessions, say,
    start::READY_WITHIN,
    town::{TownArgument, asked, is_of_this_file},
};
use crate::{
    Answer, Client, ServeOptions,
    agents_file::plan::Plan,
    clock::{Clock, SystemClock},
    commands::runner::Runner,
    go_duration, serve,
    service::{
        detach::{self, StartError, Started},
        running,
    },
    terminal,
    town::{
        files::{Disk, Files},
        paths::TownPaths,
    },
    tree::one_file::kept::{self, Kept},
};

mod progress;
mod trial;

/// How long to wait by default until all agents are up.
const UP_WITHIN: Duration = Duration::from_secs(120);
/// How often the supervisor is asked.
const POLL: Duration = Duration::from_millis(100);

/// Starts the agents of a town of one file, and keeps them running.
///
/// It checks the file, starts the supervisor in the background or has the one that runs read the file again, and returns when all
/// agents are up. Agents that run as the file says are not touched.
#[derive(Debug, Args)]
#[command(after_help = "\
Exit code: 0 if all agents are up, or are not to run now; 1 if the file has mistakes, or some agent is not up in time, which is named.

Examples:
  gastown-supervisor up --dry-run
  gastown-supervisor up")]
pub struct UpArguments {
    #[command(flatten)]
    town: TownArgument,
    /// Run the supervisor here until a signal, with its log on stderr
    #[arg(long, conflicts_with_all = ["dry_run", "timeout"])]
    foreground: bool,
    /// Say what would be started, restarted and ended, and do nothing
    #[arg(long)]
    dry_run: bool,
    /// How long to wait until all agents are up; the supervisor continues after that [default: 2m]
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    timeout: Option<Duration>,
}

/// Starts them. An error says why the supervisor could not, or everything that is wrong in the file.
pub fn up(arguments: &UpArguments) -> anyhow::Result<ExitCode> {
    let UpArguments { town, foreground, dry_run, timeout } = arguments;
    let (paths, file) = one_file::of(town, "up", "`start` starts its supervisor, `gt up` its agents")?;
    let plan = match asked(one_file::plan(&file)) {
        Ok(plan) => plan,
        Err(mistakes) => {
            complain(&format!("{mistakes:#}"));
            return Ok(ExitCode::FAILURE);
        }
    };
    if *foreground {
        let options = ServeOptions { town: None, file: Some(file), foreground: Some(run::format_here()) };
        // The messages contain their causes; a chain would repeat them.
        return serve(options).map_err(anyhow::Error::msg).map(|()| ExitCode::SUCCESS);
    }
    if *dry_run {
        return asked(try_it(&paths, &file, &plan)).map(|()| ExitCode::SUCCESS);
    }
    asked(bring_up(&paths, &plan, timeout.unwrap_or(UP_WITHIN)))
}

async fn bring_up(paths: &TownPaths, plan: &Plan, limit: Duration) -> anyhow::Result<ExitCode> {
    is_of_this_file(paths).await?;
    let clock = SystemClock::new();
    let begun = clock.now();
    let client = Client::of(paths.clone());
    let has_run = !matches!(running::is_free(paths).await, Ok(true));
    if plan.agents.is_empty() && !has_run {
        say("the file has no agents yet, nothing to start: uncomment some, or add your own")?;
        return Ok(ExitCode::SUCCESS);
    }
    let was_started = !has_run && started(paths, limit).await?;
    if !was_started {
        let reloaded = client.reload().await?;
        reloaded.next_start.map_or(Ok(()), |note| say(&note))?;
    }
    let mut progress = Progress::new(plan, begun.wall);
    let mut asked_for = BTreeSet::new();
    loop {
        let after = clock.now().since(begun);
        match client.status().await {
            Answer::Live(report) => {
                let report = terminal::report(&report)?;
                for name in
                    progress.to_start(&report).into_iter().filter(|name| asked_for.insert(name.clone()))
                {
                    client.ask_start(&name).await?;
                }
                print(progress.see(&report, &kept(paths).await, after))?;
            }
            Answer::Offline(_) => {
                anyhow::bail!("the supervisor has ended; `gastown-supervisor logs` says why")
            }
            Answer::Unresponsive(_, why) if after >= limit => anyhow::bail!("{why}"),
            Answer::Unresponsive(..) => {}
        }
        if progress.is_over() {
            break;
        }
        if after >= limit {
            print(progress.give_up(limit))?;
            break;
        }
        sleep(POLL).await;
    }
    match progress.summary() {
        Ok(text) => say(&text).map(|()| ExitCode::SUCCESS),
        Err(text) => {
            complain(&format!("Error: {text}"));
            Ok(ExitCode::FAILURE)
        }
    }
}

/// Starts a supervisor; false when another was faster.
async fn started(paths: &TownPaths, limit: Duration) -> anyhow::Result<bool> {
    match detach::start(paths, limit.max(READY_WITHIN)).await {
        Ok(Started { pid, complaints }) => {
            if !complaints.is_empty() {
                complain(&complaints);
            }
            say(&format!("supervisor started (PID {pid})"))?;
            Ok(true)
        }
        Err(StartError::AlreadyRunning { original: None, .. }) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

fn print(lines: Vec<Line>) -> anyhow::Result<()> {
    for line in lines {
        match line {
            Line::Said(text) => say(&text)?,
            Line::Fault(text) => complain(&text),
        }
    }
    Ok(())
}

/// What the agents took at their starts, as far as the supervisor has noted it.
async fn kept(paths: &TownPaths) -> Kept {
    let read = Disk.read(&kept::file(paths)).await;
    read.ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default()
}

/// Says what `up` would do now.
async fn try_it(paths: &TownPaths, file: &Path, plan: &Plan) -> anyhow::Result<()> {
    is_of_this_file(paths).await?;
    let socket = running_sessions::socket(&plan.socket, file);
    let sessions = running_sessions::on(&Runner::default(), &socket).await;
    let sessions = sessions.map_err(|why| anyhow::anyhow!("tmux cannot be asked what runs: {why}"))?;
    let sessions = sessions.iter().map(|session| session.name().to_owned()).collect();
    let client = Client::of(paths.clone());
    let report = match client.status().await {
        Answer::Live(report) => Some(terminal::report(&report)?),
        Answer::Offline(_) => None,
        Answer::Unresponsive(_, why) => anyhow::bail!("{why}"),
    };
    let now = Now { sessions, kept: kept(paths).await, report };
    would_do(plan, &now).iter().try_for_each(|line| say(line))
}

/// A duration for people, to a tenth of a second.
fn seconds(time: Duration) -> String {
    match time < Duration::from_secs(60) {
        true => format!("{:.1}s", time.as_secs_f64()),
        false => go_duration::short(time),
    }
}
