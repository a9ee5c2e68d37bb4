//! The requests of all agents, in one order, and their file `claims.json`.
//!
//! A request is in its agent's record before that agent has an actor. It must not decide what is done about one.

use std::collections::{BTreeMap, BTreeSet};

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

use super::{AgentRecord, Records};
use crate::{
    agent::requests::{Action, ByCommand, Claim, Outcome, Request, Stage},
    ports::Ports,
    town::identity::Identity,
};

/// The file.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Claims {
    /// By the message's id.
    requests: BTreeMap<String, Claim>,
}

impl Claims {
    pub fn of(agents: &BTreeMap<Identity, AgentRecord>) -> Self {
        Claims { requests: agents.values().flat_map(|record| record.requests.clone()).collect() }
    }

    pub fn restore(self, agents: &mut BTreeMap<Identity, AgentRecord>) {
        for (id, claim) in self.requests {
            agents.entry(claim.identity.clone()).or_default().requests.insert(id, claim);
        }
    }
}

/// How long what became of a command is kept.
const COMMANDS: SignedDuration = SignedDuration::from_mins(10);

/// Forgets commands that were done long before this one.
fn forget_old_commands(agents: &mut BTreeMap<Identity, AgentRecord>, before: Option<&ByCommand>) {
    let Some(ByCommand { at: now, .. }) = before else { return };
    let is_old = |by: &ByCommand| now.duration_since(by.at).abs() > COMMANDS;
    for record in agents.values_mut() {
        record.requests.retain(|_, claim| claim.is_open() || !claim.by.as_ref().is_some_and(is_old));
    }
}

impl Records {
    /// How far this message's request is; `None` when it was never noted, or is over.
    pub fn request_stage(&self, id: &str) -> Option<Stage> {
        self.claim(id).map(|claim| claim.stage)
    }

    /// The request with this id, as it is kept; `None` when it was never noted, or is forgotten.
    pub fn claim(&self, id: &str) -> Option<Claim> {
        self.agents.lock().values().find_map(|record| record.requests.get(id)).cloned()
    }

    /// The requests that were noted and nothing else, in order.
    pub fn noted_requests(&self) -> Vec<Request> {
        let mut noted = Vec::from_iter(Claims::of(&self.agents.lock()).requests);
        noted.retain(|(_, claim)| claim.stage == Stage::Noted);
        noted.sort_by_key(|(_, claim)| claim.number);
        noted.iter().map(|(id, claim)| claim.request(id)).collect()
    }

    /// The agents for which something is to be carried out.
    pub fn requested(&self) -> BTreeSet<Identity> {
        let agents = self.agents.lock();
        let requested = agents.iter().filter(|(_, record)| record.requests.values().any(Claim::is_open));
        requested.map(|(identity, _)| identity.clone()).collect()
    }

    /// The first request for this agent that is due or begun, with its stage.
    pub fn next_request(&self, identity: &Identity) -> Option<(Request, Stage)> {
        let agents = self.agents.lock();
        let open = agents.get(identity)?.requests.iter().filter(|(_, claim)| claim.is_open());
        let (id, claim) = open.min_by_key(|(_, claim)| claim.number)?;
        Some((claim.request(id), claim.stage.clone()))
    }

    /// The request for this agent that comes after the one in progress.
    pub fn request_that_waits(&self, identity: &Identity) -> Option<Request> {
        let agents = self.agents.lock();
        let open = agents.get(identity)?.requests.iter().filter(|(_, claim)| claim.is_open());
        let mut open: Vec<_> = open.collect();
        open.sort_by_key(|(_, claim)| claim.number);
        open.get(1).map(|(id, claim)| claim.request(id))
    }

    /// How many requests for this agent are to be carried out.
    pub fn open_requests(&self, identity: &Identity) -> usize {
        let agents = self.agents.lock();
        agents.get(identity).map_or(0, |it| it.requests.values().filter(|claim| claim.is_open()).count())
    }

    /// Notes a request on disk, behind all that were noted before; one by command is due. An error: it is not noted, and must not be
    /// carried out.
    pub async fn note_request(&self, ports: &Ports, request: &Request) -> Result<(), String> {
        {
            let mut agents = self.agents.lock();
            let numbers = agents.values().flat_map(|it| it.requests.values()).map(|claim| claim.number + 1);
            let (number, Request { id, identity, action, by }) =
                (numbers.max().unwrap_or(0), request.clone());
            let stage = if by.is_some() { Stage::Due } else { Stage::Noted };
            forget_old_commands(&mut agents, by.as_ref());
            let claim = Claim { identity, action, stage, number, by, outcome: None };
            agents.entry(request.identity.clone()).or_default().requests.insert(id, claim);
            self.claims.was_changed();
        }
        let saved = self.claims.save(ports).await;
        if saved.is_err() {
            self.remove_requests(|id, _| id == request.id);
        }
        saved
    }

    /// Notes a request of the town's file, in memory; it is written soon. What the file says is on disk already, so nothing is lost
    /// with it. One with the same id is replaced.
    pub fn put_request(&self, request: &Request) {
        let mut agents = self.agents.lock();
        let numbers = agents.values().flat_map(|it| it.requests.values()).map(|claim| claim.number + 1);
        let (number, Request { id, identity, action, by }) = (numbers.max().unwrap_or(0), request.clone());
        forget_old_commands(&mut agents, by.as_ref());
        let claim = Claim { identity, action, stage: Stage::Due, number, by, outcome: None };
        agents.entry(request.identity.clone()).or_default().requests.insert(id, claim);
        self.claims.was_changed();
    }

    /// Notes what became of a request that is not begun, also of one that was never noted, in memory; it is written soon.
    pub fn put_outcome(&self, request: &Request, outcome: Outcome) {
        let mut agents = self.agents.lock();
        let numbers = agents.values().flat_map(|it| it.requests.values()).map(|claim| claim.number + 1);
        let (number, Request { id, identity, action, by }) = (numbers.max().unwrap_or(0), request.clone());
        let claim = Claim { identity, action, stage: Stage::Done, number, by, outcome: Some(outcome) };
        agents.entry(request.identity.clone()).or_default().requests.insert(id, claim);
        self.claims.was_changed();
    }

    /// Whether a command asked for the start of an agent, or for another one, after the first of these requests was noted.
    pub fn is_start_asked_after<'a>(&self, ids: impl Iterator<Item = &'a str>) -> bool {
        let agents = self.agents.lock();
        let ids: BTreeSet<&str> = ids.collect();
        let all = || agents.values().flat_map(|record| &record.requests);
        let Some(first) = all().filter(|(id, _)| ids.contains(id.as_str())).map(|(_, it)| it.number).min()
        else {
            return false;
        };
        let is_start = |claim: &Claim| {
            claim.action != Action::Stop && claim.by.as_ref().is_some_and(ByCommand::is_awaited)
        };
        all().any(|(_, claim)| claim.number > first && is_start(claim))
    }

    /// The requests of the town's file for this agent, open or done.
    pub fn requests_of_file(&self, identity: &Identity) -> BTreeMap<String, Claim> {
        let agents = self.agents.lock();
        let all = agents.get(identity).map(|record| record.requests.clone()).unwrap_or_default();
        all.into_iter().filter(|(_, claim)| claim.by.as_ref().is_some_and(|by| by.of_file)).collect()
    }

    /// Forgets these requests, in memory; it is written soon. What is being carried out goes on.
    pub fn take_back(&self, ids: &BTreeSet<String>) {
        self.remove_requests(|id, _| ids.contains(id));
    }

    /// Moves to this stage, in memory; it is written soon.
    pub fn set_stage(&self, request: &Request, stage: Stage) {
        let mut agents = self.agents.lock();
        let requests = agents.get_mut(&request.identity).map(|record| &mut record.requests);
        if let Some(claim) = requests.and_then(|requests| requests.get_mut(&request.id)) {
            self.claims.put(&mut claim.stage, stage);
        }
    }

    /// Moves to this stage, also on disk. A failed write is reported, and does not block it.
    pub async fn advance(&self, ports: &Ports, request: &Request, stage: Stage) {
        self.set_stage(request, stage);
        let _ = self.claims.save(ports).await;
    }

    /// It is done with: notes what became of it, also on disk. A failed write is reported, and does not block it.
    pub async fn finish(&self, ports: &Ports, request: &Request, outcome: Outcome) {
        self.set_outcome(request, outcome);
        let _ = self.claims.save(ports).await;
    }

    /// The same in memory; it is written soon.
    pub fn set_outcome(&self, request: &Request, outcome: Outcome) {
        let mut agents = self.agents.lock();
        let requests = agents.get_mut(&request.identity).map(|record| &mut record.requests);
        if let Some(claim) = requests.and_then(|requests| requests.get_mut(&request.id)) {
            claim.outcome = claim.by.as_ref().map(|_| outcome);
            claim.stage = Stage::Done;
            self.claims.was_changed();
        }
    }

    /// Forgets requests by mail: their messages are gone, or they are not to be carried out.
    pub async fn forget_requests(&self, ports: &Ports, which: impl Fn(&str, &Stage) -> bool) {
        let commands: BTreeSet<String> = {
            let agents = self.agents.lock();
            let all = agents.values().flat_map(|record| &record.requests);
            all.filter(|(_, claim)| claim.by.is_some()).map(|(id, _)| id.clone()).collect()
        };
        self.remove_requests(|id, stage| !commands.contains(id) && which(id, stage));
        let _ = self.claims.save(ports).await;
    }

    fn remove_requests(&self, which: impl Fn(&str, &Stage) -> bool) {
        for record in self.agents.lock().values_mut() {
            let before = record.requests.len();
            record.requests.retain(|id, claim| !which(id, &claim.stage));
            if record.requests.len() != before {
                self.claims.was_changed();
            }
        }
    }
}
