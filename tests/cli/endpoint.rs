//! The endpoint on the network from outside: what it answers, whom it refuses, and clients that mean no good.

use std::{
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    os::unix::fs::PermissionsExt,
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::{
    alone, among_others,
    support::{PATIENCE, process, supervisor::as_asked, town::Town},
};

const TOKEN: &str = "T0pS3cr3t-0123456789";

/// An address of this machine at which nothing listens now.
pub fn free() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// A town of one witness, with these settings of the endpoint.
pub fn town(http: Value) -> Town {
    let town = Town::new(&["alpha"]);
    town.patrols(&["witness"]);
    town.settings(json!({"http": http}));
    town
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream
}

pub fn listens(address: SocketAddr) -> bool {
    TcpStream::connect(address).is_ok()
}

/// One request with these further lines; the whole answer.
fn request(address: SocketAddr, method: &str, path: &str, head: &[&str]) -> String {
    let mut stream = connect(address);
    let host = format!("Host: {address}");
    let host = if head.iter().any(|line| line.starts_with("Host:")) { None } else { Some(host.as_str()) };
    let lines: String = head.iter().copied().chain(host).map(|line| format!("{line}\r\n")).collect();
    write!(stream, "{method} {path} HTTP/1.1\r\n{lines}Connection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn code(answer: &str) -> u16 {
    answer.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or_else(|| panic!("{answer}"))
}

/// The problem with the endpoint, as `status` shows it.
fn problem(town: &Town) -> Option<String> {
    let status = town.ask(&["status", "--json"]);
    status.json()["problems"]["control/http"].as_str().map(str::to_owned)
}

#[test]
fn it_only_reads_and_lets_no_other_page_in() {
    let _among = among_others();
    let address = free();
    let town = town(json!({"listen": address.to_string()}));
    let mut supervisor = town.start();
    town.wait_started(&["alpha/witness"]);
    town.wait("the endpoint", || listens(address));
    for (method, path, head, status) in [
        ("GET", "/", &[][..], 200),
        ("HEAD", "/", &[], 200),
        ("GET", "/favicon.ico", &[], 204),
        ("GET", "/healthz", &[], 200),
        ("GET", "/v1/status", &[], 200),
        ("GET", "/v1/agents/alpha/witness", &[], 200),
        ("GET", "/v1/history?limit=1", &[], 200),
        ("GET", "/v1/history?agent=witness", &[], 200),
        ("GET", "/v1/history?agent=nobody", &[], 404),
        ("GET", "/v1/history?limit=x", &[], 400),
        ("GET", "/etc/passwd", &[], 404),
        // What the socket takes, and nobody here may order or see.
        ("POST", "/v1/poke", &[], 405),
        ("POST", "/v1/clear-backoff", &[], 405),
        ("POST", "/v1/agents/alpha/witness/stop?now=true", &[], 405),
        ("GET", "/v1/sessions/alpha/witness?lines=5", &[], 404),
        ("GET", "/v1/requests/x", &[], 404),
        ("OPTIONS", "/v1/status", &[], 405),
        // DNS rebinding, and pages of others.
        ("GET", "/v1/status", &["Host: evil.example"], 421),
        ("GET", "/v1/status", &["Host: evil.example:8642"], 421),
        ("GET", "http://evil.example/v1/status", &[], 421),
        ("GET", "/v1/status", &["Origin: http://evil.example"], 403),
        ("GET", "/v1/status", &["Origin: null"], 403),
        ("GET", "/v1/status", &["Sec-Fetch-Site: cross-site"], 403),
        ("GET", "/v1/events", &["Sec-Fetch-Site: same-site"], 403),
    ] {
        let answer = request(address, method, path, head);
        let (top, body) = answer.split_once("\r\n\r\n").unwrap();
        assert_eq!(code(top), status, "{method} {path} {head:?}: {answer}");
        let top = top.to_lowercase();
        for header in [
            "content-security-policy: default-src 'none'",
            "x-content-type-options: nosniff",
            "referrer-policy: no-referrer",
            "cache-control: no-store",
            "cross-origin-resource-policy: same-origin",
        ] {
            assert!(top.contains(header), "{method} {path}: {header}: {top}");
        }
        assert!(!top.contains("access-control-"), "{top}");
        assert!(status < 400 || body.starts_with("{\"error\":"), "{method} {path}: {body}");
    }
    assert_eq!(town.started("alpha/witness"), 1, "nothing was ordered");
    let history = request(address, "GET", "/v1/history?limit=1", &[]);
    let entries: Vec<Value> = serde_json::from_str(history.split_once("\r\n\r\n").unwrap().1).unwrap();
    assert_eq!(entries.len(), 1, "{history}");
    assert!(entries[0]["text"].as_str().is_some_and(|text| text.contains("alive")), "{history}");
    supervisor.stop(Signal::TERM);
    assert!(!listens(address));
}

#[test]
fn with_a_token_nothing_is_shown_without_it() {
    let _among = among_others();
    let (address, everywhere) = (free(), SocketAddr::from(([0, 0, 0, 0], free().port())));
    let town = town(json!({"listen": everywhere.to_string()}));
    let mut supervisor = town.start_and_beat();
    town.wait("the refusal", || problem(&town).is_some_and(|it| it.contains("is no loopback address")));
    assert!(!listens(SocketAddr::from(([127, 0, 0, 1], everywhere.port()))));

    let file = town.path("settings/token");
    let set = |content: &str, mode: u32| {
        fs::write(&file, content).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
        town.ask(&["reload"]);
    };
    town.settings(json!({"http": {"listen": address.to_string(), "token_file": file}}));
    town.wait("a missing file", || problem(&town).is_some_and(|it| it.contains("No such file")));
    set(TOKEN, 0o644);
    town.wait("a file for all", || problem(&town).is_some_and(|it| it.contains("`chmod 600` it")));
    set("short", 0o600);
    town.wait("a short token", || problem(&town).is_some_and(|it| it.contains("at random")));
    // The port is ours, so that nobody else can be shown the token there; and nobody is let in.
    let bearer = format!("Authorization: Bearer {TOKEN}");
    for path in ["/", "/v1/status", "/healthz"] {
        assert_eq!(code(&request(address, "GET", path, &[&bearer])), 503, "{path}");
    }
    assert!(std::net::TcpListener::bind(address).is_err(), "another program can take the port");
    set(TOKEN, 0o600);
    town.wait("the endpoint", || listens(address) && code(&request(address, "GET", "/healthz", &[])) == 401);
    assert_eq!(problem(&town), None);

    for path in ["/", "/v1/status", "/v1/events", "/v1/history", "/healthz", "/favicon.ico", "/nothing"] {
        assert_eq!(code(&request(address, "GET", path, &[])), 401, "{path}");
    }
    let asked = request(address, "GET", "/", &[]);
    assert!(asked.contains("This town asks for a token") && asked.contains("form-action 'self'"), "{asked}");
    assert_eq!(code(&request(address, "GET", "/v1/status", &["Authorization: Bearer wrong"])), 401);
    assert_eq!(code(&request(address, "GET", "/v1/status", &[&bearer])), 200);
    let given = request(address, "GET", &format!("/?token={TOKEN}"), &[]);
    assert_eq!(code(&given), 303, "{given}");
    let cookie = given.lines().find_map(|line| line.strip_prefix("set-cookie: ")).unwrap();
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"), "{cookie}");
    assert!(!cookie.contains(TOKEN), "{cookie}");
    let cookie = format!("Cookie: {}", cookie.split(';').next().unwrap());
    assert_eq!(code(&request(address, "GET", "/v1/status", &[&cookie])), 200);

    set("another-token-0123456789", 0o600);
    town.wait("its end", || code(&request(address, "GET", "/v1/status", &[&bearer])) == 401);
    assert_eq!(code(&request(address, "GET", "/v1/status", &[&cookie])), 401);
    let said =
        [&["settings", "--json"][..], &["status", "--json"], &["doctor"]].map(|it| town.ask(it).stdout);
    assert!(!said.concat().contains(TOKEN) && !town.log().contains(TOKEN));
    supervisor.stop(Signal::TERM);
}

#[test]
fn it_listens_where_the_settings_say_and_a_busy_port_stops_nothing() {
    let _among = among_others();
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let busy = other.local_addr().unwrap();
    let town = town(json!({"listen": busy.to_string()}));
    let mut supervisor = town.start_and_beat();
    town.wait("the problem", || {
        problem(&town)
            .is_some_and(|it| it.contains("another program listens there: end it, or choose another port"))
    });
    drop(other);
    town.ask(&["poke"]);
    town.wait("the endpoint", || listens(busy));
    town.wait("no problem", || problem(&town).is_none());
    let next = free();
    town.settings(json!({"http": {"listen": next.to_string()}}));
    town.wait("the other port", || listens(next));
    assert!(!listens(busy));
    town.settings(json!({}));
    town.wait("its end", || !listens(next));
    assert_eq!(town.ask(&["status"]).code, Some(0));
    supervisor.stop(Signal::TERM);
}

#[test]
fn clients_of_the_network_that_mean_no_good_hold_nothing_up() {
    let _alone = alone();
    let address = free();
    let town = town(json!({"listen": address.to_string()}));
    let mut supervisor = town.start();
    town.wait_started(&["alpha/witness"]);
    town.wait("the endpoint", || listens(address));
    let before = process::resident_kib(supervisor.pid());
    let mut hostile: Vec<TcpStream> = Vec::new();
    // A thousand that say nothing, and a hundred that follow and do not read.
    for _ in 0..1000 {
        hostile.push(connect(address));
    }
    for number in 0..120 {
        let mut stream = connect(address);
        stream.set_write_timeout(Some(Duration::from_millis(200))).unwrap();
        let host = format!("Host: {address}\r\n\r\n");
        let _ = match number % 6 {
            0 => stream.write_all(&[0xff; 100_000]),
            1 => (0..500)
                .try_for_each(|_| stream.write_all(format!("GET /v1/status HTTP/1.1\r\n{host}").as_bytes())),
            _ => stream.write_all(format!("GET /v1/events HTTP/1.1\r\n{host}").as_bytes()),
        };
        hostile.push(stream);
    }
    for _ in 0..10 {
        let began = Instant::now();
        assert_eq!(town.ask(&["status"]).code, Some(0), "the socket answers");
        assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
        assert_eq!(code(&request(address, "GET", "/", &[])), 200, "whoever comes now is served, too");
    }
    let killed = town.incarnation("gt-alpha-witness").unwrap();
    process::signal(killed.1, Signal::KILL);
    town.wait_replaced("gt-alpha-witness", &killed);
    let grown = process::resident_kib(supervisor.pid()).saturating_sub(before);
    assert!(grown < 30 * 1024, "{grown} KiB more");
    drop(hostile);
    assert!(as_asked(supervisor.stop(Signal::TERM).0));
}

/// Histories as long as they get: of 200 agents with 50 entries each.
fn long_histories() -> Value {
    let entry = |number: u32| {
        let at = format!("2026-11-29T11:{:02}:{:02}Z", number / 60, number % 60);
        json!({"at": at, "kind": "change", "seen": "is not running".repeat(20), "state": "starting"})
    };
    let entries: Vec<Value> = (0..50).map(entry).collect();
    let of = |number: u32| (format!("alpha/polecats/p{number:03}"), json!({"entries": entries}));
    json!({"agents": (0..200).map(of).collect::<serde_json::Map<_, _>>()})
}

#[test]
fn whoever_asks_for_long_histories_again_and_again_holds_nothing_up() {
    let _alone = alone();
    let address = free();
    let town = town(json!({"listen": address.to_string()}));
    town.put("daemon/supervisor/history.json", long_histories().to_string());
    let mut supervisor = town.start();
    town.wait_started(&["alpha/witness"]);
    town.wait("the endpoint", || listens(address));
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for number in 0..16 {
            let (path, over) = (if number % 2 == 0 { "/v1/history" } else { "/v1/events" }, &over);
            let method = if number % 4 == 3 { "HEAD" } else { "GET" };
            scope.spawn(move || {
                while !over.load(Ordering::Relaxed) {
                    let mut stream = connect(address);
                    let asked = write!(
                        stream,
                        "{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"
                    );
                    // A stream of events does not end: its beginning is enough.
                    let _ = asked.and_then(|()| stream.read(&mut [0; 65536]));
                }
            });
        }
        for _ in 0..5 {
            assert_eq!(town.ask(&["status"]).code, Some(0), "the socket answers");
        }
        let killed = town.incarnation("gt-alpha-witness").unwrap();
        process::signal(killed.1, Signal::KILL);
        town.wait_replaced("gt-alpha-witness", &killed);
        let answer = request(address, "GET", "/v1/history", &[]);
        let body = answer.split_once("\r\n\r\n").map(|(_, body)| body).unwrap_or_default();
        assert_eq!(body.matches("\"identity\"").count(), 1000, "{} bytes", answer.len());
        over.store(true, Ordering::Relaxed);
    });
    supervisor.stop(Signal::TERM);
}
