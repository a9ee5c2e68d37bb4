//! Docked rigs: the label `gt rig dock` puts on the rig's own bead, and nowhere else (Gas Town 0.2.6 to 0.3).
//!
//! Read ahead at each heartbeat and kept; a start never waits for `bd`. A read that failed leaves the last answer, and
//! until there is one a rig counts as unlabelled.

use std::collections::BTreeMap;

use super::supervisor::RigPlan;
use crate::{
    agent::identity::RigName,
    deps::Deps,
    ledger::beads::{self, Bead},
};

/// Asks `bd` for the beads of all rigs, with one call for the whole town. `None` when it could not say; that is reported
/// once as long as it lasts.
pub async fn read(deps: &Deps, rigs: &[RigPlan]) -> Option<BTreeMap<RigName, String>> {
    if rigs.is_empty() {
        return Some(BTreeMap::new());
    }
    let ids: Vec<String> = rigs.iter().map(bead_id).collect();
    let key = "ledger/rig_beads";
    match beads::show(deps, &ids).await {
        Err(why) => {
            deps.problems
                .report(key, format!("labels of rigs cannot be read, the last known are kept: {why}"));
            None
        }
        Ok(beads) => {
            deps.problems.clear(key);
            Some(rigs.iter().filter_map(|rig| Some((rig.name.clone(), label(rig, &beads)?))).collect())
        }
    }
}

fn bead_id(rig: &RigPlan) -> String {
    format!("{}-rig-{}", rig.prefix, rig.name)
}

fn label(rig: &RigPlan, beads: &[Bead]) -> Option<String> {
    let id = bead_id(rig);
    let bead = beads.iter().find(|bead| bead.id == id)?;
    ["docked", "parked"]
        .into_iter()
        .find(|status| bead.labels.iter().any(|label| *label == format!("status:{status}")))
        .map(|status| format!("rig is {status}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_labels_of_a_rigs_own_bead() {
        let rig = RigPlan { name: "gastown".parse().unwrap(), prefix: "gt".into() };
        let bead = |id: &str, labels: &[&str]| Bead {
            id: id.into(),
            labels: labels.iter().map(|label| (*label).to_owned()).collect(),
            ..Bead::default()
        };
        for (name, beads, expected) in [
            ("no bead", vec![], None),
            ("plain", vec![bead("gt-rig-gastown", &["gt:rig"])], None),
            ("docked", vec![bead("gt-rig-gastown", &["gt:rig", "status:docked"])], Some("rig is docked")),
            ("parked", vec![bead("gt-rig-gastown", &["status:parked"])], Some("rig is parked")),
            ("another's", vec![bead("gt-rig-other", &["status:docked"])], None),
        ] {
            assert_eq!(label(&rig, &beads).as_deref(), expected, "{name}");
        }
    }
}
