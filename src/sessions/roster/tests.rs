use jiff::Timestamp;

use super::*;
use crate::{
    processes::{Process, ProcessesError},
    sessions::Pane,
};

mod any_order;

fn at(millis: u64) -> Now {
    let wall = Timestamp::from_millisecond(1_770_000_000_000 + i64::try_from(millis).unwrap()).unwrap();
    Now { mono: Duration::from_millis(millis), wall }
}

/// Panes by process and window; a dead one has an exit status.
fn session(name: &str, id: &str, panes: &[(u32, &str, Option<i32>)]) -> Session {
    let pane = |(pid, window, exit_status): &(u32, &str, Option<i32>)| Pane {
        id: format!("%{pid}"),
        window: (*window).to_owned(),
        pid: *pid,
        dead: exit_status.is_some(),
        exit_status: *exit_status,
        started_by_us: false,
    };
    let created = Timestamp::from_second(1_770_000_000).unwrap();
    let panes = panes.iter().map(pane).collect();
    Session { name: name.to_owned(), id: id.to_owned(), created, towns: Vec::new(), panes }
}

fn sweep(begun: u64, sessions: &[Session]) -> Sweep {
    let living = sessions.iter().flat_map(|it| &it.panes).filter(|pane| !pane.dead);
    let tree = |pid| vec![Process { pid, age: Duration::ZERO, names: Vec::new() }];
    Sweep {
        begun: at(begun),
        sessions: Ok(sessions.iter().map(|it| (it.name.clone(), it.clone())).collect()),
        trees: Ok(living.map(|pane| (pane.pid, tree(pane.pid))).collect()),
    }
}

fn end(session: &str, id: &str, of: EndOf) -> End {
    End { session: session.to_owned(), id: id.to_owned(), of }
}

/// What happens, with session `gt-a` (`$1`) and its panes.
#[derive(Debug, Clone)]
enum Step {
    /// A process ends with this status.
    Process(u32, Option<i32>),
    /// A window closes.
    Window(&'static str),
    /// The server ends.
    Server,
    /// A sweep that began at this time shows these panes: process, window, exit status if dead.
    Sweep(u64, &'static [(u32, &'static str, Option<i32>)]),
    /// A sweep whose process table lacks this process of window `@1`.
    Zombie(u64, u32),
    /// A sweep without the session.
    Gone(u64),
    /// A sweep that failed.
    Failed(u64),
    /// The name runs under another id, with this process.
    Other(u64, u32),
}

impl Step {
    fn done(&self, roster: &mut Roster, now: Now) -> Vec<Death> {
        let of = |of| end("gt-a", "$1", of);
        match self {
            Step::Process(pid, exit) => roster.ended(&of(EndOf::Process { pid: *pid, exit: *exit }), now),
            Step::Window(window) => roster.ended(&of(EndOf::Window((*window).to_owned())), now),
            Step::Server => roster.ended(&end("", "", EndOf::Server(BTreeMap::new())), now),
            Step::Sweep(begun, panes) => roster.swept(&sweep(*begun, &[session("gt-a", "$1", panes)]), now),
            Step::Zombie(begun, pid) => {
                let mut sweep = sweep(*begun, &[session("gt-a", "$1", &[(*pid, "@1", None)])]);
                sweep.trees = Ok(BTreeMap::new());
                roster.swept(&sweep, now)
            }
            Step::Gone(begun) => roster.swept(&sweep(*begun, &[]), now),
            Step::Failed(begun) => {
                roster.swept(&Sweep { sessions: Err("no answer".into()), ..sweep(*begun, &[]) }, now)
            }
            Step::Other(begun, pid) => {
                roster.swept(&sweep(*begun, &[session("gt-a", "$2", &[(*pid, "@2", None)])]), now)
            }
        }
    }
}

/// Steps happen at 10, 20, 30… ms; told are the times at which a death was, with its exit status.
#[test]
fn one_death_a_life_grid() {
    use Step::*;
    const ONE: &[(u32, &str, Option<i32>)] = &[(7, "@1", None)];
    const TWO: &[(u32, &str, Option<i32>)] = &[(7, "@1", None), (8, "@1", None)];
    const WINDOWS: &[(u32, &str, Option<i32>)] = &[(7, "@1", None), (8, "@2", None)];
    const RESPAWNED: &[(u32, &str, Option<i32>)] = &[(9, "@1", None)];
    type Case = (&'static str, Vec<Step>, &'static [(u64, Option<i32>)]);
    #[rustfmt::skip]
    let cases: [Case; 34] = [
        ("nothing ends", vec![Sweep(0, ONE), Sweep(15, ONE), Failed(25), Sweep(35, ONE)], &[]),
        ("a process, then all else", vec![Sweep(0, ONE), Process(7, Some(3)), Window("@1"), Gone(35), Gone(45)], &[(20, Some(3))]),
        ("a window, then all else", vec![Sweep(0, ONE), Window("@1"), Process(7, Some(3)), Gone(35)], &[(20, None)]),
        ("only the sweep", vec![Sweep(0, ONE), Gone(15), Gone(25)], &[(20, None)]),
        ("late, after the sweep", vec![Sweep(0, ONE), Gone(15), Process(7, None), Window("@1"), Gone(45)], &[(20, None)]),
        ("a sweep that failed tells nothing", vec![Sweep(0, ONE), Failed(15), Failed(25), Gone(35)], &[(40, None)]),
        ("the name under another id", vec![Sweep(0, ONE), Other(15, 9), Other(25, 9)], &[(20, None)]),
        ("that, told before", vec![Sweep(0, ONE), Process(7, None), Other(25, 9), Window("@1")], &[(20, None)]),
        ("a pane kept dead", vec![Sweep(0, ONE), Sweep(15, &[(7, "@1", Some(4))]), Sweep(25, &[(7, "@1", Some(4))])], &[(20, Some(4))]),
        ("that, told before", vec![Sweep(0, ONE), Process(7, Some(4)), Sweep(25, &[(7, "@1", Some(4))]), Window("@1"), Gone(45)], &[(20, Some(4))]),
        ("a process only the table misses", vec![Sweep(0, ONE), Zombie(15, 7), Zombie(25, 7), Process(7, Some(1)), Gone(45)], &[(20, None)]),
        ("tmux still lists what the kernel told", vec![Sweep(0, ONE), Process(7, None), Sweep(25, ONE), Sweep(35, ONE), Gone(45)], &[(20, None)]),
        ("first seen dead", vec![Sweep(0, &[(7, "@1", Some(1))]), Sweep(15, &[(7, "@1", Some(1))]), Window("@1"), Gone(35)], &[]),
        ("first seen dead, then respawned", vec![Sweep(0, &[(7, "@1", Some(1))]), Sweep(15, RESPAWNED), Process(9, Some(2))], &[(30, Some(2))]),
        ("never seen", vec![Process(7, Some(1)), Window("@1"), Gone(25)], &[(10, Some(1))]),
        ("never seen, only a window", vec![Gone(0), Window("@1"), Gone(25)], &[(20, None)]),
        ("seen only by a sweep that began before", vec![Process(7, None), Sweep(5, TWO), Gone(25)], &[(10, None)]),
        ("one of two", vec![Sweep(0, TWO), Process(7, None), Sweep(25, &[(8, "@1", None)]), Process(8, None), Window("@1"), Gone(55)], &[(20, None), (40, None)]),
        ("both of two before a look", vec![Sweep(0, TWO), Process(7, None), Process(8, None), Gone(35)], &[(20, None)]),
        ("one of two, and a look that began before", vec![Sweep(0, TWO), Process(7, None), Sweep(15, TWO), Process(8, None), Gone(45)], &[(20, None)]),
        ("one of two, and a look that failed", vec![Sweep(0, TWO), Process(7, None), Failed(25), Process(8, None), Gone(45)], &[(20, None)]),
        ("one of two, by the sweep", vec![Sweep(0, TWO), Sweep(15, &[(8, "@1", None)]), Sweep(25, &[(8, "@1", None)]), Gone(35)], &[(20, None), (40, None)]),
        ("one of two windows", vec![Sweep(0, WINDOWS), Window("@1"), Process(7, None), Sweep(35, &[(8, "@2", None)]), Window("@1"), Window("@2")], &[(20, None), (60, None)]),
        ("its window, told late", vec![Sweep(0, WINDOWS), Process(7, None), Sweep(25, &[(8, "@2", None)]), Window("@1"), Process(8, None)], &[(20, None), (50, None)]),
        ("a process that survives its window", vec![Sweep(0, ONE), Window("@1"), Gone(25), Process(7, None)], &[(20, None)]),
        ("a window that came and went", vec![Sweep(0, ONE), Window("@9"), Sweep(25, ONE)], &[]),
        ("respawned", vec![Sweep(0, ONE), Process(7, None), Sweep(25, RESPAWNED), Process(9, Some(5)), Window("@1"), Gone(55)], &[(20, None), (40, Some(5))]),
        ("respawned, and no look in between", vec![Sweep(0, ONE), Process(7, None), Process(9, None), Gone(35)], &[(20, None)]),
        ("respawned, and nothing told it", vec![Sweep(0, ONE), Sweep(15, RESPAWNED), Sweep(25, RESPAWNED), Gone(35)], &[(20, None), (40, None)]),
        ("the server", vec![Sweep(0, ONE), Server, Server, Gone(35)], &[(20, None)]),
        ("the server after a death", vec![Sweep(0, ONE), Process(7, None), Server, Gone(35)], &[(20, None)]),
        ("the server while a sweep was on its way", vec![Sweep(0, ONE), Server, Sweep(15, ONE), Gone(35)], &[(20, None)]),
        ("a process that outlives the server", vec![Sweep(0, ONE), Server, Process(7, None), Gone(35)], &[(20, None)]),
        ("the next server uses the id again", vec![Sweep(0, ONE), Server, Gone(25), Sweep(35, RESPAWNED), Process(9, None), Window("@1")], &[(20, None), (50, None)]),
    ];
    for (name, steps, wanted) in cases {
        let mut roster = Roster::default();
        let mut told = Vec::new();
        for (number, step) in (1..).zip(&steps) {
            let now = at(number * 10);
            for death in step.done(&mut roster, now) {
                assert_eq!((death.session.as_str(), death.noticed), ("gt-a", now), "{name}");
                assert_eq!(death.with_server, matches!(step, Server), "{name}");
                told.push((number * 10, death.exit));
            }
        }
        assert_eq!(told, wanted, "{name}");
    }
}

#[test]
fn a_server_takes_all_its_sessions_with_it() {
    let mut roster = Roster::default();
    let all = [
        session("gt-b", "$1", &[(1, "@1", None)]),
        session("gt-a", "$2", &[(2, "@2", None), (3, "@3", None)]),
        session("gt-dead", "$3", &[(4, "@4", Some(0))]),
        session("gt-told", "$4", &[(5, "@5", None)]),
    ];
    assert_eq!(roster.swept(&sweep(0, &all), at(1)), []);
    assert_eq!(roster.ended(&end("gt-told", "$4", EndOf::Process { pid: 5, exit: None }), at(5)).len(), 1);
    let deaths = roster.ended(&end("", "", EndOf::Server(BTreeMap::new())), at(9));
    let told: Vec<_> =
        deaths.iter().map(|it| (it.session.as_str(), it.panes.clone(), it.with_server)).collect();
    assert_eq!(told, [("gt-a", vec![2, 3], true), ("gt-b", vec![1], true)]);
    assert!(deaths.iter().all(|death| death.noticed == at(9)));
}

/// What the server had last, by its own word, is in its end.
#[test]
fn what_no_sweep_has_shown_yet_ends_with_its_server() {
    let mut roster = Roster::default();
    let seen =
        [session("gt-seen", "$1", &[(1, "@1", None)]), session("gt-dead", "$2", &[(2, "@2", Some(0))])];
    assert_eq!(roster.swept(&sweep(0, &seen), at(1)), []);
    // Neither was ever shown: of one the end was told, of the other a sweep that came and failed tells nothing.
    assert_eq!(roster.ended(&end("gt-told", "$3", EndOf::Process { pid: 3, exit: None }), at(5)).len(), 1);
    assert_eq!(roster.swept(&Sweep { sessions: Err("no answer".into()), ..sweep(6, &[]) }, at(6)), []);
    let all = [("$1", "gt-seen"), ("$2", "gt-dead"), ("$3", "gt-told"), ("$4", "gt-new"), ("$5", "gt-a-new")];
    let all: BTreeMap<String, String> =
        all.iter().map(|(id, name)| ((*id).to_owned(), (*name).to_owned())).collect();
    let deaths = roster.ended(&end("", "", EndOf::Server(all.clone())), at(9));
    let told: Vec<_> = deaths
        .iter()
        .map(|it| (it.session.as_str(), it.id.as_str(), it.panes.len(), it.with_server, it.noticed))
        .collect();
    assert_eq!(
        told,
        [
            ("gt-a-new", "$5", 0, true, at(9)),
            ("gt-new", "$4", 0, true, at(9)),
            ("gt-seen", "$1", 1, true, at(9))
        ]
    );
    // What else tells of that end is no news, nor is a sweep that was under way.
    assert_eq!(roster.ended(&end("gt-x", "$9", EndOf::Server(BTreeMap::new())), at(10)), []);
    let late = [session("gt-new", "$4", &[(4, "@4", None)])];
    assert_eq!(roster.swept(&sweep(8, &late), at(11)), []);
    assert_eq!(roster.swept(&sweep(12, &[]), at(13)), []);
}

#[test]
fn a_window_in_two_sessions_ends_in_both() {
    let mut roster = Roster::default();
    let both = [session("gt-a", "$1", &[(1, "@1", None)]), session("view", "$2", &[(1, "@1", None)])];
    roster.swept(&sweep(0, &both), at(1));
    for (name, id) in [("gt-a", "$1"), ("view", "$2")] {
        let deaths = roster.ended(&end(name, id, EndOf::Process { pid: 1, exit: None }), at(5));
        assert_eq!(deaths.iter().map(|death| death.session.as_str()).collect::<Vec<_>>(), [name]);
    }
}

#[test]
fn a_process_table_that_cannot_be_read_ends_nothing() {
    let mut roster = Roster::default();
    let all = [session("gt-a", "$1", &[(1, "@1", None)])];
    roster.swept(&sweep(0, &all), at(1));
    let blind = Sweep { trees: Err(ProcessesError("not mounted".into())), ..sweep(5, &all) };
    assert_eq!(roster.swept(&blind, at(6)), []);
}

#[test]
fn it_forgets_what_is_long_gone() {
    let mut roster = Roster::default();
    for number in 0..1000_u32 {
        let (id, now) = (format!("${number}"), u64::from(number) * 1000);
        let all = [session("gt-a", &id, &[(number + 1, "@1", None)])];
        roster.swept(&sweep(now, &all), at(now + 1));
        roster.ended(&end("gt-a", &id, EndOf::Window(format!("@{number}"))), at(now + 2));
    }
    assert!(
        roster.known.len() < 70 && roster.ended.len() < 70,
        "{} {}",
        roster.known.len(),
        roster.ended.len()
    );
}
