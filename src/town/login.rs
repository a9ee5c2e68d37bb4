//! Logins: whether an agent's last message says that its login has expired or is missing. Pure.
//!
//! As for [usage limits](super::usage_limit), only the program's own last message counts, as working agents talk about logins,
//! too. Nothing here may read a screen itself.

use std::sync::LazyLock;

use regex::RegexSet;

use super::usage_limit::{self, Sentence};

/// The built-in list, each continuing what may precede a message. The texts are those of the programs' releases named beside
/// them, as their users reported them (issues of anthropics/claude-code, openai/codex and google-gemini/gemini-cli).
const BUILT_IN: [&str; 12] = [
    // Claude Code 1.0 to 2.1: `API Error: 401 {"type":"error","error":{"type":"authentication_error","message":"OAuth token has
    // expired. …"}} · Please run /login`; wrapped, it begins a message with the first words.
    r#"(?:failed to authenticate\. )?(?:api error: )?401 ?\{ ?"type": ?"error", ?"error": ?\{ ?"type": ?"authentication_error""#,
    // Claude Code 2.1: "Please run /login · API Error: 401 {…}".
    r"please run /login(?: ?[·∙•]|\.?$)",
    // Claude Code 1.0 to 2.1: "Invalid API key · Please run /login", "OAuth token revoked · Please run /login".
    r"(?:invalid api key|not logged in|login expired|oauth token (?:has )?(?:expired|revoked|been revoked))[^·∙•]{0,60}[·∙•] ?(?:please )?run /login",
    // Claude Code 2.0 and later, with a key in the environment.
    r"invalid api key ?[·∙•] ?fix external api key",
    // Codex 0.56 to 0.155: "Your access token could not be refreshed because your refresh token was already used. Please log out
    // and sign in again."
    r"your access token could not be refreshed(?:\.| because )",
    // Codex: "Your authentication token has expired. Please try signing in again.", and its error before a request.
    r"your authentication (?:token|session) has (?:expired|been invalidated)",
    r"(?:unexpected status )?401 unauthorized: (?:missing bearer|your authentication token|incorrect api key)",
    // Codex 0.23 to 0.155: "unexpected status 401 Unauthorized: …", "stream error: unexpected status 401 Unauthorized".
    r"(?:(?:stream|exceeded retry limit, last) error: )?unexpected status 401 unauthorized",
    // Codex 0.23 to 0.155: "Your session has ended. Please log in again."
    r"(?:your [a-z0-9_ ]{2,40}\. )?please log ?in again(?:\.|$)",
    // Codex `exec` without a login.
    r"not (?:signed|logged) in\b.{0,40}\bcodex login",
    // Gemini CLI 0.1 to 0.33.
    r"(?:please set an auth method in your|failed to (?:log ?in|sign in)\. message:)",
    // Claude Code 2.1: "Login expired · Please run /login".
    r"login (?:has )?(?:been )?(?:revoked|expired) ?[·∙•] ?please run /login",
];

static BUILT_IN_SET: LazyLock<RegexSet> = LazyLock::new(|| {
    // They are constants that the tests compile; without them, a lost login would only count as a crash.
    usage_limit::continuing(&BUILT_IN).unwrap_or_default()
});

/// What the question asks that a program without a login begins with.
const QUESTIONS: [&str; 4] =
    ["select login method", "how would you like to authenticate", "sign in with chatgpt", "welcome to codex"];

/// What the menus of a login offer: Claude Code 1.0 to 2.1, Codex 0.23 to 0.155, Gemini CLI 0.1 to 0.33.
const OFFERS: [&[&str]; 3] = [
    &["claude account with subscription", "anthropic console account"],
    &["sign in with chatgpt", "provide your own api key"],
    &["login with google", "use gemini api key"],
];

/// The sentence of a screen that says that the login is lost; `screen` has its last lines, oldest first.
pub fn lost(screen: &[String]) -> Option<Sentence> {
    usage_limit::in_the_last_message(screen, &BUILT_IN_SET, None)
}

/// The sentence of a message of the program itself that says so.
pub fn said(message: &str) -> Option<String> {
    usage_limit::sentence(&BUILT_IN_SET, message)
}

/// Whether this is the title of a question for a login.
pub fn asks_for(title: &str) -> bool {
    let title = title.to_lowercase();
    QUESTIONS.iter().any(|question| title.contains(question))
}

/// Whether the options of a question are those of a login.
pub fn is_offered(options: &[String]) -> bool {
    let has = |wanted: &&str| options.iter().any(|option| option.to_lowercase().starts_with(*wanted));
    OFFERS.iter().any(|all| all.iter().all(&has))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn says(text: &str) -> bool {
        let screen: Vec<String> = format!("\n$ agent\n\n{text}").lines().map(str::to_owned).collect();
        lost(&screen).is_some()
    }

    #[test]
    fn what_the_programs_say() {
        assert_eq!(BUILT_IN_SET.len(), BUILT_IN.len());
        assert!(usage_limit::is_small(usage_limit::begun(&BUILT_IN)));
        for (name, text, lost) in [
            (
                "Claude Code 2.0.30",
                "❯ go on\n  ⎿  API Error: 401 {\"type\":\"error\",\"error\":{\"type\":\"authentication_error\",\"message\":\"OAuth token has expired.\n     Please obtain a new token\"}} · Please run /login\n\n❯ ",
                true,
            ),
            (
                "Claude Code 2.1.72, wrapped after its number",
                "API Error: 401\n{\"type\":\"error\",\"error\":{\"type\":\"authentication_error\",\"message\":\"OAuth token has expired.\"}} · Please run /login",
                true,
            ),
            ("Claude Code, a key", "  ⎿  Invalid API key · Please run /login\n\n❯ ", true),
            ("Claude Code, revoked", "OAuth token revoked · Please run /login", true),
            (
                "Codex 0.88",
                "■ Your access token could not be refreshed because your refresh token was\nalready used. Please log out and sign in again.",
                true,
            ),
            (
                "Codex without a reason",
                "■ Your access token could not be refreshed. Please log out and sign in again.",
                true,
            ),
            ("Gemini CLI", "Please set an Auth method in your /home/x/.gemini/settings.json", true),
            ("an agent about it", "● Please run /login: the OAuth token has expired\n\n❯ ", false),
            ("an agent quotes it", "● It printed: Invalid API key · Please run /login\n\n❯ ", false),
            ("a tool of it", "● Bash(curl x)\n  ⎿  Invalid API key · Please run /login\n\n❯ ", false),
            ("work after it", "Invalid API key · Please run /login\n\n❯ /login\n\n● I go on\n\n❯ ", false),
            (
                "another error",
                "API Error: 500 {\"type\":\"error\",\"error\":{\"type\":\"api_error\"}}",
                false,
            ),
            ("nothing", "", false),
        ] {
            assert_eq!(says(text), lost, "{name}");
        }
    }

    #[test]
    fn questions_for_a_login() {
        for (title, asks) in [
            ("Select login method:", true),
            ("How would you like to authenticate for this project?", true),
            ("Do you trust the files in this folder?", false),
        ] {
            assert_eq!(asks_for(title), asks, "{title}");
        }
    }

    #[test]
    fn what_is_said_and_shown() {
        for text in [
            "Invalid API key · Please run /login",
            "OAuth token revoked · Please run /login",
            "Not logged in · Please run /login",
            "Please run /login · API Error: 401 {\"type\":\"error\"}",
            "API Error: 401 {\"type\":\"error\",\"error\":{\"type\":\"authentication_error\",\"message\":\"OAuth token has expired.\"}} · Please run /login",
            "Failed to authenticate. API Error: 401 {\"type\":\"error\",\"error\":{\"type\":\"authentication_error\"}}",
            "Your access token could not be refreshed because your refresh token was already used. Please log out and sign in again.",
            "unexpected status 401 Unauthorized: Missing bearer or basic authentication in header",
            "Your session has ended. Please log in again.",
            "Failed to login. Message: Request had invalid authentication credentials",
        ] {
            assert_eq!(said(text).as_deref(), Some(text));
            assert!(
                lost(&[String::new(), format!("■ {text}"), String::new(), "› ".to_owned()]).is_some(),
                "{text}"
            );
            assert_eq!(
                lost(&[format!("● I found this in the log: {text}"), "> ".to_owned()]),
                None,
                "{text}"
            );
            assert_eq!(lost(&[format!("> what does \"{text}\" mean?"), "> ".to_owned()]), None, "{text}");
        }
    }

    #[test]
    fn what_others_say() {
        for text in [
            "The user has to run /login",
            "I removed the text \"Please run /login\" from the README.",
            "Successfully logged in.",
            "Your API key will expire in 3 days.",
            "401 tests passed",
        ] {
            assert_eq!(said(text), None, "{text}");
        }
    }

    #[test]
    fn menus() {
        let options = |all: &[&str]| all.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>();
        assert!(is_offered(&options(&["Login with Google", "Use Gemini API Key", "Vertex AI"])));
        assert!(is_offered(&options(&[
            "Claude account with subscription · Pro, Max, Team, or Enterprise",
            "Anthropic Console account · API usage billing"
        ])));
        assert!(!is_offered(&options(&["Yes", "No"])));
        assert!(!is_offered(&options(&["Login with Google", "Login with GitHub"])));
    }
}
