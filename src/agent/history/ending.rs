//! Ending: what is known of how an agent died, beside the reason: its life, its signal, and its last screen. Pure.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{
    agent::{
        last_screen,
        reason::{DeathReport, signal},
    },
    clock::Now,
    go_duration,
    supervision::status::exit_in_words,
};

/// How an agent died, as far as is known.
#[cfg_attr(feature = "test-support", derive(schemars::JsonSchema))]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Ending {
    /// How long its session had existed when its end was noticed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lived_seconds: Option<u64>,
    /// Its exit status as a shell reports it (128 plus the signal's number).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exit: Option<i32>,
    /// The signal that ended it (`SIGKILL`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signal: Option<String>,
    /// The last lines of its screen, oldest first, with secrets masked; empty when none was read or none is kept.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub last_screen: Vec<String>,
    /// How long before its end that screen was read, when it was not read after it: its pane was gone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_screen_age_seconds: Option<u64>,
}

impl Ending {
    /// How it died, with this screen, and when that was read, if one is to be kept.
    pub(crate) fn of(report: &DeathReport, screen: Option<(&[String], Now)>) -> Self {
        let exit = report.cause.exit();
        let before = screen.filter(|(_, at)| at.mono < report.noticed.mono);
        Ending {
            lived_seconds: report
                .session
                .as_ref()
                .map(|session| report.noticed.age_of(session.created).as_secs()),
            exit,
            signal: exit.and_then(signal),
            last_screen: screen.map(|(lines, _)| last_screen::kept(lines)).unwrap_or_default(),
            last_screen_age_seconds: before.map(|(_, at)| report.noticed.since(at).as_secs()),
        }
    }

    /// Forgets its screen.
    pub(crate) fn forget_screen(&mut self) {
        self.last_screen.clear();
        self.last_screen_age_seconds = None;
    }

    /// `lived 5m12s, SIGKILL (137); last screen, read 47s before the end:`; empty when nothing is known. The colon stands
    /// where the screen follows.
    pub fn summary(&self) -> String {
        let seconds = |seconds| go_duration::short(Duration::from_secs(seconds));
        let lived = self.lived_seconds.map(|it| format!("lived {}", seconds(it)));
        let exit = exit_in_words(self.exit, self.signal.as_deref());
        let end = lived.into_iter().chain(exit).collect::<Vec<_>>().join(", ");
        let screen = match (self.last_screen.is_empty(), self.last_screen_age_seconds) {
            (true, _) => None,
            (false, None) => Some("last screen:".to_owned()),
            (false, Some(age)) => Some(format!("last screen, read {} before the end:", seconds(age))),
        };
        Some(end).filter(|end| !end.is_empty()).into_iter().chain(screen).collect::<Vec<_>>().join("; ")
    }

    /// The same with the screen below it, for mails; empty when nothing is known.
    pub(crate) fn report(&self) -> String {
        let screen = self.last_screen.iter().map(|line| format!("\n    {line}")).collect::<String>();
        match (self.summary(), screen.as_str()) {
            (summary, "") => summary,
            (summary, screen) => format!("{summary}\n{screen}"),
        }
    }
}
