//! One scan: asks Gas Town 1.x which convoys nobody works on, and does what the rules say about them.
//!
//! It runs one `gt` at a time. The gates are asked once more right before each sling. While Dolt is down, or while nothing may be
//! started in the town, nothing is run.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use super::{
    feeding::{Memory, Step, Wait, Waits},
    round::{self, Outcome},
    stranded::{self, Stranded},
};
use crate::{
    agent::{permission, phase::Phase},
    commands::CommandError,
    deps::Deps,
    ledger::{answer::Answer, beads, fault::Fault, gt},
    town::{
        bead::Bead,
        identity::{Identity, RigName, Role},
        reading::shorten,
    },
};

/// The key of the problem that convoys cannot be listed,
const SCAN: &str = "convoy/scan";
/// that issues were slung without effect,
const SLUNG: &str = "convoy/slung";
/// that the work of convoys cannot be slung,
const HELD_UP: &str = "convoy/held_up";
/// and that some of what was listed cannot be used.
const UNUSABLE: &str = "convoy/unusable";

/// How long `gt sling` may take: it makes a worktree and waits for the agent.
const SLING: Duration = Duration::from_mins(2);
/// At most so many convoys are named in one problem.
const NAMED: usize = 5;

/// After this long no further step of a scan is begun: what was listed is out of date.
const FRESH: Duration = Duration::from_secs(30);

/// What a scan did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scan {
    /// Why nothing was looked at, which is no failure.
    pub paused: Option<String>,
    /// Whether convoys could not be listed, and why.
    pub failed: Option<String>,
    /// How many convoys nobody worked on.
    pub stranded: usize,
    /// What was slung.
    pub fed: Vec<String>,
    /// The last check.
    pub check: Option<Outcome>,
}

impl Scan {
    /// The result, for people.
    pub fn words(&self) -> String {
        if let Some(why) = self.failed.as_ref().or(self.paused.as_ref()) {
            return why.clone();
        }
        match self.fed.as_slice() {
            [] if self.stranded == 0 => "no convoy is stranded".to_owned(),
            [] => format!("{} stranded, none fed", self.stranded),
            fed => format!("{} stranded, slung {}", self.stranded, fed.join(", ")),
        }
    }
}

/// Makes one scan. `rigs` are those of the town, once known.
pub async fn scan(deps: &Deps, rigs: Option<&BTreeSet<RigName>>, mut memory: Memory) -> (Scan, Memory) {
    if let Some(why) = pause(deps).await {
        return (Scan { paused: Some(why), ..Scan::default() }, memory);
    }
    match list(deps).await {
        Ok(convoys) => (feed(deps, rigs, &convoys, &mut memory).await, memory),
        Err(why) => (Scan { failed: Some(why), ..Scan::default() }, memory),
    }
}

/// Does what the rules say about these convoys.
async fn feed(
    deps: &Deps,
    rigs: Option<&BTreeSet<RigName>>,
    convoys: &[Stranded],
    memory: &mut Memory,
) -> Scan {
    memory.listed(convoys);
    let mut done = Scan { stranded: convoys.len(), ..Scan::default() };
    let gates = gates(deps, rigs, convoys).await;
    let rig_of = |issue: &str| gates.get(issue).cloned().unwrap_or_else(|| Err(Wait::long("not asked")));
    let (begun, settings, mut held_up) = (deps.now().mono, deps.settings().convoy.clone(), Vec::new());
    for convoy in convoys {
        let now = deps.now();
        let is_late = now.mono >= begun + FRESH;
        let step = memory.decide(convoy, rig_of, settings.check_every, now);
        let wait = if let Step::Leave(wait) = &step { wait.as_ref() } else { None };
        let text = || wait.map(|wait| format!("the work of convoy {} waits: {}", convoy.id, wait.why));
        match memory.waits(&convoy.id, wait, now) {
            Waits::Problem => held_up.extend(text()),
            Waits::News => tracing::info!(reason = "convoy_waits", "{}", text().unwrap_or_default()),
            Waits::Known => {}
        }
        match step {
            Step::Sling(issue, rig) if settings.feed && !is_late => {
                if let Some(slung) = sling(deps, convoy, &issue, &rig).await {
                    done.fed.extend(slung.is_ok().then(|| issue.clone()));
                    memory.was_slung(&issue, slung.err(), deps.now());
                }
            }
            Step::Check if !is_late => {
                done.check = Some(round::check_one(deps, &convoy.id).await);
                memory.was_checked(convoy, deps.now());
            }
            Step::Leave(_) | Step::Sling(..) | Step::Check => {}
        }
    }
    deps.problems.report_all(HELD_UP, &held_up);
    deps.problems.report_all(SLUNG, &memory.complaints());
    done
}

/// Why nothing may be done now.
async fn pause(deps: &Deps) -> Option<String> {
    if deps.dolt.is_down() {
        return Some("Dolt is down".to_owned());
    }
    permission::of_town(deps).await.err()
}

async fn list(deps: &Deps) -> Result<Vec<Stranded>, String> {
    let listed = match gt::run(deps, &["convoy", "stranded", "--json"], &[]).await {
        Ok(printed) => stranded::parse(&printed.stdout),
        Err(CommandError::NotFound { program, .. }) => {
            deps.problems.clear(SCAN);
            return Err(format!("{program} is not installed"));
        }
        Err(error) => Err(error.to_string()),
    };
    match listed {
        Ok((convoys, unusable)) => {
            deps.problems.clear(SCAN);
            match unusable_words(&unusable) {
                None => deps.problems.clear(UNUSABLE),
                Some(text) => deps.problems.report(UNUSABLE, text),
            }
            Ok(convoys)
        }
        // One fault of the databases is one problem, which those report who read them.
        Err(why) if Fault::of(&why).is_some() => {
            deps.problems.clear(SCAN);
            Err(why)
        }
        Err(why) => {
            deps.problems.report(SCAN, format!("the next steps of convoys are not slung: {why}"));
            Err(why)
        }
    }
}

/// The problem that rows of the list cannot be used; `None` when there are none.
fn unusable_words(names: &[String]) -> Option<String> {
    let (named, more) = names.split_at(names.len().min(NAMED));
    let more = if more.is_empty() { String::new() } else { format!(" and {} more", more.len()) };
    let what = format!("{}{more}", named.join(", "));
    let text = "gt convoy stranded lists convoys in a form that cannot be used, which are not fed";
    (!named.is_empty()).then(|| format!("{text}: {what}; `gt convoy status` shows them"))
}

/// The rig of each ready issue, if work may be started in it, or why not.
async fn gates(
    deps: &Deps,
    rigs: Option<&BTreeSet<RigName>>,
    convoys: &[Stranded],
) -> BTreeMap<String, Result<RigName, Wait>> {
    let mut of_rigs: BTreeMap<RigName, Result<(), Wait>> = BTreeMap::new();
    let mut found = BTreeMap::new();
    let issues = convoys.iter().flat_map(|convoy| &convoy.ready).filter(|issue| beads::is_id(issue));
    // Somebody may be slinging one of them right now. This is read before the beads: a sling that ends in between has
    // noted its worker there.
    let slings = deps.operations.full_scan(deps).await.map_err(|error| error.to_string());
    let workers = beads::read(deps, &issues.cloned().collect::<Vec<_>>()).await;
    // Without the figures, as the text is a problem's.
    let memory = match deps.starts.lacks_memory(deps).await {
        Some(_) => Err("memory is short, so no agent is started".to_owned()),
        None => Ok(()),
    };
    for issue in convoys.iter().flat_map(|convoy| &convoy.ready) {
        let Some(rig) = deps.database(issue).rig() else {
            found.insert(issue.clone(), Err(Wait::long("no rig has its prefix")));
            continue;
        };
        if !of_rigs.contains_key(&rig) {
            let gate = match rigs {
                None => Err(Wait::long("the rigs of the town are not known yet")),
                Some(rigs) if !rigs.contains(&rig) => {
                    Err(Wait::long(format!("{rig} is no rig in mayor/rigs.json")))
                }
                Some(_) => permission::of_rig(deps, &rig).await.and(memory.clone()).map_err(Wait::long),
            };
            of_rigs.insert(rig.clone(), gate);
        }
        let is_free = || {
            let running = slings.as_ref().map_err(Wait::long)?;
            match (running.iter().find(|it| it.arguments.contains(issue)), workers.get(issue)) {
                (Some(command), _) => Err(Wait::short(format!("`{}` is running", command.line))),
                (None, Some(issue)) => is_free(deps, issue),
                (None, None) => Err(Wait::long("it was not read")),
            }
        };
        found.insert(issue.clone(), of_rigs[&rig].clone().and_then(|()| is_free()).map(|()| rig));
    }
    found
}

/// Whether an issue that is ready has no worker, or why it must not be given to another. `gt` calls it ready as soon as its
/// polecat has no session; one that was given it a short time ago may be being spawned, one that is about to be restarted
/// keeps its work, and one that was stopped by hand is not replaced behind its operator's back.
fn is_free(deps: &Deps, issue: &Answer<Bead>) -> Result<(), Wait> {
    let issue = match issue {
        Answer::Found(issue) => issue,
        Answer::Missing | Answer::NotAsked => return Err(Wait::long("bd does not find it")),
        Answer::Unknown(why) => return Err(Wait::long(why)),
    };
    let worker = issue.assignee.as_deref().filter(|_| issue.is_at_work());
    let Some(worker) = worker.and_then(|name| name.parse::<Identity>().ok()) else { return Ok(()) };
    let age = issue.updated_at.map(|updated| deps.now().age_of(updated));
    if age.is_some_and(|age| age < deps.settings().polecats.spawning_guard) {
        return Err(Wait::short(format!("{worker} was given it a short time ago")));
    }
    if !deps.directory.is_kept(&worker) {
        return Ok(());
    }
    match deps.records.phase(&worker) {
        Some((Phase::Absent | Phase::CrashLoop | Phase::Paused, _)) => Ok(()),
        Some((phase, _)) => {
            let why = format!("{worker} works on it and is {phase}");
            // Its restart: `gt` may have listed the work before, and it may be over by now.
            let is_restart =
                matches!(phase, Phase::Confirming | Phase::Waiting | Phase::Starting | Phase::Alive);
            Err(Wait { why, is_short: is_restart })
        }
        None => Err(Wait::short(format!("{worker} works on it and was not observed yet"))),
    }
}

/// Slings an issue; `None` when that is not allowed any more.
async fn sling(deps: &Deps, convoy: &Stranded, issue: &str, rig: &RigName) -> Option<Result<(), String>> {
    // It starts an agent, and counts among the starts.
    let _slot =
        deps.starts.slot(deps.settings().start.max_concurrent, Role::Polecat, false, &*deps.clock).await;
    let is_forbidden = deps.dolt.is_down() || permission::of_rig(deps, rig).await.is_err();
    if is_forbidden || deps.starts.lacks_memory(deps).await.is_some() {
        return None;
    }
    let branch = convoy.branch().ok().flatten().map(|branch| format!("--base-branch={branch}"));
    let words: Vec<&str> =
        ["sling", issue, rig.as_str(), "--no-boot"].into_iter().chain(branch.as_deref()).collect();
    match gt::run_within(deps, &words, &[], SLING).await {
        Ok(_) => {
            tracing::info!(
                reason = "convoy_fed",
                "slung {issue} to {rig}, the next step of convoy {}",
                convoy.id
            );
            Some(Ok(()))
        }
        Err(error) => Some(Err(shorten(&error.to_string()))),
    }
}
