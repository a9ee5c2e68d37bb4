//! The link: finds the way to the server for each request — the living connection, a new one, or a subprocess.
//!
//! It connects when first asked and again after a connection ended, never by itself, and never starts a server unless
//! the request is to create a session. Connecting happens once at a time; whoever waited for an attempt shares its
//! outcome, so that a server that hangs or is not there costs one attempt, not one for each caller.
#![allow(clippy::disallowed_methods, reason = "part of the tmux adapter, which runs tmux")]

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::time::{Instant, sleep, timeout};

use super::{
    TmuxConfig,
    control::{Connection, Lost},
    herald::Herald,
    list::Server,
    program::tmux,
    request::Request,
    subprocess::{self, Bad},
    target::OWN_SESSION,
    version::{Ability, ability},
    words::{Meaning, meaning},
};

/// Right after `kill-server` connecting can fail for this long.
const RETRY: Duration = Duration::from_millis(100);
/// The longest time without an attempt to connect while control connections keep failing.
const MAX_BACKOFF: Duration = Duration::from_secs(30);
/// How long taking our own session away may take.
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
    /// The connection broke, or could not be made.
    Gone(String),
    /// No answer within the limit.
    TimedOut,
}

/// What a request is for, which decides what may be done to carry it out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Can be repeated when the connection breaks under it.
    Repeatable,
    /// Must not be repeated: it may have been carried out.
    Once,
    /// As [`Purpose::Once`], and the server is started when there is none.
    Create,
}

enum Way {
    Control(Arc<Connection>),
    Subprocess,
}

#[derive(Debug, Default)]
struct Attempts {
    ability: Option<Ability>,
    failed: Option<(Instant, Trouble)>,
    failures: u32,
    not_before: Option<Instant>,
}

#[derive(Debug, Default)]
struct Seen {
    server: Option<Server>,
    generation: u64,
}

/// The way to one server.
#[derive(Debug)]
pub struct Link {
    config: TmuxConfig,
    herald: Herald,
    current: Mutex<Option<Arc<Connection>>>,
    attempts: tokio::sync::Mutex<Attempts>,
    seen: Mutex<Seen>,
    closed: AtomicBool,
    /// An attempt to connect began and did not come to its end, as whoever made it was dropped meanwhile; whether it
    /// was to start a server.
    unfinished: Mutex<Option<bool>>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Link {
    /// A link that is not made yet.
    pub fn new(config: TmuxConfig, herald: Herald) -> Self {
        Link {
            config,
            herald,
            current: Mutex::default(),
            attempts: tokio::sync::Mutex::default(),
            seen: Mutex::default(),
            closed: AtomicBool::new(false),
            unfinished: Mutex::default(),
        }
    }

    /// Carries out requests in order and returns what they printed; the first refusal is the outcome.
    pub async fn run(&self, requests: &[Request], purpose: Purpose) -> Result<String, Trouble> {
        let mut broken = String::new();
        for _ in 0..3 {
            match self.way(purpose == Purpose::Create).await {
                Ok(Way::Subprocess) => return self.by_subprocess(requests).await,
                Ok(Way::Control(connection)) => match self.by_control(&connection, requests).await {
                    Err(Trouble::Gone(reason)) if purpose == Purpose::Repeatable => broken = reason,
                    outcome => return outcome,
                },
                Err(Trouble::Gone(reason)) => {
                    broken = reason;
                    sleep(RETRY).await;
                }
                Err(other) => return Err(other),
            }
        }
        Err(Trouble::Gone(broken))
    }

    /// What the installed tmux can do.
    pub async fn ability(&self) -> Result<Ability, Trouble> {
        self.known_ability(&mut *self.attempts.lock().await).await
    }

    /// Notes which server answered. Returns whether it is another one than before.
    pub fn answered(&self, server: Server) -> bool {
        let mut seen = locked(&self.seen);
        let other = seen.server != Some(server);
        if other {
            *seen = Seen { server: Some(server), generation: seen.generation + 1 };
        }
        other
    }

    /// Which incarnation of the server answered last; 0 before the first.
    pub fn generation(&self) -> u64 {
        locked(&self.seen).generation
    }

    /// Takes our own session away, unless another supervisor uses it too, and lets the connection go. Nothing is
    /// carried out any more after this.
    pub async fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
        let connection = locked(&self.current).take();
        let unfinished = *locked(&self.unfinished);
        let farewell = async {
            match (connection, unfinished) {
                (Some(connection), _) => drop(leave(&connection).await),
                (None, Some(may_have_started)) => self.take_back(may_have_started).await,
                (None, None) => {}
            }
        };
        // The next supervisor uses the session again if this fails.
        let _ = timeout(FAREWELL, farewell).await;
    }

    /// An attempt to connect that was cut short may have made our session all the same, and even a server for it.
    async fn take_back(&self, may_have_started: bool) {
        loop {
            match self.connect(false).await {
                Ok(connection) => {
                    // The client that was cut short still counts for a moment.
                    while leave(&connection).await == Some(false) {
                        sleep(RETRY / 20).await;
                    }
                    return;
                }
                // A server that is just starting has our session before it has its socket.
                Err(Trouble::NoServer) if may_have_started => sleep(RETRY / 20).await,
                Err(_) => return,
            }
        }
    }

    fn living(&self) -> Option<Arc<Connection>> {
        locked(&self.current).clone().filter(|connection| !connection.is_gone())
    }

    async fn way(&self, may_start: bool) -> Result<Way, Trouble> {
        let called = Instant::now();
        if let Some(connection) = self.living() {
            return Ok(Way::Control(connection));
        }
        let mut attempts = self.attempts.lock().await;
        if self.closed.load(Ordering::SeqCst) {
            return Err(Trouble::Refused { request: "tmux".into(), text: "we are shutting down".into() });
        }
        if let Some(connection) = self.living() {
            return Ok(Way::Control(connection));
        }
        if let Some((began, trouble)) = &attempts.failed
            && *began >= called
            && !(may_start && *trouble == Trouble::NoServer)
        {
            return Err(trouble.clone());
        }
        let able = self.known_ability(&mut attempts).await?;
        let too_soon = attempts.not_before.is_some_and(|moment| Instant::now() < moment);
        if able != Ability::Control || !self.config.control || too_soon {
            return Ok(Way::Subprocess);
        }
        self.attempt(&mut attempts, may_start).await
    }

    async fn attempt(&self, attempts: &mut Attempts, may_start: bool) -> Result<Way, Trouble> {
        let began = Instant::now();
        *locked(&self.unfinished) = Some(may_start);
        let outcome = self.connect(may_start).await;
        *locked(&self.unfinished) = None;
        let trouble = match outcome {
            Ok(connection) => {
                *attempts = Attempts { ability: attempts.ability, ..Attempts::default() };
                let connection = Arc::new(connection);
                // `close` may have come meanwhile: then nobody may find it.
                if !self.closed.load(Ordering::SeqCst) {
                    *locked(&self.current) = Some(connection.clone());
                }
                self.herald.changed();
                return Ok(Way::Control(connection));
            }
            Err(trouble) => trouble,
        };
        if trouble == Trouble::NoServer {
            (attempts.failures, attempts.not_before) = (0, None);
        } else {
            let backoff = RETRY.saturating_mul(2_u32.saturating_pow(attempts.failures)).min(MAX_BACKOFF);
            attempts.failures += 1;
            attempts.not_before = Some(began + backoff);
        }
        attempts.failed = Some((began, trouble.clone()));
        Err(trouble)
    }

    async fn connect(&self, may_start: bool) -> Result<Connection, Trouble> {
        let lost = |lost| match lost {
            Lost::Gone(text) if meaning(&text) == Meaning::NoServer => Trouble::NoServer,
            Lost::Gone(text) => Trouble::Gone(text),
            Lost::TimedOut => Trouble::TimedOut,
        };
        let limit = self.config.command_limit;
        let command = tmux(&self.config.program, &self.config.socket);
        let connection =
            Connection::open(command, may_start, limit, self.herald.clone()).await.map_err(lost)?;
        let setup = [
            Request::of(["refresh-client", "-f", "no-output,ignore-size"]),
            Request::of(["set-option", "-t", &format!("={OWN_SESSION}:"), "detach-on-destroy", "off"]),
            Request::of(["display-message", "-p", "#{pid}:#{start_time}"]),
        ];
        let answers = connection.ask(&setup, limit).await.map_err(lost)?;
        let mut told = String::new();
        for answer in answers {
            told = answer.text.map_err(Trouble::Gone)?;
        }
        if let Some((pid, start)) = told.split_once(':')
            && let (Ok(pid), Ok(start)) = (pid.parse(), start.parse())
        {
            self.answered((pid, start));
        }
        Ok(connection)
    }

    async fn by_control(
        &self,
        connection: &Arc<Connection>,
        requests: &[Request],
    ) -> Result<String, Trouble> {
        let answers = match connection.ask(requests, self.config.command_limit).await {
            Ok(answers) => answers,
            Err(Lost::Gone(reason)) => return Err(Trouble::Gone(reason)),
            Err(Lost::TimedOut) => {
                self.give_up(connection);
                return Err(Trouble::TimedOut);
            }
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

    /// A connection that does not answer is dropped, so that the next request makes a new one.
    fn give_up(&self, connection: &Arc<Connection>) {
        let mut current = locked(&self.current);
        if current.as_ref().is_some_and(|current| Arc::ptr_eq(current, connection)) {
            *current = None;
            self.herald.changed();
        }
    }

    async fn by_subprocess(&self, requests: &[Request]) -> Result<String, Trouble> {
        let command = tmux(&self.config.program, &self.config.socket);
        match subprocess::run(command, requests, self.config.command_limit).await {
            Ok(printed) => Ok(printed),
            Err(Bad::TimedOut) => Err(Trouble::TimedOut),
            Err(Bad::Refused(text)) if meaning(&text) == Meaning::NoServer => Err(Trouble::NoServer),
            Err(Bad::Refused(text)) => {
                let request = requests.iter().map(Request::shown).collect::<Vec<_>>().join("; ");
                Err(Trouble::Refused { request, text })
            }
        }
    }

    async fn known_ability(&self, attempts: &mut Attempts) -> Result<Ability, Trouble> {
        if let Some(known) = attempts.ability {
            return Ok(known);
        }
        let program = self.config.program.display();
        let command = tmux(&self.config.program, &self.config.socket);
        let line = match subprocess::run(command, &[Request::of(["-V"])], self.config.command_limit).await {
            Ok(line) => line,
            Err(Bad::TimedOut) => return Err(Trouble::TimedOut),
            Err(Bad::Refused(reason)) => {
                return Err(Trouble::Unavailable(format!(
                    "tmux cannot be run as {program} ({reason}): install tmux 3.2 or later, or set commands.tmux"
                )));
            }
        };
        let able = ability(&line);
        if able == Ability::TooOld {
            return Err(Trouble::Unavailable(format!(
                "{program} is {}, which is too old: install tmux 3.2 or later, or set commands.tmux",
                line.trim()
            )));
        }
        attempts.ability = Some(able);
        Ok(able)
    }
}

/// Takes our own session away; false when somebody else uses it too, and it was left. `None`: the server does not answer.
async fn leave(connection: &Connection) -> Option<bool> {
    let target = format!("={OWN_SESSION}:");
    let users = Request::of(["display-message", "-p", "-t", &target, "#{session_attached}"]);
    let users = connection.ask(&[users], FAREWELL).await.ok()?.pop()?.text.ok()?;
    if users != "1" {
        return Some(false);
    }
    connection.ask(&[Request::of(["kill-session", "-t", &target])], FAREWELL).await.ok()?;
    Some(true)
}
