//! `down`: has the supervisor of a town of one file end all agents, and then itself.
//!
//! It shows what becomes of each. Nothing is ended here: without a supervisor it only says what still runs.

use std::{path::Path, process::ExitCode, time::Duration};

use clap::Args;

use super::{
    NOT_RUNNING, complain, duration, one_file, running_sessions, say, stop,
    town::{TownArgument, asked, is_of_this_file},
};
use crate::{
    Client, ClientError,
    agents_file::plan::Plan,
    clock::{Clock, SystemClock},
    control::going_down::asked::Ended,
    service::running::{self, RunningError},
    terminal,
    town::paths::TownPaths,
    width,
};

/// How long to wait by default: each agent has its grace, and those that others wait for end after them.
const ENDED_WITHIN: Duration = Duration::from_secs(300);

/// Ends all agents of a town of one file, and then its supervisor.
///
/// The agents are ended in the reverse order of their starts, each with its stop signal and its grace, whatever they are doing. `up`
/// starts them again: nobody holds them, but for those that `stop NAME` has stopped.
#[derive(Debug, Args)]
#[command(after_help = "\
No supervisor running: exit code 3, and what still runs is named.

Examples:
  gastown-supervisor down
  gastown-supervisor down --keep-agents")]
pub struct DownArguments {
    #[command(flatten)]
    town: TownArgument,
    /// End only the supervisor; the agents keep running, and the next `up` takes them over
    #[arg(long)]
    keep_agents: bool,
    /// How long to wait; the supervisor continues after that [default: 5m]
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    timeout: Option<Duration>,
}

/// Ends them. An error says why that cannot be done.
pub fn down(arguments: &DownArguments) -> anyhow::Result<ExitCode> {
    let DownArguments { town, keep_agents, timeout } = arguments;
    let (paths, file) = one_file::of(town, "down", "`gt down` ends its agents, `stop` its supervisor")?;
    let timeout = timeout.unwrap_or(ENDED_WITHIN);
    asked(async {
        is_of_this_file(&paths).await?;
        let holder = match running::find(&paths).await {
            Err(RunningError::NotRunning { .. }) => return nobody(&paths, &file).await,
            holder => holder?,
        };
        if *keep_agents {
            return stop::stop_in(&paths, timeout).await.map(|()| ExitCode::SUCCESS);
        }
        end(&Client::of(paths.clone()), holder.pid(), timeout).await
    })
}

async fn end(client: &Client, pid: u32, timeout: Duration) -> anyhow::Result<ExitCode> {
    let clock = SystemClock::new();
    let begun = clock.now();
    let mut ended = 0_usize;
    let mut failed = Vec::new();
    let gone = client.down(timeout, |agent| {
        let line = line(agent, clock.now().since(begun));
        if is_ended(agent) {
            ended += usize::from(!had_ended(agent));
            // There is nowhere to report that standard output is closed.
            let _ = say(&line);
        } else {
            failed.push(one_file::called(&agent.identity));
            complain(&line);
        }
    });
    match gone.await {
        Ok(true) => {
            say(&format!("{} (PID {pid})", agents_ended(ended)))?;
            Ok(ExitCode::SUCCESS)
        }
        Ok(false) => {
            complain(&format!(
                "Error: not ended: {}; the supervisor (PID {pid}) keeps running. Retry with `down`, or start the others again with `up`",
                failed.join(", ")
            ));
            Ok(ExitCode::FAILURE)
        }
        Err(error @ ClientError::TimedOut(_)) => {
            complain(&format!("Error: {error}"));
            Ok(ExitCode::FAILURE)
        }
        Err(error) => Err(error.into()),
    }
}

fn is_ended(agent: &Ended) -> bool {
    agent.outcome.as_ref().is_some_and(|outcome| outcome.ok)
}

/// Whether it did not run when it was to be ended.
fn had_ended(agent: &Ended) -> bool {
    agent.outcome.as_ref().is_some_and(|outcome| outcome.code == "not_running")
}

fn agents_ended(count: usize) -> String {
    match count {
        0 => "no agent ran; the supervisor has ended".to_owned(),
        1 => "1 agent has ended, and so has the supervisor".to_owned(),
        count => format!("{count} agents have ended, and so has the supervisor"),
    }
}

/// The column of what is said of an agent.
const NAMES: usize = 12;

fn line(agent: &Ended, after: Duration) -> String {
    let name = terminal::one_line(&one_file::called(&agent.identity));
    let gap = " ".repeat(NAMES.saturating_sub(width::of(&name)).max(1));
    let what = match &agent.outcome {
        Some(_) if had_ended(agent) => "was not running".to_owned(),
        Some(outcome) if outcome.ok => format!("ended after {:.1}s", after.as_secs_f64()),
        Some(outcome) => format!("was not ended: {}", terminal::one_line(&outcome.text)),
        None => "left running: another agent depends on it and still runs".to_owned(),
    };
    format!("{name}{gap}{what}")
}

/// No supervisor runs: what of the agents still does, and what ends it.
async fn nobody(paths: &TownPaths, file: &Path) -> anyhow::Result<ExitCode> {
    complain(&RunningError::NotRunning { town: paths.root().to_owned() }.to_string());
    let plan = match one_file::plan(file).await {
        Ok(plan) => plan,
        Err(mistakes) => {
            complain(&format!("cannot tell which agents still run, as the file has mistakes:\n{mistakes}"));
            return Ok(ExitCode::from(NOT_RUNNING));
        }
    };
    match one_file::still_running(file, &plan).await {
        Ok(running) if running.is_empty() => say("none of its agents runs, either")?,
        Ok(running) => say(&left(file, &plan, &running))?,
        Err(why) => complain(&format!("which agents still run is not known: {}", terminal::one_line(&why))),
    }
    Ok(ExitCode::from(NOT_RUNNING))
}

fn left(file: &Path, plan: &Plan, running: &[(String, String)]) -> String {
    let socket = running_sessions::socket(&plan.socket, file);
    let option = one_file::option(file);
    let one = |(name, session): &(String, String)| {
        let target = format!("={session}:");
        let socket = socket.to_string_lossy();
        let command = shell_words::join(["tmux", "-S", &socket, "kill-session", "-t", &target]);
        format!("\n  {name}: {}", terminal::one_line(&command))
    };
    let each: String = running.iter().map(one).collect();
    format!(
        "still running, and nothing was ended: `gastown-supervisor up{option}` and then `down{option}` ends them, or, each by itself:{each}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::requests::Outcome;

    #[test]
    fn what_is_said_of_each() {
        let after = Duration::from_millis(1_240);
        for (outcome, expected) in [
            (Some(Outcome::done("stopped", "stopped, held")), "mayor       ended after 1.2s"),
            (Some(Outcome::done("not_running", "was not")), "mayor       was not running"),
            (
                Some(Outcome::failed("unclear", "tmux: no\u{1b}")),
                "mayor       was not ended: tmux: no\\u{1b}",
            ),
            (None, "mayor       left running: another agent depends on it and still runs"),
        ] {
            assert_eq!(line(&Ended { identity: "@mayor".into(), outcome }, after), expected);
        }
    }

    #[test]
    fn what_still_runs_and_what_ends_it() {
        let plan =
            Plan { socket: crate::agents_file::values::Socket::Path("/run/x".into()), ..Plan::default() };
        let running = [("a".to_owned(), "my work".to_owned())];
        let said = left(Path::new("/t/other.toml"), &plan, &running);
        assert!(
            said.contains("`gastown-supervisor up --file /t/other.toml` and then `down --file"),
            "{said}"
        );
        assert!(said.ends_with("\n  a: tmux -S /run/x kill-session -t '=my work:'"), "{said}");
    }
}
