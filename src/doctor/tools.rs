//! The programs the supervisor runs: the path and version of each, and what does not work without it.
//!
//! Each is asked for its version and for nothing else; that touches no database and starts no server.

use std::{path::PathBuf, time::Duration};

use super::finding::{Area, Finding};
use crate::{
    commands::{Command, CommandError},
    deps::Deps,
    ledger::{bd, gt},
    sessions::tmux::{Ability, ability},
    terminal,
    town::{dialect::Dialect, reading::shorten},
};

/// The time limit for printing a version.
const LIMIT: Duration = Duration::from_secs(3);

/// One of the programs.
#[derive(Debug, Clone, Copy)]
struct Tool {
    /// Its key under `commands` in `settings/supervisor.json`.
    setting: &'static str,
    /// The argument that prints its version.
    asked: &'static str,
    /// What does not work without it.
    without: &'static str,
}

/// The programs that a town of this dialect needs.
fn tools(dialect: Dialect) -> [Tool; 4] {
    let tool = |setting, asked, without| Tool { setting, asked, without };
    [
        tool("tmux", "-V", "no agent can be seen or started"),
        tool("bd", "version", bd::TOOL.without(dialect)),
        tool("gt", "version", gt::TOOL.without(dialect)),
        tool("git", "--version", "polecats are not started, and worktrees are not updated"),
    ]
}

/// The result for one program.
#[derive(Debug, Clone)]
struct Observed {
    tool: Tool,
    /// The name or path in the settings.
    program: String,
    /// The path where it was found.
    path: Option<PathBuf>,
    /// The first line it printed, or why there is none.
    version: Result<String, CommandError>,
}

/// Checks all of them in parallel.
pub async fn examine(deps: &Deps) -> Vec<Finding> {
    let observed = futures::future::join_all(tools(deps.dialect()).map(|tool| ask(deps, tool))).await;
    let mut findings: Vec<Finding> = observed.iter().map(of_tool).collect();
    if deps.dialect().is_v1() {
        let version =
            |setting| observed.iter().find(|it| it.tool.setting == setting)?.version.as_deref().ok();
        findings.extend(version("gt").zip(version("bd")).and_then(|(gt, bd)| of_pair(gt, bd)));
    }
    findings
}

async fn ask(deps: &Deps, tool: Tool) -> Observed {
    let settings = deps.settings();
    let commands = &settings.commands;
    let program = match tool.setting {
        "tmux" => &commands.tmux,
        "bd" => &commands.bd,
        "gt" => &commands.gt,
        _ => &commands.git,
    };
    let command = Command {
        program: program.clone(),
        arguments: vec![tool.asked.to_owned()],
        directory: deps.paths.root().to_owned(),
        environment: settings.env.clone(),
        input: None,
        limit: LIMIT,
    };
    let version = deps.commands.run(command).await.map(|printed| first_line(&printed.stdout));
    Observed { tool, program: program.clone(), path: deps.commands.locate(program).await, version }
}

/// The finding about a `gt` and a `bd` that do not do everything together. Seen with gt 1.0.1 (commit `a8bd79bf86`) and bd
/// 1.0.2, 1.0.3 and 1.0.5; of other pairs nothing is known.
fn of_pair(gt: &str, bd: &str) -> Option<Finding> {
    let (gt, bd) = (numbers(gt)?, numbers(bd)?);
    (gt == [1, 0, 1] && ([1, 0, 3]..=[1, 0, 5]).contains(&bd)).then(|| {
        let what =
            "with this gt and bd `gt install` and `gt convoy create` fail; a town made with bd 1.0.2 works";
        Area::Tools.note(what, "after an upgrade of bd run `bd migrate` in the town and in each rig")
    })
}

/// The first three numbers in a line such as `gt version 1.0.1-dev (dev)`.
fn numbers(line: &str) -> Option<[u32; 3]> {
    let version = line
        .split_whitespace()
        .find(|word| word.trim_start_matches('v').starts_with(|c: char| c.is_ascii_digit()))?;
    let version = version.trim_start_matches('v');
    let digits = version.split(|c: char| c != '.' && !c.is_ascii_digit()).next()?;
    let mut parts = digits.split('.').map(|part| part.parse().unwrap_or(0));
    Some([parts.next()?, parts.next().unwrap_or(0), parts.next().unwrap_or(0)])
}

fn first_line(printed: &[u8]) -> String {
    let text = String::from_utf8_lossy(printed);
    shorten(text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default())
}

fn of_tool(observed: &Observed) -> Finding {
    let Observed { tool, program, path, version } = observed;
    let Tool { setting, without, .. } = tool;
    let place = path.as_ref().map(|path| format!(" ({})", terminal::path(path))).unwrap_or_default();
    match version {
        Ok(line) if line.is_empty() => Area::Tools.note(format!("{program}{place} printed no version"), ""),
        Ok(line) if *setting == "tmux" => of_tmux(line, &place),
        Ok(line) => Area::Tools.ok(format!("{line}{place}")),
        Err(CommandError::NotFound { .. }) => Area::Tools.wrong(
            format!("{program} is not installed or not on PATH: {without}"),
            format!("install it, or set commands.{setting} in settings/supervisor.json"),
        ),
        // A slow program is not broken, but without tmux the supervisor can do nothing.
        Err(error @ CommandError::TimedOut { .. }) if *setting != "tmux" => Area::Tools.note(
            format!("{program}{place}: its version is not known: {error}"),
            "run it by hand: everything that needs it takes that long too",
        ),
        Err(error) => Area::Tools.wrong(
            format!("{program}{place} cannot be used: {error}: {without}"),
            format!("repair it, or set commands.{setting} in settings/supervisor.json"),
        ),
    }
}

fn of_tmux(line: &str, place: &str) -> Finding {
    let hint = "install tmux 3.2 or later, or set commands.tmux in settings/supervisor.json";
    match ability(line) {
        Ability::Control => Area::Tools.ok(format!("{line}{place}")),
        Ability::Subprocess => {
            let what = format!("{line}{place} has no usable control mode: deaths are noticed only by scans");
            Area::Tools.note(what, hint)
        }
        Ability::TooOld => Area::Tools.wrong(format!("{line}{place} is too old"), hint),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::finding::Severity::{self, Note, Ok as Well, Wrong};

    #[test]
    fn pairs() {
        for (gt, bd, told) in [
            ("gt version 1.0.1-dev (dev: main@a8bd79bf86)", "bd version 1.0.2 (dev)", false),
            ("gt version 1.0.1-dev (dev: main@a8bd79bf86)", "bd version 1.0.3 (dev)", true),
            ("gt version 1.0.1", "bd version 1.0.5 (fbcee6c6)", true),
            ("gt version 1.0.1", "bd version 1.1.0", false),
            ("gt version 1.2.0", "bd version 1.0.5", false),
            ("gt version 0.2.6", "bd version 0.47.2", false),
            ("", "bd version 1.0.5", false),
        ] {
            let finding = of_pair(gt, bd);
            assert_eq!(finding.is_some(), told, "{gt}, {bd}");
            assert!(finding.is_none_or(|it| it.severity == Note));
        }
    }

    #[test]
    fn tools() {
        let line = || "x version".to_owned();
        let missing = || Err(CommandError::NotFound { program: "x".into(), line: line() });
        let late = || Err(CommandError::TimedOut { line: line(), limit: LIMIT });
        let failed = || {
            Err(CommandError::Failed {
                line: line(),
                status: "exit code 1".into(),
                code: Some(1),
                stdout: vec![],
                stderr: "oh".into(),
            })
        };
        let said = |text: &str| Ok(text.to_owned());
        #[rustfmt::skip]
        let cases: [(&str, usize, Result<String, CommandError>, Severity, &str); 14] = [
            ("tmux", 0, said("tmux 3.3a"), Well, "tmux 3.3a (/bin/x)"),
            ("tmux without control mode", 0, said("tmux 3.1c"), Note, "tmux 3.1c (/bin/x) has no usable control mode"),
            ("tmux too old", 0, said("tmux 1.8"), Wrong, "tmux 1.8 (/bin/x) is too old"),
            ("no tmux", 0, missing(), Wrong, "x is not installed or not on PATH: no agent can be seen"),
            ("tmux hangs", 0, late(), Wrong, "x (/bin/x) cannot be used: `x version` did not end within 3s"),
            ("bd", 1, said("bd version 0.47.2"), Well, "bd version 0.47.2 (/bin/x)"),
            ("no bd", 1, missing(), Wrong, "x is not installed or not on PATH: polecats that died"),
            ("bd hangs", 1, late(), Note, "x (/bin/x): its version is not known"),
            ("bd fails", 1, failed(), Wrong, "x (/bin/x) cannot be used: `x version` failed (exit code 1): oh: polecats"),
            ("gt says nothing", 2, said(""), Note, "x (/bin/x) printed no version"),
            ("no gt", 2, missing(), Wrong, "x is not installed or not on PATH: no mail"),
            ("no git", 3, missing(), Wrong, "x is not installed or not on PATH: polecats are not started, and worktrees"),
            ("git fails", 3, failed(), Wrong, "x (/bin/x) cannot be used: `x version` failed (exit code 1): oh: polecats are not started"),
            ("git hangs", 3, late(), Note, "x (/bin/x): its version is not known"),
        ];
        for (name, tool, version, severity, begin) in cases {
            let observed = Observed {
                tool: super::tools(Dialect::January)[tool],
                program: "x".into(),
                path: Some("/bin/x".into()),
                version,
            };
            let finding = of_tool(&observed);
            assert_eq!(finding.severity, severity, "{name}");
            assert!(finding.what.starts_with(begin), "{name}: {}", finding.what);
        }
        let gt = super::tools(Dialect::V1)[2];
        assert!(gt.without.starts_with("agents have no hooks, convoys are not fed"), "{gt:?}");
        assert_eq!(first_line(b"\n  tmux 3.3a \nmore"), "tmux 3.3a");
    }
}
