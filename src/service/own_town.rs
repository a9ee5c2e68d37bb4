//! A town of one file: what its supervisor starts with, and those who judge the town from outside.
//!
//! In a Gas Town all of it is [recognised](super::recognising) and read from several files; here one file says it. Nothing is
//! written, and nothing is asked of a program.

use std::{
    env,
    path::{Path, PathBuf},
    sync::Arc,
};

use tokio::sync::watch;

use crate::{
    agents_file::{plan::Plan, values::Socket},
    terminal,
    town::{
        dialect::{Dialect, recognise::Recognised, socket},
        files::Files,
        paths::TownPaths,
        settings::{Settings, Tmux},
        standing::Standings,
    },
    tree::one_file::{self, OneFile},
};

/// The supervisor's start in such a town.
#[derive(Debug)]
pub struct OwnTown {
    /// The settings in force, with the tmux server that the file names.
    pub settings: Settings,
    /// That it is such a town.
    pub recognised: Recognised,
    /// What the file says.
    pub plan: Arc<Plan>,
    /// The home of the user, for `~`; `None` where it is not known.
    pub home: Option<PathBuf>,
}

/// Reads the file. An error has every mistake on a line of its own.
pub async fn read(files: &dyn Files, file: &Path) -> Result<OwnTown, String> {
    let home = home();
    let (_, plan) = one_file::read(files, file, home.as_deref()).await?;
    Ok(OwnTown { settings: settings(file, &plan), recognised: recognised(file), plan: Arc::new(plan), home })
}

/// The home of the user, for `~`; `None` where it is not known.
pub fn home() -> Option<PathBuf> {
    env::var_os("HOME").map(PathBuf::from).filter(|home| home.is_absolute())
}

/// That the town is this file.
pub fn recognised(file: &Path) -> Recognised {
    Recognised { dialect: Dialect::Own, because: terminal::path(file), server: None }
}

/// The settings of a town that is this file, with the tmux server that its plan means.
pub fn settings(file: &Path, plan: &Plan) -> Settings {
    let (socket_name, socket_path) = match &plan.socket {
        Socket::Own => (Some(socket::of_file(file)), None),
        Socket::Users => (None, None),
        Socket::Named(name) => (Some(name.clone()), None),
        Socket::Path(path) => (None, Some(path.clone())),
    };
    let tmux = Tmux { socket_name, socket_path, ..plan.settings.tmux.clone() };
    Settings { tmux, ..plan.settings.clone() }
}

impl OwnTown {
    /// What the root of the tree needs, and what is said of each agent.
    pub fn one_file(self, paths: &TownPaths) -> (OneFile, watch::Receiver<Arc<Standings>>) {
        let one_file = OneFile::new(Arc::unwrap_or_clone(self.plan), paths, self.home);
        let said = one_file.standings.subscribe();
        (one_file, said)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agents_file::reading::{Around, read};

    #[test]
    fn the_tmux_server_is_the_one_of_the_file() {
        let file = Path::new("/srv/app/agents.toml");
        let own = socket::of_file(file);
        for (text, name, path) in [
            ("[limits]\n", Some(own.as_str()), None),
            ("socket = \"default\"\n", None, None),
            ("socket = \"mine\"\n", Some("mine"), None),
            ("socket = \"/run/x\"\n", None, Some(Path::new("/run/x"))),
        ] {
            let around = Around { directory: Path::new("/srv/app"), home: None };
            let plan = read(file, text.as_bytes(), around).unwrap();
            let tmux = settings(file, &plan).tmux;
            assert_eq!((tmux.socket_name.as_deref(), tmux.socket_path.as_deref()), (name, path), "{text:?}");
        }
    }
}
