//! Notify: what the service manager hears from a supervisor that runs as its service (`sd_notify`).
//!
//! `READY=1` after the first heartbeat, in which every agent was observed; `WATCHDOG=1` while every actor answers; `STATUS=` with the
//! agents by state; `STOPPING=1` when a stop was requested. Nothing is sent for a reload: the unit reloads by
//! `gastown-supervisor reload`, which returns when the settings are in force. This module must not decide anything about an
//! agent, and a service manager that does not listen must not delay anything.
#![allow(clippy::disallowed_methods, reason = "the adapter that writes to the service manager's socket")]

use std::{
    collections::BTreeMap,
    convert::Infallible,
    env,
    future::pending,
    sync::mpsc::{SyncSender, sync_channel},
    thread,
    time::Duration,
};

use ractor::ActorRef;
use sd_notify::NotifyState;
use tokio::{
    sync::watch,
    time::{sleep, timeout},
};

use crate::{
    control::gather::{Wave, ask_all},
    deps::Deps,
    supervision::child::{Answer, ask},
    tree::root::RootMsg,
};

/// The root that runs now; `None` before the first.
pub type Roots = watch::Receiver<Option<ActorRef<RootMsg>>>;

/// How often to check whether the first heartbeat is complete.
const POLL: Duration = Duration::from_millis(100);
/// How long the root has for an answer about it.
const ANSWER: Duration = Duration::from_secs(1);
/// A supervisor is ready after this, whatever its first heartbeat still waits for: less than the unit gives it.
const READY_AT_LATEST: Duration = Duration::from_secs(30);
/// The actors are asked this many times within the time after which the service manager would end the supervisor, however slow
/// an answer is. So two slow answers in a row do not matter.
const TRIES: u32 = 4;
/// How many messages may wait for a service manager that does not read.
const QUEUE: usize = 8;

/// The service manager. Without one, nothing is sent.
pub struct ServiceManager {
    send: Option<Box<dyn Fn(String) + Send + Sync>>,
    watchdog: Option<Duration>,
}

impl ServiceManager {
    /// The one that started this process, by its variables.
    pub fn of_this_process() -> Self {
        if env::var_os("NOTIFY_SOCKET").is_none() {
            return ServiceManager { send: None, watchdog: None };
        }
        let to_manager = sender();
        let send = move |message| {
            // A full queue: the service manager does not read, and misses what it would not act on.
            let _ = to_manager.try_send(message);
        };
        ServiceManager { send: Some(Box::new(send)), watchdog: sd_notify::watchdog_enabled() }
    }

    /// One that receives messages this way, and ends the supervisor when it hears nothing for that long.
    #[cfg_attr(not(feature = "test-support"), expect(dead_code, reason = "tests use it"))]
    pub fn new(send: impl Fn(String) + Send + Sync + 'static, watchdog: Option<Duration>) -> Self {
        ServiceManager { send: Some(Box::new(send)), watchdog }
    }

    /// Reports that a stop was requested.
    pub fn stopping(&self) {
        self.notify(&[NotifyState::Stopping]);
    }

    /// Reports readiness, and that all is well as long as it is. Never returns.
    pub async fn keep_notified(&self, deps: &Deps, roots: Roots) -> Infallible {
        if self.send.is_none() {
            return pending().await;
        }
        tokio::select! {
            never = self.announce(roots.clone()) => never,
            never = self.feed_the_watchdog(deps, roots) => never,
        }
    }

    async fn announce(&self, mut roots: Roots) -> Infallible {
        let first_heartbeat = async {
            loop {
                let root = current(&mut roots).await;
                if ask(&root, RootMsg::Status, ANSWER).await.is_some_and(|it| it.heartbeat.count > 0) {
                    return;
                }
                sleep(POLL).await;
            }
        };
        let _ = timeout(READY_AT_LATEST, first_heartbeat).await;
        self.notify(&[NotifyState::Ready]);
        pending().await
    }

    async fn feed_the_watchdog(&self, deps: &Deps, mut roots: Roots) -> Infallible {
        let Some(watchdog) = self.watchdog else { return pending().await };
        let (pause, mut well) = (watchdog / TRIES, true);
        loop {
            let Ok(root) = timeout(pause, current(&mut roots)).await else {
                // A disk that does not answer yet: another process would wait for it as well.
                self.notify(&[NotifyState::Watchdog, NotifyState::Status("reading its files")]);
                continue;
            };
            let asked = deps.now();
            let wave = ask_all(deps, &root, pause).await;
            let trouble = silence(wave.as_ref());
            match (&trouble, wave) {
                (None, Some(wave)) => {
                    self.notify(&[NotifyState::Watchdog, NotifyState::Status(&summary(&wave))]);
                }
                (trouble, _) => {
                    self.notify(&[NotifyState::Status(trouble.as_deref().unwrap_or_default())]);
                }
            }
            match (well, &trouble) {
                (true, Some(why)) => tracing::warn!("the service manager's watchdog is not fed: {why}"),
                (false, None) => tracing::info!("the service manager's watchdog is fed again"),
                _ => {}
            }
            well = trouble.is_none();
            sleep(pause.saturating_sub(deps.now().since(asked))).await;
        }
    }

    fn notify(&self, states: &[NotifyState<'_>]) {
        if let Some(send) = &self.send {
            send(states.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"));
        }
    }
}

async fn current(roots: &mut Roots) -> ActorRef<RootMsg> {
    match roots.wait_for(Option::is_some).await.map(|root| root.clone()) {
        Ok(Some(root)) => root,
        // The supervisor ends.
        _ => pending().await,
    }
}

/// Who does not answer, for people; `None` when all do.
fn silence(wave: Option<&Wave>) -> Option<String> {
    match wave {
        None => Some("the root actor does not answer".to_owned()),
        Some(wave) if wave.silent.is_empty() => None,
        Some(wave) => Some(format!("no answer from: {}", wave.silent.join(", "))),
    }
}

/// The agents by state: `3 agents: 2 alive, 1 paused`.
fn summary(wave: &Wave) -> String {
    let mut states = BTreeMap::<&str, usize>::new();
    for (_, answer) in &wave.answers {
        if let Some(Answer::Agent(agent)) = answer {
            *states.entry(agent.state).or_default() += 1;
        }
    }
    let all: usize = states.values().sum();
    let each: Vec<_> = states.iter().map(|(state, count)| format!("{count} {state}")).collect();
    let agents = if all == 1 { "agent" } else { "agents" };
    format!("{all} {agents}{}{}", if all == 0 { "" } else { ": " }, each.join(", "))
}

/// A thread that writes to the socket, which may block. A failure is reported once.
fn sender() -> SyncSender<String> {
    let (to_manager, messages) = sync_channel::<String>(QUEUE);
    let write = move || {
        let mut failed = false;
        for message in messages {
            if let Err(error) = sd_notify::notify(&[NotifyState::Custom(&message)])
                && !std::mem::replace(&mut failed, true)
            {
                tracing::warn!("the service manager cannot be notified (NOTIFY_SOCKET): {error}");
            }
        }
    };
    // Without the thread nothing is sent: the queue has no reader.
    let _ = thread::Builder::new().name("notify".to_owned()).spawn(write);
    to_manager
}
