//! Panics: each is logged with its text, its place and its actor.
//!
//! A panic is a bug in the supervisor. The parent of the actor restarts it and reports that. Only the panic hook of
//! the process knows the place of the bug, so the hook logs it. It must not decide what follows.

use std::{
    any::Any,
    panic::{PanicHookInfo, set_hook},
    sync::Arc,
    thread,
};

use ractor::{Actor, ActorProcessingErr, ActorRef, SupervisionEvent};
use tokio::task_local;

task_local! {
    /// The name of the actor whose code runs.
    static ACTOR: Arc<str>;
}

/// Sends every panic of this process to the log from now on, instead of stderr.
pub fn install() {
    set_hook(Box::new(log));
}

/// Logs one panic.
pub fn log(info: &PanicHookInfo<'_>) {
    let place = info.location().map_or_else(|| "an unknown place".to_owned(), ToString::to_string);
    let text = text(info.payload());
    match current() {
        Some(actor) => tracing::error!("panic in actor {actor} at {place}: {text}"),
        None => {
            let thread = thread::current();
            tracing::error!(
                "panic in thread {} at {place}: {text}",
                thread.name().unwrap_or("without a name")
            );
        }
    }
}

/// The text of a panic.
pub fn text(payload: &(dyn Any + Send)) -> String {
    let literal = || payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
    payload
        .downcast_ref::<String>()
        .cloned()
        .or_else(literal)
        .unwrap_or_else(|| "it does not say why".to_owned())
}

/// The name of the actor whose code runs; `None` outside of actors.
pub fn current() -> Option<Arc<str>> {
    ACTOR.try_with(Arc::clone).ok()
}

/// Runs a task under the name of an actor, or under none.
pub async fn on_behalf<T>(actor: Option<Arc<str>>, task: impl Future<Output = T>) -> T {
    match actor {
        Some(actor) => ACTOR.scope(actor, task).await,
        None => task.await,
    }
}

/// An actor with the name that its panics are logged under.
#[derive(Debug)]
pub struct Named<A> {
    name: Arc<str>,
    actor: A,
}

impl<A> Named<A> {
    /// Gives an actor this name.
    pub fn new(name: impl ToString, actor: A) -> Self {
        Named { name: name.to_string().into(), actor }
    }
}

impl<A: Actor> Actor for Named<A> {
    type Msg = A::Msg;
    type State = A::State;
    type Arguments = A::Arguments;

    async fn pre_start(
        &self,
        myself: ActorRef<A::Msg>,
        arguments: A::Arguments,
    ) -> Result<A::State, ActorProcessingErr> {
        ACTOR.scope(self.name.clone(), self.actor.pre_start(myself, arguments)).await
    }

    async fn post_start(
        &self,
        myself: ActorRef<A::Msg>,
        state: &mut A::State,
    ) -> Result<(), ActorProcessingErr> {
        ACTOR.scope(self.name.clone(), self.actor.post_start(myself, state)).await
    }

    async fn post_stop(
        &self,
        myself: ActorRef<A::Msg>,
        state: &mut A::State,
    ) -> Result<(), ActorProcessingErr> {
        ACTOR.scope(self.name.clone(), self.actor.post_stop(myself, state)).await
    }

    async fn handle(
        &self,
        myself: ActorRef<A::Msg>,
        message: A::Msg,
        state: &mut A::State,
    ) -> Result<(), ActorProcessingErr> {
        ACTOR.scope(self.name.clone(), self.actor.handle(myself, message, state)).await
    }

    async fn handle_supervisor_evt(
        &self,
        myself: ActorRef<A::Msg>,
        event: SupervisionEvent,
        state: &mut A::State,
    ) -> Result<(), ActorProcessingErr> {
        ACTOR.scope(self.name.clone(), self.actor.handle_supervisor_evt(myself, event, state)).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_says_why() {
        let caught = |act: fn()| text(&*std::panic::catch_unwind(act).unwrap_err());
        assert_eq!(caught(|| std::panic::panic_any("a literal")), "a literal");
        assert_eq!(caught(|| std::panic::panic_any(format!("a {}", "text"))), "a text");
        assert_eq!(caught(|| std::panic::panic_any(7)), "it does not say why");
    }

    #[test]
    fn code_runs_in_the_name_of_its_actor() {
        assert_eq!(ACTOR.sync_scope("r/polecats/nux".into(), current), Some("r/polecats/nux".into()));
        assert_eq!(current(), None);
    }

    #[tokio::test]
    async fn a_task_runs_under_the_name_of_its_actor() {
        let name: Arc<str> = "deacon".into();
        assert_eq!(on_behalf(Some(name.clone()), async { current() }).await, Some(name));
        assert_eq!(on_behalf(None, async { current() }).await, None);
    }
}
