//! What an owner tells of its agent: log lines, events, mails, problems — all of them projections of the lifecycle's notices.
//!
//! It decides nothing, and nothing waits for what it tells.

use std::time::Duration;

use jiff::Timestamp;

use super::Owner;
use crate::{
    agent::{
        history::{Entry, story},
        identity::{Identity, Role},
        lifecycle::{Attempt, Notice, Obituary, StartEnd},
        restart,
        status::End,
        waits::Wait,
    },
    audit::{
        incidents::Condition,
        mailing::{self, IncidentMail},
    },
    clock::Now,
    deaths::rules::ConfirmedDeath,
    go_duration,
    ledger::{crash, events, mail, notify},
    polecat::texts,
    town::{events::Event as TownEvent, log::line::AS_IS},
};

impl Owner {
    pub(super) fn notice(&mut self, notice: Notice, now: Now) {
        let identity = &self.spec.identity;
        match notice {
            Notice::Told { line, .. } => tracing::info!("{identity}: {line}"),
            Notice::Keep(history) => self.deps.restarts.keep(identity, &history),
            Notice::Died(obituary) => self.tell_died(&obituary, now),
            Notice::StoppedByHand => {
                identity.rig().into_iter().for_each(|rig| self.deps.docked.read_again(rig));
            }
            Notice::Hold(hold) => {
                self.deps.holds.set(identity, hold);
                let deps = self.deps.clone();
                self.work.run(async move { drop(deps.holds.save(&deps).await) });
            }
            Notice::WaitsUntil(until, why) => self.keep_wait(Some(Wait { until, why }), now),
            Notice::Request(outcome) => self.request_came_to(outcome),
            Notice::TurnTaken => self.deps.deaths.take_turn(now, &self.deps.settings().deaths),
            Notice::Started { attempt, took } => self.tell_started(attempt, took, now),
            Notice::CrashLoop { restarts, until } => self.tell_crash_loop(restarts, until, now),
        }
    }

    /// What it waits for is to outlive us.
    pub(super) fn keep_wait(&mut self, wait: Option<Wait>, now: Now) {
        if self.deps.waits.set(&self.spec.identity, wait, now.wall) {
            let deps = self.deps.clone();
            self.work.run(async move { drop(deps.waits.save(&deps).await) });
        }
    }

    fn tell_died(&mut self, obituary: &Obituary, now: Now) {
        let told = obituary.session.as_ref().and_then(|session| self.death_of(&session.id));
        let exit = told.and_then(|death| death.exit);
        let with_server = told.is_some_and(|death| death.with_server);
        let reason = story::cause(obituary, told);
        let identity = self.spec.identity.clone();
        if let Some(line) = &obituary.by_command {
            tracing::info!("{identity}: ended while `{line}` was at work; brought back, and told to nobody");
            return;
        }
        // Until it was noticed: that it was confirmed later makes its life no longer.
        let lived = obituary.session.as_ref().map(|session| obituary.noticed.age_of(session.created));
        if lived.is_some_and(|lived| lived >= restart::ALIVE_AGAIN) {
            self.deps.incidents.lives(&identity);
        }
        if obituary.session.is_some() {
            let (session, noticed) = (self.spec.session.clone(), obituary.noticed);
            let agent = identity.clone();
            let death = ConfirmedDeath { agent, session, noticed, exit, with_server };
            self.deps.deaths.record(death, now, &self.deps.settings().deaths);
        }
        self.last_end =
            Some(End { noticed: obituary.noticed.wall, confirmed: now.wall, reason: reason.clone() });
        let payload = serde_json::json!({
            "session": self.spec.session,
            "agent": identity.to_string(),
            "reason": reason,
            "caller": "daemon",
        });
        let event = TownEvent::ours(now.wall, "session_death", payload);
        let (deps, spec, hook) = (self.deps.clone(), self.spec.clone(), obituary.hook.clone());
        self.work.run(async move {
            // That it is reported is on disk before it is, so that no later supervisor reports it again.
            let _ = deps.lives.save(&deps).await;
            tracing::warn!("{}: died: {reason}", spec.identity);
            events::append(&deps, &event).await;
            if let (Identity::Polecat(rig, name), Some(hook)) = (&spec.identity, hook) {
                tracing::warn!(target: AS_IS, "{}", texts::crash_detected(rig, name, &hook, &spec.session));
                let _ = crash::log(&deps, &format!("{rig}/{name}"), &spec.session, exit).await;
            }
        });
    }

    /// A polecat that crashed and is not brought back is told to its witness, once for this piece of work until it is
    /// seen well again.
    fn tell_not_brought_back(&mut self, error: &str) {
        let (Identity::Polecat(rig, name), Some(hook)) = (&self.spec.identity, &self.hook) else { return };
        let mail = IncidentMail {
            identity: self.spec.identity.clone(),
            condition: Condition::Crashed,
            hook: hook.clone(),
            to: format!("{rig}/witness"),
            subject: texts::crashed_subject(rig, name),
            body: texts::crashed_body(name, hook, error),
            line: None,
        };
        let deps = self.deps.clone();
        self.work.run(async move { mailing::send_once(&deps, mail).await });
    }

    fn tell_started(&mut self, attempt: Attempt, took: Duration, now: Now) {
        tracing::info!("{}: {}", self.spec.identity, story::started(attempt, took));
        let attempt = match attempt {
            Attempt::Fresh | Attempt::HoldOver | Attempt::Asked => return,
            Attempt::Restart(n) => n,
            Attempt::Trial => self.lifecycle.history().restart_count,
        };
        let payload = serde_json::json!({
            "agent": self.spec.identity.to_string(),
            "session": self.spec.session,
            "took": format!("{:.1}s", took.as_secs_f64()),
            "attempt": attempt,
        });
        self.append(TownEvent::ours(now.wall, "agent_restarted", payload));
    }

    fn tell_crash_loop(&mut self, restarts: u32, until: Timestamp, now: Now) {
        let identity = self.spec.identity.to_string();
        let text = format!(
            "{identity} was restarted {restarts} times within {} and is held; it is tried again in {}",
            go_duration::format(self.deps.settings().restart.crash_loop_window),
            go_duration::format(self.deps.settings().restart.retry_crash_loop_after),
        );
        self.deps.problems.report(self.problem_key("crash_loop"), text.clone());
        let payload = serde_json::json!({
            "agent": identity,
            "session": self.spec.session,
            "restarts": restarts,
            "until": until.to_string(),
        });
        let event = TownEvent::ours(now.wall, "crash_loop", payload);
        self.append(event.clone());
        let deps = self.deps.clone();
        self.work.run(async move { notify::tell(&deps, &event).await });
        if self.spec.identity.role() == Role::Polecat {
            return self.tell_not_brought_back(&text);
        }
        let (deps, spec) = (self.deps.clone(), self.spec.clone());
        self.work.run(async move {
            let subject = format!("CRASH_LOOP: {} held after {restarts} restarts", spec.identity);
            let sent = mail::send(&deps, "mayor/", &subject, &text).await;
            let entry = Entry::mailed(deps.now().wall, "", "mayor/", &subject, sent);
            deps.histories.add(&spec.identity, entry);
        });
    }

    fn append(&mut self, event: TownEvent) {
        let deps = self.deps.clone();
        self.work.run(async move { events::append(&deps, &event).await });
    }

    /// A start that could not be made is a problem as long as it lasts; it is told once.
    pub(super) fn tell_start_problem(&mut self, end: &StartEnd) {
        let key = self.problem_key("start");
        self.start_failed = matches!(end, StartEnd::Impossible(_) | StartEnd::Unclear(_));
        match end {
            StartEnd::Impossible(why) | StartEnd::Unclear(why) => {
                self.deps.problems.report(key, format!("{} cannot be started: {why}", self.spec.identity));
            }
            StartEnd::Up { .. } | StartEnd::Found(_) | StartEnd::Taken | StartEnd::Left { .. } => {
                self.deps.problems.clear(&key);
            }
            StartEnd::Refused(_)
            | StartEnd::Unwanted(_)
            | StartEnd::StoppedByHand(_)
            | StartEnd::NeverAppeared(_)
            | StartEnd::Ended(_) => {}
        }
        if let StartEnd::Impossible(why) | StartEnd::NeverAppeared(why) = end {
            self.tell_not_brought_back(why);
        }
    }

    pub(super) fn problem_key(&self, what: &str) -> String {
        self.spec.problem_key(what)
    }
}
