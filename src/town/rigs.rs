//! Rigs: `mayor/rigs.json`, which rigs the town has.
//!
//! Written by `gt rig add` (Gas Town 0.2.6 to 0.3); unknown keys are normal. A file that does not parse is a
//! [`FileProblem`], never a town without rigs. A rig whose name cannot safely be a path, a session name or an
//! argument is refused by itself. It must not read the disk.

use std::{collections::BTreeMap, path::Path};

use serde::Deserialize;

use super::{
    reading::{self, FileProblem},
    routes::{self, Routes},
};
use crate::town::identity::{BadName, RigName};

/// The prefix of beads when no file names one.
const DEFAULT_PREFIX: &str = "gt";

/// The town's rigs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rigs {
    /// The usable rigs, ordered by name.
    pub rigs: Vec<Rig>,
    /// The unusable names, ordered.
    pub refused: Vec<BadName>,
}

/// One rig.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rig {
    /// Its name.
    pub name: RigName,
    /// Its `beads.prefix` without the trailing `-`, if usable.
    pub prefix: Option<String>,
}

impl Rigs {
    /// A rig's bead prefix without its trailing `-`: from the routes, else from `rigs.json`, else `gt`.
    pub fn prefix<'a>(&'a self, rig: &RigName, routes: &'a Routes) -> &'a str {
        let own = || self.rigs.iter().find(|known| known.name == *rig)?.prefix.as_deref();
        routes.prefix(rig).or_else(own).unwrap_or(DEFAULT_PREFIX)
    }

    /// The prefix of the session names of a rig's agents in a 1.x town: from `rigs.json`, else `gt`
    /// (gt 1.0.1, `internal/session/registry.go`).
    pub fn session_prefix(&self, rig: &RigName) -> &str {
        let own = self.rigs.iter().find(|known| known.name == *rig).and_then(|rig| rig.prefix.as_deref());
        own.unwrap_or(DEFAULT_PREFIX)
    }
}

#[derive(Deserialize)]
struct File {
    rigs: BTreeMap<String, Option<Entry>>,
}

#[derive(Deserialize)]
struct Entry {
    beads: Option<Beads>,
}

#[derive(Deserialize)]
struct Beads {
    prefix: Option<String>,
}

/// Reads the file's content.
pub fn parse(path: &Path, bytes: &[u8]) -> Result<Rigs, FileProblem> {
    let file: File = reading::json(path, bytes)
        .map_err(|problem| problem.advise("correct it; until then the rigs known before are supervised"))?;
    let mut parsed = Rigs::default();
    for (name, entry) in file.rigs {
        let prefix = entry.and_then(|entry| entry.beads).and_then(|beads| beads.prefix);
        match name.parse() {
            Ok(name) => parsed.rigs.push(Rig { name, prefix: prefix.and_then(|p| routes::prefix_word(&p)) }),
            Err(bad) => parsed.refused.push(bad),
        }
    }
    Ok(parsed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::town::reading::broken_json;

    const PATH: &str = "mayor/rigs.json";

    fn names(text: &str) -> Vec<String> {
        let rigs = parse(Path::new(PATH), text.as_bytes()).unwrap().rigs;
        rigs.into_iter().map(|rig| rig.name.to_string()).collect()
    }

    #[test]
    fn a_real_file() {
        let rigs = parse(Path::new(PATH), include_bytes!("../../tests/fixtures/town/rigs.json")).unwrap();
        let rig = |name: &str, prefix: &str| Rig { name: name.parse().unwrap(), prefix: Some(prefix.into()) };
        assert_eq!(rigs, Rigs { rigs: vec![rig("beads", "bd"), rig("gastown", "gt")], refused: vec![] });
    }

    #[test]
    fn what_does_not_parse_is_never_a_town_without_rigs() {
        let others = [
            ("no rigs", "{\"version\":1}"),
            ("null rigs", "{\"rigs\":null}"),
            ("rigs a list", "{\"rigs\":[\"a\"]}"),
            ("a rig is a string", "{\"rigs\":{\"a\":\"x\"}}"),
            ("prefix is a number", "{\"rigs\":{\"a\":{\"beads\":{\"prefix\":7}}}}"),
        ];
        let others = others.map(|(name, text)| (name, text.as_bytes().to_vec()));
        for (name, bytes) in broken_json().into_iter().chain(others) {
            let problem = parse(Path::new(PATH), &bytes).expect_err(name).to_string();
            assert!(problem.starts_with("mayor/rigs.json:"), "{name}: {problem}");
            assert!(problem.ends_with("the rigs known before are supervised"), "{name}: {problem}");
        }
    }

    #[test]
    fn names_the_place() {
        let problem = parse(Path::new(PATH), b"{\"rigs\": {\n  \"gastown\": 7}}").unwrap_err().to_string();
        assert!(
            problem.starts_with("mayor/rigs.json:2:14: rigs.gastown: invalid type: integer `7`"),
            "{problem}"
        );
    }

    #[test]
    fn tolerates_what_is_normal() {
        for (name, text, expected) in [
            ("an empty town", "{\"version\":1,\"rigs\":{}}", vec![]),
            ("null entry", "{\"rigs\":{\"a\":null}}", vec!["a"]),
            ("null beads", "{\"rigs\":{\"a\":{\"beads\":null}}}", vec!["a"]),
            ("unknown keys", "{\"x\":[1],\"rigs\":{\"b\":{\"y\":{}},\"a\":{}}}", vec!["a", "b"]),
        ] {
            assert_eq!(names(text), expected, "{name}");
        }
    }

    #[test]
    fn bad_names_are_refused_alone() {
        let long = "x".repeat(300);
        for bad in ["../evil", "", long.as_str(), ".", "-rf", "a/b", "a b", "a\\u0000b"] {
            let text = format!("{{\"rigs\":{{\"good\":{{}},\"{bad}\":{{}}}}}}");
            let rigs = parse(Path::new(PATH), text.as_bytes()).unwrap();
            assert_eq!(names(&text), ["good"], "{bad:?}");
            assert_eq!(rigs.refused.len(), 1, "{bad:?}");
            assert!(rigs.refused[0].to_string().len() < 200, "{bad:?}");
        }
    }

    #[test]
    fn the_prefix_comes_from_the_routes_then_the_rig_then_the_default() {
        let rigs = br#"{"rigs":{"a":{"beads":{"prefix":"own-"}},"b":{},"c":{"beads":{"prefix":"--x"}}}}"#;
        let rigs = parse(Path::new(PATH), rigs).unwrap();
        let routes = routes::parse(br#"{"prefix":"routed-","path":"a"}"#);
        for (rig, routes, expected) in [
            ("a", &routes, "routed"),
            ("a", &Routes::default(), "own"),
            ("b", &routes, "gt"),
            ("c", &routes, "gt"),
            ("unknown", &routes, "gt"),
        ] {
            assert_eq!(rigs.prefix(&rig.parse().unwrap(), routes), expected, "{rig}");
        }
    }
}
