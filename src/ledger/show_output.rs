//! What `bd show --json` prints, parsed into beads. Pure; it must survive any bytes.
//!
//! Formats of `bd` 0.47 to 1.0. There are three ways to report an id that does not exist, all one outcome here. The
//! id is left out and reported on standard error (exit code 0). The whole call fails with an error object that names
//! the id, when `bd` uses its daemon (`cmd/bd/show.go`, 0.47). Or, when none of the ids exists, an error object names
//! none (1.0). A database that could not be read is reported in the first way too, so standard error is parsed before
//! an id counts as missing.

use jiff::Timestamp;
use serde::Deserialize;

use crate::town::{bead::Bead, go_time, reading::shorten};

/// The parsed output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shown {
    /// These beads; ids that do not exist are left out.
    Beads {
        /// The beads that were found.
        beads: Vec<Bead>,
        /// The ids that could not be read: each an id, `: `, and why.
        troubles: Vec<String>,
    },
    /// At least one of the ids does not exist, and nothing is known about the others.
    OneIsMissing,
}

/// Parses both outputs. An error means that nothing is known, and says why.
pub fn parse(stdout: &[u8], stderr: &str) -> Result<Shown, String> {
    let shown = |rows: Vec<Row>| Shown::Beads {
        beads: rows.into_iter().map(Row::bead).collect(),
        troubles: troubles(stderr),
    };
    let Some(json) = json_part(stdout) else {
        let silent = stdout.trim_ascii().is_empty() || stderr.contains(NOT_FETCHED);
        return if silent { Ok(shown(Vec::new())) } else { Err(nonsense("no JSON", stdout)) };
    };
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Output {
        Beads(Vec<Row>),
        Enveloped { data: Vec<Row> },
        Error { error: String },
    }
    match serde_json::from_slice(json) {
        Ok(Output::Beads(rows) | Output::Enveloped { data: rows }) => Ok(shown(rows)),
        Ok(Output::Error { error }) if !says_not_found(&error) => Err(format!("bd show: {error}")),
        Ok(Output::Error { error }) if error.contains("resolving ID") => Ok(Shown::OneIsMissing),
        Ok(Output::Error { .. }) => Ok(shown(Vec::new())),
        Err(_) => Err(nonsense("something else than beads", stdout)),
    }
}

/// The prefix of a line on stderr about an omitted id.
const NOT_FETCHED: &str = "Error fetching ";

fn nonsense(what: &str, stdout: &[u8]) -> String {
    format!("bd show printed {what}: {:?}", shorten(&String::from_utf8_lossy(stdout)))
}

/// Whether an output contains anything that could be JSON.
pub fn has_json(stdout: &[u8]) -> bool {
    json_part(stdout).is_some()
}

/// The output from its JSON on: some versions print text first.
pub(super) fn json_part(stdout: &[u8]) -> Option<&[u8]> {
    let start = stdout.iter().position(|byte| matches!(byte, b'[' | b'{'))?;
    Some(&stdout[start..])
}

/// The error object that `bd` printed, on either output, in its own words; `stderr` may have its lines joined and other text
/// behind the object. `None` when there is none.
pub fn error(stdout: &[u8], stderr: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Printed {
        error: String,
    }
    [stdout, stderr.as_bytes()].into_iter().find_map(|text| {
        let start = text.iter().position(|byte| *byte == b'{')?;
        let mut objects = serde_json::Deserializer::from_slice(&text[start..]).into_iter::<Printed>();
        Some(objects.next()?.ok()?.error)
    })
}

/// A bead as one row of a list.
pub fn bead(row: serde_json::Value) -> Result<Bead, serde_json::Error> {
    serde_json::from_value::<Row>(row).map(Row::bead)
}

/// The ids that were left out for another reason than that they do not exist. `stderr` may have its lines joined.
fn troubles(stderr: &str) -> Vec<String> {
    let told = stderr.split(NOT_FETCHED).skip(1).filter(|text| !says_not_found(text));
    told.map(|text| text.lines().next().unwrap_or(text).trim().to_owned()).collect()
}

/// Whether an error says that there is no such bead. `bd` also matches parts of an id; a part that fits several beads
/// is no id.
fn says_not_found(error: &str) -> bool {
    ["no issue found", "no issues found", "ambiguous ID"].iter().any(|text| error.contains(text))
}

/// A bead as printed: empty fields are left out.
#[derive(Deserialize)]
pub(super) struct Row {
    pub(super) id: String,
    pub(super) status: Option<String>,
    pub(super) issue_type: Option<String>,
    pub(super) labels: Option<Vec<String>>,
    pub(super) description: Option<String>,
    pub(super) assignee: Option<String>,
    pub(super) updated_at: Option<serde_json::Value>,
    pub(super) hook_bead: Option<String>,
    pub(super) agent_state: Option<String>,
}

impl Row {
    /// Converts it into a bead.
    pub(super) fn bead(self) -> Bead {
        let description = self.description.unwrap_or_default();
        // `show` prints every non-empty column that its version has, so a column that is not printed has no value.
        // Then the line in the description counts: for the state in 0.47, for both in 1.0.
        let field = |column: Option<String>, key: &str| match column {
            Some(value) => set(&value),
            None => line(&description, key),
        };
        Bead {
            hook_bead: field(self.hook_bead, "hook_bead"),
            agent_state: field(self.agent_state, "agent_state"),
            id: self.id,
            status: self.status.unwrap_or_default(),
            issue_type: self.issue_type.unwrap_or_default(),
            labels: self.labels.unwrap_or_default(),
            assignee: self.assignee.filter(|name| !name.is_empty()),
            updated_at: self.updated_at.as_ref().and_then(time),
            description,
        }
    }
}

fn time(value: &serde_json::Value) -> Option<Timestamp> {
    go_time::parse(value.as_str()?).ok().flatten()
}

/// A value that is set: not empty and not `null`.
fn set(value: &str) -> Option<String> {
    let value = value.trim();
    (!value.is_empty() && value != "null").then(|| value.to_owned())
}

/// The value of the last line `key: value` in a description, if set.
fn line(description: &str, key: &str) -> Option<String> {
    let lines = description.lines().filter_map(|line| line.split_once(':'));
    let (_, value) = lines.rev().find(|(found, _)| found.trim().eq_ignore_ascii_case(key))?;
    set(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    macro_rules! fixture {
        ($name:literal) => {
            include_bytes!(concat!("../../tests/fixtures/bd/", $name)).to_vec()
        };
    }

    fn beads(name: &str, stdout: &[u8]) -> Vec<Bead> {
        match parse(stdout, "") {
            Ok(Shown::Beads { beads, troubles }) if troubles.is_empty() => beads,
            other => panic!("{name}: {other:?}"),
        }
    }

    #[test]
    fn which_beads_were_printed() {
        const MULTI: &str = include_str!("../../tests/fixtures/bd/show_multi_one_missing.stderr");
        const DIRECT: &str = include_str!("../../tests/fixtures/bd/show_missing_direct.stderr");
        const MANY: &str = include_str!("../../tests/fixtures/bd/show_partial_ambiguous.stderr");
        const STALE: &str = include_str!("../../tests/fixtures/bd/show_stale_jsonl.stderr");
        let missing = Some("one is missing");
        let locked =
            r#"Error fetching gt-a: no issue found matching "gt-a" Error fetching gt-b: database is locked"#;
        let table = "Error fetching gt-a: search issues: Error 1146 (HY000): table not found: issues";
        for (name, stdout, stderr, expected) in [
            ("one of two", fixture!("show_multi_one_missing.stdout"), MULTI, Ok(vec!["hq-mayor"])),
            ("missing, direct", fixture!("show_missing_direct.stdout"), DIRECT, Ok(vec![])),
            ("missing, no prefix", fixture!("show_missing_direct_noprefix.stdout"), "", Ok(vec![])),
            ("missing, through the daemon", fixture!("show_missing_daemon.stdout"), "", Err(missing)),
            ("missing, 1.0", fixture!("v1.0_show_missing.stdout"), DIRECT, Ok(vec![])),
            ("a part of an id", fixture!("show_partial.stdout"), "", Ok(vec!["gt-gastown-polecat-nux"])),
            ("a part of many ids", fixture!("show_partial_ambiguous.stdout"), MANY, Ok(vec![])),
            ("ambiguous", b"".to_vec(), "Error fetching gt-a: ambiguous ID \"gt-a\" matches 2", Ok(vec![])),
            ("a rig", fixture!("rigbead.after-dock.json"), "", Ok(vec!["gt-rig-gastown"])),
            ("warnings beside", fixture!("show_stale_jsonl.stdout"), STALE, Ok(vec!["gt-gastown-witness"])),
            ("out of sync", fixture!("show_stale_noimport.stdout"), "", Err(None)),
            ("text before", b"Syncing...\n[{\"id\":\"a\"}]".to_vec(), "", Ok(vec!["a"])),
            ("envelope", br#"{"schema_version":1,"data":[{"id":"a"}]}"#.to_vec(), "", Ok(vec!["a"])),
            ("nulls", br#"[{"id":"a","labels":null,"hook_bead":null}]"#.to_vec(), "", Ok(vec!["a"])),
            ("another error", br#"{"error":"database is locked"}"#.to_vec(), "", Err(None)),
            ("left out for another reason", b"".to_vec(), locked, Err(Some("gt-b: database is locked"))),
            (
                "1.0, no table",
                fixture!("v1.0_show_missing.stdout"),
                table,
                Err(Some("gt-a: search issues: Error 1146 (HY000): table not found: issues")),
            ),
            ("half", b"[1,2".to_vec(), "", Err(None)),
            ("a bead without id", b"[{}]".to_vec(), "", Err(None)),
            ("a status that is none", br#"[{"id":"a","status":7}]"#.to_vec(), "", Err(None)),
            ("text, and nothing found", b"Syncing...".to_vec(), DIRECT, Ok(vec![])),
            ("nothing at all", b"\n".to_vec(), "", Ok(vec![])),
            ("no JSON at all", b"hello".to_vec(), "", Err(None)),
            ("a number", b"17".to_vec(), "", Err(None)),
        ] {
            let got = parse(&stdout, stderr);
            let ids = got.as_ref().map_err(|_| None).and_then(|shown| match shown {
                Shown::Beads { troubles, .. } if !troubles.is_empty() => Err(Some(troubles[0].as_str())),
                Shown::Beads { beads, .. } => {
                    Ok(beads.iter().map(|bead| bead.id.as_str()).collect::<Vec<_>>())
                }
                Shown::OneIsMissing => Err(missing),
            });
            assert_eq!(ids, expected, "{name}: {got:?}");
        }
    }

    #[test]
    fn hook_and_state_as_recorded() {
        for (name, stdout, hook, state) in [
            ("hooked", fixture!("show_polecat_hooked.stdout"), Some("gt-o78"), Some("working")),
            ("no hook", fixture!("show_polecat_no_hook.stdout"), None, Some("idle")),
            ("slung", fixture!("polecat.hooked.json"), Some("gt-lj9"), Some("spawning")),
            ("done", fixture!("polecat.done.json"), None, Some("closed")),
            ("nuked", fixture!("polecat.nuked.json"), None, Some("closed")),
            ("closed", fixture!("show_closed_agent.stdout"), None, Some("idle")),
            ("auto-created", fixture!("show_agent_autocreated.stdout"), None, Some("working")),
            ("list, 0.49", fixture!("v0.49_list_agent_rig_gastown.json"), Some("gt-o78"), Some("working")),
            ("1.0", fixture!("v1.0_show_agent.json"), Some("gt-o78"), Some("working")),
            ("work", fixture!("show_non_agent.stdout"), None, None),
        ] {
            let bead = &beads(name, &stdout)[0];
            assert_eq!((bead.hook_bead.as_deref(), bead.agent_state.as_deref()), (hook, state), "{name}");
            assert!(bead.updated_at.is_some() && !bead.status.is_empty(), "{name}");
        }
    }

    #[test]
    fn columns_beat_lines_and_lines_are_read_leniently() {
        for (name, column, description, expected) in [
            ("column only", Some("b"), "", Some("b")),
            ("column beats line", Some("b"), "hook_bead: a", Some("b")),
            ("an empty column beats it too", Some(""), "hook_bead: a", None),
            ("null in the column", Some("null"), "hook_bead: a", None),
            ("line only", None, "words\n\nhook_bead: a\nother: x", Some("a")),
            ("case and blanks", None, "  Hook_Bead :  a  ", Some("a")),
            ("the last wins", None, "hook_bead: a\nhook_bead: b", Some("b")),
            ("the last unsets", None, "hook_bead: a\nhook_bead: null", None),
            ("empty", None, "hook_bead:", None),
            ("another key", None, "old_hook_bead: a", None),
            ("windows", None, "hook_bead: a\r\nx: y\r\n", Some("a")),
            ("neither", None, "", None),
        ] {
            let mut printed = serde_json::json!([{"id": "x", "description": description}]);
            if let Some(column) = column {
                printed[0]["hook_bead"] = column.into();
            }
            let bead = &beads(name, printed.to_string().as_bytes())[0];
            assert_eq!(bead.hook_bead.as_deref(), expected, "{name}");
        }
    }

    #[test]
    fn times_with_any_fraction_and_offset() {
        for (printed, expected) in [
            (r#""2026-11-22T20:44:10Z""#, Some("2026-11-22T20:44:10Z")),
            (r#""2026-11-22T20:44:10.305574201Z""#, Some("2026-11-22T20:44:10.305574201Z")),
            (r#""2026-11-22T20:44:10.5-08:00""#, Some("2026-11-23T04:44:10.5Z")),
            (r#""0001-01-01T00:00:00Z""#, None),
            (r#""yesterday""#, None),
            ("17", None),
            ("null", None),
        ] {
            let text = format!(r#"[{{"id":"x","updated_at":{printed}}}]"#);
            let expected = expected.map(|text| text.parse().unwrap());
            assert_eq!(beads(printed, text.as_bytes())[0].updated_at, expected, "{printed}");
        }
    }

    #[test]
    fn labels_are_read() {
        let printed = include_bytes!("../../tests/fixtures/bd/rigbead.after-dock.json");
        assert_eq!(beads("dock", printed)[0].labels, ["gt:rig", "status:docked"]);
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_survived(stdout: Vec<u8>, stderr: String) {
            let _ = parse(&stdout, &stderr);
        }

        #[test]
        fn any_damage_to_a_real_output_is_survived(at in 0usize..700, with: Vec<u8>) {
            let mut printed = fixture!("show_polecat_hooked.stdout");
            let at = at.min(printed.len());
            printed.splice(at..(at + with.len()).min(printed.len()), with);
            let _ = parse(&printed, "");
        }
    }
}
