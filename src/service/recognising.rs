//! Recognising: finds out which Gas Town a town belongs to, before anything is built on that.
//!
//! It reads two files and runs `gt version --short` once; what follows from these is decided by
//! [`town::dialect::recognise`](crate::town::dialect::recognise). It must not change anything.

use std::{io, time::Duration};

use super::{adapters, town_server};
use crate::{
    commands::{Command, CommandError, Commands},
    town::{
        dialect::{
            Dialect,
            recognise::{self, Evidence, GtVersion, Recognised, Storage},
            socket,
        },
        files::Files,
        paths::TownPaths,
        settings::{Settings, socket_of_variable},
    },
};

/// How long `gt` may take to tell its version.
const LIMIT: Duration = Duration::from_secs(3);

/// The dialect of this town, or why nothing may be supervised in it. `settings` are those that name the dialect and `gt`.
pub async fn dialect(
    files: &dyn Files,
    commands: &dyn Commands,
    paths: &TownPaths,
    settings: &Settings,
) -> Result<Recognised, String> {
    let (metadata, dolt_data) = (paths.beads_metadata(), paths.dolt_data());
    let gt = async {
        match settings.gas_town.dialect {
            Some(_) => GtVersion::None, // it would not be used
            None => gt_version(commands, paths, settings).await,
        }
    };
    let (metadata, dolt_data, gt) = tokio::join!(files.read(&metadata), files.is_dir(&dolt_data), gt);
    let metadata = match metadata {
        Ok(bytes) => recognise::storage(&bytes),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Storage::NotSaid),
        Err(error) => Err(error.to_string()),
    };
    let dolt_data = dolt_data.map_err(|error| error.to_string());
    recognise::recognise(&Evidence { metadata, dolt_data, gt, set: settings.gas_town.dialect })
}

/// Why these settings must not be used in a town of this dialect; `None` when they may.
pub async fn contradiction(paths: &TownPaths, dialect: Dialect, settings: &Settings) -> Option<String> {
    if !dialect.is_v1() {
        return None;
    }
    let variable = adapters::socket_variable();
    let refused = socket::contradiction(paths.root(), &settings.tmux, variable.as_deref());
    let by_settings = settings.tmux.socket_path.is_some() || settings.tmux.socket_name.is_some();
    if refused.is_some() || by_settings || socket_of_variable(variable.as_deref()).is_some() {
        return refused;
    }
    town_server::name(paths).await.err().map(|several| socket::undecided(paths.root(), &several))
}

async fn gt_version(commands: &dyn Commands, paths: &TownPaths, settings: &Settings) -> GtVersion {
    let command = Command {
        program: settings.commands.gt.clone(),
        arguments: ["version", "--short"].map(str::to_owned).into(),
        directory: paths.root().to_owned(),
        environment: settings.env.clone(),
        input: None,
        limit: LIMIT,
    };
    match commands.run(command).await {
        Ok(printed) => recognise::gt_version(&printed.stdout),
        // It is not there, or has no such command: it says nothing about itself.
        Err(CommandError::NotFound { .. } | CommandError::Failed { .. }) => GtVersion::None,
        Err(error) => GtVersion::Unknown(error.to_string()),
    }
}
