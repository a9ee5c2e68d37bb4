//! The control socket from outside: its file, its answers, and hostile clients.

use std::{
    io::{Read, Write},
    os::unix::net::UnixStream,
    time::{Duration, Instant},
};

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::{
    among_others,
    support::{PATIENCE, limits::LimitedCommand, process, supervisor::as_asked, town::Town},
};

const SOCKET: &str = "daemon/supervisor.sock";

fn witness_town() -> Town {
    let town = Town::new(&["alpha"]);
    town.patrols(&["witness"]);
    town
}

fn connect(town: &Town) -> UnixStream {
    let stream = UnixStream::connect(town.path(SOCKET)).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// One request as `curl` sends it; the whole answer.
fn request(town: &Town, method: &str, path: &str) -> String {
    let mut stream = connect(town);
    write!(stream, "{method} {path} HTTP/1.1\r\nHost: town\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn its_file_comes_and_goes_with_the_supervisor() {
    let _among = among_others();
    let town = witness_town();
    let mut first = town.start_and_beat();
    town.wait("the socket", || town.path(SOCKET).exists());
    assert_eq!(town.mode(SOCKET), 0o600);
    first.stop(Signal::TERM);
    assert!(!town.path(SOCKET).exists(), "taken away at the end");
    let mut second = town.start_and_beat();
    town.wait("an answer", || town.ask(&["status"]).code == Some(0));
    second.stop(Signal::KILL);
    assert!(town.path(SOCKET).exists(), "nobody tidied");
    assert_eq!(town.ask(&["status"]).code, Some(3), "a socket alone is no supervisor");
    let mut third = town.start_and_beat();
    town.wait("an answer", || town.ask(&["status"]).code == Some(0));
    town.remove(SOCKET);
    third.signal(Signal::USR1);
    assert_eq!(town.ask(&["status"]).code, Some(1), "it runs, and cannot be asked");
    third.stop(Signal::TERM);
}

#[test]
fn a_town_with_a_path_too_long_for_a_socket() {
    let _among = among_others();
    let town = Town::new(&["alpha"]);
    town.patrols(&["witness"]);
    let deep = town.root().join("deep/".repeat(40));
    std::fs::create_dir_all(deep.join("mayor")).unwrap();
    for file in ["mayor/town.json", "mayor/daemon.json", "mayor/rigs.json", "settings/supervisor.json"] {
        std::fs::create_dir_all(deep.join(file).parent().unwrap()).unwrap();
        std::fs::copy(town.path(file), deep.join(file)).unwrap();
    }
    let command = |arguments: &[&str]| {
        let mut command = std::process::Command::new(crate::support::supervisor::binary());
        command.args(arguments).arg("--town").arg(&deep).env_clear().env("PATH", town.search_path());
        command.env("HOME", town.root().parent().unwrap()).env("SHELL", "/bin/sh");
        command
    };
    let mut supervisor =
        crate::support::supervisor::Supervisor::spawn(command(&["run"]), town.root().parent().unwrap());
    town.wait("an answer", || command(&["status"]).limited_output().status.code() == Some(0));
    supervisor.stop(Signal::TERM);
    assert!(!deep.join(SOCKET).exists());
}

#[test]
fn what_can_be_asked_and_what_not() {
    let _among = among_others();
    let town = witness_town();
    let mut supervisor = town.start();
    town.wait_started(&["alpha/witness"]);
    for (method, path, status, holds) in [
        ("GET", "/healthz", "200 OK", "ok\n"),
        ("GET", "/v1/status", "200 OK", "\"running\": true"),
        ("GET", "/v1/agents/alpha/witness", "200 OK", "\"entries\""),
        ("GET", "/v1/agents/alpha%2Fwitness", "200 OK", "\"entries\""),
        ("GET", "/v1/agents/nobody", "404 Not Found", "unknown agent nobody"),
        ("GET", "/v1/agents/%FF%00", "400 Bad Request", "\"error\":"),
        ("GET", "/v1/agents/%ff", "400 Bad Request", "\"error\":"),
        ("GET", "/v1/agents/%ff/clear-backoff", "400 Bad Request", "\"error\":"),
        ("POST", "/v1/agents/%ff/clear-backoff", "400 Bad Request", "\"error\":"),
        ("GET", "/%ff", "404 Not Found", "\"error\":"),
        ("GET", "/v1/poke", "405 Method Not Allowed", "\"error\":"),
        ("POST", "/v1/poke", "200 OK", "heartbeat"),
        ("POST", "/v1/poke?what=lifecycle", "200 OK", "lifecycle"),
        ("POST", "/v1/poke?what=nonsense", "400 Bad Request", "heartbeat or lifecycle"),
        ("POST", "/v1/agents/alpha/witness/clear-backoff", "200 OK", "cleared"),
        ("POST", "/v1/agents/alpha/witness/kill", "404 Not Found", "error"),
        ("DELETE", "/v1/status", "405 Method Not Allowed", "error"),
        ("GET", "/etc/passwd", "404 Not Found", "error"),
    ] {
        let answer = request(&town, method, path);
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
        assert!(head.starts_with(&format!("HTTP/1.1 {status}")), "{method} {path}: {answer}");
        let is_json = head.to_lowercase().contains("content-type: application/json");
        assert!(body.contains(holds), "{method} {path}: {answer}");
        assert!(is_json || path == "/healthz", "{method} {path}: {answer}");
    }
    supervisor.stop(Signal::TERM);
}

/// The events of a stream, as they come.
struct Events {
    stream: UnixStream,
    text: String,
}

impl Events {
    fn of(town: &Town) -> Events {
        let mut stream = connect(town);
        write!(stream, "GET /v1/events HTTP/1.1\r\nHost: town\r\n\r\n").unwrap();
        Events { stream, text: String::new() }
    }

    /// Waits for an event of this kind that fits; its data.
    fn until(&mut self, kind: &str, fits: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + PATIENCE;
        let mut chunk = [0; 4096];
        loop {
            // Data is on one line; how the stream is cut into pieces is HTTP's business.
            let mut lines = self.text.lines();
            while let Some(line) = lines.next() {
                if line != format!("event: {kind}") {
                    continue;
                }
                let Some(data) = lines.next().and_then(|line| line.strip_prefix("data: ")) else { break };
                if let Ok(data) = serde_json::from_str(data)
                    && fits(&data)
                {
                    return data;
                }
            }
            assert!(Instant::now() < deadline, "no such {kind} in\n{}", self.text);
            let length = self.stream.read(&mut chunk).unwrap();
            assert!(length > 0, "the stream ended:\n{}", self.text);
            self.text.push_str(&String::from_utf8_lossy(&chunk[..length]));
        }
    }
}

#[test]
fn events_are_a_snapshot_and_then_what_changes() {
    let _among = among_others();
    let town = witness_town();
    let mut supervisor = town.start();
    town.wait_started(&["alpha/witness"]);
    let mut events = Events::of(&town);
    let snapshot = events.until("snapshot", |_| true);
    assert_eq!(snapshot["running"], true);
    process::signal(town.incarnation("gt-alpha-witness").unwrap().1, Signal::KILL);
    let of_witness = |state: &'static str| {
        move |change: &Value| {
            let agents = change["agents"].as_array();
            agents.is_some_and(|all| {
                all.iter().any(|it| it["identity"] == "alpha/witness" && it["state"] == state)
            })
        }
    };
    events.until("change", of_witness("starting"));
    events.until("change", of_witness("alive"));
    supervisor.stop(Signal::TERM);
}

#[test]
fn an_idle_town_is_a_silent_stream() {
    let _among = among_others();
    let town = witness_town();
    // The stream compares heartbeats every five seconds.
    town.settings(json!({"heartbeat": {"interval": "1500ms"}}));
    let mut supervisor = town.start();
    town.wait_started(&["alpha/witness"]);
    let mut events = Events::of(&town);
    let begun = |count| move |change: &Value| change["heartbeat"]["count"].as_u64() >= Some(count);
    let first = events.until("snapshot", |_| true)["heartbeat"]["count"].as_u64().unwrap() + 2;
    events.until("change", begun(first));
    let settled = events.text.len();
    events.until("change", begun(first + 3));
    for line in events.text[settled..].lines().filter_map(|line| line.strip_prefix("data: ")) {
        let Ok(Value::Object(change)) = serde_json::from_str(line) else { continue };
        assert_eq!(change.keys().collect::<Vec<_>>(), ["heartbeat"], "{line}");
    }
    supervisor.stop(Signal::TERM);
}

#[test]
fn clients_that_mean_no_good_hold_nothing_up() {
    let _among = among_others();
    let town = witness_town();
    let mut supervisor = town.start();
    town.wait_started(&["alpha/witness"]);
    let memory = || resident_kib(supervisor.pid());
    let before = memory();
    let mut hostile: Vec<UnixStream> = Vec::new();
    // A thousand open connections that say nothing.
    for _ in 0..1000 {
        hostile.push(connect(&town));
    }
    // Headers without end, garbage, a body that never comes, and readers that do not read.
    for number in 0..20 {
        let mut stream = connect(&town);
        stream.set_write_timeout(Some(Duration::from_millis(200))).unwrap();
        let _ = match number % 4 {
            0 => (|| {
                stream.write_all(b"GET /v1/status HTTP/1.1\r\n")?;
                for line in 0..5000 {
                    write!(stream, "x-{line}: {}\r\n", "y".repeat(100))?;
                }
                Ok::<(), std::io::Error>(())
            })(),
            1 => stream.write_all(&[0xff; 100_000]),
            2 => {
                stream.write_all(b"POST /v1/poke HTTP/1.1\r\nHost: t\r\nContent-Length: 99999999999\r\n\r\n")
            }
            _ => (0..2000).try_for_each(|_| stream.write_all(b"GET /v1/status HTTP/1.1\r\nHost: t\r\n\r\n")),
        };
        hostile.push(stream);
    }
    let killed = town.incarnation("gt-alpha-witness").unwrap();
    process::signal(killed.1, Signal::KILL);
    let answered = town.ask(&["status"]);
    assert_eq!(answered.code, Some(0), "{answered:?}");
    town.wait_replaced("gt-alpha-witness", &killed);
    town.wait("its start", || town.started("alpha/witness") == 2);
    let grown = memory().saturating_sub(before);
    assert!(grown < 30 * 1024, "{grown} KiB more");
    drop(hostile);
    assert_eq!(town.ask(&["status"]).code, Some(0));
    let (status, took) = supervisor.stop(Signal::TERM);
    assert!(as_asked(status));
    // Other tests measure the time; this one only that no client is waited for.
    assert!(took < Duration::from_secs(5), "{took:?}");
}

fn resident_kib(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}

#[test]
fn orders_for_one_agent_and_what_became_of_them() {
    let _among = among_others();
    let town = witness_town();
    let mut supervisor = town.start();
    town.wait_started(&["alpha/witness"]);
    let answered = |method: &str, path: &str| {
        let answer = request(&town, method, path);
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status: u16 = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, serde_json::from_str::<Value>(body).unwrap())
    };
    for (path, status, why) in [
        (
            "alpha/witness/kill",
            404,
            "the commands for an agent are restart, stop, start, nudge and clear-backoff",
        ),
        ("nobody/stop", 404, "unknown agent nobody"),
        ("alpha/witness/stop?now=perhaps", 400, "`now` must be true or false"),
        ("alpha/witness/stop?for=0s", 400, "`for` is a time above 0, for `stop` only"),
        ("alpha/witness/start?for=1h", 400, "`for` is a time above 0, for `stop` only"),
        ("deacon-boot/start", 409, "it is started when the deacon has to be checked, and ends by itself"),
    ] {
        let (got, body) = answered("POST", &format!("/v1/agents/{path}"));
        assert_eq!((got, body["error"].as_str()), (status, Some(why)), "{path}: {body}");
    }
    assert_eq!(answered("GET", "/v1/requests/nothing").0, 404);
    assert_eq!(answered("GET", "/v1/history?since=yesterday").0, 400);
    let (status, noted) = answered("POST", "/v1/agents/alpha/witness/stop?now=true");
    assert_eq!((status, &noted["identity"]), (200, &json!("alpha/witness")), "{noted}");
    let path = format!("/v1/requests/{}", noted["request"].as_str().unwrap());
    town.wait("its end", || answered("GET", &path).1["outcome"]["code"] == "stopped");
    let (_, session) = answered("GET", "/v1/sessions/witness?lines=5");
    assert_eq!(
        (&session["session"], &session["exists"]),
        (&json!("gt-alpha-witness"), &json!(false)),
        "{session}"
    );
    assert_eq!(session["socket"], json!(town.server.socket()));
    let claims = town.json("daemon/supervisor/claims.json");
    let by = &claims["requests"][noted["request"].as_str().unwrap()]["by"];
    assert_eq!(by["uid"], json!(rustix::process::getuid().as_raw()), "the kernel says who asked: {claims}");
    supervisor.stop(Signal::TERM);
}
