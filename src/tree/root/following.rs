//! The root and its town: reads the files that say what the town consists of and how it is configured, whenever they
//! change.

use std::{collections::BTreeMap, sync::Arc};

use ractor::ActorProcessingErr;

use super::{Read, Reason, RootMsg, RootState};
use crate::{
    agent::{role_bead, spec::AgentSpec, start::without_gt},
    supervision::messages::Broadcast,
    town::{
        identity::{Identity, RigName},
        rig_plan::RigPlan,
        settings::Settings,
    },
    tree::{
        one_file, rig,
        town_reading::{TownReading, read_town, watched},
    },
};

impl RootState {
    /// Reads the town's files: one reading at a time, however slow the disk is, and at most one more queued.
    pub(super) fn read_town(&mut self, reason: Reason) {
        if self.reading.is_some() {
            self.read_again = Some(self.read_again.unwrap_or_default().and(reason));
            return;
        }
        self.reading = Some(reason);
        self.town.begin();
        let (deps, one_file) = (self.plan.deps.clone(), self.plan.one_file.clone());
        let read = async move {
            let read = match one_file {
                Some(own) => Read::File(Box::new(one_file::read_again(&deps, &own).await)),
                None => Read::Town(Box::new(read_town(&deps).await)),
            };
            RootMsg::TownRead(Some(read))
        };
        self.work.spawn(read, RootMsg::TownRead(None));
    }

    pub(super) async fn town_read(&mut self, reading: Option<Read>) -> Result<(), ActorProcessingErr> {
        let reason = self.reading.take().unwrap_or_default();
        match reading {
            Some(Read::Town(reading)) => self.gas_town_read(*reading).await?,
            Some(Read::File(reading)) => self.file_read(*reading, reason).await?,
            None => {}
        }
        if let Some(reason) = self.read_again.take() {
            self.read_town(reason);
        }
        match reason.heartbeat {
            Some(number) => {
                self.read_role_beads();
                self.ask_for_scan(number);
            }
            None => self.broadcast(&Broadcast::TownChanged),
        }
        Ok(())
    }

    async fn gas_town_read(&mut self, reading: TownReading) -> Result<(), ActorProcessingErr> {
        let (settings, plans) = self.town.update(reading, &self.plan.deps);
        if let Some(settings) = settings {
            self.put_in_force(settings);
            for spec in AgentSpec::of_town(&self.plan.deps) {
                self.start_if_asked_for(&spec.identity).await?;
            }
        }
        self.follow_rigs(plans).await
    }

    /// Reads role beads ahead, or role files, so that no start waits for `bd`; one reading at a time.
    fn read_role_beads(&mut self) {
        if self.reading_role_beads || !self.plan.deps.dialect().facts().has_gt {
            return;
        }
        self.reading_role_beads = true;
        let deps = self.plan.deps.clone();
        let rigs: Vec<_> =
            self.rigs.values().map(|rig| (rig.name.clone(), rig.prefix.sessions.clone())).collect();
        self.work.spawn(
            async move {
                match deps.dialect().facts().roles_in_files {
                    true => role_bead::read_files(&deps, &rigs).await,
                    false => role_bead::read(&deps).await,
                }
                RootMsg::RoleBeadsRead
            },
            RootMsg::RoleBeadsRead,
        );
    }

    pub(super) fn put_in_force(&mut self, settings: Arc<Settings>) {
        tracing::info!("Settings changed, in force now");
        self.plan.settings.send_replace(settings);
        self.arm_heartbeat();
    }

    /// Starts supervisors of new rigs and stops those of rigs that vanished; their sessions are left alone.
    pub(super) async fn follow_rigs(&mut self, plans: Vec<RigPlan>) -> Result<(), ActorProcessingErr> {
        let wanted: BTreeMap<RigName, RigPlan> =
            plans.into_iter().map(|plan| (plan.name.clone(), plan)).collect();
        let changed: Vec<RigName> = self
            .rigs
            .iter()
            .filter(|(name, plan)| wanted.get(*name) != Some(plan))
            .map(|(name, _)| name.clone())
            .collect();
        for name in changed {
            self.children.stop(&rig::name(&name));
            if !wanted.contains_key(&name) {
                tracing::info!(
                    "rig {name} is gone from mayor/rigs.json: no longer supervised, its sessions are left alone"
                );
                self.plan.deps.problems.forget(&format!("rig/{name}/"));
                self.plan.deps.records.forget_rig(&name, self.plan.deps.now().wall);
                without_gt::refresh(&self.plan.deps.records, &self.plan.deps.problems);
                self.plan.deps.directory.forget_rig(&name);
                self.plan.deps.forget_rig(&name);
            }
        }
        self.rigs = wanted;
        self.send_rigs();
        let prefixes = self.rigs.values().map(|rig| rig.prefix.sessions.clone()).collect();
        self.plan.deps.starts.set_prefixes(prefixes);
        // A rig that changed waits until the actors of the old one have ended.
        for child in self.rigs.values().map(|plan| self.rig(plan)).collect::<Vec<_>>() {
            self.start(child).await?;
        }
        self.watch_files();
        Ok(())
    }

    /// Watches the directories of the town as it is now, and saves what is known of its agents.
    pub(super) fn watch_files(&mut self) {
        let names: Vec<RigName> = self.rigs.keys().cloned().collect();
        let (fs_watcher, deps) = (self.plan.fs_watcher.clone(), self.plan.deps.clone());
        self.work.run(async move {
            deps.records.save(&deps).await;
            match fs_watcher.retarget(watched(&deps, &names).await).await {
                Some(why) => {
                    deps.problems.report("watch", format!("{why}; changes are seen at heartbeats only"))
                }
                None => deps.problems.clear("watch"),
            };
        });
    }

    /// Clears backoffs through the agents' owners; for agents without one, clears the entry in the restart state.
    pub(super) fn clear_backoff(&mut self, whose: Option<Identity>) {
        let records = &self.plan.deps.records;
        match (&whose, records.has_backoff(whose.as_ref())) {
            (Some(identity), true) => tracing::info!(agent = %identity, "backoff cleared by hand"),
            (Some(identity), false) => {
                tracing::info!(agent = %identity, "nothing to clear by hand: nothing delays its start");
            }
            (None, true) => tracing::info!("Backoff of all agents cleared by hand"),
            (None, false) => {
                tracing::info!("Nothing to clear by hand: nothing delays the start of any agent")
            }
        }
        records.clear_restarts(whose.as_ref());
        self.broadcast(&Broadcast::ClearBackoff(whose));
    }

    pub(super) fn read_restart_state(&mut self) {
        let deps = self.plan.deps.clone();
        self.work.spawn(
            async move { RootMsg::RestartStateRead(deps.records.read_restarts(&deps).await) },
            RootMsg::RestartStateRead(false),
        );
    }

    pub(super) fn restart_state_read(&mut self, could_be_read: bool) {
        if could_be_read {
            tracing::info!("Restart state read again");
            self.broadcast(&Broadcast::RestartStateChanged);
        }
    }
}
