//! Finding: which of the agents that are known a text means, in full or in short, and which it may have meant. Pure.

use std::collections::BTreeSet;

use crate::{
    nearest,
    terminal::one_line,
    town::identity::{
        Identity, RigName,
        spelling::{Spelling, spelled},
    },
};

/// So many are suggested at most.
const SUGGESTED: usize = 3;

/// A text that names none of the agents that are known, or several. Its [`Display`](std::fmt::Display) names them.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
#[error("{}", said(self))]
pub struct UnknownAgent {
    /// The text, cut to 200 characters, as one line.
    pub text: String,
    /// Those that are spelled most alike, the closest first; all that it names, where it names several.
    pub close: Vec<Identity>,
    /// Whether it is the short name of each of them.
    pub is_ambiguous: bool,
}

fn said(unknown: &UnknownAgent) -> String {
    let UnknownAgent { text, close, is_ambiguous } = unknown;
    let names: Vec<String> = close.iter().map(Identity::to_string).collect();
    match names.join(" or ") {
        names if *is_ambiguous => format!("{text} names several agents: {names}"),
        names if names.is_empty() => format!("unknown agent {text}"),
        names => format!("unknown agent {text}; did you mean {names}?"),
    }
}

/// Which agent a text means, in any spelling, of those that are known (by the running supervisor, by the histories). The
/// town's rigs are told apart from an agent's name by `rigs`; those of known agents count too, so that an agent of a rig that is
/// gone is found. `<rig>/<name>` is the polecat of this name where one is known, else the crew member. What is no full name may be
/// a short one: an agent's own name or its role, in upper or lower case, where only one agent has it.
pub fn find(text: &str, rigs: &[RigName], known: &[Identity]) -> Result<Identity, UnknownAgent> {
    search(text, rigs, known, false)
}

/// The same, for what is done to an agent: `<rig>/<name>` names neither where both a polecat and a crew member have the name.
pub fn find_one(text: &str, known: &[Identity]) -> Result<Identity, UnknownAgent> {
    search(text, &[], known, true)
}

fn search(
    text: &str,
    rigs: &[RigName],
    known: &[Identity],
    must_be_one: bool,
) -> Result<Identity, UnknownAgent> {
    let rigs: BTreeSet<&RigName> = rigs.iter().chain(known.iter().filter_map(Identity::rig)).collect();
    let rigs: Vec<RigName> = rigs.into_iter().cloned().collect();
    let meant = match spelled(text, &rigs) {
        Spelling::Agent(identity) => vec![identity],
        Spelling::Member(rig, name) => {
            vec![Identity::Polecat(rig.clone(), name.clone()), Identity::Crew(rig, name)]
        }
        Spelling::Unknown => Vec::new(),
    };
    let meant: Vec<Identity> = meant.into_iter().filter(|identity| known.contains(identity)).collect();
    if let Some(identity) = meant.first().filter(|_| !must_be_one || meant.len() == 1) {
        return Ok(identity.clone());
    }
    let mut named = if meant.is_empty() { named_in_short(text, known) } else { meant };
    match (named.pop(), named.is_empty()) {
        (Some(identity), true) => return Ok(identity),
        (last, _) => named.extend(last),
    }
    let (close, is_ambiguous) = match named.is_empty() {
        true => (close_ones(text, known), false),
        false => (named, true),
    };
    Err(UnknownAgent { text: one_line(&text.chars().take(200).collect::<String>()), close, is_ambiguous })
}

/// The agents that a short name names; those that have it in the same case go before all others.
fn named_in_short(text: &str, known: &[Identity]) -> Vec<Identity> {
    let with = |is_it: &dyn Fn(&str) -> bool| {
        let named = known.iter().filter(|identity| spellings(identity).iter().any(|it| is_it(it)));
        named.cloned().collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>()
    };
    let exactly = with(&|spelling| spelling == text);
    if exactly.is_empty() { with(&|spelling| spelling.eq_ignore_ascii_case(text)) } else { exactly }
}

/// The few of these that are spelled most like a text: of a word, one letter in three may differ, and upper and lower case
/// are the same. An agent's own name alone (`Toast`), or its role (`witness`), is close too. The closest first, then by identity.
pub fn close_ones(text: &str, known: &[Identity]) -> Vec<Identity> {
    let text: String = text.chars().take(200).collect::<String>().to_lowercase();
    let mut close: Vec<(usize, &Identity)> = known
        .iter()
        .filter_map(|identity| {
            let distances =
                spellings(identity).into_iter().filter_map(|it| distance(&text, &it.to_lowercase()));
            Some((distances.min()?, identity))
        })
        .collect();
    close.sort();
    close.dedup();
    close.into_iter().take(SUGGESTED).map(|(_, identity)| identity.clone()).collect()
}

/// In how many letters two texts differ; `None` when they are not alike. Of texts with as many words, each word must be
/// like its counterpart: what they have in common elsewhere makes no `Ghost` of a `Toast`.
fn distance(text: &str, spelling: &str) -> Option<usize> {
    let words = |text: &str| text.split(['/', '-']).map(str::to_owned).collect::<Vec<_>>();
    let (one, other) = (words(text), words(spelling));
    if one.len() == other.len() {
        one.iter().zip(&other).map(|(one, other)| nearest::distance(one, other)).sum()
    } else {
        nearest::distance(text, spelling)
    }
}

/// The ways in which people may write it.
fn spellings(identity: &Identity) -> Vec<String> {
    let mut spellings = vec![identity.to_string()];
    let role = identity.role();
    match (identity.rig(), identity.name()) {
        (Some(rig), Some(name)) => {
            spellings.extend([format!("{rig}/{name}"), format!("{rig}-{role}-{name}"), name.to_string()]);
        }
        (Some(rig), None) => spellings.extend([format!("{rig}-{role}"), role.to_string()]),
        (None, Some(name)) => spellings.push(name.to_string()),
        (None, None) => spellings.push(role.to_string()),
    }
    spellings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known() -> Vec<Identity> {
        [
            "mayor",
            "deacon",
            "deacon-boot",
            "gastown/witness",
            "gastown/refinery",
            "gastown/polecats/Toast",
            "gastown/polecats/Nux",
            "gastown/crew/max",
            "gastown/crew/Nux",
            "a-b/witness",
            "beads/witness",
        ]
        .map(|text| text.parse().unwrap())
        .to_vec()
    }

    #[test]
    fn the_grid_of_texts() {
        for (text, expected) in [
            ("gastown/witness", "gastown/witness"),
            ("gastown-witness", "gastown/witness"),
            ("a-b-witness", "a-b/witness"),
            ("mayor/", "mayor"),
            ("boot", "deacon-boot"),
            ("gastown/Toast", "gastown/polecats/Toast"),
            ("gastown/max", "gastown/crew/max"),
            ("gastown/Nux", "gastown/polecats/Nux"),
            ("gastown-crew-Nux", "gastown/crew/Nux"),
            ("gastwon/witness", "unknown agent gastwon/witness; did you mean gastown/witness?"),
            ("GASTOWN/Witness", "gastown/witness"),
            ("Toast", "gastown/polecats/Toast"),
            ("toast", "gastown/polecats/Toast"),
            ("max", "gastown/crew/max"),
            ("tost", "unknown agent tost; did you mean gastown/polecats/Toast?"),
            ("nux", "nux names several agents: gastown/crew/Nux or gastown/polecats/Nux"),
            ("refinery", "gastown/refinery"),
            ("Witness", "Witness names several agents: a-b/witness or beads/witness or gastown/witness"),
            ("crew", "unknown agent crew"),
            ("decon", "unknown agent decon; did you mean deacon?"),
            ("bead/witness", "unknown agent bead/witness; did you mean beads/witness?"),
            // Spelled as it should be, but there is none.
            ("gastown/polecats/Ghost", "unknown agent gastown/polecats/Ghost"),
            (
                "gastown/polecats/Tost",
                "unknown agent gastown/polecats/Tost; did you mean gastown/polecats/Toast?",
            ),
            ("gastwon-witness", "unknown agent gastwon-witness; did you mean gastown/witness?"),
            ("beads/refinery", "unknown agent beads/refinery"),
            ("", "unknown agent "),
            ("something else entirely", "unknown agent something else entirely"),
            ("two\nlines", "unknown agent two\\nlines"),
        ] {
            let found = find(text, &["gastown".parse().unwrap()], &known());
            let found = found.map_or_else(|unknown| unknown.to_string(), |identity| identity.to_string());
            assert_eq!(found, expected, "{text:?}");
        }
    }

    #[test]
    fn what_is_done_to_an_agent_is_done_to_one() {
        let known =
            |names: &[&str]| names.iter().map(|name| name.parse().unwrap()).collect::<Vec<Identity>>();
        let both = known(&["gastown/polecats/Nux", "gastown/crew/Nux"]);
        for text in ["gastown/Nux", "Nux"] {
            let several = find_one(text, &both).unwrap_err();
            assert!(several.is_ambiguous && several.close.len() == 2, "{text}: {several}");
        }
        assert_eq!(find_one("gastown/crew/Nux", &both), Ok(both[1].clone()));
        assert_eq!(find_one("gastown/Nux", &both[1..]), Ok(both[1].clone()));
    }

    #[test]
    fn the_case_tells_apart_what_is_otherwise_one_name() {
        let known = ["r/polecats/toast", "s/polecats/Toast"].map(|text| text.parse().unwrap());
        let found =
            |text: &str| find(text, &[], &known).map(|it| it.to_string()).map_err(|it| it.to_string());
        assert_eq!(found("toast"), Ok("r/polecats/toast".to_owned()));
        assert_eq!(found("Toast"), Ok("s/polecats/Toast".to_owned()));
        let several = "TOAST names several agents: r/polecats/toast or s/polecats/Toast";
        assert_eq!(found("TOAST"), Err(several.to_owned()));
    }

    #[test]
    fn no_more_than_three_are_suggested_the_closest_first() {
        let known: Vec<Identity> = (0..9).map(|n| format!("r/polecats/dog{n}").parse().unwrap()).collect();
        let close: Vec<String> = close_ones("r/dog7x", &known).iter().map(Identity::to_string).collect();
        assert_eq!(close, ["r/polecats/dog7"]);
        let close: Vec<String> =
            close_ones("r/polecats/dogs", &known).iter().map(Identity::to_string).collect();
        assert_eq!(close, ["r/polecats/dog0", "r/polecats/dog1", "r/polecats/dog2"]);
        assert_eq!(close_ones(&"x".repeat(100_000), &known), []);
    }
}
