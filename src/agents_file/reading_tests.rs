//! Tests of `agents.toml`: grids of what is accepted and refused with its line and column, and files that are broken at random.

use std::{collections::BTreeSet, time::Duration};

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::{
    agent::program::provider,
    agents_file::values::{KINDS, Socket},
    town::dialect::Dialect,
    town::settings::{Resume, amount::Amount, read::SettingsError, shown::keys_of},
    town::standing::RestartWhen,
};

const FULL: &str = include_str!("../../tests/fixtures/agents/full.toml");

fn around() -> Around<'static> {
    Around { directory: Path::new("/town"), home: Some(Path::new("/home/u")) }
}

fn read_text(text: &str) -> Result<Plan, SettingsError> {
    read(Path::new("agents.toml"), text.as_bytes(), around())
}

fn plan(text: &str) -> Plan {
    read_text(text).unwrap_or_else(|error| panic!("{error}"))
}

fn mistakes(text: &str) -> Vec<String> {
    match read_text(text) {
        Ok(plan) => vec![format!("it is read as {plan}")],
        Err(SettingsError(mistakes)) => mistakes.iter().map(ToString::to_string).collect(),
    }
}

#[test]
fn a_file_with_every_key() {
    let plan = plan(FULL);
    assert_eq!(
        plan.to_string(),
        "5 agents on your default tmux server, started in this order:\n  \
         db: plain in /srv/db, restart on-failure\n  \
         web: codex in /town/web, restart always, session my web, after db\n  \
         mayor-1: claude in /home/u/src/app, restart always, after db, web\n  \
         mayor-2: claude in /home/u/src/app, restart always, after db, web\n  \
         mayor-3: claude in /home/u/src/app, restart always, after db, web"
    );
    let of = |name: &str| &plan.agents.iter().find(|agent| agent.name.as_str() == name).unwrap().table;
    let (db, web, mayor) = (of("db"), of("web"), of("mayor-2"));
    assert_eq!(mayor.prompt.as_deref(), Some("Read HANDOFF.md\nand go on."));
    assert_eq!(json!(mayor.env), json!({"BAR": "b", "FOO": "2"}), "on top of the defaults");
    assert_eq!((mayor.memory.max, web.memory.max), (Some(Amount::Bytes(8 << 30)), None));
    assert_eq!((mayor.resume, web.resume), (Some(Resume::Same), Some(Resume::Fresh)));
    assert_eq!((db.stop.signal.as_str(), db.stop.grace), ("INT", Duration::from_mins(1)));
    assert_eq!(db.restart, RestartWhen::OnFailure);
    assert_eq!((db.health.retries, db.health.start_period), (5, Duration::from_mins(1)));
    assert_eq!(web.health.url.as_ref().unwrap().secret(), "http://localhost:8000/health");
    assert_eq!(plan.settings.restart.initial_backoff, Duration::from_secs(10));
    assert_eq!(plan.settings.start.max_concurrent, 2);
}

#[test]
fn what_a_short_file_means() {
    let short = plan("[agents.a]\ncommand = \"claude\"\n");
    assert_eq!(short.socket, Socket::Own);
    let agent = &short.agents[0];
    assert_eq!(
        (agent.session.as_str(), agent.dir.to_str(), agent.kind.as_str()),
        ("a", Some("/town"), "claude")
    );
    assert_eq!(agent.table.restart, RestartWhen::UnlessStopped);
    assert!(plan("# nothing\n").agents.is_empty());
    assert_eq!(plan("[agents]\n").to_string(), "no agents");
    // A number is said, and stays, where replicas are asked for.
    assert_eq!(plan("[agents.a]\ncommand = \"x\"\nreplicas = 1\n").agents[0].name.as_str(), "a-1");
    for (dir, path) in [
        (".", "/town"),
        ("a/./b/", "/town/a/b"),
        ("../a", "/town/../a"),
        ("~", "/home/u"),
        ("~/", "/home/u"),
        ("~/a", "/home/u/a"),
        ("/", "/"),
    ] {
        let text = format!("[agents.a]\ncommand = \"x\"\ndir = \"{dir}\"\n");
        assert_eq!(plan(&text).agents[0].dir, Path::new(path), "{dir}");
    }
    for (command, kind) in [
        ("claude", "claude"),
        ("/home/u/.local/bin/claude --model x", "claude"),
        ("exec claude", "claude"),
        ("A=1 env B=2 gemini", "gemini"),
        ("cursor-agent -f", "cursor"),
        ("cursor", "plain"),
        ("plain", "plain"),
        ("bash -c claude", "plain"),
        ("A=1", "plain"),
    ] {
        assert_eq!(Kind::of_command(command).as_str(), kind, "{command}");
    }
}

#[test]
fn every_mistake_is_at_its_line_and_column() {
    let agent = |line: &str| format!("[agents.a]\ncommand = \"x\"\n{line}\n");
    let mut wrong = Vec::new();
    for (name, text, expected) in [
        // The syntax of TOML.
        ("empty", String::new(), "1:1: it is empty"),
        ("no TOML", "what\n".into(), "1:5: key with no value"),
        ("a text without quotes", agent("restart = no"), "3:11: a text is written in quotes: \"no\""),
        ("a value that is missing", agent("restart ="), "3:10: "),
        ("a key given twice", agent("command = \"y\""), "3:1: duplicate key"),
        ("an agent given twice", agent("[agents.a]"), "3:9: duplicate key"),
        ("a table that is not closed", "[agents.a\n".into(), "1:10: unclosed table"),
        // Keys.
        (
            "an unknown section",
            "[agent.a]\n".into(),
            "1:2: agent: unknown key; did you mean agents? the keys here are activity, agents, ",
        ),
        ("a section of Gas Town", "[deacon]\n".into(), "1:2: deacon: unknown key; "),
        (
            "a setting of Gas Town",
            "[start]\nby_gt = true\n".into(),
            "2:1: start.by_gt: unknown key; the keys here are dialog_wait, ",
        ),
        (
            "one below",
            "[start.memory]\nmax = \"1G\"\n".into(),
            "2:1: start.memory.max: unknown key; the keys here are enabled, ",
        ),
        (
            "an unknown key",
            agent("comand = \"y\""),
            "3:1: agents.a.comand: unknown key; did you mean command? the keys here are after, ",
        ),
        (
            "an unknown key below",
            agent("stop.sginal = \"INT\""),
            "3:6: agents.a.stop.sginal: unknown key; did you mean signal? the keys here are grace, signal",
        ),
        (
            "an unknown key in an inline table",
            agent("stop = { grce = \"1s\" }"),
            "3:10: agents.a.stop.grce: unknown key; did you mean grace? ",
        ),
        (
            "a default of one agent only",
            "[defaults]\nafter = []\n".into(),
            "2:1: defaults.after: unknown key; the keys here are command, dir, ",
        ),
        (
            "no health for all",
            "[defaults]\nhealth.command = \"x\"\n".into(),
            "2:1: defaults.health: unknown key; ",
        ),
        (
            "an unknown limit",
            "[limits]\nagent = 1\n".into(),
            "2:1: limits.agent: unknown key; did you mean agents? the keys here are agents, replicas",
        ),
        // Names.
        (
            "a dot in a name",
            "[agents.\"a.b\"]\ncommand = \"x\"\n".into(),
            "1:9: agents.a.b: \"a.b\" has a '.' or ':', which tmux ",
        ),
        (
            "a colon in a name",
            "[agents.\"a:b\"]\ncommand = \"x\"\n".into(),
            "1:9: agents.a:b: \"a:b\" has a '.' or ':'",
        ),
        (
            "a space in a name",
            "[agents.\"a b\"]\ncommand = \"x\"\n".into(),
            "1:9: agents.a b: \"a b\": only letters, digits, '_' and '-' are allowed",
        ),
        (
            "an empty name",
            "[agents.\"\"]\ncommand = \"x\"\n".into(),
            "1:9: agents: agent name \"\" is not usable: it is empty",
        ),
        ("a name below a name", agent("[agents.a.b]"), "3:11: agents.a.b: unknown key"),
        // Types.
        ("agents that are no table", "agents = 7\n".into(), "1:10: agents: expected a table"),
        ("an agent that is no table", "[agents]\na = \"x\"\n".into(), "2:5: agents.a: expected a table"),
        ("a list of agents", "[[agents]]\n".into(), "1:1: agents: expected a table"),
        ("a section that is no table", "restart = \"always\"\n".into(), "1:11: restart: expected a table"),
        ("a date", agent("prompt = 1979-05-27"), "3:10: agents.a.prompt: a date is no value here"),
        (
            "no number",
            "[start]\nmax_concurrent = nan\n".into(),
            "2:18: start.max_concurrent: expected a finite number",
        ),
        (
            "a number that is too large",
            "[limits]\nagents = 99999999999999999999\n".into(),
            "2:10: limits.agents: its number is too large",
        ),
        // Values.
        ("no command", "[agents.a]\n".into(), "1:9: agents.a: it has no command, which is the command line"),
        (
            "an empty command",
            "[agents.a]\ncommand = \" \"\n".into(),
            "2:11: agents.a.command: it must not be empty",
        ),
        (
            "a command of two lines",
            "[agents.a]\ncommand = \"a\\nb\"\n".into(),
            "2:11: agents.a.command: it must not hold control",
        ),
        (
            "a quote without an end",
            "[agents.a]\ncommand = \"echo 'a\"\n".into(),
            "2:11: agents.a.command: a quote in it has no end",
        ),
        (
            "a long command",
            format!("[agents.a]\ncommand = \"{}\"\n", "x".repeat(9000)),
            "2:11: agents.a.command: it has 9000 bytes, and 8192 are the most",
        ),
        (
            "a long prompt",
            agent(&format!("prompt = \"{}\"", "x".repeat(8193))),
            "3:10: agents.a.prompt: it has 8193 bytes",
        ),
        (
            "an escape in a prompt",
            agent("prompt = \"\\u001b[2J\""),
            "3:10: agents.a.prompt: it must hold no control",
        ),
        ("the home of another", agent("dir = \"~bob/x\""), "3:7: agents.a.dir: `~` is your own home only"),
        (
            "an unknown kind",
            agent("kind = \"cladue\""),
            "3:8: agents.a.kind: expected one of claude, codex, gemini, cursor, auggie, amp, opencode, copilot, pi, omp, vibe, plain, found \"cladue\"; did you mean \"claude\"?",
        ),
        (
            "an unknown word for a restart",
            agent("restart = \"allways\""),
            "3:11: agents.a.restart: expected one of always, on-failure, unless-stopped, no, found \"allways\"; did you mean \"always\"?",
        ),
        (
            "a restart that is a switch",
            agent("restart = false"),
            "3:11: agents.a.restart: expected a word in quotes, found false",
        ),
        (
            "an unknown resume",
            agent("resume = \"new\""),
            "3:10: agents.a.resume: expected \"same\" or \"fresh\", found \"new\"",
        ),
        (
            "memory without a unit",
            agent("memory.max = 8"),
            "3:14: agents.a.memory.max: expected an amount of memory such as ",
        ),
        ("memory that is a text", agent("memory = \"8G\""), "3:10: agents.a.memory: expected a table"),
        (
            "a variable's name",
            agent("env = { \"1A\" = \"x\" }"),
            "3:9: agents.a.env.1A: the name of a variable has letters",
        ),
        (
            "a variable's value",
            agent("env = { A = 1 }"),
            "3:13: agents.a.env.A: expected a string; a number is written in quotes",
        ),
        ("variables that are no table", agent("env = [\"A=1\"]"), "3:7: agents.a.env: expected a table"),
        ("no replicas", agent("replicas = 0"), "3:12: agents.a.replicas: expected a whole number from 1"),
        (
            "too many replicas",
            agent("replicas = 10000"),
            "3:12: agents.a.replicas: 10000 replicas, and limits.replicas is 20",
        ),
        (
            "too many agents",
            format!("{}\nreplicas = 3\n[limits]\nagents = 2\n", agent("")),
            "1:2: agents: 3 agents, and limits.agents is 2",
        ),
        (
            "a session of replicas",
            agent("session = \"x\"\nreplicas = 2"),
            "3:11: agents.a.session: each replica has a session of its own",
        ),
        (
            "a dot in a session",
            agent("session = \"a.b\""),
            "3:11: agents.a.session: the name of a session has letters, ",
        ),
        (
            "a session that tmux takes for an id",
            agent("session = \"$1\""),
            "3:11: agents.a.session: the name of a session begins with",
        ),
        (
            "an unknown signal",
            agent("stop.signal = \"SIGTREM\""),
            "3:15: agents.a.stop.signal: expected one of TERM, INT, HUP, QUIT, USR1, USR2, KILL, found \"TREM\"; did you mean \"TERM\"?",
        ),
        (
            "a duration without a unit",
            agent("stop.grace = \"5\""),
            "3:14: agents.a.stop.grace: \"5\": the unit is missing",
        ),
        (
            "a duration that is a number",
            agent("stop.grace = 5"),
            "3:14: agents.a.stop.grace: expected a duration in quotes",
        ),
        (
            "a check of nothing",
            agent("health.retries = 3"),
            "3:1: agents.a.health: a check needs a command or a url",
        ),
        (
            "a check of two things",
            agent("health = { command = \"x\", url = \"http://a\" }"),
            "3:27: agents.a.health.url: a check has a command or a url, not both",
        ),
        (
            "a check of a file",
            agent("health.url = \"file:///x\""),
            "3:14: agents.a.health.url: expected a URL",
        ),
        (
            "a check without pause",
            agent("health.command = \"x\"\nhealth.interval = \"0s\""),
            "4:19: agents.a.health.interval: it must be more than zero",
        ),
        ("a relative socket", "socket = \"a/b\"\n".into(), "1:10: socket: a path must be absolute"),
        (
            "delays in the wrong order",
            "[restart]\nmax_backoff = \"1s\"\n".into(),
            "2:15: restart.max_backoff: max_backoff must not be less than initial_backoff",
        ),
        // Agents among each other.
        (
            "after one that is not there",
            agent("after = [\n  \"b\",\n]"),
            "4:3: agents.a.after: \"b\" is no agent of this file",
        ),
        (
            "after one that is spelled otherwise",
            format!("{}[agents.data]\ncommand = \"x\"\n", agent("after = [\"dta\"]")),
            "3:10: agents.a.after: \"dta\" is no agent of this file; did you mean \"data\"?",
        ),
        ("after itself", agent("after = [\"a\"]"), "3:10: agents.a.after: an agent cannot wait for itself"),
        ("after a number", agent("after = [7]"), "3:9: agents.a.after: expected a name in quotes, found 7"),
        ("after a name alone", agent("after = \"b\""), "3:9: agents.a.after: expected a list of names"),
        (
            "a name that a replica has",
            format!("{}[agents.a-2]\ncommand = \"x\"\n", agent("replicas = 2")),
            "4:9: agents.a-2: another agent with replicas has one of the name a-2",
        ),
        (
            "a session that another has",
            format!("{}[agents.b]\ncommand = \"x\"\nsession = \"a\"\n", agent("")),
            "6:11: agents.b.session: a has the session \"a\", too",
        ),
    ] {
        let found = mistakes(&text);
        let line = format!("agents.toml:{expected}");
        if found.len() != 1 || !found[0].starts_with(&line) {
            wrong.push(format!("{name}: {found:#?}\nexpected {line}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let long = "x".repeat(63);
    let text = format!("[agents.{long}]\ncommand = \"x\"\nreplicas = 2\n");
    assert!(mistakes(&text)[0].contains("the name is longer than 64 characters"));
}

#[test]
fn the_kinds_are_programs_that_are_known() {
    for (name, program) in KINDS {
        let known = provider::preset_in(Dialect::V1, name).map(|preset| preset.command);
        assert_eq!(known.as_deref(), program, "{name}");
    }
}

#[test]
fn a_circle_is_named() {
    let text = "[agents.a]\ncommand = \"x\"\nafter = [\"c\"]\n[agents.b]\ncommand = \"x\"\nafter = [\"a\"]\n\
                [agents.c]\ncommand = \"x\"\nafter = [\"b\"]\n[agents.d]\ncommand = \"x\"\nafter = [\"a\"]\n";
    let circle = "agents.toml:3:9: agents.a.after: agents wait for each other in a circle: a → c → b → a";
    assert_eq!(mistakes(text), [circle]);
}

#[test]
fn all_mistakes_are_reported_in_the_order_of_their_lines() {
    let text = "sokket = \"x\"\n[agents.a]\ncomand = \"x\"\nreplicas = \"3\"\nafter = [\"b\", 7]\n[agents.c]\nrestart = \"x\"\n\
                command = \"x\"\nafter = [\"d\"]\n[restart]\nmultiplier = 0\n";
    let places: Vec<String> =
        mistakes(text).iter().map(|line| line.split(": ").take(2).collect::<Vec<_>>().join(" ")).collect();
    assert_eq!(
        places,
        [
            "agents.toml:1:1 sokket",
            "agents.toml:2:9 agents.a",
            "agents.toml:3:1 agents.a.comand",
            "agents.toml:4:12 agents.a.replicas",
            "agents.toml:5:9 agents.a.after",
            "agents.toml:5:10 agents.a.after",
            "agents.toml:7:11 agents.c.restart",
            "agents.toml:9:10 agents.c.after",
            "agents.toml:11:14 restart.multiplier",
        ]
    );
    // All that is wrong in the syntax, but nothing else: the rest may be another than was meant.
    assert_eq!(mistakes("a = \nb = \nsokket = 1\n").len(), 2);
}

#[test]
fn a_secret_is_not_repeated() {
    for line in ["env = { A = 12345678 }", "health.url = \"12345678\"", "env.A = [\"12345678\"]"] {
        let found = mistakes(&format!("[agents.a]\ncommand = \"x\"\n{line}\n")).join("\n");
        assert!(!found.contains("12345678"), "{found}");
    }
}

#[test]
fn no_home_is_a_mistake_only_where_it_is_needed() {
    let without_home = |text: &str| {
        read(Path::new("f"), text.as_bytes(), Around { home: None, ..around() })
            .map_err(|error| error.to_string())
    };
    assert!(without_home("[agents.a]\ncommand = \"x\"\n").is_ok());
    let error = without_home("[defaults]\ndir = \"~/x\"\n[agents.a]\ncommand = \"x\"\n").unwrap_err();
    assert!(error.starts_with("f:2:7: defaults.dir: HOME is not set"), "{error}");
}

#[test]
fn a_file_out_of_bounds_is_refused_in_one_breath() {
    let many = |line: &dyn Fn(usize) -> String| (0..60_000).map(line).collect::<String>();
    for (name, text) in [
        ("large", " ".repeat(LARGEST + 1)),
        ("many keys", many(&|at| format!("a{at}=1\n"))),
        ("many keys of an agent", "[agents.a]\n".to_owned() + &many(&|at| format!("a{at}=1\n"))),
        ("many variables", "[agents.a.env]\n".to_owned() + &many(&|at| format!("a{at}=1\n"))),
        ("many agents", many(&|at| format!("[agents.a{at}]\n"))),
        (
            "many after",
            format!("[agents.a]\ncommand = \"x\"\nafter = [{}]\n", many(&|at| format!("\"b{at}\","))),
        ),
        ("the same again and again", "[agents.a]\n".repeat(60_000)),
        ("deep", "[".repeat(100_000)),
        ("deep keys", "a.".repeat(100_000) + "a = 1\n"),
        ("deep tables", "a = ".to_owned() + &"{a = ".repeat(100_000)),
    ] {
        let found = mistakes(&text);
        assert!(!found.is_empty() && found.len() <= 3 * MOST_MISTAKES, "{name}: {}", found.len());
    }
    let few = "[limits]\nagents = 2\n[agents.a]\ncommand = \"x\"\n[agents.b]\ncommand = \"x\"\n[agents.c]\ncommand = \"x\"\n";
    assert_eq!(mistakes(few), ["agents.toml:3:2: agents: 3 agents, and limits.agents is 2"]);
}

/// Whoever adds a setting decides here whether it has a meaning in a town of one file.
#[test]
fn the_settings_that_are_here() {
    let plan = Plan::default();
    let paths = plan.settings.shown().into_iter().map(|(key, _)| key);
    let here: Vec<String> = paths.filter(|path| grammar::has_meaning(path)).collect();
    let text = here.join("\n") + "\n";
    let expected = include_str!("../../tests/fixtures/agents/settings.txt");
    assert_eq!(text, expected, "tests/fixtures/agents/settings.txt has another list");
    for line in expected.lines() {
        let (section, key) = line.split_once('.').unwrap();
        let found = mistakes(&format!("{section}.{key} = \"\\u0000\"\n"));
        assert!(!found[0].contains("unknown key"), "{found:?}");
    }
}

#[test]
fn which_whole_paths_have_a_meaning() {
    for (path, has) in [
        ("restart.initial_backoff", true),
        ("start.memory.enabled", true),
        ("http.listen", true),
        ("kill.grace", false),
        ("commands.gt", false),
        ("start.memory.max", false),
        ("start.by_gt", false),
        ("usage_limit.wake_except", false),
    ] {
        assert_eq!(grammar::has_meaning(path), has, "{path}");
    }
}

#[test]
fn an_address_that_others_reach_needs_a_token() {
    let of = |http: &str| mistakes(&format!("[agents.a]\ncommand = \"x\"\n[http]\n{http}\n"));
    let refused = of("listen = \"0.0.0.0:1\"");
    let begins = "agents.toml:4:10: http.listen: 0.0.0.0:1 is no loopback address";
    assert!(refused.len() == 1 && refused[0].starts_with(begins), "{refused:?}");
    for fine in ["listen = \"127.0.0.1:1\"", "listen = \"0.0.0.0:1\"\ntoken_file = \"/t\"", "hosts = [\"x\"]"]
    {
        assert!(of(fine)[0].starts_with("it is read as 1 agent"), "{fine}");
    }
}

#[test]
fn defaults_that_may_not_be_given_are_keys() {
    let keys: BTreeSet<String> =
        keys_of(&mut AgentTable::default()).into_iter().map(|(key, _)| key).collect();
    for key in ["after", "replicas", "session", "health.url"] {
        assert!(keys.contains(key), "{key}");
        assert!(!grammar::is_default(&format!("defaults.{}", key.split('.').next().unwrap())), "{key}");
    }
}

/// What random hands do to a file.
#[derive(Debug, Clone)]
enum Damage {
    Byte(usize, u8),
    Cut(usize, usize),
    Word(usize, &'static str),
    SwapLines(usize, usize),
    RepeatLine(usize),
    End(usize),
}

fn damage() -> impl Strategy<Value = Damage> {
    let word = prop::sample::select(vec![
        "\"",
        "'''",
        "[",
        "]",
        "[agents.",
        "= ",
        ".",
        "\n",
        "{",
        "}",
        "\\u0000",
        "10000",
        "true",
        "\"db\"",
        "after = [\"mayor\"]\n",
        "replicas = 10000\n",
        "\u{feff}",
        "\u{202e}",
        "é",
        "-1",
        "1e999",
        "#",
        "~",
        "..",
        "health.url = \"x\"\n",
    ]);
    let at = any::<usize>();
    prop_oneof![
        (at, any::<u8>()).prop_map(|(at, byte)| Damage::Byte(at, byte)),
        (at, 0..40_usize).prop_map(|(at, length)| Damage::Cut(at, length)),
        (at, word).prop_map(|(at, word)| Damage::Word(at, word)),
        (at, at).prop_map(|(one, other)| Damage::SwapLines(one, other)),
        at.prop_map(Damage::RepeatLine),
        at.prop_map(Damage::End),
    ]
}

fn damaged(text: &str, damages: &[Damage]) -> Vec<u8> {
    let mut bytes = text.as_bytes().to_vec();
    let lines =
        |bytes: &[u8]| bytes.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect::<Vec<_>>();
    for damage in damages {
        let within = |at: &usize, bytes: &[u8]| at % (bytes.len() + 1);
        match damage {
            Damage::Byte(at, byte) if !bytes.is_empty() => {
                let at = at % bytes.len();
                bytes[at] = *byte;
            }
            Damage::Byte(..) => {}
            Damage::Cut(at, length) => {
                let at = within(at, &bytes);
                bytes.drain(at..(at + length).min(bytes.len()));
            }
            Damage::Word(at, word) => {
                let at = within(at, &bytes);
                bytes.splice(at..at, word.bytes());
            }
            Damage::SwapLines(one, other) => {
                let mut all = lines(&bytes);
                if let count @ 1.. = all.len() {
                    all.swap(one % count, other % count);
                }
                bytes = all.concat();
            }
            Damage::RepeatLine(at) => {
                let mut all = lines(&bytes);
                if let count @ 1.. = all.len() {
                    all.insert(at % count, all[at % count].clone());
                }
                bytes = all.concat();
            }
            Damage::End(at) => bytes.truncate(within(at, &bytes).max(bytes.len() / 2)),
        }
    }
    bytes
}

/// What holds of every plan.
fn is_sound(plan: &Plan) {
    let (mut names, mut sessions) = (BTreeSet::new(), BTreeSet::new());
    for agent in &plan.agents {
        assert!(
            agent.after.iter().all(|name| names.contains(name)),
            "{} is behind those it waits for",
            agent.name
        );
        assert!(names.insert(&agent.name) && sessions.insert(&agent.session), "{plan}");
        assert!(agent.dir.is_absolute() && !agent.session.contains(['.', ':']), "{plan}");
        assert!(agent.table.command.as_ref().is_some_and(|command| !command.trim().is_empty()), "{plan}");
        assert!(agent.table.health.command.is_none() || agent.table.health.url.is_none(), "{plan}");
    }
    assert!(plan.agents.len() <= plan.limits.agents, "{plan}");
}

proptest! {
    /// `PROPTEST_CASES=10000` tries as many.
    #[test]
    fn a_damaged_file_has_a_sound_plan_or_clear_mistakes(damages in prop::collection::vec(damage(), 1..6)) {
        let bytes = damaged(FULL, &damages);
        match read(Path::new("agents.toml"), &bytes, around()) {
            Ok(plan) => is_sound(&plan),
            Err(SettingsError(mistakes)) => {
                prop_assert!(!mistakes.is_empty());
                for mistake in mistakes {
                    let line = mistake.to_string();
                    prop_assert!(line.starts_with("agents.toml:") && !line.contains('\n') && line.len() < 2000, "{}", line);
                }
            }
        }
    }

    #[test]
    fn any_bytes_are_survived(bytes: Vec<u8>, text: String) {
        let _ = read(Path::new("f"), &bytes, around());
        let _ = read(Path::new("f"), text.as_bytes(), around());
    }
}
