//! News: which closes were heard of before. Pure.
//!
//! `bd activity` tells some closes twice, and each time it is started it begins with up to 100 old events of each of its
//! daemons (`bd` 0.47 to 0.49). It remembers the last ones it was asked about, not more.

use std::collections::BTreeMap;

use super::activity::Close;

/// So many closes are remembered: the replays of 40 rigs.
pub const REMEMBERED: usize = 4096;

/// The closes that are not news any more.
#[derive(Debug, Default)]
pub struct News {
    last: u64,
    /// When, in order, each was last heard of.
    known: BTreeMap<Close, u64>,
    by_age: BTreeMap<u64, Close>,
}

impl News {
    /// Whether this was not heard of before; from now on it was. One that does not say when it happened is news every time:
    /// the bead may have been opened again meanwhile.
    pub fn is_new(&mut self, close: &Close) -> bool {
        if close.at.is_empty() {
            return true;
        }
        self.last += 1;
        let before = self.known.insert(close.clone(), self.last);
        if let Some(before) = before {
            self.by_age.remove(&before);
        }
        self.by_age.insert(self.last, close.clone());
        if self.by_age.len() > REMEMBERED
            && let Some((_, oldest)) = self.by_age.pop_first()
        {
            self.known.remove(&oldest);
        }
        before.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(at: usize) -> Close {
        Close { id: format!("gt-{at}"), at: format!("t{at}") }
    }

    #[test]
    fn what_is_new() {
        let mut news = News::default();
        let close = |id: &str, at: &str| Close { id: id.into(), at: at.into() };
        for (name, id, at, expected) in [
            ("the first", "a", "1", true),
            ("the same", "a", "1", false),
            ("another bead at that time", "b", "1", true),
            ("closed again", "a", "2", true),
            ("the first once more", "a", "1", false),
            ("at no time", "a", "", true),
            ("at no time again", "a", "", true),
        ] {
            assert_eq!(news.is_new(&close(id, at)), expected, "{name}");
        }
    }

    #[test]
    fn what_is_replayed_is_not_forgotten_for_what_is_not() {
        let mut news = News::default();
        (0..100).for_each(|at| assert!(news.is_new(&close(at))));
        for round in 0..10 {
            let begin = 1000 * (round + 1);
            (begin..begin + 1000).for_each(|at| assert!(news.is_new(&close(at))));
            (0..100).for_each(|at| assert!(!news.is_new(&close(at)), "replayed after round {round}"));
            assert!(news.known.len() <= REMEMBERED && news.known.len() == news.by_age.len());
        }
        assert!(news.is_new(&close(1000)), "heard of long ago");
    }
}
