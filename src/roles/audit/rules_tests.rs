use super::*;
use crate::agent::{
    confirmation::SessionKey,
    denial::NotStarted,
    holds::Hold,
    lifecycle::{Attempt, HeldSince, StartOrder, WaitsFor},
    reason,
};

const GUARD: Duration = Duration::from_secs(300);
const GUPP_AFTER: Duration = Duration::from_secs(1800);

fn now() -> Timestamp {
    "2026-02-02T08:00:00Z".parse().unwrap()
}

fn ago(seconds: i64) -> Timestamp {
    now() - jiff::SignedDuration::from_secs(seconds)
}

fn at(mono: u64) -> Now {
    Now { mono: Duration::from_secs(mono), wall: now() }
}

fn times() -> Times<'static> {
    Times { assignee: None, now: now(), seen_alive: None, guard: GUARD, gupp_after: GUPP_AFTER }
}

fn found(updated: Option<Timestamp>) -> AgentBead {
    AgentBead {
        id: "gt-r-polecat-x".into(),
        hook: Some("gt-1".into()),
        state: Some("working".into()),
        closed: false,
        updated,
    }
}

fn work(status: &str) -> Answer<Bead> {
    Answer::Found(Bead { id: "gt-1".into(), status: status.into(), ..Bead::default() })
}

fn well() -> Finding {
    Finding::Well { hook: "gt-1".into() }
}

fn stalled() -> Finding {
    Finding::Stalled { hook: "gt-1".into() }
}

fn missing() -> Finding {
    Finding::Missing { hook: "gt-1".into() }
}

/// The age of a session that is old enough for a bead without news for an hour.
const OLD: i64 = 7200;

#[test]
fn what_the_owner_knows() {
    let order = StartOrder { attempt: Attempt::Fresh, replace: None };
    let session = SessionKey { id: "$1".into(), created: ago(60) };
    let confirming = State::Confirming {
        noticed: at(0),
        due: at(5),
        what: reason::Missing::Session,
        held_up: None,
        before: None,
        involved: Vec::new(),
    };
    let waiting = State::Waiting { until: ago(-30), counted: true, paced: false, why: WaitsFor::Backoff(1) };
    let hold = Hold { since: ago(60), why: String::new(), by: None, until: None, down: false, hook: None };
    let stopping = State::Stopping { session: session.clone(), hold: Some(hold.clone()) };
    let on_request = State::HeldOnRequest { hold };
    let held = State::Held { until: ago(-30), why: String::new(), since: HeldSince::default() };
    let crash_loop = State::CrashLoop { trial_at: ago(-30) };
    let absent = State::Absent { why: NotStarted::StartFailed };
    let alive = State::Alive { since: at(0), session, said_stopped: false };
    let starting = State::Starting { since: at(0), order };
    let day = 86_400;
    use Situation::{Alive, Busy, Left, Missing, Unknown};
    for (name, state, lasts, start_failed, unreported, expected) in [
        ("not looked at", &State::Unseen, day, false, false, Unknown),
        ("alive", &alive, day, false, false, Alive(ago(60))),
        ("alive, an earlier start failed", &alive, day, true, true, Alive(ago(60))),
        ("absent", &absent, 0, false, false, Missing),
        ("absent, an earlier start failed", &absent, day, true, false, Missing),
        ("starting", &starting, 0, false, false, Busy),
        ("starting as long as it may", &starting, 3600, false, false, Busy),
        ("starting for ever", &starting, 3601, false, false, Missing),
        ("confirming", &confirming, 0, false, false, Busy),
        ("confirming as long as it may", &confirming, 240, false, false, Busy),
        ("confirming for ever", &confirming, 241, false, false, Missing),
        ("waiting for its backoff", &waiting, day, false, false, Busy),
        ("waiting to try again what could not be made", &waiting, 0, true, false, Missing),
        ("being stopped on request", &stopping, day, false, false, Left),
        ("stopped on request", &on_request, day, true, true, Left),
        ("stopped by hand", &held, day, false, false, Left),
        ("crash loop, told", &crash_loop, day, false, false, Left),
        ("crash loop, its mail failed", &crash_loop, day, false, true, Missing),
    ] {
        let lasts = Duration::from_secs(lasts);
        let owned = Owned { state, lasts, doubt: false, start_failed, unreported };
        assert_eq!(situation(owned), expected, "{name}");
        assert_eq!(situation(Owned { doubt: true, ..owned }), Unknown, "{name}, in doubt");
    }
}

#[test]
fn progress_by_clock() {
    let year = 365 * 86_400;
    for (name, updated, created, expected) in [
        ("all new", Some(0), 60, well()),
        ("just now, in an old session", Some(0), OLD, well()),
        ("half an hour to the second", Some(1800), OLD, well()),
        ("a second more", Some(1801), OLD, stalled()),
        ("an hour", Some(3600), OLD, stalled()),
        ("a year", Some(year), year, stalled()),
        ("an old bead, a new session", Some(3600), 60, well()),
        ("an old bead, a session as old as may be", Some(3600), 1800, well()),
        ("an old bead, a session too old", Some(3600), 1801, stalled()),
        ("a bead older than its session", Some(year), 1801, stalled()),
        ("a session just begun", Some(3600), 4, Finding::Leave),
        ("a session five seconds old", Some(3600), 5, well()),
        ("a bead of the future", Some(-year), OLD, well()),
        ("a session of the future", Some(OLD), -60, Finding::Leave),
        ("no time", None, OLD, Finding::Unknown),
        ("no time, a new session", None, 60, Finding::Unknown),
        ("no time, a session just begun", None, 0, Finding::Unknown),
    ] {
        let agent = Answer::Found(found(updated.map(ago)));
        let got = judge(&agent, &work("hooked"), Situation::Alive(ago(created)), times());
        assert_eq!(got, expected, "{name}");
    }
}

#[test]
fn beads_by_situation() {
    let old = || found(Some(ago(3600)));
    let agent = |state: &str| Answer::Found(AgentBead { state: Some(state.into()), ..old() });
    let without_hook = Answer::Found(AgentBead { hook: None, ..old() });
    let closed = Answer::Found(AgentBead { closed: true, ..old() });
    let other = Answer::Found(Bead { id: "gt-2".into(), status: "hooked".into(), ..Bead::default() });
    let error = || Answer::Unknown("bd".to_owned());
    // What the beads say: it has work, has none any more, rests, or nothing.
    #[derive(Clone, Copy, Debug, PartialEq)]
    enum Says {
        Work,
        Over,
        Rests,
        Nothing,
    }
    use Says::{Nothing, Over, Rests, Work};
    let beads = [
        ("at work", agent("working"), work("hooked"), Work),
        ("at work, in progress", agent("running"), work("in_progress"), Work),
        ("its work was not read", agent("working"), Answer::NotAsked, Work),
        ("spawned long ago", agent("spawning"), work("hooked"), Work),
        ("done", agent("done"), work("hooked"), Rests),
        ("nuked", agent("nuked"), work("hooked"), Rests),
        ("state closed", agent("closed"), work("hooked"), Rests),
        ("stuck", agent("stuck"), work("hooked"), Rests),
        ("awaiting a gate", agent("awaiting-gate"), work("hooked"), Rests),
        ("stuck, its work closed", agent("stuck"), work("closed"), Over),
        ("work closed", agent("working"), work("closed"), Over),
        ("work deleted", agent("working"), work("tombstone"), Over),
        ("work missing", agent("working"), Answer::Missing, Over),
        ("no hook", without_hook, Answer::NotAsked, Over),
        ("agent bead closed", closed, work("hooked"), Over),
        ("no agent bead", Answer::Missing, Answer::NotAsked, Rests),
        ("another bead came back", agent("working"), other, Nothing),
        ("work not readable", agent("working"), error(), Nothing),
        ("agent not readable", Answer::Unknown("bd".into()), Answer::NotAsked, Nothing),
        ("agent not asked", Answer::NotAsked, Answer::NotAsked, Nothing),
    ];
    let situations = [
        ("unknown", Situation::Unknown, Finding::Unknown),
        ("alive", Situation::Alive(ago(60)), well()),
        ("alive for long", Situation::Alive(ago(OLD)), stalled()),
        ("busy", Situation::Busy, Finding::Leave),
        ("left", Situation::Left, Finding::Leave),
        ("missing", Situation::Missing, missing()),
    ];
    let mut cases = 0;
    for (bead, agent, hooked, says) in &beads {
        for (name, situation, at_work) in &situations {
            let expected = match says {
                Work => at_work.clone(),
                Over => Finding::Over,
                Rests => Finding::Leave,
                Nothing => Finding::Unknown,
            };
            assert_eq!(judge(agent, hooked, *situation, times()), expected, "{bead}, {name}");
            cases += 1;
        }
    }
    assert_eq!(cases, 20 * 6);
}

#[test]
fn one_that_is_being_spawned_is_left_to_its_command() {
    let spawning = |updated| Answer::Found(AgentBead { state: Some("spawning".into()), ..found(updated) });
    for (name, updated, seen_alive, expected) in [
        ("just now", Some(ago(60)), None, Finding::Leave),
        ("just now, and seen since", Some(ago(60)), Some(ago(30)), missing()),
        ("long ago", Some(ago(301)), None, missing()),
        ("no time", None, Some(ago(30)), Finding::Unknown),
    ] {
        let times = Times { seen_alive, ..times() };
        let got = judge(&spawning(updated), &work("hooked"), Situation::Missing, times);
        assert_eq!(got, expected, "{name}");
    }
}

#[test]
fn its_time_is_about_a_heartbeat() {
    let interval = Duration::from_secs(180);
    for (name, first, then, given) in [
        ("the same moment", 100, 100, false),
        ("somebody asked at once", 100, 101, false),
        ("just before half of it", 100, 189, false),
        ("a heartbeat that came early", 100, 190, true),
        ("a heartbeat", 100, 280, true),
        ("a later one", 100, 5000, true),
    ] {
        assert_eq!(was_given_its_time(at(first), at(then), interval), given, "{name}");
    }
}

#[test]
fn work_that_was_given_to_another() {
    let agent = Answer::Found(found(Some(ago(3600))));
    let of = |status: &str, assignee: Option<&str>| {
        let assignee = assignee.map(str::to_owned);
        Answer::Found(Bead { id: "gt-1".into(), status: status.into(), assignee, ..Bead::default() })
    };
    let alive = Situation::Alive(ago(OLD));
    let reassigned = || Finding::Reassigned { hook: "gt-1".into(), to: "r/polecats/y".into() };
    for (name, bead, situation, expected) in [
        ("its own", of("hooked", Some("r/polecats/x")), alive, stalled()),
        ("another's", of("hooked", Some("r/polecats/y")), alive, reassigned()),
        ("another's, in progress", of("in_progress", Some("r/polecats/y")), alive, reassigned()),
        ("another's, who closed it", of("closed", Some("r/polecats/y")), alive, Finding::Over),
        ("another's, who gave it back", of("open", Some("r/polecats/y")), alive, Finding::Over),
        ("nobody's", of("hooked", None), alive, Finding::Over),
        ("nobody's, in words", of("hooked", Some("")), alive, Finding::Over),
        ("another's, and it is dead", of("hooked", Some("r/polecats/y")), Situation::Missing, Finding::Over),
        ("another's, and it may be", of("hooked", Some("r/polecats/y")), Situation::Unknown, Finding::Over),
        ("another's, and it starts", of("hooked", Some("r/polecats/y")), Situation::Busy, Finding::Over),
        ("not readable", Answer::Unknown("bd".into()), alive, Finding::Unknown),
    ] {
        let got = judge(&agent, &bead, situation, Times { assignee: Some("r/polecats/x"), ..times() });
        assert_eq!(got, expected, "{name}");
    }
}
