//! The chapter of records: one agent's history, from the supervisor, and the feed.

use anyhow::{Context, bail, ensure};
use gastown_supervisor::{Answer, Client, agent::history::rendering};
use jiff::{Timestamp, tz::TimeZone};
use serde_json::Value;

use super::Story;

/// The number of feed lines shown.
const SHOWN: usize = 4;

impl Story {
    /// What happened can be read, each event once, although the supervisor was killed in between.
    pub(super) async fn it_can_all_be_read(&mut self) -> anyhow::Result<()> {
        let (agent, session) = self.cast.agents[1];
        self.narrator.scene("What you can read about it.");
        let client = Client::new(Some(self.town.root()))?;
        let Answer::Live(explanation) = client.explain(agent).await? else {
            bail!("the supervisor does not explain {agent}");
        };
        self.narrator.say(&format!("gastown-supervisor explain {agent}"));
        let lines = rendering::lines(&explanation.entries, Timestamp::now(), &TimeZone::system());
        ensure!(lines.iter().any(|line| line.contains("died: ")), "its death is not reported: {lines:#?}");
        lines.iter().for_each(|line| self.narrator.more(line));
        let feed = self.feed()?;
        let deaths = feed.iter().filter(|line| line.contains(&format!("{session} terminated"))).count();
        ensure!(deaths == 1, "its death is {deaths} times in the feed: {feed:#?}");
        self.narrator.say(&format!(".feed.jsonl has {} lines, among them", feed.len()));
        feed.iter().take(SHOWN).for_each(|line| self.narrator.more(line));
        Ok(())
    }

    /// The lines of the feed as people read them.
    fn feed(&self) -> anyhow::Result<Vec<String>> {
        let path = self.town.root().join(".feed.jsonl");
        let text = std::fs::read_to_string(&path);
        let text = text.with_context(|| format!("{} cannot be read", path.display()))?;
        let parsed = text.lines().map(serde_json::from_str::<Value>);
        let lines = parsed.map(|line| Ok(line?["summary"].as_str().unwrap_or_default().to_owned()));
        lines.collect()
    }
}
