//! Overrides: what a role bead says, applied to one agent. Pure.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use super::description::RoleConfig;
use crate::{
    agent::program::provider::base_name,
    town::{
        identity::{Identity, Role},
        settings::Naming,
    },
};

/// How the start of one agent differs from the built-in way.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Overrides {
    /// The role bead that says so; empty when none does.
    pub bead: String,
    /// The directory it is started in.
    pub work_dir: Option<PathBuf>,
    /// Whether that directory is brought up to date before a restart.
    pub needs_pre_sync: Option<bool>,
    /// The shell command it is started with.
    pub start_command: Option<String>,
    /// Variables added to the built-in ones, or replacing them.
    pub env: BTreeMap<String, String>,
    /// Variables added to the built-in ones, which beat them.
    pub added: BTreeMap<String, String>,
}

impl RoleConfig {
    /// Expands it for this agent in the town with this root. Patterns may contain `{town}`, `{rig}`, `{name}` and
    /// `{role}`; a value the agent does not have is empty. In the start command each value is quoted as a word of the
    /// shell. A relative directory is relative to the town.
    pub fn overrides(&self, bead: &str, identity: &Identity, town: &Path) -> Overrides {
        let plain = |pattern: &String| expand(pattern, identity, town, str::to_owned);
        let quoted = |value: &str| match value {
            "" => String::new(), // no word rather than an empty one
            value => shell_words::quote(value).into_owned(),
        };
        Overrides {
            bead: bead.to_owned(),
            work_dir: self.work_dir.as_ref().map(|pattern| town.join(plain(pattern))),
            needs_pre_sync: Some(self.needs_pre_sync),
            start_command: self.start_command.as_ref().map(|text| expand(text, identity, town, quoted)),
            env: self.env.iter().map(|(name, pattern)| (name.clone(), plain(pattern))).collect(),
            added: BTreeMap::new(),
        }
    }

    /// Like [`RoleConfig::overrides`], as a role file counts: its variables never beat the built-in ones, and it can only
    /// switch on the pre-sync.
    pub fn added(&self, file: &str, identity: &Identity, town: &Path) -> Overrides {
        let all = self.overrides(file, identity, town);
        Overrides {
            needs_pre_sync: self.needs_pre_sync.then_some(true),
            added: all.env,
            env: BTreeMap::new(),
            ..all
        }
    }

    /// The pattern the sessions of this role follow, when the bead asks for another one.
    pub fn other_session(&self, role: Role, naming: Naming) -> Option<String> {
        let asked = self.session.as_ref()?;
        let sample = role.agent(SAMPLE_RIG.parse().ok(), SAMPLE_NAME.parse().ok())?;
        let town = Path::new("{town}");
        let session = sample.session(naming, "{prefix}");
        let asked_for = expand(asked, &sample, town, str::to_owned);
        (asked_for != session).then(|| session.replace(SAMPLE_RIG, "{rig}").replace(SAMPLE_NAME, "{name}"))
    }
}

const SAMPLE_RIG: &str = "Rig0rig";
const SAMPLE_NAME: &str = "Name0name";

/// Replaces the placeholders; other text in braces stays.
fn expand(pattern: &str, identity: &Identity, town: &Path, quote: impl Fn(&str) -> String) -> String {
    let values = [
        ("{town}", town.to_string_lossy().into_owned()),
        ("{rig}", identity.rig().map(ToString::to_string).unwrap_or_default()),
        ("{name}", identity.name().map(ToString::to_string).unwrap_or_default()),
        ("{role}", identity.role().to_string()),
    ];
    let mut expanded = String::new();
    let mut rest = pattern;
    while let Some(at) = rest.find('{') {
        expanded.push_str(&rest[..at]);
        rest = &rest[at..];
        let found = values.iter().find_map(|(key, value)| Some((rest.strip_prefix(key)?, value)));
        rest = if let Some((after, value)) = found {
            expanded.push_str(&quote(value));
            after
        } else {
            expanded.push('{');
            &rest[1..]
        };
    }
    expanded + rest
}

/// The names of the processes that a shell command may become: the first word of each command in it, without
/// directory. One too many does little harm; one too few would make a live agent look dead.
pub fn process_names(command: &str) -> Vec<String> {
    let words = shell_words::split(command)
        .unwrap_or_else(|_| command.split_whitespace().map(str::to_owned).collect());
    let mut names: Vec<String> = Vec::new();
    let mut begins = true;
    for word in &words {
        let word_of_shell =
            matches!(word.as_str(), "&&" | "||" | ";" | "|" | "&" | "(" | "{" | "then" | "do");
        if word_of_shell {
            begins = true;
            continue;
        }
        let own = word.trim_end_matches(';');
        // Words that may precede a command's own first word.
        let before =
            matches!(own, "exec" | "env" | "command" | "nohup") || own.starts_with('-') || is_assignment(own);
        let name = base_name(own);
        if begins && !before && !name.is_empty() && !names.iter().any(|known| known == name) {
            names.push(name.to_owned());
        }
        begins = (begins && before) || own.len() < word.len();
    }
    names
}

fn is_assignment(word: &str) -> bool {
    word.split_once('=').is_some_and(|(name, _)| {
        !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn agent(text: &str) -> Identity {
        text.parse().unwrap()
    }

    #[test]
    fn patterns() {
        let town = Path::new("/home/my town");
        for (pattern, identity, plain) in [
            ("{town}/{rig}/polecats/{name}/{rig}", "r/polecats/Toast", "/home/my town/r/polecats/Toast/r"),
            ("{role}:{rig}", "r/witness", "witness:r"),
            ("{rig}{name}-{role}", "deacon", "-deacon"),
            ("{boo}{{rig}}{", "r/witness", "{boo}{r}{"),
            ("", "mayor", ""),
            ("é{name}", "r/crew/max", "émax"),
        ] {
            let config =
                RoleConfig { env: BTreeMap::from([("A".into(), pattern.into())]), ..RoleConfig::default() };
            assert_eq!(config.overrides("b", &agent(identity), town).env["A"], plain, "{pattern}");
        }
        let odd = Path::new("/{rig}/{name}");
        let config = RoleConfig { work_dir: Some("{town}/x".into()), ..RoleConfig::default() };
        let overrides = config.overrides("b", &agent("r/witness"), odd);
        assert_eq!(
            overrides.work_dir.as_deref(),
            Some(Path::new("/{rig}/{name}/x")),
            "no value is a pattern"
        );
    }

    #[test]
    fn for_one_agent() {
        let said = include_str!("../../../tests/fixtures/roles/polecat_role_full.txt");
        let config = super::super::description::parse(said).config.unwrap();
        let overrides =
            config.overrides("hq-polecat-role", &agent("gastown/polecats/Toast"), Path::new("/my town"));
        assert_eq!(
            overrides,
            Overrides {
                bead: "hq-polecat-role".into(),
                work_dir: Some("/my town/gastown/polecats/Toast/gastown".into()),
                needs_pre_sync: Some(true),
                start_command: Some(
                    "exec claude --dangerously-skip-permissions --add-dir '/my town'/gastown".into()
                ),
                env: BTreeMap::from([
                    ("GT_ROLE".into(), "gastown/polecats/Toast".into()),
                    ("FOO".into(), "a=b:c".into()),
                ]),
                added: BTreeMap::new(),
            }
        );
    }

    #[test]
    fn directories_lie_in_the_town() {
        for (pattern, directory) in
            [("/elsewhere", "/elsewhere"), ("{rig}/x", "/t/r/x"), ("{town}/y", "/t/y")]
        {
            let config = RoleConfig { work_dir: Some(pattern.into()), ..RoleConfig::default() };
            let overrides = config.overrides("b", &agent("r/witness"), Path::new("/t"));
            assert_eq!(overrides.work_dir.as_deref(), Some(Path::new(directory)), "{pattern}");
        }
    }

    #[test]
    fn sessions_are_called_as_they_are() {
        for (role, naming, pattern, ours) in [
            (Role::Polecat, Naming::Rig, "gt-{rig}-{name}", None),
            (Role::Witness, Naming::Rig, "gt-{rig}-{role}", None),
            (Role::Witness, Naming::Rig, "gt-{rig}-witness", None),
            (Role::Crew, Naming::Rig, "gt-{rig}-crew-{name}", None),
            (Role::Deacon, Naming::Rig, "hq-{role}", None),
            (Role::Boot, Naming::Rig, "gt-{role}", None),
            (Role::Polecat, Naming::Prefix, "{prefix}-{name}", None),
            (Role::Polecat, Naming::Rig, "x-{name}", Some("gt-{rig}-{name}")),
            (Role::Polecat, Naming::Rig, "gt-gastown-{name}", Some("gt-{rig}-{name}")),
            (Role::Mayor, Naming::Rig, "mayor", Some("hq-mayor")),
            (Role::Witness, Naming::Prefix, "gt-{rig}-{role}", Some("{prefix}-witness")),
        ] {
            let config = RoleConfig { session: Some(pattern.into()), ..RoleConfig::default() };
            assert_eq!(config.other_session(role, naming).as_deref(), ours, "{role}: {pattern}");
        }
        assert_eq!(RoleConfig::default().other_session(Role::Mayor, Naming::Rig), None);
    }

    #[test]
    fn names_of_processes() {
        for (command, names) in [
            ("exec claude --dangerously-skip-permissions", "claude"),
            ("claude", "claude"),
            ("/opt/bin/my-agent --x", "my-agent"),
            ("FOO=1 BAR='a b' exec /opt/agent", "agent"),
            ("exec env -i A=b agent --flag", "agent"),
            ("cd /x && exec agent a b", "cd agent"),
            ("cd /x; agent", "cd agent"),
            ("a | b || c ; a", "a b c"),
            ("'/opt/my agent' x", "my agent"),
            ("agent \"unbalanced", "agent"),
            ("exec", ""),
            ("", ""),
            (" ; && ", ""),
        ] {
            assert_eq!(process_names(command).join(" "), names, "{command}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_survived(text in "[{}a-z'\";|& =é]{0,40}") {
            process_names(&text);
            expand(&text, &Identity::Mayor, Path::new("/t"), str::to_owned);
        }
    }
}
