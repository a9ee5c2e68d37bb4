//! Recognise: which dialect a town speaks, from its files and the version of `gt`. Pure.
//!
//! The files say how its beads are stored, which is in Dolt since 1.0; `gt` says which names and which tmux server it would use
//! for the agents it starts. When they contradict each other, or one that decides could not be read, nothing may be started:
//! a supervisor that is wrong about the dialect starts a second set of agents beside those of `gt`.

use super::Dialect;

/// The first version of `gt` of the dialect 1.x: it has Dolt, a tmux server for each town, and sessions named by prefix.
const FIRST_V1: [u32; 2] = [0, 13];

/// What is known of a town.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evidence {
    /// What `.beads/metadata.json` says; an error says why it could not be read.
    pub metadata: Result<Storage, String>,
    /// Whether the town has the directory `.dolt-data`; an error says why that could not be determined.
    pub dolt_data: Result<bool, String>,
    /// The version of `gt`.
    pub gt: GtVersion,
    /// `gas_town.dialect` of the settings.
    pub set: Option<Dialect>,
}

/// Where the beads are, according to `.beads/metadata.json`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Storage {
    /// In Dolt.
    Dolt,
    /// In a file of SQLite.
    Sqlite,
    /// The file is missing, or says nothing.
    NotSaid,
}

/// The version of `gt`, if it could be found out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GtVersion {
    /// This one.
    Is(String),
    /// There is no `gt`, or it has no version.
    None,
    /// It did not answer.
    Unknown(String),
}

/// The dialect of a town, and what shows it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recognised {
    /// The dialect.
    pub dialect: Dialect,
    /// What shows it, for people.
    pub because: String,
    /// The tmux server of the town's own, by name, once it is known; `gt` must use the same.
    pub server: Option<String>,
}

/// Reads `.beads/metadata.json`. An error says where it is no JSON: such a file may have said anything.
pub fn storage(metadata: &[u8]) -> Result<Storage, String> {
    let file: serde_json::Value = serde_json::from_slice(metadata).map_err(|error| error.to_string())?;
    Ok(match (file["backend"].as_str(), file["database"].as_str()) {
        (Some("dolt"), _) => Storage::Dolt,
        (Some("sqlite"), _) => Storage::Sqlite,
        (None, Some(name)) if name.ends_with(".db") => Storage::Sqlite,
        _ => Storage::NotSaid,
    })
}

/// Reads what `gt version --short` prints: a version such as `1.0.1-dev`.
pub fn gt_version(printed: &[u8]) -> GtVersion {
    let text = String::from_utf8_lossy(printed);
    let word = text.split_whitespace().last().unwrap_or_default();
    match numbers(word) {
        Some(_) => GtVersion::Is(word.trim_start_matches('v').to_owned()),
        None => GtVersion::None,
    }
}

/// The first two numbers of a version.
fn numbers(version: &str) -> Option<[u32; 2]> {
    let mut parts = version.trim_start_matches('v').split('.');
    let mut next = || parts.next()?.parse().ok();
    Some([next()?, next()?])
}

/// The dialect, or why it cannot be told and what to do.
pub fn recognise(evidence: &Evidence) -> Result<Recognised, String> {
    let recognised = |dialect, because: String| Ok(Recognised { dialect, because, server: None });
    if let Some(dialect) = evidence.set {
        return recognised(dialect, "gas_town.dialect in settings/supervisor.json".to_owned());
    }
    let by_gt = match &evidence.gt {
        GtVersion::Is(version) => numbers(version).map(|numbers| {
            let dialect = if numbers >= FIRST_V1 { Dialect::V1 } else { Dialect::January };
            (dialect, format!("gt {version}"))
        }),
        GtVersion::None | GtVersion::Unknown(_) => None,
    };
    let advice = "set gas_town.dialect in settings/supervisor.json to \"january\" or \"1.x\"";
    let by_files = by_files(evidence).map_err(|why| {
        format!("whether this is a town of Gas Town 1.x cannot be determined: {why}; correct it or make it readable, or {advice}")
    })?;
    match (by_files, by_gt, &evidence.gt) {
        (Some((dialect, files)), Some((same, gt)), _) if dialect == same => {
            recognised(dialect, format!("{files}; {gt}"))
        }
        (Some((dialect, files)), Some((other, gt)), _) => Err(format!(
            "which Gas Town this is cannot be told: {files} is {dialect}, but {gt} is {other}; agents would be started beside \
             those of gt: install the gt of this town, migrate the town, or {advice}"
        )),
        (Some((dialect, because)), None, _) | (None, Some((dialect, because)), _) => {
            recognised(dialect, because)
        }
        (None, None, GtVersion::Unknown(why)) => Err(format!(
            "whether this is a town of Gas Town 1.x cannot be determined: .beads/ and .dolt-data/ do not say it, and gt does not \
             tell its version: {why}; {advice}"
        )),
        (None, None, _) => {
            recognised(Dialect::January, "no sign of Gas Town 1.x in .beads/ or .dolt-data/".to_owned())
        }
    }
}

fn by_files(evidence: &Evidence) -> Result<Option<(Dialect, String)>, String> {
    let storage = evidence.metadata.as_ref().map_err(|why| format!(".beads/metadata.json: {why}"))?;
    Ok(match storage {
        Storage::Dolt => Some((Dialect::V1, ".beads/metadata.json (Dolt)".to_owned())),
        Storage::Sqlite => Some((Dialect::January, ".beads/metadata.json (SQLite)".to_owned())),
        Storage::NotSaid => {
            let there = evidence.dolt_data.as_ref().map_err(|why| format!(".dolt-data: {why}"))?;
            there.then(|| (Dialect::V1, ".dolt-data/".to_owned()))
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_grid() {
        for (name, text, expected) in [
            (
                "1.x",
                include_str!("../../../tests/fixtures/v1/files/beads.metadata.json"),
                Some(Storage::Dolt),
            ),
            ("0.3", r#"{"database":"beads.db","jsonl_export":"issues.jsonl"}"#, Some(Storage::Sqlite)),
            ("sqlite", r#"{"backend":"sqlite"}"#, Some(Storage::Sqlite)),
            ("half-written", r#"{"backend":"do"#, None),
            ("a list", r#"["backend","dolt"]"#, Some(Storage::NotSaid)),
            ("empty", "", None),
        ] {
            assert_eq!(storage(text.as_bytes()).ok(), expected, "{name}");
        }
    }

    #[test]
    fn versions_as_printed() {
        let is = |text: &str| GtVersion::Is(text.to_owned());
        for (printed, expected) in [
            ("1.0.1-dev\n", is("1.0.1-dev")),
            ("gt version 0.2.6 (dev)\n", GtVersion::None),
            ("gt version 0.2.6\n", is("0.2.6")),
            ("v1.2\n", is("1.2")),
            ("", GtVersion::None),
            ("usage: gt", GtVersion::None),
        ] {
            assert_eq!(gt_version(printed.as_bytes()), expected, "{printed:?}");
        }
    }

    #[test]
    fn dialects() {
        use Dialect::{January, V1};
        let denied = || "permission denied".to_owned();
        let is = |version: &str| GtVersion::Is(version.to_owned());
        let silent = || GtVersion::Unknown("it does not answer".to_owned());
        let none = || GtVersion::None;
        type Case = (&'static str, Result<Storage, String>, Result<bool, String>, GtVersion, Option<Dialect>);
        let grid: Vec<(Case, Result<Dialect, &str>)> = vec![
            (("files and gt agree", Ok(Storage::Dolt), Ok(true), is("1.0.1-dev"), None), Ok(V1)),
            (("January, both", Ok(Storage::Sqlite), Ok(false), is("0.2.6"), None), Ok(January)),
            (("only files", Ok(Storage::Dolt), Ok(true), none(), None), Ok(V1)),
            (("files, gt silent", Ok(Storage::Sqlite), Ok(false), silent(), None), Ok(January)),
            (("only gt", Ok(Storage::NotSaid), Ok(false), is("0.13.0"), None), Ok(V1)),
            (("only an old gt", Ok(Storage::NotSaid), Ok(false), is("0.12.9"), None), Ok(January)),
            (("only the directory", Ok(Storage::NotSaid), Ok(true), none(), None), Ok(V1)),
            (("nothing", Ok(Storage::NotSaid), Ok(false), none(), None), Ok(January)),
            (("nothing, gt silent", Ok(Storage::NotSaid), Ok(false), silent(), None), Err("whether this is")),
            (
                ("upgraded gt, town not migrated", Ok(Storage::Sqlite), Ok(false), is("1.0.1"), None),
                Err("which Gas Town this is"),
            ),
            (
                ("old gt in a new town", Ok(Storage::Dolt), Ok(true), is("0.2.6"), None),
                Err("which Gas Town this is"),
            ),
            (("unreadable", Err(denied()), Ok(true), is("1.0.1"), None), Err("whether this is")),
            (
                ("unreadable directory", Ok(Storage::NotSaid), Err(denied()), none(), None),
                Err("whether this is"),
            ),
            (("set beats all", Err(denied()), Err(denied()), is("1.0.1"), Some(January)), Ok(January)),
        ];
        for ((name, metadata, dolt_data, gt, set), expected) in grid {
            let found = recognise(&Evidence { metadata, dolt_data, gt, set });
            match (found, expected) {
                (Ok(found), Ok(dialect)) => assert_eq!(found.dialect, dialect, "{name}: {}", found.because),
                (Err(why), Err(begin)) => {
                    assert!(why.starts_with(begin) && why.contains("gas_town.dialect"), "{name}: {why}");
                }
                (found, _) => panic!("{name}: {found:?}"),
            }
        }
    }
}
