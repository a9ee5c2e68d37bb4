//! Deaths, one after the other: agents are killed among 100 and among 400 other sessions. Measured are the times at
//! which each death was noticed and confirmed, and at which the session of its successor existed.
//!
//! The times are those of the supervisor's log lines, compared with the time right before the signal is sent: one
//! clock, and each line is written microseconds after its event. The settings are the defaults except for the number
//! of deaths in a mass death: many deaths in half a minute would have their restarts paced. Each agent dies once, so
//! that no restart has to wait for another.

use std::{collections::BTreeMap, time::Duration};

use anyhow::Context;
use jiff::Timestamp;
use rustix::process::Signal;
use serde_json::json;

use crate::{
    costs,
    stage::{Stage, fill, rig, town_with_bd},
    supervisor::{Line, signal},
    table::{Row, Spread},
};

/// The confirmation times as they come.
const CONFIRM: Duration = Duration::from_secs(1);
const CONFIRM_POLECAT: Duration = Duration::from_secs(5);
/// Between two deaths; a restart begins in the meantime.
const APART: Duration = Duration::from_millis(400);
/// After everything has started.
const SETTLE: Duration = Duration::from_secs(3);

/// An agent and its session.
struct Victim {
    /// Who it is in the log.
    identity: String,
    /// The session it runs in.
    session: String,
}

impl Victim {
    fn new(number: usize, agent: &str, last: &str) -> Victim {
        let rig = rig(number);
        Victim { identity: format!("{rig}/{agent}"), session: format!("gt-{rig}-{last}") }
    }
}

/// What became of one agent that was killed.
#[derive(Debug, Clone, Copy)]
struct Course {
    killed: Timestamp,
    noticed: Timestamp,
    confirmed: Timestamp,
    replaced: Timestamp,
}

/// Among 100 other sessions, then among 400.
pub async fn measure(quick: bool) -> anyhow::Result<Vec<Row>> {
    let mut rows = Vec::new();
    for others in if quick { vec![100] } else { vec![100, 400] } {
        rows.extend(among(others, quick).await?);
    }
    rows.push(costs::of_the_kernel()?);
    Ok(rows)
}

async fn among(others: usize, quick: bool) -> anyhow::Result<Vec<Row>> {
    let (rigs, polecats) = if quick { (10, 5) } else { (40, 20) };
    let town = town_with_bd(rigs, json!({"deaths": {"threshold": 1000}}))?;
    for number in 1..=polecats {
        town.employ(&rig(number), "toast", &format!("{}-work", rig(number)))?;
    }
    let agents = 2 * rigs + 1 + polecats;
    let mut stage = Stage::supervise(town, &[])?;
    stage.stands(agents).await?;
    fill(&stage.town, (0..(others + 1).saturating_sub(agents)).map(|number| (rig(1), number)))?;
    tokio::time::sleep(SETTLE).await;
    // The polecats first: they take longest to be made sure of, and the others die meanwhile.
    let mut victims: Vec<Victim> =
        (1..=polecats).map(|number| Victim::new(number, "polecats/toast", "toast")).collect();
    for role in ["witness", "refinery"] {
        victims.extend((1..=rigs).map(|number| Victim::new(number, role, role)));
    }
    let courses = die(&mut stage, victims).await?;
    let of = |role: &str| -> Vec<Course> {
        courses.iter().filter(|(who, _)| who.ends_with(role)).map(|(_, course)| *course).collect()
    };
    let mut rows = noticed(others, &courses);
    rows.extend(replaced("witness", CONFIRM, &of("witness")));
    rows.extend(replaced("refinery", CONFIRM, &of("refinery")));
    rows.extend(replaced("polecat with work", CONFIRM_POLECAT, &of("toast")));
    rows.extend(costs::of_the_stand_ins(&stage.town)?);
    Ok(rows)
}

/// Kills them one after the other.
async fn die(stage: &mut Stage, victims: Vec<Victim>) -> anyhow::Result<BTreeMap<String, Course>> {
    let from = stage.supervisor.said();
    let sessions = stage.town.tmux().sessions();
    let mut killed = BTreeMap::new();
    for Victim { identity, session } in victims {
        let pid = *sessions.get(&session).with_context(|| format!("{identity} does not run"))?;
        killed.insert(identity, Timestamp::now());
        signal(pid, Signal::KILL);
        tokio::time::sleep(APART).await;
    }
    stage.says_since(from, killed.len(), ": starting claude in session ").await?;
    let lines = stage.supervisor.lines(from);
    let course = |(who, killed): (String, Timestamp)| {
        let said = |what: &str| {
            said(lines, &who, what).with_context(|| format!("the log does not say: {who}{what}"))
        };
        let course = Course {
            killed,
            noticed: said(": end reported: ")?,
            confirmed: said(": died: ")?,
            replaced: said(": starting claude in session ")?,
        };
        Ok((who, course))
    };
    killed.into_iter().map(course).collect()
}

/// When it was first said of this agent.
fn said(lines: &[Line], who: &str, what: &str) -> Option<Timestamp> {
    let fits = |line: &&Line| line.text.strip_prefix(who).is_some_and(|rest| rest.starts_with(what));
    lines.iter().find(fits).map(|line| line.at)
}

/// From the one to the other.
pub fn between(from: Timestamp, to: Timestamp) -> Duration {
    Duration::try_from(to.duration_since(from)).unwrap_or_default()
}

fn noticed(others: usize, courses: &BTreeMap<String, Course>) -> Vec<Row> {
    let times: Vec<Duration> = courses.values().map(|it| between(it.killed, it.noticed)).collect();
    let (count, spread) = (times.len(), Spread::of(times));
    vec![Row {
        figure: format!("death to notice, {others} other sessions: p50, p99 (longest) of {count}"),
        measured: spread.to_string(),
        target: "≤ 5, 50 ms",
        met: spread.p50 <= Duration::from_millis(5) && spread.p99 <= Duration::from_millis(50),
        original: "0 to 180 s",
    }]
}

fn replaced(who: &str, confirm: Duration, courses: &[Course]) -> Vec<Row> {
    let spread = |from: fn(&Course) -> Timestamp, to: fn(&Course) -> Timestamp| {
        Spread::of(courses.iter().map(|it| between(from(it), to(it))))
    };
    let confirming =
        Spread::of(courses.iter().map(|it| between(it.noticed, it.confirmed).saturating_sub(confirm)));
    let replacing = spread(|it| it.confirmed, |it| it.replaced);
    let whole = spread(|it| it.killed, |it| it.replaced);
    vec![
        Row {
            figure: format!("  {who}: notice to confirmation, beyond its {} s", confirm.as_secs()),
            measured: confirming.to_string(),
            target: "",
            met: true,
            original: "",
        },
        Row {
            figure: format!("  {who}: confirmation to the new session ({})", courses.len()),
            measured: replacing.to_string(),
            target: "≤ 100, 400 ms",
            met: replacing.p50 <= Duration::from_millis(100) && replacing.p99 <= Duration::from_millis(400),
            original: "",
        },
        Row {
            figure: format!("  {who}: death to the new session"),
            measured: format!("{:.2} s ({:.2} s)", whole.p50.as_secs_f64(), whole.longest.as_secs_f64()),
            target: "",
            met: true,
            original: "150 s",
        },
    ]
}
