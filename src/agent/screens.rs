//! Screens: what was last seen on agents' screens, so that the reason of an end can still be read when its session is
//! gone.
//!
//! Owners say whose screens they want; [`refresh`], called after a look at everything, reads those. Of each wanted
//! session the last screen of its last incarnation is kept, and only for a while once that is gone. It must not judge
//! what a screen says, and nothing may depend on there being one.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use super::observe::{self, KnownNames};
use crate::{
    clock::Now,
    deps::Deps,
    sessions::{PaneTarget, sweep::Sweep},
};

/// So many of a screen's last lines are kept.
pub const LINES: u16 = 40;

/// How long after the last look at it the screen of a session that is gone is kept: longer than any death takes to be
/// confirmed.
const KEPT: Duration = Duration::from_secs(10 * 60);

/// The register, shared by all owners; survives the crash of any actor.
#[derive(Debug, Clone, Default)]
pub struct Screens {
    /// By session name; those that are not wanted have no entry.
    wanted: Arc<Mutex<BTreeMap<String, Wanted>>>,
}

#[derive(Debug, Default)]
struct Wanted {
    /// The names its agent is known by.
    known: KnownNames,
    screen: Option<Screen>,
}

#[derive(Debug)]
struct Screen {
    pane: PaneTarget,
    at: Now,
    lines: Vec<String>,
}

impl Screens {
    /// From now on the screen of the session of this name is read: the pane that holds an agent of these names.
    pub fn want(&self, session: &str, known: KnownNames) {
        self.locked().entry(session.to_owned()).or_default().known = known;
    }

    /// The screen is not read any more, and forgotten.
    pub fn unwant(&self, session: &str) {
        self.locked().remove(session);
    }

    /// What was on the screen of an agent just now, in this pane. Nothing is kept of one that is not wanted.
    pub fn note(&self, pane: &PaneTarget, lines: Vec<String>, now: Now) {
        if let Some(wanted) = self.locked().get_mut(pane.session()) {
            let skip = lines.len().saturating_sub(usize::from(LINES));
            let lines = lines.into_iter().skip(skip).collect();
            wanted.screen = Some(Screen { pane: pane.clone(), at: now, lines });
        }
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

    /// The panes of the wanted agents that a sweep shows alive. Forgets screens of sessions that are gone for long.
    fn wanted_in(&self, sweep: &Sweep, now: Now) -> Vec<PaneTarget> {
        let Ok(sessions) = &sweep.sessions else { return Vec::new() };
        let mut there = Vec::new();
        for (name, Wanted { known, screen }) in self.locked().iter_mut() {
            there.extend(observe::pane_in(sweep, name, known));
            let id = sessions.get(name).map(|session| session.id.as_str());
            screen.take_if(|screen| id != Some(screen.pane.session_id()) && now.since(screen.at) > KEPT);
        }
        there
    }

    fn locked(&self) -> MutexGuard<'_, BTreeMap<String, Wanted>> {
        self.wanted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// So many screens are asked for at once.
const AT_ONCE: usize = 20;

/// Reads the screens of the wanted sessions that a sweep shows; one that cannot be read keeps what it had. For a task: it
/// takes as long as tmux takes for so many questions.
pub async fn refresh(deps: &Deps, sweep: &Sweep) {
    let wanted = deps.screens.wanted_in(sweep, deps.now());
    // Some at once, as each answer that comes alone wakes the process; not all, so that others get a word in between.
    for some in wanted.chunks(AT_ONCE) {
        let reads = some.iter().map(|pane| async move {
            if let Ok(lines) = deps.sessions.capture(pane, LINES).await {
                deps.screens.note(pane, lines, deps.now());
            }
        });
        futures::future::join_all(reads).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        agent::{liveness::ProcessNames, program::provider::preset},
        processes::Process,
        sessions::{Pane, Session},
    };

    fn at(seconds: u64) -> Now {
        let wall = "2026-02-02T08:00:00Z".parse().unwrap();
        Now { mono: Duration::from_secs(seconds), wall }
    }

    fn sweep(sessions: &[(&str, &str)]) -> Sweep {
        let sessions =
            Ok(sessions.iter().map(|(name, id)| ((*name).to_owned(), session(name, id))).collect());
        let claude = Process { pid: 7, age: Duration::from_secs(1), names: vec!["claude".to_owned()] };
        Sweep { begun: at(0), sessions, trees: Ok(BTreeMap::from([(7, vec![claude])])) }
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

    fn known() -> KnownNames {
        KnownNames::of(ProcessNames::new(&preset("claude").unwrap(), None))
    }

    fn lines(text: &str) -> Vec<String> {
        vec![text.to_owned()]
    }

    #[test]
    fn the_last_screen_of_wanted_sessions_only() {
        let screens = Screens::default();
        screens.note(&pane("a", "$1"), lines("nobody wants it"), at(0));
        assert_eq!(screens.last("a", "$1"), None);
        screens.want("a", known());
        screens.note(&pane("a", "$1"), lines("one"), at(1));
        screens.note(&pane("a", "$1"), lines("two"), at(2));
        screens.want("a", known()); // once more changes nothing
        assert_eq!(screens.last("a", "$1"), Some((at(2), lines("two"))));
        assert_eq!(screens.last("a", "$2"), None, "another incarnation");
        assert_eq!(screens.last("b", "$1"), None, "another session of another server");
        screens.note(&pane("a", "$2"), lines("new"), at(3));
        assert_eq!((screens.last("a", "$1"), screens.last("a", "$2")), (None, Some((at(3), lines("new")))));
        screens.unwant("a");
        screens.want("a", known());
        assert_eq!(screens.last("a", "$2"), None, "forgotten");
    }

    #[test]
    fn a_long_screen_keeps_its_end() {
        let screens = Screens::default();
        screens.want("a", known());
        screens.note(&pane("a", "$1"), (0..1000).map(|n| n.to_string()).collect(), at(0));
        let (_, kept) = screens.last("a", "$1").unwrap();
        assert_eq!((kept.len(), kept[0].as_str(), kept[39].as_str()), (40, "960", "999"));
    }

    #[test]
    fn outlives_its_session_for_a_while() {
        let screens = Screens::default();
        screens.want("a", known());
        screens.note(&pane("a", "$1"), lines("limit"), at(0));
        for (name, seen, now, kept) in [
            ("there", sweep(&[("a", "$1"), ("b", "$2")]), 100, true),
            ("there for long", sweep(&[("a", "$1")]), 10_000, true),
            ("just gone", sweep(&[("b", "$2")]), 600, true),
            ("unknown", Sweep { sessions: Err("no answer".into()), ..sweep(&[]) }, 10_000, true),
            ("replaced", sweep(&[("a", "$3")]), 600, true),
            ("gone for long", sweep(&[("b", "$2")]), 601, false),
        ] {
            let _ = screens.wanted_in(&seen, at(now));
            assert_eq!(screens.last("a", "$1").is_some(), kept, "{name}");
        }
        let there = screens.wanted_in(&sweep(&[("a", "$3"), ("b", "$2")]), at(0));
        assert_eq!(there, [pane("a", "$3")]);
        screens.want("a", KnownNames::default());
        assert_eq!(
            screens.wanted_in(&sweep(&[("a", "$3")]), at(0)),
            [],
            "nobody knows its agent's names yet"
        );
    }
}
