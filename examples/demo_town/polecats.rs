//! The chapter of polecats: one dies and is started again, as it has work; another is stopped by its operator, and stays down.

use anyhow::{Context, ensure};
use jiff::Timestamp;
use rustix::process::Signal;

use super::{Story, contains, logged, since};
use crate::{cast::Polecat, narrator::shown, supervisor::signal, town::Generation};

impl Story {
    /// What happens to polecats follows from their work, and from who ended them.
    pub(super) async fn polecats_come_and_go(&mut self) -> anyhow::Result<()> {
        let narrator = self.narrator;
        narrator.scene("Polecats get work. One of them dies; another is stopped by its operator, who leaves no note of it.");
        let from = self.said()?;
        let [toast, ember] = self.cast.polecats;
        for Polecat { identity, rig, name, hook, start, .. } in [toast, ember] {
            match self.town.generation() {
                Generation::January => {
                    self.town.employ(rig, name, hook)?;
                    self.town.begin_polecat(rig, name)?;
                }
                Generation::V1 => self.town.gt(start).await?,
            }
            self.until(from, identity, ": ").await?;
        }
        let names = [toast, ember].map(|polecat| format!("{} on {}", polecat.identity, polecat.hook));
        narrator.say(&format!("running, started by gt sling: {}", names.join(", ")));
        let (before, from) = (self.all_run()?, self.said()?);
        let killed = Timestamp::now();
        signal(*before.get(toast.session).context("the polecat does not run")?, Signal::KILL);
        let noticed = self.until(from, toast.identity, ": session is gone (").await?;
        narrator.say(&format!(
            "{} is killed; noticed after {}, confirmed 5 s later",
            toast.identity,
            shown(since(killed, noticed.at))
        ));
        narrator.say(&format!("the operator stops the other one: {}", ember.stop));
        self.town.gt(ember.stop).await?;
        let created = self.until(from, toast.identity, self.cast.starting).await?;
        narrator.say(&format!(
            "{} still has work, so it has a new session {} after its death",
            toast.identity,
            shown(since(killed, created.at))
        ));
        let left = self.until(from, ember.identity, "stopped by hand").await?;
        narrator.say(&logged(&left));
        self.until(from, toast.identity, ": started in").await?;
        let now = self.all_run()?;
        ensure!(now.contains_key(toast.session), "{} is not back", toast.identity);
        ensure!(!now.contains_key(ember.session), "{} was started against its operator", ember.identity);
        let crashes = self.town.root().join("demo/crashes.log");
        let address = |polecat: Polecat| format!("{}/{}", polecat.rig, polecat.name);
        ensure!(contains(&crashes, &address(toast)), "the death was not reported to gt log crash");
        ensure!(!contains(&crashes, &address(ember)), "a stop was reported to gt log crash");
        narrator.say(&format!(
            "{} runs again (PID {}), its death was reported to gt log crash; {} stays down",
            toast.identity, now[toast.session], ember.identity
        ));
        let from = self.said()?;
        match self.town.generation() {
            Generation::January => self.town.begin_polecat(ember.rig, ember.name)?,
            Generation::V1 => {
                self.town.gt(&format!("gt session start {}", address(ember))).await?;
            }
        }
        self.until(from, ember.identity, ": ").await?;
        narrator.say(&format!("the operator starts {} again", ember.identity));
        Ok(())
    }
}
