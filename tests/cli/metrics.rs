//! `GET /metrics`, compared with what was done to the town.

use std::{
    io::{Read, Write},
    os::unix::net::UnixStream,
};

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::{
    among_others,
    exposition::{Exposition, Sample},
    support::{PATIENCE, process, recording::kill_agent, town::Town},
};

const OPEN: &str = "application/openmetrics-text; version=1.0.0";

/// The head and the body of the answer to a client that accepts this.
fn ask(town: &Town, accept: &str) -> (String, String) {
    let mut stream = UnixStream::connect(town.path("daemon/supervisor.sock")).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    let head =
        format!("GET /metrics HTTP/1.1\r\nHost: town\r\nAccept: {accept}\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").expect("an answer");
    (head.to_lowercase(), body.to_owned())
}

fn metrics(town: &Town) -> Exposition {
    let (_, body) = ask(town, OPEN);
    Exposition::openmetrics(&body).unwrap_or_else(|error| panic!("{error}\n{body}"))
}

/// Waits until the metrics are so, and returns them.
fn wait(town: &Town, what: &str, holds: impl Fn(&Exposition) -> bool) -> Exposition {
    town.wait_some(what, || Some(metrics(town)).filter(&holds))
}

/// By how much these counts rose.
fn rose(before: &Exposition, after: &Exposition, counts: &[(&str, &str)]) -> Vec<f64> {
    let rise = |(family, labels): &(&str, &str)| after.count(family, labels) - before.count(family, labels);
    counts.iter().map(rise).collect()
}

fn status(town: &Town) -> Value {
    serde_json::from_str(&town.ask(&["status", "--json"]).stdout).unwrap_or_default()
}

fn a_town(rigs: &[&str]) -> Town {
    let town = Town::new(rigs);
    town.patrols(&["witness"]);
    town.settings(json!({
        "heartbeat": {"interval": "1s"},
        "restart": {"confirm": "1s", "initial_backoff": "50ms", "max_backoff": "50ms", "crash_loop_count": 3},
        "deaths": {"window": "2s", "paced_restart": "100ms"},
        "commands": {"timeout": "1s"},
    }));
    town
}

#[test]
fn a_witness_that_is_killed_is_counted_and_timed() {
    let _among = among_others();
    let town = a_town(&["alpha"]);
    let supervisor = town.start_and_beat();
    town.wait_started(&["alpha/witness"]);
    let before =
        wait(&town, "a living witness", |it| it.value("agents", "role=witness,state=alive") == Some(1.0));
    let counts = [
        ("agent_deaths", "cause=crashed,role=witness"),
        ("agent_starts", "outcome=started,role=witness"),
        ("agent_restarts", "role=witness"),
        ("death_confirmation_seconds", "role=witness"),
        ("death_replacement_seconds", "role=witness"),
        ("agent_start_duration_seconds", "role=witness"),
        ("crash_loops", "role=witness"),
        ("mass_deaths", ""),
    ];
    assert_eq!(before.count("agent_starts", "outcome=started,role=witness"), 1.0, "its first start");
    kill_agent(&town, "gt-alpha-witness");
    let restarted = |it: &Exposition| it.count("agent_restarts", "role=witness") == 1.0;
    let after = wait(&town, "its restart", restarted);
    assert_eq!(rose(&before, &after, &counts), [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.0, 0.0]);
    // The kernel or tmux reports it first, and the other is no second death.
    let noticed: Vec<f64> = ["sign=process", "sign=window", "sign=scan", "sign=probe"]
        .map(|sign| after.count("death_notice_seconds", sign))
        .to_vec();
    assert_eq!(noticed.iter().sum::<f64>(), 1.0, "{noticed:?}");
    let sum = |family| match after.sample(family, "role=witness") {
        Some(Sample::Histogram { sum, .. }) => *sum,
        other => panic!("{other:?}"),
    };
    let (confirmed, replaced) = (sum("death_confirmation_seconds"), sum("death_replacement_seconds"));
    assert!((0.9..PATIENCE.as_secs_f64()).contains(&confirmed), "restart.confirm is 1 s: {confirmed}");
    assert!(replaced > confirmed && replaced < PATIENCE.as_secs_f64(), "{replaced}");
    // What is read at the moment of asking.
    assert_eq!(after.value("report_up", ""), Some(1.0));
    assert!(after.count("heartbeats", "result=complete") >= 1.0);
    assert!(after.count("last_heartbeat_timestamp_seconds", "") > 1.7e9);
    assert_eq!(after.value("actors", "state=suspended"), Some(0.0));
    assert!(after.count("process_threads", "") >= 1.0 && after.count("process_open_fds", "") > 3.0);
    assert!(after.count("process_resident_memory_bytes", "") > 1e6);
    let threads = process::threads(supervisor.pid()) as f64;
    assert!((after.count("process_threads", "") - threads).abs() < 30.0, "{threads}");
    let lag = |it: &Exposition| it.value("feed_lag_bytes", "") == Some(0.0);
    wait(&town, "a feed that is up to date", lag);
}

#[test]
fn crash_loops_mass_deaths_and_starts_that_are_refused() {
    let _among = among_others();
    let rigs = ["alpha", "beta", "gamma"];
    let town = a_town(&rigs);
    let _supervisor = town.start_and_beat();
    let alive = |it: &Exposition| it.value("agents", "role=witness,state=alive") == Some(3.0);
    town.wait_started(&rigs.map(|rig| format!("{rig}/witness")).each_ref().map(String::as_str));
    let before = wait(&town, "three witnesses", alive);
    for rig in rigs {
        kill_agent(&town, &format!("gt-{rig}-witness"));
    }
    let after =
        wait(&town, "a mass death, and all back", |it| it.count("mass_deaths", "") == 1.0 && alive(it));
    let counts = [("agent_deaths", "cause=crashed,role=witness"), ("agent_restarts", "role=witness")];
    assert_eq!(rose(&before, &after, &counts), [3.0, 3.0]);
    town.wait("an end of the pace", || status(&town)["deaths"]["paced"] == false);
    for count in 2.. {
        let crashed = |it: &Exposition| it.value("agents", "role=witness,state=crash_loop") == Some(1.0);
        kill_agent(&town, "gt-alpha-witness");
        let deaths = f64::from(count + 2);
        let told = wait(&town, "its death, and what follows", |it| {
            it.count("agent_deaths", "cause=crashed,role=witness") == deaths && (alive(it) || crashed(it))
        });
        if crashed(&told) {
            assert_eq!(told.count("crash_loops", "role=witness"), 1.0);
            break;
        }
        assert!(count < 8, "a crash loop after 3 restarts");
    }
    town.put("ESTOP", "");
    kill_agent(&town, "gt-beta-witness");
    let refused = "reason=emergency_stop,role=witness";
    let told = wait(&town, "a refusal", |it| it.count("starts_refused", refused) >= 1.0);
    assert_eq!(told.value("gates_closed", "reason=emergency_stop"), Some(1.0));
    town.wait_beats(2);
    let again = metrics(&town).count("starts_refused", refused);
    assert!(
        again <= 2.0,
        "a refusal that lasts counts once for each agent, not with each heartbeat: {again}"
    );
    town.remove("ESTOP");
    wait(&town, "an open gate", |it| it.value("gates_closed", "reason=emergency_stop") == Some(0.0));
}

#[test]
fn a_bd_that_hangs_is_seen_while_it_runs_and_when_it_is_killed() {
    let _among = among_others();
    let town = a_town(&["alpha"]);
    std::fs::create_dir_all(town.path("alpha/polecats/nux")).unwrap();
    let mut supervisor = town.start_and_beat();
    let before = metrics(&town);
    assert_eq!(before.value("commands", "outcome=timed_out,program=bd"), Some(0.0));
    town.put("demo/hang-bd", "");
    wait(&town, "one that runs", |it| it.count("commands_running", "program=bd") >= 1.0);
    let after =
        wait(&town, "one that is killed", |it| it.count("commands", "outcome=timed_out,program=bd") >= 1.0);
    let Some(Sample::Histogram { sum, count, .. }) = after.sample("command_duration_seconds", "program=bd")
    else {
        panic!("a duration")
    };
    assert!(*sum >= 0.9 && *count >= 1, "{sum} in {count} runs");
    town.remove("demo/hang-bd");
    supervisor.stop(Signal::TERM);
}

#[test]
fn each_client_gets_its_format() {
    let _among = among_others();
    let town = a_town(&["alpha"]);
    let _supervisor = town.start_and_beat();
    let (head, body) =
        ask(&town, "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5");
    assert!(
        head.contains("content-type: application/openmetrics-text; version=1.0.0; charset=utf-8"),
        "{head}"
    );
    let read = Exposition::openmetrics(&body).unwrap();
    let build = &read.0["gastown_supervisor_build"].samples;
    let (labels, _) = build.first_key_value().unwrap();
    assert!(labels.contains(&format!("version={}", env!("CARGO_PKG_VERSION"))), "{labels}");
    let (head, body) = ask(&town, "*/*");
    assert!(head.contains("content-type: text/plain; version=0.0.4; charset=utf-8"), "{head}");
    assert!(Exposition::prometheus(&body).unwrap() > 50);
    assert!(body.len() < 200_000, "{}", body.len());
    // No name of an agent, a session or a rig is in it.
    assert!(!body.contains("alpha"), "{body}");
}
