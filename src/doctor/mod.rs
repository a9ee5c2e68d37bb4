//! The doctor: checks a town from outside and reports what is wrong with it, and what to do.
//!
//! It works with and without a running supervisor, through the same ports and parsers as the supervisor. All areas are checked
//! at the same time, each within its own limit. What could not be found out in time is reported as unknown, which is wrong only
//! where it keeps the supervisor from working. Plain functions judge each area: observations in, findings out.
//!
//! A running supervisor is asked first: on which `PATH` it finds programs, and what is wrong as it sees it. What it reports is a finding,
//! once. In another user's town nothing else is checked.
//!
//! **It changes nothing**: it creates no file, directory or lock, but for one small file with which it tries the disk of `daemon/`, and
//! which it removes (`trial`). It renames no broken file, starts or attaches to no tmux server, and signals no process. `bd`, `gt` and
//! `git` are asked for their versions, `gt` 1.x also for the state of the town, systemd for the units in which supervisor and tmux run,
//! and for nothing else.

use std::{
    future::Future,
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use tokio::{sync::watch, time::timeout};

use self::files::Examination;
use crate::{
    agent::spec::AgentSpec,
    commands::runner::Runner,
    control::{
        client::{Answer, Client},
        programs::ProgramsReport,
        report::StatusReport,
    },
    deps::Deps,
    ports::problems::OpenProblems,
    service::{adapters, recognising},
    terminal,
    town::{
        dialect::recognise::Recognised,
        files::{Disk, Files},
        identity::RigName,
        paths::TownPaths,
        rig_plan::RigPlan,
        root::{self, Named, RootError},
        standing::Standings,
    },
};

mod agents;
mod clock;
mod daemon;
mod disk;
mod dolt;
mod file_system;
mod files;
mod finding;
mod lines;
mod memory;
mod obstacles;
mod one_file;
mod owner;
mod patrols;
mod permissions;
mod reported;
mod servers;
mod service;
pub(crate) mod telling;
mod tmux;
mod tools;
mod trial;
mod units;

pub use finding::{Area, Finding, Report, Severity};

/// The time limit for reading the settings, and for reading the list of rigs.
const FIRST: Duration = Duration::from_secs(2);

/// The time limit for each area.
const LIMIT: Duration = Duration::from_secs(4);

/// Examines the town in this directory, of either kind. `None` means the town named by `GT_TOWN_ROOT`, `GT_ROOT` or
/// `SUPERVISOR_TOWN`, or the one around the working directory. It takes at most a few seconds; a hanging disk may leave blocked threads behind. Without a town the report
/// says so.
///
/// Needs a tokio runtime with IO and time.
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
    examine_named(Named::directory(town)).await
}

/// The same of the town that is named in one of the ways of our command.
pub(crate) async fn examine_named(named: Named<'_>) -> io::Result<Report> {
    let cwd = std::env::current_dir()?;
    let env = |name: &str| std::env::var(name).ok();
    Ok(match root::find_and_say(named, &env, &cwd, &Disk) {
        Ok((paths, by)) => match paths.agents_file() {
            Some(file) => one_file::examine(paths, &file, by).await,
            None => examine_town(paths, by).await,
        },
        Err(error) => {
            let is_denied = matches!(&error, RootError::Unreadable { source, .. } if source.kind() == io::ErrorKind::PermissionDenied);
            let hint = if is_denied { owner::AS_OWNER } else { "" };
            Report::new(None, vec![Area::Town.wrong(error.to_string(), hint)])
        }
    })
}

/// What a running supervisor answers.
struct Asked {
    /// The state of the town.
    status: Answer<StatusReport>,
    /// Its programs; an error says why they are not known.
    programs: Result<ProgramsReport, String>,
    /// How programs are found in this shell.
    shell: Runner,
    paths: TownPaths,
}

impl Asked {
    async fn of(paths: &TownPaths) -> Asked {
        let client = Client::of(paths.clone());
        let (status, programs) = tokio::join!(client.status(), client.programs());
        let (programs, shell) = (programs.map_err(|error| error.to_string()), adapters::commands(paths));
        Asked { status, programs, shell, paths: paths.clone() }
    }

    fn live(&self) -> Option<&StatusReport> {
        if let Answer::Live(report) = &self.status { Some(report) } else { None }
    }

    fn programs(&self) -> Option<&ProgramsReport> {
        self.programs.as_ref().ok()
    }

    /// How the supervisor finds programs; as this shell does when none answers.
    fn runner(&self) -> Runner {
        adapters::commands_on(&self.paths, self.programs().and_then(|programs| programs.path.as_deref()))
    }

    /// The tmux socket that it uses.
    fn socket(&self) -> Option<PathBuf> {
        self.live().filter(|report| !report.tmux_socket.is_empty()).map(|report| (&report.tmux_socket).into())
    }

    /// The note that a supervisor answers, but does not say which programs it finds.
    fn unsaid(&self) -> Option<Finding> {
        let why = self.programs.as_ref().err().filter(|_| self.live().is_some())?;
        let what = format!("not checked: which programs the running supervisor finds on its PATH: {why}");
        Some(Area::Tools.note(what, "one of an earlier version does not say; `gastown-supervisor restart`"))
    }
}

async fn examine_town(paths: TownPaths, by: Option<&'static str>) -> Report {
    let root = paths.root().to_owned();
    let by = by.unwrap_or("it contains the working directory");
    let mut findings = vec![Area::Town.ok(format!("{} ({by})", terminal::path(&root)))];
    if let Ok(Some(another)) = timeout(FIRST, owner::examine(&paths)).await {
        return Report::new(Some(root), [findings, vec![another]].concat());
    }
    let asked = Asked::of(&paths).await;
    let town = (&Disk as &dyn Files, &paths);
    let Ok((read, found)) = timeout(LIMIT, files::settings(town, &asked.runner())).await else {
        findings.push(unread("the settings"));
        return Report::new(Some(root), findings);
    };
    let usable = found.settings.is_some();
    let settings = found.settings.unwrap_or_default();
    let (gas_town, refused) = match found.gas_town {
        Ok(gas_town) => {
            findings.push(Area::Town.ok(format!("{}: {}", gas_town.dialect, gas_town.because)));
            (gas_town, None)
        }
        Err(why) => (Recognised::default(), Some(why)),
    };
    let of_rigs = files::rigs(town, settings.tmux.naming, gas_town.dialect);
    let Ok((listed, rigs)) = timeout(FIRST, of_rigs).await else {
        findings.push(unread("the list of rigs"));
        return Report::new(Some(root), findings);
    };
    // A town can be found by its `mayor` directory alone, but not be named.
    if matches!(Disk.exists(&paths.town_json()).await, Ok(false)) {
        let what = "it has no mayor/town.json: it was found by its directory mayor/ alone";
        let hint = "`gt install` makes a town; --town and GT_TOWN_ROOT need the file";
        findings.push(Area::Town.note(what, hint));
    }
    // The real ports. tmux is not queried through them, because its adapter would create a session to attach to. The
    // last value stays readable after its sender is dropped.
    let (_, settings) = watch::channel(Arc::new(settings));
    let (deps, reported) = adapters::deps(paths, settings, Standings::none(), gas_town, asked.runner()).await;
    let tmux = Tmux { usable, refused, used: asked.socket() };
    findings.extend(areas(&deps, &reported.problems, &rigs, [read, listed], tmux, &asked).await);
    findings.extend(reported::examine(&deps, &asked.status, &findings).await);
    Report::new(Some(root), findings)
}

fn unread(what: &str) -> Finding {
    Area::Files.wrong(
        format!("{what} could not be read within {}s", FIRST.as_secs()),
        "check whether the town's disk responds",
    )
}

/// What is known about the tmux server before it is asked.
struct Tmux {
    /// Whether the settings can be used.
    usable: bool,
    /// Why the supervisor cannot run here.
    refused: Option<String>,
    /// The socket that a running supervisor uses, if it says so.
    used: Option<PathBuf>,
}

/// The agents of this town that run where its supervisor does not look: on another tmux server, or in sessions named by the
/// other scheme. Those are wrong; servers that do not answer are notes. Takes at most 2 s.
pub(crate) async fn twins(deps: &Deps, reported: &OpenProblems) -> Vec<Finding> {
    let search = async {
        let (_, rigs) =
            files::rigs((&*deps.files, &deps.paths), deps.settings().tmux.naming, deps.dialect()).await;
        let (everybody, _) = agents::everybody(deps, reported, &rigs).await;
        servers::twins(deps, &tmux::Town::new(deps, &everybody).by_names()).await
    };
    match timeout(FIRST, search).await {
        Ok(Ok(findings)) => findings,
        Ok(Err(why)) => {
            vec![Area::Sockets.note(format!("other tmux servers could not be checked: {why}"), "")]
        }
        Err(_) => vec![late(Area::Sockets, FIRST)],
    }
}

async fn areas(
    deps: &Deps,
    reported: &OpenProblems,
    rigs: &[RigPlan],
    read: [Examination; 2],
    tmux: Tmux,
    asked: &Asked,
) -> Vec<Finding> {
    let names: Vec<RigName> = rigs.iter().map(|rig| rig.name.clone()).collect();
    let known = timeout(FIRST, agents::everybody(deps, reported, rigs)).await;
    let unknown = known.is_err().then(|| late(Area::Agents, FIRST));
    let (everybody, bad_names) = known.unwrap_or_default();
    let found = tokio::join!(
        within(Area::Supervisor, async {
            let (daemon, units) = tokio::join!(daemon::examine(deps, &asked.status), units::examine());
            [daemon, units].concat()
        }),
        within(Area::Service, of_service(deps, asked)),
        within(Area::Files, async {
            let (all, events) = tokio::join!(files::all(deps, &names, &everybody), within_events(deps));
            files::sum(read.into_iter().chain([all, events]))
        }),
        within(Area::Permissions, permissions::examine(deps, &names)),
        within(Area::Disk, file_system::examine(deps)),
        within(Area::Locks, obstacles::examine(deps, &names)),
        within(Area::Patrols, patrols::examine(deps)),
        within(Area::Tools, async {
            let tools = tools::examine(deps, asked.programs(), &asked.shell);
            let (tools, dolt) = tokio::join!(tools, dolt::examine(deps));
            tools.into_iter().chain(asked.unsaid()).chain(dolt).collect()
        }),
        within(Area::Agents, agents::examine(deps, &everybody, &bad_names, asked.programs(), &asked.shell)),
        within(Area::Tmux, servers(deps, &everybody, tmux, asked.live())),
        within(Area::Memory, memory::examine(deps)),
        within(Area::Clock, clock::examine(deps)),
    );
    let (supervisor, service, files, permissions, disk, locks, patrols, tools, agents, tmux, memory, clock) =
        found;
    let found =
        [supervisor, service, files, permissions, disk, locks, patrols, tools, agents, tmux, memory, clock];
    unknown.into_iter().chain(found.into_iter().flatten()).collect()
}

/// Checks the event files. They take the longest when they are large, and matter least.
async fn within_events(deps: &Deps) -> Examination {
    timeout(LIMIT / 2, files::events(deps)).await.unwrap_or_else(|_| Examination {
        findings: vec![Area::Files.note("the event files could not be checked in time", "")],
        ..Examination::default()
    })
}

/// Where the supervisor and the tmux server belong: a supervisor that does not answer is known by its lock.
async fn of_service(deps: &Deps, asked: &Asked) -> Vec<Finding> {
    let used = asked.socket();
    let holder = async { disk::holders(&deps.paths.daemon_lock()).await.first().copied() };
    let (holder, server) = tokio::join!(holder, servers::process(deps, used.as_deref()));
    service::examine(deps, &asked.shell, holder, server).await
}

async fn servers(
    deps: &Deps,
    agents: &[AgentSpec],
    Tmux { usable, refused, used }: Tmux,
    live: Option<&StatusReport>,
) -> Vec<Finding> {
    if !usable {
        let what = "cannot tell which tmux server to check: settings/supervisor.json cannot be used";
        return vec![Area::Tmux.note(what, "")];
    }
    let contradiction = recognising::contradiction(&deps.paths, deps.dialect(), &deps.settings()).await;
    let refused =
        refused.or(contradiction).map(|why| Area::Tmux.wrong(format!("it cannot run here: {why}"), ""));
    let supervised = live.map(|report| report.agents.iter().map(|agent| agent.identity.clone()).collect());
    let town = tmux::Town { supervised, ..tmux::Town::new(deps, agents) };
    let looked = servers::examine(deps, &town, used, adapters::socket_variable()).await;
    let findings = looked.unwrap_or_else(|why| {
        vec![Area::Tmux.note(format!("the tmux servers could not be checked: {why}"), "")]
    });
    refused.into_iter().chain(findings).collect()
}

async fn within(area: Area, examination: impl Future<Output = Vec<Finding>>) -> Vec<Finding> {
    timeout(LIMIT, examination).await.unwrap_or_else(|_| vec![late(area, LIMIT)])
}

fn late(area: Area, limit: Duration) -> Finding {
    area.note(format!("could not be checked within {}s: its state is not known", limit.as_secs()), "")
}
