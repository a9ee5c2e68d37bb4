//! The scheduler's actor: runs `gt scheduler run` at each heartbeat, in a town of Gas Town 1.x where work waits for that.
//!
//! Nothing else dispatches such work. One run at a time; none under an emergency stop, while `gt down` is at work, or while Dolt
//! is down. It decides nothing about what is dispatched: Gas Town does.

use std::{io, sync::Arc, time::Duration};

use ractor::{Actor, ActorProcessingErr, ActorRef};

use crate::{
    agent::permission,
    commands::CommandError,
    deps::Deps,
    ledger::gt,
    supervision::{
        child::{ChildSpec, Contact},
        messages::Broadcast,
        work::{ReplyTo, Work},
    },
    town::dialect::scheduler,
};

/// The key of the problem that a run failed.
const PROBLEM: &str = "scheduler";
/// How long a run may take (gt 1.0.1, `internal/daemon/daemon.go`).
const LIMIT: Duration = Duration::from_mins(5);
/// What the daemon of gt 1.0.1 sets for a run.
const VARIABLES: [(&str, &str); 2] = [("GT_DAEMON", "1"), ("BD_DOLT_AUTO_COMMIT", "off")];

/// What the scheduler's actor receives.
#[derive(Debug)]
pub enum SchedulerMsg {
    /// From the root: a heartbeat was made, or Dolt answers again.
    Due,
    /// From its task: the run ended.
    Ended,
}

/// The actor that has waiting work dispatched.
#[derive(Debug)]
pub struct Scheduler;

/// The scheduler's actor as a child.
pub fn child(deps: &Arc<Deps>) -> ChildSpec {
    let deps = deps.clone();
    let contact = Contact::taking(|broadcast| {
        matches!(broadcast, Broadcast::Heartbeat(_) | Broadcast::DoltAnswers).then_some(SchedulerMsg::Due)
    });
    ChildSpec::new("scheduler", || Scheduler, move || deps.clone(), contact)
}

/// The state of the [`Scheduler`].
pub struct SchedulerState {
    deps: Arc<Deps>,
    work: Work<SchedulerMsg>,
    running: bool,
}

impl Actor for Scheduler {
    type Msg = SchedulerMsg;
    type State = SchedulerState;
    type Arguments = Arc<Deps>;

    async fn pre_start(
        &self,
        myself: ActorRef<SchedulerMsg>,
        deps: Arc<Deps>,
    ) -> Result<SchedulerState, ActorProcessingErr> {
        let post: ReplyTo<SchedulerMsg> = Arc::new(move |message| drop(myself.cast(message)));
        Ok(SchedulerState { deps, work: Work::new(post), running: false })
    }

    async fn handle(
        &self,
        _: ActorRef<SchedulerMsg>,
        message: SchedulerMsg,
        state: &mut SchedulerState,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            SchedulerMsg::Due if state.running => {}
            SchedulerMsg::Due => {
                state.running = true;
                let deps = state.deps.clone();
                let task = async move {
                    dispatch(&deps).await;
                    SchedulerMsg::Ended
                };
                state.work.spawn(task, SchedulerMsg::Ended);
            }
            SchedulerMsg::Ended => state.running = false,
        }
        Ok(())
    }
}

/// Has Gas Town dispatch waiting work, if it is configured so and nothing forbids it.
async fn dispatch(deps: &Deps) {
    match deps.files.read(&deps.paths.town_settings()).await {
        Ok(config) if scheduler::is_used(&config) => {}
        Ok(_) => return deps.problems.clear(PROBLEM),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return deps.problems.clear(PROBLEM),
        Err(_) => return, // It is unknown; settings are reported where they are read.
    }
    let is_forbidden = deps.dolt.is_down() || permission::of_town(deps).await.is_err();
    // What it dispatches starts an agent.
    if is_forbidden || deps.starts.lacks_memory(deps).await.is_some() {
        return;
    }
    match gt::run_within(deps, &["scheduler", "run"], &VARIABLES, LIMIT).await {
        Ok(_) | Err(CommandError::NotFound { .. }) => deps.problems.clear(PROBLEM),
        Err(error) => deps.problems.report(PROBLEM, format!("waiting work was not dispatched: {error}")),
    }
}
