//! Trial: what `up` would do, from what runs and what the file says. Pure.

use std::collections::BTreeSet;

use crate::{
    StatusReport,
    agents_file::plan::Plan,
    control::report::AgentReport,
    town::identity::Identity,
    tree::one_file::kept::{Kept, taken},
};

/// What there is now.
#[derive(Debug, Clone, Default)]
pub struct Now {
    /// The sessions of the town's tmux server.
    pub sessions: BTreeSet<String>,
    /// What the agents took at their starts.
    pub kept: Kept,
    /// The report of the supervisor; `None` when none runs.
    pub report: Option<StatusReport>,
}

/// What would be done, each on a line, in the order in which it is done.
pub fn would_do(plan: &Plan, now: &Now) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    if now.report.is_none() {
        lines.push("start the supervisor".to_owned());
    }
    let standings = plan.standings();
    let gone =
        now.kept.agents.iter().filter(|(identity, kept)| {
            standings.of(identity).is_none() && now.sessions.contains(&kept.session)
        });
    // A supervisor that starts ends nothing that was taken out of the file while none ran.
    lines.extend(gone.map(|(identity, _)| match now.report {
        Some(_) => format!("stop {}: it is no longer in the file", identity.called()),
        None => format!(
            "leave {} running: it was taken out of the file while no supervisor ran",
            identity.called()
        ),
    }));
    for agent in &plan.agents {
        let identity = Identity::Own(agent.name.clone());
        let kept = now.kept.agents.get(&identity);
        let takes = standings.of(&identity).map(|standing| taken(&standing));
        let is_other = kept.is_some_and(|kept| Some(&kept.taken) != takes.as_ref());
        let session = match agent.session == agent.name.as_str() {
            true => String::new(),
            false => format!(" (session {})", agent.session),
        };
        let after: Vec<&str> = agent.after.iter().map(|it| it.as_str()).collect();
        let after =
            if after.is_empty() { String::new() } else { format!(", once {} works", after.join(", ")) };
        lines.extend(match (now.sessions.contains(&agent.session), held(now, &identity)) {
            (_, Some(why)) => Some(format!("leave {}: {why}", agent.name)),
            (true, None) if is_other => {
                Some(format!("restart {}: its definition in the file changed", agent.name))
            }
            (true, None) if now.report.is_none() => {
                Some(format!("adopt {}{session}, if its session is that of the agent", agent.name))
            }
            (true, None) => None,
            // What is held, and what has ended for good, only a supervisor knows.
            (false, None) if now.report.is_none() && kept.is_some() => {
                Some(format!("start {}{session}{after}, unless it was stopped or has ended", agent.name))
            }
            (false, None) => Some(format!("start {}{session}{after}", agent.name)),
        });
    }
    if lines.is_empty() {
        lines.push(match plan.agents.len() {
            0 => "nothing: the file has no agents".to_owned(),
            1 => "nothing: the agent runs as the file says".to_owned(),
            count => format!("nothing: all {count} agents run as the file says"),
        });
    }
    lines
}

/// Why an agent is left as it is: somebody stopped it, it has ended for good, or it cannot be started.
fn held(now: &Now, identity: &Identity) -> Option<String> {
    let identity = identity.to_string();
    let agent: &AgentReport = now.report.as_ref()?.agents.iter().find(|agent| agent.identity == identity)?;
    let code = agent.reason_code.as_deref().unwrap_or_default();
    let is_left = match agent.state.as_str() {
        "held" => code != "down",
        "absent" => ["ended_well", "not_restarted", "cannot_start"].contains(&code),
        _ => false,
    };
    is_left.then(|| agent.reason.clone().unwrap_or_else(|| agent.state.clone()))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::{
        agents_file::reading::{Around, read},
        tree::one_file::kept::Taken,
    };

    fn plan(text: &str) -> Plan {
        let around = Around { directory: Path::new("/t"), home: None };
        read(Path::new("agents.toml"), text.as_bytes(), around).unwrap()
    }

    const TWO: &str = "[agents.app]\ncommand = \"claude\"\nafter = [\"db\"]\nsession = \"my app\"\n[agents.db]\ncommand = \"x\"\n";

    #[test]
    fn what_up_would_do() {
        let kept = |text: &str| {
            let standings = plan(text).standings();
            let taken = |it: &Identity| {
                let standing = standings.of(it).unwrap();
                (
                    it.clone(),
                    Taken { session: standing.session.clone(), taken: taken(&standing), other_since: None },
                )
            };
            Kept { agents: standings.agents().map(taken).collect() }
        };
        let agent = |state: &str, code: &str| AgentReport {
            identity: "@db".into(),
            state: state.into(),
            reason_code: Some(code.into()),
            reason: Some("stopped by anna".into()),
            ..AgentReport::default()
        };
        let report = |agents: &[AgentReport]| {
            Some(StatusReport { agents: agents.to_vec(), ..StatusReport::default() })
        };
        for (name, file, sessions, before, report, expected) in [
            (
                "nothing runs",
                TWO,
                &[][..],
                "",
                None,
                "start the supervisor; start db; start app (session my app), once db works",
            ),
            (
                "all runs",
                TWO,
                &["my app", "db"],
                TWO,
                report(&[]),
                "nothing: all 2 agents run as the file says",
            ),
            (
                "without a supervisor",
                TWO,
                &["my app", "db"],
                TWO,
                None,
                "start the supervisor; adopt db, if its session is that of the agent; adopt app (session my app), if its session is that of the agent",
            ),
            (
                "nothing is known of what runs",
                TWO,
                &["my app", "db"],
                "",
                report(&[]),
                "nothing: all 2 agents run as the file says",
            ),
            (
                "one is changed",
                &TWO.replace("\"x\"", "\"y\""),
                &["my app", "db"],
                TWO,
                report(&[]),
                "restart db: its definition in the file changed",
            ),
            (
                "one is gone",
                "[agents.db]\ncommand = \"x\"\n",
                &["my app", "db"],
                TWO,
                report(&[]),
                "stop app: it is no longer in the file",
            ),
            (
                "one is gone, and no supervisor runs",
                "[agents.db]\ncommand = \"x\"\n",
                &["my app"],
                TWO,
                None,
                "start the supervisor; leave app running: it was taken out of the file while no supervisor ran; start db, unless it \
                 was stopped or has ended",
            ),
            (
                "it has ended for good",
                TWO,
                &["my app"],
                TWO,
                report(&[agent("absent", "ended_well")]),
                "leave db: stopped by anna",
            ),
            (
                "one is gone, and did not run",
                "[agents.db]\ncommand = \"x\"\n",
                &["db"],
                TWO,
                report(&[]),
                "nothing: the agent runs as the file says",
            ),
            (
                "somebody stopped it",
                TWO,
                &["my app"],
                TWO,
                report(&[agent("held", "stopped_by_operator")]),
                "leave db: stopped by anna",
            ),
            (
                "it was ended with the town",
                TWO,
                &["my app"],
                TWO,
                report(&[agent("held", "down")]),
                "start db",
            ),
            ("no agents", "#\n", &[], "", report(&[]), "nothing: the file has no agents"),
        ] {
            let kept = if before.is_empty() { Kept::default() } else { kept(before) };
            let now = Now { sessions: sessions.iter().map(|it| (*it).to_owned()).collect(), kept, report };
            assert_eq!(would_do(&plan(file), &now).join("; "), expected, "{name}");
        }
    }
}
