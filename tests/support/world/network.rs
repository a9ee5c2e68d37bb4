//! The network of the world: one server at every URL, which answers as the test says. It draws no random number.

use std::{collections::BTreeSet, time::Duration};

use async_trait::async_trait;
use gastown_supervisor::network::{Network, NoReply, Reply, Request};
use serde_json::Value;

use super::World;

/// What the server does with each request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Serves {
    /// It answers with this status and body.
    Answer(u16, &'static str),
    /// It refuses bodies with one of these texts for what is in them, and accepts others.
    Refuses(&'static [&'static str]),
    /// It takes the request and does not answer in time.
    Hangs,
}

/// The server, and what it got.
#[derive(Debug, Clone)]
pub struct FakeNetwork {
    /// What it does.
    pub serves: Serves,
    /// The sessions of agents that may be ended, as their health checks fail.
    pub unwell: BTreeSet<String>,
    /// When each request came, its URL, and its body.
    pub got: Vec<(Duration, String, Option<String>)>,
}

impl Default for FakeNetwork {
    fn default() -> Self {
        FakeNetwork { serves: Serves::Answer(200, "ok"), unwell: BTreeSet::new(), got: Vec::new() }
    }
}

impl FakeNetwork {
    /// The alerts that were posted as JSON to URLs with this end.
    pub fn alerts(&self, end: &str) -> Vec<Value> {
        let posts = self.got.iter().filter(|(_, url, _)| url.ends_with(end));
        posts.filter_map(|(_, _, body)| serde_json::from_str(body.as_deref()?).ok()).collect()
    }
}

#[async_trait]
impl Network for World {
    async fn request(&self, request: Request) -> Result<Reply, NoReply> {
        let now = self.time();
        let serves = {
            let network = &mut self.state().network;
            network.got.push((now, request.url.secret().to_owned(), request.body.clone()));
            network.serves.clone()
        };
        let serves = match serves {
            Serves::Refuses(texts) => {
                let body = request.body.clone().unwrap_or_default();
                let status = if texts.iter().any(|text| body.contains(text)) { 400 } else { 200 };
                Serves::Answer(status, "ok")
            }
            serves => serves,
        };
        match serves {
            Serves::Answer(status, body) => {
                tokio::time::sleep(super::millis(20)).await;
                Ok(Reply { status, body: body.as_bytes().to_vec() })
            }
            Serves::Hangs | Serves::Refuses(_) => {
                tokio::time::sleep(request.limit).await;
                Err(NoReply { why: "no answer".to_owned(), of_server: true })
            }
        }
    }

    fn host(&self) -> String {
        "machine".to_owned()
    }
}
