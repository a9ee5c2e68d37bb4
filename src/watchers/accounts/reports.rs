//! What is reported of accounts: log lines, events and problems. It decides nothing.

use jiff::{Timestamp, tz::TimeZone};
use serde_json::json;

use crate::{
    agent::accounts::hold::{Cause, Hold, shown},
    clock::Now,
    ports::problems::ProblemKey,
    town::events::Event,
};

/// The key of the problem that this account is held.
pub fn problem(hold: &Hold) -> ProblemKey {
    ProblemKey::from(format!("account/{}/{}", hold.account, hold.cause.code())).critical()
}

/// The text for people, in the local time.
pub fn text(hold: &Hold, now: Now, zone: &TimeZone) -> String {
    let (account, by, sentence) = (&hold.account, &hold.by, &hold.sentence);
    match hold.cause {
        Cause::LoggedOut => {
            let what = account.login_lost();
            format!("{what}; until then its agents wait ({by} says {sentence:?})")
        }
        Cause::UsageLimit => {
            let until = hold.until.map(|until| format!(" until {}", shown(until, now, zone)));
            let guess = if hold.exact { "" } else { ", a guess after which one agent tries it" };
            let until = until.unwrap_or_default();
            format!(
                "the plan of {account} is used up{until}{guess}; its agents wait ({by} says {sentence:?})"
            )
        }
    }
}

/// The event, and the alert, that an account is held.
pub fn held(hold: &Hold, agents: usize, at: Timestamp) -> Event {
    let kind = match hold.cause {
        Cause::LoggedOut => "login_lost",
        Cause::UsageLimit => "usage_limit_reached",
    };
    let mut payload = json!({
        "account": hold.account.to_string(),
        "agent": hold.by.to_string(),
        "agents": agents,
        "message": hold.sentence,
    });
    if let Some(until) = hold.until {
        payload["until"] = until.to_string().into();
        payload["exact"] = hold.exact.into();
    }
    if hold.cause == Cause::LoggedOut && hold.account.key.is_none() {
        payload["command"] = hold.account.login_command().into();
    }
    Event::ours(at, kind, payload)
}

/// The event, and the alert, that it can be used again.
pub fn over(hold: &Hold, at: Timestamp) -> Event {
    let kind = match hold.cause {
        Cause::LoggedOut => "login_restored",
        Cause::UsageLimit => "usage_limit_over",
    };
    let payload = json!({"account": hold.account.to_string(), "since": hold.since.to_string()});
    Event::ours(at, kind, payload)
}
