//! The link: sends each request to the server, over the control connection or by a subprocess.
//!
//! The [`approach`](super::approach) decides which, at the first request and again after a connection ended, only on
//! request, and once at a time: concurrent callers share the result, so a server that is stopped or absent costs one
//! attempt and not one per caller. Only a request to create a session starts a server. A request to a server that
//! does not answer would run much later, long after it was given up; so none is sent until the server answers again.
#![allow(clippy::disallowed_methods, reason = "part of the tmux adapter, which runs tmux")]

use std::{sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{sleep, timeout},
};

use super::{
    TmuxConfig,
    approach::{Approach, Way},
    control::{Connection, Lost},
    list::Server,
    notifier::Notifier,
    request::{self, Request},
    target::OWN_SESSION,
    version::Ability,
};

/// Right after `kill-server` nothing may be answered for this long.
const RETRY: Duration = Duration::from_millis(100);
/// The time limit for ending our own session.
const FAREWELL: Duration = Duration::from_millis(200);

/// Why a request was not carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble {
    /// No server runs.
    NoServer,
    /// The server refused a request.
    Refused {
        /// The request, for messages.
        request: String,
        /// The server's words.
        text: String,
    },
    /// tmux is not installed or too old.
    Unavailable(String),
    /// The connection broke, or could not be established.
    Gone(String),
    /// No answer within the limit.
    TimedOut,
}

/// How a request may be carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// It can be repeated when the connection breaks during it.
    Repeatable,
    /// It must not be repeated: it may have been carried out.
    Once,
    /// Like [`Purpose::Once`], and it starts the server when there is none.
    Create,
}

/// The servers that answered.
#[derive(Debug, Default)]
pub struct Servers(Mutex<Seen>);

#[derive(Debug, Default)]
struct Seen {
    server: Option<Server>,
    generation: u64,
}

impl Servers {
    /// Notes the server that answered.
    pub fn answered(&self, server: Server) {
        let mut seen = self.0.lock();
        if seen.server != Some(server) {
            *seen = Seen { server: Some(server), generation: seen.generation + 1 };
        }
    }

    /// The process of the server that answered last.
    pub fn last(&self) -> Option<u32> {
        self.0.lock().server.map(|(pid, _)| pid)
    }

    /// The number of the server's incarnation that answered last; 0 before the first.
    pub fn generation(&self) -> u64 {
        self.0.lock().generation
    }
}

/// The state shared by callers and the task that finds the way.
#[derive(Debug, Default)]
struct Found {
    /// The last result,
    way: Way,
    /// by the round that began after this many calls.
    round: u64,
    /// Whether a round is in progress.
    busy: bool,
}

/// The way to one server.
#[derive(Debug)]
pub struct Link {
    approach: Arc<Approach>,
    limit: Duration,
    servers: Arc<Servers>,
    asked: watch::Sender<u64>,
    found: watch::Sender<Found>,
    /// Empty before the first request.
    finding: Mutex<JoinSet<()>>,
}

impl Link {
    /// A link without a connection yet.
    pub fn new(config: TmuxConfig, notifier: Notifier) -> Self {
        let (limit, servers) = (config.command_limit, Arc::new(Servers::default()));
        Link {
            approach: Arc::new(Approach::new(config, notifier, servers.clone())),
            limit,
            servers,
            asked: watch::Sender::new(0),
            found: watch::Sender::default(),
            finding: Mutex::default(),
        }
    }

    /// The servers that answered so far.
    pub fn servers(&self) -> &Servers {
        &self.servers
    }

    /// Whether a request could be carried out without finding a way first.
    pub fn is_open(&self) -> bool {
        self.found.borrow().way.is_open()
    }

    /// The abilities of the installed tmux.
    pub async fn ability(&self) -> Result<Ability, Trouble> {
        self.approach.ability().await
    }

    /// Carries out requests in order and returns their output; the first refusal is the result.
    pub async fn run(&self, requests: &[Request], purpose: Purpose) -> Result<String, Trouble> {
        let mut broken = String::new();
        for _ in 0..3 {
            match self.way().await? {
                Way::Control(connection) => match self.by_control(&connection, requests).await {
                    Err(Trouble::Gone(reason)) if purpose == Purpose::Repeatable => broken = reason,
                    outcome => return outcome,
                },
                Way::Plain(_) => return self.by_subprocess(requests).await,
                Way::NoServer if purpose == Purpose::Create => {
                    let outcome = self.approach.begin_server(requests).await;
                    // From now on the server can send notices.
                    let _ = self.way().await;
                    return outcome;
                }
                Way::NoServer => return Err(Trouble::NoServer),
                Way::Trouble(Trouble::Gone(reason)) => {
                    broken = reason;
                    sleep(RETRY).await;
                }
                Way::Trouble(trouble) => return Err(trouble),
                Way::Unknown => broken.clear(),
            }
        }
        Err(Trouble::Gone(broken))
    }

    /// Ends our own session, unless another supervisor uses it too, and closes the connection. Later requests fail.
    pub async fn close(&self) {
        self.approach.close();
        let mut found = self.found.subscribe();
        let farewell = async {
            // A client that is identifying itself must not be interrupted.
            let _ = found.wait_for(|found| !found.busy).await;
            let mut way = Way::Unknown;
            self.found.send_modify(|found| way = std::mem::take(&mut found.way));
            if let Way::Control(connection) = way
                && connection.answers()
            {
                leave(&connection).await;
            }
        };
        // The next supervisor uses the session again if this fails.
        let _ = timeout(FAREWELL, farewell).await;
        self.finding.lock().abort_all();
    }

    /// The current way, or the result of the next round.
    async fn way(&self) -> Result<Way, Trouble> {
        if self.approach.is_closed() {
            return Err(Trouble::Refused {
                request: "tmux".into(),
                text: "the supervisor is shutting down".into(),
            });
        }
        let mut found = self.found.subscribe();
        let open = |found: &Found| found.way.is_open().then(|| found.way.clone());
        if let Some(way) = open(&found.borrow()) {
            return Ok(way);
        }
        let mut ours = 0;
        self.found.send_if_modified(|found| {
            self.asked.send_modify(|asked| {
                *asked += 1;
                ours = *asked;
            });
            found.busy = true;
            false
        });
        self.begin_finding();
        let found = async {
            let found = found.wait_for(|it| it.round >= ours || it.way.is_open()).await;
            found.map(|found| found.way.clone()).unwrap_or_default()
        };
        timeout(self.limit, found).await.map_err(|_| Trouble::TimedOut)
    }

    fn begin_finding(&self) {
        let mut finding = self.finding.lock();
        // A task that panicked is over too.
        while finding.try_join_next().is_some() {}
        if finding.is_empty() {
            let (approach, asked) = (self.approach.clone(), self.asked.subscribe());
            finding.spawn(find(approach, asked, self.found.clone()));
        }
    }

    async fn by_control(&self, connection: &Connection, requests: &[Request]) -> Result<String, Trouble> {
        let answers = match connection.ask(requests, self.limit).await {
            Ok(answers) => answers,
            Err(Lost::Gone(reason)) => return Err(Trouble::Gone(reason)),
            Err(Lost::TimedOut) => return Err(Trouble::TimedOut),
        };
        let mut printed = Vec::new();
        for (request, answer) in requests.iter().zip(answers) {
            let refused = |text: String| Trouble::Refused { request: request.shown(), text };
            if answer.cut {
                return Err(refused("the answer is longer than 16 MiB".to_owned()));
            }
            printed.push(answer.text.map_err(refused)?);
        }
        printed.retain(|text| !text.is_empty());
        Ok(printed.join("\n"))
    }

    async fn by_subprocess(&self, requests: &[Request]) -> Result<String, Trouble> {
        let outcome = self.approach.by_subprocess(requests).await;
        if outcome == Err(Trouble::TimedOut) {
            // The server must answer a probe before it gets other requests.
            self.found.send_if_modified(|found| {
                if matches!(found.way, Way::Plain(_)) {
                    found.way = Way::Unknown;
                }
                false
            });
        }
        outcome
    }
}

/// Finds the way whenever a caller asks.
async fn find(approach: Arc<Approach>, mut asked: watch::Receiver<u64>, found: watch::Sender<Found>) {
    while !approach.is_closed() {
        let round = *asked.borrow_and_update();
        let before = found.borrow().way.clone();
        let way = if before.is_open() { before } else { approach.find(before).await };
        found.send_modify(|found| {
            let busy = asked.has_changed().unwrap_or(false);
            *found = Found { way, round, busy };
        });
        if asked.changed().await.is_err() {
            return;
        }
    }
    found.send_modify(|found| found.busy = false);
}

/// Ends our own session, unless another client uses it too. A server that would end with it gets the option to continue.
async fn leave(connection: &Connection) -> Option<()> {
    let target = format!("={OWN_SESSION}:");
    let questions = [
        request::ends_unattached(),
        Request::of(["display-message", "-p", "-t", &target, "#{session_attached}"]),
    ];
    let mut told = connection.ask(&questions, FAREWELL).await.ok()?.into_iter().map(|answer| answer.text);
    let (ends, users) = (told.next()?, told.next()?.ok()?);
    if ends.is_ok_and(|ends| ends == "on") {
        connection.ask(&[request::lasting_server()], FAREWELL).await.ok()?;
    }
    if users == "1" {
        connection.ask(&[Request::of(["kill-session", "-t", &target])], FAREWELL).await.ok()?;
    }
    Some(())
}
