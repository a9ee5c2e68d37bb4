//! Invocations: one running command, and whether it is one of a given program. Pure.

use std::path::PathBuf;

use super::base_name;

/// A running command: its process, and its place in the process tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invocation {
    /// Its process's id.
    pub pid: u32,
    /// When the process started, in the unit of the reader: only for detecting a reused pid.
    pub born: u64,
    /// The ids of its ancestors, the parent first, as far as they could be read; then its kernel session's id.
    pub ancestors: Vec<u32>,
    /// The kernel's short name for it (`comm`).
    pub comm: String,
    /// The path of its executable, if it could be read.
    pub executable: Option<PathBuf>,
    /// Its arguments, `argv[0]` first; truncated after 16 KiB.
    pub arguments: Vec<String>,
    /// Its working directory, if it could be read.
    pub directory: Option<PathBuf>,
}

impl Invocation {
    /// The names its process may be known by, without duplicates: see [`Process::names`](super::Process::names).
    pub fn names(&self) -> Vec<String> {
        let executable = self.executable.as_deref().and_then(|path| base_name(&path.to_string_lossy()));
        let called = self.arguments.first().and_then(|word| base_name(word));
        let comm = Some(self.comm.clone()).filter(|comm| !comm.is_empty());
        let mut names: Vec<String> = Vec::with_capacity(3);
        for name in [comm, executable, called].into_iter().flatten() {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        names
    }

    /// The arguments for the program of this base name; `None` when it runs another program.
    ///
    /// It runs the program when `argv[0]` or its executable has that name, or when its interpreter runs a script of
    /// that name: the kernel puts the script's path before the script's own arguments, after at most one argument of
    /// the interpreter.
    pub fn given_to(&self, program: &str) -> Option<&[String]> {
        let is = |word: &str| base_name(word).is_some_and(|name| name == program);
        let called = self.arguments.first();
        let executable =
            self.executable.as_deref().map(|path| is(&path.to_string_lossy())).unwrap_or_default();
        if executable || called.is_some_and(|word| is(word)) {
            return Some(self.arguments.get(1..).unwrap_or_default());
        }
        // A script started through `env` has its interpreter's name instead of its own.
        if self.comm != program && !called.is_some_and(|word| is_interpreter(word)) {
            return None;
        }
        let at = if self.arguments.get(1)?.starts_with('-') { 2 } else { 1 };
        is(self.arguments.get(at)?).then(|| self.arguments.get(at + 1..).unwrap_or_default())
    }
}

/// Whether this is a common interpreter of scripts.
pub(crate) fn is_interpreter(word: &str) -> bool {
    let name = base_name(word).unwrap_or_default();
    let name = name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.');
    ["sh", "bash", "dash", "zsh", "ksh", "fish", "python", "ruby", "perl", "node", "bun", "deno"]
        .contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_grid() {
        #[rustfmt::skip]
        let cases: [(&str, &str, &str, &[&str], Option<&[&str]>); 19] = [
            // what                           comm    executable            arguments                                      given
            ("plain",                         "gt",   "/usr/bin/gt",        &["gt", "rig", "park"],                        Some(&["rig", "park"])),
            ("by its path",                   "gt",   "/opt/bin/gt",        &["/opt/bin/gt", "down"],                      Some(&["down"])),
            ("replaced while it runs",        "gt",   "/usr/bin/gt (deleted)", &["gt", "down"],                            Some(&["down"])),
            ("its executable cannot be read", "gt",   "",                   &["gt", "down"],                               Some(&["down"])),
            ("under another name",            "x",    "/usr/bin/gt",        &["x", "down"],                                Some(&["down"])),
            ("a link to a versioned file",    "gt",   "/opt/gt-0.2.6",      &["gt", "down"],                               Some(&["down"])),
            ("no arguments",                  "gt",   "/usr/bin/gt",        &["gt"],                                       Some(&[])),
            ("in the middle of exec",         "gt",   "/usr/bin/gt",        &[],                                           Some(&[])),
            ("a script",                      "gt",   "/bin/dash",          &["/bin/sh", "/usr/bin/gt", "down"],           Some(&["down"])),
            ("a script, with an argument",    "gt",   "/bin/dash",          &["/bin/sh", "-e", "/usr/bin/gt", "down"],     Some(&["down"])),
            ("a script, by env",              "bash", "/bin/bash",          &["bash", "/usr/bin/gt", "down"],              Some(&["down"])),
            ("a script of a version",         "py",   "/bin/python3.12",    &["python3.12", "/usr/bin/gt", "down"],        Some(&["down"])),
            ("a name and nothing else",       "gt",   "",                   &[],                                           None),
            ("another program, name not yet set", "gt", "/usr/bin/tmux",    &["tmux", "new-session", "-c", "/home/gt"],    None),
            ("another, in a town called gt",  "git",  "/usr/bin/git",       &["git", "-C", "/home/gt", "remove"],          None),
            ("an editor",                     "vi",   "/usr/bin/vi",        &["vi", "/usr/bin/gt", "down"],                None),
            ("a shell that will run it",      "sh",   "/bin/dash",          &["sh", "-c", "gt down"],                      None),
            ("a name that begins alike",      "gtx",  "/usr/bin/gtx",       &["gtx", "down"],                              None),
            ("nothing is known",              "",     "",                   &[],                                           None),
        ];
        for (name, comm, executable, arguments, given) in cases {
            let invocation = Invocation {
                pid: 1,
                born: 1,
                ancestors: Vec::new(),
                comm: comm.to_owned(),
                executable: Some(executable).filter(|path| !path.is_empty()).map(PathBuf::from),
                arguments: arguments.iter().map(|&word| word.to_owned()).collect(),
                directory: None,
            };
            let given = given.map(|words| words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>());
            assert_eq!(invocation.given_to("gt").map(<[String]>::to_vec), given, "{name}");
        }
    }
}
