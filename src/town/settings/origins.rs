//! Where each setting comes from: which line of which file, for those that are not the default. Pure.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use super::{
    document::{self, Entry},
    read::{Source, Sources},
};
use crate::{
    terminal,
    town::{dialect::Dialect, reading::FileProblem},
};

/// Keys of `mayor/daemon.json`, and the settings they set.
const SHARED: [(&str, &str); 8] = [
    ("heartbeat.interval", "heartbeat.interval"),
    ("patrols.restart_tracker.initial_backoff", "restart.initial_backoff"),
    ("patrols.restart_tracker.max_backoff", "restart.max_backoff"),
    ("patrols.restart_tracker.backoff_multiplier", "restart.multiplier"),
    ("patrols.restart_tracker.crash_loop_window", "restart.crash_loop_window"),
    ("patrols.restart_tracker.crash_loop_count", "restart.crash_loop_count"),
    ("patrols.restart_tracker.stability_period", "restart.stable_after"),
    ("patrols.dolt_server.enabled", "dolt.restart"),
];

/// Keys of a 1.x town's `settings/config.json`, and the settings they set.
const TOWN: [(&str, &str); 8] = [
    ("operational.daemon.recovery_heartbeat_interval", "heartbeat.interval"),
    ("operational.daemon.boot_spawn_cooldown", "boot.cooldown"),
    ("operational.daemon.deacon_grace_period", "deacon.grace"),
    ("operational.daemon.mass_death_window", "deaths.window"),
    ("operational.daemon.mass_death_threshold", "deaths.threshold"),
    ("operational.daemon.max_lifecycle_message_age", "lifecycle.max_age"),
    ("operational.daemon.polecat_idle_session_timeout", "polecats.reap_idle_after"),
    ("disabled_patrols", "patrols.disabled"),
];

/// The place of each setting that a file gives, as `settings/supervisor.json:3`. `problems` are those of the shared files: what is
/// wrong there has no effect.
pub fn origins(dialect: Dialect, sources: Sources<'_>, problems: &[FileProblem]) -> BTreeMap<String, String> {
    let mut origins = BTreeMap::new();
    let wrong: BTreeSet<(&Path, &str)> =
        problems.iter().filter_map(|it| Some((it.path.as_path(), it.key.as_deref()?))).collect();
    let mut theirs = |source: Option<Source<'_>>, table: &[(&str, &str)]| {
        let Some((path, _)) = source else { return };
        for (key, place) in leaves(source) {
            let known = table.iter().find(|(theirs, _)| *theirs == key).map(|(_, ours)| (*ours).to_owned());
            // Those that have no setting of ours are named as they are.
            let named = || ["patrols.", "env."].iter().any(|it| key.starts_with(it)).then(|| key.clone());
            if let Some(setting) = known.or_else(named)
                && !wrong.contains(&(path, key.as_str()))
            {
                origins.insert(setting, place);
            }
        }
    };
    theirs(sources.shared, &SHARED);
    theirs(sources.town.filter(|_| dialect.facts().has_daemon_keys_in_town_settings), &TOWN);
    origins.extend(leaves(sources.ours));
    origins
}

/// The keys of a file that have no keys below them, and where each is. A file that cannot be read has none.
fn leaves(source: Option<Source<'_>>) -> Vec<(String, String)> {
    let Some((path, bytes)) = source else { return Vec::new() };
    places(path, &document::open(path, bytes).unwrap_or_default())
}

/// The keys among these entries of a file that have no keys below them, and where each is.
pub fn places(path: &Path, entries: &[Entry<'_>]) -> Vec<(String, String)> {
    let mut all = Vec::new();
    entries.iter().for_each(|entry| add_leaves(entry, path, &mut all));
    all
}

fn add_leaves(entry: &Entry<'_>, path: &Path, all: &mut Vec<(String, String)>) {
    match entry.entries() {
        // Deeper, a value is itself an object, such as `start.memory.max`.
        Ok(below) if entry.keys.len() < 3 => {
            below.iter().for_each(|entry| add_leaves(entry, path, all));
        }
        _ => all.push((entry.keys.join("."), format!("{}:{}", terminal::path(path), entry.place().line))),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::town::settings::{Settings, read::resolve};

    const OURS: &str = "settings/supervisor.json";
    const DAEMON: &str = "mayor/daemon.json";
    const CONFIG: &str = "settings/config.json";

    fn sources<'a>(ours: &'a str, shared: &'a str, town: &'a str) -> Sources<'a> {
        let source = |path: &'static str, text: &'a str| {
            (!text.is_empty()).then_some((Path::new(path), text.as_bytes()))
        };
        Sources { ours: source(OURS, ours), shared: source(DAEMON, shared), town: source(CONFIG, town) }
    }

    fn of(dialect: Dialect, sources: Sources<'_>) -> BTreeMap<String, String> {
        origins(dialect, sources, &resolve(dialect, sources).unwrap().problems)
    }

    #[test]
    fn the_file_that_counts_is_named_with_the_line() {
        let ours = "{\n \"kill\": {\"grace\": \"1s\"},\n \"start\": {\n  \"memory\": {\"max\": {\"all\": \"2GiB\"}}}\n}";
        let shared = "{\"heartbeat\": {\"interval\": \"1m\"},\n\"patrols\": {\"deacon\": {\"enabled\": false},\n\"restart_tracker\": {\"max_backoff\": \"nonsense\", \"crash_loop_count\": 7}},\n\"env\": {\"A\": \"b\"}}";
        let town = "{\"operational\": {\"daemon\":\n{\"recovery_heartbeat_interval\": \"2m\"}}}";
        let expected = |heartbeat: &str| {
            [
                ("env.A", "mayor/daemon.json:4"),
                ("heartbeat.interval", heartbeat),
                ("kill.grace", "settings/supervisor.json:2"),
                ("patrols.deacon.enabled", "mayor/daemon.json:2"),
                ("restart.crash_loop_count", "mayor/daemon.json:3"),
                ("start.memory.max", "settings/supervisor.json:4"),
            ]
            .map(|(key, place)| (key.to_owned(), place.to_owned()))
            .into()
        };
        assert_eq!(of(Dialect::January, sources(ours, shared, town)), expected("mayor/daemon.json:1"));
        assert_eq!(of(Dialect::V1, sources(ours, shared, town)), expected("settings/config.json:2"));
        assert_eq!(of(Dialect::V1, sources("", "", "")), BTreeMap::new());
    }

    #[test]
    fn each_key_of_theirs_sets_what_the_table_says() {
        for (table, is_town) in [(SHARED.as_slice(), false), (&TOWN[..7], true)] {
            for (theirs, ours) in table {
                let before = Settings::of(Dialect::V1).shown();
                let changed = [json!("7m"), json!(7), json!(true)].into_iter().find_map(|value| {
                    let file = theirs.rsplit('.').fold(value, |inner, key| json!({key: inner})).to_string();
                    let sources = if is_town { sources("", "", &file) } else { sources("", &file, "") };
                    let resolved = resolve(Dialect::V1, sources).unwrap();
                    let now = resolved.settings.shown();
                    let changed: Vec<String> = now
                        .into_iter()
                        .zip(&before)
                        .filter(|(now, before)| now != *before)
                        .map(|((key, _), _)| key)
                        .collect();
                    (!changed.is_empty()).then_some(changed)
                });
                assert_eq!(changed, Some(vec![(*ours).to_owned()]), "{theirs}");
            }
        }
    }
}
