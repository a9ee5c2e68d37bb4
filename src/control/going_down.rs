//! Going down: `POST /v1/down` has all agents of a town of one file ended, and then the supervisor.
//!
//! The answer names the request that ends each agent; what became of one is asked later, as of any other order. A client that goes
//! away takes nothing back. Nothing here ends anything.

use serde::{Deserialize, Serialize};

use super::reporter::Reporter;
use crate::{
    agent::requests::{ByCommand, DOWN},
    tree::root::{RootMsg, going_down::Down},
};

pub(crate) mod asked;

/// What is ended, in this order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Taken {
    agents: Vec<Ending>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Ending {
    identity: String,
    request: String,
}

/// Takes the request of this user; `None` when the supervisor cannot take it.
pub(super) async fn order(reporter: &Reporter, uid: u32) -> Option<Taken> {
    let deps = reporter.deps();
    let user = reporter.users().name(uid).await;
    let (command, at) = (DOWN.to_owned(), deps.now().wall);
    let by = ByCommand { uid, user, command, at, until: None, when_idle: false, of_file: false };
    let standings = deps.standings.borrow().clone();
    let id = || format!("command-{}", deps.jitter.uuid());
    let agents: Vec<_> = standings.agents().map(|identity| (identity.clone(), id())).collect();
    let endings = agents
        .iter()
        .rev()
        .map(|(identity, request)| Ending { identity: identity.to_string(), request: request.clone() });
    let taken = Taken { agents: endings.collect() };
    reporter.tell(RootMsg::GoDown(Box::new(Down { by, agents }))).then_some(taken)
}
