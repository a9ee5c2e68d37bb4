//! The directory: which agent has which session, and which actor.
//!
//! A message for one agent goes directly to its actor: a death by the name of the session, a request or a heartbeat by
//! the agent's identity. An actor registers its agent when it is created, and its successor replaces it. Supervisors
//! register the other actors by name, so that a status report can ask each of them directly.
//!
//! An agent also claims its session's name, so that no two agents are supervised under one name. tmux knows sessions by
//! name only, and names collide: a polecat named `witness`; polecat `b-witness` of rig `a` and the witness of rig `a-b`;
//! `x.y` and `x_y`, as tmux turns dots into underscores. Ending one would end the other, so neither is started, nudged
//! or ended while both exist. A claim outlives the actor: if a crash released it, the other agent would be touched until
//! the actor is back. The caller that knows that the agent no longer exists releases the claim.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use futures::future::join_all;
use parking_lot::Mutex;

use crate::{
    ports::problems::Problems,
    supervision::{
        child::{Address, Answer},
        messages::Broadcast,
    },
    town::identity::{Identity, RigName},
};

/// The end of the name of a rig's census, after the rig's name.
pub const CENSUS: &str = "/census";

/// Routes messages to actors; clones share it.
#[derive(Debug, Clone)]
pub struct Directory {
    entries: Arc<Mutex<Entries>>,
    problems: Problems,
}

#[derive(Debug, Default)]
struct Entries {
    sessions: BTreeMap<String, BTreeSet<Identity>>,
    /// The actors of agents.
    actors: BTreeMap<Identity, Address>,
    /// All other actors, by name.
    others: BTreeMap<String, Address>,
}

impl Directory {
    /// An empty directory, except that the mayor's session is claimed. Contested names are reported to `problems`.
    pub fn new(problems: Problems) -> Self {
        let sessions = BTreeMap::from([("hq-mayor".to_owned(), BTreeSet::from([Identity::Mayor]))]);
        Directory { entries: Arc::new(Mutex::new(Entries { sessions, ..Entries::default() })), problems }
    }

    /// Makes this the actor of the agent.
    pub fn register(&self, identity: &Identity, actor: Address) {
        self.entries.lock().actors.insert(identity.clone(), actor);
    }

    /// Makes this the address of the actor with this name, which is no agent's.
    pub fn register_other(&self, name: &str, actor: Address) {
        self.entries.lock().others.insert(name.to_owned(), actor);
    }

    /// Removes the actor of this name.
    pub fn forget_other(&self, name: &str) {
        self.entries.lock().others.remove(name);
    }

    /// Sends a message to the actor with this name, which is no agent's; does nothing when there is none.
    pub fn send_to_other(&self, name: &str, message: Broadcast) {
        let actor = self.entries.lock().others.get(name).cloned();
        actor.into_iter().for_each(|actor| actor.send(message.clone()));
    }

    /// Has the censuses of these rigs read their beads again, because labels may have changed.
    pub fn read_beads(&self, which: impl Fn(&RigName) -> bool) {
        let entries = self.entries.lock();
        let censuses = entries.others.iter().filter(|(name, _)| {
            name.strip_suffix(CENSUS).and_then(|rig| rig.parse().ok()).is_some_and(|rig| which(&rig))
        });
        let censuses: Vec<Address> = censuses.map(|(_, actor)| actor.clone()).collect();
        drop(entries);
        censuses.iter().for_each(|census| census.send(Broadcast::ReadBeads));
    }

    /// All actors by name, running or not.
    pub fn by_name(&self) -> BTreeMap<String, Address> {
        let entries = self.entries.lock();
        let agents = entries.actors.iter().map(|(identity, actor)| (identity.actor_name(), actor.clone()));
        agents.chain(entries.others.clone()).collect()
    }

    /// What each actor that is asked answers, by its name, all at once; `None` of one that did not within the limit.
    pub async fn ask_all(&self, limit: Duration) -> Vec<(String, Option<Answer>)> {
        let asked = self.by_name().into_iter().filter(|(_, actor)| actor.is_asked());
        join_all(asked.map(|(name, actor)| async move { (name, actor.ask(limit).await) })).await
    }

    /// The actors of agents, running or not.
    pub fn actors(&self) -> Vec<(Identity, Address)> {
        self.entries.lock().actors.iter().map(|(identity, actor)| (identity.clone(), actor.clone())).collect()
    }

    /// Whether this agent has an actor, or had one that crashed.
    pub fn is_kept(&self, identity: &Identity) -> bool {
        self.entries.lock().actors.contains_key(identity)
    }

    /// Sends a message to the actor of an agent. Returns whether one is running.
    pub fn send(&self, identity: &Identity, message: Broadcast) -> bool {
        let actor = self.entries.lock().actors.get(identity).filter(|actor| actor.is_running()).cloned();
        actor.is_some_and(|actor| {
            actor.send(message);
            true
        })
    }

    /// Sends a message to the actor of the agent that has this session; if several claim it, to the first that runs.
    pub fn send_to_session(&self, session: &str, message: Broadcast) -> bool {
        let claimed = self.entries.lock().sessions.get(session).cloned().unwrap_or_default();
        claimed.iter().any(|identity| self.send(identity, message.clone()))
    }

    /// Sends a message to the actors of all agents that match.
    pub fn broadcast(&self, message: &Broadcast, belongs: impl Fn(&Identity) -> bool) {
        for (_, actor) in self.actors().into_iter().filter(|(identity, _)| belongs(identity)) {
            actor.send(message.clone());
        }
    }

    /// Claims this session for this agent, and releases its earlier claim.
    pub fn claim(&self, identity: &Identity, session: &str) {
        let mut entries = self.entries.lock();
        self.give_up(&mut entries, |name, other| other == identity && name != session);
        entries.sessions.entry(session.to_owned()).or_default().insert(identity.clone());
        self.report(&entries, session);
    }

    /// Removes an agent that no longer exists.
    pub fn release(&self, identity: &Identity) {
        let mut entries = self.entries.lock();
        entries.actors.remove(identity);
        self.give_up(&mut entries, |_, other| other == identity);
    }

    /// Removes a rig's agents, which are no longer supervised.
    pub fn forget_rig(&self, rig: &RigName) {
        let mut entries = self.entries.lock();
        entries.actors.retain(|identity, _| identity.rig() != Some(rig));
        self.give_up(&mut entries, |_, other| other.rig() == Some(rig));
    }

    /// Every known agent, with its session.
    pub fn all(&self) -> Vec<(Identity, String)> {
        let entries = self.entries.lock();
        let all =
            entries.sessions.iter().flat_map(|(session, agents)| agents.iter().map(move |it| (it, session)));
        all.map(|(agent, session)| (agent.clone(), session.clone())).collect()
    }

    /// Why a session of this name must not be touched; `None` unless two agents claim it.
    pub fn contested(&self, session: &str) -> Option<String> {
        contest(&self.entries.lock(), session)
    }

    fn give_up(&self, entries: &mut Entries, which: impl Fn(&str, &Identity) -> bool) {
        let mut changed = Vec::new();
        for (name, agents) in &mut entries.sessions {
            let before = agents.len();
            agents.retain(|agent| !which(name, agent));
            if agents.len() != before {
                changed.push(name.clone());
            }
        }
        entries.sessions.retain(|_, agents| !agents.is_empty());
        for session in changed {
            self.report(entries, &session);
        }
    }

    fn report(&self, entries: &Entries, session: &str) {
        let key = format!("claims/{session}");
        match contest(entries, session) {
            Some(why) => {
                self.problems.report(key, format!("{why}; none of them is supervised until one is renamed"))
            }
            None => self.problems.clear(&key),
        };
    }
}

fn contest(entries: &Entries, session: &str) -> Option<String> {
    let agents = entries.sessions.get(session).filter(|agents| agents.len() > 1)?;
    let names: Vec<String> = agents.iter().map(ToString::to_string).collect();
    let count = if names.len() == 2 { "two".to_owned() } else { names.len().to_string() };
    Some(format!("{count} agents would have session {session}: {}", names.join(" and ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::town::settings::Naming;

    fn polecat(rig: &str, name: &str) -> Identity {
        Identity::Polecat(rig.parse().unwrap(), name.parse().unwrap())
    }

    fn claim(claims: &Directory, identity: &Identity) -> String {
        let session = identity.session(Naming::Rig, "");
        claims.claim(identity, &session);
        session
    }

    #[test]
    fn names_that_collide() {
        let witness = |rig: &str| Identity::Witness(rig.parse().unwrap());
        let crew = |rig: &str, name: &str| Identity::Crew(rig.parse().unwrap(), name.parse().unwrap());
        for (name, one, other, collide) in [
            ("a polecat named witness", polecat("a", "witness"), witness("a"), true),
            ("over the rig's end", polecat("a", "b-witness"), witness("a-b"), true),
            ("dot and underscore", polecat("a", "x.y"), polecat("a", "x_y"), true),
            ("rigs alike", polecat("a.b", "x"), polecat("a_b", "x"), true),
            ("a polecat named as crew", polecat("a", "crew-max"), crew("a", "max"), true),
            ("two polecats", polecat("a", "x"), polecat("a", "y"), false),
            ("two rigs", polecat("a", "x"), polecat("b", "x"), false),
            ("letters matter", polecat("a", "x"), polecat("a", "X"), false),
        ] {
            let problems = Problems::default();
            let claims = Directory::new(problems.clone());
            let sessions = [claim(&claims, &one), claim(&claims, &other)];
            for session in &sessions {
                assert_eq!(claims.contested(session).is_some(), collide, "{name}");
            }
            assert_eq!(problems.open().len(), usize::from(collide), "{name}");
            if collide {
                let why = claims.contested(&sessions[0]).unwrap();
                assert!(why.contains(&one.to_string()) && why.contains(&other.to_string()), "{why}");
            }
            claims.release(&one);
            assert_eq!(claims.contested(&sessions[1]), None, "{name}: the other is alone");
            assert!(problems.open().is_empty(), "{name}");
        }
    }

    #[test]
    fn the_words() {
        let claims = Directory::new(Problems::default());
        let session = claim(&claims, &polecat("a", "x.y"));
        claim(&claims, &polecat("a", "x_y"));
        let two = "two agents would have session gt-a-x_y: a/polecats/x.y and a/polecats/x_y";
        assert_eq!(claims.contested(&session).as_deref(), Some(two));
        claims.claim(&polecat("b", "z"), &session);
        assert!(claims.contested(&session).unwrap().starts_with("3 agents would have session"));
    }

    #[test]
    fn claims_are_idempotent_and_one_for_each_agent() {
        let problems = Problems::default();
        let claims = Directory::new(problems.clone());
        let toast = polecat("a", "Toast");
        claims.claim(&toast, "gt-a-Toast");
        claims.claim(&toast, "gt-a-Toast");
        assert_eq!(claims.contested("gt-a-Toast"), None, "the same agent, made again after a crash");
        claims.claim(&polecat("b", "x"), "gt-a-Toast");
        claims.claim(&toast, "a-Toast");
        assert_eq!(claims.contested("gt-a-Toast"), None, "the naming changed");
        claims.claim(&toast, "hq-mayor");
        assert!(
            claims.contested("hq-mayor").is_some(),
            "the mayor has no owner, and his session all the same"
        );
        claims.forget_rig(&"a".parse().unwrap());
        assert!(claims.contested("hq-mayor").is_none() && problems.open().is_empty());
    }
}
