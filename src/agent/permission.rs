//! Permission: may anything be started, nudged or ended here, now?
//!
//! One answer from the operational gate and the switches: the emergency stop, a running `gt down`, the rig parked or
//! docked, the patrol disabled, the deacon paused, another agent of the same session name. What could not be read is
//! unknown, and unknown permits nothing. It is evaluated for each decision and again right before each act, as other
//! programs write these files. It must not act.

use std::{io, path::Path};

use super::{
    accounts,
    confirmation::{Permission, StateFile},
    denial::Denial,
    spec::AgentSpec,
};
use crate::{
    deps::Deps,
    ledger::answer::Answer,
    operator::pid_file::{self, Named},
    ports::problems::ProblemKey,
    terminal,
    town::{
        agent_state::{self, AgentState},
        deacon_file,
        files::LockState,
        identity::{Identity, RigName},
        reading::{Reading, shorten},
        settings::Patrols,
        wisp::{self, Operational},
    },
};

/// One possible obstacle.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Obstacle {
    None,
    Denied(Denial),
    Unknown(String),
}

/// Combines obstacles: a denial beats an unknown, an unknown beats nothing.
fn combine(obstacles: impl IntoIterator<Item = Obstacle>) -> Permission {
    let mut unknown = None;
    for obstacle in obstacles {
        match obstacle {
            Obstacle::None => {}
            Obstacle::Denied(why) => return Permission::Denied(why),
            Obstacle::Unknown(why) => unknown = unknown.or(Some(why)),
        }
    }
    unknown.map_or(Permission::Allowed, Permission::Unknown)
}

/// Checks every possible obstacle for this agent, its account at last.
pub async fn ask(deps: &Deps, spec: &AgentSpec) -> Permission {
    match ask_but_for_the_account(deps, spec).await {
        Permission::Allowed => match accounts::denial(deps, spec).await {
            Some(denial) => Permission::Denied(denial),
            None => Permission::Allowed,
        },
        other => other,
    }
}

/// The same for what an account that is used up does not matter to: the end of an agent, or the rest of its start.
pub async fn ask_but_for_the_account(deps: &Deps, spec: &AgentSpec) -> Permission {
    let switch = switch(&deps.settings().patrols, spec);
    if let Obstacle::Denied(why) = switch {
        return Permission::Denied(why);
    }
    if let Some(why) = deps.directory.contested(&spec.session) {
        return Permission::Denied(Denial::SessionNameTaken(why));
    }
    let mut obstacles = town_gates(deps).await;
    if let Some(rig) = spec.identity.rig() {
        obstacles.extend(rig_gates(deps, rig).await);
    }
    if spec.identity.facts().is_pausable {
        obstacles.push(pause(deps).await);
    }
    combine(obstacles)
}

/// What keeps the whole town, or one of these rigs, from being started; `None` when a part of that could not be found out.
pub async fn closed(
    deps: &Deps,
    rigs: impl IntoIterator<Item = RigName>,
) -> Option<Vec<(Option<RigName>, Denial)>> {
    let mut gates: Vec<_> = town_gates(deps).await.into_iter().map(|gate| (None, gate)).collect();
    for rig in rigs {
        gates.extend(rig_gates(deps, &rig).await.map(|gate| (Some(rig.clone()), gate)));
    }
    let mut closed = Vec::new();
    for (rig, gate) in gates {
        match gate {
            Obstacle::None => {}
            Obstacle::Denied(denial) => closed.push((rig, denial)),
            Obstacle::Unknown(_) => return None,
        }
    }
    Some(closed)
}

/// Whether anything may be started in this town; an error says why not.
pub async fn of_town(deps: &Deps) -> Result<(), String> {
    allowed(combine(town_gates(deps).await))
}

/// Whether anything may be started in this rig; an error says why not.
pub async fn of_rig(deps: &Deps, rig: &RigName) -> Result<(), String> {
    allowed(combine(town_gates(deps).await.into_iter().chain(rig_gates(deps, rig).await)))
}

fn allowed(permission: Permission) -> Result<(), String> {
    match permission {
        Permission::Allowed => Ok(()),
        Permission::Denied(denial) => Err(denial.to_string()),
        Permission::Unknown(why) => Err(why),
    }
}

/// What keeps the whole town from being started: files of Gas Town.
async fn town_gates(deps: &Deps) -> Vec<Obstacle> {
    if !deps.dialect().facts().has_gt {
        return Vec::new();
    }
    let estop = present(deps, "gate/estop", &deps.paths.estop(), Denial::EmergencyStop).await;
    let mut gates = vec![estop, shutdown_lock(deps).await];
    if deps.dialect().facts().has_shutting_down_file {
        gates.push(shutting_down(deps).await);
    }
    gates
}

async fn rig_gates(deps: &Deps, rig: &RigName) -> [Obstacle; 2] {
    let (key, estop) = (format!("rig/{rig}/estop"), deps.paths.estop_rig(rig));
    [present(deps, &key, &estop, Denial::RigEmergencyStop).await, rig_gate(deps, rig).await]
}

/// The word in the state file of a witness or refinery; other agents have none.
pub async fn state_file(deps: &Deps, spec: &AgentSpec) -> StateFile {
    let has_file = deps.dialect().facts().has_state_files && spec.identity.facts().has_state_file;
    let (true, Some(rig)) = (has_file, spec.identity.rig()) else {
        return StateFile::Silent;
    };
    let path = deps.paths.agent_state(rig, spec.identity.role());
    match Reading::of(deps.paths.shown(&path), deps.files.read(&path).await, agent_state::parse) {
        Reading::Good(AgentState::Stopped) => StateFile::Stopped,
        Reading::Good(AgentState::Running) => StateFile::Running,
        _ => StateFile::Silent,
    }
}

fn switch(patrols: &Patrols, spec: &AgentSpec) -> Obstacle {
    let off = spec.identity.switched_off(patrols).map(|name| match patrols.disabled.contains(name) {
        true => Denial::PatrolDisabled(name),
        false => Denial::PatrolOff(name),
    });
    off.map_or(Obstacle::None, Obstacle::Denied)
}

async fn present(deps: &Deps, key: &str, path: &Path, what: Denial) -> Obstacle {
    known(deps, (key, path, READABLE), deps.files.exists(path).await.map(|there| there.then_some(what)))
}

/// While another process holds the lock, `gt down` is stopping the town; the file alone means nothing.
async fn shutdown_lock(deps: &Deps) -> Obstacle {
    let path = deps.paths.shutdown_lock();
    let held = match deps.files.probe_lock(&path).await {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(LockState::Free),
        state => state,
    };
    let held = held.map(|state| (state == LockState::Held).then_some(Denial::TownShutdown));
    known(deps, ("gate/shutdown_lock", &path, READABLE), held)
}

/// While the `gt down` that `daemon/shutting-down` names runs, it is stopping the town.
async fn shutting_down(deps: &Deps) -> Obstacle {
    let path = deps.paths.shutting_down();
    let named = pid_file::look(deps, &path).await;
    let denied = named.map(|it| matches!(it, Named::Gt(_)).then_some(Denial::TownShutdown));
    known(deps, ("gate/shutting_down", &path, "remove it if no `gt down` runs"), denied)
}

/// What to do about a path that cannot be read.
const READABLE: &str = "check its owner and permissions";

/// The obstacle at this path, if there is one. A path that cannot be read is also noted as a problem, with what to do: nothing
/// is started while that lasts.
fn known(
    deps: &Deps,
    (key, path, advice): (&str, &Path, &str),
    denied: io::Result<Option<Denial>>,
) -> Obstacle {
    match denied {
        Ok(denied) => {
            deps.problems.clear(key);
            denied.map_or(Obstacle::None, Obstacle::Denied)
        }
        Err(error) => {
            let why = format!("{} cannot be examined: {error}", terminal::path(deps.paths.shown(path)));
            let text = format!("{why}; agents it may block are not started until it can be: {advice}");
            deps.problems.report(ProblemKey::from(key).critical(), text);
            Obstacle::Unknown(why)
        }
    }
}

async fn rig_gate(deps: &Deps, rig: &RigName) -> Obstacle {
    let path = deps.paths.wisp(rig);
    let reading = Reading::of(deps.paths.shown(&path), deps.files.read(&path).await, wisp::parse);
    let key = format!("rig/{rig}/wisp");
    // Without that directory no rig of this town was ever parked, so a missing file hides nothing.
    let ever_parked = matches!(reading, Reading::Missing)
        && deps.files.exists(&deps.paths.wisp_dir()).await.unwrap_or_default();
    match (reading.problem(), wisp::warning(&reading, rig.as_str(), ever_parked)) {
        (Some(problem), _) => {
            deps.problems.report(key, problem.to_string());
        }
        (None, Some(warning)) => {
            deps.problems.report(key, warning);
        }
        (None, None) => {
            deps.problems.clear(&key);
        }
    }
    match wisp::operational(&reading) {
        Operational::Yes if deps.is_label_unread(rig) => Obstacle::Unknown(unread_label(deps, rig)),
        Operational::Yes => deps.docked(rig).map_or(Obstacle::None, |why| Obstacle::Denied(Denial::Rig(why))),
        Operational::No(why) => Obstacle::Denied(Denial::Rig(why)),
        Operational::Unknown(why) => Obstacle::Unknown(why),
    }
}

/// Why it is unknown whether the rig is docked.
fn unread_label(deps: &Deps, rig: &RigName) -> String {
    let why = match deps.snapshot(rig).as_deref().map(|snapshot| snapshot.rig_bead.clone()) {
        Some(Answer::Unknown(why)) => format!(": {}", shorten(&why)),
        _ => String::new(),
    };
    format!("the bead of rig {rig}, which says whether it is docked, was not read yet{why}")
}

/// A pause file that cannot be read could say "paused": unknown.
async fn pause(deps: &Deps) -> Obstacle {
    let path = deps.paths.deacon_paused();
    let key = ProblemKey::named("deacon/paused").of(&Identity::Deacon);
    match Reading::of(deps.paths.shown(&path), deps.files.read(&path).await, deacon_file::parse_pause) {
        Reading::Bad(problem) => {
            let why = problem.to_string();
            deps.problems.report(key, why.clone());
            Obstacle::Unknown(why)
        }
        Reading::Good(pause) if pause.paused => {
            deps.problems.clear(&key);
            let reason = pause.reason.filter(|reason| !reason.is_empty());
            Obstacle::Denied(Denial::DeaconPaused(reason))
        }
        Reading::Good(_) | Reading::Missing => {
            deps.problems.clear(&key);
            Obstacle::None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::town::settings::Patrol;

    #[test]
    fn a_denial_beats_an_unknown_beats_nothing() {
        let denied = || Obstacle::Denied(Denial::EmergencyStop);
        let unknown = |why: &str| Obstacle::Unknown(why.into());
        for (name, obstacles, expected) in [
            ("nothing", vec![], Permission::Allowed),
            ("all clear", vec![Obstacle::None, Obstacle::None], Permission::Allowed),
            ("unknown", vec![Obstacle::None, unknown("a"), unknown("b")], Permission::Unknown("a".into())),
            (
                "denied",
                vec![unknown("a"), denied(), Obstacle::None],
                Permission::Denied(Denial::EmergencyStop),
            ),
        ] {
            assert_eq!(combine(obstacles), expected, "{name}");
        }
    }

    #[test]
    fn the_switches_govern_their_patrols() {
        let off = Patrol { enabled: false, rigs: None };
        let only_a = Patrol { enabled: true, rigs: Some(vec!["a".into()]) };
        let patrols = Patrols {
            deacon: off.clone(),
            witness: only_a,
            refinery: Patrol::default(),
            ..Patrols::default()
        };
        let rig = |name: &str| name.parse().unwrap();
        for (identity, on) in [
            (Identity::Deacon, false),
            (Identity::Boot, false),
            (Identity::Mayor, true),
            (Identity::Witness(rig("a")), true),
            (Identity::Witness(rig("b")), false),
            (Identity::Refinery(rig("b")), true),
        ] {
            let spec = AgentSpec { session: String::new(), identity, prefix: String::new() };
            assert_eq!(switch(&patrols, &spec) == Obstacle::None, on, "{}", spec.identity);
        }
        let disabled = Patrols { deacon: off, disabled: ["deacon".to_owned()].into(), ..Patrols::default() };
        let spec = AgentSpec { session: String::new(), identity: Identity::Deacon, prefix: String::new() };
        assert_eq!(switch(&disabled, &spec), Obstacle::Denied(Denial::PatrolDisabled("deacon")));
    }
}
