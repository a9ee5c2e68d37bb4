//! Role files: what `roles/<role>.toml` of a town and of a rig say about starting agents (Gas Town 1.x,
//! `internal/config/roles.go`). They replace role beads. Pure; it must survive any bytes.
//!
//! Only what starts an agent is read; `[health]` and all other keys are Gas Town's own.

use std::{collections::BTreeMap, path::Path};

use serde::Deserialize;

use super::description::{RoleConfig, is_variable};
use crate::town::reading::{FileProblem, Place, shorten};

/// The command that Gas Town's own roles have: it counts as none.
const BUILT_IN: &str = "exec claude --dangerously-skip-permissions";

#[derive(Deserialize, Default)]
#[serde(default)]
struct File {
    session: Session,
    env: BTreeMap<String, String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Session {
    work_dir: String,
    needs_pre_sync: bool,
    start_command: String,
}

/// Parses one file, which `path` names in problems. An empty value counts as absent.
pub fn parse(path: &Path, bytes: &[u8]) -> Result<RoleConfig, FileProblem> {
    let text = std::str::from_utf8(bytes).map_err(|error| {
        FileProblem::whole(path, "it is not UTF-8").at(Place::of(bytes, error.valid_up_to()))
    })?;
    let File { session, env } = toml::from_str(text).map_err(|error| {
        let problem = FileProblem::whole(path, error.message());
        match error.span() {
            Some(span) => problem.at(Place::of(bytes, span.start)),
            None => problem,
        }
    })?;
    let bad = env.keys().find(|name| !is_variable(name));
    if let Some(name) = bad {
        let why = format!("{:?} cannot be the name of a variable", shorten(name));
        return Err(FileProblem::whole(path, why).about("env"));
    }
    let values = env.values().chain([&session.work_dir, &session.start_command]);
    if values.into_iter().any(|value| value.contains('\0')) {
        let why = "a NUL character cannot be part of a command line, a path or an environment";
        return Err(FileProblem::whole(path, why));
    }
    let set = |value: String| (!value.trim().is_empty()).then_some(value);
    Ok(RoleConfig {
        work_dir: set(session.work_dir),
        needs_pre_sync: session.needs_pre_sync,
        start_command: set(session.start_command).filter(|command| command.trim() != BUILT_IN),
        env,
        session: None,
    })
}

impl RoleConfig {
    /// The town's with the rig's on top: what the rig's file sets counts, variables one by one. A pre-sync can be switched on
    /// only.
    pub fn beneath(mut self, rig: RoleConfig) -> RoleConfig {
        self.env.extend(rig.env);
        RoleConfig {
            work_dir: rig.work_dir.or(self.work_dir),
            needs_pre_sync: self.needs_pre_sync || rig.needs_pre_sync,
            start_command: rig.start_command.or(self.start_command),
            env: self.env,
            session: None,
        }
    }

    /// With this prefix of session names in place of `{prefix}`.
    pub fn with_prefix(self, prefix: &str) -> RoleConfig {
        let fill = |pattern: String| pattern.replace("{prefix}", prefix);
        RoleConfig {
            work_dir: self.work_dir.map(fill),
            start_command: self.start_command.map(fill),
            env: self.env.into_iter().map(|(name, value)| (name, fill(value))).collect(),
            ..self
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> RoleConfig {
        parse(Path::new("roles/witness.toml"), text.as_bytes()).unwrap()
    }

    #[test]
    fn what_a_file_says() {
        let own = r#"
            role = "witness"
            scope = "rig"
            [session]
            pattern = "{prefix}-witness"
            work_dir = "{town}/{rig}/witness"
            needs_pre_sync = true
            start_command = "exec my-agent --for {prefix}-{name}"
            [env]
            GT_ROLE = "{rig}/witness"
            A = "{prefix}"
            [health]
            ping_timeout = "30s"
        "#;
        let config = config(own).with_prefix("al");
        assert_eq!(config.work_dir.as_deref(), Some("{town}/{rig}/witness"));
        assert_eq!(config.start_command.as_deref(), Some("exec my-agent --for al-{name}"));
        assert!(config.needs_pre_sync);
        assert_eq!((config.env["A"].as_str(), config.env["GT_ROLE"].as_str()), ("al", "{rig}/witness"));
    }

    #[test]
    fn what_counts_as_nothing() {
        for text in [
            "",
            "[session]\nwork_dir = \"\"\nstart_command = \" \"",
            "[session]\nstart_command = \"exec claude --dangerously-skip-permissions\"",
            "[health]\nping_timeout = \"30s\"",
        ] {
            assert_eq!(config(text), RoleConfig::default(), "{text}");
        }
    }

    #[test]
    fn a_rig_is_on_top_of_its_town() {
        let town = config(
            "[session]\nwork_dir = \"t\"\nneeds_pre_sync = true\nstart_command = \"t\"\n[env]\nA = \"t\"\nB = \"t\"",
        );
        let rig = config("[session]\nwork_dir = \"r\"\nneeds_pre_sync = false\n[env]\nB = \"r\"\nC = \"r\"");
        let both = town.beneath(rig);
        assert_eq!((both.work_dir.as_deref(), both.start_command.as_deref()), (Some("r"), Some("t")));
        assert!(both.needs_pre_sync, "it cannot be switched off");
        let env: Vec<String> = both.env.iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(env, ["A=t", "B=r", "C=r"]);
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        for (text, problem) in [
            (
                "[session]\nwork_dir = 7\n",
                "roles/witness.toml:2:12: invalid type: integer `7`, expected a string",
            ),
            ("[session\n", "roles/witness.toml:1:9: "),
            ("a = 1\na = 2\n", "roles/witness.toml:2:1: duplicate key"),
            ("[env]\n\"A B\" = \"x\"\n", "roles/witness.toml: env: \"A B\" cannot be the name of a variable"),
            ("[session]\nwork_dir = \"a\\u0000b\"\n", "roles/witness.toml: a NUL character"),
        ] {
            let got = parse(Path::new("roles/witness.toml"), text.as_bytes()).unwrap_err().to_string();
            assert!(got.starts_with(problem), "{text:?}: {got}");
        }
        assert!(parse(Path::new("f"), b"a = \"\xff\"").unwrap_err().to_string().starts_with("f:1:6: "));
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_survived(bytes: Vec<u8>) {
            let _ = parse(Path::new("f"), &bytes);
        }
    }
}
