//! What screens say, and a generator of screens of agents that only talk about it.

use super::*;
use crate::{
    agent::{activity::talk, questions},
    town::usage_limit::{self, Sentence, UsageLimits},
};

fn judged(screen: &[String]) -> Option<Activity> {
    let limit = UsageLimits::default().of_living(screen).map(Sentence::text);
    judge(screen, questions::shown(screen).as_ref(), limit)
}

fn judged_text(text: &str) -> Option<Activity> {
    let below_others = format!("\n$ agent\n\n{text}");
    judged(&below_others.lines().map(str::to_owned).collect::<Vec<_>>())
}

#[test]
fn the_list_compiles() {
    assert_eq!(WORKS.len(), WORKING.len());
    assert!(usage_limit::is_small(WORKING));
}

#[test]
fn what_the_programs_show() {
    for (name, text, expected) in [
        ("nothing", "", None),
        ("a shell", "user@host:~$", None),
        (
            "claude works",
            "❯ go on\n\n● I look at it.\n\n✻ Cogitating… (12s · ↑ 1.2k tokens · esc to interrupt)\n\n────────\n❯ \n────────\n  ? for shortcuts",
            Some("working"),
        ),
        (
            "claude works, by its footer",
            "● Bash(cargo build)\n  ⎿  Running…\n\n────\n❯ \n────\n  ⏵⏵ bypass permissions on (shift+tab to cycle) · esc to interrupt",
            Some("working"),
        ),
        (
            "codex works",
            "› go on\n\n• Working (12s • esc to interrupt)\n\n› Explain this codebase\n\n  ? for shortcuts",
            Some("working"),
        ),
        (
            "gemini works",
            "✦ I look.\n\n⠏ Reading the tea leaves (esc to cancel, 5s)\n\n >   Type your message",
            Some("working"),
        ),
        ("claude waits", "● Done.\n\n╭──────╮\n│ >    │\n╰──────╯\n  ? for shortcuts", Some("idle")),
        (
            "claude waits, 2.1",
            "● Done.\n\n✻ Cooked for 34s\n\n────\n❯ \n────\n  ⏵⏵ bypass permissions on (shift+tab to cycle)",
            Some("idle"),
        ),
        ("codex waits", "• Done.\n\n› Explain this codebase\n\n  100% context left", Some("idle")),
        (
            "a warning",
            "● Done.\n\n────\n❯ \n────\n  You've used 97% of your session limit · resets 5pm",
            Some("idle"),
        ),
        ("near a limit", "● Done.\n\n> \n  Approaching usage limit · resets at 7pm", Some("idle")),
        (
            "claude at a limit",
            "❯ go on\n  ⎿  You've hit your session limit · resets 5:10pm (Europe/Paris)\n\n────\n❯ \n────",
            Some("limited"),
        ),
        (
            "claude at a limit, with a menu",
            "You've hit your limit · resets 2pm (America/New_York)\n\n What do you want to do?\n ❯ 1. Stop and wait for limit to reset\n   2. Upgrade your plan",
            Some("limited"),
        ),
        (
            "codex at a limit",
            "■ You've hit your usage limit. Upgrade to Pro or try again in 5 days.\n\n› ",
            Some("limited"),
        ),
        (
            "claude logged out",
            "❯ go on\n  ⎿  Invalid API key · Please run /login\n\n────\n❯ \n────",
            Some("logged_out"),
        ),
        (
            "codex logged out",
            "■ unexpected status 401 Unauthorized: Missing bearer\n\n› ",
            Some("logged_out"),
        ),
        (
            "gemini logged out",
            "│ How would you like to authenticate for this project?  │\n│ ● 1. Login with Google    │\n│   2. Use Gemini API Key   │\n│   3. Vertex AI            │\n│ (Use Enter to select)     │",
            Some("logged_out"),
        ),
        (
            "claude's login",
            " Select login method:\n\n ❯ 1. Claude account with subscription · Pro, Max, Team, or Enterprise\n   2. Anthropic Console account · API usage billing",
            Some("logged_out"),
        ),
        (
            "a question",
            " Do you want to proceed?\n ❯ 1. Yes\n   2. No, and tell Claude what to do differently (esc)",
            Some("waiting_at_question"),
        ),
        (
            "it went on after a limit",
            "❯ go on\n  ⎿  You've hit your session limit · resets 5:10pm (Europe/Paris)\n\n❯ go on\n\n● I go on.\n\n❯ ",
            Some("idle"),
        ),
        (
            "an agent says a lot in a line that ends like a status line",
            &format!("· {} (esc to interrupt)\n\n❯ ", "word ".repeat(50)),
            Some("idle"),
        ),
        (
            "an agent quotes a status line",
            "● It shows\n  ✻ Cogitating… (12s · esc to interrupt)\n  while it works.\n\n❯ ",
            Some("idle"),
        ),
    ] {
        let got = judged_text(text);
        assert_eq!(got.as_ref().map(Activity::code), expected, "{name}: {got:?}");
    }
}

/// `TALKS=10000 cargo test --lib activity` for the long run.
#[test]
fn talk_about_it_is_no_sign_of_it() {
    for seed in 0..talk::rounds() {
        let screen = talk::screen(seed);
        let got = judged(&screen);
        let is_false = matches!(
            got,
            Some(Activity::Limited(_) | Activity::LoggedOut(_) | Activity::WaitingAtQuestion(_))
        );
        assert!(!is_false, "seed {seed}: {got:?}\n{}", screen.join("\n"));
    }
}
