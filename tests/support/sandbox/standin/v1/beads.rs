//! Beads: the file with all databases of the town, and `bd`, which reads one of them.

use std::{env, fs::File};

use rustix::fs::{FlockOperation, flock};
use serde_json::{Map, Value, json};

use super::{
    dolt,
    town::{Town, now, read},
};

const FILE: &str = "demo/beads.json";

/// The town's own database.
pub const HQ: &str = "hq";

/// All beads, locked against other commands until it is dropped.
pub struct Beads<'a> {
    town: &'a Town,
    all: Map<String, Value>,
    _lock: Option<File>,
}

impl<'a> Beads<'a> {
    /// Opens the databases; an error while Dolt is down.
    pub fn open(town: &'a Town) -> Result<Self, String> {
        if let Some(port) = dolt::port(town).filter(|port| !dolt::answers(*port)) {
            return Err(format!(
                "failed to open database: Dolt server unreachable at 127.0.0.1:{port}: dial tcp 127.0.0.1:{port}: connect: \
                 connection refused\n\nThe Dolt server may not be running. Try:\n  bd dolt start"
            ));
        }
        let lock = File::create(town.root().join("demo/beads.lock"));
        let lock = lock.and_then(|file| {
            flock(&file, FlockOperation::LockExclusive)?;
            Ok(file)
        });
        let all = read(&town.root().join(FILE)).as_object().cloned().unwrap_or_default();
        Ok(Beads { town, all, _lock: lock.ok() })
    }

    /// The beads of a database.
    pub fn of(&self, database: &str) -> &[Value] {
        self.all.get(database).and_then(Value::as_array).map_or(&[], Vec::as_slice)
    }

    /// A bead of a database.
    pub fn get(&self, database: &str, id: &str) -> Option<&Value> {
        self.of(database).iter().find(|bead| bead["id"] == id)
    }

    /// A work bead and the rig in whose database it is.
    pub fn work(&self, id: &str) -> Option<(&str, &Value)> {
        self.town.rigs().find_map(|rig| Some((rig, self.get(rig, id)?)))
    }

    /// Puts a bead into a database, in place of the one of its id.
    pub fn put(&mut self, database: &str, mut bead: Value) {
        bead["updated_at"] = json!(now());
        let beads = self.all.entry(database).or_insert_with(|| json!([]));
        let Some(beads) = beads.as_array_mut() else { return };
        match beads.iter_mut().find(|other| other["id"] == bead["id"]) {
            Some(other) => *other = bead,
            None => beads.push(bead),
        }
    }

    /// Writes everything.
    pub fn save(&self) {
        self.town.write(FILE, &format!("{:#}\n", Value::Object(self.all.clone())));
    }
}

/// A new bead.
pub fn bead(id: &str, kind: &str, title: &str, description: &str) -> Value {
    let at = now();
    json!({"id": id, "title": title, "description": description, "status": "open", "priority": 2, "issue_type": kind,
        "owner": "user@example.com", "created_at": at, "created_by": "Test User", "updated_at": at})
}

/// Runs `bd`; its errors are JSON on standard output.
pub fn bd(town: &Town, words: &[&str]) -> i32 {
    match run(town, words) {
        Ok(text) => {
            super::super::show(&text);
            0
        }
        Err(error) => {
            println!("{:#}", json!({ "error": error }));
            1
        }
    }
}

fn run(town: &Town, words: &[&str]) -> Result<String, String> {
    let here = env::current_dir().unwrap_or_default();
    let database = town.rig_of(&here).unwrap_or(HQ);
    match words {
        ["version", rest @ ..] if rest.contains(&"--json") => {
            Ok(format!("{:#}\n", json!({"branch": "main", "build": "stand-in", "version": "1.0.3"})))
        }
        ["version", ..] => Ok("bd version 1.0.3 (stand-in)\n".to_owned()),
        ["show", ids @ ..] => show(&Beads::open(town)?, database, ids),
        ["list", options @ ..] => list(&Beads::open(town)?, database, options),
        ["close", id, ..] => {
            let mut beads = Beads::open(town)?;
            let mut closed = beads.get(database, id).cloned().ok_or_else(|| not_found(id))?;
            closed["status"] = json!("closed");
            closed["closed_at"] = json!(now());
            beads.put(database, closed);
            beads.save();
            Ok(format!("✓ Closed {id}\n"))
        }
        ["mol", "wisp", "list", ..] => Ok(format!("{:#}\n", json!({"wisps": [], "count": 0}))),
        ["migrate", ..] => Ok(String::new()),
        words => Err(format!("unknown command {:?} for \"bd\"", words.first().unwrap_or(&""))),
    }
}

fn not_found(id: &str) -> String {
    format!("no issue found matching {id:?}")
}

/// `bd show`: the beads that exist; the others are named on standard error.
fn show(beads: &Beads<'_>, database: &str, words: &[&str]) -> Result<String, String> {
    let mut found = Vec::new();
    for id in words.iter().filter(|word| !word.starts_with('-')) {
        match beads.get(database, id) {
            Some(bead) => found.push(with_dependencies(beads, database, bead)),
            None => eprintln!("Error fetching {id}: {}", not_found(id)),
        }
    }
    match found.is_empty() {
        true => Err("no issues found matching the provided IDs".to_owned()),
        false => Ok(format!("{:#}\n", Value::Array(found))),
    }
}

/// The bead with its dependencies as `bd show` prints them: whole beads.
fn with_dependencies(beads: &Beads<'_>, database: &str, bead: &Value) -> Value {
    let mut bead = bead.clone();
    if let Some(dependencies) = bead["dependencies"].as_array() {
        let whole = dependencies.iter().filter_map(|dependency| {
            let mut whole = beads.get(database, dependency["depends_on_id"].as_str()?)?.clone();
            whole.as_object_mut()?.remove("dependencies");
            whole["dependency_type"] = dependency["type"].clone();
            Some(whole)
        });
        bead["dependencies"] = whole.collect();
    }
    bead
}

/// `bd list` with its filters; closed beads only if they are asked for.
fn list(beads: &Beads<'_>, database: &str, words: &[&str]) -> Result<String, String> {
    let mut wanted: Vec<(&str, String)> = Vec::new();
    let mut all = false;
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let (name, value) = word.split_once('=').map_or((*word, None), |(name, value)| (name, Some(value)));
        match name {
            "--all" => all = true,
            "--json" | "--flat" => {}
            "--limit" | "-n" | "--sort" => drop(value.or_else(|| words.next().copied())),
            "--status" | "--assignee" | "--label" | "--type" | "-s" | "-a" | "-l" | "-t" => {
                let value = value.or_else(|| words.next().copied());
                wanted
                    .push((name, value.ok_or_else(|| format!("flag needs an argument: {name}"))?.to_owned()));
            }
            _ => return Err(format!("unknown flag: {name}")),
        }
    }
    let fits = |bead: &Value| {
        wanted.iter().all(|(name, value)| match *name {
            "--status" | "-s" => value.split(',').any(|status| bead["status"] == status),
            "--assignee" | "-a" => bead["assignee"] == value.as_str(),
            "--type" | "-t" => bead["issue_type"] == value.as_str(),
            _ => bead["labels"].as_array().is_some_and(|labels| labels.iter().any(|it| it == value.as_str())),
        })
    };
    let by_status = wanted.iter().any(|(name, _)| matches!(*name, "--status" | "-s"));
    let is_listed = |bead: &&Value| (all || by_status || bead["status"] != "closed") && fits(bead);
    let found: Vec<&Value> = beads.of(database).iter().filter(is_listed).collect();
    Ok(format!("{:#}\n", json!(found)))
}
