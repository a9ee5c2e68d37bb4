//! The chapter of convoys, which only towns of 1.x have: nothing but the daemon starts their next steps.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Story, since, wait_for};
use crate::narrator::shown;

/// The beads of the town: the polecats' work, the two steps of the convoy, and one in progress, as the deacon is nudged
/// only while there is work.
pub fn beads() -> Value {
    let bead = |id: &str, title: &str, status: &str, after: Option<&str>| {
        let before = after.map(|before| json!({"issue_id": id, "depends_on_id": before, "type": "blocks"}));
        json!({"id": id, "title": title, "status": status, "priority": 2, "issue_type": "task", "owner": "demo",
            "created_at": "2026-11-28T16:10:47Z", "updated_at": "2026-11-28T16:10:47Z",
            "dependencies": before.into_iter().collect::<Vec<_>>()})
    };
    json!({
        "hq": [bead("hq-1", "Open the harbour", "in_progress", None)],
        "harbor": [
            bead("ha-7", "Dredge the basin", "open", None),
            bead("ha-8", "Drive the piles", "open", None),
            bead("ha-9", "Lay the planks", "open", Some("ha-8")),
        ],
        "mill": [bead("mi-3", "Dress the stones", "open", None)],
    })
}

/// The steps, and the sessions of the polecats that get them: the next names after furiosa.
const STEPS: [(&str, &str); 2] = [("ha-8", "ha-nux"), ("ha-9", "ha-slit")];

impl Story {
    /// A convoy of two steps goes on when the first is closed.
    pub(super) async fn a_convoy_goes_on(&mut self) -> anyhow::Result<()> {
        let narrator = self.narrator;
        narrator.scene(
            "A convoy: the second step waits for the first (convoys are looked at every 2 s here, every 30 s by default).",
        );
        let mut before = Timestamp::now();
        let mut from = self.said()?;
        self.town.run(".", "gt convoy create 'A new pier' ha-8 ha-9").await?;
        narrator.say("gt convoy create \"A new pier\" ha-8 ha-9; nobody slings them");
        for (step, session) in STEPS {
            let slung = self.until(from, &format!("slung {step} to harbor"), "").await?;
            narrator.say(&format!("the supervisor slings {step}, {} later", shown(since(before, slung.at))));
            let tmux = self.town.tmux();
            wait_for("its polecat runs", || tmux.sessions().contains_key(session)).await?;
            (before, from) = (Timestamp::now(), self.said()?);
            self.town.run("harbor", &format!("bd close {step}")).await?;
            narrator.say(&format!("its polecat, in session {session}, closes it: bd close {step}"));
        }
        let closed = self.until(from, "convoys checked: ", "").await?;
        narrator
            .say(&format!("the convoy is complete, and closed {} later", shown(since(before, closed.at))));
        Ok(())
    }
}
