//! Dolt: a server that greets, as far as one can see that it is there, and the commands of `gt` about it.
//!
//! It ends with its town.

use std::{
    io::Write,
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    path::PathBuf,
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

use super::{Outcome, in_background, town::Town};

const CONFIG: &str = ".dolt-data/config.yaml";
const PID: &str = "daemon/dolt.pid";

/// How long a connection on this machine may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// The port in `.dolt-data/config.yaml`; `None` when the town has no such file.
pub fn port(town: &Town) -> Option<u16> {
    let text = town.text(CONFIG);
    let line = text.lines().find_map(|line| line.trim().strip_prefix("port:"));
    line?.trim().parse().ok()
}

/// Whether somebody listens there.
pub fn answers(port: u16) -> bool {
    TcpStream::connect_timeout(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)), PATIENCE).is_ok()
}

/// `gt dolt start`, `stop` and `status`.
pub fn command(town: &Town, verb: &str) -> Outcome {
    let port = port(town).ok_or("no Dolt data: .dolt-data/config.yaml is missing")?;
    match verb {
        "start" if answers(port) => Ok(format!("● Dolt server is already running\n  Port: {port}\n")),
        "start" => {
            let pid = in_background("dolt", &["sql-server", &port.to_string()], town);
            let pid = pid.map_err(|error| format!("starting Dolt: {error}"))?;
            town.write(PID, &pid.to_string());
            let deadline = Instant::now() + PATIENCE * 5;
            while !answers(port) {
                if Instant::now() > deadline {
                    return Err(format!("Dolt server did not answer on port {port}"));
                }
                thread::sleep(Duration::from_millis(20));
            }
            Ok(format!("✓ Dolt server started (PID {pid}, port {port})\n"))
        }
        "stop" => {
            let pid = town.text(PID).trim().parse().ok().and_then(Pid::from_raw);
            let pid = pid.filter(|_| answers(port)).ok_or("Dolt server is not running")?;
            kill_process(pid, Signal::TERM).map_err(|error| format!("stopping Dolt: {error}"))?;
            town.remove(PID);
            Ok("✓ Dolt server stopped\n".to_owned())
        }
        _ if answers(port) => Ok(format!("● Dolt server is running\n  Port: {port}\n")),
        _ => Ok("○ Dolt server is not running\n".to_owned()),
    }
}

/// `dolt sql-server <port>`, in a town: greets whoever connects, until the town is gone.
pub fn serve(town: Option<PathBuf>, words: &[&str]) -> i32 {
    let port = words.iter().find_map(|word| word.parse().ok());
    let (Some(town), Some(port)) = (town, port) else {
        eprintln!("this stand-in is run by gt dolt start only");
        return 1;
    };
    let listener = match TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
        Ok(listener) => listener,
        Err(error) => {
            eprintln!("port {port}: {error}");
            return 1;
        }
    };
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = stream.write_all(&greeting());
        }
    });
    while town.join("mayor/town.json").exists() {
        thread::sleep(Duration::from_millis(200));
    }
    0
}

/// The first packet of a server of MySQL, which Dolt is to its clients.
fn greeting() -> Vec<u8> {
    let mut body = vec![10];
    body.extend(b"8.0.33-Dolt\0");
    body.extend([1, 0, 0, 0]);
    body.extend(b"standin!\0");
    // What it can do, the character set, and the length of the rest of the salt.
    body.extend([0xff, 0xf7, 0xff, 0x02, 0x00, 0xff, 0x81, 21]);
    body.extend([0; 10]);
    body.extend(b"standin-salt\0mysql_native_password\0");
    let length = u8::try_from(body.len()).unwrap_or_default();
    [vec![length, 0, 0, 0], body].concat()
}
