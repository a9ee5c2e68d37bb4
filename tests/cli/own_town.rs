//! A town of one file from outside: its supervisor, its directory, and every command that must find it.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicU64, Ordering},
};

use gastown_supervisor::town::dialect::socket::of_file;
use rustix::process::Signal;

use crate::{
    among_others,
    support::{
        PATIENCE, Server,
        background::{Answer, answer},
        limits::{self, MARK, poll},
        process::Guarded,
        supervisor::{Supervisor, as_asked, binary},
    },
};

/// A directory with an `agents.toml`, a home and a tmux server of its own.
struct OwnTown {
    server: Server,
    root: PathBuf,
    mark: String,
}

/// A file without agents, of which nothing is started.
const QUIET: &str = "[heartbeat]\ninterval = \"1s\"\n";

impl OwnTown {
    fn new(text: &str) -> OwnTown {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let mut server = Server::new();
        let base = fs::canonicalize(server.dir()).unwrap();
        let root = base.join("app");
        fs::create_dir_all(base.join("home")).unwrap();
        fs::create_dir_all(&root).unwrap();
        server.rename(&of_file(&root.join("agents.toml")));
        let mark = format!("own{}", limits::mark(COUNT.fetch_add(1, Ordering::Relaxed)));
        let town = OwnTown { server, root, mark };
        town.put("agents.toml", text);
        town
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    fn put(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(binary());
        command.args(words).current_dir(&self.root).env_clear();
        command.env("PATH", std::env::var("PATH").unwrap()).env("HOME", self.root.with_file_name("home"));
        command.env("TMUX_TMPDIR", self.server.dir()).env("SHELL", "/bin/sh").env(MARK, &self.mark);
        command
    }

    fn ask(&self, words: &[&str]) -> Answer {
        answer(self.command(words))
    }

    /// The same with a variable that names a Gas Town which is not there.
    fn ask_astray(&self, words: &[&str]) -> Answer {
        let mut command = self.command(words);
        command.env("GT_ROOT", "/nowhere").env("GT_TOWN_ROOT", "/nowhere");
        answer(command)
    }

    /// Starts a supervisor, and waits until it answers.
    fn start(&self, words: &[&str]) -> Supervisor {
        let supervisor = Supervisor::spawn(self.command(words), self.server.dir());
        self.wait_until("a supervisor that answers", || {
            let said = self.ask(&["status", "--json", "--file", "agents.toml"]);
            said.code == Some(0) && said.json()["heartbeat"]["count"].as_u64() > Some(0)
        });
        supervisor
    }

    fn wait_until(&self, what: &str, mut done: impl FnMut() -> bool) {
        let log = || fs::read_to_string(self.path(".supervisor/supervisor.log")).unwrap_or_default();
        poll(PATIENCE, || done().then_some(())).unwrap_or_else(|| panic!("{what} did not come:\n{}", log()));
    }

    /// The names in a directory, sorted.
    fn names(directory: &Path) -> Vec<String> {
        let entries = fs::read_dir(directory).unwrap();
        let mut names: Vec<String> =
            entries.map(|it| it.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

/// Nothing in a text is about Gas Town.
fn assert_plain(what: &str, text: &str) {
    for word in [
        "town.json",
        "daemon/",
        "Gas Town",
        "gt ",
        "`gt",
        "settings/supervisor.json",
        "rigs",
        "polecat",
        "patrol",
        "bd ",
        "olt",
    ] {
        assert!(!text.contains(word), "{what} says {word:?}:\n{text}");
    }
}

#[test]
fn a_supervisor_leaves_its_directory_and_nothing_else() {
    let _among = among_others();
    let town = OwnTown::new(QUIET);
    let mut supervisor = town.start(&["run", "--file", "agents.toml"]);
    let own = town.path(".supervisor");
    assert_eq!((mode(&own), mode(&own.join("supervisor.sock"))), (0o700, 0o600));
    assert_eq!(fs::read_to_string(own.join("pid")).unwrap(), supervisor.pid().to_string());
    let again = town.ask(&["run"]);
    again.failed(1, &format!("Error: already running (PID {})", supervisor.pid()));
    town.put("sub/x", "");
    let file = town.path("agents.toml").display().to_string();
    let root = town.root.display().to_string();
    for words in [
        &["status"][..],
        &["status", "--file", &file],
        &["--file", &file, "status"],
        &["status", "--town", &root],
    ] {
        let mut command = town.command(words);
        command.current_dir(town.path("sub"));
        let said = answer(command);
        assert!(
            said.code == Some(0) && said.stdout.starts_with(&format!("{root}: running (PID ")),
            "{said:?}"
        );
        // Problems are the root's matter, each with its own test.
        let head = said.stdout.split("Problems:").next().unwrap_or_default();
        assert_plain("status", &head.replace(&root, ""));
    }
    assert!(town.ask_astray(&["status", "--file", &file]).stdout.starts_with(&root));
    let mut inside = town.command(&["status"]);
    inside.current_dir("/").env("SUPERVISOR_TOWN", &file);
    assert!(answer(inside).stdout.starts_with(&root));
    let (status, _) = supervisor.stop(Signal::TERM);
    assert!(as_asked(status), "{status:?}");
    fs::remove_dir_all(town.path("sub")).unwrap();
    assert_eq!(OwnTown::names(&town.root), [".supervisor", "agents.toml"]);
    let names = OwnTown::names(&own);
    for gone in ["pid", "supervisor.sock"] {
        assert!(!names.iter().any(|name| name == gone), "{names:?}");
    }
    for there in [".gitignore", "lock", "state.json", "supervisor.log"] {
        assert!(names.iter().any(|name| name == there), "{there}: {names:?}");
    }
    assert!(!names.iter().any(|name| name.ends_with(".tmp")), "{names:?}");
    let log = fs::read_to_string(own.join("supervisor.log")).unwrap();
    assert!(log.contains(&format!("A town of one file: {file}\n")), "{log}");
    let said = town.ask(&["status"]);
    assert!(said.stdout.starts_with(&format!("{root}: not running\n")), "{said:?}");
}

#[test]
fn in_the_background_from_anywhere() {
    let _among = among_others();
    let town = OwnTown::new(QUIET);
    town.put("other.toml", QUIET);
    let file = town.path("other.toml").display().to_string();
    let mut start = town.command(&["start", "--file", &file]);
    start.current_dir("/").env("GT_ROOT", "/nowhere");
    let started = answer(start);
    assert_eq!((started.code, &*started.stderr), (Some(0), ""), "{started:?}");
    let supervisor = Guarded::of(started.pid());
    let variables = crate::support::process::environment(supervisor.0.pid);
    assert!(!variables.contains_key("GT_ROOT"), "it would lead what it runs astray");
    let line = crate::support::process::command_line(supervisor.0.pid);
    assert!(line.ends_with(&["--file".to_owned(), file.clone()]), "{line:?}");
    for words in [&["reload"][..], &["poke"], &["logs"], &["events", "--since", "1h"], &["stop"]] {
        let said = town.ask_astray(&[words, &["--file", &file]].concat());
        assert_eq!(said.code, Some(0), "{words:?}: {said:?}");
    }
    assert!(!supervisor.lives());
    town.ask(&["stop", "--file", &file]).failed(3, "no supervisor runs in ");
}

#[test]
fn what_is_refused() {
    let _among = among_others();
    let town = OwnTown::new("[agents.a]\ncomand = \"x\"\nrestart = \"never\"\n");
    let file = town.path("agents.toml").display().to_string();
    for words in [&["run"][..], &["start"]] {
        let said = town.ask(words);
        let lines: Vec<&str> = said.stderr.lines().collect();
        assert_eq!((said.code, lines.len()), (Some(1), 3), "{said:?}");
        assert!(said.stderr.contains(&format!("{file}:2:1: agents.a.comand: unknown key")), "{said:?}");
        assert_plain("a bad file", &said.stderr.replace(&file, ""));
    }
    let log = fs::read_to_string(town.path(".supervisor/supervisor.log")).unwrap();
    assert!(log.contains("Daemon startup failed"), "{log}");
    fs::remove_dir_all(town.path(".supervisor")).unwrap();

    town.put("agents.toml", QUIET);
    fs::create_dir(town.path("elsewhere")).unwrap();
    symlink("elsewhere", town.path(".supervisor")).unwrap();
    let said = town.ask(&["run"]);
    said.failed(1, "Error: ");
    assert!(
        said.stderr.contains("/.supervisor cannot be used: it is a symbolic link, not a directory"),
        "{said:?}"
    );
    assert_eq!(OwnTown::names(&town.path("elsewhere")), Vec::<String>::new());
    fs::remove_file(town.path(".supervisor")).unwrap();

    town.ask(&["run", "--file", "missing.toml"]).failed(1, "Error: --file names ");
    town.ask(&["run", "--file", "elsewhere"]).failed(1, "Error: --file names ");
    town.ask(&["status", "--file", "agents.toml", "--town", "."]).failed(2, "error: ");
    town.ask(&["--town", ".", "status", "--file", "agents.toml"])
        .failed(1, "Error: --file and --town each name a town");

    town.put("mayor/town.json", "{}");
    for words in [
        &["run"][..],
        &["status"],
        &["status", "--file", "agents.toml"],
        &["start", "--town", "."],
        &["doctor"],
    ] {
        let said = town.ask(words);
        let told = format!("{}{}", said.stdout, said.stderr);
        assert!(
            said.code == Some(1) && told.contains("has both agents.toml and mayor/town.json"),
            "{said:?}"
        );
    }
    fs::remove_dir_all(town.path("mayor")).unwrap();
    assert_eq!(OwnTown::names(&town.root), ["agents.toml", "elsewhere"]);
}

#[test]
fn its_settings_with_their_lines() {
    let _among = among_others();
    let town =
        OwnTown::new("socket = \"mine\"\n[limits]\nagents = 7\n[restart]\ninitial_backoff = \"10s\"\n");
    let said = town.ask(&["settings", "--json"]);
    let all = said.json();
    let of = |key: &str| (all[key]["value"].clone(), all[key]["from"].as_str().unwrap().to_owned());
    assert_eq!(of("socket"), ("mine".into(), "agents.toml:1".to_owned()));
    assert_eq!(of("limits.agents"), (7.into(), "agents.toml:3".to_owned()));
    assert_eq!(of("limits.replicas"), (20.into(), "default".to_owned()));
    assert_eq!(of("restart.initial_backoff"), ("10s".into(), "agents.toml:5".to_owned()));
    assert_eq!(of("http.listen"), (serde_json::Value::Null, "default".to_owned()));
    for left_out in
        ["kill.grace", "patrols.deacon.enabled", "commands.gt", "tmux.naming", "usage_limit.wake_except"]
    {
        assert!(all.get(left_out).is_none(), "{left_out}");
    }
    let table = town.ask(&["settings"]).stdout;
    assert!(
        table.lines().any(|line| line.starts_with("socket ") && line.ends_with("agents.toml:1")),
        "{table}"
    );
    town.put("agents.toml", "");
    let said = town.ask(&["settings"]);
    said.failed(1, "Error: ");
    town.put("agents.toml", QUIET);
    let named = of_file(&town.path("agents.toml"));
    assert_eq!(town.ask(&["settings", "--json"]).json()["socket"]["value"].as_str(), Some(&*named));

    town.put("town.conf", "[http]\nlisten = \"0.0.0.0:8642\"\n");
    for words in [&["settings", "--check", "town.conf"][..], &["run", "--file", "town.conf"]] {
        let said = town.ask(words);
        assert!(
            said.code == Some(1)
                && said.stderr.contains("town.conf:2:10: http.listen: 0.0.0.0:8642 is no loopback address"),
            "{words:?}: {said:?}"
        );
    }
    town.put("town.conf", "[http]\nlisten = \"127.0.0.1:8642\"\nhosts = [\"x\"]\n");
    assert_eq!(town.ask(&["settings", "--check", "town.conf"]).code, Some(0));
}

#[test]
fn the_doctor_looks_at_what_there_is() {
    let _among = among_others();
    let town = OwnTown::new(
        "[agents.a]\ncommand = \"sleep 600\"\n[agents.b]\ncommand = \"no-such-program x\"\n[agents.c]\n\
         command = \"./run.sh\"\ndir = \"nowhere\"\n[agents.d]\ncommand = \"cd x && ./y\"\n",
    );
    let report = town.ask_astray(&["doctor", "--json", "--file", "agents.toml"]);
    let found = report.json();
    let findings = found["findings"].as_array().unwrap();
    let has = |area: &str, severity: &str, begins: &str| {
        let fits = |it: &&serde_json::Value| {
            let what = it["what"].as_str().unwrap_or_default();
            it["area"] == area && it["severity"] == severity && what.starts_with(begins)
        };
        assert_eq!(findings.iter().filter(fits).count(), 1, "{area} {begins}: {findings:#?}");
    };
    assert_eq!(report.code, Some(1), "{report:?}");
    let file = town.path("agents.toml").display().to_string();
    has("town", "ok", &format!("{file} (--file)"));
    has("supervisor", "note", "no supervisor runs");
    has("files", "ok", "1 file was read");
    has("permissions", "wrong", "c cannot be started: its directory ");
    has("tools", "ok", "tmux ");
    has("agents", "ok", "a: sleep");
    has("agents", "wrong", "b: cannot be started: no-such-program is not on the PATH");
    has("agents", "wrong", "c: cannot be started: ./run.sh does not exist");
    has("agents", "ok", "d: started by a shell");
    has("tmux", "note", "no tmux server runs on ");
    let text = town.ask(&["doctor"]).stdout;
    assert_plain("doctor", &text.replace(&town.root.display().to_string(), ""));
    assert_eq!(OwnTown::names(&town.root), ["agents.toml"], "the doctor changes nothing");

    town.put("agents.toml", "[agents.a]\nkommand = \"x\"\n");
    let said = town.ask(&["doctor"]);
    assert!(
        said.code == Some(1) && said.stdout.contains("agents.toml:2:1: agents.a.kommand: unknown key"),
        "{said:?}"
    );
    assert_plain("doctor of a bad file", &said.stdout.replace(&town.root.display().to_string(), ""));
}

#[test]
fn a_unit_names_the_file() {
    let _among = among_others();
    let town = OwnTown::new(QUIET);
    let file = town.path("agents.toml").display().to_string();
    let mut command = town.command(&["unit"]);
    command.env("GT_TMUX_SOCKET", "x");
    let unit = answer(command).stdout;
    assert!(unit.contains(&format!(" run --file {file}\n")), "{unit}");
    assert_plain("the unit", &unit.replace(&file, ""));
    assert!(!unit.contains("GT_TMUX_SOCKET"), "{unit}");
}

#[test]
fn a_shell_completes_its_agents() {
    let _among = among_others();
    let town = OwnTown::new("[agents.mayor]\ncommand = \"x\"\n[agents.db]\ncommand = \"x\"\nreplicas = 2\n");
    let mut command = town.command(&["--", "gastown-supervisor", "explain", "--file", "agents.toml", ""]);
    command.env("GTS_COMPLETE", "bash").env("_CLAP_COMPLETE_INDEX", "4").env("_CLAP_IFS", "\n");
    let said = answer(command);
    let words: Vec<&str> = said.stdout.lines().filter(|word| !word.starts_with('-')).collect();
    assert_eq!(words, ["db-1", "db-2", "mayor"], "{said:?}");
}
