//! Talk: a seeded generator of what agents, tools and people say about limits, logins and questions, on screens and in
//! transcripts, in several languages. For tests.
#![allow(clippy::disallowed_methods, reason = "a test reads how long it is to run from its environment")]

use fastrand::Rng;
use serde_json::{Value, json};

/// How many of them: 1,000, or as many as `TALKS` says.
pub fn rounds() -> u64 {
    std::env::var("TALKS").ok().and_then(|count| count.parse().ok()).unwrap_or(1_000)
}

/// Sentences of the programs.
const SENTENCES: [&str; 18] = [
    "You've hit your limit · resets 2pm (America/New_York)",
    "You've hit your session limit · resets 5:10pm (Europe/Paris)",
    "You've hit your usage limit. Upgrade to Pro or try again in 2 days 17 hours.",
    "Claude usage limit reached. Your limit will reset at 7pm (Asia/Tokyo).",
    "5-hour limit reached ∙ resets 3am",
    "Credit balance is too low",
    "[API Error: You have exhausted your daily quota on this model.]",
    "Quota exceeded. Check your plan and billing details.",
    "Invalid API key · Please run /login",
    "OAuth token revoked · Please run /login",
    "Please run /login",
    "Not logged in · Please run /login",
    "Please log in again.",
    "unexpected status 401 Unauthorized: Missing bearer",
    "Failed to login. Message: invalid_grant",
    "Do you want to proceed? (y/n)",
    "Select login method: Login with Google",
    "Press Enter to continue",
];

/// What is said around them.
const AROUND: [(&str, &str); 14] = [
    ("The log says \"", "\", which is why it stopped."),
    ("The other agent ended with: ", ""),
    ("I handle the text `", "` in the parser now."),
    ("// ", ""),
    ("+    assert_eq!(text, \"", "\");"),
    ("- ", ""),
    ("1. ", " must be recognised"),
    ("grep -n '", "' src/*.rs"),
    ("Der Agent meldet „", "“ und wartet."),
    ("L'agent affiche « ", " » puis s'arrête."),
    ("エージェントは「", "」と表示しました。"),
    ("Агент пишет: ", ""),
    ("El agente dice \"", "\" y termina."),
    ("README.md:12: ", ""),
];

const PLAIN: [&str; 8] = [
    "I look at the tests first.",
    "All 212 tests pass.",
    "Ich prüfe zuerst die Konfiguration.",
    "まずテストを確認します。",
    "You've used 97% of your weekly limit.",
    "The build takes 3m 02s.",
    "Shall I go on with the second part?",
    "fn main() { println!(\"limit\"); }",
];

/// Something that talks about it.
fn talk(rng: &mut Rng) -> String {
    let sentence = SENTENCES[rng.usize(..SENTENCES.len())];
    let (before, after) = AROUND[rng.usize(..AROUND.len())];
    format!("{before}{sentence}{after}")
}

fn line(rng: &mut Rng) -> String {
    match rng.u8(..3) {
        0 => PLAIN[rng.usize(..PLAIN.len())].to_owned(),
        _ => talk(rng),
    }
}

/// A message of an agent: marked, and its further lines indented.
fn message(rng: &mut Rng, lines: &mut Vec<String>) {
    let mark = ["●", "⏺", "•", "✦"][rng.usize(..4)];
    lines.push(format!("{mark} {}", line(rng)));
    for _ in 0..rng.usize(..4) {
        // What is said alone in a line, too.
        let text = if rng.bool() { line(rng) } else { SENTENCES[rng.usize(..SENTENCES.len())].to_owned() };
        lines.push(format!("  {text}"));
    }
    lines.push(String::new());
}

/// A tool and its output.
fn tool(rng: &mut Rng, lines: &mut Vec<String>) {
    lines.push(format!("● Bash(grep -rn \"{}\" .)", SENTENCES[rng.usize(..SENTENCES.len())]));
    lines.push(format!("  ⎿  {}", line(rng)));
    for _ in 0..rng.usize(..4) {
        let text = if rng.bool() { line(rng) } else { SENTENCES[rng.usize(..SENTENCES.len())].to_owned() };
        lines.push(format!("     {text}"));
    }
    lines.push(String::new());
}

/// A screen of an agent that talks about limits, logins and questions, and has none.
pub fn screen(seed: u64) -> Vec<String> {
    let mut rng = Rng::with_seed(seed);
    let mut lines = Vec::new();
    for _ in 0..rng.usize(1..8) {
        match rng.u8(..4) {
            0 => {
                lines.push(format!("❯ {}", talk(&mut rng)));
                lines.push(String::new());
                message(&mut rng, &mut lines);
            }
            1 => tool(&mut rng, &mut lines),
            _ => message(&mut rng, &mut lines),
        }
    }
    match rng.u8(..4) {
        0 => lines.push("✻ Cogitating… (12s · ↑ 1.2k tokens · esc to interrupt)".to_owned()),
        1 => lines.push("• Working (12s • esc to interrupt)".to_owned()),
        _ => {}
    }
    let typed = if rng.u8(..4) == 0 { talk(&mut rng) } else { String::new() };
    let prompt = ["❯", "›", ">"][rng.usize(..3)];
    lines.extend(["────────────".to_owned(), format!("{prompt} {typed}"), "────────────".to_owned()]);
    if rng.bool() {
        lines.push("  ⏵⏵ bypass permissions on (shift+tab to cycle)".to_owned());
    }
    if rng.u8(..3) == 0 {
        lines = narrowed(&lines, rng.usize(8..120));
    }
    cut(&mut rng, &mut lines);
    lines
}

/// What tmux shows after the pane became this narrow, while the program has not drawn anew: the rest of a line is at the left of
/// the next one. Spaces at the end of a line are not captured.
pub fn narrowed(lines: &[String], width: usize) -> Vec<String> {
    let wrap = |line: &String| -> Vec<String> {
        let all: Vec<char> = line.chars().collect();
        let parts = all.chunks(width).map(|part| part.iter().collect::<String>().trim_end().to_owned());
        if all.is_empty() { vec![String::new()] } else { parts.collect() }
    };
    lines.iter().flat_map(wrap).collect()
}

/// Leaves what fits on a screen: its top is anywhere, as a pane has any height and a program may have no history.
pub fn cut(rng: &mut Rng, lines: &mut Vec<String>) {
    let height = if rng.bool() { 40 } else { rng.usize(4..60) };
    lines.drain(..lines.len().saturating_sub(height));
}

/// A transcript of Claude Code with such talk; its last record is the end of a turn, or a call of a tool.
pub fn transcript(seed: u64) -> (String, &'static str) {
    let mut rng = Rng::with_seed(seed);
    let mut records: Vec<Value> = Vec::new();
    let stamp = |at: usize| format!("2026-02-02T08:{:02}:{:02}.000Z", at / 60, at % 60);
    for _ in 0..rng.usize(1..12) {
        let text =
            if rng.bool() { talk(&mut rng) } else { SENTENCES[rng.usize(..SENTENCES.len())].to_owned() };
        let at = stamp(records.len());
        records.push(match rng.u8(..4) {
            0 => json!({"type":"user","timestamp":at,"message":{"role":"user","content":text}}),
            1 => json!({"type":"user","timestamp":at,"message":{"role":"user","content":[
                {"type":"tool_result","tool_use_id":"t","content":text}]}}),
            2 => json!({"type":"assistant","timestamp":at,"isSidechain":true,"message":{"role":"assistant","stop_reason":"end_turn",
                "content":[{"type":"text","text":text}]}}),
            _ => json!({"type":"assistant","timestamp":at,"message":{"role":"assistant","stop_reason":"tool_use",
                "content":[{"type":"text","text":text},{"type":"tool_use","name":"Bash","input":{"command":text}}]}}),
        });
    }
    let text = if rng.bool() { talk(&mut rng) } else { SENTENCES[rng.usize(..SENTENCES.len())].to_owned() };
    let (stop, expected) = if rng.bool() { ("end_turn", "idle") } else { ("tool_use", "working") };
    let content = match stop {
        "end_turn" => json!([{"type":"text","text":text}]),
        _ => json!([{"type":"text","text":text},{"type":"tool_use","name":"Write","input":{"content":text}}]),
    };
    let at = stamp(records.len());
    records.push(json!({"type":"assistant","timestamp":at,"message":{"role":"assistant","stop_reason":stop,"content":content}}));
    let lines: Vec<String> = records.iter().map(Value::to_string).collect();
    (lines.join("\n") + "\n", expected)
}
