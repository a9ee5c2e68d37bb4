//! Pictures are compared with the files in `pictures/`; `UPDATE_PICTURES=1 cargo test --lib top` writes them anew.
#![allow(clippy::disallowed_methods, reason = "a test that reads and writes its expectations")]

use std::{fs, path::Path};

use jiff::{Timestamp, tz::TimeZone};
use ratatui::{Terminal, backend::TestBackend, widgets::Paragraph};

use super::{
    super::model::{Input, Pending},
    *,
};
use crate::{
    StatusReport,
    agent::{
        history::{Ending, Entry, Kind},
        phase::Phase,
    },
    control::{
        following::Followed,
        histories::Happened,
        report::{AgentReport, GateReport},
    },
    ports::problems::ProblemKey,
};

fn at(text: &str) -> Timestamp {
    format!("2026-11-25T{text}Z").parse().unwrap()
}

fn local() -> LocalTime {
    LocalTime::new(at("10:00:00"), &TimeZone::UTC).in_minutes()
}

fn agent(identity: &str, state: &str, activity: Option<&str>, reason: Option<&str>) -> AgentReport {
    AgentReport {
        identity: identity.into(),
        rig: identity.split_once('/').map(|(rig, _)| rig.to_owned()),
        session: identity.replace('/', "-"),
        state: state.into(),
        since: Some(at("08:58:55")),
        activity: activity.map(str::to_owned),
        activity_source: activity.map(|_| "transcript".to_owned()),
        activity_since: activity.map(|_| at("09:56:55")),
        reason: reason.map(str::to_owned),
        ..AgentReport::default()
    }
}

fn town_report() -> StatusReport {
    let waits =
        "restart 2 waits; its last start failed: `gt session restart harbor/furiosa --force` ended with 1";
    let mut waiting = agent("harbor/polecats/furiosa", "waiting", None, Some(waits));
    (waiting.restarts, waiting.backoff_until, waiting.since) =
        (1, Some(at("10:00:30")), Some(at("09:59:50")));
    let question = "asks: \"Do you trust the files in this folder?\"";
    let mut looping = agent("mill/polecats/nux", "crash_loop", None, Some("5 restarts within 10m"));
    looping.restarts = 5;
    StatusReport {
        running: true,
        gates: Some(vec![GateReport {
            rig: Some("mill".into()),
            code: "rig_parked".into(),
            text: "parked".into(),
        }]),
        pid: Some(2077),
        version: "0.1.0".into(),
        town: "/home/user/gt".into(),
        gas_town: "1.x".into(),
        started_at: Some(at("07:00:00")),
        agents: vec![
            agent("deacon", "alive", Some("working"), None),
            agent("mayor", "waiting_at_question", None, Some(question)),
            agent("harbor/refinery", "absent", None, Some("no pending events in events/refinery")),
            agent("harbor/witness", "alive", Some("idle"), None),
            agent("harbor/crew/日本語", "held", None, Some("stopped by ann until 2026-11-25T12:00:00Z")),
            waiting,
            looping,
            agent("mill/witness", "paused", None, Some("the rig is parked")),
        ],
        problem_list: vec![
            ProblemReport::new(
                ProblemKey::named("dolt").critical(),
                "Dolt does not answer on 127.0.0.1:3307 since 2026-11-25T09:58:00Z: mail, hooks and slings fail; `gt dolt \
                 start` starts it",
                Some(at("09:55:00")),
            ),
            ProblemReport::new(
                ProblemKey::named("mill/witness/start").critical(),
                "it could not be started",
                Some(at("09:59:30")),
            ),
            ProblemReport::new("mayor/question", "it waits at a question", None),
        ],
        ..StatusReport::default()
    }
}

fn happened() -> Vec<Happened> {
    let entry = |time: &str, whose: &str, seen: &str, code: &str, state: Option<Phase>| {
        let entry = Entry::new(Kind::Change, at(time), seen, "").because(code);
        let entry = entry.dying((code == "crashed").then(Ending::default));
        Happened { identity: whose.into(), text: String::new(), entry: Entry { state, ..entry } }
    };
    let crashed = "died: crashed (process exited: SIGKILL (137))";
    vec![
        entry("09:03:00", "mill/polecats/nux", crashed, "crashed", Some(Phase::Waiting)),
        entry("09:03:04", "mill/polecats/nux", "started in 2.1s (restart 1)", "started", Some(Phase::Alive)),
        entry("09:33:00", "mill/polecats/nux", crashed, "crashed", Some(Phase::CrashLoop)),
        entry("09:34:00", "mill/polecats/nux", crashed, "crashed", None),
        entry(
            "09:59:48",
            "harbor/polecats/furiosa",
            "session is gone",
            "session_gone",
            Some(Phase::Confirming),
        ),
        entry("09:59:50", "harbor/polecats/furiosa", crashed, "crashed", Some(Phase::Waiting)),
    ]
}

fn at_night() -> Model {
    let mut model = Model::new();
    model.update(Input::Followed(Followed::Snapshot(town_report().into())), at("09:59:59"));
    model.update(Input::History(happened()), at("09:59:59"));
    model
}

fn in_mode(mode: Mode) -> Model {
    let mut model = at_night();
    model.mode = mode;
    model
}

/// What a terminal of this size shows: its text, and below it what is drawn in colour or with an attribute.
fn shown(model: &Model, (width, height): (u16, u16), plain: bool) -> (String, String) {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    let size = (usize::from(width), usize::from(height));
    let picture = picture(model, size, &local(), plain);
    assert_eq!(picture.lines.len(), size.1, "as high as the terminal");
    for line in &picture.lines {
        assert!(line.width() <= size.0.max(60), "{line:?}");
    }
    terminal.draw(|frame| frame.render_widget(Paragraph::new(picture.lines), frame.area())).unwrap();
    let (mut text, mut styles) = (String::new(), String::new());
    let buffer = terminal.backend().buffer();
    for y in 0..height {
        let cells: Vec<_> = (0..width).map(|x| &buffer[(x, y)]).collect();
        // A wide character takes two cells, of which the second is empty.
        let (mut line, mut x) = (String::new(), 0);
        while let Some(cell) = cells.get(x) {
            line.push_str(cell.symbol());
            x += width::of(cell.symbol()).max(1);
        }
        text.push_str(line.trim_end());
        text.push('\n');
        for cell in cells.iter().filter(|cell| cell.symbol() != " ") {
            styles.push_str(&format!("{:?} {:?} {:?}\n", cell.fg, cell.bg, cell.modifier));
        }
    }
    (text, styles)
}

#[track_caller]
fn as_in(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/cli/top/pictures").join(name);
    if std::env::var_os("UPDATE_PICTURES").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(text, expected, "{name}; UPDATE_PICTURES=1 writes it anew\n{text}");
}

fn gone() -> Model {
    let mut model = at_night();
    model.update(Input::Gone("no supervisor runs in /home/user/gt".into()), at("09:59:59"));
    model
}

fn explained() -> Model {
    let mut model = at_night();
    let lines = [
        "deacon is alive; working 3m (transcript)",
        "09:33:00 a long line with many words that does not fit into 80 columns or less, as it goes on and on",
    ];
    model.mode = Mode::Page(Page::Explain("deacon".into(), Some(lines.map(str::to_owned).into())), 0);
    model
}

/// 20 rigs with 50 agents each.
fn crowd() -> Model {
    let agents = (0..1000).map(|number| {
        let state = ["alive", "alive", "waiting", "absent"][number % 4];
        agent(&format!("rig{:02}/polecats/p{number:04}", number / 50), state, None, None)
    });
    let report = StatusReport { agents: agents.collect(), ..town_report() };
    let mut model = Model::new();
    model.update(Input::Followed(Followed::Snapshot(report.into())), at("10:00:00"));
    model.selected = Some("rig10/polecats/p0512".into());
    model
}

#[test]
fn pictures() {
    let (small, middle, large) = ((60, 15), (80, 24), (120, 40));
    let help = in_mode(Mode::Page(Page::Help, 0));
    let problems = in_mode(Mode::Page(Page::Problems, 0));
    for (name, model, sizes) in [
        ("town", at_night(), &[small, middle, large][..]),
        ("gone", gone(), &[small, middle]),
        ("crowd", crowd(), &[middle, large]),
        ("explain", explained(), &[small, middle]),
        ("help", help, &[middle]),
        ("problems", problems, &[small]),
        ("nothing", Model::new(), &[middle]),
    ] {
        for (width, height) in sizes {
            let (text, _) = shown(&model, (*width, *height), false);
            as_in(&format!("{name}-{width}x{height}.txt"), &text);
            assert_eq!(shown(&model, (*width, *height), true).0, text, "the same without colours");
        }
    }
}

#[test]
fn readme_shows_the_picture() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let readme = fs::read_to_string(root.join("README.md")).unwrap();
    let picture = fs::read_to_string(root.join("src/cli/top/pictures/town-80x24.txt")).unwrap();
    assert!(readme.contains(&format!("```text\n{picture}```")), "README.md shows another picture of top");
}

#[test]
fn colours_only_repeat_what_words_and_marks_say() {
    for model in [at_night(), gone(), crowd(), explained()] {
        let (_, coloured) = shown(&model, (80, 24), false);
        let (_, plain) = shown(&model, (80, 24), true);
        assert!(
            coloured.contains("Green") || coloured.contains("Red") || matches!(model.mode, Mode::Page(..))
        );
        assert!(plain.lines().all(|line| line.starts_with("Reset Reset ")), "{plain}");
        // Neither black nor white, nor a background, which one of the two kinds of terminals would not show.
        let named = ["Reset", "Green", "Yellow", "Red"];
        for line in coloured.lines() {
            let (colour, rest) = line.split_once(' ').unwrap();
            assert!(named.contains(&colour) && rest.starts_with("Reset "), "{line}");
        }
    }
}

#[test]
fn no_terminal_is_too_small() {
    for size in [(1, 1), (2, 3), (10, 5), (20, 8), (300, 100), (80, 1)] {
        for model in [at_night(), gone(), crowd(), explained(), Model::new()] {
            shown(&model, size, false);
        }
    }
}

#[test]
fn the_line_at_the_bottom() {
    let long = format!("harbor/polecats/{}", "x".repeat(90));
    let order = |what, now| Order { identity: long.clone(), what, now };
    let bottom = |model: &Model, width| {
        let line = super::bottom(model, width, &local());
        line.spans.iter().map(|span| span.content.as_ref()).collect::<String>()
    };
    for width in [60, 80] {
        for what in [What::Restart, What::Hold, What::Clear] {
            let asks = in_mode(Mode::Sure(Question::Order(order(what, true))));
            let line = bottom(&asks, width);
            assert!(
                line.ends_with("? y/n") && width::of(&line) <= width && line.contains("harbor/"),
                "{line}"
            );
            assert_eq!(line.contains("NOW, losing what it does"), what != What::Clear, "{line}");
        }
        let quits = in_mode(Mode::Sure(Question::Quit));
        assert!(bottom(&quits, width).ends_with("? y/n"));
    }
    let mut model = at_night();
    let pending = |number, at| Pending {
        number,
        order: Order { identity: "deacon".into(), what: What::Restart, now: false },
        at,
    };
    model.orders = vec![pending(1, None), pending(2, Some(At::Busy("it works".into())))];
    assert_eq!(bottom(&model, 80), "restart deacon: waits until it is idle: it works (1 of 2 orders)");
    model.message = Some("until 2026-11-25T12:00:00Z".into());
    assert_eq!(bottom(&model, 80), "until 12:00:00");
    model.mode = Mode::Filter;
    model.filter = "toast".into();
    assert_eq!(bottom(&model, 80), "filter: toast_");
}
