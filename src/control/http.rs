//! HTTP: one request to a supervisor over its socket, within a limit, or an answer that goes on.
//!
//! It must not start anything, nor know what an answer means.

use std::{future::Future, io, time::Duration};

use http_body_util::{BodyExt, Full, Limited};
use hyper::{Method, Request, StatusCode, body::Bytes, client::conn::http1, header::CONTENT_TYPE};
use hyper_util::rt::TokioIo;
use tokio::{net::UnixStream, time::timeout};

use crate::{
    terminal,
    town::{paths::TownPaths, socket},
};

/// The most bytes accepted of an answer.
const LARGEST: usize = 64 * 1024 * 1024;

/// The socket of one town's supervisor.
#[derive(Debug, Clone)]
pub struct Http {
    paths: TownPaths,
    limit: Duration,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// No process listens: there is no socket, or a supervisor left it behind.
    #[error("nobody listens on {path}: {source}")]
    NobodyListens {
        /// The socket.
        path: String,
        /// The operating system's reason.
        source: io::Error,
    },
    /// A process listens but did not answer within the limit.
    #[error("no answer within {0:?}")]
    Silent(Duration),
    /// The response could not be parsed.
    #[error("the answer cannot be read: {0}")]
    Garbled(String),
}

impl Http {
    /// The socket of this town; `limit` is the time limit of each answer.
    pub fn new(paths: TownPaths, limit: Duration) -> Self {
        Http { paths, limit }
    }

    /// Sends `GET` for this path; returns the status and the body.
    pub async fn get(&self, path: &str) -> Result<(StatusCode, Bytes), AskError> {
        self.ask(Method::GET, path, None).await
    }

    /// Sends `POST` to this path, without a body.
    pub async fn post(&self, path: &str) -> Result<(StatusCode, Bytes), AskError> {
        self.ask(Method::POST, path, None).await
    }

    /// Sends `POST` to this path, with this JSON.
    pub async fn post_json(&self, path: &str, json: Vec<u8>) -> Result<(StatusCode, Bytes), AskError> {
        self.ask(Method::POST, path, Some(json)).await
    }

    async fn ask(
        &self,
        method: Method,
        path: &str,
        json: Option<Vec<u8>>,
    ) -> Result<(StatusCode, Bytes), AskError> {
        let asking = timeout(self.limit, self.ask_without_limit(method, path, json));
        asking.await.map_err(|_| AskError::Silent(self.limit))?
    }

    /// Sends `GET` for this path and passes on the body of its answer as it comes, until it ends, or none comes within the limit.
    /// An answer that is not OK is returned whole.
    pub async fn follow(
        &self,
        path: &str,
        mut on: impl FnMut(&[u8]) -> Result<(), AskError>,
    ) -> Result<(StatusCode, Bytes), AskError> {
        let silent = || AskError::Silent(self.limit);
        let (mut sender, connection) = timeout(self.limit, self.connect()).await.map_err(|_| silent())??;
        let exchange = async {
            let request = request(Method::GET, path, None)?;
            let answer = timeout(self.limit, sender.send_request(request)).await.map_err(|_| silent())?;
            let (head, mut body) = answer.map_err(garbled)?.into_parts();
            if head.status != StatusCode::OK {
                let body = timeout(self.limit, Limited::new(body, LARGEST).collect()).await;
                return Ok((head.status, body.map_err(|_| silent())?.map_err(garbled)?.to_bytes()));
            }
            while let Some(frame) = timeout(self.limit, body.frame()).await.map_err(|_| silent())? {
                if let Ok(bytes) = frame.map_err(garbled)?.into_data() {
                    on(&bytes)?;
                }
            }
            Ok((head.status, Bytes::new()))
        };
        driven(connection, exchange).await
    }

    async fn ask_without_limit(
        &self,
        method: Method,
        path: &str,
        json: Option<Vec<u8>>,
    ) -> Result<(StatusCode, Bytes), AskError> {
        let (mut sender, connection) = self.connect().await?;
        let exchange = async {
            let response = sender.send_request(request(method, path, json)?).await.map_err(garbled)?;
            let status = response.status();
            let body = Limited::new(response.into_body(), LARGEST).collect().await;
            Ok((status, body.map_err(garbled)?.to_bytes()))
        };
        driven(connection, exchange).await
    }

    async fn connect(
        &self,
    ) -> Result<(Sender, http1::Connection<TokioIo<UnixStream>, Full<Bytes>>), AskError> {
        let stream = socket::connect(&self.paths).await.map_err(|source| AskError::NobodyListens {
            path: terminal::path(self.paths.socket()),
            source,
        })?;
        http1::handshake(TokioIo::new(stream)).await.map_err(garbled)
    }
}

type Sender = http1::SendRequest<Full<Bytes>>;

fn request(method: Method, path: &str, json: Option<Vec<u8>>) -> Result<Request<Full<Bytes>>, AskError> {
    let mut request = Request::builder().method(method).uri(path).header("host", "town");
    if json.is_some() {
        request = request.header(CONTENT_TYPE, "application/json");
    }
    request.body(Full::from(json.unwrap_or_default())).map_err(garbled)
}

/// The connection must be polled while the answer is awaited; after that its end does not matter.
async fn driven<T>(connection: impl Future, exchange: impl Future<Output = T>) -> T {
    let mut connection = std::pin::pin!(connection);
    let mut exchange = std::pin::pin!(exchange);
    tokio::select! {
        biased;
        answer = &mut exchange => answer,
        _ = &mut connection => exchange.await,
    }
}

fn garbled(error: impl std::fmt::Display) -> AskError {
    AskError::Garbled(error.to_string())
}
