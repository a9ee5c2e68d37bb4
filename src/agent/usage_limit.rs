//! Usage limits: whether an agent's last screen says that its plan is used up. Pure.
//!
//! An agent that ends for that reason did not crash: it is tried again every `usage_limit.retry_every`. The texts of the
//! programs that agents are made of change often, so the list can be replaced (`usage_limit.patterns`). An agent at work
//! *talks* about limits all day; the built-in patterns therefore want the program's own sentence, at the beginning of a
//! line but for its decoration, and never in quotes. Nothing here may look at a screen itself.

use std::sync::LazyLock;

use regex::{RegexSet, RegexSetBuilder};

/// So many of the last lines that are not blank are looked at: below a limit's message stand a prompt and a footer.
const LINES: usize = 20;

/// What may stand before a message: bullets, boxes, emoji — neither words nor quotes.
const BEGIN: &str = r#"^[^\p{L}\p{N}"'`“”‘]*(?:api error: |error: )?"#;

/// The built-in list, each continuing [`BEGIN`]. The texts are those of the programs' releases named beside them, as
/// their users reported them (issues of anthropics/claude-code, openai/codex and google-gemini/gemini-cli).
const BUILT_IN: [&str; 13] = [
    // Claude Code 2.0.30 to 2.1: "You've hit your limit · resets 2pm (America/New_York)", "You've hit your session limit
    // · resets 5:10pm (Europe/Paris)", "You've hit your weekly limit · resets 4am (Europe/Madrid)".
    r"you've (?:hit|reached) your (?:[\w.-]+ ){0,3}limit ?[·∙•] ?resets\b",
    // Codex 0.23 to 0.155: "You've hit your usage limit. Upgrade to Pro (…) or try again in 2 days 17 hours", also for
    // one model; Claude Code 2.1 without a time.
    r"you've (?:hit|reached) your (?:(?:usage|session|daily|weekly|monthly|5-hour|opus|sonnet) )+limit(?: for [\w.-]+)?(?:\.|$)",
    // Codex 0.46 to 0.155 behind what failed: "Error running remote compact task: You've hit your usage limit. …".
    r"error running remote compact task: you've hit your usage limit",
    // Claude Code 1.0: "Claude usage limit reached. Your limit will reset at 7pm (…)", and when it only prints,
    // "Claude AI usage limit reached|1760004000".
    r"claude (?:ai )?usage limit reached(?:\||\.|$)",
    // Claude Code 1.0.80 to 2.0: "5-hour limit reached ∙ resets 3am", "Opus weekly limit reached ∙ resets Oct 24".
    r"(?:[\w.-]+ ){1,3}limit reached ?[·∙•|] ?(?:resets\b|\d{10})",
    // Claude Code 2.1.50: "You're out of extra usage · resets 10pm (America/Los_Angeles)".
    r"you're out of extra usage(?: ?[·∙•]|\.|$)",
    // Claude Code 0.2 to 2.1 on an API account: "Credit balance is too low".
    r"credit balance is too low(?: ?[·∙•]|\.|$)",
    // Codex 0.36 and later on an API account.
    r"quota exceeded\. check your plan and billing details",
    // Gemini CLI 0.22 to 0.29: "[API Error: You have exhausted your daily quota on this model.]", also "your capacity".
    // While it still tries again, "Attempt 1 failed: " stands before it.
    r"(?:.*\bterminalquotaerror: )?you have exhausted your (?:daily quota|capacity) on this model",
    // Gemini CLI 0.19 to 0.23: "Usage limit reached for all Pro models.", "Usage limit reached for gemini-2.5-flash-lite."
    r"usage limit reached for (?:all [\w.-]+ models|gemini-[\w.-]+)",
    // Gemini CLI 0.1 to 0.10: "You have reached your daily gemini-2.5-pro quota limit."
    r"you have reached your daily (?:gemini-\S+ )?quota limit",
    // Gemini CLI 0.1 to 0.29, in the API's words: "Resource has been exhausted (e.g. check quota).", "Quota exceeded for
    // quota metric 'Gemini 2.5 Pro Requests' and limit …", "You exceeded your current quota, please check your plan …".
    r"(?:resource has been exhausted \(e\.g\. check quota\)|quota exceeded for quota metric '|you exceeded your current quota, please check your plan)",
    // Gemini CLI 0.1 to 0.20, below an error of the API that fills the screen.
    r"please wait and try again later\. to increase your limits, (?:upgrade|request)",
];

static BUILT_IN_SET: LazyLock<RegexSet> = LazyLock::new(|| {
    // They are constants that the tests compile; none at all would only mean that limits count as crashes.
    compile(BUILT_IN.map(|pattern| format!("{BEGIN}{pattern}"))).unwrap_or_default()
});

/// A pattern that is no regular expression.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
#[error("{pattern:?} is no regular expression: {reason}")]
pub struct BadPattern {
    /// As it was given.
    pub pattern: String,
    /// What is wrong with it, on one line.
    pub reason: String,
}

/// What says that a plan is used up. Cheap to clone; equal when the patterns are.
#[derive(Clone, Default)]
pub struct UsageLimits {
    given: Option<Given>,
}

#[derive(Clone)]
struct Given {
    patterns: Vec<String>,
    set: RegexSet,
}

impl UsageLimits {
    /// By these regular expressions (of the crate `regex`; upper and lower case are the same), or by the built-in list.
    /// An empty list finds nothing. Refused with the first one that is no regular expression, or is too large.
    pub fn new(patterns: Option<&[String]>) -> Result<Self, BadPattern> {
        let Some(patterns) = patterns else { return Ok(UsageLimits { given: None }) };
        for pattern in patterns {
            compile([pattern])
                .map_err(|error| BadPattern { pattern: pattern.clone(), reason: brief(&error) })?;
        }
        let set = compile(patterns).map_err(|error| BadPattern {
            pattern: patterns.join(" "),
            reason: format!("all together: {}", brief(&error)),
        })?;
        Ok(UsageLimits { given: Some(Given { patterns: patterns.to_vec(), set }) })
    }

    /// The patterns it was made with; `None` for the built-in list.
    pub fn patterns(&self) -> Option<&[String]> {
        self.given.as_ref().map(|given| given.patterns.as_slice())
    }

    /// The line of a screen that says so, for people. `screen` is what was last on it, oldest first.
    ///
    /// A pattern is looked for in each line without its frame, and in each with the next one joined on, as messages are
    /// wrapped. Typographic apostrophes are taken for plain ones.
    pub fn matches(&self, screen: &[String]) -> Option<String> {
        let set = self.given.as_ref().map_or(&*BUILT_IN_SET, |given| &given.set);
        let mut lines: Vec<String> =
            screen.iter().rev().map(|line| plain(line)).filter(|line| !line.is_empty()).take(LINES).collect();
        lines.reverse();
        // A line alone says it better than two.
        let alone = lines.iter().find(|line| set.is_match(line)).cloned();
        alone.or_else(|| lines.windows(2).map(|pair| pair.join(" ")).find(|pair| set.is_match(pair)))
    }
}

impl PartialEq for UsageLimits {
    fn eq(&self, other: &Self) -> bool {
        self.patterns() == other.patterns()
    }
}

impl std::fmt::Debug for UsageLimits {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("UsageLimits").field(&self.patterns()).finish()
    }
}

fn compile<S: AsRef<str>>(patterns: impl IntoIterator<Item = S>) -> Result<RegexSet, regex::Error> {
    RegexSetBuilder::new(patterns).case_insensitive(true).build()
}

/// A syntax error is told over several lines with the pattern drawn; the last says what it is.
fn brief(error: &regex::Error) -> String {
    let text = error.to_string();
    let last = text.lines().next_back().unwrap_or_default().trim();
    last.strip_prefix("error: ").unwrap_or(last).to_owned()
}

/// A line without its frame, single spaces between words.
fn plain(line: &str) -> String {
    let frame = |c: char| c.is_whitespace() || ('\u{2500}'..='\u{259f}').contains(&c);
    let line = line.trim_matches(frame).replace('’', "'");
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn screen(text: &str) -> Vec<String> {
        text.lines().map(str::to_owned).collect()
    }

    fn built_in(text: &str) -> Option<String> {
        UsageLimits::default().matches(&screen(text))
    }

    #[test]
    fn the_built_in_list_compiles() {
        assert_eq!(BUILT_IN_SET.len(), BUILT_IN.len());
    }

    #[test]
    fn what_the_programs_say() {
        for (name, text, line) in [
            (
                "Claude Code 2.1.216",
                "❯ go on\n  ⎿  You've hit your session limit · resets 5:10pm (Europe/Paris)\n     /upgrade to increase your usage limit.\n\n✻ Cooked for 0s\n\n────────\n❯ \n────────\n  ? for shortcuts",
                "⎿ You've hit your session limit · resets 5:10pm (Europe/Paris)",
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
                "● Claude AI usage limit reached|1760004000",
            ),
            (
                "Claude Code 1.0.69",
                " ⎿ Claude usage limit reached. Your limit will reset at 7pm (Asia/Tokyo).",
                "⎿ Claude usage limit reached. Your limit will reset at 7pm (Asia/Tokyo).",
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
            ("Claude Code on an API account", "  ⎿ Credit balance is too low", "⎿ Credit balance is too low"),
            (
                "Codex 0.39",
                "■ You've hit your usage limit. Upgrade to Pro (https://openai.com/chatgpt/pricing) or try again in 5 days 22 hours 11\nminutes.",
                "■ You've hit your usage limit. Upgrade to Pro (https://openai.com/chatgpt/pricing) or try again in 5 days 22 hours 11",
            ),
            (
                "Codex 0.155, curly",
                "■ You’ve hit your usage limit. Upgrade to Pro (https://chatgpt.com/explore/pro), visit",
                "■ You've hit your usage limit. Upgrade to Pro (https://chatgpt.com/explore/pro), visit",
            ),
            (
                "Codex 0.23",
                "🖐  You've hit your usage limit. Upgrade to Pro, or wait for limits to reset (every 5h and every week.).",
                "🖐 You've hit your usage limit. Upgrade to Pro, or wait for limits to reset (every 5h and every week.).",
            ),
            (
                "codex exec",
                "ERROR: You've hit your usage limit. To get more access now, send a request to your admin or try again at 12:16 PM.",
                "ERROR: You've hit your usage limit. To get more access now, send a request to your admin or try again at 12:16 PM.",
            ),
            (
                "Codex, one model",
                "■ You've hit your usage limit for gpt-5.3-codex. Switch to another model now, or try again at 3:42 PM.",
                "■ You've hit your usage limit for gpt-5.3-codex. Switch to another model now, or try again at 3:42 PM.",
            ),
            (
                "Codex 0.154",
                "Error running remote compact task: You've hit your usage limit. Upgrade to Pro",
                "Error running remote compact task: You've hit your usage limit. Upgrade to Pro",
            ),
            (
                "Codex on an API account",
                "■ Quota exceeded. Check your plan and billing details.",
                "■ Quota exceeded. Check your plan and billing details.",
            ),
            (
                "Gemini 0.22",
                "✕ [API Error: You have exhausted your daily quota on this model.]\n\n>   Type your message",
                "✕ [API Error: You have exhausted your daily quota on this model.]",
            ),
            (
                "Gemini 0.27, in a box",
                "│ Error when talking to Gemini API Full report available at: /tmp/x.json TerminalQuotaError: You have exhausted your daily quota  │\n│    on this model.        │",
                "Error when talking to Gemini API Full report available at: /tmp/x.json TerminalQuotaError: You have exhausted your daily quota on this model.",
            ),
            (
                "Gemini 0.33",
                "✕ [API Error: You have exhausted your capacity on this model. Your quota will reset after 5h3m1s.]",
                "✕ [API Error: You have exhausted your capacity on this model. Your quota will reset after 5h3m1s.]",
            ),
            (
                "Gemini 0.19",
                "│ Usage limit reached for all Pro models.      │\n│ Access resets at 3:57 AM GMT+1.   │\n│ /model to switch models. │",
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
                "⚡ You have reached your daily gemini-2.5-pro quota limit.",
            ),
            (
                "Gemini 0.1.10",
                "⚡ You have reached your daily quota limit.",
                "⚡ You have reached your daily quota limit.",
            ),
            (
                "Gemini 0.29",
                "✕ [API Error: Resource has been exhausted (e.g. check quota).]",
                "✕ [API Error: Resource has been exhausted (e.g. check quota).]",
            ),
            (
                "Gemini 0.4",
                "✕ [API Error: You exceeded your current quota, please check your plan and billing details. For more",
                "✕ [API Error: You exceeded your current quota, please check your plan and billing details. For more",
            ),
            (
                "Gemini 0.1.4",
                "    ]]\n  Please wait and try again later. To increase your limits, upgrade to a plan with higher limits, or use /auth",
                "Please wait and try again later. To increase your limits, upgrade to a plan with higher limits, or use /auth",
            ),
            (
                "wrapped in the middle",
                "  ⎿ You've hit your session limit ·\n    resets 5:10pm",
                "⎿ You've hit your session limit · resets 5:10pm",
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
            let mut screen = vec![limit.to_owned()];
            screen.extend(std::iter::repeat_n("   ".to_owned(), blanks));
            screen.extend((0..below).map(|n| format!("● step {n} done")));
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

    #[test]
    fn bad_patterns() {
        for (pattern, reason) in [
            ("(", "\"(\" is no regular expression: unclosed group"),
            ("a{2,1}", "\"a{2,1}\" is no regular expression: invalid repetition count range"),
            ("(?=x)", "\"(?=x)\" is no regular expression: look-around"),
            (
                "(\\w{200}){200}",
                "\"(\\\\w{200}){200}\" is no regular expression: Compiled regex exceeds size limit",
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
}
