//! Reading the settings files into [`Settings`].
//!
//! `settings/supervisor.json` is ours: every mistake in it is an error that names key, line and column, and none of
//! it takes effect. `mayor/daemon.json` belongs to Gas Town (0.2.6 to 0.3): a mistake there is reported and the
//! default applies to that key. So is `settings/config.json` read in a 1.x town (gt 1.0.1, `internal/config/types.go`), of which
//! the keys count that mean the same as a setting here. It must not read the disk.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use serde_json::Value;

use super::{
    Patrol, Patrols, Restart, Settings,
    document::{self, Entry, MOST_MISTAKES},
    table::Section,
    values::{
        count, factor, gt_interval, interval, optional_integer, optional_texts, pause, switch, variable,
    },
};
use crate::{
    nearest,
    town::{dialect::Dialect, dialogs::Dialog, reading::FileProblem},
};

/// The settings in force, and the problems of the shared file.
#[derive(Debug, Clone, PartialEq)]
pub struct Resolved {
    /// The settings in force.
    pub settings: Settings,
    /// What is wrong in the shared files; those keys are as if they were not given.
    pub problems: Vec<FileProblem>,
}

/// Everything that is wrong in our own settings file, one line each.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
pub struct SettingsError(pub Vec<FileProblem>);

/// A file with the path to name it by.
pub type Source<'a> = (&'a Path, &'a [u8]);

/// The files of the settings, each of which may be absent.
#[derive(Debug, Clone, Copy, Default)]
pub struct Sources<'a> {
    /// `settings/supervisor.json`.
    pub ours: Option<Source<'a>>,
    /// `mayor/daemon.json`.
    pub shared: Option<Source<'a>>,
    /// `settings/config.json`; read in a 1.x town only.
    pub town: Option<Source<'a>>,
}

/// What does not go together in our own file, although each value by itself is right: the rest of it is in force. `None` where the file
/// has mistakes.
pub fn contradiction(file: &Path, bytes: &[u8]) -> Option<FileProblem> {
    let ours = Sources { ours: Some((file, bytes)), ..Sources::default() };
    let why = resolve(Dialect::default(), ours).ok()?.settings.http.refusal()?;
    Some(Entry::find(&document::open(file, bytes).ok()?, &["http", "listen"])?.wrong_value(why))
}

/// Merges the files. For each key, ours beats the town's settings, which beat the shared file, which beats the default of
/// this dialect. Any mistake in ours is an error.
pub fn resolve(dialect: Dialect, sources: Sources<'_>) -> Result<Resolved, SettingsError> {
    let mut settings = Settings::of(dialect);
    let shared = sources.shared;
    let mut problems = shared
        .map_or_else(Vec::new, |(path, bytes)| read_shared(path, bytes, &mut settings, read_shared_entry));
    let town = sources.town.filter(|_| dialect.facts().has_daemon_keys_in_town_settings);
    problems.extend(
        town.into_iter().flat_map(|(path, bytes)| read_shared(path, bytes, &mut settings, read_town_entry)),
    );
    if let Some((path, bytes)) = sources.ours {
        let mistakes = read_ours(path, bytes, &mut settings);
        if !mistakes.is_empty() {
            return Err(SettingsError(mistakes));
        }
    }
    Ok(Resolved { settings, problems })
}

fn read_ours(path: &Path, bytes: &[u8], settings: &mut Settings) -> Vec<FileProblem> {
    let sections = match document::open(path, bytes) {
        Ok(sections) => sections,
        Err(problem) => return vec![problem],
    };
    let mut mistakes = wrong_keys(&sections, Settings::SECTIONS);
    mistakes.extend(read_sections(&sections, settings, &|_| true));
    mistakes.extend(contradictions(&sections, settings));
    mistakes.sort_by_key(|problem| problem.place);
    mistakes
}

/// Whether a key, by its whole path (`start.memory.max`), may be given in this kind of file.
pub type IsHere<'a> = &'a dyn Fn(&str) -> bool;

/// Reads those entries that are sections of the settings, strictly.
pub fn read_sections(
    entries: &[Entry<'_>],
    settings: &mut Settings,
    is_here: IsHere<'_>,
) -> Vec<FileProblem> {
    let mut mistakes = Vec::new();
    for entry in entries.iter().filter(|entry| is_here(entry.key())) {
        let Some(section) = settings.section(entry.key()) else { continue };
        mistakes.extend(read_entry(entry, section, is_here));
    }
    mistakes
}

/// Reads the section that is the value of an entry, strictly.
pub fn read_entry(entry: &Entry<'_>, section: &mut dyn Section, is_here: IsHere<'_>) -> Vec<FileProblem> {
    match entry.entries() {
        Ok(entries) => read_section(&entries, section, is_here),
        Err(reason) => vec![entry.wrong_value(reason)],
    }
}

/// Keys of `questions` that say something else than `dialogs.answer`, whose older spelling they are.
fn contradictions(sections: &[Entry<'_>], settings: &Settings) -> Vec<FileProblem> {
    let Some(answer) = &settings.dialogs.answer else { return Vec::new() };
    let older = sections.iter().filter(|entry| entry.key() == "questions");
    let keys: Vec<Entry<'_>> = older.flat_map(|entry| entry.entries().unwrap_or_default()).collect();
    let wrong = Dialog::ALL.into_iter().filter_map(|dialog| {
        let says = settings.questions.says(dialog).filter(|says| *says != answer.contains(&dialog))?;
        let entry = keys.iter().rfind(|entry| entry.key() == dialog.name())?;
        let how = if says { "does not name" } else { "names" };
        Some(entry.wrong_value(format!("dialogs.answer {how} {dialog}; remove this older spelling of it")))
    });
    wrong.collect()
}

/// Reads a section from its entries, strictly.
pub fn read_section(
    entries: &[Entry<'_>],
    section: &mut dyn Section,
    is_here: IsHere<'_>,
) -> Vec<FileProblem> {
    let above = entries.first().map_or(&[][..], |entry| entry.keys.split_last().map_or(&[], |it| it.1));
    let path = |key: &str| above.iter().map(String::as_str).chain([key]).collect::<Vec<_>>().join(".");
    let known: Vec<&str> = section.keys().iter().copied().filter(|key| is_here(&path(key))).collect();
    let mut mistakes = wrong_keys(entries, &known);
    for entry in entries.iter().filter(|entry| known.contains(&entry.key())) {
        match section.section(entry.key()) {
            Some(inner) => mistakes.extend(read_entry(entry, inner, is_here)),
            None => mistakes.extend(section.set(entry).err().map(|reason| entry.wrong_value(reason))),
        }
    }
    mistakes.extend(crossed(entries, section));
    mistakes
}

/// Keys that are unknown or given twice.
pub fn wrong_keys(entries: &[Entry<'_>], known: &[&str]) -> Vec<FileProblem> {
    let mut known = known.to_vec();
    known.sort_unstable();
    let (mut seen, mut wrong) = (BTreeSet::new(), Vec::new());
    for entry in entries {
        if wrong.len() >= MOST_MISTAKES {
            break;
        }
        if !seen.insert(entry.key()) {
            wrong.push(entry.wrong_key("the key is given twice"));
        }
        if !known.contains(&entry.key()) {
            let meant = nearest::nearest(entry.key(), known.iter().copied());
            let meant = meant.map_or_else(String::new, |key| format!("did you mean {key}? "));
            // Set here because `wrong_key` would shorten the list.
            let reason = format!("unknown key; {meant}the keys here are {}", known.join(", "));
            wrong.push(FileProblem { reason, ..entry.wrong_key("") });
        }
    }
    wrong
}

/// Refuses two keys that are in the wrong order, at the first of them in the file; if the file has neither, it is not
/// this file's mistake.
fn crossed(entries: &[Entry<'_>], section: &dyn Section) -> Option<FileProblem> {
    let [more, less] = section.crossed()?;
    let given = |key| entries.iter().rfind(|entry| entry.key() == key);
    Some(given(more).or_else(|| given(less))?.wrong_value(format!("{more} must not be less than {less}")))
}

/// Reads one entry of a shared file into the settings; an error says what is wrong with its value.
type ReadEntry = fn(&Entry<'_>, &mut Settings, &mut Vec<FileProblem>) -> Result<(), String>;

fn read_shared(path: &Path, bytes: &[u8], settings: &mut Settings, read: ReadEntry) -> Vec<FileProblem> {
    let entries = match document::open(path, bytes) {
        Ok(entries) => entries,
        Err(problem) => return vec![problem.advise("correct it; until then the whole file is ignored")],
    };
    let mut problems = Vec::new();
    read_known(&entries, settings, &mut problems, read);
    problems.sort_by_key(|problem| problem.place);
    let advise = |problem: FileProblem| problem.advise("correct it; until then its default applies");
    problems.into_iter().map(advise).collect()
}

/// Reads the known entries of a shared file. Of duplicate keys the last counts.
fn read_known(
    entries: &[Entry<'_>],
    settings: &mut Settings,
    problems: &mut Vec<FileProblem>,
    read: ReadEntry,
) {
    let last: BTreeMap<_, _> = entries.iter().map(|entry| (entry.key(), entry)).collect();
    for entry in last.into_values() {
        if let Err(reason) = read(entry, settings, problems) {
            problems.push(entry.wrong_value(reason));
        }
    }
}

fn read_shared_entry(
    entry: &Entry<'_>,
    settings: &mut Settings,
    problems: &mut Vec<FileProblem>,
) -> Result<(), String> {
    let keys: Vec<&str> = entry.keys.iter().map(String::as_str).collect();
    match keys[..] {
        ["heartbeat" | "patrols" | "env"]
        | ["patrols", "deacon" | "witness" | "refinery" | "dolt_server"] => {
            read_known(&entry.entries()?, settings, problems, read_shared_entry);
        }
        ["patrols", "restart_tracker"] => {
            let before = settings.restart.clone();
            let entries = entry.entries()?;
            read_known(&entries, settings, problems, read_shared_entry);
            let restart = &mut settings.restart;
            if let Some(problem) = crossed(&entries, restart) {
                problems.push(problem);
                (restart.initial_backoff, restart.max_backoff) = (before.initial_backoff, before.max_backoff);
            }
        }
        ["patrols", "restart_tracker", key] => read_restart(key, entry, &mut settings.restart)?,
        ["patrols", "deacon", key] => read_patrol(key, entry, &mut settings.patrols.deacon)?,
        ["patrols", "witness", key] => read_patrol(key, entry, &mut settings.patrols.witness)?,
        ["patrols", "refinery", key] => read_patrol(key, entry, &mut settings.patrols.refinery)?,
        ["patrols", "dolt_server", "enabled"] => settings.dolt.restart = switch(&entry.value()?)?,
        ["heartbeat", "interval"] => settings.heartbeat.interval = interval(&entry.value()?)?,
        ["env", name] => {
            let value = variable(name, &entry.value()?)?;
            settings.env.insert(name.to_owned(), value);
        }
        _ => {}
    }
    Ok(())
}

/// Reads an entry of the town's own settings (1.x): those that mean the same as a setting here.
fn read_town_entry(
    entry: &Entry<'_>,
    settings: &mut Settings,
    problems: &mut Vec<FileProblem>,
) -> Result<(), String> {
    let keys: Vec<&str> = entry.keys.iter().map(String::as_str).collect();
    match keys[..] {
        ["operational" | "scheduler"] | ["operational", "daemon"] if !entry.value()?.is_null() => {
            read_known(&entry.entries()?, settings, problems, read_town_entry);
        }
        ["operational", "daemon", key] => read_operational(key, &entry.value()?, settings)?,
        // The scheduler's actor reads it again at each run; here it is only checked.
        ["scheduler", "max_polecats"] => drop(optional_integer(&entry.value()?)?),
        ["disabled_patrols"] => {
            settings.patrols.disabled =
                optional_texts(&entry.value()?)?.unwrap_or_default().into_iter().collect();
            let Patrols { deacon, witness, refinery, disabled } = &mut settings.patrols;
            for (name, patrol) in [("deacon", deacon), ("witness", witness), ("refinery", refinery)] {
                patrol.enabled &= !disabled.contains(name);
            }
        }
        _ => {}
    }
    Ok(())
}

/// Reads a key of `operational.daemon` (gt 1.0.1, `DaemonThresholds`). An empty text counts as not given, as in `gt`. All other
/// keys, of this or another version, are none of ours and are ignored.
fn read_operational(key: &str, value: &Value, settings: &mut Settings) -> Result<(), String> {
    if value.is_null() || value.as_str() == Some("") {
        return Ok(());
    }
    match key {
        "recovery_heartbeat_interval" => settings.heartbeat.interval = interval(value)?,
        "boot_spawn_cooldown" => settings.boot.cooldown = pause(value)?,
        "deacon_grace_period" => settings.deacon.grace = pause(value)?,
        "mass_death_window" => settings.deaths.window = interval(value)?,
        "mass_death_threshold" => settings.deaths.threshold = count(value)?,
        "max_lifecycle_message_age" => settings.lifecycle.max_age = interval(value)?,
        "polecat_idle_session_timeout" => settings.polecats.reap_idle_after = interval(value)?,
        _ => {}
    }
    Ok(())
}

fn read_patrol(key: &str, entry: &Entry<'_>, patrol: &mut Patrol) -> Result<(), String> {
    match key {
        "enabled" => patrol.enabled = switch(&entry.value()?)?,
        "rigs" => patrol.rigs = optional_texts(&entry.value()?)?.filter(|rigs| !rigs.is_empty()),
        _ => {}
    }
    Ok(())
}

fn read_restart(key: &str, entry: &Entry<'_>, restart: &mut Restart) -> Result<(), String> {
    match key {
        "initial_backoff" => restart.initial_backoff = gt_interval(&entry.value()?)?,
        "max_backoff" => restart.max_backoff = gt_interval(&entry.value()?)?,
        "backoff_multiplier" => restart.multiplier = factor(&entry.value()?)?,
        "crash_loop_window" => restart.crash_loop_window = gt_interval(&entry.value()?)?,
        "crash_loop_count" => restart.crash_loop_count = count(&entry.value()?)?,
        "stability_period" => restart.stable_after = gt_interval(&entry.value()?)?,
        _ => {}
    }
    Ok(())
}

#[cfg(test)]
#[path = "read_tests.rs"]
mod tests;
