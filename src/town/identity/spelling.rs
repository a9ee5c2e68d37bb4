//! Spelling: which agent a text means, in every spelling in which Gas Town names agents.
//!
//! Mail carries addresses (`mayor/`, `gastown/witness`, `gastown/Toast`; Gas Town 0.2.6 to 0.3, `internal/mail`), its
//! programs identities (`gastown/polecats/Toast`), and its lifecycle requests names with dashes (`gastown-witness`,
//! `gastown-polecat-Toast`; `internal/daemon/lifecycle.go`, which takes only those). A rig's name may contain dashes, so
//! no text is split blindly: it is held against the rigs there are. It must not read the disk.

use super::{AgentName, Identity, RigName, Role, Scope};

/// Which agent a text means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Spelling {
    /// This one.
    Agent(Identity),
    /// `<rig>/<name>`: the crew member or the polecat of this name, whichever there is.
    Member(RigName, AgentName),
    /// None, as far as these rigs go.
    Unknown,
}

/// Reads a text, given the rigs there are. Where it can be read with two of them, the longer name counts: with the rigs `a`
/// and `a-b`, `a-b-witness` is the witness of `a-b`.
pub fn spelled(text: &str, rigs: &[RigName]) -> Spelling {
    let means = |it: &Identity| {
        it.to_string() == text
            || it.role().as_str() == text
            || it.mail_address().is_some_and(|address| address == text)
    };
    if let Some(identity) = Identity::of_town().find(means) {
        return Spelling::Agent(identity);
    }
    if let Some((rig, rest)) = text.split_once('/') {
        let Some(rig) = rigs.iter().find(|known| known.as_str() == rig) else { return Spelling::Unknown };
        return match (text.parse(), rest.parse()) {
            (Ok(identity), _) => Spelling::Agent(identity),
            (Err(_), Ok(name)) => Spelling::Member(rig.clone(), name),
            (Err(_), Err(_)) => Spelling::Unknown,
        };
    }
    let read = rigs.iter().filter_map(|rig| {
        let rest = text.strip_prefix(rig.as_str())?.strip_prefix('-')?;
        Role::of_gas_town().find_map(|role| dashed(role, rig, rest))
    });
    let longest = read.max_by_key(|identity| identity.rig().map(|rig| rig.as_str().len()));
    longest.map_or(Spelling::Unknown, Spelling::Agent)
}

/// What follows `<rig>-`: the role, or the role and a name.
fn dashed(role: Role, rig: &RigName, rest: &str) -> Option<Identity> {
    let rest = rest.strip_prefix(role.as_str())?;
    match role.facts().scope {
        Scope::Town(_) | Scope::Own(_) => None,
        Scope::Rig(identity) => rest.is_empty().then(|| identity(rig.clone())),
        Scope::Member(identity) => Some(identity(rig.clone(), rest.strip_prefix('-')?.parse().ok()?)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rigs(names: &str) -> Vec<RigName> {
        names.split_whitespace().map(|name| name.parse().unwrap()).collect()
    }

    /// What was read, as people write it: an identity, `member R N`, or `-`.
    fn read(text: &str, names: &str) -> String {
        match spelled(text, &rigs(names)) {
            Spelling::Agent(identity) => identity.to_string(),
            Spelling::Member(rig, name) => format!("member {rig} {name}"),
            Spelling::Unknown => "-".to_owned(),
        }
    }

    #[test]
    fn every_spelling() {
        for (text, expected) in [
            ("mayor", "mayor"),
            ("mayor/", "mayor"),
            ("deacon", "deacon"),
            ("deacon/", "deacon"),
            ("deacon-boot", "deacon-boot"),
            ("boot", "deacon-boot"),
            ("gastown-witness", "gastown/witness"),
            ("gastown/witness", "gastown/witness"),
            ("gastown-refinery", "gastown/refinery"),
            ("gastown/refinery", "gastown/refinery"),
            ("gastown-crew-max", "gastown/crew/max"),
            ("gastown/crew/max", "gastown/crew/max"),
            ("gastown-polecat-Toast", "gastown/polecats/Toast"),
            ("gastown/polecats/Toast", "gastown/polecats/Toast"),
            ("gastown/Toast", "member gastown Toast"),
            ("gastown/mayor", "member gastown mayor"),
        ] {
            assert_eq!(read(text, "gastown beads"), expected, "{text:?}");
        }
    }

    #[test]
    fn what_names_nobody() {
        for text in [
            "",
            "/",
            "-",
            "overseer",
            "daemon",
            "daemon/",
            "Mayor",
            " mayor",
            "mayor//",
            "boot/",
            "deacon/boot",
            "gastown",
            "gastown/",
            "gastown-",
            "gastown/witness/",
            "gastown/crew/",
            "gastown/polecats/",
            "gastown/polecat/Toast",
            "gastown/crew/a/b",
            "gastown/../beads",
            "gastown/polecats/../x",
            "gastown-Toast",
            "gastown-crew-",
            "gastown-polecats-Toast",
            "gastown-polecat-a b",
            "gastown_witness",
            "elsewhere/witness",
            "elsewhere-witness",
            "elsewhere/Toast",
            "-witness",
            "/witness",
            "GASTOWN/witness",
            "gastown/-rf",
            "gastown/é",
        ] {
            assert_eq!(read(text, "gastown beads"), "-", "{text:?}");
        }
        for text in ["gastown/witness", "gastown-witness", "gastown/Toast"] {
            assert_eq!(read(text, ""), "-", "{text:?} in a town without rigs");
        }
    }

    #[test]
    fn rigs_with_dashes() {
        for (case, rigs, text, expected) in [
            ("the longer rig", "a a-b", "a-b-witness", "a-b/witness"),
            ("in any order", "a-b a", "a-b-witness", "a-b/witness"),
            ("the shorter one", "a a-b", "a-witness", "a/witness"),
            ("the only one", "a-b", "a-b-witness", "a-b/witness"),
            ("none of them", "a", "a-b-witness", "-"),
            ("a polecat like a role", "a a-b", "a-polecat-b-witness", "a/polecats/b-witness"),
            ("the same in the longer rig", "a a-b", "a-b-polecat-b-witness", "a-b/polecats/b-witness"),
            ("and with slashes", "a a-b", "a/b-witness", "member a b-witness"),
            ("a rig like a polecat", "a a-polecat-b", "a-polecat-b-witness", "a-polecat-b/witness"),
            ("a rig like a role", "a a-crew", "a-crew-witness", "a-crew/witness"),
            ("a rig like a role, of crew", "a a-crew", "a-crew-max", "a/crew/max"),
            ("a rig called mayor", "mayor", "mayor/witness", "mayor/witness"),
            ("and its address", "mayor", "mayor/", "mayor"),
            ("a rig called deacon", "deacon", "deacon-refinery", "deacon/refinery"),
            ("boot is not of that rig", "deacon", "deacon-boot", "deacon-boot"),
            ("a rig called witness", "witness", "witness-witness", "witness/witness"),
            ("a polecat called witness", "r", "r/polecats/witness", "r/polecats/witness"),
        ] {
            assert_eq!(read(text, rigs), expected, "{case}");
        }
    }

    /// All its spellings that name it alone.
    fn spellings(identity: &Identity) -> Vec<String> {
        let canonical = identity.to_string();
        match identity {
            Identity::Mayor | Identity::Deacon => vec![format!("{canonical}/"), canonical],
            Identity::Boot => vec!["boot".to_owned(), canonical],
            Identity::Witness(rig) | Identity::Refinery(rig) => {
                vec![format!("{rig}-{}", identity.role()), canonical]
            }
            Identity::Crew(rig, name) => vec![format!("{rig}-crew-{name}"), canonical],
            Identity::Polecat(rig, name) => vec![format!("{rig}-polecat-{name}"), canonical],
            Identity::Own(_) => vec![canonical],
        }
    }

    /// In how many rigs a text with dashes names somebody.
    fn readings(text: &str, rigs: &[RigName]) -> usize {
        rigs.iter().filter(|rig| spelled(text, &[(*rig).clone()]) != Spelling::Unknown).count()
    }

    /// Names that run into each other as often as they can.
    const NAME: &str = "(a|b|crew|polecat|witness|x\\.y)(-(a|b|crew|polecat|witness|refinery)){0,3}";

    fn identities() -> impl Strategy<Value = (Vec<RigName>, Identity)> {
        let rigs = prop::collection::btree_set(NAME, 1..6);
        (rigs, any::<prop::sample::Index>(), NAME, 0..7_u8).prop_map(|(rigs, which, name, role)| {
            let rigs: Vec<RigName> = rigs.iter().map(|name| name.parse().unwrap()).collect();
            let rig = which.get(&rigs).clone();
            let name = name.parse().unwrap();
            let identity = match role {
                0 => Identity::Mayor,
                1 => Identity::Deacon,
                2 => Identity::Boot,
                3 => Identity::Witness(rig),
                4 => Identity::Refinery(rig),
                5 => Identity::Crew(rig, name),
                _ => Identity::Polecat(rig, name),
            };
            (rigs, identity)
        })
    }

    proptest! {
        #[test]
        fn every_identity_is_read_in_every_spelling((rigs, identity) in identities()) {
            for text in spellings(&identity) {
                let read = spelled(&text, &rigs);
                if identity.rig().is_none() || text.contains('/') || readings(&text, &rigs) <= 1 {
                    prop_assert_eq!(&read, &Spelling::Agent(identity.clone()), "{}", text);
                } else if let (Spelling::Agent(read), Some(rig)) = (&read, identity.rig()) {
                    let longest = read.rig().map(|rig| rig.as_str().len());
                    prop_assert!(longest >= Some(rig.as_str().len()), "{}", text);
                } else {
                    prop_assert!(false, "{} is read as {:?}", text, read);
                }
            }
            if let (Some(rig), Some(name)) = (identity.rig(), identity.name())
                && !["witness", "refinery"].contains(&name.as_str())
            {
                let address = identity.mail_address().unwrap();
                prop_assert_eq!(spelled(&address, &rigs), Spelling::Member(rig.clone(), name.clone()));
            }
        }

        #[test]
        fn any_text_is_survived(text in any::<String>(), tail in ".{0,80}") {
            let rigs = rigs("a a-b");
            for text in [text, format!("a-{tail}"), format!("a-b/{tail}"), format!("a-polecat-{tail}")] {
                if let Spelling::Agent(identity) = spelled(&text, &rigs) {
                    prop_assert_eq!(identity.to_string().parse(), Ok(identity));
                }
            }
        }
    }
}
