//! The stand-ins: one binary that plays an agent, `gt` or `bd`, by the name it is called by.
//!
//! In a town of Gas Town 1.x `gt` and `bd` are those of 1.x ([`v1`]), elsewhere January's.
//!
//! For the demo, the tests on real tmux and the benchmark. An agent shows a prompt, takes what is typed, and — being the
//! deacon — writes heartbeats; a hundred of them cost nothing while idle. Must not use the supervisor's own code: a stand-in
//! that shares its mistakes proves nothing.
//!
//! What it can be told to do:
//!
//! | by | effect |
//! | --- | --- |
//! | `STANDIN_DELAY_MS` | the prompt appears only after so many milliseconds |
//! | `STANDIN_NO_PROMPT` (set, not empty) | the prompt never appears |
//! | `STANDIN_DIALOG` (set, not empty) | claude's permissions question comes first, or codex's about its update (`update`) or claude's about the directory (`trust`): the cursor moves up and down, Enter on the right option goes on, on another it exits 1 |
//! | `STANDIN_DIALOG_AFTER_MS` | that question comes only so many milliseconds after the prompt |
//! | `CLAUDE_CONFIG_DIR` | the agent keeps its conversation there as claude does, and takes `--session-id` and `--resume`; without these it begins a new one |
//! | file `<GT_ROOT>/demo/cut-<actor>` | while it exists: of a transcript that it resumes only the first record stays |
//! | file `<GT_ROOT>/demo/forget-<actor>` | while it exists: it does not know the conversation that it is to resume |
//! | file `<GT_ROOT>/demo/hang-<actor>` | while it exists: no heartbeat, no answer, no log |
//! | file `<GT_ROOT>/demo/doze-<actor>` | while it exists: no heartbeat, but what is typed is taken as ever |
//! | file `<GT_ROOT>/demo/ask-<actor>` | names the question that comes first, as `STANDIN_DIALOG` does for all agents |
//! | file `<GT_ROOT>/demo/limited-until` | before the time that it holds, in seconds since 1970, the plan of all agents is used up: they answer nothing, and say so on the screen and in their transcript |
//! | file `<GT_ROOT>/demo/exit-<actor>` | exits at once with the code the file holds |
//! | file `<town>/demo/beads/<id>.json` | `bd show <id>` prints it; it holds one bead as `bd` prints it, without the list around it |
//! | file `<town>/demo/mail/<id>.json` | a message in the deacon's inbox, as `gt mail inbox --json` prints it |
//! | file `<town>/demo/convoys.json` | `bd list` prints it; without it, there is nothing to list |
//! | file `<town>/demo/convoy-check` | `gt convoy check` prints it; without it, there was none to close |
//! | file `<town>/demo/hang-bd`, `hang-gt` | that program, and a child of it, do not end until they are killed |
//! | file `<town>/demo/delay-bd`, `delay-gt` | that program takes as many milliseconds as the file holds |
//! | file `<town>/demo/recordings/*.txt` | `gt`, called with the command line of a [`recording`], does what that one did |
//! | typed `say <words>` | it shows the words as a message of its own |
//!
//! `<actor>` is `BD_ACTOR` with `-` for `/`. An agent that begins appends its actor and process id to
//! `<GT_ROOT>/demo/begun.log`, and each line it receives to `<GT_ROOT>/demo/received-<actor>.log`; `gt` and `bd` append their arguments to `<town>/demo/commands.log`,
//! and `gt mail send` and `gt log crash` also to `<town>/demo/mail.log` and `<town>/demo/crashes.log`: the arguments after
//! these words, one JSON array a line.
#![allow(
    clippy::disallowed_methods,
    reason = "a stand-in is a program of its own, not part of the supervisor"
)]

use std::{
    env,
    fs::{self, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
    termios::{OptionalActions, tcgetattr, tcsetattr},
};

use self::{
    conversing::Conversation,
    keys::{Event, Keys},
    recording::Recording,
};

mod conversing;
mod keys;
mod mailbox;
mod recording;
mod v1;

/// Plays the program with this base name, and returns its exit code; `None` for any other name.
pub fn play(name: &str, args: &[String]) -> Option<i32> {
    match name {
        "claude" | "codex" | "gemini" | "cursor-agent" | "auggie" | "amp" | "opencode" => {
            Some(Agent::new().run(args))
        }
        "gt" | "bd" => Some(command(name, args)),
        "dolt" => Some(v1::dolt::serve(town(), &args.iter().map(String::as_str).collect::<Vec<_>>())),
        _ => None,
    }
}

/// `gt` and `bd`: notes the call, and prints what the real ones print when there is nothing to report.
fn command(name: &str, args: &[String]) -> i32 {
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    // tmux runs this every few seconds in every session that is displayed.
    if words.first() == Some(&"status-line") {
        return 0;
    }
    let demo = town().map(|town| town.join("demo"));
    let note = |file: &str, line: String| {
        if let Some(demo) = &demo {
            append(&demo.join(file), &format!("{line}\n"));
        }
    };
    let line = format!("{name} {}", shell_words::join(&words));
    note("commands.log", line.clone());
    if let Some(lasts) = env::var(recording::LASTS).ok().and_then(|text| text.parse().ok()) {
        thread::sleep(Duration::from_millis(lasts));
        return 0;
    }
    if let Some(town) = town()
        && let Some(recording) = Recording::of(&town, &line)
    {
        return recording.play(&town);
    }
    if let Some(demo) = &demo {
        dawdle(demo, name);
    }
    match (name, words.as_slice()) {
        ("gt", ["mail", "send", rest @ ..]) => note("mail.log", serde_json::json!(rest).to_string()),
        ("gt", ["log", "crash", rest @ ..]) => note("crashes.log", serde_json::json!(rest).to_string()),
        _ => {}
    }
    if let Some(code) = town().and_then(|town| v1::play(name, &town, &words)) {
        return code;
    }
    if let (Some(demo), "gt", ["mail", rest @ ..]) = (&demo, name, words.as_slice())
        && let Some(code) = mailbox::command(demo, rest)
    {
        return code;
    }
    match (name, words.as_slice()) {
        ("gt", ["convoy", "check"]) => {
            print_file(demo.as_deref(), "convoy-check", "No convoys ready to close.\n")
        }
        ("bd", ["list", ..]) => print_file(demo.as_deref(), "convoys.json", "[]\n"),
        ("bd", ["show", rest @ ..]) => show_beads(demo.as_deref(), rest),
        ("bd", ["version", ..]) => println!("bd version 0.47.2"),
        _ => {}
    }
    0
}

/// Waits, or never ends.
fn dawdle(demo: &Path, name: &str) {
    if let Ok(text) = fs::read_to_string(demo.join(format!("delay-{name}"))) {
        thread::sleep(Duration::from_millis(text.trim().parse().unwrap_or_default()));
    }
    if demo.join(format!("hang-{name}")).exists()
        && let Ok(mut child) = std::process::Command::new("sleep").arg("600").spawn()
    {
        let _ = child.wait(); // limited: after ten minutes it goes on
    }
}

fn print_file(demo: Option<&Path>, name: &str, otherwise: &str) {
    let text = demo.and_then(|demo| fs::read_to_string(demo.join(name)).ok());
    show(text.as_deref().unwrap_or(otherwise));
}

/// Prints beads as `bd` 0.47 does without its daemon: the existing ones; the others are reported on standard error.
fn show_beads(demo: Option<&Path>, words: &[&str]) {
    let mut beads = Vec::new();
    for id in words.iter().filter(|word| !word.starts_with("--")) {
        let file = demo.map(|demo| demo.join("beads").join(format!("{id}.json")));
        match file.map(fs::read) {
            Some(Ok(bytes)) => match serde_json::from_slice::<serde_json::Value>(&bytes) {
                Ok(bead) => beads.push(bead),
                Err(error) => eprintln!("Error fetching {id}: {error}"),
            },
            _ => eprintln!("Error fetching {id}: no issue found matching {id:?}"),
        }
    }
    if !beads.is_empty() {
        println!("{:#}", serde_json::Value::Array(beads));
    }
}

/// The town: `GT_ROOT`, or the nearest directory upwards that contains `mayor/town.json`; before both `GT_TOWN_ROOT`,
/// which 1.x has.
fn town() -> Option<PathBuf> {
    let of_v1 = env::var_os("GT_TOWN_ROOT").map(PathBuf::from).filter(|root| v1::is_town(root));
    if of_v1.is_some() {
        return of_v1;
    }
    if let Some(root) = env::var_os("GT_ROOT").filter(|root| !root.is_empty()) {
        return Some(root.into());
    }
    let here = env::current_dir().ok()?;
    here.ancestors().find(|directory| directory.join("mayor/town.json").exists()).map(Path::to_owned)
}

/// Appends with one write, so that lines of several processes do not mix. A full disk is ignored here.
fn append(path: &Path, text: &str) {
    if let Some(directory) = path.parent() {
        let _ = fs::create_dir_all(directory);
    }
    if let Ok(mut file) = OpenOptions::new().create(true).append(true).open(path) {
        let _ = file.write_all(text.as_bytes());
    }
}

/// An agent at its terminal. TERM and HUP end it by their default action.
struct Agent {
    actor: String,
    root: Option<PathBuf>,
    deacon: bool,
    cycle: u64,
    keys: Keys,
    dialog: Option<Dialog>,
    conversation: Option<Conversation>,
    /// When the question comes up.
    asks_at: Option<Instant>,
    /// The instruction from its command line, until its first question is answered.
    instruction: Option<String>,
}

/// What an agent answers in its conversation, and on its screen after a limit.
const ANSWER: &str = "I am on it.";

/// The limit of the plan that all agents of a town use.
enum Limit {
    /// It is reached; what the program says of it.
    Reached(String),
    /// It was reached earlier: what is answered comes below what was said of it.
    Over,
}

/// A question with options.
struct Dialog {
    text: &'static str,
    options: &'static [&'static str],
    right: usize,
    cursor: usize,
}

impl Dialog {
    fn named(name: &str) -> Option<Dialog> {
        let (text, options, right): (_, &'static [&'static str], _) = match name {
            "" => return None,
            "update" => {
                ("Update available! 0.39.0 -> 0.46.0", &["Update now", "Skip", "Skip until next version"], 1)
            }
            "trust" => ("Do you trust the files in this folder?", &["Yes, proceed", "No, exit"], 0),
            _ => ("WARNING: running in Bypass Permissions mode", &["No, exit", "Yes, I accept"], 1),
        };
        Some(Dialog { text, options, right, cursor: 0 })
    }

    fn draw(&self) {
        let option = |(at, text): (usize, &&str)| {
            format!("{} {}. {text}\r\n", if at == self.cursor { "❯" } else { " " }, at + 1)
        };
        let options: String = self.options.iter().enumerate().map(option).collect();
        show(&format!("\x1b[2J\x1b[H{}\r\n\r\n{options}\r\nEnter to confirm\r\n", self.text));
    }
}

impl Agent {
    fn new() -> Self {
        let variable = |name: &str| env::var(name).unwrap_or_default();
        let root = Some(PathBuf::from(variable("GT_ROOT"))).filter(|root| !root.as_os_str().is_empty());
        let actor = variable("BD_ACTOR").replace('/', "-");
        let asks =
            root.as_ref().and_then(|root| fs::read_to_string(root.join(format!("demo/ask-{actor}"))).ok());
        let asks = asks.unwrap_or_else(|| variable("STANDIN_DIALOG"));
        Agent {
            actor,
            root,
            deacon: variable("GT_ROLE") == "deacon",
            cycle: 0,
            keys: Keys::default(),
            dialog: Dialog::named(asks.trim()),
            conversation: None,
            asks_at: None,
            instruction: None,
        }
    }

    /// Runs to its end. An instruction of 1.x comes as the last argument, and is noted like one that is typed.
    fn run(mut self, args: &[String]) -> i32 {
        let exit = self.demo("exit").and_then(|path| fs::read_to_string(path).ok());
        if exit.is_none() {
            raw_terminal(); // before it is noted that it has begun: from then on it may be typed to
        }
        if let Some(root) = &self.root {
            append(&root.join("demo/begun.log"), &format!("{} {}\n", self.actor, std::process::id()));
        }
        if let Some(code) = exit {
            return code.trim().parse().unwrap_or(1);
        }
        let is_there = |what: &str| self.demo(what).is_some_and(|path| path.exists());
        self.conversation = match Conversation::begin(args, is_there("cut"), is_there("forget")) {
            Ok(conversation) => conversation,
            Err(text) => {
                show(&format!("{text}\r\n"));
                return 1;
            }
        };
        if let Some(delay) = env::var("STANDIN_DELAY_MS").ok().and_then(|text| text.parse().ok()) {
            thread::sleep(Duration::from_millis(delay));
        }
        let after = env::var("STANDIN_DIALOG_AFTER_MS").ok().and_then(|text| text.parse().ok());
        match (&self.dialog, after) {
            (Some(_), Some(after)) => {
                self.greet();
                self.asks_at = Some(Instant::now() + Duration::from_millis(after));
            }
            (Some(dialog), None) => dialog.draw(),
            (None, _) => self.greet(),
        }
        self.instruction = args.last().filter(|word| word.starts_with("[GAS TOWN] ")).cloned();
        if self.dialog.is_none() || self.asks_at.is_some() {
            self.begin();
        }
        self.serve()
    }

    /// Takes the instruction from its command line, if there is one.
    fn begin(&mut self) {
        if let Some(instruction) = self.instruction.take() {
            self.received(instruction.as_bytes());
        }
    }

    /// Shows that it takes input: bracketed paste on, as in the real ones, and the prompt.
    fn greet(&self) {
        show("\x1b[?2004h");
        self.prompt();
    }

    fn prompt(&self) {
        if env::var("STANDIN_NO_PROMPT").unwrap_or_default().is_empty() {
            show("> ");
        }
    }

    /// Waits for keys until the terminal is gone; the deacon also for its next heartbeat.
    fn serve(&mut self) -> i32 {
        let mut beat_at = self.deacon.then(Instant::now);
        let mut buffer = [0; 4096];
        loop {
            if let Some(at) = beat_at
                && at <= Instant::now()
            {
                self.heartbeat();
                beat_at = Some(Instant::now() + Duration::from_secs(1));
            }
            if let Some(dialog) = &self.dialog
                && self.asks_at.is_some_and(|at| at <= Instant::now())
            {
                dialog.draw();
                self.asks_at = None;
            }
            let next = [beat_at, self.asks_at].into_iter().flatten().min();
            match readable(next) {
                Ok(true) => {}
                Ok(false) => continue,
                Err(_) => return 1,
            }
            // Not through the standard library's buffer, which `poll` cannot see.
            match rustix::io::read(io::stdin(), &mut buffer) {
                Ok(0) | Err(_) => return 0,
                Ok(count) => {
                    for byte in &buffer[..count] {
                        if let Some(code) = self.key(*byte) {
                            return code;
                        }
                    }
                }
            }
        }
    }

    /// Takes one byte of input; `Some` ends the agent.
    fn key(&mut self, byte: u8) -> Option<i32> {
        match self.keys.take(byte)? {
            Event::Interrupt => return Some(130),
            Event::Move(down) => {
                if let Some(dialog) = self.dialog.as_mut().filter(|_| self.asks_at.is_none()) {
                    let last = dialog.options.len() - 1;
                    dialog.cursor =
                        if down { last.min(dialog.cursor + 1) } else { dialog.cursor.saturating_sub(1) };
                    dialog.draw();
                }
            }
            Event::Message(text) => match self.dialog.take_if(|_| self.asks_at.is_none()) {
                Some(dialog) if dialog.cursor != dialog.right => return Some(1),
                Some(_) => {
                    show("\x1b[2J\x1b[H");
                    self.greet();
                    self.begin();
                }
                None => self.received(&text),
            },
        }
        None
    }

    fn received(&mut self, text: &[u8]) {
        let text = String::from_utf8_lossy(text);
        if text.is_empty() || self.hangs() {
            return;
        }
        if let Some(root) = &self.root {
            append(&root.join(format!("demo/received-{}.log", self.actor)), &format!("{text}\n"));
        }
        let (limit, echo) = (self.limit(), text.replace('\n', "\r\n"));
        show(&match (&limit, text.strip_prefix("say ")) {
            (Some(Limit::Reached(sentence)), _) => format!("{echo}\r\n\r\n{sentence}\r\n"),
            (Some(Limit::Over), _) => format!("{echo}\r\n\r\n● {ANSWER}\r\n"),
            (None, Some(words)) => format!("\r\n\r\n{words}\r\n"),
            (None, None) => format!("{echo}\r\n"),
        });
        if let Some(conversation) = &mut self.conversation {
            conversation.hears(&text);
            match &limit {
                Some(Limit::Reached(sentence)) => conversation.is_refused(sentence),
                _ => conversation.says(ANSWER),
            }
        }
        self.prompt();
    }

    /// The limit of its plan, if there was one.
    fn limit(&self) -> Option<Limit> {
        let until = fs::read_to_string(self.root.as_ref()?.join("demo/limited-until")).ok()?;
        let until: i64 = until.trim().parse().ok()?;
        Some(match jiff::Timestamp::now().as_second() < until {
            // Claude Code 1.0, when it only prints.
            true => Limit::Reached(format!("Claude AI usage limit reached|{until}")),
            false => Limit::Over,
        })
    }

    fn hangs(&self) -> bool {
        self.demo("hang").is_some_and(|path| path.exists())
    }

    /// `<GT_ROOT>/demo/<what>-<actor>`.
    fn demo(&self, what: &str) -> Option<PathBuf> {
        self.root.as_ref().map(|root| root.join(format!("demo/{what}-{}", self.actor)))
    }

    fn dozes(&self) -> bool {
        self.demo("doze").is_some_and(|path| path.exists())
    }

    fn heartbeat(&mut self) {
        let Some(root) = self.root.as_ref().filter(|_| !self.hangs() && !self.dozes()) else { return };
        self.cycle += 1;
        let beat = format!(
            "{{\"timestamp\":\"{}\",\"cycle\":{},\"last_action\":\"patrol\",\"healthy_agents\":0,\
             \"unhealthy_agents\":0}}\n",
            jiff::Timestamp::now(),
            self.cycle
        );
        let path = root.join("deacon/heartbeat.json");
        let half = root.join("deacon/.heartbeat.json.standin");
        let _ = fs::create_dir_all(root.join("deacon"));
        let _ = fs::write(&half, beat).and_then(|()| fs::rename(&half, &path));
    }
}

/// Turns off echo, line editing and signals from keys. Standard input that is no terminal stays as it is.
fn raw_terminal() {
    let input = io::stdin();
    if let Ok(mut modes) = tcgetattr(&input) {
        modes.make_raw();
        let _ = tcsetattr(&input, OptionalActions::Now, &modes);
    }
}

/// Waits until there is input (true) or until the given time (false); without a time, for as long as it takes.
fn readable(until: Option<Instant>) -> Result<bool, Errno> {
    let timeout = until.map(|until| {
        let left = until.saturating_duration_since(Instant::now());
        // Rounded up to a millisecond: otherwise poll could return just before the time, repeatedly.
        Timespec {
            tv_sec: left.as_secs() as i64,
            tv_nsec: i64::from(left.subsec_millis() + 1).min(999) * 1_000_000,
        }
    });
    let input = io::stdin();
    let mut fds = [PollFd::new(&input, PollFlags::IN)];
    match poll(&mut fds, timeout.as_ref()) {
        Ok(count) => Ok(count > 0),
        Err(Errno::INTR) => Ok(false),
        Err(error) => Err(error),
    }
}

fn show(text: &str) {
    let mut screen = io::stdout();
    let _ = screen.write_all(text.as_bytes());
    let _ = screen.flush();
}
