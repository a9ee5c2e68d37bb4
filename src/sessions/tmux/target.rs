//! Targets: how one exact session is named to tmux.
//!
//! A bare name also matches any session it is a prefix of (`kill-session -t gt-a` ends `gt-a-b`), and `=NAME` without
//! the colon is still matched by prefix in some commands and refused in others (tmux 3.3a). Only `=NAME:` is exact
//! everywhere.

/// The supervisor's own session, which holds its control connection.
pub const OWN_SESSION: &str = "_supervisor";

/// The command of our control client. Not `sleep infinity`, which not every system's `sleep` understands.
pub const CONTROL: [&str; 7] = ["-C", "new-session", "-A", "-s", OWN_SESSION, "sleep", "2147483647"];

/// The exact target of a session, for every command. `None` when no session can have this name: tmux replaces `.` and
/// `:`, and a leading `$` would be read as an id.
pub fn exact(name: &str) -> Option<String> {
    let possible = !name.is_empty() && !name.starts_with('$') && !name.contains(['.', ':', '\0']);
    possible.then(|| format!("={name}:"))
}

/// The target of one pane of one session, by the server's ids: refused when the pane is not (any more) in that
/// session. In tmux 3.3a only `display-message` does not refuse, and uses the session's active pane.
pub fn pane(session_id: &str, pane_id: &str) -> String {
    format!("{session_id}:.{pane_id}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exact_grid() {
        let cases = [
            ("gt-a-witness", Some("=gt-a-witness:")),
            ("with blank", Some("=with blank:")),
            ("", None),
            ("$1", None),
            ("a.b", None),
            ("a:b", None),
        ];
        for (name, wanted) in cases {
            assert_eq!(exact(name).as_deref(), wanted, "{name:?}");
        }
    }
}
