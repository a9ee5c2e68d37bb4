//! The line of `top` about the last hour: how many deaths and restarts there were, and when. Pure.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::model::KEPT;
use crate::control::histories::Happened;

/// How high a bar is: nothing, then from one on.
const BARS: [char; 9] = ['.', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// The line: `last hour: 3 deaths ....▁..▂....  2 restarts .....▁..▁...`. The present is on the right.
pub fn line(happened: &[Happened], now: Timestamp, width: usize) -> String {
    let buckets = match width {
        0..80 => 12,
        80..110 => 20,
        110..170 => 30,
        _ => 60,
    };
    let (deaths, restarts) = (deaths(happened), restarts(happened));
    let part = |times: &[Timestamp], one: &str| {
        let word = if times.len() == 1 { one.to_owned() } else { format!("{one}s") };
        format!("{} {word} {}", times.len(), bars(times, now, buckets))
    };
    format!("last hour: {}  {}", part(&deaths, "death"), part(&restarts, "restart"))
}

/// When agents died.
fn deaths(happened: &[Happened]) -> Vec<Timestamp> {
    happened.iter().filter(|it| it.entry.death.is_some()).flat_map(times).collect()
}

/// When agents were started that had died, or were to be restarted.
fn restarts(happened: &[Happened]) -> Vec<Timestamp> {
    let (mut ended, mut restarts) = (BTreeSet::new(), Vec::new());
    for it in happened {
        let code = it.entry.reason.as_str();
        if it.entry.death.is_some() || code == "restart_requested" {
            ended.insert(&it.identity);
        } else if code == "respawned" || code == "started" && ended.contains(&it.identity) {
            restarts.extend(times(it));
        }
    }
    restarts
}

/// Each time of an entry; of one that was repeated only the first and the last are known.
fn times(it: &Happened) -> impl Iterator<Item = Timestamp> {
    let (first, last, times) = (it.entry.at, it.entry.latest(), it.entry.times.max(1));
    (0..times).map(move |time| if time == 0 { first } else { last })
}

/// A bar for each part of the last hour, the highest for the most of one part, but one is never more than one eighth.
fn bars(times: &[Timestamp], now: Timestamp, buckets: usize) -> String {
    let mut counts = vec![0_usize; buckets];
    for at in times {
        let ago = now.duration_since(*at).as_secs().max(0);
        let bucket = usize::try_from(ago).unwrap_or(usize::MAX).saturating_mul(buckets)
            / usize::try_from(KEPT.as_secs()).unwrap_or(1);
        if let Some(count) = buckets.checked_sub(bucket + 1).and_then(|at| counts.get_mut(at)) {
            *count += 1;
        }
    }
    let most = counts.iter().copied().max().unwrap_or(0).max(BARS.len() - 1);
    let bar = |count: usize| BARS[(count * (BARS.len() - 1)).div_ceil(most)];
    counts.into_iter().map(bar).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::history::{Ending, Entry, Kind};

    fn at(minute: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + minute * 60).unwrap()
    }

    fn happened(minute: i64, whose: &str, code: &str, death: bool) -> Happened {
        let entry = Entry::new(Kind::Change, at(minute), "seen", "").because(code);
        Happened {
            identity: whose.into(),
            text: String::new(),
            entry: entry.dying(death.then(Ending::default)),
        }
    }

    #[test]
    fn what_counts() {
        let mut all = vec![
            happened(1, "a", "started", false),
            happened(2, "b", "crashed", true),
            happened(3, "b", "started", false),
            happened(4, "a", "restart_requested", false),
            happened(5, "a", "started", false),
            happened(6, "c", "respawned", false),
        ];
        assert_eq!(
            line(&all, at(60), 60),
            "last hour: 1 death ▁...........  3 restarts ▂▁..........",
            "the first start is no restart"
        );
        (all[1].entry.times, all[1].entry.last) = (20, Some(at(58)));
        assert_eq!(
            line(&all, at(60), 60).chars().skip(11).take(22).collect::<String>(),
            "20 deaths ▁..........█"
        );
        assert_eq!(line(&[], at(60), 60), "last hour: 0 deaths ............  0 restarts ............");
    }
}
