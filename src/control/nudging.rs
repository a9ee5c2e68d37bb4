//! Nudging: a person's text for an agent, from the socket to the agent's actor, and what became of it.
//!
//! Only the local socket takes one, and the kernel says who asks. Whether it may be typed is decided by the agent's owner, which types it to
//! the end also when the client goes away. Nothing here may type anything.

use std::{sync::Arc, time::Duration};

use axum::body::{Body, to_bytes};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio::{sync::oneshot, time::timeout};

use crate::{
    agent::requests::{ByCommand, Outcome},
    deps::Deps,
    go_duration,
    supervision::messages::{Broadcast, NotNudged, Nudge, Nudged},
    town::identity::Identity,
};

/// The last path segment.
pub(super) const NUDGE: &str = "/nudge";
/// The most bytes of a text.
pub(crate) const LONGEST: usize = 8 * 1024;
/// The most bytes of a body: each byte of a text may be escaped.
const LONGEST_BODY: usize = 64 * 1024;
/// How long a text may take to be typed: other programs may type into the session before it.
const TYPED_WITHIN: Duration = Duration::from_secs(25);
/// What is posted.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NudgeRequest {
    /// The text.
    pub text: String,
    /// Also while the agent is not idle.
    #[serde(default)]
    pub now: bool,
}

/// What is answered when it was typed.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct NudgeReply {
    /// The agent.
    pub identity: String,
    /// What became of it.
    pub outcome: Outcome,
}

/// Which agent a path asks to nudge.
pub(super) fn named(path: &str) -> Option<&str> {
    path.strip_suffix(NUDGE)
}

/// Whether a text may be typed; an error says why not.
pub(crate) fn check(text: &str) -> Result<(), String> {
    if text.trim().is_empty() {
        return Err("the text is empty".to_owned());
    }
    if text.len() > LONGEST {
        return Err(format!("the text has {} bytes; at most {LONGEST} are typed", text.len()));
    }
    let is_key = |c: &char| c.is_control() && !matches!(c, '\n' | '\t');
    match text.chars().position(|c| is_key(&c)).and_then(|at| Some((at, text.chars().nth(at)?))) {
        Some((at, c)) => Err(format!(
            "the text has the control character {} as its character {}: only newlines and tabs are typed",
            c.escape_unicode(),
            at + 1
        )),
        None => Ok(()),
    }
}

/// Reads what was posted; an error says what is wrong with it.
pub(super) async fn read(body: Body) -> Result<NudgeRequest, String> {
    let body = to_bytes(body, LONGEST_BODY).await.map_err(|_| "the body is too long".to_owned())?;
    let asked: NudgeRequest = serde_json::from_slice(&body)
        .map_err(|error| format!("the body must be {{\"text\": …, \"now\": false}}: {error}"))?;
    check(&asked.text).map(|()| asked)
}

/// Has a text typed into an agent by this user, and returns what became of it.
pub(super) async fn deliver(
    deps: &Deps,
    identity: &Identity,
    NudgeRequest { text, now }: NudgeRequest,
    (uid, user): (u32, Option<String>),
) -> Nudged {
    let command = if now { "nudge --now" } else { "nudge" }.to_owned();
    let by =
        ByCommand { uid, user, command, at: deps.now().wall, until: None, when_idle: !now, of_file: false };
    let (sender, reply) = oneshot::channel();
    let answer = Mutex::new(Some(sender));
    let nudge = Arc::new(Nudge { text, now, by: by.to_string(), answer });
    let not_done = |code, why: String| Err(NotNudged { code, why });
    if !deps.directory.send(identity, Broadcast::Nudge(nudge)) {
        return not_done("not_running", "the supervisor keeps no such agent now".to_owned());
    }
    match timeout(TYPED_WITHIN, reply).await {
        Ok(Ok(nudged)) => nudged,
        Ok(Err(_)) => not_done("unknown", UNKNOWN.to_owned()),
        Err(_) => {
            let limit = go_duration::short(TYPED_WITHIN);
            let why =
                format!("not done within {limit}; it may still be typed: `explain` shows what is known");
            not_done("unknown", why)
        }
    }
}

/// Its actor crashed meanwhile.
const UNKNOWN: &str = "whether it was typed is not known; see its screen before it is repeated";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn which_texts_may_be_typed() {
        for (text, refused) in [
            ("go on", None),
            ("two\nlines\tand a tab", None),
            ("- it's \"quoted\" #{pid} $(x) é 🦉", None),
            (&"x".repeat(LONGEST), None),
            ("", Some("the text is empty")),
            (" \n\t", Some("the text is empty")),
            (&"x".repeat(LONGEST + 1), Some("8193 bytes")),
            ("ab\x1b[A", Some("\\u{1b} as its character 3")),
            ("a\rb", Some("\\u{d} as its character 2")),
            ("\x03", Some("\\u{3} as its character 1")),
            ("é\u{9b}A", Some("\\u{9b} as its character 2")),
            ("a\0b", Some("\\u{0} as its character 2")),
        ] {
            let checked = check(text);
            assert_eq!(checked.is_err(), refused.is_some(), "{text:?}: {checked:?}");
            assert!(checked.err().is_none_or(|why| why.contains(refused.unwrap())), "{text:?}");
        }
    }

    #[test]
    fn which_paths_are_nudges() {
        for (path, expected) in [
            ("deacon/nudge", Some("deacon")),
            ("r/polecats/nudge/nudge", Some("r/polecats/nudge")),
            ("@a/nudge", Some("@a")),
            ("deacon/restart", None),
            ("nudge", None),
        ] {
            assert_eq!(named(path), expected, "{path}");
        }
    }
}
