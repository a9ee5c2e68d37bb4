//! A local HTTP server that does with each request what the test says, and notes what it got.
#![allow(dead_code, reason = "each test binary uses a part")]

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex, PoisonError},
    thread,
};

use serde_json::Value;

/// What the server does with a request.
#[derive(Debug, Clone)]
pub enum Serves {
    /// It answers with this status line and body.
    Answer(&'static str, &'static str),
    /// It answers with a redirect to this URL.
    Redirect(String),
    /// It closes the connection without an answer.
    Closes,
    /// It keeps the connection open and says nothing.
    Hangs,
    /// It says something that is not HTTP.
    Rubbish,
}

/// A request: method, path, body.
pub type Got = (String, String, String);

/// The server; its thread ends with the test process.
pub struct HttpServer {
    address: String,
    serves: Arc<Mutex<Serves>>,
    got: Arc<Mutex<Vec<Got>>>,
}

impl HttpServer {
    /// A server on a free port of this machine.
    pub fn new(serves: Serves) -> HttpServer {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (serves, got) = (Arc::new(Mutex::new(serves)), Arc::<Mutex<Vec<Got>>>::default());
        let (does, notes) = (serves.clone(), got.clone());
        thread::spawn(move || {
            let mut open = Vec::new();
            for stream in listener.incoming().flatten() {
                let serves = does.lock().unwrap_or_else(PoisonError::into_inner).clone();
                if let Some(stream) = serve(stream, &serves, &notes) {
                    open.push(stream);
                }
            }
        });
        HttpServer { address, serves, got }
    }

    /// The URL of a path on it.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Changes what it does.
    pub fn serve(&self, serves: Serves) {
        *self.serves.lock().unwrap() = serves;
    }

    /// All requests so far.
    pub fn got(&self) -> Vec<Got> {
        self.got.lock().unwrap().clone()
    }

    /// The JSON bodies of what was posted.
    pub fn posted(&self) -> Vec<Value> {
        self.got().iter().filter_map(|(_, _, body)| serde_json::from_str(body).ok()).collect()
    }

    pub fn forget(&self) {
        self.got.lock().unwrap().clear();
    }
}

/// Handles one request. Returns the stream when it is to stay open.
fn serve(stream: TcpStream, serves: &Serves, got: &Mutex<Vec<Got>>) -> Option<TcpStream> {
    stream.set_read_timeout(Some(std::time::Duration::from_secs(5))).ok()?;
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut first = String::new();
    reader.read_line(&mut first).ok()?;
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        if line.trim().is_empty() {
            break;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let mut words = first.split_whitespace().map(str::to_owned);
    let request = (words.next()?, words.next()?, String::from_utf8_lossy(&body).into_owned());
    got.lock().unwrap_or_else(PoisonError::into_inner).push(request);
    let mut stream = stream;
    let answer = match serves {
        Serves::Answer(status, body) => {
            format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len())
        }
        Serves::Redirect(url) => {
            format!("HTTP/1.1 302 Found\r\nlocation: {url}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        }
        Serves::Closes => return None,
        Serves::Hangs => return Some(stream),
        Serves::Rubbish => "220 ESMTP is this the right port?\r\n".to_owned(),
    };
    let _ = stream.write_all(answer.as_bytes());
    None
}
