//! The process table on real processes.
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests run real programs"
)]

use std::{
    io::{BufRead, BufReader},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Stdio},
    time::{Duration, Instant},
};

use gastown_supervisor::processes::{
    Ended, Invocation, Process, Processes,
    exec_watcher::{ExecWatcher, SystemExecWatcher},
    table::SystemProcesses,
};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};

#[path = "support/limits.rs"]
mod limits;

use limits::{end_of, kill_and_wait};

/// A shell that leads a session of its own, as a pane's process does; its group is killed on drop.
struct Pane {
    child: Child,
    lines: BufReader<ChildStdout>,
}

impl Pane {
    fn run(script: &str) -> Pane {
        let mut command = Command::new("setsid");
        limits::watched();
        command.args(["sh", "-c", script]).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("setsid and sh are installed");
        let lines = BufReader::new(child.stdout.take().unwrap());
        Pane { child, lines }
    }

    fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits for the next line the script prints: its way to say that something has happened.
    fn line(&mut self) -> String {
        let mut line = String::new();
        limits::readable(self.lines.get_ref(), self.lines.buffer(), "a line of the script");
        self.lines.read_line(&mut line).unwrap();
        line.trim().to_owned()
    }

    fn number(&mut self) -> u32 {
        self.line().parse().expect("the script prints a pid")
    }
}

impl Drop for Pane {
    fn drop(&mut self) {
        let _ = kill_process_group(raw(self.pid()), Signal::KILL);
        kill_and_wait(&mut self.child);
    }
}

fn raw(pid: u32) -> Pid {
    Pid::from_raw(i32::try_from(pid).unwrap()).unwrap()
}

async fn tree(root: u32) -> Vec<Process> {
    SystemProcesses::new().trees(&[root]).await.unwrap().remove(&root).unwrap_or_default()
}

async fn pids(root: u32) -> Vec<u32> {
    tree(root).await.iter().map(|process| process.pid).collect()
}

fn runs(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(") ").next().is_some_and(|rest| !rest.is_empty() && !rest.starts_with('Z'))
}

#[tokio::test]
async fn a_tree_holds_children_those_with_their_own_session_and_orphans() {
    let mut pane = Pane::run(
        "sleep 60 & echo $!
         setsid sh -c 'echo $$; exec sleep 61' &
         sh -c 'sleep 62 & echo $!'
         wait",
    );
    let children = [pane.number(), pane.number(), pane.number()];
    let root = pane.pid();
    // The shell that leaves the orphan behind may still be on its way out.
    let deadline = Instant::now() + Duration::from_secs(10);
    let found = loop {
        let found = pids(root).await;
        if found.len() == 4 || Instant::now() > deadline {
            break found;
        }
    };
    assert_eq!(found[0], root, "the root comes first: {found:?}");
    assert!(found.len() == 4 && children.iter().all(|pid| found.contains(pid)), "{children:?} in {found:?}");
    let ended = SystemProcesses::new().end_trees(&[root], Duration::from_secs(10)).await.unwrap();
    assert_eq!(ended, Ended { asked: 4, forced: 0 });
    assert!(!children.iter().any(|pid| runs(*pid)));
}

#[tokio::test]
async fn what_a_root_that_ended_left_in_its_session_is_ended_too() {
    let mut pane = Pane::run("sleep 60 & echo $!");
    let orphan = pane.number();
    waitid(WaitId::Pid(raw(pane.pid())), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT).unwrap();
    assert!(pids(pane.pid()).await.is_empty(), "the root has ended");
    let ended = SystemProcesses::new().end_trees(&[pane.pid()], Duration::from_secs(10)).await.unwrap();
    assert_eq!(ended, Ended { asked: 1, forced: 0 });
    assert!(!runs(orphan));
}

#[tokio::test]
async fn names_are_comm_executable_and_argv0_without_doubles() {
    let mut pane = Pane::run("exec bash -c 'echo ready; exec -a /opt/bin/agent sleep 60'");
    assert_eq!(pane.line(), "ready");
    let deadline = Instant::now() + Duration::from_secs(10);
    let names = loop {
        let names = tree(pane.pid()).await.remove(0).names;
        // In between, a survey may show the old name beside the new ones.
        if names[0] == "sleep" && names.contains(&"agent".to_owned()) || Instant::now() > deadline {
            break names;
        }
    };
    assert_eq!(names[0], "sleep", "{names:?}");
    assert!(names.contains(&"agent".to_owned()), "{names:?}");
    let mut single = names.clone();
    single.sort();
    single.dedup();
    assert_eq!(single.len(), names.len(), "doubles in {names:?}");
}

#[tokio::test]
async fn the_age_is_that_of_the_process() {
    let mut pane = Pane::run("echo ready; exec sleep 60");
    pane.line();
    let found = SystemProcesses::new().trees(&[pane.pid(), std::process::id()]).await.unwrap();
    assert!(found[&pane.pid()][0].age < Duration::from_secs(30), "{found:?}");
    assert!(found[&std::process::id()][0].age >= found[&pane.pid()][0].age);
}

#[tokio::test]
async fn a_root_that_is_gone_or_not_reaped_is_left_out() {
    let mut child = Command::new("true").spawn().unwrap();
    let pid = child.id();
    waitid(WaitId::Pid(raw(pid)), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT).unwrap();
    let table = SystemProcesses::new();
    assert!(table.trees(&[pid]).await.unwrap().is_empty(), "a zombie");
    end_of(&mut child, "a command");
    assert!(table.trees(&[pid, 0]).await.unwrap().is_empty(), "gone");
    assert_eq!(table.end_trees(&[pid, 0], Duration::from_secs(1)).await.unwrap(), Ended::default());
}

#[tokio::test]
async fn one_that_ignores_term_is_killed_after_the_grace() {
    let mut pane = Pane::run("trap '' TERM; sh -c 'sleep 60' & echo $!; while :; do sleep 60; done");
    let child = pane.number();
    let began = Instant::now();
    let grace = Duration::from_millis(300);
    let ended = SystemProcesses::new().end_trees(&[pane.pid()], grace).await.unwrap();
    assert!(began.elapsed() >= grace && began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    assert!(ended.forced >= 1, "{ended:?}");
    assert!(!runs(pane.pid()) && !runs(child));
}

#[tokio::test]
async fn another_signal_than_term_may_ask_it_to_end() {
    let long = Duration::from_secs(30);
    for (name, script, signal, grace, forced) in [
        (
            "INT is handled",
            "trap 'exit 5' INT; trap '' TERM; echo up; while :; do :; done",
            Signal::INT,
            long,
            false,
        ),
        (
            "INT is ignored",
            "trap '' INT; sleep 60 & echo up; wait",
            Signal::INT,
            Duration::from_millis(300),
            true,
        ),
        ("KILL", "trap '' TERM INT; sleep 60 & echo up; wait", Signal::KILL, long, false),
    ] {
        let mut pane = Pane::run(script);
        assert_eq!(pane.line(), "up", "{name}");
        let began = Instant::now();
        let ended = SystemProcesses::new().end_trees_with(&[pane.pid()], signal, grace).await.unwrap();
        assert!(began.elapsed() < Duration::from_secs(10), "{name}: {:?}", began.elapsed());
        assert_eq!(ended.forced > 0, forced, "{name}: {ended:?}");
        assert!(!forced || began.elapsed() >= grace, "{name}: {:?}", began.elapsed());
        assert!(!runs(pane.pid()), "{name}");
    }
}

#[tokio::test]
async fn those_that_obey_cost_no_grace() {
    let mut pane = Pane::run("sleep 60 & echo $!; wait");
    let child = pane.number();
    let began = Instant::now();
    let ended = SystemProcesses::new().end_trees(&[pane.pid()], Duration::from_secs(30)).await.unwrap();
    assert_eq!(ended, Ended { asked: 2, forced: 0 });
    assert!(began.elapsed() < Duration::from_secs(10), "it did not wait out the grace");
    assert!(!runs(child));
}

#[tokio::test]
async fn what_is_started_in_answer_to_term_is_killed() {
    // The shell answers TERM with a new child and ends: only a second survey finds it, by its session.
    let mut pane = Pane::run(
        "trap 'sh -c \"trap : TERM; echo \\$\\$; sleep 60; sleep 60\" & exit 0' TERM; echo up; while :; do sleep 1; done",
    );
    assert_eq!(pane.line(), "up");
    SystemProcesses::new().end_trees(&[pane.pid()], Duration::from_secs(10)).await.unwrap();
    let line = pane.line();
    assert!(line.is_empty() || !runs(line.parse().unwrap()), "{line} lives on");
}

#[tokio::test]
async fn a_survey_of_hundreds_is_quick() {
    let mut pane = Pane::run("i=0; while [ $i -lt 300 ]; do sleep 60 & i=$((i+1)); done; echo ready; wait");
    assert_eq!(pane.line(), "ready");
    let began = Instant::now();
    assert_eq!(pids(pane.pid()).await.len(), 301);
    // Generous: the machine is shared, and this build is not optimised.
    assert!(began.elapsed() < Duration::from_millis(500), "{:?}", began.elapsed());
    let ended = SystemProcesses::new().end_trees(&[pane.pid()], Duration::from_secs(20)).await.unwrap();
    assert_eq!(ended, Ended { asked: 301, forced: 0 });
}

/// A program of its own name for each test, so that tests do not see each other's.
struct Program {
    directory: tempfile::TempDir,
    name: &'static str,
}

impl Program {
    fn new(name: &'static str) -> Program {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir(directory.path().join("bin")).unwrap();
        std::fs::create_dir(directory.path().join("town")).unwrap();
        Program { directory, name }
    }

    /// What runs is a copy of `sleep`.
    fn copied(name: &'static str) -> Program {
        let program = Program::new(name);
        std::fs::copy("/bin/sleep", program.path()).unwrap();
        program
    }

    fn scripted(name: &'static str, script: &str) -> Program {
        let program = Program::new(name);
        std::fs::write(program.path(), script).unwrap();
        std::fs::set_permissions(program.path(), PermissionsExt::from_mode(0o755)).unwrap();
        program
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("bin").join(self.name)
    }

    fn town(&self) -> PathBuf {
        self.directory.path().canonicalize().unwrap().join("town")
    }

    fn pane(&self, script: &str) -> Pane {
        Pane::run(
            &format!("cd {}; {script}", self.town().display())
                .replace("PROGRAM", self.path().to_str().unwrap()),
        )
    }

    async fn look(&self, young: Option<Duration>) -> Vec<Invocation> {
        SystemProcesses::new().invocations(self.name, young).await.unwrap()
    }

    /// Polls until this many are seen with all they are known by.
    async fn see(&self, count: usize) -> Vec<Invocation> {
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            let found = self.look(None).await;
            let complete = |it: &Invocation| it.given_to(self.name).is_some_and(|words| !words.is_empty());
            if found.len() == count && found.iter().all(complete) {
                return found;
            }
            assert!(Instant::now() < deadline, "{count} of {}: {found:?}", self.name);
        }
    }
}

fn given<'a>(invocation: &'a Invocation, program: &Program) -> Vec<&'a str> {
    invocation.given_to(program.name).unwrap().iter().map(String::as_str).collect()
}

#[tokio::test]
async fn a_command_is_seen_with_its_arguments_directory_and_ancestors() {
    let program = Program::copied("gt-seen");
    let mut pane = program.pane("PROGRAM 60 & echo $!; wait");
    let pid = pane.number();
    let found = program.see(1).await;
    assert_eq!(found[0].pid, pid);
    assert_eq!(given(&found[0], &program), ["60"]);
    assert_eq!(found[0].directory, Some(program.town()));
    assert_eq!(found[0].executable.as_deref().map(Path::to_owned), program.path().canonicalize().ok());
    let ancestors = &found[0].ancestors;
    assert_eq!((ancestors[0], *ancestors.last().unwrap()), (pane.pid(), pane.pid()), "parent and session");
    assert!(ancestors.contains(&std::process::id()), "the pane's own parent: {ancestors:?}");
    assert_eq!(program.look(Some(Duration::from_secs(3600))).await, found, "it is young");
    // Ages are counted in hundredths of a second: it is young for this long.
    let deadline = Instant::now() + Duration::from_secs(10);
    while !program.look(Some(Duration::ZERO)).await.is_empty() {
        assert!(Instant::now() < deadline, "it grows no older");
    }
}

#[tokio::test]
async fn a_command_whose_shell_ended_keeps_its_session() {
    let program = Program::copied("gt-orphan");
    let mut pane = program.pane("PROGRAM 60 & echo $!");
    let pid = pane.number();
    waitid(WaitId::Pid(raw(pane.pid())), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT).unwrap();
    let found = program.see(1).await;
    assert_eq!((found[0].pid, found[0].ancestors.last()), (pid, Some(&pane.pid())));
    assert_ne!(found[0].ancestors[0], pane.pid(), "its parent has ended");
}

#[tokio::test]
async fn a_command_in_a_directory_that_is_gone() {
    let program = Program::copied("gt-gone");
    let _pane = program.pane("mkdir x; cd x; PROGRAM 60 & wait");
    program.see(1).await;
    std::fs::remove_dir(program.town().join("x")).unwrap();
    std::fs::remove_file(program.path()).unwrap();
    let deadline = Instant::now() + Duration::from_secs(10);
    let (directory, executable) = loop {
        let found = program.see(1).await.remove(0);
        let shown = |path: Option<PathBuf>| path.unwrap().display().to_string();
        let (directory, executable) = (shown(found.directory), shown(found.executable));
        if directory.contains("(deleted)") && executable.contains("(deleted)") || Instant::now() > deadline {
            break (directory, executable);
        }
    };
    assert_eq!(directory, format!("{} (deleted)", program.town().join("x").display()));
    assert!(executable.ends_with("/gt-gone (deleted)"), "{executable}");
}

#[tokio::test]
async fn scripts_and_other_names_of_the_program() {
    let script = Program::scripted("gt-script", "#!/bin/sh -e\nsleep 60\n");
    let _pane = script.pane("PROGRAM rig park & wait");
    assert_eq!(given(&script.see(1).await[0], &script), ["rig", "park"]);
    let script = Program::scripted("gt-envscript", "#!/usr/bin/env bash\nsleep 60 # not exec\necho\n");
    let _pane = script.pane("PROGRAM down & wait");
    assert_eq!(given(&script.see(1).await[0], &script), ["down"]);
    let program = Program::copied("gt-other");
    let _pane = program.pane("bash -c 'exec -a else PROGRAM 60' & ln -s PROGRAM linked; ./linked 61 & wait");
    let found = program.see(2).await;
    let mut words: Vec<_> = found.iter().flat_map(|it| given(it, &program)).collect();
    words.sort_unstable();
    assert_eq!(words, ["60", "61"]);
}

#[tokio::test]
async fn neither_zombies_nor_we_ourselves_run_a_command() {
    let program = Program::copied("gt-zombie");
    let mut child = Command::new(program.path()).arg("0").spawn().unwrap();
    waitid(WaitId::Pid(raw(child.id())), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT).unwrap();
    assert_eq!(program.look(None).await, []);
    assert_eq!(program.look(Some(Duration::from_secs(60))).await, []);
    end_of(&mut child, "a command");
    let own = std::env::current_exe().unwrap();
    let found = SystemProcesses::new().invocations(own.file_name().unwrap().to_str().unwrap(), None).await;
    assert!(!found.unwrap().iter().any(|it| it.pid == std::process::id()));
    assert_eq!(SystemProcesses::new().own(), std::process::id());
}

#[tokio::test]
async fn the_end_of_a_command_is_reported() {
    let program = Program::copied("gt-ended");
    let mut child = Command::new(program.path()).arg("60").spawn().unwrap();
    let found = program.see(1).await.remove(0);
    let table = SystemProcesses::new();
    let mut ended = table.ended(found.pid, found.born);
    assert!(futures::poll!(ended.as_mut()).is_pending(), "it runs");
    child.kill().unwrap();
    tokio::time::timeout(Duration::from_secs(10), ended).await.expect("told");
    end_of(&mut child, "a command");
    table.ended(found.pid, found.born).await; // at once
    table.ended(std::process::id(), 0).await; // another process has that id
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn the_start_of_a_program_is_reported_and_then_seen() {
    let program = Program::copied("gt-begins");
    let link = program.town().join("link");
    std::os::unix::fs::symlink(program.path(), &link).unwrap();
    let exec_watcher = SystemExecWatcher::new();
    let mut begun = exec_watcher.begun();
    let missing = program.town().join("missing");
    for round in 0..3 {
        // A link is followed; what is not there is left out.
        assert_eq!(exec_watcher.watch(vec![link.clone(), missing.clone()]).await, None);
        begun.mark_unchanged();
        let mut child = Command::new(program.path()).arg("60").spawn().unwrap();
        let told = tokio::time::timeout(Duration::from_secs(10), begun.changed());
        told.await.expect("told of the beginning").unwrap();
        let deadline = Instant::now() + Duration::from_secs(10);
        while !program.look(Some(Duration::from_secs(30))).await.iter().any(|it| it.pid == child.id()) {
            assert!(Instant::now() < deadline, "not seen in round {round}");
        }
        kill_and_wait(&mut child);
        // An upgrade: another file takes its place. That changes the counter too, so that it is watched again.
        begun.mark_unchanged();
        let new = program.town().join("new");
        std::fs::copy("/bin/sleep", &new).unwrap();
        std::fs::rename(&new, program.path()).unwrap();
        let told = tokio::time::timeout(Duration::from_secs(10), begun.changed());
        told.await.expect("told of the upgrade").unwrap();
    }
}
