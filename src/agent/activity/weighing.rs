//! Weighing: what follows when several sources speak about one agent. Pure.
//!
//! The transcript is trusted most, as the program writes it about itself; but each source only knows what was until it was
//! last read, so a later word beats an earlier one where they are about different moments. Nothing here may read a source.

use jiff::{SignedDuration, Timestamp};

use super::{Activity, Reading, Source};

/// A screen is believed against an older transcript only when it was seen like that for this long.
const SETTLED: SignedDuration = SignedDuration::from_secs(20);

/// What one source says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// What the agent is doing.
    pub activity: Activity,
    /// The time of the record that says so, or when it was first seen.
    pub since: Timestamp,
    /// When it was last seen to be so.
    pub seen: Timestamp,
}

impl Said {
    /// Said at this moment, and so far only then.
    pub fn at(activity: Activity, at: Timestamp) -> Self {
        Said { activity, since: at, seen: at }
    }

    /// The same source, read again: what it said before continues.
    pub fn continuing(self, before: Option<&Said>) -> Self {
        match before.filter(|before| before.activity == self.activity) {
            Some(before) => Said { since: before.since.min(self.since), ..self },
            None => self,
        }
    }
}

/// What the sources say of one incarnation of an agent's session.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Evidence {
    /// Its transcript; `since` is the time of the last record that says something.
    pub transcript: Option<Said>,
    /// Its screen.
    pub screen: Option<Said>,
    /// Its processes: only that it is hung.
    pub processes: Option<Said>,
    /// Why the transcript is silent, if that is known.
    pub doubt: Option<String>,
}

impl Evidence {
    /// What the agent is doing; `None` when no source knows.
    pub fn reading(&self) -> Option<Reading> {
        let (transcript, screen) = (self.transcript.as_ref(), self.screen.as_ref());
        let best = match (transcript, screen) {
            (Some(transcript), Some(screen)) if is_overruled(transcript, screen) => {
                Some((screen, Source::Screen))
            }
            (Some(transcript), _) => Some((transcript, Source::Transcript)),
            (None, screen) => screen.map(|screen| (screen, Source::Screen)),
        };
        let hung = self.processes.as_ref().filter(|processes| {
            // Only what works can hang, and a word that came later shows that it does not.
            let works = best.is_none_or(|(said, _)| said.activity == Activity::Working);
            works && best.is_none_or(|(said, _)| said.since <= processes.since)
        });
        let (said, source) = hung.map(|hung| (hung, Source::Processes)).or(best)?;
        Some(Reading { activity: said.activity.clone(), source, since: said.since })
    }
}

/// Whether what a screen shows beats what the transcript says.
fn is_overruled(transcript: &Said, screen: &Said) -> bool {
    use Activity::{Hung, Idle, Limited, LoggedOut, WaitingAtQuestion, Working};
    let is_newer = screen.since > transcript.since;
    let is_settled = is_newer && screen.seen.duration_since(screen.since) >= SETTLED;
    match (&transcript.activity, &screen.activity) {
        // A question is on the screen now; only a record that was written since it was last seen is newer.
        (_, WaitingAtQuestion(_)) => screen.seen >= transcript.since,
        // A limit or a login is over when a record says so, or a screen on which it works again.
        (Limited(_) | LoggedOut(_), Working) => is_settled,
        (Limited(_) | LoggedOut(_), _) => false,
        // Not every version of every program writes these down.
        (Working | Idle | WaitingAtQuestion(_), Limited(_) | LoggedOut(_)) => is_newer,
        // Interrupted by hand, which some programs do not write down; or answered.
        (Working, Idle) | (Idle, Working) | (WaitingAtQuestion(_), Idle | Working) => is_settled,
        (Working, Working) | (Idle, Idle) | (Hung(_), _) | (_, Hung(_)) => false,
    }
}

/// The reading that follows another: what goes on does so since it began.
pub fn following(before: Option<&Reading>, now: Option<Reading>) -> Option<Reading> {
    let now = now?;
    let since = match before.filter(|before| before.activity == now.activity) {
        Some(before) => before.since.min(now.since),
        None => now.since,
    };
    Some(Reading { since, ..now })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A minute of an hour.
    fn at(minute: i64) -> Timestamp {
        "2026-02-02T08:00:00Z".parse::<Timestamp>().unwrap() + SignedDuration::from_mins(minute)
    }

    /// First seen at one minute and last at another.
    fn said(code: &str, since: i64, seen: i64) -> Option<Said> {
        let activity = match code {
            "" => return None,
            "working" => Activity::Working,
            "idle" => Activity::Idle,
            "question" => Activity::WaitingAtQuestion("which?".into()),
            "limited" => Activity::Limited("resets 2pm".into()),
            "out" => Activity::LoggedOut("run /login".into()),
            "hung" => Activity::Hung("quiet".into()),
            other => panic!("{other}"),
        };
        Some(Said { activity, since: at(since), seen: at(seen) })
    }

    #[test]
    fn which_source_is_believed() {
        use Source::{Processes, Screen, Transcript};
        for (name, transcript, screen, processes, expected) in [
            ("nobody speaks", ("", 0), ("", 0, 0), ("", 0), None),
            ("the transcript alone", ("working", 1), ("", 0, 0), ("", 0), Some(("working", Transcript))),
            ("the screen alone", ("", 0), ("limited", 1, 1), ("", 0), Some(("limited", Screen))),
            ("both", ("idle", 2), ("idle", 1, 3), ("", 0), Some(("idle", Transcript))),
            (
                "a question now",
                ("working", 1),
                ("question", 2, 3),
                ("", 0),
                Some(("waiting_at_question", Screen)),
            ),
            ("answered since", ("working", 4), ("question", 2, 3), ("", 0), Some(("working", Transcript))),
            (
                "a question at a limit",
                ("limited", 1),
                ("question", 2, 3),
                ("", 0),
                Some(("waiting_at_question", Screen)),
            ),
            ("a limit, and a prompt", ("limited", 1), ("idle", 2, 9), ("", 0), Some(("limited", Transcript))),
            (
                "a limit, and an old spinner",
                ("limited", 2),
                ("working", 1, 3),
                ("", 0),
                Some(("limited", Transcript)),
            ),
            (
                "a limit, and one glimpse of work",
                ("limited", 2),
                ("working", 3, 3),
                ("", 0),
                Some(("limited", Transcript)),
            ),
            (
                "it works again after a limit",
                ("limited", 2),
                ("working", 3, 4),
                ("", 0),
                Some(("working", Screen)),
            ),
            (
                "a newer record ends a limit",
                ("working", 5),
                ("limited", 2, 4),
                ("", 0),
                Some(("working", Transcript)),
            ),
            (
                "a limit that was not written down",
                ("idle", 1),
                ("limited", 2, 2),
                ("", 0),
                Some(("limited", Screen)),
            ),
            (
                "a login that was not written down",
                ("working", 1),
                ("out", 2, 2),
                ("", 0),
                Some(("logged_out", Screen)),
            ),
            ("a prompt from before", ("working", 2), ("idle", 1, 3), ("", 0), Some(("working", Transcript))),
            ("interrupted by hand", ("working", 1), ("idle", 2, 3), ("", 0), Some(("idle", Screen))),
            (
                "one glimpse of a prompt",
                ("working", 1),
                ("idle", 2, 2),
                ("", 0),
                Some(("working", Transcript)),
            ),
            ("hung", ("working", 1), ("working", 1, 20), ("hung", 20), Some(("hung", Processes))),
            (
                "went on since",
                ("working", 21),
                ("working", 1, 20),
                ("hung", 20),
                Some(("working", Transcript)),
            ),
            ("what is idle does not hang", ("idle", 1), ("", 0, 0), ("hung", 20), Some(("idle", Transcript))),
            (
                "nor does what is limited",
                ("limited", 1),
                ("", 0, 0),
                ("hung", 20),
                Some(("limited", Transcript)),
            ),
            ("nothing else speaks", ("", 0), ("", 0, 0), ("hung", 20), Some(("hung", Processes))),
        ] {
            let evidence = Evidence {
                transcript: said(transcript.0, transcript.1, transcript.1),
                screen: said(screen.0, screen.1, screen.2),
                processes: said(processes.0, processes.1, processes.1),
                doubt: None,
            };
            let reading = evidence.reading();
            let got = reading.as_ref().map(|reading| (reading.activity.code(), reading.source));
            assert_eq!(got, expected, "{name}");
        }
    }

    #[test]
    fn what_goes_on_keeps_its_beginning() {
        let reading = |code, since| {
            let said = said(code, since, since).unwrap();
            Some(Reading { activity: said.activity, source: Source::Transcript, since: said.since })
        };
        let since = |before: Option<Reading>, now| following(before.as_ref(), now).map(|it| it.since);
        assert_eq!(since(reading("working", 1), reading("working", 5)), Some(at(1)));
        assert_eq!(since(reading("idle", 1), reading("working", 5)), Some(at(5)));
        assert_eq!(since(None, reading("working", 5)), Some(at(5)));
        assert_eq!(since(reading("working", 1), None), None);
    }
}
