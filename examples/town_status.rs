//! A status client: the agents of a town that need a person, and why.
//!
//! Needs a town, not a supervisor: when none runs, the files of the last one are read. `cargo run --example
//! town_status -- ~/gt`, or without a directory the town named by GT_TOWN_ROOT or GT_ROOT, or around the working
//! directory. Exit codes: 0 all is well, 1 a person is needed, 2 there is no such town.

use std::{path::PathBuf, process::ExitCode};

use gastown_supervisor::{Answer, Client, ClientError, report::AgentReport};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let town = std::env::args_os().nth(1).map(PathBuf::from);
    match Client::new(town.as_deref()) {
        Ok(client) => show(&client).await,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(2)
        }
    }
}

async fn show(client: &Client) -> ExitCode {
    let answer = client.status().await; // limited: by the client
    match &answer {
        Answer::Live(report) => println!("{}: {} agents", report.town, report.agents.len()),
        Answer::Unresponsive(report, why) => println!("{}: {why}", report.town),
        Answer::Offline(report) => println!("{}: no supervisor runs", report.town),
    }
    let is_live = matches!(answer, Answer::Live(_));
    let report = answer.into_inner();
    report.problems.values().for_each(|problem| println!("problem: {problem}"));
    let needy: Vec<&AgentReport> = report.agents.iter().filter(|agent| needs_somebody(agent)).collect();
    for agent in &needy {
        println!("{} is {}: {}", agent.identity, agent.state, agent.reason.as_deref().unwrap_or("no reason"));
        if let Err(error) = last_entry(client, &agent.identity).await {
            println!("    not explained: {error}");
        }
    }
    if is_live && needy.is_empty() && report.problems.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn needs_somebody(agent: &AgentReport) -> bool {
    matches!(agent.state.as_str(), "waiting_at_question" | "logged_out" | "crash_loop" | "held" | "unknown")
}

/// Prints the last observation and the answer to it.
async fn last_entry(client: &Client, agent: &str) -> Result<(), ClientError> {
    let explanation = client.explain(agent).await?.into_inner();
    if let Some(entry) = explanation.entries.last() {
        println!("    {} {} {}", entry.at, entry.seen, entry.done);
    }
    Ok(())
}
