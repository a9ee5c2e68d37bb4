//! Following: in which conversation a program was when it ended, by the transcripts that it wrote. Pure.
//!
//! A program may begin a new conversation by itself (`/clear`, `/new`, compaction), with a new id. One program writes one
//! transcript after the other. Where two were written at the same time another program worked in the same directory, and it
//! cannot be told which of them is the agent's: what was known before stays.

use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp};

/// How much two transcripts of one program may overlap: the last words of the old one may come late.
const OVERLAP: SignedDuration = SignedDuration::from_secs(2);

/// A transcript that may be the agent's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// The conversation's id.
    pub id: String,
    /// Where it is.
    pub path: PathBuf,
    /// When it began: the file's creation, or the time of its first record; `None` when neither is known.
    pub began: Option<Timestamp>,
    /// When it was written last.
    pub written: Timestamp,
    /// The directory its program was started in, if it says so.
    pub directory: Option<PathBuf>,
}

/// In which conversation a program ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended<'a> {
    /// In the one it was started with.
    Same,
    /// In this one.
    In(&'a Candidate),
    /// It cannot be told.
    Ambiguous,
}

/// Where a program that lived `from` … `to` in `directory` ended. `with` is the id that it was started with.
pub fn ended<'a>(
    with: Option<&str>,
    directory: &Path,
    (from, to): (Timestamp, Timestamp),
    found: &'a [Candidate],
) -> Ended<'a> {
    let there = |it: &&Candidate| it.directory.as_deref() == Some(directory);
    let is_same = |it: &Candidate| Some(it.id.as_str()) == with;
    let mut own: Vec<(Timestamp, &Candidate)> = found
        .iter()
        .filter(there)
        .filter(|it| !is_same(it))
        .filter_map(|it| Some((it.began?, it)))
        .filter(|(began, _)| (from..=to).contains(began))
        .collect();
    own.sort_by_key(|(began, _)| *began);
    let mut last = found.iter().find(|it| is_same(it)).map(|it| it.written);
    for (began, it) in &own {
        if last.is_some_and(|last| last.duration_since(*began) > OVERLAP) {
            return Ended::Ambiguous;
        }
        last = Some(it.written);
    }
    own.last().map_or(Ended::Same, |(_, it)| Ended::In(it))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_a_program_ended() {
        let at = |second: i64| Timestamp::from_second(second).unwrap();
        let candidate = |(id, began, written, directory): (&str, i64, i64, &str)| Candidate {
            id: id.to_owned(),
            path: PathBuf::from(id),
            began: (began >= 0).then(|| at(began)),
            written: at(written),
            directory: (!directory.is_empty()).then(|| PathBuf::from(directory)),
        };
        // It lived from 100 to 200, started with `a`.
        for (case, with, found, ended_in) in [
            ("nothing written", Some("a"), vec![], "same"),
            ("only its own", Some("a"), vec![("a", 100, 190, "/d")], "same"),
            ("its own is older", Some("a"), vec![("a", 10, 190, "/d")], "same"),
            ("cleared", Some("a"), vec![("a", 10, 150, "/d"), ("b", 151, 190, "/d")], "b"),
            (
                "the old one's last words come late",
                Some("a"),
                vec![("a", 10, 152, "/d"), ("b", 151, 190, "/d")],
                "b",
            ),
            (
                "cleared twice",
                Some("a"),
                vec![("c", 170, 190, "/d"), ("a", 10, 150, "/d"), ("b", 151, 169, "/d")],
                "c",
            ),
            ("cleared before anything was said", Some("a"), vec![("b", 151, 190, "/d")], "b"),
            (
                "a second program at the same time",
                Some("a"),
                vec![("a", 10, 190, "/d"), ("b", 151, 180, "/d")],
                "ambiguous",
            ),
            (
                "two others at the same time",
                Some("a"),
                vec![("a", 10, 120, "/d"), ("b", 130, 180, "/d"), ("c", 140, 190, "/d")],
                "ambiguous",
            ),
            ("another directory", Some("a"), vec![("a", 10, 150, "/d"), ("b", 151, 190, "/e")], "same"),
            ("it does not say in which", Some("a"), vec![("a", 10, 150, "/d"), ("b", 151, 190, "")], "same"),
            ("begun before its life", Some("a"), vec![("a", 10, 150, "/d"), ("b", 99, 190, "/d")], "same"),
            ("begun after its life", Some("a"), vec![("a", 10, 150, "/d"), ("b", 201, 300, "/d")], "same"),
            (
                "nobody knows when it began",
                Some("a"),
                vec![("a", 10, 150, "/d"), ("b", -1, 190, "/d")],
                "same",
            ),
            ("no id was chosen", None, vec![("b", 101, 190, "/d")], "b"),
            ("no id was chosen, and nothing written", None, vec![], "same"),
            (
                "no id was chosen, and two wrote",
                None,
                vec![("b", 101, 190, "/d"), ("c", 102, 150, "/d")],
                "ambiguous",
            ),
        ] {
            let found: Vec<_> = found.into_iter().map(candidate).collect();
            let got = match ended(with, Path::new("/d"), (at(100), at(200)), &found) {
                Ended::Same => "same",
                Ended::Ambiguous => "ambiguous",
                Ended::In(it) => &it.id,
            };
            assert_eq!(got, ended_in, "{case}");
        }
    }
}
