//! What an owner reports of its agent: log lines, events, mails and problems, all rendered from the lifecycle's
//! [`Reason`]s.
//!
//! It must not decide anything, and nothing waits for it.

use std::time::Duration;

use jiff::Timestamp;
use tracing::Level;

use super::Owner;
use crate::{
    agent::{
        history::{Ending, Entry},
        incidents::{Condition, Incident},
        lifecycle::{Attempt, StartEnd},
        mailing::{self, IncidentMail},
        phase::Phase,
        polecat::texts,
        reason::{Cause, CrashLoop, DeathReport, Reason},
        restart, screens,
        start::without_gt,
    },
    clock::Now,
    deaths::{register::ACTOR as DEATHS, rules::ConfirmedDeath},
    go_duration,
    ledger::{crash, mail, notify},
    ports::{
        outbox,
        problems::{Condition as Lasts, ProblemKey},
    },
    supervision::{messages::Broadcast, status::End},
    town::{
        events::{AGENT_RESTARTED, Event as TownEvent},
        identity::{Identity, Wanted},
        log::line::AS_IS,
    },
};

/// A question that is answered automatically is gone by then.
const ANSWERED_WITHIN: Duration = Duration::from_secs(15);

/// Logs one line about an agent: the text names it, and programs find it in fields.
macro_rules! log {
    ($level:expr, $spec:expr, $from:expr, $to:expr, $reason:expr, $text:expr) => {
        tracing::event!(
            $level,
            agent = %$spec.identity,
            session = $spec.session,
            from = $from.as_str(),
            to = $to.as_str(),
            reason = $reason.code(),
            "{}",
            $text
        )
    };
}

/// The body of a mail, with how the agent died last below it.
fn with_last_end(body: String, last_end: Option<&Ending>) -> String {
    match last_end.map(Ending::report).filter(|report| !report.is_empty()) {
        Some(report) => format!("{body}\n\nIts last end: {report}"),
        None => body,
    }
}

impl Owner {
    /// Reports one reason of a step that began in phase `from`.
    pub(super) fn report(&mut self, reason: Reason, from: Phase, now: Now) {
        let (spec, to) = (self.spec.clone(), Phase::of(&self.lifecycle));
        match &reason {
            Reason::Died(report) => return self.report_death(report.clone(), from, now),
            Reason::RequestCarriedOut | Reason::RequestRefused(_) | Reason::RequestPostponed(_) => {
                return self.request_came_to(&reason);
            }
            // The history has them; in the log they would repeat another line.
            Reason::Starting { .. }
            | Reason::StartPostponed(_)
            | Reason::Unclear { .. }
            | Reason::ObservedAgain => {
                log!(Level::DEBUG, spec, from, to, reason, reason.words().line());
            }
            _ => log!(Level::INFO, spec, from, to, reason, reason.words().line()),
        }
        match reason {
            Reason::Started { attempt, took } => self.report_start(attempt, took, now),
            Reason::CrashLoop(CrashLoop { restarts, until, began: Some(_) }) => {
                self.report_crash_loop(restarts, until, now);
            }
            Reason::Respawned => self.respawned(now),
            Reason::StoppedByHand(..) => {
                // Its rig may have been docked.
                self.deps.directory.read_beads(|rig| spec.identity.rig() == Some(rig));
            }
            // Who started it did not do so without `gt`.
            Reason::StartedByOthers | Reason::NewSession => {
                without_gt::is_over(&self.deps, &self.spec.identity);
            }
            _ => {}
        }
    }

    fn report_death(&mut self, report: Box<DeathReport>, from: Phase, now: Now) {
        let (spec, to) = (self.spec.clone(), Phase::of(&self.lifecycle));
        if report.by_command.is_some() {
            let text = format!("{report}; restarting without an alert");
            log!(Level::INFO, spec, from, to, Reason::Died(report), text);
            return;
        }
        let identity = spec.identity.clone();
        // Its life counts until the end was noticed; a late confirmation does not prolong it.
        let lived = report.session.as_ref().map(|session| report.noticed.age_of(session.created));
        if lived.is_some_and(|lived| lived >= restart::ALIVE_AGAIN) {
            self.deps.records.incident(&identity, Incident::lives);
        }
        let (cause, exit) = (report.cause.to_string(), report.cause.exit());
        if report.session.is_some() {
            let (session, noticed, agent) = (spec.session.clone(), report.noticed, identity.clone());
            let with_server = report.cause == Cause::TmuxServerDied;
            let for_memory = matches!(report.cause, Cause::OomKilled(_));
            let death = ConfirmedDeath { agent, session, noticed, exit, with_server, for_memory };
            self.deps.deaths.record(death, now, &self.deps.settings().deaths);
            self.deps.directory.send_to_other(DEATHS, Broadcast::DeathRecorded);
        }
        self.last_end =
            Some(End { noticed: report.noticed.wall, confirmed: now.wall, reason: cause.clone() });
        let payload = serde_json::json!({
            "session": spec.session,
            "agent": identity.to_string(),
            "reason": cause,
            "caller": "daemon",
        });
        let event = TownEvent::ours(now.wall, "session_death", payload);
        let deps = self.deps.clone();
        self.work.run(async move {
            // The report is noted on disk before it is sent, so that no later supervisor repeats it.
            deps.records.save(&deps).await;
            let hook = report.hook.clone();
            log!(Level::WARN, spec, from, to, Reason::Died(report), format!("died: {cause}"));
            outbox::append(&deps, &event).await;
            if let (Identity::Polecat(rig, name), Some(hook)) = (&spec.identity, hook) {
                let line = texts::crash_detected(rig, name, &hook, &spec.session);
                let (agent, session) = (&spec.identity, &spec.session);
                tracing::warn!(target: AS_IS, %agent, session, reason = "crashed", "{line}");
                let _ = crash::log(&deps, &format!("{rig}/{name}"), &spec.session, exit).await;
            }
        });
    }

    /// Mails the witness about a polecat that crashed and is not restarted: once for this piece of work, until it is
    /// seen well again.
    fn report_not_brought_back(&mut self, error: &str, last_end: Option<&Ending>) {
        let (Identity::Polecat(rig, name), Some(hook)) = (&self.spec.identity, &self.hook) else { return };
        let mail = IncidentMail {
            identity: self.spec.identity.clone(),
            condition: Condition::Crashed,
            hook: hook.clone(),
            to: format!("{rig}/witness"),
            subject: texts::crashed_subject(rig, name),
            body: with_last_end(texts::crashed_body(name, hook, error), last_end),
            line: None,
        };
        let deps = self.deps.clone();
        self.work.run(async move { mailing::send_once(&deps, mail).await });
    }

    fn report_start(&mut self, attempt: Attempt, took: Duration, now: Now) {
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
        self.append(TownEvent::ours(now.wall, AGENT_RESTARTED, payload));
    }

    fn report_crash_loop(&mut self, restarts: u32, until: Timestamp, now: Now) {
        let identity = self.spec.identity.to_string();
        let failed = self.lifecycle.gt_failed().map(str::to_owned);
        let its_start =
            failed.as_ref().map(|why| format!("its last start failed: {why}; ")).unwrap_or_default();
        let text = format!(
            "{identity} was restarted {restarts} times within {} and is held; {its_start}it is tried again in {}",
            go_duration::short(self.deps.settings().restart.crash_loop_window),
            go_duration::short(self.deps.settings().restart.retry_crash_loop_after),
        );
        self.deps.problems.report(self.problem_key("crash_loop").critical(), text.clone());
        let payload = serde_json::json!({
            "agent": identity,
            "session": self.spec.session,
            "restarts": restarts,
            "until": until.to_string(),
        });
        let event = TownEvent::ours(now.wall, "crash_loop", payload);
        self.append(event.clone());
        let history = self.deps.records.history(&self.spec.identity);
        let window = self.deps.settings().restart.crash_loop_window;
        let last_end = history.last_death(restart::earlier(now.wall, window)).cloned();
        let (deps, mut alert) = (self.deps.clone(), event);
        if let Some(Ok(ending)) = last_end.as_ref().map(serde_json::to_value) {
            // The event log has no screens: every agent reads it.
            alert.payload.insert("last_death".to_owned(), ending);
        }
        self.work.run(async move { notify::send(&deps, &alert).await });
        if self.spec.identity.facts().wanted == Wanted::WithWork {
            return self.report_not_brought_back(&text, last_end.as_ref());
        }
        if !self.deps.dialect().facts().has_gt {
            return; // nobody has an inbox
        }
        let body = with_last_end(text, last_end.as_ref());
        let (deps, spec) = (self.deps.clone(), self.spec.clone());
        self.work.run(async move {
            let its_start = if failed.is_some() { ", its last start failed" } else { "" };
            let subject = format!("CRASH_LOOP: {} held after {restarts} restarts{its_start}", spec.identity);
            let sent = mail::send(&deps, "mayor/", &subject, &body).await;
            let entry = Entry::mailed(deps.now().wall, "", "mayor/", &subject, sent);
            deps.records.happened(&spec.identity, entry);
        });
    }

    /// Its screen shows a question. People are alerted when nothing answers it soon.
    pub fn asks(&mut self, title: String) {
        let (deps, spec) = (self.deps.clone(), self.spec.clone());
        self.work.run(async move {
            tokio::time::sleep(ANSWERED_WITHIN).await;
            if !screens::still_asks(&deps, &spec, &title).await {
                return;
            }
            let payload = serde_json::json!({
                "agent": spec.identity.to_string(),
                "session": spec.session,
                "question": title,
                "attach": deps.sessions.place().attach(&spec.session),
            });
            let event = TownEvent::ours(deps.now().wall, "waiting_at_question", payload);
            notify::send(&deps, &event).await;
        });
    }

    fn append(&mut self, event: TownEvent) {
        let deps = self.deps.clone();
        self.work.run(async move { outbox::append(&deps, &event).await });
    }

    /// Notes a failed start as a problem while that lasts; logs it once.
    pub(super) fn report_start_problem(&mut self, end: &StartEnd) {
        let key = self.problem_key("start").meaning(match end {
            StartEnd::NoProgram(_) => Lasts::MissingProgram,
            _ => Lasts::CannotStart,
        });
        self.start_failed =
            matches!(end, StartEnd::NoProgram(_) | StartEnd::Impossible(_) | StartEnd::Unclear(_));
        match end {
            StartEnd::NoProgram(why) | StartEnd::Impossible(why) | StartEnd::Unclear(why) => {
                self.deps.problems.report(key, format!("{} cannot be started: {why}", self.spec.identity));
            }
            StartEnd::NotByGt(why) => self.report_not_by_gt(key, why),
            StartEnd::Up { .. } | StartEnd::Found(_) | StartEnd::Taken | StartEnd::Left { .. } => {
                self.deps.problems.clear(&key);
            }
            StartEnd::Refused(_)
            | StartEnd::Unwanted(_)
            | StartEnd::StoppedByHand(_)
            | StartEnd::NeverAppeared(_)
            | StartEnd::Ended(_) => {}
        }
        if let StartEnd::NoProgram(why)
        | StartEnd::Impossible(why)
        | StartEnd::NeverAppeared(why)
        | StartEnd::NotByGt(why) = end
        {
            self.report_not_brought_back(why, None);
        }
    }

    /// Notes that `gt` did not start it. What is started on request only is not tried again: the outcome of its request says so.
    fn report_not_by_gt(&self, key: ProblemKey, why: &str) {
        let identity = &self.spec.identity;
        let again = match identity.wanted(&self.deps.settings()) {
            Wanted::OnRequest => return,
            Wanted::Oneshot => "when it is needed again",
            Wanted::Always | Wanted::WithWork => "with growing pauses",
        };
        let command = identity.gt_start().join(" ");
        let text = format!("{identity}: {why}; it is tried again {again}; run `gt {command}` to see why");
        self.deps.problems.report(key, text);
    }

    pub(super) fn problem_key(&self, what: &str) -> ProblemKey {
        self.spec.problem_key(what)
    }
}
