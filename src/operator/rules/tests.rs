//! The rules' grids.

use proptest::prelude::*;

use super::*;

const TOWN: &str = "/home/user/gt";

fn invocation(directory: &str, line: &str) -> Invocation {
    Invocation {
        pid: 10,
        born: 1,
        ancestors: vec![9, 1, 9],
        comm: "gt".to_owned(),
        executable: Some("/usr/local/bin/gt".into()),
        arguments: shell_words::split(line).expect("a command line"),
        directory: Some(directory.into()),
    }
}

fn of(directory: &str, line: &str) -> Option<Effect> {
    Operation::of(&invocation(directory, line), Path::new(TOWN)).map(|operation| operation.effect)
}

const STOPS: Option<Effect> = Some(Effect::Stops);
const CHANGES: Option<Effect> = Some(Effect::Changes);

#[test]
fn every_line_seen_in_the_process_table() {
    // Recorded with Gas Town 0.2.6; the directory is below the town.
    let cases = [
        ("", "gt deacon force-kill gastown/refinery", CHANGES),
        ("", "gt deacon pause --reason testing", None),
        ("", "gt deacon restart", CHANGES),
        ("", "gt deacon resume", None),
        ("", "gt deacon start", CHANGES),
        ("", "gt deacon stop", STOPS),
        ("", "gt down", STOPS),
        ("", "gt down --all --polecats", STOPS),
        ("", "gt hook", None),
        ("", "gt mail inbox", None),
        ("", "gt mail send gastown/refinery -s 'FORCE_KILL: unresponsive' -m 'Deacon detected it.'", None),
        ("", "gt mail send mayor/ -s 'Agent killed: gastown/refinery' -m 'It was force-killed.'", None),
        ("", "gt polecat nuke gastown/furiosa --force", CHANGES),
        ("", "gt polecat remove gastown/nux --force", CHANGES),
        ("", "gt polecat remove gastown/slit --force", CHANGES),
        ("", "gt refinery restart gastown", CHANGES),
        ("", "gt refinery stop gastown", STOPS),
        ("", "gt rig boot gastown", CHANGES),
        ("", "gt rig dock gastown", STOPS),
        ("", "gt rig park gastown", STOPS),
        ("", "gt rig reboot gastown --force", CHANGES),
        ("", "gt rig restart gastown --force", CHANGES),
        ("", "gt rig shutdown gastown --force", STOPS),
        ("", "gt rig start gastown", CHANGES),
        ("", "gt rig stop gastown --force", STOPS),
        ("", "gt rig undock gastown", Some(Effect::Opens)),
        ("", "gt rig unpark gastown", None),
        ("", "gt session stop gastown/slit", STOPS),
        ("", "gt shutdown -y", STOPS),
        ("", "gt sling gt-bqy gastown/slit --no-convoy", CHANGES),
        ("", "gt sling gt-lj9 gastown", CHANGES),
        ("", "gt up", CHANGES),
        ("", "gt witness restart gastown", CHANGES),
        ("", "gt witness start gastown", CHANGES),
        ("", "gt witness stop gastown", STOPS),
        ("/deacon", "gt handoff -s cycle -m x", CHANGES),
        ("/deacon", "gt hook", None),
        ("/deacon", "gt mail inbox", None),
        ("/gastown/polecats/furiosa/gastown", "gt done", CHANGES),
        ("/gastown/polecats/furiosa/gastown (deleted)", "gt done", CHANGES),
        ("/gastown/witness", "gt handoff", CHANGES),
        ("/gastown/witness", "gt hook", None),
        ("/gastown/witness", "gt mail inbox", None),
        ("/gastown/witness", "gt polecat nuke gastown/rictus --force", CHANGES),
    ];
    for (below, line, expected) in cases {
        assert_eq!(of(&format!("{TOWN}{below}"), line), expected, "{line} in {below:?}");
    }
}

#[test]
fn words_grid() {
    let cases = [
        ("a flag before the words", "gt -v rig park x", STOPS),
        ("a flag with a value before them", "gt --town /other rig park x", STOPS),
        ("a flag with a value of its own", "gt --town=/other rig park x", STOPS),
        ("an unknown flag before them", "gt --what rig park x", STOPS),
        ("a flag between them", "gt rig --force stop x", STOPS),
        ("a flag with a value between them", "gt rig --reason x park y", STOPS),
        ("two flags", "gt -v --what rig --force park y", STOPS),
        ("a word third", "gt rig status stop", None),
        ("a word as a value", "gt deacon pause --reason stop", None),
        ("text for somebody", "gt nudge deacon stop", None),
        ("text for everybody", "gt broadcast stop", None),
        ("a subject", "gt mail send -s stop", None),
        ("help", "gt help stop", None),
        ("help by a flag", "gt rig park --help", None),
        ("nothing is done", "gt down --dry-run", None),
        ("a word for a role alone", "gt boot", CHANGES),
        ("a word for a role and for a deed", "gt boot triage", CHANGES),
        ("a word for a role, and stopped", "gt boot stop", STOPS),
        ("crew", "gt crew at joe", CHANGES),
        ("crew stopped", "gt crew stop joe", STOPS),
        ("a dog", "gt dog done", CHANGES),
        ("the first word decides", "gt start stop", CHANGES),
        ("a name like a word", "gt sling stop gastown", CHANGES),
        ("a longer word", "gt stopped", None),
        ("another case", "gt Stop", None),
        ("empty arguments", "gt '' rig '' park x", STOPS),
        ("prime", "gt prime", None),
        ("status line", "gt status-line --session=gt-gastown-refinery", None),
        ("convoy", "gt convoy check", None),
        ("nudge", "gt nudge deacon session-started", None),
        ("ourselves", "gt daemon run", None),
        ("no words", "gt", None),
        ("flags only", "gt --version -v", None),
    ];
    for (name, line, expected) in cases {
        assert_eq!(of(TOWN, line), expected, "{name}");
    }
}

#[test]
fn town_grid() {
    let cases = [
        ("in the town", "/home/user/gt", "gt down", true),
        ("below it", "/home/user/gt/a/b", "gt down", true),
        ("in a directory that is gone", "/home/user/gt/a (deleted)", "gt down", true),
        ("in the town, which is gone", "/home/user/gt (deleted)", "gt down", true),
        ("above it", "/home/user", "gt down", false),
        ("beside it", "/home/user/gt2", "gt down", false),
        ("in another town", "/srv/gt", "gt down", false),
        ("named", "/srv", "gt --town /home/user/gt down", true),
        ("named by its flag", "/srv", "gt --town=/home/user/gt down", true),
        ("with a slash", "/srv", "gt --town=/home/user/gt/ down", true),
        ("a path below it", "/srv", "gt down /home/user/gt/a", true),
        ("named in a roundabout way", "/srv", "gt --town=/home/user/./x/../gt down", true),
        ("left again by its path", "/home/user/gt/../x", "gt down", false),
        ("named, and left again", "/srv", "gt --town=/home/user/gt/.. down", false),
        ("its name in a text", "/srv", "gt down 'see /home/user/gt'", false),
        ("another is named", "/srv", "gt --town=/home/user/gt2 down", false),
        ("its name in no flag", "/srv", "gt down at=/home/user/gt", false),
    ];
    for (name, directory, line, expected) in cases {
        assert_eq!(of(directory, line).is_some(), expected, "{name}");
    }
    let unknown = Invocation { directory: None, ..invocation(TOWN, "gt down") };
    assert_eq!(Operation::of(&unknown, Path::new(TOWN)), None, "nobody knows where");
}

#[test]
fn what_is_kept_of_one() {
    let wrapped = Invocation {
        executable: Some("/usr/bin/dash".into()),
        ..invocation(TOWN, "/bin/sh /usr/local/bin/gt sling gt-1 'a b'")
    };
    let operation = Operation::of(&wrapped, Path::new(TOWN)).expect("a script of its name");
    assert_eq!(operation.line, "gt sling gt-1 'a b'");
    assert_eq!(operation.arguments, ["sling", "gt-1", "a b"]);
    assert_eq!((operation.pid, operation.born, &operation.ancestors[..]), (10, 1, &[9, 1, 9][..]));
    let long = invocation(TOWN, &format!("gt sling gt-1 --args {}", "x".repeat(5000)));
    assert_eq!(Operation::of(&long, Path::new(TOWN)).expect("a sling").line.chars().count(), SHOWN);
    let other = Invocation { comm: "gastown".into(), executable: None, ..invocation(TOWN, "gastown down") };
    assert_eq!(Operation::of(&other, Path::new(TOWN)), None);
    assert!(Operation::by("gastown", &other, Path::new(TOWN)).is_some(), "the settings name another program");
}

#[test]
fn ancestors_grid() {
    let cases = [
        ("below a pane", &[20, 30, 1, 30][..], &[30][..], 4242, true, false),
        ("its leader ended, the session goes on", &[1, 30], &[30], 4242, true, false),
        ("the pane itself", &[1, 10], &[10], 4242, true, false),
        ("elsewhere", &[20, 1, 20], &[30, 31], 4242, false, false),
        ("no panes are known", &[20, 1, 20], &[], 4242, false, false),
        ("a child of ours", &[20, 4242, 1, 4242], &[30], 4242, false, true),
        ("a child of a child of ours", &[21, 20, 4242, 1, 4242], &[30], 4242, false, true),
        ("we are process 1, an agent's command", &[20, 30, 1, 30], &[30], 1, true, false),
        ("we are process 1, a child of ours", &[1, 1], &[30], 1, false, true),
    ];
    for (name, ancestors, panes, supervisor, inside, ours) in cases {
        let operation = Operation::of(
            &Invocation { ancestors: ancestors.to_vec(), ..invocation(TOWN, "gt down") },
            Path::new(TOWN),
        );
        let operation = operation.expect("it counts");
        assert_eq!((operation.is_inside(panes), operation.is_child_of(supervisor)), (inside, ours), "{name}");
    }
}

fn identity(text: &str) -> Identity {
    let parts: Vec<&str> = text.split('/').collect();
    let rig = |name: &str| name.parse().expect("a rig");
    let agent = |name: &str| name.parse().expect("an agent");
    match parts[..] {
        ["mayor"] => Identity::Mayor,
        ["deacon"] => Identity::Deacon,
        ["boot"] => Identity::Boot,
        [name, "witness"] => Identity::Witness(rig(name)),
        [name, "refinery"] => Identity::Refinery(rig(name)),
        [name, "crew", member] => Identity::Crew(rig(name), agent(member)),
        [name, "polecats", polecat] => Identity::Polecat(rig(name), agent(polecat)),
        _ => panic!("{text}"),
    }
}

/// Agents of every role, in two rigs.
#[rustfmt::skip]
const AGENTS: [&str; 13] = [
    "mayor", "deacon", "boot",
    "a/witness", "a/refinery", "a/crew/joe", "a/polecats/nux", "a/polecats/a-b",
    "b/witness", "b/refinery", "b/crew/joe", "b/polecats/nux", "b/polecats/a",
];

#[test]
fn whom_it_means_grid() {
    const RIG_A: &[&str] = &["a/witness", "a/refinery", "a/crew/joe", "a/polecats/nux", "a/polecats/a-b"];
    const WITNESSES: &[&str] = &["a/witness", "b/witness"];
    #[rustfmt::skip]
    let cases: [(&str, &[&str]); 44] = [
        ("gt shutdown -y", &AGENTS),
        ("gt down", &AGENTS),
        ("gt down --all --polecats", &AGENTS),
        ("gt stop", &AGENTS),
        ("gt stop --rig a", &AGENTS),
        ("gt deacon stop", &["deacon"]),
        ("gt mayor stop", &["mayor"]),
        ("gt boot stop", &["boot"]),
        ("gt witness stop a", &["a/witness"]),
        ("gt witness stop --force a", &["a/witness"]),
        ("gt witness stop", WITNESSES),
        ("gt witness stop c", &[]),
        ("gt witness stop --reason a", WITNESSES),
        ("gt witness stop --reason tired a", &["a/witness"]),
        ("gt witness stop /town/a", WITNESSES),
        ("gt refinery stop a", &["a/refinery"]),
        ("gt refinery stop b", &["b/refinery"]),
        ("gt rig park a", RIG_A),
        ("gt rig dock a", RIG_A),
        ("gt rig stop a --force", RIG_A),
        ("gt rig shutdown --force a", RIG_A),
        ("gt rig stop a/", RIG_A),
        ("gt rig stop c a", RIG_A),
        ("gt rig stop nux", &[]),
        ("gt rig park ab", &[]),
        ("gt session stop a/nux", &["a/polecats/nux"]),
        ("gt session stop a/polecats/nux", &["a/polecats/nux"]),
        ("gt session stop a/polecats", &["a/polecats/nux", "a/polecats/a-b"]),
        ("gt session stop a/witness", &["a/witness"]),
        ("gt session stop gt-a-nux", &["a/polecats/nux"]),
        ("gt session stop gt-a-a-b", &["a/polecats/a-b"]),
        ("gt session stop a-polecat-nux", &["a/polecats/nux"]),
        ("gt session stop gt-a-crew-joe", &["a/crew/joe"]),
        ("gt session stop gt-b-refinery", &["b/refinery"]),
        ("gt session stop nux", &["a/polecats/nux", "b/polecats/nux"]),
        ("gt crew stop a/joe", &["a/crew/joe"]),
        ("gt crew stop a/crew/joe", &["a/crew/joe"]),
        ("gt crew stop joe --rig a", &["a/crew/joe", "b/crew/joe"]),
        ("gt polecat stop b/a", &["b/polecats/a"]),
        ("gt park gt-gate", &[]),
        ("gt park", &AGENTS),
        ("gt agents stop deacon", &["deacon"]),
        ("gt daemon stop", &[]),
        ("gt rig restart a --force", &[]),
    ];
    for (line, expected) in cases {
        let operation = Operation::of(&invocation(TOWN, line), Path::new(TOWN)).expect(line);
        let meant = AGENTS.into_iter().filter(|agent| operation.stops(&identity(agent)));
        assert_eq!(meant.collect::<Vec<_>>(), expected, "{line}");
    }
}

proptest! {
    #[test]
    fn any_command_line_is_survived(
        comm in "(gt|sh|.{0,3})",
        arguments in prop::collection::vec("(gt|/home/user/gt|rig|stop|park|-[a-z]|--x=/|=|a/|/|-|.{0,4})", 0..8),
        directory in prop::option::of("(/home/user/gt|.{0,6})"),
    ) {
        let invocation = Invocation {
            comm,
            arguments,
            directory: directory.map(PathBuf::from),
            ..invocation(TOWN, "gt")
        };
        if let Some(operation) = Operation::of(&invocation, Path::new(TOWN)) {
            for agent in AGENTS {
                let meant = operation.stops(&identity(agent));
                prop_assert!(!meant || operation.effect == Effect::Stops);
            }
        }
    }
}

#[test]
fn who_a_command_may_have_ended_on_its_way() {
    let agents = ["r/witness", "r/refinery", "r/crew/joe", "r/polecats/toast", "deacon", "mayor"];
    #[rustfmt::skip]
    let cases: [(&str, &[&str], bool); 25] = [
        // what                                    whom it may have ended            and a polecat without a worktree
        ("gt sling gt-1 r",                        &["r/witness"],                                   true),
        ("gt sling gt-1 gt-2 r --no-convoy",       &["r/witness"],                                   true),
        ("gt sling gt-1 other",                    &[],                                              false),
        ("gt sling gt-1",                          &[],                                              false),
        ("gt sling gt-1 r/toast",                  &["r/polecats/toast"],                            true),
        ("gt sling gt-1 r/rictus",                 &[],                                              false),
        ("gt sling gt-1 mayor",                    &["mayor"],                                       false),
        ("gt witness restart r",                   &["r/witness"],                                   false),
        ("gt witness restart other",               &[],                                              false),
        ("gt witness start r",                     &["r/witness"],                                   false),
        ("gt deacon restart",                      &["deacon"],                                      false),
        ("gt deacon force-kill r/witness",         &["r/witness"],                                   false),
        ("gt polecat nuke r/toast --force",        &["r/polecats/toast"],                            true),
        ("gt polecat nuke r/rictus --force",       &[],                                              false),
        ("gt session restart r/toast",             &["r/polecats/toast"],                            true),
        ("gt session start r/toast",               &["r/polecats/toast"],                            true),
        ("gt rig start r",                         &["r/witness", "r/refinery", "r/crew/joe"],       false),
        ("gt rig restart r --force",               &["r/witness", "r/refinery", "r/crew/joe", "r/polecats/toast"], true),
        ("gt up",                                  &["r/witness", "r/refinery", "deacon", "mayor"],  false),
        ("gt doctor",                              &[],                                              true),
        ("gt doctor --fix",                        &[],                                              true),
        ("gt rig undock r",                        &[],                                              false),
        ("gt done",                                &[],                                              false),
        ("gt handoff",                             &[],                                              false),
        ("gt shutdown -y",                         &["r/witness", "r/refinery", "r/crew/joe", "r/polecats/toast", "deacon", "mayor"], true),
    ];
    for (line, whom, homeless) in cases {
        let operation = Operation::of(&invocation(TOWN, line), Path::new(TOWN)).expect(line);
        let may = agents.into_iter().filter(|agent| operation.may_end(&identity(agent), false));
        assert_eq!(may.collect::<Vec<_>>(), whom, "{line}");
        assert_eq!(operation.may_end(&identity("r/polecats/toast"), true), homeless, "{line}, homeless");
    }
}

#[test]
fn the_latest_that_may_have_ended_it_counts() {
    for (name, lines, expected) in [
        ("none", &[][..], None),
        ("one", &["gt witness stop r"], Some(0)),
        ("stopped and started again", &["gt witness stop r", "gt witness start r"], Some(1)),
        ("started and stopped", &["gt up", "gt witness stop r"], Some(1)),
        ("a later one about somebody else", &["gt witness stop r", "gt witness start other"], Some(0)),
        ("a later one that ends nobody", &["gt witness stop r", "gt doctor"], Some(0)),
        ("only others", &["gt polecat nuke r/toast", "gt refinery stop r", "gt done"], None),
    ] {
        let began = |(at, line): (usize, &&str)| {
            // Pids do not show which process started first.
            let (pid, born) = (u32::try_from(100 - at).unwrap(), u64::try_from(at).unwrap());
            let invocation = Invocation { pid, born, ..invocation(TOWN, line) };
            Operation::of(&invocation, Path::new(TOWN)).expect(line)
        };
        let mut operations: Vec<Operation> = lines.iter().enumerate().map(began).collect();
        operations.sort_by_key(|it| it.pid);
        let counts = latest(&operations, &identity("r/witness"), false).map(|it| it.line.as_str());
        assert_eq!(counts, expected.map(|at: usize| lines[at]), "{name}");
    }
}

#[test]
fn whose_label_a_command_may_have_changed() {
    for (line, rig, expected) in [
        ("gt rig undock r", "r", true),
        ("gt rig undock other r", "r", true),
        ("gt rig undock other", "r", false),
        ("gt rig dock r", "r", true),
        ("gt rig start r", "r", false),
        ("gt up", "r", false),
    ] {
        let operation = Operation::of(&invocation(TOWN, line), Path::new(TOWN)).expect(line);
        assert_eq!(operation.relabels(&rig.parse().expect("a rig")), expected, "{line} {rig}");
    }
}
