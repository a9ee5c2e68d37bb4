//! As a service: the unit, what the service manager is notified of, and the journal.

use std::{fs, io::Write, os::unix::net::UnixDatagram, path::Path, process::Command, time::Duration};

use rustix::process::Signal;
use serde_json::json;

use crate::{
    alone, among_others,
    support::{
        background::{Answer, answer},
        limits::{LimitedCommand, poll, receive},
        process,
        supervisor::{Supervisor, as_asked},
        town::Town,
    },
};

fn quiet() -> Town {
    let town = Town::new(&[]);
    town.patrols(&[]);
    town
}

/// Whether this program is installed here; says what cannot be tried without it. Not `eprintln`: the harness captures that.
pub fn can_try(what: &str, program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let there = std::env::split_paths(&path).any(|directory| directory.join(program).is_file());
    if !there {
        let _ = writeln!(std::io::stderr(), "{what} was not tried: {program} is not installed here");
    }
    there
}

fn home(town: &Town) -> std::path::PathBuf {
    town.root().parent().unwrap().join("home")
}

/// What `systemd-analyze verify` objects to; `None` where there is no such program.
fn objections(unit: &Path) -> Option<String> {
    let mut verify = Command::new("systemd-analyze");
    verify.args(["verify", "--user", "--man=no", "--recursive-errors=no"]).arg(unit);
    verify.env("XDG_RUNTIME_DIR", unit.parent().unwrap()).env("HOME", unit.parent().unwrap());
    if !can_try("a unit", "systemd-analyze") {
        return None;
    }
    let output = verify.limited_output();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    Some(if output.status.success() { said } else { format!("{}: {said}", output.status) })
}

#[test]
fn the_unit_is_one_that_systemd_takes() {
    let _among = among_others();
    for name in ["town", "a town, with a % and a $x"] {
        let town = Town::named(name, &[]);
        let unit = town.ask(&["unit"]);
        assert_eq!((unit.code, &*unit.stderr), (Some(0), ""), "{unit:?}");
        for line in ["Type=notify", "KillMode=process", "OOMPolicy=continue", "Restart=on-failure"] {
            assert!(unit.stdout.lines().any(|it| it == line), "{line}: {}", unit.stdout);
        }
        for said in ["loginctl enable-linger", "`gt up`", "`gt down`", "doctor"] {
            assert!(unit.stdout.contains(said), "{said}: {}", unit.stdout);
        }
        assert!(unit.stdout.contains(&town.bin().display().to_string()), "it has our PATH: {}", unit.stdout);
        let file = home(&town).join("gastown-supervisor.service");
        fs::write(&file, &unit.stdout).unwrap();
        assert_eq!(objections(&file).unwrap_or_default(), "", "{}", unit.stdout);
        // That the check sees mistakes.
        fs::write(&file, unit.stdout.replace("KillMode=process", "KillMode=nobody")).unwrap();
        assert_ne!(objections(&file), Some(String::new()));
    }
}

/// The unit in the Debian package is the one that `unit` prints, but for what depends on town and machine.
#[test]
fn the_unit_of_the_package_says_the_same() {
    let _among = among_others();
    let town = quiet();
    let packaged = include_str!("../../packaging/gastown-supervisor@.service");
    let depends = [
        "#",
        "Description=",
        "ExecStart=",
        "ExecReload=",
        "Environment=",
        "RestartSec=",
        "RestartSteps=",
        "RestartMaxDelaySec=",
        "EnvironmentFile=",
    ];
    let common = |text: &str| -> Vec<String> {
        let lines =
            text.lines().filter(|line| !line.is_empty() && !depends.iter().any(|it| line.starts_with(it)));
        lines.map(str::to_owned).collect()
    };
    assert_eq!(common(packaged), common(&town.ask(&["unit"]).stdout));
    // What runs need not be installed here.
    let file = home(&town).join("gastown-supervisor@home-me-gt.service");
    fs::write(&file, packaged.replace("/usr/bin/gastown-supervisor", crate::support::supervisor::binary()))
        .unwrap();
    assert_eq!(objections(&file).unwrap_or_default(), "");
}

#[test]
fn it_is_installed_and_never_replaces_another() {
    let _among = among_others();
    let town = quiet();
    let file = home(&town).join(".config/systemd/user/gastown-supervisor.service");
    let installed = town.ask(&["unit", "--install"]);
    assert_eq!((installed.code, &*installed.stderr), (Some(0), ""), "{installed:?}");
    assert!(
        installed.stdout.starts_with(&format!("{} is installed; next:\n", file.display())),
        "{installed:?}"
    );
    let text = || fs::read_to_string(&file).unwrap();
    assert_eq!(text(), town.ask(&["unit"]).stdout);
    assert_eq!(town.ask(&["unit", "--install"]).code, Some(0), "the same once more");

    fs::write(&file, "[Service]\n").unwrap();
    let refused = town.ask(&["unit", "--install"]);
    refused.failed(1, &format!("Error: {} exists and is different; nothing was written", file.display()));
    assert_eq!((text().as_str(), &*refused.stdout), ("[Service]\n", ""));
    assert_eq!(town.ask(&["unit", "--install", "--name", "second"]).code, Some(0));
    assert!(file.with_file_name("second.service").exists() && text() == "[Service]\n");
    assert_eq!(town.ask(&["unit", "--install", "--force"]).code, Some(0));
    assert!(text().contains("Type=notify"));
    town.ask(&["unit", "--name", "../x"]).failed(2, "error: invalid value '../x'");
    town.ask(&["unit", "--force"]).failed(2, "error: ");
}

#[test]
fn a_launchd_agent_is_a_property_list() {
    let _among = among_others();
    let town = Town::named("a&b", &[]);
    let plist = town.ask(&["unit", "--launchd"]);
    assert_eq!((plist.code, &*plist.stderr), (Some(0), ""), "{plist:?}");
    let file = home(&town).join("x.plist");
    fs::write(&file, &plist.stdout).unwrap();
    let read = "import plistlib,json,sys; print(json.dumps(plistlib.load(open(sys.argv[1],'rb'))))";
    let mut python = Command::new("python3");
    python.args(["-c", read]).arg(&file);
    if !can_try("the property list", "python3") {
        return;
    }
    let read: Answer = answer(python);
    let agent: serde_json::Value = serde_json::from_str(&read.stdout).unwrap_or_else(|_| panic!("{read:?}"));
    let words = agent["ProgramArguments"].as_array().unwrap();
    assert_eq!(words.last().unwrap(), town.root().to_str().unwrap());
    assert_eq!(agent["AbandonProcessGroup"], true);
    assert_eq!(agent["KeepAlive"], json!({"SuccessfulExit": false}));
}

/// The end of a service manager's socket, read by a thread.
struct Manager {
    messages: std::sync::mpsc::Receiver<String>,
}

impl Manager {
    fn at(path: &Path) -> Manager {
        let socket = UnixDatagram::bind(path).unwrap();
        let (put, messages) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let mut buffer = vec![0; 64 * 1024];
            while let Ok(length) = socket.recv(&mut buffer) {
                if put.send(String::from_utf8_lossy(&buffer[..length]).into_owned()).is_err() {
                    break;
                }
            }
        });
        Manager { messages }
    }

    /// Waits for a message with this line; returns those before it.
    fn until(&self, line: &str) -> Vec<String> {
        let mut before = Vec::new();
        loop {
            let message = receive(&self.messages, line);
            if message.lines().any(|it| it == line) {
                return before;
            }
            before.push(message);
        }
    }

    /// Takes what was sent so far, until nothing has come for a while.
    fn empty(&self) {
        while self.hears_something_within(Duration::from_millis(100)) {}
    }

    /// Whether anything comes within this time.
    fn hears_something_within(&self, limit: Duration) -> bool {
        poll(limit, || self.messages.try_recv().ok()).is_some()
    }
}

/// How long the watchdog waits in these tests.
const WATCHDOG: Duration = Duration::from_millis(400);

fn under(town: &Town, socket: &Path) -> Supervisor {
    let mut command = town.command();
    command.env("NOTIFY_SOCKET", socket).env("WATCHDOG_USEC", WATCHDOG.as_micros().to_string());
    Supervisor::spawn(command, town.server.dir())
}

#[test]
fn the_service_manager_is_notified() {
    let _alone = alone();
    let town = Town::new(&["alpha"]);
    town.patrols(&["witness"]);
    let socket = town.server.dir().join("notify");
    let manager = Manager::at(&socket);
    let mut supervisor = under(&town, &socket);
    manager.until("READY=1");
    assert_eq!(town.logged("Heartbeat complete (#1)"), 1, "ready when every agent was observed");
    town.wait_started(&["alpha/witness"]);
    let states = "STATUS=4 agents: 1 alive, 3 paused";
    town.wait("a status with the agents by state", || {
        receive(&manager.messages, "a status").lines().eq(["WATCHDOG=1", states])
    });

    // Nothing that it started may speak for it.
    for pid in [town.pane("gt-alpha-witness").unwrap(), town.server.pid()] {
        let variables = process::environment(pid);
        assert!(
            !variables.keys().any(|it| it.contains("NOTIFY_SOCKET") || it.contains("WATCHDOG")),
            "{variables:?}"
        );
    }

    // One that is stopped says nothing: then the service manager ends it.
    supervisor.signal(Signal::STOP);
    town.wait("the stop", || process::describe(supervisor.pid()).contains("T (stopped)"));
    manager.empty();
    assert!(!manager.hears_something_within(WATCHDOG * 2), "nothing is sent while it is stopped");
    supervisor.signal(Signal::CONT);
    manager.until("WATCHDOG=1");

    supervisor.signal(Signal::TERM);
    assert!(as_asked(supervisor.wait()));
    manager.until("STOPPING=1");
}

#[test]
fn without_a_watchdog_and_with_a_socket_that_is_gone() {
    let _among = among_others();
    let town = quiet();
    let socket = town.server.dir().join("notify");
    let manager = Manager::at(&socket);
    let mut command = town.command();
    command.env("NOTIFY_SOCKET", &socket);
    let supervisor = Supervisor::spawn(command, town.server.dir());
    assert_eq!(manager.until("READY=1"), [""; 0]);
    drop(supervisor);

    fs::remove_file(&socket).unwrap();
    let mut supervisor = under(&town, &socket);
    town.wait_logged("Warning: the service manager cannot be notified (NOTIFY_SOCKET): ");
    assert!(as_asked(supervisor.stop(Signal::TERM).0));
    assert_eq!(town.logged("cannot be notified"), 1, "once");
}

#[test]
fn the_journal_gets_priorities_and_fields_and_no_times() {
    let _among = among_others();
    let town = Town::new(&["alpha"]);
    town.patrols(&["witness"]);
    let socket = town.server.dir().join("journal");
    let journal = Manager::at(&socket);
    let mut command = town.command();
    command.env("GTS_JOURNAL_SOCKET", &socket);
    let mut supervisor = Supervisor::under_the_journal(command, town.server.dir());
    town.wait_started(&["alpha/witness"]);
    supervisor.stop(Signal::TERM);
    let entries = journal.until("MESSAGE=Daemon stopped");
    let start = entries.iter().find(|entry| entry.contains("MESSAGE=alpha/witness: started in ")).unwrap();
    for line in [
        "PRIORITY=6",
        "SYSLOG_IDENTIFIER=gastown-supervisor",
        "AGENT=alpha/witness",
        "SESSION=gt-alpha-witness",
        "TO=alive",
    ] {
        assert!(start.lines().any(|it| it == line), "{line}: {start}");
    }
    assert!(start.contains("\nREASON="), "{start}");
    let texts: Vec<_> =
        entries.iter().flat_map(|it| it.lines()).filter_map(|it| it.strip_prefix("MESSAGE=")).collect();
    let log = town.log_texts();
    assert_eq!(texts, log[..log.len() - 1], "what the log has, without times");
    assert_eq!(supervisor.stderr(), "");
}

#[test]
fn without_journald_lines_have_their_priority() {
    let _among = among_others();
    let town = quiet();
    let mut command = town.command();
    command.env("GTS_JOURNAL_SOCKET", town.path("no-such-socket"));
    let mut supervisor = Supervisor::under_the_journal(command, town.server.dir());
    let pid = supervisor.pid();
    town.wait_logged("Heartbeat complete (#1)");
    let mut second = town.command();
    second.env("GTS_JOURNAL_SOCKET", town.path("no-such-socket"));
    let mut second = Supervisor::under_the_journal(second, town.server.dir());
    assert_eq!(second.wait().code(), Some(1));
    assert!(second.stderr().starts_with("<3>Error: "), "{}", second.stderr());
    supervisor.stop(Signal::TERM);
    let said = supervisor.stderr();
    assert!(said.starts_with(&format!("<6>Daemon starting (PID {pid})\n")), "{said}");
    assert!(said.lines().all(|line| line.starts_with("<6>") || line.starts_with("<4>")), "{said}");
}
