//! Tests of the death window: grids, and a comparison with a model that remembers all deaths and checks all of them.

use super::*;

fn at(seconds: u64) -> Now {
    let wall = "2026-02-02T08:00:00Z".parse::<jiff::Timestamp>().unwrap();
    Now { mono: Duration::from_secs(seconds), wall: wall + jiff::SignedDuration::from_secs(seconds as i64) }
}

fn death(session: &str, noticed: u64) -> ConfirmedDeath {
    ConfirmedDeath {
        agent: Identity::Deacon,
        session: session.to_owned(),
        noticed: at(noticed),
        exit: None,
        with_server: false,
        for_memory: false,
    }
}

/// The defaults, but the alert waits for nobody.
fn at_once() -> Policy {
    Policy { settle: Duration::ZERO, ..Policy::default() }
}

/// What was reported at which second: `!` before an alert, `+` before a follow-up.
type Alerts = Vec<(u64, String)>;

fn say(alerts: &mut Alerts, second: u64, mark: &str, names: &[String]) {
    alerts.push((second, format!("{mark}{}", names.join(" "))));
}

/// Deaths as session, noticed, confirmed; reviewed every second in between.
fn run(deaths: &[(&str, u64, u64)], policy: &Policy, until: u64) -> Alerts {
    let mut window = Window::default();
    let mut alerts = Alerts::new();
    for second in 0..=until {
        let confirmed = deaths.iter().filter(|(_, _, confirmed)| *confirmed == second);
        let mut decisions: Vec<Decision> = Vec::new();
        for (session, noticed, _) in confirmed {
            decisions.push(window.died(death(session, *noticed), at(second), policy));
            decisions.push(window.review(at(second), policy));
        }
        decisions.push(window.review(at(second), policy));
        decisions.push(window.review(at(second), policy));
        for decision in decisions {
            let (mark, deaths) = match decision {
                Decision::Leave => continue,
                Decision::Alert { deaths, follow_up_in } => {
                    assert_eq!(follow_up_in, policy.window + STRAGGLERS.min(policy.window));
                    ("!", deaths)
                }
                Decision::FollowUp { deaths } => ("+", deaths),
            };
            let names: Vec<String> = deaths.iter().map(|death| death.session.clone()).collect();
            say(&mut alerts, second, mark, &names);
        }
    }
    alerts
}

#[test]
fn window_grid() {
    #[rustfmt::skip]
    let cases: [(&str, &[(&str, u64, u64)], &[(u64, &str)]); 19] = [
        ("nobody", &[], &[]),
        ("two", &[("a", 0, 1), ("b", 1, 2)], &[]),
        ("three", &[("a", 0, 1), ("b", 1, 2), ("c", 2, 3)], &[(3, "!a b c")]),
        ("three times the same", &[("a", 0, 1), ("a", 5, 6), ("a", 10, 11)], &[]),
        ("two of them, one twice", &[("a", 0, 1), ("a", 5, 6), ("b", 10, 11)], &[]),
        ("just within", &[("a", 0, 1), ("b", 1, 2), ("c", 30, 31)], &[(31, "!a b c")]),
        ("just too late", &[("a", 0, 1), ("b", 1, 2), ("c", 31, 32)], &[]),
        ("sliding", &[("a", 0, 1), ("b", 25, 26), ("c", 40, 41), ("d", 45, 46)], &[(46, "!b c d")]),
        ("confirmed out of order, named in order", &[("c", 2, 3), ("a", 0, 5), ("b", 1, 9)], &[(9, "!a b c")]),
        ("confirmed a minute later, noticed together", &[("a", 0, 1), ("b", 1, 2), ("c", 2, 62)], &[(62, "!a b c")]),
        ("noticed long after, confirmed together", &[("a", 0, 60), ("b", 35, 60), ("c", 59, 60)], &[]),
        ("the late one joins two windows", &[("a", 0, 1), ("b", 20, 21), ("d", 40, 41), ("c", 25, 45)], &[(45, "!a b c d")]),
        ("one follow-up", &[("a", 0, 1), ("b", 0, 1), ("c", 0, 1), ("e", 20, 21), ("d", 10, 22)], &[(1, "!a b c"), (37, "+d e")]),
        ("follow-up names only new ones", &[("a", 0, 1), ("b", 0, 1), ("c", 0, 1), ("a", 10, 11), ("d", 12, 13), ("d", 20, 21)], &[(1, "!a b c"), (37, "+d")]),
        ("noticed before the alert, confirmed after", &[("a", 0, 1), ("b", 0, 1), ("c", 0, 1), ("d", 0, 5)], &[(1, "!a b c"), (37, "+d")]),
        ("noticed before all others, confirmed last", &[("a", 9, 10), ("b", 9, 10), ("c", 9, 10), ("d", 1, 12)], &[(10, "!a b c"), (46, "+d")]),
        ("a straggler of the last second", &[("a", 0, 1), ("b", 0, 1), ("c", 0, 1), ("d", 31, 36)], &[(1, "!a b c"), (37, "+d")]),
        ("afterwards it starts afresh", &[("a", 0, 1), ("b", 0, 1), ("c", 0, 1), ("d", 32, 33), ("e", 33, 38), ("a", 50, 51)], &[(1, "!a b c"), (51, "!d e a")]),
        ("two in a row", &[("a", 0, 1), ("b", 0, 1), ("c", 0, 1), ("d", 9, 9), ("x", 32, 33), ("y", 33, 34), ("z", 34, 35)], &[(1, "!a b c"), (37, "+d"), (37, "!x y z")]),
    ];
    for (name, deaths, expected) in cases {
        let alerts = run(deaths, &at_once(), 120);
        let expected: Alerts = expected.iter().map(|(at, text)| (*at, (*text).to_owned())).collect();
        assert_eq!(alerts, expected, "{name}");
    }
}

#[test]
fn a_hundred_at_once_are_one_alert_and_one_follow_up() {
    let names: Vec<String> = (0..100).map(|n| format!("s{n:02}")).collect();
    let deaths: Vec<_> =
        names.iter().enumerate().map(|(n, name)| (name.as_str(), 0, 1 + n as u64 % 5)).collect();
    let alerts = run(&deaths, &at_once(), 600);
    assert_eq!(alerts.len(), 2, "{alerts:?}");
    let mut told: Vec<&str> = alerts.iter().flat_map(|(_, text)| text[1..].split(' ')).collect();
    told.sort_unstable();
    assert_eq!(told, names);
}

#[test]
fn paced_from_the_alert_until_the_follow_up() {
    let policy = at_once();
    let mut window = Window::default();
    for (session, second) in [("a", 10), ("b", 11)] {
        assert_eq!(window.died(death(session, second), at(second), &policy), Decision::Leave);
        assert!(!window.paced(at(second)));
    }
    assert_eq!((window.within(at(11), &policy), window.within(at(41), &policy)), (2, 1));
    assert!(matches!(window.died(death("c", 12), at(13), &policy), Decision::Alert { .. }));
    for (second, paced) in [(13, true), (43, true), (48, true), (49, false), (500, false)] {
        assert_eq!(window.paced(at(second)), paced, "{second}");
    }
    assert_eq!(window.due_in(at(20)), Some(Duration::from_secs(29)));
    assert_eq!(window.due_in(at(60)), Some(Duration::ZERO), "overdue");
    assert_eq!(window.review(at(60), &policy), Decision::Leave, "nobody else died");
    assert_eq!((window.due_in(at(60)), window.gathered(), window.within(at(60), &policy)), (None, 0, 0));
}

#[test]
fn the_alert_waits_for_those_who_die_together() {
    let policy = Policy::default();
    assert_eq!(policy.settle, Duration::from_secs(2));
    #[rustfmt::skip]
    let cases: [(&str, &[(&str, u64, u64)], &[(u64, &str)]); 5] = [
        ("three", &[("a", 0, 1), ("b", 0, 1), ("c", 0, 1)], &[(3, "!a b c")]),
        ("five, one after the other", &[("a", 0, 1), ("b", 0, 1), ("c", 0, 1), ("d", 0, 2), ("e", 1, 3)], &[(3, "!a b c d e")]),
        ("the last too late", &[("a", 0, 1), ("b", 0, 1), ("c", 0, 1), ("d", 0, 4)], &[(3, "!a b c"), (39, "+d")]),
        ("a later one does not delay it", &[("a", 0, 1), ("b", 0, 1), ("c", 0, 1), ("d", 2, 2), ("e", 3, 3)], &[(3, "!a b c d e")]),
        ("in order of their ends", &[("c", 9, 10), ("b", 8, 10), ("d", 9, 10), ("a", 7, 12)], &[(12, "!a b c d")]),
    ];
    for (name, deaths, expected) in cases {
        let alerts = run(deaths, &policy, 120);
        let expected: Alerts = expected.iter().map(|(at, text)| (*at, (*text).to_owned())).collect();
        assert_eq!(alerts, expected, "{name}");
    }
    // Restarts are paced from the third death on, not from the alert.
    let mut window = Window::default();
    for session in ["a", "b"] {
        assert_eq!(window.died(death(session, 10), at(10), &policy), Decision::Leave);
    }
    assert!(!window.paced(at(10)) && window.due_in(at(10)).is_none());
    assert_eq!(window.died(death("c", 10), at(10), &policy), Decision::Leave);
    assert!(window.paced(at(10)) && window.paced(at(12)));
    assert_eq!(window.due_in(at(11)), Some(Duration::from_secs(1)));
    assert!(matches!(window.review(at(12), &policy), Decision::Alert { .. }));
}

#[test]
fn a_short_window_is_not_waited_for_longer_than_itself() {
    let policy = Policy { window: Duration::from_secs(2), ..at_once() };
    let alerts = run(&[("a", 0, 0), ("b", 0, 0), ("c", 0, 0), ("d", 1, 1)], &policy, 20);
    assert_eq!(alerts, [(0, "!a b c".to_owned()), (4, "+d".to_owned())]);
}

#[test]
fn what_is_kept_is_bounded() {
    let policy = Policy { threshold: 5, ..Policy::default() };
    let mut window = Window::default();
    for second in 0..1000 {
        let name = if second % 2 == 0 { "a" } else { "b" };
        assert_eq!(window.died(death(name, second), at(second), &policy), Decision::Leave);
    }
    assert!(window.noted.len() as u64 <= (policy.window + LATEST).as_secs() + 1);
}

#[test]
fn possible_cause_grid() {
    let rig = |rig: &str, exit: Option<i32>| ConfirmedDeath {
        agent: Identity::Witness(rig.parse().unwrap()),
        exit,
        ..death(rig, 0)
    };
    let with_server = ConfirmedDeath { with_server: true, ..death("s", 0) };
    let killed = |rig_name: &str| ConfirmedDeath { for_memory: true, ..rig(rig_name, Some(137)) };
    let nothing = Circumstance::default();
    let oom = Circumstance { oom_kills: Some(2), slept: None };
    let slept = Circumstance { oom_kills: Some(0), slept: Some(Duration::from_secs(500)) };
    let both = Circumstance { oom_kills: Some(1), ..slept };
    let (one_rig, two_rigs) = ([rig("a", None), rig("a", None)], [rig("a", Some(137)), rig("b", Some(137))]);
    #[rustfmt::skip]
    let cases = [
        ("nobody", vec![], nothing, None),
        ("nothing known", vec![death("x", 0), death("y", 0)], nothing, None),
        ("server", vec![rig("a", None), with_server.clone()], both, Some("tmux server died")),
        ("memory before sleep", two_rigs.to_vec(), both, Some("out of memory: the kernel killed a process")),
        ("memory before rig", one_rig.to_vec(), oom, Some("out of memory: the kernel killed processes")),
        ("its cgroup says so", vec![killed("a"), killed("b")], nothing, Some("out of memory: the kernel killed them")),
        ("of some of them", vec![killed("a"), killed("b"), rig("c", None)], oom, Some("out of memory: the kernel killed 2 of them")),
        ("of one of them", vec![rig("a", None), killed("a")], slept, Some("out of memory: the kernel killed one of them")),
        ("with the server", vec![killed("a"), with_server.clone()], nothing, Some("tmux server died")),
        ("sleep before rig", one_rig.to_vec(), slept, Some("the machine slept for 8m")),
        ("no kills are no cause", one_rig.to_vec(), Circumstance { slept: None, ..slept }, Some("all in rig a")),
        ("rig before exit status", vec![rig("a", Some(1)), rig("a", Some(1))], nothing, Some("all in rig a")),
        ("exit status", two_rigs.to_vec(), nothing, Some("all ended with exit status 137")),
        ("exit status of one unknown", vec![rig("a", Some(1)), rig("b", Some(1)), rig("c", None)], nothing, None),
        ("exit status of the first unknown", vec![rig("a", None), rig("b", None)], nothing, None),
        ("different exit status", vec![rig("a", Some(1)), rig("b", Some(2))], nothing, None),
        ("one of them in no rig", vec![rig("a", None), death("deacon", 0)], nothing, None),
        ("one alone has nothing in common", vec![rig("a", Some(1))], nothing, None),
        ("one alone with its server", vec![with_server], nothing, Some("tmux server died")),
    ];
    for (name, deaths, circumstance, expected) in cases {
        assert_eq!(possible_cause(&deaths, &circumstance).as_deref(), expected, "{name}");
    }
}

/// The same question answered from a list of all deaths ever, second by second.
fn model(deaths: &[(&str, u64, u64)], policy: &Policy, until: u64) -> Alerts {
    let (window, threshold) = (policy.window.as_secs(), policy.threshold as usize);
    // Of these (noticed, session), the ones in a window with enough sessions.
    let massed = |all: &[(u64, String)]| -> Vec<(u64, String)> {
        let mut massed = Vec::new();
        for (noticed, session) in all {
            // A window that contains it may as well begin at one of them.
            let begins = all.iter().map(|(it, _)| *it).filter(|it| it <= noticed && it + window >= *noticed);
            let in_one = begins.into_iter().any(|begin| {
                let inside = all.iter().filter(|(it, _)| (begin..=begin + window).contains(it));
                inside.map(|(_, name)| name).collect::<BTreeSet<_>>().len() >= threshold
            });
            if in_one {
                massed.push((*noticed, session.clone()));
            }
        }
        massed
    };
    let names = |deaths: &[(u64, String)]| {
        let mut names: Vec<String> = Vec::new();
        for (_, name) in deaths {
            if !names.contains(name) {
                names.push(name.clone());
            }
        }
        names
    };
    let mut all: Vec<(u64, String)> = Vec::new(); // not reported in any way
    let mut open: Option<(u64, Vec<(u64, String)>)> = None; // the time of the alert, and its sessions
    let mut settles: Option<u64> = None;
    let mut alerts = Alerts::new();
    for second in 0..=until {
        let confirmed = deaths.iter().filter(|(_, _, confirmed)| *confirmed == second);
        let mut steps: Vec<_> = confirmed.map(Some).collect();
        if open.is_some() || settles.is_some() {
            steps.push(None); // it may close by itself
        }
        for step in steps {
            if let Some((session, noticed, _)) = step {
                all.push((*noticed, (*session).to_owned()));
                all.sort_by_key(|(noticed, _)| *noticed);
            }
            if let Some((alerted, of)) = open.clone()
                && second >= alerted + window + STRAGGLERS.as_secs().min(window)
            {
                let belongs = |it: &(u64, String)| {
                    let with: Vec<_> = of.iter().chain([it]).cloned().collect();
                    it.0 <= alerted + window && (it.0 >= of[0].0 || massed(&with).contains(it))
                };
                let (mine, rest): (Vec<_>, Vec<_>) = all.into_iter().partition(belongs);
                all = rest;
                open = None;
                let told = names(&of);
                let more: Vec<String> =
                    names(&mine).into_iter().filter(|name| !told.contains(name)).collect();
                if !more.is_empty() {
                    say(&mut alerts, second, "+", &more);
                }
            }
            let alert = if open.is_none() { massed(&all) } else { Vec::new() };
            if !alert.is_empty() && second >= *settles.get_or_insert(second + policy.settle.as_secs()) {
                settles = None;
                say(&mut alerts, second, "!", &names(&alert));
                let mut of: Vec<(u64, String)> = Vec::new();
                for it in alert {
                    if of.iter().all(|(_, name)| *name != it.1) {
                        of.push(it);
                    }
                }
                all.retain(|it| it.0 >= of[0].0 && !of.contains(it));
                open = Some((second, of));
            }
        }
    }
    alerts
}

proptest::proptest! {
    #[test]
    fn agrees_with_a_model_that_remembers_everything(
        deaths in proptest::collection::vec((0..12_usize, 0..200_u64, 0..20_u64), 0..40),
        threshold in 1..6_u32,
        window in 1..40_u64,
        settle in 0..4_u64,
    ) {
        let names: Vec<String> = (0..12).map(|n| format!("s{n}")).collect();
        let deaths: Vec<(&str, u64, u64)> =
            deaths.iter().map(|(n, noticed, lag)| (names[*n].as_str(), *noticed, noticed + lag)).collect();
        let (window, settle) = (Duration::from_secs(window), Duration::from_secs(settle));
        let policy = Policy { window, threshold, settle, ..Policy::default() };
        let alerts = run(&deaths, &policy, 400);
        proptest::prop_assert_eq!(&alerts, &model(&deaths, &policy, 400));
        // A follow-up together with its alert: no session twice.
        for pair in alerts.windows(2).filter(|pair| pair[1].1.starts_with('+')) {
            let mut names: Vec<&str> = pair.iter().flat_map(|(_, text)| text[1..].split(' ')).collect();
            let count = names.len();
            names.sort_unstable();
            names.dedup();
            proptest::prop_assert_eq!(names.len(), count);
        }
    }
}
