use std::path::Path;

use super::*;
use crate::agents_file::reading::{Around, read};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

/// What is kept of an agent: what it took, and since when the file says something else.
fn kept(taken: &str, other_since: Option<i64>) -> Taken {
    Taken { session: "a".into(), taken: taken.into(), other_since: other_since.map(at) }
}

fn over(action: Action, takes: &str, failed: Option<&str>) -> Over {
    Over { action, takes: takes.into(), failed: failed.map(str::to_owned) }
}

fn alive(since: i64) -> Known {
    Known { lives_since: Some(at(since)), ..Known::default() }
}

#[test]
fn an_agent_that_the_file_has() {
    use Action::{Restart, Start};
    let refused = || over(Restart, "new", Some("busy"));
    let none = Known::default;
    for (name, known, before, again, expected) in [
        ("nothing is kept: it is as it is", alive(5), None, false, Due::Took),
        ("nothing changed", alive(5), Some(kept("new", None)), false, Due::Nothing),
        ("it changed and was changed back", alive(5), Some(kept("new", Some(9))), false, Due::Took),
        ("it changed", alive(5), Some(kept("old", Some(9))), false, Due::Ask(Restart)),
        ("it changed, and may not run", none(), Some(kept("old", Some(9))), false, Due::Ask(Restart)),
        ("somebody restarted it since", alive(10), Some(kept("old", Some(9))), false, Due::Took),
        ("perhaps in the same second", alive(9), Some(kept("old", Some(9))), false, Due::Ask(Restart)),
        (
            "it is being restarted",
            Known { is_busy: true, ..alive(5) },
            Some(kept("old", Some(9))),
            true,
            Due::Nothing,
        ),
        (
            "somebody stopped it",
            Known { held: Some(false), ..none() },
            Some(kept("old", Some(9))),
            false,
            Due::Took,
        ),
        (
            "the file had stopped it",
            Known { held: Some(true), ..none() },
            Some(kept("old", Some(9))),
            false,
            Due::Ask(Start),
        ),
        (
            "its restart was refused",
            Known { over: vec![refused()], ..alive(5) },
            Some(kept("old", Some(9))),
            false,
            Due::Failed(Restart, "busy".into()),
        ),
        (
            "and is tried again",
            Known { over: vec![refused()], ..alive(5) },
            Some(kept("old", Some(9))),
            true,
            Due::Ask(Restart),
        ),
        (
            "its restart ended it, and the start failed",
            Known { over: vec![refused()], ..none() },
            Some(kept("old", Some(9))),
            false,
            Due::Took,
        ),
        (
            "an earlier change was refused",
            Known { over: vec![over(Restart, "older", Some("busy"))], ..alive(5) },
            Some(kept("old", Some(9))),
            false,
            Due::Ask(Restart),
        ),
    ] {
        assert_eq!(known.due(before.as_ref(), "new", again), expected, "{name}");
    }
}

#[test]
fn what_is_kept_after_a_restart() {
    use Action::{Restart, Stop};
    for (name, requests, before, expected) in [
        ("nothing changed", vec![], kept("new", None), kept("new", None)),
        ("it changed now", vec![], kept("old", None), kept("old", Some(20))),
        ("it changed before", vec![], kept("old", Some(9)), kept("old", Some(9))),
        ("it was restarted", vec![over(Restart, "new", None)], kept("old", Some(9)), kept("new", None)),
        (
            "it was restarted, and changed again meanwhile",
            vec![over(Restart, "newer", None)],
            kept("old", Some(9)),
            kept("newer", Some(20)),
        ),
        (
            "its restart failed",
            vec![over(Restart, "new", Some("busy"))],
            kept("old", Some(9)),
            kept("old", Some(9)),
        ),
        ("something else is over", vec![over(Stop, "", None)], kept("old", Some(9)), kept("old", Some(9))),
    ] {
        let known = Known { over: requests, ..Known::default() };
        assert_eq!(known.kept(before, "new", at(20)), expected, "{name}");
    }
}

#[test]
fn an_agent_that_is_to_leave() {
    let stop = || over(Action::Stop, "", Some("refused"));
    for (name, known, again, due, removed, renamed) in [
        ("it lives", alive(5), false, Due::Ask(Action::Stop), false, false),
        ("it is unknown", Known::default(), false, Due::Ask(Action::Stop), false, false),
        ("it is being ended", Known { is_busy: true, ..alive(5) }, true, Due::Nothing, false, false),
        (
            "it could not be ended",
            Known { over: vec![stop()], ..alive(5) },
            false,
            Due::Failed(Action::Stop, "refused".into()),
            false,
            false,
        ),
        (
            "and is ended now",
            Known { over: vec![stop()], ..alive(5) },
            true,
            Due::Ask(Action::Stop),
            false,
            false,
        ),
        (
            "it has ended",
            Known { held: Some(true), ..Known::default() },
            false,
            Due::Ask(Action::Stop),
            true,
            true,
        ),
        (
            "somebody had stopped it: whether it ended is looked at",
            Known { held: Some(false), ..Known::default() },
            false,
            Due::Ask(Action::Stop),
            false,
            true,
        ),
        (
            "and it was",
            Known { held: Some(false), over: vec![over(Action::Stop, "", None)], ..Known::default() },
            false,
            Due::Ask(Action::Stop),
            true,
            true,
        ),
        (
            "it had ended by itself",
            Known { ended: true, ..Known::default() },
            false,
            Due::Ask(Action::Stop),
            true,
            false,
        ),
    ] {
        assert_eq!(known.due_to_leave(again), due, "{name}");
        assert_eq!([known.has_left(false), known.has_left(true)], [removed, renamed], "{name}");
    }
}

fn standings(text: &str) -> Standings {
    let around = Around { directory: Path::new("/t"), home: None };
    read(Path::new("agents.toml"), text.as_bytes(), around).unwrap().standings()
}

#[test]
fn what_is_said_while_agents_end() {
    let agent = |name: &str, session: &str| {
        format!("[agents.{name}]\ncommand = \"claude\"\nsession = \"{session}\"\n")
    };
    let file = |agents: &[(&str, &str)]| {
        standings(&agents.iter().map(|(name, session)| agent(name, session)).collect::<String>())
    };
    type Agents<'a> = &'a [(&'a str, &'a str)];
    let grid: [(&str, Agents<'_>, Agents<'_>, &[&str], &str); 7] = [
        ("nothing changed", &[("a", "a")], &[("a", "a")], &[], "@a a"),
        ("one is gone", &[("a", "a"), ("b", "b")], &[("b", "b")], &[], "@b b, @a a"),
        ("it has ended", &[("a", "a"), ("b", "b")], &[("b", "b")], &["@a"], "@b b"),
        ("one is to have another session", &[("a", "a")], &[("a", "x")], &[], "@a a"),
        ("it has ended there", &[("a", "a")], &[("a", "x")], &["@a"], "@a x"),
        ("another one gets its session", &[("a", "x")], &[("b", "x")], &[], "@a x"),
        ("when it has ended", &[("a", "x")], &[("b", "x")], &["@a"], "@b x"),
    ];
    for (name, before, plan, left, expected) in grid {
        let left = left.iter().map(|it| it.parse().unwrap()).collect();
        let now = meanwhile(&file(plan), &file(before), &left);
        let shown: Vec<String> =
            now.agents().map(|it| format!("{it} {}", now.of(it).unwrap().session)).collect();
        assert_eq!(shown.join(", "), expected, "{name}");
    }
    let two = file(&[("a", "x"), ("b", "y")]);
    let swapped = file(&[("a", "y"), ("b", "x")]);
    let now = meanwhile(&swapped, &two, &BTreeSet::new());
    assert_eq!(now, two, "two that swap their sessions both end first");
    let now = meanwhile(&swapped, &two, &["@a".parse().unwrap()].into());
    assert_eq!(now.agents().count(), 1, "the first waits for the second");
}
