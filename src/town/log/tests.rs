//! Tests of the log as a whole, on a real file and without a global subscriber.
#![allow(clippy::disallowed_methods, reason = "tests look at the files that were written")]

use std::{
    fs,
    io::{self, Write},
    os::unix::fs::{PermissionsExt, symlink},
    path::Path,
    sync::{Arc, Mutex, mpsc},
};

use super::*;

/// An output that stores everything.
#[derive(Clone, Default)]
struct Screen(Arc<Mutex<Vec<u8>>>);

impl Write for Screen {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Screen {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

fn config(path: &Path) -> LogConfig {
    LogConfig {
        path: path.to_owned(),
        max_bytes: 1 << 20,
        keep: 3,
        level: LogLevel::Info,
        foreground: None,
        zone: TimeZone::UTC,
    }
}

/// Runs `work` with this log; returns its handle and what reached standard error.
fn logging(config: &LogConfig, work: impl FnOnce(&LogHandle)) -> (LogHandle, String) {
    let screen = Screen::default();
    let (subscriber, handle) = build(config, Foreground::to(screen.clone()));
    tracing::subscriber::with_default(subscriber, || work(&handle));
    assert!(handle.flush(Duration::from_secs(10)));
    (handle, screen.text())
}

/// The lines of a log without their time stamps, each of which is checked.
fn texts(log: &str) -> Vec<String> {
    log.lines()
        .map(|line| {
            let (stamp, text) = line.split_at(20);
            let shape: String = stamp.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
            assert_eq!(shape, "0000/00/00 00:00:00 ", "{line}");
            text.to_owned()
        })
        .collect()
}

fn temp() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("daemon.log");
    (dir, path)
}

#[test]
fn the_stamp_is_gos_in_the_given_zone() {
    let time: Zoned = "2026-01-02T03:04:05.999+05:30[+05:30]".parse().unwrap();
    assert_eq!(line::stamp(&time), "2026/01/02 03:04:05");
}

#[test]
fn one_event_is_one_harmless_line() {
    let (_dir, path) = temp();
    logging(&config(&path), |_| {
        tracing::info!("Daemon starting (PID {})", 7);
        tracing::warn!("rigs.json is broken");
        tracing::warn!(target: line::AS_IS, agent = "r/polecats/a", reason = "crashed", "CRASH DETECTED: as scripts look for it");
        tracing::error!(agent = "r/witness", took = 3, why = "it \"died\" =", none = "", "start failed");
        tracing::info!(session = "gt-r-witness", agent = "r/witness", from = "alive", to = "waiting", "died");
        tracing::info!(session = "gt-r-witness", reason = "x", "killed");
        tracing::info!("two\nlines\r\n2026/01/01 00:00:00 forged \u{1b}[31m\u{7}\u{85}\u{2028}é");
        tracing::info!(path = %"a\nb", "field");
        tracing::debug!("not at this level");
        tracing::info!(target: "ractor", "not ours");
        tracing::warn!(target: "ractor", "not ours, but a warning");
    });
    assert_eq!(
        texts(&fs::read_to_string(&path).unwrap()),
        [
            "Daemon starting (PID 7)",
            "Warning: rigs.json is broken",
            "CRASH DETECTED: as scripts look for it",
            r#"Error: r/witness: start failed took=3 why="it \"died\" =" none="""#,
            "r/witness: died",
            "gt-r-witness: killed",
            r"two\nlines\r\n2026/01/01 00:00:00 forged \u{1b}[31m\u{7}\u{85}\u{2028}é",
            r#"field path="a\nb""#,
            "Warning: not ours, but a warning",
        ]
    );
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn the_foreground_gets_the_same_lines_or_json() {
    let (_dir, path) = temp();
    let human = LogConfig { foreground: Some(LogFormat::Human), ..config(&path) };
    let (_, screen) = logging(&human, |_| tracing::warn!(agent = "deacon", "hello"));
    assert_eq!(screen, fs::read_to_string(&path).unwrap());
    let json = LogConfig { foreground: Some(LogFormat::Json), ..config(&path) };
    let (_, screen) = logging(&json, |_| tracing::warn!(agent = "deacon", "two\nlines"));
    let object: serde_json::Value = serde_json::from_str(&screen).unwrap();
    assert_eq!((&object["level"], &object["message"]), (&"WARN".into(), &"two\nlines".into()));
    assert_eq!(object["agent"], "deacon");
    assert!(object["timestamp"].as_str().unwrap().parse::<jiff::Timestamp>().is_ok());
    assert_eq!(screen.lines().count(), 1);
}

#[test]
fn the_level_can_be_changed() {
    let (_dir, path) = temp();
    logging(&config(&path), |log| {
        for (level, name) in [(LogLevel::Debug, "a"), (LogLevel::Error, "b"), (LogLevel::Info, "c")] {
            log.set_level(level);
            tracing::debug!("{name} debug");
            tracing::info!("{name} info");
            tracing::error!("{name} error");
        }
    });
    let expected = ["a debug", "a info", "Error: a error", "Error: b error", "c info", "Error: c error"];
    assert_eq!(texts(&fs::read_to_string(&path).unwrap()), expected);
}

#[test]
fn rotates_by_size_and_keeps_a_number_of_files() {
    for (keep, kept) in [(0, vec![9]), (1, vec![8, 9]), (3, vec![6, 7, 8, 9])] {
        let (dir, path) = temp();
        let small = LogConfig { max_bytes: 1, keep, ..config(&path) };
        let (log, _) = logging(&small, |_| (0..10).for_each(|n| tracing::info!("line {n}")));
        assert_eq!(log.trouble(), None);
        let mut files: Vec<_> =
            fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        files.reverse();
        files.rotate_right(1);
        let mut lines: Vec<_> =
            files.iter().map(|file| texts(&fs::read_to_string(file).unwrap()).concat()).collect();
        lines.sort();
        let expected: Vec<_> = kept.iter().map(|n| format!("line {n}")).collect();
        assert_eq!(lines, expected, "keep {keep}");
        assert_eq!(texts(&fs::read_to_string(&path).unwrap()), ["line 9"]);
    }
}

#[test]
fn reopens_after_somebody_moved_the_file_and_notices_a_truncated_one() {
    let (dir, path) = temp();
    let moved = dir.path().join("moved");
    let bounded = LogConfig { max_bytes: 100, ..config(&path) };
    logging(&bounded, |log| {
        tracing::info!("one");
        fs::rename(&path, &moved).unwrap();
        tracing::info!("two");
        log.reopen();
        tracing::info!("three {}", "x".repeat(60));
        fs::write(&path, "").unwrap();
        tracing::info!("four");
    });
    assert_eq!(texts(&fs::read_to_string(&moved).unwrap()), ["one", "two"]);
    assert_eq!(texts(&fs::read_to_string(&path).unwrap()), ["four"]);
    assert!(!dir.path().join("daemon.log.1").exists());
}

#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_costs_lines_and_is_reported_once_on_stderr_and_once_in_the_log() {
    let (_dir, path) = temp();
    let (log, screen) = logging(&config(&path), |log| {
        assert_eq!(log.trouble(), None);
        log.file.pretend(fs::File::options().append(true).open("/dev/full").unwrap());
        (0..5).for_each(|n| tracing::info!("lost {n}"));
        let trouble = log.trouble().unwrap();
        assert!(trouble.contains("daemon.log cannot be written: No space left on device"), "{trouble}");
        tracing::info!("one more");
        assert_eq!(log.trouble().unwrap(), trouble, "the same as long as it lasts");
        log.reopen();
        tracing::info!("works again");
        tracing::info!("and again");
    });
    assert_eq!(screen.lines().count(), 1, "{screen}");
    assert!(screen.contains("daemon.log cannot be written: No space left on device"), "{screen}");
    let lines = texts(&fs::read_to_string(&path).unwrap());
    assert_eq!(lines.len(), 3, "{lines:?}");
    assert!(lines[0].starts_with("Warning: log lines lost before this one: 6 (No space left"), "{lines:?}");
    assert_eq!(lines[1..], ["works again", "and again"]);
    assert_eq!(log.trouble(), None);
}

#[test]
fn a_line_begins_on_a_line_of_its_own_whatever_was_left() {
    for (left, expected) in [
        ("", "new\n"),
        ("whole\n", "whole\nnew\n"),
        ("2026/01/01 10:00:00 half a li", "2026/01/01 10:00:00 half a li\nnew\n"),
    ] {
        let (_dir, path) = temp();
        fs::write(&path, left).unwrap();
        let (log, _) = logging(&config(&path), |_| ());
        log.file.write_line(b"new\n");
        assert_eq!(fs::read_to_string(&path).unwrap(), expected);
    }
}

#[test]
fn what_is_no_file_of_ours_costs_lines_and_is_neither_waited_for_nor_touched() {
    type Put = fn(&Path, &Path);
    let cases: [(&str, Put, &str); 4] = [
        ("a pipe", |path, _| pipe(path), "it is a named pipe, not a file"),
        ("a directory", |path, _| fs::create_dir(path).unwrap(), "it is a directory, not a file"),
        ("a device", |path, _| symlink("/dev/null", path).unwrap(), "it is a symbolic link, not a file"),
        ("a link", |path, other| symlink(other, path).unwrap(), "it is a symbolic link, not a file"),
    ];
    for (name, put, why) in cases {
        let (dir, path) = temp();
        let other = dir.path().join("somebody's");
        fs::write(&other, "theirs").unwrap();
        fs::set_permissions(&other, fs::Permissions::from_mode(0o644)).unwrap();
        put(&path, &other);
        let (_, screen) = logging(&config(&path), |log| {
            tracing::info!("lost");
            assert!(log.trouble().unwrap().contains(why), "{name}");
            fs::rename(&path, dir.path().join("moved")).unwrap();
            tracing::info!("written");
            assert_eq!(log.trouble(), None);
        });
        assert!(screen.lines().count() == 1 && screen.contains(why), "{name}: {screen}");
        assert_eq!(texts(&fs::read_to_string(&path).unwrap())[1], "written", "{name}");
        let untouched = fs::metadata(&other).unwrap().permissions().mode() & 0o777;
        assert_eq!((fs::read_to_string(&other).unwrap().as_str(), untouched), ("theirs", 0o644), "{name}");
    }
}

fn pipe(path: &Path) {
    rustix::fs::mknodat(rustix::fs::CWD, path, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
}

#[test]
fn a_file_that_cannot_be_opened_is_tried_again() {
    let (dir, _) = temp();
    let path = dir.path().join("later/daemon.log");
    let (log, screen) = logging(&config(&path), |_| {
        tracing::info!("lost");
        fs::create_dir(dir.path().join("later")).unwrap();
        tracing::info!("written");
    });
    assert_eq!(screen.lines().count(), 1, "{screen}");
    let lines = texts(&fs::read_to_string(&path).unwrap());
    assert!(lines[0].starts_with("Warning: log lines lost before this one: 1"), "{lines:?}");
    assert_eq!(lines[1], "written");
    assert_eq!(log.trouble(), None);
}

#[test]
fn a_standard_error_that_is_not_read_delays_nothing() {
    struct Stuck(mpsc::Receiver<()>, Screen);
    impl Write for Stuck {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _ = self.0.recv_timeout(crate::limits::PATIENCE);
            self.1.write(bytes)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let (release, stuck) = mpsc::channel();
    let screen = Screen::default();
    let foreground = Foreground::to(Stuck(stuck, screen.clone()));
    (0..5000).for_each(|n| foreground.put(format!("line {n}\n").into_bytes()));
    assert!(!foreground.flush(Duration::from_millis(10)));
    drop(release);
    let begun = std::time::Instant::now();
    loop {
        foreground.put(b"after\n".to_vec());
        // False while the queue is still full.
        if foreground.flush(Duration::from_secs(1)) && screen.text().contains("too slow") {
            break;
        }
        assert!(begun.elapsed() < Duration::from_secs(10), "{}", screen.text().len());
        std::thread::yield_now();
    }
    assert!(
        ["line 0\n", "line 1\n", "line 1000\n"].iter().all(|line| screen.text().contains(line)),
        "the queued"
    );
}
