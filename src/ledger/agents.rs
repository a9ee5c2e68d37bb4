//! Agent beads: what `gt` and `bd` noted down about an agent (`gt` 0.2.6 to 0.3, `bd` 0.47 to 1.0).
//!
//! It says what the beads say and judges nothing.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::beads::{self, Bead};
use crate::deps::Deps;

/// An agent as its bead tells of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AgentBead {
    /// The bead's id.
    pub id: String,
    /// The bead on its hook.
    pub hook: Option<String>,
    /// Its state: `spawning`, `working`, `done`, `stuck` and others.
    pub state: Option<String>,
    /// Whether the bead is closed, as when its agent was removed for good.
    pub closed: bool,
    /// When the bead was last changed, where that can be read.
    pub updated: Option<Timestamp>,
}

impl AgentBead {
    /// What this bead says of an agent; `None` when it is no agent's.
    pub fn of(bead: Bead) -> Option<Self> {
        bead.is_agent().then(|| AgentBead {
            closed: bead.is_closed(),
            hook: bead.hook_bead,
            state: bead.agent_state,
            updated: bead.updated_at,
            id: bead.id,
        })
    }
}

/// Reads the agent beads with exactly these ids, with one call for a hundred of them, and returns them by id. Those that
/// do not exist, or are no agent's, are left out. An error says that nothing is known of any of them.
pub async fn read(deps: &Deps, ids: &[String]) -> Result<BTreeMap<String, AgentBead>, String> {
    let beads = beads::show(deps, ids).await?;
    let agents = beads.into_iter().filter_map(AgentBead::of);
    Ok(agents.map(|agent| (agent.id.clone(), agent)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::show_output::{Shown, parse};

    #[test]
    fn agents_as_recorded() {
        macro_rules! bead {
            ($name:literal) => {
                match parse(include_bytes!(concat!("../../tests/fixtures/bd/", $name)), "") {
                    Ok(Shown::Beads(mut beads)) => AgentBead::of(beads.remove(0)),
                    other => panic!("{}: {other:?}", $name),
                }
            };
        }
        let at = |time: &str| Some(time.parse::<Timestamp>().unwrap());
        for (name, agent, expected) in [
            (
                "hooked",
                bead!("show_polecat_hooked.stdout"),
                Some((Some("gt-o78"), false, at("2026-11-22T20:44:10.305574201Z"))),
            ),
            (
                "no hook",
                bead!("show_polecat_no_hook.stdout"),
                Some((None, false, at("2026-11-22T20:44:07.990122873Z"))),
            ),
            (
                "closed",
                bead!("show_closed_agent.stdout"),
                Some((None, true, at("2026-11-22T20:55:12.099643714Z"))),
            ),
            (
                "by its label",
                bead!("show_agent_autocreated.stdout"),
                Some((None, false, at("2026-11-22T20:55:10.504749067Z"))),
            ),
            (
                "by its label, by hand",
                bead!("agent_autocreated_by_state.json"),
                Some((None, false, at("2026-01-16T20:00:00Z"))),
            ),
            ("nuked", bead!("polecat.nuked.json"), Some((None, true, at("2026-11-22T22:01:33.530605769Z")))),
            ("1.0", bead!("v1.0_show_agent.json"), Some((Some("gt-o78"), false, at("2026-04-03T20:44:10Z")))),
            ("work", bead!("show_non_agent.stdout"), None),
            ("a role", bead!("show_role_bead.stdout"), None),
            ("a convoy", bead!("show_convoy.stdout"), None),
        ] {
            let got = agent.as_ref().map(|it| (it.hook.as_deref(), it.closed, it.updated));
            assert_eq!(got, expected, "{name}");
        }
    }
}
