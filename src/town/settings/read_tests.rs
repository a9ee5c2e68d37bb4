//! Tests of the settings files: grids of what is accepted, refused, and which file wins.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use super::*;
use crate::town::{
    reading::broken_json,
    settings::{LogLevel, Naming},
};

const OURS: &str = "settings/supervisor.json";
const SHARED: &str = "mayor/daemon.json";

fn both(ours: Option<&str>, shared: Option<&str>) -> Result<Resolved, SettingsError> {
    let ours = ours.map(|text| (Path::new(OURS), text.as_bytes()));
    let shared = shared.map(|text| (Path::new(SHARED), text.as_bytes()));
    resolve(Dialect::January, Sources { ours, shared, ..Sources::default() })
}

fn ours(text: &str) -> Result<Settings, String> {
    let read = both(Some(text), None);
    read.map(|resolved| resolved.settings).map_err(|error| error.to_string())
}

fn shared(text: &str) -> (Settings, Vec<String>) {
    let read = both(None, Some(text)).unwrap();
    (read.settings, read.problems.iter().map(ToString::to_string).collect())
}

#[test]
fn the_documented_defaults_are_the_defaults() {
    assert_eq!(ours(include_str!("../../../tests/fixtures/settings/defaults.json")), Ok(Settings::default()));
    assert_eq!(ours("{}"), Ok(Settings::default()));
    assert_eq!(both(None, None).unwrap(), Resolved { settings: Settings::default(), problems: vec![] });
}

/// For every documented key: a different value is accepted and changes something. Catches a key that is accepted but
/// has no effect, or two keys with one target.
#[test]
fn every_documented_key_takes_effect_on_its_own() {
    let defaults: serde_json::Value =
        serde_json::from_str(include_str!("../../../tests/fixtures/settings/defaults.json")).unwrap();
    let mut seen = BTreeMap::new();
    let sections = defaults.as_object().unwrap().iter();
    let sections =
        sections.map(|(section, keys)| (vec![section.as_str()], keys)).flat_map(|(section, keys)| {
            let inner = keys.as_object().unwrap().iter().filter(|(_, value)| value.is_object());
            let inner = inner.map(|(key, keys)| (vec![section[0], key.as_str()], keys)).collect::<Vec<_>>();
            [(section, keys)].into_iter().chain(inner)
        });
    for (section, keys) in sections {
        for (key, default) in keys.as_object().unwrap().iter().filter(|(_, value)| !value.is_object()) {
            let name = format!("{}.{key}", section.join("."));
            let file = |value: &str| {
                let (open, close) =
                    (section.iter().map(|it| format!("{{\"{it}\":")), "}".repeat(section.len()));
                format!("{}{{\"{key}\":{value}}}{close}", open.collect::<String>())
            };
            // Keys with an order between them get one of the shorter durations.
            let flipped = format!("{}", default != true);
            let taken: Vec<_> = [
                "\"7h\"",
                "\"7m\"",
                "\"7s\"",
                "\"prefix\"",
                "\"1.x\"",
                "\"debug\"",
                "\"/x\"",
                "[\"x\"]",
                "[\"update\"]",
                "\"7GiB\"",
                "\"https://a.example/b\"",
                "\"slack\"",
                "\"127.0.0.1:7\"",
                "77",
                "3.25",
                &flipped,
            ]
            .iter()
            .filter_map(|value| ours(&file(value)).ok())
            .filter(|settings| *settings != Settings::default())
            .collect();
            assert!(!taken.is_empty(), "{name} has no effect");
            let changed = format!("{:?}", taken[0]);
            assert_eq!(seen.insert(changed, name.clone()), None, "{name} changes what another key changes");
        }
    }
    assert_eq!(seen.len(), 90);
}

#[test]
fn which_questions_are_answered() {
    use Dialog::{BypassPermissions, Theme, TrustFolder, Update, UsageLimit};
    for (name, text, asks_for_it, answered) in [
        ("by default", "{}", true, &[BypassPermissions, UsageLimit][..]),
        ("by default, where the command does not ask for the mode", "{}", false, &[UsageLimit]),
        ("a list", r#"{"dialogs":{"answer":["theme","update"]}}"#, true, &[Update, Theme]),
        (
            "a list counts whatever the command asks for",
            r#"{"dialogs":{"answer":["bypass_permissions"]}}"#,
            false,
            &[BypassPermissions],
        ),
        ("none", r#"{"dialogs":{"answer":[]}}"#, true, &[]),
        (
            "older: added",
            r#"{"questions":{"trust_folder":true,"update":true}}"#,
            true,
            &[BypassPermissions, TrustFolder, Update, UsageLimit],
        ),
        ("older: taken away", r#"{"questions":{"bypass_permissions":false}}"#, true, &[UsageLimit]),
        (
            "older: given",
            r#"{"questions":{"bypass_permissions":true}}"#,
            false,
            &[BypassPermissions, UsageLimit],
        ),
        (
            "both, and the same",
            r#"{"questions":{"update":true,"trust_folder":false},"dialogs":{"answer":["update"]}}"#,
            true,
            &[Update],
        ),
    ] {
        let settings = ours(text).unwrap();
        assert_eq!(settings.answered(asks_for_it), answered.iter().copied().collect(), "{name}");
    }
}

#[test]
fn mistakes_in_ours_name_key_line_and_column() {
    for (name, text, expected) in [
        (
            "unknown section",
            "{\"hartbeat\": {}}",
            "settings/supervisor.json:1:2: hartbeat: unknown key; did you mean heartbeat? the keys here are activity, boot, ",
        ),
        (
            "unknown key",
            "{\n \"heartbeat\": {\"intervall\": \"3m\"}}",
            "settings/supervisor.json:2:16: heartbeat.intervall: unknown key; did you mean interval? the keys here are deadline, interval",
        ),
        (
            "a key of the shared file",
            "{\"patrols\": {}}",
            "settings/supervisor.json:1:2: patrols: unknown key",
        ),
        ("section of wrong type", "{\"kill\": 7}", "settings/supervisor.json:1:10: kill: expected an object"),
        (
            "no URL",
            "{\"notify\": {\n  \"webhook\": \"htps://geheim\"}}",
            "settings/supervisor.json:2:14: notify.webhook: expected a URL such as \"https://…\" (not shown here): it must begin",
        ),
        (
            "no URL at all",
            "{\"notify\": {\"ntfy\": 7}}",
            "settings/supervisor.json:1:21: notify.ntfy: expected a URL such as \"https://…\" (not shown here): it is no string",
        ),
        (
            "a URL with a user",
            "{\"notify\": {\"heartbeat_url\": \"https://geheim@x\"}}",
            "settings/supervisor.json:1:30: notify.heartbeat_url: expected a URL such as \"https://…\" (not shown here): it must hold no user",
        ),
        (
            "a list of URLs",
            "{\"notify\": {\"webhook\": [\"https://geheim\"]}}",
            "settings/supervisor.json:1:24: notify.webhook: expected a URL such as \"https://…\" (not shown here): it is no string",
        ),
        (
            "no shape",
            "{\"notify\": {\"webhook_shape\": \"teams\"}}",
            "settings/supervisor.json:1:30: notify.webhook_shape: expected \"json\", \"slack\" or \"discord\", found",
        ),
        (
            "desktop",
            "{\"notify\": {\"desktop\": \"yes\"}}",
            "settings/supervisor.json:1:24: notify.desktop: expected true or false",
        ),
        (
            "settle",
            "{\"deaths\": {\"settle\": 2}}",
            "settings/supervisor.json:1:23: deaths.settle: expected a duration in quotes",
        ),
        (
            "unknown key of notify",
            "{\"notify\": {\"slack\": \"https://geheim\"}}",
            "settings/supervisor.json:1:13: notify.slack: unknown key; the keys here are command, desktop, heartbeat_url, ntfy, ",
        ),
        ("null section", "{\"kill\": null}", "settings/supervisor.json:1:10: kill: expected an object"),
        (
            "inner section of wrong type",
            "{\"start\": {\"memory\": 7}}",
            "settings/supervisor.json:1:22: start.memory: expected an object",
        ),
        (
            "unknown key of an inner section",
            "{\"start\": {\"memory\":\n {\"min\": 7}}}",
            "settings/supervisor.json:2:3: start.memory.min: unknown key; the keys here are enabled, max, ",
        ),
        (
            "amount with another unit",
            "{\"start\": {\"memory\": {\"min_available\": \"2GB\"}}}",
            "settings/supervisor.json:1:40: start.memory.min_available: expected an amount of memory such as \"2GiB\"",
        ),
        (
            "no amount",
            "{\"start\": {\"memory\": {\"max\": 0}}}",
            "settings/supervisor.json:1:30: start.memory.max: expected an amount of memory",
        ),
        (
            "a share without its sign",
            "{\"start\": {\"memory\": {\"min_available\": \"99.5\"}}}",
            "settings/supervisor.json:1:40: start.memory.min_available: expected an amount of memory such as \"2GiB\", \"512MiB\" or \"5%\", with its unit: B, KiB, MiB, GiB, TiB or %, found \"99.5\"",
        ),
        (
            "an amount without a unit",
            "{\"start\": {\"memory\": {\"max\": \"4\"}}}",
            "settings/supervisor.json:1:30: start.memory.max: expected an amount of memory",
        ),
        (
            "a number without a unit",
            "{\"start\": {\"memory\": {\"max\": 2147483648}}}",
            "settings/supervisor.json:1:30: start.memory.max: expected an amount of memory",
        ),
        (
            "a number beyond all",
            "{\"start\": {\"memory\": {\"max_pressure\": 1e400}}}",
            "settings/supervisor.json:1:39: start.memory.max_pressure: its number is too large",
        ),
        (
            "more than all",
            "{\"start\": {\"memory\": {\"max\": \"101%\"}}}",
            "settings/supervisor.json:1:30: start.memory.max: expected an amount of memory",
        ),
        (
            "an amount for an unknown role",
            "{\"start\": {\"memory\": {\"max\": {\"cat\": \"2G\"}}}}",
            "settings/supervisor.json:1:30: start.memory.max: unknown key \"cat\"; the keys here are all, ",
        ),
        (
            "no amount for a role",
            "{\"start\": {\"memory\": {\"max\": {\"polecat\": true}}}}",
            "settings/supervisor.json:1:30: start.memory.max: polecat: expected an amount of memory",
        ),
        (
            "pressure above all of the time",
            "{\"start\": {\"memory\": {\"max_pressure\": 101}}}",
            "settings/supervisor.json:1:39: start.memory.max_pressure: expected a number of percent",
        ),
        (
            "duration a number",
            "{\"kill\": {\"grace\": 7}}",
            "settings/supervisor.json:1:20: kill.grace: expected a duration in quotes such as \"90s\", found 7",
        ),
        (
            "duration null",
            "{\"kill\": {\"grace\": null}}",
            "settings/supervisor.json:1:20: kill.grace: expected a duration in quotes",
        ),
        (
            "bad duration",
            "{\"kill\": {\n\t\"grace\": \"2 s\"}}",
            "settings/supervisor.json:2:11: kill.grace: \"2 s\": the unit is missing or unknown",
        ),
        (
            "negative duration",
            "{\"kill\": {\"grace\": \"-2s\"}}",
            "settings/supervisor.json:1:20: kill.grace: \"-2s\": a duration cannot be negative",
        ),
        (
            "overlong duration",
            "{\"kill\": {\"grace\": \"100000h\"}}",
            "settings/supervisor.json:1:20: kill.grace: \"100000h\": the longest duration is 87600h",
        ),
        (
            "zero interval",
            "{\"heartbeat\": {\"interval\": \"0s\"}}",
            "settings/supervisor.json:1:28: heartbeat.interval: it must be more than zero",
        ),
        (
            "multiplier below 1",
            "{\"restart\": {\"multiplier\": 0.5}}",
            "settings/supervisor.json:1:28: restart.multiplier: expected a number of at least 1, found 0.5",
        ),
        (
            "multiplier a string",
            "{\"restart\": {\"multiplier\": \"2\"}}",
            "settings/supervisor.json:1:28: restart.multiplier: expected a number",
        ),
        ("multiplier not finite", "{\"restart\": {\"multiplier\": 1e999}}", "settings/supervisor.json:1:"),
        (
            "crash_loop_count 0",
            "{\"restart\": {\"crash_loop_count\": 0}}",
            "settings/supervisor.json:1:34: restart.crash_loop_count: expected a whole number from 1 to 1000000, found 0",
        ),
        (
            "max_concurrent 0",
            "{\"start\": {\"max_concurrent\": 0}}",
            "settings/supervisor.json:1:30: start.max_concurrent: expected",
        ),
        (
            "max_concurrent -1",
            "{\"start\": {\"max_concurrent\": -1}}",
            "settings/supervisor.json:1:30: start.max_concurrent: expected",
        ),
        (
            "max_concurrent 1.5",
            "{\"start\": {\"max_concurrent\": 1.5}}",
            "settings/supervisor.json:1:30: start.max_concurrent: expected",
        ),
        (
            "threshold 0",
            "{\"deaths\": {\"threshold\": 0}}",
            "settings/supervisor.json:1:26: deaths.threshold: expected",
        ),
        (
            "max_bytes 0",
            "{\"log\": {\"max_bytes\": 0}}",
            "settings/supervisor.json:1:23: log.max_bytes: expected",
        ),
        (
            "level",
            "{\"log\": {\"level\": \"loud\"}}",
            "settings/supervisor.json:1:19: log.level: expected \"error\",",
        ),
        (
            "a level of which there is nothing",
            "{\"log\": {\"level\": \"trace\"}}",
            "settings/supervisor.json:1:19: log.level: nothing is logged at \"trace\"",
        ),
        (
            "a name in place of an address",
            "{\"http\": {\"listen\": \"localhost:8642\"}}",
            "settings/supervisor.json:1:21: http.listen: expected an IP address with a port from 1 to 65535",
        ),
        (
            "an address without a port",
            "{\"http\": {\"listen\": \"127.0.0.1\"}}",
            "settings/supervisor.json:1:21: http.listen: expected an IP address with a port",
        ),
        (
            "port 0, which nobody could find",
            "{\"http\": {\"listen\": \"127.0.0.1:0\"}}",
            "settings/supervisor.json:1:21: http.listen: expected an IP address with a port",
        ),
        (
            "a URL in place of a host",
            "{\"http\": {\"hosts\": [\"https://town.example\"]}}",
            "settings/supervisor.json:1:20: http.hosts: expected a host such as",
        ),
        (
            "any host",
            "{\"http\": {\"hosts\": [\"*\"]}}",
            "settings/supervisor.json:1:20: http.hosts: expected a host such as",
        ),
        (
            "a token file that depends on where one is",
            "{\"http\": {\"token_file\": \"token\"}}",
            "settings/supervisor.json:1:25: http.token_file: it must be an absolute path",
        ),
        (
            "no kind of question",
            "{\"dialogs\": {\"answer\": [\"update\", \"trust\"]}}",
            "settings/supervisor.json:1:24: dialogs.answer: \"trust\" is no kind of question; those are bypass_permissions, \
             trust_folder, mcp_servers, update, theme, fullscreen_renderer, api_key",
        ),
        (
            "a question that is never answered",
            "{\"dialogs\": {\"answer\": [\"login\"]}}",
            "settings/supervisor.json:1:24: dialogs.answer: \"login\" is never answered",
        ),
        (
            "the older spelling takes away",
            "{\"questions\": {\"update\": false}, \"dialogs\": {\"answer\": [\"update\"]}}",
            "settings/supervisor.json:1:26: questions.update: dialogs.answer names update; remove this older spelling",
        ),
        (
            "the older spelling adds",
            "{\"dialogs\": {\"answer\": []}, \"questions\": {\"trust_folder\": true}}",
            "settings/supervisor.json:1:59: questions.trust_folder: dialogs.answer does not name trust_folder; remove",
        ),
        (
            "naming",
            "{\"tmux\": {\"naming\": null}}",
            "settings/supervisor.json:1:21: tmux.naming: expected \"rig\" or",
        ),
        (
            "empty program",
            "{\"commands\": {\"bd\": \" \"}}",
            "settings/supervisor.json:1:21: commands.bd: it must not be empty",
        ),
        (
            "socket name a path",
            "{\"tmux\": {\"socket_name\": \"a/b\"}}",
            "settings/supervisor.json:1:26: tmux.socket_name: a socket name",
        ),
        (
            "socket path relative",
            "{\"tmux\": {\"socket_path\": \"a/b\"}}",
            "settings/supervisor.json:1:26: tmux.socket_path: it must be",
        ),
        (
            "switch",
            "{\"boot\": {\"enabled\": \"yes\"}}",
            "settings/supervisor.json:1:22: boot.enabled: expected true or false",
        ),
        (
            "patterns",
            "{\"usage_limit\": {\"patterns\": [7]}}",
            "settings/supervisor.json:1:30: usage_limit.patterns: expected a string",
        ),
        (
            "a pattern that is none",
            "{\"usage_limit\": {\n \"patterns\": [\"fine\", \"(\"]}}",
            "settings/supervisor.json:2:14: usage_limit.patterns: \"(\" is not a valid regular expression: unclosed group",
        ),
        (
            "given twice",
            "{\"kill\": {\"grace\": \"1s\", \"gr\\u0061ce\": \"2s\"}}",
            "settings/supervisor.json:1:26: kill.grace: the key is given twice",
        ),
        (
            "section given twice",
            "{\"kill\": {}, \"kill\": {}}",
            "settings/supervisor.json:1:14: kill: the key is given twice",
        ),
        (
            "stuck before stale",
            "{\"deacon\": {\"stuck_after\": \"1m\"}}",
            "settings/supervisor.json:1:28: deacon.stuck_after: stuck_after must not be less than stale_after",
        ),
        (
            "backoff above its bound",
            "{\"restart\": {\"initial_backoff\": \"20m\"}}",
            "settings/supervisor.json:1:33: restart.initial_backoff: max_backoff must not be less than initial_backoff",
        ),
        ("trailing garbage", "{}\n!", "settings/supervisor.json:2:1: trailing characters"),
        ("trailing comma", "{\"kill\": {},}", "settings/supervisor.json:1:13: key must be a string"),
        ("comment", "{ // no\n}", "settings/supervisor.json:1:3: "),
        ("empty", "", "settings/supervisor.json:1:1: it is empty"),
        ("cut", "{\"kill\": {\"grace\": \"1", "settings/supervisor.json:1:21: EOF while parsing a string"),
    ] {
        let error = ours(text).expect_err(name);
        assert!(error.starts_with(expected), "{name}: {error}");
        assert!(!error.contains("geheim"), "{name}: {error}");
        assert_eq!(error.lines().count(), 1, "{name}: {error}");
    }
}

#[test]
fn all_mistakes_are_reported_at_once_in_order() {
    let error =
        ours("{\"x\": 1,\n\"kill\": {\"grace\": 7},\n\"boot\": {\"y\": 1, \"max_age\": \"0\"}}").unwrap_err();
    let places: Vec<_> =
        error.lines().map(|line| line.split(": ").take(2).collect::<Vec<_>>().join(" ")).collect();
    let at = |place: &str| format!("settings/supervisor.json:{place}");
    assert_eq!(places, [at("1:2 x"), at("2:19 kill.grace"), at("3:10 boot.y"), at("3:29 boot.max_age")]);
}

#[test]
fn values_at_their_bounds_are_accepted() {
    for text in [
        r#"{"kill":{"grace":"0"},"start":{"settle":"0s","max_concurrent":1},"restart":{"confirm":"0s","multiplier":1}}"#,
        r#"{"log":{"keep":0,"max_bytes":1},"usage_limit":{"patterns":[]},"boot":{"cooldown":"87600h"}}"#,
        r#"{"deacon":{"stale_after":"1m","stuck_after":"1m"},"deaths":{"threshold":1}}"#,
    ] {
        assert!(ours(text).is_ok(), "{text}: {:?}", ours(text));
    }
}

#[test]
fn some_values_arrive() {
    let text = r#"{"tmux":{"socket_name":"gt","socket_path":"/run/t","naming":"prefix"},
        "usage_limit":{"patterns":["limit reached"],"quiet":"23:00-07:30","wake_except":["mayor"]},"log":{"level":"debug"},"notify":{"command":"mail me"}}"#;
    let settings = ours(text).unwrap();
    assert_eq!(settings.tmux.socket_name.as_deref(), Some("gt"));
    assert_eq!(settings.tmux.socket_path, Some(PathBuf::from("/run/t")));
    assert_eq!((settings.tmux.naming, settings.log.level), (Naming::Prefix, LogLevel::Debug));
    assert_eq!(settings.usage_limit.patterns.patterns(), Some(&["limit reached".to_owned()][..]));
    let quiet = settings.usage_limit.quiet.unwrap();
    for (hour, minute, covered) in
        [(22, 59, false), (23, 0, true), (3, 0, true), (7, 29, true), (7, 30, false)]
    {
        let time = jiff::civil::Time::constant(hour, minute, 0, 0);
        assert_eq!(quiet.covers(time), covered, "{time}");
    }
    assert_eq!(settings.usage_limit.wake_except, [crate::town::identity::Role::Mayor].into());
    for text in [r#"{"usage_limit":{"quiet":"23-7"}}"#, r#"{"usage_limit":{"wake_except":["king"]}}"#] {
        assert!(ours(text).is_err(), "{text}");
    }
    assert_eq!(settings.notify.command.as_deref(), Some("mail me"));
}

#[test]
fn broken_files() {
    for (name, bytes) in broken_json() {
        let read = |path: &'static str| Some((Path::new(path), bytes.as_slice()));
        let error = resolve(Dialect::January, Sources { ours: read(OURS), ..Sources::default() })
            .expect_err(name)
            .to_string();
        assert!(error.starts_with("settings/supervisor.json:") && error.len() < 600, "{name}: {error}");
        let resolved =
            resolve(Dialect::January, Sources { shared: read(SHARED), ..Sources::default() }).expect(name);
        assert_eq!(resolved.settings, Settings::default(), "{name}");
        assert_eq!(resolved.problems.len(), 1, "{name}");
        let problem = resolved.problems[0].to_string();
        assert!(problem.starts_with("mayor/daemon.json:") && problem.len() < 600, "{name}: {problem}");
    }
    let deep = format!("{{\"kill\":{{\"grace\":{}{}}}}}", "[".repeat(100_000), "]".repeat(100_000));
    assert!(ours(&deep).unwrap_err().contains("kill.grace: it is nested too deeply"));
}

#[test]
fn the_shared_file_is_read_leniently() {
    let text = include_str!("../../../tests/fixtures/settings/daemon.json");
    assert_eq!(shared(text), (Settings::default(), vec![]), "as gt doctor writes it");
    let (settings, problems) = shared(
        r#"{"heartbeat":{"interval":7,"interval":"5m"},"env":null,"env":{"A":1,"A":"1"},"patrols.witness":{"enabled":false}}"#,
    );
    assert_eq!(problems, Vec::<String>::new(), "of a key given twice the last counts");
    let mut expected = Settings { env: BTreeMap::from([("A".into(), "1".into())]), ..Settings::default() };
    expected.heartbeat.interval = Duration::from_secs(300);
    assert_eq!(settings, expected, "a dot in a key leads nowhere");

    let (settings, problems) = shared(
        r#"{"heartbeat":{"enabled":false,"interval":"5m"},"unknown":7,
            "patrols":{"witness":{"enabled":false},"refinery":{"rigs":["a","b"],"interval":7},"deacon":{"rigs":[]},
                "restart_tracker":{"initial_backoff":1000000000,"max_backoff":"5m","backoff_multiplier":3,
                    "crash_loop_window":"1h","crash_loop_count":9,"stability_period":60000000000}},
            "env":{"A":"1","B":""}}"#,
    );
    assert_eq!(problems, Vec::<String>::new());
    let mut expected = Settings::default();
    expected.heartbeat.interval = Duration::from_secs(300);
    expected.patrols.witness.enabled = false;
    expected.patrols.refinery.rigs = Some(vec!["a".into(), "b".into()]);
    expected.restart.initial_backoff = Duration::from_secs(1);
    expected.restart.max_backoff = Duration::from_secs(300);
    expected.restart.multiplier = 3.0;
    expected.restart.crash_loop_window = Duration::from_secs(3600);
    expected.restart.crash_loop_count = 9;
    expected.restart.stable_after = Duration::from_secs(60);
    expected.env = BTreeMap::from([("A".into(), "1".into()), ("B".into(), String::new())]);
    assert_eq!(settings, expected);
}

#[test]
fn what_is_wrong_in_the_shared_file_has_its_default_and_the_rest_counts() {
    for (name, wrong, begin) in [
        (
            "interval",
            r#""heartbeat":{"interval":180}"#,
            "mayor/daemon.json:1:26: heartbeat.interval: expected a duration",
        ),
        (
            "interval zero",
            r#""heartbeat":{"interval":"0s"}"#,
            "mayor/daemon.json:1:26: heartbeat.interval: it must be",
        ),
        ("heartbeat", r#""heartbeat":null"#, "mayor/daemon.json:1:14: heartbeat: expected an object"),
        (
            "enabled",
            r#""patrols":{"witness":{"enabled":"no"}}"#,
            "mayor/daemon.json:1:34: patrols.witness.enabled: expected true",
        ),
        (
            "rigs",
            r#""patrols":{"witness":{"rigs":"a"}}"#,
            "mayor/daemon.json:1:31: patrols.witness.rigs: expected a list",
        ),
        (
            "patrol",
            r#""patrols":{"witness":false}"#,
            "mayor/daemon.json:1:23: patrols.witness: expected an object",
        ),
        (
            "negative",
            r#""patrols":{"restart_tracker":{"initial_backoff":-5}}"#,
            "mayor/daemon.json:1:50: patrols.restart_tracker.initial_backoff: expected a whole number of nanoseconds",
        ),
        (
            "multiplier",
            r#""patrols":{"restart_tracker":{"backoff_multiplier":0}}"#,
            "mayor/daemon.json:1:53: patrols.restart_tracker.backoff_multiplier: expected a number of at least 1",
        ),
        (
            "bounds crossed",
            r#""patrols":{"restart_tracker":{"max_backoff":"1s"}}"#,
            "mayor/daemon.json:1:46: patrols.restart_tracker.max_backoff: max_backoff must not",
        ),
    ] {
        let (settings, problems) = shared(&format!("{{{wrong},\"env\":{{\"A\":\"1\"}}}}"));
        assert_eq!(problems.len(), 1, "{name}: {problems:?}");
        assert!(problems[0].starts_with(begin), "{name}: {}", problems[0]);
        assert!(
            problems[0].ends_with("; correct it; until then its default applies"),
            "{name}: {}",
            problems[0]
        );
        let expected = Settings { env: BTreeMap::from([("A".into(), "1".into())]), ..Settings::default() };
        assert_eq!(settings, expected, "{name}");
    }
    let (settings, problems) = shared(r#"{"env":{"A":1,"":"x","B=C":"x","D":"\u0000","E":"ok"}}"#);
    assert_eq!((settings.env.len(), problems.len()), (1, 4));
}

/// The settings of a town of this dialect with these files, and the problems.
fn with_town(dialect: Dialect, files: [Option<&'static str>; 3]) -> (Settings, Vec<String>) {
    let file =
        |path: &'static str, text: Option<&'static str>| text.map(|text| (Path::new(path), text.as_bytes()));
    let [ours, town, shared] = files;
    let sources = Sources {
        ours: file(OURS, ours),
        town: file("settings/config.json", town),
        shared: file(SHARED, shared),
    };
    let read = resolve(dialect, sources).unwrap();
    (read.settings, read.problems.iter().map(ToString::to_string).collect())
}

#[test]
fn the_settings_of_a_1_x_town() {
    const TOWN: &str = r#"{"type":"town-settings","version":1,"default_agent":"claude","scheduler":{"max_polecats":3},
        "disabled_patrols":["witness","dolt_backup"],
        "operational":{"session":null,"deacon":{"heartbeat_stale_threshold":"1m"},"daemon":{
            "recovery_heartbeat_interval":"70s","boot_spawn_cooldown":"7m","deacon_grace_period":"8m",
            "mass_death_window":"9s","mass_death_threshold":9,"max_lifecycle_message_age":"10h",
            "polecat_idle_session_timeout":"11m","dog_idle_session_timeout":"","max_dog_pool_size":4}}}"#;
    let (settings, problems) = with_town(Dialect::V1, [None, Some(TOWN), None]);
    assert_eq!(problems, Vec::<String>::new());
    let mut expected = Settings::of(Dialect::V1);
    expected.heartbeat.interval = Duration::from_secs(70);
    expected.boot.cooldown = Duration::from_mins(7);
    expected.deacon.grace = Duration::from_mins(8);
    (expected.deaths.window, expected.deaths.threshold) = (Duration::from_secs(9), 9);
    expected.lifecycle.max_age = Duration::from_hours(10);
    expected.polecats.reap_idle_after = Duration::from_mins(11);
    expected.patrols.witness.enabled = false;
    expected.patrols.disabled = ["witness".to_owned(), "dolt_backup".to_owned()].into();
    assert_eq!(settings, expected);
    let ours = r#"{"polecats":{"reap_idle_after":"12m"}}"#;
    let (settings, _) = with_town(Dialect::V1, [Some(ours), Some(TOWN), None]);
    assert_eq!(settings.polecats.reap_idle_after, Duration::from_mins(12), "ours wins");
    let january = with_town(Dialect::January, [None, Some(TOWN), None]);
    assert_eq!(january, (Settings::default(), vec![]), "January's has no such keys");

    let shared = r#"{"heartbeat":{"interval":"60s"},"patrols":{"witness":{"enabled":true,"rigs":null},
        "refinery":{"enabled":false}}}"#;
    let ours = r#"{"heartbeat":{"interval":"50s"}}"#;
    for (name, files, interval, [witness, refinery]) in [
        ("nothing", [None, None, None], 180, [true, true]),
        (
            "keys that are not known, and those of the scheduler",
            [
                None,
                Some(
                    r#"{"operational":{"x":1,"daemon":{"later":{"a":1}}},"scheduler":{"max_polecats":-1,"x":[]}}"#,
                ),
                None,
            ],
            180,
            [true, true],
        ),
        (
            "no scheduler",
            [None, Some(r#"{"scheduler":{"max_polecats":null}}"#), Some(shared)],
            60,
            [true, false],
        ),
        ("only the shared one", [None, None, Some(shared)], 60, [true, false]),
        ("the town's beats the shared one", [None, Some(TOWN), Some(shared)], 70, [false, false]),
        ("ours beats both", [Some(ours), Some(TOWN), Some(shared)], 50, [false, false]),
        (
            "an empty text is not given",
            [None, Some(r#"{"operational":{"daemon":{"recovery_heartbeat_interval":""}}}"#), Some(shared)],
            60,
            [true, false],
        ),
        (
            "nulls",
            [None, Some(r#"{"operational":null,"disabled_patrols":null}"#), Some(shared)],
            60,
            [true, false],
        ),
        (
            "no section of the daemon",
            [None, Some(r#"{"operational":{"daemon":null}}"#), Some(shared)],
            60,
            [true, false],
        ),
    ] {
        let (settings, problems) = with_town(Dialect::V1, files);
        assert_eq!(problems, Vec::<String>::new(), "{name}");
        assert_eq!(settings.heartbeat.interval.as_secs(), interval, "{name}");
        let covers = [&settings.patrols.witness, &settings.patrols.refinery].map(|it| it.covers("alpha"));
        assert_eq!(covers, [witness, refinery], "{name}");
    }
}

#[test]
fn what_is_wrong_in_the_settings_of_a_1_x_town_is_as_if_it_were_not_given() {
    for (text, begin) in [
        (
            r#"{"operational":{"daemon":{"recovery_heartbeat_interval":"soon"}}}"#,
            "settings/config.json:1:57: operational.daemon.recovery_heartbeat_interval: \"soon\"",
        ),
        (
            r#"{"operational":{"daemon":{"mass_death_threshold":0}}}"#,
            "settings/config.json:1:50: operational.daemon.mass_death_threshold: expected a whole number",
        ),
        (r#"{"operational":[]}"#, "settings/config.json:1:16: operational: expected an object"),
        (
            r#"{"operational":{"daemon":{"polecat_idle_session_timeout":15}}}"#,
            "settings/config.json:1:58: operational.daemon.polecat_idle_session_timeout: expected a duration",
        ),
        (
            "{\"scheduler\":\n {\"max_polecats\": \"3\"}}",
            "settings/config.json:2:19: scheduler.max_polecats: expected a whole number, found \"3\"",
        ),
        (
            r#"{"scheduler":{"max_polecats":3.5}}"#,
            "settings/config.json:1:30: scheduler.max_polecats: expected a whole number, found 3.5",
        ),
        (r#"{"scheduler":3}"#, "settings/config.json:1:14: scheduler: expected an object"),
        (r#"{"disabled_patrols":"witness"}"#, "settings/config.json:1:21: disabled_patrols: expected a list"),
        (r#"{"disabled_patrols":["witness""#, "settings/config.json:1:"),
    ] {
        let shared = r#"{"heartbeat":{"interval":"60s"}}"#;
        let (settings, problems) = with_town(Dialect::V1, [None, Some(text), Some(shared)]);
        assert_eq!(problems.len(), 1, "{text}: {problems:?}");
        assert!(problems[0].starts_with(begin), "{problems:?}");
        assert_eq!(settings.heartbeat.interval.as_secs(), 60, "{text}");
        assert!(settings.patrols.witness.enabled && settings.patrols.disabled.is_empty(), "{text}");
    }
}

#[test]
fn patrols_as_gt_1_x_writes_them() {
    let (settings, problems) = shared(include_str!("../../../tests/fixtures/v1/files/mayor.daemon.json"));
    assert_eq!(problems, Vec::<String>::new());
    assert_eq!(settings.patrols.witness.rigs, Some(vec!["beta".to_owned(), "alpha".to_owned()]));
    let docked_all = include_str!("../../../tests/fixtures/v1/rig_dock_all.stdout");
    let list: Vec<serde_json::Value> = serde_json::from_str(docked_all.lines().last().unwrap()).unwrap();
    let text = serde_json::json!({"patrols": {"witness": list[0], "refinery": list[1]}}).to_string();
    let (settings, problems) = shared(&text);
    assert_eq!(problems, Vec::<String>::new());
    assert!(
        settings.patrols.witness.covers("alpha") && settings.patrols.refinery.covers("beta"),
        "null is all"
    );
}

#[test]
fn ours_beats_shared_beats_default_for_each_key() {
    let shared = r#"{"heartbeat":{"interval":"5m"},
        "patrols":{"restart_tracker":{"initial_backoff":"11s","crash_loop_count":9}}}"#;
    for (name, ours, interval, deadline, backoff, count) in [
        ("shared alone", "{}", 300, 60, 11, 9),
        (
            "ours wins",
            r#"{"heartbeat":{"interval":"7m"},"restart":{"initial_backoff":"12s"}}"#,
            420,
            60,
            12,
            9,
        ),
        (
            "another key of ours",
            r#"{"heartbeat":{"deadline":"9s"},"restart":{"crash_loop_count":2}}"#,
            300,
            9,
            11,
            2,
        ),
    ] {
        let both = both(Some(ours), Some(shared));
        let settings = both.unwrap().settings;
        assert_eq!(settings.heartbeat.interval, Duration::from_secs(interval), "{name}");
        assert_eq!(settings.heartbeat.deadline, Duration::from_secs(deadline), "{name}");
        assert_eq!(settings.restart.initial_backoff, Duration::from_secs(backoff), "{name}");
        assert_eq!(settings.restart.crash_loop_count, count, "{name}");
    }
}

proptest::proptest! {
    #[test]
    fn never_panics(ours: Vec<u8>, shared in "\\PC*") {
        let _ = resolve(Dialect::January, Sources { ours: Some((Path::new(OURS), &ours)), ..Sources::default() });
        let _ = both(None, Some(&shared));
    }
}

#[test]
fn the_most_memory_of_each_role() {
    use crate::town::{identity::Role, settings::amount::Amount};
    let gib = |gib: u64| Some(Amount::Bytes(gib << 30));
    for (text, polecat, deacon, is_set) in [
        ("null", None, None, false),
        ("\"2GiB\"", gib(2), gib(2), true),
        ("\"25%\"", Some(Amount::Percent(25.0)), Some(Amount::Percent(25.0)), true),
        ("{\"polecat\": \"4G\"}", gib(4), None, true),
        ("{\"all\": \"2G\", \"polecat\": \"4G\"}", gib(4), gib(2), true),
        ("{\"all\": \"2G\", \"deacon\": null}", gib(2), None, true),
        ("{}", None, None, false),
    ] {
        let max =
            ours(&format!("{{\"start\": {{\"memory\": {{\"max\": {text}}}}}}}")).unwrap().start.memory.max;
        let got = (max.of(Role::Polecat), max.of(Role::Deacon), max.is_set());
        assert_eq!(got, (polecat, deacon, is_set), "{text}");
    }
}
