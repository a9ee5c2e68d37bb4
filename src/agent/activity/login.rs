//! Logins: what the programs say when the login of their account has expired or is missing. Pure.
//!
//! The sentences are those of [`town::login`](crate::town::login); here are the menus of a login too.

use crate::town::login;

/// What the menus of a login offer: Claude Code 1.0 to 2.1, Codex 0.23 to 0.155, Gemini CLI 0.1 to 0.33.
const OFFERS: [&[&str]; 3] = [
    &["claude account with subscription", "anthropic console account"],
    &["sign in with chatgpt", "provide your own api key"],
    &["login with google", "use gemini api key"],
];

/// The sentence of a message of the program itself that says so.
pub fn said(message: &str) -> Option<String> {
    login::said(message)
}

/// The line of a screen in which the program's own last message says so.
pub fn shown(screen: &[String]) -> Option<String> {
    login::lost(screen).map(|sentence| sentence.line)
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
