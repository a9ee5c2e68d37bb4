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

/// Carries out requests in order on a server that is started for them. They are passed on standard input: a server keeps the words
/// that started it where every user can read them, for as long as it lives, and an agent's variables may be secret.
pub async fn begin_server(mut tmux: Command, requests: &[Request], limit: Duration) -> Result<String, Bad> {
    tmux.args(["start-server", ";", "source-file", "-"]);
    let input: String = requests.iter().map(|request| request.line() + "\n").collect();
    match timeout(limit, complete(tmux, input)).await.unwrap_or(Err(Bad::TimedOut)) {
        Err(Bad::Refused(text)) => Err(Bad::Refused(without_line(&text).to_owned())),
        ended => ended,
    }
}

/// What tmux said, without the place in the commands that it names.
fn without_line(text: &str) -> &str {
    let Some((number, said)) = text.strip_prefix("-:").and_then(|rest| rest.split_once(": ")) else {
        return text;
    };
    if number.parse::<u32>().is_ok() { said } else { text }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_tmux_says_of_a_line() {
        for (text, said) in [
            ("-:1: duplicate session: a", "duplicate session: a"),
            ("-:12: x", "x"),
            ("duplicate session: a", "duplicate session: a"),
            ("-:x: y", "-:x: y"),
            ("-:", "-:"),
        ] {
            assert_eq!(without_line(text), said);
        }
    }
}
