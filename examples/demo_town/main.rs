//! Two throwaway towns to watch: one that is one file ([`first_act`]), and a Gas Town of two rigs ([`story`]), with stand-in agents on
//! tmux servers of their own. The supervisor keeps them alive while things go wrong, and everything is removed at the end.
//! `cargo run --release --example demo_town`
//!
//! One binary plays all parts, selected by its name: the agents, `gt` and `bd` ([`standin`]), the supervisor and its
//! commands (the library, as its own command runs it), and otherwise the narrator. Nothing outside the towns' directories in `/tmp` is
//! touched.
#![allow(clippy::disallowed_methods, reason = "a program of its own: it runs programs and touches the disk")]

mod cast;
mod first_act;
mod narrator;
#[path = "../../tests/support/sandbox/mod.rs"]
mod sandbox;
mod story;

use std::{env, io, process::ExitCode};

use anyhow::Context;
use gastown_supervisor::{LogFormat, ServeOptions, serve};
use tokio::signal::unix::{SignalKind, signal};

use self::{
    first_act::FirstAct,
    narrator::Narrator,
    sandbox::{
        standin, supervisor, tmux,
        town::{self, Generation, Town},
    },
    story::Story,
};

const USAGE: &str = "\
Shows what the supervisor does in two throwaway towns, for about a minute, and cleans up:
one that is one file, and then a Gas Town.

Usage: cargo run --release --example demo_town [-- [--january] [--keep]]

  --january  play a town of January's Gas Town (0.2.6 to 0.3) in place of 1.x
  --keep     leave both towns running afterwards, and say how to look into them
             and how to end them
";

fn main() -> ExitCode {
    let mut words = env::args();
    let called_by = words.next().unwrap_or_default();
    let name = called_by.rsplit('/').next().unwrap_or_default();
    let words: Vec<String> = words.collect();
    if let Some(code) = standin::play(name, &words) {
        std::process::exit(code);
    }
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let outcome = match (name, words.as_slice()) {
        ("gastown-supervisor", ["run", "--town", town, "--log-format", "json"]) => supervise(town),
        ("gastown-supervisor", _) => return gastown_supervisor::command_line(),
        (_, ["--help" | "-h"]) => {
            print!("{USAGE}");
            Ok(())
        }
        (_, words) if words.iter().all(|word| ["--keep", "--january"].contains(word)) => {
            let generation = if words.contains(&"--january") { Generation::January } else { Generation::V1 };
            show(generation, words.contains(&"--keep"))
        }
        _ => {
            eprint!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("Error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// `gastown-supervisor run`, called as [`supervisor::Supervisor`] calls it; the caller has cleaned the environment.
fn supervise(town: &str) -> anyhow::Result<()> {
    let foreground = Some(LogFormat::Json);
    let options = ServeOptions { town: Some(town.into()), foreground, ..ServeOptions::default() };
    serve(options).map_err(anyhow::Error::msg)
}

/// Plays the story, and cleans up in any case.
fn show(generation: Generation, keep: bool) -> anyhow::Result<()> {
    let version = tmux::version()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut interrupted = Interrupted::register().context("signals cannot be received")?;
        let narrator = Narrator::begin();
        let first = FirstAct::new(narrator)?;
        let first_ended = tokio::select! {
            biased;
            signal = interrupted.next() => Err(ended_by(signal)),
            outcome = first.play(keep) => outcome,
        };
        first_ended?;
        let mut story = begin(generation, &version, narrator)?;
        let outcome = tokio::select! {
            biased;
            signal = interrupted.next() => Err(ended_by(signal)),
            outcome = story.play() => outcome.map_err(|error| story.explained(error)),
        };
        match outcome {
            Ok(()) if keep => {
                story.keep()?;
                first.keep();
                Ok(())
            }
            outcome => {
                let cleaned = story.clean_up();
                outcome.and(cleaned)
            }
        }
    })
}

fn ended_by(signal: &str) -> anyhow::Error {
    anyhow::anyhow!("ended by {signal}")
}

/// The Gas Town, before its start.
fn begin(generation: Generation, version: &str, narrator: Narrator) -> anyhow::Result<Story> {
    let town = build(generation)?;
    narrator.scene(&format!(
        "A throwaway town of {} in {}: {} rigs, {} stand-in agents, a server of its own ({version}).",
        match generation {
            Generation::January => "January's Gas Town",
            Generation::V1 => "Gas Town 1.x",
        },
        town.root().display(),
        cast::RIGS.len(),
        cast::Cast::of(generation).agents.len()
    ));
    Ok(Story::new(town, narrator))
}

fn build(generation: Generation) -> anyhow::Result<Town> {
    match generation {
        Generation::January => Town::build(&cast::RIGS.map(|(rig, _)| rig), story::settings(generation)),
        Generation::V1 => {
            let town = Town::build_v1(&cast::RIGS, story::settings(generation))?;
            town.write("demo/beads.json", &story::beads())?;
            Ok(town)
        }
    }
}

/// The signals that would end this process; from now on it cleans up first.
struct Interrupted {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
    hangup: tokio::signal::unix::Signal,
}

impl Interrupted {
    fn register() -> io::Result<Self> {
        Ok(Interrupted {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.interrupt.recv() => "Ctrl-C",
            _ = self.terminate.recv() => "TERM",
            _ = self.hangup.recv() => "HUP",
        }
    }
}
