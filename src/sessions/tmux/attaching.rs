//! Attaching: this process becomes a tmux client in a person's terminal.
//!
//! Inside a client of the same server, that client switches to the session instead, as tmux refuses to nest them. It must not be
//! used by the supervisor.
#![allow(clippy::disallowed_methods, reason = "part of the tmux adapter, which runs tmux")]

use std::{io, os::unix::process::CommandExt, path::Path, process::Command};

/// Replaces this process by the client. Returns only when that fails.
///
/// `inside`: the value of `$TMUX`, where this runs inside a client.
pub fn attach(
    program: &str,
    socket: &Path,
    session: &str,
    read_only: bool,
    inside: Option<&str>,
) -> io::Error {
    match command(program, socket, session, read_only, inside) {
        Ok(mut command) => command.exec(),
        Err(error) => error,
    }
}

/// The client as a command.
///
/// # Errors
/// When tmux would do something else than what is asked for.
pub fn command(
    program: &str,
    socket: &Path,
    session: &str,
    read_only: bool,
    inside: Option<&str>,
) -> io::Result<Command> {
    let switches = is_same(inside, socket);
    if switches && read_only {
        return Err(io::Error::other(
            "not read-only from inside a client of the same server: tmux would leave that client read-only; detach first",
        ));
    }
    let mut command = Command::new(program);
    command.arg("-u").arg("-S").arg(socket).args(words(session, read_only, switches));
    if !switches {
        // Another server's client may contain this one.
        command.env_remove("TMUX");
    }
    Ok(command)
}

fn words(session: &str, read_only: bool, switches: bool) -> Vec<String> {
    let verb = if switches { "switch-client" } else { "attach-session" };
    let mut words = vec![verb.to_owned()];
    words.extend(read_only.then(|| "-r".to_owned()));
    words.extend(["-t".to_owned(), format!("={session}")]);
    words
}

/// Whether `$TMUX` (`socket,pid,session`) names this socket.
fn is_same(inside: Option<&str>, socket: &Path) -> bool {
    inside.and_then(|it| it.split(',').next()).is_some_and(|it| Path::new(it) == socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_a_client() {
        let socket = Path::new("/tmp/tmux-0/gt-1");
        for (read_only, inside, expected) in [
            (false, None, "attach-session -t =gt-r-witness"),
            (true, None, "attach-session -r -t =gt-r-witness"),
            (false, Some("/tmp/tmux-0/default,12,0"), "attach-session -t =gt-r-witness"),
            (false, Some("/tmp/tmux-0/gt-1,12,0"), "switch-client -t =gt-r-witness"),
            (false, Some(""), "attach-session -t =gt-r-witness"),
        ] {
            let words = words("gt-r-witness", read_only, is_same(inside, socket));
            assert_eq!(words.join(" "), expected, "{inside:?}");
        }
    }
}
