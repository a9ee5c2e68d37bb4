//! Prompt: the one text with which an agent of a 1.x town begins, word for word as gt 1.0.1 has it.
//!
//! Facts from `internal/session/startup.go`, the managers of the roles, and recorded starts. Agents and their prompts know these
//! lines, so they must not be reworded. January's texts are in [`agent::texts`](crate::agent::texts).

use jiff::Zoned;

use crate::town::identity::Identity;

/// The prompt of an agent that is started `at` this local time: `[GAS TOWN] <recipient> <- <sender> • <minute> • <topic>`, an empty
/// line, and what to do. `asked`: somebody asked for a restart.
pub fn prompt(identity: &Identity, asked: bool, at: &Zoned) -> String {
    let (sender, topic, task) = occasion(identity, asked);
    let minute = at.strftime("%Y-%m-%dT%H:%M");
    format!("[GAS TOWN] {} <- {sender} • {minute} • {topic}\n\n{task}", recipient(identity))
}

fn recipient(identity: &Identity) -> String {
    match identity {
        Identity::Mayor | Identity::Deacon | Identity::Boot => identity.role().to_string(),
        Identity::Own(name) => name.to_string(),
        Identity::Witness(rig) | Identity::Refinery(rig) => format!("{} (rig: {rig})", identity.role()),
        Identity::Crew(rig, name) | Identity::Polecat(rig, name) => {
            format!("{} {name} (rig: {rig})", identity.role())
        }
    }
}

/// The sender, the topic, and what to do.
fn occasion(identity: &Identity, asked: bool) -> (&'static str, &'static str, &'static str) {
    match identity {
        Identity::Boot => ("daemon", "triage", "Run `gt boot triage` now."),
        _ if asked => ("daemon", "lifecycle-restart", "Run `gt prime --hook` and begin work."),
        Identity::Mayor => (
            "human",
            "cold-start",
            "Check your hook and mail, then act on the hook if present:\n\
             1. `gt hook` - shows hooked work (if any)\n\
             2. `gt mail inbox` - check for messages\n\
             3. If work is hooked → execute it immediately\n\
             4. If nothing hooked → wait for instructions",
        ),
        Identity::Deacon => (
            "daemon",
            "patrol",
            "I am Deacon. Start patrol: run gt deacon heartbeat, then check gt hook. If no hook, run gt sling \
             mol-deacon-patrol deacon, then execute the hook it creates.",
        ),
        Identity::Witness(_) | Identity::Refinery(_) => {
            ("deacon", "patrol", "Run `gt prime --hook` and begin patrol.")
        }
        Identity::Polecat(..) => {
            ("witness", "assigned", "Run `gt prime --hook` and begin work on your hook.")
        }
        // Not recorded: only a request starts one, which has the text above.
        Identity::Crew(..) | Identity::Own(_) => ("human", "start", "Run `gt prime --hook` and begin work."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The last argument of an agent that `gt` started.
    fn recorded(start: &str) -> String {
        let lines = start.lines().skip_while(|line| !line.contains("=[GAS TOWN]"));
        let lines: Vec<&str> = lines.take_while(|line| !line.starts_with("env ")).collect();
        lines.join("\n").split_once('=').unwrap().1.to_owned()
    }

    #[test]
    fn prompts_are_those_of_gt() {
        for (identity, start) in [
            ("mayor", include_str!("../../../tests/fixtures/v1/agent_start_by_gt.hq-mayor.txt")),
            ("deacon", include_str!("../../../tests/fixtures/v1/agent_start_by_gt.hq-deacon.txt")),
            ("deacon-boot", include_str!("../../../tests/fixtures/v1/agent_start_by_gt.hq-boot.txt")),
            ("alpha/witness", include_str!("../../../tests/fixtures/v1/agent_start_by_gt.al-witness.txt")),
            ("alpha/refinery", include_str!("../../../tests/fixtures/v1/agent_start_by_gt.al-refinery.txt")),
            (
                "alpha/polecats/furiosa",
                include_str!("../../../tests/fixtures/v1/agent_start_by_gt.al-furiosa.txt"),
            ),
        ] {
            let minute = if identity.contains("polecats") { "16:13" } else { "16:11" };
            let at = format!("2026-11-28T{minute}:59+00:00[UTC]").parse().unwrap();
            assert_eq!(prompt(&identity.parse().unwrap(), false, &at), recorded(start), "{identity}");
        }
    }

    #[test]
    fn restarts_on_request() {
        let at: Zoned = "2026-11-28T09:05:59+01:00[Europe/Berlin]".parse().unwrap();
        for (identity, beginning, task) in [
            ("deacon", "[GAS TOWN] deacon <- daemon", "Run `gt prime --hook` and begin work."),
            ("r/crew/max", "[GAS TOWN] crew max (rig: r) <- daemon", "Run `gt prime --hook` and begin work."),
        ] {
            let text = prompt(&identity.parse().unwrap(), true, &at);
            assert_eq!(text, format!("{beginning} • 2026-11-28T09:05 • lifecycle-restart\n\n{task}"));
        }
        assert!(prompt(&Identity::Boot, true, &at).ends_with("triage\n\nRun `gt boot triage` now."));
    }
}
