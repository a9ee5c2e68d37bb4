//! Agent beads: what `gt` and `bd` recorded about an agent (`gt` 0.2.6 to 1.0, `bd` 0.47 to 1.0).
//!
//! It reports what the beads say and judges nothing.

use jiff::Timestamp;

use super::{answer::Answer, beads};
use crate::{
    ledger::Ledger,
    town::{bead::Bead, identity::Identity},
};

/// An agent according to its bead.
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
    /// When the bead was last changed, if that can be read.
    pub updated: Option<Timestamp>,
}

impl AgentBead {
    /// The agent that a bead describes; `None` when the bead is not an agent's.
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

/// Reads the agent bead of one agent afresh, under each id that it may have in this town. `prefix` is its rig's bead prefix without the
/// trailing `-`. A bead that is no agent's counts as missing.
pub async fn one(ledger: &Ledger, identity: &Identity, prefix: &str) -> Answer<AgentBead> {
    let ids = identity.agent_beads(prefix, ledger.dialect());
    let asked = ids.iter().map(|id| async {
        let database = ledger.database_of_agent(id);
        beads::one_in(ledger, &database, id).await
    });
    first(futures::future::join_all(asked).await)
}

/// The first agent bead among the answers for all possible ids of one agent, most likely first. When an answer before
/// it is unknown, the result is unknown.
pub fn first(answers: impl IntoIterator<Item = Answer<Bead>>) -> Answer<AgentBead> {
    for answer in answers {
        match answer {
            Answer::Found(bead) => {
                if let Some(agent) = AgentBead::of(bead) {
                    return Answer::Found(agent);
                }
            }
            Answer::Unknown(why) => return Answer::Unknown(why),
            Answer::Missing | Answer::NotAsked => {}
        }
    }
    Answer::Missing
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
                    Ok(Shown::Beads { mut beads, .. }) => AgentBead::of(beads.remove(0)),
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

    #[test]
    fn the_first_that_is_an_agents() {
        let bead = |id: &str, kind: &str| {
            Answer::Found(Bead { id: id.into(), issue_type: kind.into(), ..Bead::default() })
        };
        let unknown = || Answer::Unknown("bd".to_owned());
        for (name, answers, expected) in [
            ("none", vec![], Ok(None)),
            ("missing", vec![Answer::Missing, Answer::Missing], Ok(None)),
            ("the first", vec![bead("a", "agent"), bead("b", "agent")], Ok(Some("a"))),
            ("the second", vec![Answer::Missing, bead("b", "agent")], Ok(Some("b"))),
            ("the first is work", vec![bead("a", "task"), bead("b", "agent")], Ok(Some("b"))),
            ("the first is not known", vec![unknown(), bead("b", "agent")], Err("bd")),
            ("the second is not known", vec![Answer::Missing, unknown()], Err("bd")),
            ("the second does not matter", vec![bead("a", "agent"), unknown()], Ok(Some("a"))),
        ] {
            let got = match first(answers) {
                Answer::Found(agent) => Ok(Some(agent.id)),
                Answer::Missing | Answer::NotAsked => Ok(None),
                Answer::Unknown(why) => Err(why),
            };
            let expected = expected.map(|id| id.map(str::to_owned)).map_err(str::to_owned);
            assert_eq!(got, expected, "{name}");
        }
    }
}
