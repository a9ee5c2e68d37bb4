//! URLs of settings. They often hold a secret (the path of a Slack webhook, the topic of ntfy): they are shown by scheme and
//! host only, everywhere.

use std::fmt;

/// A URL of which only scheme and host are shown.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretUrl {
    whole: String,
    shown: String,
}

impl SecretUrl {
    /// An `http` or `https` URL with a host. An error says what is wrong and repeats nothing of it.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let uri: hyper::Uri = text.parse().map_err(|_| "it is no valid URL")?;
        let scheme = uri.scheme_str().filter(|it| ["http", "https"].contains(it));
        let scheme = scheme.ok_or("it must begin with https:// or http://")?;
        let host = uri.host().filter(|host| !host.is_empty()).ok_or("it names no host")?;
        if uri.authority().is_some_and(|it| it.as_str().contains('@')) {
            return Err("it must hold no user name: that would not be sent");
        }
        Ok(SecretUrl { shown: format!("{scheme}://{host}"), whole: text.to_owned() })
    }

    /// All of it, for a request and for nothing else.
    pub fn secret(&self) -> &str {
        &self.whole
    }

    /// The name of its host.
    pub fn host(&self) -> &str {
        self.shown.split_once("://").map_or("", |(_, host)| host)
    }
}

impl fmt::Display for SecretUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl fmt::Debug for SecretUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretUrl({})", self.shown)
    }
}

/// What a webhook expects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WebhookShape {
    /// The alert as JSON.
    Json,
    /// An incoming webhook of Slack, or of a program that takes the same.
    Slack,
    /// A webhook of a Discord channel.
    Discord,
}

impl WebhookShape {
    /// The shape that the host expects.
    pub fn of(url: &SecretUrl) -> Self {
        match url.host() {
            "hooks.slack.com" | "hooks.slack-gov.com" => WebhookShape::Slack,
            "discord.com" | "discordapp.com" | "ptb.discord.com" | "canary.discord.com" => {
                WebhookShape::Discord
            }
            _ => WebhookShape::Json,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_and_what_is_refused() {
        for (text, shown, shape) in [
            (
                "https://hooks.slack.com/services/T0/B0/geheim",
                Ok("https://hooks.slack.com"),
                WebhookShape::Slack,
            ),
            ("https://discord.com/api/webhooks/1/geheim", Ok("https://discord.com"), WebhookShape::Discord),
            ("http://127.0.0.1:8080/geheim?x=geheim", Ok("http://127.0.0.1"), WebhookShape::Json),
            (
                "https://hooks.slack.com.evil.example/geheim",
                Ok("https://hooks.slack.com.evil.example"),
                WebhookShape::Json,
            ),
            (
                "https://geheim:geheim@ntfy.sh/x",
                Err("it must hold no user name: that would not be sent"),
                WebhookShape::Json,
            ),
            ("ftp://ntfy.sh/geheim", Err("it must begin with https:// or http://"), WebhookShape::Json),
            ("/geheim", Err("it must begin with https:// or http://"), WebhookShape::Json),
            ("geheim", Err("it must begin with https:// or http://"), WebhookShape::Json),
            ("https://", Err("it is no valid URL"), WebhookShape::Json),
            ("https://a b/geheim", Err("it is no valid URL"), WebhookShape::Json),
        ] {
            let url = SecretUrl::parse(text);
            assert_eq!(
                url.as_ref().map(ToString::to_string).map_err(|it| *it),
                shown.map(str::to_owned),
                "{text}"
            );
            if let Ok(url) = url {
                assert_eq!(WebhookShape::of(&url), shape, "{text}");
                assert!(!format!("{url:?} {url}").contains("geheim"), "{text}");
                assert_eq!(url.secret(), text);
            }
        }
    }
}
