//! Usage limits: whether an agent's last screen says that its plan is used up. Pure.
//!
//! An agent that ends for that reason did not crash: it is tried again every `usage_limit.retry_every`. The texts of
//! the programs that agents are made of change often, so the list can be replaced (`usage_limit.patterns`). A working
//! agent *talks* about limits all day; the built-in patterns therefore require the program's own sentence, at the
//! start of its own last message (`place`). Nothing here may read a screen itself.

use std::sync::LazyLock;

use regex::{RegexSet, RegexSetBuilder};

use crate::quotation::quoted;

mod place;
pub mod reset;

pub use self::place::{Place, SCREEN_LINES};

/// At most this many of the last lines that are not blank are checked: a prompt and a footer are below a limit's
/// message.
const LINES: usize = 20;

/// What may precede a message, after its mark.
const BEGIN: &str = r"^\[?(?:api error: |error: )?";

/// The built-in list, each continuing [`BEGIN`]. The texts are those of the programs' releases named beside them, as
/// their users reported them (issues of anthropics/claude-code, openai/codex and google-gemini/gemini-cli).
const BUILT_IN: [&str; 13] = [
    // Claude Code 2.0.30 to 2.1: "You've hit your limit · resets 2pm (America/New_York)", "You've hit your session limit
    // · resets 5:10pm (Europe/Paris)", "You've hit your weekly limit · resets 4am (Europe/Madrid)".
    r"you've (?:hit|reached) your (?:[a-z0-9_.-]+ ){0,3}limit ?[·∙•] ?resets\b",
    // Codex 0.23 to 0.155: "You've hit your usage limit. Upgrade to Pro (…) or try again in 2 days 17 hours", also for
    // one model; Claude Code 2.1 without a time.
    r"you've (?:hit|reached) your (?:(?:usage|session|daily|weekly|monthly|5-hour|opus|sonnet) )+limit(?: for [a-z0-9_.-]+)?(?:\.|$)",
    // Codex 0.46 to 0.155 after what failed: "Error running remote compact task: You've hit your usage limit. …".
    r"error running remote compact task: you've hit your usage limit",
    // Claude Code 1.0: "Claude usage limit reached. Your limit will reset at 7pm (…)", and when it only prints,
    // "Claude AI usage limit reached|1760004000".
    r"claude (?:ai )?usage limit reached(?:\||\.|$)",
    // Claude Code 1.0.80 to 2.0: "5-hour limit reached ∙ resets 3am", "Opus weekly limit reached ∙ resets Oct 24".
    r"(?:[a-z0-9_.-]+ ){1,3}limit reached ?[·∙•|] ?(?:resets\b|[0-9]{10})",
    // Claude Code 2.1.50: "You're out of extra usage · resets 10pm (America/Los_Angeles)".
    r"you're out of extra usage(?: ?[·∙•]|\.|$)",
    // Claude Code 0.2 to 2.1 on an API account: "Credit balance is too low".
    r"credit balance is too low(?: ?[·∙•]|\.|$)",
    // Codex 0.36 and later on an API account.
    r"quota exceeded\. check your plan and billing details",
    // Gemini CLI 0.22 to 0.29: "[API Error: You have exhausted your daily quota on this model.]", also "your
    // capacity". While it still tries again, "Attempt 1 failed: " precedes it.
    r"(?:.*\bterminalquotaerror: )?you have exhausted your (?:daily quota|capacity) on this model",
    // Gemini CLI 0.19 to 0.23: "Usage limit reached for all Pro models.", "Usage limit reached for gemini-2.5-flash-lite."
    r"usage limit reached for (?:all [a-z0-9_.-]+ models|gemini-[a-z0-9_.-]+)",
    // Gemini CLI 0.1 to 0.10: "You have reached your daily gemini-2.5-pro quota limit."
    r"you have reached your daily (?:gemini-\S+ )?quota limit",
    // Gemini CLI 0.1 to 0.29, in the API's words: "Resource has been exhausted (e.g. check quota).", "Quota exceeded for
    // quota metric 'Gemini 2.5 Pro Requests' and limit …", "You exceeded your current quota, please check your plan …".
    r"(?:resource has been exhausted \(e\.g\. check quota\)|quota exceeded for quota metric '|you exceeded your current quota, please check your plan)",
    // Gemini CLI 0.1 to 0.20, below an error of the API that fills the screen.
    r"please wait and try again later\. to increase your limits, (?:upgrade|request)",
];

static BUILT_IN_SET: LazyLock<RegexSet> = LazyLock::new(|| {
    // They are constants that the tests compile; without them, limits would only count as crashes.
    continuing(&BUILT_IN).unwrap_or_default()
});

/// These patterns, each at the beginning of a message.
pub(super) fn continuing(patterns: &[&str]) -> Result<RegexSet, regex::Error> {
    compile(begun(patterns))
}

pub(super) fn begun(patterns: &[&str]) -> impl Iterator<Item = String> {
    patterns.iter().map(|pattern| format!("{BEGIN}{pattern}"))
}

/// What claude prints as if the agent had said it: nothing else prints exactly this.
static STAMPED: LazyLock<RegexSet> =
    LazyLock::new(|| compile([r"^claude (?:ai )?usage limit reached\|[0-9]{10}$"]).unwrap_or_default());

/// The most lines of one sentence: a narrow pane wraps what a program says.
const WRAPPED: usize = 4;

/// What a program says on its screen, without its mark, as it may be shown and kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sentence {
    /// The line that was found, for people; two when only both together were.
    pub line: String,
    /// The line and what follows it, up to a blank line.
    pub whole: String,
}

impl Sentence {
    fn of(line: &str, whole: &str) -> Self {
        Sentence { line: quoted(line), whole: quoted(whole) }
    }

    /// Its line, unless only the whole says when the limit ends.
    pub fn text(self) -> String {
        let is_better = !reset::names_a_time(&self.line) && reset::names_a_time(&self.whole);
        if is_better { self.whole } else { self.line }
    }
}

/// A pattern that is no regular expression.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
#[error("{pattern:?} is not a valid regular expression: {reason}")]
pub struct BadPattern {
    /// The pattern as given.
    pub pattern: String,
    /// What is wrong with it, on one line.
    pub reason: String,
}

/// The patterns that show that a plan is used up. Cheap to clone; equal when the patterns are.
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
    /// Compiles these regular expressions (of the crate `regex`, case-insensitive), or the built-in list for `None`.
    /// An empty list matches nothing. The error is the first one that is no regular expression, or is too large.
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

    /// The line of the last screen of an agent that ended, for people; see [`sentence`](Self::sentence).
    #[cfg(test)]
    pub fn matches(&self, screen: &[String]) -> Option<String> {
        self.sentence(screen).map(|sentence| sentence.line)
    }

    /// The sentence of the screen of a living agent. It holds all agents of its account, and agents talk about limits: given
    /// patterns, too, are matched only against the program's own last message.
    pub fn of_living(&self, screen: &[String]) -> Option<Sentence> {
        match &self.given {
            Some(given) => in_the_last_message(screen, &given.set, None),
            None => in_the_last_message(screen, &BUILT_IN_SET, Some(&STAMPED)),
        }
    }

    /// The sentence of the last screen of an agent that ended. `screen` has its last lines, oldest first.
    ///
    /// A pattern is matched against each line without its frame, and against each with the next one appended, as
    /// messages are wrapped. Typographic apostrophes count as plain ones. The built-in patterns are matched only
    /// against the program's own last message; given ones, against any of the last lines.
    pub fn sentence(&self, screen: &[String]) -> Option<Sentence> {
        match &self.given {
            Some(given) => anywhere(&given.set, screen),
            None => in_the_last_message(screen, &BUILT_IN_SET, Some(&STAMPED)),
        }
    }

    /// The sentence that shows a usage limit in a message that is known to be the program's own, wherever that was read.
    pub fn said(&self, message: &str) -> Option<String> {
        let set = self.given.as_ref().map_or(&*BUILT_IN_SET, |given| &given.set);
        sentence(set, message)
    }
}

/// The line of a message of the program itself that one of these patterns matches, as it may be shown and kept; each line is
/// matched alone, then with the next one appended.
pub fn sentence(set: &RegexSet, message: &str) -> Option<String> {
    let lines: Vec<String> = message.lines().map(plain).filter(|line| !line.is_empty()).take(LINES).collect();
    let alone = lines.iter().find(|line| set.is_match(line)).cloned();
    let found = alone.or_else(|| lines.windows(2).map(|pair| pair.join(" ")).find(|pair| set.is_match(pair)));
    found.map(|line| quoted(&line))
}

fn anywhere(set: &RegexSet, screen: &[String]) -> Option<Sentence> {
    let mut lines: Vec<String> =
        screen.iter().rev().map(|line| plain(line)).filter(|line| !line.is_empty()).take(LINES).collect();
    lines.reverse();
    // One line alone is better than two.
    let alone = lines.iter().position(|line| set.is_match(line)).map(|at| (at, lines[at].clone()));
    let (at, line) = alone.or_else(|| {
        let mut pairs = lines.windows(2).map(|pair| pair.join(" ")).enumerate();
        pairs.find(|(_, pair)| set.is_match(pair))
    })?;
    let whole = lines[at..].iter().take(WRAPPED).cloned().collect::<Vec<_>>().join(" ");
    Some(Sentence::of(place::without_mark(&line), place::without_mark(&whole)))
}

/// The sentence in the program's own last message that one of these patterns matches. An agent's own message counts only when
/// it is nothing but what one of `stamped` matches.
pub(super) fn in_the_last_message(
    screen: &[String],
    set: &RegexSet,
    stamped: Option<&RegexSet>,
) -> Option<Sentence> {
    let place = Place::of(screen);
    let candidates = || place.last_written(LINES).filter_map(|at| Some((at, place.own(at)?)));
    let alone = candidates().find_map(|(at, own)| {
        let is_whole = |stamped: &RegexSet| stamped.is_match(own.words);
        let is_it = set.is_match(own.words) && (!own.whole_line_only || stamped.is_some_and(is_whole));
        is_it.then(|| (at, own.words.to_owned()))
    });
    let found = alone.or_else(|| {
        candidates().find_map(|(at, own)| {
            let next = place.below(at).filter(|_| !own.whole_line_only)?;
            let joined = format!("{} {next}", own.words);
            set.is_match(&joined).then_some((at, joined))
        })
    });
    let (at, line) = found?;
    Some(Sentence::of(&line, place::without_mark(&place.paragraph(at, WRAPPED))))
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

/// Compiles patterns as those of limits are: case does not count.
///
/// They stay in memory. So constants name ASCII characters (`[a-z0-9_]`, `[0-9]`) where they mean them: `\w` and `\d` are those
/// of all scripts, and `[\w ]{2,40}` alone takes 3 MiB.
pub fn compile<S: AsRef<str>>(patterns: impl IntoIterator<Item = S>) -> Result<RegexSet, regex::Error> {
    RegexSetBuilder::new(patterns).case_insensitive(true).build()
}

/// Whether these constants compile to little: for tests, as they stay in memory.
#[cfg(test)]
pub fn is_small<S: AsRef<str>>(patterns: impl IntoIterator<Item = S>) -> bool {
    RegexSetBuilder::new(patterns).case_insensitive(true).size_limit(256 << 10).build().is_ok()
}

/// The last line of a syntax error, which names it; the lines before draw the pattern.
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
#[path = "usage_limit/tests.rs"]
mod tests;
