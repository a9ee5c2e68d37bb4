//! The town as `gt` 1.x sees it: its rigs with their prefixes, the name of its tmux socket, and its files.

use std::{
    collections::BTreeMap,
    env, fs,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// A heartbeat of this age is one of a session that is stale for `gt`, whatever runs in it.
const STALE: Duration = Duration::from_mins(3);

/// A town of 1.x.
pub struct Town {
    root: PathBuf,
    prefixes: BTreeMap<String, String>,
}

impl Town {
    /// The town of this directory, if it is one of 1.x.
    pub fn at(root: &Path) -> Option<Town> {
        let metadata = read(&root.join(".beads/metadata.json"));
        if metadata["backend"] != "dolt" {
            return None;
        }
        let rigs = read(&root.join("mayor/rigs.json"));
        let rigs = rigs["rigs"].as_object().cloned().unwrap_or_default();
        let prefix =
            |rig: &Value| rig["beads"]["prefix"].as_str().unwrap_or("gt").trim_end_matches('-').to_owned();
        let prefixes = rigs.iter().map(|(name, rig)| (name.clone(), prefix(rig))).collect();
        Some(Town { root: root.to_owned(), prefixes })
    }

    /// Its directory.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The last component of its path.
    pub fn name(&self) -> String {
        self.root.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// A rig by its name; an error, as `gt` says it, when the town has none of that name.
    pub fn rig(&self, name: &str) -> Result<String, String> {
        let known = self.prefixes.contains_key(name).then(|| name.to_owned());
        known.ok_or_else(|| format!("rig '{name}' not found"))
    }

    /// The names of its rigs.
    pub fn rigs(&self) -> impl Iterator<Item = &str> {
        self.prefixes.keys().map(String::as_str)
    }

    /// The prefix of a rig's sessions and beads.
    pub fn prefix(&self, rig: &str) -> &str {
        self.prefixes.get(rig).map_or("gt", String::as_str)
    }

    /// The rig to which a directory belongs.
    pub fn rig_of(&self, directory: &Path) -> Option<&str> {
        let root = fs::canonicalize(&self.root).ok()?;
        let inside = directory.strip_prefix(&root).or_else(|_| directory.strip_prefix(&self.root)).ok()?;
        let first = inside.components().next()?.as_os_str().to_str()?;
        self.prefixes.get_key_value(first).map(|(name, _)| name.as_str())
    }

    /// The name of its tmux socket: `GT_TMUX_SOCKET`, else the last component of its path and six digits of a hash.
    pub fn socket_name(&self) -> String {
        match env::var("GT_TMUX_SOCKET").unwrap_or_default().as_str() {
            "" | "auto" | "default" => {}
            name => return name.to_owned(),
        }
        let lower = self.name().to_lowercase();
        let kept = lower.split(|c: char| !c.is_ascii_lowercase() && !c.is_ascii_digit() && c != '-');
        let words: Vec<&str> = kept.filter(|word| !word.is_empty()).collect();
        let base = words.join("-");
        let base = base.trim_matches('-');
        let real = fs::canonicalize(&self.root).unwrap_or_else(|_| self.root.clone());
        let hash = Sha256::digest(real.as_os_str().as_encoded_bytes());
        let base = if base.is_empty() { "default" } else { base };
        format!("{base}-{:02x}{:02x}{:02x}", hash[0], hash[1], hash[2])
    }

    /// The text of a file of the town; empty when there is none.
    pub fn text(&self, name: &str) -> String {
        fs::read_to_string(self.root.join(name)).unwrap_or_default()
    }

    /// Writes a file of the town at once.
    pub fn write(&self, name: &str, text: &str) {
        if !self.root.is_dir() {
            return; // it was removed meanwhile, and must not come back
        }
        let path = self.root.join(name);
        let half = path.with_extension(format!("{}.half", std::process::id()));
        let _ = path.parent().map_or(Ok(()), fs::create_dir_all);
        let written = fs::write(&half, text).and_then(|()| fs::rename(&half, &path));
        if let Err(error) = written {
            eprintln!("Warning: {name}: {error}");
        }
    }

    /// Removes a file of the town.
    pub fn remove(&self, name: &str) {
        let _ = fs::remove_file(self.root.join(name));
    }

    /// Appends an event under the lock that everybody takes who appends.
    pub fn event(&self, kind: &str, actor: &str, payload: &Value) {
        let lock = fs::File::create(self.root.join(".events.jsonl.lock"));
        let _locked = lock.and_then(|file| {
            rustix::fs::flock(&file, rustix::fs::FlockOperation::LockExclusive)?;
            Ok(file)
        });
        let event = json!({"ts": now(), "source": "gt", "type": kind, "actor": actor, "payload": payload,
            "visibility": "feed"});
        super::super::append(&self.root.join(".events.jsonl"), &format!("{event}\n"));
    }

    /// Writes the heartbeat file of a session.
    pub fn touch_heartbeat(&self, session: &str) {
        let beat = json!({"timestamp": jiff::Timestamp::now().to_string(), "state": "working"});
        self.write(&format!(".runtime/heartbeats/{session}.json"), &beat.to_string());
    }

    /// What every command does in the session of a polecat, crew member or dog.
    pub fn touch_own_heartbeat(&self) {
        let variable = |name: &str| env::var(name).unwrap_or_default();
        let (session, role) = (variable("GT_SESSION"), variable("GT_ROLE"));
        if !session.is_empty() && ["polecat", "crew", "dog"].iter().any(|part| role.contains(part)) {
            self.touch_heartbeat(&session);
        }
    }

    /// Whether the heartbeat file of a session exists and is old; `None` when there is none.
    pub fn is_stale(&self, session: &str) -> Option<bool> {
        let modified = fs::metadata(self.root.join(format!(".runtime/heartbeats/{session}.json"))).ok()?;
        let file = read(&self.root.join(format!(".runtime/heartbeats/{session}.json")));
        let said = file["timestamp"].as_str().and_then(|text| text.parse::<jiff::Timestamp>().ok());
        let at = said.map_or_else(|| modified.modified().ok(), |at| Some(at.into()))?;
        Some(SystemTime::now().duration_since(at).unwrap_or_default() > STALE)
    }
}

/// The time as beads have it: whole seconds.
pub fn now() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// A file of JSON; null when it is missing or unreadable.
pub fn read(path: &Path) -> Value {
    let text = fs::read(path).unwrap_or_default();
    serde_json::from_slice(&text).unwrap_or_default()
}
