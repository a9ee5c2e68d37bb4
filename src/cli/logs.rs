//! `logs`: the last lines of the log, and new ones as they are written.

use std::{
    io::{self, StdoutLock},
    os::fd::AsFd,
    path::PathBuf,
    sync::{Arc, atomic::AtomicBool},
};

use anyhow::{Context, anyhow};
use clap::Args;
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
};
use signal_hook::{
    consts::{SIGINT, SIGTERM},
    flag::register_conditional_shutdown,
};

use super::town::TownArgument;
use crate::{
    terminal::{self, Passed},
    town::log::tail::Tail,
};

/// How often to check for new lines.
const POLL: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };

/// Shows the end of the log.
///
/// That is daemon/daemon.log. Works without a running supervisor.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  gastown-supervisor logs -n 100 -f")]
pub struct LogsArguments {
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
pub fn logs(arguments: &LogsArguments) -> anyhow::Result<()> {
    let path = arguments.town.paths()?.daemon_log();
    if arguments.follow {
        let always = Arc::new(AtomicBool::new(true));
        for signal in [SIGINT, SIGTERM] {
            register_conditional_shutdown(signal, 0, always.clone()).context("signals cannot be received")?;
        }
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
fn is_gone(output: &StdoutLock<'_>) -> io::Result<bool> {
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
