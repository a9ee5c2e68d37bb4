//! Unsupervised: agents that run in sessions named like a rig's polecats, though the rig has no such polecat.
//!
//! Such an agent works, costs, and is not restarted. It is only reported, and only when all of this is known: nobody supervises a
//! session of this name, the session is this town's by its environment, and a polecat's program runs in it. A shell of that name
//! is a person's own, and what cannot be found out is not reported. Crew, the mayor and dogs are never meant. Nothing here may touch
//! a session.

use std::sync::Arc;

use crate::{
    agent::{
        foreign,
        liveness::{ProcessNames, agent_pane},
        programs,
        spec::AgentSpec,
    },
    deps::Deps,
    sessions::{Session, scan::Trees},
    terminal,
    town::{
        identity::{AgentName, Identity, Role},
        rig_plan::RigPlan,
    },
};

/// What begins with this is named by Gas Town after the town and not after a rig: `hq-dog-alpha`.
const TOWN: &str = "hq-";

/// Reports which of these sessions, which nobody supervises, agents of this town run in; or that there are none.
pub async fn report(deps: &Deps, rig: &RigPlan, sessions: &[Arc<Session>], trees: &Trees) {
    let mut texts = Vec::new();
    for session in sessions {
        match is_an_agent(deps, rig, session, trees).await {
            Some(Some(name)) => texts.push(text(deps, rig, &session.name, &name)),
            Some(None) => {}
            // The next heartbeat may find it out.
            None => return,
        }
    }
    deps.problems.report_all(&format!("rig/{}/polecats/unsupervised", rig.name), &texts);
}

/// The polecat as which an agent of this town runs in a session; the outer `None`: it is not known.
async fn is_an_agent(
    deps: &Deps,
    rig: &RigPlan,
    session: &Session,
    trees: &Trees,
) -> Option<Option<AgentName>> {
    let trees = trees.as_ref().ok()?;
    let Some(name) = polecat(deps, rig, &session.name) else { return Some(None) };
    // One that has a directory is, or will be, supervised; where the directories cannot be read, nobody knows.
    let has_directory = deps.files.is_dir(&deps.paths.polecats(&rig.name).join(name.as_str())).await.ok()?;
    if has_directory || !is_of_this_town(deps, session).await? {
        return Some(None);
    }
    let naming = deps.settings().tmux.naming;
    let spec = AgentSpec::new(Identity::Polecat(rig.name.clone(), name.clone()), naming, &rig.prefix);
    let names = ProcessNames::new(&programs::find(deps, &spec).await.program, None);
    Some(agent_pane(&session.panes, trees, &names).map(|_| name))
}

/// The polecat that a session is named after; `None` when it is none of this rig's.
fn polecat(deps: &Deps, rig: &RigPlan, session: &str) -> Option<AgentName> {
    let begin =
        Role::Polecat.session(deps.settings().tmux.naming, &rig.prefix.sessions, Some(&rig.name), None);
    session.strip_prefix(&begin).filter(|_| !session.starts_with(TOWN))?.parse().ok()
}

/// Whether the environment of a session names this town and no other; `None` when that is not known.
async fn is_of_this_town(deps: &Deps, session: &Session) -> Option<bool> {
    let (files, root) = (&*deps.files, deps.paths.root());
    if foreign::other_town(files, root, &session.towns).await.ok()?.is_some() {
        return Some(false);
    }
    for town in &session.towns {
        if foreign::is_this(files, root, town).await.ok()? {
            return Some(true);
        }
    }
    Some(false)
}

fn text(deps: &Deps, rig: &RigPlan, session: &str, name: &AgentName) -> String {
    let (rig, attach) = (&rig.name, deps.sessions.place().attach(session));
    let session = terminal::one_line(session);
    format!(
        "an agent runs in session {session}, but there is no directory {rig}/polecats/{name}: nobody supervises it; to look at it, \
         run `{attach}`, and end the session when nothing in it is needed"
    )
}
