//! `settings`: which values are in force, and where each comes from; or what is wrong in a file.

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, anyhow};
use clap::Args;
use serde_json::{Value, json};

use super::{
    agents_file, complain, print, print_json,
    town::{TownArgument, asked},
};
use crate::{
    secrets, service, terminal,
    town::{
        dialect::Dialect,
        files::{Disk, Files},
        paths::TownPaths,
        root::Named,
        settings::{
            Settings,
            origins::origins,
            read::{Resolved, Source, Sources, contradiction, resolve},
        },
    },
    width,
};

/// Shows all settings and where each comes from, or checks a file.
///
/// A value is from a line of settings/supervisor.json, from a file that is shared with Gas Town, or the default; in a town of one file,
/// from a line of that file. It reads the files, and works without a running supervisor. `reload` puts changed files in force.
#[derive(Debug, Args)]
#[command(after_help = "\
With --check: exit code 0 if the file can be used, 1 if not. Each mistake is a line on stderr: file, line, column, key, reason.
A file whose name ends in .toml is checked as an agents.toml: it is shown what it means, and what it would change. In a town of one
file, each file is.

Examples:
  gastown-supervisor settings
  gastown-supervisor settings --check /tmp/supervisor.json && mv /tmp/supervisor.json ~/gt/settings/
  gastown-supervisor settings --check agents.toml")]
pub struct SettingsArguments {
    #[command(flatten)]
    town: TownArgument,
    /// Check this file instead, as if it were the settings/supervisor.json, or the agents.toml, of the town
    #[arg(long, value_name = "FILE")]
    check: Option<PathBuf>,
    /// Print JSON: `{"heartbeat.interval": {"value": "3m", "from": "default"}, …}`
    #[arg(long, conflicts_with = "check")]
    json: bool,
}

/// Shows or checks them.
pub fn settings(arguments: &SettingsArguments) -> anyhow::Result<ExitCode> {
    let SettingsArguments { town, check, json } = arguments;
    match check {
        Some(file) if agents_file::is_one(town, file) => asked(agents_file::check(town, file)),
        Some(file) => asked(check_file(town, file)),
        None => asked(show(&town.paths()?, *json)),
    }
}

/// The content of the settings files; `None` for one that does not exist.
struct Content {
    ours: (PathBuf, Option<Vec<u8>>),
    shared: (PathBuf, Option<Vec<u8>>),
    town: (PathBuf, Option<Vec<u8>>),
}

impl Content {
    async fn read(paths: &TownPaths) -> anyhow::Result<Content> {
        let read = async |path: PathBuf| {
            let shown = paths.shown(&path).to_owned();
            match Disk.read(&path).await {
                Ok(bytes) => Ok((shown, Some(bytes))),
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok((shown, None)),
                Err(error) => {
                    Err(error).with_context(|| format!("{} cannot be read", terminal::path(&shown)))
                }
            }
        };
        Ok(Content {
            ours: read(paths.supervisor_json()).await?,
            shared: read(paths.daemon_json()).await?,
            town: read(paths.town_settings()).await?,
        })
    }

    fn sources(&self) -> Sources<'_> {
        fn source((path, bytes): &(PathBuf, Option<Vec<u8>>)) -> Option<Source<'_>> {
            bytes.as_deref().map(|bytes| (path.as_path(), bytes))
        }
        Sources { ours: source(&self.ours), shared: source(&self.shared), town: source(&self.town) }
    }
}

/// The dialect of a town with these settings; an error is what a supervisor would say about them.
async fn dialect(paths: &TownPaths, sources: Sources<'_>) -> anyhow::Result<Dialect> {
    let settings =
        |dialect| resolve(dialect, sources).map(|it| it.settings).map_err(|error| error.to_string());
    let (_, gas_town) = service::settings_of_town(paths, settings).await.map_err(anyhow::Error::msg)?;
    Ok(gas_town.dialect)
}

async fn show(paths: &TownPaths, as_json: bool) -> anyhow::Result<ExitCode> {
    if let Some(file) = paths.agents_file() {
        print_rows(agents_file::rows(&file).await?, as_json)?;
        return Ok(ExitCode::SUCCESS);
    }
    let content = Content::read(paths).await?;
    let sources = content.sources();
    let dialect = dialect(paths, sources).await?;
    let Resolved { settings, problems } = resolve(dialect, sources)?;
    problems.iter().for_each(|problem| complain(&problem.to_string()));
    print_rows(rows(&settings, &origins(dialect, sources, &problems)), as_json)?;
    Ok(if problems.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn print_rows(rows: Vec<Row>, as_json: bool) -> anyhow::Result<()> {
    if !as_json {
        return print(&table(&rows));
    }
    let all: serde_json::Map<String, Value> =
        rows.into_iter().map(|(key, value, from)| (key, json!({"value": value, "from": from}))).collect();
    print_json(&all)
}

/// A key, its value, and where that comes from.
pub type Row = (String, Value, String);

/// Each setting with its value and where that comes from.
fn rows(settings: &Settings, origins: &BTreeMap<String, String>) -> Vec<Row> {
    let patrols = &settings.patrols;
    let all = [("deacon", &patrols.deacon), ("witness", &patrols.witness), ("refinery", &patrols.refinery)];
    let switches = all.into_iter().flat_map(|(name, patrol)| {
        let (enabled, rigs) = (format!("patrols.{name}.enabled"), format!("patrols.{name}.rigs"));
        [(enabled, json!(patrol.enabled)), (rigs, json!(patrol.rigs))]
    });
    let variables = settings.env.iter().map(|(name, value)| {
        // A variable may be a key or a password.
        let masked = secrets::mask(&[format!("{name}={value}")]).concat();
        let value = masked.split_once('=').map_or("", |(_, value)| value);
        (format!("env.{name}"), json!(value))
    });
    let is_disabled = |key: &str| {
        let name = key.strip_prefix("patrols.").and_then(|rest| rest.strip_suffix(".enabled"));
        name.is_some_and(|name| patrols.disabled.contains(name))
    };
    let from = |key: &str| {
        let key = if is_disabled(key) { "patrols.disabled" } else { key };
        origins.get(key).cloned().unwrap_or_else(|| "default".to_owned())
    };
    let all = settings.shown().into_iter().chain(switches).chain(variables);
    all.map(|(key, value)| (key.clone(), value, from(&key))).collect()
}

fn table(rows: &[Row]) -> String {
    let widest = |of: &dyn Fn(&Row) -> usize| rows.iter().map(of).max().unwrap_or(0);
    let keys = widest(&|(key, _, _)| width::of(key));
    // One long value does not push all others to the right.
    let values =
        widest(&|(_, value, _)| Some(width::of(&value.to_string())).filter(|it| *it <= 30).unwrap_or(0));
    let padded = |text: &str, to: usize| format!("{text}{}", " ".repeat(to.saturating_sub(width::of(text))));
    let line = |(key, value, from): &Row| {
        format!("{}  {}  {from}\n", padded(key, keys), padded(&value.to_string(), values))
    };
    rows.iter().map(line).collect()
}

async fn check_file(town: &TownArgument, file: &Path) -> anyhow::Result<ExitCode> {
    let bytes = Disk.read(file).await.map_err(|error| anyhow!("{}: {error}", terminal::path(file)))?;
    let ours = Some((file, bytes.as_slice()));
    let wrong = match town.paths() {
        Ok(paths) => {
            let content = Content::read(&paths).await?;
            dialect(&paths, Sources { ours, ..content.sources() }).await.err().map(|error| error.to_string())
        }
        // A file can be checked where no town is.
        Err(_) if town.named() == Named::default() => {
            let sources = Sources { ours, ..Sources::default() };
            resolve(Dialect::default(), sources).err().map(|error| error.to_string())
        }
        Err(error) => return Err(error),
    };
    match wrong.or_else(|| contradiction(file, &bytes).map(|it| it.to_string())) {
        Some(mistakes) => {
            complain(&mistakes);
            Ok(ExitCode::FAILURE)
        }
        None => {
            super::say(&format!("{}: no mistakes", terminal::path(file)))?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_a_line_for_each_setting() {
        let mut settings = Settings::default();
        settings.env.insert("API_KEY".to_owned(), "sk-ant-REDACTED".to_owned());
        settings.patrols.disabled.insert("deacon".to_owned());
        let origins = [
            ("kill.grace", "settings/supervisor.json:3"),
            ("patrols.disabled", "settings/config.json:7"),
            ("env.API_KEY", "mayor/daemon.json:2"),
        ];
        let origins = origins.map(|(key, from)| (key.to_owned(), from.to_owned())).into();
        let text = table(&rows(&settings, &origins));
        let line = |key: &str| {
            let line = text.lines().find(|line| line.starts_with(&format!("{key} ")));
            line.unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ")
        };
        assert_eq!(line("heartbeat.interval"), "heartbeat.interval \"3m\" default");
        assert_eq!(line("kill.grace"), "kill.grace \"2s\" settings/supervisor.json:3");
        assert_eq!(line("start.memory.min_available"), "start.memory.min_available \"3%\" default");
        assert_eq!(line("patrols.deacon.enabled"), "patrols.deacon.enabled true settings/config.json:7");
        assert!(!text.contains("REDACTED") && line("env.API_KEY").ends_with("mayor/daemon.json:2"), "{text}");
    }
}
