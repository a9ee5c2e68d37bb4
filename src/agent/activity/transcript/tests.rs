//! What transcripts say at their ends, and a generator of transcripts that only talk about limits, logins and questions.

use super::*;
use crate::agent::activity::talk;

const AT: &str = "2026-02-02T08:00:00Z";

fn tail(text: &str) -> Tail {
    Tail { bytes: text.as_bytes().to_vec(), is_whole: true }
}

fn code(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Says(activity, _) => activity.code(),
        Verdict::Silent => "silent",
        Verdict::TooShort => "too short",
    }
}

fn says(provider: Provider, text: &str) -> &'static str {
    code(&judge(provider, &tail(text), &UsageLimits::default()))
}

/// These records, each with a time.
fn lines(records: &[&str]) -> String {
    records.iter().map(|record| format!("{{\"timestamp\":\"{AT}\",{}\n", &record[1..])).collect()
}

/// A record of what Claude Code says in place of an answer.
fn failure(error: &str, text: &str) -> String {
    let content = serde_json::json!([{"type": "text", "text": text}]);
    format!(
        r#"{{"type":"assistant","isApiErrorMessage":true,"error":"{error}","message":{{"model":"<synthetic>","stop_reason":"stop_sequence","content":{content}}}}}"#
    )
}

const PROMPT: &str = r#"{"type":"user","message":{"role":"user","content":"go on"}}"#;
const END: &str =
    r#"{"type":"assistant","message":{"stop_reason":"end_turn","content":[{"type":"text","text":"Done."}]}}"#;
const TOOL: &str = r#"{"type":"assistant","message":{"stop_reason":"tool_use","content":[{"type":"tool_use","name":"Bash","input":{}}]}}"#;
const RESULT: &str =
    r#"{"type":"user","message":{"role":"user","content":[{"type":"tool_result","content":"ok"}]}}"#;
const SUBAGENT: &str =
    r#"{"type":"assistant","isSidechain":true,"message":{"stop_reason":"end_turn","content":[]}}"#;
const SUMMARY: &str = r#"{"type":"summary","summary":"You've hit your limit · resets 2pm","leafUuid":"x"}"#;
const SNAPSHOT: &str = r#"{"type":"file-history-snapshot","snapshot":{}}"#;

#[test]
fn claude() {
    let limit = failure("rate_limit", "You've hit your session limit · resets 5:10pm (Europe/Paris)");
    let old_limit = failure("", "Claude AI usage limit reached|1760004000");
    let login = failure("authentication_failed", "Invalid API key · Please run /login");
    let expired = failure(
        "unknown",
        "API Error: 401 {\"type\":\"error\",\"error\":{\"type\":\"authentication_error\",\"message\":\"OAuth token has expired.\"}} · Please run /login",
    );
    for (name, records, expected) in [
        ("nothing", vec![], "silent"),
        ("a prompt", vec![PROMPT], "working"),
        ("its turn is over", vec![PROMPT, END], "idle"),
        ("a tool", vec![PROMPT, TOOL], "working"),
        ("a tool's result", vec![TOOL, RESULT], "working"),
        ("a subagent ends its turn", vec![TOOL, SUBAGENT], "working"),
        ("notes after the end", vec![END, SUMMARY, SNAPSHOT], "idle"),
        ("only notes", vec![SUMMARY, SNAPSHOT], "silent"),
        (
            "not complete",
            vec![
                PROMPT,
                r#"{"type":"assistant","message":{"stop_reason":null,"content":[{"type":"text","text":"Done."}]}}"#,
            ],
            "silent",
        ),
        (
            "it thinks",
            vec![
                r#"{"type":"assistant","message":{"stop_reason":null,"content":[{"type":"thinking","thinking":""}]}}"#,
            ],
            "working",
        ),
        (
            "interrupted",
            vec![
                TOOL,
                r#"{"type":"user","message":{"content":[{"type":"text","text":"[Request interrupted by user for tool use]"}]}}"#,
            ],
            "idle",
        ),
        (
            "a command of the program",
            vec![END, r#"{"type":"user","message":{"content":"<command-name>/cost</command-name>"}}"#],
            "idle",
        ),
        (
            "it asks",
            vec![
                r#"{"type":"assistant","message":{"stop_reason":"tool_use","content":[{"type":"tool_use","name":"AskUserQuestion","input":{"questions":[{"question":"Which one?"}]}}]}}"#,
            ],
            "waiting_at_question",
        ),
        ("a turn's duration", vec![r#"{"type":"system","subtype":"turn_duration","durationMs":7}"#], "idle"),
        ("a limit", vec![PROMPT, &limit], "limited"),
        ("a limit of 1.0", vec![PROMPT, &old_limit], "limited"),
        (
            "on an API account",
            vec![PROMPT, &failure("billing_error", "Credit balance is too low")],
            "limited",
        ),
        ("a newer prompt ends it", vec![&limit, PROMPT], "working"),
        (
            "a limit and notes",
            vec![&limit, SNAPSHOT, r#"{"type":"queue-operation","operation":"dequeue"}"#],
            "limited",
        ),
        (
            "too many requests",
            vec![PROMPT, &failure("rate_limit", "API Error: Rate limit reached")],
            "silent",
        ),
        (
            "a limit in words of the future",
            vec![PROMPT, &failure("rate_limit", "Plan exhausted until noon")],
            "silent",
        ),
        (
            "the server fails",
            vec![PROMPT, &failure("server_error", "API Error: 500 Internal server error")],
            "idle",
        ),
        ("no login", vec![PROMPT, &login], "logged_out"),
        ("an expired token", vec![PROMPT, &expired], "logged_out"),
        (
            "a login in words of the future",
            vec![&failure("authentication_failed", "Who are you?")],
            "logged_out",
        ),
        (
            "logged in again",
            vec![
                &login,
                r#"{"type":"user","message":{"content":"<local-command-stdout>Login successful</local-command-stdout>"}}"#,
            ],
            "idle",
        ),
        (
            "an agent says it",
            vec![
                r#"{"type":"assistant","message":{"stop_reason":"end_turn","content":[{"type":"text","text":"Invalid API key · Please run /login"}]}}"#,
            ],
            "idle",
        ),
        ("a kind of the future", vec![END, r#"{"type":"hologram"}"#], "silent"),
        (
            "a reason of the future",
            vec![r#"{"type":"assistant","message":{"stop_reason":"tired","content":[]}}"#],
            "silent",
        ),
        ("no object", vec![END, "{\"type\":7}"], "silent"),
    ] {
        assert_eq!(says(Provider::Claude, &lines(&records)), expected, "{name}");
    }
    let timeless = format!("{PROMPT}\n");
    assert_eq!(says(Provider::Claude, &timeless), "silent", "without a time");
}

#[test]
fn the_sentence_and_the_time_are_the_programs() {
    let text =
        lines(&[&failure("rate_limit", "You've hit your session limit · resets 5:10pm (Europe/Paris)")]);
    let sentence = "You've hit your session limit · resets 5:10pm (Europe/Paris)".to_owned();
    let expected = Verdict::Says(Activity::Limited(sentence), AT.parse().unwrap());
    assert_eq!(judge(Provider::Claude, &tail(&text), &UsageLimits::default()), expected);
}

#[test]
fn codex() {
    let event = |payload: &str| format!(r#"{{"type":"event_msg","payload":{payload}}}"#);
    let [started, complete, tokens, message] = [
        r#"{"type":"task_started"}"#,
        r#"{"type":"task_complete","last_agent_message":null}"#,
        r#"{"type":"token_count","rate_limits":{"primary":{"used_percent":97.0}}}"#,
        r#"{"type":"agent_message","message":"You've hit your usage limit."}"#,
    ]
    .map(event);
    let limit = event(
        r#"{"type":"error","message":"You've hit your usage limit. Upgrade to Pro or try again in 5 days.","codex_error_info":"usage_limit_exceeded"}"#,
    );
    let login = event(
        r#"{"type":"error","message":"unexpected status 401 Unauthorized: Missing bearer","codex_error_info":"unauthorized"}"#,
    );
    let aborted = event(r#"{"type":"turn_aborted","reason":"interrupted"}"#);
    let call = r#"{"type":"response_item","payload":{"type":"function_call","name":"shell"}}"#.to_owned();
    let context = r#"{"type":"turn_context","payload":{"cwd":"/w"}}"#.to_owned();
    for (name, records, expected) in [
        ("begun", vec![&started, &context], "working"),
        ("a call", vec![&started, &call], "working"),
        ("over", vec![&started, &message, &tokens, &complete], "idle"),
        ("interrupted", vec![&started, &call, &aborted], "idle"),
        ("a version that writes no ends", vec![&message, &tokens], "silent"),
        ("a limit", vec![&started, &limit], "limited"),
        ("a limit and its end", vec![&started, &limit, &tokens, &complete], "limited"),
        ("a newer turn", vec![&limit, &complete, &started], "working"),
        ("an earlier limit", vec![&limit, &complete, &started, &message, &complete], "idle"),
        ("no login", vec![&started, &login, &complete], "logged_out"),
        ("97 percent", vec![&complete, &tokens], "idle"),
        ("an event of the future", vec![&complete, &event(r#"{"type":"dream"}"#)], "silent"),
    ] {
        let records: Vec<&str> = records.into_iter().map(String::as_str).collect();
        let records: Vec<&str> = records.into_iter().collect();
        assert_eq!(says(Provider::Codex, &lines(&records)), expected, "{name}");
    }
    use crate::transcripts::Head;
    for (line, expected) in [
        (r#"{"type":"session_meta","payload":{"cwd":"/w","source":"cli"}}"#, Head::In("/w".into())),
        (r#"{"type":"session_meta","payload":{"cwd":"/w","source":{"subagent":"review"}}}"#, Head::NoSession),
        (r#"{"type":"session_meta","payload":{}}"#, Head::Unknown),
        ("{\"type\":\"session_meta\",\"payl", Head::Unknown),
    ] {
        assert_eq!(super::codex::head(format!("{line}\nmore").as_bytes()), expected, "{line}");
    }
}

fn session(messages: &[serde_json::Value]) -> String {
    let session = serde_json::json!({"sessionId": "x", "projectHash": "y", "messages": messages});
    serde_json::to_string_pretty(&session).unwrap()
}

#[test]
fn gemini() {
    let message = |kind: &str, text: &str| serde_json::json!({"id": "1", "timestamp": AT, "type": kind, "content": text});
    let calls = |status: &str| {
        serde_json::json!({"id": "2", "timestamp": AT, "type": "gemini", "content": "I look.",
            "toolCalls": [{"id": "a", "name": "shell", "status": status, "args": {"x": [{"y": 1}]}}]})
    };
    let (user, answer) = (message("user", "go on"), message("gemini", "Done.\n    {\n"));
    let limit = message("error", "[API Error: You have exhausted your daily quota on this model.]");
    let login = message("error", "Failed to login. Message: invalid_grant");
    for (name, messages, expected) in [
        ("none", vec![], "silent"),
        ("a prompt", vec![&user], "working"),
        ("an answer", vec![&user, &answer], "idle"),
        ("tools", vec![&user, &calls("success")], "working"),
        ("stopped", vec![&user, &calls("cancelled")], "idle"),
        ("notes", vec![&user, &answer, &message("info", "updated")], "idle"),
        ("a limit", vec![&user, &limit], "limited"),
        ("no login", vec![&user, &login], "logged_out"),
        ("another error", vec![&user, &message("error", "[API Error: 500]")], "idle"),
        (
            "it talks",
            vec![
                &user,
                &message("gemini", "[API Error: You have exhausted your daily quota on this model.]"),
            ],
            "idle",
        ),
        ("a kind of the future", vec![&user, &message("dream", "")], "silent"),
    ] {
        let messages: Vec<_> = messages.into_iter().cloned().collect();
        assert_eq!(says(Provider::Gemini, &session(&messages)), expected, "{name}");
    }
    let text = session(&[user.clone(), answer]);
    for cut in 1..text.len() {
        // In the middle of being written, or only its end.
        assert_eq!(says(Provider::Gemini, &text[..text.len() - cut]), "silent", "{cut}");
        let end = Tail { bytes: text.as_bytes()[cut..].to_vec(), is_whole: false };
        let verdict = judge(Provider::Gemini, &end, &UsageLimits::default());
        assert!(["idle", "too short"].contains(&code(&verdict)), "{cut}: {verdict:?}");
    }
}

#[test]
fn torn_cut_and_broken_lines() {
    let text = lines(&[PROMPT, TOOL, RESULT, END]);
    let limits = UsageLimits::default();
    // While the last record is being written, the one before counts; a whole one without its newline counts.
    let last = lines(&[END]).len();
    for cut in 1..last {
        let got = says(Provider::Claude, &text[..text.len() - cut]);
        assert_eq!(got, if cut == 1 { "idle" } else { "working" }, "{cut}");
    }
    for begin in 0..text.len() {
        let tail = Tail { bytes: text.as_bytes()[begin..].to_vec(), is_whole: begin == 0 };
        let got = judge(Provider::Claude, &tail, &limits);
        assert!(["idle", "too short"].contains(&code(&got)), "{begin}: {got:?}");
    }
    let huge = format!("{}{}", "x".repeat(300_000), "\n");
    let end_of_it = Tail { bytes: huge.into_bytes(), is_whole: false };
    assert_eq!(judge(Provider::Claude, &end_of_it, &limits), Verdict::TooShort, "a huge line");
    assert_eq!(says(Provider::Claude, &format!("{text}no JSON\n")), "silent");
    assert_eq!(says(Provider::Claude, &format!("{text}\n\n")), "idle", "empty lines");
    let mut bytes = lines(&[PROMPT]).into_bytes();
    bytes.extend(lines(&[END]).replace("Done.", "\u{1}").replace('\u{1}', "D\\u00f6ne").into_bytes());
    let at = bytes.windows(4).rposition(|part| part == b"f6ne").unwrap();
    (bytes[at + 2], bytes[at + 3]) = (0xff, 0xfe);
    let broken = Tail { bytes, is_whole: true };
    assert_eq!(code(&judge(Provider::Claude, &broken, &limits)), "idle", "bytes that are no UTF-8");
    assert_eq!(says(Provider::Amp, &text), "silent", "a program that is not known");
}

/// `TALKS=10000 cargo test --lib activity` for the long run.
#[test]
fn talk_about_it_is_no_sign_of_it() {
    for seed in 0..talk::rounds() {
        let (text, expected) = talk::transcript(seed);
        assert_eq!(says(Provider::Claude, &text), expected, "seed {seed}\n{text}");
    }
}

proptest::proptest! {
    #[test]
    fn any_bytes_are_read_without_panic(bytes: Vec<u8>, is_whole: bool, text in ".{0,200}") {
        for provider in [Provider::Claude, Provider::Codex, Provider::Gemini] {
            for bytes in [bytes.clone(), text.clone().into_bytes(), format!("{{{text}}}\n}}").into_bytes()] {
                judge(provider, &Tail { bytes, is_whole }, &UsageLimits::default());
            }
        }
    }
}
