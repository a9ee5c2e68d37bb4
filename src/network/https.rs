//! The network of this machine, by `ureq` and rustls. The client is created with the first request: a supervisor that sends
//! nothing has none.
//!
//! A proxy is taken from the environment (`HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY`, `NO_PROXY`). Certificates are checked
//! against Mozilla's list, which is part of the program.

use std::{
    io::Read,
    sync::{Arc, OnceLock},
};

use async_trait::async_trait;
use ureq::Agent;

use super::{LONGEST_ANSWER, Network, NoReply, Reply, Request};
use crate::go_duration;

/// The real network.
#[derive(Debug, Clone, Default)]
pub struct Https(Arc<OnceLock<Agent>>);

#[async_trait]
impl Network for Https {
    async fn request(&self, request: Request) -> Result<Reply, NoReply> {
        let client = self.0.clone();
        let answered = tokio::task::spawn_blocking(move || ask(client.get_or_init(agent), &request));
        answered.await.unwrap_or_else(|_| {
            Err(NoReply { why: "the request was interrupted".to_owned(), of_server: false })
        })
    }

    fn host(&self) -> String {
        sysinfo::System::host_name().unwrap_or_else(|_| "localhost".to_owned())
    }
}

fn agent() -> Agent {
    let program = concat!("gastown-supervisor/", env!("CARGO_PKG_VERSION"));
    let config = Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        // Alerts are rare: a connection that is kept would be closed by then.
        .max_idle_connections(0)
        .user_agent(program);
    config.build().new_agent()
}

fn ask(agent: &Agent, request: &Request) -> Result<Reply, NoReply> {
    let no_reply = |error| NoReply { why: why(&error, request), of_server: is_of_server(&error) };
    let mut response = match &request.body {
        Some(body) => {
            let mut post = agent.post(request.url.secret());
            for (name, value) in &request.headers {
                post = post.header(*name, value);
            }
            post.config().timeout_global(Some(request.limit)).build().send(body).map_err(no_reply)?
        }
        None => {
            let get = agent.get(request.url.secret());
            let config = get.config().timeout_global(Some(request.limit));
            let config = if request.direct { config.proxy(None) } else { config };
            config.build().call().map_err(no_reply)?
        }
    };
    let mut body = Vec::new();
    // Whether the server accepted it is said by the status; the rest of a body that breaks off is not needed.
    let _ = response.body_mut().as_reader().take(LONGEST_ANSWER).read_to_end(&mut body);
    Ok(Reply { status: response.status().as_u16(), body })
}

/// The reason for people. Only what cannot hold a part of the URL is passed on.
fn why(error: &ureq::Error, request: &Request) -> String {
    match error {
        ureq::Error::Io(error) => error.kind().to_string(),
        ureq::Error::Timeout(_) => format!("no answer within {}", go_duration::short(request.limit)),
        ureq::Error::HostNotFound => "the host's name cannot be resolved".to_owned(),
        ureq::Error::ConnectionFailed => "the connection failed".to_owned(),
        ureq::Error::Protocol(_) => "the server does not answer as HTTP demands".to_owned(),
        ureq::Error::Rustls(error) => format!("TLS: {error}"),
        ureq::Error::Tls(error) => format!("TLS: {error}"),
        ureq::Error::InvalidProxyUrl => "the proxy in the environment has no valid URL".to_owned(),
        ureq::Error::ConnectProxyFailed(_) => "the proxy refuses the connection".to_owned(),
        _ => "the request failed".to_owned(),
    }
}

/// Whether the server is the reason, and not this machine, its network, a proxy, or what is trusted here.
fn is_of_server(error: &ureq::Error) -> bool {
    use std::io::ErrorKind::{
        BrokenPipe, ConnectionAborted, ConnectionRefused, ConnectionReset, InvalidData, TimedOut,
        UnexpectedEof,
    };
    match error {
        ureq::Error::Io(error) => matches!(
            error.kind(),
            BrokenPipe
                | ConnectionAborted
                | ConnectionRefused
                | ConnectionReset
                | InvalidData
                | TimedOut
                | UnexpectedEof
        ),
        ureq::Error::Timeout(_) | ureq::Error::Protocol(_) => true,
        _ => false,
    }
}
