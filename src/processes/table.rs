//! The real process table: the adapter behind [`Processes`].
//!
//! Surveys run on the blocking pool, and callers that ask for trees at the same time share one: with hundreds of
//! processes a survey takes milliseconds of a core, and every start in progress needs one when something happens
//! anywhere. Waiting is asynchronous, so that dropping a call ends it at once (processes that got a signal by then
//! may end, but no more are signalled).
#![allow(clippy::disallowed_methods, reason = "this is the adapter that reads and ends processes")]

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use futures::future::join_all;
use parking_lot::Mutex;
use rustix::process::Signal;
use tokio::{
    task::spawn_blocking,
    time::{Instant, timeout, timeout_at},
};

use super::{
    Details, Ended, Invocation, Process, Processes, ProcessesError, Resident,
    shared::Shared,
    source,
    target::Target,
    tree::{Forest, Member, Row},
};

/// How long to wait for processes to vanish after KILL; one that hangs in the kernel may never end.
const AFTER_KILL: Duration = Duration::from_millis(500);

/// The operating system's process table.
#[derive(Debug, Clone, Default)]
pub struct SystemProcesses {
    survey: Arc<Shared<Result<Arc<Vec<Row>>, ProcessesError>>>,
    newcomers: Arc<Mutex<source::Newcomers>>,
}

impl SystemProcesses {
    /// The process table of this machine.
    pub fn new() -> Self {
        SystemProcesses::default()
    }

    /// The process that has the terminal of this one, such as the program in the foreground of a pane's shell; this process itself
    /// when no other has it. `None` when it has ended.
    pub async fn foreground(&self, of: u32) -> Option<Invocation> {
        spawn_blocking(move || source::foreground(of)).await.ok().flatten()
    }
}

#[async_trait]
impl Processes for SystemProcesses {
    async fn trees(&self, roots: &[u32]) -> Result<BTreeMap<u32, Vec<Process>>, ProcessesError> {
        if roots.is_empty() {
            return Ok(BTreeMap::new());
        }
        let rows = self.survey.begun_after_now(|| blocking(|| source::survey().map(Arc::new))).await?;
        let roots = roots.to_vec();
        blocking(move || Ok(read_trees(&rows, &roots))).await
    }

    fn own(&self) -> u32 {
        std::process::id()
    }

    async fn invocations(
        &self,
        program: &str,
        young: Option<Duration>,
    ) -> Result<Vec<Invocation>, ProcessesError> {
        let (program, newcomers) = (program.to_owned(), self.newcomers.clone());
        blocking(move || read_invocations(&program, young, &newcomers)).await
    }

    async fn residents(
        &self,
        variables: &'static [&'static str],
        below: &Path,
    ) -> Result<Vec<Resident>, ProcessesError> {
        let below = below.to_owned();
        blocking(move || {
            let mut found = source::residents(variables, &below)?;
            found.retain(|it| it.command.pid != std::process::id());
            for it in &mut found {
                it.command.ancestors = ancestors(it.command.pid);
            }
            found.sort_by_key(|it| it.command.pid);
            Ok(found)
        })
        .await
    }

    async fn details(
        &self,
        pid: u32,
        variables: &'static [&'static str],
    ) -> Result<Option<Details>, ProcessesError> {
        blocking(move || source::details(pid, variables)).await
    }

    async fn ended(&self, pid: u32, born: u64) {
        if let Some(target) = Target::hold(pid, born) {
            target.ended().await;
        }
    }

    async fn end_trees_with(
        &self,
        roots: &[u32],
        signal: Signal,
        grace: Duration,
    ) -> Result<Ended, ProcessesError> {
        let deadline = Instant::now() + grace;
        let asked = targets(roots).await?;
        for target in &asked {
            target.signal(signal);
        }
        let _ = timeout_at(deadline, join_all(asked.iter().map(Target::ended))).await;
        let stubborn = asked.iter().filter(|target| target.lives()).count();
        // A fresh survey: processes that were started meanwhile, or lost their parent, must end too.
        let mut rest = targets(roots).await?;
        let known: BTreeSet<u32> = rest.iter().map(Target::pid).collect();
        let ended = asked.len() - stubborn;
        rest.extend(asked.into_iter().filter(|target| !known.contains(&target.pid()) && target.lives()));
        for target in &rest {
            target.signal(Signal::KILL);
        }
        let _ = timeout(AFTER_KILL, join_all(rest.iter().map(Target::ended))).await;
        Ok(Ended { asked: ended, forced: rest.len() })
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ProcessesError> + Send + 'static,
) -> Result<T, ProcessesError> {
    spawn_blocking(work)
        .await
        .map_err(|error| ProcessesError(format!("the survey was cut short: {error}")))?
}

fn read_trees(rows: &[Row], roots: &[u32]) -> BTreeMap<u32, Vec<Process>> {
    let forest = Forest::new(rows);
    let trees: BTreeMap<u32, Vec<Member<'_>>> =
        roots.iter().filter(|root| forest.lives(**root)).map(|root| (*root, forest.members(*root))).collect();
    let pids: BTreeSet<u32> = trees.values().flatten().map(|member| member.row.pid).collect();
    let names = source::names(&pids.into_iter().collect::<Vec<_>>());
    let process = |member: &Member<'_>| {
        let known = names.get(&member.row.pid).cloned().unwrap_or_default();
        let mut all: Vec<String> = Vec::with_capacity(3);
        for name in std::iter::once(member.row.comm.clone()).chain(known) {
            if !name.is_empty() && !all.contains(&name) {
                all.push(name);
            }
        }
        Process { pid: member.row.pid, age: member.row.age, names: all }
    };
    trees.iter().map(|(root, members)| (*root, members.iter().map(process).collect())).collect()
}

fn read_invocations(
    program: &str,
    young: Option<Duration>,
    newcomers: &Mutex<source::Newcomers>,
) -> Result<Vec<Invocation>, ProcessesError> {
    let mut found = source::invocations(program, young, newcomers)?;
    found.retain(|invocation| invocation.pid != std::process::id());
    for invocation in &mut found {
        invocation.ancestors = ancestors(invocation.pid);
    }
    found.sort_by_key(|invocation| invocation.pid);
    Ok(found)
}

/// The parent, its parent and so on; then the kernel session. Few processes are queried, so each is read anew.
fn ancestors(pid: u32) -> Vec<u32> {
    let mut ancestors: Vec<u32> = Vec::new();
    let Some((mut parent, session)) = source::parent_and_session(pid) else {
        return ancestors;
    };
    while parent != 0 && parent != pid && !ancestors.contains(&parent) {
        ancestors.push(parent);
        parent = source::parent_and_session(parent).map_or(0, |(parent, _)| parent);
    }
    ancestors.push(session);
    ancestors
}

/// All processes in these trees that may be signalled, deepest first.
async fn targets(roots: &[u32]) -> Result<Vec<Target>, ProcessesError> {
    let roots = roots.to_vec();
    let marked = blocking(move || {
        let rows = source::survey()?;
        let forest = Forest::new(&rows);
        let mut marked: BTreeMap<u32, (usize, u64)> = BTreeMap::new();
        for member in roots.iter().flat_map(|root| forest.members(*root)) {
            let entry = marked.entry(member.row.pid).or_insert((member.depth, member.row.born));
            entry.0 = entry.0.max(member.depth);
        }
        Ok(marked)
    })
    .await?;
    let mut marked: Vec<_> = marked.into_iter().collect();
    marked.sort_by_key(|(_, (depth, _))| std::cmp::Reverse(*depth));
    Ok(marked.into_iter().filter_map(|(pid, (_, born))| Target::hold(pid, born)).collect())
}
