//! One check of an agent's health: by a command, or by a request over HTTP.
//!
//! What could not be run, or says nothing about the agent, is unknown, and no failure. It must not decide what a result means.

use std::{collections::BTreeMap, net::IpAddr};

use crate::{
    agent::health::{Checked, last_line},
    commands::{Command, CommandError},
    go_duration,
    network::Request,
    ports::Ports,
    terminal,
    town::{
        settings::SecretUrl,
        standing::{Check, Health, Standing},
    },
};

/// The variables of an agent.
type Variables = BTreeMap<String, String>;

/// The program that runs the command of a check.
const SHELL: &str = "sh";
/// The exit codes by which a shell says that it did not run the command: it cannot be executed, or was not found.
const NOT_RUN: [i32; 2] = [126, 127];

/// A value of a variable that is at least this long may be a secret; a shorter one is in many words.
const MAY_BE_SECRET: usize = 8;

/// Makes the check. What it printed is kept without the values of the agent's variables.
pub(super) async fn make(ports: &Ports, standing: &Standing, health: &Health) -> Checked {
    match &health.check {
        Check::Command(line) => of_command(run(ports, standing, health, line).await, &standing.env),
        Check::Url(url) => ask(ports, health, url, &standing.env).await,
    }
}

/// The last line of what was printed, with the names of these variables in place of their values.
fn said(printed: &[u8], variables: &Variables) -> Option<String> {
    let mut long: Vec<_> = variables.iter().filter(|(_, value)| value.len() >= MAY_BE_SECRET).collect();
    // One value may be part of another.
    long.sort_by_key(|(_, value)| std::cmp::Reverse(value.len()));
    let printed = String::from_utf8_lossy(printed).into_owned();
    let hidden = long
        .into_iter()
        .fold(printed, |text, (name, value)| text.replace(value.as_str(), &format!("${name}")));
    last_line(hidden.as_bytes())
}

/// Runs the command; returns what it printed at last when it succeeded.
async fn run(ports: &Ports, standing: &Standing, health: &Health, line: &str) -> Result<(), CommandError> {
    let command = Command {
        program: SHELL.to_owned(),
        arguments: vec!["-c".to_owned(), line.to_owned()],
        directory: standing.dir.clone(),
        environment: standing.env.clone(),
        input: None,
        limit: health.timeout,
    };
    ports.commands.run(command).await.map(drop)
}

/// What the end of a command says. Its line is not repeated: a secret may be in it.
fn of_command(ended: Result<(), CommandError>, variables: &Variables) -> Checked {
    match ended {
        Ok(()) => Checked::Well,
        Err(CommandError::Failed { code: Some(code), status, stdout, stderr, .. }) => {
            let said = said(stderr.as_bytes(), variables).or_else(|| said(&stdout, variables));
            let text = said.map_or_else(|| status.clone(), |said| format!("{status}: {said}"));
            if NOT_RUN.contains(&code) { Checked::Unknown(text) } else { Checked::Failed(text) }
        }
        // Somebody ended it, or what it printed could not be read.
        Err(CommandError::Failed { status, .. }) => Checked::Unknown(status),
        Err(CommandError::TimedOut { limit, .. }) => Checked::Failed(not_done_within(limit)),
        Err(CommandError::NotFound { program, .. }) => {
            Checked::Unknown(format!("{program} is not installed or not on PATH"))
        }
        Err(CommandError::NotStarted { directory, reason, .. }) => {
            Checked::Unknown(format!("{reason} ({})", terminal::path(directory)))
        }
        Err(CommandError::TooMuchOutput { bytes, .. }) => {
            Checked::Unknown(format!("it printed more than {bytes} bytes"))
        }
    }
}

/// Requests the URL.
async fn ask(ports: &Ports, health: &Health, url: &SecretUrl, variables: &Variables) -> Checked {
    let direct = is_this_machine(url.host());
    let limit = health.timeout;
    let request = Request { url: url.clone(), headers: Vec::new(), body: None, limit, direct };
    match ports.network.request(request).await {
        Ok(reply) if (200..=399).contains(&reply.status) => Checked::Well,
        Ok(reply) => {
            let status = format!("HTTP {}", reply.status);
            let said = said(&reply.body, variables).filter(|said| !said.starts_with('<'));
            Checked::Failed(said.map_or_else(|| status.clone(), |said| format!("{status}: {said}")))
        }
        Err(none) if none.of_server => Checked::Failed(none.why),
        Err(none) => Checked::Unknown(none.why),
    }
}

fn not_done_within(limit: std::time::Duration) -> String {
    format!("not done within {}", go_duration::short(limit))
}

/// Whether a name in a URL is one of this machine itself, which no proxy can reach.
fn is_this_machine(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    let name = host.to_ascii_lowercase();
    address.map_or_else(|_| name == "localhost" || name.ends_with(".localhost"), |it| it.is_loopback())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_the_end_of_a_command_says() {
        let failed = |code, status: &str, stdout: &str, stderr: &str| CommandError::Failed {
            line: "sh -c 'PASSWORD=x check'".into(),
            status: status.into(),
            code,
            stdout: stdout.into(),
            stderr: stderr.into(),
        };
        let (line, limit) = (|| "sh -c x".to_owned(), Duration::from_secs(5));
        let pairs = [("TOKEN", "hunter2hunter2"), ("LONG", "hunter2hunter2-longer"), ("SHORT", "no")];
        let variables = pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        for (ended, expected) in [
            (Ok(()), Checked::Well),
            (Err(failed(Some(1), "exit code 1", "", "")), Checked::Failed("exit code 1".into())),
            (
                Err(failed(Some(2), "exit code 2", "out", "no connection")),
                Checked::Failed("exit code 2: no connection".into()),
            ),
            (Err(failed(Some(1), "exit code 1", "down\n", "")), Checked::Failed("exit code 1: down".into())),
            (
                Err(failed(Some(1), "exit code 1", "", "not hunter2hunter2, nor hunter2hunter2-longer")),
                Checked::Failed("exit code 1: not $TOKEN, nor $LONG".into()),
            ),
            (
                Err(failed(Some(127), "exit code 127", "", "sh: 1: curl: not found")),
                Checked::Unknown("exit code 127: sh: 1: curl: not found".into()),
            ),
            (Err(failed(Some(126), "exit code 126", "", "")), Checked::Unknown("exit code 126".into())),
            (Err(failed(None, "signal 9", "", "")), Checked::Unknown("signal 9".into())),
            (
                Err(CommandError::TimedOut { line: line(), limit }),
                Checked::Failed("not done within 5s".into()),
            ),
            (
                Err(CommandError::NotFound { program: "sh".into(), line: line() }),
                Checked::Unknown("sh is not installed or not on PATH".into()),
            ),
            (
                Err(CommandError::NotStarted {
                    line: line(),
                    directory: "/srv/a".into(),
                    reason: "Resource temporarily unavailable".into(),
                }),
                Checked::Unknown("Resource temporarily unavailable (/srv/a)".into()),
            ),
            (
                Err(CommandError::TooMuchOutput { line: line(), bytes: 9 }),
                Checked::Unknown("it printed more than 9 bytes".into()),
            ),
        ] {
            let what = format!("{ended:?}");
            assert_eq!(of_command(ended, &variables), expected, "{what}");
        }
    }

    #[test]
    fn which_hosts_are_this_machine() {
        for (host, expected) in [
            ("localhost", true),
            ("LOCALHOST", true),
            ("db.localhost", true),
            ("127.0.0.1", true),
            ("127.9.9.9", true),
            ("[::1]", true),
            ("10.0.0.1", false),
            ("localhost.example.org", false),
            ("example.org", false),
        ] {
            assert_eq!(is_this_machine(host), expected, "{host}");
        }
    }
}
