//! Which messages are pending spawns, of which polecat, and since when. Pure.
//!
//! `gt` and a rig's witness write them (Gas Town 0.2.6 to 0.3, `internal/polecat/pending.go`): subject
//! `POLECAT_STARTED <rig>/<polecat>`, and lines `Session: <name>` and `Issue: <bead>` in the body. They count whether
//! they were read or not.

use std::{collections::BTreeSet, time::Duration};

use jiff::Timestamp;

use crate::{
    ledger::inbox::Message,
    town::identity::{AgentName, BadName, RigName},
};

/// The exact start of the subject.
const SUBJECT: &str = "POLECAT_STARTED ";

/// A message about a polecat that was just started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spawn {
    /// The message's id.
    pub id: String,
    /// The rig, as written.
    pub rig: String,
    /// The polecat, or the error in its name.
    pub polecat: Result<AgentName, BadName>,
    /// The session it should run in, if named.
    pub session: Option<String>,
    /// The work it was started for, if named.
    pub issue: Option<String>,
    /// When the message was sent, if that can be read.
    pub sent: Option<Timestamp>,
}

/// The rig and the polecat that a message names, as written; `None` when it is about something else.
fn about(message: &Message) -> Option<(&str, &str)> {
    message.subject.strip_prefix(SUBJECT)?.split_once('/')
}

/// Parses a message; `None` when it is about something else.
pub fn read(message: &Message) -> Option<Spawn> {
    let (rig, polecat) = about(message)?;
    let line = |key: &str| {
        let values = message.body.lines().filter_map(|line| line.trim().strip_prefix(key));
        values.map(str::trim).find(|value| !value.is_empty()).map(str::to_owned)
    };
    Some(Spawn {
        id: message.id.clone(),
        rig: rig.to_owned(),
        polecat: polecat.parse(),
        session: line("Session:"),
        issue: line("Issue:"),
        sent: message.sent,
    })
}

/// The spawns of one rig, oldest first; the first of two messages with the same id.
pub fn of_rig(rig: &RigName, messages: &[Message]) -> Vec<Spawn> {
    let mut seen = BTreeSet::new();
    // Every rig gets every message: those of other rigs must cost little.
    let its = messages.iter().filter(|message| about(message).is_some_and(|(of, _)| of == rig.as_str()));
    its.filter(|message| seen.insert(message.id.as_str())).filter_map(read).collect()
}

/// Which of these, in the same order, are superseded by a later one about the same polecat: the first instruction is
/// sent once.
pub fn superseded(spawns: &[Spawn]) -> Vec<bool> {
    let mut later = BTreeSet::new();
    let is_superseded = |spawn: &Spawn| spawn.polecat.as_ref().is_ok_and(|name| !later.insert(name.clone()));
    let mut superseded: Vec<bool> = spawns.iter().rev().map(is_superseded).collect();
    superseded.reverse();
    superseded
}

/// The session that a message names, when it is not the polecat's own. tmux turns `.` and `:` into `_`.
pub fn names_another_session<'a>(spawn: &'a Spawn, own: &str) -> Option<&'a str> {
    spawn.session.as_deref().filter(|named| named.replace(['.', ':'], "_") != own)
}

/// Whether a message has waited long enough: by its own time or, as that may be missing or in the future, by when it
/// was first seen (`seen_for` ago).
pub fn is_old(spawn: &Spawn, now: Timestamp, seen_for: Duration, prune_after: Duration) -> bool {
    let age = spawn.sent.map(|sent| age(sent, now)).unwrap_or_default();
    age.max(seen_for) > prune_after
}

/// A spawn in a rig that does not exist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Homeless {
    /// The message's id.
    pub id: String,
    /// The rig it names, as written.
    pub rig: String,
    /// Whether to archive it, because it is too old; also when its time is missing.
    pub archive: bool,
}

/// The spawns whose rig is none of these, oldest first. Only to be called when the rigs are known.
pub fn homeless(
    messages: &[Message],
    rigs: &BTreeSet<RigName>,
    now: Timestamp,
    prune_after: Duration,
) -> Vec<Homeless> {
    let spawns = messages.iter().filter_map(read);
    let homeless = spawns.filter(|spawn| !rigs.iter().any(|rig| rig.as_str() == spawn.rig));
    homeless
        .map(|spawn| Homeless {
            archive: spawn.sent.is_none_or(|sent| age(sent, now) > prune_after),
            id: spawn.id,
            rig: spawn.rig,
        })
        .collect()
}

/// The age of a time; zero for one in the future, which comes from a clock that differs.
fn age(then: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(now.duration_since(then)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Timestamp {
        "2026-02-02T08:00:00Z".parse().unwrap()
    }

    fn ago(seconds: i64) -> Timestamp {
        now() - jiff::SignedDuration::from_secs(seconds)
    }

    fn message(id: &str, subject: &str, body: &str) -> Message {
        let (id, subject, body) = (id.to_owned(), subject.to_owned(), body.to_owned());
        Message { id, subject, body, from: "gastown/witness".into(), sent: Some(ago(60)), read: false }
    }

    fn told(message: &Message) -> Option<(String, Option<String>, Option<String>, Option<String>)> {
        let spawn = read(message)?;
        let polecat = spawn.polecat.ok().map(|name| name.to_string());
        Some((spawn.rig, polecat, spawn.session, spawn.issue))
    }

    type Expected = Option<(&'static str, Option<&'static str>, Option<&'static str>, Option<&'static str>)>;

    const STARTED: &str = "POLECAT_STARTED gastown/Toast";
    const BARE: Expected = Some(("gastown", Some("Toast"), None, None));

    #[test]
    fn messages_as_they_come() {
        let long = format!("POLECAT_STARTED gastown/{}", "x".repeat(65));
        let cases: [(&str, &str, &str, Expected); 25] = [
            // As in the recorded forms of an inbox, by their ids there.
            (
                "hq-m21",
                STARTED,
                "Polecat: Toast\nSession: gt-gastown-Toast\nIssue: gt-o78",
                Some(("gastown", Some("Toast"), Some("gt-gastown-Toast"), Some("gt-o78"))),
            ),
            (
                "hq-m22",
                "POLECAT_STARTED gastown/nux",
                "  Session: gt-gastown-nux  ",
                Some(("gastown", Some("nux"), Some("gt-gastown-nux"), None)),
            ),
            ("hq-m23", "POLECAT_STARTED broken", "no slash", None),
            (
                "hq-m24: a slash in the name is no usable one",
                "POLECAT_STARTED gastown/a/b",
                "Session: gt-gastown-a",
                Some(("gastown", None, Some("gt-gastown-a"), None)),
            ),
            (
                "hq-m25",
                "POLECAT_STARTED gastown/late",
                "Session: gt-gastown-late\nIssue: gt-1",
                Some(("gastown", Some("late"), Some("gt-gastown-late"), Some("gt-1"))),
            ),
            ("no body", STARTED, "", BARE),
            (
                "lines of Windows",
                STARTED,
                "Session: s\r\nIssue: i\r\n",
                Some(("gastown", Some("Toast"), Some("s"), Some("i"))),
            ),
            (
                "no blank after the colon",
                STARTED,
                "Session:s",
                Some(("gastown", Some("Toast"), Some("s"), None)),
            ),
            ("empty values", STARTED, "Session:\nIssue:  ", BARE),
            (
                "the first that says something",
                STARTED,
                "Session:\nSession: a\nSession: b",
                Some(("gastown", Some("Toast"), Some("a"), None)),
            ),
            ("keys of another case", STARTED, "session: s\nISSUE: i", BARE),
            ("keys in the middle of a line", STARTED, "The Session: s", BARE),
            (
                "a rig with hyphens and dots",
                "POLECAT_STARTED my-rig.x/Toast",
                "",
                Some(("my-rig.x", Some("Toast"), None, None)),
            ),
            (
                "a rig of no usable name",
                "POLECAT_STARTED ../Toast",
                "",
                Some(("..", Some("Toast"), None, None)),
            ),
            ("no rig", "POLECAT_STARTED /Toast", "", Some(("", Some("Toast"), None, None))),
            ("no polecat", "POLECAT_STARTED gastown/", "", Some(("gastown", None, None, None))),
            (
                "a blank behind the name",
                "POLECAT_STARTED gastown/Toast ",
                "",
                Some(("gastown", None, None, None)),
            ),
            ("a flag for a name", "POLECAT_STARTED gastown/-rf", "", Some(("gastown", None, None, None))),
            ("a name too long", long.as_str(), "", Some(("gastown", None, None, None))),
            ("a blank before", " POLECAT_STARTED gastown/Toast", "", None),
            ("another case", "Polecat_Started gastown/Toast", "", None),
            ("no blank", "POLECAT_STARTED:gastown/Toast", "", None),
            ("a reply", "Re: POLECAT_STARTED gastown/Toast", "", None),
            ("a request", "LIFECYCLE: restart", "Session: s", None),
            ("no subject", "", "", None),
        ];
        for (name, subject, body, expected) in cases {
            let own = |text: Option<&str>| text.map(str::to_owned);
            let expected = expected.map(|(rig, polecat, session, issue)| {
                (rig.to_owned(), own(polecat), own(session), own(issue))
            });
            for read in [false, true] {
                let message = Message { read, ..message("hq-1", subject, body) };
                assert_eq!(told(&message), expected, "{name}, read: {read}");
            }
        }
    }

    #[test]
    fn by_rig_each_once_and_the_latest_counts() {
        let inbox = [
            message("1", "POLECAT_STARTED r/a", ""),
            message("2", "POLECAT_STARTED rr/a", ""),
            message("3", "hello", ""),
            message("4", "POLECAT_STARTED r/b", ""),
            message("1", "POLECAT_STARTED r/a", ""),
            message("5", "POLECAT_STARTED r/a", ""),
            message("6", "POLECAT_STARTED r/a/b", ""),
            message("7", "POLECAT_STARTED r/a/b", ""),
        ];
        let spawns = of_rig(&"r".parse().unwrap(), &inbox);
        let ids: Vec<&str> = spawns.iter().map(|spawn| spawn.id.as_str()).collect();
        assert_eq!(ids, ["1", "4", "5", "6", "7"]);
        let expected = [true, false, false, false, false];
        assert_eq!(superseded(&spawns), expected, "names that cannot be used are not compared");
    }

    #[test]
    fn whose_session() {
        for (name, body, own, other) in [
            ("none named", "", "gt-r-Toast", None),
            ("its own", "Session: gt-r-Toast", "gt-r-Toast", None),
            ("its own, as `gt` spells it", "Session: gt-r-x.y", "gt-r-x_y", None),
            ("its own, as tmux does", "Session: gt-r-x_y", "gt-r-x_y", None),
            ("the witness's", "Session: gt-r-witness", "gt-r-Toast", Some("gt-r-witness")),
            ("one that begins alike", "Session: gt-r-Toast2", "gt-r-Toast", Some("gt-r-Toast2")),
        ] {
            let spawn = read(&message("1", "POLECAT_STARTED r/Toast", body)).unwrap();
            assert_eq!(names_another_session(&spawn, own), other, "{name}");
        }
    }

    #[test]
    fn age_by_its_own_time_and_by_ours() {
        let after = Duration::from_secs(300);
        for (name, sent, seen_for, old) in [
            ("new", Some(ago(0)), 0, false),
            ("five minutes to the second", Some(ago(300)), 0, false),
            ("hq-m25: more", Some(ago(301)), 0, true),
            ("no time", None, 0, false),
            ("no time, there for long", None, 301, true),
            ("of the future", Some(ago(-3600)), 300, false),
            ("of the future, there for long", Some(ago(-3600)), 301, true),
        ] {
            let spawn = read(&Message { sent, ..message("1", STARTED, "") }).unwrap();
            assert_eq!(is_old(&spawn, now(), Duration::from_secs(seen_for), after), old, "{name}");
        }
    }

    #[test]
    fn spawns_in_rigs_that_are_not_there() {
        let sent = |id, subject, sent| Message { sent, ..message(id, subject, "") };
        let inbox = [
            sent("1", "POLECAT_STARTED r/a", Some(ago(3600))),
            sent("2", "POLECAT_STARTED gone/a", Some(ago(300))),
            sent("3", "POLECAT_STARTED gone/a/b", Some(ago(301))),
            sent("4", "POLECAT_STARTED R/a", None),
            sent("5", "POLECAT_STARTED gone", Some(ago(3600))),
            sent("6", "hello gone/a", Some(ago(3600))),
            sent("7", "POLECAT_STARTED ../a", Some(ago(-60))),
        ];
        let rigs = BTreeSet::from(["r".parse().unwrap(), "s".parse().unwrap()]);
        let got: Vec<_> = homeless(&inbox, &rigs, now(), Duration::from_secs(300))
            .into_iter()
            .map(|it| (it.id, it.rig, it.archive))
            .collect();
        let expected = [("2", "gone", false), ("3", "gone", true), ("4", "R", true), ("7", "..", false)];
        assert_eq!(got, expected.map(|(id, rig, archive)| (id.to_owned(), rig.to_owned(), archive)));
    }

    proptest::proptest! {
        #[test]
        fn never_panics(subject in "(POLECAT_STARTED )?\\PC*", body in "(Session:)?\\PC*") {
            let _ = read(&message("1", &subject, &body));
        }
    }
}
