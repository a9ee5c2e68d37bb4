//! Polecat health: the actor that owns all polecats of one rig.
//!
//! A polecat is kept only while it has work: one that lives is watched like any other agent, one that does not is looked up
//! in its bead. The rig's agent snapshot, read once for each heartbeat, nominates those that have work and do not live; the
//! owner of each then makes sure and reads its beads again before anything is done. It must not start a polecat
//! that has no work, and never waits for `bd` with anything but that polecat's restart.

use std::{collections::BTreeSet, panic::AssertUnwindSafe, sync::Arc};

use futures::FutureExt;
use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort};

use super::{owners::Owners, roster, work};
use crate::{
    agent::{
        confirmation::Observation,
        identity::{AgentName, Identity, RigName},
        lifecycle::{Event, State},
        owner::{AgentStatus, Owner, OwnerEvent},
    },
    audit::rounds::{Audit, AuditEvent},
    deps::Deps,
    ledger::snapshot::AgentSnapshot,
    panics,
    rig::supervisor::RigPlan,
    sessions::{death::Death, sweep::Sweep},
    spawns::rounds::{SpawnEvent, Spawns},
    tree::part::{Answers, Report, Word},
    work::{Post, Work},
};

/// What polecat health hears.
#[derive(Debug)]
pub enum HealthMsg {
    /// From its rig.
    Word(Word),
    /// From the tasks and timers of one polecat's owner.
    Owner(AgentName, Box<OwnerEvent>),
    /// From its timer: the time of a polecat's owner that was suspended is over.
    Resume(AgentName),
    /// From its own listing of the rig's polecats, or nothing when that was cut short.
    Listed(Wanted, Option<Result<Roster, String>>),
    /// From its own looks; with the heartbeat they answer, if one asked for them.
    Looked(Option<u64>, Option<Vec<(AgentName, Option<Observation>)>>),
    /// From the tasks of its audit.
    Audit(AuditEvent),
    /// From the tasks that attend pending spawns.
    Spawns(SpawnEvent),
    /// From anybody: how are your polecats?
    Probe(RpcReplyPort<Vec<AgentStatus>>),
}

/// Who there is in a rig, by the directories.
#[derive(Debug, Clone)]
pub struct Roster {
    /// Its polecats.
    pub polecats: Vec<AgentName>,
    /// Its crew, whose sessions no polecat may have.
    pub crew: Vec<AgentName>,
}

/// What a listing was made for.
#[derive(Debug, Clone)]
pub enum Wanted {
    /// A heartbeat, with its sweep.
    Beat(u64, Arc<Sweep>),
    /// A change in the town: those that do not live are looked at again.
    Change,
    /// A session nobody knows yet.
    Stranger(Arc<Sweep>),
}

/// The actor.
#[derive(Debug)]
pub struct PolecatHealth;

/// Its state.
pub struct HealthState {
    deps: Arc<Deps>,
    rig: RigPlan,
    polecats: Owners,
    crew: BTreeSet<Identity>,
    /// Sessions that look like a polecat's and are not, as far as is known.
    strangers: BTreeSet<String>,
    audit: Audit,
    spawns: Spawns,
    work: Work<HealthMsg>,
    post: Post<HealthMsg>,
    answers: Answers,
}

impl Actor for PolecatHealth {
    type Msg = HealthMsg;
    type State = HealthState;
    type Arguments = (Arc<Deps>, RigPlan, Answers);

    async fn pre_start(
        &self,
        myself: ActorRef<HealthMsg>,
        (deps, rig, answers): Self::Arguments,
    ) -> Result<HealthState, ActorProcessingErr> {
        let post: Post<HealthMsg> = Arc::new(move |message| drop(myself.cast(message)));
        let mut state = HealthState {
            audit: audit(&deps, &rig, &post),
            spawns: spawns(&deps, &rig, &post),
            polecats: Owners::new(deps.clone(), rig.clone(), post.clone(), answers.clone()),
            deps,
            rig,
            crew: BTreeSet::new(),
            strangers: BTreeSet::new(),
            work: Work::new(post.clone()),
            post,
            answers,
        };
        // One that takes the place of a crashed one knows nobody yet.
        state.list(Wanted::Change);
        // Also those that no listing will show.
        for identity in state.deps.requests.waiting() {
            if identity.rig() == Some(&state.rig.name) {
                state.asked(&identity);
            }
        }
        Ok(state)
    }

    async fn handle(
        &self,
        _: ActorRef<HealthMsg>,
        message: HealthMsg,
        state: &mut HealthState,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            HealthMsg::Word(word) => state.heard(word),
            HealthMsg::Owner(name, event) => state.polecats.on(&name, |owner| owner.handle(*event)),
            HealthMsg::Resume(name) => state.polecats.resume(&name),
            HealthMsg::Listed(wanted, listed) => state.listed(wanted, listed),
            HealthMsg::Looked(heartbeat, seen) => state.looked(heartbeat, seen),
            HealthMsg::Audit(event) => state.in_audit(|audit, _| audit.handle(event)),
            HealthMsg::Spawns(event) => state.in_spawns(|spawns| spawns.handle(event)),
            HealthMsg::Probe(reply) => drop(reply.send(state.polecats.statuses())),
        }
        Ok(())
    }
}

impl HealthState {
    fn heard(&mut self, word: Word) {
        match word {
            Word::Heartbeat(beat) => {
                self.wake_starts();
                self.list(Wanted::Beat(beat.number, beat.sweep));
            }
            Word::Swept(sweep) => {
                self.wake_starts();
                self.polecats.each(|owner| owner.swept(&sweep));
                self.look_at_news(&sweep);
                self.look_for_strangers(sweep);
            }
            Word::Died(death) => self.died(death),
            Word::TownChanged => {
                self.wake_starts();
                self.list(Wanted::Change);
            }
            Word::Asked(identity) => self.asked(&identity),
            Word::Mail(inbox) => self.in_spawns(|spawns| spawns.mail(&inbox)),
            Word::SnapshotRead(snapshot) => {
                self.tell_hooks(&snapshot);
                self.nominate(&snapshot);
                self.in_audit(|audit, polecats| audit.snapshot_read(&snapshot, polecats.running()));
            }
            Word::RestartStateChanged => self.polecats.each(Owner::recall),
            Word::ClearBackoff(whose) => {
                self.polecats.each(|owner| owner.clear_backoff(whose.as_ref()));
            }
        }
    }

    fn wake_starts(&self) {
        self.polecats.running().values().for_each(Owner::wake_start);
    }

    fn died(&mut self, death: Death) {
        let mut owners = self.polecats.running().iter();
        let of_it = owners.find(|(_, owner)| owner.spec().session == death.session);
        if let Some(name) = of_it.map(|(name, _)| name.clone()) {
            self.polecats.on(&name, |owner| owner.died(death));
        }
    }

    fn asked(&mut self, identity: &Identity) {
        let Identity::Polecat(_, name) = identity else { return };
        // One without a directory is made as well: that it cannot be started is told by its start.
        self.polecats.add(name);
        self.polecats.on(name, Owner::attend);
    }

    fn list(&mut self, wanted: Wanted) {
        let (deps, rig, again) = (self.deps.clone(), self.rig.name.clone(), wanted.clone());
        self.work.spawn(
            async move { HealthMsg::Listed(wanted, Some(read_roster(&deps, &rig).await)) },
            HealthMsg::Listed(again, None),
        );
    }

    fn listed(&mut self, wanted: Wanted, listed: Option<Result<Roster, String>>) {
        let key = format!("rig/{}/polecats/list", self.rig.name);
        let mut appeared = false;
        match listed {
            Some(Ok(roster)) => {
                self.deps.problems.clear(&key);
                self.claim_crew(roster.crew);
                appeared = self.follow(roster.polecats);
            }
            // Those that are known are looked after all the same.
            Some(Err(why)) => {
                self.deps
                    .problems
                    .report(key, format!("the polecats of {} are not known: {why}", self.rig.name));
            }
            None => {}
        }
        match wanted {
            Wanted::Beat(number, sweep) => {
                self.look(Some(number), Some(sweep), |owner, sweep| {
                    !is_idle(owner) || sweep.is_some_and(|sweep| shows(sweep, owner))
                });
                if appeared {
                    self.nominate_by_the_last();
                }
            }
            Wanted::Change => {
                self.look(None, None, |owner, _| !is_idle(owner) && !owner.is_alive());
                self.nominate_by_the_last();
            }
            Wanted::Stranger(sweep) => self.look_at_news(&sweep),
        }
    }

    fn claim_crew(&mut self, crew: Vec<AgentName>) {
        let rig = &self.rig.name;
        let there: BTreeSet<Identity> =
            crew.into_iter().map(|name| Identity::Crew(rig.clone(), name)).collect();
        for identity in self.crew.difference(&there) {
            self.deps.claims.release(identity);
        }
        for identity in &there {
            let session = self.rig.spec(identity.clone(), self.deps.settings().tmux.naming).session;
            self.deps.claims.claim(identity, &session);
        }
        self.crew = there;
    }

    /// Those that appeared get an owner; those that vanished lose it once nothing is going on with them. Whether any
    /// appeared.
    fn follow(&mut self, names: Vec<AgentName>) -> bool {
        let there: BTreeSet<AgentName> = names.into_iter().collect();
        let gone: Vec<AgentName> = self
            .polecats
            .names()
            .filter(|name| !there.contains(*name))
            .filter(|name| self.polecats.running().get(*name).is_none_or(|owner| self.may_be_let_go(owner)))
            .cloned()
            .collect();
        for name in gone {
            if let Some(owner) = self.polecats.running().get(&name) {
                self.deps.screens.unwant(&owner.spec().session);
            }
            self.polecats.remove(&name);
            let identity = Identity::Polecat(self.rig.name.clone(), name);
            self.deps.claims.release(&identity);
            self.let_go(&identity);
            self.deps.restarts.remember(&identity, None);
            if self.deps.lives.is_accounted_for(&identity) {
                let deps = self.deps.clone();
                self.work.run(async move { drop(deps.lives.save(&deps).await) });
            }
            self.deps.histories.gone(&identity, "its directory is gone", self.deps.now().wall);
            self.deps.problems.forget(&format!("rig/{}/{identity}/", self.rig.name));
        }
        let known: BTreeSet<AgentName> = self.polecats.names().cloned().collect();
        let appeared = !there.is_subset(&known);
        there.iter().for_each(|name| self.polecats.add(name));
        let known: BTreeSet<AgentName> = known.union(&there).cloned().collect();
        self.in_audit(|audit, _| audit.follow(known.iter()));
        self.in_spawns(|spawns| spawns.follow(known.iter()));
        appeared
    }

    /// What was stopped on request and then removed for good is held no longer.
    fn let_go(&mut self, identity: &Identity) {
        if self.deps.holds.of(identity).is_some() {
            self.deps.holds.set(identity, None);
            let deps = self.deps.clone();
            self.work.run(async move { drop(deps.holds.save(&deps).await) });
        }
    }

    fn may_be_let_go(&self, owner: &Owner) -> bool {
        if self.deps.requests.next(&owner.spec().identity).is_some() {
            return false;
        }
        is_idle(owner)
            || matches!(
                owner.state(),
                State::Held { .. } | State::HeldOnRequest { .. } | State::CrashLoop { .. }
            )
            // What lives under a name that another agent has too is the other one.
            || self.deps.claims.contested(&owner.spec().session).is_some()
    }

    /// The audit does something; a fault in it must not take the polecats' owners with it.
    fn in_audit(&mut self, act: impl FnOnce(&mut Audit, &Owners)) {
        let part = format!("{}/polecats' audit", self.rig.name);
        if let Err(why) = panics::contain(&part, || act(&mut self.audit, &self.polecats)) {
            tracing::warn!("{part} crashed ({why}), begun anew");
            self.audit = audit(&self.deps, &self.rig, &self.post);
        }
    }

    /// The same for the pending spawns.
    fn in_spawns(&mut self, act: impl FnOnce(&mut Spawns)) {
        let part = format!("{}/polecats' spawns", self.rig.name);
        if let Err(why) = panics::contain(&part, || act(&mut self.spawns)) {
            tracing::warn!("{part} crashed ({why}), begun anew");
            self.spawns = spawns(&self.deps, &self.rig, &self.post);
        }
    }

    /// Looks at those for whom it is worth it, all side by side.
    fn look(
        &mut self,
        heartbeat: Option<u64>,
        sweep: Option<Arc<Sweep>>,
        worth: impl Fn(&Owner, Option<&Sweep>) -> bool,
    ) {
        let looks: Vec<_> = self
            .polecats
            .running()
            .iter()
            .filter(|(_, owner)| worth(owner, sweep.as_deref()))
            .map(|(name, owner)| {
                let (name, look) = (name.clone(), owner.look(sweep.clone()));
                async move { (name, AssertUnwindSafe(look).catch_unwind().await.ok()) }
            })
            .collect();
        self.work.spawn(
            async move { HealthMsg::Looked(heartbeat, Some(futures::future::join_all(looks).await)) },
            HealthMsg::Looked(heartbeat, None),
        );
    }

    fn look_at_news(&mut self, sweep: &Arc<Sweep>) {
        let news = |owner: &Owner| owner.is_news(sweep) && (!is_idle(owner) || shows(sweep, owner));
        if self.polecats.running().values().any(news) {
            self.look(None, Some(sweep.clone()), |owner, _| news(owner));
        }
    }

    /// A session of a polecat that was made since the last listing.
    fn look_for_strangers(&mut self, sweep: Arc<Sweep>) {
        let Ok(sessions) = &sweep.sessions else { return };
        let may_be_ours = self.rig.polecats_sessions(self.deps.settings().tmux.naming);
        let known: BTreeSet<&str> =
            self.polecats.running().values().map(|owner| owner.spec().session.as_str()).collect();
        let strangers: BTreeSet<String> = sessions
            .keys()
            .filter(|name| may_be_ours(name) && !known.contains(name.as_str()))
            .cloned()
            .collect();
        let new = !strangers.is_subset(&self.strangers);
        self.strangers = strangers;
        if new {
            self.list(Wanted::Stranger(sweep));
        }
    }

    fn looked(&mut self, heartbeat: Option<u64>, seen: Option<Vec<(AgentName, Option<Observation>)>>) {
        // Looks that were cut short by a fault are no answer: the heartbeat names this part as late.
        let Some(seen) = seen else { return };
        let mut missed: Vec<String> =
            self.polecats.suspended().map(|identity| identity.to_string()).collect();
        for (name, seen) in seen {
            match seen {
                Some(seen) => self.polecats.on(&name, |owner| owner.apply(Event::Seen(seen))),
                None => missed.push(format!("{}/polecats/{name}", self.rig.name)),
            }
        }
        if let Some(number) = heartbeat {
            let part = format!("{}/polecats", self.rig.name);
            (self.answers)(Report::Looked { number, part, delegated: Vec::new(), missed });
        }
    }

    /// The last snapshot may have come before those it is about were known; however old it is, it only nominates.
    /// Other work lets go who was stopped on request. What was read before that says nothing.
    fn tell_hooks(&mut self, snapshot: &AgentSnapshot) {
        self.polecats.each(|owner| {
            if let State::HeldOnRequest { hold } = owner.state()
                && snapshot.begun.wall > hold.since
                && let Some(hook) = snapshot.hook(&owner.spec().identity)
            {
                owner.apply(Event::Hook(hook));
            }
        });
    }

    fn nominate_by_the_last(&mut self) {
        if let Some(snapshot) = self.deps.snapshots.last(&self.rig.name) {
            self.nominate(&snapshot);
        }
    }

    /// Has those looked at that do not live, with what the snapshot says of their work.
    fn nominate(&mut self, snapshot: &AgentSnapshot) {
        let looks: Vec<_> = self
            .polecats
            .running()
            .iter()
            .filter(|(_, owner)| is_idle(owner))
            .filter_map(|(name, owner)| {
                let identity = &owner.spec().identity;
                let assignment = work::nominated(&self.deps, snapshot, identity, owner.seen_alive())?;
                let (name, look) = (name.clone(), owner.look_knowing(assignment));
                Some(async move { (name, AssertUnwindSafe(look).catch_unwind().await.ok()) })
            })
            .collect();
        if looks.is_empty() {
            return;
        }
        self.work.spawn(
            async move { HealthMsg::Looked(None, Some(futures::future::join_all(looks).await)) },
            HealthMsg::Looked(None, None),
        );
    }
}

fn audit(deps: &Arc<Deps>, rig: &RigPlan, post: &Post<HealthMsg>) -> Audit {
    let post = post.clone();
    Audit::new(deps.clone(), rig.name.clone(), Arc::new(move |event| post(HealthMsg::Audit(event))))
}

fn spawns(deps: &Arc<Deps>, rig: &RigPlan, post: &Post<HealthMsg>) -> Spawns {
    let post = post.clone();
    Spawns::new(deps.clone(), rig.clone(), Arc::new(move |event| post(HealthMsg::Spawns(event))))
}

async fn read_roster(deps: &Deps, rig: &RigName) -> Result<Roster, String> {
    Ok(Roster { polecats: roster::list(deps, rig).await?, crew: roster::crew(deps, rig).await? })
}

/// Nothing runs there and nothing is going on: whether there should, its bead says.
fn is_idle(owner: &Owner) -> bool {
    matches!(owner.state(), State::Unseen | State::Absent { .. })
}

fn shows(sweep: &Sweep, owner: &Owner) -> bool {
    sweep.sessions.as_ref().is_ok_and(|sessions| sessions.contains_key(&owner.spec().session))
}
