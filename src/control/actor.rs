//! The control actor: creates the control socket and serves it, and the endpoint on the network where the settings name one.
//!
//! It answers nothing itself: each connection has its own task, so a hostile client does not delay others. When the
//! socket was removed, the actor creates it again at the next heartbeat. It must not decide anything.

use std::{io, sync::Arc, time::Duration};

use ractor::{Actor, ActorProcessingErr, ActorRef};
use tokio::{net::TcpListener, task::AbortHandle};

use super::{
    answers, connections,
    reporter::Reporter,
    web::{Plan, listening::Endpoint},
};
use crate::{
    deps::Deps,
    ports::{
        metrics::Measured,
        problems::{OpenProblems, ProblemKey},
    },
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
    /// From the root, at each heartbeat, and from its timer: check that the socket exists, and what is served on the network.
    Check,
    /// From the root: the settings may have changed.
    SettingsMayHaveChanged,
    /// From its task: what is to be served on the network, or why that must not be.
    HttpPlanned(Result<Option<Plan>, String>),
    /// From its task: where that is served, or why not.
    HttpOpened(Plan, io::Result<TcpListener>),
    /// From its task: a new socket, `None` when the old one exists, or why there is none.
    Opened(io::Result<Option<Opened>>),
}

/// The actor that answers on the control socket.
#[derive(Debug)]
pub struct Control;

/// The control actor as a child of the root. `readable`: what is wrong and what was counted.
pub fn child(
    deps: Arc<Deps>,
    readable: (OpenProblems, Measured),
    process: Process,
) -> Arc<dyn Fn(ActorRef<RootMsg>) -> ChildSpec + Send + Sync> {
    Arc::new(move |root| {
        let arguments = (deps.clone(), readable.clone(), process, root);
        let contact = Contact::taking(|broadcast| match broadcast {
            Broadcast::Heartbeat(_) => Some(ControlMsg::Check),
            Broadcast::TownChanged => Some(ControlMsg::SettingsMayHaveChanged),
            _ => None,
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
    endpoint: Endpoint,
}

impl Actor for Control {
    type Msg = ControlMsg;
    type State = ControlState;
    type Arguments = (Arc<Deps>, (OpenProblems, Measured), Process, ActorRef<RootMsg>);

    async fn pre_start(
        &self,
        myself: ActorRef<ControlMsg>,
        (deps, readable, process, root): Self::Arguments,
    ) -> Result<ControlState, ActorProcessingErr> {
        let post: ReplyTo<ControlMsg> = Arc::new(move |message| drop(myself.cast(message)));
        let mut work = Work::new(post);
        // After the root has started: a client that finds the socket gets an answer.
        work.after(Duration::ZERO, ControlMsg::Check);
        let reporter = Arc::new(Reporter::new(deps.clone(), readable, process, root));
        Ok(ControlState {
            deps,
            reporter,
            work,
            serving: None,
            checking: false,
            endpoint: Endpoint::default(),
        })
    }

    async fn handle(
        &self,
        _: ActorRef<ControlMsg>,
        message: ControlMsg,
        state: &mut ControlState,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            ControlMsg::Check => {
                state.check();
                state.endpoint.check(&state.deps, &mut state.work);
            }
            ControlMsg::SettingsMayHaveChanged => state.endpoint.check(&state.deps, &mut state.work),
            ControlMsg::Opened(opened) => state.opened(opened),
            ControlMsg::HttpPlanned(planned) => {
                state.endpoint.planned(planned, &state.deps, &mut state.work);
            }
            ControlMsg::HttpOpened(plan, opened) => {
                state.endpoint.opened(plan, opened, &state.reporter, &mut state.work);
            }
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
