//! Grids of which problems are alerts, and of edges.

use super::*;

#[test]
fn which_problems_are_alerts() {
    let one = |agent: &str| vec![agent.to_owned()];
    for (key, expected) in [
        ("command/bd", Some((Kind::MissingProgram, "command/bd", vec![]))),
        ("sessions", Some((Kind::BrokenTool, "sessions", vec![]))),
        ("dolt", Some((Kind::BrokenTool, "dolt", vec![]))),
        ("ledger/bd_server", Some((Kind::BrokenTool, "ledger/bd_server", vec![]))),
        ("ledger/bd_hung", Some((Kind::BrokenTool, "ledger/bd_hung", vec![]))),
        ("ledger/inbox/messages", None),
        ("ledger/crash_log", None),
        ("events/write", Some((Kind::CannotWrite, "write", vec![]))),
        ("log", Some((Kind::CannotWrite, "write", vec![]))),
        ("write/daemon/state.json", Some((Kind::CannotWrite, "write", vec![]))),
        ("file/daemon/supervisor/lives.json", Some((Kind::CannotWrite, "write", vec![]))),
        (
            "rig/r/r/polecats/Toast/question",
            Some((Kind::WaitingAtQuestion, "rig/r/r/polecats/Toast/question", one("r/polecats/Toast"))),
        ),
        ("deacon/question", Some((Kind::WaitingAtQuestion, "deacon/question", one("deacon")))),
        ("rig/r/r/witness/start", Some((Kind::MissingProgram, "rig/r/r/witness/start", one("r/witness")))),
        ("mayor/start", Some((Kind::MissingProgram, "mayor/start", one("mayor")))),
        ("start", None),
        ("rig/r/r/witness/crash_loop", None),
        ("heartbeat/late", None),
        ("notify/command", None),
        ("notify/webhook", None),
        ("memory", None),
        ("", None),
    ] {
        let found = of_problem(key, "text");
        let found = found.map(|it| (it.kind, it.key, it.agents));
        let expected = expected.map(|(kind, key, agents)| (kind, key.to_owned(), agents));
        assert_eq!(found, expected, "{key}");
    }
}

fn level(key: &str) -> Level {
    let kind = if key.starts_with('q') { Kind::WaitingAtQuestion } else { Kind::BrokenTool };
    Level { key: key.to_owned(), kind, summary: String::new(), agents: vec![] }
}

/// Conditions as key and the seconds during which they are there; a step each second. `open`: what was open on disk.
fn run(conditions: &[(&str, u64, u64)], open: &[&str], until: u64) -> Vec<String> {
    let mut open: BTreeSet<String> = open.iter().map(|key| (*key).to_owned()).collect();
    let (mut levels, mut edges) = (Levels::default(), Vec::new());
    for second in 0..=until {
        let there: Vec<Level> = conditions
            .iter()
            .filter(|(_, from, to)| (*from..*to).contains(&second))
            .map(|(key, ..)| level(key))
            .collect();
        for edge in levels.step(&there, &open, Duration::from_secs(second), Duration::ZERO) {
            match edge {
                Edge::Begins(level) => {
                    edges.push(format!("{second}+{}", level.key));
                    assert!(open.insert(level.key));
                }
                Edge::Ends(key) => {
                    edges.push(format!("{second}-{key}"));
                    assert!(open.remove(&key));
                }
            }
        }
        assert!(levels.0.len() <= conditions.len(), "what is over is forgotten");
    }
    edges
}

#[test]
fn edges() {
    #[rustfmt::skip]
    let cases: [(&str, &[(&str, u64, u64)], &[&str], &[&str]); 10] = [
        ("nothing", &[], &[], &[]),
        ("it begins and ends", &[("a", 1, 9)], &[], &["6+a", "28-a"]),
        ("too short", &[("a", 1, 5)], &[], &[]),
        ("it flutters: one alert", &[("a", 1, 9), ("a", 20, 25), ("a", 40, 50)], &[], &["6+a", "69-a"]),
        ("too short, twice", &[("a", 1, 5), ("a", 6, 10)], &[], &[]),
        ("a question may be answered", &[("q", 1, 15), ("q2", 1, 20)], &[], &["16+q2", "39-q2"]),
        ("two", &[("a", 1, 500), ("b", 2, 500)], &[], &["6+a", "7+b", "519-a", "519-b"]),
        ("it outlived the supervisor", &[("a", 30, 900)], &["a"], &[]),
        ("it ended meanwhile", &[], &["a"], &["600-a"]),
        ("it is met again and ends", &[("a", 30, 40)], &["a"], &["59-a"]),
    ];
    for (name, conditions, open, expected) in cases {
        assert_eq!(run(conditions, open, 700), expected, "{name}");
    }
}
