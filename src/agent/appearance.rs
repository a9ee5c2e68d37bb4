//! Appearance: what a session looks like and which keys do something in it.
//!
//! Colours, icons and bindings are those of Gas Town 0.2.6 to 0.3 (`internal/tmux/theme.go`, `tmux.go`). A binding is
//! global to a tmux server that may be the user's own, so each acts in this town's sessions only. Nothing here talks to tmux.

use crate::{
    sessions::{KeyBinding, OUR_SESSIONS},
    town::{
        identity::{Identity, RigName},
        settings::Naming,
    },
};

/// Background and foreground of the rigs, picked by the rig's name: ocean, forest, rust, plum, slate, ember, midnight,
/// wine, teal, copper.
const PALETTE: [(&str, &str); 10] = [
    ("#1e3a5f", "#e0e0e0"),
    ("#2d5a3d", "#e0e0e0"),
    ("#8b4513", "#f5f5dc"),
    ("#4a3050", "#e0e0e0"),
    ("#4a5568", "#e0e0e0"),
    ("#b33a00", "#f5f5dc"),
    ("#1a1a2e", "#c0c0c0"),
    ("#722f37", "#f5f5dc"),
    ("#0d5c63", "#e0e0e0"),
    ("#6d4c41", "#f5f5dc"),
];

/// The options of an agent's session, in order; none for boot, which is gone before a person sees it.
pub fn options(identity: &Identity, session: &str) -> Vec<(&'static str, String)> {
    let (Some((background, foreground)), Some(left)) = (theme(identity), left_status(identity)) else {
        return Vec::new();
    };
    vec![
        ("status-style", format!("bg={background},fg={foreground}")),
        ("status-left-length", "25".to_owned()),
        ("status-left", left),
        ("status-right-length", "80".to_owned()),
        ("status-right", right_status(session)),
        ("status-interval", "5".to_owned()),
        ("mouse", "on".to_owned()),
    ]
}

fn theme(identity: &Identity) -> Option<(&'static str, &'static str)> {
    let of_rig = |rig: &RigName| PALETTE[fnv1a(rig.as_str()) as usize % PALETTE.len()];
    identity.facts().colours.or_else(|| identity.rig().map(of_rig))
}

/// FNV-1a, 32 bits, as Go's `hash/fnv` computes it, so that a rig keeps the colours `gt` gave it.
fn fnv1a(text: &str) -> u32 {
    text.bytes().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

fn left_status(identity: &Identity) -> Option<String> {
    identity.facts().status.map(|pattern| format!("{} ", identity.fill(pattern)))
}

/// `gt`'s own status and the time. A session name that would mean something to the shell or to tmux gets the time only.
fn right_status(session: &str) -> String {
    let plain = session.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'));
    if plain {
        format!("#(gt status-line --session={session} 2>/dev/null) %H:%M")
    } else {
        "%H:%M".to_owned()
    }
}

/// The bindings of a town; bound once per tmux server. `prefixes` are the rigs' bead prefixes without their trailing
/// `-`, which begin the session names under [`Naming::Prefix`].
pub fn key_bindings(naming: Naming, prefixes: &[String]) -> Vec<KeyBinding> {
    let only_if = ours(naming, prefixes);
    [
        ("prefix", "n", cycle("next")),
        ("prefix", "p", cycle("prev")),
        ("prefix", "a", "run-shell -b \"gt feed --window\"".to_owned()),
        (
            "root",
            "MouseDown1StatusRight",
            "display-popup -w 60 -h 15 \"gt mail peek || echo 'No unread mail'\"".to_owned(),
        ),
    ]
    .into_iter()
    .map(|(table, key, then)| KeyBinding { table, key, only_if: only_if.clone(), then })
    .collect()
}

/// In the background: a client must not wait for `gt`.
fn cycle(direction: &str) -> String {
    format!("run-shell -b \"gt cycle {direction} --session #{{session_name}}\"")
}

/// A format that is true in this town's sessions.
fn ours(naming: Naming, prefixes: &[String]) -> String {
    let mut leads = vec!["hq".to_owned()];
    match naming {
        Naming::Rig => leads.push("gt".to_owned()),
        Naming::Prefix => leads.extend(prefixes.iter().map(|prefix| pattern(prefix))),
    }
    leads.sort();
    leads.dedup();
    format!("#{{m/r:^({}{OUR_SESSIONS}", leads.join("|"))
}

/// A prefix as it stands in a session name, with anything that is special in a format or pattern matched by any
/// character.
fn pattern(prefix: &str) -> String {
    prefix
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || matches!(c, '-' | '_') { c } else { '.' })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(text: &str) -> Identity {
        let rig = || "gastown".parse().unwrap();
        match text {
            "mayor" => Identity::Mayor,
            "deacon" => Identity::Deacon,
            "witness" => Identity::Witness(rig()),
            "refinery" => Identity::Refinery(rig()),
            "crew" => Identity::Crew(rig(), "max".parse().unwrap()),
            "polecat" => Identity::Polecat(rig(), "Toast".parse().unwrap()),
            _ => Identity::Boot,
        }
    }

    #[test]
    fn the_hash_is_fnv_1a() {
        // The published test vectors.
        for (text, hash) in [("", 0x811c_9dc5), ("a", 0xe40c_292c), ("foobar", 0xbf9c_f968)] {
            assert_eq!(fnv1a(text), hash, "{text:?}");
        }
    }

    #[test]
    fn a_rig_keeps_its_colours_whatever_the_role() {
        for role in ["witness", "refinery", "crew", "polecat"] {
            assert_eq!(theme(&identity(role)), Some(("#0d5c63", "#e0e0e0")), "{role}: teal");
        }
        // By the published hash: 0xbf9cf968 ends in 0.
        let ocean = Some(("#1e3a5f", "#e0e0e0"));
        assert_eq!(theme(&Identity::Witness("foobar".parse().unwrap())), ocean);
    }

    #[test]
    fn left_statuses() {
        for (who, left) in [
            ("mayor", "🎩 Mayor "),
            ("deacon", "🐺 Deacon "),
            ("witness", "🦉 gastown/witness "),
            ("refinery", "🏭 gastown/refinery "),
            ("crew", "👷 gastown/crew/max "),
            ("polecat", "😺 gastown/Toast "),
        ] {
            assert_eq!(left_status(&identity(who)).as_deref(), Some(left));
        }
    }

    #[test]
    fn all_options() {
        let options = options(&Identity::Deacon, "hq-deacon");
        let expected = [
            ("status-style", "bg=#2d1f3d,fg=#c0b0d0"),
            ("status-left-length", "25"),
            ("status-left", "🐺 Deacon "),
            ("status-right-length", "80"),
            ("status-right", "#(gt status-line --session=hq-deacon 2>/dev/null) %H:%M"),
            ("status-interval", "5"),
            ("mouse", "on"),
        ];
        assert_eq!(options.iter().map(|(o, v)| (*o, v.as_str())).collect::<Vec<_>>(), expected);
        assert!(super::options(&Identity::Boot, "gt-boot").is_empty());
        assert_eq!(super::options(&Identity::Mayor, "hq-mayor")[0].1, "bg=#3d3200,fg=#ffd700");
    }

    #[test]
    fn an_odd_session_name_is_not_handed_to_a_shell() {
        for name in ["x$(reboot)-witness", "a b", "a#b", "a)b", "a'b"] {
            assert_eq!(right_status(name), "%H:%M", "{name}");
        }
    }

    #[test]
    fn bindings_are_for_this_towns_names() {
        let rig = "#{m/r:^(gt|hq)-[A-Za-z0-9_-]+$,#{session_name}}";
        for (naming, prefixes, only_if) in [
            (Naming::Rig, &["zz"][..], rig),
            (Naming::Prefix, &["gt", "be"], "#{m/r:^(be|gt|hq)-[A-Za-z0-9_-]+$,#{session_name}}"),
            (Naming::Prefix, &["gt", "gt"], rig),
            (Naming::Prefix, &["a,}#"], "#{m/r:^(a...|hq)-[A-Za-z0-9_-]+$,#{session_name}}"),
        ] {
            let prefixes: Vec<String> = prefixes.iter().map(|prefix| (*prefix).to_owned()).collect();
            let bindings = key_bindings(naming, &prefixes);
            assert!(bindings.iter().all(|binding| binding.only_if == only_if), "{:?}", bindings[0].only_if);
            let keys: Vec<_> = bindings.iter().map(|b| (b.table, b.key)).collect();
            assert_eq!(
                keys,
                [("prefix", "n"), ("prefix", "p"), ("prefix", "a"), ("root", "MouseDown1StatusRight"),]
            );
        }
    }
}
