//! The stepper by grids, and against programs that show the effect of keys late and draw their screens in any order.

use std::collections::VecDeque;

use super::*;
use crate::agent::questions::shown;

const PATIENCE: Duration = Duration::from_secs(5);

const BYPASS: &str = "WARNING: Claude Code running in Bypass Permissions mode";
const TRUST: &str = "Do you trust the files in this folder?";
const LIMIT: &str = "What do you want to do?";

fn screen(title: &str, options: &[&str], cursor: usize) -> Vec<String> {
    let option =
        |(at, text): (usize, &&str)| format!(" {} {}. {text}", if at == cursor { "❯" } else { " " }, at + 1);
    let begin = [format!(" {title}"), String::new()];
    let end = [String::new(), " Enter to confirm · Esc to cancel".to_owned()];
    begin.into_iter().chain(options.iter().enumerate().map(option)).chain(end).collect()
}

fn bypass(cursor: usize) -> Option<Question> {
    shown(&screen(BYPASS, &["No, exit", "Yes, I accept"], cursor))
}

fn trust() -> Option<Question> {
    shown(&screen(TRUST, &["Yes, proceed", "No, exit"], 0))
}

fn limit(cursor: usize) -> Option<Question> {
    shown(&screen(LIMIT, &["Switch to extra usage (paid)", "Stop and wait", "Upgrade your plan"], cursor))
}

#[test]
fn one_key_is_on_its_way_at_a_time() {
    let all = BTreeSet::from(Dialog::ALL);
    let but_trust: BTreeSet<Dialog> = all.iter().copied().filter(|it| *it != Dialog::TrustFolder).collect();
    // What the screen shows after how many milliseconds, and what follows.
    type Seen = (u64, Option<Question>, &'static str);
    let cases: [(&str, &BTreeSet<Dialog>, Vec<Seen>); 12] = [
        (
            "at once",
            &all,
            vec![
                (0, bypass(0), "Down"),
                (1, bypass(1), "Enter"),
                (2, None, "over, answered with Yes, I accept"),
            ],
        ),
        ("the cursor is there", &all, vec![(0, bypass(1), "Enter"), (1, bypass(1), "wait")]),
        (
            "a slow program",
            &all,
            vec![
                (0, bypass(0), "Down"),
                (2800, bypass(0), "wait"),
                (2900, bypass(1), "Enter"),
                (5700, bypass(1), "wait"),
                (5800, None, "over, answered with Yes, I accept"),
            ],
        ),
        (
            "a key that does not show",
            &all,
            vec![
                (0, bypass(0), "Down"),
                (5000, bypass(0), "give up Down"),
                (5100, bypass(0), "leave"),
                (9000, bypass(1), "leave"),
                (9100, None, "over"),
                (9200, bypass(1), "leave"),
            ],
        ),
        (
            "an Enter that does not show",
            &all,
            vec![(0, bypass(1), "Enter"), (5000, bypass(1), "give up Enter"), (6000, bypass(1), "leave")],
        ),
        (
            "the next question may not be answered",
            &but_trust,
            vec![
                (0, bypass(1), "Enter"),
                (2500, trust(), "leave, answered with Yes, I accept"),
                (9000, trust(), "leave"),
            ],
        ),
        (
            "the next question may be answered",
            &all,
            vec![
                (0, bypass(1), "Enter"),
                (2500, trust(), "Enter, answered with Yes, I accept"),
                (2600, trust(), "wait"),
            ],
        ),
        (
            "a blank screen before the arrow shows",
            &all,
            vec![
                (0, bypass(0), "Down"),
                (100, None, "over"),
                (200, bypass(0), "wait"),
                (300, bypass(1), "Enter"),
            ],
        ),
        (
            "a blank screen before Enter is taken",
            &all,
            vec![
                (0, bypass(1), "Enter"),
                (100, None, "over, answered with Yes, I accept"),
                (200, bypass(1), "leave"),
            ],
        ),
        (
            "another question while an arrow is on its way",
            &all,
            vec![
                (0, bypass(0), "Down"),
                (100, trust(), "wait"),
                (5100, trust(), "give up Down"),
                (5200, trust(), "leave"),
            ],
        ),
        (
            "up from below",
            &all,
            vec![
                (0, limit(2), "Up"),
                (1000, limit(2), "wait"),
                (1500, limit(1), "Enter"),
                (2000, limit(1), "wait"),
                (3000, None, "over, answered with Stop and wait"),
            ],
        ),
        (
            "somebody else moves the cursor",
            &all,
            vec![
                (0, bypass(0), "Down"),
                (1, bypass(1), "Enter"),
                (2, bypass(0), "wait"),
                (3, None, "over, answered with Yes, I accept"),
            ],
        ),
    ];
    for (name, answered, seen) in cases {
        let mut it = Answering::default();
        for (at, question, expected) in seen {
            let (step, gone) = it.step(question.as_ref(), answered, Duration::from_millis(at), PATIENCE);
            let step = match step {
                Step::Press(key, _) => format!("{key:?}"),
                Step::GiveUp(key) => format!("give up {key:?}"),
                other => format!("{other:?}").to_lowercase(),
            };
            let gone = gone.map(|(_, option)| format!(", answered with {option}")).unwrap_or_default();
            assert_eq!(format!("{step}{gone}"), expected, "{name}, after {at} ms");
        }
    }
}

/// A program with menus that takes each key some time after it was pressed, and draws its screen some time after that.
struct Program {
    menus: Vec<(&'static str, Vec<&'static str>, usize, usize)>,
    /// The keys that were not taken yet, and when they are.
    keys: VecDeque<(u64, Key)>,
    /// What it will draw, and when.
    draws: VecDeque<(u64, Vec<String>)>,
    shows: Vec<String>,
    /// The menus at which it took Enter, with the option.
    chosen: Vec<(&'static str, &'static str)>,
}

impl Program {
    fn draw(&self) -> Vec<String> {
        match self.menus.first() {
            Some((title, options, cursor, _)) => screen(title, options, *cursor),
            None => vec!["> ".to_owned()],
        }
    }

    fn goes_on(&mut self, now: u64, noise: &mut impl FnMut() -> u64) {
        while let Some((_, key)) = self.keys.pop_front_if(|(at, _)| *at <= now) {
            if let Some((title, options, cursor, _)) = self.menus.first_mut() {
                match key {
                    Key::Up => *cursor = cursor.saturating_sub(1),
                    Key::Down => *cursor = (*cursor + 1).min(options.len() - 1),
                    _ => {
                        self.chosen.push((title, options[*cursor]));
                        self.menus.remove(0);
                    }
                }
            }
            let last = self.draws.back().map_or(now, |(at, _)| *at);
            // It may clear the screen first, or draw the old once more.
            let begin = last.max(now) + noise() % 3000;
            match noise() % 4 {
                0 => self.draws.push_back((begin, Vec::new())),
                1 => self.draws.push_back((begin, self.shows.clone())),
                2 => self.draws.push_back((begin, self.draw().into_iter().take(4).collect())),
                _ => {}
            }
            let end = begin + noise() % 2000;
            self.draws.push_back((end, self.draw()));
            if noise().is_multiple_of(4) {
                self.draws.push_back((end + noise() % 500, Vec::new()));
                self.draws.push_back((end + 500 + noise() % 500, self.draw()));
            }
        }
        while let Some((_, screen)) = self.draws.pop_front_if(|(at, _)| *at <= now) {
            self.shows = screen;
        }
    }
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(200))]
    #[test]
    fn whatever_the_lag_and_the_order_of_redraws(
        seed in 0..u64::MAX,
        cursors in (0..2_usize, 0..2_usize, 0..3_usize),
        slow in 1..8000_u64,
        trusted in proptest::bool::ANY,
    ) {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut noise = || random.u64(0..1 << 32);
        let mut program = Program {
            menus: vec![
                (BYPASS, vec!["No, exit", "Yes, I accept"], cursors.0, 1),
                (TRUST, vec!["Yes, proceed", "No, exit"], cursors.1, 0),
                (LIMIT, vec!["Switch to extra usage (paid)", "Stop and wait", "Upgrade"], cursors.2, 1),
            ],
            keys: VecDeque::new(),
            draws: VecDeque::new(),
            shows: Vec::new(),
            chosen: Vec::new(),
        };
        program.shows = program.draw();
        let answered: BTreeSet<Dialog> =
            Dialog::ALL.into_iter().filter(|it| trusted || *it != Dialog::TrustFolder).collect();
        let (mut it, mut now, mut enters) = (Answering::default(), 0, Vec::new());
        let (mut read, mut question) = (Vec::new(), None);
        for _ in 0..600 {
            program.goes_on(now, &mut noise);
            if read != program.shows {
                (read, question) = (program.shows.clone(), shown(&program.shows));
            }
            let (step, _) = it.step(question.as_ref(), &answered, Duration::from_millis(now), PATIENCE);
            if let Step::Press(key, option) = step {
                assert!(program.keys.is_empty(), "{key:?} while {:?} is on its way", program.keys);
                let question = question.clone().unwrap();
                let menu = question.menu.as_ref().unwrap();
                if key == Key::Enter {
                    let right = ["Yes, I accept", "Yes, proceed", "Stop and wait"];
                    assert_eq!(menu.options[menu.cursor], option);
                    assert!(right.contains(&option.as_str()), "Enter on {option}");
                    assert!(!enters.contains(&question.title), "Enter twice at {}", question.title);
                    enters.push(question.title);
                }
                program.keys.push_back((now + noise() % slow, key));
            }
            now += 50 + noise() % 200;
        }
        for (title, option) in &program.chosen {
            assert!(!option.contains("exit") && !option.contains("paid") && *option != "Upgrade", "{title}: {option}");
            assert!(trusted || *title != TRUST, "{title}");
        }
    }
}
