//! The stage: a town with a given number of rigs and its supervisor, the command that cargo built.

use std::{fmt::Write, fs, path::Path, time::Duration};

use anyhow::{Context, ensure};
use serde_json::{Value, json};

use crate::{
    supervisor::{Supervisor, last_words},
    town::{Generation, Town},
};

/// How long a town may take to stand.
const LIMIT: Duration = Duration::from_secs(120);

/// A town and who supervises it; the supervisor ends first.
#[derive(Debug)]
pub struct Stage {
    /// The supervisor, which runs.
    pub supervisor: Supervisor,
    /// The town.
    pub town: Town,
}

impl Stage {
    /// Builds a town and starts its supervisor; `variables` are in the environment of both and of the agents.
    pub fn set(rigs: usize, settings: Value, variables: &[(&str, &str)]) -> anyhow::Result<Stage> {
        Stage::supervise(town(rigs, settings)?, variables)
    }

    /// Starts the supervisor of a town.
    pub fn supervise(town: Town, variables: &[(&str, &str)]) -> anyhow::Result<Stage> {
        let program = Path::new(env!("CARGO_BIN_EXE_gastown-supervisor"));
        Ok(Stage { supervisor: Supervisor::start(program, &town, variables)?, town })
    }

    /// Waits until the log has this many lines with this text, and returns the time of the last.
    pub async fn says(&mut self, times: usize, what: &str) -> anyhow::Result<jiff::Timestamp> {
        self.says_since(0, times, what).await
    }

    /// The same, of the lines from a place on.
    pub async fn says_since(
        &mut self,
        mut from: usize,
        times: usize,
        what: &str,
    ) -> anyhow::Result<jiff::Timestamp> {
        let mut seen = 0;
        loop {
            let fits = |text: &str| text.contains(what);
            let line = self.supervisor.until(from, &format!("{times} times {what:?}"), LIMIT, fits).await;
            let line = line.map_err(|error| {
                anyhow::anyhow!("{error:#}\n\nThe end of the log:\n{}", last_words(self.town.root()))
            })?;
            seen += 1;
            if seen == times {
                return Ok(line.at);
            }
            let lines = self.supervisor.lines(from);
            from += lines.iter().position(|line| line.text.contains(what)).unwrap_or_default() + 1;
        }
    }

    /// Waits until this many agents have been started and have their first instruction.
    pub async fn stands(&mut self, agents: usize) -> anyhow::Result<()> {
        self.says(agents, ": started in ").await.map(drop)
    }
}

/// A town with rigs `r01`, `r02`, …, without boot and without `bd`.
pub fn town(rigs: usize, mut settings: Value) -> anyhow::Result<Town> {
    settings["commands"]["bd"] = json!("no-bd-in-this-town");
    town_with_bd(rigs, settings)
}

/// The same with the stand-in `bd`, and with git repositories for the refineries.
pub fn town_with_bd(rigs: usize, mut settings: Value) -> anyhow::Result<Town> {
    let names: Vec<String> = (1..=rigs).map(rig).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    settings["boot"] = json!({"enabled": false});
    let town = Town::build(&names, settings)?;
    for name in names {
        town.repository(&format!("{name}/refinery/rig"))?;
    }
    Ok(town)
}

/// A town of Gas Town 1.x with rigs `r01`, `r02`, …, whose names are their prefixes. `beads` are its databases (`hq`, and
/// each rig's under its name); `start` is what `gt` takes to start an agent, besides what tmux takes.
pub fn town_v1(rigs: usize, settings: Value, start: Duration, beads: &Value) -> anyhow::Result<Town> {
    let names: Vec<String> = (1..=rigs).map(rig).collect();
    let rigs: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), name.as_str())).collect();
    let town = Town::build_v1(&rigs, settings)?;
    town.write("demo/beads.json", beads)?;
    gt_takes(&town, start)?;
    Ok(town)
}

/// From now on a start by `gt` takes this long, besides what tmux takes.
pub fn gt_takes(town: &Town, start: Duration) -> anyhow::Result<()> {
    let path = town.root().join("demo/gt-start-ms");
    fs::write(&path, start.as_millis().to_string())
        .with_context(|| format!("{} cannot be written", path.display()))
}

/// A bead of 1.x, without dependencies.
pub fn bead_v1(id: &str, status: &str) -> Value {
    let at = "2026-11-28T16:10:47Z";
    json!({"id": id, "title": id, "status": status, "priority": 2, "issue_type": "task", "owner": "figures",
        "created_at": at, "updated_at": at})
}

/// How often a program has been run in a town, as the stand-ins note it: the lines that begin with `words`.
pub fn runs_noted(town: &Town, words: &str) -> anyhow::Result<usize> {
    let path = town.root().join("demo/commands.log");
    let text = fs::read_to_string(&path).with_context(|| format!("{} cannot be read", path.display()))?;
    Ok(text.lines().filter(|line| line.starts_with(words)).count())
}

/// The name of a rig, counted from 1.
pub fn rig(number: usize) -> String {
    format!("r{number:02}")
}

/// Makes further sessions with a stand-in in each, polecats by name, in a server that runs.
pub fn fill(town: &Town, polecats: impl Iterator<Item = (String, usize)>) -> anyhow::Result<()> {
    let (mut lines, mut count) = (String::new(), 0);
    let before = town.tmux().sessions().len();
    let (root, claude) = (town.root().display(), town.bin().join("claude"));
    for (rig, number) in polecats {
        let actor = format!("{rig}/polecats/p{number:02}");
        let (prefix, role) = match town.generation() {
            Generation::January => (format!("gt-{rig}"), "polecat"),
            Generation::V1 => (rig, actor.as_str()),
        };
        writeln!(
            lines,
            "new-session -d -s {prefix}-p{number:02} -e GT_ROLE={role} -e BD_ACTOR={actor} -e GT_ROOT={root} 'exec {}'",
            claude.display()
        )?;
        count += 1;
    }
    let path = town.root().join("further-sessions.conf");
    fs::write(&path, lines).with_context(|| format!("{} cannot be written", path.display()))?;
    town.tmux().run(&["source-file", &path.display().to_string()])?;
    let there = town.tmux().sessions().len() - before;
    ensure!(there == count, "of {count} further sessions only {there} are there");
    Ok(())
}
