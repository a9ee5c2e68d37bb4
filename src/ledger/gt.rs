//! `gt`: the one place that runs it (Gas Town 0.2.6 to 0.3).
//!
//! It runs in the town, with the limit of all commands. The caller parses the output.

use std::{collections::BTreeMap, time::Duration};

use super::installed::Tool;
use crate::{
    commands::{Command, CommandError, Printed},
    ports::Ports,
};

/// `gt`, for reports about a missing program.
pub const TOOL: Tool = Tool {
    setting: "gt",
    without: "no mail is read or sent, requests by mail are not seen, crashes are not written to the town's log, and convoys are not closed",
    without_in_v1: "agents have no hooks, convoys are not fed or closed, no mail is read or sent, requests by mail are not seen, and \
                    crashes are not written to the town's log",
};

/// Runs `gt <words>` in the town and returns its output, or why it failed. `environment` is set on top of the
/// variables of all commands.
pub async fn run(
    ports: &Ports,
    words: &[&str],
    environment: &[(&str, &str)],
) -> Result<Printed, CommandError> {
    let limit = ports.settings().commands.timeout;
    run_within(ports, words, environment, limit).await
}

/// The variables that `gt` is given on top of our own: where the town's servers are, and `environment`.
pub fn variables(ports: &Ports, environment: &[(&str, &str)]) -> BTreeMap<String, String> {
    let mut variables = ports.settings().env.clone();
    variables.extend(ports.dolt_variables());
    variables.extend(ports.gas_town.server.iter().map(|name| ("GT_TMUX_SOCKET".to_owned(), name.clone())));
    variables.extend(environment.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())));
    variables
}

/// Like [`run`], with a limit of its own.
pub async fn run_within(
    ports: &Ports,
    words: &[&str],
    environment: &[(&str, &str)],
    limit: Duration,
) -> Result<Printed, CommandError> {
    let settings = ports.settings();
    let program = &settings.commands.gt;
    let variables = variables(ports, environment);
    let command = Command {
        program: program.clone(),
        arguments: words.iter().map(|word| (*word).to_owned()).collect(),
        directory: ports.paths.root().to_owned(),
        environment: variables,
        input: None,
        limit,
    };
    let ran = ports.commands.run(command).await;
    TOOL.note(ports, program, &ran);
    ran
}
