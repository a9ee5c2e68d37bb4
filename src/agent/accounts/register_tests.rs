//! What holds an account, whom that concerns, and until when.

use jiff::SignedDuration;

use super::*;
use crate::{agent::activity::Activity, town::usage_limit::reset::Reset};

fn at(seconds: i64) -> Now {
    let wall = "2026-02-02T08:00:00Z".parse::<Timestamp>().unwrap() + SignedDuration::from_secs(seconds);
    Now { mono: Duration::from_secs(seconds.unsigned_abs()), wall }
}

fn account(directory: &str) -> Account {
    Account { program: "claude".to_owned(), directory: directory.into(), key: None }
}

fn agent(name: &str) -> Identity {
    name.parse().unwrap()
}

fn session(id: &str) -> SessionKey {
    SessionKey { id: id.to_owned(), created: at(0).wall }
}

fn register() -> Accounts {
    let accounts = Accounts::new("/nowhere".as_ref());
    for (name, directory) in [("r/witness", "/one"), ("r/refinery", "/one"), ("deacon", "/two")] {
        accounts.uses(&agent(name), &session("$1"), Some(account(directory)));
    }
    accounts
}

fn reading(source: Source, since: i64) -> Reading {
    Reading { activity: Activity::Limited(String::new()), source, since: at(since).wall }
}

/// A limit that ends at this time, or at an unknown one.
fn ends(until: Option<i64>) -> Ends {
    match until {
        Some(until) => Ends::At(Reset { at: at(until).wall, exact: true }),
        None => Ends::TryAfter(Duration::from_secs(900)),
    }
}

fn limited(accounts: &Accounts, name: &str, said: (&str, Source), until: Option<i64>, now: i64) -> bool {
    accounts.limited(&agent(name), (said.0, &reading(said.1, now)), ends(until), at(now))
}

fn denied(accounts: &Accounts, name: &str, now: i64) -> Option<String> {
    accounts.denial_of(&agent(name), at(now), &TimeZone::UTC).map(|denial| denial.to_string())
}

fn until(accounts: &Accounts, now: i64) -> Option<i64> {
    let (holds, _) = accounts.view(at(now));
    let until = holds.iter().find(|hold| hold.lasts())?.until?;
    Some(until.duration_since(at(0).wall).as_secs())
}

const SCREEN: Source = Source::Screen;

#[test]
fn a_limit_holds_all_agents_of_its_account_and_no_others() {
    let accounts = register();
    assert!(limited(&accounts, "r/witness", ("resets 9am", SCREEN), Some(3600), 10));
    assert!(!limited(&accounts, "r/witness", ("resets 9am", SCREEN), Some(3600), 11), "known");
    let text = Some("limited until 09:00: resets 9am".to_owned());
    assert_eq!(
        (denied(&accounts, "r/witness", 20), denied(&accounts, "r/refinery", 20)),
        (text.clone(), text)
    );
    assert_eq!(denied(&accounts, "deacon", 20), None);
    assert_eq!(denied(&accounts, "r/polecats/new", 20), None, "nobody knows its account");
    assert!(!limited(&accounts, "r/polecats/new", ("resets 9am", SCREEN), Some(3600), 10));
    let text = denied(&accounts, "r/witness", -40_000).unwrap();
    assert!(text.starts_with("limited until Feb 2 09:00"), "{text}: another day");
}

#[test]
fn which_time_counts() {
    for (name, reports, expected) in [
        ("what was said", vec![("r/witness", Some(3600))], 3600),
        ("no time", vec![("r/witness", None)], 910),
        ("a guess after a time", vec![("r/witness", Some(3600)), ("r/refinery", None)], 3600),
        ("a time after a guess", vec![("r/witness", None), ("r/refinery", Some(3600))], 3600),
        ("a guess after a guess", vec![("r/witness", None), ("r/refinery", None)], 910),
        ("the later", vec![("r/witness", Some(3600)), ("r/refinery", Some(7200))], 7200),
        ("an earlier", vec![("r/witness", Some(7200)), ("r/refinery", Some(3600))], 7200),
    ] {
        let accounts = register();
        for (at, (agent, until)) in (10..).zip(reports) {
            limited(&accounts, agent, (&format!("{until:?}"), SCREEN), until, at);
        }
        assert_eq!(until(&accounts, 20), Some(expected), "{name}");
    }
}

#[test]
fn a_limit_that_is_over_when_it_is_read_holds_nobody() {
    let accounts = register();
    assert!(limited(&accounts, "r/witness", ("resets 8am", SCREEN), Some(0), 10));
    assert_eq!((until(&accounts, 20), denied(&accounts, "r/witness", 20)), (None, None));
    let (_, waiting) = accounts.view(at(20));
    assert_eq!(waiting.len(), 1, "but it has to be prompted to continue");
}

#[test]
fn a_sentence_that_stays_after_a_wake_is_the_old_one_for_a_while() {
    let accounts = register();
    limited(&accounts, "r/witness", ("resets 8am", SCREEN), Some(0), 10);
    accounts.prompted(&agent("r/witness"), at(20));
    assert!(!limited(&accounts, "r/witness", ("resets 8am", SCREEN), Some(0), 40), "it settles");
    let old = reading(Source::Transcript, 19);
    let says = |said| accounts.limited(&agent("r/witness"), (said, &old), ends(Some(7200)), at(40));
    assert!(!says("resets 10am"), "an old record");
    assert!(limited(&accounts, "r/witness", ("resets 9am", SCREEN), Some(3600), 41), "another sentence");
    let accounts = register();
    limited(&accounts, "r/witness", ("resets 8am", SCREEN), Some(0), 10);
    for wake in 0..3 {
        let woken = 20 + wake * 100;
        accounts.prompted(&agent("r/witness"), at(woken));
        let again = limited(&accounts, "r/witness", ("resets 8am", SCREEN), Some(0), woken + 60);
        assert_eq!(again, wake < 2, "wake {wake}");
        let lasts = again.then_some(woken + 120);
        assert_eq!(until(&accounts, woken + 61), lasts.or(Some(240)), "wake {wake}");
    }
}

#[test]
fn who_ended_waits_for_its_turn() {
    let accounts = register();
    limited(&accounts, "r/witness", ("resets 9am", SCREEN), Some(3600), 10);
    assert!(accounts.wants_to_start(&agent("r/refinery")));
    assert!(!accounts.wants_to_start(&agent("r/refinery")), "known");
    accounts.is_over(&(account("/one"), Cause::UsageLimit), at(3700).wall);
    assert_eq!(denied(&accounts, "r/witness", 3700), None);
    assert!(denied(&accounts, "r/refinery", 3700).is_some_and(|why| why.contains("one after the other")));
    accounts.release(&agent("r/refinery"));
    assert_eq!(denied(&accounts, "r/refinery", 3700), None);
}

#[test]
fn the_agent_that_tries_may_start() {
    let accounts = register();
    limited(&accounts, "r/witness", ("a guess", SCREEN), None, 10);
    accounts.wants_to_start(&agent("r/refinery"));
    accounts.probe(&(account("/one"), Cause::UsageLimit), Some(&agent("r/refinery")), at(920));
    assert_eq!(denied(&accounts, "r/refinery", 921), None);
    assert!(denied(&accounts, "r/witness", 921).is_some());
}

#[test]
fn who_works_waits_for_nothing() {
    for (name, waits_as, says, works) in [
        ("its screen shows something else", SCREEN, SCREEN, true),
        ("its transcript says so", SCREEN, Source::Transcript, true),
        ("a screen is less than a transcript", Source::Transcript, SCREEN, false),
    ] {
        let accounts = register();
        limited(&accounts, "r/witness", ("resets 9am", waits_as), Some(3600), 10);
        assert_eq!(accounts.works(&agent("r/witness"), says), works, "{name}");
        assert_eq!(accounts.view(at(20)).1.is_empty(), works, "{name}");
        assert!(denied(&accounts, "r/witness", 20).is_some(), "{name}: its account is held all the same");
    }
}

#[test]
fn a_clock_that_is_set_back_takes_the_end_with_it() {
    let accounts = register();
    limited(&accounts, "r/witness", ("resets 9am", SCREEN), Some(3600), 10);
    accounts.view(at(100));
    assert_eq!(until(&accounts, -86_400), Some(-86_400 + 3500));
    assert_eq!(until(&accounts, -86_300), Some(-86_400 + 3500));
}

#[test]
fn a_new_incarnation_and_a_person_end_what_was() {
    let accounts = register();
    limited(&accounts, "r/witness", ("resets 9am", SCREEN), Some(3600), 10);
    accounts.uses(&agent("r/witness"), &session("$2"), Some(account("/one")));
    assert_eq!(accounts.view(at(20)).1, []);
    accounts.clear(Some(&agent("deacon")), at(20).wall);
    assert!(denied(&accounts, "r/witness", 20).is_some(), "another account");
    accounts.clear(Some(&agent("r/refinery")), at(20).wall);
    assert_eq!(denied(&accounts, "r/witness", 20), None);
    accounts.uses(&agent("r/witness"), &session("$2"), None);
    assert_eq!(accounts.of(&agent("r/witness")), None);
}

#[test]
fn what_is_stored_is_read_again() {
    let accounts = register();
    limited(&accounts, "r/witness", ("resets 9am", SCREEN), Some(3600), 10);
    accounts.wants_to_start(&agent("r/refinery"));
    let key = (account("/one"), Cause::UsageLimit);
    accounts.reported(&key);
    let stored = serde_json::to_string(&*accounts.stored.value()).unwrap();
    let read: Stored = serde_json::from_str(&stored).unwrap();
    let next = Accounts::new("/nowhere".as_ref());
    *next.stored.value() = read;
    assert_eq!(next.view(at(20)), accounts.view(at(20)));
    assert!(next.view(at(20)).0[0].reported, "and not reported again");
}

#[test]
fn a_sentence_that_may_be_old_lets_one_try() {
    let may_be_old = |accounts: &Accounts, name: &str, now| {
        let read = reading(SCREEN, now);
        accounts.limited(&agent(name), ("resets 9am", &read), Ends::Unconfirmed, at(now))
    };
    let key = (account("/one"), Cause::UsageLimit);
    let accounts = register();
    assert!(may_be_old(&accounts, "r/witness", 10));
    let denied = denied(&accounts, "r/refinery", 20);
    assert!(denied.is_some_and(|why| why.contains("may be old")));
    assert_eq!(until(&accounts, 20), Some(10), "it is tried at once");
    // It meets the limit.
    accounts.probe(&key, Some(&agent("r/refinery")), at(20));
    limited(&accounts, "r/refinery", ("resets 9am", SCREEN), Some(3600), 30);
    let hold = |accounts: &Accounts| accounts.view(at(40)).0.first().cloned();
    let confirmed = hold(&accounts).unwrap();
    assert!(confirmed.confirmed && confirmed.exact && confirmed.probe.is_none(), "{confirmed:?}");
    assert_eq!((until(&accounts, 40), confirmed.by.to_string()), (Some(3600), "r/refinery".to_owned()));
    // It changes nothing of what is known, nor of what is over.
    may_be_old(&accounts, "r/witness", 50);
    assert_eq!(until(&accounts, 60), Some(3600));
    accounts.is_over(&key, at(3700).wall);
    accounts.prompted(&agent("r/witness"), at(3701));
    let read = reading(SCREEN, 3740);
    accounts.limited(&agent("r/witness"), ("resets 10am", &read), Ends::Unconfirmed, at(3740));
    assert_eq!(until(&accounts, 3750), None);
    let (_, waiting) = accounts.view(at(3750));
    assert!(waiting.iter().any(|it| it.agent == agent("r/witness")), "but that agent waits");
}

#[test]
fn a_lost_login_that_may_be_old_ends_no_try() {
    let accounts = register();
    let key = (account("/one"), Cause::LoggedOut);
    let says = |name: &str, lost: Option<&str>, now| {
        let read = reading(SCREEN, now);
        let lost = lost.map(|it| Some(it.to_owned()));
        accounts.logged_out(&agent(name), ("Please run /login", &read), lost, at(now))
    };
    assert!(says("r/witness", Some("first"), 10));
    assert_eq!(until(&accounts, 20), None);
    assert!(accounts.credentials(&key, &Some("second".to_owned()), at(100).wall));
    // An agent that has said so for long is read for the first time.
    assert!(says("r/refinery", None, 110));
    assert_eq!(until(&accounts, 120), Some(100), "the new login is still to be tried");
}

#[test]
fn one_that_ends_while_it_tries_its_account_shows_nothing_and_another_try_comes_later() {
    let accounts = register();
    let key = (account("/one"), Cause::LoggedOut);
    let read = reading(SCREEN, 10);
    accounts.logged_out(&agent("r/witness"), ("run /login", &read), Some(Some("first".to_owned())), at(10));
    assert!(accounts.credentials(&key, &Some("second".to_owned()), at(100).wall));
    accounts.probe(&key, Some(&agent("r/refinery")), at(100));
    assert_eq!(denied(&accounts, "r/refinery", 110), None, "it may be started");
    let at_end = |name: &str| accounts.denial_at_end(&agent(name), at(120), &TimeZone::UTC);
    assert!(at_end("r/refinery").is_some(), "but not once more");
    assert_eq!(accounts.tried_in_vain(&agent("r/witness"), at(1020).wall, at(120).wall), None, "not its try");
    assert_eq!(accounts.tried_in_vain(&agent("r/refinery"), at(1020).wall, at(120).wall), Some(key.clone()));
    assert_eq!((until(&accounts, 130), denied(&accounts, "r/refinery", 130).is_some()), (Some(1020), true));
    accounts.credentials_after_try(&key, Some("third".to_owned()));
    assert!(!accounts.credentials(&key, &Some("third".to_owned()), at(140).wall), "its own program wrote it");
    assert!(
        accounts.credentials(&key, &Some("fourth".to_owned()), at(150).wall),
        "a new login need not wait"
    );
    assert_eq!(until(&accounts, 160), Some(150));
}
