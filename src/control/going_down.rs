//! Going down: `POST /v1/down` has all agents of a town of one file ended, and then the supervisor.
//!
//! The answer names the request that ends each agent; what became of one is asked later, as of any other order. A client that goes
//! away takes nothing back. Nothing here ends anything.

use std::sync::Arc;

use axum::{Extension, extract::State, http::StatusCode, response::Response};
use serde::{Deserialize, Serialize};

use super::{
    answers::{answer, refusal, wedged},
    peer::Peer,
    reporter::Reporter,
};
use crate::{
    agent::requests::{ByCommand, DOWN},
    tree::root::{RootMsg, going_down::Down},
};

/// What is ended, in this order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Taken {
    /// Each agent.
    pub agents: Vec<Ending>,
}

/// One agent that is ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Ending {
    /// The agent.
    pub identity: String,
    /// The id of the request that ends it.
    pub request: String,
}

/// Takes the request of this user.
pub(super) async fn take(State(reporter): State<Arc<Reporter>>, peer: Option<Extension<Peer>>) -> Response {
    let deps = reporter.deps();
    if deps.paths.agents_file().is_none() {
        return refusal(StatusCode::CONFLICT, "this is a Gas Town: `gt down` ends its agents");
    }
    let Some(Extension(peer)) = peer else {
        return refusal(StatusCode::FORBIDDEN, "the system does not say which user asks");
    };
    let user = reporter.users().name(peer.uid).await;
    let (command, at) = (DOWN.to_owned(), deps.now().wall);
    let by = ByCommand { uid: peer.uid, user, command, at, until: None, when_idle: false, of_file: false };
    let standings = deps.standings.borrow().clone();
    let id = || format!("command-{}", deps.jitter.uuid());
    let agents: Vec<_> = standings.agents().map(|identity| (identity.clone(), id())).collect();
    let endings = agents
        .iter()
        .rev()
        .map(|(identity, request)| Ending { identity: identity.to_string(), request: request.clone() });
    let taken = Taken { agents: endings.collect() };
    match reporter.tell(RootMsg::GoDown(Box::new(Down { by, agents }))) {
        true => answer(&taken),
        false => wedged(),
    }
}
