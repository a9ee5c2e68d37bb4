//! Incidents: what was mailed about which agent and is not over yet, so that no mail is sent twice, also across our own restart.
//!
//! An agent has one incident at a time, about the work on its hook; in it, each condition is mailed once. It records what was
//! mailed and must not decide whether to mail.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    path::PathBuf,
};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    agent::identity::{Identity, RigName},
    kept::Kept,
    ports::Ports,
    town::reading::FileProblem,
};

/// Maximum number of remembered agents; beyond it the oldest incident is forgotten.
const LIMIT: usize = 10_000;

/// The register, with its file `incidents.json`.
#[derive(Debug, Clone)]
pub struct Incidents {
    open: Kept<Open>,
}

/// Everything that is open.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Open {
    agents: BTreeMap<Identity, Incident>,
}

/// What is open of one agent.
#[derive(Debug, Serialize, Deserialize)]
struct Incident {
    /// The work it is about.
    hook: String,
    conditions: BTreeMap<Condition, Told>,
}

/// What is reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Condition {
    /// It is alive but makes no progress.
    Gupp,
    /// It is dead, and is not being restarted.
    Orphaned,
    /// It crashed, and could not be restarted.
    Crashed,
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Condition::Gupp => "is alive but makes no progress",
            Condition::Orphaned => "is dead and still has work",
            Condition::Crashed => "could not be restarted",
        })
    }
}

impl Condition {
    /// Those of which one mail is enough: both say that the agent is dead.
    fn alike(self) -> &'static [Condition] {
        match self {
            Condition::Gupp => &[Condition::Gupp],
            Condition::Orphaned | Condition::Crashed => DEAD,
        }
    }
}

/// The conditions that end when the agent lives.
const DEAD: &[Condition] = &[Condition::Orphaned, Condition::Crashed];

#[derive(Debug, Serialize, Deserialize)]
struct Told {
    since: Timestamp,
    /// It counts as mailed; not when the mail could not be sent.
    mailed: bool,
}

/// Whether something is to be mailed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Begin {
    /// It is new; it counts as mailed from now on.
    News,
    /// It could not be mailed before; it counts as mailed from now on.
    Again,
    /// It was mailed.
    No,
}

impl Incidents {
    /// None, to be kept in this directory.
    pub fn new(directory: PathBuf) -> Self {
        Incidents { open: Kept::new(directory.join("incidents.json")) }
    }

    /// Takes over what the last supervisor left.
    pub async fn load(&self, ports: &Ports) {
        self.open.load(ports).await;
    }

    /// As [`Kept::peek`]: for read-only callers.
    pub async fn peek(&self, ports: &Ports) -> (bool, Option<FileProblem>) {
        self.open.peek(ports).await
    }

    /// Writes the file. An error is reported, as long as it lasts, and what it could not write is
    /// [not saved](Self::is_unsaved) yet.
    pub async fn save(&self, ports: &Ports) -> Result<(), String> {
        self.open.save(ports).await
    }

    /// Whether something changed since it was last written.
    pub fn is_unsaved(&self) -> bool {
        self.open.is_unsaved()
    }

    /// Whether this is to be mailed of an agent with this work on its hook. If it is, it counts as mailed from now on.
    /// What was open of it with other work is over.
    pub fn begin(&self, identity: &Identity, condition: Condition, hook: &str, now: Timestamp) -> Begin {
        let mut open = self.open.value();
        if !open.agents.contains_key(identity) && open.agents.len() >= LIMIT {
            open.forget_oldest();
        }
        let new = || Incident { hook: hook.to_owned(), conditions: BTreeMap::new() };
        let incident = open.agents.entry(identity.clone()).or_insert_with(new);
        if incident.hook != hook {
            *incident = new();
        }
        if incident.is_mailed(condition) {
            return Begin::No;
        }
        self.open.was_changed();
        match incident.conditions.insert(condition, Told { since: now, mailed: true }) {
            Some(before) => {
                incident.conditions.insert(condition, Told { mailed: true, ..before });
                Begin::Again
            }
            None => Begin::News,
        }
    }

    /// It could not be mailed after all: it is still open, and the next to [`begin`](Self::begin) may try again.
    pub fn take_back(&self, identity: &Identity, condition: Condition, hook: &str) {
        let mut open = self.open.value();
        let incident = open.agents.get_mut(identity).filter(|incident| incident.hook == hook);
        if let Some(told) = incident.and_then(|incident| incident.conditions.get_mut(&condition)) {
            told.mailed = false;
            self.open.was_changed();
        }
    }

    /// Whether this, or what says the same, was mailed of an agent with this work.
    pub fn is_mailed(&self, identity: &Identity, condition: Condition, hook: &str) -> bool {
        let open = self.open.value();
        open.agents.get(identity).is_some_and(|it| it.hook == hook && it.is_mailed(condition))
    }

    /// Whether its crash was to be mailed and could not be.
    pub fn crash_is_untold(&self, identity: &Identity) -> bool {
        let open = self.open.value();
        let told = open.agents.get(identity).and_then(|it| it.conditions.get(&Condition::Crashed));
        told.is_some_and(|told| !told.mailed)
    }

    /// It lives: that it was dead is over.
    pub fn lives(&self, identity: &Identity) {
        self.change(|agents| {
            let Some(incident) = agents.get_mut(identity) else { return false };
            let before = incident.conditions.len();
            incident.conditions.retain(|condition, _| !DEAD.contains(condition));
            let changed = incident.conditions.len() < before;
            if incident.conditions.is_empty() {
                agents.remove(identity);
            }
            changed
        });
    }

    /// It lives and gets on, has nothing to do any more, or is no more: everything is over.
    pub fn over(&self, identity: &Identity) {
        self.change(|agents| agents.remove(identity).is_some());
    }

    /// This is on its hook: what was open with other work is over.
    pub fn hook_is(&self, identity: &Identity, hook: &str) {
        self.keep_only(|other, incident| other != identity || incident.hook == hook);
    }

    /// A rig has these polecats and no others.
    pub fn keep_polecats(&self, rig: &RigName, there: &BTreeSet<Identity>) {
        self.keep_only(|identity, _| identity.rig() != Some(rig) || there.contains(identity));
    }

    fn keep_only(&self, keep: impl Fn(&Identity, &Incident) -> bool) {
        self.change(|agents| {
            let before = agents.len();
            agents.retain(|identity, incident| keep(identity, incident));
            agents.len() < before
        });
    }

    fn change(&self, change: impl FnOnce(&mut BTreeMap<Identity, Incident>) -> bool) {
        if change(&mut self.open.value().agents) {
            self.open.was_changed();
        }
    }
}

impl Open {
    fn forget_oldest(&mut self) {
        let oldest = self.agents.iter().min_by_key(|(_, incident)| incident.since());
        if let Some(identity) = oldest.map(|(identity, _)| identity.clone()) {
            self.agents.remove(&identity);
        }
    }
}

impl Incident {
    fn is_mailed(&self, condition: Condition) -> bool {
        condition.alike().iter().any(|it| self.conditions.get(it).is_some_and(|told| told.mailed))
    }

    fn since(&self) -> Option<Timestamp> {
        self.conditions.values().map(|told| told.since).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn polecat(name: &str) -> Identity {
        Identity::Polecat("r".parse().unwrap(), name.parse().unwrap())
    }

    fn now() -> Timestamp {
        "2026-02-02T08:00:00Z".parse().unwrap()
    }

    fn incidents() -> Incidents {
        Incidents::new(PathBuf::from("/nowhere"))
    }

    use Condition::{Crashed, Gupp, Orphaned};

    #[test]
    fn one_mail_by_condition_before() {
        let mailed = [
            (Gupp, Gupp, Begin::No),
            (Gupp, Orphaned, Begin::News),
            (Gupp, Crashed, Begin::News),
            (Orphaned, Gupp, Begin::News),
            (Orphaned, Orphaned, Begin::No),
            (Orphaned, Crashed, Begin::No),
            (Crashed, Gupp, Begin::News),
            (Crashed, Orphaned, Begin::No),
            (Crashed, Crashed, Begin::No),
        ];
        for (first, then, expected) in mailed {
            let (it, toast) = (incidents(), polecat("Toast"));
            assert_eq!(it.begin(&toast, first, "w", now()), Begin::News);
            assert!(it.is_unsaved() && it.is_mailed(&toast, first, "w"));
            assert_eq!(it.is_mailed(&toast, then, "w"), expected == Begin::No, "{first:?} {then:?}");
            assert_eq!(it.begin(&toast, then, "w", now()), expected, "{first:?} {then:?}");
            assert_eq!(it.begin(&polecat("nux"), then, "w", now()), Begin::News, "another agent");
            assert!(!it.is_mailed(&toast, then, "other"), "{first:?} {then:?}");
            assert_eq!(it.begin(&toast, then, "other", now()), Begin::News, "other work");
            assert_eq!(it.begin(&toast, then, "w", now()), Begin::News, "the first work again");
        }
    }

    #[test]
    fn what_ends_what() {
        type Act = fn(&Incidents);
        let acts: [(&str, Act, [bool; 3]); 8] = [
            ("nothing", |_| {}, [true, true, true]),
            ("it lives", |it| it.lives(&polecat("Toast")), [true, false, false]),
            ("it gets on", |it| it.over(&polecat("Toast")), [false, false, false]),
            ("the same work", |it| it.hook_is(&polecat("Toast"), "w"), [true, true, true]),
            ("other work", |it| it.hook_is(&polecat("Toast"), "x"), [false, false, false]),
            ("another lives", |it| it.lives(&polecat("nux")), [true, true, true]),
            (
                "it is there",
                |it| it.keep_polecats(&"r".parse().unwrap(), &[polecat("Toast")].into()),
                [true, true, true],
            ),
            (
                "it is not there",
                |it| it.keep_polecats(&"r".parse().unwrap(), &[polecat("nux")].into()),
                [false, false, false],
            ),
        ];
        for (name, act, left) in acts {
            for (condition, left) in [Gupp, Orphaned, Crashed].into_iter().zip(left) {
                let it = incidents();
                it.begin(&polecat("Toast"), condition, "w", now());
                act(&it);
                assert_eq!(it.is_mailed(&polecat("Toast"), condition, "w"), left, "{name}: {condition:?}");
                assert_eq!(it.open.value().agents.is_empty(), !left, "{name}: nothing is left behind");
            }
        }
        let it = incidents();
        it.begin(&polecat("Toast"), Gupp, "w", now());
        for other in ["q", "rr"] {
            it.keep_polecats(&other.parse().unwrap(), &BTreeSet::new());
        }
        assert!(it.is_mailed(&polecat("Toast"), Gupp, "w"), "another rig");
    }

    #[test]
    fn what_could_not_be_sent_is_open_and_tried_again() {
        let (it, toast) = (incidents(), polecat("Toast"));
        it.begin(&toast, Crashed, "w", now());
        assert!(!it.crash_is_untold(&toast));
        it.take_back(&toast, Crashed, "other");
        it.take_back(&toast, Gupp, "w");
        assert!(it.is_mailed(&toast, Crashed, "w"), "that was about something else");
        it.take_back(&toast, Crashed, "w");
        assert!(it.crash_is_untold(&toast) && !it.is_mailed(&toast, Crashed, "w"));
        let later = now() + jiff::SignedDuration::from_hours(1);
        assert_eq!(it.begin(&toast, Orphaned, "w", later), Begin::News, "or the other mail");
        it.take_back(&toast, Orphaned, "w");
        assert_eq!(it.begin(&toast, Crashed, "w", later), Begin::Again);
        assert_eq!(it.open.value().agents[&toast].since(), Some(now()), "since when stays");
        assert_eq!(it.begin(&toast, Orphaned, "w", later), Begin::No);
    }

    #[test]
    fn it_is_bounded() {
        let it = incidents();
        for n in 0..LIMIT + 5 {
            let since = now() + jiff::SignedDuration::from_secs(i64::try_from(n).unwrap());
            it.begin(&polecat(&format!("p{n}")), Gupp, "w", since);
        }
        assert_eq!(it.open.value().agents.len(), LIMIT);
        assert!(!it.is_mailed(&polecat("p4"), Gupp, "w") && it.is_mailed(&polecat("p5"), Gupp, "w"));
    }

    #[test]
    fn it_reads_what_it_writes() {
        let it = incidents();
        it.begin(&polecat("Toast"), Gupp, "w", now());
        it.begin(&polecat("Toast"), Crashed, "w", now());
        let json = serde_json::to_string(&*it.open.value()).unwrap();
        assert_eq!(
            json,
            r#"{"agents":{"r/polecats/Toast":{"hook":"w","conditions":{"gupp":{"since":"2026-02-02T08:00:00Z","mailed":true},"crashed":{"since":"2026-02-02T08:00:00Z","mailed":true}}}}}"#
        );
        let back = incidents();
        *back.open.value() = serde_json::from_str(&json).unwrap();
        assert_eq!(serde_json::to_string(&*back.open.value()).unwrap(), json);
    }
}
