//! What is counted of an agent: each step's reasons pass here once, whatever the agent's role.
//!
//! The times of a death need three steps: when its end was seen, when it was confirmed, and when it is up again. They are known
//! to this owner alone; what an owner that crashed has begun to time is not timed. It must not decide anything.

use std::time::Duration;

use jiff::Timestamp;

use crate::{
    agent::{
        denial::NotStarted,
        lifecycle::Attempt,
        reason::{CrashLoop, Reason},
    },
    clock::Now,
    ports::metrics::Metrics,
    town::identity::Role,
};

/// The sign of an end that nothing reported: a probe found it.
const PROBE: &str = "probe";

/// What was begun to be timed.
#[derive(Debug, Default)]
pub(super) struct Counting {
    /// By which sign its end was noticed, and how long after it was last known to live.
    noticed: Option<(&'static str, Duration)>,
    /// When the end of an agent that died was noticed, until it is up again or is not to be started any more.
    not_replaced: Option<Now>,
}

impl Counting {
    /// Counts what happened in one step to an agent of this role, which is known to have lived at that time.
    pub(super) fn step(
        &mut self,
        reasons: &[Reason],
        (role, alive_at): (Role, Option<Timestamp>),
        now: Now,
        metrics: &Metrics,
    ) {
        for reason in reasons {
            self.time(reason, (role, alive_at), now, metrics);
            count(reason, role, now, metrics);
        }
    }

    fn time(
        &mut self,
        reason: &Reason,
        (role, alive_at): (Role, Option<Timestamp>),
        now: Now,
        metrics: &Metrics,
    ) {
        match reason {
            Reason::Missing { reported, .. } => {
                let sign = reported.map_or(PROBE, |(sign, _)| sign.code());
                self.noticed = alive_at.map(|at| (sign, now.age_of(at)));
            }
            Reason::Died(death) if death.by_command.is_none() => {
                // Of one that no supervisor saw alive, the time of the death is not known.
                let noticed = self.noticed.take().filter(|_| death.session.is_some());
                if let Some((sign, after)) = noticed {
                    metrics.death_noticed(sign, after);
                }
                self.not_replaced = death.session.is_some().then_some(death.noticed);
            }
            Reason::Started { .. } => {
                if let Some(noticed) = self.not_replaced.take() {
                    metrics.replaced(role, now.since(noticed));
                }
            }
            // Others started it, or nobody is to start it now.
            Reason::Adopted
            | Reason::NewSession
            | Reason::BackByItself
            | Reason::Respawned
            | Reason::StartedByOthers
            | Reason::FoundRunning
            | Reason::NotStarted(_)
            | Reason::StoppedByHand(..)
            | Reason::StoppedOnRequest => *self = Counting::default(),
            _ => {}
        }
    }
}

fn count(reason: &Reason, role: Role, now: Now, metrics: &Metrics) {
    match reason {
        Reason::Died(death) if death.by_command.is_none() => {
            metrics.died(role, reason.code(), now.since(death.noticed));
        }
        Reason::NotStarted(NotStarted::Ended(ended)) if ended.exit().is_well() => {
            metrics.ended(role, reason.code());
        }
        Reason::Died(_) | Reason::OwnEnd(..) | Reason::StoppedByHand(..) | Reason::StoppedOnRequest => {
            metrics.ended(role, reason.code());
        }
        Reason::Started { attempt, took } => {
            metrics.start_ended(role, reason.code());
            metrics.started(role, *took);
            if matches!(attempt, Attempt::Restart(_) | Attempt::Trial) {
                metrics.restarted(role);
            }
        }
        Reason::FoundRunning
        | Reason::SessionTaken
        | Reason::StartGivenUp(_)
        | Reason::StartFailed(_)
        | Reason::StartPostponed(_)
        | Reason::EndedWhileStarting => metrics.start_ended(role, reason.code()),
        Reason::NotStarted(NotStarted::Denied(_)) | Reason::WaitsForMemory { .. } => {
            metrics.start_refused(role, reason.code());
        }
        Reason::RequestRefused(denial) => metrics.start_refused(role, denial.code()),
        Reason::CrashLoop(CrashLoop { began: Some(_), .. }) => metrics.crash_loop(role),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        agent::{
            confirmation::SessionKey,
            denial::Denial,
            reason::{Cause, DeathReport, Missing},
        },
        ports::metrics::{Format, Page},
        sessions::death::Sign,
    };

    fn at(millis: u64) -> Now {
        let mono = Duration::from_millis(millis);
        let wall = Timestamp::from_millisecond(1_800_000_000_000 + millis as i64).unwrap();
        Now { mono, wall }
    }

    fn missing(reported: Option<Sign>) -> Reason {
        let reported = reported.map(|sign| (sign, None));
        Reason::Missing { what: Missing::Session, reported, confirm: Duration::from_secs(1) }
    }

    fn died(noticed: Now, session: bool, by_command: Option<&str>) -> Reason {
        let key = || SessionKey { id: "$1".to_owned(), created: at(0).wall };
        Reason::Died(Box::new(DeathReport {
            session: session.then(key),
            noticed,
            cause: Cause::Crashed(None),
            hook: None,
            by_command: by_command.map(str::to_owned),
        }))
    }

    fn started() -> Reason {
        Reason::Started { attempt: Attempt::Restart(1), took: Duration::from_millis(300) }
    }

    /// The samples that are not zero after these steps of a witness that was last known to live at 1 s.
    fn samples(steps: &[(u64, Reason)]) -> Vec<String> {
        let (metrics, measured) = Metrics::new();
        let mut counting = Counting::default();
        for (millis, reason) in steps {
            let of = (Role::Witness, Some(at(1000).wall));
            counting.step(std::slice::from_ref(reason), of, at(*millis), &metrics);
        }
        let mut page = Page::default();
        measured.onto(&mut page);
        let text = page.text(Format::OpenMetrics).unwrap();
        let shown = text.lines().filter(|line| !line.starts_with('#') && !line.contains("_bucket"));
        let mut shown: Vec<String> = shown
            .filter(|line| !line.ends_with(" 0") && !line.ends_with(" 0.0"))
            .map(|line| line.trim_start_matches("gastown_supervisor_").replace("role=\"witness\"", "witness"))
            .collect();
        shown.sort();
        shown
    }

    #[test]
    fn a_death_is_counted_once_and_timed_three_times() {
        let told =
            [(1004, missing(Some(Sign::Process))), (2104, died(at(1004), true, None)), (2504, started())];
        let expected = [
            "agent_deaths_total{witness,cause=\"crashed\"} 1",
            "agent_restarts_total{witness} 1",
            "agent_start_duration_seconds_count{witness} 1",
            "agent_start_duration_seconds_sum{witness} 0.3",
            "agent_starts_total{witness,outcome=\"started\"} 1",
            "death_confirmation_seconds_count{witness} 1",
            "death_confirmation_seconds_sum{witness} 1.1",
            "death_notice_seconds_count{sign=\"process\"} 1",
            "death_notice_seconds_sum{sign=\"process\"} 0.004",
            "death_replacement_seconds_count{witness} 1",
            "death_replacement_seconds_sum{witness} 1.5",
        ];
        assert_eq!(samples(&told), expected);
    }

    #[test]
    fn what_is_no_death_is_none_and_is_not_timed() {
        let stopped = || Reason::NotStarted(NotStarted::Denied(Denial::EmergencyStop));
        let lines = |steps: &[(u64, Reason)]| {
            let shown = samples(steps).into_iter().filter(|it| !it.starts_with("agent_start"));
            shown.collect::<Vec<_>>()
        };
        for (name, steps, expected) in [
            (
                "a command ended it",
                vec![(1004, missing(None)), (2000, died(at(1004), true, Some("gt up")))],
                vec!["agent_ends_total{witness,reason=\"ended_by_command\"} 1"],
            ),
            ("it was back", vec![(1004, missing(None)), (1500, Reason::BackByItself)], vec![]),
            (
                "a start is refused",
                vec![(1004, stopped())],
                vec!["starts_refused_total{witness,reason=\"emergency_stop\"} 1"],
            ),
            (
                "a stop by hand",
                vec![(1004, Reason::StoppedByHand("x".into(), Duration::ZERO))],
                vec!["agent_ends_total{witness,reason=\"stopped_by_hand\"} 1"],
            ),
        ] {
            assert_eq!(lines(&steps), expected, "{name}");
        }
        // Nobody saw it alive: it died, and when is not known.
        let unseen = lines(&[(1004, missing(None)), (2004, died(at(1004), false, None)), (3000, started())]);
        assert!(!unseen.iter().any(|it| it.contains("notice") || it.contains("replacement")), "{unseen:?}");
        // It is not to run for an hour: the start that follows is no repair.
        let late = [
            (1004, missing(None)),
            (2004, died(at(1004), true, None)),
            (2004, stopped()),
            (3_600_000, started()),
        ];
        assert!(!lines(&late).iter().any(|it| it.contains("replacement")));
    }
}
