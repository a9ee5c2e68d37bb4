//! Run: one root after the other, until a stop is requested or the root crashes too often.
//!
//! The simulation calls the same function as the service. It must not know where the signals come from.

use ractor::{Actor, ActorRef};

use super::{
    budget::{Budget, Crashes, Verdict},
    housekeeping,
    root::{Root, RootMsg, RootPlan, running_line},
};
use crate::{
    panics::Named,
    signals::{Signal, Signals},
    stopping,
};

/// Why the supervisor cannot continue.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
pub enum RunError {
    /// The root crashed more often than its budget allows.
    #[error("the root actor crashed too often: {0}")]
    RootCrashed(String),
}

/// Runs the tree until a stop signal. Agents keep running; the actors are gone when it returns.
///
/// `root_up` gets each new root, so that tests and status can ask it.
pub async fn run(
    plan: RootPlan,
    signals: Signals,
    root_up: impl Fn(ActorRef<RootMsg>),
) -> Result<(), RunError> {
    let deps = plan.deps.clone();
    tokio::select! {
        biased;
        () = signals.stopped() => return Ok(()), // a stop was requested before it started
        () = remember(&plan) => {}
    }
    let mut crashes = Crashes::default();
    loop {
        // The last allowed root does not fail because of one actor: then the town continues as well as it can without
        // it.
        let may_fail = crashes.allow_another(deps.now().mono, Budget::default());
        let plan = RootPlan { may_fail, ..plan.clone() };
        match run_root(&plan, &signals, &root_up).await {
            RootEnd::Stopped => return Ok(()),
            RootEnd::Crashed(why) => match crashes.crashed(deps.now().mono, Budget::default()) {
                Verdict::Restart => {
                    tracing::error!("the root actor crashed, restarted: {why}");
                    deps.metrics.actor_restarted("root");
                }
                Verdict::Suspend(_) => return Err(RunError::RootCrashed(why)),
            },
        }
    }
}

/// Loads what the last supervisor stored.
async fn remember(plan: &RootPlan) {
    let deps = &plan.deps;
    housekeeping::write_state(deps, plan.process, true, None, 0).await;
    housekeeping::write_running_file(deps).await;
    deps.records.load(deps).await;
    deps.accounts.load(deps).await;
    deps.alerts.load(deps).await;
    if deps.dialect().facts().has_gt {
        deps.starts.role_beads.load(deps).await;
    }
    if let Some(own) = &plan.one_file {
        own.kept.load(deps).await;
    }
}

enum RootEnd {
    Stopped,
    Crashed(String),
}

async fn run_root(plan: &RootPlan, signals: &Signals, root_up: &impl Fn(ActorRef<RootMsg>)) -> RootEnd {
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
            _ = &mut ended => return RootEnd::Crashed("it ended without a request".to_owned()),
        };
        let told = match signal {
            Signal::Stop => break,
            Signal::HeartbeatNow => root.cast(RootMsg::HeartbeatNow),
            Signal::RereadRestartState => root.cast(RootMsg::RereadRestartState),
            Signal::Reload => root.cast(RootMsg::Reload),
        };
        if told.is_err() {
            return RootEnd::Crashed("it takes no messages".to_owned());
        }
    }
    // Stop, wait, kill, wait: the root stops its children as it ends.
    root.stop(None);
    // Noted first: a stop on request is no crash, however it ends.
    let closing = tokio::time::timeout(stopping::FILES, plan.deps.alerts.close(&plan.deps));
    let stopping = tokio::time::timeout(stopping::ROOT, &mut ended);
    if tokio::join!(stopping, closing).0.is_err() {
        tracing::warn!("the root actor did not stop within {:?}, killed", stopping::ROOT);
        root.kill();
        let _ = tokio::time::timeout(stopping::KILL, ended).await;
    }
    RootEnd::Stopped
}
