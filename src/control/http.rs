//! HTTP: one request to a supervisor over its socket, within a limit.
//!
//! It must not start anything, nor know what an answer means.

use std::{io, time::Duration};

use http_body_util::{BodyExt, Empty, Limited};
use hyper::{Method, Request, StatusCode, body::Bytes, client::conn::http1};
use hyper_util::rt::TokioIo;

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
        self.ask(Method::GET, path).await
    }

    /// Sends `POST` to this path, without a body.
    pub async fn post(&self, path: &str) -> Result<(StatusCode, Bytes), AskError> {
        self.ask(Method::POST, path).await
    }

    async fn ask(&self, method: Method, path: &str) -> Result<(StatusCode, Bytes), AskError> {
        let asking = tokio::time::timeout(self.limit, self.ask_without_limit(method, path));
        asking.await.map_err(|_| AskError::Silent(self.limit))?
    }

    async fn ask_without_limit(&self, method: Method, path: &str) -> Result<(StatusCode, Bytes), AskError> {
        let stream = socket::connect(&self.paths).await.map_err(|source| AskError::NobodyListens {
            path: terminal::path(self.paths.socket()),
            source,
        })?;
        let request = Request::builder().method(method).uri(path).header("host", "town");
        let request = request.body(Empty::<Bytes>::new()).map_err(garbled)?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(garbled)?;
        let exchange = async {
            let response = sender.send_request(request).await.map_err(garbled)?;
            let status = response.status();
            let body = Limited::new(response.into_body(), LARGEST).collect().await;
            Ok((status, body.map_err(|error| AskError::Garbled(error.to_string()))?.to_bytes()))
        };
        // The connection must be polled while the answer is awaited; after that its end does not matter.
        let mut connection = std::pin::pin!(connection);
        let mut exchange = std::pin::pin!(exchange);
        tokio::select! {
            biased;
            answer = &mut exchange => answer,
            _ = &mut connection => exchange.await,
        }
    }
}

fn garbled(error: impl std::fmt::Display) -> AskError {
    AskError::Garbled(error.to_string())
}
