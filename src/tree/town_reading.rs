//! Town reading: reads the files that say what the town consists of and how it is configured.
//!
//! It reads settings, rigs and routes. What cannot be used is reported once per change, and the last good version
//! stays in force; a `rigs.json` that does not parse must never look like a town without rigs.

use std::{collections::BTreeSet, io, path::PathBuf, sync::Arc};

use serde::{Deserialize, Serialize};

use super::rigs_plan;
use crate::{
    deps::Deps,
    town::{
        dialect::Dialect,
        files::Files,
        identity::{RigName, Role},
        paths::TownPaths,
        reading::{FileProblem, LastGood, Reading},
        rig_plan::RigPlan,
        rigs::{self, Rigs},
        routes::{self, Routes},
        settings::{Settings, Tmux, read, read::Sources},
    },
};

/// Up to this many left-out rigs are a problem each; the others are one problem together.
const LEFT_OUT: usize = 20;

/// The result of one reading.
#[derive(Debug)]
pub struct TownReading {
    settings: SettingsReading,
    rigs: Reading<Rigs>,
    /// `None` when the file could not be read.
    routes: Option<Routes>,
}

/// The two settings files, as read from the disk.
#[derive(Debug)]
pub struct SettingsReading {
    ours: (PathBuf, io::Result<Vec<u8>>),
    shared: (PathBuf, io::Result<Vec<u8>>),
}

/// Which reading of the settings is in force, and which parts of it are not.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SettingsState {
    /// The number of the reading that started last. A reading starts when the previous one has ended.
    pub begun: u64,
    /// The number of the last reading that ended, whether or not it could be used. The other fields are its result.
    pub generation: u64,
    /// Why the last good settings stay in force instead.
    pub refused: Option<String>,
    /// What is wrong with the file that is shared with `gt`; the rest of it is in force.
    pub shared: Option<String>,
    /// What takes effect at the next start.
    pub next_start: Option<String>,
}

/// The last good version of everything.
#[derive(Debug)]
pub struct Town {
    state: SettingsState,
    /// `mayor/daemon.json` as last read when it was valid JSON.
    shared: Option<Vec<u8>>,
    rigs: LastGood<Rigs>,
    routes: Routes,
    told: BTreeSet<String>,
    /// Whether there may be rigs that are not in the list.
    incomplete: bool,
}

/// Reads the files.
pub async fn read_town(deps: &Deps) -> TownReading {
    let rigs_path = deps.paths.rigs();
    TownReading {
        settings: read_settings(&*deps.files, &deps.paths).await,
        rigs: Reading::of(deps.paths.shown(&rigs_path), deps.files.read(&rigs_path).await, rigs::parse),
        routes: match deps.files.read(&deps.paths.routes()).await {
            Ok(bytes) => Some(routes::parse(&bytes)),
            Err(error) => (error.kind() == io::ErrorKind::NotFound).then(Routes::default),
        },
    }
}

/// Reads the settings files only.
pub async fn read_settings(files: &dyn Files, paths: &TownPaths) -> SettingsReading {
    let (ours, shared) = (paths.supervisor_json(), paths.daemon_json());
    SettingsReading {
        ours: (paths.shown(&ours).to_owned(), files.read(&ours).await),
        shared: (paths.shown(&shared).to_owned(), files.read(&shared).await),
    }
}

impl SettingsReading {
    /// The settings in these files in a town of this dialect, and what is wrong with the shared one. `good` is the shared
    /// file's last valid content; it replaces a file that is not valid JSON, and is updated.
    pub fn resolve(
        &self,
        dialect: Dialect,
        good: &mut Option<Vec<u8>>,
    ) -> (Result<Settings, String>, Option<String>) {
        let mut notes = Vec::new();
        let (shared_path, shared) = &self.shared;
        match shared {
            Ok(bytes) if serde_json::from_slice::<serde::de::IgnoredAny>(bytes).is_ok() => {
                *good = Some(bytes.clone());
            }
            Ok(bytes) => {
                // Read only for its problems: with it, every key would fall back to the default.
                if let Ok(resolved) =
                    read::resolve(dialect, Sources { ours: None, shared: Some((shared_path, bytes)) })
                {
                    notes.extend(resolved.problems);
                }
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => *good = None,
            Err(error) => notes.push(FileProblem::unreadable(shared_path, error)),
        }
        let (ours_path, ours) = &self.ours;
        let ours = match ours {
            Ok(bytes) => Some(bytes),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => {
                return (Err(FileProblem::unreadable(ours_path, error).to_string()), text(&notes));
            }
        };
        let resolved = read::resolve(
            dialect,
            Sources {
                ours: ours.map(|bytes| (ours_path.as_path(), bytes.as_slice())),
                shared: good.as_deref().map(|bytes| (shared_path.as_path(), bytes)),
            },
        );
        let settings = resolved.map(|resolved| {
            notes.extend(resolved.problems);
            resolved.settings
        });
        (settings.map_err(|error| error.to_string()), text(&notes))
    }
}

fn text(problems: &[FileProblem]) -> Option<String> {
    (!problems.is_empty()).then(|| problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))
}

impl Town {
    /// The state before the first reading.
    pub fn new() -> Self {
        Town {
            state: SettingsState::default(),
            shared: None,
            rigs: LastGood::new(Rigs::default()),
            routes: Routes::default(),
            told: BTreeSet::new(),
            incomplete: true,
        }
    }

    /// Records that a reading starts.
    pub fn begin(&mut self) {
        self.state.begun += 1;
    }

    /// Which settings are in force.
    pub fn settings_state(&self) -> &SettingsState {
        &self.state
    }

    /// Whether there may be rigs that are not in the list: it was not read, had errors, or some rigs were left out.
    pub fn may_have_more_rigs(&self) -> bool {
        self.incomplete
    }

    /// Applies the last reading: returns the settings, if they changed, and the rigs to supervise.
    pub fn update(&mut self, reading: TownReading, deps: &Deps) -> (Option<Arc<Settings>>, Vec<RigPlan>) {
        let (settings, notes) = reading.settings.resolve(deps.dialect(), &mut self.shared);
        self.state = SettingsState {
            begun: self.state.begun,
            generation: self.state.begun,
            refused: settings
                .as_ref()
                .err()
                .map(|why| format!("{why}; the last good settings stay in force")),
            shared: notes,
            next_start: None,
        };
        let settings = settings.ok().and_then(|settings| {
            let (settings, next_start) = changed(settings, deps);
            self.state.next_start = next_start;
            settings
        });
        tell(deps, "settings/shared", self.state.shared.clone());
        tell(deps, "settings/ours", self.state.refused.clone());
        tell(deps, "settings/next_start", self.state.next_start.clone());
        if let Some(routes) = reading.routes {
            deps.follow(&routes);
            self.routes = routes;
        }
        let missing = matches!(reading.rigs, Reading::Missing);
        let problem =
            self.rigs.update(reading.rigs).map(|it| format!("{it}; the last good list stays in force"));
        let problem =
            problem.or_else(|| missing.then(|| "mayor/rigs.json is missing: a town without rigs".into()));
        let is_doubtful = problem.is_some();
        tell(deps, "rigs", problem);
        let naming = settings.as_ref().map_or_else(|| deps.settings().tmux.naming, |new| new.tmux.naming);
        let (plans, mut left_out) = rigs_plan::plan(self.rigs.value(), &self.routes, naming, deps.dialect());
        self.incomplete = is_doubtful || !left_out.is_empty();
        // The number of rigs is not ours to limit.
        let more: Vec<String> =
            left_out.split_off(left_out.len().min(LEFT_OUT)).into_iter().map(|(_, text)| text).collect();
        deps.problems.report_all("rigs/more", &more);
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

/// The settings to put in force, if they differ from the current ones. The dialect, the tmux server and the naming of
/// sessions stay for the life of the process: otherwise half of the agents would be searched for in another place. A
/// change of them is reported.
fn changed(mut settings: Settings, deps: &Deps) -> (Option<Arc<Settings>>, Option<String>) {
    let in_force = deps.settings();
    let read = (settings.gas_town.clone(), settings.tmux.clone(), settings.commands.tmux.clone());
    settings.gas_town.clone_from(&in_force.gas_town);
    settings.tmux = Tmux { sweep: settings.tmux.sweep, ..in_force.tmux.clone() };
    settings.commands.tmux.clone_from(&in_force.commands.tmux);
    let kept = (settings.gas_town.clone(), settings.tmux.clone(), settings.commands.tmux.clone()) != read;
    let note = "gas_town.dialect, tmux.socket_name, tmux.socket_path, tmux.naming and commands.tmux take effect at the \
                next start";
    ((settings != *in_force).then(|| Arc::new(settings)), kept.then(|| note.to_owned()))
}

impl Default for Town {
    fn default() -> Self {
        Self::new()
    }
}

/// The directories whose files lead to a new reading when they change.
pub async fn watched(deps: &Deps, rigs: &[RigName]) -> Vec<PathBuf> {
    let root = deps.paths.root();
    let mut directories = vec![
        root.to_owned(),
        root.join("mayor"),
        root.join("settings"),
        root.join(".beads-wisp").join("config"),
        root.join(".runtime").join("deacon"),
    ];
    if deps.dialect().facts().starts_on_events {
        let channels = Role::ALL.iter().filter_map(|role| role.facts().started_on);
        directories.extend(channels.map(|channel| deps.paths.event_channel(channel)));
    }
    directories.extend(deps.database_directories().await);
    directories.extend(rigs.iter().map(|rig| deps.paths.rig(rig).join("settings")));
    directories
}

fn tell(deps: &Deps, key: &str, problem: Option<String>) {
    match problem {
        Some(text) => deps.problems.report(key, text),
        None => deps.problems.clear(key),
    };
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn reading(ours: Option<&str>, shared: Option<&str>) -> SettingsReading {
        let read = |content: Option<&str>| {
            content.map(|text| text.as_bytes().to_vec()).ok_or_else(|| io::ErrorKind::NotFound.into())
        };
        SettingsReading {
            ours: ("settings/supervisor.json".into(), read(ours)),
            shared: ("mayor/daemon.json".into(), read(shared)),
        }
    }

    fn interval(settings: &Result<Settings, String>) -> Option<u64> {
        settings.as_ref().ok().map(|settings| settings.heartbeat.interval.as_secs())
    }

    #[test]
    fn the_shared_file_breaks_and_heals() {
        let mut good = None;
        for (name, shared, expected, told) in [
            ("missing", None, 180, false),
            ("good", Some(r#"{"heartbeat":{"interval":"60s"}}"#), 60, false),
            ("half-written keeps the last good one", Some(r#"{"heartbeat":{"inter"#), 60, true),
            ("a bad value falls back alone", Some(r#"{"heartbeat":{"interval":"soon"}}"#), 180, true),
            ("good again", Some(r#"{"heartbeat":{"interval":"90s"}}"#), 90, false),
            ("removed", None, 180, false),
        ] {
            let (settings, notes) = reading(None, shared).resolve(Dialect::January, &mut good);
            assert_eq!(interval(&settings), Some(expected), "{name}");
            assert_eq!(notes.is_some(), told, "{name}: {notes:?}");
        }
    }

    #[test]
    fn our_file_beats_the_shared_one_and_its_mistakes_are_errors() {
        let shared = Some(r#"{"heartbeat":{"interval":"60s"}}"#);
        let (settings, _) =
            reading(Some(r#"{"heartbeat":{"interval":"7s"}}"#), shared).resolve(Dialect::January, &mut None);
        assert_eq!(settings.unwrap().heartbeat.interval, Duration::from_secs(7));
        let (settings, _) = reading(Some("{\n \"hart\": 1}"), shared).resolve(Dialect::January, &mut None);
        let problem = settings.unwrap_err();
        assert!(problem.contains("settings/supervisor.json:2:2") && problem.contains("hart"), "{problem}");
    }

    #[test]
    fn a_file_that_cannot_be_read_is_no_missing_file() {
        let denied = || Err(io::ErrorKind::PermissionDenied.into());
        let mut good = Some(br#"{"heartbeat":{"interval":"60s"}}"#.to_vec());
        let both = SettingsReading { shared: ("mayor/daemon.json".into(), denied()), ..reading(None, None) };
        let (settings, notes) = both.resolve(Dialect::January, &mut good);
        assert_eq!((interval(&settings), notes.is_some()), (Some(60), true));
        let ours =
            SettingsReading { ours: ("settings/supervisor.json".into(), denied()), ..reading(None, None) };
        assert!(ours.resolve(Dialect::January, &mut None).0.is_err());
    }
}
