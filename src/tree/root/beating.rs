//! The root and its heartbeat: asking the parts, and hearing them.

use super::{RootChild, RootMsg, RootState, child::ChildRef};
use crate::{
    agent::identity::Identity,
    boot::actor::BootMsg,
    deacon::actor::DeaconMsg,
    sessions::{actor::Seen, death::Death},
    tree::{
        chores,
        heartbeat::Complete,
        part::{Beat, Report, Word},
    },
};

impl RootState {
    pub(super) fn begin_heartbeat(&mut self) {
        let deps = &self.plan.deps;
        if let Some(number) = self.heartbeat.begin(deps.now()) {
            tracing::info!("Heartbeat starting (recovery-focused)");
            let deadline = deps.settings().heartbeat.deadline;
            self.work.after(deadline, RootMsg::Deadline(number));
            self.read_town(Some(number));
        }
    }

    pub(super) fn seen(&mut self, seen: Seen) {
        let Some(number) = seen.for_heartbeat else {
            return self.tell_all(&Word::Swept(seen.sweep));
        };
        let parts: Vec<String> = self
            .children
            .running()
            .filter(|(child, _)| child.is_part())
            .map(|(child, _)| child.to_string())
            .collect();
        let complete = self.heartbeat.asked(number, parts, self.plan.deps.now());
        self.tell_all(&Word::Heartbeat(Beat { number, sweep: seen.sweep }));
        self.complete(complete);
    }

    /// Passes a death on to whoever owns the session. Which polecats a rig has only the rig knows.
    pub(super) fn died(&self, death: Death) {
        let naming = self.plan.deps.settings().tmux.naming;
        for (child, part) in self.children.running() {
            let theirs = match child {
                RootChild::Deacon => death.session == Identity::Deacon.session(naming, ""),
                RootChild::Rig(_) => true,
                _ => false,
            };
            if theirs {
                part.hear(Word::Died(death.clone()));
            }
        }
    }

    pub(super) fn reported(&mut self, report: Report) {
        match report {
            Report::Looked { number, part, delegated } => {
                let complete = self.heartbeat.answered(number, &part, delegated, self.plan.deps.now());
                self.complete(complete);
            }
            Report::DeaconHeld(held) => {
                self.deacon_held = held;
                if let Some(ChildRef::Boot(boot)) = self.children.get(&RootChild::Boot) {
                    let _ = boot.cast(BootMsg::DeaconHeld(held));
                }
            }
            Report::ActorRestarted => self.hint_sweep(),
            Report::MailRead(messages) => self.tell_all(&Word::Mail(messages)),
            // Taken by the handler, which may have to make an owner.
            Report::Asked(_) => {}
            Report::CheckDeacon => {
                if let Some(ChildRef::Deacon(deacon)) = self.children.get(&RootChild::Deacon) {
                    let _ = deacon.cast(DeaconMsg::CheckNow);
                }
            }
        }
    }

    pub(super) fn complete(&mut self, complete: Option<Complete>) {
        let Some(Complete { number, late }) = complete else {
            return;
        };
        let problems = &self.plan.deps.problems;
        if late.is_empty() {
            problems.clear("heartbeat/late");
        } else {
            let late = late.into_iter().collect::<Vec<_>>().join(", ");
            problems.report("heartbeat/late", format!("late in the heartbeat: {late}"));
        }
        tracing::info!("Heartbeat complete (#{number})");
        let (deps, process, last) = (self.plan.deps.clone(), self.plan.process, self.heartbeat.last());
        self.work.run(async move { chores::write_state(&deps, process, true, last, number).await });
        self.arm_heartbeat();
    }

    pub(super) fn arm_heartbeat(&mut self) {
        let deps = &self.plan.deps;
        let due = self.heartbeat.next_in(deps.settings().heartbeat.interval, deps.now());
        self.timer += 1;
        self.work.after(due, RootMsg::HeartbeatDue(self.timer));
    }
}
