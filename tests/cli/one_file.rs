//! `init`, `adopt`, `up` and `down`: a town of one file as a person makes, starts and ends it.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::Path,
};

use rustix::process::Signal;

use crate::{
    among_others,
    support::{
        PATIENCE,
        background::{Answer, answer},
        limits::poll,
        one_file::{OneFile, signal},
        process, standin,
        supervisor::binary,
    },
};

const PROGRAM: &str = "gastown-supervisor";

/// A directory of one's own, with the stand-in for claude on `PATH`.
fn place() -> OneFile {
    let example = standin::example();
    OneFile::build(&[(PROGRAM, Path::new(binary())), ("claude", &example)]).unwrap()
}

fn ask(town: &OneFile, words: &[&str]) -> Answer {
    answer(town.command(&[&[PROGRAM], words].concat()))
}

/// A program that runs until it is ended, and leaves word when it is.
const WORKER: &str = "#!/bin/sh\ntrap 'echo \"$1\" >> ended; exit 0' TERM\nwhile :; do sleep 0.1; done\n";

/// A town whose `app` waits for its `db`.
fn two_agents() -> OneFile {
    let town = place();
    town.put_program("run.sh", WORKER).unwrap();
    town.put(
        "agents.toml",
        "[agents.app]\ncommand = \"claude\"\nafter = [\"db\"]\n[agents.db]\ncommand = \"./run.sh db\"\n",
    )
    .unwrap();
    town
}

fn wait(what: &str, town: &OneFile, mut done: impl FnMut() -> bool) {
    poll(PATIENCE, || done().then_some(()))
        .unwrap_or_else(|| panic!("{what} did not come:\n{}", town.text(".supervisor/supervisor.log")));
}

fn names(sessions: &BTreeMap<String, u32>) -> Vec<&str> {
    sessions.keys().map(String::as_str).collect()
}

#[test]
fn init_writes_a_file_for_what_there_is_and_never_touches_one() {
    let _among = among_others();
    let town = place();
    let user = town.default_socket().unwrap();
    let begin = ["new-session", "-d", "-s", "my work", "sleep 1000"];
    town.tmux(&user, &begin).unwrap();
    // No login shell, whose start may run something.
    town.tmux(&user, &["new-session", "-d", "-s", "shell", "/bin/sh"]).unwrap();
    let printed = ask(&town, &["init", "--print"]);
    assert_eq!((printed.code, &*printed.stderr), (Some(0), ""), "{printed:?}");
    for line in
        ["[agents.claude]", "command = \"claude\"", "# [agents.my-work]", "# command = \"sleep 1000\""]
    {
        assert!(printed.stdout.lines().any(|it| it == line), "{line}: {}", printed.stdout);
    }
    assert!(!printed.stdout.contains("shell"), "nothing runs in it: {}", printed.stdout);
    assert!(!town.root().join("agents.toml").exists());

    let said = ask(&town, &["init"]);
    assert_eq!((said.code, &*said.stderr), (Some(0), ""), "{said:?}");
    assert!(said.stdout.starts_with("agents.toml is written (claude"), "{said:?}");
    assert!(said.stdout.ends_with("\n  gastown-supervisor up\n"), "{said:?}");
    assert_eq!(town.text("agents.toml"), printed.stdout);
    let checked = ask(&town, &["settings", "--check", "agents.toml"]);
    assert!(
        checked.code == Some(0) && checked.stdout.contains("1 agent on its own tmux server"),
        "{checked:?}"
    );
    let sessions = town.tmux(&user, &["list-sessions", "-F", "#{session_name} #{session_attached}"]).unwrap();
    assert_eq!(sessions, "my work 0\nshell 0", "the user's server is as it was");

    town.put("agents.toml", "# mine\n").unwrap();
    let again = ask(&town, &["init"]);
    again.failed(1, &format!("Error: {}/agents.toml exists; `gastown-supervisor up`", town.root().display()));
    assert_eq!(town.text("agents.toml"), "# mine\n");
    let other = ask(&town, &["init", "--file", "other.toml"]);
    assert!(other.code == Some(0) && other.stdout.ends_with("up --file other.toml\n"), "{other:?}");
    assert!(town.socket().is_none(), "no server was started");
}

#[test]
fn init_where_tmux_cannot_be_asked_or_later_commands_would_mean_another_town() {
    let _among = among_others();
    let town = place();
    town.put_program("../bin/tmux", "#!/bin/sh\necho 'lost server' >&2; exit 1\n").unwrap();
    let said = ask(&town, &["init"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(
        said.stderr.starts_with("your tmux server was not asked for its sessions: ")
            && said.stderr.lines().count() == 1,
        "{said:?}"
    );
    assert!(town.text("agents.toml").contains("[agents.claude]"));

    town.put("gt/mayor/town.json", "{}").unwrap();
    town.put("gt/rig/x", "").unwrap();
    for words in [&["init", "--town", "gt"][..], &["init", "--file", "gt/rig/agents.toml"]] {
        let said = ask(&town, words);
        said.failed(1, &format!("Error: {}/gt", town.root().display()));
        assert!(said.stderr.contains("the Gas Town"), "{said:?}");
    }
    let mut command = town.command(&[PROGRAM, "init"]);
    command.env("GT_ROOT", "/nowhere");
    answer(command).failed(1, "Error: GT_ROOT is set");
    ask(&town, &["init", "--town", "nowhere"]).failed(1, "Error: ");
    for (words, there) in [
        (&["up", "--town", "gt"][..], "`start` starts its supervisor"),
        (&["down", "--town", "gt"], "`gt down` ends its agents"),
        (&["adopt", "x", "--town", "gt"], "its agents are made by `gt`"),
    ] {
        let said = ask(&town, words);
        said.failed(1, &format!("Error: `{}` is for a town that is one file", words[0]));
        assert!(said.stderr.contains(there), "{said:?}");
    }
}

#[test]
fn adopt_adds_a_running_session_and_touches_nothing_else() {
    let _among = among_others();
    let town = place();
    let user = town.default_socket().unwrap();
    town.put_program("run.sh", WORKER).unwrap();
    let root = town.root();
    let start = |name: &str, more: &[&str]| {
        let directory = root.to_string_lossy();
        let words = [&["new-session", "-d", "-s", name, "-c", &*directory], more].concat();
        town.tmux(&user, &words).unwrap();
    };
    start("work", &["./run.sh 'a b'"]);
    start("shell", &["/bin/sh"]);
    start("typed", &[]);
    town.tmux(&user, &["send-keys", "-t", "=typed:", "cd /tmp; sleep 900", "Enter"]).unwrap();
    let before = "# mine\nsocket = \"default\" # keep\n[agents.b]\ncommand='x'";
    town.put("real/agents.toml", before).unwrap();
    let file = root.join("real/agents.toml");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
    symlink("real/agents.toml", root.join("agents.toml")).unwrap();
    let pids = || town.tmux(&user, &["list-panes", "-a", "-F", "#{session_name} #{pane_pid}"]).unwrap();
    let ran = pids();

    let said = ask(&town, &["adopt", "work"]);
    assert_eq!((said.code, &*said.stderr), (Some(0), ""), "{said:?}");
    let added = "[agents.work]\ncommand = \"./run.sh 'a b'\"\n";
    assert_eq!(
        said.stdout,
        format!("added to agents.toml:\n\n{added}\n`gastown-supervisor up` takes work over as it is\n")
    );
    assert_eq!(fs::read_to_string(&file).unwrap(), format!("{before}\n\n{added}"));
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o7777, 0o640);
    assert!(fs::symlink_metadata(root.join("agents.toml")).unwrap().is_symlink());
    wait("what was typed", &town, || ask(&town, &["init", "--print"]).stdout.contains("sleep 900"));
    let said = ask(&town, &["adopt", "typed", "--name", "other"]);
    let added = "[agents.other]\nsession = \"typed\"\ncommand = \"sleep 900\"\ndir = \"/tmp\"\n";
    assert!(said.code == Some(0) && said.stdout.contains(added), "{said:?}");
    assert_eq!(pids(), ran, "the sessions go on as they were");

    let now = fs::read_to_string(&file).unwrap();
    for (name, words, begins) in [
        ("again", &["adopt", "work"][..], "Error: the session \"work\" is that of the agent work"),
        ("a shell", &["adopt", "shell"], "Error: in the session shell nothing runs but a shell"),
        (
            "none",
            &["adopt", "wor"],
            "Error: your default tmux server has no session wor; it has: shell, typed, work",
        ),
        (
            "another server",
            &["adopt", "x", "--from-socket", "none"],
            "Error: the tmux server none has no session x, and no other",
        ),
        ("no name", &["adopt", "shell", "--name", "a.b"], "error: invalid value 'a.b' for '--name <NAME>'"),
    ] {
        let said = ask(&town, words);
        assert!(said.stderr.starts_with(begins) && matches!(said.code, Some(1 | 2)), "{name}: {said:?}");
        assert_eq!(fs::read_to_string(&file).unwrap(), now, "{name}");
    }
    town.put("real/agents.toml", "[agents.b]\ncomand = 'x'\n").unwrap();
    let said = ask(&town, &["adopt", "work"]);
    assert!(said.code == Some(1) && said.stderr.contains("agents.toml:2:1: "), "{said:?}");
    assert_eq!(fs::read_to_string(&file).unwrap(), "[agents.b]\ncomand = 'x'\n");

    // The agents of this file run elsewhere.
    town.put("real/agents.toml", "").unwrap();
    town.put("real/agents.toml", "# none\n").unwrap();
    let said = ask(&town, &["adopt", "work"]);
    said.failed(1, "Error: the session work runs on your default tmux server, and the agents of the file on its own tmux server");
    assert_eq!(fs::read_to_string(&file).unwrap(), "# none\n");
    let said = ask(&town, &["adopt", "work", "--anyway"]);
    assert!(
        said.code == Some(0) && said.stdout.contains("starts work anew; end the old session yourself before"),
        "{said:?}"
    );
}

#[test]
fn up_starts_all_and_down_ends_all_in_reverse_order() {
    let _among = among_others();
    let town = two_agents();
    let file = "[agents.app]\ncommand = \"./run.sh app\"\nafter = [\"db\"]\n[agents.db]\ncommand = \"./run.sh db\"\n";
    town.put("agents.toml", file).unwrap();
    let dry = ask(&town, &["up", "--dry-run"]);
    dry.fine("start the supervisor\nstart db\nstart app, once db works\n");
    assert!(!town.root().join(".supervisor").exists() && town.socket().is_none(), "nothing was done");
    ask(&town, &["down"]).failed(3, "no supervisor runs in ");

    let said = ask(&town, &["up"]);
    assert_eq!(
        (said.code, &*said.stderr),
        (Some(0), ""),
        "{said:?}; {}",
        town.text(".supervisor/supervisor.log")
    );
    let lines: Vec<&str> = said.stdout.lines().collect();
    assert!(lines[0].starts_with("supervisor started (PID "), "{said:?}");
    assert!(lines[1].starts_with("db        up after ") && lines[1].ends_with("s (session db)"), "{said:?}");
    assert!(lines[2].starts_with("app       up after "), "{said:?}");
    assert_eq!(lines[3], "all 2 agents are up");
    let ran = town.sessions();
    assert_eq!(names(&ran), ["app", "db"]);
    let supervisor = town.supervisor().unwrap();

    let again = ask(&town, &["up"]);
    assert!(again.code == Some(0) && again.stdout.ends_with("all 2 agents were up already\n"), "{again:?}");
    assert_eq!((town.sessions(), town.supervisor()), (ran.clone(), Some(supervisor)));
    ask(&town, &["up", "--dry-run"]).fine("nothing: all 2 agents run as the file says\n");

    let kept = ask(&town, &["down", "--keep-agents"]);
    assert!(kept.code == Some(0) && kept.stdout.contains("the agents keep running"), "{kept:?}");
    let left = ask(&town, &["down"]);
    assert_eq!(left.code, Some(3), "{left:?}");
    assert!(
        left.stdout.contains("`gastown-supervisor up` and then `down`")
            && left.stdout.contains("kill-session -t '=app:'"),
        "{left:?}"
    );
    assert_eq!(town.sessions(), ran, "nothing was ended");
    let again = ask(&town, &["up"]);
    assert!(again.code == Some(0) && again.stdout.ends_with("all 2 agents were up already\n"), "{again:?}");
    assert_eq!(town.sessions(), ran, "they were taken over");

    let said = ask(&town, &["down"]);
    assert_eq!(
        (said.code, &*said.stderr),
        (Some(0), ""),
        "{said:?}; {}",
        town.text(".supervisor/supervisor.log")
    );
    let ends: Vec<&str> =
        said.stdout.lines().map(|line| line.split_once("after").map_or(line, |(begin, _)| begin)).collect();
    assert_eq!(&ends[..2], ["app         ended ", "db          ended "], "{said:?}");
    assert!(ends[2].starts_with("2 agents have ended, and so has the supervisor (PID "), "{said:?}");
    assert!(town.sessions().is_empty() && town.supervisor().is_none());
    assert_eq!(town.text("ended"), "app\ndb\n", "each by its signal, in reverse order");

    let said = ask(&town, &["up"]);
    assert!(
        said.code == Some(0) && said.stdout.ends_with("all 2 agents are up\n"),
        "nobody holds them: {said:?}"
    );
}

#[test]
fn an_operators_hold_outlives_down_and_up() {
    let _among = among_others();
    let town = two_agents();
    assert_eq!(ask(&town, &["up"]).code, Some(0));
    let stopped = ask(&town, &["stop", "app", "--now"]);
    assert_eq!(stopped.code, Some(0), "{stopped:?}");
    let said = ask(&town, &["down"]);
    assert!(said.code == Some(0) && said.stdout.contains("app         was not running\n"), "{said:?}");
    let said = ask(&town, &["up"]);
    assert!(said.code == Some(0) && said.stdout.contains("app       held: stopped by "), "{said:?}");
    assert!(said.stdout.ends_with("1 of 2 agents are up; 1 not to run now\n"), "{said:?}");
}

#[test]
fn up_names_what_does_not_come_up() {
    let _among = among_others();
    let town = two_agents();
    town.put("agents.toml", "[agents.a]\ncommand = 'x'\ncomand = 'y'\nrestart = 'never'\n").unwrap();
    let said = ask(&town, &["up"]);
    assert_eq!((said.code, &*said.stdout), (Some(1), ""), "{said:?}");
    assert_eq!(said.stderr.lines().filter(|line| line.contains("agents.toml:")).count(), 2, "{said:?}");
    assert!(!town.root().join(".supervisor").exists(), "nothing was started");
    town.put("agents.toml", "# none\n").unwrap();
    let said = ask(&town, &["up"]);
    assert!(said.code == Some(0) && said.stdout.starts_with("the file has no agents yet"), "{said:?}");

    town.put(
        "agents.toml",
        "[agents.a]\ncommand = \"./run.sh a\"\n[agents.b]\ncommand = \"./run.sh b\"\ndir = \"missing\"\n[agents.c]\ncommand = \"no-such-program\"\n\
         [agents.d]\ncommand = \"./run.sh d\"\nafter = [\"b\"]\n",
    )
    .unwrap();
    let said = ask(&town, &["up"]);
    assert_eq!(said.code, Some(1), "{said:?}; {}", town.text(".supervisor/supervisor.log"));
    assert!(said.stdout.contains("a         up after "), "{said:?}");
    for (agent, why) in
        [("b", "cannot run: its directory "), ("c", "no-such-program"), ("d", "is not up: waits for ")]
    {
        let line = said.stderr.lines().find(|line| line.starts_with(&format!("{agent}         ")));
        assert!(line.is_some_and(|line| line.contains(why)), "{agent}: {said:?}");
    }
    assert!(said.stderr.ends_with("Error: 1 of 4 agents are up; not up: b, c, d\n"), "{said:?}");
    assert_eq!(names(&town.sessions()), ["a"]);

    // What is wrong is mended, and `up` again has the supervisor read it.
    fs::create_dir(town.root().join("missing")).unwrap();
    symlink("../run.sh", town.root().join("missing/run.sh")).unwrap();
    let text = town.text("agents.toml").replace("no-such-program", "./run.sh c");
    town.put("agents.toml", &text).unwrap();
    let said = ask(&town, &["up"]);
    assert!(
        said.code == Some(0) && said.stdout.ends_with("all 4 agents are up\n"),
        "{said:?}; {}",
        town.text(".supervisor/supervisor.log")
    );
}

#[test]
fn a_killed_agent_is_back_with_the_same_session_id() {
    let _among = among_others();
    let town = place();
    assert_eq!(ask(&town, &["init"]).code, Some(0));
    let said = ask(&town, &["up"]);
    assert_eq!(
        (said.code, &*said.stderr),
        (Some(0), ""),
        "{said:?}; {}",
        town.text(".supervisor/supervisor.log")
    );
    let id = |flag: &str| {
        let pid = town.sessions().get("claude").copied()?;
        let line = process::command_line(pid);
        let at = line.iter().position(|word| word == flag)?;
        Some((pid, line.get(at + 1)?.clone()))
    };
    let (pid, first) = poll(PATIENCE, || id("--session-id")).expect("claude with an id of its own");
    signal(pid, Signal::KILL);
    let back = poll(PATIENCE, || id("--resume"));
    let (again, resumed) =
        back.unwrap_or_else(|| panic!("it is not back: {}", town.text(".supervisor/supervisor.log")));
    assert!(again != pid && resumed == first, "{first} and {resumed}");
    assert_eq!(ask(&town, &["down"]).code, Some(0));
}

#[test]
fn the_file_is_followed_with_its_replicas_dependencies_and_health() {
    let _among = among_others();
    let town = place();
    town.put_program("run.sh", WORKER).unwrap();
    let file = |workers: u32, more: &str| {
        format!(
            "[agents.worker]\ncommand = \"./run.sh worker\"\nreplicas = {workers}\nafter = [\"db\"]\n\
             [agents.db]\ncommand = \"./run.sh db\"\n{more}\
             health = {{ command = \"test -e well\", interval = \"200ms\", retries = 2 }}\n"
        )
    };
    town.put("agents.toml", &file(2, "")).unwrap();
    town.put("well", "").unwrap();
    let said = ask(&town, &["up"]);
    let lines: Vec<&str> = said.stdout.lines().collect();
    assert!(said.code == Some(0) && lines[1].starts_with("db  "), "those wait that come after it: {said:?}");
    let ran = town.sessions();
    assert_eq!(names(&ran), ["db", "worker-1", "worker-2"]);

    // One more, and one fewer; nobody else is touched.
    town.put("agents.toml", &file(3, "")).unwrap();
    wait("the third", &town, || town.sessions().contains_key("worker-3"));
    let with_three = town.sessions();
    assert!(ran.iter().all(|(name, pid)| with_three.get(name) == Some(pid)), "{ran:?} {with_three:?}");
    town.put("agents.toml", &file(1, "")).unwrap();
    wait("its end", &town, || names(&town.sessions()) == ["db", "worker-1"]);
    assert_eq!(town.sessions()["worker-1"], ran["worker-1"]);

    // What an agent took at its start is otherwise: only that agent is started again.
    town.put("agents.toml", &file(1, "env = { A = \"1\" }\n")).unwrap();
    wait("its restart", &town, || town.sessions().get("db").is_some_and(|pid| *pid != ran["db"]));
    assert_eq!(town.sessions()["worker-1"], ran["worker-1"]);

    ask(&town, &["wait", "db", "--for", "healthy", "--timeout", "10s"]).fine("@db is healthy\n");
    let before = town.sessions()["db"];
    fs::remove_file(town.root().join("well")).unwrap();
    wait("its replacement", &town, || town.sessions().get("db").is_some_and(|pid| *pid != before));
    let story = ask(&town, &["explain", "db"]).stdout;
    assert!(story.contains("its health checks fail"), "{story}");
    assert_eq!(town.sessions()["worker-1"], ran["worker-1"], "who came after it goes on");
}
