//! What the agents of a town of one file took at their starts, kept for the next supervisor in `.supervisor/plan.json`: with it a
//! change of the file while none ran is found. Each file of a directory has its own: what one does not have is no business of another.
//!
//! Variables may be secrets, so only a hash is kept. Pure.

use std::{collections::BTreeMap, path::PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::town::{
    identity::Identity, paths::TownPaths, root::AGENTS_FILE, settings::amount::Amount, standing::Standing,
};

/// What is kept of all agents.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Kept {
    /// By agent.
    pub agents: BTreeMap<Identity, Taken>,
}

/// What one agent took at its start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Taken {
    /// The name of its session.
    pub session: String,
    /// The hash of its command, directory, variables, session and memory.
    pub taken: String,
    /// Since when the file has something else of it; `None` while it has the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub other_since: Option<Timestamp>,
}

/// Where it is kept: in `plan.json` for an `agents.toml`, in `plan.NAME.json` for a file of another name.
pub fn file(paths: &TownPaths) -> PathBuf {
    let file = paths.agents_file();
    let name = file.as_deref().and_then(|file| file.file_name()).filter(|name| *name != AGENTS_FILE);
    let mut kept = std::ffi::OsString::from("plan.");
    if let Some(name) = name {
        kept.push(name);
        kept.push(".");
    }
    kept.push("json");
    paths.supervisor_dir().join(kept)
}

/// The hash of what an agent takes at its start.
pub fn taken(standing: &Standing) -> String {
    let mut hash = Sha256::new();
    // The length of each part comes first, so that no two lists of parts are the same bytes.
    let mut add = |part: &[u8]| {
        hash.update(part.len().to_le_bytes());
        hash.update(part);
    };
    add(standing.session.as_bytes());
    add(standing.command.as_bytes());
    add(standing.dir.as_os_str().as_encoded_bytes());
    match standing.memory {
        None => add(b""),
        Some(Amount::Bytes(bytes)) => add(format!("{bytes} bytes").as_bytes()),
        Some(Amount::Percent(share)) => add(format!("{share}%").as_bytes()),
    }
    for (name, value) in &standing.env {
        add(name.as_bytes());
        add(value.as_bytes());
    }
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::town::standing::{RestartWhen, Stop, StopSignal};

    fn standing() -> Standing {
        Standing {
            session: "a".into(),
            dir: "/t".into(),
            command: "claude".into(),
            preset: Some("claude"),
            env: [("A".to_owned(), "secret-1".to_owned())].into(),
            prompt: None,
            keeps_conversation: true,
            memory: None,
            stop: Stop { signal: StopSignal::default(), grace: Duration::from_secs(5) },
            restart: RestartWhen::Always,
            after: Vec::new(),
            health: None,
        }
    }

    #[test]
    fn what_a_running_agent_took_and_nothing_else() {
        type Change = fn(&mut Standing);
        let grid: [(&str, Change, bool); 14] = [
            ("nothing", |_| {}, false),
            ("command", |it| it.command.push_str(" -p"), true),
            ("dir", |it| it.dir = "/t/a".into(), true),
            ("session", |it| it.session = "b".into(), true),
            ("memory", |it| it.memory = Some(Amount::Bytes(1)), true),
            ("memory as a share", |it| it.memory = Some(Amount::Percent(1.0)), true),
            ("a variable's value", |it| drop(it.env.insert("A".into(), "2".into())), true),
            ("a variable more", |it| drop(it.env.insert("B".into(), String::new())), true),
            ("a variable less", |it| it.env.clear(), true),
            ("where a name ends", |it| it.env = [("As".into(), "ecret-1".into())].into(), true),
            ("prompt", |it| it.prompt = Some("go".into()), false),
            ("restart", |it| it.restart = RestartWhen::No, false),
            ("grace", |it| it.stop.grace = Duration::ZERO, false),
            ("after", |it| it.after.push("@b".parse().unwrap()), false),
        ];
        for (name, change, is_other) in grid {
            let mut other = standing();
            change(&mut other);
            assert_eq!(taken(&other) != taken(&standing()), is_other, "{name}");
        }
    }

    #[test]
    fn each_file_of_a_directory_has_its_own() {
        for (file, expected) in [
            ("/t/agents.toml", "/t/.supervisor/plan.json"),
            ("/t/s.toml", "/t/.supervisor/plan.s.toml.json"),
            ("/t/plan", "/t/.supervisor/plan.plan.json"),
        ] {
            let paths = TownPaths::of_file(std::path::Path::new(file)).unwrap();
            assert_eq!(super::file(&paths), std::path::Path::new(expected), "{file}");
        }
    }

    #[test]
    fn no_value_is_on_disk() {
        let agent = Taken { session: "a".into(), taken: taken(&standing()), other_since: None };
        let kept = Kept { agents: [("@a".parse().unwrap(), agent)].into() };
        let text = serde_json::to_string(&kept).unwrap();
        assert!(!text.contains("secret") && !text.contains("claude"), "{text}");
        assert_eq!(serde_json::from_str::<Kept>(&text).unwrap(), kept);
    }
}
