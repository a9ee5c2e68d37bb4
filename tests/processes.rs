//! The process table on real processes.
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests run real programs"
)]

use std::{
    io::{BufRead, BufReader},
    process::{Child, ChildStdout, Command, Stdio},
    time::{Duration, Instant},
};

use gastown_supervisor::processes::{Ended, Process, Processes, table::SystemProcesses};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};

/// A shell that leads a session of its own, as a pane's process does; its group is killed on drop.
struct Pane {
    child: Child,
    lines: BufReader<ChildStdout>,
}

impl Pane {
    fn run(script: &str) -> Pane {
        let mut command = Command::new("setsid");
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
        let _ = self.child.kill();
        let _ = self.child.wait();
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
    child.wait().unwrap();
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
