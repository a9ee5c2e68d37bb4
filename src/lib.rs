//! `gastown-supervisor` keeps a *Gas Town* alive: a workspace where many AI coding agents work side by side, each in its
//! own tmux session.
//!
//! # Theory of operation
//!
//! There are two kinds of supervision, and they are never confused. **Actors** are tasks of this process; a supervisor
//! actor restarts one that crashes. **Agents** are processes in tmux sessions; actors watch them and restart them by rule.
//! The crash of an actor never starts, ends or doubles an agent: a restarted actor observes first.
//!
//! ```text
//! root ── session watch          hears of every end, looks at everything: on a hint, at a heartbeat, every minute
//!      ├─ operator watch         sees Gas Town's own commands at work
//!      ├─ death window           makes one alert of many deaths
//!      ├─ convoy                 has convoys checked when beads they wait for are closed
//!      ├─ feed                   puts what happens into readable lines
//!      ├─ control                answers whoever asks, on a socket
//!      ├─ mail                   reads the deacon's inbox, and claims what is asked for there
//!      ├─ mayor                  owns the mayor, once somebody asked for it
//!      ├─ deacon                 owns the deacon: keeps it running and making progress
//!      ├─ boot                   spawns the short agent that looks at the deacon
//!      └─ rig supervisor (each)  ── witness   owns the rig's witness
//!                                ├─ refinery  owns the rig's refinery
//!                                ├─ polecat   owns one polecat, for each of the rig
//!                                ├─ polecats  lists them, and attends to those just spawned
//!                                ├─ census    reads their beads, once for everybody
//!                                └─ crew      owns a crew member, once somebody asked for it
//! ```
//!
//! A death takes one road, whoever died: the kernel or tmux tells of an end ([`sessions::Sessions::ends`]); the roster
//! makes one death of all that tell of it ([`sessions::roster`]); the owner looks, notes who of Gas Town's commands is at
//! work ([`operator`]), waits, looks again and judges ([`agent::confirmation`]); the restart policy says when a start may
//! follow ([`agent::restart`]); what nobody meant is told, and counted in the death window ([`deaths`]).
//!
//! A request takes one road too: it is read from the deacon's mail and claimed on disk ([`lifecycle::claim`]), and the owner of
//! the agent it is about carries it out ([`agent::lifecycle`], `asked`). What the ledger says of a rig's agents is read once
//! a heartbeat ([`ledger::snapshot`]) and only ever nominates.
//!
//! What happened to an agent, and why nothing was done where nothing was done, is kept for people as a projection of all that
//! ([`agent::history`]); nobody decides anything by it. Whoever asks for it is answered beside everything else ([`control`]).
//! What happens in the town is carried from its event log to its feed ([`feed`]), each event once.
//!
//! Each agent has exactly one owner ([`agent::owner`]), and only the owner starts, nudges or ends it. What it does is
//! decided by one pure state machine ([`agent::lifecycle`]) from what was observed; what could not be observed is a third
//! answer, on which nothing is done. Rules are plain functions (`rules.rs`), actors move messages (`actor.rs`), effects
//! live behind ports: [`sessions::Sessions`], [`processes::Processes`], [`commands::Commands`],
//! [`town::files::Files`], [`town::journal::Journals`], [`convoy::store::ConvoyStore`], [`ledger::store::BeadStore`], [`control::socket::Door`],
//! [`clock::Clock`].

use panics::Named;
use ractor::Actor;
pub use signals::{Signal, Signals};

pub mod agent;
pub mod audit;
pub mod boot;
pub mod clock;
pub mod commands;
pub mod control;
pub mod convoy;
pub mod deacon;
pub mod deaths;
pub mod deps;
pub mod doctor;
pub mod feed;
pub mod go_duration;
pub mod kept;
pub mod ledger;
pub mod lifecycle;
#[cfg(test)]
#[path = "../tests/support/limits.rs"]
mod limits;
pub mod operator;
pub mod panics;
pub mod polecat;
pub mod ports;
pub mod problems;
pub mod processes;
pub mod rig;
pub mod service;
pub mod sessions;
mod signals;
pub mod spawns;
pub mod sqlite;
mod stopping;
pub mod terminal;
pub mod town;
pub mod tree;
pub mod work;
pub mod writes;

use deps::Deps;
use tree::{
    budget::{Budget, Crashes, Verdict},
    chores::{self, Process},
    root::{Root, RootMsg, RootPlan, running_line},
};

/// Why the supervisor cannot go on.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
pub enum RunError {
    /// The root crashed more often than its budget allows.
    #[error("the root actor crashed too often: {0}")]
    RootCrashed(String),
}

/// Runs the tree until it is told to stop. Agents are left alive; the actors are gone when it returns.
///
/// `root_up` is told the root whenever one was made, so that tests and status can ask it.
pub async fn run(
    plan: RootPlan,
    signals: Signals,
    root_up: impl Fn(ractor::ActorRef<RootMsg>),
) -> Result<(), RunError> {
    let deps = plan.deps.clone();
    tokio::select! {
        biased;
        () = signals.stopped() => return Ok(()), // told to stop before it began
        () = remember(&deps, plan.process) => {}
    }
    let mut crashes = Crashes::default();
    loop {
        // The last root there may be does not fail because of one actor: then the town goes on as well as it can without it.
        let may_fail = crashes.allow_another(deps.now().mono, Budget::default());
        let plan = RootPlan { may_fail, ..plan.clone() };
        match run_root(&plan, &signals, &root_up).await {
            RootEnd::Stopped => return Ok(()),
            RootEnd::Crashed(why) => match crashes.crashed(deps.now().mono, Budget::default()) {
                Verdict::Restart => tracing::error!("the root actor crashed, restarted: {why}"),
                Verdict::Suspend(_) => return Err(RunError::RootCrashed(why)),
            },
        }
    }
}

/// Reads what survived the last supervisor.
async fn remember(deps: &Deps, process: Process) {
    chores::write_state(deps, process, true, None, 0).await;
    kept::once_it_answers(deps, &deps.paths.restart_state(), chores::UNREADABLE).await;
    if let Some(histories) = chores::read_restart_state(deps).await {
        deps.restarts.replace(histories);
    }
    deps.requests.load(deps).await;
    deps.holds.load(deps).await;
    deps.waits.load(deps).await;
    deps.lives.load(deps).await;
    deps.role_beads.load(deps).await;
    deps.incidents.load(deps).await;
    deps.histories.load(deps).await;
    deps.feed.load(deps).await;
}

enum RootEnd {
    Stopped,
    Crashed(String),
}

async fn run_root(
    plan: &RootPlan,
    signals: &Signals,
    root_up: &impl Fn(ractor::ActorRef<RootMsg>),
) -> RootEnd {
    let spawned = Actor::spawn(None, Named::new("root", Root), plan.clone()).await;
    let (root, mut ended) = match spawned {
        Ok(spawned) => spawned,
        Err(error) => return RootEnd::Crashed(error.to_string()),
    };
    tracing::info!("{}", running_line(plan.deps.settings().heartbeat.interval));
    root_up(root.clone());
    loop {
        let signal = tokio::select! {
            biased;
            signal = signals.next() => signal,
            _ = &mut ended => return RootEnd::Crashed("it ended unasked".to_owned()),
        };
        let told = match signal {
            Signal::Stop => break,
            Signal::LookNow => root.cast(RootMsg::LookNow),
            Signal::RereadRestartState => root.cast(RootMsg::RereadRestartState),
            Signal::Reload => root.cast(RootMsg::Reload),
        };
        if told.is_err() {
            return RootEnd::Crashed("it takes no messages".to_owned());
        }
    }
    // Ask, wait, kill, wait: the root stops its children in its own ending.
    root.stop(None);
    if tokio::time::timeout(stopping::ROOT, &mut ended).await.is_err() {
        tracing::warn!("the root actor did not stop within {:?}, killed", stopping::ROOT);
        root.kill();
        let _ = tokio::time::timeout(stopping::KILL, ended).await;
    }
    RootEnd::Stopped
}
