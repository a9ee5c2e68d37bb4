//! Every form of message, including all that were recorded with Gas Town's own functions.

use super::*;
use crate::town::identity::{
    RigName,
    spelling::{Spelling, spelled},
};

const MAX_AGE: Duration = Duration::from_secs(6 * 60 * 60);

fn now() -> Timestamp {
    "2026-02-02T08:00:00Z".parse().unwrap()
}

fn message(subject: &str, body: &str) -> Message {
    Message { subject: subject.to_owned(), body: body.to_owned(), sent: Some(now()), ..Message::default() }
}

/// A verdict in one word.
fn word(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Ignore => "ignore",
        Verdict::NotUnderstood(_) => "not understood",
        Verdict::TooOld => "too old",
        Verdict::Request(Action::Restart) => "restart",
        Verdict::Request(Action::Stop) => "stop",
        Verdict::Request(Action::Start) => "start",
    }
}

/// The recorded forms; `@NOW-6h1m@` stands for the time that long ago.
fn recorded() -> Vec<Message> {
    let inbox: Vec<Value> =
        serde_json::from_str(include_str!("../../../../tests/fixtures/mail/inbox_all_forms.json")).unwrap();
    let field = |message: &Value, key: &str| message[key].as_str().unwrap().to_owned();
    let sent = |text: String| match text.strip_prefix("@NOW-").and_then(|age| age.strip_suffix('@')) {
        Some(age) => Some(now() - age.parse::<SignedDuration>().unwrap()),
        None => text.parse().ok(),
    };
    let read = |message: &Value| Message {
        id: field(message, "id"),
        from: field(message, "from"),
        subject: field(message, "subject"),
        body: field(message, "body"),
        sent: sent(field(message, "timestamp")),
        read: message["read"].as_bool().unwrap(),
    };
    inbox.iter().map(read).collect()
}

/// The recorded result of Gas Town for a message; `None` when it is wrong, or about something else.
fn by_its_account(result: &str) -> Option<&'static str> {
    match result {
        _ if result.contains("unknown agent identity") => None,
        _ if result.contains("execute shutdown") => Some("stop"),
        _ if result.contains("execute cycle") || result.contains("execute restart") => Some("restart"),
        _ if result.starts_with("deleted, not executed") => Some("too old"),
        _ if result.starts_with("ignored") => Some("not understood"),
        _ if result.starts_with("skipped") || result.starts_with("pending spawn") => Some("ignore"),
        _ if result.starts_with("older than 5 min") => Some("ignore"),
        _ => panic!("{result}"),
    }
}

#[test]
fn every_recorded_form() {
    let expected: Vec<Value> =
        serde_json::from_str(include_str!("../../../../tests/fixtures/mail/EXPECTED.json")).unwrap();
    let messages = recorded();
    assert_eq!((messages.len(), expected.len()), (25, 25));
    for (message, expected) in messages.iter().zip(&expected) {
        assert_eq!(message.id, expected["id"].as_str().unwrap());
        // It accepts no sender with a slash: these two are restarted.
        let account = by_its_account(expected["result"].as_str().unwrap()).unwrap_or("restart");
        assert_eq!(word(&judge(message, now(), MAX_AGE)), account, "{message:?}");
    }
}

#[test]
fn every_recorded_sender() {
    let rigs: [RigName; 1] = ["gastown".parse().unwrap()];
    let messages = recorded();
    let who = |id: &str| {
        let message = messages.iter().find(|message| message.id == id).unwrap();
        match spelled(&message.from, &rigs) {
            Spelling::Agent(identity) => identity.to_string(),
            other => panic!("{id}: {other:?}"),
        }
    };
    for (id, expected) in [
        ("hq-m01", "mayor"),
        ("hq-m02", "gastown/witness"),
        ("hq-m03", "gastown/polecats/Toast"),
        ("hq-m04", "gastown/refinery"),
        ("hq-m05", "gastown/crew/max"),
        ("hq-m06", "gastown/polecats/Toast"),
        ("hq-m07", "mayor"),
        ("hq-m08", "gastown/witness"),
        ("hq-m15", "mayor"),
        ("hq-m16", "mayor"),
        ("hq-m17", "mayor"),
    ] {
        assert_eq!(who(id), expected, "{id}");
    }
    let real: Vec<Value> =
        serde_json::from_str(include_str!("../../../../tests/fixtures/mail/mail_inbox.stdout")).unwrap();
    let toast = real.iter().find(|message| message["id"] == "hq-z3f").unwrap();
    let expected = Spelling::Member("gastown".parse().unwrap(), "Toast".parse().unwrap());
    assert_eq!(spelled(toast["from"].as_str().unwrap(), &rigs), expected, "as a polecat's mail really is");
}

#[test]
fn bodies() {
    let deep = "[".repeat(10_000);
    let long = format!("restart{}", " please".repeat(150_000));
    for (case, body, expected) in [
        ("a word", "cycle", "restart"),
        ("in any case", "Shutdown", "stop"),
        ("with space around it", "\n\t restart \r\n", "restart"),
        ("with a key", "action: stop", "stop"),
        ("with a key in any case", "ACTION: Restart", "restart"),
        ("with a key and no space", "action:stop", "not understood"),
        ("with another key", "do: stop", "not understood"),
        ("in a sentence", "please restart", "not understood"),
        ("as one of many lines", "Lifecycle request.\n\nAction: shutdown", "not understood"),
        ("two words", "restart stop", "not understood"),
        ("nothing", "", "not understood"),
        ("an object", r#"{"action":"shutdown"}"#, "stop"),
        ("an object with space around it", " {\"action\" : \"cycle\"}\n", "restart"),
        ("an object with a key in any case", r#"{"Action":"Restart"}"#, "restart"),
        ("the exact key counts", r#"{"ACTION":"stop","action":"restart"}"#, "restart"),
        ("another action", r#"{"action":"explode"}"#, "not understood"),
        ("an action with space around it", r#"{"action":" stop "}"#, "not understood"),
        ("an action that is null", r#"{"action":null}"#, "not understood"),
        ("an action that is a list", r#"{"action":["stop"]}"#, "not understood"),
        ("an empty object", "{}", "not understood"),
        ("an object in a list", r#"[{"action":"stop"}]"#, "not understood"),
        ("a string", "\"restart\"", "not understood"),
        ("a number", "42", "not understood"),
        ("null", "null", "not understood"),
        ("half an object", r#"{"action":"stop""#, "not understood"),
        ("an object and more", r#"{"action":"stop"} now"#, "not understood"),
        ("very deep", deep.as_str(), "not understood"),
        ("very long", long.as_str(), "not understood"),
    ] {
        let verdict = judge(&message("LIFECYCLE: x", body), now(), MAX_AGE);
        assert_eq!(word(&verdict), expected, "{case}");
        if let Verdict::NotUnderstood(why) = verdict {
            assert!(why.len() < 300 && !why.contains('\n'), "{case}: {why}");
        }
    }
}

#[test]
fn why_it_is_not_understood() {
    for (body, why) in [
        (r#"{"action":"explode"}"#, "its action \"explode\" is none of cycle, restart, shutdown, stop"),
        (r#"{"action":3}"#, "its \"action\" is 3, not a string"),
        ("{}", "its body is an object without \"action\""),
        ("null", "its body is null, not an object with \"action\""),
        (
            "please",
            "its body \"please\" is neither an object with \"action\" nor one of cycle, restart, shutdown, stop",
        ),
    ] {
        let verdict = judge(&message("LIFECYCLE: x", body), now(), MAX_AGE);
        assert_eq!(verdict, Verdict::NotUnderstood(why.to_owned()), "{body}");
    }
}

#[test]
fn subjects() {
    for (subject, expected) in [
        ("LIFECYCLE: x", "restart"),
        ("LIFECYCLE:", "restart"),
        ("lifecycle: x", "restart"),
        ("LifeCycle:x", "restart"),
        (" LIFECYCLE: x", "ignore"),
        ("Re: LIFECYCLE: x", "ignore"),
        ("LIFECYCLE x", "ignore"),
        ("LIFECYCLE", "ignore"),
        ("LIFECYCLé: x", "ignore"),
        ("", "ignore"),
    ] {
        assert_eq!(word(&judge(&message(subject, "restart"), now(), MAX_AGE)), expected, "{subject:?}");
    }
}

#[test]
fn ages() {
    let hour = SignedDuration::from_hours(1);
    let nanosecond = SignedDuration::from_nanos(1);
    for (case, sent, expected) in [
        ("now", Some(now()), "stop"),
        ("as old as it may be", Some(now() - hour * 6), "stop"),
        ("a moment older", Some(now() - hour * 6 - nanosecond), "too old"),
        ("from long ago", Some(Timestamp::MIN), "too old"),
        ("from the future", Some(now() + hour), "stop"),
        ("from the far future", Some(Timestamp::MAX), "stop"),
        ("not known", None, "stop"),
    ] {
        let message = Message { sent, ..message("LIFECYCLE: x", "stop") };
        assert_eq!(word(&judge(&message, now(), MAX_AGE)), expected, "{case}");
        assert_eq!(word(&judge(&message, now(), Duration::MAX)), "stop", "{case}, whatever its age");
    }
    let old = Message { sent: Some(now() - hour * 9), ..message("LIFECYCLE: x", "explode") };
    assert_eq!(word(&judge(&old, now(), MAX_AGE)), "not understood", "it is not deleted");
    let read = Message { read: true, ..message("LIFECYCLE: x", "stop") };
    assert_eq!(judge(&read, now(), MAX_AGE), Verdict::Ignore);
}

proptest::proptest! {
    #[test]
    fn any_text_is_survived(subject in "(LIFECYCLE:)?.{0,20}", body in proptest::prelude::any::<String>()) {
        judge(&message(&subject, &body), now(), MAX_AGE);
    }
}
