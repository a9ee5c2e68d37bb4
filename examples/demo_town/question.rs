//! The chapters of a question that an agent's program asks: nothing is typed to it, people are alerted, and one answers.

use std::fs;

use anyhow::{Context, ensure};

use super::{Story, logged, wait_for};

/// What the program asks.
const QUESTION: &str = "Do you trust the files in this folder?";

/// The option that its cursor is on.
const OPTION: &str = "❯ 1. Yes, proceed";

impl Story {
    /// The next time this agent's program starts, it asks.
    pub(super) fn will_ask(&self, agent: &str) -> anyhow::Result<()> {
        let file = self.town.root().join(format!("demo/ask-{}", agent.replace('/', "-")));
        fs::write(file, "trust").context("the stand-in cannot be made to ask")
    }

    /// The agent that was started after this line of the log waits at the question.
    pub(super) async fn an_agent_asks_a_question(&mut self, from: usize) -> anyhow::Result<()> {
        let (agent, session) = self.cast.agents[3];
        self.narrator.scene(
            "Its program asks a question before it works. The settings do not allow to answer that one.",
        );
        let asks = self.until(from, agent, " waits at a question").await?;
        self.narrator.say(&logged(&asks));
        let attach = self.attach(session);
        ensure!(
            asks.text.contains(QUESTION) && asks.text.contains(&attach),
            "not how to attach: {}",
            asks.text
        );
        let report = self.until_it_is(agent, "waiting_at_question").await?;
        ensure!(report.reason.as_deref() == Some(QUESTION), "it waits for {:?}", report.reason);
        self.narrator.say(&format!("gastown-supervisor status: {agent} is {}; \"{QUESTION}\"", report.state));
        self.narrator.more("all others go on; there is an alert when the question is still there after 15 s");
        Ok(())
    }

    /// The question is still there, people are alerted, and one of them answers.
    pub(super) async fn a_person_answers(&mut self) -> anyhow::Result<()> {
        let narrator = self.narrator;
        let (agent, session) = self.cast.agents[3];
        narrator.scene(&format!("Nobody has answered {agent} so far."));
        let kind = "waiting_at_question";
        wait_for("the alert about the question", || !self.alerts(kind).is_empty()).await?;
        let [alert] = &self.alerts(kind)[..] else { anyhow::bail!("more than one alert") };
        let payload = &alert["payload"];
        ensure!(payload["question"] == QUESTION && payload["attach"] == self.attach(session), "{alert}");
        narrator.say(&format!("notify.command got one alert, {kind}: \"{QUESTION}\""));
        let screen = self.town.tmux().screen(session)?;
        ensure!(screen.contains(OPTION), "the question is not as it was: {screen}");
        let before = self.received(agent);
        fs::remove_file(self.town.root().join(format!("demo/ask-{}", agent.replace('/', "-"))))?;
        self.town.tmux().run(&["send-keys", "-t", &format!("={session}:"), "Enter"])?;
        narrator.say("nothing was typed to it meanwhile; a person attaches, and answers \"Yes, proceed\"");
        self.until_it_is(agent, "alive").await?;
        wait_for("it gets its instruction", || self.received(agent).len() > before.len()).await?;
        narrator.say(&format!("{agent} has its instruction, and works"));
        Ok(())
    }

    /// The command that attaches to a session.
    fn attach(&self, session: &str) -> String {
        format!("tmux -S {} attach -t '={session}'", self.town.tmux().socket().display())
    }
}
