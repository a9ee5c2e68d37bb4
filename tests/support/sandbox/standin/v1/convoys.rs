//! Convoys, and the start of work: which steps are ready, and which polecat gets one.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

use serde_json::{Value, json};

use super::{
    super::super::limits,
    Outcome,
    agents::Post,
    beads::{Beads, HQ, bead},
    server::Server,
    start,
    town::{Town, now},
};

/// The names of polecats, in the order in which they are given.
const NAMES: [&str; 8] = ["furiosa", "nux", "slit", "rictus", "dementus", "capable", "toast", "dag"];

/// The ids of what a convoy tracks.
fn tracked(convoy: &Value) -> Vec<&str> {
    let all = convoy["dependencies"].as_array().map_or(&[][..], Vec::as_slice);
    let tracks = all.iter().filter(|dependency| dependency["type"] == "tracks");
    tracks.filter_map(|dependency| dependency["depends_on_id"].as_str()).collect()
}

fn open_convoys<'a>(beads: &'a Beads<'_>) -> impl Iterator<Item = &'a Value> {
    beads.of(HQ).iter().filter(|bead| bead["issue_type"] == "convoy" && bead["status"] == "open")
}

/// Whether a bead can be slung: open, or hooked by a polecat whose session is gone, and everything before it closed.
fn is_ready(town: &Town, beads: &Beads<'_>, server: &Server, id: &str) -> bool {
    let Some((rig, bead)) = beads.work(id) else { return false };
    let before = bead["dependencies"].as_array().map_or(&[][..], Vec::as_slice);
    let is_open = |dependency: &Value| {
        let id = dependency["depends_on_id"].as_str().unwrap_or_default();
        dependency["type"] == "blocks" && beads.get(rig, id).is_some_and(|bead| bead["status"] != "closed")
    };
    let is_free = match bead["status"].as_str() {
        Some("open") => true,
        Some("hooked" | "in_progress") => {
            holder(town, bead).is_none_or(|post| !server.has(&post.session(town)))
        }
        _ => false,
    };
    is_free && !before.iter().any(is_open)
}

/// The polecat that a bead is assigned to.
fn holder(town: &Town, bead: &Value) -> Option<Post> {
    let mut parts = bead["assignee"].as_str()?.split('/');
    match (parts.next()?, parts.next()?, parts.next()?) {
        (rig, "polecats", name) => Some(Post::Polecat(town.rig(rig).ok()?, name.to_owned())),
        _ => None,
    }
}

/// `gt convoy stranded --json`.
pub fn stranded(town: &Town) -> Outcome {
    let (beads, server) = (Beads::open(town)?, Server::of(town)?);
    let lines = open_convoys(&beads).map(|convoy| {
        let tracked = tracked(convoy);
        let ready: Vec<&str> =
            tracked.iter().copied().filter(|id| is_ready(town, &beads, &server, id)).collect();
        json!({"id": convoy["id"], "title": convoy["title"], "tracked_count": tracked.len(),
            "ready_count": ready.len(), "ready_issues": ready, "created_at": convoy["created_at"]})
    });
    Ok(format!("{:#}\n", Value::Array(lines.collect())))
}

/// `gt convoy check [<id>]`: closes convoys of which everything is closed.
pub fn check(town: &Town, id: Option<&str>) -> Outcome {
    let mut beads = Beads::open(town)?;
    let convoys: Vec<Value> =
        open_convoys(&beads).filter(|convoy| id.is_none_or(|id| convoy["id"] == id)).cloned().collect();
    let (mut text, mut closed) = (String::new(), 0);
    for mut convoy in convoys {
        let is_open = |id: &&&str| beads.work(id).is_none_or(|(_, bead)| bead["status"] != "closed");
        let left = tracked(&convoy).iter().filter(is_open).count();
        let (id, title) =
            (convoy["id"].as_str().unwrap_or_default(), convoy["title"].as_str().unwrap_or_default());
        if left > 0 {
            text += &format!("○ Convoy {id} has {left} open issue(s) remaining\n");
            continue;
        }
        text += &format!("✓ Auto-closed convoy 🚚 {id}: {title}\n");
        convoy["status"] = json!("closed");
        convoy["closed_at"] = json!(now());
        beads.put(HQ, convoy);
        closed += 1;
    }
    beads.save();
    if id.is_none() && closed == 0 {
        text += "No convoys ready to close.\n";
    }
    Ok(text)
}

/// `gt convoy create <title> <bead>…`.
pub fn create(town: &Town, title: &str, tracked: &[&str]) -> Outcome {
    let mut beads = Beads::open(town)?;
    let id = format!("hq-cv-{}", beads.of(HQ).len() + 1);
    beads.put(HQ, convoy(&id, title, tracked));
    beads.save();
    Ok(format!("✓ Created convoy 🚚 {id}\n  Tracking: {}\n", tracked.join(", ")))
}

fn convoy(id: &str, title: &str, tracked: &[&str]) -> Value {
    let mut made = bead(id, "convoy", title, "");
    let tracks = |it: &&str| json!({"issue_id": id, "depends_on_id": it, "type": "tracks"});
    made["dependencies"] = tracked.iter().map(tracks).collect();
    made
}

/// `gt sling <bead> <rig>`: gives the bead to a polecat, and starts it.
pub fn sling(town: &Town, id: &str, rig: &str, options: &[&str]) -> Outcome {
    let server = Server::of(town)?;
    let rig = town.rig(rig)?;
    let (post, words) = assign(town, &server, id, &rig, !options.contains(&"--no-convoy"))?;
    let Post::Polecat(_, name) = &post else { return Err(format!("{id}: no polecat")) };
    let address = format!("{rig}/polecats/{name}");
    town.event("spawn", "gt", &json!({"polecat": name, "rig": rig}));
    town.event("sling", "unknown", &json!({"bead": id, "target": address}));
    make_worktree(&post.directory(town))?;
    let session = post.session(town);
    // One that was left over, and whose heartbeat is old.
    server.kill(&session);
    start::start(town, &server, &post, Some(&format!("assigned:{id}")))?;
    Ok(format!("{words}✓ Work attached to hook (status=hooked)\nStarting session for {rig}/{name}...\n"))
}

/// Makes the polecat's worktree: here a repository of its own.
fn make_worktree(directory: &Path) -> Result<(), String> {
    if directory.join(".git").exists() {
        return Ok(());
    }
    let failed = |why: String| format!("creating worktree {}: {why}", directory.display());
    fs::create_dir_all(directory).map_err(|error| failed(error.to_string()))?;
    let mut git = Command::new("git");
    git.args(["init", "-q"]).current_dir(directory).env_remove("GIT_DIR").env_remove("GIT_WORK_TREE");
    git.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = git.spawn().map_err(|error| failed(error.to_string()))?;
    let output = limits::try_output_of(child).ok_or_else(|| failed("git does not end".to_owned()))?;
    match output.status.success() {
        true => Ok(()),
        false => Err(failed(String::from_utf8_lossy(&output.stderr).trim().to_owned())),
    }
}

/// Writes the beads of a sling: the work's, the polecat's, and, if it is wanted, a convoy for work that none tracks.
fn assign(
    town: &Town,
    server: &Server,
    id: &str,
    rig: &str,
    in_convoy: bool,
) -> Result<(Post, String), String> {
    let mut beads = Beads::open(town)?;
    let mut work = beads.get(rig, id).cloned().ok_or_else(|| format!("bead '{id}' not found"))?;
    if work["status"] == "closed" {
        return Err(format!("bead {id} is closed"));
    }
    let before = holder(town, &work);
    if let Some(post) =
        before.as_ref().filter(|post| work["status"] != "open" && server.has(&post.session(town)))
    {
        return Err(format!("bead {id} is already hooked to {}\nUse --force to re-sling", post.role()));
    }
    let name = free_name(town, server, &beads, rig)?;
    let post = Post::Polecat(rig.to_owned(), name.clone());
    let mut words = format!("Target is rig '{rig}', spawning fresh polecat...\nCreated polecat: {name}\n");
    words += &format!("🎯 Slinging {id} to {}...\n", post.role());
    if in_convoy && !open_convoys(&beads).any(|convoy| tracked(convoy).contains(&id)) {
        let made = format!("hq-cv-{}", id.replace('-', ""));
        words += &format!("→ Created convoy 🚚 {made}\n  Tracking: {id}\n");
        let title = format!("Work: {}", work["title"].as_str().unwrap_or(id));
        beads.put(HQ, convoy(&made, &title, &[id]));
    }
    work["status"] = json!("hooked");
    work["assignee"] = json!(post.role());
    beads.put(rig, work);
    let agent = agent_bead(town, rig, &name);
    let text = format!(
        "{agent}\n\nrole_type: polecat\nrig: {rig}\nagent_state: spawning\nhook_bead: {id}\ncleanup_status: null\n\
         active_mr: null\nnotification_level: null"
    );
    let mut made = bead(&agent, "task", &agent, &text);
    made["labels"] = json!(["gt:agent"]);
    beads.put(HQ, made);
    beads.save();
    Ok((post, words))
}

/// The id of a polecat's bead; the rig's name is left out where it is the prefix.
fn agent_bead(town: &Town, rig: &str, name: &str) -> String {
    match town.prefix(rig) {
        prefix if prefix == rig => format!("{prefix}-polecat-{name}"),
        prefix => format!("{prefix}-{rig}-polecat-{name}"),
    }
}

/// The first name whose polecat neither runs nor has a hook.
fn free_name(town: &Town, server: &Server, beads: &Beads<'_>, rig: &str) -> Result<String, String> {
    let is_free = |name: &&&str| {
        let post = Post::Polecat(rig.to_owned(), (**name).to_owned());
        let bead = beads.get(HQ, &agent_bead(town, rig, name));
        let text = bead.and_then(|bead| bead["description"].as_str()).unwrap_or("hook_bead: null");
        text.contains("hook_bead: null") && !server.has(&post.session(town))
    };
    NAMES
        .iter()
        .find(is_free)
        .map(|name| (*name).to_owned())
        .ok_or_else(|| "no polecat name is free".to_owned())
}
