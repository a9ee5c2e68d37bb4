//! The control actor: creates the control socket and serves it.
//!
//! It answers nothing itself: each connection has its own task, so a hostile client does not delay others. When the
//! socket was removed, the actor creates it again at the next heartbeat. It must not decide anything.

use std::{io, sync::Arc, time::Duration};

use ractor::{Actor, ActorProcessingErr, ActorRef};
use tokio::task::AbortHandle;

use super::{answers, connections, reporter::Reporter};
use crate::{
    deps::Deps,
    ports::problems::{OpenProblems, ProblemKey},
    supervision::{
        child::{ChildSpec, Contact},
        messages::Broadcast,
        work::{ReplyTo, Work},
    },
    terminal,
    town::socket::{Bound, Opened},
    tree::{housekeeping::Process, root::RootMsg},
};

/// The delay before another try when the socket could not be created.
const RETRY: Duration = Duration::from_secs(30);
/// The key of the problem with the socket.
const PROBLEM: ProblemKey = ProblemKey::named("control/socket").critical();

/// What the control actor receives.
#[derive(Debug)]
pub enum ControlMsg {
    /// From the root, at each heartbeat, and from its timer: check that the socket exists.
    Check,
    /// From its task: a new socket, `None` when the old one exists, or why there is none.
    Opened(io::Result<Option<Opened>>),
}

/// The actor that answers on the control socket.
#[derive(Debug)]
pub struct Control;

/// The control actor as a child of the root.
pub fn child(
    deps: Arc<Deps>,
    problems: OpenProblems,
    process: Process,
) -> Arc<dyn Fn(ActorRef<RootMsg>) -> ChildSpec + Send + Sync> {
    Arc::new(move |root| {
        let arguments = (deps.clone(), problems.clone(), process, root);
        let contact = Contact::taking(|broadcast| {
            matches!(broadcast, Broadcast::Heartbeat(_)).then_some(ControlMsg::Check)
        });
        ChildSpec::new("control", || Control, move || arguments.clone(), contact)
    })
}

/// The state of [`Control`].
pub struct ControlState {
    deps: Arc<Deps>,
    reporter: Arc<Reporter>,
    work: Work<ControlMsg>,
    /// The socket, and the task that serves it.
    serving: Option<(Arc<Bound>, AbortHandle)>,
    checking: bool,
}

impl Actor for Control {
    type Msg = ControlMsg;
    type State = ControlState;
    type Arguments = (Arc<Deps>, OpenProblems, Process, ActorRef<RootMsg>);

    async fn pre_start(
        &self,
        myself: ActorRef<ControlMsg>,
        (deps, problems, process, root): Self::Arguments,
    ) -> Result<ControlState, ActorProcessingErr> {
        let post: ReplyTo<ControlMsg> = Arc::new(move |message| drop(myself.cast(message)));
        let mut work = Work::new(post);
        // After the root has started: a client that finds the socket gets an answer.
        work.after(Duration::ZERO, ControlMsg::Check);
        let reporter = Arc::new(Reporter::new(deps.clone(), problems, process, root));
        Ok(ControlState { deps, reporter, work, serving: None, checking: false })
    }

    async fn handle(
        &self,
        _: ActorRef<ControlMsg>,
        message: ControlMsg,
        state: &mut ControlState,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            ControlMsg::Check => state.check(),
            ControlMsg::Opened(opened) => state.opened(opened),
        }
        Ok(())
    }
}

impl ControlState {
    fn check(&mut self) {
        if std::mem::replace(&mut self.checking, true) {
            return;
        }
        let deps = self.deps.clone();
        let before = self.serving.as_ref().filter(|(_, serving)| !serving.is_finished());
        let before = before.map(|(bound, _)| bound.clone());
        let opening =
            async move { ControlMsg::Opened(deps.control_listener.open(&deps.paths, before).await) };
        self.work.spawn(opening, ControlMsg::Opened(Ok(None)));
    }

    fn opened(&mut self, opened: io::Result<Option<Opened>>) {
        self.checking = false;
        match opened {
            Ok(None) => {}
            Ok(Some(Opened { listener, bound })) => {
                let router = answers::router(self.reporter.clone());
                let serving = self.work.run(connections::serve(listener, router));
                if let Some((_, before)) = self.serving.replace((bound, serving)) {
                    before.abort();
                }
                self.deps.problems.clear(&PROBLEM);
            }
            Err(error) => {
                let path = self.deps.paths.socket();
                let shown = terminal::path(self.deps.paths.shown(&path));
                let text = format!(
                    "{shown} cannot be created: {error}; `status`, `explain` and other clients get no answer"
                );
                self.deps.problems.report(PROBLEM, text);
                self.work.after(RETRY, ControlMsg::Check);
            }
        }
    }
}
