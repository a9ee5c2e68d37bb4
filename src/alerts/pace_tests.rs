//! Grids of when a message goes out, and what a digest says.

use super::*;
use crate::alerts::Severity;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + seconds).unwrap()
}

#[test]
fn what_to_do_with_a_channel() {
    let five = [0, 1, 2, 3, 4].map(at);
    #[rustfmt::skip]
    let cases = [
        ("nothing waits", 0, &[][..], None, 5, Next::Rest),
        ("one", 1, &[], None, 5, Next::One),
        ("five at once go one by one", 5, &[], None, 5, Next::One),
        ("six at once are one message", 6, &[], None, 5, Next::Digest),
        ("the fifth message", 1, &five[..4], None, 5, Next::One),
        ("the sixth waits for the window", 1, &five, None, 5, Next::Wait(at(30))),
        ("and goes then", 1, &five, None, 30, Next::One),
        ("six wait for it, too", 6, &five, None, 5, Next::Wait(at(30))),
        ("and are one message then", 6, &five, None, 30, Next::Digest),
        ("what was held back is one message", 2, &five, None, 30, Next::Digest),
        ("three after three are six", 3, &five[..3], None, 5, Next::Digest),
        ("two after three are five", 2, &five[..3], None, 5, Next::One),
        ("long after", 5, &five, None, 60, Next::One),
        ("after a failure", 1, &[], Some(9), 5, Next::Wait(at(9))),
        ("after a failure, many", 9, &[], Some(9), 5, Next::Wait(at(9))),
        ("the pause is over", 1, &[], Some(5), 5, Next::One),
        ("the clock was set back", 1, &[], Some(5000), 5, Next::One),
        ("sent in the future", 1, &[at(9), at(9), at(9), at(9), at(9)], None, 5, Next::One),
        ("nothing waits after a failure", 0, &[], Some(9), 5, Next::Rest),
    ];
    for (name, waiting, sent, not_before, now, expected) in cases {
        assert_eq!(next(waiting, sent, not_before.map(at), at(now)), expected, "{name}");
    }
}

#[test]
fn retries_back_off_and_end() {
    let pauses: Vec<u64> = (0..12).map(|failures| retry_after(failures).as_secs()).collect();
    assert_eq!(pauses, [2, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]);
    assert_eq!(retry_after(u32::MAX), LONGEST_RETRY);
    for (name, age, refusals, given_up) in [
        ("new", 0, 0, false),
        ("long", 6 * 3600, 0, false),
        ("too long", 6 * 3600 + 1, 0, true),
        ("refused", 0, 2, false),
        ("refused again", 0, 3, true),
    ] {
        assert_eq!(is_given_up(at(0), at(age), refusals), given_up, "{name}");
    }
}

fn alert(n: i64, kind: Kind, resolved: bool) -> Alert {
    Alert {
        version: VERSION,
        id: format!("id{n}"),
        at: at(n),
        kind,
        severity: kind.severity(),
        summary: format!("sentence {n}"),
        town: "/town".into(),
        host: "machine".into(),
        agents: vec![format!("r/agent{}", n % 2)],
        attach: Some("tmux attach".into()),
        resolved,
        event: Value::Null,
    }
}

#[test]
fn a_digest() {
    let mut all: Vec<Alert> = (0..5).map(|n| alert(n, Kind::WaitingAtQuestion, false)).collect();
    all.insert(1, alert(5, Kind::CrashLoop, true));
    all.push(alert(6, Kind::StalledWork, false));
    let digest = digest(&all).unwrap();
    assert_eq!(
        digest.summary,
        "7 alerts (1 crash_loop resolved, 1 stalled_work, 5 waiting_at_question): sentence 0; Resolved: sentence 5; \
         sentence 1; sentence 2; sentence 3; and 2 more"
    );
    assert_eq!((digest.severity, digest.resolved, &digest.attach), (Severity::Warning, false, &None));
    assert_eq!(digest.agents, ["r/agent0", "r/agent1"]);
    assert_eq!(digest.event["payload"]["kinds"]["waiting_at_question"], 5);
    assert_eq!(super::digest(&all).unwrap().id, digest.id, "the same alerts, the same id");
    assert_ne!(super::digest(&all[..6]).unwrap().id, digest.id);
    assert_eq!(super::digest(&[]), None);
    let over = super::digest(&[alert(1, Kind::CrashLoop, true)]).unwrap();
    assert_eq!((over.severity, over.resolved), (Severity::Critical, true));
}
