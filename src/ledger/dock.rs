//! Docked rigs: the label that `gt rig dock` sets on the rig's own bead, and nowhere else (Gas Town 0.2.6 to 0.3).
//!
//! The label is read ahead with the rig's agent snapshot and cached; a start never waits for `bd`. When a read fails,
//! the last answer stays; before the first answer a rig
//! counts as unlabelled in January's towns, and as unknown in those of 1.x.

use crate::{
    ledger::answer::Answer,
    town::{bead::Bead, rig_plan::RigPlan, wisp::Closed},
};

/// The id of a rig's own bead.
pub fn bead_id(rig: &RigPlan) -> String {
    format!("{}-rig-{}", rig.prefix.beads, rig.name)
}

/// Why the rig is out of operation by its own bead; the inner `None` when it is not, the outer `None` when that is
/// unknown.
pub fn label(rig_bead: &Answer<Bead>) -> Option<Option<Closed>> {
    let bead = match rig_bead {
        Answer::Found(bead) => bead,
        Answer::Missing => return Some(None),
        Answer::Unknown(_) | Answer::NotAsked => return None,
    };
    let of = |label: &String| label.strip_prefix("status:").and_then(Closed::by_status);
    let labels: Vec<_> = bead.labels.iter().filter_map(of).collect();
    Some([Closed::Docked, Closed::Parked].into_iter().find(|closed| labels.contains(closed)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_labels_of_a_rigs_own_bead() {
        let rig = RigPlan { name: "gastown".parse().unwrap(), prefix: "gt".into() };
        assert_eq!(bead_id(&rig), "gt-rig-gastown");
        let bead = |labels: &[&str]| {
            let labels = labels.iter().map(|label| (*label).to_owned()).collect();
            Answer::Found(Bead { labels, ..Bead::default() })
        };
        for (name, bead, expected) in [
            ("no bead", Answer::Missing, Some(None)),
            ("plain", bead(&["gt:rig"]), Some(None)),
            ("docked", bead(&["gt:rig", "status:docked"]), Some(Some(Closed::Docked))),
            ("parked", bead(&["gt:rig", "status:parked"]), Some(Some(Closed::Parked))),
            ("another status", bead(&["status:fine"]), Some(None)),
            ("not known", Answer::Unknown("bd".into()), None),
            ("not asked", Answer::NotAsked, None),
        ] {
            assert_eq!(label(&bead), expected, "{name}");
        }
    }
}
