//! `settings --check agents.toml`: what such a file means, what is wrong in it, and what it would change.

use std::{fs, process::Command};

use rustix::fs::{CWD, FileType, mknodat};

use crate::{
    among_others,
    support::{
        background::{Answer, answer},
        supervisor::binary,
    },
};

struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        Place(tempfile::tempdir().unwrap())
    }

    fn put(&self, name: &str, text: &str) {
        let path = self.0.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn check(&self, file: &str) -> Answer {
        let mut command = Command::new(binary());
        command
            .args(["settings", "--check", file])
            .env_clear()
            .env("HOME", "/home/u")
            .current_dir(self.0.path());
        answer(command)
    }
}

#[test]
fn what_a_file_means_and_what_is_wrong_in_it() {
    let _among = among_others();
    let place = Place::new();
    place.put(
        "agents.toml",
        "[agents.b]\ncommand = \"claude\"\nafter = [\"a\"]\n[agents.a]\ncommand = \"x\"\ndir = \"~/a\"\n",
    );
    let root = fs::canonicalize(place.0.path()).unwrap();
    let root = root.display();
    let said = place.check("agents.toml");
    let expected = format!(
        "agents.toml: no mistakes\n2 agents on its own tmux server, started in this order:\n  \
         a: plain in /home/u/a, restart unless-stopped\n  b: claude in {root}, restart unless-stopped, after a\n"
    );
    assert_eq!((said.code, &*said.stdout, &*said.stderr), (Some(0), &*expected, ""));

    place.put("wrong.toml", "[agents.a]\ncomand = \"x\"\nrestart = no\n[agents.a]\n");
    let said = place.check("wrong.toml");
    assert_eq!((said.code, &*said.stdout), (Some(1), ""), "{said:?}");
    let begins: Vec<&str> = said.stderr.lines().map(|line| line.get(..16).unwrap_or(line)).collect();
    assert_eq!(begins, ["wrong.toml:3:11:", "wrong.toml:4:9: "], "{said:?}");
}

#[test]
fn a_file_of_another_name_is_compared_with_the_one_of_the_town() {
    let _among = among_others();
    let place = Place::new();
    place.put("agents.toml", "[agents.a]\ncommand = \"x\"\n[agents.b]\ncommand = \"x\"\n");
    place.put("sub/new.toml", "[agents.a]\ncommand = \"y\"\n[agents.c]\ncommand = \"x\"\n");
    let said = place.check("sub/new.toml");
    let present = fs::canonicalize(place.0.path()).unwrap().join("agents.toml");
    let end = format!("compared with {}:\n  stop b\n  restart a: command\n  start c\n", present.display());
    assert!(said.code == Some(0) && said.stdout.ends_with(&end), "{said:?}\n{end}");
    place.put("sub/new.toml", "# the same\n[agents.a]\ncommand = \"x\"\n[agents.b]\ncommand = \"x\"\n");
    assert!(place.check("sub/new.toml").stdout.ends_with(":\n  nothing changes\n"));
    place.put("agents.toml", "agents = 7\n");
    let said = place.check("sub/new.toml");
    assert!(
        said.code == Some(0) && said.stderr.contains("agents.toml:1:10: agents: expected a table"),
        "{said:?}"
    );

    place.put("mayor/town.json", "{}");
    let both = "Error: ";
    for file in ["agents.toml", "sub/new.toml"] {
        let said = place.check(file);
        assert!(
            said.stderr.starts_with(both) && said.stderr.contains("has both agents.toml and mayor/town.json"),
            "{said:?}"
        );
        assert_eq!(said.code, Some(1));
    }
}

#[test]
fn what_is_no_file_is_refused_at_once() {
    let _among = among_others();
    let place = Place::new();
    let at = |name: &str| place.0.path().join(name);
    mknodat(CWD, at("pipe.toml"), FileType::Fifo, 0o600.into(), 0).unwrap();
    fs::create_dir(at("directory.toml")).unwrap();
    fs::File::create(at("large.toml")).unwrap().set_len(1 << 30).unwrap();
    fs::File::create(at("big.toml")).unwrap().set_len(2 << 20).unwrap();
    fs::File::create(at("empty.toml")).unwrap();
    for (file, expected) in [
        ("pipe.toml", "Error: pipe.toml: it is a named pipe, not a file\n"),
        ("directory.toml", "Error: directory.toml: it is a directory, not a file\n"),
        ("large.toml", "Error: large.toml: it is larger than 16 MiB\n"),
        ("big.toml", "big.toml: it is larger than 1 MiB\n"),
        ("empty.toml", "empty.toml:1:1: it is empty\n"),
        ("missing.toml", "Error: missing.toml: No such file or directory (os error 2)\n"),
    ] {
        let said = place.check(file);
        assert_eq!((said.code, &*said.stdout, &*said.stderr), (Some(1), "", expected));
    }
}
