//! `gt` and `bd` of Gas Town 1.x, as gt 1.0.1 and bd 1.0.3 behaved when they were recorded (`tests/fixtures/v1`).
//!
//! A town is one of 1.x when its `.beads/metadata.json` names Dolt. Its agents run on a tmux server of its own, whose
//! socket is in `TMUX_TMPDIR`: without that variable nothing that concerns sessions is done, so that no server of the
//! machine is ever touched. Beads are in one file, `demo/beads.json`: a list for each database, named `hq` for the
//! town's and by rig for the others. `bd` answers from the database of the directory in which it runs, and routes nothing.
//!
//! What it can be told to do:
//!
//! | by | effect |
//! | --- | --- |
//! | `STANDIN_GT_START_MS`, else file `demo/gt-start-ms` | how long `gt` takes to start an agent (200) |
//! | file `demo/next-starts` | `fail 2`: the next two starts fail; `hang`: they do not end, and start nothing; `lie`: they say that they started; with a session's name at the end, only starts of that one |
//! | file `.dolt-data/config.yaml` | while nobody listens on its port, all that needs beads fails; without it Dolt is taken to be there |
//!
//! Must not use the supervisor's own code.

mod agents;
mod beads;
mod convoys;
pub mod dolt;
mod mail;
mod orders;
mod server;
mod start;
mod town;

use std::{
    env,
    path::Path,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use serde_json::json;

use self::{agents::Post, server::Server, town::Town};

/// What a command says, and on which output.
type Outcome = Result<String, String>;

/// Plays `gt` or `bd` in the town at `root`, and returns its exit code; `None` when that is no town of 1.x.
pub fn play(name: &str, root: &Path, words: &[&str]) -> Option<i32> {
    let town = Town::at(root)?;
    if name == "bd" {
        return Some(beads::bd(&town, words));
    }
    town.touch_own_heartbeat();
    Some(match gt(&town, words) {
        Ok(text) => {
            super::show(&text);
            0
        }
        Err(text) => {
            eprintln!("Error: {text}");
            1
        }
    })
}

/// Whether this is a town of 1.x.
pub fn is_town(root: &Path) -> bool {
    Town::at(root).is_some()
}

fn gt(town: &Town, words: &[&str]) -> Outcome {
    match words {
        ["version", "--short"] => Ok("1.0.1\n".to_owned()),
        ["version", ..] => Ok("gt version 1.0.1 (stand-in)\n".to_owned()),
        ["status", rest @ ..] if rest.contains(&"--json") => Ok(format!("{:#}\n", status(town)?)),
        ["deacon", "start", ..] => start::service(town, &Post::Deacon),
        ["mayor", "start", ..] => start::service(town, &Post::Mayor),
        ["boot", "spawn", ..] => start::boot(town),
        [role @ ("witness" | "refinery"), verb @ ("start" | "restart" | "stop"), rig, ..] => {
            let post = match *role {
                "witness" => Post::Witness(town.rig(rig)?),
                _ => Post::Refinery(town.rig(rig)?),
            };
            start::of_rig(town, &post, verb)
        }
        ["session", verb @ ("start" | "restart" | "stop"), address, ..] => {
            start::session(town, &Post::polecat(town, address)?, verb)
        }
        ["crew", "start", rig, names @ ..] => {
            let crew = names.iter().filter(|word| !word.starts_with('-'));
            let started = crew.map(|name| start::crew(town, &Post::Crew(town.rig(rig)?, (*name).to_owned())));
            started.collect()
        }
        ["sling", bead, rig, options @ ..] => convoys::sling(town, bead, rig, options),
        ["convoy", "create", title, tracked @ ..] => convoys::create(town, title, tracked),
        ["convoy", "stranded", ..] => convoys::stranded(town),
        ["convoy", "check", rest @ ..] => {
            convoys::check(town, rest.iter().find(|word| !word.starts_with('-')).copied())
        }
        ["mail", rest @ ..] => mail::command(town, rest),
        ["nudge-poller", session] => nudge_poller(town, session),
        ["dolt", verb, ..] => dolt::command(town, verb),
        _ => Ok(String::new()),
    }
}

/// What `gt status --json` says of the servers.
fn status(town: &Town) -> Result<serde_json::Value, String> {
    let server = Server::of(town)?;
    let sessions = server.sessions();
    let dolt = dolt::port(town);
    Ok(json!({
        "name": town.name(),
        "location": town.root(),
        "dolt": {"running": dolt.is_some_and(dolt::answers), "port": dolt},
        "tmux": {
            "socket": town.socket_name(),
            "socket_path": server.socket(),
            "running": !sessions.is_empty(),
            "session_count": sessions.len(),
        },
        "agents": [],
        "rigs": [],
    }))
}

/// Runs until the session has ended. The real one types what is queued for the agent; here nothing ever is.
fn nudge_poller(town: &Town, session: &str) -> Outcome {
    let server = Server::of(town)?;
    let pid_file = format!(".runtime/nudge_poller/{session}.pid");
    town.write(&pid_file, &std::process::id().to_string());
    let mut looked = Instant::now();
    // Whether the server lives costs nothing to find out; its sessions cost a run of tmux.
    while server.lives() {
        thread::sleep(Duration::from_millis(500));
        if looked.elapsed() > Duration::from_secs(10) {
            if !server.has(session) {
                break;
            }
            looked = Instant::now();
        }
    }
    town.remove(&pid_file);
    Ok(String::new())
}

/// Starts this program under another name, in the background.
fn in_background(name: &str, words: &[&str], town: &Town) -> std::io::Result<u32> {
    use std::os::unix::process::CommandExt;
    let mut command = Command::new(env::current_exe()?);
    command.arg0(name).args(words).current_dir(town.root()).process_group(0);
    for variable in ["GT_ROLE", "GT_SESSION", "BD_ACTOR"] {
        command.env_remove(variable);
    }
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    Ok(command.spawn()?.id())
}
