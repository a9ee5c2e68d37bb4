//! Subprocesses: requests carried out by one run of the tmux program, when a control connection is not available.
//!
//! All requests of a call are one subprocess, chained with `;`. It must not be used once per session.

use std::time::Duration;

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt},
    process::Command,
    time::timeout,
};

use super::{protocol::MAX_ANSWER, request::Request};
use crate::commands::group::Group;

/// How a run failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Bad {
    /// tmux refused one of the requests; the text is tmux's.
    Refused(String),
    /// It did not end in time and was killed.
    TimedOut,
}

/// Carries out requests in order up to the first that is refused, and returns their output. `tmux` is the command
/// line up to the socket.
pub async fn run(mut tmux: Command, requests: &[Request], limit: Duration) -> Result<String, Bad> {
    for (index, request) in requests.iter().enumerate() {
        if index > 0 {
            tmux.arg(";");
        }
        tmux.args(request.words());
    }
    let input: String = requests.iter().filter_map(Request::input).collect();
    timeout(limit, complete(tmux, input)).await.unwrap_or(Err(Bad::TimedOut))
}

async fn complete(mut tmux: Command, input: String) -> Result<String, Bad> {
    let failed = |error: std::io::Error| Bad::Refused(error.to_string());
    let mut child = tmux.spawn().map_err(failed)?;
    // The program installed as tmux may be a script that starts the real one.
    let mut group = Group::of(&child);
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let feed = async {
        if let Some(mut stdin) = stdin {
            // A tmux that refuses the request does not read its input.
            let _ = stdin.write_all(input.as_bytes()).await;
        }
    };
    let ((), printed, complaint) = tokio::join!(feed, read(stdout), read(stderr));
    let status = child.wait().await.map_err(failed)?;
    group.let_go();
    match status.success() {
        true => Ok(printed),
        false if complaint.trim().is_empty() => Err(Bad::Refused(format!("tmux ended with {status}"))),
        false => Err(Bad::Refused(complaint.trim().to_owned())),
    }
}

async fn read(stream: Option<impl AsyncRead + Unpin>) -> String {
    let mut bytes = Vec::new();
    if let Some(stream) = stream {
        let _ = stream.take(MAX_ANSWER as u64).read_to_end(&mut bytes).await;
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
