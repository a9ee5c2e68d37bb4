//! Claims: which agent would have which session, so that no two are supervised under one name.
//!
//! tmux knows sessions by name only, and names collide: a polecat named `witness`; polecat `b-witness` of rig `a` and the
//! witness of rig `a-b`; `x.y` and `x_y`, as tmux turns dots into underscores. Whoever ended one would end the other, so
//! neither of the two is started, nudged or ended while both are there.
//!
//! An owner claims its agent's name when it is made. The claim outlives it: were it given up when an actor crashes, the
//! other agent would be touched until the actor is back. It is given up by whoever knows that the agent is no more.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::identity::{Identity, RigName};
use crate::problems::Problems;

/// The register, shared by all owners; survives the crash of any actor.
#[derive(Debug, Clone)]
pub struct Claims {
    sessions: Arc<Mutex<BTreeMap<String, BTreeSet<Identity>>>>,
    problems: Problems,
}

impl Claims {
    /// Nobody's claims but the mayor's, who has no owner; two for one name are reported here as long as both last.
    pub fn new(problems: Problems) -> Self {
        let mayor = ("hq-mayor".to_owned(), BTreeSet::from([Identity::Mayor]));
        Claims { sessions: Arc::new(Mutex::new(BTreeMap::from([mayor]))), problems }
    }

    /// This agent would have the session of this name, and no other. Claiming again changes nothing.
    pub fn claim(&self, identity: &Identity, session: &str) {
        let mut sessions = self.locked();
        self.give_up(&mut sessions, |name, other| other == identity && name != session);
        sessions.entry(session.to_owned()).or_default().insert(identity.clone());
        self.tell(&sessions, session);
    }

    /// This agent is no more: its polecat was removed, say.
    pub fn release(&self, identity: &Identity) {
        self.give_up(&mut self.locked(), |_, other| other == identity);
    }

    /// This rig is no longer supervised, and none of its agents.
    pub fn forget_rig(&self, rig: &RigName) {
        self.give_up(&mut self.locked(), |_, other| other.rig() == Some(rig));
    }

    /// Who claims which session.
    pub fn all(&self) -> Vec<(Identity, String)> {
        let sessions = self.locked();
        let all = sessions.iter().flat_map(|(session, agents)| agents.iter().map(move |it| (it, session)));
        all.map(|(agent, session)| (agent.clone(), session.clone())).collect()
    }

    /// Why the agents that claim this session are not to be touched; `None` when there is one at most.
    pub fn contested(&self, session: &str) -> Option<String> {
        contest(&self.locked(), session)
    }

    fn give_up(
        &self,
        sessions: &mut BTreeMap<String, BTreeSet<Identity>>,
        which: impl Fn(&str, &Identity) -> bool,
    ) {
        let mut changed = Vec::new();
        for (name, agents) in sessions.iter_mut() {
            let before = agents.len();
            agents.retain(|agent| !which(name, agent));
            if agents.len() != before {
                changed.push(name.clone());
            }
        }
        sessions.retain(|_, agents| !agents.is_empty());
        for session in changed {
            self.tell(sessions, &session);
        }
    }

    fn tell(&self, sessions: &BTreeMap<String, BTreeSet<Identity>>, session: &str) {
        let key = format!("claims/{session}");
        match contest(sessions, session) {
            Some(why) => {
                self.problems.report(key, format!("{why}; none of them is supervised until one is renamed"))
            }
            None => self.problems.clear(&key),
        };
    }

    fn locked(&self) -> MutexGuard<'_, BTreeMap<String, BTreeSet<Identity>>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn contest(sessions: &BTreeMap<String, BTreeSet<Identity>>, session: &str) -> Option<String> {
    let agents = sessions.get(session).filter(|agents| agents.len() > 1)?;
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

    fn claim(claims: &Claims, identity: &Identity) -> String {
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
            let problems = Problems::new();
            let claims = Claims::new(problems.clone());
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
        let claims = Claims::new(Problems::new());
        let session = claim(&claims, &polecat("a", "x.y"));
        claim(&claims, &polecat("a", "x_y"));
        let two = "two agents would have session gt-a-x_y: a/polecats/x.y and a/polecats/x_y";
        assert_eq!(claims.contested(&session).as_deref(), Some(two));
        claims.claim(&polecat("b", "z"), &session);
        assert!(claims.contested(&session).unwrap().starts_with("3 agents would have session"));
    }

    #[test]
    fn claims_are_idempotent_and_one_for_each_agent() {
        let problems = Problems::new();
        let claims = Claims::new(problems.clone());
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
