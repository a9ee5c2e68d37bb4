//! The story: what goes wrong in the town, and what the supervisor does about it. Each line is printed only after its
//! event was seen; an event that is not seen in time ends the story.

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context, bail, ensure};
use gastown_supervisor::{Answer, Client, report::AgentReport};
use jiff::Timestamp;
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::{
    cast::Cast,
    narrator::{Narrator, shown},
    supervisor::{Line, Supervisor, alive, last_words, signal, wait_gone},
    town::{Generation, Town},
};

#[path = "asking.rs"]
mod asking;
#[path = "convoy.rs"]
mod convoy;
#[path = "limit.rs"]
mod limit;
#[path = "polecats.rs"]
mod polecats;
#[path = "question.rs"]
mod question;
#[path = "reading.rs"]
mod reading;

pub use convoy::beads;

/// How long to wait for anything that should take a few seconds.
const LIMIT: Duration = Duration::from_secs(40);

/// The alerts, one a line, in the town.
const ALERTS: &str = "demo/alerts.jsonl";

/// The deacon's limits are shorter than usual (15 and 30 minutes, in 1.x 5 and 20), the pause in a fresh start is longer, and boot is
/// off: an AI that checks the deacon has nothing to do here.
///
/// After a usage limit agents are woken without a margin (10 seconds), and faster one after the other (2.1 seconds). Convoys of a
/// 1.x town are fed more often than usual (30 seconds).
pub fn settings(generation: Generation) -> Value {
    let mut settings = json!({
        "boot": {"enabled": false},
        "usage_limit": {"margin": "0s", "wake_every": "1s"},
        "notify": {"command": format!("cat >> {ALERTS}")},
        // So that there is time to kill the supervisor.
        "lifecycle": {"pause": "1s"},
        "deacon": {"stale_after": "4s", "stuck_after": "8s", "grace": "3s"},
    });
    if generation == Generation::V1 {
        settings["convoy"] = json!({"feed_every": "2s"});
    }
    settings
}

/// The town on the stage. Dropping it ends the supervisor first, then the town.
#[derive(Debug)]
pub struct Story {
    supervisor: Option<Supervisor>,
    town: Town,
    narrator: Narrator,
    cast: Cast,
}

impl Story {
    /// The story before its start.
    pub fn new(town: Town, narrator: Narrator) -> Self {
        let cast = Cast::of(town.generation());
        Story { supervisor: None, town, narrator, cast }
    }

    /// Plays it to the end. An error says what did not happen.
    pub async fn play(&mut self) -> anyhow::Result<()> {
        self.a_town_stands_up().await?;
        self.an_agent_is_killed().await?;
        self.the_deacon_dozes_off().await?;
        let unparked = self.a_rig_is_parked().await?;
        self.an_agent_asks_a_question(unparked).await?;
        self.polecats_come_and_go().await?;
        if self.town.generation() == Generation::V1 {
            self.a_convoy_goes_on().await?;
        }
        self.a_plan_is_used_up().await?;
        self.a_person_answers().await?;
        self.an_agent_asks_by_mail().await?;
        self.the_supervisor_comes_and_goes().await?;
        self.it_can_all_be_read().await
    }

    async fn a_town_stands_up(&mut self) -> anyhow::Result<()> {
        let narrator = self.narrator;
        narrator.scene("Nothing runs. The supervisor is started.");
        let pid = self.start_supervisor()?;
        narrator.say(&format!("gastown-supervisor run (PID {pid})"));
        for (agent, _) in self.cast.agents {
            self.until(0, agent, ": started in").await?;
        }
        self.all_run()?;
        let names: Vec<&str> = self.cast.agents.iter().map(|(agent, _)| *agent).collect();
        narrator.say(&format!("all {} agents are up: {}", names.len(), names.join(", ")));
        narrator.more(match self.town.generation() {
            Generation::January => {
                "each in a tmux session of its own, at its prompt, with its first instruction"
            }
            Generation::V1 => "each started by gt, in a tmux session of its own, with its first instruction",
        });
        Ok(())
    }

    async fn an_agent_is_killed(&mut self) -> anyhow::Result<()> {
        let (agent, session) = self.cast.agents[1];
        let before = self.all_run()?;
        let from = self.said()?;
        self.narrator.scene("An agent dies.");
        let killed = Timestamp::now();
        signal(before[session], Signal::KILL);
        self.narrator.say(&format!("{agent} is killed: kill -9 {}", before[session]));
        let noticed = self.until(from, agent, ": session is gone (").await?;
        self.narrator.say(&format!(
            "noticed after {}; confirmed by a second probe 1 s later, in case it was stopped on purpose",
            shown(since(killed, noticed.at))
        ));
        let created = self.until(from, agent, self.cast.starting).await?;
        self.narrator.say(&format!("a new session runs {} after the kill", shown(since(killed, created.at))));
        self.until(from, agent, ": started in").await?;
        let after = self.all_run()?;
        ensure!(after[session] != before[session], "{session} is still the old one");
        self.others_untouched(session, &before, &after)?;
        self.narrator
            .say(&format!("{agent} runs again (PID {}); the other agents were not touched", after[session]));
        Ok(())
    }

    async fn the_deacon_dozes_off(&mut self) -> anyhow::Result<()> {
        let (agent, session) = self.cast.agents[0];
        let (before, from) = (self.all_run()?, self.said()?);
        let doze = self.town.root().join("demo/doze-deacon");
        let received = self.town.root().join("demo/received-deacon.log");
        let health_check = "HEALTH_CHECK: heartbeat stale, respond to confirm responsiveness";
        let usual = match self.town.generation() {
            Generation::January => 15,
            Generation::V1 => 5,
        };
        self.narrator.scene(&format!(
            "The deacon is alive but makes no progress (stale after 4 s here, {usual} minutes by default)."
        ));
        fs::write(&doze, "").context("the stand-in deacon cannot be paused")?;
        self.narrator.say("the deacon stops writing its heartbeat");
        let nudged = self.until(from, agent, "nudging it").await?;
        self.narrator.say(&logged(&nudged));
        wait_for("the nudge arrives in the deacon's session", || contains(&received, health_check)).await?;
        self.narrator.say(&format!("typed into its session: \"{health_check}\""));
        let ended = self.until(from, agent, ": ending it: ").await?;
        self.narrator.say(&logged(&ended));
        let woken = Timestamp::now();
        fs::remove_file(&doze).context("the stand-in deacon cannot be resumed")?;
        self.until(from, agent, ": started in").await?;
        let after = self.all_run()?;
        ensure!(after[session] != before[session], "{session} is still the old one");
        self.others_untouched(session, &before, &after)?;
        let heartbeat = self.town.root().join("deacon/heartbeat.json");
        wait_for("the new deacon writes heartbeats", || beat(&heartbeat).is_some_and(|at| at > woken))
            .await?;
        self.narrator.say(&format!("a new deacon (PID {}) writes heartbeats", after[session]));
        Ok(())
    }

    /// Returns how much was logged before it was unparked.
    async fn a_rig_is_parked(&mut self) -> anyhow::Result<usize> {
        let (agent, session) = self.cast.agents[3];
        let (before, from) = (self.all_run()?, self.said()?);
        self.narrator.scene("A rig is parked: agents that die there are not restarted.");
        self.town.set_status("mill", Some("parked"))?;
        signal(before[session], Signal::KILL);
        self.narrator.say(&format!(
            "mill is parked, as gt rig park does it; then {agent} is killed: kill -9 {}",
            before[session]
        ));
        let left = self.until(from, agent, "not started: rig is parked").await?;
        let now = self.town.tmux().sessions();
        ensure!(!now.contains_key(session), "{session} was started in a parked rig");
        self.others_untouched(session, &before, &now)?;
        self.narrator.say(&logged(&left));
        self.will_ask(agent)?;
        let (unparked, from) = (Timestamp::now(), self.said()?);
        self.town.set_status("mill", None)?;
        self.narrator.say("mill is unparked, as gt rig unpark does it");
        let created = self.until(from, agent, self.cast.starting).await?;
        self.narrator.say(&format!(
            "{agent} is started again, in a new session {} later",
            shown(since(unparked, created.at))
        ));
        Ok(from)
    }

    async fn the_supervisor_comes_and_goes(&mut self) -> anyhow::Result<()> {
        let before = self.all_run()?;
        self.narrator.scene("The supervisor stops and starts; the agents keep running.");
        let mut supervisor = self.supervisor.take().context("no supervisor runs")?;
        let (status, took) = supervisor.stop().await?;
        ensure!(status.success(), "the supervisor ended with {status}");
        ensure!(self.town.tmux().sessions() == before, "sessions changed when the supervisor stopped");
        ensure!(before.values().all(|pid| alive(*pid)), "agents ended with the supervisor");
        self.narrator.say(&format!("stopped {} after SIGTERM; all agents keep running", shown(took)));
        let pid = self.start_supervisor()?;
        for (agent, _) in self.cast.agents {
            self.until(0, agent, ": already running, adopted").await?;
        }
        self.until(0, "Heartbeat complete", "(#1)").await?;
        ensure!(self.all_run()? == before, "sessions changed when the supervisor started again");
        let lines = self.supervisor.as_mut().map(|it| it.lines(0).to_vec()).unwrap_or_default();
        ensure!(!lines.iter().any(|line| line.text.contains(": starting ")), "an agent was started again");
        self.narrator.say(&format!("started again (PID {pid}): all agents adopted, none restarted"));
        Ok(())
    }

    /// An error with the supervisor's last log lines.
    pub fn explained(&self, error: anyhow::Error) -> anyhow::Error {
        anyhow::anyhow!("{error:#}\n\nThe end of daemon/daemon.log:\n{}", last_words(self.town.root()))
    }

    /// Ends everything. An error when something is left.
    pub fn clean_up(mut self) -> anyhow::Result<()> {
        self.narrator.plain("");
        drop(self.supervisor.take());
        let mut pids: Vec<u32> = self.town.tmux().sessions().into_values().collect();
        pids.extend(self.town.background());
        let root = self.town.root().to_owned();
        drop(self.town);
        wait_gone(&pids, Duration::from_secs(2));
        let left: Vec<u32> = pids.into_iter().filter(|pid| alive(*pid)).collect();
        ensure!(left.is_empty(), "these processes could not be ended: {left:?}");
        ensure!(!root.exists(), "{} could not be removed", root.display());
        self.narrator.say("cleaned up: supervisor stopped, tmux server ended, directory removed");
        Ok(())
    }

    /// Leaves everything running, and prints how to continue.
    pub fn keep(self) -> anyhow::Result<()> {
        let socket = self.town.tmux().socket().strip_prefix(self.town.root());
        let socket = socket.context("the tmux socket is not in the town")?.display().to_string();
        let pid = self.supervisor.context("no supervisor runs")?.keep();
        let root = self.town.keep().display().to_string();
        self.narrator.plain(&how_to_continue(&root, &socket, pid));
        Ok(())
    }

    fn start_supervisor(&mut self) -> anyhow::Result<u32> {
        let program = self.town.bin().join("gastown-supervisor");
        // Where agents keep their transcripts.
        let claude = self.town.root().join("home/.claude").display().to_string();
        let supervisor = Supervisor::start(&program, &self.town, &[("CLAUDE_CONFIG_DIR", &claude)])?;
        Ok(self.supervisor.insert(supervisor).pid())
    }

    fn supervisor_pid(&self) -> anyhow::Result<u32> {
        Ok(self.supervisor.as_ref().context("no supervisor runs")?.pid())
    }

    fn said(&mut self) -> anyhow::Result<usize> {
        Ok(self.supervisor.as_mut().context("no supervisor runs")?.said())
    }

    /// Waits until the supervisor logs this about the agent.
    async fn until(&mut self, from: usize, who: &str, what: &str) -> anyhow::Result<Line> {
        let supervisor = self.supervisor.as_mut().context("no supervisor runs")?;
        let fits = |text: &str| text.starts_with(who) && text.contains(what);
        supervisor.until(from, &format!("the log says {who:?} … {what:?}"), LIMIT, fits).await
    }

    /// What the supervisor says of an agent.
    async fn report(&self, agent: &str) -> anyhow::Result<AgentReport> {
        let client = Client::new(Some(self.town.root()))?;
        let status = client.status(); // limited: by the client
        let Answer::Live(status) = status.await else {
            bail!("the supervisor does not say how the town is");
        };
        let report = status.agents.into_iter().find(|report| report.identity == agent);
        report.with_context(|| format!("{agent} is not in the status"))
    }

    /// Waits until an agent is in this state.
    async fn until_it_is(&self, agent: &str, state: &str) -> anyhow::Result<AgentReport> {
        let deadline = Instant::now() + LIMIT;
        loop {
            let report = self.report(agent).await?;
            if report.state == state {
                return Ok(report);
            }
            ensure!(Instant::now() < deadline, "{agent} is {} and not {state}", report.state);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// The alerts of this kind so far.
    fn alerts(&self, kind: &str) -> Vec<Value> {
        let text = fs::read_to_string(self.town.root().join(ALERTS)).unwrap_or_default();
        let alerts = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        alerts.filter(|alert| alert["type"] == kind).collect()
    }

    /// What an agent received so far.
    fn received(&self, agent: &str) -> String {
        let name = format!("demo/received-{}.log", agent.replace('/', "-"));
        fs::read_to_string(self.town.root().join(name)).unwrap_or_default()
    }

    /// Every agent's session, each with a running process; an error when one is missing.
    fn all_run(&self) -> anyhow::Result<BTreeMap<String, u32>> {
        let sessions = self.town.tmux().sessions();
        for (agent, session) in self.cast.agents {
            match sessions.get(*session) {
                Some(pid) if alive(*pid) => {}
                _ => bail!("{agent} does not run in its session {session}"),
            }
        }
        Ok(sessions)
    }

    fn others_untouched(
        &self,
        but: &str,
        before: &BTreeMap<String, u32>,
        after: &BTreeMap<String, u32>,
    ) -> anyhow::Result<()> {
        for (agent, session) in self.cast.agents.iter().filter(|(_, session)| *session != but) {
            ensure!(before.get(*session) == after.get(*session), "{agent} was touched, for no reason");
        }
        Ok(())
    }
}

/// What to paste into a shell, so that each command reaches this town and no other. `socket` is in `root`.
fn how_to_continue(root: &str, socket: &str, pid: u32) -> String {
    format!(
        "
The town is left running, with its supervisor (PID {pid}). In a shell, first

  T={root}; PATH=$T/bin:$PATH

and then, to see its state and why an agent is in it, or what is wrong,

  TMUX_TMPDIR=$T gastown-supervisor status --town $T
  TMUX_TMPDIR=$T gastown-supervisor explain deacon --town $T
  TMUX_TMPDIR=$T gastown-supervisor doctor --town $T

to look at an agent (leave with Ctrl-b d), or at the log,

  tmux -S $T/{socket} attach -t =hq-deacon
  tail -f $T/daemon/daemon.log

to stop supervising (the agents keep running), and to clean up:

  kill {pid}
  tmux -S $T/{socket} kill-server; rm -r $T"
    )
}

/// A log line, marked as one.
fn logged(line: &Line) -> String {
    format!("the log: \"{}\"", line.text)
}

fn since(then: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(now.duration_since(then)).unwrap_or_default()
}

fn contains(path: &Path, text: &str) -> bool {
    fs::read_to_string(path).is_ok_and(|content| content.contains(text))
}

/// The time of the deacon's last heartbeat.
fn beat(path: &Path) -> Option<Timestamp> {
    let file: Value = serde_json::from_slice(&fs::read(path).ok()?).ok()?;
    file.get("timestamp")?.as_str()?.parse().ok()
}

/// Polls until the condition holds; an error when it does not in time.
async fn wait_for(what: &str, mut holds: impl FnMut() -> bool) -> anyhow::Result<()> {
    let deadline = Instant::now() + LIMIT;
    while !holds() {
        ensure!(Instant::now() < deadline, "this did not happen within {LIMIT:?}: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Ok(())
}
