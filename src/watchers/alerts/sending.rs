//! One delivery of one alert to one channel, and the sign of life. It retries nothing and keeps nothing.
//!
//! No text of it has more of a URL than scheme and host.

use std::path::Path;

use crate::{
    alerts::{
        Alert, Channel,
        shapes::{self, Message, Verdict},
    },
    commands::{Command, Commands},
    network::{Network, Request},
    town::settings::{SecretUrl, Settings, WebhookShape},
};

/// The program that shows a message on the desktop.
pub const NOTIFY_SEND: &str = "notify-send";

/// What a delivery needs.
#[derive(Clone, Copy)]
pub struct Outside<'a> {
    /// Reaches other machines.
    pub network: &'a dyn Network,
    /// Runs other programs.
    pub commands: &'a dyn Commands,
    /// Where alerts go.
    pub settings: &'a Settings,
    /// The town's root.
    pub root: &'a Path,
}

/// Why a channel did not accept an alert.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// For people.
    pub text: String,
    /// Whether it was refused for what is in it, so that another try helps little.
    pub refused: bool,
}

/// Delivers an alert. Returns what the channel answered.
pub async fn deliver(outside: Outside<'_>, channel: Channel, alert: &Alert) -> Result<String, Failure> {
    let notify = &outside.settings.notify;
    match channel {
        Channel::Webhook => match &notify.webhook {
            Some(url) => {
                let shape = notify.webhook_shape.unwrap_or(WebhookShape::of(url));
                let message = shapes::webhook(alert, shape);
                post(outside, url, message, |status, body| shapes::webhook_answered(shape, status, body))
                    .await
            }
            None => Err(unset()),
        },
        Channel::Ntfy => match &notify.ntfy {
            Some(url) => post(outside, url, shapes::ntfy(alert), shapes::ntfy_answered).await,
            None => Err(unset()),
        },
        Channel::Desktop => show(outside, alert).await,
    }
}

/// Requests the URL that expects a sign of life.
pub async fn beat(outside: Outside<'_>, url: &SecretUrl) -> Result<String, Failure> {
    let limit = outside.settings.notify.timeout;
    let request = Request { url: url.clone(), headers: Vec::new(), body: None, limit, direct: false };
    ask(outside, request, |status, _| shapes::beat_answered(status)).await
}

/// What is shown of where a channel sends: scheme and host.
pub fn target(settings: &Settings, channel: Channel) -> String {
    let url = match channel {
        Channel::Webhook => settings.notify.webhook.as_ref(),
        Channel::Ntfy => settings.notify.ntfy.as_ref(),
        Channel::Desktop => None,
    };
    url.map_or_else(|| NOTIFY_SEND.to_owned(), ToString::to_string)
}

async fn post(
    outside: Outside<'_>,
    url: &SecretUrl,
    message: Message,
    judge: impl Fn(u16, &[u8]) -> Verdict,
) -> Result<String, Failure> {
    let Message { headers, body } = message;
    let limit = outside.settings.notify.timeout;
    ask(outside, Request { url: url.clone(), headers, body: Some(body), limit, direct: false }, judge).await
}

async fn ask(
    outside: Outside<'_>,
    request: Request,
    judge: impl Fn(u16, &[u8]) -> Verdict,
) -> Result<String, Failure> {
    let reply = outside.network.request(request).await;
    let reply = reply.map_err(|why| Failure { text: why.to_string(), refused: false })?;
    let status = reply.status;
    match judge(status, &reply.body) {
        Verdict::Accepted => Ok(format!("HTTP {status}")),
        Verdict::Failed(why) => Err(Failure { text: format!("HTTP {status}: {why}"), refused: false }),
        Verdict::Refused => {
            Err(Failure { text: format!("HTTP {status}: it does not take this message"), refused: true })
        }
    }
}

async fn show(outside: Outside<'_>, alert: &Alert) -> Result<String, Failure> {
    let command = Command {
        program: NOTIFY_SEND.to_owned(),
        arguments: shapes::desktop(alert),
        directory: outside.root.to_owned(),
        environment: outside.settings.env.clone(),
        input: None,
        limit: outside.settings.notify.timeout,
    };
    match outside.commands.run(command).await {
        Ok(_) => Ok(format!("{NOTIFY_SEND} ended well")),
        Err(error) => Err(Failure { text: error.to_string(), refused: false }),
    }
}

fn unset() -> Failure {
    Failure { text: "it is not set any more".to_owned(), refused: true }
}
