//! The register as grids: bounds, repeats, order, what an earlier owner recorded.

use std::path::{Path, PathBuf};

use super::*;
use crate::{
    agent::record::{Records, histories::left_behind},
    town::identity::Identity,
};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

fn agent(name: &str) -> Identity {
    name.parse().unwrap()
}

fn records() -> Records {
    Records::new(PathBuf::from("/nowhere"))
}

/// `seen → done` at a second, leading to a state where one is named.
fn change(second: i64, seen: &str, state: Option<Phase>) -> Entry {
    let entry = Entry::new(Kind::Change, at(second), seen, "");
    match state {
        Some(state) => entry.leading_to(state, None),
        None => entry,
    }
}

/// What is kept, in few words: `seen`, and how often.
fn kept(records: &Records, name: &str) -> Vec<String> {
    let entries = records.history(&agent(name)).entries;
    let few = |it: &Entry| match it.times {
        1 => it.seen.clone(),
        times => format!("{} x{times} until {}", it.seen, it.latest().as_second() - 1_800_000_000),
    };
    entries.iter().map(few).collect()
}

#[test]
fn what_repeats_is_counted() {
    for (name, seen, expected) in [
        ("different", vec!["a", "b", "c"], vec!["a", "b", "c"]),
        ("the same", vec!["a", "a", "a"], vec!["a x3 until 2"]),
        ("two that take turns", vec!["a", "b", "a", "b", "a"], vec!["a x3 until 4", "b x2 until 3"]),
        ("three that do", vec!["a", "b", "c", "a"], vec!["a", "b", "c", "a"]),
        ("a repeat, then something else", vec!["a", "a", "b"], vec!["a x2 until 1", "b"]),
        ("looks that tell nothing", vec!["?1", "?2", "?3"], vec!["?3 x3 until 2"]),
        ("and that do again", vec!["?1", "a", "?2", "b"], vec!["?2 x2 until 2", "a", "b"]),
    ] {
        let records = records();
        for (second, seen) in seen.into_iter().enumerate() {
            let kind = if seen.starts_with('?') { Kind::Unclear } else { Kind::Change };
            records.happened(&agent("deacon"), Entry::new(kind, at(second as i64), seen, ""));
        }
        assert_eq!(kept(&records, "deacon"), expected, "{name}");
    }
}

#[test]
fn the_same_words_that_lead_elsewhere_are_no_repeat() {
    let records = records();
    for (second, state) in [(0, Phase::Absent), (1, Phase::Paused), (2, Phase::Paused)] {
        records.happened(&agent("deacon"), change(second, "is not running", Some(state)));
    }
    assert_eq!(kept(&records, "deacon"), ["is not running", "is not running x2 until 2"]);
}

#[test]
fn a_repeat_brings_what_is_new_about_it() {
    let records = records();
    for second in [0, 30] {
        let entry = change(second, "could not be started", None);
        records.happened(&agent("deacon"), entry.leading_to(Phase::Waiting, Some(at(second + 30))));
    }
    let entry = records.history(&agent("deacon")).entries.remove(0);
    assert_eq!((entry.at, entry.until, entry.times), (at(0), Some(at(60)), 2));
}

#[test]
fn an_agent_has_so_many_entries_the_oldest_go() {
    let records = records();
    for second in 0..ENTRIES as i64 + 7 {
        records.happened(&agent("deacon"), change(second, &format!("n{second}"), None));
    }
    let kept = kept(&records, "deacon");
    assert_eq!((kept.len(), kept[0].as_str(), kept[ENTRIES - 1].as_str()), (ENTRIES, "n7", "n56"));
}

#[test]
fn all_together_have_so_many_and_who_has_few_keeps_them() {
    let records = records();
    records.happened(&agent("mayor"), change(0, "long ago", None));
    for n in 0..ALL_ENTRIES as i64 / ENTRIES as i64 + 10 {
        for second in 0..ENTRIES as i64 {
            records
                .happened(&agent(&format!("r/polecats/p{n}")), change(second, &format!("n{second}"), None));
        }
    }
    let all: usize = records.with_entries().iter().map(|it| records.history(it).entries.len()).sum();
    assert_eq!(all, ALL_ENTRIES);
    assert_eq!(kept(&records, "mayor"), ["long ago"]);
    let count = |it: &Identity| records.history(it).entries.len();
    let fewest = records.with_entries().iter().map(count).filter(|it| *it > 1).min();
    assert!(fewest.unwrap() > ENTRIES / 2, "each has its share");
}

#[test]
fn there_is_an_end_to_the_agents_and_those_that_are_gone_go_first() {
    let records = records();
    records.happened(&agent("mayor"), change(0, "long ago", None));
    records.happened(&agent("r/polecats/gone"), change(1, "a", None));
    records.forget(&agent("r/polecats/gone"), "its directory is gone", at(1_000_000));
    for n in 0..AGENTS as i64 - 2 {
        records.happened(&agent(&format!("r/polecats/p{n}")), change(n, "a", None));
    }
    assert_eq!(records.with_entries().len(), AGENTS);
    records.happened(&agent("r/polecats/one-more"), change(5, "a", None));
    assert_eq!(kept(&records, "r/polecats/gone"), [""; 0], "although its end is the newest of all");
    assert_eq!(kept(&records, "mayor"), ["long ago"]);
    records.happened(&agent("r/polecats/another"), change(5, "a", None));
    assert_eq!((kept(&records, "mayor").len(), records.with_entries().len()), (0, AGENTS), "then the oldest");
}

#[test]
fn one_that_is_gone_is_told_once_and_may_come_back() {
    let records = records();
    let dog = agent("r/polecats/dog");
    records.forget(&dog, "its directory is gone", at(0));
    assert_eq!(records.history(&dog), History::default(), "nothing is known of it");
    records.happened(&dog, change(1, "is running", Some(Phase::Alive)));
    records.set_phase(&dog, Phase::Alive, at(1));
    records.forget(&dog, "its directory is gone", at(2));
    records.forget_rig(&"r".parse().unwrap(), at(3));
    assert_eq!(kept(&records, "r/polecats/dog"), ["is running", "its directory is gone"]);
    assert_eq!(records.phase(&dog), None);
    records.supervisor_stops(at(4));
    assert_eq!(kept(&records, "r/polecats/dog").len(), 2, "nobody looked after it");
    records.happened(&dog, change(5, "is back", Some(Phase::Alive)));
    records.forget_rig(&"r".parse().unwrap(), at(6));
    assert_eq!(kept(&records, "r/polecats/dog")[3], "its rig is gone from mayor/rigs.json");
}

#[test]
fn our_stop_is_told_of_those_we_looked_after() {
    for (phase, told) in [
        (Some(Phase::Alive), true),
        (Some(Phase::Waiting), true),
        (Some(Phase::Starting), true),
        (Some(Phase::Held), true),
        (Some(Phase::CrashLoop), true),
        (Some(Phase::Paused), false),
        (Some(Phase::Absent), false),
        (None, false),
    ] {
        let records = records();
        records.happened(&agent("deacon"), change(0, "a", phase));
        if let Some(phase) = phase {
            records.set_phase(&agent("deacon"), phase, at(0));
        }
        records.supervisor_stops(at(1));
        assert_eq!(kept(&records, "deacon").len() == 2, told, "{phase:?}");
    }
}

#[test]
fn a_new_owner_does_not_tell_again_what_the_last_one_told() {
    use Phase::{Alive, Confirming, Paused, Starting, Waiting};
    let word = || Entry::word(at(1), "nudged", "", "nudged");
    let stop = || Entry::new(Kind::Ours, at(1), "the supervisor stopped", "");
    for (name, before, new, told) in [
        ("nothing is known", vec![], Confirming, true),
        ("noticed again", vec![change(0, "gone", Some(Confirming))], Confirming, false),
        ("with a nudge in between", vec![change(0, "gone", Some(Confirming)), word()], Confirming, false),
        ("with our stop in between", vec![change(0, "waits", Some(Waiting)), stop()], Waiting, true),
        ("it went on", vec![change(0, "gone", Some(Confirming))], Waiting, true),
        ("still parked", vec![change(0, "parked", Some(Paused))], Paused, false),
        ("found running, perhaps another life", vec![change(0, "started", Some(Alive))], Alive, true),
        ("started again", vec![change(0, "start", Some(Starting))], Starting, true),
    ] {
        let records = records();
        let count = before.len();
        before.into_iter().for_each(|entry| records.happened(&agent("deacon"), entry));
        records.happened_if_news(&agent("deacon"), change(2, "new", Some(new)));
        assert_eq!(kept(&records, "deacon").len() > count, told, "{name}");
    }
}

#[test]
fn the_file_of_an_earlier_version_says_how_an_agent_was() {
    let written = br#"{"agents": {"deacon": {"standing": ["held", "2027-01-15T08:00:00Z"], "entries": []}}}"#;
    let histories = left_behind(Path::new("history.json"), written).unwrap();
    assert_eq!(histories[&agent("deacon")].phase, Some((Phase::Held, at(0))));
}

fn death(second: i64, lines: &[&str]) -> Entry {
    let ending = Ending {
        lived_seconds: Some(312),
        exit: Some(137),
        signal: Some("SIGKILL".to_owned()),
        last_screen: lines.iter().map(|line| (*line).to_owned()).collect(),
        last_screen_age_seconds: Some(47),
    };
    change(second, &format!("died {second}"), None).dying(Some(ending))
}

#[test]
fn deaths_keep_the_last_few_screens_and_everything_else() {
    let records = records();
    for second in 0..8 {
        records.happened(&agent("deacon"), death(second, &["bye"]));
    }
    let entries = records.history(&agent("deacon")).entries;
    let kept: Vec<bool> =
        entries.iter().map(|it| !it.death.as_ref().unwrap().last_screen.is_empty()).collect();
    assert_eq!(kept, [false, false, false, true, true, true, true, true]);
    assert!(entries.iter().all(|it| it.death.as_ref().unwrap().exit == Some(137)));
    assert_eq!(entries[0].death.as_ref().unwrap().last_screen_age_seconds, None, "of no screen");
    records.forget_last_screens();
    assert_eq!(records.history(&agent("deacon")).screens(), 0);
    for n in 0..ALL_SCREENS {
        records.happened(&agent(&format!("r/polecats/p{n}")), death(1, &["bye"]));
    }
    (0..4).for_each(|second| records.happened(&agent("mayor"), death(second, &["bye"])));
    let screens: usize = records.with_entries().iter().map(|it| records.history(it).screens()).sum();
    assert_eq!(screens, ALL_SCREENS);
    assert!(records.history(&agent("mayor")).screens() >= 1, "who dies last has the last word");
}

#[test]
fn a_death_that_repeats_keeps_its_last_screen() {
    let records = records();
    for (second, line) in [(0, "first"), (1, "second")] {
        let again = Entry { seen: "died".to_owned(), ..death(second, &[line]) };
        records.happened(&agent("deacon"), again);
    }
    let entries = records.history(&agent("deacon")).entries;
    assert_eq!(
        (entries.len(), entries[0].death.as_ref().unwrap().last_screen.as_slice()),
        (1, &["second".to_owned()][..])
    );
}

#[test]
fn the_last_death_counts_while_it_is_recent() {
    let mut history = History::default();
    assert_eq!(history.last_death(at(0)), None);
    history.add(death(10, &["a"]));
    history.add(death(20, &["b"]));
    history.add(change(30, "started", None));
    let last = |since| history.last_death(at(since)).map(|death| death.last_screen.join(""));
    assert_eq!((last(0), last(20), last(21)), (Some("b".into()), Some("b".into()), None));
}

#[test]
fn deaths_are_read_as_they_are_written_and_entries_without_them_as_before() {
    let entry = death(0, &["a", "b"]);
    let json = serde_json::to_value(&entry).unwrap();
    assert_eq!(
        json["death"],
        serde_json::json!({"lived_seconds": 312, "exit": 137, "signal": "SIGKILL", "last_screen": ["a", "b"],
            "last_screen_age_seconds": 47})
    );
    assert_eq!(serde_json::from_value::<Entry>(json).unwrap(), entry);
    let before = r#"{"at": "2027-01-15T08:00:00Z", "kind": "change", "seen": "died: crashed"}"#;
    assert_eq!(serde_json::from_str::<Entry>(before).unwrap().death, None);
    assert!(!serde_json::to_string(&change(0, "died: crashed", None)).unwrap().contains("death"));
}

#[test]
fn below_a_death_is_how_it_died_within_80_columns() {
    let wide = ["中".repeat(60), "x".repeat(74), "x".repeat(75), "e\u{301}".repeat(74), "🎩".repeat(37)];
    let lines: Vec<&str> = wide.iter().map(String::as_str).collect();
    let shown = rendering::lines(&[death(0, &lines)], at(10), &jiff::tz::TimeZone::UTC);
    assert_eq!(shown[1], "    lived 5m12s, SIGKILL (137); last screen, read 47s before the end:");
    assert_eq!(shown[2], format!("    | {}…", "中".repeat(36)));
    assert_eq!(shown[3], format!("    | {}", wide[1]));
    assert_eq!(shown[4], format!("    | {}…", "x".repeat(73)));
    assert_eq!(shown[5], format!("    | {}", wide[3]), "a mark has no width");
    assert_eq!(shown[6], format!("    | {}", wide[4]));
    for (name, ending, summary) in [
        ("nothing is known", Ending::default(), ""),
        ("its life", Ending { lived_seconds: Some(9), ..Ending::default() }, "lived 9s"),
        ("its status", Ending { exit: Some(1), ..Ending::default() }, "exit 1"),
        (
            "a screen read after its end",
            Ending { lived_seconds: Some(9), last_screen: vec!["a".to_owned()], ..Ending::default() },
            "lived 9s; last screen:",
        ),
    ] {
        assert_eq!(ending.summary(), summary, "{name}");
    }
}

#[test]
fn texts_are_short_and_one_line() {
    let entry = Entry::new(Kind::Change, at(0), "limit\n\u{1b}[2Jreached", &"é".repeat(10_000));
    assert_eq!(entry.seen, "limit  [2Jreached");
    assert_eq!((entry.done.chars().count(), entry.done.chars().last()), (entry::TEXT, Some('…')));
}

#[test]
fn machines_read_what_is_there_and_nothing_else() {
    let records = records();
    let entry =
        Entry::new(Kind::Change, at(0), "session is gone (process exited: SIGKILL (137))", "decided in 1s");
    records.happened(&agent("r/witness"), entry.leading_to(Phase::Confirming, None));
    let entry = Entry::new(Kind::Change, at(1), "", "held after 5 restarts");
    records.happened(&agent("r/witness"), entry.clone().leading_to(Phase::CrashLoop, Some(at(1801))));
    records.happened(
        &agent("r/witness"),
        Entry { at: at(2), ..entry.leading_to(Phase::CrashLoop, Some(at(1802))) },
    );
    let json = serde_json::to_value(records.history(&agent("r/witness")).entries).unwrap();
    assert_eq!(
        json,
        serde_json::json!([
            {"at": "2027-01-15T08:00:00Z", "kind": "change", "seen": "session is gone (process exited: SIGKILL (137))",
             "state": "confirming", "done": "decided in 1s"},
            {"at": "2027-01-15T08:00:01Z", "kind": "change", "state": "crash_loop", "done": "held after 5 restarts",
             "until": "2027-01-15T08:30:02Z", "times": 2, "last": "2027-01-15T08:00:02Z"},
        ])
    );
}

#[test]
fn lines_for_people() {
    use jiff::tz::{Offset, TimeZone};
    let zone = TimeZone::fixed(Offset::constant(2));
    let change = |second, seen: &str, done: &str| Entry::new(Kind::Change, at(second), seen, done);
    let alive = change(-90_000, "already running", "adopted").leading_to(Phase::Alive, None);
    let gone = change(0, "session is gone", "decided in 1s").leading_to(Phase::Confirming, None);
    let still =
        change(1, "session is gone", "waiting for `gt sling` to end").leading_to(Phase::Confirming, None);
    let waits = change(2, "died: crashed", "restart 2 waits").leading_to(Phase::Waiting, Some(at(32)));
    let held = change(3, "", "held after 5 restarts").leading_to(Phase::CrashLoop, Some(at(60_000)));
    let started = change(4, "started in 4.1s", "").leading_to(Phase::Alive, None);
    let word = Entry::word(at(5), "nudged", "its heartbeat is 15m old", "nudged");
    let mut often = change(6, "can be observed again", "").leading_to(Phase::Alive, None);
    often.repeat(often.clone());
    let only_until = change(7, "", "").leading_to(Phase::Held, Some(at(8)));
    let entries = vec![alive, gone, still, waits, held, started, word, often, only_until];
    let lines = rendering::lines(&entries, at(10), &zone);
    assert_eq!(
        lines,
        [
            "2027-01-14 09:00:00 already running → alive: adopted",
            "10:00:00 session is gone → confirming: decided in 1s",
            "10:00:01 session is gone → waiting for `gt sling` to end",
            "10:00:02 died: crashed → waiting: restart 2 waits, next try 10:00:32",
            "10:00:03 crash_loop: held after 5 restarts, next try 2027-01-16 02:40:00",
            "10:00:04 started in 4.1s → alive",
            "10:00:05 its heartbeat is 15m old → nudged",
            "10:00:06 can be observed again (2 times, last 10:00:06)",
            "10:00:07 held: until 10:00:08",
        ]
    );
    assert_eq!(rendering::lines(&[], at(10), &zone), [""; 0]);
}
