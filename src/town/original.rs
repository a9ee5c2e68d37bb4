//! The original: whether the process that supervises a town is Gas Town's own daemon, which `gt up` starts when none
//! runs.
//!
//! Only this module recognises it, by the program that a process runs. The lock and the PID file are the same for both.
#![allow(clippy::disallowed_methods, reason = "an adapter: it asks the kernel which program a process runs")]

use std::path::{Path, PathBuf};

use crate::terminal;

/// What the user can do about it.
pub const WHAT_TO_DO: &str = "stop it with `gt daemon stop`, then start this one (before the next `gt up`, which starts \
                              the original where none runs)";

/// Whether a program is the original's: the base name is `gt`.
pub fn is_program(executable: &Path) -> bool {
    executable.file_name().is_some_and(|name| name == "gt")
}

/// A sentence without its end: that it supervises the town.
pub fn words(pid: u32, executable: &Path) -> String {
    format!("the original daemon supervises this town: PID {pid}, {}", terminal::path(executable))
}

/// A text that this process is the original daemon, and what to do; `None` when it is another program, or that is
/// unknown.
pub fn running_as(pid: u32) -> Option<String> {
    let executable = std::fs::read_link(format!("/proc/{pid}/exe")).ok()?;
    let text = executable.to_string_lossy();
    let executable = PathBuf::from(text.strip_suffix(" (deleted)").unwrap_or(&text));
    is_program(&executable).then(|| format!("{}; {WHAT_TO_DO}", words(pid, &executable)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_its_program() {
        for (path, is) in
            [("/usr/bin/gt", true), ("/opt/gastown-supervisor", false), ("/usr/bin/gt2", false), ("/", false)]
        {
            assert_eq!(is_program(Path::new(path)), is, "{path}");
        }
        assert_eq!(running_as(std::process::id()), None);
        assert_eq!(running_as(0), None);
    }
}
