//! Connections: serves every client at a bounded cost.
//!
//! A client may send garbage, endless headers, or nothing; it may not read; it may connect a thousand times. Each
//! connection has a small buffer and a time limit; one that follows the event stream may stay, but not stop reading. When there are
//! too many at one listener, one is closed: the oldest that never sent
//! a request, else the oldest that does not read the event stream, else the oldest. So a new client is always served,
//! silent clients cannot push out active ones, and those of the network none of the socket. This module must not know what is requested.

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::{Extension, Router, extract::Request, middleware::map_request};
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream, UnixListener, UnixStream},
    task::{AbortHandle, JoinSet},
    time::{Sleep, sleep, timeout},
};

use super::peer::Peer;

/// Maximum number of connections of one listener.
const MOST: usize = 64;
/// How long the head of a request may take to arrive.
const HEAD: Duration = Duration::from_secs(2);
/// How long a connection may last, unless it reads the event stream.
const LIFE: Duration = Duration::from_secs(10);
/// How long a client may take no more bytes.
const READS: Duration = Duration::from_secs(10);
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

/// Where clients connect.
pub trait Door {
    /// A connection.
    type Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static;

    /// The next connection.
    fn next(&self) -> impl Future<Output = io::Result<Self::Stream>> + Send;

    /// The router for this connection, which tells requests what is known of it.
    fn introduce(stream: &Self::Stream, router: Router) -> Router;
}

impl Door for UnixListener {
    type Stream = UnixStream;

    async fn next(&self) -> io::Result<UnixStream> {
        Ok(self.accept().await?.0)
    }

    fn introduce(stream: &UnixStream, router: Router) -> Router {
        match Peer::of(stream) {
            Some(peer) => router.layer(Extension(peer)),
            None => router,
        }
    }
}

/// The address of this machine that a client connected to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Local(pub SocketAddr);

impl Door for TcpListener {
    type Stream = TcpStream;

    async fn next(&self) -> io::Result<TcpStream> {
        let (stream, _) = self.accept().await?;
        // A change is one small write; without it the last part may wait for the client.
        let _ = stream.set_nodelay(true);
        Ok(stream)
    }

    fn introduce(stream: &TcpStream, router: Router) -> Router {
        match stream.local_addr() {
            Ok(local) => router.layer(Extension(Local(local))),
            Err(_) => router,
        }
    }
}

/// Accepts and serves connections. Never returns; dropping it ends all connections.
pub async fn serve(listener: impl Door, router: Router) {
    let mut connections = JoinSet::new();
    // The oldest first.
    let mut order: Vec<(AbortHandle, Stays)> = Vec::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.next() => accepted,
            Some(_) = connections.join_next() => continue,
        };
        let Ok(stream) = accepted else {
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
        let router = introduce(&listener, &stream, router.clone());
        let connection = connections.spawn(connection(stream, router, stays.clone()));
        order.push((connection, stays));
    }
}

fn introduce<D: Door>(_: &D, stream: &D::Stream, router: Router) -> Router {
    D::introduce(stream, router)
}

async fn connection(stream: impl AsyncRead + AsyncWrite + Unpin, router: Router, stays: Stays) {
    let asks = stays.clone();
    let router = router.layer(Extension(stays.clone())).layer(map_request(move |request: Request| {
        asks.asks();
        async move { request }
    }));
    let service = TowerToHyperService::new(router);
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_buf_size(BUFFER)
        .serve_connection(TokioIo::new(Reads::new(stream)), service);
    let mut connection = std::pin::pin!(connection);
    // An error of the connection is the client's.
    while timeout(LIFE, &mut connection).await.is_err() {
        if stays.rank() < FOLLOWS {
            return;
        }
    }
}

/// A connection that breaks when its client takes no bytes for [`READS`].
struct Reads<S> {
    stream: S,
    /// Since the client took the last bytes, while there are more for it.
    waits: Option<Pin<Box<Sleep>>>,
}

impl<S> Reads<S> {
    fn new(stream: S) -> Self {
        Reads { stream, waits: None }
    }

    /// What became of a write: an error when it has been waiting for too long.
    fn within<T>(&mut self, written: Poll<io::Result<T>>, context: &mut Context<'_>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.waits = None;
            return written;
        }
        ready!(self.waits.get_or_insert_with(|| Box::pin(sleep(READS))).as_mut().poll(context));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Reads<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, into)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Reads<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.within(written, context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, bytes);
        self.within(written, context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(context);
        self.within(flushed, context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
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

    #[tokio::test(start_paused = true)]
    async fn a_client_that_follows_and_does_not_read_is_dropped() {
        let follow = |Extension(stays): Extension<Stays>| async move {
            stays.stay();
            "x".repeat(1 << 20)
        };
        let (mut reader, ours) = tokio::io::duplex(1024);
        let mut serving = JoinSet::new();
        serving.spawn(connection(ours, Router::new().route("/", get(follow)), Stays::default()));
        reader.write_all(b"GET / HTTP/1.1\r\nHost: town\r\n\r\n").await.unwrap();
        // One that reads slowly may stay for longer than any other.
        for _ in 0..10 {
            sleep(READS / 2).await;
            reader.read_exact(&mut [0; 4096]).await.unwrap();
        }
        assert!(serving.try_join_next().is_none());
        timeout(READS * 2, serving.join_next()).await.expect("it is dropped");
    }
}
