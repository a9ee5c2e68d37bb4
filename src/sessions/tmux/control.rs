//! The control connection: one `tmux -C` client, a child with pipes, over which all commands go.
//!
//! Commands are answered in the order they were sent. A connection ends once and for good: when the client leaves, when
//! the server dies, or when it is dropped; whoever still waits is told. It must not connect again by itself.
#![allow(clippy::disallowed_methods, reason = "part of the tmux adapter, which runs tmux")]

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt},
    process::{Child, ChildStdin, Command},
    sync::{mpsc, oneshot, watch},
    task::JoinSet,
    time::timeout,
};

use super::{
    herald::Herald,
    protocol::{Answer, Event, Parser},
    request::Request,
    target::OWN_SESSION,
};
use crate::commands::{dies_with_us::dies_with_us, group::Group};

/// How much of standard error is kept.
const MAX_STDERR: u64 = 4 << 10;
/// How long to wait for the last words of a client that has left.
const LAST_WORDS: Duration = Duration::from_millis(100);

/// Why a command got no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lost {
    /// The connection is gone; in tmux's words, where it said any.
    Gone(String),
    /// No answer came in time; the connection is not to be used any more.
    TimedOut,
}

struct Outgoing {
    line: String,
    answer: oneshot::Sender<Answer>,
}

/// Those who wait for answers, in order; `None` once no more answers come.
type Waiting = Arc<Mutex<Option<VecDeque<oneshot::Sender<Answer>>>>>;

fn locked(waiting: &Waiting) -> MutexGuard<'_, Option<VecDeque<oneshot::Sender<Answer>>>> {
    waiting.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A living connection. Dropping it kills the client; the server and its sessions go on.
#[derive(Debug)]
pub struct Connection {
    outgoing: mpsc::UnboundedSender<Outgoing>,
    ended: watch::Receiver<Option<String>>,
    _tasks: JoinSet<()>,
}

impl std::fmt::Debug for Outgoing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.line)
    }
}

impl Connection {
    /// Connects: attaches to our own session, creating it when it is not there, and waits for the first answer. `tmux`
    /// is the command line up to the socket; a server is started only if `may_start`. The herald tells what
    /// the server notices, and that the connection ended: which is a change, not the end of the server.
    pub async fn open(
        mut tmux: Command,
        may_start: bool,
        limit: Duration,
        herald: Herald,
    ) -> Result<Connection, Lost> {
        if !may_start {
            tmux.arg("-N");
        }
        // Not `sleep infinity`, which not every system's `sleep` understands.
        tmux.args(["-C", "new-session", "-A", "-s", OWN_SESSION, "exec sleep 2147483647"]);
        dies_with_us(&mut tmux);
        let mut child =
            tmux.spawn().map_err(|error| Lost::Gone(format!("tmux could not be started: {error}")))?;
        let (Some(stdin), Some(stdout), Some(stderr)) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            return Err(Lost::Gone("tmux was started without pipes".to_owned()));
        };
        // What is installed as tmux may be a script that starts the real one.
        let group = Group::of(&child);
        let (outgoing, queue) = mpsc::unbounded_channel();
        let (end, ended) = watch::channel(None);
        let (first, ready) = oneshot::channel();
        let waiting = Waiting::new(Mutex::new(Some(VecDeque::new())));
        let mut tasks = JoinSet::new();
        tasks.spawn(write(stdin, queue, waiting.clone()));
        tasks.spawn(async move {
            let reason = listen(stdout, stderr, first, &waiting, &herald).await;
            // Whoever waits learns it by the drop of their sender.
            locked(&waiting).take();
            end.send_replace(Some(reason));
            herald.changed();
            reap(child, group).await;
        });
        let mut connection = Connection { outgoing, ended, _tasks: tasks };
        match timeout(limit, ready).await {
            Ok(Ok(Answer { text: Ok(_), .. })) => Ok(connection),
            Ok(Ok(Answer { text: Err(reason), .. })) => Err(Lost::Gone(reason)),
            Ok(Err(_)) => Err(Lost::Gone(connection.last_words().await)),
            Err(_) => Err(Lost::TimedOut),
        }
    }

    /// Whether it has ended.
    pub fn is_gone(&self) -> bool {
        self.ended.borrow().is_some()
    }

    /// Gives commands, one line each, and waits for all answers, in order. Commands after a refused one are carried out
    /// all the same.
    pub async fn ask(&self, requests: &[Request], limit: Duration) -> Result<Vec<Answer>, Lost> {
        let mut answers = Vec::with_capacity(requests.len());
        for request in requests {
            let (answer, coming) = oneshot::channel();
            let _ = self.outgoing.send(Outgoing { line: request.line(), answer });
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
            Ok(Err(_)) => Err(Lost::Gone(self.ended.clone().borrow().clone().unwrap_or_default())),
            Err(_) => Err(Lost::TimedOut),
        }
    }

    async fn last_words(&mut self) -> String {
        let ended = timeout(LAST_WORDS * 2, self.ended.wait_for(Option::is_some)).await;
        ended.ok().and_then(Result::ok).and_then(|reason| reason.clone()).unwrap_or_default()
    }
}

async fn write(mut stdin: ChildStdin, mut queue: mpsc::UnboundedReceiver<Outgoing>, waiting: Waiting) {
    while let Some(Outgoing { mut line, answer }) = queue.recv().await {
        match locked(&waiting).as_mut() {
            Some(waiting) => waiting.push_back(answer),
            None => return,
        }
        line.push('\n');
        if stdin.write_all(line.as_bytes()).await.is_err() {
            return;
        }
    }
}

/// Reads until the connection ends and returns why it did.
async fn listen(
    mut stdout: impl AsyncRead + Unpin,
    stderr: impl AsyncRead + Unpin,
    first: oneshot::Sender<Answer>,
    waiting: &Waiting,
    herald: &Herald,
) -> String {
    let mut first = Some(first);
    let mut parser = Parser::new();
    let mut chunk = vec![0; 16 << 10];
    let mut farewell = String::new();
    'reading: while let Ok(size @ 1..) = stdout.read(&mut chunk).await {
        for event in parser.feed(&chunk[..size]) {
            match event {
                Event::Changed => herald.changed(),
                Event::WindowClosed(window) => herald.window_closed(&window),
                Event::Exit(reason) => {
                    farewell = reason;
                    break 'reading;
                }
                Event::Answer(answer) => deliver(answer, &mut first, waiting),
            }
        }
    }
    let mut words = Vec::new();
    let _ = timeout(LAST_WORDS, stderr.take(MAX_STDERR).read_to_end(&mut words)).await;
    let words = String::from_utf8_lossy(&words).trim().to_owned();
    if words.is_empty() { farewell } else { words }
}

/// The first block answers our attaching; after that, only what answers a command of ours counts.
fn deliver(answer: Answer, first: &mut Option<oneshot::Sender<Answer>>, waiting: &Waiting) {
    let receiver = match first.take() {
        Some(first) => Some(first),
        None if answer.ours => locked(waiting).as_mut().and_then(VecDeque::pop_front),
        None => None,
    };
    if let Some(receiver) = receiver {
        // Whoever asked may have given up.
        let _ = receiver.send(answer);
    }
}

async fn reap(mut child: Child, group: Group) {
    drop(group);
    let _ = child.start_kill();
    let _ = child.wait().await;
}
