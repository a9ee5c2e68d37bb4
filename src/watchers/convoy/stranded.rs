//! What `gt convoy stranded --json` prints (gt 1.0.1, `internal/cmd/convoy.go`): the open convoys that nobody works on. Pure.
//!
//! What is in it was written by others. A convoy whose id could not be an argument is left out; an issue or a branch that could
//! not is named, and nothing is done with it.

use jiff::Timestamp;
use serde::Deserialize;

use crate::{
    ledger::{beads, list_output},
    town::reading::shorten,
};

/// The longest name of a branch that is passed on.
const LONGEST_BRANCH: usize = 250;

/// A convoy that nobody works on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stranded {
    /// Its id.
    pub id: String,
    /// The number of issues it tracks.
    pub tracked: u64,
    /// Those of them that could be slung, in Gas Town's order.
    pub ready: Vec<String>,
    /// When it was created, when that can be read.
    pub created_at: Option<Timestamp>,
    /// The branch its work is based on; `None` for the rig's default.
    pub base_branch: Option<String>,
}

/// Parses standard output: the convoys, and the names of the rows that could not be used.
pub fn parse(stdout: &[u8]) -> Result<(Vec<Stranded>, Vec<String>), String> {
    let (mut convoys, mut unusable) = (Vec::new(), Vec::new());
    for row in list_output::rows(stdout, "gt convoy stranded")? {
        let name = name(&row);
        match convoy(row) {
            Some(convoy) => convoys.push(convoy),
            None => unusable.push(name),
        }
    }
    Ok((convoys, unusable))
}

/// What people may know a row by: its id as it is, quoted where it could not be one.
fn name(row: &serde_json::Value) -> String {
    match row["id"].as_str() {
        None => "one without an id".to_owned(),
        Some(id) if beads::is_id(id) => id.to_owned(),
        Some(id) => format!("{:?}", shorten(id)),
    }
}

fn convoy(row: serde_json::Value) -> Option<Stranded> {
    #[derive(Deserialize)]
    struct Row {
        id: String,
        #[serde(default)]
        tracked_count: u64,
        #[serde(default)]
        ready_count: u64,
        #[serde(default)]
        ready_issues: Option<Vec<String>>,
        #[serde(default)]
        created_at: Option<String>,
        #[serde(default)]
        base_branch: Option<String>,
    }
    let row: Row = serde_json::from_value(row).ok()?;
    let ready = row.ready_issues.unwrap_or_default();
    // A count without issues, or the other way round, is nothing to act on.
    (beads::is_id(&row.id) && (row.ready_count > 0) != ready.is_empty()).then(|| Stranded {
        id: row.id,
        tracked: row.tracked_count,
        ready,
        created_at: row.created_at.and_then(|at| at.parse().ok()),
        base_branch: row.base_branch.filter(|branch| !branch.is_empty()),
    })
}

impl Stranded {
    /// The branch as an argument, or why it cannot be one.
    pub fn branch(&self) -> Result<Option<&str>, String> {
        match self.base_branch.as_deref() {
            Some(branch) if !is_branch(branch) => Err(format!("{:?} is not a branch", shorten(branch))),
            branch => Ok(branch),
        }
    }
}

fn is_branch(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.len() <= LONGEST_BRANCH
        && !name.contains("..")
        && name.chars().all(|c| c.is_ascii_alphanumeric() || "._/-+#@".contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_recorded() {
        let ready = include_bytes!("../../../tests/fixtures/v1/bd103_stranded_ready.stdout");
        let expected = Stranded {
            id: "hq-cv-zr5pc".to_owned(),
            tracked: 3,
            ready: vec!["al-7ho".to_owned()],
            created_at: "2026-11-28T16:30:24Z".parse().ok(),
            base_branch: None,
        };
        assert_eq!(parse(ready), Ok((vec![expected], vec![])));
        let none = include_bytes!("../../../tests/fixtures/v1/convoy_stranded_empty.stdout");
        assert_eq!(parse(none), Ok((vec![], vec![])));
    }

    #[test]
    fn what_others_write() {
        let row = |id: &str, more: &str| format!(r#"[{{"id":{id},"tracked_count":1{more}}}]"#);
        for (name, printed, expected) in [
            ("a flag", row(r#""--all""#, ""), Ok((0, "\"--all\""))),
            ("no id", r#"[{"title":"x"}]"#.to_owned(), Ok((0, "one without an id"))),
            ("a number for an id", row("7", ""), Ok((0, "one without an id"))),
            ("no list of issues", row(r#""hq-1""#, r#","ready_issues":null"#), Ok((1, ""))),
            (
                "a count without issues",
                row(r#""hq-1""#, r#","ready_count":2,"ready_issues":[]"#),
                Ok((0, "hq-1")),
            ),
            ("null", "null".to_owned(), Ok((0, ""))),
            ("text", "no convoys".to_owned(), Err(())),
            ("nothing", String::new(), Err(())),
        ] {
            let parsed =
                parse(printed.as_bytes()).map(|(convoys, unusable)| (convoys.len(), unusable.join(" ")));
            let expected = expected.map(|(usable, unusable)| (usable, unusable.to_owned()));
            assert_eq!(parsed.map_err(|_| ()), expected, "{name}");
        }
    }

    #[test]
    fn branches() {
        for (branch, usable) in [
            ("main", true),
            ("feature/x-1.2", true),
            ("--upload-pack=x", false),
            ("a b", false),
            ("a..b", false),
            ("a;b", false),
            ("a\nb", false),
        ] {
            assert_eq!(is_branch(branch), usable, "{branch}");
        }
    }
}
