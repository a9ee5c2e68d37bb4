//! Town reading: reads the files that say what the town consists of and how it is configured.
//!
//! It reads settings, rigs and routes. What cannot be used is reported once per change, and the last good version
//! stays in force; a `rigs.json` that does not parse must never look like a town without rigs.

use std::{collections::BTreeSet, io, path::PathBuf, sync::Arc};

use serde::{Deserialize, Serialize};

use super::rigs_plan;
use crate::{
    deps::Deps,
    ports::{dolt, problems::ProblemKey},
    town::{
        dialect::Dialect,
        files::Files,
        identity::{RigName, Role},
        paths::TownPaths,
        reading::{FileProblem, LastGood, Reading},
        rig_plan::RigPlan,
        rigs::{self, Rigs},
        routes::{self, Routes},
        settings::{
            Settings, Tmux,
            read::{self, Resolved, SettingsError, Source, Sources},
        },
    },
};

/// What holds while a shared file is no JSON, and was before.
const LAST_SETTINGS: &str = "correct it; until then its last good settings stay in force";
/// The same of the file that also names the agents' programs, which are read at each start.
const LAST_OF_TOWN: &str = "correct it; until then its last good settings stay in force, and agents start with their default programs";

/// Up to this many left-out rigs are a problem each; the others are one problem together.
const LEFT_OUT: usize = 20;

/// The result of one reading.
#[derive(Debug)]
pub struct TownReading {
    settings: SettingsReading,
    rigs: Reading<Rigs>,
    /// Whether those are of Gas Town's copy, because `mayor/rigs.json` is missing.
    is_copy: bool,
    /// `None` when the file could not be read.
    routes: Option<Routes>,
    /// `.dolt-data/config.yaml`, in a town that has Dolt.
    dolt: Option<io::Result<Vec<u8>>>,
}

/// The settings files, as read from the disk.
#[derive(Debug)]
pub struct SettingsReading {
    ours: (PathBuf, io::Result<Vec<u8>>),
    shared: (PathBuf, io::Result<Vec<u8>>),
    /// `settings/config.json`; `None` where it has none of our settings.
    town: Option<(PathBuf, io::Result<Vec<u8>>)>,
}

/// What the shared files contained when they were last valid JSON.
#[derive(Debug, Clone, Default)]
pub struct LastValid {
    /// `mayor/daemon.json`.
    shared: Option<Vec<u8>>,
    /// `settings/config.json`.
    town: Option<Vec<u8>>,
}

/// Which reading of the settings is in force, and which parts of it are not.
#[cfg_attr(feature = "test-support", derive(schemars::JsonSchema))]
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
    /// The shared settings files as last read when they were valid JSON.
    shared: LastValid,
    rigs: LastGood<Rigs>,
    routes: Routes,
    told: BTreeSet<String>,
    /// Whether there may be rigs that are not in the list.
    incomplete: bool,
}

/// Reads the files.
pub async fn read_town(deps: &Deps) -> TownReading {
    let settings = read_settings(&*deps.files, &deps.paths).await;
    let settings = match deps.dialect().facts().has_daemon_keys_in_town_settings {
        true => settings.and_of_the_town(&*deps.files, &deps.paths).await,
        false => settings,
    };
    let (rigs, is_copy) = read_rigs(&*deps.files, &deps.paths, deps.dialect()).await;
    TownReading {
        settings,
        rigs,
        is_copy,
        routes: match deps.files.read(&deps.paths.routes()).await {
            Ok(bytes) => Some(routes::parse(&bytes)),
            Err(error) => (error.kind() == io::ErrorKind::NotFound).then(Routes::default),
        },
        dolt: match deps.dialect().facts().has_dolt {
            true => Some(dolt::read_config(&*deps.files, &deps.paths).await),
            false => None,
        },
    }
}

/// Reads the list of rigs: from `mayor/rigs.json`, or from Gas Town's copy when that is missing. The second value says
/// whether it is the copy.
async fn read_rigs(files: &dyn Files, paths: &TownPaths, dialect: Dialect) -> (Reading<Rigs>, bool) {
    let read = async |path: PathBuf| Reading::of(paths.shown(&path), files.read(&path).await, rigs::parse);
    let own = read(paths.rigs()).await;
    if !matches!(own, Reading::Missing) || !dialect.facts().has_rigs_copy {
        return (own, false);
    }
    let copy = read(paths.rigs_copy()).await;
    let is_there = !matches!(copy, Reading::Missing);
    (copy, is_there)
}

/// Reads the settings files that every town may have.
pub async fn read_settings(files: &dyn Files, paths: &TownPaths) -> SettingsReading {
    let (ours, shared) = (paths.supervisor_json(), paths.daemon_json());
    SettingsReading {
        ours: (paths.shown(&ours).to_owned(), files.read(&ours).await),
        shared: (paths.shown(&shared).to_owned(), files.read(&shared).await),
        town: None,
    }
}

impl SettingsReading {
    /// With `settings/config.json`, which counts in a 1.x town.
    pub async fn and_of_the_town(self, files: &dyn Files, paths: &TownPaths) -> Self {
        let town = paths.town_settings();
        let read = files.read(&town).await;
        SettingsReading { town: Some((paths.shown(&town).to_owned(), read)), ..self }
    }

    /// The settings in these files in a town of this dialect, and what is wrong with the shared ones. `good` is the last
    /// valid content of those; it replaces a file that is not valid JSON, and is updated.
    pub fn resolve(
        &self,
        dialect: Dialect,
        good: &mut LastValid,
    ) -> (Result<Settings, String>, Option<String>) {
        let mut notes = Vec::new();
        let alone = |sources: Sources<'_>| read::resolve(dialect, sources);
        notes.extend(last_valid(&self.shared, &mut good.shared, LAST_SETTINGS, |file| {
            alone(Sources { shared: Some(file), ..Sources::default() })
        }));
        if let Some(town) = &self.town {
            notes.extend(last_valid(town, &mut good.town, LAST_OF_TOWN, |file| {
                alone(Sources { town: Some(file), ..Sources::default() })
            }));
        }
        let broken: BTreeSet<PathBuf> = notes.iter().map(|note| note.path.clone()).collect();
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
                shared: good.shared.as_deref().map(|bytes| (self.shared.0.as_path(), bytes)),
                town: self.town.as_ref().and_then(|(path, _)| Some((path.as_path(), good.town.as_deref()?))),
            },
        );
        let settings = resolved.map(|resolved| {
            // Those of the last valid content of a file that is broken now are not what is wrong with it.
            notes.extend(resolved.problems.into_iter().filter(|it| !broken.contains(&it.path)));
            resolved.settings
        });
        (settings.map_err(|error| error.to_string()), text(&notes))
    }
}

/// Updates the last valid content of a shared file. Returns what is wrong when the file cannot be read, or is not JSON: it is
/// read only for its problems then, as every key would fall back to the default. `kept` says what holds meanwhile, if there was
/// a valid content.
fn last_valid(
    (path, read): &(PathBuf, io::Result<Vec<u8>>),
    good: &mut Option<Vec<u8>>,
    kept: &'static str,
    problems: impl FnOnce(Source<'_>) -> Result<Resolved, SettingsError>,
) -> Vec<FileProblem> {
    match read {
        Ok(bytes) if serde_json::from_slice::<serde::de::IgnoredAny>(bytes).is_ok() => {
            *good = Some(bytes.clone());
            Vec::new()
        }
        Ok(bytes) => {
            let problems = problems((path, bytes)).map_or_else(|_| Vec::new(), |resolved| resolved.problems);
            match good {
                Some(_) => problems.into_iter().map(|problem| problem.advise(kept)).collect(),
                None => problems,
            }
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            *good = None;
            Vec::new()
        }
        Err(error) => vec![FileProblem::unreadable(path, error)],
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
            shared: LastValid::default(),
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

    /// Notes what became of the last reading of a town that is one file: why it is not in force, and what of it is not yet.
    pub fn file_is_read(&mut self, deps: &Deps, refused: Option<String>, next_start: Option<String>) {
        let begun = self.state.begun;
        self.state = SettingsState { begun, generation: begun, refused, shared: None, next_start };
        // A problem is one line.
        let problem = self.state.refused.as_ref().map(|mistakes| mistakes.replace('\n', "; "));
        tell(deps, ProblemKey::named("agents_file").critical(), problem);
        tell(deps, "agents_file/next_start", self.state.next_start.clone());
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
        if let Some(config) = &reading.dolt {
            let new = settings.as_ref().map_or_else(|| deps.settings(), Arc::clone);
            deps.dolt.follow(config, &new.env);
        }
        tell(deps, ProblemKey::named("settings/shared").critical(), self.state.shared.clone());
        tell(deps, ProblemKey::named("settings/ours").critical(), self.state.refused.clone());
        tell(deps, "settings/next_start", self.state.next_start.clone());
        if let Some(routes) = reading.routes {
            deps.follow(&routes);
            self.routes = routes;
        }
        let missing = matches!(reading.rigs, Reading::Missing);
        let problem =
            self.rigs.update(reading.rigs).map(|it| format!("{it}; the last good list stays in force"));
        let problem = problem.or_else(|| match (missing, reading.is_copy) {
            (true, _) => Some("mayor/rigs.json is missing: a town without rigs".into()),
            (false, true) => Some("mayor/rigs.json is missing: its copy rigs.json is used".into()),
            (false, false) => None,
        });
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
pub(super) fn changed(mut settings: Settings, deps: &Deps) -> (Option<Arc<Settings>>, Option<String>) {
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
    if !deps.dialect().facts().has_gt {
        return vec![root.to_owned()];
    }
    let mut directories = vec![
        root.to_owned(),
        root.join("mayor"),
        root.join("settings"),
        root.join(".beads-wisp").join("config"),
        root.join(".runtime").join("deacon"),
    ];
    if deps.dialect().facts().starts_on_events {
        let channels = Role::of_gas_town().filter_map(|role| role.facts().started_on);
        directories.extend(channels.map(|channel| deps.paths.event_channel(channel)));
    }
    directories.extend(deps.database_directories().await);
    directories.extend(rigs.iter().map(|rig| deps.paths.rig(rig).join("settings")));
    directories
}

fn tell(deps: &Deps, key: impl Into<ProblemKey>, problem: Option<String>) {
    let key = key.into();
    match problem {
        Some(text) => deps.problems.report(key, text),
        None => deps.problems.clear(&key),
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
            town: None,
        }
    }

    fn interval(settings: &Result<Settings, String>) -> Option<u64> {
        settings.as_ref().ok().map(|settings| settings.heartbeat.interval.as_secs())
    }

    #[test]
    fn the_shared_file_breaks_and_heals() {
        let mut good = LastValid::default();
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
    fn the_towns_file_breaks_and_heals() {
        let mut good = LastValid::default();
        for (name, town, expected, told) in [
            ("missing", None, 180, false),
            ("good", Some(r#"{"operational":{"daemon":{"recovery_heartbeat_interval":"60s"}}}"#), 60, false),
            ("half-written keeps the last good one", Some(r#"{"operational":{"daem"#), 60, true),
            ("good again", Some(r#"{"default_agent":"claude"}"#), 180, false),
        ] {
            let content =
                town.map(|text| text.as_bytes().to_vec()).ok_or_else(|| io::ErrorKind::NotFound.into());
            let town = Some(("settings/config.json".into(), content));
            let (settings, notes) =
                SettingsReading { town, ..reading(None, None) }.resolve(Dialect::V1, &mut good);
            assert_eq!(interval(&settings), Some(expected), "{name}");
            assert_eq!(notes.is_some(), told, "{name}: {notes:?}");
        }
    }

    #[test]
    fn what_is_wrong_with_a_broken_file_is_one_problem_and_about_its_content_now() {
        let mut good = LastValid::default();
        let town = r#"{"operational":{"daemon":{"recovery_heartbeat_interval":"soon"}}}"#;
        for (name, content, expected) in [
            (
                "a wrong value",
                town,
                "settings/config.json:1:57: operational.daemon.recovery_heartbeat_interval: ",
            ),
            ("broken then", r#"{"operational" "#, "settings/config.json:1:15: EOF while parsing an object"),
        ] {
            let town = Some(("settings/config.json".into(), Ok(content.as_bytes().to_vec())));
            let (_, notes) = SettingsReading { town, ..reading(None, None) }.resolve(Dialect::V1, &mut good);
            let notes = notes.unwrap();
            assert!(notes.starts_with(expected), "{name}: {notes}");
            assert_eq!(notes.matches("settings/config.json").count(), 1, "{name}: {notes}");
        }
        let (_, notes) = SettingsReading {
            town: Some(("settings/config.json".into(), Ok(b"{".to_vec()))),
            ..reading(None, None)
        }
        .resolve(Dialect::V1, &mut good);
        assert!(notes.unwrap().ends_with(LAST_OF_TOWN));
    }

    #[test]
    fn our_file_beats_the_shared_one_and_its_mistakes_are_errors() {
        let shared = Some(r#"{"heartbeat":{"interval":"60s"}}"#);
        let (settings, _) = reading(Some(r#"{"heartbeat":{"interval":"7s"}}"#), shared)
            .resolve(Dialect::January, &mut LastValid::default());
        assert_eq!(settings.unwrap().heartbeat.interval, Duration::from_secs(7));
        let (settings, _) =
            reading(Some("{\n \"hart\": 1}"), shared).resolve(Dialect::January, &mut LastValid::default());
        let problem = settings.unwrap_err();
        assert!(problem.contains("settings/supervisor.json:2:2") && problem.contains("hart"), "{problem}");
    }

    #[test]
    fn a_file_that_cannot_be_read_is_no_missing_file() {
        let denied = || Err(io::ErrorKind::PermissionDenied.into());
        let mut good = LastValid {
            shared: Some(br#"{"heartbeat":{"interval":"60s"}}"#.to_vec()),
            ..LastValid::default()
        };
        let both = SettingsReading { shared: ("mayor/daemon.json".into(), denied()), ..reading(None, None) };
        let (settings, notes) = both.resolve(Dialect::January, &mut good);
        assert_eq!((interval(&settings), notes.is_some()), (Some(60), true));
        let ours =
            SettingsReading { ours: ("settings/supervisor.json".into(), denied()), ..reading(None, None) };
        assert!(ours.resolve(Dialect::January, &mut LastValid::default()).0.is_err());
    }
}
