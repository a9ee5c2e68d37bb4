//! The town's files: each that is there is read by the parser the supervisor itself uses, and what is wrong is told with its place.
//!
//! A file that is missing has its default; nothing is said of it, except where its absence may be news. Files of our own that
//! are broken stay where they are: only the supervisor sets them aside.

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
        identity::{RigName, Role},
        place,
        program::{EntryProblem, Parsed, ProgramFileError, parse_agents, parse_rig, parse_town},
        spec::AgentSpec,
        texts,
    },
    deps::Deps,
    rig::plan::RigPlan,
    town::{
        agent_state, boot_status, daemon_state, deacon_file,
        files::Files,
        paths::TownPaths,
        reading::{self, FileProblem, Place, Reading},
        restart_state, rig_config,
        rigs::{self, Rigs},
        routes::{self, Routes},
        settings::{Naming, Settings, read},
        wisp,
    },
    tree::rigs_plan,
};

/// So much of the end of a file of events is looked through.
const EVENTS: u64 = 32 << 20;

/// What is read, and what was wrong with it.
#[derive(Debug, Default)]
pub struct Look {
    /// Files that are there.
    pub read: usize,
    /// What is to be said of them.
    pub findings: Vec<Finding>,
}

impl Look {
    fn wrong(&mut self, problem: &FileProblem) {
        self.findings.push(Finding::of_file(Severity::Wrong, problem));
    }

    /// Reads a file; `None` when it is missing or cannot be used, which is told.
    async fn file<T>(
        &mut self,
        disk: (&dyn Files, &TownPaths),
        path: &Path,
        parse: impl FnOnce(&Path, &[u8]) -> Result<T, FileProblem>,
    ) -> Option<T> {
        let (files, paths) = disk;
        let reading = Reading::of(paths.shown(path), files.read(path).await, parse);
        self.read += usize::from(!matches!(reading, Reading::Missing));
        match reading {
            Reading::Good(value) => Some(value),
            Reading::Missing => None,
            Reading::Bad(problem) => {
                self.wrong(&problem);
                None
            }
        }
    }

    /// Reads a file of agents' programs, in which each entry is right or wrong by itself.
    async fn programs<T>(
        &mut self,
        deps: &Deps,
        path: &Path,
        parse: impl Fn(&[u8]) -> Result<Parsed<T>, ProgramFileError>,
    ) {
        let parsed = self.file((&*deps.files, &deps.paths), path, |shown, bytes| {
            parse(bytes).map_err(|ProgramFileError { line, column, reason }| {
                let problem = FileProblem::whole(shown, reason).at(Place { line, column });
                problem.advise("correct it; until then nothing in it counts")
            })
        });
        for EntryProblem { key, line, column, reason } in
            parsed.await.map(|it| it.problems).unwrap_or_default()
        {
            let problem = FileProblem::whole(deps.paths.shown(path), reason).at(Place { line, column });
            self.wrong(&problem.about(&key).advise("correct it; until then this entry does not count"));
        }
    }
}

/// Reads both settings files: the settings they mean, or `None` when ours is wrong and the supervisor would not start.
pub async fn settings(files: &dyn Files, paths: &TownPaths) -> (Look, Option<Settings>) {
    let mut look = Look::default();
    let [shared_path, ours_path] = [paths.daemon_json(), paths.supervisor_json()];
    let whole = |_: &Path, bytes: &[u8]| Ok(bytes.to_vec());
    let shared = look.file((files, paths), &shared_path, whole).await;
    let before = look.findings.len();
    let ours = look.file((files, paths), &ours_path, whole).await;
    let unreadable = look.findings.len() > before;
    let shared = shared.as_deref().map(|bytes| (paths.shown(&shared_path), bytes));
    let ours = ours.as_deref().map(|bytes| (paths.shown(&ours_path), bytes));
    // The shared one alone as well, so that what is wrong in ours does not hide it.
    let alone = read::resolve(None, shared).map(|resolved| resolved.problems).unwrap_or_default();
    alone.iter().for_each(|problem| look.wrong(problem));
    match read::resolve(ours, shared) {
        Ok(resolved) => (look, (!unreadable).then_some(resolved.settings)),
        Err(mistakes) => {
            for problem in mistakes.0 {
                look.wrong(&problem.advise("correct it: the supervisor does not start with it"));
            }
            (look, None)
        }
    }
}

/// Which rigs there are: `mayor/rigs.json` and the routes.
pub async fn rigs(files: &dyn Files, paths: &TownPaths, naming: Naming) -> (Look, Vec<RigPlan>) {
    let mut look = Look::default();
    let disk = (files, paths);
    let object = |path: &Path, bytes: &[u8]| {
        reading::json::<serde_json::Map<String, serde_json::Value>>(path, bytes)
            .map_err(|problem| problem.advise("correct it: `gt` cannot read it either"))
    };
    let _ = look.file(disk, &paths.town_json(), object).await;
    let path = paths.rigs();
    let content = files.read(&path).await;
    let missing = matches!(&content, Err(error) if error.kind() == io::ErrorKind::NotFound);
    let bytes = content.as_ref().map(Vec::clone).unwrap_or_default();
    let rigs = look.file(disk, &path, rigs::parse).await;
    if missing {
        let what = "mayor/rigs.json is missing: a town without rigs";
        look.findings
            .push(Finding::note(Area::Files, what).hint("`gt rig add` makes it").about(paths.shown(&path)));
    }
    let routes =
        look.file(disk, &paths.routes(), |_, bytes| Ok(routes::parse(bytes))).await.unwrap_or_default();
    look.routes(paths, &routes);
    let rigs = rigs.unwrap_or_default();
    let (plans, left_out) = rigs_plan::plan(&rigs, &routes, naming);
    look.left_out(paths.shown(&path), &bytes, &rigs, left_out);
    (look, plans)
}

impl Look {
    fn routes(&mut self, paths: &TownPaths, routes: &Routes) {
        for malformed in &routes.skipped {
            let problem = FileProblem::whole(paths.shown(&paths.routes()), malformed.reason.clone());
            self.wrong(&problem.at(malformed.place).advise("correct the line; until then it is skipped"));
        }
    }

    /// Rigs that are not supervised, each where its name stands in the file.
    fn left_out(&mut self, path: &Path, bytes: &[u8], rigs: &Rigs, left_out: Vec<(String, String)>) {
        let names: BTreeMap<String, String> =
            rigs.refused.iter().map(|bad| (format!("rigs/{}", bad.name), bad.name.clone())).collect();
        for (key, text) in left_out {
            let name = names.get(&key).cloned().unwrap_or_else(|| key.trim_start_matches("rigs/").to_owned());
            let (begin, shown) = (text.strip_prefix("mayor/rigs.json: ").unwrap_or(&text), path);
            let mut problem = FileProblem::whole(shown, begin).advise("rename the rig");
            if let Some(place) = key_place(bytes, &name) {
                problem = problem.at(place);
            }
            self.wrong(&problem);
        }
    }
}

/// Where a key stands in a JSON text, by its spelling.
fn key_place(bytes: &[u8], key: &str) -> Option<Place> {
    let spelled = serde_json::to_string(key).ok()?;
    let text = std::str::from_utf8(bytes).ok()?;
    let found =
        text.match_indices(&spelled).find(|(at, _)| text[at + spelled.len()..].trim_start().starts_with(':'));
    found.map(|(at, _)| Place::of(bytes, at))
}

/// All other files of the town, those of these rigs and those of these agents.
pub async fn all(deps: &Deps, rigs: &[RigName], agents: &[AgentSpec]) -> Look {
    let mut look = Look::default();
    let (disk, paths) = ((&*deps.files, &deps.paths), &deps.paths);
    look.programs(deps, &paths.town_settings(), parse_town).await;
    look.programs(deps, &paths.agent_presets(), parse_agents).await;
    let _ = look.file(disk, &paths.deacon_heartbeat(), deacon_file::parse_heartbeat).await;
    let _ = look.file(disk, &paths.deacon_paused(), deacon_file::parse_pause).await;
    let _ = look.file(disk, &paths.boot_status(), boot_status::parse).await;
    for rig in rigs {
        look.rig(deps, rig).await;
    }
    look.session_ids(deps, agents).await;
    look.ours(deps).await;
    look
}

impl Look {
    async fn rig(&mut self, deps: &Deps, rig: &RigName) {
        let (disk, paths) = ((&*deps.files, &deps.paths), &deps.paths);
        let path = paths.wisp(rig);
        let before = self.read;
        let _ = self.file(disk, &path, wisp::parse).await;
        if self.read == before {
            let what = format!("no {}: rig {rig} counts as operational", paths.shown(&path).display());
            let hint = "if it was parked, that may have been lost: `gt rig park` writes it again";
            self.findings.push(Finding::note(Area::Files, what).hint(hint).about(paths.shown(&path)));
        }
        self.programs(deps, &paths.rig_settings(rig), parse_rig).await;
        self.programs(deps, &paths.rig_agent_presets(rig), parse_agents).await;
        let _ = self.file(disk, &paths.rig_config(rig), rig_config::parse).await;
        for role in [Role::Witness, Role::Refinery] {
            let _ = self.file(disk, &paths.agent_state(rig, role), agent_state::parse).await;
        }
    }

    /// The conversation ids that agents noted where they work. One that is none costs a word in a nudge, no more.
    async fn session_ids(&mut self, deps: &Deps, agents: &[AgentSpec]) {
        let directories: BTreeSet<PathBuf> =
            agents.iter().flat_map(|spec| place::candidates(&spec.identity, &deps.paths)).collect();
        for directory in directories {
            let path = TownPaths::session_id(&directory);
            let content = self.file((&*deps.files, &deps.paths), &path, |_, bytes| Ok(bytes.to_vec())).await;
            let Some(content) = content.filter(|content| !content.trim_ascii().is_empty()) else { continue };
            if texts::session_id(&content).is_none() {
                let problem = FileProblem::whole(deps.paths.shown(&path), "its first line is no conversation id")
                    .at(Place { line: 1, column: 1 })
                    .advise("the agent writes it at its next start; until then it is not told which conversation it had");
                self.findings.push(Finding::of_file(Severity::Note, &problem));
            }
        }
    }

    /// What the supervisor writes itself.
    async fn ours(&mut self, deps: &Deps) {
        let (disk, paths) = ((&*deps.files, &deps.paths), &deps.paths);
        let _ = self.file(disk, &paths.state(), daemon_state::parse).await;
        let aside =
            "the next supervisor sets it aside as .corrupt and begins afresh; mend it before, or remove it";
        let advise = |path: &Path, bytes: &[u8]| {
            restart_state::parse(path, bytes).map_err(|problem| problem.advise(aside))
        };
        let _ = self.file(disk, &paths.restart_state(), advise).await;
        for (there, problem) in [
            deps.requests.peek(deps).await,
            deps.holds.peek(deps).await,
            deps.lives.peek(deps).await,
            deps.waits.peek(deps).await,
            deps.role_beads.peek(deps).await,
            deps.incidents.peek(deps).await,
            deps.histories.peek(deps).await,
            deps.feed.peek(deps).await,
        ] {
            self.read += usize::from(there);
            if let Some(problem) = problem {
                self.wrong(&problem.advise(aside));
            }
        }
        for directory in [paths.daemon_dir(), paths.supervisor_dir()] {
            for name in deps.files.list(&directory).await.unwrap_or_default() {
                if name.ends_with(".corrupt") {
                    let path = directory.join(&name);
                    let what =
                        format!("{} was set aside: it could not be read", paths.shown(&path).display());
                    let hint = "remove it when you have seen what was in it";
                    self.findings.push(Finding::note(Area::Files, what).hint(hint).about(paths.shown(&path)));
                }
            }
        }
    }
}

/// The event log and the feed. Lines that cannot be used are passed over by everybody, and so are notes.
pub async fn events(deps: &Deps) -> Look {
    let mut look = Look::default();
    for path in [deps.paths.events(), deps.paths.feed()] {
        let shown = deps.paths.shown(&path);
        match lines::scan(&*deps.journals, &path, EVENTS).await {
            Ok(None) => {}
            Ok(Some(scan)) => {
                look.read += 1;
                look.findings.extend(bad_lines(shown, &scan));
            }
            Err(error) => {
                look.read += 1;
                look.wrong(&FileProblem::unreadable(shown, &error));
            }
        }
    }
    look
}

fn bad_lines(path: &Path, scan: &lines::Scan) -> Vec<Finding> {
    let advice = "it is passed over; whoever wrote it was cut short";
    let told = scan.bad.iter().map(|(place, reason)| {
        let problem = FileProblem::whole(path, reason.clone()).advise(advice);
        let problem = if scan.whole { problem.at(*place) } else { problem };
        Finding::of_file(Severity::Note, &problem)
    });
    let more = scan.bad_count - scan.bad.len();
    let more = (more > 0).then(|| {
        Finding::note(Area::Files, format!("{}: {more} more lines that cannot be used", path.display()))
            .about(path)
    });
    told.chain(more).collect()
}

/// All that was read: what is to be said of it, or that all is well.
pub fn sum(looks: impl IntoIterator<Item = Look>) -> Vec<Finding> {
    let (mut read, mut findings) = (0, Vec::new());
    for look in looks {
        read += look.read;
        findings.extend(look.findings);
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
    findings.insert(0, Finding::ok(Area::Files, what));
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
    fn bad_lines_have_places_only_where_lines_were_counted_from_the_beginning() {
        let bad = vec![(Place { line: 7, column: 3 }, "no".to_owned())];
        let scan = |whole| {
            let mut scan = lines::Scan::default();
            (scan.whole, scan.bad, scan.bad_count) = (whole, bad.clone(), 3);
            scan
        };
        let told = |whole| -> Vec<String> {
            bad_lines(Path::new("e"), &scan(whole)).into_iter().map(|finding| finding.what).collect()
        };
        assert_eq!(told(true), ["e:7:3: no", "e: 2 more lines that cannot be used"]);
        assert_eq!(told(false)[0], "e: no");
    }
}
