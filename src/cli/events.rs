//! `events`: what happened, from the histories of the agents and from the feed, in one list, one line each.

use std::{collections::BTreeSet, io, path::PathBuf, process::ExitCode, time::Duration};

use anyhow::Context;
use clap::Args;
use clap_complete::ArgValueCompleter;
use jiff::{SignedDuration, Timestamp, tz::TimeZone};

use self::lines::{Line, of_feed, of_history};
use super::{
    complain, completing, duration, logs,
    town::{TownArgument, asked},
    written,
};
use crate::{
    Answer, Client, ClientError,
    clock::{Clock, SystemClock},
    local_time::LocalTime,
    terminal,
    town::log::tail::Tail,
};

pub mod lines;

/// New events are read once after this many polls of the output.
const POLLS: u32 = 5;
/// What is read again, as it may be stored after it happened.
const OVERLAP: SignedDuration = SignedDuration::from_mins(1);
/// How many lines of the feed are read at most, from its end.
const FEED_LINES: u64 = 20_000;

/// Shows what happened to agents, and what they reported, in one list.
///
/// That is what `explain` shows, of all agents, together with Gas Town's feed (.feed.jsonl). Without a running supervisor it shows
/// what the last one saved (exit code 3).
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  gastown-supervisor events --since 8h
  gastown-supervisor events -f toast
  gastown-supervisor events --since 1d --json | jq 'select(.code == \"crashed\")'")]
pub struct EventsArguments {
    /// Only what concerns this agent, in any spelling or by its own name
    #[arg(add = ArgValueCompleter::new(completing::agents))]
    agent: Option<String>,
    #[command(flatten)]
    town: TownArgument,
    /// How far back to begin
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "1h")]
    since: Duration,
    /// Keep printing new events until Ctrl-C
    #[arg(short, long)]
    follow: bool,
    /// Print one JSON object a line, with times in UTC
    #[arg(long)]
    json: bool,
}

/// Prints them.
pub fn events(arguments: &EventsArguments) -> anyhow::Result<ExitCode> {
    let client = arguments.town.client()?;
    let paths = arguments.town.paths()?;
    let since = SignedDuration::try_from(arguments.since).unwrap_or(SignedDuration::MAX);
    let since = SystemClock::new().now().wall.checked_sub(since).unwrap_or(Timestamp::MIN);
    if arguments.follow {
        logs::ends_by_signals()?;
    }
    asked(async {
        let agent = match &arguments.agent {
            Some(agent) => Some(client.explain(agent).await?.into_inner().identity),
            None => None,
        };
        let mut reader = Reader { client, since, feed: Feed::at(paths.feed()), agent, seen: BTreeSet::new() };
        let source = reader.read().await?;
        let (mut lines, code) = match source {
            Answer::Live(lines) => (lines, ExitCode::SUCCESS),
            Answer::Unresponsive(lines, why) => {
                complain(&format!("{why}; only the feed is shown"));
                (lines, ExitCode::FAILURE)
            }
            Answer::Offline(lines) => {
                complain("not running; this is what the last supervisor wrote");
                (lines, ExitCode::from(super::NOT_RUNNING))
            }
        };
        loop {
            show(&lines, arguments.json)?;
            for _ in 0..POLLS {
                if !arguments.follow || logs::is_gone(&io::stdout().lock())? {
                    return Ok(code);
                }
            }
            // One that is restarted meanwhile answers again.
            lines = reader.read().await?.into_inner();
        }
    })
}

fn show(lines: &[Line], json: bool) -> anyhow::Result<()> {
    let local = LocalTime::new(SystemClock::new().now().wall, &TimeZone::system());
    let mut text = String::new();
    for line in lines {
        match json {
            true => text.push_str(&terminal::json(&serde_json::to_string(line)?)),
            false => text.push_str(&terminal::one_line(&line.text(&local))),
        }
        text.push('\n');
    }
    written(&text)
}

/// Reads what is new.
struct Reader {
    client: Client,
    since: Timestamp,
    feed: Feed,
    /// The agent that is asked for.
    agent: Option<String>,
    /// What was shown of the histories; only what happened since `since` can come again.
    seen: BTreeSet<(Timestamp, String)>,
}

impl Reader {
    /// What is new since the last call, oldest first, and where it is from.
    async fn read(&mut self) -> anyhow::Result<Answer<Vec<Line>>> {
        let history = match self.client.history(self.since).await {
            Ok(answer) => answer,
            Err(ClientError::Unresponsive(why)) => Answer::Unresponsive(Vec::new(), why),
            Err(error) => return Err(error.into()),
        };
        let known = !matches!(history, Answer::Unresponsive(..));
        let read = SystemClock::new().now().wall;
        let feed = self.feed.read()?;
        let feed = feed.iter().filter_map(|line| of_feed(line, known)).filter(|line| line.at >= self.since);
        let mut lines: Vec<Line> = feed.collect();
        let (history, source) = match history {
            Answer::Live(happened) => (happened, Answer::Live(())),
            Answer::Unresponsive(happened, why) => (happened, Answer::Unresponsive((), why)),
            Answer::Offline(happened) => (happened, Answer::Offline(())),
        };
        let happened = history.iter().map(of_history);
        lines.extend(
            happened.filter(|line| self.seen.insert((line.at, format!("{:?}{}", line.agent, line.text)))),
        );
        lines.retain(|line| self.agent.as_ref().is_none_or(|agent| line.is_about(agent)));
        lines.sort_by_key(|line| line.at);
        if known {
            // What happens while it is read may be stored a little later.
            self.since = self.since.max(read - OVERLAP);
            self.seen.retain(|(at, _)| *at >= self.since);
        }
        Ok(match source {
            Answer::Live(()) => Answer::Live(lines),
            Answer::Unresponsive((), why) => Answer::Unresponsive(lines, why),
            Answer::Offline(()) => Answer::Offline(lines),
        })
    }
}

/// The feed, and how far it was read.
struct Feed {
    path: PathBuf,
    tail: Option<Tail>,
    /// The begin of a line whose end is not written yet.
    half: Vec<u8>,
}

impl Feed {
    fn at(path: PathBuf) -> Feed {
        Feed { path, tail: None, half: Vec::new() }
    }

    /// The lines that were added since the last call. Without a feed there are none.
    fn read(&mut self) -> anyhow::Result<Vec<Vec<u8>>> {
        let shown = terminal::path(&self.path);
        let tail = match &mut self.tail {
            Some(tail) => tail,
            None => match Tail::last_lines(self.path.clone(), FEED_LINES) {
                Ok(tail) => self.tail.insert(tail),
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
                Err(error) => return Err(error).with_context(|| format!("{shown} cannot be read")),
            },
        };
        tail.pass_on(&mut self.half).with_context(|| format!("{shown} cannot be read"))?;
        let whole = self.half.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let rest = self.half.split_off(whole);
        let lines = std::mem::replace(&mut self.half, rest);
        Ok(lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).map(<[u8]>::to_vec).collect())
    }
}
