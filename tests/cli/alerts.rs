//! Alerts from outside: a local server gets them, fails, hangs, closes, redirects and lies; each is delivered once, across
//! kills; no secret of a URL is ever written.

use std::collections::BTreeSet;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::{
    among_others,
    support::{
        background::{self, Answer},
        http::{HttpServer, Serves},
        recording::kill_agent,
        town::Town,
    },
};

/// In every URL of these tests; nothing but the server may ever see it.
const SECRET: &str = "T0pS3cr3t";

const FINE: Serves = Serves::Answer("200 OK", "ok");

fn hook(server: &HttpServer) -> String {
    server.url(&format!("/services/{SECRET}"))
}

/// A town in which nothing runs, whose alerts go to this server.
fn town(server: &HttpServer) -> Town {
    let town = Town::new(&[]);
    town.patrols(&[]);
    town.settings(json!({
        "heartbeat": {"interval": "500ms"},
        "notify": {"webhook": hook(server), "timeout": "2s"},
    }));
    town
}

/// The secret is in none of the supervisor's files or answers.
fn keeps_the_secret(town: &Town) {
    let answers = [&["status", "--json"][..], &["doctor"], &["doctor", "--json"], &["reload"]];
    let mut texts = vec![("the log", town.log())];
    for words in answers {
        let answer = town.ask(words);
        texts.push((words[0], format!("{}{}", answer.stdout, answer.stderr)));
    }
    for file in std::fs::read_dir(town.path("daemon/supervisor")).into_iter().flatten().flatten() {
        texts.push(("a file of ours", std::fs::read_to_string(file.path()).unwrap_or_default()));
    }
    for (what, text) in texts {
        assert!(!text.contains(SECRET), "{what}: {text}");
    }
}

/// `kind id` of each alert.
fn alerts(server: &HttpServer) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    server.posted().iter().map(|alert| (text(&alert["kind"]), text(&alert["id"]))).collect()
}

/// The kinds of all alerts, each alert once however often it was tried.
fn kinds(server: &HttpServer) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let all = alerts(server).into_iter().filter(|(_, id)| seen.insert(id.clone()));
    let mut kinds: Vec<String> = all.map(|(kind, _)| kind).collect();
    kinds.sort();
    kinds
}

/// Waits until nothing waits any more, on disk.
fn all_delivered(town: &Town) {
    town.wait("that all is delivered", || {
        let file: Value =
            serde_json::from_str(&town.text("daemon/supervisor/alerts.json")).unwrap_or_default();
        let queue = &file["queues"]["webhook"];
        queue["sent"].as_array().is_some_and(|sent| !sent.is_empty())
            && queue["waiting"].as_array().is_some_and(Vec::is_empty)
    });
}

fn test(town: &Town, notify: Value) -> Answer {
    town.settings(json!({"notify": notify}));
    let answer = town.ask(&["notify", "--test"]);
    assert!(!format!("{}{}", answer.stdout, answer.stderr).contains(SECRET), "{answer:?}");
    answer
}

#[test]
fn a_test_alert_says_what_each_channel_answered() {
    let _among = among_others();
    let (server, other) = (HttpServer::new(FINE), HttpServer::new(FINE));
    let town = Town::new(&[]);
    let elsewhere = other.url(&format!("/{SECRET}"));
    let id = r#"{"id":"x","event":"message"}"#;
    #[rustfmt::skip]
    let cases = [
        (FINE, "json", 0, "accepted (HTTP 200)"),
        (FINE, "slack", 0, "accepted (HTTP 200)"),
        (Serves::Answer("204 No Content", ""), "discord", 0, "accepted (HTTP 204)"),
        (Serves::Answer("500 Internal Server Error", SECRET), "json", 1, "failed: HTTP 500: the service does not work"),
        (Serves::Answer("404 Not Found", SECRET), "slack", 1, "failed: HTTP 404: there is nothing at this URL any more"),
        (Serves::Answer("200 OK", "<html>log in</html>"), "slack", 1, "failed: HTTP 200: the answer is not one of this service"),
        (Serves::Redirect(elsewhere), "json", 1, "failed: HTTP 302: it redirects, which is not followed"),
        (Serves::Closes, "json", 1, "failed: "),
        (Serves::Rubbish, "json", 1, "failed: "),
        (Serves::Hangs, "json", 1, "failed: no answer within 500ms"),
    ];
    for (serves, shape, code, said) in cases {
        let name = format!("{serves:?} {shape}");
        server.serve(serves);
        server.forget();
        let notify = json!({"webhook": hook(&server), "webhook_shape": shape, "timeout": "500ms"});
        let answer = test(&town, notify);
        assert_eq!(answer.code, Some(code), "{name}: {answer:?}");
        assert!(
            answer.stdout.starts_with(&format!("notify.webhook (http://127.0.0.1): {said}")),
            "{name}: {answer:?}"
        );
        assert_eq!(server.got().len(), 1, "{name}: one request");
        assert_eq!(server.got()[0].1, format!("/services/{SECRET}"));
    }
    assert_eq!(other.got().len(), 0, "no redirect is followed");
    // Nobody listens there.
    let answer = test(&town, json!({"webhook": format!("http://127.0.0.1:1/{SECRET}"), "timeout": "2s"}));
    assert_eq!(
        (answer.code, answer.stdout.contains("failed: connection refused")),
        (Some(1), true),
        "{answer:?}"
    );
    // A proxy of the environment is asked instead.
    server.serve(Serves::Answer("502 Bad Gateway", ""));
    server.forget();
    town.settings(
        json!({"notify": {"webhook": format!("http://nowhere.invalid/{SECRET}"), "timeout": "2s"}}),
    );
    for (no_proxy, requests) in [("", 1), ("nowhere.invalid", 1)] {
        let mut command = town.command_of(&["notify", "--test"]);
        command.env("HTTP_PROXY", server.url("")).env("NO_PROXY", no_proxy);
        let answer = background::answer(command);
        assert_eq!((answer.code, answer.stdout.contains(SECRET)), (Some(1), false), "{answer:?}");
        assert_eq!(server.got().len(), requests, "NO_PROXY={no_proxy}: {answer:?}");
    }
    assert!(server.got()[0].1.contains("nowhere.invalid"), "{:?}", server.got());
    // All channels; one that fails is enough.
    server.serve(Serves::Answer("200 OK", id));
    server.forget();
    town.program("notify-send", &format!("printf '%s\\n' \"$@\" > {}", town.path("demo/shown").display()));
    let all = |ntfy: &str| {
        json!({
            "webhook": hook(&server), "ntfy": ntfy, "desktop": true, "command": "cat > demo/alert.json",
            "heartbeat_url": server.url(&format!("/beat/{SECRET}")), "timeout": "2s",
        })
    };
    let answer = test(&town, all(&server.url(&format!("/{SECRET}"))));
    assert_eq!(answer.code, Some(0), "{answer:?}");
    let lines: Vec<&str> = answer.stdout.lines().collect();
    assert_eq!(
        lines,
        [
            "notify.webhook (http://127.0.0.1): accepted (HTTP 200)",
            "notify.ntfy (http://127.0.0.1): accepted (HTTP 200)",
            "notify.desktop (notify-send): accepted (notify-send ended well)",
            "notify.command: accepted (exit code 0)",
            "notify.heartbeat_url (http://127.0.0.1): not requested, as only a running supervisor may",
        ]
    );
    assert!(server.got().iter().all(|(_, path, _)| !path.starts_with("/beat")), "{:?}", server.got());
    let shown = town.text("demo/shown");
    assert!(shown.contains("--urgency=low") && shown.contains("This is a test"), "{shown}");
    assert_eq!(town.json("demo/alert.json")["type"], "test");
    let answer = test(&town, all(&format!("http://127.0.0.1:1/{SECRET}")));
    assert_eq!(answer.code, Some(1), "{answer:?}");
    assert_eq!(answer.stdout.matches("accepted").count(), 3, "the others get it: {answer:?}");
    // None, and settings that are wrong.
    let answer = test(&town, json!({}));
    assert_eq!(
        (answer.code, answer.stdout.contains("no channel is configured")),
        (Some(1), true),
        "{answer:?}"
    );
    let answer = test(&town, json!({"webhook": format!("htps://{SECRET}")}));
    assert_eq!(answer.code, Some(1));
    assert!(answer.stderr.contains("notify.webhook: expected a URL"), "{answer:?}");
    assert_eq!(town.ask(&["notify"]).code, Some(2), "without --test it does nothing");
}

#[test]
fn each_alert_once_across_kills_and_stops() {
    let _among = among_others();
    let server = HttpServer::new(Serves::Answer("500 Internal Server Error", SECRET));
    let town = town(&server);
    town.program("tmux", "echo 'no terminal' >&2; exit 1");
    // It fails, and the supervisor is killed while the alert waits.
    let mut first = town.start();
    town.wait("a try", || !server.got().is_empty());
    town.wait_logged("alerts are not delivered by notify.webhook (http://127.0.0.1): HTTP 500");
    first.stop(Signal::KILL);
    // It hangs, and the supervisor is killed while it waits for the answer.
    server.serve(Serves::Hangs);
    let tries = server.got().len();
    let mut second = town.start();
    town.wait("another try", || server.got().len() > tries);
    second.stop(Signal::KILL);
    server.serve(FINE);
    let mut third = town.start();
    town.wait("both ends of a supervisor", || kinds(&server).len() == 3);
    all_delivered(&town);
    assert_eq!(kinds(&server), ["broken_tool", "supervisor_crashed", "supervisor_crashed"], "{}", town.log());
    keeps_the_secret(&town);
    // Killed when all is delivered.
    third.stop(Signal::KILL);
    server.forget();
    let mut fourth = town.start();
    town.wait("the third end", || kinds(&server) == ["supervisor_crashed"]);
    all_delivered(&town);
    let tried = alerts(&server).len();
    assert_eq!(tried, 1, "accepted at once, sent once");
    // An orderly stop is no news, and what lasts is none either: what is found after it is sent, and it is not.
    assert_eq!(fourth.stop(Signal::TERM).0.code(), Some(0));
    server.forget();
    let found = town.logged("sessions cannot be seen");
    let _fifth = town.start();
    town.wait("that it is found again", || town.logged("sessions cannot be seen") > found);
    town.settings(json!({
        "heartbeat": {"interval": "500ms"},
        "notify": {"webhook": hook(&server), "timeout": "2s"},
        "commands": {"gt": "no-such-gt"},
    }));
    town.wait("what is found later", || kinds(&server).contains(&"missing_program".to_owned()));
    all_delivered(&town);
    assert_eq!(kinds(&server), ["missing_program"], "{:?}", server.got());
    keeps_the_secret(&town);
}

#[test]
fn a_mass_death_is_one_alert_with_all_who_died_together() {
    let _among = among_others();
    let server = HttpServer::new(FINE);
    let town = Town::new(&["alpha", "beta"]);
    town.patrols(&["witness", "refinery"]);
    town.settings(
        json!({"notify": {"webhook": hook(&server), "timeout": "2s"}, "deaths": {"window": "10s"}}),
    );
    let mut supervisor = town.start();
    let agents = ["alpha/refinery", "alpha/witness", "beta/refinery", "beta/witness"];
    town.wait_started(&agents);
    for agent in agents {
        let (rig, role) = agent.split_once('/').unwrap();
        kill_agent(&town, &format!("gt-{rig}-{role}"));
    }
    let alert = town.wait_some("the alert", || server.posted().into_iter().next());
    let mut named: Vec<&str> = alert["agents"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    named.sort_unstable();
    assert_eq!(named, agents, "{alert}\n{}", town.log());
    assert_eq!((&alert["kind"], &alert["severity"]), (&json!("mass_death"), &json!("critical")));
    assert_eq!(alert["town"], json!(town.root()));
    assert_eq!(alert["event"]["payload"]["count"], 4);
    all_delivered(&town);
    supervisor.stop(Signal::TERM);
    assert_eq!(kinds(&server), ["mass_death"]);
}

#[test]
fn a_sign_of_life_is_given_while_it_lives() {
    let _among = among_others();
    let server = HttpServer::new(Serves::Answer("500 Internal Server Error", ""));
    let town = Town::new(&[]);
    town.patrols(&[]);
    let url = server.url(&format!("/ping/{SECRET}"));
    town.settings(json!({"notify": {"heartbeat_url": url, "timeout": "2s"}}));
    let mut supervisor = town.start();
    town.wait("the first", || !server.got().is_empty());
    assert_eq!(server.got()[0].0, "GET");
    town.wait_logged("notify.heartbeat_url (http://127.0.0.1) was not reached: HTTP 500");
    keeps_the_secret(&town);
    supervisor.stop(Signal::TERM);
    assert!(!town.path("daemon/supervisor/alerts.json").exists(), "no channel, no file");
}
