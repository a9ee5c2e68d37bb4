//! The command runner on real programs.
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests run real programs"
)]

use std::{
    collections::BTreeMap,
    os::unix::fs::PermissionsExt,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use gastown_supervisor::{
    clock::SystemClock,
    commands::{Command, CommandError, Commands, Printed, dies_with_us::dies_with_us, runner::Runner},
    deps::Deps,
    ledger::{convoys::SqliteConvoys, dolt_server::LocalDolt, notify, sqlite::SqliteBeads},
    network::https::Https,
    ports::{Jitter, Ports, dolt::Dolt, problems::Problems, writes::Writes},
    processes::{exec_watcher::SystemExecWatcher, table::SystemProcesses},
    sessions::tmux::{Socket, Tmux, TmuxConfig},
    town::{
        files::Disk, journal::disk::DiskJournals, paths::TownPaths, settings::Settings,
        socket::SocketListener,
    },
};

#[path = "support/limits.rs"]
mod limits;

use limits::{LimitedJoin, receive};

fn shell(script: &str) -> Command {
    Command {
        program: "sh".into(),
        arguments: vec!["-c".into(), script.into()],
        directory: "/".into(),
        environment: BTreeMap::new(),
        input: None,
        limit: Duration::from_secs(20),
    }
}

async fn run(command: Command) -> Result<Printed, CommandError> {
    limits::watched();
    Runner::new(BTreeMap::from([("BD_ACTOR".into(), "daemon".into())])).run(command).await
}

/// Polls every 5 ms until there is an answer, at most ten seconds.
async fn eventually<T>(mut look: impl FnMut() -> Option<T>) -> Option<T> {
    limits::watched();
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        match look() {
            None if Instant::now() < deadline => tokio::time::sleep(Duration::from_millis(5)).await,
            answer => return answer,
        }
    }
}

async fn gone(pid: u32) -> bool {
    let stat = || std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    eventually(|| Some(stat()).filter(|stat| stat.is_empty() || stat.contains(") Z "))).await.is_some()
}

async fn written_pid(file: &Path) -> u32 {
    let read = || std::fs::read_to_string(file).ok()?.strip_suffix('\n')?.parse().ok();
    eventually(read).await.expect("the script writes its pid")
}

#[tokio::test]
async fn output_environment_directory_and_input_arrive() {
    let mut command = shell("cat; echo $BD_ACTOR $MORE; pwd; echo err >&2");
    command.environment.insert("MORE".into(), "more".into());
    command.directory = "/tmp".into();
    command.input = Some(b"in ".to_vec());
    let printed = run(command).await.unwrap();
    assert_eq!(String::from_utf8(printed.stdout).unwrap(), "in daemon more\n/tmp\n");
    assert_eq!(printed.stderr, b"err\n");
}

#[tokio::test]
async fn without_input_standard_input_is_closed() {
    assert_eq!(run(shell("cat; echo end")).await.unwrap().stdout, b"end\n");
}

#[tokio::test]
async fn a_program_that_does_not_read_a_long_input_succeeds() {
    let mut command = shell("exec true");
    command.input = Some(vec![b'x'; 1 << 20]);
    run(command).await.unwrap();
}

#[tokio::test]
async fn much_output_on_both_streams_does_not_block() {
    let printed = run(shell("head -c 3000000 /dev/zero; head -c 3000000 /dev/zero >&2")).await.unwrap();
    assert_eq!((printed.stdout.len(), printed.stderr.len()), (3_000_000, 3_000_000));
}

#[tokio::test]
async fn errors_grid() {
    let dir = tempfile::tempdir().unwrap();
    let script = dir.path().join("broken");
    // Another process writes it: a child of another test has all our open files for a moment, and what somebody writes cannot be run.
    let write = "printf '#!/no/such/interpreter\\n' > \"$0\" && chmod 755 \"$0\"";
    let mut writes = std::process::Command::new("sh");
    let written = writes.args(["-c", write]).arg(&script).status(); // limited: it prints and ends
    assert!(written.unwrap().success());
    let plain = dir.path().join("plain");
    std::fs::write(&plain, "x").unwrap();
    let program = |program: &str| Command { program: program.into(), arguments: vec![], ..shell("") };
    let path = |path: &Path| program(path.to_str().unwrap());
    #[rustfmt::skip]
    let cases = [
        ("exit code", shell("echo out; echo one >&2; echo two >&2; exit 3"), "failed (exit code 3): one two"),
        ("signal", shell("kill -9 $$"), "failed (signal 9)"),
        ("not installed", program("no-such-program-here"), "no-such-program-here is not installed or not on PATH"),
        ("no such path", program("/no/such/program"), "/no/such/program is not installed"),
        ("no directory", Command { directory: "/no/such/dir".into(), ..shell("true") }, "could not be started in /no/such/dir: the directory does not exist"),
        ("no interpreter", path(&script), "its interpreter (first line) is missing"),
        ("not executable", path(&plain), "Permission denied"),
        ("limit", Command { limit: Duration::from_millis(50), ..shell("sleep 60") }, "did not end within 50ms and was killed"),
        ("too much", shell("exec yes"), "printed more than 16777216 bytes"),
        ("too much stderr", shell("exec yes >&2"), "printed more than 16777216 bytes"),
    ];
    for (name, command, wanted) in cases {
        let line = command.line();
        let told = run(command).await.expect_err(name).to_string();
        assert!(told.contains(wanted) && told.contains(&line), "{name}: {told}");
    }
    match run(shell("echo out; echo one >&2; exit 3")).await {
        Err(CommandError::Failed { code: Some(3), stdout, .. }) => assert_eq!(stdout, b"out\n"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn long_standard_error_is_cut_to_its_end() {
    let told = run(shell("yes ü | head -2000 >&2; echo last words >&2; exit 1")).await;
    let Err(CommandError::Failed { stderr, .. }) = told else { panic!("{told:?}") };
    assert_eq!(stderr.chars().count(), 500);
    assert!(stderr.ends_with("ü ü last words") && !stderr.contains('\u{fffd}'), "{stderr}");
}

#[tokio::test]
async fn the_whole_group_is_killed_at_the_limit() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("pid");
    let mut command = shell(&format!("sleep 60 & echo $! > {}; wait", file.display()));
    command.limit = Duration::from_millis(500);
    assert!(matches!(run(command).await, Err(CommandError::TimedOut { .. })));
    assert!(gone(written_pid(&file).await).await, "the grandchild lives on");
}

#[tokio::test]
async fn dropping_the_call_kills_the_whole_group() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("pid");
    let command = shell(&format!("sleep 60 & echo $! > {}; wait", file.display()));
    let grandchild = tokio::select! {
        ended = run(command) => panic!("it ended: {ended:?}"),
        pid = written_pid(&file) => pid,
    };
    assert!(gone(grandchild).await, "the grandchild lives on");
}

#[tokio::test]
async fn something_left_behind_that_holds_the_output_does_not_hold_us() {
    let began = Instant::now();
    let printed = run(shell("sleep 60 & echo $!")).await.unwrap();
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    let grandchild = String::from_utf8(printed.stdout).unwrap().trim().parse().unwrap();
    assert!(gone(grandchild).await, "it was not killed with the group");
}

#[tokio::test]
async fn a_daemon_left_behind_on_purpose_may_stay() {
    let printed = run(shell("sleep 60 >/dev/null 2>&1 & echo $!")).await.unwrap();
    let daemon = String::from_utf8(printed.stdout).unwrap().trim().to_owned();
    let killed = run(Command { program: "kill".into(), arguments: vec![daemon], ..shell("") }).await;
    assert_eq!(killed, Ok(Printed::default()), "it was not there to be killed");
}

#[tokio::test]
async fn locate_grid() {
    let dir = tempfile::tempdir().unwrap();
    let (good, plain) = (dir.path().join("good"), dir.path().join("plain"));
    for (file, mode) in [(&good, 0o755), (&plain, 0o644)] {
        std::fs::write(file, "#!/bin/sh\n").unwrap();
        std::fs::set_permissions(file, std::fs::Permissions::from_mode(mode)).unwrap();
    }
    let text = |path: &Path| path.to_str().unwrap().to_owned();
    let runner = Runner::new(BTreeMap::from([("PATH".into(), format!("/no/such:{}", text(dir.path())))]));
    #[rustfmt::skip]
    let cases = [
        ("on PATH", "good".to_owned(), Some(good.clone())),
        ("on PATH, not executable", "plain".to_owned(), None),
        ("nowhere", "nowhere".to_owned(), None),
        ("empty", String::new(), None),
        ("a directory", text(dir.path()), None),
        ("absolute", text(&good), Some(good.clone())),
        ("absolute, not executable", text(&plain), None),
    ];
    for (name, program, wanted) in cases {
        assert_eq!(runner.locate(&program).await, wanted, "{name}");
    }
}

/// The ports of a town in this directory, with this `notify.command`; no session is ever asked for.
fn notifying(town: &Path, command: &str, timeout: Duration) -> Deps {
    let mut settings = Settings::default();
    settings.notify.command = Some(command.to_owned());
    settings.notify.timeout = timeout;
    settings.env.insert("MORE".to_owned(), "more".to_owned());
    let (_, settings) = tokio::sync::watch::channel(Arc::new(settings));
    let ports = Ports {
        sessions: Arc::new(Tmux::new(TmuxConfig::new(Socket::Path(town.join("tmux"))))),
        processes: Arc::new(SystemProcesses::new()),
        commands: Arc::new(Runner::new(BTreeMap::from([("BD_ACTOR".into(), "daemon".into())]))),
        network: Arc::new(Https::default()),
        journals: Arc::new(DiskJournals::default()),
        standings: gastown_supervisor::town::standing::Standings::none(),
        files: Arc::new(Disk),
        clock: Arc::new(SystemClock::new()),
        transcripts: Arc::new(gastown_supervisor::transcripts::disk::DiskTranscripts::new()),
        exec_watcher: Arc::new(SystemExecWatcher::new()),
        conversation_files: Arc::new(gastown_supervisor::town::conversation_files::disk::DiskConversations),
        convoys: Arc::new(SqliteConvoys::new(town.join(".beads/beads.db"))),
        beads: Arc::new(SqliteBeads::default()),
        dolt: Dolt::new(Arc::new(LocalDolt), BTreeMap::new()),
        control_listener: Arc::new(SocketListener),
        jitter: Jitter::seeded(1),
        paths: TownPaths::new(town),
        settings,
        gas_town: Default::default(),
        degraded: false,
        problems: Problems::default(),
        metrics: Default::default(),
        writes: Writes::default(),
    };
    Deps::new(ports)
}

#[tokio::test]
async fn an_alert_is_one_line_of_json_on_the_notify_commands_input() {
    let town = tempfile::tempdir().unwrap();
    let deps = notifying(
        town.path(),
        "{ cat; echo $BD_ACTOR \"$MORE\"; } > 'got it'; echo talk",
        Duration::from_secs(10),
    );
    let alert = serde_json::json!({"type": "mass_death", "payload": {"cause": "two\nlines"}});
    notify::send(&deps, &alert).await;
    assert_eq!(deps.problems.open(), BTreeMap::new());
    let got = std::fs::read_to_string(town.path().join("got it")).unwrap();
    assert_eq!(
        got, "{\"type\":\"mass_death\",\"payload\":{\"cause\":\"two\\nlines\"}}\ndaemon more\n",
        "in the town, with the variables of every command"
    );
}

#[tokio::test]
async fn a_notify_command_that_fails_or_hangs_is_a_problem() {
    let town = tempfile::tempdir().unwrap();
    for (name, command, wanted) in [
        (
            "fails",
            "echo no bell >&2; exit 3",
            "`sh -c 'echo no bell >&2; exit 3'` failed (exit code 3): no bell",
        ),
        ("not there", "/no/such/bell", "exit code 127"),
        ("hangs", "sleep 60 & echo $! > pid; wait", "did not end within 300ms and was killed"),
        ("does not read", "exec sleep 60 <&-", "did not end within 300ms"),
    ] {
        let deps = notifying(town.path(), command, Duration::from_millis(300));
        let began = Instant::now();
        notify::send(&deps, &serde_json::json!({})).await;
        assert!(began.elapsed() < Duration::from_secs(5), "{name}: {:?}", began.elapsed());
        let told = deps.problems.open().into_values().collect::<Vec<_>>().join("; ");
        assert!(told.starts_with("an alert was not delivered by notify.command"), "{name}: {told}");
        assert!(told.contains(wanted), "{name}: {told}");
    }
    assert!(gone(written_pid(&town.path().join("pid")).await).await, "what it started lives on");
}

/// The kernel does it, when the thread that started the program is gone; nothing is dropped here.
#[cfg(target_os = "linux")]
#[test]
fn a_program_that_is_to_die_with_us_does() {
    let (tell, told) = std::sync::mpsc::channel();
    let ours = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut sleep = tokio::process::Command::new("sleep");
            dies_with_us(sleep.arg("60"), rustix::process::Signal::KILL);
            let child = sleep.spawn().unwrap();
            tell.send(child.id().unwrap()).unwrap();
            std::mem::forget(child);
        });
        std::mem::forget(runtime);
    });
    let pid = receive(&told, "the command's process");
    ours.limited_join("our thread");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    assert!(runtime.block_on(gone(pid)), "it lives on");
}
