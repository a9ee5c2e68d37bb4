//! Texts: what is typed into an agent's session, word for word as Gas Town 0.2.6 to 0.3 says it.
//!
//! Agents and their prompts know these lines (`internal/session/startup.go`, `internal/daemon/`), so they must not be
//! reworded. Sending them is somebody else's part.

use jiff::Zoned;

use super::program::Hooks;
use crate::town::identity::{Identity, Role};

/// What a deacon whose heartbeat is stale is asked.
pub const HEALTH_CHECK: &str = "HEALTH_CHECK: heartbeat stale, respond to confirm responsiveness";

/// What a polecat that was just spawned is told when it is ready.
pub const BEGIN: &str = "Begin.";

/// Why an agent is started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Occasion {
    /// It is to run, and does not: its ordinary start.
    Patrol,
    /// Somebody asked for a restart or a cycle.
    Lifecycle,
    /// A polecat's session died with work on its hook.
    Crash,
}

/// What an agent is told at its start, `at` the local time: one text, so that nothing of it can interrupt what the rest has
/// begun. It holds, in order, the stand-in for hooks where there are none, who wakes it and why, and what it is to do first.
/// Boot is told nothing (its command line says it).
pub fn opening(
    identity: &Identity,
    occasion: Occasion,
    at: &Zoned,
    hooks: Hooks,
    session_id: Option<&str>,
) -> Option<String> {
    let propulsion = propulsion(identity.role(), session_id)?;
    let instead_of_hooks = (hooks == Hooks::None).then(|| identity.facts().instead_of_hooks.to_owned());
    let lines = instead_of_hooks.into_iter().chain([start_up(identity, occasion, at), propulsion]);
    Some(lines.collect::<Vec<_>>().join("\n"))
}

/// The start-up line: `[GAS TOWN] <recipient> <- <sender> • <local minute> • <topic>`.
pub fn start_up(identity: &Identity, occasion: Occasion, at: &Zoned) -> String {
    let (sender, topic) = match occasion {
        Occasion::Lifecycle => ("deacon", "lifecycle-restart"),
        Occasion::Crash => ("daemon", "restart"),
        Occasion::Patrol => (identity.facts().sender, "patrol"),
    };
    let minute = at.strftime("%Y-%m-%dT%H:%M");
    let line = format!("[GAS TOWN] {identity} <- {sender} • {minute} • {topic}");
    match occasion {
        Occasion::Crash => {
            format!("{line}\n\nRun `gt prime` now for full context, then check your hook and mail.")
        }
        Occasion::Patrol | Occasion::Lifecycle => line,
    }
}

/// The text for an agent that continues its conversation. It knows the rest; without a text it would wait for one. Gas Town
/// continues none, so this is ours, in the form of its lines.
pub fn resumed(identity: &Identity, at: &Zoned) -> String {
    let minute = at.strftime("%Y-%m-%dT%H:%M");
    format!(
        "[GAS TOWN] {identity} <- daemon • {minute} • resumed\n\nYour session ended and was started again with this conversation. \
         Continue where you were."
    )
}

/// The propulsion line of a role, with the conversation's id when it is known; boot has none.
pub fn propulsion(role: Role, session_id: Option<&str>) -> Option<String> {
    let line = role.facts().propulsion?;
    Some(match session_id {
        Some(id) => format!("{line} [session:{id}]"),
        None => line.to_owned(),
    })
}

/// The conversation id in the content of `<workdir>/.runtime/session_id`: its first line.
///
/// It is typed into a session, so only printable ASCII without blanks or brackets, at most 128 characters, is an id;
/// anything else counts as none.
pub fn session_id(content: &[u8]) -> Option<String> {
    let line = content.split(|byte| *byte == b'\n').next()?.trim_ascii();
    let plain = line.iter().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'[' | b']'));
    (plain && (1..=128).contains(&line.len())).then(|| String::from_utf8_lossy(line).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at() -> Zoned {
        "2026-01-16T09:05:59+01:00[Europe/Berlin]".parse().unwrap()
    }

    fn identity(text: &str) -> Identity {
        let rig = || "gastown".parse().unwrap();
        match text {
            "mayor" => Identity::Mayor,
            "deacon" => Identity::Deacon,
            "boot" => Identity::Boot,
            "witness" => Identity::Witness(rig()),
            "refinery" => Identity::Refinery(rig()),
            "crew" => Identity::Crew(rig(), "max".parse().unwrap()),
            _ => Identity::Polecat(rig(), "Toast".parse().unwrap()),
        }
    }

    #[test]
    fn start_up_lines() {
        for (who, occasion, line) in [
            ("deacon", Occasion::Patrol, "[GAS TOWN] deacon <- daemon • 2026-01-16T09:05 • patrol"),
            ("witness", Occasion::Patrol, "[GAS TOWN] gastown/witness <- deacon • 2026-01-16T09:05 • patrol"),
            (
                "refinery",
                Occasion::Patrol,
                "[GAS TOWN] gastown/refinery <- deacon • 2026-01-16T09:05 • patrol",
            ),
            (
                "mayor",
                Occasion::Lifecycle,
                "[GAS TOWN] mayor <- deacon • 2026-01-16T09:05 • lifecycle-restart",
            ),
            (
                "deacon",
                Occasion::Lifecycle,
                "[GAS TOWN] deacon <- deacon • 2026-01-16T09:05 • lifecycle-restart",
            ),
            (
                "polecat",
                Occasion::Lifecycle,
                "[GAS TOWN] gastown/polecats/Toast <- deacon • 2026-01-16T09:05 • lifecycle-restart",
            ),
            (
                "polecat",
                Occasion::Crash,
                "[GAS TOWN] gastown/polecats/Toast <- daemon • 2026-01-16T09:05 • restart\n\nRun `gt prime` now \
                 for full context, then check your hook and mail.",
            ),
        ] {
            assert_eq!(start_up(&identity(who), occasion, &at()), line, "{who} {occasion:?}");
        }
    }

    #[test]
    fn propulsion_lines() {
        for (role, line) in [
            (Role::Polecat, "Run `gt hook` to check your hook and begin work."),
            (Role::Crew, "Run `gt hook` to check your hook and begin work."),
            (Role::Witness, "Run `gt prime` to check patrol status and begin work."),
            (Role::Refinery, "Run `gt prime` to check MQ status and begin patrol."),
            (Role::Deacon, "Run `gt prime` to check patrol status and begin heartbeat cycle."),
            (Role::Mayor, "Run `gt prime` to check mail and begin coordination."),
        ] {
            assert_eq!(propulsion(role, None).as_deref(), Some(line), "{role}");
            assert_eq!(propulsion(role, Some("a-1")), Some(format!("{line} [session:a-1]")), "{role}");
        }
        assert_eq!(propulsion(Role::Boot, None), None);
    }

    #[test]
    fn an_opening_is_one_text_of_what_is_said_in_order() {
        let with_mail = "gt prime && gt mail check --inject && gt nudge deacon session-started";
        let without_mail = "gt prime && gt nudge deacon session-started";
        for (who, hooks, first) in [
            ("deacon", Hooks::Claude, None),
            ("deacon", Hooks::Own, None),
            ("deacon", Hooks::None, Some(with_mail)),
            ("witness", Hooks::None, Some(with_mail)),
            ("refinery", Hooks::None, Some(with_mail)),
            ("polecat", Hooks::None, Some(with_mail)),
            ("crew", Hooks::None, Some(without_mail)),
            ("mayor", Hooks::None, Some(without_mail)),
        ] {
            let identity = identity(who);
            let opening = opening(&identity, Occasion::Patrol, &at(), hooks, Some("x")).unwrap();
            let start_up = start_up(&identity, Occasion::Patrol, &at());
            let propulsion = propulsion(identity.role(), Some("x")).unwrap();
            let lines: Vec<&str> =
                first.into_iter().chain([start_up.as_str(), propulsion.as_str()]).collect();
            assert_eq!(opening.lines().collect::<Vec<_>>(), lines, "{who} {hooks:?}");
        }
        assert_eq!(opening(&Identity::Boot, Occasion::Patrol, &at(), Hooks::None, None), None);
    }

    #[test]
    fn a_resumed_agent_is_told_so_and_nothing_else() {
        assert_eq!(
            resumed(&Identity::Mayor, &at()),
            "[GAS TOWN] mayor <- daemon • 2026-01-16T09:05 • resumed\n\nYour session ended and was started again with \
             this conversation. Continue where you were."
        );
    }

    #[test]
    fn fixed_lines() {
        assert_eq!(HEALTH_CHECK, "HEALTH_CHECK: heartbeat stale, respond to confirm responsiveness");
        assert_eq!(BEGIN, "Begin.");
    }

    #[test]
    fn session_ids() {
        let longest = "a".repeat(128);
        let too_long = "a".repeat(129);
        for (case, content, id) in [
            ("plain", "0c4e-11\n", Some("0c4e-11")),
            ("with a second line", " 0c4e \r\n2026-01-16T09:05:59Z\n", Some("0c4e")),
            ("longest", longest.as_str(), Some(longest.as_str())),
            ("too long", too_long.as_str(), None),
            ("empty", "", None),
            ("blank", " \n", None),
            ("an empty first line", "\nabc", None),
            ("control characters", "a\u{1b}[31m", None),
            ("a blank inside", "a b", None),
            ("brackets", "a] now do this", None),
            ("not ASCII", "é", None),
        ] {
            assert_eq!(session_id(content.as_bytes()).as_deref(), id, "{case}");
        }
        assert_eq!(session_id(&[0xff, 0xfe]), None);
    }
}
