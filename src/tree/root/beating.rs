//! The root and its heartbeat: asks the parts, and receives their answers.

use std::sync::Arc;

use super::{Reason, RootMsg, RootState};
use crate::{
    agent::{actor::AgentMsg, pollers},
    ports::problems::ProblemKey,
    sessions::scan::{Scan, scan_within},
    supervision::{
        heartbeat::Complete,
        messages::{Beat, Broadcast, Report},
    },
    town::identity::Identity,
    tree::housekeeping,
    watchers::sessions::{NAME as SESSIONS, Seen, WatchMsg},
};

/// A heartbeat's deadline has this many parts: one to wait for the session watch's scan, one for a scan of its own,
/// and the rest for the answers.
const STEPS: u32 = 3;
/// The problem that a part of the supervisor is late in a heartbeat.
const LATE: ProblemKey = ProblemKey::named("heartbeat/late").critical();

impl RootState {
    pub(super) fn begin_heartbeat(&mut self) {
        let deps = &self.plan.deps;
        if let Some(number) = self.heartbeat.begin(deps.now()) {
            tracing::info!("Heartbeat starting (recovery-focused)");
            let deadline = deps.settings().heartbeat.deadline;
            self.scan_timer.set(&mut self.work, deadline / STEPS, |_| RootMsg::ScanIsLate(number));
            self.deadline.set(&mut self.work, deadline, |_| RootMsg::Deadline(number));
            self.read_town(Reason { heartbeat: Some(number), asked: false });
        }
    }

    /// Asks the session watch to scan for this heartbeat; when it is suspended, the heartbeat continues without it.
    pub(super) fn ask_for_scan(&mut self, number: u64) {
        if !self.children.cast(SESSIONS, WatchMsg::ScanFor(number)) {
            self.heartbeat.scan_missed(number);
            self.scan_without_the_watch(number);
        }
    }

    /// A heartbeat does not depend on any one actor: when the session watch's scan does not come in time, the root
    /// scans.
    pub(super) fn scan_without_the_watch(&mut self, number: u64) {
        if !self.heartbeat.is_to_ask(number) {
            return;
        }
        let (deps, now) = (self.plan.deps.clone(), self.plan.deps.now());
        let limit = deps.settings().heartbeat.deadline / STEPS;
        let panicked = Arc::new(Scan::failed(now, "a scan panicked".to_owned()));
        self.work.spawn(
            async move {
                let scan = scan_within(limit, &*deps.sessions, &*deps.processes, now).await;
                RootMsg::Scanned(number, Arc::new(scan))
            },
            RootMsg::Scanned(number, panicked),
        );
    }

    pub(super) fn seen(&mut self, seen: Seen) {
        self.look_for_left_behind(&seen.scan);
        let Some(number) = seen.for_heartbeat else {
            return self.broadcast(&Broadcast::Scanned(seen.scan));
        };
        if self.heartbeat.is_to_ask(number) {
            self.ask_parts(number, seen.scan);
        } else {
            self.broadcast(&Broadcast::Scanned(seen.scan)); // it came late
        }
        let complete = self.heartbeat.scanned(number, self.plan.deps.now());
        self.complete(complete);
    }

    /// Asks every part, unless they were asked already.
    pub(super) fn ask_parts(&mut self, number: u64, scan: Arc<Scan>) {
        if !self.heartbeat.is_to_ask(number) {
            return;
        }
        let (mut parts, mut missed) = self.children.parts();
        for (identity, actor) in self.plan.deps.directory.actors() {
            if actor.is_running() { &mut parts } else { &mut missed }.push(identity.actor_name());
        }
        let complete = self.heartbeat.asked(number, parts, missed, self.plan.deps.now());
        let (deps, seen) = (self.plan.deps.clone(), scan.clone());
        self.work.run(async move { pollers::check(&deps, &seen).await });
        self.broadcast(&Broadcast::Heartbeat(Beat { number, scan }));
        self.complete(complete);
    }

    pub(super) fn reported(&mut self, report: Report) {
        match report {
            Report::Probed { number, part, delegated, missed } => {
                let now = self.plan.deps.now();
                let complete = self.heartbeat.answered(number, &part, delegated, missed, now);
                self.complete(complete);
            }
            Report::DeaconHeld(held) => {
                self.deacon_held = held;
                self.plan.deps.directory.send(&Identity::Boot, Broadcast::DeaconHeld(held));
            }
            Report::ActorRestarted => self.hint_scan(),
            Report::DoltAnswers => {
                for message in [Broadcast::DoltAnswers, Broadcast::ReadMail, Broadcast::ReadBeads] {
                    self.broadcast(&message);
                }
            }
            Report::MailRead(messages) => self.broadcast(&Broadcast::Mail(messages)),
            // Handled elsewhere: by `handle`, which may have to create an actor, and by the rig.
            Report::Asked(_) | Report::Idle(_) => {}
            Report::CheckDeacon => {
                self.children.cast(&Identity::Deacon.actor_name(), AgentMsg::Probe);
            }
        }
    }

    pub(super) fn complete(&mut self, complete: Option<Complete>) {
        let Some(Complete { number, late, took }) = complete else {
            return;
        };
        self.plan.deps.metrics.heartbeat(late.is_empty(), took);
        let problems = &self.plan.deps.problems;
        if late.is_empty() {
            problems.clear(&LATE);
            tracing::info!("Heartbeat complete (#{number})");
        } else {
            let late = late.into_iter().collect::<Vec<_>>().join(", ");
            problems.report(LATE, format!("late in the heartbeat: {late}"));
            tracing::info!("Heartbeat complete (#{number}), except: {late}");
        }
        let (deps, process, last) = (self.plan.deps.clone(), self.plan.process, self.heartbeat.last());
        self.work.run(async move { housekeeping::write_state(&deps, process, true, last, number).await });
        self.arm_heartbeat();
    }

    pub(super) fn arm_heartbeat(&mut self) {
        let deps = &self.plan.deps;
        let due = self.heartbeat.next_in(deps.settings().heartbeat.interval, deps.now());
        self.timer.set(&mut self.work, due, RootMsg::HeartbeatDue);
    }
}
