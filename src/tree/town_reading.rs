//! Town reading: the files that say what the town consists of and how it is to be treated, read together.
//!
//! Settings, rigs and routes. What cannot be used is reported once per change, and the last good version stays in force;
//! a `rigs.json` that does not parse must never look like a town without rigs.

use std::{collections::BTreeSet, path::PathBuf, sync::Arc};

use super::rigs_plan;
use crate::{
    agent::identity::RigName,
    deps::Deps,
    rig::supervisor::RigPlan,
    town::{
        reading::{LastGood, Reading},
        rigs::{self, Rigs},
        routes::{self, Routes},
        settings::{Settings, read},
    },
};

/// What one reading gave.
#[derive(Debug)]
pub struct TownReading {
    settings: Result<Settings, String>,
    settings_notes: Option<String>,
    rigs: Reading<Rigs>,
    routes: Routes,
}

/// The last good version of everything.
#[derive(Debug)]
pub struct Town {
    rigs: LastGood<Rigs>,
    routes: Routes,
    told: BTreeSet<String>,
}

/// Reads the files.
pub async fn read_town(deps: &Deps) -> TownReading {
    let (ours, shared) = (deps.paths.supervisor_json(), deps.paths.daemon_json());
    let resolved = read::resolve(
        (&ours, deps.files.read(&ours).await),
        (&shared, deps.files.read(&shared).await),
    );
    let rigs_path = deps.paths.rigs();
    TownReading {
        settings: resolved.settings.map_err(|problem| problem.to_string()),
        settings_notes: (!resolved.notes.is_empty())
            .then(|| resolved.notes.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")),
        rigs: Reading::of(&rigs_path, deps.files.read(&rigs_path).await, rigs::parse),
        routes: routes::parse(&deps.files.read(&deps.paths.routes()).await.unwrap_or_default()),
    }
}

impl Town {
    /// Nothing read yet.
    pub fn new() -> Self {
        Town { rigs: LastGood::new(Rigs::default()), routes: Routes::default(), told: BTreeSet::new() }
    }

    /// Takes in a reading: the settings that are new, if any, and the rigs to supervise.
    pub fn update(&mut self, reading: TownReading, deps: &Deps) -> (Option<Arc<Settings>>, Vec<RigPlan>) {
        tell(deps, "settings/shared", reading.settings_notes);
        let settings = match reading.settings {
            Ok(settings) => {
                tell(deps, "settings/ours", None);
                (settings != *deps.settings()).then(|| Arc::new(settings))
            }
            Err(problem) => {
                tell(deps, "settings/ours", Some(format!("{problem}; the last good settings stay in force")));
                None
            }
        };
        self.routes = reading.routes;
        let missing = matches!(reading.rigs, Reading::Missing);
        let problem = self.rigs.update(reading.rigs).map(|it| format!("{it}; the last good list stays in force"));
        tell(deps, "rigs", problem.or_else(|| missing.then(|| "mayor/rigs.json is missing: a town without rigs".into())));
        let naming = settings.as_ref().map_or_else(|| deps.settings().tmux.naming, |new| new.tmux.naming);
        let (plans, left_out) = rigs_plan::plan(self.rigs.value(), &self.routes, naming);
        let keys: BTreeSet<String> = left_out.iter().map(|(key, _)| key.clone()).collect();
        for gone in self.told.difference(&keys) {
            deps.problems.clear(gone);
        }
        for (key, text) in left_out {
            deps.problems.report(key, text);
        }
        self.told = keys;
        (settings, plans)
    }
}

impl Default for Town {
    fn default() -> Self {
        Self::new()
    }
}

/// The directories whose files, when they change, are worth a new look.
pub fn watched(deps: &Deps, rigs: &[RigName]) -> Vec<PathBuf> {
    let root = deps.paths.root();
    let mut directories = vec![
        root.join("mayor"),
        root.join("settings"),
        root.join(".beads-wisp").join("config"),
        root.join(".runtime").join("deacon"),
    ];
    directories.extend(rigs.iter().map(|rig| deps.paths.rig(rig).join("settings")));
    directories
}

fn tell(deps: &Deps, key: &str, problem: Option<String>) {
    match problem {
        Some(text) => deps.problems.report(key, text),
        None => deps.problems.clear(key),
    };
}
