//! Which rigs are supervised: those of `mayor/rigs.json` whose agents have sessions of their own.
//!
//! tmux turns `.` into `_`, so `a.b` and `a_b` would share a session; then neither is supervised and both are
//! reported, because one would be mistaken for the other.

use std::collections::BTreeMap;

use crate::town::{
    dialect::Dialect,
    identity::{Identity, RigName},
    rig_plan::{Prefixes, RigPlan},
    rigs::Rigs,
    routes::Routes,
    settings::Naming,
};

/// The rigs to supervise, and for each rig left out the key and text of a problem.
pub fn plan(
    rigs: &Rigs,
    routes: &Routes,
    naming: Naming,
    dialect: Dialect,
) -> (Vec<RigPlan>, Vec<(String, String)>) {
    let prefixes = |rig: &RigName| {
        let beads = rigs.prefix(rig, routes).to_owned();
        let sessions = match dialect.facts().session_prefix_of_rigs {
            true => rigs.session_prefix(rig).to_owned(),
            false => beads.clone(),
        };
        Prefixes { beads, sessions }
    };
    let mut problems: Vec<(String, String)> = rigs
        .refused
        .iter()
        .map(|bad| (format!("rigs/{}", bad.name), format!("mayor/rigs.json: {bad}; it is not supervised")))
        .collect();
    let plans: Vec<RigPlan> =
        rigs.rigs.iter().map(|rig| RigPlan { name: rig.name.clone(), prefix: prefixes(&rig.name) }).collect();
    let mut taken: BTreeMap<String, Vec<RigName>> = BTreeMap::new();
    for rig in &plans {
        for session in sessions(rig, naming) {
            taken.entry(session).or_default().push(rig.name.clone());
        }
    }
    let (kept, clashing): (Vec<RigPlan>, Vec<RigPlan>) = plans.into_iter().partition(|rig| {
        sessions(rig, naming).iter().all(|session| taken.get(session).is_none_or(|who| who.len() == 1))
    });
    problems.extend(clashing.into_iter().map(|rig| {
        let text = format!(
            "rig {}: another rig's agents would have the same session names; neither is supervised, rename one",
            rig.name
        );
        (format!("rigs/{}", rig.name), text)
    }));
    (kept, problems)
}

fn sessions(rig: &RigPlan, naming: Naming) -> Vec<String> {
    Identity::of_rig(&rig.name).map(|identity| identity.session(naming, &rig.prefix.sessions)).collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::town::{rigs, routes};

    fn names(json: &str, naming: Naming) -> (Vec<String>, Vec<String>) {
        let rigs = rigs::parse(Path::new("rigs.json"), json.as_bytes()).unwrap();
        let (plans, problems) = plan(&rigs, &routes::parse(b""), naming, Dialect::January);
        (
            plans.into_iter().map(|rig| rig.name.to_string()).collect(),
            problems.into_iter().map(|(key, _)| key).collect(),
        )
    }

    #[test]
    fn clashing_and_unusable_rigs_are_left_out() {
        let rig = |name: &str, prefix: &str| format!(r#""{name}":{{"beads":{{"prefix":"{prefix}"}}}}"#);
        let town = |rigs: &[String]| format!(r#"{{"version":1,"rigs":{{{}}}}}"#, rigs.join(","));
        for (case, json, naming, kept, left_out) in [
            ("plain", town(&[rig("a", "a"), rig("b", "b")]), Naming::Rig, vec!["a", "b"], vec![]),
            (
                "same session",
                town(&[rig("a.b", "x"), rig("a_b", "y"), rig("c", "c")]),
                Naming::Rig,
                vec!["c"],
                vec!["rigs/a.b", "rigs/a_b"],
            ),
            (
                "same prefix matters only where it names sessions",
                town(&[rig("a", "x"), rig("b", "x")]),
                Naming::Rig,
                vec!["a", "b"],
                vec![],
            ),
            (
                "same prefix in the other scheme",
                town(&[rig("a", "x"), rig("b", "x")]),
                Naming::Prefix,
                vec![],
                vec!["rigs/a", "rigs/b"],
            ),
            (
                "evil",
                town(&[rig("../evil", "x"), rig("a", "a")]),
                Naming::Rig,
                vec!["a"],
                vec!["rigs/../evil"],
            ),
        ] {
            let got = names(&json, naming);
            assert_eq!(got.0, kept, "{case}");
            assert_eq!(got.1, left_out, "{case}");
        }
    }
}
