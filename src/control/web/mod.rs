//! The endpoint on the network (`http.listen`): a page for people, and what the socket answers, as far as it only reads.
//!
//! Whoever can connect may be anybody: another user of this machine, a page in a browser that was led here, a program that does not
//! read. So each request passes the guard before anything is known of it, connections are bounded as those of the socket are, and none
//! of them can push out a client of the socket. **Nothing here may carry out an order**, and no route may be added that does.

mod guard;
pub(super) mod listening;
mod pace;
mod page;
mod token;

use std::{collections::BTreeSet, net::SocketAddr, sync::Arc};

use axum::{Extension, Router, middleware};

use super::{answers, histories::AtMost, reporter::Reporter};
use token::Token;

/// What is to be served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Where to listen.
    pub listen: SocketAddr,
    /// The token that each request must show.
    pub token: Option<Token>,
    /// Why every request is refused: the token is not known. The port stays ours meanwhile: nobody else may answer on it and be shown
    /// the token.
    pub closed: Option<String>,
    /// Other names by which a request may come.
    pub hosts: BTreeSet<String>,
}

/// The most entries of histories that one answer has.
const ENTRIES: usize = 1000;

/// All routes.
fn router(reporter: Arc<Reporter>, plan: Plan) -> Router {
    let routes = answers::readable().merge(page::routes());
    let guarded = middleware::from_fn_with_state(Arc::new(plan), guard::check);
    let paced = middleware::from_fn_with_state(pace::Pace::new(reporter.clone()), pace::in_turn);
    answers::finished(routes)
        .with_state(reporter)
        .layer(Extension(AtMost(ENTRIES)))
        .layer(paced)
        .layer(guarded)
        .layer(middleware::map_response(page::headers))
}
