//! Nudging: a person's text for an agent, from the client to the agent's actor, and what became of it.
//!
//! Only the local socket takes one, and the kernel says who asks. Whether it may be typed is decided by the agent's owner, which types it to
//! the end also when the client goes away. Nothing here may type anything.

use std::{sync::Arc, time::Duration};

use axum::{
    Extension,
    body::{Body, to_bytes},
    http::StatusCode,
    response::Response,
};
use hyper::StatusCode as Status;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio::{sync::oneshot, time::timeout};

use super::{
    acting::Acted,
    answers::{For, answer, find, no_such_agent, refusal, refusal_with_code, wedged},
    client::{Client, ClientError, in_path},
    connections::Stays,
    http::Http,
    peer::Peer,
    reporter::Reporter,
};
use crate::{
    agent::requests::{ByCommand, Outcome},
    go_duration,
    supervision::messages::{Broadcast, NotNudged, Nudge},
};

/// The last path segment.
const NUDGE: &str = "/nudge";
/// The most bytes of a text.
pub(crate) const LONGEST: usize = 8 * 1024;
/// The most bytes of a body: each byte of a text may be escaped.
const LONGEST_BODY: usize = 64 * 1024;
/// How long a text may take to be typed: other programs may type into the session before it.
const TYPED_WITHIN: Duration = Duration::from_secs(25);
/// How long a client waits for that.
const ANSWERED_WITHIN: Duration = Duration::from_secs(30);

/// What is posted.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    text: String,
    #[serde(default)]
    now: bool,
}

/// What is answered when it was typed.
#[derive(Debug, Serialize, Deserialize)]
struct Told {
    identity: String,
    outcome: Outcome,
}

#[derive(Deserialize)]
struct Refused {
    error: String,
    code: String,
    identity: String,
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

/// Takes a text for an agent from this user, and answers what became of it.
pub(super) async fn take(
    reporter: &Reporter,
    agent: &str,
    (peer, stays): (Option<Extension<Peer>>, &Stays),
    body: Body,
) -> Response {
    let bad = |why: &str| refusal(StatusCode::BAD_REQUEST, why);
    let Ok(body) = to_bytes(body, LONGEST_BODY).await else { return bad("the body is too long") };
    let Asked { text, now } = match serde_json::from_slice(&body) {
        Ok(asked) => asked,
        Err(error) => return bad(&format!("the body must be {{\"text\": …, \"now\": false}}: {error}")),
    };
    if let Err(why) = check(&text) {
        return bad(&why);
    }
    let Some(Extension(peer)) = peer else {
        return refusal(StatusCode::FORBIDDEN, "the system does not say which user asks");
    };
    let Some(report) = reporter.report().await else { return wedged() };
    let identity = match find(reporter, &report, agent, For::Doing) {
        Ok(identity) => identity,
        Err(unknown) => return no_such_agent(&unknown),
    };
    let deps = reporter.deps();
    let user = reporter.users().name(peer.uid).await;
    let command = if now { "nudge --now" } else { "nudge" }.to_owned();
    let by = ByCommand {
        uid: peer.uid,
        user,
        command,
        at: deps.now().wall,
        until: None,
        when_idle: !now,
        of_file: false,
    };
    let (sender, told) = oneshot::channel();
    let answers = Mutex::new(Some(sender));
    let nudge = Arc::new(Nudge { text, now, by: by.to_string(), answer: answers });
    // It may take longer than a connection lives otherwise.
    stays.stay();
    if !deps.directory.send(&identity, Broadcast::Nudge(nudge)) {
        return refusal_with_code(&identity, "the supervisor keeps no such agent now", "not_running");
    }
    match timeout(TYPED_WITHIN, told).await {
        Ok(Ok(Ok(text))) => {
            answer(&Told { identity: identity.to_string(), outcome: Outcome::done("nudged", text) })
        }
        Ok(Ok(Err(NotNudged { code, why }))) => refusal_with_code(&identity, &why, code),
        Ok(Err(_)) => refusal_with_code(&identity, UNKNOWN, "unknown"),
        Err(_) => {
            let limit = go_duration::short(TYPED_WITHIN);
            let why =
                format!("not done within {limit}; it may still be typed: `explain` shows what is known");
            refusal_with_code(&identity, &why, "unknown")
        }
    }
}

/// Its actor crashed meanwhile.
const UNKNOWN: &str = "whether it was typed is not known; see its screen before it is repeated";

impl Client {
    /// Has a text typed into an agent. What cannot be done is an outcome.
    ///
    /// # Errors
    /// When no supervisor answered, or the agent is unknown.
    pub(crate) async fn nudge(&self, agent: &str, text: String, now: bool) -> Result<Acted, ClientError> {
        let path = format!("/v1/agents/{}{NUDGE}", in_path(agent));
        let body = serde_json::to_vec(&Asked { text, now });
        let body =
            body.map_err(|error| ClientError::Unresponsive(format!("the text cannot be written: {error}")))?;
        let answer = Http::new(self.paths.clone(), ANSWERED_WITHIN).post_json(&path, body).await;
        if let Ok((Status::CONFLICT, body)) = &answer
            && let Ok(Refused { error, code, identity }) = serde_json::from_slice(body)
        {
            return Ok(Acted { identity, outcome: Outcome::failed(&code, error) });
        }
        let Told { identity, outcome } = self.understood(answer).await?;
        Ok(Acted { identity, outcome })
    }
}

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
