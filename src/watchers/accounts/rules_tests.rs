//! What is next, by what is held, who waits and what time it is.

use super::*;
use crate::{
    agent::{
        account::Account,
        accounts::{hold::Ends, register::Accounts},
        activity::{Activity, Reading, Source},
        confirmation::SessionKey,
    },
    town::{
        identity::{Identity, Role},
        settings::{UsageLimit, quiet},
        usage_limit::reset::Reset,
    },
};

const START: &str = "2026-02-02T08:00:00Z";

fn at(seconds: i64) -> Now {
    let wall = START.parse::<jiff::Timestamp>().unwrap() + SignedDuration::from_secs(seconds);
    Now { mono: Duration::from_secs(seconds.unsigned_abs()), wall }
}

fn account(directory: &str) -> Account {
    Account { program: "claude".to_owned(), directory: directory.into(), key: None }
}

fn agent(name: &str) -> Identity {
    name.parse().unwrap()
}

/// A register in which these agents use one account.
fn register(agents: &[&str]) -> Accounts {
    let accounts = Accounts::new("/nowhere".as_ref());
    for name in agents {
        let session = SessionKey { id: "$1".to_owned(), created: at(0).wall };
        accounts.uses(&agent(name), &session, Some(account("/one")));
    }
    accounts
}

fn reading() -> Reading {
    Reading { activity: Activity::Limited(String::new()), source: Source::Screen, since: at(0).wall }
}

/// This agent meets a limit at `when` that ends at `until`, or nobody knows when.
fn limited(accounts: &Accounts, name: &str, until: Option<i64>, when: i64) {
    let ends = match until {
        Some(until) => Ends::At(Reset { at: at(until).wall, exact: true }),
        None => Ends::TryAfter(Duration::from_secs(900)),
    };
    accounts.limited(&agent(name), (&format!("until {until:?}"), &reading()), ends, at(when));
}

fn policy() -> UsageLimit {
    UsageLimit::default()
}

/// What is done from `from` to `to`, with its times, when nothing is met again.
fn run(accounts: &Accounts, (from, to): (i64, i64), policy: &UsageLimit) -> Vec<(i64, String)> {
    let (mut pace, mut done) = (Pace::default(), Vec::new());
    for second in from..=to {
        loop {
            let now = at(second);
            let what = match next(&accounts.view(now), &pace, now, policy, &TimeZone::UTC) {
                Next::Report(hold) => {
                    accounts.reported(&hold.key());
                    "told".to_owned()
                }
                Next::Over(key) => {
                    accounts.is_over(&key, now.wall);
                    "over".to_owned()
                }
                Next::Probe(key, it) => {
                    pace.last = now.mono;
                    accounts.probe(&key, Some(&it.agent), now);
                    wake(accounts, &it, now);
                    format!("{} tries", it.agent)
                }
                Next::Judge(key, _) => {
                    accounts.is_over(&key, now.wall);
                    "it is well".to_owned()
                }
                Next::Wake(it) => {
                    pace.last = now.mono;
                    wake(accounts, &it, now);
                    it.agent.to_string()
                }
                Next::End(hold) => {
                    accounts.end(&hold.key());
                    "ended".to_owned()
                }
                Next::Wait(_) => break,
            };
            done.push((second, what));
        }
    }
    done
}

fn wake(accounts: &Accounts, it: &Waiting, now: Now) {
    match it.waits_as {
        Waits::Ended => accounts.release(&it.agent),
        Waits::Lives { .. } => drop(accounts.prompted(&it.agent, now)),
    }
}

fn lines(done: &[(i64, String)]) -> Vec<(i64, &str)> {
    done.iter().map(|(at, what)| (*at, what.as_str())).collect()
}

#[test]
fn an_exact_limit_ends_for_all_one_after_the_other() {
    let accounts = register(&["r/polecats/a", "r/witness", "deacon", "r/polecats/b"]);
    limited(&accounts, "r/polecats/a", Some(100), 10);
    limited(&accounts, "r/witness", Some(100), 11);
    accounts.wants_to_start(&agent("deacon"));
    assert_eq!(
        lines(&run(&accounts, (12, 300), &policy())),
        [
            (12, "told"),
            (110, "over"),
            (110, "deacon"),
            (113, "r/witness"),
            (116, "r/polecats/a"),
            (116, "ended")
        ],
        "in the order of starts; one that met nothing is not woken"
    );
    assert!(accounts.is_quiet());
}

#[test]
fn a_guess_is_tried_by_one() {
    let accounts = register(&["r/polecats/a", "r/polecats/b", "r/witness"]);
    limited(&accounts, "r/polecats/a", None, 10);
    limited(&accounts, "r/polecats/b", None, 11);
    limited(&accounts, "r/witness", None, 12);
    assert_eq!(
        lines(&run(&accounts, (12, 1000), &policy())),
        [
            (12, "told"),
            (920, "r/witness tries"),
            (955, "it is well"),
            (955, "r/polecats/a"),
            (958, "r/polecats/b"),
            (958, "ended")
        ]
    );
}

#[test]
fn one_that_meets_it_again_ends_the_waking() {
    let accounts = register(&["r/polecats/a", "r/polecats/b", "r/witness"]);
    for name in ["r/polecats/a", "r/polecats/b", "r/witness"] {
        limited(&accounts, name, Some(100), 10);
    }
    let first = run(&accounts, (12, 111), &policy());
    assert_eq!(lines(&first), [(12, "told"), (110, "over"), (110, "r/witness")]);
    limited(&accounts, "r/witness", Some(200), 111);
    let then = run(&accounts, (112, 300), &policy());
    assert_eq!(then[0], (210, "over".to_owned()), "the same limit is not reported again: {then:?}");
    // Another one is.
    let accounts = register(&["r/polecats/a", "r/witness"]);
    limited(&accounts, "r/witness", Some(100), 10);
    run(&accounts, (12, 111), &policy());
    limited(&accounts, "r/witness", Some(100_000), 111);
    assert_eq!(lines(&run(&accounts, (112, 113), &policy())), [(112, "told")]);
}

#[test]
fn whom_the_settings_leave_alone() {
    let late = quiet(&serde_json::json!("08:01-08:10")).unwrap();
    for (name, policy, woken) in [
        ("as it comes", policy(), vec![(110, "deacon"), (113, "r/witness")]),
        ("not told", UsageLimit { wake: false, ..policy() }, vec![(110, "deacon")]),
        (
            "but for a role",
            UsageLimit { wake_except: [Role::Witness].into(), ..policy() },
            vec![(110, "deacon")],
        ),
        ("quiet", UsageLimit { quiet: late, ..policy() }, vec![(600, "deacon"), (603, "r/witness")]),
        (
            "later",
            UsageLimit { margin: Duration::from_secs(60), ..policy() },
            vec![(160, "deacon"), (163, "r/witness")],
        ),
    ] {
        let accounts = register(&["r/witness", "deacon"]);
        limited(&accounts, "r/witness", Some(100), 10);
        accounts.wants_to_start(&agent("deacon"));
        let done = run(&accounts, (12, 700), &policy);
        let agents: Vec<_> = lines(&done)
            .into_iter()
            .filter(|(_, what)| what.contains(['d', '/']) && !["told", "ended"].contains(what))
            .collect();
        assert_eq!(agents, woken, "{name}");
    }
}

#[test]
fn a_lost_login_waits_for_its_file_and_is_tried_by_one() {
    let accounts = register(&["r/polecats/a", "r/witness"]);
    let credentials = |text: &str| Some(text.to_owned());
    for name in ["r/polecats/a", "r/witness"] {
        accounts.logged_out(&agent(name), ("run /login", &reading()), Some(credentials("old")), at(10));
    }
    assert_eq!(lines(&run(&accounts, (12, 4000), &policy())), [(12, "told")]);
    let key = (account("/one"), Cause::LoggedOut);
    assert!(!accounts.credentials(&key, &credentials("old"), at(4000).wall), "the same file");
    assert!(accounts.credentials(&key, &credentials("new"), at(4000).wall));
    let done = run(&accounts, (4001, 4002), &policy());
    assert_eq!(lines(&done), [(4001, "r/witness tries")]);
    // It fails: the others wait for another login.
    accounts.logged_out(
        &agent("r/witness"),
        ("still: run /login", &reading()),
        Some(credentials("new")),
        at(4010),
    );
    assert_eq!(lines(&run(&accounts, (4011, 9000), &policy())), []);
    assert!(accounts.credentials(&key, &credentials("newer"), at(9000).wall));
    let done = run(&accounts, (9001, 9100), &policy());
    let expected = [(9001, "r/witness tries"), (9036, "it is well"), (9036, "r/polecats/a"), (9036, "ended")];
    assert_eq!(lines(&done), expected);
}

#[test]
fn without_holds_and_waiting_agents_no_timer_is_set() {
    let accounts = register(&["deacon"]);
    let pace = Pace::default();
    let ask = |accounts: &Accounts| next(&accounts.view(at(5)), &pace, at(5), &policy(), &TimeZone::UTC);
    assert_eq!(ask(&accounts), Next::Wait(None));
    limited(&accounts, "deacon", Some(30), 5);
    accounts.reported(&(account("/one"), Cause::UsageLimit));
    assert_eq!(ask(&accounts), Next::Wait(Some(Duration::from_secs(35))));
}

#[test]
fn a_sentence_that_may_be_old_is_tried_at_once_and_reported_only_when_it_is_met() {
    let late = quiet(&serde_json::json!("08:00-08:10")).unwrap();
    let not_prompted = UsageLimit { wake: false, ..policy() };
    for (name, policy, starts, expected) in [
        (
            "a start comes first",
            policy(),
            true,
            vec![(12, "r/witness tries"), (47, "it is well"), (47, "deacon"), (47, "ended")],
        ),
        (
            "else one that lives",
            policy(),
            false,
            vec![(12, "deacon tries"), (47, "it is well"), (47, "ended")],
        ),
        ("nobody may be prompted", not_prompted.clone(), false, vec![(12, "over"), (12, "ended")]),
        (
            "a start all the same",
            not_prompted,
            true,
            vec![(12, "r/witness tries"), (47, "it is well"), (47, "ended")],
        ),
        ("quiet hours", UsageLimit { quiet: late, ..policy() }, false, vec![]),
        (
            "a start in quiet hours",
            UsageLimit { quiet: late, ..policy() },
            true,
            vec![(12, "r/witness tries"), (47, "it is well"), (107, "ended")],
        ),
    ] {
        let accounts = register(&["deacon", "r/witness"]);
        accounts.limited(&agent("deacon"), ("resets 9am", &reading()), Ends::Unconfirmed, at(10));
        if starts {
            accounts.wants_to_start(&agent("r/witness"));
        }
        assert_eq!(lines(&run(&accounts, (12, 300), &policy)), expected, "{name}");
    }
    let accounts = register(&["deacon", "r/witness"]);
    accounts.limited(&agent("deacon"), ("resets 9am", &reading()), Ends::Unconfirmed, at(10));
    assert_eq!(lines(&run(&accounts, (12, 13), &policy())), [(12, "deacon tries")]);
    limited(&accounts, "deacon", Some(100), 20);
    assert_eq!(lines(&run(&accounts, (21, 22), &policy())), [(21, "told")], "now it is known");
}
