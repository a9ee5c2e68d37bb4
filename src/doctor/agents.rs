//! Agents: which program each role gets and whether it can be run, and names that are not supervised.

use std::{collections::BTreeMap, path::PathBuf};

use super::{
    finding::{Area, Finding},
    tools::EXTEND_PATH,
};
use crate::{
    agent::{directory::Directory, polecat::roster, programs, role_bead, spec::AgentSpec},
    commands::Commands,
    control::programs::{AgentProgramReport, ProgramsReport},
    deps::Deps,
    ports::problems::{OpenProblems, Problems},
    terminal,
    town::{
        identity::{AgentName, Identity, RigName, Role},
        rig_plan::RigPlan,
    },
};

/// The program found for an agent.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Program {
    /// Its name and its command, as shown to people (`claude`, `fast (/opt/fast)`).
    what: String,
    /// Whether it can be run.
    on_path: bool,
    /// The candidates that were skipped before it, and why.
    reports: Vec<String>,
    /// Where this shell finds it, when the running supervisor does not.
    only_here: Option<PathBuf>,
}

/// All agents of a town with these rigs, and what is wrong with their names.
pub async fn everybody(
    deps: &Deps,
    reported: &OpenProblems,
    rigs: &[RigPlan],
) -> (Vec<AgentSpec>, Vec<String>) {
    let naming = deps.settings().tmux.naming;
    let (problems, clashes) = Problems::new();
    let mut unlisted = Vec::new();
    let mut specs = AgentSpec::of_town(deps);
    for plan in rigs {
        let rig = &plan.name;
        let mut known = |listed: Result<Vec<AgentName>, String>| {
            listed
                .map_err(|why| unlisted.push(format!("{why}; its agents are not known")))
                .unwrap_or_default()
        };
        let (polecats, crew) = (known(roster::list(deps, rig).await), known(roster::crew(deps, rig).await));
        let polecats = polecats.into_iter().map(|name| Identity::Polecat(rig.clone(), name));
        let crew = crew.into_iter().map(|name| Identity::Crew(rig.clone(), name));
        let all = Identity::of_rig(rig).chain(polecats).chain(crew);
        specs.extend(all.map(|it| AgentSpec::new(it, naming, &plan.prefix)));
    }
    // The directory knows when two agents have one session name, and reports it.
    let directory = Directory::new(problems);
    specs.iter().for_each(|spec| directory.claim(&spec.identity, &spec.session));
    let mut names: Vec<String> = clashes.list().into_values().collect();
    let listed = reported.list().into_iter().filter(|(key, _)| key.ends_with("/names"));
    names.extend(listed.map(|(_, text)| text));
    names.extend(unlisted);
    (specs, names)
}

/// Checks which program each would be started with: as `asked`, the running supervisor, says; else by the files. Role beads count as
/// a supervisor last read them. `names` are the problems with names, `shell` finds programs as this shell does.
pub async fn examine(
    deps: &Deps,
    specs: &[AgentSpec],
    names: &[String],
    asked: Option<&ProgramsReport>,
    shell: &dyn Commands,
) -> Vec<Finding> {
    if deps.dialect().facts().roles_in_files {
        let rigs: BTreeMap<RigName, String> = specs
            .iter()
            .filter_map(|spec| Some((spec.identity.rig()?.clone(), spec.prefix.clone())))
            .collect();
        role_bead::read_files(deps, &rigs.into_iter().collect::<Vec<_>>()).await;
    } else {
        let _ = deps.starts.role_beads.peek(deps).await;
    }
    let mut known: BTreeMap<(Option<RigName>, Role), Program> = BTreeMap::new();
    let mut programs = Vec::new();
    for spec in specs {
        let key = (spec.identity.rig().cloned(), spec.identity.role());
        if !known.contains_key(&key) {
            let identity = spec.identity.to_string();
            let said = asked.and_then(|asked| asked.agents.iter().find(|it| it.identity == identity));
            let program = match said {
                Some(said) => as_said(deps, said, shell).await,
                None => program(deps, spec).await,
            };
            known.insert(key.clone(), program);
        }
        programs.push((spec.identity.to_string(), known[&key].clone()));
    }
    let mut findings = judge(&programs);
    findings.extend(
        names
            .iter()
            .map(|text| Area::Agents.wrong(text.clone(), "rename the directory, or one of the agents")),
    );
    findings
}

async fn program(deps: &Deps, spec: &AgentSpec) -> Program {
    let found = programs::find(deps, spec).await;
    let what = shown(deps, &found.program.name, &found.program.command, found.start_command.as_deref());
    Program { what, on_path: found.on_path, reports: found.reports, only_here: None }
}

/// The program that the running supervisor names.
async fn as_said(deps: &Deps, said: &AgentProgramReport, shell: &dyn Commands) -> Program {
    let what = shown(deps, &said.name, &said.command, said.start_command.as_deref());
    let only_here = if said.on_path { None } else { shell.locate(&said.command).await };
    Program { what, on_path: said.on_path, reports: said.reports.clone(), only_here }
}

fn shown(deps: &Deps, name: &str, command: &str, start_command: Option<&str>) -> String {
    let source = if deps.dialect().facts().roles_in_files { "role file" } else { "role bead" };
    match start_command {
        Some(command) => format!("{command} (by its {source})"),
        None if name == command => name.to_owned(),
        None => format!("{name} ({command})"),
    }
}

/// Judges the programs: one finding for all agents with the same result.
fn judge(programs: &[(String, Program)]) -> Vec<Finding> {
    let (mut findings, mut said): (Vec<Finding>, Vec<(&Program, Vec<&str>)>) = (Vec::new(), Vec::new());
    for (who, program) in programs {
        let is_same = |it: &Program| (it.on_path, &it.what) == (program.on_path, &program.what);
        match said.iter_mut().find(|(it, _)| is_same(it)) {
            Some((_, agents)) => agents.push(who),
            None => said.push((program, vec![who])),
        }
        // The last report about a missing program says the same in more words.
        let passed_over = program.reports.len().saturating_sub(usize::from(!program.on_path));
        findings.extend(program.reports[..passed_over].iter().map(|report| {
            Area::Agents
                .wrong(format!("{who}: {report}"), "install what it names, or name another agent there")
                .same_as([format!("{who}/program")])
        }));
    }
    let programs = said.into_iter().map(|(Program { what, on_path, only_here, .. }, who)| {
        // Without its program, no start gets further.
        let kinds: &[&str] = if *on_path { &[] } else { &["program", "start"] };
        let keys: Vec<String> =
            who.iter().flat_map(|who| kinds.iter().map(move |kind| format!("{who}/{kind}"))).collect();
        let who = named(&who, programs.len());
        let finding = match (on_path, only_here) {
            (true, _) => Area::Agents.ok(format!("{who}: {what}")),
            (false, Some(here)) => Area::Agents.wrong(
                format!(
                    "{who}: cannot be started: {what}, which is not on the PATH of the running supervisor; this shell finds {}",
                    terminal::path(here)
                ),
                EXTEND_PATH,
            ),
            (false, None) => Area::Agents.wrong(
                format!("{who}: cannot be started: {what}, which is not on PATH"),
                "install it, or name another agent in settings/config.json",
            ),
        };
        finding.same_as(keys)
    });
    programs.chain(findings).collect()
}

/// So many agents are named in one finding.
const NAMED: usize = 4;

/// Some of the town's agents in a few words.
fn named(who: &[&str], all: usize) -> String {
    let more = who.len().saturating_sub(NAMED);
    match more {
        0 => who.join(", "),
        _ if who.len() == all => format!("all {all} agents"),
        _ => format!("{} and {more} more", who[..NAMED].join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::finding::Severity::{Ok as Well, Wrong};

    #[test]
    fn many_agents_are_a_few_words() {
        let who = ["deacon", "mayor", "r/witness", "r/refinery", "r/polecats/a", "r/polecats/b"];
        for (count, all, expected) in [
            (1, 6, "deacon"),
            (4, 4, "deacon, mayor, r/witness, r/refinery"),
            (6, 6, "all 6 agents"),
            (6, 7, "deacon, mayor, r/witness, r/refinery and 2 more"),
        ] {
            assert_eq!(named(&who[..count], all), expected);
        }
    }

    #[test]
    fn the_same_is_said_once() {
        let program = |who: &str, what: &str, on_path, reports: &[&str]| {
            let reports = reports.iter().map(|&text| text.to_owned()).collect();
            (who.to_owned(), Program { what: what.into(), on_path, reports, only_here: None })
        };
        let findings = judge(&[
            program("deacon", "claude", true, &[]),
            program("r/witness", "amp", false, &["agent \"amp\" is not on PATH"]),
            program("r/refinery", "claude", true, &["role_agents.refinery names \"x\""]),
            program("r/polecats/a", "amp", false, &["agent \"amp\" is not on PATH"]),
        ]);
        let told: Vec<_> = findings.iter().map(|finding| (finding.severity, finding.what.as_str())).collect();
        assert_eq!(
            told,
            [
                (Well, "deacon, r/refinery: claude"),
                (Wrong, "r/witness, r/polecats/a: cannot be started: amp, which is not on PATH"),
                (Wrong, "r/refinery: role_agents.refinery names \"x\""),
            ]
        );
    }
    #[test]
    fn what_only_this_shell_finds() {
        let program = Program {
            what: "claude".into(),
            on_path: false,
            reports: vec!["claude is not on PATH".into()],
            only_here: Some("/home/me/bin/claude".into()),
        };
        let findings = judge(&[("deacon".to_owned(), program.clone()), ("mayor".to_owned(), program)]);
        assert_eq!(findings.len(), 1, "{findings:?}");
        let what = "deacon, mayor: cannot be started: claude, which is not on the PATH of the running supervisor; this shell finds \
                    /home/me/bin/claude";
        assert_eq!(findings[0].what, what);
        assert_eq!(findings[0].same_as, ["deacon/program", "deacon/start", "mayor/program", "mayor/start"]);
    }
}
