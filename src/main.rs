//! The command `gastown-supervisor`. The library does everything.

fn main() -> std::process::ExitCode {
    gastown_supervisor::command_line()
}
