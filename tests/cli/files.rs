//! The lock, the PID file and the state file: how other programs find the daemon, and that there is only one.

use std::{
    fs,
    process::Command,
    time::{Duration, Instant},
};

use rustix::process::Signal;
use serde_json::json;

use crate::{
    alone, among_others,
    support::{limits::kill_and_wait, process::Guarded, supervisor::Supervisor, town::Town},
};

const ZERO_TIME: &str = "0001-01-01T00:00:00Z";

#[test]
fn of_ten_started_at_once_one_runs_and_nine_say_who() {
    let _alone = alone();
    let town = Town::new(&[]);
    town.patrols(&[]);
    let began = Instant::now();
    let mut all: Vec<Supervisor> = (0..10).map(|_| town.start()).collect();
    // 2 s are spent on trying again; under ten at once on two cores the rest is generous too.
    let mut runs = Vec::new();
    let mut refused = Vec::new();
    for mut one in all.drain(..) {
        let limit = began + Duration::from_secs(3);
        while one.runs() && Instant::now() < limit {
            std::thread::sleep(Duration::from_millis(5));
        }
        if one.runs() { runs.push(one) } else { refused.push(one) }
    }
    assert_eq!((runs.len(), refused.len()), (1, 9), "{}", town.log());
    let said = format!("already running (PID {})", runs[0].pid());
    for mut one in refused {
        assert_eq!(one.wait().code(), Some(1));
        assert!(one.stderr().contains(&said), "{}", one.stderr());
    }
    assert_eq!(town.text("daemon/daemon.pid"), runs[0].pid().to_string());
    assert_eq!(town.logged("Daemon starting"), 1, "those that were refused leave the winner's log alone");
}

#[test]
fn the_pid_file_is_there_at_once_and_in_the_form_gt_reads() {
    let _alone = alone();
    let mut took = Vec::new();
    for _ in 0..3 {
        let town = Town::new(&[]);
        let began = Instant::now();
        let supervisor = town.start();
        town.wait("the PID file", || town.path("daemon/daemon.pid").exists());
        took.push(began.elapsed());
        assert_eq!(
            fs::read(town.path("daemon/daemon.pid")).unwrap(),
            supervisor.pid().to_string().as_bytes()
        );
        assert_eq!(town.mode("daemon/daemon.pid"), 0o644);
        assert_eq!(town.mode("daemon"), 0o755);
    }
    took.sort();
    assert!(took[1] < Duration::from_millis(200), "{took:?}");
}

#[test]
fn a_pid_file_that_is_deleted_comes_back_and_is_gone_at_the_end() {
    let _among = among_others();
    let town = Town::new(&[]);
    town.patrols(&[]);
    let mut supervisor = town.start_and_beat();
    for change in ["deleted", "of somebody else"] {
        match change {
            "deleted" => town.remove("daemon/daemon.pid"),
            _ => town.put("daemon/daemon.pid", "1"),
        }
        town.wait(change, || town.text("daemon/daemon.pid") == supervisor.pid().to_string());
    }
    supervisor.stop(Signal::TERM);
    assert!(!town.path("daemon/daemon.pid").exists());
    assert!(town.path("daemon/daemon.lock").exists(), "never deleted");
}

#[test]
fn no_process_is_signalled_because_a_pid_file_names_it() {
    let _among = among_others();
    let town = Town::new(&[]);
    town.patrols(&[]);
    let mut stranger = Command::new("sleep").arg("600").spawn().unwrap();
    let _guard = Guarded::of(stranger.id());
    // Left behind by a daemon that has ended; another process has its id.
    town.put("daemon/daemon.pid", stranger.id().to_string());
    let mut supervisor = town.start_and_beat();
    assert_eq!(town.text("daemon/daemon.pid"), supervisor.pid().to_string());
    // Written while the lock is held: a second supervisor only prints what it reads.
    town.put("daemon/daemon.pid", stranger.id().to_string());
    let mut second = town.start();
    assert_eq!(second.wait().code(), Some(1));
    assert!(second.stderr().contains("already running (PID "), "{}", second.stderr());
    assert!(supervisor.runs());
    supervisor.stop(Signal::TERM);
    assert!(stranger.try_wait().unwrap().is_none(), "the stranger lives");
    kill_and_wait(&mut stranger);
}

#[test]
fn a_pid_file_of_another_at_the_end_is_not_ours_to_remove() {
    let _among = among_others();
    let town = Town::new(&[]);
    town.patrols(&[]);
    let mut supervisor = town.start_and_beat();
    town.put("daemon/daemon.pid", "1");
    supervisor.stop(Signal::TERM);
    assert_eq!(town.text("daemon/daemon.pid"), "1");
}

#[test]
fn a_lock_that_is_only_probed_refuses_no_supervisor() {
    let _among = among_others();
    let town = Town::new(&[]);
    town.patrols(&[]);
    town.put("daemon/daemon.lock", "");
    let probe = fs::File::open(town.path("daemon/daemon.lock")).unwrap();
    rustix::fs::flock(&probe, rustix::fs::FlockOperation::LockExclusive).unwrap();
    let mut supervisor = town.start();
    // It tries repeatedly; nothing shows when it has begun to, but its process then waits in the lock's directory.
    town.wait("its try", || {
        let open = fs::read_dir(format!("/proc/{}/fd", supervisor.pid())).into_iter().flatten();
        open.filter_map(|fd| fs::read_link(fd.ok()?.path()).ok())
            .any(|path| path.ends_with("daemon/daemon.lock"))
    });
    assert!(!town.path("daemon/daemon.pid").exists(), "nothing is written without the lock");
    drop(probe);
    town.wait_logged("Heartbeat complete (#1)");
    assert!(supervisor.runs());
}

#[test]
fn the_state_file_shows_start_heartbeats_and_end() {
    let _among = among_others();
    let town = Town::new(&[]);
    town.patrols(&[]);
    town.settings(json!({"heartbeat": {"interval": "500ms"}}));
    // The first heartbeat waits for a tmux that says nothing.
    town.program("tmux", "exec sleep 600");
    let mut supervisor = town.start();
    town.wait_logged("Heartbeat starting");
    let before = town.json("daemon/state.json");
    assert_eq!(before["running"], true);
    assert_eq!(before["pid"], supervisor.pid());
    assert_eq!((&before["last_heartbeat"], &before["heartbeat_count"]), (&json!(ZERO_TIME), &json!(0)));
    let keys: Vec<&String> = before.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["running", "pid", "started_at", "last_heartbeat", "heartbeat_count"]);
    assert_eq!(town.mode("daemon/state.json"), 0o644);
    supervisor.stop(Signal::TERM);
    fs::remove_file(town.bin().join("tmux")).unwrap();

    let mut supervisor = town.start();
    town.wait("the second heartbeat", || town.json("daemon/state.json")["heartbeat_count"] == 2);
    let running = town.json("daemon/state.json");
    for key in ["started_at", "last_heartbeat"] {
        let time: jiff::Timestamp = running[key].as_str().unwrap().parse().unwrap();
        let age = jiff::Timestamp::now().duration_since(time);
        assert!((0..20).contains(&age.as_secs()), "{key}: {running}");
        assert!(running[key].as_str().unwrap().contains('.'), "{key} with its fraction: {running}");
    }
    supervisor.stop(Signal::TERM);
    let stopped = town.json("daemon/state.json");
    assert_eq!((&stopped["running"], &stopped["pid"]), (&json!(false), &running["pid"]));
    assert_eq!(stopped["started_at"], running["started_at"]);
    assert!(stopped["heartbeat_count"].as_u64() >= Some(2), "{stopped}");
}
