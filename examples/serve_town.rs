//! The supervisor of a town in a program of your own: it keeps the agents alive until Ctrl-C or TERM. The agents
//! outlive it.
//!
//! Needs a town (`gt install`), and tmux, bd, gt and git on PATH. **It starts the agents that should run.** `cargo
//! run --example serve_town -- ~/gt`

use std::{path::PathBuf, process::ExitCode};

use gastown_supervisor::{LogFormat, ServeOptions, doctor, serve};

fn main() -> ExitCode {
    let Some(town) = std::env::args_os().nth(1).map(PathBuf::from) else {
        eprintln!("usage: serve_town <town>");
        return ExitCode::from(2);
    };
    if let Err(error) = examine(&town) {
        eprintln!("the town cannot be examined: {error}");
        return ExitCode::FAILURE;
    }
    // Takes the town's lock, and this process's signals and log. So no other part of this program runs meanwhile.
    let options =
        ServeOptions { town: Some(town), foreground: Some(LogFormat::Human), ..ServeOptions::default() };
    match serve(options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Prints what is wrong in the town before it is supervised. Changes nothing.
fn examine(town: &std::path::Path) -> std::io::Result<()> {
    // A runtime of its own: `serve` creates another one.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let report = runtime.block_on(doctor::examine(Some(town)))?;
    for finding in report.findings.iter().filter(|it| it.severity == doctor::Severity::Wrong) {
        let hint = finding.hint.as_deref().unwrap_or("");
        eprintln!("wrong: {} ({hint})", finding.what);
    }
    Ok(())
}
