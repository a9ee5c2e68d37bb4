//! Pace: requests from the network are answered one after the other, with pauses, so that whoever sends them cannot take the time of
//! the supervisor, which has one thread for all it does. It must not know what is asked for.

use std::{sync::Arc, time::Duration};

use axum::{
    extract::{Request, State},
    middleware::Next,
    response::Response,
};
use tokio::{sync::Mutex, time::sleep};

use crate::control::reporter::Reporter;

/// A pause is so many times as long as the answer before it took: the network gets at most a fifth of the time.
const PAUSES: u32 = 4;
/// The longest pause: an answer may also have waited for actors.
const LONGEST: Duration = Duration::from_millis(500);

/// When the next request may be answered (monotonic).
#[derive(Clone)]
pub struct Pace {
    reporter: Arc<Reporter>,
    next: Arc<Mutex<Duration>>,
}

impl Pace {
    /// The first request is answered at once.
    pub fn new(reporter: Arc<Reporter>) -> Self {
        Pace { reporter, next: Arc::default() }
    }

    fn now(&self) -> Duration {
        self.reporter.deps().now().mono
    }
}

/// Answers a request in its turn. A stream has its turn when it begins.
pub async fn in_turn(State(pace): State<Pace>, request: Request, next: Next) -> Response {
    let mut turn = pace.next.lock().await;
    sleep(turn.saturating_sub(pace.now())).await;
    let began = pace.now();
    let response = next.run(request).await;
    *turn = pace.now() + (pace.now().saturating_sub(began) * PAUSES).min(LONGEST);
    response
}
