//! Logins: what the programs say when the login of their account has expired or is missing. Pure.
//!
//! As with usage limits, a working agent talks about logins: these sentences count only at the start of a message of the
//! program itself. The texts are those of the releases named beside them, as their users reported them.

use std::sync::LazyLock;

use regex::RegexSet;

use crate::town::usage_limit::{compile, in_own_message, sentence};

/// What may precede a message, after its mark.
const BEGIN: &str = r"^\[?(?:api error: |error: )?";

const BUILT_IN: [&str; 9] = [
    // Claude Code 1.0 to 2.1: "Invalid API key · Please run /login", "Invalid API key · Fix external API key".
    r"invalid api key ?[·∙•] ?(?:please run /login|fix external api key)",
    // Claude Code 1.0 to 2.1: "OAuth token revoked · Please run /login", "OAuth token has expired · Please run /login".
    r"(?:oauth token|login) (?:has )?(?:been )?(?:revoked|expired) ?[·∙•] ?please run /login",
    // Claude Code 2.1: "Not logged in · Please run /login".
    r"not logged in ?[·∙•] ?(?:please )?run /login",
    // Claude Code 2.1: "Please run /login · API Error: 401 {…}".
    r"please run /login(?: ?[·∙•]|\.?$)",
    // Claude Code 1.0 to 2.1: "API Error: 401 {"type":"error","error":{"type":"authentication_error",…}} · Please run /login",
    // "Failed to authenticate. API Error: 401 …".
    r#"(?:failed to authenticate\. )?(?:api error: )?401 \{"type":"error","error":\{"type":"authentication_error""#,
    // Codex 0.46 to 0.155: "Your access token could not be refreshed because your refresh token was already used. Please log
    // out and sign in again."
    r"your access token could not be refreshed because ",
    // Codex 0.23 to 0.155: "unexpected status 401 Unauthorized: …", "stream error: unexpected status 401 Unauthorized".
    r"(?:(?:stream|exceeded retry limit, last) error: )?unexpected status 401 unauthorized",
    // Codex 0.23 to 0.155: "Your session has ended. Please log in again."
    r"(?:your [\w ]{2,40}\. )?please log ?in again(?:\.|$)",
    // Gemini CLI 0.1 to 0.33: "Failed to login. Message: …", "Failed to sign in. Message: …".
    r"failed to (?:log ?in|sign in)\. message: ",
];

static SET: LazyLock<RegexSet> =
    LazyLock::new(|| compile(BUILT_IN.map(|pattern| format!("{BEGIN}{pattern}"))).unwrap_or_default());

/// What the menus of a login offer: Claude Code 1.0 to 2.1, Codex 0.23 to 0.155, Gemini CLI 0.1 to 0.33.
const OFFERS: [&[&str]; 3] = [
    &["claude account with subscription", "anthropic console account"],
    &["sign in with chatgpt", "provide your own api key"],
    &["login with google", "use gemini api key"],
];

/// The sentence of a message of the program itself that says so.
pub fn said(message: &str) -> Option<String> {
    sentence(&SET, message)
}

/// The line of a screen in which the program's own last message says so.
pub fn shown(screen: &[String]) -> Option<String> {
    in_own_message(&SET, &RegexSet::empty(), screen)
}

/// Whether the options of a question are those of a login.
pub fn is_offered(options: &[String]) -> bool {
    let has = |wanted: &&str| options.iter().any(|option| option.to_lowercase().starts_with(*wanted));
    OFFERS.iter().any(|all| all.iter().all(&has))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_compiles() {
        assert_eq!(SET.len(), BUILT_IN.len());
    }

    #[test]
    fn what_the_programs_say() {
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
            assert!(shown(&[format!("■ {text}"), String::new(), "› ".to_owned()]).is_some(), "{text}");
            assert_eq!(
                shown(&[format!("● I found this in the log: {text}"), "> ".to_owned()]),
                None,
                "{text}"
            );
            assert_eq!(shown(&[format!("> what does \"{text}\" mean?"), "> ".to_owned()]), None, "{text}");
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
