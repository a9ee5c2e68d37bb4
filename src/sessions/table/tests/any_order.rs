//! Whatever ends, and whatever is reported in any order: one death for each life.

use std::collections::BTreeSet;

use proptest::{collection::vec, prelude::*};

use super::*;

/// What happens. The numbers select one of the existing items.
#[derive(Debug, Clone)]
enum Happens {
    /// A session is created with this many panes in its one window.
    Birth(u8),
    /// A session is listed by itself, whatever else is in progress.
    Found(u8),
    /// A window opens in a session.
    OpenWindow(u8),
    /// A pane's process ends, reported or not; the dead pane stays if `kept`.
    ProcessEnds { which: u8, told: bool, kept: bool },
    /// A session ends around its processes; whether the ends of its windows and processes are reported.
    SessionEnds { which: u8, windows: bool, processes: bool },
    /// A dead pane gets a new process.
    Respawn(u8),
    /// The server ends, which is reported.
    ServerEnds,
    /// One of the ends that were not delivered yet is delivered.
    Delivered(u8),
    /// A scan begins.
    ScanBegins,
    /// The scan lists the sessions.
    Listed,
    /// The scan ends; true if it failed.
    Scanned(bool),
}

fn happens() -> impl Strategy<Value = Happens> {
    use Happens::*;
    prop_oneof![
        2 => (1u8..4).prop_map(Birth),
        3 => any::<u8>().prop_map(Found),
        1 => any::<u8>().prop_map(OpenWindow),
        4 => (any::<u8>(), any::<bool>(), any::<bool>())
            .prop_map(|(which, told, kept)| ProcessEnds { which, told, kept }),
        2 => (any::<u8>(), any::<bool>(), any::<bool>())
            .prop_map(|(which, windows, processes)| SessionEnds { which, windows, processes }),
        2 => any::<u8>().prop_map(Respawn),
        1 => Just(ServerEnds),
        6 => any::<u8>().prop_map(Delivered),
        4 => Just(ScanBegins),
        4 => Just(Listed),
        4 => any::<bool>().prop_map(Scanned),
    ]
}

#[derive(Debug, Clone)]
struct Pane {
    pid: u32,
    window: u32,
    dead: bool,
}

/// What became known of one session.
#[derive(Debug, Default)]
struct Life {
    /// Times at which scans began that showed a living process in it.
    seen_living: Vec<u64>,
    told: Vec<u64>,
    /// A list showed that something lived in it.
    heard_of: bool,
}

/// tmux, and the table that listens to it.
#[derive(Debug, Default)]
struct World {
    clock: u64,
    numbers: u32,
    sessions: BTreeMap<u32, Vec<Pane>>,
    pending: Vec<Fact>,
    scan: Option<(u64, Option<BTreeMap<u32, Vec<Pane>>>)>,
    table: SessionTable,
    lives: BTreeMap<u32, Life>,
}

impl World {
    fn number(&mut self) -> u32 {
        self.numbers += 1;
        self.numbers
    }

    fn chosen(&self, which: u8) -> Option<u32> {
        self.sessions.keys().nth(usize::from(which) % self.sessions.len().max(1)).copied()
    }

    fn heard(&mut self, deaths: Vec<Death>) {
        for death in deaths {
            let id: u32 = death.id[1..].parse().unwrap();
            let life = self.lives.get_mut(&id).expect("one that lived");
            if let Some(last) = life.told.last() {
                let again = life.seen_living.iter().any(|begun| begun > last);
                assert!(again, "two deaths of ${id} without a life in between: {death:?}");
            }
            life.told.push(self.clock);
        }
    }

    fn happen(&mut self, what: &Happens) {
        self.clock += 1;
        match what {
            Happens::Birth(panes) => {
                let (id, window) = (self.number(), self.number());
                let panes = (0..*panes).map(|_| Pane { pid: self.number(), window, dead: false }).collect();
                self.sessions.insert(id, panes);
                self.lives.insert(id, Life::default());
            }
            Happens::Found(which) => {
                let Some(id) = self.chosen(*which) else { return };
                let found = shown(id, &self.sessions[&id]);
                let life = self.lives.entry(id).or_default();
                life.heard_of |= found.panes.iter().any(|pane| !pane.dead);
                assert_eq!(self.table.heard(&list(&[found]), at(self.clock)), []);
            }
            Happens::OpenWindow(which) => {
                let Some(id) = self.chosen(*which) else { return };
                let pane = Pane { window: self.number(), pid: self.number(), dead: false };
                self.sessions.entry(id).or_default().push(pane);
            }
            Happens::ProcessEnds { which, told, kept } => self.process_ends(*which, *told, *kept),
            Happens::SessionEnds { which, windows, processes } => {
                self.session_ends(*which, *windows, *processes);
            }
            Happens::Respawn(which) => {
                let pid = self.number();
                let Some(id) = self.chosen(*which) else { return };
                if let Some(pane) = self.sessions.entry(id).or_default().iter_mut().find(|pane| pane.dead) {
                    (pane.pid, pane.dead) = (pid, false);
                }
            }
            Happens::ServerEnds => {
                // The adapter reports nothing else about a server that ended.
                self.pending.clear();
                self.sessions.clear();
                let deaths = self.table.heard(&Fact::ServerExited, at(self.clock));
                assert!(deaths.iter().all(|death| death.with_server));
                self.heard(deaths);
            }
            Happens::Delivered(which) => {
                if !self.pending.is_empty() {
                    let end = self.pending.remove(usize::from(*which) % self.pending.len());
                    let deaths = self.table.heard(&end, at(self.clock));
                    self.heard(deaths);
                }
            }
            Happens::ScanBegins => self.scan = Some((self.clock, None)),
            Happens::Listed => {
                let sessions = self.sessions.clone();
                if let Some((_, listed @ None)) = &mut self.scan {
                    let all: Vec<Session> = sessions.iter().map(|(id, panes)| shown(*id, panes)).collect();
                    assert_eq!(self.table.heard(&list(&all), at(self.clock)), []);
                    *listed = Some(sessions);
                }
            }
            Happens::Scanned(failed) => self.scanned(*failed),
        }
    }

    fn process_ends(&mut self, which: u8, told: bool, kept: bool) {
        let Some(id) = self.chosen(which) else { return };
        let panes = self.sessions.entry(id).or_default();
        let living = panes.iter().filter(|pane| !pane.dead).count();
        let Some(at) = panes.iter().position(|pane| !pane.dead) else { return };
        let at = (at + usize::from(which) % living.max(1)) % panes.len();
        let Pane { pid, window, dead } = panes[at].clone();
        if dead {
            return;
        }
        panes[at].dead = true;
        let mut closed = false;
        if !kept {
            panes.remove(at);
            closed = !panes.iter().any(|pane| pane.window == window);
        }
        if panes.is_empty() {
            self.sessions.remove(&id);
        }
        if told {
            self.pending.push(exit(pid));
        }
        if closed {
            self.pending.push(Fact::WindowClosed(format!("@{window}")));
        }
    }

    fn session_ends(&mut self, which: u8, windows: bool, processes: bool) {
        let Some(id) = self.chosen(which) else { return };
        let panes = self.sessions.remove(&id).unwrap_or_default();
        if windows {
            for window in panes.iter().map(|pane| pane.window).collect::<BTreeSet<_>>() {
                self.pending.push(Fact::WindowClosed(format!("@{window}")));
            }
        }
        if processes {
            for pane in panes.iter().filter(|pane| !pane.dead) {
                self.pending.push(exit(pane.pid));
            }
        }
    }

    fn scanned(&mut self, failed: bool) {
        let Some((begun, Some(listed))) = self.scan.take() else { return };
        let shown: Vec<Session> = listed.iter().map(|(id, panes)| shown(*id, panes)).collect();
        let mut seen = scan(begun, &shown);
        if failed {
            seen.sessions = Err("no answer".into());
        }
        let deaths = self.table.scanned(&seen, at(self.clock));
        assert!(!failed || deaths.is_empty(), "a sweep that failed told {deaths:?}");
        self.heard(deaths);
        for (id, panes) in listed.iter().filter(|_| !failed) {
            let life = self.lives.entry(*id).or_default();
            if panes.iter().any(|pane| !pane.dead) {
                life.seen_living.push(begun);
                life.heard_of = true;
            }
        }
    }
}

fn shown(id: u32, panes: &[Pane]) -> Session {
    let windows: Vec<String> = panes.iter().map(|pane| format!("@{}", pane.window)).collect();
    let panes: Vec<_> = panes
        .iter()
        .zip(&windows)
        .map(|(pane, window)| (pane.pid, window.as_str(), pane.dead.then_some(0)))
        .collect();
    session(&format!("gt-{id}"), &format!("${id}"), &panes)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]
    #[test]
    fn every_life_that_was_heard_of_ends_in_one_death(story in vec(happens(), 0..80)) {
        let mut world = World::default();
        for what in &story {
            world.happen(what);
        }
        // What was not delivered arrives, and two scans show what is left.
        while !world.pending.is_empty() {
            world.happen(&Happens::Delivered(0));
        }
        for _ in 0..2 {
            for what in [Happens::ScanBegins, Happens::Listed, Happens::Scanned(false)] {
                world.happen(&what);
            }
        }
        for (id, life) in &world.lives {
            if life.heard_of && !world.sessions.contains_key(id) {
                prop_assert!(!life.told.is_empty(), "${id} is gone and was never told: {life:?}");
                let first = life.told[0];
                let lived_again = life.seen_living.iter().any(|begun| *begun > first);
                prop_assert!(lived_again || life.told.len() == 1, "${id}: {life:?}");
            }
        }
    }
}
