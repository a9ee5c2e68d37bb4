//! The processes of the world: those in its sessions.

use std::{collections::BTreeMap, time::Duration};

use async_trait::async_trait;
use gastown_supervisor::processes::{Ended, Invocation, Process, Processes, ProcessesError};

use super::{
    Condition, World, rules,
    weather::{TABLE_CAP, pause},
};

#[async_trait]
impl Processes for World {
    async fn trees(&self, roots: &[u32]) -> Result<BTreeMap<u32, Vec<Process>>, ProcessesError> {
        let probability = self.state().weather.fail;
        let fate = self.fate("trees", TABLE_CAP, probability);
        self.arrive("trees", &fate).await;
        let now = self.time();
        let answer = if fate.fails {
            Err(ProcessesError("it is not mounted".to_owned()))
        } else {
            let state = self.state();
            let there = state.sessions.values().filter(|it| roots.contains(&it.pid));
            Ok(there
                .map(|session| {
                    let name = match session.condition {
                        Condition::Well | Condition::Hung if session.appears <= now => "claude",
                        Condition::Zombie => "bash",
                        _ => "env",
                    };
                    let age = now - session.born;
                    (session.pid, vec![Process { pid: session.pid, age, names: vec![name.to_owned()] }])
                })
                .collect())
        };
        self.state().note(now, fate.fails, || {
            let outcome = if fate.fails { "fails" } else { "ok" };
            format!("trees of {} panes -> {outcome} (+{:?})", roots.len(), fate.after)
        });
        pause(fate.after).await;
        answer
    }

    async fn invocations(&self, _: &str, _: Option<Duration>) -> Result<Vec<Invocation>, ProcessesError> {
        Ok(Vec::new())
    }

    async fn end_trees(&self, roots: &[u32], grace: Duration) -> Result<Ended, ProcessesError> {
        let fate = self.fate("end_trees", TABLE_CAP, 0.0);
        self.arrive("end_trees", &fate).await;
        let now = self.time();
        let mut hung = false;
        for root in roots {
            let state = self.state();
            let found = state.sessions.iter().find(|(_, it)| it.pid == *root);
            let Some((name, condition)) = found.map(|(name, it)| (name.clone(), it.condition)) else {
                continue;
            };
            drop(state);
            hung |= condition == Condition::Hung;
            self.state().note(now, true, || format!("end processes of {name} ({condition:?})"));
            self.state().may_end(now, &name);
            self.state().deeds.push((now, rules::Deed::Ended(name.clone())));
            self.end_session(&name, "the supervisor ended its processes");
            self.provoke_after_end(&name);
        }
        if hung {
            pause(grace).await; // it does not listen to TERM
        }
        pause(fate.after).await;
        Ok(Ended { asked: roots.len(), forced: usize::from(hung) })
    }
}
