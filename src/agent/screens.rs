//! Screens: what was last seen on agents' screens, so that the reason of an end can still be read when its session is
//! gone, and the question that one waits at.
//!
//! Owners say whose screens they want; [`reading::refresh`], called after a look at everything, reads those. Of each wanted
//! session the last screen of its last incarnation is kept, and only for a while once that is gone. What a screen says is
//! judged elsewhere ([`questions`]), and nothing may depend on there being one.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use super::{
    names::{self, KnownNames},
    questions,
    spec::AgentSpec,
};
use crate::{
    clock::Now,
    sessions::{PaneTarget, scan::Scan},
    town::usage_limit::SCREEN_LINES,
};

pub mod reading;

/// How long after the last look at it the screen of a session that is gone is kept: longer than any death takes to be
/// confirmed.
const KEPT: Duration = Duration::from_secs(10 * 60);

/// The register, shared by all owners; survives the crash of any actor.
#[derive(Debug, Clone, Default)]
pub struct Screens {
    /// By session name; those that are not wanted have no entry.
    wanted: Arc<Mutex<BTreeMap<String, Wanted>>>,
}

#[derive(Debug)]
struct Wanted {
    agent: AgentSpec,
    /// The names it is known by.
    known: KnownNames,
    screen: Option<Screen>,
}

#[derive(Debug)]
struct Screen {
    pane: PaneTarget,
    at: Now,
    lines: Vec<String>,
    /// The title of the question it shows.
    question: Option<String>,
}

/// An agent came to a question, with its title, or it is not there any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Turn(pub(super) AgentSpec, pub(super) Option<String>);

impl Screens {
    /// From now on the screen of this agent is read: the pane that holds a process of these names.
    pub fn want(&self, agent: &AgentSpec, known: KnownNames) {
        let wanted = |screen| Wanted { agent: agent.clone(), known, screen };
        let mut all = self.locked();
        let screen = all.remove(&agent.session).and_then(|before| before.screen);
        all.insert(agent.session.clone(), wanted(screen));
    }

    /// The screen is not read any more, and forgotten.
    pub fn unwant(&self, session: &str) {
        self.locked().remove(session);
    }

    /// A new session of this name was made: what was seen before was another's.
    pub(super) fn begun(&self, session: &str) {
        if let Some(wanted) = self.locked().get_mut(session) {
            wanted.screen = None;
        }
    }

    /// What was on the screen of an agent just now, in this pane. Nothing is kept of one that is not wanted.
    pub(super) fn note(&self, pane: &PaneTarget, lines: Vec<String>, now: Now) -> Option<Turn> {
        let mut all = self.locked();
        let wanted = all.get_mut(pane.session())?;
        let question = questions::shown(&lines).map(|question| question.title);
        let skip = lines.len().saturating_sub(usize::from(SCREEN_LINES));
        let lines = lines.into_iter().skip(skip).collect();
        let screen = Screen { pane: pane.clone(), at: now, lines, question: question.clone() };
        let before = wanted.screen.replace(screen).and_then(|before| before.question);
        (before != question).then(|| Turn(wanted.agent.clone(), question))
    }

    /// The title of the question that an agent waits at, in this incarnation of its session or in any.
    pub fn question(&self, session: &str, id: Option<&str>) -> Option<String> {
        let wanted = self.locked();
        let screen = wanted.get(session)?.screen.as_ref()?;
        let is_it = id.is_none_or(|id| screen.pane.session_id() == id);
        screen.question.clone().filter(|_| is_it)
    }

    /// What was last seen in this incarnation of a session, and when. Name and id: another server gives the same ids.
    pub fn last(&self, session: &str, id: &str) -> Option<(Now, Vec<String>)> {
        let wanted = self.locked();
        let screen = wanted.get(session)?.screen.as_ref().filter(|screen| screen.pane.session_id() == id)?;
        Some((screen.at, screen.lines.clone()))
    }

    /// The pane in which that was seen.
    pub fn pane(&self, session: &str, id: &str) -> Option<PaneTarget> {
        let wanted = self.locked();
        let screen = wanted.get(session)?.screen.as_ref().filter(|screen| screen.pane.session_id() == id)?;
        Some(screen.pane.clone())
    }

    /// Whether a scan shows a wanted agent whose screen was never read, as one that was adopted just now.
    pub fn lack_one(&self, scan: &Scan) -> bool {
        let wanted = self.locked();
        let mut unread = wanted.iter().filter(|(_, wanted)| wanted.screen.is_none());
        unread.any(|(name, wanted)| names::pane_in(scan, name, &wanted.known).is_some())
    }

    /// The panes of the wanted agents that a scan shows alive, and those whose question is gone with their session. Forgets
    /// screens of sessions that are gone for long.
    pub(super) fn wanted_in(&self, scan: &Scan, now: Now) -> (Vec<PaneTarget>, Vec<AgentSpec>) {
        let Ok(sessions) = &scan.sessions else { return Default::default() };
        let (mut there, mut over) = (Vec::new(), Vec::new());
        for (name, Wanted { agent, known, screen }) in self.locked().iter_mut() {
            there.extend(names::pane_in(scan, name, known));
            let id = sessions.get(name).map(|session| session.id.as_str());
            if screen.as_ref().is_some_and(|it| it.question.is_some() && id != Some(it.pane.session_id())) {
                over.push(agent.clone());
            }
            screen.take_if(|screen| id != Some(screen.pane.session_id()) && now.since(screen.at) > KEPT);
        }
        (there, over)
    }

    fn locked(&self) -> MutexGuard<'_, BTreeMap<String, Wanted>> {
        self.wanted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        agent::{liveness::ProcessNames, program::provider::preset},
        processes::Process,
        sessions::{Pane, Session},
        town::identity::Identity,
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

    fn agent(session: &str) -> AgentSpec {
        AgentSpec { identity: Identity::Deacon, session: session.to_owned(), prefix: String::new() }
    }

    fn known() -> KnownNames {
        KnownNames::of(ProcessNames::new(&preset("claude").unwrap(), None))
    }

    fn lines(text: &str) -> Vec<String> {
        vec![text.to_owned()]
    }

    #[test]
    fn the_last_screen_of_wanted_sessions_only() {
        let screens = Screens::default();
        let _ = screens.note(&pane("a", "$1"), lines("nobody wants it"), at(0));
        assert_eq!(screens.last("a", "$1"), None);
        screens.want(&agent("a"), known());
        screens.note(&pane("a", "$1"), lines("one"), at(1));
        screens.note(&pane("a", "$1"), lines("two"), at(2));
        screens.want(&agent("a"), known()); // once more changes nothing
        assert_eq!(screens.last("a", "$1"), Some((at(2), lines("two"))));
        assert_eq!(screens.last("a", "$2"), None, "another incarnation");
        assert_eq!(screens.last("b", "$1"), None, "another session of another server");
        screens.note(&pane("a", "$2"), lines("new"), at(3));
        assert_eq!((screens.last("a", "$1"), screens.last("a", "$2")), (None, Some((at(3), lines("new")))));
        screens.unwant("a");
        screens.want(&agent("a"), known());
        assert_eq!(screens.last("a", "$2"), None, "forgotten");
    }

    #[test]
    fn a_question_comes_once_and_goes() {
        let screens = Screens::default();
        screens.want(&agent("a"), known());
        let asks = || ["Do you trust this folder?", "❯ 1. Yes", "  2. No"].map(str::to_owned).to_vec();
        let title = Some("Do you trust this folder?".to_owned());
        assert_eq!(screens.note(&pane("a", "$1"), asks(), at(0)), Some(Turn(agent("a"), title.clone())));
        assert_eq!(screens.note(&pane("a", "$1"), asks(), at(1)), None, "known");
        screens.want(&agent("a"), known());
        assert_eq!(screens.question("a", Some("$1")), title, "its owner is another one by now");
        assert_eq!((screens.question("a", Some("$2")), screens.question("a", None)), (None, title));
        assert_eq!(screens.wanted_in(&scan(&[("a", "$1")]), at(1)).1, []);
        assert_eq!(screens.wanted_in(&scan(&[]), at(1)).1, [agent("a")], "gone with its session");
        assert_eq!(screens.note(&pane("a", "$1"), lines("> "), at(2)), Some(Turn(agent("a"), None)));
        assert_eq!(screens.question("a", None), None);
        screens.note(&pane("a", "$1"), asks(), at(3));
        screens.begun("a");
        assert_eq!(screens.question("a", None), None, "another session's");
    }

    #[test]
    fn a_long_screen_keeps_its_end() {
        let screens = Screens::default();
        screens.want(&agent("a"), known());
        screens.note(&pane("a", "$1"), (0..1000).map(|n| n.to_string()).collect(), at(0));
        let (_, kept) = screens.last("a", "$1").unwrap();
        assert_eq!((kept.len(), kept[0].as_str(), kept[39].as_str()), (40, "960", "999"));
    }

    #[test]
    fn outlives_its_session_for_a_while() {
        let screens = Screens::default();
        screens.want(&agent("a"), known());
        screens.note(&pane("a", "$1"), lines("limit"), at(0));
        for (name, seen, now, kept) in [
            ("there", scan(&[("a", "$1"), ("b", "$2")]), 100, true),
            ("there for long", scan(&[("a", "$1")]), 10_000, true),
            ("just gone", scan(&[("b", "$2")]), 600, true),
            ("unknown", Scan { sessions: Err("no answer".into()), ..scan(&[]) }, 10_000, true),
            ("replaced", scan(&[("a", "$3")]), 600, true),
            ("gone for long", scan(&[("b", "$2")]), 601, false),
        ] {
            let _ = screens.wanted_in(&seen, at(now));
            assert_eq!(screens.last("a", "$1").is_some(), kept, "{name}");
        }
        let there = screens.wanted_in(&scan(&[("a", "$3"), ("b", "$2")]), at(0));
        assert_eq!(there, (vec![pane("a", "$3")], vec![]));
        screens.want(&agent("a"), KnownNames::default());
        assert_eq!(
            screens.wanted_in(&scan(&[("a", "$3")]), at(0)).0,
            [],
            "nobody knows its agent's names yet"
        );
    }
}
