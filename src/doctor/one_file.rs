//! A town of one file: what the doctor checks in it. Nothing of Gas Town is looked for, and none of its programs is run.
//!
//! The file says which agents there are: whether their directories exist, and their programs can be found. Where the supervisor runs, its
//! `PATH` counts. The rest is what every supervisor needs: its own directory, tmux, memory, the disk.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use tokio::{sync::watch, time::timeout};

use super::{
    Asked, FIRST, clock, daemon, file_system,
    files::{self, Examination},
    finding::{Area, Finding, Report, Severity},
    memory, of_service, owner, permissions, reported, servers, tools, unread, within,
};
use crate::{
    agents_file::{
        plan::{Definition, Plan},
        reading::{Around, read},
    },
    commands::Commands,
    deps::Deps,
    service::{adapters, own_town},
    terminal,
    town::{
        files::{Disk, Files},
        paths::TownPaths,
        reading::FileProblem,
        settings::Settings,
    },
};

/// So many agents are named in one finding.
const NAMED: usize = 4;

/// Examines the town that is this file; `by` says what named it.
pub async fn examine(paths: TownPaths, file: &Path, by: Option<&'static str>) -> Report {
    let root = paths.root().to_owned();
    let by = by.unwrap_or("the nearest at or above the working directory");
    let mut findings = vec![Area::Town.ok(format!("{} ({by})", terminal::path(file)))];
    if let Ok(Some(another)) = timeout(FIRST, owner::examine(&paths)).await {
        return Report::new(Some(root), [findings, vec![another]].concat());
    }
    let asked = Asked::of(&paths).await;
    let Ok(read) = timeout(FIRST, plan(&paths, file)).await else {
        findings.push(unread("the file"));
        return Report::new(Some(root), findings);
    };
    // Without the file, its tmux server and its agents are not known; the supervisor is.
    let (settings, plan, of_file) = match read {
        Ok(plan) => {
            let of_file = Examination { read: 1, findings: Vec::new() };
            (own_town::settings(file, &plan), Some(plan), of_file)
        }
        Err(of_file) => (Settings::default(), None, of_file),
    };
    let (_, settings) = watch::channel(Arc::new(settings));
    let (_, standings) = watch::channel(Arc::new(plan.as_ref().map(Plan::standings).unwrap_or_default()));
    let recognised = own_town::recognised(file);
    let (deps, _) = adapters::deps(paths, settings, standings, recognised, asked.runner()).await;
    findings.extend(areas(&deps, of_file, plan.as_ref(), &asked).await);
    findings.extend(reported::examine(&deps, &asked.status, &findings).await);
    Report::new(Some(root), findings)
}

/// What the file means; else what is wrong with it.
async fn plan(paths: &TownPaths, file: &Path) -> Result<Plan, Examination> {
    let wrong = |problems: Vec<FileProblem>| {
        let advice = "correct it: no supervisor starts with it, and one that runs goes on as before";
        let told = problems.into_iter().map(|it| Finding::of_file(Severity::Wrong, &it.advise(advice)));
        Examination { read: 1, findings: told.collect() }
    };
    let shown = paths.shown(file);
    let bytes = Disk.read(file).await.map_err(|error| wrong(vec![FileProblem::unreadable(shown, &error)]))?;
    let home = own_town::home();
    let around = Around { directory: paths.root(), home: home.as_deref() };
    read(shown, &bytes, around).map_err(|mistakes| wrong(mistakes.0))
}

async fn areas(deps: &Deps, of_file: Examination, plan: Option<&Plan>, asked: &Asked) -> Vec<Finding> {
    let agents = plan.map(|plan| plan.agents.as_slice()).unwrap_or_default();
    let (supervisor, service, files, permissions, disk, tools, programs, tmux, memory, clock) = tokio::join!(
        within(Area::Supervisor, daemon::examine(deps, &asked.status)),
        within(Area::Service, of_service(deps, asked)),
        within(Area::Files, async { files::sum([of_file, files::of_ours(deps).await]) }),
        within(Area::Permissions, async {
            let (ours, theirs) = tokio::join!(permissions::examine(deps, &[]), directories(agents));
            [ours, theirs].concat()
        }),
        within(Area::Disk, file_system::examine(deps)),
        within(Area::Tools, async {
            let tools = tools::examine(deps, asked.programs(), &asked.shell).await;
            tools.into_iter().chain(asked.unsaid()).collect()
        }),
        within(Area::Agents, programs(deps, agents, asked)),
        within(Area::Tmux, tmux(deps, plan, asked)),
        within(Area::Memory, memory::examine(deps)),
        within(Area::Clock, clock::examine(deps)),
    );
    [supervisor, service, files, permissions, disk, tools, programs, tmux, memory, clock].concat()
}

/// Agents whose directory does not exist. One that cannot be examined is not missing.
async fn directories(agents: &[Definition]) -> Vec<Finding> {
    let mut missing = Vec::new();
    for agent in agents {
        if matches!(Disk.is_dir(&agent.dir).await, Ok(false)) {
            let what = format!(
                "{} cannot be started: its directory {} does not exist",
                agent.name,
                terminal::path(&agent.dir)
            );
            let finding = Area::Permissions.wrong(what, "create it, or correct its dir in the file");
            missing.push(finding.about(&agent.dir).same_as([format!("@{}/start", agent.name)]));
        }
    }
    missing
}

/// The program that a command line runs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Program {
    /// This one, which was found.
    Found(String),
    /// This one, which was not.
    Missing(String),
    /// What only a shell could tell.
    Unknown,
}

async fn programs(deps: &Deps, agents: &[Definition], asked: &Asked) -> Vec<Finding> {
    let mut known: BTreeMap<Program, Vec<&str>> = BTreeMap::new();
    for agent in agents {
        known.entry(program(deps, agent).await).or_default().push(agent.name.as_str());
    }
    let whose = if asked.live().is_some() { " of the running supervisor" } else { "" };
    known.into_iter().map(|(program, who)| finding(&program, &who, whose)).collect()
}

async fn program(deps: &Deps, agent: &Definition) -> Program {
    let Some(word) = first_word(agent.table.command.as_deref().unwrap_or_default()) else {
        return Program::Unknown;
    };
    let is_there = match (word.contains('/'), agent.table.env.get("PATH")) {
        (true, _) => !matches!(Disk.exists(&agent.dir.join(&word)).await, Ok(false)),
        (false, Some(path)) => adapters::commands_on(&deps.paths, Some(path)).locate(&word).await.is_some(),
        (false, None) => deps.commands.locate(&word).await.is_some(),
    };
    if is_there { Program::Found(word) } else { Program::Missing(word) }
}

/// The first word of a command line that is no variable; `None` where a shell has more to do than to run a program.
fn first_word(command: &str) -> Option<String> {
    if command.contains(|c: char| "|&;<>()$`*?~#{}[]!\n".contains(c)) {
        return None;
    }
    let words = shell_words::split(command).ok()?;
    let is_before = |word: &String| matches!(word.as_str(), "exec" | "env" | "nohup") || word.contains('=');
    words.into_iter().find(|word| !is_before(word)).filter(|word| !word.starts_with('-'))
}

fn finding(program: &Program, who: &[&str], whose: &str) -> Finding {
    let more = who.len().saturating_sub(NAMED);
    let named = who.iter().take(NAMED).copied().collect::<Vec<_>>().join(", ");
    let named = if more == 0 { named } else { format!("{named} and {more} more") };
    match program {
        Program::Found(word) => Area::Agents.ok(format!("{named}: {word}")),
        Program::Missing(word) if word.contains('/') => Area::Agents.wrong(
            format!("{named}: cannot be started: {word} does not exist"),
            "correct the command in the file, or install the program there",
        ),
        Program::Missing(word) => Area::Agents.wrong(
            format!("{named}: cannot be started: {word} is not on the PATH{whose}"),
            "install it, or give its whole path in the file",
        ),
        Program::Unknown => {
            Area::Agents.ok(format!("{named}: started by a shell, what it runs was not checked"))
        }
    }
}

async fn tmux(deps: &Deps, plan: Option<&Plan>, asked: &Asked) -> Vec<Finding> {
    let Some(plan) = plan else {
        return vec![Area::Tmux.note("cannot tell which tmux server to check: the file cannot be used", "")];
    };
    let sessions: Vec<&str> = plan.agents.iter().map(|agent| agent.session.as_str()).collect();
    let used: Option<PathBuf> = asked.socket();
    let looked = servers::of_one_file(deps, used, &sessions).await;
    looked.unwrap_or_else(|why| {
        vec![Area::Tmux.note(format!("the tmux server could not be checked: {why}"), "")]
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_command_line_runs() {
        for (command, word) in [
            ("claude --dangerously-skip-permissions", Some("claude")),
            ("A=b exec ./run.sh 'a b'", Some("./run.sh")),
            ("env A=b nohup claude", Some("claude")),
            ("env -i claude", None),
            ("cd x && claude", None),
            ("~/bin/x", None),
            ("$HOME/bin/x", None),
            ("", None),
        ] {
            assert_eq!(first_word(command).as_deref(), word, "{command}");
        }
    }

    #[test]
    fn agents_with_one_result_are_one_finding() {
        let told = |program: &Program, who: &[&str]| {
            let finding = finding(program, who, "");
            (finding.severity, finding.what)
        };
        let found = Program::Found("claude".into());
        assert_eq!(told(&found, &["a", "b"]), (Severity::Ok, "a, b: claude".to_owned()));
        let missing = Program::Missing("x".into());
        let what = "1, 2, 3, 4 and 2 more: cannot be started: x is not on the PATH".to_owned();
        assert_eq!(told(&missing, &["1", "2", "3", "4", "5", "6"]), (Severity::Wrong, what));
        assert_eq!(told(&Program::Unknown, &["a"]).0, Severity::Ok);
    }
}
