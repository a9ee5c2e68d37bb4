//! Rig config: `<rig>/config.json`, of which we need the default branch only.
//!
//! Written by `gt rig add` (Gas Town 0.2.6 to 0.3). The branch becomes an argument of `git`, so a name that looks
//! like an option is refused.

use std::path::Path;

use serde::Deserialize;

use super::reading::{self, FileProblem};

/// The branch of a rig that names none, or has no such file.
pub const DEFAULT_BRANCH: &str = "main";

/// Reads the default branch.
pub fn parse(path: &Path, bytes: &[u8]) -> Result<String, FileProblem> {
    #[derive(Deserialize)]
    struct File {
        #[serde(default, deserialize_with = "reading::null_as_default")]
        default_branch: String,
    }
    let advise = |problem: FileProblem| problem.advise("correct it; until then `main` is the default branch");
    let branch = reading::json::<File>(path, bytes).map_err(advise)?.default_branch;
    if branch.is_empty() {
        return Ok(DEFAULT_BRANCH.to_owned());
    }
    let unfit = |c: char| c.is_whitespace() || c.is_control();
    if branch.starts_with('-') || branch.contains(unfit) || branch.len() > 255 {
        let reason = format!("{:?} is not a branch name", reading::shorten(&branch));
        return Err(advise(FileProblem::whole(path, reason).about("default_branch")));
    }
    Ok(branch)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::town::reading::broken_json;

    #[test]
    fn branches() {
        let long = format!(r#"{{"default_branch":"{}"}}"#, "b".repeat(300));
        for (text, expected) in [
            ("{}", Some("main")),
            (r#"{"default_branch":""}"#, Some("main")),
            (r#"{"default_branch":null}"#, Some("main")),
            (r#"{"default_branch":"trunk/v1","type":"rig"}"#, Some("trunk/v1")),
            (r#"{"default_branch":7}"#, None),
            (r#"{"default_branch":"--upload-pack=evil"}"#, None),
            (r#"{"default_branch":"a b"}"#, None),
            (r#"{"default_branch":"a\nb"}"#, None),
            (long.as_str(), None),
        ] {
            assert_eq!(parse(Path::new("c"), text.as_bytes()).ok().as_deref(), expected, "{text}");
        }
        for (name, bytes) in broken_json() {
            assert!(parse(Path::new("c"), &bytes).is_err(), "{name}");
        }
    }
}
