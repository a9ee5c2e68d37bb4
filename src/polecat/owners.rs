//! The owners of a rig's polecats, kept apart: a panic in one of them ends that one only.
//!
//! One that panics is made anew and observes first, as an actor would be; one that panics too often is suspended for a while,
//! and its polecat is unknown until it is tried again. It must not decide anything about a polecat.

use std::{collections::BTreeMap, fmt, sync::Arc};

use jiff::Timestamp;

use super::actor::HealthMsg;
use crate::{
    agent::{
        identity::{AgentName, Identity},
        owner::{AgentStatus, Owner},
        spec::AgentSpec,
    },
    deps::Deps,
    panics,
    rig::supervisor::RigPlan,
    tree::{
        budget::{Budget, Crashes, Verdict},
        children::suspended,
        part::{Answers, Report},
    },
    work::{Post, Work},
};

/// The owners.
pub struct Owners {
    deps: Arc<Deps>,
    rig: RigPlan,
    running: BTreeMap<AgentName, Owner>,
    suspended: BTreeMap<AgentName, (Timestamp, String)>,
    crashes: BTreeMap<AgentName, Crashes>,
    work: Work<HealthMsg>,
    post: Post<HealthMsg>,
    answers: Answers,
}

impl fmt::Debug for Owners {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Owners").field("running", &self.running.keys()).finish_non_exhaustive()
    }
}

impl Owners {
    /// None yet, of this rig; what their tasks tell goes to `post`.
    pub fn new(deps: Arc<Deps>, rig: RigPlan, post: Post<HealthMsg>, answers: Answers) -> Self {
        Owners {
            deps,
            rig,
            running: BTreeMap::new(),
            suspended: BTreeMap::new(),
            crashes: BTreeMap::new(),
            work: Work::new(post.clone()),
            post,
            answers,
        }
    }

    /// Those that run.
    pub fn running(&self) -> &BTreeMap<AgentName, Owner> {
        &self.running
    }

    /// The polecats that have one, suspended or not.
    pub fn names(&self) -> impl Iterator<Item = &AgentName> {
        self.running.keys().chain(self.suspended.keys())
    }

    /// Those that are suspended.
    pub fn suspended(&self) -> impl Iterator<Item = Identity> {
        self.suspended.keys().map(|name| self.identity(name))
    }

    /// Gives a polecat its owner, unless it has one.
    pub fn add(&mut self, name: &AgentName) {
        if !self.running.contains_key(name) && !self.suspended.contains_key(name) {
            self.make(name);
        }
    }

    /// This polecat is no more.
    pub fn remove(&mut self, name: &AgentName) {
        self.running.remove(name);
        self.suspended.remove(name);
        self.crashes.remove(name);
    }

    /// A suspended one's time is over.
    pub fn resume(&mut self, name: &AgentName) {
        if self.suspended.remove(name).is_some() {
            self.deps.problems.clear(&self.problem(name));
            self.make(name);
            (self.answers)(Report::ActorRestarted);
        }
    }

    /// Has one owner do something, if it runs.
    pub fn on(&mut self, name: &AgentName, act: impl FnOnce(&mut Owner)) {
        let who = self.identity(name).to_string();
        let Some(owner) = self.running.get_mut(name) else { return };
        if let Err(why) = panics::contain(&who, || act(owner)) {
            self.crashed(name, &why);
        }
    }

    /// Has each of them do something.
    pub fn each(&mut self, act: impl Fn(&mut Owner)) {
        let names: Vec<AgentName> = self.running.keys().cloned().collect();
        for name in &names {
            self.on(name, &act);
        }
    }

    /// How all polecats are.
    pub fn statuses(&self) -> Vec<AgentStatus> {
        let running = self.running.iter().map(|(name, owner)| {
            let spec = owner.spec();
            let who = spec.identity.to_string();
            panics::contain(&who, || owner.snapshot())
                .unwrap_or_else(|why| self.unknown(name, self.deps.now().wall, why))
        });
        let suspended =
            self.suspended.iter().map(|(name, (since, why))| self.unknown(name, *since, why.clone()));
        running.chain(suspended).collect()
    }

    fn unknown(&self, name: &AgentName, since: Timestamp, why: String) -> AgentStatus {
        let spec = self.spec(name);
        AgentStatus::unknown(&spec.identity, spec.session, since, why)
    }

    fn make(&mut self, name: &AgentName) {
        let (spec, deps, post, to) = (self.spec(name), self.deps.clone(), self.post.clone(), name.clone());
        let who = spec.identity.to_string();
        let post = Arc::new(move |event| post(HealthMsg::Owner(to.clone(), Box::new(event))));
        match panics::contain(&who, || Owner::new(deps, spec, post)) {
            Ok(owner) => drop(self.running.insert(name.clone(), owner)),
            Err(why) => self.crashed(name, &why),
        }
    }

    /// Its work ends with it; who takes its place looks first.
    fn crashed(&mut self, name: &AgentName, why: &str) {
        self.running.remove(name);
        let (who, now) = (self.identity(name), self.deps.now());
        match self.crashes.entry(name.clone()).or_default().crashed(now.mono, Budget::default()) {
            Verdict::Restart => {
                tracing::warn!("the owner of {who} crashed ({why}), restarted");
                self.make(name);
                (self.answers)(Report::ActorRestarted);
            }
            Verdict::Suspend(suspend_for) => {
                let text = suspended(&who.to_string(), suspend_for, why);
                self.deps.problems.report(self.problem(name), text.clone());
                self.suspended.insert(name.clone(), (now.wall, text));
                self.work.after(suspend_for, HealthMsg::Resume(name.clone()));
            }
        }
    }

    fn problem(&self, name: &AgentName) -> String {
        format!("rig/{}/{}/actor", self.rig.name, self.identity(name))
    }

    fn spec(&self, name: &AgentName) -> AgentSpec {
        self.rig.spec(self.identity(name), self.deps.settings().tmux.naming)
    }

    fn identity(&self, name: &AgentName) -> Identity {
        Identity::Polecat(self.rig.name.clone(), name.clone())
    }
}
