//! Memory of a start: whether there is enough for one more agent, and which start is next once there is.
//!
//! While memory is short, starts wait without a slot, in the order of [`start_slots`](super::start_slots). Once there is enough
//! they are made one at a time, [`PACE`] apart, so that each reading shows what the agent before took. Where nobody waits, a
//! start costs one reading. What is unknown holds up nothing. It must not read anything or start anything.

use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};

use parking_lot::Mutex;

use super::start_slots::{Place, Rank};
use crate::{
    bytes, go_duration,
    ports::{
        memory::{Left, Memory},
        problems::Problems,
    },
    town::{identity::Identity, settings::StartMemory},
};

/// The interval at which a start that waits examines the memory again.
pub const RECHECK: Duration = Duration::from_secs(5);
/// The least time between two starts while others wait: an agent's program has by then taken most of what it takes.
const PACE: Duration = Duration::from_secs(5);
/// Pressure counts only while less than this share of memory is available, in percent. Elsewhere it is that of a process
/// which is throttled within a limit of its own, and says nothing about the machine.
const SCARCE: u64 = 25;
/// The problem that starts wait for long.
const PROBLEM: &str = "memory";
/// The problem that the figures cannot be read.
const UNREAD: &str = "memory/unread";

/// What a start waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shortage {
    /// Less memory is available than this.
    Available(Left, u64),
    /// Less swap is free than this.
    Swap(Left, u64),
    /// Processes wait for memory for this share of the time, and more than this is too much; in hundredths of a percent.
    Pressure(u32, u32),
    /// There is enough, and starts that have waited take turns.
    Turn,
}

impl fmt::Display for Shortage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Shortage::Available(left, wanted) => {
                let of = if left.is_of_group { " of its cgroup's limit" } else { "" };
                let (available, total) = (bytes::format(left.available), bytes::format(left.total));
                write!(f, "{available} of {total}{of} available, {} wanted", bytes::format(*wanted))
            }
            Shortage::Swap(left, wanted) => {
                let (free, total) = (bytes::format(left.available), bytes::format(left.total));
                write!(f, "{free} of {total} of swap free, {} wanted", bytes::format(*wanted))
            }
            Shortage::Pressure(is, most) => {
                let percent = |hundredths: &u32| f64::from(*hundredths) / 100.0;
                write!(
                    f,
                    "processes wait for memory {}% of the time, {}% is the most",
                    percent(is),
                    percent(most)
                )
            }
            Shortage::Turn => f.write_str("starts that have waited for memory take turns"),
        }
    }
}

impl Shortage {
    /// What is wrong, in figures that stay true while that lasts.
    fn condition(&self) -> String {
        let least = |least: u64, left: &Left| {
            format!("less than {} of {}", bytes::format(least), bytes::format(left.total))
        };
        match self {
            Shortage::Available(left, wanted) => {
                let of = if left.is_of_group { " of its cgroup's limit" } else { "" };
                format!("{}{of} is available", least(*wanted, left))
            }
            Shortage::Swap(left, wanted) => format!("{} of swap is free", least(*wanted, left)),
            Shortage::Pressure(_, most) => {
                format!("processes wait for memory more than {}% of the time", f64::from(*most) / 100.0)
            }
            Shortage::Turn => "there is enough again, and they take turns".to_owned(),
        }
    }
}

/// What is missing for one more agent.
pub fn shortage(memory: &Memory, wanted: &StartMemory) -> Option<Shortage> {
    if !wanted.enabled {
        return None;
    }
    if let (Some(left), Some(least)) = (memory.left, wanted.min_available)
        && left.available < least.of(left.total)
    {
        return Some(Shortage::Available(left, least.of(left.total)));
    }
    if let (Some(swap), Some(least)) = (memory.swap, wanted.min_swap_free)
        && swap.available < least.of(swap.total)
    {
        return Some(Shortage::Swap(swap, least.of(swap.total)));
    }
    let most = (wanted.max_pressure? * 100.0).round() as u32;
    let (pressure, left) = (memory.pressure?, memory.left?);
    let is_scarce = left.available / SCARCE < left.total / 100;
    (is_scarce && pressure > most).then_some(Shortage::Pressure(pressure, most))
}

/// What a start at the head of the queue, or elsewhere in it, waits for. `since`: how long ago the last start of those that
/// waited was made.
fn waits_for(short: Option<Shortage>, is_first: bool, since: Option<Duration>) -> Option<Shortage> {
    let is_its_turn = is_first && since.is_none_or(|since| since >= PACE);
    short.or((!is_its_turn).then_some(Shortage::Turn))
}

/// The starts that wait for memory; clones share them. A part of what [starts](super::starts) share.
#[derive(Debug, Clone)]
pub struct MemoryGate {
    queue: Arc<Mutex<Queue>>,
    problems: Problems,
}

#[derive(Debug, Default)]
struct Queue {
    waiting: BTreeMap<Place, Waiting>,
    arrived: u64,
    /// When the last start of those that waited was made (monotonic); `None` while nobody waits.
    last: Option<Duration>,
    is_reported: bool,
}

#[derive(Debug)]
struct Waiting {
    agent: Identity,
    since: Duration,
    why: Shortage,
}

/// One start at the gate. It leaves the queue when it is dropped.
#[derive(Debug)]
pub struct Ticket {
    gate: MemoryGate,
    agent: Identity,
    place: Place,
}

impl MemoryGate {
    /// Nobody waits.
    pub fn new(problems: Problems) -> Self {
        MemoryGate { queue: Arc::default(), problems }
    }

    /// A place for one start.
    pub fn ticket(&self, agent: &Identity, asked: bool) -> Ticket {
        let mut queue = self.queue.lock();
        queue.arrived += 1;
        let place = Place::new(agent.role(), asked, queue.arrived);
        Ticket { gate: self.clone(), agent: agent.clone(), place }
    }

    /// What the start of this agent waits for, if it waits.
    pub fn wait_of(&self, agent: &Identity) -> Option<Shortage> {
        let queue = self.queue.lock();
        queue.waiting.values().find(|waiting| waiting.agent == *agent).map(|waiting| waiting.why)
    }

    /// What the first of the starts waits for, and how many wait.
    pub fn longest_wait(&self) -> Option<(Shortage, usize)> {
        let queue = self.queue.lock();
        queue.waiting.values().next().map(|first| (first.why, queue.waiting.len()))
    }

    /// Notes whether the figures could be read.
    pub fn note_reading(&self, memory: &Memory) {
        // Kernels without pressure figures are common, and the doctor says so.
        match memory.left {
            Some(_) => self.problems.clear(UNREAD),
            None => self.problems.report(
                UNREAD,
                format!(
                    "memory figures cannot be read, so no start waits for memory: {}",
                    memory.unread.join("; ")
                ),
            ),
        }
    }

    fn leave(&self, queue: &mut Queue, place: Place) {
        queue.waiting.remove(&place);
        if queue.waiting.is_empty() {
            queue.last = None;
            if std::mem::take(&mut queue.is_reported) {
                self.problems.clear(PROBLEM);
            }
        }
    }
}

impl Ticket {
    /// The same for an agent of this rank.
    pub fn at(mut self, rank: Rank) -> Self {
        self.place = self.place.at(rank);
        self
    }

    /// Whether the start waits, now at `now` (monotonic) with this shortage; and whether it waited before.
    pub fn ask(
        &mut self,
        short: Option<Shortage>,
        now: Duration,
        settings: &StartMemory,
    ) -> (Option<Shortage>, bool) {
        let mut queue = self.gate.queue.lock();
        let waited = queue.waiting.get(&self.place).map(|waiting| waiting.since);
        let is_first = queue.waiting.keys().next().is_none_or(|first| *first >= self.place);
        let since = queue.last.map(|last| now.saturating_sub(last));
        let why = if settings.enabled { waits_for(short, is_first, since) } else { None };
        match why {
            Some(why) => {
                let since = waited.unwrap_or(now);
                queue.waiting.insert(self.place, Waiting { agent: self.agent.clone(), since, why });
                let is_long = now.saturating_sub(since) >= settings.report_after;
                if is_long || queue.is_reported {
                    let first = queue.waiting.values().next().map_or(why, |first| first.why);
                    let text = format!(
                        "starts have waited for memory for more than {}: {}; end what takes it, or set start.memory lower",
                        go_duration::short(settings.report_after),
                        first.condition(),
                    );
                    // Logged once; what is wrong may change while it lasts.
                    match std::mem::replace(&mut queue.is_reported, true) {
                        false => self.gate.problems.report(PROBLEM, text),
                        true => self.gate.problems.note(PROBLEM, text),
                    }
                }
            }
            None => {
                queue.last = Some(now);
                self.gate.leave(&mut queue, self.place);
            }
        }
        (why, waited.is_some())
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut queue = self.gate.queue.lock();
        self.gate.leave(&mut queue, self.place);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::town::settings::amount::Amount;

    const GIB: u64 = 1 << 30;

    fn left(available: u64, total: u64) -> Option<Left> {
        Some(Left { total, available, is_of_group: false })
    }

    #[test]
    fn what_is_missing() {
        let defaults = StartMemory::default;
        let of = |left, pressure| Memory { left, pressure, ..Memory::default() };
        let bytes = |amount| StartMemory { min_available: Some(Amount::Bytes(amount)), ..defaults() };
        let swap = StartMemory { min_swap_free: Some(Amount::Percent(10.0)), ..defaults() };
        let short = |available: u64, total: u64, wanted: u64| {
            left(available, total).map(|left| Shortage::Available(left, wanted))
        };
        let (healthy, full) = (left(30 * GIB, 64 * GIB), left(GIB, 64 * GIB));
        let three = (64.0 * GIB as f64 * 0.03) as u64;
        for (name, memory, settings, expected) in [
            ("healthy", of(healthy, Some(0)), defaults(), None),
            ("nothing is known", Memory::default(), defaults(), None),
            ("full", of(full, Some(0)), defaults(), short(GIB, 64 * GIB, three)),
            ("exactly enough", of(left(3, 100), None), defaults(), None),
            ("one byte less", of(left(2, 100), None), defaults(), short(2, 100, 3)),
            ("full, and pressure is unknown", of(full, None), defaults(), short(GIB, 64 * GIB, three)),
            ("switched off", of(full, Some(9_900)), StartMemory { enabled: false, ..defaults() }, None),
            ("a build throttled in its own limit", of(healthy, Some(9_900)), defaults(), None),
            (
                "pressure where little is left",
                of(left(8 * GIB, 64 * GIB), Some(6_001)),
                defaults(),
                Some(Shortage::Pressure(6_001, 6_000)),
            ),
            ("as much pressure as there may be", of(left(8 * GIB, 64 * GIB), Some(6_000)), defaults(), None),
            (
                "pressure is switched off",
                of(left(8 * GIB, 64 * GIB), Some(9_900)),
                StartMemory { max_pressure: None, ..defaults() },
                None,
            ),
            (
                "any amount will do",
                of(full, Some(0)),
                StartMemory { min_available: None, ..defaults() },
                None,
            ),
            ("bytes", of(full, Some(0)), bytes(2 * GIB), short(GIB, 64 * GIB, 2 * GIB)),
            ("enough bytes", of(full, Some(0)), bytes(GIB), None),
            (
                "swap is full",
                Memory { swap: left(GIB, 16 * GIB), ..of(healthy, Some(0)) },
                swap.clone(),
                left(GIB, 16 * GIB).map(|left| Shortage::Swap(left, 1_717_986_918)),
            ),
            ("no swap", of(healthy, Some(0)), swap, None),
            (
                "full swap, by default",
                Memory { swap: left(0, 16 * GIB), ..of(healthy, Some(0)) },
                defaults(),
                None,
            ),
        ] {
            assert_eq!(shortage(&memory, &settings), expected, "{name}");
        }
    }

    #[test]
    fn texts() {
        let of = |available, total, is_of_group| Left { total, available, is_of_group };
        for (shortage, text) in [
            (
                Shortage::Available(of(1_288_490_189, 64 * GIB, false), 2 * GIB),
                "1.2 GiB of 64 GiB available, 2 GiB wanted",
            ),
            (
                Shortage::Available(of(GIB, 4 * GIB, true), 2 * GIB),
                "1 GiB of 4 GiB of its cgroup's limit available, 2 GiB wanted",
            ),
            (Shortage::Swap(of(0, GIB, false), GIB), "0 B of 1 GiB of swap free, 1 GiB wanted"),
            (
                Shortage::Pressure(6_312, 6_000),
                "processes wait for memory 63.12% of the time, 60% is the most",
            ),
        ] {
            assert_eq!(shortage.to_string(), text);
        }
    }

    #[test]
    fn whose_turn_it_is() {
        let short = left(1, 100).map(|left| Shortage::Available(left, 3));
        let (turn, secs) = (Some(Shortage::Turn), |secs| Some(Duration::from_secs(secs)));
        for (name, short, is_first, since, expected) in [
            ("nobody waits", None, true, None, None),
            ("short", short, true, None, short),
            ("short, and not the first", short, false, secs(60), short),
            ("another is before it", None, false, None, turn),
            ("one was just started", None, true, secs(4), turn),
            ("its turn", None, true, secs(5), None),
        ] {
            assert_eq!(waits_for(short, is_first, since), expected, "{name}");
        }
    }

    #[test]
    fn a_queue() {
        let problems = Problems::default();
        let gate = MemoryGate::new(problems.clone());
        let settings = StartMemory::default();
        let agent = |name: &str| name.parse::<Identity>().unwrap();
        let (toast, witness) = (agent("r/polecats/toast"), agent("r/witness"));
        let (mut later, mut first) = (gate.ticket(&toast, false), gate.ticket(&witness, false));
        let short = Shortage::Available(left(1, 100).unwrap(), 3);
        let at = Duration::from_secs;
        assert_eq!(later.ask(Some(short), at(0), &settings), (Some(short), false));
        assert_eq!(first.ask(Some(short), at(1), &settings), (Some(short), false));
        assert_eq!(gate.wait_of(&toast), Some(short));
        assert_eq!(gate.longest_wait(), Some((short, 2)));
        assert_eq!(later.ask(Some(short), at(299), &settings), (Some(short), true));
        assert!(problems.open().is_empty());
        assert_eq!(later.ask(Some(short), at(300), &settings), (Some(short), true));
        assert!(problems.open()["memory"].contains("for more than 5m: less than 3 B of 100 B is available;"));
        let lower = Shortage::Available(left(1, 100).unwrap(), 2);
        assert_eq!(first.ask(Some(lower), at(301), &settings), (Some(lower), true));
        assert!(problems.open()["memory"].contains("less than 2 B of 100 B"), "the setting was lowered");
        assert_eq!(later.ask(None, at(305), &settings), (Some(Shortage::Turn), true), "the witness is first");
        assert_eq!(first.ask(None, at(306), &settings), (None, true));
        assert_eq!(later.ask(None, at(308), &settings), (Some(Shortage::Turn), true), "too soon");
        assert_eq!(later.ask(None, at(311), &settings), (None, true));
        assert!(problems.open().is_empty(), "resolved");
        let mut next = gate.ticket(&toast, false);
        assert_eq!(next.ask(None, at(311), &settings), (None, false), "nobody waits, so there is no pace");
        assert_eq!(next.ask(Some(short), at(312), &settings), (Some(short), false));
        drop(next);
        assert_eq!(gate.longest_wait(), None, "it was given up");
    }
}
