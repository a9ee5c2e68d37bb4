//! One of each reason: its code is documented, and it has words.

use super::*;
use crate::{
    agent::{conversation::Fresh, denial::Unwanted, incidents::Condition, requests::Action},
    town::wisp::Closed,
};

fn now() -> Now {
    Now { mono: Duration::from_secs(10), wall: Timestamp::UNIX_EPOCH }
}

fn denials() -> Vec<Denial> {
    vec![
        Denial::EmergencyStop,
        Denial::RigEmergencyStop,
        Denial::TownShutdown,
        Denial::PatrolOff("witness"),
        Denial::PatrolDisabled("witness"),
        Denial::SessionNameTaken("two agents would have session x".into()),
        Denial::Rig(Closed::Parked),
        Denial::Rig(Closed::Docked),
        Denial::Rig(Closed::AutoRestartBlocked),
        Denial::Rig(Closed::AutoRestartDisabled),
        Denial::DeaconPaused(Some("lunch".into())),
        Denial::Busy("it is working".into()),
    ]
}

fn unwanted() -> Vec<Unwanted> {
    let bead = || "gt-1".to_owned();
    vec![
        Unwanted::NoAgentBead,
        Unwanted::AgentBeadClosed,
        Unwanted::NoWork,
        Unwanted::Resting("stuck".into()),
        Unwanted::BeingSpawned,
        Unwanted::WorkClosed(bead()),
        Unwanted::WorkMissing(bead()),
        Unwanted::WorkNotHooked(bead()),
        Unwanted::WorkNotIts(bead()),
        Unwanted::NotRequested,
        Unwanted::Superseded(Action::Restart, "mail hq-1".into()),
        Unwanted::OnDemand,
        Unwanted::Degraded,
        Unwanted::Disabled,
        Unwanted::RunsAsAcp(7),
        Unwanted::NoPendingEvents,
        Unwanted::Impossible("its directory /d does not exist".into()),
    ]
}

fn not_started() -> Vec<NotStarted> {
    let others = [
        NotStarted::StartFailed,
        NotStarted::NoAgentYet,
        NotStarted::WasStoppedByHand,
        NotStarted::WasStoppedOnRequest,
    ];
    let denied = denials().into_iter().map(NotStarted::Denied);
    denied.chain(unwanted().into_iter().map(NotStarted::Unwanted)).chain(others).collect()
}

fn of_ends() -> Vec<Reason> {
    let died = |cause, by_command| {
        Reason::Died(Box::new(DeathReport {
            session: None,
            noticed: now(),
            cause,
            hook: Some("gt-1".into()),
            by_command,
        }))
    };
    let missing = |what| Reason::Missing { what, reported: None, confirm: Duration::from_secs(1) };
    let unconfirmed = |until| Reason::Unconfirmed { what: Missing::Session, until };
    let own = |own| Reason::OwnEnd(own, Duration::from_secs(900));
    vec![
        missing(Missing::Session),
        missing(Missing::SessionReplaced),
        missing(Missing::Agent),
        unconfirmed(HeldUp::Operation("gt sling".into())),
        unconfirmed(HeldUp::Removal),
        Reason::OperationOverdue("gt sling".into()),
        died(Cause::TmuxServerDied, None),
        died(Cause::Crashed(Some(137)), None),
        died(Cause::AgentMissing, None),
        died(Cause::OomKilled(OomKill { kills: 1, limit: Some(2 << 30), is_its_own: true }), None),
        died(Cause::OomKilled(OomKill { kills: 3, limit: None, is_its_own: false }), None),
        died(Cause::Crashed(None), Some("gt sling".into())),
        own(Own::UsageLimit("5h".into())),
        own(Own::Question("Trust it?".into())),
        own(Own::CleanExit),
        own(Own::Unspecified("ended".into())),
        Reason::StoppedByHand("`gt deacon stop`".into(), Duration::from_secs(600)),
        Reason::HoldOver(HoldOver::Operational),
        Reason::HoldOver(HoldOver::SaysRunning),
        Reason::HoldOver(HoldOver::TimeOver),
    ]
}

fn of_starts() -> Vec<Reason> {
    let why = || "no program".to_owned();
    let stuck = |done| Reason::Stuck { why: "its heartbeat is old".into(), done };
    vec![
        Reason::Backoff(2, now().wall),
        Reason::Paced(Duration::from_secs(20)),
        Reason::CrashLoop(CrashLoop { restarts: 5, until: now().wall, began: None }),
        stuck(Stuck::Replaced),
        stuck(Stuck::Waits(2, now().wall)),
        stuck(Stuck::CrashLoop(5)),
        Reason::Starting { attempt: Attempt::Fresh, was: Phase::Waiting },
        Reason::Started { attempt: Attempt::Restart(2), took: Duration::from_secs(4) },
        Reason::Conversation(Begun::Resumes("1a2b3c4d-0000".into())),
        Reason::Conversation(Begun::Fresh(Fresh::First)),
        Reason::Conversation(Begun::Fresh(Fresh::NotFound)),
        Reason::Conversation(Begun::Fresh(Fresh::NotSafe("full".into()))),
        Reason::FoundRunning,
        Reason::SessionTaken,
        Reason::StartGivenUp(why()),
        Reason::StartFailed(why()),
        Reason::StartPostponed(why()),
        Reason::EndedWhileStarting,
        Reason::WaitsForMemory { why: Shortage::Turn, asked: false },
        Reason::WaitsForMemory { why: Shortage::Pressure(7_000, 6_000), asked: true },
        Reason::StartInterrupted,
    ]
}

fn others() -> Vec<Reason> {
    let why = || "stop requested (mail hq-1)".to_owned();
    vec![
        Reason::Adopted,
        Reason::NewSession,
        Reason::BackByItself,
        Reason::Respawned,
        Reason::StartedByOthers,
        Reason::HoldEndedByStart,
        Reason::Idle("idle for 15m and without work".into()),
        Reason::IdleLeft("rig is parked".into()),
        Reason::RunsAfterGivenUp,
        Reason::ObservedAgain,
        Reason::Unclear { out_of_sight: true, why: "tmux does not answer".into() },
        Reason::Needed("is to check the deacon".into()),
        Reason::BackoffCleared,
        Reason::RestartStateChanged,
        Reason::RestartRequested { why: why(), runs: true },
        Reason::RestartRequested { why: why(), runs: false },
        Reason::StartRequested(why()),
        Reason::StopRequested { why: why(), runs: true },
        Reason::StopRequested { why: why(), runs: false },
        Reason::StoppedOnRequest,
        Reason::HookChanged,
        Reason::RequestCarriedOut,
        Reason::RequestRefused(Denial::EmergencyStop),
        Reason::RequestPostponed("tmux does not answer".into()),
        Reason::Supervised,
    ]
}

fn all() -> Vec<Reason> {
    let not_started = not_started().into_iter().map(Reason::NotStarted);
    let left_alone = denials().into_iter().map(Reason::LeftAlone);
    of_ends().into_iter().chain(of_starts()).chain(others()).chain(not_started).chain(left_alone).collect()
}

#[test]
fn each_code_is_documented() {
    let docs = include_str!("../../../docs/events.md");
    let rows = docs.lines().filter_map(|line| line.strip_prefix("| `")?.split_once(" | "));
    let documented: Vec<&str> =
        rows.flat_map(|(codes, _)| codes.trim_end_matches('`').split("`, `")).collect();
    for reason in all() {
        assert!(documented.contains(&reason.code()), "{}: {reason:?}", reason.code());
    }
    for condition in [Condition::Gupp, Condition::Orphaned, Condition::Crashed] {
        assert!(documented.contains(&condition.code()), "{condition:?}");
    }
}

#[test]
fn each_has_words_on_one_line() {
    for reason in all() {
        let line = reason.words().line();
        let link = [", ", "; ", ": "].iter().any(|link| line.starts_with(link) || line.ends_with(link));
        assert!(!line.is_empty() && !link && !line.contains("  "), "{line:?}: {reason:?}");
    }
}
