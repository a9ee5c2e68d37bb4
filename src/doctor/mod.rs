//! The doctor: looks at a town from outside and says what is wrong with it, and what to do.
//!
//! It works with and without a running supervisor, through the same ports and parsers the supervisor uses. Each area is looked
//! at beside the others, within a limit of its own; what could not be found out in time is said to be unknown, which is wrong only
//! where it keeps the supervisor from working. What an area found is judged by plain functions: what was seen in, findings out.
//!
//! **It changes nothing**: no file, directory or lock is made, no broken file set aside, no tmux server started or attached to,
//! no process signalled. `bd`, `gt` and `git` are asked for their versions and for nothing else.

use std::{future::Future, io, path::Path, sync::Arc, time::Duration};

use tokio::{sync::watch, time::timeout};

use self::files::Look;
use crate::{
    agent::{identity::RigName, spec::AgentSpec},
    deps::Deps,
    problems::OpenProblems,
    rig::plan::RigPlan,
    service::{self, adapters},
    town::{
        files::{Disk, Files},
        paths::TownPaths,
        root,
    },
};

mod agents;
mod clock;
mod daemon;
mod disk;
mod files;
mod finding;
mod lines;
mod obstacles;
mod permissions;
mod servers;
pub(crate) mod telling;
mod tmux;
mod tools;

pub use finding::{Area, Finding, Report, Severity};

/// How long reading the settings and the list of rigs may take, each.
const FIRST: Duration = Duration::from_secs(2);

/// How long an area may take.
const LIMIT: Duration = Duration::from_secs(4);

/// Examines the town in this directory; `None`: the one that `GT_TOWN_ROOT` or `GT_ROOT` names, or that is around the working
/// directory. Takes a moment, and at most some seconds; a disk that hangs may leave threads behind. Without a town the report
/// says so.
///
/// Inside a tokio runtime with IO and time.
///
/// ```no_run
/// use gastown_supervisor::doctor::{self, Severity};
///
/// # async fn example() -> std::io::Result<()> {
/// let report = doctor::examine(Some("/home/me/gt".as_ref())).await?;
/// for finding in report.findings.iter().filter(|finding| finding.severity == Severity::Wrong) {
///     println!("{}; {}", finding.what, finding.hint.as_deref().unwrap_or_default());
/// }
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// There is no working directory.
pub async fn examine(town: Option<&Path>) -> io::Result<Report> {
    let cwd = std::env::current_dir()?;
    let env = |name: &str| std::env::var(name).ok();
    Ok(match root::find_and_say(town, &env, &cwd, &Disk) {
        Ok((root, by)) => examine_town(TownPaths::new(root), by).await,
        Err(error) => Report::new(None, vec![Area::Town.wrong(error.to_string(), "")]),
    })
}

async fn examine_town(paths: TownPaths, by: Option<&'static str>) -> Report {
    let root = paths.root().to_owned();
    let by = by.unwrap_or("the working directory lies in it");
    let mut findings = vec![Area::Town.ok(format!("{} ({by})", root.display()))];
    let town = (&Disk as &dyn Files, &paths);
    let Ok((read, settings)) = timeout(FIRST, files::settings(town)).await else {
        findings.push(unread("the settings"));
        return Report::new(Some(root), findings);
    };
    let usable = settings.is_some();
    let settings = settings.unwrap_or_default();
    let Ok((listed, rigs)) = timeout(FIRST, files::rigs(town, settings.tmux.naming)).await else {
        findings.push(unread("the list of rigs"));
        return Report::new(Some(root), findings);
    };
    // A town can be found by its `mayor` directory alone, but not be named.
    if matches!(Disk.exists(&paths.town_json()).await, Ok(false)) {
        let what = "it has no mayor/town.json: it was found by its directory mayor/ alone";
        let hint = "`gt install` makes a town; --town and GT_TOWN_ROOT need the file";
        findings.push(Area::Town.note(what, hint));
    }
    // The real ports. Nothing is asked of tmux through them: its adapter would make a session to be attached to. The last value
    // stays readable when its sender is gone.
    let (_, settings) = watch::channel(Arc::new(settings));
    let (deps, reported) = adapters::deps(paths, settings).await;
    findings.extend(areas(&deps, &reported, &rigs, [read, listed], usable).await);
    Report::new(Some(root), findings)
}

fn unread(what: &str) -> Finding {
    Area::Files.wrong(
        format!("{what} could not be read within {}s", FIRST.as_secs()),
        "see whether the town's disk answers",
    )
}

async fn areas(
    deps: &Deps,
    reported: &OpenProblems,
    rigs: &[RigPlan],
    read: [Look; 2],
    usable: bool,
) -> Vec<Finding> {
    let names: Vec<RigName> = rigs.iter().map(|rig| rig.name.clone()).collect();
    let known = timeout(FIRST, agents::everybody(deps, reported, rigs)).await;
    let unknown = known.is_err().then(|| late(Area::Agents, FIRST));
    let (everybody, bad_names) = known.unwrap_or_default();
    let found = tokio::join!(
        within(Area::Supervisor, daemon::look(deps)),
        within(Area::Files, async {
            let (all, events) = tokio::join!(files::all(deps, &names, &everybody), within_events(deps));
            files::sum(read.into_iter().chain([all, events]))
        }),
        within(Area::Permissions, permissions::look(deps, &names)),
        within(Area::Locks, obstacles::look(deps, &names)),
        within(Area::Tools, tools::look(deps)),
        within(Area::Agents, agents::look(deps, &everybody, &bad_names)),
        within(Area::Tmux, servers(deps, &everybody, usable)),
        within(Area::Clock, clock::look(deps)),
    );
    let (supervisor, files, permissions, locks, tools, agents, tmux, clock) = found;
    let found = [supervisor, files, permissions, locks, tools, agents, tmux, clock];
    unknown.into_iter().chain(found.into_iter().flatten()).collect()
}

/// Large files of events take the longest, and are the least of what can be wrong.
async fn within_events(deps: &Deps) -> Look {
    timeout(LIMIT / 2, files::events(deps)).await.unwrap_or_else(|_| Look {
        findings: vec![Area::Files.note("the files of events could not be looked through in time", "")],
        ..Look::default()
    })
}

async fn servers(deps: &Deps, agents: &[AgentSpec], usable: bool) -> Vec<Finding> {
    if !usable {
        let what = "which tmux server is meant is not known: settings/supervisor.json cannot be used";
        return vec![Area::Tmux.note(what, "")];
    }
    let refused = service::refusal(&deps.paths, &deps.settings()).await;
    let refused = refused.map(|why| Area::Tmux.wrong(format!("it cannot run here: {why}"), ""));
    let town = tmux::Town::new(deps, agents);
    let looked = servers::look(deps, &town, adapters::socket_variable()).await;
    let findings = looked.unwrap_or_else(|why| {
        vec![Area::Tmux.note(format!("its servers could not be looked at: {why}"), "")]
    });
    refused.into_iter().chain(findings).collect()
}

async fn within(area: Area, look: impl Future<Output = Vec<Finding>>) -> Vec<Finding> {
    timeout(LIMIT, look).await.unwrap_or_else(|_| vec![late(area, LIMIT)])
}

fn late(area: Area, limit: Duration) -> Finding {
    area.note(format!("could not be looked at within {}s: how it is is not known", limit.as_secs()), "")
}
