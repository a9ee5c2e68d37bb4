//! The chapter of a usage limit: all agents of the account wait for its reset, and continue one after the other.

use std::fs;

use anyhow::{Context, ensure};
use gastown_supervisor::{Client, Poke};
use jiff::{SignedDuration, Timestamp};
use rustix::process::Signal;

use super::{Story, logged, since, wait_for};
use crate::{narrator::shown, supervisor::signal};

/// How long the limit lasts, but for a part of a second.
const LASTS: SignedDuration = SignedDuration::from_secs(5);

impl Story {
    /// One agent meets the limit of the plan that all share; another one dies before the reset.
    pub(super) async fn a_plan_is_used_up(&mut self) -> anyhow::Result<()> {
        let narrator = self.narrator;
        let ((meets, session), (dies, its_session)) = (self.cast.agents[4], self.cast.agents[1]);
        narrator.scene(
            "The plan of the agents' account is used up, for 5 s here. Until then none of them is started.",
        );
        // All transcripts are followed by then.
        Client::new(Some(self.town.root()))?.poke(Poke::Heartbeat).await?;
        let (before, from) = (self.all_run()?, self.said()?);
        let reset = Timestamp::from_second((Timestamp::now() + LASTS).as_second())?;
        fs::write(self.town.root().join("demo/limited-until"), reset.as_second().to_string())
            .context("the plan cannot be used up")?;
        self.town.tmux().type_line(session, "Merge what is ready.")?;
        let held = self.until(from, "the plan of claude", "is used up until").await?;
        narrator.say(&format!("{meets} is given work, and its program refuses"));
        narrator.say(&logged(&held));
        signal(before[its_session], Signal::KILL);
        let waits = self.until(from, dies, "not started: limited until").await?;
        narrator.say(&format!("{dies}, of the same account, is killed: kill -9 {}", before[its_session]));
        narrator.say(&logged(&waits));
        let report = self.report(meets).await?;
        ensure!(report.state == "limited", "{meets} is {}", report.state);
        ensure!(Timestamp::now() < reset, "all this took longer than the limit");
        let started = self.until(from, dies, self.cast.starting).await?;
        let prompted = self.until(from, meets, "its account can be used again, prompted with").await?;
        for (agent, at) in [(dies, started.at), (meets, prompted.at)] {
            ensure!(at >= reset, "{agent} was woken before the reset");
        }
        narrator.say(&format!("{dies} is started {} after the reset", shown(since(reset, started.at))));
        narrator.say(&logged(&prompted));
        wait_for("it gets the prompt", || self.received(meets).ends_with("\ncontinue\n")).await?;
        self.until(from, meets, "is no longer at its usage limit").await?;
        self.until(from, dies, ": started in").await?;
        let after = self.all_run()?;
        ensure!(after[its_session] != before[its_session], "{its_session} is still the old one");
        self.others_untouched(its_session, &before, &after)?;
        self.until_it_is(meets, "alive").await?;
        wait_for("the alert that it is over", || !self.alerts("usage_limit_over").is_empty()).await?;
        let alerts = ["usage_limit_reached", "usage_limit_over"].map(|kind| self.alerts(kind).len());
        ensure!(alerts == [1, 1], "there were {alerts:?} alerts");
        narrator.say(&format!(
            "{meets} works again, {dies} runs (PID {}), which counts as no crash; one alert, and one that it is over",
            after[its_session]
        ));
        Ok(())
    }
}
