//! The command: `gastown-supervisor`. Everything is the library's.

fn main() -> std::process::ExitCode {
    gastown_supervisor::command_line()
}
