//! Network: the port through which other machines are reached: alerts leave through it, and the sign of life.
//!
//! It must not know what is sent, and follows no redirect: what was meant for one server is for no other.

pub mod https;

use std::time::Duration;

use async_trait::async_trait;

use crate::town::settings::SecretUrl;

/// The most bytes of an answer that are read.
pub const LONGEST_ANSWER: u64 = 8 * 1024;

/// One HTTP request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Where it goes.
    pub url: SecretUrl,
    /// Its headers: names in lower case, values in ASCII.
    pub headers: Vec<(&'static str, String)>,
    /// What is posted; `None` makes it a GET.
    pub body: Option<String>,
    /// The time limit of all of it, from the name's resolution to the end of the answer.
    pub limit: Duration,
    /// Not through the proxy of the environment.
    pub direct: bool,
}

/// What the server answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The HTTP status code.
    pub status: u16,
    /// The beginning of its body, at most [`LONGEST_ANSWER`] bytes.
    pub body: Vec<u8>,
}

/// Why there is no answer. Its text names no part of the URL.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct NoReply {
    /// Why.
    pub why: String,
    /// Whether the server is the reason: it refused the connection, was silent, or did not speak HTTP. Otherwise nothing is known of it.
    pub of_server: bool,
}

/// Reaches other machines.
#[async_trait]
pub trait Network: Send + Sync {
    /// Makes one request. Dropping the future does not call it back.
    async fn request(&self, request: Request) -> Result<Reply, NoReply>;

    /// The name of this machine.
    fn host(&self) -> String;
}
