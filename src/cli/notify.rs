//! `notify --test`: sends one alert to each configured channel, and says which accepted it.

use std::{path::Path, process::ExitCode};

use anyhow::Context;
use clap::Args;
use serde_json::json;

use super::{
    say,
    town::{TownArgument, asked},
};
use crate::{
    alerts::{Alert, Channel, Kind, VERSION, pace},
    clock::{Clock, SystemClock},
    commands::Command,
    network::https::Https,
    ports::Jitter,
    service::{adapters, own_town},
    terminal,
    town::{dialect::Dialect, files::Disk},
    tree::town_reading::{self, LastValid},
    watchers::alerts::sending::{self, Outside},
};

/// Sends a test alert to each configured channel.
#[derive(Debug, Args)]
#[command(after_help = "\
Works without a running supervisor. notify.heartbeat_url is not requested: that would say that a supervisor lives.

Exit codes: 0 every channel accepted it, 1 one did not, or none is configured.

Example:
  gastown-supervisor notify --test --town ~/gt")]
pub struct NotifyArguments {
    /// Send a test alert
    #[arg(long, required = true)]
    test: bool,
    #[command(flatten)]
    town: TownArgument,
}

/// Sends the test alert, and prints a line for each channel.
pub fn notify(arguments: &NotifyArguments) -> anyhow::Result<ExitCode> {
    let paths = arguments.town.paths()?;
    let (lines, failed) = asked(async {
        let settings = match paths.agents_file() {
            Some(file) => own_town::read(&Disk, &file).await.map(|town| town.settings),
            None => {
                let read = town_reading::read_settings(&Disk, &paths).await;
                read.resolve(Dialect::default(), &mut LastValid::default()).0
            }
        };
        let settings = settings.map_err(anyhow::Error::msg).context("no alert was sent")?;
        let (network, commands) = (Https::default(), adapters::commands(&paths));
        let outside =
            Outside { network: &network, commands: &commands, settings: &settings, root: paths.root() };
        Ok(try_all(outside, paths.shown(&paths.settings_file())).await)
    })?;
    for line in &lines {
        say(line)?;
    }
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// A line for each channel, and whether one failed; `file` is the one with the settings.
async fn try_all(outside: Outside<'_>, file: &Path) -> (Vec<String>, bool) {
    let settings = outside.settings;
    let alert = alert(outside);
    let (mut lines, mut failed) = (Vec::new(), false);
    for channel in Channel::of(&settings.notify) {
        let target = sending::target(settings, channel);
        lines.push(match sending::deliver(outside, channel, &alert).await {
            Ok(answer) => format!("{channel} ({target}): accepted ({answer})"),
            Err(failure) => {
                failed = true;
                format!("{channel} ({target}): failed: {}", failure.text)
            }
        });
    }
    if let Some(line) = &settings.notify.command {
        lines.push(match run(outside, line, &alert).await {
            Ok(()) => "notify.command: accepted (exit code 0)".to_owned(),
            Err(error) => {
                failed = true;
                format!("notify.command: failed: {error}")
            }
        });
    }
    if lines.is_empty() {
        failed = true;
        lines.push(format!(
            "no channel is configured: set notify.webhook, notify.ntfy, notify.desktop or notify.command in {}",
            terminal::path(file)
        ));
    }
    if let Some(url) = &settings.notify.heartbeat_url {
        lines.push(format!("notify.heartbeat_url ({url}): not requested, as only a running supervisor may"));
    }
    (lines, failed)
}

fn alert(outside: Outside<'_>) -> Alert {
    let at = SystemClock::new().now().wall;
    Alert {
        version: VERSION,
        id: Jitter::fresh().uuid(),
        at,
        kind: Kind::Test,
        severity: Kind::Test.severity(),
        summary: "This is a test: alerts of gastown-supervisor arrive here.".to_owned(),
        town: outside.root.to_string_lossy().into_owned(),
        host: outside.network.host(),
        agents: Vec::new(),
        attach: None,
        resolved: false,
        event: pace::event(at, Kind::Test.code(), json!({})),
    }
}

/// Runs `notify.command` with the event, as the supervisor does.
async fn run(outside: Outside<'_>, line: &str, alert: &Alert) -> Result<(), String> {
    let ran = outside.commands.run(Command {
        program: "sh".to_owned(),
        arguments: vec!["-c".to_owned(), line.to_owned()],
        directory: outside.root.to_owned(),
        environment: outside.settings.env.clone(),
        input: Some(format!("{}\n", alert.event).into_bytes()),
        limit: outside.settings.notify.timeout,
    });
    ran.await.map(drop).map_err(|error| error.to_string())
}
