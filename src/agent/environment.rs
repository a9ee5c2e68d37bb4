//! Environment: the variables an agent's session is created with, and those it must not inherit.
//!
//! Facts from Gas Town 0.2.6 to 0.3 and gt 1.0.1 (`internal/config/env.go`, `internal/session/`), and from agents that `gt`
//! started. What a variable means is the business of `gt` and of the agent; nothing here may read our own environment.

use std::{collections::BTreeMap, path::Path};

use super::program::AgentProgram;
use crate::town::{
    dialect::{Dialect, roles},
    environment::{AGENT, DROPPED, GAS_TOWN, TOWN},
    identity::Identity,
};

/// The environment of an agent, beyond what its tmux server hands down: the built-in variables, and `own`, those of its role
/// bead, which beat them. A town path that is not UTF-8 is taken lossily,
/// as tmux takes text only.
pub fn environment(
    identity: &Identity,
    town: &Path,
    program: &AgentProgram,
    own: BTreeMap<String, String>,
) -> BTreeMap<String, String> {
    let mut variables = in_every_dialect(identity, town, program);
    variables.insert("GT_ROLE".to_owned(), roles::name(Dialect::January, identity));
    variables.extend(of_role(Dialect::January, identity));
    variables.extend(own);
    variables
}

fn in_every_dialect(identity: &Identity, town: &Path, program: &AgentProgram) -> BTreeMap<String, String> {
    let mut variables = BTreeMap::new();
    let mut set = |variable: &str, value: &str| {
        variables.insert(variable.to_owned(), value.to_owned());
    };
    set("GT_ROOT", &town.to_string_lossy());
    set("BD_ACTOR", &identity.to_string());
    set("GIT_AUTHOR_NAME", &identity.name().map_or_else(|| identity.actor_name(), ToString::to_string));
    set("GT_PROCESS_NAMES", &program.process_names.join(","));
    if let Some(variable) = &program.session_id_env {
        set("GT_SESSION_ID_ENV", variable);
    }
    if let Some(rig) = identity.rig() {
        set("GT_RIG", rig.as_str());
    }
    variables
}

fn of_role(dialect: Dialect, identity: &Identity) -> impl Iterator<Item = (String, String)> {
    let variables = roles::of(dialect, identity.role()).variables;
    variables.iter().map(|(variable, pattern)| ((*variable).to_owned(), identity.fill(pattern)))
}

/// What the variables of an agent in a 1.x town say, beside who it is and what it runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct V1<'a> {
    /// The name of its session.
    pub session: &'a str,
    /// The id of this run, a UUID.
    pub run: String,
    /// Where the Dolt server is: `GT_DOLT_PORT` and the like.
    pub dolt: BTreeMap<String, String>,
    /// What is said of a polecat only.
    pub polecat: Option<OfPolecat<'a>>,
}

/// What is said of a polecat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OfPolecat<'a> {
    /// Its worktree.
    pub directory: &'a Path,
    /// The branch in it, if it is on one.
    pub branch: Option<String>,
    /// Its place among the polecats of its rig, from 0, by which tests choose ports; `None` when it is not known.
    pub slot: Option<usize>,
}

/// The environment of an agent in a 1.x town, beyond what its tmux server hands down. `own`, the variables that the settings of
/// its role give, and those of its program replace no variable by which `gt` knows the agent.
pub fn v1(
    identity: &Identity,
    town: &Path,
    program: &AgentProgram,
    own: BTreeMap<String, String>,
    given: V1<'_>,
) -> BTreeMap<String, String> {
    // A variable that is empty here keeps what the tmux server has from reaching the agent.
    let mut variables: BTreeMap<String, String> = [
        ("CLAUDE_CODE_EFFORT_LEVEL", program.effort.as_deref().unwrap_or("high")),
        ("NODE_OPTIONS", ""),
        ("CLAUDECODE", ""),
    ]
    .map(|(variable, value)| (variable.to_owned(), value.to_owned()))
    .into();
    variables.extend(own);
    variables.extend(program.environment.clone());
    variables.extend(in_every_dialect(identity, town, program));
    variables.extend(of_role(Dialect::V1, identity));
    let town = town.to_string_lossy();
    let mut set = |variable: &str, value: &str| {
        variables.insert(variable.to_owned(), value.to_owned());
    };
    set("GT_ROLE", &roles::name(Dialect::V1, identity));
    set("GT_SESSION", given.session);
    // `gt` ends polecats without it.
    set("GT_AGENT", program.preset_name());
    set("GT_RUN", &given.run);
    // The daemon of `gt` has it in the environment of the tmux server, for all.
    set("GT_TOWN_ROOT", &town);
    set("GIT_CEILING_DIRECTORIES", &town);
    set("BD_BACKUP_ENABLED", "false");
    set("BEADS_DOLT_AUTO_START", "0");
    if let Some(polecat) = given.polecat {
        set("GT_POLECAT_PATH", &polecat.directory.to_string_lossy());
        if let Some(branch) = polecat.branch {
            set("GT_BRANCH", &branch);
        }
        if let Some(slot) = polecat.slot {
            set("POLECAT_SLOT", &slot.to_string());
        }
    }
    variables.extend(given.dolt);
    variables
}

/// The environment of an agent in a town of one file, beyond what its tmux server hands down: the variables of its program, which
/// are those that the file gives, and who it is. `town` is how the town is [named](crate::town::paths::TownPaths::mark).
pub fn own(identity: &Identity, town: &Path, program: &AgentProgram) -> BTreeMap<String, String> {
    let mut variables = program.environment.clone();
    variables.insert(TOWN.to_owned(), town.to_string_lossy().into_owned());
    variables.insert(AGENT.to_owned(), identity.to_string());
    variables
}

/// The variables to take away from what the tmux server would hand down, given what the agent's session sets. From an agent of a town
/// of one file also those that name a Gas Town: one of its agents may have started that server.
///
/// `TMUX` and `TMUX_PANE` stay: in a pane they are never inherited but made by its own server for this very pane, and
/// `gt handoff` needs them.
pub fn to_unset(environment: &BTreeMap<String, String>) -> Vec<&'static str> {
    let made_by_tmux = ["TMUX", "TMUX_PANE"];
    let of_gas_town = GAS_TOWN.into_iter().filter(|_| environment.contains_key(TOWN));
    DROPPED
        .into_iter()
        .chain(of_gas_town)
        .chain([TOWN, AGENT])
        .filter(|variable| !environment.contains_key(*variable) && !made_by_tmux.contains(variable))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{agent::program::provider::preset, town::identity::Role};

    fn identity(role: Role) -> Identity {
        let name = if role == Role::Crew { "max" } else { "Toast" };
        role.agent("gastown".parse().ok(), name.parse().ok()).unwrap()
    }

    fn none() -> BTreeMap<String, String> {
        BTreeMap::new()
    }

    #[test]
    fn in_a_town_of_one_file_it_is_the_file_s_and_who_it_is() {
        let environment = BTreeMap::from([
            ("FOO".to_owned(), "1".to_owned()),
            ("GIT_DIR".to_owned(), "/g".to_owned()),
            ("SUPERVISOR_AGENT".to_owned(), "x".to_owned()),
        ]);
        let program = AgentProgram { environment, ..preset("claude").unwrap() };
        let got = own(&"@mayor".parse().unwrap(), Path::new("/t"), &program);
        let pairs: Vec<String> = got.iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(pairs, ["FOO=1", "GIT_DIR=/g", "SUPERVISOR_AGENT=@mayor", "SUPERVISOR_TOWN=/t"]);
        let unset = to_unset(&got);
        for (variable, is_unset) in [
            ("GT_ROOT", true),
            ("GT_TOWN_ROOT", true),
            ("BD_ACTOR", true),
            ("CLAUDECODE", true),
            ("GIT_DIR", false),
            ("TMUX", false),
            ("TMUX_PANE", false),
            ("FOO", false),
        ] {
            assert_eq!(unset.contains(&variable), is_unset, "{variable}");
        }
        let gas_town = super::environment(&Identity::Deacon, Path::new("/t"), &program, none());
        assert!(!to_unset(&gas_town).contains(&"GT_TOWN_ROOT"));
    }

    #[test]
    fn a_role_bead_adds_and_overrides() {
        let own = BTreeMap::from([
            ("GT_ROLE".to_owned(), "r/witness".to_owned()),
            ("BEADS_DIR".to_owned(), "/b".to_owned()),
        ]);
        let program = preset("claude").unwrap();
        let got = environment(&Identity::Deacon, Path::new("/t"), &program, own);
        assert_eq!((got["GT_ROLE"].as_str(), got["BEADS_DIR"].as_str()), ("r/witness", "/b"));
        assert_eq!(got["BD_ACTOR"], "deacon", "the rest stays");
        let without = environment(&Identity::Deacon, Path::new("/t"), &program, none());
        assert!(to_unset(&without).contains(&"BEADS_DIR") && !to_unset(&got).contains(&"BEADS_DIR"));
    }

    #[test]
    fn each_role_has_its_own() {
        for (role, own) in [
            (Role::Mayor, "BD_ACTOR=mayor GIT_AUTHOR_NAME=mayor GT_ROLE=mayor"),
            (Role::Deacon, "BD_ACTOR=deacon GIT_AUTHOR_NAME=deacon GT_ROLE=deacon"),
            (Role::Boot, "BD_ACTOR=deacon-boot GIT_AUTHOR_NAME=boot GT_ROLE=boot"),
            (
                Role::Witness,
                "BD_ACTOR=gastown/witness GIT_AUTHOR_NAME=gastown/witness GT_RIG=gastown GT_ROLE=witness",
            ),
            (
                Role::Refinery,
                "BD_ACTOR=gastown/refinery BEADS_NO_DAEMON=1 GIT_AUTHOR_NAME=gastown/refinery GT_REFINERY=1 \
                 GT_RIG=gastown GT_ROLE=refinery",
            ),
            (
                Role::Crew,
                "BD_ACTOR=gastown/crew/max BEADS_AGENT_NAME=gastown/max GIT_AUTHOR_NAME=max GT_CREW=max \
                 GT_RIG=gastown GT_ROLE=crew",
            ),
            (
                Role::Polecat,
                "BD_ACTOR=gastown/polecats/Toast BEADS_AGENT_NAME=gastown/Toast BEADS_NO_DAEMON=1 \
                 GIT_AUTHOR_NAME=Toast GT_POLECAT=Toast GT_RIG=gastown GT_ROLE=polecat",
            ),
        ] {
            let mut got = environment(&identity(role), Path::new("/t"), &preset("claude").unwrap(), none());
            assert_eq!(got.remove("GT_ROOT").as_deref(), Some("/t"), "{role}");
            assert_eq!(got.remove("GT_PROCESS_NAMES").as_deref(), Some("node,claude"), "{role}");
            assert_eq!(got.remove("GT_SESSION_ID_ENV").as_deref(), Some("CLAUDE_SESSION_ID"), "{role}");
            let got: Vec<String> =
                got.iter().map(|(variable, value)| format!("{variable}={value}")).collect();
            assert_eq!(got.join(" "), own, "{role}");
        }
    }

    #[test]
    fn the_program_shows() {
        for (name, variable, process_names) in [
            ("codex", None, "codex"),
            ("gemini", Some("GEMINI_SESSION_ID"), "gemini"),
            ("cursor", None, "cursor-agent"),
        ] {
            let got = environment(&Identity::Deacon, Path::new("/t"), &preset(name).unwrap(), none());
            assert_eq!(got.get("GT_SESSION_ID_ENV").map(String::as_str), variable, "{name}");
            assert_eq!(got["GT_PROCESS_NAMES"], process_names, "{name}");
        }
    }

    #[test]
    fn what_is_not_set_is_taken_away() {
        let program = preset("claude").unwrap();
        for (role, kept) in [
            (Role::Deacon, &["GT_ROLE", "BD_ACTOR", "GIT_AUTHOR_NAME"][..]),
            (Role::Witness, &["GT_ROLE", "BD_ACTOR", "GIT_AUTHOR_NAME", "GT_RIG"]),
            (
                Role::Polecat,
                &["GT_ROLE", "BD_ACTOR", "GIT_AUTHOR_NAME", "GT_RIG", "GT_POLECAT", "BEADS_AGENT_NAME"],
            ),
        ] {
            let unset = to_unset(&environment(&identity(role), Path::new("/t"), &program, none()));
            for variable in DROPPED {
                let stays = kept.contains(&variable) || variable.starts_with("TMUX");
                assert_eq!(!unset.contains(&variable), stays, "{role}: {variable}");
            }
        }
    }

    /// The variables of a recorded start.
    fn recorded(start: &str) -> BTreeMap<String, String> {
        let pairs = start.lines().filter_map(|line| line.strip_prefix("env ")?.split_once('='));
        pairs.map(|(variable, value)| (variable.to_owned(), value.to_owned())).collect()
    }

    /// What the recorded agents have from elsewhere: from the pane, from the tmux server, and from the machine they were recorded
    /// on.
    const INHERITED: [&str; 19] = [
        "SHELL",
        "TERM",
        "TERM_PROGRAM",
        "TERM_PROGRAM_VERSION",
        "TMUX",
        "TMUX_PANE",
        "PWD",
        "OLDPWD",
        "SHLVL",
        "LOGNAME",
        "USER",
        "HOME",
        "LANG",
        "TZ",
        "PATH",
        "DOLT_DISABLE_EVENT_FLUSH",
        "GIT_CONFIG_NOSYSTEM",
        "GIT_TERMINAL_PROMPT",
        "LC_ALL",
    ];

    #[test]
    fn in_1_x_each_role_has_what_gt_gives_it() {
        macro_rules! start {
            ($session:literal) => {
                include_str!(concat!("../../tests/fixtures/v1/agent_start_by_gt.", $session, ".txt"))
            };
        }
        let directory = Path::new("/home/user/gt/alpha/polecats/furiosa/alpha");
        for (identity, session, start) in [
            ("mayor", "hq-mayor", start!("hq-mayor")),
            ("deacon", "hq-deacon", start!("hq-deacon")),
            ("deacon-boot", "hq-boot", start!("hq-boot")),
            ("alpha/witness", "al-witness", start!("al-witness")),
            ("alpha/refinery", "al-refinery", start!("al-refinery")),
            ("alpha/polecats/furiosa", "al-furiosa", start!("al-furiosa")),
        ] {
            let of_polecat = OfPolecat {
                directory,
                branch: Some("polecat/furiosa/al-nlw@mx0m04y6".to_owned()),
                slot: Some(0),
            };
            let given = V1 {
                session,
                run: "a uuid".to_owned(),
                dolt: ["GT_DOLT_PORT", "BEADS_DOLT_PORT"]
                    .map(|name| (name.to_owned(), "3307".to_owned()))
                    .into(),
                polecat: identity.contains("polecats").then_some(of_polecat),
            };
            let identity: Identity = identity.parse().unwrap();
            let program = preset("claude").unwrap();
            let mut got = v1(&identity, Path::new("/home/user/gt"), &program, none(), given);
            let mut recorded = recorded(start);
            recorded.retain(|variable, _| !INHERITED.contains(&variable.as_str()));
            // Another one each time; `gt deacon start` gives none, which `gt` needs for its telemetry only.
            assert_eq!(got.remove("GT_RUN").as_deref(), Some("a uuid"));
            assert_eq!(recorded.remove("GT_RUN").is_some(), identity != Identity::Deacon);
            // The recorded deacon and mayor were started before the daemon had put it into the tmux server's environment.
            assert_eq!(got["GT_TOWN_ROOT"], "/home/user/gt");
            recorded.insert("GT_TOWN_ROOT".to_owned(), "/home/user/gt".to_owned());
            assert_eq!(got, recorded, "{identity}");
        }
    }

    #[test]
    fn in_1_x_the_program_and_the_role_say_more() {
        let given = || V1 { session: "r-crew-max", run: String::new(), dolt: none(), polecat: None };
        let program = AgentProgram {
            name: "runtime".to_owned(),
            effort: Some("low".to_owned()),
            environment: BTreeMap::from([
                ("A".to_owned(), "1".to_owned()),
                ("GT_ROLE".to_owned(), "x".to_owned()),
            ]),
            ..preset("codex").unwrap()
        };
        let own = BTreeMap::from([("B".to_owned(), "2".to_owned()), ("BD_ACTOR".to_owned(), "x".to_owned())]);
        let got = v1(&identity(Role::Crew), Path::new("/t"), &program, own, given());
        for (variable, value) in [
            ("A", "1"),
            ("B", "2"),
            ("CLAUDE_CODE_EFFORT_LEVEL", "low"),
            ("GT_ROLE", "gastown/crew/max"),
            ("BD_ACTOR", "gastown/crew/max"),
            ("GT_AGENT", "codex"),
            ("GT_CREW", "max"),
            ("BEADS_AGENT_NAME", "gastown/max"),
        ] {
            assert_eq!(got.get(variable).map(String::as_str), Some(value), "{variable}");
        }
        for gone in ["BEADS_NO_DAEMON", "GT_SESSION_ID_ENV", "GT_POLECAT_PATH", "GT_BRANCH", "POLECAT_SLOT"] {
            assert!(!got.contains_key(gone), "{gone}");
        }
        let without_branch = OfPolecat { directory: Path::new("/t/r"), branch: None, slot: None };
        let given = V1 { polecat: Some(without_branch), ..given() };
        let got = v1(&identity(Role::Polecat), Path::new("/t"), &program, none(), given);
        assert_eq!(got["GT_POLECAT_PATH"], "/t/r");
        for unknown in ["BEADS_NO_DAEMON", "GT_BRANCH", "POLECAT_SLOT"] {
            assert!(!got.contains_key(unknown), "{unknown}");
        }
    }
}
