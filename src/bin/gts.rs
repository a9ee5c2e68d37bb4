//! The command under its short name.

fn main() -> std::process::ExitCode {
    gastown_supervisor::command_line()
}
