//! A real browser for a test: Chromium without a window, driven by its DevTools protocol over two pipes.
//!
//! It has a profile of its own, which is gone with it, and reaches no network but what the test opens.

use std::{
    fs::File,
    io::{Read, Write},
    os::fd::OwnedFd,
    path::PathBuf,
    process::{Child, ChildStdin, Command, Stdio},
    sync::mpsc::{Receiver, channel},
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use super::limits::{self, MARK, PATIENCE};

/// The names of the program, the first that is found.
const NAMES: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];
/// Its options: no window, nothing that asks other machines, no sandbox where the test runs as root.
const OPTIONS: [&str; 13] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--no-default-browser-check",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--no-proxy-server",
    "--remote-debugging-pipe",
    "about:blank",
];

/// Where the browser is; `None` when none is installed.
pub fn installed() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let directories: Vec<PathBuf> = std::env::split_paths(&path).collect();
    NAMES.iter().flat_map(|name| directories.iter().map(move |it| it.join(name))).find(|it| it.is_file())
}

/// A browser with one page.
pub struct Browser {
    child: Child,
    to: ChildStdin,
    messages: Receiver<Value>,
    page: Option<String>,
    count: u64,
    /// What the page complained of: exceptions, `console.error`, refused requests.
    pub complaints: Vec<String>,
    _profile: tempfile::TempDir,
}

impl Browser {
    /// Starts it.
    pub fn start(program: PathBuf) -> Browser {
        let profile = tempfile::Builder::new().prefix("gts-browser").tempdir_in("/tmp").unwrap();
        // It reads from descriptor 3 and writes to 4.
        let mut command = Command::new("/bin/sh");
        command.args(["-c", "exec \"$@\" 3<&0 4>&1 </dev/null >/dev/null 2>&1", "sh"]).arg(program);
        command.args(OPTIONS).arg(format!("--user-data-dir={}", profile.path().display()));
        command.env("HOME", profile.path()).env(MARK, limits::mark("browser"));
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (to, from) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let (tell, messages) = channel();
        let mut from = File::from(OwnedFd::from(from));
        // Ends with the browser, whose pipe it is.
        thread::spawn(move || {
            let (mut rest, mut chunk) = (Vec::new(), [0; 65536]);
            while let Ok(length @ 1..) = from.read(&mut chunk) {
                rest.extend_from_slice(&chunk[..length]);
                while let Some(end) = rest.iter().position(|byte| *byte == 0) {
                    let message: Vec<u8> = rest.drain(..=end).collect();
                    let message = serde_json::from_slice(&message[..end]).unwrap_or(Value::Null);
                    if tell.send(message).is_err() {
                        return;
                    }
                }
            }
        });
        let (page, complaints) = (None, Vec::new());
        let mut browser = Browser { child, to, messages, page, count: 0, complaints, _profile: profile };
        let target = browser.call("Target.createTarget", json!({"url": "about:blank"}));
        let target = json!({"targetId": target["targetId"], "flatten": true});
        let session = browser.call("Target.attachToTarget", target);
        browser.page = Some(session["sessionId"].as_str().unwrap().to_owned());
        for domain in ["Page.enable", "Runtime.enable", "Log.enable", "Accessibility.enable"] {
            browser.call(domain, json!({}));
        }
        browser
    }

    /// Calls a method of the protocol, and returns its result.
    pub fn call(&mut self, method: &str, parameters: Value) -> Value {
        self.count += 1;
        let mut message = json!({"id": self.count, "method": method, "params": parameters});
        if let Some(page) = &self.page {
            message["sessionId"] = page.as_str().into();
        }
        self.to.write_all(format!("{message}\0").as_bytes()).unwrap();
        loop {
            let answer = limits::receive(&self.messages, method);
            if answer["id"] == json!(self.count) {
                assert!(answer["error"].is_null(), "{method}: {answer}");
                return answer["result"].clone();
            }
            self.note(&answer);
        }
    }

    fn note(&mut self, event: &Value) {
        let parameters = &event["params"];
        let is_complaint = match event["method"].as_str() {
            Some("Runtime.exceptionThrown") => true,
            Some("Runtime.consoleAPICalled") => {
                ["error", "warning"].contains(&parameters["type"].as_str().unwrap_or_default())
            }
            Some("Log.entryAdded") => parameters["entry"]["level"] == "error",
            _ => false,
        };
        if is_complaint {
            self.complaints.push(parameters.to_string());
        }
    }

    /// Opens a URL.
    pub fn open(&mut self, url: &str) {
        let opened = self.call("Page.navigate", json!({"url": url}));
        assert!(opened["errorText"].is_null(), "{url}: {opened}");
    }

    /// The value of an expression in the page.
    pub fn value(&mut self, expression: &str) -> Value {
        let found = self.call("Runtime.evaluate", json!({"expression": expression, "returnByValue": true}));
        assert!(found["exceptionDetails"].is_null(), "{expression}: {found}");
        found["result"]["value"].clone()
    }

    /// The text of an expression in the page.
    pub fn text(&mut self, expression: &str) -> String {
        self.value(expression).as_str().unwrap_or_default().to_owned()
    }

    /// Waits until an expression in the page is true; returns how long that took.
    pub fn wait(&mut self, what: &str, expression: &str) -> Duration {
        let began = Instant::now();
        while self.value(expression) != json!(true) {
            if began.elapsed() > PATIENCE {
                let text = self.text("document.body.innerText");
                panic!(
                    "{what} did not happen within {PATIENCE:?}: {expression}\n{text}\n{:#?}",
                    self.complaints
                );
            }
            limits::poll(Duration::from_millis(10), || None::<()>);
        }
        limits::moved();
        began.elapsed()
    }

    /// The nodes of the accessibility tree that are not ignored, each as its role and name.
    pub fn accessible(&mut self) -> Vec<(String, String)> {
        let tree = self.call("Accessibility.getFullAXTree", json!({}));
        let nodes = tree["nodes"].as_array().unwrap().iter().filter(|node| node["ignored"] != json!(true));
        let text = |value: &Value| value["value"].as_str().unwrap_or_default().trim().to_owned();
        nodes.map(|node| (text(&node["role"]), text(&node["name"]))).collect()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Its own processes end with it.
        limits::kill_and_wait(&mut self.child);
    }
}
