//! The command: `gastown-supervisor`. Arguments in, exit code out; everything else is the library's.

mod cli;

use std::process::ExitCode;

use gastown_supervisor::town::environment::DROPPED;

fn main() -> ExitCode {
    drop_inherited_environment();
    cli::main()
}

/// We may have been started inside an agent's session; nothing we start may take itself for that agent.
#[allow(unsafe_code, reason = "the standard library has no safe way to change the own environment")]
fn drop_inherited_environment() {
    for variable in DROPPED {
        // SAFETY: the first thing `main` does; no other thread exists yet that could read the environment.
        unsafe { std::env::remove_var(variable) };
    }
}
