//! The commit that `--version` names: where the build script finds it, and that no build does its work twice.
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests run git and write files"
)]

#[path = "../build.rs"]
mod build;
#[path = "support/limits.rs"]
mod limits;

use std::{fs, path::Path, process::Command};

use limits::LimitedCommand;

fn git(directory: &Path, words: &[&str]) -> String {
    let mut git = Command::new("git");
    git.args(["-c", "user.name=t", "-c", "user.email=t@localhost", "-c", "init.defaultBranch=main"]);
    git.args(words).current_dir(directory).env_remove("GIT_DIR").env_remove("GIT_WORK_TREE");
    let output = git.limited_output();
    assert!(output.status.success(), "git {words:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}

/// The commit that is found, after checking that every file that is watched exists.
fn found(root: &Path) -> Option<String> {
    let build::Found { commit, watched } = build::found(root, "git")?;
    assert!(!watched.is_empty());
    for path in watched {
        assert!(path.exists(), "{} does not exist: each build would run the script again", path.display());
    }
    Some(commit)
}

#[test]
fn in_every_kind_of_source_directory() {
    let base = tempfile::tempdir().unwrap();
    let at = |name: &str| base.path().join(name);
    let make = |name: &str| {
        fs::create_dir_all(at(name)).unwrap();
        at(name)
    };
    let repository = make("repository");
    git(&repository, &["init", "-q"]);
    assert_eq!(found(&repository), None, "nothing is committed yet");
    for text in ["one", "two"] {
        git(&repository, &["commit", "-q", "--allow-empty", "-m", text]);
    }
    let head = git(&repository, &["rev-parse", "HEAD"])[..7].to_owned();
    assert_eq!(found(&repository), Some(head.clone()), "a clone");

    let url = format!("file://{}", repository.display());
    git(base.path(), &["clone", "-q", "--depth", "1", &url, "shallow"]);
    assert_eq!(found(&at("shallow")), Some(head.clone()), "a shallow clone");
    git(&repository, &["worktree", "add", "-q", "../worktree"]);
    assert_eq!(found(&at("worktree")), Some(head.clone()), "a worktree");
    git(&repository, &["pack-refs", "--all"]);
    assert_eq!(found(&repository), Some(head.clone()), "packed references");

    let unpacked = make("repository/vendor/package");
    assert_eq!(found(&unpacked), None, "a package without a note, inside another repository");
    let note = r#"{"git": {"sha1": "0123456789abcdef0123456789abcdef01234567"}, "path_in_vcs": ""}"#;
    fs::write(unpacked.join(".cargo_vcs_info.json"), note).unwrap();
    assert_eq!(found(&unpacked), Some("0123456".to_owned()), "a package as cargo makes it");
    fs::write(unpacked.join(".cargo_vcs_info.json"), r#"{"git": {"sha1": "nonsense"}}"#).unwrap();
    assert_eq!(found(&unpacked), None, "a note that names no commit");
    assert_eq!(found(&make("plain")), None, "a plain directory");
    assert!(build::found(&repository, "there-is-no-such-git").is_none(), "without git");

    let before = build::found(&repository, "git").unwrap().watched;
    let written = |path: &std::path::PathBuf| fs::read(path).unwrap();
    let state: Vec<_> = before.iter().map(written).collect();
    git(&repository, &["commit", "-q", "--allow-empty", "-m", "three"]);
    assert_ne!(before.iter().map(written).collect::<Vec<_>>(), state, "a commit changes one of them");
    assert_ne!(found(&repository), Some(head));
}
