//! The processes of the world: those in its sessions.

use std::{collections::BTreeMap, path::Path, time::Duration};

use async_trait::async_trait;
use gastown_supervisor::processes::{
    Details, Ended, Invocation, Process, Processes, ProcessesError, Resident,
};
use rustix::process::Signal;

use super::{
    Condition, FakeSession, World,
    operator::{FakeInvocation, OWN},
    rules,
    weather::{TABLE_CAP, pause},
};

/// The process of a server of this incarnation.
pub(super) fn server(generation: u64) -> u32 {
    u32::try_from(5_000_000 + generation).unwrap()
}

fn resident(session: &FakeSession, server: Option<u32>, socket: &str, variables: &[&str]) -> Resident {
    let command = Invocation {
        pid: session.pid,
        born: u64::from(session.pid),
        ancestors: vec![server.unwrap_or(1), 1, session.pid],
        comm: session.process.clone(),
        executable: None,
        arguments: vec![session.process.clone()],
        directory: Some(session.directory.clone()),
    };
    let mut environment = session.environment.clone();
    environment.insert("TMUX".to_owned(), format!("{socket},{},0", server.unwrap_or(4_999_999)));
    environment.retain(|name, _| variables.contains(&name.as_str()));
    Resident { command, environment }
}

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
                        // The shell that should execute it.
                        _ => "sh",
                    };
                    let age = now - session.born;
                    let process =
                        |pid: u32, age, name: &str| Process { pid, age, names: vec![name.to_owned()] };
                    let mut tree = vec![process(session.pid, age, name)];
                    // An agent that is a shell works through other programs.
                    if session.process == "sh" && name == "sh" && session.live() {
                        tree.push(process(session.pid + 1_000_000, age / 2, "work"));
                    }
                    (session.pid, tree)
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

    async fn residents(
        &self,
        variables: &'static [&'static str],
        below: &Path,
    ) -> Result<Vec<Resident>, ProcessesError> {
        let probability = self.state().weather.fail;
        let fate = self.fate("residents", TABLE_CAP, probability);
        self.arrive("residents", &fate).await;
        let now = self.time();
        let answer = if fate.fails {
            Err(ProcessesError("it is not mounted".to_owned()))
        } else {
            let state = self.state();
            let own = server(state.generation);
            let seen = state.sessions.values().map(|session| (session, Some(own)));
            let hidden = state.hidden.values().map(|(session, server)| (session, *server));
            let socket = if state.socket_deleted { "/tmux/own" } else { "/tmux/other" };
            let there = seen.chain(hidden).filter(|(session, _)| session.live() && session.appears <= now);
            let all = there.map(|(session, server)| {
                let at = if server == Some(own) { "/tmux/own" } else { socket };
                resident(session, server, at, variables)
            });
            Ok(all
                .filter(|it| {
                    !it.environment.is_empty()
                        || it.command.directory.as_ref().is_some_and(|at| at.starts_with(below))
                })
                .collect())
        };
        self.state().note(now, fate.fails, || format!("residents (+{:?})", fate.after));
        pause(fate.after).await;
        answer
    }

    async fn details(
        &self,
        pid: u32,
        variables: &'static [&'static str],
    ) -> Result<Option<Details>, ProcessesError> {
        let probability = self.state().weather.fail;
        let fate = self.fate("details", TABLE_CAP, probability);
        self.arrive("details", &fate).await;
        let answer = match fate.fails {
            true => Err(ProcessesError("it is not mounted".to_owned())),
            false => {
                let state = self.state();
                let session = state.sessions.values().find(|it| it.pid == pid && it.live());
                Ok(session.map(|session| {
                    let mut environment = session.environment.clone();
                    environment.retain(|name, _| variables.contains(&name.as_str()));
                    let directory = Some(session.directory.clone());
                    Details {
                        environment: Some(environment),
                        directory,
                        is_stopped: false,
                        cpu: Duration::ZERO,
                    }
                }))
            }
        };
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

    async fn end_trees_with(
        &self,
        roots: &[u32],
        signal: Signal,
        grace: Duration,
    ) -> Result<Ended, ProcessesError> {
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
            self.state().signals.push((name.clone(), signal, grace));
            self.end_session(&name, "the supervisor ended its processes");
            self.provoke_after_end(&name);
        }
        if hung {
            pause(grace).await; // it ignores TERM
        }
        pause(fate.after).await;
        Ok(Ended { asked: roots.len(), forced: usize::from(hung) })
    }
}
