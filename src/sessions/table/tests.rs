use std::time::Duration;

use super::*;
use crate::processes::{self, ProcessesError};

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

fn scan(begun: u64, sessions: &[Session]) -> Scan {
    let living = sessions.iter().flat_map(|it| &it.panes).filter(|pane| !pane.dead);
    let tree = |pid| vec![processes::Process { pid, age: Duration::ZERO, names: Vec::new() }];
    Scan {
        begun: at(begun),
        sessions: Ok(sessions.iter().map(|it| (it.name.clone(), Arc::new(it.clone()))).collect()),
        trees: Ok(Arc::new(living.map(|pane| (pane.pid, tree(pane.pid))).collect())),
    }
}

/// Some sessions, listed.
fn list(sessions: &[Session]) -> Fact {
    Fact::Listed(sessions.into())
}

fn exit(pid: u32) -> Fact {
    Fact::Exited { pid, exit: None }
}

/// Another server's session `gt-a` (`$1`).
fn successor(pid: u32) -> Session {
    let before = session("gt-a", "$1", &[(pid, "@1", None)]);
    Session { created: before.created + Duration::from_secs(9), ..before }
}

type Panes = &'static [(u32, &'static str, Option<i32>)];

/// What happens, with session `gt-a` (`$1`) and its panes: process, window, exit status if dead.
#[derive(Debug, Clone)]
enum Step {
    /// The session is listed.
    Listed(Panes),
    /// A process ends with this status.
    Process(u32, Option<i32>),
    /// A window closes.
    Window(&'static str),
    /// The server may be ending.
    Ending,
    /// It continues.
    Lasts,
    /// The server ends.
    Server,
    /// A scan that began at this time shows these panes.
    Scan(u64, Panes),
    /// A scan whose process table lacks this process of window `@1`.
    Zombie(u64, u32),
    /// A scan without the session.
    Gone(u64),
    /// A scan that failed.
    Failed(u64),
    /// The name runs under another id, with this process.
    Other(u64, u32),
    /// A scan shows under the id another server's session, which was created later, with this process.
    Successor(u64, u32),
    /// That is listed.
    ListedSuccessor(u32),
}

impl Step {
    fn done(&self, table: &mut SessionTable, now: Now) -> Vec<Death> {
        let scan = match self {
            Step::Listed(panes) => return table.heard(&list(&[session("gt-a", "$1", panes)]), now),
            Step::Process(pid, exit) => return table.heard(&Fact::Exited { pid: *pid, exit: *exit }, now),
            Step::Window(window) => return table.heard(&Fact::WindowClosed((*window).to_owned()), now),
            Step::Ending => return table.heard(&Fact::ServerEnding, now),
            Step::Lasts => return table.heard(&Fact::ServerLasts, now),
            Step::Server => return table.heard(&Fact::ServerExited, now),
            Step::Scan(begun, panes) => scan(*begun, &[session("gt-a", "$1", panes)]),
            Step::Zombie(begun, pid) => {
                let scan = scan(*begun, &[session("gt-a", "$1", &[(*pid, "@1", None)])]);
                Scan { trees: Ok(Arc::default()), ..scan }
            }
            Step::Gone(begun) => scan(*begun, &[]),
            Step::Failed(begun) => Scan::failed(at(*begun), "no answer".into()),
            Step::Other(begun, pid) => scan(*begun, &[session("gt-a", "$2", &[(*pid, "@2", None)])]),
            Step::Successor(begun, pid) => scan(*begun, &[successor(*pid)]),
            Step::ListedSuccessor(pid) => return table.heard(&list(&[successor(*pid)]), now),
        };
        table.scanned(&scan, now)
    }
}

/// Steps happen at 10, 20, 30… ms; the result is the time of each reported death, with its exit status.
#[test]
fn one_death_a_life_grid() {
    use Step::*;
    const ONE: Panes = &[(7, "@1", None)];
    const TWO: Panes = &[(7, "@1", None), (8, "@1", None)];
    const WINDOWS: Panes = &[(7, "@1", None), (8, "@2", None)];
    const KEPT: Panes = &[(7, "@1", Some(4)), (8, "@1", None)];
    const RESPAWNED: Panes = &[(9, "@1", None)];
    type Case = (&'static str, Vec<Step>, &'static [(u64, Option<i32>)]);
    #[rustfmt::skip]
    let cases: [Case; 69] = [
        ("nothing ends", vec![Scan(0, ONE), Scan(15, ONE), Failed(25), Scan(35, ONE)], &[]),
        ("a process, then all else", vec![Scan(0, ONE), Process(7, Some(3)), Window("@1"), Gone(35), Gone(45)], &[(20, Some(3))]),
        ("a window, then all else", vec![Scan(0, ONE), Window("@1"), Process(7, Some(3)), Gone(35)], &[(20, None)]),
        ("only the sweep", vec![Scan(0, ONE), Gone(15), Gone(25)], &[(20, None)]),
        ("late, after the sweep", vec![Scan(0, ONE), Gone(15), Process(7, None), Window("@1"), Gone(45)], &[(20, None)]),
        ("a sweep that failed tells nothing", vec![Scan(0, ONE), Failed(15), Failed(25), Gone(35)], &[(40, None)]),
        ("the name under another id", vec![Scan(0, ONE), Other(15, 9), Other(25, 9)], &[(20, None)]),
        ("that, told before", vec![Scan(0, ONE), Process(7, None), Other(25, 9), Window("@1")], &[(20, None)]),
        ("a pane kept dead", vec![Scan(0, ONE), Scan(15, &[(7, "@1", Some(4))]), Scan(25, &[(7, "@1", Some(4))])], &[(20, Some(4))]),
        ("that, told before", vec![Scan(0, ONE), Process(7, Some(4)), Scan(25, &[(7, "@1", Some(4))]), Window("@1"), Gone(45)], &[(20, Some(4))]),
        ("a process only the table misses", vec![Scan(0, ONE), Zombie(15, 7), Zombie(25, 7), Process(7, Some(1)), Gone(45)], &[(20, None)]),
        ("tmux still lists what the kernel told", vec![Scan(0, ONE), Process(7, None), Scan(25, ONE), Scan(35, ONE), Gone(45)], &[(20, None)]),
        ("first seen dead", vec![Scan(0, &[(7, "@1", Some(1))]), Scan(15, &[(7, "@1", Some(1))]), Window("@1"), Gone(35)], &[]),
        ("first seen dead, then respawned", vec![Scan(0, &[(7, "@1", Some(1))]), Scan(15, RESPAWNED), Process(9, Some(2))], &[(30, Some(2))]),
        ("never listed", vec![Process(7, Some(1)), Window("@1"), Gone(25)], &[]),
        ("never swept", vec![Listed(ONE), Process(7, Some(1)), Window("@1"), Gone(35)], &[(20, Some(1))]),
        ("never swept, only a window", vec![Gone(0), Listed(ONE), Window("@1"), Gone(35)], &[(30, None)]),
        ("never swept, and nothing told it", vec![Listed(ONE), Gone(15), Process(7, Some(1)), Gone(35)], &[(20, None)]),
        ("seen only by a sweep that began before", vec![Listed(ONE), Process(7, None), Scan(15, TWO), Gone(35)], &[(20, None)]),
        ("one of two", vec![Scan(0, TWO), Process(7, None), Scan(25, &[(8, "@1", None)]), Process(8, None), Window("@1"), Gone(55)], &[(20, None), (40, None)]),
        ("both of two before a look", vec![Scan(0, TWO), Process(7, None), Process(8, None), Gone(35)], &[(20, None)]),
        ("one of two, and a look that began before", vec![Scan(0, TWO), Process(7, None), Scan(15, TWO), Process(8, None), Gone(45)], &[(20, None)]),
        ("one of two, and a look that failed", vec![Scan(0, TWO), Process(7, None), Failed(25), Process(8, None), Gone(45)], &[(20, None)]),
        ("one of two, by the sweep", vec![Scan(0, TWO), Scan(15, &[(8, "@1", None)]), Scan(25, &[(8, "@1", None)]), Gone(35)], &[(20, None), (40, None)]),
        ("one of two windows", vec![Scan(0, WINDOWS), Window("@1"), Process(7, None), Scan(35, &[(8, "@2", None)]), Window("@1"), Window("@2")], &[(20, None), (60, None)]),
        ("its window, told late", vec![Scan(0, WINDOWS), Process(7, None), Scan(25, &[(8, "@2", None)]), Window("@1"), Process(8, None)], &[(20, None), (50, None)]),
        ("a process that survives its window", vec![Scan(0, ONE), Window("@1"), Gone(25), Process(7, None)], &[(20, None)]),
        ("a window that came and went", vec![Scan(0, ONE), Window("@9"), Scan(25, ONE)], &[]),
        ("respawned", vec![Scan(0, ONE), Process(7, None), Scan(25, RESPAWNED), Process(9, Some(5)), Window("@1"), Gone(55)], &[(20, None), (40, Some(5))]),
        ("respawned, and no look in between", vec![Scan(0, ONE), Process(7, None), Process(9, None), Gone(35)], &[(20, None)]),
        ("respawned, and nothing told it", vec![Scan(0, ONE), Scan(15, RESPAWNED), Scan(25, RESPAWNED), Gone(35)], &[(20, None), (40, None)]),
        ("the server", vec![Scan(0, ONE), Server, Server, Gone(35)], &[(20, None)]),
        ("the server after a death", vec![Scan(0, ONE), Process(7, None), Server, Gone(35)], &[(20, None)]),
        ("the server while a sweep was on its way", vec![Scan(0, ONE), Server, Scan(15, ONE), Gone(35)], &[(20, None)]),
        ("a process that outlives the server", vec![Scan(0, ONE), Server, Process(7, None), Gone(35)], &[(20, None)]),
        ("the next server uses the id again", vec![Scan(0, ONE), Server, Gone(25), Scan(35, RESPAWNED), Process(9, None), Window("@1")], &[(20, None), (50, None)]),
        ("listed while a sweep is under way that does not show it", vec![Listed(ONE), Gone(5), Process(7, Some(1)), Gone(35)], &[(30, Some(1))]),
        ("that, and later ones show it", vec![Listed(ONE), Gone(5), Scan(25, ONE), Gone(35)], &[(40, None)]),
        ("a new pane, listed while a sweep is under way", vec![Scan(0, ONE), Listed(TWO), Scan(15, ONE), Scan(35, TWO)], &[]),
        ("that, and it ends", vec![Scan(0, ONE), Listed(TWO), Scan(15, ONE), Process(8, Some(2))], &[(40, Some(2))]),
        ("listed after its end", vec![Scan(0, ONE), Process(7, None), Listed(ONE), Scan(35, ONE), Window("@1"), Gone(55)], &[(20, None)]),
        ("told twice", vec![Scan(0, TWO), Process(7, None), Scan(25, TWO), Process(7, None)], &[(20, None)]),
        ("moved to another window", vec![Scan(0, ONE), Listed(&[(7, "@2", None)]), Window("@1"), Window("@2")], &[(40, None)]),
        ("back from another window", vec![Scan(0, WINDOWS), Window("@2"), Scan(25, TWO), Process(8, Some(1))], &[(20, None), (40, Some(1))]),
        ("the id is another server's", vec![Scan(0, ONE), Successor(15, 9), Process(9, Some(1)), Gone(35)], &[(20, None), (30, Some(1))]),
        ("the id is another server's, and so is the window", vec![Scan(0, ONE), Server, Listed(RESPAWNED), Window("@1")], &[(20, None), (40, None)]),
        ("a process of the server before", vec![Scan(0, ONE), Server, Listed(RESPAWNED), Process(7, None), Scan(45, RESPAWNED)], &[(20, None)]),
        ("a sweep of the server before", vec![Scan(0, ONE), Server, Scan(15, ONE), Scan(35, ONE)], &[(20, None)]),
        ("the server while its sessions are held back", vec![Scan(0, ONE), Ending, Process(7, Some(1)), Window("@1"), Server, Lasts], &[(50, None)]),
        ("held back, and then it goes on", vec![Scan(0, ONE), Ending, Process(7, Some(1)), Ending, Lasts, Gone(55)], &[(50, Some(1))]),
        ("held back, and then a sweep shows it", vec![Scan(0, ONE), Ending, Process(7, Some(1)), Gone(35), Lasts], &[(40, None)]),
        ("held back no longer", vec![Scan(0, ONE), Ending, Lasts, Window("@1")], &[(40, None)]),
        ("the next server holds nothing back", vec![Scan(0, ONE), Ending, Server, Listed(RESPAWNED), Process(9, None)], &[(30, None), (50, None)]),
        ("only listed again since its death", vec![Listed(ONE), Process(7, None), Listed(RESPAWNED), Scan(25, &[]), Process(9, Some(1))], &[(20, None)]),
        ("swept again since its death", vec![Listed(ONE), Process(7, None), Listed(RESPAWNED), Scan(35, RESPAWNED), Process(9, Some(1))], &[(20, None), (50, Some(1))]),
        ("a pane that is first seen dead, by a list", vec![Listed(&[(7, "@1", Some(1))]), Process(7, None), Scan(25, &[(7, "@1", Some(1))]), Window("@1")], &[]),
        ("a window that closed, and one that is left of it", vec![Scan(0, ONE), Window("@1"), Listed(WINDOWS), Scan(35, WINDOWS), Process(7, Some(1))], &[(20, None), (50, Some(1))]),
        ("the rest of a window, told late", vec![Scan(0, TWO), Process(7, None), Scan(25, TWO), Window("@1"), Process(8, None), Scan(55, ONE)], &[(20, None), (40, None)]),
        ("listed by another server before its predecessor's end is known", vec![Scan(0, ONE), ListedSuccessor(9), Process(9, None), Successor(35, 9), Process(9, None)], &[(40, None), (50, None)]),
        ("listed again while a sweep is under way that misses it", vec![Scan(0, ONE), Listed(ONE), Gone(15)], &[(30, None)]),
        ("listed in the moment in which a sweep began", vec![Listed(ONE), Gone(10)], &[(20, None)]),
        ("told in the moment in which a sweep began", vec![Scan(0, TWO), Process(7, None), Scan(20, TWO), Process(8, None)], &[(20, None)]),
        ("first seen by a sweep whose table misses it", vec![Zombie(5, 7), Gone(15)], &[]),
        ("told, missed by the table, and seen in it again", vec![Scan(0, ONE), Process(7, None), Zombie(25, 7), Scan(35, ONE), Gone(45)], &[(20, None)]),
        ("one of two, listed for a while", vec![Scan(0, TWO), Process(7, None), Scan(25, TWO), Scan(35, &[(8, "@1", None)])], &[(20, None)]),
        ("the window of one that ended, listed for a while", vec![Scan(0, WINDOWS), Process(7, None), Scan(25, WINDOWS), Window("@1")], &[(20, None)]),
        ("beside a pane kept dead", vec![Scan(0, TWO), Scan(15, KEPT), Scan(25, KEPT), Scan(35, &[(7, "@1", Some(4))])], &[(20, Some(4)), (40, None)]),
        ("the id is another server's, and the one before was listed late", vec![Scan(0, ONE), Listed(TWO), Successor(15, 9), Process(9, Some(1))], &[(30, None), (40, Some(1))]),
        ("it goes on, and nothing ended", vec![Scan(0, ONE), Lasts, Ending, Lasts], &[]),
    ];
    for (name, steps, wanted) in cases {
        let mut table = SessionTable::default();
        let mut told = Vec::new();
        for (number, step) in (1..).zip(&steps) {
            let now = at(number * 10);
            for death in step.done(&mut table, now) {
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
    let mut table = SessionTable::default();
    let all = [
        session("gt-b", "$1", &[(1, "@1", None)]),
        session("gt-a", "$2", &[(2, "@2", None), (3, "@3", None)]),
        session("gt-dead", "$3", &[(4, "@4", Some(0))]),
        session("gt-told", "$4", &[(5, "@5", None)]),
    ];
    assert_eq!(table.scanned(&scan(0, &all), at(1)), []);
    assert_eq!(table.heard(&exit(5), at(5)).len(), 1);
    let deaths = table.heard(&Fact::ServerExited, at(9));
    let told: Vec<_> =
        deaths.iter().map(|it| (it.session.as_str(), it.panes.clone(), it.with_server)).collect();
    assert_eq!(told, [("gt-a", vec![2, 3], true), ("gt-b", vec![1], true)]);
    assert!(deaths.iter().all(|death| death.noticed == at(9)));
}

#[test]
fn what_no_sweep_has_shown_yet_ends_with_its_server() {
    let mut table = SessionTable::default();
    let seen =
        [session("gt-seen", "$1", &[(1, "@1", None)]), session("gt-dead", "$2", &[(2, "@2", Some(0))])];
    assert_eq!(table.scanned(&scan(0, &seen), at(1)), []);
    // Listed and never scanned: the end of one was reported.
    let new = |name, id, pid| session(name, id, &[(pid, "@9", None)]);
    let listed = [new("gt-told", "$3", 3), new("gt-new", "$4", 4), new("gt-a-new", "$5", 5)];
    assert_eq!(table.heard(&list(&listed), at(4)), []);
    assert_eq!(table.heard(&exit(3), at(5)).len(), 1);
    assert_eq!(table.scanned(&Scan::failed(at(6), "no answer".into()), at(6)), []);
    let deaths = table.heard(&Fact::ServerExited, at(9));
    let told: Vec<_> = deaths
        .iter()
        .map(|it| (it.session.as_str(), it.id.as_str(), &*it.panes, it.with_server, it.noticed))
        .collect();
    assert_eq!(
        told,
        [
            ("gt-a-new", "$5", &[5][..], true, at(9)),
            ("gt-new", "$4", &[4], true, at(9)),
            ("gt-seen", "$1", &[1], true, at(9))
        ]
    );
    // Other reports of that end are not new, nor is a scan that was in progress.
    assert_eq!(table.heard(&Fact::ServerExited, at(10)), []);
    assert_eq!(table.scanned(&scan(8, &listed), at(11)), []);
    assert_eq!(table.scanned(&scan(12, &[]), at(13)), []);
}

#[test]
fn a_process_in_two_sessions_ends_in_both_and_its_window_may_stay_in_one() {
    let mut table = SessionTable::default();
    let both = [session("gt-a", "$1", &[(1, "@1", None)]), session("view", "$2", &[(1, "@1", None)])];
    assert_eq!(table.heard(&list(&both), at(1)), []);
    assert_eq!(table.heard(&Fact::WindowClosed("@1".into()), at(2)), []);
    let deaths = table.heard(&exit(1), at(5));
    assert_eq!(deaths.iter().map(|death| death.session.as_str()).collect::<Vec<_>>(), ["gt-a", "view"]);
}

#[test]
fn a_death_is_of_the_name_that_was_listed_last() {
    let mut table = SessionTable::default();
    let named = |name| [session(name, "$1", &[(1, "@1", None)])];
    assert_eq!(table.heard(&list(&named("gt-a")), at(1)), []);
    assert_eq!(table.heard(&list(&named("gt-b")), at(2)), []);
    assert_eq!(table.heard(&exit(1), at(3))[0].session, "gt-b");
    let mut table = SessionTable::default();
    assert_eq!(table.heard(&list(&named("gt-a")), at(1)), []);
    assert_eq!(table.scanned(&scan(2, &named("gt-c")), at(3)), []);
    assert_eq!(table.heard(&exit(1), at(4))[0].session, "gt-c");
}

#[test]
fn a_process_table_that_cannot_be_read_ends_nothing() {
    let mut table = SessionTable::default();
    let all = [session("gt-a", "$1", &[(1, "@1", None)])];
    table.scanned(&scan(0, &all), at(1));
    let blind = Scan { trees: Err(ProcessesError("not mounted".into())), ..scan(5, &all) };
    assert_eq!(table.scanned(&blind, at(6)), []);
    let dead = [session("gt-a", "$1", &[(1, "@1", Some(3))])];
    let blind = Scan { trees: blind.trees, ..scan(7, &dead) };
    assert_eq!(table.scanned(&blind, at(8)).len(), 1, "tmux says so");
}

#[test]
fn it_forgets_what_is_gone() {
    let mut table = SessionTable::default();
    for number in 0..1000_u32 {
        let (id, now) = (format!("${number}"), u64::from(number) * 10);
        let new = [session("gt-a", &id, &[(number, "@1", None), (number + 5000, "@2", None)])];
        table.heard(&list(&new), at(now));
        // Every other one is never scanned.
        if number % 2 == 0 {
            table.scanned(&scan(now + 1, &new), at(now + 2));
        }
        table.heard(&exit(number), at(now + 3));
    }
    table.scanned(&scan(20_000, &[]), at(20_001));
    assert!(table.rows.is_empty(), "{table:?}");
}
