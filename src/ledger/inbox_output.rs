//! What `gt mail inbox --json` prints, parsed into messages. Pure; it must survive any bytes.
//!
//! Formats of Gas Town 0.2.6 to 0.3, newest message first: a list, `null` for an empty inbox, and the envelope that
//! later versions put around their lists. A malformed message does not affect the others; a malformed output is an
//! error, never an empty inbox.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use super::{beads::is_id, inbox::Message, list_output};
use crate::town::{go_time, reading::shorten};

/// A parsed inbox.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Inbox {
    /// Its messages, oldest first, each id once.
    pub messages: Vec<Message>,
    /// The error in each message that cannot be used.
    pub unusable: Vec<String>,
}

/// Parses standard output. The error describes what was printed instead of an inbox.
pub fn parse(stdout: &[u8]) -> Result<Inbox, String> {
    let mut inbox = Inbox::default();
    let mut known = BTreeSet::new();
    // Newest first, as printed.
    for printed in list_output::rows(stdout, "gt mail inbox")? {
        match message(printed) {
            Ok(message) if !known.contains(&message.id) => {
                known.insert(message.id.clone());
                inbox.messages.push(message);
            }
            Ok(_) => {}
            Err(why) => inbox.unusable.push(why),
        }
    }
    inbox.messages.reverse();
    sort(&mut inbox.messages);
    Ok(inbox)
}

fn message(printed: Value) -> Result<Message, String> {
    #[derive(Deserialize)]
    struct Row {
        id: String,
        from: Option<String>,
        subject: Option<String>,
        body: Option<String>,
        timestamp: Option<Value>,
        read: Option<bool>,
    }
    let row: Row = serde_json::from_value(printed).map_err(|error| shorten(&error.to_string()))?;
    if !is_id(&row.id) {
        return Err(format!("{:?} is not a message id", shorten(&row.id)));
    }
    Ok(Message {
        id: row.id,
        from: row.from.unwrap_or_default(),
        subject: row.subject.unwrap_or_default(),
        body: row.body.unwrap_or_default(),
        sent: row.timestamp.as_ref().and_then(time),
        read: row.read.unwrap_or_default(),
    })
}

fn time(printed: &Value) -> Option<Timestamp> {
    go_time::parse(printed.as_str()?).ok().flatten()
}

/// Sorts by time sent; a message without a readable time stays behind the one it was printed after.
fn sort(messages: &mut Vec<Message>) {
    let mut last = Timestamp::MIN;
    let mut placed: Vec<(Timestamp, Message)> = std::mem::take(messages)
        .into_iter()
        .map(|message| {
            last = message.sent.unwrap_or(last);
            (last, message)
        })
        .collect();
    placed.sort_by_key(|(at, _)| *at); // keeps the order of equal times
    messages.extend(placed.into_iter().map(|(_, message)| message));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(stdout: &[u8]) -> Result<(Vec<String>, usize), ()> {
        let inbox = parse(stdout).map_err(|_| ())?;
        Ok((inbox.messages.into_iter().map(|message| message.id).collect(), inbox.unusable.len()))
    }

    #[test]
    fn which_messages_were_printed() {
        for (name, stdout, expected) in [
            ("null", "null\n", Ok((vec![], 0))),
            ("text before null", "Warning: old\nnull\n", Ok((vec![], 0))),
            ("empty list", "[]", Ok((vec![], 0))),
            ("nothing", "", Err(())),
            ("blanks", " \n\n", Err(())),
            ("text", "Error: not in a Gas Town workspace", Err(())),
            ("a word that ends in null", "is null", Err(())),
            ("text before", "Syncing...\n[{\"id\":\"a\"}]", Ok((vec!["a"], 0))),
            ("envelope", r#"{"schema_version":1,"data":[{"id":"a"}]}"#, Ok((vec!["a"], 0))),
            ("an envelope of nothing", r#"{"schema_version":1,"data":null}"#, Ok((vec![], 0))),
            ("an error", r#"{"error":"database is locked"}"#, Err(())),
            ("half", r#"[{"id":"a"},{"id":"#, Err(())),
            ("another object", r#"{"id":"a"}"#, Err(())),
            ("columns absent", r#"[{"id":"a"}]"#, Ok((vec!["a"], 0))),
            ("newest first", r#"[{"id":"c"},{"id":"b"},{"id":"a"}]"#, Ok((vec!["a", "b", "c"], 0))),
            ("twice", r#"[{"id":"b"},{"id":"a"},{"id":"b"}]"#, Ok((vec!["a", "b"], 0))),
            ("a wrong type", r#"[{"id":"b","body":7},{"id":"a"}]"#, Ok((vec!["a"], 1))),
            ("no message", r#"[7,null,"x",[],{},{"id":"a"}]"#, Ok((vec!["a"], 5))),
            ("an id that is a flag", r#"[{"id":"--all"},{"id":"a"}]"#, Ok((vec!["a"], 1))),
            ("an empty id", r#"[{"id":""},{"id":"a"}]"#, Ok((vec!["a"], 1))),
            ("an id with a blank", r#"[{"id":"a b"},{"id":"a"}]"#, Ok((vec!["a"], 1))),
        ] {
            let expected = expected
                .map(|(ids, bad): (Vec<&str>, usize)| (ids.into_iter().map(str::to_owned).collect(), bad));
            assert_eq!(ids(stdout.as_bytes()), expected, "{name}");
        }
    }

    #[test]
    fn a_message_as_recorded() {
        let inbox = parse(include_bytes!("../../tests/fixtures/mail/mail_inbox.stdout")).unwrap();
        assert_eq!(inbox.unusable, [""; 0]);
        let message = inbox.messages.iter().find(|it| it.id == "hq-b2o").unwrap();
        let expected = Message {
            id: "hq-b2o".into(),
            from: "gastown/witness".into(),
            subject: "POLECAT_STARTED gastown/Toast".into(),
            body: "Polecat: Toast\nSession: gt-gastown-Toast\nIssue: gt-o78".into(),
            sent: Some("2026-11-22T20:45:19.686142635Z".parse().unwrap()),
            read: false,
        };
        assert_eq!(*message, expected);
        let newest = inbox.messages.last().unwrap();
        assert_eq!((newest.id.as_str(), newest.read), ("hq-5w2", true));
        assert!(inbox.messages.is_sorted_by_key(|message| message.sent), "oldest first");
    }

    #[test]
    fn times_of_every_kind() {
        for (printed, expected) in [
            (r#""2026-01-16T12:00:00Z""#, Some("2026-01-16T12:00:00Z")),
            (r#""2026-01-16T12:00:00.1Z""#, Some("2026-01-16T12:00:00.1Z")),
            (r#""2026-01-16T12:00:00.123456789Z""#, Some("2026-01-16T12:00:00.123456789Z")),
            (r#""2026-01-16T12:00:00.5-08:00""#, Some("2026-01-16T20:00:00.5Z")),
            (r#""2026-01-16T12:00:00+05:30""#, Some("2026-01-16T06:30:00Z")),
            (r#""2999-01-01T00:00:00Z""#, Some("2999-01-01T00:00:00Z")),
            (r#""0001-01-01T00:00:00Z""#, None),
            (r#""yesterday""#, None),
            (r#""2026-01-16""#, None),
            (r#""""#, None),
            ("17", None),
            ("null", None),
            ("{}", None),
        ] {
            let stdout = format!(r#"[{{"id":"x","timestamp":{printed}}}]"#);
            let inbox = parse(stdout.as_bytes()).unwrap();
            let expected = expected.map(|text| text.parse().unwrap());
            assert_eq!(inbox.messages[0].sent, expected, "{printed}");
        }
    }

    #[test]
    fn the_oldest_comes_first_wherever_it_was_printed() {
        let at = |second: u32| format!(r#","timestamp":"2026-01-16T12:00:{second:02}Z""#);
        let none = String::new;
        // In the order in which they are printed: usually newest first.
        for (name, printed, expected) in [
            ("as printed", [("c", at(3)), ("b", at(2)), ("a", at(1))], "abc"),
            ("mixed up", [("b", at(2)), ("c", at(3)), ("a", at(1))], "abc"),
            ("at the same time", [("c", at(1)), ("b", at(1)), ("a", at(1))], "abc"),
            ("one unknown between", [("c", at(3)), ("b", none()), ("a", at(1))], "abc"),
            ("the last unknown", [("c", at(3)), ("b", at(2)), ("a", none())], "abc"),
            ("the first unknown", [("c", none()), ("b", at(2)), ("a", at(1))], "abc"),
            ("unknown stays behind its neighbour", [("c", none()), ("b", at(1)), ("a", at(2))], "bca"),
            ("all unknown", [("c", none()), ("b", none()), ("a", none())], "abc"),
        ] {
            let rows = printed.map(|(id, time)| format!(r#"{{"id":"{id}"{time}}}"#));
            let (ids, _) = ids(format!("[{}]", rows.join(",")).as_bytes()).unwrap();
            assert_eq!(ids.concat(), expected, "{name}");
        }
    }

    #[test]
    fn many_and_long_ones_are_no_trouble() {
        let long = "x".repeat(1 << 20);
        let rows: Vec<String> = (0..10_000)
            .map(|n| {
                format!(r#"{{"id":"hq-{n}","subject":"S","body":"{}"}}"#, if n == 7 { &long } else { "" })
            })
            .collect();
        let inbox = parse(format!("[{}]", rows.join(",")).as_bytes()).unwrap();
        assert_eq!(inbox.messages.len(), 10_000);
        assert_eq!(inbox.messages[9_992].body.len(), 1 << 20, "printed as the eighth newest");
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_survived(stdout: Vec<u8>) {
            let _ = parse(&stdout);
        }

        #[test]
        fn any_damage_to_a_real_output_is_survived(at in 0usize..6000, with: Vec<u8>) {
            let mut printed = include_bytes!("../../tests/fixtures/mail/mail_inbox.stdout").to_vec();
            let at = at.min(printed.len());
            printed.splice(at..(at + with.len()).min(printed.len()), with);
            let _ = parse(&printed);
        }
    }
}
