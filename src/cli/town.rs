//! `--town`: which town a command is about.

use std::path::PathBuf;

use clap::Args;
use gastown_supervisor::{service, town::paths::TownPaths};

/// The argument every command has.
#[derive(Debug, Args)]
pub struct TownArgument {
    /// The town: the directory that holds mayor/town.json [default: GT_TOWN_ROOT, GT_ROOT, or the town around here]
    #[arg(long = "town", value_name = "DIR")]
    directory: Option<PathBuf>,
}

impl TownArgument {
    /// The paths of the town that is meant.
    pub fn find(&self) -> anyhow::Result<TownPaths> {
        service::find_town(self.directory.as_deref()).map_err(anyhow::Error::msg)
    }

    /// The directory as it was named.
    pub fn named(self) -> Option<PathBuf> {
        self.directory
    }
}
