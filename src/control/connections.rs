//! Connections: serves every client at a bounded cost.
//!
//! A client may send garbage, endless headers, or nothing; it may not read; it may connect a thousand times. Each
//! connection has a small buffer and a time limit. When there are too many, one is closed: the oldest that never sent
//! a request, else the oldest that does not read the event stream, else the oldest. So a new client is always served,
//! and silent clients cannot push out active ones. This module must not know what is requested.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    time::Duration,
};

use axum::{Extension, Router, extract::Request, middleware::map_request};
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

use super::peer::Peer;

/// Maximum number of connections.
const MOST: usize = 64;
/// How long the head of a request may take to arrive.
const HEAD: Duration = Duration::from_secs(2);
/// How long a connection may last, unless it reads the event stream.
const LIFE: Duration = Duration::from_secs(10);
/// The most bytes buffered of what a client sends.
const BUFFER: usize = 16 * 1024;
/// The pause after the system refused a connection.
const PAUSE: Duration = Duration::from_millis(100);

/// How far a connection got; one that reads the event stream may stay.
#[derive(Debug, Clone, Default)]
pub struct Stays(Arc<AtomicU8>);

/// It has sent a request; or it reads the event stream. Lower values are closed first.
const ASKED: u8 = 1;
const FOLLOWS: u8 = 2;

impl Stays {
    /// Lets the connection stay.
    pub fn stay(&self) {
        self.0.fetch_max(FOLLOWS, Ordering::Relaxed);
    }

    fn asks(&self) {
        self.0.fetch_max(ASKED, Ordering::Relaxed);
    }

    fn rank(&self) -> u8 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Accepts and serves connections. Never returns; dropping it ends all connections.
pub async fn serve(listener: UnixListener, router: Router) {
    let mut connections = JoinSet::new();
    // The oldest first.
    let mut order: Vec<(AbortHandle, Stays)> = Vec::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = connections.join_next() => continue,
        };
        let Ok((stream, _)) = accepted else {
            // Out of file descriptors: other connections will be closed.
            sleep(PAUSE).await;
            continue;
        };
        order.retain(|(connection, _)| !connection.is_finished());
        if order.len() >= MOST
            && let Some((at, _)) = order.iter().enumerate().min_by_key(|(at, (_, stays))| (stays.rank(), *at))
        {
            order.remove(at).0.abort();
        }
        let stays = Stays::default();
        let connection = connections.spawn(connection(stream, router.clone(), stays.clone()));
        order.push((connection, stays));
    }
}

async fn connection(stream: UnixStream, router: Router, stays: Stays) {
    let asks = stays.clone();
    let router = match Peer::of(&stream) {
        Some(peer) => router.layer(Extension(peer)),
        None => router,
    };
    let router = router.layer(Extension(stays.clone())).layer(map_request(move |request: Request| {
        asks.asks();
        async move { request }
    }));
    let service = TowerToHyperService::new(router);
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_buf_size(BUFFER)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    // An error of the connection is the client's.
    while timeout(LIFE, &mut connection).await.is_err() {
        if stays.rank() < FOLLOWS {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    async fn ask(stream: &mut UnixStream) -> String {
        stream.write_all(b"GET / HTTP/1.1\r\nHost: town\r\n\r\n").await.unwrap();
        let mut answer = [0; 1024];
        let length = stream.read(&mut answer).await.unwrap();
        String::from_utf8_lossy(&answer[..length]).into_owned()
    }

    #[tokio::test]
    async fn a_client_that_asks_is_not_pushed_out_by_silent_ones() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        let router = Router::new().route("/", get(|| async { "here" }));
        let serving = serve(UnixListener::bind(&path).unwrap(), router);
        let story = async {
            let mut reader = UnixStream::connect(&path).await.unwrap();
            assert!(ask(&mut reader).await.ends_with("here"));
            let mut idle = Vec::new();
            for _ in 0..MOST * 3 {
                idle.push(UnixStream::connect(&path).await.unwrap());
                tokio::task::yield_now().await;
            }
            assert!(ask(&mut reader).await.ends_with("here"), "the eldest, which asked");
            let mut last = UnixStream::connect(&path).await.unwrap();
            assert!(ask(&mut last).await.ends_with("here"), "whoever comes now");
            assert_eq!(idle[0].read(&mut [0; 1]).await.unwrap(), 0, "the eldest that said nothing is gone");
        };
        tokio::select! {
            () = serving => {}
            () = story => {}
        }
    }
}
