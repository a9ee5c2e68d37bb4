//! The town's files: the supervisor's own parser reads each existing file; problems are reported with their place.
//!
//! A missing file means its default and is not reported, except where its absence may be news. Broken files of our
//! own stay in place: only the supervisor renames them.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    path::{Path, PathBuf},
};

use super::{
    finding::{Area, Finding, Severity},
    lines,
};
use crate::{
    agent::{
        program::{Parsed, ProgramFileError, parse_agents, parse_rig, parse_town},
        role_bead,
        spec::AgentSpec,
        texts,
    },
    commands::Commands,
    deps::Deps,
    service::recognising,
    terminal,
    town::{
        agent_state, boot_status, daemon_state, deacon_file,
        dialect::{Dialect, recognise::Recognised},
        files::{Disk, Files},
        identity::{RigName, Role},
        paths::TownPaths,
        reading::{self, FileProblem, Place},
        restart_state, rig_config,
        rig_plan::RigPlan,
        rigs, routes,
        settings::{Naming, Settings, read, read::Sources},
        wisp,
    },
    tree::rigs_plan,
    watchers::feed::progress::FeedProgress,
};

/// How much of the end of an event file is checked.
const EVENTS: u64 = 32 << 20;

const ASIDE: &str = "the next supervisor renames it to .corrupt and starts with an empty one; repair it before that, or remove it";

/// The disk, and the town's paths for display.
type Town<'a> = (&'a dyn Files, &'a TownPaths);

/// What is wrong with the content of a file, which is shown by this path.
type Check = fn(Dialect, &Path, &[u8]) -> Vec<FileProblem>;

/// The result of reading files.
#[derive(Debug, Default)]
pub struct Examination {
    /// The number of files that exist.
    pub read: usize,
    /// The findings about them.
    pub findings: Vec<Finding>,
}

impl Examination {
    fn wrong(&mut self, problems: impl IntoIterator<Item = FileProblem>) {
        let findings = problems.into_iter().map(|problem| Finding::of_file(Severity::Wrong, &problem));
        self.findings.extend(findings);
    }

    fn note(&mut self, shown: &Path, what: String, hint: &str) {
        self.findings.push(Area::Files.note(what, hint).about(shown));
    }

    /// The content of a file; `None` when it is missing, or cannot be read, which is reported.
    async fn bytes(&mut self, (files, paths): Town<'_>, path: &Path) -> Option<Vec<u8>> {
        match files.read(path).await {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            Ok(bytes) => {
                self.read += 1;
                return Some(bytes);
            }
            Err(error) => self.wrong([FileProblem::unreadable(paths.shown(path), &error)]),
        }
        self.read += 1;
        None
    }
}

/// Any JSON object.
type Object = BTreeMap<String, serde::de::IgnoredAny>;

/// What the settings files say, and which Gas Town this is.
pub struct Found {
    /// The settings; `None` when our file is wrong and the supervisor would not start.
    pub settings: Option<Settings>,
    /// Which Gas Town this is, or why that cannot be told.
    pub gas_town: Result<Recognised, String>,
}

/// Reads both settings files; `commands` ask `gt` which Gas Town this is.
pub async fn settings(town: Town<'_>, commands: &dyn Commands) -> (Examination, Found) {
    let (mut examination, paths) = (Examination::default(), town.1);
    let [shared_path, ours_path] = [paths.daemon_json(), paths.supervisor_json()];
    let shared = examination.bytes(town, &shared_path).await;
    let before = examination.findings.len();
    let ours = examination.bytes(town, &ours_path).await;
    let unreadable = examination.findings.len() > before;
    let shared = shared.as_deref().map(|bytes| (paths.shown(&shared_path), bytes));
    let ours = ours.as_deref().map(|bytes| (paths.shown(&ours_path), bytes));
    // The shared one is also parsed alone, so that an error in ours does not hide its problems.
    let alone = Sources { shared, ..Sources::default() };
    let alone = read::resolve(Dialect::default(), alone).map(|resolved| resolved.problems);
    examination.wrong(alone.unwrap_or_default());
    // It is counted, and examined as a whole, with the files of the agents' programs.
    let town_path = paths.town_settings();
    let of_town = town.0.read(&town_path).await.ok();
    let of_town = of_town.filter(|bytes| serde_json::from_slice::<Object>(bytes).is_ok());
    let of_town = of_town.as_deref().map(|bytes| (paths.shown(&town_path), bytes));
    let resolve = |dialect| read::resolve(dialect, Sources { ours, shared, town: of_town });
    let first = resolve(Dialect::default()).map_or_else(|_| Settings::default(), |it| it.settings);
    let gas_town = recognising::dialect(&Disk, commands, paths, &first).await;
    if let Ok(gas_town) = &gas_town {
        let alone = read::resolve(gas_town.dialect, Sources { town: of_town, ..Sources::default() });
        examination.wrong(alone.map(|resolved| resolved.problems).unwrap_or_default());
    }
    let settings = match resolve(gas_town.as_ref().map_or_else(|_| Dialect::default(), |it| it.dialect)) {
        Ok(resolved) => (!unreadable).then_some(resolved.settings),
        Err(mistakes) => {
            let advice = "correct it: the supervisor does not start with it";
            examination.wrong(mistakes.0.into_iter().map(|problem| problem.advise(advice)));
            None
        }
    };
    (examination, Found { settings, gas_town })
}

/// The town's rigs: `mayor/rigs.json` and the routes.
pub async fn rigs(town: Town<'_>, naming: Naming, dialect: Dialect) -> (Examination, Vec<RigPlan>) {
    let (mut examination, (files, paths)) = (Examination::default(), town);
    let (rigs_path, routes_path) = (paths.rigs(), paths.routes());
    let mut content = examination.bytes(town, &rigs_path).await;
    let shown = paths.shown(&rigs_path);
    if matches!(files.exists(&rigs_path).await, Ok(false)) {
        if dialect.facts().has_rigs_copy {
            content = examination.bytes(town, &paths.rigs_copy()).await;
        }
        let (what, hint) = match content {
            Some(_) => ("its copy rigs.json is used", "copy that to mayor/rigs.json"),
            None => ("a town without rigs", "`gt rig add` creates it"),
        };
        examination.note(shown, format!("mayor/rigs.json is missing: {what}"), hint);
    }
    let rigs = match content.as_deref().map(|bytes| rigs::parse(shown, bytes)) {
        Some(Ok(rigs)) => rigs,
        unusable => {
            examination.wrong(unusable.and_then(Result::err));
            rigs::Rigs::default()
        }
    };
    let routes = routes::parse(&examination.bytes(town, &routes_path).await.unwrap_or_default());
    examination.wrong(routes.skipped.iter().map(|malformed| {
        let problem = FileProblem::whole(paths.shown(&routes_path), malformed.reason.clone());
        problem.at(malformed.place).advise("correct the line; until then it is skipped")
    }));
    let (plans, left_out) = rigs_plan::plan(&rigs, &routes, naming, dialect);
    // Each at the position of its name in the file.
    examination.wrong(left_out.iter().map(|(key, text)| {
        let problem = FileProblem::whole(shown, text.strip_prefix("mayor/rigs.json: ").unwrap_or(text));
        let place =
            key_place(content.as_deref().unwrap_or_default(), key.strip_prefix("rigs/").unwrap_or(key));
        FileProblem { place, ..problem.advise("rename the rig") }
    }));
    (examination, plans)
}

/// The position of a key in a JSON text, by its spelling.
fn key_place(bytes: &[u8], key: &str) -> Option<Place> {
    let spelled = serde_json::to_string(key).ok()?;
    let text = std::str::from_utf8(bytes).ok()?;
    let found =
        text.match_indices(&spelled).find(|(at, _)| text[at + spelled.len()..].trim_start().starts_with(':'));
    found.map(|(at, _)| Place::of(bytes, at))
}

/// All other files of the town, of these rigs and of these agents.
pub async fn all(deps: &Deps, rigs: &[RigName], agents: &[AgentSpec]) -> Examination {
    let (mut examination, town) = (Examination::default(), (&*deps.files, &deps.paths));
    let mut checks = of_town(&deps.paths);
    checks.extend(rigs.iter().flat_map(|rig| of_rig(&deps.paths, rig)));
    if deps.dialect().facts().roles_in_files {
        let places = std::iter::once(None).chain(rigs.iter().map(Some));
        checks.extend(places.flat_map(|rig| of_roles(&deps.paths, rig)));
    }
    for (path, check) in checks {
        if let Some(bytes) = examination.bytes(town, &path).await {
            examination.wrong(check(deps.dialect(), deps.paths.shown(&path), &bytes));
        }
    }
    for rig in rigs {
        let path = deps.paths.wisp(rig);
        if matches!(deps.files.exists(&path).await, Ok(false)) {
            let shown = deps.paths.shown(&path);
            let what = format!("no {}: rig {rig} counts as operational", terminal::path(shown));
            let hint = "if it was parked, that may have been lost: `gt rig park` writes it again";
            let finding = Area::Files.note(what, hint).about(shown);
            examination.findings.push(finding.same_as([format!("rig/{rig}/wisp")]));
        }
    }
    examination.session_ids(deps, agents).await;
    examination.registers(deps).await;
    examination
}

/// The files that the supervisor of a town of one file keeps for the next one.
pub async fn of_ours(deps: &Deps) -> Examination {
    let (mut examination, town) = (Examination::default(), (&*deps.files, &deps.paths));
    for (path, check) in kept(&deps.paths) {
        if let Some(bytes) = examination.bytes(town, &path).await {
            examination.wrong(check(deps.dialect(), deps.paths.shown(&path), &bytes));
        }
    }
    examination.registers(deps).await;
    examination
}

fn of_town(paths: &TownPaths) -> Vec<(PathBuf, Check)> {
    let mut all: Vec<(PathBuf, Check)> = vec![
        (paths.town_json(), |_, path, bytes| {
            let object = reading::json::<serde_json::Map<String, serde_json::Value>>(path, bytes);
            only(object.map_err(|problem| problem.advise("correct it: `gt` cannot read it either")))
        }),
        (paths.town_settings(), |dialect, path, bytes| programs(path, parse_town(dialect, bytes))),
        (paths.agent_presets(), |dialect, path, bytes| programs(path, parse_agents(dialect, bytes))),
        (paths.deacon_heartbeat(), |_, path, bytes| only(deacon_file::parse_heartbeat(path, bytes))),
        (paths.deacon_paused(), |_, path, bytes| only(deacon_file::parse_pause(path, bytes))),
        (paths.boot_status(), |_, path, bytes| only(boot_status::parse(path, bytes))),
    ];
    all.extend(kept(paths));
    all
}

/// What the supervisor of a town of either kind keeps, beside its registers.
fn kept(paths: &TownPaths) -> [(PathBuf, Check); 2] {
    [
        (paths.state(), |_, path, bytes| only(daemon_state::parse(path, bytes))),
        (paths.restart_state(), |_, path, bytes| {
            only(restart_state::parse(path, bytes).map_err(|problem| problem.advise(ASIDE)))
        }),
    ]
}

fn of_rig(paths: &TownPaths, rig: &RigName) -> Vec<(PathBuf, Check)> {
    let mut checks: Vec<(PathBuf, Check)> = vec![
        (paths.wisp(rig), |_, path, bytes| only(wisp::parse(path, bytes))),
        (paths.rig_settings(rig), |dialect, path, bytes| programs(path, parse_rig(dialect, bytes))),
        (paths.rig_agent_presets(rig), |dialect, path, bytes| programs(path, parse_agents(dialect, bytes))),
        (paths.rig_config(rig), |_, path, bytes| only(rig_config::parse(path, bytes))),
    ];
    let with_state_file = Role::of_gas_town().filter(|role| role.facts().has_state_file);
    checks.extend(with_state_file.map(|role| -> (PathBuf, Check) {
        (paths.agent_state(rig, role), |_, path, bytes| only(agent_state::parse(path, bytes)))
    }));
    checks
}

/// The role files of the town, or of a rig.
fn of_roles(paths: &TownPaths, rig: Option<&RigName>) -> Vec<(PathBuf, Check)> {
    let check: Check = |_, path, bytes| {
        only(role_bead::file::parse(path, bytes).map_err(|problem| problem.advise(role_bead::NOT_USED)))
    };
    Role::of_gas_town().map(|role| (paths.role_file(rig, role), check)).collect()
}

fn only<T>(parsed: Result<T, FileProblem>) -> Vec<FileProblem> {
    parsed.err().into_iter().collect()
}

/// The problems in a file of agents' programs: each entry is judged by itself.
fn programs<T>(path: &Path, parsed: Result<Parsed<T>, ProgramFileError>) -> Vec<FileProblem> {
    let problem = |line, column, reason| FileProblem::whole(path, reason).at(Place { line, column });
    match parsed {
        Err(ProgramFileError { line, column, reason }) => {
            vec![problem(line, column, reason).advise("correct it; until then the whole file is ignored")]
        }
        Ok(parsed) => {
            let entries = parsed.problems.into_iter().map(|it| {
                let problem = problem(it.line, it.column, it.reason).about(&it.key);
                problem.advise("correct it; until then this entry is ignored")
            });
            entries.collect()
        }
    }
}

impl Examination {
    /// The conversation ids in the agents' working directories. A malformed id costs only a word in a nudge.
    async fn session_ids(&mut self, deps: &Deps, agents: &[AgentSpec]) {
        let directories: BTreeSet<PathBuf> = agents
            .iter()
            .flat_map(|spec| deps.paths.work_directories(deps.dialect(), &spec.identity))
            .collect();
        for directory in directories {
            let path = TownPaths::session_id(&directory);
            let bytes = self.bytes((&*deps.files, &deps.paths), &path).await.unwrap_or_default();
            if bytes.trim_ascii().is_empty() || texts::session_id(&bytes).is_some() {
                continue;
            }
            let problem = FileProblem::whole(deps.paths.shown(&path), "its first line is not a conversation id")
                .at(Place { line: 1, column: 1 })
                .advise("the agent rewrites it at its next start; until then it is not reminded of its last conversation");
            self.findings.push(Finding::of_file(Severity::Note, &problem));
        }
    }

    /// The files that the supervisor stores for the next one.
    async fn registers(&mut self, deps: &Deps) {
        let [claims, conversations, holds, lives, waits, incidents, histories, ended] =
            deps.records.peek(deps).await;
        let (role_beads, feed) = match deps.dialect().is_gas_town() {
            true => (
                deps.starts.role_beads.peek(deps).await,
                FeedProgress::new(deps.paths.supervisor_dir()).peek(deps).await,
            ),
            false => ((false, None), (false, None)),
        };
        for (there, problem) in [
            claims,
            conversations,
            holds,
            lives,
            waits,
            role_beads,
            deps.accounts.peek(deps).await,
            deps.alerts.peek(deps).await,
            incidents,
            histories,
            feed,
            ended,
        ] {
            self.read += usize::from(there);
            self.wrong(problem.map(|problem| problem.advise(ASIDE)));
        }
        for directory in BTreeSet::from([deps.paths.daemon_dir(), deps.paths.supervisor_dir()]) {
            let names = deps.files.list(&directory).await.unwrap_or_default();
            for name in names.iter().filter(|name| name.ends_with(".corrupt")) {
                let path = directory.join(name);
                let shown = deps.paths.shown(&path);
                let what =
                    format!("{} is a file that could not be read; it was renamed", terminal::path(shown));
                self.note(shown, what, "remove it once you have looked at it");
            }
        }
    }
}

/// The event log and the feed. All readers skip lines that cannot be used, so those are notes.
pub async fn events(deps: &Deps) -> Examination {
    let mut examination = Examination::default();
    for path in [deps.paths.events(), deps.paths.feed()] {
        let shown = deps.paths.shown(&path);
        match lines::scan(&*deps.journals, &path, EVENTS).await {
            Ok(None) => {}
            Ok(Some(scan)) => {
                examination.read += 1;
                examination.findings.extend(bad_lines(shown, &scan));
            }
            Err(error) => {
                examination.read += 1;
                examination.wrong([FileProblem::unreadable(shown, &error)]);
            }
        }
    }
    examination
}

fn bad_lines(path: &Path, scan: &lines::Lines) -> Vec<Finding> {
    let advice = "it is skipped; its writer was interrupted";
    let told = scan.bad.iter().map(|(place, reason)| {
        let problem = FileProblem::whole(path, reason.clone()).advise(advice);
        let problem = if scan.whole { problem.at(*place) } else { problem };
        Finding::of_file(Severity::Note, &problem)
    });
    let more = scan.bad_count - scan.bad.len();
    let more = (more > 0).then(|| {
        Area::Files.note(format!("{}: {more} more unusable lines", terminal::path(path)), "").about(path)
    });
    told.chain(more).collect()
}

/// All findings; or that everything is in order.
pub fn sum(looks: impl IntoIterator<Item = Examination>) -> Vec<Finding> {
    let (mut read, mut findings) = (0, Vec::new());
    for examination in looks {
        read += examination.read;
        findings.extend(examination.findings);
    }
    let broken: BTreeSet<_> = findings
        .iter()
        .filter(|finding| finding.severity == Severity::Wrong)
        .filter_map(|finding| finding.path.as_ref())
        .collect();
    let well = read.saturating_sub(broken.len());
    let what = match well {
        1 => "1 file was read and is well-formed".to_owned(),
        well => format!("{well} files were read and are well-formed"),
    };
    findings.insert(0, Area::Files.ok(what));
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_a_key_stands() {
        let text = br#"{"x": "../evil",
  "rigs": {"a": {}, "../evil" : {}}}"#;
        let place = |key| key_place(text, key).map(|place| (place.line, place.column));
        assert_eq!(place("../evil"), Some((2, 21)), "the key, not the value");
        assert_eq!(place("a"), Some((2, 12)));
        assert_eq!(place("b"), None);
        assert_eq!(key_place(b"\xff", "a"), None);
    }

    #[test]
    fn bad_lines_have_positions_only_when_lines_were_counted_from_the_start() {
        let bad = vec![(Place { line: 7, column: 3 }, "no".to_owned())];
        let scan = |whole| {
            let mut scan = lines::Lines::default();
            (scan.whole, scan.bad, scan.bad_count) = (whole, bad.clone(), 3);
            scan
        };
        let told = |whole| -> Vec<String> {
            bad_lines(Path::new("e"), &scan(whole)).into_iter().map(|finding| finding.what).collect()
        };
        assert_eq!(told(true), ["e:7:3: no", "e: 2 more unusable lines"]);
        assert_eq!(told(false)[0], "e: no");
    }
}
