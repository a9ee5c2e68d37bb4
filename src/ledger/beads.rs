//! Beads: reading issues through `bd show` (0.47 to 0.49).
//!
//! `bd` is asked beside everything else and never waited for: what it says is kept and used until it says something
//! newer. A missing id is no error: it is exit code 0 with nothing printed, or an error object, depending on how `bd` ran.

use serde::Deserialize;

use crate::{
    commands::{Command, CommandError},
    deps::Deps,
};

/// So many ids are asked for in one call.
const IDS_PER_CALL: usize = 100;

/// One issue, as far as it is of interest.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Bead {
    /// Its id.
    pub id: String,
    /// Its labels.
    #[serde(default)]
    pub labels: Vec<String>,
}

/// Reads the beads with exactly these ids, run in the town, where `bd show` follows the routes. Those that do not exist
/// are left out. An error says that nothing is known.
pub async fn show(deps: &Deps, ids: &[String]) -> Result<Vec<Bead>, String> {
    let mut beads = Vec::new();
    for ids in ids.chunks(IDS_PER_CALL) {
        let settings = deps.settings();
        let arguments =
            ["show".to_owned()].into_iter().chain(ids.iter().cloned()).chain(["--json".to_owned()]);
        let printed = deps
            .commands
            .run(Command {
                program: settings.commands.bd.clone(),
                arguments: arguments.collect(),
                directory: deps.paths.root().to_owned(),
                environment: settings.env.clone(),
                input: None,
                limit: settings.commands.timeout,
            })
            .await;
        let stdout = match printed {
            Ok(printed) => printed.stdout,
            Err(CommandError::Failed { stdout, .. }) if is_not_found(&stdout) => Vec::new(),
            Err(error) => return Err(error.to_string()),
        };
        // `show` also matches the beginning of an id.
        beads.extend(parse(&stdout)?.into_iter().filter(|bead| ids.contains(&bead.id)));
    }
    Ok(beads)
}

/// The beads in what `bd show --json` printed; nothing printed is none.
fn parse(stdout: &[u8]) -> Result<Vec<Bead>, String> {
    let Some(json) = json_part(stdout) else {
        return Ok(Vec::new());
    };
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Output {
        Beads(Vec<Bead>),
        Enveloped { data: Vec<Bead> },
        Error { error: String },
    }
    match serde_json::from_slice(json) {
        Ok(Output::Beads(beads) | Output::Enveloped { data: beads }) => Ok(beads),
        Ok(Output::Error { error }) if says_not_found(&error) => Ok(Vec::new()),
        Ok(Output::Error { error }) => Err(format!("bd show: {error}")),
        Err(error) => Err(format!("bd show printed something else than beads: {error}")),
    }
}

/// Some versions print text first.
fn json_part(stdout: &[u8]) -> Option<&[u8]> {
    let start = stdout.iter().position(|byte| matches!(byte, b'[' | b'{'))?;
    Some(&stdout[start..])
}

fn is_not_found(stdout: &[u8]) -> bool {
    parse(stdout).is_ok_and(|beads| beads.is_empty()) && json_part(stdout).is_some()
}

fn says_not_found(error: &str) -> bool {
    error.contains("no issue found")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_bd_prints() {
        macro_rules! fixture {
            ($name:literal) => {
                include_bytes!(concat!("../../tests/fixtures/bd/", $name)).to_vec()
            };
        }
        for (name, printed, expected) in [
            ("one of two", fixture!("show_multi_one_missing.stdout"), Ok(vec!["hq-mayor"])),
            ("missing, direct", fixture!("show_missing_direct.stdout"), Ok(vec![])),
            ("missing, through the bd daemon", fixture!("show_missing_daemon.stdout"), Ok(vec![])),
            ("a docked rig", fixture!("rigbead.after-dock.json"), Ok(vec!["gt-rig-gastown"])),
            ("text before", b"Syncing...\n[{\"id\":\"a\"}]".to_vec(), Ok(vec!["a"])),
            ("envelope", br#"{"schema_version":1,"data":[{"id":"a"}]}"#.to_vec(), Ok(vec!["a"])),
            ("another error", br#"{"error":"database is locked"}"#.to_vec(), Err(())),
            ("garbage", b"[1,2".to_vec(), Err(())),
            ("no JSON at all", b"hello".to_vec(), Ok(vec![])),
        ] {
            let got = parse(&printed)
                .map(|beads| beads.into_iter().map(|bead| bead.id).collect::<Vec<_>>())
                .map_err(drop);
            let expected = expected.map(|ids: Vec<&str>| ids.into_iter().map(str::to_owned).collect());
            assert_eq!(got, expected, "{name}");
        }
    }

    #[test]
    fn labels_are_read() {
        let printed = include_bytes!("../../tests/fixtures/bd/rigbead.after-dock.json");
        assert_eq!(parse(printed).unwrap()[0].labels, ["gt:rig", "status:docked"]);
    }
}
