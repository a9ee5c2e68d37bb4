//! What the programs print, and what agents say about it.

use super::*;

fn screen(text: &str) -> Vec<String> {
    text.lines().map(str::to_owned).collect()
}

/// Below what is there first.
fn built_in(text: &str) -> Option<String> {
    UsageLimits::default().matches(&screen(&format!("\n$ agent\n\n{text}")))
}

#[test]
fn the_built_in_list_compiles() {
    assert_eq!(BUILT_IN_SET.len(), BUILT_IN.len());
    assert!(is_small(begun(&BUILT_IN)));
    assert!(!is_small([r"^your [\w ]{2,40}\."]), "as one of them was");
}

#[test]
fn what_the_programs_say() {
    for (name, text, line) in [
        (
            "Claude Code 2.1.216",
            "❯ go on\n  ⎿  You've hit your session limit · resets 5:10pm (Europe/Paris)\n     /upgrade to increase your usage limit.\n\n✻ Cooked for 0s\n\n────────\n❯ \n────────\n  ? for shortcuts",
            "You've hit your session limit · resets 5:10pm (Europe/Paris)",
        ),
        (
            "Claude Code 2.1.90",
            "You've hit your limit · resets 2pm (America/New_York)\n\n What do you want to do?\n ❯ 1. Stop and wait for limit to reset\n   2. Upgrade your plan",
            "You've hit your limit · resets 2pm (America/New_York)",
        ),
        (
            "Claude Code, weekly",
            "You've hit your weekly limit · resets 4am (Europe/Madrid)",
            "You've hit your weekly limit · resets 4am (Europe/Madrid)",
        ),
        (
            "Claude Code, a model",
            "You've reached your Fable 5 limit · resets 4am",
            "You've reached your Fable 5 limit · resets 4am",
        ),
        ("Claude Code without a time", "You've hit your session limit", "You've hit your session limit"),
        (
            "Claude Code 2.0.1",
            "● Claude AI usage limit reached|1760004000",
            "Claude AI usage limit reached|1760004000",
        ),
        (
            "Claude Code 1.0.69",
            " ⎿ Claude usage limit reached. Your limit will reset at 7pm (Asia/Tokyo).",
            "Claude usage limit reached. Your limit will reset at 7pm (Asia/Tokyo).",
        ),
        ("Claude Code 2.0", "5-hour limit reached ∙ resets 3am", "5-hour limit reached ∙ resets 3am"),
        (
            "Claude Code 2.0, Opus",
            "  Opus weekly limit reached ∙ resets Oct 31, 9am",
            "Opus weekly limit reached ∙ resets Oct 31, 9am",
        ),
        (
            "Claude Code 2.1.50",
            "You're out of extra usage · resets 10pm (America/Los_Angeles)",
            "You're out of extra usage · resets 10pm (America/Los_Angeles)",
        ),
        ("Claude Code on an API account", "  ⎿ Credit balance is too low", "Credit balance is too low"),
        (
            "Codex 0.39",
            "■ You've hit your usage limit. Upgrade to Pro (https://openai.com/chatgpt/pricing) or try again in 5 days 22 hours 11\nminutes.",
            "You've hit your usage limit. Upgrade to Pro (https://openai.com/chatgpt/pricing) or try again in 5 days 22 hours 11",
        ),
        (
            "Codex 0.155, curly",
            "■ You’ve hit your usage limit. Upgrade to Pro (https://chatgpt.com/explore/pro), visit",
            "You've hit your usage limit. Upgrade to Pro (https://chatgpt.com/explore/pro), visit",
        ),
        (
            "Codex 0.23",
            "🖐  You've hit your usage limit. Upgrade to Pro, or wait for limits to reset (every 5h and every week.).",
            "You've hit your usage limit. Upgrade to Pro, or wait for limits to reset (every 5h and every week.).",
        ),
        (
            "codex exec",
            "ERROR: You've hit your usage limit. To get more access now, send a request to your admin or try again at 12:16 PM.",
            "ERROR: You've hit your usage limit. To get more access now, send a request to your admin or try again at 12:16 PM.",
        ),
        (
            "Codex, one model",
            "■ You've hit your usage limit for gpt-5.3-codex. Switch to another model now, or try again at 3:42 PM.",
            "You've hit your usage limit for gpt-5.3-codex. Switch to another model now, or try again at 3:42 PM.",
        ),
        (
            "Codex 0.154",
            "Error running remote compact task: You've hit your usage limit. Upgrade to Pro",
            "Error running remote compact task: You've hit your usage limit. Upgrade to Pro",
        ),
        (
            "Codex on an API account",
            "■ Quota exceeded. Check your plan and billing details.",
            "Quota exceeded. Check your plan and billing details.",
        ),
        (
            "Gemini 0.22",
            "✕ [API Error: You have exhausted your daily quota on this model.]\n\n>   Type your message",
            "[API Error: You have exhausted your daily quota on this model.]",
        ),
        (
            "Gemini 0.27, in a box",
            "╭────╮\n│ Error when talking to Gemini API Full report available at: /tmp/x.json TerminalQuotaError: You have exhausted your daily quota  │\n│    on this model.        │",
            "Error when talking to Gemini API Full report available at: /tmp/x.json TerminalQuotaError: You have exhausted your daily quota on this model.",
        ),
        (
            "Gemini 0.33",
            "✕ [API Error: You have exhausted your capacity on this model. Your quota will reset after 5h3m1s.]",
            "[API Error: You have exhausted your capacity on this model. Your quota will reset after 5h3m1s.]",
        ),
        (
            "Gemini 0.19",
            "╭────╮\n│ Usage limit reached for all Pro models.      │\n│ Access resets at 3:57 AM GMT+1.   │\n│ /model to switch models. │",
            "Usage limit reached for all Pro models.",
        ),
        (
            "Gemini 0.22, one model",
            "Usage limit reached for gemini-2.5-flash-lite.",
            "Usage limit reached for gemini-2.5-flash-lite.",
        ),
        (
            "Gemini 0.10",
            "  ⚡ You have reached your daily gemini-2.5-pro quota limit.",
            "You have reached your daily gemini-2.5-pro quota limit.",
        ),
        (
            "Gemini 0.1.10",
            "⚡ You have reached your daily quota limit.",
            "You have reached your daily quota limit.",
        ),
        (
            "Gemini 0.29",
            "✕ [API Error: Resource has been exhausted (e.g. check quota).]",
            "[API Error: Resource has been exhausted (e.g. check quota).]",
        ),
        (
            "Gemini 0.4",
            "✕ [API Error: You exceeded your current quota, please check your plan and billing details. For more",
            "[API Error: You exceeded your current quota, please check your plan and billing details. For more",
        ),
        (
            "Gemini 0.1.4",
            "✕ [API Error: [{\n    ]]\n  Please wait and try again later. To increase your limits, upgrade to a plan with higher limits, or use /auth",
            "Please wait and try again later. To increase your limits, upgrade to a plan with higher limits, or use /auth",
        ),
        (
            "wrapped in the middle",
            "  ⎿ You've hit your session limit ·\n    resets 5:10pm",
            "You've hit your session limit · resets 5:10pm",
        ),
    ] {
        assert_eq!(built_in(text).as_deref(), Some(line), "{name}");
    }
}

#[test]
fn what_agents_talk_about() {
    for text in [
        "",
        "● I'll add a rate limiter: 100 requests a minute, then 429 Too Many Requests.",
        "  if count >= limit { return Err(\"limit reached\") }",
        "● The loop ends when the limit is reached. The limit reached the end of loop 3.",
        "● Limit reached the end of the loop",
        "+  const MESSAGE: &str = \"You've hit your usage limit.\";",
        "● \"You've hit your usage limit. Upgrade to Pro\" is what Codex prints.",
        "● The screen says: You've hit your limit · resets 3pm",
        "● When the output contains `Claude AI usage limit reached|1760004000` we wait.",
        "  12 -  \"usage limit reached\"",
        "  rg -n 'usage limit reached|hit your limit' src",
        "Approaching usage limit · resets at 7pm",
        "Approaching Opus usage limit · resets at 7pm",
        "Approaching 5-hour limit",
        "  /upgrade to increase your usage limit.",
        "Opus 4.1 limit reached, now using Sonnet 4",
        "● You've hit your stride; the limit of this approach is memory.",
        "● You've reached your limit in the refactoring, next comes the parser.",
        "Attempt 1 failed: You have exhausted your capacity on this model. Your quota will reset after 5s.. Retrying after 6173ms...",
        "toomanyrequests: You have reached your pull rate limit. You may increase the limit by authenticating",
        "remote: error: GH001: file size limit reached",
        "● Test output: quota exceeded for disk /dev/sda1",
        "disk quota exceeded",
        "● The account's credit balance is too low in this fixture.",
        "test usage_limit::resource_exhausted ... ok",
        "  \"status\": \"RESOURCE_EXHAUSTED\",",
        "● Usage limit reached for the free tier is handled in billing.rs",
        "speed limit reached · 50 km/h",
    ] {
        assert_eq!(built_in(text), None, "{text}");
    }
}

#[test]
fn only_the_end_of_the_screen_counts() {
    let limit = "You've hit your limit · resets 3pm";
    for (name, below, blanks, found) in [
        ("nothing below", 0, 0, true),
        ("just near enough", 19, 50, true),
        ("above the last twenty", 20, 0, false),
    ] {
        let mut screen = vec![String::new(), limit.to_owned()];
        screen.extend(std::iter::repeat_n("   ".to_owned(), blanks));
        screen.extend((0..below).map(|n| format!("   what goes with it: {n}")));
        assert_eq!(UsageLimits::default().matches(&screen).is_some(), found, "{name}");
    }
}

#[test]
fn patterns_of_ones_own() {
    let patterns = |list: &[&str]| list.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>();
    let limits = UsageLimits::new(Some(&patterns(&["out of (tokens|money)", "^nap time"]))).unwrap();
    for (text, found) in [
        ("We are OUT OF TOKENS.", true),
        ("│ we are out of │\n│ money │", true),
        ("  Nap time!", true),
        ("no nap time", false),
        ("You've hit your limit · resets 3pm", false),
    ] {
        assert_eq!(limits.matches(&screen(text)).is_some(), found, "{text}");
    }
    assert_eq!(
        UsageLimits::new(Some(&[])).unwrap().matches(&screen("You've hit your limit · resets 3pm")),
        None
    );
    assert_eq!(UsageLimits::new(None), Ok(UsageLimits::default()));
    assert_ne!(UsageLimits::new(Some(&[])), Ok(UsageLimits::default()));
    assert_ne!(UsageLimits::new(Some(&patterns(&["a"]))), UsageLimits::new(Some(&patterns(&["b"]))));
}

/// What a living agent's screen shows holds all agents of its account.
#[test]
fn while_an_agent_lives_only_its_programs_own_words_count() {
    let own = UsageLimits::new(Some(&["out of tokens".to_owned()])).unwrap();
    let built_in = UsageLimits::default();
    for (name, limits, text, found) in [
        ("the program says it", &own, "\n■ Out of tokens.\n\n› ", true),
        ("the agent says it", &own, "● The log says: out of tokens.\n\n❯ ", false),
        ("a tool printed it", &own, "● Bash(cat log)\n  ⎿  out of tokens\n\n❯ ", false),
        ("built in", &built_in, "\n  ⎿  You've hit your limit · resets 3pm\n\n❯ ", true),
        ("built in, quoted", &built_in, "● It said: You've hit your limit · resets 3pm\n\n❯ ", false),
    ] {
        assert_eq!(limits.of_living(&screen(text)).is_some(), found, "{name}");
    }
}

#[test]
fn what_is_said_is_bounded() {
    let long = format!("You've hit your limit · resets 3pm {}", "x".repeat(200_000));
    let limits = UsageLimits::default();
    let said = limits.said(&long).unwrap();
    assert!(
        said.starts_with("You've hit your limit · resets 3pm x") && said.chars().count() == 300,
        "{said}"
    );
    assert_eq!(built_in(&long), Some(said));
}

#[test]
fn bad_patterns() {
    for (pattern, reason) in [
        ("(", "\"(\" is not a valid regular expression: unclosed group"),
        ("a{2,1}", "\"a{2,1}\" is not a valid regular expression: invalid repetition count range"),
        ("(?=x)", "\"(?=x)\" is not a valid regular expression: look-around"),
        (
            "(\\w{200}){200}",
            "\"(\\\\w{200}){200}\" is not a valid regular expression: Compiled regex exceeds size limit",
        ),
    ] {
        let error = UsageLimits::new(Some(&["fine".to_owned(), pattern.to_owned()])).unwrap_err();
        let told = error.to_string();
        assert!(told.starts_with(reason) && told.lines().count() == 1, "{told}");
    }
}

proptest::proptest! {
    #[test]
    fn never_panics(lines: Vec<String>, pattern in "\\PC*") {
        let _ = UsageLimits::default().matches(&lines);
        let _ = UsageLimits::new(Some(&[pattern]));
    }
}

#[test]
fn only_the_last_message_counts() {
    let composer = "────\n❯ \n────\n  ⏵⏵ bypass permissions on (shift+tab to cycle)";
    let limit = "  ⎿  You've hit your limit · resets 3pm";
    for (name, text, found) in [
        ("the last", format!("● Done.\n\n{limit}\n\n{composer}"), true),
        (
            "after what somebody said",
            format!("❯ go on\n{limit}\n     /upgrade to …\n\n✻ Cooked for 0s\n\n{composer}"),
            true,
        ),
        ("somebody went on, and so did it", format!("{limit}\n\n❯ go on\n\n● On it.\n\n{composer}"), false),
        ("somebody went on, and it did not yet", format!("{limit}\n\n❯ go on\n\n{composer}"), true),
        ("what a tool printed", format!("● Bash(cat notes)\n{limit}\n\n{composer}"), false),
        (
            "what a tool printed, further down",
            format!("● Bash(cat notes)\n  ⎿  one\n     You've hit your limit · resets 3pm\n\n{composer}"),
            false,
        ),
        (
            "the shell that is left",
            format!("● Done.\n\n{limit}\n\n{composer}\n\nuser@host:~$ ls\nnotes\nuser@host:~$ "),
            true,
        ),
        (
            "a box of its own",
            "╭────╮\n│ Usage limit reached for all Pro models. │\n│ Access resets at 3:57 AM │\n╰────╯"
                .to_owned(),
            true,
        ),
        (
            "right below a box",
            "╭────╮\n│ > go on │\n╰────╯\n✕ [API Error: You have exhausted your daily quota on this model.]"
                .to_owned(),
            true,
        ),
        (
            "a box of a tool",
            "╭────╮\n│ ✓  Shell cat notes │\n│    │\n│ Usage limit reached for all Pro models. │\n╰────╯"
                .to_owned(),
            false,
        ),
        (
            "codex's own",
            "• Done.\n\n■ You've hit your usage limit. Try again at 5pm.\n\n› Ask Codex\n\n  ? for shortcuts"
                .to_owned(),
            true,
        ),
        (
            "codex says it",
            "• You've hit your usage limit. Try again at 5pm.\n\n› Ask Codex\n\n  ? for shortcuts".to_owned(),
            false,
        ),
        (
            "codex ran it",
            "• Ran cat notes\n  └ You've hit your usage limit. Try again at 5pm.\n\n› Ask Codex".to_owned(),
            false,
        ),
        (
            "typed, not sent",
            "────\n❯ You've hit your limit · resets 3pm\n────\n  ? for shortcuts".to_owned(),
            false,
        ),
    ] {
        assert_eq!(built_in(&text).is_some(), found, "{name}");
    }
}

/// Screens of agents that talk about limits, in the words of the limits themselves.
mod talk {
    use crate::agent::activity::talk;

    const SENTENCES: [&str; 14] = [
        "You've hit your limit · resets 2pm (America/New_York)",
        "You've hit your session limit · resets 5:10pm (Europe/Paris)",
        "You've hit your usage limit. Upgrade to Pro or try again in 5 days.",
        "You’ve hit your usage limit for gpt-5.3-codex. Switch to another model now.",
        "Claude AI usage limit reached|1760004000",
        "Claude usage limit reached. Your limit will reset at 7pm (Asia/Tokyo).",
        "5-hour limit reached ∙ resets 3am",
        "You're out of extra usage · resets 10pm (America/Los_Angeles)",
        "Credit balance is too low",
        "Quota exceeded. Check your plan and billing details.",
        "[API Error: You have exhausted your daily quota on this model.]",
        "Usage limit reached for all Pro models.",
        "You have reached your daily gemini-2.5-pro quota limit.",
        "Resource has been exhausted (e.g. check quota).",
    ];

    const PLAIN: [&str; 6] = [
        "All 42 tests pass.",
        "I read the file and changed two lines.",
        "Now the retry waits a quarter of an hour.",
        "fn wait(&self) -> Duration { self.retry_every }",
        "Next I look at how limits are told.",
        "The loop ends when the limit is reached.",
    ];

    fn one<'a>(rng: &mut fastrand::Rng, of: &[&'a str]) -> &'a str {
        of[rng.usize(..of.len())]
    }

    /// One text on a screen that contains a limit's sentence and is no limit.
    fn about(rng: &mut fastrand::Rng) -> String {
        let (s, t, plain) = (one(rng, &SENTENCES), one(rng, &SENTENCES), one(rng, &PLAIN));
        let say = one(rng, &["● ", "⏺ ", "• ", "✦ "]);
        let mark = one(
            rng,
            &[
                "- ", "* ", "+ ", "1. ", "> ", "▎ ", "// ", "# ", "/* ", "-- ", "; ", "| ", "│ ", "\"", "`",
                "12 + ", "12 - ", "→ ", "",
            ],
        );
        match rng.u32(..14) {
            0 => format!("{say}{plain} {s}"),
            1 => format!("{say}{plain}\n\n  {mark}{s}\n  {mark}{t}\n\n  {plain}"),
            2 => format!("{say}{plain}\n  ```\n  {mark}{s}\n  ```\n  {plain}"),
            3 => format!(
                "● Bash(cat notes.txt)\n  ⎿  {mark}{s}\n     {mark}{t}\n     … +12 lines (ctrl+o to expand)"
            ),
            4 => format!(
                "● Update(src/limits.rs)\n  ⎿  Updated src/limits.rs with 2 additions\n       12 + {s}\n       13 - {t}"
            ),
            5 => format!("● Search(pattern: \"limit\")\n  ⎿  src/a.rs:12: {s}\n     src/b.rs:7: {t}"),
            6 => format!("{}{plain}\n  {s}", one(rng, &["❯ ", "> ", "› "])),
            7 => format!("{}{s}\n\n{say}{plain}", one(rng, &["❯ ", "> ", "› "])),
            8 => format!("• Ran cat notes.txt\n  └ {s}\n    {t}\n    … +3 lines"),
            9 => format!(
                "╭──────╮\n│ ✓  Shell cat notes.txt   │\n│        │\n│ {mark}{s}   │\n│ {t}   │\n╰──────╯"
            ),
            10 => format!("  ⎿  {s}\n\n❯ go on\n\n{say}{plain}"),
            11 => format!(
                "{say}{plain}\n\n  ┌────┬────┐\n  │ {s} │ yes │\n  ├────┼────┤\n  │ {t} │ no │\n  └────┴────┘"
            ),
            12 => format!("{say}{}", if s.starts_with("Claude AI") { plain } else { s }),
            _ => format!("{say}{plain}\n    {s}\n  {t}"),
        }
    }

    fn composer(rng: &mut fastrand::Rng) -> String {
        let typed = if rng.u32(..4) == 0 { one(rng, &SENTENCES) } else { "" };
        match rng.u32(..4) {
            0 => format!("────────\n❯ {typed}\n────────\n  ⏵⏵ bypass permissions on (shift+tab to cycle)"),
            1 => format!(
                "╭──────╮\n│ > {typed} │\n╰──────╯\n  ? for shortcuts      Approaching usage limit · resets at 7pm"
            ),
            2 => format!("› {typed}\n\n  97% context left · ? for shortcuts"),
            _ => format!(
                "✽ Pondering… (12s · esc to interrupt)\n\n────────\n❯ {typed}\n────────\n  ? for shortcuts"
            ),
        }
    }

    pub fn screen(rng: &mut fastrand::Rng) -> Vec<String> {
        let mut parts: Vec<String> = (0..rng.usize(1..6)).map(|_| about(rng)).collect();
        parts.push(composer(rng));
        let mut all: Vec<String> = parts.join("\n\n").lines().map(str::to_owned).collect();
        if rng.u32(..3) == 0 {
            all = talk::narrowed(&all, rng.usize(8..120));
        }
        talk::cut(rng, &mut all);
        all
    }
}

/// The message of an agent, or of a tool of it, whose mark is out of sight, or whose line tmux wrapped.
#[test]
fn what_may_be_quoted_does_not_count() {
    let limit = "You've hit your session limit · resets 10am (UTC)";
    let part: Vec<String> = (0..40).map(|n| format!("  part {n} of a long message")).collect();
    for (name, screen) in [
        ("the mark is above a low pane", format!("{}\n  {limit}\n\n❯ ", part[..25].join("\n"))),
        ("the mark is above a tall pane", format!("{}\n  {limit}\n\n❯ ", part.join("\n"))),
        ("a tool's output", format!("     one\n\n     {limit}\n\n❯ ")),
        ("the first line", format!("{limit}\n\n❯ ")),
        ("a result that is the first line", format!("  ⎿  {limit}\n\n❯ ")),
        ("below a wrapped line", format!("● It says what the\nlog says:\n  {limit}\n\n❯ ")),
        ("the rest of a wrapped line", format!("● The log says:\n{limit}\n\n❯ ")),
        ("the rest, with a mark", format!("● The log says:\n■ {limit}\n\n❯ ")),
        ("below a wrapped table", format!("● A table:\n  ┌────\n──┐\n  {limit}\n\n❯ ")),
        ("the rest of what a person said", format!("❯ what does this mean:\n{limit}\n\n❯ ")),
    ] {
        let screen: Vec<String> = screen.lines().map(str::to_owned).collect();
        assert_eq!(UsageLimits::default().of_living(&screen), None, "{name}");
        let login: Vec<String> =
            screen.iter().map(|line| line.replace(limit, "Invalid API key · Please run /login")).collect();
        assert_eq!(crate::town::login::lost(&login), None, "{name}");
    }
}

#[test]
fn ten_thousand_screens_of_agents_that_talk_about_limits() {
    let mut rng = fastrand::Rng::with_seed(25);
    let limits = UsageLimits::default();
    for number in 0..10_000 {
        let screen = talk::screen(&mut rng);
        assert_eq!(limits.matches(&screen), None, "screen {number}:\n{}", screen.join("\n"));
        assert_eq!(crate::agent::questions::shown(&screen), None, "screen {number}:\n{}", screen.join("\n"));
    }
}
