//! `start` and `stop`: a supervisor in the background, started from anywhere, and every kind of end.

use std::{
    fs::{self, File},
    path::Path,
    process::{Child, Command, Stdio},
};

use rustix::{
    fs::{FlockOperation, flock},
    process::{Signal, getsid},
};
use serde_json::json;

use crate::{
    among_others,
    support::{
        Server,
        background::{Background, answer, ended},
        limits::{LimitedJoin, kill_and_wait},
        process::{self, Guarded, raw},
        supervisor::binary,
        town::{MARK, Town},
    },
};

fn quiet() -> Town {
    let town = Town::new(&[]);
    town.patrols(&[]);
    town
}

fn lock(town: &Town) -> File {
    town.put("daemon/.keep", "");
    let lock = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(town.path("daemon/daemon.lock"))
        .unwrap();
    flock(&lock, FlockOperation::NonBlockingLockExclusive).unwrap();
    lock
}

/// A program a test started, which ends with it.
pub struct Program(Child);

impl Program {
    fn start(mut command: Command) -> Program {
        Program(command.stdin(Stdio::null()).spawn().unwrap())
    }

    fn sleeping() -> Program {
        let mut command = Command::new("sleep");
        command.arg("600");
        Program::start(command)
    }

    pub fn pid(&self) -> u32 {
        self.0.id()
    }

    fn lives(&mut self) -> bool {
        self.0.try_wait().unwrap().is_none()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        kill_and_wait(&mut self.0);
    }
}

/// A program that holds the town's lock as the original daemon does, and takes these signals so.
pub fn stand_in(town: &Town, traps: &str) -> Program {
    stand_in_of(town, "sh".as_ref(), traps)
}

fn stand_in_of(town: &Town, program: &Path, traps: &str) -> Program {
    town.put("daemon/.keep", "");
    let script = format!(
        "exec 9>daemon/daemon.lock; flock 9; {traps}; printf $$ >daemon/daemon.pid
         touch holds; while :; do sleep 0.05 9>&-; done"
    );
    let mut command = Command::new(program);
    command.args(["-c", &script]).current_dir(town.root());
    let stand_in = Program::start(command);
    town.wait("a stand-in that holds the lock", || town.path("holds").exists());
    stand_in
}

#[test]
fn started_twice_and_stopped_twice() {
    let _among = among_others();
    let town = Town::new(&["alpha"]);
    let background = Background(&town);
    let mut command = town.command_of(&["start"]);
    command.env("GT_ROLE", "polecat").env("TMUX", "/nowhere/default,1,0").current_dir(town.root());
    let started = answer(command);
    // Ready means: its tree was built before `start` said so.
    assert_eq!(town.logged("Daemon running, recovery heartbeat interval"), 1, "{started:?}");
    let pid = started.pid();
    started.begins(&format!("started (PID {pid})\n4 agents: "));
    // It found every agent.
    let status = town.ask(&["status", "--json"]).json();
    let unseen = status["agents"].as_array().unwrap().iter().find(|it| it["reason_code"] == "not_observed");
    assert_eq!(unseen, None, "{started:?}");
    assert_eq!(town.text("daemon/daemon.pid"), pid.to_string());
    assert_eq!(town.json("daemon/state.json")["pid"], pid);

    assert_eq!(getsid(Some(raw(pid))).unwrap(), raw(pid), "a session of its own");
    assert_eq!(process::directory(pid).to_str(), Some("/"));
    let output =
        |number: u32| fs::read_link(format!("/proc/{pid}/fd/{number}")).unwrap().display().to_string();
    assert_eq!([output(0), output(1)], ["/dev/null", "/dev/null"]);
    assert!(output(2).ends_with(" (deleted)"), "{}", output(2));
    town.wait_started(&["deacon", "alpha/witness", "alpha/refinery"]);
    assert!(!process::environment(town.server.pid()).contains_key("GT_ROLE"));

    town.ask(&["start"]).failed(1, &format!("Error: already running (PID {pid})\n"));
    assert_eq!(background.supervisors(), [pid]);
    let before = town.incarnation("gt-alpha-witness");
    town.ask(&["stop"]).fine(&format!("stopped (PID {pid}); the agents keep running\n"));
    assert!(before.is_some() && town.incarnation("gt-alpha-witness") == before);
    assert!(!town.path("daemon/daemon.pid").exists());
    drop(lock(&town));

    let nobody = format!("no supervisor runs in {}", town.root().display());
    for command in ["stop", "reload"] {
        let told = town.ask(&[command]);
        told.failed(3, &nobody);
        assert_eq!(told.stdout, "", "{command}");
    }
    assert_eq!(background.supervisors(), [0; 0]);
}

#[test]
fn what_cannot_run_says_why() {
    let _among = among_others();
    let settings = |text: &'static str| move |town: &Town| town.put("settings/supervisor.json", text);
    let path = |town: &Town, path: &str| town.path(path).display().to_string();
    type Case = (&'static str, Box<dyn Fn(&Town)>, Box<dyn Fn(&Town) -> String>);
    let cases: [Case; 5] = [
        (
            "no town",
            Box::new(|town| town.remove("mayor/town.json")),
            Box::new(|town| format!("Error: --town names {}, which is not a town", town.root().display())),
        ),
        (
            "an unknown key",
            Box::new(settings("{\n  \"hartbeat\": {}\n}")),
            Box::new(|_| "Error: settings/supervisor.json:2:3: hartbeat: unknown key".to_owned()),
        ),
        (
            "half-written settings",
            Box::new(settings("{\"heartbeat\": {\"inter")),
            Box::new(|_| "Error: settings/supervisor.json:1:21: ".to_owned()),
        ),
        (
            "a file for a directory",
            Box::new(|town| town.put("daemon", "")),
            Box::new(move |town| format!("Error: {} cannot be examined: ", path(town, "daemon/daemon.lock"))),
        ),
        (
            "a directory for the PID file",
            Box::new(|town| town.put("daemon/daemon.pid/x", "")),
            Box::new(move |town| format!("Error: {} cannot be written: ", path(town, "daemon/daemon.pid"))),
        ),
    ];
    for (name, prepare, told) in cases {
        let town = quiet();
        let background = Background(&town);
        prepare(&town);
        let answer = town.ask(&["start"]);
        eprintln!("{name}");
        answer.failed(1, &told(&town));
        assert_eq!((answer.stdout.as_str(), background.supervisors()), ("", vec![]), "{name}");
    }
}

#[test]
fn what_it_complains_about_on_the_way_is_shown() {
    let _among = among_others();
    let town = quiet();
    let _background = Background(&town);
    fs::create_dir_all(town.path("daemon/daemon.log")).unwrap();
    let started = town.ask(&["start"]);
    assert_eq!((started.code, started.stdout.contains("started (PID ")), (Some(0), true), "{started:?}");
    assert!(started.stderr.contains("daemon/daemon.log cannot be written: "), "{started:?}");
}

#[test]
fn one_that_is_not_ready_in_time_is_left_running() {
    let _among = among_others();
    let town = quiet();
    let background = Background(&town);
    // Where its socket would be.
    town.put("daemon/supervisor.sock", "");
    let started = town.ask(&["start", "--timeout", "1s"]);
    let running = background.supervisors();
    assert_eq!(running.len(), 1, "{started:?}");
    let pid = running[0];
    started.failed(
        1,
        &format!("Error: PID {pid} runs, but is not ready after 1s: its control socket does not answer: "),
    );
    assert!(started.stderr.contains("it was left running"), "{started:?}");
    town.ask(&["stop"]).fine(&format!("stopped (PID {pid}); the agents keep running\n"));
}

#[test]
fn of_three_starts_at_once_one_is_the_supervisor() {
    let _among = among_others();
    let town = quiet();
    let background = Background(&town);
    let answers: Vec<_> = std::thread::scope(|scope| {
        let starts: Vec<_> = (0..3).map(|_| scope.spawn(|| town.ask(&["start"]))).collect();
        starts.into_iter().map(|start| start.limited_join("a start")).collect()
    });
    let (well, ill): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.code == Some(0));
    assert_eq!(well.len(), 1, "{answers:?}");
    for answer in ill {
        answer.failed(1, &format!("Error: already running (PID {})\n", well[0].pid()));
    }
    assert_eq!(background.supervisors(), [well[0].pid()]);
}

#[test]
fn it_outlives_the_terminal_and_holds_nothing_of_its_caller() {
    let _among = among_others();
    let town = quiet();
    town.settings(json!({"heartbeat": {"interval": "500ms"}}));
    let background = Background(&town);
    // A script that has a descriptor open, and whose output is a pipe: `answer` waits for the end of both.
    let (root, binary) = (town.root().display(), binary());
    let mut script = Command::new("sh");
    script.args(["-c", &format!("exec 7>&1; exec {binary} start --town {root}")]);
    script.env(MARK, town.mark());
    let pid = answer(script).pid();
    town.ask(&["stop"]).fine(&format!("stopped (PID {pid}); the agents keep running\n"));

    // A terminal that is closed, with everything that runs in it.
    let terminal = Server::new();
    let mark = format!("{MARK}={}", town.mark());
    let script = format!("{binary} start --town {root} && exec sleep 600");
    terminal.must(&["new-session", "-d", "-e", &mark, "-s", "t", &script]);
    let ready = || town.logged("Heartbeat complete (#2)") > 0;
    town.wait("a supervisor started in a terminal", ready);
    town.wait("its caller's end", || {
        !terminal.must(&["list-panes", "-F", "#{pane_current_command}"]).contains("sh")
    });
    let pid: u32 = town.text("daemon/daemon.pid").parse().unwrap();
    let caller = Guarded::of(terminal.must(&["list-panes", "-F", "#{pane_pid}"]).parse().unwrap());
    drop(terminal);
    town.wait("the end of what ran in the terminal", || !caller.lives());
    town.wait_beats(2);
    assert_eq!(background.supervisors(), [pid]);
}

#[test]
fn a_start_that_is_killed_leaves_the_supervisor_to_itself() {
    let _among = among_others();
    let town = quiet();
    let background = Background(&town);
    // It cannot be ready while this exists, so `start` waits.
    town.put("daemon/supervisor.sock", "");
    let mut command = town.command_of(&["start"]);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut start = command.spawn().unwrap();
    town.wait_logged("Heartbeat complete (#1)");
    kill_and_wait(&mut start);
    let pid = background.supervisors()[0];
    town.ask(&["stop"]).fine(&format!("stopped (PID {pid}); the agents keep running\n"));
}

#[test]
fn a_lock_holder_without_a_pid_file_is_not_touched() {
    let _among = among_others();
    let town = quiet();
    let background = Background(&town);
    let _held = lock(&town);
    let mut bystander = Program::sleeping();
    let names = |pid: Option<u32>| match pid {
        None => drop(fs::remove_file(town.path("daemon/daemon.pid"))),
        Some(pid) => town.put("daemon/daemon.pid", pid.to_string()),
    };
    for (name, pid, start) in [
        ("no PID file", None, "Error: already running (PID unknown)\n".to_owned()),
        // Left over by a supervisor that was killed; the number is another program's by now.
        (
            "another program's",
            Some(bystander.pid()),
            format!("Error: already running (PID {})\n", bystander.pid()),
        ),
    ] {
        names(pid);
        let holds = format!("Error: a process holds {}, but ", town.path("daemon/daemon.lock").display());
        // Each tries for a while whether it is only a probe.
        std::thread::scope(|scope| {
            for (command, said) in
                [("start", &start), ("stop", &holds), ("restart", &holds), ("reload", &holds)]
            {
                let town = &town;
                scope.spawn(move || {
                    let told = town.ask(&[command]);
                    told.failed(1, said);
                    assert_eq!(told.stdout, "", "{name}: {command}");
                });
            }
        });
        assert!(bystander.lives(), "{name}");
    }
    assert_eq!(background.supervisors(), [0; 0]);
}

#[test]
fn a_pid_file_without_a_lock_means_nothing() {
    let _among = among_others();
    let town = quiet();
    let background = Background(&town);
    let mut bystander = Program::sleeping();
    town.put("daemon/daemon.pid", bystander.pid().to_string());
    town.put("daemon/daemon.lock", "");
    town.ask(&["stop"]).failed(3, "no supervisor runs in ");
    town.ask(&["reload"]).failed(3, "no supervisor runs in ");
    background.start();
    assert!(bystander.lives());
}

#[test]
fn stop_waits_and_says_for_what() {
    let _among = among_others();
    let town = quiet();
    let mut stand_in =
        stand_in(&town, "trap 'touch told' TERM; trap '[ -e told ] && [ -e may-end ] && exit' USR1");
    let pid = stand_in.pid();
    let mut command = town.command_of(&["stop"]);
    let said = town.path("said");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(File::create(&said).unwrap());
    let mut stop = command.spawn().unwrap();
    town.wait("what it waits for", || {
        town.text("said") == format!("waiting up to 2m10s for PID {pid} to exit\n")
    });
    assert!(town.path("told").exists() && stand_in.lives());
    assert!(stop.try_wait().unwrap().is_none());
    town.put("may-end", "");
    process::signal(pid, Signal::USR1);
    assert_eq!(ended(stop).stdout, format!("stopped (PID {pid}); the agents keep running\n"));
}

#[test]
fn a_stubborn_one_is_named_and_not_killed() {
    let _among = among_others();
    let town = quiet();
    let background = Background(&town);
    let mut stand_in = stand_in(&town, "trap '' TERM");
    let pid = stand_in.pid();
    for command in ["stop", "restart"] {
        let told = town.ask(&[command, "--timeout", "100ms"]);
        let names = format!(
            "Error: PID {pid} got SIGTERM but still holds daemon/daemon.lock after 100ms; nothing was killed"
        );
        told.failed(1, &names);
        assert_eq!(told.stdout, "", "{command}");
    }
    // HUP would end it.
    town.ask(&["reload"])
        .failed(1, &format!("Error: PID {pid} supervises this town, but may be another program"));
    assert!(stand_in.lives());
    assert_eq!(background.supervisors(), [0; 0]);
}

/// What `gt up` starts after `gt down`.
#[test]
fn the_original_daemon_is_called_so_and_what_to_do_is_said() {
    let _among = among_others();
    let town = quiet();
    let gt = town.root().parent().unwrap().join("gt");
    fs::copy("/bin/sh", &gt).unwrap();
    let stand_in = stand_in_of(&town, &gt, ":");
    let original = format!(
        "the original daemon supervises this town: PID {}, {}; stop it with `gt daemon stop`, then start this one",
        stand_in.pid(),
        gt.display()
    );
    for (words, code) in [
        (&["start"][..], 1),
        (&["run"], 1),
        (&["status"], 1),
        (&["poke", "heartbeat"], 1),
        (&["clear-backoff", "--all"], 1),
        (&["reload"], 1),
        (&["explain", "deacon"], 1),
        (&["doctor"], 1),
    ] {
        let answer = town.ask(words);
        assert_eq!(answer.code, Some(code), "{answer:?}");
        assert!(format!("{}{}", answer.stdout, answer.stderr).contains(&original), "{words:?}: {answer:?}");
    }
}

#[test]
fn one_whose_place_is_taken_at_once_is_reported() {
    let _among = among_others();
    let town = quiet();
    // It hands its lock on to another process, which no PID file names.
    let stand_in = stand_in(&town, "trap 'sleep 600 & printf $! >heir; exit' TERM");
    let told = town.ask(&["stop"]);
    let heir = Guarded::of(town.text("heir").parse().unwrap());
    let names = format!("Error: PID {} exited, but another one took its place", stand_in.pid());
    assert!(told.code == Some(1) && told.stderr.contains(&names), "{told:?}");
    assert!(heir.lives());
}
