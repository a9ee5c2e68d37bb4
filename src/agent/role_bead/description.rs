//! What the description of a role bead says: lines `key: value` among other text. Pure; it must survive any text.
//!
//! Keys and their spellings are those of Gas Town 0.2.6 to 0.3 (`ParseRoleConfig` in `internal/beads/fields.go`). Keys
//! that only Gas Town itself uses (`ping_timeout`, `kill_cooldown` and the like) are ignored, as is everything else.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What a role bead says about starting agents. Patterns are not expanded yet.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RoleConfig {
    /// `work_dir_pattern` or `workdir_pattern`: the directory they work in.
    pub work_dir: Option<String>,
    /// `needs_pre_sync`: whether that directory is brought up to date before a restart.
    pub needs_pre_sync: bool,
    /// `start_command`: a shell command, in place of the role's program and arguments.
    pub start_command: Option<String>,
    /// `env_var`, any number of them: variables and the patterns of their values.
    pub env: BTreeMap<String, String>,
    /// `session_pattern`: how their sessions should be called.
    pub session: Option<String>,
}

/// The parsed description.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Parsed {
    /// What it says; `None` when it has none of the keys with a value.
    pub config: Option<RoleConfig>,
    /// The lines that cannot be used, and why.
    pub faults: Vec<String>,
}

/// Parses a description. A key may be in any case, with `-` in place of `_`, or without either; of several equal keys
/// the last one counts. An empty value, and `null`, count as absent.
pub fn parse(description: &str) -> Parsed {
    let mut config = RoleConfig::default();
    let (mut any, mut faults) = (false, Vec::new());
    for line in description.lines() {
        let Some((key, value)) = line.split_once(':') else { continue };
        let value = value.trim();
        if value.is_empty() || value.eq_ignore_ascii_case("null") {
            continue;
        }
        let set = match normal(key).as_str() {
            "workdirpattern" => text(value).map(|text| config.work_dir = Some(text)),
            "startcommand" => text(value).map(|text| config.start_command = Some(text)),
            "sessionpattern" => text(value).map(|text| config.session = Some(text)),
            "needspresync" => truth(value).map(|truth| config.needs_pre_sync = truth),
            "envvar" => variable(value).map(|(name, value)| drop(config.env.insert(name, value))),
            _ => continue,
        };
        match set {
            Ok(()) => any = true,
            Err(why) => {
                let shown: String = line.trim().chars().take(80).collect();
                faults.push(format!("{shown:?} is not used: {why}"));
            }
        }
    }
    Parsed { config: any.then_some(config), faults }
}

/// A key without its case and separators.
fn normal(key: &str) -> String {
    key.trim().chars().filter(|c| !matches!(c, '-' | '_')).collect::<String>().to_lowercase()
}

fn text(value: &str) -> Result<String, &'static str> {
    if value.contains('\0') {
        return Err("a NUL character cannot be part of a command line, a path or an environment");
    }
    Ok(value.to_owned())
}

fn truth(value: &str) -> Result<bool, &'static str> {
    match value.to_lowercase().as_str() {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err("it must be true or false"),
    }
}

fn variable(value: &str) -> Result<(String, String), &'static str> {
    let (name, value) = value.split_once('=').ok_or("it must be NAME=VALUE")?;
    let name = name.trim();
    if !is_variable(name) {
        return Err("a variable's name has only letters, digits and '_', and does not begin with a digit");
    }
    Ok((name.to_owned(), text(value.trim())?))
}

/// Whether a variable may have this name.
pub(super) fn is_variable(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn config(description: &str) -> Option<RoleConfig> {
        let Parsed { config, faults } = parse(description);
        assert_eq!(faults, Vec::<String>::new(), "{description}");
        config
    }

    #[test]
    fn as_gas_town_reads_them() {
        let expected: Vec<Value> =
            serde_json::from_str(include_str!("../../../tests/fixtures/roles/EXPECTED.json")).unwrap();
        for (file, description, faults) in [
            ("polecat_role_full.txt", include_str!("../../../tests/fixtures/roles/polecat_role_full.txt"), 0),
            (
                "witness_role_dashes.txt",
                include_str!("../../../tests/fixtures/roles/witness_role_dashes.txt"),
                1,
            ),
            ("no_config.txt", include_str!("../../../tests/fixtures/roles/no_config.txt"), 0),
        ] {
            let row = expected.iter().find(|row| row["file"] == file).unwrap();
            let word = |key: &str| row[key].as_str().filter(|text| !text.is_empty()).map(str::to_owned);
            let parsed = parse(description);
            let expected = row.get("env").and_then(Value::as_object).map(|env| RoleConfig {
                work_dir: word("work_dir_pattern"),
                needs_pre_sync: row["needs_pre_sync"].as_bool().unwrap(),
                start_command: word("start_command"),
                env: env.iter().map(|(key, v)| (key.clone(), v.as_str().unwrap().to_owned())).collect(),
                session: word("session_pattern"),
            });
            assert_eq!(parsed.config, expected, "{file}");
            assert_eq!(parsed.faults.len(), faults, "{file}: {:?}", parsed.faults);
        }
        let bead: Value =
            serde_json::from_str(include_str!("../../../tests/fixtures/bd/show_role_bead.stdout")).unwrap();
        assert_eq!(config(bead[0]["description"].as_str().unwrap()), None, "as gt makes one");
    }

    #[test]
    fn keys_and_values() {
        let set = |change: &dyn Fn(&mut RoleConfig)| {
            let mut config = RoleConfig::default();
            change(&mut config);
            Some(config)
        };
        let dir = set(&|config| config.work_dir = Some("/x".into()));
        for (case, description, expected) in [
            ("as written", "work_dir_pattern: /x", &dir),
            ("shorter", "workdir_pattern: /x", &dir),
            ("with dashes", "work-dir-pattern: /x", &dir),
            ("without separators", "WorkDirPattern: /x", &dir),
            ("with space around it", "  WORK_DIR_PATTERN :  /x  ", &dir),
            ("the last one counts", "workdir_pattern: /y\nwork_dir_pattern: /x\n", &dir),
            ("null unsets nothing", "work_dir_pattern: /x\nwork_dir_pattern: null", &dir),
            ("among other text", "# Role\n\nHello: world\nwork_dir_pattern: /x\nbye", &dir),
            ("with carriage returns", "work_dir_pattern: /x\r\n", &dir),
            ("no value", "work_dir_pattern:", &None),
            ("null", "start_command: NULL\nneeds_pre_sync: null", &None),
            ("no key of ours", "ping_timeout: 45s\nstuck_threshold: 2h", &None),
            ("nothing", "", &None),
            ("a key in a sentence", "the work_dir_pattern: /x", &None),
            ("false is a value", "needs_pre_sync: false", &set(&|_| {})),
            ("true", "needs-pre-sync: True", &set(&|config| config.needs_pre_sync = true)),
            (
                "a value with colons",
                "start_command: a: b:c",
                &set(&|config| config.start_command = Some("a: b:c".into())),
            ),
            (
                "an empty variable",
                "env_var: A=\nENV-VAR: b_2 = x=y:z\nenvvar: A=",
                &set(&|config| {
                    config.env =
                        BTreeMap::from([("A".into(), String::new()), ("b_2".into(), "x=y:z".into())]);
                }),
            ),
        ] {
            assert_eq!(&config(description), expected, "{case}");
        }
    }

    #[test]
    fn what_cannot_be_used_is_reported_and_the_rest_counts() {
        for (line, why) in [
            ("needs_pre_sync: perhaps", "true or false"),
            ("env_var: BROKEN", "NAME=VALUE"),
            ("env_var: =x", "a variable's name"),
            ("env_var: A B=x", "a variable's name"),
            ("env_var: 1A=x", "a variable's name"),
            ("start_command: a\0b", "NUL"),
        ] {
            let parsed = parse(&format!("{line}\nwork_dir_pattern: /x"));
            assert_eq!(parsed.config.unwrap().work_dir.as_deref(), Some("/x"), "{line:?}");
            assert!(parsed.faults[0].contains(why), "{line:?}: {:?}", parsed.faults);
            assert_eq!(parse(line).config, None, "{line:?} alone says nothing");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_survived(text in "((env_var|start-command|x)?[:= \n]?.{0,20}\n?){0,5}") {
            parse(&text);
        }
    }
}
