//! Screens: the last screen of each agent, so that the reason of an end can still be read when the session is gone, and the
//! question at which an agent waits. In memory only.
//!
//! Owners say whose screens are watched; [`screens::refresh`](crate::agent::screens::refresh) reads them after a full scan. Each
//! watched agent has the last screen of its last incarnation, which is dropped some time after that incarnation is gone.
//! [`questions`] judges what a screen says. No decision may depend on the presence of a screen.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use super::{AgentRecord, Records};
use crate::{
    agent::{
        confirmation::SessionKey,
        liveness::{Marks, ProcessNames, agent_pane},
        oom::Counters,
        questions,
        spec::AgentSpec,
    },
    clock::Now,
    processes::Process,
    sessions::{PaneTarget, scan::Scan},
    town::{identity::Identity, usage_limit::SCREEN_LINES},
};

/// How long the screen of a session that is gone stays available after it was read: longer than the confirmation of any
/// death takes.
const KEPT: Duration = Duration::from_secs(10 * 60);

/// An agent whose screen is read, and what was seen of it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Watched {
    agent: AgentSpec,
    /// The process names by which the agent was last recognised. An agent that is found by them is alive, even if the
    /// settings have changed since, so a heartbeat reads no settings for healthy agents.
    names: Option<ProcessNames>,
    /// What its session said of it; `None` until it was asked.
    marks: Option<Marks>,
    /// The process that it was when last probed, and the server's id for that session.
    process: Option<(String, Process)>,
    screen: Option<Arc<Screen>>,
    /// The last one that was read while it lived.
    alive: Option<Arc<Screen>>,
    /// What the kernel had counted in its cgroups when it was last seen alive.
    oom: Option<Counters>,
    /// Where an earlier supervisor last saw it: the incarnation of its session, and the pane.
    home: Option<(SessionKey, String)>,
}

/// What was on an agent's screen.
#[derive(Debug, PartialEq)]
pub struct Screen {
    /// The pane that shows it.
    pub pane: PaneTarget,
    /// The last lines of it.
    pub lines: Vec<String>,
    /// The title of the question it shows.
    pub question: Option<String>,
    /// When it was seen.
    pub at: Now,
    /// Since when it shows exactly this.
    pub unchanged_since: Now,
}

/// A watched agent that a scan shows alive.
#[derive(Debug, Clone, PartialEq)]
pub struct Living {
    /// The agent.
    pub agent: AgentSpec,
    /// Its pane.
    pub pane: PaneTarget,
    /// Its process.
    pub process: Process,
    /// All processes in its pane.
    pub all: Vec<u32>,
}

/// A question came, with its title, or is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Turn(pub Option<String>);

impl Records {
    /// From now on the screen of this agent is read. That of another session is forgotten.
    pub fn watch_screen(&self, agent: &AgentSpec) {
        let mut agents = self.agents.lock();
        let AgentRecord { watched, life, .. } = agents.entry(agent.identity.clone()).or_default();
        if watched.as_ref().is_none_or(|before| before.agent != *agent) {
            let home = life.as_ref().and_then(|life| Some((life.session.clone(), life.pane.clone()?)));
            let agent = agent.clone();
            *watched = Some(Watched {
                agent,
                names: None,
                marks: None,
                process: None,
                screen: None,
                alive: None,
                oom: None,
                home,
            });
        }
    }

    /// The process names by which this agent was last recognised; `None` when they must be read from the settings.
    pub fn process_names(&self, identity: &Identity) -> Option<ProcessNames> {
        self.agents.lock().get(identity)?.watched.as_ref()?.names.clone()
    }

    /// Notes the process names by which this agent was recognised.
    pub fn set_process_names(&self, identity: &Identity, names: Option<ProcessNames>) {
        self.watched(identity, |watched| watched.names = names);
    }

    /// What the session of this agent last said of it; `None` when it must be asked.
    pub fn marks(&self, identity: &Identity) -> Option<Marks> {
        self.agents.lock().get(identity)?.watched.as_ref()?.marks.clone()
    }

    /// Notes what the session of this agent said of it.
    pub fn set_marks(&self, identity: &Identity, marks: Option<Marks>) {
        self.watched(identity, |watched| watched.marks = marks);
    }

    /// Notes the process that is this agent, of those that run in its pane.
    pub fn note_process(
        &self,
        identity: &Identity,
        pane: &PaneTarget,
        trees: &BTreeMap<u32, Vec<Process>>,
        names: &ProcessNames,
    ) {
        let Some(process) = trees.get(&pane.pid()).and_then(|tree| process_of(tree, names)) else { return };
        let process = (pane.session_id().to_owned(), process.clone());
        self.watched(identity, |watched| watched.process = Some(process));
    }

    /// The process that was this agent when it was last probed, in the incarnation of its session with this id.
    pub fn process(&self, identity: &Identity, id: &str) -> Option<Process> {
        let agents = self.agents.lock();
        let (session, process) = agents.get(identity)?.watched.as_ref()?.process.as_ref()?;
        (session == id).then(|| process.clone())
    }

    /// What the kernel had counted in the cgroups of this agent when it was last seen alive; `None` where that is not known.
    pub fn oom_counters(&self, identity: &Identity) -> Option<Counters> {
        self.agents.lock().get(identity)?.watched.as_ref()?.oom.clone()
    }

    /// Notes what the kernel has counted in the cgroups of this agent.
    pub fn set_oom_counters(&self, identity: &Identity, counters: Option<Counters>) {
        self.watched(identity, |watched| watched.oom = counters);
    }

    /// Drops the screen, because a new session of this agent was created: the screen belongs to the previous one.
    pub fn forget_screen(&self, identity: &Identity) {
        self.watched(identity, |watched| (watched.screen, watched.alive) = (None, None));
    }

    /// The screen that was just read is one of an agent that lives.
    pub fn screen_is_alive(&self, identity: &Identity) {
        self.watched(identity, |watched| watched.alive = watched.screen.clone());
    }

    /// The last screen that was read while an agent lived, in the incarnation of its session with this id.
    pub fn screen_alive(&self, identity: &Identity, id: &str) -> Option<Arc<Screen>> {
        let agents = self.agents.lock();
        let screen = agents.get(identity)?.watched.as_ref()?.alive.as_ref()?;
        (screen.pane.session_id() == id).then(|| screen.clone())
    }

    /// Stores the current screen of a watched agent, in this pane. Returns a question that appeared or disappeared.
    pub fn note_screen(
        &self,
        identity: &Identity,
        pane: &PaneTarget,
        mut lines: Vec<String>,
        at: Now,
    ) -> Option<Turn> {
        let question = questions::shown(&lines).map(|question| question.title);
        lines.drain(..lines.len().saturating_sub(usize::from(SCREEN_LINES)));
        let before = self.watched(identity, |watched| {
            let same = watched.screen.take_if(|before| before.pane == *pane && before.lines == lines);
            let unchanged_since = same.as_ref().map_or(at, |before| before.unchanged_since);
            let screen =
                Screen { pane: pane.clone(), lines, question: question.clone(), at, unchanged_since };
            watched.screen.replace(Arc::new(screen)).or(same)
        })?;
        self.note_pane(identity, pane);
        (before.and_then(|before| before.question.clone()) != question).then_some(Turn(question))
    }

    /// Remembers the pane of an agent that lives, for the next supervisor.
    fn note_pane(&self, identity: &Identity, pane: &PaneTarget) {
        let mut agents = self.agents.lock();
        let life = agents.get_mut(identity).and_then(|record| record.life.as_mut());
        let Some(life) = life.filter(|life| life.session.id == pane.session_id()) else { return };
        if life.pane.as_deref() != Some(pane.pane()) {
            life.pane = Some(pane.pane().to_owned());
            self.lives.was_changed();
        }
    }

    /// The pane in which an agent was last seen in this incarnation of its session, also by an earlier supervisor.
    pub fn last_pane(&self, identity: &Identity, session: &SessionKey) -> Option<String> {
        self.agents.lock().get(identity)?.last_pane(session)
    }

    /// The last screen of an agent, in the incarnation of its session with this id, or in any.
    pub fn screen(&self, identity: &Identity, id: Option<&str>) -> Option<Arc<Screen>> {
        let agents = self.agents.lock();
        let screen = agents.get(identity)?.watched.as_ref()?.screen.as_ref()?;
        id.is_none_or(|id| screen.pane.session_id() == id).then(|| screen.clone())
    }

    /// Whether a scan shows a watched agent whose screen was never read, such as one that was just adopted.
    pub fn lack_a_screen(&self, scan: &Scan) -> bool {
        let agents = self.agents.lock();
        let mut unread =
            agents.values().filter_map(|it| it.watched.as_ref()).filter(|it| it.screen.is_none());
        unread.any(|watched| watched.pane_in(scan).is_some())
    }

    /// The panes of the watched agents that a scan shows alive, and the agents whose question ended with their session.
    /// Drops screens of sessions that are gone for longer than [`KEPT`].
    pub fn watched_in(&self, scan: &Scan, now: Now) -> (Vec<(AgentSpec, PaneTarget)>, Vec<AgentSpec>) {
        let Ok(sessions) = &scan.sessions else { return Default::default() };
        let (mut there, mut over) = (Vec::new(), Vec::new());
        for watched in self.agents.lock().values_mut().filter_map(|record| record.watched.as_mut()) {
            there.extend(watched.pane_in(scan).map(|pane| (watched.agent.clone(), pane)));
            let id = sessions.get(&watched.agent.session).map(|session| session.id.as_str());
            let is_gone = |screen: &Screen| id != Some(screen.pane.session_id());
            if watched.screen.as_ref().is_some_and(|it| it.question.is_some() && is_gone(it)) {
                over.push(watched.agent.clone());
            }
            watched.screen.take_if(|it| is_gone(it) && now.since(it.at) > KEPT);
            watched.alive.take_if(|it| is_gone(it) && now.since(it.at) > KEPT);
        }
        (there, over)
    }

    /// The watched agents that a scan shows alive; `None` when it could not see.
    pub fn living_in(&self, scan: &Scan) -> Option<Vec<Living>> {
        let (Ok(_), Ok(trees)) = (&scan.sessions, &scan.trees) else { return None };
        let agents = self.agents.lock();
        let living = agents.values().filter_map(|record| record.watched.as_ref()?.living_in(scan, trees));
        Some(living.collect())
    }

    fn watched<A>(&self, identity: &Identity, change: impl FnOnce(&mut Watched) -> A) -> Option<A> {
        self.agents.lock().get_mut(identity)?.watched.as_mut().map(change)
    }
}

impl AgentRecord {
    /// The pane in which it was last seen in this incarnation of its session.
    pub(super) fn last_pane(&self, session: &SessionKey) -> Option<String> {
        let watched = self.watched.as_ref()?;
        let seen = watched.screen.as_ref().map(|it| &it.pane).filter(|it| it.session_id() == session.id);
        let before = watched.home.as_ref().filter(|(its, _)| its == session).map(|(_, pane)| pane.as_str());
        seen.map(PaneTarget::pane).or(before).map(str::to_owned)
    }
}

impl Watched {
    /// The agent.
    pub(super) fn agent(&self) -> &AgentSpec {
        &self.agent
    }

    /// The pane in which a scan shows the agent; `None` also while its process names are unknown.
    fn pane_in(&self, scan: &Scan) -> Option<PaneTarget> {
        let (Ok(sessions), Ok(trees)) = (&scan.sessions, &scan.trees) else { return None };
        let session = sessions.get(&self.agent.session)?;
        let panes = Marks::panes_in(self.marks.as_ref(), session);
        Some(session.target(agent_pane(panes, trees, self.names.as_ref()?)?))
    }

    fn living_in(&self, scan: &Scan, trees: &BTreeMap<u32, Vec<Process>>) -> Option<Living> {
        let (pane, names) = (self.pane_in(scan)?, self.names.as_ref()?);
        let tree = trees.get(&pane.pid())?;
        let process = process_of(tree, names)?.clone();
        let all = tree.iter().map(|process| process.pid).collect();
        Some(Living { agent: self.agent.clone(), pane, process, all })
    }
}

/// The process that is an agent with these names, of those in its pane. One that is started by a launcher is found by its name,
/// and one of another name is the pane's own.
fn process_of<'a>(tree: &'a [Process], names: &ProcessNames) -> Option<&'a Process> {
    let is_it = |process: &&Process| process.names.iter().any(|name| names.matches(name));
    tree.iter().find(is_it).or(tree.first())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        agent::program::provider::preset,
        sessions::{Pane, Session},
    };

    fn at(seconds: u64) -> Now {
        let wall = "2026-02-02T08:00:00Z".parse().unwrap();
        Now { mono: Duration::from_secs(seconds), wall }
    }

    fn scan(sessions: &[(&str, &str)]) -> Scan {
        let sessions =
            Ok(sessions.iter().map(|(name, id)| ((*name).to_owned(), session(name, id).into())).collect());
        let claude = Process { pid: 7, age: Duration::from_secs(1), names: vec!["claude".to_owned()] };
        Scan { begun: at(0), sessions, trees: Ok(BTreeMap::from([(7, vec![claude])]).into()) }
    }

    /// A person's pane, and the agent's.
    fn session(name: &str, id: &str) -> Session {
        let pane = |id: &str, pid| Pane {
            id: id.to_owned(),
            window: "@1".to_owned(),
            pid,
            dead: false,
            exit_status: None,
            started_by_us: false,
        };
        let panes = vec![pane("%1", 6), pane("%2", 7)];
        Session { name: name.to_owned(), id: id.to_owned(), created: at(0).wall, towns: Vec::new(), panes }
    }

    fn pane(name: &str, id: &str) -> PaneTarget {
        let session = session(name, id);
        session.target(&session.panes[1])
    }

    const A: &Identity = &Identity::Deacon;

    /// The agent of the session `a`.
    fn agent() -> AgentSpec {
        AgentSpec { identity: A.clone(), session: "a".to_owned(), prefix: String::new() }
    }

    /// Records in which its screen is watched.
    fn watching() -> Records {
        let records = Records::new("/nowhere".into());
        records.watch_screen(&agent());
        records.set_process_names(A, Some(ProcessNames::new(&preset("claude").unwrap(), None)));
        records
    }

    fn lines(text: &str) -> Vec<String> {
        vec![text.to_owned()]
    }

    fn last(records: &Records, id: &str) -> Option<(Now, Vec<String>)> {
        records.screen(A, Some(id)).map(|screen| (screen.at, screen.lines.clone()))
    }

    fn question(records: &Records, id: Option<&str>) -> Option<String> {
        records.screen(A, id)?.question.clone()
    }

    #[test]
    fn the_last_screen_of_watched_agents_only() {
        let records = Records::new("/nowhere".into());
        let _ = records.note_screen(A, &pane("a", "$1"), lines("nobody watches it"), at(0));
        assert_eq!(last(&records, "$1"), None);
        let records = watching();
        records.note_screen(A, &pane("a", "$1"), lines("one"), at(1));
        records.note_screen(A, &pane("a", "$1"), lines("two"), at(2));
        records.watch_screen(&agent()); // once more changes nothing
        assert_eq!(last(&records, "$1"), Some((at(2), lines("two"))));
        assert_eq!(last(&records, "$2"), None, "another incarnation");
        assert_eq!(records.screen(&Identity::Boot, Some("$1")), None, "another agent, on another server");
        records.note_screen(A, &pane("a", "$2"), lines("new"), at(3));
        assert_eq!((last(&records, "$1"), last(&records, "$2")), (None, Some((at(3), lines("new")))));
        let elsewhere = AgentSpec { session: "b".to_owned(), ..agent() };
        records.watch_screen(&elsewhere);
        assert_eq!(last(&records, "$2"), None, "its session has another name from now on");
        records.note_screen(A, &pane("b", "$2"), lines("new"), at(3));
        records.forget(A, "its directory is gone", at(3).wall);
        records.watch_screen(&elsewhere);
        assert_eq!(last(&records, "$2"), None, "forgotten");
    }

    #[test]
    fn a_question_comes_once_and_goes() {
        let records = watching();
        let asks = || ["Do you trust this folder?", "❯ 1. Yes", "  2. No"].map(str::to_owned).to_vec();
        let title = Some("Do you trust this folder?".to_owned());
        assert_eq!(records.note_screen(A, &pane("a", "$1"), asks(), at(0)), Some(Turn(title.clone())));
        assert_eq!(records.note_screen(A, &pane("a", "$1"), asks(), at(1)), None, "known");
        records.watch_screen(&agent());
        assert_eq!(question(&records, Some("$1")), title, "its owner is another one by now");
        assert_eq!((question(&records, Some("$2")), question(&records, None)), (None, title));
        assert_eq!(records.watched_in(&scan(&[("a", "$1")]), at(1)).1, []);
        assert_eq!(records.watched_in(&scan(&[]), at(1)).1, [agent()], "gone with its session");
        assert_eq!(records.note_screen(A, &pane("a", "$1"), lines("> "), at(2)), Some(Turn(None)));
        assert_eq!(question(&records, None), None);
        records.note_screen(A, &pane("a", "$1"), asks(), at(3));
        records.forget_screen(A);
        assert_eq!(question(&records, None), None, "another session's");
    }

    #[test]
    fn a_long_screen_keeps_its_end() {
        let records = watching();
        records.note_screen(A, &pane("a", "$1"), (0..1000).map(|n| n.to_string()).collect(), at(0));
        let (_, kept) = last(&records, "$1").unwrap();
        assert_eq!((kept.len(), kept[0].as_str(), kept[39].as_str()), (40, "960", "999"));
    }

    #[test]
    fn outlives_its_session_for_a_while() {
        let records = watching();
        records.note_screen(A, &pane("a", "$1"), lines("limit"), at(0));
        for (name, seen, now, kept) in [
            ("there", scan(&[("a", "$1"), ("b", "$2")]), 100, true),
            ("there for long", scan(&[("a", "$1")]), 10_000, true),
            ("just gone", scan(&[("b", "$2")]), 600, true),
            ("unknown", Scan { sessions: Err("no answer".into()), ..scan(&[]) }, 10_000, true),
            ("replaced", scan(&[("a", "$3")]), 600, true),
            ("gone for long", scan(&[("b", "$2")]), 601, false),
        ] {
            let _ = records.watched_in(&seen, at(now));
            assert_eq!(last(&records, "$1").is_some(), kept, "{name}");
        }
        let there = records.watched_in(&scan(&[("a", "$3"), ("b", "$2")]), at(0));
        assert_eq!(there, (vec![(agent(), pane("a", "$3"))], vec![]));
        records.set_process_names(A, None);
        let there = records.watched_in(&scan(&[("a", "$3")]), at(0)).0;
        assert_eq!(there, [], "nobody knows its agent's names yet");
    }
}
