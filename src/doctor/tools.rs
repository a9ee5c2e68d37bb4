//! The programs the supervisor runs: the path and version of each, and what does not work without it.
//!
//! Each is asked for its version and for nothing else; that touches no database and starts no server. While a supervisor runs, its
//! `PATH` counts: one that a service manager started may find other programs than a shell, or none. Where the two differ it is said.

use std::{path::PathBuf, time::Duration};

use super::{
    disk,
    finding::{Area, Finding},
};
use crate::{
    commands::{Command, CommandError, Commands},
    control::programs::ProgramsReport,
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
fn tools(dialect: Dialect) -> Vec<Tool> {
    let tool = |setting, asked, without| Tool { setting, asked, without };
    let mut all = vec![
        tool("tmux", "-V", "no agent can be seen or started"),
        tool("bd", "version", bd::TOOL.without(dialect)),
        tool("gt", "version", gt::TOOL.without(dialect)),
        tool("git", "--version", "polecats are not started, and worktrees are not updated"),
    ];
    all.truncate(if dialect.is_gas_town() { all.len() } else { 1 });
    all
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
    /// How the running supervisor and this shell see it; `None` when no supervisor says.
    seen: Option<Seen>,
}

/// How a program is seen by the running supervisor and by this shell.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Seen {
    /// The path at which the supervisor runs it.
    used: Option<PathBuf>,
    /// The path at which this shell finds it.
    here: Option<PathBuf>,
}

/// What to do about a program that only this shell finds.
pub const EXTEND_PATH: &str = "add its directory to the PATH of the supervisor (in its unit, or in the shell that starts it), then \
                               `gastown-supervisor restart`";

/// Checks all of them in parallel, as `asked`, the running supervisor, finds them; `shell` is how this shell does.
pub async fn examine(deps: &Deps, asked: Option<&ProgramsReport>, shell: &dyn Commands) -> Vec<Finding> {
    let all = tools(deps.dialect()).into_iter().map(|tool| ask(deps, tool, asked, shell));
    let observed = futures::future::join_all(all).await;
    let file = terminal::path(deps.paths.shown(&deps.paths.settings_file()));
    let mut findings: Vec<Finding> = observed
        .iter()
        .map(|it| of_tool(it, &file).same_as([format!("command/{}", it.tool.setting)]))
        .collect();
    if asked.is_some() {
        findings.extend(of_both(&observed));
    }
    if deps.dialect().is_v1() {
        let version =
            |setting| observed.iter().find(|it| it.tool.setting == setting)?.version.as_deref().ok();
        findings.extend(version("gt").zip(version("bd")).and_then(|(gt, bd)| of_pair(gt, bd)));
    }
    findings
}

async fn ask(deps: &Deps, tool: Tool, asked: Option<&ProgramsReport>, shell: &dyn Commands) -> Observed {
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
    let seen = match asked.and_then(|asked| asked.tools.iter().find(|it| it.name == tool.setting)) {
        Some(said) => Some(Seen {
            used: canonical(said.path.as_ref().map(PathBuf::from)).await,
            here: canonical(shell.locate(program).await).await,
        }),
        None => None,
    };
    Observed { tool, program: program.clone(), path: deps.commands.locate(program).await, version, seen }
}

/// `/bin/x` is `/usr/bin/x` where the one directory is a link to the other.
async fn canonical(path: Option<PathBuf>) -> Option<PathBuf> {
    Some(disk::canonical(&path?).await)
}

/// Whether the running supervisor and this shell mean the same programs. That the supervisor finds one not at all is said with its
/// version.
fn of_both(observed: &[Observed]) -> Vec<Finding> {
    let different = observed.iter().filter_map(|Observed { program, seen, .. }| {
        let Seen { used, here } = seen.as_ref()?;
        let (used, here) = (used.as_ref()?, here.as_ref());
        let shown =
            here.map_or_else(|| "does not find it".to_owned(), |it| format!("finds {}", terminal::path(it)));
        (here != Some(used)).then(|| {
            let what = format!(
                "the running supervisor runs {program} as {}, this shell {shown}",
                terminal::path(used)
            );
            let hint = "what you try here by hand may differ from what it does; where it found an old one, \
                        `gastown-supervisor restart` has it search again";
            Area::Tools.note(what, hint)
        })
    });
    let different: Vec<Finding> = different.collect();
    let is_same = observed.iter().filter_map(|it| it.seen.as_ref()).all(|seen| seen.used == seen.here);
    match is_same && different.is_empty() {
        true => vec![Area::Tools.ok("the running supervisor and this shell find the same programs")],
        false => different,
    }
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

/// The finding about one of them; `file` is the one with its setting.
fn of_tool(observed: &Observed, file: &str) -> Finding {
    let Observed { tool, program, path, version, .. } = observed;
    let Tool { setting, without, .. } = tool;
    let only_here = observed.seen.as_ref().and_then(|seen| seen.here.as_ref());
    let place = path.as_ref().map(|path| format!(" ({})", terminal::path(path))).unwrap_or_default();
    match version {
        Ok(line) if line.is_empty() => Area::Tools.note(format!("{program}{place} printed no version"), ""),
        Ok(line) if *setting == "tmux" => of_tmux(line, &place, file),
        Ok(line) => Area::Tools.ok(format!("{line}{place}")),
        Err(CommandError::NotFound { .. }) if only_here.is_some() => Area::Tools.wrong(
            format!(
                "the running supervisor does not find {program} on its PATH, this shell finds {}: {without}",
                only_here.map(terminal::path).unwrap_or_default()
            ),
            EXTEND_PATH,
        ),
        Err(CommandError::NotFound { .. }) => Area::Tools.wrong(
            format!("{program} is not installed or not on PATH: {without}"),
            format!("install it, or set commands.{setting} in {file}"),
        ),
        // All it had to do was to print its version.
        Err(error @ CommandError::TimedOut { .. }) => Area::Tools.wrong(
            format!("{program}{place} hangs: {error}: {without}"),
            "run it by hand: everything that needs it takes that long too",
        ),
        Err(error) => Area::Tools.wrong(
            format!("{program}{place} cannot be used: {error}: {without}"),
            format!("repair it, or set commands.{setting} in {file}"),
        ),
    }
}

fn of_tmux(line: &str, place: &str, file: &str) -> Finding {
    let hint = format!("install tmux 3.2 or later, or set commands.tmux in {file}");
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
            ("tmux hangs", 0, late(), Wrong, "x (/bin/x) hangs: `x version` did not end within 3s"),
            ("bd", 1, said("bd version 0.47.2"), Well, "bd version 0.47.2 (/bin/x)"),
            ("no bd", 1, missing(), Wrong, "x is not installed or not on PATH: polecats that died"),
            ("bd hangs", 1, late(), Wrong, "x (/bin/x) hangs: `x version` did not end within 3s"),
            ("bd fails", 1, failed(), Wrong, "x (/bin/x) cannot be used: `x version` failed (exit code 1): oh: polecats"),
            ("gt says nothing", 2, said(""), Note, "x (/bin/x) printed no version"),
            ("no gt", 2, missing(), Wrong, "x is not installed or not on PATH: no mail"),
            ("no git", 3, missing(), Wrong, "x is not installed or not on PATH: polecats are not started, and worktrees"),
            ("git fails", 3, failed(), Wrong, "x (/bin/x) cannot be used: `x version` failed (exit code 1): oh: polecats are not started"),
            ("git hangs", 3, late(), Wrong, "x (/bin/x) hangs: `x version` did not end within 3s"),
        ];
        for (name, tool, version, severity, begin) in cases {
            let observed = Observed {
                tool: super::tools(Dialect::January)[tool],
                program: "x".into(),
                path: Some("/bin/x".into()),
                version,
                seen: None,
            };
            let finding = of_tool(&observed, "settings/supervisor.json");
            assert_eq!(finding.severity, severity, "{name}");
            assert!(finding.what.starts_with(begin), "{name}: {}", finding.what);
        }
        let gt = super::tools(Dialect::V1)[2];
        assert!(gt.without.starts_with("agents have no hooks, convoys are not fed"), "{gt:?}");
        assert_eq!(first_line(b"\n  tmux 3.3a \nmore"), "tmux 3.3a");
    }
    #[test]
    fn what_the_supervisor_and_this_shell_find() {
        let path = |text: &str| Some(text).filter(|text| !text.is_empty()).map(PathBuf::from);
        let observed = |used: &str, here: &str| Observed {
            tool: super::tools(Dialect::January)[1],
            program: "bd".into(),
            path: path(used),
            version: match used {
                "" => Err(CommandError::NotFound { program: "bd".into(), line: "bd version".into() }),
                _ => Ok("bd version 0.47.2".into()),
            },
            seen: Some(Seen { used: path(used), here: path(here) }),
        };
        for (used, here, first, both) in [
            (
                "/a/bd",
                "/a/bd",
                (Well, "bd version 0.47.2 (/a/bd)"),
                Some((Well, "the running supervisor and this shell find the same")),
            ),
            (
                "/a/bd",
                "/b/bd",
                (Well, "bd version"),
                Some((Note, "the running supervisor runs bd as /a/bd, this shell finds /b/bd")),
            ),
            (
                "/a/bd",
                "",
                (Well, "bd version"),
                Some((Note, "the running supervisor runs bd as /a/bd, this shell does not find it")),
            ),
            (
                "",
                "/b/bd",
                (
                    Wrong,
                    "the running supervisor does not find bd on its PATH, this shell finds /b/bd: polecats",
                ),
                None,
            ),
            (
                "",
                "",
                (Wrong, "bd is not installed or not on PATH"),
                Some((Well, "the running supervisor and this shell")),
            ),
        ] {
            let observed = observed(used, here);
            let finding = of_tool(&observed, "settings/supervisor.json");
            assert!(finding.severity == first.0 && finding.what.starts_with(first.1), "{finding:?}");
            let told = of_both(&[observed]);
            assert_eq!(told.len(), usize::from(both.is_some()), "{used}, {here}: {told:?}");
            for (finding, (severity, begin)) in told.iter().zip(both) {
                assert!(finding.severity == severity && finding.what.starts_with(begin), "{finding:?}");
            }
        }
    }
}
