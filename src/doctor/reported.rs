//! Reported: what the running supervisor says is wrong. Pure.
//!
//! Each open problem is a finding, unless the doctor says the same by itself: findings name the problems that they are the same as,
//! and a problem that quotes a finding, or its place in a file, is the same. An error is wrong, a warning is a note. The supervisor also
//! knows what no file shows: docked rigs, and a mass death.

use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::{
    finding::{Area, Finding, Severity},
    obstacles,
};
use crate::{
    control::{
        client::Answer,
        report::{AgentReport, GateReport, ProblemReport, StatusReport},
        summary::{self, MassDeath},
    },
    deps::Deps,
    ports::problems,
    terminal,
    town::{
        reading::Reading,
        restart_state::{self, RestartState},
    },
};

/// The kind of the problem of an agent in a crash loop, and its state.
const CRASH_LOOP: &str = "crash_loop";
/// The keys of problems that name a file.
const OF_FILES: [&str; 3] = ["file/", "agents/", "write/"];

/// What the supervisor that gave this answer reports and `found` does not say; without one, what the last one left behind.
pub async fn examine(deps: &Deps, answer: &Answer<StatusReport>, found: &[Finding]) -> Vec<Finding> {
    match answer {
        Answer::Live(report) => {
            of_report(report, found, deps.now().wall, deps.paths.shown(&deps.paths.daemon_log()))
        }
        // That it does not answer is a finding about the supervisor.
        Answer::Unresponsive(..) => Vec::new(),
        Answer::Offline(_) => {
            let path = deps.paths.restart_state();
            let state = Reading::of(&path, deps.files.read(&path).await, restart_state::parse);
            if let Reading::Good(state) = state {
                left_behind(&state, deps.paths.shown(&path))
            } else {
                Vec::new()
            }
        }
    }
}

fn of_report(report: &StatusReport, found: &[Finding], now: Timestamp, log: &Path) -> Vec<Finding> {
    let problems = report.problem_list.iter().filter(|problem| !is_said(problem, found)).map(of_problem);
    let looping = report.agents.iter().filter(|agent| agent.state == CRASH_LOOP);
    let silent = looping.filter(|agent| !report.problem_list.iter().any(|it| is_its_loop(it, agent)));
    let gates = report.gates.iter().flatten();
    let gates = gates.filter(|gate| !found.iter().any(|it| it.same_as.contains(&key_of(gate)))).map(of_gate);
    let died = summary::last_mass_death(report, now).map(|death| of_mass_death(&death, log));
    problems.chain(silent.map(of_crash_loop)).chain(gates).chain(died).collect()
}

/// Whether the doctor says the same by itself.
fn is_said(problem: &ProblemReport, found: &[Finding]) -> bool {
    let kind = problem.key.rsplit('/').next().unwrap_or_default();
    let of_agent = problem.agent.as_ref().map(|agent| format!("{agent}/{kind}"));
    let mut not_well = found.iter().filter(|finding| finding.severity != Severity::Ok);
    not_well.any(|finding| {
        let names = |key: &String| *key == problem.key || Some(key) == of_agent.as_ref();
        finding.same_as.iter().any(names)
            || problem.text.contains(&finding.what)
            || has_place(problem, finding)
    })
}

/// Whether a problem names the place in a file that a finding is about.
fn has_place(problem: &ProblemReport, finding: &Finding) -> bool {
    let (Some(path), Some(line), Some(column)) = (&finding.path, finding.line, finding.column) else {
        return false;
    };
    problem.text.contains(&format!("{}:{line}:{column}:", terminal::path(path)))
}

fn of_problem(problem: &ProblemReport) -> Finding {
    let hint = match &problem.agent {
        Some(agent) if is_loop(problem) => end_of_loop(agent),
        Some(agent) => format!("`gastown-supervisor explain {agent}` says more"),
        None => String::new(),
    };
    let finding = match problem.severity {
        problems::Severity::Critical => Area::Problems.wrong(&*problem.text, hint),
        problems::Severity::Warning | problems::Severity::Info => Area::Problems.note(&*problem.text, hint),
    };
    let file = OF_FILES.iter().find_map(|prefix| problem.key.strip_prefix(prefix)).map(PathBuf::from);
    Finding { path: file, ..finding }
}

fn is_loop(problem: &ProblemReport) -> bool {
    problem.key.rsplit('/').next() == Some(CRASH_LOOP)
}

fn is_its_loop(problem: &ProblemReport, agent: &AgentReport) -> bool {
    is_loop(problem) && problem.agent.as_ref() == Some(&agent.identity)
}

fn end_of_loop(agent: &str) -> String {
    format!(
        "`gastown-supervisor explain {agent}` says how it ended; then `gastown-supervisor clear-backoff {agent}`"
    )
}

fn of_crash_loop(agent: &AgentReport) -> Finding {
    let why = agent.reason.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
    Area::Problems.wrong(format!("{} is in a crash loop{why}", agent.identity), end_of_loop(&agent.identity))
}

fn key_of(gate: &GateReport) -> String {
    obstacles::gate(gate.rig.as_deref().unwrap_or_default(), &gate.code)
}

/// A gate that no file shows is one of the beads: a docked rig, which stays so until somebody ends it.
fn of_gate(gate: &GateReport) -> Finding {
    let place = gate.rig.as_ref().map(|rig| format!("nothing is started in rig {rig}"));
    let place = place.unwrap_or_else(|| "nothing is started in this town".to_owned());
    let hint = match (gate.rig.as_deref(), gate.code.as_str()) {
        (Some(rig), "rig_docked") => format!("run `gt rig undock {rig}` to end it"),
        (Some(rig), "rig_parked") => format!("run `gt rig unpark {rig}` to end it"),
        _ => String::new(),
    };
    Area::Locks.note(format!("{place}: {}", gate.text), hint)
}

fn of_mass_death(MassDeath { at, sessions, cause }: &MassDeath, log: &Path) -> Finding {
    let cause = cause.as_ref().map(|cause| format!(" ({cause})")).unwrap_or_default();
    let what = format!("{} sessions died together at {at}{cause}", sessions.len());
    let hint = format!(
        "`gastown-supervisor explain <agent>` says how each ended; see {} around that time",
        terminal::path(log)
    );
    Area::Problems.wrong(what, hint).about(log)
}

/// What the last supervisor knew: the next one holds these agents, too.
fn left_behind(state: &RestartState, file: &Path) -> Vec<Finding> {
    let looping = state.agents.iter().filter_map(|(agent, entry)| Some((agent, entry.crash_loop_since?)));
    let told = looping.map(|(agent, since)| {
        let what = format!("{agent} was in a crash loop since {since} when the last supervisor ended");
        Area::Problems.note(what, "the next one holds it until its time").about(file)
    });
    told.collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{
        doctor::finding::Severity::{Note, Wrong},
        ports::problems::ProblemKey,
    };

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn told(report: &StatusReport, found: &[Finding]) -> Vec<(Severity, String)> {
        let findings = of_report(report, found, at("2026-11-25T10:00:00Z"), Path::new("daemon/daemon.log"));
        findings.into_iter().map(|finding| (finding.severity, finding.what)).collect()
    }

    fn with(key: ProblemKey, text: &str) -> StatusReport {
        let problem = ProblemReport::new(key, text, None);
        StatusReport { problem_list: vec![problem], ..StatusReport::default() }
    }

    fn of_agent(agent: &str, kind: &str) -> ProblemKey {
        ProblemKey::from(format!("rig/r/{agent}/{kind}")).of(&agent.parse().unwrap()).critical()
    }

    #[test]
    fn each_problem_is_a_finding_unless_the_doctor_says_the_same() {
        let file = |what: &str| Finding {
            line: Some(2),
            column: Some(3),
            ..Area::Files.wrong(what, "").about(Path::new("settings/config.json"))
        };
        let place = "settings/config.json:2:3: agents.a: bad; the rest of it is used";
        let sessions = || ProblemKey::named("sessions").critical();
        let warning = ProblemKey::named;
        type Case<'a> = (&'a str, (ProblemKey, &'a str), Finding, Option<Severity>);
        #[rustfmt::skip]
        let cases: [Case<'_>; 9] = [
            ("an error", (sessions(), "tmux hangs"), Area::Clock.wrong("something else", ""), Some(Wrong)),
            ("a warning", (warning("watch"), "no watch"), Area::Clock.wrong("something else", ""), Some(Note)),
            ("by its key", (sessions(), "tmux hangs"), Area::Tmux.wrong("something else", "").same_as(["sessions"]), None),
            ("one that is well says nothing", (sessions(), "tmux hangs"), Area::Tmux.ok("something else").same_as(["sessions"]), Some(Wrong)),
            ("an agent's", (of_agent("r/witness", "program"), "no claude"), Area::Agents.wrong("something else", "").same_as(["r/witness/program"]), None),
            ("another agent's", (of_agent("r/refinery", "program"), "no claude"), Area::Agents.wrong("something else", "").same_as(["r/witness/program"]), Some(Wrong)),
            ("by its text", (warning("claims/x"), "two agents have x; rename one"), Area::Agents.wrong("two agents have x", ""), None),
            ("by its place", (warning("agents/settings/config.json"), place), file("other words"), None),
            ("another place", (warning("agents/settings/config.json"), "settings/config.json:2:31: bad"), file("other words"), Some(Note)),
        ];
        for (name, problem, found, expected) in cases {
            let expected: Vec<_> =
                expected.map(|severity| (severity, problem.1.to_owned())).into_iter().collect();
            assert_eq!(told(&with(problem.0, problem.1), &[found]), expected, "{name}");
        }
        let named = of_report(
            &with(warning("write/daemon/state.json"), "x"),
            &[],
            at("2026-11-25T10:00:00Z"),
            Path::new("l"),
        );
        assert_eq!(named[0].path.as_deref(), Some(Path::new("daemon/state.json")), "the file at fault");
    }

    #[test]
    fn crash_loops_gates_and_mass_deaths() {
        let agent = AgentReport {
            identity: "r/witness".into(),
            state: "crash_loop".into(),
            ..AgentReport::default()
        };
        let report = StatusReport { agents: vec![agent.clone()], ..StatusReport::default() };
        assert_eq!(told(&report, &[]), [(Wrong, "r/witness is in a crash loop".to_owned())]);
        let once = StatusReport {
            agents: vec![agent],
            ..with(of_agent("r/witness", "crash_loop"), "r/witness was restarted")
        };
        assert_eq!(told(&once, &[]), [(Wrong, "r/witness was restarted".to_owned())], "once");

        let gate = |code: &str| GateReport {
            rig: Some("r".into()),
            code: code.into(),
            text: "rig is docked".into(),
        };
        let report = StatusReport {
            gates: Some(vec![gate("rig_docked"), gate("rig_parked")]),
            ..StatusReport::default()
        };
        let parked = Area::Locks.wrong("x", "").same_as([obstacles::gate("r", "rig_parked")]);
        assert_eq!(
            told(&report, &[parked]),
            [(Note, "nothing is started in rig r: rig is docked".to_owned())]
        );

        let died = |at: &str| {
            let last = json!({"at": at, "sessions": ["a", "b", "c"], "possible_cause": "out of memory"});
            StatusReport { deaths: json!({ "last": last }), ..StatusReport::default() }
        };
        let text = "3 sessions died together at 2026-11-25T09:30:00Z (out of memory)";
        assert_eq!(told(&died("2026-11-25T09:30:00Z"), &[]), [(Wrong, text.to_owned())]);
        assert_eq!(told(&died("2026-11-25T08:30:00Z"), &[]), [], "long ago");
    }

    #[test]
    fn what_the_last_supervisor_left_behind() {
        let text = br#"{"agents":{"deacon":{"crash_loop_since":"2026-11-25T09:30:00Z"},"mayor":{"restart_count":2}}}"#;
        let found = left_behind(&restart_state::parse(Path::new("r"), text).unwrap(), Path::new("r"));
        assert_eq!((found.len(), found[0].severity), (1, Note));
        assert!(
            found[0].what.starts_with("deacon was in a crash loop since 2026-11-25T09:30:00Z"),
            "{found:?}"
        );
    }
}
