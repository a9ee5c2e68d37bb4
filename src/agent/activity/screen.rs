//! The screen as a source: what an agent is doing, by what its program shows. Pure.
//!
//! The marks are those of Claude Code 1.0 to 2.1, Codex 0.23 to 0.155 and Gemini CLI 0.1 to 0.33. A line counts only where the
//! program itself speaks: its status line, its own last message, a menu at the end, the prompt. What an agent says about limits,
//! logins and questions is no sign of one. A screen with none of these signs says nothing.

use std::sync::LazyLock;

use regex::RegexSet;

use super::Activity;
use crate::{
    agent::questions::Question,
    town::{
        dialogs::Dialog,
        login,
        usage_limit::{Place, compile},
    },
};

/// The status line of a program that works is within this many of the last lines that are not blank.
const STATUS: usize = 15;
/// A longer line, in characters, is none: an agent says something.
const WIDEST: usize = 240;
/// A footer below the prompt has at most this many lines.
const FOOTER: usize = 4;

/// The status lines of programs that work on a turn. Repetitions have no bounds, as each costs memory that often ([`compile`]).
const WORKING: [&str; 4] = [
    // Claude Code: "✻ Cogitating… (12s · ↑ 1.2k tokens · esc to interrupt)", "· Thinking… (esc to interrupt)".
    r"^[·✢✳✶✻✽*✺∗] .+\(.*\besc to interrupt\b.*\)",
    // Claude Code 2.1, below the prompt: "⏵⏵ bypass permissions on (shift+tab to cycle) · esc to interrupt".
    r"^\s*(?:⏵⏵ |⏸ |\? )?(?:[^·]+ · )*esc to interrupt(?: · .+)?$",
    // Codex: "• Working (12s • esc to interrupt)", "▌ Working (1m 02s • Esc to interrupt)".
    r"^(?:[•◦▌] )?\S.* \((?:[0-9]+h )?(?:[0-9]+m )?[0-9]+s • esc to interrupt\)",
    // Gemini CLI: "⠏ Reading the tea leaves (esc to cancel, 5s)".
    r"^\s*[\u{2800}-\u{28ff}] .+ \(esc to cancel, (?:[0-9]+m )?[0-9]+s\)",
];

static WORKS: LazyLock<RegexSet> = LazyLock::new(|| compile(WORKING).unwrap_or_default());

/// What an agent with this screen is doing, which shows this question and this sentence about a usage limit. `None` when the screen
/// does not say.
pub fn judge(screen: &[String], question: Option<&Question>, limit: Option<String>) -> Option<Activity> {
    let is_login = |question: &Question| {
        let offers = question.menu.as_ref().is_some_and(|menu| login::is_offered(&menu.options));
        offers || login::asks_for(&question.title)
    };
    if let Some(question) = question {
        // A limit may come with a menu of what to do about it.
        return Some(match limit {
            Some(sentence) if question.known.is_none_or(|kind| kind == Dialog::UsageLimit) => {
                Activity::Limited(sentence)
            }
            _ if is_login(question) => Activity::LoggedOut(question.title.clone()),
            _ => Activity::WaitingAtQuestion(question.title.clone()),
        });
    }
    let works = screen.iter().rev().filter(|line| !line.trim().is_empty()).take(STATUS);
    let is_short = |line: &str| line.chars().nth(WIDEST).is_none();
    if works.into_iter().any(|line| is_short(line) && WORKS.is_match(line)) {
        return Some(Activity::Working);
    }
    let logged_out = || login::lost(screen).map(|sentence| Activity::LoggedOut(sentence.line));
    let idle = || Place::of(screen).prompt(FOOTER).map(|_| Activity::Idle);
    limit.map(Activity::Limited).or_else(logged_out).or_else(idle)
}

#[cfg(test)]
#[path = "screen/tests.rs"]
mod tests;
