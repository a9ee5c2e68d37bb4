//! The control connection: one `tmux -C` client, a child with pipes, that carries all commands.
//!
//! Commands are answered in the order they were sent, possibly late. A connection ends for good when the client exits,
//! when the server dies, or when the connection is dismissed or dropped; all waiting callers are notified. It must not
//! reconnect by itself, nor be closed because an answer is late: a server that was stopped continues where it was.
#![allow(clippy::disallowed_methods, reason = "part of the tmux adapter, which runs tmux")]

use std::{collections::VecDeque, sync::Arc, time::Duration};

use parking_lot::Mutex;
use rustix::process::Signal;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt},
    process::{Child, ChildStdin, Command},
    sync::{Notify, mpsc, oneshot, watch},
    task::JoinSet,
    time::timeout,
};

use super::{
    notifier::Notifier,
    protocol::{Answer, Event, Parser},
    request::Request,
    target::CONTROL,
};
use crate::{
    commands::{dies_with_us::dies_with_us, group::Group},
    sessions::Fact,
};

/// The most bytes of standard error that are stored.
const MAX_STDERR: u64 = 4 << 10;
/// How long to wait for the last output of a client that has exited.
const LAST_WORDS: Duration = Duration::from_millis(100);
/// At most this many lines are written as one.
const AT_ONCE: usize = 64;
/// The program installed as tmux may ignore SIGTERM: it is killed after this time.
const PATIENCE: Duration = Duration::from_secs(5);

/// Why a command got no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lost {
    /// The connection is gone; the text is tmux's, if there is one.
    Gone(String),
    /// No answer came in time. The answer may still come.
    TimedOut,
}

struct Outgoing {
    line: String,
    awaited: Awaited,
}

impl std::fmt::Debug for Outgoing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.line)
    }
}

/// A caller that waits for the answer to a line.
struct Awaited {
    answer: oneshot::Sender<Answer>,
    /// The answers so far, when the line has more than one command,
    so_far: String,
    /// and the number of answers still to come.
    left: usize,
}

impl Awaited {
    /// Takes an answer; returns the whole when it is the last one.
    fn take(&mut self, mut answer: Answer) -> Option<Answer> {
        self.left = if answer.text.is_ok() { self.left.saturating_sub(1) } else { 0 };
        if let Ok(text) = &mut answer.text {
            if !self.so_far.is_empty() && !text.is_empty() {
                self.so_far.push('\n');
            }
            self.so_far.push_str(text);
            *text = if self.left == 0 { std::mem::take(&mut self.so_far) } else { String::new() };
        }
        (self.left == 0).then_some(answer)
    }
}

/// The callers that wait for answers, in order; `None` once no more answers come.
type Waiting = Arc<Mutex<Option<VecDeque<Awaited>>>>;

/// The stage of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Stage {
    /// The client identifies itself, and attaches.
    Opening,
    /// Its first answer came: it is attached.
    Open,
    /// Nothing is answered any more, for this reason; the client may still run.
    Ended(String),
    /// Like `Ended`, and the client's process has ended and was reaped.
    Left(String),
}

impl Stage {
    fn end(&self) -> Option<&str> {
        match self {
            Stage::Opening | Stage::Open => None,
            Stage::Ended(reason) | Stage::Left(reason) => Some(reason),
        }
    }
}

/// A connection. Dropping it makes the client leave; the server and its sessions continue.
#[derive(Debug)]
pub struct Connection {
    outgoing: mpsc::UnboundedSender<Outgoing>,
    stage: watch::Receiver<Stage>,
    /// Whether an answer did not come in time, and none has come since.
    silent: watch::Sender<bool>,
    dismissed: Arc<Notify>,
    _tasks: JoinSet<()>,
}

impl Connection {
    /// Starts the client, which attaches to our own session, creating it when it does not exist; [`Connection::opened`]
    /// waits for that. `tmux` is the command line up to the socket. No server is started for it. The notifier gets the
    /// server's notices, and the end of the connection, which is a change and not the end of the server.
    pub fn open(mut tmux: Command, notifier: Notifier) -> Result<Connection, Lost> {
        tmux.arg("-N").args(CONTROL);
        // Never KILL: see [`Client`].
        tmux.kill_on_drop(false);
        dies_with_us(&mut tmux, Signal::TERM);
        let mut child =
            tmux.spawn().map_err(|error| Lost::Gone(format!("tmux could not be started: {error}")))?;
        let client = Client(Group::of(&child));
        let (Some(stdin), Some(stdout), Some(stderr)) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            return Err(Lost::Gone("tmux was started without pipes".to_owned()));
        };
        let (outgoing, queue) = mpsc::unbounded_channel();
        let (at, stage) = watch::channel(Stage::Opening);
        let (silent, dismissed) = (watch::Sender::new(false), Arc::new(Notify::new()));
        let waiting = Waiting::new(Mutex::new(Some(VecDeque::new())));
        let listener =
            Listener { waiting: waiting.clone(), at: at.clone(), silent: silent.clone(), notifier };
        let dismissal = dismissed.clone();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let reason = {
                let writing = async {
                    write(stdin, queue, waiting.clone()).await;
                    std::future::pending::<()>().await;
                };
                tokio::select! {
                    biased;
                    reason = listener.listen(stdout, stderr) => reason,
                    () = dismissal.notified() => "it did not answer".to_owned(),
                    () = writing => String::new(),
                }
            };
            // The drop of their senders notifies the waiting callers.
            waiting.lock().take();
            at.send_replace(Stage::Ended(reason.clone()));
            listener.notifier.changed();
            client.leaves(child).await;
            at.send_replace(Stage::Left(reason));
        });
        Ok(Connection { outgoing, stage, silent, dismissed, _tasks: tasks })
    }

    /// Waits until the client is attached.
    pub async fn opened(&self) -> Result<(), Lost> {
        let mut stage = self.stage.clone();
        let stage = stage.wait_for(|stage| *stage != Stage::Opening).await;
        match stage.as_deref().map(Stage::end) {
            Ok(None) => Ok(()),
            Ok(Some(reason)) => Err(Lost::Gone(reason.to_owned())),
            Err(_) => Err(Lost::Gone(String::new())),
        }
    }

    /// Whether the connection has ended.
    pub fn is_gone(&self) -> bool {
        self.stage.borrow().end().is_some()
    }

    /// Whether it has not ended and answers in time, as far as is known.
    pub fn answers(&self) -> bool {
        !self.is_gone() && !*self.silent.borrow()
    }

    /// Waits until it answers again after an answer was late; false when it ended instead.
    pub async fn answers_again(&self) -> bool {
        let (mut silent, mut stage) = (self.silent.subscribe(), self.stage.clone());
        tokio::select! {
            biased;
            _ = stage.wait_for(|stage| stage.end().is_some()) => false,
            answers = silent.wait_for(|silent| !silent) => answers.is_ok(),
        }
    }

    /// Makes the client exit, if it has not, and waits until its process has ended.
    pub async fn dismiss(&self) {
        self.dismissed.notify_one();
        let mut stage = self.stage.clone();
        let _ = stage.wait_for(|stage| matches!(stage, Stage::Left(_))).await;
    }

    /// Sends commands, one line each, and waits for all answers, in order. Commands after a refused one are run all
    /// the same.
    pub async fn ask(&self, requests: &[Request], limit: Duration) -> Result<Vec<Answer>, Lost> {
        let mut answers = Vec::with_capacity(requests.len());
        for request in requests {
            let (answer, coming) = oneshot::channel();
            let awaited = Awaited { answer, so_far: String::new(), left: request.answers() };
            let _ = self.outgoing.send(Outgoing { line: request.line(), awaited });
            answers.push(coming);
        }
        let all = async {
            let mut told = Vec::with_capacity(answers.len());
            for answer in answers {
                told.push(answer.await?);
            }
            Ok::<_, oneshot::error::RecvError>(told)
        };
        match timeout(limit, all).await {
            Ok(Ok(told)) => Ok(told),
            Ok(Err(_)) => Err(Lost::Gone(self.stage.borrow().end().unwrap_or_default().to_owned())),
            Err(_) => {
                self.silent.send_replace(true);
                Err(Lost::TimedOut)
            }
        }
    }
}

/// Writes what is asked for at the same moment as one: the server answers it as one, and each of its answers wakes this process.
async fn write(mut stdin: ChildStdin, mut queue: mpsc::UnboundedReceiver<Outgoing>, waiting: Waiting) {
    let mut together = Vec::new();
    while queue.recv_many(&mut together, AT_ONCE).await > 0 {
        let mut lines = String::new();
        match waiting.lock().as_mut() {
            Some(waiting) => waiting.extend(together.drain(..).map(|Outgoing { line, awaited }| {
                lines.push_str(&line);
                lines.push('\n');
                awaited
            })),
            None => return,
        }
        if stdin.write_all(lines.as_bytes()).await.is_err() {
            return;
        }
    }
}

/// Reads what the server sends.
struct Listener {
    waiting: Waiting,
    at: watch::Sender<Stage>,
    silent: watch::Sender<bool>,
    notifier: Notifier,
}

impl Listener {
    /// Reads until the connection ends and returns the reason.
    async fn listen(&self, mut stdout: impl AsyncRead + Unpin, stderr: impl AsyncRead + Unpin) -> String {
        let mut parser = Parser::new();
        let mut chunk = vec![0; 16 << 10];
        let mut farewell = String::new();
        'reading: while let Ok(size @ 1..) = stdout.read(&mut chunk).await {
            for event in parser.feed(&chunk[..size]) {
                match event {
                    Event::Changed => self.notifier.changed(),
                    Event::WindowClosed(window) => self.notifier.ended(Fact::WindowClosed(window)),
                    Event::Exit(reason) => {
                        if farewell.is_empty() {
                            farewell = reason;
                        }
                        break 'reading;
                    }
                    // A server that refuses to attach us ends the connection by itself.
                    Event::Answer(answer) => farewell.extend(self.deliver(answer)),
                }
            }
        }
        let mut words = Vec::new();
        let _ = timeout(LAST_WORDS, stderr.take(MAX_STDERR).read_to_end(&mut words)).await;
        let words = String::from_utf8_lossy(&words).trim().to_owned();
        if words.is_empty() { farewell } else { words }
    }

    /// Delivers an answer. The first block answers the attaching, and its refusal is returned; after that, only
    /// answers to commands of ours count.
    fn deliver(&self, answer: Answer) -> Option<String> {
        if *self.at.borrow() == Stage::Opening {
            return match answer.text {
                Ok(_) => {
                    self.at.send_replace(Stage::Open);
                    None
                }
                Err(reason) => Some(reason),
            };
        }
        if answer.ours {
            self.silent.send_replace(false);
            let mut waiting = self.waiting.lock();
            if let Some(waiting) = waiting.as_mut()
                && let Some(answer) = waiting.front_mut().and_then(|awaited| awaited.take(answer))
                && let Some(awaited) = waiting.pop_front()
            {
                // The caller may have given up.
                let _ = awaited.answer.send(answer);
            }
        }
        None
    }
}

/// The client's processes: what is installed as tmux may be a script that starts the real one.
///
/// They get TERM, and are killed only when they are still there much later: a client of tmux up to 3.5a that is
/// killed while it exits crashes the server. After TERM it sends the rest first. The next client must not start
/// before this one has exited.
struct Client(Group);

impl Client {
    /// Makes it exit, and waits for its end.
    async fn leaves(mut self, mut child: Child) {
        self.0.terminate();
        if timeout(PATIENCE, child.wait()).await.is_err() {
            self.0.kill();
            let _ = child.wait().await;
        }
        self.0.let_go();
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.0.terminate();
        self.0.let_go();
    }
}
