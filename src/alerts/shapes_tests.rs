//! Grids of what channels get, and of answers.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::*;
use crate::alerts::{Kind, VERSION};

fn alert(kind: Kind, summary: &str, resolved: bool) -> Alert {
    Alert {
        version: VERSION,
        id: "7".into(),
        at: Timestamp::from_second(1_800_000_000).unwrap(),
        kind,
        severity: kind.severity(),
        summary: summary.into(),
        town: "/home/me/gt".into(),
        host: "machine".into(),
        agents: vec!["r/witness".into()],
        attach: Some("tmux attach -t '=gt-r-witness'".into()),
        resolved,
        event: json!({"type": "crash_loop"}),
    }
}

fn body(message: &Message) -> Value {
    serde_json::from_str(&message.body).unwrap()
}

#[test]
fn the_documented_shape() {
    let it = alert(Kind::CrashLoop, "r/witness is held", false);
    let message = webhook(&it, WebhookShape::Json);
    assert_eq!(
        body(&message),
        json!({
            "version": 1,
            "id": "7",
            "at": "2027-01-15T08:00:00Z",
            "kind": "crash_loop",
            "severity": "critical",
            "summary": "r/witness is held",
            "town": "/home/me/gt",
            "host": "machine",
            "agents": ["r/witness"],
            "attach": "tmux attach -t '=gt-r-witness'",
            "resolved": false,
            "event": {"type": "crash_loop"},
        })
    );
    assert!(message.headers.contains(&("idempotency-key", "7".to_owned())));
    assert_eq!(serde_json::from_str::<Alert>(&message.body).unwrap(), it, "it reads what it writes");
}

#[test]
fn what_the_others_get() {
    let it = alert(Kind::WaitingAtQuestion, "<!channel> @everyone & <b>", false);
    let slack = body(&webhook(&it, WebhookShape::Slack));
    let sentence = "&lt;!channel&gt; @everyone &amp; &lt;b&gt;";
    assert_eq!(slack["text"], format!("WARNING gt on machine\n{sentence}\ntmux attach -t '=gt-r-witness'"));
    let discord = body(&webhook(&it, WebhookShape::Discord));
    assert_eq!(discord["allowed_mentions"], json!({"parse": []}));
    let over = ntfy(&alert(Kind::CrashLoop, "x", true));
    assert_eq!(over.headers[0], ("title", "RESOLVED gt on machine".to_owned()));
    assert_eq!(desktop(&it)[1..4], ["--urgency=normal", "--", "WARNING gt on machine"]);
    assert!(desktop(&it)[4].starts_with(sentence));
    let long = alert(Kind::CrashLoop, &"ä".repeat(5000), false);
    assert!(body(&webhook(&long, WebhookShape::Discord))["content"].as_str().unwrap().chars().count() < 2000);
    for wide in ["a", "ä", "漢", "🚨"] {
        let long = alert(Kind::CrashLoop, &wide.repeat(5000), false);
        assert!(ntfy(&long).body.len() < 2000, "{wide}: ntfy takes 4096 bytes");
    }
    let umlaut = Alert { host: "zürich\r\nx: y".into(), ..it };
    assert_eq!(ntfy(&umlaut).headers[0].1, "WARNING gt on z?rich??x: y", "no header can be smuggled in");
}

#[test]
fn which_answers_accept() {
    use Verdict::{Accepted, Failed, Refused};
    let failed = |verdict| matches!(verdict, Failed(_));
    for (status, body, [json, slack, discord, ntfy]) in [
        (200, "ok", [true, true, false, false]),
        (200, "ok\n", [true, true, false, false]),
        (200, r#"{"id":"x","event":"message"}"#, [true, true, true, true]),
        (200, "<html>log in</html>", [true, false, false, false]),
        (200, "", [true, false, false, false]),
        (204, "", [true, false, true, false]),
        (302, "ok", [false; 4]),
        (404, "ok", [false; 4]),
        (429, "ok", [false; 4]),
        (500, "ok", [false; 4]),
        (100, "ok", [false; 4]),
    ] {
        let bytes = body.as_bytes();
        for (name, verdict, accepted) in [
            ("json", webhook_answered(WebhookShape::Json, status, bytes), json),
            ("slack", webhook_answered(WebhookShape::Slack, status, bytes), slack),
            ("discord", webhook_answered(WebhookShape::Discord, status, bytes), discord),
            ("ntfy", ntfy_answered(status, bytes), ntfy),
        ] {
            assert_eq!(verdict == Accepted, accepted, "{name}: {status} {body}");
            assert_eq!(failed(verdict), !accepted, "{name}: {status} {body}");
        }
    }
    for status in [400, 413] {
        assert_eq!(ntfy_answered(status, b""), Refused);
    }
}
