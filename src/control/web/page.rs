//! The page: one HTML file in the program, and the headers of every answer on the network.
//!
//! It asks for nothing but what is served beside it. Its policy names the one script and the one style by their digests, so that
//! nothing else is executed, whatever an agent is called. This must not put anything of the town into HTML.

use std::sync::{Arc, LazyLock};

use axum::{
    Router,
    http::{
        HeaderMap, HeaderName, HeaderValue, StatusCode,
        header::{
            CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, WWW_AUTHENTICATE,
            X_CONTENT_TYPE_OPTIONS,
        },
    },
    response::{IntoResponse, Response},
    routing::get,
};
use base64::{Engine, prelude::BASE64_STANDARD};
use sha2::{Digest, Sha256};

use crate::control::reporter::Reporter;

const PAGE: &str = include_str!("page.html");
const SIGN_IN: &str = include_str!("sign_in.html");
/// Where the page for the token says what is wrong.
const WHY: &str = "{{why}}";

const HTML: [(HeaderName, &str); 1] = [(CONTENT_TYPE, "text/html; charset=utf-8")];

static POLICY: LazyLock<Option<HeaderValue>> = LazyLock::new(|| policy(PAGE, "form-action 'none'"));
static POLICY_OF_SIGN_IN: LazyLock<Option<HeaderValue>> =
    LazyLock::new(|| policy(SIGN_IN, "form-action 'self'"));

/// The routes of the page.
pub fn routes() -> Router<Arc<Reporter>> {
    Router::new()
        .route("/", get(|| async { (HTML, PAGE) }))
        // Browsers ask for it, and complain.
        .route("/favicon.ico", get(|| async { StatusCode::NO_CONTENT }))
}

/// The page that asks for the token.
pub fn sign_in(why: &str) -> Response {
    let mut response =
        (StatusCode::UNAUTHORIZED, HTML, [(WWW_AUTHENTICATE, "Bearer")], SIGN_IN.replace(WHY, why))
            .into_response();
    insert(response.headers_mut(), CONTENT_SECURITY_POLICY, POLICY_OF_SIGN_IN.as_ref());
    response
}

/// Adds to every answer what browsers must not do with it.
pub async fn headers(mut response: Response) -> Response {
    let head = response.headers_mut();
    if !head.contains_key(CONTENT_SECURITY_POLICY) {
        insert(head, CONTENT_SECURITY_POLICY, POLICY.as_ref());
    }
    for (name, value) in [
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "no-referrer"),
        (CACHE_CONTROL, "no-store"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    ] {
        head.insert(name, HeaderValue::from_static(value));
    }
    response
}

fn insert(head: &mut HeaderMap, name: HeaderName, value: Option<&HeaderValue>) {
    // A digest is always a valid header; without one nothing may be executed at all.
    let value = value.cloned().unwrap_or(HeaderValue::from_static("default-src 'none'"));
    head.insert(name, value);
}

/// What a browser may do with this page.
fn policy(page: &str, form: &str) -> Option<HeaderValue> {
    let of = |tag: &str| {
        let begin = page.find(&format!("<{tag}>"))? + tag.len() + 2;
        let end = page.find(&format!("</{tag}>"))?;
        let digest = BASE64_STANDARD.encode(Sha256::digest(page.get(begin..end)?));
        Some(format!("'sha256-{digest}'"))
    };
    let none = || "'none'".to_owned();
    let (script, style) = (of("script").unwrap_or_else(none), of("style").unwrap_or_else(none));
    let text = format!(
        "default-src 'none'; script-src {script}; style-src {style}; connect-src 'self'; img-src 'self'; {form}; \
         base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
    );
    HeaderValue::try_from(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_policy_lets_it_run_what_is_in_it_and_nothing_else() {
        let policy = policy(PAGE, "form-action 'none'").unwrap();
        let policy = policy.to_str().unwrap();
        assert_eq!(policy.matches("'sha256-").count(), 2, "{policy}");
        assert!(!policy.contains("unsafe") && policy.starts_with("default-src 'none';"), "{policy}");
        for (page, scripts) in [(PAGE, 1), (SIGN_IN, 0)] {
            assert_eq!((page.matches("<script").count(), page.matches("<style").count()), (scripts, 1));
            // What the policy refuses: styles and handlers in attributes, and whatever is elsewhere.
            for forbidden in
                ["style=\"", "onclick", "onload", "http://", "https://", "src=", "@import", "url("]
            {
                assert!(!page.contains(forbidden), "{forbidden}");
            }
        }
        // Whatever is in a text, it stays one.
        for forbidden in ["innerHTML", "outerHTML", "insertAdjacent", "document.write", "eval(", "DOMParser"]
        {
            assert!(!PAGE.contains(forbidden), "{forbidden}");
        }
        assert!(SIGN_IN.contains(WHY));
    }
}
