//! Without `gt`: the agents of a 1.x town that run although `gt` did not start them, as one problem that names them all.
//!
//! For each it says what `gt` would have set up besides, why `gt` did not, and the command that sets it right. It must not
//! decide anything.

use crate::{
    agent::{
        program::{AgentProgram, Hooks},
        record::Records,
        spec::AgentSpec,
    },
    deps::Deps,
    ports::problems::{ProblemKey, Problems},
    town::{
        dialect::Dialect,
        identity::{Identity, Role},
        reading,
    },
};

/// The problem that agents were started without `gt`.
const PROBLEM: ProblemKey = ProblemKey::named("start_by_gt").critical();

/// This agent was started without `gt`, for this reason.
pub(super) fn began(deps: &Deps, spec: &AgentSpec, program: &AgentProgram, why: &str) {
    tracing::warn!(agent = %spec.identity, reason = "started_without_gt", "started without gt: {why}");
    let line = line(&spec.identity, &lacks(deps.dialect(), spec.identity.role(), program), why);
    deps.records.set_without_gt(&spec.identity, Some(line));
    refresh(&deps.records, &deps.problems);
}

/// That does not hold of this agent any more: it was started by somebody else, or does not run.
pub fn is_over(deps: &Deps, identity: &Identity) {
    if deps.records.set_without_gt(identity, None) {
        refresh(&deps.records, &deps.problems);
    }
}

/// Reports the agents of which it still holds.
pub fn refresh(records: &Records, problems: &Problems) {
    let lines = records.without_gt();
    if lines.is_empty() {
        return problems.clear(&PROBLEM);
    }
    let text = format!(
        "started without gt, which sets up more than the supervisor does, and is tried again at the next start of each: {}",
        lines.join("; ")
    );
    problems.note(PROBLEM, text);
}

/// What only `gt` sets up for such an agent (gt 1.0.1, `internal/tmux/tmux.go`, `internal/hooks`).
fn lacks(dialect: Dialect, role: Role, program: &AgentProgram) -> Vec<String> {
    let respawned = dialect.respawned_within(role).map(|_| "the tmux hook that respawns it".to_owned());
    let crash = (role == Role::Polecat).then(|| "the tmux hook that logs its crash".to_owned());
    let files = match program.hooks {
        Hooks::Claude => Some("the slash commands of gt".to_owned()),
        Hooks::Own => Some(format!("the hooks of {}", program.name)),
        Hooks::None => None,
    };
    respawned.into_iter().chain(crash).chain(files).collect()
}

fn line(identity: &Identity, lacks: &[String], why: &str) -> String {
    let lacks = match lacks {
        [] => String::new(),
        // An earlier start by `gt` may have left files.
        some => format!(" may lack {};", some.join(" and ")),
    };
    let remedy = identity.gt_restart().map(|words| format!("; remedy: gt {words}")).unwrap_or_default();
    format!("{identity} ({}{remedy})", format!("{lacks} {}", reading::shorten(why)).trim_start())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::program::provider::preset_in;

    #[test]
    fn what_is_said_of_each() {
        for (agent, program, expected) in [
            (
                "deacon",
                "claude",
                "deacon (may lack the tmux hook that respawns it and the slash commands of gt; no gt; remedy: gt deacon \
                 restart)",
            ),
            (
                "r/witness",
                "gemini",
                "r/witness (may lack the hooks of gemini; no gt; remedy: gt witness restart r)",
            ),
            ("r/refinery", "codex", "r/refinery (no gt; remedy: gt refinery restart r)"),
            ("r/crew/max", "codex", "r/crew/max (no gt; remedy: gt crew restart max --rig r)"),
            (
                "r/polecats/nux",
                "codex",
                "r/polecats/nux (may lack the tmux hook that logs its crash; no gt; remedy: gt session restart r/nux \
                 --force)",
            ),
            ("deacon-boot", "codex", "deacon-boot (no gt)"),
        ] {
            let identity: Identity = agent.parse().unwrap();
            let program = preset_in(Dialect::V1, program).unwrap();
            let lacks = lacks(Dialect::V1, identity.role(), &program);
            assert_eq!(line(&identity, &lacks, "no gt"), expected);
        }
    }
}
