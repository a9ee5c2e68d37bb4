//! Programs: reads a town's agent settings and finds the program of an agent, through the ports.
//!
//! [`resolve`](super::program::resolve()) makes the choice; here are only the four files and `PATH`. An error in a
//! file is reported once per change, and the rest of the file is used. In a town of one file that file says all.

use std::{
    borrow::Borrow,
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::Arc,
};

use parking_lot::Mutex;

use super::{
    program::{
        Parsed, ProgramFileError, Provider, Resolution, Sources, parse_agents, parse_rig, parse_town, resolve,
    },
    role_bead::overrides::process_names,
    spec::AgentSpec,
};
use crate::{
    deps::Deps,
    terminal,
    town::{identity::Identity, reading::Reading},
};

pub mod standing;

/// The settings files that were broken when last read, and the agents that got another program than the configured
/// one. Probes read them again until they are correct. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct InDoubt(Arc<Mutex<(BTreeSet<PathBuf>, BTreeSet<Identity>)>>);

impl InDoubt {
    /// Whether the program of this agent may change as soon as somebody corrects a file.
    pub fn is_program_of(&self, identity: &Identity) -> bool {
        let (files, agents) = &*self.0.lock();
        !files.is_empty() || agents.contains(identity)
    }

    fn file(&self, path: &Path, is_broken: bool) {
        set(&mut self.0.lock().0, path, is_broken);
    }

    fn agent(&self, identity: &Identity, in_doubt: bool) {
        set(&mut self.0.lock().1, identity, in_doubt);
    }
}

fn set<T: Ord + Borrow<Q>, Q: Ord + ToOwned<Owned = T> + ?Sized>(
    all: &mut BTreeSet<T>,
    one: &Q,
    is_in: bool,
) {
    if is_in {
        all.insert(one.to_owned());
    } else {
        all.remove(one);
    }
}

/// The program of this agent, by the files as they are now and its role bead as last read. Its command is the path at
/// which it was found. What is wrong with it is reported.
pub async fn find(deps: &Deps, spec: &AgentSpec) -> Resolution {
    let resolution = peek(deps, spec).await;
    let key = spec.problem_key("program").critical();
    deps.starts.in_doubt.agent(&spec.identity, !resolution.reports.is_empty());
    if resolution.reports.is_empty() {
        deps.problems.clear(&key);
    } else {
        deps.problems.report(key, format!("{}: {}", spec.identity, resolution.reports.join("; ")));
    }
    resolution
}

/// The same for who only asks: nothing is reported of the agent.
pub async fn peek(deps: &Deps, spec: &AgentSpec) -> Resolution {
    let (paths, dialect) = (&deps.paths, deps.dialect());
    if !dialect.is_gas_town() {
        return match deps.standing(&spec.identity) {
            Some(said) => standing::of(deps, &said).await,
            None => standing::of_nobody(),
        };
    }
    let town = Sources {
        config: read(deps, &paths.town_settings(), |bytes| parse_town(dialect, bytes)).await,
        agents: read(deps, &paths.agent_presets(), |bytes| parse_agents(dialect, bytes)).await,
    };
    let rig = match spec.identity.rig() {
        None => None,
        Some(rig) => Some(Sources {
            config: read(deps, &paths.rig_settings(rig), |bytes| parse_rig(dialect, bytes)).await,
            agents: read(deps, &paths.rig_agent_presets(rig), |bytes| parse_agents(dialect, bytes)).await,
        }),
    };
    let mut resolution = resolve_with_path(deps, spec, &town, rig.as_ref()).await;
    started_by_its_role_bead(deps, spec, &mut resolution);
    resolution
}

/// Adjusts the result for an agent with a start command in its role bead or file: it runs under other names, and needs
/// nothing on `PATH` that we could know of.
fn started_by_its_role_bead(deps: &Deps, spec: &AgentSpec, resolution: &mut Resolution) {
    // A command in a role file is claude's: it does not replace another program, nor one that was chosen for the role.
    let is_others = resolution.by_role || resolution.program.provider != Provider::Claude;
    if deps.dialect().facts().roles_in_files && is_others {
        return;
    }
    let Some(command) = deps.starts.role_beads.of(&spec.identity, deps.paths.root()).start_command else {
        return;
    };
    let names = &mut resolution.program.process_names;
    for name in process_names(&command) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    resolution.on_path = true;
    resolution.start_command = Some(command);
}

/// Runs the rule, which asks about `PATH` synchronously, while only ports can answer: the commands it asked about are
/// located, and it runs again until it asks about no new one.
async fn resolve_with_path(
    deps: &Deps,
    spec: &AgentSpec,
    town: &Sources<super::program::TownConfig>,
    rig: Option<&Sources<super::program::RigConfig>>,
) -> Resolution {
    let mut known: BTreeMap<String, Option<PathBuf>> = BTreeMap::new();
    loop {
        let (mut resolution, asked) = {
            let asked = RefCell::new(Vec::new());
            let resolution = resolve(deps.dialect(), spec.identity.role(), rig, town, &|command| {
                known.get(command).map(Option::is_some).unwrap_or_else(|| {
                    asked.borrow_mut().push(command.to_owned());
                    false
                })
            });
            (resolution, asked.into_inner())
        };
        if asked.is_empty() {
            // The path that was found is run, whatever another `PATH` would find.
            if let Some(Some(path)) = known.get(&resolution.program.command) {
                resolution.program.command = path.to_string_lossy().into_owned();
            }
            return resolution;
        }
        for command in asked {
            let found = deps.commands.locate(&command).await;
            known.insert(command, found);
        }
    }
}

/// Whether this file holds settings, too: that it cannot be read at all is reported where those are read, once.
fn is_reported_with_settings(deps: &Deps, path: &Path) -> bool {
    deps.dialect().facts().has_daemon_keys_in_town_settings && path == deps.paths.town_settings()
}

async fn read<T: Default>(
    deps: &Deps,
    path: &Path,
    parse: impl Fn(&[u8]) -> Result<Parsed<T>, ProgramFileError>,
) -> T {
    let shown = terminal::path(deps.paths.shown(path)).to_string();
    let key = format!("agents/{shown}");
    let reading = Reading::of(Path::new(&shown), deps.files.read(path).await, |_, bytes| Ok(parse(bytes)));
    let (value, problem) = match reading {
        Reading::Missing => (T::default(), None),
        Reading::Bad(_) | Reading::Good(Err(_)) if is_reported_with_settings(deps, path) => {
            deps.starts.in_doubt.file(path, true);
            deps.problems.clear(&key);
            return T::default();
        }
        Reading::Bad(problem) => (T::default(), Some(problem.to_string())),
        Reading::Good(Err(ProgramFileError { line, column, reason })) => {
            (T::default(), Some(format!("{shown}:{line}:{column}: {reason}; ignored")))
        }
        Reading::Good(Ok(parsed)) if parsed.problems.is_empty() => (parsed.value, None),
        Reading::Good(Ok(parsed)) => {
            let problems = parsed.problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
            (parsed.value, Some(format!("{shown}: {problems}; the rest of it is used")))
        }
    };
    deps.starts.in_doubt.file(path, problem.is_some());
    match problem {
        Some(problem) => deps.problems.report(key, problem),
        None => deps.problems.clear(&key),
    };
    value
}
