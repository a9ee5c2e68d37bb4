//! The processes of the world: those in its sessions.

use std::{collections::BTreeMap, time::Duration};

use async_trait::async_trait;
use gastown_supervisor::processes::{Ended, Invocation, Process, Processes, ProcessesError};

use super::{
    Condition, World,
    operator::{FakeInvocation, OWN},
    rules,
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
            let there = there.filter(|it| !matches!(it.condition, Condition::Exited(_)));
            let shells = state.sessions.values().filter_map(|it| it.persons_shell);
            let shell = |pid: u32| {
                let age = super::mins(60);
                (pid, vec![Process { pid, age, names: vec!["bash".to_owned()] }])
            };
            Ok(there
                .map(|session| {
                    let name = match session.condition {
                        Condition::Well | Condition::Hung if session.appears <= now => {
                            session.process.as_str()
                        }
                        Condition::Zombie => "bash",
                        // The shell that should become it.
                        _ => "sh",
                    };
                    let age = now - session.born;
                    (session.pid, vec![Process { pid: session.pid, age, names: vec![name.to_owned()] }])
                })
                .chain(shells.filter(|pid| roots.contains(pid)).map(shell))
                .collect())
        };
        self.state().note(now, fate.fails, || {
            let outcome = if fate.fails { "fails" } else { "ok" };
            format!("trees of {} panes -> {outcome} (+{:?})", roots.len(), fate.after)
        });
        pause(fate.after).await;
        answer
    }

    fn own(&self) -> u32 {
        OWN
    }

    async fn invocations(
        &self,
        program: &str,
        young: Option<Duration>,
    ) -> Result<Vec<Invocation>, ProcessesError> {
        let probability = self.state().weather.fail;
        let fate = self.fate("invocations", TABLE_CAP, probability);
        self.arrive("invocations", &fate).await;
        let now = self.time();
        let answer = if fate.fails {
            Err(ProcessesError("it is not mounted".to_owned()))
        } else {
            let state = self.state();
            let there = state.invocations.iter().filter(|it| it.runs(&state, now));
            let young = there.filter(|it| young.is_none_or(|young| now.saturating_sub(it.begins) <= young));
            let named = young.filter(|it| it.invocation.given_to(program).is_some());
            Ok(named.map(|it| it.invocation.clone()).collect())
        };
        let found = answer.as_ref().map_or(0, Vec::len);
        self.state().note(now, fate.fails || found > 0, || {
            let outcome = if fate.fails { "fails".to_owned() } else { format!("{found}") };
            let which = if young.is_some() { "young " } else { "" };
            format!("{which}processes of {program} -> {outcome} (+{:?})", fate.after)
        });
        pause(fate.after).await;
        answer
    }

    async fn ended(&self, pid: u32, born: u64) {
        let is_it = |it: &&FakeInvocation| (it.invocation.pid, it.invocation.born) == (pid, born);
        let runs = || {
            let state = self.state();
            state.invocations.iter().find(is_it).is_some_and(|it| it.runs(&state, self.time()))
        };
        while runs() {
            pause(super::millis(5)).await;
        }
    }

    async fn end_trees(&self, roots: &[u32], grace: Duration) -> Result<Ended, ProcessesError> {
        let fate = self.fate("end_trees", TABLE_CAP, 0.0);
        self.arrive("end_trees", &fate).await;
        if fate.fails {
            return Err(ProcessesError("they do not end".to_owned()));
        }
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
