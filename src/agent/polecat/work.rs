//! The work of a polecat, read from `bd`: its agent bead, and the bead on its hook.
//!
//! It reads; [`rules`] judges. Nothing is cached: each call reads afresh, except when a snapshot is passed in.

use jiff::Timestamp;

use super::rules;
use crate::{
    agent::{confirmation::Assignment, denial::Unwanted, spec::AgentSpec},
    ledger::{
        Ledger,
        agents::{self, AgentBead},
        answer::Answer,
        beads,
        snapshot::{self, AgentSnapshot},
    },
    town::{
        bead::Bead,
        identity::{Identity, Wanted},
    },
};

/// Reads the polecat's agent bead and then the bead on its hook, and judges them. Where the work bead decides and the agent
/// bead names none that is this polecat's, the rig's database is searched for one. `prefix` is its rig's bead prefix
/// without the trailing `-`; `seen_alive` is when it was last seen alive. Agents of other roles are wanted even
/// without work.
pub async fn read(
    ledger: &Ledger,
    spec: &AgentSpec,
    prefix: &str,
    seen_alive: Option<Timestamp>,
) -> Assignment {
    if spec.identity.facts().wanted != Wanted::WithWork {
        return Assignment::Permanent;
    }
    read_with_agent(ledger, spec, prefix, seen_alive).await.0
}

/// Like [`read`], for a polecat; also returns the agent bead it was judged by, if there is one.
pub async fn read_with_agent(
    ledger: &Ledger,
    spec: &AgentSpec,
    prefix: &str,
    seen_alive: Option<Timestamp>,
) -> (Assignment, Option<AgentBead>) {
    let mut agent = agents::one(ledger, &spec.identity, prefix).await;
    // The bead on the hook is read only when the result depends on it.
    let named = match judge(ledger, &spec.identity, &agent, &Answer::NotAsked, seen_alive) {
        Assignment::Hooked { hook } => read_work(ledger, &spec.identity, prefix, &hook).await,
        _ => Answer::NotAsked,
    };
    let mut assignment = judge(ledger, &spec.identity, &agent, &named, seen_alive);
    if let (Some(assignee), Some(rig)) = (assignee(ledger, &spec.identity), spec.identity.rig())
        && let Answer::Found(agent_bead) = &mut agent
        && may_have_other_work(&assignment)
    {
        let database = ledger.database_of_rig(rig, prefix);
        assignment = match beads::at_work(ledger, &database, Some(&assignee)).await {
            Err(why) => Assignment::Unknown(why),
            Ok(beads) => match snapshot::work_of(&assignee, None, &beads).cloned() {
                None => assignment,
                Some(bead) => {
                    agent_bead.hook = Some(bead.id.clone());
                    judge(ledger, &spec.identity, &agent, &Answer::Found(bead), seen_alive)
                }
            },
        };
    }
    match agent {
        Answer::Found(agent) => (assignment, Some(agent)),
        _ => (assignment, None),
    }
}

/// The name by which a work bead must name this agent, in a town where the work bead decides; `None` elsewhere.
pub fn assignee(ledger: &Ledger, identity: &Identity) -> Option<String> {
    ledger.dialect().facts().work_bead_decides.then(|| identity.to_string())
}

/// Whether the bead that the agent bead names is not its work, so that another one may be.
fn may_have_other_work(assignment: &Assignment) -> bool {
    use Unwanted::{NoWork, WorkClosed, WorkMissing, WorkNotHooked, WorkNotIts};
    let Assignment::None(why) = assignment else { return false };
    matches!(why, NoWork | WorkClosed(_) | WorkMissing(_) | WorkNotHooked(_) | WorkNotIts(_))
}

async fn read_work(ledger: &Ledger, identity: &Identity, prefix: &str, hook: &str) -> Answer<Bead> {
    match identity.rig() {
        Some(rig) => beads::one_in(ledger, &ledger.database_of_work(rig, prefix, hook), hook).await,
        None => beads::one(ledger, hook).await,
    }
}

/// Judges one polecat by a snapshot of its rig, which can only nominate it. `None` when it was not one of the rig's
/// polecats at that time.
pub fn nominated(
    ledger: &Ledger,
    snapshot: &AgentSnapshot,
    polecat: &Identity,
    seen_alive: Option<Timestamp>,
) -> Option<Assignment> {
    let agent = snapshot.agents.get(polecat)?;
    let hook = match agent {
        Answer::Found(agent) => agent.hook.as_deref(),
        _ => None,
    };
    Some(judge(
        ledger,
        polecat,
        agent,
        hook.map_or(&Answer::NotAsked, |hook| snapshot.hooked(hook)),
        seen_alive,
    ))
}

fn judge(
    ledger: &Ledger,
    polecat: &Identity,
    agent: &Answer<AgentBead>,
    hooked: &Answer<Bead>,
    seen_alive: Option<Timestamp>,
) -> Assignment {
    let (now, guard) = (ledger.now().wall, ledger.settings().polecats.spawning_guard);
    rules::judged(assignee(ledger, polecat).as_deref(), agent, hooked, now, seen_alive, guard)
}
