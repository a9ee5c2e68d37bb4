//! Liveness: whether an agent lives in its session, judged by the processes in the session's panes.
//!
//! A wrong "dead" kills a healthy agent. So a name can only show that a process *is* the agent, never that it is not.
//! The process we started in a pane is the agent whatever its name, and an agent is dead only when nothing but
//! [shells](super::shells) is left; one of whose program nothing is known may be a shell itself, and is dead only when that has ended.
//! Everything else is unknown. A silent agent is not dead: the screen is not used here.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use super::{
    program::{AgentProgram, Provider, provider::base_name},
    shells::{is_shell, is_shell_name},
};
use crate::{
    processes::{Process, ProcessesError},
    sessions::{Pane, Session},
    town::dialect::Dialect,
};

/// The kernel stores this many bytes of a process's name (`comm`; `TASK_COMM_LEN` is 16 with the closing zero).
const COMM_BYTES: usize = 15;

/// Whether an agent lives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Liveness {
    /// A process with one of its names runs in some pane.
    Alive,
    /// No agent yet, but a pane is so young that one may still come up.
    Starting,
    /// All panes were checked, and only shells are left in them.
    Dead,
    /// This process runs under a name that is not the agent's: it may be the agent, started by a launcher, or
    /// somebody's editor.
    Unlisted {
        /// Its pid.
        pid: u32,
        /// Its name.
        name: String,
    },
    /// It could not be found out, and why.
    Unknown(String),
}

/// The names that an agent's process may have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProcessNames {
    names: BTreeSet<String>,
    /// Whether a version number counts as a name: Claude's own installer names the executable by its version.
    or_version: bool,
    /// Whether the process that we started is the agent also when its name is a shell's.
    or_shell: bool,
}

impl ProcessNames {
    /// The names of a program, and those in its session's `GT_PROCESS_NAMES` (comma separated), if that is set.
    ///
    /// Programs installed by npm are scripts that `node` runs, so `node` is a name of theirs too.
    pub fn new(program: &AgentProgram, of_session: Option<&str>) -> Self {
        let of_session = of_session.unwrap_or_default().split(',').map(str::trim);
        let given = program.process_names.iter().map(String::as_str).chain(of_session);
        // Of a program that may be a shell, a shell's name shows nothing: a person's own has it, too.
        let shows = |name: &&str| !name.is_empty() && (!program.has_any_name || !is_shell_name(name));
        let mut names: BTreeSet<String> = given.map(base_name).filter(shows).map(str::to_owned).collect();
        // The newest dialect knows the most programs; what a session names is taken for what it is.
        let of_command = |name: &String| Provider::of_command(Dialect::V1, name);
        let providers: Vec<Provider> =
            names.iter().filter_map(of_command).chain([program.provider]).collect();
        let or_version = providers.iter().any(|provider| provider.is_claude());
        if or_version {
            names.insert("claude".to_owned());
        }
        if providers.iter().any(|provider| provider.runs_in_node()) {
            names.insert("node".to_owned());
        }
        ProcessNames { names, or_version, or_shell: program.has_any_name }
    }

    /// Whether the process of this pane is the agent for as long as it runs, whatever its name.
    pub fn are_any_in(&self, pane: &Pane) -> bool {
        self.or_shell && pane.started_by_us
    }

    /// Whether a process of this name (its `comm`, or its executable or `argv[0]` with or without directory) is the
    /// agent's.
    pub fn matches(&self, name: &str) -> bool {
        let name = base_name(name);
        self.names.iter().any(|expected| name == expected || name == cut(expected))
            || (self.or_version && is_version(name))
    }
}

/// A name cut to the length that the kernel stores.
fn cut(name: &str) -> &str {
    let mut end = name.len().min(COMM_BYTES);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    &name[..end]
}

/// Whether a name is a version number: three numbers with dots, and perhaps a suffix after `-` or `+`
/// (`2.0.76`, `2.1.0-beta.1`).
fn is_version(name: &str) -> bool {
    let numbers = name.split(['-', '+']).next().unwrap_or_default();
    let mut parts = 0;
    let all_digits = numbers.split('.').all(|part| {
        parts += 1;
        !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit())
    });
    all_digits && parts == 3
}

/// What a session said of its agent when it was asked. Gas Town 1.x notes the pane it started the agent in as
/// `GT_PANE_ID` (`%12`) in the session's environment, and looks for the agent there only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Marks {
    session: String,
    panes: Vec<String>,
    pane: Option<String>,
}

impl Marks {
    /// This session names this pane, or none. What is no pane's id (`%12`) names none.
    pub fn new(session: &Session, pane: Option<String>) -> Self {
        let pane = pane.filter(|id| id.starts_with('%'));
        Marks { session: session.id.clone(), panes: ids(session), pane }
    }

    /// Whether the session need not be asked again: it is the same incarnation with the same panes.
    pub fn are_of(&self, session: &Session) -> bool {
        self.session == session.id && self.panes == ids(session)
    }

    /// The panes in which the agent of this session may be: the one that is named as the agent's, while it exists;
    /// else all.
    pub fn panes_in<'a>(marks: Option<&Marks>, session: &'a Session) -> &'a [Pane] {
        let named = Marks::pane_of(marks, session);
        let pane = named.and_then(|named| session.panes.iter().find(|pane| pane.id == named));
        pane.map_or(&session.panes, std::slice::from_ref)
    }

    /// The id of the pane that is named as the agent's in this session, whether or not it still exists.
    fn pane_of<'a>(marks: Option<&'a Marks>, session: &Session) -> Option<&'a str> {
        marks.filter(|it| it.session == session.id)?.pane.as_deref()
    }

    /// The id of the pane that is the agent's in this session, or was before it was closed: the one that is named; else,
    /// or when that was closed, the one in which the agent was last `seen`.
    pub fn home(marks: Option<&Marks>, session: &Session, seen: Option<&str>) -> Option<String> {
        let named = Marks::pane_of(marks, session);
        let exists = |id: &&str| session.panes.iter().any(|pane| pane.id == *id);
        named.filter(exists).or(seen).or(named).map(str::to_owned)
    }
}

fn ids(session: &Session) -> Vec<String> {
    session.panes.iter().map(|pane| pane.id.clone()).collect()
}

/// The pane an agent lives in, of those panes of its session [in which it may be](Marks::panes_in): the only one that may be typed into or read as its screen.
/// It is the pane in which the process that we started still runs, whatever program that is now; else one in which a
/// process has one of the agent's names. Of several (a person's own `node` beside the agent) it is the oldest.
pub fn agent_pane<'a>(
    panes: &'a [Pane],
    trees: &BTreeMap<u32, Vec<Process>>,
    expected: &ProcessNames,
) -> Option<&'a Pane> {
    let is_agent = |process: &Process| process.names.iter().any(|name| expected.matches(name));
    let listed = |pane: &&Pane| tree_in(pane, trees).is_some_and(|tree| tree.iter().any(is_agent));
    let started = |pane: &&Pane| {
        let first = tree_in(pane, trees).and_then(<[Process]>::first);
        let is_it = |it: &Process| expected.are_any_in(pane) || !it.names.is_empty() && !is_shell(it);
        pane.started_by_us && first.is_some_and(|it| it.pid == pane.pid && is_it(it))
    };
    panes.iter().find(started).or_else(|| panes.iter().filter(listed).min_by_key(|pane| pane.number()))
}

/// The processes in a pane; none in one whose process has ended.
fn tree_in<'a>(pane: &Pane, trees: &'a BTreeMap<u32, Vec<Process>>) -> Option<&'a [Process]> {
    (!pane.dead).then(|| trees.get(&pane.pid)).flatten().map(Vec::as_slice)
}

/// Whether an agent lives in a session, by the panes [in which it may be](Marks::panes_in).
///
/// `trees` is the process table's answer for the panes' processes (a missing process has ended), `expected` the
/// agent's names. An agent may still come up while a pane's process is younger than `start_timeout`; where its pane is
/// known ([`Marks::home`]), only there: a shell that a person just opened beside it is no start.
pub fn liveness(
    panes: &[Pane],
    trees: Result<&BTreeMap<u32, Vec<Process>>, &ProcessesError>,
    expected: &ProcessNames,
    home: Option<&str>,
    start_timeout: Duration,
) -> Liveness {
    let trees = match trees {
        Ok(trees) => trees,
        Err(error) => return Liveness::Unknown(error.to_string()),
    };
    if agent_pane(panes, trees, expected).is_some() {
        return Liveness::Alive;
    }
    let is_young = |pane: &Pane| {
        let root = tree_in(pane, trees).and_then(<[Process]>::first);
        root.is_some_and(|root| root.age < start_timeout)
    };
    let is_home = |pane: &Pane| home.is_none_or(|home| pane.id == home);
    if panes.iter().filter(|pane| is_home(pane)).any(is_young) {
        return Liveness::Starting;
    }
    let mut others = panes.iter().flat_map(|pane| {
        let may_be = move |it: &&Process| !is_shell(it) || expected.or_shell && is_home(pane);
        tree_in(pane, trees).into_iter().flatten().filter(may_be)
    });
    match others.next() {
        None => Liveness::Dead,
        Some(process) => match process.names.first() {
            Some(name) => Liveness::Unlisted { pid: process.pid, name: name.clone() },
            None => Liveness::Unknown(format!("the name of process {} could not be read", process.pid)),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::program::{Description, provider::preset};

    const TIMEOUT: Duration = Duration::from_secs(60);
    const OLD: u64 = 3600;

    fn pane(pid: u32) -> Pane {
        let (id, window) = (format!("%{pid}"), "@1".to_owned());
        Pane { id, window, pid, dead: false, exit_status: None, started_by_us: false }
    }

    /// A process of an age in seconds with names separated by blanks.
    fn process(age: u64, names: &str) -> Process {
        Process {
            pid: 1000 + age as u32,
            age: Duration::from_secs(age),
            names: names.split_whitespace().map(str::to_owned).collect(),
        }
    }

    /// The answer for panes given as process trees; `None` is a pane whose process has vanished.
    fn judged(trees: &[Option<Vec<Process>>], expected: &ProcessNames) -> Liveness {
        let panes: Vec<Pane> = (1..=trees.len()).map(|pid| pane(pid as u32)).collect();
        let found = trees.iter().zip(1..).filter_map(|(tree, pid)| Some((pid, tree.clone()?))).collect();
        liveness(&panes, Ok(&found), expected, None, TIMEOUT)
    }

    fn names(program: &str, of_session: Option<&str>) -> ProcessNames {
        ProcessNames::new(&preset(program).unwrap(), of_session)
    }

    #[test]
    fn one_pane() {
        let shell = || process(OLD, "bash");
        let unlisted = |name: &str| Liveness::Unlisted { pid: 1000 + OLD as u32, name: name.to_owned() };
        for (case, program, of_session, tree, expected) in [
            ("claude itself", "claude", None, vec![process(OLD, "claude")], Liveness::Alive),
            ("claude as node", "claude", None, vec![process(OLD, "node")], Liveness::Alive),
            ("claude as a version", "claude", None, vec![process(OLD, "2.0.76")], Liveness::Alive),
            ("node below a shell", "claude", None, vec![shell(), process(OLD, "node")], Liveness::Alive),
            (
                "far below",
                "claude",
                None,
                vec![shell(), process(OLD, "sh"), process(OLD, "claude")],
                Liveness::Alive,
            ),
            (
                "only argv[0] tells",
                "codex",
                None,
                vec![process(OLD, "MainThread node20 /opt/x/codex")],
                Liveness::Alive,
            ),
            ("codex by its own name", "codex", None, vec![process(OLD, "codex")], Liveness::Alive),
            ("gemini is a script of node", "gemini", None, vec![process(OLD, "node")], Liveness::Alive),
            ("cursor is not", "cursor", None, vec![process(OLD, "node")], unlisted("node")),
            ("codex where claude is set", "claude", None, vec![process(OLD, "codex")], unlisted("codex")),
            ("its session says codex", "claude", Some("codex"), vec![process(OLD, "codex")], Liveness::Alive),
            (
                "its session says more",
                "codex",
                Some("aider, my-agent"),
                vec![process(OLD, "my-agent")],
                Liveness::Alive,
            ),
            ("its session says nothing", "codex", Some(" , "), vec![process(OLD, "bash")], Liveness::Dead),
            (
                "its session says claude",
                "cursor",
                Some("claude"),
                vec![process(OLD, "2.1.3")],
                Liveness::Alive,
            ),
            ("a version is nobody else", "codex", None, vec![process(OLD, "2.0.76")], unlisted("2.0.76")),
            ("zombie shell", "claude", None, vec![shell()], Liveness::Dead),
            ("shell with other work", "claude", None, vec![shell(), process(OLD, "vim")], unlisted("vim")),
            (
                "a name that only begins so",
                "claude",
                None,
                vec![process(OLD, "claudette")],
                unlisted("claudette"),
            ),
            (
                "a launcher's program",
                "claude",
                None,
                vec![process(OLD, ".claude-unwrapp")],
                unlisted(".claude-unwrapp"),
            ),
            (
                "a script of a shell's",
                "claude",
                None,
                vec![process(OLD, "my-agent dash sh")],
                unlisted("my-agent"),
            ),
            (
                "a login",
                "claude",
                None,
                vec![process(OLD, "login"), process(OLD, "zsh -zsh")],
                Liveness::Dead,
            ),
            (
                "shells below shells",
                "claude",
                None,
                vec![shell(), process(OLD, "su"), shell()],
                Liveness::Dead,
            ),
            ("young shell", "claude", None, vec![process(59, "bash")], Liveness::Starting),
            ("shell just too old", "claude", None, vec![process(60, "bash")], Liveness::Dead),
            (
                "old shell, young child",
                "claude",
                None,
                vec![shell(), process(1, "vim")],
                Liveness::Unlisted { pid: 1001, name: "vim".into() },
            ),
            ("young agent", "claude", None, vec![process(0, "claude")], Liveness::Alive),
            (
                "a nameless process",
                "claude",
                None,
                vec![shell(), process(OLD, "")],
                Liveness::Unknown("the name of process 4600 could not be read".into()),
            ),
            (
                "nameless beside the agent",
                "claude",
                None,
                vec![process(OLD, ""), process(OLD, "node")],
                Liveness::Alive,
            ),
            ("young and nameless", "claude", None, vec![process(1, "")], Liveness::Starting),
        ] {
            assert_eq!(judged(&[Some(tree)], &names(program, of_session)), expected, "{case}");
        }
    }

    #[test]
    fn several_panes() {
        let claude = names("claude", None);
        let agent = || Some(vec![process(OLD, "claude")]);
        let shell = |age| Some(vec![process(age, "bash")]);
        for (case, panes, expected) in [
            ("split, agent first", vec![agent(), shell(5)], Liveness::Alive),
            ("split, agent last", vec![shell(OLD), shell(OLD), agent()], Liveness::Alive),
            ("agent gone, user's shell stays", vec![None, shell(OLD)], Liveness::Dead),
            ("agent gone, a fresh shell", vec![shell(OLD), shell(5)], Liveness::Starting),
            ("every process has ended", vec![None, None], Liveness::Dead),
            ("no panes", vec![], Liveness::Dead),
        ] {
            assert_eq!(judged(&panes, &claude), expected, "{case}");
        }
    }

    #[test]
    fn beside_the_pane_it_was_seen_in_nothing_starts() {
        let shell = |age| Some(vec![process(age, "bash")]);
        let editor = || Some(vec![process(5, "vim")]);
        let unlisted = || Liveness::Unlisted { pid: 1005, name: "vim".to_owned() };
        for (case, trees, seen, expected) in [
            ("its pane was closed", [None, shell(5)], Some("%9"), Liveness::Dead),
            ("its process has ended", [None, shell(5)], Some("%1"), Liveness::Dead),
            ("its shell is left", [shell(OLD), shell(5)], Some("%1"), Liveness::Dead),
            ("its process is being replaced", [shell(5), shell(OLD)], Some("%1"), Liveness::Starting),
            ("its pane was closed, a person's editor is left", [None, editor()], Some("%9"), unlisted()),
            ("never seen", [None, shell(5)], None, Liveness::Starting),
        ] {
            let panes = [pane(1), pane(2)];
            let found = trees.into_iter().zip(1..).filter_map(|(tree, pid)| Some((pid, tree?))).collect();
            let judged = liveness(&panes, Ok(&found), &names("claude", None), seen, TIMEOUT);
            assert_eq!(judged, expected, "{case}");
        }
    }

    #[test]
    fn the_pane_that_is_or_was_the_agents() {
        let session = Session {
            name: "hq-deacon".to_owned(),
            id: "$1".to_owned(),
            created: jiff::Timestamp::UNIX_EPOCH,
            towns: Vec::new(),
            panes: vec![pane(1), pane(2)],
        };
        for (named, seen, home) in [
            (Some("%1"), Some("%2"), Some("%1")),
            (Some("%9"), Some("%2"), Some("%2")),
            (Some("%9"), None, Some("%9")),
            (Some("0.1"), None, None),
            (None, Some("%8"), Some("%8")),
            (None, None, None),
        ] {
            let marks = Marks::new(&session, named.map(str::to_owned));
            let case = format!("named {named:?}, seen {seen:?}");
            assert_eq!(Marks::home(Some(&marks), &session, seen).as_deref(), home, "{case}");
        }
    }

    #[test]
    fn which_pane_is_the_agents() {
        let claude = names("claude", None);
        let of = |names: &str| Some(vec![process(OLD, names)]);
        let below = |names: &str| Some(vec![process(OLD, "sh"), process(OLD, names)]);
        for (case, trees, expected) in [
            ("alone", vec![of("claude")], Some("%1")),
            ("beside a person's shell", vec![of("claude"), of("bash")], Some("%1")),
            ("a person split before it", vec![of("bash"), of("vim"), of("claude")], Some("%3")),
            ("below a shell", vec![of("zsh"), below("claude")], Some("%2")),
            ("a person's own node was made later", vec![of("claude"), of("node")], Some("%1")),
            ("only shells", vec![of("bash"), below("vim")], None),
            ("its process has ended", vec![None, of("bash")], None),
            ("no panes", vec![], None),
        ] {
            let panes: Vec<Pane> = (1..=trees.len()).map(|pid| pane(pid as u32)).collect();
            let found = trees.iter().zip(1..).filter_map(|(tree, pid)| Some((pid, tree.clone()?))).collect();
            let at = agent_pane(&panes, &found, &claude).map(|pane| pane.id.as_str());
            assert_eq!(at, expected, "{case}");
            let backwards: Vec<Pane> = panes.iter().rev().cloned().collect();
            let at = agent_pane(&backwards, &found, &claude).map(|pane| pane.id.as_str());
            assert_eq!(at, expected, "{case}, listed the other way round");
        }
    }

    #[test]
    fn one_of_which_nothing_is_known_lives_while_what_we_started_runs() {
        let program = AgentProgram {
            process_names: vec!["run.sh".to_owned(), "sh".to_owned()],
            provider: Provider::Generic,
            has_any_name: true,
            ..preset("claude").unwrap()
        };
        let plain = ProcessNames::new(&program, None);
        let first = |names: &str| Process { pid: 1, ..process(OLD, names) };
        let unlisted = |pid: u32, name: &str| Liveness::Unlisted { pid, name: name.to_owned() };
        for (case, ours, tree, beside, home, expected) in [
            ("a shell", true, Some(first("sh")), None, None, Liveness::Alive),
            ("a login shell", true, Some(first("-bash")), None, None, Liveness::Alive),
            ("python", true, Some(first("python3")), None, None, Liveness::Alive),
            ("no name can be read", true, Some(first("")), None, None, Liveness::Alive),
            ("it has ended", true, None, None, None, Liveness::Dead),
            ("it has ended beside a person's shell", true, None, Some("bash"), Some("%1"), Liveness::Dead),
            ("its pane is gone, a shell is left", true, None, Some("bash"), Some("%9"), Liveness::Dead),
            (
                "of somebody's making, by its name",
                false,
                Some(first("run.sh bash")),
                None,
                None,
                Liveness::Alive,
            ),
            ("a shell of somebody's making", false, Some(first("bash")), None, None, unlisted(1, "bash")),
            ("that in its pane", false, Some(first("sh")), Some("bash"), Some("%1"), unlisted(1, "sh")),
            ("an editor of somebody's making", false, Some(first("vim")), None, None, unlisted(1, "vim")),
        ] {
            let panes = [Pane { started_by_us: ours, ..pane(1) }, pane(2)];
            let beside = beside.map(|names| (2, vec![process(OLD, names)]));
            let found = tree.map(|tree| (1, vec![tree])).into_iter().chain(beside).collect();
            assert_eq!(liveness(&panes, Ok(&found), &plain, home, TIMEOUT), expected, "{case}");
        }
        let young = [(1, vec![Process { age: Duration::ZERO, ..first("bash") }])].into();
        assert_eq!(liveness(&[pane(1)], Ok(&young), &plain, None, TIMEOUT), Liveness::Starting);
    }

    #[test]
    fn what_we_started_is_the_agent_whatever_its_name() {
        let claude = names("claude", None);
        let first = |names: &str| Process { pid: 1, ..process(OLD, names) };
        let unlisted = |name: &str| Liveness::Unlisted { pid: 1000 + OLD as u32, name: name.to_owned() };
        let shells = vec![first("sh"), process(OLD, "sh")];
        for (case, ours, tree, expected) in [
            ("a launcher's program", true, Some(vec![first(".claude-unwrapp")]), Liveness::Alive),
            ("a script of python's", true, Some(vec![first("python3 my-agent")]), Liveness::Alive),
            ("a script of a shell's", true, Some(vec![first("my-agent dash sh")]), Liveness::Alive),
            ("with a shell below it", true, Some(vec![first("bun"), process(1, "bash")]), Liveness::Alive),
            (
                "on the way",
                true,
                Some(vec![Process { age: Duration::ZERO, ..first("env") }]),
                Liveness::Starting,
            ),
            ("a shell", true, Some(shells.clone()), Liveness::Dead),
            ("a login shell", true, Some(vec![first("bash -bash")]), Liveness::Dead),
            (
                "a shell that runs something",
                true,
                Some(vec![first("sh"), process(OLD, "vim")]),
                unlisted("vim"),
            ),
            ("nothing", true, None, Liveness::Dead),
            (
                "its name cannot be read",
                true,
                Some(vec![first("")]),
                Liveness::Unknown("the name of process 1 could not be read".into()),
            ),
            ("not ours", false, Some(vec![process(OLD, "bun")]), unlisted("bun")),
        ] {
            let panes = [Pane { started_by_us: ours, ..pane(1) }];
            let found: BTreeMap<_, _> = tree.into_iter().map(|tree| (1, tree)).collect();
            assert_eq!(liveness(&panes, Ok(&found), &claude, None, TIMEOUT), expected, "{case}");
            let held_by = agent_pane(&panes, &found, &claude).map(|pane| pane.pid);
            assert_eq!(held_by.is_some(), expected == Liveness::Alive, "{case}");
        }
        // Beside other people's panes.
        let panes = [pane(2), Pane { started_by_us: true, ..pane(1) }];
        let found = BTreeMap::from([(1, vec![first("bun")]), (2, vec![process(OLD, "vim")])]);
        assert_eq!(agent_pane(&panes, &found, &claude).map(|pane| pane.pid), Some(1));
        // Even where a person runs another agent, or a process of the same name.
        let found = BTreeMap::from([(1, vec![first("bun")]), (2, vec![process(OLD, "claude")])]);
        assert_eq!(agent_pane(&panes, &found, &claude).map(|pane| pane.pid), Some(1));
        let found = BTreeMap::from([(1, vec![first("sh")]), (2, vec![process(OLD, "claude")])]);
        assert_eq!(agent_pane(&panes, &found, &claude).map(|pane| pane.pid), Some(2));
    }

    #[test]
    fn shells() {
        for (names, shell) in [
            ("sh", true),
            ("bash -bash", true),
            ("-zsh zsh", true),
            ("zsh zsh-5.9", true),
            ("zsh zsh5 -zsh", true),
            ("ksh ksh93", true),
            ("sh busybox -sh", true),
            ("pwsh", true),
            ("nu", true),
            ("elvish", true),
            ("tcsh", true),
            ("/bin/fish", true),
            ("login", true),
            ("env", true),
            ("vi busybox", false),
            ("my-agent bash", false),
            ("shell-gpt", false),
            ("node", false),
            ("sha256sum", false),
            ("", false),
        ] {
            assert_eq!(is_shell(&process(OLD, names)), shell, "{names:?}");
        }
    }

    #[test]
    fn a_kept_dead_pane_has_no_process() {
        // Its pid may be another process's by now.
        let kept = Pane { dead: true, exit_status: Some(1), ..pane(1) };
        let trees = BTreeMap::from([(1, vec![process(1, "claude")])]);
        assert_eq!(liveness(&[kept], Ok(&trees), &names("claude", None), None, TIMEOUT), Liveness::Dead);
    }

    #[test]
    fn no_process_table_is_unknown() {
        let error = ProcessesError("/proc is not mounted".into());
        assert_eq!(
            liveness(&[pane(1)], Err(&error), &names("claude", None), None, TIMEOUT),
            Liveness::Unknown("the process table could not be read: /proc is not mounted".into())
        );
    }

    #[test]
    fn long_names_are_known_by_what_the_kernel_keeps() {
        let mine = Description {
            command: Some("/opt/my-very-long-agent-name".into()),
            provider: Some(Provider::Generic),
            ..Description::default()
        };
        let expected = ProcessNames::new(&mine.program(Dialect::January, "mine"), None);
        for (name, matches) in [
            ("my-very-long-agent-name", true),
            ("my-very-long-ag", true),
            ("my-very-long-a", false),
            ("my-very-long-age", false),
            ("my-very-long-agent-name-2", false),
            ("node", false),
        ] {
            assert_eq!(expected.matches(name), matches, "{name}");
        }
        let umlauts = Description { process_names: Some(vec!["ääääääää".into()]), ..mine };
        assert!(
            ProcessNames::new(&umlauts.program(Dialect::January, "mine"), None).matches("äääääää"),
            "cut between characters"
        );
    }

    #[test]
    fn versions() {
        for (name, version) in [
            ("2.0.76", true),
            ("10.20.30", true),
            ("2.1.0-beta.1", true),
            ("2.1.0+7", true),
            ("2.0", false),
            ("2.0.76.1", false),
            ("2..76", false),
            ("v2.0.76", false),
            ("2.0.x", false),
            ("", false),
            ("-", false),
        ] {
            assert_eq!(is_version(name), version, "{name:?}");
        }
    }

    #[test]
    fn the_pane_that_the_session_names_alone_counts() {
        let claude = || vec![process(OLD, "claude")];
        let (vim, shell) = (|| vec![process(OLD, "vim")], || vec![process(OLD, "bash")]);
        let left = || Liveness::Unlisted { pid: 1000 + OLD as u32, name: "vim".to_owned() };
        let young = |name: &str| vec![process(5, name)];
        let newer = |name: &str| Liveness::Unlisted { pid: 1005, name: name.to_owned() };
        for (case, trees, named, expected) in [
            ("it lives there", [Some(claude()), Some(vim())], Some("%1"), Liveness::Alive),
            ("a person's editor beside it", [None, Some(vim())], Some("%1"), Liveness::Dead),
            ("a person's own claude beside it", [Some(shell()), Some(claude())], Some("%1"), Liveness::Dead),
            ("another program in it", [Some(vim()), Some(shell())], Some("%1"), left()),
            ("the pane is gone, something else runs", [None, Some(vim())], Some("%9"), left()),
            ("the pane is gone, shells are left", [None, Some(shell())], Some("%9"), Liveness::Dead),
            ("gone, a person's young shell is left", [None, Some(young("bash"))], Some("%9"), Liveness::Dead),
            ("gone, a person's young editor is left", [None, Some(young("vim"))], Some("%9"), newer("vim")),
            ("gone, an agent elsewhere", [None, Some(claude())], Some("%9"), Liveness::Alive),
            ("its own pane is young", [Some(young("bash")), Some(shell())], Some("%1"), Liveness::Starting),
            ("none is named, a young shell", [None, Some(young("bash"))], None, Liveness::Starting),
            (
                "nonsense is named, a young shell",
                [None, Some(young("bash"))],
                Some("0.1"),
                Liveness::Starting,
            ),
            ("none is named", [None, Some(claude())], None, Liveness::Alive),
            ("nonsense is named", [None, Some(claude())], Some("0.1"), Liveness::Alive),
        ] {
            let session = Session {
                name: "hq-deacon".to_owned(),
                id: "$1".to_owned(),
                created: jiff::Timestamp::UNIX_EPOCH,
                towns: Vec::new(),
                panes: vec![pane(1), pane(2)],
            };
            let marks = Marks::new(&session, named.map(str::to_owned));
            let found = trees.into_iter().zip(1..).filter_map(|(tree, pid)| Some((pid, tree?))).collect();
            let judge = |marks, session: &Session| {
                let panes = Marks::panes_in(marks, session);
                let home = Marks::home(marks, session, None);
                liveness(panes, Ok(&found), &names("claude", None), home.as_deref(), TIMEOUT)
            };
            assert_eq!(judge(Some(&marks), &session), expected, "{case}");
            // What another incarnation said does not count.
            let next = Session { id: "$2".to_owned(), ..session.clone() };
            assert_eq!(judge(Some(&marks), &next), judge(None, &next), "{case}");
            assert!(marks.are_of(&session) && !marks.are_of(&next));
            assert!(!marks.are_of(&Session { panes: vec![pane(1)], ..session }));
        }
    }
}
