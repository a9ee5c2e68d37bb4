//! Screens of agents that talk about dialogs: none of them is a question. `TALK_SCREENS` says how many are generated (2,000),
//! `TALK_SEED` from which seed.

use super::*;

macro_rules! recorded {
    ($name:literal) => {
        ($name, include_str!(concat!("../../../tests/fixtures/dialogs/", $name, ".txt")))
    };
}

/// The screens in `tests/fixtures/dialogs`, as the programs draw them.
pub const RECORDED: [(&str, &str); 18] = [
    recorded!("claude-1.0-trust"),
    recorded!("claude-2.1-trust"),
    recorded!("claude-2.1-trust-reversed"),
    recorded!("codex-trust"),
    recorded!("gemini-trust-reversed"),
    recorded!("claude-bypass-narrow"),
    recorded!("claude-mcp-one"),
    recorded!("claude-mcp-two"),
    recorded!("claude-fullscreen"),
    recorded!("claude-theme"),
    recorded!("claude-login"),
    recorded!("codex-login"),
    recorded!("claude-api-key"),
    recorded!("codex-update"),
    recorded!("claude-tool-edit"),
    recorded!("claude-tool-fullscreen"),
    recorded!("gemini-tool"),
    recorded!("claude-imports"),
];

/// What agents and people say about them.
const SAID: [&str; 22] = [
    "The worker is stuck at \"Do you trust the files in this folder?\" and needs somebody to press Enter.",
    "Do you want me to answer the trust dialog with \"Yes, proceed\"?",
    "Options are 1. Yes, proceed 2. No, exit",
    "1. Yes, I accept",
    "2. No, exit",
    "❯ 1. Yes, I trust this folder",
    "> 1. Sign in with ChatGPT",
    "WARNING: Claude Code running in Bypass Permissions mode",
    "New MCP server found in .mcp.json: github",
    "I chose \"Continue without using this MCP server\".",
    "Try the new fullscreen renderer? is what 2.1.187 asks at its start.",
    "Update available! 0.39.0 -> 0.46.0",
    "Press enter to continue",
    "Enter to confirm · Esc to cancel",
    "Select login method: is shown when the credentials are gone.",
    "Detected a custom API key in your environment",
    "Do you want to proceed?",
    "Choose the text style that looks best with your terminal",
    "[y/N]:",
    "Allow execution of: 'rm'?",
    "The supervisor presses Down, reads the cursor, then Enter.",
    "I would not answer a permission dialog on its behalf. Shall I?",
];

fn one<'a, T: ?Sized>(rng: &mut fastrand::Rng, all: &[&'a T]) -> &'a T {
    all[rng.usize(..all.len())]
}

fn each_line(text: &str, begin: &str) -> String {
    text.lines().map(|line| format!("{begin}{line}\n")).collect()
}

/// Something that is said or shown about a dialog.
fn about(rng: &mut fastrand::Rng) -> String {
    let say = one(rng, &["● ", "⏺ ", "• ", "✦ "]);
    let (said, more) = (one(rng, &SAID), one(rng, &SAID));
    let dialog = RECORDED[rng.usize(..RECORDED.len())].1;
    let begin = rng.usize(..dialog.lines().count());
    let part: String = dialog.lines().skip(begin / 2).map(|line| format!("{line}\n")).collect();
    match rng.u32(..11) {
        0 => format!("{say}{said}\n  {more}\n"),
        1 => format!("{say}{said}\n\n{}", each_line(&part, "  ")),
        2 => format!("{say}Its screen:\n\n{}\n  {more}\n", each_line(dialog, "    ")),
        3 => format!(
            "● Bash(tmux capture-pane -p -t gt-r-witness)\n  ⎿  {}",
            each_line(dialog, "     ").trim_start()
        ),
        4 => format!(
            "• Ran tmux capture-pane -p\n  └ {}    … +3 lines\n",
            each_line(&part, "    ").trim_start()
        ),
        5 => format!(
            "● Update(tests/dialogs.rs)\n  ⎿  Updated tests/dialogs.rs\n{}",
            each_line(&part, "      12 + ")
        ),
        6 => format!("╭──────╮\n│ ✓  Shell tmux capture-pane  │\n{}╰──────╯\n", each_line(&part, "│ ")),
        7 => format!("❯ {said}\n\n{say}{more}\n"),
        8 => format!("> {said}\n> {more}\n\n{say}I see.\n"),
        9 => format!("{say}{}. {said}\n  {}. {more}\n", rng.u32(1..4), rng.u32(1..4)),
        _ => format!("{part}\n{say}{said}\n"),
    }
}

/// What is below it while the program takes input or works.
fn below(rng: &mut fastrand::Rng) -> String {
    let typed = if rng.u32(..4) == 0 { one(rng, &SAID) } else { "" };
    match rng.u32(..7) {
        0 => format!("────────\n❯ {typed}\n────────\n  ⏵⏵ bypass permissions on (shift+tab to cycle)"),
        1 => format!("╭──────╮\n│ > {typed} │\n╰──────╯\n  ? for shortcuts"),
        2 => format!("› {typed}\n\n  97% context left · ? for shortcuts"),
        3 => format!("✽ Pondering… (12s · esc to interrupt)\n\n────────\n❯ {typed}\n────────\n  ? for shortcuts"),
        4 => "• Working (3s • esc to interrupt)\n\n› Find and fix a bug in @filename\n\n  ? for shortcuts".to_owned(),
        5 => "⠏ Thinking... (esc to cancel, 5s)\n╭─────╮\n│ >   Type your message or @path/to/file │\n╰─────╯\n ~/t  no sandbox"
            .to_owned(),
        // While a tool runs and the composer is out of sight.
        _ => "✻ Cooking… (48s · ↓ 1.2k tokens · esc to interrupt)".to_owned(),
    }
}

#[test]
fn screens_of_agents_that_talk_about_dialogs() {
    let number =
        |name: &str, default| std::env::var(name).ok().and_then(|it| it.parse().ok()).unwrap_or(default);
    let (count, seed) = (number("TALK_SCREENS", 2_000), number("TALK_SEED", 41));
    let mut rng = fastrand::Rng::with_seed(seed);
    for n in 0..count {
        let mut parts: Vec<String> = (0..rng.usize(1..5)).map(|_| about(&mut rng)).collect();
        parts.push(below(&mut rng));
        let all: Vec<String> = parts.join("\n").lines().map(str::to_owned).collect();
        let skip = all.len().saturating_sub(usize::from(crate::town::usage_limit::SCREEN_LINES));
        let screen: Vec<String> = all.into_iter().skip(skip).collect();
        assert_eq!(shown(&screen), None, "TALK_SEED={seed}, screen {n}:\n{}", screen.join("\n"));
    }
}
