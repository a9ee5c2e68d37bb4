//! The approach: finds out, once at a time, how the server can be reached, and connects the one control client.
//!
//! tmux up to 3.5a crashes by a null pointer, with every agent in it, when something happens that it notifies control
//! clients of (another one leaves, a session is created or ends) while one is still identifying itself. So control
//! clients of ours never overlap, and one is connected only when the server has just answered a plain client without
//! delay, when our previous one has left, and when those of others are not about to leave. Nothing else of ours runs
//! meanwhile. A server that does not answer gets only one plain client, which is awaited: everything that queues up
//! runs at once when the server wakes. A server of another version than the installed tmux (tmux was updated under
//! it) gets plain clients only: since 3.8 control clients do not understand older servers and stay silent. Callers
//! only wait for the result, so that a dropped request interrupts nothing.
#![allow(clippy::disallowed_methods, reason = "part of the tmux adapter, which runs tmux")]

use std::{collections::BTreeSet, future::Future, sync::Arc, time::Duration};

use tokio::{
    sync::{Mutex, watch},
    time::{Instant, sleep, timeout},
};

use super::{
    TmuxConfig,
    control::{Connection, Lost},
    kernel,
    link::{Servers, Trouble},
    notifier::Notifier,
    program::tmux,
    request::Request,
    settling::{Settling, Verdict},
    subprocess::{self, Bad},
    target::{CONTROL, OWN_SESSION},
    version::{Ability, ability},
    words::{Meaning, meaning},
};
use crate::terminal;

/// The first delay after a control client failed.
const RETRY: Duration = Duration::from_millis(100);
/// The longest time without an attempt to connect while control clients keep failing, or the server is slow.
const MAX_BACKOFF: Duration = Duration::from_secs(30);
/// The time limit of one probe by a plain client; after it the client is replaced, as the client may be what hangs.
const PROBE: Duration = Duration::from_secs(60);
/// An answer that takes longer than this counts as slow.
const QUICK: Duration = Duration::from_secs(1);
/// The number of slow answers in a row after which the server is left alone for a while.
const SLOW: u32 = 3;
/// Pause between two checks of other control clients.
const BETWEEN: Duration = Duration::from_millis(20);
/// A control client that is still silent this long after the server answered a plain one is broken.
const GRACE: Duration = Duration::from_secs(1);

/// The ways to send requests.
#[derive(Debug, Clone, Default)]
pub enum Way {
    /// Not known yet.
    #[default]
    Unknown,
    /// Over this connection.
    Control(Arc<Connection>),
    /// By one subprocess each; until this time, if there is one.
    Plain(Option<Instant>),
    /// Not at all: no server runs.
    NoServer,
    /// Not at all, for this reason.
    Trouble(Trouble),
}

impl Way {
    /// Whether it can be used without another attempt.
    pub fn is_open(&self) -> bool {
        match self {
            Way::Control(connection) => connection.answers(),
            Way::Plain(until) => until.is_none_or(|until| Instant::now() < until),
            Way::Unknown | Way::NoServer | Way::Trouble(_) => false,
        }
    }
}

/// The state that attempts share.
#[derive(Debug)]
pub struct Approach {
    config: TmuxConfig,
    notifier: Notifier,
    servers: Arc<Servers>,
    /// Held by every caller that contacts the server other than over the connection.
    turn: Mutex<()>,
    ability: Mutex<Option<Ability>>,
    backoff: parking_lot::Mutex<Backoff>,
    closed: watch::Sender<bool>,
    /// The last reported difference between the versions of program and server.
    told: parking_lot::Mutex<Option<(String, String)>>,
}

#[derive(Debug, Default)]
struct Backoff {
    failures: u32,
    not_before: Option<Instant>,
}

/// The answer of the server to a plain client: the processes of the control clients that are attached.
type Probed = Result<BTreeSet<u32>, Trouble>;

impl Approach {
    /// An approach to the server of this configuration.
    pub fn new(config: TmuxConfig, notifier: Notifier, servers: Arc<Servers>) -> Self {
        Approach {
            config,
            notifier,
            servers,
            turn: Mutex::default(),
            ability: Mutex::default(),
            backoff: parking_lot::Mutex::default(),
            closed: watch::Sender::new(false),
            told: parking_lot::Mutex::default(),
        }
    }

    /// Starts no more clients from now on.
    pub fn close(&self) {
        self.closed.send_replace(true);
    }

    /// Whether [`Approach::close`] was called.
    pub fn is_closed(&self) -> bool {
        *self.closed.borrow()
    }

    /// Finds the way to send requests, given the previous one. Takes as long as the server does.
    pub async fn find(&self, before: Way) -> Way {
        let able = match self.ability().await {
            Ok(able) => able == Ability::Control && self.config.control,
            Err(trouble) => return Way::Trouble(trouble),
        };
        let _turn = self.turn.lock().await;
        if let Way::Control(connection) = before {
            if self.unless_broken(connection.answers_again()).await == Some(true) {
                self.notifier.changed();
                return Way::Control(connection);
            }
            connection.dismiss().await;
        }
        match self.ready(able).await {
            Ready::Connect => match self.understood().await {
                Ok(Some(true)) => self.connect().await,
                Ok(Some(false)) => Way::Plain(Some(Instant::now() + MAX_BACKOFF)),
                Ok(None) => self.later(),
                Err(Trouble::NoServer) => Way::NoServer,
                Err(trouble) => Way::Trouble(trouble),
            },
            Ready::Not(way) => way,
        }
    }

    /// Whether the server has the version that is installed now; a difference is logged once. `None` when it answered
    /// too slowly for a connection now.
    async fn understood(&self) -> Result<Option<bool>, Trouble> {
        let limit = self.config.command_limit;
        let said = self.plain(&[Request::of(["-V"])], limit).await?;
        let program = said.trim().trim_start_matches("tmux ").to_owned();
        let asked = [Request::of(["display-message", "-p", "#{version}"])];
        let began = Instant::now();
        let server = self.plain(&asked, limit).await?.trim().to_owned();
        if began.elapsed() > QUICK {
            return Ok(None);
        }
        let differ = Some((program, server)).filter(|(program, server)| program != server);
        let mut told = self.told.lock();
        if *told != differ {
            if let Some((program, server)) = &differ {
                tracing::warn!(
                    "tmux {program} is installed, but the running tmux server is version {server}: using one tmux process per \
                     request until that server is restarted"
                );
            }
            told.clone_from(&differ);
        }
        Ok(Some(differ.is_none()))
    }

    /// Runs requests by a subprocess, in turn with all others.
    pub async fn by_subprocess(&self, requests: &[Request]) -> Result<String, Trouble> {
        self.in_turn(self.plain(requests, self.config.command_limit)).await
    }

    /// The same where no server runs: it is started for them.
    pub async fn begin_server(&self, requests: &[Request]) -> Result<String, Trouble> {
        let limit = self.config.command_limit;
        self.in_turn(async {
            let command = tmux(&self.config.program, &self.config.socket);
            outcome_of(subprocess::begin_server(command, requests, limit).await, requests)
        })
        .await
    }

    async fn in_turn(&self, run: impl Future<Output = Result<String, Trouble>>) -> Result<String, Trouble> {
        let run = async {
            let _turn = self.turn.lock().await;
            run.await
        };
        timeout(self.config.command_limit, run).await.unwrap_or(Err(Trouble::TimedOut))
    }

    /// The abilities of the installed tmux.
    pub async fn ability(&self) -> Result<Ability, Trouble> {
        let mut known = self.ability.lock().await;
        if let Some(known) = *known {
            return Ok(known);
        }
        let program = terminal::path(&self.config.program);
        let line = match self.plain(&[Request::of(["-V"])], self.config.command_limit).await {
            Ok(line) => line,
            Err(Trouble::Refused { text, .. }) => {
                return Err(Trouble::Unavailable(format!(
                    "tmux cannot be run as {program} ({text}): install tmux 3.2 or later, or set commands.tmux"
                )));
            }
            Err(other) => return Err(other),
        };
        let able = ability(&line);
        if able == Ability::TooOld {
            return Err(Trouble::Unavailable(format!(
                "{program} is {}, which is too old: install tmux 3.2 or later, or set commands.tmux",
                line.trim()
            )));
        }
        *known = Some(able);
        Ok(able)
    }

    async fn plain(&self, requests: &[Request], limit: Duration) -> Result<String, Trouble> {
        let command = tmux(&self.config.program, &self.config.socket);
        outcome_of(subprocess::run(command, requests, limit).await, requests)
    }

    /// Whether a control client may be connected now, and if not, the alternative.
    async fn ready(&self, able: bool) -> Ready {
        let mut settling = Settling::new(Instant::now());
        let mut slow = 0;
        loop {
            // Before the server is asked: by its answer, it has noticed the end of clients that have gone.
            let running = if able { self.running().await } else { Some(BTreeSet::new()) };
            let Some(running) = running else { return Ready::Not(self.later()) };
            let asked = Instant::now();
            let attached = match self.probe().await {
                Ok(attached) => attached,
                Err(Trouble::NoServer) => {
                    *self.backoff.lock() = Backoff::default();
                    return Ready::Not(Way::NoServer);
                }
                Err(Trouble::TimedOut) => continue,
                Err(trouble) => return Ready::Not(Way::Trouble(trouble)),
            };
            if !able {
                return Ready::Not(Way::Plain(None));
            }
            let now = Instant::now();
            if let Some(until) = self.backoff.lock().not_before.filter(|until| now < *until) {
                return Ready::Not(Way::Plain(Some(until)));
            }
            slow = if now - asked > QUICK { slow + 1 } else { 0 };
            match settling.see(&running | &attached, now) {
                _ if slow >= SLOW => return Ready::Not(self.later()),
                Verdict::Connect if slow == 0 => return Ready::Connect,
                Verdict::Connect | Verdict::Wait => sleep(BETWEEN).await,
                Verdict::Later => return Ready::Not(self.later()),
            }
        }
    }

    /// The processes of control clients like ours of this server, including those that are not attached yet, or not
    /// any more; `None` when unknown.
    async fn running(&self) -> Option<BTreeSet<u32>> {
        let command = tmux(&self.config.program, &self.config.socket);
        let words = command.as_std().get_args().map(|word| word.to_string_lossy().into_owned());
        let words: Vec<String> =
            words.chain(["-N"].iter().chain(&CONTROL).map(|word| (*word).to_owned())).collect();
        let running = tokio::task::spawn_blocking(move || kernel::running(&words));
        timeout(self.config.command_limit, running).await.ok()?.ok()
    }

    /// Sends a query as a plain client.
    async fn probe(&self) -> Probed {
        let requests = [Request::of(["list-clients", "-F", "#{client_control_mode}:#{client_pid}"])];
        let mut closed = self.closed.subscribe();
        let printed = tokio::select! {
            biased;
            _ = closed.wait_for(|closed| *closed) => return Err(Trouble::Gone("the supervisor is shutting down".to_owned())),
            printed = self.plain(&requests, PROBE) => printed,
        };
        match printed {
            Ok(printed) => {
                Ok(printed.lines().filter_map(|line| line.strip_prefix("1:")?.parse().ok()).collect())
            }
            Err(Trouble::Refused { text, .. }) if meaning(&text) == Meaning::Empty => Ok(BTreeSet::new()),
            // The server ends, or is ending.
            Err(Trouble::Refused { text, .. }) => Err(Trouble::Gone(text)),
            Err(trouble) => Err(trouble),
        }
    }

    async fn connect(&self) -> Way {
        let opened = Connection::open(tmux(&self.config.program, &self.config.socket), self.notifier.clone());
        let trouble = match opened {
            Ok(connection) => match self.unless_broken(self.set_up(&connection)).await {
                Some(Ok(())) => {
                    *self.backoff.lock() = Backoff::default();
                    self.notifier.changed();
                    return Way::Control(Arc::new(connection));
                }
                failed => {
                    connection.dismiss().await;
                    failed.and_then(Result::err).unwrap_or(Lost::TimedOut)
                }
            },
            Err(lost) => lost,
        };
        match trouble {
            Lost::Gone(text) if meaning(&text) == Meaning::NoServer => Way::NoServer,
            Lost::Gone(_) | Lost::TimedOut => self.later(),
        }
    }

    async fn set_up(&self, connection: &Connection) -> Result<(), Lost> {
        connection.opened().await?;
        let setup = [
            Request::of(["refresh-client", "-f", "no-output,ignore-size"]),
            Request::of(["set-option", "-t", &format!("={OWN_SESSION}:"), "detach-on-destroy", "off"]),
            Request::of(["display-message", "-p", "#{pid}:#{start_time}"]),
        ];
        let mut told = String::new();
        for answer in connection.ask(&setup, PROBE).await? {
            told = answer.text.map_err(Lost::Gone)?;
        }
        if let Some((pid, start)) = told.split_once(':')
            && let (Ok(pid), Ok(start)) = (pid.parse(), start.parse())
        {
            self.servers.answered((pid, start));
        }
        Ok(())
    }

    /// Waits for a control client, as long as the server does not answer other clients either.
    async fn unless_broken<T>(&self, answer: impl Future<Output = T>) -> Option<T> {
        let answers_others = async {
            sleep(self.config.command_limit).await;
            while self.probe().await == Err(Trouble::TimedOut) {}
            sleep(GRACE).await;
        };
        tokio::select! {
            biased;
            answer = answer => Some(answer),
            () = answers_others => None,
        }
    }

    /// Uses subprocesses for a time that doubles with each failure.
    fn later(&self) -> Way {
        let mut backoff = self.backoff.lock();
        let wait = RETRY.saturating_mul(2_u32.saturating_pow(backoff.failures)).min(MAX_BACKOFF);
        backoff.failures += 1;
        backoff.not_before = Some(Instant::now() + wait);
        Way::Plain(backoff.not_before)
    }
}

enum Ready {
    Connect,
    Not(Way),
}
/// What the end of a subprocess with these requests means.
fn outcome_of(ended: Result<String, Bad>, requests: &[Request]) -> Result<String, Trouble> {
    match ended {
        Ok(printed) => Ok(printed),
        Err(Bad::TimedOut) => Err(Trouble::TimedOut),
        Err(Bad::Refused(text)) if meaning(&text) == Meaning::NoServer => Err(Trouble::NoServer),
        Err(Bad::Refused(text)) => {
            let request = requests.iter().map(Request::shown).collect::<Vec<_>>().join("; ");
            Err(Trouble::Refused { request, text })
        }
    }
}
