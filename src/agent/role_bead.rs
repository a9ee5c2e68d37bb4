//! Role beads: what the town's ledger says about starting agents of a role, beyond the built-in ways.
//!
//! Each role may have a bead, `hq-<role>-role` or, before Gas Town 0.2.6, `gt-<role>-role`, with the label `gt:role`.
//! In a 1.x town [files](file) replace them.
//! [`description`] parses its text; [`overrides`] applies it to one agent. Role beads are read ahead and cached: a
//! start never waits for `bd`, and what cannot be read changes nothing.

use std::{collections::BTreeMap, path::Path};

use self::{
    description::Parsed,
    kept::{Files, Known},
};
use crate::{
    deps::Deps,
    ledger::{ahead, beads, fault::Fault, installed},
    terminal,
    town::{
        bead::Bead,
        identity::{RigName, Role},
        reading::Reading,
        settings::Naming,
    },
};

pub mod description;
pub mod file;
pub mod kept;
pub mod overrides;

/// The label a role bead has.
const LABEL: &str = "gt:role";

/// What to do about a role file that cannot be used.
pub const NOT_USED: &str = "correct it; until then the file is not used";

/// The prefix of the problem keys about role beads.
const PROBLEM: &str = "role-beads";

/// Reads the beads of all roles ahead and stores what they say. May take as long as `bd` does. When they cannot be
/// read, the previous values stay. That is reported while it lasts, and so is an error in one of them.
pub async fn read(deps: &Deps) {
    let ids: Vec<String> = Role::of_gas_town().flat_map(ids).collect();
    let found = match beads::all(ahead::read(deps, &ids).await) {
        Ok(found) => found,
        Err(why) if installed::is_reported(&why) || Fault::of(&why).is_some() => {
            deps.problems.clear(PROBLEM);
            return;
        }
        Err(why) => {
            let text =
                format!("the role beads could not be read: {why}; their last known values stay in force");
            deps.problems.report(PROBLEM, text);
            return;
        }
    };
    deps.problems.clear(PROBLEM);
    let naming = deps.settings().tmux.naming;
    let mut known = BTreeMap::new();
    for role in Role::of_gas_town() {
        let (said, faults) = of_role(role, naming, &found);
        known.extend(said.map(|said| (role, said)));
        let key = format!("{PROBLEM}/{role}");
        if faults.is_empty() {
            deps.problems.clear(&key);
        } else {
            deps.problems.report(key, faults.join("; "));
        }
    }
    deps.starts.role_beads.replace(deps, known).await;
}

/// Reads the files of all roles, in a town where they replace role beads. `rigs` are its rigs, with the prefixes of their
/// sessions. A file that cannot be used is reported while that lasts, and counts as missing.
pub async fn read_files(deps: &Deps, rigs: &[(RigName, String)]) {
    let mut files = Files::new();
    for role in Role::of_gas_town() {
        let town = read_file(deps, None, role).await;
        if let Some(known) = &town {
            let config = known.config.clone().with_prefix(TOWN_PREFIX);
            files.insert((None, role), Known { config, ..known.clone() });
        }
        for (rig, prefix) in rigs {
            let both = match (town.clone(), read_file(deps, Some(rig), role).await) {
                (Some(town), Some(rig)) => Some(Known { config: town.config.beneath(rig.config), ..rig }),
                (town, rig) => rig.or(town),
            };
            let filled =
                both.map(|Known { bead, config }| Known { bead, config: config.with_prefix(prefix) });
            files.extend(filled.map(|known| ((Some(rig.clone()), role), known)));
        }
    }
    deps.starts.role_beads.replace_files(files);
}

/// What `{prefix}` stands for in files about agents of the town.
const TOWN_PREFIX: &str = "hq";

async fn read_file(deps: &Deps, rig: Option<&RigName>, role: Role) -> Option<Known> {
    let path = deps.paths.role_file(rig, role);
    let shown = terminal::path(deps.paths.shown(&path)).to_string();
    let key = rig.map_or_else(|| format!("roles/{role}"), |rig| format!("rig/{rig}/roles/{role}"));
    match Reading::of(Path::new(&shown), deps.files.read(&path).await, file::parse) {
        Reading::Good(config) => {
            deps.problems.clear(&key);
            Some(Known { bead: shown, config })
        }
        Reading::Missing => {
            deps.problems.clear(&key);
            None
        }
        Reading::Bad(problem) => {
            let problem = problem.advise(NOT_USED);
            deps.problems.report(key, problem.to_string());
            None
        }
    }
}

/// The possible ids of a role's bead; the first that exists counts.
fn ids(role: Role) -> [String; 2] {
    ["hq", "gt"].map(|prefix| format!("{prefix}-{role}-role"))
}

/// What the beads say about one role, and the errors in that.
fn of_role(role: Role, naming: Naming, found: &[Bead]) -> (Option<Known>, Vec<String>) {
    let ids = ids(role);
    let mut open = ids.iter().filter_map(|id| found.iter().find(|bead| bead.id == *id && !bead.is_closed()));
    let mut faults = Vec::new();
    let bead = open.find(|bead| {
        let labelled = bead.labels.iter().any(|label| label == LABEL);
        if !labelled {
            faults
                .push(format!("{} is ignored as the role bead of {role}: it has no label {LABEL}", bead.id));
        }
        labelled
    });
    let Some(Bead { id, description, .. }) = bead else {
        return (None, faults);
    };
    let Parsed { config, faults: wrong } = description::parse(description);
    faults.extend(wrong.into_iter().map(|fault| format!("{id}: {fault}")));
    let ours = config.as_ref().and_then(|config| config.other_session(role, naming));
    if let Some(ours) = ours {
        faults.push(format!("{id}: its session_pattern is ignored: sessions of a {role} are named {ours}"));
    }
    (config.map(|config| Known { bead: id.clone(), config }), faults)
}
