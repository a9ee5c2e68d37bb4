//! The stand-in agents, `gt` and `bd` for tests: the example `demo_town`, called through links of their names.
#![allow(
    dead_code,
    clippy::disallowed_methods,
    reason = "shared by tests that each use a part; tests touch the disk"
)]
#![allow(clippy::expect_used, reason = "a test that cannot be set up fails")]

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

/// The names it plays that tests use.
pub const NAMES: [&str; 6] = ["claude", "codex", "gemini", "opencode", "gt", "bd"];

/// The built example: `target/<profile>/examples/demo_town`, beside the `deps` directory this test runs from.
///
/// `cargo test` builds it; `cargo test --test <name>` does not, so the error for a missing one says how to build it.
pub fn example() -> PathBuf {
    let test = std::env::current_exe().expect("a test knows its own path");
    let profile = test.ancestors().nth(2).expect("a test lies in target/<profile>/deps");
    let example = profile.join("examples/demo_town");
    assert!(
        example.is_file(),
        "{} is missing: run `cargo test`, or `cargo build --example demo_town` first",
        example.display()
    );
    example
}

/// Makes a directory `<at>/bin` with a link for each of [`NAMES`], to be put first on `PATH`; returns it.
pub fn bin_directory(at: &Path) -> PathBuf {
    let bin = at.join("bin");
    fs::create_dir_all(&bin).expect("the bin directory can be made");
    let example = example();
    for name in NAMES {
        symlink(&example, bin.join(name)).expect("a link can be made");
    }
    bin
}

/// Makes one of them a file of its own: its processes show its name, and starts of the others are not mistaken for its.
pub fn program_of_its_own(bin: &Path, name: &str) {
    fs::remove_file(bin.join(name)).expect("the link can be removed");
    fs::copy(example(), bin.join(name)).expect("a program can be copied");
}
