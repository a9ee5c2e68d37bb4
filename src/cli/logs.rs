//! `logs`: the last lines of the log, and new ones as they are written; or what an agent's pane shows and showed.

use std::{
    io::{self, StdoutLock},
    os::fd::AsFd,
    path::PathBuf,
    process::ExitCode,
    sync::{Arc, atomic::AtomicBool},
};

use anyhow::{Context, anyhow};
use clap::Args;
use clap_complete::ArgValueCompleter;
use jiff::tz::TimeZone;
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
};
use signal_hook::{
    consts::{SIGINT, SIGTERM},
    flag::register_conditional_shutdown,
};

use super::{
    complain, completing,
    town::{TownArgument, asked},
};
use crate::{
    Client, ClientError,
    clock::{Clock, SystemClock},
    control::report::called,
    local_time::LocalTime,
    terminal::{self, Passed},
    town::log::tail::Tail,
};

/// How often to check for new lines.
const POLL: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };

/// Shows the end of the log, or of what an agent's pane shows.
///
/// The log is daemon/daemon.log, or .supervisor/supervisor.log in a town of one file; it is shown without a running supervisor, too. Of an agent that does not run, the last screen of
/// its last death is shown, where that was kept.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  gastown-supervisor logs -n 100 -f\n  gastown-supervisor logs toast -n 500"
)]
pub struct LogsArguments {
    /// The agent, in any spelling or by its own name; without one the log of the supervisor is shown
    #[arg(conflicts_with = "follow", add = ArgValueCompleter::new(completing::agents))]
    agent: Option<String>,
    #[command(flatten)]
    town: TownArgument,
    /// Number of lines
    #[arg(short = 'n', long, value_name = "N", default_value_t = 50)]
    lines: u64,
    /// Keep printing new lines until Ctrl-C, also across a rotation of the log
    #[arg(short, long)]
    follow: bool,
}

/// Prints the lines. A closed output is no error.
pub fn logs(arguments: &LogsArguments) -> anyhow::Result<ExitCode> {
    match &arguments.agent {
        Some(agent) => of_agent(&arguments.town.client()?, agent, arguments.lines),
        None => of_supervisor(arguments).map(|()| ExitCode::SUCCESS),
    }
}

/// What its pane shows and showed; else its last screen.
fn of_agent(client: &Client, agent: &str, lines: u64) -> anyhow::Result<ExitCode> {
    let lines = u16::try_from(lines).unwrap_or(u16::MAX).max(1);
    let running = asked(async {
        match client.session(agent, lines).await {
            Ok(found) => Ok(Some(found)),
            Err(ClientError::NotRunning(_)) => Ok(None),
            Err(error) => Err(error.into()),
        }
    })?;
    if let Some(shown) = running.as_ref().and_then(|found| found.lines.as_ref()) {
        shown.iter().try_for_each(|line| super::say(&terminal::one_line(line)))?;
        return Ok(ExitCode::SUCCESS);
    }
    let (name, code, why) = match &running {
        Some(found) if found.exists => (called(&found.identity), 0, "has no agent in its session"),
        Some(found) => (called(&found.identity), 0, "does not run"),
        None => (agent, super::NOT_RUNNING, "is not supervised, as no supervisor runs"),
    };
    let explained = asked(async {
        match client.explain(name).await {
            // Nothing is known of it, as nobody runs who could know.
            Err(ClientError::UnknownAgent(_)) if running.is_none() => Ok(client.explain_live(name).await?),
            explained => Ok(explained?.into_inner()),
        }
    })?;
    let died = explained.entries.iter().rev().find_map(|entry| {
        let death = entry.death.as_ref().filter(|death| !death.last_screen.is_empty())?;
        Some((entry.latest(), death))
    });
    let name = called(&explained.identity);
    let Some((at, death)) = died else {
        complain(&format!(
            "{name} {why}, and no last screen of it was kept; `explain {name}` says what is known"
        ));
        return Ok(ExitCode::from(code.max(1)));
    };
    let at = LocalTime::new(SystemClock::new().now().wall, &TimeZone::system()).time(at);
    complain(&format!("{name} {why}; this was on its screen when it died, {at}"));
    death.last_screen.iter().try_for_each(|line| super::say(&terminal::one_line(line)))?;
    Ok(ExitCode::from(code))
}

fn of_supervisor(arguments: &LogsArguments) -> anyhow::Result<()> {
    let path = arguments.town.paths()?.daemon_log();
    if arguments.follow {
        ends_by_signals()?;
    }
    let shown = terminal::path(&path);
    match show(path, arguments.lines, arguments.follow) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Err(anyhow!("there is no log yet: {shown} does not exist"))
        }
        shown_or_not => shown_or_not.with_context(|| format!("{shown} cannot be shown")),
    }
}

/// Makes Ctrl-C the regular end of a command that follows something.
pub fn ends_by_signals() -> anyhow::Result<()> {
    let always = Arc::new(AtomicBool::new(true));
    for signal in [SIGINT, SIGTERM] {
        register_conditional_shutdown(signal, 0, always.clone()).context("signals cannot be received")?;
    }
    Ok(())
}

fn show(path: PathBuf, lines: u64, follow: bool) -> io::Result<()> {
    let mut tail = Tail::last_lines(path, lines)?;
    let mut output = Passed::new(io::stdout().lock());
    loop {
        tail.pass_on(&mut output)?;
        if !follow || is_gone(output.to())? {
            return Ok(());
        }
    }
}

/// Waits for [`POLL`], or until the output is closed; returns whether it is closed.
pub fn is_gone(output: &StdoutLock<'_>) -> io::Result<bool> {
    // Errors and hangups are always reported.
    let mut outputs = [PollFd::from_borrowed_fd(output.as_fd(), PollFlags::empty())];
    match poll(&mut outputs, Some(&POLL)) {
        Ok(_) => {}
        Err(Errno::INTR) => return Ok(false),
        Err(error) => return Err(error.into()),
    }
    let [told] = outputs.map(|output| output.revents());
    if told.contains(PollFlags::NVAL) {
        // Some systems cannot poll a terminal, and return at once.
        let _ = poll(&mut [], Some(&POLL));
    }
    Ok(told.intersects(PollFlags::ERR | PollFlags::HUP))
}
