use super::*;

const fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

const EVERY: Duration = secs(300);

fn failed(stderr: &str) -> Result<(), CommandError> {
    Err(CommandError::Failed {
        line: "bd activity --follow --town --json".to_owned(),
        status: "exit code 1".to_owned(),
        code: Some(1),
        stdout: Vec::new(),
        stderr: stderr.split_whitespace().collect::<Vec<_>>().join(" "),
    })
}

#[test]
fn what_follows_an_end() {
    const NO_DAEMON: &str = include_str!("../../../tests/fixtures/convoy/activity_town_no_daemon.stderr");
    const UNKNOWN: &str = include_str!("../../../tests/fixtures/convoy/v1.0_unknown_command_activity.stderr");
    let settings = Settings { enabled: true, retry_after: secs(5), retry_max: secs(60), check_every: EVERY };
    let again = |n| Sequel::Again(secs(n));
    for (name, ended, ran, before, expected) in [
        ("the first", failed(NO_DAEMON), 0, None, again(5)),
        ("the second", failed(NO_DAEMON), 0, Some(5), again(10)),
        ("the fifth", failed(NO_DAEMON), 1, Some(40), again(60)),
        ("any further", failed(NO_DAEMON), 59, Some(60), again(60)),
        ("after it ran a minute", failed(NO_DAEMON), 60, Some(60), again(5)),
        ("it just ended", Ok(()), 0, Some(5), again(10)),
        ("it ran a minute and just ended", Ok(()), 61, Some(20), again(5)),
        ("its command is not known", failed(UNKNOWN), 0, None, Sequel::NotAgain),
        ("its command is not known, later", failed(UNKNOWN), 100, Some(60), Sequel::NotAgain),
        ("another command is not known", failed("unknown command \"acty\" for \"bd\""), 0, None, again(5)),
        ("the settings had longer delays", failed(""), 0, Some(600), again(60)),
        ("the settings had shorter delays", failed(""), 0, Some(1), again(5)),
    ] {
        assert_eq!(after_end(&ended, secs(ran), before.map(secs), &settings), expected, "{name}");
    }
}

#[test]
fn which_versions_may_tell() {
    let version = |major, minor| Some(Version { major, minor });
    for (version, expected) in [
        (None, true),
        (version(0, 47), true),
        (version(0, 49), true),
        (version(0, 50), false),
        (version(1, 0), false),
    ] {
        assert_eq!(may_tell(version), expected, "{version:?}");
    }
}

#[test]
fn reasons_that_are_the_same_but_for_numbers() {
    for (one, other, expected) in [
        ("failed (exit code 1): x", "failed (exit code 1): x", false),
        ("daemon unreachable (5 failures)", "daemon unreachable (16 failures)", false),
        ("failed (exit code 1): x", "failed (exit code 1): y", true),
        ("", "a", true),
    ] {
        assert_eq!(is_another_reason(one, other), expected, "{one} / {other}");
    }
}

/// What happens to an agenda, in order, at seconds.
enum Happens {
    /// A bead is closed.
    Closed(&'static str),
    /// More than are named.
    Many,
    /// A look is done, of all convoys or not.
    Done(bool),
    /// The time between timed questions is this.
    Every(u64),
    /// The settings switched it off and on.
    Again,
    /// It is asked what to do.
    Next(Next),
}

fn look(ids: &[&str]) -> Happens {
    Happens::Next(Next::Look(Why::Closed(ids.iter().map(|id| (*id).to_owned()).collect())))
}

fn wait(n: u64) -> Happens {
    Happens::Next(Next::Wait(secs(n)))
}

const BUSY: Happens = Happens::Next(Next::Busy);
const TIMED: Happens = Happens::Next(Next::Look(Why::Timed));

#[test]
fn when_it_is_looked() {
    use Happens::*;
    let stories: Vec<(&str, Vec<(u64, Happens)>)> = vec![
        (
            "nothing happens",
            vec![
                (0, wait(20)),
                (19, wait(1)),
                (20, TIMED),
                (21, BUSY),
                (22, Done(true)),
                (22, wait(300)),
                (322, TIMED),
            ],
        ),
        (
            "one close",
            vec![(3, Closed("a")), (3, wait(1)), (4, look(&["a"])), (5, Done(false)), (5, wait(15))],
        ),
        (
            "a burst",
            vec![(3, Closed("a")), (3, Closed("b")), (3, Closed("a")), (4, look(&["a", "b"])), (4, BUSY)],
        ),
        (
            "a close while it is looked",
            vec![
                (3, Closed("a")),
                (4, look(&["a"])),
                (4, Closed("b")),
                (4, BUSY),
                (6, Done(true)),
                (6, wait(5)),
                (11, look(&["b"])),
                (12, Done(true)),
                (12, wait(300)),
            ],
        ),
        (
            "a close soon after",
            vec![
                (3, Closed("a")),
                (4, look(&["a"])),
                (5, Done(false)),
                (6, Closed("b")),
                (6, wait(4)),
                (10, look(&["b"])),
            ],
        ),
        (
            "closes without end",
            vec![
                (3, Closed("a")),
                (4, look(&["a"])),
                (4, Done(false)),
                (5, Closed("b")),
                (6, Closed("c")),
                (8, Closed("d")),
                (9, look(&["b", "c", "d"])),
            ],
        ),
        (
            "a look that lasts",
            vec![
                (20, TIMED),
                (21, Closed("a")),
                (600, BUSY),
                (600, Done(true)),
                (600, wait(5)),
                (605, look(&["a"])),
            ],
        ),
        (
            "a check that answers for all",
            vec![(3, Closed("a")), (4, look(&["a"])), (5, Done(true)), (6, wait(299))],
        ),
        (
            "a look that answers for some",
            vec![(18, Closed("a")), (19, look(&["a"])), (19, Done(false)), (20, TIMED)],
        ),
        (
            "a timed question stands for closes",
            vec![(19, Closed("a")), (20, TIMED), (21, Done(true)), (21, wait(300))],
        ),
        (
            "more than are named",
            vec![(3, Closed("a")), (3, Many), (4, Next(super::Next::Look(Why::ManyClosed)))],
        ),
        (
            "asked more often",
            vec![
                (20, TIMED),
                (21, Done(true)),
                (21, Every(60)),
                (21, wait(60)),
                (31, Every(600)),
                (31, wait(50)),
            ],
        ),
        ("switched off and on", vec![(3, Closed("a")), (50, Again), (50, wait(20)), (70, TIMED)]),
        (
            "switched off and on while it is looked",
            vec![(20, TIMED), (21, Again), (60, BUSY), (61, Done(true)), (61, wait(300))],
        ),
    ];
    for (name, story) in stories {
        let mut agenda = Agenda::new(Duration::ZERO, EVERY);
        for (step, (at, happens)) in story.into_iter().enumerate() {
            let now = secs(at);
            match happens {
                Closed(id) => agenda.closed(id.to_owned(), now),
                Many => agenda.many_closed(now),
                Done(for_all) => agenda.done(for_all, now, EVERY),
                Every(every) => agenda.every(secs(every), now),
                Again => agenda.begin_again(now, EVERY),
                Next(expected) => assert_eq!(agenda.next(now), expected, "{name}, step {step}"),
            }
        }
    }
}

#[test]
fn the_first_timed_question_is_not_later_than_any_other() {
    assert_eq!(Agenda::new(secs(7), secs(2)).next(secs(7)), Next::Wait(secs(2)));
}

#[test]
fn a_flood_of_closes_is_bounded() {
    let mut agenda = Agenda::new(Duration::ZERO, EVERY);
    (0..10 * NAMED).for_each(|number| agenda.closed(format!("gt-{number}"), secs(1)));
    assert_eq!(agenda.closed.len(), NAMED);
    assert_eq!(agenda.next(secs(2)), Next::Look(Why::ManyClosed));
    agenda.done(true, secs(3), EVERY);
    assert_eq!(agenda.next(secs(3)), Next::Wait(EVERY), "nothing is left of it");
}

proptest::proptest! {
    /// Whatever happens: one look at a time, none that closes are the reason for within [`APART`] of the last one, and each
    /// close is looked into by a look that begins when it was heard of, or later.
    #[test]
    fn no_close_is_lost(deeds: Vec<(u8, u16)>) {
        let (mut agenda, mut now) = (Agenda::new(Duration::ZERO, EVERY), Duration::ZERO);
        let (mut looking, mut done, mut heard) = (false, None::<Duration>, BTreeSet::new());
        let mut number = 0;
        for (deed, after) in deeds {
            now += Duration::from_millis(u64::from(after));
            match deed % 3 {
                0 => {
                    number += 1;
                    heard.insert(format!("gt-{number}"));
                    agenda.closed(format!("gt-{number}"), now);
                }
                1 if looking => {
                    (looking, done) = (false, Some(now));
                    agenda.done(deed > 128, now, EVERY);
                }
                _ => {}
            }
            match agenda.next(now) {
                Next::Busy => proptest::prop_assert!(looking),
                Next::Wait(delay) => {
                    proptest::prop_assert!(!looking && delay > Duration::ZERO);
                    proptest::prop_assert!(heard.is_empty() || delay <= SETTLE.max(APART));
                }
                Next::Look(why) => {
                    proptest::prop_assert!(!looking);
                    looking = true;
                    if let Why::Closed(ids) = why {
                        proptest::prop_assert!(done.is_none_or(|done| now >= done + APART));
                        proptest::prop_assert_eq!(&ids, &heard);
                    }
                    heard.clear();
                }
            }
        }
    }
}
