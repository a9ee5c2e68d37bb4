//! The server's error texts and what they mean. Pure.
//!
//! tmux 3.3a has no error codes, only texts. They are the same over a control connection and on a subprocess's stderr, and are
//! never translated.

/// What a refusal means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meaning {
    /// No server runs on this socket.
    NoServer,
    /// The server runs but has no session at all.
    Empty,
    /// The target of the command does not exist.
    Missing,
    /// A session of this name exists.
    Duplicate,
    /// The variable is not set.
    UnknownVariable,
    /// Anything else.
    Other,
}

/// The meaning of this text.
pub fn meaning(text: &str) -> Meaning {
    let text = text.trim();
    let any = |exec_watcher: &[&str]| exec_watcher.iter().any(|beginning| text.starts_with(beginning));
    if any(&["no server running"]) || no_socket(text) {
        Meaning::NoServer
    } else if any(&["no current target", "no sessions", "no current session"]) {
        Meaning::Empty
    } else if any(&[
        "can't find session",
        "can't find window",
        "can't find pane",
        "session not found",
        "no such session",
        "no such window",
        "no such pane",
    ]) {
        Meaning::Missing
    } else if any(&["duplicate session"]) {
        Meaning::Duplicate
    } else if any(&["unknown variable"]) {
        Meaning::UnknownVariable
    } else {
        Meaning::Other
    }
}

fn no_socket(text: &str) -> bool {
    text.starts_with("error connecting to")
        && (text.ends_with("(No such file or directory)") || text.ends_with("(Connection refused)"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn meaning_grid() {
        let cases = [
            ("no server running on /tmp/s", Meaning::NoServer),
            ("error connecting to /tmp/s (No such file or directory)\n", Meaning::NoServer),
            ("error connecting to /tmp/s (Connection refused)", Meaning::NoServer),
            ("error connecting to /tmp/s (Permission denied)", Meaning::Other),
            ("error connecting to /tmp/no server running (Not a directory)", Meaning::Other),
            ("no current target", Meaning::Empty),
            ("can't find session: gt-a", Meaning::Missing),
            ("can't find pane: %9", Meaning::Missing),
            ("duplicate session: gt-a", Meaning::Duplicate),
            ("unknown variable: X", Meaning::UnknownVariable),
            ("server exited unexpectedly", Meaning::Other),
            ("", Meaning::Other),
        ];
        for (text, wanted) in cases {
            assert_eq!(meaning(text), wanted, "{text}");
        }
    }
}
