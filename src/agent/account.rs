//! Account: whose plan and login an agent uses.
//!
//! A usage limit and a login belong to an account and not to an agent: all agents of one account meet both together. An account is
//! known by the program, its configuration directory and the key it was given, as the environment of its process says. This
//! module must not read an environment, and the value of a key never leaves it.

use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::program::Provider;
use crate::terminal;

/// The variables of an environment that tell accounts apart, and those that say where a program keeps its sessions.
pub const VARIABLES: &[&str] = &[
    "HOME",
    "CLAUDE_CONFIG_DIR",
    "ANTHROPIC_API_KEY",
    "ANTHROPIC_AUTH_TOKEN",
    "ANTHROPIC_BASE_URL",
    "CLAUDE_CODE_OAUTH_TOKEN",
    "CODEX_HOME",
    "OPENAI_API_KEY",
    "GEMINI_API_KEY",
    "GOOGLE_API_KEY",
];

/// An account. Its [`Display`](fmt::Display) is for people; no key can be told from it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Account {
    /// The program: `claude`, `codex` or `gemini`.
    pub program: String,
    /// Its configuration directory.
    pub directory: PathBuf,
    /// A short fingerprint of the key or token that the environment gives it; `None` when it uses the login in the directory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}

impl Account {
    /// The account that a program of this provider uses in this environment; `None` when it is not known how that program keeps
    /// accounts, or where its directory is.
    pub fn of(provider: Provider, environment: &BTreeMap<String, String>) -> Option<Self> {
        let given = |variable: &str| environment.get(variable).filter(|value| !value.is_empty());
        let (below_home, keys): (_, &[&str]) = match provider {
            Provider::Claude => (
                ".claude",
                &[
                    "ANTHROPIC_API_KEY",
                    "ANTHROPIC_AUTH_TOKEN",
                    "CLAUDE_CODE_OAUTH_TOKEN",
                    "ANTHROPIC_BASE_URL",
                ],
            ),
            Provider::Codex => (".codex", &["OPENAI_API_KEY"]),
            Provider::Gemini => (".gemini", &["GEMINI_API_KEY", "GOOGLE_API_KEY"]),
            _ => return None,
        };
        let directory = match Account::directory_variable(provider).and_then(given) {
            Some(directory) => PathBuf::from(directory),
            None => Path::new(given("HOME")?).join(below_home),
        };
        let values: Vec<_> = keys.iter().filter_map(|key| given(key)).collect();
        let key = (!values.is_empty()).then(|| fingerprint(&values));
        Some(Account { program: provider.name().to_owned(), directory, key })
    }
}

/// The same for the same values in every version, as it is stored; 32 bits of it are too few to guess a key by.
fn fingerprint(values: &[&String]) -> String {
    let mut hasher = Sha256::new();
    for value in values {
        hasher.update(value.len().to_le_bytes());
        hasher.update(value);
    }
    hasher.finalize().iter().take(4).map(|byte| format!("{byte:02x}")).collect()
}

impl Account {
    /// The variable that names the configuration directory of this provider's program.
    pub fn directory_variable(provider: Provider) -> Option<&'static str> {
        match provider {
            Provider::Claude => Some("CLAUDE_CONFIG_DIR"),
            Provider::Codex => Some("CODEX_HOME"),
            _ => None,
        }
    }

    /// The file with its login; `None` when its environment gives it a key. (On macOS, Claude Code keeps the login in the
    /// keychain, and there is no such file.)
    pub fn credentials(&self) -> Option<PathBuf> {
        let name = match self.program.as_str() {
            "claude" => ".credentials.json",
            "codex" => "auth.json",
            "gemini" => "oauth_creds.json",
            _ => return None,
        };
        self.key.is_none().then(|| self.directory.join(name))
    }

    /// The command that logs this account in.
    pub fn login_command(&self) -> String {
        let directory = terminal::path(&self.directory);
        match self.program.as_str() {
            "claude" => format!("CLAUDE_CONFIG_DIR={directory} claude /login"),
            "codex" => format!("CODEX_HOME={directory} codex login"),
            program => format!("{program} (in a terminal, with the directory {directory})"),
        }
    }

    /// That its login is lost, and what to do.
    pub fn login_lost(&self) -> String {
        match &self.key {
            None => format!("the login of {self} is lost, run `{}`", self.login_command()),
            Some(_) => format!("{self} is refused, give the agents another key"),
        }
    }
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.program, terminal::path(&self.directory))?;
        match &self.key {
            Some(key) => write!(f, " with the key {key}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(provider: Provider, variables: &[(&str, &str)]) -> Option<String> {
        let environment = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Account::of(provider, &environment.collect()).map(|account| account.to_string())
    }

    #[test]
    fn an_account_is_a_program_a_directory_and_a_key() {
        let home = ("HOME", "/home/x");
        for (name, provider, variables, account) in [
            ("its home", Provider::Claude, vec![home], Some("claude (/home/x/.claude)")),
            (
                "a directory of its own",
                Provider::Claude,
                vec![home, ("CLAUDE_CONFIG_DIR", "/work/two")],
                Some("claude (/work/two)"),
            ),
            (
                "an empty variable",
                Provider::Claude,
                vec![home, ("CLAUDE_CONFIG_DIR", "")],
                Some("claude (/home/x/.claude)"),
            ),
            ("codex", Provider::Codex, vec![home, ("CODEX_HOME", "/c")], Some("codex (/c)")),
            ("gemini", Provider::Gemini, vec![home], Some("gemini (/home/x/.gemini)")),
            ("no home", Provider::Claude, vec![], None),
            ("another program", Provider::Amp, vec![home], None),
        ] {
            assert_eq!(of(provider, &variables).as_deref(), account, "{name}");
        }
    }

    #[test]
    fn keys_tell_accounts_apart_and_do_not_show() {
        let with = |key: &str| of(Provider::Claude, &[("HOME", "/h"), ("ANTHROPIC_API_KEY", key)]).unwrap();
        assert_eq!(with("sk-ant-secret"), with("sk-ant-secret"));
        assert_ne!(with("sk-ant-secret"), with("sk-ant-other"));
        assert!(with("sk-ant-secret").ends_with("with the key 2f8ce08c"), "the same in every version");
        assert!(!with("sk-ant-secret").contains("secret"));
        assert_ne!(with("sk-ant-secret"), of(Provider::Claude, &[("HOME", "/h")]).unwrap());
    }
}
