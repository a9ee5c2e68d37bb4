//! Starts of agents, with all that `gt` does besides: a session of the same name on the default server is ended, one
//! whose agent is not seen is replaced, a polecat's whose heartbeat is old too.

use std::{
    fs, thread,
    time::{Duration, Instant},
};

use super::{
    Outcome,
    agents::Post,
    in_background,
    orders::{self, Order},
    server::Server,
    town::Town,
};

/// How long an agent may take to be seen.
const PATIENCE: Duration = Duration::from_secs(10);

/// `gt deacon start`, `gt mayor start`.
pub fn service(town: &Town, post: &Post) -> Outcome {
    let server = Server::of(town)?;
    let session = post.session(town);
    let (name, command) = match post {
        Post::Mayor => ("Mayor", "mayor"),
        _ => ("Deacon", "deacon"),
    };
    if !clear_away(&server, &session) {
        return Err(format!("{name} session already running. Attach with: gt {command} attach"));
    }
    start(town, &server, post, None)?;
    Ok(format!("Starting {name} session...\n✓ {name} session started. Attach with: gt {command} attach\n"))
}

/// `gt boot spawn`: a new one each time.
pub fn boot(town: &Town) -> Outcome {
    let server = Server::of(town)?;
    server.kill("hq-boot");
    start(town, &server, &Post::Boot, None)?;
    Ok("Boot spawned in session: hq-boot\n".to_owned())
}

/// `gt witness start <rig>`, `gt refinery restart <rig>` and so on.
pub fn of_rig(town: &Town, post: &Post, verb: &str) -> Outcome {
    let server = Server::of(town)?;
    let session = post.session(town);
    let rig = post.rig().unwrap_or_default();
    let (name, command) = match post {
        Post::Witness(_) => ("Witness", "witness"),
        _ => ("Refinery", "refinery"),
    };
    if verb != "start" {
        if verb == "stop" && !server.has(&session) {
            return Err(format!("{command} is not running"));
        }
        server.kill(&session);
        if verb == "stop" {
            return Ok(format!("✓ {name} stopped for {rig}\n"));
        }
    } else if !clear_away(&server, &session) {
        return Ok(format!(
            "Starting {command} for {rig}...\n⚠ {name} is already running\n  Use 'gt {command} attach' to connect\n"
        ));
    }
    start(town, &server, post, None)?;
    let _ = in_background("gt", &["nudge-poller", &session], town);
    let (doing, done) = if verb == "start" { ("Starting", "started") } else { ("Restarting", "restarted") };
    Ok(format!("{doing} {command} for {rig}...\n✓ {name} {done} for {rig}\n"))
}

/// `gt session start <rig>/<polecat>`, `restart`, `stop`.
pub fn session(town: &Town, post: &Post, verb: &str) -> Outcome {
    let server = Server::of(town)?;
    let name = post.session(town);
    let address = address(post);
    if !post.directory(town).exists() {
        return Err(format!("polecat '{address}' not found"));
    }
    match verb {
        "stop" => {
            if !server.has(&name) {
                return Err(format!("stopping session: session not found: {name}"));
            }
            let _ = server.run(&["send-keys", "-t", &format!("={name}:"), "C-c"]);
            // As long as the real one takes.
            thread::sleep(Duration::from_millis(250));
            server.kill(&name);
            return Ok(format!("Stopping session for {address}...\n✓ Session stopped.\n"));
        }
        "restart" => server.kill(&name),
        _ => refuse_running(town, &server, &name)?,
    }
    start(town, &server, post, None)?;
    let done = if verb == "restart" { "restarted" } else { "started" };
    Ok(format!("Starting session for {address}...\n✓ Session {done}. Attach with: gt session at {address}\n"))
}

/// `gt crew start <rig> <name>`.
pub fn crew(town: &Town, post: &Post) -> Outcome {
    let server = Server::of(town)?;
    let address = address(post);
    if !clear_away(&server, &post.session(town)) {
        return Ok(format!("⚠ {address} is already running\n"));
    }
    start(town, &server, post, None)?;
    Ok(format!("✓ Started crew workspace: {address}\n"))
}

/// `rig/name`.
fn address(post: &Post) -> String {
    match post {
        Post::Polecat(rig, name) | Post::Crew(rig, name) => format!("{rig}/{name}"),
        post => post.role(),
    }
}

/// An error if a polecat's session runs: if its heartbeat is fresh, or it has none and its agent is seen. Any other
/// session of that name is ended.
fn refuse_running(town: &Town, server: &Server, session: &str) -> Result<(), String> {
    if !server.has(session) {
        return Ok(());
    }
    let runs = match town.is_stale(session) {
        Some(stale) => !stale,
        None => server.has_agent(session),
    };
    if runs {
        return Err(format!("starting session: session already running: {session}"));
    }
    server.kill(session);
    Ok(())
}

/// Ends a session whose agent is not seen; false when it is, and the session stays.
fn clear_away(server: &Server, session: &str) -> bool {
    if !server.has(session) {
        return true;
    }
    if server.has_agent(session) {
        return false;
    }
    server.kill(session);
    true
}

/// Starts an agent, whose session must not exist, and returns when it is seen.
pub fn start(town: &Town, server: &Server, post: &Post, topic: Option<&str>) -> Result<(), String> {
    let session = post.session(town);
    if orders::next(town, &session)? == Order::Lie {
        return Ok(());
    }
    let takes = orders::takes(town);
    thread::sleep(takes / 2);
    server.kill_on_default(&session);
    if matches!(post, Post::Polecat(..) | Post::Crew(..)) {
        town.touch_heartbeat(&session);
    }
    create(town, server, post, topic)?;
    let deadline = Instant::now() + PATIENCE;
    while !server.has_agent(&session) {
        if Instant::now() > deadline {
            server.kill(&session);
            return Err(format!("waiting for {} to start: timeout", post.role()));
        }
        thread::sleep(Duration::from_millis(20));
    }
    note_process(town, server, &session);
    thread::sleep(takes / 2);
    Ok(())
}

/// Makes the session in two steps: first with a shell, which then gives way to the agent.
fn create(town: &Town, server: &Server, post: &Post, topic: Option<&str>) -> Result<(), String> {
    let session = post.session(town);
    let target = format!("={session}:");
    let directory = post.directory(town);
    fs::create_dir_all(&directory).map_err(|error| format!("{}: {error}", directory.display()))?;
    let directory = directory.display().to_string();
    let variables: Vec<String> =
        post.environment(town).into_iter().map(|(name, value)| format!("{name}={value}")).collect();
    let mut words = vec!["new-session", "-d", "-s", &session, "-c", &directory, "-P", "-F", "#{pane_id}"];
    variables.iter().for_each(|variable| words.extend(["-e", variable]));
    let pane = server.make(&words).map_err(|error| format!("creating session: {error}"))?;
    server.run(&["set-option", "-w", "-t", &target, "remain-on-exit", "on"])?;
    let command = post.command(town, topic)?;
    server.run(&["respawn-pane", "-k", "-c", &directory, "-t", &target, &command])?;
    // One that dies at once is noticed.
    for wait in [50, 200] {
        thread::sleep(Duration::from_millis(wait));
        let dead = server.run(&["display-message", "-p", "-t", &pane, "#{pane_dead} #{pane_dead_status}"])?;
        if let Some(status) = dead.strip_prefix("1 ") {
            server.kill(&session);
            return Err(format!("creating session: session {session:?} died during startup (exit {status})"));
        }
    }
    server.run(&["set-option", "-w", "-t", &target, "remain-on-exit", "off"])?;
    server.run(&["set-environment", "-t", &format!("={session}"), "GT_PANE_ID", &pane])?;
    match post {
        Post::Deacon | Post::Mayor => respawn_when_dead(server, &session),
        _ => Ok(()),
    }
}

/// The hook that gives a dead pane a new agent after three seconds.
fn respawn_when_dead(server: &Server, session: &str) -> Result<(), String> {
    let target = format!("={session}:");
    let tmux = format!("tmux -S {}", shell_words::quote(&server.socket().display().to_string()));
    let hook = format!(
        "run-shell -b \"sleep 3 && {tmux} list-panes -t '{target}' -F '##{{pane_dead}}' | grep -q 1 && {tmux} respawn-pane -k \
         -t '{target}' && {tmux} set-option -w -t '{target}' remain-on-exit on || true\""
    );
    server.run(&["set-option", "-w", "-t", &target, "remain-on-exit", "on"])?;
    server.run(&["set-hook", "-w", "-t", &target, "pane-died", &hook]).map(drop)
}

/// The file by which `gt down --all` finds a process whose session is gone.
fn note_process(town: &Town, server: &Server, session: &str) {
    if let Ok(pid) = server.run(&["display-message", "-p", "-t", &format!("={session}:"), "#{pane_pid}"]) {
        let at = jiff::Timestamp::now().strftime("%a %b %e %H:%M:%S %Y");
        town.write(&format!(".runtime/pids/{session}.pid"), &format!("{pid}|{at}\n"));
    }
}
