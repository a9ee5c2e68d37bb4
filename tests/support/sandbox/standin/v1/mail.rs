//! `gt mail`: the messages in `demo/mail`, one file each, to everybody in the town.

use serde_json::{Value, json};

use super::{super::mailbox, Outcome, beads::Beads, town::Town};

/// Runs `gt mail <words>`.
pub fn command(town: &Town, words: &[&str]) -> Outcome {
    let demo = town.root().join("demo");
    // The messages are beads.
    let reach = || Beads::open(town).map(drop).map_err(|error| format!("listing messages: {error}"));
    match words {
        ["inbox", rest @ ..] => {
            reach()?;
            let to = after(rest, "--identity").unwrap_or("mayor/");
            let all = mailbox::inbox(&demo.join("mail"));
            let all = all.as_array().cloned().unwrap_or_default();
            let mine: Vec<Value> = all.into_iter().filter(|message| message["to"] == to).collect();
            Ok(format!("{:#}\n", Value::Array(mine)))
        }
        ["send", to, rest @ ..] => {
            reach()?;
            let part = |short: &str, long: &str| {
                after(rest, short).or_else(|| after(rest, long)).unwrap_or_default()
            };
            let (subject, body) = (part("-s", "--subject"), part("-m", "--message"));
            let now = jiff::Timestamp::now();
            let id = format!("hq-wisp-{:x}", now.as_nanosecond().unsigned_abs() % 0xff_ffff);
            let from = std::env::var("BD_ACTOR").unwrap_or_else(|_| "overseer".to_owned());
            let message = json!({"id": id, "from": from, "to": to, "subject": subject, "body": body,
                "timestamp": now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(), "read": false, "priority": "normal",
                "type": "notification", "thread_id": "thread-1ed10b47dde1", "delivery_state": "pending"});
            town.write(&format!("demo/mail/{id}.json"), &message.to_string());
            Ok(format!("✓ Message sent to {to}\n  Subject: {subject}\n"))
        }
        ["delete", id] => {
            reach()?;
            let taken = mailbox::take(&demo, id);
            taken.map_err(|_| format!("deleting message: no issue found matching {id:?}"))?;
            Ok("✓ Message deleted\n".to_owned())
        }
        ["archive", id] => {
            reach()?;
            mailbox::take(&demo, id).map_err(|_| "failed to archive 1 messages".to_owned())?;
            Ok("✓ Message archived\n".to_owned())
        }
        _ => Ok(String::new()),
    }
}

/// The word after this one, or after its `=`.
fn after<'a>(words: &[&'a str], name: &str) -> Option<&'a str> {
    let next = || words.iter().skip_while(|word| **word != name).nth(1).copied();
    let same = |word: &&'a str| word.strip_prefix(name)?.strip_prefix('=');
    words.iter().find_map(same).or_else(next)
}
