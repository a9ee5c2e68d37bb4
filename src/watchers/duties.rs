//! Duties: what the daemon of Gas Town 1.x does at regular intervals, and one command of `gt` does as well.
//!
//! They are the lines of one table. One runs at a time, none under an emergency stop or while `gt down` is at work. It decides
//! nothing about what they do, and it must not run a command that ends processes: that is up to the agents' owners.

use std::{collections::BTreeMap, io, sync::Arc, time::Duration};

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

/// A command that is due again and again.
struct Duty {
    /// The key of the problem that it failed.
    problem: &'static str,
    /// The words after `gt`.
    words: &'static [&'static str],
    /// What the daemon of gt 1.0.1 sets for it.
    variables: &'static [(&'static str, &'static str)],
    /// The least time between two runs; it is due with the first heartbeat after that.
    every: Duration,
    /// How long a run may take.
    limit: Duration,
    /// Whether it needs Dolt.
    needs_dolt: bool,
    /// Whether it starts agents, which take memory.
    starts_agents: bool,
    /// Whether the content of `settings/config.json` asks for it; `None` where nothing switches it off.
    is_used: Option<fn(&[u8]) -> bool>,
    /// What was not done when it failed.
    undone: &'static str,
}

/// All of them, from gt 1.0.1 (`internal/daemon`: `daemon.go` for the scheduler, `krc_pruner.go`, which prunes at the start of
/// the daemon and each hour).
const DUTIES: [Duty; 2] = [
    Duty {
        problem: "scheduler",
        words: &["scheduler", "run"],
        variables: &[("GT_DAEMON", "1"), ("BD_DOLT_AUTO_COMMIT", "off")],
        every: Duration::ZERO,
        limit: Duration::from_mins(5),
        needs_dolt: true,
        starts_agents: true,
        is_used: Some(scheduler::is_used),
        undone: "waiting work was not dispatched",
    },
    Duty {
        problem: "pruning",
        words: &["krc", "prune"],
        variables: &[],
        every: Duration::from_hours(1),
        limit: Duration::from_mins(1),
        needs_dolt: false,
        starts_agents: false,
        is_used: None,
        undone: "expired events were not removed from .events.jsonl and .feed.jsonl",
    },
];

/// When each duty was last begun (monotonic), by its key.
type Begun = BTreeMap<&'static str, Duration>;

/// What the actor of the duties receives.
#[derive(Debug)]
pub enum DutiesMsg {
    /// From the root: a heartbeat was made, or Dolt answers again.
    Due,
    /// From its task: the runs ended, which were begun then.
    Ended(Begun),
}

/// The actor that has the duties done.
#[derive(Debug)]
pub struct Duties;

/// The actor of the duties as a child.
pub fn child(deps: &Arc<Deps>) -> ChildSpec {
    let deps = deps.clone();
    let contact = Contact::taking(|broadcast| {
        matches!(broadcast, Broadcast::Heartbeat(_) | Broadcast::DoltAnswers).then_some(DutiesMsg::Due)
    });
    ChildSpec::new("duties", || Duties, move || deps.clone(), contact)
}

/// The state of [`Duties`].
pub struct DutiesState {
    deps: Arc<Deps>,
    work: Work<DutiesMsg>,
    running: bool,
    begun: Begun,
}

impl Actor for Duties {
    type Msg = DutiesMsg;
    type State = DutiesState;
    type Arguments = Arc<Deps>;

    async fn pre_start(
        &self,
        myself: ActorRef<DutiesMsg>,
        deps: Arc<Deps>,
    ) -> Result<DutiesState, ActorProcessingErr> {
        let post: ReplyTo<DutiesMsg> = Arc::new(move |message| drop(myself.cast(message)));
        Ok(DutiesState { deps, work: Work::new(post), running: false, begun: Begun::new() })
    }

    async fn handle(
        &self,
        _: ActorRef<DutiesMsg>,
        message: DutiesMsg,
        state: &mut DutiesState,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            DutiesMsg::Due if state.running => {}
            DutiesMsg::Due => {
                state.running = true;
                let (deps, due) = (state.deps.clone(), state.due());
                let task = async move {
                    let mut begun = Begun::new();
                    for duty in due {
                        let now = deps.now().mono;
                        begun.extend(run(&deps, duty).await.then_some((duty.problem, now)));
                    }
                    DutiesMsg::Ended(begun)
                };
                state.work.spawn(task, DutiesMsg::Ended(Begun::new()));
            }
            DutiesMsg::Ended(begun) => {
                state.running = false;
                state.begun.extend(begun);
            }
        }
        Ok(())
    }
}

impl DutiesState {
    fn due(&self) -> Vec<&'static Duty> {
        let now = self.deps.now().mono;
        let is_due =
            |duty: &&Duty| self.begun.get(duty.problem).is_none_or(|begun| now >= *begun + duty.every);
        DUTIES.iter().filter(is_due).collect()
    }
}

/// Runs it, if the town is configured so and nothing forbids it; whether it was run.
async fn run(deps: &Deps, duty: &Duty) -> bool {
    match is_used(deps, duty).await {
        Some(true) => {}
        Some(false) => {
            deps.problems.clear(duty.problem);
            return false;
        }
        None => return false, // It is unknown; settings are reported where they are read.
    }
    let is_forbidden = duty.needs_dolt && deps.dolt.is_down() || permission::of_town(deps).await.is_err();
    if is_forbidden || duty.starts_agents && deps.starts.lacks_memory(deps).await.is_some() {
        return false;
    }
    match gt::run_within(deps, duty.words, duty.variables, duty.limit).await {
        Ok(_) | Err(CommandError::NotFound { .. }) => deps.problems.clear(duty.problem),
        Err(error) => deps.problems.report(duty.problem, format!("{}: {error}", duty.undone)),
    }
    true
}

/// Whether the town's settings ask for it; `None` when they cannot be read.
async fn is_used(deps: &Deps, duty: &Duty) -> Option<bool> {
    let Some(asked_by) = duty.is_used else { return Some(true) };
    match deps.files.read(&deps.paths.town_settings()).await {
        Ok(config) => Some(asked_by(&config)),
        Err(error) => (error.kind() == io::ErrorKind::NotFound).then_some(false),
    }
}
