//! A town of one file: what its root needs beside the ports, and the reading of that file.
//!
//! The file is `agents.toml`; what it means is the business of [`agents_file`](crate::agents_file). [`settling`] says when a content
//! of it counts, [`kept`] remembers what each agent took at its start, and [`due`] says what that means for it. Nothing here may write
//! the file.

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use tokio::sync::watch;

use self::kept::Kept;
use crate::{
    agents_file::{
        plan::Plan,
        reading::{Around, read as read_text},
    },
    deps::Deps,
    ports::persisted::Persisted,
    town::{files::Files, identity::Identity, paths::TownPaths, reading::FileProblem, standing::Standings},
};

pub mod due;
pub mod kept;
pub mod settling;

/// What the root of such a town needs. It outlives the root: one that is created again goes on with the plan in force, and not with
/// that of the start. Only the root writes it.
#[derive(Debug, Clone)]
pub struct OneFile {
    /// The sender of what is said of each agent: by the plan in force, and by the one before of agents that are being ended.
    pub standings: Arc<watch::Sender<Arc<Standings>>>,
    /// The plan in force.
    plan: Arc<watch::Sender<Arc<InForce>>>,
    /// What each agent took at its start.
    pub kept: Persisted<Kept>,
    /// The home of the user as whom the supervisor runs, for `~`; `None` where it is not known.
    pub home: Option<PathBuf>,
}

/// A plan in force, and what follows from it.
#[derive(Debug, Default)]
pub struct InForce {
    /// The plan.
    pub plan: Plan,
    /// What it says of each agent.
    pub standings: Standings,
    /// What each agent takes at its start, as [`kept`] has it.
    pub takes: BTreeMap<Identity, String>,
}

impl From<Plan> for InForce {
    fn from(plan: Plan) -> Self {
        let standings = plan.standings();
        let takes = standings
            .agents()
            .filter_map(|it| Some((it.clone(), kept::taken(&*standings.of(it)?))))
            .collect();
        InForce { plan, standings, takes }
    }
}

impl OneFile {
    /// The town with this plan, as it was read at the start of the supervisor.
    pub fn new(plan: Plan, paths: &TownPaths, home: Option<PathBuf>) -> Self {
        let in_force = InForce::from(plan);
        OneFile {
            standings: Arc::new(watch::Sender::new(Arc::new(in_force.standings.clone()))),
            plan: Arc::new(watch::Sender::new(Arc::new(in_force))),
            kept: Persisted::new(kept::file(paths)),
            home,
        }
    }

    /// The plan in force.
    pub fn in_force(&self) -> Arc<InForce> {
        self.plan.borrow().clone()
    }

    /// Puts a plan in force. What is said of the agents follows when those that are no longer in it have ended.
    pub fn put_in_force(&self, plan: Plan) {
        self.plan.send_replace(Arc::new(plan.into()));
    }
}

/// Reads the file: its bytes and its plan, else why there is none, with every mistake on a line of its own.
pub async fn read(files: &dyn Files, file: &Path, home: Option<&Path>) -> Result<(Vec<u8>, Plan), String> {
    let FileReading { content, plan } = read_file(files, (file, file), home).await;
    Ok((content?, plan?))
}

/// The result of one reading of the file.
#[derive(Debug)]
pub struct FileReading {
    /// Its bytes, or why it could not be read.
    pub content: Result<Vec<u8>, String>,
    /// Its plan, or everything that is wrong with it, each on a line of its own.
    pub plan: Result<Plan, String>,
}

/// Reads the file of a running supervisor.
pub async fn read_again(deps: &Deps, own: &OneFile) -> FileReading {
    let file = deps.paths.settings_file();
    read_file(&*deps.files, (&file, deps.paths.shown(&file)), own.home.as_deref()).await
}

/// Reads this file, which mistakes name so.
async fn read_file(files: &dyn Files, (file, named): (&Path, &Path), home: Option<&Path>) -> FileReading {
    let content = files.read(file).await;
    let content = content.map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => FileProblem::whole(named, "it is missing").to_string(),
        _ => FileProblem::unreadable(named, &error).to_string(),
    });
    let around = Around { directory: file.parent().unwrap_or(file), home };
    let plan = match &content {
        Ok(bytes) => read_text(named, bytes, around).map_err(|mistakes| mistakes.to_string()),
        Err(why) => Err(why.clone()),
    };
    FileReading { content, plan }
}
