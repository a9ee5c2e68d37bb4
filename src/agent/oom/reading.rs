//! Reading of the kernel's counters of agents' cgroups: while they live, and when they have ended. It must not decide
//! anything.

use std::{collections::BTreeMap, path::Path};

use super::{Counter, Counters, OomKill, is_alone, judge};
use crate::{
    agent::spec::AgentSpec,
    deps::Deps,
    ports::memory,
    sessions::{Pane, PaneTarget, scan::Scan},
};

/// Reads the counters of these agents, which live in these panes of the scan. Call it in a task.
pub async fn refresh(deps: &Deps, scan: &Scan, there: &[(AgentSpec, PaneTarget)]) {
    let Ok(sessions) = &scan.sessions else { return };
    let files = &*deps.files;
    // All panes count, also those of people.
    let panes = sessions.values().flat_map(|session| &session.panes).filter_map(Pane::process);
    let known = memory::groups_of(files, panes.chain(deps.sessions.place().server).collect()).await;
    let mut read = BTreeMap::new();
    for (agent, pane) in there {
        let groups = known.get(&pane.pid()).map(Vec::as_slice).unwrap_or_default();
        let mut counters = Vec::new();
        for group in groups {
            if !read.contains_key(group) {
                read.insert(group.clone(), count(deps, group).await);
            }
            counters.extend(read.get(group).cloned().flatten());
        }
        // Where its own cgroup has no counter, it is not alone in the one that counts.
        let is_counted = counters.first().map(|it| &it.group) == groups.first();
        let is_alone = is_counted && deps.sessions.place().server.is_some() && is_alone(pane.pid(), &known);
        let session = pane.session_id().to_owned();
        let counters = Counters { session, groups: counters, is_alone, found: None };
        deps.records.set_oom_counters(&agent.identity, Some(counters).filter(|it| !it.groups.is_empty()));
    }
}

/// Reads one cgroup; `None`: it has no counter.
async fn count(deps: &Deps, group: &Path) -> Option<Counter> {
    let kills = memory::oom_kills(&*deps.files, group).await?;
    Some(Counter { group: group.to_owned(), kills, limit: memory::limit(&*deps.files, group).await })
}

/// Whether the kernel killed this agent, which lived in the session with this id and has ended by SIGKILL.
pub async fn of(deps: &Deps, agent: &AgentSpec, session: &str) -> Option<OomKill> {
    let before = deps.records.oom_counters(&agent.identity).filter(|it| it.session == session)?;
    if before.found.is_some() {
        return before.found;
    }
    let mut now = Vec::new();
    for counter in &before.groups {
        now.push(memory::oom_kills(&*deps.files, &counter.group).await);
    }
    let found = judge(&before, &now)?;
    deps.records.set_oom_counters(&agent.identity, Some(Counters { found: Some(found), ..before }));
    Some(found)
}
