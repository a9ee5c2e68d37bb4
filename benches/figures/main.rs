//! The figures of BENCHMARKS.md, measured on this machine: `cargo bench --bench figures`
//!
//! The supervisor's own command runs with real tmux servers of the benchmark's own, in throwaway towns; this binary
//! plays the agents, with the stand-ins of the tests, which are ready at once. Nothing is asserted: a missed target
//! is shown as missed. Each module is one figure; they share `tests/support/sandbox`.
#![allow(clippy::disallowed_methods, reason = "a program of its own: it runs programs and touches the disk")]

mod cold;
mod commands;
mod costs;
mod deaths;
mod feed;
mod heartbeat;
mod idle;
mod ledger;
mod live;
mod machine;
mod mass;
mod metrics;
mod process;
#[path = "../../tests/support/sandbox/mod.rs"]
mod sandbox;
mod stage;
mod stop;
mod table;
mod top;
mod transcripts;
mod v1cold;
mod v1convoy;
mod v1deaths;
mod v1idle;

use std::{env, process::ExitCode};

use self::{
    sandbox::{limits, standin, supervisor, tmux, town},
    table::Row,
};

const USAGE: &str = "\
Measures the figures of BENCHMARKS.md; takes about 30 minutes.

Usage: cargo bench --bench figures [-- [--quick] [cold] [heartbeat] [stop] [idle] [deaths] [mass] [ledger] [commands] [feed] [transcripts] [top] [metrics] [live]
                                        [v1cold] [v1deaths] [v1convoy] [v1idle]]

  --quick    fewer runs and shorter waits: eight minutes, and less to be trusted
  cold       20 rigs come up
  heartbeat  one heartbeat with 441 sessions
  stop       TERM during six starts
  idle       what the supervisor costs while nothing happens
  deaths     agents killed one after the other: noticed, confirmed, replaced
  mass       100 sessions killed at once; a tmux server killed
  commands   what it costs to see commands of gt begin among thousands of processes
  feed       many events at once, and one
  transcripts  what it costs to hear what an agent is doing
  top        a change reaches the screen of top; what a top costs in which nothing changes
  metrics    the page of metrics with 1041 agents
  live       how soon a change reaches an open page, and what it costs
  ledger     runs of bd in a heartbeat; a heartbeat of 1000 polecats with a slow bd, also in a town of Gas Town 1.x
  v1cold     20 rigs of Gas Town 1.x come up through a gt that takes 1 s
  v1deaths   witnesses killed one after the other, and replaced through such a gt
  v1convoy   a convoy's step is closed, the next is slung
  v1idle     runs of bd and gt while nothing happens
";

const FIGURES: [&str; 17] = [
    "cold",
    "heartbeat",
    "stop",
    "idle",
    "deaths",
    "mass",
    "ledger",
    "commands",
    "feed",
    "transcripts",
    "top",
    "metrics",
    "live",
    "v1cold",
    "v1deaths",
    "v1convoy",
    "v1idle",
];

fn main() -> ExitCode {
    let mut words = env::args();
    let called_by = words.next().unwrap_or_default();
    let name = called_by.rsplit('/').next().unwrap_or_default();
    let words: Vec<String> = words.collect();
    if let Some(code) = standin::play(name, &words) {
        std::process::exit(code);
    }
    // `cargo bench` says so; `cargo test --all-targets` does not, and must not wait for this.
    if !words.iter().any(|word| word == "--bench") {
        println!("nothing measured: the figures are for `cargo bench --bench figures`");
        return ExitCode::SUCCESS;
    }
    let quick = words.iter().any(|word| word == "--quick");
    let wanted: Vec<&str> =
        words.iter().map(String::as_str).filter(|word| !matches!(*word, "--bench" | "--quick")).collect();
    if wanted.iter().any(|word| !FIGURES.contains(word)) {
        eprint!("{USAGE}");
        return ExitCode::from(2);
    }
    let wanted = if wanted.is_empty() { FIGURES.to_vec() } else { wanted };
    match measure(&wanted, quick) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("Error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn measure(wanted: &[&str], quick: bool) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let measuring = async {
            machine::show()?;
            let mut rows: Vec<Row> = Vec::new();
            for figure in wanted {
                eprintln!("measuring: {figure} …");
                rows.extend(match *figure {
                    "cold" => cold::measure(quick).await?,
                    "heartbeat" => heartbeat::measure(quick).await?,
                    "stop" => stop::measure(quick).await?,
                    "idle" => idle::measure(quick).await?,
                    "deaths" => deaths::measure(quick).await?,
                    "mass" => mass::measure(quick).await?,
                    "commands" => commands::measure(quick).await?,
                    "feed" => feed::measure(quick).await?,
                    "transcripts" => transcripts::measure(quick).await?,
                    "top" => top::measure(quick).await?,
                    "metrics" => metrics::measure(quick).await?,
                    "live" => live::measure(quick).await?,
                    "v1cold" => v1cold::measure(quick).await?,
                    "v1deaths" => v1deaths::measure(quick).await?,
                    "v1convoy" => v1convoy::measure(quick).await?,
                    "v1idle" => v1idle::measure(quick).await?,
                    _ => ledger::measure(quick).await?,
                });
            }
            table::show(&rows);
            Ok(())
        };
        tokio::select! {
            // Dropping what is being measured ends it.
            _ = tokio::signal::ctrl_c() => anyhow::bail!("ended by Ctrl-C"),
            outcome = measuring => outcome,
        }
    })
}
