//! Agents: which program each role gets and whether it can be run, and names that are not supervised.

use std::collections::BTreeMap;

use super::finding::{Area, Finding};
use crate::{
    agent::{
        directory::Directory,
        identity::{AgentName, Identity, RigName, Role},
        programs,
        spec::AgentSpec,
    },
    deps::Deps,
    polecat::roster,
    problems::Problems,
    rig::plan::RigPlan,
    town::settings::Naming,
};

/// The program of one agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// Whose.
    pub who: String,
    /// Its name and its command, as a person would tell it (`claude`, `fast (/opt/fast)`).
    pub what: String,
    /// Whether it can be run.
    pub on_path: bool,
    /// What was passed over on the way to it.
    pub reports: Vec<String>,
}

/// What was seen.
#[derive(Debug, Clone, Default)]
pub struct Observed {
    /// The programs, agent by agent.
    pub programs: Vec<Program>,
    /// Names that are not usable, and names that two agents would have.
    pub names: Vec<String>,
}

/// Everybody of a town with these rigs, and what is wrong with their names.
pub async fn everybody(deps: &Deps, rigs: &[RigPlan]) -> (Vec<AgentSpec>, Vec<String>) {
    let naming = deps.settings().tmux.naming;
    let problems = Problems::new();
    let mut unlisted = Vec::new();
    let mut specs: Vec<AgentSpec> =
        [Identity::Mayor, Identity::Deacon, Identity::Boot].map(|it| spec(it, naming, "")).into();
    for plan in rigs {
        let rig = &plan.name;
        let polecats = roster::list(deps, rig).await.unwrap_or_else(|why| {
            unlisted.push(why);
            Vec::new()
        });
        let crew = roster::crew(deps, rig).await.unwrap_or_else(|why| {
            unlisted.push(why);
            Vec::new()
        });
        let of_rig = residents(rig, polecats, crew).into_iter();
        specs.extend(of_rig.map(|identity| spec(identity, naming, &plan.prefix)));
    }
    // The directory knows when two agents have one session name, and reports it.
    let directory = Directory::new(problems.clone());
    specs.iter().for_each(|spec| directory.claim(&spec.identity, &spec.session));
    let mut names: Vec<String> = problems.open().into_values().collect();
    let listed = deps.problems.open().into_iter().filter(|(key, _)| key.ends_with("/names"));
    names.extend(listed.map(|(_, text)| text));
    names.extend(unlisted.into_iter().map(|why| format!("{why}; who works there is not known")));
    (specs, names)
}

fn residents(rig: &RigName, polecats: Vec<AgentName>, crew: Vec<AgentName>) -> Vec<Identity> {
    let polecats = polecats.into_iter().map(|name| Identity::Polecat(rig.clone(), name));
    let crew = crew.into_iter().map(|name| Identity::Crew(rig.clone(), name));
    let own = [Identity::Witness(rig.clone()), Identity::Refinery(rig.clone())];
    own.into_iter().chain(polecats).chain(crew).collect()
}

fn spec(identity: Identity, naming: Naming, prefix: &str) -> AgentSpec {
    let session = identity.session(naming, prefix);
    AgentSpec { identity, session, prefix: prefix.to_owned() }
}

/// Looks which program each would be started with. What role beads say counts as it was last read by a supervisor.
pub async fn look(deps: &Deps, (specs, names): &(Vec<AgentSpec>, Vec<String>)) -> Observed {
    let _ = deps.role_beads.peek(deps).await;
    let mut known: BTreeMap<(Option<RigName>, Role), Program> = BTreeMap::new();
    let mut programs = Vec::new();
    for spec in specs {
        let key = (spec.identity.rig().cloned(), spec.identity.role());
        let program = match known.get(&key) {
            Some(program) => program.clone(),
            None => {
                let program = program(deps, spec).await;
                known.insert(key, program.clone());
                program
            }
        };
        programs.push(Program { who: spec.identity.to_string(), ..program });
    }
    Observed { programs, names: names.clone() }
}

async fn program(deps: &Deps, spec: &AgentSpec) -> Program {
    let found = programs::find(deps, spec).await;
    let (name, command) = (&found.program.name, &found.program.command);
    let start = deps.role_beads.of(&spec.identity, deps.paths.root()).start_command;
    let what = match start {
        Some(command) => format!("{command} (by its role bead)"),
        None if name == command => name.clone(),
        None => format!("{name} ({command})"),
    };
    Program { who: String::new(), what, on_path: found.on_path, reports: found.reports }
}

/// Judges: one finding for all agents of whom the same is to be said.
pub fn judge(observed: &Observed) -> Vec<Finding> {
    let mut findings: Vec<Finding> = Vec::new();
    let mut said: Vec<(bool, String, Vec<&str>)> = Vec::new();
    let mut say =
        |good: bool, text: String, who| match said.iter_mut().find(|it| (it.0, &it.1) == (good, &text)) {
            Some(it) => it.2.push(who),
            None => said.push((good, text, vec![who])),
        };
    for Program { who, what, on_path, reports } in &observed.programs {
        match on_path {
            true => say(true, what.clone(), who),
            // The last report says the same at greater length.
            false => say(false, format!("{what}, which is not on PATH"), who),
        }
        let passed_over = &reports[..reports.len() - usize::from(!on_path && !reports.is_empty())];
        for report in passed_over {
            findings.push(
                Finding::wrong(Area::Agents, format!("{who}: {report}"))
                    .hint("install what it names, or name another agent there"),
            );
        }
    }
    let programs = said.into_iter().map(|(good, text, who)| {
        let who = who.join(", ");
        match good {
            true => Finding::ok(Area::Agents, format!("{who}: {text}")),
            false => Finding::wrong(Area::Agents, format!("{who}: cannot be started: {text}"))
                .hint("install it, or name another agent in settings/config.json"),
        }
    });
    let names = observed.names.iter().map(|text| {
        Finding::wrong(Area::Agents, text.clone()).hint("rename the directory, or one of the agents")
    });
    let programs: Vec<Finding> = programs.collect();
    programs.into_iter().chain(findings).chain(names).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::finding::Severity::{Ok as Well, Wrong};

    #[test]
    fn the_same_is_said_once() {
        let program = |who: &str, what: &str, on_path, reports: &[&str]| Program {
            who: who.into(),
            what: what.into(),
            on_path,
            reports: reports.iter().map(|&text| text.to_owned()).collect(),
        };
        let observed = Observed {
            programs: vec![
                program("deacon", "claude", true, &[]),
                program("r/witness", "amp", false, &["agent \"amp\" is not on PATH"]),
                program("r/refinery", "claude", true, &["role_agents.refinery names \"x\""]),
                program("r/polecats/a", "amp", false, &["agent \"amp\" is not on PATH"]),
            ],
            names: vec!["two agents would have session s".into()],
        };
        let findings = judge(&observed);
        let told: Vec<_> = findings.iter().map(|finding| (finding.severity, finding.what.as_str())).collect();
        assert_eq!(
            told,
            [
                (Well, "deacon, r/refinery: claude"),
                (Wrong, "r/witness, r/polecats/a: cannot be started: amp, which is not on PATH"),
                (Wrong, "r/refinery: role_agents.refinery names \"x\""),
                (Wrong, "two agents would have session s"),
            ]
        );
    }
}
