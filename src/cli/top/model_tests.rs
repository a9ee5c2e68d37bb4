use super::*;
use crate::agent::history::{Ending, Entry, Kind};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

fn agent(identity: &str, state: &str) -> AgentReport {
    let rig = identity.split_once('/').map(|(rig, _)| rig.to_owned());
    AgentReport { identity: identity.into(), state: state.into(), rig, ..AgentReport::default() }
}

fn report(agents: &[(&str, &str)]) -> StatusReport {
    let agents = agents.iter().map(|(identity, state)| agent(identity, state)).collect();
    StatusReport { running: true, pid: Some(7), version: "0.1.0".into(), agents, ..StatusReport::default() }
}

const TOWN: [(&str, &str); 5] = [
    ("beta/witness", "alive"),
    ("alpha/polecats/toast", "crash_loop"),
    ("alpha/witness", "waiting"),
    ("deacon", "alive"),
    ("mayor", "held"),
];

fn snapshot(agents: &[(&str, &str)]) -> Input {
    Input::Followed(Followed::Snapshot(report(agents).into()))
}

fn change(text: &str) -> Input {
    Input::Followed(Followed::Change(serde_json::from_str(text).unwrap()))
}

fn town() -> Model {
    let mut model = Model::new();
    assert_eq!(model.update(snapshot(&TOWN), at(0)), [Effect::AskHistory]);
    model
}

/// Presses keys as they are typed: `⏎` is enter, `⎋` escape, `^` Ctrl-C, `↓` and `↑` the arrows.
fn press(model: &mut Model, keys: &str) -> Vec<Effect> {
    let action = |key| match key {
        '⏎' => Action::Accept,
        '⎋' => Action::Back,
        '^' => Action::Interrupt,
        '↓' => Action::Down,
        '↑' => Action::Up,
        key => Action::Char(key),
    };
    keys.chars().flat_map(|key| model.update(Input::Key(action(key)), at(1))).collect()
}

fn names(model: &Model) -> Vec<&str> {
    model.agents().iter().map(|agent| agent.identity.as_str()).collect()
}

fn order(identity: &str, what: What, now: bool) -> Order {
    Order { identity: identity.into(), what, now }
}

#[test]
fn which_agents_are_shown_and_in_which_order() {
    for (keys, expected) in [
        ("", "deacon mayor alpha/polecats/toast alpha/witness beta/witness"),
        ("s", "alpha/witness alpha/polecats/toast deacon beta/witness mayor"),
        ("/WIT⏎", "alpha/witness beta/witness"),
        ("/crash_loop⏎", "alpha/polecats/toast"),
        ("/wit⎋", "deacon mayor alpha/polecats/toast alpha/witness beta/witness"),
        ("!", "alpha/polecats/toast alpha/witness"),
        ("/nobody⏎", ""),
        ("!/wit⏎⎋", "deacon mayor alpha/polecats/toast alpha/witness beta/witness"),
    ] {
        let mut model = town();
        press(&mut model, keys);
        assert_eq!(names(&model).join(" "), expected, "{keys}");
    }
}

#[test]
fn rigs_stand_above_their_agents() {
    let model = town();
    let (rows, selected) = model.rows();
    let rows: Vec<String> = rows
        .iter()
        .map(|row| match row {
            Row::Rig(name, agents) => format!("{name} {}", agents.len()),
            Row::Agent(agent) => agent.identity.clone(),
        })
        .collect();
    let expected =
        ["deacon", "mayor", "alpha 2", "alpha/polecats/toast", "alpha/witness", "beta 1", "beta/witness"];
    assert_eq!((rows.as_slice(), selected), (expected.map(str::to_owned).as_slice(), Some(0)));
}

#[test]
fn the_selection_stays_with_its_agent() {
    let mut model = town();
    press(&mut model, "↓↓↓");
    assert_eq!(model.selected.as_deref(), Some("alpha/witness"));
    let before = r#"{"agents": [{"identity": "aardvark", "state": "alive"}]}"#;
    model.update(change(before), at(2));
    press(&mut model, "s");
    assert_eq!(model.selected.as_deref(), Some("alpha/witness"), "rows and order changed");
    press(&mut model, "sss");
    model.update(change(r#"{"gone": ["alpha/witness"]}"#), at(3));
    for keys in ["r", "R", "h", "H", "c", "e", "a", "A"] {
        assert_eq!(press(&mut model, keys), [], "{keys}: it is gone, and no other is meant");
        assert_eq!(model.mode, Mode::Town, "{keys}");
    }
    press(&mut model, "↓");
    assert_eq!(model.selected.as_deref(), Some("beta/witness"), "the one that took its place");
    press(&mut model, "↓↓↓");
    assert_eq!(model.selected.as_deref(), Some("beta/witness"), "the last");
    press(&mut model, "↑↑↑↑↑↑↑");
    assert_eq!(model.selected.as_deref(), Some("aardvark"));
    press(&mut model, "/toast⏎");
    assert_eq!(model.selected.as_deref(), Some("alpha/polecats/toast"), "who filters wants one of those");
}

#[test]
fn what_ends_an_agent_asks_first() {
    for (keys, expected) in [
        ("ry", Some(order("deacon", What::Restart, false))),
        ("Ry", Some(order("deacon", What::Restart, true))),
        ("hy", Some(order("deacon", What::Hold, false))),
        ("Hy", Some(order("deacon", What::Hold, true))),
        ("cy", Some(order("deacon", What::Clear, false))),
        ("r", None),
        ("rn", None),
        ("r⏎", None),
        ("rr", None),
        ("r y", None),
        ("R⎋y", None),
    ] {
        let mut model = town();
        let effects = press(&mut model, keys);
        assert_eq!(
            effects,
            expected.map(|it| Effect::Order(1, it)).into_iter().collect::<Vec<_>>(),
            "{keys}"
        );
    }
    let mut model = town();
    press(&mut model, "r");
    model.update(snapshot(&[("aardvark", "alive"), ("deacon", "alive")]), at(2));
    model.selected = Some("aardvark".into());
    assert_eq!(
        press(&mut model, "y"),
        [Effect::Order(1, order("deacon", What::Restart, false))],
        "the question named another"
    );
}

#[test]
fn orders_are_followed_and_who_quits_knows_of_them() {
    let mut model = town();
    press(&mut model, "ry");
    model.update(Input::OrderIs(1, At::Busy("works".into())), at(2));
    assert_eq!(model.orders[0].at, Some(At::Busy("works".into())));
    assert_eq!(press(&mut model, "R"), []);
    assert_eq!(model.mode, Mode::Town, "one order at a time for an agent");
    press(&mut model, "↓hy");
    assert_eq!(model.orders.len(), 2);
    for (keys, expected) in [("q", vec![]), ("n", vec![]), ("^", vec![]), ("^", vec![Effect::Quit])] {
        assert_eq!(press(&mut model, keys), expected, "{keys}");
    }
    assert_eq!(press(&mut model, "n"), []);
    model.update(Input::Done(1, "deacon: restarted".into()), at(3));
    assert_eq!((model.orders.len(), model.message.as_deref()), (1, Some("deacon: restarted")));
    model.update(Input::Done(2, "mayor: stopped".into()), at(3));
    assert_eq!(press(&mut model, "q"), [Effect::Quit]);
    assert_eq!(press(&mut town(), "^"), [Effect::Quit]);
}

#[test]
fn the_keys_of_pages() {
    let mut model = town();
    assert_eq!(press(&mut model, "e"), [Effect::Explain("deacon".into())]);
    model.update(Input::Explained("mayor".into(), vec!["of another".into()]), at(2));
    assert_eq!(model.mode, Mode::Page(Page::Explain("deacon".into(), None), usize::MAX / 2));
    let lines = vec!["one".to_owned(), "two".to_owned()];
    model.update(Input::Explained("deacon".into(), lines.clone()), at(2));
    model.page_is_at(1);
    assert_eq!(press(&mut model, "↑↑↓"), []);
    assert_eq!(model.mode, Mode::Page(Page::Explain("deacon".into(), Some(lines)), 1));
    assert_eq!(model.update(change(r#"{"agents": [{"identity": "mayor"}]}"#), at(3)), []);
    assert_eq!(
        model.update(change(r#"{"agents": [{"identity": "deacon"}]}"#), at(3)),
        [Effect::Explain("deacon".into())],
        "it is asked for again when something happened to it"
    );
    assert_eq!(press(&mut model, "r"), [], "no order from a page");
    assert_eq!(model.mode, Mode::Town);
    for key in ["?", "p", "v"] {
        press(&mut model, key);
        assert!(matches!(model.mode, Mode::Page(..)), "{key}");
        assert_eq!(press(&mut model, "q"), [], "it closes the page");
    }
    assert_eq!(
        press(&mut model, "aA"),
        [false, true].map(|read_only| Effect::Attach { identity: "deacon".into(), read_only })
    );
}

#[test]
fn a_supervisor_that_is_gone_and_the_next_one() {
    let mut model = town();
    assert_eq!(model.update(Input::Gone("not running".into()), at(10)), []);
    assert_eq!(model.update(Input::Gone("nobody listens".into()), at(20)), []);
    assert_eq!(
        model.link,
        Link::Gone { since: at(10), why: "nobody listens".into() },
        "since it was gone first"
    );
    assert_eq!(names(&model).len(), 5, "the last picture stays");
    model.update(snapshot(&TOWN), at(30));
    assert_eq!((&model.link, &model.message), (&Link::Live, &None), "the same one answers again");
    for (pid, version, expected) in [
        (8, "0.1.0", "another supervisor runs now (PID 8)"),
        (9, "0.2.0", "another supervisor runs now (PID 9) of version 0.2.0 (it was 0.1.0)"),
    ] {
        model.update(Input::Gone("not running".into()), at(40));
        let next = StatusReport { pid: Some(pid), version: version.into(), ..report(&TOWN) };
        model.update(Input::Followed(Followed::Snapshot(next.into())), at(50));
        assert_eq!(model.message.as_deref(), Some(expected));
    }
    let mut model = Model::new();
    assert_eq!(model.update(Input::Gone("not running".into()), at(0)), [Effect::AskLeftBehind]);
    model.update(Input::LeftBehind(report(&TOWN).into()), at(1));
    assert_eq!(names(&model).len(), 5);
    model.update(Input::LeftBehind(report(&[]).into()), at(1));
    assert_eq!(names(&model).len(), 5, "it is for those who have nothing else");
}

#[test]
fn what_happened_is_kept_once_and_for_an_hour() {
    let happened = |second, last: Option<i64>| {
        let entry = Entry::new(Kind::Change, at(second), "died", "").because("crashed");
        let death = Ending { last_screen: vec!["its screen".into()], ..Ending::default() };
        let entry = Entry { last: last.map(at), ..entry.dying(Some(death)) };
        Happened { identity: "deacon".into(), text: String::new(), entry }
    };
    let mut model = town();
    let sent = serde_json::json!({"happened": [happened(50, None)]}).to_string();
    model.update(change(&sent), at(60));
    model.update(Input::History(vec![happened(10, None), happened(50, None)]), at(61));
    assert_eq!(model.happened.iter().map(|it| it.entry.at).collect::<Vec<_>>(), [at(10), at(50)]);
    let sent = serde_json::json!({"happened": [happened(10, Some(70))]}).to_string();
    model.update(change(&sent), at(70));
    let kept: Vec<_> = model.happened.iter().map(|it| (it.entry.at, it.entry.last)).collect();
    assert_eq!(kept, [(at(50), None), (at(10), Some(at(70)))], "it was repeated");
    assert!(model.happened.iter().all(|it| it.entry.death.as_ref().unwrap().last_screen.is_empty()));
    model.update(Input::Passed, at(50 + 3601));
    assert_eq!(model.happened.len(), 1);
}
