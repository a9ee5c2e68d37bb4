//! Agents: their sessions, directories, environments and first instructions, as recorded from `gt` 1.0.1
//! (`tests/fixtures/v1/agent_start_by_gt.*`).

use std::{env, fs, path::PathBuf};

use super::{dolt, town::Town};

/// An agent's place in the town; rigs by their names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Post {
    /// The mayor.
    Mayor,
    /// The deacon.
    Deacon,
    /// Boot.
    Boot,
    /// A rig's witness.
    Witness(String),
    /// A rig's refinery.
    Refinery(String),
    /// A polecat of a rig.
    Polecat(String, String),
    /// A crew member of a rig.
    Crew(String, String),
}

impl Post {
    /// The polecat of `rig/name`.
    pub fn polecat(town: &Town, address: &str) -> Result<Post, String> {
        let (rig, name) = address.split_once('/').ok_or("address must be <rig>/<polecat>")?;
        Ok(Post::Polecat(town.rig(rig)?, name.to_owned()))
    }

    /// The name of its session.
    pub fn session(&self, town: &Town) -> String {
        match self {
            Post::Mayor => "hq-mayor".to_owned(),
            Post::Deacon => "hq-deacon".to_owned(),
            Post::Boot => "hq-boot".to_owned(),
            Post::Witness(rig) => format!("{}-witness", town.prefix(rig)),
            Post::Refinery(rig) => format!("{}-refinery", town.prefix(rig)),
            Post::Polecat(rig, name) => format!("{}-{name}", town.prefix(rig)),
            Post::Crew(rig, name) => format!("{}-crew-{name}", town.prefix(rig)),
        }
    }

    /// `GT_ROLE`: who it is, in full.
    pub fn role(&self) -> String {
        match self {
            Post::Mayor => "mayor".to_owned(),
            Post::Deacon => "deacon".to_owned(),
            Post::Boot => "deacon/boot".to_owned(),
            Post::Witness(rig) => format!("{rig}/witness"),
            Post::Refinery(rig) => format!("{rig}/refinery"),
            Post::Polecat(rig, name) => format!("{rig}/polecats/{name}"),
            Post::Crew(rig, name) => format!("{rig}/crew/{name}"),
        }
    }

    /// Its rig.
    pub fn rig(&self) -> Option<&str> {
        match self {
            Post::Mayor | Post::Deacon | Post::Boot => None,
            Post::Witness(rig) | Post::Refinery(rig) | Post::Polecat(rig, _) | Post::Crew(rig, _) => {
                Some(rig)
            }
        }
    }

    /// Where it runs.
    pub fn directory(&self, town: &Town) -> PathBuf {
        let inside = match self {
            Post::Mayor => "mayor".to_owned(),
            Post::Deacon => "deacon".to_owned(),
            Post::Boot => "deacon/dogs/boot".to_owned(),
            Post::Witness(rig) => format!("{rig}/witness"),
            Post::Refinery(rig) => format!("{rig}/refinery/rig"),
            Post::Polecat(rig, name) => format!("{rig}/polecats/{name}/{rig}"),
            Post::Crew(rig, name) => format!("{rig}/crew/{name}"),
        };
        town.root().join(inside)
    }

    /// The directory with the settings that are given to claude.
    fn settings(&self) -> Option<String> {
        Some(match self {
            Post::Mayor | Post::Deacon | Post::Boot => return None,
            Post::Witness(rig) => format!("{rig}/witness"),
            Post::Refinery(rig) => format!("{rig}/refinery"),
            Post::Polecat(rig, _) => format!("{rig}/polecats"),
            Post::Crew(rig, _) => format!("{rig}/crew"),
        })
    }

    /// Its environment.
    pub fn environment(&self, town: &Town) -> Vec<(&'static str, String)> {
        let root = town.root().display().to_string();
        let port = dolt::port(town).unwrap_or(3307).to_string();
        let mut all = vec![
            ("GT_ROLE", self.role()),
            ("GT_SESSION", self.session(town)),
            ("GT_ROOT", root.clone()),
            ("GT_AGENT", "claude".to_owned()),
            ("GT_PROCESS_NAMES", "node,claude".to_owned()),
            ("GT_SESSION_ID_ENV", "CLAUDE_SESSION_ID".to_owned()),
            ("GIT_CEILING_DIRECTORIES", root.clone()),
            ("BD_BACKUP_ENABLED", "false".to_owned()),
            ("BEADS_DOLT_AUTO_START", "0".to_owned()),
            ("BEADS_DOLT_PORT", port.clone()),
            ("GT_DOLT_PORT", port),
            ("CLAUDE_CODE_EFFORT_LEVEL", "high".to_owned()),
            ("CLAUDECODE", String::new()),
            ("NODE_OPTIONS", String::new()),
        ];
        if let Ok(id) = fs::read_to_string("/proc/sys/kernel/random/uuid") {
            all.push(("GT_RUN", id.trim().to_owned()));
        }
        all.extend(self.rig().map(|rig| ("GT_RIG", rig.to_owned())));
        let named = |actor: String, author: String| [("BD_ACTOR", actor), ("GIT_AUTHOR_NAME", author)];
        match self {
            Post::Mayor | Post::Deacon => all.extend(named(self.role(), self.role())),
            Post::Boot => {
                all.extend(named("deacon-boot".to_owned(), "boot".to_owned()));
            }
            Post::Witness(_) => {
                all.extend(named(self.role(), self.role()));
                all.push(("GT_SCOPE", "rig".to_owned()));
            }
            Post::Refinery(_) => {
                all.extend(named(self.role(), self.role()));
                all.push(("GT_REFINERY", "1".to_owned()));
            }
            Post::Polecat(rig, name) => {
                all.extend(named(self.role(), name.clone()));
                all.extend([
                    ("GT_POLECAT", name.clone()),
                    ("BEADS_AGENT_NAME", format!("{rig}/{name}")),
                    ("GT_POLECAT_PATH", self.directory(town).display().to_string()),
                    ("BD_DOLT_AUTO_COMMIT", "off".to_owned()),
                    ("POLECAT_SLOT", "0".to_owned()),
                    ("GT_TOWN_ROOT", root),
                ]);
            }
            Post::Crew(rig, name) => {
                all.extend(named(self.role(), name.clone()));
                all.extend([("GT_CREW", name.clone()), ("BEADS_AGENT_NAME", format!("{rig}/{name}"))]);
            }
        }
        all
    }

    /// The command that its pane is given, for a shell.
    pub fn command(&self, town: &Town, topic: Option<&str>) -> Result<String, String> {
        let mut words = vec!["exec".to_owned(), "env".to_owned()];
        words.extend(self.environment(town).into_iter().map(|(name, value)| format!("{name}={value}")));
        words.push(claude()?);
        words.push("--dangerously-skip-permissions".to_owned());
        if let Some(directory) = self.settings() {
            words.push("--settings".to_owned());
            words.push(town.root().join(directory).join(".claude/settings.json").display().to_string());
        }
        words.push(self.prompt(topic));
        Ok(shell_words::join(words))
    }

    /// Its first instruction.
    fn prompt(&self, topic: Option<&str>) -> String {
        let begin = "Run `gt prime --hook` and begin patrol.";
        let (recipient, sender, usual, text) = match self {
            Post::Mayor => (
                "mayor".to_owned(),
                "human",
                "cold-start",
                "Check your hook and mail, then act on the hook if present.",
            ),
            Post::Deacon => (
                "deacon".to_owned(),
                "daemon",
                "patrol",
                "I am Deacon. Start patrol: run gt deacon heartbeat, then check gt hook. If no hook, run gt sling \
                 mol-deacon-patrol deacon, then execute the hook it creates.",
            ),
            Post::Boot => ("boot".to_owned(), "daemon", "triage", "Run `gt boot triage` now."),
            Post::Witness(rig) => (format!("witness (rig: {rig})"), "deacon", "patrol", begin),
            Post::Refinery(rig) => (format!("refinery (rig: {rig})"), "deacon", "patrol", begin),
            Post::Polecat(rig, name) => (
                format!("polecat {name} (rig: {rig})"),
                "witness",
                "assigned",
                "Run `gt prime --hook` and begin work on your hook.",
            ),
            Post::Crew(rig, name) => (
                format!("crew {name} (rig: {rig})"),
                "human",
                "start",
                "Check your hook and mail, then act on the hook if present.",
            ),
        };
        let at = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M");
        format!("[GAS TOWN] {recipient} <- {sender} • {at} • {}\n\n{text}", topic.unwrap_or(usual))
    }
}

/// The path of claude, by `PATH`.
fn claude() -> Result<String, String> {
    let path = env::var_os("PATH").unwrap_or_default();
    let found = env::split_paths(&path).map(|directory| directory.join("claude")).find(|file| file.is_file());
    Ok(found.ok_or("claude: executable file not found in $PATH")?.display().to_string())
}
