//! Polecat health: the actor that lists a rig's polecats by their directories, reports agents that run as polecats without one
//! ([`unsupervised`]), and handles pending spawns.
//!
//! The rig supervisor gives each listed polecat an actor of its own. This actor must not start or end anything, and
//! its crash affects no agent: its successor lists again.

use std::{collections::BTreeSet, sync::Arc};

use ractor::{Actor, ActorProcessingErr, ActorRef};

use crate::{
    agent::polecat::roster,
    deps::Deps,
    sessions::{Session, scan::Scan},
    supervision::{
        child::{ChildSpec, Contact},
        messages::{Broadcast, Report, ReportTo},
        work::{ReplyTo, Work},
    },
    town::{
        identity::{AgentName, Identity, RigName},
        rig_plan::RigPlan,
    },
    watchers::spawns::rounds::{SpawnEvent, Spawns},
};

mod unsupervised;

/// What polecat health receives.
#[derive(Debug)]
pub enum HealthMsg {
    /// From its rig.
    Broadcast(Broadcast),
    /// From its rig: the polecats that have an actor, listed or not.
    Known(BTreeSet<AgentName>),
    /// From its own listing, with the heartbeat it is for; `None` when the task panicked.
    Listed(Option<u64>, Option<Result<Roster, String>>),
    /// From the tasks that handle pending spawns.
    Spawns(SpawnEvent),
}

/// The polecats and crew of a rig, by the directories.
#[derive(Debug, Clone)]
pub struct Roster {
    /// The rig's polecats.
    pub polecats: Vec<AgentName>,
    /// The rig's crew; no polecat may have the name of one of their sessions.
    pub crew: Vec<AgentName>,
}

/// The actor that lists a rig's polecats.
#[derive(Debug)]
pub struct PolecatHealth;

/// Polecat health as a child of its rig.
pub fn child(plan: HealthPlan) -> ChildSpec {
    let name = format!("{}/polecats", plan.rig.name);
    let contact = Contact::taking(|broadcast| Some(HealthMsg::Broadcast(broadcast)));
    let child = ChildSpec::new(name, || PolecatHealth, move || plan.clone(), contact);
    ChildSpec { answers_heartbeats: true, ..child }
}

/// The arguments of [`PolecatHealth`].
#[derive(Clone)]
pub struct HealthPlan {
    /// The ports and registers.
    pub deps: Arc<Deps>,
    /// The rig.
    pub rig: RigPlan,
    /// How it answers heartbeats.
    pub answers: ReportTo,
    /// Where each listing goes.
    pub listed: ReplyTo<Roster>,
}

/// The state of [`PolecatHealth`].
pub struct HealthState {
    deps: Arc<Deps>,
    rig: RigPlan,
    known: BTreeSet<AgentName>,
    /// Sessions that are named like a polecat's but belong to none, as far as known.
    strangers: BTreeSet<String>,
    /// Those that a heartbeat found, by name and id; `None` before the first.
    at_last_beat: Option<BTreeSet<(String, String)>>,
    spawns: Spawns,
    work: Work<HealthMsg>,
    answers: ReportTo,
    listed: ReplyTo<Roster>,
}

impl Actor for PolecatHealth {
    type Msg = HealthMsg;
    type State = HealthState;
    type Arguments = HealthPlan;

    async fn pre_start(
        &self,
        myself: ActorRef<HealthMsg>,
        HealthPlan { deps, rig, answers, listed }: HealthPlan,
    ) -> Result<HealthState, ActorProcessingErr> {
        let post: ReplyTo<HealthMsg> = Arc::new(move |message| drop(myself.cast(message)));
        let to_spawns = post.clone();
        let spawns = Spawns::new(
            deps.clone(),
            rig.clone(),
            Arc::new(move |event| to_spawns(HealthMsg::Spawns(event))),
        );
        let mut state = HealthState {
            spawns,
            deps,
            rig,
            known: BTreeSet::new(),
            strangers: BTreeSet::new(),
            at_last_beat: None,
            work: Work::new(post),
            answers,
            listed,
        };
        state.list(None);
        Ok(state)
    }

    async fn handle(
        &self,
        _: ActorRef<HealthMsg>,
        message: HealthMsg,
        state: &mut HealthState,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            HealthMsg::Broadcast(Broadcast::Heartbeat(beat)) => {
                state.report_unsupervised(&beat.scan);
                state.list(Some(beat.number));
            }
            HealthMsg::Broadcast(Broadcast::TownChanged) => state.list(None),
            HealthMsg::Broadcast(Broadcast::Scanned(scan)) => state.find_strangers(&scan),
            HealthMsg::Broadcast(Broadcast::Mail(inbox)) => state.spawns.mail(&inbox),
            HealthMsg::Broadcast(_) => {}
            HealthMsg::Known(polecats) => {
                state.spawns.follow(polecats.iter());
                state.known = polecats;
            }
            HealthMsg::Listed(heartbeat, listed) => state.listed(heartbeat, listed),
            HealthMsg::Spawns(event) => state.spawns.handle(event),
        }
        Ok(())
    }
}

impl HealthState {
    fn list(&mut self, heartbeat: Option<u64>) {
        let (deps, rig) = (self.deps.clone(), self.rig.name.clone());
        self.work.spawn(
            async move { HealthMsg::Listed(heartbeat, Some(read_roster(&deps, &rig).await)) },
            HealthMsg::Listed(heartbeat, None),
        );
    }

    fn listed(&mut self, heartbeat: Option<u64>, listed: Option<Result<Roster, String>>) {
        let key = format!("rig/{}/polecats/list", self.rig.name);
        match listed {
            Some(Ok(roster)) => {
                self.deps.problems.clear(&key);
                (self.listed)(roster);
            }
            // The known polecats stay supervised.
            Some(Err(why)) => {
                let text = format!("cannot list the polecats of {}: {why}", self.rig.name);
                self.deps.problems.report(key, text);
            }
            // The heartbeat reports this part as late.
            None => return,
        }
        if let Some(number) = heartbeat {
            (self.answers)(Report::probed(number, format!("{}/polecats", self.rig.name)));
        }
    }

    /// Reports the agents that run as polecats of this rig and are none that anybody supervises, by two heartbeats in a row: what
    /// spawns or removes a polecat makes its directory and its session one after the other.
    fn report_unsupervised(&mut self, scan: &Scan) {
        let Ok(sessions) = &scan.sessions else { return };
        let may_be_ours = self.rig.polecats_sessions(self.deps.settings().tmux.naming);
        let supervised: BTreeSet<String> = self.deps.directory.all().into_iter().map(|(_, it)| it).collect();
        let strangers: Vec<Arc<Session>> = sessions
            .values()
            .filter(|it| may_be_ours(&it.name) && !supervised.contains(&it.name))
            .cloned()
            .collect();
        let now = strangers.iter().map(|it| (it.name.clone(), it.id.clone())).collect();
        let Some(before) = self.at_last_beat.replace(now) else { return };
        let lasting = strangers.into_iter().filter(|it| before.contains(&(it.name.clone(), it.id.clone())));
        let (deps, rig, trees) = (self.deps.clone(), self.rig.clone(), scan.trees.clone());
        let lasting: Vec<_> = lasting.collect();
        self.work.run(async move { unsupervised::report(&deps, &rig, &lasting, &trees).await });
    }

    /// Lists the polecats again when a scan shows an unknown session that may be one of theirs.
    fn find_strangers(&mut self, scan: &Scan) {
        let Ok(sessions) = &scan.sessions else { return };
        let naming = self.deps.settings().tmux.naming;
        let may_be_ours = self.rig.polecats_sessions(naming);
        let session_of = |name: &AgentName| {
            Identity::Polecat(self.rig.name.clone(), name.clone()).session(naming, &self.rig.prefix.sessions)
        };
        let known: BTreeSet<String> = self.known.iter().map(session_of).collect();
        let strangers: BTreeSet<String> = sessions
            .keys()
            .filter(|name| may_be_ours(name) && !known.contains(name.as_str()))
            .cloned()
            .collect();
        let new = !strangers.is_subset(&self.strangers);
        self.strangers = strangers;
        if new {
            self.list(None);
        }
    }
}

async fn read_roster(deps: &Deps, rig: &RigName) -> Result<Roster, String> {
    Ok(Roster { polecats: roster::list(deps, rig).await?, crew: roster::crew(deps, rig).await? })
}
