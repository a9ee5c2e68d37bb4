//! tmux: the real adapter behind [`Sessions`].
//!
//! Everything goes over one control-mode connection to the server; where that is not possible, each request is a
//! subprocess. Nothing about the sessions is cached: each answer is the server's own. It must not decide what may be
//! started, typed or ended, never starts a server except to create a session in it, and names sessions exactly.
//!
//! The connection's tasks live and die with the [`Tmux`]. The first call must come from the thread that lives as long
//! as the process (a current-thread runtime), because the kernel ends the control client with the thread that made
//! it. The supervisor must never trigger a fault of tmux: `approach` lists what ends a server, and with it every
//! agent. Facts here were observed with tmux 3.3a unless noted otherwise.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::{
    sync::{broadcast, watch},
    time::timeout,
};

use self::{
    exits::ExitWatcher,
    link::{Link, Purpose, Trouble},
    list::{FORMAT, Listed, parse},
    lost::ServerSocket,
    notifier::Notifier,
    request::Request,
    target::exact,
};
pub use self::{
    list::listed_path,
    program::Socket,
    target::OWN_SESSION,
    version::{Ability, ability},
    words::{Meaning, meaning},
};
use super::{Fact, Key, KeyBinding, NewSession, PaneTarget, Place, Session, Sessions, SessionsError};
use crate::terminal;

mod approach;
pub mod attaching;
mod control;
mod exits;
mod kernel;
mod keys;
mod link;
mod list;
mod lost;
mod notifier;
mod program;
mod protocol;
mod quote;
mod request;
mod settling;
mod subprocess;
mod target;
mod version;
pub mod visiting;
mod words;

/// The time limit for giving the keys back.
const GIVE_BACK: Duration = Duration::from_millis(150);

/// How to use tmux.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TmuxConfig {
    /// The program: a path, or a name looked up on `PATH`.
    pub program: PathBuf,
    /// Which server.
    pub socket: Socket,
    /// How long to wait for an answer before the request fails.
    pub command_limit: Duration,
    /// False: never a control connection, only subprocesses (as with tmux 3.0 and 3.1).
    pub control: bool,
}

impl TmuxConfig {
    /// The usual way to use this server: `tmux` from `PATH`, over a control connection, 5 s for an answer.
    pub fn new(socket: Socket) -> Self {
        TmuxConfig { program: "tmux".into(), socket, command_limit: Duration::from_secs(5), control: true }
    }
}

/// One tmux server.
#[derive(Debug)]
pub struct Tmux {
    link: Link,
    exits: ExitWatcher,
    notifier: Notifier,
    buffers: AtomicU64,
    socket: ServerSocket,
    /// The keys bound by us, by table.
    bound: Mutex<BTreeSet<(&'static str, &'static str)>>,
}

impl Tmux {
    /// The adapter for a server; does nothing until its first request.
    pub fn new(config: TmuxConfig) -> Self {
        let notifier = Notifier::new();
        let socket = ServerSocket::new(&config.socket);
        Tmux {
            link: Link::new(config, notifier.clone()),
            exits: ExitWatcher::new(notifier.clone()),
            notifier,
            buffers: AtomicU64::new(0),
            socket,
            bound: Mutex::default(),
        }
    }

    /// Runs requests that concern the session of this name.
    async fn for_session(
        &self,
        name: &str,
        requests: &[Request],
        purpose: Purpose,
    ) -> Result<String, SessionsError> {
        self.link.run(requests, purpose).await.map_err(|trouble| error(trouble, requests, Some(name)))
    }

    /// Runs requests that concern one pane, named by its session's id and its own.
    async fn for_pane(
        &self,
        pane: &PaneTarget,
        requests: &[Request],
        purpose: Purpose,
    ) -> Result<String, SessionsError> {
        self.link.run(requests, purpose).await.map_err(|trouble| match trouble {
            Trouble::Refused { text, .. } if text.contains("can't find pane") => no_such_pane(pane),
            trouble => error(trouble, requests, Some(pane.session())),
        })
    }

    /// The target of a pane, after checking that it is still the same one: another server gives the same ids again,
    /// and a pane may run another process by now.
    async fn verified(&self, pane: &PaneTarget) -> Result<String, SessionsError> {
        let session = target::pane(pane.session_id(), pane.pane());
        let requests = [Request::of(["list-panes", "-s", "-F", FORMAT, "-t", &session])];
        let listed = self.read(&self.for_pane(pane, &requests, Purpose::Repeatable).await?);
        let is_it = |session: &Session| {
            let panes = &session.panes;
            session.name == pane.session()
                && panes.iter().any(|seen| !seen.dead && (&*seen.id, seen.pid) == (pane.pane(), pane.pid()))
        };
        match listed.sessions.iter().any(is_it) {
            true => Ok(session),
            false => Err(no_such_pane(pane)),
        }
    }

    /// Why the sessions are unknown although no server can be reached: the known server still runs without its
    /// socket. `None` when that is not the case.
    async fn lost_server(&self) -> Option<SessionsError> {
        let server = self.link.servers().last()?;
        if !self.socket.is_lost_by(server).await {
            return None;
        }
        self.socket.recreate(server);
        let shown = terminal::path(self.socket.path());
        let reason = format!("the server (PID {server}) runs, but its socket {shown} is gone");
        Some(SessionsError::Failed { command: "tmux".to_owned(), reason })
    }

    fn read(&self, printed: &str) -> Listed {
        let mut listed = parse(printed);
        if let Some(server) = listed.server {
            self.link.servers().answered(server);
            // tmux 3.3a can miss that a child has ended until the next one does; the kernel knows.
            let panes = listed.sessions.iter_mut().flat_map(|session| &mut session.panes);
            for pane in panes.filter(|pane| pane.dead && pane.exit_status.is_none()) {
                pane.exit_status = kernel::status_of_child(pane.pid, server.0);
            }
        }
        listed
    }

    /// Sets the option that keeps the server running without a client; otherwise it would end with our connection.
    async fn keep_server(&self) {
        if self.link.run(&[request::lasting_server()], Purpose::Repeatable).await.is_ok() {
            warn_of_exit_unattached();
        }
    }

    async fn listed_keys(&self, tables: BTreeSet<&'static str>) -> Result<String, SessionsError> {
        let requests: Vec<Request> =
            tables.into_iter().map(|table| Request::of(["list-keys", "-T", table])).collect();
        let listed = self.link.run(&requests, Purpose::Repeatable).await;
        listed.map_err(|trouble| error(trouble, &requests, None))
    }

    /// Restores the keys' own bindings, unless another supervisor uses the server and therefore the keys.
    async fn give_keys_back(&self) -> Option<()> {
        let bound = std::mem::take(&mut *self.bound.lock());
        if bound.is_empty() || !self.link.is_open() {
            return None;
        }
        let own = format!("={OWN_SESSION}:");
        let users = Request::of(["display-message", "-p", "-t", &own, "#{session_attached}"]);
        let users = self.link.run(&[users], Purpose::Once).await.unwrap_or_default();
        if users.parse::<u32>().is_ok_and(|users| users > 1) {
            return None;
        }
        let listed = self.listed_keys(bound.iter().map(|(table, _)| *table).collect()).await.ok()?;
        let back: Vec<Request> =
            bound.iter().filter_map(|(table, key)| keys::give_back(&listed, table, key)).collect();
        if !back.is_empty() {
            self.link.run(&back, Purpose::Once).await.ok()?;
        }
        Some(())
    }

    fn next_buffer(&self) -> String {
        let number = self.buffers.fetch_add(1, Ordering::Relaxed);
        format!("{OWN_SESSION}-{}-{number}", std::process::id())
    }

    async fn creation(&self, new: &NewSession, target: &str) -> Result<Vec<Request>, SessionsError> {
        let bare = request::new_session(new, FORMAT);
        let mut requests = match self.link.ability().await {
            Ok(Ability::Control) => vec![bare],
            Ok(_) => request::new_session_without_e(new, FORMAT, target),
            Err(trouble) => return Err(error(trouble, &[bare], Some(&new.name))),
        };
        let keep = new.keep_exit.then(|| request::keep_exit(target));
        let mark = [request::mark(target)];
        let shown = [request::ends_unattached()]; // read in `create`
        let then = keep.into_iter().chain(shown).chain(request::lasting(target)).chain(mark);
        drop(requests.splice(1..1, then));
        Ok(vec![Request::Together(requests)])
    }

    /// The last lines of a pane, captured with these flags.
    async fn captured(
        &self,
        pane: &PaneTarget,
        lines: u16,
        flags: &[&str],
    ) -> Result<Vec<String>, SessionsError> {
        let (target, start) = (target::pane(pane.session_id(), pane.pane()), format!("-{lines}"));
        let requests = [
            Request::of(["display-message", "-p", "-t", &target, "#{pane_pid}"]),
            Request::of(["capture-pane", "-p", "-t", &target, "-S", &start].iter().chain(flags).copied()),
        ];
        let printed = self.for_pane(pane, &requests, Purpose::Repeatable).await?;
        let (pid, printed) = printed.split_once('\n').unwrap_or((&printed, ""));
        // Since tmux 3.8 nothing is printed for a dead pane, which is listed with 0.
        if pid.trim().parse().unwrap_or(0) != pane.pid() {
            return Err(no_such_pane(pane));
        }
        // `-J` keeps the spaces at the ends of lines.
        let screen: Vec<&str> = printed.trim_end().lines().map(str::trim_end).collect();
        let skip = screen.len().saturating_sub(usize::from(lines));
        Ok(screen.into_iter().skip(skip).map(str::to_owned).collect())
    }
}

fn warn_of_exit_unattached() {
    tracing::warn!(
        "tmux option exit-unattached was on: the server, and every agent in it, would exit with the last client. It was \
         turned off; remove it from tmux.conf"
    );
}

fn target(name: &str) -> Result<String, SessionsError> {
    exact(name).ok_or_else(|| SessionsError::NoSuchSession(name.to_owned()))
}

fn no_such_pane(pane: &PaneTarget) -> SessionsError {
    SessionsError::NoSuchPane { session: pane.session().to_owned(), pane: pane.pane().to_owned() }
}

fn error(trouble: Trouble, requests: &[Request], name: Option<&str>) -> SessionsError {
    let first = || requests.first().map(Request::shown).unwrap_or_default();
    let failed = |command: String, reason: String| SessionsError::Failed { command, reason };
    match (trouble, name) {
        (Trouble::Unavailable(text), _) => SessionsError::Unavailable(text),
        (Trouble::NoServer, Some(name)) => SessionsError::NoSuchSession(name.to_owned()),
        (Trouble::NoServer, None) => failed(first(), "no tmux server is running".to_owned()),
        (Trouble::TimedOut, _) => failed(first(), "tmux did not answer in time".to_owned()),
        (Trouble::Gone(text), _) if text.is_empty() => {
            failed(first(), "the connection to the tmux server ended".to_owned())
        }
        (Trouble::Gone(text), _) => failed(first(), format!("no connection to the tmux server: {text}")),
        (Trouble::Refused { request, text }, name) => match (meaning(&text), name) {
            (Meaning::Missing | Meaning::Empty, Some(name)) => SessionsError::NoSuchSession(name.to_owned()),
            (Meaning::Duplicate, Some(name)) => SessionsError::Duplicate(name.to_owned()),
            _ => failed(request, text),
        },
    }
}

#[async_trait]
impl Sessions for Tmux {
    async fn list(&self) -> Result<Vec<Session>, SessionsError> {
        let requests = [Request::of(["list-panes", "-a", "-F", FORMAT]), request::ends_unattached()];
        let listed = match self.link.run(&requests, Purpose::Repeatable).await {
            Ok(printed) => {
                let listed = self.read(&printed);
                if printed.lines().last() == Some("on") && !listed.sessions.is_empty() {
                    self.keep_server().await;
                }
                listed
            }
            Err(Trouble::NoServer) => {
                if let Some(lost) = self.lost_server().await {
                    return Err(lost);
                }
                self.exits.server_exit().await;
                Listed::default()
            }
            Err(Trouble::Refused { text, .. }) if meaning(&text) == Meaning::Empty => Listed::default(),
            Err(trouble) => return Err(error(trouble, &requests, None)),
        };
        self.exits.watch(&listed, true);
        Ok(listed.sessions)
    }

    async fn find(&self, name: &str) -> Result<Option<Session>, SessionsError> {
        let Some(target) = exact(name) else { return Ok(None) };
        let requests = [Request::of(["list-panes", "-s", "-F", FORMAT, "-t", &target])];
        match self.for_session(name, &requests, Purpose::Repeatable).await {
            Ok(printed) => {
                let listed = self.read(&printed);
                self.exits.watch(&listed, false);
                Ok(listed.sessions.into_iter().find(|session| session.name == name))
            }
            Err(SessionsError::NoSuchSession(_)) if self.link.is_open() => Ok(None),
            Err(SessionsError::NoSuchSession(_)) => self.lost_server().await.map_or(Ok(None), Err),
            Err(error) => Err(error),
        }
    }

    async fn create(&self, new: &NewSession) -> Result<Session, SessionsError> {
        let unusable =
            |command: String, reason: &str| SessionsError::Failed { command, reason: reason.to_owned() };
        let Some(target) = exact(&new.name) else {
            let command = format!("tmux new-session -s {:?}", new.name);
            return Err(unusable(command, "no session can have this name"));
        };
        if !self.link.is_open()
            && let Some(lost) = self.lost_server().await
        {
            return Err(lost);
        }
        let requests = self.creation(new, &target).await?;
        let printed = self.for_session(&new.name, &requests, Purpose::Create).await?;
        let listed = self.read(&printed);
        self.exits.watch(&listed, false);
        if printed.lines().any(|line| line == "on") {
            warn_of_exit_unattached();
        }
        let mut session = listed
            .sessions
            .into_iter()
            .next()
            .ok_or_else(|| unusable(requests[0].shown(), "tmux did not report what it created"))?;
        // The mark was set after the session was shown.
        session.panes.iter_mut().for_each(|pane| pane.started_by_us = true);
        Ok(session)
    }

    async fn kill(&self, name: &str) -> Result<(), SessionsError> {
        let Some(target) = exact(name) else { return Ok(()) };
        let requests = [Request::of(["kill-session", "-t", &target])];
        match self.for_session(name, &requests, Purpose::Repeatable).await {
            Ok(_) | Err(SessionsError::NoSuchSession(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn paste(&self, pane: &PaneTarget, text: &str) -> Result<(), SessionsError> {
        let target = self.verified(pane).await?;
        let buffer = self.next_buffer();
        let requests = request::paste(&target, &buffer, text);
        if requests.is_empty() {
            return Ok(());
        }
        let outcome = self.for_pane(pane, &requests, Purpose::Once).await;
        if outcome.is_err() {
            // The buffer may have been filled and not used; if it was not filled, the error does not matter.
            let _ = self.link.run(&[Request::of(["delete-buffer", "-b", &buffer])], Purpose::Once).await;
        }
        outcome.map(drop)
    }

    async fn press(&self, pane: &PaneTarget, key: Key) -> Result<(), SessionsError> {
        let target = self.verified(pane).await?;
        self.for_pane(pane, &request::press(&target, key), Purpose::Once).await.map(drop)
    }

    async fn capture(&self, pane: &PaneTarget, lines: u16) -> Result<Vec<String>, SessionsError> {
        // What tmux wrapped is one line, as the program wrote it.
        self.captured(pane, lines, &["-J"]).await
    }

    async fn capture_with_attributes(
        &self,
        pane: &PaneTarget,
        lines: u16,
    ) -> Result<Vec<String>, SessionsError> {
        self.captured(pane, lines, &["-e"]).await
    }

    async fn set_options(&self, name: &str, options: &[(&'static str, String)]) -> Result<(), SessionsError> {
        let target = target(name)?;
        let set = |(option, value): &(&'static str, String)| {
            Request::of(["set-option", "-t", &target, option, value.as_str()])
        };
        let requests: Vec<Request> = options.iter().map(set).collect();
        if requests.is_empty() {
            return Ok(());
        }
        self.for_session(name, &requests, Purpose::Repeatable).await.map(drop)
    }

    async fn keep_exit(&self, pane: &PaneTarget) -> Result<(), SessionsError> {
        let requests = [request::keep_exit(&self.verified(pane).await?)];
        self.for_pane(pane, &requests, Purpose::Repeatable).await.map(drop)
    }

    async fn disarm(&self, name: &str) -> Result<(), SessionsError> {
        let session = self.find(name).await?.ok_or_else(|| SessionsError::NoSuchSession(name.to_owned()))?;
        let requests = request::disarm(session.panes.iter().map(|pane| pane.id.as_str()));
        self.for_session(name, &requests, Purpose::Repeatable).await.map(drop)
    }

    async fn remove_dead_panes(&self, name: &str) -> Result<(), SessionsError> {
        let Some(session) = self.find(name).await? else { return Ok(()) };
        for pane in session.panes.iter().filter(|pane| pane.dead) {
            let target = target::pane(&session.id, &pane.id);
            let requests = [Request::of(["kill-pane", "-t", &target])];
            match self.for_session(name, &requests, Purpose::Once).await {
                Ok(_) | Err(SessionsError::NoSuchSession(_)) => {}
                Err(SessionsError::Failed { reason, .. }) if reason.contains("can't find pane") => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    async fn run_in_background(&self, directory: &Path, command: &[String]) -> Result<(), SessionsError> {
        let requests = [request::run_in_background(directory, command)];
        let ran = self.link.run(&requests, Purpose::Once).await;
        ran.map(drop).map_err(|trouble| error(trouble, &requests, None))
    }

    async fn environment(&self, name: &str, variable: &str) -> Result<Option<String>, SessionsError> {
        let requests = [Request::of(["show-environment", "-t", &target(name)?, variable])];
        match self.for_session(name, &requests, Purpose::Repeatable).await {
            // A variable that is to be removed is shown as `-NAME`.
            Ok(line) => {
                let value = line.strip_prefix(variable).and_then(|rest| rest.strip_prefix('='));
                Ok(value.map(|value| value.strip_suffix('\n').unwrap_or(value).to_owned()))
            }
            Err(SessionsError::Failed { reason, .. }) if meaning(&reason) == Meaning::UnknownVariable => {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    async fn set_environment(&self, name: &str, variable: &str, value: &str) -> Result<(), SessionsError> {
        let requests = [Request::of(["set-environment", "-t", &target(name)?, variable, value])];
        self.for_session(name, &requests, Purpose::Repeatable).await.map(drop)
    }

    async fn bind_keys(&self, bindings: &[KeyBinding]) -> Result<(), SessionsError> {
        if bindings.is_empty() {
            return Ok(());
        }
        let listed = self.listed_keys(bindings.iter().map(|it| it.table).collect()).await?;
        let before = |it: &KeyBinding| keys::bound(&listed, it.table, it.key);
        let requests: Vec<Request> = bindings.iter().map(|it| keys::bind(it, &before(it))).collect();
        let outcome = self.link.run(&requests, Purpose::Repeatable).await;
        outcome.map_err(|trouble| error(trouble, &requests, None))?;
        let mut bound = self.bound.lock();
        bound.extend(bindings.iter().map(|it| (it.table, it.key)));
        Ok(())
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.notifier.changes()
    }

    fn facts(&self) -> broadcast::Receiver<Fact> {
        self.notifier.facts()
    }

    fn server_generation(&self) -> u64 {
        self.link.servers().generation()
    }

    fn place(&self) -> Place {
        let reached = self.link.is_open() || self.socket.is_there();
        Place {
            socket: self.socket.path().to_owned(),
            server: self.link.servers().last().filter(|_| reached),
        }
    }

    async fn recreate_socket(&self, server: u32) {
        self.socket.recreate(server);
    }

    async fn close(&self) {
        let _ = timeout(GIVE_BACK, self.give_keys_back()).await;
        self.link.close().await;
    }
}
