//! The tmux adapter on real tmux servers with private sockets, over a control connection and without.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    time::{Duration, Instant},
};

use gastown_supervisor::sessions::{
    Key, KeyBinding, NewSession, OUR_SESSIONS, Pane, PaneTarget, Session, Sessions, SessionsError,
    tmux::{Socket, Tmux, TmuxConfig},
};

use crate::support::{
    self, PATIENCE, Server, command, limits::LimitedCommand, process::write_program, session, until,
};

fn names(sessions: &[Session]) -> Vec<&str> {
    sessions.iter().map(|session| session.name.as_str()).collect()
}

/// A pane that records every byte typed into it, and says when it is ready.
fn recorder(server: &Server, name: &str) -> (NewSession, PathBuf) {
    let file = server.dir().join(format!("{name}.typed"));
    let ready = server.dir().join(format!("{name}.ready"));
    // Without raw mode the terminal cuts lines at 4096 bytes.
    let script = format!("stty raw -echo; touch {}; exec cat > {}", ready.display(), file.display());
    (command(name, &script), file)
}

async fn create_recorder(server: &Server, tmux: &Tmux, name: &str) -> PathBuf {
    let (new, file) = recorder(server, name);
    tmux.create(&new).await.unwrap();
    let ready = server.dir().join(format!("{name}.ready"));
    until("the recorder is ready", async || (ready.exists() && file.exists()).then_some(())).await;
    file
}

async fn typed(file: &PathBuf, length: usize) -> Vec<u8> {
    until("the text arrives", async || std::fs::read(file).ok().filter(|bytes| bytes.len() >= length)).await
}

/// About 20 KB with everything that quoting could get wrong.
fn nasty() -> String {
    let line = "say \"it's\" $HOME ${HOME} $(date) `date` ~ ~root #{pid} #(date) \\ \\n \\0 % ; { } é ❯ 🎩\ttab\u{1}\u{7f};\n";
    let mut text = "~ begins".to_owned();
    while text.len() < 20_000 {
        text.push_str(line);
    }
    text.push_str("-- %if x\n\n  end;");
    text
}

/// Control characters are not typed.
fn as_typed(text: &str) -> Vec<u8> {
    text.replace(['\u{1}', '\u{7f}'], "").into_bytes()
}

fn first_pane(session: &Session) -> PaneTarget {
    session.target(&session.panes[0])
}

async fn pane_of(tmux: &Tmux, name: &str) -> PaneTarget {
    first_pane(&tmux.find(name).await.unwrap().unwrap())
}

/// Every user can read the words that started a server, for as long as it lives.
#[tokio::test]
async fn the_words_that_started_the_server_are_no_agents_variables() {
    for control in [true, false] {
        let server = Server::new();
        let tmux = server.tmux(control);
        let mut new = session("first");
        new.environment = BTreeMap::from([("TOKEN".to_owned(), "hunter2hunter2".to_owned())]);
        tmux.create(&new).await.unwrap();
        assert_eq!(tmux.environment("first", "TOKEN").await.unwrap().as_deref(), Some("hunter2hunter2"));
        let place = tmux.place();
        let words = std::fs::read(format!("/proc/{}/cmdline", place.server.unwrap())).unwrap();
        let words = String::from_utf8_lossy(&words).into_owned();
        assert!(words.contains("start-server") && !words.contains("hunter2"), "{words:?}");
    }
}

async fn exact_names(control: bool) {
    let server = Server::new();
    let tmux = server.tmux(control);
    let long = tmux.create(&session("gt-a-b-witness")).await.unwrap();
    let short = tmux.create(&session("gt-a-witness")).await.unwrap();
    assert_eq!(names(&tmux.list().await.unwrap()), ["gt-a-b-witness", "gt-a-witness"]);
    assert_eq!(tmux.find("gt-a-witness").await.unwrap(), Some(short.clone()));
    assert_eq!((short.name.as_str(), short.panes.len()), ("gt-a-witness", 1));
    assert!(short.id.starts_with('$') && short.panes[0].id.starts_with('%') && short.panes[0].pid > 1);
    for prefix in ["gt-a", "gt-a-b", "gt-", "gt-a-witnes", "gt*", "", "$0", &long.id, "=gt-a-witness"] {
        assert_eq!(tmux.find(prefix).await.unwrap(), None, "{prefix:?}");
        tmux.kill(prefix).await.unwrap();
        let named = Session { name: prefix.to_owned(), ..short.clone() };
        let paste = tmux.paste(&first_pane(&named), "x").await;
        assert!(matches!(paste, Err(SessionsError::NoSuchPane { .. })), "{prefix:?}: {paste:?}");
        let press = tmux.press(&first_pane(&named), Key::Enter).await;
        assert!(matches!(press, Err(SessionsError::NoSuchPane { .. })), "{prefix:?}: {press:?}");
        assert!(matches!(tmux.disarm(prefix).await, Err(SessionsError::NoSuchSession(_))), "{prefix:?}");
        let set = tmux.set_options(prefix, &[("mouse", "on".into())]).await;
        assert!(matches!(set, Err(SessionsError::NoSuchSession(_))), "{prefix:?}: {set:?}");
        let read = tmux.environment(prefix, "X").await;
        assert!(matches!(read, Err(SessionsError::NoSuchSession(_))), "{prefix:?}: {read:?}");
    }
    tmux.kill("gt-a-witness").await.unwrap();
    assert_eq!(tmux.list().await.unwrap(), std::slice::from_ref(&long));
    tmux.kill("gt-a-witness").await.expect("gone already");
    assert_eq!(tmux.find("gt-a-b-witness").await.unwrap(), Some(long));
}

async fn duplicates_and_bad_names(control: bool) {
    let server = Server::new();
    let tmux = server.tmux(control);
    tmux.create(&session("gt-a")).await.unwrap();
    assert_eq!(tmux.create(&session("gt-a")).await, Err(SessionsError::Duplicate("gt-a".into())));
    for name in ["", "a.b", "a:b", "$1"] {
        assert!(matches!(tmux.create(&session(name)).await, Err(SessionsError::Failed { .. })), "{name:?}");
    }
    assert_eq!(names(&tmux.list().await.unwrap()), ["gt-a"]);
}

async fn environment_and_directory(control: bool) {
    let server = Server::new();
    let tmux = server.tmux(control);
    let directory = server.dir().join("it's #(touch hacked) #{pid} $HOME;");
    std::fs::create_dir(&directory).unwrap();
    let out = server.dir().join("out");
    let values = [("A", "1"), ("EMPTY", ""), ("ODD", "a b \"c\" 'd' $HOME ~ ; #{pid} é;")];
    let new = NewSession {
        directory: directory.clone(),
        environment: values.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect(),
        ..command("gt-env", &format!("(pwd; env) > {0}.part; mv {0}.part {0}; exec sleep 600", out.display()))
    };
    tmux.create(&new).await.unwrap();
    for (name, value) in values {
        assert_eq!(tmux.environment("gt-env", name).await.unwrap().as_deref(), Some(value), "{name}");
    }
    assert_eq!(tmux.environment("gt-env", "NOT_SET").await.unwrap(), None);
    tmux.set_environment("gt-env", "LATER", "%7 ;").await.unwrap();
    assert_eq!(tmux.environment("gt-env", "LATER").await.unwrap().as_deref(), Some("%7 ;"));
    let gone = SessionsError::NoSuchSession("gt-none".to_owned());
    assert_eq!(tmux.set_environment("gt-none", "LATER", "x").await, Err(gone));
    server.must(&["set-environment", "-r", "-t", "=gt-env:", "A"]);
    assert_eq!(tmux.environment("gt-env", "A").await.unwrap(), None, "marked for removal");
    let told = until("the pane tells", async || std::fs::read_to_string(&out).ok()).await;
    let lines: Vec<&str> = told.lines().collect();
    assert_eq!(lines[0], directory.to_str().unwrap());
    for (name, value) in values {
        assert!(lines.contains(&format!("{name}={value}").as_str()), "{name} in {told}");
    }
    assert!(!lines.iter().any(|line| line.starts_with("BD_ACTOR=")), "ours is not handed down");
}

/// tmux itself would use the home directory.
async fn nothing_runs_elsewhere_than_in_its_directory(control: bool) {
    let server = Server::new();
    let tmux = server.tmux(control);
    tmux.create(&session("gt-a")).await.unwrap();
    let (out, directory) = (server.dir().join("out"), server.dir().join("gone"));
    let new =
        NewSession { directory, ..command("gt-b", &format!("pwd > {}; exec sleep 600", out.display())) };
    tmux.create(&new).await.unwrap();
    until("its end", async || tmux.find("gt-b").await.unwrap().is_none().then_some(())).await;
    assert!(!out.exists(), "it ran in {:?}", std::fs::read_to_string(&out));
}

async fn panes_of_a_session_its_user_changed(control: bool) {
    let server = Server::new();
    let tmux = server.tmux(control);
    let made = tmux.create(&session("gt-a")).await.unwrap();
    assert_eq!(
        server.must(&["display-message", "-p", "-t", "=gt-a:", "#{window_width}x#{window_height}"]),
        "200x50"
    );
    server.must(&["split-window", "-t", "=gt-a:", "exec sleep 600"]);
    server.must(&["new-window", "-t", "=gt-a:", "exec sleep 600"]);
    server.must(&["new-window", "-t", "=gt-a:", "exec sleep 600"]);
    let found = tmux.find("gt-a").await.unwrap().unwrap();
    assert_eq!((&found.id, &found.created, found.panes.len()), (&made.id, &made.created, 4));
    assert_eq!(found.panes[0], made.panes[0]);
    assert_eq!(tmux.list().await.unwrap(), [found]);
}

async fn dead_panes_and_disarm(control: bool) {
    let server = Server::new();
    let tmux = server.tmux(control);
    tmux.create(&session("gt-a")).await.unwrap();
    server.must(&["set-option", "-w", "-t", "=gt-a:", "remain-on-exit", "on"]);
    let second = server.must(&["split-window", "-P", "-F", "#{pane_id}", "-t", "=gt-a:", "exit 3"]);
    // tmux learns of the closed terminal and of the exit status one after the other, and 3.3a can miss the second
    // when the process ends at once: then the end of the server's next child brings it.
    until("the dead pane is listed with its status", async || {
        // Not waiting for that child, whose end may be missed too.
        server.must(&["run-shell", "-b", "true"]);
        let found = tmux.find("gt-a").await.unwrap().unwrap();
        found.panes.into_iter().find(|pane| pane.id == second && pane.dead && pane.exit_status == Some(3))
    })
    .await;
    let first = tmux.find("gt-a").await.unwrap().unwrap().panes[0].clone();
    assert!(!first.dead && first.exit_status.is_none());
    for level in ["-w", "-p"] {
        server.must(&["set-hook", level, "-t", &first.id, "pane-died", "respawn-pane -k"]);
    }
    tmux.disarm("gt-a").await.unwrap();
    for level in ["-w", "-p"] {
        let hooks = server.must(&["show-hooks", level, "-t", &first.id]);
        assert!(!hooks.contains("respawn"), "{level}: {hooks}");
    }
    support::kill(first.pid);
    until("the disarmed pane goes away", async || {
        let found = tmux.find("gt-a").await.unwrap();
        (!found.is_some_and(|session| session.panes.iter().any(|pane| pane.id == first.id))).then_some(())
    })
    .await;
}

async fn dead_panes_are_removed_and_others_stay(control: bool) {
    let server = Server::new();
    let tmux = server.tmux(control);
    tmux.create(&session("gt-a")).await.unwrap();
    tmux.create(&session("gt-b")).await.unwrap();
    server.must(&["set-option", "-w", "-t", "=gt-a:", "remain-on-exit", "on"]);
    let panes = async || tmux.find("gt-a").await.unwrap().map(|it| it.panes).unwrap_or_default();
    let first = panes().await[0].clone();
    let person = server.must(&["split-window", "-P", "-F", "#{pane_id}", "-t", "=gt-a:", "exec sleep 600"]);
    support::kill(first.pid);
    let is_dead = async |id: &str| panes().await.iter().any(|pane| pane.id == id && pane.dead).then_some(());
    until("the agent's pane is dead", async || is_dead(&first.id).await).await;
    tmux.remove_dead_panes("gt-a").await.unwrap();
    let left = panes().await;
    assert_eq!((left.len(), &left[0].id, left[0].dead), (1, &person, false), "a person's stays");
    tmux.remove_dead_panes("gt-a").await.unwrap();
    assert_eq!(panes().await, left);
    support::kill(left[0].pid);
    until("the other is dead", async || is_dead(&person).await).await;
    tmux.remove_dead_panes("gt-a").await.unwrap();
    assert_eq!(tmux.find("gt-a").await.unwrap(), None, "it ends with its last pane");
    tmux.remove_dead_panes("gt-a").await.expect("gone already");
    assert_eq!(names(&tmux.list().await.unwrap()), ["gt-b"]);
}

async fn what_runs_in_the_background_outlives_us_and_shows_nowhere(control: bool) {
    let server = Server::new();
    let tmux = server.tmux(control);
    tmux.create(&session("gt-a")).await.unwrap();
    let directory = server.dir().join("it's #(touch hacked) #{pid} $HOME;");
    std::fs::create_dir(&directory).unwrap();
    let script = "echo noise; (pwd; echo $$; echo \"$ODD\") > out.part; mv out.part out; exec sleep 600";
    let odd = "a 'b' \"c\" $HOME # ;";
    let command =
        ["env".to_owned(), format!("ODD={odd}"), "sh".to_owned(), "-c".to_owned(), script.to_owned()];
    tmux.run_in_background(&directory, &command).await.unwrap();
    let told = until("it runs", async || std::fs::read_to_string(directory.join("out")).ok()).await;
    let lines: Vec<&str> = told.lines().collect();
    assert_eq!((lines[0], lines[2]), (directory.to_str().unwrap(), odd));
    // One that fails leaves nothing in anybody's pane either.
    let fails = ["sh", "-c", "touch failed; exit 3"].map(str::to_owned);
    tmux.run_in_background(&directory, &fails).await.unwrap();
    until("it has failed", async || directory.join("failed").exists().then_some(())).await;
    assert_eq!(server.must(&["display-message", "-p", "-t", "=gt-a:", "#{pane_in_mode}"]), "0");
    tmux.close().await;
    let pid: u32 = lines[1].parse().unwrap();
    let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap();
    assert_eq!(name.trim(), "sleep", "it runs on");
    support::kill(pid);
}

async fn paste_is_exact(control: bool) {
    let server = Server::new();
    let tmux = server.tmux(control);
    let file = create_recorder(&server, &tmux, "gt-typed").await;
    let text = nasty();
    let pane = pane_of(&tmux, "gt-typed").await;
    tmux.paste(&pane, &text).await.unwrap();
    let mut wanted = as_typed(&text);
    assert!(typed(&file, wanted.len()).await == wanted, "20 KB arrive as they are");
    let long = wanted.len();
    // Short ones, and what is a key rather than text.
    for (text, arrives) in [
        (";", ";"),
        ("a;", "a;"),
        ("-n", "-n"),
        ("a\0b", "ab"),
        ("c\u{3}\u{4}\r\u{1b}[A\u{9b}d", "c[Ad"),
        ("", ""),
        ("\0", ""),
        ("\\;", "\\;"),
        ("$", "$"),
    ] {
        tmux.paste(&pane, text).await.unwrap();
        wanted.extend(arrives.as_bytes());
        assert_eq!(typed(&file, wanted.len()).await[long..], wanted[long..], "{text:?}");
    }
    for key in [Key::Enter, Key::Escape, Key::Down, Key::Up] {
        tmux.press(&pane, key).await.unwrap();
    }
    wanted.extend(b"\r\x1b\x1b[B\x1b[A");
    assert_eq!(typed(&file, wanted.len()).await[long..], wanted[long..]);
    assert_eq!(server.must(&["list-buffers"]), "", "no buffer stays behind");
}

/// A session as no server ever showed it.
fn parted() -> Session {
    let pane = Pane {
        id: "%0".into(),
        window: "@0".into(),
        pid: 1,
        dead: false,
        exit_status: None,
        started_by_us: false,
    };
    let created = jiff::Timestamp::UNIX_EPOCH;
    Session { name: "gt-a".into(), id: "$0".into(), created, towns: vec![], panes: vec![pane] }
}

async fn exactly_one_pane_is_typed_into_and_read(control: bool) {
    let server = Server::new();
    let tmux = server.tmux(control);
    let agents = create_recorder(&server, &tmux, "gt-typed").await;
    let pane = pane_of(&tmux, "gt-typed").await;
    // A person works in another pane and another window of it, both in focus.
    let (new, persons) = recorder(&server, "person");
    for command in ["split-window", "new-window", "split-window"] {
        let words: Vec<&str> =
            [command, "-t", "=gt-typed:"].into_iter().chain(new.command.iter().map(String::as_str)).collect();
        server.must(&words);
    }
    until("the person's pane", async || persons.exists().then_some(())).await;
    tmux.paste(&pane, "one").await.unwrap();
    tmux.press(&pane, Key::Enter).await.unwrap();
    assert_eq!(typed(&agents, 4).await, b"one\r");
    assert_eq!(std::fs::read(&persons).unwrap(), b"");
    assert_eq!(tmux.capture(&pane, 5).await, Ok(vec![]));
    // A pane is in its session or nowhere: with another's id, or another process, it is not the intended one.
    let other = tmux.create(&session("gt-other")).await.unwrap();
    let seen = tmux.find("gt-typed").await.unwrap().unwrap();
    let elsewhere = Session { panes: other.panes.clone(), ..seen.clone() };
    let another = Pane { pid: seen.panes[0].pid + 1, ..seen.panes[0].clone() };
    let replaced = Session { panes: vec![another], ..seen.clone() };
    let gone = Session { panes: vec![Pane { id: "%99".into(), ..seen.panes[0].clone() }], ..seen };
    for (case, session) in [("elsewhere", elsewhere), ("replaced", replaced), ("gone", gone)] {
        let pane = first_pane(&session);
        let refused = |error| matches!(error, Err(SessionsError::NoSuchPane { .. }));
        assert!(refused(tmux.paste(&pane, "no").await), "{case}");
        assert!(refused(tmux.press(&pane, Key::Enter).await), "{case}");
        assert!(refused(tmux.capture(&pane, 5).await.map(drop)), "{case}");
    }
    let gone = first_pane(&Session { id: "$99".into(), ..other.clone() });
    let refused = tmux.paste(&gone, "no").await;
    assert_eq!(refused, Err(SessionsError::NoSuchSession("gt-other".into())));
    tmux.paste(&pane, "two").await.unwrap();
    assert_eq!(typed(&agents, 7).await, b"one\rtwo", "and nothing in between");
    assert_eq!(std::fs::read(&persons).unwrap(), b"");
}

async fn a_user_left_the_pane_in_copy_mode(control: bool) {
    let server = Server::new();
    let tmux = server.tmux(control);
    let file = create_recorder(&server, &tmux, "gt-typed").await;
    let pane = pane_of(&tmux, "gt-typed").await;
    let mut wanted: Vec<u8> = Vec::new();
    for (text, key, bytes) in [("one", Key::Enter, b"one\r".as_slice()), ("two", Key::Down, b"two\x1b[B")] {
        server.must(&["copy-mode", "-t", "=gt-typed:"]);
        tmux.paste(&pane, text).await.unwrap();
        server.must(&["copy-mode", "-t", "=gt-typed:"]);
        tmux.press(&pane, key).await.unwrap();
        wanted.extend(bytes);
        assert_eq!(typed(&file, wanted.len()).await, wanted);
    }
}

async fn capture_and_options(control: bool) {
    let server = Server::new();
    let tmux = server.tmux(control);
    let script = "i=0; while [ $i -lt 100 ]; do echo line $i; i=$((i+1)); done; echo '❯ ü'; echo '%end 1 2 1'; exec sleep 600";
    let pane = first_pane(&tmux.create(&command("gt-a", script)).await.unwrap());
    let screen = until("the last line shows", async || {
        let screen = tmux.capture(&pane, 5).await.unwrap();
        (screen.last().is_some_and(|line| line == "%end 1 2 1")).then_some(screen)
    })
    .await;
    assert_eq!(screen, ["line 97", "line 98", "line 99", "❯ ü", "%end 1 2 1"]);
    assert_eq!(tmux.capture(&pane, 200).await.unwrap().len(), 102);
    // What the terminal wrapped, also because its pane became narrower, is one line.
    let long = format!("● {} end", "word ".repeat(60));
    let wrapped = command("gt-long", &format!("echo '{long}'; echo '  next'; exec sleep 600"));
    let pane_of_long = first_pane(&tmux.create(&wrapped).await.unwrap());
    for width in ["200", "80", "31"] {
        server.must(&["resize-window", "-t", "=gt-long:", "-x", width]);
        let screen = until("its lines show", async || {
            let screen = tmux.capture(&pane_of_long, 40).await.unwrap();
            (screen.last().is_some_and(|line| line == "  next")).then_some(screen)
        })
        .await;
        assert_eq!(screen, [long.as_str(), "  next"], "{width} columns");
    }
    let empty = first_pane(&tmux.create(&session("gt-empty")).await.unwrap());
    assert!(tmux.capture(&empty, 5).await.unwrap().is_empty());

    server.must(&["set-option", "-g", "mouse", "off"]); // its default since 3.8 is on
    let status = "🦉 rig/witness #(gt status-line 2>/dev/null) %H:%M;";
    let options =
        [("status-left", status.to_owned()), ("status-left-length", "25".into()), ("mouse", "on".into())];
    tmux.set_options("gt-a", &options).await.unwrap();
    tmux.set_options("gt-a", &[]).await.unwrap();
    for (option, value) in options {
        assert_eq!(server.must(&["-u", "show-options", "-v", "-t", "=gt-a:", option]), value);
        assert_ne!(server.must(&["-u", "show-options", "-A", "-v", "-t", "=gt-empty:", option]), value);
    }
    let bad = tmux.set_options("gt-a", &[("no-such-option", "1".into())]).await.unwrap_err();
    assert!(bad.to_string().contains("no-such-option"), "{bad}");
}

async fn keys_can_be_bound_again(control: bool) {
    let server = Server::new();
    let tmux = server.tmux(control);
    let key = |table, key| KeyBinding {
        table,
        key,
        only_if: format!("#{{m/r:^(gt|hq){OUR_SESSIONS}"),
        then: "run-shell \"gt cycle next --session '#{session_name}'\"".into(),
    };
    let keys = [key("prefix", "n"), key("root", "MouseDown1StatusRight")];
    assert!(tmux.bind_keys(&keys).await.is_err(), "no server to bind them in");
    assert!(!server.runs());
    tmux.create(&session("gt-a")).await.unwrap();
    tmux.bind_keys(&keys).await.unwrap();
    tmux.bind_keys(&keys).await.unwrap();
    let bound = server.binding("prefix", "n");
    assert!(bound.contains("if-shell -F") && bound.ends_with("next-window"), "{bound}");
    assert!(bound.contains("gt cycle next --session '#{session_name}'"), "{bound}");
}

async fn nothing_starts_a_server_but_create(control: bool) {
    let server = Server::new();
    let limit = Duration::from_secs(60);
    let tmux = Tmux::new(TmuxConfig { command_limit: limit, ..server.config(control) });
    let began = Instant::now();
    let pane = first_pane(&parted());
    for _ in 0..2 {
        assert_eq!(tmux.list().await, Ok(vec![]));
        assert_eq!(tmux.find("gt-a").await, Ok(None));
        assert_eq!(tmux.kill("gt-a").await, Ok(()));
        let gone = SessionsError::NoSuchSession("gt-a".into());
        assert_eq!(tmux.paste(&pane, "x").await, Err(gone.clone()));
        assert_eq!(tmux.press(&pane, Key::Enter).await, Err(gone.clone()));
        assert_eq!(tmux.capture(&pane, 1).await, Err(gone.clone()));
        assert_eq!(tmux.disarm("gt-a").await, Err(gone.clone()));
        assert_eq!(tmux.environment("gt-a", "X").await, Err(gone));
        assert!(!server.socket().exists(), "not even a socket");
        // The second round: a socket that no process serves any more.
        drop(std::os::unix::net::UnixListener::bind(server.socket()));
        assert!(!server.runs());
        std::fs::rename(server.socket(), server.dir().join("t")).unwrap();
    }
    std::fs::rename(server.dir().join("t"), server.socket()).unwrap();
    assert_eq!(tmux.list().await, Ok(vec![]), "a socket that nobody serves");
    assert!(
        began.elapsed() < limit,
        "each is a short attempt, none waits out its limit: {:?}",
        began.elapsed()
    );
    assert_eq!(tmux.server_generation(), 0);
    tmux.create(&session("gt-a")).await.unwrap();
    assert_eq!((names(&tmux.list().await.unwrap()), tmux.server_generation()), (vec!["gt-a"], 1));
}

async fn a_server_killed_hard_and_everything_back(control: bool) {
    let server = Server::new();
    let tmux = server.tmux(control);
    tmux.create(&session("gt-a")).await.unwrap();
    tmux.list().await.unwrap();
    let mut changes = tmux.changes();
    changes.mark_unchanged();
    server.kill_hard();
    tokio::time::timeout(PATIENCE, changes.changed()).await.expect("the end is told").unwrap();
    // One that is asked while it dies may end in an error: unknown, not an empty town.
    until("the server counts as gone", async || tmux.list().await.ok()?.is_empty().then_some(())).await;
    assert!(!server.runs(), "looking did not start it again");
    for name in ["gt-a", "gt-b"] {
        tmux.create(&session(name)).await.unwrap();
    }
    assert_eq!(names(&tmux.list().await.unwrap()), ["gt-a", "gt-b"]);
    assert_eq!(tmux.server_generation(), 2);
}

async fn two_hundred_in_one_list(control: bool) {
    let server = Server::new();
    let tmux = server.tmux(control);
    server.must(&["new-session", "-d", "-s", "gt-0", "exec sleep 600"]);
    for chunk in (1..200).collect::<Vec<u32>>().chunks(50) {
        let names: Vec<String> = chunk.iter().map(|number| format!("gt-{number}")).collect();
        let one = |name| ["new-session", "-d", "-s", name, "exec sleep 600", ";"];
        let all: Vec<&str> = names.iter().flat_map(|name| one(name.as_str())).collect();
        server.must(&all);
    }
    let listed = tmux.list().await.unwrap();
    assert_eq!(listed.len(), 200);
    assert!(listed.is_sorted_by(|one, other| one.name < other.name));
    assert_eq!(tmux.server_generation(), 1);
}

async fn a_newline_in_the_path_of_a_town_hides_no_session_and_makes_none(control: bool) {
    let server = Server::new();
    let tmux = server.tmux(control);
    let town = "/t\u{1b}[2J\n7:1:$9:1:@9:%9:1:0:::/x:gt-forged\u{202e}";
    let environment = BTreeMap::from([("GT_ROOT".to_owned(), town.to_owned())]);
    let made = tmux.create(&NewSession { environment, ..session("gt-a") }).await.unwrap();
    assert_eq!(made.towns, [PathBuf::from(town)]);
    assert_eq!(tmux.list().await.unwrap(), [made]);
}

async fn two_of_us_at_once(control: bool) {
    let server = Server::new();
    let (one, other) = (server.tmux(control), server.tmux(control));
    one.create(&session("gt-a")).await.unwrap();
    other.create(&session("gt-b")).await.unwrap();
    assert_eq!(one.list().await.unwrap(), other.list().await.unwrap());
    one.close().await;
    other.kill("gt-a").await.unwrap();
    assert_eq!(names(&other.list().await.unwrap()), ["gt-b"]);
    other.close().await;
    assert_eq!(server.names(), ["gt-b"], "nothing of ours stays");
}

async fn many_callers_at_once(control: bool) {
    let server = Server::new();
    let tmux = server.tmux(control);
    let looks = (0..30).map(|_| tmux.find("gt-0"));
    assert!(futures::future::join_all(looks).await.into_iter().all(|found| found == Ok(None)));
    let new: Vec<_> = (0..10).map(|number| session(&format!("gt-{number}"))).collect();
    let made = futures::future::join_all(new.iter().map(|new| tmux.create(new))).await;
    assert!(made.iter().all(Result::is_ok), "{made:?}");
    assert_eq!(tmux.list().await.unwrap().len(), 10);
}

macro_rules! both_ways {
    ($($test:ident),* $(,)?) => {
        mod over_control { $( #[tokio::test] async fn $test() { super::$test(true).await } )* }
        mod by_subprocess { $( #[tokio::test] async fn $test() { super::$test(false).await } )* }
    };
}

both_ways!(
    exact_names,
    duplicates_and_bad_names,
    environment_and_directory,
    nothing_runs_elsewhere_than_in_its_directory,
    panes_of_a_session_its_user_changed,
    dead_panes_and_disarm,
    dead_panes_are_removed_and_others_stay,
    what_runs_in_the_background_outlives_us_and_shows_nowhere,
    paste_is_exact,
    exactly_one_pane_is_typed_into_and_read,
    a_user_left_the_pane_in_copy_mode,
    capture_and_options,
    keys_can_be_bound_again,
    nothing_starts_a_server_but_create,
    a_server_killed_hard_and_everything_back,
    two_hundred_in_one_list,
    a_newline_in_the_path_of_a_town_hides_no_session_and_makes_none,
    two_of_us_at_once,
    many_callers_at_once,
);

#[tokio::test]
async fn our_own_session_is_hidden_and_taken_away_by_close() {
    let server = Server::new();
    let tmux = server.tmux(true);
    tmux.create(&session("gt-a")).await.unwrap();
    assert_eq!(server.names(), ["_supervisor", "gt-a"]);
    assert_eq!(names(&tmux.list().await.unwrap()), ["gt-a"]);
    assert_eq!(tmux.find("_supervisor").await, Ok(None));
    let began = Instant::now();
    tmux.close().await;
    assert!(began.elapsed() < Duration::from_millis(200), "{:?}", began.elapsed());
    assert_eq!(server.names(), ["gt-a"]);
    assert!(tmux.list().await.is_err(), "nothing is done after good-bye");
    assert_eq!(server.names(), ["gt-a"]);
}

#[tokio::test]
async fn close_before_anything_does_nothing() {
    let server = Server::new();
    server.tmux(true).close().await;
    assert!(!server.socket().exists());
}

#[tokio::test]
async fn close_ends_an_empty_server() {
    let server = Server::new();
    let tmux = server.tmux(true);
    tmux.create(&session("gt-a")).await.unwrap();
    tmux.kill("gt-a").await.unwrap();
    assert_eq!(tmux.list().await, Ok(vec![]));
    tmux.close().await;
    until("the empty server leaves", async || (!server.runs()).then_some(())).await;
}

#[tokio::test]
async fn the_session_of_one_who_was_killed_is_used_again() {
    let server = Server::new();
    let first = server.tmux(true);
    first.create(&session("gt-a")).await.unwrap();
    let client: u32 = server.must(&["list-clients", "-F", "#{client_pid}"]).parse().unwrap();
    let id = server.must(&["display-message", "-p", "-t", "=_supervisor:", "#{session_id}"]);
    support::kill(client);
    until("the client is gone", async || server.must(&["list-clients"]).is_empty().then_some(())).await;
    drop(first);
    let second = server.tmux(true);
    assert_eq!(names(&second.list().await.unwrap()), ["gt-a"]);
    assert_eq!(server.must(&["display-message", "-p", "-t", "=_supervisor:", "#{session_id}"]), id);
    second.close().await;
    assert_eq!(server.names(), ["gt-a"]);
}

#[tokio::test]
async fn a_killed_client_is_replaced_at_the_next_call() {
    let server = Server::new();
    let tmux = server.tmux(true);
    tmux.create(&session("gt-a")).await.unwrap();
    let mut changes = tmux.changes();
    changes.mark_unchanged();
    support::kill(server.must(&["list-clients", "-F", "#{client_pid}"]).parse().unwrap());
    tokio::time::timeout(PATIENCE, changes.changed()).await.expect("told").unwrap();
    assert_eq!(names(&tmux.list().await.unwrap()), ["gt-a"]);
    assert_eq!(tmux.server_generation(), 1, "the server is the same");
    assert_eq!(server.must(&["list-clients"]).lines().count(), 1);
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn the_client_does_not_outlive_us() {
    let server = Server::new();
    let config = server.config(true);
    // A supervisor that ends without a word: its thread is gone, its pipes stay open.
    let supervisor = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let tmux = Tmux::new(config);
        runtime.block_on(tmux.create(&session("gt-a"))).unwrap();
        std::mem::forget((tmux, runtime));
    });
    until("the supervisor ends", async || supervisor.is_finished().then_some(())).await;
    until("the client is killed", async || server.must(&["list-clients"]).is_empty().then_some(())).await;
    assert_eq!(server.names(), ["_supervisor", "gt-a"], "the sessions stay");
}

#[tokio::test]
async fn dropping_it_leaves_no_client_behind() {
    let server = Server::new();
    let tmux = server.tmux(true);
    tmux.create(&session("gt-a")).await.unwrap();
    drop(tmux);
    until("the client leaves", async || server.must(&["list-clients"]).is_empty().then_some(())).await;
    assert!(server.names().contains(&"gt-a".to_owned()));
}

#[tokio::test]
async fn changes_tell_of_births_and_deaths() {
    let server = Server::new();
    let tmux = server.tmux(true);
    let made = tmux.create(&session("gt-a")).await.unwrap();
    tmux.list().await.unwrap();
    let mut changes = tmux.changes();
    let mut told = async |what: &str| {
        tokio::time::timeout(PATIENCE, changes.changed())
            .await
            .unwrap_or_else(|_| panic!("{what} was not told"))
            .unwrap();
        // What belongs to the same event may come in several notices.
        while tokio::time::timeout(Duration::from_millis(300), changes.changed()).await.is_ok() {}
    };
    server.must(&["new-session", "-d", "-s", "gt-b", "exec sleep 600"]);
    told("a session somebody else made").await;
    server.must(&["kill-session", "-t", "=gt-b:"]);
    told("a session somebody else ended").await;
    let second = server.must(&["split-window", "-P", "-F", "#{pane_pid}", "-t", "=gt-a:", "exec sleep 600"]);
    tmux.list().await.unwrap();
    support::kill(second.parse().unwrap());
    told("one of two panes, of which tmux says nothing").await;
    server.must(&["set-option", "-w", "-t", "=gt-a:", "remain-on-exit", "on"]);
    support::kill(made.panes[0].pid);
    told("a pane that stays after its process").await;
}

#[tokio::test]
async fn what_a_hook_prints_is_not_taken_for_an_answer() {
    let server = Server::new();
    let tmux = server.tmux(true);
    let pane = first_pane(&tmux.create(&session("gt-a")).await.unwrap());
    for hook in [
        "after-list-panes",
        "after-new-session",
        "after-send-keys",
        "after-display-message",
        "after-capture-pane",
        "after-show-environment",
    ] {
        server.must(&["set-hook", "-g", hook, "display-message -p hooked"]);
    }
    for number in 0..5 {
        tmux.create(&session(&format!("gt-b{number}"))).await.unwrap();
        tmux.press(&pane, Key::Enter).await.unwrap();
        assert_eq!(tmux.capture(&pane, 5).await, Ok(vec![]));
        assert_eq!(tmux.environment("gt-a", "NO").await, Ok(None));
        assert_eq!(tmux.list().await.unwrap().len(), number + 2);
    }
}

#[tokio::test]
async fn a_million_bytes_arrive() {
    let server = Server::new();
    let tmux = server.tmux(true);
    let file = create_recorder(&server, &tmux, "gt-typed").await;
    let text = nasty().repeat(50);
    tmux.paste(&pane_of(&tmux, "gt-typed").await, &text).await.unwrap();
    let wanted = as_typed(&text);
    assert!(typed(&file, wanted.len()).await == wanted);
}

#[tokio::test]
async fn a_server_that_does_not_answer_is_an_error_in_time_and_comes_back() {
    let server = Server::new();
    let tmux = Tmux::new(TmuxConfig { command_limit: Duration::from_millis(300), ..server.config(true) });
    tmux.create(&session("gt-a")).await.unwrap();
    let pid = rustix::process::Pid::from_raw(i32::try_from(server.pid()).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::STOP).unwrap();
    let began = Instant::now();
    let looks = futures::future::join_all((0..20).map(|_| tmux.list())).await;
    let again = tmux.find("gt-a").await;
    let took = began.elapsed();
    rustix::process::kill_process(pid, rustix::process::Signal::CONT).unwrap();
    for look in looks {
        assert!(
            matches!(&look, Err(SessionsError::Failed { reason, .. }) if reason.contains("did not answer")),
            "{look:?}"
        );
    }
    assert!(again.is_err() && took < Duration::from_secs(4), "{again:?} {took:?}");
    until("it is well again", async || (names(&tmux.list().await.ok()?) == ["gt-a"]).then_some(())).await;
}

/// A stand-in for the tmux program that says it has another version and otherwise is the real one.
fn other_version(server: &Server, version: &str) -> TmuxConfig {
    let program = server.dir().join("tmux");
    let script = format!(
        "#!/bin/sh\nfor a; do case $a in -C) touch \"$0.control\"; exit 9;; -V) echo '{version}'; exit;; esac; done\n\
         exec tmux \"$@\"\n"
    );
    write_program(&program, &script);
    TmuxConfig { program, ..server.config(true) }
}

/// Whether a control client of [`other_version`] was started.
fn tried_control(server: &Server) -> bool {
    server.dir().join("tmux.control").exists()
}

/// What the real one says.
fn installed() -> String {
    let said = std::process::Command::new("tmux").arg("-V").limited_output();
    String::from_utf8_lossy(&said.stdout).trim().to_owned()
}

#[tokio::test]
async fn an_older_tmux_is_used_without_control_and_without_e() {
    let server = Server::new();
    let tmux = Tmux::new(other_version(&server, "tmux 3.1c"));
    let out = server.dir().join("out");
    let odd = "a b \"c\" 'd' $HOME ~ ;";
    let new = NewSession {
        environment: BTreeMap::from([("ODD".into(), odd.into()), ("EMPTY".into(), String::new())]),
        ..command("gt-a", &format!("env > {0}.part; mv {0}.part {0}; exec sleep 600", out.display()))
    };
    let made = tmux.create(&new).await.unwrap();
    assert_eq!(tmux.list().await, Ok(vec![made]));
    assert_eq!(tmux.environment("gt-a", "ODD").await.unwrap().as_deref(), Some(odd));
    let told = until("the pane tells", async || std::fs::read_to_string(&out).ok()).await;
    assert!(told.lines().any(|line| line == format!("ODD={odd}")), "{told}");
    assert_eq!(server.names(), ["gt-a"], "no session of ours is needed");
}

#[tokio::test]
async fn when_control_fails_subprocesses_do() {
    let server = Server::new();
    let tmux = Tmux::new(other_version(&server, &installed()));
    tmux.create(&session("gt-a")).await.unwrap();
    assert_eq!(names(&tmux.list().await.unwrap()), ["gt-a"]);
    assert!(tried_control(&server));
}

/// tmux was updated while its server runs. Since 3.8 control clients do not understand servers of other versions, and are silent.
#[tokio::test]
async fn a_server_of_another_version_gets_no_control_client() {
    let server = Server::new();
    let old = server.tmux(true);
    old.create(&session("gt-a")).await.unwrap();
    old.close().await;
    let tmux = Tmux::new(other_version(&server, "tmux 3.99"));
    assert_eq!(names(&tmux.list().await.unwrap()), ["gt-a"]);
    tmux.create(&session("gt-b")).await.unwrap();
    tmux.kill("gt-a").await.unwrap();
    assert_eq!(names(&tmux.list().await.unwrap()), ["gt-b"]);
    assert!(!tried_control(&server));
    assert_eq!(server.names(), ["gt-b"], "no session of ours is needed");
}

#[tokio::test]
async fn no_tmux_or_one_too_old_is_reported_clearly() {
    let server = Server::new();
    let missing = TmuxConfig { program: "/no/such/tmux".into(), ..server.config(true) };
    for (config, wanted) in
        [(missing, "/no/such/tmux"), (other_version(&server, "tmux 2.9a"), "tmux 2.9a, which is too old")]
    {
        let tmux = Tmux::new(config);
        for told in [tmux.list().await.unwrap_err(), tmux.create(&session("gt-a")).await.unwrap_err()] {
            let SessionsError::Unavailable(text) = &told else { panic!("{told:?}") };
            assert!(text.contains(wanted) && text.contains("install tmux 3.2 or later"), "{text}");
        }
    }
}

#[tokio::test]
async fn a_socket_that_cannot_be_used_is_an_error_not_an_empty_town() {
    let server = Server::new();
    let file = server.dir().join("file");
    std::fs::write(&file, "").unwrap();
    let tmux = Tmux::new(TmuxConfig { ..TmuxConfig::new(Socket::Path(file.join("s"))) });
    assert!(matches!(tmux.list().await, Err(SessionsError::Failed { .. })));
    assert!(matches!(tmux.create(&session("gt-a")).await, Err(SessionsError::Failed { .. })));
}
