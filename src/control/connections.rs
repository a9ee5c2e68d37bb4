//! Connections: serves everybody who connects, at a bounded cost.
//!
//! A client may send garbage, headers without end, or nothing; may not read; may connect a thousand times. Each connection has
//! a small buffer and a limit of time, and when there are too many the eldest goes: whoever comes now is served. It must not
//! know what is asked.

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use axum::{Extension, Router};
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    net::{UnixListener, UnixStream},
    task::{AbortHandle, JoinSet},
    time::{sleep, timeout},
};

/// So many connections at once.
const MOST: usize = 64;
/// How long the head of a request may take to come.
const HEAD: Duration = Duration::from_secs(2);
/// How long a connection lives, unless it follows what happens.
const LIFE: Duration = Duration::from_secs(10);
/// The most that is held of what a client sends, in bytes.
const BUFFER: usize = 16 * 1024;
/// After the system gave no more connections.
const PAUSE: Duration = Duration::from_millis(100);

/// Says of a connection that it follows what happens, and may stay.
#[derive(Debug, Clone, Default)]
pub struct Stays(Arc<AtomicBool>);

impl Stays {
    /// It may stay.
    pub fn stay(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Accepts and serves. Never ends by itself; dropping it ends all connections.
pub async fn serve(listener: UnixListener, router: Router) {
    let mut connections = JoinSet::new();
    let mut order: VecDeque<AbortHandle> = VecDeque::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = connections.join_next() => continue,
        };
        let Ok((stream, _)) = accepted else {
            // Out of file descriptors: others will be closed.
            sleep(PAUSE).await;
            continue;
        };
        order.retain(|connection| !connection.is_finished());
        if order.len() >= MOST
            && let Some(eldest) = order.pop_front()
        {
            eldest.abort();
        }
        order.push_back(connections.spawn(connection(stream, router.clone())));
    }
}

async fn connection(stream: UnixStream, router: Router) {
    let stays = Stays::default();
    let service = TowerToHyperService::new(router.layer(Extension(stays.clone())));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_buf_size(BUFFER)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    // What ends it is the client's business.
    while timeout(LIFE, &mut connection).await.is_err() {
        if !stays.0.load(Ordering::Relaxed) {
            return;
        }
    }
}
