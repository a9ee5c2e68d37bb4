//! Identity: who an agent is, and the one place where its session name, address and bead id are formed, by the facts of its
//! [role](Role).
//!
//! The identity is the agent's `BD_ACTOR` form (`deacon`, `gastown/witness`, `gastown/polecats/Toast`); that is what is
//! printed, logged and keyed by. Facts from Gas Town 0.2.6 to 0.3 (`internal/session/names.go`, `internal/config/env.go`,
//! `gt` observed in January 2026). Names become paths, session names and arguments, so only [`RigName`] and [`AgentName`]
//! that passed the check exist. This module must not read the disk.

mod role;
pub mod spelling;

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub use self::role::{Facts, Role, Scope, Wanted};
use crate::town::{
    dialect::Dialect,
    settings::{Naming, Patrols, Settings},
};

/// Why a name from a file is not used.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
#[error("{kind} name {name:?} is not usable: {reason}")]
pub struct BadName {
    /// `rig` or `agent`.
    pub kind: &'static str,
    /// The name, cut to 80 characters.
    pub name: String,
    /// What is wrong with it.
    pub reason: &'static str,
}

fn check(kind: &'static str, name: &str) -> Result<(), BadName> {
    let bad = |reason| Err(BadName { kind, name: name.chars().take(80).collect(), reason });
    let Some(first) = name.chars().next() else {
        return bad("it is empty");
    };
    if name.len() > 64 {
        return bad("it is longer than 64 characters");
    }
    if !first.is_ascii_alphanumeric() {
        return bad("it must begin with a letter or digit");
    }
    if !name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-')) {
        return bad("only letters, digits, '.', '_' and '-' are allowed");
    }
    Ok(())
}

macro_rules! checked_name {
    ($(#[$doc:meta])* $type:ident, $kind:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $type(String);

        impl $type {
            /// The name itself.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $type {
            type Err = BadName;

            fn from_str(name: &str) -> Result<Self, BadName> {
                check($kind, name).map(|()| $type(name.to_owned()))
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

checked_name!(
    /// A rig's name: `[A-Za-z0-9][A-Za-z0-9._-]{0,63}`.
    RigName,
    "rig"
);
checked_name!(
    /// A polecat's or crew member's name, by the same rule.
    AgentName,
    "agent"
);

/// Which agent: a [`Role`], with the rig and name it needs. Its [`Display`](fmt::Display) is the `BD_ACTOR` form.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Identity {
    /// `mayor`.
    Mayor,
    /// `deacon`.
    Deacon,
    /// `deacon-boot`.
    Boot,
    /// `<rig>/witness`.
    Witness(RigName),
    /// `<rig>/refinery`.
    Refinery(RigName),
    /// `<rig>/crew/<name>`.
    Crew(RigName, AgentName),
    /// `<rig>/polecats/<name>`.
    Polecat(RigName, AgentName),
    /// `@<name>`: an agent of `agents.toml`. Neither a rig's name nor a town's agent begins with `@`, so the form needs no
    /// knowledge of the town: an agent of the file may be called `mayor`.
    Own(AgentName),
}

impl Identity {
    fn parts(&self) -> (Role, Option<&RigName>, Option<&AgentName>) {
        match self {
            Identity::Mayor => (Role::Mayor, None, None),
            Identity::Deacon => (Role::Deacon, None, None),
            Identity::Boot => (Role::Boot, None, None),
            Identity::Witness(rig) => (Role::Witness, Some(rig), None),
            Identity::Refinery(rig) => (Role::Refinery, Some(rig), None),
            Identity::Crew(rig, name) => (Role::Crew, Some(rig), Some(name)),
            Identity::Polecat(rig, name) => (Role::Polecat, Some(rig), Some(name)),
            Identity::Own(name) => (Role::Agent, None, Some(name)),
        }
    }

    /// All agents of which a Gas Town has one.
    pub fn of_town() -> impl Iterator<Item = Identity> {
        Role::ALL.iter().filter_map(|role| role.agent(None, None))
    }

    /// All agents of which this rig has one.
    pub fn of_rig(rig: &RigName) -> impl Iterator<Item = Identity> {
        let all = Role::ALL.iter().filter_map(|role| role.agent(Some(rig.clone()), None));
        all.filter(|identity| identity.rig().is_some())
    }

    /// Its role, such as `witness`.
    pub fn role(&self) -> Role {
        self.parts().0
    }

    /// What is known of its role.
    pub fn facts(&self) -> &'static Facts {
        self.role().facts()
    }

    /// When it is to run, by these settings.
    pub fn wanted(&self, settings: &Settings) -> Wanted {
        self.role().wanted(settings)
    }

    /// The words after `gt` that start it.
    pub fn gt_start(&self) -> Vec<String> {
        self.facts().gt_start.split(' ').map(|word| self.fill(word)).collect()
    }

    /// The words after `gt` that end it and start it again, for people; `None` for one that ends by itself.
    pub fn gt_restart(&self) -> Option<String> {
        let words = self.facts().gt_restart;
        (!words.is_empty()).then(|| self.fill(words))
    }

    /// The name of its actor, in reports and the log.
    pub fn actor_name(&self) -> String {
        match self {
            Identity::Mayor | Identity::Deacon | Identity::Boot => self.role().to_string(),
            _ => self.to_string(),
        }
    }

    /// As people call it where only agents are named: an agent of `agents.toml` by its name alone.
    pub fn called(&self) -> String {
        match self {
            Identity::Own(name) => name.to_string(),
            _ => self.to_string(),
        }
    }

    /// Its rig; town-level agents have none.
    pub fn rig(&self) -> Option<&RigName> {
        self.parts().1
    }

    /// Its own name, for polecats, crew and agents of `agents.toml`.
    pub fn name(&self) -> Option<&AgentName> {
        self.parts().2
    }

    /// The patrol that governs it, when its switch in `mayor/daemon.json` is off.
    pub fn switched_off(&self, patrols: &Patrols) -> Option<&'static str> {
        let (name, patrol) = self.facts().patrol?;
        let patrol = patrol(patrols);
        let on = self.rig().map_or(patrol.enabled, |rig| patrol.covers(rig.as_str()));
        (!on).then_some(name)
    }

    /// A pattern with its rig and name in their places; what it does not have is empty.
    pub fn fill(&self, pattern: &str) -> String {
        role::fill(pattern, self.rig(), self.name())
    }

    /// Its tmux session under a naming scheme, as [`Role::session`] has it.
    pub fn session(&self, naming: Naming, prefix: &str) -> String {
        self.role().session(naming, prefix, self.rig(), self.name())
    }

    /// The ids its agent bead may have in a town of this dialect, most likely first; boot has none. `prefix` is the rig's
    /// bead prefix without its trailing `-`. Where it is the rig's name, 1.x has it once (`ff-witness`); January repeats it
    /// (`ff-ff-witness`), and a later `gt` may have made the other: look the first up, then the second.
    pub fn agent_beads(&self, prefix: &str, dialect: Dialect) -> Vec<String> {
        let Some(pattern) = self.facts().bead else { return Vec::new() };
        let collapses = self.rig().is_some_and(|rig| rig.as_str() == prefix);
        let whole = (!collapses || dialect.facts().agent_beads_repeat_rig).then(|| pattern.to_owned());
        let once = collapses.then(|| pattern.replace("{rig}-", ""));
        let patterns = whole.into_iter().chain(once);
        patterns.map(|pattern| self.fill(&pattern).replace("{prefix}", prefix)).collect()
    }

    /// Its mail address; boot has none.
    pub fn mail_address(&self) -> Option<String> {
        self.facts().address.map(|pattern| self.fill(pattern))
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.fill(self.facts().identity))
    }
}

/// A text that is no identity.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
#[error("{0:?} names no agent")]
pub struct NoIdentity(pub String);

/// Reads the form that [`Display`](fmt::Display) writes, and no other; [`spelling`] reads the others.
impl FromStr for Identity {
    type Err = NoIdentity;

    fn from_str(text: &str) -> Result<Self, NoIdentity> {
        if let Some(name) = text.strip_prefix('@') {
            let name = name.parse().ok();
            return name.map(Identity::Own).ok_or_else(|| NoIdentity(text.chars().take(200).collect()));
        }
        let (rig, name) = (text.split('/').next(), text.rsplit('/').next());
        let (rig, name) = (rig.and_then(|rig| rig.parse().ok()), name.and_then(|name| name.parse().ok()));
        let mut agents = Role::ALL.iter().filter_map(|role| role.agent(rig.clone(), name.clone()));
        let found = agents.find(|identity| identity.to_string() == text);
        found.ok_or_else(|| NoIdentity(text.chars().take(200).collect()))
    }
}

impl Serialize for Identity {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Identity {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rig(name: &str) -> RigName {
        name.parse().unwrap()
    }

    #[test]
    fn names_accept_and_refuse() {
        let long = "a".repeat(65);
        let longest = "a".repeat(64);
        for (name, ok) in [
            ("gastown", true),
            ("a-b.c_d", true),
            ("9lives", true),
            (longest.as_str(), true),
            ("", false),
            ("../evil", false),
            (".hidden", false),
            ("-flag", false),
            ("a b", false),
            ("a/b", false),
            ("é", false),
            (long.as_str(), false),
        ] {
            assert_eq!(name.parse::<RigName>().is_ok(), ok, "{name:?}");
            assert_eq!(name.parse::<AgentName>().is_ok(), ok, "{name:?}");
        }
    }

    #[test]
    fn sessions_follow_the_scheme() {
        let toast = Identity::Polecat(rig("gastown"), "Toast".parse().unwrap());
        let max = Identity::Crew(rig("my.rig"), "max".parse().unwrap());
        for (identity, by_rig, by_prefix) in [
            (Identity::Mayor, "hq-mayor", "hq-mayor"),
            (Identity::Deacon, "hq-deacon", "hq-deacon"),
            (Identity::Boot, "gt-boot", "hq-boot"),
            (Identity::Witness(rig("a-b")), "gt-a-b-witness", "gt-witness"),
            (Identity::Refinery(rig("gastown")), "gt-gastown-refinery", "gt-refinery"),
            (toast, "gt-gastown-Toast", "gt-Toast"),
            (max, "gt-my_rig-crew-max", "gt-crew-max"),
        ] {
            assert_eq!(identity.session(Naming::Rig, "gt"), by_rig);
            assert_eq!(identity.session(Naming::Prefix, "gt"), by_prefix);
        }
    }

    #[test]
    fn agent_beads_as_gas_town_builds_them() {
        let text = include_str!("../../tests/fixtures/bd/agent_ids.json");
        let cases: serde_json::Value = serde_json::from_str(text).unwrap();
        let mut seen = 0;
        let dialects = [("seed_2026-01-16", Dialect::January), ("head_2026-04-30", Dialect::V1)];
        for (version, dialect) in dialects {
            for case in cases[version].as_array().unwrap() {
                let word = |at: usize| case[at].as_str().unwrap();
                let (prefix, of) = word(1).split_once('|').unwrap_or_default();
                let name = || word(2).parse().unwrap();
                let identity = match word(0) {
                    "mayor" => Identity::Mayor,
                    "deacon" => Identity::Deacon,
                    "witness" => Identity::Witness(rig(of)),
                    "refinery" => Identity::Refinery(rig(of)),
                    "crew" => Identity::Crew(rig(of), name()),
                    "polecat" => Identity::Polecat(rig(of), name()),
                    _ => continue, // no agents of ours
                };
                assert_eq!(identity.agent_beads(prefix, dialect)[0], word(3), "{version}: {case}");
                assert!(
                    identity.agent_beads(prefix, Dialect::January).contains(&word(3).to_owned()),
                    "{case}"
                );
                assert_eq!(identity.agent_beads(prefix, Dialect::V1).len(), 1, "{case}");
                seen += 1;
            }
        }
        assert_eq!(seen, 13, "all that are agents of ours");
        assert_eq!(Identity::Boot.agent_beads("gt", Dialect::January), Vec::<String>::new());
        assert_eq!(Identity::Witness(rig("gastown")).agent_beads("gt", Dialect::January).len(), 1);
        assert_eq!(
            Identity::Witness(rig("ff")).agent_beads("ff", Dialect::January),
            ["ff-ff-witness", "ff-witness"]
        );
    }

    #[test]
    fn identity_is_the_bd_actor_form() {
        let name: AgentName = "Toast".parse().unwrap();
        for (identity, text, address) in [
            (Identity::Mayor, "mayor", Some("mayor/")),
            (Identity::Deacon, "deacon", Some("deacon/")),
            (Identity::Boot, "deacon-boot", None),
            (Identity::Witness(rig("r")), "r/witness", Some("r/witness")),
            (Identity::Refinery(rig("r")), "r/refinery", Some("r/refinery")),
            (Identity::Crew(rig("r"), name.clone()), "r/crew/Toast", Some("r/Toast")),
            (Identity::Polecat(rig("r"), name.clone()), "r/polecats/Toast", Some("r/Toast")),
            (Identity::Own(name), "@Toast", None),
            (Identity::Own("mayor".parse().unwrap()), "@mayor", None),
        ] {
            assert_eq!(identity.to_string(), text);
            assert_eq!(text.parse(), Ok(identity.clone()));
            assert_eq!(identity.mail_address().as_deref(), address);
        }
    }
}
