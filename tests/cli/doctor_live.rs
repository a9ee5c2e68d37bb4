//! `doctor` beside a running supervisor: what it asks it, what both find, and who and what would end it.

use std::{
    fs,
    io::Write,
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
    process::{Child, Command},
    time::{Duration, Instant},
};

use rustix::process::{Signal, kill_process};
use serde_json::{Value, json};

use crate::{
    alone, among_others,
    doctor::{doctor, examine, found, outcome, town},
    service::can_try,
    support::{
        limits::{LimitedCommand, kill_and_wait},
        process,
        supervisor::{Supervisor, binary},
        town::{MARK, Town},
    },
};

/// How many findings of this severity and area contain this text.
fn told(report: &Value, severity: &str, area: &str, text: &str) -> usize {
    found(report, severity).iter().filter(|(of, what)| of == area && what.contains(text)).count()
}

/// A directory with links to these programs of this machine, and nothing else.
fn few_programs(town: &Town, names: &[&str]) -> PathBuf {
    let few = town.root().parent().unwrap().join("few");
    fs::create_dir(&few).unwrap();
    let path = std::env::var_os("PATH").unwrap();
    for name in names {
        let found =
            std::env::split_paths(&path).map(|directory| directory.join(name)).find(|it| it.is_file());
        symlink(found.unwrap(), few.join(name)).unwrap();
    }
    few
}

#[test]
fn a_supervisor_with_another_path_than_this_shell() {
    let _among = among_others();
    let town = town(&["alpha"]);
    let few = few_programs(&town, &["tmux", "git"]);
    let mut command = town.command();
    command.env("PATH", &few);
    let _supervisor = Supervisor::spawn(command, town.root().parent().unwrap());
    town.wait("what is missing", || {
        let problems = town.ask(&["status", "--json"]).json()["problems"].to_string();
        problems.contains("alpha/witness/program") && problems.contains("command/gt")
    });
    let (report, code) = examine(&town);
    assert_eq!(code, 1);
    let here = |name: &str| format!("this shell finds {}", town.bin().join(name).display());
    assert_eq!(
        told(&report, "wrong", "tools", &format!("does not find bd on its PATH, {}", here("bd"))),
        1,
        "{report:#}"
    );
    assert_eq!(
        told(&report, "wrong", "tools", &format!("does not find gt on its PATH, {}", here("gt"))),
        1,
        "{report:#}"
    );
    assert_eq!(told(&report, "wrong", "agents", "all 5 agents: cannot be started: claude"), 1, "{report:#}");
    assert_eq!(told(&report, "wrong", "agents", &here("claude")), 1, "{report:#}");
    let again: Vec<_> = found(&report, "wrong").into_iter().filter(|(area, _)| area == "problems").collect();
    assert_eq!(again, [], "what the doctor says itself is not said twice");
    let hints = report["findings"].as_array().unwrap().iter().filter(|it| it["area"] == "agents");
    assert!(
        hints.clone().any(|it| it["hint"].to_string().contains("the PATH of the supervisor")),
        "{report:#}"
    );
    // The supervisor's PATH counts: what it finds is well, whatever this shell finds.
    let mut bare = doctor(&town, &["--json"]);
    let (report, _) = outcome(bare.env("PATH", "/nonexistent").limited_output());
    assert_eq!(told(&report, "ok", "tools", "tmux "), 1, "{report:#}");
    assert_eq!(told(&report, "note", "tools", "this shell does not find it"), 2, "tmux and git: {report:#}");
    // As others read it.
    let mut asking = Command::new("curl");
    asking
        .args(["-s", "--unix-socket"])
        .arg(town.path("daemon/supervisor.sock"))
        .arg("http://town/v1/programs");
    if can_try("the path of programs", "curl") {
        let said: Value = serde_json::from_slice(&asking.limited_output().stdout).unwrap();
        assert_eq!(said["path"], json!(few));
        assert_eq!(said["tools"][0], json!({"name": "tmux", "command": "tmux", "path": few.join("tmux")}));
        assert_eq!(said["tools"][1]["path"], Value::Null);
        let witness = said["agents"].as_array().unwrap().iter().find(|it| it["identity"] == "alpha/witness");
        assert_eq!(witness.unwrap()["on_path"], json!(false), "{said:#}");
    }
}

#[test]
fn what_the_supervisor_reports_is_said_once() {
    let _among = among_others();
    let town = town(&["alpha"]);
    let _supervisor = town.start();
    town.wait_started(&["deacon", "alpha/witness", "alpha/refinery"]);
    // Both read this file, and both say so.
    town.put("mayor/rigs.json", "{");
    let problems = || town.ask(&["status", "--json"]).json()["problems"].clone();
    town.wait("the problem", || problems().to_string().contains("mayor/rigs.json:1:"));
    let (report, code) = examine(&town);
    assert_eq!(code, 1);
    let wrong = found(&report, "wrong");
    assert_eq!(wrong.len(), 1, "{wrong:#?}");
    assert!(wrong[0].0 == "files" && wrong[0].1.starts_with("mayor/rigs.json:1:"), "{wrong:#?}");
    town.rigs(&["alpha"]);
    town.wait("its end", || problems() == json!({}));
    // Nobody but the supervisor knows these.
    let server = town.tmux(&["display-message", "-p", "#{pid}"]).parse().unwrap();
    process::signal(server, Signal::KILL);
    let last = || town.ask(&["status", "--json"]).json()["deaths"]["last"].clone();
    town.wait("the mass death", || last().is_object());
    let (report, code) = examine(&town);
    assert_eq!(
        (code, told(&report, "wrong", "problems", "3 sessions died together at ")),
        (1, 1),
        "{report:#}"
    );
}

#[test]
fn a_crash_loop_and_a_supervisor_that_is_stopped() {
    let _among = among_others();
    let town = town(&["alpha"]);
    town.patrols(&["witness"]);
    town.settings(json!({"restart": {"crash_loop_count": 2, "initial_backoff": "50ms", "confirm": "50ms"}}));
    let supervisor = town.start();
    town.wait_started(&["alpha/witness"]);
    let state = || {
        let agents = town.ask(&["status", "--json"]).json()["agents"].clone();
        agents.as_array().into_iter().flatten().find(|it| it["identity"] == "alpha/witness").cloned()
    };
    town.wait("the crash loop", || {
        if let Some(pane) = town.pane("gt-alpha-witness") {
            // It may have ended by now.
            let _ = kill_process(process::raw(pane), Signal::KILL);
        }
        state().is_some_and(|witness| witness["state"] == "crash_loop")
    });
    let (report, code) = examine(&town);
    let loops = told(&report, "wrong", "problems", "alpha/witness was restarted");
    assert_eq!((code, loops), (1, 1), "{report:#}");
    let findings = report["findings"].as_array().unwrap();
    let finding = findings.iter().find(|it| it["area"] == "problems" && it["severity"] == "wrong").unwrap();
    assert!(finding["hint"].as_str().unwrap().contains("clear-backoff alpha/witness"), "{finding}");
    supervisor.signal(Signal::STOP);
    let began = Instant::now();
    let (report, code) = examine(&town);
    supervisor.signal(Signal::CONT);
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
    let stopped = told(&report, "wrong", "supervisor", "it is stopped (SIGSTOP)");
    assert_eq!((code, stopped), (1, 1), "{report:#}");
}

/// Another process that has the file open.
struct Opener(Child);

impl Opener {
    fn of(town: &Town, path: &str) -> Opener {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", "exec 9<\"$0\"; exec sleep 600"]).arg(town.path(path));
        Opener(command.env(MARK, town.mark()).spawn().unwrap())
    }
}

impl Drop for Opener {
    fn drop(&mut self) {
        kill_and_wait(&mut self.0);
    }
}

#[test]
fn two_processes_that_supervise_one_town() {
    if !cfg!(target_os = "linux") {
        return;
    }
    let _among = among_others();
    let town = town(&[]);
    town.patrols(&[]);
    let supervisor = town.start_and_beat();
    let other = Opener::of(&town, "daemon/daemon.lock");
    let (report, code) = examine(&town);
    let two = format!("PID {} (", supervisor.pid());
    assert_eq!((code, told(&report, "wrong", "supervisor", &two)), (1, 1), "{report:#}");
    assert_eq!(told(&report, "wrong", "supervisor", &format!("PID {} (", other.0.id())), 1, "{report:#}");
    drop(other);
    assert_eq!(found(&examine(&town).0, "wrong"), []);
}

#[test]
fn the_disk_of_the_daemon_is_tried_and_left_as_it_was() {
    let _among = among_others();
    let town = town(&[]);
    town.put("daemon/daemon.log", "");
    fs::set_permissions(town.path("daemon/daemon.log"), fs::Permissions::from_mode(0o600)).unwrap();
    let names = || {
        let entries = fs::read_dir(town.path("daemon")).unwrap();
        entries.map(|entry| entry.unwrap().file_name()).collect::<Vec<_>>()
    };
    let (report, _) = examine(&town);
    assert_eq!(names(), ["daemon.log"]);
    assert_eq!(told(&report, "ok", "disk", "locks keep others out"), 1, "{report:#}");
    if cfg!(target_os = "linux") {
        let kind = found(&report, "ok").into_iter().chain(found(&report, "note"));
        assert_eq!(kind.filter(|(_, what)| what.starts_with("daemon/ is on ")).count(), 1, "{report:#}");
    }
}

#[test]
fn another_user_reads_one_finding() {
    if !rustix::process::geteuid().is_root() || !can_try("another user", "setpriv") {
        return;
    }
    let _among = among_others();
    let town = town(&["alpha"]);
    town.put("daemon/daemon.lock", "");
    let base = town.root().parent().unwrap();
    // The build directory may be closed to others.
    let program = base.join("doctor");
    fs::copy(binary(), &program).unwrap();
    let ask = || {
        let mut command = Command::new("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(&program);
        command.args(["doctor", "--json", "--town"]).arg(town.root());
        command.env_clear().env("PATH", town.search_path()).current_dir("/");
        outcome(command.limited_output())
    };
    let open = |mode| fs::set_permissions(base, fs::Permissions::from_mode(mode)).unwrap();
    open(0o755);
    let one = |whose: &str, hint: &str| {
        let (report, code) = ask();
        let wrong: Vec<_> =
            report["findings"].as_array().unwrap().iter().filter(|it| it["severity"] != "ok").collect();
        assert_eq!((code, wrong.len()), (1, 1), "{report:#}");
        assert!(wrong[0]["what"].as_str().unwrap().contains(whose), "{report:#}");
        assert!(wrong[0]["hint"].as_str().unwrap().contains(hint), "{report:#}");
    };
    one("this town belongs to user root", "sudo -u root gastown-supervisor doctor --town");
    let supervisor = town.start_and_beat();
    one(&format!("(PID {}) runs as user root", supervisor.pid()), "sudo -u root");
    // Below a directory that is closed to others.
    fs::set_permissions(town.root(), fs::Permissions::from_mode(0o700)).unwrap();
    one("cannot be examined: Permission denied", "sudo -u <user>");
}

/// A control group as systemd would make it, on a machine without systemd; its processes leave it at the end.
struct Unit {
    hierarchy: &'static Path,
    directories: Vec<PathBuf>,
}

impl Unit {
    /// Moves these processes into it; `None` where that cannot be tried.
    fn of(name: &str, processes: &[u32]) -> Option<Unit> {
        let hierarchy = ["/sys/fs/cgroup/systemd", "/sys/fs/cgroup"].map(Path::new);
        let hierarchy = hierarchy.into_iter().find(|it| it.join("cgroup.procs").is_file());
        let is_free = rustix::process::geteuid().is_root() && !Path::new("/run/systemd/system").exists();
        let Some(hierarchy) = hierarchy.filter(|_| is_free) else {
            let _ = writeln!(std::io::stderr(), "a unit was not tried: control groups cannot be made here");
            return None;
        };
        let mut unit = Unit { hierarchy, directories: Vec::new() };
        let mut path = hierarchy.to_owned();
        for part in [&format!("gs-{}.slice", std::process::id()), "user@0.service", name] {
            path.push(part);
            fs::create_dir(&path).ok()?;
            unit.directories.push(path.clone());
        }
        processes.iter().try_for_each(|pid| fs::write(path.join("cgroup.procs"), pid.to_string())).ok()?;
        Some(unit)
    }
}

impl Drop for Unit {
    fn drop(&mut self) {
        for directory in self.directories.iter().rev() {
            let processes = fs::read_to_string(directory.join("cgroup.procs")).unwrap_or_default();
            for pid in processes.lines() {
                let _ = fs::write(self.hierarchy.join("cgroup.procs"), pid);
            }
            let _ = fs::remove_dir(directory);
        }
    }
}

#[test]
fn the_unit_of_supervisor_and_tmux_server() {
    let _alone = alone();
    let town = town(&[]);
    town.patrols(&["deacon"]);
    let supervisor = town.start();
    town.wait_started(&["deacon"]);
    let server = town.tmux(&["display-message", "-p", "#{pid}"]).parse().unwrap();
    let Some(_unit) = Unit::of("gs-test.service", &[supervisor.pid(), server]) else { return };
    let systemctl = |mode: &str| {
        let wanted = "--user show --property=KillMode,FragmentPath -- gs-test.service";
        town.program(
            "systemctl",
            &format!(
                "[ \"$*\" = '{wanted}' ] && printf 'KillMode={mode}\\nFragmentPath=/u/gs-test.service\\n'"
            ),
        );
    };
    let loginctl = |linger: &str| town.program("loginctl", &format!("echo Linger={linger}"));
    for (mode, linger, severity, text) in [
        (
            "control-group",
            "yes",
            "wrong",
            "the tmux server is in gs-test.service, whose KillMode is control-group",
        ),
        ("process", "no", "note", "linger is off: the supervisor and the tmux server with every agent end"),
        (
            "process",
            "yes",
            "ok",
            "the supervisor runs in gs-test.service (KillMode=process), and it outlives a logout",
        ),
    ] {
        systemctl(mode);
        loginctl(linger);
        let (report, code) = examine(&town);
        assert_eq!(told(&report, severity, "service", text), 1, "{mode}, {linger}: {report:#}");
        assert_eq!(code, i32::from(severity == "wrong"), "{report:#}");
    }
    // Systemd does not answer: that is not known, and holds nothing up.
    town.program("systemctl", "exec sleep 600");
    town.program("loginctl", "exit 1");
    let began = Instant::now();
    let (report, code) = examine(&town);
    assert!(began.elapsed() < Duration::from_secs(8));
    assert_eq!(
        (code, told(&report, "note", "service", "not checked: whether a stop of gs-test.service")),
        (0, 1),
        "{report:#}"
    );
    assert_eq!(town.stray().iter().filter(|(_, line)| line.iter().any(|word| word == "600")).count(), 0);
}

#[test]
fn sessions_that_nobody_supervises() {
    let _among = among_others();
    let town = town(&["alpha"]);
    town.patrols(&["deacon"]);
    let _supervisor = town.start();
    town.wait_started(&["deacon"]);
    let root = format!("GT_ROOT={}", town.root().display());
    let start = |session: &str, agent: &str| {
        let actor = format!("BD_ACTOR={agent}");
        town.tmux(&["new-session", "-d", "-s", session, "-e", &root, "-e", &actor, "exec sleep 600"]);
    };
    start("gt-alpha-Gone", "alpha/polecats/Gone");
    start("gt-alpha-crew-max", "alpha/crew/max");
    let (report, code) = examine(&town);
    let gone =
        "session gt-alpha-Gone is alpha/polecats/Gone, which this town does not list: nobody supervises it";
    assert_eq!((code, told(&report, "note", "tmux", gone)), (0, 1), "{report:#}");
    let of_tmux: Vec<_> = found(&report, "note").into_iter().filter(|(area, _)| area == "tmux").collect();
    assert_eq!(of_tmux.len(), 1, "crew is a person's own: {of_tmux:#?}");
}
