//! Stopping: in every phase fast enough for `gt`, which sends KILL after 0.5 s, and leaving only the agents.

use std::{
    fs::{File, OpenOptions},
    io::Write,
    os::unix::fs::OpenOptionsExt,
    process::{Command, ExitStatus},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use rustix::{
    fs::{FlockOperation, OFlags, flock},
    process::Signal,
};
use serde_json::json;

use crate::{
    alone,
    support::{
        limits::{LimitedCommand, LimitedJoin},
        process,
        supervisor::{Supervisor, as_asked},
        town::{MARK, Town},
    },
};

/// After this `gt` sends KILL.
const LIMIT: Duration = Duration::from_millis(500);

fn has_own_session(town: &Town) -> bool {
    town.server.names().contains(&"_supervisor".to_owned())
}

/// Writes, syncs and removes a small file repeatedly, and reports how long the slowest round took.
struct DiskProbe {
    over: Arc<AtomicBool>,
    rounds: JoinHandle<Duration>,
}

impl DiskProbe {
    fn begin(town: &Town) -> Self {
        let (over, path) = (Arc::new(AtomicBool::new(false)), town.path("daemon/probe"));
        let until = over.clone();
        let rounds = std::thread::spawn(move || {
            let mut slowest = Duration::ZERO;
            while !until.load(Ordering::Relaxed) {
                let began = Instant::now();
                if let Ok(file) = File::create(&path) {
                    let _ = file.sync_all();
                    let _ = std::fs::remove_file(&path);
                }
                slowest = slowest.max(began.elapsed());
                std::thread::sleep(Duration::from_millis(10));
            }
            slowest
        });
        DiskProbe { over, rounds }
    }

    /// Anything a disk normally needs counts as nothing.
    fn end(self) -> Duration {
        self.over.store(true, Ordering::Relaxed);
        let slowest = self.rounds.limited_join("the probe of the disk");
        if slowest > Duration::from_millis(100) { slowest } else { Duration::ZERO }
    }
}

/// Stops it and checks what must hold whatever it was doing.
fn stops(town: &Town, supervisor: &mut Supervisor, with: Signal, phase: &str) -> ExitStatus {
    let sessions = town.sessions();
    let before: Vec<_> = sessions.iter().map(|name| (name, town.incarnation(name))).collect();
    let disk = DiskProbe::begin(town);
    let (status, took) = supervisor.stop(with);
    // Nobody can end while the kernel holds it in a write; how long it held ourselves is no fault of the supervisor's.
    let held = disk.end();
    assert!(took < LIMIT + held, "{phase}: took {took:?}, the disk held us up for {held:?}; {}", town.log());
    tidy(town, phase);
    for (name, incarnation) in before {
        assert_eq!(town.incarnation(name), incarnation, "{phase}: {name} stays alive");
    }
    status
}

/// What others see of a daemon that is not there.
fn tidy(town: &Town, phase: &str) {
    let state = town.json("daemon/state.json");
    assert_ne!(state["running"], true, "{phase}: {state}");
    assert!(!town.path("daemon/daemon.pid").exists(), "{phase}: the PID file stayed");
    if let Ok(lock) = File::open(town.path("daemon/daemon.lock")) {
        let taken = flock(&lock, FlockOperation::NonBlockingLockExclusive);
        assert!(taken.is_ok(), "{phase}: the lock is not free");
    }
    // A child that was killed may take a short time to be gone.
    town.wait(&format!("{phase}: its children's end ({:?})", town.stray()), || town.stray().is_empty());
}

#[test]
fn within_the_first_moments() {
    let _alone = alone();
    for after in [0, 5, 20, 50, 100, 300] {
        let town = Town::new(&["alpha", "beta"]);
        let mut supervisor = town.start();
        std::thread::sleep(Duration::from_millis(after));
        let phase = format!("{after} ms after its start");
        let status = stops(&town, &mut supervisor, Signal::TERM, &phase);
        if has_own_session(&town) {
            // A tmux server that was just starting may make our session when we are gone already; then the next
            // supervisor uses it, and takes it away.
            let mut next = town.start();
            town.wait("the next one's heartbeat", || town.log().contains("Heartbeat complete (#1)"));
            stops(&town, &mut next, Signal::TERM, "the next one");
            assert!(!has_own_session(&town), "{phase}: {:?}", town.server.names());
        }
        // Before it has asked for signals, the system ends it.
        assert!(as_asked(status) || after == 0 || town.log().is_empty(), "{phase}: {status}");
    }
}

#[test]
fn in_the_middle_of_six_starts() {
    let _alone = alone();
    for (phase, prepare) in [
        (
            "no agent process appears",
            (|town: &Town| {
                let agents =
                    r#"{"version":1,"agents":{"mine":{"command":"codex","process_names":["other"]}}}"#;
                town.put("settings/agents.json", agents);
                town.put("settings/config.json", r#"{"default_agent":"mine"}"#);
            }) as fn(&Town),
        ),
        ("no agent shows its prompt", |town| {
            town.settings(json!({"start": {"max_concurrent": 6}}));
            town.put("demo/no-prompt", "");
        }),
    ] {
        let town = Town::new(&["alpha", "beta", "gamma"]);
        town.patrols(&["witness", "refinery"]);
        town.settings(json!({"start": {"max_concurrent": 6}}));
        prepare(&town);
        let mut command = town.command();
        command.env("STANDIN_NO_PROMPT", "1");
        let mut supervisor = Supervisor::spawn(command, town.server.dir());
        town.wait("six sessions", || town.sessions().len() == 6);
        let status = stops(&town, &mut supervisor, Signal::TERM, phase);
        assert!(as_asked(status) && town.sessions().len() == 6, "{phase}: {status}");
        assert!(!has_own_session(&town), "{phase}");
        assert_eq!(town.logged("started in"), 0, "{phase}");
        assert!(town.log().ends_with("Daemon stopped\n"), "{phase}: {}", town.log());
    }
}

#[test]
fn while_it_rests() {
    let _alone = alone();
    let town = Town::new(&["alpha"]);
    let mut ends = Vec::new();
    for with in [Signal::TERM, Signal::INT] {
        let mut supervisor = town.start_and_beat();
        town.wait_started(&["deacon", "alpha/witness", "alpha/refinery"]);
        let phase = format!("{with:?}");
        ends.push(stops(&town, &mut supervisor, with, &phase));
        assert!(!has_own_session(&town), "{phase}");
        assert!(town.log().ends_with("Daemon stopped\n"), "{phase}");
    }
    assert!(ends.iter().all(|end| as_asked(*end)) && ends.iter().any(|end| end.success()), "{ends:?}");
}

#[test]
fn while_tmux_does_not_answer() {
    let _alone = alone();
    for (phase, script) in [
        ("a tmux that hangs", "exec sleep 600"),
        ("a tmux that hangs in a child of its own", "sleep 600; exit 1"),
        ("a tmux that ignores what it is told", "trap '' TERM HUP INT PIPE\nwhile :; do sleep 1; done"),
    ] {
        let town = Town::new(&["alpha"]);
        town.program("tmux", script);
        let mut supervisor = town.start();
        town.wait("tmux to be asked", || process::marked(MARK, town.mark()).len() > 1);
        let status = stops(&town, &mut supervisor, Signal::TERM, phase);
        assert!(as_asked(status), "{phase}: {status}");
    }
}

#[test]
fn while_the_tmux_server_hangs() {
    let _alone = alone();
    for signals in [1, 2] {
        let phase = format!("{signals} signals");
        let town = Town::new(&["alpha"]);
        let mut supervisor = town.start_and_beat();
        town.wait_started(&["deacon", "alpha/witness", "alpha/refinery"]);
        let before = town.incarnation("gt-alpha-witness");
        let server = town.server.pid();
        process::signal(server, Signal::STOP);
        let began = Instant::now();
        for _ in 0..signals {
            supervisor.signal(Signal::TERM);
            town.wait_logged("Daemon shutting down");
        }
        let status = supervisor.wait();
        let took = began.elapsed();
        // tmux gets no request before it continues.
        let (state, pid_file) = (town.json("daemon/state.json"), town.path("daemon/daemon.pid").exists());
        process::signal(server, Signal::CONT);
        assert!(took < LIMIT, "{phase}: took {took:?}");
        // A second signal ends it as TERM ends a program: not in order.
        assert!(as_asked(status) && (signals == 1 || status.code() == Some(143)), "{phase}: {status}");
        assert_eq!((&state["running"], pid_file), (&json!(false), false), "{phase}");
        tidy(&town, &phase);
        assert_eq!(town.incarnation("gt-alpha-witness"), before, "{phase}");
    }
}

#[test]
fn while_a_command_and_a_stubborn_agent_keep_it_waiting() {
    let _alone = alone();
    let town = Town::new(&["alpha"]);
    town.settings(
        json!({"kill": {"grace": "1m"}, "heartbeat": {"interval": "500ms"}, "start": {"timeout": "1s"}}),
    );
    // The refinery's presync asks git; the witness's session holds a shell that does not end on TERM.
    town.program("git", "sleep 600 & sleep 600");
    let stubborn = "trap '' TERM HUP; while :; do read line || sleep 1; done";
    let mut supervisor = town.start();
    town.wait_started(&["deacon", "alpha/witness", "alpha/refinery"]);
    process::signal(town.pane("gt-alpha-refinery").unwrap(), Signal::KILL);
    town.server.must(&["respawn-pane", "-k", "-t", "=gt-alpha-witness:", "sh", "-c", stubborn]);
    town.wait_logged("alpha/witness: ending the leftover session gt-alpha-witness");
    town.wait("git to be asked", || {
        town.stray().iter().any(|(_, words)| words.iter().any(|word| word.ends_with("/git")))
    });
    stops(&town, &mut supervisor, Signal::TERM, "a kill and a command under way");
    let left = process::Guarded::of(town.pane("gt-alpha-witness").unwrap());
    assert!(left.lives(), "what was not ended is left alive");
}

#[test]
fn while_the_log_does_not_take_its_lines() {
    let _alone = alone();
    let town = Town::new(&[]);
    town.put("daemon/.keep", "");
    let log = town.path("daemon/daemon.log");
    assert!(Command::new("mkfifo").arg(&log).limited_status().success());
    let mut pipe = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(OFlags::NONBLOCK.bits() as i32)
        .open(&log)
        .unwrap();
    let mut supervisor = town.start();
    town.wait("the deacon's start", || supervisor.stderr().contains("deacon: started in"));
    // Nobody reads any more, as on a disk that hangs.
    while pipe.write(&[b'x'; 512]).is_ok() {}
    while pipe.write(b"x").is_ok() {}
    let status = stops(&town, &mut supervisor, Signal::TERM, "a log that hangs");
    assert!(as_asked(status), "{status}");
}

#[test]
fn while_it_waits_for_the_lock() {
    let _alone = alone();
    let town = Town::new(&[]);
    town.patrols(&[]);
    let mut first = town.start_and_beat();
    let mut second = town.start();
    town.wait("the second one's try", || {
        let open = std::fs::read_dir(format!("/proc/{}/fd", second.pid())).into_iter().flatten();
        open.filter_map(|fd| std::fs::read_link(fd.ok()?.path()).ok())
            .any(|path| path.ends_with("daemon.lock"))
    });
    let (status, took) = second.stop(Signal::TERM);
    assert!(took < LIMIT, "{took:?}");
    assert_eq!(status.code(), Some(0), "{}", second.stderr());
    assert_eq!(
        town.text("daemon/daemon.pid"),
        first.pid().to_string(),
        "the first one's files are left alone"
    );
    assert_eq!(town.json("daemon/state.json")["running"], true);
    assert!(first.runs());
    stops(&town, &mut first, Signal::TERM, "the first");
}
