//! Recorded commands of Gas Town in a real town: the stand-in `gt` repeats them, called as an operator would call it.

use std::{
    fs,
    path::Path,
    process::{Child, Command, Stdio},
};

use serde_json::{Value, json};

use super::{
    limits::{end_of, kill_and_wait},
    process::{self, Identified},
    standin,
    town::{MARK, Town},
};

/// The rigs of the recordings.
pub const RIGS: [&str; 2] = ["gastown", "beads"];

/// A recording, as far as a test changes it: lines of time, kind and the rest. The file format is that of
/// `tests/support/sandbox/standin/recording.rs`.
#[derive(Debug, Clone)]
pub struct Recording {
    facts: Vec<(u64, String, String)>,
}

impl Recording {
    /// Reads one of `tests/fixtures/timelines`.
    pub fn read(name: &str) -> Recording {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/timelines").join(name);
        let text = fs::read_to_string(path.with_extension("txt")).expect(name);
        let facts = text.lines().filter(|line| !line.starts_with('#')).map(|line| {
            let mut words = line.splitn(3, ' ');
            let mut word = || words.next().unwrap_or_else(|| panic!("{name}: {line}")).to_owned();
            (word().parse().expect(line), word(), word())
        });
        Recording { facts: facts.collect() }
    }

    /// Without the facts of this kind, for instance the session it was typed `inside`.
    pub fn without(mut self, kind: &str) -> Recording {
        self.facts.retain(|(_, it, _)| it != kind);
        self
    }

    /// With one more fact.
    pub fn and(mut self, at: u64, kind: &str, rest: &str) -> Recording {
        self.facts.push((at, kind.to_owned(), rest.to_owned()));
        self
    }

    /// Speeds up everything after `after` milliseconds by this factor.
    pub fn hurried(mut self, after: u64, times: u64) -> Recording {
        let sooner = |at: u64| if at > after { after + (at - after) / times } else { at };
        for (at, kind, rest) in &mut self.facts {
            *at = sooner(*at);
            if kind == "runs"
                && let Some((end, line)) = rest.clone().split_once(' ')
                && let Ok(end) = end.parse()
            {
                *rest = format!("{} {line}", sooner(end));
            }
        }
        self
    }

    /// The same for another rig.
    pub fn of_rig(mut self, rig: &str) -> Recording {
        for (_, _, rest) in &mut self.facts {
            *rest = rest.replace("gastown", rig);
        }
        self
    }

    /// The command line of the recording.
    pub fn line(&self) -> &str {
        let own = self.facts.iter().find(|(_, kind, _)| kind == "runs").expect("a command");
        own.2.splitn(3, ' ').nth(2).expect("a command line")
    }

    fn text(&self) -> String {
        self.facts.iter().map(|(at, kind, rest)| format!("{at} {kind} {rest}\n")).collect()
    }
}

impl Town {
    /// A town as it was when the commands were recorded, with `gt` as a file of its own, as the real one is.
    pub fn recorded(settings: Value) -> Town {
        let town = Town::new(&RIGS);
        let prefixes = [("gastown", "gt-"), ("beads", "bd-")];
        let rigs: serde_json::Map<String, Value> = prefixes
            .map(|(rig, prefix)| (rig.to_owned(), json!({"git_url": "x", "beads": {"prefix": prefix}})))
            .into_iter()
            .collect();
        town.put("mayor/rigs.json", json!({"version": 1, "rigs": rigs}).to_string());
        standin::program_of_its_own(&town.bin(), "gt");
        town.settings(settings);
        town
    }

    /// Adds this command to the stand-in; returns its command line.
    pub fn learn(&self, recording: &Recording) -> String {
        let line = recording.line().to_owned();
        let file = line.replace([' ', '/'], "_");
        self.put(format!("demo/recordings/{file}.txt"), recording.text());
        line
    }

    /// Runs it as an operator would: in the town's directory, as a process of its own.
    pub fn gt(&self, recording: &Recording) -> Operator {
        let line = self.learn(recording);
        let words: Vec<&str> = line.split(' ').skip(1).collect();
        let mut command = Command::new(self.bin().join("gt"));
        command.args(words).current_dir(self.root()).env("PATH", self.search_path()).env(MARK, self.mark());
        command.env_remove("TMUX").env_remove("GT_ROOT").stdin(Stdio::null());
        Operator { child: command.spawn().unwrap() }
    }

    /// A working polecat of a recorded town, with `hook`; its session is not the supervisor's.
    pub fn polecat(&self, rig: &str, name: &str, hook: &str) {
        self.worktree(format!("{rig}/polecats/{name}/{rig}"));
        let prefix = self.json("mayor/rigs.json")["rigs"][rig]["beads"]["prefix"].clone();
        let id = format!("{}{rig}-polecat-{name}", prefix.as_str().unwrap());
        self.bead(json!({"id": id, "title": name, "description": format!("rig: {rig}\nhook_bead: null"),
            "status": "open", "priority": 2, "issue_type": "agent", "labels": ["gt:agent"],
            "created_at": "2026-01-16T20:00:00Z", "updated_at": "2026-01-16T20:00:00Z",
            "hook_bead": hook, "agent_state": "working"}));
        self.bead(json!({"id": hook, "title": "Fix it", "status": "hooked", "priority": 2,
            "issue_type": "task", "assignee": format!("{rig}/polecats/{name}"),
            "created_at": "2026-01-16T20:00:00Z", "updated_at": "2026-01-16T20:00:00Z"}));
        let (root, actor) = (format!("GT_ROOT={}", self.root().display()), format!("{rig}/polecats/{name}"));
        let (session, actor) = (format!("gt-{rig}-{name}"), format!("BD_ACTOR={actor}"));
        let claude = format!("exec {}", self.bin().join("claude").display());
        self.tmux(&["new-session", "-d", "-s", &session, "-e", &root, "-e", &actor, &claude]);
    }

    /// Creates or replaces a bead.
    pub fn bead(&self, bead: Value) {
        self.put(format!("demo/beads/{}.json", bead["id"].as_str().unwrap()), bead.to_string());
    }

    /// How many processes of an agent have started so far, by anyone.
    pub fn begun(&self, identity: &str) -> usize {
        let beginning = format!("{} ", identity.replace('/', "-"));
        self.text("demo/begun.log").lines().filter(|line| line.starts_with(&beginning)).count()
    }

    /// The events so far; each must have the exact format of ours.
    pub fn events(&self) -> Vec<Value> {
        let text = self.text(".events.jsonl");
        let lines = text.lines().map(|line| {
            let event: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
            let (ts, kind) = (event["ts"].as_str().unwrap(), event["type"].as_str().unwrap());
            let exact = format!(
                r#"{{"ts":"{ts}","source":"gt","type":"{kind}","actor":"daemon","payload":{},"visibility":"feed"}}"#,
                event["payload"]
            );
            assert_eq!(line, exact);
            assert!(ts.len() == 20 && ts.ends_with('Z') && ts.parse::<jiff::Timestamp>().is_ok(), "{line}");
            event
        });
        lines.collect()
    }

    /// The payloads of the events of a kind.
    pub fn events_of(&self, kind: &str) -> Vec<Value> {
        let events = self.events().into_iter().filter(|event| event["type"] == kind);
        events.map(|event| event["payload"].clone()).collect()
    }

    /// The arguments of all runs of `gt mail send`; then of `gt log crash`.
    pub fn mails(&self) -> Vec<Value> {
        arguments(&self.text("demo/mail.log"))
    }

    pub fn crashes(&self) -> Vec<Value> {
        arguments(&self.text("demo/crashes.log"))
    }
}

fn arguments(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// A running command of an operator; killed with the test.
pub struct Operator {
    child: Child,
}

impl Operator {
    /// The base name of its real program.
    pub fn program(&self) -> String {
        let path = fs::read_link(format!("/proc/{}/exe", self.child.id())).unwrap();
        path.file_name().unwrap().to_string_lossy().into_owned()
    }

    pub fn runs(&self) -> bool {
        Identified::of(self.child.id()).lives()
    }

    /// Waits for its end, which must be a success.
    pub fn wait(&mut self) {
        assert!(end_of(&mut self.child, "a command of Gas Town").success());
    }
}

impl Drop for Operator {
    fn drop(&mut self) {
        kill_and_wait(&mut self.child);
    }
}

/// Kills the process in a session's pane.
pub fn kill_agent(town: &Town, session: &str) -> (String, u32) {
    let before = town.incarnation(session).expect(session);
    process::signal(before.1, rustix::process::Signal::KILL);
    before
}
