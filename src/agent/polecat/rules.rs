//! Is an absent polecat needed? The judgement of its agent bead and of the bead on its hook. Pure.
//!
//! It says whether there is work for the polecat, not whether it is dead or may be started. In doubt it is not needed: a
//! polecat started for nothing costs money and does work twice, while one that was not started is checked again.

use std::time::Duration;

use jiff::Timestamp;

use crate::{
    agent::{confirmation::Assignment, denial::Unwanted},
    ledger::{agents::AgentBead, answer::Answer},
    town::bead::Bead,
};

/// States in which an agent should not run: it is done, removed, or waits for a person or another agent.
const RESTING: [&str; 5] = ["done", "nuked", "closed", "stuck", "awaiting-gate"];

/// Judges both beads. `hooked` is the bead on the agent bead's hook; without it ([`Answer::NotAsked`]) the judgement
/// only nominates. `seen_alive` is when the agent was last seen alive. For `guard` after a change of its bead, an
/// agent that is `spawning` is left to the command that spawns it.
pub fn assignment(
    agent: &Answer<AgentBead>,
    hooked: &Answer<Bead>,
    now: Timestamp,
    seen_alive: Option<Timestamp>,
    guard: Duration,
) -> Assignment {
    let (agent, hook) = match hook_of(agent) {
        Ok(found) => found,
        Err(settled) => return settled,
    };
    let state = agent.state.as_deref().unwrap_or_default().to_ascii_lowercase();
    if RESTING.contains(&state.as_str()) {
        return Assignment::None(Unwanted::Resting(state));
    }
    if state == "spawning"
        && let Some(why) = being_spawned(agent.updated, now, seen_alive, guard)
    {
        return why;
    }
    work(hook, hooked)
}

/// The agent bead and what is on its hook, or what follows without that.
fn hook_of(agent: &Answer<AgentBead>) -> Result<(&AgentBead, String), Assignment> {
    match agent {
        Answer::Found(agent) if agent.closed => Err(Assignment::None(Unwanted::AgentBeadClosed)),
        Answer::Found(agent) => {
            let hook = agent.hook.clone().ok_or(Assignment::None(Unwanted::NoWork))?;
            Ok((agent, hook))
        }
        Answer::Missing => Err(Assignment::None(Unwanted::NoAgentBead)),
        Answer::Unknown(why) => Err(Assignment::Unknown(why.clone())),
        Answer::NotAsked => Err(Assignment::NotAsked),
    }
}

/// Judges by [`by_work_bead`] with an assignee, else by [`assignment`].
pub fn judged(
    assignee: Option<&str>,
    agent: &Answer<AgentBead>,
    hooked: &Answer<Bead>,
    now: Timestamp,
    seen_alive: Option<Timestamp>,
    guard: Duration,
) -> Assignment {
    match assignee {
        None => assignment(agent, hooked, now, seen_alive, guard),
        Some(assignee) => by_work_bead(agent, hooked, assignee, now, seen_alive, guard),
    }
}

/// Judges like [`assignment`] in a town where the work bead decides (Gas Town 1.x): it must be hooked or in progress, and
/// assigned to this polecat, whose name there is `assignee`. After a crash and a new sling the agent beads of two polecats name
/// the same bead. The state in the agent bead is not used, as `gt` rarely updates it; a polecat is being spawned for `guard`
/// after the last change of its agent bead, until it was seen alive.
pub fn by_work_bead(
    agent: &Answer<AgentBead>,
    bead: &Answer<Bead>,
    assignee: &str,
    now: Timestamp,
    seen_alive: Option<Timestamp>,
    guard: Duration,
) -> Assignment {
    let (agent, hook) = match hook_of(agent) {
        Ok(found) => found,
        Err(settled) => return settled,
    };
    let hook = match work(hook, bead) {
        Assignment::Hooked { hook } => hook,
        settled => return settled,
    };
    match bead {
        Answer::Found(bead) if !bead.is_at_work() => Assignment::None(Unwanted::WorkNotHooked(hook)),
        Answer::Found(bead) if bead.assignee.as_deref() != Some(assignee) => {
            Assignment::None(Unwanted::WorkNotIts(hook))
        }
        _ if agent.updated.is_some() => {
            being_spawned(agent.updated, now, seen_alive, guard).unwrap_or(Assignment::Hooked { hook })
        }
        _ => Assignment::Hooked { hook },
    }
}

/// `gt` sets `spawning` before there is a session, and often never takes it back: it counts only for a while, and only
/// until the agent was seen alive.
fn being_spawned(
    updated: Option<Timestamp>,
    now: Timestamp,
    seen_alive: Option<Timestamp>,
    guard: Duration,
) -> Option<Assignment> {
    let Some(updated) = updated else {
        return Some(Assignment::Unknown(
            "it is being spawned, and its agent bead does not say since when".to_owned(),
        ));
    };
    // A time in the future comes from a clock that differs: it counts as now.
    let updated = updated.min(now);
    let age = Duration::try_from(now.duration_since(updated)).unwrap_or_default();
    let lived_since = seen_alive.is_some_and(|seen| seen > updated);
    (age < guard && !lived_since).then_some(Assignment::None(Unwanted::BeingSpawned))
}

/// A hook whose bead does not exist holds no work: it was deleted, or no route leads to it, and an agent would not find it
/// either.
fn work(hook: String, hooked: &Answer<Bead>) -> Assignment {
    match hooked {
        Answer::Found(bead) if bead.id != hook => {
            Assignment::Unknown(format!("{hook} is on its hook, but {} was looked up", bead.id))
        }
        Answer::Found(bead) if bead.is_closed() => Assignment::None(Unwanted::WorkClosed(hook)),
        Answer::Missing => Assignment::None(Unwanted::WorkMissing(hook)),
        Answer::Unknown(why) => Assignment::Unknown(why.clone()),
        Answer::Found(_) | Answer::NotAsked => Assignment::Hooked { hook },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GUARD: Duration = Duration::from_secs(300);

    fn now() -> Timestamp {
        "2026-02-02T08:00:00Z".parse().unwrap()
    }

    fn ago(seconds: i64) -> Timestamp {
        now() - jiff::SignedDuration::from_secs(seconds)
    }

    /// The result for a polecat: wanted, not wanted, or unknown.
    #[derive(Debug, PartialEq, Eq, Clone, Copy)]
    enum Verdict {
        Wanted,
        Not,
        Unknown,
        NotAsked,
    }
    use Verdict::*;

    fn verdict(assignment: &Assignment) -> Verdict {
        match assignment {
            Assignment::Hooked { hook } => {
                assert_eq!(hook, "gt-1");
                Wanted
            }
            Assignment::None(_) => Not,
            Assignment::Unknown(_) => Unknown,
            Assignment::NotAsked => NotAsked,
            Assignment::Permanent => panic!("a polecat is never wanted without work"),
        }
    }

    fn hooked() -> Vec<(&'static str, Answer<Bead>, Verdict)> {
        let bead = |id: &str, status: &str| {
            Answer::Found(Bead { id: id.into(), status: status.into(), ..Bead::default() })
        };
        vec![
            ("hooked", bead("gt-1", "hooked"), Wanted),
            ("open", bead("gt-1", "open"), Wanted),
            ("in progress", bead("gt-1", "in_progress"), Wanted),
            ("closed", bead("gt-1", "closed"), Not),
            ("deleted", bead("gt-1", "tombstone"), Not),
            ("missing", Answer::Missing, Not),
            ("another one", bead("gt-2", "hooked"), Unknown),
            ("error", Answer::Unknown("bd".into()), Unknown),
            ("not asked", Answer::NotAsked, Wanted),
        ]
    }

    #[test]
    fn hook_by_state_by_bead() {
        let states = [
            (None, Wanted),
            (Some("working"), Wanted),
            (Some("idle"), Wanted),
            (Some("running"), Wanted),
            (Some("something new"), Wanted),
            (Some("done"), Not),
            (Some("nuked"), Not),
            (Some("closed"), Not),
            (Some("stuck"), Not),
            (Some("awaiting-gate"), Not),
            (Some("Done"), Not),
            (Some("spawning"), Not), // updated just now and never seen alive
        ];
        let mut cases = 0;
        for (state, by_state) in states {
            for hook in [Some("gt-1"), None] {
                for closed in [false, true] {
                    for (name, bead, by_bead) in hooked() {
                        let agent = Answer::Found(AgentBead {
                            id: "gt-r-polecat-x".into(),
                            hook: hook.map(str::to_owned),
                            state: state.map(str::to_owned),
                            closed,
                            updated: Some(now()),
                        });
                        let expected = match (hook, closed, by_state) {
                            (None, _, _) | (_, true, _) | (_, _, Not) => Not,
                            _ => by_bead,
                        };
                        let got = assignment(&agent, &bead, now(), None, GUARD);
                        assert_eq!(
                            verdict(&got),
                            expected,
                            "{state:?} {hook:?} closed {closed}, bead {name}: {got:?}"
                        );
                        cases += 1;
                    }
                }
            }
        }
        assert_eq!(cases, 12 * 2 * 2 * 9);
    }

    #[test]
    fn agent_by_bead() {
        for (name, agent, expected) in [
            ("no agent bead", Answer::Missing, Not),
            ("error", Answer::Unknown("bd".into()), Unknown),
            ("not asked", Answer::NotAsked, NotAsked),
        ] {
            for (bead_name, bead, _) in hooked() {
                let got = assignment(&agent, &bead, now(), Some(now()), GUARD);
                assert_eq!(verdict(&got), expected, "{name}, bead {bead_name}");
            }
        }
    }

    #[test]
    fn spawning_by_clock() {
        let year = 365 * 86_400;
        for (name, updated, seen_alive, expected) in [
            ("just now, never seen", Some(ago(0)), None, Not),
            ("just now, seen before", Some(ago(10)), Some(ago(11)), Not),
            ("seen in that very moment", Some(ago(10)), Some(ago(10)), Not),
            ("seen since", Some(ago(10)), Some(ago(9)), Wanted),
            ("shortly before the guard's end", Some(ago(299)), None, Not),
            ("at the guard's end", Some(ago(300)), None, Wanted),
            ("long ago", Some(ago(year)), None, Wanted),
            ("long ago, seen before", Some(ago(400)), Some(ago(year)), Wanted),
            ("in the future", Some(ago(-1)), None, Not),
            ("far in the future", Some(ago(-year)), Some(ago(1)), Not),
            ("in the future, seen in the future", Some(ago(-60)), Some(ago(-30)), Wanted),
            ("no time", None, None, Unknown),
            ("no time, seen", None, Some(ago(1)), Unknown),
        ] {
            let agent = Answer::Found(AgentBead {
                hook: Some("gt-1".into()),
                state: Some("spawning".into()),
                updated,
                ..AgentBead::default()
            });
            let (_, bead, _) = hooked().remove(0);
            assert_eq!(verdict(&assignment(&agent, &bead, now(), seen_alive, GUARD)), expected, "{name}");
            // No other state depends on the time.
            let Answer::Found(agent) = agent else { unreachable!() };
            let working = Answer::Found(AgentBead { state: Some("working".into()), ..agent });
            assert_eq!(verdict(&assignment(&working, &bead, now(), seen_alive, GUARD)), Wanted, "{name}");
        }
    }

    #[test]
    fn by_status_and_assignee_of_the_work() {
        let bead = |status: &str, assignee: Option<&str>| {
            Answer::Found(Bead {
                id: "gt-1".into(),
                status: status.into(),
                assignee: assignee.map(str::to_owned),
                ..Bead::default()
            })
        };
        let (its, others) = (Some("r/polecats/x"), Some("r/polecats/y"));
        for (name, bead, expected) in [
            ("hooked", bead("hooked", its), Wanted),
            ("in progress", bead("in_progress", its), Wanted),
            ("open", bead("open", its), Not),
            ("blocked", bead("blocked", its), Not),
            ("closed", bead("closed", its), Not),
            ("another's", bead("hooked", others), Not),
            ("nobody's", bead("hooked", None), Not),
            ("closed, another's", bead("closed", others), Not),
            ("missing", Answer::Missing, Not),
            ("error", Answer::Unknown("bd".into()), Unknown),
            ("not asked", Answer::NotAsked, Wanted),
        ] {
            for state in [None, Some("spawning"), Some("working"), Some("done"), Some("nuked"), Some("idle")]
            {
                for (closed, hook) in [(false, Some("gt-1")), (true, Some("gt-1")), (false, None)] {
                    let agent = Answer::Found(AgentBead {
                        hook: hook.map(str::to_owned),
                        state: state.map(str::to_owned),
                        closed,
                        ..AgentBead::default()
                    });
                    let expected = if closed || hook.is_none() { Not } else { expected };
                    let got = by_work_bead(&agent, &bead, "r/polecats/x", now(), None, GUARD);
                    assert_eq!(
                        verdict(&got),
                        expected,
                        "{name}, {state:?}, closed {closed}, {hook:?}: {got:?}"
                    );
                }
            }
        }
        for (name, agent, expected) in [
            ("no agent bead", Answer::Missing, Not),
            ("error", Answer::Unknown("bd".into()), Unknown),
            ("not asked", Answer::NotAsked, NotAsked),
        ] {
            let got = by_work_bead(&agent, &bead("hooked", its), "r/polecats/x", now(), None, GUARD);
            assert_eq!(verdict(&got), expected, "{name}");
        }
    }

    #[test]
    fn being_spawned_by_the_age_of_its_agent_bead() {
        let bead = Answer::Found(Bead {
            id: "gt-1".into(),
            status: "hooked".into(),
            assignee: Some("r/polecats/x".into()),
            ..Bead::default()
        });
        for (name, updated, seen_alive, expected) in [
            ("just now, never seen", Some(ago(10)), None, Not),
            ("seen since", Some(ago(10)), Some(ago(9)), Wanted),
            ("seen before", Some(ago(10)), Some(ago(11)), Not),
            ("at the guard's end", Some(ago(300)), None, Wanted),
            ("no time", None, None, Wanted),
        ] {
            let agent =
                Answer::Found(AgentBead { hook: Some("gt-1".into()), updated, ..AgentBead::default() });
            let got = by_work_bead(&agent, &bead, "r/polecats/x", now(), seen_alive, GUARD);
            assert_eq!(verdict(&got), expected, "{name}");
        }
    }

    #[test]
    fn reasons_are_short_and_name_the_bead() {
        let agent = |state: &str| {
            Answer::Found(AgentBead {
                hook: Some("gt-1".into()),
                state: Some(state.into()),
                ..AgentBead::default()
            })
        };
        for (state, bead, expected) in [
            ("stuck", Answer::NotAsked, "its agent bead says `stuck`"),
            ("working", Answer::Missing, "its hooked bead gt-1 does not exist"),
            ("working", hooked().remove(3).1, "its hooked bead gt-1 is closed"),
        ] {
            let assignment = assignment(&agent(state), &bead, now(), None, GUARD);
            let Assignment::None(why) = &assignment else { panic!("{assignment:?}") };
            assert_eq!(why.to_string(), expected);
        }
    }
}
